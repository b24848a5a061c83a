//! Compares outcomes with a list of known failures.

use super::expectation::{Comparison, compare};
use super::{Entry, Expectation, KnownFailures};
use crate::outcome::{CutShort, Failure, MAX_FAILED_RECORDS, Outcome, RecordId, Verdict};

/// Compares outcomes with a list, for one engine.
#[derive(Debug)]
pub struct Judge {
    /// The list.
    pub list: KnownFailures,
    /// All names of the engine.
    pub engine: Vec<String>,
    /// Passing entries are removed from the list instead of failing the run.
    pub ratchet: bool,
}

impl Judge {
    /// The entry for a script that is about to run; `None` if it is not listed.
    pub fn expectation(&self, name: &str) -> Option<Expectation<'_>> {
        self.list.entry(name, &self.engine).map(Expectation::new)
    }

    /// The verdict on a trial, given the list.
    pub fn judge(&self, mut outcome: Outcome) -> Outcome {
        outcome.cut_short = outcome.why_cut_short();
        let Some(entry) = self.list.entry(&outcome.name, &self.engine) else { return outcome };
        // A glob stays: it may still be true of other files.
        let ratchet = self.ratchet && entry.listed.path == outcome.name;
        match &outcome.verdict {
            Verdict::Passed => passed(outcome, entry, ratchet),
            verdict if verdict.is_failure() => failed(outcome, entry, ratchet),
            _ => outcome,
        }
    }
}

/// A listed file that passed is an unexpected pass, or is removed from the list with all its pins.
fn passed(outcome: Outcome, entry: &Entry, ratchet: bool) -> Outcome {
    let pins = entry.listed.records.as_deref().unwrap_or_default();
    let (_, unseen) = seen(pins.to_vec(), &outcome.passing_pins);
    match (ratchet, unseen.as_slice()) {
        (true, []) => outcome,
        (_, []) => unexpected(outcome, entry),
        (_, unseen) => {
            let message = not_run(unseen);
            unexpected(with_failure(outcome, message), entry)
        }
    }
}

/// A listed file that failed is a known failure if it ended as its entry says, and no other records failed.
fn failed(outcome: Outcome, entry: &Entry, ratchet: bool) -> Outcome {
    let stopped = outcome.cut_short == Some(CutShort::FirstFailure);
    let ended = outcome.cut_short.filter(|_| !stopped);
    if ended != entry.listed.ends {
        return match otherwise(ended, entry.listed.ends) {
            Some(message) => with_failure(outcome, message),
            None => outcome,
        };
    }
    match (&entry.listed.records, entry.listed.failed) {
        (Some(pins), _) => against_pins(outcome, pins, entry, ratchet),
        (None, Some(count)) => against_count(outcome, count, entry),
        (None, None) if stopped => outcome,
        (None, None) => known(outcome, entry),
    }
}

/// How a script ended, if its entry says otherwise; `None` if no entry can describe it.
fn otherwise(ended: Option<CutShort>, listed: Option<CutShort>) -> Option<String> {
    const ENTRY: &str = "its entry in the list of known failures";
    match (ended, listed) {
        (Some(ended), _) if !ended.can_be_known() => None,
        (Some(ended), None) => Some(format!(
            "the script did not run to its end ({ended}): {ENTRY} covers that only if it says `ends = \"{}\"`",
            ended.name()
        )),
        (Some(ended), Some(listed)) => Some(format!(
            "the script did not run to its end ({ended}), and {ENTRY} says another reason: `ends = \"{}\"`",
            listed.name()
        )),
        (None, Some(listed)) => Some(format!(
            "the script ran to its end, and {ENTRY} says that it does not: `ends = \"{}\"`",
            listed.name()
        )),
        (None, None) => None,
    }
}

/// A failure that matches its entry.
fn known(outcome: Outcome, entry: &Entry) -> Outcome {
    let was = outcome.verdict.to_string();
    Outcome { verdict: Verdict::KnownFailure { reason: entry.listed.reason.clone(), was }, ..outcome }
}

