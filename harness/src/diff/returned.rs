//! What the engine returned for a record whose script lists only a hash.

use super::{plural, value};

/// How many of the first rows, and how many of the last rows, are shown.
const SHOWN: usize = 5;

/// The same number if everything is shown.
const SHOWN_WHOLE: usize = 100;

/// All values of a result, in the order in which they are hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Returned {
    pub(crate) values: Vec<Vec<u8>>,
    /// How many values are a row.
    pub(crate) columns: usize,
}

impl Returned {
    /// The first and the last rows, one per line, after a line with the number of rows.
    pub(crate) fn text(&self, whole: bool) -> String {
        let rows: Vec<&[Vec<u8>]> = self.values.chunks(self.columns.max(1)).collect();
        let most = if whole { SHOWN_WHOLE } else { SHOWN };
        let mut lines = vec![format!("{} {}", rows.len(), plural("row", rows.len()))];
        let row = |row: &&[Vec<u8>]| {
            let values: Vec<_> = row.iter().map(|value| String::from_utf8_lossy(value).replace('\n', "\\n")).collect();
            format!("  {}", value::cut(&values.join(" "), 0, whole))
        };
        if rows.len() <= 2 * most + 1 {
            lines.extend(rows.iter().map(row));
        } else {
            lines.extend(rows[..most].iter().map(row));
            lines.push(format!("  … {} rows", rows.len() - 2 * most));
            lines.extend(rows[rows.len() - most..].iter().map(row));
        }
        lines.join("\n")
    }

    /// The text that is hashed, each value with a line feed after it, but at most `most` bytes; and whether it was cut.
    pub(crate) fn bytes(&self, most: usize) -> (Vec<u8>, bool) {
        let mut bytes = Vec::new();
        for value in &self.values {
            if bytes.len() + value.len() >= most {
                return (bytes, true);
            }
            bytes.extend_from_slice(value);
            bytes.push(b'\n');
        }
        (bytes, false)
    }
}
