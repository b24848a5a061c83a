//! The subcommands that read the results of past runs.

use std::fs;
use std::path::Path;

use serde_json::Value;
use slt_harness::unstable::outcome::{Counts, Failure, Outcome, RESULTS_VERSION, RecordCounts, Results, Verdict};
use slt_harness::unstable::suite::category;
use tempfile::TempDir;

use crate::support::{FAILS, PASSES, Printed, command, folder};

/// Runs `slt` with a folder of results.
fn slt(results: &Path, arguments: &[&str]) -> Printed {
    Printed::of(command(env!("CARGO_BIN_EXE_slt")).env("SLT_RESULTS", results).args(arguments))
}

fn passed(name: &str, wall_us: u64) -> Outcome {
    let records = RecordCounts { passed: 3, ..RecordCounts::default() };
    Outcome { wall_us, records, ..Outcome::new(name, Verdict::Passed) }
}

fn failed(name: &str, message: &str) -> Outcome {
    let failure = Failure {
        file: format!("corpus/{name}"),
        line: 5,
        message: message.into(),
        sql: "SELECT 1".into(),
        ..Failure::default()
    };
    let records = RecordCounts { passed: 2, failed: 1, skipped: 0 };
    Outcome { wall_us: 7_000, records, failures: vec![failure], ..Outcome::new(name, Verdict::Failed) }
}

fn results(run_id: &str, day: u64, outcomes: Vec<Outcome>) -> Results {
    let started_us = (1_796_000_000 + day * 86_400) * 1_000_000;
    let mut results = Results {
        version: RESULTS_VERSION,
        run_id: run_id.into(),
        engine: "sqlite".into(),
        started_us,
        wall_us: 2_500_000,
        workers: 2,
        outcomes,
        ..Results::default()
    };
    for outcome in &results.outcomes {
        let of_category: &mut Counts = results.categories.entry(category(&outcome.name).into()).or_default();
        for counts in [&mut results.total, of_category] {
            counts.planned += 1;
            counts.add(outcome);
        }
    }
    results
}

/// Writes results like a run; `time` is the start of the copy's name.
fn write(folder: &Path, time: &str, results: &Results) {
    fs::create_dir_all(folder.join("runs")).unwrap();
    let text = serde_json::to_string(results).unwrap();
    fs::write(folder.join("runs").join(format!("{time}-{}.json", results.run_id)), &text).unwrap();
    fs::write(folder.join("results.json"), &text).unwrap();
}

/// Three runs: in the last, `select/2` is fixed, `joins/1` is broken and `ddl/1` did not run. The verdict of `index/1` changes
/// each time.
fn three_runs() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let ignored = Verdict::Ignored { reason: "0 of 3 records apply to sqlite".into() };
    let not_run = Verdict::NotRun { reason: "time budget".into() };
    let runs = [
        [passed("joins/1.test", 5_000), failed("select/2.test", "query failed: no such table: t1")],
        [passed("joins/1.test", 5_500), failed("select/2.test", "query failed: no such table: t1")],
        [failed("joins/1.test", "query failed: no such table: t7"), passed("select/2.test", 9_250)],
    ];
    for (day, (id, outcomes)) in ["41fe02aa", "77aa0c11", "b602696c"].into_iter().zip(runs).enumerate() {
        let mut outcomes = outcomes.to_vec();
        outcomes.push(match day {
            1 => failed("index/deep/1.test", "statement failed: near \"FOO\": syntax error"),
            _ => passed("index/deep/1.test", 80_000),
        });
        outcomes.push(match day {
            2 => Outcome::new("ddl/1.test", not_run.clone()),
            _ => passed("ddl/1.test", 1_000),
        });
        outcomes.push(Outcome::new("evidence/1.test", ignored.clone()));
        write(folder.path(), &format!("2026113{day}T000000Z"), &results(id, day as u64, outcomes));
    }
    folder
}

