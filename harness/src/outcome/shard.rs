//! A suite that is split over machines before the run.

use std::fmt::{self, Write};
use std::str::FromStr;

use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

/// A shard is one part of a suite whose files are split over machines. Its text is `2/4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Shard {
    /// Its number, counted from 1.
    pub index: u32,
    /// The number of shards.
    pub of: u32,
}

impl Shard {
    /// The maximum number of shards.
    pub const MOST: u32 = 1024;
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

/// Why a text is not a shard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShardError {
    /// The text is not two numbers.
    #[error("not a shard such as `2/4`, the second of four")]
    Form,
    /// Shards are counted from 1.
    #[error("there is no shard {index} of {of}: shards are counted from 1 to {of}")]
    Index {
        /// The first number.
        index: u32,
        /// The second number.
        of: u32,
    },
    /// A suite has at least one part, and not more than the maximum.
    #[error("a suite is shared out over 1 to {most} shards, not {0}", most = Shard::MOST)]
    Count(u32),
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        // Only digits: the standard parser accepts a `+`, too.
        let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => text.parse::<u32>().map_err(|_| ShardError::Form),
            false => Err(ShardError::Form),
        };
        let (index, of) = text.split_once('/').ok_or(ShardError::Form)?;
        let (index, of) = (number(index)?, number(of)?);
        if of == 0 || of > Shard::MOST {
            return Err(ShardError::Count(of));
        }
        if index == 0 || index > of {
            return Err(ShardError::Index { index, of });
        }
        Ok(Shard { index, of })
    }
}

/// A split is a whole suite with the files of each of its shards.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Split {
    /// How many files all shards have together.
    pub files: u64,
    /// The MD5, in hex, of the names of all of them, sorted, each followed by a line feed.
    pub hash: String,
    /// The names of each shard's files, sorted; shard 1 comes first.
    pub shards: Vec<Vec<String>>,
}

impl Split {
    /// The split with these files in each shard.
    pub fn new(mut shards: Vec<Vec<String>>) -> Self {
        shards.iter_mut().for_each(|names| names.sort_unstable());
        let mut split = Split { files: 0, hash: String::new(), shards };
        (split.files, split.hash) = split.measure();
        split
    }

    /// The names of one shard's files; empty if there is no such shard.
    pub fn part(&self, shard: Shard) -> &[String] {
        let index = (shard.index as usize).checked_sub(1);
        index.and_then(|index| self.shards.get(index)).map_or(&[], Vec::as_slice)
    }

    /// Whether each file is in one shard, and number and hash match the files.
    pub fn is_intact(&self) -> bool {
        let names = self.names();
        names.windows(2).all(|pair| pair[0] != pair[1]) && self.measure() == (self.files, self.hash.clone())
    }

    /// The names of all files, sorted.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.shards.iter().flatten().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    fn measure(&self) -> (u64, String) {
        let names = self.names();
        let mut md5 = Md5::new();
        for name in &names {
            md5.update(name);
            md5.update(b"\n");
        }
        let hash = md5.finalize().iter().fold(String::with_capacity(32), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        (names.len() as u64, hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(shards: &[&[&str]]) -> Split {
        Split::new(shards.iter().map(|names| names.iter().map(|&name| name.to_owned()).collect()).collect())
    }

    #[test]
    fn a_shard_is_within_the_number_of_shards() {
        assert_eq!("2/4".parse(), Ok(Shard { index: 2, of: 4 }));
        assert_eq!("1/1".parse::<Shard>().unwrap().to_string(), "1/1");
        for (text, error) in [
            ("0/3", ShardError::Index { index: 0, of: 3 }),
            ("4/3", ShardError::Index { index: 4, of: 3 }),
            ("1/0", ShardError::Count(0)),
            ("1/1025", ShardError::Count(1025)),
        ] {
            assert_eq!(text.parse::<Shard>(), Err(error), "{text}");
        }
        for text in ["x", "", "1", "/", "1/", "/2", "1/2/3", "+1/2", "-1/2", " 1/2", "1/2 ", "1/99999999999", "½"] {
            assert_eq!(text.parse::<Shard>(), Err(ShardError::Form), "{text}");
        }
    }

    #[test]
    fn the_hash_is_the_one_documented_and_covers_files_but_not_shards() {
        // printf 'a.test\nb.test\n' | md5sum
        let one = split(&[&["b.test"], &["a.test"]]);
        assert_eq!((one.files, one.hash.as_str()), (2, "be7c9b6f89519034185484e9590841ef"));
        assert_eq!(split(&[&["b.test", "a.test"], &[]]).hash, one.hash);
        assert_ne!(split(&[&["a.test"], &["c.test"]]).hash, one.hash);
        assert_eq!(one.part(Shard { index: 2, of: 2 }), ["a.test"]);
        assert!(one.part(Shard { index: 3, of: 3 }).is_empty() && one.part(Shard { index: 0, of: 2 }).is_empty());
    }

    #[test]
    fn an_inconsistent_split_is_detected() {
        let whole = split(&[&["a"], &["b"]]);
        assert!(whole.is_intact());
        assert!(!split(&[&["a"], &["a"]]).is_intact(), "one file in two shards");
        assert!(!Split { files: 3, ..whole.clone() }.is_intact());
        assert!(!Split { shards: vec![vec!["a".into()], vec![]], ..whole }.is_intact());
    }
}
