//! The table in docs/format.md that says which construct belongs to which dialect: a sample of each is run in all of them.

use std::path::Path;

use slt_harness::Dialect;
use slt_harness::Suite;
use slt_harness::engine::sqlite::Sqlite;
use slt_harness::unstable::trial::{self, Options};

use crate::support::{Printed, command, folder, run};

/// Each construct of the table, and samples of it. A dialect has the construct if one of them fails nothing in it.
const CONSTRUCTS: &[(&str, &[&str])] = &[
    ("`statement ok`", &["statement ok\nSELECT 1\n"]),
    ("`statement error`, for any error", &["statement error\nSELECT * FROM nope\n"]),
    ("… with a pattern after it, a regular expression", &["statement error no s.ch table\nSELECT * FROM nope\n"]),
    ("… with a text below `----`", &["statement error\nSELECT * FROM nope\n----\nno such table: nope\n"]),
    (
        "… with a text that ends at one empty line",
        &["statement error\nSELECT * FROM nope\n----\nno such table: nope\n\nstatement ok\nSELECT 1\n"],
    ),
    ("… with a part of the message below `----`", &["statement error\nSELECT * FROM nope\n----\nsuch table\n"]),
    ("`statement count N`", &["statement count 1\nSELECT 1\n"]),
    ("`statement maybe`", &["statement maybe\nSELECT * FROM nope\n----\nno such table\n"]),
    ("`statement ok CONNECTION`, `query LETTERS CONNECTION`", &["statement ok other\nSELECT 1\n"]),
    (
        "`query` with letters from `I`, `R`, `T`",
        &["query IRT\nSELECT 1, 1.5, 'a'\n----\n1\n1.500\na\n", "query IRT\nSELECT 1, 1.5, 'a'\n----\n1\t1.5\ta\n"],
    ),
    ("… with other letters", &["query B\nSELECT 1\n----\n1\n"]),
    ("… with more letters than columns", &["query II\nSELECT 1\n----\n1\n"]),
    ("… without letters", &["query\nSELECT 1\n----\n1\n"]),
    ("`query error`", &["query error no such table\nSELECT * FROM nope\n"]),
    ("orders `nosort`, `rowsort`, `valuesort`", &["query I rowsort\nSELECT 2 UNION ALL SELECT 1\n----\n1\n2\n"]),
    ("a label after the order", &["query I nosort x\nSELECT 1\n----\n1\n"]),
    ("rows below `----`: one value per line", &["query II\nSELECT 1, 2\n----\n1\n2\n"]),
    ("… one row per line, blanks between values", &["query II\nSELECT 1, 2\n----\n1 2\n"]),
    ("… one row per line, tabs between values", &["query II\nSELECT 1, 2\n----\n1\t2\n"]),
    ("… `N values hashing to …`", &["query I\nSELECT 1\n----\n1 values hashing to b026324c6904b2a9cb4b88d6d61c81d1\n"]),
    ("… `<slt:ignore>`", &["query T\nSELECT 'abc'\n----\na<slt:ignore>\n"]),
    ("… `<REGEX>:`, `<!REGEX>:`", &["query T\nSELECT 'abc'\n----\n<REGEX>:a.*\n"]),
    ("… `<FILE>:`", &["query I\nSELECT 1\n----\n<FILE>:rows.csv\n"]),
    (
        "`retry N backoff TIME`",
        &[
            "statement ok\nCREATE TABLE t AS SELECT 0 AS n\n\nquery I retry 3 backoff 1ms\nUPDATE t SET n = n + 1 RETURNING n\n----\n3\n",
        ],
    ),
    ("`hash-threshold N`", &["hash-threshold 8\n\nstatement ok\nSELECT 1\n"]),
    ("`halt`", &["statement ok\nSELECT 1\n\nhalt\n\nnonsense\n"]),
    ("`skipif ENGINE`, `onlyif ENGINE`", &["skipif nosuch\nstatement ok\nSELECT 1\n"]),
    ("… with a comment after it", &["skipif nosuch # why\nstatement ok\nSELECT 1\n"]),
    ("… with a condition on a loop's variable", &["loop i 0 3\n\nskipif i=1\nstatement ok\nSELECT 1\n\nendloop\n"]),
    ("lines of `#` within SQL, left out", &["statement ok\nSELECT 1\n# one\n+ 1\n"]),
    ("a line of blanks ends a record", &["statement ok\nSELECT 1\n \nstatement ok\nSELECT 2\n"]),
    ("`control sortmode`, `resultmode`, `substitution`", &["control sortmode rowsort\n\nstatement ok\nSELECT 1\n"]),
    ("`let`, and `$name` in SQL", &["let x\nSELECT 7\n\ncontrol substitution on\n\nquery I\nSELECT $x\n----\n7\n"]),
    ("`set variable`, and `{name}` in SQL", &["set variable x 7\n\nquery I\nSELECT {x}\n----\n7\n"]),
    ("`connection NAME`", &["connection other\nstatement ok\nSELECT 1\n"]),
    ("`system ok`", &["system ok\necho x\n----\nx\n"]),
    ("`subtest NAME`", &["subtest x\n\nstatement ok\nSELECT 1\n"]),
    ("`include`", &["include part\n\nstatement ok\nSELECT 1\n"]),
    ("`sleep TIME` such as `1ms`", &["sleep 1ms\n\nstatement ok\nSELECT 1\n"]),
    ("`sleep N UNIT` such as `1 millisecond`", &["sleep 1 millisecond\n\nstatement ok\nSELECT 1\n"]),
    ("`loop`, `concurrentloop`", &["loop i 0 3\n\nquery I\nSELECT {i} < 3\n----\n1\n\nendloop\n"]),
    ("`foreach`, `concurrentforeach`", &["foreach x 1 2\n\nquery I\nSELECT {x} < 3\n----\n1\n\nendloop\n"]),
    ("`continue`", &["loop i 0 3\n\nonlyif i=1\ncontinue\n\nstatement ok\nSELECT 1\n\nendloop\n"]),
    ("`mode skip`, `mode unskip`", &["mode skip\n\nstatement ok\nnonsense\n\nmode unskip\n\nstatement ok\nSELECT 1\n"]),
    ("`require`", &["require json\n\nstatement ok\nSELECT 1\n"]),
    ("`require-env`, `test-env`", &["test-env SLT_NO_SUCH 7\n\nquery I\nSELECT {SLT_NO_SUCH}\n----\n7\n"]),
    (
        "`load`, `restart`, `reconnect`",
        &[
            "load {TEST_DIR}/x.db\n\nstatement ok\nCREATE TABLE t(a INTEGER)\n\nrestart\n\nstatement ok\nSELECT * FROM t\n",
        ],
    ),
    (
        "`set ignore_error_messages`, `always_fail_error_messages`",
        &["set ignore_error_messages nope\n\nstatement ok\nSELECT 1\n"],
    ),
    (
        "`reset label`",
        &["query I nosort x\nSELECT 1\n----\n1\n\nreset label x\n\nquery I nosort x\nSELECT 2\n----\n2\n"],
    ),
    ("`tags`", &["tags slow\n\nstatement ok\nSELECT 1\n"]),
];

