//! `slt run`, `slt list` and `slt config`: take the flags of a test target, and use the suite and engine of `slt`.

use std::sync::Arc;

use crate::action::{as_command, complain};
use crate::config::{Config, Flags, Read};
use crate::engine::Engine;
use crate::suite::{Suite, shown};
use crate::summary::ExitStatus;

/// Runs the files.
pub(super) fn run(flags: Flags, read: Read, suite: Suite, engine: Arc<dyn Engine>) -> ExitStatus {
    go(flags, read, suite, engine, false)
}

/// Lists the files.
pub(super) fn list(flags: Flags, read: Read, suite: Suite, engine: Arc<dyn Engine>) -> ExitStatus {
    go(flags, read, suite, engine, true)
}

/// Shows the settings that are in force for `slt run` with these flags.
pub(super) fn config(mut flags: Flags, read: Read, suite: Suite, engine: Arc<dyn Engine>) -> ExitStatus {
    flags.show_config = true;
    go(flags, read, suite, engine, false)
}

fn go(mut flags: Flags, read: Read, suite: Suite, engine: Arc<dyn Engine>, list: bool) -> ExitStatus {
    flags.imply(read.own());
    match Config::from_flags(flags).map(|config| config.under(read)) {
        Ok(mut config) if config.show_config => {
            config.in_force.set_default("roots", suite.roots().iter().map(|root| shown(root).into_owned()).collect());
            config.in_force.set_default("engine", vec![engine.name().to_owned()]);
            crate::run::show_config(&config)
        }
        Ok(config) => crate::run::run(suite, engine, &as_command(config, list)),
        Err(message) => complain(&message, ExitStatus::Usage),
    }
}
