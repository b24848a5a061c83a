//! Random sequences of operations, checked against a simple model of a run.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use super::conformance::{Join, passed, plan};
use super::*;
use crate::outcome::Verdict;

/// `model! { start }` makes a test of random sequences. `start: fn(Plan) -> Join` starts a run that continues even if all its
/// participants have ended in between.
/// `model! { start, there, cases }` makes the same test with `cases` sequences; it runs only if `there()` returns true.
macro_rules! model {
    ($start:expr) => {
        $crate::queue::model::model! { $start, || true, 400 }
    };
    ($start:expr, $there:expr, $cases:expr) => {
        proptest::proptest! {
            #![proptest_config(proptest::test_runner::Config::with_cases($cases))]
            #[test]
            fn any_history_gives_each_entry_one_outcome(
                length in 1..8usize,
                steps in proptest::collection::vec($crate::queue::model::step(), 1..120),
            ) {
                if ($there)() {
                    $crate::queue::model::check($start, length, steps);
                }
            }
        }
    };
}
pub(crate) use model;

/// One step. Numbers are taken modulo the number of choices.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Join,
    Die(usize),
    AllDie,
    Claim(usize),
    Finish(usize, usize),
    FinishAndClaim(usize, usize),
    Requeue(usize, usize),
    /// Look for lost leases; then finish, retry, requeue or release each.
    Lost(usize, u8),
    /// Try to finish with a lease that another participant holds, or held before it ended.
    Intrude(usize, usize),
    Stop(usize),
    Look(usize),
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let n = 0..100usize;
    prop_oneof![
        3 => Just(Step::Join),
        3 => n.clone().prop_map(Step::Die),
        1 => Just(Step::AllDie),
        12 => n.clone().prop_map(Step::Claim),
        5 => (n.clone(), n.clone()).prop_map(|(p, l)| Step::Finish(p, l)),
        5 => (n.clone(), n.clone()).prop_map(|(p, l)| Step::FinishAndClaim(p, l)),
        4 => (n.clone(), n.clone()).prop_map(|(p, l)| Step::Requeue(p, l)),
        5 => (n.clone(), any::<u8>()).prop_map(|(p, choice)| Step::Lost(p, choice)),
        4 => (n.clone(), n.clone()).prop_map(|(p, l)| Step::Intrude(p, l)),
        // Rare, because little else can happen in a stopped run.
        1 => n.clone().prop_map(|p| if p < 20 { Step::Stop(p) } else { Step::Look(p) }),
        2 => n.prop_map(Step::Look),
    ]
}

/// The expected state of one entry.
#[derive(Debug, Clone, Default)]
struct Truth {
    attempts: u32,
    deaths: u32,
    holder: Option<u32>,
    /// Whether the holder is the participant that ran the entry.
    ran: bool,
    outcome: Option<Outcome>,
}

struct Participant {
    queue: Box<dyn Queue>,
    leases: Vec<Lease>,
}

struct World {
    join: Join,
    living: BTreeMap<u32, Participant>,
    /// Leases of lost participants.
    stale: Vec<Lease>,
    truths: Vec<Truth>,
    waiting: VecDeque<usize>,
    back: VecDeque<usize>,
    joined: u32,
    stopped: bool,
}

pub(crate) fn check(start: fn(Plan) -> Join, length: usize, steps: Vec<Step>) {
    let mut world = World {
        join: start(plan(length)),
        living: BTreeMap::new(),
        stale: Vec::new(),
        truths: vec![Truth::default(); length],
        waiting: (0..length).collect(),
        back: VecDeque::new(),
        joined: 0,
        stopped: false,
    };
    world.join();
    for step in steps {
        world.step(step);
        if world.living.is_empty() {
            if world.is_complete() {
                return;
            }
            world.stopped = false;
            world.join();
        }
    }
    world.bring_to_an_end();
}

impl World {
    fn join(&mut self) -> u32 {
        let queue = (self.join)();
        self.joined += 1;
        assert_eq!(queue.worker(), self.joined);
        self.living.insert(self.joined, Participant { queue, leases: Vec::new() });
        self.joined
    }

    fn is_complete(&self) -> bool {
        self.truths.iter().all(|truth| truth.outcome.is_some())
    }

