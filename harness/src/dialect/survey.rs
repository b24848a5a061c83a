//! The checks of a script that need no engine.

use serde::Serialize;

use crate::script::SyntaxError;

mod conditions;
mod labels;
mod records;
mod separator;

pub(crate) use conditions::contradiction;
pub(crate) use records::records;
pub(crate) use separator::misspelt;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The script cannot be read, or a record cannot pass, or a record does not run by mistake.
    Error,
    /// A part of the script does not run because the script says so.
    Warning,
}

/// The kinds of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The file cannot be read from the disk.
    Unreadable,
    /// A rule of the dialect is broken.
    Syntax,
    /// Something belongs to another dialect.
    OtherDialect,
    /// A record can run on no engine.
    NeverRuns,
    /// Two records under one label expect different results.
    Labels,
    /// A line of the SQL looks like the separator above a result.
    Separator,
    /// The column letters of a query are the name of a sort order.
    Letters,
    /// There is no record.
    NoRecords,
}

/// The result of checking a script that can be read.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// The problems found.
    pub(crate) findings: Vec<(Severity, Kind, SyntaxError)>,
    /// How many records there are.
    pub(crate) records: u64,
    /// The line of the script where a `halt` without conditions ends it.
    pub(crate) halt: Option<u64>,
}
