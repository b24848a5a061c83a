//! Identifies records in lists that remain valid when the file changes.

use std::fmt::Write as _;

use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

/// A record id identifies a record of a file by its text and its line.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordId {
    /// The first 16 hex digits of the MD5 of its SQL.
    pub sql: String,
    /// Its last known line, counted from 1; 0 if unknown.
    #[serde(default)]
    pub line: u64,
}

impl RecordId {
    /// The id of the record with this text in this line.
    pub fn new(text: impl AsRef<[u8]>, line: u64) -> Self {
        let digest = Md5::digest(text);
        let mut sql = String::with_capacity(16);
        for byte in &digest[..8] {
            let _ = write!(sql, "{byte:02x}");
        }
        RecordId { sql, line }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_start_of_the_md5() {
        assert_eq!(RecordId::new("hello", 7), RecordId { sql: "5d41402abc4b2a76".into(), line: 7 });
    }
}
