//! Where the expected lines of a record are in its file.

use std::path::Path;

use crate::dialect::{Dialect, Place};
use crate::script::{Record, source};
use crate::trial::answer;

/// The line number of each expected line. Empty if the file does not have exactly these lines there: then they come from
/// somewhere else.
///
/// Parsers keep no positions, so the file is read again.
pub(super) fn of_expected(record: &Record<'_>, expected: &[String], dialect: Dialect, path: &Path) -> Vec<u64> {
    let file = record.included_from.as_deref().map_or(path, Path::new);
    let Ok(text) = source::read(file) else { return Vec::new() };
    let index = usize::try_from(record.line).unwrap_or(usize::MAX).saturating_sub(1);
    let start = source::Lines::new(&text).nth(index).map(|line| line.start);
    let Some(place) = start.and_then(|start| Place::of(&text, start, dialect)) else { return Vec::new() };
    if place.lines.len() != expected.len() {
        return Vec::new();
    }
    let mut numbers = Vec::with_capacity(expected.len());
    let (mut at, mut number) = (place.directive.start, record.line);
    for (range, expected) in place.lines.iter().zip(expected) {
        number += memchr::memchr_iter(b'\n', &text[at..range.start]).count() as u64;
        at = range.start;
        let is_here = |backslashes| answer::shown(&text[range.clone()], backslashes, true).trim() == expected.trim();
        if !is_here(false) && !is_here(true) {
            return Vec::new();
        }
        numbers.push(number);
    }
    numbers
}
