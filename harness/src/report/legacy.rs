//! A run in the format of earlier SQLLogicTest tools, and all runs merged in that format.
//!
//! ```text
//! {"summary": {"total": 3, "passed": 1, "failed": 1, "errors": 1, "skipped": 0, "pass_rate": 33.3,
//!              "total_available_files": 623, "tested_files": 3},
//!  "tested_files": {"passed": ["a.test"], "failed": ["b.test", "c.test"], "errors": ["c.test"], "skipped": []},
//!  "categories": {"ddl": {"total": 3, "passed": 1, …}},
//!  "detailed_failures": [{"file_path": "b.test", "failures": [{"sql_statement": "SELECT 1", "expected_result": "2",
//!                         "actual_result": "1", "error_message": "…", "line_number": 3}]}]}
//! ```
//!
//! `failed` counts files with failing records, `errors` those that crashed or exceeded a limit, `skipped` those with
//! nothing to check. Files that did not run count only in `total_available_files`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::words::percent;
use crate::outcome::{Outcome, Results, Verdict};
use crate::suite::category;

/// Results in the earlier format.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Legacy {
    /// All files together.
    pub summary: Summary,
    /// The names of the files that ran.
    pub tested_files: TestedFiles,
    /// The same numbers by category.
    pub categories: BTreeMap<String, Figures>,
    /// The failures, by file.
    pub detailed_failures: Vec<FileFailures>,
}

/// The numbers for a set of files.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Files that ran.
    pub total: u64,
    /// Files that passed.
    pub passed: u64,
    /// Files with failing records.
    pub failed: u64,
    /// Files that crashed, or exceeded a limit.
    pub errors: u64,
    /// Files with nothing to check.
    pub skipped: u64,
    /// `passed` as a percentage of all that were not skipped.
    pub pass_rate: f64,
}

/// The numbers for all files.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The numbers.
    #[serde(flatten)]
    pub figures: Figures,
    /// All files, run or not.
    pub total_available_files: u64,
    /// Files that ran.
    pub tested_files: u64,
}

/// The names of the files that ran, each list sorted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TestedFiles {
    /// Files that passed.
    pub passed: Vec<String>,
    /// Files that did not pass, including `errors`.
    pub failed: Vec<String>,
    /// Files that crashed, or exceeded a limit.
    #[serde(default)]
    pub errors: Vec<String>,
    /// Files with nothing to check.
    #[serde(default)]
    pub skipped: Vec<String>,
}

/// The failures of one file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FileFailures {
    /// The trial's name.
    pub file_path: String,
    /// The first few failing records.
    pub failures: Vec<RecordFailure>,
}

/// The failure of one record.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RecordFailure {
    /// The SQL; empty if there was none.
    pub sql_statement: String,
    /// What the script expects.
    pub expected_result: Option<String>,
    /// What the engine returned.
    pub actual_result: Option<String>,
    /// The message.
    pub error_message: String,
    /// The record's line; `None` if the failure concerns the whole file.
    pub line_number: Option<u64>,
}

/// The status of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum FileStatus {
    Skipped,
    Passed,
    Failed,
    Error,
}

/// The status of each file, and its failures.
type Files = BTreeMap<String, (FileStatus, Vec<RecordFailure>)>;

impl Legacy {
    /// One run in the earlier format. If there are several passes over a file, the worst counts.
    pub fn new(results: &Results) -> Self {
        let mut files = Files::new();
        for outcome in &results.outcomes {
            let Some(status) = status(outcome) else { continue };
            let file = files.entry(outcome.name.clone()).or_insert((status, Vec::new()));
            file.0 = file.0.max(status);
            file.1.extend(failures(outcome));
        }
        let planned = results.outcomes.iter().filter(|outcome| outcome.pass == 1).count() as u64;
        let suite = results.scope.as_ref().and_then(|scope| scope.suite);
        Legacy::of(files, suite.unwrap_or(planned + results.filtered_out))
    }

