//! Which run a process joins: tests of [`opening`](super::opening).

use std::path::PathBuf;

use super::*;
use crate::queue::conformance::{leased, passed, plan};
use crate::queue::{REWRITES, Settings};

struct QueueDir {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl QueueDir {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        QueueDir { path: folder.path().join("deep/er/queue"), _folder: folder }
    }

    fn try_open(&self, length: usize, run: Option<&str>, resume: bool) -> Result<(FileQueue, Opened), QueueError> {
        let options = OpenOptions { run_id: run.map(str::to_owned), resume, ..OpenOptions::default() };
        FileQueue::open(&self.path, plan(length), &options)
    }

    fn open(&self, length: usize, run: Option<&str>, resume: bool) -> (FileQueue, Opened) {
        self.try_open(length, run, resume).unwrap()
    }
}

fn finish(queue: &mut FileQueue, count: usize) {
    for _ in 0..count {
        let lease = leased(queue);
        let outcome = passed(&lease);
        queue.finish(lease, &outcome).unwrap();
    }
}

#[test]
fn processes_without_a_run_id_join_each_other() {
    let place = QueueDir::new();
    let (a, opened) = place.open(3, None, false);
    assert_eq!(opened, Opened::Started);
    let (b, opened) = place.open(3, None, false);
    assert_eq!(opened, Opened::Joined);
    assert_eq!((a.worker(), b.worker(), a.run_id()), (1, 2, b.run_id()));
    let (_, opened) = place.open(3, None, true);
    assert_eq!(opened, Opened::Joined);
}

#[test]
fn the_order_of_a_run_is_that_of_its_first_participant() {
    let place = QueueDir::new();
    let (_a, _) = place.open(3, None, false);
    let reversed = Plan::new(plan(3).entries().iter().rev().cloned().collect()).unwrap();
    let (b, _) = FileQueue::open(&place.path, reversed, &OpenOptions::default()).unwrap();
    assert_eq!(b.plan(), &plan(3));
}

#[test]
fn a_complete_run_is_replaced_once_everybody_has_left() {
    let place = QueueDir::new();
    let (mut a, _) = place.open(2, None, false);
    finish(&mut a, 2);
    let (b, opened) = place.open(2, None, false);
    assert_eq!(opened, Opened::Joined);
    let run = a.run_id().to_owned();
    drop((a, b));
    let (mut c, opened) = place.open(2, None, true);
    assert_eq!(opened, Opened::ReplacedComplete { run });
    assert_eq!((c.worker(), c.snapshot().unwrap().finished()), (1, 0));
}

#[test]
fn an_incomplete_run_is_replaced_with_a_message() {
    let place = QueueDir::new();
    let (mut a, _) = place.open(3, None, false);
    finish(&mut a, 1);
    let _lease = leased(&mut a);
    let run = a.run_id().to_owned();
    drop(a);
    let (mut b, opened) = place.open(3, None, false);
    let text = format!("run `{run}` was dropped with 1 finished and 2 left (`--resume` continues such a run)");
    assert!(opened.to_string().ends_with(&text), "{opened}");
    assert_eq!(opened, Opened::ReplacedIncomplete { run, finished: 1, left: 2, other_plan: false });
    assert_eq!(b.snapshot().unwrap().finished(), 0);
}

#[test]
fn an_incomplete_run_is_resumed_on_request() {
    let place = QueueDir::new();
    let (mut a, _) = place.open(3, None, false);
    finish(&mut a, 1);
    let _lease = leased(&mut a);
    a.stop("interrupted").unwrap();
    drop(a);
    let (mut b, opened) = place.open(3, None, true);
    assert_eq!(opened, Opened::Resumed { finished: 1, left: 2 });
    assert_eq!(b.lost().unwrap().len(), 1);
    finish(&mut b, 1);
    assert_eq!(
        b.poll().unwrap()[..2],
        [Event::Joined { worker: 2, label: String::new() }, Event::Resumed { worker: 2 }]
    );
}

