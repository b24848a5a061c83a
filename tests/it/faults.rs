//! How an engine may harm its process, and the effect on the run.

use crate::faulty_support::{Ended, PASSES, Place, fault};
use crate::support::at_once;

/// Runs four scripts that pass and one with a fault, which must be reported at its position.
#[track_caller]
fn commits(what: &str, arguments: &str, verdict: &str) -> Ended {
    let ended = Place::with_fault(what).run(&format!("--workers 2 {arguments}")).exits(101);
    assert_eq!(ended.verdict("bad.test"), verdict, "{ended}");
    ended.others_passed("bad.test");
    ended.says(&format!("[SQL] FAULT {what}\nat tests/bad.test:4"));
    ended.says("test result: FAILED. 4 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out");
    ended
}

#[test]
fn a_segfault_is_a_crash_with_its_position() {
    let ended = commits("segv", "", "crashed (SIGSEGV)");
    ended.says("the process that ran this record ended: SIGSEGV");
}

#[test]
fn an_abort_is_a_crash_with_its_position() {
    commits("abort", "", "crashed (SIGABRT)");
}

#[test]
fn an_overflow_of_the_stack_is_a_crash_with_what_was_printed() {
    let ended = commits("overflow", "", "crashed (SIGABRT)");
    ended.says("has overflowed its stack");
}

#[test]
fn an_exit_is_a_crash_whatever_its_code() {
    commits("exit 0", "", "crashed (exit 0)");
    commits("exit 3", "", "crashed (exit 3)");
}

#[test]
fn a_panic_of_the_engine_is_a_failure_like_any_other() {
    let place = Place::with_fault("panic");
    let ended = place.run("--workers 2").exits(101);
    assert_eq!(ended.verdict("bad.test"), "FAILED");
    ended.others_passed("bad.test");
    ended.says("the engine's adapter panicked at ");
    ended.says(": the engine has had enough\n");
    ended.says("at tests/bad.test:4");
}

#[test]
fn an_engine_that_hangs_times_out() {
    at_once(&["--file-timeout 1", "--query-timeout 1"], |arguments| {
        let ended = commits("hang", arguments, "timed out after 1 s");
        ended.says("still running in sqlite when the time limit was over");
    });
}

#[test]
fn an_engine_that_eats_memory_runs_out_of_it() {
    let ended = commits("eat", "--memory-limit 512M", "out of memory (limit 512 MiB)");
    ended.says("out of memory (limit 512 MiB)\nthe process that ran this record ran out of memory\n[SQL] FAULT eat");
}

#[test]
fn sqlite_without_memory_is_out_of_memory_whatever_the_script_expects() {
    let text = "statement error\nSELECT zeroblob(900000000) || zeroblob(1)\n";
    let place = Place::new([("a.test", PASSES), ("bad.test", text)]);
    let ended = place.run("--workers 2 --memory-limit 512M").exits(101);
    assert_eq!(ended.verdict("bad.test"), "out of memory (limit 512 MiB)");
    ended.says("at tests/bad.test:1");
}

#[test]
fn a_memory_limit_that_is_too_low_for_a_worker_is_an_error_that_says_so() {
    let ended = Place::with_many(3, PASSES).run("--workers 2 --memory-limit 1M").exits(4);
    ended.says("workers cannot start: `--memory-limit` of 1 MiB is too low");
}

#[test]
fn processes_of_an_engine_are_gone_when_the_run_ends() {
    for what in ["fork", "daemon", "clone"] {
        // `run` looks for surviving processes.
        Place::with_fault(what).run("--workers 2").exits(0);
    }
}

#[test]
fn detached_processes_of_an_engine_are_gone_when_the_run_ends() {
    at_once(&["", "\nstatement ok\nFAULT segv\n"], |last| {
        let place = Place::new([("a.test", PASSES.to_owned()), ("bad.test", fault("stray stray") + last)]);
        let ended = place.run("--workers 2 --crash-retries 0");
        assert_eq!(ended.code, Some(if last.is_empty() { 0 } else { 101 }), "{ended}");
        let pid = std::fs::read_to_string(place.path("stray")).unwrap();
        assert!(!std::path::Path::new("/proc").join(pid.trim()).exists(), "process {pid} stays");
    });
}

