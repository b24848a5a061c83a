//! The exit code of a run and the output of `slt status` agree, whatever happened to the files.

use std::fs;

use crate::faulty_support::{Ended, PASSES, Place, clean, fault};
use crate::support::at_once;

/// A file of each kind: its name, its text, and the result of a run of it alone.
fn kinds() -> [(&'static str, String, &'static str); 8] {
    [
        ("ok.test", PASSES.to_owned(), "passed"),
        ("failed.test", fault("error x"), "FAILED"),
        ("flaky.test", fault("once tripped error x"), "passed"),
        ("known.test", fault("error x"), "passed"),
        ("fixed.test", PASSES.to_owned(), "FAILED"),
        ("hangs.test", fault("hang"), "FAILED"),
        ("crashed.test", fault("abort"), "FAILED"),
        ("ignored.test", "skipif sqlite\nstatement ok\nSELECT 1\n".to_owned(), "EMPTY"),
    ]
}

const KNOWN: &str =
    "[[known]]\npath = \"known.test\"\nreason = \"r\"\n\n[[known]]\npath = \"fixed.test\"\nreason = \"r\"\n";

/// The exit code for a first word of `slt status`; `cargo test` is green if nothing could be checked, like libtest.
fn code(word: &str, is_strict: bool) -> i32 {
    match word {
        "passed" => 0,
        "FAILED" => 101,
        "INCOMPLETE" => 3,
        "EMPTY" if is_strict => 5,
        "EMPTY" => 0,
        other => panic!("no such word: {other}"),
    }
}

fn status(place: &Place) -> Ended {
    let mut command = place.dress(clean(env!("CARGO_BIN_EXE_slt")));
    command.args(["status", "--results", "results"]);
    place.start_command(command).wait()
}

/// Runs these files, and checks that the run has this result.
fn check(place: &Place, mode: &str, files: &[&str], word: &str) {
    let _ = fs::remove_file(place.path("tripped"));
    let mut command = place.serial();
    command.args(mode.split_whitespace()).args(files);
    if files.iter().any(|file| ["known.test", "fixed.test"].contains(file)) {
        command.args(["--known-failures", "known.toml"]);
    }
    let ended = place.start_command(command).wait();
    let printed = status(place).exits(0);
    assert_eq!(printed.stdout.split([':', ' ']).next(), Some(word), "{mode} {files:?}: {printed}\n{ended}");
    assert_eq!(ended.code, Some(code(word, mode.contains("--parallel"))), "{mode} {files:?}: {printed}\n{ended}");
}

#[test]
fn they_agree_on_every_kind_of_file_and_every_pair_of_kinds() {
    let kinds = kinds();
    let mode = "--parallel --workers 2 --retries 1 --crash-retries 0 --file-timeout 1 --exact";
    let mut runs = Vec::new();
    for (index, (first, _, word)) in kinds.iter().enumerate() {
        runs.push((mode, vec![*first], *word));
        if !["flaky.test", "crashed.test"].contains(first) {
            runs.push(("--file-timeout 1 --exact", vec![*first], *word));
        }
        for (second, _, other) in &kinds[index + 1..] {
            // One failure fails the run; otherwise it is empty only if both files are.
            let both = ["FAILED", "passed", "EMPTY"].into_iter().find(|both| word == both || other == both);
            runs.push((mode, vec![*first, *second], both.unwrap()));
        }
    }
    at_once(&runs, |(mode, files, word)| {
        let place = Place::new(kinds.iter().map(|(name, text, _)| (*name, text.as_str())));
        fs::write(place.path("known.toml"), KNOWN).unwrap();
        check(&place, mode, files, word);
    });
}

#[test]
fn they_agree_on_an_unfinished_run_and_on_one_without_files() {
    let kinds = kinds();
    let place = Place::new(kinds.iter().map(|(name, text, _)| (*name, text.as_str())));
    check(&place, "--parallel --workers 1 --time-budget 0.000001 --exact", &["ok.test", "failed.test"], "INCOMPLETE");
    check(&place, "--parallel --time-budget 0.000001 --exact", &["ok.test", "ignored.test"], "INCOMPLETE");
    fs::remove_dir_all(place.path("results")).unwrap();
    let mut command = place.command("nosuch");
    command.arg("--workers=1");
    place.start_command(command).wait().exits(5);
    status(&place).exits(2).says("no run is on record in `results`");
}
