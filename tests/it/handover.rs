//! `slt` in the packages of users: it hands commands over to their test targets.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::faulty_support::wait_until;
use crate::own_engine::{README, copy_versions, target_folder, write};
use crate::support::{FAILS, PASSES, Printed, command, folder};

/// A test target that depends on the harness but does not use its `main`; it would be green if it were started.
const FOREIGN: &str = "fn main() {\n    let _ = slt_harness::Suite::new(\"x\");\n    \
                        std::fs::write(\"ran\", \"\").unwrap();\n}\n";

/// A workspace with a package `one` that has one target, `two` that has two, and `foreign`; and a package `broken` beside it.
fn workspace() -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("handover");
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("harness");
    let manifest = |name: &str, tests: &[(&str, bool)], more: &str| {
        let mut text = format!(
            "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\nautotests = false\n{more}\n[dev-dependencies]\n\
             slt-harness = {{ path = {library:?} }}\n"
        );
        for (test, harness) in tests {
            text.push_str(&format!("\n[[test]]\nname = \"{test}\"\nharness = {harness}\n"));
        }
        write(&root.join(name).join("Cargo.toml"), &text);
        write(&root.join(name).join("src/lib.rs"), "");
    };
    let profile = "\n[profile.dev]\ndebug = 0\n";
    write(
        &root.join("Cargo.toml"),
        &format!(
            "[workspace]\nmembers = [\"one\", \"two\", \"foreign\"]\nexclude = [\"broken\"]\nresolver = \"3\"\n{profile}"
        ),
    );
    copy_versions(&root);
    manifest("one", &[("readme", false), ("unit", true)], "");
    write(&root.join("one/tests/readme.rs"), README.source);
    write(&root.join("one/tests/unit.rs"), "#[test]\nfn passes() {}\n");
    for (file, text) in README.files {
        write(&root.join("one/tests/readme").join(file), text);
    }
    manifest("two", &[("first", false), ("second-slt", false)], "");
    for name in ["first", "second-slt"] {
        write(
            &root.join(format!("two/tests/{name}.rs")),
            &README.source.replace("tests/readme", &format!("tests/{name}")),
        );
        write(&root.join(format!("two/tests/{name}/of_{name}.test")), PASSES);
    }
    manifest("foreign", &[("slt", false)], "");
    write(&root.join("foreign/tests/slt.rs"), FOREIGN);
    manifest("broken", &[("slt", false)], &format!("\n[workspace]\n{profile}"));
    copy_versions(&root.join("broken"));
    write(&root.join("broken/tests/slt.rs"), "fn main() { no_such_function() }\n");
    root
}

fn slt(folder: &Path, arguments: &[&str]) -> Printed {
    Printed::of(slt_command(folder).args(arguments))
}

fn slt_command(folder: &Path) -> Command {
    let mut slt = command(env!("CARGO_BIN_EXE_slt"));
    slt.current_dir(folder).env("CARGO_TARGET_DIR", target_folder()).env_remove("SLT_RESULTS");
    slt
}

#[test]
fn commands_are_about_the_engine_and_the_files_of_the_package() {
    let one = workspace().join("one");
    let run = slt(&one, &["run"]);
    assert_eq!(run.code, 101, "{run:?}");
    assert_eq!(run.verdict("a/fails.test"), Some("FAILED"), "{run:?}");
    // The text of this error is the engine's own.
    assert_eq!(run.verdict("errors.slt"), Some("ok"), "{run:?}");
    let kept = target_folder().join("slt/one/readme/results.json");
    let results: serde_json::Value = serde_json::from_str(&fs::read_to_string(&kept).unwrap()).unwrap();
    assert_eq!((&results["target"], &results["total"]["planned"]), (&"one/readme".into(), &3.into()), "{results}");
    let again = run.out.lines().find_map(|line| line.strip_prefix("run again: ")).unwrap_or_else(|| panic!("{run:?}"));
    assert!(again.ends_with(" run --exact a/fails.test"), "{again}");
    let mut shell = slt_command(&one);
    let shell = Printed::of(
        Command::new("sh").arg("-c").arg(again).current_dir(&one).envs(
            shell
                .env("SLT_RESULTS", target_folder().join("again"))
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        ),
    );
    assert_eq!((shell.code, shell.verdicts().len()), (101, 1), "{shell:?}");

    let status = slt(&one.join("tests"), &["status"]);
    assert!(status.out.starts_with("FAILED: 1 of 3 files\n") && status.out.contains("one/readme"), "{status:?}");
    let list = slt(&one, &["list", "--format", "terse"]);
    assert_eq!((list.code, list.out.lines().count()), (0, 3), "{list:?}");
    let test = slt(&one, &["test", "a/fails.test:3"]);
    assert!(test.code == 101 && test.out.contains("- 2\n+ 1\n"), "{test:?}");
    // By a path from a folder below the package's.
    let passes = slt(&one.join("tests/readme"), &["test", "a/passes.test"]);
    assert!(passes.code == 0, "{passes:?}");
    let check = slt(&one, &["check"]);
    assert!(check.code == 0 && check.err.contains("3 files checked: no errors"), "{check:?}");
    let stubs = slt(&one.join("tests"), &["stubs", "--check"]);
    assert!(stubs.code == 101 && stubs.err.contains("cannot read `tests/readme/stubs.rs`"), "{stubs:?}");
    let config = slt(&one, &["config"]);
    let roots = config.out.lines().find(|line| line.starts_with("roots ")).unwrap_or_default();
    assert!(roots.contains("tests/readme") && roots.ends_with("the target's code"), "{config:?}");
    let review = slt(&one.join("tests"), &["review"]);
    let below = format!("no new results wait below `{}`", "readme");
    assert!(review.code == 0 && review.out.contains(&below), "{review:?}");
    let workers = slt(&one, &["run", "--parallel", "--workers", "2", "passes"]);
    assert!(workers.code == 0 && workers.verdict("a/passes.test") == Some("ok"), "{workers:?}");
}

