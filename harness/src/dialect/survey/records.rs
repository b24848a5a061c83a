//! Checks scripts that are lists of records.

use super::conditions::{Sought, contradiction};
use super::labels::{Expected, Labels as SameResults, is_hash};
use super::{Kind, Severity, Survey, misspelt};
use crate::script::{Answer, Completion, ExpectedError, Lines, Record, Step, SyntaxError};

/// Checks the records of a script; `text` is the text of the script itself.
///
/// # Errors
/// The error of the first record that cannot be read.
pub(crate) fn records<'r>(
    text: &[u8],
    records: impl Iterator<Item = Result<Record<'r>, SyntaxError>>,
) -> Result<Survey, SyntaxError> {
    let mut looked = Looked { survey: Survey::default(), sought: Sought::new(text), labels: SameResults::default() };
    for record in records {
        if !looked.at(&record?) {
            break;
        }
    }
    Ok(looked.survey)
}

struct Looked {
    survey: Survey,
    sought: Sought,
    labels: SameResults,
}

impl Looked {
    /// Checks one record; returns whether the script continues.
    fn at(&mut self, record: &Record<'_>) -> bool {
        let (file, line) = (record.included_from.as_ref(), record.line);
        if record.step == Step::Halt {
            self.survey.halt = file.is_none().then_some(line);
            return false;
        }
        self.survey.records += u64::from(record.step.counts());
        if let Some((severity, kind, error)) = without_result(&record.step).and_then(|sql| misspelt(sql, line)) {
            let error = SyntaxError { included_from: file.cloned(), ..error };
            self.survey.findings.push((severity, kind, error));
        }
        if let Step::Query { letters, .. } = &record.step
            && let Some(message) = order_for_letters(letters)
        {
            let error = SyntaxError { included_from: file.cloned(), ..SyntaxError::new(line, message) };
            self.survey.findings.push((Severity::Warning, Kind::Letters, error));
        }
        let conditions = self.sought.of(file, line);
        if let Some(error) = contradiction(conditions, line) {
            let error = SyntaxError { included_from: file.cloned(), ..error };
            self.survey.findings.push((Severity::Error, Kind::NeverRuns, error));
        } else if let Step::Query { label: Some(label), expect: Answer::Lines { lines, .. }, .. } = &record.step
            && let Some(expected) = expected(lines)
            && let Some(error) = self.labels.add(label, (file, line), conditions, expected)
        {
            self.survey.findings.push((Severity::Error, Kind::Labels, error));
        }
        true
    }
}

/// A warning about a sort order where the letters belong. Every letter may stand for a column there.
fn order_for_letters(letters: &[u8]) -> Option<String> {
    let order = ["nosort", "rowsort", "valuesort"].into_iter().find(|order| order.as_bytes() == letters)?;
    Some(format!(
        "`{order}` stands for {} columns here and sorts nothing: an order comes after the letters, as in `query IT {order}`",
        order.len()
    ))
}

/// The SQL of a record that could have a result or an error text, but has neither.
fn without_result<'s>(step: &'s Step<'_>) -> Option<&'s [u8]> {
    match step {
        Step::Statement { sql, expect: Completion::Error(ExpectedError::Empty) }
        | Step::Query { sql, expect: Answer::Error { expected: ExpectedError::Empty, .. }, .. } => Some(sql),
        Step::Query { sql, expect: Answer::Lines { lines, .. }, .. } if lines.iter().next().is_none() => Some(sql),
        _ => None,
    }
}

/// The expectation in these lines; `None` if a part of it is left open.
fn expected(lines: &Lines<'_>) -> Option<Expected> {
    let all: Vec<&[u8]> = lines.iter().collect();
    if let [line] = all.as_slice()
        && is_hash(line)
    {
        return Some(Expected::Hash(line.trim_ascii().to_vec()));
    }
    match lines {
        Lines::Block(_) => Some(Expected::Values(all.join(&b'\n'))),
        Lines::List(_) if all.iter().any(|line| memchr::memmem::find(line, b"<slt:ignore>").is_some()) => None,
        // White space does not count, and labels do not depend on where a row ends.
        Lines::List(_) => {
            let words = all.iter().flat_map(|line| line.split(u8::is_ascii_whitespace)).filter(|word| !word.is_empty());
            Some(Expected::Values(words.collect::<Vec<_>>().join(&b' ')))
        }
    }
}
