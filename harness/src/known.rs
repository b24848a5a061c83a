//! Known failures: files that are expected to fail, listed with the reason, so that a run is green while they do.
//!
//! ```toml
//! # Why these fail is for people; what they are is held against every run.
//! [[known]]
//! path = "evidence/slt_lang_aggfunc.test"
//! engine = "sqlite"                # optional: the list then holds for this engine alone
//! reason = "sum() of huge integers overflows"
//! records = [                      # optional: these records and no others may fail
//!   { sql = "5d41402abc4b2a76", line = 478 },
//! ]
//!
//! [[known]]
//! path = "index/view/10/slt_good_0.test"
//! reason = "no CASCADE"
//! failed = 1280                    # optional, instead of `records`: so many of them fail, whichever
//!
//! [[known]]
//! path = "random/*/slt_good_1*.test"
//! reason = "no windows yet"
//! ```
//!
//! A listed file that fails is a `known failure` and leaves the run green; one that passes is an `unexpected pass` and
//! does not, since its entry hides whatever breaks next. Where several entries match, one with the whole name goes
//! before globs, and then the first. A record is known by the first 16 hex digits of its SQL's MD5; the line tells apart
//! records with the same SQL, and otherwise only helps people.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};
use serde::Deserialize;
use serde_spanned::Spanned;
use toml_edit::de;

use crate::outcome::{Failure, MAX_FAILED_RECORDS, Outcome, RecordId, Verdict};

mod edit;

/// A list of known failures, as a file holds it.
#[derive(Debug, Clone)]
pub struct KnownFailures {
    path: PathBuf,
    entries: Vec<Entry>,
}

/// One entry of the list.
#[derive(Debug, Clone)]
struct Entry {
    listed: Listed,
    pattern: Pattern,
    /// The line in the list where it begins, counted from 1.
    line: usize,
}

/// An entry as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    path: String,
    engine: Option<String>,
    reason: String,
    records: Option<Vec<RecordId>>,
    failed: Option<u64>,
}

/// The whole file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    #[serde(default)]
    known: Vec<Spanned<Listed>>,
}

