//! Selects the files of a run, by libtest's rules.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::rust_path::rust_path;
use super::{At, TestFile};

/// A filter is the positional arguments, `--skip` and `--exact` of a libtest command line.
///
/// A file is selected if one of `patterns` matches its name or its Rust path (or there are no patterns), and none of
/// `skips` does. They match by substring, by pattern (`join*.slt`, `select/??.test`; `*` matches `/` too), or as a whole if
/// `exact`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// A file is selected if one of these matches; an empty list selects all files.
    #[serde(rename = "filters", default, skip_serializing_if = "Vec::is_empty")]
    pub patterns: Vec<String>,
    /// A file is not selected if one of these matches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skips: Vec<String>,
    /// Whether patterns are compared with whole names.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exact: bool,
}

impl Filter {
    /// A filter as the user types it: patterns that begin with `!` exclude files.
    pub fn new(typed: Vec<String>, skips: Vec<String>, exact: bool) -> Self {
        let (out, patterns): (Vec<String>, Vec<String>) = typed.into_iter().partition(|typed| typed.starts_with('!'));
        let skips = skips.into_iter().chain(out.into_iter().map(|typed| typed[1..].to_owned())).collect();
        Filter { patterns, skips, exact }
    }

    /// Whether the filter selects this file.
    pub fn lets_in(&self, file: &TestFile) -> bool {
        self.admits(&file.name, &file.rust_path)
    }

    /// Whether the filter selects a file of this name, if there is one.
    pub fn lets_in_name(&self, name: &str) -> bool {
        self.admits(name, &rust_path(name))
    }

    /// Whether the filter selects every file.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty() && self.skips.is_empty()
    }

    fn admits(&self, name: &str, rust_path: &str) -> bool {
        let matches = |pattern: &String| match self.exact {
            true => name == pattern || rust_path == pattern,
            false => contains(name, pattern) || contains(rust_path, pattern),
        };
        (self.patterns.is_empty() || self.patterns.iter().any(matches)) && !self.skips.iter().any(matches)
    }
}

/// Whether a name contains a filter. If the filter is a pattern: whether it matches the name from the start or from after a
/// `/` to the end.
fn contains(name: &str, filter: &str) -> bool {
    if name.contains(filter) {
        return true;
    }
    if !filter.contains(['*', '?', '[']) {
        return false;
    }
    let Ok(pattern) = glob::Pattern::new(filter) else { return false };
    let tails = name.match_indices('/').map(|(at, _)| &name[at + 1..]);
    std::iter::once(name).chain(tails).any(|tail| pattern.matches(tail))
}

/// Splits a filter such as `joins.slt:5172` or `loops.test:12(i=3)` into the file and the place in it. `None` for a Rust
/// path (`a::b`).
pub fn with_line(pattern: &str) -> Option<(&str, At)> {
    if pattern.ends_with(')') {
        let opened = pattern.match_indices('(').filter_map(|(at, _)| {
            let pass = &pattern[at + 1..pattern.len() - 1];
            let (file, line) = split_line(pattern[..at].trim_end())?;
            pass.contains('=').then(|| (file, At::new(line, pass)))
        });
        return opened.into_iter().next();
    }
    split_line(pattern).map(|(file, line)| (file, At::new(line, "")))
}

fn split_line(pattern: &str) -> Option<(&str, u64)> {
    let (file, line) = pattern.rsplit_once(':')?;
    let is_number = !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit());
    // A number that is too large is beyond every file's end.
    (is_number && !file.is_empty() && !file.ends_with(':')).then(|| (file, line.parse().unwrap_or(u64::MAX)))
}

/// The files whose names are most similar to `pattern`, the most similar first; empty if none is similar.
pub fn nearest<'f>(files: &'f [TestFile], pattern: &str) -> Vec<&'f str> {
    let wanted = pattern.to_lowercase();
    most_similar(files.iter().map(|file| likeness(file, &wanted)))
}

/// The same, and the folders (`select/joins/`), for a pattern that may be a part of many names.
pub fn nearest_or_folders<'f>(files: &'f [TestFile], pattern: &str) -> Vec<&'f str> {
    let wanted = pattern.to_lowercase();
    let wanted_folder = wanted.trim_end_matches('/');
    let folders: BTreeSet<&str> =
        files.iter().flat_map(|file| file.name.match_indices('/').map(|(at, _)| &file.name[..=at])).collect();
    let of_folders = folders.into_iter().map(|folder| {
        let path = folder.trim_end_matches('/').to_lowercase();
        let last = path.rsplit('/').next().unwrap_or_default();
        (similarity(&path, wanted_folder).max(similarity(last, wanted_folder)), folder)
    });
    most_similar(files.iter().map(|file| likeness(file, &wanted)).chain(of_folders))
}

