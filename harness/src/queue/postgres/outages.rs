//! Tests with real server crashes and connection failures.

use std::fs;
use std::process::ExitStatus;

use rustix::process::Signal;

use super::faults::{assert_exactly_once, place, server, spawn};
use super::proxy::{Proxy, Way};
use super::server::{Server, TestRun, is_there, wait_until};
use super::*;
use crate::queue::conformance::{leased, passed, plan};
use crate::queue::process::Process;
use crate::queue::{EntryState, EntryStatus};

const ENTRIES: usize = 100;

fn own_server() -> Option<Server> {
    let server = Server::new();
    is_there(server.is_some()).then_some(server).flatten()
}

/// Workers that give most entries back until [`end`] is called.
fn workers(place: &TestRun, count: usize) -> Vec<Process> {
    fs::write(place.folder.path().join("hammer"), "").unwrap();
    // Creates the tables.
    drop(place.open(ENTRIES));
    (0..count).map(|_| spawn(place, ENTRIES, "work")).collect()
}

fn end(place: &TestRun, processes: Vec<Process>) -> Vec<(ExitStatus, String)> {
    let _ = fs::remove_file(place.folder.path().join("hammer"));
    let ended = processes.into_iter().map(|mut process| {
        let mut words = String::new();
        if let Some(mut stdout) = process.0.stdout.take() {
            let _ = std::io::Read::read_to_string(&mut stdout, &mut words);
        }
        (process.wait(), words)
    });
    ended.collect()
}

/// How often each of the workers has claimed an entry.
fn claims(place: &TestRun) -> Vec<u64> {
    let counts = place.sql(
        "SELECT count(v.n) FROM slt_queue.participants p
         LEFT JOIN slt_queue.events v ON v.run = p.run AND v.worker = p.worker AND v.kind = 'claim'
         WHERE p.run = :run AND NOT p.gone GROUP BY p.worker ORDER BY p.worker",
    );
    counts.concat().iter().map(|count| count.parse().unwrap()).collect()
}

/// Waits until this many workers have claimed an entry, and have claimed more since.
fn wait_for_progress(place: &TestRun, count: usize) {
    let mut before = Vec::new();
    wait_until("all workers get on", || {
        let now = claims(place);
        let get_on = |before: &Vec<u64>| before.iter().zip(&now).all(|(before, now)| *now >= before + 5);
        if before.len() == count && get_on(&before) {
            return Some(());
        }
        if before.len() != count && now.len() == count {
            before = now;
        }
        None
    });
}

#[test]
fn a_server_crash_and_restart_loses_nothing() {
    let Some(mut server) = own_server() else { return };
    // A third of this lease is the time to reconnect, and a server starts slowly on a busy machine.
    let place = place(&server, 120.0);
    let processes = workers(&place, 4);
    for signal in [Signal::KILL, Signal::QUIT, Signal::KILL] {
        wait_for_progress(&place, 4);
        server.stop(signal);
        server.start();
    }
    wait_for_progress(&place, 4);
    for (status, words) in end(&place, processes) {
        assert!(status.success(), "{status}: {words}");
    }
    let mut queue = place.open(ENTRIES);
    assert_exactly_once(&place, &mut queue);
    assert_eq!(queue.worker(), 6);
    // No participant that was only disconnected was declared lost.
    assert_eq!(queue.snapshot().unwrap().entries.iter().map(|entry| entry.deaths).sum::<u32>(), 0);
}

#[test]
fn a_server_that_restarts_without_its_data_is_an_error_for_everyone() {
    let Some(mut server) = own_server() else { return };
    let place = place(&server, 30.0);
    let mut queue = place.open(ENTRIES);
    let lease = leased(&mut queue);
    let processes = workers(&place, 2);
    wait_until("both have begun", || (claims(&place).iter().filter(|claims| **claims > 0).count() == 3).then_some(()));
    server.stop(Signal::QUIT);
    server.make();
    server.start();
    let outcome = passed(&lease);
    let error_text = |result: Result<(), QueueError>| result.unwrap_err().to_string();
    for words in [
        error_text(queue.finish(lease, &outcome)),
        error_text(queue.claim().map(drop)),
        error_text(queue.snapshot().map(drop)),
        error_text(queue.poll().map(drop)),
        error_text(queue.lost().map(drop)),
    ] {
        assert!(words.contains(&place.run) && words.contains("was deleted with all tables during the run"), "{words}");
    }
    for (status, words) in end(&place, processes) {
        assert_eq!(status.code(), Some(3), "{words}");
        assert!(words.contains("was deleted with all tables during the run"), "{words}");
    }
    // A new process starts the whole run again; earlier participants are refused.
    let (mut new, opened) = place.try_open(plan(ENTRIES), true).unwrap();
    assert_eq!((opened, new.snapshot().unwrap().finished()), (Opened::Started, 0));
    let words = error_text(queue.claim().map(drop));
    assert!(words.contains("was deleted during the run"), "{words}");
}