#[test]
fn a_run_with_another_plan_is_not_joined() {
    let place = QueueDir::new();
    let (mut a, _) = place.open(3, Some("one"), false);
    let error = place.try_open(4, None, true).unwrap_err();
    assert!(error.to_string().ends_with("differs from what this process would run: `3.test` is only here"), "{error}");
    finish(&mut a, 1);
    drop(a);
    for run in [Some("one"), None] {
        assert!(matches!(place.try_open(4, run, true), Err(QueueError::OtherPlan { .. })));
    }
    let (_, opened) = place.open(4, None, false);
    assert_eq!(opened, Opened::ReplacedIncomplete { run: "one".into(), finished: 1, left: 2, other_plan: true });
}

/// A plan of 3 entries whose files hold `content`, on the engine `engine`.
fn detailed(content: &str, engine: &str) -> Plan {
    let settings = Settings::from([("engine".to_owned(), engine.to_owned())]);
    plan(3).with_contents(vec![content.to_owned(); 3]).with_settings(settings)
}

#[test]
fn a_run_with_other_contents_or_settings_is_not_joined_resumed_or_reported() {
    let options =
        |run: Option<&str>, resume| OpenOptions { run_id: run.map(str::to_owned), resume, ..OpenOptions::default() };
    for finished in [1, 3] {
        let place = QueueDir::new();
        let open = |plan: Plan, run: Option<&str>, resume| FileQueue::open(&place.path, plan, &options(run, resume));
        let (mut a, _) = open(detailed("1-aa", "one"), Some("one"), false).unwrap();
        assert_eq!((a.plan().content(2), a.plan().settings()["engine"].as_str()), (Some("1-aa"), "one"));
        finish(&mut a, finished);
        let refused = |run: Option<&str>, resume| {
            let files = open(detailed("2-bb", "one"), run, resume).unwrap_err().to_string();
            assert!(files.contains("`0.test`, `1.test`, `2.test` differ in contents, includes or dialect"), "{files}");
            let engine = open(detailed("1-aa", "two"), run, resume).unwrap_err().to_string();
            assert!(engine.ends_with("`engine` is `one` there and `two` here"), "{engine}");
        };
        refused(None, false);
        refused(Some("one"), true);
        let (b, opened) = open(detailed("1-aa", "one"), None, false).unwrap();
        assert_eq!((opened, b.plan()), (Opened::Joined, a.plan()));
        drop((a, b));
        refused(Some("one"), false);
        refused(Some("one"), true);
        if finished < 3 {
            refused(None, true);
            assert!(matches!(open(detailed("1-aa", "one"), None, true).unwrap().1, Opened::Resumed { .. }));
        }
        // If no id is given, a new run replaces the existing one.
        let (_, opened) = open(detailed("2-bb", "two"), None, false).unwrap();
        assert!(matches!(opened, Opened::ReplacedComplete { .. } | Opened::ReplacedIncomplete { .. }), "{opened}");
    }
}

#[test]
fn a_run_that_rewrites_its_files_is_not_resumed() {
    let place = QueueDir::new();
    let rewriting = || plan(3).with_settings(Settings::from([(REWRITES.to_owned(), "on".to_owned())]));
    let open = |run: &str, resume| {
        let options = OpenOptions { run_id: Some(run.to_owned()), resume, ..OpenOptions::default() };
        FileQueue::open(&place.path, rewriting(), &options)
    };
    let (mut a, _) = open("one", false).unwrap();
    finish(&mut a, 1);
    assert_eq!(open("one", false).unwrap().1, Opened::Joined);
    drop(a);
    assert!(matches!(open("one", true), Err(QueueError::Rewritten { .. })));
    let options = OpenOptions { resume: true, ..OpenOptions::default() };
    assert!(matches!(FileQueue::open(&place.path, rewriting(), &options), Err(QueueError::Rewritten { .. })));
    let (mut b, _) = open("two", true).unwrap();
    finish(&mut b, 3);
    drop(b);
    assert!(matches!(open("two", false), Err(QueueError::Rewritten { .. })));
    assert!(matches!(open("three", false).unwrap().1, Opened::ReplacedComplete { .. }));
}

