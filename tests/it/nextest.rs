//! The test target under nextest: a process for each file, and a JUnit report.
//!
//! If cargo has no nextest, these tests print that and run nothing; with `CI` set they fail instead.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::support::{FAILS, PASSES, Printed, command, folder};

/// A file in which nothing applies to SQLite.
const INAPPLICABLE: &str = "onlyif mysql\nquery I\nSELECT 1\n----\n1\n";

/// A verdict of nextest, as in its JUnit report.
#[derive(Debug, Default)]
struct Case {
    /// The text of the failure, if any.
    failure: Option<String>,
    /// The process's standard error; nextest keeps it only for failures.
    err: String,
}

/// Nextest with the project's own configuration, and its own folder for the report.
struct Nextest {
    store: TempDir,
}

impl Nextest {
    fn new() -> Option<Nextest> {
        let version = Printed::of(command(env!("CARGO")).args(["nextest", "--version"]));
        if version.code != 0 {
            assert!(std::env::var_os("CI").is_none(), "cargo has no nextest: {}", version.err);
            eprintln!("not tested: cargo has no nextest");
            return None;
        }
        // Tests run at the same time, and nextest may run these tests, too: they must not share a report.
        let store = tempfile::tempdir().unwrap();
        let config = fs::read_to_string(project().join(".config/nextest.toml")).unwrap();
        let folder = toml_string(&store.path().join("store"));
        fs::write(store.path().join("nextest.toml"), format!("{config}\n[store]\ndir = {folder}\n")).unwrap();
        Some(Nextest { store })
    }

    /// `cargo nextest WORD` in the project.
    fn command(&self, word: &str) -> Command {
        let mut command = command(env!("CARGO"));
        command
            .args(["nextest", word, "--color", "never", "--config-file"])
            .arg(self.store.path().join("nextest.toml"));
        command.current_dir(project());
        command
    }

    /// `cargo nextest WORD` on the test target, with the build settings of these tests.
    fn on_target(&self, word: &str) -> Command {
        let mut command = self.command(word);
        command.args(["--locked", "--test", "slt"]);
        if !cfg!(debug_assertions) {
            command.arg("--release");
        }
        command
    }

    /// A run with the profile `ci` over `corpus`.
    fn run(&self, corpus: &str) -> Command {
        let mut command = self.on_target("run");
        command.args(["--profile", "ci"]).env("SLT_CORPUS", corpus);
        command
    }

    /// The JUnit report of the last run with the profile `ci`, by test name.
    fn report(&self) -> BTreeMap<String, Case> {
        let text = fs::read_to_string(self.store.path().join("store/ci/junit.xml")).unwrap();
        let document = roxmltree::Document::parse(&text).unwrap();
        let cases = document.descendants().filter(|node| node.has_tag_name("testcase"));
        let cases = cases.map(|node| {
            assert!(!node.children().any(|child| child.has_tag_name("skipped")), "{text}");
            let of = |tag: &str| {
                let mut found = node.children().filter(|child| child.has_tag_name(tag));
                found.next().map(|child| child.text().unwrap_or_default().to_owned())
            };
            let failure = of("failure").or_else(|| of("error"));
            (node.attribute("name").unwrap().to_owned(), Case { failure, err: of("system-err").unwrap_or_default() })
        });
        cases.collect()
    }

    /// The names in the report, each with whether it passed.
    fn verdicts(&self) -> BTreeMap<String, bool> {
        self.report().into_iter().map(|(name, case)| (name, case.failure.is_none())).collect()
    }
}

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn toml_string(path: &Path) -> String {
    // A JSON string without exotic characters is a TOML string.
    serde_json::to_string(path.to_str().unwrap()).unwrap()
}

fn path(folder: &TempDir) -> &str {
    folder.path().to_str().unwrap()
}

