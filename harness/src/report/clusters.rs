//! Groups failures by cause, to show what to fix first.
//!
//! A cause is the first line of a message without the parts that vary: quoted names, numbers, hashes and paths. A syntax
//! error keeps the keywords that it quotes. For wrong results it says how they differ. Causes only group failures; no
//! verdict depends on them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde::Serialize;

use super::by_file::by_file;
use super::columns::columns;
use super::words::{count, first_line, percent, percentage};
use crate::outcome::{CutShort, Failure, Outcome, Results, Verdict};

/// How many characters of a message belong to its cause.
const MOST: usize = 160;

/// A cluster is all failures with one cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cluster {
    /// The cause.
    pub cause: String,
    /// The files with such a failure, sorted.
    pub files: Vec<String>,
    /// How many of these files have no failure with another cause, as far as failures were kept.
    pub frees: u64,
    /// How many failing records have this cause, as far as failures were kept.
    pub records: u64,
    /// The first failure of this cause, in the first file.
    pub example: Example,
}

/// One failure of a cluster, as in the results.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Example {
    /// `file:line`, or only the file if the failure concerns all of it.
    pub at: String,
    /// The first line of the message.
    pub message: String,
    /// The SQL; empty if there was none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sql: String,
}

/// What to fix first: causes, each with the gain once it and those before it are fixed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fix {
    /// The cause.
    pub cause: String,
    /// How many files have no other remaining failure.
    pub frees: u64,
    /// How many files still fail after that.
    pub left: u64,
    /// The first failure of this cause.
    pub example: Example,
}

/// Clusters are the failures of a run by cause, the cause with the most files first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Clusters {
    /// How many files fail, known failures included.
    pub failing: u64,
    /// How many of them are known to fail.
    pub known: u64,
    /// How many files had something to check.
    pub checked: u64,
    /// How many failing records are counted under their file's other failures, because their own texts were not kept.
    pub unseen: u64,
    /// The clusters.
    pub clusters: Vec<Cluster>,
}

/// The causes of an outcome's failures, each with the failure, in file order; empty if it does not fail.
pub fn causes(outcome: &Outcome) -> Vec<(String, Option<&Failure>)> {
    if !outcome.verdict.is_failure() && !outcome.verdict.is_known_failure() {
        return Vec::new();
    }
    // If the file crashed its process, or was stopped, the last failure is the record at fault.
    let end = match &outcome.verdict {
        Verdict::Crashed { how } => Some(normal(&format!("crashed ({how})"))),
        Verdict::TimedOut { .. } => Some("timed out".to_owned()),
        Verdict::OutOfMemory { .. } => Some("out of memory".to_owned()),
        Verdict::KnownFailure { was, .. } if was != "FAILED" => {
            let limit = ["timed out", "out of memory"].into_iter().find(|words| was.starts_with(words));
            Some(limit.map_or_else(|| normal(was), str::to_owned))
        }
        _ => None,
    };
    // A remark of the list of known failures about the whole file is not the cause of its records' failures.
    let failures = match outcome.failures.as_slice() {
        [remark, records @ ..] if remark.line == 0 && !records.is_empty() => records,
        failures => failures,
    };
    let others = failures.len() - usize::from(end.is_some()).min(failures.len());
    let (before, last) = failures.split_at(others);
    let mut causes: Vec<_> = before.iter().map(|failure| (cause(failure), Some(failure))).collect();
    // Nothing after a syntax error runs, so it is the last failure.
    let ending = causes.last_mut().filter(|(_, failure)| failure.is_some_and(|failure| failure.sql.is_empty()));
    if let (Some(CutShort::SyntaxError), Some((cause, Some(failure)))) = (outcome.cut_short, ending) {
        *cause = syntax_error(&failure.message);
    }
    match end {
        // The failure that ended the file comes first: nothing after it was checked.
        Some(end) => causes.insert(0, (end, last.first())),
        None if causes.is_empty() && matches!(outcome.verdict, Verdict::UnexpectedPass { .. }) => {
            causes.push(("unexpected pass of a known failure".to_owned(), None));
        }
        None if causes.is_empty() => causes.push((normal(&outcome.verdict.to_string()), None)),
        None => {}
    }
    causes
}

