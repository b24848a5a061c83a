//! The dialects of test files: the rules by which a script is read, run, checked and rewritten.
//!
//! Everything that a dialect decides is its [`Definition`](definition::Definition), in a folder of its own. A new dialect is
//! such a folder and one line in the registry below. Nothing outside of this module asks which dialect a script is in: it
//! asks the [definition](Dialect::definition).
//!
//! [`classic`] (`.test`) is read as SQLite's own runner reads it, [`slt`] (`.slt`) as the `sqllogictest` crate does, and
//! [`duckdb`] as DuckDB's. The first two yield [`Record`](crate::script::Record)s; a script of the third has loops, and
//! is walked step by step.

use std::path::Path;
use std::str::FromStr;

pub mod classic;
pub(crate) mod comparison;
pub(crate) mod complaint;
pub(crate) mod definition;
#[cfg_attr(not(feature = "duckdb"), path = "dialect/no_duckdb.rs")]
pub mod duckdb;
mod duckdb_name;
mod foreign;
pub mod outline;
mod place;
pub(crate) mod rewrite;
pub mod slt;
pub(crate) mod stage;
pub(crate) mod survey;
mod tags;
#[cfg(test)]
mod trivial;
// Which of its items are used depends on the compiled engines.
#[cfg_attr(not(all(feature = "sqlite", feature = "external")), allow(dead_code))]
pub(crate) mod values;

pub(crate) use definition::Definition;
pub use place::Place;
pub use tags::Tags;

/// Makes the registry: each dialect's name in the program, and its definition.
macro_rules! registry {
    ($($(#[doc = $doc:literal])* $(#[cfg($when:meta)])? $name:ident => $definition:expr,)*) => {
        /// A dialect is the set of rules by which a script is read and its results are compared.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Dialect {
            $($(#[doc = $doc])* $(#[cfg($when)])? $name,)*
        }

        impl Dialect {
            /// All dialects.
            pub const ALL: &'static [Dialect] = &[$($(#[cfg($when)])? Dialect::$name,)*];

            /// The dialect's rules.
            pub(crate) fn definition(self) -> &'static dyn Definition {
                match self {
                    $($(#[cfg($when)])? Dialect::$name => &$definition,)*
                }
            }
        }
    };
}

registry! {
    /// SQLite's original format, `.test`: bytes, one value a line, values formatted by letters.
    Classic => classic::Classic,
    /// The `sqllogictest` crate's format, `.slt`: UTF-8, one row a line, white space folded.
    Slt => slt::Slt,
    /// DuckDB's format, `.duckdb.test`: UTF-8, loops, values compared by the types of their columns.
    DuckDb => duckdb::DuckDb,
    /// A dialect of the tests, which shows what a new one needs.
    #[cfg(test)]
    Trivial => trivial::Trivial,
}

impl Dialect {
    /// The dialect's name in flags and settings.
    pub fn name(self) -> &'static str {
        self.definition().name()
    }

    /// The names of all dialects, for messages: `` `classic`, `slt` or `duckdb` ``.
    pub(crate) fn names(conjunction: &str) -> String {
        listed(Dialect::ALL.iter().map(|dialect| format!("`{dialect}`")), conjunction)
    }

    /// The extensions of all dialects, for messages: `` `.test`, `.slt` or `.duckdb.test` ``.
    pub(crate) fn all_extensions() -> String {
        let extensions = Dialect::ALL.iter().flat_map(|dialect| dialect.definition().extensions());
        listed(extensions.map(|extension| format!("`.{extension}`")), "or")
    }

    /// The help of the flag `--dialect`.
    pub(crate) fn help() -> String {
        format!("The dialect by which every file is read, whatever its extension: {}", Dialect::names("or"))
    }

    /// The feature of this crate that the dialect needs, if the program was built without it. Its files still belong to it
    /// then, so that no other dialect reads them.
    pub(crate) fn missing_feature(self) -> Option<&'static str> {
        self.definition().missing_feature()
    }

    /// The dialect of a file, by the file's extension in any letter case; `None` if no dialect has that extension.
    pub fn by_extension(path: &Path) -> Option<Dialect> {
        Dialect::by_longest_extension(path).map(|(dialect, _)| dialect)
    }

    /// The dialect of a file, by the file's extension, and the length of that extension without its dot.
    pub(crate) fn by_longest_extension(path: &Path) -> Option<(Dialect, usize)> {
        // A file whose whole name is an extension, such as `.test`, has no extension.
        path.extension()?;
        let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
        let fits = |extension: &&&str| name.strip_suffix(**extension).is_some_and(|stem| stem.ends_with('.'));
        let longest = |dialect: Dialect| {
            dialect.definition().extensions().iter().filter(fits).map(|extension| extension.len()).max()
        };
        let all = Dialect::ALL.iter().filter_map(|dialect| Some((*dialect, longest(*dialect)?)));
        all.max_by_key(|(_, length)| *length)
    }
}

fn listed(items: impl Iterator<Item = String>, conjunction: &str) -> String {
    let items: Vec<String> = items.collect();
    let (last, others) = items.split_last().expect("there are dialects");
    format!("{} {conjunction} {last}", others.join(", "))
}

impl std::fmt::Display for Dialect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Dialect {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let named = Dialect::ALL.iter().copied().find(|dialect| dialect.name() == name);
        let dialect = named.ok_or_else(|| format!("unknown dialect `{name}`: there are {}", Dialect::names("and")))?;
        match dialect.missing_feature() {
            Some(feature) => Err(format!(
                "this program was built without the dialect `{name}`: switch on the feature `{feature}` of `slt-harness`"
            )),
            None => Ok(dialect),
        }
    }
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_others_are_refused_with_those_that_there_are() {
        for dialect in Dialect::ALL.iter().copied() {
            assert_eq!(dialect.to_string().parse(), Ok(dialect));
        }
        assert_eq!(
            "Slt".parse::<Dialect>(),
            Err("unknown dialect `Slt`: there are `classic`, `slt`, `duckdb` and `trivial`".into())
        );
    }

    #[test]
    fn the_longest_extension_decides_and_a_name_alone_is_none() {
        let of = |name: &str| Dialect::by_extension(Path::new(name));
        assert_eq!((of("a.test"), of("a.duckdb.test")), (Some(Dialect::Classic), Some(Dialect::DuckDb)));
        assert_eq!((of("duckdb.test"), of("aduckdb.test")), (Some(Dialect::Classic), Some(Dialect::Classic)));
        assert_eq!((of(".duckdb.test"), of(".test"), of("test")), (Some(Dialect::DuckDb), None, None));
    }

    #[test]
    fn names_and_extensions_are_different() {
        let all = || Dialect::ALL.iter().map(|dialect| dialect.definition());
        let mut names: Vec<&str> = all().map(|dialect| dialect.name()).collect();
        let mut extensions: Vec<&str> = all().flat_map(|dialect| dialect.extensions()).copied().collect();
        for words in [&mut names, &mut extensions] {
            words.sort_unstable();
            let count = words.len();
            words.dedup();
            assert_eq!(words.len(), count, "{words:?}");
        }
    }
}
