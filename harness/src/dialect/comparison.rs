//! Compares a query's result with the expected one.

use std::hash::{BuildHasher, Hasher};
use std::ops::Range;
use std::sync::LazyLock;

use foldhash::quality::RandomState;
use md5::{Digest, Md5};

use crate::diff::{Returned, Shape, Sides};
use crate::exchange::Rows;
use crate::script::{Lines, Sort};

mod hash_line;

use hash_line::HashLine;

/// A fingerprint identifies a whole result within one process: equal results have equal fingerprints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint(u64, usize);

/// Seeds the fingerprints of this process, so that no script can be written whose results collide.
static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::default);

/// A comparison holds the order in which a result is compared, and its buffers.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    sort: Sort,
    /// The rows (or, with `valuesort`, the values) in the order of comparison; empty if that is the engine's order.
    order: Vec<Piece>,
    /// The text of those rows or values, in that order.
    sorted: Vec<u8>,
    /// The range of values of each row, in the order of comparison; only for rows of different widths that are compared as
    /// rows.
    uneven: Vec<Range<usize>>,
    /// Whether a value contains a line feed; `None` if sorting has not checked it.
    line_feeds: Option<bool>,
}

/// The message of a mismatch until it is known how the results differ.
pub(crate) const MISMATCH: &str = "query result mismatch";

/// Why a result is not the expected one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// One line of text.
    pub message: String,
    /// Both results, if the mismatch is one of results.
    pub(crate) results: Option<Box<Differing>>,
}

/// An expected and an actual result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Differing {
    pub(crate) expected: Vec<String>,
    /// In the form of `expected`.
    pub(crate) actual: Vec<String>,
    /// `actual`, with values that count as equal written as the script writes them.
    pub(crate) compared: Option<Vec<String>>,
    /// How lines form rows; [`Shape::Text`] if the message already says what differs.
    pub(crate) shape: Shape,
    /// Whether `actual` was sorted.
    pub(crate) sorted: bool,
    /// What was returned, if the script lists only a hash of it.
    pub(crate) returned: Option<Returned>,
}

impl From<String> for Mismatch {
    fn from(message: String) -> Self {
        Mismatch { message, results: None }
    }
}

/// Both results of a mismatch as text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Texts {
    /// The lines of the expected result.
    pub(crate) expected: Vec<String>,
    /// The lines of the actual result.
    pub(crate) actual: Vec<String>,
    /// Both results in the form in which they are compared, if the comparison is not byte by byte.
    pub(crate) compared: Option<(Vec<String>, Vec<String>)>,
    /// How lines form rows.
    pub(crate) shape: Shape,
    /// Whether the actual lines were sorted.
    pub(crate) sorted: bool,
    /// What was returned, if the script lists only a hash of it.
    pub(crate) returned: Option<Returned>,
}

impl Texts {
    /// The lines that are compared. `numbers` holds the line in the file of each expected line, if known.
    pub(crate) fn sides<'t>(&'t self, numbers: &'t [u64]) -> Sides<'t> {
        let own = (&self.expected, &self.actual);
        let (expected, actual) = self.compared.as_ref().map_or(own, |(expected, actual)| (expected, actual));
        let numbers = if numbers.len() == expected.len() { numbers } else { &[] };
        Sides { expected, actual, shape: self.shape, sorted: self.sorted, numbers }
    }
}

/// The form of a result in a script.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    /// Whether a line is a row.
    pub(crate) row_wise: bool,
    /// Whether the dialect's own rules apply, and not those of the engine's author.
    pub(crate) usual: bool,
    /// How many columns the record declares.
    pub(crate) declared: usize,
}

/// A piece is the unit of sorting: a row, or a value.
#[derive(Debug, Clone, Copy)]
struct Piece {
    /// The first bytes of its text, as a number that sorts like them; a shorter text is padded with zeros.
    prefix: u128,
    /// The index of its first value.
    first: usize,
}

/// The number of bytes in a prefix.
const PREFIX_BYTES: usize = size_of::<u128>();

/// For text without NUL bytes.
impl Piece {
    /// Whether the prefix holds the whole text.
    fn is_whole(&self) -> bool {
        self.prefix & 0xff == 0
    }

