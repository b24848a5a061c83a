//! Supervised runs: their end, order, repetitions and output.

use std::collections::{BTreeMap, HashSet};
use std::fs;

use rustix::process::Signal;
use serde_json::Value;

use crate::faulty_support::{Ended, PASSES, Place, clean, fault, profile_folder, wait_until, workers_of};

/// Scripts that sleep, and then record that they ran.
fn slow(count: usize, milliseconds: u32) -> Place {
    Place::with_many(count, &fault(&format!("sleep {milliseconds}")))
}

/// Runs with a time budget that is long enough to reach `what` on a busy machine, and not much longer.
#[track_caller]
fn within_budget(place: &Place, arguments: &str, what: impl Fn(&Ended) -> bool) -> Ended {
    let budgets = [1, 2, 4, 8, 16, 32];
    let runs = budgets.map(|budget| move || place.run(&format!("{arguments} --time-budget {budget}")));
    runs.iter().map(|run| run()).find(what).expect("32 s are enough")
}

fn has(ended: &Ended, verdict: &str) -> bool {
    ended.verdicts().iter().any(|(_, other)| *other == verdict)
}

#[test]
fn ctrl_c_finishes_running_files_and_leaves_the_rest() {
    let place = slow(14, 700);
    let run = place.start("--workers 2");
    run.says("... ok");
    run.signal(Signal::INT);
    let ended = run.wait().exits(3);
    let verdicts = ended.verdicts();
    assert_eq!(verdicts.len(), 14, "{ended}");
    let left = verdicts.iter().filter(|(_, verdict)| *verdict == "not run (interrupted)").count();
    let passed = verdicts.iter().filter(|(_, verdict)| *verdict == "ok").count();
    assert_eq!(left + passed, 14, "{ended}");
    assert!((2..=8).contains(&passed), "what had started was finished, and nothing else started: {ended}");
    ended.says("interrupt again to kill");
    assert_eq!(place.alive(), Vec::<String>::new());
    assert_eq!(place.run("--workers 2 --resume").exits(0).verdicts().len(), 14);
}

#[test]
fn a_second_ctrl_c_kills_running_files_at_once() {
    let hang = format!("{}\nstatement ok\nFAULT hang\n", fault("daemon"));
    let place = Place::new([("a.test", &hang), ("b.test", &hang), ("c.test", &hang)]);
    let run = place.start("--workers 2");
    wait_until("both workers hang", || place.alive().iter().filter(|line| line.contains("1000")).count() == 2);
    run.signal(Signal::INT);
    run.says("interrupt again to kill");
    run.signal(Signal::INT);
    let ended = run.wait().exits(3);
    assert!(ended.verdicts().iter().all(|(_, verdict)| *verdict == "not run (interrupted)"), "{ended}");
    assert_eq!(ended.verdicts().len(), 3, "{ended}");
    assert_eq!(place.alive(), Vec::<String>::new());
}

#[test]
fn a_time_budget_leaves_files_unrun() {
    let place = slow(300, 400);
    let ended = within_budget(&place, "--workers 2", |ended| has(ended, "ok")).exits(3);
    ended.says("the time budget is used up; ");
    let left = ended.verdicts().iter().filter(|(_, verdict)| *verdict == "not run (time budget)").count();
    let passed = ended.verdicts().iter().filter(|(_, verdict)| *verdict == "ok").count();
    assert!(left > 0 && passed > 0 && left + passed == 300, "{ended}");
    slow(300, 400).run("--workers 2 --time-budget 1 --allow-incomplete").exits(0);
}

#[test]
fn a_resumed_run_counts_only_its_own_time() {
    let place = slow(12, 400);
    place.run("--workers 2 --time-budget 1").exits(3);
    let ended = place.run("--workers 2 --resume --timings").exits(0);
    ended.says("files     12 passed, 0 failed, 0 ignored, 0 not run");
    let busy = ended.stdout.split_once("busy ").and_then(|(_, rest)| rest.split_once(" %")).map(|(busy, _)| busy);
    let busy: f64 = busy.expect("a line on the workers").parse().unwrap();
    assert!(busy <= 100.0, "{ended}");
}

#[test]
fn a_failure_outranks_files_left_unrun() {
    let place = slow(300, 400);
    fs::write(place.path("tests/bad.test"), fault("error on purpose") + &"# the longest file begins\n".repeat(99))
        .unwrap();
    let ended = within_budget(&place, "--workers 1 --allow-incomplete", |ended| has(ended, "FAILED")).exits(101);
    assert!(has(&ended, "not run (time budget)"), "{ended}");
}

#[test]
fn a_killed_supervisor_takes_everything_with_it_and_the_run_can_be_resumed() {
    let text = format!("{}\nstatement ok\nFAULT sleep 300\n", fault("daemon"));
    let place = Place::with_many(12, &text);
    let run = place.start("--workers 3");
    run.says("... ok");
    wait_until("its workers run files", || place.alive().iter().filter(|line| line.contains("1000")).count() >= 3);
    run.signal(Signal::KILL);
    let killed = run.wait();
    assert_eq!(killed.code, None);
    wait_until("workers and what they started are gone", || place.alive().is_empty());
    let ended = place.run("--workers 3 --resume").exits(0);
    ended.says("resumed the run: ");
    let names: HashSet<&str> = ended.verdicts().into_iter().map(|(name, _)| name).collect();
    assert_eq!((names.len(), ended.verdicts().len()), (12, 12), "{ended}");
}

