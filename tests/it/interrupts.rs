//! A single Ctrl-C: a trial that hangs is abandoned or killed after the grace period, and its results so far are kept.

use std::fs;

use rustix::process::Signal;

use crate::faulty_support::{Ended, PASSES, Place, Running, clean, fault, wait_until};
use crate::support::at_once;

/// A file that fails in line 4 if `fails`, and then creates the file `hung` and hangs, once.
fn hangs(fails: bool) -> String {
    let first = if fails { "query I\nSELECT 1\n----\n2\n" } else { "query I\nSELECT 1\n----\n1\n" };
    format!("statement ok\nSELECT 1\n\n{first}\nstatement ok\nFAULT once hung hang\n")
}

/// Starts `faulty` at that place, and interrupts it once when it hangs.
fn interrupted(place: &Place, arguments: &str) -> Ended {
    let mut command = place.dress(clean(place.command("").get_program()));
    command.args(["--root", "tests", "--results", "results", "--interrupt-grace", "1"]);
    command.args(arguments.split_whitespace());
    let run = place.start_command(command);
    wait_until("it hangs", || place.path("hung").exists());
    run.signal(Signal::INT);
    let ended = run.wait();
    assert_eq!(place.alive(), Vec::<String>::new(), "{arguments}: processes stay behind");
    ended
}

/// The verdict of the file that hangs, in `results.json`.
fn verdict_kept(place: &Place) -> String {
    let results = fs::read(place.path("results/results.json")).unwrap();
    let results: serde_json::Value = serde_json::from_slice(&results).unwrap();
    let outcomes = results["outcomes"].as_array().unwrap();
    let hangs = outcomes.iter().find(|outcome| outcome["name"] == "hangs.test").unwrap();
    hangs["verdict"].as_str().unwrap().to_owned()
}

const MODES: [&str; 4] = ["--test-threads 2", "--test-threads 1", "--parallel", "--parallel --workers 2"];

#[test]
fn a_file_that_hangs_is_not_waited_for_longer_than_the_grace_period() {
    at_once(&MODES, |arguments| {
        let place = Place::new([("a.test", PASSES), ("hangs.test", &hangs(false))]);
        let ended = interrupted(&place, arguments);
        assert_eq!(
            (ended.code, ended.verdict("hangs.test")),
            (Some(3), "not run (interrupted)"),
            "{arguments}: {ended}"
        );
        ended.says("interrupted: ");
        ended.says("test result: ");
        assert_eq!(verdict_kept(&place), "not_run", "{arguments}");
        if arguments.starts_with("--parallel") {
            // An interrupt is not the file's fault, so the file is run again.
            let again = place.run(&arguments.replace("--parallel", "--resume")).exits(0);
            assert_eq!(again.verdict("hangs.test"), "ok", "{arguments}: {again}");
        }
    });
}

#[test]
fn failures_before_the_interrupt_are_printed_and_kept() {
    at_once(&MODES[..2], |arguments| {
        let place = Place::new([("a.test", PASSES), ("hangs.test", &hangs(true))]);
        let ended = interrupted(&place, arguments);
        assert_eq!((ended.code, ended.verdict("hangs.test")), (Some(101), "FAILED"), "{arguments}: {ended}");
        ended.says("the value differs");
        ended.says("at tests/hangs.test:4");
        assert_eq!(verdict_kept(&place), "failed", "{arguments}");
    });
}

/// A query that never ends by itself.
const ENDLESS: &str = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT 1 FROM n) SELECT count(*) FROM n";

/// Starts `slt` at that place.
fn slt(place: &Place, arguments: &[&str]) -> Running {
    let mut command = place.dress(clean(env!("CARGO_BIN_EXE_slt")));
    command.args(arguments);
    place.start_command(command)
}

#[test]
fn a_single_file_ends_at_the_first_ctrl_c() {
    let place = Place::new([("a.slt", format!("{PASSES}\nquery I\n{ENDLESS}\n----\n1\n\n{PASSES}"))]);
    let running = slt(&place, &["test", "tests/a.slt"]);
    running.says("     4  WITH RECURSIVE");
    running.signal(Signal::INT);
    let ended = running.wait();
    assert_eq!(ended.code, Some(3), "{ended}");
    ended.says("interrupted: the running file has 10 s to end");
    ended.says("still running in sqlite when it was interrupted");
    ended.says("at tests/a.slt:4");
    ended.says("result: not run (interrupted). records: 1 passed; 0 failed");
    // A failure before the interrupt stays one.
    let place = Place::new([("a.slt", format!("statement error\nSELECT 1\n\nquery I\n{ENDLESS}\n----\n1\n"))]);
    let running = slt(&place, &["test", "tests/a.slt"]);
    running.says("     4  WITH RECURSIVE");
    running.signal(Signal::INT);
    running.wait().exits(101).says("result: FAILED");
}

#[test]
fn the_second_ctrl_c_abandons_a_single_file_that_cannot_be_interrupted() {
    let place = Place::new([("hangs.test", &hangs(false))]);
    let mut command = place.dress(clean(place.command("").get_program()));
    command.env("FAULTY_COMMAND", "1").args(["test", "tests/hangs.test"]);
    let running = place.start_command(command);
    wait_until("it hangs", || place.path("hung").exists());
    running.signal(Signal::INT);
    running.says("interrupt again to end without waiting");
    running.signal(Signal::INT);
    let ended = running.wait();
    assert_eq!(ended.code, Some(3), "{ended}");
    ended.says("when the run was interrupted");
    assert_eq!(place.alive(), Vec::<String>::new(), "processes stay behind");
}

#[test]
fn a_file_that_is_interrupted_is_not_filled() {
    let script = format!("query I\nSELECT 1\n\nsystem ok\ntouch here\n\nquery I\n{ENDLESS}\n");
    let place = Place::new([("a.slt", &script), ("b.slt", &script)]);
    let running = slt(&place, &["fill", "tests/a.slt", "tests/b.slt", "--reference", "sqlite", "--allow-system"]);
    wait_until("it is in the second query", || place.path("here").exists());
    running.signal(Signal::INT);
    let ended = running.wait();
    assert_eq!(ended.code, Some(3), "{ended}");
    assert_eq!(ended.stdout, "tests/a.slt: stays as it is: interrupted\n", "{ended}");
    for name in ["tests/a.slt", "tests/b.slt"] {
        assert_eq!(fs::read_to_string(place.path(name)).unwrap(), script, "{name}");
    }
}

#[test]
fn the_stack_of_a_script_has_one_size_in_every_mode() {
    at_once(&MODES, |arguments| {
        // Stack in KiB: an amount that fits into 8 MiB, and one that needs the size in the variable.
        for (deep, variable) in [("7000", None), ("30000", Some("40000000"))] {
            let place = Place::new([("a.test", fault(&format!("deep {deep}")))]);
            let mut command = place.dress(clean(place.command("").get_program()));
            command.args(["--root", "tests", "--results", "results"]).args(arguments.split_whitespace());
            if let Some(bytes) = variable {
                command.env("RUST_MIN_STACK", bytes);
            }
            let ended = place.start_command(command).wait();
            assert_eq!((ended.code, ended.verdict("a.test")), (Some(0), "ok"), "{arguments}, {deep} KiB: {ended}");
        }
    });
}
