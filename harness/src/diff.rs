//! Diffs of two results or files, as text without colours.
//!
//! [`Sides`] are the two results of a record. [`words`](Sides::words) summarizes how they differ, and [`text`](Sides::text)
//! shows where.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::time::{Duration, Instant};

use similar::{Algorithm, DiffOp, TextDiff, capture_diff_slices_deadline, group_diff_ops};

mod returned;
mod value;
mod words;

pub(crate) use returned::Returned;

/// How many bytes of a text a message shows: an engine that returns megabytes must not flood a terminal.
pub(crate) const LONGEST: usize = 4096;

/// How many bytes of a diff of whole files a message shows.
const LONGEST_UNIFIED: usize = 64 << 10;

/// The number of context lines around a difference.
const CONTEXT: usize = 3;

/// How many lines of each side are compared, from the first one that differs.
const COMPARED: usize = 50_000;

/// After this time, a diff is no longer minimised: it is correct, but may be longer than necessary.
const PATIENCE: Duration = Duration::from_millis(500);

/// How the lines of a result form rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A line is a value, and this many values are a row.
    Values(usize),
    /// A line is a value, and the values are sorted independent of their rows.
    Sorted,
    /// A line is a row, with tabs between its values.
    Tabs,
    /// A line is a row, with blanks between its values. The engine returned this many columns; `None` if the rows have
    /// different widths.
    Blanks(Option<usize>),
    /// The line is a number of values and their hash.
    Hash,
    /// Parts of the lines are ignored.
    Ignoring,
    /// The lines are those of a text.
    Text,
}

impl Shape {
    /// The noun for a line, for messages.
    fn noun(self) -> &'static str {
        match self {
            Shape::Values(_) | Shape::Sorted => "value",
            Shape::Tabs | Shape::Blanks(_) => "row",
            Shape::Hash | Shape::Ignoring | Shape::Text => "line",
        }
    }
}

/// The two results of a record, in the form in which they are compared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sides<'t> {
    pub(crate) expected: &'t [String],
    pub(crate) actual: &'t [String],
    pub(crate) shape: Shape,
    /// Whether the actual result was sorted before it was compared.
    pub(crate) sorted: bool,
    /// The line in the file of each expected line; empty if unknown.
    pub(crate) numbers: &'t [u64],
}

impl Sides<'_> {
    /// The lines of both sides: lines only in `expected` after `-`, lines only in `actual` after `+`, and a few common
    /// lines around them. A line after `?` marks the difference between the two lines above it. Before each group of lines,
    /// `@@ line 17 @@` gives the line in the file of the first expected line that differs.
    ///
    /// About `longest` bytes are shown, and a few hundred of a value; everything if it is `usize::MAX`. Long runs of common
    /// lines are replaced by a line with their number.
    pub(crate) fn text(&self, longest: usize) -> String {
        let same = self.expected.iter().zip(self.actual).take_while(|(a, b)| a == b).count();
        // Long results often begin with equal lines, which the diff need not search.
        let skipped = same.saturating_sub(CONTEXT);
        let window = |lines: &[String]| skipped..lines.len().min(skipped.saturating_add(COMPARED));
        let (old, new) = (window(self.expected), window(self.actual));
        let uncompared = (self.expected.len() - old.end).max(self.actual.len() - new.end);
        let (old, new) = (&self.expected[old], &self.actual[new]);
        let deadline = Instant::now() + PATIENCE;
        let groups = group_diff_ops(capture_diff_slices_deadline(Algorithm::Myers, old, new, Some(deadline)), CONTEXT);
        let view = View {
            old,
            new,
            unseen: unseen(&groups, old, new),
            whole: longest == usize::MAX,
            marks: self.shape != Shape::Hash,
        };
        let noun = self.shape.noun();
        let folded = |count: usize| (count > 0).then(|| format!("  … {} equal {}", count, plural(noun, count)));
        let (mut shown, mut size, mut next) = (Vec::new(), 0, 0);
        let mut groups = groups.iter();
        for group in groups.by_ref() {
            let first = group.first().map_or(0, |op| op.old_range().start);
            shown.extend(folded(if next == 0 { skipped + first } else { first - next }));
            shown.extend(self.head(group, skipped));
            for op in group {
                view.show(op, &mut |line| {
                    size += line.len() + 1;
                    shown.push(line);
                    size < longest
                });
            }
            next = group.last().map_or(next, |op| op.old_range().end);
            if size >= longest {
                let rest: usize = groups.by_ref().flatten().filter(|op| op.tag() != similar::DiffTag::Equal).count();
                let more = if rest == 0 { String::new() } else { format!(", and {rest} more places differ") };
                shown.push(format!("… cut after {size} bytes{more}"));
                return shown.join("\n");
            }
        }
        shown.extend(folded(old.len() - next).filter(|_| uncompared == 0));
        if uncompared > 0 {
            shown.push(format!("… {uncompared} more {} are not compared", plural(noun, uncompared)));
        }
        shown.join("\n")
    }

    /// The position in the file of a group's first difference.
    fn head(&self, group: &[DiffOp], skipped: usize) -> Option<String> {
        let op = group.iter().find(|op| op.tag() != similar::DiffTag::Equal)?;
        let at = skipped + op.old_range().start;
        match (self.numbers.get(at), self.numbers.last()) {
            (Some(line), _) if op.tag() == similar::DiffTag::Insert => Some(format!("@@ before line {line} @@")),
            (Some(line), _) => Some(format!("@@ line {line} @@")),
            (None, Some(last)) => Some(format!("@@ after line {last} @@")),
            (None, None) => None,
        }
    }
}

