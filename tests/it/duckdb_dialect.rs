//! DuckDB's dialect from the outside: its flags, its loops in every report, concurrent passes, and what an engine cannot do.

use std::fs;
use std::path::Path;

use crate::engines;
use crate::support::{Printed, command, driver, folder, run};

/// A driver that answers requests with an `id` only when it has two of them, the later one first: passes that run one after the
/// other would wait forever. It answers any other request at once, with its process and the current script.
const DRIVER: &str = driver!(
    r#"def say(answer):
    print(json.dumps(answer), flush=True)

say({"protocol": 1, "name": "own", "capabilities": ["connections", "scripts", "concurrent"]})
waiting, script = [], None"#,
    r#"        if "id" in request:
            waiting.append(request)
            if len(waiting) == 2:
                for late in reversed(waiting):
                    say({"result": [[late["sql"]]], "id": late["id"]})
                waiting = []
        elif "letters" in request:
            with open("pids", "a") as file:
                file.write(f"{os.getpid()}\n")
            say({"result": [[request["sql"]]]})
        else:
            script = request.get("script", script)
            say({"count": 0})"#
);

fn slt(root: &Path, arguments: &[&str]) -> Printed {
    let mut command = command(env!("CARGO_BIN_EXE_slt"));
    Printed::of(command.current_dir(root).args(["run", "--root", ".", "--results", "results"]).args(arguments))
}

#[test]
fn concurrent_passes_run_at_the_same_time_and_one_driver_serves_all_scripts() {
    let pass =
        "concurrentloop i 0 2\n\nquery T\nfirst {i}\n----\nREGEX\n\nquery T\nsecond {i}\n----\nREGEX\n\nendloop\n\n";
    let text = pass.replace("REGEX", "<REGEX>:(first|second) [01]") + "query T\nlast\n----\nlast\n";
    let wrong = "concurrentloop i 0 2\n\nquery T\n{i}\n----\n1\n\nendloop\n";
    let files = [("a.duckdb.test", text.as_str()), ("b.duckdb.test", &text), ("wrong.duckdb.test", wrong)];
    let root = folder(&files);
    fs::write(root.path().join("driver.py"), DRIVER).unwrap();
    let printed =
        slt(root.path(), &["--engine", "external:python3 driver.py", "--file-timeout", "60", "--test-threads", "1"]);
    assert_eq!(printed.code, 101, "{printed:?}");
    for name in ["a.duckdb.test", "b.duckdb.test"] {
        assert_eq!(printed.verdict(name), Some("ok"), "{printed:?}");
    }
    assert!(printed.out.contains("at wrong.duckdb.test:3 (i=0)") && !printed.out.contains("(i=1)"), "{printed:?}");
    let pids = fs::read_to_string(root.path().join("pids")).unwrap();
    let mut pids: Vec<&str> = pids.lines().collect();
    assert_eq!(pids.len(), 2);
    pids.dedup();
    assert_eq!(pids.len(), 1, "one process served both scripts");
}

#[test]
fn an_engine_that_cannot_open_a_database_again_says_so() {
    let root = folder(&[("a.duckdb.test", "restart\n\nstatement ok\nSELECT 1\n")]);
    fs::write(root.path().join("driver.py"), DRIVER).unwrap();
    let printed = slt(root.path(), &["--engine", "external:python3 driver.py"]);
    let words = "this driver cannot open a database again, as `restart` asks: it does not greet with the capabilities";
    assert_eq!(printed.code, 101, "{printed:?}");
    assert!(printed.out.contains(words) && printed.out.contains("at a.duckdb.test:1\n"), "{printed:?}");
}

