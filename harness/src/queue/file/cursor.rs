//! Reading a journal record by record, from wherever one left off.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::error::{FileError, io};
use super::frame::{Frame, Parsed, Trust, parse};

/// How much is read at a time, unless a record is longer.
const CHUNK: usize = 256 << 10;

/// A cursor is a place between two records of a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Where the next record begins.
    pub at: u64,
    /// The checksum of the record before it.
    pub prev: u32,
}

impl Cursor {
    /// Hands every whole record before byte `end` to `each`, and stops behind the last one.
    ///
    /// Returns whether something follows that is no whole record. What is not whole may be on its way to becoming
    /// it: only the holder of the queue's lock knows that it is not.
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
            file.read_exact_at(chunk, self.at).map_err(io("read", path))?;
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
