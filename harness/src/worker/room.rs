//! Shares memory among processes: which files may run at once if all of them together have a limit (`--run-memory`).
//!
//! Each process that runs files of a run on this machine has its own file in one folder, and holds a lock on it. The file is
//! one line: how many bytes the process has reserved, or how many it wants and in which turn it waits for them:
//!
//! ```text
//! runs 73400320 99614720          reserved for the file that it runs; the largest peak that it has seen so far
//! waits 73400320 99614720 4       the same while it waits, and its turn
//! idle 0 99614720
//! ```
//!
//! A lock on the folder's file `lock` makes each change atomic. If a process ends, the system frees its lock and so the bytes
//! that it had reserved. Waiting processes get room in the order of their turns, so a large file does not wait forever while
//! small ones pass it. If nothing else runs, the next in turn gets room, however much it wants. So there is no deadlock.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::history::History;

/// How long a process waits before it asks for room again: at first, and at most.
pub(super) const PAUSES: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(40)];

/// The memory of this machine that a run may use, and this process's share of it.
#[derive(Debug)]
pub struct Room {
    limit: u64,
    folder: PathBuf,
    /// The file `lock`, locked while the folder is read and changed.
    lock: File,
    /// This process's own file, locked for as long as the process exists.
    own: File,
    /// The path of `own`.
    path: PathBuf,
    needs: Needs,
    state: RefCell<State>,
}

/// How much memory files need.
#[derive(Debug)]
pub struct Needs {
    /// The peaks of past runs.
    pub history: History,
    /// The bytes for a file without a known peak, as long as no peak of any file is known.
    pub unknown: u64,
}

/// The state that a process writes to its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct State {
    stage: Stage,
    /// How many bytes it has reserved, or wants.
    bytes: u64,
    /// The largest peak that it has seen, in bytes.
    peak: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stage {
    #[default]
    Idle,
    Runs,
    /// Waiting; the process with the lowest turn is next.
    Waits(u64),
}

impl State {
    fn to_line(self) -> String {
        let State { bytes, peak, .. } = self;
        match self.stage {
            Stage::Idle => format!("idle {bytes} {peak}\n"),
            Stage::Runs => format!("runs {bytes} {peak}\n"),
            Stage::Waits(turn) => format!("waits {bytes} {peak} {turn}\n"),
        }
    }

    /// Parses the state in a file. An empty file means idle.
    fn of_line(line: &str) -> State {
        let mut words = line.split_whitespace();
        let stage = words.next().unwrap_or_default();
        let mut number = || words.next().and_then(|word| word.parse().ok()).unwrap_or_default();
        let (bytes, peak) = (number(), number());
        let stage = match stage {
            "runs" => Stage::Runs,
            "waits" => Stage::Waits(number()),
            _ => Stage::Idle,
        };
        State { stage, bytes, peak }
    }
}

impl Room {
    /// Joins the room of `limit` bytes in this folder; creates the folder if necessary.
    ///
    /// # Errors
    /// The system's error.
    pub fn enter(folder: &Path, limit: u64, needs: Needs) -> io::Result<Room> {
        fs::create_dir_all(folder)?;
        let lock = File::options().read(true).write(true).create(true).truncate(false).open(folder.join(LOCK))?;
        let held = Held::take(&lock)?;
        // Hold the folder's lock, because other processes remove files that are not locked.
        let (own, path) = tempfile::Builder::new().prefix(PREFIX).tempfile_in(folder)?.keep()?;
        fs2::FileExt::lock_exclusive(&own)?;
        drop(held);
        Ok(Room { limit, folder: folder.to_owned(), lock, own, path, needs, state: RefCell::default() })
    }

    /// Asks for room for this file; returns whether it may run now. If not, this process is now waiting, and must ask again
    /// later.
    ///
    /// # Errors
    /// The system's error.
    pub(super) fn ask(&self, name: &str) -> io::Result<bool> {
        let _held = Held::take(&self.lock)?;
        let others = self.others()?;
        let mut state = *self.state.borrow();
        if !matches!(state.stage, Stage::Waits(_)) {
            let known = self.needs.history.get(name).and_then(|entry| entry.peak_bytes);
            state.bytes = known.unwrap_or_else(|| self.unknown(&others));
            let last = others.iter().filter_map(|other| other.turn()).max();
            state.stage = Stage::Waits(last.map_or(0, |last| last + 1));
        }
        let is_first = others.iter().filter_map(|other| other.turn()).all(|turn| Some(turn) > state.turn());
        let running = others.iter().filter(|other| other.stage == Stage::Runs);
        let reserved = running.clone().fold(0, |sum: u64, other| sum.saturating_add(other.bytes));
        let fits = running.count() == 0 || reserved.saturating_add(state.bytes) <= self.limit;
        if is_first && fits {
            state.stage = Stage::Runs;
        }
        self.write(state)?;
        Ok(state.stage == Stage::Runs)
    }

    /// Gives back the room, or stops waiting for it. `peak` is how much memory the file used, if known.
    ///
    /// # Errors
    /// The system's error.
    pub(super) fn leave(&self, peak: Option<u64>) -> io::Result<()> {
        let _held = Held::take(&self.lock)?;
        let before = *self.state.borrow();
        self.write(State { stage: Stage::Idle, bytes: 0, peak: before.peak.max(peak.unwrap_or_default()) })
    }

