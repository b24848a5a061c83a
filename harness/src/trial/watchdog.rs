//! Time limits: a thread that interrupts an engine when a script or a record takes too long, or when the user wants it to end.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use super::Options;
use crate::crash::Slot;
use crate::engine::Interrupter;

/// The interval between two checks, which is the maximum delay of an interrupt.
const TICK: Duration = Duration::from_millis(10);

/// Enforces the time limits of one script's sessions, and the user's wish to end, until it is dropped.
#[derive(Debug)]
pub(super) struct Watchdog {
    shared: Arc<Shared>,
    /// Dropped to end the thread.
    _alive: mpsc::Sender<()>,
}

struct Shared {
    started: Instant,
    file_limit: Option<Duration>,
    record_limit: Option<Duration>,
    /// How often the user has asked this process to end.
    interrupts: Option<Arc<AtomicUsize>>,
    /// When the current record began, in nanoseconds after `started`, plus one; 0 between records.
    record_began: AtomicU64,
    /// The limit that was exceeded, in nanoseconds; 0 if none was.
    exceeded: AtomicU64,
    /// How long the clock has been paused, in nanoseconds.
    paused: AtomicU64,
    /// Whether it is paused now.
    is_paused: AtomicBool,
    interrupters: Mutex<Vec<Interrupter>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("exceeded", &self.exceeded).finish_non_exhaustive()
    }
}

impl Watchdog {
    /// Starts the clock, if there is a limit or the user may interrupt the script.
    pub(super) fn start(options: &Options) -> Option<Watchdog> {
        let (file_limit, record_limit) = (options.file_timeout, options.query_timeout);
        let interrupts = options.interrupts.clone();
        if file_limit.or(record_limit).is_none() && interrupts.is_none() {
            return None;
        }
        let shared = Arc::new(Shared {
            started: Instant::now(),
            file_limit,
            record_limit,
            interrupts,
            record_began: AtomicU64::new(0),
            exceeded: AtomicU64::new(0),
            paused: AtomicU64::new(0),
            is_paused: AtomicBool::new(false),
            interrupters: Mutex::new(Vec::new()),
        });
        let (alive, ended) = mpsc::channel();
        let watched = Arc::clone(&shared);
        thread::spawn(move || {
            while ended.recv_timeout(TICK) == Err(mpsc::RecvTimeoutError::Timeout) {
                if watched.check().is_some() || watched.is_interrupted() {
                    // Interrupt repeatedly: the engine may have been between two statements.
                    let interrupters = watched.interrupters.lock().unwrap_or_else(PoisonError::into_inner);
                    interrupters.iter().for_each(|interrupt| interrupt());
                }
            }
        });
        Some(Watchdog { shared, _alive: alive })
    }

    /// Guards a session.
    pub(super) fn guard(&mut self, interrupter: Interrupter) {
        Slot::note_interruptible();
        self.shared.interrupters.lock().unwrap_or_else(PoisonError::into_inner).push(interrupter);
    }

    /// A record begins.
    pub(super) fn begin(&self) {
        self.shared.record_began.store(nanos(self.shared.elapsed()) + 1, Ordering::Release);
    }

    /// The record has ended.
    pub(super) fn end(&self) {
        // An engine that cannot be interrupted is checked when it returns.
        self.shared.check();
        self.shared.record_began.store(0, Ordering::Release);
    }

    /// Stops the clock between two records.
    pub(super) fn pause(&self) -> Pause<'_> {
        self.shared.is_paused.store(true, Ordering::Release);
        Pause(&self.shared, Instant::now())
    }

    /// The time until the first limit is exceeded, the script's or the current record's. None is left after an interrupt.
    pub(super) fn left(&self) -> Option<Duration> {
        if self.is_interrupted() {
            return Some(Duration::ZERO);
        }
        let (now, shared) = (self.shared.elapsed(), &self.shared);
        let file = shared.file_limit.map(|limit| limit.saturating_sub(now));
        let record = match shared.record_began.load(Ordering::Acquire) {
            0 => None,
            began => shared
                .record_limit
                .map(|limit| limit.saturating_add(Duration::from_nanos(began - 1)).saturating_sub(now)),
        };
        Some(file.into_iter().chain(record).min()?.saturating_add(TICK))
    }

    /// The limit that was exceeded, if one was.
    pub(super) fn exceeded(&self) -> Option<Duration> {
        match self.shared.exceeded.load(Ordering::Acquire) {
            0 => None,
            limit => Some(Duration::from_nanos(limit)),
        }
    }

    /// Whether the user wants the script to end.
    pub(super) fn is_interrupted(&self) -> bool {
        self.shared.is_interrupted()
    }
}

/// Stops a script's clock until it is dropped: the harness's own work does not count towards a limit.
#[derive(Debug)]
pub(super) struct Pause<'w>(&'w Shared, Instant);

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        self.0.paused.fetch_add(nanos(self.1.elapsed()), Ordering::AcqRel);
        self.0.is_paused.store(false, Ordering::Release);
    }
}

