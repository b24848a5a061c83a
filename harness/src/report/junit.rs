//! `junit.xml`: a run for CI servers, in the format of Maven Surefire, which has elements for reruns.
//!
//! A category is a test suite, a file is a test case; `failure` means failing records, `error` a crash or an exceeded
//! limit, `skipped` a file that had nothing to check, was not run, or is known to fail. Earlier attempts are
//! `flakyFailure` and `flakyError` if the last one passed, otherwise `rerunFailure` and `rerunError`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::words::{rfc3339_millis, valid_xml};
use crate::outcome::{Attempt, Outcome, Results, Verdict};
use crate::suite::category;

/// The attributes of an element.
type Attributes = Vec<(&'static str, String)>;

/// The whole document.
pub fn junit(results: &Results) -> Vec<u8> {
    let mut suites: BTreeMap<&str, Vec<&Outcome>> = BTreeMap::new();
    for outcome in &results.outcomes {
        suites.entry(category(&outcome.name)).or_default().push(outcome);
    }
    let mut xml = Xml("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned());
    let [skipped, failures, errors] = counts(results.outcomes.iter());
    let mut attributes = vec![
        ("name", format!("slt on {}", results.engine)),
        ("tests", results.outcomes.len().to_string()),
        ("skipped", skipped),
        ("failures", failures),
        ("errors", errors),
    ];
    attributes.extend(moment(results.started_us));
    attributes.push(seconds(Duration::from_micros(results.wall_us)));
    xml.start(0, "testsuites", &attributes);
    for (name, mut outcomes) in suites {
        outcomes.sort_by_key(|outcome| (&outcome.name, outcome.pass));
        suite(&mut xml, name, &outcomes, results);
    }
    xml.end(0, "testsuites");
    xml.0.into_bytes()
}

fn suite(xml: &mut Xml, name: &str, outcomes: &[&Outcome], results: &Results) {
    let [skipped, failures, errors] = counts(outcomes.iter().copied());
    let mut attributes = vec![
        ("name", name.to_owned()),
        ("tests", outcomes.len().to_string()),
        ("skipped", skipped),
        ("errors", errors),
        ("failures", failures),
    ];
    let began = outcomes.iter().map(|outcome| outcome.started_us).filter(|started| *started > 0).min();
    attributes.extend(moment(began.unwrap_or(results.started_us)));
    attributes.push(seconds(outcomes.iter().map(|outcome| outcome.wall()).sum()));
    xml.start(1, "testsuite", &attributes);
    xml.start(2, "properties", &[]);
    for (name, value) in [("engine", &results.engine), ("run_id", &results.run_id)] {
        xml.element(3, "property", &[("name", name.to_owned()), ("value", value.clone())], None);
    }
    xml.end(2, "properties");
    for outcome in outcomes {
        case(xml, outcome);
    }
    xml.end(1, "testsuite");
}

fn case(xml: &mut Xml, outcome: &Outcome) {
    let name = match outcome.pass {
        1 => outcome.name.clone(),
        pass => format!("{} (pass {pass})", outcome.name),
    };
    let folder = outcome.name.rsplit_once('/').map_or(".", |(folder, _)| folder);
    let mut attributes = vec![
        ("name", name),
        ("classname", folder.replace('/', ".")),
        ("assertions", (outcome.records.passed + outcome.records.failed).to_string()),
    ];
    attributes.extend(moment(outcome.started_us));
    attributes.push(seconds(outcome.wall()));
    let verdict = &outcome.verdict;
    if outcome.earlier.is_empty() && outcome.output.is_empty() && kind(verdict).is_none() && !is_skipped(verdict) {
        return xml.element(2, "testcase", &attributes, None);
    }
    xml.start(2, "testcase", &attributes);
    match (kind(verdict), verdict) {
        (Some((kind, type_name)), _) => {
            let first = outcome.failures.first().map(|failure| failure.message.as_str());
            let attributes = [("message", message(verdict, first)), ("type", type_name.to_owned())];
            xml.element(3, kind.element(), &attributes, Some(&outcome.failure_text()));
        }
        (None, Verdict::Ignored { reason }) => xml.element(3, "skipped", &[("message", reason.clone())], None),
        // As in libtest's line, a known failure is neither a success nor a failure. The text has the failing records.
        (None, Verdict::KnownFailure { .. }) => {
            xml.element(3, "skipped", &[("message", verdict.to_string())], Some(&outcome.failure_text()));
        }
        (None, Verdict::NotRun { .. }) => xml.element(3, "skipped", &[("message", verdict.to_string())], None),
        _ => {}
    }
    for attempt in &outcome.earlier {
        rerun(xml, attempt, verdict.is_pass());
    }
    if !outcome.output.is_empty() {
        xml.element(3, "system-out", &[], Some(&outcome.output));
    }
    xml.end(2, "testcase");
}

/// An earlier attempt; `passed` says whether the last one did.
fn rerun(xml: &mut Xml, attempt: &Attempt, passed: bool) {
    let (kind, type_name) = kind(&attempt.verdict).unwrap_or((Kind::Failure, "failed"));
    let name = match (passed, kind) {
        (true, Kind::Failure) => "flakyFailure",
        (true, Kind::Error) => "flakyError",
        (false, Kind::Failure) => "rerunFailure",
        (false, Kind::Error) => "rerunError",
    };
    let mut attributes: Attributes = moment(attempt.started_us).into_iter().collect();
    attributes.push(seconds(Duration::from_micros(attempt.wall_us)));
    let first = attempt.failure.as_ref().map(|failure| failure.message.as_str());
    attributes.push(("message", message(&attempt.verdict, first)));
    attributes.push(("type", type_name.to_owned()));
    xml.start(3, name, &attributes);
    let text = attempt.failure.as_ref().map(ToString::to_string).unwrap_or_default();
    xml.element(4, "stackTrace", &[], Some(&text));
    if !attempt.output.is_empty() {
        xml.element(4, "system-out", &[], Some(&attempt.output));
    }
    xml.end(3, name);
}

/// The numbers of files that were skipped, that failed, and that ended in an error.
fn counts<'o>(outcomes: impl Iterator<Item = &'o Outcome>) -> [String; 3] {
    let mut counts = [0, 0, 0];
    for outcome in outcomes {
        match kind(&outcome.verdict) {
            None if is_skipped(&outcome.verdict) => counts[0] += 1,
            None => {}
            Some((Kind::Failure, _)) => counts[1] += 1,
            Some((Kind::Error, _)) => counts[2] += 1,
        }
    }
    counts.map(|count: u64| count.to_string())
}

/// The kind of a verdict for CI servers.
#[derive(Clone, Copy)]
enum Kind {
    Failure,
    Error,
}

impl Kind {
    fn element(self) -> &'static str {
        match self {
            Kind::Failure => "failure",
            Kind::Error => "error",
        }
    }
}

