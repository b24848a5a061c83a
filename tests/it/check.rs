//! `slt check`, as a user calls it: what it prints, where, and how it exits.

use std::path::Path;
use std::process::Command;

use crate::support::{PASSES, Printed, command, folder};

fn slt(folder: &Path) -> Command {
    let mut slt = command(env!("CARGO_BIN_EXE_slt"));
    slt.current_dir(folder).arg("check");
    slt
}

/// Runs `slt check` in a folder.
fn check(folder: &Path, arguments: &[&str]) -> Printed {
    Printed::of(slt(folder).args(arguments))
}

#[test]
fn what_is_wrong_is_printed_with_its_place_and_fails() {
    let folder = folder(&[
        ("tests/a.slt", PASSES),
        ("tests/b.slt", "statement maybe\nSELECT 1\n"),
        ("tests/c.test", "query I\nSELECT 1\n----\n1\n\nquery Z\nSELECT 1\n\nhalt\n\nquery I\nSELECT 1\n"),
    ]);
    let printed = check(folder.path(), &["tests"]);
    let expected = "tests/b.slt:1: error: `statement maybe` belongs to DuckDB's dialect: `--dialect duckdb`\n\
                    tests/c.test:6: error: unknown column letter `Z` in `Z`: I, R or T\n";
    assert_eq!((printed.code, &*printed.out), (101, expected), "{printed:?}");
    assert_eq!(printed.err, "3 files checked: 2 errors in 2 files, no warnings\n");
    let printed = check(folder.path(), &["tests/a.slt"]);
    assert_eq!((printed.code, &*printed.out), (0, ""), "{printed:?}");
    assert_eq!(printed.err, "1 file checked: no errors, no warnings\n");
    // First one file, by its name below the root; then all files of the root.
    assert_eq!(check(folder.path(), &["--root", "tests", "a.slt"]).code, 0);
    let printed = check(folder.path(), &["--root", "tests"]);
    assert_eq!((printed.code, printed.out.lines().count()), (101, 2), "{printed:?}");
    assert_eq!(Printed::of(slt(folder.path()).env("SLT_CORPUS", "tests")).out, printed.out);
}

#[test]
fn warnings_fail_only_where_they_are_denied() {
    let folder = folder(&[("a.slt", &format!("{PASSES}\nhalt\n\nstatement ok\nSELECT 1\n"))]);
    let printed = check(folder.path(), &["a.slt"]);
    let expected = "a.slt:6: warning: `halt` ends the script here: what is below, from line 8 on, never runs\n";
    assert_eq!((printed.code, &*printed.out), (0, expected), "{printed:?}");
    assert_eq!(printed.err, "1 file checked: no errors, 1 warning\n");
    assert_eq!(check(folder.path(), &["a.slt", "--deny-warnings"]).code, 101);
}

