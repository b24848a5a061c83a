//! Settings in a file, as a test target, nextest and `slt` apply them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::own_engine::in_project;
use crate::support::{FAILS, PASSES, Printed, command, folder, target_binary};

/// A package with these settings and these test files in `tests/slt`.
fn package(settings: &str, files: &[(&str, &str)]) -> TempDir {
    let files: Vec<(String, &str)> = files.iter().map(|(name, text)| (format!("tests/slt/{name}"), *text)).collect();
    let mut all = vec![("slt.toml", settings), ("Cargo.toml", "[package]\nname = \"probe\"\n"), ("src/lib.rs", "")];
    all.extend(files.iter().map(|(name, text)| (name.as_str(), *text)));
    folder(&all)
}

/// `slt WORD` in a package.
fn slt(package: &Path, word: &str) -> Command {
    let mut command = command(env!("CARGO_BIN_EXE_slt"));
    command.arg(word).current_dir(package).env_remove("CARGO_MANIFEST_DIR").env_remove("SLT_RESULTS");
    command.env("SLT_RESULTS", package.join("results"));
    command
}

/// The test target in a package, as cargo starts it.
fn target(package: &Path) -> Command {
    let mut command = command(target_binary());
    command.current_dir(package).env("CARGO_MANIFEST_DIR", package).env("CARGO_PKG_NAME", "probe");
    command.env("SLT_RESULTS", package.join("results"));
    command
}

/// The value of each key and where it comes from, as `slt config` prints them.
fn in_force(command: &mut Command) -> BTreeMap<String, (String, String)> {
    let printed = Printed::of(command.args(["--format", "json"]));
    assert_eq!(printed.code, 0, "{printed:?}");
    let shown: Value = serde_json::from_str(&printed.out).unwrap();
    let row = |row: &Value| {
        let words = row["value"].as_array().unwrap().iter().map(|word| word.as_str().unwrap());
        let from = match row["from"].as_str().unwrap() {
            "file" => match row["profile"].as_str() {
                Some(profile) => format!("{profile}:{}", row["line"]),
                None => format!("file:{}", row["line"]),
            },
            other => format!("{other} {}", row["name"].as_str().unwrap_or_default()).trim_end().to_owned(),
        };
        (row["key"].as_str().unwrap().to_owned(), (words.collect::<Vec<_>>().join(","), from))
    };
    shown["settings"].as_array().unwrap().iter().map(row).collect()
}

/// A key, its flag, its variable, and five values: for the file, the default profile, the named profile, the variable, and the
/// flag. The last field is the unit that is shown after the last two values, if any.
type Sample = (&'static str, &'static str, &'static str, [&'static str; 5], &'static str);

