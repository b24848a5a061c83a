//! One pass over a suite, from the user's choices to an exit code.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use crate::config::{Config, SLICES};
use crate::crash;
use crate::engine::Engine;
use crate::environment;
use crate::escape;
use crate::history;
use crate::known::KnownError;
use crate::report::libtest::Format;
use crate::suite::Suite;
use crate::summary::ExitStatus;
use crate::trial::{self, Options};

mod account;
mod alone;
mod checkout;
mod close;
mod error;
pub(crate) mod excerpts;
pub(crate) mod folder;
mod known;
mod last;
mod messages;
mod mode;
mod order;
mod output;
mod parallel;
mod part;
mod selection;
mod set_up;
mod settings;
mod target;

use error::RunError;
pub(crate) use error::with_causes;
#[cfg(feature = "commands")]
pub(crate) use messages::program;
pub(crate) use messages::recorded;
pub(crate) use mode::interruption;
use mode::{Mode, Run};
pub(crate) use output::colored_stdout;
use parallel::Assignment;
pub(crate) use selection::suggestion;
use selection::{Selection, Wanted, select};
pub(crate) use set_up::around_here;
pub use target::Target;

/// Applies the package's settings file to the suite, and makes trials use the stack size in that file.
///
/// # Errors
/// The settings name a root that does not exist.
pub(crate) fn under_settings(suite: Suite, config: &Config) -> Result<Suite, String> {
    let Some(settings) = &config.settings else { return Ok(suite) };
    if let Some(bytes) = settings.stack_size() {
        crash::ask_for_stack(bytes);
    }
    settings.on(suite, config.roots.is_some())
}

/// Shows the settings in force, and where each comes from.
pub(crate) fn show_config(config: &Config) -> ExitStatus {
    let text = match config.format {
        Some(Format::Json) => escape::json(&config.in_force.json()).into_owned(),
        _ => escape::text(&config.in_force.text()).into_owned(),
    };
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            note!("error: {}", RunError::Output(error));
            ExitStatus::Broken
        }
        _ => ExitStatus::Passed,
    }
}

/// Ends `main` with the exit code of a run. If the process has abandoned threads in an engine, it ends at once: the `exit`
/// handlers of the engine might wait for these threads.
pub(crate) fn leave(status: ExitStatus) -> ExitCode {
    if trial::left_threads_behind() {
        // A failed write has been reported before.
        let _ = io::stdout().flush();
        crash::end(i32::from(status as u8));
    }
    status.into()
}

/// Prints a clap error, or the help that was asked for, and returns its exit code.
pub(crate) fn usage(error: &clap::Error) -> ExitStatus {
    // If it cannot be printed, the exit code is enough.
    let _ = error.print();
    if error.use_stderr() { ExitStatus::Usage } else { ExitStatus::Passed }
}

/// Runs a suite; errors go to standard error.
pub fn run(suite: Suite, engine: Arc<dyn Engine>, config: &Config) -> ExitStatus {
    try_run(suite, engine, config).unwrap_or_else(|error| {
        note!("error: {}", with_causes(&error));
        error.status()
    })
}

fn try_run(suite: Suite, engine: Arc<dyn Engine>, config: &Config) -> Result<ExitStatus, RunError> {
    let suite = match &config.roots {
        Some(roots) => suite.at(roots.clone()),
        None => suite,
    };
    let suite = match config.dialect {
        Some(dialect) => suite.all_in(dialect),
        None => suite,
    };
    let engine = match &config.engine {
        Some(choice) => choice.engine()?,
        None => engine,
    };
    let options = options(config, &*engine)?;
    if let Some(assignment) = Assignment::from_env() {
        return assignment.work(&suite, &engine, config, options);
    }
    let wanted = match config.failed || config.changed {
        true => last::wanted(&suite, config)?,
        false => Wanted { filter: config.filter.clone(), is_nothing: config.only_ignored },
    };
    // Not in a worker: its supervisor sees how it ends.
    let _armed = (!config.list).then(crash::arm);
    if let Some(status) = set_up::keep_if_asked(&config.set_up) {
        return Ok(status);
    }
    if !config.nextest {
        environment::warn_of_misspelt();
    }
    let Selection { mut files, filtered_out, scope, part } = select(&suite, config, wanted, options.known.as_deref())?;
    let options = match excerpts::are(&files) {
        true => excerpts::options(config, options)?,
        false => options,
    };
    let mode = Mode::of(config, &files);
    let mut printer = output::printer(config, mode, &files)?;
    let (again, by_hand) = messages::rerun_command(config, &options);
    printer.rerun_by(again, by_hand);
    if config.list {
        // nextest needs only names, and asks for them with `terse`.
        printer.list(&files, config.format == Some(Format::Terse));
        printer.flush()?;
        return Ok(ExitStatus::Passed);
    }
    if let Some(choice) = config.engine.as_ref().filter(|_| !config.nextest) {
        note!("running on {choice}");
    }
    if let (Some(reference), Some(file)) = (&options.reference, files.first()) {
        let error = |error| RunError::Reference { name: reference.name().to_owned(), error };
        reference.probe(file).map_err(error)?;
        if reference.is_recorded() {
            note!("{}", recorded(reference));
        }
    }
    if let Some(seed) = config.shuffle {
        history::shuffle(&mut files, seed);
        note!("shuffled with --shuffle-seed {seed}");
    }
    // A supervisor keeps its variables for its workers. In other modes, an engine's child processes must not inherit them.
    if !matches!(mode, Mode::Supervise(..)) {
        environment::forget();
    }
    let is_empty = files.is_empty();
    if config.sliced && !config.nextest && config.parallel.is_none() {
        note!(
            "warning: `{SLICES}` shares nothing out: this process runs all files; with `--parallel` processes share them"
        );
    }
    set_up::around(config, mode, is_empty, || {
        let run = Run::new(config, mode, suite, engine, options, (filtered_out, scope, part), printer);
        match mode {
            Mode::Alone => alone::run(&run, files),
            Mode::Join(parallel) | Mode::Supervise(parallel, _) => parallel::run(&run, files, parallel),
        }
    })
}

/// What a trial may do: the options of the config, and the reference, the list of known failures, and a folder for returned
/// values.
fn options(config: &Config, engine: &dyn Engine) -> Result<Options, RunError> {
    let reference = match &config.reference {
        Some(choice) => Some(choice.reference()?),
        None => None,
    };
    let known = known::judge(config, engine)?;
    if let Some(path) = config.known.first.as_ref().filter(|path| path.exists()) {
        return Err(KnownError::Exists(path.display().to_string()).into());
    }
    let returned = Some(folder::folder(config).join(folder::RETURNED));
    Ok(Options { reference, known, returned, ..config.options.clone() })
}