#[test]
fn a_pass_of_a_loop_is_named_in_every_report_and_pinned_by_itself() {
    // Two of three passes fail, with the same SQL.
    let text =
        "loop i 0 3\n\nonlyif i>0\nquery I\nSELECT 1\n----\n2\n\nskipif i>0\nquery I\nSELECT 1\n----\n1\n\nendloop\n";
    let root = folder(&[("a.duckdb.test", text)]);
    let printed = slt(root.path(), &["--report", "--write-known-failures", "known.toml"]);
    assert_eq!(printed.code, 101, "{printed:?}");
    let results = root.path().join("results");
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    for (name, words) in [
        ("results.json", r#""pass":"i=1""#),
        ("junit.xml", "a.duckdb.test:4 (i=1)"),
        ("report.html", r#""pass":"i=1""#),
        ("../known.toml", r#"pass = "i=2""#),
    ] {
        assert!(read(&results.join(name)).contains(words), "{name}: {}", read(&results.join(name)));
    }
    assert!(printed.out.contains("at a.duckdb.test:4 (i=1)"), "{printed:?}");
    let known = ["--known-failures", "known.toml"];
    assert_eq!(slt(root.path(), &known).code, 0, "nothing but known failures");
    // A pin is only for its own pass.
    let fewer = read(&root.path().join("known.toml"));
    let fewer: String = fewer.lines().filter(|line| !line.contains("i=2")).map(|line| format!("{line}\n")).collect();
    fs::write(root.path().join("known.toml"), fewer).unwrap();
    let printed = slt(root.path(), &known);
    assert_eq!(printed.code, 101, "{printed:?}");
    assert!(printed.out.contains("failing, but not known to fail: line 4 (i=2)"), "{printed:?}");
}

#[test]
fn tags_choose_files_and_the_reason_is_printed() {
    let text = |tags: &str| format!("tags {tags}\n\nstatement ok\nSELECT 1\n");
    let (fast, both) = (text("fast"), text("fast storage"));
    let root = folder(&[("fast.duckdb.test", fast.as_str()), ("both.duckdb.test", &both)]);
    let printed = slt(root.path(), &["--select-tags", "fast,storage", "--select-tags", "x"]);
    assert_eq!(printed.verdict("both.duckdb.test"), Some("ok"), "{printed:?}");
    assert_eq!(
        printed.verdict("fast.duckdb.test"),
        Some("ignored (not selected by its tags: it has fast)"),
        "{printed:?}"
    );
    let mut skipping = command(env!("CARGO_BIN_EXE_slt"));
    skipping.current_dir(root.path()).env("SLT_SKIP_TAGS", "x;storage").args(["run", "--root", "."]);
    let printed = Printed::of(skipping.args(["--results", "results"]));
    assert_eq!(printed.verdict("both.duckdb.test"), Some("ignored (left out by its tags: storage)"), "{printed:?}");
    assert_eq!(printed.verdict("fast.duckdb.test"), Some("ok"), "{printed:?}");
}

#[test]
fn a_bound_can_be_set_for_the_records_of_a_file() {
    let root = folder(&[("a.duckdb.test", "loop i 0 10\n\nstatement ok\nSELECT 1\n\nendloop\n")]);
    assert_eq!(run(root.path(), &[]).code, 0);
    let printed = run(root.path(), &["--max-records", "15"]);
    assert_eq!(printed.code, 101, "{printed:?}");
    let words = "more than 15 records in this file: shorten its loops, or raise `--max-records`";
    assert!(printed.out.contains(words), "{printed:?}");
    assert_eq!(run(root.path(), &["--max-records", "0"]).code, 2);
}

#[test]
fn what_duckdbs_own_runner_does_not_check_passes_with_lenient_alone() {
    let root = folder(&[
        ("label.duckdb.test", "query II nosort x\nSELECT 1\n----\n999\n\nquery I nosort x\nSELECT 1\n----\n"),
        ("threshold.duckdb.test", "hash-threshold 1\n\nquery I\nVALUES (1), (2)\n----\n3\n"),
        ("output.duckdb.test", "mode output_hash\n\nquery I\nSELECT 1\n----\n2\n"),
        ("always.duckdb.test", "hash-threshold 1\n\nquery I\nSELECT 1\n----\n2\n"),
        ("differs.duckdb.test", "query I nosort x\nSELECT 1\n----\n\nquery I nosort x\nSELECT 2\n----\n"),
    ]);
    let printed = run(root.path(), &[]);
    assert!(printed.result().contains("0 passed; 5 failed"), "{printed:?}");
    let printed = run(root.path(), &["--lenient"]);
    assert!(printed.result().contains("3 passed; 2 failed"), "{printed:?}");
    for name in ["always.duckdb.test", "differs.duckdb.test"] {
        assert_eq!(printed.verdict(name), Some("FAILED"), "{printed:?}");
    }
}

#[test]
fn the_columns_of_hashed_results_are_not_counted_and_their_values_are_compared() {
    // The output of `printf '1\n' | md5sum`, and of the same command with `2`.
    let (right, wrong) = ("b026324c6904b2a9cb4b88d6d61c81d1", "26ab0db90d72e28ad0ba1e22ee510510");
    let hashed = |hash: &str| format!("query II\nSELECT 1\n----\n1 values hashing to {hash}\n");
    let labelled =
        |sql: &str, lines: &str| format!("query II nosort x\nSELECT 1\n----\n{lines}\nquery I nosort x\n{sql}\n----\n");
    let root = folder(&[
        ("hash.duckdb.test", &hashed(right)),
        ("label.duckdb.test", &labelled("SELECT 1", "")),
        ("lines.duckdb.test", &labelled("SELECT 1", "1\n")),
        ("other_hash.duckdb.test", &hashed(wrong)),
        ("other_label.duckdb.test", &labelled("SELECT 2", "")),
        ("other_lines.duckdb.test", &labelled("SELECT 1", "2\n")),
        ("plain.duckdb.test", "query II\nSELECT 1\n----\n1\n"),
    ]);
    let printed = run(root.path(), &[]);
    assert!(printed.result().contains("3 passed; 4 failed"), "{printed:?}");
    for name in ["hash", "label", "lines"] {
        assert_eq!(printed.verdict(&format!("{name}.duckdb.test")), Some("ok"), "{printed:?}");
    }
}

#[test]
fn results_and_errors_are_rewritten_and_nothing_else_is() {
    let before = "# top\n\nloop i 0 2\n\nskipif i=7\nquery II rowsort\nVALUES (10, 'a'), (9, '')\n----\n9\t(empty)\nold\n\n\
                  query I\nSELECT {i}\n----\n7\n\nendloop\n\nquery II\nSELECT 1, 2\n----\n1\n3\n\n\
                  query I\nSELECT 1, 2\n# no block\n\nstatement error\nSELECT 1\n----\nno such\n\n\
                  statement error con\nSELECT * FROM nowhere\n----\nsomething else\n\n\
                  query I con\nSELECT * FROM nowhere\n----\n1\n\nquery I\nVALUES (1), (2)\n----\n2 values hashing to \
                  00000000000000000000000000000000\n\nquery T\nSELECT 'a\tb'\n----\nx\n";
    let after = before
        .replace("9\t(empty)\nold\n", "10\ta\n9\t(empty)\n")
        .replace("SELECT 1, 2\n----\n1\n3\n", "SELECT 1, 2\n----\n1\n2\n")
        .replace("statement error\nSELECT 1\n----\nno such\n", "statement ok\nSELECT 1\n")
        .replace(
            "2 values hashing to 00000000000000000000000000000000",
            "2 values hashing to 6ddb4095eb719e2a9f0a3f95677d24e0",
        );
    let root = folder(&[("a.duckdb.test", before)]);
    let printed = run(root.path(), &["--bless"]);
    assert_eq!(printed.code, 101, "{printed:?}");
    let read = || fs::read_to_string(root.path().join("a.duckdb.test")).unwrap();
    assert_eq!(read(), after, "{printed:?}");
    for words in [
        "its results differ from pass to pass of the loop, and a script can hold only one",
        "which only `--bless-errors` writes down",
        "a script cannot hold this result",
    ] {
        assert!(printed.out.contains(words), "{words}: {printed:?}");
    }
    let printed = run(root.path(), &["--bless", "--bless-errors"]);
    assert_eq!(printed.code, 101, "{printed:?}");
    let after = after.replace("something else\n", "no such table: nowhere\n").replace(
        "query I con\nSELECT * FROM nowhere\n----\n1\n",
        "statement error con\nSELECT * FROM nowhere\n----\nno such table: nowhere\n",
    );
    assert_eq!(read(), after, "{printed:?}");
}

#[test]
fn a_driver_whose_answer_has_another_id_is_not_trusted() {
    let root = folder(&[("a.duckdb.test", "concurrentloop i 0 2\n\nstatement ok\nSELECT {i}\n\nendloop\n")]);
    let driver = DRIVER.replace(r#""id": late["id"]"#, r#""id": 7"#);
    fs::write(root.path().join("driver.py"), driver).unwrap();
    let printed = engines::run(root.path(), &format!("external:python3 {}/driver.py", root.path().display()), &[]);
    assert_eq!(printed.code, 101, "{printed:?}");
    assert!(printed.out.contains("it answered what was not asked, or without the `id` of the question"), "{printed:?}");
}
