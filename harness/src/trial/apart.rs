//! A trial on its own thread, which is abandoned if the engine does not return.
//!
//! The [watchdog](super::watchdog) interrupts an engine that supports it, and the trial ends by itself. With any other engine,
//! the thread is abandoned: the trial gets its verdict from the events reported so far, and the run continues with the other
//! files.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::once::once;
use super::trace::Role;
use super::{Options, micros, run_as};
use crate::crash::{self, Slot};
use crate::engine::Engine;
use crate::event::{Ending, Event, Reporter};
use crate::outcome::{Failure, MAX_FAILED_RECORDS, MAX_FAILURES, Outcome, RecordCounts, RecordId, Verdict};
use crate::suite::TestFile;

/// How long after its limit a trial is abandoned if its engine cannot be interrupted.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long after its limit a trial is abandoned if its engine can be interrupted. Usually the engine returns soon, but a busy
/// server takes longer, and if the trial is abandoned, its database stays on the server.
const INTERRUPTING: Duration = Duration::from_secs(5);

/// How long after its limit a trial is abandoned before its first record: the engine is still connecting, with its own time
/// limits.
const CONNECTING: Duration = Duration::from_secs(10);

/// How often the waiting thread checks the clock.
const TICK: Duration = Duration::from_millis(50);

/// The reason for abandoning a trial that exceeded no limit.
pub(crate) const INTERRUPTED: &str = "interrupted";

static ABANDONED: AtomicBool = AtomicBool::new(false);

/// Whether a thread of this process was abandoned in an engine. Such a process ends by `_exit`: an engine's `exit`
/// handlers might wait for that thread.
pub(crate) fn left_threads_behind() -> bool {
    ABANDONED.load(Ordering::Relaxed)
}

