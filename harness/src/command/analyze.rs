//! `slt analyze`: failures by cause.

use clap::Args;

use super::runs::{RUN_HELP, Recorded};
use super::{CommandError, print, print_json};
use crate::report::clusters::Clusters;
use crate::summary::ExitStatus;

#[derive(Debug, Args)]
pub(super) struct Flags {
    /// Show what to fix first instead, and what pass rate that leads to
    #[arg(long)]
    top_fixes: bool,

    #[arg(long, value_name = "RUN", default_value = "latest", help = RUN_HELP)]
    from: String,

    #[command(flatten)]
    recorded: Recorded,

    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// How many causes are listed as the first to fix.
const MOST: usize = 10;

pub(super) fn run(flags: &Flags) -> Result<ExitStatus, CommandError> {
    let (results, _) = flags.recorded.find(&flags.from)?;
    let clusters = Clusters::new(&results);
    if let Some(portion) = results.portion().filter(|_| !flags.json) {
        note!("a run of {portion}");
    }
    match (flags.top_fixes, flags.json) {
        (false, false) => print(&clusters.text()),
        (false, true) => print_json(&clusters),
        (true, false) => print(&clusters.top_fixes_text(MOST)),
        (true, true) => print_json(&clusters.top_fixes(MOST)),
    }
}
