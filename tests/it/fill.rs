//! `slt fill` writes the results of a reference into records that have no expected result yet.

use std::fs;
use std::path::Path;

use crate::support::{Printed, command, driver, folder};

fn fill(root: &Path, arguments: &[&str]) -> Printed {
    Printed::of(command(env!("CARGO_BIN_EXE_slt")).arg("fill").args(arguments).current_dir(root))
}

fn read(root: &Path, name: &str) -> String {
    fs::read_to_string(root.join(name)).unwrap()
}

/// A driver that answers with one row `1`. At SQL with an `X` it ends or writes into `a.slt`, as its argument says.
const DRIVER: &str = driver!(
    "",
    r#"        if "X" in request["sql"]:
            if sys.argv[1] == "end":
                sys.exit(3)
            with open("a.slt", "a") as file:
                file.write("\n# More.\n")
        print(json.dumps({"result": [["1"]]}), flush=True)"#
);

#[test]
fn scripts_of_every_dialect_are_filled_and_pass_then() {
    let classic = "# Top.\nstatement # made here\nCREATE TABLE t(a, b)\n\nstatement\nINSERT INTO t VALUES (2, 'x'), (1, 'y')\n\n\
        statement\nSELECT nothing\n\nquery IT rowsort\nSELECT * FROM t\n\nquery\nSELECT b, a FROM t WHERE a = 1\n----\n\n\
        onlyif mysql\nstatement ok\nFOR MYSQL\n\nquery I\nSELECT 1 WHERE 0\n----\n";
    let filled = "# Top.\nstatement ok # made here\nCREATE TABLE t(a, b)\n\nstatement ok\nINSERT INTO t VALUES (2, 'x'), (1, 'y')\n\n\
        statement error\nSELECT nothing\n\nquery IT rowsort\nSELECT * FROM t\n----\n1\ny\n2\nx\n\nquery TT\nSELECT b, a FROM t WHERE a = 1\n----\ny\n1\n\n\
        onlyif mysql\nstatement ok\nFOR MYSQL\n\nquery I\nSELECT 1 WHERE 0\n----\n";
    let slt = "statement\nCREATE TABLE t(a)\n\nstatement\nINSERT INTO t VALUES (1), (2)\n\nstatement\nSELECT x\n\n\
        query\nSELECT a, a FROM t\n\nquery I\nSELECT count(*) FROM t\n----\n\nquery I\nSELECT 7\n----\n7\n";
    let filled_slt = "statement ok\nCREATE TABLE t(a)\n\nstatement ok\nINSERT INTO t VALUES (1), (2)\n\nstatement error no such column: x\nSELECT x\n\n\
        query\nSELECT a, a FROM t\n----\n1 1\n2 2\n\nquery I\nSELECT count(*) FROM t\n----\n2\n\nquery I\nSELECT 7\n----\n7\n";
    let duckdb = "statement\nCREATE TABLE t(a INTEGER)\n\nloop i 0 3\n\nstatement\nINSERT INTO t VALUES ({i})\n\nendloop\n\n\
        statement\nSELECT x\n\nquery\nSELECT a, a FROM t ORDER BY 1\n\nquery I\nSELECT count(*) FROM t\n----\n";
    let filled_duckdb = "statement ok\nCREATE TABLE t(a INTEGER)\n\nloop i 0 3\n\nstatement ok\nINSERT INTO t VALUES ({i})\n\nendloop\n\n\
        statement error\nSELECT x\n----\nno such column: x\n\nquery TT\nSELECT a, a FROM t ORDER BY 1\n----\n0\t0\n1\t1\n2\t2\n\nquery I\nSELECT count(*) FROM t\n----\n3\n";
    for end in ["\n", "\r\n"] {
        let cases = [
            ("a.test", classic, filled, "5 records filled from sqlite; 1 record does not apply to sqlite"),
            ("a.slt", slt, filled_slt, "5 records filled from sqlite"),
            ("a.duckdb.test", duckdb, filled_duckdb, "7 records filled from sqlite"),
        ];
        for (name, script, filled, words) in cases {
            let (script, filled) = (script.replace('\n', end), filled.replace('\n', end));
            let root = folder(&[(name, &script)]);
            let printed = fill(root.path(), &[name, "--reference", "sqlite"]);
            assert_eq!(read(root.path(), name), filled, "{printed:?}");
            assert_eq!((printed.code, printed.out.as_str()), (0, format!("{name}: {words}\n").as_str()), "{printed:?}");
            let printed = Printed::of(command(env!("CARGO_BIN_EXE_slt")).args(["test", name]).current_dir(root.path()));
            assert_eq!(printed.code, 0, "{printed:?}");
            let printed = fill(root.path(), &[name, "--reference", "sqlite"]);
            assert!(printed.code == 0 && printed.out.starts_with(&format!("{name}: nothing to fill")), "{printed:?}");
            assert_eq!(read(root.path(), name), filled);
        }
    }
}

