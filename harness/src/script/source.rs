//! The text of a script: reads it safely from disk, and walks it line by line without copying.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path};

use super::SyntaxError;

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

    /// Whether it separates records, because it contains only white space.
    pub fn is_blank(&self) -> bool {
        self.text.trim_ascii_start().is_empty()
    }
}

/// The lines of a text. It counts the lines that it has yielded.
#[derive(Debug, Clone)]
pub struct Lines<'a> {
    text: &'a [u8],
    position: usize,
    count: u64,
}

impl<'a> Lines<'a> {
    /// Lines from the start of the text; a byte order mark there is skipped.
    pub fn new(text: &'a [u8]) -> Self {
        let position = if text.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
        Lines { text, position, count: 0 }
    }

    /// Lines from a position within the text where a line begins. Positions still count from the start of the whole text.
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

/// The position of the first line feed. Most lines are a short value: a function call would take longer than this search.
#[inline]
fn line_feed(text: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
    if let Some(bytes) = text.first_chunk() {
        // After the exclusive or, a line feed is a zero byte. In `found`, the lowest byte whose high bit is set is the
        // lowest zero byte.
        let zeros = u64::from_le_bytes(*bytes) ^ (ONES * u64::from(b'\n'));
        let found = zeros.wrapping_sub(ONES) & !zeros & HIGHS;
        if found != 0 {
            return Some(found.trailing_zeros() as usize / 8);
        }
    }
    memchr::memchr(b'\n', text)
}

/// Refuses a carriage return that does not end a line. Lines end with `\n` or `\r\n`, and a carriage return at the very end
/// of a text also ends a line.
///
/// # Errors
/// The error has the line of the first such carriage return.
pub(crate) fn check(text: &[u8]) -> Result<(), SyntaxError> {
    let lone = memchr::memchr_iter(b'\r', text).find(|at| text.get(at + 1).is_some_and(|next| *next != b'\n'));
    match lone {
        None => Ok(()),
        Some(at) => Err(SyntaxError::new(
            1 + memchr::memchr_iter(b'\n', &text[..at]).count() as u64,
            "a carriage return that ends no line: lines end in LF or CR LF",
        )),
    }
}

/// Whether SQL contains only white space, semicolons and comments (`-- …`, `/* … */`, lines of `# …`).
///
/// `/*!`, `/*+`, `--#`, `--!` and `--+` are not comments here: they begin instructions to some engines or their clients.
pub(crate) fn is_without_sql(sql: &[u8]) -> bool {
    let mut rest = sql;
    loop {
        rest = rest.trim_ascii_start();
        let comment = match rest {
            [] => return true,
            [b';', after @ ..] => {
                rest = after;
                continue;
            }
            [b'-', b'-', b'#' | b'!' | b'+', ..] => return false,
            [b'-', b'-', ..] | [b'#', ..] => memchr::memchr(b'\n', rest),
            [b'/', b'*', b'!' | b'+', ..] => return false,
            [b'/', b'*', after @ ..] => memchr::memmem::find(after, b"*/").map(|end| end + 4),
            _ => return false,
        };
        rest = comment.map_or(&[][..], |end| &rest[end..]);
    }
}

/// The maximum size of a file, and of all files together that one script includes.
pub const MAX_BYTES: u64 = 256 << 20;

/// Reads a whole file, which must be a regular file and not too large. It does not wait for a FIFO or read a device.
///
/// # Errors
/// The system's error, or an error that says what the entry is instead of a regular file.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK | libc::O_NOCTTY);
    // Checked before opening, because opening a FIFO or a device can itself have an effect.
    ordinary(&path.metadata()?)?;
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    ordinary(&metadata)?;
    let too_large = |length: u64| {
        let message = format!("it is too large: {} MiB, and {} are allowed", length >> 20, MAX_BYTES >> 20);
        io::Error::new(io::ErrorKind::FileTooLarge, message)
    };
    if metadata.len() > MAX_BYTES {
        return Err(too_large(metadata.len()));
    }
    let mut text = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0).saturating_add(1));
    // The file may have grown since the check.
    file.take(MAX_BYTES + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(too_large(text.len() as u64));
    }
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

