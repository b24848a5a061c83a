//! The test binary as libtest's users and tools call it.

use crate::support::{FAILS, PASSES, Printed, command, folder, run, target_binary};

fn three() -> tempfile::TempDir {
    folder(&[("a/pass.test", PASSES), ("a/fail.test", FAILS), ("b/other.slt", "statement ok\nSELECT 1\n")])
}

#[test]
fn a_failing_file_exits_with_101_and_names_file_and_line_serially_and_in_parallel() {
    let root = three();
    for threads in ["1", "4"] {
        let printed = run(root.path(), &["--test-threads", threads]);
        assert_eq!(printed.code, 101, "{printed:?}");
        assert_eq!(
            printed.verdicts(),
            ["test a/fail.test ... FAILED", "test a/pass.test ... ok", "test b/other.slt ... ok"]
        );
        let place = format!("at {}:3", root.path().join("a/fail.test").display());
        assert!(
            printed
                .out
                .contains(&format!("[SQL] SELECT 1\n[Diff] (-expected|+actual)\n@@ line 6 @@\n- 2\n+ 1\n{place}\n")),
            "{printed:?}"
        );
        assert_eq!(printed.result(), "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out");
    }
}

#[test]
fn several_threads_start_with_the_last_failure_and_one_thread_with_the_first_name() {
    let files: Vec<String> = (0..9).map(|n| format!("a{n}.test")).collect();
    let mut files: Vec<(&str, &str)> = files.iter().map(|name| (name.as_str(), PASSES)).collect();
    files.push(("z.test", FAILS));
    let (root, results) = (folder(&files), tempfile::tempdir().unwrap());
    let started = |threads| {
        let arguments = ["--test-threads", threads, "--format", "json", "-Z", "unstable-options"];
        let mut command = command(target_binary());
        let printed =
            Printed::of(command.env("SLT_CORPUS", root.path()).env("SLT_RESULTS", results.path()).args(arguments));
        assert_eq!(printed.code, 101, "{printed:?}");
        let events = printed.out.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let names = events.filter(|event| event["event"] == "started" && event["type"] == "test");
        names.map(|event| event["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let of_z = |started: &[String]| started.iter().position(|name| name.starts_with('z')).unwrap();
    assert_eq!(of_z(&started("1")), 9);
    let second = started("2");
    assert!(of_z(&second) < 2, "two threads begin at once: {second:?}");
    assert_eq!(of_z(&started("1")), 9);
}

#[test]
fn a_passing_run_exits_with_0() {
    let printed = run(three().path(), &["pass", "other"]);
    assert_eq!((printed.code, printed.verdicts().len()), (0, 2), "{printed:?}");
    assert!(printed.result().ends_with("1 filtered out"), "{printed:?}");
}

#[test]
fn filters_skips_and_rust_paths_choose_files() {
    let root = three();
    for (arguments, names) in [
        (&["--skip", "fail"][..], &["a/pass.test", "b/other.slt"][..]),
        (&["a::pass"], &["a/pass.test"]),
        (&["--exact", "b/other.slt"], &["b/other.slt"]),
        (&["--exact", "a::pass_test", "--nocapture", "--include-ignored"], &["a/pass.test"]),
        (&["--exact", "a/pass.test", "b/other.slt", "--no-capture"], &["a/pass.test", "b/other.slt"]),
        (&["--ignored"], &[]),
        (&["nothing"], &[]),
    ] {
        let printed = run(root.path(), arguments);
        let ran: Vec<&str> = printed.verdicts().iter().filter_map(|line| line.split(' ').nth(1)).collect();
        assert_eq!((printed.code, ran.as_slice()), (0, names), "{arguments:?}: {printed:?}");
    }
}

#[test]
fn an_exact_name_without_a_file_is_an_error() {
    let root = three();
    for arguments in [&["--exact", "a/gone.test"][..], &["--exact", "a/pass.test", "a/gone.test"]] {
        let printed = run(root.path(), arguments);
        assert_eq!(printed.code, 2, "{printed:?}");
        assert!(printed.err.contains("no test file is named `a/gone.test`"), "{printed:?}");
    }
}

#[test]
fn lists_contain_names_and_for_tools_nothing_else() {
    let root = three();
    let printed = run(root.path(), &["--list", "--format", "terse"]);
    assert_eq!((printed.code, printed.out.as_str()), (0, "a/fail.test: test\na/pass.test: test\nb/other.slt: test\n"));
    assert_eq!(run(root.path(), &["--list", "--format", "terse", "--ignored"]).out, "");
    assert!(run(root.path(), &["--list"]).out.ends_with("\n3 tests, 0 benchmarks\n"));
}

#[test]
fn every_line_of_json_is_an_object() {
    let printed = run(three().path(), &["--format", "json", "-Z", "unstable-options", "--report-time"]);
    let events: Vec<serde_json::Value> = printed.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let failed = events.iter().find(|event| event["event"] == "failed" && event["type"] == "test").unwrap();
    assert_eq!((failed["name"].as_str(), failed["path"].as_str()), (Some("a::fail_test"), Some("a/fail.test")));
    assert!(failed["stdout"].as_str().unwrap().ends_with("fail.test:3\n"));
    assert_eq!(events.first().unwrap()["event"], "started");
    assert_eq!((printed.code, events.last().unwrap()["failed"].as_u64()), (101, Some(1)));
}

#[test]
fn times_shuffling_logfiles_and_the_terse_format_work() {
    let root = three();
    let timed = run(root.path(), &["--report-time", "pass"]);
    assert!(timed.verdict("a/pass.test").unwrap().starts_with("ok <0."), "{timed:?}");
    let terse = run(root.path(), &["-q"]);
    assert!(terse.out.starts_with("\nrunning 3 tests\n") && terse.out.contains('F'), "{terse:?}");
    let shuffled = |seed: &str| run(root.path(), &["--shuffle-seed", seed, "--test-threads", "1"]).out;
    let order = |text: String| text.lines().filter(|l| l.starts_with("test ")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(order(shuffled("4"))[..3], order(shuffled("4"))[..3]);
    assert!((0..20).any(|seed| order(shuffled(&seed.to_string()))[..3] != order(shuffled("4"))[..3]));
    assert!(run(root.path(), &["--shuffle"]).err.contains("--shuffle-seed"));
    let log = root.path().join("log");
    let logged = run(root.path(), &["--logfile", log.to_str().unwrap(), "pass"]);
    assert_eq!(logged.out, "");
    assert!(std::fs::read_to_string(log).unwrap().contains("test a/pass.test ... ok"));
}

#[test]
fn an_invalid_value_is_named_and_exits_with_2() {
    let root = three();
    for (arguments, words) in [
        (&["--frobnicate"][..], "'--frobnicate'"),
        (&["--test-threads", "0"], "'0' for '--test-threads <N>': needs a whole number of at least 1"),
        (&["--format", "junit"], "'junit'"),
        (&["--file-timeout", "-1"], "'-1' for '--file-timeout <SECS>'"),
        (&["--keep-runs", "2"], "`--keep-runs` is for parallel runs: it needs `--parallel`"),
        (&["--parallel", "--workers", "0"], "'0' for '--workers"),
    ] {
        let printed = run(root.path(), arguments);
        assert_eq!((printed.code, printed.out.as_str()), (2, ""), "{printed:?}");
        assert!(printed.err.contains(words), "{printed:?}");
    }
    for (variable, value, words) in [
        ("RUST_TEST_THREADS", "0", "`RUST_TEST_THREADS` is `0`, but needs a whole number of at least 1"),
        ("SLT_FILE_TIMEOUT", "abc", "`SLT_FILE_TIMEOUT`"),
        ("SLT_TIME_BUDGET", "soon", "`SLT_TIME_BUDGET`"),
    ] {
        let printed = Printed::of(command(target_binary()).env("SLT_CORPUS", root.path()).env(variable, value));
        assert_eq!(printed.code, 2, "{printed:?}");
        assert!(printed.err.contains(words), "{printed:?}");
    }
}

#[test]
fn flags_have_variables_and_override_them() {
    let root = three();
    let mut by_variable = command(target_binary());
    by_variable.env("SLT_CORPUS", root.path()).env("SLT_FILES", "pass, other").env("RUST_TEST_THREADS", "1");
    assert_eq!(Printed::of(&mut by_variable).verdicts().len(), 2);
    assert_eq!(Printed::of(by_variable.arg("pass")).verdicts().len(), 1);
    let elsewhere = folder(&[("only.test", PASSES)]);
    let printed = run(root.path(), &["--root", elsewhere.path().to_str().unwrap()]);
    assert_eq!(printed.verdicts(), ["test only.test ... ok"]);
}

#[test]
fn invalid_suite_folders_have_distinct_errors() {
    let empty = folder(&[("readme.md", "")]);
    let printed = run(empty.path(), &[]);
    assert_eq!(printed.code, 2);
    assert!(printed.err.contains("no `.test`, `.slt` or `.duckdb.test` file below"), "{printed:?}");
    let printed = run(&empty.path().join("nowhere"), &[]);
    assert_eq!(printed.code, 2);
    assert!(printed.err.contains("error: no such file or folder: `"), "{printed:?}");
    let odd = folder(&[("a\nb.test", PASSES)]);
    let printed = run(odd.path(), &[]);
    assert_eq!(printed.code, 2);
    assert!(printed.err.contains(r#""a\nb.test" holds a line break"#), "{printed:?}");
}

#[test]
fn names_with_blanks_and_letters_of_any_script_run() {
    let root = folder(&[("a b/c 'd' é 表.test", PASSES)]);
    let printed = run(root.path(), &["--exact", "a b/c 'd' é 表.test"]);
    assert_eq!((printed.code, printed.verdict("a b/c 'd' é 表.test")), (0, Some("ok")), "{printed:?}");
}

#[test]
fn a_file_in_which_nothing_applies_is_ignored_with_a_reason() {
    let root = folder(&[("mysql.test", "onlyif mysql\nquery I\nSELECT 1\n----\n1\n"), ("empty.test", "")]);
    let printed = run(root.path(), &[]);
    assert_eq!(printed.verdict("mysql.test"), Some("ignored (0 of 1 records apply to sqlite)"));
    assert_eq!(printed.verdict("empty.test"), Some("ignored (it holds no records)"));
    assert_eq!((printed.code, printed.result().contains("0 passed; 0 failed; 2 ignored")), (0, true), "{printed:?}");
    let labelled = run(root.path(), &["--label", "MySQL", "mysql"]);
    assert_eq!(labelled.verdict("mysql.test"), Some("ok"));
}

#[test]
fn fail_fast_starts_nothing_after_a_failure() {
    let two = "query I\nSELECT 1\n----\n2\n\nquery I\nSELECT 1\n----\n3\n";
    let root = folder(&[("1.test", two), ("2.test", PASSES)]);
    let printed = run(root.path(), &["--fail-fast", "--test-threads", "1"]);
    assert_eq!(printed.verdict("2.test"), Some("not run (an earlier failure)"));
    assert_eq!((printed.code, printed.out.matches("the value differs").count()), (101, 1), "{printed:?}");
}

#[test]
fn diffs_have_colours_only_where_they_are_wanted() {
    let root = folder(&[("a.test", "query I\nSELECT 1\n----\n2\n")]);
    let shown = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = command(target_binary());
        let results = root.path().join("results");
        command.arg("--root").arg(root.path()).args(arguments).env("SLT_RESULTS", &results);
        let printed = Printed::of(command.envs(variables.iter().copied()));
        assert_eq!(printed.code, 101, "{printed:?}");
        for file in ["results.json", "junit.xml"] {
            let kept = std::fs::read(results.join(file)).unwrap();
            assert!(!kept.contains(&0x1b), "{file}");
        }
        printed.out.contains("\u{1b}[32m+ 1\u{1b}[0m")
    };
    assert!(shown(&["--color", "always"], &[]));
    assert!(shown(&[], &[("CARGO_TERM_COLOR", "always")]));
    assert!(shown(&["--color", "always"], &[("CARGO_TERM_COLOR", "never"), ("NO_COLOR", "1")]));
    assert!(!shown(&[], &[]), "no terminal");
    assert!(!shown(&["--color", "never"], &[("CARGO_TERM_COLOR", "always")]));
    assert!(!shown(&["--format", "json"], &[("CARGO_TERM_COLOR", "always")]));
}

#[test]
fn a_wrong_hash_shows_what_was_returned_and_keeps_all_of_it() {
    let sql = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 40) SELECT i, -i FROM n";
    let script = |hash: &str| format!("query II nosort\n{sql}\n----\n80 values hashing to {hash}\n");
    let root = folder(&[("a/b.test", &script(&"0".repeat(32))), ("c.test", PASSES)]);
    for arguments in [&[][..], &["--parallel", "--workers", "2"]] {
        let results = tempfile::tempdir().unwrap();
        let stale = results.path().join("returned/stale.txt");
        std::fs::create_dir(results.path().join("returned")).unwrap();
        let hour = std::time::Duration::from_secs(3600);
        std::fs::File::create(&stale).unwrap().set_modified(std::time::SystemTime::now() - hour).unwrap();
        let mut command = command(target_binary());
        command.arg("--root").arg(root.path()).args(arguments).env("SLT_RESULTS", results.path());
        let printed = Printed::of(&mut command);
        let path = results.path().join("returned/a%2Fb.test+1.txt");
        let shown = format!(
            "[Returned] 40 rows\n  1 -1\n  2 -2\n  3 -3\n  4 -4\n  5 -5\n  … 30 rows\n  36 -36\n  37 -37\n  38 -38\n  39 -39\n  \
             40 -40\nall of them, one value per line: {}\nat ",
            path.display()
        );
        assert!(printed.code == 101 && printed.out.contains(&shown), "{printed:?}");
        let kept = std::fs::read_to_string(&path).unwrap();
        assert!(kept.starts_with("1\n-1\n2\n") && kept.lines().count() == 80 && !stale.exists());
        // The file contains exactly the text that is hashed.
        let hash = printed.out.split("+ 80 values hashing to ").nth(1).unwrap();
        std::fs::write(root.path().join("a/b.test"), script(&hash[..32])).unwrap();
        let mut sum = std::process::Command::new("md5sum");
        let sum = sum.arg(&path).output().unwrap();
        assert!(String::from_utf8_lossy(&sum.stdout).contains(&hash[..32]), "{sum:?}");
        std::fs::write(root.path().join("a/b.test"), script(&"0".repeat(32))).unwrap();
    }
}

#[test]
fn each_failure_is_printed_once_with_its_command_and_figures_only_where_they_are_wanted() {
    let root = folder(&[("a.test", FAILS), ("it's.test", FAILS), ("c.test", PASSES)]);
    let printed = run(root.path(), &[]);
    let ends = printed.out.split("\nfailures:\n").nth(1).unwrap();
    assert_eq!(ends.matches("---- a.test stdout ----").count(), 1, "{printed:?}");
    let again: Vec<&str> = ends.lines().filter(|line| line.starts_with("run again: ")).collect();
    assert!(again.len() == 2 && again[0].ends_with(" --exact a.test"), "{again:?}");
    assert!(again[1].ends_with(" --exact \"it's.test\""), "{again:?}");
    assert!(printed.out.contains("\nrecords   1 passed, 2 failed, 0 skipped\n"), "{printed:?}");
    let figures = |printed: &Printed| ["busy", "makespan", "in the harness"].map(|word| printed.out.contains(word));
    assert_eq!(figures(&printed), [false; 3], "{printed:?}");
    let printed = run(root.path(), &["--timings"]);
    assert_eq!(figures(&printed), [true; 3], "{printed:?}");
}
