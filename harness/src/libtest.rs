//! A suite as libtest-mimic trials, run in this process.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::engine::Engine;
use crate::event::{Event, Reporter, TrialId};
use crate::outcome::{Outcome, Verdict};
use crate::process::Interruption;
use crate::suite::TestFile;
use crate::trial::{self, Options};
use crate::worker::{EARLIER_FAILURE, INTERRUPTED};

/// After this time, a message says that a trial is slow; the same time as in libtest.
pub const SLOW: Duration = Duration::from_secs(60);

/// What the trials share while they run.
struct Shared {
    engine: Arc<dyn Engine>,
    options: Options,
    reporter: Arc<dyn Reporter>,
    running: Mutex<Vec<(String, Instant)>>,
    outcomes: Mutex<Vec<Outcome>>,
    failed: AtomicBool,
    interruption: Interruption,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs every file as a trial, on `threads` threads, and returns the outcomes.
///
/// `slow` is how long a trial runs before a line says so.
///
/// # Errors
/// libtest-mimic counted other verdicts than it was given: the harness is broken.
pub fn run(
    files: Vec<TestFile>,
    engine: Arc<dyn Engine>,
    options: Options,
    threads: usize,
    slow: Duration,
    reporter: Arc<dyn Reporter>,
    interruption: Interruption,
) -> io::Result<Vec<Outcome>> {
    let shared = Arc::new(Shared {
        engine,
        options,
        reporter,
        running: Mutex::default(),
        outcomes: Mutex::default(),
        failed: AtomicBool::new(false),
        interruption,
    });
    let trials = files.into_iter().map(|file| trial_of(file, &shared)).collect();
    // Our own printer prints everything; these trials are already filtered.
    let arguments =
        Arguments { test_threads: Some(threads), logfile: Some("/dev/null".to_owned()), ..Arguments::default() };
    let (done, ended) = mpsc::channel::<()>();
    let conclusion = thread::scope(|scope| {
        let shared = &shared;
        scope.spawn(move || announce_slow(shared, slow, &ended));
        let conclusion = libtest_mimic::run(&arguments, trials);
        drop(done);
        conclusion
    });
    let shared = Arc::into_inner(shared).ok_or_else(|| io::Error::other("a trial outlived the run"))?;
    let outcomes = shared.outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    let failed = outcomes.iter().filter(|outcome| outcome.verdict.is_failure()).count() as u64;
    if conclusion.num_failed != failed {
        let message = format!("{failed} trials failed, but {} were counted", conclusion.num_failed);
        return Err(io::Error::other(message));
    }
    Ok(outcomes)
}

fn trial_of(file: TestFile, shared: &Arc<Shared>) -> Trial {
    let shared = Arc::clone(shared);
    Trial::ignorable_test(file.name.clone(), move || {
        let trial = TrialId { name: &file.name, pass: 1 };
        shared.reporter.report(Event::TrialStarted { trial, worker: 0 });
        let not_run = |reason: &str| Outcome::new(&file.name, Verdict::NotRun { reason: reason.to_owned() });
        let outcome = if shared.options.fail_fast && shared.failed.load(Ordering::Relaxed) {
            not_run(EARLIER_FAILURE)
        } else if shared.interruption.is_asked_for() {
            not_run(INTERRUPTED)
        } else {
            lock(&shared.running).push((file.name.clone(), Instant::now()));
            let is_unwanted = || shared.interruption.is_over();
            let outcome =
                trial::run_compared(&file, &shared.engine, &shared.options, Arc::new(()), true, &is_unwanted, &|| {});
            lock(&shared.running).retain(|(name, _)| *name != file.name);
            match outcome.verdict {
                // A trial that was stopped, but that had already failed.
                Verdict::NotRun { .. } if !outcome.failures.is_empty() => {
                    Outcome { verdict: Verdict::Failed, ..outcome }
                }
                _ => outcome,
            }
        };
        shared.failed.fetch_or(outcome.verdict.is_failure(), Ordering::Relaxed);
        shared.reporter.report(Event::TrialEnded { outcome: &outcome, planned: None });
        let completion = match &outcome.verdict {
            verdict if verdict.is_failure() => Err(Failed::without_message()),
            Verdict::Ignored { reason } | Verdict::NotRun { reason } | Verdict::KnownFailure { reason, .. } => {
                Ok(Completion::ignored_with(reason))
            }
            _ => Ok(Completion::Completed),
        };
        lock(&shared.outcomes).push(outcome);
        completion
    })
}

/// Prints which trials have been running for longer than `slow`, once for each.
fn announce_slow(shared: &Shared, slow: Duration, ended: &mpsc::Receiver<()>) {
    let mut announced: Vec<String> = Vec::new();
    let tick = (slow / 10).clamp(Duration::from_millis(1), Duration::from_secs(1));
    while ended.recv_timeout(tick) == Err(mpsc::RecvTimeoutError::Timeout) {
        let running = lock(&shared.running).clone();
        announced.retain(|name| running.iter().any(|(running, _)| running == name));
        for (name, began) in running {
            if began.elapsed() > slow && !announced.contains(&name) {
                announced.push(name.clone());
                let trial = TrialId { name: &name, pass: 1 };
                shared.reporter.report(Event::TrialSlow { trial, limit: slow });
            }
        }
    }
}
