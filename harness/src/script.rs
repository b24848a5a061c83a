//! The records of a test file, parsed from its text.
//!
//! Records are the same in every dialect; the [dialects](crate::dialect) read them.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use sqllogictest::parser::ExpectedError;

mod condition;
pub mod source;

pub use condition::{Condition, Labels};

/// A script's file: what a dialect learns about it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ScriptFile<'s> {
    /// Its name: the path below the root, with `/`.
    pub(crate) name: &'s str,
    /// The path of the file.
    pub(crate) path: &'s Path,
    /// The folder of test files in which it was found. The script reads no files outside of it.
    pub(crate) root: &'s Path,
}

/// A record is one step of a script.
#[derive(Debug, Clone, PartialEq)]
pub struct Record<'a> {
    /// The file that contains it, if that is not the script itself but a file that it includes.
    pub included_from: Option<Arc<str>>,
    /// The line of its directive, counted from 1.
    pub line: u64,
    /// The variables of the loops around it, as in `i=3, t=INTEGER`; empty outside of loops.
    pub pass: String,
    /// Its connection, if that is not the default one.
    pub connection: Option<String>,
    /// How many times it may be tried, and the pause between two tries.
    pub retry: Option<(usize, Duration)>,
    /// Whether `$variables` in its text are replaced.
    pub substitute: bool,
    /// What to do.
    pub step: Step<'a>,
}

impl<'a> Record<'a> {
    pub(crate) fn new(line: u64, step: Step<'a>) -> Self {
        Record {
            included_from: None,
            line,
            pass: String::new(),
            connection: None,
            retry: None,
            substitute: false,
            step,
        }
    }
}

/// A step is the action of a record.
#[derive(Debug, Clone, PartialEq)]
pub enum Step<'a> {
    /// A statement, query or command whose conditions exclude this engine.
    Skip,
    /// SQL that is run for its effect.
    Statement {
        /// The SQL, without comment lines.
        sql: Cow<'a, [u8]>,
        /// How it must end.
        expect: Completion,
    },
    /// SQL that is run for its rows.
    Query {
        /// The SQL, without comment lines.
        sql: Cow<'a, [u8]>,
        /// One letter for each column: `I` integer, `R` real, `T` text; `.slt` allows others.
        letters: Cow<'a, [u8]>,
        /// How the rows are ordered before they are compared.
        sort: Sort,
        /// Queries under one label must return the same.
        label: Option<Cow<'a, [u8]>>,
        /// What it must return.
        expect: Answer<'a>,
    },
    /// Bind the columns of a one-row query to variables.
    Let {
        /// The variables' names, one for each column.
        variables: Vec<String>,
        /// The query.
        sql: String,
    },
    /// A shell command.
    System {
        /// The command, for `bash -c`.
        command: String,
        /// What it must print.
        stdout: Option<String>,
    },
    /// A pause.
    Sleep(Duration),
    /// From here on, results of more values than this are written in the file as a hash.
    HashThreshold(u64),
    /// Nothing after this is run.
    Halt,
    /// A step that only the dialect of the script can run.
    Other,
}

impl Step<'_> {
    /// The SQL or the command; empty for other steps.
    pub fn text(&self) -> &[u8] {
        match self {
            Step::Statement { sql, .. } | Step::Query { sql, .. } => sql,
            Step::Let { sql, .. } => sql.as_bytes(),
            Step::System { command, .. } => command.as_bytes(),
            Step::Skip | Step::Sleep(_) | Step::HashThreshold(_) | Step::Halt | Step::Other => b"",
        }
    }

    /// Whether it expects an error by a pattern or text that matches this message, but does not match every message.
    pub fn names_error(&self, message: &str) -> bool {
        match self {
            Step::Statement { expect: Completion::Error(expected), .. }
            | Step::Query { expect: Answer::Error { expected, .. }, .. } => {
                expected.is_match(message, None) && !expected.is_match("", None)
            }
            _ => false,
        }
    }

    /// Whether it is counted among the records of a script.
    pub fn counts(&self) -> bool {
        !matches!(self, Step::Sleep(_) | Step::HashThreshold(_) | Step::Halt | Step::Other)
    }
}

/// How a statement must end.
#[derive(Debug, Clone, PartialEq)]
pub enum Completion {
    /// Without an error.
    Ok,
    /// Without an error, having changed (or returned) this number of rows.
    Count(u64),
    /// With an error that matches.
    Error(ExpectedError),
}

/// What a query must return.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer<'a> {
    /// These lines: one for each value or, if `row_wise`, one for each row.
    Lines {
        /// The lines below `----`.
        lines: Lines<'a>,
        /// Whether a line is a whole row.
        row_wise: bool,
    },
    /// An error that matches.
    Error {
        /// The pattern.
        expected: ExpectedError,
        /// Whether a line would be a whole row if the query returned rows.
        row_wise: bool,
    },
}

/// The order in which rows are compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sort {
    /// As the engine returns them.
    #[default]
    None,
    /// Rows sorted as lists of byte strings.
    Rows,
    /// All values sorted as byte strings, independent of their rows.
    Values,
}

/// The lines of an expected result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lines<'a> {
    /// A part of the file.
    Block(Block<'a>),
    /// Lines that are not a slice of the file.
    List(Vec<String>),
}

impl Lines<'_> {
    /// The lines, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let (block, list) = match self {
            Lines::Block(block) => (block.text, &[][..]),
            Lines::List(list) => (&[][..], list.as_slice()),
        };
        // A byte order mark counts only at the start of a file, so none is skipped here.
        let of_block =
            source::Lines::starting_at(block, 0).map(|line| line.text).filter(|text| !text.starts_with(b"#"));
        of_block.chain(list.iter().map(String::as_bytes))
    }

    /// How many lines there are.
    pub fn count(&self) -> usize {
        match self {
            Lines::Block(block) => block.count,
            Lines::List(list) => list.len(),
        }
    }
}

/// A block is a part of the file, from the start of its first line to the end of its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block<'a> {
    /// Its text.
    pub(crate) text: &'a [u8],
    /// How many lines it has, without comment lines.
    pub(crate) count: usize,
    /// Whether the text consists only of its lines: no comment lines, no carriage returns.
    pub(crate) plain: bool,
}

impl<'a> Block<'a> {
    /// The text of the block, if it consists only of its lines: no comment lines, no carriage returns.
    pub fn plain(&self) -> Option<&'a [u8]> {
        self.plain.then_some(self.text)
    }
}

/// A rule of the format that a script breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxError {
    /// The file, if that is not the script itself but a file that it includes.
    pub included_from: Option<Arc<str>>,
    /// The line, counted from 1; 0 if the error concerns the file as a whole.
    pub line: u64,
    /// What is wrong and, if that helps, what would be correct.
    pub message: String,
    /// The names of the other dialects that allow what is wrong here; empty if there are none.
    pub known_to: Vec<&'static str>,
}

impl SyntaxError {
    /// An error at a line of the script itself.
    pub fn new(line: u64, message: impl Into<String>) -> Self {
        SyntaxError { included_from: None, line, message: message.into(), known_to: Vec::new() }
    }
}
