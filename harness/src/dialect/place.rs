//! Where the parts of one record stand in a text, for those who change a script on disk.
//!
//! Parsers do not keep places: a run of millions of records has no use for them.

use std::ops::Range;

use super::Dialect;
use super::classic::is_delimiter;
use crate::script::source::{Line, Lines};

/// A place is where one record stands in a text, in bytes; ranges of lines leave out `\n` or `\r\n`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// By whose rules the text is read.
    pub dialect: Dialect,
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
    /// What ends its lines: `\n` or `\r\n`.
    pub line_end: &'static str,
    /// How many blank lines follow, up to two; two at the end of the text.
    pub blank_after: usize,
}

impl Place {
    /// The place of the record whose directive stands in the line that begins at `start`, or nothing at the text's end.
    pub fn of(text: &[u8], start: usize, dialect: Dialect) -> Option<Place> {
        let mut lines = Lines::starting_at(text, start);
        let directive = lines.next()?;
        let range = |line: &Line<'_>| line.start..line.end();
        let mut place = Place {
            dialect,
            directive: range(&directive),
            sql_end: directive.end(),
            delimiter: None,
            lines: Vec::new(),
            end: directive.end(),
            line_end: if text[directive.end()..].starts_with(b"\r\n") { "\r\n" } else { "\n" },
            blank_after: 0,
        };
        let mut words = directive.text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let of_text = dialect == Dialect::Slt
            && match words.next() {
                Some(b"system") => true,
                Some(b"statement" | b"query") => words.next() == Some(b"error"),
                _ => false,
            };
        // Blank lines within a text count only if another line of it follows.
        let mut blank = 0;
        let mut first = true;
        for line in lines {
            // In `.slt`, only an empty line ends a record, and the first line of SQL may be any.
            let is_any = std::mem::take(&mut first) && dialect == Dialect::Slt;
            if is_any {
                place.end = line.end();
                place.sql_end = line.end();
            } else if separates(&line, dialect) {
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
                    if dialect == Dialect::Slt || !line.text.starts_with(b"#") {
                        place.lines.push(range(&line));
                    }
                } else if delimits(&line, dialect) {
                    place.delimiter = Some(range(&line));
                } else {
                    place.sql_end = line.end();
                }
            }
        }
        place.blank_after = 2;
        Some(place)
    }

    /// Where the words of the directive in `text` stand; a comment, which a classic script may have there, is left out.
    pub fn words(&self, text: &[u8]) -> Vec<Range<usize>> {
        let line = &text[self.directive.clone()];
        let mut words: Vec<Range<usize>> = Vec::new();
        for (index, byte) in line.iter().enumerate().filter(|(_, byte)| !byte.is_ascii_whitespace()) {
            let at = self.directive.start + index;
            match words.last_mut() {
                Some(word) if word.end == at => word.end += 1,
                _ if *byte == b'#' && self.dialect == Dialect::Classic => break,
                _ => words.push(at..at + 1),
            }
        }
        words
    }
}

/// Whether a line ends a record's SQL or rows: in `.slt` an empty one, in `.test` also one of blanks.
fn separates(line: &Line<'_>, dialect: Dialect) -> bool {
    match dialect {
        Dialect::Classic => line.is_blank(),
        Dialect::Slt | Dialect::DuckDb => line.text.is_empty(),
    }
}

/// Whether a line is `----`, behind which only `.test` allows blanks.
fn delimits(line: &Line<'_>, dialect: Dialect) -> bool {
    match dialect {
        Dialect::Classic => is_delimiter(line.text),
        Dialect::Slt | Dialect::DuckDb => line.text == b"----",
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
