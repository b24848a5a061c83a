//! Users' own engines, in their own cargo project that depends on the library by path.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::faulty_support::{alive_with, wait_until};
use crate::hooks::HOOKS;
use crate::settings::SETTLED;
use crate::support::{FAILS, PASSES, Printed, command};

/// The project's test targets: each an engine with the files it is run on.
pub struct Target {
    pub name: &'static str,
    pub source: &'static str,
    pub files: &'static [(&'static str, &'static str)],
}

/// The minimal engine of the README; here it returns the text after `SELECT`.
pub const README: Target = Target {
    name: "readme",
    source: r#"use slt_harness::{Suite, sqllogictest::{DB, DBOutput, DefaultColumnType}};
struct MyDb;
impl DB for MyDb {
    type Error = std::io::Error;
    type ColumnType = DefaultColumnType;
    fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, std::io::Error> {
        let value = sql.strip_prefix("SELECT ").ok_or_else(|| std::io::Error::other("no SELECT"))?;
        Ok(DBOutput::Rows { types: vec![], rows: vec![vec![value.to_owned()]] })
    }
}
fn main() -> std::process::ExitCode {
    slt_harness::main(Suite::new("tests/readme"), || Ok::<_, std::io::Error>(MyDb))
}
"#,
    files: &[
        ("a/fails.test", FAILS),
        ("a/passes.test", PASSES),
        ("errors.slt", "statement error no SELECT\nDROP TABLE t\n"),
    ],
};

/// An `AsyncDB` whose every value is the declared letters and the number of columns.
const LETTERS: Target = Target {
    name: "letters",
    source: r#"use slt_harness::sqllogictest::{AsyncDB, DBOutput, DefaultColumnType};
use slt_harness::{Adapter, Suite};
#[derive(Default)]
struct Echo { letters: String }
#[async_trait::async_trait]
impl AsyncDB for Echo {
    type Error = std::io::Error;
    type ColumnType = DefaultColumnType;
    async fn run(&mut self, _: &str) -> Result<DBOutput<DefaultColumnType>, std::io::Error> {
        let row = self.letters.chars().map(|letter| format!("{letter} of {}", self.letters)).collect();
        Ok(DBOutput::Rows { types: vec![], rows: vec![row] })
    }
    async fn shutdown(&mut self) {}
}
fn main() -> std::process::ExitCode {
    let engine = Adapter::new(|| Ok::<_, std::io::Error>(Echo::default()));
    slt_harness::main(Suite::new("tests/letters"), engine.letters(|db, letters| db.letters = letters.to_owned()))
}
"#,
    files: &[
        (
            "as_declared.test",
            "query ITR nosort\nSELECT\n----\nI of ITR\nT of ITR\nR of ITR\n\nquery T nosort\nSELECT\n----\nT of T\n",
        ),
        ("not_as_declared.test", "query II nosort\nSELECT\n----\nI of IT\nT of IT\n"),
    ],
};

/// An engine that panics on request, and again when it is dropped, like a value that holds a poisoned lock.
const PANICS: Target = Target {
    name: "panics",
    source: r#"use slt_harness::{Suite, sqllogictest::{DB, DBOutput, DefaultColumnType}};
struct Fragile(bool);
impl Drop for Fragile {
    fn drop(&mut self) {
        assert!(!self.0, "and so did the rest");
    }
}
impl DB for Fragile {
    type Error = std::io::Error;
    type ColumnType = DefaultColumnType;
    fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, std::io::Error> {
        self.0 |= sql == "SELECT panic";
        assert!(!self.0, "the planner lost its way");
        Ok(DBOutput::Rows { types: vec![], rows: vec![vec!["1".to_owned()]] })
    }
}
fn main() -> std::process::ExitCode {
    slt_harness::main(Suite::new("tests/panics"), || Ok::<_, std::io::Error>(Fragile(false)))
}
"#,
    files: &[
        ("a.test", PASSES),
        ("b.test", "query I\nSELECT 1\n----\n1\n\nquery I\nSELECT panic\n----\n1\n"),
        ("c.slt", "statement error\nSELECT panic\n"),
        ("d.slt", PASSES),
    ],
};

