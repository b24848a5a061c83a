//! The sqllogictest-rs dialect (`.slt`), parsed by the `sqllogictest` crate.
//!
//! ```text
//! control sortmode rowsort          also `resultmode valuewise`, `substitution on`
//! include tables.slt.part           a file or pattern below the root
//!
//! statement count 2                 `ok`, `error`, `error <regex>`, or `error` with the text below `----`
//! INSERT INTO t VALUES (1), (2)
//!
//! query IT rowsort                  `query error <regex>`, `… retry 3 backoff 10ms`
//! SELECT a, b FROM t
//! ----
//! 1 one                             one row a line; white space folded, `<slt:ignore>` matches anything
//! ```

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use regex::Regex;
use sqllogictest::parser::{
    self, Control, ExpectedError, ParseErrorKind, Record as Parsed, ResultMode, RetryConfig, SortMode,
};
use sqllogictest::{ColumnType, Connection, QueryExpect, StatementExpect};

use crate::script::source;
use crate::script::{Answer, Completion, Labels, Lines, Record, Sort, Step, SyntaxError};

mod definition;
mod include;
mod message;
mod prepare;
mod rewrite;

pub(super) use definition::Slt;
use include::resolve as included;
use message::in_our_words;
use prepare::prepare;

/// A column letter as written in the file, independent of any engine's types.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Letter(char);

impl ColumnType for Letter {
    fn from_char(letter: char) -> Option<Self> {
        Some(Letter(letter))
    }

    fn to_char(&self) -> char {
        self.0
    }
}

/// How deep includes may be nested.
const MAX_DEPTH: usize = 64;

/// How many files one script may include; a file counts each time that it is included.
const MAX_INCLUDED: u64 = 10_000;

/// Parses a whole script, with the files that it includes, for an engine with these labels.
///
/// # Errors
/// The first rule that is broken, with the file and line of the break.
pub fn parse(text: &[u8], labels: &Labels, file: &Path, root: &Path) -> Result<Vec<Record<'static>>, SyntaxError> {
    parse_in_time(text, labels, file, root, &|| false)
}

/// Parses a whole script like [`parse`], and gives up between two included files once `expired` says so.
///
/// # Errors
/// The first rule that is broken, with the file and line of the break; or the `include` at which the time limit was over.
pub fn parse_in_time(
    text: &[u8],
    labels: &Labels,
    file: &Path,
    root: &Path,
    expired: &dyn Fn() -> bool,
) -> Result<Vec<Record<'static>>, SyntaxError> {
    let open = vec![file.to_path_buf()];
    let bytes = text.len() as u64;
    let state = State::default();
    let mut parser = Parser {
        labels,
        root,
        open,
        included: 0,
        bytes,
        expired,
        state,
        patterns: HashMap::new(),
        records: Vec::new(),
    };
    parser.read(text, file, None)?;
    Ok(parser.records)
}

struct Parser<'p> {
    labels: &'p Labels,
    root: &'p Path,
    /// The script and the files that are being included, outermost first.
    open: Vec<PathBuf>,
    /// How many files have been included so far.
    included: u64,
    /// How many bytes have been read so far.
    bytes: u64,
    /// Whether the time limit is over.
    expired: &'p dyn Fn() -> bool,
    state: State,
    /// Patterns of errors that have been compiled: scripts repeat them.
    patterns: HashMap<String, Regex>,
    records: Vec<Record<'static>>,
}

/// What `control` lines have set; it stays in effect across includes.
#[derive(Default)]
struct State {
    sort: Sort,
    value_wise: bool,
    substitute: bool,
}

