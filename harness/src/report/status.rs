//! The last run at a glance.

use std::path::PathBuf;
use std::time::SystemTime;

use serde::Serialize;

use super::by_file::by_file;
use super::clusters::{Example, causes};
use super::columns::columns;
use super::compare::RunHead;
use super::words::{ago, count, first_line, pass_rate, percentage, time_us, utc, was};
use crate::outcome::{Counts, Results, Verdict};

/// A status is what a user wants to know first about a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// How the run ended, in words.
    pub verdict: String,
    /// The run.
    #[serde(flatten)]
    pub run: RunHead,
    /// How many workers, or threads, shared the files.
    pub workers: u32,
    /// The part of the files with something to check that passed, in percent.
    pub pass_rate: Option<f64>,
    /// The failing files, sorted by name.
    pub failing: Vec<Failing>,
    /// Files that passed in one pass or attempt and failed in another, sorted by name.
    pub unstable: Vec<String>,
    /// The files of the run that exist.
    pub written: Vec<PathBuf>,
}

/// A failing file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failing {
    /// The trial's name.
    pub name: String,
    /// The verdict.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// The first failure.
    pub first: Example,
}

impl Status {
    /// The status of a run that has written these files.
    pub fn new(results: &Results, written: Vec<PathBuf>) -> Self {
        let mut status = Status {
            verdict: verdict(results),
            run: RunHead::new(results),
            workers: results.workers,
            pass_rate: pass_rate(&results.total),
            failing: Vec::new(),
            unstable: Vec::new(),
            written,
        };
        for file in by_file(results) {
            let outcome = file.worst();
            if file.is_unstable() {
                status.unstable.push(file.name.to_owned());
            }
            if let Some((_, failure)) = causes(outcome).into_iter().next().filter(|_| outcome.verdict.is_failure()) {
                let first = Example::new(file.name, outcome, failure);
                status.failing.push(Failing { name: file.name.to_owned(), verdict: outcome.verdict.clone(), first });
            }
        }
        status
    }

    /// The status as text, with at most `most` files of each kind.
    pub fn text(&self, now: SystemTime, most: usize) -> String {
        let RunHead { run_id, engine, started_us, wall_us, total, scope, target, .. } = &self.run;
        let records = total.records;
        let cell = |text: &str| first_line(text, 60);
        let mut lines = vec![];
        if !target.is_empty() {
            lines.push(["target", &cell(target)].map(str::to_owned));
        }
        if let Some(scope) = scope {
            lines.push(["scope", &first_line(scope, 200)].map(str::to_owned));
        }
        lines.extend([
            ["run", &format!("{} on {}", cell(run_id), cell(engine))].map(str::to_owned),
            ["started", &format!("{}, {}", utc(*started_us), ago(*started_us, now))].map(str::to_owned),
            ["took", &format!("{} on {}", time_us(*wall_us), count(self.workers.into(), "worker"))].map(str::to_owned),
            ["files", &kinds(total)].map(str::to_owned),
            ["pass rate", &format!("{} of the files with something to check", percentage(self.pass_rate))]
                .map(str::to_owned),
            ["records", &format!("{} passed, {} failed, {} skipped", records.passed, records.failed, records.skipped)]
                .map(str::to_owned),
        ]);
        for (index, file) in self.written.iter().enumerate() {
            let title = if index == 0 { "written" } else { "" };
            lines.push([title.to_owned(), file.display().to_string()]);
        }
        let lines: Vec<Vec<String>> = lines.into_iter().map(Vec::from).collect();
        let mut text = format!("{}\n\n{}{}", self.verdict, columns(&lines, |_| false), self.files(most));
        if !self.failing.is_empty() {
            text.push_str("\n`slt punchlist` lists all that fail, `slt analyze --top-fixes` what to fix first.\n");
        }
        text
    }