/// An engine to which no connection can be made.
const UNREACHABLE: Target = Target {
    name: "unreachable",
    source: r#"use slt_harness::{Suite, sqllogictest::{DB, DBOutput, DefaultColumnType}};
struct Never;
impl DB for Never {
    type Error = std::io::Error;
    type ColumnType = DefaultColumnType;
    fn run(&mut self, _: &str) -> Result<DBOutput<DefaultColumnType>, std::io::Error> {
        unreachable!()
    }
}
fn main() -> std::process::ExitCode {
    slt_harness::main(Suite::new("tests/unreachable"), || Err::<Never, _>("nothing listens there"))
}
"#,
    files: &[
        ("classic.test", "statement error\nCREATE TABLE t(a)\n"),
        ("modern.slt", "statement error\nCREATE TABLE t(a)\n"),
        ("worded.slt", "statement error nothing listens there\nCREATE TABLE t(a)\n"),
    ],
};

/// An `AsyncDB` that waits forever on request, and in another case does not return; each writes files.
const WAITS: Target = Target {
    name: "waits",
    source: r#"use slt_harness::Suite;
use slt_harness::sqllogictest::{AsyncDB, DBOutput, DefaultColumnType};
struct Leaves(&'static str);
impl Drop for Leaves {
    fn drop(&mut self) {
        std::fs::write(std::env::var_os("LEAVE_IN").unwrap().to_str().unwrap().to_owned() + self.0, "").unwrap();
    }
}
struct Waits { _connection: Leaves }
#[async_trait::async_trait]
impl AsyncDB for Waits {
    type Error = std::io::Error;
    type ColumnType = DefaultColumnType;
    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, std::io::Error> {
        if sql == "SELECT forever" {
            let _future = Leaves("/future");
            std::future::pending::<()>().await;
        }
        if sql == "SELECT hang" {
            drop(Leaves("/hangs"));
            loop { std::thread::sleep(std::time::Duration::from_secs(1)); }
        }
        Ok(DBOutput::Rows { types: vec![], rows: vec![vec!["1".to_owned()]] })
    }
    async fn shutdown(&mut self) {}
}
fn main() -> std::process::ExitCode {
    let connect = || Ok::<_, std::io::Error>(Waits { _connection: Leaves("/connection") });
    slt_harness::main(Suite::new("tests/waits"), connect)
}
"#,
    files: &[
        ("a.test", PASSES),
        ("forever.test", "query I\nSELECT 1\n----\n1\n\nquery I\nSELECT forever\n----\n1\n"),
        ("hangs.test", "query I\nSELECT 1\n----\n1\n\nquery I\nSELECT hang\n----\n1\n"),
        ("z.test", PASSES),
    ],
};

const TARGETS: [&Target; 6] = [&README, &LETTERS, &PANICS, &UNREACHABLE, &WAITS, &HOOKS];

/// Writes a file unless it already has this content: so cargo does not rebuild, and no test writes a file that another one
/// reads.
pub fn write(path: &Path, text: &str) {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return;
    }
    let folder = path.parent().unwrap();
    fs::create_dir_all(folder).unwrap();
    let mut file = tempfile::NamedTempFile::new_in(folder).unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    file.persist(path).unwrap();
}

/// The project, in cargo's target folder: always at the same path, so that only the first run builds the library.
fn project() -> PathBuf {
    let library = Path::new(env!("CARGO_MANIFEST_DIR"));
    let project = Path::new(env!("CARGO_TARGET_TMPDIR")).join("own-engine");
    let mut manifest = format!(
        "[package]\nname = \"own-engine\"\nedition = \"2024\"\nautotests = false\n\n\
         [workspace]\nmembers = [\"settled\"]\n\n\
         [dev-dependencies]\nasync-trait = \"0.1\"\nslt-harness = {{ path = {:?} }}\n\n[profile.dev]\ndebug = 0\n",
        library.join("harness")
    );
    for target in TARGETS {
        let name = target.name;
        manifest.push_str(&format!("\n[[test]]\nname = \"{name}\"\nharness = false\n"));
        write(&project.join(format!("tests/{name}.rs")), target.source);
        for (file, text) in target.files {
            write(&project.join("tests").join(name).join(file), text);
        }
    }
    write(&project.join("Cargo.toml"), &manifest);
    for (name, text) in SETTLED {
        write(&project.join("settled").join(name), &text.replace("LIBRARY", &format!("{:?}", library.join("harness"))));
    }
    write(&project.join("src/lib.rs"), "");
    project
}

