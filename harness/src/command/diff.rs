//! `slt diff`: what changed from one run to another.

use clap::Args;

use super::runs::{RUN_HELP, Recorded, before};
use super::{CommandError, print, print_json};
use crate::report::compare::Comparison;
use crate::summary::ExitStatus;

#[derive(Debug, Args)]
pub(super) struct Flags {
    #[arg(value_name = "BEFORE", default_value = "previous", help = RUN_HELP)]
    before: String,

    /// The later run, named likewise
    #[arg(value_name = "AFTER", default_value = "latest")]
    after: String,

    #[command(flatten)]
    recorded: Recorded,

    /// Print it as JSON, with no file left out
    #[arg(long)]
    json: bool,
}

/// How many files of each list are shown.
const MOST: usize = 50;

pub(super) fn run(flags: &Flags) -> Result<ExitStatus, CommandError> {
    let (earlier, _) = flags.recorded.find(&flags.before)?;
    let (after, _) = flags.recorded.find(&flags.after)?;
    let comparison = Comparison::new(&earlier, &after);
    if flags.json {
        return print_json(&comparison);
    }
    let printed = print(&comparison.text(MOST))?;
    if comparison.is_partial() && flags.before == "previous" {
        let like = before(&after, &flags.recorded.copies()?).filter(|other| other.has_scope_of(&after));
        if let Some(like) = like.filter(|like| like.run_id != earlier.run_id) {
            note!(
                "\nRun `{}` is the last one of the same files: `slt diff {} {}`",
                like.run_id,
                like.run_id,
                flags.after
            );
        }
    }
    Ok(printed)
}
