//! `--bless` rewrites failing records, and `slt test` shows one file record by record.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{FAILS, PASSES, Printed, at_once, command, folder, run, target_binary};

const LINES: &str = "query IT rowsort\nVALUES (2, 'b'), (1, 'a')\n----\n";

/// A script with two wrong results, a comment within one of them, and a record for other engines.
fn wrong() -> String {
    format!("# top\n\n{LINES}1\n# inside\nb\n\nskipif sqlite\nquery I\nSELECT 1\n----\n9\n\nquery I\nSELECT 3\n")
}

/// The same script with the results that SQLite returns.
fn right() -> String {
    format!(
        "# top\n\n{LINES}1\na\n2\n# inside\nb\n\nskipif sqlite\nquery I\nSELECT 1\n----\n9\n\nquery I\nSELECT 3\n----\n3\n"
    )
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap()
}

/// The ways to run a folder: in one process, as one worker, and by a supervisor with workers.
pub const WAYS: [&[&str]; 3] = [&[], &["--parallel"], &["--parallel", "--workers", "2"]];

fn run_with(root: &Path, way: &[&str], arguments: &[&str]) -> Printed {
    let results = tempfile::tempdir().unwrap();
    let mut command = command(target_binary());
    Printed::of(command.args(way).args(arguments).env("SLT_CORPUS", root).env("SLT_RESULTS", results.path()))
}

fn slt(arguments: &[&str], folder: &Path) -> Printed {
    Printed::of(command(env!("CARGO_BIN_EXE_slt")).args(arguments).current_dir(folder))
}

#[test]
fn what_cannot_be_blessed_still_fails_with_exit_code_101() {
    let error = "query I\nSELECT nothing\n----\n1\n";
    let syntax = "query I\nSELECT 1\n----\n1\n----\n";
    let endless =
        "query I\nWITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c\n----\n1\n";
    at_once(&WAYS, |way| {
        let files =
            [("error.test", error), ("syntax.test", syntax), ("endless.test", endless), ("wrong.test", &wrong())];
        let root = folder(&files);
        let printed = run_with(root.path(), way, &["--bless", "--query-timeout", "0.3"]);
        assert_eq!(printed.code, 101, "{printed:?}");
        for (name, text) in &files[..3] {
            assert_eq!(read(root.path().join(name)), *text);
        }
        assert_eq!(read(root.path().join("wrong.test")), right());
        assert_eq!(printed.verdict("wrong.test"), Some("ok (2 records rewritten)"), "{printed:?}");
        let reasons = printed.out.matches("\nnot blessed: ").count();
        assert_eq!(
            (reasons, printed.out.contains("which only `--bless-errors` writes down")),
            (3, true),
            "{printed:?}"
        );
    });
}

#[test]
fn a_read_only_or_outside_file_is_refused() {
    let outside = folder(&[("x.test", FAILS)]);
    let root = folder(&[("locked.test", FAILS), ("a/own.test", FAILS)]);
    let link = root.path().join("out.test");
    symlink(outside.path().join("x.test"), &link).unwrap();
    let printed = run(root.path(), &["--bless"]);
    assert_eq!((printed.code, read(outside.path().join("x.test")).as_str()), (2, FAILS), "{printed:?}");
    assert!(printed.err.contains("out.test`"), "{printed:?}");
    fs::remove_file(link).unwrap();
    fs::set_permissions(root.path().join("locked.test"), fs::Permissions::from_mode(0o444)).unwrap();
    let printed = run(root.path(), &["--bless"]);
    assert_eq!((printed.code, read(root.path().join("locked.test")).as_str()), (101, FAILS), "{printed:?}");
    assert_eq!(printed.verdict("locked.test").map(str::trim), Some("FAILED"), "{printed:?}");
    assert!(printed.out.contains("it is read-only"), "{printed:?}");
    assert_eq!(printed.verdict("a/own.test"), Some("ok (1 record rewritten)"), "{printed:?}");
    assert_eq!(fs::read_dir(root.path().join("a")).unwrap().count(), 1);
}

#[test]
fn a_file_that_changed_meanwhile_is_not_overwritten() {
    let root = folder(&[]);
    let path = root.path().join("x.slt");
    let script = format!("query I\nSELECT 1\n----\n2\n\nsystem ok\necho '# mine' >> {}\n", path.display());
    fs::write(&path, &script).unwrap();
    let printed = run(root.path(), &["--bless", "--allow-system"]);
    assert_eq!((printed.code, read(&path)), (101, format!("{script}# mine\n")), "{printed:?}");
    assert!(printed.out.contains("not blessed: the file has changed since it was read"), "{printed:?}");
}

