//! Broken files fail with a clear message, and affect no other file.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::support::{PASSES, Printed, command, folder, run, target_binary};

/// Runs a folder with `odd.test` or `odd.slt` beside a valid file, which must pass; returns the output.
fn beside_a_sound_file(root: &Path) -> Printed {
    fs::write(root.join("sound.test"), PASSES).unwrap();
    let printed = run(root, &["--file-timeout", "60"]);
    assert_eq!(printed.verdict("sound.test"), Some("ok"), "{printed:?}");
    printed
}

#[test]
fn entries_that_are_not_files_fail_alone() {
    type Make = fn(&Path);
    let odd: [(Make, &str); 2] = [
        (
            |path| assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success()),
            "it is a FIFO, not a file",
        ),
        (|path| drop(std::os::unix::net::UnixListener::bind(path).unwrap()), "it is a socket, not a file"),
    ];
    for (make, words) in odd {
        let root = folder(&[]);
        make(&root.path().join("odd.test"));
        let printed = beside_a_sound_file(root.path());
        assert_eq!((printed.code, printed.verdict("odd.test")), (101, Some("FAILED")), "{printed:?}");
        assert!(printed.out.contains(words), "{printed:?}");
    }
}

#[test]
fn a_folder_is_not_a_file_whatever_its_name_and_a_link_out_of_the_root_is_an_error() {
    let root = folder(&[("odd.test/inner.test", PASSES)]);
    let printed = beside_a_sound_file(root.path());
    assert_eq!(
        (printed.code, printed.verdict("odd.test/inner.test"), printed.verdicts().len()),
        (0, Some("ok"), 2),
        "{printed:?}"
    );
    let secret = folder(&[("secret", "statement ok\nSELECT 'secret'\n")]);
    for to in [secret.path().join("secret").as_path(), Path::new("/dev/zero"), Path::new("/proc/self/environ")] {
        let root = folder(&[("sound.test", PASSES)]);
        symlink(to, root.path().join("odd.slt")).unwrap();
        for arguments in [&[][..], &["--exact", "odd.slt"], &["--parallel", "--workers", "2"], &["--parallel"]] {
            let results = root.path().join("results");
            let mut command = command(target_binary());
            command.env("SLT_CORPUS", root.path()).env("SLT_RESULTS", results);
            let printed = Printed::of(command.args(arguments));
            assert_eq!((printed.code, printed.verdicts().len()), (2, 0), "{printed:?}");
            assert!(printed.err.contains("odd.slt`") && printed.err.contains("--root"), "{printed:?}");
            assert!(!format!("{printed:?}").contains("PATH="), "{printed:?}");
        }
    }
}

#[test]
fn a_dangling_link_and_a_loop_of_links_are_errors_that_name_them() {
    for (to, words) in [("nowhere", "nowhere`, which does not exist"), (".", "leads back to")] {
        let root = folder(&[]);
        symlink(root.path().join(to), root.path().join("odd.test")).unwrap();
        let printed = run(root.path(), &[]);
        assert_eq!(printed.code, 2, "{printed:?}");
        assert!(printed.err.contains("odd.test") && printed.err.contains(words), "{printed:?}");
    }
}

#[test]
fn a_classic_file_need_not_be_utf_8_and_an_slt_file_must() {
    let root = folder(&[]);
    let script = b"query T\nSELECT 'caf\xE9' -- \xFF\n----\ncaf@\n";
    fs::write(root.path().join("odd.test"), script).unwrap();
    assert_eq!(beside_a_sound_file(root.path()).verdict("odd.test"), Some("ok"));
    let root = folder(&[]);
    fs::write(root.path().join("odd.slt"), script).unwrap();
    let printed = beside_a_sound_file(root.path());
    assert_eq!((printed.code, printed.verdict("odd.slt")), (101, Some("FAILED")));
    assert!(printed.out.contains("this line is not UTF-8") && printed.out.contains("odd.slt:2"), "{printed:?}");
}

#[test]
fn an_error_before_the_engine_is_not_an_expected_error() {
    let odd: [(&str, &[u8], &str); 3] = [
        ("odd.test", b"statement error\nSELECT\0 1\n", "statement failed: the SQL holds a NUL byte"),
        ("odd.slt", b"query error\nSELECT\0 1\n", "query failed: the SQL holds a NUL byte"),
        ("odd.slt", b"query error\nSELECT 1; SELECT 2\n", "query failed: a query is one SQL statement"),
    ];
    for (name, script, words) in odd {
        let root = folder(&[]);
        fs::write(root.path().join(name), script).unwrap();
        let printed = beside_a_sound_file(root.path());
        assert_eq!((printed.code, printed.verdict(name)), (101, Some("FAILED")), "{printed:?}");
        assert!(printed.out.contains(words), "{printed:?}");
    }
}

