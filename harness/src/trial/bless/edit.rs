//! The changes to a text that make a record expect what the engine returned.

use std::ops::Range;

use similar::{Algorithm, DiffOp, capture_diff_slices};
use sqllogictest::default_normalizer;
use sqllogictest::parser::ExpectedError;

use super::Correction;
use crate::dialect::{Dialect, Place};
use crate::engine::EngineError;
use crate::script::{Answer, Completion, Record, Step};

/// An edit replaces a range by a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::trial) struct Edit {
    pub(super) at: Range<usize>,
    pub(super) text: Vec<u8>,
}

impl Edit {
    pub(super) fn new(at: Range<usize>, text: impl Into<Vec<u8>>) -> Edit {
        Edit { at, text: text.into() }
    }
}

/// The text in `range` after these edits, which are in order.
pub(super) fn apply<'e>(text: &[u8], range: Range<usize>, edits: impl IntoIterator<Item = &'e Edit>) -> Vec<u8> {
    let mut edited = Vec::with_capacity(range.len());
    let mut next = range.start;
    for edit in edits {
        edited.extend_from_slice(&text[next..edit.at.start]);
        edited.extend_from_slice(&edit.text);
        next = edit.at.end;
    }
    // An edit may include the line end after the range.
    edited.extend_from_slice(&text[next.min(range.end)..range.end]);
    edited
}

/// How to write the new expectation; there are several ways, and not every way can hold every result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// Matching lines stay unchanged; an error in the form in which it was expected before, as a pattern or as text.
    Keeping,
    /// Only lines that are equal byte for byte stay, and those that ignore the rest.
    Exact,
    /// All lines as the engine returned them; an error as a pattern.
    Plain,
    /// Whitespace folded, as the `.slt` dialect compares it.
    Folded,
}

impl Style {
    pub(super) const ALL: [Style; 4] = [Style::Keeping, Style::Exact, Style::Plain, Style::Folded];
}

/// The edits that make `record`, at `place` in `text`, expect `correction`; in order.
pub(super) fn edits(
    text: &[u8],
    place: &Place,
    record: &Record<'_>,
    correction: &Correction,
    style: Style,
) -> Result<Vec<Edit>, String> {
    let writer = Writer { text, place, retry: record.retry.is_some() };
    match (&record.step, correction) {
        (
            Step::Query { expect: Answer::Lines { .. }, letters, .. },
            Correction::Lines { lines, columns, letters: new },
        ) => {
            let mut edits = Vec::new();
            // `.slt` has queries without letters, which stay so unless the adapter knows them.
            if let Some(new) = new {
                edits.push(match letters.is_empty() {
                    true => Edit::new(writer.word(0)?.end..writer.word(0)?.end, format!(" {new}")),
                    false => Edit::new(writer.word(1)?, new.as_bytes()),
                });
            } else if let Some(columns) = columns.filter(|columns| *columns != letters.len() && !letters.is_empty()) {
                edits.push(Edit::new(writer.word(1)?, fitting(letters, columns)?));
            }
            edits.extend(writer.lines(lines, style));
            Ok(edits)
        }
        (Step::Query { expect: Answer::Error { .. }, .. }, Correction::Lines { lines, columns, letters }) => {
            let letters = match letters {
                Some(letters) => letters.clone().into_bytes(),
                None => fitting(b"", columns.unwrap_or(0))?,
            };
            let lines =
                if style == Style::Folded { lines.iter().map(|line| folded(line)).collect() } else { lines.clone() };
            Ok(vec![writer.directive(1, letters)?, writer.section(&lines, 0)])
        }
        (Step::Statement { .. }, Correction::Count(count)) => Ok(vec![Edit::new(writer.word(2)?, count.to_string())]),
        (Step::Statement { .. }, Correction::Success) => match place.dialect {
            Dialect::Classic => Ok(vec![Edit::new(writer.word(1)?, *b"ok")]),
            Dialect::Slt => {
                let directive = writer.directive(1, b"ok".to_vec())?;
                Ok(vec![directive, Edit::new(place.sql_end..place.end, [])])
            }
            Dialect::DuckDb => Err(OTHERWISE.to_owned()),
        },
        (Step::Statement { expect, .. }, Correction::Error(error)) => match (place.dialect, expect) {
            (Dialect::Classic, _) => Ok(vec![Edit::new(writer.word(1)?, *b"error")]),
            (Dialect::Slt, Completion::Error(expected)) => writer.error(error, Some(expected), style),
            (Dialect::Slt, _) => writer.error(error, None, style),
            (Dialect::DuckDb, _) => Err(OTHERWISE.to_owned()),
        },
        (Step::Query { expect, .. }, Correction::Error(error)) => match (place.dialect, expect) {
            (Dialect::Classic, _) => {
                let mut edits = vec![writer.directive(0, b"statement error".to_vec())?];
                edits.extend(place.delimiter.iter().chain(&place.lines).map(|line| writer.without(line)));
                Ok(edits)
            }
            (Dialect::Slt, Answer::Error { expected, .. }) => writer.error(error, Some(expected), style),
            (Dialect::Slt, Answer::Lines { .. }) => writer.error(error, None, style),
            (Dialect::DuckDb, _) => Err(OTHERWISE.to_owned()),
        },
        _ => Err(NO_SUCH_RESULT.to_owned()),
    }
}

