//! A worker claims, runs and finishes files until nothing is left to claim.
//!
//! Each process that takes part in a run has one worker, whether a user or a supervisor started it.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::engine::Engine;
use crate::event::{Event, Reporter, TrialId};
use crate::known::Judge;
use crate::outcome::{Attempt, CutShort, Failure, Outcome, RecordCounts, RecordId, Verdict};
use crate::process::{Interruption, PeakMemory};
use crate::queue::{Claim, EntryState, Lease, Live, Lost, Queue, QueueError};
use crate::suite::{Suite, SuiteError, TestFile};
use crate::trial::{self, Options};

mod room;

pub use room::{Needs, Room};

/// How often a trial that did not pass is retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Retries after an attempt that failed or timed out.
    pub retries: u32,
    /// Retries after an attempt that crashed its process.
    pub crash_retries: u32,
}

/// The settings that a worker needs to run what it claims.
pub struct Job<'j> {
    /// Finds files by name.
    pub suite: &'j Suite,
    /// The engine.
    pub engine: &'j Arc<dyn Engine>,
    /// What a trial may do.
    pub options: &'j Options,
    /// How often a trial is retried.
    pub policy: Policy,
    /// When to stop claiming.
    pub deadline: Option<Instant>,
    /// Where the worker waits for memory before a file starts.
    pub room: Option<&'j Room>,
    /// Whether a supervisor started this worker. If not, the worker settles the files of ended workers itself, and reports
    /// what it waits for. A supervisor does this better, because it knows how the workers ended.
    pub is_supervised: bool,
    /// Whether each trial has its own thread, which is abandoned if the engine does not return. A supervisor kills the
    /// process instead, and a process with a single thread is faster.
    pub apart: bool,
    /// Ctrl-C, if this process listens for it. After the first, no more files are claimed; later, a trial with its own thread
    /// is abandoned.
    pub interruption: Option<&'j Interruption>,
    /// The output of the trial that has just ended; empty if it is not kept.
    pub output: &'j dyn Fn() -> String,
}

/// How a worker's work ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Every entry of the plan has its outcome.
    Complete,
    /// Entries remain without an outcome, for this reason.
    Stopped(String),
}

/// The reason for stopping when the time budget is used up.
pub const TIME_BUDGET: &str = "time budget";

/// The reason for stopping after a failure (`--fail-fast`).
pub const EARLIER_FAILURE: &str = "an earlier failure";

/// How long a worker without a supervisor finds nothing to claim before it reports what it waits for.
const PATIENCE: Duration = Duration::from_secs(1);

/// The reason for stopping after Ctrl-C.
pub const INTERRUPTED: &str = trial::INTERRUPTED;

/// How long a worker with nothing to claim waits before it looks again. The wait grows up to twenty times this, or to
/// the queue's pace.
const PAUSE: Duration = Duration::from_millis(2);