    /// The length of the text in the prefix.
    fn len(&self) -> usize {
        PREFIX_BYTES - self.prefix.trailing_zeros() as usize / 8
    }
}

impl Comparison {
    /// Sorts a result as the record requires.
    pub(crate) fn order(&mut self, rows: &Rows, sort: Sort) {
        self.sort = sort;
        self.line_feeds = None;
        self.order.clear();
        self.sorted.clear();
        self.uneven.clear();
        if rows.is_uneven() && sort != Sort::Values {
            self.uneven = rows.uneven_rows();
            let values = |row: &Range<usize>| row.clone().map(|index| rows.value(index));
            if sort == Sort::Rows {
                self.uneven.sort_by(|a, b| values(a).cmp(values(b)));
            }
            for value in self.uneven.iter().flat_map(values) {
                self.sorted.extend([value, b"\n"].concat());
            }
            return;
        }
        let width = self.width(rows);
        if sort == Sort::None || rows.len() <= width {
            return;
        }
        let row = |first: usize| first..(first + width).min(rows.len());
        let text = |piece: &Piece| &rows.text()[rows.place(row(piece.first))];
        let firsts = (0..rows.len()).step_by(width);
        self.order.extend(firsts.map(|first| Piece { prefix: prefix(rows.text(), rows.place(row(first))), first }));
        // A line feed sorts below any character that can be at its position, unless values contain control characters.
        if low_bytes(rows.text()) != rows.len() {
            let values = |piece: &Piece| row(piece.first).map(|index| rows.value(index));
            self.order.sort_unstable_by(|a, b| values(a).cmp(values(b)));
            self.order.iter().for_each(|piece| self.sorted.extend_from_slice(text(piece)));
            return;
        }
        self.line_feeds = Some(false);
        // First by number, which is fast; then ties by text.
        self.order.sort_unstable_by_key(|piece| piece.prefix);
        if !self.order.iter().all(Piece::is_whole) {
            for equal in self.order.chunk_by_mut(|a, b| a.prefix == b.prefix) {
                if equal.len() > 1 && !equal[0].is_whole() {
                    equal.sort_unstable_by(|a, b| text(a).cmp(text(b)));
                }
            }
        }
        self.sorted.resize(rows.text().len() + PREFIX_BYTES, 0);
        let mut end = 0;
        for piece in &self.order {
            let rest = &mut self.sorted[end..];
            match rest.first_chunk_mut() {
                // The copy has a constant length, because that needs no function call; the next piece overwrites the
                // surplus bytes.
                Some(start) if piece.is_whole() => {
                    *start = piece.prefix.to_be_bytes();
                    end += piece.len();
                }
                _ => {
                    let text = text(piece);
                    rest[..text.len()].copy_from_slice(text);
                    end += text.len();
                }
            }
        }
        self.sorted.truncate(end);
    }

    /// How many values are sorted together, or shown as one row.
    fn width(&self, rows: &Rows) -> usize {
        if self.sort == Sort::Values { 1 } else { rows.columns().unwrap_or(1).max(1) }
    }

    /// All values in the order of comparison.
    fn values<'r>(&'r self, rows: &'r Rows) -> impl Iterator<Item = &'r [u8]> {
        let is_natural = self.order.is_empty() && self.uneven.is_empty();
        let (natural, width) = (if is_natural { rows.len() } else { 0 }, self.width(rows));
        let sorted = self.order.iter().flat_map(move |piece| piece.first..(piece.first + width).min(rows.len()));
        (0..natural).chain(sorted).chain(self.uneven.iter().flat_map(Clone::clone)).map(|index| rows.value(index))
    }

    /// The text of all values in the order of comparison.
    fn text<'r>(&'r self, rows: &'r Rows) -> &'r [u8] {
        if self.order.is_empty() && self.uneven.is_empty() { rows.text() } else { &self.sorted }
    }

