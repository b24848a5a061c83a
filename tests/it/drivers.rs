//! External drivers as engines: working ones, failing ones of every kind, and DuckDB's.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::engines::{CLASSIC, assert_holds_no_secret, on, run};
use crate::support::{PASSES, Printed, at_once, command, driver, folder, target_binary};

/// A driver for sqllogictest-bin's protocol, without the extension. If it is asked to `print` something, it prints that
/// instead of an answer.
const DRIVER: &str = driver!(
    "",
    r#"        assert list(request) == ["sql"], request
        word, _, rest = request["sql"].partition(" ")
        if word == "print":
            print(rest, flush=True)
        elif word == "die":
            sys.exit(int(rest))
        elif word == "hang":
            time.sleep(1000)
        elif word == "flood":
            for _ in range(int(rest)):
                print("x" * 1023, file=sys.stderr)
            print(json.dumps({"result": []}), flush=True)
        elif word == "close":
            os.close(0)
            print(json.dumps({"result": []}), flush=True)
            time.sleep(1000)
        elif word == "leave":
            # A process that holds this driver's output open, and continues.
            path, _, then = rest.partition(" ")
            with open(path, "w") as file:
                file.write(str(subprocess.Popen(["sleep", "1000"]).pid))
            sys.exit(3) if then == "die" else time.sleep(1000)
        elif word == "fail":
            print(json.dumps({"err": rest}), flush=True)
        else:
            print(json.dumps({"result": [[value] for value in rest.split()]}), flush=True)"#
);

#[test]
fn a_driver_that_fails_fails_its_own_file_and_no_partial_result_counts() {
    at_once(&[&[][..], &["--parallel", "--workers", "2", "--run-id", "once"]], |arguments| {
        let root = folder(&[("driver.py", DRIVER)]);
        let left = |name: &str| root.path().join(name);
        let die = format!("statement error\nleave {} die\n", left("leaves.pid").display());
        for (name, text) in [
            ("passes.test", "onlyif external\nquery I rowsort\nSELECT 2 1\n----\n1\n2\n\nstatement error\nfail so\n"),
            ("modern.slt", "query I\nSELECT 2 1\n----\n2\n1\n\nstatement error so it is\nfail so it is\n"),
            ("floods.slt", "statement ok\nflood 20000\n\nquery I\nSELECT 7\n----\n7\n"),
            ("garbage.slt", "statement error\nprint oops\n"),
            ("twice.slt", "statement ok\nprint {\"result\":[]} {\"result\":[[\"7\"]]}\n\nquery I\nSELECT 7\n----\n7\n"),
            ("dies.slt", "statement error\ndie 3\n\nstatement ok\nSELECT\n"),
            ("leaves.slt", &die),
            ("closes.slt", "statement ok\nclose\n\nstatement error\nSELECT\n"),
        ] {
            std::fs::write(left(name), text).unwrap();
        }
        let engine = format!("external:python3 {}", root.path().join("driver.py").display());
        let shown = format!("the external driver `{}`", &engine["external:".len()..]);
        let printed = run(root.path(), &engine, arguments);
        assert_eq!(printed.code, 101, "{printed:?}");
        for name in ["passes.test", "modern.slt", "floods.slt"] {
            assert_eq!(printed.verdict(name), Some("ok"), "{printed:?}");
        }
        for (name, words) in [
            ("garbage.slt", "it printed something that is not an answer: `oops` (expected value)"),
            ("twice.slt", "it printed `{\"result\":[[\"7\"]]}` without being asked"),
            ("dies.slt", "it ended (exit status: 3) instead of answering"),
            ("leaves.slt", "it ended (exit status: 3) instead of answering"),
            ("closes.slt", "it closed its input, so that it cannot be asked"),
        ] {
            assert_eq!(printed.verdict(name), Some("FAILED"), "{printed:?}");
            let words = format!("the connection to {shown} is lost: {words}");
            assert!(printed.out.contains(&words), "{name}, {words}: {printed:?}");
        }
        assert!(printed.result().starts_with("test result: FAILED. 3 passed; 5 failed"), "{printed:?}");
        assert_is_gone(&std::fs::read_to_string(left("leaves.pid")).unwrap());
    });
}

