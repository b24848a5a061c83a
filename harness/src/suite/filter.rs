//! Which of the files a run is about, by libtest's rules.

use super::TestFile;

/// A filter is the positional arguments, `--skip` and `--exact` of a libtest command line.
///
/// A file is in if one of `patterns` (or none are given) and none of `skips` matches its name or its Rust path: by
/// substring, or wholly if `exact`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Any of these lets a file in; an empty list lets all in.
    pub patterns: Vec<String>,
    /// Any of these keeps a file out.
    pub skips: Vec<String>,
    /// Whether patterns are whole names.
    pub exact: bool,
}

impl Filter {
    /// Whether the filter lets this file in.
    pub fn lets_in(&self, file: &TestFile) -> bool {
        (self.patterns.is_empty() || self.patterns.iter().any(|pattern| self.matches(pattern, file)))
            && !self.skips.iter().any(|pattern| self.matches(pattern, file))
    }

    fn matches(&self, pattern: &str, file: &TestFile) -> bool {
        if self.exact {
            file.name == pattern || file.rust_path == pattern
        } else {
            file.name.contains(pattern) || file.rust_path.contains(pattern)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lets_in(patterns: &[&str], skips: &[&str], exact: bool) -> bool {
        let file = TestFile {
            name: "evidence/in1.test".into(),
            rust_path: "evidence::in1_test".into(),
            path: "r/evidence/in1.test".into(),
            root: "r".into(),
            planned: None,
            dialect: crate::suite::Dialect::Classic,
        };
        let own = |list: &[&str]| list.iter().map(|&pattern| pattern.to_owned()).collect();
        Filter { patterns: own(patterns), skips: own(skips), exact }.lets_in(&file)
    }

    #[test]
    fn either_name_matches_any_pattern_and_a_skip_wins() {
        assert!(lets_in(&[], &[], false));
        assert!(lets_in(&["nothing", "in1"], &[], false));
        assert!(lets_in(&["evidence::in1"], &[], false));
        assert!(!lets_in(&["nothing"], &[], false));
        assert!(!lets_in(&["in1"], &["evidence/"], false));
        assert!(lets_in(&["evidence/in1.test"], &["evidence"], true));
        assert!(lets_in(&["evidence::in1_test"], &[], true));
        assert!(!lets_in(&["in1.test"], &[], true));
    }
}
