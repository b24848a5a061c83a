//! Two runs of the same small suite, for the tests of reports.

use crate::outcome::{Counts, Failure, Outcome, RESULTS_VERSION, RecordCounts, Results, Verdict};
use crate::suite::category;

/// A run's results from its outcomes, with their sums.
pub fn results(run_id: &str, started_us: u64, outcomes: Vec<Outcome>) -> Results {
    let mut results = Results {
        version: RESULTS_VERSION,
        run_id: run_id.into(),
        engine: "sqlite".into(),
        started_us,
        wall_us: 12_340_000,
        workers: 4,
        ..Results::default()
    };
    for outcome in &outcomes {
        let of_category: &mut Counts = results.categories.entry(category(&outcome.name).into()).or_default();
        for counts in [&mut results.total, of_category] {
            counts.planned += 1;
            counts.add(outcome);
        }
    }
    results.outcomes = outcomes;
    results
}

/// An outcome that passed.
pub fn passed(name: &str, wall_us: u64) -> Outcome {
    let records = RecordCounts { passed: 10, ..RecordCounts::default() };
    Outcome { wall_us, records, ..Outcome::new(name, Verdict::Passed) }
}

/// An outcome with failures, by line and message; it passed ten records too.
pub fn failed(name: &str, failures: &[(u64, &str)]) -> Outcome {
    let failure = |(line, message): &(u64, &str)| Failure {
        file: format!("tests/corpus/{name}"),
        line: *line,
        message: (*message).to_owned(),
        sql: "SELECT a\nFROM t1".into(),
        ..Failure::default()
    };
    Outcome {
        records: RecordCounts { passed: 10, failed: failures.len() as u64, skipped: 0 },
        failures: failures.iter().map(failure).collect(),
        wall_us: 50_000,
        ..Outcome::new(name, Verdict::Failed)
    }
}

/// A failure with a wrong result.
pub fn wrong(name: &str, line: u64, expected: &str, actual: &str) -> Outcome {
    let mut outcome = failed(name, &[(line, "query result mismatch")]);
    outcome.failures[0].expected = Some(expected.into());
    outcome.failures[0].actual = Some(actual.into());
    outcome
}

/// A file that was killed, in line 4.
pub fn ended(name: &str, verdict: Verdict, message: &str) -> Outcome {
    Outcome { verdict, ..failed(name, &[(4, message)]) }
}

/// A file that fails as listed, with its failure.
pub fn known(outcome: Outcome, reason: &str) -> Outcome {
    let was = outcome.verdict.to_string();
    Outcome { verdict: Verdict::KnownFailure { reason: reason.into(), was }, ..outcome }
}

/// The earlier run.
pub fn before() -> Results {
    let outcomes = vec![
        passed("select/1.test", 20_000),
        failed("select/2.test", &[(7, "query failed: no such function: median")]),
        passed("select/3.test", 20_000),
        failed("select/4.test", &[(9, "query failed: no such table: t1")]),
        passed("joins/outer.test", 20_000),
        wrong("joins/inner.test", 12, "1\n2", "2\n1"),
        failed("index/a.test", &[(3, "query failed: no such table: t2")]),
        passed("index/late.test", 20_000),
        ended(
            "random/crash.test",
            Verdict::Crashed { how: "SIGSEGV".into() },
            "the process that ran this record ended",
        ),
        passed("random/slow.test", 400_000),
        passed("ddl/old.test", 20_000),
        Outcome::new("evidence/other.test", Verdict::Ignored { reason: "0 of 3 records apply to sqlite".into() }),
    ];
    results("41fe02aa", 1_795_300_000_000_000, outcomes)
}

/// The later run.
pub fn after() -> Results {
    let outcomes = vec![
        passed("select/1.test", 25_000),
        failed(
            "select/2.test",
            &[(7, "query failed: no such function: median"), (9, "query failed: no such table: t3")],
        ),
        failed("select/3.test", &[(5, "query failed: no such table: t1")]),
        passed("select/4.test", 20_000),
        ended(
            "joins/outer.test",
            Verdict::TimedOut { limit_ms: 300_000 },
            "still running in sqlite when the time limit was over",
        ),
        wrong("joins/inner.test", 12, "1\n2", "2\n1"),
        failed("index/a.test", &[(3, "query failed: no such table: t2")]),
        Outcome::new("index/late.test", Verdict::NotRun { reason: "time budget".into() }),
        ended(
            "random/crash.test",
            Verdict::Crashed { how: "SIGSEGV".into() },
            "the process that ran this record ended",
        ),
        passed("random/slow.test", 1_400_000),
        failed("ddl/new.test", &[(2, "statement failed: near \"FOO\": syntax error")]),
        Outcome { attempt: 2, verdict: Verdict::Flaky { attempt: 2 }, ..passed("evidence/flaky.test", 20_000) },
        Outcome::new("evidence/other.test", Verdict::Ignored { reason: "0 of 3 records apply to sqlite".into() }),
    ];
    results("b602696c", 1_795_419_852_000_000, outcomes)
}
