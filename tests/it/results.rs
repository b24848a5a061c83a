//! The result files of a run: complete, valid by their schemas, and consistent.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::faulty_support::{PASSES, Place, fault};
use crate::support::{self, FAILS, Printed, at_once, command, folder, target_binary};

pub fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// Checks a file against the schema with its name in `docs/schemas`, and returns it.
#[track_caller]
pub fn valid(results: &Path, name: &str) -> Value {
    let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schemas");
    let schema = json(&schemas.join(name).with_extension("schema.json"));
    let value = json(&results.join(name));
    // Readers ignore unknown properties, but everything that is written must be documented.
    let mut closed = schema.clone();
    close(&mut closed);
    for schema in [schema, closed] {
        let validator = jsonschema::validator_for(&schema).unwrap();
        let errors = validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path()));
        assert_eq!(errors.collect::<Vec<_>>(), [""; 0], "{name}");
    }
    value
}

/// Forbids objects of a schema to have other properties than those it describes.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.values_mut().for_each(close);
            if map.contains_key("properties") && map.contains_key("type") {
                map.entry("additionalProperties").or_insert(Value::Bool(false));
            }
        }
        Value::Array(values) => values.iter_mut().for_each(close),
        _ => {}
    }
}

/// Checks `junit.xml` against the rules of Surefire's schema, and its counts against its cases; returns its text.
pub fn valid_junit(results: &Path) -> String {
    let text = fs::read_to_string(results.join("junit.xml")).unwrap();
    let document = roxmltree::Document::parse(&text).unwrap();
    let outcomes = ["failure", "error", "skipped"];
    let reruns = ["flakyFailure", "flakyError", "rerunFailure", "rerunError"];
    for node in document.descendants().filter(roxmltree::Node::is_element) {
        let (name, parent) = (node.tag_name().name(), node.parent_element().map_or("", |node| node.tag_name().name()));
        let (parents, wanted, allowed): (&[&str], &[&str], &[&str]) = match name {
            "testsuites" => (&[""], &["name", "tests", "failures", "errors"], &["skipped", "timestamp", "time"]),
            "testsuite" => {
                (&["testsuites"], &["name", "tests", "failures", "errors"], &["skipped", "timestamp", "time"])
            }
            "testcase" => (&["testsuite"], &["name", "classname", "time"], &["assertions", "timestamp"]),
            "properties" => (&["testsuite"], &[], &[]),
            "property" => (&["properties"], &["name", "value"], &[]),
            "system-out" => (&["testcase", reruns[0], reruns[1], reruns[2], reruns[3]], &[], &[]),
            "stackTrace" => (&reruns, &[], &[]),
            name if outcomes.contains(&name) => (&["testcase"], &[], &["message", "type"]),
            name if reruns.contains(&name) => (&["testcase"], &["type"], &["message", "timestamp", "time"]),
            other => panic!("JUnit knows no `{other}`"),
        };
        assert!(parents.contains(&parent), "`{name}` in `{parent}`");
        for attribute in wanted {
            assert!(node.has_attribute(*attribute), "`{name}` without `{attribute}`");
        }
        for attribute in node.attributes() {
            let known = wanted.contains(&attribute.name()) || allowed.contains(&attribute.name());
            assert!(known, "`{name}` with `{}`", attribute.name());
        }
        if ["testsuite", "testsuites"].contains(&name) {
            let cases = || node.descendants().filter(|node| node.has_tag_name("testcase"));
            let with = |tag: &str| cases().filter(|case| case.children().any(|child| child.has_tag_name(tag))).count();
            let count = |attribute: &str| node.attribute(attribute).unwrap().parse::<usize>().unwrap();
            assert_eq!(count("tests"), cases().count());
            assert_eq!((count("failures"), count("errors")), (with("failure"), with("error")));
        }
    }
    text
}

