//! Runs a script of the dialect on a [`Stage`].

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use super::compare::{self, Actual};
use super::rewrite::OfAction;
use super::{Action, Cursor, Event, Expect, MOST_RECORDS, Names, Node, Passes, Place, Query, Scope, Statement, Texts};
use super::{find, parse};
use crate::dialect::comparison::Mismatch;
use crate::dialect::complaint::Complaint;
use crate::dialect::rewrite::Correction;
use crate::dialect::stage::{At, Flow, Stage, Turn};
use crate::exchange::{Done, EngineError};
use crate::script::{Completion, Labels, Record, ScriptFile, Step, SyntaxError};

mod alike;
mod other;
mod together;

/// By default, errors with one of these texts say nothing about the engine.
const IGNORED_ERRORS: [&str; 2] = ["HTTP", "Unable to connect"];

/// By default, errors with this text are never expected.
const NEVER_EXPECTED: [&str; 1] = ["INTERNAL"];

/// Runs the script `text`. If the rest of the script is not for this engine, returns the reason.
pub(super) fn run(script: &ScriptFile<'_>, text: &[u8], labels: &Labels, stage: &mut dyn Stage<'_>) -> Option<String> {
    let texts = match Texts::new(text) {
        Ok(texts) => texts,
        Err(line) => {
            stage.fail(SyntaxError::new(line, "this line is not UTF-8, as DuckDB's dialect is"));
            return None;
        }
    };
    let parsed = match parse(&texts, script.path, script.root, labels) {
        Ok(parsed) => parsed,
        Err(error) => {
            stage.fail(error);
            return None;
        }
    };
    stage.expect_files(&mut parsed.files().iter());
    let most = stage.wishes().max_records.unwrap_or(MOST_RECORDS);
    let mut state = State {
        names: Names::new(script.name),
        script: script.path,
        root: script.root,
        labels: HashMap::new(),
        ignored: IGNORED_ERRORS.map(str::to_owned).to_vec(),
        never: NEVER_EXPECTED.map(str::to_owned).to_vec(),
        threshold: 0,
        accepts_results: false,
        tags: tags_of(script.name),
        is_selected: false,
        skipped: None,
        is_unfit: false,
    };
    stage.find(&mut parsed.nodes.iter().map(span));
    state.walk(&mut Cursor::new(&parsed, most), stage);
    state.skipped.or_else(|| parsed.all_in_mode_skip())
}

/// The tags that a script has because of its name.
fn tags_of(name: &str) -> Vec<String> {
    if name.ends_with(".test_slow") { vec!["slow".to_owned()] } else { Vec::new() }
}

/// The first and the last line of a node, in the script itself.
fn span(node: &Node<'_>) -> (u64, u64) {
    let of = |place: &Place| if place.file.is_none() { (place.line, place.line) } else { (u64::MAX, 0) };
    match node {
        Node::Step(step) => of(&step.place),
        Node::Loop(of_loop) => {
            let all = of_loop.body.iter().map(span).chain([of(&of_loop.place)]);
            all.fold((u64::MAX, 0), |(first, last), (a, b)| (first.min(a), last.max(b)))
        }
    }
}

/// The state that the records of a script share, besides connections.
struct State<'s> {
    names: Names,
    script: &'s Path,
    root: &'s Path,
    /// The result of each label, and the line of that result.
    labels: HashMap<String, (String, u64)>,
    /// Errors with one of these texts skip the file.
    ignored: Vec<String>,
    /// Errors with one of these texts fail, whatever is expected.
    never: Vec<String>,
    /// The value of `hash-threshold`; used only with `--lenient`.
    threshold: u64,
    /// Whether `mode output_hash` is set; used only with `--lenient`.
    accepts_results: bool,
    tags: Vec<String>,
    /// Whether the tags have been checked.
    is_selected: bool,
    /// Why the rest of the file is skipped.
    skipped: Option<String>,
    /// Whether the engine could not tell if it has what the file requires. The rest of the file does not run then.
    is_unfit: bool,
}

/// The [`Scope`] of a loop during a run.
struct Running<'r, 'a> {
    stage: &'r mut dyn Stage<'a>,
    names: &'r Names,
    /// Whether no other pass is under way.
    alone: bool,
}

impl Scope for Running<'_, '_> {
    fn replace(&self, word: &str) -> Result<String, String> {
        self.names.replace(word, 0, &[]).map(Cow::into_owned)
    }

