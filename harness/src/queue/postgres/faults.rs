//! Tests that kill real processes, and the child processes of this and other tests.
//!
//! A child is this test binary, started again; `SLT_SERVER_QUEUE_CHILD` says which of the [`child`]'s parts to run.

use std::collections::{HashMap, VecDeque};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::Signal;

use super::server::{Server, TestRun, is_there, url, wait_until};
use super::*;
use crate::queue::conformance::{leased, passed, plan};
use crate::queue::process::{Process, kill_and_settle, prepare, wait_for_parent};

/// A server that these tests share and do not change.
pub(super) fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    let server = SERVER.get_or_init(Server::new).as_ref();
    is_there(server.is_some()).then_some(server).flatten()
}

/// A run on that server with a lease of `lease` seconds.
pub(super) fn place(server: &Server, lease: f64) -> TestRun {
    TestRun::at(&format!("{}?slt_lease={lease}", server.url()))
}

/// The process of a child that plays `part` in a run of `entries`.
pub(super) fn command(place: &TestRun, entries: usize, part: &str) -> Command {
    let mut command = prepare(Command::new(std::env::current_exe().unwrap()), "queue::postgres::faults::child");
    command
        .env("SLT_SERVER_QUEUE_CHILD", part)
        .env("SLT_SERVER_QUEUE_URL", &place.url)
        .env("SLT_SERVER_QUEUE_RUN", &place.run)
        .env("SLT_SERVER_QUEUE_FOLDER", place.folder.path())
        .env("SLT_SERVER_QUEUE_ENTRIES", entries.to_string());
    command
}

/// Starts a child whose output can be read.
pub(super) fn spawn(place: &TestRun, entries: usize, part: &str) -> Process {
    Process::spawn(command(place, entries, part).stdout(Stdio::piped()))
}

/// Every entry has one outcome, from the participant that was told that it finished the entry.
pub(super) fn assert_exactly_once(place: &TestRun, queue: &mut PostgresQueue) {
    let snapshot = queue.snapshot().unwrap();
    assert!(snapshot.is_complete());
    let tokens: Vec<u64> = snapshot.outcomes().map(|outcome| outcome.wall_us).collect();
    let mut finished = HashMap::new();
    for line in fs::read_to_string(place.folder.path().join("finished")).unwrap_or_default().lines() {
        let (entry, token) = line.split_once(' ').unwrap();
        let (entry, token): (usize, u64) = (entry.parse().unwrap(), token.parse().unwrap());
        assert_eq!(finished.insert(entry, token), None, "entry {entry} was finished twice");
        assert_eq!(tokens[entry], token, "entry {entry} has another's outcome");
    }
    let finishes =
        place.sql("SELECT count(*), count(DISTINCT entry) FROM slt_queue.events WHERE run = :run AND kind = 'finish'");
    assert_eq!(finishes, [[tokens.len().to_string(), tokens.len().to_string()]]);
}

/// Not a test: the program of child processes.
#[test]
fn child() {
    let Ok(part) = std::env::var("SLT_SERVER_QUEUE_CHILD") else {
        return;
    };
    let text = |name: &str| std::env::var(format!("SLT_SERVER_QUEUE_{name}")).unwrap();
    let folder = PathBuf::from(text("FOLDER"));
    // A participant that pretends to be on another machine keeps its page where no other participant looks.
    let elsewhere = tempfile::tempdir().unwrap();
    let is_elsewhere = std::env::var_os("SLT_SERVER_QUEUE_ELSEWHERE").is_some();
    let pages = if is_elsewhere { elsewhere.path().to_path_buf() } else { folder.clone() };
    // A child that must start together with others waits for this lock.
    if let Ok(gate) = File::open(folder.join("gate")) {
        fs2::FileExt::lock_shared(&gate).unwrap();
        fs2::FileExt::unlock(&gate).unwrap();
    }
    let options = OpenOptions { run_id: Some(text("RUN")), resume: true, pages, ..OpenOptions::default() };
    let plan = plan(text("ENTRIES").parse().unwrap());
    let result =
        PostgresQueue::open(&url(&text("URL")), plan, &options).and_then(|(mut queue, _)| match part.as_str() {
            "work" => work(&mut queue, &folder),
            "hold" => hold(&mut queue),
            other => panic!("no part `{other}`"),
        });
    if let Err(error) = result {
        println!("error: {error}");
        std::process::exit(3);
    }
}

