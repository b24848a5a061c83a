//! Rewrites failing records to expect what the engine returned.
//!
//! While a script runs, corrections are collected as [edits](edit) of its files. A correction counts only if the edited
//! record parses as one that the same result satisfies. When the script is over, each file is replaced as a whole, or
//! not at all.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::dialect::{Dialect, Place, classic, slt};
use crate::engine::EngineError;
use crate::outcome::{Failure, MAX_FAILURES, RecordId};
use crate::script::{Answer, Completion, Labels, Lines, Record, Step, SyntaxError, source};
use crate::suite::TestFile;

use super::diff;

mod duckdb;
mod edit;
pub(crate) mod review;
mod rewrite;

use edit::{Edit, Style};

/// How failing records are rewritten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bless {
    /// What becomes of the new text.
    pub how: How,
    /// Also write errors as expected.
    pub errors: bool,
}

/// What becomes of the text that expects what the engine returned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum How {
    /// It replaces the file.
    #[default]
    Write,
    /// It is written beside the file, as `FILE.new`, for `slt review`; the records still fail.
    Review,
    /// It is shown, and nothing is written; the records still fail.
    Check,
}

/// A correction is what a record would have to expect in order to pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Correction {
    /// A result: its lines as a script lists them, and how many columns there are, where that is known.
    /// The letters are new ones, where the adapter knows better than the record.
    Lines { lines: Vec<Vec<u8>>, columns: Option<usize>, letters: Option<String> },
    /// A number of rows.
    Count(u64),
    /// No error.
    Success,
    /// An error.
    Error(EngineError),
    /// These edits, where the dialect has found them itself.
    Edits(Vec<Edit>),
}

/// The corrections of one trial, by file.
#[derive(Debug)]
pub(super) struct Blessings {
    bless: Bless,
    dialect: Dialect,
    script: PathBuf,
    root: PathBuf,
    /// Names that conditions accept for the engine.
    labels: Labels,
    /// Whether only one record of the script is judged.
    is_excerpt: bool,
    /// A draft for each file: the script's, and those of included files.
    drafts: Vec<Draft>,
    /// The draft of a record, by the file that it was included from.
    names: HashMap<Option<Arc<str>>, usize>,
}

/// A draft is the pending change of one file.
#[derive(Debug)]
struct Draft {
    /// Whether other scripts may have more to say on this file, because they include it.
    is_shared: bool,
    /// The file itself, with links resolved; or why it cannot be rewritten.
    path: Result<PathBuf, String>,
    text: Vec<u8>,
    /// The offset of each line.
    starts: Vec<usize>,
    /// The state of its records, by line.
    records: BTreeMap<u64, RecordState>,
    /// The first failures to be rewritten, with the lines of their records.
    failures: Vec<(u64, Failure)>,
    /// Every run of a record that will be rewritten.
    corrected: Vec<RecordId>,
}

/// Puts a draft's new text where it belongs; says why not, as a fragment.
type Write<'w> = dyn Fn(&Draft, &Path, &[u8]) -> Result<(), String> + 'w;

/// The state of a record in a draft.
#[derive(Debug)]
enum RecordState {
    /// It passed.
    Passed,
    /// It will be rewritten this way.
    Corrected(Vec<Edit>),
    /// It stays unchanged: other runs of the same record ended differently.
    Disputed,
}

/// The result for one file.
#[derive(Debug)]
pub(super) enum Conclusion {
    /// These records were rewritten.
    Rewritten(Vec<RecordId>),
    /// These records would be rewritten; the diff of a failure without a message shows how.
    Rewritable(Vec<RecordId>, Failure),
    /// These records still fail; the first failures give the reason.
    Failing(Vec<RecordId>, Vec<Failure>),
}

const HARM: &str = "written down, it would change how another record of the file is read";

const CANNOT_HOLD: &str = "a script cannot hold this result";

/// Why a record stays as it is whose runs differ.
fn twice(pass: &str) -> &'static str {
    match pass {
        "" => "its file is included more than once, with different results",
        _ => "its results differ from pass to pass of the loop, and a script can hold only one",
    }
}

impl Blessings {
    pub(super) fn new(bless: Bless, file: &TestFile) -> Self {
        Blessings {
            bless,
            dialect: file.dialect,
            script: file.path.clone(),
            root: file.root.clone(),
            labels: Labels::default(),
            is_excerpt: file.excerpt.is_some(),
            drafts: Vec::new(),
            names: HashMap::new(),
        }
    }

    /// Conditions accept these labels for the engine.
    pub(super) fn for_engine(&mut self, labels: &Labels) {
        self.labels = labels.clone();
    }

