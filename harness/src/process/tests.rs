//! Tests with real processes. Where a shell script is not enough, this binary plays a [`role`].

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::table::{self, Seen};
use super::*;

const ROLE: &str = "SLT_TEST_ROLE";

/// What a child prints once it is ready.
const UP: &str = "is up";

mod child;

mod supervisor;

mod own;

/// Not a test: the program of this binary when a test started it with [`ROLE`], or when a family started it as its guardian.
#[test]
#[ignore = "what other tests start as a process"]
fn role() {
    if let Some(code) = guardian::enter_if_asked() {
        std::process::exit(i32::from(code != std::process::ExitCode::SUCCESS));
    }
    let Ok(role) = std::env::var(ROLE) else { return };
    forbid_core_dumps().unwrap();
    match role.as_str() {
        "abort" => std::process::abort(),
        "overflow" => println!("{}", child::overflow(1)),
        "allocate" => {
            limit_memory(1 << 30).unwrap();
            println!("{}", std::hint::black_box(vec![1_u8; 2 << 30]).len());
        }
        "worker" => {
            die_with_parent().unwrap();
            println!("{UP}");
            std::thread::sleep(Duration::from_secs(1000));
        }
        "orphan" => assert!(matches!(die_with_parent(), Err(ProcessError::Orphaned { .. }))),
        "interrupted" => own::interrupted(),
        "hung up" => own::hung_up(),
        "deaf" => assert_eq!(finish(&mut Home::new().spawn(sh("exit 3"))), Exit::Code(3)),
        "measured" => own::measured(),
        "adopter" => own::adopter(),
        role => supervisor::supervise(role.strip_prefix("supervisor of ").unwrap()),
    }
    std::process::exit(0);
}

fn role_command() -> Command {
    let mut command = same_executable();
    command.args(["process::tests::role", "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
    command
}

fn role_of(role: &str) -> Command {
    let mut command = role_command();
    command.env(ROLE, role);
    command
}

fn sh(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

/// A family and a folder for its logs.
struct Home {
    family: Family,
    folder: TempDir,
}

impl Home {
    fn new() -> Home {
        Home { family: Family::with_guardian(role_command).unwrap(), folder: tempfile::tempdir().unwrap() }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn spawn(&self, command: Command) -> Child {
        self.family.spawn(command, &self.log(), Stdin::Null).unwrap()
    }

    /// Starts a child and waits until it and its descendants have printed this many times that they are ready.
    fn spawn_up(&self, command: Command, ups: usize) -> Child {
        let child = self.spawn(command);
        wait_until("the child is up", || says(&self.log(), UP) == ups);
        child
    }

    fn mark(&self) -> Mark {
        Mark::of_family(self.family.token().to_owned())
    }
}

fn says(log: &Path, what: &str) -> usize {
    std::fs::read_to_string(log).unwrap_or_default().matches(what).count()
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "timed out waiting until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn finish(child: &mut Child) -> Exit {
    child.wait_timeout(Duration::from_secs(60)).unwrap().expect("the child ends")
}

fn marked(mark: &Mark) -> Vec<Seen> {
    table::look(Some(mark)).into_iter().filter(|seen| seen.marked).collect()
}

fn find(pid: i32) -> Option<Seen> {
    table::look(None).into_iter().find(|seen| seen.pid == pid && !seen.zombie)
}

fn is_gone(then: Seen) -> bool {
    find(then.pid).is_none_or(|now| now.start != then.start)
}

/// The pid that a script printed after `word`.
fn logged(log: &Path, word: &str) -> Seen {
    let text = std::fs::read_to_string(log).unwrap();
    let number = text.lines().find_map(|line| line.strip_prefix(word)).unwrap();
    find(number.trim().parse().unwrap()).unwrap()
}

fn send(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid as i32).unwrap(), signal).unwrap();
}

/// Starts one grandchild of each kind: one that stays in the group; one that leaves it; a daemon; and one that stays in the
/// group but has an empty environment and so no mark. All except the last print that they are ready, and so does the script.
const BROOD: &str = "
    sh -c 'echo is up; exec sleep 1000' &
    setsid sh -c 'echo is up; exec sleep 1000' &
    (setsid sh -c '(echo is up; exec sleep 1000) &' &)
    env -i sleep 1000 &
    echo unmarked $!
    echo is up
";

fn wait_for_brood(log: &Path, mark: &Mark) -> Seen {
    wait_until("the brood is up", || says(log, UP) == 4);
    // The shells that started it may need a moment to exit.
    wait_until("only the brood is left", || marked(mark).len() == 4);
    logged(log, "unmarked ")
}
