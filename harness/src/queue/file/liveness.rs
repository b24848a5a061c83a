//! Shows which participants are active: each holds a lock on its own file while it takes part.
//!
//! The files are beside the queue in `QUEUE.live/`, named by the run's generation and the participant's number,
//! `91c4…-1`. A participant that has joined and whose lock is free is lost, and stays lost, because no number is given
//! twice. The file's contents are the page that [`Live`] describes.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use memmap2::MmapMut;

use super::error::{FileError, io};
use super::lock;
use crate::queue::live::{Live, PAGE_BYTES, Running};

/// The liveness locks of one run.
#[derive(Debug)]
pub(in crate::queue) struct LivenessLocks {
    folder: PathBuf,
    generation: String,
}

/// A participant's own lock and page; dropping it releases the lock, so that others see the participant as lost.
#[derive(Debug)]
pub(in crate::queue) struct LivenessLock {
    file: File,
    pub live: Live,
}

impl LivenessLocks {
    pub(in crate::queue) fn new(queue: &Path, generation: &str) -> Self {
        let mut folder = OsString::from(queue);
        folder.push(".live");
        LivenessLocks { folder: folder.into(), generation: generation.to_owned() }
    }

    fn path(&self, worker: u32) -> PathBuf {
        self.folder.join(format!("{}-{worker}", self.generation))
    }

    /// Takes the lock of participant number `worker`; call it under the queue's lock, before its join is recorded.
    pub(in crate::queue) fn acquire(&self, worker: u32) -> Result<LivenessLock, FileError> {
        let path = self.path(worker);
        fs::create_dir_all(&self.folder).map_err(io("create", &self.folder))?;
        // Another process may have ended after creating the file and before its join was recorded. Then the file exists, and is
        // reused.
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(io("create", &path))?;
        lock::exclusive(&file, &path)?;
        // Write the bytes instead of only extending the file: the page must have disk space before it is mapped.
        file.write_all_at(&[0; PAGE_BYTES], 0).map_err(io("write", &path))?;
        file.set_len(PAGE_BYTES as u64).map_err(io("write", &path))?;
        // SAFETY: the file is this participant's own, under a name that is not given twice. Other participants only
        // read it, through `read_at`, or delete it; none truncates it. Its bytes are plain numbers and text for which
        // any value is valid, and writes to the slice go through one mutex.
        let map = unsafe { MmapMut::map_mut(&file) }.map_err(io("map", &path))?;
        Ok(LivenessLock { file, live: Live::mapped(map) })
    }

    /// Whether `worker`, which has joined, is lost. A participant without a file is lost.
    pub(in crate::queue) fn is_dead(&self, worker: u32) -> Result<bool, FileError> {
        let path = self.path(worker);
        match File::open(&path) {
            Ok(file) => lock::is_free(&file, &path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(source) => Err(FileError::Io { what: "open", path, source }),
        }
    }

    /// Whether any of the participants 1 to `workers` is active.
    pub(in crate::queue) fn any_alive(&self, workers: u32) -> Result<bool, FileError> {
        for worker in (1..=workers).rev() {
            if !self.is_dead(worker)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The record that `worker` is running, or was running when it ended.
    pub(in crate::queue) fn running(&self, worker: u32) -> Result<Option<Running>, FileError> {
        let path = self.path(worker);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(FileError::Io { what: "open", path, source }),
        };
        let read = || -> Result<Option<Running>, FileError> {
            let mut page = vec![0; PAGE_BYTES];
            match file.read_exact_at(&mut page, 0) {
                Ok(()) => Ok(Running::from_page(&page)),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
                Err(source) => Err(FileError::Io { what: "read", path: path.clone(), source }),
            }
        };
        // The owner may be writing at this moment, so read until two reads return the same.
        let mut seen = read()?;
        for _ in 0..10 {
            let again = read()?;
            if again == seen {
                break;
            }
            seen = again;
        }
        Ok(seen)
    }

    /// The folder of the files.
    #[cfg(feature = "postgres-queue")]
    pub(in crate::queue) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether `worker` has, or had, a page here.
    #[cfg(any(test, feature = "postgres-queue"))]
    pub(in crate::queue) fn has_page(&self, worker: u32) -> bool {
        self.path(worker).exists()
    }

    /// Deletes the live files of all other generations whose owners have ended and that have not been written for `age`;
    /// call it under the queue's lock, if there is one.
    ///
    /// No process can lock such a file later: to join that generation, it would need the queue's lock, and would then find
    /// another generation.
    pub(in crate::queue) fn clean_up(&self, age: Duration) {
        let own = format!("{}-", self.generation);
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let is_own = entry.file_name().to_string_lossy().starts_with(&own);
            let path = entry.path();
            let is_free = || lock::is_free(&File::open(&path).ok()?, &path).ok();
            let is_old = || entry.metadata().ok()?.modified().ok()?.elapsed().ok().map(|elapsed| elapsed >= age);
            let is_ours = !is_own && is_live_name(&entry.file_name().to_string_lossy());
            if is_ours && (age.is_zero() || is_old() == Some(true)) && is_free() == Some(true) {
                let _ = fs::remove_file(&path);
            }
        }
    }
}

impl Drop for LivenessLock {
    fn drop(&mut self) {
        lock::release(&self.file);
    }
}

/// Whether a name can come from [`LivenessLocks::path`].
fn is_live_name(name: &str) -> bool {
    name.split_once('-').is_some_and(|(generation, worker)| {
        generation.len() == 16
            && generation.bytes().all(|byte| byte.is_ascii_hexdigit())
            && worker.parse::<u32>().is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_participant_is_alive_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let locks = LivenessLocks::new(&folder.path().join("queue"), "0123456789abcdef");
        assert!(locks.is_dead(1).unwrap());
        let alive = locks.acquire(1).unwrap();
        assert!(!locks.is_dead(1).unwrap());
        assert!(locks.any_alive(2).unwrap());
        alive.live.running("a.test", 7, "SELECT 1");
        drop(alive);
        assert!(!locks.any_alive(2).unwrap());
        let running = locks.running(1).unwrap().unwrap();
        assert_eq!((running.file.as_str(), running.line, running.sql.as_str()), ("a.test", 7, "SELECT 1"));
    }

    #[test]
    fn only_dead_live_files_of_other_generations_are_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let queue = folder.path().join("queue");
        let (old, new) =
            (LivenessLocks::new(&queue, "00000000000000aa"), LivenessLocks::new(&queue, "00000000000000bb"));
        let _alive = old.acquire(1).unwrap();
        drop(old.acquire(2).unwrap());
        drop(new.acquire(1).unwrap());
        fs::write(new.folder.join("README-1"), "").unwrap();
        new.clean_up(Duration::from_secs(60));
        assert!(old.has_page(2));
        new.clean_up(Duration::ZERO);
        let there = |path: &Path| path.exists();
        assert!(there(&old.path(1)) && !there(&old.path(2)) && there(&new.path(1)));
        assert!(there(&new.folder.join("README-1")));
    }
}
