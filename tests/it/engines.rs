//! Servers and external drivers as engines: what they run, what they leave, and what happens when they fail.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::servers::{Server, servers};
use crate::support::{PASSES, Said, command, folder, target_binary};

/// Runs the test binary over a folder on an engine.
fn run(root: &Path, engine: &str, arguments: &[&str]) -> Said {
    Said::of(on(root, engine).args(arguments))
}

fn on(root: &Path, engine: &str) -> Command {
    let mut command = command(target_binary());
    command.env("SLT_CORPUS", root).env("SQLLOGICTEST_ENGINE", engine).env("SLT_RESULTS", root.join("results"));
    command
}

/// What `slt clean` says.
fn clean(server: &Server, arguments: &[&str]) -> Said {
    let mut clean = command(env!("CARGO_BIN_EXE_slt"));
    Said::of(clean.env("SQLLOGICTEST_ENGINE", &server.url).arg("clean").args(arguments))
}

/// Runs statements on a server, each of which must succeed.
fn execute(server: &Server, statements: &[&str]) {
    let text: String = statements.iter().map(|sql| format!("statement ok\n{sql}\n\n")).collect();
    let root = folder(&[("setup.slt", &text)]);
    let said = run(root.path(), &server.url, &[]);
    assert_eq!(said.code, 0, "{said:?}");
}

const CLASSIC: &str = "\
statement ok
CREATE TABLE t(a INTEGER, b NUMERIC(10,4), c VARCHAR(20), d DOUBLE PRECISION)

statement ok
INSERT INTO t VALUES (7, 2.7182, 'tab\there', 2.5), (-7, -0.5, '', 1e10), (NULL, NULL, NULL, NULL)

query IRTI rowsort
SELECT a, b, c, d FROM t
----
-7
-0.500
(empty)
1410065408
7
2.718
tab@here
2
NULL
NULL
NULL
NULL

query ITR nosort
SELECT b, b, a FROM t WHERE a = 7
----
2
2.7182
7.000

query II nosort
SELECT 1 = 1, 1 = 2
----
1
0

statement error
SELECT nothing FROM nowhere

onlyif sqlite
statement ok
this is for others
";

#[test]
fn both_dialects_pass_on_a_server_serially_and_in_parallel() {
    let (servers, _turn) = servers();
    for server in servers {
        let own = server.either("onlyif postgresql\nskipif mysql\n", "onlyif MySQL\nskipif postgresql\n");
        let truth = server.either("t", "1");
        let modern = format!(
            "statement count 2\nINSERT INTO t VALUES (1), (2)\n\n{own}query I\nSELECT 1 = 1\n----\n{truth}\n\n\
             connection other\nquery I rowsort\nSELECT a FROM t\n----\n1\n2\n\nstatement error nowhere\nSELECT * FROM nowhere\n"
        );
        let procedure = "\nstatement ok\nCREATE PROCEDURE p() SELECT 7\n\nquery I\nCALL p()\n----\n7\n";
        let more = server.either("", procedure);
        let several = "\nstatement count 3\nDELETE FROM t WHERE a = 1; INSERT INTO t VALUES (3), (4), (5)\n\n\
                       statement error nowhere\nSELECT 1; SELECT * FROM nowhere\n\n\
                       statement error nowhere\nDELETE FROM t WHERE a = 9; DELETE FROM nowhere\n\n\
                       statement count 4\nSELECT 1; SELECT a FROM t WHERE a > 0\n";
        let modern = format!("statement ok\nCREATE TABLE t(a INTEGER)\n\n{modern}{several}{more}");
        let other = server.either("onlyif mariadb\nquery I\nSELECT 1\n----\n1\n", "onlyif postgres\nstatement ok\nx\n");
        let root = folder(&[("a.test", CLASSIC), ("b.slt", &modern), ("other.slt", other), ("same.test", CLASSIC)]);
        let name = server.either("postgresql", "");
        let ignored = format!("ignored (0 of 1 records apply to {name}");
        for arguments in [&["--test-threads", "3"][..], &["--parallel", "--workers", "2"]] {
            let said = run(root.path(), &server.url, arguments);
            assert_eq!(said.code, 0, "{said:?}");
            assert!(said.result().starts_with("test result: ok. 3 passed; 0 failed; 1 ignored"), "{said:?}");
            assert!(said.verdict("other.slt").unwrap().starts_with(&ignored), "{said:?}");
        }
        let said = clean(server, &["--dry-run"]);
        assert_eq!(said.out.lines().count(), 1, "{said:?}");
        assert!(said.out.starts_with("nothing to drop on "), "{said:?}");
    }
}

