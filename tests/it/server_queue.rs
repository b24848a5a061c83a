//! Machines that share a run through a PostgreSQL server. In these tests, a machine is a results folder: one machine knows
//! another one only through the server.

use std::fs;

use rustix::process::Signal;

use crate::faulty_support::{Place, Running, clean, fault, wait_until, workers_of};
use crate::servers::{Server, servers};

/// The server for the runs, for one test at a time.
fn with_server(test: impl FnOnce(&Server)) {
    let (servers, _turn) = servers();
    if let Some(server) = servers.into_iter().find(|server| server.is_postgres) {
        test(server);
    }
}

/// A unique run id.
fn run_id(name: &str) -> String {
    format!("it-{name}-{}-{:?}", std::process::id(), std::time::Instant::now())
        .replace(|c: char| !c.is_alphanumeric(), "-")
}

/// Starts `faulty --parallel` as a machine with this results folder.
fn start(place: &Place, server: &Server, machine: &str, arguments: &str) -> Running {
    let mut command = place.dress(clean(place.command("").get_program()));
    command.args(["--root", "tests", "--parallel", "--results", machine]).args(arguments.split_whitespace());
    command.env("SLT_QUEUE", url(server));
    place.start_command(command)
}

/// The server's URL with parameters after `?`, which must never be shown.
fn url(server: &Server) -> String {
    let separator = if server.url.contains('?') { '&' } else { '?' };
    format!("{}{separator}slt_lease=3&application_name=hunter2", server.url)
}

#[test]
fn two_machines_share_the_files_and_each_reports_the_whole_run() {
    with_server(|server| {
        let place = Place::with_many(16, &fault("sleep 100"));
        let arguments = format!("--workers 2 --run-id {}", run_id("share"));
        let machines = ["one", "two"].map(|machine| start(&place, server, machine, &arguments));
        for ended in machines.map(|machine| machine.wait().exits(0)) {
            let mut names: Vec<_> = ended.verdicts().into_iter().collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!((ended.verdicts().len(), names.len()), (16, 16), "{ended}");
            assert!(names.iter().all(|(_, verdict)| *verdict == "ok"), "{ended}");
        }
        let results = ["one", "two"].map(|machine| {
            let text = fs::read_to_string(place.path(machine).join("results.json")).unwrap();
            let results: serde_json::Value = serde_json::from_str(&text).unwrap();
            let mut outcomes = results["outcomes"].as_array().unwrap().clone();
            outcomes.sort_by_key(|outcome| outcome["name"].as_str().unwrap().to_owned());
            outcomes
        });
        assert_eq!(results[0], results[1]);
        let late = start(&place, server, "three", &arguments).wait().exits(0);
        late.says("the run is already finished");
        let late = start(&place, server, "three", arguments.strip_prefix("--workers 2").unwrap()).wait().exits(0);
        late.says("16 of 16 were run by other processes");
        assert_eq!(place.alive(), Vec::<String>::new());
    });
}

#[test]
fn the_other_machine_gets_the_files_of_a_dead_one() {
    with_server(|server| {
        let (hang, sleep) = (fault("once begun hang"), fault("sleep 50"));
        let place = Place::new([("a.test", &sleep), ("b.test", &sleep), ("hang.test", &hang), ("z.test", &sleep)]);
        // One worker, so that nothing else is running when its machine is lost.
        let arguments = format!("--workers 1 --run-id {}", run_id("dies"));
        let doomed = start(&place, server, "one", &arguments);
        wait_until("it hangs", || place.path("begun").exists());
        let other = start(&place, server, "two", &arguments);
        other.says("joined the run in progress");
        doomed.signal(Signal::KILL);
        assert_eq!(doomed.wait().code, None);
        let ended = other.wait().exits(0);
        // The attempt ended with its machine, which is not the file's fault.
        assert_eq!(ended.verdict("hang.test"), "ok");
        ended.others_passed("hang.test");
    });
}

#[test]
fn only_its_own_supervisor_explains_a_dead_worker() {
    with_server(|server| {
        let (segv, sleep) = (fault("segv"), fault("sleep 100"));
        let good: Vec<(String, String)> = (0..10).map(|number| (format!("{number}.test"), sleep.clone())).collect();
        let place = Place::new(good.into_iter().chain([("segv.test".to_owned(), segv)]));
        let arguments = format!("--workers 1 --run-id {}", run_id("segv"));
        let machines = ["one", "two"].map(|machine| start(&place, server, machine, &arguments));
        for ended in machines.map(|machine| machine.wait().exits(101)) {
            assert_eq!(ended.verdict("segv.test"), "crashed (SIGSEGV)");
            ended.says("[SQL] FAULT segv\nat tests/segv.test:4");
            ended.others_passed("segv.test");
        }
    });
}