/// Every key that has a flag. `$` is the package's folder.
const SAMPLES: &[Sample] = &[
    ("roots", "--root", "SLT_CORPUS", ["['a']", "['b']", "['c']", "d", "e"], ""),
    ("engine", "--engine", "SLT_ENGINE", ["'sqlite'", "'external:a'", "'external:b'", "external:c", "sqlite"], ""),
    ("labels", "--label", "SLT_LABELS", ["['a']", "['b']", "['c']", "d", "e"], ""),
    ("known-failures", "--known-failures", "SLT_KNOWN_FAILURES", ["'a'", "'b'", "'c'", "d", "e"], ""),
    ("file-timeout", "--file-timeout", "SLT_FILE_TIMEOUT", ["1", "2", "3.5", "4", "5"], " s"),
    ("query-timeout", "--query-timeout", "SLT_QUERY_TIMEOUT", ["1", "2", "3.5", "4", "5"], " s"),
    ("interrupt-grace", "--interrupt-grace", "SLT_INTERRUPT_GRACE", ["1", "2", "3.5", "4", "5"], " s"),
    ("max-records", "--max-records", "SLT_MAX_RECORDS", ["1", "2", "3", "4", "5"], ""),
    ("fail-fast", "--fail-fast", "SLT_FAIL_FAST", ["true", "false", "true", "false", ""], ""),
    ("allow-system", "--allow-system", "SLT_ALLOW_SYSTEM", ["true", "false", "true", "false", ""], ""),
    ("allow-env", "--allow-env", "SLT_ALLOW_ENV", ["true", "false", "true", "false", ""], ""),
    ("lenient", "--lenient", "SLT_LENIENT", ["true", "false", "true", "false", ""], ""),
    ("select-tags", "--select-tags", "SLT_SELECT_TAGS", ["['a']", "['b']", "['c']", "d", "e"], ""),
    ("skip-tags", "--skip-tags", "SLT_SKIP_TAGS", ["['a']", "['b']", "['c']", "d", "e"], ""),
    (
        "keep-db-on-failure",
        "--keep-db-on-failure",
        "SLT_KEEP_DB_ON_FAILURE",
        ["true", "false", "true", "false", ""],
        "",
    ),
    ("results", "--results", "SLT_RESULTS", ["'a'", "'b'", "'c'", "d", "e"], ""),
    ("report", "--report", "SLT_REPORT", ["true", "false", "true", "false", ""], ""),
    ("timings", "--timings", "SLT_TIMINGS", ["true", "false", "true", "false", ""], ""),
    ("test-threads", "--test-threads", "RUST_TEST_THREADS", ["1", "2", "3", "4", "5"], ""),
    ("parallel", "--parallel", "SLT_PARALLEL", ["true", "false", "true", "false", ""], ""),
    ("workers", "--workers", "SLT_WORKERS", ["1", "2", "'cores'", "4", "5"], ""),
    ("time-budget", "--time-budget", "SLT_TIME_BUDGET", ["1", "2", "3.5", "4", "5"], " s"),
    ("allow-incomplete", "--allow-incomplete", "SLT_ALLOW_INCOMPLETE", ["true", "false", "true", "false", ""], ""),
    ("retries", "--retries", "SLT_RETRIES", ["1", "2", "3", "4", "5"], ""),
    ("crash-retries", "--crash-retries", "SLT_CRASH_RETRIES", ["1", "2", "3", "4", "5"], ""),
    ("repeat", "--repeat", "SLT_REPEAT", ["1", "2", "'until-budget'", "4", "5"], ""),
    ("seed", "--seed", "SLT_SEED", ["1", "2", "3", "4", "5"], ""),
    ("memory-limit", "--memory-limit", "SLT_MEMORY_LIMIT", ["1", "2", "'1K'", "4", "5"], ""),
    ("run-memory", "--run-memory", "SLT_RUN_MEMORY", ["1", "2", "'1K'", "4", "5"], ""),
    ("queue", "--queue", "SLT_QUEUE", ["'a.q'", "'b.q'", "'c.q'", "d.q", "e.q"], ""),
    ("engine-version", "--engine-version", "SLT_ENGINE_VERSION", ["'a'", "'b'", "'c'", "d", "e"], ""),
    ("keep-runs", "--keep-runs", "SLT_KEEP_RUNS", ["1", "2", "3", "4", "5"], ""),
];

/// A value of the file as `slt config` shows it.
fn shown(key: &str, value: &str, place: &Path) -> String {
    let plain = value.trim_matches(['[', ']', '\'']);
    match key {
        "queue" => place.join(plain).display().to_string(),
        "memory-limit" | "run-memory" if plain == "1K" => "1024".to_owned(),
        _ => plain.to_owned(),
    }
}