#[test]
fn what_is_not_one_query_passes_neither_for_an_error_nor_for_one_without_rows() {
    let (servers, _turn) = servers();
    for server in servers {
        let root = folder(&[
            ("insert.test", "statement ok\nCREATE TABLE t(a INTEGER)\n\nquery I\nINSERT INTO t VALUES (1)\n----\n"),
            ("second.slt", "query error\nSELECT 1; SELECT 2\n"),
        ]);
        let said = run(root.path(), &server.url, &[]);
        assert_eq!((said.code, said.out.matches("... FAILED").count()), (101, 2), "{said:?}");
        assert!(said.out.contains("query returned 0 columns, but 1 is declared (I)\n"), "{said:?}");
        assert!(
            said.out.contains("query failed: a query is one SQL statement, and here is a second one\n"),
            "{said:?}"
        );
    }
}

#[test]
fn a_script_may_have_a_schema_of_its_own_instead() {
    let (servers, _turn) = servers();
    for server in servers.into_iter().filter(|server| server.is_postgres) {
        let text = "statement ok\nCREATE TABLE t(a INTEGER)\n\nconnection b\nquery I\nSELECT count(*) FROM t\n----\n0\n\n\
                    query T\nSELECT current_database()\n----\npostgres\n";
        let text = match server.url.ends_with("/postgres") {
            true => text.to_owned(),
            false => text.replace("----\npostgres", "----\n<slt:ignore>"),
        };
        let root = folder(&[("a.slt", &text), ("b.slt", &text)]);
        let said = run(root.path(), &format!("{}?slt_isolation=schema", server.url), &[]);
        assert_eq!((said.code, said.verdicts().len()), (0, 2), "{said:?}");
        let said = run(root.path(), &format!("{}?slt_isolation=none", server.url), &[]);
        assert_eq!(said.code, 2, "{said:?}");
        assert!(said.err.contains("`slt_isolation` is `database` or `schema`"), "{said:?}");
        assert!(clean(server, &["--dry-run"]).out.starts_with("nothing to drop on "));
    }
}

#[test]
fn the_database_of_a_file_that_fails_is_kept_on_demand_and_cleaned_up_later() {
    let (servers, _turn) = servers();
    for server in servers {
        let root = folder(&[("fails.slt", "query I\nSELECT 1\n----\n2\n"), ("passes.slt", PASSES)]);
        let said = run(root.path(), &server.url, &["--keep-db-on-failure"]);
        assert_eq!(said.code, 101, "{said:?}");
        let (_, rest) = said.out.split_once("kept the database `").unwrap_or_else(|| panic!("{said:?}"));
        let name = rest.split('`').next().unwrap();
        for (arguments, words) in [
            (&["--dry-run"][..], format!("would drop database `{name}`\n")),
            (&[], format!("dropped database `{name}`\n")),
        ] {
            let said = clean(server, arguments);
            assert_eq!((said.code, said.out), (0, words), "{}", said.err);
        }
        assert!(clean(server, &[]).out.starts_with("nothing to drop on "));
    }
}

#[test]
fn what_a_killed_run_leaves_is_cleaned_up_and_what_a_living_one_uses_is_not() {
    let (servers, _turn) = servers();
    for server in servers {
        let text = server.either("statement ok\nSELECT pg_sleep(1000)\n", "statement ok\nSELECT SLEEP(1000)\n");
        let root = folder(&[("sleeps.slt", text)]);
        let mut run = on(root.path(), &server.url).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let until = |words: &str| {
            let begun = Instant::now();
            loop {
                let said = clean(server, &[]);
                assert_eq!(said.code, 0, "{said:?}");
                if said.out.contains(words) {
                    return;
                }
                assert!(begun.elapsed() < Duration::from_secs(60), "never `{words}`: {said:?}");
                std::thread::sleep(Duration::from_millis(50));
            }
        };
        until(": a run uses it");
        assert!(run.try_wait().unwrap().is_none());
        run.kill().unwrap();
        run.wait().unwrap();
        // A server may see only at the end of a statement that nobody waits for it.
        let stop = server.either(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(1000)%'",
            "BEGIN NOT ATOMIC FOR one IN (SELECT id FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP(1000)%') DO KILL one.id; END FOR; END",
        );
        execute(server, &[stop]);
        until("dropped database `slt_");
        assert!(clean(server, &[]).out.starts_with("nothing to drop on "));
    }
}

#[test]
fn a_query_that_hangs_is_cancelled_on_the_server() {
    let (servers, _turn) = servers();
    for server in servers {
        let hangs = server.either("statement ok\nSELECT pg_sleep(1000)\n", "statement ok\nSELECT SLEEP(1000)\n");
        let root = folder(&[("hangs.slt", hangs), ("passes.slt", PASSES)]);
        let said = run(root.path(), &server.url, &["--query-timeout", "0.3"]);
        assert_eq!((said.code, said.verdict("passes.slt")), (101, Some("ok")), "{said:?}");
        assert!(said.verdict("hangs.slt").unwrap().starts_with("timed out after "), "{said:?}");
        assert!(clean(server, &["--dry-run"]).out.starts_with("nothing to drop on "));
    }
}

