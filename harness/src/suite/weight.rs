//! Estimates from a script's text how much work the script is. This gives the order of the files in a first run.
//!
//! The weight is that of the records that apply to the engine: two for each byte of a statement's SQL, one for each byte of
//! a query's SQL, and two for each value of a result, whether the value is listed or only counted in a hash. Fitted by
//! least squares to the recorded times of SQLite's public corpus, these are 0.107 µs, 0.059 µs and 0.102 µs. An additional
//! time for each record does not improve the fit. The body of a loop counts once for each pass. Included files are not
//! followed.

use crate::dialect::Dialect;
use crate::dialect::outline::Kind;
use crate::script::{Condition, Labels};

/// Weighs a script that is read piece by piece.
pub(super) struct Weigher<'l> {
    dialect: Dialect,
    labels: &'l Labels,
    place: Place,
    /// Whether a condition has excluded the next record.
    excluded: bool,
    /// The beginning of a line that is not complete yet, and its length so far.
    begun: (Vec<u8>, usize),
    /// How many times the body of each open loop runs, outermost loop first.
    loops: Vec<u64>,
    weight: u64,
}

/// What the next line is part of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Directive,
    /// SQL, with the weight of one byte; 0 if the record does not apply.
    Sql(u64),
    /// The expected result of a record that applies, with the weight of one value.
    Results(u64),
    /// The expected result of a record that does not apply.
    Ignored,
    /// Everything below a `halt`.
    Over,
}

const STATEMENT: u64 = 2;
const QUERY: u64 = 1;
const VALUE: u64 = 2;

/// How many bytes of a line are examined.
const HEAD: usize = 1024;

impl<'l> Weigher<'l> {
    pub(super) fn new(dialect: Dialect, labels: &'l Labels) -> Self {
        let (place, begun) = (Place::Directive, (Vec::new(), 0));
        Weigher { dialect, labels, place, excluded: false, begun, loops: Vec::new(), weight: 0 }
    }

    /// Takes the next piece of the text.
    pub(super) fn take(&mut self, piece: &[u8]) {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', piece) {
            let line = &piece[start..end];
            start = end + 1;
            if self.begun.1 == 0 {
                self.line(&line[..line.len().min(HEAD)], line.len());
            } else {
                self.begin(line);
                let (head, length) = std::mem::take(&mut self.begun);
                self.line(&head, length);
            }
        }
        self.begin(&piece[start..]);
    }

    fn begin(&mut self, part: &[u8]) {
        let (head, length) = &mut self.begun;
        let room = HEAD.saturating_sub(head.len()).min(part.len());
        head.extend_from_slice(&part[..room]);
        *length += part.len();
    }

    /// The weight of the text that was taken.
    pub(super) fn weight(mut self) -> u64 {
        let (head, length) = std::mem::take(&mut self.begun);
        self.line(&head, length);
        self.weight
    }

    /// Takes a line of `length` bytes that begins with `head`.
    fn line(&mut self, head: &[u8], length: usize) {
        if head.trim_ascii_start().is_empty() {
            if self.place != Place::Over {
                self.place = Place::Directive;
            }
            return;
        }
        match self.place {
            Place::Over => {}
            Place::Directive => self.directive(head),
            Place::Sql(_) if head.starts_with(b"----") && head.trim_ascii_end().len() == 4 => {
                self.place = match self.place {
                    Place::Sql(0) => Place::Ignored,
                    _ => Place::Results(VALUE.saturating_mul(self.passes())),
                };
            }
            Place::Sql(each) => self.weight = self.weight.saturating_add(each.saturating_mul(length as u64)),
            Place::Results(each) => self.weight = self.weight.saturating_add(each.saturating_mul(values(head))),
            Place::Ignored => {}
        }
    }

    /// How many times the current line runs.
    fn passes(&self) -> u64 {
        self.loops.last().copied().unwrap_or(1)
    }

    fn directive(&mut self, line: &[u8]) {
        let passes = self.passes();
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let mut record =
            |each: u64| Place::Sql(if std::mem::take(&mut self.excluded) { 0 } else { each.saturating_mul(passes) });
        match words.next().unwrap_or_default() {
            b"skipif" => self.excluded |= self.labels.exclude(Condition::SkipIf(words.next().unwrap_or_default())),
            b"onlyif" => self.excluded |= self.labels.exclude(Condition::OnlyIf(words.next().unwrap_or_default())),
            b"connection" => {}
            word if word.starts_with(b"#") => {}
            b"statement" => self.place = record(STATEMENT),
            b"query" => self.place = record(QUERY),
            b"halt" if !self.excluded => self.place = Place::Over,
            word => {
                self.excluded = false;
                let definition = self.dialect.definition();
                match definition.kind(word) {
                    Kind::Loop => self.loops.push(passes.saturating_mul(definition.passes(line))),
                    Kind::End => drop(self.loops.pop()),
                    _ => {}
                }
            }
        }
    }
}

