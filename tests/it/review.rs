//! `--bless=review` writes new results beside the files, and `slt review` accepts or rejects them.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::bless::WAYS;
use crate::support::{PASSES, Printed, at_once, command, folder, run, target_binary};

/// Two wrong results, an expected error that does not occur, and a right result.
const WRONG: &str = "query I\nSELECT 1\n----\n7\n\n# Fails.\nstatement error\nSELECT 2\n\nquery I\nSELECT 3\n----\n3\n\nquery I\nSELECT 4\n----\n8\n";

/// The same script with the results that SQLite returns.
const RIGHT: &str = "query I\nSELECT 1\n----\n1\n\n# Fails.\nstatement ok\nSELECT 2\n\nquery I\nSELECT 3\n----\n3\n\nquery I\nSELECT 4\n----\n4\n";

fn review(root: &Path, arguments: &[&str]) -> Printed {
    Printed::of(
        command(env!("CARGO_BIN_EXE_slt")).arg("review").args(arguments).env("SLT_CORPUS", root).current_dir(root),
    )
}

fn read(root: &Path, name: &str) -> String {
    fs::read_to_string(root.join(name)).unwrap()
}

/// The files of a folder.
fn names(root: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(root).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn waiting() -> tempfile::TempDir {
    let root = folder(&[("a.slt", WRONG), ("b.slt", PASSES)]);
    assert_eq!(run(root.path(), &["--bless=review"]).code, 101);
    assert_eq!(names(root.path()), ["a.slt", "a.slt.new", "b.slt"]);
    root
}

#[test]
fn new_results_wait_in_every_mode_and_their_files_still_fail() {
    at_once(&WAYS, |way| {
        let root = folder(&[("a/x.slt", WRONG), ("pass.slt", PASSES)]);
        for _ in 0..2 {
            let mut command = command(target_binary());
            let results = tempfile::tempdir().unwrap();
            command.env("SLT_CORPUS", root.path()).env("SLT_RESULTS", results.path());
            let printed = Printed::of(command.args(*way).arg("--bless=review"));
            assert_eq!((printed.code, read(root.path(), "a/x.slt").as_str()), (101, WRONG), "{printed:?}");
            assert!(printed.out.contains("3 records would be rewritten: `slt review` shows each"), "{printed:?}");
            assert!(printed.out.contains("2 passed") || printed.out.contains("1 passed; 1 failed"), "{printed:?}");
        }
        assert_eq!(names(&root.path().join("a")), ["x.slt", "x.slt.new"]);
        let printed = review(root.path(), &["--accept"]);
        assert_eq!((printed.code, read(root.path(), "a/x.slt").as_str()), (0, RIGHT), "{printed:?}");
        assert_eq!(names(&root.path().join("a")), ["x.slt"]);
        assert_eq!(run(root.path(), &[]).code, 0);
    });
}

#[test]
fn scripts_accept_or_reject_all_and_print_changed_expectations() {
    let root = waiting();
    let printed = review(root.path(), &["--accept", "a.slt"]);
    let turn = "a.slt:7: this record expected an error, and now expects success";
    assert_eq!(printed.out, format!("{turn}\na.slt: 3 records accepted, 0 rejected\n"), "{printed:?}");
    assert_eq!((printed.code, read(root.path(), "a.slt").as_str()), (0, RIGHT));
    let root = waiting();
    let printed = review(root.path(), &["--reject"]);
    assert_eq!((printed.code, printed.out.as_str()), (0, "a.slt: 0 records accepted, 3 rejected\n"), "{printed:?}");
    assert_eq!(
        (read(root.path(), "a.slt").as_str(), names(root.path())),
        (WRONG, vec!["a.slt".into(), "b.slt".into()])
    );
    let printed = review(root.path(), &["--accept"]);
    assert!(printed.code == 0 && printed.out.starts_with("no new results wait below"), "{printed:?}");
}

#[test]
fn a_file_that_changed_is_refused_and_named_and_others_go_on() {
    let root = folder(&[("a.slt", WRONG), ("b.slt", WRONG)]);
    assert_eq!(run(root.path(), &["--bless=review"]).code, 101);
    let mine = format!("# mine\n{WRONG}");
    fs::write(root.path().join("a.slt"), &mine).unwrap();
    let printed = review(root.path(), &["--accept"]);
    assert_eq!(
        (printed.code, read(root.path(), "a.slt"), read(root.path(), "b.slt").as_str()),
        (101, mine, RIGHT),
        "{printed:?}"
    );
    let words = "`a.slt` has changed since `a.slt.new` was written: run it again with `--bless=review`";
    assert!(printed.err.contains(words), "{printed:?}");
    // A file that has the new text already needs nothing more.
    fs::write(root.path().join("a.slt"), RIGHT).unwrap();
    let printed = review(root.path(), &["--accept"]);
    assert!(printed.code == 0 && printed.out.contains("a.slt: has the new results already"), "{printed:?}");
    assert_eq!(names(root.path()), ["a.slt", "b.slt"]);
}

#[test]
fn without_a_terminal_it_says_what_to_do_and_bad_names_are_named() {
    let root = waiting();
    let printed = review(root.path(), &[]);
    assert_eq!(printed.code, 2, "{printed:?}");
    assert!(
        printed.err.contains("`--accept` takes all new results") && printed.err.contains("  a.slt: 3 records"),
        "{printed:?}"
    );
    for (arguments, words) in [
        (&["nothing.slt"][..], "no such file or folder: `nothing.slt`"),
        (&["b.slt"], "no new results wait for `b.slt`: `--bless=review` writes them to `b.slt.new`"),
        (&["--accept", "--reject"], "cannot be used with"),
    ] {
        let printed = review(root.path(), arguments);
        assert!(printed.code == 2 && printed.err.contains(words), "{printed:?}");
    }
    fs::write(root.path().join("b.slt.new"), "mine\n").unwrap();
    let printed = review(root.path(), &["b.slt", "--accept"]);
    assert!(
        printed.code == 101 && printed.err.contains("`b.slt.new` was not written by `--bless=review`"),
        "{printed:?}"
    );
    assert_eq!(read(root.path(), "a.slt"), WRONG);
}

#[test]
fn results_that_wait_are_no_test_files() {
    let root = waiting();
    let printed = run(root.path(), &["--list"]);
    assert_eq!(printed.out.matches(": test").count(), 2, "{printed:?}");
    let new = root.path().join("a.slt.new");
    let printed = Printed::of(command(env!("CARGO_BIN_EXE_slt")).args(["test", "--dialect", "slt"]).arg(&new));
    assert!(printed.code == 2 && printed.err.contains("holds new results, and is not a test file"), "{printed:?}");
    let printed = run(root.path(), &["--dialect", "slt", "a.slt.new"]);
    assert!(printed.out.contains("0 passed; 0 failed"), "{printed:?}");
}

#[test]
fn an_included_file_has_new_results_of_its_own() {
    let root = folder(&[("x.slt", "include p.part\n"), ("p.part", "query I\nSELECT 1\n----\n2\n")]);
    let printed = run(root.path(), &["--bless=review"]);
    assert_eq!(
        (printed.code, names(root.path())),
        (101, vec!["p.part".into(), "p.part.new".into(), "x.slt".into()]),
        "{printed:?}"
    );
    assert_eq!(review(root.path(), &["--accept", "p.part.new"]).code, 0);
    assert_eq!(run(root.path(), &[]).code, 0);
}

/// Runs `slt review` on a terminal, and types these keys, each after a question; returns the exit code and what it showed.
fn typed(root: &Path, keys: &[&str], editor: &str) -> (i32, String) {
    typed_until(root, keys, editor, |_| {})
}

/// Like [`typed`]; for an empty key, it calls `stop` with the process instead.
fn typed_until(root: &Path, keys: &[&str], editor: &str, stop: impl Fn(&mut Child)) -> (i32, String) {
    let (mut terminal, mut own) = (0, 0);
    // SAFETY: the two numbers are written, and the other arguments may be null.
    let opened = unsafe {
        libc::openpty(&raw mut terminal, &raw mut own, std::ptr::null_mut(), std::ptr::null_mut(), std::ptr::null_mut())
    };
    assert_eq!(opened, 0);
    // SAFETY: both were just opened, and nothing else owns them.
    let (terminal, own) = unsafe { (OwnedFd::from_raw_fd(terminal), OwnedFd::from_raw_fd(own)) };
    let mut child = {
        // Dropped at once: it holds the child's end of the terminal, which must be closed when the child ends.
        let mut review: Command = command(env!("CARGO_BIN_EXE_slt"));
        review
            .arg("review")
            .env("SLT_CORPUS", root)
            .env("EDITOR", editor)
            .env_remove("VISUAL")
            .env("NO_COLOR", "1")
            .current_dir(root);
        review.stdin(Stdio::from(own.try_clone().unwrap())).stdout(Stdio::from(own.try_clone().unwrap()));
        review.stderr(Stdio::from(own)).spawn().unwrap()
    };
    let mut terminal = fs::File::from(terminal);
    let mut shown = Vec::new();
    let mut asked = 0;
    let mut keys = keys.iter();
    let mut bytes = [0; 1024];
    while let Ok(length @ 1..) = terminal.read(&mut bytes) {
        shown.extend_from_slice(&bytes[..length]);
        let questions = String::from_utf8_lossy(&shown).matches("[q]uit\r\n").count();
        while asked < questions {
            asked += 1;
            let key = keys.next().expect("no more questions than keys");
            match *key {
                "" => stop(&mut child),
                key => terminal.write_all(key.as_bytes()).unwrap(),
            }
        }
    }
    assert_eq!(keys.next(), None, "{}", String::from_utf8_lossy(&shown));
    (child.wait().unwrap().code().unwrap_or(-1), String::from_utf8_lossy(&shown).replace("\r\n", "\n"))
}

#[test]
fn records_are_decided_one_by_one_on_a_terminal() {
    let root = waiting();
    let (code, shown) = typed(root.path(), &["a", "r", "s"], "false");
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("\na.slt:1 (1 of 3)\n") && shown.contains("\n- 7\n+ 1\n"), "{shown}");
    let turn = "NOTE: this record expected an error, and now expects success";
    assert!(shown.contains("\na.slt:7 (2 of 3)\n") && shown.contains(turn), "{shown}");
    assert!(shown.contains("a.slt: 1 record accepted, 1 rejected, 1 left to review"), "{shown}");
    assert_eq!(read(root.path(), "a.slt"), WRONG.replacen("\n7\n", "\n1\n", 1));
    // The skipped result still waits, and fits the current text of the file.
    let (code, shown) = typed(root.path(), &["x", "a"], "false");
    assert!(code == 0 && shown.contains("a.slt:11") | shown.contains("a.slt:15 (1 of 1)"), "{shown}");
    assert_eq!(read(root.path(), "a.slt"), RIGHT.replace("statement ok", "statement error"));
    assert_eq!(names(root.path()), ["a.slt", "b.slt"]);
}

