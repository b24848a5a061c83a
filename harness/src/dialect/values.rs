//! How values are written: what a script has for NULL, for a text, for a number.
//!
//! An engine converts a value as the dialect requires ([`Conversion`]), because only the engine has the value as it is.
//! Everything else is data and functions of the dialect's [`Form`], which is looked up once for each query.

use std::borrow::Cow;

/// What an engine converts a value to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conversion {
    /// An integer of 32 bits.
    Integer,
    /// A real with three decimals.
    Real,
    /// The text that the engine has for it.
    Text,
}

/// The form in which a dialect writes values.
#[derive(Debug)]
pub(crate) struct Form {
    /// NULL.
    pub(crate) null: &'static [u8],
    /// What the values of a column become, by the letter that the query declares for it.
    pub(crate) conversions: [Conversion; 256],
    /// Finishes a text of a query's result, which begins here in the buffer.
    pub(crate) finish: fn(&mut Vec<u8>, usize),
    /// Finishes a value that is written by an engine's adapter or driver already.
    pub(crate) adopt: fn(&[u8]) -> Cow<'_, [u8]>,
    /// False and true, where they do not depend on the letter of the column.
    pub(crate) truth: Option<[&'static [u8]; 2]>,
}

/// Every value is converted to text.
pub(crate) const TEXTS: [Conversion; 256] = [Conversion::Text; 256];

/// How an empty text is written where an empty line would be read as something else.
pub(crate) const EMPTY: &[u8] = b"(empty)";

impl Form {
    /// What the value in a column becomes, counted from 0, of a query that declares these letters.
    #[inline]
    pub(crate) fn conversion(&self, letters: &[u8], column: usize) -> Conversion {
        self.conversions[usize::from(letters.get(column).copied().unwrap_or(b'T'))]
    }
}

/// A text of a result is never empty.
pub(crate) fn mark_empty(text: &mut Vec<u8>, start: usize) {
    if text.len() == start {
        text.extend_from_slice(EMPTY);
    }
}

/// A value that stays as it is.
pub(crate) fn unchanged(value: &[u8]) -> Cow<'_, [u8]> {
    Cow::Borrowed(value)
}
