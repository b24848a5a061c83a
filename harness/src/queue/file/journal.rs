//! The journal of a run: all participants read it, the holder of the lock appends to it.

use std::collections::HashMap;
use std::fs::File;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::cursor::Cursor;
use super::error::{FileError, io};
use super::fail;
use super::frame::{ALIGN, Frame, Head, Op, Parsed, Trust, encode, parse};
use super::header::{Found, Header, beginning};
use super::lock::{self, Patience};
use super::locked_file::LockedFile;
use super::state::State;
use crate::queue::QueueError;

/// A run's file, and what one participant has read of it.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    path: PathBuf,
    patience: Patience,
    header: Header,
    header_bytes: Vec<u8>,
    cursor: Cursor,
    state: State,
    stopped: String,
    /// The supervisor of each participant that has one.
    parents: HashMap<u32, u32>,
    read_buffer: Vec<u8>,
    write_buffer: Vec<u8>,
}

/// The journal while its lock is held and everything in it has been read.
pub(super) struct Locked<'a> {
    journal: &'a mut Journal,
    /// Whether dropping this releases the lock. False if a [`LockedFile`] holds the lock, because it was locked before there
    /// was a journal.
    releases: bool,
}

impl Journal {
    /// The journal of the run that `header` describes, before anything is read.
    pub(super) fn new(file: File, path: PathBuf, header: Header, header_bytes: Vec<u8>, patience: Patience) -> Self {
        let state = State::new(header.plan_len);
        let cursor = start(&header, &header_bytes);
        Journal {
            file,
            path,
            patience,
            header,
            header_bytes,
            cursor,
            state,
            stopped: String::new(),
            parents: HashMap::new(),
            read_buffer: Vec::new(),
            write_buffer: Vec::new(),
        }
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    pub(super) fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// The supervisor of a participant, if it has one.
    pub(super) fn parent(&self, worker: u32) -> Option<u32> {
        self.parents.get(&worker).copied()
    }

    /// Why all were asked to stop, if they were.
    pub(super) fn stopped(&self) -> Option<&str> {
        self.state.is_stopped().then_some(&self.stopped)
    }

    /// Waits for the lock, and reads what is new.
    pub(super) fn lock(&mut self) -> Result<Locked<'_>, QueueError> {
        lock::patiently(&self.file, &self.path, self.patience)?;
        let mut locked = Locked { journal: self, releases: true };
        locked.catch_up()?;
        Ok(locked)
    }

