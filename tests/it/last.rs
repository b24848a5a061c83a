//! `--failed`, `--changed`, and filters with `*` and `!`: which files a run selects.

use std::fs;
use std::path::Path;

use crate::support::{FAILS, PASSES, Printed, command, folder, target_binary};

#[test]
fn only_what_failed_in_the_last_run_is_run_until_nothing_fails() {
    let files = folder(&[("a/bad.test", FAILS), ("a/good.test", PASSES), ("b/bad.slt", FAILS), ("b/good.slt", PASSES)]);
    for program in [Path::new(env!("CARGO_BIN_EXE_slt")), target_binary()] {
        let results = folder(&[]);
        let run_in = |root: &Path, arguments: &[&str]| {
            let mut command = command(program);
            if program.ends_with("slt") {
                command.arg("run");
            }
            command.args(arguments).arg("--root").arg(root).env("SLT_RESULTS", results.path());
            Printed::of(&mut command)
        };
        let run = |arguments: &[&str]| run_in(files.path(), arguments);
        let none = run(&["--failed"]);
        assert!(none.code == 2 && none.err.contains("no run has left a history in"), "{none:?}");
        assert_eq!(run(&[]).code, 101);
        let others = folder(&[("other.test", FAILS)]);
        let unknown = run_in(others.path(), &["--failed"]);
        assert!(unknown.code == 2 && unknown.err.contains("none of these files is in the history in"), "{unknown:?}");
        let one = run(&["--failed", "slt"]);
        assert_eq!(one.verdicts(), ["test b/bad.slt ... FAILED"], "{one:?}");
        // The other file still counts: it failed when it last ran.
        let both = run(&["--failed", "--test-threads", "1"]);
        assert_eq!(both.verdicts(), ["test a/bad.test ... FAILED", "test b/bad.slt  ... FAILED"], "{both:?}");
        let two = run(&["--failed", "--parallel"]);
        assert_eq!(two.verdicts(), ["test a/bad.test ... FAILED", "test b/bad.slt  ... FAILED"], "{two:?}");
        let other = run(&["--failed", "good"]);
        assert!(
            other.code == 5 && other.err.contains("no filter matches a file that failed when it last ran"),
            "{other:?}"
        );
        // Both files are repaired and pass. After that, there is nothing left to run, which is not a success.
        fs::write(files.path().join("a/bad.test"), PASSES).unwrap();
        fs::write(files.path().join("b/bad.slt"), PASSES).unwrap();
        assert_eq!(run(&["--failed"]).code, 0);
        let nothing = run(&["--failed"]);
        assert!(nothing.code == 5 && nothing.err.contains("no file failed when it last ran"), "{nothing:?}");
        fs::write(files.path().join("a/bad.test"), FAILS).unwrap();
        fs::write(files.path().join("b/bad.slt"), FAILS).unwrap();
    }
}

#[test]
fn only_what_has_changed_since_it_passed_is_run_until_nothing_has() {
    let included = "include part.inc\n\nquery I\nSELECT 1\n----\n1\n";
    for program in [Path::new(env!("CARGO_BIN_EXE_slt")), target_binary()] {
        for way in [&[][..], &["--test-threads", "1"], &["--parallel", "--workers", "2"], &["--parallel"]] {
            let files = folder(&[
                ("bad.test", FAILS),
                ("good.test", PASSES),
                ("including.slt", included),
                ("part.inc", "statement ok\nSELECT 1\n"),
            ]);
            let results = folder(&[]);
            let run = |arguments: &[&str]| {
                let mut command = command(program);
                if program.ends_with("slt") {
                    command.arg("run");
                }
                command.args(arguments).args(way).arg("--root").arg(files.path()).env("SLT_RESULTS", results.path());
                Printed::of(&mut command)
            };
            let verdicts = |printed: Printed| {
                let words = |line: &&str| line.split_whitespace().skip(1).step_by(2).collect::<Vec<_>>().join(" ");
                (printed.code, printed.verdicts().iter().map(words).collect::<Vec<_>>().join(", "))
            };
            let all = "bad.test FAILED, good.test ok, including.slt ok".to_owned();
            assert_eq!(verdicts(run(&["--changed"])), (101, all), "none has passed yet: {way:?}");
            assert_eq!(verdicts(run(&["--changed"])), (101, "bad.test FAILED".to_owned()), "{way:?}");
            fs::write(files.path().join("bad.test"), PASSES).unwrap();
            fs::write(files.path().join("part.inc"), "statement ok\nSELECT 2\n").unwrap();
            assert_eq!(verdicts(run(&["--changed", "including"])), (0, "including.slt ok".to_owned()), "{way:?}");
            assert_eq!(verdicts(run(&["--changed"])), (0, "bad.test ok".to_owned()), "{way:?}");
            let nothing = run(&["--changed"]);
            assert!(
                nothing.code == 5 && nothing.err.contains("no file has changed since it last passed"),
                "{nothing:?}"
            );
            // The file fails, and then has again the content with which it passed.
            fs::write(files.path().join("good.test"), FAILS).unwrap();
            assert_eq!(verdicts(run(&["--changed"])), (101, "good.test FAILED".to_owned()), "{way:?}");
            fs::write(files.path().join("good.test"), PASSES).unwrap();
            assert_eq!(run(&["--changed"]).code, 5, "{way:?}");
            assert_eq!(verdicts(run(&["--changed", "--failed"])), (0, "good.test ok".to_owned()), "{way:?}");
        }
    }
}