/// The JUnit element for a verdict that fails the run; `None` for others.
fn kind(verdict: &Verdict) -> Option<(Kind, &'static str)> {
    match verdict {
        Verdict::Failed => Some((Kind::Failure, "failed")),
        Verdict::Crashed { .. } => Some((Kind::Error, "crashed")),
        Verdict::TimedOut { .. } => Some((Kind::Error, "timed out")),
        Verdict::OutOfMemory { .. } => Some((Kind::Error, "out of memory")),
        Verdict::UnexpectedPass { .. } => Some((Kind::Failure, "unexpected pass")),
        Verdict::Passed
        | Verdict::Flaky { .. }
        | Verdict::KnownFailure { .. }
        | Verdict::Ignored { .. }
        | Verdict::NotRun { .. } => None,
    }
}

fn is_skipped(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Ignored { .. } | Verdict::KnownFailure { .. } | Verdict::NotRun { .. })
}

/// One line about what was wrong: the first failing record, or what ended the whole script.
fn message(verdict: &Verdict, first: Option<&str>) -> String {
    let first = first.and_then(|message| message.lines().next()).unwrap_or_default();
    match verdict {
        Verdict::Failed => first.to_owned(),
        verdict => verdict.to_string(),
    }
}

/// The attribute for a point in time in UTC; `None` if unknown.
fn moment(us: u64) -> Option<(&'static str, String)> {
    (us > 0).then(|| ("timestamp", rfc3339_millis(us).replace('Z', "+00:00")))
}

fn seconds(time: Duration) -> (&'static str, String) {
    ("time", format!("{:.3}", time.as_secs_f64()))
}

/// XML that is being written: indented, with one tag a line, or one element that has only text.
struct Xml(String);

impl Xml {
    fn start(&mut self, depth: usize, name: &str, attributes: &[(&str, String)]) {
        self.tag(depth, name, attributes);
        self.0.push_str(">\n");
    }

    fn end(&mut self, depth: usize, name: &str) {
        self.0.push_str(&format!("{}</{name}>\n", "    ".repeat(depth)));
    }

    /// A whole element without others in it.
    fn element(&mut self, depth: usize, name: &str, attributes: &[(&str, String)], text: Option<&str>) {
        self.tag(depth, name, attributes);
        match text {
            Some(text) => self.0.push_str(&format!(">{}</{name}>\n", escaped(text, false))),
            None => self.0.push_str("/>\n"),
        }
    }