    fn list(&mut self, connection: Option<&str>, name: &str) -> Result<Vec<String>, String> {
        if !self.alone {
            return Err("a loop inside of a concurrent one cannot run over a SQL variable: name the values".to_owned());
        }
        let sql = format!("SELECT unnest(getvariable('{}'))::VARCHAR", name.replace('\'', "''"));
        let values = self.stage.values(&sql, connection);
        let values = values.map_err(|error| {
            format!(
                "the SQL variable `{name}` cannot be read: set it before the loop, `SET VARIABLE {name} = […]`\n{error}"
            )
        })?;
        match values.is_empty() {
            true => Err(format!("the SQL variable `{name}` is not a list with elements: `SET VARIABLE {name} = […]`")),
            false => Ok(values),
        }
    }
}

fn record<'a>(place: &Place, pass: String, connection: Option<String>, step: Step<'a>) -> Record<'a> {
    let (included_from, line) = (place.file.clone(), place.line);
    Record { included_from, line, pass, connection, retry: None, substitute: false, step }
}

impl State<'_> {
    /// Runs the steps that a cursor yields, to its end.
    fn walk(&mut self, cursor: &mut Cursor<'_, '_>, stage: &mut dyn Stage<'_>) -> Flow {
        loop {
            let mut scope = Running { stage: &mut *stage, names: &self.names, alone: true };
            let event = match cursor.next(&mut scope) {
                Ok(Some(event)) => event,
                Ok(None) => return Flow::GoesOn,
                Err(error) => {
                    stage.fail(error);
                    return Flow::Over;
                }
            };
            let flow = match event {
                Event::Skipped(step) => leave_out(step, cursor, stage),
                Event::Step(step) => self.take(step, cursor, stage),
                Event::Together(passes) => self.passes(passes, stage),
            };
            if flow == Flow::Over {
                return flow;
            }
        }
    }

    /// Runs the passes of a concurrent loop: at the same time if the engine supports that, otherwise one after the other.
    fn passes(&mut self, mut passes: Passes<'_, '_>, stage: &mut dyn Stage<'_>) -> Flow {
        self.select(stage);
        if self.skipped.is_some() {
            return Flow::Over;
        }
        // To run one record of a script, everything before it runs first, so the passes run one after the other.
        match if stage.is_excerpt() { Ok(false) } else { stage.open_together() } {
            Ok(true) => {
                let flow = together::run(self, passes, stage);
                stage.close_together();
                return flow;
            }
            Ok(false) => {}
            Err(message) => {
                let place = passes.place();
                let error = SyntaxError { included_from: place.file.clone(), ..SyntaxError::new(place.line, message) };
                stage.give_up(error);
                return Flow::Over;
            }
        }
        loop {
            match passes.next_pass() {
                Ok(None) => return Flow::GoesOn,
                Ok(Some(mut pass)) => {
                    let flow = self.walk(&mut pass, stage);
                    pass.concurrent_pass().map(pass_name).iter().for_each(|name| stage.disconnect(name));
                    if flow == Flow::Over {
                        return flow;
                    }
                }
                Err(error) => {
                    stage.fail(error);
                    return Flow::Over;
                }
            }
        }
    }

    /// Decides by the tags, before the first record, whether the script runs.
    fn select(&mut self, stage: &dyn Stage<'_>) {
        if !self.is_selected {
            self.is_selected = true;
            self.skipped = stage.wishes().tags.leave_out(&self.tags);
        }
    }

    /// Runs one step, and returns whether the script continues.
    fn take(&mut self, step: &super::Step<'_>, cursor: &Cursor<'_, '_>, stage: &mut dyn Stage<'_>) -> Flow {
        let is_sleep = matches!(step.action, Action::Sleep(_));
        let (is_own, line) = (step.place.file.is_none(), step.place.line);
        match stage.turn(At { is_own, line, is_sleep, pass: &|| cursor.pass() }) {
            Turn::Over => return Flow::Over,
            Turn::LeftOut => return Flow::GoesOn,
            Turn::Before | Turn::Judged => {}
        }
        if let Action::Halt = step.action {
            stage.halt(line);
            return Flow::Over;
        }
        if step.action.counts() {
            self.select(stage);
        }
        if self.skipped.is_none() {
            self.step(step, cursor, stage);
        }
        match self.skipped.is_some() || self.is_unfit || stage.is_over() {
            true => Flow::Over,
            false => Flow::GoesOn,
        }
    }

    /// The record of a step in the present pass; if it cannot be run, also the reason.
    fn record(
        &self,
        step: &super::Step<'_>,
        cursor: &Cursor<'_, '_>,
        stage: &mut dyn Stage<'_>,
    ) -> (Record<'static>, Option<String>) {
        let (sql, connection) = match &step.action {
            Action::Statement(statement) => (statement.sql, statement.connection),
            Action::Query(query) => (query.sql, query.connection),
            _ => ("", None),
        };
        let (sql, wrong) = match self.replace(sql, &Here { line: step.place.line, cursor }) {
            Ok(sql) => (sql, None),
            Err(message) => (sql.to_owned(), Some(message)),
        };
        if let Some(folder) = self.names.made_folder() {
            stage.scratch(folder);
        }
        let as_record = match step.action.counts() {
            true => Step::Statement { sql: Cow::Owned(sql.into_bytes()), expect: Completion::Ok },
            false => Step::Other,
        };
        let connection = connection.map(str::to_owned).or(cursor.concurrent_pass().map(pass_name));
        (record(&step.place, cursor.pass().unwrap_or_default(), connection, as_record), wrong)
    }

    /// Runs one step, and enters how it ended.
    fn step(&mut self, step: &super::Step<'_>, cursor: &Cursor<'_, '_>, stage: &mut dyn Stage<'_>) {
        let here = Here { line: step.place.line, cursor };
        let (record, wrong) = self.record(step, cursor, stage);
        stage.perform(&record, &mut |stage, record| {
            let result = match (&wrong, &step.action) {
                (Some(message), _) => Err(message.clone().into()),
                (None, Action::Statement(statement)) => self.statement(statement, record, stage),
                (None, Action::Query(query)) => self.query(query, &here, record, stage),
                (None, action) => self.other(action, &here, stage).map_err(Complaint::from),
            };
            if let (Ok(()), Action::Query(query)) = (&result, &step.action) {
                alike::keep(query, record, stage);
            }
            result.map_err(|complaint| match complaint.correction {
                Ok(correction) => {
                    let revised = revise(&step.action, record, &correction, stage);
                    let is_alike = match &revised {
                        Some(_) => complaint.is_alike,
                        None => alike::is_alike(&step.action, record, &correction, stage),
                    };
                    Complaint { correction: revised.unwrap_or(Ok(correction)), is_alike, ..complaint }
                }
                correction => Complaint { correction, ..complaint },
            })
        });
    }

    fn replace(&self, text: &str, here: &Here<'_, '_, '_>) -> Result<String, String> {
        self.names.replace(text, here.line, &here.cursor.variables()).map(Cow::into_owned)
    }

    /// Replaces names in an expectation. Loop variables are not replaced there.
    fn replace_expected(&self, text: &str, line: u64) -> Result<String, String> {
        self.names.replace(text, line, &[]).map(Cow::into_owned)
    }

    fn statement(
        &mut self,
        statement: &Statement<'_>,
        record: &Record<'_>,
        stage: &mut dyn Stage<'_>,
    ) -> Result<(), Complaint> {
        let result = stage.run(record, None)?;
        let error = match (statement.expect, result) {
            (Expect::Error, Ok(_)) => {
                let message = "statement succeeded, but should have failed";
                return Err(Complaint::corrected_by(message, Correction::Success));
            }
            (_, Ok(_)) => return Ok(()),
            (_, Err(error)) => error,
        };
        self.failed("statement", error, statement.expect, statement.error, record.line)
    }

    /// Judges an error: it is expected, skips the file, or fails the record.
    fn failed(
        &mut self,
        what: &str,
        error: EngineError,
        expect: Expect,
        block: &str,
        line: u64,
    ) -> Result<(), Complaint> {
        if let Some(text) = self.never.iter().find(|text| error.message.contains(text.as_str())) {
            let message = format!("{what} failed: {error}\n  an error with `{text}` fails, whatever is expected");
            return Err(message.into());
        }
        let agrees = match expect {
            Expect::Ok => false,
            Expect::Anything => true,
            Expect::Error | Expect::Maybe => {
                super::error::agrees(&error.message, block, &self.replace_expected(block, line)?)?
            }
        };
        if agrees {
            return Ok(());
        }
        if let Some(text) = self.ignored.iter().find(|text| error.message.contains(text.as_str())) {
            let first = error.message.lines().next().unwrap_or_default();
            self.skipped = Some(format!("an error with `{text}` skips the rest: {first}"));
            return Ok(());
        }
        let message = match expect {
            Expect::Ok => format!("{what} failed: {error}"),
            _ => format!(
                "{what} failed with another error\n  expected: {}\n  actual:   {error}",
                block.replace('\n', "\n            ")
            ),
        };
        Err(Complaint::corrected_by(message, Correction::Error(error)))
    }

    fn query(
        &mut self,
        query: &Query<'_>,
        here: &Here<'_, '_, '_>,
        record: &Record<'_>,
        stage: &mut dyn Stage<'_>,
    ) -> Result<(), Complaint> {
        let letters = query.letters.as_bytes();
        let done = match stage.run(record, Some(letters))? {
            Ok(done) => done,
            Err(error) => return self.failed("query", error, Expect::Ok, "", here.line),
        };
        let rows = stage.rows();
        if rows.is_uneven() {
            return Err("the engine returned rows of different widths".to_owned().into());
        }
        let columns = match done {
            Done::Rows => rows.columns().unwrap_or(letters.len()),
            Done::Changed(_) => 0,
        };
        let lenient = stage.wishes().lenient;
        if lenient && self.accepts_results {
            return Ok(());
        }
        let lines = compare::lines(query.expected);
        let is_above = self.threshold > 0 && rows.len() as u64 > self.threshold;
        let is_hashed = query.label.is_some() || is_above || compare::is_hash(&lines);
        let shows = stage.compares();
        let mut actual = actual(stage, columns, lenient);
        actual.sort(query.sort);
        let corrected = |complaint: Mismatch| {
            let correction = match lines.as_slice() {
                [line] if line.starts_with(compare::FILE) => Err("what it expects is in another file".to_owned()),
                lines => Ok(Box::new(Correction::Lines {
                    // For a comparison with another engine, the values are listed instead of the hash.
                    lines: actual
                        .written(if shows && compare::is_hash(lines) { &[] } else { lines })
                        .into_iter()
                        .map(String::into_bytes)
                        .collect(),
                    columns: Some(columns),
                    letters: None,
                })),
            };
            Complaint { correction, ..Complaint::from(complaint) }
        };
        // DuckDB's own runner does not check the number of columns of a hashed result. The values are compared in any case.
        if columns != letters.len() && !is_hashed {
            let unit = if columns == 1 { "column" } else { "columns" };
            let are = if letters.len() == 1 { "is" } else { "are" };
            let (wanted, letters) = (letters.len(), query.letters);
            let message = format!("query returned {columns} {unit}, but {wanted} {are} declared ({letters})");
            return Err(corrected(message.into()));
        }
        if let Some(label) = query.label {
            self.label(label, &actual, here.line, compare::is_hash(&lines))?;
        }
        // DuckDB's own runner ignores the lines of a labelled query, and those of results above the threshold. Here such
        // lines, if any, must be correct.
        let unchecked = match lenient {
            true => is_hashed && !compare::is_hash(&lines),
            false => query.label.is_some() && lines.is_empty(),
        };
        if unchecked {
            return Ok(());
        }
        match lines.as_slice() {
            [line] if line.starts_with(compare::FILE) => {
                let name = self.replace(&line[compare::FILE.len()..], here)?;
                let found = find(&name, self.script, self.root, self.names.made_folder());
                let path = found.map_err(|reason| format!("cannot read `{name}`: {reason}"))?;
                let text = std::fs::read_to_string(&path).map_err(|error| format!("cannot read `{name}`: {error}"))?;
                actual.agrees_with_file(&text)
            }
            lines => actual.agrees(lines, &|text| self.replace_expected(text, here.line).ok()),
        }
        .map_err(corrected)
    }

    /// Compares the result with the first one under the same label: all of them must be equal. A result with a hash of its own
    /// is compared with that hash only, as by DuckDB's own runner.
    fn label(&mut self, label: &str, actual: &Actual<'_>, line: u64, has_hash: bool) -> Result<(), String> {
        let digest = actual.digest();
        match self.labels.get(label) {
            None => {
                self.labels.insert(label.to_owned(), (digest, line));
                Ok(())
            }
            Some((known, _)) if has_hash || *known == digest => Ok(()),
            Some((_, first)) => Err(format!("results under the label `{label}` differ from those in line {first}")),
        }
    }
}

