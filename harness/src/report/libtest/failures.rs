//! The failures at the end of libtest's output.

use std::collections::BTreeMap;
use std::path::Path;
use std::slice;

use crate::escape;
use crate::outcome::{CutShort, Outcome};
use crate::report::words::quoted;
use crate::suite::{At, with_line};

/// How many names of files that failed for the same reason are listed.
const MOST_NAMES: usize = 10;

/// The report on the files that failed.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// The command that runs a file again, up to its name; empty if unknown.
    pub(super) again: String,
    /// What the user must add to that command by hand; empty if nothing.
    pub(super) by_hand: &'static str,
    /// The name of each file, its text, and the record that failed first, if that is in a loop.
    texts: Vec<(String, String, Option<String>)>,
    /// Files to which no connection could be made, by the error.
    unconnected: BTreeMap<String, Vec<String>>,
}

impl Failures {
    /// Adds a file that failed, and its text, escaped.
    pub(super) fn add(&mut self, outcome: &Outcome, text: String) {
        if let (Some(CutShort::NoConnection), [only]) = (outcome.cut_short, outcome.failures.as_slice()) {
            self.unconnected.entry(only.message.clone()).or_default().push(outcome.name.clone());
        }
        self.texts.push((outcome.name.clone(), text, in_loop(outcome)));
    }

    /// The whole report, escaped: each failing file once, with the command that runs it again; empty if nothing failed.
    pub(super) fn text(mut self) -> String {
        if self.texts.is_empty() {
            return String::new();
        }
        self.texts.sort();
        let by_hand = if self.by_hand.is_empty() { String::new() } else { format!(" ({})", self.by_hand) };
        let command = |what: &str, names: &[String]| match self.again.as_str() {
            "" => String::new(),
            // So many names do not fit into a line.
            command if names.len() > MOST_NAMES => {
                format!("{what}: {} --failed{by_hand}\n", escape::line(command.trim_end_matches(" --exact")))
            }
            command => {
                let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
                format!("{what}: {} {}{by_hand}\n", escape::line(command), escape::line(&names.join(" ")))
            }
        };
        let mut report = "\nfailures:\n\n".to_owned();
        let mut say = |head: &str, text: &str, again: &str| {
            report.push_str(&format!("---- {head} ----\n{text}\n{again}\n"));
        };
        // An error that several files share, such as a server that is down, is printed once.
        self.unconnected.retain(|_, names| names.len() > 1);
        for (message, names) in &mut self.unconnected {
            names.sort();
            let mut listed: Vec<_> = names.iter().take(MOST_NAMES).map(|name| escape::line(name)).collect();
            if names.len() > MOST_NAMES {
                listed.push(format!("… and {} more", names.len() - MOST_NAMES).into());
            }
            let text = format!("{}\nfiles: {}", escape::text(message), listed.join(", "));
            say(&format!("{} files that could not connect", names.len()), &text, &command("run again", names));
        }
        let alone = |name: &String| !self.unconnected.values().any(|names| names.binary_search(name).is_ok());
        for (name, text, pass) in self.texts.iter().filter(|(name, ..)| alone(name)) {
            let pass = pass.as_ref().map(|pass| command("that pass", slice::from_ref(pass))).unwrap_or_default();
            let again = command("run again", slice::from_ref(name)) + &pass;
            say(&format!("{} stdout", escape::line(name)), text, &again);
        }
        report
    }
}

/// The record of a file that failed first, with the pass of its loops, such as `loops.test:4(i=3)`. `None` if the record is in
/// no loop, if it is in an included file, or if the trial is that record itself.
fn in_loop(outcome: &Outcome) -> Option<String> {
    let failure = outcome.failures.first().filter(|failure| !failure.pass.is_empty())?;
    let script = with_line(&outcome.name).map_or(outcome.name.as_str(), |(script, _)| script);
    let name = format!("{script}:{}", At::new(failure.line, &failure.pass));
    (Path::new(&failure.file).ends_with(script) && name != outcome.name).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Failure, Verdict};

    #[test]
    fn what_keeps_several_files_from_connecting_is_said_once_with_their_number() {
        let unconnected = |name: &str, message: &str| Outcome {
            cut_short: Some(CutShort::NoConnection),
            failures: vec![Failure { message: message.into(), ..Failure::default() }],
            ..Outcome::new(name, Verdict::Failed)
        };
        let mut failures = Failures::default();
        for (name, message) in [("b", "no server"), ("a", "no server"), ("c", "wrong password")] {
            failures.add(&unconnected(name, message), format!("{message}\nat {name}"));
        }
        failures.add(&Outcome::new("d", Verdict::Failed), "x".into());
        failures.again = "slt run --exact".to_owned();
        assert_eq!(
            failures.text(),
            "\nfailures:\n\n---- 2 files that could not connect ----\nno server\nfiles: a, b\n\
             run again: slt run --exact a b\n\n---- c stdout ----\nwrong password\nat c\n\
             run again: slt run --exact c\n\n---- d stdout ----\nx\nrun again: slt run --exact d\n\n"
        );
        let looped = Failure { file: "tests/l.test".into(), line: 4, pass: "i=3, j=2".into(), ..Failure::default() };
        let again = "slt run --exact".to_owned();
        let mut loops = Failures { again, by_hand: "with the same `--engine`", ..Failures::default() };
        for name in ["l.test", "l.test:4(i=3,j=2)", "other.test"] {
            loops.add(&Outcome { failures: vec![looped.clone()], ..Outcome::new(name, Verdict::Failed) }, "x".into());
        }
        let text = loops.text();
        let that = "\nthat pass: slt run --exact 'l.test:4(i=3,j=2)' (with the same `--engine`)\n";
        assert_eq!(text.matches(that).count(), 1, "{text}");
        let mut many = Failures { again: "slt run --exact".to_owned(), ..Failures::default() };
        (0..40).for_each(|n| many.add(&unconnected(&format!("{n:02}"), "no server"), String::new()));
        let text = many.text();
        assert!(text.contains("---- 40 files that could not connect ----\nno server\nfiles: 00, 01, "), "{text}");
        assert!(text.contains("… and 30 more\nrun again: slt run --failed\n"), "{text}");
        assert_eq!(Failures::default().text(), "");
    }
}
