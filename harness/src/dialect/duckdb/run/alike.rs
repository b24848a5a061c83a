//! Compares what the reference and the judged engine returned.

use super::actual;
use crate::dialect::duckdb::{Action, Query, compare};
use crate::dialect::rewrite::Correction;
use crate::dialect::stage::Stage;
use crate::script::Record;

/// Keeps the rows of a query that passes on the reference, if it failed on the judged engine and the script has only a hash
/// of the rows.
pub(super) fn keep(query: &Query<'_>, record: &Record<'_>, stage: &mut dyn Stage<'_>) {
    if stage.judged(record).is_none() || !compare::is_hash(&compare::lines(query.expected)) {
        return;
    }
    let mut actual = actual(stage, query.letters.len(), false);
    actual.sort(query.sort);
    let lines = actual.written(&[]).into_iter().map(String::into_bytes).collect();
    stage.keep(lines);
}

/// Whether a query that failed on both engines returned the same rows on both, compared by the types of the columns. `None`
/// if this engine is not the reference, or if one engine did not return rows.
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
    let Correction::Lines { lines: theirs, .. } = there else { return None };
    if lines == theirs {
        return Some(true);
    }
    let mut actual = actual(stage, columns.unwrap_or(query.letters.len()), false);
    actual.sort(query.sort);
    let lines: Vec<String> = lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    Some(actual.agrees(&lines, &|_| None).is_ok())
}
