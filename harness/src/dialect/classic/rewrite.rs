//! How a record of the dialect is rewritten.

use super::Parser;
use super::definition::Classic;
use crate::dialect::rewrite::{Edit, Rewriter, Style, Writer};
use crate::exchange::EngineError;
use crate::script::{ExpectedError, Labels, Record, ScriptFile, Step, SyntaxError};

impl Rewriter for Classic {
    fn records<'a>(
        &self,
        _: &ScriptFile<'_>,
        text: &'a [u8],
        labels: &'a Labels,
    ) -> Result<Vec<Record<'a>>, SyntaxError> {
        Parser::new(text, labels).collect()
    }

    fn records_until_error<'a>(
        &self,
        _: &ScriptFile<'_>,
        text: &'a [u8],
        labels: &'a Labels,
    ) -> Option<(Vec<Record<'a>>, Option<String>)> {
        let mut end = None;
        let records = Parser::new(text, labels);
        let records = records.map_while(|record| record.map_err(|error| end = Some(error.message)).ok()).collect();
        Some((records, end))
    }

    fn success(&self, writer: &Writer<'_>) -> Result<Vec<Edit>, String> {
        Ok(vec![Edit::new(writer.word(1)?, *b"ok")])
    }

    fn error(
        &self,
        writer: &Writer<'_>,
        step: &Step<'_>,
        _: Option<&ExpectedError>,
        _: &EngineError,
        _: Style,
    ) -> Result<Vec<Edit>, String> {
        if let Step::Statement { .. } = step {
            return Ok(vec![Edit::new(writer.word(1)?, *b"error")]);
        }
        let mut edits = vec![writer.directive(0, b"statement error".to_vec())?];
        let lines = writer.place.delimiter.iter().chain(&writer.place.lines);
        edits.extend(lines.map(|line| writer.without(line)));
        Ok(edits)
    }
}