/// Runs a trial like [`run`](super::run), but on its own thread with a stack of [`stack_bytes`](crash::stack_bytes).
///
/// If the engine is still busy shortly after a time limit, the trial is [abandoned](Verdict::TimedOut). The same
/// happens as soon as `is_unwanted` returns true: then the verdict is [`NotRun`](Verdict::NotRun), with the failures so
/// far.
pub(crate) fn run_apart(
    file: &TestFile,
    engine: &Arc<dyn Engine>,
    options: &Options,
    reporter: Arc<dyn Reporter>,
    role: Role,
    is_unwanted: &dyn Fn() -> bool,
) -> (Outcome, Option<Role>) {
    let here = |reporter: &dyn Reporter, role| {
        let (outcome, role) = run_as(file, &**engine, options, reporter, role);
        (outcome, Some(role))
    };
    let Some(slot) = Slot::take() else { return here(&*reporter, role) };
    let started = SystemTime::now();
    let clock = Instant::now();
    let trial = Arc::new(Apart { slot, reporter, tally: Mutex::default(), interrupts: options.interrupts.clone() });
    let (sender, receiver) = once();
    // Taken back from here if no thread can be started.
    let role = Arc::new(Mutex::new(Some(role)));
    let body = {
        let given = Arc::clone(&role);
        let (file, engine, options, trial) = (file.clone(), Arc::clone(engine), options.clone(), Arc::clone(&trial));
        move || {
            let _adopted = trial.slot.adopt();
            let role = given.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
            let outcome = run_as(&file, &*engine, &options, &*trial, role);
            // If the trial was abandoned, no thread receives this.
            sender.send(outcome);
        }
    };
    let thread = match thread::Builder::new().name("trial".to_owned()).stack_size(crash::stack_bytes()).spawn(body) {
        Ok(thread) => thread,
        Err(_) => {
            // If no thread can be started, run on this one.
            slot.release();
            let role = role.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
            return here(&*trial.reporter, role);
        }
    };
    let (mut version, mut since) = (slot.version(), clock);
    let (verdict, limit) = loop {
        match receiver.recv_timeout(TICK) {
            Ok((outcome, role)) => {
                // The trial has reported everything; only the engine's thread-local destructors are still to run.
                let _ = thread.join();
                return (outcome, Some(role));
            }
            Err(RecvTimeoutError::Disconnected) => {
                // `run` catches panics, so this one came from a thread-local destructor of the engine.
                break (Verdict::Failed, None);
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        let now = slot.version();
        if now != version {
            (version, since) = (now, Instant::now());
        }
        let patience = if slot.is_interruptible() { INTERRUPTING } else { PATIENCE };
        let file = options.file_timeout.filter(|limit| clock.elapsed() > *limit + patience);
        let patience = if slot.is_in_a_record() { patience } else { CONNECTING };
        let record = options.query_timeout.filter(|limit| since.elapsed() > *limit + patience);
        if let Some(limit) = file.or(record) {
            if slot.abandon() {
                let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
                break (Verdict::TimedOut { limit_ms }, Some(limit));
            }
        } else if is_unwanted() && slot.abandon() {
            break (Verdict::NotRun { reason: INTERRUPTED.to_owned() }, None);
        }
    };
    ABANDONED.store(true, Ordering::Relaxed);
    let name = engine.name();
    let message = match (&verdict, limit) {
        (_, Some(limit)) => format!(
            "still running in {name} when the time limit of {} s was over; it did not stop, so its thread was left behind",
            limit.as_secs_f64()
        ),
        (Verdict::NotRun { .. }, None) => format!("still running in {name} when the run was interrupted"),
        _ => format!("a panic while the thread of {name} ended"),
    };
    let noted = slot.read();
    let failure =
        Failure { file: noted.file, line: noted.line, pass: noted.pass, message, sql: noted.sql, ..Failure::default() };
    trial.reporter.report(Event::ScriptFailed(&failure));
    let Tally { records, failures, failed_records } = trial.tally(|tally| {
        if !matches!(verdict, Verdict::NotRun { .. }) {
            tally.fail(&failure);
        }
        std::mem::take(tally)
    });
    let now = Instant::now();
    let outcome = Outcome {
        records,
        failures,
        failed_records,
        wall_us: micros(now.duration_since(clock)),
        // The engine has had the record since it was noted.
        engine_us: micros(now.duration_since(since)),
        started_us: micros(started.duration_since(UNIX_EPOCH).unwrap_or_default()),
        ..Outcome::new(&file.name, verdict)
    };
    let outcome = match &options.known {
        Some(judge) if outcome.verdict.is_failure() => judge.judge(outcome),
        _ => outcome,
    };
    (outcome, None)
}

/// A trial on another thread. Passes its reports on as long as the trial is waited for.
struct Apart {
    slot: &'static Slot,
    reporter: Arc<dyn Reporter>,
    tally: Mutex<Tally>,
    /// How often the user has asked this process to end, if that interrupts the trial.
    interrupts: Option<Arc<AtomicUsize>>,
}

/// The results of the records so far, in case the trial itself never returns.
#[derive(Default)]
struct Tally {
    records: RecordCounts,
    failures: Vec<Failure>,
    failed_records: Vec<RecordId>,
}

impl Tally {
    fn fail(&mut self, failure: &Failure) {
        self.records.failed += 1;
        if self.failed_records.len() < MAX_FAILED_RECORDS {
            let text = if failure.sql.is_empty() { &failure.message } else { &failure.sql };
            self.failed_records.push(RecordId::in_pass(text, failure.line, &failure.pass));
        }
        if self.failures.len() < MAX_FAILURES {
            self.failures.push(failure.clone());
        }
    }
}

impl Apart {
    fn tally<T>(&self, use_it: impl FnOnce(&mut Tally) -> T) -> T {
        let mut tally: MutexGuard<'_, Tally> = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        use_it(&mut tally)
    }
}

impl Reporter for Apart {
    fn report(&self, event: Event<'_>) {
        if self.slot.is_abandoned() {
            return;
        }
        match event {
            Event::RecordEnded { record, ending, .. } => self.tally(|tally| match ending {
                Ending::Passed => tally.records.passed += u64::from(record.step.counts()),
                Ending::Skipped => tally.records.skipped += 1,
                Ending::Failed(failure) | Ending::Corrected(failure) => tally.fail(failure),
            }),
            // After an interrupt, this says where the script was.
            Event::ScriptFailed(_)
                if self.interrupts.as_ref().is_some_and(|count| count.load(Ordering::Relaxed) > 0) => {}
            Event::ScriptFailed(failure) => self.tally(|tally| tally.fail(failure)),
            _ => {}
        }
        self.reporter.report(event);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::engine::{Database, Done, EngineError, Request, Rows, Session};

    /// An engine that does not return from one of its functions.
    struct Hangs(&'static str);

    impl Hangs {
        fn at(&self, place: &str) {
            if self.0 == place {
                loop {
                    thread::sleep(Duration::from_secs(1));
                }
            }
        }
    }

    impl Engine for Hangs {
        fn name(&self) -> &str {
            "the engine"
        }

        fn database(&self, _: &str) -> Result<Box<dyn Database>, EngineError> {
            Ok(Box::new(Hangs(self.0)))
        }
    }

    impl Database for Hangs {
        fn connect(&mut self) -> Result<Box<dyn Session>, EngineError> {
            self.at("connect");
            Ok(Box::new(Hangs(self.0)))
        }
    }

    impl Session for Hangs {
        fn run(&mut self, _: Request<'_>, _: &mut Rows) -> Result<Done, EngineError> {
            self.at("run");
            Ok(Done::Changed(0))
        }
    }

    impl Drop for Hangs {
        fn drop(&mut self) {
            self.at("drop");
        }
    }

    fn run_on(hangs: &'static str, options: &Options, is_unwanted: &dyn Fn() -> bool) -> Outcome {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.test");
        fs::write(&path, "statement ok\nSELECT 1\n\nstatement ok\nSELECT 2\n").unwrap();
        let file = crate::suite::Suite::new(folder.path()).find("a.test").unwrap().unwrap();
        let engine: Arc<dyn Engine> = Arc::new(Hangs(hangs));
        run_apart(&file, &engine, options, Arc::new(()), Role::Plain, is_unwanted).0
    }

    #[test]
    fn an_engine_that_hangs_anywhere_times_out_under_either_limit() {
        let limit = Some(Duration::from_millis(100));
        let both = [
            Options { file_timeout: limit, ..Options::default() },
            Options { query_timeout: limit, ..Options::default() },
        ];
        let check = |options: &Options, (hangs, line, sql, passed): (&'static str, u64, &str, u64)| {
            let outcome = run_on(hangs, options, &|| false);
            assert_eq!(outcome.verdict, Verdict::TimedOut { limit_ms: 100 }, "{hangs}");
            assert_eq!((outcome.records.passed, outcome.records.failed), (passed, 1), "{hangs}");
            let failure = &outcome.failures[0];
            assert_eq!((failure.line, failure.sql.as_str()), (line, sql), "{hangs}");
            assert!(failure.file.ends_with("a.test") && failure.message.contains("0.1 s"), "{failure:?}");
            // The engine is charged for the whole time.
            let waited = if options.query_timeout.is_some() { 1_100_000 } else { 1 };
            assert!((waited..=outcome.wall_us).contains(&outcome.engine_us), "{hangs}: {outcome:?}");
        };
        thread::scope(|scope| {
            for options in &both {
                for place in [("connect", 0, "", 0), ("run", 1, "SELECT 1", 0), ("drop", 4, "SELECT 2", 2)] {
                    scope.spawn(move || check(options, place));
                }
            }
        });
        assert!(left_threads_behind());
    }

    #[test]
    fn an_interrupted_trial_neither_runs_nor_fails_further_records() {
        let options = Options { interrupts: Some(Arc::new(AtomicUsize::new(1))), ..Options::default() };
        for (hangs, is_unwanted) in [("", false), ("drop", true)] {
            let outcome = run_on(hangs, &options, &|| is_unwanted);
            assert_eq!(outcome.verdict, Verdict::NotRun { reason: INTERRUPTED.to_owned() }, "{hangs}");
            assert_eq!((outcome.records, outcome.failures), (RecordCounts::default(), vec![]), "{hangs}");
        }
    }

    #[test]
    fn an_unwanted_trial_is_abandoned_and_one_that_ends_is_judged() {
        let unwanted = run_on("run", &Options::default(), &|| true);
        assert_eq!(unwanted.verdict, Verdict::NotRun { reason: INTERRUPTED.to_owned() });
        assert_eq!(unwanted.failures, []);
        assert_eq!(run_on("", &Options::default(), &|| false).verdict, Verdict::Passed);
    }
}
