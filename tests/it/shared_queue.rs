//! Processes that users start to share a queue, and what may happen to the queue's file.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;

use rustix::process::Signal;

use crate::faulty_support::{Ended, PASSES, Place, clean, fault, wait_until, workers_of};
use crate::support::at_once;

/// How often each file occurs in these processes' outputs, and that it passed.
#[track_caller]
fn times_printed(all: &[Ended]) -> BTreeMap<String, u32> {
    let mut times = BTreeMap::new();
    for ended in all {
        for (name, verdict) in ended.verdicts() {
            assert!(verdict == "ok" || verdict.starts_with("flaky"), "{ended}");
            *times.entry(name.to_owned()).or_default() += 1;
        }
    }
    times
}

#[test]
fn two_processes_share_the_files_and_each_reports_its_own() {
    let place = Place::with_many(12, &fault("sleep 100"));
    let runs = [place.start("--run-id one --timings"), place.start("--run-id one --timings")];
    let all = runs.map(|run| run.wait().exits(0));
    let printed = times_printed(&all);
    assert!(printed.len() == 12 && printed.values().all(|times| *times == 1), "{printed:?}");
    assert!(all.iter().all(|ended| !ended.verdicts().is_empty()));
    for ended in &all {
        ended.says(&format!("{} of 12 were run by other processes", 12 - ended.verdicts().len()));
        assert!(ended.stdout.contains("\nworkers   1, busy ") && !ended.stdout.contains("\nmakespan "), "{ended}");
    }
    let late = place.run("--run-id one").exits(0);
    late.says("the run is already finished");
    late.says("0 passed; 0 failed");
    assert!(late.verdicts().is_empty(), "{late}");
}

#[test]
fn without_an_id_a_process_joins_the_run_in_progress() {
    let place = Place::with_many(8, &fault("sleep 200"));
    let first = place.start("");
    first.says("... ok");
    let second = place.start("").wait().exits(0);
    second.says("joined the run in progress");
    let printed = times_printed(&[first.wait().exits(0), second]);
    assert!(printed.len() == 8 && printed.values().all(|times| *times == 1), "{printed:?}");
}

#[test]
fn another_run_cannot_start_while_one_is_in_progress() {
    let place = Place::with_many(4, &fault("sleep 400"));
    let first = place.start("--run-id one");
    first.says("started a new run");
    for arguments in ["--run-id two", "--run-id two --workers 2"] {
        place.start(arguments).wait().exits(4).says("is taken by run `one`, which is still in progress");
    }
    place.start("00").wait().exits(4).says("are only there");
    assert_eq!(first.wait().exits(0).verdicts().len(), 4);
}

#[test]
fn the_other_process_gets_the_file_of_a_killed_one() {
    let hang = fault("once begun hang");
    let place = Place::new([("a.test", PASSES), ("hang.test", &hang), ("z.test", PASSES)]);
    let doomed = place.start("--run-id one hang");
    wait_until("it hangs", || place.path("begun").exists());
    let other = place.start("--run-id one hang");
    other.says("waiting for other processes");
    doomed.signal(Signal::KILL);
    assert_eq!(doomed.wait().code, None);
    let ended = other.wait().exits(0);
    assert_eq!(ended.verdict("hang.test"), "flaky (passed on attempt 2)");
}

#[test]
fn a_file_that_always_kills_its_process_is_a_crash_with_its_position() {
    let place = Place::new([("segv.test", fault("segv"))]);
    assert_eq!(place.start("--run-id one").wait().code, None);
    assert_eq!(place.start("--run-id one").wait().code, None);
    let ended = place.start("--run-id one").wait().exits(101);
    assert_eq!(ended.verdict("segv.test"), "crashed (its process ended)");
    ended.says("[SQL] FAULT segv\nat tests/segv.test:4");
}