#[test]
fn records_that_expect_something_stay_unless_all_are_meant() {
    let script = "query I\nSELECT 1\n----\n2\n\nquery I\nSELECT x\n\nstatement ok\nSELECT y\n\nskipif sqlite\nstatement\nA\n\nquery I\nSELECT 3\n";
    let root = folder(&[("a.slt", script)]);
    let printed = fill(root.path(), &["a.slt", "--reference", "sqlite"]);
    let filled = script.replace("SELECT 3\n", "SELECT 3\n----\n3\n");
    assert_eq!((printed.code, read(root.path(), "a.slt")), (101, filled), "{printed:?}");
    assert!(
        printed.out.contains("the value differs\nnot filled: it expects something already: `slt fill --all`"),
        "{printed:?}"
    );
    assert!(
        printed.out.contains("not filled: it ends with an error, which only `--bless-errors` writes down"),
        "{printed:?}"
    );
    assert!(printed.out.ends_with("a.slt: 1 record filled from sqlite; 3 records fail there and stay as they are; 1 record does not apply to sqlite\n"), "{printed:?}");
    let printed = fill(root.path(), &["a.slt", "--reference", "sqlite", "--all", "--bless-errors", "--bless=check"]);
    assert!(printed.code == 101 && printed.out.contains("3 records would be filled\n"), "{printed:?}");
    assert!(
        printed.out.contains("-2\n+1\n") && printed.out.contains("+query error no such column: x\n"),
        "{printed:?}"
    );
    fs::write(root.path().join("a.slt"), script).unwrap();
    let printed = fill(root.path(), &["a.slt", "--reference", "sqlite", "--all", "--bless-errors"]);
    let all =
        script.replace("----\n2", "----\n1").replace("query I\nSELECT x", "query error no such column: x\nSELECT x");
    let all =
        all.replace("ok\nSELECT y", "error no such column: y\nSELECT y").replace("SELECT 3\n", "SELECT 3\n----\n3\n");
    assert_eq!((printed.code, read(root.path(), "a.slt")), (0, all), "{printed:?}");
}

#[test]
fn a_reference_that_is_lost_leaves_the_file_alone() {
    let script = "query I\nSELECT 1\n\nquery I\nSELECT X\n";
    let root = folder(&[("a.slt", script), ("b.slt", script), ("driver.py", DRIVER)]);
    for (reference, words) in [
        ("external:/nowhere/driver", "cannot connect to the reference"),
        ("postgres://me:hunter2@127.0.0.1:1/db", "so nothing was filled"),
    ] {
        let printed = fill(root.path(), &["a.slt", "b.slt", "--reference", reference]);
        assert!(printed.code == 4 && printed.err.contains(words) && !printed.err.contains("hunter2"), "{printed:?}");
    }
    let printed = fill(root.path(), &["a.slt", "b.slt", "--reference", "external:python3 driver.py end"]);
    assert!(printed.code == 4 && printed.out.ends_with("a.slt: stays as it is: 2 records fail there\n"), "{printed:?}");
    assert!(printed.out.contains("not filled: the script did not run to its end"), "{printed:?}");
    assert_eq!((read(root.path(), "a.slt").as_str(), read(root.path(), "b.slt").as_str()), (script, script));
    // Another process writes to the file meanwhile.
    let printed = fill(root.path(), &["a.slt", "--reference", "external:python3 driver.py write"]);
    assert!(
        printed.code == 101 && printed.out.contains("not filled: the file has changed since it was read"),
        "{printed:?}"
    );
    assert_eq!(read(root.path(), "a.slt"), format!("{script}\n# More.\n"));
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 3);
}

#[test]
fn what_cannot_be_filled_is_reported_before_anything_runs() {
    let root =
        folder(&[("tests/a.slt", "include ../b.part\n\nquery I\nSELECT 1\n"), ("b.part", "query I\nSELECT 2\n")]);
    for (arguments, words) in [
        (&["tests/a.slt"][..], "needs an engine that says what is right: `--reference ENGINE` (or `SLT_REFERENCE`)"),
        (&["tests/a.slt", "--reference", "oracle"], "no such engine `oracle`: use `sqlite`"),
        (&["tests/a.slt", "--reference", "sqlit"], "no such engine `sqlit`; did you mean `sqlite`?\n"),
        (&["tests/a.slt:3", "--reference", "sqlite"], "`slt fill` fills whole files: name `tests/a.slt`"),
        (&["tests", "--reference", "sqlite"], "`tests` is a folder: name a test file"),
        (&["tests/b.slt", "--reference", "sqlite"], "no test file `tests/b.slt`"),
        (&["--reference", "sqlite"], "<FILE>..."),
    ] {
        let printed = fill(root.path(), arguments);
        assert!(printed.code == 2 && printed.err.contains(words), "{printed:?}");
    }
    let printed = fill(&root.path().join("tests"), &["a.slt", "--reference", "sqlite"]);
    assert!(
        printed.code == 101 && printed.out.ends_with("a.slt: stays as it is: 1 record fails there\n"),
        "{printed:?}"
    );
    // Included files inside the root are filled, too.
    let printed = fill(root.path(), &["a.slt", "--root", "tests", "--reference", "sqlite"]);
    assert_eq!(printed.code, 101, "{printed:?}");
    let printed = fill(root.path(), &["tests/a.slt", "--reference", "sqlite"]);
    assert_eq!(
        (printed.code, read(root.path(), "b.part").as_str()),
        (0, "query I\nSELECT 2\n----\n2\n"),
        "{printed:?}"
    );
}
