//! Result rows in one buffer, reused for every query of a script.

use std::ops::Range;

/// The rows that a query returned: values as text, without an allocation for each.
///
/// The values are in one column, as a classic script lists them, so that a whole result can be compared or hashed at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// The values, each followed by a line feed.
    text: Vec<u8>,
    /// The end of each value in `text`, after its line feed.
    ends: Vec<usize>,
    /// The start of each row that was pushed as a whole: the index of its first value.
    starts: Vec<usize>,
    columns: Option<usize>,
    uneven: bool,
    types: Vec<String>,
    letters: String,
}

impl Rows {
    /// Removes all rows, but keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
        self.starts.clear();
        self.columns = None;
        self.uneven = false;
        self.types.clear();
        self.letters.clear();
    }

    /// Sets the types of the columns, as the engine names them.
    pub fn set_types(&mut self, types: Vec<String>) {
        self.types = types;
    }

    /// The types of the columns; empty if the engine does not report them.
    pub fn types(&self) -> &[String] {
        &self.types
    }

    /// Sets the letters of the columns (`ITR`), as an adapter returns them.
    pub fn set_letters(&mut self, letters: String) {
        self.letters = letters;
    }

    /// The letters of the columns; empty if the engine does not return them.
    pub fn letters(&self) -> &str {
        &self.letters
    }

    /// Sets the number of columns; needed if there may be no rows.
    pub fn set_columns(&mut self, columns: usize) {
        self.columns = Some(columns);
    }

    /// The number of columns, if known.
    pub fn columns(&self) -> Option<usize> {
        self.columns
    }

    /// Adds a value that `write` appends to the buffer.
    pub fn push_with<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let result = write(&mut self.text);
        self.end_value();
        result
    }

    /// Adds a value.
    pub fn push(&mut self, value: &[u8]) {
        self.text.extend_from_slice(value);
        self.end_value();
    }

    #[inline]
    fn end_value(&mut self) {
        self.text.push(b'\n');
        self.ends.push(self.text.len());
    }

    /// Adds a row of values.
    pub fn push_row<'v>(&mut self, values: impl IntoIterator<Item = &'v [u8]>) {
        self.push_row_of(values);
    }

    /// Adds a row of values.
    pub(crate) fn push_row_of(&mut self, values: impl IntoIterator<Item = impl AsRef<[u8]>>) {
        let before = self.ends.len();
        values.into_iter().for_each(|value| self.push(value.as_ref()));
        let width = self.ends.len() - before;
        self.starts.push(before);
        self.uneven |= width == 0 || *self.columns.get_or_insert(width) != width;
    }

    /// Whether rows of different widths, or rows without a value, were pushed. Only adapters push such rows.
    pub fn is_uneven(&self) -> bool {
        self.uneven
    }

    /// The number of values in all rows.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The value at `index`, counted row by row.
    ///
    /// # Panics
    /// If there is no such value.
    #[inline]
    pub fn value(&self, index: usize) -> &[u8] {
        let place = self.place(index..index + 1);
        &self.text[place.start..place.end - 1]
    }

    /// The range of the values in `range` within [`Rows::text`], including the last line feed.
    ///
    /// # Panics
    /// If there are no such values.
    #[inline]
    pub fn place(&self, range: Range<usize>) -> Range<usize> {
        let start = if range.start == 0 { 0 } else { self.ends[range.start - 1] };
        start..self.ends[range.end - 1]
    }

    /// All values, row by row, each followed by a line feed.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Whether a value contains a line feed. If so, [`Rows::text`] does not show where each value ends.
    pub fn holds_line_feeds(&self) -> bool {
        memchr::memchr_iter(b'\n', &self.text).count() != self.len()
    }

    /// All values, row by row.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &[u8]> + Clone {
        (0..self.len()).map(|index| self.value(index))
    }

    /// The number of rows.
    pub fn count(&self) -> usize {
        if self.uneven { self.starts.len() } else { self.len() / self.columns.unwrap_or(1).max(1) }
    }

    /// The range of values of each row, for rows of different widths.
    pub(crate) fn uneven_rows(&self) -> Vec<Range<usize>> {
        let ends = self.starts.iter().skip(1).copied().chain([self.len()]);
        if self.uneven {
            self.starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect()
        } else {
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_row_by_row() {
        let mut rows = Rows::default();
        rows.push_row([&b"a"[..], b""]);
        rows.push_row([&b"bc"[..], b"d"]);
        assert_eq!(rows.values().collect::<Vec<_>>(), [&b"a"[..], b"", b"bc", b"d"]);
        assert_eq!((rows.text(), rows.place(1..3)), (&b"a\n\nbc\nd\n"[..], 2..6));
        assert_eq!((rows.columns(), rows.count(), rows.is_uneven()), (Some(2), 2, false));
        rows.push_row([&b"x"[..]]);
        assert!(rows.is_uneven() && rows.count() == 3);
        assert_eq!(rows.uneven_rows(), [0..2, 2..4, 4..5]);
        rows.clear();
        assert_eq!(rows, Rows::default());
    }
}