pub(super) const NO_SUCH_RESULT: &str = "a record of this kind has no such result";

/// Records of DuckDB's dialect are rewritten by rules of their own.
const OTHERWISE: &str = "a record of this dialect is rewritten otherwise";

/// As many letters as columns: the declared ones, and `T` for the others.
pub(super) fn fitting(letters: &[u8], columns: usize) -> Result<Vec<u8>, String> {
    if columns == 0 {
        return Err("the query returned no columns".to_owned());
    }
    let mut letters = letters.to_vec();
    letters.resize(columns, b'T');
    Ok(letters)
}

/// A writer knows the position of one record.
pub(super) struct Writer<'w> {
    pub(super) text: &'w [u8],
    pub(super) place: &'w Place,
    pub(super) retry: bool,
}

impl Writer<'_> {
    pub(super) fn word(&self, index: usize) -> Result<Range<usize>, String> {
        let word = self.place.words(self.text).into_iter().nth(index);
        word.ok_or_else(|| "the directive is shorter than it was".to_owned())
    }

    /// Replaces the directive from a word on, up to a `retry` clause or a comment.
    pub(super) fn directive(&self, from: usize, by: Vec<u8>) -> Result<Edit, String> {
        const RETRY_WORDS: usize = 4;
        let words = self.place.words(self.text);
        let count = if self.retry { words.len().saturating_sub(RETRY_WORDS) } else { words.len() };
        let start = self.word(from)?.start;
        let end = words[..count].last().map_or(start, |word| word.end);
        Ok(Edit::new(start..end.max(start), by))
    }

    /// Removes a whole line with its end.
    pub(super) fn without(&self, line: &Range<usize>) -> Edit {
        let rest = &self.text[line.end..];
        let line_end = if rest.starts_with(b"\r\n") { 2 } else { usize::from(rest.starts_with(b"\n")) };
        Edit::new(line.start..line.end + line_end, [])
    }

    /// Replaces `----` and everything below it by `----` and these lines, or inserts it, followed by that many blank
    /// lines.
    pub(super) fn section(&self, lines: &[Vec<u8>], blank: usize) -> Edit {
        let line_end = self.place.line_end.as_bytes();
        let mut section = [line_end, b"----"].concat();
        lines.iter().for_each(|line| section.extend([line_end, line].concat()));
        (0..blank).for_each(|_| section.extend_from_slice(line_end));
        Edit::new(self.place.sql_end..self.place.end, section)
    }

    /// Makes a record of the `.slt` dialect expect an error.
    fn error(&self, error: &EngineError, expected: Option<&ExpectedError>, style: Style) -> Result<Vec<Edit>, String> {
        let message = error.message.trim();
        let section = Edit::new(self.place.sql_end..self.place.end, []);
        let sqlstate = error.sqlstate.as_ref().filter(|_| matches!(expected, Some(ExpectedError::SqlState(_))));
        if let (Some(sqlstate), Style::Keeping) = (sqlstate, style) {
            return Ok(vec![self.directive(1, format!("error ({sqlstate})").into_bytes())?, section]);
        }
        let as_text = matches!(expected, Some(ExpectedError::Multiline(_))) || message.lines().count() > 1;
        // Before a `retry` clause there is no room for a pattern.
        if self.retry || (as_text && style == Style::Keeping) {
            let lines: Vec<Vec<u8>> = message.lines().map(|line| line.as_bytes().to_vec()).collect();
            let section = self.section(&lines, 2 - self.place.blank_after.min(2));
            return Ok(vec![self.directive(1, b"error".to_vec())?, section]);
        }
        Ok(vec![self.directive(1, format!("error {}", pattern(message)).trim_end().into())?, section])
    }

    /// Replaces the lines below `----` by these, and changes no line that may stay.
    pub(super) fn lines(&self, new: &[Vec<u8>], style: Style) -> Vec<Edit> {
        let line_end = self.place.line_end.as_bytes();
        let written: Vec<Vec<u8>> = match style {
            Style::Folded => new.iter().map(|line| folded(line)).collect(),
            _ => new.to_vec(),
        };
        let Some(delimiter) = &self.place.delimiter else {
            return if new.is_empty() { Vec::new() } else { vec![self.section(&written, 0)] };
        };
        let old: Vec<&[u8]> = self.place.lines.iter().map(|line| &self.text[line.clone()]).collect();
        let mut edits = Vec::new();
        for Hunk { old: a, new: b } in hunks(&old, new, self.place.dialect, style) {
            let paired = a.len().min(b.len());
            let lines = &self.place.lines[a.clone()];
            for (line, text) in lines.iter().zip(&written[b.clone()]) {
                edits.push(Edit::new(line.clone(), text.clone()));
            }
            edits.extend(lines[paired..].iter().map(|line| self.without(line)));
            if b.len() > paired {
                let at = a.end.checked_sub(1).map_or(delimiter.end, |last| self.place.lines[last].end);
                let text: Vec<Vec<u8>> =
                    written[b.start + paired..b.end].iter().map(|line| [line_end, line].concat()).collect();
                edits.push(Edit::new(at..at, text.concat()));
            }
        }
        edits
    }
}

