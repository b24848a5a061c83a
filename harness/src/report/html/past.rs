//! The verdicts of each file in the last runs.

use std::collections::HashMap;

use maud::{Markup, html};

use super::{KINDS, kind};
use crate::outcome::Results;
use crate::report::by_file::by_file;

/// How many runs before this one are shown.
pub(super) const MOST_RUNS: usize = 10;

/// The verdicts of each file in the last runs and in this one, the oldest first: an index into [`KINDS`], or `None` if the file
/// was not in the run.
#[derive(Debug, Default)]
pub(super) struct Past<'r> {
    files: HashMap<&'r str, Vec<Option<usize>>>,
}

impl<'r> Past<'r> {
    /// The verdicts of the files of `results`, and those in `runs`, if they are earlier runs of the same suite on the same
    /// engine.
    pub(super) fn new(results: &'r Results, runs: &'r [Results]) -> Past<'r> {
        let is_earlier = |run: &&Results| {
            run.engine == results.engine
                && run.shard == results.shard
                && run.run_id != results.run_id
                && run.started_us < results.started_us
                && run.has_suite_of(results)
        };
        let mut runs: Vec<&Results> = runs.iter().filter(is_earlier).collect();
        runs.sort_by_key(|run| run.started_us);
        let runs = &runs[runs.len().saturating_sub(MOST_RUNS)..];
        if runs.is_empty() {
            return Past::default();
        }
        let mut files: HashMap<&str, Vec<Option<usize>>> = HashMap::new();
        for (index, run) in runs.iter().chain(&[results]).enumerate() {
            for file in by_file(run) {
                let verdicts = files.entry(file.name).or_insert_with(|| vec![None; runs.len() + 1]);
                verdicts[index] = Some(kind(&file.worst().verdict).0);
            }
        }
        Past { files }
    }

    /// The verdicts of a file; empty if there are no earlier runs.
    fn of(&self, name: &str) -> &[Option<usize>] {
        self.files.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether a file was flaky in one of these runs, passed between two failures, or failed between two passing runs.
    pub(super) fn is_flaky(&self, name: &str) -> bool {
        let name_of = |kind: &usize| KINDS[*kind].0;
        let known = self.of(name).iter().flatten();
        let mut last = None;
        let mut turns = 0;
        for kind in known {
            let passes = match name_of(kind) {
                "flaky" => return true,
                "passed" => true,
                "failed" | "crashed" | "timed-out" | "out-of-memory" | "unexpected-pass" => false,
                _ => continue,
            };
            turns += u32::from(last.replace(passes).is_some_and(|last| last != passes));
        }
        turns > 1
    }

    /// The verdicts of a file as text for the page's script: a digit for each run, `-` if the file was not in it.
    pub(super) fn digits(&self, name: &str) -> String {
        let digit = |kind: &Option<usize>| kind.map_or_else(|| "-".to_owned(), |kind| kind.to_string());
        self.of(name).iter().map(digit).collect()
    }

    /// A mark for each run, and the same in words.
    pub(super) fn marks(&self, name: &str) -> Markup {
        let verdicts = self.of(name);
        let word = |kind: &Option<usize>| kind.map_or("not in the run", |kind| KINDS[kind].1);
        let words: Vec<&str> = verdicts.iter().map(word).collect();
        html! {
            @if !verdicts.is_empty() {
                span .past role="img" aria-label={ "Last runs: " (words.join(", ")) } title={ "Last runs: " (words.join(", ")) } {
                    @for verdict in verdicts { span class={ "dot " (verdict.map_or("absent", |kind| KINDS[kind].0)) } {} }
                }
            }
            @if self.is_flaky(name) { span .badge.flaky { "flaky" } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples::{failed, passed, results};

    #[test]
    fn a_file_that_turns_back_is_flaky() {
        let run = |id: &str, at: u64, passes: bool| {
            let a = if passes { passed("a.test", 1) } else { failed("a.test", &[(1, "m")]) };
            results(id, at, vec![a, failed("b.test", &[(1, "m")])])
        };
        let last = run("4", 40, true);
        let runs = [run("1", 10, true), run("2", 20, false), run("3", 30, true)];
        let past = Past::new(&last, &runs);
        assert_eq!((past.digits("a.test"), past.is_flaky("a.test")), ("7077".to_owned(), true));
        assert_eq!((past.digits("b.test"), past.is_flaky("b.test")), ("0000".to_owned(), false));
        assert_eq!(past.digits("c.test"), "");
        // A file that was fixed is not flaky, and runs on another engine or after this one do not count.
        let mut other = run("5", 5, false);
        other.engine = "other".to_owned();
        let runs = [other, run("2", 20, false), run("6", 60, false)];
        let past = Past::new(&last, &runs);
        assert_eq!((past.digits("a.test"), past.is_flaky("a.test")), ("07".to_owned(), false));
        let marks = past.marks("a.test").into_string();
        assert!(marks.contains("Last runs: failed, passed"), "{marks}");
    }
}