    /// Whether the result is the expected one.
    pub(crate) fn agrees(&self, rows: &Rows, lines: &Lines<'_>, row_wise: bool) -> bool {
        if let Some(hash) = HashLine::of(lines) {
            return hash.count == rows.len() as u64 && hash.digest == *self.digest(rows);
        }
        if (row_wise || matches!(lines, Lines::List(_))) && self.is_letter_for_letter(rows, lines, row_wise) {
            return true;
        }
        if row_wise {
            return as_written(&self.rows(rows), &lines.iter().collect::<Vec<_>>());
        }
        match lines {
            Lines::List(_) => {
                let actual: Vec<Vec<&[u8]>> = self.values(rows).map(|value| vec![value]).collect();
                as_written(&actual, &lines.iter().collect::<Vec<_>>())
            }
            Lines::Block(_) if lines.count() != rows.len() => false,
            Lines::Block(block) => match block.plain() {
                // With as many lines as values, equal texts have no line feed within a value.
                Some(plain) => self.text(rows).strip_suffix(b"\n").unwrap_or_default() == plain,
                None => self.values(rows).eq(lines.iter()),
            },
        }
    }

    /// Whether the rows equal the lines byte by byte, and no value has white space that a comparison would fold. Most
    /// results do, and this check allocates no memory. If it fails, the results may still be equal.
    fn is_letter_for_letter(&self, rows: &Rows, lines: &Lines<'_>, row_wise: bool) -> bool {
        if !self.uneven.is_empty() {
            return false;
        }
        let width = if row_wise { self.width(rows) } else { 1 };
        let mut values = self.values(rows);
        let mut row = |line: &[u8]| {
            let mut rest = line;
            for column in 0..width {
                let blank = if column > 0 { rest.strip_prefix(b" ") } else { Some(rest) };
                let value = values.next().filter(|value| is_folded(value));
                match blank.zip(value).and_then(|(rest, value)| rest.strip_prefix(value)) {
                    Some(left) => rest = left,
                    None => return false,
                }
            }
            rest.is_empty()
        };
        lines.iter().all(&mut row) && values.next().is_none()
    }

    /// The expected and the actual result as text: one value per line or, row-wise, one row per line. The actual result is
    /// a hash if the expected one is. The record declares this many columns.
    ///
    /// If the dialect's own rules apply (`usual`), its rules for white space apply too.
    pub(crate) fn texts(&self, rows: &Rows, lines: &Lines<'_>, form: Form) -> Texts {
        let Form { row_wise, usual, declared } = form;
        let expected: Vec<&[u8]> = lines.iter().collect();
        let actual = self.lines(rows, row_wise, is_hashed(lines));
        let actual: Vec<&[u8]> = actual.iter().map(Vec::as_slice).collect();
        // With `<slt:ignore>`, a value may span lines.
        let line_feeds = !(matches!(lines, Lines::List(_)) && ignores(&expected));
        let (expected_lines, actual_lines) = written(&expected, &actual, line_feeds);
        let compared = (usual && matches!(lines, Lines::List(_)) && line_feeds && !is_hashed(lines)).then(|| {
            // This comparison ignores whitespace, so whitespace must not show in the diff.
            let actual: Vec<Vec<u8>> = match row_wise {
                true => self.rows(rows).iter().map(|row| normalized_row(row)).collect(),
                false => self.values(rows).map(normalized).collect(),
            };
            let expected: Vec<Vec<u8>> = expected.iter().map(|line| normalized(line)).collect();
            written(&expected, &actual, true)
        });
        let shape = match rows.columns() {
            _ if is_hashed(lines) => Shape::Hash,
            _ if !line_feeds => Shape::Ignoring,
            _ if self.sort == Sort::Values || (!row_wise && rows.is_uneven()) => Shape::Sorted,
            columns if row_wise => Shape::Blanks(columns),
            columns => Shape::Values(columns.unwrap_or(declared).max(1)),
        };
        let returned = (shape == Shape::Hash).then(|| Returned {
            values: self.values(rows).map(<[u8]>::to_vec).collect(),
            columns: if self.sort == Sort::Values { 1 } else { rows.columns().unwrap_or(declared) },
        });
        let sorted = self.sort != Sort::None;
        Texts { expected: expected_lines, actual: actual_lines, compared, shape, sorted, returned }
    }