/// How a message about a command's output begins.
const OUTPUT: &str = "the command printed something else";

/// The cause of one failure.
fn cause(failure: &Failure) -> String {
    if let (Some(expected), Some(actual)) = (&failure.expected, &failure.actual) {
        // The message says how many rows differ and in which columns, and that varies.
        let head = match failure.message.starts_with(OUTPUT) {
            true => OUTPUT,
            false => "query result mismatch",
        };
        return format!("{head}: {}", difference(expected, actual));
    }
    // If an error is not the expected one, the second line has its text.
    match failure.message.split_once("\n  actual:") {
        Some((head, actual)) => normal(&format!("{}: {}", first_line(head, MOST), first_line(actual, MOST))),
        None => normal(&failure.message),
    }
}

/// How results differ.
fn difference(expected: &str, actual: &str) -> &'static str {
    let (mut wanted, mut got): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), actual.lines().collect());
    if [&wanted, &got].iter().any(|lines| lines.len() == 1 && lines[0].contains(" values hashing to ")) {
        return "another hash";
    }
    match wanted.len().cmp(&got.len()) {
        _ if got.is_empty() => return "no rows where some are expected",
        _ if wanted.is_empty() => return "rows where none are expected",
        std::cmp::Ordering::Less => return "too many rows",
        std::cmp::Ordering::Greater => return "too few rows",
        std::cmp::Ordering::Equal => {}
    }
    let pairs = || wanted.iter().zip(&got).filter(|(wanted, got)| wanted != got);
    let number = |text: &str| text.parse::<f64>().is_ok();
    if pairs().all(|(_, got)| *got == "NULL") {
        return "NULL where a value is expected";
    }
    if pairs().all(|(wanted, _)| *wanted == "NULL") {
        return "a value where NULL is expected";
    }
    let all_numbers = pairs().all(|(wanted, got)| number(wanted) && number(got));
    let same_numbers = pairs().all(|(wanted, got)| wanted.parse::<f64>().ok() == got.parse::<f64>().ok());
    wanted.sort_unstable();
    got.sort_unstable();
    match (wanted == got, all_numbers, same_numbers) {
        (true, ..) => "another order",
        (_, true, true) => "numbers written differently",
        (_, true, false) => "other numbers",
        _ => "other values",
    }
}

/// The cause of a syntax error: its message with the keywords that it quotes, and without the text of the script.
fn syntax_error(message: &str) -> String {
    let shown = |before: &str, name: &str| {
        let part = before.rsplit([';', ':', ',', '(']).next().unwrap_or_default();
        let is_of_the_script = before.ends_with("not ") || part.trim_start().starts_with("unknown ");
        if is_of_the_script { NAME.to_owned() } else { name.to_owned() }
    };
    format!("syntax error: {}", without_particulars(message, shown))
}

/// The first line of a message without the parts that vary.
fn normal(message: &str) -> String {
    without_particulars(message, |_, _| NAME.to_owned())
}

/// What a cause shows for a quoted name.
const NAME: &str = "'…'";

