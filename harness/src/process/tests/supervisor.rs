//! Tests of the processes that remain when a supervisor or its guardian ends.

use super::*;

/// A role: supervises one child, prints the pids, and waits to be killed.
pub(super) fn supervise(kind: &str) {
    let log = PathBuf::from(std::env::var_os("SLT_TEST_LOG").unwrap());
    let family = Family::with_guardian(role_command).unwrap();
    let command = if kind == "a worker" { role_of("worker") } else { sh(&format!("{BROOD} wait")) };
    let _child = family.spawn(command, &log, Stdin::Null).unwrap();
    if kind == "a brood, its guardian killed" {
        send(family.guardian_id().unwrap(), Signal::KILL);
        wait_until("the guardian is dead", || !family.has_guardian());
        family.tend().unwrap();
        assert!(family.has_guardian());
    }
    #[allow(clippy::print_stdout, reason = "a child of a test tells it so")]
    {
        println!("\nhere {} {}", family.token(), family.guardian_id().unwrap());
    }
    std::thread::sleep(Duration::from_secs(1000));
}

/// A supervisor in its own process, killed at the latest when the test ends.
struct Supervisor {
    process: std::process::Child,
    mark: Mark,
    guardian: Seen,
    log: PathBuf,
    _folder: TempDir,
}

impl Supervisor {
    fn start(kind: &str) -> Supervisor {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut command = role_of(&format!("supervisor of {kind}"));
        command.env("SLT_TEST_LOG", &log).stdout(Stdio::piped()).process_group(0);
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let words = lines.find_map(|line| line.strip_prefix("here ").map(str::to_owned)).unwrap();
        let (token, guardian) = words.split_once(' ').unwrap();
        let guardian = find(guardian.parse().unwrap()).unwrap();
        Supervisor { process, mark: Mark::of_family(token.to_owned()), guardian, log, _folder: folder }
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.kill();
    }
}

#[test]
fn nothing_is_left_of_a_supervisor_that_is_killed() {
    for kind in ["a brood", "a brood, its guardian killed"] {
        let mut supervisor = Supervisor::start(kind);
        let unmarked = wait_for_brood(&supervisor.log, &supervisor.mark);
        supervisor.kill();
        wait_until("the family is gone", || marked(&supervisor.mark).is_empty());
        wait_until("the unmarked one is gone", || is_gone(unmarked));
        wait_until("the guardian is gone", || is_gone(supervisor.guardian));
    }
}

#[test]
fn signals_that_end_a_supervisor_do_not_reach_its_guardian() {
    let mut supervisor = Supervisor::start("a brood");
    wait_for_brood(&supervisor.log, &supervisor.mark);
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
        send(supervisor.guardian.pid as u32, signal);
    }
    let group = Pid::from_raw(supervisor.process.id() as i32).unwrap();
    assert_ne!(supervisor.guardian.group, group.as_raw_nonzero().get());
    // Takes the place of a terminal's Ctrl-C. Sends SIGTERM, because processes that a script started in the background ignore
    // SIGINT.
    rustix::process::kill_process_group(group, Signal::TERM).unwrap();
    let mut exit = None;
    wait_until("the supervisor has ended", || {
        exit = supervisor.process.try_wait().unwrap().map(Exit::from);
        exit.is_some()
    });
    assert_eq!(exit, Some(Exit::Signal(Signal::TERM.as_raw())));
    wait_until("the family is gone", || marked(&supervisor.mark).is_empty());
}

#[test]
fn a_worker_dies_with_its_supervisor_even_without_a_guardian() {
    let mut supervisor = Supervisor::start("a worker");
    wait_until("the worker is up", || says(&supervisor.log, UP) == 1);
    assert_eq!(marked(&supervisor.mark).len(), 1);
    send(supervisor.guardian.pid as u32, Signal::KILL);
    wait_until("the guardian is gone", || is_gone(supervisor.guardian));
    assert_eq!(marked(&supervisor.mark).len(), 1);
    supervisor.kill();
    wait_until("the worker is gone", || marked(&supervisor.mark).is_empty());
}

#[test]
fn a_worker_that_starts_after_its_supervisors_death_notices() {
    // This process is its parent; process 1 is not.
    let output = role_of("orphan").env(PARENT, "1").output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Starts a process that has a mark but was not started by a family.
fn bystander(mark: &Mark) -> std::process::Child {
    Command::new("sleep").arg("1000").env(MARK, mark.value()).process_group(0).spawn().unwrap()
}

#[test]
fn a_guardian_kills_only_its_own_family() {
    for finishes in [true, false] {
        let (mark, other) = (Mark::unique().unwrap(), Mark::unique().unwrap());
        let mut guardian = guardian::Guardian::start(role_command(), &mark).unwrap();
        let [mut own, mut former, mut unrelated] = [&mark, &other, &other].map(bystander);
        guardian.add(own.id());
        guardian.add(former.id());
        guardian.remove(former.id());
        assert!(guardian.is_alive());
        // Both wait until the guardian has ended.
        if finishes {
            guardian.finish()
        } else {
            drop(guardian)
        }
        assert_eq!(own.try_wait().unwrap().is_some() || find(own.id() as i32).is_none(), !finishes);
        for left_alone in [&mut former, &mut unrelated] {
            assert!(left_alone.try_wait().unwrap().is_none());
        }
        for mut process in [own, former, unrelated] {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }
}

#[test]
fn a_guardian_that_does_not_read_is_replaced() {
    let home = Home::new();
    let mut child = home.spawn_up(sh("echo is up; exec sleep 1000"), 1);
    let stopped = home.family.guardian_id().unwrap();
    send(stopped, Signal::STOP);
    while home.family.has_guardian() {
        home.family.shared.forget_group(1 << 20);
    }
    home.family.tend().unwrap();
    assert!(home.family.has_guardian());
    assert_ne!(home.family.guardian_id().unwrap(), stopped);
    assert_eq!(child.try_wait().unwrap(), None);
}

#[test]
fn a_program_that_does_not_become_a_guardian_is_refused() {
    let error = Family::with_guardian(|| Command::new("true")).unwrap_err();
    assert!(matches!(error, ProcessError::Guardian { .. }), "{error}");
}