    /// The result as the lines of a script: as a hash, row-wise with one row per line, or with one value per line.
    pub(crate) fn lines(&self, rows: &Rows, row_wise: bool, hashed: bool) -> Vec<Vec<u8>> {
        if hashed {
            vec![format!("{} values hashing to {:x}", rows.len(), self.digest(rows)).into_bytes()]
        } else if row_wise {
            self.rows(rows).iter().map(|row| row.join(&b' ')).collect()
        } else {
            self.values(rows).map(<[u8]>::to_vec).collect()
        }
    }

    /// The result as rows of text or, if not `row_wise`, as rows of one value each. With `valuesort`, each value is a row.
    pub(crate) fn strings(&self, rows: &Rows, row_wise: bool) -> Vec<Vec<String>> {
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        match row_wise {
            true => self.rows(rows).iter().map(|row| row.iter().map(|value| text(value)).collect()).collect(),
            false => self.values(rows).map(|value| vec![text(value)]).collect(),
        }
    }

    /// A fingerprint of the result in the order of comparison.
    pub(crate) fn fingerprint(&self, rows: &Rows) -> Fingerprint {
        let mut hasher = SEED.build_hasher();
        hasher.write(self.text(rows));
        if self.line_feeds.unwrap_or_else(|| rows.holds_line_feeds()) {
            // Without the lengths, the text does not show where a value ends.
            self.values(rows).for_each(|value| hasher.write_usize(value.len()));
        }
        Fingerprint(hasher.finish(), rows.len())
    }

    /// MD5 over all values, each followed by a line feed, as the original runner computes it.
    fn digest(&self, rows: &Rows) -> md5::digest::Output<Md5> {
        Md5::digest(self.text(rows))
    }

    /// The rows; with `valuesort`, each value is a row.
    fn rows<'r>(&'r self, rows: &'r Rows) -> Vec<Vec<&'r [u8]>> {
        if !self.uneven.is_empty() {
            return self.uneven.iter().map(|row| row.clone().map(|index| rows.value(index)).collect()).collect();
        }
        let values: Vec<&[u8]> = self.values(rows).collect();
        values.chunks(self.width(rows)).map(<[&[u8]]>::to_vec).collect()
    }
}

/// How many bytes are less than or equal to a line feed. The counters are bytes, because the processor adds many of them at
/// a time.
fn low_bytes(text: &[u8]) -> usize {
    let count = |chunk: &[u8]| chunk.iter().map(|byte| u8::from(*byte <= b'\n')).sum::<u8>();
    text.chunks(usize::from(u8::MAX)).map(|chunk| usize::from(count(chunk))).sum()
}

/// The first bytes of a non-empty text, as a number that sorts like the text.
fn prefix(text: &[u8], place: Range<usize>) -> u128 {
    let rest = &text[place.start..];
    let number = match (rest.first_chunk(), text.last_chunk()) {
        (Some(bytes), _) => u128::from_be_bytes(*bytes),
        // The bytes before the rest are shifted out.
        (None, Some(bytes)) => u128::from_be_bytes(*bytes) << (8 * (PREFIX_BYTES - rest.len())),
        (None, None) => rest.iter().rev().fold(0, |number, byte| (number >> 8) | (u128::from(*byte) << 120)),
    };
    // Bytes after the text count as zero.
    number & (u128::MAX << (u128::BITS as usize - 8 * place.len().min(PREFIX_BYTES)))
}

/// Matches anything in an expected line, including several lines.
const ANYTHING: &[u8] = b"<slt:ignore>";

/// Whether rows match the lines of an `.slt` file: equal except for whitespace or, if something is ignored, equal byte
/// for byte around it.
///
/// The rules are those of the crate's `default_validator`, but on bytes: two values that are not UTF-8 are equal only
/// if their bytes are. Also, the crate only requires the parts around `<slt:ignore>` to occur one after another: it allows
/// any text before the first part and after the last one. Here the result must start and end with them.
fn as_written(actual: &[Vec<&[u8]>], expected: &[&[u8]]) -> bool {
    if !ignores(expected) {
        let actual = actual.iter().map(|row| normalized_row(row));
        return actual.eq(expected.iter().map(|line| normalized(line)));
    }
    let actual = actual.iter().map(|row| row.join(&b' ')).collect::<Vec<_>>().join(&b'\n');
    let expected = expected.join(&b'\n');
    // The crate's rule, and then our stricter one. Whitespace at both ends is ignored, because it is hard to see in a file.
    fragments(&actual, &expected, false) && fragments(actual.trim_ascii(), expected.trim_ascii(), true)
}

