//! `slt test`, and names of one record or pass: colours, rows behind a hash, filters in a variable, crashes in loops.

use std::fs;

use crate::faulty_support::{PASSES, Place};
use crate::support::{FAILS, Printed, command, folder, target_binary};

#[test]
fn slt_test_writes_the_rows_behind_a_hash_where_runs_do() {
    let script = "query I\nWITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 99) SELECT x FROM n\n----\n\
                  99 values hashing to 00000000000000000000000000000000\n";
    let root = folder(&[("a.test", script)]);
    let test = |results: Option<&str>| {
        let mut slt = command(env!("CARGO_BIN_EXE_slt"));
        slt.args(["test", "a.test"]).current_dir(root.path()).env_remove("SLT_RESULTS");
        match results {
            Some(folder) => Printed::of(slt.args(["--results", folder])),
            None => Printed::of(&mut slt),
        }
    };
    for (results, path) in
        [(Some("mine"), "mine/returned/a.test+1.txt"), (None, "target/slt/slt/run/returned/a.test+1.txt")]
    {
        let printed = test(results);
        assert_eq!(printed.code, 101, "{printed:?}");
        assert!(printed.out.contains(&format!("all of them, one value per line: {path}")), "{printed:?}");
        assert_eq!(fs::read_to_string(root.path().join(path)).unwrap().lines().count(), 99);
    }
}

#[test]
fn a_file_in_which_nothing_is_checked_is_no_success() {
    let other = "onlyif mysql\nquery I\nSELECT 1\n----\n1\n";
    let root = folder(&[("empty.test", ""), ("other.test", other), ("both.test", &format!("{other}\n{PASSES}"))]);
    let slt =
        |arguments: &[&str]| Printed::of(command(env!("CARGO_BIN_EXE_slt")).args(arguments).current_dir(root.path()));
    for name in ["empty.test", "other.test", "other.test:2"] {
        let printed = slt(&["test", name]);
        assert!(printed.code == 5 && printed.out.contains("\nresult: ignored ("), "{name}: {printed:?}");
        assert!(printed.err.contains("nothing in the file could be checked"), "{name}: {printed:?}");
        assert_eq!(slt(&["run", "--root", ".", "--exact", name]).code, 5, "{name}");
    }
    assert_eq!(slt(&["test", "both.test"]).code, 0);
}

#[test]
fn colours_follow_cargos_variable() {
    let root = folder(&[("a.test", FAILS)]);
    let test = |arguments: &[&str], color: &str| {
        let mut slt = command(env!("CARGO_BIN_EXE_slt"));
        Printed::of(slt.args(arguments).current_dir(root.path()).env("CARGO_TERM_COLOR", color)).out.contains('\u{1b}')
    };
    for arguments in [&["test", "a.test"][..], &["fill", "a.test", "--reference", "sqlite"]] {
        assert!(test(arguments, "always") && !test(arguments, "never") && !test(arguments, "auto"), "{arguments:?}");
    }
}

#[test]
fn a_variable_can_name_a_pass_of_nested_loops() {
    let script = "loop i 0 3\n\nloop j 0 3\n\nquery I\nSELECT {i} * 10 + {j}\n----\n12\n\nendloop\n\nendloop\n";
    let root = folder(&[("a.duckdb.test", script), ("b.test", FAILS)]);
    let run = |files: &str| {
        let results = root.path().join("results");
        let mut target = command(target_binary());
        Printed::of(target.env("SLT_CORPUS", root.path()).env("SLT_FILES", files).env("SLT_RESULTS", results))
    };
    let printed = run("a.duckdb.test:5(i=1,j=2)");
    assert!(printed.code == 0 && printed.out.contains("1 passed; 0 failed"), "{printed:?}");
    let printed = run("a.duckdb.test:5(i=1,j=2),b.test:3");
    assert!(printed.code == 101 && printed.out.contains("1 passed; 1 failed"), "{printed:?}");
    let printed = run("a.duckdb.test:5(i=2, j=2)");
    assert!(printed.code == 101 && printed.out.contains("at ") && printed.out.contains(":5 (i=2, j=2)"), "{printed:?}");
}

