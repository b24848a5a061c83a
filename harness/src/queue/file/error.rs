//! Errors of a queue file.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::queue::QueueError;

/// Why a queue file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// A system call failed.
    #[error("cannot {what} `{path}`")]
    Io {
        /// The operation: `open`, `read`.
        what: &'static str,
        /// The path.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The file system cannot lock, so nothing would keep two processes apart.
    #[error("cannot lock `{path}`: a queue needs a file system with working locks")]
    NoLocks {
        /// The file.
        path: PathBuf,
        /// The system's error; `None` if it granted two exclusive locks at once.
        #[source]
        source: Option<io::Error>,
    },
    /// Another process held the queue's lock until this process gave up.
    #[error(
        "another process has held the lock on `{path}` for {} s, and the time budget is over: is it stopped, or another \
         program?",
        .waited.as_secs()
    )]
    LockHeld {
        /// The file.
        path: PathBuf,
        /// How long this process waited.
        waited: Duration,
    },
    /// No space for one more record. What was written before is intact, and `--resume` can continue from there.
    #[error("no room to write `{path}`; the queue was cut back to its last whole record")]
    Full {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The file is not a queue.
    #[error("`{path}` is not a queue")]
    NotAQueue {
        /// The file.
        path: PathBuf,
    },
    /// A newer program wrote the queue.
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
    /// A run's file was emptied, truncated or deleted from outside during the run.
    #[error("`{path}` was {how} during the run")]
    Wiped {
        /// The file.
        path: PathBuf,
        /// `emptied`, `cut short` or `deleted`.
        how: &'static str,
    },
    /// The file has contents that no participant wrote.
    #[error("`{path}` is damaged at byte {at}: {what}; delete it to start over")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The byte offset.
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

/// Makes the error of doing `what` to `path`, for `map_err`.
pub(in crate::queue) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_path_buf();
    move |source| FileError::Io { what, path, source }
}
