use super::*;
use crate::outcome::RecordCounts;

const SQLITE: &[&str] = &["sqlite"];

/// A list in a folder of its own.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new(text: &str) -> Place {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("known.toml"), text).unwrap();
        Place { folder }
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

    /// What is wrong with the list, with all causes.
    fn error(&self) -> String {
        let error = KnownFailures::read(&self.path()).unwrap_err();
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        format!("{error}: {cause}")
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

fn judge(list: KnownFailures) -> Judge {
    Judge { list, engine: names(SQLITE), ratchet: false, fail_fast: false }
}

fn verdict(list: &str, outcome: Outcome) -> String {
    judge(Place::new(list).list()).judge(outcome).verdict.to_string()
}

const A: &str = "[[known]]\npath = \"a.test\"\nreason = \"no joins\"\n";

#[test]
fn a_listed_file_that_fails_is_known_to_and_one_that_passes_is_not_let_pass() {
    assert_eq!(verdict(A, failed("a.test", &[("x", 1)])), "known failure (no joins)");
    let crashed = Outcome::new("a.test", Verdict::Crashed { how: "SIGSEGV".into() });
    assert_eq!(verdict(A, crashed), "known failure (crashed (SIGSEGV); no joins)");
    assert_eq!(verdict(A, Outcome::new("a.test", Verdict::Passed)), "unexpected pass (known failure: no joins)");
}

#[test]
fn what_is_not_listed_or_says_nothing_is_left_as_it_is() {
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
fn an_entry_holds_for_its_engine_alone() {
    let list = format!("{A}engine = \"MySQL\"\n");
    assert_eq!(verdict(&list, failed("a.test", &[])), "FAILED");
    let judge = Judge { engine: names(&["mariadb", "mysql"]), ..judge(Place::new(&list).list()) };
    let judged = judge.judge(failed("a.test", &[]));
    assert_eq!(judged.verdict.to_string(), "known failure (no joins)");
}

#[test]
fn a_whole_name_goes_before_a_glob() {
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
    let judged = |records: &[(&str, u64)]| {
        let outcome = judge(Place::new(&pinned()).list()).judge(failed("a.test", records));
        let message = outcome.failures.first().map(|failure| failure.message.clone()).unwrap_or_default();
        (outcome.verdict.to_string(), message)
    };
    let known = ("known failure (no joins)".to_owned(), String::new());
    assert_eq!(judged(&[("x", 1), ("y", 5), ("y", 9)]), known);
    assert_eq!(judged(&[("x", 11), ("y", 15), ("y", 19)]), known);
    let (verdict, message) = judged(&[("x", 1), ("y", 5), ("y", 9), ("z", 12)]);
    assert_eq!((verdict.as_str(), message.as_str()), ("FAILED", "failing, but not known to: line 12"));
    let (verdict, message) = judged(&[("x", 1), ("y", 9)]);
    assert_eq!(verdict, "unexpected pass (known failure: no joins)");
    assert_eq!(message, "known to fail, but passing now: line 5");
    let (verdict, message) = judged(&[("y", 9), ("z", 12), ("z", 14)]);
    assert_eq!(verdict, "FAILED");
    assert_eq!(message, "failing, but not known to: lines 12, 14\nknown to fail, but passing now: lines 1, 5");
}

#[test]
fn pins_do_not_cover_a_crash_nor_more_records_than_are_told_apart() {
    let crashed = Outcome::new("a.test", Verdict::Crashed { how: "SIGSEGV".into() });
    assert_eq!(verdict(&pinned(), crashed), "crashed (SIGSEGV)");
    let mut many = failed("a.test", &[("x", 1), ("y", 5), ("y", 9)]);
    many.records.failed = 2000;
    assert_eq!(verdict(&pinned(), many), "FAILED");
}

#[test]
fn counted_records_must_be_as_many() {
    let list = format!("{A}failed = 2\n");
    let with_sql = |records: &[(&str, u64)]| Outcome {
        failures: vec![Failure { sql: "SELECT".into(), ..Failure::default() }],
        ..failed("a.test", records)
    };
    let judged = |outcome: Outcome, fail_fast: bool| {
        let outcome = Judge { fail_fast, ..judge(Place::new(&list).list()) }.judge(outcome);
        (
            outcome.verdict.to_string(),
            outcome.failures.first().map(|failure| failure.message.clone()).unwrap_or_default(),
        )
    };
    let known = ("known failure (no joins)".to_owned(), String::new());
    assert_eq!(judged(with_sql(&[("x", 1), ("y", 2)]), false), known);
    let (verdict, message) = judged(with_sql(&[("x", 1)]), false);
    assert_eq!(verdict, "unexpected pass (known failure: no joins)");
    assert_eq!(message, "1 record fails, but 2 are known to");
    assert_eq!(judged(with_sql(&[("x", 1)]), true), known);
    for fail_fast in [false, true] {
        let (verdict, message) = judged(with_sql(&[("x", 1), ("y", 2), ("z", 3)]), fail_fast);
        assert_eq!((verdict.as_str(), message.as_str()), ("FAILED", "3 records fail, but 2 are known to"));
        let lost = Outcome { failures: vec![Failure::default()], ..failed("a.test", &[("", 0), ("", 0)]) };
        assert_eq!(judged(lost, fail_fast).0, "FAILED");
        assert_eq!(
            judged(Outcome::new("a.test", Verdict::TimedOut { limit_ms: 1 }), fail_fast).0,
            "timed out after 0.001 s"
        );
    }
    let error = Place::new(&format!("{list}records = []\n")).error();
    assert!(error.starts_with("`records` says how many fail"), "{error}");
}

#[test]
fn an_entry_that_matches_no_file_is_named() {
    let list = format!("{A}\n[[known]]\npath = \"gone/*.test\"\nreason = \"\"\n");
    let place = Place::new(&list);
    assert!(place.list().check(["a.test", "gone/b.test"]).is_ok());
    let error = place.list().check(["a.test"]).unwrap_err().to_string();
    assert_eq!(error, format!("no file matches the known failure `gone/*.test`, at {}:5", place.path().display()));
}

#[test]
fn what_cannot_be_used_is_told_with_its_place() {
    for (list, words) in [
        ("[[known]]\npath = \"a\"\nreasn = \"x\"\n", "unknown field `reasn`"),
        ("[[known]]\npath = \"a\"\n", "missing field `reason`"),
        ("[[knwn]]\npath = \"a\"\n", "unknown field `knwn`"),
        ("[[known]\n", "line 1"),
        ("[[known]]\npath = \"a\"\nreason = \"x\"\nrecords = [{ line = 1 }]\n", "missing field `sql`"),
        ("\n[[known]]\npath = \"[\"\nreason = \"x\"\n", "known.toml:2"),
    ] {
        let error = Place::new(list).error();
        assert!(error.contains(words), "{list}: {error}");
    }
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
    ];
    assert_eq!(KnownFailures::write_first(&path, Some("sqlite"), &outcomes).unwrap(), 3);
    let text = fs::read_to_string(&path).unwrap();
    let expected = "\
# Files that are known to fail, and why.

[[known]]
path = \"a.test\"
engine = \"sqlite\"
reason = \"crashed (SIGSEGV)\"

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
";
    assert_eq!(text, expected);
    let judge = judge(KnownFailures::read(&path).unwrap());
    assert!(!judge.judge(outcomes[0].clone()).verdict.is_failure());
    assert!(!judge.judge(outcomes[1].clone()).verdict.is_failure());
    assert!(!judge.judge(outcomes[3].clone()).verdict.is_failure());
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
    let place = Place::new(list);
    let judge = Judge { ratchet: true, ..judge(place.list()) };
    let judged: Vec<Outcome> = outcomes.into_iter().map(|outcome| judge.judge(outcome)).collect();
    (judge.take_off(&judged).unwrap(), place.text())
}

#[test]
fn the_ratchet_takes_off_what_passes_and_keeps_comments_and_order() {
    let passed = |name: &str| Outcome::new(name, Verdict::Passed);
    let (gone, text) = ratcheted(COMMENTED, vec![passed("a.test")]);
    assert_eq!(gone, ["a.test"]);
    assert_eq!(text, COMMENTED.replace("# On a.\n[[known]]\npath = \"a.test\" # here\nreason = \"one\"\n\n", ""));
    let (_, text) = ratcheted(COMMENTED, vec![passed("b.test")]);
    assert_eq!(text, COMMENTED.replace("# On b.\n[[known]]\npath = \"b.test\"\nreason = \"two\"\n\n", ""));
}

#[test]
fn what_the_ratchet_takes_off_is_no_fault() {
    let judged = |list: &str, outcome: Outcome| {
        let judge = Judge { ratchet: true, ..judge(Place::new(list).list()) };
        judge.judge(outcome).verdict.to_string()
    };
    assert_eq!(judged(A, Outcome::new("a.test", Verdict::Passed)), "ok");
    assert_eq!(judged(&pinned(), failed("a.test", &[("x", 1)])), "known failure (no joins)");
    assert_eq!(judged(&pinned(), failed("a.test", &[("new", 1)])), "FAILED");
    let glob = A.replace("a.test", "*.test");
    assert_eq!(judged(&glob, Outcome::new("a.test", Verdict::Passed)), "unexpected pass (known failure: no joins)");
}

#[test]
fn after_the_first_failure_nothing_is_known_of_what_passes() {
    let judge = Judge { fail_fast: true, ..judge(Place::new(&pinned()).list()) };
    assert_eq!(judge.judge(failed("a.test", &[("x", 1)])).verdict.to_string(), "known failure (no joins)");
}

#[test]
fn the_ratchet_leaves_globs_and_what_still_fails() {
    let (gone, text) = ratcheted(
        COMMENTED,
        vec![Outcome::new("c1.test", Verdict::Passed), failed("a.test", &[]), failed("new.test", &[])],
    );
    assert_eq!((gone, text.as_str()), (vec![], COMMENTED));
}

#[test]
fn the_ratchet_leaves_what_passes_in_one_pass_and_fails_in_another() {
    let passed = || Outcome::new("a.test", Verdict::Passed);
    let second = |outcome: Outcome| Outcome { pass: 2, ..outcome };
    let (gone, text) = ratcheted(A, vec![passed(), second(failed("a.test", &[("x", 1)]))]);
    assert_eq!((gone, text.as_str()), (vec![], A));
    let (gone, text) = ratcheted(A, vec![passed(), second(passed())]);
    assert_eq!((gone, text.as_str()), (names(&["a.test"]), ""));
}

#[test]
fn what_is_new_is_shown_before_what_is_known() {
    let at = |line| Failure { line, ..Failure::default() };
    let failing = failed("a.test", &[("x", 1), ("y", 5), ("z", 7), ("y", 9)]);
    let judged =
        judge(Place::new(&pinned()).list()).judge(Outcome { failures: [1, 5, 7, 9].map(at).into(), ..failing });
    assert_eq!(judged.failures.iter().map(|failure| failure.line).collect::<Vec<_>>(), [0, 7, 1, 5, 9]);
}

#[test]
fn the_ratchet_takes_single_records_off() {
    let (gone, text) = ratcheted(&pinned(), vec![failed("a.test", &[("x", 1), ("y", 9)])]);
    assert_eq!(gone, ["a record of a.test"]);
    assert!(!text.contains("line = 5") && text.contains("line = 9") && text.contains("line = 1 "), "{text}");
    let (_, text) = ratcheted(&pinned(), vec![Outcome::new("a.test", Verdict::Passed)]);
    assert_eq!(text, "");
}