/// The first line of a message without hashes, paths and numbers. `shown` replaces each quoted name; it gets the text before
/// the name, and the name.
fn without_particulars(message: &str, shown: impl Fn(&str, &str) -> String) -> String {
    static PARTICULARS: LazyLock<Regex> = LazyLock::new(|| {
        let names = r#"(?<name>"[^"]*"|`[^`]*`|\B'[^']*'\B)"#;
        let hex = r"(?<hex>\b0[xX][0-9a-fA-F]+\b|\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{32}\b)";
        let path = r"(?<path>(?:/[\w.+-]+){2,})";
        let number = r"(?<number>\d+(\.\d+)?([eE][+-]?\d+)?)";
        Regex::new(&[names, hex, path, number].join("|")).expect("the pattern is sound")
    });
    let line = first_line(message, MOST);
    let text = PARTICULARS.replace_all(&line, |found: &Captures<'_>| {
        if let Some(name) = found.name("name") {
            return shown(&line[..name.start()], name.as_str());
        }
        let kinds = [("hex", "<hex>"), ("path", "<path>")];
        kinds.into_iter().find(|(kind, _)| found.name(kind).is_some()).map_or("N", |(_, shown)| shown).to_owned()
    });
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Clusters {
    /// The failures of a run by cause; if a file failed in several passes, those of the first.
    pub fn new(results: &Results) -> Self {
        let mut clusters: BTreeMap<String, Cluster> = BTreeMap::new();
        let mut all = Clusters::default();
        for file in by_file(results) {
            let outcome = file.worst();
            let known = outcome.verdict.is_known_failure();
            all.checked += u64::from(outcome.verdict.is_failure() || outcome.verdict.is_pass() || known);
            all.known += u64::from(known);
            let causes = causes(outcome);
            let Some((first, _)) = causes.first() else { continue };
            all.failing += 1;
            let alone = causes.iter().all(|(cause, _)| cause == first);
            let unseen = outcome.records.failed.saturating_sub(causes.len() as u64);
            all.unseen += unseen;
            let first = first.clone();
            for (cause, failure) in causes {
                let cluster = clusters.entry(cause).or_insert_with_key(|cause| Cluster {
                    cause: cause.clone(),
                    files: Vec::new(),
                    frees: 0,
                    records: 0,
                    example: Example::new(file.name, outcome, failure),
                });
                cluster.records += 1;
                if cluster.files.last().is_none_or(|last| last != file.name) {
                    cluster.files.push(file.name.to_owned());
                    cluster.frees += u64::from(alone);
                }
            }
            if let Some(cluster) = clusters.get_mut(&first) {
                cluster.records += unseen;
            }
        }
        all.clusters = clusters.into_values().collect();
        all.clusters.sort_by_key(|c| std::cmp::Reverse((c.files.len(), c.frees, c.records)));
        all
    }

    /// The causes to fix first, at most `most`: each frees the most files next.
    pub fn top_fixes(&self, most: usize) -> Vec<Fix> {
        let mut causes_of: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
        for (index, cluster) in self.clusters.iter().enumerate() {
            for file in &cluster.files {
                causes_of.entry(file).or_default().insert(index);
            }
        }
        let mut fixes = Vec::new();
        while fixes.len() < most && !causes_of.is_empty() {
            let mut frees = vec![(0_u64, 0_u64); self.clusters.len()];
            for causes in causes_of.values() {
                for cause in causes {
                    frees[*cause].0 += u64::from(causes.len() == 1);
                    frees[*cause].1 += 1;
                }
            }
            // Among equals the first, which has the most files in total.
            let best = (0..frees.len()).max_by_key(|index| (frees[*index], std::cmp::Reverse(*index)));
            let Some(best) = best else { break };
            causes_of.retain(|_, causes| {
                causes.remove(&best);
                !causes.is_empty()
            });
            let Cluster { cause, example, .. } = self.clusters[best].clone();
            fixes.push(Fix { cause, frees: frees[best].0, left: causes_of.len() as u64, example });
        }
        fixes
    }

    /// All clusters as text.
    pub fn text(&self) -> String {
        if self.clusters.is_empty() {
            return "No file fails: there is nothing to sort by cause.\n".to_owned();
        }
        let causes = count(self.clusters.len() as u64, "cause");
        let mut text = format!("{}, by {causes}.\n\n", self.extent());
        let rows = self.clusters.iter().map(|cluster| {
            let numbers = [cluster.files.len() as u64, cluster.frees, cluster.records].map(|n| n.to_string());
            (numbers.to_vec(), cluster.cause.clone(), &cluster.example)
        });
        text.push_str(&laid_out(&["files", "frees", "records"], rows.collect()));
        text.push_str("\nfiles: have such a failure; frees: have no other; records: failing records of this cause.\n");
        text.push_str(&self.doubt());
        text
    }

    /// The causes to fix first, as text.
    pub fn top_fixes_text(&self, most: usize) -> String {
        let fixes = self.top_fixes(most);
        if fixes.is_empty() {
            return "No file fails: there is nothing to fix.\n".to_owned();
        }
        let mut text = format!("{}. What to fix first:\n\n", self.extent());
        let rows = fixes.iter().enumerate().map(|(index, fix)| {
            let rate = percentage(percent(self.checked - fix.left, self.checked));
            (vec![(index + 1).to_string(), fix.frees.to_string(), rate], fix.cause.clone(), &fix.example)
        });
        text.push_str(&laid_out(&["", "frees", "pass rate"], rows.collect()));
        text.push_str(
            "\nfrees: files that pass once this cause and those above it are fixed; pass rate: after that.\n",
        );
        text.push_str(&self.doubt());
        text
    }

    fn extent(&self) -> String {
        let known = match self.known {
            0 => String::new(),
            known => format!(", {known} of them known to fail"),
        };
        format!("{} of {} checked{known}", count(self.failing, "failing file"), self.checked)
    }

    /// A remark about failing records whose own texts were not kept; empty if there are none.
    fn doubt(&self) -> String {
        match self.unseen {
            0 => String::new(),
            unseen => format!(
                "Of each file the first failures are kept; the cause of {} is taken to be that of their file's first.\n",
                count(unseen, "more failing record")
            ),
        }
    }
}

