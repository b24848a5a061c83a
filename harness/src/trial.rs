//! One script on one engine: run every record, judge it, go on.
//!
//! The only place where a verdict on SQL is made; [`libtest`](crate::libtest) and [`worker`](crate::worker) are two doors
//! to [`run`]. Knows nothing of queues, other files or reports.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::crash::InEngine;
use crate::engine::Engine;
use crate::known::{Expectation, Judge};
use crate::outcome::{CutShort, Failure, MAX_FAILED_RECORDS, MAX_FAILURES, Outcome, RecordCounts, RecordId, Verdict};
use crate::script::{Dialect, Labels, Record, Step, SyntaxError, classic, content, slt, source};
use crate::suite::{TestFile, shown};

mod answer;
mod apart;
mod bless;
mod diff;
mod duckdb;
mod execute;
mod system;
mod variables;
mod watchdog;

pub(crate) use apart::{INTERRUPTED, left_threads_behind, run_apart};
pub use bless::Bless;
use bless::{Blessings, Conclusion};
use execute::Executor;

/// What a trial may do and how long it may take.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Stop at the first record that fails and is not known to.
    pub fail_fast: bool,
    /// How long one script may take.
    pub file_timeout: Option<Duration>,
    /// How long one record may take.
    pub query_timeout: Option<Duration>,
    /// Run the commands of `system` records.
    pub allow_system: bool,
    /// Let `control substitution on` see environment variables.
    pub allow_env: bool,
    /// How much memory this process may have, in bytes, if that is limited; an engine that wants more ends its script.
    pub memory_limit: Option<u64>,
    /// Leave the database of a script that did not pass where it is.
    pub keep_database: bool,
    /// Rewrite what failing records expect.
    pub bless: Option<Bless>,
    /// Keep the texts of failures whole, however long they are.
    pub whole_texts: bool,
    /// Names by which conditions know the engine, besides its own.
    pub labels: Vec<String>,
    /// The list of known failures that outcomes are held against.
    pub known: Option<Arc<Judge>>,
}

/// A watch is told which record is about to run, so that a crash can be laid at its door.
pub trait Watch {
    /// Called before each record that runs: its file, its line, its SQL. Must cost next to nothing.
    fn running(&self, file: &str, line: u64, sql: &[u8]);

    /// Called after each record, those that were skipped included, with the file that it stands in.
    fn ended(&self, _file: &str, _record: &Record<'_>, _ending: Ending<'_>) {}

    /// Called for each failure that is not the end of a record: of the script as a whole, or of its rewriting.
    fn failed(&self, _failure: &Failure) {}

    /// Called when the script's database is left where it is, with its name.
    fn kept(&self, _database: &str) {}
}

