//! The punch list: a checklist of failing files, grouped by their first cause, the most frequent first.

use std::collections::BTreeMap;

use serde::Serialize;

use super::by_file::by_file;
use super::clusters::{Example, causes};
use super::words::{count, first_line, pass_rate, percentage, utc};
use crate::escape;
use crate::outcome::{Results, Verdict};

/// A punch list says what to fix, most frequent first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Punchlist {
    /// The run.
    pub run_id: String,
    /// The engine.
    pub engine: String,
    /// When the run started, in microseconds since the Unix epoch.
    pub started_us: u64,
    /// How many files fail, known failures included.
    pub failing: u64,
    /// How many of them are known to fail.
    pub known: u64,
    /// How many files were planned.
    pub planned: u64,
    /// How many files were not run, and so may fail too.
    pub not_run: u64,
    /// The percentage of the files with something to check that passed.
    pub pass_rate: Option<f64>,
    /// The scope of the run, as text; absent if it was the whole suite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The command that runs one of the files again, without the file's name at the end; empty if unknown.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub again: String,
    /// The failing files by first cause.
    pub groups: Vec<Group>,
}

/// The files with the same first cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// The cause.
    pub cause: String,
    /// The files, sorted by name.
    pub files: Vec<Item>,
}

/// A failing file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// The trial's name.
    pub name: String,
    /// The verdict.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// How many records failed.
    pub failing_records: u64,
    /// Its first failure, by which it is grouped.
    pub first: Example,
}

impl Punchlist {
    /// The failing files of a run.
    pub fn new(results: &Results) -> Self {
        let mut groups: BTreeMap<String, Vec<Item>> = BTreeMap::new();
        let (mut failing, mut known, mut not_run, mut planned) = (0, 0, 0, 0);
        for file in by_file(results) {
            let outcome = file.worst();
            planned += 1;
            not_run += u64::from(matches!(outcome.verdict, Verdict::NotRun { .. }));
            let Some((cause, failure)) = causes(outcome).into_iter().next() else { continue };
            failing += 1;
            known += u64::from(outcome.verdict.is_known_failure());
            groups.entry(cause).or_default().push(Item {
                name: file.name.to_owned(),
                verdict: outcome.verdict.clone(),
                failing_records: outcome.records.failed,
                first: Example::new(file.name, outcome, failure),
            });
        }
        let mut groups: Vec<Group> = groups.into_iter().map(|(cause, files)| Group { cause, files }).collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.files.len()));
        Punchlist {
            run_id: results.run_id.clone(),
            engine: results.engine.clone(),
            started_us: results.started_us,
            failing,
            known,
            planned,
            not_run,
            pass_rate: pass_rate(&results.total),
            scope: results.portion().map(|portion| portion.to_string()),
            again: results.again.clone(),
            groups,
        }
    }

    /// The list as one line, for the terminal.
    pub fn summary(&self) -> String {
        let not_run = match self.not_run {
            0 => String::new(),
            not_run => format!("; {not_run} not run"),
        };
        let causes = match self.groups.len() as u64 {
            0 => String::new(),
            causes => format!(", by {}", count(causes, "first cause")),
        };
        let known = match self.known {
            0 => String::new(),
            known => format!(" ({known} known to fail)"),
        };
        let scope = match &self.scope {
            Some(scope) => format!(", in a run of {}", first_line(scope, 200)),
            None => String::new(),
        };
        format!("{} failing{known} of {}{causes}{not_run}{scope}", self.failing, count(self.planned, "file"))
    }

    /// The list as Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!(
            "# Punch list\n\n{}.\nPass rate {}; run {} on {}, started {}.\n",
            self.summary(),
            percentage(self.pass_rate),
            code(&self.run_id),
            code(&self.engine),
            utc(self.started_us)
        );
        let again = format!("{} NAME", self.again);
        match self.again.is_empty() {
            _ if self.failing == 0 => {}
            true => text.push_str("To run one file again and see every record: `slt test NAME`.\n"),
            false => text.push_str(&format!("To run one file again: {}.\n", fenced(&escape::line(&again)))),
        }
        for Group { cause, files } in &self.groups {
            text.push_str(&format!("\n## {} ({})\n\n", code(cause), count(files.len() as u64, "file")));
            for item in files {
                let records = match item.failing_records {
                    0 | 1 => String::new(),
                    records => format!(", {records} failing records"),
                };
                let known = match &item.verdict {
                    Verdict::KnownFailure { reason, .. } => format!(", known ({})", code(reason)),
                    _ => String::new(),
                };
                let Example { at, message, sql } = &item.first;
                let sql = match sql.is_empty() {
                    true => String::new(),
                    false => format!("  \n      {}", code(&sql.split_whitespace().collect::<Vec<_>>().join(" "))),
                };
                text.push_str(&format!(
                    "- [ ] {}{records}{known}: {} at {}{sql}\n",
                    code(&item.name),
                    code(message),
                    code(at)
                ));
            }
        }
        text
    }
}

/// The first line of foreign text as Markdown code.
fn code(text: &str) -> String {
    fenced(&first_line(text, 200))
}

/// A text as Markdown code, whatever back-ticks it contains.
fn fenced(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let blank = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    if text.is_empty() { "(nothing)".to_owned() } else { format!("{fence}{blank}{text}{blank}{fence}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;

    #[test]
    fn the_most_frequent_cause_comes_first_and_passing_files_are_not_listed() {
        let punchlist = Punchlist::new(&samples::before());
        assert_eq!(
            (punchlist.groups[0].cause.as_str(), punchlist.groups[0].files.len()),
            ("query failed: no such table: tN", 2)
        );
        assert!(punchlist.groups.iter().flat_map(|group| &group.files).all(|item| item.verdict.is_failure()));
        assert_eq!(punchlist.known, 0);
        assert_eq!(punchlist.groups.iter().map(|group| group.files.len() as u64).sum::<u64>(), punchlist.failing);
    }

    #[test]
    fn the_punch_list_as_markdown() {
        insta::assert_snapshot!("punchlist", Punchlist::new(&samples::after()).markdown());
        let own = Results { again: "slt run --root `a` --exact".to_owned(), ..samples::after() };
        let markdown = Punchlist::new(&own).markdown();
        assert!(markdown.contains("\nTo run one file again: ``slt run --root `a` --exact NAME``.\n"), "{markdown}");
        let green = samples::results("1", 0, vec![samples::passed("a.test", 1)]);
        insta::assert_snapshot!("nothing_fails", Punchlist::new(&green).markdown());
        let known = vec![
            samples::passed("a.test", 1),
            samples::known(samples::failed("b.test", &[(3, "query failed: no such table: t2")]), "no tables yet"),
            samples::known(
                samples::ended("c.test", Verdict::TimedOut { limit_ms: 1000 }, "still running"),
                "quadratic `join`",
            ),
        ];
        insta::assert_snapshot!("known", Punchlist::new(&samples::results("1", 0, known)).markdown());
        insta::assert_snapshot!("as_json", serde_json::to_string_pretty(&Punchlist::new(&samples::before())).unwrap());
    }

    #[test]
    fn back_ticks_in_foreign_text_do_not_end_the_code() {
        assert_eq!(code("a"), "`a`");
        assert_eq!(code("no `x`"), "`` no `x` ``");
        assert_eq!(code("a ``` b"), "````a ``` b````");
    }
}
