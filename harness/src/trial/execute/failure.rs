//! Turns a failing record into a failure, or into a correction of what it expects.

use std::borrow::Cow;

use super::{Complaint, Executor, Results, Tally, places};
use crate::dialect::comparison::{Form, Texts};
use crate::dialect::rewrite::Correction;
use crate::diff::{self, Returned, Shape};
use crate::event::{Ending, Event};
use crate::outcome::{Failure, MAX_FAILURES};
use crate::script::{Answer, Lines, Record, Step};
use crate::trial::returned;
use crate::trial::watchdog::Watchdog;

impl Executor<'_, '_> {
    /// Records that a record has failed, and how.
    #[cold]
    pub(super) fn complain(&mut self, record: &Record<'_>, complaint: Complaint, tally: &mut Tally<'_>) {
        self.compare(record, Some(&complaint), tally);
        let limit = if self.whole { usize::MAX } else { diff::LONGEST };
        tally.sql = diff::shorten(String::from_utf8_lossy(record.step.text()).into_owned(), limit);
        let mut failure = Failure { message: complaint.message, ..tally.here() };
        tally.sql.clear();
        // Only this many failures are kept, so no further ones are formatted.
        if self.whole || tally.failures.len() < MAX_FAILURES {
            let _paused = self.watchdog.as_ref().map(Watchdog::pause);
            if let Some(texts) = self.texts(complaint.results, &record.step) {
                let numbers = places::of_expected(record, &texts.expected, self.dialect, tally.path);
                let sides = texts.sides(&numbers);
                if sides.shape != Shape::Text {
                    failure.message = sides.words();
                }
                failure.diff = sides.text(limit);
                if let Some(returned) = &texts.returned {
                    failure.returned = self.returned_by(record, returned);
                }
                let shorten = |lines: &[String]| Some(diff::shorten(lines.join("\n"), limit));
                (failure.expected, failure.actual) = (shorten(&texts.expected), shorten(&texts.actual));
            }
        }
        failure.message = tally.with_those_before(failure.message);
        self.fail(record, failure, complaint.correction, tally);
    }

    /// Says where the user interrupted the script; the record counts neither as passed nor as failed.
    #[cold]
    pub(super) fn interrupted(&mut self, pausing: bool, record: &Record<'_>, tally: &mut Tally<'_>) {
        let message = format!("still {} when it was interrupted", self.busy(pausing, &record.step));
        let sql = String::from_utf8_lossy(record.step.text()).into_owned();
        tally.reporter.report(Event::ScriptFailed(&Failure { message, sql, ..tally.here() }));
    }

    /// The first and last rows of a result, and the path of the file with all values; for a script that lists only a hash.
    fn returned_by(&self, record: &Record<'_>, returned: &Returned) -> String {
        let text = returned.text(self.whole);
        let Some(folder) = self.returned else { return text };
        let included = record.included_from.as_deref().unwrap_or_default();
        let note = returned::keep(returned, folder, &[self.file, &record.line.to_string(), &record.pass, included]);
        format!("{text}\n{note}")
    }

    /// The results of a failed record, as text.
    fn texts(&self, results: Option<Results>, step: &Step<'_>) -> Option<Texts> {
        match (results?, step) {
            (Results::Texts(texts), _) => Some(*texts),
            (Results::Rows, Step::Query { expect: Answer::Lines { lines, row_wise }, letters, .. }) => {
                let usual = self.rules.results.is_none();
                let form = Form { row_wise: *row_wise, usual, declared: letters.len() };
                Some(self.comparison.texts(&self.rows, lines, form))
            }
            (Results::Rows, _) => None,
        }
    }

    /// Adds a failure, unless the record will be rewritten.
    fn fail(
        &mut self,
        record: &Record<'_>,
        failure: Failure,
        correction: Result<Box<Correction>, String>,
        tally: &mut Tally<'_>,
    ) {
        let failure = match self.correct(record, &failure, correction, tally) {
            None => failure,
            Some(Ok(())) => return tally.ended(record, Ending::Corrected(&failure)),
            Some(Err(reason)) => tally.refused(failure, &reason),
        };
        tally.ended(record, Ending::Failed(&failure));
        tally.fail(failure, record.step.text());
    }

    /// If requested, records what a failing record should expect from now on. Returns why the record cannot be rewritten, if
    /// so; `None` if nothing is rewritten in this run.
    fn correct(
        &mut self,
        record: &Record<'_>,
        failure: &Failure,
        correction: Result<Box<Correction>, String>,
        tally: &mut Tally<'_>,
    ) -> Option<Result<(), String>> {
        let blessings = tally.blessings.as_mut()?;
        let correction = match correction {
            Ok(correction) => correction,
            Err(reason) => return Some(Err(reason)),
        };
        if let (Step::Query { label: Some(label), .. }, Correction::Lines { .. }) = (&record.step, &*correction)
            && let Err(disagreement) = self.judge_label(Cow::Owned(label.to_vec()), record.line)
        {
            return Some(Err(disagreement.message));
        }
        let agrees = |lines: &Lines<'_>, row_wise| self.agrees(lines, row_wise).unwrap_or(false);
        Some(blessings.correct(record, &correction, failure, &self.rows, &agrees))
    }
}
