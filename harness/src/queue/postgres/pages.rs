//! The pages of this machine's participants: what each is running, and whether its process runs.
//!
//! For participants that share this machine and this folder there is faster evidence than the server's: each holds a
//! lock on its own page, as in a queue file.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use crate::queue::file::liveness::{LivenessLock, LivenessLocks};
use crate::queue::file::{FileError, io};
use crate::queue::{Live, Running};

/// The age after which a page is no longer needed.
const OLD: Duration = Duration::from_secs(24 * 3600);

/// The pages of one run in one folder.
#[derive(Debug)]
pub(super) struct Pages {
    locks: LivenessLocks,
    place: String,
    alive: Option<LivenessLock>,
}

impl Pages {
    /// The pages of a run in `server.live` below `folder`.
    pub(super) fn new(folder: &Path, run: i64) -> Result<Pages, FileError> {
        let locks = LivenessLocks::new(&folder.join("server"), &format!("{:016x}", run.cast_unsigned()));
        fs::create_dir_all(locks.folder()).map_err(io("create", locks.folder()))?;
        let metadata = fs::metadata(locks.folder()).map_err(io("read", locks.folder()))?;
        // Two processes with the same kernel and the same folder see each other's locks, whatever names they use.
        let place = format!("{}:{:x}:{:x}", kernel(), metadata.dev(), metadata.ino());
        Ok(Pages { locks, place, alive: None })
    }

    /// The machine and the folder, for comparison by other participants.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Takes the lock of participant number `worker`.
    pub(super) fn acquire(&mut self, worker: u32) -> Result<(), FileError> {
        self.alive = Some(self.locks.acquire(worker)?);
        self.locks.clean_up(OLD);
        Ok(())
    }

    /// Where this participant writes down what it is running.
    pub(super) fn live(&self) -> Live {
        self.alive.as_ref().map_or_else(Live::private, |alive| alive.live.clone())
    }

    /// Whether the process of `worker`, which is at `place`, is known to have ended.
    pub(super) fn has_died(&self, worker: u32, place: &str) -> Result<bool, FileError> {
        // A participant without a page may not have created it yet.
        Ok(place == self.place && self.locks.has_page(worker) && self.locks.is_dead(worker)?)
    }

    /// The record that `worker` is running, or was running when it ended; `None` if it is not known here.
    pub(super) fn running(&self, worker: u32) -> Result<Option<Running>, FileError> {
        self.locks.running(worker)
    }
}

/// Identifies this boot of this machine.
fn kernel() -> String {
    match fs::read_to_string("/proc/sys/kernel/random/boot_id") {
        Ok(id) => id.trim().to_owned(),
        Err(_) => rustix::system::uname().nodename().to_string_lossy().into_owned(),
    }
}
