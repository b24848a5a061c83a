//! The parts of a script's text, with the lines that each part covers. Used to find the record at a line, and to take a
//! script apart.
//!
//! It reads by the same rules as the parsers, but decides nothing: it does not evaluate conditions or follow includes, and
//! text that the parsers would refuse is a part like any other.

use std::ops::Range;

use super::{Dialect, Place};
use crate::script::source::{Line, Lines};

/// What a part of a script is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A `statement`.
    Statement,
    /// A `query`.
    Query,
    /// `let` or `system`, which also run something.
    Other,
    /// `include`.
    Include,
    /// `halt`.
    Halt,
    /// `loop`, `foreach` and their like, up to [`End`](Kind::End).
    Loop,
    /// `endloop`.
    End,
    /// Any other directive: it only sets how records are run or judged.
    Setting,
}

impl Kind {
    /// The kind of a directive that all dialects know.
    pub(super) fn of(directive: &[u8]) -> Kind {
        match directive {
            b"statement" => Kind::Statement,
            b"query" => Kind::Query,
            b"include" => Kind::Include,
            b"halt" => Kind::Halt,
            _ => Kind::Setting,
        }
    }

    /// Whether it is a record: something that is run and judged.
    pub fn is_record(self) -> bool {
        matches!(self, Kind::Statement | Kind::Query | Kind::Other)
    }
}

/// A part is a record or another directive, with the conditions before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What it is.
    pub kind: Kind,
    /// Its first line, counted from 1: that of a condition, or of a comment right before it.
    pub first: u64,
    /// The line of its directive.
    pub line: u64,
    /// Its last line.
    pub last: u64,
    /// The places of the lines of its conditions and of its connection.
    pub conditions: Vec<Range<usize>>,
    /// The places of the part's own pieces: its directive, SQL and result.
    pub place: Place,
}

/// All parts of a text, in order.
pub fn parts(text: &[u8], dialect: Dialect) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut conditions: Vec<Range<usize>> = Vec::new();
    let mut first = None;
    let mut lines = Lines::new(text);
    while let Some(line) = lines.next() {
        let number = lines.number();
        if separates(&line) {
            // A comment followed by an empty line belongs to nothing.
            first = first.filter(|_| !conditions.is_empty());
            continue;
        }
        first = first.or(Some(number));
        if line.text.starts_with(b"#") {
            continue;
        }
        let directive = line.text.split(u8::is_ascii_whitespace).find(|word| !word.is_empty()).unwrap_or_default();
        if matches!(directive, b"skipif" | b"onlyif" | b"connection") {
            conditions.push(line.start..line.end());
            continue;
        }
        let kind = dialect.definition().kind(directive);
        let place = match Place::of(text, line.start, dialect) {
            Some(place) if kind.is_record() => place,
            Some(place) => Place { sql_end: line.end(), delimiter: None, lines: Vec::new(), end: line.end(), ..place },
            None => break,
        };
        // Moves to the line where the record ends.
        let mut last = number;
        while lines.position() < place.end {
            if lines.next().is_none() {
                break;
            }
            last = lines.number();
        }
        let first = first.take().unwrap_or(number);
        parts.push(Part { kind, first, line: number, last, conditions: std::mem::take(&mut conditions), place });
    }
    parts
}

/// Whether a line between two parts is empty.
fn separates(line: &Line<'_>) -> bool {
    match std::str::from_utf8(line.text) {
        Ok(text) => text.trim().is_empty(),
        Err(_) => line.is_blank(),
    }
}

/// The record that covers a line.
///
/// A sentence that says why no record covers the line, and names the nearest record. `name` is the name of the script.
pub fn record_at(text: &[u8], dialect: Dialect, name: &str, line: u64) -> Result<Part, String> {
    let parts = parts(text, dialect);
    let records = || parts.iter().filter(|part| part.kind.is_record());
    if let Some(part) = records().find(|part| (part.first..=part.last).contains(&line)) {
        // Nothing after an unconditional `halt` ever runs.
        let halt = parts.iter().find(|halt| halt.kind == Kind::Halt && halt.conditions.is_empty());
        return match halt.filter(|halt| halt.line < part.line) {
            Some(halt) => Err(format!(
                "line {line} of `{name}` is never run: the script ends with the `halt` in line {}",
                halt.line
            )),
            None => Ok(part.clone()),
        };
    }
    let distance = |part: &&Part| if line < part.first { part.first - line } else { line - part.last };
    let Some(nearest) = records().min_by_key(distance) else {
        return Err(format!("`{name}` holds no record"));
    };
    let count = Lines::new(text).count();
    let lines = if count == 1 { "line" } else { "lines" };
    let why = match parts.iter().find(|part| (part.first..=part.last).contains(&line)) {
        _ if line == 0 => "lines are counted from 1".to_owned(),
        _ if line > count as u64 => format!("`{name}` has {count} {lines}"),
        Some(part) => {
            let words = String::from_utf8_lossy(&text[part.place.directive.clone()]).into_owned();
            let word = words.split_whitespace().next().unwrap_or_default();
            format!("line {line} of `{name}` is part of a `{word}`, which is not a record")
        }
        None => format!("line {line} of `{name}` is in no record"),
    };
    Err(format!("{why}; the nearest record is `{name}:{}`: {}", nearest.line, headline(text, nearest)))
}

