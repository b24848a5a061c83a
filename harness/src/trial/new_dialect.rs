//! Checks that a new dialect needs only its own folder and one line in the registry. The dialect here can be run, compared and
//! rewritten.

use std::fs;

use super::{Bless, Options, run};
use crate::check::check;
use crate::dialect::Dialect;
use crate::dialect::outline::{self, Kind};
use crate::engine::sqlite::Sqlite;
use crate::outcome::{Outcome, RecordCounts, Verdict};
use crate::suite::{Suite, TestFile};

const SCRIPT: &str = "do\nCREATE TABLE t(a, b)\n\ndo\nINSERT INTO t VALUES (1, NULL), ('x', '')\n\n\
                      fail\nSELECT nothing\n\nask\nSELECT a, b FROM t\n----\n[1] -\n[X] []\n";

/// A file of the dialect with this text, found by its extension; the folder keeps it.
fn file(text: &str) -> (tempfile::TempDir, TestFile) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.trivial"), text).unwrap();
    let mut files = Suite::new(folder.path()).discover().unwrap();
    assert_eq!(files.len(), 1);
    (folder, files.remove(0))
}

fn ran(text: &str, options: &Options) -> (Outcome, String) {
    let (_folder, file) = file(text);
    let outcome = run(&file, &Sqlite, options, &());
    (outcome, fs::read_to_string(&file.path).unwrap())
}

#[test]
fn a_script_of_a_new_dialect_runs_and_its_values_have_its_own_form() {
    let (_folder, file) = file(SCRIPT);
    assert_eq!((file.dialect, file.dialect.name()), (Dialect::Trivial, "trivial"));
    let (outcome, _) = ran(SCRIPT, &Options::default());
    assert_eq!(outcome.verdict, Verdict::Passed, "{outcome:?}");
    assert_eq!(outcome.records, RecordCounts { passed: 4, failed: 0, skipped: 0 });
}

#[test]
fn a_wrong_result_of_a_new_dialect_fails_and_shows_its_values() {
    let (outcome, _) = ran(&SCRIPT.replace("[1] -", "[1] NULL"), &Options::default());
    assert_eq!((outcome.verdict.clone(), outcome.records.failed), (Verdict::Failed, 1));
    let failure = &outcome.failures[0];
    assert_eq!((failure.line, failure.expected.as_deref()), (10, Some("[1] NULL\n[X] []")));
    assert_eq!(failure.actual.as_deref(), Some("[1] -\n[x] []"));
    let (outcome, _) = ran(&SCRIPT.replace("fail\nSELECT nothing", "fail\nSELECT 1"), &Options::default());
    assert_eq!((outcome.verdict.clone(), outcome.failures[0].line), (Verdict::Failed, 7), "{outcome:?}");
}

#[test]
fn a_script_of_a_new_dialect_is_blessed() {
    let wrong = SCRIPT.replace("[1] -", "[2] -").replace("fail\nSELECT nothing", "do\nSELECT nothing");
    let options = Options { bless: Some(Bless { errors: true, ..Bless::default() }), ..Options::default() };
    let (outcome, text) = ran(&wrong, &options);
    assert_eq!((outcome.verdict.clone(), outcome.rewritten), (Verdict::Passed, 2), "{outcome:?}");
    // Values that differ only in letter case stay, if the rest of the result does.
    assert_eq!(text.to_lowercase(), SCRIPT.to_lowercase());
    let (outcome, text) = ran("ask\nSELECT nothing\n----\n[1]\n\nfail\nSELECT 1\n", &options);
    assert_eq!((outcome.verdict, text.as_str()), (Verdict::Passed, "fail\nSELECT nothing\n\ndo\nSELECT 1\n"));
}

#[test]
fn a_script_of_a_new_dialect_is_checked_and_outlined() {
    let (_folder, file) = file(&SCRIPT.replace("fail\n", "quit\n"));
    let findings = check(&file);
    let message = "unknown directive `quit`: do, fail or ask";
    assert_eq!((findings.len(), findings[0].line, findings[0].message.as_str()), (1, 7, message));
    let kinds: Vec<Kind> = outline::parts(SCRIPT.as_bytes(), Dialect::Trivial).iter().map(|part| part.kind).collect();
    assert_eq!(kinds, [Kind::Statement, Kind::Statement, Kind::Statement, Kind::Query]);
}

#[test]
fn a_file_that_looks_like_a_new_dialect_says_so_and_the_other_way_round() {
    let message = |name: &str, text: &str| {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(name), text).unwrap();
        let file = Suite::new(folder.path()).find(name).unwrap().unwrap();
        run(&file, &Sqlite, &Options::default(), &()).failures[0].message.clone()
    };
    for name in ["a.test", "a.slt", "a.duckdb.test"] {
        assert_eq!(message(name, SCRIPT), "`do` belongs to the trivial dialect: `--dialect trivial`", "{name}");
    }
    let of_another = message("a.trivial", "loop i 0 3\n\nendloop\n");
    assert_eq!(of_another, "`loop` belongs to DuckDB's dialect: `--dialect duckdb`");
}