fn unexpected(outcome: Outcome, entry: &Entry) -> Outcome {
    Outcome { verdict: Verdict::UnexpectedPass { reason: entry.listed.reason.clone() }, ..outcome }
}

/// A file with a count is a known failure if exactly that many records fail.
fn against_count(outcome: Outcome, count: u64, entry: &Entry) -> Outcome {
    let failed = outcome.records.failed;
    let stopped = outcome.cut_short == Some(CutShort::FirstFailure);
    if failed == count && !stopped {
        return known(outcome, entry);
    }
    let verb = if failed == 1 { "record fails" } else { "records fail" };
    let message = format!("{failed} {verb}, but {count} are known to");
    match failed < count && outcome.cut_short.is_none() {
        true => unexpected(with_failure(outcome, message), entry),
        false => with_failure(outcome, message),
    }
}

/// A file with pinned records is a known failure if exactly these fail. With `ratchet`, some may pass.
fn against_pins(mut outcome: Outcome, pins: &[RecordId], entry: &Entry, ratchet: bool) -> Outcome {
    if outcome.records.failed > outcome.failed_records.len() as u64 {
        let message = format!(
            "{} records fail, and only the first {MAX_FAILED_RECORDS} are listed one by one: \
             this file's entry in the list of known failures needs `failed = {}` instead of `records`",
            outcome.records.failed, outcome.records.failed
        );
        return with_failure(outcome, message);
    }
    let Comparison { new, not_failing } = compare(&outcome.failed_records, pins);
    // New failures come first: they need attention.
    outcome
        .failures
        .sort_by_key(|failure| new.iter().all(|record| (record.line, &record.pass) != (failure.line, &failure.pass)));
    let (passing, unseen) = seen(not_failing, &outcome.passing_pins);
    // The ratchet removes what passes; nothing is known about records that the script did not reach.
    let passing = if ratchet { Vec::new() } else { passing };
    let unseen = if outcome.cut_short.is_some() { Vec::new() } else { unseen };
    let stopped = outcome.cut_short == Some(CutShort::FirstFailure);
    let mut words = Vec::new();
    if !new.is_empty() {
        words.push(format!("failing, but not known to fail: {}", lines(&new)));
    }
    if !passing.is_empty() {
        words.push(format!("known to fail, but passing now: {}", lines(&passing)));
    }
    if !unseen.is_empty() {
        words.push(not_run(&unseen));
    }
    if words.is_empty() {
        return if stopped { outcome } else { known(outcome, entry) };
    }
    let only_passing = new.is_empty() && unseen.is_empty();
    let outcome = with_failure(outcome, words.join("\n"));
    if only_passing { unexpected(outcome, entry) } else { outcome }
}

/// Pins that do not fail, split into those that passed and those that did not run.
fn seen(pins: Vec<RecordId>, passing: &[RecordId]) -> (Vec<RecordId>, Vec<RecordId>) {
    let mut passing: Vec<&RecordId> = passing.iter().collect();
    pins.into_iter().partition(|pin| match passing.iter().position(|record| *record == pin) {
        Some(at) => {
            passing.swap_remove(at);
            true
        }
        None => false,
    })
}

/// The message about pinned records that did not run.
fn not_run(records: &[RecordId]) -> String {
    format!("known to fail, but not run (skipped, behind a `halt`, or no longer there): {}", lines(records))
}

/// Puts the list's messages before the failures.
fn with_failure(mut outcome: Outcome, message: String) -> Outcome {
    let file = outcome.failures.first().map_or_else(|| outcome.name.clone(), |failure| failure.file.clone());
    outcome.failures.insert(0, Failure { file, message, ..Failure::default() });
    outcome
}

fn lines(records: &[RecordId]) -> String {
    let lines: Vec<String> = records.iter().map(ToString::to_string).collect();
    format!("{} {}", if lines.len() == 1 { "line" } else { "lines" }, lines.join(", "))
}
