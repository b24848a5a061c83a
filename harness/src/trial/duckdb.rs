//! Runs a script in DuckDB's dialect, on the connections of an [`Executor`].

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use crate::dialect::duckdb::compare::{self, Actual, Mismatch};
use crate::dialect::duckdb::{
    self, Action, Cursor, Event, Expect, MOST_RECORDS, Names, Passes, Query, Scope, Statement, Texts,
};
use crate::engine::{Done, EngineError};
use crate::event::Ending;
use crate::outcome::CutShort;
use crate::script::{Completion, Labels, Record, Step, SyntaxError};
use crate::suite::TestFile;

use super::bless::Correction;
use super::execute::{Complaint, Executor};
use super::{Options, Tally, Turn};

mod alike;
mod other;
mod tags;
mod together;

pub use tags::Tags;

/// Errors with one of these texts say nothing about the engine, by default.
const IGNORED_ERRORS: [&str; 2] = ["HTTP", "Unable to connect"];

/// Errors with this text are never expected, by default.
const NEVER_EXPECTED: [&str; 1] = ["INTERNAL"];

/// Runs the script `text`; returns why the rest of it is not for this engine, if that is so.
pub(super) fn run(
    file: &TestFile,
    text: &[u8],
    labels: &Labels,
    executor: &mut Executor<'_, '_>,
    options: &Options,
    tally: &mut Tally<'_>,
) -> Option<String> {
    let texts = match Texts::new(text) {
        Ok(texts) => texts,
        Err(line) => {
            let message = "this line is not UTF-8, as DuckDB's dialect is".to_owned();
            tally.fail_script(SyntaxError::new(line, message), CutShort::SyntaxError);
            return None;
        }
    };
    let script = match duckdb::parse(&texts, &file.path, &file.root) {
        Ok(script) => script,
        Err(error) => {
            tally.fail_script(error, CutShort::SyntaxError);
            return None;
        }
    };
    if let Some(blessings) = &mut tally.blessings {
        blessings.foresee_files(&script.files());
    }
    let mut state = State {
        names: Names::new(file.script()),
        script: &file.path,
        root: &file.root,
        engine_names: labels,
        options,
        labels: HashMap::new(),
        ignored: IGNORED_ERRORS.map(str::to_owned).to_vec(),
        never: NEVER_EXPECTED.map(str::to_owned).to_vec(),
        threshold: 0,
        accepts_results: false,
        tags: tags::of_name(file.script()),
        is_selected: false,
        skipped: None,
    };
    tally.find_in(&script);
    let most = options.max_records.unwrap_or(MOST_RECORDS);
    state.walk(&mut Cursor::new(&script, most), executor, tally);
    state.skipped
}

/// Whether a script goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    GoesOn,
    Over,
}

/// What the records of a script share, besides connections.
struct State<'s> {
    names: Names,
    script: &'s Path,
    root: &'s Path,
    /// The names by which conditions know the engine.
    engine_names: &'s Labels,
    options: &'s Options,
    /// The result of each label, and the line that it is from.
    labels: HashMap<String, (String, u64)>,
    /// Errors with one of these texts skip the file.
    ignored: Vec<String>,
    /// Errors with one of these texts fail, whatever is expected.
    never: Vec<String>,
    /// `hash-threshold`, which counts with `--lenient` only.
    threshold: u64,
    /// `mode output_hash`, which counts with `--lenient` only.
    accepts_results: bool,
    tags: Vec<String>,
    /// Whether the tags have been looked at.
    is_selected: bool,
    /// Why the rest of the file is skipped.
    skipped: Option<String>,
}

/// What a loop needs of a run.
struct Running<'r, 'e, 'a, 'f> {
    executor: &'r mut Executor<'e, 'a>,
    names: &'r Names,
    tally: &'r mut Tally<'f>,
    /// Whether nothing else is under way.
    alone: bool,
}

impl Scope for Running<'_, '_, '_, '_> {
    fn replace(&self, word: &str) -> Result<String, String> {
        self.names.replace(word, 0, |_| None).map(Cow::into_owned)
    }

