//! Compares how a record ended on the judged engine and on the reference.

use super::{Complaint, Executor};
use crate::diff::Shape;
use crate::script::{Answer, Lines, Record, Sort, Step};
use crate::trial::answer;
use crate::trial::bless::Correction;
use crate::trial::tally::Tally;
use crate::trial::trace::{OnReference, Role, is_compared};
use crate::trial::watchdog::Watchdog;

impl Executor<'_, '_> {
    /// Whether results are compared with those of another engine. If so, failing results are needed in full.
    pub(in crate::trial) fn compares(&self) -> bool {
        self.compares
    }

    /// Keeps the lines that a record returned, for the comparison.
    pub(in crate::trial) fn keep_lines(&mut self, lines: Vec<Vec<u8>>) {
        self.kept = Some(lines);
    }

    /// On the judged engine, keeps how a record ended. On the reference, compares how it ended with what was kept.
    pub(super) fn compare(&mut self, record: &Record<'_>, complaint: Option<&Complaint>, tally: &mut Tally<'_>) {
        let kept = self.kept.take();
        if !self.compares || !is_compared(&record.step) {
            return;
        }
        let _paused = self.watchdog.as_ref().map(Watchdog::pause);
        let correction = complaint.map(|complaint| complaint.correction.as_deref().ok());
        let file = tally.file().to_owned();
        match &mut tally.role {
            Role::Plain => {}
            Role::Traced(trace) => trace.add(record, &file, correction),
            // The connection or a limit ended the record, so its end shows nothing about the record itself.
            Role::Comparing(_) if self.lost.is_some() || self.timed_out().is_some() || self.out_of_memory => {}
            Role::Comparing(comparing) => {
                let ours = comparing.result(record);
                let is_alike = match (ours, correction.flatten()) {
                    _ if complaint.is_some_and(|complaint| complaint.is_alike.is_some()) => {
                        complaint.and_then(|complaint| complaint.is_alike) == Some(true)
                    }
                    (Some(Correction::Lines { lines: ours, .. }), Some(Correction::Lines { lines, .. })) => {
                        self.are_alike(record, ours, lines)
                    }
                    (Some(Correction::Count(ours)), Some(Correction::Count(theirs))) => ours == theirs,
                    (Some(Correction::Success), Some(Correction::Success)) => true,
                    // Engines word their errors differently.
                    (Some(Correction::Error(_)), Some(Correction::Error(_))) => true,
                    _ => false,
                };
                let shape = self.shape(&record.step);
                let lines = match (complaint, correction.flatten(), &record.step) {
                    (Some(_), Some(Correction::Lines { lines, .. }), _) => Some(lines.clone()),
                    // The script has only the hash of what was returned.
                    (None, _, Step::Query { expect: Answer::Lines { lines, row_wise }, .. })
                        if ours.is_some() && answer::is_hashed(lines) =>
                    {
                        Some(self.comparison.lines(&self.rows, *row_wise, false))
                    }
                    (None, ..) => kept,
                    _ => None,
                };
                let there = OnReference {
                    message: complaint.map(|complaint| complaint.message.as_str()),
                    is_alike,
                    lines: lines.as_deref().map(|lines| (lines, shape)),
                };
                comparing.add(record, &file, &there);
            }
        }
    }

    /// Whether the last result is what the judged engine returned, as the dialect compares it.
    fn are_alike(&self, record: &Record<'_>, ours: &[Vec<u8>], theirs: &[Vec<u8>]) -> bool {
        match &record.step {
            Step::Query { expect, .. } => {
                let (Answer::Lines { row_wise, .. } | Answer::Error { row_wise, .. }) = expect;
                let agrees = |lines: &Lines<'_>| self.agrees(lines, *row_wise).unwrap_or(false);
                self.dialect.definition().are_alike(ours, theirs, &agrees)
            }
            _ => ours == theirs,
        }
    }

    fn shape(&self, step: &Step<'_>) -> Shape {
        match step {
            Step::Query { sort: Sort::Values, .. } => Shape::Sorted,
            Step::Query { expect: Answer::Lines { row_wise, .. } | Answer::Error { row_wise, .. }, .. } => {
                match (self.rows.columns(), row_wise) {
                    (columns, true) => Shape::Blanks(columns),
                    (columns, false) => Shape::Values(columns.unwrap_or(1).max(1)),
                }
            }
            _ => Shape::Tabs,
        }
    }
}
