//! The outcome of one test file: plain data, made by [`trial`](crate::trial), read by everything after it.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

mod comparison;
mod counts;
mod cut_short;
mod failure;
mod portion;
mod record_id;
mod results;
mod scope;
mod shard;

pub use comparison::{Agrees, Compared, Comparison, MAX_COMPARED};
pub use counts::Counts;
pub use cut_short::CutShort;
pub use failure::{Failure, Part};
pub use portion::Portion;
pub use record_id::RecordId;
pub use results::{RESULTS_VERSION, Results, ResultsError};
pub use scope::Scope;
pub use shard::{Shard, ShardError, Split};

/// A verdict is how one trial ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// Every record that applies to the engine matched.
    Passed,
    /// Passed, but only on attempt number `attempt` (2 or more).
    Flaky {
        /// The attempt that passed, counted from 1.
        // `Outcome` flattens the fields of its verdict into its own fields, and also has a field `attempt`.
        #[serde(rename = "passed_on")]
        attempt: u32,
    },
    /// At least one record failed, or the script could not be read.
    Failed,
    /// There was nothing to check, for this reason.
    Ignored {
        /// A sentence fragment.
        reason: String,
    },
    /// The process that ran the script ended during it.
    Crashed {
        /// `SIGSEGV`, `exit 3`, or what is known about the crash.
        how: String,
    },
    /// The script exceeded its time limit.
    TimedOut {
        /// The limit, in milliseconds.
        limit_ms: u64,
    },
    /// The engine needed more memory than `--memory-limit`.
    OutOfMemory {
        /// The limit, in bytes.
        limit_bytes: u64,
    },
    /// It failed as the list of known failures expects.
    KnownFailure {
        /// The reason in the list.
        reason: String,
        /// The verdict without the list, as text.
        was: String,
    },
    /// It passed, or a record of it did, although the list of known failures expects a failure.
    UnexpectedPass {
        /// The reason in the list.
        reason: String,
    },
    /// It did not run, for this reason.
    NotRun {
        /// A sentence fragment: `time budget`, `interrupted`.
        reason: String,
    },
}

impl Verdict {
    /// Whether this verdict fails a run.
    pub fn is_failure(&self) -> bool {
        match self {
            Verdict::Failed
            | Verdict::Crashed { .. }
            | Verdict::TimedOut { .. }
            | Verdict::OutOfMemory { .. }
            | Verdict::UnexpectedPass { .. } => true,
            Verdict::Passed
            | Verdict::Flaky { .. }
            | Verdict::KnownFailure { .. }
            | Verdict::Ignored { .. }
            | Verdict::NotRun { .. } => false,
        }
    }

    /// Whether it failed as the list of known failures expects.
    pub fn is_known_failure(&self) -> bool {
        matches!(self, Verdict::KnownFailure { .. })
    }

    /// The verdict's name in JSON, without its fields: `timed_out`.
    pub fn name(&self) -> &'static str {
        match self {
            Verdict::Passed => "passed",
            Verdict::Flaky { .. } => "flaky",
            Verdict::Failed => "failed",
            Verdict::Ignored { .. } => "ignored",
            Verdict::Crashed { .. } => "crashed",
            Verdict::TimedOut { .. } => "timed_out",
            Verdict::OutOfMemory { .. } => "out_of_memory",
            Verdict::KnownFailure { .. } => "known_failure",
            Verdict::UnexpectedPass { .. } => "unexpected_pass",
            Verdict::NotRun { .. } => "not_run",
        }
    }

    /// Whether every applicable record was checked and matched.
    pub fn is_pass(&self) -> bool {
        matches!(self, Verdict::Passed | Verdict::Flaky { .. })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Passed => f.write_str("ok"),
            Verdict::Flaky { attempt } => write!(f, "flaky (passed on attempt {attempt})"),
            Verdict::Failed => f.write_str("FAILED"),
            Verdict::Ignored { reason } => write!(f, "ignored ({reason})"),
            Verdict::Crashed { how } => write!(f, "crashed ({how})"),
            Verdict::TimedOut { limit_ms } => write!(f, "timed out after {}", Seconds(*limit_ms)),
            Verdict::OutOfMemory { limit_bytes } => write!(f, "out of memory (limit {})", Size(*limit_bytes)),
            Verdict::KnownFailure { reason, was } if was == "FAILED" || was == reason => {
                write!(f, "known failure ({reason})")
            }
            Verdict::KnownFailure { reason, was } => write!(f, "known failure ({was}; {reason})"),
            Verdict::UnexpectedPass { reason } => write!(f, "unexpected pass (known failure: {reason})"),
            Verdict::NotRun { reason } => write!(f, "not run ({reason})"),
        }
    }
}

/// Milliseconds, written as seconds without trailing zeros: `300 s`, `0.5 s`.
struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = Duration::from_millis(self.0).as_secs_f64();
        write!(f, "{seconds} s")
    }
}

