//! The dialects of test files: by which rules a script is read, run, checked and rewritten.
//!
//! [`classic`] (`.test`) is read as SQLite's own runner reads it, [`slt`] (`.slt`) as the `sqllogictest` crate does, and
//! [`duckdb`] as DuckDB's. The first two yield [`Record`](crate::script::Record)s; a script of the third has loops, and
//! is walked step by step.

use std::path::Path;
use std::str::FromStr;

pub mod classic;
pub mod duckdb;
mod foreign;
pub mod outline;
mod place;
pub mod slt;

pub use place::Place;

/// A dialect is the set of rules by which a script is read and its results are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// SQLite's original format, `.test`: bytes, one value a line, values formatted by letters.
    Classic,
    /// The `sqllogictest` crate's format, `.slt`: UTF-8, one row a line, white space folded.
    Slt,
    /// DuckDB's format, `.duckdb.test`: UTF-8, loops, values compared by the types of their columns.
    DuckDb,
}

impl Dialect {
    /// All dialects.
    pub const ALL: [Dialect; 3] = [Dialect::Classic, Dialect::Slt, Dialect::DuckDb];

    /// The name by which flags and settings know it.
    pub fn name(self) -> &'static str {
        match self {
            Dialect::Classic => "classic",
            Dialect::Slt => "slt",
            Dialect::DuckDb => "duckdb",
        }
    }

    /// The dialect that a file's extension stands for, in capitals or not, if it stands for one.
    pub fn by_extension(path: &Path) -> Option<Dialect> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "test" if path.file_stem()?.to_str()?.to_ascii_lowercase().ends_with(".duckdb") => Some(Dialect::DuckDb),
            "test" => Some(Dialect::Classic),
            "slt" => Some(Dialect::Slt),
            _ => None,
        }
    }
}

impl std::fmt::Display for Dialect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Dialect {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Dialect::ALL.into_iter().find(|dialect| dialect.name() == name).ok_or_else(|| {
            let names: Vec<&str> = Dialect::ALL.into_iter().map(Dialect::name).collect();
            format!("unknown dialect `{name}`: {}", names.join(" or "))
        })
    }
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_others_are_refused_with_those_that_there_are() {
        for dialect in Dialect::ALL {
            assert_eq!(dialect.to_string().parse(), Ok(dialect));
        }
        assert_eq!("Slt".parse::<Dialect>(), Err("unknown dialect `Slt`: classic or slt or duckdb".into()));
    }
}
