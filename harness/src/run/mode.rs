//! A run, and the processes that run its files.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::error::RunError;
use super::excerpts;
use super::part::Part;
use crate::config::{Config, Parallel};
use crate::engine::Engine;
use crate::outcome::Scope;
use crate::process::{Interruption, ProcessError};
use crate::report::libtest::Printer;
use crate::suite::{Suite, TestFile};
use crate::trial::Options;

/// Which processes run the files.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mode<'c> {
    /// This process alone, on its threads.
    Alone,
    /// This process, and others that users start and end.
    Join(&'c Parallel),
    /// This number of workers, which this process starts; other processes may join.
    Supervise(&'c Parallel, u32),
}

impl<'c> Mode<'c> {
    /// The mode that a config asks for. Single records and empty runs need no other process.
    pub(super) fn of(config: &'c Config, files: &[TestFile]) -> Mode<'c> {
        match &config.parallel {
            Some(parallel) if !files.is_empty() && !excerpts::are(files) => match parallel.workers {
                Some(workers) => Mode::Supervise(parallel, workers),
                None => Mode::Join(parallel),
            },
            _ => Mode::Alone,
        }
    }
}

/// A run is one pass over a suite, with the data that all modes need.
pub(super) struct Run<'c> {
    pub(super) config: &'c Config,
    pub(super) mode: Mode<'c>,
    pub(super) suite: Suite,
    pub(super) engine: Arc<dyn Engine>,
    pub(super) options: Options,
    pub(super) filtered_out: u64,
    pub(super) scope: Scope,
    pub(super) part: Option<Part>,
    pub(super) printer: Arc<Mutex<Printer>>,
    /// When this process started; a run that it joined may have started before.
    pub(super) started: SystemTime,
}

impl<'c> Run<'c> {
    pub(super) fn new(
        config: &'c Config,
        mode: Mode<'c>,
        suite: Suite,
        engine: Arc<dyn Engine>,
        options: Options,
        (filtered_out, scope, part): (u64, Scope, Option<Part>),
        printer: Printer,
    ) -> Self {
        let printer = Arc::new(Mutex::new(printer));
        let started = SystemTime::now();
        Run { config, mode, suite, engine, options, filtered_out, scope, part, printer, started }
    }

    /// Calls a function of the printer, for everything that is no event.
    pub(super) fn with_printer<T>(&self, act: impl FnOnce(&mut Printer) -> T) -> T {
        act(&mut self.printer.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Listens for Ctrl-C in a process that runs files itself. `files` begins a sentence about the running files.
    pub(super) fn interruption(&self, files: &str) -> Result<Interruption, RunError> {
        // With a single thread, the name of the running file is on a line that has no end yet.
        let is_open = self.config.threads == 1 && matches!(self.mode, Mode::Alone);
        Ok(interruption(self.config.interrupt_grace, files, is_open)?)
    }
}

/// Listens for Ctrl-C. `files` begins a sentence about what is running; `is_open` says whether a line of the output has no end
/// yet.
pub(crate) fn interruption(grace: Duration, files: &str, is_open: bool) -> Result<Interruption, ProcessError> {
    // cargo ends at the first Ctrl-C, and the next Ctrl-C goes to the shell: the notice has the process id for `kill`.
    let (seconds, id) = (grace.as_secs_f64(), std::process::id());
    let new_line = if is_open { "\n" } else { "" };
    let notice = format!(
        "{new_line}interrupted: {files} {seconds} s to end; interrupt again to end without waiting, or run `kill {id}`"
    );
    Interruption::install(grace, notice)
}
