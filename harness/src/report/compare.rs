//! Compares two runs: what broke, what was fixed, what became slower.

use std::collections::BTreeMap;

use serde::Serialize;

use super::by_file::{FileOutcomes, by_file};
use super::columns::columns;
use super::words::{count, first_line, pass_rate, percentage, time_us, utc};
use crate::outcome::{Counts, Results, Verdict};

/// A file is slower if it takes this many times as long as before …
const SLOWER_TIMES: f64 = 1.5;
/// … and this much longer, in microseconds: less than that is noise.
const SLOWER_BY_US: u64 = 100_000;

/// A comparison says what changed from one run to another; a file is in at most one of its lists.
///
/// Only files in the scope of both runs are compared. A file that one of the runs was not asked for is in no list.
///
/// Lists are sorted by name, except `slower`, where the file that lost the most time comes first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// The earlier run.
    pub before: RunHead,
    /// The later run.
    pub after: RunHead,
    /// Files that fail and did not before.
    pub newly_failing: Vec<Change>,
    /// Files that pass and did not before.
    pub newly_passing: Vec<Change>,
    /// Files that passed before and now neither pass nor fail: ignored, not run, or known to fail.
    pub no_longer_passing: Vec<Change>,
    /// Files that pass in both runs and take at least half as long again, and 0.1 s more.
    pub slower: Vec<Change>,
    /// Files that only the later run has, although they are in the scope of both.
    pub new: Vec<Change>,
    /// Files that only the earlier run has, although they are in the scope of both.
    pub gone: Vec<Change>,
    /// How many files fail in both runs.
    pub still_failing: u64,
    /// How many files of the earlier run were outside the scope of the later one.
    pub outside_after: u64,
    /// How many files of the later run were outside the scope of the earlier one.
    pub outside_before: u64,
}

/// One run as a whole, in a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunHead {
    /// The run's id.
    pub run_id: String,
    /// The engine.
    pub engine: String,
    /// When it began, in microseconds since the Unix epoch.
    pub started_us: u64,
    /// From the first claim to the last outcome, in microseconds.
    pub wall_us: u64,
    /// Files that filters left out.
    pub filtered_out: u64,
    /// The scope of the run, as text; absent if it was the whole suite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The package and the test target that made the run; empty if unknown.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// The numbers of trials by verdict; in a comparison, only of the trials that are compared.
    pub total: Counts,
}

impl RunHead {
    /// The head of a run's results.
    pub fn new(results: &Results) -> Self {
        RunHead {
            run_id: results.run_id.clone(),
            engine: results.engine.clone(),
            started_us: results.started_us,
            wall_us: results.wall_us,
            filtered_out: results.filtered_out,
            scope: results.portion().map(|portion| portion.to_string()),
            target: results.target.clone(),
            total: results.total,
        }
    }

    /// The cells of the run's line. The time is left out if the run had more files than are compared.
    fn cells(&self, side: &str, outside: u64) -> [String; 9] {
        let total = &self.total;
        [
            side.to_owned(),
            first_line(&self.run_id, 40),
            utc(self.started_us),
            first_line(&self.engine, 40),
            total.planned.to_string(),
            total.passed.to_string(),
            total.failures().to_string(),
            percentage(pass_rate(total)),
            if outside == 0 { time_us(self.wall_us) } else { "-".to_owned() },
        ]
    }
}

/// The change of one file between the two runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The trial's name.
    pub name: String,
    /// Its state in the earlier run, if it was in that run.
    pub before: Option<Standing>,
    /// Its state in the later run, if it is in that run.
    pub after: Option<Standing>,
}

/// The state of a file in one run: the worst of all passes, with the shortest time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// The verdict.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Wall time, in microseconds.
    pub wall_us: u64,
    /// The first line of the first failure, and where it is; empty if there is none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub failure: String,
}

impl Standing {
    fn new(file: &FileOutcomes<'_>) -> Self {
        let worst = file.worst();
        let failure = worst.failures.first().map(|failure| match failure.line {
            0 => first_line(&failure.message, 120),
            _ => format!("{} at {}", first_line(&failure.message, 120), failure.place()),
        });
        Standing { verdict: worst.verdict.clone(), wall_us: file.wall_us(), failure: failure.unwrap_or_default() }
    }
}

