//! Writes the rows of a query in each of the formats.

use std::io::Write;

use rusqlite::Row;
use rusqlite::types::ValueRef;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::database::Filled;
use crate::command::error::QueryError;
use crate::escape;
use crate::report::columns::columns;
use crate::report::words::first_line;

/// Writes columns for people; columns that contain only numbers are right-aligned.
pub(super) fn table(filled: &Filled<'_>, out: &mut dyn Write) -> Result<(), QueryError> {
    let mut statement = filled.statement()?;
    let names: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
    let mut numbers = vec![true; names.len()];
    let mut lines = vec![names];
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let mut line = Vec::with_capacity(numbers.len());
        for (column, is_number) in numbers.iter_mut().enumerate() {
            let value = row.get_ref(column)?;
            *is_number &= matches!(value, ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_));
            line.push(match value {
                ValueRef::Null => String::new(),
                value => one_line(&text(value)),
            });
        }
        lines.push(line);
    }
    Ok(out.write_all(columns(&lines, |column| numbers[column]).as_bytes())?)
}

/// Writes a line of names and a line for each row.
pub(super) fn csv(filled: &Filled<'_>, out: &mut dyn Write) -> Result<(), QueryError> {
    let mut statement = filled.statement()?;
    let mut writer = csv::Writer::from_writer(out);
    let failed = |error: csv::Error| match error.into_kind() {
        csv::ErrorKind::Io(error) => QueryError::Write(error),
        kind => QueryError::Write(std::io::Error::other(format!("{kind:?}"))),
    };
    writer.write_record(statement.column_names()).map_err(failed)?;
    let count = statement.column_count();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        for column in 0..count {
            writer.write_field(escape::text(&text(row.get_ref(column)?)).as_bytes()).map_err(failed)?;
        }
        writer.write_record(None::<&[u8]>).map_err(failed)?;
    }
    Ok(writer.flush()?)
}

/// Writes an array with an object for each row, one per line.
pub(super) fn json(filled: &Filled<'_>, out: &mut dyn Write) -> Result<(), QueryError> {
    let mut statement = filled.statement()?;
    let names: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
    let mut rows = statement.query([])?;
    let mut separator = "[\n";
    while let Some(row) = rows.next()? {
        out.write_all(separator.as_bytes())?;
        let object = serde_json::to_string(&Object { names: &names, row }).map_err(std::io::Error::from)?;
        out.write_all(escape::json(&object).as_bytes())?;
        separator = ",\n";
    }
    Ok(out.write_all(if separator == "[\n" { b"[]\n" } else { b"\n]\n" })?)
}

/// A row as a JSON object, its columns in their order.
struct Object<'r> {
    names: &'r [String],
    row: &'r Row<'r>,
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.names.len()))?;
        for (column, name) in self.names.iter().enumerate() {
            map.serialize_key(name)?;
            match self.row.get_ref(column).map_err(serde::ser::Error::custom)? {
                ValueRef::Null => map.serialize_value(&()),
                ValueRef::Integer(number) => map.serialize_value(&number),
                ValueRef::Real(number) => map.serialize_value(&number),
                value => map.serialize_value(&text(value)),
            }?;
        }
        map.end()
    }
}

/// A value as text: NULL is empty, a blob is written in hexadecimal.
fn text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(number) => number.to_string(),
        // Always with a decimal point, so that all numbers of a column look the same.
        ValueRef::Real(number) => format!("{number:?}"),
        ValueRef::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        ValueRef::Blob(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

/// A text on one line, with blanks for line endings.
fn one_line(text: &str) -> String {
    first_line(&text.replace("\r\n", " ").replace(['\n', '\r'], " "), 200)
}
