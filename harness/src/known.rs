//! Known failures: a list of files that are expected to fail, with reasons. While they fail as listed, the run stays green.
//!
//! ```toml
//! # The reasons are for readers; the entries are checked against every run.
//! [[known]]
//! path = "evidence/slt_lang_aggfunc.test"
//! engine = "sqlite"                # optional: the entry applies to this engine only
//! reason = "sum() of huge integers overflows"
//! records = [                      # optional: these records and no others may fail
//!   { sql = "5d41402abc4b2a76", line = 478 },
//! ]
//!
//! [[known]]
//! path = "index/view/10/slt_good_0.test"
//! reason = "no CASCADE"
//! failed = 1280                    # optional, instead of `records`: this many fail, whichever they are
//!
//! [[known]]
//! path = "random/*/slt_good_1*.test"
//! reason = "no windows yet"
//!
//! [[known]]
//! path = "ddl/drop.test"
//! reason = "dropping a view twice kills the server"
//! ends = "connection_lost"         # the script does not run to its end, for this reason
//! ```
//!
//! A listed file that fails is a `known failure`, and the run stays green. One that passes is an `unexpected pass` and
//! fails the run: its entry would hide the next failure. An entry covers scripts that run to their end; a script that
//! does not is a known failure only if its entry says so with `ends`. If several entries match, one with the full name
//! wins over globs, and then the first wins. A record is identified by the first 16 hex digits of its SQL's MD5; the
//! line distinguishes records with the same SQL, and otherwise only helps readers.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};

use crate::outcome::{CutShort, RecordId};

mod expectation;
mod judge;
#[cfg_attr(not(feature = "toml"), path = "known/no_list.rs")]
mod list;

pub use expectation::Expectation;
pub use judge::Judge;

/// A list of known failures, as stored in a file.
#[derive(Debug, Clone)]
pub struct KnownFailures {
    path: PathBuf,
    entries: Vec<Entry>,
}

/// One entry of the list.
#[derive(Debug, Clone)]
struct Entry {
    listed: Listed,
    pattern: Pattern,
    /// The line of the list where it begins, counted from 1.
    line: usize,
}

/// An entry as written in the file.
#[derive(Debug, Clone)]
struct Listed {
    path: String,
    engine: Option<String>,
    reason: String,
    records: Option<Vec<RecordId>>,
    failed: Option<u64>,
    ends: Option<CutShort>,
}