#[test]
fn a_run_of_an_older_release_is_refused_or_replaced() {
    let place = QueueDir::new();
    drop(place.open(3, Some("one"), false));
    // The format of version 1. Records depend on the bytes of the header, so there are none.
    let mut bytes = std::fs::read(&place.path).unwrap();
    assert!(bytes.starts_with(b"{\"slt-queue\":2,"));
    bytes[13] = b'1';
    let header: serde_json::Value = serde_json::from_slice(&bytes[..512]).unwrap();
    bytes.truncate(512 + header["plan_bytes"].as_u64().unwrap() as usize);
    std::fs::write(&place.path, bytes).unwrap();
    for run in [Some("one"), None] {
        let error = place.try_open(3, run, true).unwrap_err();
        assert!(matches!(error, QueueError::OlderRun { .. }), "{error}");
    }
    assert!(matches!(place.open(3, None, false).1, Opened::ReplacedIncomplete { other_plan: true, .. }));
}

#[test]
fn another_run_id_is_never_mixed_in() {
    let place = QueueDir::new();
    let (mut a, _) = place.open(2, Some("one"), false);
    let error = place.try_open(2, Some("two"), true).unwrap_err();
    assert!(matches!(&error, QueueError::OtherRun { run, .. } if run == "one"), "{error}");
    assert!(matches!(FileQueue::join(&place.path, "two", &OpenOptions::default()), Err(QueueError::NoSuchRun { .. })));
    assert_eq!(FileQueue::join(&place.path, "one", &OpenOptions::default()).unwrap().worker(), 2);
    finish(&mut a, 2);
    assert!(matches!(place.try_open(2, Some("two"), false), Err(QueueError::OtherRun { .. })));
    drop(a);
    let (b, opened) = place.open(2, Some("two"), false);
    assert_eq!((opened, b.run_id()), (Opened::ReplacedComplete { run: "one".into() }, "two"));
}

#[test]
fn a_late_joiner_of_a_finished_run_gets_already_finished() {
    let place = QueueDir::new();
    let (mut a, _) = place.open(1, Some("one"), false);
    finish(&mut a, 1);
    assert_eq!(place.open(1, Some("one"), false).1, Opened::AlreadyFinished);
    drop(a);
    let (mut b, opened) = place.open(1, Some("one"), true);
    assert_eq!(opened, Opened::AlreadyFinished);
    assert!(matches!(b.claim().unwrap(), Claim::Complete));
    assert_eq!(b.snapshot().unwrap().finished(), 1);
}

#[test]
fn a_run_id_names_one_run_even_without_participants() {
    let place = QueueDir::new();
    let (mut a, _) = place.open(3, Some("one"), false);
    finish(&mut a, 1);
    drop(a);
    let (mut b, opened) = place.open(3, Some("one"), false);
    assert_eq!(opened, Opened::Resumed { finished: 1, left: 2 });
    b.stop("time budget").unwrap();
    drop(b);
    let (mut c, opened) = place.open(3, Some("one"), false);
    assert_eq!(opened, Opened::Joined);
    assert!(matches!(c.claim().unwrap(), Claim::Stopped { .. }));
    drop(c);
    let (mut d, opened) = place.open(3, Some("one"), true);
    assert_eq!(opened, Opened::Resumed { finished: 1, left: 2 });
    finish(&mut d, 2);
}

/// One more worker of the supervisor `parent`.
fn worker_of(place: &QueueDir, run: &str, parent: u32) -> FileQueue {
    let options = OpenOptions { label: "w".to_owned(), parent: Some(parent), ..OpenOptions::default() };
    FileQueue::join(&place.path, run, &options).unwrap()
}

