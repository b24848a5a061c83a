//! `FILE:LINE`: one record, judged after the records before it have run; in every mode, and never counted as its whole file.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::faulty_support::{Place, fault};
use crate::support::{Printed, command, folder, target_binary};

/// The record in line 11 needs the tables; those in line 8 and 16 fail.
const SCRIPT: &str = "statement ok\nCREATE TABLE t(a)\n\nstatement ok\nINSERT INTO t VALUES (1)\n\n# Wrong.\nquery I\nSELECT 2\n----\n3\n\
                      \nquery I\nSELECT a FROM t\n----\n1\n\nquery I\nSELECT 4\n----\n5\n";

struct Here {
    folder: TempDir,
    results: TempDir,
}

impl Here {
    fn new(name: &str, text: &str) -> Here {
        Here { folder: folder(&[(name, text), ("other.test", crate::support::PASSES)]), results: folder(&[]) }
    }

    fn run(&self, program: &Path, arguments: &[&str]) -> Printed {
        let mut command = command(program);
        command.args(arguments).args(["--root", self.folder.path().to_str().unwrap()]);
        command.env("SLT_RESULTS", self.results.path());
        Printed::of(&mut command)
    }

    fn slt(&self, arguments: &[&str]) -> Printed {
        self.run(Path::new(env!("CARGO_BIN_EXE_slt")), arguments)
    }

