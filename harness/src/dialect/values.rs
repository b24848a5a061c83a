//! How a dialect writes values: NULL, texts and numbers.
//!
//! An engine converts a value as the dialect requires ([`Conversion`]), because only the engine has the original value.
//! Everything else is data and functions of the dialect's [`Form`], which is looked up once for each query.

use std::borrow::Cow;

/// What an engine converts a value to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conversion {
    /// An integer of 32 bits.
    Integer,
    /// A real with three decimals.
    Real,
    /// The engine's own text for the value.
    Text,
}

/// The form in which a dialect writes values.
#[derive(Debug)]
pub(crate) struct Form {
    /// How NULL is written.
    pub(crate) null: &'static [u8],
    /// The conversion of a column's values, by the letter that the query declares for the column.
    pub(crate) conversions: [Conversion; 256],
    /// Finishes a text of a query's result. The text begins at this position of the buffer.
    pub(crate) finish: fn(&mut Vec<u8>, usize),
    /// Finishes a value that an engine's adapter or driver has already written.
    pub(crate) adopt: fn(&[u8]) -> Cow<'_, [u8]>,
    /// How false and true are written, if the column's letter does not matter.
    pub(crate) truth: Option<[&'static [u8]; 2]>,
}

/// Every value is converted to text.
pub(crate) const TEXTS: [Conversion; 256] = [Conversion::Text; 256];

/// How an empty text is written where an empty line would have another meaning.
pub(crate) const EMPTY: &[u8] = b"(empty)";

impl Form {
    /// The conversion of the values in a column, counted from 0, of a query that declares these letters.
    #[inline]
    pub(crate) fn conversion(&self, letters: &[u8], column: usize) -> Conversion {
        self.conversions[usize::from(letters.get(column).copied().unwrap_or(b'T'))]
    }
}

/// Marks an empty text, because a text of a result must not be empty.
pub(crate) fn mark_empty(text: &mut Vec<u8>, start: usize) {
    if text.len() == start {
        text.extend_from_slice(EMPTY);
    }
}

/// The value itself, unchanged.
pub(crate) fn unchanged(value: &[u8]) -> Cow<'_, [u8]> {
    Cow::Borrowed(value)
}
