//! What can go wrong with a queue that is a file.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::queue::QueueError;

/// Why a queue file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// An operation of the system failed.
    #[error("cannot {what} `{path}`")]
    Io {
        /// What was tried: `open`, `read`.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The file system cannot lock, so that nothing would keep two processes apart.
    #[error("cannot lock `{path}`: a queue needs a file system with working locks")]
    NoLocks {
        /// The file.
        path: PathBuf,
        /// What the system says; none if it granted two exclusive locks at a time.
        #[source]
        source: Option<io::Error>,
    },
    /// Somebody else held the queue's lock until there was no more time.
    #[error(
        "another process has held the lock on `{path}` for {} s, and the time budget is over: is it stopped, or another \
         program?",
        .waited.as_secs()
    )]
    LockHeld {
        /// The file.
        path: PathBuf,
        /// How long this one has waited.
        waited: Duration,
    },
    /// No room for one more record. What was written before is whole, and `--resume` can go on from there.
    #[error("no room to write `{path}`; the queue was cut back to its last whole record")]
    Full {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Something else than a queue.
    #[error("`{path}` is not a queue")]
    NotAQueue {
        /// The file.
        path: PathBuf,
    },
    /// A queue that a newer program made.
    #[error(
        "`{path}` has format version {version}, and this program knows {known}: name another file with `--queue`, \
         or use the release that made it"
    )]
    NewerVersion {
        /// The file.
        path: PathBuf,
        /// The version in its header.
        version: u64,
        /// The newest version that can be read.
        known: u64,
    },
    /// A run's file that was emptied, cut or deleted from outside while the run was under way.
    #[error("`{path}` was {how} during the run")]
    Wiped {
        /// The file.
        path: PathBuf,
        /// `emptied`, `cut short` or `deleted`.
        how: &'static str,
    },
    /// Contents that no participant has written.
    #[error("`{path}` is damaged at byte {at}: {what}; delete it to begin anew")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        at: u64,
        /// What is wrong there.
        what: String,
    },
}

impl From<FileError> for QueueError {
    fn from(error: FileError) -> Self {
        QueueError::Storage(Box::new(error))
    }
}

/// For `map_err`: the error of doing `what` to `path`.
pub(in crate::queue) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_path_buf();
    move |source| FileError::Io { what, path, source }
}
