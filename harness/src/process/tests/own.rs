//! Tests of settings that a process makes for itself; each test runs in its own process.

use super::*;

#[test]
fn orphans_without_a_mark_are_adopted_reaped_and_killed_at_the_end() {
    let output = role_of("adopter").output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

pub(super) fn adopter() {
    let mut earlier = Command::new("sleep").arg("1000").spawn().unwrap();
    let home = Home::new();
    home.family.adopt_orphans().unwrap();
    let script =
        "env -i setsid sh -c 'echo is up; exec sleep 1000' & echo unmarked $!; env -i setsid true & echo is up";
    let mut child = home.spawn_up(sh(script), 2);
    assert_eq!(finish(&mut child), Exit::Code(0));
    let unmarked = logged(&home.log(), "unmarked ");
    let me = std::process::id() as i32;
    assert_eq!(unmarked.parent, me);
    wait_until("the orphan that ended by itself is reaped", || {
        home.family.tend().unwrap();
        !table::look(None).iter().any(|seen| seen.parent == me && seen.zombie)
    });
    assert!(!is_gone(unmarked), "it may be a living child's");
    assert!(home.family.has_guardian(), "the guardian is not an orphan");
    assert!(home.family.end());
    assert!(is_gone(unmarked));
    assert!(earlier.try_wait().unwrap().is_none());
    earlier.kill().unwrap();
    earlier.wait().unwrap();
    assert_eq!(table::look(None).iter().filter(|seen| seen.parent == me).count(), 0);
}

#[test]
fn interrupts_are_counted() {
    let output = role_of("interrupted").output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

pub(super) fn interrupted() {
    let mut interrupts = Interrupts::install().unwrap();
    assert_eq!(interrupts.count(), 0);
    for (count, signal) in [(1, Signal::INT), (2, Signal::INT), (3, Signal::TERM), (5, Signal::HUP)] {
        send(std::process::id(), signal);
        wait_until("the signal is counted", || interrupts.count() == count);
    }
}

#[test]
fn a_hangup_that_was_ignored_stays_ignored() {
    let mut nohup = Command::new("nohup");
    nohup.arg(std::env::current_exe().unwrap()).args(role_command().get_args());
    let output = nohup.env(ROLE, "hung up").output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

pub(super) fn hung_up() {
    let mut interrupts = Interrupts::install().unwrap();
    send(std::process::id(), Signal::HUP);
    send(std::process::id(), Signal::INT);
    wait_until("the second signal is counted", || interrupts.count() > 0);
    assert_eq!(interrupts.count(), 1);
}

#[test]
fn peak_memory_grows_and_is_reset() {
    let output = role_of("measured").output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

pub(super) fn measured() {
    let mut peak_memory = PeakMemory::new();
    peak_memory.reset();
    let before = peak_memory.read().unwrap();
    drop(std::hint::black_box(vec![1_u8; 64 << 20]));
    let during = peak_memory.read().unwrap();
    assert!(during >= before + (60 << 20), "{before} {during}");
    peak_memory.reset();
    let after = peak_memory.read().unwrap();
    assert!(after < before + (30 << 20), "{before} {during} {after}");
}
