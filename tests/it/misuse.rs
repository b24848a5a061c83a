//! Invalid uses of parallel runs: each has a clear message and the documented exit code.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::faulty_support::{Ended, PASSES, Place, clean, fault, profile_folder};

/// Runs a place's scripts with these variables, and no flags except those for the folders.
fn with_variables(place: &Place, variables: &[(&str, &str)]) -> Ended {
    let mut command = place.dress(clean(place.command("").get_program()));
    command.args(["--root", "tests", "--results", "results"]).envs(variables.iter().copied());
    place.start_command(command).wait()
}

#[test]
fn an_invalid_value_is_named_with_its_flag_or_variable() {
    let place = Place::with_many(1, PASSES);
    for (flag, variable, value, words) in [
        ("--workers", "SLT_WORKERS", "0", "must be at least 1"),
        ("--workers", "SLT_WORKERS", "-1", "not a number of processes"),
        ("--workers", "SLT_WORKERS", "many", "not a number of processes"),
        ("--time-budget", "SLT_TIME_BUDGET", "-1", "not a possible time"),
        ("--time-budget", "SLT_TIME_BUDGET", "0", "must be more than 0"),
        ("--time-budget", "SLT_TIME_BUDGET", "abc", "not a number of seconds"),
        ("--file-timeout", "SLT_FILE_TIMEOUT", "soon", "not a number of seconds"),
        ("--query-timeout-ms", "SLT_QUERY_TIMEOUT_MS", "1.5", "not a number of milliseconds"),
        ("--memory-limit", "SLT_MEMORY_LIMIT", "much", "not a size such as `512M`"),
        ("--run-memory", "SLT_RUN_MEMORY", "0", "not a size such as `512M`"),
        ("--repeat", "SLT_REPEAT", "0", "must be at least 1"),
        ("--seed", "SLT_SEED", "x", "needs a whole number of at least 0"),
        ("--retries", "SLT_RETRIES", "-1", "needs a whole number of at least 0"),
        ("--run-id", "SLT_RUN_ID", "a b", "an id is up to 100 letters"),
    ] {
        let mut command = place.command("");
        command.arg(flag).arg(value);
        let ended = place.start_command(command).wait().exits(2);
        ended.says(words);
        ended.says(flag);
        let ended = with_variables(&place, &[("SLT_PARALLEL", "1"), (variable, value)]).exits(2);
        ended.says(words);
        ended.says(variable);
    }
    assert!(!place.path("results").exists(), "nothing was started");
}

#[test]
fn a_flag_for_parallel_runs_implies_parallel_where_it_says_enough_and_its_variable_does_not() {
    let place = Place::with_many(1, PASSES);
    let mut command = place.dress(clean(place.command("").get_program()));
    command.args(["--root", "tests", "--keep-runs", "5"]);
    place.start_command(command).wait().exits(2).says("`--keep-runs` is for parallel runs: it needs `--parallel`");
    let mut command = place.dress(clean(place.command("").get_program()));
    command.args(["--root", "tests", "--time-budget", "60", "--results", "shared"]);
    let ended = place.start_command(command).wait().exits(0);
    ended.says("started a new run");
    let ended = with_variables(&place, &[("SLT_TIME_BUDGET", "60"), ("SLT_WORKERS", "2")]).exits(0);
    assert!(!ended.stderr.contains("started a new run"), "{ended}");
    let queue = ("SLT_PARALLEL", "1");
    let ended = with_variables(&place, &[queue, ("SLT_MEMORY_LIMIT", "1G")]).exits(2);
    ended.says("(or `SLT_MEMORY_LIMIT`) is for worker processes: it needs `--workers`");
    let ended = with_variables(&place, &[queue, ("SLT_REPEAT", "until-budget")]).exits(2);
    ended.says("(or `SLT_REPEAT`) needs `--time-budget`");
}

#[test]
fn variables_of_earlier_tools_keep_their_meaning_or_have_a_warning() {
    let place = Place::new([("hang.test", fault("hang"))]);
    let queue = ("SLT_PARALLEL", "1");
    let ended = with_variables(&place, &[queue, ("SLT_WORKERS", "1"), ("SLT_QUERY_TIMEOUT_MS", "500")]);
    assert_eq!(ended.exits(101).verdict("hang.test"), "timed out after 0.5 s");
    let place = Place::with_many(3, PASSES);
    let slices = [("SQLLOGICTEST_WORKER_ID", "1"), ("SQLLOGICTEST_TOTAL_WORKERS", "2"), ("SQLLOGICTEST_VERBOSE", "1")];
    let ended = with_variables(&place, &slices).exits(0);
    ended.says("warning: `SQLLOGICTEST_TOTAL_WORKERS` shares nothing out");
    assert_eq!(ended.verdicts().len(), 3, "{ended}");
    let ended = with_variables(&place, &[&slices[..], &[queue]].concat()).exits(0);
    assert!(!ended.stderr.contains("warning"), "{ended}");
}

#[test]
fn a_misspelt_variable_has_one_warning_in_each_mode_and_command() {
    let place = Place::with_many(2, PASSES);
    for mode in [&[][..], &[("SLT_PARALLEL", "1")], &[("SLT_PARALLEL", "1"), ("SLT_WORKERS", "2")]] {
        let ended = with_variables(&place, &[mode, &[("SLT_FILE_TIMOUT", "5")]].concat()).exits(0);
        let warning = "warning: the variable `SLT_FILE_TIMOUT` has no effect; did you mean `SLT_FILE_TIMEOUT`?";
        assert_eq!(ended.stderr.matches(warning).count(), 1, "{ended}");
    }
    for words in [&["run", "--list"][..], &["run", "nosuch"], &["test", "tests/00.test"], &["check", "tests"]] {
        let mut slt = place.dress(clean(profile_folder().join("slt")));
        let output = slt.args(words).env("SLT_CORPSU", "tests").output().unwrap();
        let printed = String::from_utf8(output.stderr).unwrap();
        let warning = "warning: the variable `SLT_CORPSU` has no effect; did you mean `SLT_CORPUS`?";
        assert_eq!(printed.matches(warning).count(), 1, "{words:?}: {printed}");
    }
}

/// A library that replaces the system's `flock`, with the behaviour of some file systems.
fn flock(place: &Place, body: &str) -> PathBuf {
    let (source, library) = (place.path("flock.c"), place.path("flock.so"));
    fs::write(&source, format!("#include <errno.h>\nint flock(int file, int how) {{ {body} }}\n")).unwrap();
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source);
    assert!(compiler.status().expect("a C compiler, which this project needs").success());
    library
}

#[test]
fn a_file_system_without_locks_is_refused() {
    for (body, why) in [
        // NFS without its lock service, some FUSE file systems, and those that grant every lock behave like this.
        ("errno = ENOLCK; return -1;", "No locks available"),
        ("errno = EOPNOTSUPP; return -1;", "Operation not supported"),
        ("return 0;", "cannot lock"),
    ] {
        for mode in ["", "--workers 2"] {
            let place = Place::with_many(3, PASSES);
            let mut command = place.command(mode);
            command.env("LD_PRELOAD", flock(&place, body));
            let ended = place.start_command(command).wait().exits(4);
            ended.says("cannot lock `results/queue`: a queue needs a file system with working locks");
            ended.says(why);
            assert!(ended.verdicts().is_empty(), "{ended}");
        }
    }
}
