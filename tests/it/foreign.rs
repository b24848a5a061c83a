//! Text from test files cannot control a terminal, a log or GitHub.

use std::path::Path;

use crate::support::{Printed, command, folder, target_binary};

/// A script whose SQL, error message and reason contain control sequences and commands.
const HOSTILE: &str = "\
statement ok
::error::one

statement ok
SELECT '\u{1b}[2J##[error]two\u{9b}1m\u{202e}'; ::warning::three

query T
SELECT '::error::four' || char(10) || '::error::five' || char(27) || char(13) || '##[group]six'
----
::error::seven
\u{1b}]0;eight\u{7}
";

/// Asserts that no line contains control sequences or commands, except our own colours.
fn assert_inert(text: &str, which: &str) {
    for line in text.split('\n') {
        let control = |c: char| (c.is_control() && c != '\t') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2028}');
        assert!(!line.contains(control), "{which}: {line:?}");
        assert!(!line.trim_start().starts_with("::"), "{which}: {line:?}");
        assert!(!line.contains("##["), "{which}: {line:?}");
    }
}

fn slt(root: &Path, arguments: &[&str]) -> Printed {
    let mut slt = command(env!("CARGO_BIN_EXE_slt"));
    Printed::of(slt.args(arguments).env("SLT_CORPUS", root).env("SLT_RESULTS", root.join("results")))
}

#[test]
fn foreign_text_controls_neither_a_terminal_nor_github() {
    let known = "[[known]]\npath = \"known.slt\"\nreason = \"\\u001b[31m\\n::error::known\"\n";
    let root = folder(&[("known.slt", HOSTILE), ("sub/hostile ##[error].slt", HOSTILE), ("known.toml", known)]);
    let list = root.path().join("known.toml");
    let list = list.to_str().unwrap();
    for arguments in [
        &[][..],
        &["--format", "terse"],
        &["--format", "json"],
        &["--test-threads", "1", "--report-time"],
        &["--parallel", "--workers", "2"],
        &["--list"],
    ] {
        let mut run = command(target_binary());
        run.env("SLT_CORPUS", root.path()).env("SLT_RESULTS", root.path().join("results"));
        let printed = Printed::of(run.args(arguments).args(["--known-failures", list]));
        assert_eq!(printed.code, if arguments == ["--list"] { 0 } else { 101 }, "{printed:?}");
        assert!(printed.out.contains("hostile"), "{printed:?}");
        assert_inert(&printed.out, &format!("{arguments:?}, standard output"));
        assert_inert(&printed.err, &format!("{arguments:?}, standard error"));
    }
    for arguments in [
        &["run", "--known-failures", list][..],
        &["test", "known.slt"],
        &["status"],
        &["status", "--json"],
        &["analyze"],
        &["analyze", "--json"],
        &["punchlist"],
        &["diff"],
        &["query", "SELECT name, message, sql FROM failures"],
        &["query", "--format", "csv", "SELECT * FROM failures"],
        &["query", "--format", "json", "SELECT * FROM failures"],
        &["run", "::error::nosuch\u{1b}[2J"],
    ] {
        let printed = slt(root.path(), arguments);
        assert_inert(&printed.out, &format!("slt {arguments:?}, standard output: {}", printed.out));
        assert_inert(&printed.err, &format!("slt {arguments:?}, standard error: {}", printed.err));
    }
}