/// Why a list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KnownError {
    /// The file is not there, or is out of reach.
    #[error("cannot read the known failures `{path}`")]
    Read {
        /// The list.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file is not TOML, or has keys that an entry does not have.
    #[error("the known failures `{path}` cannot be used")]
    Format {
        /// The list.
        path: String,
        /// Where and what is wrong.
        #[source]
        source: Box<de::Error>,
    },
    /// An entry's path is no glob.
    #[error("`{entry}` is no pattern for files: {what}, at {path}:{line}")]
    Pattern {
        /// The list.
        path: String,
        /// The line of the entry.
        line: usize,
        /// What it says.
        entry: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// An entry says twice how many records fail.
    #[error("`records` says how many fail, so that `failed` cannot stand beside it, at {path}:{line}")]
    Twice {
        /// The list.
        path: String,
        /// The line of the entry.
        line: usize,
    },
    /// Entries match no file, so what they say is no longer true.
    #[error("{}", .0.join("\nerror: "))]
    Unmatched(Vec<String>),
    /// The list could not be written.
    #[error("cannot write the known failures `{path}`")]
    Write {
        /// The list.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A first list is asked for where there is one.
    #[error("`{0}` is there already: `--ratchet` keeps a list up to date; remove it to begin anew")]
    Exists(String),
}

impl KnownFailures {
    /// Reads a list.
    ///
    /// # Errors
    /// If the file cannot be read or says something that a list cannot say.
    pub fn read(path: &Path) -> Result<KnownFailures, KnownError> {
        let shown = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|source| KnownError::Read { path: shown.clone(), source })?;
        let list: List = de::from_str(&text)
            .map_err(|source| KnownError::Format { path: shown.clone(), source: Box::new(source) })?;
        let entry = |listed: Spanned<Listed>| {
            let line = line_of(&text, listed.span());
            let listed = listed.into_inner();
            if listed.records.is_some() && listed.failed.is_some() {
                return Err(KnownError::Twice { path: shown.clone(), line });
            }
            let pattern = Pattern::new(&listed.path).map_err(|error| KnownError::Pattern {
                path: shown.clone(),
                line,
                entry: listed.path.clone(),
                what: error.msg,
            })?;
            Ok(Entry { listed, pattern, line })
        };
        let entries = list.known.into_iter().map(entry).collect::<Result<_, KnownError>>()?;
        Ok(KnownFailures { path: path.to_owned(), entries })
    }

    /// Holds the list against the suite's files, all of them and not only those that a filter lets in.
    ///
    /// # Errors
    /// If entries match no file; the error names each.
    pub fn check<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Result<(), KnownError> {
        let mut unmatched: Vec<&Entry> = self.entries.iter().collect();
        for name in names {
            unmatched.retain(|entry| !entry.matches(name));
        }
        let told = |entry: &Entry| {
            let path = self.path.display();
            format!("no file matches the known failure `{}`, at {path}:{}", entry.listed.path, entry.line)
        };
        match unmatched.as_slice() {
            [] => Ok(()),
            entries => Err(KnownError::Unmatched(entries.iter().map(|entry| told(entry)).collect())),
        }
    }

    /// What the list says, in short: comments and the order of keys do not count.
    pub fn digest(&self) -> String {
        let listed = self.entries.iter().map(|entry| format!("{:?}\n", entry.listed)).collect::<String>();
        format!("{} entries, {:08x}", self.entries.len(), crc32fast::hash(listed.as_bytes()))
    }

    /// The entry that counts for a file.
    fn entry(&self, name: &str, engine: &[String]) -> Option<&Entry> {
        let holds = |entry: &&Entry| {
            let engine_matches = |wanted: &String| engine.iter().any(|name| name.eq_ignore_ascii_case(wanted));
            entry.matches(name) && entry.listed.engine.as_ref().is_none_or(engine_matches)
        };
        let whole = self.entries.iter().filter(|entry| entry.listed.path == name).find(holds);
        whole.or_else(|| self.entries.iter().find(holds))
    }
}

/// A judge holds outcomes against a list, for one engine.
#[derive(Debug)]
pub struct Judge {
    /// The list.
    pub list: KnownFailures,
    /// Every name that the engine is known by.
    pub engine: Vec<String>,
    /// What passes now is to be taken off the list, and is no fault.
    pub ratchet: bool,
    /// Scripts end at their first failure, so that what passes of them is not known.
    pub fail_fast: bool,
}

impl Judge {
    /// What a trial comes to in the light of the list.
    pub fn judge(&self, outcome: Outcome) -> Outcome {
        let Some(entry) = self.list.entry(&outcome.name, &self.engine) else { return outcome };
        let reason = entry.listed.reason.clone();
        // A glob stays: what it says of other files may still be true.
        let ratchet = self.ratchet && entry.listed.path == outcome.name;
        match (&outcome.verdict, &entry.listed.records, entry.listed.failed) {
            (Verdict::Passed, ..) if ratchet => outcome,
            (Verdict::Passed, ..) => Outcome { verdict: Verdict::UnexpectedPass { reason }, ..outcome },
            (Verdict::Failed, Some(pins), _) => hold_against_pins(outcome, pins, reason, ratchet || self.fail_fast),
            (Verdict::Failed, None, Some(count)) => hold_against_count(outcome, count, reason, self.fail_fast),
            // What is pinned or counted is records; a death or a time-out is something else.
            (verdict, None, None) if verdict.is_failure() => known(outcome, reason),
            _ => outcome,
        }
    }
}

impl Entry {
    fn matches(&self, name: &str) -> bool {
        let options = MatchOptions { require_literal_separator: true, ..MatchOptions::default() };
        self.listed.path == name || self.pattern.matches_with(name, options)
    }
}

fn line_of(text: &str, span: Range<usize>) -> usize {
    1 + text.as_bytes()[..span.start].iter().filter(|byte| **byte == b'\n').count()
}

/// A failure that is as it was known to be.
fn known(outcome: Outcome, reason: String) -> Outcome {
    let was = outcome.verdict.to_string();
    Outcome { verdict: Verdict::KnownFailure { reason, was }, ..outcome }
}

/// A file with a number of records that fail does so as it is known to if these are as many or, with `fewer`, no more.
fn hold_against_count(outcome: Outcome, count: u64, reason: String, fewer: bool) -> Outcome {
    // What befell the file as a whole, such as a server that is not there, is no record that fails.
    if outcome.failures.iter().any(|failure| failure.sql.is_empty()) {
        return outcome;
    }
    let failed = outcome.records.failed;
    if failed == count || (fewer && failed < count) {
        return known(outcome, reason);
    }
    let verb = if failed == 1 { "record fails" } else { "records fail" };
    let message = format!("{failed} {verb}, but {count} are known to");
    match failed < count {
        true => Outcome { verdict: Verdict::UnexpectedPass { reason }, ..with_failure(outcome, message) },
        false => with_failure(outcome, message),
    }
}

/// A file with pinned records fails as it is known to if exactly these fail or, with `fewer`, none but these.
fn hold_against_pins(mut outcome: Outcome, pins: &[RecordId], reason: String, fewer: bool) -> Outcome {
    if outcome.records.failed > outcome.failed_records.len() as u64 {
        let message = format!(
            "more than {MAX_FAILED_RECORDS} records fail, too many to be told one by one: \
             this file's entry in the list of known failures needs `failed = {}` instead of `records`",
            outcome.records.failed
        );
        return with_failure(outcome, message);
    }
    let Comparison { new, passing } = compare(&outcome.failed_records, pins);
    // What is new comes first: it is what somebody has to look at.
    outcome.failures.sort_by_key(|failure| new.iter().all(|record| record.line != failure.line));
    let passing = if fewer { Vec::new() } else { passing };
    let message = match (new.as_slice(), passing.as_slice()) {
        ([], []) => return known(outcome, reason),
        ([], passing) => {
            let message = format!("known to fail, but passing now: {}", lines(passing));
            return Outcome { verdict: Verdict::UnexpectedPass { reason }, ..with_failure(outcome, message) };
        }
        (new, []) => format!("failing, but not known to: {}", lines(new)),
        (new, passing) => {
            format!("failing, but not known to: {}\nknown to fail, but passing now: {}", lines(new), lines(passing))
        }
    };
    with_failure(outcome, message)
}

/// Puts what the list has to say before the failures themselves.
fn with_failure(mut outcome: Outcome, message: String) -> Outcome {
    let file = outcome.failures.first().map_or_else(|| outcome.name.clone(), |failure| failure.file.clone());
    outcome.failures.insert(0, Failure { file, message, ..Failure::default() });
    outcome
}

fn lines(records: &[RecordId]) -> String {
    let lines: Vec<String> = records.iter().map(|record| record.line.to_string()).collect();
    format!("{} {}", if lines.len() == 1 { "line" } else { "lines" }, lines.join(", "))
}

/// How the records that fail differ from those that are known to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Comparison {
    /// Failing, and not pinned.
    new: Vec<RecordId>,
    /// Pinned, and not failing.
    passing: Vec<RecordId>,
}

/// Pairs failing with pinned records: first by SQL and line, then, since lines move, by SQL alone.
fn compare(failing: &[RecordId], pins: &[RecordId]) -> Comparison {
    let mut comparison = Comparison::default();
    let mut pins: Vec<Option<&RecordId>> = pins.iter().map(Some).collect();
    let mut unpaired = Vec::new();
    for record in failing {
        match pins.iter_mut().find(|pin| **pin == Some(record)) {
            Some(pin) => *pin = None,
            None => unpaired.push(record),
        }
    }
    for record in unpaired {
        match pins.iter_mut().find(|pin| pin.is_some_and(|pin| pin.sql == record.sql)) {
            Some(pin) => *pin = None,
            None => comparison.new.push(record.clone()),
        }
    }
    comparison.passing = pins.into_iter().flatten().cloned().collect();
    comparison
}

#[cfg(test)]
mod tests;
