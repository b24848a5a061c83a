//! Runs one record after another on the connections of one script.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::crash::InEngine;
use crate::dialect::Dialect;
use crate::dialect::comparison::{Comparison, Fingerprint, Texts};
use crate::dialect::complaint::{Complaint, Results};
use crate::diff::Shape;
use crate::engine::{
    Database, Done, Engine, EngineError, ErrorKind, Request, Rows, Rules, Scratch, Script, Session, Together,
};
use crate::event::{Ending, Reporter};
use crate::outcome::{CutShort, Failure};
use crate::script::{Record, Step};
use crate::suite::TestFile;

mod compare;
mod connections;
mod failure;
mod judge;
mod places;

use super::answer;
use super::trace::Comparing;
use super::variables::Variables;
use super::watchdog::Watchdog;
use super::{Options, Tally, panics, system};

/// The state that a script's records share: connections, variables, labels, time limits.
pub(super) struct Executor<'e, 'a> {
    dialect: Dialect,
    // Sessions come first, so that they are dropped before their database.
    together: Option<Box<dyn Together>>,
    default: Box<dyn Session + 'e>,
    named: HashMap<String, Box<dyn Session + 'e>>,
    database: Box<dyn Database + 'e>,
    rows: Rows,
    comparison: Comparison,
    /// Rules for results that the engine's author sets.
    rules: Rules,
    labels: HashMap<Cow<'a, [u8]>, (Fingerprint, u64), foldhash::fast::RandomState>,
    /// Results with more values are written as a hash; 0 for none.
    hash_threshold: u64,
    /// The result of a request that has already ended, for an engine that runs several at a time; it is judged next.
    answered: Option<Result<Done, EngineError>>,
    /// Whether to collect corrections.
    bless: bool,
    /// Whether failing results are compared with those of another engine.
    compares: bool,
    /// The lines that a passing record returned, if the script does not list them.
    kept: Option<Vec<Vec<u8>>>,
    /// Whether this executor runs on the reference, which runs no commands.
    is_reference: bool,
    /// Whether failures keep their full texts.
    whole: bool,
    /// The folder for the returned values, if the script lists only a hash of them.
    returned: Option<&'e Path>,
    /// The name of the script.
    file: &'e str,
    variables: Variables,
    watchdog: Option<Watchdog>,
    allow_system: bool,
    memory_limited: bool,
    out_of_memory: bool,
    /// Why the script cannot continue, if so.
    lost: Option<CutShort>,
    /// The engine's name in messages.
    engine: &'e str,
    reporter: &'e dyn Reporter,
}

impl<'e, 'a> Executor<'e, 'a> {
    /// Connects before the first record, so that a connection error never counts as an expected one.
    pub(super) fn connect(
        file: &'e TestFile,
        engine: &'e dyn Engine,
        options: &'e Options,
        reporter: &'e dyn Reporter,
    ) -> Result<Self, EngineError> {
        let scratch = Scratch::default();
        let mut database = engine.open(&Script::of(file, scratch.clone()))?;
        let default = database.connect()?;
        let database_name = database.name();
        let mut watchdog = Watchdog::start(options);
        if let (Some(watchdog), Some(interrupter)) = (&mut watchdog, default.interrupter()) {
            watchdog.guard(interrupter);
        }
        Ok(Executor {
            dialect: file.dialect,
            together: None,
            default,
            named: HashMap::new(),
            database,
            rows: Rows::default(),
            comparison: Comparison::default(),
            rules: engine.rules(),
            labels: HashMap::default(),
            hash_threshold: 0,
            answered: None,
            bless: options.bless.is_some(),
            compares: options.reference.is_some(),
            kept: None,
            is_reference: false,
            whole: options.whole_texts,
            returned: options.returned.as_deref(),
            file: &file.name,
            variables: Variables::new(options.allow_env, database_name, scratch),
            watchdog,
            allow_system: options.allow_system,
            memory_limited: options.memory_limit.is_some(),
            out_of_memory: false,
            lost: None,
            engine: engine.name(),
            reporter,
        })
    }