#[test]
fn invalid_values_of_bless_are_named() {
    let root = folder(&[("x.test", FAILS)]);
    for (arguments, words) in [
        (&["--bless=chek"][..], "`--bless=check` or `--bless=review`"),
        (&["--bless-errors"], "it needs `--bless` too"),
    ] {
        for printed in [run(root.path(), arguments), slt(&[&["test", "x.test"], arguments].concat(), root.path())] {
            assert_eq!((printed.code, printed.err.contains(words)), (2, true), "{printed:?}");
        }
    }
    let printed = Printed::of(command(target_binary()).env("SLT_CORPUS", root.path()).env("SLT_BLESS", "perhaps"));
    assert_eq!((printed.code, printed.err.contains("SLT_BLESS")), (2, true), "{printed:?}");
    let check = folder(&[("check.test", FAILS)]);
    for line in ["--bless check", "check --bless", "--bless other review"] {
        let arguments: Vec<&str> = line.split(' ').collect();
        for printed in
            [run(check.path(), &arguments), slt(&[&["run", "--root", "."], &arguments[..]].concat(), check.path())]
        {
            assert!(printed.code == 2 && printed.err.contains("` would rewrite the files"), "{printed:?}");
            assert!(printed.err.contains("write `--bless="), "{printed:?}");
        }
    }
    for path in [root.path().join("x.test"), check.path().join("check.test")] {
        assert_eq!(read(path), FAILS);
    }
    assert_eq!(run(check.path(), &["--bless", "*check*"]).code, 0);
}

#[test]
fn results_are_rewritten_in_every_mode_and_then_pass() {
    at_once(&WAYS, |way| {
        let root = folder(&[("a/x.test", &wrong()), ("pass.test", PASSES)]);
        let path = root.path().join("a/x.test");
        let shown = run_with(root.path(), way, &["--bless=check"]);
        assert_eq!((shown.code, read(&path)), (101, wrong()), "{shown:?}");
        assert!(shown.out.contains("2 records would be rewritten\n"), "{shown:?}");
        assert!(!shown.out.contains("more failing"), "{shown:?}");
        assert!(shown.out.contains(" 1\n+a\n+2\n # inside\n"), "{shown:?}");
        let printed = run_with(root.path(), way, &["--bless"]);
        assert_eq!((printed.code, read(&path)), (0, right()), "{printed:?}");
        assert_eq!(printed.verdict("a/x.test").map(str::trim), Some("ok (2 records rewritten)"), "{printed:?}");
        assert!(printed.out.contains("\nrewritten: 2 records of 1 file;"), "{printed:?}");
        for arguments in [&[][..], &["--bless=check"], &["--bless", "--bless-errors"]] {
            let again = run_with(root.path(), way, arguments);
            assert_eq!((again.code, read(&path), again.out.contains("rewritten")), (0, right(), false), "{again:?}");
        }
    });
}

#[test]
fn variables_work_like_the_flags() {
    let error = "statement ok\nSELECT missing\n";
    let root = folder(&[("x.slt", error)]);
    let with = |bless: &str, errors: &str| {
        let mut command = command(target_binary());
        command.env("SLT_CORPUS", root.path()).env("SLT_BLESS", bless).env("SLT_BLESS_ERRORS", errors);
        Printed::of(&mut command).code
    };
    assert_eq!((with("0", "1"), with("check", "1"), with("1", "0")), (101, 101, 101));
    assert_eq!(read(root.path().join("x.slt")), error);
    assert_eq!(with("1", "1"), 0);
    assert_eq!(read(root.path().join("x.slt")), "statement error no such column: missing\nSELECT missing\n");
}

#[test]
fn a_file_that_many_scripts_include_is_rewritten_at_its_own_place() {
    let includes = "include ../shared.part\n\nstatement ok\nSELECT 1\n";
    let names: Vec<String> = (0..8).map(|number| format!("a/{number}.slt")).collect();
    let mut files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), includes)).collect();
    files.push(("shared.part", "query I\nVALUES (1), (2)\n----\n1\n\nquery T\nSELECT 'x'\n----\ny\n"));
    for way in WAYS {
        let root = folder(&files);
        let printed = run_with(root.path(), way, &["--bless"]);
        let expected = "query I\nVALUES (1), (2)\n----\n1\n2\n\nquery T\nSELECT 'x'\n----\nx\n";
        assert_eq!(read(root.path().join("shared.part")), expected, "{printed:?}");
        assert_eq!(run(root.path(), &[]).code, 0);
        assert_eq!(read(root.path().join("a/0.slt")), includes);
    }
}

/// The test files of a folder and its subfolders.
fn scripts(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = entries.flat_map(|p| if p.is_dir() { scripts(&p) } else { vec![p] }).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "test" || extension == "slt"));
    // Files of DuckDB's dialect cannot be rewritten.
    found.retain(|path| !path.to_string_lossy().ends_with(".duckdb.test"));
    found.sort();
    found
}