#[test]
fn a_killed_worker_is_replaced_and_its_file_run_again() {
    let place = slow(6, 500);
    let run = place.start("--workers 2");
    run.says("... ok");
    crate::faulty_support::signal(workers_of(run.pid())[0], Signal::KILL);
    let ended = run.wait().exits(0);
    let flaky = ended.verdicts().iter().filter(|(_, verdict)| *verdict == "flaky (passed on attempt 2)").count();
    assert!(flaky <= 1 && ended.verdicts().len() == 6, "{ended}");
}

#[test]
fn a_worker_that_was_stopped_and_continued_finishes() {
    let place = slow(6, 300);
    let run = place.start("--workers 2");
    run.says("... ok");
    let worker = workers_of(run.pid())[0];
    crate::faulty_support::signal(worker, Signal::STOP);
    std::thread::sleep(std::time::Duration::from_millis(500));
    crate::faulty_support::signal(worker, Signal::CONT);
    let ended = run.wait().exits(0);
    ended.others_passed("");
}

#[test]
fn a_worker_that_stays_stopped_times_out() {
    let place = slow(6, 300);
    let run = place.start("--workers 2 --file-timeout 4");
    run.says("... ok");
    crate::faulty_support::signal(workers_of(run.pid())[0], Signal::STOP);
    let ended = run.wait().exits(101);
    let timed_out = ended.verdicts().iter().filter(|(_, verdict)| *verdict == "timed out after 4 s").count();
    assert_eq!((timed_out, ended.verdicts().len()), (1, 6), "{ended}");
}

#[test]
fn repetitions_are_counted_by_file() {
    let sometimes = fault("once failed error by chance");
    let place = Place::new([("a.test", PASSES), ("sometimes.test", &sometimes)]);
    let ended = place.run("--workers 2 --repeat 3").exits(101);
    for (name, verdict) in [("a.test", "ok"), ("a.test (pass 2)", "ok"), ("a.test (pass 3)", "ok")] {
        assert_eq!(ended.verdict(name), verdict);
    }
    let bad =
        ended.verdicts().iter().filter(|(name, verdict)| name.starts_with("sometimes") && *verdict == "FAILED").count();
    assert_eq!(bad, 1, "{ended}");
    ended.says("passes    3 started; files: 1 never failed, 0 always, 1 unstable");
    ended.says("unstable  sometimes.test: passed 2, failed 1");
    ended.says("5 passed; 1 failed");
}

#[test]
fn repetitions_until_the_budget_is_spent_are_green() {
    let place = slow(3, 50);
    let arguments = "--workers 2 --repeat until-budget";
    let ended = within_budget(&place, arguments, |ended| ended.verdicts().len() > 6).exits(0);
    ended.says("running 3 tests");
    assert!(ended.verdicts().iter().all(|(_, verdict)| *verdict == "ok"), "{ended}");
    place.run("--workers 2 --repeat until-budget").exits(2).says("needs `--time-budget`");
}

#[test]
fn a_seed_gives_one_order() {
    let order = |arguments: &str| -> Vec<String> {
        let place = Place::with_many(20, PASSES);
        let ended = place.run(&format!("--workers 1 {arguments}")).exits(0);
        ended.verdicts().into_iter().map(|(name, _)| name.to_owned()).collect()
    };
    assert_eq!(order("--seed 7"), order("--seed 7"));
    assert_ne!(order("--seed 7"), order("--seed 8"));
}

#[test]
fn the_next_run_begins_with_what_failed() {
    let place = Place::with_many(10, PASSES);
    fs::write(place.path("tests/zz.test"), fault("once failed error by chance")).unwrap();
    place.run("--workers 1").exits(101);
    let ended = place.run("--workers 1").exits(0);
    assert_eq!(ended.verdicts()[0], ("zz.test", "ok"), "{ended}");
    assert_eq!(place.history().len(), 22);
}

#[test]
fn standard_output_is_pure_json() {
    let place = Place::with_fault("segv");
    fs::write(place.path("tests/noisy.test"), fault("print noise")).unwrap();
    for arguments in ["--workers 2 --format json", "--workers 2 --format json --repeat 2"] {
        let ended = place.run(arguments).exits(101);
        let events: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
        let passes = if arguments.contains("repeat") { 2 } else { 1 };
        assert_eq!(events[0]["test_count"], 6 * passes);
        let crashed: Vec<&Value> = events.iter().filter(|event| event["verdict"] == "crashed (SIGSEGV)").collect();
        assert_eq!(crashed.len(), passes);
        assert!(crashed[0]["stdout"].as_str().unwrap().contains("at tests/bad.test:4"));
        assert_eq!(events.last().unwrap()["event"], "failed");
    }
}

#[test]
fn every_mode_has_the_same_verdicts_and_counts() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus");
    let cases = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases");
    let place = Place::with_many(0, "");
    fs::create_dir_all(place.path("tests")).unwrap();
    let verdicts = |arguments: &str| -> BTreeMap<String, (String, String)> {
        let mut command = place.dress(clean(profile_folder().join("slt")));
        command.args(["run", "--format", "json", "--root", corpus, "--root", cases]);
        command.args(arguments.split_whitespace());
        let ended = place.start_command(command).wait().exits(101);
        let events = ended.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect(line));
        let ends = events.filter(|event| event["type"] == "test" && event["event"] != "started");
        ends.map(|event| {
            let verdict = format!("{} {} {}", event["event"], event["verdict"], event["message"]);
            (event["path"].as_str().unwrap().to_owned(), (verdict, event["records"].to_string()))
        })
        .collect()
    };
    let serial = verdicts("--test-threads 1");
    assert!(serial.len() > 60, "{serial:?}");
    assert_eq!(verdicts("--test-threads 4"), serial);
    for workers in [1, 2, 8] {
        assert_eq!(verdicts(&format!("--parallel --results results --workers {workers}")), serial, "{workers} workers");
    }
}
