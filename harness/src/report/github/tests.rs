use super::*;
use crate::outcome::RecordCounts;
use crate::summary::Summary;

fn failing(name: &str, file: &str, line: u64, message: &str) -> Outcome {
    let failure = Failure {
        file: file.into(),
        line,
        message: message.into(),
        sql: "SELECT a, b\nFROM t".into(),
        diff: "- 1\n+ 2".into(),
        ..Failure::default()
    };
    Outcome {
        failures: vec![failure],
        records: RecordCounts { passed: 3, failed: 1, skipped: 0 },
        ..Outcome::new(name, Verdict::Failed)
    }
}

fn results(outcomes: Vec<Outcome>) -> Results {
    let summary = Summary::new(outcomes.iter().map(|outcome| (outcome.name.as_str(), outcome.pass)), &outcomes);
    let Summary { total, categories, .. } = summary;
    Results { engine: "sqlite".into(), total, categories, outcomes, ..Results::default() }
}

fn annotated(outcomes: Vec<Outcome>) -> String {
    annotations(&results(outcomes), Path::new("/w/repo/crate"), Path::new("/w/repo"))
}

#[test]
fn an_annotation_is_at_the_failing_line_of_the_repository() {
    let text = annotated(vec![failing("a.test", "../tests/./a.test", 7, "wrong result")]);
    assert_eq!(
        text,
        "::error file=tests/a.test,line=7,title=a.test%3A FAILED::wrong result%0A[SQL] SELECT a, b%0AFROM t%0A\
         [Diff] (-expected|+actual)%0A- 1%0A+ 2\n"
    );
}

#[test]
fn a_failure_outside_the_repository_has_no_position() {
    let text = annotated(vec![failing("a.test", "/corpus/a.test", 7, "wrong")]);
    assert!(text.starts_with("::error title=a.test%3A FAILED::wrong"), "{text}");
    assert!(text.ends_with("at /corpus/a.test:7\n"), "{text}");
}

#[test]
fn nothing_in_a_text_is_a_command() {
    let text = annotated(vec![failing("a,b:c%.test", "a,b:c%.test", 1, "50%\r\n::error::x\n::stop-commands::y")]);
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.starts_with("::error file=crate/a%2Cb%3Ac%25.test,line=1,title=a%2Cb%3Ac%25.test%3A FAILED::50%25"));
}

#[test]
fn at_most_ten_annotations_are_written_and_the_last_counts_the_rest() {
    let many = |count| annotated((0..count).map(|n| failing(&format!("{n}"), "a", 1, "x")).collect());
    assert_eq!(many(10).lines().count(), 10);
    assert!(!many(10).contains("more files"));
    assert_eq!(many(12).lines().count(), 10);
    assert!(many(12).ends_with("… and 3 more files failed\n"));
}

#[test]
fn a_run_without_failures_has_no_annotations() {
    assert_eq!(annotated(vec![Outcome::new("a", Verdict::Passed)]), "");
}

#[test]
fn the_summary_has_totals_categories_and_failures() {
    let run = results(vec![
        failing("joins/a.test", "joins/a.test", 7, "wrong result"),
        Outcome::new("joins/b.test", Verdict::Passed),
        Outcome::new("ddl/c.test", Verdict::Crashed { how: "SIGSEGV".into() }),
    ]);
    insta::assert_snapshot!("summary", summary(&run));
}

#[test]
fn the_first_line_says_how_the_run_ended() {
    let headline_of = |outcomes| {
        let text = summary(&results(outcomes));
        text.lines().next().unwrap().strip_prefix("## SQLLogicTest on sqlite: ").unwrap().to_owned()
    };
    let passed = || Outcome::new("a.test", Verdict::Passed);
    let known = || Outcome::new("b.test", Verdict::KnownFailure { reason: "r".into(), was: "FAILED".into() });
    let ignored = || Outcome::new("c.test", Verdict::Ignored { reason: "r".into() });
    let not_run = || Outcome::new("d.test", Verdict::NotRun { reason: "r".into() });
    assert_eq!(headline_of(vec![passed()]), "all 1 file passed");
    assert_eq!(headline_of(vec![passed(), ignored()]), "1 of 2 files passed, none failed");
    assert_eq!(headline_of(vec![passed(), known()]), "1 of 2 files passed, the failures are known");
    assert_eq!(headline_of(vec![passed(), known(), not_run()]), "1 of 3 files was not run");
    assert_eq!(headline_of(vec![known(), failing("e.test", "e.test", 1, "x")]), "1 of 2 files failed");
}

#[test]
fn nothing_in_a_text_is_markdown_or_html() {
    let hostile = "</pre></details>\n\n# heading\n`x` <img src=x> @someone | **bold** [a](b)";
    let mut run = results(vec![failing("a|b.test", "a", 1, hostile)]);
    run.engine = "my|engine<b>".into();
    let text = summary(&run);
    let after = text.split("### What failed").nth(1).unwrap();
    assert!(
        !after.contains("<img") && !after.contains("\n# ") && !after.contains('@') && !after.contains('`'),
        "{after}"
    );
    assert_eq!(after.matches("</pre>").count(), 1);
    assert!(text.starts_with("## SQLLogicTest on my\\|engine&lt;b\\>: 1 of 1 file failed\n"), "{text}");
}

#[test]
fn a_summary_of_many_long_failures_stays_short() {
    let many = (0..1000).map(|n| failing(&format!("{n}"), "a", 1, &"<x>\n".repeat(10_000))).collect();
    let text = summary(&results(many));
    assert!(text.len() <= MOST_BYTES + 100, "{}", text.len());
    assert!(text.ends_with("more files\n\n"), "{}", &text[text.len() - 100..]);
}

#[test]
fn counts_that_do_not_add_up_are_reported() {
    let mut run = results(vec![Outcome::new("a", Verdict::Passed)]);
    assert!(!summary(&run).contains("does not add up"));
    run.total.planned = 2;
    assert!(summary(&run).contains("does not add up"));
}
