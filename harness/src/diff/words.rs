//! Summarizes how two results differ.

use std::collections::HashMap;

use super::value::seen;
use super::{Shape, Sides, plural};

/// The maximum number of lines that are compared row by row; for longer results only the number of rows is given.
const COUNTED: usize = 2_000_000;

/// A row is one or several lines.
type Row<'t> = &'t [String];

impl Sides<'_> {
    /// How the results differ: `2 rows missing (5 expected, 3 returned)`, `another order (the same 3 rows)`,
    /// `column 3 differs in 4 of 120 rows`, `3 columns expected, 2 returned`.
    pub(crate) fn words(&self) -> String {
        match self.shape {
            Shape::Hash => return self.of_hashes(),
            Shape::Ignoring => return "the result differs around `<slt:ignore>`".to_owned(),
            _ => {}
        }
        if let (Some(expected), Some(actual)) = self.columns()
            && expected != actual
        {
            return format!("{expected} {} expected, {actual} returned", plural("column", expected));
        }
        let (expected, actual) = (self.expected, self.actual);
        let (noun, width) = match self.shape {
            Shape::Values(width) if expected.len().is_multiple_of(width) && actual.len().is_multiple_of(width) => {
                ("row", width)
            }
            shape => (shape.noun(), 1),
        };
        let (expected, actual): (Vec<Row<'_>>, Vec<Row<'_>>) =
            (expected.chunks(width).collect(), actual.chunks(width).collect());
        if expected == actual {
            return "the engine's validator refuses this result".to_owned();
        }
        if self.expected.len() + self.actual.len() > COUNTED {
            return match expected.len() == actual.len() {
                true => "query result mismatch".to_owned(),
                false => counted(noun, expected.len(), actual.len(), (expected.len(), actual.len())),
            };
        }
        let (missing, excess) = unmatched(&expected, &actual);
        match (missing.len(), excess.len()) {
            (0, 0) => {
                let sorted = if self.sorted { "; the script does not list them sorted" } else { "" };
                format!("another order (the same {} {}{sorted})", expected.len(), plural(noun, expected.len()))
            }
            (m, e) if m != e => counted(noun, expected.len(), actual.len(), (m, e)),
            _ => {
                let aligned = expected.iter().zip(&actual).filter(|(a, b)| a != b);
                let aligned: Vec<_> = aligned.map(|(a, b)| (*a, *b)).collect();
                let paired: Vec<_> = missing.into_iter().zip(excess).collect();
                let pairs = if aligned.len() <= paired.len() { aligned } else { paired };
                self.in_columns(&pairs, noun, expected.len())
            }
        }
    }

    /// How many columns each side has, as far as their lines show.
    fn columns(&self) -> (Option<usize>, Option<usize>) {
        let width = |lines: &[String], pieces: &dyn Fn(&str) -> usize| {
            let first = pieces(lines.first()?);
            lines.iter().all(|line| pieces(line) == first).then_some(first)
        };
        match self.shape {
            Shape::Tabs => {
                let pieces = |line: &str| line.split('\t').count();
                (width(self.expected, &pieces), width(self.actual, &pieces))
            }
            Shape::Blanks(Some(columns)) => {
                let pieces = |line: &str| line.split_whitespace().count();
                // A value with blanks looks like several pieces.
                let actual = width(self.actual, &pieces).filter(|pieces| *pieces == columns);
                (width(self.expected, &pieces), actual)
            }
            _ => (None, None),
        }
    }

    /// The columns in which these pairs of rows differ. `rows` is the number of all rows.
    fn in_columns(&self, pairs: &[(Row<'_>, Row<'_>)], noun: &str, rows: usize) -> String {
        let mut differing: Vec<bool> = Vec::new();
        let mut known = true;
        for (expected, actual) in pairs {
            let (expected, actual) = (self.cells(expected), self.cells(actual));
            known &= expected.len() == actual.len() && (differing.is_empty() || differing.len() == expected.len());
            differing.resize(expected.len().max(differing.len()), false);
            expected.iter().zip(&actual).enumerate().for_each(|(at, (a, b))| differing[at] |= a != b);
        }
        let columns: Vec<String> =
            (1..).zip(&differing).filter(|(_, differs)| **differs).map(|(n, _)| n.to_string()).collect();
        let few = known && noun == "row" && differing.len() > 1 && columns.len() < differing.len();
        let only = if noun == "row" && differing.len() == 1 { "value" } else { noun };
        let of = match rows {
            1 => format!("the {only}"),
            _ => format!("{} of {rows} {}", pairs.len(), plural(noun, rows)),
        };
        let text = |row: Row<'_>| row.iter().map(|line| seen(line)).collect::<Vec<_>>();
        let blank = pairs.iter().all(|(expected, actual)| text(expected) == text(actual));
        let space = if blank { ", in white space only" } else { "" };
        match columns.as_slice() {
            [column] if few => format!("column {column} differs in {of}{space}"),
            [first @ .., last] if few && first.len() < 4 => {
                format!("columns {} and {last} differ in {of}{space}", first.join(", "))
            }
            _ => format!("{of} {}{space}", if pairs.len() == 1 { "differs" } else { "differ" }),
        }
    }

    /// The values of a row.
    fn cells<'r>(&self, row: Row<'r>) -> Vec<&'r str> {
        let lines = row.iter().map(String::as_str);
        match self.shape {
            Shape::Tabs => lines.flat_map(|line| line.split('\t')).collect(),
            Shape::Blanks(_) => lines.flat_map(str::split_whitespace).collect(),
            _ => lines.collect(),
        }
    }

    /// How two results differ if the script lists a hash.
    fn of_hashes(&self) -> String {
        let count = |lines: &[String]| -> Option<usize> { lines.first()?.split_once(' ')?.0.parse().ok() };
        match (count(self.expected), count(self.actual)) {
            (Some(expected), Some(actual)) if expected != actual => {
                let more = (expected.saturating_sub(actual), actual.saturating_sub(expected));
                counted("value", expected, actual, more)
            }
            (Some(count), _) => format!("another hash of {count} {}", plural("value", count)),
            _ => "another hash".to_owned(),
        }
    }
}

/// The numbers of missing and surplus items, of the numbers expected and returned.
fn counted(noun: &str, expected: usize, actual: usize, (missing, excess): (usize, usize)) -> String {
    let none = |count: usize| if count == 0 { "none".to_owned() } else { count.to_string() };
    let known = format!("({} expected, {} returned)", none(expected), none(actual));
    match (missing, excess) {
        (missing, 0) => format!("{missing} {} missing {known}", plural(noun, missing)),
        (0, excess) => format!("{excess} {} too many {known}", plural(noun, excess)),
        (missing, excess) => format!("{missing} {} missing, {excess} too many {known}", plural(noun, missing)),
    }
}

/// The rows that only one side has, in order.
fn unmatched<'t>(expected: &[Row<'t>], actual: &[Row<'t>]) -> (Vec<Row<'t>>, Vec<Row<'t>>) {
    let only = |own: &[Row<'t>], other: &[Row<'t>]| {
        let mut counts: HashMap<Row<'t>, usize> = HashMap::with_capacity(other.len());
        other.iter().for_each(|row| *counts.entry(row).or_default() += 1);
        let own = own.iter().filter(|row| match counts.get_mut(**row) {
            Some(count @ 1..) => {
                *count -= 1;
                false
            }
            _ => true,
        });
        own.copied().collect()
    };
    (only(expected, actual), only(actual, expected))
}