    /// Reads the files that records are included from before anything runs: another process may soon rewrite them, and
    /// both must start with the same text for the same result.
    pub(super) fn foresee(&mut self, records: &[Record<'_>]) {
        for record in records.iter().filter(|record| record.included_from.is_some()) {
            self.draft(record);
        }
    }

    /// As [`foresee`](Blessings::foresee), for files by their names.
    pub(super) fn foresee_files(&mut self, files: &BTreeSet<Arc<str>>) {
        for file in files {
            self.draft_of(&Some(Arc::clone(file)));
        }
    }

    /// A record has passed, so no other run of the same record may change it.
    pub(super) fn passed(&mut self, record: &Record<'_>) {
        if record.included_from.is_some() || !record.pass.is_empty() {
            self.draft(record).settle(record.line);
        }
    }

    /// A record has failed, and should be rewritten; `agrees` compares lines with the result.
    ///
    /// # Errors
    /// Why it still fails, as a fragment.
    pub(super) fn correct(
        &mut self,
        record: &Record<'_>,
        correction: &Correction,
        failure: &Failure,
        agrees: impl Fn(&Lines<'_>, bool) -> bool,
    ) -> Result<(), String> {
        if matches!(correction, Correction::Error(_)) && !self.bless.errors {
            return Err("it ends with an error, which only `--bless-errors` writes down".to_owned());
        }
        let dialect = self.dialect;
        let draft = self.draft(record);
        if let Correction::Edits(edits) = correction {
            return draft.correct(record, edits.clone(), failure);
        }
        if let Err(reason) = &draft.path {
            return Err(reason.clone());
        }
        let index = usize::try_from(record.line).ok().and_then(|line| line.checked_sub(1));
        let start = index.and_then(|index| draft.starts.get(index));
        let place = start.and_then(|start| Place::of(&draft.text, *start, dialect));
        let unchanged = |place: &Place| {
            reads(&draft.text[place.directive.start..place.end], dialect, record, |step| *step == record.step)
        };
        let place = place.filter(unchanged).ok_or_else(|| rewrite::CHANGED.to_owned())?;
        let mut edits = None;
        for style in Style::ALL {
            let attempt = edit::edits(&draft.text, &place, record, correction, style)?;
            let edited = edit::apply(&draft.text, place.directive.start..place.end, &attempt);
            if reads(&edited, dialect, record, |step| holds(step, &record.step, correction, &agrees)) {
                edits = Some(attempt);
                break;
            }
        }
        let edits = edits.ok_or_else(|| CANNOT_HOLD.to_owned())?;
        draft.correct(record, edits, failure)
    }

    fn draft(&mut self, record: &Record<'_>) -> &mut Draft {
        self.draft_of(&record.included_from)
    }

    fn draft_of(&mut self, included_from: &Option<Arc<str>>) -> &mut Draft {
        let index = match self.names.get(included_from) {
            Some(index) => *index,
            None => {
                let shown = included_from.as_deref().map_or(self.script.as_path(), Path::new);
                let path = real(shown, &self.root);
                let same = |draft: &Draft| path.is_ok() && draft.path == path;
                let index = self.drafts.iter().position(same).unwrap_or_else(|| {
                    self.drafts.push(Draft { is_shared: included_from.is_some(), ..Draft::read(path) });
                    self.drafts.len() - 1
                });
                self.names.insert(included_from.clone(), index);
                index
            }
        };
        &mut self.drafts[index]
    }

    /// Where the new text goes.
    pub(super) fn how(&self) -> How {
        self.bless.how
    }

    /// Writes the collected corrections, and returns the result for each file. `is_whole` says whether the script ran to its
    /// end.
    pub(super) fn conclude(self, is_whole: bool) -> Vec<Conclusion> {
        let Blessings { bless, dialect, script, root, labels, is_excerpt, drafts, .. } = self;
        let read = |text: &[u8], path: &Path| kept(text, path, dialect, &labels, &root);
        let has_news = drafts.iter().any(|draft| !draft.is_shared && !draft.corrected.is_empty());
        if bless.how == How::Review && is_whole && !is_excerpt && !has_news {
            // What an earlier run wrote there is no longer so.
            real(&script, &root).iter().for_each(|script| review::discard(script));
        }
        let write = |draft: &Draft, path: &Path, edited: &[u8]| match bless.how {
            How::Check => Ok(()),
            How::Write => rewrite::rewrite(path, &draft.text, edited),
            How::Review => review::propose(path, &draft.text, edited, dialect, draft.is_shared || is_excerpt),
        };
        drafts.into_iter().flat_map(|draft| draft.conclude(bless.how, &read, &write)).collect()
    }
}

impl Draft {
    fn read(path: Result<PathBuf, String>) -> Draft {
        let text = path.as_ref().map(|path| source::read(path));
        let (path, text) = match text {
            Ok(Ok(text)) => (path, text),
            Ok(Err(error)) => (Err(format!("the file cannot be read again: {error}")), Vec::new()),
            Err(_) => (path, Vec::new()),
        };
        let starts = source::Lines::new(&text).map(|line| line.start).collect();
        Draft {
            is_shared: false,
            path,
            text,
            starts,
            records: BTreeMap::new(),
            failures: Vec::new(),
            corrected: Vec::new(),
        }
    }

    /// Enters how a record is to be rewritten.
    fn correct(&mut self, record: &Record<'_>, edits: Vec<Edit>, failure: &Failure) -> Result<(), String> {
        match self.records.get_mut(&record.line) {
            None => {
                self.records.insert(record.line, RecordState::Corrected(edits));
            }
            Some(RecordState::Corrected(others)) if *others == edits => {}
            Some(_) => {
                self.settle(record.line);
                return Err(twice(&record.pass).to_owned());
            }
        }
        self.corrected.push(RecordId::in_pass(record.step.text(), record.line, &record.pass));
        if self.failures.len() < MAX_FAILURES {
            self.failures.push((record.line, failure.clone()));
        }
        Ok(())
    }

    /// The record in this line stays unchanged.
    fn settle(&mut self, line: u64) {
        let state = self.records.entry(line).or_insert(RecordState::Passed);
        if let RecordState::Corrected(_) = state {
            *state = RecordState::Disputed;
        }
    }

    fn conclude(
        mut self,
        how: How,
        read: &dyn Fn(&[u8], &Path) -> Option<Records>,
        write: &Write<'_>,
    ) -> Vec<Conclusion> {
        let Ok(path) = self.path.clone() else { return Vec::new() };
        let (failures, corrected) = (std::mem::take(&mut self.failures), std::mem::take(&mut self.corrected));
        let Draft { text, records, .. } = &self;
        let mut edits = Vec::new();
        for state in records.values() {
            if let RecordState::Corrected(more) = state {
                edits.extend(more);
            }
        }
        let is_disputed = |line: &u64| matches!(records.get(line), Some(RecordState::Disputed));
        let (disputed, corrected): (Vec<_>, Vec<_>) =
            corrected.into_iter().partition(|record| is_disputed(&record.line));
        let (still, failures): (Vec<_>, Vec<_>) = failures.into_iter().partition(|(line, _)| is_disputed(line));
        let reason = twice(disputed.first().map_or("", |record| record.pass.as_str()));
        let because = |failures: Vec<(u64, Failure)>, reason: &str| {
            failures.into_iter().map(|(_, failure)| refused(failure, reason)).collect()
        };
        let mut conclusions = Vec::new();
        if !disputed.is_empty() {
            conclusions.push(Conclusion::Failing(disputed, because(still, reason)));
        }
        if !corrected.is_empty() {
            let edited = edit::apply(text, 0..text.len(), edits);
            let corrected_at = |line: &u64| matches!(records.get(line), Some(RecordState::Corrected(..)));
            let unharmed = || leaves_others(read(text, &path)?, read(&edited, &path)?, corrected_at);
            conclusions.push(if unharmed() != Some(true) {
                Conclusion::Failing(corrected, because(failures, HARM))
            } else {
                match write(&self, &path, &edited) {
                    Ok(()) if how == How::Write => Conclusion::Rewritten(corrected),
                    Ok(()) => {
                        let (line, Failure { file, .. }) = failures.into_iter().next().unwrap_or_default();
                        let diff = diff::unified(&file, text, &edited);
                        Conclusion::Rewritable(corrected, Failure { file, line, diff, ..Failure::default() })
                    }
                    Err(reason) => Conclusion::Failing(corrected, because(failures, &reason)),
                }
            });
        }
        conclusions
    }
}

/// What must not change: the whole text of a record that is not rewritten, and the SQL of one that is.
#[derive(Debug, PartialEq, Eq)]
struct Kept {
    sql: Vec<u8>,
    whole: String,
}

/// The records of a file, each with its line.
type Records = Vec<(u64, Kept)>;

/// The records of a whole file with their lines; empty if it cannot be read. Records after a syntax error, up to which
/// a classic script may run, count as one.
fn kept(text: &[u8], path: &Path, dialect: Dialect, labels: &Labels, root: &Path) -> Option<Records> {
    let of = |record: Record<'_>| {
        let (line, sql) = (record.line, record.step.text().to_vec());
        (line, Kept { sql, whole: format!("{:?}", Record { line: 0, ..record }) })
    };
    match dialect {
        Dialect::Classic => {
            let mut end = None;
            let records = classic::Parser::new(text, labels);
            let records = records.map_while(|record| record.map_err(|error| end = Some(error.message)).ok());
            let mut records: Vec<(u64, Kept)> = records.map(of).collect();
            records.extend(end.map(|whole| (0, Kept { sql: Vec::new(), whole })));
            Some(records)
        }
        Dialect::Slt => Some(slt::parse(text, labels, path, root).ok()?.into_iter().map(of).collect()),
        Dialect::DuckDb => duckdb::kept(text, path, root),
    }
}

/// Whether a rewritten file has the same records as before, except for the corrected expectations.
fn leaves_others(before: Records, after: Records, corrected: impl Fn(&u64) -> bool) -> Option<bool> {
    let same = |((line, before), (_, after)): (&(u64, Kept), &(u64, Kept))| match corrected(line) {
        true => before.sql == after.sql,
        false => before == after,
    };
    Some(before.len() == after.len() && before.iter().zip(&after).all(same))
}

/// A failure that blessing did not fix.
pub(super) fn refused(failure: Failure, reason: &str) -> Failure {
    Failure { message: format!("{}\nnot blessed: {reason}", failure.message), ..failure }
}

/// The file behind a path, which must be inside the root.
fn real(path: &Path, root: &Path) -> Result<PathBuf, String> {
    let unreachable = |error: std::io::Error| format!("the file cannot be reached: {error}");
    let real = path.canonicalize().map_err(unreachable)?;
    match real.starts_with(root.canonicalize().map_err(unreachable)?) {
        true => Ok(real),
        false => Err("the file lies outside the folder that the test files are in".to_owned()),
    }
}

/// Whether a text contains exactly one record, for which `is` is true.
///
/// The record inherits from `like` what comes from elsewhere in the script.
fn reads(text: &[u8], dialect: Dialect, like: &Record<'_>, is: impl FnOnce(&Step<'_>) -> bool) -> bool {
    let labels = Labels::default();
    let records: Result<Vec<Record<'_>>, SyntaxError> = match dialect {
        Dialect::Classic => classic::Parser::new(text, &labels).collect(),
        Dialect::Slt => slt::parse(text, &labels, Path::new(""), Path::new("")),
        // It is read in `duckdb`.
        Dialect::DuckDb => return false,
    };
    let Ok([Record { step, .. }]) = records.as_deref() else { return false };
    let mut step = step.clone();
    if let (Step::Query { sort, expect, .. }, Step::Query { sort: own_sort, expect: own, .. }) = (&mut step, &like.step)
    {
        *sort = *own_sort;
        let (Answer::Lines { row_wise: own, .. } | Answer::Error { row_wise: own, .. }) = own;
        let (Answer::Lines { row_wise, .. } | Answer::Error { row_wise, .. }) = expect;
        *row_wise = *own;
    }
    is(&step)
}