#[test]
fn a_driver_that_hangs_is_killed_with_all_that_it_started() {
    let root = folder(&[("driver.py", DRIVER), ("half.test", "query I\nprint {\"result\":[[\"1\"]]\n----\n1\n")]);
    let pid = root.path().join("hangs.pid");
    std::fs::write(root.path().join("hangs.slt"), format!("statement error\nleave {} hang\n", pid.display())).unwrap();
    let engine = format!("external:python3 {}", root.path().join("driver.py").display());
    let words = format!("still running in the external driver `{}` when the time limit", &engine["external:".len()..]);
    for arguments in [&[][..], &["--parallel", "--workers", "2"]] {
        let _ = std::fs::remove_file(&pid);
        // On a busy machine the driver may not even start within the limit; then it gets more time.
        let started = ["2", "20", "200"].iter().any(|limit| {
            let printed = run(root.path(), &engine, &[&["--file-timeout", limit], arguments].concat());
            assert_eq!(printed.code, 101, "{printed:?}");
            for name in ["hangs.slt", "half.test"] {
                assert!(printed.verdict(name).unwrap().starts_with("timed out after "), "{printed:?}");
            }
            assert_eq!(printed.out.matches(&words).count(), 2, "{printed:?}");
            assert!(printed.result().starts_with("test result: FAILED. 0 passed; 2 failed"), "{printed:?}");
            std::fs::read_to_string(&pid).is_ok_and(|pid| !pid.is_empty())
        });
        assert!(started, "the driver did not start within 200 s");
        assert_is_gone(&std::fs::read_to_string(&pid).unwrap());
    }
}

#[test]
fn child_processes_inherit_no_variables_of_this_program() {
    // The driver answers with the names of this program's variables that it sees, and with its own password.
    let driver = r#"
import json, os, sys
names = sorted(name for name in os.environ if name.startswith(("SLT_", "SQLLOGICTEST_")))
while sys.stdin.buffer.read1(4096):
    print(json.dumps({"result": [[os.environ["OWN_PASSWORD"] + ":" + ",".join(names)]]}), flush=True)
"#;
    let system = "system ok\nenv | grep -oE '^(SLT|SQLLOGICTEST)_[A-Z_]*' | sort | tr '\\n' ,\n----\n";
    let root = folder(&[("driver.py", driver)]);
    let engine = format!("external:python3 {}", root.path().join("driver.py").display());
    for (arguments, token) in [
        (&[][..], ""),
        (&["--parallel"], ""),
        (&["--parallel", "--workers", "2"], "SLT_RUN_TOKEN,"),
        (&["--parallel", "--workers", "1", "--test-threads", "1"], "SLT_RUN_TOKEN,"),
    ] {
        let seen = format!("pass:SLT_DATABASE,SLT_PROTOCOL,{}", token.trim_end_matches(','));
        let query = format!("query T\nSELECT\n----\n{}\n\n{system}{token}\n", seen.trim_end_matches(','));
        std::fs::write(root.path().join("a.slt"), query).unwrap();
        let mut command = command(target_binary());
        command.args(["--root", root.path().to_str().unwrap()]).args(arguments);
        command.env("SLT_ENGINE", &engine).env("SLT_ALLOW_SYSTEM", "1").env("OWN_PASSWORD", "pass");
        command.env("SLT_RESULTS", root.path().join("results")).env_remove("SLT_CORPUS").env_remove("SLT_RUN_TOKEN");
        command.env("SLT_QUEUE", root.path().join("queue"));
        let printed = Printed::of(&mut command);
        assert_eq!(printed.code, 0, "{arguments:?}: {printed:?}");
    }
}

