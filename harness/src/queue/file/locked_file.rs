//! The queue's file while it is opened.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::error::{FileError, io};
use super::lock::{self, Patience};
use crate::queue::QueueError;

/// The queue's file, locked from opening to the join.
pub(super) struct LockedFile<'a> {
    pub(super) file: File,
    pub(super) path: &'a Path,
    pub(super) patience: Patience,
}

impl<'a> LockedFile<'a> {
    /// Opens the file at `path` and waits for its lock.
    pub(super) fn lock(path: &'a Path, options: &fs::OpenOptions, patience: Patience) -> Result<Self, QueueError> {
        loop {
            let file = options.open(path).map_err(io("open", path))?;
            forget_reads(&file);
            lock::patiently(&file, path, patience)?;
            let locked = LockedFile { file, path, patience };
            let (ours, theirs) = (locked.file.metadata(), fs::metadata(path));
            let ours = ours.map_err(io("read", path))?;
            // The file may have been deleted during the wait: the lock must be on the file that others find.
            if theirs.is_ok_and(|theirs| (theirs.dev(), theirs.ino()) == (ours.dev(), ours.ino())) {
                locked.prove()?;
                return Ok(locked);
            }
        }
    }

    /// Checks that the lock excludes others; some file systems only pretend to lock.
    fn prove(&self) -> Result<(), FileError> {
        let other = File::open(self.path).map_err(io("open", self.path))?;
        match lock::is_free(&other, self.path)? {
            true => Err(FileError::NoLocks { path: self.path.to_path_buf(), source: None }),
            false => Ok(()),
        }
    }
}

impl Drop for LockedFile<'_> {
    fn drop(&mut self) {
        lock::release(&self.file);
    }
}

/// Asks the system not to record the time of reads (`O_NOATIME`). With writes in between, the system would record it at every
/// read, which costs a tenth of a claim. Only the file's owner may ask; for others, reads stay slower.
fn forget_reads(file: &File) {
    #[cfg(target_os = "linux")]
    if let Ok(flags) = rustix::fs::fcntl_getfl(file) {
        let _ = rustix::fs::fcntl_setfl(file, flags | rustix::fs::OFlags::NOATIME);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}