/// Whether an edited step differs from the old one only in its expectation, which is `correction`.
fn holds(step: &Step<'_>, old: &Step<'_>, correction: &Correction, agrees: impl Fn(&Lines<'_>, bool) -> bool) -> bool {
    let expected = match (step, correction) {
        (Step::Query { letters, label, expect, .. }, Correction::Lines { columns, letters: new, .. }) => {
            let labelled = !matches!(old, Step::Query { label: own, .. } if own != label);
            labelled
                && new.as_ref().is_none_or(|new| new.as_bytes() == &**letters)
                && (letters.is_empty() || columns.is_none_or(|columns| columns == letters.len()))
                && matches!(expect, Answer::Lines { lines, row_wise } if agrees(lines, *row_wise))
        }
        (Step::Statement { expect, .. }, Correction::Count(count)) => *expect == Completion::Count(*count),
        (Step::Statement { expect, .. }, Correction::Success) => *expect == Completion::Ok,
        (
            Step::Statement { expect: Completion::Error(expected), .. }
            | Step::Query { expect: Answer::Error { expected, .. }, .. },
            Correction::Error(error),
        ) => expected.is_match(&error.message, error.sqlstate.as_deref()),
        _ => false,
    };
    expected && step.text() == old.text()
}

#[cfg(all(test, feature = "sqlite"))]
mod tests;
