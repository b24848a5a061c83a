//! The replacement for DuckDB's dialect if the feature `duckdb` is off: it recognizes the files, but cannot read them.

use super::definition::Definition;
use super::duckdb_name::{EXTENSIONS, NAME, TITLE};
use super::place::Layout;
use super::stage::Stage;
use super::survey::Survey;
use super::values::{Form, TEXTS, unchanged};
use crate::script::{Labels, ScriptFile, SyntaxError};

/// DuckDB's format.
pub(crate) struct DuckDb;

impl Definition for DuckDb {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        TITLE
    }

    fn extensions(&self) -> &'static [&'static str] {
        EXTENSIONS
    }

    fn missing_feature(&self) -> Option<&'static str> {
        Some("duckdb")
    }

    fn layout(&self) -> &'static Layout {
        &Layout {
            ignores_blanks: false,
            first_line_is_sql: false,
            comments_in_results: true,
            comments_after_words: false,
            texts: &[],
            folds_results: false,
        }
    }

    fn form(&self) -> &'static Form {
        &Form { null: b"NULL", conversions: TEXTS, finish: |_, _| {}, adopt: unchanged, truth: None }
    }

    /// Never reached in practice: the suite has already refused the file.
    fn run<'a>(&self, _: &ScriptFile<'_>, _: &'a [u8], _: &'a Labels, stage: &mut dyn Stage<'a>) -> Option<String> {
        stage.fail(off());
        None
    }

    fn survey(&self, _: &ScriptFile<'_>, _: &[u8]) -> Result<Survey, SyntaxError> {
        Err(off())
    }
}

fn off() -> SyntaxError {
    SyntaxError::new(
        1,
        "this program was built without DuckDB's dialect: switch on the feature `duckdb` of `slt-harness`",
    )
}