#[test]
fn an_interrupted_process_finishes_its_file_and_abandons_it_at_the_second_interrupt() {
    let place = Place::with_many(20, &fault("sleep 300"));
    let run = place.start("");
    run.says("... ok");
    run.signal(Signal::INT);
    let ended = run.wait().exits(3);
    assert!(ended.verdicts().iter().any(|(_, verdict)| *verdict == "not run (interrupted)"), "{ended}");
    let place = Place::new([("hang.test", fault("once begun hang"))]);
    let run = place.start("");
    wait_until("it hangs", || place.path("begun").exists());
    run.signal(Signal::INT);
    run.says("interrupt again to");
    run.signal(Signal::INT);
    let ended = run.wait().exits(3);
    assert_eq!(ended.verdict("hang.test"), "not run (interrupted)", "{ended}");
    // The interrupted process gave the file back, and the fault occurs only once.
    place.run("--resume").exits(0).says("1 passed; 0 failed");
}

#[test]
fn repetitions_show_their_pass_in_every_process() {
    let place = Place::with_many(2, PASSES);
    place.run("--repeat 2").exits(0).says("passes    2 started; files: 2 never failed, 0 always, 0 unstable");
    let ended = place.run("--repeat 2 --format json").exits(0);
    let started = ended.stdout.lines().filter(|line| line.contains("\"started\"") && line.contains("(pass 2)"));
    assert_eq!(started.count(), 2, "{ended}");
}

#[test]
fn sixty_four_processes_run_each_file_once() {
    let place = Place::with_many(100, PASSES);
    let runs: Vec<_> = (0..64).map(|_| place.start("--run-id crowd")).collect();
    let all: Vec<Ended> = runs.into_iter().map(|run| run.wait().exits(0)).collect();
    let printed = times_printed(&all);
    assert!(printed.len() == 100 && printed.values().all(|times| *times == 1), "{printed:?}");
    assert_eq!(place.history().len(), 100);
}

#[test]
fn a_queue_where_nothing_can_be_written_is_an_error() {
    let place = Place::with_many(3, PASSES);
    for mode in ["", "--workers 2"] {
        // Even root cannot write into a file as if it were a folder, nor into /proc.
        for queue in ["tests/00.test/queue", "/proc/queue"] {
            let ended = place.run(&format!("{mode} --queue {queue}")).exits(4);
            ended.says("error: cannot ");
            ended.says(queue.rsplit_once('/').unwrap().0);
        }
    }
    place.run("--queue tests/00.test").exits(4).says("is not a queue");
    place.run("--queue=").exits(2).says("`--queue` (or `SLT_QUEUE`): no such queue: use the path of a file");
    place.run("--queue tests").exits(2).says("`--queue` (or `SLT_QUEUE`): `tests` is a folder: name a file in it");
    place.run("--run-id x --queue postgres://h/db?slt_lease=x").exits(2).says("cannot use `postgres://h/db`: ");
    assert_eq!(fs::read_to_string(place.path("tests/00.test")).unwrap(), PASSES, "and is left as it was");
    let mut command = place.dress(clean(place.command("").get_program()));
    command.args(["--root", "tests", "--parallel", "--results", "tests/00.test"]);
    place
        .start_command(command)
        .wait()
        .exits(4)
        .says("cannot use `tests/00.test` for results: it is a file, not a folder");
}

#[test]
fn a_full_disk_ends_the_run_with_an_error_and_resume_continues() {
    at_once(&["", "--workers 2"], |mode| {
        let place = Place::with_many(60, PASSES);
        // No file may be longer than 20 KiB; that must not kill the process.
        let mut shell = place.dress(clean("sh"));
        shell.args(["-c", "trap '' XFSZ; ulimit -f 40; exec \"$@\"", "sh"]);
        let command = place.command(mode);
        shell.arg(command.get_program()).args(command.get_args());
        let ended = place.start_command(shell).wait().exits(4);
        ended.says("no room to write `results/queue`");
        assert_eq!(place.alive(), Vec::<String>::new());
        let ended = place.run(&format!("{mode} --resume")).exits(0);
        ended.says("resumed the run");
    });
}