#[test]
fn flags_beat_variables_and_these_beat_the_profile_the_default_profile_and_the_file() {
    let layer =
        |at: usize| SAMPLES.iter().map(|(key, .., values, _)| format!("{key} = {}\n", values[at])).collect::<String>();
    let at_top = layer(0);
    let with_default = format!("{}[profile.default]\n{}", at_top, layer(1));
    let all = format!("{with_default}[profile.ci]\n{}", layer(2));
    let place = package(&all, &[("a.test", PASSES)]);
    for name in ["a", "b", "c", "d", "e"] {
        fs::create_dir(place.path().join(name)).unwrap();
    }
    let config = |settings: &str| {
        fs::write(place.path().join("slt.toml"), settings).unwrap();
        let mut command = slt(place.path(), "config");
        command.env_remove("SLT_RESULTS");
        command
    };
    let check = |found: BTreeMap<String, (String, String)>, at: usize, from: &dyn Fn(usize, &Sample) -> String| {
        for (index, sample) in SAMPLES.iter().enumerate() {
            let (key, flag, _, values, unit) = sample;
            let value = match at {
                // A switch has no value.
                4 if values[4].is_empty() => "true".to_owned(),
                4 | 3 => values[at].to_owned(),
                _ => shown(key, values[at], place.path()),
            };
            let expected = (format!("{value}{unit}"), from(index, sample));
            assert_eq!(found[*key], expected, "{key} ({flag}), layer {at}");
        }
    };
    let count = SAMPLES.len();
    check(in_force(&mut config(&at_top)), 0, &|index, _| format!("file:{}", index + 1));
    check(in_force(&mut config(&with_default)), 1, &|index, _| format!("default:{}", count + index + 2));
    let of_profile = |index: usize, _: &Sample| format!("ci:{}", 2 * count + index + 3);
    check(in_force(config(&all).args(["--profile", "ci"])), 2, &of_profile);
    check(in_force(config(&all).env("SLT_PROFILE", "ci")), 2, &of_profile);
    let by_variable = || {
        let mut command = config(&all);
        command.args(["--profile", "ci"]).envs(SAMPLES.iter().map(|(_, _, variable, values, _)| (variable, values[3])));
        command
    };
    check(in_force(&mut by_variable()), 3, &|_, (_, _, variable, ..)| format!("variable {variable}"));
    // The earlier names of variables work, too, and the output names the one that decides.
    let earlier = |name: &str| match name {
        "SLT_CORPUS" | "SLT_RESULTS" | "SLT_RUN_MEMORY" | "SLT_TIMINGS" | "RUST_TEST_THREADS" => name.to_owned(),
        "SLT_PARALLEL" => "SQLLOGICTEST_USE_WORK_QUEUE".to_owned(),
        "SLT_QUEUE" => "SQLLOGICTEST_WORK_QUEUE".to_owned(),
        name => name.replace("SLT_", "SQLLOGICTEST_"),
    };
    let mut by_earlier_name = config(&all);
    by_earlier_name.envs(SAMPLES.iter().map(|(_, _, variable, values, _)| (earlier(variable), values[3])));
    check(in_force(by_earlier_name.env("SQLLOGICTEST_PROFILE", "ci")), 3, &|_, (_, _, variable, ..)| {
        format!("variable {}", earlier(variable))
    });
    let flags = SAMPLES.iter().flat_map(|(_, flag, _, values, _)| [*flag, values[4]]).filter(|word| !word.is_empty());
    check(in_force(by_variable().args(flags)), 4, &|_, (_, flag, ..)| format!("flag {flag}"));
    let switched = |value: &str| in_force(config("").env("SLT_FAIL_FAST", value))["fail-fast"].0.clone();
    assert_eq!((switched("0"), switched("yes")), ("false".to_owned(), "true".to_owned()));
    // Each key has a sample, except those that no flag can name.
    let found = in_force(&mut config(""));
    let others: Vec<&str> =
        found.keys().map(String::as_str).filter(|key| !SAMPLES.iter().any(|(k, ..)| k == key)).collect();
    assert_eq!(others, ["dialect", "exclude", "stack-size"]);
    assert!(found.values().all(|(_, from)| from == "default"), "{found:?}");
}

