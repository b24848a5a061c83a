//! The summary by category, as tables for a terminal: one of files, one of records.

use super::columns::columns;
use super::words::{pass_rate, percentage, record_rate};
use crate::outcome::Counts;
use crate::summary::Summary;

/// A column: its header, its number, and whether it is omitted if all its numbers are 0.
type Column = (&'static str, fn(&Counts) -> String, bool);

/// The columns for files. All except the first and the last add up to the first.
const FILES: [Column; 11] = [
    ("files", |counts| counts.planned.to_string(), false),
    ("passed", |counts| counts.passed.to_string(), false),
    ("failed", |counts| counts.failed.to_string(), false),
    ("crashed", |counts| counts.crashed.to_string(), false),
    ("timed out", |counts| counts.timed_out.to_string(), false),
    ("out of memory", |counts| counts.out_of_memory.to_string(), true),
    ("unexpected pass", |counts| counts.unexpected_passes.to_string(), true),
    ("known failure", |counts| counts.known_failures.to_string(), true),
    ("ignored", |counts| counts.ignored.to_string(), false),
    ("not run", |counts| counts.not_run.to_string(), false),
    ("pass rate", |counts| percentage(pass_rate(counts)), false),
];

const RECORDS: [Column; 5] = [
    ("records", |counts| counts.records.total().to_string(), false),
    ("passed", |counts| counts.records.passed.to_string(), false),
    ("failed", |counts| counts.records.failed.to_string(), false),
    ("skipped", |counts| counts.records.skipped.to_string(), false),
    ("pass rate", |counts| percentage(record_rate(&counts.records)), false),
];

/// Both tables: a line for each category and one for all, columns of numbers right-aligned.
///
/// The pass rate is for the files that had something to check, and for the records that ran.
pub fn by_category(summary: &Summary) -> String {
    format!("{}\n{}", table(summary, &FILES), table(summary, &RECORDS))
}

fn table(summary: &Summary, figures: &[Column]) -> String {
    let shown = figures.iter().filter(|(_, figure, optional)| !optional || figure(&summary.total) != "0");
    let shown: Vec<&Column> = shown.collect();
    let heads = ["category"].into_iter().chain(shown.iter().map(|(head, ..)| *head));
    let mut lines: Vec<Vec<String>> = vec![heads.map(str::to_owned).collect()];
    let named = summary.categories.iter().map(|(name, counts)| (name.as_str(), counts));
    for (name, counts) in named.chain([("all", &summary.total)]) {
        let figures = shown.iter().map(|(_, figure, _)| figure(counts));
        lines.push([name.to_owned()].into_iter().chain(figures).collect());
    }
    columns(&lines, |column| column > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Outcome, RecordCounts, Verdict};

    #[test]
    fn columns_line_up_and_add_up() {
        let mut failed = Outcome::new("ddl/2.test", Verdict::Failed);
        failed.records = RecordCounts { passed: 99_999, failed: 1, skipped: 2 };
        let outcomes = [
            Outcome::new("select/1.test", Verdict::Passed),
            failed,
            Outcome::new("ddl/3.test", Verdict::Crashed { how: "SIGSEGV".into() }),
            Outcome::new("ddl/4.test", Verdict::TimedOut { limit_ms: 1 }),
            Outcome::new("select/2.test", Verdict::Ignored { reason: "empty".into() }),
            Outcome::new("x.test", Verdict::NotRun { reason: "time budget".into() }),
        ];
        let summary = Summary::new(outcomes.iter().map(|outcome| (outcome.name.as_str(), 1)), &outcomes);
        insta::assert_snapshot!(by_category(&summary), @r"
        category  files  passed  failed  crashed  timed out  ignored  not run  pass rate
        .             1       0       0        0          0        0        1      0.0 %
        ddl           3       0       1        1          1        0        0      0.0 %
        select        2       1       0        0          0        1        0    100.0 %
        all           6       1       1        1          1        1        1     20.0 %

        category  records  passed  failed  skipped  pass rate
        .               0       0       0        0          -
        ddl        100002   99999       1        2     99.9 %
        select          0       0       0        0          -
        all        100002   99999       1        2     99.9 %
        ");
    }

    #[test]
    fn a_column_for_memory_is_there_when_it_is_needed() {
        let outcomes = [Outcome::new("a.test", Verdict::OutOfMemory { limit_bytes: 1 })];
        let summary = Summary::new([("a.test", 1)], &outcomes);
        assert!(by_category(&summary).contains("out of memory"));
        assert!(!by_category(&Summary::default()).contains("out of memory"));
    }
}
