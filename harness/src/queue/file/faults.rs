//! Tests that kill real processes.
//!
//! A child is this test binary, started again; `SLT_QUEUE_CHILD` says which of the [`child`]'s parts to run.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use super::*;
use crate::queue::conformance::{leased, passed, plan};
use crate::queue::process::{Process, kill_and_settle, prepare, wait_for_parent};

const RUN: &str = "one";

/// A run, and the folder where its child processes work.
struct QueueTest {
    folder: tempfile::TempDir,
    entries: usize,
}

impl QueueTest {
    fn new(entries: usize) -> Self {
        QueueTest { folder: tempfile::tempdir().unwrap(), entries }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn open(&self) -> FileQueue {
        open(&self.file("queue"), self.entries, Some(RUN), true).unwrap().0
    }

    fn command(&self, part: &str) -> Command {
        self.prepare(Command::new(std::env::current_exe().unwrap()), part)
    }

    fn prepare(&self, command: Command, part: &str) -> Command {
        let mut command = prepare(command, "queue::file::faults::child");
        command
            .env("SLT_QUEUE_CHILD", part)
            .env("SLT_QUEUE_FOLDER", self.folder.path())
            .env("SLT_QUEUE_ENTRIES", self.entries.to_string());
        command
    }

    fn spawn(&self, part: &str) -> Process {
        Process::spawn(&mut self.command(part))
    }

    /// Every entry has one outcome, from the participant whose finish was accepted.
    fn assert_exactly_once(&self, queue: &mut FileQueue) {
        let snapshot = queue.snapshot().unwrap();
        assert!(snapshot.is_complete());
        let tokens: Vec<u64> = snapshot.outcomes().map(|outcome| outcome.wall_us).collect();
        let mut finished = HashMap::new();
        for line in fs::read_to_string(self.file("finished")).unwrap_or_default().lines() {
            let (entry, token) = line.split_once(' ').unwrap();
            let (entry, token): (usize, u64) = (entry.parse().unwrap(), token.parse().unwrap());
            assert_eq!(finished.insert(entry, token), None, "entry {entry} was finished twice");
            assert_eq!(tokens[entry], token, "entry {entry} has another's outcome");
        }
    }
}

fn open(path: &Path, entries: usize, run: Option<&str>, resume: bool) -> Result<(FileQueue, Opened), QueueError> {
    FileQueue::open(
        path,
        plan(entries),
        &OpenOptions { run_id: run.map(str::to_owned), resume, ..OpenOptions::default() },
    )
}

/// Not a test: the program of child processes.
#[test]
fn child() {
    let Ok(part) = std::env::var("SLT_QUEUE_CHILD") else {
        return;
    };
    let folder = PathBuf::from(std::env::var("SLT_QUEUE_FOLDER").unwrap());
    let entries = std::env::var("SLT_QUEUE_ENTRIES").unwrap().parse().unwrap();
    let open = |run| open(&folder.join("queue"), entries, run, true);
    // A child that must start together with others waits for this lock.
    if let Ok(gate) = File::open(folder.join("gate")) {
        fs2::FileExt::lock_shared(&gate).unwrap();
        lock::release(&gate);
    }
    match part.as_str() {
        "work" => work(&mut open(Some(RUN)).unwrap().0, &folder),
        "hold" => {
            let mut queue = open(Some(RUN)).unwrap().0;
            let lease = leased(&mut queue);
            queue.live().running(lease.name(), 7, "SELECT 7");
            println!("{}", lease.entry());
            wait_for_parent();
            let outcome = passed(&lease);
            queue.finish(lease, &outcome).unwrap();
        }
        "enter" => {
            let (queue, opened) = open(None).unwrap();
            println!("{opened:?} {}", queue.worker());
            wait_for_parent();
        }
        "everything" => everything(&mut open(Some(RUN)).unwrap().0),
        "exchange" => exchange(&mut open(Some(RUN)).unwrap().0),
        "until-full" => {
            let mut queue = open(Some(RUN)).unwrap().0;
            let error = loop {
                let Claim::Leased(lease) = (match queue.claim() {
                    Ok(claim) => claim,
                    Err(error) => break error,
                }) else {
                    panic!("there is room for everything");
                };
                let outcome = passed(&lease);
                if let Err(error) = queue.finish(lease, &outcome) {
                    break error;
                }
            };
            println!("{error}");
        }
        other => panic!("no part `{other}`"),
    }
}

/// Takes part until the run is complete. While the file `hammer` exists, gives most entries back.
fn work(queue: &mut FileQueue, folder: &Path) {
    let mut finished = File::options().append(true).create(true).open(folder.join("finished")).unwrap();
    let hammer = folder.join("hammer");
    let mut next = None;
    for round in 0u64.. {
        match next.take().unwrap_or_else(|| queue.claim().unwrap()) {
            Claim::Leased(lease) => {
                queue.live().running(lease.name(), round, "SELECT 1");
                let entry = lease.entry();
                if (entry % 2 == 1 || round % 64 != 0) && hammer.exists() {
                    queue.requeue(lease, "once more").unwrap();
                    continue;
                }
                let mut outcome = passed(&lease);
                outcome.wall_us = getrandom::u64().unwrap() >> 1;
                let line = format!("{entry} {}\n", outcome.wall_us);
                match round % 2 {
                    0 => queue.finish(lease, &outcome).unwrap(),
                    _ => next = Some(queue.finish_and_claim(lease, &outcome).unwrap()),
                }
                finished.write_all(line.as_bytes()).unwrap();
            }
            Claim::Wait => {
                for lost in queue.lost().unwrap() {
                    queue.requeue(lost.lease, "its worker died").unwrap();
                }
                std::thread::sleep(Duration::from_micros(200));
            }
            Claim::Complete => return,
            Claim::Stopped { why } => panic!("{why}"),
        }
        if round % 100 == 0 {
            for lost in queue.lost().unwrap() {
                queue.requeue(lost.lease, "its worker died").unwrap();
            }
        }
    }
}

/// Does every operation once, in a run in which one participant ended with entry 0 and others have stopped.
fn everything(queue: &mut FileQueue) {
    for lost in queue.lost().unwrap() {
        queue.requeue(lost.lease, "its worker died").unwrap();
    }
    let lease = leased(queue);
    let outcome = passed(&lease);
    queue.finish(lease, &outcome).unwrap();
    queue.stop("enough").unwrap();
}

/// Finishes an entry and claims the next one in one operation.
fn exchange(queue: &mut FileQueue) {
    let lease = leased(queue);
    let outcome = passed(&lease);
    let Claim::Leased(lease) = queue.finish_and_claim(lease, &outcome).unwrap() else { panic!("no claim") };
    queue.requeue(lease, "enough").unwrap();
}

#[test]
fn a_thousand_kills_leave_each_entry_one_outcome() {
    const ROUNDS: usize = 10;
    const KILLS: usize = 100;
    let mut kills = 0;
    for _ in 0..ROUNDS {
        let place = QueueTest::new(200);
        fs::write(place.file("hammer"), "").unwrap();
        let mut processes: Vec<Process> = (0..4).map(|_| place.spawn("work")).collect();
        for _ in 0..KILLS {
            let chance = getrandom::u32().unwrap();
            std::thread::sleep(Duration::from_micros(u64::from(chance % 6000)));
            let mut process = processes.swap_remove((chance >> 16) as usize % processes.len());
            process.signal(Signal::KILL);
            assert_eq!(process.0.wait().unwrap().signal(), Some(9), "a worker failed");
            kills += 1;
            processes.push(place.spawn("work"));
        }
        fs::remove_file(place.file("hammer")).unwrap();
        for process in processes {
            assert!(process.wait().success());
        }
        let mut queue = place.open();
        place.assert_exactly_once(&mut queue);
        let snapshot = queue.snapshot().unwrap();
        assert!(snapshot.entries.iter().map(|entry| entry.deaths as usize).sum::<usize>() <= KILLS);
    }
    assert_eq!(kills, 1000);
}

#[test]
fn a_crash_at_any_step_loses_and_duplicates_no_outcome() {
    let ops = ["join", "resume", "lost", "requeue", "claim", "finish", "stop"];
    let steps = ops.iter().flat_map(|op| ["locked", "half", "written"].map(|step| format!("{op}-{step}")));
    for point in steps.chain(["join-alive".to_owned()]) {
        let place = QueueTest::new(3);
        // A participant ends with a lease, in a run that was stopped.
        let mut dead = place.open();
        let _lease = leased(&mut dead);
        dead.stop("interrupted").unwrap();
        drop(dead);
        let mut command = place.command("everything");
        let status = Process::spawn(command.env("SLT_QUEUE_FAIL", &point)).wait();
        assert_eq!(status.signal(), Some(6), "{point}: {status}");
        // The next participant continues. The outcome is there only if it was written completely.
        let mut queue = place.open();
        let written = ["finish-written", "stop-locked", "stop-half", "stop-written"].contains(&point.as_str());
        assert_eq!(queue.snapshot().unwrap().finished(), usize::from(written), "{point}");
        work(&mut queue, place.folder.path());
        assert!(queue.snapshot().unwrap().is_complete(), "{point}");
        place.assert_exactly_once(&mut queue);
        let snapshot = queue.snapshot().unwrap();
        let deaths = snapshot.entries.iter().map(|entry| entry.deaths).sum::<u32>();
        let died_leased = ["claim-written", "finish-locked", "finish-half"].contains(&point.as_str());
        assert_eq!(deaths, 1 + u32::from(died_leased), "{point}");
    }
}

#[test]
fn a_crash_during_finish_and_claim_leaves_both_or_neither() {
    for (point, finished) in [("finish-locked", 0), ("finish-half", 0), ("finish-written", 1)] {
        let place = QueueTest::new(3);
        let mut command = place.command("exchange");
        let status = Process::spawn(command.env("SLT_QUEUE_FAIL", point)).wait();
        assert_eq!(status.signal(), Some(6), "{point}: {status}");
        let mut queue = place.open();
        assert_eq!(queue.snapshot().unwrap().finished(), finished, "{point}");
        work(&mut queue, place.folder.path());
        place.assert_exactly_once(&mut queue);
        // In both cases, one loss: of the entry that was leased at the crash.
        let deaths: Vec<u32> = queue.snapshot().unwrap().entries.iter().map(|entry| entry.deaths).collect();
        assert_eq!(deaths, if finished == 1 { [0, 1, 0] } else { [1, 0, 0] }, "{point}");
    }
}

#[test]
fn a_run_is_created_again_after_a_crash_during_its_creation() {
    for replaces in [false, true] {
        for point in ["init-locked", "init-building", "init-plan", "init-planned", "init-ready"] {
            let place = QueueTest::new(40);
            if replaces {
                drop(open(&place.file("queue"), 70, Some("before"), false).unwrap());
            }
            let mut command = place.command("everything");
            let status = Process::spawn(command.env("SLT_QUEUE_FAIL", point)).wait();
            assert_eq!(status.signal(), Some(6), "{point}: {status}");
            let (mut queue, opened) = open(&place.file("queue"), 40, Some(RUN), false).unwrap();
            match (point, replaces) {
                ("init-ready", _) => assert_eq!(opened, Opened::Resumed { finished: 0, left: 40 }),
                ("init-locked", true) => assert!(matches!(opened, Opened::ReplacedIncomplete { .. })),
                _ => assert_eq!(opened, Opened::Started, "{point}"),
            }
            work(&mut queue, place.folder.path());
            place.assert_exactly_once(&mut queue);
        }
    }
}

#[test]
fn a_stopped_process_keeps_its_lease() {
    let place = QueueTest::new(2);
    let mut queue = place.open();
    let mut command = place.command("hold");
    let mut process = Process::spawn(command.stdout(Stdio::piped()));
    process.line(|line| line == "0");
    process.signal(Signal::STOP);
    let lease = leased(&mut queue);
    let outcome = passed(&lease);
    queue.finish(lease, &outcome).unwrap();
    for _ in 0..50 {
        assert!(queue.lost().unwrap().is_empty());
        assert!(matches!(queue.claim().unwrap(), Claim::Wait));
        std::thread::sleep(Duration::from_millis(2));
    }
    process.signal(Signal::CONT);
    assert!(process.wait().success());
    assert!(matches!(queue.claim().unwrap(), Claim::Complete));
}

#[test]
fn a_killed_workers_claim_is_lost_at_once_with_its_running_record() {
    let place = QueueTest::new(1);
    let mut queue = place.open();
    let mut command = place.command("hold");
    let mut process = Process::spawn(command.stdout(Stdio::piped()));
    process.line(|line| line == "0");
    kill_and_settle(&mut queue, process);
}

#[test]
fn sixty_four_processes_start_at_once() {
    let place = QueueTest::new(300);
    let gate = File::create(place.file("gate")).unwrap();
    fs2::FileExt::lock_exclusive(&gate).unwrap();
    let processes: Vec<Process> = (0..64).map(|_| place.spawn("work")).collect();
    std::thread::sleep(Duration::from_millis(300));
    lock::release(&gate);
    for process in processes {
        assert!(process.wait().success());
    }
    let mut queue = place.open();
    place.assert_exactly_once(&mut queue);
    assert_eq!(queue.worker(), 65);
}

#[test]
fn of_two_processes_that_start_at_once_one_creates_the_run_and_the_other_joins() {
    for _ in 0..15 {
        let place = QueueTest::new(3);
        let gate = File::create(place.file("gate")).unwrap();
        fs2::FileExt::lock_exclusive(&gate).unwrap();
        let spawn = || Process::spawn(place.command("enter").stdout(Stdio::piped()));
        let mut both = [spawn(), spawn()];
        std::thread::sleep(Duration::from_millis(10));
        lock::release(&gate);
        let is_entry = |line: &str| line.starts_with("Started") || line.starts_with("Joined");
        let mut entered = both.each_mut().map(|process| process.line(is_entry));
        entered.sort();
        assert_eq!(entered, ["Joined 2", "Started 1"]);
    }
}

#[test]
fn a_full_disk_is_an_error_and_the_run_can_be_resumed() {
    // Once with SIGXFSZ ignored, and once with the signal, which the system sends before the write fails.
    for trap in ["trap '' XFSZ", "true"] {
        for blocks in [41, 50] {
            let place = QueueTest::new(2000);
            place.open();
            let before = fs::metadata(place.file("queue")).unwrap().len();
            let blocks = before / 512 + blocks;
            let mut shell = Command::new("sh");
            shell.arg("-c").arg(format!("{trap}; ulimit -f {blocks}; exec \"$0\" \"$@\""));
            shell.arg(std::env::current_exe().unwrap());
            let mut command = place.prepare(shell, "until-full");
            let output = command.stdout(Stdio::piped()).stdin(Stdio::null()).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let length = fs::metadata(place.file("queue")).unwrap().len();
            if trap == "true" {
                assert_eq!(output.status.signal(), Some(25), "{text}");
            } else {
                assert!(text.contains("no room to write") && text.contains("last whole record"), "{text}");
                assert_eq!(length % 128, 0);
            }
            assert!(length > before + 128 && length <= blocks * 1024);
            let mut queue = place.open();
            assert!(queue.snapshot().unwrap().finished() > 10);
            work(&mut queue, place.folder.path());
            place.assert_exactly_once(&mut queue);
        }
    }
}
