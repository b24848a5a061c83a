//! The definition of the classic dialect.

use std::borrow::Cow;

use super::Parser;
use crate::dialect::definition::Definition;
use crate::dialect::place::Layout;
use crate::dialect::rewrite::Rewriter;
use crate::dialect::stage::{self, Flow, Stage};
use crate::dialect::survey::{self, Survey};
use crate::dialect::values::{Conversion, EMPTY, Form, TEXTS, mark_empty};
use crate::script::{Labels, ScriptFile, SyntaxError};

/// How many records are parsed before the first of them runs. The parser's code and the engine's code do not fit together
/// into the processor's first-level cache: if the parser and the engine alternated at each record, each would load its code
/// again.
const READ_AHEAD: usize = 32;

/// SQLite's original format.
pub(crate) struct Classic;

impl Definition for Classic {
    fn name(&self) -> &'static str {
        "classic"
    }

    fn title(&self) -> &'static str {
        "the classic dialect"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["test"]
    }

    fn layout(&self) -> &'static Layout {
        &Layout {
            ignores_blanks: true,
            first_line_is_sql: false,
            comments_in_results: true,
            comments_after_words: true,
            texts: &[],
            folds_results: false,
        }
    }

    fn has_connections(&self) -> bool {
        false
    }

    fn form(&self) -> &'static Form {
        &FORM
    }

    fn run<'a>(
        &self,
        _: &ScriptFile<'_>,
        text: &'a [u8],
        labels: &'a Labels,
        stage: &mut dyn Stage<'a>,
    ) -> Option<String> {
        let mut parser = Parser::new(text, labels);
        let mut records = Vec::with_capacity(READ_AHEAD);
        loop {
            records.extend(parser.by_ref().take(READ_AHEAD));
            if records.is_empty() || stage::run(records.drain(..), stage) == Flow::Over {
                return None;
            }
        }
    }

    fn survey(&self, _: &ScriptFile<'_>, text: &[u8]) -> Result<Survey, SyntaxError> {
        survey::records(text, Parser::new(text, &Labels::undecided()))
    }

    fn rewriter(&self) -> Option<&dyn Rewriter> {
        Some(self)
    }
}

/// `I` is an integer of 32 bits, `R` a real with three decimals, and `T` printable ASCII.
///
/// Rule: `sqliteQuery` in `slt_sqlite.c` of <https://www.sqlite.org/sqllogictest/>.
static FORM: Form = Form {
    null: b"NULL",
    conversions: {
        let mut conversions = TEXTS;
        conversions[b'I' as usize] = Conversion::Integer;
        conversions[b'R' as usize] = Conversion::Real;
        conversions
    },
    finish: make_printable,
    adopt: |value| if value.is_empty() { Cow::Borrowed(EMPTY) } else { Cow::Borrowed(value) },
    truth: None,
};

fn make_printable(text: &mut Vec<u8>, start: usize) {
    // The original runner sees C strings: everything after a NUL is ignored.
    if let Some(end) = memchr::memchr(0, &text[start..]) {
        text.truncate(start + end);
    }
    mark_empty(text, start);
    text[start..].iter_mut().filter(|byte| !(b' '..=b'~').contains(byte)).for_each(|byte| *byte = b'@');
}