/// Works until nothing is left to claim, the deadline has passed, or the run is stopped.
///
/// # Errors
/// The queue's; the last claimed entry is then lost and runs again.
pub fn work(queue: &mut dyn Queue, job: &Job<'_>, reporter: &dyn Reporter) -> Result<End, QueueError> {
    let mut pause = PAUSE;
    let mut memory = PeakMemory::new();
    // The next claim, if it was made together with the last outcome.
    let mut next = None;
    // Since when there has been nothing to claim, and whether that was reported.
    let mut waiting: Option<(Instant, bool)> = None;
    loop {
        let claim = match next.take() {
            Some(claim) => claim,
            None => match why_stop(job) {
                Some(why) => return Ok(End::Stopped(why)),
                None => queue.claim()?,
            },
        };
        match claim {
            Claim::Leased(lease) => {
                (pause, waiting) = (PAUSE, None);
                if let Some(why) = wait_for_room(queue, &lease, job)? {
                    queue.release(lease, &why)?;
                    return Ok(End::Stopped(why));
                }
                let outcome = run(queue, &lease, job, reporter, &mut memory);
                if let Some(room) = job.room {
                    room.leave(outcome.peak_bytes).unwrap_or_else(|error| no_room(&error));
                }
                if let Verdict::NotRun { reason } = outcome.verdict {
                    // The trial ended because this process ends, which shows nothing about the file: others may run it.
                    queue.release(lease, &reason)?;
                    return Ok(End::Stopped(reason));
                }
                next = hand_in(queue, lease, &outcome, job, reporter)?;
            }
            Claim::Complete => return Ok(End::Complete),
            Claim::Stopped { why } => return Ok(End::Stopped(why)),
            Claim::Wait => {
                if !job.is_supervised {
                    let (end, known) = (WorkerEnd::unknown(job.engine.name()), job.options.known.as_deref());
                    for lost in queue.lost()? {
                        let planned = queue.plan().content(lost.lease.entry()).map(str::to_owned);
                        if let Some(outcome) = settle(queue, lost, &end, job.policy, known)? {
                            announce(queue, &outcome, planned.as_deref(), job, reporter)?;
                        }
                    }
                    let (since, is_reported) = waiting.get_or_insert((Instant::now(), false));
                    if since.elapsed() > PATIENCE && !std::mem::replace(is_reported, true) {
                        report_waiting(queue, reporter)?;
                    }
                }
                thread::sleep(pause);
                pause = (pause * 2).min(queue.pace().max(PAUSE * 20));
            }
        }
    }
}

/// Reports the trials that other processes run while this one has nothing to claim.
fn report_waiting(queue: &mut dyn Queue, reporter: &dyn Reporter) -> Result<(), QueueError> {
    let snapshot = queue.snapshot()?;
    let entries = snapshot.plan.entries().iter().zip(&snapshot.entries);
    let leased = entries.filter(|(_, status)| matches!(status.state, EntryState::Leased { .. }));
    let running: Vec<TrialId<'_>> = leased.map(|(entry, _)| entry.trial()).collect();
    reporter.report(Event::Waiting { running: &running });
    Ok(())
}

/// Waits until there is room for a claimed file; then returns `None`. If no more files are to start, returns the reason.
fn wait_for_room(queue: &mut dyn Queue, lease: &Lease, job: &Job<'_>) -> Result<Option<String>, QueueError> {
    let Some(room) = job.room else { return Ok(None) };
    let [mut pause, most] = room::PAUSES;
    loop {
        match room.ask(lease.name()) {
            Ok(true) => return Ok(None),
            Ok(false) => {}
            Err(error) => {
                no_room(&error);
                return Ok(None);
            }
        }
        let stopped = || Ok::<_, QueueError>(queue.progress()?.is_stopped.then(|| STOPPED.to_owned()));
        if let Some(why) = why_stop(job).map_or_else(stopped, |why| Ok(Some(why)))? {
            room.leave(None).unwrap_or_else(|error| no_room(&error));
            return Ok(Some(why));
        }
        thread::sleep(pause);
        pause = (pause * 2).min(most);
    }
}

/// Prints a warning: the file cannot wait for memory, and runs without waiting.
fn no_room(error: &io::Error) {
    note!("warning: `--run-memory` has no effect for this file: {error}");
}

/// The reason for no longer waiting if another process has stopped the run.
const STOPPED: &str = "the run was stopped";

/// Why to stop claiming; `None` if the worker continues.
fn why_stop(job: &Job<'_>) -> Option<String> {
    let is_late = || job.deadline.is_some_and(|deadline| Instant::now() >= deadline);
    let is_interrupted = job.interruption.is_some_and(Interruption::is_asked_for);
    match is_interrupted {
        true => Some(INTERRUPTED.to_owned()),
        false => is_late().then(|| TIME_BUDGET.to_owned()),
    }
}

/// Reports an outcome. Unless the worker stops, claims the next entry in the same operation and returns the claim.
fn hand_in(
    queue: &mut dyn Queue,
    lease: Lease,
    outcome: &Outcome,
    job: &Job<'_>,
    reporter: &dyn Reporter,
) -> Result<Option<Claim>, QueueError> {
    let is_last = is_one_too_many(outcome, job) || why_stop(job).is_some();
    let planned = queue.plan().content(lease.entry()).map(str::to_owned);
    let next = match is_last {
        true => queue.finish(lease, outcome).map(|()| None)?,
        false => Some(queue.finish_and_claim(lease, outcome)?),
    };
    announce(queue, outcome, planned.as_deref(), job, reporter)?;
    Ok(next)
}

