//! Handles Ctrl-C and other requests to end.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::ProcessError;

/// Counts how often this process was asked to end, by SIGINT (Ctrl-C) or SIGTERM.
///
/// SIGHUP, which a terminal sends when it is closed, counts twice, because the user can no longer ask again. Under `nohup`,
/// SIGHUP is ignored, and stays so.
///
/// After [`install`](Interrupts::install), none of these signals ends the process by itself. Children in their own groups do
/// not receive the terminal's Ctrl-C: the supervisor decides what happens to them.
#[derive(Debug)]
pub struct Interrupts {
    /// Receives a byte for each signal.
    pipe: UnixStream,
    count: usize,
}

impl Interrupts {
    /// Starts to count; continues as long as the process exists.
    ///
    /// # Errors
    /// The system refused.
    pub fn install() -> Result<Interrupts, ProcessError> {
        let install = || {
            let (pipe, sender) = UnixStream::pair()?;
            pipe.set_nonblocking(true)?;
            let hangups: &[i32] = if ignores_hangups() { &[] } else { &[SIGHUP, SIGHUP] };
            for signal in [SIGINT, SIGTERM].iter().chain(hangups) {
                signal_hook::low_level::pipe::register(*signal, sender.try_clone()?)?;
            }
            Ok(Interrupts { pipe, count: 0 })
        };
        install().map_err(|source| ProcessError::Setting { what: "catch Ctrl-C", source })
    }

    /// How many requests there have been. Costs a system call.
    pub fn count(&mut self) -> usize {
        let mut bytes = [0; 64];
        while let Ok(length @ 1..) = self.pipe.read(&mut bytes) {
            self.count += length;
        }
        self.count
    }
}

/// Whether this process was started with SIGHUP ignored; this is known on Linux only.
fn ignores_hangups() -> bool {
    #[cfg(target_os = "linux")]
    return super::proc::ignored_signals().is_some_and(|ignored| ignored & (1 << (SIGHUP - 1)) != 0);
    #[cfg(not(target_os = "linux"))]
    true
}

/// How a process that runs files itself reacts to Ctrl-C.
///
/// | signal | what follows |
/// |---|---|
/// | the first SIGINT or SIGTERM | no further file starts; running files have the grace period to end |
/// | the second, or SIGHUP | the grace period is over |
/// | the third | the process ends, as if it did not catch the signal |
#[derive(Debug, Clone)]
pub struct Interruption {
    count: Arc<AtomicUsize>,
    first: Arc<OnceLock<Instant>>,
    grace: Duration,
}

impl Interruption {
    /// Starts to listen; continues as long as the process exists. At the first signal, `notice` is printed on standard error,
    /// even while all other threads are busy.
    ///
    /// # Errors
    /// The system refused.
    pub fn install(grace: Duration, notice: String) -> Result<Interruption, ProcessError> {
        let install = || {
            let interruption = Interruption { count: Arc::default(), first: Arc::default(), grace };
            let is_last = Arc::new(AtomicBool::new(false));
            let (mut pipe, sender) = UnixStream::pair()?;
            let hangups: &[i32] = if ignores_hangups() { &[] } else { &[SIGHUP, SIGHUP] };
            for signal in [SIGINT, SIGTERM].iter().chain(hangups) {
                signal_hook::flag::register_conditional_default(*signal, Arc::clone(&is_last))?;
                signal_hook::low_level::pipe::register(*signal, sender.try_clone()?)?;
            }
            let shared = interruption.clone();
            std::thread::Builder::new().name("interrupts".to_owned()).spawn(move || {
                while let Ok(1..) = pipe.read(&mut [0]) {
                    shared.first.get_or_init(Instant::now);
                    match shared.count.fetch_add(1, Ordering::SeqCst) {
                        0 => note!("{notice}"),
                        _ => is_last.store(true, Ordering::SeqCst),
                    }
                }
            })?;
            Ok(interruption)
        };
        install().map_err(|source| ProcessError::Setting { what: "catch Ctrl-C", source })
    }

    /// The count of requests so far, which grows with each.
    pub fn requests(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.count)
    }

    /// Whether no further file may start.
    pub fn is_asked_for(&self) -> bool {
        self.count.load(Ordering::SeqCst) > 0
    }

    /// Whether to stop waiting for the files that still run.
    pub fn is_over(&self) -> bool {
        let first = self.first.get().filter(|first| first.elapsed() > self.grace);
        first.is_some() || self.count.load(Ordering::SeqCst) > 1
    }
}
