//! Checks of a test file that need no engine: whether it can be read, and whether all of it can run.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::script::{SyntaxError, source};
use crate::suite::{TestFile, shown};

mod repair;

pub use crate::dialect::survey::{Kind, Severity};

/// A finding is one problem of a test file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file: the script, or one that it includes.
    pub file: String,
    /// The line, counted from 1; 0 for the file as a whole.
    pub line: u64,
    /// Whether it is an error.
    pub severity: Severity,
    /// The kind of problem.
    pub kind: Kind,
    /// What is wrong, and how to fix it.
    pub message: String,
    /// The dialect in which the script was read.
    pub dialect: &'static str,
    /// The dialects that allow what this dialect does not.
    pub known_to: Vec<&'static str>,
}

/// Checks one test file, and the files that it includes.
pub fn check(file: &TestFile) -> Vec<Finding> {
    let report = Report { file, findings: Vec::new() };
    match source::read(&file.path) {
        Ok(text) => check_text(report, &text),
        Err(error) => report.with(Severity::Error, Kind::Unreadable, SyntaxError::new(0, error.to_string())),
    }
}

fn check_text(mut report: Report<'_>, text: &[u8]) -> Vec<Finding> {
    let file = report.file;
    let survey = |text: &[u8]| file.dialect.definition().survey(&file.into(), text);
    let (errors, survey) = repair::read(text, file.dialect, survey);
    let is_whole = errors.is_empty();
    for error in errors {
        let kind = if error.known_to.is_empty() { Kind::Syntax } else { Kind::OtherDialect };
        report.add(Severity::Error, kind, error);
    }
    if let Some(survey) = survey {
        for (severity, kind, error) in survey.findings {
            report.add(severity, kind, error);
        }
        if let Some(halt) = survey.halt.filter(|_| is_whole)
            && let Some(line) = first_line_below(text, halt)
        {
            let message = format!("`halt` ends the script here: what is below, from line {line} on, never runs");
            report.add(Severity::Warning, Kind::NeverRuns, SyntaxError::new(halt, message));
        } else if survey.records == 0 && is_whole {
            let message = "this file holds no record".to_owned();
            report.add(Severity::Warning, Kind::NoRecords, SyntaxError::new(0, message));
        }
    }
    report.findings.sort_by(|a, b| (&a.file, a.line, a.severity).cmp(&(&b.file, b.line, b.severity)));
    report.findings
}

/// The first line below another that is neither blank nor a comment.
fn first_line_below(text: &[u8], line: u64) -> Option<u64> {
    let below = source::Lines::new(text).zip(1..).skip_while(|(_, number)| *number <= line);
    let mut rest = below.filter(|(below, _)| !below.is_blank() && !below.text.starts_with(b"#"));
    rest.next().map(|(_, number)| number)
}

struct Report<'f> {
    file: &'f TestFile,
    findings: Vec<Finding>,
}

impl Report<'_> {
    fn add(&mut self, severity: Severity, kind: Kind, error: SyntaxError) {
        let path = error.included_from.as_deref().map_or_else(|| self.file.path.clone(), |path| self.of_root(path));
        self.findings.push(Finding {
            file: shown(&path).into_owned(),
            line: error.line,
            severity,
            kind,
            message: error.message,
            dialect: self.file.dialect.name(),
            known_to: error.known_to,
        });
    }

    /// The path of an included file below the root, the same for every path that leads to it.
    fn of_root(&self, path: &str) -> PathBuf {
        let below = || {
            let (path, root) = (Path::new(path).canonicalize().ok()?, self.file.root.canonicalize().ok()?);
            Some(self.file.root.join(path.strip_prefix(root).ok()?))
        };
        below().unwrap_or_else(|| PathBuf::from(path))
    }

    fn with(mut self, severity: Severity, kind: Kind, error: SyntaxError) -> Vec<Finding> {
        self.add(severity, kind, error);
        self.findings
    }
}

#[cfg(test)]
mod tests;
