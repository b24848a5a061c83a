//! The one kind of lock there is: flock, on files that are never unlinked while someone may lock them.

use std::fs::File;
use std::io;
use std::path::Path;

use super::error::FileError;

/// Waits for the exclusive lock on `file`.
pub(super) fn exclusive(file: &File, path: &Path) -> Result<(), FileError> {
    loop {
        match fs2::FileExt::lock_exclusive(file) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(none(path, error)),
        }
    }
}

/// Whether nobody holds the exclusive lock on `file`.
///
/// Asks for a shared lock, so that two processes that look at once do not mistake each other for the owner.
pub(super) fn is_free(file: &File, path: &Path) -> Result<bool, FileError> {
    loop {
        match fs2::FileExt::try_lock_shared(file) {
            Ok(()) => {
                release(file);
                return Ok(true);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(none(path, error)),
        }
    }
}

/// Releases a lock.
///
/// Closing the file is not enough: a child that another thread is just spawning may have it open, too.
pub(super) fn release(file: &File) {
    let _ = fs2::FileExt::unlock(file);
}

fn none(path: &Path, error: io::Error) -> FileError {
    FileError::NoLocks { path: path.to_path_buf(), source: Some(error) }
}
