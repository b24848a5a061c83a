//! The data of the page's script: columns of numbers, and the texts of failures.

use std::collections::HashMap;
use std::io;

use memchr::memchr3_iter;
use serde::Serialize;

use super::lanes::{self, Lane, Span};
use super::past::Past;
use super::{KINDS, kind};
use crate::outcome::{Outcome, Results};

/// The maximum size of all failure texts in the page, in bytes: the page must open quickly and fit into a mail.
const BUDGET: usize = 2_500_000;

/// The limits to which the texts of a file are cut, from the highest to the lowest: the number of failures, and the bytes of a
/// message and of other texts.
const CUTS: [(usize, usize, usize); 6] =
    [(10, 16_384, 16_384), (5, 4096, 4096), (3, 1024, 1024), (1, 512, 512), (1, 200, 100), (1, 80, 0)];

/// The data that the script needs: for each column, a value per outcome.
#[derive(Debug, Serialize)]
pub(super) struct Data<'r> {
    kinds: [(&'static str, &'static str); KINDS.len()],
    /// The end of the timeline, in microseconds since the first file started.
    end: u64,
    /// The command that reruns one of the files, without its name; empty if unknown.
    pub again: &'r str,
    names: Vec<&'r str>,
    kind: Vec<usize>,
    note: Vec<String>,
    wall: Vec<u64>,
    engine: Vec<u64>,
    /// When each trial started, after the first one; null for files that did not run.
    start: Vec<Option<u64>>,
    attempt: Vec<u32>,
    pass: Vec<u32>,
    peak: Vec<u64>,
    passed: Vec<u64>,
    failed: Vec<u64>,
    skipped: Vec<u64>,
    /// The process that ran each trial; 0 if there was only one.
    worker: Vec<u32>,
    lanes: Vec<&'r [Span]>,
    /// The verdicts of each file in the last runs; empty if they are unknown. See [`Past::digits`].
    past: Vec<String>,
    /// Whether each file was flaky in the last runs.
    flaky: Vec<bool>,
    texts: Vec<Option<Texts<'r>>>,
    /// The index of each outcome's texts, by its name and pass.
    #[serde(skip)]
    places: HashMap<(&'r str, u32), usize>,
    /// How many files have shorter texts here than in the results.
    #[serde(skip)]
    pub shortened: u64,
}

/// The texts of one file that failed.
#[derive(Debug, Default, Serialize)]
pub(super) struct Texts<'r> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Text<'r>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub output: &'r str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

/// The texts of one failure.
#[derive(Debug, Serialize)]
pub(super) struct Text<'r> {
    pub file: &'r str,
    pub line: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub pass: &'r str,
    pub message: &'r str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub sql: &'r str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub diff: &'r str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub returned: &'r str,
}

impl<'r> Data<'r> {
    pub(super) fn new(results: &'r Results, lanes: &'r [Lane], past: &Past<'_>) -> Data<'r> {
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
            past: outcomes.iter().map(|outcome| past.digits(&outcome.name)).collect(),
            flaky: outcomes.iter().map(|outcome| past.is_flaky(&outcome.name)).collect(),
            texts,
            places: outcomes.iter().zip(0..).map(|(outcome, at)| ((&*outcome.name, outcome.pass), at)).collect(),
            shortened,
        }
    }

    /// The texts of one of the outcomes, if it has any.
    pub(super) fn texts_of(&self, outcome: &Outcome) -> Option<&Texts<'r>> {
        let at = self.places.get(&(outcome.name.as_str(), outcome.pass))?;
        self.texts[*at].as_ref()
    }

    /// The data as JSON that is safe inside a `<script>`.
    pub(super) fn json(&self) -> String {
        embedded(self)
    }
}

/// JSON in which no string can end the enclosing script.
fn embedded(value: &impl Serialize) -> String {
    let mut safe = Safe(Vec::new());
    serde_json::to_writer(&mut safe, value).expect("strings and numbers make JSON");
    String::from_utf8(safe.0).expect("serde_json writes UTF-8")
}

/// Text in which `<`, `>` and `&`, which occur in JSON only inside strings, are escaped.
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

/// The length of a text as [`Safe`].
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

/// The texts of all files, and how many were shortened for the budget.
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

/// The texts of one file within limits, and their length as JSON; empty texts have length 0.
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
        // A path without its end is useless.
        file: &failure.file,
        line: failure.line,
        pass: &failure.pass,
        message: short(&failure.message, longest),
        sql: short(&failure.sql, others),
        diff: short(&failure.diff, others),
        returned: short(&failure.returned, others),
    });
    let failures = failures.collect();
    let output = short(&outcome.output, others);
    let texts = Texts { failures, output, cut };
    let mut size = Size(0);
    serde_json::to_writer(&mut size, &texts).expect("strings and numbers make JSON");
    (texts, size.0)
}

/// The start of a text, at most that many bytes.
fn beginning(text: &str, longest: usize) -> &str {
    let mut end = longest.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The largest limit such that all sizes, each cut to the limit, fit into the budget together.
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
    fn no_text_ends_the_enclosing_script() {
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
        let outcomes = vec![failing(&"<\u{1}".repeat(150)); 3_000];
        let (texts, shortened) = texts(&outcomes);
        assert_eq!(shortened, 3_000);
        assert!(embedded(&texts).len() <= BUDGET + 3_000 * 20);
    }

    #[test]
    fn a_fair_share_does_not_cut_small_texts() {
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
