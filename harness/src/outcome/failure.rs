//! One record that did not match, and how it is displayed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One record that did not match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The file, as the user would type it from the folder where the run started.
    pub file: String,
    /// The record's line in that file, counted from 1; 0 if the failure concerns the whole file.
    pub line: u64,
    /// The variables of the loops around the record, as in `i=3, t=INTEGER`; empty outside of loops.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pass: String,
    /// What was wrong, in one or a few lines.
    pub message: String,
    /// The SQL; empty if there was none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sql: String,
    /// The expected result, if the script lists one: one value per line, or in row-wise files one row per line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// The actual result, formatted like `expected`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual: Option<String>,
    /// The diff of `expected` and `actual`, with lines prefixed by `-`, `+` or a blank. A line prefixed by `?` marks the
    /// difference between the two lines above it, and `@@ line 17 @@` gives the line in the file of the next expected line
    /// that differs.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub diff: String,
    /// The first and the last rows that were returned, if the script lists only a hash of the result, and where to find the
    /// other rows.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub returned: String,
    /// How the record ends on the reference, if there is one, and the rows that differ if `expected` does not list them.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reference: String,
}

impl Failure {
    /// The position of the record: `file:line`, with the pass if it is in a loop.
    pub fn place(&self) -> String {
        match (self.line, self.pass.as_str()) {
            (0, _) => self.file.clone(),
            (line, "") => format!("{}:{line}", self.file),
            (line, pass) => format!("{}:{line} ({pass})", self.file),
        }
    }
}

/// A part of a displayed failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// The message.
    Message,
    /// The SQL.
    Sql,
    /// The diff, after a heading line.
    Diff,
    /// What was returned, if the script lists only a hash of it.
    Returned,
    /// How the record ends on the reference.
    Reference,
    /// The position of the record.
    Place,
}

impl Failure {
    /// The parts, in the order in which they are displayed, each on separate lines.
    pub fn parts(&self) -> Vec<(Part, String)> {
        let mut parts = vec![(Part::Message, self.message.clone())];
        if !self.sql.is_empty() {
            parts.push((Part::Sql, format!("[SQL] {}", self.sql)));
        }
        if !self.diff.is_empty() {
            parts.push((Part::Diff, format!("[Diff] (-expected|+actual)\n{}", self.diff)));
        }
        if !self.returned.is_empty() {
            parts.push((Part::Returned, format!("[Returned] {}", self.returned)));
        }
        if !self.reference.is_empty() {
            parts.push((Part::Reference, format!("[Reference] {}", self.reference)));
        }
        parts.push((Part::Place, format!("at {}", self.place())));
        parts
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.parts().into_iter().map(|(_, text)| text).collect();
        f.write_str(&parts.join("\n"))
    }
}
