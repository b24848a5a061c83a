//! How a record of the dialect is rewritten.

use sqllogictest::default_normalizer;

use super::definition::Slt;
use super::parse;
use crate::dialect::rewrite::{Edit, Rewriter, Style, Writer};
use crate::exchange::EngineError;
use crate::script::{ExpectedError, Labels, Record, ScriptFile, Step, SyntaxError};

impl Rewriter for Slt {
    fn records<'a>(
        &self,
        script: &ScriptFile<'_>,
        text: &'a [u8],
        labels: &'a Labels,
    ) -> Result<Vec<Record<'a>>, SyntaxError> {
        parse(text, labels, script.path, script.root)
    }

    fn success(&self, writer: &Writer<'_>) -> Result<Vec<Edit>, String> {
        let directive = writer.directive(1, b"ok".to_vec())?;
        Ok(vec![directive, Edit::new(writer.place.sql_end..writer.place.end, [])])
    }

    fn error(
        &self,
        writer: &Writer<'_>,
        _: &Step<'_>,
        expected: Option<&ExpectedError>,
        error: &EngineError,
        style: Style,
    ) -> Result<Vec<Edit>, String> {
        let message = error.message.trim();
        let section = Edit::new(writer.place.sql_end..writer.place.end, []);
        let sqlstate = error.sqlstate.as_ref().filter(|_| matches!(expected, Some(ExpectedError::SqlState(_))));
        if let (Some(sqlstate), Style::Keeping) = (sqlstate, style) {
            return Ok(vec![writer.directive(1, format!("error ({sqlstate})").into_bytes())?, section]);
        }
        let as_text = matches!(expected, Some(ExpectedError::Multiline(_))) || message.lines().count() > 1;
        // A directive with a `retry` clause has no room for a pattern.
        if writer.retry || (as_text && style == Style::Keeping) {
            let lines: Vec<Vec<u8>> = message.lines().map(|line| line.as_bytes().to_vec()).collect();
            let section = writer.section(&lines, 2 - writer.place.blank_after.min(2));
            return Ok(vec![writer.directive(1, b"error".to_vec())?, section]);
        }
        Ok(vec![writer.directive(1, format!("error {}", pattern(message)).trim_end().into())?, section])
    }
}

/// A pattern that matches this error, on one line.
fn pattern(message: &str) -> String {
    let ExpectedError::Inline(regex) = ExpectedError::from_actual_error(None, &default_normalizer(&message.to_owned()))
    else {
        return String::new();
    };
    match default_normalizer(&message.to_owned()) == message {
        true => regex.to_string(),
        // The words of a directive are parsed as if one blank separated them.
        false => regex.to_string().split(' ').collect::<Vec<_>>().join(r"\s+"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_their_errors_and_are_on_one_line() {
        assert_eq!(pattern("no such table: t"), "no such table: t");
        assert_eq!(pattern("near \"(\": syntax"), r#"near "\(": syntax"#);
        assert_eq!(pattern("two\n  lines"), r"two\s+lines");
        assert_eq!(pattern(""), "");
    }
}
