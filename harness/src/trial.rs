//! Runs one script on one engine: runs and judges every record.
//!
//! The only place where a verdict on SQL is made; [`libtest`](crate::libtest) and [`worker`](crate::worker) both call [`run`].
//! This module does not depend on queues, other files or reports.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::crash::InEngine;
use crate::dialect::comparison as answer;
use crate::diff;
use crate::engine::{Engine, ErrorKind};
use crate::event::{Event, Reporter};
use crate::known::Judge;
use crate::outcome::{CutShort, Failure, Outcome, RecordCounts, Verdict};
use crate::script::{Labels, SyntaxError, source};
use crate::suite::{TestFile, content};

mod apart;
mod bless;
mod compare;
mod excerpt;
mod execute;
#[cfg(all(test, feature = "sqlite"))]
mod new_dialect;
mod once;
mod panics;
mod reference;
mod returned;
mod stage;
mod system;
mod tally;
mod trace;
mod turns;
mod variables;
mod watchdog;

pub use crate::dialect::Tags;
pub(crate) use apart::{INTERRUPTED, left_threads_behind};
use bless::Blessings;
#[cfg(feature = "commands")]
pub(crate) use bless::review;
pub use bless::{Bless, Fill, How};
pub(crate) use compare::run_compared;
use excerpt::Excerpted;
use execute::Executor;
pub use reference::Reference;
use stage::Running;
use tally::Tally;
use trace::Role;
#[cfg(feature = "commands")]
pub(crate) use turns::without_those_before;

/// The permissions, settings and time limits of a trial.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Stop at the first new failure.
    pub fail_fast: bool,
    /// The time limit for a script.
    pub file_timeout: Option<Duration>,
    /// The time limit for a record.
    pub query_timeout: Option<Duration>,
    /// How often the user has asked this process to end, if that interrupts the engine and ends the script.
    pub interrupts: Option<Arc<AtomicUsize>>,
    /// Run the commands of `system` records.
    pub allow_system: bool,
    /// Let `control substitution on` see environment variables.
    pub allow_env: bool,
    /// The memory limit of this process in bytes, if any; an engine that exceeds it ends its script.
    pub memory_limit: Option<u64>,
    /// Keep the database of a script that did not pass.
    pub keep_database: bool,
    /// Rewrite the expectations of failing records.
    pub bless: Option<Bless>,
    /// Keep the full texts of failures, however long.
    pub whole_texts: bool,
    /// The folder for files that hold all values of a result, if the script lists only a hash of it.
    pub returned: Option<PathBuf>,
    /// Names that conditions accept for the engine, besides its own.
    pub labels: Vec<String>,
    /// How many records one script of DuckDB's dialect may run. A record in a loop counts each time that it runs. `None` means
    /// ten million.
    pub max_records: Option<u64>,
    /// Accept what DuckDB's own runner accepts.
    pub lenient: bool,
    /// Which scripts run, by their tags.
    pub tags: Tags,
    /// The list of known failures to check outcomes against.
    pub known: Option<Arc<Judge>>,
    /// An engine that results are compared with. It changes no verdict.
    pub reference: Option<Reference>,
}

/// Runs one script on a fresh database of `engine`. Does not run it on a reference.
///
/// Never panics because of the engine or the file: every error is in the outcome, with its position.
pub fn run(file: &TestFile, engine: &dyn Engine, options: &Options, reporter: &dyn Reporter) -> Outcome {
    run_as(file, engine, options, reporter, Role::Plain).0
}