/// Waits until a process has ended; fails if it does not end.
fn assert_is_gone(pid: &str) {
    let begun = Instant::now();
    let is_alive = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // A zombie has ended, too: there may be no parent that waits for it.
        stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
    };
    while is_alive() {
        assert!(begun.elapsed() < Duration::from_secs(20), "process {pid} is still running");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_missing_driver_is_an_error() {
    let root = folder(&[("a.test", PASSES), ("error.slt", "statement error\nSELECT nothing\n")]);
    let words = "the connection to the external driver `slt_no_such_program` is lost: \
                 it ended (exit status: 127: bash finds no such command)";
    for arguments in [&[][..], &["--parallel", "--workers", "2"]] {
        let printed = run(root.path(), "external:slt_no_such_program", arguments);
        assert_eq!((printed.code, printed.out.matches(words).count()), (101, 2), "{printed:?}");
    }
    let mut test = command(env!("CARGO_BIN_EXE_slt"));
    let test = test.args(["test", "--engine", "external:slt_no_such_program"]).arg(root.path().join("error.slt"));
    let printed = Printed::of(test);
    assert_eq!((printed.code, printed.out.matches(words).count()), (101, 1), "{printed:?}");
}

#[test]
fn a_busy_driver_dies_with_its_killed_runner() {
    let root = folder(&[("driver.py", DRIVER), ("hangs.slt", "statement ok\nhang\n")]);
    let started = root.path().join("started");
    // bash replaces itself with the driver, so the driver has bash's pid.
    let engine = format!(
        "external:[ -z \"$SLT_DATABASE\" ] || echo $$ >{0}.new && mv {0}.new {0}; exec python3 {1}",
        started.display(),
        root.path().join("driver.py").display()
    );
    let mut run = on(root.path(), &engine).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while !started.exists() {
        assert!(begun.elapsed() < Duration::from_secs(60) && run.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(10));
    }
    run.kill().unwrap();
    run.wait().unwrap();
    assert_is_gone(std::fs::read_to_string(&started).unwrap().trim());
}

#[test]
fn no_secret_of_the_engine_is_in_a_workers_command_line_or_in_the_results() {
    let text = "query I\nSELECT 1\n----\n1\n\nsystem ok\n! tr '\\0' ' ' </proc/$PPID/cmdline | grep -q 'hunter[2]'\n\n\
                query I\nSELECT 1\n----\n2\n";
    let root = folder(&[("a.slt", text), ("driver.py", DRIVER)]);
    let engine = format!("external:python3 {} --password=hunter2", root.path().join("driver.py").display());
    let mut run = command(target_binary());
    run.env("SLT_CORPUS", root.path()).env("SLT_RESULTS", root.path().join("results"));
    let printed =
        Printed::of(run.args(["--engine", &engine, "--allow-system", "--report", "--parallel", "--workers", "1"]));
    assert_eq!((printed.code, printed.out.matches("the command failed").count()), (101, 0), "{printed:?}");
    assert!(printed.out.contains("- 2\n+ 1\n") && printed.err.contains("driver.py …"), "{printed:?}");
    let again = printed.out.lines().find(|line| line.starts_with("run again: ")).unwrap_or_default();
    assert!(again.ends_with(" --exact a.slt (with the same `--engine`)") && !again.contains('…'), "{again}");
    assert!(!printed.out.contains("hunter2") && !printed.err.contains("hunter2"), "{printed:?}");
    assert_holds_no_secret(&root.path().join("results"));
}

#[test]
fn duckdb_runs_with_the_bundled_driver() {
    let python = Command::new("python3").args(["-c", "import duckdb"]).stderr(Stdio::null()).status();
    if !python.is_ok_and(|status| status.success()) {
        let message = "ignored on DuckDB: the Python package `duckdb` is not installed";
        assert!(std::env::var_os("CI").is_none(), "{message}");
        return eprintln!("{message}");
    }
    let own =
        "onlyif duckdb\nstatement count 2\nINSERT INTO t SELECT * FROM range(2)\n\nquery I\nSELECT 1 = 1\n----\ntrue\n";
    let modern = format!("statement ok\nCREATE TABLE t(a INTEGER)\n\n{own}");
    let of = |setting: &str, value: &str| format!("query T\nSELECT current_setting('{setting}')\n----\n{value}\n\n");
    // As in DuckDB's own runner, secrets are shown, and a new database has the storage version of the last one.
    let version = of("storage_compatibility_version", "v1.2.0");
    let settings = format!(
        "{}statement ok\nSET storage_compatibility_version = 'v1.2.0'\n\nload {{TEST_DIR}}/w.db\n\n{version}restart\n\n{version}\
         load {{TEST_DIR}}/x.db readwrite v1.3.0\n\nload\n\n{}",
        of("allow_unredacted_secrets", "true"),
        of("storage_compatibility_version", "v1.3.0"),
    );
    // An extension says how the values of its types are written.
    let extension = "require spatial\n\nquery T\nSELECT ST_Point2D(1, 2)\n----\nPOINT (1 2)\n";
    let scripts = [
        ("a.test", CLASSIC),
        ("b.slt", modern.as_str()),
        ("c.duckdb.test", settings.as_str()),
        ("d.duckdb.test", extension),
    ];
    let root = folder(&scripts);
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/engines/duckdb.py");
    let printed = run(root.path(), &format!("external:python3 {}", driver.display()), &[]);
    assert_eq!((printed.code, printed.verdicts().len()), (0, 4), "{printed:?}");
}