/// A number of bytes, in the largest unit that it is a whole number of: `512 MiB`, `1 KiB`, `1 byte`.
pub(crate) struct Size(pub(crate) u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("0 bytes"),
            1 => f.write_str("1 byte"),
            bytes if bytes % (1 << 20) == 0 => write!(f, "{} MiB", bytes >> 20),
            bytes if bytes % (1 << 10) == 0 => write!(f, "{} KiB", bytes >> 10),
            bytes => write!(f, "{bytes} bytes"),
        }
    }
}

/// How many records of a script passed, failed and were skipped.
///
/// Only statements, queries and commands count; directives such as `hash-threshold` and `control` do not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordCounts {
    /// Records that ran and matched.
    pub passed: u64,
    /// Records that ran, or could not run, and did not match.
    pub failed: u64,
    /// Records whose conditions exclude this engine.
    pub skipped: u64,
}

impl RecordCounts {
    /// All records.
    pub fn total(&self) -> u64 {
        self.passed.saturating_add(self.failed).saturating_add(self.skipped)
    }
}

impl std::ops::AddAssign for RecordCounts {
    fn add_assign(&mut self, other: Self) {
        self.passed = self.passed.saturating_add(other.passed);
        self.failed = self.failed.saturating_add(other.failed);
        self.skipped = self.skipped.saturating_add(other.skipped);
    }
}

/// An outcome is a verdict with its details.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The trial's name: the file's path below its root, with `/`.
    pub name: String,
    /// The verdict.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// The records of the last attempt.
    pub records: RecordCounts,
    /// How many records `--bless` rewrote; they count as passed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rewritten: u64,
    /// How many of the failing records `--bless=check` would rewrite; the first failure shows them all, as one diff.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rewritable: u64,
    /// The first failures of the last attempt, at most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failure>,
    /// The records that failed in the last attempt, at most 1000.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed_records: Vec<RecordId>,
    /// Why the last attempt did not run the script to its end; `None` if it did. A `halt` counts as an end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_short: Option<CutShort>,
    /// The pinned records of the list of known failures that passed in the last attempt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passing_pins: Vec<RecordId>,
    /// How its records end on the reference, if there is a reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
    /// The output of the process during the last attempt, or the end of long output; kept only for a failure.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output: String,
    /// The engine's own name for itself, if only a connection knows the name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub engine: String,
    /// Wall time of the last attempt, in microseconds.
    pub wall_us: u64,
    /// The part of `wall_us` inside the engine.
    pub engine_us: u64,
    /// Peak resident memory of the process while it ran, in bytes, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_bytes: Option<u64>,
    /// When the last attempt began, in microseconds since the Unix epoch by the worker's clock; 0 if it never did.
    #[serde(default)]
    pub started_us: u64,
    /// The worker that ran the last attempt; 0 if there is only one process.
    #[serde(default)]
    pub worker: u32,
    /// The number of the last attempt, counted from 1.
    #[serde(default = "one")]
    pub attempt: u32,
    /// The earlier attempts, in order, as far as known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Attempt>,
    /// The pass over the suite, counted from 1 (`--repeat`).
    #[serde(default = "one")]
    pub pass: u32,
    /// The digest of the file when it was read, as `suite::content` computes it; empty if another process read it.
    #[serde(skip)]
    pub content: String,
}

/// An attempt is a run of a trial that did not pass and was followed by another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Attempt {
    /// The verdict.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Its first failure, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The output of the process, or the end of long output.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output: String,
    /// Wall time, in microseconds; 0 if unknown.
    pub wall_us: u64,
    /// When it began, in microseconds since the Unix epoch; 0 if unknown.
    pub started_us: u64,
    /// The worker that ran it; 0 if there is only one process.
    pub worker: u32,
}

impl From<Outcome> for Attempt {
    fn from(outcome: Outcome) -> Self {
        Attempt {
            verdict: outcome.verdict,
            failure: outcome.failures.into_iter().next(),
            output: outcome.output,
            wall_us: outcome.wall_us,
            started_us: outcome.started_us,
            worker: outcome.worker,
        }
    }
}

/// How many failures of one script are kept with their texts.
pub const MAX_FAILURES: usize = 10;

/// How many failing records of one script are kept by their ids.
pub const MAX_FAILED_RECORDS: usize = 1000;

fn is_zero(count: &u64) -> bool {
    *count == 0
}

fn one() -> u32 {
    1
}

impl Outcome {
    /// An outcome with only a name and a verdict.
    pub fn new(name: impl Into<String>, verdict: Verdict) -> Self {
        let mut outcome = Outcome {
            name: name.into(),
            verdict,
            records: RecordCounts::default(),
            rewritten: 0,
            rewritable: 0,
            failures: Vec::new(),
            failed_records: Vec::new(),
            cut_short: None,
            passing_pins: Vec::new(),
            comparison: None,
            output: String::new(),
            engine: String::new(),
            wall_us: 0,
            engine_us: 0,
            peak_bytes: None,
            started_us: 0,
            worker: 0,
            attempt: 1,
            earlier: Vec::new(),
            pass: 1,
            content: String::new(),
        };
        outcome.cut_short = outcome.why_cut_short();
        outcome
    }

