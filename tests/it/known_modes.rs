//! Known failures in the modes where a run has several processes or another program: there, too, a file whose connection is
//! lost in the middle is no known failure, unless its entry says so.

use std::fs;

use crate::faulty_support::{Ended, PASSES, Place, clean, fault};
use crate::modes::DRIVER;
use crate::servers::servers;
use crate::support::at_once;

/// Fails in line 1, loses its connection in line 4, and would pass in line 7.
const SCRIPT: &str = "statement ok\nFAULT error x\n\nstatement ok\nFAULT lost\n\nstatement ok\nSELECT 1\n";

/// An entry that pins lines 1 and 4, with further keys in `more`.
fn entry(more: &str) -> String {
    let pin = |(sql, line): (&str, u64)| {
        format!("{{ sql = \"{}\", line = {line} }}", slt_harness::unstable::outcome::RecordId::new(sql, line).sql)
    };
    let pins = [("FAULT error x", 1), ("FAULT lost", 4)].map(pin).join(", ");
    format!("[[known]]\npath = \"a.test\"\nreason = \"r\"\nrecords = [{pins}]\n{more}")
}

/// Further keys of the entry, with the expected exit code and the expected verdict in `results.json`.
const LISTS: [(&str, i32, &str); 2] = [("", 101, "failed"), ("ends = \"connection_lost\"\n", 0, "known_failure")];

#[track_caller]
fn check(place: &Place, ended: Ended, mode: &str, code: i32, verdict: &str) {
    assert_eq!(ended.code, Some(code), "{mode}: {ended}");
    let results = fs::read_to_string(place.path("results/results.json")).unwrap();
    let results: serde_json::Value = serde_json::from_str(&results).unwrap();
    let outcomes = results["outcomes"].as_array().unwrap();
    let a = outcomes.iter().find(|outcome| outcome["name"] == "a.test").unwrap();
    assert_eq!((&a["verdict"], &a["cut_short"]), (&verdict.into(), &"connection_lost".into()), "{mode}: {ended}");
    if code != 0 {
        ended.says("`ends = \"connection_lost\"`");
        ended.says("at tests/a.test:4");
    }
}

/// Runs that end before or after the file was judged, and are resumed.
fn interrupted(queue: Option<&str>, run_id: impl Fn(&str, bool) -> String) {
    for (more, code, verdict) in LISTS {
        for judged_before in [false, true] {
            // Among new files the longest runs first.
            let padding = "# a comment\n".repeat(99);
            let (a, dies) = if judged_before { (padding.as_str(), "") } else { ("", padding.as_str()) };
            let dying = format!("{}{dies}", fault("once died kill"));
            let place =
                Place::new([("a.test", format!("{SCRIPT}{a}")), ("dies.test", dying), ("z.test", PASSES.into())]);
            fs::write(place.path("known.toml"), entry(more)).unwrap();
            let mode = format!("{more:?}, judged before: {judged_before}");
            let run = |arguments: &str| {
                let mut command = place.command(arguments);
                command.args(["--known-failures", "known.toml", "--run-id", &run_id(verdict, judged_before)]);
                if let Some(queue) = queue {
                    command.env("SLT_QUEUE", queue);
                }
                place.start_command(command).wait()
            };
            let first = run("");
            assert_eq!(first.code, None, "{mode}: {first}");
            assert_eq!(first.stdout.contains("test a.test "), judged_before, "{mode}: {first}");
            check(&place, run("--resume --workers 1"), &mode, code, verdict);
        }
    }
}

#[test]
fn in_a_run_that_is_resumed() {
    interrupted(None, |_, _| "one".to_owned());
}

#[test]
fn on_a_queue_in_postgres() {
    let (servers, _turn) = servers();
    if let Some(server) = servers.into_iter().find(|server| server.is_postgres) {
        let separator = if server.url.contains('?') { '&' } else { '?' };
        let queue = format!("{}{separator}slt_lease=2", server.url);
        let unique = std::process::id();
        interrupted(Some(&queue), |verdict, before| format!("known-{unique}-{verdict}-{before}"));
    }
}

#[test]
fn with_a_driver_under_slt_run() {
    let modes = ["", "--exact a.test", "--parallel --workers 2"];
    at_once(&LISTS.map(|list| modes.map(|mode| (list, mode))).concat(), |&((more, code, verdict), mode)| {
        let place = Place::new([("a.test", SCRIPT), ("z.test", PASSES)]);
        fs::write(place.path("known.toml"), entry(more)).unwrap();
        fs::write(place.path("driver.py"), DRIVER).unwrap();
        let mut command = place.dress(clean(env!("CARGO_BIN_EXE_slt")));
        command.args(["run", "--root", "tests", "--results", "results", "--known-failures", "known.toml"]);
        command.args(["--engine", "external:python3 driver.py"]).args(mode.split_whitespace());
        check(&place, place.start_command(command).wait(), mode, code, verdict);
    });
}