/// Why a list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KnownError {
    /// The program cannot read lists.
    #[error("this program was built without lists of known failures: switch on the feature `toml` of `slt-harness`")]
    MissingFeature,
    /// The file does not exist or cannot be read.
    #[error("cannot read the known failures `{path}`")]
    Read {
        /// The list.
        path: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The list cannot be used: it is not TOML, or an entry is wrong.
    #[error("{path}:{line}: {what}")]
    Format {
        /// The list.
        path: String,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong there, and what is expected.
        what: String,
    },
    /// Entries match no file, so they are out of date.
    #[error("{}", .0.join("\nerror: "))]
    Unmatched(Vec<String>),
    /// The list could not be written.
    #[error("cannot write the known failures `{path}`")]
    Write {
        /// The list.
        path: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// A first list would be written, but one exists.
    #[error("`{0}` already exists: `--ratchet` keeps a list up to date; delete it to start over")]
    Exists(String),
}

/// The error for a list that is wrong in this line.
fn unusable(path: &str, line: usize, what: &str) -> KnownError {
    KnownError::Format { path: path.to_owned(), line, what: what.to_owned() }
}

impl KnownFailures {
    /// Reads a list.
    ///
    /// # Errors
    /// The file cannot be read, or is not a valid list.
    pub fn read(path: &Path) -> Result<KnownFailures, KnownError> {
        let shown = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|source| KnownError::Read { path: shown.clone(), source })?;
        let entry = |(line, listed): (usize, Listed)| {
            if listed.records.is_some() && listed.failed.is_some() {
                return Err(unusable(&shown, line, "`records` and `failed` cannot both be given"));
            }
            let bad = |error: glob::PatternError| {
                unusable(&shown, line, &format!("`path`: `{}` is not a file pattern: {}", listed.path, error.msg))
            };
            let pattern = Pattern::new(&listed.path).map_err(bad)?;
            Ok(Entry { listed, pattern, line })
        };
        let entries = list::read(&text, &shown)?.into_iter().map(entry).collect::<Result<_, KnownError>>()?;
        Ok(KnownFailures { path: path.to_owned(), entries })
    }

    /// Checks the list against all files of the suite, not only those that match a filter. Returns a warning for each entry
    /// that has no effect on an engine with these names, because other entries take precedence for all files that it matches.
    ///
    /// # Errors
    /// Entries match no file. The error names each, or says so once if none of several entries matches.
    pub fn check<'n>(
        &self,
        names: impl IntoIterator<Item = &'n str>,
        engine: &[String],
    ) -> Result<Vec<String>, KnownError> {
        let mut unmatched: Vec<&Entry> = self.entries.iter().collect();
        let mut idle: Vec<&Entry> = self.entries.iter().filter(|entry| entry.is_for(engine)).collect();
        for name in names {
            unmatched.retain(|entry| !entry.matches(name));
            if let (Some(winner), false) = (self.entry(name, engine), idle.is_empty()) {
                idle.retain(|entry| !std::ptr::eq(*entry, winner));
            }
        }
        let path = self.path.display();
        // Usually the list of a target whose files were replaced by `--root`.
        if unmatched.len() > 1 && unmatched.len() == self.entries.len() {
            return Err(KnownError::Unmatched(vec![format!(
                "none of the {} known failures in `{path}` matches a file of this suite: \
                 `--known-failures` takes another list for these files, or an empty file",
                unmatched.len()
            )]));
        }
        if !unmatched.is_empty() {
            let message = |entry: &&Entry| {
                format!("no file matches the known failure `{}`, at {path}:{}", entry.listed.path, entry.line)
            };
            return Err(KnownError::Unmatched(unmatched.iter().map(message).collect()));
        }
        let warning = |entry: &Entry| {
            let winner = self.entry(&entry.listed.path, engine).filter(|winner| !std::ptr::eq(*winner, entry));
            let line = winner.map_or_else(String::new, |winner| format!(" (line {})", winner.line));
            format!(
                "the known failure `{}` has no effect, because other entries{line} win for its files, at {path}:{}",
                entry.listed.path, entry.line
            )
        };
        Ok(idle.into_iter().map(warning).collect())
    }

    /// A digest of the list; comments and the order of keys do not count.
    pub fn digest(&self) -> String {
        let listed = self.entries.iter().map(|entry| format!("{:?}\n", entry.listed)).collect::<String>();
        let count = match self.entries.len() {
            1 => "1 entry".to_owned(),
            count => format!("{count} entries"),
        };
        format!("{count}, {:08x}", crc32fast::hash(listed.as_bytes()))
    }

    /// The entry that applies to a file.
    fn entry(&self, name: &str, engine: &[String]) -> Option<&Entry> {
        let holds = |entry: &&Entry| entry.is_for(engine) && entry.matches(name);
        let whole = self.entries.iter().filter(|entry| entry.listed.path == name).find(holds);
        whole.or_else(|| self.entries.iter().find(holds))
    }
}

impl Entry {
    /// Whether it applies to an engine with these names.
    fn is_for(&self, engine: &[String]) -> bool {
        let matches = |wanted: &String| engine.iter().any(|name| name.eq_ignore_ascii_case(wanted));
        self.listed.engine.as_ref().is_none_or(matches)
    }

    fn matches(&self, name: &str) -> bool {
        let options = MatchOptions { require_literal_separator: true, ..MatchOptions::default() };
        self.listed.path == name || self.pattern.matches_with(name, options)
    }
}

#[cfg(all(test, feature = "toml"))]
mod tests;
