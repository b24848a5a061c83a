//! Parses a script into nodes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::words::{Lines, words};
use super::{Action, Condition, Expect, Loop, Node, Place, Query, Script, Statement, Step, Texts, include};
use crate::dialect::duckdb_name::NAME;
use crate::dialect::{Dialect, foreign};
use crate::script::{Labels, Sort, SyntaxError};

mod directive;

/// How deep includes may be nested.
const DEEPEST: usize = 20;

/// Reads the script at `path`, whose text is the first one of `texts`, and the files that it includes. What a condition
/// excludes for the engine with these labels is not read at all, as by DuckDB's own runner; an unknown engine is DuckDB.
///
/// # Errors
/// The first rule of the dialect that it breaks.
pub fn parse<'a>(texts: &'a Texts, path: &Path, root: &Path, labels: &Labels) -> Result<Script<'a>, SyntaxError> {
    let labels = if labels.are_undecided() { &Labels::new([NAME]) } else { labels };
    let mut parser = Parser {
        texts,
        nodes: Vec::new(),
        open: Vec::new(),
        skipping: None,
        path,
        root,
        labels,
        including: Vec::new(),
    };
    parser.text(texts.first())?;
    if let Some(open) = parser.open.last() {
        let word = directive::loop_word(open);
        return Err(error_at(&open.place, format!("`{word}` without `endloop`: write `endloop` below its body")));
    }
    Ok(Script { nodes: parser.nodes })
}

fn error_at(place: &Place, message: impl Into<String>) -> SyntaxError {
    SyntaxError { included_from: place.file.clone(), ..SyntaxError::new(place.line, message) }
}

/// Adds the file of a place to an error.
fn at(place: &Place, error: SyntaxError) -> SyntaxError {
    SyntaxError { included_from: place.file.clone(), ..error }
}

/// An error at a place whose cause, `what`, belongs to the sqllogictest-rs dialect.
fn foreign_at(place: &Place, what: &str) -> SyntaxError {
    at(place, foreign::error(place.line, what, &[Dialect::Slt], Dialect::DuckDb))
}

struct Parser<'a, 'p> {
    texts: &'a Texts,
    /// The nodes outside of all loops.
    nodes: Vec<Node<'a>>,
    /// The loops that have not ended so far, the outermost first.
    open: Vec<Loop<'a>>,
    /// How many `mode skip` are still in effect, and the place of the first one.
    skipping: Option<(u64, Place)>,
    path: &'p Path,
    root: &'p Path,
    labels: &'p Labels,
    /// The files being read, the innermost last.
    including: Vec<PathBuf>,
}

/// Whether the script continues after a directive.
#[derive(PartialEq)]
enum Flow {
    GoesOn,
    Halts,
}