#[test]
#[cfg_attr(not(feature = "sqlite"), ignore = "`query` and the engine need SQLite")]
fn the_commands_read_the_results_of_runs() {
    let files = folder(&[("a/repaired.test", FAILS), ("a/broken.test", PASSES), ("b/sound.slt", PASSES)]);
    let results = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let root = files.path().to_str().unwrap();
        slt(results.path(), &[&["run", "--root", root], arguments].concat())
    };
    assert_eq!(run(&[]).code, 101);
    fs::write(files.path().join("a/repaired.test"), PASSES).unwrap();
    fs::write(files.path().join("a/broken.test"), FAILS).unwrap();
    assert_eq!(run(&["--parallel", "--workers", "2"]).code, 101);
    let status = slt(results.path(), &["status"]);
    assert!(status.code == 0 && status.out.starts_with("FAILED: 1 of 3 files\n"), "{status:?}");
    assert!(status.out.contains("a/broken.test  FAILED  the value differs at "), "{status:?}");
    let diff: Value = serde_json::from_str(&slt(results.path(), &["diff", "--json"]).out).unwrap();
    let names = |list: &str| diff[list].as_array().unwrap().iter().map(|c| c["name"].clone()).collect::<Vec<_>>();
    assert_eq!(
        (names("newly_failing"), names("newly_passing")),
        (vec!["a/broken.test".into()], vec!["a/repaired.test".into()])
    );
    let analysis = slt(results.path(), &["analyze"]).out;
    assert!(analysis.contains("query result mismatch: other numbers"), "{analysis}");
    let list = slt(results.path(), &["punchlist", "--output", "-"]).out;
    assert!(list.contains("- [ ] `a/broken.test`") && !list.contains("repaired") && !list.contains("sound"), "{list}");
    let sql = "SELECT run, file_path, verdict FROM test_results WHERE failing ORDER BY run";
    let rows = slt(results.path(), &["query", sql, "--format", "csv"]);
    assert_eq!(rows.out, "run,file_path,verdict\n1,a/repaired.test,failed\n2,a/broken.test,failed\n", "{rows:?}");
}

#[test]
fn the_last_run_is_shown_at_a_glance() {
    let folder = three_runs();
    let printed = slt(folder.path(), &["status"]);
    assert_eq!((printed.code, printed.err.as_str()), (0, ""), "{printed:?}");
    assert!(printed.out.starts_with("FAILED: 1 of 5 files\n"), "{printed:?}");
    let first = "joins/1.test  FAILED  query failed: no such table: t7 at corpus/joins/1.test:5";
    assert!(printed.out.contains(first) && printed.out.contains("results.json"), "{printed:?}");
    let printed = slt(folder.path(), &["status", "--json", "77aa"]);
    let status: Value = serde_json::from_str(&printed.out).unwrap();
    assert_eq!((status["run_id"].as_str(), status["failing"].as_array().unwrap().len()), (Some("77aa0c11"), 2));
    assert_eq!(status["pass_rate"], 50.0);
}

#[test]
fn the_punch_list_is_written_to_the_given_path() {
    let folder = three_runs();
    let of = |name: &str, arguments: &[&str]| {
        let mut command = command(env!("CARGO_BIN_EXE_slt"));
        Printed::of(command.current_dir(folder.path()).args([name, "--results", "."]).args(arguments))
    };
    let run = |arguments: &[&str]| of("punchlist", arguments);
    // Both names of the command print and write the same.
    let printed = of("analyze", &["--markdown"]);
    let list = folder.path().join("sqllogictest_punchlist.md");
    let markdown = fs::read_to_string(&list).unwrap();
    fs::remove_file(&list).unwrap();
    assert_eq!((&run(&[]).out, fs::read_to_string(&list).unwrap()), (&printed.out, markdown));
    assert_eq!(of("analyze", &["--markdown", "--output", "-"]).out, run(&["--output", "-"]).out);
    for wrong in [&["--markdown", "--json"][..], &["--markdown", "--top-fixes"], &["--output", "x.md"]] {
        assert_eq!(of("analyze", wrong).code, 2);
    }
    let printed = run(&[]);
    let wrote = "1 failing of 5 files, by 1 first cause; 1 not run\nwrote `./sqllogictest_punchlist.md`\n";
    assert_eq!((printed.code, printed.out.as_str()), (0, wrote), "{printed:?}");
    let text = fs::read_to_string(folder.path().join("sqllogictest_punchlist.md")).unwrap();
    assert!(text.contains("- [ ] `joins/1.test`") && !text.contains("select/2.test"), "{text}");
    let printed = run(&["--from", "runs/20261131T000000Z-77aa0c11.json", "--output", "todo.md"]);
    assert_eq!(printed.code, 0, "{printed:?}");
    assert!(fs::read_to_string(folder.path().join("todo.md")).unwrap().contains("`select/2.test`"));
    let list: Value = serde_json::from_str(&run(&["--json"]).out).unwrap();
    assert_eq!(list["groups"][0]["files"][0]["name"], "joins/1.test");
    fs::write(folder.path().join("file"), "").unwrap();
    let printed = run(&["--output", "file/todo.md"]);
    assert!(printed.code == 4 && printed.err.starts_with("error: cannot write `file/todo.md`: "), "{printed:?}");
}

