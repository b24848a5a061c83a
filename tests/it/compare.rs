//! `--reference` also runs each record on a second engine, and shows which engine agrees with the script.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::bless::WAYS;
use crate::servers::servers;
use crate::support::{PASSES, Printed, at_once, command, driver, folder, target_binary};

/// A driver that answers everything with one row `1`. With the argument `hang` it hangs at SQL with a 7. With `twice` it starts
/// only twice: once when it is asked for the extension, and once when it is probed.
const ONES: &str = driver!(
    r#"if sys.argv[1:] == ["twice"]:
    with open("starts", "a") as starts:
        starts.write("x")
    if os.path.getsize("starts") > 2:
        sys.exit(1)"#,
    r#"        if sys.argv[1:] == ["hang"] and "7" in request["sql"]:
            time.sleep(60)
        print(json.dumps({"result": [["1"]]}), flush=True)"#
);

/// Writes this driver to a folder, and returns the engine that uses it.
fn ones(folder: &Path, argument: &str) -> String {
    let driver = folder.join("ones.py");
    fs::write(&driver, ONES).unwrap();
    format!("external:python3 {} {argument}", driver.display()).trim_end().to_owned()
}

/// One record for each way in which two engines can agree with a script, the first being right on both.
const SCRIPT: &str = "statement ok\nCREATE TABLE t(a)\n\nquery I\nSELECT 1\n----\n1\n\nquery I\nSELECT 2\n----\n2\n\n\
    query I\nSELECT 3\n----\n1\n\nquery I\nSELECT 2 - 1\n----\n5\n\nquery I\nSELECT 6\n----\n5\n\n\
    skipif sqlite\nquery I\nSELECT 7\n----\n7\n\nonlyif sqlite\nquery I\nSELECT 8\n----\n8\n";

fn with(root: &Path, way: &[&str], arguments: &[&str]) -> (Printed, Value) {
    let results = tempfile::tempdir().unwrap();
    let mut command = command(target_binary());
    command.env("SLT_CORPUS", root).env("SLT_RESULTS", results.path());
    let printed = Printed::of(command.args(way).args(arguments));
    let text = fs::read_to_string(results.path().join("results.json")).unwrap_or_else(|_| "null".to_owned());
    (printed, serde_json::from_str(&text).unwrap())
}

#[test]
fn records_are_sorted_by_who_agrees_and_no_verdict_changes() {
    let root = folder(&[("a.slt", SCRIPT), ("b.slt", PASSES)]);
    let ones = ones(root.path(), "");
    for way in WAYS {
        let (alone, _) = with(root.path(), way, &[]);
        let (printed, results) = with(root.path(), way, &["--reference", &ones]);
        assert_eq!(
            (printed.code, printed.result(), printed.verdicts()),
            (101, alone.result(), alone.verdicts()),
            "{printed:?}"
        );
        let (sum, rest) =
            ("8 records compared with the external driver", ": 3 as expected on both, 2 only here, 1 only on");
        assert!(printed.out.contains(sum) && printed.out.contains(rest), "{printed:?}");
        let a = results["outcomes"].as_array().unwrap().iter().find(|outcome| outcome["name"] == "a.slt").unwrap();
        let comparison = &a["comparison"];
        let counts = ["both", "only_engine", "only_reference", "neither_alike", "neither_different"];
        assert_eq!(counts.map(|count| &comparison[count]), [2, 2, 1, 1, 1].map(|count| json!(count)).each_ref(), "{a}");
        let records = comparison["records"].as_array().unwrap();
        let shown: Vec<_> =
            records.iter().map(|record| (record["line"].as_u64().unwrap(), &record["agrees"])).collect();
        let agrees =
            ["only_engine", "only_reference", "neither_alike", "neither_different", "only_engine"].map(Value::from);
        assert_eq!(shown, [9, 14, 19, 24, 36].into_iter().zip(&agrees).collect::<Vec<_>>(), "{a}");
        assert_eq!(a["records"], json!({"passed": 4, "failed": 3, "skipped": 1}));
        // Each failure has a remark about the reference.
        for words in ["`, and not here", "` returns the same as this engine", "` returns something else"] {
            assert!(printed.out.contains(words), "{words}: {printed:?}");
        }
    }
}

