//! Decides in which dialect a test file is.

use std::path::Path;

use glob::Pattern;

use crate::dialect::Dialect;

/// The suffix of the file with new results that waits for a review next to a test file.
pub(crate) const WAITING: &str = ".new";

/// Whether a file of that name is one that `--bless=review` writes next to a test file. Such a file is never a test file.
pub(super) fn waits_for_review(name: &str) -> bool {
    name.ends_with(WAITING)
}

/// Decides in which dialects the files of a suite are.
#[derive(Debug, Clone, Default)]
pub(super) struct Dialects {
    /// The dialect of every file, whatever its name.
    pub(super) all: Option<Dialect>,
    /// Dialects by patterns of names; the last matching one counts.
    pub(super) rules: Vec<(String, Dialect)>,
}

impl Dialects {
    /// The dialect of the file with that name: the one for all files, that of the last matching rule, or that of the
    /// extension. Files with new results (`x.slt.new`) have no dialect.
    pub(super) fn of(&self, name: &str) -> Option<Dialect> {
        if waits_for_review(name) {
            return None;
        }
        self.chosen(name).or_else(|| Dialect::by_extension(Path::new(name)))
    }

    /// The dialect that the user chose for the file with that name, whatever its extension.
    pub(super) fn chosen(&self, name: &str) -> Option<Dialect> {
        let by_rule = || {
            let mut rules = self.rules.iter().rev();
            rules.find(|(pattern, _)| Pattern::new(pattern).is_ok_and(|pattern| pattern.matches(name)))
        };
        self.all.or_else(|| by_rule().map(|(_, dialect)| *dialect))
    }

    /// The first pattern that is malformed, and what is wrong with it.
    pub(super) fn malformed(&self) -> Option<(&str, String)> {
        let malformed = |pattern: &str| Pattern::new(pattern).err().map(|error| error.to_string());
        self.rules.iter().find_map(|(pattern, _)| malformed(pattern).map(|error| (pattern.as_str(), error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_beats_the_rules_and_these_beat_the_extension() {
        let mut dialects = Dialects::default();
        assert_eq!((dialects.of("a/x.test"), dialects.of("a/x.slt")), (Some(Dialect::Classic), Some(Dialect::Slt)));
        assert_eq!((dialects.of("X.TEST"), dialects.of("x.Slt")), (Some(Dialect::Classic), Some(Dialect::Slt)));
        assert_eq!(
            (dialects.of("a/x.duckdb.test"), dialects.of("X.DuckDB.Test")),
            (Some(Dialect::DuckDb), Some(Dialect::DuckDb))
        );
        assert_eq!((dialects.of("x.slt.part"), dialects.of("slt"), dialects.of("x.tests")), (None, None, None));
        dialects.rules = vec![("a/**".into(), Dialect::Slt), ("a/old/**".into(), Dialect::Classic)];
        assert_eq!(dialects.of("a/x.test"), Some(Dialect::Slt));
        assert_eq!(dialects.of("a/old/x.slt"), Some(Dialect::Classic), "the last rule counts");
        assert_eq!(dialects.of("b/x.test"), Some(Dialect::Classic));
        assert_eq!((dialects.of("a/x.test.new"), dialects.of("x.slt.new")), (None, None), "whatever the rules");
        dialects.all = Some(Dialect::Slt);
        assert_eq!((dialects.of("a/old/x.slt"), dialects.of("x.serial")), (Some(Dialect::Slt), Some(Dialect::Slt)));
        dialects.rules.push(("[".into(), Dialect::Slt));
        assert_eq!(dialects.malformed().map(|(pattern, _)| pattern), Some("["));
    }

    #[cfg(not(feature = "duckdb"))]
    #[test]
    fn without_the_feature_a_file_of_the_dialect_is_refused_and_read_by_no_other() {
        use crate::suite::Suite;

        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str| std::fs::write(folder.path().join(name), "statement ok\nSELECT 1\n").unwrap();
        write("a.test");
        let suite = Suite::new(folder.path());
        assert_eq!(suite.discover().unwrap().len(), 1);
        let refused = "which this program was built without: switch on the feature `duckdb` of `slt-harness`";
        let all = suite.clone().all_in(Dialect::DuckDb);
        write("b.duckdb.test");
        for error in [suite.discover().unwrap_err(), suite.find("b.duckdb.test").unwrap_err()] {
            assert!(error.to_string().ends_with(refused) && error.to_string().contains("b.duckdb.test"), "{error}");
        }
        assert!(all.find("a.test").unwrap_err().to_string().ends_with(refused));
        assert!("duckdb".parse::<Dialect>().unwrap_err().contains("the feature `duckdb`"));
        // An excluded file is not read.
        assert_eq!(suite.exclude(["*.duckdb.test"], "not built").discover().unwrap().len(), 2);
    }
}
