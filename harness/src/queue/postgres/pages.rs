//! What participants of this machine run, and whether their processes live.
//!
//! Beside the server's word there is a better one for participants that share this machine and this folder: each holds a
//! lock on a page of its own, as in a queue that is a file.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use crate::queue::file::lives::{Alive, Lives};
use crate::queue::file::{FileError, io};
use crate::queue::{Live, Running};

/// How old a page is that nobody has any use for.
const OLD: Duration = Duration::from_secs(24 * 3600);

/// The pages of one run in one folder.
#[derive(Debug)]
pub(super) struct Pages {
    lives: Lives,
    place: String,
    alive: Option<Alive>,
}

impl Pages {
    /// The pages of a run in `server.live` below `folder`.
    pub(super) fn new(folder: &Path, run: i64) -> Result<Pages, FileError> {
        let lives = Lives::new(&folder.join("server"), &format!("{:016x}", run.cast_unsigned()));
        fs::create_dir_all(lives.folder()).map_err(io("create", lives.folder()))?;
        let metadata = fs::metadata(lives.folder()).map_err(io("read", lives.folder()))?;
        // Two processes with the same kernel and the same folder see each other's locks, whatever they call either.
        let place = format!("{}:{:x}:{:x}", kernel(), metadata.dev(), metadata.ino());
        Ok(Pages { lives, place, alive: None })
    }

    /// The machine and the folder, as others can compare them with their own.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Becomes participant number `worker`.
    pub(super) fn come_alive(&mut self, worker: u32) -> Result<(), FileError> {
        self.alive = Some(self.lives.come_alive(worker)?);
        self.lives.clean_up(OLD);
        Ok(())
    }

    /// Where this participant notes what it runs.
    pub(super) fn live(&self) -> Live {
        self.alive.as_ref().map_or_else(Live::private, |alive| alive.live.clone())
    }

    /// Whether the process of `worker`, who is at `place`, is known to have ended.
    pub(super) fn has_died(&self, worker: u32, place: &str) -> Result<bool, FileError> {
        // Without its page, it may not have come to make it.
        Ok(place == self.place && self.lives.has_page(worker) && self.lives.is_dead(worker)?)
    }

    /// What `worker` runs, or ran when it died, if that is known here.
    pub(super) fn running(&self, worker: u32) -> Result<Option<Running>, FileError> {
        self.lives.running(worker)
    }
}

/// What tells this machine, as it was started this time, from all others.
fn kernel() -> String {
    match fs::read_to_string("/proc/sys/kernel/random/boot_id") {
        Ok(id) => id.trim().to_owned(),
        Err(_) => rustix::system::uname().nodename().to_string_lossy().into_owned(),
    }
}
