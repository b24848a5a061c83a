//! The options that an engine's author can set for an engine, its files and its runs.

use std::fs;
use std::path::Path;

use crate::faulty_support::wait_until;
use crate::own_engine::{Target, cargo_test_command, failure};
use crate::support::{Printed, command, folder};

/// A target that sets all options of an engine's author. The SQL of a record has the types of its result, and its rows.
pub const HOOKS: Target = Target {
    name: "hooks",
    source: r#"use std::io::{self, Write};
use slt_harness::sqllogictest::{ColumnType, DB, DBOutput, DefaultColumnType};
use slt_harness::{Adapter, Skip, Suite, Target, clap, run_value};
struct Echo { left: bool }
impl DB for Echo {
    type Error = io::Error;
    type ColumnType = DefaultColumnType;
    fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, io::Error> {
        let (types, rows) = match sql {
            "LEAVE" => {
                self.left = true;
                return Ok(DBOutput::StatementComplete(3));
            }
            "PORT" => ("T", run_value("ECHO_PORT").unwrap_or_default()),
            sql => sql.split_once(' ').map(|(types, rows)| (types, rows.to_owned())).ok_or(io::ErrorKind::Other)?,
        };
        let types = types.chars().filter_map(DefaultColumnType::from_char).collect();
        let rows = rows.split('/').map(|row| row.split(',').map(str::to_owned).collect()).collect();
        Ok(DBOutput::Rows { types, rows })
    }
    fn engine_name(&self) -> &str { "Echo" }
}
fn log(word: &str) -> io::Result<()> {
    let path = std::env::var("ECHO_LOG").map_err(io::Error::other)?;
    writeln!(std::fs::File::options().append(true).create(true).open(path)?, "{word} {}", std::process::id())
}
#[derive(clap::Args)]
struct Own {
    /// Run the spatial files too
    #[arg(long, env = "ECHO_GIS")]
    gis: bool,
}
fn main() -> std::process::ExitCode {
    slt_harness::main_with(|own: Own| {
        let engine = Adapter::for_script(async move |script| match script.name.starts_with("gis") && !own.gis {
            true => Err(Skip::new("no spatial types")),
            false => Ok(Echo { left: false }),
        });
        let engine = engine.strict_types().trim_only().after_script(async |db| match db.left {
            true => Err(io::Error::other("a setting is left changed")),
            false => Ok(()),
        });
        let engine = match std::env::var("ECHO_PANIC").is_ok() {
            true => engine.validator(|_, _, _| panic!("the validator lost its way")),
            false => engine,
        };
        Target::new(Suite::new("tests/hooks").exclude(["slow/**"], "slow"), engine)
            .label("echo2")
            .before_run(|values| {
                log("before")?;
                values.set("ECHO_PORT", "7");
                if std::env::var("ECHO_FAIL").is_ok() { Err(io::Error::other("no port is free")) } else { Ok(()) }
            })
            .after_run(|| {
                log("after")?;
                if std::env::var("ECHO_FAIL_AFTER").is_ok() { Err(io::Error::other("the port is still open")) } else { Ok(()) }
            })
    })
}
"#,
    files: &[
        (
            "ok.slt",
            "query IT\nIT 1,a  b\n----\n1 a  b\n\nstatement count 2\nI 1/2\n\nquery I rowsort\nI 2,3/1\n----\n1\n2 3\n\n\
             query T\nPORT\n----\n7\n\nonlyif echo2\nquery T\nT x\n----\nx\n",
        ),
        ("types.slt", "query R\nI 1\n----\n1\n\nquery III\nI 1\n----\n1\n\nquery I\nI 1\n----\n1\n"),
        ("space.slt", "query T\nT a  b\n----\na b\n\nquery T\nT a  b \n----\na  b\n"),
        ("left.slt", "statement count 3\nLEAVE\n"),
        ("gis.slt", "query T\nT x\n----\nx\n"),
        ("slow/a.slt", "query T\nT x\n----\ny\n"),
    ],
};