    fn tag(&mut self, depth: usize, name: &str, attributes: &[(&str, String)]) {
        self.0.push_str(&format!("{}<{name}", "    ".repeat(depth)));
        for (name, value) in attributes {
            self.0.push_str(&format!(" {name}=\"{}\"", escaped(value, true)));
        }
    }
}

/// A text for XML, without colours and other control sequences of terminals, and without characters that XML forbids.
fn escaped(text: &str, in_attribute: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            // `ESC [`, parameters, and a letter that ends it.
            '\u{1b}' if rest.as_str().starts_with('[') => {
                rest.next();
                let ends = rest.as_str().find(|c| !matches!(c, ' '..='?')).unwrap_or(rest.as_str().len());
                rest = rest.as_str()[ends..].chars();
                if rest.as_str().starts_with(|c| matches!(c, '@'..='~')) {
                    rest.next();
                }
            }
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\r' => escaped.push_str("&#13;"),
            // A parser reads both as spaces in an attribute.
            '\n' if in_attribute => escaped.push_str("&#10;"),
            '\t' if in_attribute => escaped.push_str("&#9;"),
            '\n' | '\t' => escaped.push(c),
            c if c.is_ascii_control() => {}
            c => escaped.push(c),
        }
    }
    valid_xml(&escaped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Failure;

    fn outcome(name: &str, verdict: Verdict) -> Outcome {
        Outcome { started_us: 1_785_000_000_000_000, wall_us: 1_500_000, ..Outcome::new(name, verdict) }
    }

    #[test]
    fn the_document_is_xml_whatever_a_file_contains() {
        let odd = "\u{fffe}\u{ffff}\u{0}\u{b}\u{1b}";
        let failure = Failure { sql: odd.into(), message: odd.into(), diff: odd.into(), ..Failure::default() };
        let mut failed = outcome(&format!("{odd}/{odd}.test"), Verdict::Failed);
        (failed.failures, failed.output) = (vec![failure.clone()], odd.into());
        failed.earlier = vec![Attempt { failure: Some(failure), output: odd.into(), ..Attempt::from(failed.clone()) }];
        let ignored = outcome("i.test", Verdict::Ignored { reason: odd.into() });
        let results =
            Results { engine: odd.into(), run_id: odd.into(), outcomes: vec![failed, ignored], ..Results::default() };
        let text = String::from_utf8(junit(&results)).unwrap();
        let forbidden = |c: char| matches!(c, '\u{fffe}' | '\u{ffff}') || (c < ' ' && !"\t\n\r".contains(c));
        assert!(!text.contains(forbidden), "{text:?}");
        assert_eq!(text.matches("<testcase ").count(), 2);
    }

    #[test]
    fn no_text_leaves_its_place_and_sequences_for_terminals_are_gone() {
        assert_eq!(
            escaped("<a b=\"c\" d='e'>&\r\n\t", false),
            "&lt;a b=&quot;c&quot; d=&apos;e&apos;&gt;&amp;&#13;\n\t"
        );
        assert_eq!(escaped("a\r\n\tb", true), "a&#13;&#10;&#9;b");
        assert_eq!(escaped("\u{1b}[1;31mred\u{1b}[0m \u{1b}[é \u{1b}[3", false), "red é ");
        assert_eq!(escaped("a\u{1b}]b\u{7f}\u{8}c", false), "a]bc");
    }

    #[test]
    fn every_verdict_has_its_element() {
        let failure = Failure {
            file: "ddl/b.test".into(),
            line: 3,
            message: "query result mismatch".into(),
            sql: "SELECT '\u{1}<&>\u{1b}[31m'".into(),
            diff: "- 2\n+ 1".into(),
            ..Failure::default()
        };
        let mut failed = outcome("ddl/b.test", Verdict::Failed);
        (failed.failures, failed.records.failed, failed.output) = (vec![failure], 1, "what was printed".into());
        let crash = Attempt::from(outcome("ddl/c.test", Verdict::Crashed { how: "SIGSEGV".into() }));
        let mut flaky = outcome("ddl/c.test", Verdict::Flaky { attempt: 2 });
        (flaky.earlier, flaky.attempt) = (vec![crash.clone()], 2);
        let mut late = outcome("late.test", Verdict::TimedOut { limit_ms: 500 });
        late.earlier = vec![crash];
        let mut ignored = Outcome::new("x.test", Verdict::Ignored { reason: "it holds no records".into() });
        ignored.pass = 2;
        let results = Results {
            engine: "sqlite".into(),
            run_id: "b602696c".into(),
            started_us: 1_785_000_000_000_000,
            wall_us: 2_000_000,
            outcomes: vec![outcome("a.test", Verdict::Passed), failed, flaky, late, ignored],
            ..Results::default()
        };
        insta::assert_snapshot!(String::from_utf8(junit(&results)).unwrap());
    }
}
