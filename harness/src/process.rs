//! Starts, watches and ends the processes of a supervisor. No process remains at the end.
//!
//! A [`Family`] is all processes of one run: its [`Child`]ren, their descendants, and a [`guardian`] that exits shortly
//! after the supervisor. No process of it is left:
//!
//! | what ends | what happens |
//! |---|---|
//! | a child, by itself | the rest of its group and every process with its mark is killed before the child is reaped |
//! | a child, on request | TERM to its group, a grace period, KILL; then as above |
//! | the supervisor, even by `kill -9` | the guardian sees its pipe close and kills the rest of the family |
//! | the guardian | [`Family::tend`] starts another |
//!
//! Every child leads its own process group, and all its descendants inherit a mark in the environment variable
//! [`MARK`]. So a daemon that left the group with `setsid` is still found in `/proc/*/environ`. A process that leaves
//! the group *and* empties its environment is found while its ancestors run and, after [`Family::adopt_orphans`],
//! at the end.
//!
//! No signal goes to a pid that may have been reused. A child's group is signalled while the child is unreaped, which
//! keeps the pid taken. Any other process is signalled through a pidfd, and only if it is the one that was checked.
//!
//! Killing works on Unix. The parts that need `/proc`, pidfds and `prctl` exist on Linux only.

use std::io;
use std::path::PathBuf;
use std::process::Command;

mod mark;
use mark::Mark;

#[cfg(target_os = "linux")]
mod proc;

mod table;

mod exit;
pub use exit::{Exit, kernel_oom_kills, read_tail, says_out_of_memory};

pub mod guardian;

mod shared;

mod child;
pub use child::{Child, Stdin};

mod family;
pub use family::Family;

mod worker;
pub use worker::{PeakMemory, die_with_parent, forbid_core_dumps, grant_stack, has_stack, limit_memory};

mod interrupts;
pub use interrupts::{Interruption, Interrupts};

#[cfg(all(test, target_os = "linux"))]
mod tests;

/// The environment variable that identifies the processes of a family.
///
/// Its value is a chain `TOKEN.NUMBER[:TOKEN.NUMBER]…`: a run within a run appends to the inherited value, so that the
/// outer run finds everything.
pub const MARK: &str = "SLT_RUN_TOKEN";

/// The environment variable that gives a child the process id of the supervisor, for [`die_with_parent`].
pub const PARENT: &str = "SLT_PARENT";

/// Why a process could not be started, watched or ended.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The log file for a child's output cannot be opened.
    #[error("cannot open the log `{}`: {source}", .path.display())]
    Log {
        /// The path of the log.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A program could not be started.
    #[error("cannot start `{program}`: {source}")]
    Spawn {
        /// The program, without its arguments.
        program: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The system does not know this child, or does not know it any more.
    #[error("cannot wait for process {pid}: {source}")]
    Wait {
        /// The child's process id.
        pid: u32,
        /// The system's reason.
        source: io::Error,
    },
    /// A program that was started as a guardian did not become one.
    #[error("no guardian process: {reason}")]
    Guardian {
        /// What the program did instead.
        reason: String,
    },
    /// A limit could not be set.
    #[error("cannot limit {what}: {source}")]
    Limit {
        /// The limit.
        what: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// The supervisor that started this process is gone.
    #[error("the supervisor (process {expected}) is gone")]
    Orphaned {
        /// The supervisor's process id.
        expected: String,
    },
    /// The system refused a setting of this process.
    #[error("cannot {what}: {source}")]
    Setting {
        /// The setting.
        what: &'static str,
        /// The system's reason.
        source: io::Error,
    },
}

/// A command for the program that this process runs, even if its file has since been replaced by a newer build.
pub fn same_executable() -> Command {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::process::CommandExt;
        let mut command = Command::new("/proc/self/exe");
        // Sets the name in process listings; otherwise all would show `/proc/self/exe`.
        if let Some(name) = std::env::args_os().next() {
            command.arg0(name);
        }
        command
    }
    #[cfg(not(target_os = "linux"))]
    Command::new(std::env::current_exe().unwrap_or_else(|_| std::env::args_os().next().unwrap_or_default().into()))
}
