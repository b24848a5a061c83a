//! Rewrites failing records to expect what the engine returned.
//!
//! While a script runs, corrections are collected as [edits](edit) of its files. A correction counts only if the edited
//! record parses as one that the same result satisfies. When the script is over, each file is replaced as a whole, or
//! not at all.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::dialect::rewrite::{self as edit, Edit, Kept, OfRecord, Revision};
use crate::dialect::{Dialect, Place};
use crate::engine::Rows;
use crate::outcome::{Failure, MAX_FAILURES, RecordId};
use crate::script::{Labels, Lines, Record, ScriptFile, source};
use crate::suite::TestFile;

use super::diff;

pub(super) use crate::dialect::rewrite::Correction;

mod fill;
pub(crate) mod review;
mod rewrite;

use fill::Blanks;
pub use fill::Fill;

/// How failing records are rewritten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bless {
    /// What happens to the new text.
    pub how: How,
    /// Also write errors as expected.
    pub errors: bool,
    /// If set, write only the records that `slt fill` covers, instead of all that fail.
    pub fill: Option<Fill>,
}

/// What happens to the text that expects what the engine returned.
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
    /// The index of the draft for the records of a file, by the file's name as included; `None` is the script itself.
    names: HashMap<Option<Arc<str>>, usize>,
}

/// The pending change of one file.
#[derive(Debug)]
struct Draft {
    /// Whether the file is an included one: other scripts that include it may propose other changes.
    is_shared: bool,
    /// The file itself, with links resolved; or why it cannot be rewritten.
    path: Result<PathBuf, String>,
    text: Vec<u8>,
    /// The text on disk, if it differs from `text`: `slt fill` inserts placeholders into `text`.
    held: Option<Vec<u8>>,
    /// The records that are incomplete, if they are to be filled.
    blanks: Blanks,
    /// The offset of each line.
    starts: Vec<usize>,
    /// The state of its records, by line.
    records: BTreeMap<u64, RecordState>,
    /// The first failures to be rewritten, with the lines of their records.
    failures: Vec<(u64, Failure)>,
    /// Every run of a record that will be rewritten.
    corrected: Vec<RecordId>,
}

/// Writes a draft's new text to its destination. The error is a sentence fragment.
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

const HARM: &str = "writing it would change how another record of the file is parsed";

const CANNOT_HOLD: &str = "a script cannot hold this result";

/// Why a record stays unchanged if its runs have different results.
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
    pub(super) fn expect_files(&mut self, files: &mut dyn Iterator<Item = &Arc<str>>) {
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

    /// A record has failed, and should be rewritten; `agrees` compares lines with the result, which is `rows`.
    ///
    /// # Errors
    /// Why it still fails, as a fragment.
    pub(super) fn correct(
        &mut self,
        record: &Record<'_>,
        correction: &Correction,
        failure: &Failure,
        rows: &Rows,
        agrees: &dyn Fn(&Lines<'_>, bool) -> bool,
    ) -> Result<(), String> {
        let edits = match correction {
            Correction::Edits(edits) => edits.clone(),
            _ => {
                let revision = OfRecord { dialect: self.dialect, record, correction, agrees };
                self.edits(record, correction, &revision, rows)?
            }
        };
        self.draft(record).correct(record, edits, failure)
    }

    /// The edits that make a record expect a correction.
    ///
    /// # Errors
    /// Why it still fails, as a fragment.
    pub(super) fn edits(
        &mut self,
        record: &Record<'_>,
        correction: &Correction,
        revision: &dyn Revision,
        rows: &Rows,
    ) -> Result<Vec<Edit>, String> {
        self.may_correct(record, correction)?;
        let dialect = self.dialect;
        let draft = self.draft(record);
        if let Err(reason) = &draft.path {
            return Err(reason.clone());
        }
        let index = usize::try_from(record.line).ok().and_then(|line| line.checked_sub(1));
        let start = index.and_then(|index| draft.starts.get(index));
        let place = start.and_then(|start| Place::of(&draft.text, *start, dialect));
        let place = place.filter(|place| revision.is(&draft.text[place.directive.start..place.end]));
        let place = place.ok_or_else(|| rewrite::CHANGED.to_owned())?;
        for style in revision.styles() {
            let edits = revision.edits(&draft.text, &place, *style)?;
            let edited = edit::apply(&draft.text, place.directive.start..place.end, &edits);
            if revision.holds(&edited, rows) {
                return Ok(edits);
            }
        }
        Err(CANNOT_HOLD.to_owned())
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
                    let draft = Draft::read(path, self.dialect, self.bless);
                    self.drafts.push(Draft { is_shared: included_from.is_some(), ..draft });
                    self.drafts.len() - 1
                });
                self.names.insert(included_from.clone(), index);
                index
            }
        };
        &mut self.drafts[index]
    }

    /// The options for rewriting.
    pub(super) fn bless(&self) -> Bless {
        self.bless
    }

    /// Writes the collected corrections, and returns the result for each file. `is_whole` says whether the script ran to its
    /// end.
    pub(super) fn conclude(self, is_whole: bool) -> Vec<Conclusion> {
        let Blessings { bless, dialect, script, root, labels, is_excerpt, drafts, .. } = self;
        let read = |text: &[u8], path: &Path| {
            let script = ScriptFile { name: "", path, root: &root };
            dialect.definition().kept(&script, text, &labels)
        };
        let has_news = drafts.iter().any(|draft| !draft.is_shared && !draft.corrected.is_empty());
        if bless.how == How::Review && is_whole && !is_excerpt && !has_news {
            // No record differs any more, so the proposal of an earlier run is out of date.
            real(&script, &root).iter().for_each(|script| review::discard(script));
        }
        let write = |draft: &Draft, path: &Path, edited: &[u8]| match bless.how {
            // If the connection to the reference was lost, not all its results are known.
            _ if bless.fill.is_some() && !is_whole => Err("the script did not run to its end".to_owned()),
            How::Check => Ok(()),
            How::Write => rewrite::rewrite(path, draft.held(), edited),
            How::Review => review::propose(path, draft.held(), edited, dialect, draft.is_shared || is_excerpt),
        };
        drafts.into_iter().flat_map(|draft| draft.conclude(bless, &read, &write)).collect()
    }
}

