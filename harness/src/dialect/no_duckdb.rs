//! Stands in for DuckDB's dialect where the feature `duckdb` is off: its files are known, and none of them can be read.

use super::definition::Definition;
use super::place::Layout;
use super::stage::Stage;
use super::survey::Survey;
use super::values::{Form, TEXTS, unchanged};
use crate::script::{Labels, ScriptFile, SyntaxError};

/// DuckDB's format.
pub(crate) struct DuckDb;

impl Definition for DuckDb {
    fn name(&self) -> &'static str {
        "duckdb"
    }

    fn title(&self) -> &'static str {
        "DuckDB's dialect"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["duckdb.test"]
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

    /// The suite has refused the file by now.
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

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::dialect::Dialect;
    use crate::suite::Suite;

    #[test]
    fn without_the_feature_a_file_of_the_dialect_is_refused_and_read_by_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str| fs::write(folder.path().join(name), "statement ok\nSELECT 1\n").unwrap();
        write("a.test");
        let suite = Suite::new(folder.path());
        assert_eq!(suite.discover().unwrap().len(), 1);
        let refused = "which this program was built without: switch on the feature `duckdb` of `slt-harness`";
        let all = suite.clone().all_in(Dialect::DuckDb);
        write("b.duckdb.test");
        for error in [suite.discover().unwrap_err(), suite.find("b.duckdb.test").unwrap_err()] {
            assert!(error.to_string().ends_with(refused) && error.to_string().contains("b.duckdb.test"), "{error}");
        }
        assert!(all.find("a.test").unwrap_err().to_string().ends_with(refused));
        assert!("duckdb".parse::<Dialect>().unwrap_err().contains("the feature `duckdb`"));
        // What is left out is not read.
        assert_eq!(suite.exclude(["*.duckdb.test"], "not built").discover().unwrap().len(), 2);
    }
}
