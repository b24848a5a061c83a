//! `slt punchlist`: a checklist of failing files.

use std::path::{Path, PathBuf};

use clap::Args;

use super::runs::{RUN_HELP, Recorded};
use super::{CommandError, is_stdout, print, print_json};
use crate::report::punchlist::Punchlist;
use crate::summary::ExitStatus;

#[derive(Debug, Args)]
pub(super) struct Flags {
    #[arg(long, value_name = "RUN", default_value = "latest", help = RUN_HELP)]
    from: String,

    #[arg(long, value_name = "FILE", help = OUTPUT_HELP)]
    output: Option<PathBuf>,

    #[command(flatten)]
    recorded: Recorded,

    /// Write it as JSON, by default to standard output
    #[arg(long)]
    json: bool,
}

/// The help of the flag for the file that gets the list.
pub(super) const OUTPUT_HELP: &str =
    "Where to write the list, `-` for standard output; default: `sqllogictest_punchlist.md` in the results folder";

/// The file in the results folder that gets the Markdown, unless the user names another one.
const OUTPUT: &str = "sqllogictest_punchlist.md";

pub(super) fn run(flags: &Flags) -> Result<ExitStatus, CommandError> {
    write(&flags.recorded, &flags.from, flags.output.as_deref(), flags.json)
}

/// Writes the checklist of a run.
pub(super) fn write(
    recorded: &Recorded,
    from: &str,
    output: Option<&Path>,
    as_json: bool,
) -> Result<ExitStatus, CommandError> {
    let (results, _) = recorded.find(from)?;
    let punchlist = Punchlist::new(&results);
    let output = match output {
        None if as_json => PathBuf::from("-"),
        None => recorded.folder()?.join(OUTPUT),
        Some(output) => output.to_owned(),
    };
    if is_stdout(&output) {
        return if as_json { print_json(&punchlist) } else { print(&punchlist.markdown()) };
    }
    let text = if as_json { super::json(&punchlist) } else { punchlist.markdown() };
    super::write(&output, text.as_bytes())?;
    print(&format!("{}\nwrote `{}`\n", punchlist.summary(), output.display()))
}
