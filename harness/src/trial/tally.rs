//! The state of a trial so far, and its position.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::bless::{self, Blessings, Conclusion, How};
use super::excerpt::Excerpted;
use super::trace::Role;
use crate::diff;
use crate::event::{Ending, Event, Reporter};
use crate::known::Expectation;
use crate::outcome::{CutShort, Failure, MAX_FAILED_RECORDS, MAX_FAILURES, RecordCounts, RecordId};
use crate::script::{Record, SyntaxError};
use crate::suite::shown;

/// The state of a trial so far, and its position; it is kept after a panic.
pub(super) struct Tally<'f> {
    pub(super) reporter: &'f dyn Reporter,
    pub(super) blessings: Option<Blessings>,
    pub(super) role: Role,
    pub(super) rewritten: u64,
    pub(super) rewritable: u64,
    pub(super) records: RecordCounts,
    pub(super) failures: Vec<Failure>,
    pub(super) failed_records: Vec<RecordId>,
    /// The script's entry in the list of known failures, if it is listed.
    pub(super) expectation: Option<Expectation<'f>>,
    /// The one record that is judged; `None` if all are.
    pub(super) excerpted: Option<Excerpted>,
    /// Why the script does not run to its end.
    pub(super) cut_short: Option<CutShort>,
    /// The line of the `halt` that it ended with.
    pub(super) halted: Option<u64>,
    pub(super) engine: Duration,
    /// The name that the engine reports, if only a connection knows it.
    pub(super) called: String,
    /// The digest of the file's content (see `suite::content`).
    pub(super) content: String,
    pub(super) path: &'f Path,
    pub(super) shown: Cow<'f, str>,
    pub(super) included: Option<Arc<str>>,
    pub(super) line: u64,
    pub(super) pass: String,
    pub(super) sql: String,
}

impl<'f> Tally<'f> {
    pub(super) fn new(path: &'f Path, reporter: &'f dyn Reporter) -> Self {
        Tally {
            reporter,
            blessings: None,
            role: Role::Plain,
            rewritten: 0,
            rewritable: 0,
            records: RecordCounts::default(),
            failures: Vec::new(),
            failed_records: Vec::new(),
            expectation: None,
            excerpted: None,
            cut_short: None,
            halted: None,
            engine: Duration::ZERO,
            called: String::new(),
            content: String::new(),
            path,
            shown: shown(path),
            included: None,
            line: 0,
            pass: String::new(),
            sql: String::new(),
        }
    }

    pub(super) fn at(&mut self, record: &Record<'_>) {
        self.line = record.line;
        // Most records are outside of loops.
        if !(self.pass.is_empty() && record.pass.is_empty()) {
            self.pass.clone_from(&record.pass);
        }
        if self.included != record.included_from {
            self.included.clone_from(&record.included_from);
        }
    }

    /// Reports how a record ended.
    pub(super) fn ended(&self, record: &Record<'_>, ending: Ending<'_>) {
        let file = record.included_from.as_deref().unwrap_or(&self.shown);
        self.reporter.report(Event::RecordEnded { file, record, ending });
    }

    pub(super) fn file(&self) -> &str {
        self.included.as_deref().unwrap_or(&self.shown)
    }

    /// A failure of the current record, without expected and actual texts.
    pub(super) fn here(&self) -> Failure {
        Failure {
            file: self.file().to_owned(),
            line: self.line,
            pass: self.pass.clone(),
            message: String::new(),
            sql: self.sql.clone(),
            expected: None,
            actual: None,
            diff: String::new(),
            returned: String::new(),
            reference: String::new(),
        }
    }

    /// Adds a failure of the record with this SQL. A record without SQL is identified by its error message.
    pub(super) fn fail(&mut self, failure: Failure, text: &[u8]) {
        let text = if text.is_empty() { failure.message.as_bytes() } else { text };
        let id = RecordId::in_pass(text, failure.line, &failure.pass);
        self.count_failed(vec![id]);
        if self.failures.len() < MAX_FAILURES {
            self.failures.push(failure);
        }
    }

    pub(super) fn count_failed(&mut self, records: Vec<RecordId>) {
        self.records.failed += records.len() as u64;
        if let Some(expectation) = &mut self.expectation {
            records.iter().for_each(|record| expectation.failed(record));
        }
        let room = MAX_FAILED_RECORDS.saturating_sub(self.failed_records.len());
        self.failed_records.extend(records.into_iter().take(room));
    }