    fn list(&mut self, connection: Option<&str>, name: &str) -> Result<Vec<String>, String> {
        if !self.alone {
            return Err("a loop inside of a concurrent one cannot run over a SQL variable: name the values".to_owned());
        }
        let sql = format!("SELECT unnest(getvariable('{}'))::VARCHAR", name.replace('\'', "''"));
        let values = self.executor.values(&sql, connection, self.tally);
        let values = values.map_err(|error| {
            format!(
                "the SQL variable `{name}` cannot be read: set it before the loop, `SET VARIABLE {name} = […]`\n{error}"
            )
        })?;
        match values.is_empty() {
            true => Err(format!("the SQL variable `{name}` is no list with elements: `SET VARIABLE {name} = […]`")),
            false => Ok(values),
        }
    }
}

fn record<'a>(place: &duckdb::Place, pass: String, connection: Option<String>, step: Step<'a>) -> Record<'a> {
    let (included_from, line) = (place.file.clone(), place.line);
    Record { included_from, line, pass, connection, retry: None, substitute: false, step }
}

impl State<'_> {
    /// Runs what a cursor yields, to its end.
    fn walk(&mut self, cursor: &mut Cursor<'_, '_>, executor: &mut Executor<'_, '_>, tally: &mut Tally<'_>) -> Flow {
        loop {
            let mut scope = Running { executor: &mut *executor, names: &self.names, tally: &mut *tally, alone: true };
            let event = match cursor.next(self.engine_names, &mut scope) {
                Ok(Some(event)) => event,
                Ok(None) => return Flow::GoesOn,
                Err(error) => {
                    tally.fail_script(error, CutShort::SyntaxError);
                    return Flow::Over;
                }
            };
            let flow = match event {
                Event::Skipped(step) => leave_out(step, cursor, tally),
                Event::Step(step) => self.take(step, cursor, executor, tally),
                Event::Together(passes) => self.passes(passes, executor, tally),
            };
            if flow == Flow::Over {
                return flow;
            }
        }
    }

    /// Runs the passes of a concurrent loop: at the same time or, where the engine cannot do that, one after the other.
    fn passes(&mut self, mut passes: Passes<'_, '_>, executor: &mut Executor<'_, '_>, tally: &mut Tally<'_>) -> Flow {
        self.select();
        if self.skipped.is_some() {
            return Flow::Over;
        }
        // One record of a script is run after what is before it, and so one pass after the other.
        let together = if tally.excerpted.is_some() { Ok(None) } else { executor.together() };
        match together {
            Ok(Some(connections)) => return together::run(self, passes, connections, executor, tally),
            Ok(None) => {}
            Err(message) => {
                let place = passes.place();
                let error = SyntaxError { included_from: place.file.clone(), ..SyntaxError::new(place.line, message) };
                tally.fail_script(error, CutShort::ConnectionLost);
                return Flow::Over;
            }
        }
        loop {
            match passes.next_pass() {
                Ok(None) => return Flow::GoesOn,
                Ok(Some(mut pass)) => {
                    let flow = self.walk(&mut pass, executor, tally);
                    pass.concurrent_pass().map(pass_name).iter().for_each(|name| executor.disconnect(name));
                    if flow == Flow::Over {
                        return flow;
                    }
                }
                Err(error) => {
                    tally.fail_script(error, CutShort::SyntaxError);
                    return Flow::Over;
                }
            }
        }
    }

    /// Before the first record, the tags decide whether the script runs.
    fn select(&mut self) {
        if !self.is_selected {
            self.is_selected = true;
            self.skipped = self.options.tags.leave_out(&self.tags);
        }
    }

    /// Runs one step, and tells whether the script goes on.
    fn take(
        &mut self,
        step: &duckdb::Step<'_>,
        cursor: &Cursor<'_, '_>,
        executor: &mut Executor<'_, '_>,
        tally: &mut Tally<'_>,
    ) -> Flow {
        match tally.turn_of(step, &|| cursor.pass()) {
            Turn::Over => return Flow::Over,
            Turn::LeftOut => return Flow::GoesOn,
            Turn::Before | Turn::Judged => {}
        }
        if let Action::Halt = step.action {
            tally.halted = Some(step.place.line);
            return Flow::Over;
        }
        if step.action.counts() {
            self.select();
        }
        if self.skipped.is_none() {
            self.step(step, cursor, executor, tally);
        }
        match self.skipped.is_some() || executor.is_over(self.options, tally) {
            true => Flow::Over,
            false => Flow::GoesOn,
        }
    }

    /// The record that a step is now, and why it cannot be run, if so.
    fn record(
        &self,
        step: &duckdb::Step<'_>,
        cursor: &Cursor<'_, '_>,
        executor: &mut Executor<'_, '_>,
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
            executor.scratch(folder);
        }
        let as_record = match step.action.counts() {
            true => Step::Statement { sql: Cow::Owned(sql.into_bytes()), expect: Completion::Ok },
            false => Step::Other,
        };
        let connection = connection.map(str::to_owned).or(cursor.concurrent_pass().map(pass_name));
        (record(&step.place, cursor.pass().unwrap_or_default(), connection, as_record), wrong)
    }

    /// Runs one step, and enters how it ended.
    fn step(
        &mut self,
        step: &duckdb::Step<'_>,
        cursor: &Cursor<'_, '_>,
        executor: &mut Executor<'_, '_>,
        tally: &mut Tally<'_>,
    ) {
        let here = Here { line: step.place.line, cursor };
        let (record, wrong) = self.record(step, cursor, executor);
        tally.at(&record);
        executor.perform(record, tally, &mut |executor, record, tally| {
            let result = match (&wrong, &step.action) {
                (Some(message), _) => Err(message.clone().into()),
                (None, Action::Statement(statement)) => self.statement(statement, record, executor, tally),
                (None, Action::Query(query)) => self.query(query, &here, record, executor, tally),
                (None, action) => self.other(action, &here, executor, tally).map_err(Complaint::from),
            };
            result.map_err(|complaint| match (&mut tally.blessings, complaint.correction) {
                (Some(blessings), Ok(correction)) => {
                    let agrees = |query: &Query<'_>| {
                        let mut actual = actual(executor, query.letters.len(), false);
                        actual.sort(query.sort);
                        actual.agrees(&compare::lines(query.expected), &|_| None).is_ok()
                    };
                    let edits = blessings.edits_of(record, &step.action, &correction, agrees);
                    let correction = edits.map(|edits| Box::new(Correction::Edits(edits)));
                    Complaint { correction, ..complaint }
                }
                (None, Ok(correction)) => {
                    let is_alike = alike::is_alike(&step.action, record, &correction, executor, tally);
                    Complaint { correction: Ok(correction), is_alike, ..complaint }
                }
                (_, correction) => Complaint { correction, ..complaint },
            })
        });
    }

    fn replace(&self, text: &str, here: &Here<'_, '_, '_>) -> Result<String, String> {
        self.names.replace(text, here.line, |name| here.cursor.lookup(name)).map(Cow::into_owned)
    }

    /// Names of loops are not replaced in what is expected.
    fn replace_expected(&self, text: &str, line: u64) -> Result<String, String> {
        self.names.replace(text, line, |_| None).map(Cow::into_owned)
    }

    fn statement(
        &mut self,
        statement: &Statement<'_>,
        record: &Record<'_>,
        executor: &mut Executor<'_, '_>,
        tally: &mut Tally<'_>,
    ) -> Result<(), Complaint> {
        let result = executor.run(record, record.step.text(), None, tally)?;
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
                duckdb::error::agrees(&error.message, block, &self.replace_expected(block, line)?)?
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
        executor: &mut Executor<'_, '_>,
        tally: &mut Tally<'_>,
    ) -> Result<(), Complaint> {
        let letters = query.letters.as_bytes();
        let done = match executor.run(record, record.step.text(), Some(letters), tally)? {
            Ok(done) => done,
            Err(error) => return self.failed("query", error, Expect::Ok, "", here.line),
        };
        let rows = executor.rows();
        if rows.is_uneven() {
            return Err("the engine returned rows of different widths".to_owned().into());
        }
        let columns = match done {
            Done::Rows => rows.columns().unwrap_or(letters.len()),
            Done::Changed(_) => 0,
        };
        let lenient = self.options.lenient;
        if lenient && self.accepts_results {
            return Ok(());
        }
        let lines = compare::lines(query.expected);
        let is_above = self.threshold > 0 && rows.count() as u64 > self.threshold;
        let is_hashed = query.label.is_some() || is_above || compare::is_hash(&lines);
        let mut actual = actual(executor, columns, lenient);
        actual.sort(query.sort);
        let corrected = |complaint: Mismatch| {
            let correction = match lines.as_slice() {
                [line] if line.starts_with(compare::FILE) => Err("what it expects is in another file".to_owned()),
                lines => Ok(Box::new(Correction::Lines {
                    lines: actual.written(lines).into_iter().map(String::into_bytes).collect(),
                    columns: Some(columns),
                    letters: None,
                })),
            };
            Complaint { correction, ..Complaint::from(complaint) }
        };
        if columns != letters.len() && !(lenient && is_hashed) {
            let unit = if columns == 1 { "column" } else { "columns" };
            let are = if letters.len() == 1 { "is" } else { "are" };
            let (wanted, letters) = (letters.len(), query.letters);
            let message = format!("query returned {columns} {unit}, but {wanted} {are} declared ({letters})");
            return Err(corrected(message.into()));
        }
        if let Some(label) = query.label {
            self.label(label, &actual, here.line)?;
        }
        // DuckDB's own runner ignores the lines of a labelled query, and those above the threshold. Here they must be right,
        // if there are any.
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
                let found = duckdb::find(&name, self.script, self.root, self.names.made_folder());
                let path = found.map_err(|reason| format!("cannot read `{name}`: {reason}"))?;
                let text = std::fs::read_to_string(&path).map_err(|error| format!("cannot read `{name}`: {error}"))?;
                actual.agrees_with_file(&text)
            }
            lines => actual.agrees(lines, &|text| self.replace_expected(text, here.line).ok()),
        }
        .map_err(corrected)
    }

    /// All results under one label must be equal; the first one is what the others are compared with.
    fn label(&mut self, label: &str, actual: &Actual<'_>, line: u64) -> Result<(), String> {
        let digest = actual.digest();
        match self.labels.get(label) {
            None => {
                self.labels.insert(label.to_owned(), (digest, line));
                Ok(())
            }
            Some((known, _)) if *known == digest => Ok(()),
            Some((_, first)) => Err(format!("results under the label `{label}` differ from those in line {first}")),
        }
    }
}

/// The result that came last.
fn actual<'r>(executor: &'r Executor<'_, '_>, columns: usize, lenient: bool) -> Actual<'r> {
    let rows = executor.rows();
    Actual::new(rows.values(), columns, rows.types(), lenient)
}

/// A step does not apply.
fn leave_out(step: &duckdb::Step<'_>, cursor: &Cursor<'_, '_>, tally: &mut Tally<'_>) -> Flow {
    if step.action.counts() && tally.is_to_be_judged(&step.place, &|| cursor.pass()) {
        tally.records.skipped += 1;
        tally.ended(&record(&step.place, cursor.pass().unwrap_or_default(), None, Step::Skip), Ending::Skipped);
    }
    Flow::GoesOn
}

/// Where a step is: its line, and the loops around it.
struct Here<'h, 's, 'a> {
    line: u64,
    cursor: &'h Cursor<'s, 'a>,
}

/// The connection of a pass of a concurrent loop. No script can name it so.
fn pass_name(pass: u64) -> String {
    format!("pass {pass}")
}
