//! `junit.xml`: a run for CI servers, in Maven Surefire's dialect, which has elements for reruns.
//!
//! A category is a test suite, a file is a test case; `failure` means failing records, `error` a crash or an exceeded
//! limit, `skipped` a file that had nothing to check, was not run, or is known to fail. Earlier attempts are
//! `flakyFailure` and `flakyError` if the last one passed, otherwise `rerunFailure` and `rerunError`.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use chrono::{DateTime, FixedOffset};
use quick_junit::{FlakyOrRerun, NonSuccessKind, Report, TestCase, TestCaseStatus, TestRerun, TestSuite};

use super::words::valid_xml;
use crate::outcome::{Attempt, Outcome, Results, Verdict};
use crate::suite::category;

/// The whole document.
///
/// # Errors
/// The document cannot be written as text, which no input can cause.
pub fn junit(results: &Results) -> io::Result<Vec<u8>> {
    let mut report = Report::new(format!("slt on {}", results.engine));
    report.set_time(Duration::from_micros(results.wall_us));
    if let Some(began) = timestamp(results.started_us) {
        report.set_timestamp(began);
    }
    let mut suites: BTreeMap<&str, Vec<&Outcome>> = BTreeMap::new();
    for outcome in &results.outcomes {
        suites.entry(category(&outcome.name)).or_default().push(outcome);
    }
    for (name, mut outcomes) in suites {
        outcomes.sort_by_key(|outcome| (&outcome.name, outcome.pass));
        report.add_test_suite(suite(name, &outcomes, results));
    }
    let mut bytes = Vec::new();
    report.serialize(&mut bytes).map_err(io::Error::other)?;
    // Names, SQL and messages are foreign text, and the serializer does not reject characters that XML forbids.
    Ok(valid_xml(&String::from_utf8_lossy(&bytes)).into_bytes())
}

fn suite(name: &str, outcomes: &[&Outcome], results: &Results) -> TestSuite {
    let mut suite = TestSuite::new(name);
    suite.add_property(("engine", results.engine.as_str())).add_property(("run_id", results.run_id.as_str()));
    suite.set_time(outcomes.iter().map(|outcome| outcome.wall()).sum());
    let began = outcomes.iter().map(|outcome| outcome.started_us).filter(|started| *started > 0).min();
    if let Some(began) = timestamp(began.unwrap_or(results.started_us)) {
        suite.set_timestamp(began);
    }
    suite.add_test_cases(outcomes.iter().map(|outcome| case(outcome)));
    suite
}

fn case(outcome: &Outcome) -> TestCase {
    let mut status = status(outcome);
    status.add_reruns(outcome.earlier.iter().map(rerun));
    status.set_rerun_kind(if outcome.verdict.is_pass() { FlakyOrRerun::Flaky } else { FlakyOrRerun::Rerun });
    let name = match outcome.pass {
        1 => outcome.name.clone(),
        pass => format!("{} (pass {pass})", outcome.name),
    };
    let mut case = TestCase::new(name, status);
    let folder = outcome.name.rsplit_once('/').map_or(".", |(folder, _)| folder);
    case.set_classname(folder.replace('/', "."));
    case.set_assertions(usize::try_from(outcome.records.passed + outcome.records.failed).unwrap_or(usize::MAX));
    case.set_time(outcome.wall());
    if let Some(began) = timestamp(outcome.started_us) {
        case.set_timestamp(began);
    }
    if !outcome.output.is_empty() {
        case.set_system_out(&outcome.output);
    }
    case
}

fn status(outcome: &Outcome) -> TestCaseStatus {
    let Some((kind, type_name)) = kind(&outcome.verdict) else {
        return match &outcome.verdict {
            Verdict::Ignored { reason } => {
                let mut skipped = TestCaseStatus::skipped();
                skipped.set_message(reason);
                skipped
            }
            // As in libtest's line: neither a success nor a failure. Its text has the failing records.
            Verdict::KnownFailure { .. } => {
                let mut skipped = TestCaseStatus::skipped();
                skipped.set_message(outcome.verdict.to_string()).set_description(outcome.failure_text());
                skipped
            }
            Verdict::NotRun { .. } => {
                let mut skipped = TestCaseStatus::skipped();
                skipped.set_message(outcome.verdict.to_string());
                skipped
            }
            _ => TestCaseStatus::success(),
        };
    };
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(type_name).set_description(outcome.failure_text());
    let first = outcome.failures.first().map(|failure| failure.message.as_str());
    status.set_message(message(&outcome.verdict, first));
    status
}

