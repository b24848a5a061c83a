//! The commands of the README work as they are typed, in their order.

use std::fs;
use std::path::Path;

use crate::support::{PASSES, Printed, command, folder, target_binary};

/// What begins a command that other tests run, or that needs a server, a network or a browser.
const ELSEWHERE: [&str; 7] = [
    "./scripts/sqllogictest run --engine",
    "./scripts/sqllogictest clean --engine",
    "cargo nextest run --test slt",
    "cargo test --test slt -- --report",
    "python3 scripts/run_parallel_tests.py --workers 4",
    "slt report --open",
    "SLT_CORPUS=path/to/files cargo test",
];

/// The exit codes of commands that do not exit with 0.
const CODES: [(&str, i32); 3] = [
    // Nothing has failed or changed since the run before.
    ("cargo test --test slt -- --failed", 5),
    ("cargo test --test slt -- --changed", 5),
    // Two of the bundled files have records that can never run, on purpose.
    ("slt check", 101),
];

/// The commands of the README, without comments.
fn commands() -> Vec<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let programs = ["./scripts/", "cargo ", "python3 ", "slt ", "SLT_CORPUS="];
    let lines = text.lines().filter_map(|line| line.strip_prefix("    "));
    let lines = lines.filter(|line| programs.iter().any(|program| line.starts_with(program)));
    lines.map(|line| line.split(" #").next().unwrap().trim_end().to_owned()).collect()
}

#[test]
fn its_commands_work_as_they_are_typed() {
    let home = folder(&[("new.slt", "query I\nSELECT 1\n----\n2\n"), ("sql/a.test", PASSES)]);
    let shown = |name: &str| home.path().join(name).display().to_string();
    let mut ran = 0;
    for typed in commands() {
        let is_target =
            ["cargo test --test slt", "cargo test --release --test slt"].iter().find(|head| typed.starts_with(**head));
        if typed == "cargo test" || ELSEWHERE.iter().any(|head| typed.starts_with(head)) {
            continue;
        }
        let (program, rest) = match is_target {
            Some(head) => (target_binary(), typed[head.len()..].trim_start().trim_start_matches("-- ")),
            None => (Path::new(env!("CARGO_BIN_EXE_slt")), typed.split_once(' ').unwrap().1),
        };
        let rest = rest.replace("path/to/new.slt", &shown("new.slt")).replace("path/to/test/sql", &shown("sql"));
        let mut run = command(program);
        // No word has a blank in its quotation marks.
        run.args(rest.split_whitespace().map(|word| word.trim_matches('\''))).current_dir(env!("CARGO_MANIFEST_DIR"));
        let printed = Printed::of(run.env("SLT_RESULTS", home.path().join("results")));
        let code = CODES.iter().find(|(command, _)| *command == typed).map_or(0, |(_, code)| *code);
        assert_eq!(printed.code, code, "{typed}: {printed:?}");
        let unmatched =
            ["no test file matches", "no test file is named"].iter().any(|words| printed.err.contains(words));
        assert!(!unmatched && !printed.out.contains("test result: ok. 0 passed"), "{typed}: {printed:?}");
        ran += 1;
    }
    assert!(ran >= 18, "{ran} commands");
    assert!(fs::read_to_string(home.path().join("new.slt")).unwrap().ends_with("----\n1\n"), "it was blessed");
}
