//! What a participant is running right now, stored so that others can read it after the participant ends.

use std::fmt;
use std::sync::atomic::{Ordering, compiler_fence};
use std::sync::{Arc, Mutex, PoisonError};

use memmap2::MmapMut;
use serde::{Deserialize, Serialize};

/// How many bytes a page has.
pub(super) const PAGE_BYTES: usize = 8192;

/// The offset of the slots; before them is the count of writes.
const SLOTS_AT: usize = 64;
const TRIALS_AT: usize = 8;
const SLOT_BYTES: usize = (PAGE_BYTES - SLOTS_AT) / 2;
const SLOT_HEAD: usize = 16;
const FILE_BYTES: usize = 1008;
/// How many bytes of a statement are kept.
const SQL_BYTES: usize = SLOT_BYTES - SLOT_HEAD - FILE_BYTES;

/// The record that a worker is running, or was running when it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The file, as the worker names it.
    pub file: String,
    /// The record's line in that file, counted from 1; 0 before the first record.
    pub line: u64,
    /// The variables of the loops around it, as in `i=3`; empty outside of loops.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pass: String,
    /// The SQL; of a long statement its first 3,040 bytes.
    pub sql: String,
    /// The number of the worker's trial, counted from 1; each attempt at a file is a new trial.
    #[serde(default)]
    pub trial: u32,
}

/// Where a participant notes what it is running. Each note costs one copy.
///
/// The page is in memory that is kept after the process ends. It has two slots, so that a crash during a write leaves the
/// previous record intact. All numbers are little-endian; 8,192 bytes in all:
///
/// ```text
///    0  u64   count of writes; the last whole record is in slot `count % 2`; 0 means none
///    8  u32   count of trials started
///   64  slot 0
/// 4128  slot 1
///
/// slot    0  u64   line
///         8  u32   length of the file name   12  u32   length of the SQL
///        16  file name; then, after a NUL, the pass of the loops around the record; at most 1,008 bytes in all
///      1024  SQL, at most 3,040 bytes
/// ```
#[derive(Clone)]
pub struct Live {
    page: Arc<Mutex<Memory>>,
}

enum Memory {
    Mapped(MmapMut),
    /// Memory that no other process reads: for tests, and for runs of a single process.
    Private(Box<[u8]>),
}

impl Live {
    /// A page that no other process can read, for a process that shares no run.
    pub fn private() -> Self {
        Live::from_memory(Memory::Private(vec![0; PAGE_BYTES].into()))
    }

    pub(super) fn mapped(map: MmapMut) -> Self {
        debug_assert_eq!(map.len(), PAGE_BYTES);
        Live::from_memory(Memory::Mapped(map))
    }

    fn from_memory(memory: Memory) -> Self {
        Live { page: Arc::new(Mutex::new(memory)) }
    }

    /// Records that a trial begins.
    pub fn begins(&self) {
        self.write(|page| {
            let count = trials(page) + 1;
            page[TRIALS_AT..][..4].copy_from_slice(&count.to_le_bytes());
        });
    }

    /// Records that the record at `line` of `file` is about to run. No system call, no allocation.
    pub fn running(&self, file: &str, line: u64, sql: &str) {
        self.running_in(file, line, "", sql);
    }

    /// Like [`running`](Live::running), for a record in a pass of the loops around it.
    pub fn running_in(&self, file: &str, line: u64, pass: &str, sql: &str) {
        self.write(|page| {
            let count = u64::from_le_bytes(page[..8].try_into().expect("eight bytes")) + 1;
            let slot = slot_mut(page, count);
            let sql = prefix(sql, SQL_BYTES);
            // No file name has a NUL. A pass that does not fit is left out.
            let file = prefix(file, FILE_BYTES);
            let pass = if file.len() + 1 + pass.len() <= FILE_BYTES { pass } else { "" };
            let pass_at = file.len() + usize::from(!pass.is_empty());
            let length = if pass.is_empty() { file.len() } else { pass_at + pass.len() };
            slot[..8].copy_from_slice(&line.to_le_bytes());
            slot[8..12].copy_from_slice(&(length as u32).to_le_bytes());
            slot[12..16].copy_from_slice(&(sql.len() as u32).to_le_bytes());
            slot[SLOT_HEAD..][..file.len()].copy_from_slice(file.as_bytes());
            if !pass.is_empty() {
                slot[SLOT_HEAD + file.len()] = 0;
                slot[SLOT_HEAD + pass_at..][..pass.len()].copy_from_slice(pass.as_bytes());
            }
            slot[SLOT_HEAD + FILE_BYTES..][..sql.len()].copy_from_slice(sql.as_bytes());
            // The process may end between any two instructions, so the count must not increase before the write is complete.
            compiler_fence(Ordering::SeqCst);
            page[..8].copy_from_slice(&count.to_le_bytes());
        });
    }

