//! Processes that a supervisor starts, watches, ends, and never leaves behind.
//!
//! A [`Family`] is all the processes of one run: its [`Child`]ren, whatever those start, and a [`guardian`] that
//! outlives the supervisor by a moment. Nothing of it stays, whoever dies first:
//!
//! | who dies | what happens |
//! |---|---|
//! | a child, by itself | the rest of its group and all that carries its mark is killed before the child is reaped |
//! | a child, on request | TERM to its group, a grace period, KILL; then as above |
//! | the supervisor, by `kill -9` too | the guardian sees its pipe close and kills all that is left of the family |
//! | the guardian | [`Family::tend`] starts another |
//!
//! Every child leads a process group of its own, and inherits a mark in the environment variable [`MARK`] to all that
//! it starts; so a daemon that left the group with `setsid` is still found in `/proc/*/environ`. What leaves the group
//! *and* empties its environment is found while its ancestors live and, after [`Family::adopt_orphans`], at the end.
//!
//! No process number is signalled that may have passed on to a stranger: a child's group is signalled while the child
//! is unreaped, which keeps its number; any other process through a pidfd, and only if it is the one that was looked at.
//!
//! Killing works on Unix; what needs `/proc`, pidfds and `prctl` is there on Linux only, and absent elsewhere.

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

mod family;
pub use family::Family;

mod child;
pub use child::{Child, Stdin};

mod worker;
pub use worker::{PeakMemory, die_with_parent, forbid_core_dumps, grant_stack, has_stack, limit_memory};

mod interrupts;
pub use interrupts::{Interruption, Interrupts};

#[cfg(all(test, target_os = "linux"))]
mod tests;

/// The environment variable by which the processes of a family are known.
///
/// Its value is a chain `TOKEN.NUMBER[:TOKEN.NUMBER]…`: a run within a run adds to what it inherited, so that the
/// outer one finds everything.
pub const MARK: &str = "SLT_RUN_TOKEN";

/// The environment variable that tells a child the process id of the supervisor, for [`die_with_parent`].
pub const PARENT: &str = "SLT_PARENT";

/// Why a process could not be started, watched or ended.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The file that was to receive a child's output.
    #[error("cannot open the log `{}`: {source}", .path.display())]
    Log {
        /// Where it was to be.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A program that could not be started.
    #[error("cannot start `{program}`: {source}")]
    Spawn {
        /// The program, without its arguments.
        program: String,
        /// The system's reason.
        source: io::Error,
    },
    /// A child of which the system knows nothing (any more).
    #[error("cannot wait for process {pid}: {source}")]
    Wait {
        /// The child's process id.
        pid: u32,
        /// The system's reason.
        source: io::Error,
    },
    /// A program that, started as guardian, did something else.
    #[error("no guardian process: {reason}")]
    Guardian {
        /// What was seen.
        reason: String,
    },
    /// A limit that could not be set.
    #[error("cannot limit {what}: {source}")]
    Limit {
        /// What was to be limited.
        what: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// This process was started by a supervisor that is gone.
    #[error("the supervisor (process {expected}) is gone")]
    Orphaned {
        /// The supervisor's process id.
        expected: String,
    },
    /// A setting of this process that the system refused.
    #[error("cannot {what}: {source}")]
    Setting {
        /// What was to be done.
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
        // Only a name for process listings; without it they would all show `/proc/self/exe`.
        if let Some(name) = std::env::args_os().next() {
            command.arg0(name);
        }
        command
    }
    #[cfg(not(target_os = "linux"))]
    Command::new(std::env::current_exe().unwrap_or_else(|_| std::env::args_os().next().unwrap_or_default().into()))
}