    /// How much memory a file without a known peak needs: as much as the largest known peak.
    fn unknown(&self, others: &[State]) -> u64 {
        let seen = others.iter().map(|other| other.peak).chain([self.state.borrow().peak]).max().unwrap_or_default();
        match self.needs.history.largest_peak().unwrap_or_default().max(seen) {
            0 => self.needs.unknown,
            largest => largest,
        }
    }

    /// The states of the other running processes. Removes the files of those that ended.
    fn others(&self) -> io::Result<Vec<State>> {
        let mut others = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let (name, path) = entry.map(|entry| (entry.file_name(), entry.path()))?;
            // Compare names only, because one of the two paths may be relative.
            if Some(&*name) == self.path.file_name() || !name.to_string_lossy().starts_with(PREFIX) {
                continue;
            }
            let file = match File::open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            match fs2::FileExt::try_lock_shared(&file) {
                Ok(()) => {
                    let _ = fs::remove_file(&path);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    others.push(State::of_line(&io::read_to_string(file)?));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(others)
    }

    fn write(&self, state: State) -> io::Result<()> {
        let line = state.to_line();
        self.own.write_all_at(line.as_bytes(), 0)?;
        self.own.set_len(line.len() as u64)?;
        *self.state.borrow_mut() = state;
        Ok(())
    }
}

impl State {
    fn turn(&self) -> Option<u64> {
        match self.stage {
            Stage::Waits(turn) => Some(turn),
            Stage::Idle | Stage::Runs => None,
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // Another process removes the file if this one cannot.
        let _ = fs::remove_file(&self.path);
    }
}

/// The held lock of the folder.
struct Held<'f>(&'f File);

impl Held<'_> {
    fn take(file: &File) -> io::Result<Held<'_>> {
        loop {
            match fs2::FileExt::lock_exclusive(file) {
                Ok(()) => return Ok(Held(file)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // Closing the file is not enough: a child that is starting may also have it open.
        let _ = fs2::FileExt::unlock(self.0);
    }
}

const LOCK: &str = "lock";
const PREFIX: &str = "process-";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Outcome, Verdict};

    /// A folder whose history says that the file `N` needs `N` bytes.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let mut log = History::read(folder.path()).unwrap().log().unwrap();
        for bytes in [10, 30, 40, 60, 500] {
            let outcome = Outcome { peak_bytes: Some(bytes), ..Outcome::new(bytes.to_string(), Verdict::Passed) };
            log.append_foreign(&outcome).unwrap();
        }
        folder
    }

    /// A process in a room of 100 bytes.
    fn process(folder: &tempfile::TempDir) -> Room {
        let history = History::read(folder.path()).unwrap();
        Room::enter(&folder.path().join("room"), 100, Needs { history, unknown: 50 }).unwrap()
    }

    #[test]
    fn files_run_at_once_as_far_as_they_fit() {
        let folder = folder();
        let [a, b, c] = [process(&folder), process(&folder), process(&folder)];
        assert!(a.ask("60").unwrap() && b.ask("40").unwrap());
        assert!(!c.ask("10").unwrap());
        b.leave(None).unwrap();
        assert!(c.ask("10").unwrap());
        assert!(b.ask("30").unwrap());
    }

    #[test]
    fn a_large_file_is_not_passed_over_and_runs_alone() {
        let folder = folder();
        let [a, b, c] = [process(&folder), process(&folder), process(&folder)];
        assert!(a.ask("10").unwrap());
        assert!(!b.ask("500").unwrap(), "it waits until nothing runs");
        assert!(!c.ask("10").unwrap(), "and others wait behind it");
        a.leave(None).unwrap();
        assert!(!c.ask("10").unwrap() && b.ask("500").unwrap() && !c.ask("10").unwrap());
        b.leave(None).unwrap();
        assert!(c.ask("10").unwrap());
    }

    #[test]
    fn a_process_that_gives_up_or_dies_leaves_its_room_and_its_turn() {
        let folder = folder();
        let [a, b, c] = [process(&folder), process(&folder), process(&folder)];
        assert!(a.ask("60").unwrap());
        assert!(!b.ask("60").unwrap() && !c.ask("10").unwrap());
        b.leave(None).unwrap();
        assert!(c.ask("10").unwrap() && !b.ask("60").unwrap());
        // Simulate a kill: the file stays, and its lock is released.
        let Room { own, path, .. } = &a;
        fs2::FileExt::unlock(own).unwrap();
        assert!(b.ask("60").unwrap() && !path.exists());
    }

    #[test]
    fn an_unknown_file_counts_as_the_largest_known_one() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b] = [process(&folder), process(&folder)];
        assert!(a.ask("new").unwrap() && b.ask("new").unwrap(), "nothing is known");
        a.leave(Some(70)).unwrap();
        b.leave(None).unwrap();
        assert!(a.ask("new").unwrap() && !b.ask("new").unwrap(), "a peak was seen");
        drop((a, b));
        let known = super::tests::folder();
        let [a, b] = [process(&known), process(&known)];
        assert!(a.ask("10").unwrap() && !b.ask("new").unwrap(), "the history knows one of 500");
    }

    #[test]
    fn what_a_file_says_is_read_back() {
        for stage in [Stage::Idle, Stage::Runs, Stage::Waits(7)] {
            let state = State { stage, bytes: 1, peak: 2 };
            assert_eq!(State::of_line(&state.to_line()), state);
        }
        assert_eq!(State::of_line(""), State::default());
    }
}
