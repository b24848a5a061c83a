//! The text of a script: read from disk with care, walked line by line without copying.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// A line of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its text, without `\n` or `\r\n`.
    pub text: &'a [u8],
    /// Where it begins, in bytes from the start of the whole text.
    pub start: usize,
}

impl Line<'_> {
    /// Where its text ends, in bytes from the start of the whole text.
    pub fn end(&self) -> usize {
        self.start + self.text.len()
    }

    /// Whether it separates records: nothing but white space stands on it.
    pub fn is_blank(&self) -> bool {
        self.text.trim_ascii_start().is_empty()
    }
}

/// The lines of a text; knows how many it has yielded.
#[derive(Debug, Clone)]
pub struct Lines<'a> {
    text: &'a [u8],
    position: usize,
    count: u64,
}

impl<'a> Lines<'a> {
    /// Lines from the start of the text; a byte order mark there is passed over.
    pub fn new(text: &'a [u8]) -> Self {
        let position = if text.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
        Lines { text, position, count: 0 }
    }

    /// Lines from a place within the text where one begins; their places are those in the whole text.
    pub fn starting_at(text: &'a [u8], start: usize) -> Self {
        Lines { text, position: start, count: 0 }
    }

    /// The number of the line that was yielded last, counted from 1.
    pub fn number(&self) -> u64 {
        self.count
    }

    /// Where the next line begins, in bytes from the start of the whole text.
    pub fn position(&self) -> usize {
        self.position
    }

    /// The whole text that is walked.
    pub fn text(&self) -> &'a [u8] {
        self.text
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    #[inline]
    fn next(&mut self) -> Option<Line<'a>> {
        let start = self.position;
        let rest = self.text.get(start..).filter(|rest| !rest.is_empty())?;
        let (text, length) = match line_feed(rest) {
            Some(end) => (&rest[..end], end + 1),
            None => (rest, rest.len()),
        };
        self.position += length;
        self.count += 1;
        Some(Line { text: text.strip_suffix(b"\r").unwrap_or(text), start })
    }
}

/// Where the first line feed is. Most lines are a short value, which a call would take longer to find.
#[inline]
fn line_feed(text: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
    if let Some(bytes) = text.first_chunk() {
        // The lowest byte that is zero, and so was a line feed, is the lowest whose high bit is set by this.
        let zeros = u64::from_le_bytes(*bytes) ^ (ONES * u64::from(b'\n'));
        let found = zeros.wrapping_sub(ONES) & !zeros & HIGHS;
        if found != 0 {
            return Some(found.trailing_zeros() as usize / 8);
        }
    }
    memchr::memchr(b'\n', text)
}

/// Reads a whole file, which must be an ordinary one: a FIFO is not waited for, a device not read.
///
/// # Errors
/// The system's, or one that says what the entry is instead.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK | libc::O_NOCTTY);
    // Asked before opening, because opening a FIFO or a device can itself have an effect.
    ordinary(&path.metadata()?)?;
    let mut file = options.open(path)?;
    let metadata = file.metadata()?;
    ordinary(&metadata)?;
    let mut text = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0).saturating_add(1));
    file.read_to_end(&mut text)?;
    Ok(text)
}

fn ordinary(metadata: &std::fs::Metadata) -> io::Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    let what = if metadata.is_dir() { "a folder" } else { special(metadata.file_type()) };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is {what}, not a file")))
}

#[cfg(unix)]
fn special(file_type: std::fs::FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    if file_type.is_fifo() {
        "a FIFO"
    } else if file_type.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(not(unix))]
fn special(_: std::fs::FileType) -> &'static str {
    "something else"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_know_their_number_and_place() {
        let mut lines = Lines::new(b"\xEF\xBB\xBFa\r\n\n \tb\r");
        let collected: Vec<(&[u8], usize)> = lines.by_ref().map(|line| (line.text, line.start)).collect();
        assert_eq!(collected, [(&b"a"[..], 3), (b"", 6), (b" \tb", 7)]);
        assert_eq!(lines.number(), 3);
        assert_eq!(Lines::new(b"").next(), None);
        assert!(Lines::new(b" \t\r\n").next().unwrap().is_blank());
    }

    proptest::proptest! {
        #[test]
        fn the_first_line_feed_is_found(text in proptest::collection::vec(0u8..=255, 0..20), at in 0usize..20) {
            let mut text = text;
            if let Some(byte) = text.get_mut(at) {
                *byte = b'\n';
            }
            proptest::prop_assert_eq!(line_feed(&text), text.iter().position(|byte| *byte == b'\n'));
        }
    }

    #[test]
    fn only_ordinary_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()).unwrap_err().to_string(), "it is a folder, not a file");
        assert_eq!(read(&folder.path().join("x")).unwrap_err().kind(), io::ErrorKind::NotFound);
        #[cfg(unix)]
        assert_eq!(read(Path::new("/dev/zero")).unwrap_err().to_string(), "it is a device, not a file");
    }
}
