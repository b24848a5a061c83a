//! Tests: which run a process joins, what happens to runs, and which participant may take whose leases.

use super::server::{TestRun, sql, there, url, wait_until};
use super::*;
use crate::queue::conformance::{leased, passed, plan};
use crate::queue::{EntryState, PlanEntry};

fn finish(queue: &mut PostgresQueue, count: usize) {
    for _ in 0..count {
        let lease = leased(queue);
        let outcome = passed(&lease);
        queue.finish(lease, &outcome).unwrap();
    }
}

fn error_text(result: Result<impl Sized, QueueError>) -> String {
    match result {
        Ok(_) => panic!("this cannot be"),
        Err(error) => error.to_string(),
    }
}

/// A new database on the shared server, deleted when this is dropped.
struct Database(String);

impl Database {
    fn new() -> Self {
        let name = format!("slt_queue_test_{:016x}", getrandom::u64().unwrap());
        sql(super::server::shared().unwrap(), &format!("CREATE DATABASE {name}"));
        Database(name)
    }

    fn url(&self) -> String {
        let shared = super::server::shared().unwrap();
        format!("{}/{}", shared.rsplit_once('/').unwrap().0, self.0)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        sql(super::server::shared().unwrap(), &format!("DROP DATABASE {} WITH (FORCE)", self.0));
    }
}

#[test]
fn an_id_names_one_run_live_or_not() {
    if !there() {
        return;
    }
    let place = TestRun::new();
    let (mut a, opened) = place.try_open(plan(3), false).unwrap();
    assert_eq!((opened, a.run_id(), a.worker()), (Opened::Started, place.run.as_str(), 1));
    let (b, opened) = place.try_open(plan(3), true).unwrap();
    assert_eq!((opened, b.worker()), (Opened::Joined, 2));
    finish(&mut a, 1);
    let _lease = leased(&mut a);
    drop((a, b));
    let (mut c, opened) = place.try_open(plan(3), false).unwrap();
    assert_eq!((opened, c.worker()), (Opened::Resumed { finished: 1, left: 2 }, 3));
    c.stop("time budget").unwrap();
    drop(c);
    let (mut d, opened) = place.try_open(plan(3), false).unwrap();
    assert_eq!(opened, Opened::Joined);
    assert!(matches!(d.claim().unwrap(), Claim::Stopped { why } if why == "time budget"));
    drop(d);
    let (mut e, opened) = place.try_open(plan(3), true).unwrap();
    assert_eq!(opened, Opened::Resumed { finished: 1, left: 2 });
    let events = [Event::Joined { worker: 5, label: String::new() }, Event::Resumed { worker: 5 }];
    assert_eq!(e.poll().unwrap(), events);
    let lost = e.lost().unwrap();
    assert_eq!((lost.len(), lost[0].worker, lost[0].lease.entry()), (1, 1, 1));
    for lost in lost {
        e.requeue(lost.lease, "its worker died").unwrap();
    }
    finish(&mut e, 2);
    drop(e);
    let (mut late, opened) = place.try_open(plan(3), false).unwrap();
    assert_eq!(opened, Opened::AlreadyFinished);
    assert!(matches!(late.claim().unwrap(), Claim::Complete));
    assert_eq!(late.snapshot().unwrap().finished(), 3);
}

#[test]
fn runs_with_several_ids_coexist() {
    if !there() {
        return;
    }
    let places = [TestRun::new(), TestRun::new()];
    let mut queues = [places[0].open(2), places[1].open(3)];
    finish(&mut queues[0], 2);
    assert!(matches!(queues[0].claim().unwrap(), Claim::Complete));
    assert_eq!(queues[1].snapshot().unwrap().finished(), 0);
    finish(&mut queues[1], 3);
    assert_eq!(queues[1].poll().unwrap().len(), 1 + 2 * 3);
}

#[test]
fn a_run_with_another_plan_or_other_files_is_not_joined() {
    if !there() {
        return;
    }
    let place = TestRun::new();
    let planned = |contents: [&str; 2]| plan(2).with_contents(contents.map(str::to_owned).to_vec());
    let (a, _) = place.try_open(planned(["1-aa", "2-bb"]), false).unwrap();
    assert_eq!(a.plan().content(1), Some("2-bb"));
    let error = place.try_open(plan(3), true).unwrap_err();
    assert!(error.to_string().contains("`2.test` is only here; `0.test`, `1.test` differ in contents"), "{error}");
    let words = error_text(place.try_open(planned(["1-aa", "2-cc"]), true));
    assert!(words.ends_with("would run: `1.test` differs in contents, includes or dialect"), "{words}");
    let reversed = Plan::new(plan(2).entries().iter().rev().cloned().collect()).unwrap();
    let (b, opened) = place.try_open(reversed.with_contents(vec!["2-bb".into(), "1-aa".into()]), true).unwrap();
    assert_eq!((opened, b.plan()), (Opened::Joined, a.plan()));
    let c = PostgresQueue::join(&url(&place.url), &place.run, &place.options()).unwrap();
    assert_eq!((c.worker(), c.plan()), (3, a.plan()));
}