/// How a record ended.
#[derive(Debug, Clone, Copy)]
pub enum Ending<'f> {
    /// It did what the script says, or had nothing to do.
    Passed,
    /// Its conditions exclude this engine.
    Skipped,
    /// It did not do what the script says.
    Failed(&'f Failure),
    /// It did not, and the script is to say otherwise (`--bless`).
    Corrected(&'f Failure),
}

/// Watches nothing.
impl Watch for () {
    fn running(&self, _: &str, _: u64, _: &[u8]) {}
}

/// Runs one script on a fresh database of `engine`.
///
/// Never panics on behalf of the engine or the file: whatever goes wrong is in the outcome, with its place.
pub fn run(file: &TestFile, engine: &dyn Engine, options: &Options, watch: &dyn Watch) -> Outcome {
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let clock = Instant::now();
    let blessings = options.bless.map(|bless| Blessings::new(bless, file));
    let expectation = options.known.as_ref().and_then(|judge| judge.expectation(&file.name));
    let mut tally = Tally { blessings, expectation, ..Tally::new(&file.path, watch) };
    let verdict = catch_unwind(AssertUnwindSafe(|| script(file, engine, options, watch, &mut tally)));
    let verdict = verdict.unwrap_or_else(|panic| {
        let message = format!("the engine's adapter panicked: {}", words(&*panic));
        tally.cut_short = Some(CutShort::Panicked);
        tally.fail_unasked(Failure { message, ..tally.here() });
        tally.conclude();
        Verdict::Failed
    });
    let whole = tally.cut_short.is_none() && tally.halted.is_none() && tally.records.skipped == 0;
    let passing_pins = tally.expectation.as_ref().map(|expectation| expectation.passing(whole)).unwrap_or_default();
    let outcome = Outcome {
        rewritten: tally.rewritten,
        rewritable: tally.rewritable,
        records: tally.records,
        failures: tally.failures,
        failed_records: tally.failed_records,
        cut_short: tally.cut_short,
        passing_pins,
        wall_us: micros(clock.elapsed()),
        engine_us: micros(tally.engine),
        started_us: micros(started),
        ..Outcome::new(&file.name, verdict)
    };
    let outcome = Outcome { cut_short: outcome.why_cut_short(), ..outcome };
    match &options.known {
        Some(judge) => judge.judge(outcome),
        None => outcome,
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// What a panic said.
fn words(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("(without a message)")
}

/// A tally is what a trial has come to so far, and where it is; it outlives a panic.
struct Tally<'f> {
    watch: &'f dyn Watch,
    blessings: Option<Blessings>,
    rewritten: u64,
    rewritable: u64,
    records: RecordCounts,
    failures: Vec<Failure>,
    failed_records: Vec<RecordId>,
    /// What the list of known failures says of the script, if it is listed.
    expectation: Option<Expectation<'f>>,
    /// Why the script does not run to its end.
    cut_short: Option<CutShort>,
    /// The line of the `halt` that it ended with.
    halted: Option<u64>,
    engine: Duration,
    shown: Cow<'f, str>,
    included: Option<std::sync::Arc<str>>,
    line: u64,
    sql: String,
}

impl<'f> Tally<'f> {
    fn new(path: &'f Path, watch: &'f dyn Watch) -> Self {
        Tally {
            watch,
            blessings: None,
            rewritten: 0,
            rewritable: 0,
            records: RecordCounts::default(),
            failures: Vec::new(),
            failed_records: Vec::new(),
            expectation: None,
            cut_short: None,
            halted: None,
            engine: Duration::ZERO,
            shown: shown(path),
            included: None,
            line: 0,
            sql: String::new(),
        }
    }

    fn at(&mut self, record: &Record<'_>) {
        self.line = record.line;
        if self.included != record.included_from {
            self.included.clone_from(&record.included_from);
        }
    }

    /// Tells the watch how a record ended that is not the present one.
    fn ended(&self, record: &Record<'_>, ending: Ending<'_>) {
        self.watch.ended(record.included_from.as_deref().unwrap_or(&self.shown), record, ending);
    }

    fn file(&self) -> &str {
        self.included.as_deref().unwrap_or(&self.shown)
    }

    /// A failure at the present record, still without words.
    fn here(&self) -> Failure {
        Failure {
            file: self.file().to_owned(),
            line: self.line,
            message: String::new(),
            sql: self.sql.clone(),
            expected: None,
            actual: None,
            diff: String::new(),
        }
    }

    /// Enters a failure of the record with this text; what has no text is known by what is wrong with it.
    fn fail(&mut self, failure: Failure, text: &[u8]) {
        let text = if text.is_empty() { failure.message.as_bytes() } else { text };
        let id = RecordId::new(text, failure.line);
        self.count_failed(vec![id]);
        if self.failures.len() < MAX_FAILURES {
            self.failures.push(failure);
        }
    }

    fn count_failed(&mut self, records: Vec<RecordId>) {
        self.records.failed += records.len() as u64;
        if let Some(expectation) = &mut self.expectation {
            records.iter().for_each(|record| expectation.failed(record));
        }
        let room = MAX_FAILED_RECORDS.saturating_sub(self.failed_records.len());
        self.failed_records.extend(records.into_iter().take(room));
    }

    /// A record did what the script says.
    fn pass(&mut self, record: &Record<'_>) {
        self.records.passed += u64::from(record.step.counts());
        if let Some(expectation) = &mut self.expectation {
            expectation.passed(record.step.text(), record.line);
        }
    }

    /// Whether something has failed that is not known to.
    fn has_new_failure(&self) -> bool {
        match &self.expectation {
            Some(expectation) => expectation.has_new_failure(),
            None => self.records.failed > 0,
        }
    }

    /// Enters a failure that is not the end of a record.
    fn fail_unasked(&mut self, failure: Failure) {
        let failure = match self.blessings {
            Some(_) => bless::refused(failure, "only what a statement or a query returns can be written down"),
            None => failure,
        };
        self.watch.failed(&failure);
        let text = failure.sql.clone();
        self.fail(failure, text.as_bytes());
    }

    /// Rewrites what is to be rewritten, and enters what became of it.
    fn conclude(&mut self) {
        let mut shown: Option<Failure> = None;
        for conclusion in self.blessings.take().into_iter().flat_map(Blessings::conclude) {
            match conclusion {
                Conclusion::Rewritten(records) => {
                    self.rewritten += records.len() as u64;
                    self.records.passed += records.len() as u64;
                    if let Some(expectation) = &mut self.expectation {
                        records.into_iter().for_each(|record| expectation.passed_record(record));
                    }
                }
                Conclusion::Rewritable(records, failure) => {
                    self.rewritable += records.len() as u64;
                    self.count_failed(records);
                    match &mut shown {
                        None => shown = Some(failure),
                        Some(shown) => shown.diff = format!("{}\n{}", shown.diff, failure.diff),
                    }
                }
                Conclusion::Failing(records, failures) => {
                    self.count_failed(records);
                    failures.iter().for_each(|failure| self.watch.failed(failure));
                    self.failures.extend(failures);
                }
            }
        }
        if let Some(mut failure) = shown {
            let records = if self.rewritable == 1 { "record" } else { "records" };
            failure.message = format!("{} {records} would be rewritten", self.rewritable);
            self.watch.failed(&failure);
            self.failures.insert(0, failure);
        }
        self.failures.truncate(MAX_FAILURES);
    }

    /// The script as a whole is at fault, or a rule of its format broken.
    fn fail_script(&mut self, error: SyntaxError, why: CutShort) {
        self.cut_short = Some(why);
        let file = error
            .included_from
            .as_deref()
            .map_or_else(|| self.shown.to_string(), |path| shown(Path::new(path)).into_owned());
        self.sql.clear();
        // A file that cannot be parsed may be one that was never meant to be shown.
        let message = match why {
            CutShort::SyntaxError => diff::shorten(error.message, LONGEST_SYNTAX_ERROR),
            _ => error.message,
        };
        self.fail_unasked(Failure { file, line: error.line, message, ..self.here() });
    }
}

/// How much of the message of a syntax error is shown, in bytes.
const LONGEST_SYNTAX_ERROR: usize = 400;

fn script(
    file: &TestFile,
    engine: &dyn Engine,
    options: &Options,
    watch: &dyn Watch,
    tally: &mut Tally<'_>,
) -> Verdict {
    let whole = |message: String| SyntaxError::new(0, message);
    let text = match source::read(&file.path) {
        Ok(text) => text,
        Err(error) => {
            tally.fail_script(whole(format!("cannot read this file: {error}")), CutShort::Unreadable);
            return Verdict::Failed;
        }
    };
    if !content::is_as_planned(file, &text) {
        // Copies are compared before anybody takes part. No other machine is to be trusted with the name alone, and what
        // was planned may be nowhere any more.
        let host = rustix::system::uname();
        let host = host.nodename().to_string_lossy();
        let message = format!("not the file that was planned: the copy on `{host}` has changed since the run began");
        tally.fail_script(whole(message), CutShort::Unreadable);
        return Verdict::Failed;
    }
    let connecting = InEngine::enter(&tally.shown, 0, b"");
    let connected = Executor::connect(file, engine, options, watch);
    drop(connecting);
    let mut executor = match connected {
        Ok(executor) => executor,
        Err(error) => {
            let message = format!("cannot connect to {}: {error}", engine.name());
            tally.fail_script(whole(message), CutShort::NoConnection);
            return Verdict::Failed;
        }
    };
    let names = std::iter::once(executor.name()).chain(engine.labels()).chain(options.labels.iter().cloned());
    let labels = Labels::new(names);
    if let Some(blessings) = &mut tally.blessings {
        blessings.for_engine(&labels);
    }
    let mut left_out = None;
    match file.dialect {
        Dialect::DuckDb => left_out = duckdb::run(file, &text, &labels, &mut executor, options, tally),
        Dialect::Classic => records(classic::Parser::new(&text, &labels), &mut executor, options, tally),
        Dialect::Slt => {
            match slt::parse_in_time(&text, &labels, &file.path, &file.root, &|| executor.timed_out().is_some()) {
                Ok(parsed) => {
                    if let Some(blessings) = &mut tally.blessings {
                        blessings.foresee(&parsed);
                    }
                    records(parsed.into_iter().map(Ok), &mut executor, options, tally)
                }
                Err(error) => records(std::iter::once(Err(error)), &mut executor, options, tally),
            }
        }
    }
    if InEngine::is_abandoned() {
        // Its verdict is made already, and no file is to be rewritten behind the back of a run that may be over.
        return Verdict::Failed;
    }
    tally.conclude();
    let RecordCounts { passed, failed, skipped } = tally.records;
    let verdict = match executor.timed_out() {
        Some(limit) => Verdict::TimedOut { limit_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX) },
        None if executor.out_of_memory() => {
            Verdict::OutOfMemory { limit_bytes: options.memory_limit.unwrap_or_default() }
        }
        None if failed > 0 => Verdict::Failed,
        // What ran before has passed, but most of the file has not been looked at.
        None if left_out.is_some() => Verdict::Ignored { reason: left_out.unwrap_or_default() },
        None if passed > 0 => Verdict::Passed,
        None if skipped > 0 => {
            Verdict::Ignored { reason: format!("0 of {skipped} records apply to {}", labels.name()) }
        }
        None => match tally.halted {
            Some(line) => Verdict::Ignored { reason: format!("it halts in line {line}, before any record") },
            None => Verdict::Ignored { reason: "it holds no records".to_owned() },
        },
    };
    if options.keep_database && verdict.is_failure() {
        let kept = executor.keep();
        kept.iter().for_each(|kept| tally.watch.kept(kept));
        match (kept, tally.failures.last_mut()) {
            (Some(kept), Some(failure)) => failure.message.push_str(&format!("\nkept the {kept} for you to look at")),
            (Some(kept), None) => note!("{}: kept the {kept} for you to look at", tally.shown),
            (None, _) => {}
        }
    }
    // An engine may hang while a connection is closed, too.
    let _closing = InEngine::again();
    drop(executor);
    verdict
}

/// Runs records to the end of the script, a `halt`, whatever cuts it short or, on demand, a failure that is new.
fn records<'a>(
    records: impl Iterator<Item = Result<Record<'a>, SyntaxError>>,
    executor: &mut Executor<'_, 'a>,
    options: &Options,
    tally: &mut Tally<'_>,
) {
    for record in records {
        let record = match record {
            Ok(record) => record,
            Err(error) => return tally.fail_script(error, CutShort::SyntaxError),
        };
        match record.step {
            Step::Skip => {
                tally.records.skipped += 1;
                let file = record.included_from.as_deref().unwrap_or(&tally.shown);
                tally.watch.ended(file, &record, Ending::Skipped);
            }
            Step::Halt => {
                tally.halted = Some(record.line);
                return;
            }
            _ => {
                tally.at(&record);
                executor.execute(record, tally);
                if executor.is_over(options, tally) {
                    return;
                }
            }
        }
    }
}