/// The verdicts of `cargo test` for the files in `corpus`, by name: whether nextest should count each as passed.
fn verdicts_of_cargo_test(corpus: &str) -> (i32, BTreeMap<String, bool>) {
    let mut cargo = command(env!("CARGO"));
    cargo.current_dir(project()).env("SLT_CORPUS", corpus).args(["test", "--locked", "--test", "slt"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let printed = Printed::of(cargo.args(["--", "--format", "json"]));
    let events = printed.out.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let ended = events.filter(|event| event["type"] == "test" && event["event"] != "started");
    let verdicts =
        ended.map(|event| (event["path"].as_str().unwrap().to_owned(), event["event"] != "failed")).collect();
    (printed.code, verdicts)
}

#[test]
fn nextest_has_the_same_verdict_for_each_file() {
    let Some(nextest) = Nextest::new() else { return };
    let own = folder(&[
        ("own/fails.test", FAILS),
        ("own/inapplicable.test", INAPPLICABLE),
        ("own/unreadable.slt", "query\n"),
    ]);
    let bundled = project().join("tests/corpus").display().to_string();
    for (corpus, codes, failures) in [(&bundled, (0, 0), 0), (&format!("{bundled}:{}", path(&own)), (100, 101), 2)] {
        let printed = Printed::of(&mut nextest.run(corpus));
        let (code, expected) = verdicts_of_cargo_test(corpus);
        assert_eq!((printed.code, code), codes, "{}", printed.err);
        assert_eq!(nextest.verdicts(), expected);
        assert!(expected.len() > 50, "{expected:?}");
        assert_eq!(expected.values().filter(|passed| !**passed).count(), failures, "{expected:?}");
    }
}

#[test]
fn a_failing_file_exits_with_100_and_junit_shows_position_sql_and_diff() {
    let Some(nextest) = Nextest::new() else { return };
    let root = folder(&[("a/fails.test", FAILS), ("a/passes.test", PASSES)]);
    let printed = Printed::of(&mut nextest.run(path(&root)));
    assert_eq!(printed.code, 100, "{}", printed.err);
    let report = nextest.report();
    assert_eq!(report.len(), 2, "{report:?}");
    assert!(report["a/passes.test"].failure.is_none(), "{report:?}");
    let place = root.path().join("a/fails.test").display().to_string();
    let shown = format!("[SQL] SELECT 1\n[Diff] (-expected|+actual)\n@@ line 6 @@\n- 2\n+ 1\nat {place}:3");
    assert!(report["a/fails.test"].failure.as_ref().is_some_and(|text| text.contains(&shown)), "{report:?}");
}

#[test]
fn a_file_in_which_nothing_applies_counts_as_passed() {
    let Some(nextest) = Nextest::new() else { return };
    let root = folder(&[("inapplicable.test", INAPPLICABLE)]);
    let printed = Printed::of(&mut nextest.run(path(&root)));
    assert_eq!((printed.code, nextest.verdicts()["inapplicable.test"]), (0, true), "{}", printed.err);
}

#[test]
fn variables_replace_the_flags_that_nextest_does_not_pass_on() {
    let Some(nextest) = Nextest::new() else { return };
    let endless =
        "query I\nWITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n\n----\n1\n";
    let root = folder(&[("a/endless.test", endless), ("a/passes.test", PASSES), ("b/fails.test", FAILS)]);
    let printed = Printed::of(
        nextest
            .run(path(&root))
            .env("SLT_FILES", "endless, a/passes")
            .env("SLT_FILE_TIMEOUT", "1")
            .env("SLT_PARALLEL", "1")
            .env("SLT_WORKERS", "2"),
    );
    assert_eq!(printed.code, 100, "{}", printed.err);
    let report = nextest.report();
    assert_eq!(report.keys().collect::<Vec<_>>(), ["a/endless.test", "a/passes.test"]);
    assert!(report["a/passes.test"].failure.is_none(), "{report:?}");
    let text = report["a/endless.test"].failure.as_ref().unwrap();
    assert!(text.contains("WITH RECURSIVE") && text.contains("a/endless.test:1"), "{text}");
}

#[test]
fn an_invalid_variable_is_named_when_listing() {
    let Some(nextest) = Nextest::new() else { return };
    let root = folder(&[("passes.test", PASSES)]);
    let printed = Printed::of(nextest.run(path(&root)).env("SLT_FILE_TIMEOUT", "soon"));
    assert_ne!(printed.code, 0, "{printed:?}");
    assert!(printed.err.contains("SLT_FILE_TIMEOUT"), "{}", printed.err);
}

#[test]
fn names_with_blanks_quotes_and_umlauts_run_and_are_reported() {
    let Some(nextest) = Nextest::new() else { return };
    let passing = ["with blank/two  blanks.test", "o'clock.slt", "say \"hi\".test", "größe/日本.test", "a&b <c>.slt"];
    let files: Vec<(&str, &str)> =
        passing.iter().map(|name| (*name, PASSES)).chain([("ein Fehler – ü.test", FAILS)]).collect();
    let root = folder(&files);
    let printed = Printed::of(&mut nextest.run(path(&root)));
    assert_eq!(printed.code, 100, "{}", printed.err);
    let expected = files.iter().map(|(name, text)| ((*name).to_owned(), *text == PASSES)).collect();
    assert_eq!(nextest.verdicts(), expected);
}

#[test]
fn a_file_that_disappears_before_its_test_fails() {
    let Some(nextest) = Nextest::new() else { return };
    let root = folder(&[("b.slt", PASSES), ("c.slt", PASSES)]);
    let remove = format!("system ok\nrm '{}'\n", root.path().join("b.slt").display());
    fs::write(root.path().join("a.slt"), remove).unwrap();
    let printed = Printed::of(nextest.run(path(&root)).args(["--test-threads", "1"]).env("SLT_ALLOW_SYSTEM", "1"));
    assert_eq!(printed.code, 100, "{}", printed.err);
    let report = nextest.report();
    assert!(report["a.slt"].failure.is_none() && report["c.slt"].failure.is_none(), "{report:?}");
    assert!(report["b.slt"].failure.is_some(), "{report:?}");
    assert!(report["b.slt"].err.contains("no test file is named `b.slt`"), "{report:?}");
}

/// Copies a folder with its contents.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.as_ref().unwrap().file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).unwrap();
        }
    }
}

#[test]
fn an_archive_finds_the_files_of_the_folder_it_is_unpacked_for() {
    let Some(nextest) = Nextest::new() else { return };
    let elsewhere = folder(&[("tests/corpus/moved/only_here.test", PASSES)]);
    copy(&project().join("tests/corpus"), &elsewhere.path().join("tests/corpus"));
    for name in ["Cargo.toml", "Cargo.lock"] {
        fs::copy(project().join(name), elsewhere.path().join(name)).unwrap();
    }
    let archive: PathBuf = nextest.store.path().join("archive.tar.zst");
    // The program that creates the archive knows only the bundled corpus.
    let packed = Printed::of(nextest.on_target("archive").arg("--archive-file").arg(&archive));
    assert_eq!(packed.code, 0, "{}", packed.err);
    let mut unpack = nextest.command("run");
    unpack.current_dir(elsewhere.path()).args(["--profile", "ci", "--workspace-remap", ".", "--archive-file"]);
    let printed = Printed::of(unpack.arg(&archive));
    assert_eq!(printed.code, 0, "{}", printed.err);
    let (_, mut expected) = verdicts_of_cargo_test(project().join("tests/corpus").to_str().unwrap());
    expected.insert("moved/only_here.test".to_owned(), true);
    assert_eq!(nextest.verdicts(), expected);
}
