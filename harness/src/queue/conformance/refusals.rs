//! The operations that every queue must refuse.

use super::*;

pub(crate) fn another_trials_outcome_is_refused(start: fn(Plan) -> Join) {
    let mut join = start(plan(3));
    let mut queue = join();
    let lease = leased(&mut *queue);
    let error = queue.finish(lease, &crashed("1.test")).unwrap_err();
    assert!(matches!(error, QueueError::WrongOutcome { .. }), "{error}");
    let lease = leased(&mut *queue);
    let mut outcome = passed(&lease);
    outcome.pass = 2;
    assert!(matches!(queue.finish(lease, &outcome), Err(QueueError::WrongOutcome { .. })));
    assert_eq!(queue.snapshot().unwrap().finished(), 0);
}

pub(crate) fn a_stale_finish_is_refused(start: fn(Plan) -> Join) {
    let mut join = start(plan(2));
    let (mut a, mut b) = (join(), join());
    // Another participant cannot use a lease.
    let lease = leased(&mut *a);
    let outcome = passed(&lease);
    assert!(matches!(b.finish(lease, &outcome), Err(QueueError::Stale { worker: 1, .. })));
    // After a lease was taken over, its earlier holder cannot use it either.
    drop(a);
    let lost = b.lost().unwrap().pop().unwrap();
    let stale = Lease { name: lost.lease.name.clone(), sequence: 1, ..lost.lease };
    let outcome = passed(&stale);
    assert!(matches!(b.finish(stale, &outcome), Err(QueueError::Stale { sequence: 1, .. })));
    assert_eq!(b.snapshot().unwrap().finished(), 0);
}

pub(crate) fn a_stale_finish_brings_no_claim(start: fn(Plan) -> Join) {
    let mut join = start(plan(2));
    let (mut a, mut b) = (join(), join());
    let lease = leased(&mut *a);
    let again = Lease { name: lease.name.clone(), ..lease };
    let others = Lease { name: lease.name.clone(), ..lease };
    let mut wrong = passed(&lease);
    wrong.name = "1.test".to_owned();
    assert!(a.finish_and_claim(Lease { name: lease.name.clone(), ..lease }, &wrong).is_err());
    let outcome = passed(&others);
    assert!(matches!(b.finish_and_claim(others, &outcome), Err(QueueError::Stale { worker: 1, .. })));
    finish(&mut *a, lease);
    let outcome = passed(&again);
    assert!(matches!(a.finish_and_claim(again, &outcome), Err(QueueError::Stale { .. })));
    assert_eq!(status(&mut *a, 1).state, EntryState::Waiting);
    assert_eq!(status(&mut *a, 1).attempts, 0);
}

pub(crate) fn a_stale_requeue_is_refused(start: fn(Plan) -> Join) {
    let mut join = start(plan(1));
    let mut queue = join();
    let lease = leased(&mut *queue);
    let again = Lease { name: lease.name.clone(), ..lease };
    finish(&mut *queue, lease);
    assert!(matches!(queue.requeue(again, "failed"), Err(QueueError::Stale { .. })));
    assert!(queue.snapshot().unwrap().is_complete());
}
