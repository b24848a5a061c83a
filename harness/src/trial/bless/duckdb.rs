//! What must change in a script of DuckDB's dialect.

use std::path::Path;

use super::edit::{self, Edit, Style, Writer};
use super::{Blessings, CANNOT_HOLD, Correction, Kept, Records, rewrite};
use crate::dialect::duckdb::{self, Action, Expect, Node, Query, Texts};
use crate::dialect::{Dialect, Place};
use crate::script::Record;

impl Blessings {
    /// The edits by which a record expects what `correction` says; `agrees` tells whether the present result is the one that
    /// a query expects.
    ///
    /// # Errors
    /// A fragment for people: why the record must go on failing.
    pub(in crate::trial) fn edits_of(
        &mut self,
        record: &Record<'_>,
        action: &Action<'_>,
        correction: &Correction,
        agrees: impl Fn(&Query<'_>) -> bool,
    ) -> Result<Vec<Edit>, String> {
        if matches!(correction, Correction::Error(_)) && !self.bless.errors {
            return Err("it ends with an error, which only `--bless-errors` writes down".to_owned());
        }
        let draft = self.draft(record);
        if let Err(reason) = &draft.path {
            return Err(reason.clone());
        }
        let index = usize::try_from(record.line).ok().and_then(|line| line.checked_sub(1));
        let start = index.and_then(|index| draft.starts.get(index));
        let place = start.and_then(|start| Place::of(&draft.text, *start, Dialect::DuckDb));
        let unchanged = |place: &Place| {
            read(&draft.text[place.directive.start..place.end], |now| now == action).unwrap_or_default()
        };
        let place = place.filter(unchanged).ok_or_else(|| rewrite::CHANGED.to_owned())?;
        for style in [Style::Keeping, Style::Plain] {
            let edits = edits(&draft.text, &place, action, correction, style)?;
            let edited = edit::apply(&draft.text, place.directive.start..place.end, &edits);
            if read(&edited, |now| holds(now, action, correction, &agrees)).unwrap_or_default() {
                return Ok(edits);
            }
        }
        Err(CANNOT_HOLD.to_owned())
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
        (Action::Query(query), Correction::Lines { lines, columns, .. }) => {
            let mut edits = Vec::new();
            let letters = query.letters.as_bytes();
            if let Some(columns) = columns.filter(|columns| *columns != letters.len()) {
                edits.push(Edit::new(writer.word(1)?, edit::fitting(letters, columns)?));
            }
            edits.extend(writer.lines(lines, style));
            Ok(edits)
        }
        (Action::Statement(_), Correction::Success) => {
            Ok(vec![Edit::new(writer.word(1)?, *b"ok"), Edit::new(place.sql_end..place.end, [])])
        }
        (Action::Statement(statement), Correction::Error(error)) => {
            // A statement that may fail still may.
            let word = if statement.expect == Expect::Maybe { &b"maybe"[..] } else { b"error" };
            Ok(vec![Edit::new(writer.word(1)?, word), writer.section(&block(&error.message), 0)])
        }
        (Action::Query(query), Correction::Error(error)) => {
            let connection = query.connection.map(|name| format!(" {name}")).unwrap_or_default();
            let directive = writer.directive(0, format!("statement error{connection}").into_bytes())?;
            Ok(vec![directive, writer.section(&block(&error.message), 0)])
        }
        _ => Err(edit::NO_SUCH_RESULT.to_owned()),
    }
}

/// The lines of an error that a block holds: those before the first empty one, as the block ends there.
fn block(message: &str) -> Vec<Vec<u8>> {
    message.lines().take_while(|line| !line.is_empty()).map(|line| line.as_bytes().to_vec()).collect()
}

/// Whether an edited step is the old one but for what it expects, and that is what `correction` says.
fn holds(now: &Action<'_>, old: &Action<'_>, correction: &Correction, agrees: &impl Fn(&Query<'_>) -> bool) -> bool {
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
                && duckdb::error::agrees(&error.message, now.error, now.error).unwrap_or_default()
        }
        _ => false,
    };
    expected && now.sql() == old.sql()
}

/// Reads a text that is one record and nothing else.
fn read<T>(text: &[u8], use_it: impl FnOnce(&Action<'_>) -> T) -> Option<T> {
    let texts = Texts::new(text).ok()?;
    let script = duckdb::parse(&texts, Path::new(""), Path::new("")).ok()?;
    match script.nodes.as_slice() {
        [Node::Step(step)] if step.conditions.is_empty() => Some(use_it(&step.action)),
        _ => None,
    }
}

/// The records of a whole file with their lines; nothing if it cannot be read.
pub(super) fn kept(text: &[u8], path: &Path, root: &Path) -> Option<Records> {
    fn gather(nodes: &[Node<'_>], records: &mut Records) {
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
    let script = duckdb::parse(&texts, path, root).ok()?;
    let mut records = Records::new();
    gather(&script.nodes, &mut records);
    Some(records)
}
