use super::*;
use crate::outcome::{CutShort, Failure, Outcome, RecordCounts, Verdict};

const SQLITE: &[&str] = &["sqlite"];

/// A list in its own folder.
struct ListFile {
    folder: tempfile::TempDir,
}

impl ListFile {
    fn new(text: &str) -> ListFile {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("known.toml"), text).unwrap();
        ListFile { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("known.toml")
    }

    fn list(&self) -> KnownFailures {
        KnownFailures::read(&self.path()).unwrap()
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    /// The error of reading the list, without the folder.
    fn error(&self) -> String {
        let error = KnownFailures::read(&self.path()).unwrap_err().to_string();
        error.replace(&format!("{}/", self.folder.path().display()), "")
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn failed(name: &str, records: &[(&str, u64)]) -> Outcome {
    Outcome {
        records: RecordCounts { failed: records.len() as u64, ..RecordCounts::default() },
        failed_records: records.iter().map(|(sql, line)| RecordId::new(sql, *line)).collect(),
        ..Outcome::new(name, Verdict::Failed)
    }
}

/// The outcome, with these pinned records as passed.
fn with_passing(outcome: Outcome, records: &[(&str, u64)]) -> Outcome {
    Outcome { passing_pins: records.iter().map(|(sql, line)| RecordId::new(sql, *line)).collect(), ..outcome }
}

fn judge(list: KnownFailures) -> Judge {
    Judge { list, engine: names(SQLITE), ratchet: false }
}

fn verdict(list: &str, outcome: Outcome) -> String {
    judge(ListFile::new(list).list()).judge(outcome).verdict.to_string()
}

const A: &str = "[[known]]\npath = \"a.test\"\nreason = \"no joins\"\n";

#[test]
fn a_listed_file_that_fails_is_known_and_one_that_passes_is_unexpected() {
    assert_eq!(verdict(A, failed("a.test", &[("x", 1)])), "known failure (no joins)");
    let crashed = Outcome::new("a.test", Verdict::Crashed { how: "SIGSEGV".into() });
    assert_eq!(verdict(A, crashed.clone()), "crashed (SIGSEGV)", "the entry does not say so");
    let list = format!("{A}ends = \"crashed\"\n");
    assert_eq!(verdict(&list, crashed), "known failure (crashed (SIGSEGV); no joins)");
    assert_eq!(verdict(A, Outcome::new("a.test", Verdict::Passed)), "unexpected pass (known failure: no joins)");
}

#[test]
fn outcomes_of_unlisted_files_do_not_change() {
    assert_eq!(verdict(A, failed("b.test", &[])), "FAILED");
    for outcome in [
        Verdict::Flaky { attempt: 2 },
        Verdict::Ignored { reason: "empty".into() },
        Verdict::NotRun { reason: "time budget".into() },
    ] {
        assert_eq!(verdict(A, Outcome::new("a.test", outcome.clone())), outcome.to_string());
    }
}

#[test]
fn an_entry_applies_to_its_engine_only() {
    let list = format!("{A}engine = \"MySQL\"\n");
    assert_eq!(verdict(&list, failed("a.test", &[])), "FAILED");
    let judge = Judge { engine: names(&["mariadb", "mysql"]), ..judge(ListFile::new(&list).list()) };
    let judged = judge.judge(failed("a.test", &[]));
    assert_eq!(judged.verdict.to_string(), "known failure (no joins)");
}

#[test]
fn a_full_name_wins_over_a_glob() {
    let list = format!("[[known]]\npath = \"*.test\"\nreason = \"all\"\n{A}");
    assert_eq!(verdict(&list, failed("a.test", &[])), "known failure (no joins)");
    assert_eq!(verdict(&list, failed("b.test", &[])), "known failure (all)");
    assert_eq!(verdict(&list, failed("folder/b.test", &[])), "FAILED", "a star stays in its folder");
}

fn pinned() -> String {
    let pin = |sql: &str, line| format!("{{ sql = \"{}\", line = {line} }},", RecordId::new(sql, 0).sql);
    format!("{A}records = [\n{}\n{}\n{}\n]\n", pin("x", 1), pin("y", 5), pin("y", 9))
}

#[test]
fn pinned_records_may_move_but_not_change() {
    let judged = |records: &[(&str, u64)], passing: &[(&str, u64)]| {
        let outcome = with_passing(failed("a.test", records), passing);
        let outcome = judge(ListFile::new(&pinned()).list()).judge(outcome);
        let message = outcome.failures.first().map(|failure| failure.message.clone()).unwrap_or_default();
        (outcome.verdict.to_string(), message)
    };
    let known = ("known failure (no joins)".to_owned(), String::new());
    assert_eq!(judged(&[("x", 1), ("y", 5), ("y", 9)], &[]), known);
    assert_eq!(judged(&[("x", 11), ("y", 15), ("y", 19)], &[]), known);
    let (verdict, message) = judged(&[("x", 1), ("y", 5), ("y", 9), ("z", 12)], &[]);
    assert_eq!((verdict.as_str(), message.as_str()), ("FAILED", "failing, but not known to fail: line 12"));
    let (verdict, message) = judged(&[("x", 1), ("y", 9)], &[("y", 5)]);
    assert_eq!(verdict, "unexpected pass (known failure: no joins)");
    assert_eq!(message, "known to fail, but passing now: line 5");
    let (verdict, message) = judged(&[("x", 1), ("y", 9)], &[]);
    let unseen = "known to fail, but not run (skipped, behind a `halt`, or no longer there): line 5";
    assert_eq!((verdict.as_str(), message.as_str()), ("FAILED", unseen));
    let (verdict, message) = judged(&[("y", 9), ("z", 12), ("z", 14)], &[("x", 1), ("y", 5)]);
    assert_eq!(verdict, "FAILED");
    assert_eq!(message, "failing, but not known to fail: lines 12, 14\nknown to fail, but passing now: lines 1, 5");
}

#[test]
fn pins_do_not_cover_a_crash_or_more_records_than_are_listed() {
    let crashed = Outcome::new("a.test", Verdict::Crashed { how: "SIGSEGV".into() });
    assert_eq!(verdict(&pinned(), crashed), "crashed (SIGSEGV)");
    let mut many = failed("a.test", &[("x", 1), ("y", 5), ("y", 9)]);
    many.records.failed = 2000;
    assert_eq!(verdict(&pinned(), many), "FAILED");
}

#[test]
fn the_number_of_failing_records_must_match_the_count() {
    let list = format!("{A}failed = 2\n");
    let judged = |outcome: Outcome| {
        let outcome = judge(ListFile::new(&list).list()).judge(outcome);
        (
            outcome.verdict.to_string(),
            outcome.failures.first().map(|failure| failure.message.clone()).unwrap_or_default(),
        )
    };
    let two = || failed("a.test", &[("x", 1), ("y", 2)]);
    assert_eq!(judged(two()), ("known failure (no joins)".to_owned(), String::new()));
    let (verdict, message) = judged(failed("a.test", &[("x", 1)]));
    assert_eq!(verdict, "unexpected pass (known failure: no joins)");
    assert_eq!(message, "1 record fails, but 2 are known to");
    let stopped = Outcome { cut_short: Some(CutShort::FirstFailure), ..failed("a.test", &[("x", 1)]) };
    assert_eq!(judged(stopped).0, "FAILED", "nothing is known of the rest");
    let (verdict, message) = judged(failed("a.test", &[("x", 1), ("y", 2), ("z", 3)]));
    assert_eq!((verdict.as_str(), message.as_str()), ("FAILED", "3 records fail, but 2 are known to"));
    for cut_short in [CutShort::SyntaxError, CutShort::ConnectionLost, CutShort::Panicked, CutShort::Unreadable] {
        assert_eq!(judged(Outcome { cut_short: Some(cut_short), ..two() }).0, "FAILED", "{cut_short}");
    }
    assert_eq!(judged(Outcome::new("a.test", Verdict::TimedOut { limit_ms: 1 })).0, "timed out after 0.001 s");
    let error = ListFile::new(&format!("{list}records = []\n")).error();
    assert_eq!(error, "known.toml:1: `records` and `failed` cannot both be given");
}

#[test]
fn a_script_that_stops_early_is_known_only_if_its_entry_says_so() {
    let pinned = || failed("a.test", &[("x", 1), ("y", 5), ("y", 9)]);
    for list in [A.to_owned(), self::pinned(), format!("{A}failed = 3\n")] {
        assert_eq!(verdict(&list, pinned()), "known failure (no joins)");
        for cut_short in
            [CutShort::SyntaxError, CutShort::ConnectionLost, CutShort::Panicked, CutShort::Crashed, CutShort::TimedOut]
        {
            let outcome = || Outcome { cut_short: Some(cut_short), ..pinned() };
            let judged = judge(ListFile::new(&list).list()).judge(outcome());
            assert_eq!(judged.verdict, Verdict::Failed, "{list}");
            let wanted = format!("`ends = \"{}\"`", cut_short.name());
            assert!(judged.failures[0].message.contains(&wanted), "{:?}", judged.failures);
            let listed = format!("{list}ends = \"{}\"\n", cut_short.name());
            assert_eq!(verdict(&listed, outcome()), "known failure (no joins)");
            assert_eq!(verdict(&listed, pinned()), "FAILED", "it ran to its end");
            let other = Outcome { cut_short: Some(CutShort::OutOfMemory), ..pinned() };
            assert_eq!(verdict(&listed, other), "FAILED", "it ended for another reason");
        }
        for cut_short in [CutShort::Unreadable, CutShort::NoConnection] {
            assert_eq!(verdict(&list, Outcome { cut_short: Some(cut_short), ..pinned() }), "FAILED");
            let error = ListFile::new(&format!("{list}ends = \"{}\"\n", cut_short.name())).error();
            let words = "`ends` is one of `syntax_error`, `connection_lost`, `panicked`, `crashed`, `timed_out` and \
                         `out_of_memory`, not `";
            assert!(error.contains(words) && error.contains(cut_short.name()), "{error}");
        }
    }
    let list = format!("{}ends = \"crashed\"\n", self::pinned());
    let other = Outcome { cut_short: Some(CutShort::Crashed), ..failed("a.test", &[("x", 1), ("z", 7)]) };
    assert_eq!(verdict(&list, other), "FAILED", "it crashes, but at a record that is not pinned");
}

#[test]
fn an_expectation_reports_new_failures_and_passing_pins() {
    let judge = judge(ListFile::new(&pinned()).list());
    let mut moved = judge.expectation("a.test").unwrap();
    moved.failed(&RecordId::new("y", 19));
    moved.passed(b"y", 15, "");
    moved.passed(b"other", 1, "");
    assert!(!moved.has_new_failure());
    assert_eq!(moved.passing(false), [], "a record that was skipped may be the pinned one");
    assert_eq!(moved.passing(true), [RecordId::new("y", 9)]);
    let mut in_place = judge.expectation("a.test").unwrap();
    in_place.passed(b"y", 9, "");
    in_place.passed(b"x", 1, "");
    assert_eq!(in_place.passing(false), [RecordId::new("x", 1), RecordId::new("y", 9)]);
    assert_eq!(in_place.passing(true).len(), 2, "the record in line 5 was not seen");
    in_place.failed(&RecordId::new("x", 3));
    assert!(!in_place.has_new_failure(), "the pin is used once");
    in_place.failed(&RecordId::new("x", 7));
    assert!(in_place.has_new_failure());
    assert!(judge.expectation("b.test").is_none());
}

#[test]
fn an_entry_that_matches_no_file_is_named() {
    let list = format!("{A}\n[[known]]\npath = \"gone/*.test\"\nreason = \"\"\n");
    let place = ListFile::new(&list);
    let engine = names(SQLITE);
    assert_eq!(place.list().check(["a.test", "gone/b.test"], &engine).unwrap(), [""; 0]);
    let error = place.list().check(["a.test"], &engine).unwrap_err().to_string();
    assert_eq!(error, format!("no file matches the known failure `gone/*.test`, at {}:5", place.path().display()));
    let error = place.list().check(["other.slt"], &engine).unwrap_err().to_string();
    let path = place.path().display().to_string();
    assert!(
        error.starts_with(&format!("none of the 2 known failures in `{path}` matches a file of this suite")),
        "{error}"
    );
}

#[test]
fn an_entry_without_effect_is_named() {
    let warnings = |list: &str, files: &[&str]| {
        ListFile::new(list).list().check(files.iter().copied(), &names(SQLITE)).unwrap().join("\n")
    };
    let twice = warnings(&format!("{A}{A}failed = 2\n"), &["a.test"]);
    assert!(
        twice.starts_with("the known failure `a.test` has no effect, because other entries (line 1) win"),
        "{twice}"
    );
    assert!(twice.ends_with("known.toml:4"), "{twice}");
    let glob = format!("[[known]]\npath = \"a*.test\"\nreason = \"\"\n{A}");
    assert!(warnings(&glob, &["a.test"]).contains("`a*.test` has no effect"));
    assert_eq!(warnings(&glob, &["a.test", "ab.test"]), "");
    let engines = format!("{A}engine = \"mysql\"\n{A}engine = \"sqlite\"\n");
    assert_eq!(warnings(&engines, &["a.test"]), "", "each has its engine");
}

#[test]
fn an_invalid_list_is_an_error_with_its_line() {
    let entry = "[[known]]\npath = \"a\"\nreason = \"x\"\n";
    let records = |text: &str| format!("{entry}records = {text}\n");
    for (list, words) in [
        ("[[known]]\npath = \"a\"\nreasn = \"x\"\n".to_owned(), "3: unknown key `reasn`; did you mean `reason`?"),
        (format!("{entry}priority = 1\n"), "4: unknown key `priority`: an entry has `path`, `engine`, `reason`, "),
        ("[[known]]\npath = \"a\"\n".to_owned(), "1: this entry has no `reason`"),
        ("[[knwn]]\npath = \"a\"\n".to_owned(), "1: unknown key `knwn`; did you mean `known`?"),
        ("\nentries = []\n".to_owned(), "2: unknown key `entries`: a list has `[[known]]` and no other key"),
        ("known = 3\n".to_owned(), "1: `known` needs a table for each entry, such as [[known]], not this integer"),
        ("[[known]\n".to_owned(), "1: "),
        ("\n[[known]]\npath = \"[\"\nreason = \"x\"\n".to_owned(), "2: `path`: `[` is not a file pattern: "),
        ("[[known]]\npath = 1\nreason = \"x\"\n".to_owned(), "2: `path` needs a text in quotes, not this integer"),
        (format!("{entry}failed = \"3\"\n"), "4: `failed` needs a whole number, not this string"),
        (format!("{entry}failed = -1\n"), "4: `failed` needs a whole number of at least 0, not `-1`"),
        (format!("{entry}ends = \"crash\"\n"), "4: `ends` is one of `syntax_error`, `connection_lost`, "),
        (records("3"), "4: `records` needs a list of records, such as [{ sql = "),
        (records("[3]"), "4: `records` needs a list of records, such as [{ sql = "),
        (records("[\n{ line = 1 }]"), "5: this record has no `sql`"),
        (records("[{ sql = \"x\", lines = 1 }]"), "4: unknown key `lines`; did you mean `line`?"),
    ] {
        let error = ListFile::new(&list).error();
        assert!(error.starts_with(&format!("known.toml:{words}")), "{list}: {error}");
    }
    let inline = "known = [{ path = \"a.test\", reason = \"x\", records = [{ sql = \"y\" }] }]\n";
    assert_eq!(ListFile::new(inline).list().entries[0].listed.records.as_ref().unwrap()[0].sql, "y");
    assert!(KnownFailures::read(Path::new("absent.toml")).unwrap_err().to_string().contains("`absent.toml`"));
}

#[test]
fn the_first_list_makes_the_next_run_green() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/known.toml");
    let mut bad = failed("b \"quoted\".test", &[("x", 1), ("y", 2)]);
    bad.failures.push(Failure { message: "query failed: no\nsuch".into(), ..Failure::default() });
    let mut many = failed("d.test", &[("x", 1)]);
    many.records.failed = 2000;
    many.failures.push(Failure { sql: "x".into(), message: "no".into(), ..Failure::default() });
    let outcomes = [
        bad,
        Outcome::new("a.test", Verdict::Crashed { how: "SIGSEGV".into() }),
        Outcome::new("c.test", Verdict::Passed),
        many,
        Outcome { cut_short: Some(CutShort::NoConnection), ..failed("e.test", &[("", 0)]) },
        Outcome { cut_short: Some(CutShort::ConnectionLost), ..failed("f.test", &[("x", 1)]) },
    ];
    assert_eq!(KnownFailures::write_first(&path, Some("sqlite"), &outcomes).unwrap(), 4);
    let text = fs::read_to_string(&path).unwrap();
    let expected = "\
# Files that are known to fail, and why.

[[known]]
path = \"a.test\"
engine = \"sqlite\"
reason = \"crashed (SIGSEGV)\"
ends = \"crashed\"

[[known]]
path = 'b \"quoted\".test'
engine = \"sqlite\"
reason = \"query failed: no\"
records = [
  { sql = \"9dd4e461268c8034\", line = 1 },
  { sql = \"415290769594460e\", line = 2 },
]

[[known]]
path = \"d.test\"
engine = \"sqlite\"
reason = \"no\"
failed = 2000

[[known]]
path = \"f.test\"
engine = \"sqlite\"
reason = \"FAILED\"
ends = \"connection_lost\"
records = [
  { sql = \"9dd4e461268c8034\", line = 1 },
]
";
    assert_eq!(text, expected);
    let judge = judge(KnownFailures::read(&path).unwrap());
    assert!(!judge.judge(outcomes[0].clone()).verdict.is_failure());
    assert!(!judge.judge(outcomes[1].clone()).verdict.is_failure());
    assert!(!judge.judge(outcomes[3].clone()).verdict.is_failure());
    assert!(judge.judge(outcomes[4].clone()).verdict.is_failure(), "no list allows a server that is not there");
    assert!(!judge.judge(outcomes[5].clone()).verdict.is_failure());
    assert!(matches!(KnownFailures::write_first(&path, None, []), Err(KnownError::Exists(_))));
    let none = folder.path().join("none.toml");
    assert_eq!(KnownFailures::write_first(&none, None, []).unwrap(), 0);
    assert_eq!(fs::read_to_string(&none).unwrap(), "# Files that are known to fail, and why.\n");
}

const COMMENTED: &str = "\
# About this list.

# On a.
[[known]]
path = \"a.test\" # here
reason = \"one\"

# A chapter.

# On b.
[[known]]
path = \"b.test\"
reason = \"two\"

[[known]]
path = \"c*.test\"
reason = \"three\"
# The end.
";

fn ratcheted(list: &str, outcomes: Vec<Outcome>) -> (Vec<String>, String) {
    let place = ListFile::new(list);
    let judge = Judge { ratchet: true, ..judge(place.list()) };
    let judged: Vec<Outcome> = outcomes.into_iter().map(|outcome| judge.judge(outcome)).collect();
    (judge.take_off(&judged).unwrap(), place.text())
}

#[test]
fn the_ratchet_removes_what_passes_and_keeps_comments_and_order() {
    let passed = |name: &str| Outcome::new(name, Verdict::Passed);
    let (gone, text) = ratcheted(COMMENTED, vec![passed("a.test")]);
    assert_eq!(gone, ["a.test"]);
    assert_eq!(text, COMMENTED.replace("# On a.\n[[known]]\npath = \"a.test\" # here\nreason = \"one\"\n\n", ""));
    let (_, text) = ratcheted(COMMENTED, vec![passed("b.test")]);
    assert_eq!(text, COMMENTED.replace("# On b.\n[[known]]\npath = \"b.test\"\nreason = \"two\"\n\n", ""));
}

#[test]
fn entries_that_the_ratchet_removes_do_not_fail_the_run() {
    let judged = |list: &str, outcome: Outcome| {
        let judge = Judge { ratchet: true, ..judge(ListFile::new(list).list()) };
        judge.judge(outcome).verdict.to_string()
    };
    assert_eq!(judged(A, Outcome::new("a.test", Verdict::Passed)), "ok");
    let two_pass = with_passing(failed("a.test", &[("x", 1)]), &[("y", 5), ("y", 9)]);
    assert_eq!(judged(&pinned(), two_pass), "known failure (no joins)");
    assert_eq!(judged(&pinned(), failed("a.test", &[("x", 1)])), "FAILED", "the others were not seen");
    assert_eq!(judged(&pinned(), failed("a.test", &[("new", 1)])), "FAILED");
    let glob = A.replace("a.test", "*.test");
    assert_eq!(judged(&glob, Outcome::new("a.test", Verdict::Passed)), "unexpected pass (known failure: no joins)");
}

#[test]
fn the_ratchet_keeps_globs_and_what_still_fails() {
    let (gone, text) = ratcheted(
        COMMENTED,
        vec![Outcome::new("c1.test", Verdict::Passed), failed("a.test", &[]), failed("new.test", &[])],
    );
    assert_eq!((gone, text.as_str()), (vec![], COMMENTED));
}

#[test]
fn the_ratchet_keeps_what_passes_in_one_pass_and_fails_in_another() {
    let passed = || Outcome::new("a.test", Verdict::Passed);
    let second = |outcome: Outcome| Outcome { pass: 2, ..outcome };
    let (gone, text) = ratcheted(A, vec![passed(), second(failed("a.test", &[("x", 1)]))]);
    assert_eq!((gone, text.as_str()), (vec![], A));
    let (gone, text) = ratcheted(A, vec![passed(), second(passed())]);
    assert_eq!((gone, text.as_str()), (names(&["a.test"]), ""));
}

#[test]
fn new_failures_are_shown_before_known_ones() {
    let at = |line| Failure { line, ..Failure::default() };
    let failing = failed("a.test", &[("x", 1), ("y", 5), ("z", 7), ("y", 9)]);
    let judged =
        judge(ListFile::new(&pinned()).list()).judge(Outcome { failures: [1, 5, 7, 9].map(at).into(), ..failing });
    assert_eq!(judged.failures.iter().map(|failure| failure.line).collect::<Vec<_>>(), [0, 7, 1, 5, 9]);
}

#[test]
fn the_ratchet_removes_single_records() {
    let outcome = || with_passing(failed("a.test", &[("x", 1), ("y", 9)]), &[("y", 5)]);
    let (gone, text) = ratcheted(&pinned(), vec![outcome()]);
    assert_eq!(gone, ["a record of a.test"]);
    assert!(!text.contains("line = 5") && text.contains("line = 9") && text.contains("line = 1 "), "{text}");
    let passed = || Outcome::new("a.test", Verdict::Passed);
    let (_, text) = ratcheted(&pinned(), vec![with_passing(passed(), &[("x", 1), ("y", 5), ("y", 9)])]);
    assert_eq!(text, "");
    let (gone, text) = ratcheted(&pinned(), vec![Outcome { attempt: 2, ..outcome() }]);
    assert_eq!((gone, text), (vec![], pinned()), "it failed in another attempt");
}

#[test]
fn the_ratchet_removes_only_records_that_passed() {
    let lost = Outcome { cut_short: Some(CutShort::ConnectionLost), ..failed("a.test", &[("x", 1)]) };
    assert_eq!(ratcheted(&pinned(), vec![lost]), (vec![], pinned()));
    // The file passes, but two of the pinned records were skipped, or come after a `halt`.
    let passed = with_passing(Outcome::new("a.test", Verdict::Passed), &[("x", 1)]);
    let judge = Judge { ratchet: true, ..judge(ListFile::new(&pinned()).list()) };
    let judged = judge.judge(passed);
    assert_eq!(judged.verdict.to_string(), "unexpected pass (known failure: no joins)");
    assert!(judged.failures[0].message.ends_with("lines 5, 9"), "{:?}", judged.failures);
}