/// A text with about one result line in nine changed, doubled or removed.
fn altered(text: &str, seed: &mut u64) -> String {
    let (mut in_results, mut left_out, mut halted) = (false, false, false);
    let lines = text.split_inclusive('\n').map(|line| {
        // Records that do not run are not blessed either.
        left_out = !line.trim().is_empty() && (left_out || line.starts_with("skipif") || line.starts_with("onlyif"));
        halted |= line.starts_with("halt");
        let is_result = in_results && !line.trim().is_empty() && !line.starts_with('#') && !left_out && !halted;
        in_results = !line.trim().is_empty() && (in_results || line.starts_with("----"));
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        match (*seed >> 33) % 27 {
            _ if !is_result || line.contains("<slt:ignore>") => line.to_owned(),
            // A hash stays recognisable, so that no list replaces it.
            0..3 if line.contains(" values hashing to ") => line.replace(['0', '1'], "2"),
            0 => format!("altered {line}"),
            1 => line.repeat(2),
            2 => String::new(),
            _ => line.to_owned(),
        }
    });
    lines.collect()
}

#[test]
fn altered_results_come_back_byte_by_byte() {
    let root = folder(&[]);
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut originals = Vec::new();
    let (mut seed, mut changed) = (7, 0);
    for path in scripts(&corpus) {
        let copy = root.path().join(path.strip_prefix(&corpus).unwrap());
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        let text = read(&path);
        // A row's line may have several layouts, and an error need not be quoted in full.
        let original = if path.extension().unwrap() == "test" { altered(&text, &mut seed) } else { text.clone() };
        changed += usize::from(original != text);
        fs::write(&copy, original).unwrap();
        originals.push((copy, text));
    }
    assert!(changed > 20, "{changed} files");
    // Included files, and other files in that folder.
    let others = Command::new("cp").args(["-rn", "."]).arg(root.path()).current_dir(&corpus).output().unwrap();
    assert!(others.stderr.is_empty() || scripts(root.path()).len() == originals.len(), "{others:?}");
    let printed = run(root.path(), &["--bless"]);
    for (copy, text) in originals {
        assert_eq!(read(&copy), text, "{}", copy.display());
    }
    assert_eq!(printed.code, 0, "{printed:?}");
}

#[test]
fn one_file_is_shown_record_by_record() {
    let root = folder(&[("a/x.test", &wrong()), ("notes.md", "")]);
    let there = |arguments: &[&str]| slt(&[&["test"], arguments].concat(), root.path());
    for (arguments, words) in [
        (&["nowhere.test"][..], "no test file `nowhere.test`: neither a path from here nor a name below"),
        (&["a"], "`a` is a folder: `slt run --root a` runs the files in it"),
        (
            &["notes.md"],
            "the name of `notes.md` does not show its dialect: add `--dialect` with `classic`, `slt` or `duckdb`",
        ),
        (&[], "<FILE>"),
    ] {
        let printed = there(arguments);
        assert_eq!((printed.code, printed.err.contains(words)), (2, true), "{printed:?}");
    }
    let printed = there(&["a/x.test"]);
    let lines: Vec<&str> = printed.out.lines().filter(|line| line.starts_with("   ")).collect();
    assert_eq!((printed.code, lines.len()), (101, 3), "{printed:?}");
    for (line, (start, end)) in
        lines.iter().zip([("     3  VALUES (2, 'b')", " ms"), ("    11  ", "skipped"), ("    16  SELECT 3", " ms")])
    {
        assert!(line.starts_with(start) && line.ends_with(end), "{line}");
    }
    assert!(printed.out.contains("  1\n+ a\n+ 2\n  b\nat a/x.test:3\n"), "{printed:?}");
    assert!(printed.out.contains("\nresult: FAILED. records: 0 passed; 2 failed; 1 skipped;"), "{printed:?}");
    assert_eq!(there(&["a/x.test", "--bless=check"]).code, 101);
    let printed = there(&["x.test", "--root", "a", "--bless"]);
    assert_eq!((printed.code, read(root.path().join("a/x.test"))), (0, right()), "{printed:?}");
    assert!(
        printed.out.contains("\nresult: ok. records: 2 passed, 2 of these rewritten; 0 failed; 1 skipped;"),
        "{printed:?}"
    );
    assert_eq!(slt(&["test", "x.test"], &root.path().join("a")).code, 0);
}

#[test]
fn a_file_of_a_suite_may_include_what_the_suite_holds() {
    let root = folder(&[("a/x.slt", "include ../b/y.part\n"), ("b/y.part", "statement ok\nSELECT 1\n")]);
    let printed = slt(&["test", "x.slt"], &root.path().join("a"));
    assert_eq!((printed.code, printed.out.contains("leads out of the folder")), (101, true), "{printed:?}");
    let printed = slt(&["test", "x.slt", "--root", ".."], &root.path().join("a"));
    assert_eq!((printed.code, printed.out.contains("1 passed")), (0, true), "{printed:?}");
    let printed = slt(&["test", "y.slt"], &folder_of_one(root.path()));
    assert_eq!(printed.code, 0, "{printed:?}");
}

/// A folder with a script that includes its neighbour.
fn folder_of_one(root: &Path) -> PathBuf {
    fs::write(root.join("b/y.slt"), "include y.part\n").unwrap();
    root.join("b")
}