impl<'a> Parser<'a, '_> {
    fn text(&mut self, text: &'a str) -> Result<Flow, SyntaxError> {
        let file: Option<Arc<str>> = self.including.last().map(|path| path.to_string_lossy().into());
        let mut lines = Lines::new(text);
        while lines.line().is_some() {
            if lines.is_separator() {
                lines.advance();
                continue;
            }
            let place = Place { file: file.clone(), line: lines.number() };
            if self.record(&mut lines, place)? == Flow::Halts {
                return Ok(Flow::Halts);
            }
        }
        Ok(Flow::GoesOn)
    }

    /// Reads one record, with the conditions before it.
    fn record(&mut self, lines: &mut Lines<'a>, mut place: Place) -> Result<Flow, SyntaxError> {
        let mut conditions = Vec::new();
        loop {
            place.line = lines.number();
            let line = lines.line().unwrap_or_default();
            let words = words(line);
            let Some((&word, rest)) = words.split_first() else {
                let message = "a line of blanks separates no records: delete the blanks, or the line";
                return Err(error_at(&place, message));
            };
            match word {
                "skipif" | "onlyif" => {
                    let Some(&condition) = rest.first() else {
                        return Err(error_at(&place, format!("`{word}` needs an engine or a condition such as `i=1`")));
                    };
                    let condition = Condition::new(word == "skipif", condition);
                    let condition = condition.map_err(|message| error_at(&place, message))?;
                    let excludes = condition.excludes(self.labels);
                    conditions.push(condition);
                    lines.advance();
                    if excludes {
                        self.leave_out(lines, conditions, place);
                        return Ok(Flow::GoesOn);
                    }
                    if lines.is_separator() {
                        let condition = rest[0];
                        return Err(error_at(
                            &place,
                            format!("`{word} {condition}` needs a directive on the next line"),
                        ));
                    }
                }
                "statement" | "query" => {
                    lines.advance();
                    if self.skipping.is_some() {
                        lines.take_until(|line| line.is_empty() || line.starts_with('#'));
                        self.push(Step { place, conditions: Vec::new(), action: Action::Skipped });
                        return Ok(Flow::GoesOn);
                    }
                    let action = match word {
                        "statement" => Action::Statement(self.statement(rest, lines, &place)?),
                        _ => Action::Query(self.query(rest, lines, &place)?),
                    };
                    if word == "statement" && rest[0] == "debug_skip" {
                        self.skipping = Some((1, place.clone()));
                    }
                    self.push(Step { place, conditions, action });
                    return Ok(Flow::GoesOn);
                }
                _ => {
                    lines.advance();
                    if !lines.is_separator() {
                        directive::is_known(word, rest, &place)?;
                        let message = format!("`{word}` is one line: leave an empty line below it");
                        return Err(error_at(&place, message));
                    }
                    return self.directive(line, word, rest, conditions, place);
                }
            }
        }
    }

    /// Passes over what a condition excludes, to the next empty line or comment.
    fn leave_out(&mut self, lines: &mut Lines<'a>, mut conditions: Vec<Condition<'a>>, mut place: Place) {
        while let Some(line) = lines.line().filter(|_| !lines.is_separator()) {
            place.line = lines.number();
            lines.advance();
            match *words(line) {
                [word @ ("skipif" | "onlyif"), condition, ..] => {
                    conditions.extend(Condition::new(word == "skipif", condition));
                }
                ["statement" | "query", ..] => {
                    let action = if self.skipping.is_some() { Action::Skipped } else { Action::OtherEngine };
                    self.push(Step { place, conditions, action });
                    break;
                }
                _ => break,
            }
        }
        lines.take_until(|line| line.is_empty() || line.starts_with('#'));
    }

    /// Adds a step to the innermost open loop, or to the script.
    fn push(&mut self, step: Step<'a>) {
        self.body().push(Node::Step(step));
    }

    fn body(&mut self) -> &mut Vec<Node<'a>> {
        self.open.last_mut().map_or(&mut self.nodes, |open| &mut open.body)
    }

    /// The SQL below a directive, up to an empty line, a comment or `----`, and whether it ends at `----`.
    fn sql(lines: &mut Lines<'a>, word: &str, place: &Place) -> Result<(&'a str, bool), SyntaxError> {
        let sql = lines.take_until(|line| line.is_empty() || line.starts_with('#') || line == "----");
        let Some(sql) = sql else {
            return Err(error_at(place, format!("`{word}` without SQL on the line below it")));
        };
        let delimiter = lines.line() == Some("----");
        if delimiter {
            lines.advance();
        }
        Ok((sql, delimiter))
    }

    fn statement(&self, rest: &[&'a str], lines: &mut Lines<'a>, place: &Place) -> Result<Statement<'a>, SyntaxError> {
        let expect = match rest.first() {
            Some(&"ok") => Expect::Ok,
            Some(&"error") => Expect::Error,
            Some(&"maybe") => Expect::Maybe,
            Some(&("debug" | "debug_skip")) => Expect::Anything,
            Some(&"count") => return Err(foreign_at(place, "`statement count`")),
            other => {
                let other = other.map_or("nothing".to_owned(), |word| format!("`{word}`"));
                let message = format!("`statement` needs `ok`, `error`, `maybe` or `debug`, not {other}");
                return Err(error_at(place, message));
            }
        };
        let connection = rest.get(1).copied();
        self.check_connection(connection, place)?;
        let (sql, delimiter) = Self::sql(lines, "statement", place)?;
        let error = match (expect, delimiter) {
            (Expect::Error | Expect::Maybe, true) => lines.take_until(str::is_empty).unwrap_or_default(),
            (Expect::Error | Expect::Maybe, false) => {
                let message = format!(
                    "`statement {}` needs a line `----` below its SQL, and may have a part of the error below that",
                    rest[0]
                );
                let (what, dialects) = match connection {
                    Some(_) => ("a pattern behind `error`", &[Dialect::Slt][..]),
                    None => ("one without it", &[Dialect::Classic, Dialect::Slt][..]),
                };
                let what = format!("{message}; {what}");
                return Err(at(place, foreign::error(place.line, &what, dialects, Dialect::DuckDb)));
            }
            (Expect::Ok | Expect::Anything, true) => {
                let message = format!("`statement {}` has no results: `----` belongs to a `query`", rest[0]);
                return Err(error_at(place, message));
            }
            (Expect::Ok | Expect::Anything, false) => "",
        };
        Ok(Statement { expect, connection, sql, error })
    }

    fn query(&self, rest: &[&'a str], lines: &mut Lines<'a>, place: &Place) -> Result<Query<'a>, SyntaxError> {
        let Some(&letters) = rest.first() else {
            return Err(at(place, foreign::no_letters(place.line, Dialect::DuckDb)));
        };
        if letters == "error" {
            return Err(foreign_at(place, "`query error`"));
        }
        if let Some(letter) = letters.chars().find(|letter| !"TIR".contains(*letter)) {
            let letter = format!("`{letter}`");
            return Err(at(place, foreign::letter(place.line, &letter, letters, Dialect::DuckDb)));
        }
        let (sort, connection) = match rest.get(1) {
            None | Some(&("nosort" | "none")) => (Sort::None, None),
            Some(&("rowsort" | "sort")) => (Sort::Rows, None),
            Some(&"valuesort") => (Sort::Values, None),
            Some(&name) => (Sort::None, Some(name)),
        };
        self.check_connection(connection, place)?;
        let (sql, _) = Self::sql(lines, "query", place)?;
        let expected = lines.take_until(str::is_empty);
        Ok(Query { letters, sort, connection, label: rest.get(2).copied(), sql, expected })
    }

    fn check_connection(&self, connection: Option<&str>, place: &Place) -> Result<(), SyntaxError> {
        match connection {
            Some(name) if self.open.iter().any(|open| open.concurrent) => Err(error_at(
                place,
                format!("the connection `{name}` is named inside a concurrent loop, where each pass has its own"),
            )),
            Some(name) if name.contains(':') => Err(error_at(
                place,
                format!("`{name}` names another database, which is not supported: write `ATTACH`, or another file"),
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