/// A hunk is a range of old lines and the new lines that replace it.
#[derive(Debug, PartialEq, Eq)]
struct Hunk {
    old: Range<usize>,
    new: Range<usize>,
}

const IGNORE: &str = "<slt:ignore>";

/// How many lines are compared one by one; larger results are replaced as a whole.
const MOST_LINES: usize = 10_000;

/// What must change, if lines may stay that match by the dialect's rules.
fn hunks(old: &[&[u8]], new: &[Vec<u8>], dialect: Dialect, style: Style) -> Vec<Hunk> {
    if !matches!(style, Style::Keeping | Style::Exact) || old.len() + new.len() > MOST_LINES {
        return vec![Hunk { old: 0..old.len(), new: 0..new.len() }];
    }
    let text = |line: &[u8]| String::from_utf8_lossy(line).into_owned();
    let patterns: Vec<Option<String>> = old
        .iter()
        .map(|line| Some(text(line)).filter(|line| dialect == Dialect::Slt && line.contains(IGNORE)))
        .collect();
    // White space is folded unless something is ignored: the crate's rule.
    let fold = style == Style::Keeping && dialect == Dialect::Slt && patterns.iter().all(Option::is_none);
    let key = |line: &[u8]| if fold { folded(line) } else { line.to_vec() };
    let old: Vec<Vec<u8>> = old.iter().map(|line| key(line)).collect();
    let keys: Vec<Vec<u8>> = new.iter().map(|line| key(line)).collect();
    // Only equal lines are certain: insertions and deletions may be reported in several ways.
    let mut hunks = Vec::new();
    let mut next = (0, 0);
    for op in capture_diff_slices(Algorithm::Myers, &old, &keys) {
        if let DiffOp::Equal { old_index, new_index, len } = op {
            hunks.push(Hunk { old: next.0..old_index, new: next.1..new_index });
            next = (old_index + len, new_index + len);
        }
    }
    hunks.push(Hunk { old: next.0..old.len(), new: next.1..keys.len() });
    hunks.into_iter().flat_map(|hunk| around_patterns(hunk, &patterns, |index| text(&new[index]))).collect()
}