fn run_as(
    file: &TestFile,
    engine: &dyn Engine,
    options: &Options,
    reporter: &dyn Reporter,
    role: Role,
) -> (Outcome, Role) {
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let clock = Instant::now();
    let blessings = options.bless.map(|bless| Blessings::new(bless, file));
    let expectation = options.known.as_ref().and_then(|judge| judge.expectation(&file.name));
    let excerpted = file.excerpt.clone().map(Excerpted::new);
    let mut tally = Tally { blessings, expectation, excerpted, role, ..Tally::new(&file.path, reporter) };
    let verdict = panics::catch(|| script(file, engine, options, reporter, &mut tally));
    let verdict = verdict.unwrap_or_else(|panic| {
        let message = format!("the engine's adapter panicked{panic}");
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
        engine: tally.called,
        content: tally.content,
        wall_us: micros(clock.elapsed()),
        engine_us: micros(tally.engine),
        started_us: micros(started),
        ..Outcome::new(&file.name, verdict)
    };
    let outcome = Outcome { cut_short: outcome.why_cut_short(), ..outcome };
    let outcome = match &options.known {
        Some(judge) => judge.judge(outcome),
        None => outcome,
    };
    (outcome, tally.role)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn script(
    file: &TestFile,
    engine: &dyn Engine,
    options: &Options,
    reporter: &dyn Reporter,
    tally: &mut Tally<'_>,
) -> Verdict {
    if let Some(reason) = &file.excluded {
        return Verdict::Ignored { reason: reason.to_string() };
    }
    let whole = |message: String| SyntaxError::new(0, message);
    let text = match source::read(&file.path) {
        Ok(text) => text,
        Err(error) => {
            tally.fail_script(whole(format!("cannot read this file: {error}")), CutShort::Unreadable);
            return Verdict::Failed;
        }
    };
    let Ok(held) = content::held(file, &text) else {
        // Copies on several machines are compared before a process joins. This check is still needed: a name alone does not
        // identify the content on another machine, and the planned content may no longer exist anywhere.
        let host = rustix::system::uname();
        let host = host.nodename().to_string_lossy();
        let message = format!("not the file that was planned: the copy on `{host}` has changed since the run began");
        tally.fail_script(whole(message), CutShort::Unreadable);
        return Verdict::Failed;
    };
    tally.content = held;
    let text = match &mut tally.blessings {
        Some(blessings) => blessings.prepare(text),
        None => text,
    };
    let connecting = InEngine::enter(&tally.shown, 0, b"");
    let connected = Executor::connect(file, engine, options, reporter);
    drop(connecting);
    let mut executor = match connected {
        Ok(executor) => executor,
        // The engine's author chose to skip this script.
        Err(error) if error.kind == ErrorKind::Skip => return Verdict::Ignored { reason: error.message },
        Err(error) => {
            let message = format!("cannot connect to {}: {error}", engine.name());
            tally.fail_script(whole(message), CutShort::NoConnection);
            return Verdict::Failed;
        }
    };
    if engine.labels().is_empty() {
        tally.called = executor.name();
    }
    let labels = match &mut tally.role {
        // The reference runs the same records as the judged engine.
        Role::Comparing(comparing) => {
            executor.serve_as_reference(comparing.trace.rules());
            comparing.trace.labels.clone()
        }
        role => {
            let names = std::iter::once(executor.name()).chain(engine.labels()).chain(options.labels.iter().cloned());
            let labels = Labels::new(names);
            if let Role::Traced(trace) = role {
                trace.labels = labels.clone();
            }
            labels
        }
    };
    if let Some(blessings) = &mut tally.blessings {
        blessings.for_engine(&labels);
    }
    if let Some(excerpted) = &mut tally.excerpted {
        excerpted.read(&text, file.dialect);
    }
    let mut running = Running { executor: &mut executor, tally, options };
    let left_out = file.dialect.definition().run(&file.into(), &text, &labels, &mut running);
    if InEngine::is_abandoned() {
        // The verdict has already been made, and no file may be rewritten when the run may be over.
        return Verdict::Failed;
    }
    if let Some(error) = tally.excerpted.as_ref().and_then(|excerpted| excerpted.missing(tally.is_cut_short())) {
        tally.fail_script(error, CutShort::Unreadable);
    }
    let is_interrupted = tally.cut_short == Some(CutShort::NotRun);
    if is_interrupted {
        // No file is rewritten for the same reason.
        tally.blessings = None;
    }
    tally.conclude();
    let is_whole =
        tally.cut_short.is_none() && left_out.is_none() && tally.records.failed == 0 && tally.records.passed > 0;
    // The state after one record is not the state after the whole script.
    if is_whole && file.excerpt.is_none() {
        executor.after_script(tally);
    }
    let RecordCounts { passed, failed, skipped } = tally.records;
    let verdict = match executor.timed_out() {
        Some(limit) => Verdict::TimedOut { limit_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX) },
        None if executor.out_of_memory() => {
            Verdict::OutOfMemory { limit_bytes: options.memory_limit.unwrap_or_default() }
        }
        None if failed > 0 => Verdict::Failed,
        None if is_interrupted => Verdict::NotRun { reason: INTERRUPTED.to_owned() },
        // The records that ran have passed, but most of the file was not checked.
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
        kept.iter().for_each(|kept| tally.reporter.report(Event::DatabaseKept(kept)));
        match (kept, tally.failures.last_mut()) {
            (Some(kept), Some(failure)) => failure.message.push_str(&format!("\nkept the {kept} for you to look at")),
            (Some(kept), None) => note!("{}: kept the {kept} for you to look at", tally.shown),
            (None, _) => {}
        }
    }
    // An engine may also hang while a connection is closed.
    let _closing = InEngine::reenter();
    drop(executor);
    verdict
}