    /// The failing and the unstable files, with at most `most` of each; empty if there are none.
    pub fn files(&self, most: usize) -> String {
        let mut text = String::new();
        let failing = self.failing.iter().map(|file| {
            let Example { at, message, .. } = &file.first;
            let verdict = first_line(&file.verdict.to_string(), 60);
            vec![format!("  {}", first_line(&file.name, usize::MAX)), verdict, format!("{message} at {at}")]
        });
        let unstable = self.unstable.iter().map(|name| vec![format!("  {}", first_line(name, usize::MAX))]);
        for (title, rows) in [("failing", failing.collect::<Vec<_>>()), ("unstable", unstable.collect())] {
            if rows.is_empty() {
                continue;
            }
            text.push_str(&format!("\n{title}: {}\n", count(rows.len() as u64, "file")));
            text.push_str(&columns(&rows[..rows.len().min(most)], |_| false));
            if rows.len() > most {
                text.push_str(&format!("  … and {} more\n", rows.len() - most));
            }
        }
        text
    }
}

/// How a run ended, in words.
fn verdict(results: &Results) -> String {
    let total = &results.total;
    let planned = total.planned;
    if let Some(found) = results.check().first() {
        return format!("BROKEN: the file of its results {found}");
    }
    let scope = match results.portion() {
        Some(portion) => format!(", in a run of {}", first_line(&portion.to_string(), 200)),
        None => String::new(),
    };
    let words = match total.failures() {
        0 if planned == 0 => "EMPTY: no file was planned".to_owned(),
        0 if total.not_run > 0 => {
            format!("INCOMPLETE: none failed, but {} of {planned} {} not run", total.not_run, was(total.not_run))
        }
        0 if total.known_failures > 0 => {
            format!("passed: {} of {}, the failures are known", total.passed, count(planned, "file"))
        }
        0 if total.passed == 0 => format!("EMPTY: nothing in {} could be checked", count(planned, "file")),
        0 => format!("passed: {} of {}, none failed", total.passed, count(planned, "file")),
        failures => format!("FAILED: {failures} of {}", count(planned, "file")),
    };
    words + &scope
}

