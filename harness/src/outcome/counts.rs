//! How many trials ended with which verdict.

use serde::{Deserialize, Serialize};

use super::{Outcome, RecordCounts, Verdict};

/// How many trials ended with which verdict, and the totals of their records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Planned trials.
    pub planned: u64,
    /// Trials that passed, including flaky ones.
    pub passed: u64,
    /// Trials with failing records.
    pub failed: u64,
    /// Trials that crashed their process.
    pub crashed: u64,
    /// Trials that exceeded a time limit.
    pub timed_out: u64,
    /// Trials that exceeded the memory limit.
    pub out_of_memory: u64,
    /// Trials that failed as the list of known failures expects.
    #[serde(default)]
    pub known_failures: u64,
    /// Trials that passed although the list expects a failure.
    #[serde(default)]
    pub unexpected_passes: u64,
    /// Trials with nothing to check.
    pub ignored: u64,
    /// Trials that did not run.
    pub not_run: u64,
    /// The records of all trials.
    pub records: RecordCounts,
}

impl Counts {
    /// Adds one outcome; does not change `planned`.
    pub fn add(&mut self, outcome: &Outcome) {
        let count = match outcome.verdict {
            Verdict::Passed | Verdict::Flaky { .. } => &mut self.passed,
            Verdict::Failed => &mut self.failed,
            Verdict::Ignored { .. } => &mut self.ignored,
            Verdict::Crashed { .. } => &mut self.crashed,
            Verdict::TimedOut { .. } => &mut self.timed_out,
            Verdict::OutOfMemory { .. } => &mut self.out_of_memory,
            Verdict::KnownFailure { .. } => &mut self.known_failures,
            Verdict::UnexpectedPass { .. } => &mut self.unexpected_passes,
            Verdict::NotRun { .. } => &mut self.not_run,
        };
        *count += 1;
        self.records += outcome.records;
    }

    /// Trials that fail the run.
    pub fn failures(&self) -> u64 {
        self.failed + self.crashed + self.timed_out + self.out_of_memory + self.unexpected_passes
    }

    /// Trials with any verdict; in a run whose results are complete, this equals `planned`.
    pub fn accounted(&self) -> u64 {
        self.passed + self.failures() + self.known_failures + self.ignored + self.not_run
    }
}
