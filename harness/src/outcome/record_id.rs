//! Identifies records in lists that remain valid when the file changes.

use std::fmt::Write as _;

use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

/// A record id identifies a record of a file by its text and its line.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RecordId {
    /// The first 16 hex digits of the MD5 of its SQL.
    pub sql: String,
    /// Its last known line, counted from 1; 0 if unknown.
    #[serde(default)]
    pub line: u64,
    /// The variables of the loops around it, as in `i=3, t=INTEGER`; empty outside of loops.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pass: String,
}

impl RecordId {
    /// The id of the record with this text in this line.
    pub fn new(text: impl AsRef<[u8]>, line: u64) -> Self {
        RecordId::in_pass(text, line, "")
    }

    /// The id of the record with this text in this line, in one pass of the loops around it. Different passes have
    /// different ids, even if their SQL is the same: the pass is part of the hash.
    pub fn in_pass(text: impl AsRef<[u8]>, line: u64, pass: &str) -> Self {
        let mut hasher = Md5::new();
        hasher.update(text);
        if !pass.is_empty() {
            hasher.update([0]);
            hasher.update(pass);
        }
        let digest = hasher.finalize();
        let mut sql = String::with_capacity(16);
        for byte in &digest[..8] {
            let _ = write!(sql, "{byte:02x}");
        }
        RecordId { sql, line, pass: pass.to_owned() }
    }
}

impl std::fmt::Display for RecordId {
    /// The line, and the pass if there is one: `5 (i=3)`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.pass.as_str() {
            "" => write!(f, "{}", self.line),
            pass => write!(f, "{} ({pass})", self.line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_start_of_the_md5() {
        let plain = RecordId { sql: "5d41402abc4b2a76".into(), line: 7, pass: String::new() };
        assert_eq!((RecordId::new("hello", 7), plain.to_string()), (plain, "7".to_owned()));
    }

    #[test]
    fn each_pass_of_a_loop_has_an_id_of_its_own() {
        let pass = |pass| RecordId::in_pass("hello", 7, pass);
        assert_ne!(pass("i=1").sql, pass("i=2").sql);
        assert_eq!((pass("i=1").to_string(), pass("")), ("7 (i=1)".to_owned(), RecordId::new("hello", 7)));
        let json = serde_json::to_string(&pass("i=1")).unwrap();
        assert_eq!(serde_json::from_str::<RecordId>(&json).unwrap(), pass("i=1"));
    }
}
