//! Runs a script in DuckDB's dialect, on the connections of an [`Executor`].

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::engine::{Done, EngineError, Opening};
use crate::outcome::CutShort;
use crate::script::duckdb::compare::{self, Actual, Mismatch};
use crate::script::duckdb::{
    self, Action, Cursor, Event, Expect, Load, Names, Query, Requirement, Scope, Statement, Texts,
};
use crate::script::{Completion, Labels, Record, Step, SyntaxError};
use crate::suite::TestFile;

use super::execute::{Complaint, Executor, Results};
use super::{Ending, Options, Tally};

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
    let syntax = |line, message: String| SyntaxError::new(line, message);
    let texts = match Texts::new(text) {
        Ok(texts) => texts,
        Err(line) => {
            tally.fail_script(
                syntax(line, "this line is not UTF-8, as DuckDB's dialect is".to_owned()),
                CutShort::SyntaxError,
            );
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
    let mut cursor = Cursor::new(&script, duckdb::MOST_RECORDS);
    let mut state = State {
        names: Names::new(&file.name),
        script: &file.path,
        root: &file.root,
        labels: HashMap::new(),
        ignored: IGNORED_ERRORS.map(str::to_owned).to_vec(),
        never: NEVER_EXPECTED.map(str::to_owned).to_vec(),
        skipped: None,
        allow_env: options.allow_env,
        pass: None,
    };
    loop {
        let mut scope = Running { executor: &mut *executor, names: &state.names, tally: &mut *tally };
        let event = match cursor.next(labels, &mut scope) {
            Ok(Some(event)) => event,
            Ok(None) => return None,
            Err(error) => {
                tally.fail_script(error, CutShort::SyntaxError);
                return None;
            }
        };
        match event {
            Event::Skipped(step) if step.action.counts() => {
                let record = record(&step.place, None, Step::Skip);
                tally.records.skipped += 1;
                tally.ended(&record, Ending::Skipped);
            }
            Event::Skipped(_) => {}
            Event::Step(step) => {
                if let Action::Halt = step.action {
                    tally.halted = Some(step.place.line);
                    return None;
                }
                state.step(step, &cursor, executor, tally);
                if let Some(reason) = state.skipped.take() {
                    return Some(reason);
                }
                if executor.is_over(options, tally) {
                    return None;
                }
            }
        }
    }
}

/// What the records of a script share, besides connections.
struct State<'s> {
    names: Names,
    script: &'s Path,
    root: &'s Path,
    /// The result of each label, and the line that it is from.
    labels: HashMap<String, (String, u64)>,
    /// Errors with one of these texts skip the file.
    ignored: Vec<String>,
    /// Errors with one of these texts fail, whatever is expected.
    never: Vec<String>,
    /// Why the rest of the file is skipped.
    skipped: Option<String>,
    allow_env: bool,
    /// The pass of a concurrent loop whose connection is open.
    pass: Option<u64>,
}

/// What a loop needs of a run.
struct Running<'r, 'e, 'a, 'f> {
    executor: &'r mut Executor<'e, 'a>,
    names: &'r Names,
    tally: &'r mut Tally<'f>,
}

impl Scope for Running<'_, '_, '_, '_> {
    fn replace(&self, word: &str) -> Result<String, String> {
        self.names.replace(word, 0, |_| None).map(Cow::into_owned)
    }

    fn list(&mut self, connection: Option<&str>, name: &str) -> Result<Vec<String>, String> {
        let sql = format!("SELECT unnest(getvariable('{}'))::VARCHAR", name.replace('\'', "''"));
        let values = self.executor.values(&sql, connection, self.tally)?;
        match values.is_empty() {
            true => Err(format!("the SQL variable `{name}` is no list with elements: `SET VARIABLE {name} = […]`")),
            false => Ok(values),
        }
    }
}

fn record<'a>(place: &duckdb::Place, connection: Option<String>, step: Step<'a>) -> Record<'a> {
    Record { included_from: place.file.clone(), line: place.line, connection, retry: None, substitute: false, step }
}