#[test]
fn an_unreachable_server_is_named_in_the_error() {
    let Some(mut server) = own_server() else { return };
    let mut place = place(&server, 0.5);
    place.url = place.url.replace("slt@", "slt:hunter2@");
    let mut queue = place.open(1);
    server.stop(Signal::QUIT);
    let words = queue.claim().unwrap_err().to_string();
    assert!(words.starts_with("no connection to the queue `postgres://slt@127.0.0.1:"), "{words}");
    assert!(words.contains(" s: ") && !words.contains("hunter2"), "{words}");
}

#[test]
fn cut_connections_and_lost_replies_lose_nothing() {
    let Some(server) = server() else { return };
    let proxy = Proxy::new(server.port());
    let direct = place(server, 6.0);
    let through = TestRun { url: format!("{}?slt_lease=6", proxy.url()), ..place(server, 6.0) };
    let processes = workers(&through, 3);
    let direct = TestRun { run: through.run.clone(), ..direct };
    for round in 0..24 {
        wait_for_progress(&direct, 3);
        match round % 2 {
            0 => proxy.cut(),
            _ => proxy.swallow(round % 8),
        }
    }
    wait_for_progress(&direct, 3);
    for (status, words) in end(&through, processes) {
        assert!(status.success(), "{status}: {words}");
    }
    assert!(proxy.swallowed() > 5, "{} replies were swallowed", proxy.swallowed());
    let mut queue = through.open(ENTRIES);
    assert_exactly_once(&through, &mut queue);
    assert_eq!(queue.snapshot().unwrap().entries.iter().map(|entry| entry.deaths).sum::<u32>(), 0);
}

#[test]
fn an_operation_whose_reply_is_lost_has_taken_effect_once() {
    let Some(server) = server() else { return };
    let proxy = Proxy::new(server.port());
    // Long enough that no heartbeat is sent in between.
    let place = TestRun { url: format!("{}?slt_lease=600", proxy.url()), ..place(server, 600.0) };
    let mut queue = place.open(12);
    let warm = |queue: &mut PostgresQueue| {
        // The first use of a statement on a connection prepares it, and that has its own reply.
        let lease = leased(queue);
        queue.requeue(lease, "warm").unwrap();
        let lease = leased(queue);
        let outcome = passed(&lease);
        queue.finish(lease, &outcome).unwrap();
        assert!(queue.lost().unwrap().is_empty());
    };
    let finish_and_claim = |queue: &mut PostgresQueue, lease: Lease| {
        let outcome = passed(&lease);
        match queue.finish_and_claim(lease, &outcome).unwrap() {
            Claim::Leased(lease) => lease,
            other => panic!("{other:?}"),
        }
    };
    let mut swallowed = 0;
    let mut lose = |passing| {
        assert_eq!(proxy.swallowed(), swallowed, "the reply before was lost");
        swallowed += 1;
        proxy.swallow(passing);
    };
    let status = |queue: &mut PostgresQueue, entry: usize| queue.snapshot().unwrap().entries[entry].clone();
    let waiting = EntryStatus { attempts: 2, ..EntryStatus::default() };

    warm(&mut queue);
    lose(0);
    let lease = leased(&mut queue);
    assert_eq!((lease.entry(), lease.attempt()), (1, 1));
    warm(&mut queue);
    lose(0);
    queue.requeue(lease, "lost").unwrap();
    assert_eq!(status(&mut queue, 1), EntryStatus { attempts: 1, ..waiting.clone() });
    let lease = leased(&mut queue);
    assert_eq!((lease.entry(), lease.attempt()), (1, 2));
    warm(&mut queue);
    lose(0);
    let outcome = passed(&lease);
    queue.finish(lease, &outcome.clone()).unwrap();
    assert_eq!(status(&mut queue, 1), EntryStatus { state: EntryState::Final(Box::new(outcome)), ..waiting });

    let lease = leased(&mut queue);
    let lease = finish_and_claim(&mut queue, lease);
    let closed = lease.entry();
    warm(&mut queue);
    lose(0);
    let lease = finish_and_claim(&mut queue, lease);
    assert!(matches!(status(&mut queue, closed).state, EntryState::Final(_)));
    assert_eq!(status(&mut queue, lease.entry()).state, EntryState::Leased { worker: 1 });
    let outcome = passed(&lease);
    queue.finish(lease, &outcome).unwrap();

    // Take over two leases of a lost participant, twice: first without a loss, which prepares the statements; then with a lost
    // reply.
    for passing in [None, Some(2)] {
        let direct = TestRun { run: place.run.clone(), ..self::place(server, 600.0) };
        let mut dies = direct.open(12);
        let entries = [leased(&mut dies).entry(), leased(&mut dies).entry()];
        drop(dies);
        if let Some(passing) = passing {
            lose(passing);
        }
        let lost = queue.lost().unwrap();
        assert_eq!(lost.iter().map(|lost| lost.lease.entry()).collect::<Vec<_>>(), entries);
        for lost in lost {
            assert_eq!(lost.deaths, 1 + u32::from(passing.is_some()));
            queue.requeue(lost.lease, "its worker died").unwrap();
        }
    }
    queue.stop("warm").unwrap();
    place.sql("UPDATE slt_queue.runs SET stopped = NULL WHERE run = :run");
    lose(0);
    queue.stop("enough").unwrap();
    assert_eq!(queue.snapshot().unwrap().stopped.as_deref(), Some("enough"));
    assert_eq!(proxy.swallowed(), swallowed);
    let events = place.sql(
        "SELECT kind, count(*), max(n) - min(n) + 1 - count(*) FROM slt_queue.events
         WHERE run = :run AND worker = 1 AND kind IN ('stop') GROUP BY kind",
    );
    assert_eq!(events, [["stop", "2", "0"]]);
    // Nothing happened twice, and nothing is missing.
    let gaps = place.sql("SELECT count(*) - max(n) FROM slt_queue.events WHERE run = :run GROUP BY worker").concat();
    assert!(gaps.iter().all(|gap| gap == "0"), "{gaps:?}");
}

