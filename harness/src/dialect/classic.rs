//! The classic dialect (`.test`), as SQLite's original runner reads it.
//!
//! ```text
//! hash-threshold 8              results of more than 8 values are written as a hash
//!
//! skipif mysql # why            left out on MySQL; any number of conditions, all must hold
//! onlyif sqlite
//! statement ok                  or `statement error`
//! CREATE TABLE t(a INTEGER)
//!
//! query IT rowsort label-1      letters, order (nosort, rowsort, valuesort), label
//! SELECT a, b FROM t
//! ----
//! 1                             one value a line, or `30 values hashing to 3c13…`
//! one
//!
//! halt                          nothing below is run
//! ```
//!
//! Blank lines (or lines of white space) separate records. Lines that begin with `#` are ignored everywhere, and `#` ends a
//! directive. Rules: <https://www.sqlite.org/sqllogictest/doc/trunk/about.wiki>.

use std::borrow::Cow;

use sqllogictest::parser::ExpectedError;

use super::{Dialect, foreign};
use crate::script::source::{self, Line, Lines, quote};
use crate::script::{Answer, Block, Completion, Condition, Labels, Lines as Expected, Record, Sort, Step, SyntaxError};

mod definition;
mod rewrite;

pub(super) use definition::Classic;

/// A parser yields the records of a classic script, one at a time, without copying it.
///
/// For a record that does not apply, it yields [`Step::Skip`] and does not read the rest of the record. After an error it
/// yields nothing more.
#[derive(Debug)]
pub struct Parser<'a> {
    lines: Lines<'a>,
    labels: &'a Labels,
    failed: bool,
}

impl<'a> Parser<'a> {
    /// A parser of `text` for an engine with these labels.
    pub fn new(text: &'a [u8], labels: &'a Labels) -> Self {
        Parser { lines: Lines::new(text), labels, failed: false }
    }

    fn record(&mut self) -> Result<Option<Record<'a>>, SyntaxError> {
        if self.lines.number() == 0 {
            source::check(self.lines.text())?;
        }
        let mut excluded = false;
        let mut condition: Option<(u64, &'a [u8])> = None;
        while let Some(line) = self.lines.next() {
            if line.text.starts_with(b"#") {
                continue;
            }
            if line.is_blank() {
                if condition.is_some() {
                    break;
                }
                continue;
            }
            let number = self.lines.number();
            let mut words = Words::new(line.text);
            let directive = words.next().unwrap_or_default();
            let step = match directive {
                b"skipif" | b"onlyif" => {
                    excluded |= self.labels.exclude(self.condition(directive, &mut words)?);
                    condition = Some((number, line.text));
                    continue;
                }
                // As in SQLite's own runner, nothing of a record that is left out has to be valid.
                _ if excluded && !matches!(directive, b"halt" | b"hash-threshold") => {
                    self.pass_over();
                    return Ok(Some(Record::new(number, Step::Skip)));
                }
                b"statement" => self.statement(&mut words)?,
                b"query" => self.query(&mut words)?,
                b"hash-threshold" => self.hash_threshold(&mut words)?,
                b"halt" => Step::Halt,
                _ => {
                    self.foreign(&[directive, words.next().unwrap_or_default()])?;
                    let known = "skipif, onlyif, statement, query, hash-threshold, halt";
                    let message = format!("unknown directive {} (a `.test` file knows {known})", quote(directive));
                    return Err(self.error(message));
                }
            };
            if let Some(extra) = words.next() {
                if matches!(step, Step::Statement { expect: Completion::Error(_), .. }) {
                    return Err(foreign::error(number, "`error` with a pattern", &[Dialect::Slt], Dialect::Classic));
                }
                if matches!(step, Step::Statement { .. }) && words.next().is_none() {
                    return Err(foreign::connection(number, &String::from_utf8_lossy(extra), Dialect::Classic));
                }
                return Err(SyntaxError::new(number, format!("unexpected {} after the directive", quote(extra))));
            }
            let is_open = condition.is_some() && self.labels.are_undecided();
            if (excluded || is_open) && matches!(step, Step::Halt | Step::HashThreshold(_)) {
                (excluded, condition) = (false, None);
                continue;
            }
            return Ok(Some(Record::new(number, step)));
        }
        match condition {
            Some((number, text)) => {
                Err(SyntaxError::new(number, format!("no record follows {}", quote(text.trim_ascii_end()))))
            }
            None => Ok(None),
        }
    }

