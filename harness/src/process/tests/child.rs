//! Tests of how children end, and of the processes that remain.

use super::*;

#[test]
fn a_child_ends_by_itself_and_its_output_is_appended_to_the_log() {
    let home = Home::new();
    std::fs::write(home.log(), "before\n").unwrap();
    let mut child = home.spawn(sh("echo out; echo err >&2; exit 3"));
    assert_eq!(finish(&mut child), Exit::Code(3));
    assert_eq!(child.try_wait().unwrap(), Some(Exit::Code(3)), "it stays known");
    assert_eq!(child.kill_group(Duration::ZERO).unwrap(), Exit::Code(3), "and cannot be changed");
    assert_eq!(read_tail(&home.log(), 1000).unwrap(), "before\nout\nerr\n");
    assert!(home.family.end());
}

#[test]
fn an_error_names_a_program_that_cannot_start() {
    let home = Home::new();
    let no_program = home.family.spawn(Command::new("/no/program"), &home.log(), Stdin::Null).unwrap_err();
    assert!(no_program.to_string().starts_with("cannot start `/no/program`: "), "{no_program}");
    let no_log = home.family.spawn(sh(""), Path::new("/no/log"), Stdin::Null).unwrap_err();
    assert!(no_log.to_string().starts_with("cannot open the log `/no/log`: "), "{no_log}");
}

#[test]
fn an_exit_is_noticed_even_if_sigchld_was_ignored() {
    let mut deaf = Command::new("env");
    deaf.arg("--ignore-signal=CHLD").arg(std::env::current_exe().unwrap()).args(role_command().get_args());
    let output = deaf.env(ROLE, "deaf").output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_child_reads_what_is_written_to_it() {
    let home = Home::new();
    let mut child = home.family.spawn(sh("read code; exit $code"), &home.log(), Stdin::Pipe).unwrap();
    assert_eq!(child.try_wait().unwrap(), None);
    std::io::Write::write_all(&mut child.take_stdin().unwrap(), b"5\n").unwrap();
    assert_eq!(finish(&mut child), Exit::Code(5));
}

#[test]
fn signals_that_end_a_child_are_named() {
    let home = Home::new();
    for (command, exit) in [
        (sh("ulimit -c 0; kill -SEGV $$"), "SIGSEGV"),
        (sh("ulimit -c 0; kill -BUS $$"), "SIGBUS"),
        (sh("kill -KILL $$"), "SIGKILL"),
        (role_of("abort"), "SIGABRT"),
    ] {
        let exit_seen = finish(&mut home.spawn(command));
        assert_eq!(exit_seen.to_string(), exit);
        assert!(!says_out_of_memory(&read_tail(&home.log(), 4096).unwrap(), &exit_seen));
    }
}

#[test]
fn a_stack_overflow_is_not_out_of_memory() {
    let home = Home::new();
    let exit = finish(&mut home.spawn(role_of("overflow")));
    assert_eq!(exit.to_string(), "SIGABRT");
    assert_eq!(says(&home.log(), "overflowed its stack"), 1);
    assert!(!says_out_of_memory(&read_tail(&home.log(), 4096).unwrap(), &exit));
}

#[expect(unconditional_recursion)]
pub(super) fn overflow(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 256]);
    overflow(depth + 1) + frame[1]
}

#[test]
fn a_child_beyond_its_memory_limit_is_out_of_memory() {
    let home = Home::new();
    let exit = finish(&mut home.spawn(role_of("allocate")));
    let log_tail = read_tail(&home.log(), 4096).unwrap();
    assert!(says_out_of_memory(&log_tail, &exit), "{exit}: {log_tail}");
}

#[test]
fn a_child_that_ends_when_asked_is_not_killed() {
    let home = Home::new();
    let mut child = home.spawn_up(sh("trap 'exit 7' TERM; echo is up; while :; do sleep 0.01; done"), 1);
    assert_eq!(child.kill_group(Duration::from_secs(60)).unwrap(), Exit::Code(7));
}

#[test]
fn a_child_that_ignores_sigterm_is_killed_after_the_grace_period() {
    let home = Home::new();
    let mut child = home.spawn_up(sh("trap '' TERM; echo is up; while :; do sleep 0.01; done"), 1);
    let grace = Duration::from_millis(100);
    let begun = Instant::now();
    assert_eq!(child.kill_group(grace).unwrap().to_string(), "SIGKILL");
    assert!(begun.elapsed() >= grace);
}

#[test]
fn a_stopped_child_receives_sigterm() {
    let home = Home::new();
    let mut child = home.spawn(sh("kill -STOP $$; sleep 1000"));
    let pid = child.id() as i32;
    wait_until("the child has stopped", || super::super::proc::Stat::of(pid).unwrap().state == 'T');
    assert_eq!(child.kill_group(Duration::from_secs(60)).unwrap().to_string(), "SIGTERM");
}

#[test]
fn grandchildren_are_killed_when_a_child_ends_by_itself() {
    let home = Home::new();
    let command = sh(&format!("{BROOD} read line; exit 0"));
    let mut child = home.family.spawn(command, &home.log(), Stdin::Pipe).unwrap();
    let unmarked = wait_for_brood(&home.log(), &home.mark());
    assert_eq!(child.try_wait().unwrap(), None);
    drop(child.take_stdin());
    assert_eq!(finish(&mut child), Exit::Code(0));
    assert_eq!(marked(&home.mark()), []);
    // The process has already ended, but its new parent must still reap it.
    wait_until("the unmarked one is gone", || is_gone(unmarked));
    assert!(home.family.end());
}

#[test]
fn grandchildren_are_killed_when_a_child_is_killed_or_dropped() {
    for kill in [true, false] {
        let home = Home::new();
        let mut child = home.spawn(sh(&format!("{BROOD} wait")));
        let unmarked = wait_for_brood(&home.log(), &home.mark());
        if kill {
            assert_eq!(child.kill_group(Duration::ZERO).unwrap().to_string(), "SIGKILL");
        }
        drop(child);
        assert_eq!(marked(&home.mark()), []);
        wait_until("the unmarked one is gone", || is_gone(unmarked));
    }
}

#[test]
fn a_grandchild_with_neither_group_nor_mark_is_killed_with_its_child() {
    let home = Home::new();
    let script = "env -i setsid sh -c 'echo is up; exec sleep 1000' & echo unmarked $!; echo is up; wait";
    let mut child = home.spawn_up(sh(script), 2);
    let unmarked = logged(&home.log(), "unmarked ");
    assert_ne!(unmarked.group, child.id() as i32);
    child.kill_group(Duration::ZERO).unwrap();
    wait_until("the unmarked one is gone", || is_gone(unmarked));
}

#[test]
fn a_childs_end_does_not_affect_its_siblings() {
    let home = Home::new();
    let mut one = home.spawn_up(sh("setsid sh -c 'echo is up; exec sleep 1000' & wait"), 1);
    let mut two = home.spawn_up(sh("setsid sh -c 'echo is up; exec sleep 1000' & wait"), 2);
    one.kill_group(Duration::ZERO).unwrap();
    assert_eq!(marked(&home.mark()).len(), 2);
    assert_eq!(two.try_wait().unwrap(), None);
    let mark = home.mark();
    assert!(home.family.end(), "the end of the family kills the living");
    assert_eq!(marked(&mark), []);
    assert_eq!(two.try_wait().unwrap().unwrap().to_string(), "SIGKILL");
}
