//! `slt analyze`: failures by cause.

use std::path::PathBuf;

use clap::Args;

use super::punchlist::{self, OUTPUT_HELP};
use super::runs::{RUN_HELP, Recorded};
use super::{CommandError, print, print_json};
use crate::outcome::Results;
use crate::report::clusters::Clusters;
use crate::report::comparison;
use crate::summary::ExitStatus;

#[derive(Debug, Args)]
pub(super) struct Flags {
    /// Show what to fix first instead, and the pass rate after each fix
    #[arg(long)]
    top_fixes: bool,

    /// Write a checklist of failing files in Markdown instead, by first cause
    #[arg(long, conflicts_with_all = ["top_fixes", "json"])]
    markdown: bool,

    #[arg(long, value_name = "FILE", requires = "markdown", help = OUTPUT_HELP)]
    output: Option<PathBuf>,

    #[arg(long, value_name = "RUN", default_value = "latest", help = RUN_HELP)]
    from: String,

    #[command(flatten)]
    recorded: Recorded,

    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// How the records compare on the reference, as text; empty if there was none.
fn compared(results: &Results) -> String {
    match comparison::list(&results.outcomes) {
        list if list.is_empty() => list,
        list => format!("\n{list}"),
    }
}

/// How many causes `--top-fixes` lists.
const MOST: usize = 10;

pub(super) fn run(flags: &Flags) -> Result<ExitStatus, CommandError> {
    if flags.markdown {
        return punchlist::write(&flags.recorded, &flags.from, flags.output.as_deref(), false);
    }
    let (results, _) = flags.recorded.find(&flags.from)?;
    let clusters = Clusters::new(&results);
    if let Some(portion) = results.portion().filter(|_| !flags.json) {
        note!("a run of {portion}");
    }
    match (flags.top_fixes, flags.json) {
        (false, false) => print(&(clusters.text() + &compared(&results))),
        (false, true) => print_json(&clusters),
        (true, false) => print(&clusters.top_fixes_text(MOST)),
        (true, true) => print_json(&clusters.top_fixes(MOST)),
    }
}