#[test]
fn both_machines_report_a_stopped_run_the_same_way() {
    with_server(|server| {
        let place = Place::with_many(40, &fault("sleep 300"));
        let arguments = format!("--workers 2 --run-id {}", run_id("stop"));
        let [one, two] = ["one", "two"].map(|machine| start(&place, server, machine, &arguments));
        one.says("... ok");
        two.says("... ok");
        one.signal(Signal::INT);
        let [one, two] = [one, two].map(|machine| machine.wait().exits(3));
        let sorted = |ended: &crate::faulty_support::Ended| {
            let mut verdicts: Vec<(String, String)> =
                ended.verdicts().into_iter().map(|(name, verdict)| (name.to_owned(), verdict.to_owned())).collect();
            verdicts.sort();
            verdicts
        };
        assert_eq!(sorted(&one), sorted(&two));
        assert_eq!(one.verdicts().len(), 40);
        let resumed = start(&place, server, "one", &format!("{arguments} --resume")).wait().exits(0);
        resumed.says("resumed the run");
    });
}

#[test]
fn no_password_is_visible_in_processes_or_output() {
    with_server(|server| {
        let place = Place::new([("hang.test", fault("once begun hang"))]);
        let mut command = place.command("--workers 1 --run-id");
        command.arg(run_id("secret")).arg("--queue").arg(url(server));
        let run = place.start_command(command);
        wait_until("it hangs", || place.path("begun").exists());
        let workers = workers_of(run.pid());
        assert_eq!(workers.len(), 1);
        let line = fs::read_to_string(format!("/proc/{}/cmdline", workers[0])).unwrap();
        assert!(line.contains("--run-id") && !line.contains("hunter2") && !line.contains("--queue"), "{line}");
        run.signal(Signal::INT);
        run.says("interrupt again to kill");
        run.signal(Signal::INT);
        let ended = run.wait().exits(3);
        assert!(!ended.to_string().contains("hunter2"), "{ended}");
        ended.says("queue `postgres://");
    });
}

#[test]
fn machines_with_other_files_are_refused() {
    with_server(|server| {
        let place = Place::with_many(3, &fault("sleep 50"));
        let id = run_id("files");
        start(&place, server, "one", &format!("--run-id {id}")).wait().exits(0);
        fs::write(place.path("tests/01.test"), "statement ok\nSELECT 2\n").unwrap();
        let ended = start(&place, server, "two", &format!("--run-id {id}")).wait().exits(4);
        ended.says("differs from what this process would run: `01.test` differs in contents");
        fs::write(place.path("tests/01.test"), fault("sleep 50")).unwrap();
        for (arguments, words) in [
            ("--label mine", "`--label` is not given there and `mine` here"),
            ("--engine-version 7", "and `version 7` here"),
            ("--query-timeout 9 --resume", "`--query-timeout` is not given there and `9 s` here"),
        ] {
            let ended = start(&place, server, "two", &format!("--run-id {id} {arguments}")).wait().exits(4);
            ended.says(words);
        }
        let ended = start(&place, server, "two", &format!("--workers 2 --run-id {id} 00")).wait().exits(4);
        ended.says("`01.test`, `02.test` are only there");
    });
}

#[test]
fn a_copy_that_changes_during_the_run_is_not_run() {
    with_server(|server| {
        let place = Place::with_many(2, &fault("sleep 1500"));
        let run = start(&place, server, "one", &format!("--run-id {}", run_id("changes")));
        // Each participant's page is created after the copies were checked.
        wait_until("the run has begun", || place.path("one/server.live").exists());
        fs::write(place.path("tests/01.test"), "statement ok\nSELECT 2\n").unwrap();
        let ended = run.wait().exits(101);
        assert_eq!((ended.verdict("00.test"), ended.verdict("01.test")), ("ok", "FAILED"), "{ended}");
        ended.says("not the file that was planned: the copy on `");
        ended.says("tests/01.test");
    });
}

#[test]
fn a_password_that_the_queues_server_refuses_is_an_error_that_does_not_show_it() {
    with_server(|server| {
        if !server.checks_passwords {
            return;
        }
        let place = Place::with_many(2, &fault("sleep 1"));
        let (_, place_of_server) = server.url.split_once('@').unwrap();
        for mode in ["--run-id x", "--run-id x --workers 2"] {
            let ended = place.run(&format!("{mode} --queue {}", server.url_as("slt", "hunter2"))).exits(4);
            ended.says(&format!("error: cannot connect to the queue `postgres://slt@{place_of_server}`: "));
            ended.says("password authentication failed for user \"slt\"");
            assert!(!ended.to_string().contains("hunter2") && ended.verdicts().is_empty(), "{ended}");
        }
    });
}

#[test]
fn invalid_uses_are_clear_errors() {
    with_server(|server| {
        let place = Place::with_many(2, &fault("sleep 1"));
        start(&place, server, "one", "").wait().exits(2).says("it needs `--run-id` (or `SLT_RUN_ID`)");
        start(&place, server, "one", "--run-id x --bless")
            .wait()
            .exits(2)
            .says("cannot be used with a queue on a server");
        for mode in ["--run-id x", "--run-id x --workers 2"] {
            let ended = place.run(&format!("{mode} --queue postgres://me:hunter2@127.0.0.1:1/db")).exits(4);
            ended.says("error: cannot connect to the queue `postgres://me@127.0.0.1:1/db`: ");
            let ended = place.run(&format!("{mode} --queue oracle://me:hunter2@h")).exits(2);
            ended.says("no such queue: use the path of a file, or `postgres://…`");
            assert!(!ended.to_string().contains("hunter2"), "{ended}");
        }
    });
}
