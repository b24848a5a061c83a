//! `slt status`: the last run at a glance.

use std::time::SystemTime;

use clap::Args;

use super::runs::{RUN_HELP, Recorded};
use super::{CommandError, print, print_json};
use crate::report::status::Status;
use crate::summary::ExitStatus;

#[derive(Debug, Args)]
pub(super) struct Flags {
    #[arg(value_name = "RUN", default_value = "latest", help = RUN_HELP)]
    run: String,

    #[command(flatten)]
    recorded: Recorded,

    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// How many files of each kind are listed.
const MOST: usize = 20;

pub(super) fn run(flags: &Flags) -> Result<ExitStatus, CommandError> {
    let (results, path) = flags.recorded.find(&flags.run)?;
    let files = if flags.run == "latest" { flags.recorded.files()? } else { vec![path] };
    let status = Status::new(&results, files);
    if flags.json { print_json(&status) } else { print(&status.text(SystemTime::now(), MOST)) }
}