/// Text of a script in a message: in back-ticks, readable whatever its bytes are, and short.
pub(crate) fn quote(text: &[u8]) -> String {
    const LONGEST: usize = 60;
    let text = String::from_utf8_lossy(text);
    match text.char_indices().nth(LONGEST) {
        None if text.is_empty() => "nothing".to_owned(),
        None => format!("`{}`", text.escape_debug()),
        Some((end, _)) => format!("`{}…`", text[..end].escape_debug()),
    }
}

/// A path as a user in the current folder would type it.
pub(crate) fn shown(path: &Path) -> Cow<'_, str> {
    match std::env::current_dir() {
        Ok(here) => shown_from(&here, path),
        Err(_) => path.to_string_lossy(),
    }
}

/// A path as a user in the folder `here`, whose path has no links, would type it.
fn shown_from<'p>(here: &Path, path: &'p Path) -> Cow<'p, str> {
    // A path with `..` may lead back here, as `/a/b/../here/x.slt` does.
    if path.is_absolute()
        && path.components().any(|part| part == Component::ParentDir)
        && let Ok(real) = path.canonicalize()
        && let Ok(below) = real.strip_prefix(here)
    {
        return below.to_string_lossy().into_owned().into();
    }
    let path = path.strip_prefix(here).unwrap_or(path);
    path.strip_prefix(".").unwrap_or(path).to_string_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn lines_know_their_number_and_place() {
        let mut lines = Lines::new(b"\xEF\xBB\xBFa\r\n\n \tb\r");
        let collected: Vec<(&[u8], usize)> = lines.by_ref().map(|line| (line.text, line.start)).collect();
        assert_eq!(collected, [(&b"a"[..], 3), (b"", 6), (b" \tb", 7)]);
        assert_eq!(lines.number(), 3);
        assert_eq!(Lines::new(b"").next(), None);
        assert!(Lines::new(b" \t\r\n").next().unwrap().is_blank());
    }

    #[test]
    fn a_path_is_shown_from_the_current_folder() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().canonicalize().unwrap();
        std::fs::create_dir(here.join("sub")).unwrap();
        std::fs::write(here.join("a.slt"), "").unwrap();
        for (path, expected) in [
            (here.join("a.slt"), "a.slt"),
            (here.join("sub/../a.slt"), "a.slt"),
            (PathBuf::from("./sub/b.slt"), "sub/b.slt"),
            (PathBuf::from("../a.slt"), "../a.slt"),
            (PathBuf::from("/gone/../x.slt"), "/gone/../x.slt"),
        ] {
            assert_eq!(shown_from(&here, &path), expected);
        }
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
    fn a_carriage_return_that_ends_no_line_is_found() {
        let line = |text: &str| check(text.as_bytes()).map_err(|error| error.line);
        assert_eq!((line(""), line("a\r\n\r\nb\r")), (Ok(()), Ok(())));
        assert_eq!((line("# c\rquery I\rSELECT 1\r"), line("a\r\nb\r\r\n")), (Err(1), Err(2)));
    }

    #[test]
    fn comments_and_semicolons_are_no_sql() {
        for sql in ["", " ;\n;", "-- a", "-- a\n/* b\n ; */ ;\n# c\n", "/* open"] {
            assert!(is_without_sql(sql.as_bytes()), "{sql}");
        }
        for sql in [
            "SELECT 1 -- a",
            "-- a\nSELECT 1",
            "/* a */ SELECT 1",
            "/*!40101 SET x=1 */;",
            "--#DATABASE = a\n--#SLEEP = 100",
            "- -",
            "----\nSELECT 1;",
            "/",
        ] {
            assert!(!is_without_sql(sql.as_bytes()), "{sql}");
        }
    }

    #[test]
    fn a_file_that_is_too_large_is_refused_before_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.test");
        File::create(&path).unwrap().set_len(300 << 30).unwrap();
        assert_eq!(read(&path).unwrap_err().to_string(), "it is too large: 307200 MiB, and 256 are allowed");
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