    /// Marks this executor as the reference: it uses the rules of the judged engine, and does not run `system` commands,
    /// because they have run once.
    pub(super) fn serve_as_reference(&mut self, rules: Rules) {
        (self.rules, self.compares, self.is_reference) = (rules, true, true);
    }

    /// The engine's own name once it is connected.
    pub(super) fn name(&self) -> String {
        self.default.name().to_owned()
    }

    /// The time limit that was exceeded, if any.
    pub(super) fn timed_out(&self) -> Option<Duration> {
        self.watchdog.as_ref().and_then(Watchdog::exceeded)
    }

    /// Whether the user wants the script to end.
    pub(super) fn is_interrupted(&self) -> bool {
        self.watchdog.as_ref().is_some_and(Watchdog::is_interrupted)
    }

    /// Whether the engine exceeded the memory limit.
    pub(super) fn out_of_memory(&self) -> bool {
        self.out_of_memory
    }

    /// Why the script cannot continue: a connection was lost, or its adapter panicked.
    pub(super) fn lost(&self) -> Option<CutShort> {
        self.lost
    }

    /// Whether the script must stop; if so, notes the reason in the tally.
    pub(super) fn is_over(&self, options: &Options, tally: &mut Tally<'_>) -> bool {
        tally.cut_short = match self.lost() {
            _ if self.timed_out().is_some() => Some(CutShort::TimedOut),
            _ if self.is_interrupted() => Some(CutShort::NotRun),
            _ if self.out_of_memory() => Some(CutShort::OutOfMemory),
            Some(why) => Some(why),
            None if options.fail_fast && tally.has_new_failure() => Some(CutShort::FirstFailure),
            None => None,
        };
        tally.cut_short.is_some() || InEngine::is_abandoned() || tally.role.comparing().is_some_and(Comparing::is_over)
    }

    /// The rows that the last request returned.
    pub(super) fn rows(&self) -> &Rows {
        &self.rows
    }

    /// Keeps the script's database, and says where it is.
    pub(super) fn keep(&mut self) -> Option<String> {
        self.database.keep()
    }

    /// Lets the engine check the state that the script leaves, on each of its connections. A complaint fails the script.
    pub(super) fn after_script(&mut self, tally: &mut Tally<'_>) {
        let _in_engine = InEngine::reenter();
        for session in std::iter::once(&mut self.default).chain(self.named.values_mut()) {
            let message = match panics::catch(|| session.after_script()) {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => format!("after the last record: {error}"),
                Err(panic) => {
                    tally.cut_short = Some(CutShort::Panicked);
                    format!("the check after the last record panicked{panic}")
                }
            };
            (tally.line, tally.included) = (0, None);
            return tally.fail_unasked(Failure { message, ..tally.here() });
        }
    }

    /// Runs a record and records its result.
    pub(super) fn execute(&mut self, record: &Record<'a>, tally: &mut Tally<'_>) {
        self.perform(record, tally, &mut |executor, record, tally| executor.step(record, tally));
    }