#[test]
fn a_queue_of_a_newer_version_is_an_error() {
    let place = Place::with_many(3, PASSES);
    place.run("").exits(0);
    // The header begins with the version: `{"slt-queue":2`.
    let file = fs::File::options().write(true).open(place.path("results/queue")).unwrap();
    file.write_all_at(b"9", 13).unwrap();
    for mode in ["", "--workers 2"] {
        place.run(mode).exits(4).says("`results/queue` has format version 9, and this program knows 2");
    }
}

#[test]
fn a_queue_that_is_emptied_during_a_run_is_never_green() {
    at_once(&["", "--workers 2"], |mode| {
        for how in ["emptied", "deleted"] {
            let place = Place::with_many(6, &fault("sleep 300"));
            let run = place.start(mode);
            run.says("... ok");
            match how {
                "emptied" => fs::File::options().write(true).open(place.path("results/queue")).unwrap().set_len(0),
                _ => fs::remove_file(place.path("results/queue")),
            }
            .unwrap();
            let ended = run.wait().exits(4);
            ended.says(&format!("`results/queue` was {how} during the run"));
            wait_until("nobody is left", || place.alive().is_empty());
        }
    });
}

#[test]
fn a_process_may_join_a_supervised_run() {
    let place = Place::with_many(10, &fault("sleep 200"));
    let supervisor = place.start("--workers 2");
    supervisor.says("... ok");
    assert_eq!(workers_of(supervisor.pid()).len(), 2);
    let joined = place.start("").wait().exits(0);
    joined.says("joined the run in progress");
    let ended = supervisor.wait().exits(0);
    assert_eq!(ended.verdicts().len(), 10, "a supervisor reports all: {ended}");
    assert!(!joined.verdicts().is_empty());
}

#[test]
fn the_variables_of_earlier_tools_share_a_queue() {
    let place = Place::with_many(5, PASSES);
    let mut command = place.command("");
    command = {
        let mut plain = place.dress(clean(command.get_program()));
        plain.args(["--root", "tests"]);
        plain.env("SLT_PARALLEL", "1").env("SLT_TIME_BUDGET", "60");
        plain.env("SLT_QUEUE", place.path("shared/queue")).env("SLT_RESULTS", "results");
        plain
    };
    let ended = place.start_command(command).wait().exits(0);
    ended.says("5 passed");
    assert!(place.path("shared/queue").exists());
}

#[test]
fn two_supervisors_share_a_run_and_keep_their_workers_output_apart() {
    let failing =
        "statement ok\nFAULT print heard in FILE\n\nstatement ok\nFAULT sleep 200\n\nstatement ok\nFAULT error no\n";
    let names: Vec<String> = (0..24).map(|number| format!("{number:02}.test")).collect();
    let place = Place::new(names.iter().map(|name| (name, failing.replace("FILE", name))));
    let runs = [place.start("--workers 2"), place.start("--workers 2")];
    let all = runs.map(|run| run.wait().exits(101));
    for ended in &all {
        assert_eq!(ended.verdicts().len(), 24, "each supervisor reports all: {ended}");
        for name in &names {
            ended.says(&format!("what the process printed:\nheard in {name}\n"));
        }
    }
    assert!(place.path("results/workers/worker-1.log").exists());
    let joined = fs::read_dir(place.path("results/workers")).unwrap().flatten().filter(|entry| entry.path().is_dir());
    assert_eq!(joined.count(), 1, "{}\n{}", all[0], all[1]);
    // The next run begins with empty logs.
    place.run("--workers 1 00.test").exits(101);
    let log = fs::read_to_string(place.path("results/workers/worker-1.log")).unwrap();
    assert_eq!(log.matches("--- running ").count(), 1, "{log}");
    assert_eq!(fs::read_dir(place.path("results/workers")).unwrap().count(), 1, "nothing else is left of the last one");
}

#[test]
fn a_late_joiner_reports_failures_of_others() {
    let place = Place::new([("a.test", PASSES.to_owned()), ("bad.test", fault("error no"))]);
    place.run("--run-id one").exits(101);
    let late = place.run("--run-id one").exits(0);
    late.says("2 of 2 were run by other processes, or before; 1 of these failed");
}
