//! The changes to a text that make a record expect what the engine returned.
//!
//! An edit counts only if the edited record parses as one that the same result satisfies ([`Revision::holds`]). So this
//! module needs no list of the values that a script cannot contain. Only values that would match others too are refused.

use std::ops::Range;
use std::path::Path;

use memchr::memmem;
use similar::{Algorithm, DiffOp, capture_diff_slices};
use sqllogictest::default_normalizer;

use super::{Dialect, Place};
use crate::exchange::{EngineError, Rows};
use crate::script::{Answer, Completion, ExpectedError, Labels, Lines, Record, ScriptFile, Step, SyntaxError};

/// An edit replaces a range by a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) at: Range<usize>,
    pub(crate) text: Vec<u8>,
}

impl Edit {
    pub(crate) fn new(at: Range<usize>, text: impl Into<Vec<u8>>) -> Edit {
        Edit { at, text: text.into() }
    }
}

/// The text in `range` after these edits, which are in order.
pub(crate) fn apply<'e>(text: &[u8], range: Range<usize>, edits: impl IntoIterator<Item = &'e Edit>) -> Vec<u8> {
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

/// How to write the new expectation. There are several styles, because no style can express every result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Matching lines stay unchanged; an error keeps its form, a pattern or text.
    Keeping,
    /// Only lines that are equal byte for byte stay, and lines with `<slt:ignore>` that still match.
    Exact,
    /// All lines as the engine returned them; an error as a pattern.
    Plain,
    /// Whitespace folded, as the `.slt` dialect compares it.
    Folded,
}

impl Style {
    pub(crate) const ALL: [Style; 4] = [Style::Keeping, Style::Exact, Style::Plain, Style::Folded];
}

/// A correction is what a record would have to expect in order to pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Correction {
    /// A result: its lines as a script lists them, and the number of columns, if known. `letters` are new letters, if the
    /// adapter knows better ones than the record has.
    Lines { lines: Vec<Vec<u8>>, columns: Option<usize>, letters: Option<String> },
    /// A number of rows.
    Count(u64),
    /// No error.
    Success,
    /// An error.
    Error(EngineError),
    /// Edits that the dialect has found itself.
    Edits(Vec<Edit>),
}

/// How a dialect rewrites a record that the stage has judged.
pub(crate) trait Rewriter: Sync {
    /// The records of a text, which is a whole file or a single record.
    ///
    /// # Errors
    /// The first rule that is broken.
    fn records<'a>(
        &self,
        script: &ScriptFile<'_>,
        text: &'a [u8],
        labels: &'a Labels,
    ) -> Result<Vec<Record<'a>>, SyntaxError>;

    /// The records of a file that may have an error after its last record, as [`records`](Rewriter::records) reads them,
    /// and the message of that error.
    fn records_until_error<'a>(
        &self,
        script: &ScriptFile<'_>,
        text: &'a [u8],
        labels: &'a Labels,
    ) -> Option<(Vec<Record<'a>>, Option<String>)> {
        self.records(script, text, labels).ok().map(|records| (records, None))
    }

    /// The edits that make a statement expect success.
    ///
    /// # Errors
    /// A fragment of a sentence: the reason why the statement cannot be rewritten.
    fn success(&self, writer: &Writer<'_>) -> Result<Vec<Edit>, String>;

    /// The edits that make a statement or a query expect an error. `expected` is the error that it expects now.
    ///
    /// # Errors
    /// A fragment of a sentence: the reason why the record cannot be rewritten.
    fn error(
        &self,
        writer: &Writer<'_>,
        step: &Step<'_>,
        expected: Option<&ExpectedError>,
        error: &EngineError,
        style: Style,
    ) -> Result<Vec<Edit>, String>;
}

/// A revision is one record that is being rewritten.
pub(crate) trait Revision {
    /// The styles to try, the best one first.
    fn styles(&self) -> &'static [Style] {
        &Style::ALL
    }

    /// Whether a text is exactly this record as it was run.
    fn is(&self, text: &[u8]) -> bool;

    /// The edits that make it expect the correction, in order.
    ///
    /// # Errors
    /// A fragment of a sentence: the reason why the record cannot be rewritten in any style.
    fn edits(&self, text: &[u8], place: &Place, style: Style) -> Result<Vec<Edit>, String>;

    /// Whether an edited text differs from this record only in its expectation, and the correction satisfies that
    /// expectation. `rows` are the present result.
    fn holds(&self, text: &[u8], rows: &Rows) -> bool;
}

/// The revision of a record that the stage has judged.
pub(crate) struct OfRecord<'r> {
    pub(crate) dialect: Dialect,
    pub(crate) record: &'r Record<'r>,
    pub(crate) correction: &'r Correction,
    /// Whether these lines expect the present result. The flag says whether they are row-wise.
    pub(crate) agrees: &'r dyn Fn(&Lines<'_>, bool) -> bool,
}

