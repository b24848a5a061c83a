//! The `sqllogictest` crate's own runner on a classic corpus, with the fixes that it needs to read and judge one.
//!
//! Not timed: fixing the text ([`fixed`]) and reading it from disk, both in the runner's favour.

use std::cell::RefCell;
use std::error::Error;

use md5::{Digest, Md5};
use slt_harness::Dialect;
use slt_harness::engine::{Done, EngineError, Request, Rows, Session};
use slt_harness::sqllogictest::parser::{self, Control, QueryExpect, Record, ResultMode};
use slt_harness::sqllogictest::{
    ColumnType, DB, DBOutput, DefaultColumnType, Normalizer, RecordOutput, Runner, default_validator,
};

use super::{Cost, connect, timed};

/// A session, and the column letters of the next query, which the runner does not pass to its database.
struct Current {
    session: Box<dyn Session>,
    rows: Rows,
    letters: Option<Vec<u8>>,
}

thread_local! {
    // Needed because the runner wants a database that can change threads, which a session cannot.
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}

/// The database of the session that is current on this thread.
struct Ours;

impl DB for Ours {
    type Error = EngineError;
    type ColumnType = DefaultColumnType;

    fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, EngineError> {
        CURRENT.with_borrow_mut(|current| {
            let Current { session, rows, letters } = current.as_mut().expect("connected before the first record");
            rows.clear();
            let request = Request::new(sql.as_bytes(), letters.as_deref(), Dialect::Classic);
            Ok(match session.run(request, rows)? {
                Done::Changed(count) => DBOutput::StatementComplete(count),
                Done::Rows => {
                    let columns = rows.columns().unwrap_or(1).max(1);
                    let values: Vec<&[u8]> = rows.values().collect();
                    let text = |value: &&[u8]| String::from_utf8_lossy(value).into_owned();
                    let rows = values.chunks(columns).map(|row| row.iter().map(text).collect()).collect();
                    DBOutput::Rows { types: vec![DefaultColumnType::Any; columns], rows }
                }
            })
        })
    }

    fn engine_name(&self) -> &str {
        "sqlite"
    }
}

/// Runs a script from its text to its last record.
pub(super) fn run(name: &str, text: &str) -> Result<Cost, Box<dyn Error>> {
    timed(|| {
        let session = connect(name)?;
        CURRENT.set(Some(Current { session, rows: Rows::default(), letters: None }));
        let mut runner = Runner::new(|| async { Ok(Ours) });
        runner.with_normalizer(|value| value.clone());
        runner.with_validator(validate);
        runner.run(Record::Control(Control::ResultMode(ResultMode::ValueWise)))?;
        let (mut records, mut failed) = (0, 0);
        for record in parser::parse_with_name::<DefaultColumnType>(text, name)? {
            match &record {
                Record::Halt { .. } => break,
                // Our runner compares hashes only if the record has a hash line; the crate would also hash a short
                // result, if configured.
                Record::HashThreshold { .. } => continue,
                _ => {}
            }
            CURRENT.with_borrow_mut(|current| {
                let current = current.as_mut().expect("connected above");
                current.letters = match &record {
                    Record::Query { expected: QueryExpect::Results { types, .. }, .. } => {
                        Some(types.iter().map(|letter| letter.to_char() as u8).collect())
                    }
                    _ => None,
                };
            });
            match runner.run(record) {
                Ok(RecordOutput::Nothing) => {}
                Ok(_) => records += 1,
                Err(_) => (records, failed) = (records + 1, failed + 1),
            }
        }
        drop(runner);
        CURRENT.take();
        Ok((records, failed))
    })
}

/// Compares like the crate, except that a line with a hash is compared with the hash of the values.
fn validate(normalizer: Normalizer, actual: &[Vec<String>], expected: &[String]) -> bool {
    let [line] = expected else { return default_validator(normalizer, actual, expected) };
    let Some((count, hash)) = line.split_once(" values hashing to ") else {
        return default_validator(normalizer, actual, expected);
    };
    let mut md5 = Md5::new();
    actual.iter().flatten().for_each(|value| {
        md5.update(value);
        md5.update(b"\n");
    });
    count.parse() == Ok(actual.len()) && format!("{:x}", md5.finalize()) == hash
}

/// The text without comments on conditions, and with the conditions of `halt` resolved.
pub(super) fn fixed(text: &str) -> String {
    let mut fixed = String::with_capacity(text.len());
    // The line where the conditions of the next record begin, and whether they exclude SQLite.
    let mut conditions = (0, false);
    for line in text.lines() {
        let line = if line.trim().is_empty() { "" } else { line };
        let mut words = line.split_whitespace();
        match words.next() {
            Some(word @ ("skipif" | "onlyif")) => {
                let name = words.next().unwrap_or_default().to_lowercase();
                conditions.1 |= (word == "skipif") == (name == "sqlite");
                fixed += &format!("{word} {name}\n");
                continue;
            }
            Some("halt") if !conditions.1 => {
                fixed.truncate(conditions.0);
                return fixed;
            }
            Some("halt") => fixed.truncate(conditions.0),
            _ => {
                fixed += line;
                fixed.push('\n');
            }
        }
        conditions = (fixed.len(), false);
    }
    fixed
}
