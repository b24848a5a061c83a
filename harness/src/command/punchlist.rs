//! `slt punchlist`: failing files to be ticked off.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use super::runs::{RUN_HELP, Recorded};
use super::{CommandError, print, print_json};
use crate::report::punchlist::Punchlist;
use crate::summary::ExitStatus;

#[derive(Debug, Args)]
pub(super) struct Flags {
    #[arg(long, value_name = "FILE", default_value = "latest", help = RUN_HELP)]
    from: String,

    /// Where to write the list, `-` for standard output; default: `target/sqllogictest_punchlist.md`
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    recorded: Recorded,

    /// Write it as JSON, by default to standard output
    #[arg(long)]
    json: bool,
}

/// Where the Markdown goes if nobody says so.
const OUTPUT: &str = "target/sqllogictest_punchlist.md";

pub(super) fn run(flags: &Flags) -> Result<ExitStatus, CommandError> {
    let (results, _) = flags.recorded.find(&flags.from)?;
    let punchlist = Punchlist::new(&results);
    let output = match &flags.output {
        None if flags.json => Path::new("-"),
        None => Path::new(OUTPUT),
        Some(output) => output,
    };
    if output == Path::new("-") {
        return if flags.json { print_json(&punchlist) } else { print(&punchlist.markdown()) };
    }
    let text = if flags.json { super::json(&punchlist) } else { punchlist.markdown() };
    let folder = output.parent().map_or(Ok(()), fs::create_dir_all);
    folder
        .and_then(|()| fs::write(output, text))
        .map_err(|source| CommandError::Write { path: output.display().to_string(), source })?;
    print(&format!("{}\nwrote `{}`\n", punchlist.summary(), output.display()))
}