    /// A record matched.
    pub(super) fn pass(&mut self, record: &Record<'_>) {
        self.records.passed += u64::from(record.step.counts());
        if let Some(expectation) = &mut self.expectation {
            expectation.passed(record.step.text(), record.line, &record.pass);
        }
    }

    /// If `slt fill` must write this record although it passed with its placeholder, returns the failure to report for it.
    pub(super) fn filled(&mut self, record: &Record<'_>) -> Option<Failure> {
        self.blessings.as_ref()?.bless().fill?;
        let message = "it has no expected result yet".to_owned();
        let failure = Failure { message, ..self.here() };
        self.blessings.as_mut()?.fill(record, &failure).then_some(failure)
    }

    /// Whether there is a failure that is not known.
    pub(super) fn has_new_failure(&self) -> bool {
        match &self.expectation {
            Some(expectation) => expectation.has_new_failure(),
            None => self.records.failed > 0,
        }
    }

    /// Adds the reason why this failure is not rewritten, if the run rewrites failures.
    pub(super) fn refused(&self, failure: Failure, reason: &str) -> Failure {
        match &self.blessings {
            Some(blessings) => bless::refused(failure, reason, blessings.bless()),
            None => failure,
        }
    }

    /// Adds a failure of the whole script, not of one record.
    pub(super) fn fail_unasked(&mut self, failure: Failure) {
        let failure = self.refused(failure, "only results of statements and queries can be written");
        self.reporter.report(Event::ScriptFailed(&failure));
        let text = failure.sql.clone();
        self.fail(failure, text.as_bytes());
    }

    /// Rewrites the corrected records, and adds the result to the tally.
    pub(super) fn conclude(&mut self) {
        let mut shown: Option<Failure> = None;
        let Some(blessings) = self.blessings.take() else { return };
        let (bless, is_whole) = (blessings.bless(), self.cut_short.is_none());
        for conclusion in blessings.conclude(is_whole) {
            match conclusion {
                Conclusion::Rewritten(records) => {
                    self.rewritten += records.len() as u64;
                    self.records.passed += records.len() as u64;
                    if let Some(expectation) = &mut self.expectation {
                        records.into_iter().for_each(|record| expectation.passed_record(record));
                    }
                }
                Conclusion::Rewritable(records, failure) => {
                    self.rewritable += records.len() as u64;
                    self.count_failed(records);
                    match &mut shown {
                        None => shown = Some(failure),
                        Some(shown) => shown.diff = format!("{}\n{}", shown.diff, failure.diff),
                    }
                }
                Conclusion::Failing(records, failures) => {
                    self.count_failed(records);
                    failures.iter().for_each(|failure| self.reporter.report(Event::ScriptFailed(failure)));
                    self.failures.extend(failures);
                }
            }
        }
        if let Some(mut failure) = shown {
            let records = if self.rewritable == 1 { "record" } else { "records" };
            let word = if bless.fill.is_some() { "filled" } else { "rewritten" };
            let next = if bless.how == How::Review { ": `slt review` shows each, to accept or reject it" } else { "" };
            failure.message = format!("{} {records} would be {word}{next}", self.rewritable);
            self.reporter.report(Event::ScriptFailed(&failure));
            self.failures.insert(0, failure);
        }
        self.failures.truncate(MAX_FAILURES);
    }

    /// An error of the whole script, or of its format.
    pub(super) fn fail_script(&mut self, error: SyntaxError, why: CutShort) {
        self.cut_short = Some(why);
        let file = error
            .included_from
            .as_deref()
            .map_or_else(|| self.shown.to_string(), |path| shown(Path::new(path)).into_owned());
        self.sql.clear();
        self.pass.clear();
        // A file that cannot be parsed may be a secret file: show only the start of the message, because it may quote the text.
        let message = match why {
            CutShort::SyntaxError => diff::shorten(error.message, LONGEST_SYNTAX_ERROR),
            _ => error.message,
        };
        self.fail_unasked(Failure { file, line: error.line, message, ..self.here() });
    }
}

/// How many bytes of a syntax error's message are shown.
const LONGEST_SYNTAX_ERROR: usize = 400;