impl Revision for OfRecord<'_> {
    fn is(&self, text: &[u8]) -> bool {
        self.reads(text, |step| *step == self.record.step)
    }

    fn edits(&self, text: &[u8], place: &Place, style: Style) -> Result<Vec<Edit>, String> {
        let rewriter = self.dialect.definition().rewriter().ok_or(NO_SUCH_RESULT)?;
        let writer = Writer { text, place, retry: self.record.retry.is_some() };
        edits(rewriter, &writer, &self.record.step, self.correction, style)
    }

    fn holds(&self, text: &[u8], _: &Rows) -> bool {
        self.reads(text, |step| self.is_corrected(step))
    }
}

impl OfRecord<'_> {
    /// Whether a text contains exactly one record, for which `is` is true.
    ///
    /// The parsed record takes from the old one what other places in the script set: the sort order and the result mode.
    fn reads(&self, text: &[u8], is: impl FnOnce(&Step<'_>) -> bool) -> bool {
        let labels = Labels::default();
        let script = ScriptFile { name: "", path: Path::new(""), root: Path::new("") };
        let rewriter = self.dialect.definition().rewriter();
        let records = rewriter.and_then(|rewriter| rewriter.records(&script, text, &labels).ok());
        let Some([Record { step, .. }]) = records.as_deref() else { return false };
        let mut step = step.clone();
        if let (Step::Query { sort, expect, .. }, Step::Query { sort: own_sort, expect: own, .. }) =
            (&mut step, &self.record.step)
        {
            *sort = *own_sort;
            let (Answer::Lines { row_wise: own, .. } | Answer::Error { row_wise: own, .. }) = own;
            let (Answer::Lines { row_wise, .. } | Answer::Error { row_wise, .. }) = expect;
            *row_wise = *own;
        }
        is(&step)
    }

    /// Whether an edited step differs from the old one only in its expectation, which is the correction.
    fn is_corrected(&self, step: &Step<'_>) -> bool {
        let old = &self.record.step;
        let expected = match (step, self.correction) {
            (Step::Query { letters, label, expect, .. }, Correction::Lines { columns, letters: new, .. }) => {
                let labelled = !matches!(old, Step::Query { label: own, .. } if own != label);
                labelled
                    && new.as_ref().is_none_or(|new| new.as_bytes() == &**letters)
                    && (letters.is_empty() || columns.is_none_or(|columns| columns == letters.len()))
                    && matches!(expect, Answer::Lines { lines, row_wise } if (self.agrees)(lines, *row_wise))
            }
            (Step::Statement { expect, .. }, Correction::Count(count)) => *expect == Completion::Count(*count),
            (Step::Statement { expect, .. }, Correction::Success) => *expect == Completion::Ok,
            (
                Step::Statement { expect: Completion::Error(expected), .. }
                | Step::Query { expect: Answer::Error { expected, .. }, .. },
                Correction::Error(error),
            ) => self.dialect.definition().names(expected, error),
            _ => false,
        };
        expected && step.text() == old.text()
    }
}

/// What must not change: the whole text of a record that is not rewritten, and the SQL of one that is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) sql: Vec<u8>,
    pub(crate) whole: String,
}

/// The records of a whole file with their lines; `None` if the file cannot be read. A script may run up to a syntax error:
/// everything after it counts as one record.
pub(super) fn kept(
    rewriter: &dyn Rewriter,
    script: &ScriptFile<'_>,
    text: &[u8],
    labels: &Labels,
) -> Option<Vec<(u64, Kept)>> {
    let (records, end) = rewriter.records_until_error(script, text, labels)?;
    let of = |record: Record<'_>| {
        let (line, sql) = (record.line, record.step.text().to_vec());
        (line, Kept { sql, whole: format!("{:?}", Record { line: 0, ..record }) })
    };
    let mut kept: Vec<(u64, Kept)> = records.into_iter().map(of).collect();
    kept.extend(end.map(|whole| (0, Kept { sql: Vec::new(), whole })));
    Some(kept)
}

