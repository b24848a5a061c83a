//! The definition of the sqllogictest-rs dialect.

use std::path::{Path, PathBuf};

use super::{included, parse, parse_in_time};
use crate::dialect::definition::Definition;
use crate::dialect::foreign::Words;
use crate::dialect::outline::Kind;
use crate::dialect::place::Layout;
use crate::dialect::rewrite::Rewriter;
use crate::dialect::stage::{self, Stage};
use crate::dialect::survey::{self, Survey};
use crate::dialect::values::{Form, TEXTS, mark_empty, unchanged};
use crate::script::{Labels, Lines, ScriptFile, SyntaxError};

/// The format of the `sqllogictest` crate.
pub(crate) struct Slt;

impl Definition for Slt {
    fn name(&self) -> &'static str {
        "slt"
    }

    fn title(&self) -> &'static str {
        "the sqllogictest-rs dialect"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["slt"]
    }

    fn words(&self) -> Words {
        Words {
            directives: &["connection", "control", "include", "let", "sleep", "subtest", "system"],
            kinds: &[("statement", "count"), ("query", "error")],
        }
    }

    fn layout(&self) -> &'static Layout {
        &Layout {
            ignores_blanks: false,
            first_line_is_sql: true,
            comments_in_results: false,
            comments_after_words: false,
            texts: &[&[b"system"], &[b"statement", b"error"], &[b"query", b"error"]],
            folds_results: true,
        }
    }

    fn kind(&self, directive: &[u8]) -> Kind {
        match directive {
            b"let" | b"system" => Kind::Other,
            _ => Kind::of(directive),
        }
    }

    fn has_includes(&self) -> bool {
        true
    }

    fn included(&self, pattern: &str, from: &Path, script: &ScriptFile<'_>) -> Result<Vec<PathBuf>, String> {
        included(pattern, from, script.root)
    }

    fn inlines_includes(&self) -> bool {
        true
    }

    fn needs_letters(&self) -> bool {
        false
    }

    fn form(&self) -> &'static Form {
        &Form { null: b"NULL", conversions: TEXTS, finish: mark_empty, adopt: unchanged, truth: None }
    }

    fn run<'a>(
        &self,
        script: &ScriptFile<'_>,
        text: &'a [u8],
        labels: &'a Labels,
        stage: &mut dyn Stage<'a>,
    ) -> Option<String> {
        match parse_in_time(text, labels, script.path, script.root, &|| stage.is_late()) {
            Ok(records) => {
                stage.expect_files(&mut records.iter().filter_map(|record| record.included_from.as_ref()));
                stage::run(records.into_iter().map(Ok), stage);
            }
            Err(error) => stage.fail(error),
        }
        None
    }

    // The crate compares rows of any width, as they are written.
    fn takes_uneven_rows(&self) -> bool {
        true
    }

    fn counts_columns(&self) -> bool {
        false
    }

    fn heeds_author(&self) -> bool {
        true
    }

    fn are_alike(&self, first: &[Vec<u8>], _: &[Vec<u8>], agrees: &dyn Fn(&Lines<'_>) -> bool) -> bool {
        agrees(&Lines::List(first.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect()))
    }

    fn survey(&self, script: &ScriptFile<'_>, text: &[u8]) -> Result<Survey, SyntaxError> {
        let records = parse(text, &Labels::undecided(), script.path, script.root)?;
        survey::records(text, records.into_iter().map(Ok))
    }

    fn rewriter(&self) -> Option<&dyn Rewriter> {
        Some(self)
    }
}