impl Draft {
    fn read(path: Result<PathBuf, String>, dialect: Dialect, bless: Bless) -> Draft {
        let text = path.as_ref().map(|path| source::read(path));
        let (path, text) = match text {
            Ok(Ok(text)) => (path, text),
            Ok(Err(error)) => (Err(format!("the file cannot be read again: {error}")), Vec::new()),
            Err(_) => (path, Vec::new()),
        };
        Draft::of(path, text, dialect, bless)
    }

    /// A draft of a file that contains this text.
    fn of(path: Result<PathBuf, String>, text: Vec<u8>, dialect: Dialect, bless: Bless) -> Draft {
        let (text, held, blanks) = match bless.fill {
            None => (text, None, Blanks::new()),
            Some(_) => {
                let (whole, blanks) = fill::put_in(&text, dialect);
                (whole, Some(text), blanks)
            }
        };
        let starts = source::Lines::new(&text).map(|line| line.start).collect();
        Draft {
            is_shared: false,
            path,
            text,
            held,
            blanks,
            starts,
            records: BTreeMap::new(),
            failures: Vec::new(),
            corrected: Vec::new(),
        }
    }

    /// The text of the file on disk.
    fn held(&self) -> &[u8] {
        self.held.as_deref().unwrap_or(&self.text)
    }

    /// Notes how a record is rewritten.
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

    /// Marks the record in this line as unchanged.
    fn settle(&mut self, line: u64) {
        let state = self.records.entry(line).or_insert(RecordState::Passed);
        if let RecordState::Corrected(_) = state {
            *state = RecordState::Disputed;
        }
    }

    fn conclude(
        mut self,
        bless: Bless,
        read: &dyn Fn(&[u8], &Path) -> Option<Records>,
        write: &Write<'_>,
    ) -> Vec<Conclusion> {
        let Ok(path) = self.path.clone() else { return Vec::new() };
        let (failures, corrected) = (std::mem::take(&mut self.failures), std::mem::take(&mut self.corrected));
        let Draft { text, records, .. } = &self;
        let mut edits: Vec<&Edit> = Vec::new();
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
            failures.into_iter().map(|(_, failure)| refused(failure, reason, bless)).collect()
        };
        let mut conclusions = Vec::new();
        if !disputed.is_empty() {
            conclusions.push(Conclusion::Failing(disputed, because(still, reason)));
        }
        if !corrected.is_empty() {
            let edited = edit::apply(text, 0..text.len(), edits.iter().copied());
            let corrected_at = |line: &u64| matches!(records.get(line), Some(RecordState::Corrected(..)));
            let unharmed = || leaves_others(read(text, &path)?, read(&edited, &path)?, corrected_at);
            conclusions.push(if unharmed() != Some(true) {
                Conclusion::Failing(corrected, because(failures, HARM))
            } else {
                // Take out the placeholders of the records that are not rewritten.
                let out = fill::taken_out(&self.blanks, |line| !corrected_at(&line));
                let mut edits: Vec<&Edit> = edits.into_iter().chain(&out).collect();
                edits.sort_by_key(|edit| (edit.at.start, edit.at.end));
                let edited = edit::apply(text, 0..text.len(), edits);
                match write(&self, &path, &edited) {
                    Ok(()) if bless.how == How::Write => Conclusion::Rewritten(corrected),
                    Ok(()) => {
                        let (line, Failure { file, .. }) = failures.into_iter().next().unwrap_or_default();
                        let diff = diff::unified(&file, self.held(), &edited);
                        Conclusion::Rewritable(corrected, Failure { file, line, diff, ..Failure::default() })
                    }
                    Err(reason) => Conclusion::Failing(corrected, because(failures, &reason)),
                }
            });
        }
        conclusions
    }
}

/// The records of a file, each with its line.
type Records = Vec<(u64, Kept)>;

/// Whether a rewritten file has the same records as before, except for the corrected expectations.
fn leaves_others(before: Records, after: Records, corrected: impl Fn(&u64) -> bool) -> Option<bool> {
    let same = |((line, before), (_, after)): (&(u64, Kept), &(u64, Kept))| match corrected(line) {
        true => before.sql == after.sql,
        false => before == after,
    };
    Some(before.len() == after.len() && before.iter().zip(&after).all(same))
}

/// A failure that blessing did not fix.
pub(super) fn refused(failure: Failure, reason: &str, bless: Bless) -> Failure {
    let word = if bless.fill.is_some() { "filled" } else { "blessed" };
    Failure { message: format!("{}\nnot {word}: {reason}", failure.message), ..failure }
}

/// The file behind a path, which must be inside the root.
fn real(path: &Path, root: &Path) -> Result<PathBuf, String> {
    let unreachable = |error: std::io::Error| format!("the file cannot be reached: {error}");
    let real = path.canonicalize().map_err(unreachable)?;
    match real.starts_with(root.canonicalize().map_err(unreachable)?) {
        true => Ok(real),
        false => Err("the file is outside the folder that the test files are in".to_owned()),
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests;
