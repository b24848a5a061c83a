//! Tests of the printer.

use super::*;
use crate::summary::Summary;
use std::sync::Arc;

#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(text)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn file(name: &str) -> TestFile {
    let rust_path = name.replace('/', "::").replace('.', "_");
    TestFile {
        name: name.into(),
        rust_path,
        path: name.into(),
        root: "".into(),
        planned: None,
        dialect: crate::dialect::Dialect::Classic,
        excerpt: None,
        excluded: None,
    }
}

fn printed(layout: Layout) -> String {
    let mut failed = Outcome::new("a/2.test", Verdict::Failed);
    failed.wall_us = 1500;
    failed.failures.push(Failure {
        file: "a/2.test".into(),
        line: 3,
        message: "statement failed: no".into(),
        sql: "SELECT".into(),
        ..Failure::default()
    });
    let outcomes = [
        Outcome::new("a/1.test", Verdict::Passed),
        failed,
        Outcome::new("b.test", Verdict::Ignored { reason: "empty".into() }),
    ];
    let files: Vec<TestFile> = outcomes.iter().map(|outcome| file(&outcome.name)).collect();
    let paper = Paper::default();
    let printer = Mutex::new(Printer::new(Box::new(paper.clone()), layout, &files));
    printer.report(Event::RunStarted { planned: 3 });
    for outcome in &outcomes {
        printer.report(Event::TrialStarted { trial: TrialId::of(outcome), worker: 0 });
        printer.report(Event::TrialEnded { outcome, planned: None });
    }
    let mut printer = printer.into_inner().unwrap();
    let summary = Summary::new(outcomes.iter().map(|outcome| (outcome.name.as_str(), 1)), &outcomes);
    printer.finish(&summary.total, 4, Duration::from_millis(1230)).unwrap();
    let text = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
    anstream::adapter::strip_str(&text).to_string()
}

#[test]
fn pretty_reads_like_libtest() {
    let text = printed(Layout { report_time: true, ..Layout::default() });
    let expected = "
running 3 tests
test a/1.test ... ok <0.000s>
test a/2.test ... FAILED <0.002s>
test b.test   ... ignored (empty) <0.000s>

failures:

---- a/2.test stdout ----
statement failed: no
[SQL] SELECT
at a/2.test:3


test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 4 filtered out; finished in 1.23s

";
    assert_eq!(text, expected);
    assert_eq!(printed(Layout { serial: true, report_time: true, ..Layout::default() }), expected);
}

#[test]
fn terse_shows_a_character_a_trial() {
    let text = printed(Layout { format: Format::Terse, ..Layout::default() });
    assert!(text.starts_with("\nrunning 3 tests\n.Fi\n\nfailures:\n"), "{text}");
}

#[test]
fn every_line_of_json_is_an_object_and_names_are_rust_paths() {
    let text = printed(Layout { format: Format::Json, ..Layout::default() });
    let events: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), 1 + 6 + 1);
    assert_eq!((&events[1]["event"], &events[1]["name"]), (&json!("started"), &json!("a::1_test")));
    assert_eq!(events[4]["event"], "failed");
    assert!(events[4]["stdout"].as_str().unwrap().ends_with("at a/2.test:3\n"));
    assert_eq!((&events[6]["event"], &events[6]["message"]), (&json!("ignored"), &json!("empty")));
    assert_eq!((&events[7]["event"], &events[7]["filtered_out"]), (&json!("failed"), &json!(4)));
}

#[test]
fn a_failed_write_is_reported_at_the_end() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut printer = Printer::new(Box::new(Full), Layout::default(), &[]);
    printer.begin(0);
    let error = printer.finish(&Counts::default(), 0, Duration::ZERO).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
}