#[test]
fn failures_are_sorted_by_cause_and_runs_compared() {
    let folder = three_runs();
    let printed = slt(folder.path(), &["analyze", "--from", "previous"]);
    assert!(printed.code == 0 && printed.out.contains("query failed: no such table: tN"), "{printed:?}");
    let printed = slt(folder.path(), &["analyze", "--top-fixes", "--json"]);
    let fixes: Value = serde_json::from_str(&printed.out).unwrap();
    assert_eq!((fixes[0]["frees"].as_u64(), fixes[0]["left"].as_u64()), (Some(1), Some(0)));
    let printed = slt(folder.path(), &["diff"]);
    let lists = ["newly failing: 1 file\n  joins/1.test", "newly passing: 2 files\n", "no longer passing: 1 file\n"];
    assert!(printed.code == 0 && lists.iter().all(|list| printed.out.contains(list)), "{printed:?}");
    let printed = slt(folder.path(), &["diff", "41fe", "77aa", "--json"]);
    let comparison: Value = serde_json::from_str(&printed.out).unwrap();
    assert_eq!(comparison["newly_failing"][0]["name"], "index/deep/1.test");
}

#[test]
#[cfg_attr(not(feature = "sqlite"), ignore = "`query` needs SQLite")]
fn every_preset_answers_its_question() {
    let folder = three_runs();
    let presets = slt(folder.path(), &["query", "--list-presets"]).out;
    let names = presets.lines().filter(|line| !line.starts_with(' ')).filter_map(|line| line.split_once(": "));
    let mut answers = String::new();
    for (name, asks) in names {
        let printed = slt(folder.path(), &["query", "--preset", name]);
        assert_eq!((printed.code, printed.err.as_str()), (0, ""), "{name}: {printed:?}");
        answers.push_str(&format!("{name}: {asks}\n\n{}\n", printed.out));
    }
    insta::assert_snapshot!(answers);
}

#[test]
#[cfg_attr(not(feature = "sqlite"), ignore = "`query` needs SQLite")]
fn a_query_is_answered_in_three_formats() {
    let folder = three_runs();
    let sql = "SELECT run_id, duration_ms, 'a,\"b\"' || char(10) AS text, NULL AS none FROM test_runs WHERE run < 3";
    let printed = |format: &str| slt(folder.path(), &["query", sql, "--format", format]).out;
    let table = "run_id    duration_ms  text   none\n41fe02aa       2500.0  a,\"b\"\n77aa0c11       2500.0  a,\"b\"\n";
    assert_eq!(printed("table"), table);
    let csv = "run_id,duration_ms,text,none\n41fe02aa,2500.0,\"a,\"\"b\"\"\n\",\n77aa0c11,2500.0,\"a,\"\"b\"\"\n\",\n";
    assert_eq!(printed("csv"), csv);
    let rows: Value = serde_json::from_str(&printed("json")).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 2);
    assert_eq!((&rows[1]["duration_ms"], &rows[1]["none"]), (&Value::from(2500.0), &Value::Null));
    let nothing = ["query", "SELECT run FROM test_runs WHERE run > 9", "--format", "json"];
    assert_eq!(slt(folder.path(), &nothing).out, "[]\n");
}

#[test]
#[cfg_attr(not(feature = "sqlite"), ignore = "`query` needs SQLite")]
fn every_column_and_preset_is_documented() {
    let folder = three_runs();
    let docs = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/commands.md")).unwrap();
    let help = slt(folder.path(), &["query", "--help"]).out;
    let mut columns = 0;
    for table in ["test_runs", "test_files", "test_results"] {
        let printed = slt(folder.path(), &["query", &format!("SELECT * FROM {table} LIMIT 0"), "--format", "csv"]);
        for column in printed.out.trim_end().split(',') {
            assert!(docs.contains(&format!("`{column}`")), "docs/commands.md does not name {column}");
            assert!(help.contains(column), "`slt query --help` does not name {column}");
            columns += 1;
        }
    }
    assert!(columns > 40, "{columns} columns");
    let presets = slt(folder.path(), &["query", "--list-presets"]).out;
    let names = presets.lines().filter(|line| !line.starts_with(' ')).filter_map(|line| line.split_once(": "));
    assert!(
        names.clone().count() == 8 && names.clone().all(|(name, _)| docs.contains(&format!("`{name}`"))),
        "{presets}"
    );
}

#[test]
#[cfg_attr(not(feature = "sqlite"), ignore = "`query` needs SQLite")]
fn files_that_no_run_has_met_are_untested() {
    let runs = three_runs();
    let files = folder(&[("joins/1.test", ""), ("joins/new.test", "")]);
    let root = files.path().to_str().unwrap();
    let printed = slt(runs.path(), &["query", "--preset", "untested", "--root", root, "--format", "csv"]);
    assert!(
        printed.out.contains("\njoins/new.test,never run,\n") && !printed.out.contains("joins/1.test"),
        "{printed:?}"
    );
}

