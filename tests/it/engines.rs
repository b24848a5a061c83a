//! Servers as engines: what they run, which databases stay on them, and how they fail.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::servers::{Server, servers};
use crate::support::{FAILS, PASSES, Printed, at_once, command, folder, target_binary};

/// Runs the test binary over a folder on an engine.
pub fn run(root: &Path, engine: &str, arguments: &[&str]) -> Printed {
    Printed::of(on(root, engine).args(arguments))
}

pub fn on(root: &Path, engine: &str) -> Command {
    let mut command = command(target_binary());
    command.env("SLT_CORPUS", root).env("SLT_ENGINE", engine).env("SLT_RESULTS", root.join("results"));
    command
}

/// The output of `slt clean`.
fn clean(server: &Server, arguments: &[&str]) -> Printed {
    let mut clean = command(env!("CARGO_BIN_EXE_slt"));
    Printed::of(clean.env("SLT_ENGINE", &server.url).arg("clean").args(arguments))
}

/// Runs statements on a server, each of which must succeed.
fn execute(server: &Server, statements: &[&str]) {
    let text: String = statements.iter().map(|sql| format!("statement ok\n{sql}\n\n")).collect();
    let root = folder(&[("setup.slt", &text)]);
    let printed = run(root.path(), &server.url, &[]);
    assert_eq!(printed.code, 0, "{printed:?}");
}

/// SQL that every engine understands.
pub const CLASSIC: &str = "\
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
    at_once(&servers, |server| {
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
            let printed = run(root.path(), &server.url, arguments);
            assert_eq!(printed.code, 0, "{printed:?}");
            assert!(printed.result().starts_with("test result: ok. 3 passed; 0 failed; 1 ignored"), "{printed:?}");
            assert!(printed.verdict("other.slt").unwrap().starts_with(&ignored), "{printed:?}");
        }
        let printed = clean(server, &["--dry-run"]);
        assert_eq!(printed.out.lines().count(), 1, "{printed:?}");
        assert!(printed.out.starts_with("nothing to drop on "), "{printed:?}");
    });
}

#[test]
fn several_statements_in_a_query_are_neither_an_expected_error_nor_an_empty_result() {
    let (servers, _turn) = servers();
    at_once(&servers, |server| {
        let root = folder(&[
            ("insert.test", "statement ok\nCREATE TABLE t(a INTEGER)\n\nquery I\nINSERT INTO t VALUES (1)\n----\n"),
            ("second.slt", "query error\nSELECT 1; SELECT 2\n"),
        ]);
        let printed = run(root.path(), &server.url, &[]);
        assert_eq!((printed.code, printed.out.matches("... FAILED").count()), (101, 2), "{printed:?}");
        assert!(printed.out.contains("query returned 0 columns, but 1 is declared (I)\n"), "{printed:?}");
        assert!(
            printed.out.contains("query failed: a query is one SQL statement, and here is a second one\n"),
            "{printed:?}"
        );
    });
}

#[test]
fn a_script_may_have_its_own_schema_instead() {
    let (servers, _turn) = servers();
    for server in servers.into_iter().filter(|server| server.is_postgres) {
        let text = "statement ok\nCREATE TABLE t(a INTEGER)\n\nconnection b\nquery I\nSELECT count(*) FROM t\n----\n0\n\n\
                    query T\nSELECT current_database()\n----\npostgres\n";
        let text = match server.url.ends_with("/postgres") {
            true => text.to_owned(),
            false => text.replace("----\npostgres", "----\n<slt:ignore>"),
        };
        let root = folder(&[("a.slt", &text), ("b.slt", &text)]);
        let printed = run(root.path(), &format!("{}?slt_isolation=schema", server.url), &[]);
        assert_eq!((printed.code, printed.verdicts().len()), (0, 2), "{printed:?}");
        let printed = run(root.path(), &format!("{}?slt_isolation=none", server.url), &[]);
        assert_eq!(printed.code, 2, "{printed:?}");
        assert!(printed.err.contains("`slt_isolation` is `database` or `schema`"), "{printed:?}");
        assert!(clean(server, &["--dry-run"]).out.starts_with("nothing to drop on "));
    }
}

