//! How a record of the dialect is rewritten.

use std::path::Path;

use super::compare::{self, Actual};
use super::{Action, Expect, Node, Query, Texts, error, parse};
use crate::dialect::place::Place;
use crate::dialect::rewrite::{self, Correction, Edit, Kept, Revision, Style, Writer};
use crate::exchange::Rows;
use crate::script::Labels;

/// The revision of a statement or a query.
pub(super) struct OfAction<'r> {
    pub(super) action: &'r Action<'r>,
    pub(super) correction: &'r Correction,
}

impl Revision for OfAction<'_> {
    fn styles(&self) -> &'static [Style] {
        &[Style::Keeping, Style::Plain]
    }

    fn is(&self, text: &[u8]) -> bool {
        read(text, |now| now == self.action).unwrap_or_default()
    }

    fn edits(&self, text: &[u8], place: &Place, style: Style) -> Result<Vec<Edit>, String> {
        edits(text, place, self.action, self.correction, style)
    }

    fn holds(&self, text: &[u8], rows: &Rows) -> bool {
        let agrees = |query: &Query<'_>| {
            let mut actual = Actual::new(rows.values(), query.letters.len(), rows.types(), false);
            actual.sort(query.sort);
            actual.agrees(&compare::lines(query.expected), &|_| None).is_ok()
        };
        read(text, |now| holds(now, self.action, self.correction, &agrees)).unwrap_or_default()
    }
}

fn edits(
    text: &[u8],
    place: &Place,
    action: &Action<'_>,
    correction: &Correction,
    style: Style,
) -> Result<Vec<Edit>, String> {
    let writer = Writer { text, place, retry: false };
    match (action, correction) {
        (Action::Query(_), Correction::Lines { lines, .. }) if lines.iter().any(|line| matches_others(line)) => {
            Err(rewrite::MATCHES_ANYTHING.to_owned())
        }
        (_, Correction::Error(error)) if block(&error.message).first().is_none_or(|line| matches_others(line)) => {
            Err("the message begins with an empty line or a pattern, so that its block would match other errors too"
                .to_owned())
        }
        (Action::Query(query), Correction::Lines { lines, columns, .. }) => {
            let mut edits = Vec::new();
            let letters = query.letters.as_bytes();
            if let Some(columns) = columns.filter(|columns| *columns != letters.len()) {
                edits.push(Edit::new(writer.word(1)?, rewrite::fitting(letters, columns)?));
            }
            edits.extend(writer.lines(lines, style));
            Ok(edits)
        }
        (Action::Statement(_), Correction::Success) => {
            Ok(vec![Edit::new(writer.word(1)?, *b"ok"), Edit::new(place.sql_end..place.end, [])])
        }
        (Action::Statement(statement), Correction::Error(error)) => {
            // A statement that was allowed to fail stays a `maybe`.
            let word = if statement.expect == Expect::Maybe { &b"maybe"[..] } else { b"error" };
            Ok(vec![Edit::new(writer.word(1)?, word), writer.section(&block(&error.message), 0)])
        }
        (Action::Query(query), Correction::Error(error)) => {
            let connection = query.connection.map(|name| format!(" {name}")).unwrap_or_default();
            let directive = writer.directive(0, format!("statement error{connection}").into_bytes())?;
            Ok(vec![directive, writer.section(&block(&error.message), 0)])
        }
        _ => Err(rewrite::NO_SUCH_RESULT.to_owned()),
    }
}

/// Whether a value of a line is a pattern or names a file, if a script expects it.
fn matches_others(line: &[u8]) -> bool {
    let marks = [error::MATCHES, error::MATCHES_NOT, compare::FILE];
    line.split(|byte| *byte == b'\t').any(|value| marks.iter().any(|mark| value.starts_with(mark.as_bytes())))
}

/// The lines of an error that fit into a block: those before the first empty line, because the block ends there.
fn block(message: &str) -> Vec<Vec<u8>> {
    message.lines().take_while(|line| !line.is_empty()).map(|line| line.as_bytes().to_vec()).collect()
}

/// Whether an edited step differs from the old one only in its expectation, and that expectation is the `correction`.
fn holds(now: &Action<'_>, old: &Action<'_>, correction: &Correction, agrees: &dyn Fn(&Query<'_>) -> bool) -> bool {
    let expected = match (now, old, correction) {
        (Action::Query(now), Action::Query(old), Correction::Lines { columns, .. }) => {
            (now.sort, now.connection, now.label) == (old.sort, old.connection, old.label)
                && columns.is_none_or(|columns| columns == now.letters.len())
                && agrees(now)
        }
        (Action::Statement(now), Action::Statement(old), Correction::Success) => {
            now.expect == Expect::Ok && now.connection == old.connection
        }
        (Action::Statement(now), old, Correction::Error(error)) => {
            let connection = match old {
                Action::Statement(old) => old.connection,
                Action::Query(old) => old.connection,
                _ => return false,
            };
            matches!(now.expect, Expect::Error | Expect::Maybe)
                && now.connection == connection
                && error::agrees(&error.message, now.error, now.error).unwrap_or_default()
        }
        _ => false,
    };
    expected && now.sql() == old.sql()
}

/// Reads a text that contains exactly one record.
fn read<T>(text: &[u8], use_it: impl FnOnce(&Action<'_>) -> T) -> Option<T> {
    let texts = Texts::new(text).ok()?;
    let script = parse(&texts, Path::new(""), Path::new(""), &Labels::undecided()).ok()?;
    match script.nodes.as_slice() {
        [Node::Step(step)] if step.conditions.is_empty() => Some(use_it(&step.action)),
        _ => None,
    }
}

/// The records of a whole file with their lines; `None` if the file cannot be read.
pub(super) fn kept(text: &[u8], path: &Path, root: &Path, labels: &Labels) -> Option<Vec<(u64, Kept)>> {
    fn gather(nodes: &[Node<'_>], records: &mut Vec<(u64, Kept)>) {
        for node in nodes {
            match node {
                Node::Step(step) => {
                    let sql = step.action.sql().unwrap_or_default().as_bytes().to_vec();
                    let whole = format!("{:?} {:?} {:?}", step.place.file, step.conditions, step.action);
                    records.push((step.place.line, Kept { sql, whole }));
                }
                Node::Loop(of) => {
                    let whole = format!("{:?} {:?} {:?} {}", of.place.file, of.names, of.over, of.concurrent);
                    records.push((0, Kept { sql: Vec::new(), whole }));
                    gather(&of.body, records);
                    records.push((0, Kept { sql: Vec::new(), whole: "endloop".to_owned() }));
                }
            }
        }
    }
    let texts = Texts::new(text).ok()?;
    let script = parse(&texts, path, root, labels).ok()?;
    let mut records = Vec::new();
    gather(&script.nodes, &mut records);
    Some(records)
}