/// Two sides as they are displayed.
struct View<'t> {
    old: &'t [String],
    new: &'t [String],
    /// Lines that differ from a line of the other side only in invisible characters.
    unseen: HashSet<&'t str>,
    whole: bool,
    /// Whether to mark the difference between two lines. For hashes, marks would not help.
    marks: bool,
}

impl View<'_> {
    /// Shows an operation line by line, as long as `push` accepts more.
    fn show(&self, op: &DiffOp, push: &mut impl FnMut(String) -> bool) {
        let (old, new) = (&self.old[op.old_range()], &self.new[op.new_range()]);
        if op.tag() == similar::DiffTag::Equal {
            old.iter().map(|line| value::cut(&value::common(line), 0, self.whole)).all(|line| push(sign(' ', &line)));
            return;
        }
        let line = |line: &str| value::changed(line, self.unseen.contains(line));
        if old.len() == new.len() {
            // Each line is followed by its counterpart, because the reader compares the two.
            old.iter().zip(new).all(|(old, new)| {
                let [old, new, mark] = value::pair(&line(old), &line(new), self.whole);
                push(sign('-', &old))
                    && push(sign('+', &new))
                    && (mark.is_empty() || !self.marks || push(sign('?', &mark)))
            });
            return;
        }
        let lines = |own: &[String], other: &[String]| -> Vec<String> {
            let others: Vec<String> = other.iter().take(20).map(|other| line(other)).collect();
            let shown = own.iter().map(|own| {
                let own = line(own);
                let same = others.iter().map(|other| value::common_start(&own, other)).max().unwrap_or(0);
                value::cut(&own, same, self.whole)
            });
            shown.collect()
        };
        let (old, new) = (lines(old, new), lines(new, old));
        let mut signed = old.iter().map(|line| sign('-', line)).chain(new.iter().map(|line| sign('+', line)));
        signed.all(push);
    }
}

fn sign(sign: char, line: &str) -> String {
    format!("{sign} {line}").trim_end().to_owned()
}

/// The lines that differ from a line of the other side only in whitespace and other invisible characters.
fn unseen<'t>(groups: &[Vec<DiffOp>], old: &'t [String], new: &'t [String]) -> HashSet<&'t str> {
    let mut seen: HashMap<String, [Vec<&'t str>; 2]> = HashMap::new();
    let changed = groups.iter().flatten().filter(|op| op.tag() != similar::DiffTag::Equal);
    for op in changed {
        let sides: [(&'t [String], Range<usize>); 2] = [(old, op.old_range()), (new, op.new_range())];
        for (side, (lines, range)) in sides.into_iter().enumerate() {
            lines[range].iter().for_each(|line| seen.entry(value::seen(line)).or_default()[side].push(line));
        }
    }
    let differ = seen.into_values().filter(|[old, new]| {
        let (old, new): (HashSet<_>, HashSet<_>) = (old.iter().collect(), new.iter().collect());
        !old.is_empty() && !new.is_empty() && old != new
    });
    differ.flat_map(|[old, new]| old.into_iter().chain(new)).collect()
}

fn plural(noun: &str, count: usize) -> String {
    if count == 1 { noun.to_owned() } else { format!("{noun}s") }
}

/// The last character boundary at or before `end`.
fn floor(text: &str, end: usize) -> usize {
    (0..=end.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0)
}

/// Two versions of a file in the format of `diff -u`.
pub(crate) fn unified(name: &str, old: &[u8], new: &[u8]) -> String {
    let (old, new) = (String::from_utf8_lossy(old), String::from_utf8_lossy(new));
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(&*old, &*new);
    let text = diff.unified_diff().context_radius(CONTEXT).header(name, name).to_string();
    shorten(text.trim_end_matches('\n').to_owned(), LONGEST_UNIFIED)
}

/// A text, or its start and a note about its length.
pub(crate) fn shorten(mut text: String, longest: usize) -> String {
    let length = text.len();
    if length > longest {
        text.truncate(floor(&text, longest));
        text.push_str(&format!("\n… {length} bytes in all"));
    }
    text
}

#[cfg(test)]
mod tests;
