//! DuckDB's dialect, as its `unittest` program reads it.
//!
//! ```text
//! require json                     without it, the file is ignored
//!
//! foreach t INTEGER VARCHAR        the body runs once for each word; {t} is replaced by it in SQL
//!
//! statement ok
//! CREATE OR REPLACE TABLE x(a {t})
//!
//! statement error                  the message contains this text, or matches `<REGEX>:…`
//! SELECT b FROM x
//! ----
//! Binder Error
//!
//! query II
//! SELECT 1, 2
//! ----
//! 1⟨TAB⟩2
//!
//! endloop
//! ```
//!
//! Everything that the dialect decides is in this module and below it: the grammar ([`parse`]), loops ([`Cursor`]),
//! names in braces ([`Names`]), comparison ([`compare`], [`error`]), and how a script is run (`run`).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::script::Sort;

pub mod compare;
mod condition;
mod cursor;
mod definition;
pub mod error;
mod grammar;
mod include;
mod lists;
mod names;
mod number;
mod require;
mod rewrite;
mod run;
mod survey;
mod words;

pub use condition::Condition;
pub use cursor::{Cursor, Event, MOST_RECORDS, Passes, Scope};
pub(super) use definition::DuckDb;
pub use grammar::parse;
pub use include::{Texts, find};
pub use names::Names;
pub use require::{Requirement, known as known_requirement, misspelt as misspelt_requirement, of_the_runner};

/// A parsed script. It borrows from the file. It contains each loop once, however often the loop runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Script<'a> {
    /// Its steps, in order.
    pub nodes: Vec<Node<'a>>,
}

impl Script<'_> {
    /// All steps, those in loops included, in order.
    pub fn steps(&self) -> Vec<&Step<'_>> {
        fn gather<'s>(nodes: &'s [Node<'_>], steps: &mut Vec<&'s Step<'s>>) {
            for node in nodes {
                match node {
                    Node::Step(step) => steps.push(step),
                    Node::Loop(of) => gather(&of.body, steps),
                }
            }
        }
        let mut steps = Vec::new();
        gather(&self.nodes, &mut steps);
        steps
    }

    /// The reason why no record runs, if `mode skip` is the reason.
    fn all_in_mode_skip(&self) -> Option<String> {
        let records: Vec<_> = self.steps().into_iter().filter(|step| step.action.counts()).collect();
        let is_all = !records.is_empty() && records.iter().all(|step| step.action == Action::Skipped);
        is_all.then(|| match records.len() {
            1 => "`mode skip` leaves out the only record".to_owned(),
            all => format!("`mode skip` leaves out all {all} records"),
        })
    }

    /// The files from which steps are included, without repetition.
    pub fn files(&self) -> BTreeSet<Arc<str>> {
        self.steps().into_iter().filter_map(|step| step.place.file.clone()).collect()
    }
}

/// A node is a step, or a loop of nodes.
#[derive(Debug, Clone, PartialEq)]
pub enum Node<'a> {
    /// One step.
    Step(Step<'a>),
    /// A loop.
    Loop(Loop<'a>),
}

/// A loop runs its body once for each group of values.
#[derive(Debug, Clone, PartialEq)]
pub struct Loop<'a> {
    /// Where `loop` or `foreach` is.
    pub place: Place,
    /// The names of the loop's variables.
    pub names: Vec<&'a str>,
    /// The values that it runs over.
    pub over: Over<'a>,
    /// Whether each pass has a separate connection (`concurrentloop`, `concurrentforeach`).
    pub concurrent: bool,
    /// The steps and loops that each pass runs.
    pub body: Vec<Node<'a>>,
}

/// What a loop runs over.
#[derive(Debug, Clone, PartialEq)]
pub enum Over<'a> {
    /// Whole numbers, the end excluded; the first one runs even if the range is empty.
    Range(i64, i64),
    /// Words, built-in lists and variables, as written in the file.
    Words(Vec<&'a str>),
}

/// Where a step is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The included file, where the step is not in the script itself.
    pub file: Option<Arc<str>>,
    /// The line, counted from 1.
    pub line: u64,
}

