//! Every way to start a run, with every way in which an engine can fail during a file: the run is never green, it names
//! the file, the line and the SQL, and the other files are judged, if necessary by the next process.

use std::fs;
use std::process::Command;

use crate::faulty_support::{Ended, PASSES, Place, clean, fault};
use crate::servers::servers;
use crate::support::{at_once, driver};

/// What happens to a process in which the engine fails.
#[derive(Clone, Copy, PartialEq)]
enum Expected {
    /// It continues, and the file has this verdict.
    Continues(&'static str),
    /// It exits with 4, and prints how it crashed.
    Exits(&'static str),
    /// This signal ends it, and it prints the signal.
    Signal(&'static str),
    /// It is killed, and can print nothing.
    Killed,
}

use Expected::{Continues, Exits, Killed, Signal};

/// Each fault, named after the statement in line 4 of the file, and what happens to the process.
const FAULTS: [(&str, Expected); 17] = [
    ("exit 0", Exits("exit 0")),
    ("exit 3", Exits("exit 3")),
    ("_exit 0", Exits("exit 0")),
    ("abort", Signal("SIGABRT")),
    ("segv", Signal("SIGSEGV")),
    ("overflow", Signal("SIGABRT")),
    ("bus", Signal("SIGBUS")),
    ("fpe", Signal("SIGFPE")),
    ("ill", Signal("SIGILL")),
    ("kill", Killed),
    ("panic", Continues("FAILED")),
    ("hang", Continues("timed out after 1 s")),
    ("lost", Continues("FAILED")),
    (SYNTAX, Continues("FAILED")),
    ("error on purpose", Continues("FAILED")),
    ("fork-exit", Continues("ok")),
    ("fork-_exit", Continues("ok")),
];

/// A fault that is not the engine's: a syntax error in the middle of the file.
const SYNTAX: &str = "syntax";

/// A file with a fault in line 4.
fn bad(what: &str) -> String {
    match what {
        SYNTAX => "statement ok\nCREATE TABLE t(a)\n\nstatement wrong\nSELECT 1\n".to_owned(),
        what => fault(what) + "\nstatement ok\nSELECT 1\n",
    }
}

fn place(what: &str) -> Place {
    // Among new files the longest runs first: here one that passes.
    let passes = format!("{PASSES}{}", "# a comment\n".repeat(99));
    Place::new([("a.test", passes.as_str()), ("bad.test", &bad(what)), ("c.test", PASSES), ("d.test", PASSES)])
}

/// Runs `faulty` at that place.
fn run(place: &Place, arguments: &str, queue: Option<&str>) -> Ended {
    let mut command = place.dress(clean(place.command("").get_program()));
    command.args(["--root", "tests", "--results", "results", "--file-timeout", "1"]);
    command.args(arguments.split_whitespace());
    if let Some(queue) = queue {
        command.env("SLT_QUEUE", queue);
    }
    // Core files are of no use here.
    place.start_command(without_core(&command)).wait()
}

/// The same command, with core files off.
fn without_core(command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -c 0; exec \"$@\"", "sh"]).arg(command.get_program()).args(command.get_args());
    shell.current_dir(command.get_current_dir().unwrap());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

/// Checks what a process printed about the file, and how it ended.
#[track_caller]
fn check(ended: &Ended, what: &str, expected: Expected) {
    let named = |how: &str| format!("crashed ({how}) at tests/bad.test:4\n[SQL] FAULT {what}\n");
    match expected {
        Continues("ok") => assert_eq!((ended.code, ended.verdict("bad.test")), (Some(0), "ok"), "{what}: {ended}"),
        Continues(verdict) => {
            assert_eq!((ended.code, ended.verdict("bad.test")), (Some(101), verdict), "{what}: {ended}");
            ended.says("at tests/bad.test:4");
        }
        Exits(how) => {
            assert_eq!(ended.code, Some(4), "{what}: {ended}");
            assert!(ended.stderr.contains(&named(how)), "{what}: {ended}");
            ended.says("error: the process exited before its run was over, so the exit code is 4");
        }
        Signal(how) => {
            assert_eq!(ended.code, None, "{what}: {ended}");
            assert!(ended.stderr.contains(&named(how)), "{what}: {ended}");
            assert_eq!(ended.stderr.matches("crashed (").count(), 1, "{what}: {ended}");
        }
        Killed => assert_eq!(ended.code, None, "{what}: {ended}"),
    }
}

#[test]
fn in_one_process_and_with_a_whole_name_as_nextest_has_it() {
    let modes = ["--test-threads 3", "--test-threads 1", "--exact bad.test --nocapture"];
    at_once(&FAULTS.map(|fault| modes.map(|mode| (fault, mode))).concat(), |&((what, expected), mode)| {
        let ended = run(&place(what), mode, None);
        check(&ended, what, expected);
        if matches!(expected, Continues(_)) && !mode.contains("--exact") {
            ended.others_passed("bad.test");
        }
    });
}

#[test]
fn in_a_thread_that_runs_no_file() {
    let ended = run(&place("thread-exit 0"), "--test-threads 3", None).exits(4);
    ended.says("crashed (exit 0) outside of the threads that run files; these were running:\n");
    ended.says("at tests/bad.test:4\n[SQL] FAULT thread-exit 0\n");
}

/// Two processes, started by hand one after the other: the first fails, or runs to the end; the second runs what is left.
fn by_hand(queue: Option<&str>, run_id: impl Fn(&str) -> String + Sync) {
    at_once(&FAULTS, |&(what, expected)| {
        let place = place(what);
        let arguments = format!("--parallel --crash-retries 0 --run-id {}", run_id(what));
        let first = run(&place, &arguments, queue);
        check(&first, what, expected);
        if let Continues(_) = expected {
            first.others_passed("bad.test");
            return;
        }
        // The next supervisor sees that the first process is gone, but not how it ended.
        let next = run(&place, &format!("{arguments} --workers 1"), queue).exits(101);
        assert_eq!(next.verdict("bad.test"), "crashed (its process ended)", "{what}: {next}");
        next.says(&format!("[SQL] FAULT {what}\nat tests/bad.test:4"));
        next.others_passed("bad.test");
        run(&place, &format!("{arguments} --resume"), queue);
    });
}

#[test]
fn by_hand_and_then_resumed() {
    by_hand(None, |_| "one".to_owned());
}

#[test]
fn by_hand_on_a_queue_in_postgres() {
    let (servers, _turn) = servers();
    if let Some(server) = servers.into_iter().find(|server| server.is_postgres) {
        let separator = if server.url.contains('?') { '&' } else { '?' };
        let queue = format!("{}{separator}slt_lease=2", server.url);
        let unique = std::process::id();
        by_hand(Some(&queue), |what| format!("modes-{unique}-{}", what.replace(' ', "-")));
    }
}

#[test]
fn with_workers() {
    at_once(&FAULTS, |&(what, expected)| {
        let verdict = match expected {
            Continues(verdict) => verdict.to_owned(),
            Exits(how) | Signal(how) => format!("crashed ({how})"),
            Killed => "crashed (SIGKILL)".to_owned(),
        };
        let ended = run(&place(what), "--parallel --workers 2 --crash-retries 0", None);
        assert_eq!(ended.code, Some(if verdict == "ok" { 0 } else { 101 }), "{what}: {ended}");
        assert_eq!(ended.verdict("bad.test"), verdict, "{what}: {ended}");
        ended.others_passed("bad.test");
        if verdict != "ok" {
            ended.says("at tests/bad.test:4");
        }
    });
}

/// A driver that answers every statement, except that it commits the fault of a statement that begins with `FAULT`.
pub const DRIVER: &str = driver!(
    "",
    r#"        word, _, rest = request["sql"].removeprefix("FAULT ").partition(" ")
        if word == "exit":
            os._exit(int(rest))
        elif word in ("abort", "segv", "kill"):
            os.kill(os.getpid(), {"abort": signal.SIGABRT, "segv": signal.SIGSEGV, "kill": signal.SIGKILL}[word])
        elif word == "hang":
            time.sleep(1000)
        elif word == "lost":
            os.close(1)
            time.sleep(1000)
        elif word == "panic":
            raise Exception("the driver has had enough")
        elif word == "error":
            print(json.dumps({"err": rest}), flush=True)
        else:
            print(json.dumps({"result": []}), flush=True)"#
);

#[test]
fn with_a_driver_under_slt_run_and_slt_test() {
    // Those that take longest first.
    let faults = ["hang", "lost", "exit 0", "exit 3", "abort", "segv", "kill", "panic", SYNTAX, "error on purpose"];
    let commands = [&["run", "--results", "results"][..], &["test", "tests/bad.test"]];
    at_once(&faults.map(|what| commands.map(|command| (what, command))).concat(), |&(what, arguments)| {
        let place = place(what);
        fs::write(place.path("driver.py"), DRIVER).unwrap();
        let verdict = if what == "hang" { "timed out after 10 s" } else { "FAILED" };
        let mut command = place.dress(clean(env!("CARGO_BIN_EXE_slt")));
        command.args(arguments).args(["--root", "tests", "--engine", "external:python3 driver.py"]);
        // Python starts slowly on a busy machine.
        command.args(["--file-timeout", if what == "hang" { "10" } else { "100" }]);
        let ended = place.start_command(without_core(&command)).wait().exits(101);
        ended.says("at tests/bad.test:4");
        if arguments[0] == "run" {
            assert_eq!(ended.verdict("bad.test"), verdict, "{what}: {ended}");
            ended.others_passed("bad.test");
        } else {
            ended.says(&format!("result: {verdict}"));
        }
    });
}

#[test]
fn an_engine_of_an_adapter_under_slt_test_and_a_hang_in_every_mode_leave_results() {
    at_once(&["--test-threads 2", "--test-threads 1", "--parallel"], |arguments| {
        let place = place("hang");
        run(&place, arguments, None).exits(101);
        let results = fs::read_to_string(place.path("results/results.json")).unwrap();
        let results: serde_json::Value = serde_json::from_str(&results).unwrap();
        let outcomes = results["outcomes"].as_array().unwrap();
        let bad = outcomes.iter().find(|outcome| outcome["name"] == "bad.test").unwrap();
        assert_eq!((outcomes.len(), &bad["verdict"]), (4, &"timed_out".into()), "{arguments}: {results}");
        let failure = &bad["failures"][0];
        assert_eq!((&failure["line"], &failure["sql"]), (&4.into(), &"FAULT hang".into()), "{arguments}");
        // The counts up to then are kept.
        assert_eq!((&bad["records"]["passed"], &bad["records"]["failed"]), (&1.into(), &1.into()), "{arguments}");
    });
}