impl Shared {
    /// How long the script has been running, without pauses.
    fn elapsed(&self) -> Duration {
        self.started.elapsed().saturating_sub(Duration::from_nanos(self.paused.load(Ordering::Acquire)))
    }

    fn is_interrupted(&self) -> bool {
        self.interrupts.as_ref().is_some_and(|count| count.load(Ordering::Acquire) > 0)
    }

    /// Checks the clock; the first exceeded limit stays.
    fn check(&self) -> Option<Duration> {
        if self.is_paused.load(Ordering::Acquire) {
            return None;
        }
        let now = self.elapsed();
        let record_time = match self.record_began.load(Ordering::Acquire) {
            0 => Duration::ZERO,
            began => now.saturating_sub(Duration::from_nanos(began - 1)),
        };
        let file = self.file_limit.filter(|limit| now > *limit);
        let exceeded = file.or_else(|| self.record_limit.filter(|limit| record_time > *limit))?;
        let _ = self.exceeded.compare_exchange(0, nanos(exceeded).max(1), Ordering::AcqRel, Ordering::Acquire);
        Some(exceeded)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    fn start(file_timeout: Option<Duration>, query_timeout: Option<Duration>) -> Option<Watchdog> {
        Watchdog::start(&Options { file_timeout, query_timeout, ..Options::default() })
    }

    #[test]
    fn a_pause_counts_towards_no_limit() {
        let limit = Duration::from_secs(3600);
        let watchdog = start(Some(limit), None).unwrap();
        let pause = watchdog.pause();
        assert!(watchdog.shared.is_paused.load(Ordering::Acquire));
        std::thread::sleep(Duration::from_millis(20));
        drop(pause);
        assert!(watchdog.shared.paused.load(Ordering::Acquire) >= 20_000_000);
        // Count all time so far as paused.
        let shared = &watchdog.shared;
        shared.paused.store(nanos(shared.started.elapsed()), Ordering::Release);
        assert!(watchdog.left().unwrap() > limit - Duration::from_secs(60));
        assert_eq!(watchdog.exceeded(), None);
    }

    #[test]
    fn a_session_is_interrupted_until_the_watchdog_is_dropped() {
        let calls = Arc::new(AtomicU32::new(0));
        let mut watchdog = start(None, Some(Duration::from_millis(1))).unwrap();
        let counted = Arc::clone(&calls);
        watchdog.guard(Arc::new(move || {
            counted.fetch_add(1, Ordering::SeqCst);
        }));
        assert_eq!(watchdog.exceeded(), None);
        watchdog.begin();
        while calls.load(Ordering::SeqCst) < 3 {
            thread::sleep(TICK);
        }
        watchdog.end();
        assert_eq!(watchdog.exceeded(), Some(Duration::from_millis(1)));
    }

    #[test]
    fn the_remaining_time_is_the_shorter_of_both_limits() {
        let left = |file, record| {
            let watchdog = start(file, record).unwrap();
            let between_records = watchdog.left();
            watchdog.begin();
            (between_records, watchdog.left().unwrap())
        };
        let (short, long) = (Some(Duration::from_secs(10)), Some(Duration::from_secs(1000)));
        let nearly = |left: Duration| left > Duration::from_secs(1) && left <= short.unwrap() + TICK;
        for (file, record) in [(short, long), (short, None)] {
            let (before, during) = left(file, record);
            assert!(nearly(before.unwrap()) && nearly(during), "{before:?} {during:?}");
        }
        let (before, during) = left(long, short);
        assert!(!nearly(before.unwrap()) && nearly(during), "{before:?} {during:?}");
        assert_eq!(left(None, short).0, None, "between records only the script's time runs");
    }

    #[test]
    fn without_a_limit_there_is_no_thread() {
        assert!(start(None, None).is_none());
    }

    #[test]
    fn a_session_is_interrupted_when_the_user_asks_even_without_a_limit() {
        let interrupts = Arc::new(AtomicUsize::new(0));
        let options = Options { interrupts: Some(Arc::clone(&interrupts)), ..Options::default() };
        let mut watchdog = Watchdog::start(&options).unwrap();
        let calls = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&calls);
        watchdog.guard(Arc::new(move || {
            counted.fetch_add(1, Ordering::SeqCst);
        }));
        watchdog.begin();
        assert!(!watchdog.is_interrupted() && watchdog.left().is_none());
        interrupts.store(1, Ordering::SeqCst);
        while calls.load(Ordering::SeqCst) < 3 {
            thread::sleep(TICK);
        }
        assert!(watchdog.is_interrupted() && watchdog.left() == Some(Duration::ZERO));
        assert_eq!(watchdog.exceeded(), None, "no limit was");
    }
}
