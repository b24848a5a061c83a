//! What the page's script draws from: columns of figures, and the texts of what failed.

use std::io;

use memchr::memchr3_iter;
use serde::Serialize;

use super::lanes::{self, Lane, Span};
use super::{KINDS, kind};
use crate::outcome::{Outcome, Results};

/// How much of the page the texts of failures may take, in bytes: it must open at once and travel by mail.
const BUDGET: usize = 2_500_000;

/// How the texts of a file are cut, from hardly to almost all: failures shown, bytes of a message, and of other texts.
const CUTS: [(usize, usize, usize); 6] =
    [(10, 16_384, 16_384), (5, 4096, 4096), (3, 1024, 1024), (1, 512, 512), (1, 200, 100), (1, 80, 0)];

/// Data is everything that the script needs, a value for each outcome and column.
#[derive(Debug, Serialize)]
pub(super) struct Data<'r> {
    kinds: [(&'static str, &'static str); KINDS.len()],
    /// The end of the timeline, in microseconds since the first file began.
    end: u64,
    /// The command that runs one of the files again, but for its name; empty if nobody knows.
    again: &'r str,
    names: Vec<&'r str>,
    kind: Vec<usize>,
    note: Vec<String>,
    wall: Vec<u64>,
    engine: Vec<u64>,
    /// Since the first file began; null for what nobody began.
    start: Vec<Option<u64>>,
    attempt: Vec<u32>,
    pass: Vec<u32>,
    peak: Vec<u64>,
    passed: Vec<u64>,
    failed: Vec<u64>,
    skipped: Vec<u64>,
    /// Which process it was; 0 where there was only one.
    worker: Vec<u32>,
    lanes: Vec<&'r [Span]>,
    texts: Vec<Option<Texts<'r>>>,
    /// How many files have less text here than in the results.
    #[serde(skip)]
    pub shortened: u64,
}

/// The texts of one file that failed.
#[derive(Debug, Default, Serialize)]
struct Texts<'r> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failures: Vec<Text<'r>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    output: &'r str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cut: bool,
}

#[derive(Debug, Serialize)]
struct Text<'r> {
    file: &'r str,
    line: u64,
    message: &'r str,
    #[serde(skip_serializing_if = "str::is_empty")]
    sql: &'r str,
    #[serde(skip_serializing_if = "str::is_empty")]
    diff: &'r str,
}

impl<'r> Data<'r> {
    pub(super) fn new(results: &'r Results, lanes: &'r [Lane]) -> Data<'r> {
        let outcomes = &results.outcomes;
        let origin = lanes::origin(results);
        let (kinds, notes): (Vec<_>, Vec<_>) = outcomes.iter().map(|outcome| kind(&outcome.verdict)).unzip();
        let (texts, shortened) = texts(outcomes);
        Data {
            kinds: KINDS,
            end: lanes.iter().map(|lane| lane.end_us).max().unwrap_or_default(),
            again: &results.again,
            names: outcomes.iter().map(|outcome| outcome.name.as_str()).collect(),
            kind: kinds,
            note: notes,
            wall: outcomes.iter().map(|outcome| outcome.wall_us).collect(),
            engine: outcomes.iter().map(|outcome| outcome.engine_us).collect(),
            start: outcomes.iter().map(|outcome| outcome.started_us.checked_sub(origin)).collect(),
            attempt: outcomes.iter().map(|outcome| outcome.attempt).collect(),
            pass: outcomes.iter().map(|outcome| outcome.pass).collect(),
            peak: outcomes.iter().map(|outcome| outcome.peak_bytes.unwrap_or_default()).collect(),
            passed: outcomes.iter().map(|outcome| outcome.records.passed).collect(),
            failed: outcomes.iter().map(|outcome| outcome.records.failed).collect(),
            skipped: outcomes.iter().map(|outcome| outcome.records.skipped).collect(),
            worker: outcomes.iter().map(|outcome| outcome.worker).collect(),
            lanes: lanes.iter().map(|lane| lane.spans.as_slice()).collect(),
            texts,
            shortened,
        }
    }

    /// The data as JSON that may stand inside a `<script>`.
    pub(super) fn json(&self) -> String {
        embedded(self)
    }
}

/// JSON in which nothing can end the script that it stands in, whatever the strings hold.
fn embedded(value: &impl Serialize) -> String {
    let mut safe = Safe(Vec::new());
    serde_json::to_writer(&mut safe, value).expect("strings and numbers make JSON");
    String::from_utf8(safe.0).expect("serde_json writes UTF-8")
}

/// A text in which `<`, `>` and `&`, which JSON has in strings alone, are written by their numbers.
struct Safe(Vec<u8>);

impl io::Write for Safe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut next = 0;
        for at in memchr3_iter(b'<', b'>', b'&', bytes) {
            self.0.extend_from_slice(&bytes[next..at]);
            write!(self.0, "\\u{:04x}", bytes[at])?;
            next = at + 1;
        }
        self.0.extend_from_slice(&bytes[next..]);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How long a text would be as [`Safe`].
