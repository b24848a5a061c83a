//! Incomplete records: those that do not yet say what they expect (`slt fill`).
//!
//! ```text
//! statement            becomes `statement ok` or `statement error`
//! query                gets its rows, and its letters, except in `.slt`, where letters are optional
//! query II             gets its rows, if nothing is below `----`, or there is no `----`
//! ```

use std::collections::BTreeMap;
use std::ops::Range;

use super::{Bless, Blessings, Correction, Draft, real};
use crate::dialect::outline::{Kind, parts};
use crate::dialect::rewrite::Edit;
use crate::dialect::{Dialect, Place};
use crate::outcome::Failure;
use crate::script::Record;

/// Which records `slt fill` writes. Without it, `--bless` writes all records that fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// Records that expect nothing yet.
    Missing,
    /// Also records that expect another result than the engine returned.
    All,
}

/// What is missing in a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Blank {
    /// Its rows.
    Rows,
    /// Its column letters and its rows. This range is a placeholder letter, so that the record can be parsed.
    Letters(Range<usize>),
    /// Whether a statement succeeds or fails. This range is the placeholder `ok`.
    Ending(Range<usize>),
}

impl Blank {
    /// The range of the placeholder.
    fn put_in(&self) -> Option<&Range<usize>> {
        match self {
            Blank::Rows => None,
            Blank::Letters(range) | Blank::Ending(range) => Some(range),
        }
    }

    /// Whether a record that passes with its placeholder must still be written to the file.
    pub(super) fn is_to_be_kept(&self) -> bool {
        self.put_in().is_some()
    }
}

/// What is missing in the records of a text, by their lines.
pub(super) type Blanks = BTreeMap<u64, Blank>;

/// Inserts placeholders so that all records of the text can be parsed. Also returns what is missing in each record. No line
/// moves.
pub(super) fn put_in(text: &[u8], dialect: Dialect) -> (Vec<u8>, Blanks) {
    let (mut whole, mut next) = (Vec::with_capacity(text.len()), 0);
    let mut blanks = Blanks::new();
    for part in parts(text, dialect) {
        let place: &Place = &part.place;
        let words = place.words(text);
        let is_alone = words.len() == 1;
        let is_error = words.get(1).is_some_and(|word| text[word.clone()] == *b"error");
        let mut put = |word: &str| {
            let at = words.first().map_or(place.directive.end, |first| first.end);
            whole.extend_from_slice(&text[next..at]);
            let start = whole.len();
            whole.extend_from_slice(word.as_bytes());
            next = at;
            start..whole.len()
        };
        let blank = match part.kind {
            Kind::Statement if is_alone => Blank::Ending(put(" ok")),
            Kind::Query if !place.lines.is_empty() || is_error => continue,
            Kind::Query if is_alone && dialect.definition().needs_letters() => Blank::Letters(put(" T")),
            Kind::Query => Blank::Rows,
            _ => continue,
        };
        blanks.insert(part.line, blank);
    }
    whole.extend_from_slice(&text[next..]);
    (whole, blanks)
}

/// The edits that remove the placeholders from the records for which `is_left` returns true.
pub(super) fn taken_out(blanks: &Blanks, is_left: impl Fn(u64) -> bool) -> Vec<Edit> {
    let left = blanks.iter().filter(|(line, _)| is_left(**line));
    left.filter_map(|(_, blank)| blank.put_in()).map(|range| Edit::new(range.clone(), [])).collect()
}

const EXPECTS: &str = "it expects something already: `slt fill --all` rewrites that too";

impl Blessings {
    /// The text of the script to run: if records are filled, with placeholders where a record could not be parsed otherwise.
    pub(in crate::trial) fn prepare(&mut self, text: Vec<u8>) -> Vec<u8> {
        if self.bless.fill.is_none() {
            return text;
        }
        let draft = Draft::of(real(&self.script, &self.root), text, self.dialect, self.bless);
        let prepared = draft.text.clone();
        self.names.insert(None, self.drafts.len());
        self.drafts.push(draft);
        prepared
    }

    /// A record has passed with its placeholder, which is not in the file. Returns whether the placeholder will be written.
    /// `failure` is shown if it cannot be.
    pub(in crate::trial) fn fill(&mut self, record: &Record<'_>, failure: &Failure) -> bool {
        if self.bless.fill.is_none() {
            return false;
        }
        let draft = self.draft(record);
        draft.blanks.get(&record.line).is_some_and(Blank::is_to_be_kept)
            && draft.correct(record, Vec::new(), failure).is_ok()
    }

    /// Whether a record may be rewritten to expect `correction`.
    ///
    /// # Errors
    /// Why not, as a fragment.
    pub(super) fn may_correct(&mut self, record: &Record<'_>, correction: &Correction) -> Result<(), String> {
        let Bless { errors, fill, .. } = self.bless;
        let blank = fill.and_then(|_| self.draft(record).blanks.get(&record.line).cloned());
        match (correction, &blank) {
            (Correction::Edits(_), _) => Ok(()),
            (_, None) if fill == Some(Fill::Missing) => Err(EXPECTS.to_owned()),
            (Correction::Error(_), Some(Blank::Ending(_))) => Ok(()),
            (Correction::Error(_), _) if !errors => {
                Err("it ends with an error, which only `--bless-errors` writes down".to_owned())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_is_found_and_can_be_read() {
        let text = "# x\nstatement # why\nA\n\nquery\nB\n\nquery II rowsort\nC\n----\n\nquery I\nD\n----\n1\n\n\
                    statement ok\nE\n\nstatement error\nF\n";
        let (whole, blanks) = put_in(text.as_bytes(), Dialect::Classic);
        let whole = String::from_utf8(whole).unwrap();
        assert_eq!(whole, text.replace("statement #", "statement ok #").replace("query\n", "query T\n"));
        assert_eq!(blanks.keys().copied().collect::<Vec<_>>(), [2, 5, 8]);
        let edits = taken_out(&blanks, |_| true);
        assert_eq!(super::super::edit::apply(whole.as_bytes(), 0..whole.len(), &edits), text.as_bytes());
        let (_, blanks) = put_in(b"query\nA\n\nquery error\nB\n", Dialect::Slt);
        assert_eq!(blanks, Blanks::from([(1, Blank::Rows)]));
    }
}