fn run(queue: &dyn Queue, lease: &Lease, job: &Job<'_>, reporter: &dyn Reporter, memory: &mut PeakMemory) -> Outcome {
    reporter.report(Event::TrialStarted { trial: TrialId { name: lease.name(), pass: lease.pass() }, worker: 0 });
    let first = lease.attempt();
    // A file that has started always finishes, so retries follow at once, under the same lease.
    let mut attempt = first;
    let mut earlier = Vec::new();
    let mut rewritten = 0;
    let mut outcome = loop {
        let outcome = match job.suite.find(lease.name()) {
            Ok(Some(file)) => {
                let planned = queue.plan().content(lease.entry()).map(str::to_owned);
                let file = TestFile { planned, ..file };
                memory.reset();
                let outcome = trial(queue, &file, (lease.pass(), attempt), job, reporter);
                Outcome { peak_bytes: memory.read(), ..outcome }
            }
            missing => vanished(lease.name(), missing),
        };
        rewritten += outcome.rewritten;
        if !outcome.verdict.is_failure() || attempt - first >= job.policy.retries {
            break outcome;
        }
        earlier.push(Attempt::from(Outcome { worker: queue.worker(), ..outcome }));
        attempt += 1;
    };
    (outcome.worker, outcome.attempt, outcome.pass) = (queue.worker(), attempt, lease.pass());
    outcome.earlier = earlier;
    outcome.rewritten = rewritten;
    if outcome.verdict == Verdict::Passed && attempt > 1 {
        outcome.verdict = Verdict::Flaky { attempt };
    }
    outcome
}

/// Whether an outcome is a failure after which no participant may claim any more.
fn is_one_too_many(outcome: &Outcome, job: &Job<'_>) -> bool {
    job.options.fail_fast && outcome.verdict.is_failure()
}

/// Announces an outcome of this worker, and stops the run if it is one failure too many.
fn announce(
    queue: &mut dyn Queue,
    outcome: &Outcome,
    planned: Option<&str>,
    job: &Job<'_>,
    reporter: &dyn Reporter,
) -> Result<(), QueueError> {
    reporter.report(Event::TrialEnded { outcome, planned });
    match is_one_too_many(outcome, job) {
        true => queue.stop(EARLIER_FAILURE),
        false => Ok(()),
    }
}

fn trial(
    queue: &dyn Queue,
    file: &TestFile,
    (pass, attempt): (u32, u32),
    job: &Job<'_>,
    reporter: &dyn Reporter,
) -> Outcome {
    reporter.report(Event::AttemptStarted { trial: TrialId { name: &file.name, pass }, attempt });
    let page = Arc::new(Page(queue.live()));
    page.0.begins();
    // A crash before the first record is attributed to the file.
    let path = file.path.to_string_lossy();
    page.report(Event::RecordStarted { file: &path, line: 0, pass: "", sql: b"", is_judged: true });
    // Clear the page after the verdict. As long as it is empty, the supervisor restarts the time limits of the file.
    let judged = || page.0.clear();
    let is_unwanted = || job.interruption.is_some_and(Interruption::is_over);
    let mut outcome =
        trial::run_compared(file, job.engine, job.options, page.clone(), job.apart, &is_unwanted, &judged);
    if outcome.verdict.is_failure() {
        outcome.output = (job.output)();
    }
    outcome
}

/// The outcome of a planned file that no longer exists.
fn vanished(name: &str, missing: Result<Option<TestFile>, SuiteError>) -> Outcome {
    let message = match missing {
        Err(error) => error.to_string(),
        Ok(_) => "cannot read this file: it was there when the run was planned, and is gone".to_owned(),
    };
    let failure = Failure { file: name.to_owned(), message, ..Failure::default() };
    Outcome { cut_short: Some(CutShort::Unreadable), ..failed(name, Verdict::Failed, failure) }
}

