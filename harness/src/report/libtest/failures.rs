//! The failures that stand at the end of libtest's output.

use std::collections::BTreeMap;

use crate::escape;
use crate::outcome::{CutShort, Outcome};

/// What is to be said of the files that failed.
#[derive(Debug, Default)]
pub(super) struct Failures {
    texts: Vec<(String, String)>,
    /// Files to which no connection could be made, by what was said.
    unconnected: BTreeMap<String, Vec<String>>,
}

impl Failures {
    /// Adds a file that failed, and what is to be said of it, escaped.
    pub(super) fn add(&mut self, outcome: &Outcome, text: String) {
        if let (Some(CutShort::NoConnection), [only]) = (outcome.cut_short, outcome.failures.as_slice()) {
            self.unconnected.entry(only.message.clone()).or_default().push(outcome.name.clone());
        }
        self.texts.push((outcome.name.clone(), text));
    }

    /// All of it, escaped: the texts, and the names once more; nothing if nothing failed.
    pub(super) fn text(mut self) -> String {
        if self.texts.is_empty() {
            return String::new();
        }
        self.texts.sort();
        let mut said = "\nfailures:\n\n".to_owned();
        let mut say = |head: &str, text: &str| {
            said.push_str(&format!("---- {head} stdout ----\n{text}\n\n"));
        };
        // What is the same for several files, such as a server that is down, is said once.
        self.unconnected.retain(|_, names| names.len() > 1);
        for (message, names) in &self.unconnected {
            say(&format!("{} files that could not connect", names.len()), &escape::text(message));
        }
        let alone = |name: &String| !self.unconnected.values().any(|names| names.contains(name));
        for (name, text) in self.texts.iter().filter(|(name, _)| alone(name)) {
            say(&escape::line(name), text);
        }
        said.push_str("\nfailures:\n");
        for (name, _) in &self.texts {
            said.push_str(&format!("    {}\n", escape::line(name)));
        }
        said
    }
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
        for (name, message) in [("b", "nobody listens"), ("a", "nobody listens"), ("c", "wrong password")] {
            failures.add(&unconnected(name, message), format!("{message}\nat {name}"));
        }
        failures.add(&Outcome::new("d", Verdict::Failed), "x".into());
        assert_eq!(
            failures.text(),
            "\nfailures:\n\n---- 2 files that could not connect stdout ----\nnobody listens\n\n---- c stdout ----\n\
             wrong password\nat c\n\n---- d stdout ----\nx\n\n\nfailures:\n    a\n    b\n    c\n    d\n"
        );
        assert_eq!(Failures::default().text(), "");
    }
}
