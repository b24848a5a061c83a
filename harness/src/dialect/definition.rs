//! The definition of a dialect.

use std::path::{Path, PathBuf};

use super::comparison::Comparison;
use super::foreign::Words;
use super::outline::Kind;
use super::place::Layout;
use super::rewrite::{self, Kept, Rewriter};
use super::stage::Stage;
use super::survey::Survey;
use super::values::Form;
use crate::exchange::{EngineError, Rows};
use crate::script::{ExpectedError, Labels, Lines, ScriptFile, SyntaxError};

/// The definition of a dialect: everything in which it may differ from others.
///
/// A dialect is a folder with an implementation of this trait, and one line in the [registry](super::Dialect). What most
/// dialects have in common is a default method here, or a function in a module next to this one: the order and the hash of
/// results ([`Comparison`]), the survey of records, the edits of lines.
pub(crate) trait Definition: Sync {
    /// The dialect's name in flags and settings.
    fn name(&self) -> &'static str;

    /// The dialect's name in a sentence: `DuckDB's dialect`.
    fn title(&self) -> &'static str;

    /// The dialect's file extensions, without the leading dot. If several extensions match a file name, the longest one
    /// decides.
    fn extensions(&self) -> &'static [&'static str];

    /// The feature of this crate that it needs, if the program was built without it.
    fn missing_feature(&self) -> Option<&'static str> {
        None
    }

    /// The directives that this dialect knows, but not every other dialect.
    fn words(&self) -> Words {
        Words::default()
    }

    /// How its records are laid out.
    fn layout(&self) -> &'static Layout;

    /// The kind of a directive, for an outline.
    fn kind(&self, directive: &[u8]) -> Kind {
        Kind::of(directive)
    }

    /// How many times the body of the loop that this line opens runs, as far as the line itself shows it.
    fn passes(&self, _line: &[u8]) -> u64 {
        1
    }

    /// Whether a script may `include` files.
    fn has_includes(&self) -> bool {
        false
    }

    /// The files that an `include` of `pattern` names. `from` contains the `include`: it is the file of `script`, or a file
    /// that this includes.
    ///
    /// # Errors
    /// A fragment of a sentence: there is no such file, or it must not be read.
    fn included(&self, _pattern: &str, _from: &Path, _script: &ScriptFile<'_>) -> Result<Vec<PathBuf>, String> {
        Ok(Vec::new())
    }

    /// Whether a script keeps its meaning if each `include` is replaced by the text of the included file.
    #[cfg_attr(not(feature = "commands"), allow(dead_code))]
    fn inlines_includes(&self) -> bool {
        false
    }

    /// Whether a script may open further connections to its database.
    #[cfg_attr(not(feature = "sqlite"), allow(dead_code))]
    fn has_connections(&self) -> bool {
        true
    }

    /// Whether a query must declare the letters of its columns.
    fn needs_letters(&self) -> bool {
        true
    }

    /// The SQL dialect of its scripts, if it is the same for all engines: a name from the `sqlparser` crate.
    fn sql(&self) -> Option<&'static str> {
        None
    }

    /// How its values are written.
    fn form(&self) -> &'static Form;

    /// Reads the script and runs it, step by step. If the rest of the script is not for this engine, returns the reason.
    fn run<'a>(
        &self,
        script: &ScriptFile<'_>,
        text: &'a [u8],
        labels: &'a Labels,
        stage: &mut dyn Stage<'a>,
    ) -> Option<String>;

    /// Whether rows of different widths may be compared.
    fn takes_uneven_rows(&self) -> bool {
        false
    }

    /// Whether a query must return as many columns as it declares.
    fn counts_columns(&self) -> bool {
        true
    }

    /// Whether the rules of the engine's author replace those of the dialect.
    fn heeds_author(&self) -> bool {
        false
    }

    /// Whether a result is the expected one.
    fn agrees(&self, result: &Comparison, rows: &Rows, lines: &Lines<'_>, row_wise: bool) -> bool {
        result.agrees(rows, lines, row_wise)
    }

    /// Whether an error is the expected one.
    fn names(&self, expected: &ExpectedError, error: &EngineError) -> bool {
        expected.is_match(&error.message, error.sqlstate.as_deref())
    }

    /// Whether two engines returned the same. `agrees` says whether the second one returned what a script with these
    /// lines expects.
    fn are_alike(&self, first: &[Vec<u8>], second: &[Vec<u8>], _agrees: &dyn Fn(&Lines<'_>) -> bool) -> bool {
        first == second
    }

    /// Checks a whole script without running it. The survey lists the problems of a script that can be read.
    ///
    /// # Errors
    /// The first rule of the dialect that is broken.
    fn survey(&self, script: &ScriptFile<'_>, text: &[u8]) -> Result<Survey, SyntaxError>;

    /// Rewrites a record that the [stage](Stage) has judged. `None` for a dialect that judges its records itself.
    fn rewriter(&self) -> Option<&dyn Rewriter> {
        None
    }

    /// The records of a whole file, each with its line; `None` if the file cannot be read. Comparing the records before and
    /// after a file is rewritten shows whether other records have changed.
    fn kept(&self, script: &ScriptFile<'_>, text: &[u8], labels: &Labels) -> Option<Vec<(u64, Kept)>> {
        rewrite::kept(self.rewriter()?, script, text, labels)
    }
}
