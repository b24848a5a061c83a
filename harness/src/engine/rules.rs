//! Rules of an engine's author for the comparison of results, in place of the dialect's own.

use std::fmt;
use std::sync::Arc;

/// Decides whether a query that declares the second letters may return columns with the first letters. The error says why
/// not.
pub type ColumnRule = Arc<dyn Fn(&str, &str) -> Result<(), String> + Send + Sync>;

/// Decides whether rows are those that the lines of a script expect.
pub type ResultRule = Arc<dyn Fn(&[Vec<String>], &[String]) -> bool + Send + Sync>;

/// The rules of an engine's author for results, for `.slt` files. For each rule that is not set, the dialect's own rule
/// applies.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Rules {
    /// Checks the types of the columns by their letters.
    pub columns: Option<ColumnRule>,
    /// Compares the rows, sorted as the record requires, with the lines of the script.
    pub results: Option<ResultRule>,
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (columns, results) = (self.columns.is_some(), self.results.is_some());
        f.debug_struct("Rules").field("columns", &columns).field("results", &results).finish()
    }
}