#[test]
fn a_lost_connection_never_passes_for_an_expected_error() {
    let (servers, _turn) = servers();
    for server in servers {
        let kill = server.either("SELECT pg_terminate_backend(pg_backend_pid())", "KILL CONNECTION_ID()");
        let text = format!("statement error\n{kill}\n\nstatement error\nSELECT * FROM nowhere\n");
        let root = folder(&[("dies.slt", &text), ("passes.slt", PASSES)]);
        let said = run(root.path(), &server.url, &[]);
        assert_eq!(
            (said.code, said.verdict("dies.slt"), said.verdict("passes.slt")),
            (101, Some("FAILED"), Some("ok"))
        );
        assert!(said.out.contains("the connection is lost: "), "{said:?}");
    }
}

#[test]
fn who_is_not_let_in_or_has_no_rights_is_told_so_without_the_password() {
    let (servers, _turn) = servers();
    for server in servers {
        let root = folder(&[("a.test", PASSES), ("error.slt", "statement error\nSELECT nothing\n")]);
        let said = run(root.path(), &server.url_as("slt_nobody", "hunter2"), &[]);
        assert_eq!(said.code, 101, "{said:?}");
        assert!(said.out.contains("cannot connect to ") && said.out.contains("slt_nobody"), "{said:?}");
        assert!(!said.out.contains("hunter2") && !said.err.contains("hunter2"), "{said:?}");
        assert!(said.result().starts_with("test result: FAILED. 0 passed; 2 failed"), "{said:?}");

        let user = format!("slt_weak_{}", std::process::id());
        let place = server.either("", "@'127.0.0.1'");
        let password = server.either("LOGIN PASSWORD", "IDENTIFIED BY");
        let kind = server.either("ROLE", "USER");
        execute(server, &[&format!("CREATE {kind} {user}{place} {password} 'hunter2'")]);
        let said = run(root.path(), &server.url_as(&user, "hunter2"), &[]);
        execute(server, &[&format!("DROP {kind} {user}{place}")]);
        assert_eq!(said.code, 101, "{said:?}");
        assert!(said.out.contains("cannot make a database: ERROR"), "{said:?}");
        assert!(
            said.out.contains(server.either("`?slt_isolation=schema` in the URL", "the rights CREATE")),
            "{said:?}"
        );
        assert!(!said.out.contains("hunter2") && !said.err.contains("hunter2"), "{said:?}");
    }
}

#[test]
fn a_server_that_is_not_there_fails_each_file_and_no_expected_error_passes() {
    let root = folder(&[("a.test", PASSES), ("error.slt", "statement error\nSELECT nothing\n")]);
    for (engine, words) in [
        ("postgres://me:hunter2@127.0.0.1:1/db", "cannot connect to postgres://me@127.0.0.1:1/db: "),
        ("mysql://me:hunter2@127.0.0.1:1/db", "cannot connect to mysql://me@127.0.0.1:1/db: "),
        ("mysql://me:hunter2@nowhere.invalid", "cannot connect to mysql://me@nowhere.invalid: "),
    ] {
        let said = run(root.path(), engine, &[]);
        assert_eq!(said.code, 101, "{said:?}");
        assert_eq!(said.out.matches(words).count(), 2, "{said:?}");
        assert!(!said.out.contains("hunter2") && !said.err.contains("hunter2"), "{said:?}");
    }
}

#[test]
fn engines_that_cannot_be_chosen_make_2() {
    let root = folder(&[("a.test", PASSES)]);
    for (engine, words) in [
        ("oracle://me:hunter2@h", "`--engine` (or `SQLLOGICTEST_ENGINE`): no such engine: use `sqlite`"),
        ("postgres://me:hunter2@h:port/db", "cannot use `postgres://me@h:port/db`: invalid connection string"),
        ("mysql://me:hunter2@h/db?x=hunter2", "cannot use `mysql://me@h/db`: "),
        ("external:", "`external:` wants a command"),
    ] {
        let said = run(root.path(), engine, &[]);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{said:?}");
        assert!(said.err.contains(words) && !said.err.contains("hunter2"), "{said:?}");
    }
    let mut clean = command(env!("CARGO_BIN_EXE_slt"));
    let said = Said::of(clean.args(["clean", "--engine", "sqlite"]));
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("the engine `sqlite` leaves no databases behind: name a server"), "{said:?}");
}

/// A driver for the protocol as sqllogictest-bin has it, which knows nothing of any extension. What it is asked to
/// `print`, it prints instead of an answer.
const DRIVER: &str = r#"
import json, sys, time

