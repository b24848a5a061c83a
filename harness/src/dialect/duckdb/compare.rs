//! Compares the rows of a query with the lines that the script expects.

use std::borrow::Cow;

use md5::{Digest, Md5};

use super::error::{Pattern, matches};
use super::number::{Decimal, float, is_near};
use crate::dialect::comparison::{Differing, MISMATCH, Mismatch};
use crate::diff::{Returned, Shape};
use crate::script::Sort;

/// The prefix of a line that names a file with the expected values.
pub const FILE: &str = "<FILE>:";

/// What a query returned, as the dialect writes it: NULL is `NULL`, an empty text `(empty)`, true `1`.
#[derive(Debug, Clone)]
pub struct Actual<'r> {
    values: Vec<&'r [u8]>,
    columns: usize,
    kinds: Vec<Kind>,
    sorted: bool,
}

/// How the values of a column are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// As numbers with this many digits after the decimal point.
    Decimal(i32),
    /// As numbers of 32 bits, with a small tolerance.
    Float,
    /// As numbers of 64 bits, with a small tolerance.
    Double,
    /// As `true` or `1`, and `false` or `0`.
    Boolean,
    /// As `Boolean`, but NULL also equals every word that is none of these four, as in DuckDB's own runner.
    LenientBoolean,
    /// By their text.
    Text,
}

impl Kind {
    /// The kind of a column, by DuckDB's name of its type.
    fn of(name: &str) -> Kind {
        let name = name.trim().to_ascii_uppercase();
        match name.as_str() {
            "TINYINT" | "SMALLINT" | "INTEGER" | "BIGINT" | "HUGEINT" | "UTINYINT" | "USMALLINT" | "UINTEGER"
            | "UBIGINT" | "UHUGEINT" => Kind::Decimal(0),
            "FLOAT" => Kind::Float,
            "DOUBLE" => Kind::Double,
            "BOOLEAN" => Kind::Boolean,
            _ => {
                let scale = name.strip_prefix("DECIMAL(").and_then(|rest| rest.strip_suffix(')')).and_then(|inner| {
                    let (_, scale) = inner.split_once(',')?;
                    scale.trim().parse().ok()
                });
                scale.map_or(Kind::Text, Kind::Decimal)
            }
        }
    }