    fn left(&self) -> Vec<PathBuf> {
        fs::read_dir(self.results.path()).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

#[test]
fn every_door_judges_the_record_in_a_line_and_nothing_else() {
    for name in ["joins.test", "joins.slt", "joins.duckdb.test"] {
        // In two of the dialects, a row is a whole line, which makes no difference here.
        let here = Here::new(name, SCRIPT);
        let at = |line: u32| format!("{name}:{line}");
        for line in [13, 14, 16] {
            let printed = here.slt(&["run", &at(line)]);
            assert_eq!((printed.code, printed.verdict(&at(line))), (0, Some("ok")), "{printed:?}");
            assert!(printed.out.contains("1 passed") && printed.err.contains("no results are written"), "{printed:?}");
            let printed = here.run(target_binary(), &[&at(line)]);
            assert_eq!((printed.code, printed.verdict(&at(line))), (0, Some("ok")), "{printed:?}");
            let printed = here.slt(&["test", &at(line)]);
            assert_eq!(printed.code, 0, "{printed:?}");
            assert!(printed.out.contains("SELECT a FROM t") && !printed.out.contains("CREATE TABLE"), "{printed:?}");
            assert!(printed.out.contains("records: 1 passed; 0 failed; 0 skipped"), "{printed:?}");
        }
        let printed = here.slt(&["run", &at(19)]);
        assert_eq!((printed.code, printed.verdict(&at(19))), (101, Some("FAILED")), "{printed:?}");
        assert!(printed.out.contains("SELECT 4") && !printed.out.contains("[SQL] SELECT 2"), "{printed:?}");
        assert!(printed.out.contains("1 of the 4 records before it failed too, the first in line 8"), "{printed:?}");
        // A comment right before a record belongs to it.
        assert_eq!(here.slt(&["run", &at(7)]).verdict(&at(7)), Some("FAILED"));
        let alone = here.slt(&["run", "--only", &at(13)]);
        assert!(alone.code == 101 && alone.out.contains("no such table: t"), "{alone:?}");
        assert_eq!(here.slt(&["test", "--only", &at(18)]).code, 101);
        // Two records of one file are two trials.
        let two = here.slt(&["run", &at(13), &at(18)]);
        assert_eq!((two.verdict(&at(13)), two.verdict(&at(18))), (Some("ok"), Some("FAILED")), "{two:?}");
        assert_eq!(here.left(), [] as [PathBuf; 0], "{name}");
    }
}

#[test]
fn results_history_and_known_failures_stay_those_of_whole_files() {
    let here = Here::new("a/joins.test", SCRIPT);
    let known = here.results.path().join("known.toml");
    fs::write(&known, "[[known]]\npath = \"a/joins.test\"\nreason = \"two wrong values\"\n").unwrap();
    let known = known.to_str().unwrap();
    let whole = here.slt(&["run", "--known-failures", known]);
    assert_eq!(whole.code, 0, "{whole:?}");
    let read = |name: &str| fs::read_to_string(here.results.path().join(name)).unwrap();
    let before = (read("results.json"), read("history.jsonl"), fs::read_to_string(known).unwrap());
    // A record that passes neither makes its file pass nor removes it from the list; one that fails is no known failure.
    let printed = here.slt(&["run", "--known-failures", known, "--ratchet", "--parallel", "joins.test:13"]);
    assert_eq!((printed.code, printed.verdict("a/joins.test:13")), (0, Some("ok")), "{printed:?}");
    let printed = here.slt(&["run", "--known-failures", known, "a/joins.test:8"]);
    assert_eq!((printed.code, printed.verdict("a/joins.test:8")), (101, Some("FAILED")), "{printed:?}");
    assert_eq!((read("results.json"), read("history.jsonl"), fs::read_to_string(known).unwrap()), before);
    let first = here.slt(&["run", "--write-known-failures", "x.toml", "joins.test:8"]);
    assert!(first.code == 2 && first.err.contains("a record is none"), "{first:?}");
}

#[test]
fn what_names_no_record_is_refused_with_the_nearest() {
    let here = Here::new("joins.slt", SCRIPT);
    for (arguments, words) in [
        (&["run", "joins.slt:999"][..], "`joins.slt` has 21 lines; the nearest record is `joins.slt:18`: SELECT 4"),
        (&["run", "joins.slt:3"], "line 3 of `joins.slt` is in no record; the nearest record is `joins.slt:1`"),
        (&["test", "joins.slt:12"], "line 12 of `joins.slt` is in no record"),
        (&["run", "jions.slt:8"], "no test file matches `jions.slt`; is it `joins.slt`?"),
        (&["run", "s:8"], "`s` names 2 files, and a line is one file's"),
        (&["run", "joins.slt:8", "other"], "`joins.slt:8` is a record, and `other` is none"),
        (&["run", "--shard", "1/2", "joins.slt:8"], "it cannot be combined with `--shard`"),
        (&["run", "--only", "joins.slt"], "it needs a filter such as `joins.slt:12`"),
        (&["test", "--only", "joins.slt"], "it needs a line"),
    ] {
        let printed = here.slt(arguments);
        assert!(printed.code == 2 && printed.err.contains(words), "{words}: {printed:?}");
    }
    let shown = here.slt(&["run", "--list", "joins.slt:8"]);
    assert_eq!(shown.out.lines().next(), Some("joins.slt:8: test"), "{shown:?}");
}

#[test]
fn a_record_that_does_not_apply_is_no_pass() {
    let here = Here::new("a.test", "onlyif mysql\nquery I\nSELECT 1\n----\n1\n\nhalt\n\nstatement ok\nSELECT 1\n");
    let printed = here.slt(&["run", "a.test:3"]);
    assert_eq!(
        (printed.code, printed.verdict("a.test:3")),
        (5, Some("ignored (0 of 1 records apply to sqlite)")),
        "{printed:?}"
    );
    let behind = here.slt(&["run", "a.test:9"]);
    assert!(behind.code == 2 && behind.err.contains("ends with the `halt` in line 7"), "{behind:?}");
    // A `halt` for this engine alone is noticed only when the script runs.
    let here = Here::new("a.test", "onlyif sqlite\nhalt\n\nstatement ok\nSELECT 1\n");
    let printed = here.slt(&["run", "a.test:4"]);
    assert_eq!(
        (printed.code, printed.verdict("a.test:4").map(|verdict| verdict.starts_with("ignored"))),
        (5, Some(true)),
        "{printed:?}"
    );
}

#[test]
fn settings_before_a_record_hold_where_it_runs_alone() {
    let script = "control sortmode rowsort\n\nstatement ok\nCREATE TABLE t(a)\n\nquery I\nSELECT 2 UNION ALL SELECT 1\n----\n1\n2\n";
    let printed = Here::new("a.slt", script).slt(&["run", "--only", "a.slt:6"]);
    assert_eq!((printed.code, printed.verdict("a.slt:6")), (0, Some("ok")), "{printed:?}");
}

#[test]
fn a_record_of_a_loop_is_judged_in_each_pass() {
    let script = "statement ok\nCREATE TABLE t(a)\n\nloop i 0 3\n\nquery I\nSELECT count(*) = {i} FROM t\n----\n1\n\n\
                  statement ok\nINSERT INTO t VALUES (1)\n\nendloop\n\nstatement ok\nSELECT nothing\n";
    let printed = Here::new("a.duckdb.test", script).slt(&["test", "a.duckdb.test:7"]);
    assert!(printed.out.contains("records: 3 passed; 0 failed; 0 skipped"), "{printed:?}");
    assert_eq!(printed.code, 0, "{printed:?}");
}

#[test]
fn one_pass_of_a_loop_is_judged_where_it_is_named() {
    // The record in line 8 is right while there are fewer than 4 rows, and is wrong for i=1,j=2 and later passes.
    let script = "statement ok\nCREATE TABLE t(a)\n\nloop i 0 2\n\nforeach j 0 1 2\n\nquery I\nSELECT count(*) < 5 FROM t\n----\n1\n\n\
                  statement ok\nINSERT INTO t VALUES ({i}{j})\n\nendloop\n\nendloop\n\nstatement ok\nSELECT nothing\n";
    let name = "a.duckdb.test";
    let here = Here::new(name, script);
    for (mode, program) in [(&["run"][..], Path::new(env!("CARGO_BIN_EXE_slt"))), (&[], target_binary())] {
        let run = |at: &str| here.run(program, &[mode, &[&format!("{name}:{at}")]].concat());
        for (at, named, code, passed) in [
            ("9(i=1,j=1)", "9(i=1,j=1)", 0, 1),
            ("8 (i=1, j=2)", "8(i=1,j=2)", 101, 0),
            ("9(i=0)", "9(i=0)", 0, 3),
            ("9(i=1)", "9(i=1)", 101, 2),
        ] {
            let printed = run(at);
            assert_eq!(printed.code, code, "{at}: {printed:?}");
            let verdict = if code == 0 { "ok" } else { "FAILED" };
            assert_eq!(printed.verdict(&format!("{name}:{named}")), Some(verdict), "{at}: {printed:?}");
            let failed = u32::from(code != 0);
            let records = format!("records   {passed} passed, {failed} failed, 0 skipped");
            assert!(printed.out.contains(&records), "{at}: {printed:?}");
        }
        let none = run("9(i=2,j=0)");
        assert_eq!(none.code, 101, "{none:?}");
        assert!(none.out.contains("has no pass (i=2,j=0), but (i=0, j=0), (i=0, j=1), "), "{none:?}");
        let outside = run("20(i=1)");
        assert!(outside.code == 2 && outside.err.contains("is in none: it is `a.duckdb.test:20`"), "{outside:?}");
    }
    let test = here.slt(&["test", &format!("{name}:8(i=0,j=2)")]);
    assert!(test.code == 0 && test.out.contains("records: 1 passed; 0 failed; 0 skipped"), "{test:?}");
    let classic = Here::new("b.test", crate::support::PASSES).slt(&["run", "b.test:2(i=1)"]);
    assert!(classic.code == 2 && classic.err.contains("`(i=1)` names a pass of a loop"), "{classic:?}");
    // A run of the file names the pass that failed, with a command that runs it.
    let whole = here.slt(&["run", "duckdb"]);
    let command =
        whole.out.lines().find_map(|line| line.strip_prefix("that pass: ")).unwrap_or_else(|| panic!("{whole:?}"));
    assert!(command.ends_with("'a.duckdb.test:8(i=1,j=2)'"), "{command}");
    let again = Printed::of(crate::support::command("sh").args(["-c", command]));
    assert_eq!((again.code, again.verdict("a.duckdb.test:8(i=1,j=2)")), (101, Some("FAILED")), "{again:?}");
    let shrunk = here.slt(&["shrink", "--reference", "none", &format!("{name}:8(i=1,j=2)")]);
    assert!(shrunk.code == 0 && shrunk.out.contains("a.duckdb.test:8"), "{shrunk:?}");
    let text = fs::read_to_string(here.folder.path().join("a.min.duckdb.test")).unwrap();
    assert!(text.contains("loop i") && !text.contains("SELECT nothing"), "{text}");
}

#[test]
fn an_end_of_the_script_before_the_record_is_reported() {
    let place = Place::new([("bad.test", fault("lost") + "\nstatement ok\nSELECT 1\n")]);
    let mut serial = place.serial();
    serial.arg("bad.test:8");
    let ended = place.start_command(serial).wait().exits(101);
    ended.says("before the record in line 7: the connection to sqlite is lost");
    ended.says("at tests/bad.test:4");
    assert_eq!(ended.verdict("bad.test:8"), "FAILED");
}
