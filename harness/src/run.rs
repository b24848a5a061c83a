//! One pass over a suite, from the user's choices to an exit code.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use anstream::{AutoStream, ColorChoice};
use libtest_mimic::ColorSetting;

use crate::config::{Config, SLICES};
use crate::crash;
use crate::engine::{ChoiceError, Engine, EngineError};
use crate::environment;
use crate::escape;
use crate::event::{Event, Reporter};
use crate::history::{self, History, Order};
use crate::known::KnownError;
use crate::libtest::{self, SLOW};
use crate::outcome::Scope;
use crate::process::{Interruption, ProcessError};
use crate::queue::{PlanError, QueueError};
use crate::report::libtest::{Format, Layout, Printer};
use crate::report::progress::Progress;
use crate::report::statistics::Statistics;
use crate::report::{comparison, table, words};
use crate::suite::{Suite, SuiteError, TestFile};
use crate::summary::{ExitStatus, Summary};
use crate::supervisor::SupervisorError;
use crate::trial::{self, Reference};

mod account;
mod checkout;
mod closing;
pub(crate) mod excerpts;
mod folder;
mod known;
mod last;
mod order;
mod parallel;
mod part;
mod selection;
mod set_up;
mod settings;
mod target;

use account::About;
#[cfg(feature = "commands")]
pub(crate) use closing::program;
use parallel::Assignment;
use part::Part;
pub(crate) use selection::suggestion;
use selection::{Selection, is_strict, select};
pub(crate) use set_up::around_here;
pub use target::Target;

/// The folder in that for results where the values are of which scripts list only a hash.
const RETURNED: &str = "returned";

/// The suite with what the package's file with settings says of it. The stack that the file asks for is given to trials.
///
/// # Errors
/// The settings name a root that is not there.
pub(crate) fn under_settings(suite: Suite, config: &Config) -> Result<Suite, String> {
    let Some(settings) = &config.settings else { return Ok(suite) };
    if let Some(bytes) = settings.stack_size() {
        crash::ask_for_stack(bytes);
    }
    settings.on(suite, config.roots.is_some())
}

/// Shows the settings that are in force, and where each comes from.
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

/// Ends `main` with the exit code of a run. A process that has left threads behind in an engine ends here and now: what
/// the engine does at `exit` might wait for them.
pub(crate) fn leave(status: ExitStatus) -> ExitCode {
    if trial::left_threads_behind() {
        // What cannot be printed has been told by now.
        let _ = io::stdout().flush();
        crash::end(i32::from(status as u8));
    }
    status.into()
}

/// Prints a clap error (or the help that it stands for) and says which exit code goes with it.
pub(crate) fn usage(error: &clap::Error) -> ExitStatus {
    // With no place to print to, the exit code must do.
    let _ = error.print();
    if error.use_stderr() { ExitStatus::Usage } else { ExitStatus::Passed }
}

/// Why a run could not be made or finished.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error(transparent)]
    Suite(#[from] SuiteError),
    #[error("`--engine`: {0}")]
    Engine(#[from] ChoiceError),
    #[error("`--reference`: {0}")]
    ReferenceChoice(ChoiceError),
    #[error("cannot connect to the reference {name}, so no file was run: {error}")]
    Reference { name: String, error: EngineError },
    #[error(transparent)]
    Known(#[from] KnownError),
    #[error("{0} (`--exact` wants whole names)")]
    NoSuchName(String),
    #[error("{0}")]
    NoMatch(String),
    #[error("{0}")]
    Excerpt(String),
    #[error("{0}")]
    Last(String),
    #[error("`--shard-history`: cannot read `{path}`: {source}")]
    ShardHistory { path: String, source: io::Error },
    #[error("cannot write to `{path}`: {source}")]
    Log { path: String, source: io::Error },
    #[error("cannot write the results: {0}")]
    Output(#[from] io::Error),
    #[error("cannot use the folder for results `{path}`: {source}")]
    Results { path: String, source: io::Error },
    #[error("{0}")]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Supervisor(#[from] SupervisorError),
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error("the set-up of the run (`before_run`) failed, so no file was run: {0}")]
    SetUp(String),
}

impl RunError {
    fn status(&self) -> ExitStatus {
        match self {
            RunError::Suite(_)
            | RunError::Engine(_)
            | RunError::ReferenceChoice(_)
            | RunError::Known(_)
            | RunError::NoSuchName(_)
            | RunError::Excerpt(_)
            | RunError::Last(_)
            | RunError::ShardHistory { .. }
            | RunError::Log { .. } => ExitStatus::Usage,
            RunError::NoMatch(_) => ExitStatus::Nothing,
            _ => ExitStatus::Broken,
        }
    }
}

/// Runs a suite; every complaint goes to standard error.
pub fn run(suite: Suite, engine: Arc<dyn Engine>, config: Config) -> ExitStatus {
    try_run(suite, engine, config).unwrap_or_else(|error| {
        note!("error: {}", with_causes(&error));
        error.status()
    })
}

/// An error and what brought it about, the way it is told: from the outside in.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        let words = words.trim_end();
        if !text.contains(words) {
            text.push_str(&format!(": {words}"));
        }
        cause = inner.source();
    }
    text
}