impl State<'_> {
    /// Runs one step, and enters how it ended.
    fn step(
        &mut self,
        step: &duckdb::Step<'_>,
        cursor: &Cursor<'_, '_>,
        executor: &mut Executor<'_, '_>,
        tally: &mut Tally<'_>,
    ) {
        let own_pass = cursor.concurrent_pass();
        if let Some(over) = self.pass.filter(|pass| Some(*pass) != own_pass) {
            executor.disconnect(&pass_name(over));
        }
        self.pass = own_pass;
        let (sql, connection) = match &step.action {
            Action::Statement(statement) => (statement.sql, statement.connection),
            Action::Query(query) => (query.sql, query.connection),
            _ => ("", None),
        };
        let here = Here { line: step.place.line, cursor };
        let (sql, wrong) = match self.replace(sql, &here) {
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
        let connection = connection.map(str::to_owned).or(own_pass.map(pass_name));
        let record = record(&step.place, connection, as_record);
        tally.at(&record);
        executor.perform(record, tally, &mut |executor, record, tally| {
            let result = match (&wrong, &step.action) {
                (Some(message), _) => Err(message.clone().into()),
                (None, Action::Statement(statement)) => self.statement(statement, &here, record, executor, tally),
                (None, Action::Query(query)) => self.query(query, &here, record, executor, tally),
                (None, action) => self.other(action, &here, executor, tally).map_err(Complaint::from),
            };
            result.map_err(|complaint| complaint.in_pass(cursor.pass().as_deref()))
        });
    }

    fn replace(&self, text: &str, here: &Here<'_, '_, '_>) -> Result<String, String> {
        self.names.replace(text, here.line, |name| here.cursor.lookup(name)).map(Cow::into_owned)
    }

    fn statement(
        &mut self,
        statement: &Statement<'_>,
        here: &Here<'_, '_, '_>,
        record: &Record<'_>,
        executor: &mut Executor<'_, '_>,
        tally: &mut Tally<'_>,
    ) -> Result<(), Complaint> {
        let result = executor.run(record, record.step.text(), None, tally)?;
        let error = match (statement.expect, result) {
            (Expect::Error, Ok(_)) => return Err("statement succeeded, but should have failed".to_owned().into()),
            (_, Ok(_)) => return Ok(()),
            (_, Err(error)) => error,
        };
        self.never_expected("statement", &error)?;
        let agrees = match statement.expect {
            Expect::Ok => false,
            Expect::Anything => true,
            Expect::Error | Expect::Maybe => {
                // Names of loops are not replaced in what is expected.
                let replaced = self.names.replace(statement.error, here.line, |_| None)?;
                duckdb::error::agrees(&error.message, statement.error, &replaced)?
            }
        };
        if agrees || self.is_ignored(&error) {
            return Ok(());
        }
        Err(match statement.expect {
            Expect::Ok => format!("statement failed: {error}"),
            _ => format!(
                "statement failed with another error\n  expected: {}\n  actual:   {error}",
                statement.error.replace('\n', "\n            ")
            ),
        }
        .into())
    }

    /// An error that fails whatever is expected.
    fn never_expected(&self, what: &str, error: &EngineError) -> Result<(), Complaint> {
        match self.never.iter().find(|text| error.message.contains(text.as_str())) {
            Some(text) => {
                Err(format!("{what} failed: {error}\n  an error with `{text}` fails, whatever is expected").into())
            }
            None => Ok(()),
        }
    }

    /// Whether an unexpected error skips the file; if so, it will.
    fn is_ignored(&mut self, error: &EngineError) -> bool {
        let text = self.ignored.iter().find(|text| error.message.contains(text.as_str()));
        if let Some(text) = text {
            let line = error.message.lines().next().unwrap_or_default();
            self.skipped = Some(format!("an error with `{text}` skips the rest: {line}"));
        }
        self.skipped.is_some()
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
            Err(error) => {
                self.never_expected("query", &error)?;
                return match self.is_ignored(&error) {
                    true => Ok(()),
                    false => Err(format!("query failed: {error}").into()),
                };
            }
        };
        let rows = executor.rows();
        if rows.is_uneven() {
            return Err("the engine returned rows of different widths".to_owned().into());
        }
        let columns = match done {
            Done::Rows => rows.columns().unwrap_or(letters.len()),
            Done::Changed(_) => 0,
        };
        if columns != letters.len() {
            let unit = if columns == 1 { "column" } else { "columns" };
            let are = if letters.len() == 1 { "is" } else { "are" };
            let wanted = letters.len();
            let letters = query.letters;
            return Err(format!("query returned {columns} {unit}, but {wanted} {are} declared ({letters})").into());
        }
        let mut actual = Actual::new(rows.values(), columns, rows.types());
        actual.sort(query.sort);
        let lines = compare::lines(query.expected);
        if let Some(label) = query.label {
            self.label(label, &actual, here.line)?;
            // DuckDB's own runner ignores the lines of a labelled query; here they must be right, if there are any.
            if lines.is_empty() {
                return Ok(());
            }
        }
        match lines.as_slice() {
            [line] if line.starts_with(compare::FILE) => {
                let name = self.replace(&line[compare::FILE.len()..], here)?;
                let found = duckdb::find(&name, self.script, self.root, self.names.made_folder());
                let path = found.map_err(|reason| format!("cannot read `{name}`: {reason}"))?;
                let text = std::fs::read_to_string(&path).map_err(|error| format!("cannot read `{name}`: {error}"))?;
                actual.agrees_with_file(&text)
            }
            lines => {
                let replace = |text: &str| self.names.replace(text, here.line, |_| None).ok().map(Cow::into_owned);
                actual.agrees(lines, &replace)
            }
        }
        .map_err(Complaint::from)
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

    /// Everything but statements and queries.
    fn other(
        &mut self,
        action: &Action<'_>,
        here: &Here<'_, '_, '_>,
        executor: &mut Executor<'_, '_>,
        tally: &mut Tally<'_>,
    ) -> Result<(), String> {
        match action {
            Action::ResetLabel(label) => match self.labels.remove(*label) {
                Some(_) => Ok(()),
                None => Err(format!("`reset label {label}`: no query before this has that label")),
            },
            Action::Load(load) => self.load(load, here, executor),
            Action::Restart(extensions) => executor.reopen(Opening::Restart { extensions: *extensions }),
            Action::Reconnect => executor.reconnect(),
            Action::Sleep(duration) => {
                executor.sleep(*duration);
                Ok(())
            }
            Action::Unzip(source, _) => Err(format!("`unzip {source}` is not supported yet")),
            Action::Seed(seed) => executor.values(&format!("SELECT setseed({seed})"), None, tally).map(drop),
            Action::Variable(name, value) => {
                let variable = value.strip_prefix("<variable:").and_then(|rest| rest.strip_suffix('>'));
                let value = match variable {
                    Some(variable) => {
                        let variable = variable.replace('\'', "''");
                        let values =
                            executor.values(&format!("SELECT getvariable('{variable}')::VARCHAR"), None, tally)?;
                        values.into_iter().next().unwrap_or_default()
                    }
                    None => self.replace(value, here)?,
                };
                self.names.define(name, value);
                Ok(())
            }
            Action::IgnoreErrors(texts) => {
                self.ignored = texts.iter().map(|text| (*text).to_owned()).collect();
                Ok(())
            }
            Action::AlwaysFail(texts) => {
                self.never = texts.iter().map(|text| (*text).to_owned()).collect();
                Ok(())
            }
            Action::Require(words) => self.require(words, executor),
            Action::RequireEnv(name, wanted) => {
                self.require_env(name, *wanted);
                Ok(())
            }
            Action::TestEnv(name, default) => {
                let set = std::env::var(name).ok().filter(|_| self.allow_env);
                self.names.define(name, set.unwrap_or_else(|| (*default).to_owned()));
                Ok(())
            }
            // Results are compared whatever their size, and printed where they differ.
            Action::HashThreshold(_) | Action::Output(_) | Action::Tags(_) => Ok(()),
            Action::Statement(_) | Action::Query(_) | Action::Skipped | Action::Continue | Action::Halt => Ok(()),
        }
    }

    fn load(
        &mut self,
        load: &Load<'_>,
        here: &Here<'_, '_, '_>,
        executor: &mut Executor<'_, '_>,
    ) -> Result<(), String> {
        let path = match load.path {
            Some(path) => Some(PathBuf::from(self.replace(path, here)?)),
            None => None,
        };
        if let Some(folder) = self.names.made_folder() {
            executor.scratch(folder);
        }
        if let Some(path) = path.as_ref().filter(|_| !load.read_only) {
            for path in [path.clone(), PathBuf::from(format!("{}.wal", path.display()))] {
                if path.exists() && !path.starts_with(self.names.folder()?) {
                    let path = path.display();
                    return Err(format!(
                        "`load` would delete `{path}`, which is not in `{{TEST_DIR}}`: add `readonly` behind the path"
                    ));
                }
                match std::fs::remove_file(&path) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(format!("cannot delete `{}`: {error}", path.display()));
                    }
                    _ => {}
                }
            }
        }
        executor.reopen(Opening::Load { path: path.as_deref(), read_only: load.read_only, version: load.version })
    }

    fn require(&mut self, words: &[&str], executor: &mut Executor<'_, '_>) -> Result<(), String> {
        let needed = match duckdb::of_the_runner(words)? {
            Requirement::Met => None,
            Requirement::NotMet(needed) => Some(needed),
            Requirement::AskEngine => (!executor.require(words)?).then(|| words.join(" ")),
        };
        self.skipped = needed.map(|needed| format!("requires {needed}"));
        Ok(())
    }

    fn require_env(&mut self, name: &str, wanted: Option<&str>) {
        let value = std::env::var(name).ok().filter(|_| self.allow_env);
        let hint = if self.allow_env { "" } else { ", which a file sees with `--allow-env` only" };
        match (value, wanted) {
            (Some(value), wanted) if wanted.is_none_or(|wanted| wanted == value) => self.names.define(name, value),
            (_, Some(wanted)) => self.skipped = Some(format!("requires the variable {name}={wanted}{hint}")),
            (_, None) => self.skipped = Some(format!("requires the variable {name}{hint}")),
        }
    }
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

impl From<Mismatch> for Complaint {
    fn from(mismatch: Mismatch) -> Self {
        let results = mismatch.lines.map(|(expected, actual)| Results::Printed(expected, actual));
        Complaint { results, ..Complaint::from(mismatch.message) }
    }
}