#[test]
fn a_record_can_be_edited_and_an_interrupted_review_changes_nothing() {
    let root = waiting();
    let (code, shown) = typed(root.path(), &["e", "a", "e", "q"], "sed -i -e s/SELECT.1/SELECT.1+0/ -e s/ok/rubbish/");
    assert_eq!(code, 0, "{shown}");
    assert!(read(root.path(), "a.slt").starts_with("query I\nSELECT.1+0\n----\n1\n"), "{shown}");
    assert!(shown.contains("2 left to review"), "{shown}");
    let root = waiting();
    let (code, shown) = typed(root.path(), &["e", "a", "\u{3}"], "false");
    assert!(code == 3 && shown.contains("nothing was changed") && shown.contains("interrupted: `a.slt`"), "{shown}");
    assert_eq!((read(root.path(), "a.slt").as_str(), names(root.path()).len()), (WRONG, 3));
}

/// Checks that each file has either its old text or all accepted records; returns how many have the latter.
fn is_whole(root: &Path, files: &[String]) -> usize {
    let accepted = files.iter().filter(|name| {
        let text = read(root, name);
        assert!(text == WRONG || text == RIGHT, "{name} is torn: {text}");
        text == RIGHT
    });
    accepted.count()
}

#[test]
fn a_review_that_is_killed_at_a_question_has_written_whole_files_only() {
    for questions in 0..6 {
        let root = folder(&[("a.slt", WRONG), ("b.slt", WRONG)]);
        assert_eq!(run(root.path(), &["--bless=review"]).code, 101);
        let keys: Vec<&str> = std::iter::repeat_n("a", questions).chain([""]).collect();
        let (code, shown) = typed_until(root.path(), &keys, "false", |child| child.kill().unwrap());
        assert_eq!(code, -1, "{shown}");
        let files = ["a.slt".to_owned(), "b.slt".to_owned()];
        // A file is written after the decision on the last of its three records.
        assert_eq!(is_whole(root.path(), &files), questions / 3, "{shown}");
        // The remaining results can be accepted afterwards.
        let printed = review(root.path(), &["--accept"]);
        assert_eq!((printed.code, is_whole(root.path(), &files)), (0, 2), "{printed:?}");
    }
}

#[test]
fn a_review_that_is_killed_while_it_writes_leaves_no_torn_file() {
    let files: Vec<String> = (0..40).map(|number| format!("{number:02}.slt")).collect();
    let texts: Vec<(&str, &str)> = files.iter().map(|name| (name.as_str(), WRONG)).collect();
    let root = folder(&texts);
    assert_eq!(run(root.path(), &["--bless=review"]).code, 101);
    loop {
        let before = is_whole(root.path(), &files);
        if before == files.len() {
            break;
        }
        let mut slt = command(env!("CARGO_BIN_EXE_slt"));
        slt.args(["review", "--accept"]).env("SLT_CORPUS", root.path()).current_dir(root.path());
        let mut child = slt.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Kills the process as soon as it has written something, unless it has ended.
        while is_whole(root.path(), &files) == before && child.try_wait().unwrap().is_none() {}
        let _ = child.kill();
        child.wait().unwrap();
    }
    // The next review removes unfinished files of killed ones; they are not test files.
    assert_eq!(review(root.path(), &["--accept"]).code, 0);
    let printed = run(root.path(), &[]);
    assert!(printed.code == 0 && printed.out.contains("40 passed; 0 failed"), "{printed:?}");
}
