//! Lines and words of a script in DuckDB's dialect.

use std::borrow::Cow;

/// The text without carriage returns, which the dialect deletes everywhere, and without a byte order mark.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    if text.contains('\r') { Cow::Owned(text.replace('\r', "")) } else { Cow::Borrowed(text) }
}

/// The words of a directive.
pub(super) fn words(line: &str) -> Vec<&str> {
    line.split([' ', '\t', '\x0B', '\x0C']).filter(|word| !word.is_empty()).collect()
}

/// A text, line by line.
#[derive(Debug, Clone)]
pub(super) struct Lines<'a> {
    text: &'a str,
    /// Where the present line begins.
    start: usize,
    /// Where it ends.
    end: usize,
    /// Its number, counted from 1.
    number: u64,
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Lines { text, start: 0, end: end_of_line(text, 0), number: 1 }
    }

    /// The present line; `None` at the end.
    pub(super) fn line(&self) -> Option<&'a str> {
        (self.start < self.text.len()).then(|| &self.text[self.start..self.end])
    }

    /// The number of the present line.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Goes to the next line.
    pub(super) fn advance(&mut self) {
        if self.start < self.text.len() {
            self.start = (self.end + 1).min(self.text.len());
            self.end = end_of_line(self.text, self.start);
            self.number += 1;
        }
    }

    /// Whether the present line ends a record: it is empty, or a comment, or the end of the text.
    pub(super) fn is_separator(&self) -> bool {
        self.line().is_none_or(|line| line.is_empty() || line.starts_with('#'))
    }

    /// The lines up to the first one that `ends` accepts, which becomes the present line; `None` if there are no such
    /// lines.
    pub(super) fn take_until(&mut self, ends: impl Fn(&str) -> bool) -> Option<&'a str> {
        let (start, mut end) = (self.start, None);
        while let Some(line) = self.line().filter(|line| !ends(line)) {
            end = Some(self.start + line.len());
            self.advance();
        }
        end.map(|end| &self.text[start..end])
    }
}

/// Where the line ends that begins at `start`.
fn end_of_line(text: &str, start: usize) -> usize {
    memchr::memchr(b'\n', &text.as_bytes()[start..]).map_or(text.len(), |length| start + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_at_line_feeds_and_carriage_returns_are_gone() {
        let text = clean("\u{FEFF}a\r\nb\rc\n\nd");
        assert_eq!(text, "a\nbc\n\nd");
        let mut lines = Lines::new(&text);
        assert_eq!(lines.take_until(str::is_empty), Some("a\nbc"));
        assert_eq!((lines.number(), lines.line(), lines.is_separator()), (3, Some(""), true));
        lines.advance();
        assert_eq!(lines.take_until(str::is_empty), Some("d"));
        assert_eq!((lines.line(), lines.is_separator(), lines.take_until(str::is_empty)), (None, true, None));
    }

    #[test]
    fn words_are_separated_by_blanks_and_tabs() {
        assert_eq!(words(" query\tI \x0B nosort"), ["query", "I", "nosort"]);
        assert!(words(" \t").is_empty());
    }
}