#[test]
fn settings_decide_what_a_target_runs_in_threads_with_workers_and_by_hand() {
    let settings = "roots = [\"tests/slt\"]\nlabels = [\"fast\"]\nknown-failures = \"known.toml\"\nworkers = 2\n\
                    [dialect]\n\"odd.test\" = \"slt\"\n\
                    [[exclude]]\nfiles = [\"slow/*\", \"gone/*\"]\nreason = \"takes hours\"\n[profile.all]\nexclude = []\n";
    let labelled = "onlyif fast\nquery I\nSELECT 1\n----\n1\n";
    let odd = "query II\nSELECT 1, 2\n----\n1 2\n";
    let files = [("a.test", labelled), ("known.test", FAILS), ("odd.test", odd), ("slow/b.test", FAILS)];
    let place = package(settings, &files);
    let known = "[[known]]\npath = \"known.test\"\nreason = \"known\"\n";
    fs::write(place.path().join("known.toml"), known).unwrap();
    for arguments in [&[][..], &["--test-threads", "1"], &["--parallel"], &["--parallel", "--workers", "3"]] {
        let printed = Printed::of(target(place.path()).args(arguments));
        assert_eq!(printed.code, 0, "{arguments:?}: {printed:?}");
        assert_eq!((printed.verdict("a.test"), printed.verdict("odd.test")), (Some("ok"), Some("ok")), "{printed:?}");
        assert!(printed.verdict("known.test").unwrap().starts_with("known failure"), "{printed:?}");
        assert_eq!(printed.verdict("slow/b.test"), Some("ignored (takes hours)"), "{arguments:?}");
        let note = format!("note: {}", "slt.toml:8: `exclude`: no test file matches `gone/*`");
        assert_eq!(printed.err.matches(&note).count(), 1, "{printed:?}");
    }
    let printed = Printed::of(target(place.path()).args(["--profile", "all"]));
    assert_eq!((printed.code, printed.verdict("slow/b.test")), (101, Some("FAILED")), "{printed:?}");
    assert!(
        printed.err.contains("--profile all --exact slow/b.test") || printed.out.contains("--profile all --exact"),
        "{printed:?}"
    );
    let printed = Printed::of(target(place.path()).env("SLT_PROFILE", "al"));
    assert_eq!((printed.code, printed.err.as_str()), (2, "error: no profile `al`: `slt.toml` has `all`\n"));
    // The flag is for every file, and overrides the patterns.
    let printed = Printed::of(target(place.path()).args(["--dialect", "classic", "odd"]));
    assert_eq!((printed.code, printed.verdict("odd.test")), (101, Some("FAILED")), "{printed:?}");
}

#[test]
fn a_list_of_known_failures_or_a_root_that_is_not_there_is_an_error() {
    let place = package("roots = [\"tests/slt\", \"gone\"]\n", &[("a.test", PASSES)]);
    let gone = place.path().join("gone").display().to_string();
    for mut command in
        [target(place.path()), slt(place.path(), "run"), slt(place.path(), "list"), slt(place.path(), "check")]
    {
        let printed = Printed::of(&mut command);
        let words = format!("error: slt.toml:1: `roots`: `{gone}`: there is no such file or folder\n");
        assert_eq!((printed.code, printed.err), (2, words), "{command:?}");
        let printed = Printed::of(command.args(["--root", "tests/slt"]));
        assert_eq!(printed.code, 0, "{command:?}: {printed:?}");
    }
    assert_eq!(Printed::of(&mut slt(place.path(), "status")).err.matches("roots").count(), 0);
    let place = package("roots = [\"tests/slt\"]\nknown-failures = \"gone.toml\"\n", &[("a.test", FAILS)]);
    let printed = Printed::of(&mut target(place.path()));
    let words = "error: slt.toml:2: `known-failures`: cannot read the known failures `";
    assert!(printed.code == 2 && printed.err.contains(words) && printed.err.contains("gone.toml"), "{printed:?}");
    let first = place.path().join("gone.toml");
    let printed = Printed::of(target(place.path()).arg("--write-known-failures").arg(&first));
    assert!(printed.code == 101 && first.exists(), "{printed:?}");
    assert_eq!(Printed::of(&mut target(place.path())).code, 0);
}

