//! The answers of a driver.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::output::shown;
use crate::dialect::Dialect;
use crate::engine::text::Letters;
use crate::engine::{Done, EngineError, Request, Rows};

/// All fields that an answer of a driver may have.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Answer {
    /// Values as the driver wrote them: parsing a number and writing it again might change it.
    pub(super) result: Option<Vec<Vec<Box<RawValue>>>>,
    pub(super) columns: Option<usize>,
    pub(super) count: Option<u64>,
    pub(super) err: Option<String>,
    pub(super) sqlstate: Option<String>,
    pub(super) types: Option<Vec<String>>,
    pub(super) met: Option<bool>,
    pub(super) protocol: Option<u32>,
    pub(super) name: Option<String>,
    pub(super) capabilities: Vec<String>,
    /// The question that it answers, if several are open.
    pub(super) id: Option<u64>,
}

impl Answer {
    /// Returns how the SQL ended, and adds its rows to `rows`. `extended` is true for a driver that greets. `printed` returns
    /// the answer as text, or an empty text if that is unknown.
    pub(super) fn take(
        self,
        letters: Option<&[u8]>,
        dialect: Dialect,
        extended: bool,
        rows: &mut Rows,
        printed: impl FnOnce() -> String,
    ) -> Result<Done, EngineError> {
        match self {
            Answer { err: Some(message), sqlstate, result: None, count: None, .. } => {
                Err(EngineError::new(message).with_sqlstate(sqlstate))
            }
            Answer { result: None, count: Some(count), .. } if extended => Ok(Done::Changed(count)),
            Answer { result: Some(result), columns, types, count: None, err: None, .. } => {
                rows.set_types(types.unwrap_or_default());
                if let Some(columns) = columns {
                    rows.set_columns(columns);
                }
                let request = Request { sql: b"", letters, dialect };
                for row in result {
                    push(&row, &request, extended, rows)?;
                }
                Ok(Done::Rows)
            }
            _ => {
                let fields = if extended { "`result`, `count` or `err`" } else { "`result` or `err`" };
                let text = match printed() {
                    text if text.is_empty() => text,
                    text => format!(": `{text}`"),
                };
                Err(EngineError::lost(format!("its answer needs either {fields}{text}")))
            }
        }
    }
}

/// Adds a row. It is formatted by the letters if the driver knows the extension, and otherwise taken as the driver wrote
/// it.
fn push(row: &[Box<RawValue>], request: &Request<'_>, extended: bool, rows: &mut Rows) -> Result<(), EngineError> {
    let letters = Letters::of(request);
    let mut own = Rows::default();
    for (column, value) in row.iter().enumerate() {
        let value = value.get();
        match value.as_bytes().first() {
            Some(b'"') => {
                let text: String = serde_json::from_str(value).map_err(|error| {
                    let value = shown(&[], value.as_bytes());
                    EngineError::lost(format!("it answered with `{value}`, which is not a string: {}", reason(&error)))
                })?;
                match extended {
                    true => letters.push(column, Some(text.as_bytes()), &mut own),
                    false => own.push(&(request.dialect.definition().form().adopt)(text.as_bytes())),
                }
            }
            Some(b'n') if extended => letters.push(column, None, &mut own),
            Some(truth @ (b't' | b'f')) if extended => letters.push_truth(column, *truth == b't', &mut own),
            Some(b'-' | b'0'..=b'9') if extended => {
                letters.push(column, Some(value.as_bytes()), &mut own);
            }
            _ => {
                let value = shown(&[], value.as_bytes());
                return Err(EngineError::lost(format!("it answered with `{value}` where a string should be")));
            }
        }
    }
    rows.push_row(own.values());
    Ok(())
}

/// What is wrong with an answer, without the position in the stream: users do not see the stream.
pub(super) fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(json: &str, dialect: Dialect, extended: bool) -> String {
        let mut rows = Rows::default();
        let answer: Answer = serde_json::from_str(json).unwrap();
        answer.take(Some(b"TIT"), dialect, extended, &mut rows, String::new).unwrap();
        String::from_utf8(rows.text().to_vec()).unwrap()
    }

    #[test]
    fn the_dialect_decides_how_the_values_of_a_driver_are_written() {
        let json = r#"{"result":[["a\u0000b",true,""],["",null,7.50]]}"#;
        for (dialect, text) in [
            (Dialect::Classic, "a\n1\n(empty)\n(empty)\nNULL\n7.50\n"),
            (Dialect::Slt, "a\0b\ntrue\n(empty)\n(empty)\nNULL\n7.50\n"),
            (Dialect::DuckDb, "a\\0b\n1\n(empty)\n(empty)\nNULL\n7.50\n"),
        ] {
            assert_eq!(taken(json, dialect, true), text, "{dialect}");
        }
    }

    #[test]
    fn values_stay_as_a_driver_without_the_extension_writes_them() {
        let json = r#"{"result":[["a\u0000b",""]]}"#;
        for (dialect, text) in
            [(Dialect::Classic, "a\0b\n(empty)\n"), (Dialect::Slt, "a\0b\n\n"), (Dialect::DuckDb, "a\\0b\n\n")]
        {
            assert_eq!(taken(json, dialect, false), text, "{dialect}");
        }
    }
}