/// How many values a line of a result represents.
fn values(line: &[u8]) -> u64 {
    let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match line[digits..].starts_with(b" values hashing to ") {
        true => std::str::from_utf8(&line[..digits]).ok().and_then(|digits| digits.parse().ok()).unwrap_or(1),
        false => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(text: &str, piece: usize) -> u64 {
        weight_of(Dialect::Classic, text, piece)
    }

    fn weight_of(dialect: Dialect, text: &str, piece: usize) -> u64 {
        let labels = Labels::new(["sqlite"]);
        let mut weigher = Weigher::new(dialect, &labels);
        text.as_bytes().chunks(piece).for_each(|piece| weigher.take(piece));
        weigher.weight()
    }

    #[test]
    fn records_that_apply_weigh_their_sql_and_their_values() {
        let statement = "statement ok\nINSERT INTO t\nVALUES (1)\n";
        let listed = "query II rowsort\nSELECT a, b FROM t\n----\n1\n2\n";
        let hashed = "query I nosort label\nSELECT a\n----\n40 values hashing to 3c13dee48d9356ae19af2515e05e6b54\n";
        let long = format!("statement ok\n{}\n", "x".repeat(1000));
        for (text, expected) in [
            (String::new(), 0),
            ("# a comment\nhash-threshold 8\n\n".to_owned(), 0),
            (statement.to_owned(), 2 * (13 + 10)),
            (listed.to_owned(), 18 + 2 * 2),
            (hashed.to_owned(), 8 + 2 * 40),
            (long, 2000),
            (format!("skipif sqlite\n{listed}\n{statement}"), 46),
            (format!("onlyif mysql\n{listed}\n{statement}"), 46),
            (format!("onlyif SQLite # here\n{listed}"), 22),
            (format!("{listed}\nonlyif mysql\nhalt\n\n{statement}\nhalt\n\n{statement}"), 22 + 46),
            ("query I\nSELECT 1".to_owned(), 8),
        ] {
            for piece in [1, 7, 4096] {
                assert_eq!(weight(&text, piece), expected, "{text:?} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn what_is_in_a_loop_weighs_as_much_as_its_passes() {
        let statement = "statement ok\nDELETE FROM t\n\n";
        let query = "query I\nSELECT 1\n----\n1\n\n";
        let words = "word ".repeat(190);
        for (text, expected) in [
            (format!("loop i 5 15\n\n{statement}{query}endloop\n\n{statement}"), 10 * (26 + 10) + 26),
            (format!("foreach t a b <signed> !b\n\n{statement}loop i 0 3\n\n{query}endloop\n\nendloop"), 7 * (26 + 30)),
            (format!("concurrentforeach t {words}\n\n{statement}endloop"), 190 * 26),
            (format!("loop i 3 3\n\n{statement}endloop\n\nendloop\n\n{statement}"), 26),
            (format!("loop i 0 {}\n\nloop j 0 {}\n\n{statement}endloop", i64::MAX, i64::MAX), u64::MAX),
        ] {
            for piece in [1, 7, 4096] {
                assert_eq!(weight_of(Dialect::DuckDb, &text, piece), expected, "{text:?} in pieces of {piece}");
            }
        }
        assert_eq!(weight(&format!("loop i 0 10\n\n{statement}"), 4096), 26, "the classic dialect has no loops");
    }
}
