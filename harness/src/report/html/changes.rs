//! Two runs held against each other, for people who want to know what broke.

use std::collections::{BTreeMap, HashMap};

use super::words::time;
use super::{KINDS, kind};
use crate::outcome::{Outcome, Results};

/// A file counts as slower from this much more time on, in microseconds, …
const LEAST_GAIN_US: u64 = 100_000;

/// … if it also took this many times as long.
const LEAST_FACTOR: f64 = 1.5;

/// Changes are what became of files since an earlier run, each list in the order of what matters most.
#[derive(Debug, Default)]
pub(super) struct Changes<'r> {
    /// Fails, and did not fail then.
    pub newly_failing: Vec<Change<'r>>,
    /// Passes, and failed then.
    pub newly_passing: Vec<Change<'r>>,
    /// Was checked then, and is not there, not run or ignored.
    pub unchecked: Vec<Change<'r>>,
    /// Passed both times, and took noticeably longer.
    pub slower: Vec<Change<'r>>,
}

/// A change is one file and what became of it, in words.
#[derive(Debug)]
pub(super) struct Change<'r> {
    pub name: &'r str,
    pub detail: String,
    /// Whether the file is in the later run.
    pub present: bool,
}

impl<'r> Changes<'r> {
    pub(super) fn between(before: &'r Results, after: &'r Results) -> Changes<'r> {
        let then: HashMap<&str, &Outcome> = by_name(before).into_iter().collect();
        let now = by_name(after);
        let mut changes = Changes::default();
        let mut slower: Vec<(u64, Change)> = Vec::new();
        for (&name, &outcome) in &now {
            let old = then.get(name).copied();
            let change = |detail| Change { name, detail, present: true };
            let failed_then = old.is_some_and(|old| old.verdict.is_failure());
            let (passes, fails) = (outcome.verdict.is_pass(), outcome.verdict.is_failure());
            match old {
                _ if fails && !failed_then => {
                    changes.newly_failing.push(change(arrow(old, outcome)));
                }
                Some(old) if passes && failed_then => changes.newly_passing.push(change(arrow(Some(old), outcome))),
                Some(old) if !passes && !fails && (old.verdict.is_pass() || failed_then) => {
                    changes.unchecked.push(change(arrow(Some(old), outcome)));
                }
                Some(old) if passes && old.verdict.is_pass() => {
                    let gain = outcome.wall_us.saturating_sub(old.wall_us);
                    if gain >= LEAST_GAIN_US && outcome.wall_us as f64 >= old.wall_us as f64 * LEAST_FACTOR {
                        let detail = format!("{} → {}", time(old.wall()), time(outcome.wall()));
                        slower.push((gain, change(detail)));
                    }
                }
                _ => {}
            }
        }
        // Files that were filtered out were left out on purpose.
        if after.filtered_out == 0 {
            let gone = by_name(before)
                .into_iter()
                .filter(|(name, old)| !now.contains_key(name) && (old.verdict.is_pass() || old.verdict.is_failure()));
            changes.unchecked.extend(gone.map(|(name, old)| Change {
                name,
                detail: format!("{} → not there", KINDS[kind(&old.verdict).0].1),
                present: false,
            }));
        }
        slower.sort_by_key(|(gain, _)| std::cmp::Reverse(*gain));
        changes.slower = slower.into_iter().map(|(_, change)| change).collect();
        changes
    }

    pub(super) fn is_empty(&self) -> bool {
        [&self.newly_failing, &self.newly_passing, &self.unchecked, &self.slower].iter().all(|list| list.is_empty())
    }
}

/// One outcome for each name: of several passes one that failed, else one that was run, else any.
fn by_name(results: &Results) -> BTreeMap<&str, &Outcome> {
    let rank = |outcome: &Outcome| (outcome.verdict.is_failure(), outcome.verdict.is_pass());
    let mut names: BTreeMap<&str, &Outcome> = BTreeMap::new();
    for outcome in &results.outcomes {
        let kept = names.entry(&outcome.name).or_insert(outcome);
        if rank(outcome) > rank(kept) {
            *kept = outcome;
        }
    }
    names
}

fn arrow(old: Option<&Outcome>, new: &Outcome) -> String {
    let word = |outcome: &Outcome| KINDS[kind(&outcome.verdict).0].1;
    format!("{} → {}", old.map_or("new", word), word(new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Verdict;

    fn run(outcomes: Vec<(&str, Verdict, u64)>) -> Results {
        let outcome = |(name, verdict, wall_us)| Outcome { wall_us, ..Outcome::new(name, verdict) };
        Results { outcomes: outcomes.into_iter().map(outcome).collect(), ..Results::default() }
    }

    fn told(changes: &[Change]) -> Vec<String> {
        changes.iter().map(|change| format!("{}: {}", change.name, change.detail)).collect()
    }

    #[test]
    fn each_change_is_in_the_list_it_belongs_to() {
        let ignored = || Verdict::Ignored { reason: "0 of 3 records apply".into() };
        let before = run(vec![
            ("same", Verdict::Passed, 100_000),
            ("broke", Verdict::Passed, 1),
            ("mended", Verdict::Failed, 1),
            ("still broken", Verdict::Failed, 1),
            ("slow", Verdict::Passed, 1_000_000),
            ("hardly slower", Verdict::Passed, 1_000_000),
            ("skipped", Verdict::Failed, 1),
            ("gone", Verdict::Passed, 1),
            ("never checked", ignored(), 1),
        ]);
        let after = run(vec![
            ("same", Verdict::Passed, 110_000),
            ("broke", Verdict::Crashed { how: "SIGSEGV".into() }, 1),
            ("mended", Verdict::Passed, 1),
            ("still broken", Verdict::Failed, 1),
            ("slow", Verdict::Passed, 2_000_000),
            ("hardly slower", Verdict::Passed, 1_400_000),
            ("skipped", ignored(), 1),
            ("new and broken", Verdict::Failed, 1),
            ("new", Verdict::Passed, 1),
        ]);
        let changes = Changes::between(&before, &after);
        assert_eq!(told(&changes.newly_failing), ["broke: passed → crashed", "new and broken: new → failed"]);
        assert_eq!(told(&changes.newly_passing), ["mended: failed → passed"]);
        assert_eq!(told(&changes.unchecked), ["skipped: failed → ignored", "gone: passed → not there"]);
        assert_eq!(told(&changes.slower), ["slow: 1.00 s → 2.00 s"]);
        assert!(Changes::between(&before, &before).is_empty());
    }

    #[test]
    fn what_was_filtered_out_is_not_missed() {
        let before = run(vec![("a", Verdict::Passed, 1), ("b", Verdict::Passed, 1)]);
        let after = Results { filtered_out: 1, ..run(vec![("a", Verdict::Passed, 1)]) };
        assert!(Changes::between(&before, &after).is_empty());
    }

    #[test]
    fn a_file_that_failed_in_one_pass_has_failed() {
        let before = run(vec![("a", Verdict::Passed, 1)]);
        let after = run(vec![("a", Verdict::Failed, 1), ("a", Verdict::Passed, 1)]);
        assert_eq!(told(&Changes::between(&before, &after).newly_failing), ["a: passed → failed"]);
    }
}