/// The numbers of files by verdict: always those that passed and failed, other verdicts only if there are any.
fn kinds(counts: &Counts) -> String {
    let always = [(counts.passed, "passed"), (counts.failed, "failed")];
    let others = [
        (counts.crashed, "crashed"),
        (counts.timed_out, "timed out"),
        (counts.out_of_memory, "out of memory"),
        (counts.unexpected_passes, if counts.unexpected_passes == 1 { "unexpected pass" } else { "unexpected passes" }),
        (counts.known_failures, if counts.known_failures == 1 { "known failure" } else { "known failures" }),
        (counts.ignored, "ignored"),
        (counts.not_run, "not run"),
    ];
    let shown = always.into_iter().chain(others.into_iter().filter(|(number, _)| *number > 0));
    shown.map(|(number, word)| format!("{number} {word}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::outcome::{Outcome, Scope};
    use crate::report::samples;
    use crate::suite::Filter;
    use crate::summary::{ExitStatus, Summary};

    fn text(results: &Results, most: usize) -> String {
        let now = UNIX_EPOCH + Duration::from_micros(results.started_us) + Duration::from_secs(7_300);
        Status::new(results, vec!["target/slt/results.json".into()]).text(now, most)
    }

    #[test]
    fn the_status_as_text() {
        insta::assert_snapshot!("failed", text(&samples::after(), 3));
        insta::assert_snapshot!("passed", text(&samples::results("1", 0, vec![samples::passed("a.test", 1)]), 3));
        let json = serde_json::to_string_pretty(&Status::new(&samples::after(), Vec::new())).unwrap();
        insta::assert_snapshot!("status_as_json", json);
    }

    #[test]
    fn nothing_checked_is_never_called_passed() {
        let first = |outcomes: Vec<Outcome>| Status::new(&samples::results("1", 0, outcomes), Vec::new()).verdict;
        let not_run = Outcome::new("b.test", Verdict::NotRun { reason: "time budget".into() });
        let ignored = Outcome::new("c.test", Verdict::Ignored { reason: "empty".into() });
        assert!(first(vec![]).starts_with("EMPTY"));
        assert!(first(vec![ignored.clone()]).starts_with("EMPTY"));
        assert!(first(vec![samples::passed("a.test", 1), not_run]).starts_with("INCOMPLETE"));
        assert_eq!(first(vec![samples::passed("a.test", 1), ignored]), "passed: 1 of 2 files, none failed");
        let known = Outcome::new("k", Verdict::KnownFailure { reason: "no joins".into(), was: "FAILED".into() });
        let both = vec![samples::passed("a.test", 1), known];
        assert_eq!(first(both.clone()), "passed: 1 of 2 files, the failures are known");
        assert!(Status::new(&samples::results("1", 0, both), Vec::new()).failing.is_empty());
    }

    #[test]
    fn a_run_of_a_part_of_the_suite_is_not_taken_for_all_of_it() {
        let filter = Filter { patterns: vec!["a".into()], ..Filter::default() };
        let scope = Some(Scope { roots: vec!["tests".into()], suite: Some(360), filter });
        let one = Results { scope, ..samples::results("1", 0, vec![samples::failed("a.test", &[(1, "wrong")])]) };
        let status = text(&one, 3);
        let first = "FAILED: 1 of 1 file, in a run of 1 of 360 files (filter: `a`)\n";
        assert!(status.starts_with(first) && status.contains("scope      1 of 360 files (filter: `a`)\n"), "{status}");
        assert!(!text(&samples::after(), 3).contains("scope"));
    }

    #[test]
    fn the_first_word_agrees_with_the_exit_code_for_every_mix_of_verdicts() {
        let verdicts = [
            Verdict::Passed,
            Verdict::Flaky { attempt: 2 },
            Verdict::Failed,
            Verdict::KnownFailure { reason: "r".into(), was: "FAILED".into() },
            Verdict::UnexpectedPass { reason: "r".into() },
            Verdict::TimedOut { limit_ms: 1 },
            Verdict::Crashed { how: "SIGSEGV".into() },
            Verdict::OutOfMemory { limit_bytes: 1 },
            Verdict::Ignored { reason: "empty".into() },
            Verdict::NotRun { reason: "time budget".into() },
        ];
        for mix in 0..1_u32 << verdicts.len() {
            let chosen = verdicts.iter().enumerate().filter(|(index, _)| mix >> index & 1 == 1);
            let outcomes: Vec<Outcome> =
                chosen.map(|(index, verdict)| Outcome::new(format!("{index}.test"), verdict.clone())).collect();
            let summary = Summary::new(outcomes.iter().map(|outcome| (outcome.name.as_str(), 1)), &outcomes);
            let wanted = match summary.exit_status(false) {
                ExitStatus::Passed if outcomes.is_empty() || summary.checked_nothing() => "EMPTY",
                ExitStatus::Passed => "passed",
                ExitStatus::Failed => "FAILED",
                ExitStatus::Incomplete => "INCOMPLETE",
                other => panic!("{other:?}"),
            };
            let verdict = Status::new(&samples::results("1", 0, outcomes), Vec::new()).verdict;
            assert_eq!(verdict.split(':').next(), Some(wanted), "{mix:b}: {verdict}");
        }
    }

    #[test]
    fn sums_that_do_not_agree_with_the_outcomes_are_never_called_passed() {
        let mut results = samples::results("1", 0, vec![samples::passed("a.test", 1)]);
        results.total.planned = 2;
        assert!(Status::new(&results, Vec::new()).verdict.starts_with("BROKEN"));
        results.total.planned = 1;
        results.outcomes.clear();
        assert!(Status::new(&results, Vec::new()).verdict.starts_with("BROKEN"));
    }
}
