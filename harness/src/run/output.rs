//! Where and how a run prints: makes the printer and the bar that the config asks for.

use std::fs::File;
use std::io::{self, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use libtest_mimic::ColorSetting;

use super::error::RunError;
use super::mode::Mode;
use crate::config::Config;
use crate::history::History;
use crate::report::libtest::{Format, Layout, Printer};
use crate::report::progress::Progress;
use crate::suite::TestFile;

/// The printer for a run over these files.
///
/// # Errors
/// The log file cannot be created.
pub(super) fn printer(config: &Config, mode: Mode<'_>, files: &[TestFile]) -> Result<Printer, RunError> {
    let layout = Layout {
        format: config.format.unwrap_or_default(),
        report_time: config.report_time,
        serial: config.threads == 1 && matches!(mode, Mode::Alone) && !shows_progress(config),
        errors_to_stderr: config.nextest,
    };
    Ok(Printer::new(output(config)?, layout, files))
}

/// Whether a bar is drawn: only on a terminal, where people read standard error.
pub(super) fn shows_progress(config: &Config) -> bool {
    let plain =
        matches!(config.format, None | Some(Format::Pretty)) && !config.quiet && !config.nextest && !config.list;
    plain && io::stderr().is_terminal() && std::env::var_os("TERM").is_some_and(|terminal| terminal != "dumb")
}

/// Draws a bar from now on; see [`Progress::new`] for `planned`.
pub(super) fn show_progress(
    printer: &mut Printer,
    config: &Config,
    planned: Option<&[String]>,
    workers: u32,
    history: &History,
) {
    let known = planned.unwrap_or_default().iter().filter_map(|name| Some((name.clone(), history.get(name)?.wall_us)));
    let color = match config.color {
        ColorSetting::Always => true,
        ColorSetting::Never => false,
        ColorSetting::Auto => cargo_color().unwrap_or(AutoStream::choice(&io::stderr())) != ColorChoice::Never,
    };
    let progress = Progress::new(planned, workers, known.collect(), color);
    printer.show_progress(progress, config.logfile.is_none() && io::stdout().is_terminal());
}

/// Standard output, in colour if it is a terminal or the environment asks for colours.
pub(crate) fn colored_stdout() -> AutoStream<io::Stdout> {
    AutoStream::new(io::stdout(), cargo_color().unwrap_or(AutoStream::choice(&io::stdout())))
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
        // `AutoStream` reads `NO_COLOR`, `CLICOLOR` and `CLICOLOR_FORCE`.
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
