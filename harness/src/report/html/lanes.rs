//! Which worker ran which file when: as many lanes as files ran at once.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{KINDS, kind};
use crate::outcome::{Results, Verdict};

/// A lane runs one file at a time: it is a thread, or a worker and its replacements.
///
/// Times are in microseconds since the first file started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Lane {
    pub end_us: u64,
    pub busy_us: u64,
    /// How many processes crashed in it.
    pub deaths: u64,
    /// The attempts that ran in it, by time.
    pub spans: Vec<Span>,
}

/// A span is one attempt at one file. The page's script reads it as `[outcome, start_us, wall_us, kind]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(into = "(usize, u64, u64, usize)")]
pub(super) struct Span {
    /// An index into [`Results::outcomes`].
    pub outcome: usize,
    pub start_us: u64,
    pub wall_us: u64,
    /// An index into [`KINDS`].
    pub kind: usize,
}

impl From<Span> for (usize, u64, u64, usize) {
    fn from(Span { outcome, start_us, wall_us, kind }: Span) -> Self {
        (outcome, start_us, wall_us, kind)
    }
}

impl Lane {
    pub(super) fn start_us(&self) -> u64 {
        self.spans.first().map_or(0, |span| span.start_us)
    }

    fn push(&mut self, span: Span) {
        self.end_us = self.end_us.max(span.start_us + span.wall_us);
        self.busy_us += span.wall_us;
        self.deaths += u64::from(KINDS[span.kind].0 == "crashed");
        self.spans.push(span);
    }
}

/// When the first file started, in microseconds since the Unix epoch; 0 if none did.
pub(super) fn origin(results: &Results) -> u64 {
    attempts(results).map(|(_, started, ..)| started).min().unwrap_or_default()
}

/// Each attempt with a known start: the index of its outcome, its start, duration, worker and verdict.
fn attempts(results: &Results) -> impl Iterator<Item = (usize, u64, u64, u32, &Verdict)> {
    results.outcomes.iter().enumerate().flat_map(|(index, outcome)| {
        let earlier = outcome.earlier.iter();
        let earlier = earlier.map(move |one| (index, one.started_us, one.wall_us, one.worker, &one.verdict));
        let last = (index, outcome.started_us, outcome.wall_us, outcome.worker, &outcome.verdict);
        earlier.chain([last]).filter(|(_, started, ..)| *started > 0)
    })
}

/// The lanes of a run, in the order in which they started.
pub(super) fn lanes(results: &Results) -> Vec<Lane> {
    let origin = origin(results);
    let mut order: Vec<_> = attempts(results).collect();
    order.sort_by_key(|(_, started, ..)| *started);
    let mut workers: BTreeMap<u32, Vec<Lane>> = BTreeMap::new();
    for (outcome, started, wall_us, worker, verdict) in order {
        let span = Span { outcome, start_us: started - origin, wall_us, kind: kind(verdict).0 };
        // A worker runs one file at a time, even if its clocks disagree; threads of one process share the number 0.
        let threads = worker == 0;
        let own = workers.entry(worker).or_default();
        match own.iter_mut().find(|lane| !threads || lane.end_us <= span.start_us) {
            Some(lane) => lane.push(span),
            None => {
                own.push(Lane::default());
                own.last_mut().expect("one was pushed").push(span);
            }
        }
    }
    let mut single: Vec<Lane> = workers.into_values().flatten().collect();
    single.sort_by_key(Lane::start_us);
    let mut lanes: Vec<Lane> = Vec::new();
    for lane in single {
        // A worker that started after another had ended or left replaced it.
        match lanes.iter_mut().find(|earlier| earlier.end_us <= lane.start_us()) {
            Some(earlier) => lane.spans.into_iter().for_each(|span| earlier.push(span)),
            None => lanes.push(lane),
        }
    }
    lanes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Attempt, Outcome};

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
        let shown: Vec<_> =
            lanes.iter().map(|lane| (lane.start_us(), lane.end_us, lane.busy_us, lane.deaths)).collect();
        assert_eq!(shown, [(0, 100, 100, 0), (0, 60, 50, 1)]);
        assert_eq!(lanes[1].spans.iter().map(|span| span.outcome).collect::<Vec<_>>(), [1, 3]);
    }

    #[test]
    fn each_thread_of_one_process_has_its_own_lane() {
        let lanes = lanes(&run(vec![
            (0, 1000, 50, Verdict::Passed),
            (0, 1000, 20, Verdict::Passed),
            (0, 1020, 10, Verdict::Failed),
        ]));
        assert_eq!(lanes.iter().map(|lane| lane.spans.len()).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn an_earlier_attempt_is_in_the_lane_of_its_worker() {
        let mut run = run(vec![(2, 1050, 10, Verdict::Flaky { attempt: 2 })]);
        run.outcomes[0].earlier.push(Attempt {
            verdict: Verdict::Crashed { how: "SIGSEGV".into() },
            failure: None,
            output: String::new(),
            wall_us: 20,
            started_us: 1000,
            worker: 1,
        });
        let lanes = lanes(&run);
        assert_eq!((lanes.len(), lanes[0].deaths), (1, 1));
        let spans: Vec<_> = lanes[0].spans.iter().map(|span| (span.start_us, KINDS[span.kind].0)).collect();
        assert_eq!(spans, [(0, "crashed"), (50, "flaky")]);
    }

    #[test]
    fn a_file_that_did_not_run_is_in_no_lane() {
        assert_eq!(lanes(&run(vec![(0, 0, 0, Verdict::NotRun { reason: "time budget".into() })])), []);
    }
}
