//! A line that looks like the separator `----` above a result, but is part of the SQL.

use super::{Kind, Severity};
use crate::script::SyntaxError;

/// A warning about a line of dashes, such as `---`, in the SQL of a record without a result.
///
/// The line is a comment in SQL. So the lines after it are SQL too, and are not compared with anything.
pub(crate) fn misspelt(sql: &[u8], line: u64) -> Option<(Severity, Kind, SyntaxError)> {
    let is_dashes = |line: &&[u8]| line.len() > 2 && line.iter().all(|byte| *byte == b'-');
    let dashes = sql.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).find(is_dashes)?;
    let dashes = String::from_utf8_lossy(dashes);
    let message = format!("`{dashes}` is a comment in the SQL: only `----` separates SQL from its result");
    Some((Severity::Warning, Kind::Separator, SyntaxError::new(line, message)))
}