    fn condition(&self, directive: &[u8], words: &mut Words<'a>) -> Result<Condition<'a>, SyntaxError> {
        let Some(name) = words.next() else {
            return Err(self.error(format!("{} needs the name of an engine", quote(directive))));
        };
        if let Some(extra) = words.next() {
            return Err(self.error(format!(
                "{} takes one name; a comment after it begins with `#`: {}",
                quote(directive),
                quote(extra)
            )));
        }
        Ok(if directive == b"skipif" { Condition::SkipIf(name) } else { Condition::OnlyIf(name) })
    }

    fn hash_threshold(&self, words: &mut Words<'a>) -> Result<Step<'a>, SyntaxError> {
        let word = words.next().unwrap_or_default();
        let number = std::str::from_utf8(word).ok().and_then(|text| text.parse().ok());
        number
            .map(Step::HashThreshold)
            .ok_or_else(|| self.error(format!("`hash-threshold` needs a number, not {}", quote(word))))
    }

    fn statement(&mut self, words: &mut Words<'a>) -> Result<Step<'a>, SyntaxError> {
        let expect = match words.next() {
            Some(b"ok") => Completion::Ok,
            Some(b"error") => Completion::Error(ExpectedError::Empty),
            other => {
                self.foreign(&[b"statement", other.unwrap_or_default()])?;
                let message = format!("`statement` needs `ok` or `error`, not {}", quote(other.unwrap_or_default()));
                return Err(self.error(message));
            }
        };
        let (sql, delimiter) = self.sql("statement")?;
        if delimiter && expect != Completion::Ok {
            let dialects = [Dialect::Slt, Dialect::DuckDb];
            let what = "the text of an error below `----`";
            return Err(foreign::error(self.lines.number(), what, &dialects, Dialect::Classic));
        }
        if delimiter {
            return Err(self.error("a `statement` has no results: `----` belongs to a `query`"));
        }
        Ok(Step::Statement { sql, expect })
    }

    fn query(&mut self, words: &mut Words<'a>) -> Result<Step<'a>, SyntaxError> {
        let Some(letters) = words.next() else {
            return Err(foreign::no_letters(self.lines.number(), Dialect::Classic));
        };
        if let Some(letter) = letters.iter().find(|letter| !b"IRT".contains(letter)) {
            self.foreign(&[b"query", letters])?;
            let (letter, letters) = (quote(&[*letter]), String::from_utf8_lossy(letters));
            return Err(foreign::letter(self.lines.number(), &letter, &letters, Dialect::Classic));
        }
        let sort = match words.next() {
            None | Some(b"nosort") => Sort::None,
            Some(b"rowsort") => Sort::Rows,
            Some(b"valuesort") => Sort::Values,
            Some(other) => {
                return Err(self.error(format!("unknown order {}: nosort, rowsort or valuesort", quote(other))));
            }
        };
        let label = words.next().map(Cow::Borrowed);
        let (sql, delimiter) = self.sql("query")?;
        let block = if delimiter { self.results()? } else { Block { text: b"", count: 0, plain: true } };
        let expect = Answer::Lines { lines: Expected::Block(block), row_wise: false };
        Ok(Step::Query { sql, letters: Cow::Borrowed(letters), sort, label, expect })
    }

    /// Skips the lines of a record that does not apply.
    fn pass_over(&mut self) {
        while self.lines.next().is_some_and(|line| !line.is_blank()) {}
    }

    /// Reads SQL up to the record's end or `----`, and returns whether it found `----`.
    fn sql(&mut self, directive: &str) -> Result<(Cow<'a, [u8]>, bool), SyntaxError> {
        let number = self.lines.number();
        let text = self.lines.text();
        let mut sql = Sql::default();
        let mut delimiter = false;
        for line in self.lines.by_ref() {
            if line.is_blank() {
                break;
            }
            if line.text.starts_with(b"#") {
                continue;
            }
            if is_delimiter(line.text) {
                delimiter = true;
                break;
            }
            sql.push(line, text);
        }
        match sql.finish() {
            Some(sql) if source::is_without_sql(&sql) => {
                Err(SyntaxError::new(number, format!("`{directive}` without SQL: there are only comments and `;`")))
            }
            Some(sql) => Ok((sql, delimiter)),
            None => Err(SyntaxError::new(number, format!("`{directive}` without SQL on the line below it"))),
        }
    }

    /// Reads expected results up to the record's end.
    fn results(&mut self) -> Result<Block<'a>, SyntaxError> {
        let file = self.lines.text();
        let start = self.lines.position();
        let mut block = Block { text: b"", count: 0, plain: true };
        let mut next = start;
        while let Some(line) = self.lines.next() {
            if line.is_blank() {
                break;
            }
            if is_delimiter(line.text) {
                return Err(self.error("a second `----` in one record"));
            }
            let comment = line.text.starts_with(b"#");
            // A line that does not begin directly after the `\n` of the previous line has a carriage return before it.
            block.plain &= line.start == next && !comment;
            block.count += usize::from(!comment);
            block.text = &file[start..line.end()];
            next = line.end() + 1;
        }
        Ok(block)
    }

    /// Refuses words that belong to other dialects.
    fn foreign(&self, words: &[&[u8]]) -> Result<(), SyntaxError> {
        let words: Vec<&str> = words.iter().map(|word| std::str::from_utf8(word).unwrap_or_default()).collect();
        foreign::of_words(self.lines.number(), &words, Dialect::Classic).map_or(Ok(()), Err)
    }

    fn error(&self, message: impl Into<String>) -> SyntaxError {
        SyntaxError::new(self.lines.number(), message)
    }
}

impl<'a> Iterator for Parser<'a> {
    type Item = Result<Record<'a>, SyntaxError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let record = self.record().transpose();
        self.failed = matches!(record, Some(Err(_)));
        record
    }
}

/// The lines of one piece of SQL. It is a slice of the file as long as each line ends with a bare `\n`, and a copy
/// otherwise.
#[derive(Default)]
struct Sql<'a> {
    text: Option<Cow<'a, [u8]>>,
    end: usize,
}

impl<'a> Sql<'a> {
    fn push(&mut self, line: Line<'a>, file: &'a [u8]) {
        match &mut self.text {
            None => self.text = Some(Cow::Borrowed(line.text)),
            Some(Cow::Borrowed(text)) if self.end + 1 == line.start => {
                let start = self.end - text.len();
                *text = &file[start..line.end()];
            }
            Some(text) => {
                let text = text.to_mut();
                text.push(b'\n');
                text.extend_from_slice(line.text);
            }
        }
        self.end = line.end();
    }

    fn finish(self) -> Option<Cow<'a, [u8]>> {
        self.text
    }
}

/// The words of a directive; `#` at the start of a word ends it.
struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    fn new(line: &'a [u8]) -> Self {
        Words(line)
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.0.trim_ascii_start();
        if rest.is_empty() || rest[0] == b'#' {
            self.0 = b"";
            return None;
        }
        let is_end = |byte: &u8| *byte <= b' ' && byte.is_ascii_whitespace();
        let end = rest.iter().position(is_end).unwrap_or(rest.len());
        let (word, rest) = rest.split_at(end);
        self.0 = rest;
        Some(word)
    }
}

/// Whether a line is `----`, with or without trailing white space.
pub(super) fn is_delimiter(line: &[u8]) -> bool {
    line.starts_with(b"----") && line[4..].trim_ascii_start().is_empty()
}

#[cfg(test)]
mod tests;