/// The edits that make a record expect `correction`, in order.
fn edits(
    rewriter: &dyn Rewriter,
    writer: &Writer<'_>,
    step: &Step<'_>,
    correction: &Correction,
    style: Style,
) -> Result<Vec<Edit>, String> {
    if let Correction::Lines { lines, .. } = correction
        && writer.place.layout.folds_results
        && lines.iter().any(|line| memmem::find(line, IGNORE.as_bytes()).is_some())
    {
        return Err(MATCHES_ANYTHING.to_owned());
    }
    match (step, correction) {
        (
            Step::Query { expect: Answer::Lines { .. }, letters, .. },
            Correction::Lines { lines, columns, letters: new },
        ) => {
            let mut edits = Vec::new();
            // A query without letters keeps none, unless the adapter knows them.
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
        (Step::Statement { .. }, Correction::Success) => rewriter.success(writer),
        (
            Step::Statement { expect: Completion::Error(expected), .. }
            | Step::Query { expect: Answer::Error { expected, .. }, .. },
            Correction::Error(error),
        ) => rewriter.error(writer, step, Some(expected), error, style),
        (Step::Statement { .. } | Step::Query { .. }, Correction::Error(error)) => {
            rewriter.error(writer, step, None, error, style)
        }
        _ => Err(NO_SUCH_RESULT.to_owned()),
    }
}

/// Why a result such as `<slt:ignore>` is not written down: the record could never fail again.
pub(crate) const MATCHES_ANYTHING: &str =
    "the engine returned a value that, as an expected one, would match other values too";

pub(crate) const NO_SUCH_RESULT: &str = "a record of this kind has no such result";

/// As many letters as columns: the declared ones, then `T` for the columns without one.
pub(crate) fn fitting(letters: &[u8], columns: usize) -> Result<Vec<u8>, String> {
    if columns == 0 {
        return Err("the query returned no columns".to_owned());
    }
    let mut letters = letters.to_vec();
    letters.resize(columns, b'T');
    Ok(letters)
}

/// A writer makes the edits of one record, whose position it knows.
pub(crate) struct Writer<'w> {
    pub(crate) text: &'w [u8],
    pub(crate) place: &'w Place,
    pub(crate) retry: bool,
}

impl Writer<'_> {
    pub(crate) fn word(&self, index: usize) -> Result<Range<usize>, String> {
        let word = self.place.words(self.text).into_iter().nth(index);
        word.ok_or_else(|| "the directive is shorter than it was".to_owned())
    }

    /// Replaces the directive from a word on, up to a `retry` clause or a comment.
    pub(crate) fn directive(&self, from: usize, by: Vec<u8>) -> Result<Edit, String> {
        const RETRY_WORDS: usize = 4;
        let words = self.place.words(self.text);
        let count = if self.retry { words.len().saturating_sub(RETRY_WORDS) } else { words.len() };
        let start = self.word(from)?.start;
        let end = words[..count].last().map_or(start, |word| word.end);
        Ok(Edit::new(start..end.max(start), by))
    }

    /// Removes a whole line with its line ending.
    pub(crate) fn without(&self, line: &Range<usize>) -> Edit {
        let rest = &self.text[line.end..];
        let line_end = if rest.starts_with(b"\r\n") { 2 } else { usize::from(rest.starts_with(b"\n")) };
        Edit::new(line.start..line.end + line_end, [])
    }

    /// Replaces `----` and everything below it by `----`, these lines and this many blank lines. Inserts them if there is
    /// no `----`.
    pub(crate) fn section(&self, lines: &[Vec<u8>], blank: usize) -> Edit {
        let line_end = self.place.line_end.as_bytes();
        let mut section = [line_end, b"----"].concat();
        lines.iter().for_each(|line| section.extend([line_end, line].concat()));
        (0..blank).for_each(|_| section.extend_from_slice(line_end));
        Edit::new(self.place.sql_end..self.place.end, section)
    }

    /// Replaces the lines below `----` by these, and keeps each old line that the style allows to stay.
    pub(crate) fn lines(&self, new: &[Vec<u8>], style: Style) -> Vec<Edit> {
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
        for Hunk { old: a, new: b } in hunks(&old, new, self.place.layout.folds_results, style) {
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

/// The hunks that must change, if lines that match by the dialect's rules may stay.
fn hunks(old: &[&[u8]], new: &[Vec<u8>], folds: bool, style: Style) -> Vec<Hunk> {
    if !matches!(style, Style::Keeping | Style::Exact) || old.len() + new.len() > MOST_LINES {
        return vec![Hunk { old: 0..old.len(), new: 0..new.len() }];
    }
    let text = |line: &[u8]| String::from_utf8_lossy(line).into_owned();
    let patterns: Vec<Option<String>> =
        old.iter().map(|line| Some(text(line)).filter(|line| folds && line.contains(IGNORE))).collect();
    // White space is folded unless something is ignored: the crate's rule.
    let fold = style == Style::Keeping && folds && patterns.iter().all(Option::is_none);
    // One character for each byte: mismatch messages compare texts too, so the diff library is compiled for texts only.
    let text_of = |line: &[u8]| line.iter().map(|byte| char::from(*byte)).collect::<String>();
    let key = |line: &[u8]| if fold { text_of(&folded(line)) } else { text_of(line) };
    let old: Vec<String> = old.iter().map(|line| key(line)).collect();
    let keys: Vec<String> = new.iter().map(|line| key(line)).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(old: &[&str], new: &[&str]) -> Vec<Hunk> {
        let old: Vec<&[u8]> = old.iter().map(|line| line.as_bytes()).collect();
        let new: Vec<Vec<u8>> = new.iter().map(|line| line.as_bytes().to_vec()).collect();
        hunks(&old, &new, true, Style::Keeping)
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
}
