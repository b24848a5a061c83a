//! Each test target has its own results, and a run of some files says nothing about the others.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::results::valid;
use crate::support::{FAILS, PASSES, Printed, command, folder, target_binary};

/// A package with test files and two test targets that cargo has built for it.
struct Package(TempDir);

impl Package {
    fn new() -> Package {
        let package = Package(folder(&[
            ("Cargo.toml", "[package]\nname = \"my-engine\"\n"),
            ("src/lib.rs", ""),
            ("tests/a.test", PASSES),
            ("tests/b.test", FAILS),
            ("tests/sub/c.test", PASSES),
            ("target/CACHEDIR.TAG", ""),
        ]));
        for target in ["slt", "more_slt"] {
            let binary = package.binary(target);
            fs::create_dir_all(binary.parent().unwrap()).unwrap();
            if fs::hard_link(target_binary(), &binary).is_err() {
                fs::copy(target_binary(), &binary).unwrap();
            }
        }
        package
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn binary(&self, target: &str) -> PathBuf {
        self.path(&format!("target/x86_64-unknown-linux-gnu/debug/deps/{target}-0123456789abcdef"))
    }

    fn say(&self, program: &Path, package: Option<&str>, arguments: &str) -> Printed {
        let mut command = command(program);
        command.current_dir(self.0.path()).env_remove("SLT_RESULTS").env_remove("CARGO_PKG_NAME");
        if let Some(package) = package {
            command.env("CARGO_PKG_NAME", package);
        }
        Printed::of(command.args(arguments.split_whitespace()))
    }

    /// Runs a test target as cargo would.
    fn test(&self, target: &str, arguments: &str) -> Printed {
        self.say(&self.binary(target), Some("my-engine"), &format!("--root tests {arguments}"))
    }

    fn slt(&self, arguments: &str) -> Printed {
        self.say(Path::new(env!("CARGO_BIN_EXE_slt")), Some("another"), arguments)
    }

    fn slt_json(&self, arguments: &str) -> Value {
        let printed = self.slt(arguments);
        assert_eq!(printed.code, 0, "{printed:?}");
        serde_json::from_str(&printed.out).unwrap()
    }
}

#[test]
fn each_test_target_and_slt_run_have_their_own_results() {
    let package = Package::new();
    assert!(package.slt("status").err.contains("no run is on record in `target/slt`"));
    let printed = package.test("slt", "");
    assert_eq!(printed.code, 101, "{printed:?}");
    assert!(printed.out.contains("target/slt/my-engine/slt/results.json"), "{printed:?}");
    let results = valid(&package.path("target/slt/my-engine/slt"), "results.json");
    assert_eq!((&results["target"], &results["scope"]["suite"]), (&"my-engine/slt".into(), &3.into()), "{results}");
    // Only one target has results, so these are used.
    assert!(package.slt("status").out.starts_with("FAILED: 1 of 3 files\n\ntarget     my-engine/slt\n"));
    // If cargo did not start the target, the package is that of the folder.
    let printed = package.say(&package.binary("more_slt"), None, "--root tests --parallel --workers 2 a.test c.test");
    assert_eq!(printed.code, 0, "{printed:?}");
    let printed = package.slt("run --root tests a.test");
    assert_eq!(printed.code, 0, "{printed:?}");
    for name in ["my-engine/slt", "my-engine/more_slt", "slt/run"] {
        let folder = package.path("target/slt").join(name);
        let kept = valid(&folder, "results.json");
        assert_eq!(kept["target"], name, "{kept}");
        assert!(folder.join("history.jsonl").exists());
    }
    let several = package.slt("status");
    assert_eq!(several.code, 2, "{several:?}");
    for name in ["my-engine/slt", "my-engine/more_slt", "slt/run"] {
        assert!(several.err.contains(&format!("\n  --results target/slt/{name}  last run `")), "{several:?}");
        let printed = package.slt(&format!("status --results target/slt/{name}"));
        assert!(printed.out.contains(&format!("target     {name}\n")), "{printed:?}");
    }
    assert!(package.slt("status --test slt").out.starts_with("FAILED: 1 of 3 files\n"));
    let printed = package.slt("status --test more-slt");
    let part = "2 of 3 files (filters: `a.test`, `c.test`)";
    assert!(
        printed.out.starts_with(&format!("passed: 2 of 2 files, none failed, in a run of {part}\n")),
        "{printed:?}"
    );
    for command in ["diff", "analyze", "punchlist --output -", "report", "query --preset recent-runs"] {
        let printed = package.slt(command);
        assert!(printed.code == 2 && printed.err.contains("several test targets"), "{command}: {printed:?}");
    }
    assert!(package.slt("punchlist --test run --output -").out.contains("in a run of 1 of 3 files"), "of `slt run`");
    assert!(package.slt("analyze --package slt").err.contains("a run of 1 of 3 files (filter: `a.test`)"));
    let page = package.slt("report --test more_slt");
    let page = fs::read_to_string(package.path(page.out.trim())).unwrap();
    assert!(page.contains("A run of 2 of 3 files"), "the page says its scope");
    let csv = package.slt("query --preset progress --format csv --test run").out;
    assert!(csv.contains("1 of 3 files (filter: `a.test`)"), "{csv}");
}

#[test]
fn a_run_of_one_file_says_nothing_about_the_others_in_every_mode() {
    for way in ["", "--parallel", "--parallel --workers 2"] {
        let package = Package::new();
        assert_eq!(package.test("slt", way).code, 101);
        let whole = package.slt_json("status --json");
        assert_eq!(whole["scope"], Value::Null);
        for (chosen, scope, code) in [
            ("--exact a.test", "1 file (whole name: `a.test`)", 0),
            ("b.test", "1 of 3 files (filter: `b.test`)", 101),
            ("--skip sub --skip b", "1 of 3 files (without: `sub`, `b`)", 0),
            ("--shard 1/3", "1 of 3 files (shard 1 of 3)", 0),
        ] {
            let printed = package.test("slt", &format!("{way} {chosen}"));
            let status = package.slt_json("status --json");
            assert_eq!(status["scope"], scope, "{way} {chosen}: {printed:?}");
            assert!(printed.code == code || chosen.starts_with("--shard"), "{way} {chosen}: {printed:?}");
            let diff = package.slt_json(&format!("diff {} latest --json", whole["run_id"].as_str().unwrap()));
            assert_eq!((&diff["gone"], &diff["new"]), (&Value::Array(vec![]), &Value::Array(vec![])), "{way} {chosen}");
            assert_eq!((&diff["outside_after"], &diff["outside_before"]), (&2.into(), &0.into()), "{way} {chosen}");
            assert_eq!(diff["before"]["total"]["planned"], 1, "{way} {chosen}: {diff}");
        }
        // A file that no longer exists is listed as gone, if the later run was asked for it.
        fs::remove_file(package.path("tests/sub/c.test")).unwrap();
        package.test("slt", &format!("{way} sub a.test"));
        let printed = package.slt(&format!("diff {} latest", whole["run_id"].as_str().unwrap()));
        assert!(printed.out.contains("\ngone: 1 file\n  sub/c.test  ok\n"), "{way}: {printed:?}");
        assert!(printed.out.contains("before  the whole suite; 1 file of it not compared\n"), "{way}: {printed:?}");
        // The run that is compared by default may have other files; then a note names the last run of the same files.
        package.test("slt", way);
        let first = package.slt("diff");
        assert!(first.err.contains("is the last one of the same files: `slt diff "), "{way}: {first:?}");
        let command = first.err.split('`').nth(3).unwrap().trim_start_matches("slt ").to_owned();
        let printed = package.slt(&command);
        assert!(printed.out.contains("\ngone: 1 file\n") && printed.err.is_empty(), "{way}: {printed:?}");
        // The page of a partial run compares it with the whole run, for the files that both have.
        let page = package.slt("report");
        assert_eq!(page.code, 0, "{page:?}");
    }
}

#[test]
fn results_of_an_earlier_release_are_read_only_if_there_are_no_newer_ones() {
    let package = Package::new();
    assert_eq!(package.test("slt", "--results target/slt a.test").code, 0);
    let printed = package.slt("status");
    assert!(printed.out.starts_with("passed: 1 of 1 file"), "{printed:?}");
    assert!(printed.err.contains("`target/slt` holds results of an earlier release"), "{printed:?}");
    assert_eq!(package.test("slt", "").code, 101);
    let printed = package.slt("status");
    assert!(printed.out.starts_with("FAILED: 1 of 3 files\n") && printed.err.is_empty(), "{printed:?}");
}
