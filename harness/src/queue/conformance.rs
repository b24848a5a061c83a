//! Tests that every queue must pass. Each test takes a queue.
//!
//! `conformance! { start }` makes one test function for each, where `start: fn(Plan) -> Join` starts a run.
//! `conformance! { start, there }` makes the same tests, which run only if `there()` returns true.

use super::*;
use crate::outcome::Verdict;

mod refusals;

pub(crate) use refusals::*;

/// Each call adds one more participant to the same run.
pub(crate) type Join = Box<dyn FnMut() -> Box<dyn Queue>>;

macro_rules! suite {
    ($($name:ident)*) => {
        macro_rules! conformance {
            ($start:expr) => {
                $(#[test] fn $name() { $crate::queue::conformance::$name($start) })*
            };
            ($start:expr, $there:expr) => {
                $(#[test] fn $name() { if $there() { $crate::queue::conformance::$name($start) } })*
            };
        }
        pub(crate) use conformance;
    };
}

suite! {
    entries_are_claimed_in_the_order_of_the_plan
    each_entry_goes_to_one_participant
    a_run_is_complete_when_all_is_finished
    an_empty_plan_is_complete_and_says_that_it_is_empty
    an_open_lease_makes_the_others_wait
    an_outcome_is_kept_whole
    another_trials_outcome_is_refused
    a_requeued_entry_is_claimed_again_with_its_attempts_counted
    a_released_entry_was_never_tried
    progress_is_what_the_snapshot_says
    the_living_lose_nothing
    the_dead_lose_their_leases_to_whoever_looks_first
    a_lost_lease_can_be_finished_by_its_taker
    a_dead_takers_leases_are_lost_again
    deaths_and_failed_attempts_are_counted_apart
    a_finish_may_bring_the_next_claim_with_it
    a_stale_finish_is_refused
    a_stale_finish_brings_no_claim
    a_stale_requeue_is_refused
    what_a_dead_worker_was_running_is_known
    nothing_is_running_between_two_entries
    after_a_stop_nothing_is_claimed_but_leases_are_finished
    events_tell_what_happened_in_turn
    a_snapshot_holds_every_state
    a_late_participant_sees_everything
    threads_share_a_run
}

pub(crate) fn plan(length: usize) -> Plan {
    Plan::new((0..length).map(|i| PlanEntry::new(format!("{i}.test"), 1)).collect()).unwrap()
}

pub(crate) fn leased(queue: &mut dyn Queue) -> Lease {
    match queue.claim().unwrap() {
        Claim::Leased(lease) => lease,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn passed(lease: &Lease) -> Outcome {
    let mut outcome = Outcome::new(lease.name(), Verdict::Passed);
    outcome.pass = lease.pass();
    outcome.attempt = lease.attempt();
    outcome
}

fn finish(queue: &mut dyn Queue, lease: Lease) {
    let outcome = passed(&lease);
    queue.finish(lease, &outcome).unwrap();
}

fn status(queue: &mut dyn Queue, entry: usize) -> EntryStatus {
    queue.snapshot().unwrap().entries[entry].clone()
}

fn crashed(name: &str) -> Outcome {
    Outcome::new(name, Verdict::Crashed { how: "SIGSEGV".into() })
}

pub(crate) fn entries_are_claimed_in_the_order_of_the_plan(start: fn(Plan) -> Join) {
    let names = [("b", 1), ("a", 1), ("c", 1), ("a", 2)];
    let plan = Plan::new(names.iter().map(|&(name, pass)| PlanEntry::new(name, pass)).collect()).unwrap();
    let mut join = start(plan);
    let mut queue = join();
    for (entry, (name, pass)) in names.into_iter().enumerate() {
        let lease = leased(&mut *queue);
        assert_eq!((lease.entry(), lease.name(), lease.pass(), lease.attempt()), (entry, name, pass, 1));
        finish(&mut *queue, lease);
    }
}

pub(crate) fn each_entry_goes_to_one_participant(start: fn(Plan) -> Join) {
    let mut join = start(plan(10));
    let (mut a, mut b) = (join(), join());
    assert_eq!((a.worker(), b.worker()), (1, 2));
    assert_eq!(a.run_id(), b.run_id());
    let leases: Vec<Lease> = (0..5).flat_map(|_| [leased(&mut *a), leased(&mut *b)]).collect();
    assert!(leases.iter().map(Lease::entry).eq(0..10));
    assert!(leases.windows(2).all(|pair| pair[0].sequence() < pair[1].sequence()));
}

pub(crate) fn a_run_is_complete_when_all_is_finished(start: fn(Plan) -> Join) {
    let mut join = start(plan(2));
    let (mut a, mut b) = (join(), join());
    let (first, second) = (leased(&mut *a), leased(&mut *b));
    finish(&mut *b, second);
    assert!(!a.snapshot().unwrap().is_complete());
    finish(&mut *a, first);
    for queue in [&mut a, &mut b] {
        assert!(matches!(queue.claim().unwrap(), Claim::Complete));
        let snapshot = queue.snapshot().unwrap();
        assert!(snapshot.is_complete());
        assert_eq!((snapshot.finished(), snapshot.plan.len(), snapshot.workers), (2, 2, 2));
    }
}

pub(crate) fn an_empty_plan_is_complete_and_says_that_it_is_empty(start: fn(Plan) -> Join) {
    let mut join = start(plan(0));
    let mut queue = join();
    assert!(matches!(queue.claim().unwrap(), Claim::Complete));
    let snapshot = queue.snapshot().unwrap();
    assert!(snapshot.is_complete() && snapshot.plan.is_empty());
}

pub(crate) fn an_open_lease_makes_the_others_wait(start: fn(Plan) -> Join) {
    let mut join = start(plan(1));
    let (mut a, mut b) = (join(), join());
    let lease = leased(&mut *a);
    assert!(matches!(b.claim().unwrap(), Claim::Wait));
    finish(&mut *a, lease);
    assert!(matches!(b.claim().unwrap(), Claim::Complete));
}

pub(crate) fn an_outcome_is_kept_whole(start: fn(Plan) -> Join) {
    let mut join = start(plan(1));
    let (mut a, mut b) = (join(), join());
    let lease = leased(&mut *a);
    let mut outcome = passed(&lease);
    outcome.verdict = Verdict::Failed;
    outcome.failures = (0..crate::outcome::MAX_FAILURES)
        .map(|i| crate::outcome::Failure {
            file: "0.test".into(),
            pass: String::new(),
            line: i as u64,
            message: "\u{1f600} \"quoted\"\n\0".into(),
            sql: "SELECT 1 ".repeat(20_000),
            expected: Some(String::new()),
            actual: None,
            diff: "-1\n+2".into(),
            returned: String::new(),
            reference: String::new(),
        })
        .collect();
    a.finish(lease, &outcome.clone()).unwrap();
    assert_eq!(b.snapshot().unwrap().outcomes().collect::<Vec<_>>(), [&outcome]);
}

pub(crate) fn a_requeued_entry_is_claimed_again_with_its_attempts_counted(start: fn(Plan) -> Join) {
    let mut join = start(plan(2));
    let mut queue = join();
    for attempt in 1..=3 {
        let lease = leased(&mut *queue);
        assert_eq!((lease.entry(), lease.attempt()), (0, attempt));
        queue.requeue(lease, "failed").unwrap();
    }
    let EntryStatus { attempts, deaths, state, .. } = status(&mut *queue, 0);
    assert_eq!((attempts, deaths, state), (3, 0, EntryState::Waiting));
}

pub(crate) fn a_released_entry_was_never_tried(start: fn(Plan) -> Join) {
    let mut join = start(plan(2));
    let (mut a, mut b) = (join(), join());
    let lease = leased(&mut *a);
    a.release(lease, "the run ended").unwrap();
    assert_eq!(status(&mut *b, 0), EntryStatus::default());
    // The end of the earlier worker still counts.
    let lease = leased(&mut *b);
    b.requeue(lease, "once more").unwrap();
    let first = leased(&mut *b);
    assert_eq!((first.entry(), first.attempt()), (0, 2));
    drop(b);
    let lost = a.lost().unwrap().pop().unwrap();
    assert_eq!((lost.deaths, lost.lease.attempt()), (1, 2));
    let stale = Lease { name: lost.lease.name.clone(), sequence: lost.lease.sequence + 1, ..lost.lease };
    assert!(matches!(a.release(stale, "mine"), Err(QueueError::Stale { .. })));
    a.release(lost.lease, "the run ended").unwrap();
    assert_eq!(status(&mut *a, 0), EntryStatus { attempts: 1, ..EntryStatus::default() });
    let events = a.poll().unwrap();
    assert!(events.iter().any(|event| matches!(event, Event::Requeued { why, .. } if why == "the run ended")));
    drop(first);
    assert_eq!(leased(&mut *a).attempt(), 2);
}

pub(crate) fn progress_is_what_the_snapshot_says(start: fn(Plan) -> Join) {
    let mut join = start(plan(3));
    let (mut a, mut b) = (join(), join());
    let progress = |finished, is_leased_elsewhere, is_stopped| Progress { finished, is_leased_elsewhere, is_stopped };
    assert_eq!(a.progress().unwrap(), progress(0, false, false));
    let lease = leased(&mut *a);
    assert_eq!((a.progress().unwrap(), b.progress().unwrap()), (progress(0, false, false), progress(0, true, false)));
    finish(&mut *a, lease);
    let _lease = leased(&mut *b);
    b.stop("enough").unwrap();
    assert_eq!((a.progress().unwrap(), b.progress().unwrap()), (progress(1, true, true), progress(1, false, true)));
}

pub(crate) fn the_living_lose_nothing(start: fn(Plan) -> Join) {
    let mut join = start(plan(2));
    let (mut a, mut b) = (join(), join());
    let lease = leased(&mut *a);
    for _ in 0..3 {
        assert!(b.lost().unwrap().is_empty());
        assert!(a.lost().unwrap().is_empty());
    }
    finish(&mut *a, lease);
}

pub(crate) fn the_dead_lose_their_leases_to_whoever_looks_first(start: fn(Plan) -> Join) {
    let mut join = start(plan(3));
    let (mut a, mut b, mut c) = (join(), join(), join());
    let _leases = [leased(&mut *a), leased(&mut *a)];
    drop(a);
    let lost = b.lost().unwrap();
    assert!(c.lost().unwrap().is_empty());
    let entries: Vec<_> = lost.iter().map(|lost| (lost.lease.entry(), lost.worker, lost.deaths)).collect();
    assert_eq!(entries, [(0, 1, 1), (1, 1, 1)]);
    for lost in lost {
        b.requeue(lost.lease, "its worker died").unwrap();
    }
    let lease = leased(&mut *c);
    assert_eq!((lease.entry(), lease.attempt()), (0, 2));
}

pub(crate) fn a_lost_lease_can_be_finished_by_its_taker(start: fn(Plan) -> Join) {
    let mut join = start(plan(1));
    let (mut a, mut b) = (join(), join());
    let _lease = leased(&mut *a);
    drop(a);
    let lost = b.lost().unwrap().pop().unwrap();
    b.finish(lost.lease, &crashed("0.test")).unwrap();
    assert!(b.snapshot().unwrap().is_complete());
    assert_eq!(status(&mut *b, 0).state, EntryState::Final(Box::new(crashed("0.test"))));
}

pub(crate) fn a_dead_takers_leases_are_lost_again(start: fn(Plan) -> Join) {
    let mut join = start(plan(1));
    let (mut a, mut b, mut c) = (join(), join(), join());
    let _lease = leased(&mut *a);
    a.live().running("0.test", 3, "SELECT 3");
    drop(a);
    assert_eq!(b.lost().unwrap().len(), 1);
    drop(b);
    let lost = c.lost().unwrap().pop().unwrap();
    assert_eq!((lost.worker, lost.deaths, lost.lease.attempt()), (1, 1, 1));
    assert_eq!(lost.last.unwrap().line, 3);
    finish(&mut *c, lost.lease);
}

pub(crate) fn deaths_and_failed_attempts_are_counted_apart(start: fn(Plan) -> Join) {
    let mut join = start(plan(1));
    let mut last = join();
    for _ in 0..2 {
        let mut dies = join();
        let _lease = leased(&mut *dies);
        drop(dies);
        let lost = last.lost().unwrap().pop().unwrap();
        last.requeue(lost.lease, "its worker died").unwrap();
        let lease = leased(&mut *last);
        last.requeue(lease, "failed").unwrap();
    }
    let EntryStatus { attempts, deaths, .. } = status(&mut *last, 0);
    assert_eq!((attempts, deaths), (4, 2));
}

pub(crate) fn a_finish_may_bring_the_next_claim_with_it(start: fn(Plan) -> Join) {
    let mut join = start(plan(3));
    let (mut a, mut b) = (join(), join());
    let (first, second) = (leased(&mut *a), leased(&mut *b));
    a.live().running("0.test", 7, "SELECT 7");
    a.poll().unwrap();
    let outcome = passed(&first);
    let Claim::Leased(third) = a.finish_and_claim(first, &outcome.clone()).unwrap() else { panic!("no claim") };
    assert_eq!((third.entry(), third.name(), third.attempt(), third.worker), (2, "2.test", 1, 1));
    assert_eq!(status(&mut *b, 0).state, EntryState::Final(Box::new(outcome.clone())));
    assert_eq!(status(&mut *b, 2).state, EntryState::Leased { worker: 1 });
    assert_eq!(b.running(1).unwrap(), None);
    let finished = Event::Finished { worker: 1, entry: 0, outcome: Box::new(outcome) };
    assert_eq!(a.poll().unwrap(), [finished, Event::Claimed { worker: 1, entry: 2 }]);
    // Check each possible reason why there is nothing to claim.
    let outcome = passed(&third);
    assert!(matches!(a.finish_and_claim(third, &outcome).unwrap(), Claim::Wait));
    b.requeue(second, "failed").unwrap();
    let second = leased(&mut *b);
    a.stop("enough").unwrap();
    b.requeue(second, "failed").unwrap();
    assert!(matches!(b.claim().unwrap(), Claim::Stopped { .. }));

    let mut join = start(plan(2));
    let mut queue = join();
    let (first, second) = (leased(&mut *queue), leased(&mut *queue));
    queue.stop("enough").unwrap();
    let outcome = passed(&first);
    assert!(matches!(queue.finish_and_claim(first, &outcome).unwrap(), Claim::Stopped { why } if why == "enough"));
    let outcome = passed(&second);
    assert!(matches!(queue.finish_and_claim(second, &outcome).unwrap(), Claim::Complete));
}

pub(crate) fn what_a_dead_worker_was_running_is_known(start: fn(Plan) -> Join) {
    let mut join = start(plan(1));
    let (mut a, mut b) = (join(), join());
    let _lease = leased(&mut *a);
    let live = a.live();
    for line in 1..100 {
        live.running("dir/0.test", line, "SELECT 'ä'");
    }
    let running =
        Running { file: "dir/0.test".into(), line: 99, pass: String::new(), sql: "SELECT 'ä'".into(), trial: 0 };
    assert_eq!(b.running(1).unwrap(), Some(running.clone()));
    drop(a);
    assert_eq!(b.lost().unwrap().pop().unwrap().last, Some(running));
}

pub(crate) fn nothing_is_running_between_two_entries(start: fn(Plan) -> Join) {
    let mut join = start(plan(3));
    let (mut a, b) = (join(), join());
    assert_eq!(b.running(1).unwrap(), None);
    let lease = leased(&mut *a);
    a.live().running("0.test", 1, "SELECT 1");
    finish(&mut *a, lease);
    assert_eq!(b.running(1).unwrap(), None);
    a.live().running("elsewhere.test", 1, "SELECT 1");
    let lease = leased(&mut *a);
    assert_eq!(b.running(1).unwrap(), None);
    a.live().running("1.test", 1, "SELECT 1");
    a.requeue(lease, "failed").unwrap();
    assert_eq!(b.running(1).unwrap(), None);
    assert_eq!(b.running(77).unwrap(), None);
}

pub(crate) fn after_a_stop_nothing_is_claimed_but_leases_are_finished(start: fn(Plan) -> Join) {
    let mut join = start(plan(2));
    let (mut a, mut b) = (join(), join());
    let lease = leased(&mut *a);
    b.stop("interrupted").unwrap();
    a.stop("time budget").unwrap();
    for queue in [&mut a, &mut b] {
        match queue.claim().unwrap() {
            Claim::Stopped { why } => assert_eq!(why, "interrupted"),
            other => panic!("{other:?}"),
        }
    }
    finish(&mut *a, lease);
    let snapshot = b.snapshot().unwrap();
    assert_eq!((snapshot.finished(), snapshot.is_complete()), (1, false));
    assert_eq!(snapshot.stopped.as_deref(), Some("interrupted"));
}

pub(crate) fn events_tell_what_happened_in_turn(start: fn(Plan) -> Join) {
    let mut join = start(plan(2));
    let mut watcher = join();
    let mut a = join();
    let lease = leased(&mut *a);
    let outcome = passed(&lease);
    assert_eq!(watcher.poll().unwrap().len(), 3);
    assert_eq!(watcher.poll().unwrap(), []);
    a.finish(lease, &outcome.clone()).unwrap();
    let lease = leased(&mut *a);
    a.requeue(lease, "failed").unwrap();
    let _lease = leased(&mut *a);
    drop(a);
    let lost = watcher.lost().unwrap();
    watcher.stop("interrupted").unwrap();
    let events = [
        Event::Finished { worker: 2, entry: 0, outcome: Box::new(outcome) },
        Event::Claimed { worker: 2, entry: 1 },
        Event::Requeued { worker: 2, entry: 1, why: "failed".into() },
        Event::Claimed { worker: 2, entry: 1 },
        Event::Lost { worker: 1, entry: 1, from: 2, last: None },
        Event::Stopped { worker: 1, why: "interrupted".into() },
    ];
    assert_eq!(watcher.poll().unwrap(), events);
    assert_eq!(join().poll().unwrap(), [Event::Joined { worker: 3, label: String::new() }]);
    assert_eq!(lost.len(), 1);
}

pub(crate) fn a_snapshot_holds_every_state(start: fn(Plan) -> Join) {
    let mut join = start(plan(4));
    let (mut a, mut b) = (join(), join());
    let (first, _second, third) = (leased(&mut *a), leased(&mut *b), leased(&mut *a));
    let outcome = passed(&first);
    a.finish(first, &outcome.clone()).unwrap();
    a.requeue(third, "failed").unwrap();
    let states = [
        (1, EntryState::Final(Box::new(outcome))),
        (1, EntryState::Leased { worker: 2 }),
        (1, EntryState::Waiting),
        (0, EntryState::Waiting),
    ];
    let entries = states.map(|(attempts, state)| EntryStatus { attempts, state, ..EntryStatus::default() });
    assert_eq!(a.snapshot().unwrap().entries, entries);
    assert_eq!(b.snapshot().unwrap().entries, entries);
}

pub(crate) fn a_late_participant_sees_everything(start: fn(Plan) -> Join) {
    let mut join = start(plan(3));
    let mut a = join();
    let lease = leased(&mut *a);
    finish(&mut *a, lease);
    let lease = leased(&mut *a);
    a.requeue(lease, "failed").unwrap();
    let mut late = join();
    assert_eq!(late.snapshot().unwrap().entries, a.snapshot().unwrap().entries);
    assert_eq!(late.plan(), a.plan());
    let lease = leased(&mut *late);
    assert_eq!((lease.entry(), lease.attempt()), (1, 2));
}

pub(crate) fn threads_share_a_run(start: fn(Plan) -> Join) {
    let mut join = start(plan(300));
    let mut watcher = join();
    let queues: Vec<_> = (0..6).map(|_| join()).collect();
    let work = |mut queue: Box<dyn Queue>| {
        let mut done = Vec::new();
        loop {
            match queue.claim().unwrap() {
                Claim::Leased(lease) if lease.attempt() == 1 && lease.entry() % 7 == 0 => {
                    queue.requeue(lease, "failed").unwrap();
                }
                Claim::Leased(lease) => {
                    done.push(lease.entry());
                    finish(&mut *queue, lease);
                }
                Claim::Wait => std::thread::yield_now(),
                Claim::Complete => return done,
                Claim::Stopped { why } => panic!("{why}"),
            }
        }
    };
    let threads: Vec<_> = queues.into_iter().map(|queue| std::thread::spawn(move || work(queue))).collect();
    let mut done: Vec<usize> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    done.sort_unstable();
    assert!(done.into_iter().eq(0..300));
    assert!(watcher.snapshot().unwrap().is_complete());
}