#[test]
fn a_run_on_another_engine_is_not_joined_resumed_or_reported() {
    if !there() {
        return;
    }
    let planned = |engine: &str| {
        let settings = [("engine", engine), ("--label", "x")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        plan(3).with_settings(settings.into())
    };
    for finished in [0, 1, 3] {
        let place = TestRun::new();
        let (mut a, _) = place.try_open(planned("one"), false).unwrap();
        assert_eq!(a.plan().settings()["--label"], "x");
        finish(&mut a, finished);
        let refused = |resume| {
            let words = error_text(place.try_open(planned("two"), resume));
            assert!(words.ends_with("`engine` is `one` there and `two` here"), "{words}");
        };
        refused(false);
        drop(a);
        refused(false);
        refused(true);
        assert!(place.try_open(planned("one"), true).is_ok());
    }
}

#[test]
fn an_attempt_that_ended_with_its_supervisor_is_not_counted_as_a_crash() {
    if !there() {
        return;
    }
    let place = TestRun::new();
    let (supervisor, mut other) = (place.open(3), place.open(3));
    let mut workers = [(); 2].map(|()| {
        let options = OpenOptions { parent: Some(supervisor.worker()), ..place.options() };
        PostgresQueue::join(&url(&place.url), &place.run, &options).unwrap()
    });
    let leases = [leased(&mut workers[0]), leased(&mut workers[1])];
    drop((supervisor, workers, leases));
    let lost = other.lost().unwrap();
    assert!(lost.len() == 2 && lost.iter().all(|lost| lost.orphaned && lost.deaths == 1));
    lost.into_iter().for_each(|lost| other.release(lost.lease, "its supervisor ended").unwrap());
    let snapshot = other.snapshot().unwrap();
    assert!(snapshot.entries.iter().all(|entry| (entry.attempts, entry.deaths) == (0, 0)));
    assert_eq!(leased(&mut other).attempt(), 1);
}

#[test]
fn a_run_that_an_older_release_has_begun_is_refused() {
    if !there() {
        return;
    }
    let place = TestRun::new();
    place.try_open(plan(2), false).unwrap();
    place.sql("UPDATE slt_queue.runs SET settings = NULL WHERE run = :run");
    let error = place.try_open(plan(2), true).unwrap_err();
    assert!(matches!(error, QueueError::OlderRun { .. }), "{error}");
}

#[test]
fn errors_contain_no_passwords() {
    if !there() {
        return;
    }
    let place = TestRun::new();
    let open = |text: &str| error_text(PostgresQueue::open(&url(text), plan(1), &place.options()));
    let words = open("postgres://me:hunter2@127.0.0.1:1/db");
    assert!(words.starts_with("cannot connect to the queue `postgres://me@127.0.0.1:1/db`: "), "{words}");
    assert!(words.contains("refused") && !words.contains("hunter2"), "{words}");
    let words = open("postgres://me:hunter2@no-such-host.invalid/db");
    assert!(words.contains("no-such-host.invalid") && !words.contains("hunter2"), "{words}");
    let words = open(&format!("{}_no_such_database", place.url));
    assert!(words.contains("does not exist"), "{words}");
    let words = open("postgres://h/db?slt_lease=never");
    assert!(words.contains("`slt_lease` is a number of seconds"), "{words}");
    let words = error_text(PostgresQueue::join(&url(&place.url), "no-such-run", &place.options()));
    assert!(words.starts_with("there is no run `no-such-run` in `postgres://"), "{words}");
    for run in ["", "a\nb"] {
        let options = OpenOptions { run_id: Some(run.to_owned()), ..place.options() };
        assert!(matches!(PostgresQueue::open(&url(&place.url), plan(1), &options), Err(QueueError::BadRunId(_))));
    }
}

#[test]
fn a_newer_format_and_a_user_without_rights_are_refused() {
    if !there() {
        return;
    }
    let database = Database::new();
    let place = TestRun::at(&database.url());
    let role = format!("slt_queue_test_{:08x}", getrandom::u32().unwrap());
    sql(&place.url, &format!("CREATE ROLE {role} LOGIN"));
    let (scheme, rest) = place.url.split_once("://").unwrap();
    let as_role = format!("{scheme}://{role}@{}", rest.rsplit_once('@').map_or(rest, |(_, rest)| rest));
    let words = error_text(PostgresQueue::open(&url(&as_role), plan(1), &place.options()));
    sql(&place.url, &format!("DROP ROLE {role}"));
    assert!(words.contains("the user needs the right CREATE"), "{words}");
    let words = error_text(PostgresQueue::join(&url(&place.url), "one", &place.options()));
    assert!(words.starts_with("there is no run `one`"), "{words}");
    drop(place.open(1));
    place.sql("UPDATE slt_queue.format SET version = 9");
    for words in [
        error_text(place.try_open(plan(1), true)),
        error_text(PostgresQueue::join(&url(&place.url), &place.run, &place.options())),
    ] {
        assert!(words.contains("has format version 9, and this program knows 2"), "{words}");
    }
}

#[test]
fn tables_of_the_previous_format_are_migrated() {
    if !there() {
        return;
    }
    let database = Database::new();
    let place = TestRun::at(&database.url());
    let (old, _) = place.try_open(plan(1), false).unwrap();
    place.sql("ALTER TABLE slt_queue.runs DROP COLUMN settings; UPDATE slt_queue.format SET version = 1");
    let error = place.try_open(plan(1), false).unwrap_err();
    assert!(matches!(error, QueueError::OlderRun { .. }), "{error}");
    assert_eq!(place.sql("SELECT version FROM slt_queue.format"), [["2"]]);
    let place = TestRun { run: "another".to_owned(), ..place };
    assert_eq!(place.try_open(plan(1), false).unwrap().1, Opened::Started);
    drop(old);
}

#[test]
fn old_runs_are_dropped_but_not_live_or_resumable_ones() {
    if !there() {
        return;
    }
    let database = Database::new();
    let run = |name: &str, keep_runs: Option<usize>| {
        let place = TestRun { run: name.to_owned(), ..TestRun::at(&database.url()) };
        let options = OpenOptions { keep_runs, ..place.options() };
        (PostgresQueue::open(&url(&place.url), plan(1), &options).unwrap().0, place)
    };
    let (alive, _kept) = run("alive", None);
    drop(run("incomplete", None));
    for name in ["1", "2", "3"] {
        finish(&mut run(name, None).0, 1);
    }
    let (mut last, place) = run("last", Some(2));
    let there = place.sql("SELECT id FROM slt_queue.runs ORDER BY begun_at").concat();
    assert_eq!(there, ["alive", "incomplete", "3", "last"]);
    let rows =
        place.sql("SELECT count(*) FROM slt_queue.entries UNION ALL SELECT count(DISTINCT run) FROM slt_queue.events");
    assert_eq!(rows.concat(), ["4", "4"]);
    // An incomplete run is dropped, too, if no participant has been seen for an hour.
    finish(&mut last, 1);
    drop((alive, last));
    place.sql("UPDATE slt_queue.participants SET lease_until = lease_until - interval '2 hours' WHERE gone");
    let (_queue, place) = run("very last", Some(0));
    assert_eq!(place.sql("SELECT id FROM slt_queue.runs").concat(), ["very last"]);
}

#[test]
fn rows_deleted_on_the_server_are_an_error_and_never_complete() {
    if !there() {
        return;
    }
    let statements = [
        "DELETE FROM slt_queue.entries WHERE run = :run",
        "DELETE FROM slt_queue.entries WHERE run = :run AND state = 'waiting'",
        "DELETE FROM slt_queue.runs WHERE run = :run",
        "TRUNCATE slt_queue.entries",
        "TRUNCATE slt_queue.runs, slt_queue.entries, slt_queue.participants, slt_queue.events",
        "DROP SCHEMA slt_queue CASCADE",
    ];
    for statement in statements {
        let database = Database::new();
        let place = TestRun::at(&database.url());
        let mut queue = place.open(3);
        finish(&mut queue, 1);
        let lease = leased(&mut queue);
        place.sql(statement);
        if !statement.ends_with("'waiting'") {
            let outcome = passed(&lease);
            let words = error_text(queue.finish(lease, &outcome));
            assert!(words.contains("during the run") || words.contains("no longer leased"), "{statement}: {words}");
        } else {
            let outcome = passed(&lease);
            queue.finish(lease, &outcome).unwrap();
        }
        let words = error_text(queue.claim());
        assert!(
            words.contains(&format!("run `{}`", place.run)) && words.contains("during the run"),
            "{statement}: {words}"
        );
        let words = error_text(queue.snapshot());
        assert!(words.contains("during the run") || words.contains("is damaged"), "{statement}: {words}");
        if statement.contains("DELETE FROM slt_queue.entries") {
            let words = error_text(place.try_open(plan(3), true));
            assert!(words.contains("of 3 entries of its plan there are"), "{words}");
        }
    }
}

#[test]
fn a_run_that_replaced_another_is_not_mistaken_for_it() {
    if !there() {
        return;
    }
    let place = TestRun::new();
    let mut queue = place.open(2);
    let lease = leased(&mut queue);
    place.sql("DELETE FROM slt_queue.runs WHERE run = :run");
    let mut other = place.open(2);
    finish(&mut other, 2);
    let outcome = passed(&lease);
    assert!(error_text(queue.finish(lease, &outcome)).contains("deleted during the run"));
    assert!(error_text(queue.claim()).contains("deleted during the run"));
    assert!(error_text(queue.snapshot()).contains("deleted during the run"));
    assert!(other.snapshot().unwrap().is_complete());
}

#[test]
fn while_a_supervisor_is_alive_only_it_takes_its_workers_leases() {
    if !there() {
        return;
    }
    let place = TestRun::new();
    let (mut mine, mut other) = (place.open(2), place.open(2));
    let worker = |supervisor: &PostgresQueue| {
        let options = OpenOptions { parent: Some(supervisor.worker()), label: "w".into(), ..place.options() };
        PostgresQueue::join(&url(&place.url), &place.run, &options).unwrap()
    };
    let (mut first, mut second) = (worker(&mine), worker(&mine));
    let _leases = (leased(&mut first), leased(&mut second));
    drop(first);
    assert!(other.lost().unwrap().is_empty());
    let lost = mine.lost().unwrap().pop().unwrap();
    assert_eq!((lost.worker, lost.lease.entry()), (3, 0));
    drop(second);
    assert!(other.lost().unwrap().is_empty());
    drop(mine);
    let lost: Vec<_> = other.lost().unwrap().iter().map(|lost| (lost.worker, lost.deaths)).collect();
    assert_eq!(lost, [(3, 1), (4, 1)]);
}

/// Makes the server treat a participant as one on another machine.
fn send_away(place: &TestRun, worker: u32) {
    place.sql(&format!("UPDATE slt_queue.participants SET place = 'elsewhere' WHERE run = :run AND worker = {worker}"));
}

fn end_session(place: &TestRun, worker: u32) {
    let ended = place.sql(&format!(
        "SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN slt_queue.participants p
         ON p.lock = (l.classid::bigint << 32) | l.objid::bigint AND l.locktype = 'advisory'
         WHERE p.run = :run AND p.worker = {worker}"
    ));
    assert_eq!(ended.concat(), ["t"]);
}

#[test]
fn a_supervisors_heartbeat_covers_its_workers() {
    if !there() {
        return;
    }
    let mut place = TestRun::new();
    place.url += "?slt_lease=1.5";
    let (mut mine, mut other) = (place.open(2), place.open(2));
    let options = OpenOptions { parent: Some(mine.worker()), label: "w".into(), ..place.options() };
    let mut worker = PostgresQueue::join(&url(&place.url), &place.run, &options).unwrap();
    let lease = leased(&mut worker);
    send_away(&place, 3);
    // The worker is in the middle of a file, and cannot reconnect before the end of the file.
    end_session(&place, 3);
    let mut signs = std::collections::HashSet::new();
    wait_until("there have been ten signs of life", || {
        assert!(other.lost().unwrap().is_empty() && mine.lost().unwrap().is_empty());
        signs.extend(place.sql("SELECT lease_until FROM slt_queue.participants WHERE run = :run AND worker = 3"));
        (signs.len() >= 10).then_some(())
    });
    let outcome = passed(&lease);
    worker.finish(lease, &outcome).unwrap();
    // Without the supervisor, the worker is declared lost like any other participant.
    let lease = leased(&mut worker);
    end_session(&place, 3);
    drop(mine);
    let lost = wait_until("its lease is lost", || other.lost().unwrap().pop());
    assert_eq!((lost.worker, lost.lease.entry()), (3, 1));
    let outcome = passed(&lease);
    assert!(matches!(worker.finish(lease, &outcome), Err(QueueError::Stale { .. })));
}

#[test]
fn a_participant_without_a_session_has_a_third_of_a_lease_to_reconnect() {
    if !there() {
        return;
    }
    let mut place = TestRun::new();
    place.url += "?slt_lease=1.5";
    let (mut a, mut b) = (place.open(2), place.open(2));
    let lease = leased(&mut a);
    send_away(&place, 1);
    // The participant reconnects by itself, even in the middle of a file.
    end_session(&place, 1);
    let comes_back = || {
        let held = place.sql(
            "SELECT count(*) FROM pg_locks l JOIN slt_queue.participants p
             ON p.lock = (l.classid::bigint << 32) | l.objid::bigint AND l.locktype = 'advisory'
             WHERE p.run = :run AND p.worker = 1 AND p.missed_at IS NULL",
        );
        (held.concat() == ["1"]).then_some(())
    };
    wait_until("it has a session again", comes_back);
    assert!(b.lost().unwrap().is_empty());
    let outcome = passed(&lease);
    a.finish(lease, &outcome).unwrap();
    assert_eq!(b.snapshot().unwrap().finished(), 1);
}

#[test]
fn a_participant_declared_dead_can_do_nothing_more() {
    if !there() {
        return;
    }
    let mut place = TestRun::new();
    // Long enough that no heartbeat is sent in between.
    place.url += "?slt_lease=600";
    let (mut a, mut b) = (place.open(3), place.open(3));
    let (stale, other) = (leased(&mut a), leased(&mut a));
    place.sql("UPDATE slt_queue.participants SET lease_until = clock_timestamp() - interval '1 second' WHERE run = :run AND worker = 1");
    assert!(b.lost().unwrap().is_empty(), "it is only missed");
    let missed = place.sql("SELECT missed_at IS NOT NULL FROM slt_queue.participants WHERE run = :run AND worker = 1");
    assert_eq!(missed.concat(), ["t"]);
    assert!(b.lost().unwrap().is_empty());
    place.sql(
        "UPDATE slt_queue.participants SET missed_at = missed_at - interval '200 s' WHERE run = :run AND worker = 1",
    );
    let lost = b.lost().unwrap();
    assert_eq!(lost.iter().map(|lost| (lost.worker, lost.deaths)).collect::<Vec<_>>(), [(1, 1), (1, 1)]);
    let outcome = passed(&stale);
    assert!(matches!(a.finish(stale, &outcome), Err(QueueError::Stale { worker: 1, .. })));
    assert!(matches!(a.requeue(other, "mine"), Err(QueueError::Stale { .. })));
    assert!(error_text(a.claim()).contains("worker 1 was declared lost"));
    assert!(error_text(a.stop("enough")).contains("worker 1 was declared lost"));
    assert!(a.lost().unwrap().is_empty());
    for lost in lost {
        let outcome = passed(&lost.lease);
        b.finish(lost.lease, &outcome).unwrap();
    }
    finish(&mut b, 1);
    assert!(b.snapshot().unwrap().is_complete());
    drop(a);
    assert!(matches!(b.claim().unwrap(), Claim::Complete));
}

#[test]
fn a_hundred_thousand_entries_are_fast() {
    if !there() {
        return;
    }
    let place = TestRun::new();
    let names = (0..100_000).map(|i| PlanEntry::new(format!("index/between/1000/slt_good_{i}.test"), 1));
    let plan = Plan::new(names.collect()).unwrap();
    let (mut a, _) = place.try_open(plan.clone(), false).unwrap();
    finish(&mut a, 10);
    let (mut b, opened) = place.try_open(plan, false).unwrap();
    assert_eq!((opened, b.plan().len()), (Opened::Joined, 100_000));
    let snapshot = b.snapshot().unwrap();
    assert_eq!((snapshot.finished(), &snapshot.entries[10].state), (10, &EntryState::Waiting));
    // The server finds the next entry by an index, without a scan of all entries.
    let claim = sql::CLAIM.replace("$1", ":run").replace("$2", "1").replace("$3", "99");
    let explained =
        place.sql(&format!("SET enable_seqscan = off; SET enable_bitmapscan = off; EXPLAIN {claim}")).concat();
    for index in ["Index Scan using entries_waiting on entries e", "Index Scan using entries_pkey on entries e_1"] {
        assert!(explained.join("\n").contains(index), "{explained:#?}");
    }
    place.sql("DELETE FROM slt_queue.entries WHERE run = :run");
}