/// Splits a hunk where an old line with `<slt:ignore>` may stay, because a new one matches it.
fn around_patterns(hunk: Hunk, patterns: &[Option<String>], new: impl Fn(usize) -> String) -> Vec<Hunk> {
    let (mut a, mut b) = (hunk.old.start, hunk.new.start);
    let mut parts = Vec::new();
    for index in hunk.new.clone() {
        let line = new(index);
        let fits = |at: &usize| patterns[*at].as_ref().is_some_and(|pattern| matches(pattern, &line));
        if let Some(at) = (a..hunk.old.end).find(fits) {
            parts.push(Hunk { old: a..at, new: b..index });
            (a, b) = (at + 1, index + 1);
        }
    }
    parts.push(Hunk { old: a..hunk.old.end, new: b..hunk.new.end });
    parts.retain(|part| !part.old.is_empty() || !part.new.is_empty());
    parts
}

/// Whether a whole line matches `pattern`, in which `<slt:ignore>` matches anything.
fn matches(pattern: &str, line: &str) -> bool {
    let mut fragments: Vec<&str> = pattern.split(IGNORE).collect();
    let last = fragments.pop().unwrap_or_default();
    let mut fragments = fragments.into_iter();
    let Some(mut rest) = line.strip_prefix(fragments.next().unwrap_or_default()) else { return false };
    for fragment in fragments {
        let Some(at) = rest.find(fragment) else { return false };
        rest = &rest[at + fragment.len()..];
    }
    rest.ends_with(last)
}

/// Folds whitespace like the `.slt` dialect.
fn folded(line: &[u8]) -> Vec<u8> {
    default_normalizer(&String::from_utf8_lossy(line).into_owned()).into_bytes()
}

/// A pattern that matches this error, on one line.
fn pattern(message: &str) -> String {
    let ExpectedError::Inline(regex) = ExpectedError::from_actual_error(None, &default_normalizer(&message.to_owned()))
    else {
        return String::new();
    };
    match default_normalizer(&message.to_owned()) == message {
        true => regex.to_string(),
        // The words of a directive are parsed as if one blank separated them.
        false => regex.to_string().split(' ').collect::<Vec<_>>().join(r"\s+"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(old: &[&str], new: &[&str]) -> Vec<Hunk> {
        let old: Vec<&[u8]> = old.iter().map(|line| line.as_bytes()).collect();
        let new: Vec<Vec<u8>> = new.iter().map(|line| line.as_bytes().to_vec()).collect();
        hunks(&old, &new, Dialect::Slt, Style::Keeping)
    }

    #[test]
    fn lines_that_match_except_for_whitespace_or_ignored_parts_stay() {
        assert_eq!(kept(&["1    one", "2    two"], &["1 one", "3 three"]), [Hunk { old: 1..2, new: 1..2 }]);
        assert_eq!(
            kept(&["id <slt:ignore>", "x", "took <slt:ignore> s"], &["id 5", "y", "took 9 s"]),
            [Hunk { old: 1..2, new: 1..2 }]
        );
        assert_eq!(kept(&["a", "id <slt:ignore>"], &["b", "c", "id 1"]), [Hunk { old: 0..1, new: 0..2 }]);
        assert!(matches("a <slt:ignore> c", "a b c") && !matches("a <slt:ignore> c", "a b c d"));
        assert!(!matches("ab<slt:ignore>ba", "aba") && !matches("x<slt:ignore>", "yx"));
    }

    #[test]
    fn patterns_match_their_errors_and_are_on_one_line() {
        assert_eq!(pattern("no such table: t"), "no such table: t");
        assert_eq!(pattern("near \"(\": syntax"), r#"near "\(": syntax"#);
        assert_eq!(pattern("two\n  lines"), r"two\s+lines");
        assert_eq!(pattern(""), "");
    }
}