/// Takes part until the run is complete. While the file `hammer` exists, gives most entries back.
fn work(queue: &mut PostgresQueue, folder: &Path) -> Result<(), QueueError> {
    let mut finished = File::options().append(true).create(true).open(folder.join("finished")).unwrap();
    let hammer = folder.join("hammer");
    let mut next = None;
    for round in 0u64.. {
        let claim = match next.take() {
            Some(claim) => claim,
            None => queue.claim()?,
        };
        let wait = match claim {
            Claim::Leased(lease) => {
                if round == 0 {
                    println!("works");
                }
                queue.live().running(lease.name(), round, "SELECT 1");
                let entry = lease.entry();
                if (entry % 2 == 1 || round % 64 != 0) && hammer.exists() {
                    queue.requeue(lease, "once more")?;
                } else {
                    let mut outcome = passed(&lease);
                    outcome.wall_us = getrandom::u64().unwrap() >> 1;
                    let line = format!("{entry} {}\n", outcome.wall_us);
                    match entry % 4 {
                        0 => next = Some(queue.finish_and_claim(lease, &outcome)?),
                        _ => queue.finish(lease, &outcome)?,
                    }
                    finished.write_all(line.as_bytes()).unwrap();
                }
                false
            }
            Claim::Wait => true,
            Claim::Complete => return Ok(()),
            Claim::Stopped { why } => panic!("{why}"),
        };
        if wait || round % 20 == 0 {
            for lost in queue.lost()? {
                queue.requeue(lost.lease, "its worker died")?;
            }
        }
        if wait {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    Ok(())
}

/// Claims an entry, and finishes it on request.
fn hold(queue: &mut PostgresQueue) -> Result<(), QueueError> {
    let lease = leased(queue);
    queue.live().running(lease.name(), 7, "SELECT 7");
    assert!(queue.lost()?.is_empty(), "a participant counts as dead");
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    println!("holds {} at {clock}", lease.entry());
    wait_for_parent();
    let outcome = passed(&lease);
    match queue.finish(lease, &outcome) {
        Ok(()) => println!("finished"),
        Err(error) => println!("refused: {error}"),
    }
    Ok(())
}

/// Kills workers at random, and checks what happens to the run.
fn kill(server: &Server, kills: usize, lease: f64, elsewhere: bool) {
    let place = place(server, lease);
    fs::write(place.folder.path().join("hammer"), "").unwrap();
    let worker = || {
        let mut command = command(&place, 200, "work");
        if elsewhere {
            command.env("SLT_SERVER_QUEUE_ELSEWHERE", "1");
        }
        Process::spawn(command.stdout(Stdio::piped()))
    };
    let mut processes: VecDeque<Process> = (0..4).map(|_| worker()).collect();
    for kill in 0..kills {
        let chance = getrandom::u32().unwrap();
        let mut process = processes.pop_front().unwrap();
        // One in four is killed while joining, the others while they work.
        if kill % 4 > 0 {
            process.line(|line| line == "works");
        }
        std::thread::sleep(Duration::from_micros(u64::from(chance % 20_000)));
        process.signal(Signal::KILL);
        assert_eq!(process.0.wait().unwrap().signal(), Some(9), "a worker failed");
        processes.push_back(worker());
    }
    fs::remove_file(place.folder.path().join("hammer")).unwrap();
    for process in processes {
        assert!(process.wait().success());
    }
    let mut queue = place.open(200);
    assert_exactly_once(&place, &mut queue);
    let deaths: usize = queue.snapshot().unwrap().entries.iter().map(|entry| entry.deaths as usize).sum();
    assert!((1..=kills).contains(&deaths), "{deaths} deaths");
}

#[test]
fn three_hundred_kills_leave_each_entry_one_outcome() {
    let Some(server) = server() else { return };
    // If processes can be seen, the length of a lease does not matter.
    kill(server, 200, 30.0, false);
    // If not, only the server knows who is lost.
    kill(server, 100, 6.0, true);
}

#[test]
fn a_killed_workers_claim_is_lost_at_once_with_its_running_record() {
    let Some(server) = server() else { return };
    let place = place(server, 600.0);
    let mut queue = place.open(1);
    let mut process = spawn(&place, 1, "hold");
    process.line(|line| line.starts_with("holds 0"));
    kill_and_settle(&mut queue, process);
}

#[test]
fn a_process_that_was_stopped_beyond_its_lease_is_refused_when_it_continues() {
    let Some(server) = server() else { return };
    let place = place(server, 1.5);
    let mut queue = place.open(1);
    let mut process = spawn(&place, 1, "hold");
    process.line(|line| line.starts_with("holds 0"));
    process.signal(Signal::STOP);
    assert!(queue.lost().unwrap().is_empty(), "not at once");
    let lost = wait_until("its lease is lost", || queue.lost().unwrap().pop());
    assert_eq!((lost.worker, lost.deaths), (2, 1));
    let mut outcome = passed(&lost.lease);
    outcome.wall_us = 4711;
    queue.finish(lost.lease, &outcome.clone()).unwrap();
    process.signal(Signal::CONT);
    drop(process.0.stdin.take());
    let words = process.line(|line| line == "finished" || line.starts_with("refused"));
    assert!(words.contains("`0.test` (pass 1) is no longer leased to worker 2"), "{words}");
    assert!(process.wait().success());
    assert_eq!(queue.snapshot().unwrap().outcomes().collect::<Vec<_>>(), [&outcome]);
    assert_exactly_once(&place, &mut queue);
}

#[test]
fn the_same_finish_twice_counts_once() {
    let Some(server) = server() else { return };
    let place = place(server, 600.0);
    let mut queue = place.open(1);
    let lease = leased(&mut queue);
    let again = Lease { name: lease.name.clone(), ..lease };
    let outcome = passed(&lease);
    queue.finish(lease, &outcome.clone()).unwrap();
    let error = queue.finish(again, &outcome).unwrap_err();
    assert!(matches!(error, QueueError::Stale { .. }), "{error}");
    assert_exactly_once(&place, &mut queue);
}

#[test]
fn a_clock_that_is_an_hour_off_changes_nothing() {
    let Some(server) = server() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (source, library) = (folder.path().join("clock.c"), folder.path().join("clock.so"));
    fs::write(
        &source,
        "#include <sys/syscall.h>\n#include <time.h>\n#include <unistd.h>\n\
         int clock_gettime(clockid_t id, struct timespec *now) {\n\
             int result = syscall(SYS_clock_gettime, id, now);\n\
             if (id == CLOCK_REALTIME) now->tv_sec += OFFSET;\n\
             return result;\n\
         }\n",
    )
    .unwrap();
    for offset in [3600i64, -3600] {
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", &format!("-DOFFSET=({offset})"), "-o"]).arg(&library).arg(&source);
        assert!(compiler.status().unwrap().success());
        let place = place(server, 1.5);
        let mut queue = place.open(2);
        let lease = leased(&mut queue);
        let mut command = command(&place, 2, "hold");
        let mut process = Process::spawn(command.env("LD_PRELOAD", &library).stdout(Stdio::piped()));
        let words = process.line(|line| line.starts_with("holds"));
        let clock: i64 = words.rsplit_once(' ').unwrap().1.parse().unwrap();
        let ours = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed();
        assert!((clock - ours - offset).abs() < 600, "the child's clock is {} s off", clock - ours);
        // Ten heartbeats take longer than a lease, so they keep the participant active.
        let mut signs = std::collections::HashSet::new();
        wait_until("it has given ten signs of life", || {
            assert!(queue.lost().unwrap().is_empty());
            signs.extend(place.sql("SELECT lease_until FROM slt_queue.participants WHERE run = :run AND worker = 2"));
            (signs.len() >= 10).then_some(())
        });
        drop(process.0.stdin.take());
        process.line(|line| line == "finished");
        assert!(process.wait().success());
        let outcome = passed(&lease);
        queue.finish(lease, &outcome).unwrap();
        assert_exactly_once(&place, &mut queue);
    }
}

#[test]
fn sixty_four_processes_start_at_once() {
    let Some(server) = server() else { return };
    let place = place(server, 30.0);
    let gate = File::create(place.folder.path().join("gate")).unwrap();
    fs2::FileExt::lock_exclusive(&gate).unwrap();
    let processes: Vec<Process> = (0..64).map(|_| Process::spawn(&mut command(&place, 300, "work"))).collect();
    std::thread::sleep(Duration::from_millis(300));
    fs2::FileExt::unlock(&gate).unwrap();
    for process in processes {
        assert!(process.wait().success());
    }
    let mut queue = place.open(300);
    assert_exactly_once(&place, &mut queue);
    assert_eq!(queue.worker(), 65);
}
