//! The smallest possible dialect: a model for new ones, and a test of what a new dialect needs.
//!
//! ```text
//! do                        or `fail`: the statement must fail
//! CREATE TABLE t(a, b)
//!
//! ask
//! SELECT a, b FROM t
//! ----
//! [1] -                     one row a line, values in brackets, NULL `-`; letter case does not count
//! ```

use std::borrow::Cow;

use super::Dialect;
use super::comparison::Comparison;
use super::definition::Definition;
use super::foreign::{self, Words};
use super::outline::Kind;
use super::place::Layout;
use super::rewrite::{Edit, Rewriter, Style, Writer};
use super::stage::{self, Stage};
use super::survey::{self, Survey};
use super::values::{Form, TEXTS, unchanged};
use crate::exchange::{EngineError, Rows};
use crate::script::source::{Lines as Source, quote};
use crate::script::{Answer, Completion, ExpectedError, Labels, Lines, Record, ScriptFile, Sort, Step, SyntaxError};

/// The dialect.
pub(crate) struct Trivial;

impl Definition for Trivial {
    fn name(&self) -> &'static str {
        "trivial"
    }

    fn title(&self) -> &'static str {
        "the trivial dialect"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["trivial"]
    }

    fn words(&self) -> Words {
        Words { directives: &["ask", "do", "fail"], kinds: &[] }
    }

    fn layout(&self) -> &'static Layout {
        &Layout {
            ignores_blanks: false,
            first_line_is_sql: false,
            comments_in_results: false,
            comments_after_words: false,
            texts: &[],
            folds_results: false,
        }
    }

    fn kind(&self, directive: &[u8]) -> Kind {
        match directive {
            b"do" | b"fail" => Kind::Statement,
            b"ask" => Kind::Query,
            _ => Kind::Setting,
        }
    }

    fn form(&self) -> &'static Form {
        &Form { null: b"-", conversions: TEXTS, finish: bracket, adopt: unchanged, truth: None }
    }

    fn run<'a>(&self, _: &ScriptFile<'_>, text: &'a [u8], _: &'a Labels, stage: &mut dyn Stage<'a>) -> Option<String> {
        stage::run(records(text), stage);
        None
    }

    fn counts_columns(&self) -> bool {
        false
    }

    fn agrees(&self, result: &Comparison, rows: &Rows, lines: &Lines<'_>, row_wise: bool) -> bool {
        let returned = result.lines(rows, row_wise, false);
        returned.len() == lines.count() && returned.iter().zip(lines.iter()).all(|(a, b)| a.eq_ignore_ascii_case(b))
    }

    fn survey(&self, _: &ScriptFile<'_>, text: &[u8]) -> Result<Survey, SyntaxError> {
        survey::records(text, records(text))
    }

    fn rewriter(&self) -> Option<&dyn Rewriter> {
        Some(self)
    }
}

fn bracket(text: &mut Vec<u8>, start: usize) {
    text.insert(start, b'[');
    text.push(b']');
}

/// The records of a text, one at a time.
fn records<'a>(text: &'a [u8]) -> impl Iterator<Item = Result<Record<'a>, SyntaxError>> {
    let mut lines = Source::new(text);
    std::iter::from_fn(move || {
        let directive = lines.by_ref().find(|line| !line.text.is_empty())?;
        let number = lines.number();
        let body: Vec<&'a [u8]> =
            lines.by_ref().map(|line| line.text).take_while(|line: &&[u8]| !line.is_empty()).collect();
        Some(step(directive.text, &body, number).map(|step| Record::new(number, step)))
    })
}

fn step(directive: &[u8], body: &[&[u8]], line: u64) -> Result<Step<'static>, SyntaxError> {
    let mut parts = body.split(|line| *line == b"----");
    let sql = Cow::Owned(parts.next().unwrap_or_default().join(&b'\n'));
    let expected = parts.next().unwrap_or_default();
    let text = |line: &&[u8]| String::from_utf8_lossy(line).into_owned();
    match directive {
        b"do" => Ok(Step::Statement { sql, expect: Completion::Ok }),
        b"fail" => Ok(Step::Statement { sql, expect: Completion::Error(ExpectedError::Empty) }),
        b"ask" => {
            let lines = Lines::List(expected.iter().map(text).collect());
            let expect = Answer::Lines { lines, row_wise: true };
            Ok(Step::Query { sql, letters: Cow::Borrowed(b""), sort: Sort::None, label: None, expect })
        }
        other => {
            let words = text(&other);
            let words: Vec<&str> = words.split_whitespace().collect();
            let known = || SyntaxError::new(line, format!("unknown directive {}: do, fail or ask", quote(other)));
            Err(foreign::of_words(line, &words, Dialect::Trivial).unwrap_or_else(known))
        }
    }
}

impl Rewriter for Trivial {
    fn records<'a>(&self, _: &ScriptFile<'_>, text: &'a [u8], _: &'a Labels) -> Result<Vec<Record<'a>>, SyntaxError> {
        records(text).collect()
    }

    fn success(&self, writer: &Writer<'_>) -> Result<Vec<Edit>, String> {
        Ok(vec![Edit::new(writer.word(0)?, *b"do")])
    }

    fn error(
        &self,
        writer: &Writer<'_>,
        step: &Step<'_>,
        _: Option<&ExpectedError>,
        _: &EngineError,
        _: Style,
    ) -> Result<Vec<Edit>, String> {
        let mut edits = vec![Edit::new(writer.word(0)?, *b"fail")];
        if let Step::Query { .. } = step {
            edits.push(Edit::new(writer.place.sql_end..writer.place.end, []));
        }
        Ok(edits)
    }
}
