//! `slt check`: what is wrong in test files, found without an engine.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::complain;
use crate::check::{Finding, Severity, check};
use crate::config;
use crate::environment;
use crate::escape;
use crate::suite::{Dialect, Suite};
use crate::summary::ExitStatus;

/// The flags of `slt check`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Flags {
    /// Files and folders: paths from the current folder, or names below the root; without any, all files of the suite
    #[arg(value_name = "PATHS")]
    paths: Vec<PathBuf>,

    /// Folder with test files, which no `include` may leave (repeatable)
    #[arg(long = "root", value_name = "PATH", env = "SLT_CORPUS")]
    roots: Vec<PathBuf>,

    #[arg(long, help = Dialect::help(), value_name = "NAME", env = "SLT_DIALECT")]
    dialect: Option<Dialect>,

    /// The format of findings: text, or one JSON object per line
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// Warnings count as errors
    #[arg(long)]
    deny_warnings: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

const AFTER_HELP: &str = "\
Examples:
  slt check                                   all files of the suite
  slt check select/joins.test new.slt
  slt check --dialect duckdb path/to/test/sql --format json

Exit codes: 0 no errors; 101 errors; 2 the command line or a variable cannot be used, or a
path is not there; 4 the findings cannot be written; 5 no test file in a folder that was
named.";

/// Checks the files and prints what was found.
pub(crate) fn run(flags: &Flags, suite: Suite) -> ExitStatus {
    environment::warn_of_misspelt();
    let suite = if flags.roots.is_empty() { suite } else { suite.at(config::roots(flags.roots.clone())) };
    let suite = match flags.dialect {
        Some(dialect) => suite.all_in(dialect),
        None => suite,
    };
    let files = match super::paths::files(&flags.paths, &suite) {
        Ok(files) => files,
        Err((message, status)) => return complain(&message, status),
    };
    let mut totals = Totals { files: files.len(), ..Totals::default() };
    // A file that several scripts include is read with each, and reported once.
    let mut reported = BTreeSet::new();
    for file in &files {
        let mut lines = String::new();
        for finding in check(file) {
            if reported.insert((finding.file.clone(), finding.line, finding.message.clone())) {
                totals.add(&finding);
                lines.push_str(&written(&finding, flags.format));
            }
        }
        let mut out = io::stdout().lock();
        match out.write_all(lines.as_bytes()).and_then(|()| out.flush()) {
            // A reader that closes the pipe early (`| head`) is no reason to fail.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                return complain(&format!("cannot write to standard output: {error}"), ExitStatus::Broken);
            }
            _ => {}
        }
    }
    note!("{}", totals.in_words());
    match totals.errors > 0 || (flags.deny_warnings && totals.warnings > 0) {
        true => ExitStatus::Failed,
        false => ExitStatus::Passed,
    }
}

fn written(finding: &Finding, format: Format) -> String {
    if format == Format::Json {
        let json = serde_json::to_string(finding).expect("plain data becomes JSON in memory");
        return escape::json(&json).into_owned() + "\n";
    }
    let severity = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let place = match finding.line {
        0 => finding.file.clone(),
        line => format!("{}:{line}", finding.file),
    };
    format!("{}\n", escape::line(&format!("{place}: {severity}: {}", finding.message)))
}

#[derive(Default)]
struct Totals {
    files: usize,
    errors: usize,
    warnings: usize,
    with_errors: BTreeSet<String>,
}

impl Totals {
    fn add(&mut self, finding: &Finding) {
        match finding.severity {
            Severity::Error => {
                self.errors += 1;
                self.with_errors.insert(finding.file.clone());
            }
            Severity::Warning => self.warnings += 1,
        }
    }

    fn in_words(&self) -> String {
        let count = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let errors = match self.errors {
            0 => "no errors".to_owned(),
            errors => format!("{} in {}", count(errors, "error"), count(self.with_errors.len(), "file")),
        };
        let warnings = if self.warnings == 0 { "no warnings".to_owned() } else { count(self.warnings, "warning") };
        format!("{} checked: {errors}, {warnings}", count(self.files, "file"))
    }
}