/// Runs the target `hooks` with these arguments and variables; returns what it printed, and what its set-up logged.
fn hooks(arguments: &[&str], variables: &[(&str, &str)]) -> (Printed, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut command = cargo_test_command(&HOOKS);
    command.arg("--").args(arguments).env("ECHO_LOG", &log).env("SLT_RESULTS", folder.path().join("results"));
    let printed = Printed::of(command.envs(variables.iter().copied()));
    let read = || fs::read_to_string(&log).unwrap_or_default();
    (printed, read().lines().map(str::to_owned).collect())
}

/// The words of a log, and whether one process wrote them all.
fn by_one_process(log: &[String]) -> (Vec<&str>, bool) {
    let lines: Vec<(&str, &str)> = log.iter().filter_map(|line| line.split_once(' ')).collect();
    (lines.iter().map(|(word, _)| *word).collect(), lines.windows(2).all(|pair| pair[0].1 == pair[1].1))
}

#[test]
fn what_an_engines_author_says_holds_in_threads_and_in_workers() {
    for arguments in [&[][..], &["--parallel", "--workers", "2"], &["--parallel"]] {
        let (printed, log) = hooks(arguments, &[]);
        assert_eq!(printed.code, 101, "{printed:?}");
        for (name, verdict) in [
            ("ok.slt", "ok"),
            ("types.slt", "FAILED"),
            ("space.slt", "FAILED"),
            ("left.slt", "FAILED"),
            ("gis.slt", "ignored (no spatial types)"),
            ("slow/a.slt", "ignored (slow)"),
        ] {
            assert_eq!(printed.verdict(name), Some(verdict), "{arguments:?} {printed:?}");
        }
        for text in [
            "query columns mismatch\n  declared: R\n  actual:   I\n",
            "query columns mismatch\n  declared: III\n  actual:   I\n",
            "[SQL] T a  b\n[Diff] (-expected|+actual)\n@@ line 4 @@\n- \"a·b\"\n+ \"a··b\"\n",
            "after the last record: a setting is left changed\n",
        ] {
            assert_eq!(printed.out.matches(text).count(), 1, "{text}: {printed:?}");
        }
        assert_eq!(by_one_process(&log), (vec!["before", "after"], true), "{arguments:?}: {log:?}");
    }
}

#[test]
fn under_nextest_one_process_does_the_set_up_for_all_files_and_ends_it_after_the_last() {
    if Printed::of(command(env!("CARGO")).args(["nextest", "--version"])).code != 0 {
        assert!(std::env::var_os("CI").is_none(), "cargo has no nextest");
        return eprintln!("not tested: cargo has no nextest");
    }
    let (printed, _) = hooks(&["--list"], &[]);
    assert_eq!(printed.code, 0, "{printed:?}");
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let project = Path::new(env!("CARGO_TARGET_TMPDIR")).join("own-engine");
    let mut nextest = command(env!("CARGO"));
    nextest.current_dir(&project).env("CARGO_TARGET_DIR", project.join("target"));
    nextest.env("ECHO_LOG", &log).env("SLT_RESULTS", folder.path().join("results"));
    nextest.args(["nextest", "run", "--test", "hooks", "--no-fail-fast"]);
    let printed = Printed::of(&mut nextest);
    assert_eq!(printed.code, 100, "{printed:?}");
    assert!(printed.err.contains("6 tests run: 3 passed, 3 failed"), "{printed:?}");
    let read = || fs::read_to_string(&log).unwrap_or_default();
    wait_until("the set-up is ended", || read().contains("after"));
    let lines: Vec<String> = read().lines().map(str::to_owned).collect();
    assert_eq!(by_one_process(&lines), (vec!["before", "after"], true), "{lines:?}");
}

#[test]
fn a_set_up_that_fails_ends_the_run_with_4_before_any_file_and_its_teardown_still_runs() {
    for arguments in [&[][..], &["--parallel", "--workers", "2"], &["--parallel"]] {
        let (printed, log) = hooks(arguments, &[("ECHO_FAIL", "1")]);
        assert_eq!(printed.code, 4, "{printed:?}");
        assert!(printed.err.contains("(`before_run`) failed, so no file was run: no port is free"), "{printed:?}");
        assert!(!printed.out.contains("test ok.slt"), "{printed:?}");
        assert_eq!(by_one_process(&log), (vec!["before", "after"], true), "{arguments:?}: {log:?}");
    }
    let (printed, log) = hooks(&["--list"], &[]);
    assert!(printed.code == 0 && log.is_empty(), "a list needs no set-up: {log:?} {printed:?}");
}

