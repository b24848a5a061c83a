//! Checks outcomes against the plan: what passed, failed, and is missing; and the exit code.

use std::collections::{BTreeMap, HashMap};

use crate::outcome::{Counts, Outcome, Verdict};
use crate::suite::category;

/// The final counts of a run: every planned trial has exactly one outcome, or the run is broken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// All trials.
    pub total: Counts,
    /// The counts by category, the first folder of the name.
    pub categories: BTreeMap<String, Counts>,
    /// The names of the trials that did not run.
    pub not_run: Vec<String>,
    /// Inconsistencies; empty in every sound run.
    pub defects: Vec<String>,
    /// The reference, if it could not be reached for some file.
    pub unreachable: Option<String>,
}

/// The exit codes of the test binary and of `slt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
pub enum ExitStatus {
    /// All planned files passed, or had nothing to check.
    Passed = 0,
    /// The command line or a variable cannot be used.
    Usage = 2,
    /// Nothing failed, but files were not run and `--allow-incomplete` was not given.
    Incomplete = 3,
    /// The harness itself could not continue, or its counts do not add up.
    Broken = 4,
    /// No file matches the filters, or nothing in the matching files could be checked: only in `slt run`, `slt test`
    /// and parallel runs.
    Nothing = 5,
    /// `slt` could not build or start the test target of the package.
    NotBuilt = 6,
    /// Some file failed, crashed, timed out or ran out of memory; the code that libtest uses.
    Failed = 101,
}

impl From<ExitStatus> for std::process::ExitCode {
    fn from(status: ExitStatus) -> Self {
        std::process::ExitCode::from(status as u8)
    }
}

impl Summary {
    /// Checks outcomes against the planned trials: their names, once for each pass.
    pub fn new<'o>(
        planned: impl IntoIterator<Item = (&'o str, u32)>,
        outcomes: impl IntoIterator<Item = &'o Outcome>,
    ) -> Self {
        let mut summary = Summary::default();
        let mut open: HashMap<(&str, u32), u32> = HashMap::new();
        for (name, pass) in planned {
            summary.total.planned += 1;
            summary.categories.entry(category(name).to_owned()).or_default().planned += 1;
            *open.entry((name, pass)).or_default() += 1;
        }
        for outcome in outcomes {
            let lost = outcome.comparison.as_ref().filter(|comparison| comparison.unreachable);
            if let Some(comparison) = lost.filter(|_| summary.unreachable.is_none()) {
                summary.unreachable = Some(format!("{}: {}", comparison.reference, comparison.why));
            }
            match open.get_mut(&(outcome.name.as_str(), outcome.pass)) {
                Some(count) if *count > 0 => *count -= 1,
                Some(_) => summary.defects.push(format!("`{}` has more than one outcome", outcome.name)),
                None => summary.defects.push(format!("`{}` was never planned", outcome.name)),
            }
            summary.total.add(outcome);
            if let Verdict::NotRun { .. } = outcome.verdict {
                summary.not_run.push(outcome.name.clone());
            }
            summary.categories.entry(category(&outcome.name).to_owned()).or_default().add(outcome);
        }
        let mut missing: Vec<&str> = open.iter().filter(|(_, count)| **count > 0).map(|((name, _), _)| *name).collect();
        missing.sort_unstable();
        summary.defects.extend(missing.into_iter().map(|name| format!("`{name}` has no outcome")));
        if summary.total.accounted() != summary.total.planned && summary.defects.is_empty() {
            summary.defects.push("the sum of all verdicts is not the number of planned files".to_owned());
        }
        summary
    }

    /// Whether files were planned, but nothing in any of them could be checked.
    pub fn checked_nothing(&self) -> bool {
        let Counts { planned, passed, known_failures, not_run, .. } = self.total;
        planned > 0 && passed == 0 && known_failures == 0 && not_run == 0 && self.total.failures() == 0
    }

    /// The exit code for this summary.
    pub fn exit_status(&self, allow_incomplete: bool) -> ExitStatus {
        if !self.defects.is_empty() {
            ExitStatus::Broken
        } else if self.total.failures() > 0 {
            ExitStatus::Failed
        } else if self.unreachable.is_some() {
            ExitStatus::Broken
        } else if self.total.not_run > 0 && !allow_incomplete {
            ExitStatus::Incomplete
        } else {
            ExitStatus::Passed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::RecordCounts;

    fn outcome(name: &str, verdict: Verdict) -> Outcome {
        Outcome::new(name, verdict)
    }

    fn status(planned: &[&str], outcomes: &[Outcome]) -> ExitStatus {
        Summary::new(planned.iter().map(|name| (*name, 1)), outcomes).exit_status(false)
    }

    #[test]
    fn a_failure_outranks_what_was_not_run() {
        let not_run = outcome("b", Verdict::NotRun { reason: "time budget".into() });
        let passed = outcome("a", Verdict::Passed);
        assert_eq!(status(&["a"], std::slice::from_ref(&passed)), ExitStatus::Passed);
        assert_eq!(status(&["a", "b"], &[passed, not_run.clone()]), ExitStatus::Incomplete);
        for verdict in [
            Verdict::Failed,
            Verdict::Crashed { how: "SIGSEGV".into() },
            Verdict::TimedOut { limit_ms: 1 },
            Verdict::OutOfMemory { limit_bytes: 1 },
        ] {
            assert_eq!(status(&["a", "b"], &[outcome("a", verdict), not_run.clone()]), ExitStatus::Failed);
        }
    }

    #[test]
    fn a_run_that_checked_nothing_does_not_count_as_passed() {
        let ignored = |name: &str| outcome(name, Verdict::Ignored { reason: "0 of 3 records apply".into() });
        let is_nothing = |planned: &[&str], outcomes: &[Outcome]| {
            Summary::new(planned.iter().map(|name| (*name, 1)), outcomes).checked_nothing()
        };
        assert!(is_nothing(&["a", "b"], &[ignored("a"), ignored("b")]));
        assert!(!is_nothing(&["a", "b"], &[ignored("a"), outcome("b", Verdict::Passed)]));
        assert!(!is_nothing(&["a", "b"], &[ignored("a"), outcome("b", Verdict::NotRun { reason: "budget".into() })]));
        let known = Verdict::KnownFailure { reason: "r".into(), was: "FAILED".into() };
        assert!(!is_nothing(&["a"], &[outcome("a", known)]));
        // For example, a process that finds nothing left to do, or a shard without files.
        assert!(!is_nothing(&[], &[]));
    }

    #[test]
    fn an_account_that_does_not_add_up_is_never_green() {
        let passed = outcome("a", Verdict::Passed);
        assert_eq!(status(&["a", "b"], std::slice::from_ref(&passed)), ExitStatus::Broken);
        assert_eq!(status(&["a"], &[passed.clone(), passed.clone()]), ExitStatus::Broken);
        assert_eq!(status(&["b"], &[passed]), ExitStatus::Broken);
    }

    #[test]
    fn categories_are_counted_apart() {
        let mut failed = outcome("x/1.test", Verdict::Failed);
        failed.records = RecordCounts { passed: 3, failed: 1, skipped: 2 };
        let outcomes = [failed, outcome("y.test", Verdict::Passed)];
        let summary = Summary::new([("x/1.test", 1), ("y.test", 1)], &outcomes);
        assert_eq!(summary.categories["x"].failed, 1);
        assert_eq!(summary.categories["x"].records.total(), 6);
        assert_eq!(summary.categories["."].passed, 1);
        assert_eq!(summary.total.planned, 2);
    }
}
