//! How runs end early: after an interrupt, without a reader, or after the first failure.

use std::fs;
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::Value;

use crate::faulty_support::{PASSES, Place, clean, fault, wait_until};
use crate::support::at_once;

/// The verdict of each file in `results.json`, by name.
fn verdicts(place: &Place) -> Vec<(String, String)> {
    let results: Value = serde_json::from_slice(&fs::read(place.path("results/results.json")).unwrap()).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut verdicts: Vec<_> = results["outcomes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|outcome| (text(&outcome["name"]), text(&outcome["verdict"])))
        .collect();
    verdicts.sort();
    verdicts
}

#[test]
fn a_closed_terminal_ends_everything_and_the_results_are_kept() {
    let hang = format!("{}\nstatement ok\nFAULT hang\n", fault("daemon"));
    // The longest file starts first.
    let passes = PASSES.to_owned() + &"# a comment\n".repeat(99);
    let place = Place::new([("a.test", &passes), ("b.test", &hang), ("c.test", &hang)]);
    let run = place.start("--workers 2");
    wait_until("both workers hang", || place.alive().iter().filter(|line| line.contains("1000")).count() == 2);
    run.signal(Signal::HUP);
    let ended = run.wait().exits(3);
    assert_eq!(ended.verdict("b.test"), "not run (interrupted)", "{ended}");
    assert_eq!(place.alive(), Vec::<String>::new());
    let verdicts = verdicts(&place);
    let words: Vec<&str> = verdicts.iter().map(|(_, verdict)| verdict.as_str()).collect();
    assert_eq!(words, ["passed", "not_run", "not_run"]);
}

#[test]
fn a_run_without_a_reader_continues_and_keeps_its_results() {
    at_once(&["", "--workers 2", "serial"], |mode| {
        let place = Place::with_many(6, PASSES);
        let mut command = match *mode {
            "serial" => {
                let mut command = place.dress(clean(place.command("").get_program()));
                command.args(["--root", "tests", "--results", "results"]);
                command
            }
            mode => place.command(mode),
        };
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Both pipes break, like those to `head`.
        drop((child.stdout.take(), child.stderr.take()));
        assert_eq!(child.wait().unwrap().code(), Some(4), "{mode}: what could not be printed is an error");
        let verdicts = verdicts(&place);
        assert_eq!(verdicts.len(), 6, "{mode}");
        assert!(verdicts.iter().all(|(_, verdict)| verdict == "passed"), "{mode}: {verdicts:?}");
        wait_until("nobody is left", || place.alive().is_empty());
    });
}

#[test]
fn files_that_did_not_run_are_named_in_every_format() {
    at_once(&["--workers 2", ""], |mode| {
        let place = Place::with_many(20, &fault("sleep 400"));
        let ended = place.run(&format!("{mode} --time-budget 0.5 --format terse")).exits(3);
        ended.says(" of 20 files were not run, so the exit code is 3");
        let named: Vec<&str> = ended.stderr.lines().filter_map(|line| line.strip_prefix("    ")).collect();
        assert!(named.contains(&"19.test") && ended.stderr.contains(&format!("{} of 20", named.len())), "{ended}");
        let ended = place.run(&format!("{mode} --time-budget 0.5 --format json")).exits(3);
        let events: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
        let left = events.iter().filter(|event| event["message"] == "not run (time budget)").count();
        assert!(left > 0 && ended.stderr.contains(&format!("{left} of 20")), "{ended}");
        place.run(&format!("{mode} --time-budget 0.5 --allow-incomplete")).exits(0).says("files were not run\n");
    });
}

#[test]
fn fail_fast_starts_nothing_after_a_failure() {
    at_once(&[("error on purpose", "FAILED"), ("segv", "crashed (SIGSEGV)")], |&(what, verdict)| {
        let place = Place::with_many(30, &fault("sleep 200"));
        // The longest file starts first.
        fs::write(place.path("tests/bad.test"), fault(what) + &"# a comment\n".repeat(999)).unwrap();
        let ended = place.run("--workers 2 --fail-fast --crash-retries 0").exits(101);
        assert_eq!(ended.verdict("bad.test"), verdict);
        let left = ended.verdicts().iter().filter(|(_, verdict)| *verdict == "not run (an earlier failure)").count();
        assert!(left > 0 && ended.verdicts().len() == 31, "{ended}");
    });
    let place = Place::with_many(5, &fault("error on purpose"));
    let ended = place.run("--fail-fast").exits(101);
    ended.says("0 passed; 1 failed; 4 ignored");
    place.run("--resume").exits(4).says("`--fail-fast` is `on` there and not given here");
    let ended = place.run("--resume --fail-fast").exits(101);
    assert!(!ended.verdicts().is_empty(), "a further run goes on from there: {ended}");
}

#[test]
fn a_stopped_run_says_that_it_needs_resume() {
    at_once(&["", "--workers 2"], |mode| {
        let place = Place::with_many(10, &fault("sleep 300"));
        place.run(&format!("{mode} --run-id one --time-budget 0.2")).exits(3);
        if mode.is_empty() {
            // A process's own budget stops no other process: the next one continues.
            place.run("--run-id one").exits(0).says("resumed the run");
        } else {
            let ended = place.run(&format!("{mode} --run-id one")).exits(3);
            ended.says("the run was stopped (time budget)");
            ended.says("`--resume` continues it");
            place.run(&format!("{mode} --run-id one --resume")).exits(0).says("resumed the run");
        }
    });
}

#[test]
fn the_death_of_an_idle_worker_is_reported() {
    let ended = Place::with_fault("at-exit").run("--workers 1").exits(0);
    ended.says("warning: a worker ended (SIGSEGV) after it had finished its file");
    ended.others_passed("");
}