#[test]
fn a_teardown_that_fails_ends_a_green_run_with_4_and_says_why() {
    for arguments in [&["ok.slt"][..], &["ok.slt", "--parallel", "--workers", "2"], &["ok.slt", "--parallel"]] {
        let (printed, log) = hooks(arguments, &[("ECHO_FAIL_AFTER", "1")]);
        assert_eq!(printed.code, 4, "{arguments:?} {printed:?}");
        assert!(printed.err.contains("(`after_run`) failed: the port is still open"), "{arguments:?} {printed:?}");
        assert_eq!(by_one_process(&log), (vec!["before", "after"], true), "{arguments:?}: {log:?}");
    }
    let (printed, _) = hooks(&["ok.slt", "--parallel"], &[]);
    assert_eq!(printed.code, 0, "an earlier failure is forgotten: {printed:?}");
}

#[test]
fn a_flag_of_ones_own_and_a_hook_that_panics() {
    let (printed, _) = hooks(&["gis", "--gis"], &[]);
    assert_eq!((printed.code, printed.verdict("gis.slt")), (0, Some("ok")), "{printed:?}");
    let (printed, _) = hooks(&["gis"], &[("ECHO_GIS", "true"), ("ECHO_PANIC", "1")]);
    assert_eq!(printed.code, 101, "{printed:?}");
    let text = failure(&printed, "gis.slt");
    assert!(
        text.starts_with("the engine's validator panicked at ")
            && text.contains(": the validator lost its way\n[SQL] T x\n"),
        "{text}"
    );
    assert!(text.ends_with("tests/hooks/gis.slt:1"), "{text}");
    let (printed, _) = hooks(&["--complete"], &[]);
    assert!(printed.code == 2 && printed.err.contains("here, `--bless` rewrites"), "{printed:?}");
}

#[test]
fn reports_call_the_engine_by_its_name() {
    for arguments in [&["ok.slt"][..], &["ok.slt", "--parallel", "--workers", "1"]] {
        let results = tempfile::tempdir().unwrap();
        let path = results.path().display().to_string();
        let (printed, _) = hooks(&[arguments, &["--report", "--results", &path]].concat(), &[]);
        assert_eq!(printed.code, 0, "{printed:?}");
        for (file, text) in [
            ("results.json", "\"engine\":\"Echo\""),
            ("junit.xml", "slt on Echo"),
            ("report.html", "SQLLogicTest on <strong>Echo</strong>"),
        ] {
            let written = fs::read_to_string(results.path().join(file)).unwrap();
            assert!(written.contains(text), "{file}");
        }
    }
}

#[test]
fn what_is_blessed_has_the_types_of_the_adapter() {
    let text = "query\nITR 1,a,2.5\n----\n7\n\nquery II\nIT 1,a\n----\n1 a\n\nquery R\nI 1,2/3\n----\n\n\
                query T\nT took 5 s/b  c/d\n----\ntook <slt:ignore> s\nb c\nd\n";
    let files = folder(&[("a.slt", text)]);
    let root = files.path().display().to_string();
    let (printed, _) = hooks(&["--root", &root, "--bless", "--bless-errors"], &[]);
    assert_eq!(printed.code, 0, "{printed:?}");
    let blessed = fs::read_to_string(files.path().join("a.slt")).unwrap();
    assert_eq!(
        blessed,
        "query ITR\nITR 1,a,2.5\n----\n1 a 2.5\n\nquery IT\nIT 1,a\n----\n1 a\n\nquery I\nI 1,2/3\n----\n1 2\n3\n\n\
         query T\nT took 5 s/b  c/d\n----\ntook <slt:ignore> s\nb  c\nd\n"
    );
    assert_eq!(hooks(&["--root", &root], &[]).0.code, 0);
}
