//! `slt clean`: drops the databases that killed runs have left on a server.

use clap::Args;

use super::complain;
use crate::config::{self, ENGINE, Secret, secret};
use crate::engine::{CleanError, Leftover, LeftoverState};
use crate::summary::ExitStatus;

/// The flags of `slt clean`.
#[derive(Debug, Args)]
pub(super) struct Flags {
    /// The server: `postgres://…` or `mysql://…`
    #[arg(long, value_name = "ENGINE", env = ENGINE, value_parser = secret)]
    engine: Secret,

    /// Drop nothing; print what would be dropped
    #[arg(long)]
    dry_run: bool,
}

/// Drops the databases, or prints which ones it would drop.
pub(super) fn run(flags: &Flags) -> ExitStatus {
    let choice = match config::chosen(&flags.engine) {
        Ok(choice) => choice,
        Err(message) => return complain(&message, ExitStatus::Usage),
    };
    let leftovers = match choice.clean(flags.dry_run) {
        Ok(leftovers) => leftovers,
        Err(error @ CleanError::Choice(_)) => return complain(&error.to_string(), ExitStatus::Usage),
        Err(error) => return complain(&error.to_string(), ExitStatus::Broken),
    };
    let mut status = ExitStatus::Passed;
    for Leftover { name, state } in &leftovers {
        match state {
            LeftoverState::Dropped if flags.dry_run => say!("would drop {name}"),
            LeftoverState::Dropped => say!("dropped {name}"),
            LeftoverState::InUse => say!("left {name}: a run or an open connection uses it"),
            LeftoverState::Stays(why) => status = complain(&format!("cannot drop {name}: {why}"), ExitStatus::Broken),
        }
    }
    if leftovers.is_empty() {
        say!("nothing to drop on {choice}");
    }
    status
}