fn try_run(suite: Suite, engine: Arc<dyn Engine>, mut config: Config) -> Result<ExitStatus, RunError> {
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
    if let Some(choice) = &config.reference {
        config.options.reference = Some(Reference::new(choice.engine().map_err(RunError::ReferenceChoice)?));
    }
    config.options.known = known::judge(&config, &*engine)?;
    if let Some(path) = config.known.first.as_ref().filter(|path| path.exists()) {
        return Err(KnownError::Exists(path.display().to_string()).into());
    }
    if let Some(assignment) = Assignment::from_env() {
        return assignment.work(&suite, &engine, &config);
    }
    config.options.returned = Some(folder::folder(&config).join(RETURNED));
    if config.failed || config.changed {
        last::settle(&suite, &mut config)?;
    }
    // A worker's supervisor sees how it ends.
    let _armed = (!config.list).then(crash::arm);
    if let Some(status) = set_up::keep_if_asked(&config.set_up) {
        return Ok(status);
    }
    let Selection { mut files, filtered_out, scope, part } = select(&suite, &config)?;
    if excerpts::are(&files) {
        excerpts::settle(&mut config)?;
    }
    let mut printer = Printer::new(output(&config)?, layout(&config), &files);
    printer.rerun_by(closing::rerun_command(&config));
    if config.list {
        // nextest wants names alone, which it asks for as `terse`.
        printer.list(&files, config.format == Some(Format::Terse));
        printer.flush()?;
        return Ok(ExitStatus::Passed);
    }
    if let Some(choice) = config.engine.as_ref().filter(|_| !config.nextest) {
        note!("on {choice}");
    }
    if let (Some(reference), Some(file)) = (&config.options.reference, files.first()) {
        let error = |error| RunError::Reference { name: reference.name().to_owned(), error };
        reference.probe(file).map_err(error)?;
    }
    if let Some(seed) = config.shuffle {
        history::shuffle(&mut files, seed);
        note!("shuffled with --shuffle-seed {seed}");
    }
    // Workers are told what to do by what they inherit; what an engine in this process starts is not.
    if config.parallel.as_ref().is_none_or(|parallel| parallel.workers.is_none()) {
        environment::forget();
    }
    let task = Task { suite, files, filtered_out, scope, part, engine, printer };
    let is_empty = task.files.is_empty();
    set_up::around(&config, is_empty, || match &config.parallel {
        Some(parallel) if !is_empty && !excerpts::are(&task.files) => parallel::run(task, &config, parallel),
        _ => {
            if config.sliced && !config.nextest {
                note!(
                    "warning: `{SLICES}` shares nothing out: this process runs all files; with `--parallel` processes share them"
                );
            }
            serial(task, &config)
        }
    })
}

/// What is to be run, whichever way.
struct Task {
    suite: Suite,
    files: Vec<TestFile>,
    filtered_out: u64,
    scope: Scope,
    part: Option<Part>,
    engine: Arc<dyn Engine>,
    printer: Printer,
}