#[test]
fn processes_of_an_engine_are_gone_after_a_time_out_and_after_a_crash() {
    at_once(&[("hang", "timed out after 1 s"), ("segv", "crashed (SIGSEGV)")], |&(last, verdict)| {
        let text = format!("statement ok\nFAULT clone\n\nstatement ok\nFAULT daemon\n\nstatement ok\nFAULT {last}\n");
        let place = Place::new([("a.test", PASSES), ("bad.test", text.as_str())]);
        let ended = place.run("--workers 2 --file-timeout 1").exits(101);
        assert_eq!(ended.verdict("bad.test"), verdict);
        ended.says("at tests/bad.test:7");
    });
}

#[test]
fn a_failure_shows_only_its_own_files_output() {
    let noisy = "statement ok\nFAULT print heard from another file\n";
    let bad = "statement ok\nFAULT print last words\n\nstatement ok\nFAULT segv\n";
    let failing = "statement ok\nFAULT print before the failure\n\nstatement ok\nFAULT error on purpose\n";
    let place = Place::new([("a.test", noisy), ("b.test", noisy), ("bad.test", bad), ("failing.test", failing)]);
    // One worker, so that all of them print to one log.
    let ended = place.run("--workers 1").exits(101);
    assert_eq!((ended.verdict("bad.test"), ended.verdict("failing.test")), ("crashed (SIGSEGV)", "FAILED"));
    ended.says("what the process printed:\nlast words\n");
    ended.says("what the process printed:\nbefore the failure\n");
    assert!(!ended.stdout.contains("heard from another file"), "{ended}");
}

#[test]
fn a_file_that_crashes_once_is_flaky() {
    let place = Place::with_fault("once crashed segv");
    let ended = place.run("--workers 2").exits(0);
    assert_eq!(ended.verdict("bad.test"), "flaky (passed on attempt 2)");
    ended.others_passed("bad.test");
    ended.says("test result: ok. 5 passed; 0 failed");
}

#[test]
fn without_crash_retries_the_first_crash_counts() {
    let ended = Place::with_fault("once crashed segv").run("--workers 2 --crash-retries 0").exits(101);
    assert_eq!(ended.verdict("bad.test"), "crashed (SIGSEGV)");
}

#[test]
fn retries_are_for_failures_and_time_outs() {
    let ended = Place::with_fault("once failed error by chance").run("--workers 2 --retries 1").exits(0);
    assert_eq!(ended.verdict("bad.test"), "flaky (passed on attempt 2)");
    let ended = Place::with_fault("once hung hang").run("--workers 2 --retries 1 --file-timeout 1").exits(0);
    assert_eq!(ended.verdict("bad.test"), "flaky (passed on attempt 2)");
    let ended = Place::with_fault("error every time").run("--workers 2 --retries 2").exits(101);
    assert_eq!(ended.verdict("bad.test"), "FAILED");
    let ended = Place::with_fault("once failed error by chance").run("--workers 2").exits(101);
    assert_eq!(ended.verdict("bad.test"), "FAILED");
}

#[test]
fn each_attempt_has_the_whole_time_limit() {
    let text = fault("sleep 1500") + "\nstatement ok\nFAULT error every time\n";
    let place = Place::new([("a.test", PASSES), ("slow.test", text.as_str())]);
    let ended = place.run("--workers 2 --retries 3 --file-timeout 4.5").exits(101);
    assert_eq!(ended.verdict("slow.test"), "FAILED");
}

#[test]
fn many_faults_at_once_are_distinguished() {
    let faults = ["segv", "abort", "exit 0", "exit 3", "hang", "error no", "panic", "fork"];
    let scripts = faults.iter().map(|what| (format!("{}.test", what.replace(' ', "-")), fault(what)));
    let place = Place::new(scripts.chain((0..20).map(|number| (format!("ok-{number}.test"), PASSES.to_owned()))));
    let ended = place.run("--workers 4 --file-timeout 1 --crash-retries 2").exits(101);
    for (name, verdict) in [
        ("segv.test", "crashed (SIGSEGV)"),
        ("abort.test", "crashed (SIGABRT)"),
        ("exit-0.test", "crashed (exit 0)"),
        ("exit-3.test", "crashed (exit 3)"),
        ("hang.test", "timed out after 1 s"),
        ("error-no.test", "FAILED"),
        ("panic.test", "FAILED"),
        ("fork.test", "ok"),
    ] {
        assert_eq!(ended.verdict(name), verdict, "{name}: {ended}");
    }
    ended.says("21 passed; 7 failed; 0 ignored");
}