/// The edits that make a step pass, if records are rewritten.
fn revise(
    action: &Action<'_>,
    record: &Record<'_>,
    correction: &Correction,
    stage: &mut dyn Stage<'_>,
) -> Option<Result<Box<Correction>, String>> {
    let edits = stage.revise(record, correction, &OfAction { action, correction })?;
    Some(edits.map(|edits| Box::new(Correction::Edits(edits))))
}

/// The last result.
fn actual<'r>(stage: &'r dyn Stage<'_>, columns: usize, lenient: bool) -> Actual<'r> {
    let rows = stage.rows();
    Actual::new(rows.values(), columns, rows.types(), lenient)
}

/// Enters a step that does not apply.
fn leave_out(step: &super::Step<'_>, cursor: &Cursor<'_, '_>, stage: &mut dyn Stage<'_>) -> Flow {
    if step.action.counts() {
        stage.skip(&record(&step.place, cursor.pass().unwrap_or_default(), None, Step::Skip));
    }
    Flow::GoesOn
}

/// Where a step is: its line, and the loops around it.
struct Here<'h, 's, 'a> {
    line: u64,
    cursor: &'h Cursor<'s, 'a>,
}

/// The name of the connection of a pass of a concurrent loop. No script can use this name.
fn pass_name(pass: u64) -> String {
    format!("pass {pass}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_name_may_be_a_tag() {
        assert_eq!(super::tags_of("x/y.test_slow"), ["slow"]);
        assert!(super::tags_of("x/y_slow.test").is_empty());
    }
}