/// Runs all files in this process.
fn serial(task: Task, config: &Config) -> Result<ExitStatus, RunError> {
    let Task { mut files, filtered_out, scope, part, engine, mut printer, .. } = task;
    let (clock, started) = (Instant::now(), SystemTime::now());
    let planned: Vec<String> = files.iter().map(|file| file.name.clone()).collect();
    let workers = u32::try_from(config.threads).unwrap_or(u32::MAX);
    // What became of one record says nothing about its file, and is not kept.
    let excerpts = excerpts::are(&files);
    let remembered = if config.nextest { Vec::new() } else { files.clone() };
    // Threads take the files in the order that workers take them. One thread keeps to their names, as people expect.
    let reorders = config.threads > 1 && files.len() > 1 && config.shuffle.is_none();
    if reorders || shows_progress(config) {
        // Losing the history costs an estimate.
        let history = History::read(&folder::folder(config)).unwrap_or_default();
        if reorders {
            order::put_in_order(&mut files, Order::LongestFirst, &history, (&*engine, config), false);
        }
        if shows_progress(config) {
            show_progress(&mut printer, config, Some(&planned), workers, &history);
        }
    }
    let printer = Arc::new(Mutex::new(printer));
    printer.report(Event::RunStarted { planned: files.len() as u64 });
    let interruption = interruption(config, "the running files have")?;
    let reporter: Arc<dyn Reporter> = Arc::<Mutex<Printer>>::clone(&printer);
    let outcomes =
        libtest::run(files, Arc::clone(&engine), config.options.clone(), config.threads, SLOW, reporter, interruption)?;
    let summary = Summary::new(planned.iter().map(|name| (name.as_str(), 1)), &outcomes);
    let wall = clock.elapsed();
    let mut figures = String::new();
    // Under nextest each file is a process, whose figures nobody wants.
    if !config.nextest && !outcomes.is_empty() {
        figures.push_str(&Statistics::new(summary.total, wall, workers, outcomes.iter()).text(config.timings));
    }
    figures.push_str(&comparison::text(&outcomes));
    let mut printer = printer.lock().unwrap_or_else(PoisonError::into_inner);
    let printed = print_end(&mut printer, config, &summary, (filtered_out, wall), &figures);
    known::keep(config, &*engine, &outcomes);
    // A shard without files has results all the same: a merge that does not get them has to think that it is missing.
    if excerpts {
        excerpts::tell(config);
    } else if !outcomes.is_empty() || part.as_ref().is_some_and(|part| part.split.files > 0) {
        account::remember(config, &remembered, &outcomes);
        let run_id = account::run_id();
        let seed = config.shuffle;
        let about = About { engine: &*engine, run_id, seed, started, workers, filtered_out, scope, part: &part };
        account::publish(config, || Ok::<_, Infallible>(about.results(&summary, outcomes)));
    }
    Ok(heard(printed, conclude(&summary, config)))
}

/// Listens for Ctrl-C in a process that runs files itself.
fn interruption(config: &Config, files: &str) -> Result<Interruption, RunError> {
    let grace = config.interrupt_grace;
    // cargo ends at the first Ctrl-C, and the terminal's next one goes to the shell.
    let (seconds, id) = (grace.as_secs_f64(), std::process::id());
    // One thread has said which file it runs, on a line that is still open.
    let new_line = if config.threads == 1 && config.parallel.is_none() { "\n" } else { "" };
    let notice = format!(
        "{new_line}interrupted: {files} {seconds} s to end; interrupt again to end without waiting, or run `kill {id}`"
    );
    Ok(Interruption::install(grace, notice)?)
}

/// The exit code of a run whose words may have been lost (a full disk, a reader that has gone): what it has found out is
/// in its files all the same, and a failure stays one.
fn heard(printed: io::Result<()>, status: ExitStatus) -> ExitStatus {
    let Err(error) = printed else { return status };
    note!("error: {}", RunError::Output(error));
    if status == ExitStatus::Passed { ExitStatus::Broken } else { status }
}

/// Prints what stands at the end of a run: failures, libtest's line, the table, the figures.
///
/// # Errors
/// The first write that failed, now or before. That is for the end: what came of the run is kept all the same.
fn print_end(
    printer: &mut Printer,
    config: &Config,
    summary: &Summary,
    (filtered_out, wall): (u64, Duration),
    figures: &str,
) -> io::Result<()> {
    printer.finish(&summary.total, filtered_out, wall)?;
    if config.quiet {
        return Ok(());
    }
    if config.table {
        printer.add(&format!("{}\n", table::by_category(summary)))?;
    }
    printer.add(figures)
}