impl Parser<'_> {
    /// Reads one file; returns whether a `halt` ended it.
    fn read(&mut self, text: &[u8], path: &Path, name: Option<Arc<str>>) -> Result<bool, SyntaxError> {
        let within = |mut error: SyntaxError| {
            error.included_from = error.included_from.or_else(|| name.clone());
            error
        };
        source::check(text).map_err(within)?;
        let prepared = prepare(text, self.labels).map_err(within)?;
        let parsed = parser::parse_with_name::<Letter>(&prepared.text, "").map_err(|error| {
            let line = prepared.line(u64::from(error.location().line()));
            within(SyntaxError::new(line, in_our_words(&error.kind())))
        })?;
        let mut skipped = prepared.skipped.iter().copied().peekable();
        let mut errors = prepared.errors.iter().peekable();
        for parsed in parsed {
            let line = line_of(&parsed).map(|line| prepared.line(line));
            while let Some(skip) = skipped.next_if(|skip| line.is_some_and(|line| *skip < line)) {
                self.push(Record::new(skip, Step::Skip), name.as_ref());
            }
            let error = errors.next_if(|(at, _)| line == Some(*at));
            if let Parsed::Include { filename, .. } = &parsed {
                let line = line.unwrap_or_default();
                if self.include(filename, path).map_err(|error| within(at_line(error, line)))? {
                    return Ok(true);
                }
            } else if let Some(record) = self
                .convert(parsed, line.unwrap_or_default(), error.map(|(_, error)| error.as_str()))
                .map_err(within)?
            {
                self.push(record, name.as_ref());
            }
        }
        for skip in skipped {
            self.push(Record::new(skip, Step::Skip), name.as_ref());
        }
        if let Some(line) = prepared.halted {
            self.push(Record::new(line, Step::Halt), name.as_ref());
        }
        Ok(prepared.halted.is_some())
    }

    fn push(&mut self, mut record: Record<'static>, name: Option<&Arc<str>>) {
        record.included_from = name.cloned();
        self.records.push(record);
    }

    /// Reads the files that an `include` names. An error without a line number concerns the directive itself.
    fn include(&mut self, pattern: &str, from: &Path) -> Result<bool, SyntaxError> {
        for path in included(pattern, from, self.root).map_err(|message| SyntaxError::new(0, message))? {
            let real = |path: &Path| path.canonicalize().ok();
            if self.open.iter().any(|open| real(open) == real(&path)) {
                return Err(SyntaxError::new(0, format!("`{pattern}` includes a file that is including it")));
            }
            if self.open.len() > MAX_DEPTH {
                let message = format!("`{pattern}` is included through {MAX_DEPTH} files, and no more is allowed");
                return Err(SyntaxError::new(0, message));
            }
            let text = source::read(&path)
                .map_err(|error| SyntaxError::new(0, format!("cannot read `{}`: {error}", path.display())))?;
            self.included += 1;
            self.bytes = self.bytes.saturating_add(text.len() as u64);
            if self.included > MAX_INCLUDED || self.bytes > source::MAX_BYTES {
                let most = source::MAX_BYTES >> 20;
                return Err(SyntaxError::new(
                    0,
                    format!(
                        "`{pattern}` is one include too many: a script includes up to {MAX_INCLUDED} files, {most} MiB in all"
                    ),
                ));
            }
            if (self.expired)() {
                return Err(SyntaxError::new(0, "the time limit was exceeded while included files were being read"));
            }
            self.open.push(path.clone());
            let halted = self.read(&text, &path, Some(path.to_string_lossy().into()))?;
            self.open.pop();
            if halted {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes a record of what the crate parsed. `error` is the file's text after the word `error`, if the crate parsed a
    /// different text in its place.
    fn convert(
        &mut self,
        parsed: Parsed<Letter>,
        line: u64,
        error: Option<&str>,
    ) -> Result<Option<Record<'static>>, SyntaxError> {
        let (step, connection, retry) = match parsed {
            Parsed::Statement { sql, expected, connection, retry, .. } => {
                let expect = match expected {
                    StatementExpect::Ok => Completion::Ok,
                    StatementExpect::Count(count) => Completion::Count(count),
                    StatementExpect::Error(parsed) => Completion::Error(self.expected_error(parsed, error, line)?),
                };
                has_sql(&sql, line)?;
                (Step::Statement { sql: bytes(sql), expect }, connection, retry)
            }
            Parsed::Query { sql, expected, connection, retry, .. } => {
                has_sql(&sql, line)?;
                (self.query(sql, expected, line, error)?, connection, retry)
            }
            Parsed::System { command, stdout, retry, .. } => {
                (Step::System { command, stdout }, Connection::Default, retry)
            }
            Parsed::Let { variables, sql, connection, .. } => {
                has_sql(&sql, line)?;
                (Step::Let { variables, sql }, connection, None)
            }
            Parsed::Sleep { duration, .. } => (Step::Sleep(duration), Connection::Default, None),
            Parsed::HashThreshold { threshold, .. } => (Step::HashThreshold(threshold), Connection::Default, None),
            Parsed::Control(control) => {
                match control {
                    Control::SortMode(mode) => self.state.sort = sort_of(mode),
                    Control::ResultMode(mode) => self.state.value_wise = mode == ResultMode::ValueWise,
                    Control::Substitution(on) => self.state.substitute = on,
                    other => return Err(SyntaxError::new(line, format!("`control` of an unknown kind: {other:?}"))),
                }
                return Ok(None);
            }
            // Handled before parsing, or without effect.
            Parsed::Halt { .. }
            | Parsed::Include { .. }
            | Parsed::Condition(_)
            | Parsed::Connection(_)
            | Parsed::Subtest { .. }
            | Parsed::Comment(_)
            | Parsed::Newline
            | Parsed::Injected(_) => return Ok(None),
            other => return Err(SyntaxError::new(line, format!("a record of an unknown kind: {other}"))),
        };
        Ok(Some(Record {
            included_from: None,
            line,
            pass: String::new(),
            connection: match connection {
                Connection::Default => None,
                Connection::Named(name) => Some(name),
            },
            retry: retry.filter(|_| error.is_none()).map(|RetryConfig { attempts, backoff }| (attempts, backoff)),
            substitute: self.state.substitute,
            step,
        }))
    }

    /// The error that a record expects.
    fn expected_error(
        &mut self,
        parsed: ExpectedError,
        written: Option<&str>,
        line: u64,
    ) -> Result<ExpectedError, SyntaxError> {
        let Some(written) = written.filter(|written| !written.is_empty()) else { return some_error(parsed, line) };
        if !matches!(parsed, ExpectedError::Empty) {
            return Err(SyntaxError::new(line, in_our_words(&ParseErrorKind::DuplicatedErrorMessage)));
        }
        if let Some(state) = written.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'))
            && state.len() == 5
            && state.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
        {
            return Ok(ExpectedError::SqlState(state.to_owned()));
        }
        let pattern = match self.patterns.get(written) {
            Some(pattern) => pattern.clone(),
            None => {
                let error = |_| in_our_words(&ParseErrorKind::InvalidErrorMessage(written.to_owned()));
                let pattern = Regex::new(written).map_err(error).map_err(|words| SyntaxError::new(line, words))?;
                self.patterns.entry(written.to_owned()).or_insert(pattern).clone()
            }
        };
        some_error(ExpectedError::Inline(pattern), line)
    }

    fn query(
        &mut self,
        sql: String,
        expected: QueryExpect<Letter>,
        line: u64,
        error: Option<&str>,
    ) -> Result<Step<'static>, SyntaxError> {
        Ok(match expected {
            QueryExpect::Results { sort_mode: None, label: Some(label), .. } if is_like_an_order(&label) => {
                let message = format!(
                    "unknown order `{label}`: nosort, rowsort or valuesort; a label like that needs an order before it"
                );
                return Err(SyntaxError::new(line, message));
            }
            QueryExpect::Results { types, sort_mode, label, results, result_mode: _ } => Step::Query {
                sql: bytes(sql),
                letters: bytes(types.iter().map(Letter::to_char).collect()),
                sort: sort_mode.map_or(self.state.sort, sort_of),
                label: label.map(bytes),
                expect: Answer::Lines { lines: Lines::List(results), row_wise: !self.state.value_wise },
            },
            QueryExpect::Error(parsed) => Step::Query {
                sql: bytes(sql),
                letters: Cow::Borrowed(b""),
                sort: self.state.sort,
                label: None,
                expect: Answer::Error {
                    expected: self.expected_error(parsed, error, line)?,
                    row_wise: !self.state.value_wise,
                },
            },
        })
    }
}