    fn pick(&self, choice: usize) -> u32 {
        *self.living.keys().nth(choice % self.living.len()).unwrap()
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Join if self.living.len() < 5 => drop(self.join()),
            Step::Join => {}
            Step::Die(choice) => self.die(self.pick(choice)),
            Step::AllDie => self.living.keys().copied().collect::<Vec<_>>().into_iter().for_each(|id| self.die(id)),
            Step::Claim(choice) => drop(self.claim(self.pick(choice))),
            Step::Finish(choice, lease) => {
                let id = self.pick(choice);
                if let Some(lease) = self.take_lease(id, lease) {
                    let verdict = passed(&lease);
                    self.finish(id, lease, verdict);
                }
            }
            Step::FinishAndClaim(choice, lease) => {
                let id = self.pick(choice);
                if let Some(lease) = self.take_lease(id, lease) {
                    self.finish_and_claim(id, lease);
                }
            }
            Step::Requeue(choice, lease) => {
                let id = self.pick(choice);
                if let Some(lease) = self.take_lease(id, lease) {
                    self.requeue(id, lease);
                }
            }
            Step::Lost(choice, decision) => self.lost(self.pick(choice), decision),
            Step::Intrude(choice, lease) => self.intrude(self.pick(choice), lease),
            Step::Stop(choice) => {
                self.living.get_mut(&self.pick(choice)).unwrap().queue.stop("enough").unwrap();
                self.stopped = true;
            }
            Step::Look(choice) => self.look(self.pick(choice)),
        }
    }

    fn die(&mut self, id: u32) {
        self.stale.append(&mut self.living.remove(&id).unwrap().leases);
    }

    fn claim(&mut self, id: u32) -> bool {
        let claim = self.living.get_mut(&id).unwrap().queue.claim().unwrap();
        self.claimed(id, claim)
    }

    /// Checks the result of a claim against the model. Returns whether it is a lease.
    fn claimed(&mut self, id: u32, claim: Claim) -> bool {
        let participant = self.living.get_mut(&id).unwrap();
        let next = self.back.front().or(self.waiting.front()).copied();
        match (claim, next) {
            (Claim::Complete, _) => assert!(self.is_complete()),
            (Claim::Stopped { why }, _) => assert!(self.stopped && why == "enough" && !self.is_complete()),
            (Claim::Wait, None) => assert!(self.truths.iter().any(|truth| truth.holder.is_some())),
            (Claim::Leased(lease), Some(next)) if !self.stopped => {
                assert_eq!(lease.entry(), next);
                self.back.pop_front().or_else(|| self.waiting.pop_front());
                let truth = &mut self.truths[next];
                assert!(truth.holder.is_none() && truth.outcome.is_none());
                truth.attempts += 1;
                truth.holder = Some(id);
                truth.ran = true;
                assert_eq!(lease.attempt(), truth.attempts);
                participant.queue.live().running(lease.name(), u64::from(truth.attempts), "SELECT 1");
                participant.leases.push(lease);
                return true;
            }
            (claim, next) => panic!("{claim:?} where {next:?} comes next"),
        }
        false
    }

    fn take_lease(&mut self, id: u32, choice: usize) -> Option<Lease> {
        let leases = &mut self.living.get_mut(&id)?.leases;
        let count = leases.len();
        (count > 0).then(|| leases.swap_remove(choice % count))
    }

    fn finish(&mut self, id: u32, lease: Lease, outcome: Outcome) {
        let entry = lease.entry();
        self.living.get_mut(&id).unwrap().queue.finish(lease, &outcome.clone()).unwrap();
        self.finished(id, entry, outcome);
    }

    fn finish_and_claim(&mut self, id: u32, lease: Lease) {
        let (entry, outcome) = (lease.entry(), passed(&lease));
        let claim = self.living.get_mut(&id).unwrap().queue.finish_and_claim(lease, &outcome.clone()).unwrap();
        self.finished(id, entry, outcome);
        self.claimed(id, claim);
    }

    fn finished(&mut self, id: u32, entry: usize, outcome: Outcome) {
        let truth = &mut self.truths[entry];
        assert_eq!((truth.holder.take(), &truth.outcome), (Some(id), &None));
        truth.outcome = Some(outcome);
    }

    fn requeue(&mut self, id: u32, lease: Lease) {
        let entry = lease.entry();
        self.living.get_mut(&id).unwrap().queue.requeue(lease, "once more").unwrap();
        assert_eq!(self.truths[entry].holder.take(), Some(id));
        self.back.push_back(entry);
    }

    fn release(&mut self, id: u32, lease: Lease) {
        let entry = lease.entry();
        self.living.get_mut(&id).unwrap().queue.release(lease, "never mind").unwrap();
        let truth = &mut self.truths[entry];
        assert_eq!(truth.holder.take(), Some(id));
        // Only leases taken from lost participants are released here, and each such claim ended with exactly one loss.
        (truth.attempts, truth.deaths) = (truth.attempts - 1, truth.deaths - 1);
        self.back.push_back(entry);
    }

    fn lost(&mut self, id: u32, decision: u8) {
        let found = self.living.get_mut(&id).unwrap().queue.lost().unwrap();
        let is_lost = |truth: &Truth| truth.holder.is_some_and(|holder| !self.living.contains_key(&holder));
        let expected: Vec<usize> = (0..self.truths.len()).filter(|&entry| is_lost(&self.truths[entry])).collect();
        assert!(found.iter().map(|lost| lost.lease.entry()).eq(expected));
        for (i, lost) in found.into_iter().enumerate() {
            let truth = &mut self.truths[lost.lease.entry()];
            truth.deaths += u32::from(truth.ran);
            truth.ran = false;
            truth.holder = Some(id);
            assert_eq!((lost.deaths, lost.lease.attempt()), (truth.deaths, truth.attempts));
            match (decision >> (i % 4 * 2)) % 4 {
                0 => {
                    let mut outcome = passed(&lost.lease);
                    outcome.verdict = Verdict::Crashed { how: format!("worker {} died", lost.worker) };
                    self.finish(id, lost.lease, outcome);
                }
                1 => self.living.get_mut(&id).unwrap().leases.push(lost.lease),
                2 => self.requeue(id, lost.lease),
                _ => self.release(id, lost.lease),
            }
        }
    }

    fn intrude(&mut self, id: u32, choice: usize) {
        let others = self.living.iter_mut().filter(|&(&other, _)| other != id);
        let mut leases: Vec<&mut Lease> = others.flat_map(|(_, other)| &mut other.leases).collect();
        leases.extend(&mut self.stale);
        if leases.is_empty() {
            return;
        }
        let choice = choice % leases.len();
        let lease = &*leases[choice];
        let copy = Lease { name: lease.name.clone(), ..*lease };
        let outcome = passed(&copy);
        let queue = &mut self.living.get_mut(&id).unwrap().queue;
        match choice % 3 {
            0 => assert!(matches!(queue.finish(copy, &outcome), Err(QueueError::Stale { .. }))),
            1 => assert!(matches!(queue.finish_and_claim(copy, &outcome), Err(QueueError::Stale { .. }))),
            _ => assert!(matches!(queue.requeue(copy, "mine"), Err(QueueError::Stale { .. }))),
        }
    }

    fn look(&mut self, id: u32) {
        let snapshot = self.living.get_mut(&id).unwrap().queue.snapshot().unwrap();
        assert_eq!((snapshot.is_complete(), snapshot.workers), (self.is_complete(), self.joined));
        assert_eq!(snapshot.stopped.is_some(), self.stopped);
        let is_elsewhere = |truth: &Truth| truth.holder.is_some_and(|holder| holder != id);
        let expected = Progress {
            finished: snapshot.finished(),
            is_leased_elsewhere: self.truths.iter().any(is_elsewhere),
            is_stopped: self.stopped,
        };
        assert_eq!(self.living.get_mut(&id).unwrap().queue.progress().unwrap(), expected);
        for (status, truth) in snapshot.entries.iter().zip(&self.truths) {
            let state = match (&truth.outcome, truth.holder) {
                (Some(outcome), None) => EntryState::Final(Box::new(outcome.clone())),
                (None, Some(worker)) => EntryState::Leased { worker },
                (None, None) => EntryState::Waiting,
                both => panic!("{both:?}"),
            };
            let deaths = truth.deaths;
            assert_eq!(*status, EntryStatus { attempts: truth.attempts, deaths, state, ..EntryStatus::default() });
        }
    }

    /// Ends all participants, resumes the run with a new one, and finishes the rest.
    fn bring_to_an_end(mut self) {
        self.step(Step::AllDie);
        if self.is_complete() {
            return;
        }
        self.stopped = false;
        let id = self.join();
        self.lost(id, 0b10_10_10_10);
        while self.claim(id) {
            let lease = self.take_lease(id, 0).unwrap();
            let outcome = passed(&lease);
            self.finish(id, lease, outcome);
        }
        assert!(self.is_complete());
        self.look(id);
    }
}
