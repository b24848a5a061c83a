//! Ctrl-C, and the polite request to end.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::ProcessError;

/// Counts how often this process was asked to end, by SIGINT (Ctrl-C) or SIGTERM.
///
/// SIGHUP, which a terminal sends when it is closed, counts twice, for there is nobody left who could ask again. Under
/// `nohup`, which has it ignored, it goes on being ignored.
///
/// From [`install`](Interrupts::install) on, none of them ends the process by itself. Children in groups of their own do not
/// receive the terminal's Ctrl-C: what becomes of them is for the supervisor to decide.
#[derive(Debug)]
pub struct Interrupts {
    /// Receives a byte for each signal.
    pipe: UnixStream,
    count: usize,
}

impl Interrupts {
    /// Begins to count, for as long as the process exists.
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

    /// How many there have been. Costs a system call.
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

/// An interruption is what a process that runs files itself does about Ctrl-C.
///
/// | signal | what follows |
/// |---|---|
/// | the first SIGINT or SIGTERM | no further file is begun; those that run have the grace period to end |
/// | the second, or SIGHUP | the grace period is over |
/// | the third | the process ends, as if nobody caught it |
#[derive(Debug, Clone)]
pub struct Interruption {
    count: Arc<AtomicUsize>,
    first: Arc<OnceLock<Instant>>,
    grace: Duration,
}

impl Interruption {
    /// Begins to listen, for as long as the process exists. At the first signal `notice` goes to standard error, even
    /// while all other threads are busy.
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

    /// Whether no further file may begin.
    pub fn is_asked_for(&self) -> bool {
        self.count.load(Ordering::SeqCst) > 0
    }

    /// Whether what still runs is not to be waited for any longer.
    pub fn is_over(&self) -> bool {
        let first = self.first.get().filter(|first| first.elapsed() > self.grace);
        first.is_some() || self.count.load(Ordering::SeqCst) > 1
    }
}