    /// Whether two texts mean the same value.
    fn equal(self, actual: &str, expected: &str) -> bool {
        if self == Kind::LenientBoolean {
            return boolean(actual) == boolean(expected);
        }
        // NULL is not a number, and not a word for a boolean.
        if actual == "NULL" {
            return expected == "NULL";
        }
        match self {
            Kind::Decimal(scale) => {
                let value = |text| Decimal::parse(text).and_then(|number| number.rounded(scale));
                value(actual).is_some_and(|actual| Some(actual) == value(expected))
            }
            Kind::Float => match (actual.parse::<f32>(), float(expected)) {
                (Ok(actual), Some(expected)) => is_near(actual.into(), f64::from(expected as f32)),
                _ => false,
            },
            Kind::Double => match (float(actual), float(expected)) {
                (Some(actual), Some(expected)) => is_near(actual, expected),
                _ => false,
            },
            Kind::Boolean => match (boolean(actual), boolean(expected)) {
                (Some(actual), Some(expected)) => actual == expected,
                _ => false,
            },
            Kind::Text | Kind::LenientBoolean => false,
        }
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

impl<'r> Actual<'r> {
    /// A result of `columns` columns. Its values come row by row. `types` are DuckDB's names of the columns' types, if the
    /// engine reports them; a column without a type is compared as text. With `lenient`, NULL may be any word in a column
    /// of booleans, as in DuckDB's own runner.
    pub fn new(values: impl Iterator<Item = &'r [u8]>, columns: usize, types: &[String], lenient: bool) -> Self {
        let columns = columns.max(1);
        let kind = |column: usize| match types.get(column).map_or(Kind::Text, |name| Kind::of(name)) {
            Kind::Boolean if lenient => Kind::LenientBoolean,
            kind => kind,
        };
        let kinds = (0..columns).map(kind).collect();
        Actual { values: values.collect(), columns, kinds, sorted: false }
    }

    /// Sorts the rows, or all values, by their texts.
    pub fn sort(&mut self, sort: Sort) {
        self.sorted = sort != Sort::None;
        match sort {
            Sort::None => {}
            Sort::Values => self.values.sort_unstable(),
            Sort::Rows => {
                let mut rows: Vec<&[&[u8]]> = self.values.chunks(self.columns).collect();
                rows.sort_unstable();
                self.values = rows.concat();
            }
        }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.values.len() / self.columns
    }

    /// MD5 over all values, each followed by a line feed.
    pub fn digest(&self) -> String {
        let mut hasher = Md5::new();
        for value in &self.values {
            hasher.update(value);
            hasher.update(b"\n");
        }
        format!("{:x}", hasher.finalize())
    }

    /// Whether the result is what `lines` expect. `replace` replaces names in braces.
    ///
    /// # Errors
    /// The result is not the expected one.
    pub fn agrees(&self, lines: &[&str], replace: &dyn Fn(&str) -> Option<String>) -> Result<(), Mismatch> {
        if let Some((count, digest)) = hash_line(lines) {
            let actual = self.digest();
            if count == self.values.len() && digest == actual {
                return Ok(());
            }
            let actual = format!("{} values hashing to {actual}", self.values.len());
            let expected = lines.iter().map(|line| (*line).to_owned()).collect();
            let values = self.values.iter().map(|value| value.to_vec()).collect();
            let returned = Some(Returned { values, columns: self.columns });
            let (actual, shape) = (vec![actual], Shape::Hash);
            let results = Differing { expected, actual, compared: None, shape, sorted: false, returned };
            return Err(Mismatch { message: MISMATCH.to_owned(), results: Some(Box::new(results)) });
        }
        let (rows, columns) = (self.rows(), self.columns);
        let row_wise = (columns > 1 && lines.len() == rows) || lines.iter().all(|line| line.contains('\t'));
        let shape = if row_wise { Shape::Tabs } else { Shape::Values(columns) };
        let width = if row_wise { columns } else { 1 };
        let mismatch = |message: String, shape: Shape, compared: Option<Vec<String>>| {
            let expected = lines.iter().map(|line| (*line).to_owned()).collect();
            Err(Mismatch {
                message,
                results: Some(Box::new(Differing {
                    expected,
                    actual: self.shown(width),
                    compared,
                    shape,
                    sorted: self.sorted,
                    returned: None,
                })),
            })
        };
        let wanted = if row_wise { rows } else { self.values.len() };
        if lines.len() != wanted {
            return mismatch(MISMATCH.to_owned(), shape, None);
        }
        let mut expected: Vec<&str> = Vec::with_capacity(self.values.len());
        for line in lines {
            if !row_wise {
                expected.push(line);
                continue;
            }
            let before = expected.len();
            // A line of tabs alone is one value, as in DuckDB's own runner.
            match line.bytes().all(|byte| byte == b'\t') {
                true => expected.push(line),
                false => expected.extend(line.split('\t').filter(|piece| !piece.is_empty())),
            }
            let pieces = expected.len() - before;
            if pieces != columns {
                let values = if pieces == 1 { "value" } else { "values" };
                let message = format!(
                    "`{line}` has {pieces} {values} for {columns} columns (a tab separates values, an empty one is `(empty)`)"
                );
                return mismatch(message, Shape::Text, None);
            }
        }
        match self.differing(&expected, replace)? {
            None => Ok(()),
            Some(values) => mismatch(MISMATCH.to_owned(), shape, Some(joined(&values, width))),
        }
    }

    /// If the result is not `expected`, value by value: the actual values, with equal ones written as in `expected`.
    fn differing(
        &self,
        expected: &[&str],
        replace: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<Vec<Cow<'_, str>>>, Mismatch> {
        let equal = |(index, expected): (usize, &&str)| {
            equal(self.values[index], expected, self.kinds[index % self.columns], replace)
        };
        let mut first = None;
        for (index, expected) in expected.iter().enumerate() {
            if !equal((index, expected))? {
                first = Some(index);
                break;
            }
        }
        let Some(first) = first else { return Ok(None) };
        let mut values = Vec::with_capacity(expected.len());
        for (index, expected) in expected.iter().enumerate() {
            let is_equal = index < first || (index > first && equal((index, expected))?);
            values.push(match is_equal {
                true => Cow::Owned((*expected).to_owned()),
                false => String::from_utf8_lossy(self.values[index]),
            });
        }
        Ok(Some(values))
    }

    /// Whether the result has exactly the values of a file. The file's lines have `|` between values, and the first line is
    /// a header.
    ///
    /// # Errors
    /// The result has other values.
    pub fn agrees_with_file(&self, text: &str) -> Result<(), Mismatch> {
        let mut records = separated(text).into_iter();
        records.next();
        let records: Vec<Vec<String>> = records.collect();
        let mismatch = |compared: Option<Vec<String>>| {
            let expected = records.iter().map(|record| record.join("\t")).collect();
            let results = Differing {
                expected,
                actual: self.shown(self.columns),
                compared,
                shape: Shape::Tabs,
                sorted: self.sorted,
                returned: None,
            };
            Err(Mismatch { message: MISMATCH.to_owned(), results: Some(Box::new(results)) })
        };
        if records.len() != self.rows() || records.iter().any(|record| record.len() != self.columns) {
            return mismatch(None);
        }
        let expected: Vec<&str> = records.iter().flatten().map(String::as_str).collect();
        match self.differing(&expected, &|_| None)? {
            None => Ok(()),
            Some(values) => mismatch(Some(joined(&values, self.columns))),
        }
    }

    /// The lines that a script would have to expect, in the form of those that it expects now.
    pub fn written(&self, lines: &[&str]) -> Vec<String> {
        if is_hash(lines) {
            return vec![format!("{} values hashing to {}", self.values.len(), self.digest())];
        }
        let value_wise = self.columns > 1
            && lines.len() > 1
            && lines.len() != self.rows()
            && lines.len().is_multiple_of(self.columns)
            && !lines.iter().any(|line| line.contains('\t'));
        match self.values.is_empty() {
            true => Vec::new(),
            false => {
                let lines = self.shown(if value_wise { 1 } else { self.columns });
                lines.join("\n").split('\n').map(str::to_owned).collect()
            }
        }
    }

    /// The values as lines, with this many values in each line.
    fn shown(&self, width: usize) -> Vec<String> {
        joined(&self.values.iter().map(|value| String::from_utf8_lossy(value)).collect::<Vec<_>>(), width)
    }
}

/// Values as lines, with this many values in each line.
fn joined(values: &[Cow<'_, str>], width: usize) -> Vec<String> {
    values.chunks(width).map(|row| row.join("\t")).collect()
}

fn equal(
    actual: &[u8],
    expected: &str,
    kind: Kind,
    replace: &dyn Fn(&str) -> Option<String>,
) -> Result<bool, Mismatch> {
    if actual == expected.as_bytes() {
        return Ok(true);
    }
    let Ok(actual) = std::str::from_utf8(actual) else { return Ok(false) };
    if matches(expected, actual)? == Pattern::Agrees || kind.equal(actual, expected) {
        return Ok(true);
    }
    Ok(expected.contains(['{', '_']) && replace(expected).is_some_and(|replaced| replaced == actual))
}

/// The number of values and the hash, if the lines are a single line with a hash.
fn hash_line<'l>(lines: &[&'l str]) -> Option<(usize, &'l str)> {
    let [line] = lines else { return None };
    let (count, digest) = line.split_once(" values hashing to ")?;
    let is_digest = digest.len() == 32 && digest.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase());
    let is_count = count == "0" || !count.starts_with(['0', '+']);
    Some((count.parse().ok()?, digest)).filter(|_| is_digest && is_count)
}

/// Whether the lines are a hash.
pub fn is_hash(lines: &[&str]) -> bool {
    hash_line(lines).is_some()
}

/// The lines of an expected result.
pub fn lines(expected: Option<&str>) -> Vec<&str> {
    expected.map_or_else(Vec::new, |block| block.split('\n').collect())
}

/// The records of a text that has `|` between values. Values may be in quotation marks.
fn separated(text: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut value, mut quoted) = (vec![], vec![], String::new(), false);
    // An empty value is NULL, in quotation marks too.
    let end = |value: &mut String| match std::mem::take(value) {
        text if text.is_empty() => "NULL".to_owned(),
        text => text,
    };
    let text =
        if text.is_empty() || text.ends_with('\n') { Cow::Borrowed(text) } else { Cow::Owned(format!("{text}\n")) };
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                value.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if value.is_empty() => quoted = true,
            '|' if !quoted => record.push(end(&mut value)),
            '\r' if !quoted => {}
            '\n' if !quoted => {
                record.push(end(&mut value));
                records.push(std::mem::take(&mut record));
            }
            other => value.push(other),
        }
    }
    records
}

#[cfg(test)]
mod tests;
