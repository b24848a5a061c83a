//! The definition of DuckDB's dialect.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::{find, lists, rewrite, run, survey};
use crate::dialect::definition::Definition;
use crate::dialect::duckdb_name::{EXTENSIONS, NAME, TITLE};
use crate::dialect::foreign::Words;
use crate::dialect::outline::Kind;
use crate::dialect::place::Layout;
use crate::dialect::rewrite::Kept;
use crate::dialect::stage::Stage;
use crate::dialect::survey::Survey;
use crate::dialect::values::{Form, TEXTS, mark_empty};
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

    fn words(&self) -> Words {
        Words {
            directives: &[
                "concurrentforeach",
                "concurrentloop",
                "continue",
                "endloop",
                "foreach",
                "include",
                "load",
                "loop",
                "reconnect",
                "require",
                "require-env",
                "restart",
                "sleep",
                "tags",
                "test-env",
                "unzip",
            ],
            // Files for other programs have directives `mode`, `reset` and `set` too.
            kinds: &[
                ("mode", "debug"),
                ("mode", "no_output"),
                ("mode", "output_hash"),
                ("mode", "output_result"),
                ("mode", "skip"),
                ("mode", "unskip"),
                ("reset", "label"),
                ("set", "always_fail_error_messages"),
                ("set", "ignore_error_messages"),
                ("set", "seed"),
                ("set", "variable"),
                ("statement", "debug"),
                ("statement", "debug_skip"),
                ("statement", "maybe"),
            ],
        }
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

    fn kind(&self, directive: &[u8]) -> Kind {
        match directive {
            b"loop" | b"foreach" | b"concurrentloop" | b"concurrentforeach" => Kind::Loop,
            b"endloop" => Kind::End,
            _ => Kind::of(directive),
        }
    }

    fn passes(&self, line: &[u8]) -> u64 {
        lists::passes(&String::from_utf8_lossy(line))
    }

    fn has_includes(&self) -> bool {
        true
    }

    fn included(&self, pattern: &str, _: &Path, script: &ScriptFile<'_>) -> Result<Vec<PathBuf>, String> {
        find(pattern, script.path, script.root, None).map(|path| vec![path])
    }

    fn sql(&self) -> Option<&'static str> {
        Some("duckdb")
    }

    fn form(&self) -> &'static Form {
        &Form { null: b"NULL", conversions: TEXTS, finish, adopt: without_nul, truth: Some([b"0", b"1"]) }
    }

    fn run<'a>(
        &self,
        script: &ScriptFile<'_>,
        text: &'a [u8],
        labels: &'a Labels,
        stage: &mut dyn Stage<'a>,
    ) -> Option<String> {
        run::run(script, text, labels, stage)
    }

    fn survey(&self, script: &ScriptFile<'_>, text: &[u8]) -> Result<Survey, SyntaxError> {
        survey::survey(script, text)
    }

    fn kept(&self, script: &ScriptFile<'_>, text: &[u8], labels: &Labels) -> Option<Vec<(u64, Kept)>> {
        rewrite::kept(text, script.path, script.root, labels)
    }
}

/// Writes an empty text as `(empty)`, and a NUL as `\0`.
fn finish(text: &mut Vec<u8>, start: usize) {
    if memchr::memchr(0, &text[start..]).is_some() {
        let finished = without_nul(&text[start..]).into_owned();
        text.truncate(start);
        text.extend_from_slice(&finished);
    }
    mark_empty(text, start);
}

fn without_nul(value: &[u8]) -> Cow<'_, [u8]> {
    match memchr::memchr(0, value) {
        None => Cow::Borrowed(value),
        Some(_) => Cow::Owned(value.split(|byte| *byte == 0).collect::<Vec<_>>().join(&br"\0"[..])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_and_an_empty_text_are_visible() {
        let finished = |value: &[u8]| {
            let mut text = [b"before", value].concat();
            finish(&mut text, 6);
            String::from_utf8(text).unwrap()
        };
        assert_eq!(finished(b"a\0b\0"), r"beforea\0b\0");
        assert_eq!((finished(b""), finished(b"a")), ("before(empty)".to_owned(), "beforea".to_owned()));
        assert_eq!((&*without_nul(b"\0"), &*without_nul(b"")), (&br"\0"[..], &b""[..]));
    }
}