#[test]
fn the_database_of_a_file_that_fails_is_kept_on_demand_and_cleaned_up_later() {
    let (servers, _turn) = servers();
    at_once(&servers, |server| {
        let root = folder(&[("fails.slt", "query I\nSELECT 1\n----\n2\n"), ("passes.slt", PASSES)]);
        let printed = run(root.path(), &server.url, &["--keep-db-on-failure"]);
        assert_eq!(printed.code, 101, "{printed:?}");
        let (_, rest) = printed.out.split_once("kept the database `").unwrap_or_else(|| panic!("{printed:?}"));
        let name = rest.split('`').next().unwrap();
        for (arguments, words) in [
            (&["--dry-run"][..], format!("would drop database `{name}`\n")),
            (&[], format!("dropped database `{name}`\n")),
        ] {
            let printed = clean(server, arguments);
            assert_eq!((printed.code, printed.out), (0, words), "{}", printed.err);
        }
        let mut test = command(env!("CARGO_BIN_EXE_slt"));
        test.env("SLT_ENGINE", &server.url).arg("test").arg(root.path().join("fails.slt"));
        let printed = Printed::of(test.arg("--keep-db-on-failure"));
        assert!(printed.code == 101 && printed.out.contains("\nkept the database `slt_"), "{printed:?}");
        assert!(clean(server, &[]).out.starts_with("dropped database `slt_"));
        assert!(clean(server, &[]).out.starts_with("nothing to drop on "));
    });
}

#[test]
fn databases_of_killed_runs_are_cleaned_up_but_not_those_of_live_runs() {
    let (servers, _turn) = servers();
    at_once(&servers, |server| {
        let text = server.either("statement ok\nSELECT pg_sleep(1000)\n", "statement ok\nSELECT SLEEP(1000)\n");
        let root = folder(&[("sleeps.slt", text)]);
        let mut run = on(root.path(), &server.url).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let until = |words: &str| {
            let begun = Instant::now();
            loop {
                let printed = clean(server, &[]);
                assert_eq!(printed.code, 0, "{printed:?}");
                if printed.out.contains(words) {
                    return;
                }
                assert!(begun.elapsed() < Duration::from_secs(60), "never `{words}`: {printed:?}");
                std::thread::sleep(Duration::from_millis(50));
            }
        };
        until(": a run or an open connection uses it");
        assert!(run.try_wait().unwrap().is_none());
        run.kill().unwrap();
        run.wait().unwrap();
        // A server may notice only at the end of a statement that its client is gone.
        let stop = server.either(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(1000)%'",
            "BEGIN NOT ATOMIC FOR one IN (SELECT id FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP(1000)%') DO KILL one.id; END FOR; END",
        );
        execute(server, &[stop]);
        until("dropped database `slt_");
        assert!(clean(server, &[]).out.starts_with("nothing to drop on "));
    });
}

#[test]
fn a_single_file_that_is_interrupted_leaves_no_database() {
    let (servers, _turn) = servers();
    at_once(&servers, |server| {
        let text = server.either("statement ok\nSELECT pg_sleep(1000)\n", "statement ok\nSELECT SLEEP(1000)\n");
        let root = folder(&[("sleeps.slt", text)]);
        for arguments in
            [&["test", "sleeps.slt", "--engine", &server.url][..], &["fill", "sleeps.slt", "--reference", &server.url]]
        {
            let mut slt = command(env!("CARGO_BIN_EXE_slt"));
            slt.args(arguments).current_dir(root.path()).stdout(Stdio::null()).stderr(Stdio::null());
            let mut slt = slt.spawn().unwrap();
            let begun = Instant::now();
            while !clean(server, &["--dry-run"]).out.contains(": a run or an open connection uses it") {
                assert!(begun.elapsed() < Duration::from_secs(60), "{arguments:?}: no database");
                std::thread::sleep(Duration::from_millis(50));
            }
            kill_process(Pid::from_child(&slt), Signal::INT).unwrap();
            assert_eq!(slt.wait().unwrap().code(), Some(3), "{arguments:?}");
            let left = clean(server, &["--dry-run"]);
            assert!(left.out.starts_with("nothing to drop on "), "{arguments:?}: {left:?}");
        }
    });
}

#[test]
fn a_query_that_hangs_is_cancelled_on_the_server() {
    let (servers, _turn) = servers();
    at_once(&servers, |server| {
        let hangs = server.either("statement ok\nSELECT pg_sleep(1000)\n", "statement ok\nSELECT SLEEP(1000)\n");
        let root = folder(&[("hangs.slt", hangs), ("passes.slt", PASSES)]);
        let printed = run(root.path(), &server.url, &["--query-timeout", "0.3"]);
        assert_eq!((printed.code, printed.verdict("passes.slt")), (101, Some("ok")), "{printed:?}");
        assert!(printed.verdict("hangs.slt").unwrap().starts_with("timed out after "), "{printed:?}");
        assert!(clean(server, &["--dry-run"]).out.starts_with("nothing to drop on "));
    });
}