fn failed(name: &str, verdict: Verdict, failure: Failure) -> Outcome {
    // A failure without a record is identified by its message.
    let text = if failure.sql.is_empty() { &failure.message } else { &failure.sql };
    Outcome {
        failed_records: vec![RecordId::in_pass(text, failure.line, &failure.pass)],
        failures: vec![failure],
        records: RecordCounts { failed: 1, ..RecordCounts::default() },
        ..Outcome::new(name, verdict)
    }
}

/// The page where a queue keeps the running record.
struct Page(Live);

impl Reporter for Page {
    fn report(&self, event: Event<'_>) {
        let Event::RecordStarted { file, line, pass, sql, .. } = event else { return };
        let sql = match std::str::from_utf8(sql) {
            Ok(sql) => Cow::Borrowed(sql),
            Err(_) => String::from_utf8_lossy(sql),
        };
        self.0.running_in(file, line, pass, &sql);
    }
}

/// How a worker ended, as far as known.
#[derive(Debug, Clone)]
pub struct WorkerEnd<'e> {
    /// The engine's name in messages.
    pub engine: &'e str,
    /// The verdict on the trial that it was running.
    pub verdict: Verdict,
    /// Its output since that trial began.
    pub output: String,
    /// How long the trial had been running.
    pub ran_for: Duration,
}

impl<'e> WorkerEnd<'e> {
    /// The end of a worker that no supervisor started: almost nothing is known about it.
    pub fn unknown(engine: &'e str) -> Self {
        let how = "its process ended".to_owned();
        WorkerEnd { engine, verdict: Verdict::Crashed { how }, output: String::new(), ran_for: Duration::ZERO }
    }
}

/// Returns an ended worker's entry for another attempt, or gives its final outcome, checked against `known`. Returns that
/// outcome.
///
/// If a worker ended together with its supervisor, the supervisor's end is the cause and not the file: the attempt does not
/// count.
///
/// # Errors
/// The queue's.
pub fn settle(
    queue: &mut dyn Queue,
    lost: Lost,
    end: &WorkerEnd<'_>,
    policy: Policy,
    known: Option<&Judge>,
) -> Result<Option<Outcome>, QueueError> {
    let Lost { lease, worker, deaths, last, orphaned } = lost;
    if orphaned {
        queue.release(lease, "its supervisor ended")?;
        return Ok(None);
    }
    let again = match end.verdict {
        Verdict::Crashed { .. } => deaths <= policy.crash_retries,
        _ => lease.attempt() <= policy.retries,
    };
    let failure = Failure {
        message: match &end.verdict {
            Verdict::Crashed { how } => format!("the process that ran this record ended: {how}"),
            Verdict::TimedOut { .. } => format!("still running in {} when the time limit was over", end.engine),
            Verdict::OutOfMemory { .. } => "the process that ran this record ran out of memory".to_owned(),
            verdict => verdict.to_string(),
        },
        file: last.as_ref().map_or_else(|| lease.name().to_owned(), |running| running.file.clone()),
        line: last.as_ref().map_or(0, |running| running.line),
        pass: last.as_ref().map(|running| running.pass.clone()).unwrap_or_default(),
        sql: last.map(|running| running.sql).unwrap_or_default(),
        ..Failure::default()
    };
    let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    // If a process ends during a record, it was in the engine.
    let engine_us = if failure.line > 0 { micros(end.ran_for) } else { 0 };
    let began = SystemTime::now() - end.ran_for;
    let outcome = Outcome {
        worker,
        attempt: lease.attempt(),
        pass: lease.pass(),
        wall_us: micros(end.ran_for),
        engine_us,
        started_us: match end.ran_for.is_zero() {
            true => 0,
            false => micros(began.duration_since(UNIX_EPOCH).unwrap_or_default()),
        },
        output: end.output.clone(),
        ..failed(lease.name(), end.verdict.clone(), failure)
    };
    if again {
        queue.retry(lease, &outcome.into())?;
        return Ok(None);
    }
    let outcome = match known {
        Some(judge) => judge.judge(outcome),
        None => outcome,
    };
    queue.finish(lease, &outcome)?;
    Ok(Some(outcome))
}