text = ""
while piece := sys.stdin.buffer.read1(4096).decode():
    text += piece
    while text:
        try:
            request, end = json.JSONDecoder().raw_decode(text)
        except json.JSONDecodeError:
            break
        text = text[end:]
        assert list(request) == ["sql"], request
        word, _, rest = request["sql"].partition(" ")
        if word == "print":
            print(rest, flush=True)
        elif word == "die":
            sys.exit(int(rest))
        elif word == "hang":
            time.sleep(1000)
        elif word == "fail":
            print(json.dumps({"err": rest}), flush=True)
        else:
            print(json.dumps({"result": [[value] for value in rest.split()]}), flush=True)
"#;

#[test]
fn a_driver_that_fails_fails_its_own_file_and_no_partial_result_counts() {
    let root = folder(&[
        ("passes.test", "onlyif external\nquery I rowsort\nSELECT 2 1\n----\n1\n2\n\nstatement error\nfail so\n"),
        ("modern.slt", "query I\nSELECT 2 1\n----\n2\n1\n\nstatement error so it is\nfail so it is\n"),
        ("garbage.slt", "statement error\nprint oops\n"),
        ("half.test", "query I\nprint {\"result\":[[\"1\"]]\n----\n1\n"),
        ("dies.slt", "statement error\ndie 3\n\nstatement ok\nSELECT\n"),
        ("hangs.slt", "statement error\nhang\n"),
        ("driver.py", DRIVER),
    ]);
    let engine = format!("external:python3 {}", root.path().join("driver.py").display());
    for arguments in [&[][..], &["--parallel", "--workers", "2", "--run-id", "once"]] {
        let said = run(root.path(), &engine, &[&["--query-timeout", "3"], arguments].concat());
        assert_eq!(said.code, 101, "{said:?}");
        for (name, verdict) in
            [("passes.test", "ok"), ("modern.slt", "ok"), ("garbage.slt", "FAILED"), ("dies.slt", "FAILED")]
        {
            assert_eq!(said.verdict(name), Some(verdict), "{said:?}");
        }
        for name in ["hangs.slt", "half.test"] {
            assert!(said.verdict(name).unwrap().starts_with("timed out after "), "{said:?}");
        }
        assert!(said.out.contains("the connection is lost: it printed what is no answer"), "{said:?}");
        assert!(
            said.out.contains("the connection is lost: it ended (exit status: 3) instead of answering"),
            "{said:?}"
        );
    }
}

#[test]
fn no_secret_of_the_engine_is_in_a_workers_command_line_or_in_the_results() {
    let text = "query I\nSELECT 1\n----\n1\n\nsystem ok\n! tr '\\0' ' ' </proc/$PPID/cmdline | grep -q 'hunter[2]'\n\n\
                query I\nSELECT 1\n----\n2\n";
    let root = folder(&[("a.slt", text), ("driver.py", DRIVER)]);
    let engine = format!("external:python3 {} --password=hunter2", root.path().join("driver.py").display());
    let mut run = command(target_binary());
    run.env("SLT_CORPUS", root.path()).env("SLT_RESULTS", root.path().join("results"));
    let said = Said::of(run.args(["--engine", &engine, "--allow-system", "--parallel", "--workers", "1"]));
    assert_eq!((said.code, said.out.matches("the command failed").count()), (101, 0), "{said:?}");
    assert!(said.out.contains("- 2\n+ 1\n") && said.err.contains("driver.py …"), "{said:?}");
    assert!(!said.out.contains("hunter2") && !said.err.contains("hunter2"), "{said:?}");
    let found = Said::of(Command::new("grep").args(["-r", "hunter2"]).arg(root.path().join("results")));
    assert_eq!((found.code, found.out.as_str()), (1, ""), "{found:?}");
}

#[test]
fn duckdb_runs_by_the_driver_that_comes_with_this() {
    let python = Command::new("python3").args(["-c", "import duckdb"]).stderr(Stdio::null()).status();
    if !python.is_ok_and(|status| status.success()) {
        let message = "ignored on DuckDB: the Python package `duckdb` is not installed";
        assert!(std::env::var_os("CI").is_none(), "{message}");
        return eprintln!("{message}");
    }
    let own =
        "onlyif duckdb\nstatement count 2\nINSERT INTO t SELECT * FROM range(2)\n\nquery I\nSELECT 1 = 1\n----\ntrue\n";
    let modern = format!("statement ok\nCREATE TABLE t(a INTEGER)\n\n{own}");
    let root = folder(&[("a.test", CLASSIC), ("b.slt", &modern)]);
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/engines/duckdb.py");
    let said = run(root.path(), &format!("external:python3 {}", driver.display()), &[]);
    assert_eq!((said.code, said.verdicts().len()), (0, 2), "{said:?}");
}