#[test]
fn a_hanging_connection_is_replaced_and_its_lease_kept() {
    let Some(server) = server() else { return };
    let proxy = Proxy::new(server.port());
    let place = place(server, 3.0);
    let mut watcher = place.open(2);
    let through = TestRun { url: format!("{}?slt_lease=3", proxy.url()), ..self::place(server, 3.0) };
    let through = TestRun { run: place.run.clone(), ..through };
    let mut queue = through.open(2);
    let lease = leased(&mut queue);
    let session = || {
        let pids = place.sql(
            "SELECT l.pid FROM pg_locks l JOIN slt_queue.participants p
             ON p.lock = (l.classid::bigint << 32) | l.objid::bigint AND l.locktype = 'advisory'
             WHERE p.run = :run AND p.worker = 2 AND l.granted",
        );
        pids.concat().pop()
    };
    let before = session().unwrap();
    proxy.set(Way::Still);
    wait_until("it has another session", || {
        assert!(watcher.lost().unwrap().is_empty());
        session().filter(|now| *now != before)
    });
    let outcome = passed(&lease);
    queue.finish(lease, &outcome).unwrap();
    assert!(watcher.lost().unwrap().is_empty());
    assert_eq!(watcher.snapshot().unwrap().finished(), 1);
}

#[test]
fn a_participant_disconnected_longer_than_its_lease_is_refused() {
    let Some(server) = server() else { return };
    let proxy = Proxy::new(server.port());
    let place = place(server, 1.5);
    let mut watcher = place.open(1);
    let through = TestRun { url: format!("{}?slt_lease=1.5", proxy.url()), ..self::place(server, 1.5) };
    let through = TestRun { run: place.run.clone(), ..through };
    let mut queue = through.open(1);
    let lease = leased(&mut queue);
    proxy.set(Way::AllStill);
    let lost = wait_until("its lease is lost", || watcher.lost().unwrap().pop());
    assert_eq!((lost.worker, lost.deaths), (2, 1));
    let mut theirs = passed(&lost.lease);
    theirs.wall_us = 4711;
    watcher.finish(lost.lease, &theirs.clone()).unwrap();
    proxy.set(Way::Open);
    let outcome = passed(&lease);
    let error = queue.finish(lease, &outcome).unwrap_err();
    assert!(matches!(error, QueueError::Stale { worker: 2, .. }), "{error}");
    assert_eq!(watcher.snapshot().unwrap().outcomes().collect::<Vec<_>>(), [&theirs]);
    let words = queue.claim().unwrap_err().to_string();
    assert!(words.contains("worker 2 was declared lost"), "{words}");
}
