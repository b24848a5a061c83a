//! The only kind of lock here: flock, on files that are never unlinked while a process may lock them.

use std::fs::File;
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::error::FileError;

/// How a participant waits for the queue's lock.
///
/// A worker waits silently: its supervisor prints messages for it, and ends it. Other processes print a message, and give up in
/// the end.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Patience {
    /// Whether to wait silently and without a limit.
    pub is_quiet: bool,
    /// When to give up.
    pub deadline: Option<Instant>,
}

/// How long another process may hold the lock before a message says so.
const SILENCE: Duration = Duration::from_secs(5);

/// The minimum wait, even after the deadline: when the time is over, this process must still record how the run ends.
const LEAST: Duration = if cfg!(test) { Duration::from_millis(100) } else { Duration::from_secs(10) };

/// The longest pause between two tries: at first, and later.
const PAUSES: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(20)];

/// Waits for the exclusive lock on the queue's file.
pub(super) fn patiently(file: &File, path: &Path, patience: Patience) -> Result<(), FileError> {
    if patience.is_quiet {
        return exclusive(file, path);
    }
    let begun = Instant::now();
    let mut pause = Duration::from_micros(20);
    let mut reported = false;
    loop {
        match fs2::FileExt::try_lock_exclusive(file) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(none(path, error)),
        }
        let waited = begun.elapsed();
        if waited > LEAST && patience.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(FileError::LockHeld { path: path.to_path_buf(), waited });
        }
        if waited > SILENCE && !std::mem::replace(&mut reported, true) {
            note!(
                "waiting for the lock on `{}`, which another process holds: is it stopped, or another program?",
                path.display()
            );
        }
        thread::sleep(pause);
        pause = (pause * 2).min(PAUSES[usize::from(waited > SILENCE)]);
    }
}

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

/// Whether no process holds the exclusive lock on `file`.
///
/// Asks for a shared lock, so that two processes that check at once do not mistake each other for the owner.
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
/// Closing the file is not enough: a child that another thread is starting may also have it open.
pub(super) fn release(file: &File) {
    let _ = fs2::FileExt::unlock(file);
}

fn none(path: &Path, error: io::Error) -> FileError {
    FileError::NoLocks { path: path.to_path_buf(), source: Some(error) }
}