    /// Records that nothing is running.
    pub fn clear(&self) {
        self.write(|page| page[..8].fill(0));
    }

    fn write(&self, change: impl FnOnce(&mut [u8])) {
        match &mut *self.page.lock().unwrap_or_else(PoisonError::into_inner) {
            Memory::Mapped(map) => change(map),
            Memory::Private(page) => change(page),
        }
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Live")
    }
}

fn slot_mut(page: &mut [u8], count: u64) -> &mut [u8] {
    &mut page[SLOTS_AT + (count % 2) as usize * SLOT_BYTES..][..SLOT_BYTES]
}

fn trials(page: &[u8]) -> u32 {
    u32::from_le_bytes(page[TRIALS_AT..][..4].try_into().expect("four bytes"))
}

/// The longest prefix of `text` that fits into `bytes` and ends with a whole character.
fn prefix(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

impl Running {
    /// The contents of a page; `None` if nothing was running, or the page is invalid.
    pub(super) fn from_page(page: &[u8]) -> Option<Self> {
        let count = u64::from_le_bytes(page.get(..8)?.try_into().ok()?);
        if count == 0 {
            return None;
        }
        let slot = page.get(SLOTS_AT + (count % 2) as usize * SLOT_BYTES..)?.get(..SLOT_BYTES)?;
        let number = |at: usize| u32::from_le_bytes(slot[at..at + 4].try_into().expect("four bytes")) as usize;
        let text = |at: usize, bytes: usize| Some(String::from_utf8_lossy(slot.get(at..at + bytes)?).into_owned());
        let file = text(SLOT_HEAD, number(8).min(FILE_BYTES))?;
        let (file, pass) = file.split_once('\0').unwrap_or((&file, ""));
        Some(Running {
            line: u64::from_le_bytes(slot[..8].try_into().expect("eight bytes")),
            file: file.to_owned(),
            pass: pass.to_owned(),
            sql: text(SLOT_HEAD + FILE_BYTES, number(12).min(SQL_BYTES))?,
            trial: trials(page),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(live: &Live) -> Option<Running> {
        let mut copy = Vec::new();
        live.write(|page| copy = page.to_vec());
        Running::from_page(&copy)
    }

    #[test]
    fn the_last_record_is_read_back() {
        let live = Live::private();
        assert_eq!(read(&live), None);
        live.begins();
        for line in 1..5 {
            live.running("a.test", line, &format!("SELECT {line}"));
            let running =
                Running { file: "a.test".into(), line, pass: String::new(), sql: format!("SELECT {line}"), trial: 1 };
            assert_eq!(read(&live), Some(running));
        }
        live.running_in("a.test", 7, "i=3, t=INTEGER", "SELECT 7");
        let running = read(&live).unwrap();
        assert_eq!((running.file.as_str(), running.pass.as_str(), running.line), ("a.test", "i=3, t=INTEGER", 7));
        live.clear();
        assert_eq!(read(&live), None);
    }

    #[test]
    fn long_texts_are_cut_at_a_whole_character() {
        let live = Live::private();
        live.running(&"f".repeat(5000), 1, &"ä".repeat(5000));
        let running = read(&live).unwrap();
        assert_eq!(running.file.len(), FILE_BYTES);
        assert_eq!(running.sql, "ä".repeat(SQL_BYTES / 2));
    }

    #[test]
    fn a_crash_during_a_write_leaves_the_previous_record() {
        let live = Live::private();
        live.running("a.test", 1, "SELECT 1");
        live.write(|page| slot_mut(page, 2).fill(0xff));
        assert_eq!(read(&live).unwrap().sql, "SELECT 1");
    }

    #[test]
    fn an_invalid_page_does_not_panic() {
        for byte in [1, 0x7f, 0xff] {
            Running::from_page(&[byte; PAGE_BYTES]);
            Running::from_page(&[byte; 100]);
        }
    }
}