impl Comparison {
    /// Compares two runs, the earlier one first.
    pub fn new(before: &Results, after: &Results) -> Self {
        let same_suite = before.has_suite_of(after);
        let mut files: BTreeMap<&str, (Option<FileOutcomes<'_>>, Option<FileOutcomes<'_>>)> = BTreeMap::new();
        for file in by_file(before) {
            let name = file.name;
            files.entry(name).or_default().0 = Some(file);
        }
        for file in by_file(after) {
            let name = file.name;
            files.entry(name).or_default().1 = Some(file);
        }
        let mut comparison = Comparison {
            before: RunHead::new(before),
            after: RunHead::new(after),
            newly_failing: Vec::new(),
            newly_passing: Vec::new(),
            no_longer_passing: Vec::new(),
            slower: Vec::new(),
            new: Vec::new(),
            gone: Vec::new(),
            still_failing: 0,
            outside_after: 0,
            outside_before: 0,
        };
        let mut compared = [Counts::default(); 2];
        for (name, (old, new)) in files {
            match (&old, &new) {
                (Some(_), None) if !(same_suite && after.would_have_had(name)) => comparison.outside_after += 1,
                (None, Some(_)) if !(same_suite && before.would_have_had(name)) => comparison.outside_before += 1,
                _ => {
                    for (counts, file) in compared.iter_mut().zip([&old, &new]) {
                        file.iter().flat_map(|file| file.outcomes()).for_each(|outcome| {
                            counts.planned += 1;
                            counts.add(outcome);
                        });
                    }
                    comparison.add(name, old.as_ref().map(Standing::new), new.as_ref().map(Standing::new));
                }
            }
        }
        if comparison.is_partial() {
            [comparison.before.total, comparison.after.total] = compared;
        }
        let lost = |change: &Change| match (&change.before, &change.after) {
            (Some(before), Some(after)) => after.wall_us.saturating_sub(before.wall_us),
            _ => 0,
        };
        comparison.slower.sort_by_key(|change| std::cmp::Reverse(lost(change)));
        comparison
    }

    fn add(&mut self, name: &str, before: Option<Standing>, after: Option<Standing>) {
        let list = match (&before, &after) {
            (_, None) => &mut self.gone,
            (None, Some(_)) => &mut self.new,
            (Some(before), Some(after)) => {
                let (was, is) = (&before.verdict, &after.verdict);
                match (was.is_failure(), is.is_failure()) {
                    (true, true) => {
                        self.still_failing += 1;
                        return;
                    }
                    (false, true) => &mut self.newly_failing,
                    _ if is.is_pass() && !was.is_pass() => &mut self.newly_passing,
                    _ if was.is_pass() && !is.is_pass() => &mut self.no_longer_passing,
                    _ if was.is_pass() && slower(before.wall_us, after.wall_us) => &mut self.slower,
                    _ => return,
                }
            }
        };
        list.push(Change { name: name.to_owned(), before, after });
    }

