//! How the records of a file ended on a second engine, in addition to the judged one (`--reference`).

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which of the two engines agree with the script, in numbers of records. It changes no verdict.
///
/// Only statements and queries that the engine ran are compared; the five counts and `not_compared` add up to these.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// The reference's name in messages.
    pub reference: String,
    /// Records that end as the script expects on both engines.
    pub both: u64,
    /// Records that end as expected on the judged engine only.
    pub only_engine: u64,
    /// Records that end as expected on the reference only.
    pub only_reference: u64,
    /// Records that end as expected on neither engine, and for which both engines return the same.
    pub neither_alike: u64,
    /// Records that end as expected on neither engine, and for which the engines return different results.
    pub neither_different: u64,
    /// Records that did not run on the reference, or whose results are too large to keep.
    #[serde(default, skip_serializing_if = "super::is_zero")]
    pub not_compared: u64,
    /// Why records were not compared.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// Whether the reference could not be reached. Then the run fails with exit code 4.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unreachable: bool,
    /// The first records that do not end as expected on both, at most [`MAX_COMPARED`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<Compared>,
}

/// One record that does not end as expected on both engines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// The file, as in a failure.
    pub file: String,
    /// The line of the record.
    pub line: u64,
    /// The variables of the loops around it; empty outside of loops.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pass: String,
    /// Which engines agree with the script.
    pub agrees: Agrees,
    /// What is wrong on the reference; empty if nothing is wrong.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The rows of the reference after `-`, and those of the judged engine after `+`, if the script does not list them.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub diff: String,
}

/// Which engines agree with the script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Agrees {
    /// The judged engine only.
    OnlyEngine,
    /// The reference only.
    OnlyReference,
    /// Neither engine, and both return the same.
    NeitherAlike,
    /// Neither engine, and they return different results.
    NeitherDifferent,
}

/// How many records of one script that do not end as expected on both engines are kept.
pub const MAX_COMPARED: usize = 50;

impl Agrees {
    /// A phrase for messages, after the record: `right only on sqlite`.
    pub fn words(self, reference: &str) -> String {
        match self {
            Agrees::OnlyEngine => format!("as expected here, and not on {reference}"),
            Agrees::OnlyReference => format!("as expected on {reference}, and not here"),
            Agrees::NeitherAlike => format!("as expected on neither; {reference} returns the same as this engine"),
            Agrees::NeitherDifferent => format!("as expected on neither; {reference} returns something else"),
        }
    }
}

impl Comparison {
    /// How many records were compared.
    pub fn compared(&self) -> u64 {
        let neither = self.neither_alike.saturating_add(self.neither_different);
        self.both.saturating_add(self.only_engine).saturating_add(self.only_reference).saturating_add(neither)
    }

    /// Counts a record, and keeps it if it did not end as expected on both engines.
    pub fn add(&mut self, compared: Option<Compared>) {
        let count = match compared.as_ref().map(|compared| compared.agrees) {
            None => &mut self.both,
            Some(Agrees::OnlyEngine) => &mut self.only_engine,
            Some(Agrees::OnlyReference) => &mut self.only_reference,
            Some(Agrees::NeitherAlike) => &mut self.neither_alike,
            Some(Agrees::NeitherDifferent) => &mut self.neither_different,
        };
        *count += 1;
        if self.records.len() < MAX_COMPARED {
            self.records.extend(compared);
        }
    }

    /// The sum of the comparisons of several files; `None` if there are none.
    pub fn sum<'c>(comparisons: impl IntoIterator<Item = &'c Comparison>) -> Option<Comparison> {
        comparisons.into_iter().fold(None, |sum: Option<Comparison>, next| {
            let mut sum =
                sum.unwrap_or_else(|| Comparison { reference: next.reference.clone(), ..Comparison::default() });
            for (sum, next) in [
                (&mut sum.both, next.both),
                (&mut sum.only_engine, next.only_engine),
                (&mut sum.only_reference, next.only_reference),
                (&mut sum.neither_alike, next.neither_alike),
                (&mut sum.neither_different, next.neither_different),
                (&mut sum.not_compared, next.not_compared),
            ] {
                *sum = sum.saturating_add(next);
            }
            sum.unreachable |= next.unreachable;
            if sum.why.is_empty() {
                sum.why.clone_from(&next.why);
            }
            Some(sum)
        })
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (compared, of) = (self.compared(), &self.reference);
        let records = if compared == 1 { "record" } else { "records" };
        write!(f, "{compared} {records} compared with {of}: {} as expected on both", self.both)?;
        let parts = [
            (self.only_engine, "only here".to_owned()),
            (self.only_reference, format!("only on {of}")),
            (self.neither_alike, "on neither, with the same result".to_owned()),
            (self.neither_different, "on neither, with different results".to_owned()),
        ];
        for (count, words) in parts.iter().filter(|(count, _)| *count > 0) {
            write!(f, ", {count} {words}")?;
        }
        match self.not_compared {
            0 if self.why.is_empty() => Ok(()),
            0 => write!(f, " ({})", self.why),
            count => write!(f, "; {count} not compared ({})", self.why),
        }
    }
}

impl Compared {
    /// The position of the record: `file:line`, with the pass if it is in a loop.
    pub fn place(&self) -> String {
        match self.pass.as_str() {
            "" => format!("{}:{}", self.file, self.line),
            pass => format!("{}:{} ({pass})", self.file, self.line),
        }
    }
}
