//! Compares a record's result with what the script expects, and says what is wrong.

use std::borrow::Cow;
use std::collections::hash_map::Entry;

use super::{Complaint, Executor, Results};
use crate::dialect::comparison::MISMATCH;
use crate::dialect::rewrite::Correction;
use crate::engine::{Done, EngineError};
use crate::script::{Answer, Completion, ExpectedError, Lines, Sort};
use crate::trial::{answer, panics};

impl<'a> Executor<'_, 'a> {
    pub(super) fn judge_statement(
        &self,
        expect: &Completion,
        result: Result<Done, EngineError>,
    ) -> Result<(), Complaint> {
        match (expect, result) {
            (Completion::Ok, Ok(_)) => Ok(()),
            (Completion::Ok | Completion::Count(_), Err(error)) => {
                Err(Complaint::corrected_by(format!("statement failed: {error}"), Correction::Error(error)))
            }
            (Completion::Count(expected), Ok(done)) => {
                let (count, verb) = match done {
                    Done::Changed(count) => (count, "changed"),
                    Done::Rows => (self.rows.count() as u64, "returned"),
                };
                if count == *expected {
                    return Ok(());
                }
                let rows = if count == 1 { "row" } else { "rows" };
                let message = format!("statement {verb} {count} {rows} instead of {expected}");
                Err(Complaint::corrected_by(message, Correction::Count(count)))
            }
            (Completion::Error(_), Ok(_)) => {
                Err(Complaint::corrected_by("statement succeeded, but should have failed", Correction::Success))
            }
            (Completion::Error(expected), Err(error)) => self.judge_error("statement", expected, error),
        }
    }

    pub(super) fn judge_query(
        &mut self,
        expect: &Answer<'_>,
        letters: &[u8],
        sort: Sort,
        result: Result<Done, EngineError>,
    ) -> Result<(), Complaint> {
        let (lines, row_wise, done) = match (expect, result) {
            (Answer::Error { row_wise, .. }, Ok(_)) => {
                self.comparison.order(&self.rows, sort);
                let message = "query succeeded, but should have failed".to_owned();
                return Err(Complaint { correction: self.result(*row_wise, false, b""), ..Complaint::from(message) });
            }
            (Answer::Error { expected, .. }, Err(error)) => return self.judge_error("query", expected, error),
            (Answer::Lines { .. }, Err(error)) => {
                return Err(Complaint::corrected_by(format!("query failed: {error}"), Correction::Error(error)));
            }
            (Answer::Lines { lines, row_wise }, Ok(done)) => (lines, *row_wise, done),
        };
        if self.rows.is_uneven() && !self.dialect.definition().takes_uneven_rows() {
            return Err("the engine returned rows of different widths".to_owned().into());
        }
        self.comparison.order(&self.rows, sort);
        let columns = self.rows.columns().filter(|columns| *columns != letters.len());
        if let Some(columns) = columns.filter(|_| self.dialect.definition().counts_columns()) {
            let declared = String::from_utf8_lossy(letters);
            let unit = if columns == 1 { "column" } else { "columns" };
            let are = if letters.len() == 1 { "is" } else { "are" };
            let message = format!("query returned {columns} {unit}, but {} {are} declared ({declared})", letters.len());
            let correction = self.result(row_wise, answer::is_hashed(lines), letters);
            return Err(Complaint { correction, ..Complaint::from(message) });
        }
        if done == Done::Rows
            && self.rules.columns.is_some()
            && let Err(message) = self.check_columns(letters)?
        {
            let correction = self.result(row_wise, answer::is_hashed(lines), letters);
            return Err(Complaint { correction, ..Complaint::from(message) });
        }
        if self.agrees(lines, row_wise)? {
            return Ok(());
        }
        Err(Complaint {
            results: Some(Results::Rows),
            correction: self.result(row_wise, answer::is_hashed(lines), letters),
            ..Complaint::from(MISMATCH.to_owned())
        })
    }

    fn judge_error(&self, what: &str, expected: &ExpectedError, error: EngineError) -> Result<(), Complaint> {
        if self.dialect.definition().names(expected, &error) {
            return Ok(());
        }
        let state = error.sqlstate.as_ref().map(|state| format!("(sqlstate {state}) ")).unwrap_or_default();
        let message = format!("{what} failed with another error\n  expected: {expected}\n  actual:   {state}{error}");
        Err(Complaint::corrected_by(message, Correction::Error(error)))
    }

    /// Checks whether the query may return columns of these types, by the rule of the engine's author. The outer error is a
    /// panic.
    fn check_columns(&self, declared: &[u8]) -> Result<Result<(), String>, Complaint> {
        let Some(rule) = self.rules.columns.as_ref().filter(|_| self.heeds_author()) else {
            return Ok(Ok(()));
        };
        let declared = String::from_utf8_lossy(declared);
        guarded("validator of column types", || rule(self.rows.letters(), &declared))
    }

    /// Whether the rules of the engine's author replace those of the dialect.
    fn heeds_author(&self) -> bool {
        self.dialect.definition().heeds_author()
    }

    /// Whether the result is the expected one, by the rules of the engine's author or else of the dialect.
    pub(super) fn agrees(&self, lines: &Lines<'_>, row_wise: bool) -> Result<bool, Complaint> {
        match &self.rules.results {
            Some(rule) if self.heeds_author() && !answer::is_hashed(lines) => {
                let actual = self.comparison.strings(&self.rows, row_wise);
                let expected: Vec<String> =
                    lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect();
                guarded("validator", || rule(&actual, &expected))
            }
            _ => Ok(self.dialect.definition().agrees(&self.comparison, &self.rows, lines, row_wise)),
        }
    }

    /// The actual result, in the form that a record with these column letters would have to expect. Computed only if it is
    /// needed.
    fn result(&self, row_wise: bool, hashed: bool, declared: &[u8]) -> Result<Box<Correction>, String> {
        if !self.bless && !self.compares {
            return Err(String::new());
        }
        if self.rows.is_uneven() && !self.dialect.definition().takes_uneven_rows() {
            return Err("the engine returned rows of different widths".to_owned());
        }
        // A result that is compared with another engine may be shown, so it is not hashed.
        let hashed =
            self.bless && (hashed || (self.hash_threshold > 0 && self.rows.len() as u64 > self.hash_threshold));
        let lines = self.comparison.lines(&self.rows, row_wise, hashed);
        // The types that the adapter reports are better than a guess. But letters that are already right stay.
        let letters = Some(self.rows.letters()).filter(|letters| !letters.is_empty());
        let stay = !declared.is_empty() && letters.is_none_or(|letters| letters.chars().count() == declared.len());
        let wrong = !matches!(self.check_columns(declared), Ok(Ok(())));
        let letters = letters.filter(|_| wrong || !stay).map(str::to_owned);
        Ok(Box::new(Correction::Lines { lines, columns: self.rows.columns(), letters }))
    }

    /// All results under one label must be equal; the first one is the reference.
    pub(super) fn judge_label(&mut self, label: Cow<'a, [u8]>, line: u64) -> Result<(), Complaint> {
        let fingerprint = self.comparison.fingerprint(&self.rows);
        match self.labels.entry(label) {
            Entry::Vacant(entry) => {
                entry.insert((fingerprint, line));
                Ok(())
            }
            Entry::Occupied(entry) if entry.get().0 == fingerprint => Ok(()),
            Entry::Occupied(entry) => {
                let (label, (_, line)) = (String::from_utf8_lossy(entry.key()), entry.get());
                Err(format!("results under the label `{label}` differ from those in line {line}").into())
            }
        }
    }

    pub(super) fn bind(&mut self, variables: &[String]) -> Result<(), Complaint> {
        let (rows, columns) = (self.rows.count(), self.rows.columns().unwrap_or(0));
        if rows != 1 || columns != variables.len() {
            let wanted = variables.len();
            let message =
                format!("`let` needs rows: 1, columns: {wanted}; the query returned rows: {rows}, columns: {columns}");
            return Err(message.into());
        }
        for (variable, value) in variables.iter().zip(self.rows.values()) {
            let value = std::str::from_utf8(value).map_err(|_| format!("the value for `${variable}` is not UTF-8"))?;
            self.variables.set(variable, value.to_owned());
        }
        Ok(())
    }
}

/// Calls a function of the engine's author. If it panics, the record fails.
fn guarded<T>(what: &str, call: impl FnOnce() -> T) -> Result<T, Complaint> {
    panics::catch(call).map_err(|panic| Complaint {
        panicked: true,
        ..Complaint::from(format!("the engine's {what} panicked{panic}"))
    })
}