#[test]
fn a_crash_in_a_loop_names_the_pass() {
    let script = "loop i 0 5\n\nonlyif i=3\nstatement ok\nFAULT segv\n\nendloop\n";
    let place = Place::new([("a.duckdb.test", script), ("b.test", PASSES)]);
    let ended = place.start_command(place.serial()).wait();
    assert!(ended.stderr.contains("crashed (SIGSEGV) at tests/a.duckdb.test:4 (i=3)\n[SQL] FAULT segv"), "{ended}");
    let ended = place.run("--workers 1").exits(101);
    ended.says("at tests/a.duckdb.test:4 (i=3)");
    let results: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(place.path("results/results.json")).unwrap()).unwrap();
    let crashed = results["outcomes"].as_array().unwrap().iter().find(|outcome| outcome["name"] == "a.duckdb.test");
    assert_eq!(crashed.unwrap()["failures"][0]["pass"], "i=3", "{results}");
}

#[test]
fn what_is_wrong_with_flags_is_said_in_the_words_that_were_typed() {
    let order = r#"{"command":"run","test":"slt","typed":"cargo slt run -p mine"}"#;
    let printed = Printed::of(command(target_binary()).args(["--handed-over", order, "--nonsense"]));
    assert_eq!(printed.code, 2, "{printed:?}");
    assert!(printed.err.contains("Usage: cargo slt run -p mine [OPTIONS] [FILTERS]..."), "{printed:?}");
    let printed = Printed::of(command(target_binary()).arg("--nonsense"));
    assert!(printed.code == 2 && printed.err.contains("Usage: cargo test --test NAME -- [OPTIONS]"), "{printed:?}");
    let root = folder(&[("a.test", FAILS)]);
    let slt = |line: &str, variable: (&str, &str)| {
        let mut slt = command(env!("CARGO_BIN_EXE_slt"));
        Printed::of(slt.args(line.split(' ')).current_dir(root.path()).env(variable.0, variable.1))
    };
    let none = ("SLT_QUIET", "");
    for (line, variable, words) in [
        ("run --complete", none, "`--complete` is a flag of another runner: here, `--bless` rewrites"),
        ("list -j 2", none, "`-j` is a flag of another runner: here, `--test-threads N`"),
        ("watch --junit x", none, "`--junit` is a flag of another runner"),
        ("status --host x", none, "unexpected argument '--host' found"),
        ("run --nonsense", none, "\nUsage: slt run "),
        ("run --ratchet", none, "\nUsage: slt run "),
        ("test a.test --bless-errors", none, "\nUsage: slt test "),
        ("config", ("SLT_RETRIES", "x"), "(from the environment variable `SLT_RETRIES`)"),
        ("test a.test", ("SLT_FILE_TIMEOUT", "x"), "(from the environment variable `SLT_FILE_TIMEOUT`)"),
        ("run --retries x", ("SLT_RETRIES", "3"), "invalid value 'x' for '--retries <N>'"),
    ] {
        let printed = slt(line, variable);
        assert!(printed.code == 2 && printed.err.contains(words), "{line}: {printed:?}");
    }
}

#[test]
fn wrong_places_are_named_with_what_is_near() {
    let root = folder(&[("a.test", FAILS)]);
    let slt = |arguments: &[&str]| {
        Printed::of(command(env!("CARGO_BIN_EXE_slt")).args(arguments).args(["--root", "."]).current_dir(root.path()))
    };
    for name in ["test", "run", "shrink"] {
        let printed = slt(&[name, "a.test:99"]);
        assert!(
            printed.code == 2 && printed.err.contains("`a.test` has 6 lines; the nearest record is `a.test:3`"),
            "{printed:?}"
        );
        let printed = slt(&[name, "a.test:1"]);
        assert!(
            printed.code == 2 && printed.err.contains("line 1 of `a.test` is in no record; the nearest"),
            "{printed:?}"
        );
    }
}
