//! Reads a list from its text; the submodule `edit` changes it.

use std::ops::Range;

use serde::Deserialize;
use serde_spanned::Spanned;
use toml_edit::de;

use super::{KnownError, Listed};

mod edit;

/// The whole file as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    #[serde(default)]
    known: Vec<Spanned<Listed>>,
}

/// The entries of the list at `path`, each with its line, counted from 1.
pub(super) fn read(text: &str, path: &str) -> Result<Vec<(usize, Listed)>, KnownError> {
    let unusable = |source: de::Error| KnownError::Format { path: path.to_owned(), source: Box::new(source) };
    let list: List = de::from_str(text).map_err(unusable)?;
    Ok(list.known.into_iter().map(|entry| (line_of(text, entry.span()), entry.into_inner())).collect())
}

fn line_of(text: &str, span: Range<usize>) -> usize {
    1 + text.as_bytes()[..span.start].iter().filter(|byte| **byte == b'\n').count()
}
