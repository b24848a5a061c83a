//! Decides how each record of a script is treated if only one is judged (see [excerpt](super::excerpt)).

use super::excerpt::Excerpted;
use super::tally::Tally;
use crate::dialect::stage::{At, Turn, is_sleep};
use crate::event::Event;
use crate::outcome::CutShort;
use crate::script::Record;

impl Tally<'_> {
    /// How to treat the next record.
    pub(super) fn turn(&mut self, record: &Record<'_>) -> Turn {
        let is_own = record.included_from.is_none();
        let at = At { is_own, line: record.line, is_sleep: is_sleep(&record.step), pass: &|| None };
        self.excerpted.as_mut().map_or(Turn::Judged, |excerpted| excerpted.turn(at))
    }

    /// Finds the record in a script with loops. If it is in a loop, it is judged in each pass, or only in the pass that the
    /// user named. `spans` are the first and last lines of each top-level part: a loop, or a step outside of loops.
    pub(super) fn find_in(&mut self, spans: &mut dyn Iterator<Item = (u64, u64)>) {
        let Some(excerpted) = &mut self.excerpted else { return };
        let target = excerpted.excerpt.line;
        let mut spans = spans;
        let span = Iterator::find(&mut spans, |(first, last)| (*first..=*last).contains(&target));
        excerpted.last = span.map_or(0, |(_, last)| last);
    }

    /// How to treat the next step of a script with loops. The records after the judged one in its loop still run, because the
    /// next pass may depend on them.
    pub(super) fn turn_in_loop(&mut self, at: At<'_>) -> Turn {
        let Some(excerpted) = &mut self.excerpted else { return Turn::Judged };
        match excerpted.turn(at) {
            Turn::Over if excerpted.done => Turn::Over,
            Turn::Over if !at.is_own || at.line <= excerpted.last => Turn::Before,
            turn => turn,
        }
    }

    /// Whether a record is the one that is judged, or all are.
    pub(super) fn is_to_be_judged(&mut self, record: &Record<'_>) -> bool {
        let pass = || Some(record.pass.clone());
        let at = At { is_own: record.included_from.is_none(), line: record.line, is_sleep: false, pass: &pass };
        self.excerpted.as_mut().is_none_or(|excerpted| excerpted.turn(at) == Turn::Judged)
    }

    /// Whether the current step only prepares for the record that is judged.
    pub(super) fn is_before(&self) -> bool {
        self.excerpted.as_ref().is_some_and(|excerpted| excerpted.before)
    }

    /// Whether something ended the script early, or a failure was reported.
    pub(super) fn is_cut_short(&self) -> bool {
        self.cut_short.is_some_and(|why| why != CutShort::FirstFailure)
            || self.halted.is_some()
            || !self.failures.is_empty()
    }

    /// Reports that a record is about to run.
    pub(super) fn announce(&self, line: u64, sql: &[u8]) {
        let is_judged = !self.is_before();
        self.reporter.report(Event::RecordStarted { file: self.file(), line, pass: &self.pass, sql, is_judged });
    }

    /// Notes how a record ended that is not judged.
    pub(super) fn ran_before(&mut self, record: &Record<'_>, complaint: Option<String>) {
        let Some(excerpted) = &mut self.excerpted else { return };
        excerpted.ran += u64::from(record.step.counts());
        if let Some(message) = complaint {
            excerpted.failed += 1;
            excerpted.first.get_or_insert((record.line, message));
        }
    }

    /// Adds to a message what went wrong in the earlier records, because that may be the cause.
    pub(super) fn with_those_before(&self, message: String) -> String {
        let Some(Excerpted { ran, failed, before, first: Some((line, first)), excerpt, .. }) = &self.excerpted else {
            return match &self.excerpted {
                Some(Excerpted { before: true, excerpt, .. }) => {
                    format!("before the record in line {}: {message}", excerpt.line)
                }
                _ => message,
            };
        };
        if *before {
            return format!("before the record in line {}: {message}", excerpt.line);
        }
        let first = first.lines().next().unwrap_or_default();
        format!("{message}\n({failed} of the {ran}{THOSE_BEFORE}, the first in line {line}: {first})")
    }
}

/// The text after the number of records that ran before one.
const THOSE_BEFORE: &str = " records before it failed too";

/// A message without its part about the records before, if it has one.
#[cfg(feature = "commands")]
pub(crate) fn without_those_before(message: &str) -> &str {
    match message.rfind("\n(").filter(|at| message[*at..].contains(THOSE_BEFORE)) {
        Some(at) => &message[..at],
        None => message,
    }
}