/// Lays out rows of numbers, each with its cause and, below it, an example.
fn laid_out(titles: &[&str], rows: Vec<(Vec<String>, String, &Example)>) -> String {
    let mut lines = vec![titles.iter().chain(&["cause"]).map(ToString::to_string).collect::<Vec<_>>()];
    for (mut figures, cause, example) in rows {
        let mut below = vec![String::new(); figures.len()];
        figures.push(cause);
        lines.push(figures);
        below.push(format!("  {}: {}", example.at, example.message));
        lines.push(below);
    }
    columns(&lines, |column| column < titles.len())
}

impl Example {
    /// An example from a failure of an outcome; without a failure, from the verdict.
    pub fn new(name: &str, outcome: &Outcome, failure: Option<&Failure>) -> Self {
        let Some(failure) = failure else {
            let message = first_line(&outcome.verdict.to_string(), MOST);
            return Example { at: first_line(name, usize::MAX), message, sql: String::new() };
        };
        let file = first_line(&failure.file, usize::MAX);
        Example {
            at: Failure { file, ..failure.clone() }.place(),
            message: first_line(&failure.message, MOST),
            sql: failure.sql.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;

    #[test]
    fn messages_that_differ_in_details_have_one_cause() {
        for (a, b, cause) in [
            ("no such table: t1", "no such table: t23", "no such table: tN"),
            ("near \"FROM\": syntax error", "near \"))\": syntax error", "near '…': syntax error"),
            ("type 'INT' isn't known", "type 'BIGINT' isn't known", "type '…' isn't known"),
            ("at line 3, column 17", "at line 10, column 2", "at line N, column N"),
            ("got 1.5e-3 at 0xFF", "got 7 at 0x00", "got N at <hex>"),
            ("cannot open /tmp/a1/b.db: busy", "cannot open /var/tmp/c: busy", "cannot open <path>: busy"),
            ("no `x`\nLINE 1: SELECT x", "no `y`\nLINE 1: SELECT y", "no '…'"),
        ] {
            assert_eq!((normal(a).as_str(), normal(b).as_str()), (cause, cause));
        }
    }

    #[test]
    fn a_syntax_error_keeps_the_keywords_that_it_quotes() {
        for (message, cause) in [
            ("`statement` needs `ok` or `error`, not `okay`", "`statement` needs `ok` or `error`, not '…'"),
            ("unknown directive `statment` (a `.test` file knows …)", "unknown directive '…' (a `.test` file knows …)"),
            ("unknown column letter `X` in `IX`: I, R or T", "unknown column letter '…' in '…': I, R or T"),
            ("`load` inside the `loop` of line 7", "`load` inside the `loop` of line N"),
        ] {
            let mut outcome = samples::failed("a.test", &[(1, "query failed: no such table: t1"), (7, message)]);
            outcome.failures[1].sql.clear();
            outcome.cut_short = Some(CutShort::SyntaxError);
            let found: Vec<String> = causes(&outcome).into_iter().map(|(cause, _)| cause).collect();
            assert_eq!(found, ["query failed: no such table: tN".to_owned(), format!("syntax error: {cause}")]);
        }
    }

    #[test]
    fn results_are_sorted_by_how_they_differ() {
        for (expected, actual, words) in [
            ("1\n2", "2\n1", "another order"),
            ("1\n2", "1", "too few rows"),
            ("1", "1\n2", "too many rows"),
            ("1", "", "no rows where some are expected"),
            ("", "1", "rows where none are expected"),
            ("1\n2", "1\nNULL", "NULL where a value is expected"),
            ("NULL", "2", "a value where NULL is expected"),
            ("1.0", "1.00", "numbers written differently"),
            ("1.0", "1.01", "other numbers"),
            ("a", "1", "other values"),
            ("3 values hashing to c0710d6b4f15dfa88f600b0e6b624077", "1\n2\n3", "another hash"),
        ] {
            assert_eq!(difference(expected, actual), words, "{expected:?} {actual:?}");
        }
    }

    #[test]
    fn a_file_with_two_causes_is_not_freed_by_one_fix() {
        let clusters = Clusters::new(&samples::after());
        let of = |cause: &str| clusters.clusters.iter().find(|cluster| cluster.cause.ends_with(cause)).unwrap();
        let tables = of("no such table: tN");
        assert_eq!(tables.files, ["index/a.test", "select/2.test", "select/3.test"]);
        assert_eq!((tables.frees, tables.records, of("median").frees), (2, 3, 0));
        let fixes = clusters.top_fixes(usize::MAX);
        assert_eq!(fixes.last().unwrap().left, 0);
        assert_eq!(fixes.iter().map(|fix| fix.frees).sum::<u64>(), clusters.failing);
    }

    #[test]
    fn failures_whose_texts_were_not_kept_are_counted() {
        let mut outcome = samples::failed("a.test", &[(1, "no such table: t1")]);
        outcome.records.failed = 40;
        let clusters = Clusters::new(&samples::results("1", 0, vec![outcome]));
        assert_eq!((clusters.clusters[0].records, clusters.unseen), (40, 39));
        insta::assert_snapshot!("unseen", clusters.text());
    }

    #[test]
    fn known_failures_are_still_to_be_fixed() {
        let (table, limit) = ("query failed: no such table: t1", Verdict::TimedOut { limit_ms: 1000 });
        let mut partly_new = samples::failed("d.test", &[(0, "failing, but not known to fail: line 9"), (9, table)]);
        partly_new.records.failed = 1;
        let unexpected = Verdict::UnexpectedPass { reason: "no joins".into() };
        let clusters = Clusters::new(&samples::results(
            "1",
            0,
            vec![
                samples::passed("a.test", 1),
                samples::known(samples::failed("b.test", &[(3, table)]), "no tables yet"),
                samples::known(samples::ended("c.test", limit, "still running"), "slow"),
                partly_new,
                Outcome::new("e.test", unexpected),
            ],
        ));
        assert_eq!((clusters.failing, clusters.known, clusters.checked), (4, 2, 5));
        let files = |cause: &str| -> Vec<&str> {
            let of = clusters.clusters.iter().find(|cluster| cluster.cause == cause);
            of.map(|cluster| cluster.files.iter().map(String::as_str).collect()).unwrap_or_default()
        };
        assert_eq!(files("query failed: no such table: tN"), ["b.test", "d.test"]);
        assert_eq!((files("timed out"), files("unexpected pass of a known failure")), (vec!["c.test"], vec!["e.test"]));
        assert!(clusters.text().starts_with("4 failing files of 5 checked, 2 of them known to fail, by 3 causes.\n"));
    }

    #[test]
    fn clusters_as_text() {
        let clusters = Clusters::new(&samples::after());
        insta::assert_snapshot!("clusters", clusters.text());
        insta::assert_snapshot!("top_fixes", clusters.top_fixes_text(10));
        let green = Clusters::new(&samples::results("1", 0, vec![samples::passed("a.test", 1)]));
        insta::assert_snapshot!("nothing_to_fix", green.text() + &green.top_fixes_text(10));
    }
}