    /// Why the script did not run to its end, from its verdict or its fields; `None` if it did.
    pub fn why_cut_short(&self) -> Option<CutShort> {
        match self.verdict {
            Verdict::Crashed { .. } => Some(CutShort::Crashed),
            Verdict::TimedOut { .. } => Some(CutShort::TimedOut),
            Verdict::OutOfMemory { .. } => Some(CutShort::OutOfMemory),
            Verdict::NotRun { .. } => Some(CutShort::NotRun),
            _ => self.cut_short,
        }
    }

    /// Wall time of the last attempt.
    pub fn wall(&self) -> Duration {
        Duration::from_micros(self.wall_us)
    }

    /// The verdict and, after `--bless`, how many records were rewritten, as text.
    pub fn verdict_text(&self) -> String {
        match self.rewritten {
            0 => self.verdict.to_string(),
            1 => format!("{} (1 record rewritten)", self.verdict),
            count => format!("{} ({count} records rewritten)", self.verdict),
        }
    }

    /// The failures as text: each ends with `at file:line`. The number of omitted failures is at the end.
    pub fn failure_text(&self) -> String {
        self.failures_as(Failure::to_string)
    }

    /// The failures as text, with each failure formatted by `shown`.
    pub fn failures_as(&self, shown: impl Fn(&Failure) -> String) -> String {
        let mut text: Vec<String> = self.failures.iter().map(shown).collect();
        let shown = self.failures.len() as u64 + self.rewritable.saturating_sub(1);
        if self.records.failed > shown {
            text.push(format!("… and {} more failing records", self.records.failed - shown));
        }
        text.join("\n\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_read_as_documented() {
        let texts = [
            (Verdict::Passed, "ok"),
            (Verdict::Flaky { attempt: 2 }, "flaky (passed on attempt 2)"),
            (Verdict::Failed, "FAILED"),
            (Verdict::Ignored { reason: "empty".into() }, "ignored (empty)"),
            (Verdict::Crashed { how: "SIGSEGV".into() }, "crashed (SIGSEGV)"),
            (Verdict::TimedOut { limit_ms: 300_000 }, "timed out after 300 s"),
            (Verdict::TimedOut { limit_ms: 500 }, "timed out after 0.5 s"),
            (Verdict::OutOfMemory { limit_bytes: 64 << 20 }, "out of memory (limit 64 MiB)"),
            (Verdict::OutOfMemory { limit_bytes: 3 << 10 }, "out of memory (limit 3 KiB)"),
            (Verdict::OutOfMemory { limit_bytes: 1 }, "out of memory (limit 1 byte)"),
            (Verdict::KnownFailure { reason: "no joins".into(), was: "FAILED".into() }, "known failure (no joins)"),
            // `--write-known-failures` writes the verdict as the reason.
            (
                Verdict::KnownFailure { reason: "timed out after 1 s".into(), was: "timed out after 1 s".into() },
                "known failure (timed out after 1 s)",
            ),
            (
                Verdict::KnownFailure { reason: "no joins".into(), was: "crashed (SIGSEGV)".into() },
                "known failure (crashed (SIGSEGV); no joins)",
            ),
            (Verdict::UnexpectedPass { reason: "no joins".into() }, "unexpected pass (known failure: no joins)"),
            (Verdict::NotRun { reason: "time budget".into() }, "not run (time budget)"),
        ];
        for (verdict, text) in texts {
            assert_eq!(verdict.to_string(), text);
        }
    }

    #[test]
    fn an_outcome_survives_json() {
        let mut outcome = Outcome::new("a/b.test", Verdict::Passed);
        outcome.failures.push(Failure {
            file: "a/b.test".into(),
            line: 7,
            pass: "i=3".into(),
            message: "m".into(),
            sql: "SELECT 1".into(),
            expected: Some("1".into()),
            ..Failure::default()
        });
        for verdict in [
            Verdict::Passed,
            Verdict::Flaky { attempt: 2 },
            Verdict::Failed,
            Verdict::Ignored { reason: "empty".into() },
            Verdict::Crashed { how: "exit 3".into() },
            Verdict::TimedOut { limit_ms: 500 },
            Verdict::OutOfMemory { limit_bytes: 64 << 20 },
            Verdict::KnownFailure { reason: "no joins".into(), was: "FAILED".into() },
            Verdict::UnexpectedPass { reason: "no joins".into() },
            Verdict::NotRun { reason: "time budget".into() },
        ] {
            outcome.verdict = verdict;
            let json = serde_json::to_string(&outcome).unwrap();
            assert!(json.contains(&format!(r#""verdict":"{}""#, outcome.verdict.name())), "{json}");
            assert_eq!(serde_json::from_str::<Outcome>(&json).unwrap(), outcome);
        }
    }
}