#[test]
fn rows_behind_a_hash_are_shown() {
    at_once(&["a.test", "a.slt", "a.duckdb.test"], |name| {
        let script = "query I\nSELECT 2\n----\n1 values hashing to b026324c6904b2a9cb4b88d6d61c81d1\n";
        let root = folder(&[(name, script)]);
        let ones = ones(root.path(), "");
        let (printed, results) = with(root.path(), &[], &["--reference", &ones]);
        assert!(
            printed.out.contains("\n(-reference|+actual)\n") && printed.out.contains("\n- 1\n+ 2\nat "),
            "{printed:?}"
        );
        assert_eq!(results["outcomes"][0]["comparison"]["only_reference"], 1, "{results}");
        // If neither engine is right, the rows of both are shown, too.
        fs::write(root.path().join(name), script.replace("b0263", "00000")).unwrap();
        let (printed, results) = with(root.path(), &[], &["--reference", &ones]);
        assert!(printed.out.contains("\n- 1\n+ 2\nat "), "{printed:?}");
        assert_eq!(results["outcomes"][0]["comparison"]["neither_different"], 1, "{results}");
        let (_, results) = with(root.path(), &[], &["--reference", "sqlite"]);
        assert_eq!(results["outcomes"][0]["comparison"]["neither_alike"], 1, "{results}");
    });
}

/// Runs the files on an engine that returns 1 for everything, and returns the path of the results.
fn recorded(root: &Path, into: &Path) -> String {
    let mut command = command(target_binary());
    command.env("SLT_CORPUS", root).env("SLT_RESULTS", into);
    let printed = Printed::of(command.args(["--engine", &ones(into, "")]));
    assert_eq!(printed.code, 101, "{printed:?}");
    into.join("results.json").display().to_string()
}

#[test]
fn the_results_of_another_run_are_a_reference_too() {
    let root = folder(&[("a.slt", SCRIPT), ("b.slt", PASSES)]);
    let into = tempfile::tempdir().unwrap();
    let path = recorded(root.path(), into.path());
    for way in WAYS {
        let (alone, _) = with(root.path(), way, &[]);
        let (printed, results) = with(root.path(), way, &["--reference", &path]);
        assert_eq!(
            (printed.code, printed.result(), printed.verdicts()),
            (101, alone.result(), alone.verdicts()),
            "{printed:?}"
        );
        assert!(printed.err.contains("comparing with what ") && printed.err.contains(" has recorded"), "{printed:?}");
        let a = results["outcomes"].as_array().unwrap().iter().find(|outcome| outcome["name"] == "a.slt").unwrap();
        let comparison = &a["comparison"];
        // The last record did not run in the recorded run.
        let counts = ["both", "only_engine", "only_reference", "neither_alike", "neither_different", "not_compared"];
        assert_eq!(counts.map(|count| &comparison[count]), [2, 1, 1, 1, 1, 1].map(|c| json!(c)).each_ref(), "{a}");
        assert_eq!(comparison["why"], "that run left it out", "{a}");
        let records = comparison["records"].as_array().unwrap();
        let shown: Vec<_> =
            records.iter().map(|record| (record["line"].as_u64().unwrap(), &record["agrees"])).collect();
        let agrees = ["only_engine", "only_reference", "neither_alike", "neither_different"].map(Value::from);
        assert_eq!(shown, [9, 14, 19, 24].into_iter().zip(&agrees).collect::<Vec<_>>(), "{a}");
        for words in ["as expected on ", "(run ", ", and not here", "returns the same as this engine"] {
            assert!(printed.out.contains(words), "{words}: {printed:?}");
        }
    }
    // One file, and one record of it.
    for name in ["a.slt", "a.slt:14"] {
        let mut slt = command(env!("CARGO_BIN_EXE_slt"));
        let printed = Printed::of(slt.args(["test", name, "--reference", &path]).current_dir(root.path()));
        assert!(printed.code == 101 && printed.out.contains("1 only on "), "{printed:?}");
    }
    // One file changes, and another one is new.
    fs::write(root.path().join("a.slt"), format!("{SCRIPT}\nquery I\nSELECT 1\n----\n1\n")).unwrap();
    fs::write(root.path().join("c.slt"), PASSES).unwrap();
    let (printed, results) = with(root.path(), &[], &["--reference", &path]);
    assert_eq!(printed.code, 101, "{printed:?}");
    let why = |name: &str| {
        let outcome = results["outcomes"].as_array().unwrap().iter().find(|outcome| outcome["name"] == name);
        outcome.unwrap()["comparison"]["why"].clone()
    };
    assert_eq!(why("a.slt"), "the file has other records than in that run");
    assert_eq!(why("c.slt"), "that run has no file of this name");
}