#[test]
fn slt_lists_files_by_the_history_of_its_runs() {
    let place = folder(&[("files/bad.test", FAILS), ("files/good.test", PASSES), ("files/other.test", PASSES)]);
    let slt = |arguments: &[&str]| {
        let mut slt = command(env!("CARGO_BIN_EXE_slt"));
        slt.args(arguments).args(["--root", "files", "--format", "terse"]);
        Printed::of(slt.current_dir(place.path()).env_remove("SLT_RESULTS"))
    };
    assert_eq!(slt(&["run"]).code, 101);
    for list in [&["list"][..], &["run", "--list"]] {
        for flag in ["--failed", "--changed"] {
            let printed = slt(&[list, &[flag]].concat());
            assert_eq!((printed.code, printed.out.as_str()), (0, "bad.test: test\n"), "{list:?} {flag}: {printed:?}");
        }
        let printed = slt(&[list, &["--shard", "1/2"]].concat());
        assert!(printed.code == 0 && printed.err.contains("as the history has it"), "{list:?}: {printed:?}");
    }
}

#[test]
fn filters_take_patterns_and_leave_out_what_begins_with_an_exclamation_mark() {
    let names = ["a/join1.test", "a/join2.test", "a/other.test", "b/join1.slt"];
    let files = folder(&names.map(|name| (name, PASSES)));
    let listed = |arguments: &[&str]| {
        let mut command = command(env!("CARGO_BIN_EXE_slt"));
        command.arg("list").args(arguments).arg("--root").arg(files.path());
        let printed = Printed::of(&mut command);
        let names = printed.out.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned);
        names.collect::<Vec<_>>()
    };
    assert_eq!(listed(&["join*.test"]), ["a/join1.test", "a/join2.test"]);
    assert_eq!(listed(&["a/*"]), ["a/join1.test", "a/join2.test", "a/other.test"]);
    assert_eq!(listed(&["join?.slt"]), ["b/join1.slt"]);
    assert_eq!(listed(&["join[2-9].*"]), ["a/join2.test"]);
    assert_eq!(listed(&["join", "!slt"]), ["a/join1.test", "a/join2.test"]);
    assert_eq!(listed(&["!join*.test"]), ["a/other.test", "b/join1.slt"]);
    assert_eq!(listed(&["!a/", "!b/"]), [""; 0]);
}

#[test]
fn the_command_for_a_file_that_failed_fails_it_again_the_same_way() {
    let files = folder(&[
        ("tests/loop.test", "loop i 0 2\n\nquery I\nSELECT ${i}\n----\n1\n\nendloop\n"),
        ("tests/other.test", "query I\nSELECT 1\n----\n2\n\nquery I\nSELECT 3\n----\n4\n"),
        ("known.toml", "[[known]]\npath = \"other.test\"\nreason = \"one\"\nfailed = 1\n"),
    ]);
    let run = |command: &mut std::process::Command| Printed::of(command.current_dir(files.path()));
    let first = run(command(env!("CARGO_BIN_EXE_slt")).args(["run", "--root", "tests", "--dialect", "duckdb"]).args([
        "--known-failures",
        "known.toml",
        "--label",
        "it's",
        "--lenient",
    ]));
    assert_eq!(first.code, 101, "{first:?}");
    for name in ["loop.test", "other.test"] {
        let mut commands = first.out.lines().filter_map(|line| line.strip_prefix("run again: "));
        let line = commands.find(|line| line.contains(" --exact ") && line.ends_with(name));
        let line = line.unwrap_or_else(|| panic!("no command for {name}: {first:?}"));
        let second = run(command("sh").args(["-c", line]));
        let failure = |printed: &Printed| {
            let text = printed.out.split(&format!("---- {name} stdout ----")).nth(1).unwrap_or_default();
            text.split("\n\n").next().unwrap_or_default().to_owned()
        };
        assert!(second.code == 101 && !failure(&first).is_empty(), "{second:?}");
        assert_eq!(failure(&first), failure(&second));
    }
}