#[test]
#[cfg_attr(not(feature = "sqlite"), ignore = "`query` needs SQLite")]
fn a_run_that_cannot_be_read_is_skipped_with_a_warning() {
    let folder = three_runs();
    fs::write(folder.path().join("runs/20261131T000000Z-77aa0c11.json"), r#"{"version": 99}"#).unwrap();
    let printed = slt(folder.path(), &["query", "SELECT count(*) FROM test_runs", "--format", "csv"]);
    assert_eq!((printed.code, printed.out.as_str()), (0, "count(*)\n2\n"), "{printed:?}");
    assert!(
        printed.err.starts_with("warning: a run is left out: ") && printed.err.contains("version 99"),
        "{printed:?}"
    );
}

#[test]
fn an_invalid_value_is_answered_with_the_valid_ones() {
    let folder = three_runs();
    let results = folder.path();
    fs::write(results.join("torn.json"), r#"{"version": 1, "run_id": "#).unwrap();
    fs::write(results.join("newer.json"), r#"{"version": 2, "runs": []}"#).unwrap();
    let path = |name: &str| results.join(name).display().to_string();
    let (torn, newer, absent) = (path("torn.json"), path("newer.json"), path("absent.json"));
    let mut cases: Vec<(Vec<&str>, i32, &str)> = vec![
        (vec!["status", &torn], 4, "torn.json` does not hold the results of a run: EOF"),
        (vec!["diff", &newer], 4, "newer.json` has format version 2, and this program reads up to version 1"),
        (vec!["analyze", "--from", &absent], 2, "absent.json`: No such file"),
        (vec!["punchlist", "--from", "nope"], 2, "no run `nope` is on record"),
        (vec!["diff", "nope"], 2, "the newest are `b602696c` (2026-11-32 00:00:00 UTC), `77aa0c11`"),
        (vec!["query"], 2, "required"),
        (vec!["query", "--preset", "by-category", "SELECT 1"], 2, "cannot be used with"),
        (vec!["query", "--preset", "failed"], 2, "no preset is named `failed`: there are `failed-files`, `progress`"),
    ];
    if cfg!(feature = "sqlite") {
        cases.extend([
            (
                vec!["query", "SELECT x FROM test_runs"],
                2,
                "no such column: x\n  SELECT x FROM test_runs\n         ^ line 1, column 8",
            ),
            (vec!["query", "DELETE FROM test_runs"], 2, "only one SELECT can be run"),
            (vec!["query", ""], 2, "there is no SQL in the query"),
        ]);
    }
    for (arguments, code, words) in cases {
        let printed = slt(results, &arguments);
        assert!(
            printed.code == code && printed.err.contains(words) && printed.out.is_empty(),
            "{arguments:?}: {printed:?}"
        );
    }
}

#[test]
fn without_a_run_each_command_says_how_to_make_one() {
    let empty = tempfile::tempdir().unwrap();
    let none = empty.path().join("none");
    for arguments in [&["status"][..], &["punchlist"], &["analyze"], &["diff"], &["query", "--preset", "progress"]] {
        let printed = slt(&none, arguments);
        assert_eq!(printed.code, 2, "{arguments:?}: {printed:?}");
        assert!(
            printed.err.contains("make one with `slt run`") || cfg!(not(feature = "sqlite")),
            "{arguments:?}: {printed:?}"
        );
    }
    assert!(!none.exists());
}

#[test]
fn each_command_is_documented_and_its_help_has_an_example() {
    let docs = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/commands.md")).unwrap();
    let help = slt(Path::new("none"), &["--help"]).out;
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // A line that is indented further continues the one above.
    let names = listed.filter_map(|line| line.strip_prefix("  ")?.split(' ').next().filter(|name| !name.is_empty()));
    let names: Vec<&str> = names.filter(|name| *name != "help").collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        assert!(docs.contains(&format!("`{name}")), "docs/commands.md does not name {name}");
        let printed = slt(Path::new("none"), &[name, "--help"]);
        assert!(printed.code == 0 && printed.out.contains(&format!("slt {name}")), "{name}: {printed:?}");
        assert!(printed.out.contains("Example"), "{name}: {printed:?}");
    }
}

#[test]
fn a_misspelt_command_gets_a_suggestion() {
    for (typed, meant) in [("rnu", "run"), ("runs", "run"), ("punchlst", "punchlist"), ("dif", "diff")] {
        let printed = slt(Path::new("none"), &[typed]);
        assert!(printed.code == 2 && printed.err.contains(&format!("exists: '{meant}'")), "{typed}: {printed:?}");
    }
    assert!(!slt(Path::new("none"), &["xyzzy"]).err.contains("tip:"));
}

#[test]
fn slt_without_a_command_names_the_first_ones_and_fails() {
    let printed = Printed::of(&mut command(env!("CARGO_BIN_EXE_slt")));
    assert_eq!((printed.code, printed.out.as_str()), (2, ""));
    for words in ["slt list ", "slt run --root FOLDER ", "slt config"] {
        assert!(printed.err.contains(words), "{printed:?}");
    }
}