#[test]
fn a_participant_with_other_settings_is_refused() {
    let place = package("roots = [\"tests/slt\"]\nfile-timeout = 30\n", &[("a.test", PASSES), ("b.test", FAILS)]);
    let run = || Printed::of(target(place.path()).args(["--parallel", "--run-id", "one", "--time-budget", "0.000001"]));
    assert_eq!(run().code, 3);
    for (settings, words) in [
        ("file-timeout = 40\n", "--file-timeout"),
        ("file-timeout = 30\nlabels = [\"x\"]\n", "--label"),
        ("file-timeout = 30\nexclude = [{ files = \"b*\", reason = \"r\" }]\n", "exclude"),
        ("file-timeout = 30\nstack-size = \"64M\"\n", "stack-size"),
        ("file-timeout = 30\nretries = 1\n", "--retries"),
        ("file-timeout = 30\ndialect = \"slt\"\n", "a.test"),
    ] {
        fs::write(place.path().join("slt.toml"), format!("roots = [\"tests/slt\"]\n{settings}")).unwrap();
        let printed = Printed::of(target(place.path()).args(["--parallel", "--run-id", "one", "--resume"]));
        assert_eq!(printed.code, 4, "{settings}: {printed:?}");
        assert!(printed.err.contains(words), "{settings}: {printed:?}");
    }
    fs::write(place.path().join("slt.toml"), "roots = [\"tests/slt\"]\nfile-timeout = 30\nseed = 3\n").unwrap();
    let printed = Printed::of(target(place.path()).args(["--parallel", "--run-id", "one", "--resume"]));
    assert_eq!(printed.code, 101, "{printed:?}");
}

#[test]
fn workers_go_by_the_settings_as_they_were_when_the_run_began() {
    // The first file changes the settings; the second is run by a worker that begins after that.
    let place = package("", &[]);
    let file = place.path().join("slt.toml");
    let change = format!("system ok\necho 'labels = [\"other\"]' > {0} && kill -9 $PPID\n", file.display());
    fs::write(&file, "roots = [\"tests/slt\"]\nlabels = [\"fast\"]\nallow-system = true\ncrash-retries = 0\n").unwrap();
    fs::create_dir_all(place.path().join("tests/slt")).unwrap();
    fs::write(place.path().join("tests/slt/1.slt"), change).unwrap();
    fs::write(place.path().join("tests/slt/2.slt"), "onlyif fast\nquery I\nSELECT 1\n----\n1\n").unwrap();
    let printed = Printed::of(target(place.path()).args(["--parallel", "--workers", "1", "--seed", "1"]));
    assert!(fs::read_to_string(&file).unwrap().contains("other"), "{printed:?}");
    assert_eq!((printed.code, printed.verdict("2.slt")), (101, Some("ok")), "{printed:?}");
}

#[test]
fn slt_goes_by_the_settings_of_the_package_around_the_current_folder() {
    let settings =
        "roots = [\"tests/slt\"]\n[[exclude]]\nfiles = \"b*\"\nreason = \"slow\"\n[profile.fast]\nquery-timeout = 5\n";
    let place = package(settings, &[("a.test", PASSES), ("b.test", FAILS), ("sub/c.test", PASSES)]);
    let inner = place.path().join("tests/slt/sub");
    let printed = Printed::of(&mut slt(&inner, "run"));
    assert_eq!((printed.code, printed.verdict("b.test")), (0, Some("ignored (slow)")), "{printed:?}");
    assert!(Printed::of(slt(&inner, "list").args(["--format", "terse"])).out.contains("sub/c.test: test"));
    assert_eq!(Printed::of(slt(&inner, "test").arg("a.test")).code, 0);
    assert_eq!(Printed::of(slt(&inner, "check").args(["--profile", "fast"])).code, 0);
    assert_eq!(Printed::of(slt(&inner, "check").args(["--profile", "slow"])).code, 2);
    let printed = Printed::of(slt(place.path(), "config").args(["--profile", "fast"]));
    let row = |key: &str| printed.out.lines().find(|line| line.split(' ').next() == Some(key)).unwrap().to_owned();
    assert_eq!(printed.out.lines().next(), Some("settings: slt.toml, profile `fast`"));
    assert!(row("query-timeout").ends_with("5 s  ") || row("query-timeout").contains("5 s"), "{printed:?}");
    assert!(row("query-timeout").ends_with("profile `fast` in slt.toml:6"), "{printed:?}");
    assert!(row("exclude").ends_with("b* (slow)") || row("exclude").ends_with("slt.toml:2"), "{printed:?}");
    assert!(row("retries").ends_with("default"), "{printed:?}");
    let outside = tempfile::tempdir().unwrap();
    let printed = Printed::of(slt(outside.path(), "config").env("SLT_RESULTS", outside.path()));
    assert!(printed.code == 0 && printed.out.starts_with("settings: no file\n"), "{printed:?}");
}