    /// The comparison as text: both runs, then each list that is not empty, with at most `most` files of each.
    pub fn text(&self, most: usize) -> String {
        let titles = ["", "run", "started", "engine", "files", "passed", "failed", "pass rate", "time"];
        let before = self.before.cells("before", self.outside_after);
        let heads = [titles.map(str::to_owned), before, self.after.cells("after", self.outside_before)];
        let mut text = columns(&heads.map(Vec::from), |column| column > 3);
        text.push_str(&self.scopes());
        if self.before.engine != self.after.engine {
            text.push_str("\nThe runs are of different engines.\n");
        }
        let fails = |change: &&Change| change.after.as_ref().is_some_and(|after| after.verdict.is_failure());
        let new = match self.new.iter().filter(fails).count() {
            0 => "new".to_owned(),
            failing => format!("new ({failing} failing)"),
        };
        let lists = [
            ("newly failing", &self.newly_failing),
            ("newly passing", &self.newly_passing),
            ("no longer passing", &self.no_longer_passing),
            ("slower", &self.slower),
            (new.as_str(), &self.new),
            ("gone", &self.gone),
        ];
        for (title, changes) in lists.iter().filter(|(_, changes)| !changes.is_empty()) {
            text.push_str(&format!("\n{title}: {}\n", count(changes.len() as u64, "file")));
            let shown: Vec<Vec<String>> = changes.iter().take(most).map(cells).collect();
            text.push_str(&columns(&shown, |_| false));
            if changes.len() > most {
                text.push_str(&format!("  … and {} more\n", changes.len() - most));
            }
        }
        if lists.iter().all(|(_, changes)| changes.is_empty()) {
            text.push_str(match (self.is_partial(), self.before.total.planned) {
                (false, _) => "\nNo file changed its verdict or became slower.\n",
                (true, 0) => "\nNo file was in the scope of both runs.\n",
                (true, _) => "\nNone of these files changed its verdict or became slower.\n",
            });
        }
        if self.still_failing > 0 {
            text.push_str(&format!("\nfailing in both: {}\n", count(self.still_failing, "file")));
        }
        text
    }
}

impl Comparison {
    /// Whether files of one run were outside the scope of the other.
    pub fn is_partial(&self) -> bool {
        self.outside_before + self.outside_after > 0
    }

    /// The targets of the two runs, if they differ; and the scopes, with the number of files that are not compared, if any.
    fn scopes(&self) -> String {
        let mut text = String::new();
        if !self.before.target.is_empty() && !self.after.target.is_empty() && self.before.target != self.after.target {
            let (before, after) = (first_line(&self.before.target, 80), first_line(&self.after.target, 80));
            text.push_str(&format!("\nThe runs are of different test targets: {before} and {after}.\n"));
        }
        if self.is_partial() {
            let whole = |head: &RunHead| head.scope.clone().unwrap_or_else(|| "the whole suite".to_owned());
            let left = |number: u64| match number {
                0 => String::new(),
                number => format!("; {} of it not compared", count(number, "file")),
            };
            text.push_str(&format!(
                "\nOnly files in the scope of both runs are compared.\n  before  {}{}\n  after   {}{}\n",
                first_line(&whole(&self.before), 200),
                left(self.outside_after),
                first_line(&whole(&self.after), 200),
                left(self.outside_before),
            ));
        }
        text
    }
}

fn slower(before_us: u64, after_us: u64) -> bool {
    after_us >= before_us + SLOWER_BY_US && after_us as f64 >= before_us as f64 * SLOWER_TIMES
}

