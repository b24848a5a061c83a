//! The positions of one record's pieces in a text, for code that changes a script on disk.
//!
//! Parsers do not store positions: a run of millions of records does not need them.

use std::ops::Range;

use super::Dialect;
use crate::script::source::{Line, Lines};

/// How the records of a dialect are laid out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Whether a line of white space counts as empty, and white space may follow `----`.
    pub(crate) ignores_blanks: bool,
    /// Whether the line below a directive is always SQL, whatever it contains.
    pub(crate) first_line_is_sql: bool,
    /// Whether lines that begin with `#` are comments even in a result.
    pub(crate) comments_in_results: bool,
    /// Whether `#` ends a directive.
    pub(crate) comments_after_words: bool,
    /// The first words of each directive that has a text below `----`. Such a text ends at two empty lines.
    pub(crate) texts: &'static [&'static [&'static [u8]]],
    /// Whether results are compared without white space, and `<slt:ignore>` in them matches anything.
    pub(crate) folds_results: bool,
}

impl Layout {
    /// Whether a line ends a record's SQL or rows.
    pub(crate) fn separates(&self, line: &Line<'_>) -> bool {
        if self.ignores_blanks { line.is_blank() } else { line.text.is_empty() }
    }

    /// Whether a line is `----`.
    fn delimits(&self, line: &Line<'_>) -> bool {
        let rest = line.text.strip_prefix(b"----");
        rest.is_some_and(|rest| rest.is_empty() || (self.ignores_blanks && rest.trim_ascii_start().is_empty()))
    }
}

/// A place is the position of one record in a text, in bytes. Ranges of lines exclude the line ending, `\n` or `\r\n`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// How the text is laid out.
    pub(crate) layout: &'static Layout,
    /// The line of the directive.
    pub directive: Range<usize>,
    /// Where the last line of the SQL ends.
    pub sql_end: usize,
    /// The line `----`, if there is one.
    pub delimiter: Option<Range<usize>>,
    /// The lines below it; comment lines, which a classic script may have there, are left out.
    pub lines: Vec<Range<usize>>,
    /// Where its last line ends.
    pub end: usize,
    /// Its line ending: `\n` or `\r\n`.
    pub line_end: &'static str,
    /// How many blank lines follow, at most two; two at the end of the text.
    pub blank_after: usize,
}

impl Place {
    /// The place of the record whose directive is in the line that begins at `start`; `None` at the text's end.
    pub fn of(text: &[u8], start: usize, dialect: Dialect) -> Option<Place> {
        let layout = dialect.definition().layout();
        let mut lines = Lines::starting_at(text, start);
        let directive = lines.next()?;
        let range = |line: &Line<'_>| line.start..line.end();
        let mut place = Place {
            layout,
            directive: range(&directive),
            sql_end: directive.end(),
            delimiter: None,
            lines: Vec::new(),
            end: directive.end(),
            line_end: if text[directive.end()..].starts_with(b"\r\n") { "\r\n" } else { "\n" },
            blank_after: 0,
        };
        let of_text = layout.texts.iter().any(|start| {
            let mut words = directive.text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
            start.iter().all(|word| words.next() == Some(word))
        });
        // Blank lines belong to a text only if another line of the text follows.
        let mut blank = 0;
        let mut first = true;
        for line in lines {
            let is_any = std::mem::take(&mut first) && layout.first_line_is_sql;
            if is_any {
                place.end = line.end();
                place.sql_end = line.end();
            } else if layout.separates(&line) {
                blank += 1;
                if blank == 2 {
                    break;
                }
            } else if blank > 0 && (place.delimiter.is_none() || !of_text) {
                place.blank_after = blank;
                return Some(place);
            } else {
                blank = 0;
                place.end = line.end();
                if place.delimiter.is_some() {
                    if !(layout.comments_in_results && line.text.starts_with(b"#")) {
                        place.lines.push(range(&line));
                    }
                } else if layout.delimits(&line) {
                    place.delimiter = Some(range(&line));
                } else {
                    place.sql_end = line.end();
                }
            }
        }
        place.blank_after = 2;
        Some(place)
    }

    /// The positions of the directive's words in `text`, without a comment, which a classic script may have there.
    pub fn words(&self, text: &[u8]) -> Vec<Range<usize>> {
        let line = &text[self.directive.clone()];
        let mut words: Vec<Range<usize>> = Vec::new();
        for (index, byte) in line.iter().enumerate().filter(|(_, byte)| !byte.is_ascii_whitespace()) {
            let at = self.directive.start + index;
            match words.last_mut() {
                Some(word) if word.end == at => word.end += 1,
                _ if *byte == b'#' && self.layout.comments_after_words => break,
                _ => words.push(at..at + 1),
            }
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(script: &str, line: usize, dialect: Dialect) -> Option<Place> {
        let start = Lines::new(script.as_bytes()).nth(line - 1)?.start;
        Place::of(script.as_bytes(), start, dialect)
    }

    fn text<'t>(text: &'t str, ranges: &[Range<usize>]) -> Vec<&'t str> {
        ranges.iter().map(|range| &text[range.clone()]).collect()
    }

    #[test]
    fn parts_are_found_whatever_the_line_ends() {
        let script = "# x\r\nskipif mysql\r\nquery IT rowsort # why\r\nSELECT 1\r\n, 2\r\n---- \r\n1\r\n# two\r\n2";
        let place = of(script, 3, Dialect::Classic).unwrap();
        assert_eq!(text(script, &place.words(script.as_bytes())), ["query", "IT", "rowsort"]);
        assert_eq!(text(script, &place.lines), ["1", "2"]);
        assert_eq!(&script[..place.sql_end], script.split("\r\n----").next().unwrap());
        assert_eq!((place.line_end, place.blank_after, place.end), ("\r\n", 2, script.len()));
        let script = script.replace("---- ", "----");
        let place = of(&script, 3, Dialect::Slt).unwrap();
        assert_eq!(text(&script, &place.lines), ["1", "# two", "2"]);
        assert_eq!(Place::of(script.as_bytes(), script.len(), Dialect::Slt), None);
    }

    #[test]
    fn rows_end_at_a_blank_line_and_texts_at_two() {
        let script =
            "query I\n----\nA\n \n----\n1\n \n\nstatement error\nB\n----\nfirst\n\nsecond\n\n\nstatement ok\nC\n\n";
        let of = |line| of(script, line, Dialect::Slt).unwrap();
        assert_eq!((text(script, &of(1).lines), of(1).blank_after), (vec!["1", " "], 1));
        assert_eq!((text(script, &of(9).lines), of(9).blank_after), (vec!["first", "second"], 2));
        assert_eq!((of(17).delimiter.clone(), &script[..of(17).end]), (None, script.trim_end()));
    }
}