#[test]
fn cargo_slt_is_slt() {
    let one = workspace().join("one");
    let bin = Path::new(env!("CARGO_BIN_EXE_cargo-slt")).parent().unwrap();
    let path = std::env::join_paths(
        [bin.to_owned()].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let mut cargo = command(env!("CARGO"));
    cargo.current_dir(&one).env("CARGO_TARGET_DIR", target_folder()).env("PATH", path.unwrap());
    let printed = Printed::of(
        cargo.args(["slt", "run", "--locked", "fails"]).env("SLT_RESULTS", target_folder().join("cargo-slt")),
    );
    assert_eq!((printed.code, printed.verdicts().len()), (101, 1), "{printed:?}");
    assert!(printed.out.contains("\nrun again: cargo slt run --locked --exact a/fails.test\n"), "{printed:?}");
}

#[test]
fn one_of_several_targets_is_named() {
    let root = workspace();
    let several = slt(&root.join("two"), &["list"]);
    assert_eq!(several.code, 2, "{several:?}");
    assert!(several.err.ends_with("name one:\n  -p two --test first\n  -p two --test second-slt\n"), "{several:?}");
    assert_eq!(several.out, "");
    let second = slt(&root.join("two"), &["list", "--test", "second-slt", "--format", "terse"]);
    assert!(second.code == 0 && second.out == "of_second-slt.test: test\n", "{second:?}");
    let all = slt(&root, &["run"]);
    assert_eq!(all.code, 2, "{all:?}");
    for line in ["-p one --test readme", "-p two --test first", "-p two --test second-slt"] {
        assert!(all.err.contains(&format!("\n  {line}")), "{all:?}");
    }
    assert!(!all.err.contains("foreign --test"), "{all:?}");
    let one = slt(&root, &["test", "-p", "one", "one/tests/readme/a/passes.test"]);
    assert_eq!(one.code, 0, "{one:?}");
    for (arguments, words) in [
        (&["run", "-p", "one", "--test", "unit"][..], "`unit` of `one` does not use slt-harness"),
        (&["run", "-p", "one", "--test", "nosuch"], "`one` has no test target `nosuch`"),
        (&["run", "-p", "three"], "no package `three` is here"),
        (&["run", "--test"], "`--test` needs a value"),
    ] {
        let printed = slt(&root, arguments);
        assert!(
            printed.code == 2 && printed.err.contains(words) && printed.out.is_empty(),
            "{arguments:?}: {printed:?}"
        );
    }
}

#[test]
fn a_target_that_does_not_use_the_harness_is_not_started() {
    let foreign = workspace().join("foreign");
    for command in ["run", "list", "stubs"] {
        let printed = slt(&foreign, &[command]);
        assert_eq!(printed.code, 2, "{printed:?}");
        assert!(
            printed.err.contains("the test target `slt` of `foreign` does not call `slt_harness::main`"),
            "{printed:?}"
        );
        assert!(!foreign.join("ran").exists() && printed.out.is_empty(), "{printed:?}");
    }
}

#[test]
fn what_cannot_be_built_is_never_green() {
    let root = workspace();
    let broken = slt(&root.join("broken"), &["run"]);
    assert_eq!(broken.code, 6, "{broken:?}");
    assert!(broken.err.contains("no_such_function"), "cargo's own words are shown: {broken:?}");
    assert!(broken.err.ends_with("error: cargo could not build the test target `slt` of `broken`\n"), "{broken:?}");
    let none = Printed::of(slt_command(&root.join("one")).env("CARGO", "/no/such/cargo").arg("run"));
    assert!(none.code == 6 && none.err.contains("cannot run `/no/such/cargo`"), "{none:?}");
    let place = folder(&[("Cargo.toml", "[package]\nname = 1\n"), ("tests/corpus/a.test", PASSES)]);
    let invalid = slt(place.path(), &["run"]);
    assert!(invalid.code == 6 && invalid.err.contains("`cargo metadata` failed: "), "{invalid:?}");
    for printed in [broken, none, invalid] {
        assert_eq!(printed.out, "", "{printed:?}");
    }
    let status = slt(place.path(), &["status"]);
    assert!(status.code == 2 && status.err.contains("looking in `target/slt`"), "{status:?}");
}

#[test]
fn a_command_that_the_target_lacks_is_answered_with_what_to_write() {
    let printed = slt(&workspace().join("one"), &["shrink", "a/fails.test"]);
    assert_eq!(printed.code, 2, "{printed:?}");
    assert!(
        printed.err.contains("in `Cargo.toml`, write `features = [\"commands\"]` for `slt-harness`"),
        "{printed:?}"
    );
}

#[test]
fn slt_has_its_own_engine_where_no_target_is_or_another_is_named() {
    let place = folder(&[("a.test", PASSES), ("b.test", FAILS)]);
    let own = slt(place.path(), &["run", "--root", "."]);
    assert!(own.code == 101 && own.err.contains("running on sqlite: there is no cargo package here\n"), "{own:?}");
    let test = slt(place.path(), &["test", "a.test"]);
    assert!(test.code == 0 && test.err.contains("running on sqlite: there is no cargo package here\n"), "{test:?}");
    let release = slt(place.path(), &["run", "--release", "--root", "."]);
    assert!(release.code == 2 && release.err.contains("`--release` says how a test target is built"), "{release:?}");
    let package = folder(&[
        ("Cargo.toml", "[package]\nname = \"p\"\nedition = \"2024\"\n"),
        ("src/lib.rs", ""),
        ("x/a.test", PASSES),
    ]);
    let without = slt(package.path(), &["run", "--root", "x"]);
    let words = "running on sqlite: `p` has no test target that uses slt-harness\n";
    assert!(without.code == 0 && without.err.contains(words), "{without:?}");
    let one = workspace().join("one");
    let mut named = slt_command(&one);
    named.env("SLT_RESULTS", place.path().join("results"));
    let named = Printed::of(named.args(["run", "--engine", "sqlite", "--root", "tests/readme", "errors"]));
    assert!(named.code == 101 && named.err.contains("on sqlite\n"), "SQLite has another error: {named:?}");
}

#[test]
fn watch_runs_what_changed_or_failed_until_ctrl_c() {
    let files = folder(&[("a.test", PASSES), ("b.test", FAILS)]);
    let results = folder(&[]);
    let out = fs::File::create(results.path().join("out")).unwrap();
    let mut watch = slt_command(files.path());
    watch.args(["watch", "--root", "."]).env("SLT_RESULTS", results.path().join("results"));
    watch.stdin(std::process::Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out);
    let mut watch = watch.spawn().unwrap();
    let printed = || fs::read_to_string(results.path().join("out")).unwrap();
    let runs = |wanted: usize| {
        wait_until("it watches", || printed().matches("watching 2 files; Ctrl-C ends\n").count() == wanted);
        printed().rsplit("running ").next().unwrap().to_owned()
    };
    let first = runs(1);
    assert!(first.contains("test a.test ... ok") && first.contains("test b.test ... FAILED"), "{first}");
    fs::write(files.path().join("a.test"), PASSES.to_owned() + "\n# More.\n").unwrap();
    let second = runs(2);
    assert!(second.contains("test a.test ... ok") && second.contains("test b.test ... FAILED"), "{second}");
    fs::write(files.path().join("b.test"), PASSES).unwrap();
    let third = runs(3);
    assert!(!third.contains("test a.test") && third.contains("test b.test ... ok"), "{third}");
    rustix::process::kill_process(rustix::process::Pid::from_child(&watch), rustix::process::Signal::INT).unwrap();
    assert_eq!(watch.wait().unwrap().code(), Some(0), "{}", printed());
}

#[test]
fn a_folder_without_test_files_is_named_with_the_flag_for_another() {
    let empty = folder(&[]);
    let slt = |words: &[&str]| Printed::of(slt_command(empty.path()).env_remove("CARGO_MANIFEST_DIR").args(words));
    for word in ["run", "list", "check", "stubs", "watch", "review"] {
        let printed = slt(&[word]);
        let words = "error: no test files here: no folder `tests/corpus`; name a folder with `--root PATH`\n";
        assert!(printed.code == 2 && printed.err.ends_with(words), "{word}: {printed:?}");
        let printed = slt(&[word, "--root", "nope.slt"]);
        let words = "error: no such file or folder: `nope.slt`\n";
        assert!(printed.code == 2 && printed.err.ends_with(words), "{word}: {printed:?}");
    }
}

#[test]
fn a_package_without_a_target_for_commands_needs_no_cargo() {
    let manifest = "[package]\nname = \"plain\"\n[package.metadata.slt]\ntargets = []\n";
    let folder = folder(&[("Cargo.toml", manifest)]);
    let printed =
        Printed::of(command(env!("CARGO_BIN_EXE_slt")).arg("run").current_dir(folder.path()).env("CARGO", "/no/cargo"));
    assert!(
        printed.code == 0 && printed.err.contains("`plain` names no test target"),
        "{} {}",
        printed.code,
        printed.err
    );
}