/// Whether the part in this line is inside a loop.
pub fn is_in_loop(text: &[u8], dialect: Dialect, line: u64) -> bool {
    let before = parts(text, dialect).into_iter().take_while(|part| part.line < line);
    let open = before.fold(0_u64, |open, part| match part.kind {
        Kind::Loop => open + 1,
        Kind::End => open.saturating_sub(1),
        _ => open,
    });
    open > 0
}

/// The first line of a record's SQL, for messages.
fn headline(text: &[u8], part: &Part) -> String {
    let sql = text.get(part.place.directive.end..part.place.sql_end).unwrap_or_default();
    let sql = String::from_utf8_lossy(sql);
    let mut lines = sql.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or("(without SQL)");
    let shown: String = first.chars().take(LONGEST).collect();
    if shown.len() < first.len() || lines.next().is_some() { format!("{shown} …") } else { shown }
}

/// How much of a record's SQL an error shows, in characters.
const LONGEST: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "# About this script.\n\n# A table.\nskipif mysql\nstatement ok\nCREATE TABLE t(a)\n\n\n\
                          hash-threshold 8\n\nonlyif sqlite\n\nquery I rowsort\nSELECT a\nFROM t\n----\n1\n2\n\nhalt\n";

    fn ranges(script: &str, dialect: Dialect) -> Vec<(Kind, u64, u64, u64)> {
        parts(script.as_bytes(), dialect).iter().map(|part| (part.kind, part.first, part.line, part.last)).collect()
    }

    #[test]
    fn a_part_covers_its_comments_its_conditions_and_its_results() {
        let expected =
            [(Kind::Statement, 3, 5, 6), (Kind::Setting, 9, 9, 9), (Kind::Query, 11, 13, 18), (Kind::Halt, 20, 20, 20)];
        assert_eq!(ranges(SCRIPT, Dialect::Classic), expected);
        assert_eq!(ranges(&SCRIPT.replace('\n', "\r\n"), Dialect::Classic), expected);
        let text = "connection a\nstatement error\nX\n----\none\n\ntwo\n\n\nlet (a)\nSELECT 1\n\ninclude b.part\nquery I\nSELECT 1";
        let of_slt = [(Kind::Statement, 1, 2, 7), (Kind::Other, 10, 10, 11), (Kind::Include, 13, 13, 13)];
        assert_eq!(ranges(text, Dialect::Slt)[..3], of_slt);
        assert_eq!(ranges(text, Dialect::Slt)[3], (Kind::Query, 14, 14, 15));
        let loops = "loop i 0 2\n\nstatement ok\nSELECT {i}\n\nendloop\n";
        let kinds: Vec<Kind> = parts(loops.as_bytes(), Dialect::DuckDb).iter().map(|part| part.kind).collect();
        assert_eq!(kinds, [Kind::Loop, Kind::Statement, Kind::End]);
        let two = format!("{loops}\nstatement ok\nSELECT 1\n");
        assert!(is_in_loop(two.as_bytes(), Dialect::DuckDb, 3) && !is_in_loop(two.as_bytes(), Dialect::DuckDb, 8));
    }

    #[test]
    fn a_line_names_its_record_or_the_nearest() {
        let at = |line| record_at(SCRIPT.as_bytes(), Dialect::Classic, "a.test", line);
        for (line, record) in [(3, 5), (4, 5), (6, 5), (11, 13), (12, 13), (18, 13)] {
            assert_eq!(at(line).unwrap().line, record, "{line}");
        }
        for (line, words) in [
            (0, "lines are counted from 1; the nearest record is `a.test:5`: CREATE TABLE t(a)"),
            (1, "line 1 of `a.test` is in no record; the nearest record is `a.test:5`"),
            (
                9,
                "line 9 of `a.test` is part of a `hash-threshold`, which is not a record; the nearest record is `a.test:13`",
            ),
            (99, "`a.test` has 20 lines; the nearest record is `a.test:13`: SELECT a …"),
        ] {
            let error = at(line).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        let behind = record_at(b"halt\n\nstatement ok\nSELECT 1\n", Dialect::Classic, "a.test", 3).unwrap_err();
        assert!(behind.contains("ends with the `halt` in line 1"), "{behind}");
        assert_eq!(record_at(b"# x\n", Dialect::Slt, "a.slt", 1).unwrap_err(), "`a.slt` holds no record");
    }
}