struct Size(usize);

impl io::Write for Size {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() + 5 * memchr3_iter(b'<', b'>', b'&', bytes).count();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The texts of all files, and how many had to be shortened for the budget.
fn texts(outcomes: &[Outcome]) -> (Vec<Option<Texts<'_>>>, u64) {
    let sizes: Vec<usize> = outcomes.iter().map(|outcome| cut(outcome, CUTS[0]).1).collect();
    let share = fair_share(&sizes, BUDGET);
    let mut shortened = 0;
    let texts = outcomes.iter().zip(&sizes).map(|(outcome, size)| {
        if *size == 0 {
            return None;
        }
        let mut cuts = CUTS.iter().map(|limits| cut(outcome, *limits));
        let texts = cuts.find(|(_, size)| *size <= share).map_or_else(Texts::nothing, |(texts, _)| texts);
        shortened += u64::from(texts.cut);
        Some(texts)
    });
    (texts.collect(), shortened)
}

impl Texts<'_> {
    fn nothing() -> Self {
        Texts { cut: true, ..Texts::default() }
    }
}

/// The texts of one file within limits, and how long they are as JSON; nothing has no length.
fn cut(outcome: &Outcome, (count, longest, others): (usize, usize, usize)) -> (Texts<'_>, usize) {
    if outcome.failures.is_empty() && outcome.output.is_empty() {
        return (Texts::default(), 0);
    }
    let mut cut = outcome.failures.len() > count;
    let mut short = |text, longest| -> &str {
        let short = beginning(text, longest);
        cut |= short.len() < text.len();
        short
    };
    let shown = outcome.failures.iter().take(count);
    let failures = shown.map(|failure| Text {
        // A path without its end is of no use.
        file: &failure.file,
        line: failure.line,
        message: short(&failure.message, longest),
        sql: short(&failure.sql, others),
        diff: short(&failure.diff, others),
    });
    let failures = failures.collect();
    let output = short(&outcome.output, others);
    let texts = Texts { failures, output, cut };
    let mut size = Size(0);
    serde_json::to_writer(&mut size, &texts).expect("strings and numbers make JSON");
    (texts, size.0)
}

/// The beginning of a text, at most so many bytes.
fn beginning(text: &str, longest: usize) -> &str {
    let mut end = longest.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The largest size such that all sizes, none above it, fit into the budget together.
fn fair_share(sizes: &[usize], budget: usize) -> usize {
    let mut sorted: Vec<usize> = sizes.iter().copied().filter(|size| *size > 0).collect();
    sorted.sort_unstable();
    let mut left = budget;
    for (index, size) in sorted.iter().enumerate() {
        let share = left / (sorted.len() - index);
        if *size > share {
            return share;
        }
        left -= size;
    }
    usize::MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Failure, Verdict};

    fn failing(text: &str) -> Outcome {
        let failure = Failure { file: "a".into(), line: 1, message: text.into(), ..Failure::default() };
        Outcome { failures: vec![failure; 10], ..Outcome::new("a", Verdict::Failed) }
    }

    #[test]
    fn nothing_ends_the_script_it_stands_in() {
        let hostile = "</script><!--<script>&\"\\é";
        let json = embedded(&hostile);
        assert!(!json.contains(['<', '>', '&']), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), hostile);
    }

    #[test]
    fn a_small_text_is_whole_even_beside_large_ones() {
        let mut outcomes = vec![failing(&"x".repeat(4000)); 300];
        outcomes.push(failing("small"));
        let (texts, shortened) = texts(&outcomes);
        assert_eq!(shortened, 300);
        let last = texts.last().unwrap().as_ref().unwrap();
        assert!(!last.cut && last.failures.len() == 10);
        assert!(texts.iter().all(|texts| texts.as_ref().is_some_and(|texts| !texts.failures.is_empty())));
        assert!(serde_json::to_string(&texts).unwrap().len() <= BUDGET + 10_000);
    }

    #[test]
    fn the_budget_holds_whatever_the_texts_are() {
        let outcomes = vec![failing(&"<\u{1}".repeat(150)); 10_000];
        let (texts, shortened) = texts(&outcomes);
        assert_eq!(shortened, 10_000);
        assert!(embedded(&texts).len() <= BUDGET + 10_000 * 20);
    }

    #[test]
    fn a_fair_share_leaves_the_small_alone() {
        assert_eq!(fair_share(&[1, 2, 3], 6), usize::MAX);
        assert_eq!(fair_share(&[0, 1, 100, 100], 21), 10);
        assert_eq!(fair_share(&[], 0), usize::MAX);
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(beginning("aé", 2), "a");
        assert_eq!(beginning("aé", 9), "aé");
    }
}