/// A change as cells: the name, what changed, and the failure, if it fails now.
fn cells(change: &Change) -> Vec<String> {
    let what = match (&change.before, &change.after) {
        (Some(before), Some(after)) if before.verdict == after.verdict => {
            format!("{} → {}", time_us(before.wall_us), time_us(after.wall_us))
        }
        (Some(before), Some(after)) => format!("{} → {}", before.verdict, after.verdict),
        (Some(standing), None) | (None, Some(standing)) => standing.verdict.to_string(),
        (None, None) => String::new(),
    };
    let failure = change.after.as_ref().map(|after| after.failure.clone()).unwrap_or_default();
    vec![format!("  {}", first_line(&change.name, usize::MAX)), first_line(&what, 120), failure]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Outcome, Scope};
    use crate::report::samples;
    use crate::suite::Filter;

    fn names(changes: &[Change]) -> Vec<&str> {
        changes.iter().map(|change| change.name.as_str()).collect()
    }

    #[test]
    fn each_file_is_in_the_list_of_what_became_of_it() {
        let comparison = Comparison::new(&samples::before(), &samples::after());
        assert_eq!(names(&comparison.newly_failing), ["joins/outer.test", "select/3.test"]);
        assert_eq!(names(&comparison.newly_passing), ["select/4.test"]);
        assert_eq!(names(&comparison.no_longer_passing), ["index/late.test"]);
        assert_eq!(names(&comparison.slower), ["random/slow.test"]);
        assert_eq!(names(&comparison.new), ["ddl/new.test", "evidence/flaky.test"]);
        assert_eq!(names(&comparison.gone), ["ddl/old.test"]);
        assert_eq!(comparison.still_failing, 4);
    }

    #[test]
    fn the_comparison_as_text() {
        insta::assert_snapshot!(Comparison::new(&samples::before(), &samples::after()).text(50));
        let mut other = samples::after();
        other.engine = "duckdb".into();
        let filter =
            Filter { patterns: ["select/1", "select/2", "gone"].map(str::to_owned).into(), ..Filter::default() };
        other.scope = Some(Scope { roots: vec!["tests/corpus".into()], suite: Some(13), filter });
        other.outcomes.truncate(2);
        let (total, categories) = other.count();
        other = Results { total, categories, ..other };
        insta::assert_snapshot!("filtered_on_another_engine", Comparison::new(&samples::before(), &other).text(2));
        insta::assert_snapshot!("unchanged", Comparison::new(&other, &other).text(50));
    }

    #[test]
    fn a_run_of_one_file_says_nothing_of_the_others() {
        let scope = |patterns: &[&str], root: &str| {
            let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
            let suite = patterns.is_empty().then_some(12);
            let filter = Filter { exact: !patterns.is_empty(), patterns, ..Filter::default() };
            Some(Scope { roots: vec![root.into()], suite, filter })
        };
        let whole = Results { scope: scope(&[], "tests"), ..samples::before() };
        let one = samples::results("1", 0, vec![samples::failed("select/1.test", &[(7, "query failed")])]);
        let one = Results { scope: scope(&["select/1.test"], "tests"), ..one };
        let forward = Comparison::new(&whole, &one);
        assert_eq!((names(&forward.newly_failing), names(&forward.gone)), (vec!["select/1.test"], vec![]));
        assert_eq!((forward.outside_after, forward.outside_before), (11, 0));
        // The totals count only files that are compared.
        assert_eq!((forward.before.total.planned, forward.before.total.passed, forward.after.total.failed), (1, 1, 1));
        let text = forward.text(50);
        assert!(text.contains("after   1 file (whole name: `select/1.test`)\n"), "{text}");
        assert!(text.contains("before  the whole suite; 11 files of it not compared\n"), "{text}");
        let back = Comparison::new(&one, &whole);
        assert_eq!((names(&back.newly_passing), names(&back.new)), (vec!["select/1.test"], vec![]));
        assert_eq!((back.outside_after, back.outside_before), (0, 11));
        let other = samples::results("2", 0, vec![samples::passed("select/2.test", 1)]);
        let other = Results { scope: scope(&["select/2.test"], "tests"), ..other };
        let nothing = Comparison::new(&one, &other).text(50);
        assert!(nothing.contains("No file was in the scope of both runs.\n"), "{nothing}");
        // A file that the filter names and that no longer exists is gone.
        let none = Results { outcomes: Vec::new(), ..one.clone() };
        assert_eq!(names(&Comparison::new(&whole, &none).gone), ["select/1.test"]);
        // The files of another suite are neither new nor gone.
        let other = Results { scope: scope(&[], "other"), ..samples::after() };
        let other = Comparison::new(&whole, &other);
        assert_eq!((other.new.len(), other.gone.len(), other.outside_after, other.outside_before), (0, 0, 1, 2));
    }

    #[test]
    fn a_difference_that_may_be_noise_is_not_slower() {
        assert!(!slower(1_000, 90_000) && !slower(1_000_000, 1_400_000));
        assert!(slower(200_000, 300_000) && slower(0, 100_000));
    }

    #[test]
    fn a_file_that_was_unstable_counts_by_its_worst_pass() {
        let stable = Results { outcomes: vec![Outcome::new("a.test", Verdict::Passed)], ..Results::default() };
        let mut unstable = stable.clone();
        unstable.outcomes.push(Outcome { pass: 2, ..Outcome::new("a.test", Verdict::Failed) });
        assert_eq!(names(&Comparison::new(&stable, &unstable).newly_failing), ["a.test"]);
        assert_eq!(names(&Comparison::new(&unstable, &stable).newly_passing), ["a.test"]);
    }
}