/// A step of a script.
#[derive(Debug, Clone, PartialEq)]
pub struct Step<'a> {
    /// Where it is.
    pub place: Place,
    /// The conditions; the step runs only if all of them allow it.
    pub conditions: Vec<Condition<'a>>,
    /// What to do.
    pub action: Action<'a>,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq)]
pub enum Action<'a> {
    /// Run SQL for its effect.
    Statement(Statement<'a>),
    /// Run SQL for its rows.
    Query(Query<'a>),
    /// A statement or query inside `mode skip`.
    Skipped,
    /// A statement or query that a condition excludes for this engine.
    OtherEngine,
    /// End this pass of the innermost loop.
    Continue,
    /// Forget the result under a label.
    ResetLabel(&'a str),
    /// `mode output_hash`, which makes DuckDB's runner accept every query, or another mode of output.
    Output(&'a str),
    /// Open another database.
    Load(Load<'a>),
    /// Close the database and open it again. With `false`, extensions are not loaded again.
    Restart(bool),
    /// Replace the main connection by a new one.
    Reconnect,
    /// Wait.
    Sleep(Duration),
    /// Unpack a gzip file; without a target, into the test's folder.
    Unzip(&'a str, Option<&'a str>),
    /// `SELECT setseed(…)`.
    Seed(&'a str),
    /// Give a name in braces a value.
    Variable(&'a str, &'a str),
    /// Skip the file if an error contains one of these texts.
    IgnoreErrors(Vec<&'a str>),
    /// Fail the record if its error contains one of these texts, even if the error is expected.
    AlwaysFail(Vec<&'a str>),
    /// Skip the file unless this is met.
    Require(Vec<&'a str>),
    /// Skip the file unless an environment variable is set (to that value); its name is then known in braces.
    RequireEnv(&'a str, Option<&'a str>),
    /// Give a name in braces the value of an environment variable, or this one.
    TestEnv(&'a str, &'a str),
    /// Tags to select files by.
    Tags(Vec<&'a str>),
    /// Results of more values than this are given as a hash.
    HashThreshold(u64),
    /// Ignore the rest.
    Halt,
}

impl Action<'_> {
    /// Whether it counts among the records of a script.
    pub fn counts(&self) -> bool {
        matches!(self, Action::Statement(_) | Action::Query(_) | Action::Skipped | Action::OtherEngine)
    }

    /// The SQL, if it is a statement or a query.
    pub fn sql(&self) -> Option<&str> {
        match self {
            Action::Statement(statement) => Some(statement.sql),
            Action::Query(query) => Some(query.sql),
            _ => None,
        }
    }
}

/// How a statement must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Without an error.
    Ok,
    /// With an error.
    Error,
    /// With or without an error; an error must match.
    Maybe,
    /// With or without any error (`debug`).
    Anything,
}

/// A statement.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement<'a> {
    /// How it must end.
    pub expect: Expect,
    /// The connection that runs it; `None` is the main one.
    pub connection: Option<&'a str>,
    /// The SQL.
    pub sql: &'a str,
    /// The lines below `----`; empty if any error is accepted.
    pub error: &'a str,
}

/// A query.
#[derive(Debug, Clone, PartialEq)]
pub struct Query<'a> {
    /// A letter for each column. Only their number counts.
    pub letters: &'a str,
    /// How rows are ordered before they are compared.
    pub sort: Sort,
    /// The connection that runs it; `None` is the main one.
    pub connection: Option<&'a str>,
    /// All results under one label must be equal.
    pub label: Option<&'a str>,
    /// The SQL.
    pub sql: &'a str,
    /// The lines of the result; `None` if there are none, `""` for an empty line.
    pub expected: Option<&'a str>,
}

/// A database to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load<'a> {
    /// The file; `None` for a database in memory.
    pub path: Option<&'a str>,
    /// Whether it is only read. Otherwise it is deleted first.
    pub read_only: bool,
    /// The version of the storage.
    pub version: Option<&'a str>,
}