#[test]
fn results_that_cannot_be_read_end_the_run_before_it_begins() {
    let root = folder(&[("a.slt", PASSES)]);
    let into = folder(&[("x.json", "{\"a\": 1}"), ("newer.json", "{\"version\": 99}"), ("y.txt", "1")]);
    for (name, words) in [
        ("x.json", "x.json` does not hold the results of a run"),
        ("newer.json", "has format version 99"),
        ("y.txt", "y.txt` does not hold the results of a run"),
        ("absent.json", "cannot read the results `"),
    ] {
        let path = into.path().join(name).display().to_string();
        for way in WAYS {
            let (printed, _) = with(root.path(), way, &["--reference", &path]);
            assert_eq!((printed.code, printed.verdicts().len()), (4, 0), "{printed:?}");
            assert!(printed.err.contains("error: `--reference`: ") && printed.err.contains(words), "{printed:?}");
        }
        let mut slt = command(env!("CARGO_BIN_EXE_slt"));
        let printed = Printed::of(slt.args(["test", "a.slt", "--reference", &path]).current_dir(root.path()));
        assert!(printed.code == 4 && printed.err.contains(words) && printed.out.is_empty(), "{printed:?}");
        for command_name in ["fill", "shrink"] {
            let mut slt = command(env!("CARGO_BIN_EXE_slt"));
            let printed = Printed::of(slt.args([command_name, "a.slt", "--reference", &path]).current_dir(root.path()));
            assert!(printed.code == 2 && printed.err.contains("this command has to run SQL"), "{printed:?}");
        }
    }
    let (printed, _) = with(root.path(), &[], &["--reference", "nothing"]);
    assert!(printed.code == 2 && printed.err.contains("or name the results file of another run"), "{printed:?}");
}

#[test]
fn a_reference_that_cannot_be_reached_fails_the_run_and_no_file() {
    let root = folder(&[("a.slt", PASSES), ("b.slt", PASSES)]);
    for way in WAYS {
        for engine in ["external:/nowhere/driver", "postgres://me:hunter2@127.0.0.1:1/db"] {
            let (printed, _) = with(root.path(), way, &["--reference", engine]);
            assert_eq!((printed.code, printed.verdicts().len()), (4, 0), "{printed:?}");
            assert!(
                printed.err.contains("cannot connect to the reference") && !printed.err.contains("hunter2"),
                "{printed:?}"
            );
        }
        // The reference fails during the run.
        let here = tempfile::tempdir().unwrap();
        let mut command = command(target_binary());
        command.env("SLT_CORPUS", root.path()).env("SLT_RESULTS", here.path()).current_dir(here.path());
        let printed = Printed::of(command.args(way).args(["--reference", &ones(here.path(), "twice")]));
        assert!(printed.code == 4 && printed.out.contains("2 passed; 0 failed"), "{printed:?}");
        assert!(
            printed.out.contains("2 not compared") && printed.err.contains("the reference could not be reached"),
            "{printed:?}"
        );
    }
    let (printed, _) = with(root.path(), &[], &["--reference", "oracle"]);
    assert!(
        printed.code == 2 && printed.err.contains("`--reference` (or `SLT_REFERENCE`): no such engine"),
        "{printed:?}"
    );
    let (printed, _) = with(root.path(), &[], &["--reference", "sqlite", "--bless"]);
    assert!(printed.code == 2 && printed.err.contains("which `--bless` changes"), "{printed:?}");
    let (printed, results) = with(root.path(), &[], &["--reference", "none"]);
    assert!(printed.code == 0 && results["outcomes"][0].get("comparison").is_none(), "{printed:?}");
}