/// Runs `slt` in a folder.
fn slt(folder: &Path, arguments: &[&str]) -> Printed {
    let results = folder.join("results");
    Printed::of(command(env!("CARGO_BIN_EXE_slt")).current_dir(folder).env("SLT_RESULTS", results).args(arguments))
}

#[test]
fn a_file_of_any_name_runs_by_its_name_where_a_dialect_is_chosen() {
    let loops = "loop i 0 3\n\nstatement ok\nSELECT {i}\n\nendloop\n";
    let folder = folder(&[
        ("t/a/x.slt.part", "statement error no such t.ble\nSELECT * FROM nope\n"),
        ("t/a/y.slt.serial", "control sortmode rowsort\n\nquery I\nSELECT 2 UNION ALL SELECT 1\n----\n1\n2\n"),
        ("t/a/z.test_slow", loops),
        ("t/b.slt", "statement ok\nSELECT 1\n"),
    ]);
    let cases = [("a/x.slt.part", "slt"), ("a/y.slt.serial", "slt"), ("a/z.test_slow", "duckdb")];
    for (name, dialect) in cases {
        let path = format!("t/{name}");
        let chosen = ["--dialect", dialect];
        let printed = slt(folder.path(), &[&["test", &path], &chosen[..]].concat());
        assert_eq!(printed.code, 0, "{printed:?}");
        let printed = slt(folder.path(), &[&["test", "--root", "t", name], &chosen[..]].concat());
        assert_eq!(printed.code, 0, "{printed:?}");
        for more in [&[][..], &["--exact"], &["--parallel", "--workers", "2"]] {
            let printed = slt(folder.path(), &[&["run", "--root", "t", name], &chosen[..], more].concat());
            assert_eq!((printed.code, printed.verdict(name)), (0, Some("ok")), "{printed:?}");
            assert!(printed.result().contains("1 passed"), "{printed:?}");
        }
        let printed = run(&folder.path().join("t"), &[&[name], &chosen[..]].concat());
        assert_eq!((printed.code, printed.verdict(name)), (0, Some("ok")), "{printed:?}");
        // The root may be the file itself.
        let printed = slt(folder.path(), &[&["run", "--root", &path], &chosen[..]].concat());
        assert_eq!(printed.code, 0, "{printed:?}");
        // Without a dialect, the program does not know how to read the file.
        let printed = slt(folder.path(), &["test", &path]);
        assert!(printed.code == 2 && printed.err.contains("does not show its dialect"), "{printed:?}");
        assert_eq!(slt(folder.path(), &["run", "--root", "t", name]).code, 5);
    }
    // A part of a name selects only files that the suite lists.
    let printed = slt(folder.path(), &["run", "--root", "t", "--dialect", "slt", "slt"]);
    assert_eq!((printed.code, printed.verdict("b.slt")), (0, Some("ok")), "{printed:?}");
    assert!(printed.result().contains("1 passed"), "{printed:?}");
}