fn rerun(attempt: &Attempt) -> TestRerun {
    let (kind, type_name) = kind(&attempt.verdict).unwrap_or((NonSuccessKind::Failure, "failed"));
    let mut rerun = TestRerun::new(kind);
    let text = attempt.failure.as_ref().map(ToString::to_string).unwrap_or_default();
    rerun.set_type(type_name).set_time(Duration::from_micros(attempt.wall_us)).set_stack_trace(text);
    rerun.set_message(message(&attempt.verdict, attempt.failure.as_ref().map(|failure| failure.message.as_str())));
    if let Some(began) = timestamp(attempt.started_us) {
        rerun.set_timestamp(began);
    }
    if !attempt.output.is_empty() {
        rerun.set_system_out(&attempt.output);
    }
    rerun
}

/// The JUnit element for a verdict that fails the run; `None` for others.
fn kind(verdict: &Verdict) -> Option<(NonSuccessKind, &'static str)> {
    match verdict {
        Verdict::Failed => Some((NonSuccessKind::Failure, "failed")),
        Verdict::Crashed { .. } => Some((NonSuccessKind::Error, "crashed")),
        Verdict::TimedOut { .. } => Some((NonSuccessKind::Error, "timed out")),
        Verdict::OutOfMemory { .. } => Some((NonSuccessKind::Error, "out of memory")),
        Verdict::UnexpectedPass { .. } => Some((NonSuccessKind::Failure, "unexpected pass")),
        Verdict::Passed
        | Verdict::Flaky { .. }
        | Verdict::KnownFailure { .. }
        | Verdict::Ignored { .. }
        | Verdict::NotRun { .. } => None,
    }
}

/// One line on what was wrong: the first failing record, or what ended the whole script.
fn message(verdict: &Verdict, first: Option<&str>) -> String {
    let first = first.and_then(|message| message.lines().next()).unwrap_or_default();
    match verdict {
        Verdict::Failed => first.to_owned(),
        verdict => verdict.to_string(),
    }
}

/// A point in time in UTC; `None` if unknown.
fn timestamp(micros: u64) -> Option<DateTime<FixedOffset>> {
    let micros = i64::try_from(micros).ok().filter(|micros| *micros > 0)?;
    DateTime::from_timestamp_micros(micros).map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Failure;

    fn outcome(name: &str, verdict: Verdict) -> Outcome {
        Outcome { started_us: 1_785_000_000_000_000, wall_us: 1_500_000, ..Outcome::new(name, verdict) }
    }

    #[test]
    fn the_document_is_xml_whatever_a_file_contains() {
        let odd = "\u{fffe}\u{ffff}\u{0}\u{b}\u{1b}";
        let failure = Failure { sql: odd.into(), message: odd.into(), diff: odd.into(), ..Failure::default() };
        let mut failed = outcome(&format!("{odd}/{odd}.test"), Verdict::Failed);
        (failed.failures, failed.output) = (vec![failure.clone()], odd.into());
        failed.earlier = vec![Attempt { failure: Some(failure), output: odd.into(), ..Attempt::from(failed.clone()) }];
        let ignored = outcome("i.test", Verdict::Ignored { reason: odd.into() });
        let results =
            Results { engine: odd.into(), run_id: odd.into(), outcomes: vec![failed, ignored], ..Results::default() };
        let text = String::from_utf8(junit(&results).unwrap()).unwrap();
        let forbidden = |c: char| matches!(c, '\u{fffe}' | '\u{ffff}') || (c < ' ' && !"\t\n\r".contains(c));
        assert!(!text.contains(forbidden), "{text:?}");
        assert_eq!(text.matches("<testcase ").count(), 2);
    }

    #[test]
    fn every_verdict_has_its_element() {
        let failure = Failure {
            file: "ddl/b.test".into(),
            line: 3,
            message: "query result mismatch".into(),
            sql: "SELECT '\u{1}<&>\u{1b}[31m'".into(),
            diff: "- 2\n+ 1".into(),
            ..Failure::default()
        };
        let mut failed = outcome("ddl/b.test", Verdict::Failed);
        (failed.failures, failed.records.failed, failed.output) = (vec![failure], 1, "what was printed".into());
        let crash = Attempt::from(outcome("ddl/c.test", Verdict::Crashed { how: "SIGSEGV".into() }));
        let mut flaky = outcome("ddl/c.test", Verdict::Flaky { attempt: 2 });
        (flaky.earlier, flaky.attempt) = (vec![crash.clone()], 2);
        let mut late = outcome("late.test", Verdict::TimedOut { limit_ms: 500 });
        late.earlier = vec![crash];
        let mut ignored = Outcome::new("x.test", Verdict::Ignored { reason: "it holds no records".into() });
        ignored.pass = 2;
        let results = Results {
            engine: "sqlite".into(),
            run_id: "b602696c".into(),
            started_us: 1_785_000_000_000_000,
            wall_us: 2_000_000,
            outcomes: vec![outcome("a.test", Verdict::Passed), failed, flaky, late, ignored],
            ..Results::default()
        };
        insta::assert_snapshot!(String::from_utf8(junit(&results).unwrap()).unwrap());
    }
}