/// The exit code of a run, with what its other output does not say: what is wrong with its account, and what is left.
fn conclude(summary: &Summary, config: &Config) -> ExitStatus {
    for defect in &summary.defects {
        note!("error: the account does not add up: {defect}");
    }
    if let Some(reference) = &summary.unreachable {
        note!("error: the reference could not be reached for every file: {reference}");
    }
    let allowed = config.parallel.as_ref().is_some_and(|parallel| parallel.allow_incomplete);
    let status = match summary.exit_status(allowed) {
        ExitStatus::Passed if summary.checked_nothing() => {
            let strict = is_strict(config);
            let code = if strict { ", so the exit code is 5" } else { "" };
            // nextest shows each file's own reason.
            if !config.nextest {
                note!("nothing in {} could be checked{code}", words::count(summary.total.planned, "file"));
            }
            if strict { ExitStatus::Nothing } else { ExitStatus::Passed }
        }
        status => status,
    };
    let left = summary.not_run.len();
    if left > 0 {
        // libtest's own line knows no such thing, and reads `ok`.
        let code = if status == ExitStatus::Incomplete { ", so the exit code is 3" } else { "" };
        note!("incomplete: {left} of {} files were not run{code}", summary.total.planned);
    }
    if config.format == Some(Format::Terse) {
        summary.not_run.iter().take(MOST_LEFT).for_each(|name| note!("    {name}"));
        if left > MOST_LEFT {
            note!("    … and {} more", left - MOST_LEFT);
        }
    }
    status
}

/// How many files that were not run are named where none has a line of its own; all of them are in `results.json`.
const MOST_LEFT: usize = 50;

fn layout(config: &Config) -> Layout {
    Layout {
        format: config.format.unwrap_or_default(),
        report_time: config.report_time,
        serial: config.threads == 1 && config.parallel.is_none() && !shows_progress(config),
        errors_to_stderr: config.nextest,
    }
}

/// Whether a bar is drawn: on a terminal, where nobody reads standard error but people.
fn shows_progress(config: &Config) -> bool {
    let plain =
        matches!(config.format, None | Some(Format::Pretty)) && !config.quiet && !config.nextest && !config.list;
    plain && io::stderr().is_terminal() && std::env::var_os("TERM").is_some_and(|terminal| terminal != "dumb")
}

/// Draws a bar from now on; see [`Progress::new`] for `planned`.
fn show_progress(printer: &mut Printer, config: &Config, planned: Option<&[String]>, workers: u32, history: &History) {
    let known = planned.unwrap_or_default().iter().filter_map(|name| Some((name.clone(), history.get(name)?.wall_us)));
    let color = match config.color {
        ColorSetting::Always => true,
        ColorSetting::Never => false,
        ColorSetting::Auto => cargo_color().unwrap_or(AutoStream::choice(&io::stderr())) != ColorChoice::Never,
    };
    let progress = Progress::new(planned, workers, known.collect(), color);
    printer.show_progress(progress, config.logfile.is_none() && io::stdout().is_terminal());
}

/// The colours that `CARGO_TERM_COLOR` asks for. Cargo runs test programs without its own flag `--color`.
fn cargo_color() -> Option<ColorChoice> {
    match std::env::var("CARGO_TERM_COLOR").ok()?.as_str() {
        "always" => Some(ColorChoice::Always),
        "never" => Some(ColorChoice::Never),
        _ => None,
    }
}

fn output(config: &Config) -> Result<Box<dyn Write + Send>, RunError> {
    let choice = match config.color {
        ColorSetting::Always => ColorChoice::Always,
        ColorSetting::Never => ColorChoice::Never,
        ColorSetting::Auto if config.logfile.is_some() => ColorChoice::Never,
        // `NO_COLOR`, `CLICOLOR` and `CLICOLOR_FORCE` have their say.
        ColorSetting::Auto => cargo_color().unwrap_or(AutoStream::choice(&io::stdout())),
    };
    Ok(match &config.logfile {
        None => Box::new(AutoStream::new(io::stdout(), choice)),
        Some(path) => {
            let file =
                File::create(path).map_err(|source| RunError::Log { path: path.display().to_string(), source })?;
            Box::new(AutoStream::new(file, choice))
        }
    })
}
