//! Which processes may take part in a run: only those that would reach the same verdicts. And which attempts do not count.

use std::fs;

use rustix::process::Signal;

use crate::faulty_support::{Ended, PASSES, Place, clean, fault, profile_folder, runs, wait_until};
use crate::support::at_once;

/// A script that passes together with the file it includes.
const INCLUDES: &str = "include b.part\n\nstatement ok\nSELECT 1\n";

/// Runs everything with the run id `one`, changes something, runs it again, and returns how the second process ends.
fn changed(mode: &str, before: &str, change: impl FnOnce(&Place), after: &str) -> Ended {
    let place = Place::new([("a.slt", INCLUDES), ("b.part", PASSES), ("c.test", PASSES)]);
    fs::write(place.path("known.toml"), "[[known]]\npath = \"bad.test\"\nreason = \"r\"\n").unwrap();
    fs::write(place.path("tests/bad.test"), fault("error on purpose")).unwrap();
    let known = "--known-failures known.toml";
    place.run(&format!("{mode} --run-id one {known} {before}")).exits(0);
    change(&place);
    place.run(&format!("{mode} --run-id one {known} {after}"))
}

fn write(name: &'static str, text: &'static str) -> impl FnOnce(&Place) {
    move |place: &Place| fs::write(place.path(name), text).unwrap()
}

#[test]
fn inputs_of_a_verdict_must_not_change_within_a_run() {
    for mode in ["", "--workers 2"] {
        changed(mode, "", |_| (), "").exits(0).says("the run is already finished");
        for resume in ["", "--resume"] {
            let file = changed(mode, "", write("tests/c.test", "statement ok\nSELECT nothing\n"), resume).exits(4);
            file.says("`c.test` differs in contents");
        }
        let included = changed(mode, "", write("tests/b.part", "statement ok\nSELECT nothing\n"), "").exits(4);
        included.says("`a.slt` differs in contents, includes");
        let list = "[[known]]\npath = \"bad.test\"\nreason = \"another\"\n";
        changed(mode, "", write("known.toml", list), "").exits(4).says("`--known-failures` is `1 entry, ");
        changed(mode, "", write("tests/d.test", PASSES), "").exits(4).says("`d.test` is only here");
    }
    for (before, after, words) in [
        ("", "--label mine", "`--label` is not given there and `mine` here"),
        ("--file-timeout 60", "", "`--file-timeout` is `60 s` there and not given here"),
        ("", "--engine sqlite", "`engine` is `sqlite, "),
        ("--engine-version 1", "--engine-version 2", "`engine` is `version 1` there and `version 2` here"),
        ("", "--dialect slt", "differ in contents, includes or dialect"),
        ("--retries 2", "--fail-fast", "`--retries` is `2` there and not given here"),
    ] {
        let ended = changed("", before, |_| (), after).exits(4);
        ended.says("run `one` in `results/queue` differs from what this process would run: ");
        ended.says(words);
    }
}

#[test]
fn a_run_is_resumed_unchanged_or_not_at_all() {
    at_once(&["", "--workers 1"], |mode| {
        let place = Place::with_many(60, &fault("sleep 300"));
        place.run(&format!("{mode} --time-budget 1")).exits(3);
        fs::write(place.path("tests/00.test"), PASSES).unwrap();
        let refused = place.run(&format!("{mode} --resume")).exits(4);
        refused.says("`00.test` differs in contents");
        fs::write(place.path("tests/00.test"), fault("sleep 300")).unwrap();
        place.run(&format!("{mode} --resume --time-budget 1")).says("resumed the run");
    });
}

#[test]
fn an_attempt_that_ended_because_the_run_did_does_not_count() {
    let place = Place::new([("a.test", runs("FAULT once mark hang"))]);
    let hangs = || place.path("mark").exists();
    for (round, signals) in
        [&[Signal::TERM, Signal::TERM][..], &[Signal::KILL], &[Signal::INT, Signal::TERM]].iter().enumerate()
    {
        let resume = if round == 0 { "" } else { "--resume" };
        let run = place.start(&format!("--workers 1 {resume}"));
        wait_until("the file runs", hangs);
        for (count, asked) in signals.iter().enumerate() {
            if count == 1 {
                run.says("interrupt again to kill");
            }
            run.signal(*asked);
        }
        let ended = run.wait();
        assert_eq!(ended.code, if signals.len() > 1 { Some(3) } else { None }, "{ended}");
        wait_until("nobody is left", || place.alive().is_empty());
        fs::remove_file(place.path("mark")).unwrap();
    }
    fs::write(place.path("mark"), "").unwrap();
    let ended = place.run("--workers 1 --resume").exits(0);
    assert_eq!(ended.verdicts(), [("a.test", "ok")], "{ended}");
}

#[test]
fn waiting_for_the_queues_lock_is_reported() {
    at_once(&["", "--workers 2"], |mode| {
        let place = Place::with_many(3, PASSES);
        fs::create_dir_all(place.path("results")).unwrap();
        let lock = fs::File::create(place.path("results/queue")).unwrap();
        fs2::FileExt::lock_exclusive(&lock).unwrap();
        let run = place.start(mode);
        run.says("waiting for the lock on `results/queue`, which another process holds");
        fs2::FileExt::unlock(&lock).unwrap();
        run.wait().exits(0);
        fs2::FileExt::lock_exclusive(&lock).unwrap();
        let ended = place.run(&format!("{mode} --time-budget 1")).exits(4);
        ended.says("another process has held the lock on `results/queue` for ");
    });
}

/// `slt run` in a place.
fn slt(place: &Place, arguments: &str) -> std::process::Output {
    let mut command = place.dress(clean(profile_folder().join("slt")));
    command.args(["run", "--root", "tests", "--results", "results"]).args(arguments.split_whitespace());
    command.output().unwrap()
}

#[test]
fn a_run_that_checks_nothing_is_not_a_success() {
    let place = Place::new([("select/joins.test", PASSES), ("none.test", "onlyif other\nstatement ok\nSELECT 1\n")]);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    for mode in ["", "--parallel --workers 1"] {
        for (filter, code, words) in [
            ("jions", 5, "no test file matches `jions`; did you mean `select/joins.test`?"),
            ("xyzzy", 5, "no test file matches `xyzzy`\n"),
            ("--skip test", 5, "no test file matches the filters"),
            ("joins jions", 0, "warning: no test file matches `jions`"),
            ("none", 5, "nothing in 1 file could be checked, so the exit code is 5"),
            ("", 0, ""),
        ] {
            let output = slt(&place, &format!("{mode} {filter}"));
            let printed = text(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{mode} {filter}: {printed}");
            assert!(printed.contains(words), "{mode} {filter}: {printed}");
        }
    }
    slt(&place, "none");
    let mut status = place.dress(clean(profile_folder().join("slt")));
    let status = status.args(["status", "--results", "results"]).output().unwrap();
    assert!(text(&status.stdout).starts_with("EMPTY: nothing in 1 file could be checked"), "{}", text(&status.stdout));
    place.run("jions").exits(5).says("no test file matches `jions`");
    place.run("none").exits(5).says("nothing in 1 file could be checked");
    // As in libtest, except for the text.
    let plain = crate::support::run(&place.path("tests"), &["jions"]);
    assert!(plain.code == 0 && plain.err.contains("warning: no test file matches `jions`; did you mean"), "{plain:?}");
    let plain = crate::support::run(&place.path("tests"), &["none"]);
    assert!(plain.code == 0 && plain.err.contains("nothing in 1 file could be checked\n"), "{plain:?}");
}