/// How similar a file's name, or a part of it, is to `wanted`, which is in small letters; and the name.
fn likeness<'f>(file: &'f TestFile, wanted: &str) -> (f64, &'f str) {
    let name = file.name.to_lowercase();
    let last = name.rsplit('/').next().unwrap_or_default();
    let stem = last.rsplit_once('.').map_or(last, |(stem, _)| stem);
    let rust_path = file.rust_path.to_lowercase();
    let parts = [name.as_str(), last, stem, rust_path.as_str()];
    (parts.into_iter().map(|part| similarity(part, wanted)).fold(0.0, f64::max), &file.name)
}

fn similarity(a: &str, b: &str) -> f64 {
    strsim::normalized_damerau_levenshtein(a, b)
}

fn most_similar<'f>(names: impl Iterator<Item = (f64, &'f str)>) -> Vec<&'f str> {
    let mut found: Vec<(f64, &str)> = names.filter(|(likeness, _)| *likeness >= LIKE).collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    found.into_iter().take(MOST_NEAREST).map(|(_, name)| name).collect()
}

/// The minimum similarity of two names, from 0 to 1, for one to count as a misspelling of the other.
const LIKE: f64 = 0.5;

/// The maximum number of suggestions.
const MOST_NEAREST: usize = 3;

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
            excerpt: None,
            dialect: crate::dialect::Dialect::Classic,
            excluded: None,
        };
        let own = |list: &[&str]| list.iter().map(|&pattern| pattern.to_owned()).collect();
        let filter = Filter { patterns: own(patterns), skips: own(skips), exact };
        assert_eq!(filter.lets_in(&file), filter.lets_in_name(&file.name));
        filter.lets_in(&file)
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
        for pattern in ["in*.test", "evidence/*", "*1.test", "in?.test", "in[0-9].*", "e*.test"] {
            assert!(lets_in(&[pattern], &[], false) && !lets_in(&[], &[pattern], false), "{pattern}");
            assert!(!lets_in(&[pattern], &[], true), "{pattern}");
        }
        for pattern in ["in*", "n1.t?st", "in[2-9].test", "in[", "*.slt", "vidence/*"] {
            assert_eq!(lets_in(&[pattern], &[], false), pattern == "in*", "{pattern}");
        }
    }

    #[test]
    fn a_line_behind_a_name_is_found() {
        assert_eq!(with_line("a/b.slt:12"), Some(("a/b.slt", At::new(12, ""))));
        assert_eq!(with_line("joins:0"), Some(("joins", At::new(0, ""))));
        assert_eq!(with_line("a.slt:99999999999999999999"), Some(("a.slt", At::new(u64::MAX, ""))));
        for pattern in ["a (b).test:4(i=3,t=DECIMAL(4,1))", "a (b).test:4 (i=3, t=DECIMAL(4,1))"] {
            assert_eq!(with_line(pattern), Some(("a (b).test", At::new(4, "i=3, t=DECIMAL(4,1)"))));
        }
        for name in ["a.slt", "a.slt:", ":12", "a::12", "a.slt:1x", "12", "a.slt(i=3)", "a.slt:4(i)", "a.slt:4()"] {
            assert_eq!(with_line(name), None, "{name}");
        }
    }

    #[test]
    fn names_like_the_pattern_are_found() {
        let file = |name: &str| TestFile {
            name: name.into(),
            rust_path: name.replace('/', "::").replace('.', "_"),
            path: name.into(),
            root: "r".into(),
            planned: None,
            excerpt: None,
            dialect: crate::dialect::Dialect::Classic,
            excluded: None,
        };
        let files = ["select/joins.test", "select/cte.test", "index/joint.test", "x.slt"].map(file);
        assert_eq!(nearest(&files, "jions"), ["select/joins.test", "index/joint.test"]);
        assert_eq!(nearest(&files, "select/CTE.slt")[0], "select/cte.test");
        assert_eq!(nearest(&files, "select::jons_test")[0], "select/joins.test");
        assert_eq!(nearest(&files, "quite different"), [""; 0]);
        assert_eq!(nearest_or_folders(&files, "indxe")[0], "index/");
        assert_eq!(nearest_or_folders(&files, "slect/")[0], "select/");
        assert_eq!(nearest_or_folders(&files, "jions"), nearest(&files, "jions"));
    }
}
