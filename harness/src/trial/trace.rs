//! The trace of a trial: how its records ended, kept for a comparison of two engines; and the comparison itself.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::answer;
use super::bless::Correction;
use crate::diff::{self, Shape, Sides};
use crate::engine::Rules;
use crate::outcome::{Agrees, Compared, Comparison, CutShort, Outcome, RecordId, Verdict};
use crate::script::{Labels, Record, Step};

/// The role of a trial, besides judging.
#[derive(Default)]
pub(super) enum Role {
    /// Nothing.
    #[default]
    Plain,
    /// It keeps how each record ended.
    Traced(Box<Trace>),
    /// It runs on the reference, and compares each record with the trace.
    Comparing(Box<Comparing>),
}

impl Role {
    /// The comparison, if this trial runs on the reference.
    pub(super) fn comparing(&self) -> Option<&Comparing> {
        match self {
            Role::Comparing(comparing) => Some(comparing),
            _ => None,
        }
    }
}

/// How the records of a script ended on the judged engine, in the order in which they ran.
#[derive(Default)]
pub(super) struct Trace {
    pub(super) entries: Vec<Entry>,
    /// How many records did not fit.
    pub(super) left_out: u64,
    /// How many bytes of results are kept.
    bytes: usize,
    /// The names by which conditions know the judged engine.
    pub(super) labels: Labels,
    rules: Rules,
    /// Whether records are looked up by their ids.
    by_id: bool,
}

/// How one record ended, with its position.
pub(super) struct Entry {
    /// A hash of the record's file, line and pass.
    key: u64,
    pub(super) ended: Ended,
    taken: bool,
    /// Its id, and its file as shown in a failure; only if records are looked up by id.
    pub(super) place: Option<(RecordId, String)>,
}

pub(super) enum Ended {
    Passed,
    /// It failed; the correction is what it would have to expect, if that is known.
    Failed(Option<Box<Correction>>),
    /// It failed with a result that is too large to keep.
    TooLarge,
}

/// How many records of one script are compared.
const MOST_ENTRIES: usize = 1 << 20;

/// The maximum size of the kept results of failing records, in bytes.
const MOST_BYTES: usize = 64 << 20;

/// How far the order of records may differ on the reference, as for the passes of a concurrent loop.
const WINDOW: usize = 4096;

/// A comparison in progress.
pub(super) struct Comparing {
    pub(super) trace: Trace,
    /// The first record of the trace that has not been compared.
    next: usize,
    comparison: Comparison,
}

/// What a record returned on the reference, and how it compares.
pub(super) struct OnReference<'r> {
    /// The failure message there; `None` if the record passed.
    pub(super) message: Option<&'r str>,
    /// Whether it returned what the judged engine did.
    pub(super) is_alike: bool,
    /// Its rows, if the script does not list them.
    pub(super) lines: Option<(&'r [Vec<u8>], Shape)>,
}

/// Whether a record is compared: it runs SQL.
pub(super) fn is_compared(step: &Step<'_>) -> bool {
    matches!(step, Step::Statement { .. } | Step::Query { .. } | Step::Let { .. })
}

fn key(record: &Record<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&record.included_from, record.line, &record.pass).hash(&mut hasher);
    hasher.finish()
}

impl Trace {
    /// An empty trace of an engine with these rules.
    pub(super) fn new(rules: Rules, by_id: bool) -> Trace {
        Trace { rules, by_id, ..Trace::default() }
    }

    /// The rules by which the reference is judged, too: only the rule for results. The reference may use other column letters.
    pub(super) fn rules(&self) -> Rules {
        let mut rules = Rules::default();
        rules.results.clone_from(&self.rules.results);
        rules
    }

    /// A record has ended. For a failed one, `failed` is what it would have to expect, if known.
    pub(super) fn add(&mut self, record: &Record<'_>, file: &str, failed: Option<Option<&Correction>>) {
        if self.entries.len() >= MOST_ENTRIES {
            self.left_out += 1;
            return;
        }
        let ended = match failed {
            None => Ended::Passed,
            Some(correction) => {
                let bytes = match correction {
                    Some(Correction::Lines { lines, .. }) => {
                        lines.iter().map(|line| line.len() + size_of::<Vec<u8>>()).sum()
                    }
                    _ => 0,
                };
                self.bytes = self.bytes.saturating_add(bytes);
                match self.bytes > MOST_BYTES {
                    true => Ended::TooLarge,
                    false => Ended::Failed(correction.cloned().map(Box::new)),
                }
            }
        };
        let id = || RecordId::in_pass(record.step.text(), record.line, &record.pass);
        let place = self.by_id.then(|| (id(), file.to_owned()));
        self.entries.push(Entry { key: key(record), ended, taken: false, place });
    }
}