fn outcome<'v>(results: &'v Value, name: &str) -> &'v Value {
    let mut found = results["outcomes"].as_array().unwrap().iter().filter(|outcome| outcome["name"] == name);
    let outcome = found.next().unwrap_or_else(|| panic!("{name} has an outcome"));
    assert!(found.next().is_none(), "{name} has one outcome");
    outcome
}

#[test]
fn result_files_agree_for_every_kind_of_verdict() {
    let place = Place::new([
        ("good/a.test", PASSES.to_owned()),
        ("good/flaky.test", fault("once tripped segv")),
        ("good/moody.test", fault("once moody error in a bad mood")),
        ("bad/fails.test", FAILS.to_owned()),
        ("bad/dies.test", fault("exit 3")),
        ("bad/hangs.test", fault("hang")),
        ("empty.test", String::new()),
    ]);
    let ended = place.run("--workers 2 --file-timeout 1 --retries 1").exits(101);
    let folder = place.path("results");
    let results = valid(&folder, "results.json");
    let total = &results["total"];
    assert_eq!((&total["planned"], &total["passed"], &total["failed"]), (&7.into(), &3.into(), &1.into()), "{ended}");
    assert_eq!((&total["crashed"], &total["timed_out"], &total["ignored"]), (&1.into(), &1.into(), &1.into()));
    let flaky = outcome(&results, "good/flaky.test");
    assert_eq!((&flaky["verdict"], &flaky["passed_on"]), (&"flaky".into(), &2.into()));
    let crash = &flaky["earlier"][0];
    assert_eq!((&crash["how"], &crash["failure"]["line"]), (&"SIGSEGV".into(), &4.into()), "{crash}");
    assert!(crash["started_us"].as_u64() > Some(0) && crash["worker"] != flaky["worker"], "{flaky}");
    let moody = outcome(&results, "good/moody.test");
    assert!(moody["earlier"][0]["failure"]["message"].as_str().unwrap().contains("in a bad mood"), "{moody}");
    assert_eq!(outcome(&results, "bad/dies.test")["earlier"].as_array().unwrap().len(), 1);

    let earlier = valid(&folder, "sqllogictest_results.json");
    assert_eq!(earlier["tested_files"]["errors"], serde_json::json!(["bad/dies.test", "bad/hangs.test"]));
    assert_eq!((&earlier["summary"]["total"], &earlier["summary"]["passed"]), (&7.into(), &3.into()));
    assert_eq!(valid(&folder, "sqllogictest_cumulative.json"), earlier);

    let junit = valid_junit(&folder);
    for words in [
        "<flakyError ",
        "message=\"crashed (SIGSEGV)\"",
        "<flakyFailure ",
        "<error message=\"crashed (exit 3)\"",
        "<rerunError ",
        "<error message=\"timed out after 1 s\"",
        "<rerunFailure ",
        "message=\"the value differs\"",
        "at tests/bad/fails.test:3",
        "<skipped message=\"it holds no records\"",
    ] {
        assert!(junit.contains(words), "no {words} in:\n{junit}");
    }

    let copies: Vec<_> = fs::read_dir(folder.join("runs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(copies.len(), 1, "{copies:?}");
    assert_eq!(json(&copies[0]), results);
    let again = ended.stdout.lines().filter(|line| line.contains(" --exact "));
    let again: Vec<&str> = again.map(|line| line.rsplit(' ').next().unwrap()).collect();
    assert_eq!(again, ["bad/dies.test", "bad/fails.test", "bad/hangs.test"], "{ended}");
}

#[test]
fn known_failures_are_marked_in_every_file() {
    let twice = "query I\nSELECT 1\n----\n2\n\nquery I\nSELECT 3\n----\n4\n";
    let root = folder(&[
        ("bad/known.test", FAILS),
        ("bad/twice.test", twice),
        ("bad/repaired.test", FAILS),
        ("a.test", PASSES),
    ]);
    let results = tempfile::tempdir().unwrap();
    let list = results.path().join("known.toml");
    let list = list.to_str().unwrap();
    assert_eq!(serial(root.path(), results.path(), &["--write-known-failures", list]).code, 101);
    let green = serial(root.path(), results.path(), &["--known-failures", list]);
    assert_eq!(green.code, 0, "{green:?}");
    assert!(
        green.out.contains("\nfiles     1 passed, 0 failed, 3 known failures, 0 ignored, 0 not run\n"),
        "{green:?}"
    );
    let account = valid(results.path(), "results.json");
    assert_eq!((&account["total"]["known_failures"], &account["total"]["passed"]), (&3.into(), &1.into()));
    let earlier = valid(results.path(), "sqllogictest_results.json");
    assert_eq!(earlier["summary"]["failed"], 3, "the earlier shape knows no list");
    let junit = valid_junit(results.path());
    assert_eq!(junit.matches("<skipped message=\"known failure (the value differs)\">").count(), 3, "{junit}");

    fs::write(root.path().join("bad/repaired.test"), PASSES).unwrap();
    fs::write(root.path().join("bad/twice.test"), twice.replace('4', "3")).unwrap();
    assert_eq!(serial(root.path(), results.path(), &["--known-failures", list]).code, 101);
    let account = valid(results.path(), "results.json");
    assert_eq!((&account["total"]["known_failures"], &account["total"]["unexpected_passes"]), (&1.into(), &2.into()));
    let earlier = valid(results.path(), "sqllogictest_results.json");
    assert_eq!(earlier["tested_files"]["failed"], serde_json::json!(["bad/known.test", "bad/twice.test"]));
    assert_eq!(valid_junit(results.path()).matches("type=\"unexpected pass\"").count(), 2);
}

#[test]
fn junit_is_xml_whatever_names_and_values_contain() {
    let odd = "query T\nSELECT char(65534) || char(65535) || '\u{ffff}'\n----\nx\u{fffe}\n";
    let root = folder(&[("a\u{ffff}b.test", odd), ("plain.test", PASSES)]);
    for way in [&[][..], &["--parallel"], &["--parallel", "--workers", "2"]] {
        let results = tempfile::tempdir().unwrap();
        assert_eq!(serial(root.path(), results.path(), way).code, 101, "{way:?}");
        let junit = valid_junit(results.path());
        assert!(junit.contains("a\u{fffd}b.test") && !junit.contains(['\u{fffe}', '\u{ffff}']), "{junit}");
    }
}

#[test]
fn sums_that_contradict_the_outcomes_are_refused() {
    let (root, results) = (folder(&[("a.test", FAILS), ("b.test", PASSES)]), tempfile::tempdir().unwrap());
    assert_eq!(serial(root.path(), results.path(), &[]).code, 101);
    let path = results.path().join("results.json");
    let sound = json(&path);
    let slt = |arguments: &[&str]| {
        let mut slt = command(env!("CARGO_BIN_EXE_slt"));
        Printed::of(slt.args(arguments).current_dir(results.path()))
    };
    assert_eq!(slt(&["merge", "results.json"]).code, 101);
    let lie = |change: &dyn Fn(&mut Value)| {
        let mut value = sound.clone();
        change(&mut value);
        fs::write(results.path().join("lie.json"), value.to_string()).unwrap();
        let merged = slt(&["merge", "lie.json"]);
        assert_eq!((merged.code, merged.err.contains("`lie.json` ")), (4, true), "{merged:?}");
        let status = slt(&["status", "lie.json", "--results", "."]);
        assert!(status.out.starts_with("BROKEN"), "{status:?}");
    };
    lie(&|value| (value["total"]["failed"], value["total"]["passed"]) = (0.into(), 2.into()));
    lie(&|value| value["total"]["planned"] = 3.into());
    lie(&|value| value["total"]["records"]["failed"] = 0.into());
    lie(&|value| value["categories"]["."]["failed"] = 0.into());
}

#[test]
fn results_are_kept_even_if_output_cannot_be_written() {
    at_once(&[(PASSES, 4), (FAILS, 101)], |&(script, code)| {
        for way in [&[][..], &["--parallel"], &["--parallel", "--workers", "2"]] {
            let (root, results) = (folder(&[("a.test", script)]), tempfile::tempdir().unwrap());
            let mut run = command(target_binary());
            run.env("SLT_CORPUS", root.path()).env("SLT_RESULTS", results.path()).args(way);
            let full = fs::File::options().write(true).open("/dev/full").unwrap();
            let ended = run.stdin(std::process::Stdio::null()).stdout(full).output().unwrap();
            let printed = String::from_utf8(ended.stderr).unwrap();
            assert_eq!(
                (ended.status.code(), printed.contains("error: cannot write the results: ")),
                (Some(code), true),
                "{printed}"
            );
            assert_eq!(valid(results.path(), "results.json")["total"]["planned"], 1, "{way:?}");
        }
    });
}

#[test]
fn processes_that_share_a_queue_write_one_result_of_all_files() {
    let place = Place::with_many(12, &fault("sleep 100"));
    let runs = [place.start(""), place.start(""), place.start("")];
    for run in runs {
        run.wait().exits(0);
    }
    let results = valid(&place.path("results"), "results.json");
    assert_eq!((&results["total"]["planned"], &results["total"]["passed"]), (&12.into(), &12.into()));
    let names: BTreeSet<&str> =
        results["outcomes"].as_array().unwrap().iter().map(|outcome| outcome["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 12);
    assert_eq!(fs::read_dir(place.path("results/runs")).unwrap().count(), 1, "one run, one copy");
}

#[test]
fn a_resumed_run_replaces_its_first_part() {
    let place = Place::with_many(6, &fault("sleep 300"));
    place.run("--workers 1 --time-budget 0.5").exits(3);
    let results = valid(&place.path("results"), "results.json");
    let left = results["total"]["not_run"].as_u64().unwrap();
    assert!(left > 0 && left < 6, "{results}");
    valid_junit(&place.path("results"));
    place.run("--workers 2 --resume").exits(0);
    let results = valid(&place.path("results"), "results.json");
    assert_eq!(results["total"]["passed"], 6);
    assert_eq!(fs::read_dir(place.path("results/runs")).unwrap().count(), 1, "one run, one copy");
}

/// Runs the plain target over a folder, with results in another.
fn serial(root: &Path, results: &Path, arguments: &[&str]) -> Printed {
    Printed::of(command(target_binary()).env("SLT_CORPUS", root).env("SLT_RESULTS", results).args(arguments))
}

#[test]
fn later_runs_replace_what_they_ran_and_keep_the_rest() {
    let root = folder(&[("a.test", PASSES), ("b.test", FAILS)]);
    let results = tempfile::tempdir().unwrap();
    assert_eq!(serial(root.path(), results.path(), &[]).code, 101);
    fs::write(root.path().join("b.test"), PASSES).unwrap();
    assert_eq!(serial(root.path(), results.path(), &["b"]).code, 0);
    let cumulative = valid(results.path(), "sqllogictest_cumulative.json");
    assert_eq!(cumulative["tested_files"]["passed"], serde_json::json!(["a.test", "b.test"]));
    assert_eq!(cumulative["detailed_failures"], serde_json::json!([]));
    assert_eq!(valid(results.path(), "results.json")["total"]["planned"], 1);
    assert_eq!(fs::read_dir(results.path().join("runs")).unwrap().count(), 2);
    fs::write(results.path().join("sqllogictest_cumulative.json"), "{").unwrap();
    let printed = serial(root.path(), results.path(), &["a"]);
    assert!(printed.code == 0 && printed.err.contains("does not hold results"), "{printed:?}");
    assert!(results.path().join("sqllogictest_cumulative.json.unreadable").exists());
    assert_eq!(valid(results.path(), "sqllogictest_cumulative.json")["summary"]["total"], 1);
}

#[test]
fn runs_that_end_at_the_same_time_lose_nothing() {
    let names: Vec<String> = (0..8).map(|number| format!("{number}.test")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), PASSES)).collect();
    let (root, results) = (folder(&files), tempfile::tempdir().unwrap());
    std::thread::scope(|scope| {
        for name in &names {
            scope.spawn(|| assert_eq!(serial(root.path(), results.path(), &["--exact", name]).code, 0));
        }
    });
    let cumulative = valid(results.path(), "sqllogictest_cumulative.json");
    assert_eq!(cumulative["tested_files"]["passed"], serde_json::json!(names));
    assert_eq!(fs::read_dir(results.path().join("runs")).unwrap().count(), 8);
}

#[test]
fn a_folder_that_cannot_be_written_changes_no_verdict() {
    at_once(&[(PASSES, 0), (FAILS, 101)], |&(script, code)| {
        let root = folder(&[("a.test", script)]);
        let printed = serial(root.path(), &root.path().join("a.test/results"), &[]);
        assert_eq!(printed.code, code, "{printed:?}");
        assert!(printed.err.contains("warning: cannot write the results to `"), "{printed:?}");
    });
    // A file that cannot be written does not keep the others from being written.
    let (root, results) = (folder(&[("a.test", PASSES)]), tempfile::tempdir().unwrap());
    fs::create_dir(results.path().join("results.json")).unwrap();
    let printed = serial(root.path(), results.path(), &[]);
    assert!(printed.code == 0 && printed.err.contains("results.json`: "), "{printed:?}");
    valid(results.path(), "sqllogictest_results.json");
    valid_junit(results.path());
}

#[test]
fn partial_files_of_a_killed_process_are_removed() {
    let (root, results) = (folder(&[("a.test", PASSES)]), tempfile::tempdir().unwrap());
    fs::create_dir(results.path().join("runs")).unwrap();
    for name in [".unfinished-x1", "runs/.unfinished-x2"] {
        fs::write(results.path().join(name), "{\"ver").unwrap();
    }
    assert_eq!(serial(root.path(), results.path(), &[]).code, 0);
    let left = |folder: &str| fs::read_dir(results.path().join(folder)).unwrap().count();
    assert_eq!((left("runs"), results.path().join(".unfinished-x1").exists()), (1, false));
}

#[test]
fn nothing_is_written_where_it_would_mislead() {
    let (root, results) = (folder(&[("a.test", PASSES)]), tempfile::tempdir().unwrap());
    let path = results.path().join("results");
    let mut nextest = command(target_binary());
    nextest.env("SLT_CORPUS", root.path()).env("SLT_RESULTS", &path).env("NEXTEST", "1");
    assert_eq!(Printed::of(nextest.args(["--exact", "a.test", "--nocapture"])).code, 0);
    assert_eq!(serial(root.path(), &path, &["--list"]).code, 0);
    assert_eq!(serial(root.path(), &path, &["nothing"]).code, 0);
    assert!(!path.exists());
}

#[test]
fn json_and_quiet_runs_print_only_verdicts() {
    let (root, results) = (folder(&[("a.test", FAILS)]), tempfile::tempdir().unwrap());
    let printed = serial(root.path(), results.path(), &["--format", "json"]);
    assert!(printed.out.lines().all(|line| line.starts_with('{')), "{printed:?}");
    let quiet = serial(root.path(), results.path(), &["--quiet"]);
    assert!(quiet.out.trim_end().lines().last().unwrap().starts_with("test result: "), "{quiet:?}");
    let mut by_variable = command(target_binary());
    by_variable.env("SLT_CORPUS", root.path()).env("SLT_RESULTS", results.path()).env("SLT_QUIET", "1");
    let by_variable = Printed::of(&mut by_variable);
    assert_eq!(by_variable.out.lines().count(), quiet.out.lines().count(), "{by_variable:?}");
    let plain = serial(root.path(), results.path(), &[]);
    assert!(plain.out.contains(" --exact a.test\n") && plain.out.contains("results: "), "{plain:?}");
    assert_eq!(plain.err, "");
}

#[test]
fn the_command_that_a_failure_names_runs_that_file() {
    let (root, results) = (folder(&[("a b/f.test", FAILS), ("p.test", PASSES)]), tempfile::tempdir().unwrap());
    for program in [target_binary().to_owned(), env!("CARGO_BIN_EXE_slt").into()] {
        let mut run = command(&program);
        run.env_remove("CARGO").env("SLT_RESULTS", results.path());
        run.args(if program.ends_with("slt") { &["run"][..] } else { &[] }).arg("--root").arg(root.path());
        let printed = Printed::of(&mut run);
        let line = printed.out.lines().find(|line| line.contains(" --exact ")).unwrap_or_else(|| panic!("{printed:?}"));
        let mut shell = command("sh");
        let again = Printed::of(
            shell.env("SLT_RESULTS", results.path()).args(["-c", line.trim().trim_start_matches("run again: ")]),
        );
        assert_eq!((again.code, again.verdicts()), (101, vec!["test a b/f.test ... FAILED"]), "{line}: {again:?}");
    }
}

/// Runs the target on its own terminal, created by Python's standard library.
fn on_a_terminal(root: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Printed {
    let script = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
    let mut python = support::command("python3");
    python.args(["-c", script]).arg(target_binary()).args(arguments);
    python.env("SLT_CORPUS", root).env("TERM", "xterm").env_remove("NO_COLOR").env_remove("CLICOLOR");
    Printed::of(python.envs(variables.iter().copied()))
}

#[test]
fn a_terminal_shows_a_bar_below_whole_lines() {
    let wait = "statement ok\nWITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 3000000) \
                SELECT sum(x) FROM c\n";
    let files = [("a.test", wait), ("b.test", wait), ("c.test", FAILS)];
    let root = folder(&files);
    let printed = on_a_terminal(root.path(), &["--test-threads", "1"], &[]);
    assert_eq!(printed.code, 101, "{printed:?}");
    let (bar, red) = ("/3 files, ", "\u{1b}[31mFAILED\u{1b}[0m");
    assert!(printed.out.contains(bar) && printed.out.contains(red), "{printed:?}");
    for (name, _) in files {
        let line = format!("test {name} ... ");
        assert_eq!(printed.out.matches(&line).count(), 1, "{name}: {printed:?}");
    }
    let parallel = on_a_terminal(
        root.path(),
        &["--parallel", "--workers", "2", "--results", root.path().join("r").to_str().unwrap()],
        &[],
    );
    assert!(parallel.code == 101 && parallel.out.contains(bar), "{parallel:?}");
    for (arguments, variables) in [
        (&["--quiet"][..], &[][..]),
        (&[], &[("SLT_QUIET", "1")]),
        (&["--format", "json"], &[]),
        (&[], &[("TERM", "dumb")]),
    ] {
        let plain = on_a_terminal(root.path(), arguments, variables);
        assert!(plain.code == 101 && !plain.out.contains(bar), "{plain:?}");
    }
    let plain = on_a_terminal(root.path(), &[], &[("NO_COLOR", "1")]);
    assert!(plain.out.contains("FAILED") && !plain.out.contains("\u{1b}[31m"), "{plain:?}");
}

#[test]
fn colour_is_forced_and_forbidden_by_variables() {
    let root = folder(&[("a.test", FAILS)]);
    let colours = |variable: &str| {
        let mut run = command(target_binary());
        run.env("SLT_CORPUS", root.path()).env_remove("NO_COLOR").env(variable, "1");
        Printed::of(&mut run).out.contains("\u{1b}[31m")
    };
    assert!(colours("CLICOLOR_FORCE") && !colours("NO_COLOR") && !colours("CLICOLOR"));
}
