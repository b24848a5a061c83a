//! `slt report`: the results of a run as one HTML page.

use std::path::{Path, PathBuf};

use clap::Args;

use super::runs::{RUN_HELP, Recorded, before, is_file, past};
use super::{CommandError, is_stdout, print, print_raw, write};
use crate::escape;
use crate::report::html;
use crate::summary::ExitStatus;

/// The flags of `slt report`.
#[derive(Debug, Args)]
pub(super) struct Flags {
    #[arg(value_name = "RUN", default_value = "latest", help = RUN_HELP)]
    run: String,

    /// Where to write the page, `-` for standard output; default: `report.html` in the results folder
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Open the page in a browser
    #[arg(long)]
    open: bool,

    /// The run to compare with; default: the last one before it on the same engine, if there is one
    #[arg(long, value_name = "RUN")]
    compare: Option<String>,

    #[command(flatten)]
    recorded: Recorded,
}

/// Writes the page, and opens it if asked to.
pub(super) fn run(flags: &Flags) -> Result<ExitStatus, CommandError> {
    if flags.open && flags.output.as_deref().is_some_and(is_stdout) {
        return Err(CommandError::NothingToOpen);
    }
    let (results, _) = flags.recorded.find(&flags.run)?;
    let previous = match &flags.compare {
        Some(name) => Some(flags.recorded.find(name)?.0),
        // A results file that the user names has no past runs beside it, unless a flag names their folder.
        None if is_file(&flags.run) => before(&results, &flags.recorded.copies().unwrap_or_default()),
        None => before(&results, &flags.recorded.copies()?),
    };
    let path = match &flags.output {
        Some(path) => path.clone(),
        None => flags.recorded.folder()?.join("report.html"),
    };
    let copies = flags.recorded.copies().unwrap_or_default();
    let past = past(&results, &copies, html::PAST_RUNS);
    let page = html::page(&results, previous.as_ref(), &past);
    if is_stdout(&path) {
        return print_raw(&page.replace(escape::is_obeyed, "\u{fffd}"));
    }
    write(&path, page.as_bytes())?;
    let status = print(&format!("{}\n", path.display()))?;
    if flags.open {
        open_page(&path)?;
    }
    Ok(status)
}

/// Opens the page without waiting for the browser to be closed.
fn open_page(path: &Path) -> Result<(), CommandError> {
    let failed = |source| CommandError::Open { path: path.display().to_string(), source };
    let path = path.canonicalize().map_err(failed)?;
    open::that_detached(&path).map_err(failed)
}
