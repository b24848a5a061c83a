//! The outcomes of a run by file: one file has an outcome for each pass.

use std::collections::BTreeMap;

use crate::outcome::{Outcome, Results};

/// A file of a run, with its outcomes in all passes.
#[derive(Debug, Clone)]
pub struct FileOutcomes<'r> {
    /// The trial's name.
    pub name: &'r str,
    /// At least one, in the order in which they ended.
    outcomes: Vec<&'r Outcome>,
}

impl<'r> FileOutcomes<'r> {
    /// The outcome that represents the file: the first failure, else the first unchecked one, else the first.
    pub fn worst(&self) -> &'r Outcome {
        let rank = |outcome: &Outcome| match &outcome.verdict {
            verdict if verdict.is_failure() => 0,
            verdict if verdict.is_pass() => 2,
            _ => 1,
        };
        self.outcomes.iter().min_by_key(|outcome| rank(outcome)).expect("a file is made of its outcomes")
    }

    /// The outcomes of all passes, in the order in which they ended.
    pub fn outcomes(&self) -> &[&'r Outcome] {
        &self.outcomes
    }

    /// Whether the file passed in one pass or attempt and failed in another.
    pub fn is_unstable(&self) -> bool {
        let flaky = |outcome: &&Outcome| outcome.verdict.is_pass() && outcome.attempt > 1;
        let passes = self.outcomes.iter().any(|outcome| outcome.verdict.is_pass());
        let fails = self.outcomes.iter().any(|outcome| outcome.verdict.is_failure());
        (passes && fails) || self.outcomes.iter().any(flaky)
    }

    /// The shortest wall time of all passes, in microseconds: the one least disturbed by other load.
    pub fn wall_us(&self) -> u64 {
        self.outcomes.iter().map(|outcome| outcome.wall_us).min().unwrap_or_default()
    }
}

/// The files of a run, sorted by name.
pub fn by_file(results: &Results) -> Vec<FileOutcomes<'_>> {
    let mut files: BTreeMap<&str, Vec<&Outcome>> = BTreeMap::new();
    for outcome in &results.outcomes {
        files.entry(&outcome.name).or_default().push(outcome);
    }
    files.into_iter().map(|(name, outcomes)| FileOutcomes { name, outcomes }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Verdict;

    #[test]
    fn a_failure_in_any_pass_represents_the_file() {
        let passed = Outcome { wall_us: 5, ..Outcome::new("a.test", Verdict::Passed) };
        let failed = Outcome { wall_us: 9, pass: 2, ..Outcome::new("a.test", Verdict::Failed) };
        let ignored = Outcome::new("b.test", Verdict::Ignored { reason: "empty".into() });
        let flaky = Outcome { attempt: 2, ..Outcome::new("c.test", Verdict::Flaky { attempt: 2 }) };
        let results = Results { outcomes: vec![flaky, passed, ignored, failed], ..Results::default() };
        let files = by_file(&results);
        let names: Vec<&str> = files.iter().map(|file| file.name).collect();
        assert_eq!(names, ["a.test", "b.test", "c.test"]);
        assert_eq!((files[0].worst().pass, files[0].wall_us(), files[0].is_unstable()), (2, 5, true));
        assert!(!files[1].is_unstable() && files[2].is_unstable());
    }
}