/// The target folder of all projects that tests write, so that the library is built once.
pub fn target_folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("own-engine/target")
}

/// Gives a project the versions that the library itself is built with.
pub fn copy_versions(project: &Path) {
    let versions = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock")).unwrap();
    // Cargo changes the copy, so a second copy shows whether it is out of date.
    let copied = project.join("Cargo.lock.copied");
    if !fs::read_to_string(&copied).is_ok_and(|old| old == versions) {
        write(&project.join("Cargo.lock"), &versions);
        write(&copied, &versions);
    }
}

/// `cargo test` on one target of the project.
fn cargo_test(target: &Target) -> Printed {
    Printed::of(&mut cargo_test_command(target))
}

/// The command `cargo test` on one target of the project, with the versions that the library itself is built with.
pub fn cargo_test_command(target: &Target) -> Command {
    let mut cargo = in_project("test");
    cargo.args(["--test", target.name]);
    cargo
}

/// The command `cargo WORD` in the project.
pub fn in_project(word: &str) -> Command {
    let project = project();
    copy_versions(&project);
    let mut cargo = command(env!("CARGO"));
    cargo.current_dir(&project).env("CARGO_TARGET_DIR", target_folder());
    cargo.arg(word);
    cargo
}

/// The message of one file that failed.
pub fn failure<'s>(printed: &'s Printed, name: &str) -> &'s str {
    let heads = [format!("---- {name} stdout ----\n"), format!("---- {name} ----\n")];
    let found = heads.iter().find_map(|head| printed.out.split_once(head));
    let (_, rest) = found.unwrap_or_else(|| panic!("{printed:?}"));
    let text = rest.split("\n\n").next().unwrap();
    text.split_once("\nrun again: ").map_or(text, |(text, _)| text)
}

#[test]
fn an_own_engine_takes_fewer_than_15_lines_and_fails_at_the_wrong_record() {
    assert!(README.source.lines().count() < 15);
    let printed = cargo_test(&README);
    assert_eq!(printed.code, 101, "{printed:?}");
    assert_eq!(
        printed.verdicts(),
        ["test a/fails.test  ... FAILED", "test a/passes.test ... ok", "test errors.slt    ... ok",]
    );
    let text = failure(&printed, "a/fails.test");
    assert!(text.contains("[SQL] SELECT 1\n[Diff] (-expected|+actual)\n@@ line 6 @@\n- 2\n+ 1\nat "), "{text}");
    assert!(text.ends_with("tests/readme/a/fails.test:3"), "{text}");
    assert_eq!(printed.result(), "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out");
}

#[test]
fn an_async_engine_gets_the_letters_of_each_query() {
    let printed = cargo_test(&LETTERS);
    assert_eq!(printed.code, 101, "{printed:?}");
    assert_eq!(printed.verdict("as_declared.test"), Some("ok"), "{printed:?}");
    let text = failure(&printed, "not_as_declared.test");
    assert!(text.contains("- I of IT\n+ I of II\n- T of IT\n+ I of II\n"), "{text}");
}

#[test]
fn a_panic_fails_its_own_file_with_its_message_and_no_other() {
    let printed = cargo_test(&PANICS);
    assert_eq!(printed.code, 101, "{printed:?}");
    let failed = ["b.test", "c.slt"];
    for name in ["a.test", "b.test", "c.slt", "d.slt"] {
        let verdict = printed.verdict(name).unwrap_or_default();
        assert_eq!(verdict != "ok", failed.contains(&name), "{name}: {printed:?}");
    }
    for (name, line) in [("b.test", 6), ("c.slt", 1)] {
        let text = failure(&printed, name);
        assert!(text.contains("the planner lost its way\n[SQL] SELECT panic\n"), "{text}");
        let place = printed.out.split("the engine's adapter panicked at ").nth(1).unwrap_or_default();
        assert!(place.contains(".rs:") && printed.out.contains(": and so did the rest\n"), "{printed:?}");
        assert!(!printed.err.contains("panicked") && !printed.out.contains("stack backtrace"), "{printed:?}");
        assert!(text.contains(&format!("tests/panics/{name}:{line}")), "{text}");
    }
}

