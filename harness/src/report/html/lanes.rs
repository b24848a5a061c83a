//! Who ran what when, in as many lanes as ran at a time.

use std::collections::BTreeMap;

use super::kind;
use crate::outcome::{Outcome, Results, Verdict};

/// A lane is a place in which one file runs at a time: a thread, or a worker and those that replaced it.
///
/// Times are in microseconds since the first file began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Lane {
    pub start_us: u64,
    pub end_us: u64,
    pub busy_us: u64,
    pub files: u64,
    /// How many processes died in it.
    pub deaths: u64,
    /// Places in [`Results::outcomes`], by time.
    pub outcomes: Vec<usize>,
}

impl Lane {
    fn push(&mut self, index: usize, start: u64, outcome: &Outcome) {
        if self.outcomes.is_empty() {
            self.start_us = start;
        }
        self.end_us = self.end_us.max(start + outcome.wall_us);
        self.busy_us += outcome.wall_us;
        self.files += 1;
        self.deaths += u64::from(died(&outcome.verdict));
        self.outcomes.push(index);
    }

    /// Takes in what ran after it.
    fn append(&mut self, later: Lane) {
        self.end_us = self.end_us.max(later.end_us);
        self.busy_us += later.busy_us;
        self.files += later.files;
        self.deaths += later.deaths;
        self.outcomes.extend(later.outcomes);
    }
}

/// Whether a verdict means that the process is gone.
pub(super) fn died(verdict: &Verdict) -> bool {
    super::KINDS[kind(verdict).0].0 == "crashed"
}

/// When the first file began, in microseconds since the Unix epoch; 0 if none did.
pub(super) fn origin(results: &Results) -> u64 {
    results.outcomes.iter().map(|outcome| outcome.started_us).filter(|us| *us > 0).min().unwrap_or_default()
}

/// The lanes of a run, in the order in which they began.
pub(super) fn lanes(results: &Results) -> Vec<Lane> {
    let origin = origin(results);
    let mut order: Vec<usize> = (0..results.outcomes.len()).filter(|i| results.outcomes[*i].started_us > 0).collect();
    order.sort_by_key(|index| results.outcomes[*index].started_us);
    let mut workers: BTreeMap<u32, Vec<Lane>> = BTreeMap::new();
    for index in order {
        let outcome = &results.outcomes[index];
        let start = outcome.started_us - origin;
        // A worker runs one file at a time, whatever its two clocks say; threads of one process share the number 0.
        let threads = outcome.worker == 0;
        let own = workers.entry(outcome.worker).or_default();
        match own.iter_mut().find(|lane| !threads || lane.end_us <= start) {
            Some(lane) => lane.push(index, start, outcome),
            None => {
                let mut lane = Lane::default();
                lane.push(index, start, outcome);
                own.push(lane);
            }
        }
    }
    let mut single: Vec<Lane> = workers.into_values().flatten().collect();
    single.sort_by_key(|lane| lane.start_us);
    let mut lanes: Vec<Lane> = Vec::new();
    for lane in single {
        // A worker that began after another had died, or had left, took its place.
        match lanes.iter_mut().find(|earlier| earlier.end_us <= lane.start_us) {
            Some(earlier) => earlier.append(lane),
            None => lanes.push(lane),
        }
    }
    lanes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(outcomes: Vec<(u32, u64, u64, Verdict)>) -> Results {
        let outcome = |(worker, started_us, wall_us, verdict)| Outcome {
            worker,
            started_us,
            wall_us,
            ..Outcome::new("a", verdict)
        };
        Results { outcomes: outcomes.into_iter().map(outcome).collect(), ..Results::default() }
    }

    #[test]
    fn a_worker_has_a_lane_and_its_successor_the_same() {
        let crashed = Verdict::Crashed { how: "SIGSEGV".into() };
        let lanes = lanes(&run(vec![
            (1, 1000, 10, Verdict::Passed),
            (2, 1000, 30, crashed),
            (1, 1010, 90, Verdict::Passed),
            (3, 1040, 20, Verdict::Passed),
        ]));
        let shown: Vec<_> = lanes.iter().map(|lane| (lane.start_us, lane.end_us, lane.busy_us, lane.deaths)).collect();
        assert_eq!(shown, [(0, 100, 100, 0), (0, 60, 50, 1)]);
        assert_eq!(lanes[1].outcomes, [1, 3]);
    }

    #[test]
    fn threads_of_one_process_have_lanes_of_their_own() {
        let lanes = lanes(&run(vec![
            (0, 1000, 50, Verdict::Passed),
            (0, 1000, 20, Verdict::Passed),
            (0, 1020, 10, Verdict::Failed),
        ]));
        assert_eq!(lanes.iter().map(|lane| lane.files).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn what_nobody_began_is_in_no_lane() {
        assert_eq!(lanes(&run(vec![(0, 0, 0, Verdict::NotRun { reason: "time budget".into() })])), []);
    }
}