impl Comparing {
    /// A new comparison with this trace.
    pub(super) fn new(trace: Trace) -> Comparing {
        Comparing { trace, next: 0, comparison: Comparison::default() }
    }

    /// Whether every record of the trace has been compared.
    pub(super) fn is_over(&self) -> bool {
        self.next >= self.trace.entries.len()
    }

    /// The result of the record on the judged engine, if it failed there and the result was kept.
    pub(super) fn result(&self, record: &Record<'_>) -> Option<&Correction> {
        let index = self.find(record)?;
        match &self.trace.entries[index].ended {
            Ended::Failed(Some(correction)) => Some(correction),
            _ => None,
        }
    }

    fn find(&self, record: &Record<'_>) -> Option<usize> {
        let key = key(record);
        let window = self.trace.entries.iter().enumerate().skip(self.next).take(WINDOW);
        window.filter(|(_, entry)| !entry.taken).find(|(_, entry)| entry.key == key).map(|(index, _)| index)
    }

    /// Compares a record that has ended on the reference with the trace.
    pub(super) fn add(&mut self, record: &Record<'_>, file: &str, there: &OnReference<'_>) {
        let Some(index) = self.find(record) else { return };
        let entry = &mut self.trace.entries[index];
        entry.taken = true;
        let (agrees, ours) = match (&entry.ended, there.message) {
            (Ended::Passed, None) => (None, None),
            (Ended::Passed, Some(_)) => (Some(Agrees::OnlyEngine), None),
            (Ended::TooLarge, Some(_)) => {
                self.comparison.not_compared += 1;
                self.comparison.why = "results too large to keep".to_owned();
                (None, None)
            }
            (Ended::TooLarge, None) => (Some(Agrees::OnlyReference), None),
            (Ended::Failed(ours), None) => (Some(Agrees::OnlyReference), ours.as_deref()),
            (Ended::Failed(_), Some(_)) if there.is_alike => (Some(Agrees::NeitherAlike), None),
            (Ended::Failed(ours), Some(_)) => (Some(Agrees::NeitherDifferent), ours.as_deref()),
        };
        let is_counted = !matches!((&entry.ended, there.message), (Ended::TooLarge, Some(_)));
        let diff = match (ours, there.lines) {
            (Some(Correction::Lines { lines: ours, .. }), Some((theirs, shape))) => rows(theirs, ours, shape),
            _ => String::new(),
        };
        let compared = agrees.map(|agrees| Compared {
            file: file.to_owned(),
            line: record.line,
            pass: record.pass.clone(),
            agrees,
            message: diff::shorten(there.message.unwrap_or_default().to_owned(), LONGEST_MESSAGE),
            diff,
        });
        if is_counted {
            self.comparison.add(compared);
        }
        while self.trace.entries.get(self.next).is_some_and(|entry| entry.taken) {
            self.next += 1;
        }
    }

    /// Ends the comparison; `outcome` is the outcome on the reference.
    pub(super) fn conclude(self, reference: &str, outcome: &Outcome) -> Comparison {
        let left = self.trace.entries.iter().filter(|entry| !entry.taken).count() as u64 + self.trace.left_out;
        let mut comparison = self.comparison;
        comparison.not_compared += left;
        if left > 0 {
            comparison.why = match (&outcome.verdict, outcome.cut_short) {
                (Verdict::Ignored { reason }, _) => reason.clone(),
                (verdict @ (Verdict::TimedOut { .. } | Verdict::OutOfMemory { .. } | Verdict::NotRun { .. }), _) => {
                    verdict.to_string()
                }
                (_, Some(_)) => {
                    let last =
                        outcome.failures.last().map(|failure| failure.message.lines().next().unwrap_or_default());
                    last.unwrap_or("it ended early").to_owned()
                }
                _ if self.trace.left_out > 0 => format!("a script has more than {MOST_ENTRIES} records"),
                _ => "other records ran there".to_owned(),
            };
        }
        comparison.unreachable = match outcome.cut_short {
            Some(CutShort::NoConnection) => true,
            Some(CutShort::ConnectionLost) => comparison.compared() == 0,
            _ => false,
        };
        Comparison { reference: reference.to_owned(), ..comparison }
    }
}

/// How many bytes of a message of the reference are kept.
pub(super) const LONGEST_MESSAGE: usize = 1000;

fn rows(reference: &[Vec<u8>], ours: &[Vec<u8>], shape: Shape) -> String {
    let lines =
        |lines: &[Vec<u8>]| -> Vec<String> { lines.iter().map(|line| answer::shown(line, false, true)).collect() };
    let (expected, actual) = (lines(reference), lines(ours));
    Sides { expected: &expected, actual: &actual, shape, sorted: false, numbers: &[] }.text(diff::LONGEST)
}