#[test]
fn a_lost_connection_never_counts_as_an_expected_error() {
    let (servers, _turn) = servers();
    at_once(&servers, |server| {
        let kill = server.either("SELECT pg_terminate_backend(pg_backend_pid())", "KILL CONNECTION_ID()");
        let text = format!("statement error\n{kill}\n\nstatement error\nSELECT * FROM nowhere\n");
        let root = folder(&[("dies.slt", &text), ("passes.slt", PASSES)]);
        let printed = run(root.path(), &server.url, &[]);
        assert_eq!(
            (printed.code, printed.verdict("dies.slt"), printed.verdict("passes.slt")),
            (101, Some("FAILED"), Some("ok"))
        );
        assert!(printed.out.contains("the connection to ") && printed.out.contains(" is lost: "), "{printed:?}");
    });
}

#[test]
fn login_and_permission_errors_do_not_show_the_password() {
    let (servers, _turn) = servers();
    at_once(&servers, |server| {
        let root = folder(&[("a.test", PASSES), ("error.slt", "statement error\nSELECT nothing\n")]);
        let printed = run(root.path(), &server.url_as("slt_nobody", "hunter2"), &[]);
        assert_eq!(printed.code, 101, "{printed:?}");
        assert!(printed.out.contains("cannot connect to ") && printed.out.contains("slt_nobody"), "{printed:?}");
        assert!(!printed.out.contains("hunter2") && !printed.err.contains("hunter2"), "{printed:?}");
        assert!(printed.result().starts_with("test result: FAILED. 0 passed; 2 failed"), "{printed:?}");

        let user = format!("slt_weak_{}", std::process::id());
        let place = server.either("", "@'127.0.0.1'");
        let password = server.either("LOGIN PASSWORD", "IDENTIFIED BY");
        let kind = server.either("ROLE", "USER");
        execute(server, &[&format!("CREATE {kind} {user}{place} {password} 'hunter2'")]);
        let wrong = run(root.path(), &server.url_as(&user, "hunter20"), &[]);
        let printed = run(root.path(), &server.url_as(&user, "hunter2"), &[]);
        execute(server, &[&format!("DROP {kind} {user}{place}")]);
        if server.checks_passwords {
            let refused = server.either("password authentication failed for user", "Access denied for user");
            // Both files get the same answer, which is printed once.
            assert_eq!((wrong.code, wrong.out.matches(refused).count()), (101, 1), "{wrong:?}");
            assert!(wrong.out.contains("---- 2 files that could not connect ----"), "{wrong:?}");
            assert!(!wrong.out.contains("hunter2") && !wrong.err.contains("hunter2"), "{wrong:?}");
        }
        assert_eq!(printed.code, 101, "{printed:?}");
        assert!(printed.out.contains("cannot make a database: ERROR"), "{printed:?}");
        assert!(
            printed.out.contains(server.either("`?slt_isolation=schema` in the URL", "the rights CREATE")),
            "{printed:?}"
        );
        assert!(!printed.out.contains("hunter2") && !printed.err.contains("hunter2"), "{printed:?}");
    });
}

#[test]
fn a_list_of_known_failures_is_for_the_server_that_it_names() {
    let (servers, _turn) = servers();
    at_once(&servers, |server| {
        let root = folder(&[("fails.test", FAILS), ("mariadb.slt", "onlyif mariadb\nquery I\nSELECT 1\n----\n1\n")]);
        let list = root.path().join("known.toml");
        let path = list.to_str().unwrap();
        let printed = run(root.path(), &server.url, &["--write-known-failures", path]);
        let name = match printed.verdict("mariadb.slt") {
            Some("ok") => "mariadb",
            _ => server.either("postgresql", "mysql"),
        };
        let text = std::fs::read_to_string(&list).unwrap();
        assert!(text.contains(&format!("engine = \"{name}\"\n")), "{text}");
        for way in [&[][..], &["--parallel"], &["--parallel", "--workers", "1"]] {
            std::fs::write(&list, &text).unwrap();
            let arguments = [&["--known-failures", path], way].concat();
            let printed = run(root.path(), &server.url, &arguments);
            assert_eq!((printed.code, printed.verdict("fails.test")), (0, Some("known failure (the value differs)")));
            std::fs::write(&list, text.replace(name, "sqlite")).unwrap();
            let printed = run(root.path(), &server.url, &arguments);
            assert_eq!((printed.code, printed.verdict("fails.test")), (101, Some("FAILED")), "{printed:?}");
        }
        std::fs::write(&list, &text).unwrap();
        std::fs::write(root.path().join("fails.test"), PASSES).unwrap();
        let printed = run(root.path(), &server.url, &["--known-failures", path, "--ratchet"]);
        assert_eq!(printed.code, 0, "{printed:?}");
        assert!(printed.err.contains("removed from the known failures: fails.test"), "{printed:?}");
    });
}

