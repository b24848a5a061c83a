//! Whether a reference returns what the judged engine did.

use super::actual;
use crate::dialect::duckdb::Action;
use crate::dialect::rewrite::Correction;
use crate::dialect::stage::Stage;
use crate::script::Record;

/// Whether a query that failed on both engines returned the same on both, by the types of its columns; nothing if this is not the
/// reference, or one of them did not return rows.
pub(super) fn is_alike(
    action: &Action<'_>,
    record: &Record<'_>,
    there: &Correction,
    stage: &dyn Stage<'_>,
) -> Option<bool> {
    let judged = stage.judged(record)?;
    let (Action::Query(query), Correction::Lines { lines, .. }, Correction::Lines { columns, .. }) =
        (action, judged, there)
    else {
        return None;
    };
    let mut actual = actual(stage, columns.unwrap_or(query.letters.len()), false);
    actual.sort(query.sort);
    let lines: Vec<String> = lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    Some(actual.agrees(&lines, &|_| None).is_ok())
}