#[test]
fn an_unreachable_engine_never_counts_as_an_expected_error() {
    let printed = cargo_test(&UNREACHABLE);
    assert_eq!(printed.code, 101, "{printed:?}");
    let text = failure(&printed, "3 files that could not connect");
    assert!(text.starts_with("cannot connect to the engine: nothing listens there"), "{text}");
    assert_eq!(
        printed.out.matches("nothing listens there").count(),
        1,
        "what is the same everywhere is printed once: {printed:?}"
    );
    for (name, _) in UNREACHABLE.files {
        let listed = text.lines().find_map(|line| line.strip_prefix("files: ")).unwrap_or_default();
        assert!(listed.split(", ").any(|listed| listed == *name), "{printed:?}");
    }
    assert!(printed.result().starts_with("test result: FAILED. 0 passed; 3 failed;"), "{printed:?}");
}

#[test]
fn a_pending_future_is_dropped_at_the_time_limit_with_its_connection() {
    for mode in [&["--test-threads", "2"][..], &["--test-threads", "1"], &["--exact", "forever.test"], &["--parallel"]]
    {
        let place = tempfile::tempdir().unwrap();
        let mut cargo = cargo_test_command(&WAITS);
        cargo.env("LEAVE_IN", place.path()).env("SLT_RESULTS", place.path().join("results"));
        cargo.args(["--", "--file-timeout", "1", "--skip", "hangs"]).args(mode);
        let printed = Printed::of(&mut cargo);
        assert_eq!(
            (printed.code, printed.verdict("forever.test")),
            (101, Some("timed out after 1 s")),
            "{mode:?}: {printed:?}"
        );
        assert!(failure(&printed, "forever.test").ends_with("tests/waits/forever.test:6"), "{printed:?}");
        // No thread was abandoned, so the process can exit normally.
        assert!(place.path().join("future").exists() && place.path().join("connection").exists(), "{mode:?}");
        let others = printed.verdicts().iter().filter(|line| line.ends_with("... ok")).count();
        assert_eq!(others, if mode[0] == "--exact" { 0 } else { 2 }, "{mode:?}: {printed:?}");
    }
}

#[test]
fn ctrl_c_in_cargo_test_ends_everything_and_keeps_the_results() {
    use std::os::unix::process::CommandExt;

    for mode in [&["--test-threads", "2"][..], &["--parallel"], &["--parallel", "--workers", "2"]] {
        let place = tempfile::tempdir().unwrap();
        let results = place.path().join("results");
        let mut cargo = cargo_test_command(&WAITS);
        cargo.env("LEAVE_IN", place.path()).env("SLT_RESULTS", &results);
        cargo.args(["--", "--interrupt-grace", "1", "--skip", "forever"]).args(mode);
        let out = fs::File::create(place.path().join("out")).unwrap();
        cargo.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out).process_group(0);
        let mut cargo = cargo.spawn().unwrap();
        let group = cargo.id() as i32;
        wait_until("the engine hangs", || place.path().join("hangs").exists());
        // Like a terminal: the signal goes to cargo, the target and its workers at the same time.
        kill_process_group(Pid::from_raw(group).unwrap(), Signal::INT).unwrap();
        assert_eq!(cargo.wait().unwrap().code(), None, "{mode:?}: cargo ends by the signal");
        let mark = format!("LEAVE_IN={}", place.path().display());
        wait_until("all processes have ended", || alive_with(&mark).is_empty());
        let printed = fs::read_to_string(place.path().join("out")).unwrap();
        assert!(printed.contains("interrupted: ") && printed.contains("test result: "), "{mode:?}: {printed}");
        assert!(printed.contains("test hangs.test ... not run (interrupted)"), "{mode:?}: {printed}");
        let text =
            fs::read_to_string(results.join("results.json")).unwrap_or_else(|error| panic!("{error}: {printed}"));
        let kept: serde_json::Value = serde_json::from_str(&text).unwrap();
        let not_run = kept["outcomes"].as_array().unwrap().iter().filter(|outcome| outcome["verdict"] == "not_run");
        assert!(not_run.clone().any(|outcome| outcome["name"] == "hangs.test"), "{mode:?}: {kept}");
        assert_eq!(kept["total"]["failed"], 0, "{mode:?}: {kept}");
    }
}