#[test]
fn an_attempt_that_ended_with_its_supervisor_is_not_counted_as_a_crash() {
    let place = QueueDir::new();
    let (mut supervisor, _) = place.open(3, Some("one"), false);
    let (mut other, _) = place.open(3, Some("one"), false);
    let mut workers = [(); 3].map(|()| worker_of(&place, "one", supervisor.worker()));
    let leases = [leased(&mut workers[0]), leased(&mut workers[1]), leased(&mut workers[2])];
    let [first, second, third] = workers;
    // While a worker's supervisor runs, the worker ended by itself, and the supervisor settles it.
    drop(first);
    assert!(other.lost().unwrap().is_empty());
    let lost = supervisor.lost().unwrap().pop().unwrap();
    assert!(!lost.orphaned && lost.deaths == 1);
    supervisor.requeue(lost.lease, "died").unwrap();
    drop((supervisor, second, third, leases));
    let lost = other.lost().unwrap();
    assert!(lost.len() == 2 && lost.iter().all(|lost| lost.orphaned));
    lost.into_iter().for_each(|lost| other.release(lost.lease, "its supervisor ended").unwrap());
    let snapshot = other.snapshot().unwrap();
    assert!(snapshot.entries.iter().map(|entry| (entry.attempts, entry.deaths)).eq([(1, 1), (0, 0), (0, 0)]));
    // Leases that a supervisor takes from its own workers are not counted here.
    let mut worker = worker_of(&place, "one", other.worker());
    let _lease = leased(&mut worker);
    drop(worker);
    assert!(!other.lost().unwrap()[0].orphaned);
}

#[test]
fn the_live_files_of_earlier_runs_are_deleted() {
    let place = QueueDir::new();
    let count = || std::fs::read_dir(place.path.with_extension("live")).unwrap().count();
    for _ in 0..3 {
        let (_a, _) = place.open(1, None, false);
        let (_b, _) = place.open(1, None, false);
        assert_eq!(count(), 2);
    }
}

#[test]
fn a_run_id_is_a_line_of_text() {
    let place = QueueDir::new();
    for run in ["", "a\nb", &"x".repeat(101)] {
        assert!(matches!(place.try_open(1, Some(run), false), Err(QueueError::BadRunId(_))), "{run:?}");
    }
    let longest = "\"".repeat(100);
    assert_eq!(place.open(1, Some(&longest), false).0.run_id(), longest);
    assert_eq!(FileQueue::join(&place.path, &longest, &OpenOptions::default()).unwrap().worker(), 2);
}

#[test]
fn a_run_that_is_not_there_cannot_be_joined() {
    let place = QueueDir::new();
    let error = FileQueue::join(&place.path, "one", &OpenOptions::default()).unwrap_err();
    assert!(error.to_string().contains("deep/er/queue`"), "{error}");
    std::fs::create_dir_all(place.path.parent().unwrap()).unwrap();
    std::fs::write(&place.path, "").unwrap();
    assert!(matches!(FileQueue::join(&place.path, "one", &OpenOptions::default()), Err(QueueError::NoSuchRun { .. })));
}

#[test]
fn a_hundred_thousand_entries_are_fast() {
    let place = QueueDir::new();
    let names = (0..100_000).map(|i| PlanEntry::new(format!("index/between/1000/slt_good_{i}.test"), 1));
    let plan = Plan::new(names.collect()).unwrap();
    let (mut a, _) = FileQueue::open(&place.path, plan.clone(), &OpenOptions::default()).unwrap();
    finish(&mut a, 10);
    let (b, opened) = FileQueue::open(&place.path, plan, &OpenOptions::default()).unwrap();
    assert_eq!((opened, b.plan().len()), (Opened::Joined, 100_000));
}
