//! `slt run` and `slt list`: a test target's own flags, on the command's suite and engine.

use std::sync::Arc;

use super::complain;
use crate::config::{self, Config, Flags};
use crate::engine::Engine;
use crate::suite::Suite;
use crate::summary::ExitStatus;

/// Runs the files; with `--parallel` on a worker for each processor, unless told how many.
pub(super) fn run(flags: Flags, suite: Suite, engine: Arc<dyn Engine>) -> ExitStatus {
    go(flags, suite, engine, false)
}

/// Lists the files.
pub(super) fn list(flags: Flags, suite: Suite, engine: Arc<dyn Engine>) -> ExitStatus {
    go(flags, suite, engine, true)
}

fn go(flags: Flags, suite: Suite, engine: Arc<dyn Engine>, list: bool) -> ExitStatus {
    match Config::from_flags(flags) {
        Ok(mut config) => {
            let list = list || config.list;
            if let Some(parallel) = &mut config.parallel {
                parallel.workers = parallel.workers.or(Some(config::cores()));
            }
            crate::run::run(suite, engine, Config { list, table: !list, ..config })
        }
        Err(message) => complain(&message, ExitStatus::Usage),
    }
}