/// Whether a label is probably a misspelt sort order. Both may be at that place, and the crate takes every other word for a
/// label.
fn is_like_an_order(label: &str) -> bool {
    let label = label.to_ascii_lowercase();
    let orders = ["nosort", "rowsort", "valuesort"];
    label.contains("sort") || orders.iter().any(|order| strsim::osa_distance(order, &label) <= 2)
}

/// Refuses SQL that is nothing but comments and semicolons: nothing would be run.
fn has_sql(sql: &str, line: u64) -> Result<(), SyntaxError> {
    match source::is_without_sql(sql.as_bytes()) {
        true => Err(SyntaxError::new(line, "this record has no SQL but comments and `;`")),
        false => Ok(()),
    }
}

/// Refuses a pattern that matches every error by accident, such as `()` and `x|`. The pattern `.*` is clearly intended, and
/// allowed.
fn some_error(error: ExpectedError, line: u64) -> Result<ExpectedError, SyntaxError> {
    if let ExpectedError::Inline(regex) = &error
        && regex.as_str() != ".*"
        && regex.is_match("")
        && regex.is_match("\u{1}x")
    {
        let message = format!("`{}` matches every error: leave it out, or say which error is meant", regex.as_str());
        return Err(SyntaxError::new(line, message));
    }
    Ok(error)
}

fn at_line(mut error: SyntaxError, line: u64) -> SyntaxError {
    if error.included_from.is_none() && error.line == 0 {
        error.line = line;
    }
    error
}

fn bytes(text: String) -> Cow<'static, [u8]> {
    Cow::Owned(text.into_bytes())
}

fn sort_of(mode: SortMode) -> Sort {
    match mode {
        SortMode::NoSort => Sort::None,
        SortMode::RowSort => Sort::Rows,
        SortMode::ValueSort => Sort::Values,
    }
}

fn line_of(parsed: &Parsed<Letter>) -> Option<u64> {
    match parsed {
        Parsed::Include { loc, .. }
        | Parsed::Statement { loc, .. }
        | Parsed::Query { loc, .. }
        | Parsed::System { loc, .. }
        | Parsed::Sleep { loc, .. }
        | Parsed::Subtest { loc, .. }
        | Parsed::Halt { loc }
        | Parsed::HashThreshold { loc, .. }
        | Parsed::Let { loc, .. } => Some(u64::from(loc.line())),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
