//! Reads a journal record by record, from any position.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::error::{FileError, io};
use super::frame::{Frame, Parsed, Trust, parse};

/// How many bytes are read at a time, unless a record is longer.
const CHUNK: usize = 256 << 10;

/// A position between two records of a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Where the next record begins.
    pub at: u64,
    /// The checksum of the record before it.
    pub prev: u32,
}

impl Cursor {
    /// Passes every whole record before byte `end` to `each`, and stops after the last one.
    ///
    /// Returns whether an incomplete record follows. Its writer may not have finished it yet; only the holder of the queue's
    /// lock can be sure that nobody is writing.
    pub(super) fn advance(
        &mut self,
        file: &File,
        path: &Path,
        end: u64,
        trust: Trust,
        buffer: &mut Vec<u8>,
        mut each: impl FnMut(&Frame<'_>) -> Result<(), String>,
    ) -> Result<bool, FileError> {
        let mut want = 0;
        while self.at < end {
            let left = (end - self.at) as usize;
            let size = left.min(want.max(CHUNK));
            if buffer.len() < size {
                buffer.resize(size, 0);
            }
            let chunk = &mut buffer[..size];
            match file.read_exact_at(chunk, self.at) {
                Ok(()) => {}
                // The holder of the lock has just removed a partial record, and a reader without the lock still has the
                // old length.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(true),
                Err(error) => return Err(io("read", path)(error)),
            }
            let mut rest = &*chunk;
            want = loop {
                match parse(rest, trust) {
                    Parsed::Whole(frame) => {
                        if frame.head.prev != self.prev {
                            return Err(self.damaged(path, "a record does not follow the one before it".into()));
                        }
                        each(&frame).map_err(|what| self.damaged(path, what))?;
                        self.at += frame.bytes.len() as u64;
                        self.prev = frame.crc;
                        rest = &rest[frame.bytes.len()..];
                    }
                    Parsed::Bad => return Ok(true),
                    Parsed::Short(_) if rest.is_empty() => break 0,
                    Parsed::Short(need) if need > (end - self.at) as usize => return Ok(true),
                    Parsed::Short(need) => break need,
                }
            };
        }
        Ok(false)
    }

    fn damaged(&self, path: &Path, what: String) -> FileError {
        FileError::Damaged { path: path.to_path_buf(), at: self.at, what }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::file::frame::{ALIGN, Head, NOTHING, Op, encode};

    #[test]
    fn a_reader_that_saw_a_tail_before_it_was_cut_stops_at_the_last_whole_record() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queue");
        let mut bytes = Vec::new();
        let crc = encode(&mut bytes, Head { prev: 7, n: 0, entry: 0, worker: 1, op: Op::Claim }, NOTHING);
        std::fs::write(&path, &bytes).unwrap();
        let file = File::open(&path).unwrap();
        for tail in [1, ALIGN as u64, CHUNK as u64 * 3] {
            let mut cursor = Cursor { at: 0, prev: 7 };
            let mut seen = 0;
            // The file had this length a moment ago.
            let before = bytes.len() as u64 + tail;
            let mut advance = |cursor: &mut Cursor, end| {
                cursor.advance(&file, &path, end, Trust::Nobody, &mut Vec::new(), |_| {
                    seen += 1;
                    Ok(())
                })
            };
            assert!(advance(&mut cursor, before).unwrap());
            assert!(!advance(&mut cursor, bytes.len() as u64).unwrap());
            assert_eq!((seen, cursor), (1, Cursor { at: bytes.len() as u64, prev: crc }));
        }
    }
}