    /// The merged results after another run: its result of a file replaces the earlier one.
    pub fn followed_by(self, later: Legacy) -> Legacy {
        let available = self.summary.total_available_files.max(later.summary.total_available_files);
        let mut files = self.into_files();
        files.extend(later.into_files());
        Legacy::of(files, available)
    }

    fn of(files: Files, available: u64) -> Self {
        let mut legacy = Legacy::default();
        for (name, (status, failures)) in files {
            legacy.summary.figures.add(status);
            legacy.categories.entry(category(&name).to_owned()).or_default().add(status);
            let lists = &mut legacy.tested_files;
            match status {
                FileStatus::Passed => lists.passed.push(name.clone()),
                FileStatus::Skipped => lists.skipped.push(name.clone()),
                FileStatus::Failed => lists.failed.push(name.clone()),
                FileStatus::Error => {
                    lists.failed.push(name.clone());
                    lists.errors.push(name.clone());
                }
            }
            if !failures.is_empty() {
                legacy.detailed_failures.push(FileFailures { file_path: name, failures });
            }
        }
        legacy.summary.tested_files = legacy.summary.figures.total;
        legacy.summary.total_available_files = available.max(legacy.summary.figures.total);
        legacy
    }

    fn into_files(self) -> Files {
        let TestedFiles { passed, failed, errors, skipped } = self.tested_files;
        // Files in `errors` are also in `failed`, so `errors` comes later.
        let lists = [
            (skipped, FileStatus::Skipped),
            (passed, FileStatus::Passed),
            (failed, FileStatus::Failed),
            (errors, FileStatus::Error),
        ];
        let named = lists.into_iter().flat_map(|(names, status)| names.into_iter().map(move |name| (name, status)));
        let mut files: Files = named.map(|(name, status)| (name, (status, Vec::new()))).collect();
        for FileFailures { file_path, failures } in self.detailed_failures {
            if let Some(file) = files.get_mut(&file_path) {
                file.1 = failures;
            }
        }
        files
    }
}

impl Figures {
    fn add(&mut self, status: FileStatus) {
        self.total += 1;
        *match status {
            FileStatus::Passed => &mut self.passed,
            FileStatus::Failed => &mut self.failed,
            FileStatus::Error => &mut self.errors,
            FileStatus::Skipped => &mut self.skipped,
        } += 1;
        let checked = self.total - self.skipped;
        self.pass_rate = percent(self.passed, checked).unwrap_or_default();
    }
}

/// The status of a file by this outcome; `None` if it did not run.
fn status(outcome: &Outcome) -> Option<FileStatus> {
    match outcome.verdict {
        // The earlier format has no known failures: a file counts as failed if a record failed, and otherwise as passed.
        Verdict::UnexpectedPass { .. } if outcome.records.failed > 0 => Some(FileStatus::Failed),
        Verdict::Passed | Verdict::Flaky { .. } | Verdict::UnexpectedPass { .. } => Some(FileStatus::Passed),
        Verdict::Failed | Verdict::KnownFailure { .. } => Some(FileStatus::Failed),
        Verdict::Crashed { .. } | Verdict::TimedOut { .. } | Verdict::OutOfMemory { .. } => Some(FileStatus::Error),
        Verdict::Ignored { .. } => Some(FileStatus::Skipped),
        Verdict::NotRun { .. } => None,
    }
}

fn failures(outcome: &Outcome) -> impl Iterator<Item = RecordFailure> {
    outcome.failures.iter().map(|failure| RecordFailure {
        sql_statement: failure.sql.clone(),
        expected_result: failure.expected.clone(),
        actual_result: failure.actual.clone(),
        error_message: match failure.pass.as_str() {
            "" => failure.message.clone(),
            pass => format!("{} ({pass})", failure.message),
        },
        line_number: (failure.line > 0).then_some(failure.line),
    })
}
