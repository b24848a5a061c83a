//! Continues after an error, so that one check reports more than the first error of a file.

use crate::dialect::Dialect;
use crate::script::{SyntaxError, source};

/// How many errors of one file are reported.
const MOST_ERRORS: usize = 20;

/// Reads a text by `survey`. If the text breaks a rule, reads it again without the record that breaks the rule.
///
/// It stops if removing the record would change how the rest is read.
pub(super) fn read<T>(
    text: &[u8],
    dialect: Dialect,
    survey: impl Fn(&[u8]) -> Result<T, SyntaxError>,
) -> (Vec<SyntaxError>, Option<T>) {
    let mut errors: Vec<SyntaxError> = Vec::new();
    let mut text = std::borrow::Cow::Borrowed(text);
    loop {
        let error = match survey(&text) {
            Ok(survey) => return (errors, Some(survey)),
            Err(error) => error,
        };
        // If one thing belongs to another dialect, the whole file most likely does.
        let is_last = error.included_from.is_some() || !error.known_to.is_empty() || errors.len() + 1 == MOST_ERRORS;
        let rest = if is_last { None } else { without_record(&text, error.line, dialect) };
        errors.push(error);
        match rest {
            Some(rest) => text = std::borrow::Cow::Owned(rest),
            None => return (errors, None),
        }
    }
}

/// The text with the record around this line replaced by empty lines; `None` if the lines are not a single record.
fn without_record(text: &[u8], line: u64, dialect: Dialect) -> Option<Vec<u8>> {
    let lines: Vec<source::Line<'_>> = source::Lines::new(text).collect();
    let at = usize::try_from(line).ok()?.checked_sub(1).filter(|at| *at < lines.len())?;
    let layout = dialect.definition().layout();
    let separates = |line: &source::Line<'_>| layout.separates(line);
    let start = lines[..at].iter().rposition(separates).map_or(0, |above| above + 1);
    let end = lines[at..].iter().position(separates).map_or(lines.len(), |below| at + below);
    let words = |line: &source::Line<'_>| {
        line.text.split(u8::is_ascii_whitespace).find(|word| !word.is_empty()).unwrap_or_default().to_vec()
    };
    let mut directives = lines[start..end].iter().map(words).filter(|word| !word.starts_with(b"#"));
    let directive = directives.find(|word| !matches!(&**word, b"skipif" | b"onlyif" | b"connection"))?;
    if !matches!(&*directive, b"statement" | b"query" | b"system" | b"let") {
        return None;
    }
    let mut rest = Vec::with_capacity(text.len());
    for (index, part) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        match (start..end).contains(&index) {
            true => rest.extend(part.ends_with(b"\n").then_some(b'\n')),
            false => rest.extend_from_slice(part),
        }
    }
    (rest != text).then_some(rest)
}