    /// Runs a record by `step`, within the time limits, and records its result.
    pub(super) fn perform<'r>(
        &mut self,
        record: &Record<'r>,
        tally: &mut Tally<'_>,
        step: &mut impl FnMut(&mut Self, &Record<'r>, &mut Tally<'_>) -> Result<(), Complaint>,
    ) {
        let (attempts, pause) = record.retry.unwrap_or((1, Duration::ZERO));
        for attempt in 1..=attempts {
            if attempt > 1 {
                self.sleep(pause, tally);
            }
            let pausing = attempt > 1 && (self.timed_out().is_some() || self.is_interrupted());
            if let Some(watchdog) = &self.watchdog {
                watchdog.begin();
            }
            // If a limit expired during a pause, nothing more is sent to the engine.
            let result = if pausing { Ok(()) } else { step(self, record, tally) };
            if let Some(watchdog) = &self.watchdog {
                watchdog.end();
            }
            let complaint = match (self.timed_out(), result) {
                // After a time limit, the result comes from the interrupt, or is too late.
                (Some(limit), _) => Complaint::from(format!(
                    "still {} when the time limit of {} s was over",
                    self.busy(pausing, &record.step),
                    limit.as_secs_f64()
                )),
                // The same holds after an interrupt, which says nothing about the record.
                (None, _) if self.is_interrupted() => return self.interrupted(pausing, record, tally),
                (None, _) if self.out_of_memory => {
                    Complaint::from("the engine wanted more memory than it may have".to_owned())
                }
                // A record that only prepares for another one is not judged, unless it ends the script.
                (None, result)
                    if tally.is_before() && self.lost.is_none() && (result.is_ok() || attempt == attempts) =>
                {
                    return tally.ran_before(record, result.err().map(|complaint| complaint.message));
                }
                (None, Ok(())) => {
                    if tally.blessings.is_some()
                        && let Some(failure) = tally.filled(record)
                    {
                        return tally.ended(record, Ending::Corrected(&failure));
                    }
                    tally.pass(record);
                    if self.compares {
                        self.compare(record, None, tally);
                    }
                    if let Some(blessings) = &mut tally.blessings {
                        blessings.passed(record);
                    }
                    return tally.ended(record, Ending::Passed);
                }
                (None, Err(_)) if attempt < attempts && self.lost.is_none() => continue,
                (None, Err(complaint)) => complaint,
            };
            return self.complain(record, complaint, tally);
        }
    }

    fn step(&mut self, record: &Record<'a>, tally: &mut Tally<'_>) -> Result<(), Complaint> {
        match &record.step {
            Step::Statement { sql, expect } => {
                let result = self.run(record, sql, None, tally)?;
                self.judge_statement(expect, result)
            }
            Step::Query { sql, letters, sort, label, expect } => {
                let result = self.run(record, sql, Some(letters), tally)?;
                self.judge_query(expect, letters, *sort, result).inspect_err(|complaint| {
                    if complaint.panicked {
                        self.lost = Some(CutShort::Panicked);
                    }
                })?;
                match label {
                    Some(label) => self.judge_label(label.clone(), record.line),
                    None => Ok(()),
                }
            }
            Step::Let { variables, sql } => {
                let result = self.run(record, sql.as_bytes(), None, tally)?;
                result.map_err(|error| format!("`let` failed: {error}"))?;
                self.bind(variables)
            }
            Step::System { command, stdout } => {
                if self.is_reference {
                    return Ok(());
                }
                tally.announce(record.line, command.as_bytes());
                let _in_command = InEngine::enter(tally.file(), record.line, command.as_bytes());
                if !self.allow_system {
                    let message = "`system` runs a command, which a test file may do only with `--allow-system`";
                    return Err(message.to_owned().into());
                }
                let command = match record.substitute {
                    true => self.variables.replace_known(command)?,
                    false => command.clone(),
                };
                let printed = system::run(&command, self.watchdog.as_ref().and_then(Watchdog::left))?;
                match stdout {
                    Some(expected) if expected.as_bytes() != printed => Err(Complaint {
                        message: "the command printed something else".to_owned(),
                        results: Some(Results::Texts(Box::new(Texts {
                            expected: expected.split('\n').map(str::to_owned).collect(),
                            actual: answer::shown(&printed, false, false).split('\n').map(str::to_owned).collect(),
                            compared: None,
                            shape: Shape::Text,
                            sorted: false,
                            returned: None,
                        }))),
                        ..Complaint::from(String::new())
                    }),
                    _ => Ok(()),
                }
            }
            Step::Sleep(duration) => {
                self.sleep(*duration, tally);
                Ok(())
            }
            Step::HashThreshold(threshold) => {
                self.hash_threshold = *threshold;
                Ok(())
            }
            Step::Skip | Step::Halt | Step::Other => Ok(()),
        }
    }

    /// What the script was doing when a limit was exceeded.
    fn busy(&self, pausing: bool, step: &Step<'_>) -> String {
        match step {
            _ if pausing => "waiting to try the record again".to_owned(),
            Step::Sleep(_) => "sleeping (a `sleep` record)".to_owned(),
            Step::System { .. } => "running a command (a `system` record)".to_owned(),
            _ => format!("running in {}", self.engine),
        }
    }

    /// Waits this long, but at most until the next time limit.
    pub(super) fn sleep(&mut self, duration: Duration, tally: &Tally<'_>) {
        let left = self.watchdog.as_ref().and_then(Watchdog::left).unwrap_or(duration);
        // The trial can be abandoned meanwhile, as if the engine were busy.
        let _in_engine = InEngine::enter(tally.file(), tally.line, b"").in_pass(&tally.pass);
        self.default.sleep(duration.min(left));
    }

    /// Runs SQL. The outer error is the harness's, the inner one the engine's.
    pub(super) fn run(
        &mut self,
        record: &Record<'_>,
        sql: &[u8],
        letters: Option<&[u8]>,
        tally: &mut Tally<'_>,
    ) -> Result<Result<Done, EngineError>, Complaint> {
        let what = if letters.is_some() { "query" } else { "statement" };
        if let Some(result) = self.answered.take() {
            return self.settle(what, result);
        }
        let substituted = match record.substitute {
            true => {
                let sql = std::str::from_utf8(sql).map_err(|_| "the SQL is not UTF-8".to_owned())?;
                match self.variables.replace(sql) {
                    Ok(sql) => Some(sql),
                    // `statement error` alone does not expect this error: nothing is sent to the engine.
                    Err(error) if record.step.names_error(&error.as_crate) => {
                        return Ok(Err(EngineError::new(error.as_crate)));
                    }
                    Err(error) => return Err(error.message.into()),
                }
            }
            false => None,
        };
        if let Some(folder) = self.variables.new_folder() {
            self.database.scratch(folder);
        }
        let sql = substituted.as_ref().map_or(sql, |text| text.as_bytes());
        let file = tally.included.as_deref().unwrap_or(&tally.shown);
        tally.announce(record.line, sql);
        let in_engine = InEngine::enter(file, record.line, sql).in_pass(&record.pass);
        let session = match &record.connection {
            None => &mut self.default,
            Some(name) => match self.named.entry(name.clone()) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => {
                    let session = self
                        .database
                        .connect_as(name)
                        .map_err(|error| format!("cannot connect to {} as `{name}`: {error}", self.engine))?;
                    if let (Some(watchdog), Some(interrupter)) = (&mut self.watchdog, session.interrupter()) {
                        watchdog.guard(interrupter);
                    }
                    entry.insert(session)
                }
            },
        };
        if memchr::memchr(0, sql).is_some() {
            return Err(format!("{what} failed: the SQL holds a NUL byte").into());
        }
        self.rows.clear();
        let rows = &mut self.rows;
        let request = Request { sql, letters, dialect: self.dialect };
        let clock = Instant::now();
        // Caught here, where the record is known, so that no session is dropped during a panic.
        let result = panics::catch(|| session.run(request, rows));
        tally.engine += clock.elapsed();
        drop(in_engine);
        let result = result.map_err(|panic| {
            self.lost = Some(CutShort::Panicked);
            Complaint::from(format!("the engine's adapter panicked{panic}"))
        })?;
        self.settle(what, result)
    }

    /// Sorts out the result of a request: the outer error is the harness's, the inner one the engine's.
    fn settle(
        &mut self,
        what: &str,
        result: Result<Done, EngineError>,
    ) -> Result<Result<Done, EngineError>, Complaint> {
        // Not an expected error: the limit says nothing about the SQL.
        self.out_of_memory |=
            self.memory_limited && matches!(&result, Err(error) if error.kind == ErrorKind::OutOfMemory);
        match result {
            // Not an expected error either: the record did not run.
            Err(error) if error.kind == ErrorKind::Lost => {
                self.lost = Some(CutShort::ConnectionLost);
                Err(format!("the connection to {} is lost: {error}", self.engine).into())
            }
            Err(error) if error.kind == ErrorKind::Refused => Err(format!("{what} failed: {error}").into()),
            result => Ok(result),
        }
    }
}
