//! The summary by category, as a table for a terminal.

use std::fmt::Write;

use crate::outcome::Counts;
use crate::summary::Summary;

/// The table: a line for each category and one for all, columns of numbers right-aligned.
pub fn by_category(summary: &Summary) -> String {
    let mut lines: Vec<[String; 10]> = vec![
        ["category", "files", "passed", "failed", "ignored", "not run", "records", "passed", "failed", "skipped"]
            .map(str::to_owned),
    ];
    lines.extend(summary.categories.iter().map(|(name, counts)| line(name, counts)));
    lines.push(line("all", &summary.total));
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..10).map(width).collect();
    let mut table = String::new();
    for line in &lines {
        let _ = write!(table, "{:<1$}", line[0], widths[0]);
        for (cell, width) in line.iter().zip(&widths).skip(1) {
            let _ = write!(table, "  {cell:>width$}");
        }
        table.push('\n');
    }
    table
}

fn line(name: &str, counts: &Counts) -> [String; 10] {
    let records = counts.records;
    let numbers = [
        counts.planned,
        counts.passed,
        counts.failures(),
        counts.ignored,
        counts.not_run,
        records.total(),
        records.passed,
        records.failed,
        records.skipped,
    ];
    let mut cells = numbers.iter().map(ToString::to_string);
    std::array::from_fn(|column| if column == 0 { name.to_owned() } else { cells.next().unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Outcome, Verdict};

    #[test]
    fn columns_line_up() {
        let outcomes = [Outcome::new("select/1.test", Verdict::Passed), Outcome::new("ddl/2.test", Verdict::Failed)];
        let summary = Summary::new([("select/1.test", 1), ("ddl/2.test", 1)], &outcomes);
        let expected = "\
category  files  passed  failed  ignored  not run  records  passed  failed  skipped
ddl           1       0       1        0        0        0       0       0        0
select        1       1       0        0        0        0       0       0        0
all           2       1       1        0        0        0       0       0        0
";
        assert_eq!(by_category(&summary), expected);
    }
}