/// Whether the parts of `expected` around `<slt:ignore>` occur one after another. If `anchored`, the text must also start
/// with the first part and end with the last one.
fn fragments(actual: &[u8], expected: &[u8], anchored: bool) -> bool {
    let mut rest = actual;
    let (mut start, mut is_first) = (0, true);
    for at in memchr::memmem::find_iter(expected, ANYTHING) {
        let part = &expected[start..at];
        start = at + ANYTHING.len();
        let found = match is_first && anchored {
            true => rest.starts_with(part).then_some(0),
            false => memchr::memmem::find(rest, part),
        };
        let Some(at) = found else { return false };
        rest = &rest[at + part.len()..];
        is_first = false;
    }
    let last = &expected[start..];
    if anchored { rest.ends_with(last) } else { memchr::memmem::find(rest, last).is_some() }
}

/// Whether a part of the result is ignored.
fn ignores(expected: &[&[u8]]) -> bool {
    expected.iter().any(|line| memchr::memmem::find(line, ANYTHING).is_some())
}

/// Whether a value certainly equals its [`normalized`] form: it begins and ends with visible ASCII, and the only white
/// space in it is single blanks.
fn is_folded(value: &[u8]) -> bool {
    let ([first, ..], [.., last]) = (value, value) else { return false };
    first.is_ascii_graphic()
        && last.is_ascii_graphic()
        && value.iter().all(|byte| *byte >= b' ')
        && memchr::memchr_iter(b' ', value).all(|at| value[at + 1] != b' ')
}

/// A row for a comparison that ignores whitespace: each value normalized, then joined by blanks.
fn normalized_row(row: &[&[u8]]) -> Vec<u8> {
    row.iter().map(|value| normalized(value)).collect::<Vec<_>>().join(&b' ')
}

/// A value or line without whitespace at its ends, and with each run of whitespace replaced by one blank.
///
/// Like the crate's `default_normalizer`: Unicode's whitespace counts at the ends, ASCII's within.
fn normalized(value: &[u8]) -> Vec<u8> {
    let trimmed = std::str::from_utf8(value).map_or(value, |text| text.trim().as_bytes());
    let words = trimmed.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(&b' ')
}

/// Whether a hash represents the whole result.
pub(crate) fn is_hashed(lines: &Lines<'_>) -> bool {
    HashLine::of(lines).is_some()
}

/// Both results as text. The texts differ unless the results are equal. With `line_feeds`, line feeds in values are
/// escaped.
fn written<T: AsRef<[u8]>>(expected: &[T], actual: &[T], line_feeds: bool) -> (Vec<String>, Vec<String>) {
    let lines = |lines: &[T], backslashes: bool| -> Vec<String> {
        let shown = lines.iter().map(|line| shown(line.as_ref(), backslashes, line_feeds));
        match line_feeds {
            true => shown.collect(),
            false => shown.flat_map(|value| value.split('\n').map(str::to_owned).collect::<Vec<_>>()).collect(),
        }
    };
    let pair = |backslashes| (lines(expected, backslashes), lines(actual, backslashes));
    Some(pair(false)).filter(|(expected, actual)| expected != actual).unwrap_or_else(|| pair(true))
}

/// A value as text that shows what distinguishes it from others: bytes that are not UTF-8 are written `\xE9`, a line
/// feed `\n`, and, on request, a backslash `\\`.
pub(crate) fn shown(value: &[u8], backslashes: bool, line_feeds: bool) -> String {
    let mut shown = String::with_capacity(value.len());
    for chunk in value.utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                '\\' if backslashes => shown.push_str("\\\\"),
                '\n' if line_feeds => shown.push_str("\\n"),
                char => shown.push(char),
            }
        }
        chunk.invalid().iter().for_each(|byte| shown.push_str(&format!("\\x{byte:02X}")));
    }
    shown
}

#[cfg(test)]
mod tests;