#[test]
fn two_names_of_one_variable_must_agree() {
    let place = package("", &[("a.test", PASSES)]);
    let run = |new: &str, old: &str| {
        let mut command = target(place.path());
        command.args(["--root", "tests/slt"]).env("SLT_FILE_TIMEOUT", new).env("SQLLOGICTEST_FILE_TIMEOUT", old);
        Printed::of(&mut command)
    };
    assert_eq!(run("30", "30").code, 0);
    let printed = run("30", "40");
    let words = "error: `SLT_FILE_TIMEOUT` and `SQLLOGICTEST_FILE_TIMEOUT` are one variable, but hold different values: \
                 set only one\n";
    assert_eq!((printed.code, printed.err.as_str()), (2, words));
    // Workers get the engine in its variable, even if the user set the earlier name.
    let mut command = target(place.path());
    command.args(["--root", "tests/slt", "--workers", "1"]).env("SQLLOGICTEST_ENGINE", "sqlite");
    let printed = Printed::of(&mut command);
    assert_eq!((printed.code, printed.verdict("a.test")), (0, Some("ok")), "{printed:?}");
}

#[test]
fn passwords_are_not_shown() {
    let place = package("engine = \"postgres://me:hunter2@h/db\"\nqueue = \"postgres://me:hunter3@h/db\"\n", &[]);
    for arguments in [&[][..], &["--format", "json"]] {
        let mut command = slt(place.path(), "config");
        let printed = Printed::of(command.args(arguments).env("SLT_CORPUS", place.path()));
        assert!(printed.code == 0 && printed.out.contains("postgres://me@h/db"), "{printed:?}");
        assert!(!printed.out.contains("hunter"), "{printed:?}");
    }
}

/// A separate package with settings, beside those of [`own_engine`](crate::own_engine). Its engine answers `1` to everything,
/// and its code has defaults.
pub const SETTLED: &[(&str, &str)] = &[
    (
        "Cargo.toml",
        "[package]\nname = \"settled\"\nedition = \"2024\"\n\n[dev-dependencies]\nslt-harness = { path = LIBRARY }\n\n\
         [[test]]\nname = \"coded\"\nharness = false\n",
    ),
    ("src/lib.rs", ""),
    (
        "slt.toml",
        "labels = [\"more\"]\nfile-timeout = 30\nexclude = [{ files = \"off/**\", reason = \"off\" }]\n\n\
         [profile.all]\nexclude = []\n",
    ),
    (
        "tests/coded.rs",
        r#"use std::io;
use std::time::Duration;
use slt_harness::sqllogictest::{DB, DBOutput, DefaultColumnType};
use slt_harness::{Suite, Target};
struct One;
impl DB for One {
    type Error = io::Error;
    type ColumnType = DefaultColumnType;
    fn run(&mut self, _: &str) -> Result<DBOutput<DefaultColumnType>, io::Error> {
        Ok(DBOutput::Rows { types: vec![DefaultColumnType::Integer], rows: vec![vec!["1".to_owned()]] })
    }
    fn engine_name(&self) -> &str {
        "One"
    }
}
fn main() -> std::process::ExitCode {
    Target::new(Suite::new("tests/coded").exclude(["slow/**"], "slow"), || Ok::<_, io::Error>(One))
        .label("one")
        .file_timeout(Duration::from_secs(60))
        .query_timeout(Duration::from_secs(20))
        .main()
}
"#,
    ),
    ("tests/coded/a.slt", "onlyif one\nquery I\nx\n----\n1\n\nonlyif more\nquery I\nx\n----\n1\n"),
    ("tests/coded/m.slt", "onlyif more\nquery I\nx\n----\n2\n"),
    ("tests/coded/slow/b.slt", "query I\nx\n----\n2\n"),
    ("tests/coded/off/c.slt", "query I\nx\n----\n2\n"),
];