    /// Reads new records under a lock that is already held.
    pub(super) fn under(&mut self, _: &LockedFile<'_>) -> Result<Locked<'_>, QueueError> {
        let mut locked = Locked { journal: self, releases: false };
        locked.catch_up()?;
        Ok(locked)
    }

    /// Reads new whole records, without the lock.
    ///
    /// Whole records stay: the holder of the lock removes only partial ones.
    pub(super) fn follow(&mut self) -> Result<(), QueueError> {
        let end = self.check()?;
        self.read_to(end)?;
        Ok(())
    }

    /// Passes every record from `cursor` on to `each`, without the lock and without changing the state.
    pub(super) fn replay(
        &mut self,
        cursor: &mut Cursor,
        each: impl FnMut(&Frame<'_>) -> Result<(), String>,
    ) -> Result<(), QueueError> {
        let end = self.check()?;
        if end < cursor.at {
            return Err(self.wiped("cut short").into());
        }
        cursor.advance(&self.file, &self.path, end, Trust::Nobody, &mut self.read_buffer, each)?;
        Ok(())
    }

    /// The offset of the journal.
    pub(super) fn start(&self) -> Cursor {
        start(&self.header, &self.header_bytes)
    }

    /// Checks that the file still holds this run and everything that was read of it; returns the file's length.
    fn check(&self) -> Result<u64, QueueError> {
        let metadata = self.file.metadata().map_err(io("read", &self.path))?;
        let mut bytes = [0; super::header::HEADER_BYTES];
        let same = metadata.len() >= self.cursor.at
            && metadata.nlink() > 0
            && self.file.read_exact_at(&mut bytes, 0).is_ok()
            && bytes == *self.header_bytes;
        if same {
            return Ok(metadata.len());
        }
        if metadata.nlink() == 0 {
            return Err(self.wiped("deleted").into());
        }
        if beginning(&self.file).map_err(io("read", &self.path))?.is_empty() {
            return Err(self.wiped("emptied").into());
        }
        match Header::find(&self.file, &self.path)? {
            Found::Run(header, _) if header.generation != self.header.generation => {
                Err(QueueError::Replaced { queue: self.path.display().to_string(), run: header.run })
            }
            _ => Err(self.wiped("cut short").into()),
        }
    }

    fn wiped(&self, how: &'static str) -> FileError {
        FileError::Wiped { path: self.path.clone(), how }
    }

    /// Returns whether there is an incomplete record before byte `end`.
    fn read_to(&mut self, end: u64) -> Result<bool, FileError> {
        // At its first read, each participant checks the checksums of all records.
        let trust = if self.cursor == self.start() { Trust::Nobody } else { Trust::Successor };
        let Journal { state, stopped, parents, .. } = self;
        self.cursor.advance(&self.file, &self.path, end, trust, &mut self.read_buffer, |frame| {
            take_in(frame, state, stopped, parents)
        })
    }

    /// Removes a participant's partial record; the caller holds the lock.
    fn cut_tail(&mut self, end: u64) -> Result<(), FileError> {
        let at = self.cursor.at;
        let damaged = |what: &str| FileError::Damaged { path: self.path.clone(), at, what: what.to_owned() };
        // If the file no longer has the records that were read, the tail may be whole.
        let mut cursor = start(&self.header, &self.header_bytes);
        cursor.advance(&self.file, &self.path, end, Trust::Nobody, &mut self.read_buffer, |_| Ok(()))?;
        if cursor != self.cursor {
            return Err(damaged("its records were exchanged for others"));
        }
        let mut tail = vec![0; (end - at) as usize];
        self.file.read_exact_at(&mut tail, at).map_err(io("read", &self.path))?;
        // A crash leaves nothing after the partial record; if a whole record follows, something else happened.
        let mut rest = tail.get(ALIGN..).unwrap_or_default();
        while rest.len() >= ALIGN {
            if let Parsed::Whole(_) = parse(rest, Trust::Nobody) {
                return Err(damaged("a broken record is followed by whole ones"));
            }
            rest = &rest[ALIGN..];
        }
        self.file.set_len(at).map_err(io("cut", &self.path))
    }
}

impl Locked<'_> {
    fn catch_up(&mut self) -> Result<(), QueueError> {
        let end = self.check()?;
        if end > self.cursor.at && self.read_to(end)? {
            self.cut_tail(end)?;
        }
        Ok(())
    }

    /// Appends one record, with the JSON object `body` as its variable part, and applies it. Returns its number.
    ///
    /// Convert a long outcome into JSON before taking the lock, which others wait for.
    pub(super) fn append(&mut self, op: Op, entry: u32, worker: u32, body: &[u8]) -> Result<u32, QueueError> {
        let journal = &mut *self.journal;
        let n = journal.state.records();
        let head = Head { prev: journal.cursor.prev, n, entry, worker, op };
        journal.write_buffer.clear();
        let crc = encode(&mut journal.write_buffer, head, body);
        let (bytes, at) = (&journal.write_buffer, journal.cursor.at);
        fail::point(op.name(), "locked");
        fail::torn(op.name(), "half", || journal.file.write_all_at(&bytes[..bytes.len() / 2], at));
        if let Err(source) = journal.file.write_all_at(bytes, at) {
            // If this fails too, the next holder of the lock truncates the file.
            let _ = journal.file.set_len(at);
            return Err(FileError::Full { path: journal.path.clone(), source }.into());
        }
        fail::point(op.name(), "written");
        let frame = Frame { head, crc, bytes: &journal.write_buffer };
        take_in(&frame, &mut journal.state, &mut journal.stopped, &mut journal.parents)
            .map_err(|what| FileError::Damaged { path: journal.path.clone(), at, what })?;
        journal.cursor = Cursor { at: at + journal.write_buffer.len() as u64, prev: crc };
        Ok(n)
    }
}

impl Deref for Locked<'_> {
    type Target = Journal;

    fn deref(&self) -> &Journal {
        self.journal
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Journal {
        self.journal
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        if self.releases {
            lock::release(&self.journal.file);
        }
    }
}

/// Applies one more record.
fn take_in(
    frame: &Frame<'_>,
    state: &mut State,
    stopped: &mut String,
    parents: &mut HashMap<u32, u32>,
) -> Result<(), String> {
    state.apply(&frame.head)?;
    let details = || frame.details().map_err(|error| error.to_string());
    match frame.head.op {
        Op::Stop => *stopped = details()?.why,
        Op::Join => parents.extend(details()?.parent.map(|parent| (frame.head.worker, parent))),
        _ => {}
    }
    Ok(())
}

fn start(header: &Header, header_bytes: &[u8]) -> Cursor {
    Cursor { at: header.journal_at(), prev: crc32fast::hash(header_bytes) }
}