#[test]
fn a_line_of_100_megabytes_fails_with_a_short_message() {
    let root = folder(&[]);
    let mut script = b"query I\nSELECT length('".to_vec();
    script.resize(100 << 20, b'x');
    script.extend_from_slice(b"')\n----\n1\n");
    fs::write(root.path().join("odd.test"), script).unwrap();
    let printed = beside_a_sound_file(root.path());
    assert_eq!((printed.code, printed.verdict("odd.test")), (101, Some("FAILED")));
    assert!(printed.out.contains("odd.test:1") && printed.out.len() < 20_000, "{} bytes", printed.out.len());
}

#[test]
fn a_query_that_hangs_is_interrupted() {
    let endless = "statement ok\nSELECT 1\n\nquery I\nWITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)\n\
                   SELECT count(*) FROM c\n----\n1\n";
    for flag in ["--file-timeout", "--query-timeout"] {
        let root = folder(&[("odd.test", endless), ("sound.test", PASSES)]);
        let printed = run(root.path(), &[flag, "0.5"]);
        assert_eq!((printed.code, printed.verdict("odd.test")), (101, Some("timed out after 0.5 s")), "{printed:?}");
        assert_eq!(printed.verdict("sound.test"), Some("ok"), "{printed:?}");
        assert!(printed.out.contains("[SQL] WITH RECURSIVE") && printed.out.contains("odd.test:4"), "{printed:?}");
    }
}

#[test]
fn a_script_does_not_sleep_beyond_its_time_limit() {
    for script in ["sleep 1h\n\nstatement ok\nSELECT 1\n", "query I retry 9 backoff 1h\nSELECT 1\n----\n2\n"] {
        let root = folder(&[("odd.slt", script), ("sound.test", PASSES)]);
        let printed = run(root.path(), &["--file-timeout", "0.3"]);
        assert_eq!((printed.code, printed.verdict("odd.slt")), (101, Some("timed out after 0.3 s")), "{printed:?}");
        assert!(printed.out.contains("odd.slt:1") && printed.verdict("sound.test") == Some("ok"), "{printed:?}");
    }
}

#[test]
fn an_interrupt_is_not_an_expected_error() {
    let endless =
        "statement error\nWITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT sum(x) FROM c\n";
    let root = folder(&[("odd.test", endless)]);
    let printed = run(root.path(), &["--file-timeout", "0.3"]);
    assert_eq!((printed.code, printed.verdict("odd.test")), (101, Some("timed out after 0.3 s")), "{printed:?}");
}

#[test]
fn commands_and_the_environment_need_permission() {
    let root = folder(&[
        ("system.slt", "system ok\necho hello\n----\nhello\n"),
        ("env.slt", "control substitution on\n\nquery T\nSELECT '$SECRET'\n----\nof mine\n"),
    ]);
    let refused = Printed::of(command(target_binary()).env("SLT_CORPUS", root.path()).env("SECRET", "of mine"));
    assert_eq!((refused.code, refused.verdicts().len()), (101, 2), "{refused:?}");
    assert!(refused.out.contains("only with `--allow-system`"), "{refused:?}");
    assert!(refused.out.contains("only with `--allow-env`") && !refused.out.contains("of mine"), "{refused:?}");
    let mut allowed = command(target_binary());
    allowed.env("SLT_CORPUS", root.path()).env("SECRET", "of mine").args(["--allow-system", "--allow-env"]);
    let allowed = Printed::of(&mut allowed);
    assert_eq!((allowed.code, allowed.verdicts().len()), (0, 2), "{allowed:?}");
}

#[test]
fn the_bundled_commands_run_if_allowed() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let let_in = ["--exact", "evidence/directives/system.slt", "--label", "commands", "--format", "json"];
    let refused = run(&corpus, &let_in);
    assert_eq!((refused.code, refused.out.matches("only with `--allow-system`").count()), (101, 4), "{refused:?}");
    let allowed = run(&corpus, &[&let_in[..], &["--allow-system"]].concat());
    assert_eq!(allowed.code, 0, "{allowed:?}");
    assert!(allowed.out.contains(r#""records":{"failed":0,"passed":6,"skipped":0}"#), "{allowed:?}");
}
