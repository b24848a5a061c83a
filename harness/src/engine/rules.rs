//! Rules by which an engine's author compares results, in the place of the dialect's own.

use std::fmt;
use std::sync::Arc;

/// Whether columns of the first letters may be returned by a query that declares the second ones; or why not.
pub type ColumnRule = Arc<dyn Fn(&str, &str) -> Result<(), String> + Send + Sync>;

/// Whether rows are those that the lines of a script expect.
pub type ResultRule = Arc<dyn Fn(&[Vec<String>], &[String]) -> bool + Send + Sync>;

/// What an engine's author has to say on results, for `.slt` files; what is not there is left to the dialect.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Rules {
    /// Checks the types of the columns, by their letters.
    pub columns: Option<ColumnRule>,
    /// Compares the rows, sorted as the record asks, with the lines of the script.
    pub results: Option<ResultRule>,
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (columns, results) = (self.columns.is_some(), self.results.is_some());
        f.debug_struct("Rules").field("columns", &columns).field("results", &results).finish()
    }
}
