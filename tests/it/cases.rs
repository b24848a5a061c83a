//! Scripts that must fail, each with exactly the text in `NAME.expected`.
//!
//! `SLT_TEST_UPDATE=1 cargo test --test it cases` regenerates these; then read them as a user would.

use std::fs;
use std::path::Path;

use crate::support::{Printed, command, target_binary};

fn cases(threads: &str) -> Vec<(String, String)> {
    let results = tempfile::tempdir().unwrap();
    let printed = Printed::of(command(target_binary()).env("SLT_RESULTS", results.path()).args([
        "--root",
        "tests/cases",
        "--format",
        "json",
        "--test-threads",
        threads,
    ]));
    assert_eq!(printed.code, 101, "{printed:?}");
    let events = printed.out.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let ended = events.filter(|event| event["type"] == "test" && event["event"] != "started");
    let mut cases: Vec<(String, String)> = ended
        .map(|event| {
            let path = event["path"].as_str().unwrap().to_owned();
            assert_eq!(event["event"], "failed", "{path} must fail");
            let text = event["stdout"].as_str().unwrap();
            (path, text.replace(results.path().to_str().unwrap(), "RESULTS"))
        })
        .collect();
    cases.sort();
    cases
}

#[test]
fn every_case_fails_with_its_expected_text_serially_and_in_parallel() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let found = cases("1");
    assert_eq!(found, cases("4"));
    assert!(found.len() > 50, "{} cases", found.len());
    let bless = std::env::var_os("SLT_TEST_UPDATE").is_some();
    for (name, text) in found {
        let beside = folder.join(format!("{name}.expected"));
        if bless {
            fs::write(&beside, &text).unwrap();
        }
        let expected = fs::read_to_string(&beside).unwrap_or_default();
        assert!(text == expected, "{name} says:\n{text}\nand should say:\n{expected}");
    }
}