#[test]
fn a_reference_that_hangs_costs_the_file_none_of_its_time() {
    let root = folder(&[("a.slt", "query I\nSELECT 7\n----\n7\n")]);
    let hangs = ones(root.path(), "hang");
    for way in WAYS {
        let (printed, results) =
            with(root.path(), way, &["--reference", &hangs, "--file-timeout", "1", "--query-timeout", "1"]);
        assert!(printed.out.contains("1 passed; 0 failed"), "{printed:?}");
        let comparison = &results["outcomes"][0]["comparison"];
        assert!(comparison["why"].as_str().unwrap().starts_with("timed out after 1 s"), "{results}");
    }
}

#[test]
fn one_file_on_two_engines_is_shown_by_slt() {
    let root = folder(&[("a.slt", SCRIPT)]);
    let ones = ones(root.path(), "");
    let slt = |arguments: &[&str]| {
        let mut command = command(env!("CARGO_BIN_EXE_slt"));
        Printed::of(command.args(arguments).env("SLT_RESULTS", root.path().join("results")).current_dir(root.path()))
    };
    let printed = slt(&["test", "a.slt", "--reference", &ones]);
    let sum = ": 2 as expected on both, 2 only here, 1 only on ";
    assert!(printed.code == 101 && printed.out.contains(sum), "{printed:?}");
    assert!(
        printed.out.contains("  a.slt:9: as expected here, and not on the external driver `python3"),
        "{printed:?}"
    );
    let printed = slt(&["test", "a.slt", "--reference", "external:/nowhere/driver"]);
    assert!(printed.code == 4 && printed.err.contains("cannot connect to the reference"), "{printed:?}");
    assert_eq!(slt(&["run", "--root", "a.slt", "--reference", &ones, "--report"]).code, 101);
    let printed = slt(&["analyze"]);
    assert!(
        printed.out.contains(sum) && printed.out.contains("a.slt:14: as expected on the external driver"),
        "{printed:?}"
    );
    let page = fs::read_to_string(root.path().join("results/report.html")).unwrap();
    assert!(page.contains("Compared with the external driver") && page.contains("a.slt:24"));
}

#[test]
fn databases_are_references_and_have_references() {
    let script = "statement ok\nCREATE TABLE t(a INTEGER, b TEXT)\n\nstatement ok\nINSERT INTO t VALUES (2, 'x'), (1, 'y')\n\n\
        query IT rowsort\nSELECT a, b FROM t\n----\n1 y\n2 x\n\nstatement error\nSELECT nothing FROM t\n\n\
        query I\nSELECT length(b) + 5 FROM t WHERE a = 1\n----\n7\n\nonlyif sqlite\nquery T\nSELECT typeof(a) FROM t LIMIT 1\n----\ninteger\n";
    let (servers, _turn) = servers();
    let root = folder(&[("a.slt", script)]);
    let (printed, results) = with(root.path(), &[], &["--reference", "sqlite"]);
    let counts = |results: &Value| {
        ["both", "only_engine", "neither_alike"]
            .map(|count| results["outcomes"][0]["comparison"][count].as_u64().unwrap())
    };
    assert_eq!((printed.code, counts(&results)), (101, [5, 0, 1]), "{printed:?} {results}");
    for server in servers {
        let (printed, results) = with(root.path(), &[], &["--reference", &server.url]);
        // Only SQLite has `typeof`, and the record that is for SQLite runs on the reference too.
        assert_eq!((printed.code, counts(&results)), (101, [4, 1, 1]), "{printed:?} {results}");
        let (printed, results) =
            with(root.path(), &["--parallel"], &["--engine", &server.url, "--reference", "sqlite"]);
        assert_eq!((printed.code, counts(&results)), (101, [4, 0, 1]), "{printed:?} {results}");
    }
}
