//! Checks that results under one label are the same: records whose lines differ cannot both pass.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use crate::script::SyntaxError;
use crate::script::source::shown;

/// What the records under each label expect.
#[derive(Default)]
pub(crate) struct Labels {
    uses: HashMap<Vec<u8>, Vec<Use>>,
}

struct Use {
    file: Option<Arc<str>>,
    line: u64,
    conditions: Vec<(bool, String)>,
    expected: Expected,
}

/// The expectation of a record, as far as it can be compared with another one.
#[derive(PartialEq, Eq)]
pub(crate) enum Expected {
    /// A line with a hash.
    Hash(Vec<u8>),
    /// All values, one after the other.
    Values(Vec<u8>),
}

/// How many different uses of one label are kept.
const MOST_USES: usize = 16;

impl Labels {
    /// Adds a record under a label. Returns an error if the record cannot pass where another one passes.
    pub(crate) fn add(
        &mut self,
        label: &[u8],
        (file, line): (Option<&Arc<str>>, u64),
        conditions: &[(bool, String)],
        expected: Expected,
    ) -> Option<SyntaxError> {
        let uses = self.uses.entry(label.to_vec()).or_default();
        // If one record runs, the other one runs too, provided that it requires no more.
        let asks_for_no_more = |a: &[(bool, String)], b: &[(bool, String)]| a.iter().all(|asked| b.contains(asked));
        let both_run = |other: &&Use| {
            asks_for_no_more(&other.conditions, conditions) || asks_for_no_more(conditions, &other.conditions)
        };
        let differ = |other: &&Use| match (&other.expected, &expected) {
            (Expected::Hash(a), Expected::Hash(b)) | (Expected::Values(a), Expected::Values(b)) => a != b,
            _ => false,
        };
        let other = uses.iter().filter(both_run).find(differ).map(|other| {
            let place = match &other.file {
                Some(path) => format!("`{}:{}`", shown(Path::new(&**path)), other.line),
                None => format!("line {}", other.line),
            };
            let label = String::from_utf8_lossy(label);
            let message = format!(
                "the label `{label}` is also that of {place}, which expects other values: results under one label \
                 must be the same, so the two cannot both pass"
            );
            SyntaxError { included_from: file.cloned(), ..SyntaxError::new(line, message) }
        });
        let conditions = conditions.to_vec();
        let is_new = uses.iter().all(|other| other.expected != expected || other.conditions != conditions);
        if is_new && uses.len() < MOST_USES {
            uses.push(Use { file: file.cloned(), line, conditions, expected });
        }
        other
    }
}

/// Whether a line represents a whole result.
pub(crate) fn is_hash(line: &[u8]) -> bool {
    memchr::memmem::find(line, b" values hashing to ").is_some()
}