#[test]
fn settings_beat_what_a_targets_code_says_and_add_to_its_labels_and_exclusions() {
    let cargo_test = |arguments: &[&str]| {
        let mut command = in_project("test");
        Printed::of(command.args(["-p", "settled", "--test", "coded", "--"]).args(arguments))
    };
    let printed = cargo_test(&["--show-config", "--format", "json"]);
    let shown: Value = serde_json::from_str(&printed.out).unwrap_or_else(|error| panic!("{error}: {printed:?}"));
    let rows = shown["settings"].as_array().unwrap().iter();
    let row = |row: &Value| format!("{} {} {}", row["key"], row["value"], row["from"]).replace('"', "");
    let rows: Vec<String> = rows.map(row).collect();
    for row in [
        "exclude [slow/**] code",
        "exclude [off/** (off)] file",
        "engine [the engine] code",
        "labels [one] code",
        "labels [more] file",
        "file-timeout [30 s] file",
        "query-timeout [20 s] code",
        "retries [0] default",
    ] {
        assert!(rows.contains(&row.to_owned()), "{row}: {rows:#?}");
    }
    let printed = cargo_test(&[]);
    assert_eq!(
        (printed.code, printed.verdict("a.slt"), printed.verdict("m.slt")),
        (101, Some("ok"), Some("FAILED")),
        "{printed:?}"
    );
    assert_eq!(printed.verdict("slow/b.slt"), Some("ignored (slow)"));
    assert_eq!(printed.verdict("off/c.slt"), Some("ignored (off)"));
    // The target's own label stays when a flag replaces the labels of the file.
    let printed = cargo_test(&["--label", "other"]);
    assert!(printed.verdict("m.slt").unwrap().starts_with("ignored (0 of 1 records apply"), "{printed:?}");
    assert_eq!((printed.code, printed.verdict("a.slt")), (0, Some("ok")), "{printed:?}");
}

#[test]
fn every_process_of_nextest_goes_by_the_settings() {
    if Printed::of(command(env!("CARGO")).args(["nextest", "--version"])).code != 0 {
        assert!(std::env::var_os("CI").is_none(), "cargo has no nextest");
        return eprintln!("not tested: cargo has no nextest");
    }
    for (profile, failed, passed) in
        [("default", &["m.slt"][..], &["a.slt", "off/c.slt"][..]), ("all", &["m.slt", "off/c.slt"], &["a.slt"])]
    {
        let mut command = in_project("nextest");
        command.args(["run", "-p", "settled", "--test", "coded", "--no-fail-fast", "--color", "never"]);
        let printed = Printed::of(command.args(["--status-level", "all"]).env("SLT_PROFILE", profile));
        let verdict = |name: &str, verdict: &str| {
            printed
                .err
                .lines()
                .any(|line| line.trim_start().starts_with(verdict) && line.ends_with(&format!(" {name}")))
        };
        assert_eq!(printed.code, 100, "{profile}: {printed:?}");
        assert!(failed.iter().all(|name| verdict(name, "FAIL")), "{profile}: {printed:?}");
        assert!(passed.iter().all(|name| verdict(name, "PASS")), "{profile}: {printed:?}");
    }
}