#[test]
fn includes_are_relative_to_the_including_file_and_leave_its_connection_alone() {
    let folder = folder(&[
        (
            "t/sub/a.slt",
            "statement ok\nCREATE TABLE n(x INTEGER)\n\nconnection other\ninclude parts/*.slt.part\n\n\
                         query error no such table: mine\nSELECT * FROM mine\n\nquery I\nSELECT x FROM n, mine\n----\n1\n2\n",
        ),
        ("t/sub/parts/1.slt.part", "statement ok\nCREATE TEMP TABLE mine AS SELECT 1\n\ninclude ../rows.slt.part\n"),
        ("t/sub/parts/2.slt.part", "statement count 1\nINSERT INTO n VALUES (2)\n"),
        ("t/sub/rows.slt.part", "statement count 1\nINSERT INTO n VALUES (1)\n"),
    ]);
    for arguments in [&["test", "--root", "t", "sub/a.slt"][..], &["test", "t/sub/a.slt"], &["run", "--root", "t"]] {
        let printed = slt(folder.path(), arguments);
        assert_eq!(printed.code, 0, "{printed:?}");
    }
}

/// The failure in a sample, if any.
fn failure(sample: &str, dialect: Dialect) -> Option<String> {
    let folder = folder(&[("sample", sample), ("part", "statement ok\nSELECT 1\n"), ("rows.csv", "a\n1\n")]);
    let suite = Suite::from_roots([folder.path().to_path_buf()]).all_in(dialect);
    let file = suite.find("sample").unwrap().unwrap();
    let options = Options { allow_system: true, ..Options::default() };
    let outcome = trial::run(&file, &Sqlite, &options, &());
    outcome.verdict.is_failure().then(|| format!("{:?}", outcome.failures))
}

#[test]
fn the_connections_of_a_script_share_its_database_whatever_its_name_is() {
    let folder = folder(&[("a.test", "")]);
    let on_b = [
        (Dialect::Slt, "connection b\nquery I\nSELECT count(*) FROM t\n----\n0\n"),
        (Dialect::DuckDb, "query I b\nSELECT count(*) FROM t\n----\n0\n"),
    ];
    for (dialect, query) in on_b {
        let text = format!("statement ok\nCREATE TABLE t(a)\n\n{query}");
        std::fs::write(folder.path().join("a.test"), text).unwrap();
        let suite = Suite::new(folder.path()).all_in(dialect);
        let outcome = trial::run(&suite.find("a.test").unwrap().unwrap(), &Sqlite, &Options::default(), &());
        assert_eq!((outcome.records.passed, outcome.records.failed), (2, 0), "{dialect}: {outcome:?}");
    }
}

/// The rows of the table: each construct, and the dialects that have it.
fn table() -> Vec<(String, Vec<Dialect>)> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/format.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    let (_, below) = docs.split_once("| construct | classic | slt | duckdb |\n|---|---|---|---|\n").unwrap();
    let rows = below.lines().take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 4, "{row}");
        assert!(cells[1..].iter().all(|cell| matches!(*cell, "yes" | "")), "{row}");
        let has = Dialect::ALL.iter().copied().zip(&cells[1..]).filter(|(_, cell)| **cell == "yes");
        (cells[0].to_owned(), has.map(|(dialect, _)| dialect).collect())
    })
    .collect()
}

#[test]
fn the_table_of_constructs_says_what_the_dialects_do() {
    let table = table();
    let listed: Vec<&str> = table.iter().map(|(construct, _)| construct.as_str()).collect();
    let sampled: Vec<&str> = CONSTRUCTS.iter().map(|(construct, _)| *construct).collect();
    assert_eq!(listed, sampled, "docs/format.md and the samples here list the same constructs");
    let mut wrong = String::new();
    for ((construct, has), (_, samples)) in table.iter().zip(CONSTRUCTS) {
        for dialect in Dialect::ALL.iter().copied() {
            let failures: Vec<Option<String>> = samples.iter().map(|sample| failure(sample, dialect)).collect();
            match (has.contains(&dialect), failures.iter().any(Option::is_none)) {
                (true, false) => wrong.push_str(&format!("{construct} fails in {dialect}: {failures:?}\n")),
                (false, true) => wrong.push_str(&format!("{construct} passes in {dialect}\n")),
                _ => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