#[test]
fn json_is_one_object_a_line_and_fits_its_schema() {
    let included = "skipif x\nonlyif x\nstatement ok\nSELECT 1\n";
    let label = "query I nosort l\nSELECT 1\n----\n1\n\nquery I nosort l\nSELECT 1\n----\n2\n\n\u{1b}[2J\n";
    let folder = folder(&[
        ("a.slt", "include p/*.part\n"),
        ("b.slt", "include p/1.slt.part\n"),
        ("p/1.slt.part", included),
        ("c.slt", "loop i 0 3\n"),
        ("d.test", label),
        ("e.test", "# Nothing.\n"),
        (
            "f.test",
            "statement ok\nSELECT 1\n\nquery I nosort l\nSELECT 1\n----\n1\n\nquery I nosort l\nSELECT 1\n----\n2\n",
        ),
    ]);
    let printed = check(folder.path(), &[".", "--format", "json"]);
    assert_eq!(printed.code, 101, "{printed:?}");
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schemas/check.schema.json");
    let schema = serde_json::from_str(&std::fs::read_to_string(schema).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut found = Vec::new();
    for line in printed.out.lines() {
        let finding: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(validator.is_valid(&finding), "{line}");
        let text = |key: &str| finding[key].as_str().unwrap().to_owned();
        found.push((text("file"), finding["line"].as_u64().unwrap(), text("kind"), text("severity")));
    }
    let expected = [
        ("p/1.slt.part", 3, "never_runs", "error"),
        ("c.slt", 1, "other_dialect", "error"),
        ("d.test", 11, "syntax", "error"),
        ("e.test", 0, "no_records", "warning"),
        ("f.test", 9, "labels", "error"),
    ];
    let expected = expected.map(|(file, line, kind, severity)| (file.into(), line, kind.into(), severity.into()));
    assert_eq!(found, expected, "{}", printed.out);
    assert!(!printed.out.contains('\u{1b}'), "escaped");
    let other: serde_json::Value = serde_json::from_str(printed.out.lines().nth(1).unwrap()).unwrap();
    assert_eq!((&other["dialect"], &other["known_to"]), (&"slt".into(), &serde_json::json!(["duckdb"])));
}

#[test]
fn any_file_is_read_by_the_dialect_that_is_named() {
    let duckdb = "statement error\nSELECT 1\n----\nBinder\n\nloop i 0 3\n\nstatement ok\nSELECT {i}\n\nendloop\n";
    let folder = folder(&[
        ("a.test_slow", duckdb),
        ("b.slt.serial", "statement error 1006\nSELECT 1\n"),
        ("c.test", "statement error 1006\nSELECT 1\n"),
    ]);
    assert_eq!(check(folder.path(), &["a.test_slow", "--dialect", "duckdb"]).code, 0);
    assert_eq!(check(folder.path(), &["b.slt.serial", "c.test", "--dialect", "slt"]).code, 0);
    assert_eq!(Printed::of(slt(folder.path()).arg("c.test").env("SLT_DIALECT", "slt")).code, 0);
    let printed = check(folder.path(), &["c.test"]);
    assert!(printed.code == 101 && printed.out.contains("belongs to the sqllogictest-rs dialect"), "{printed:?}");
    let printed = check(folder.path(), &["b.slt.serial"]);
    assert!(printed.code == 2 && printed.err.contains("does not show its dialect"), "{printed:?}");
}

#[test]
fn a_missing_path_has_its_own_exit_code() {
    let folder = folder(&[("a.slt", PASSES), ("none/readme.md", "")]);
    let printed = check(folder.path(), &["a.slt", "nosuch.slt"]);
    assert!(
        printed.code == 2 && printed.err.contains("no test file `nosuch.slt`") && printed.out.is_empty(),
        "{printed:?}"
    );
    let printed = check(folder.path(), &["none"]);
    assert!(
        printed.code == 5 && printed.err.contains("no `.test`, `.slt` or `.duckdb.test` file below `none`"),
        "{printed:?}"
    );
    assert_eq!(check(folder.path(), &["--dialect", "nosuch", "a.slt"]).code, 2);
    assert_eq!(check(folder.path(), &["--root", "nosuch"]).code, 2);
}

#[test]
fn a_folder_within_the_root_may_include_what_is_above_it() {
    let folder = folder(&[("t/common.part", PASSES), ("t/sub/a.slt", "include ../common.part\n")]);
    let printed = check(folder.path(), &["--root", "t", "t/sub"]);
    assert_eq!(printed.code, 0, "{printed:?}");
    let printed = check(folder.path(), &["t/sub"]);
    assert!(printed.code == 101 && printed.out.contains("leads out of the folder"), "{printed:?}");
}

/// The places of all errors in a folder, relative to it.
fn errors(folder: &Path, arguments: &[&str]) -> Vec<String> {
    let printed = Printed::of(slt(folder).args(["--format", "json", "."]).args(arguments));
    let findings = printed.out.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let errors = findings.filter(|finding| finding["severity"] == "error");
    let errors: Vec<String> = errors.map(|f| format!("{}:{}", f["file"].as_str().unwrap(), f["line"])).collect();
    assert_eq!(printed.code, if errors.is_empty() { 0 } else { 101 }, "{printed:?}");
    errors
}

#[test]
fn the_bundled_files_have_errors_on_purpose_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    // Records that no engine can run, and invalid text after a `halt` with a condition.
    let expected = ["evidence/directives/conditions.test:31", "evidence/directives/halt.test:36"];
    assert_eq!(errors(&root.join("corpus"), &[]), expected);
    assert!(errors(&root.join("cases"), &[]).len() >= 50);
}

/// Where public files have errors; docs/format.md says why.
const PUBLIC: &[(&str, &str, &[&str])] = &[
    ("duckdb", "duckdb", &["test/sql/copy/csv/parallel/parallel_csv_union_by_name.test:51"]),
    ("datafusion", "slt", &[]),
    (
        "databend",
        "slt",
        &[
            "tests/sqllogictests/suites/base/03_common/03_0016_insert_into_values.test:118",
            "tests/sqllogictests/suites/glue/queries.test:9",
        ],
    ),
    (
        "risingwave",
        "slt",
        &[
            "e2e_test/backwards-compat-tests/slt/nexmark-backwards-compat/insert.slt:1",
            "e2e_test/backwards-compat-tests/slt/nexmark-backwards-compat/seed.slt:1",
            "e2e_test/backwards-compat-tests/slt/nexmark-backwards-compat/validate_restart.slt:1",
            "e2e_test/backwards-compat-tests/slt/tpch-backwards-compat/validate_original.slt:1",
            "e2e_test/batch/over_window/main.slt.part:1",
            "e2e_test/udf/tests/scalar/test_complex.slt.part:1",
        ],
    ),
    ("glaredb", "slt", &[]),
    ("risinglight", "slt", &[]),
    ("sqllogictest-rs", "slt", &[]),
    ("iceberg", "slt", &[]),
];

#[test]
fn public_files_have_no_errors_but_those_that_are_listed() {
    let Some(peers) = std::env::var_os("SLT_PEERS") else {
        return println!("no public files: `SLT_PEERS` names no folder");
    };
    for (peer, dialect, listed) in PUBLIC {
        assert_eq!(errors(&Path::new(&peers).join(peer), &["--dialect", dialect]), *listed, "{peer}");
    }
}