#[test]
fn a_missing_server_fails_each_file_and_is_never_an_expected_error() {
    let root = folder(&[("a.test", PASSES), ("error.slt", "statement error\nSELECT nothing\n")]);
    for (engine, words) in [
        ("postgres://me:hunter2@127.0.0.1:1/db", "cannot connect to postgres://me@127.0.0.1:1/db: "),
        ("mysql://me:hunter2@127.0.0.1:1/db", "cannot connect to mysql://me@127.0.0.1:1/db: "),
        ("postgres://me:hunter2@nowhere.invalid/db", "cannot connect to postgres://me@nowhere.invalid/db: "),
        ("mysql://me:hunter2@nowhere.invalid", "cannot connect to mysql://me@nowhere.invalid: "),
    ] {
        for way in [&["--report"][..], &["--parallel", "--workers", "2"]] {
            let printed = run(root.path(), engine, way);
            assert_eq!(printed.code, 101, "{printed:?}");
            assert_eq!(printed.out.matches(words).count(), 1, "{printed:?}");
            assert!(printed.out.contains("---- 2 files that could not connect ----"), "{printed:?}");
            let failed = ["a.test", "error.slt"].map(|name| printed.verdict(name) == Some("FAILED"));
            assert_eq!(failed, [true, true], "{printed:?}");
            assert!(printed.result().starts_with("test result: FAILED. 0 passed; 2 failed"), "{printed:?}");
            assert!(!printed.out.contains("hunter2") && !printed.err.contains("hunter2"), "{printed:?}");
        }
        let mut one = command(env!("CARGO_BIN_EXE_slt"));
        one.env("SLT_ENGINE", engine).arg("test").arg(root.path().join("error.slt"));
        let printed = Printed::of(&mut one);
        assert_eq!((printed.code, printed.out.matches(words).count()), (101, 1), "{printed:?}");
        assert!(!printed.out.contains("hunter2") && !printed.err.contains("hunter2"), "{printed:?}");
        assert_holds_no_secret(&root.path().join("results"));
    }
}

/// No result file of a run contains the password; there are such files, and a page is among them.
pub fn assert_holds_no_secret(results: &Path) {
    assert!(results.join("results.json").exists() && results.join("report.html").exists());
    let found = Printed::of(Command::new("grep").args(["-r", "hunter2"]).arg(results));
    assert_eq!((found.code, found.out.as_str()), (1, ""), "{found:?}");
}

#[test]
fn invalid_engines_exit_with_2() {
    let root = folder(&[("a.test", PASSES)]);
    for (engine, words) in [
        ("oracle://me:hunter2@h", "`--engine` (or `SLT_ENGINE`): no such engine `oracle://me@h`: use `sqlite`"),
        ("postgres://me:hunter2@h:port/db", "cannot use `postgres://me@h:…`: invalid connection string"),
        ("mysql://me:hunter2@h/db?x=hunter2", "cannot use `mysql://me@h/db`: "),
        ("external:", "`external:` needs a command"),
    ] {
        let printed = run(root.path(), engine, &[]);
        assert_eq!((printed.code, printed.out.as_str()), (2, ""), "{printed:?}");
        assert!(printed.err.contains(words) && !printed.err.contains("hunter2"), "{printed:?}");
    }
    let mut clean = command(env!("CARGO_BIN_EXE_slt"));
    let printed = Printed::of(clean.args(["clean", "--engine", "sqlite"]));
    assert_eq!(printed.code, 2, "{printed:?}");
    assert!(printed.err.contains("the engine `sqlite` leaves no databases behind: name a server"), "{printed:?}");
}
