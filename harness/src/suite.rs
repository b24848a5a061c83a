//! The test files of a suite: finds them below the roots, names them, sorts them and filters them.

use std::fs::Metadata;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use walkdir::WalkDir;

pub use crate::dialect::Dialect;
use crate::script::ScriptFile;
pub(crate) use crate::script::source::shown;
use dialect::Dialects;
use exclude::Exclusions;

pub mod content;
mod dialect;
mod error;
mod excerpt;
mod exclude;
mod filter;
mod links;
mod name;
mod rust_path;
mod stubs;
mod weight;

pub(crate) use dialect::WAITING;
pub use error::SuiteError;
pub use excerpt::{At, Excerpt};
pub use filter::{Filter, nearest, nearest_or_folders, with_line};
use links::{is_editors_lock, is_nothing, leads_out, walk_error};
use name::name_of;
pub use name::{by_category, category};
use rust_path::rust_path;
pub use stubs::stubs;

/// A suite is a set of folders that hold test files (`.test` and `.slt`).
#[derive(Debug, Clone)]
pub struct Suite {
    roots: Vec<PathBuf>,
    /// Whether the user names the roots, by a flag, a variable or a setting.
    is_named: bool,
    dialects: Dialects,
    exclusions: Exclusions,
}

/// A test file is one script of a suite, found but not yet read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestFile {
    /// The trial's name: the path below the root, with `/`.
    pub name: String,
    /// The name as a Rust path (`index::between::slt_good_0_test`), for tools that show `::` as nested modules.
    pub rust_path: String,
    /// The path of the file.
    pub path: PathBuf,
    /// The root under which it was found. The script reads no files outside of the root.
    pub root: PathBuf,
    /// The planned digest of the file, as `suite::content` computes it. A process that runs the file refuses other content.
    pub planned: Option<String>,
    /// The dialect in which it is read.
    pub dialect: Dialect,
    /// The record that is judged, if it is not the whole script; the name then ends with `:` and the line.
    pub excerpt: Option<Excerpt>,
    /// The reason why the suite leaves the file out: the file is then `ignored`, with this reason. `None` if it runs.
    pub excluded: Option<Arc<str>>,
}

impl Suite {
    /// A suite of one root: a folder, or a single test file.
    ///
    /// A relative root is relative to the folder of the package that is being tested (`CARGO_MANIFEST_DIR` at run time,
    /// which `cargo test` and `cargo nextest` set, also for a package moved elsewhere). If that is not set, to the current
    /// folder.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        let base = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
        Suite::from_roots([base.join(root)])
    }

    /// A suite of the given roots as they are.
    pub fn from_roots(roots: impl IntoIterator<Item = PathBuf>) -> Self {
        let (dialects, exclusions) = (Dialects::default(), Exclusions::default());
        Suite { roots: roots.into_iter().collect(), is_named: false, dialects, exclusions }
    }

    /// Reads the files whose names match `pattern` (`duckdb/**`, `*.test`) by the rules of `dialect`, whatever their
    /// extension. The last matching pattern counts; `--dialect` overrides all of them. `*` matches `/` too.
    #[must_use]
    pub fn dialect(mut self, pattern: impl Into<String>, dialect: Dialect) -> Self {
        self.dialects.rules.push((pattern.into(), dialect));
        self
    }

    /// Reads every file by the rules of `dialect`. Then [`find`](Suite::find) finds files with any extension.
    #[must_use]
    pub fn all_in(mut self, dialect: Dialect) -> Self {
        self.dialects.all = Some(dialect);
        self
    }

    /// Leaves out the files whose names match one of the patterns (`tpch/**`, `gis*.slt`): they do not run, and are
    /// `ignored` with this reason. The first pattern that matches gives the reason. `*` matches `/` too.
    #[must_use]
    pub fn exclude<P: Into<String>>(mut self, patterns: impl IntoIterator<Item = P>, reason: &str) -> Self {
        self.exclusions.add(patterns.into_iter().map(Into::into), reason);
        self
    }

    /// The patterns of excluded files, for the settings that all workers of a run must have in common.
    pub(crate) fn exclusions(&self) -> Vec<String> {
        self.exclusions.words()
    }

    /// The dialects by pattern, as text.
    pub(crate) fn dialect_rules(&self) -> Vec<String> {
        self.dialects.rules.iter().map(|(pattern, dialect)| format!("{pattern} ({dialect})")).collect()
    }

    /// A suite with the same settings and other roots, which the user names.
    #[must_use]
    pub fn at(self, roots: impl IntoIterator<Item = PathBuf>) -> Self {
        Suite { roots: roots.into_iter().collect(), is_named: true, ..self }
    }

    /// The roots, in the order given.
    pub fn roots(&self) -> &[PathBuf] {
        &self.roots
    }

    /// Finds all test files, sorted by name.
    ///
    /// # Errors
    /// A missing root, an unreadable folder, a loop of links, no test file at all, and names that a test runner cannot pass
    /// on: with a line break or another control character, with a leading `-`, not UTF-8, or used twice.
    pub fn discover(&self) -> Result<Vec<TestFile>, SuiteError> {
        self.check_patterns()?;
        let mut files = Vec::new();
        let mut bad_names = Vec::new();
        let mut leading_out = Vec::new();
        for root in &self.roots {
            let metadata = self.metadata(root)?;
            let base = if metadata.is_dir() { root.as_path() } else { root.parent().unwrap_or(Path::new("")) };
            let mut entries = WalkDir::new(root).follow_links(true).sort_by_file_name().into_iter();
            while let Some(entry) = entries.next() {
                let entry = match entry {
                    // A link to nothing counts only if it may be meant for a test file, or for a folder of them.
                    Err(error) if error.path().is_some_and(is_nothing) => continue,
                    entry => entry.map_err(|error| walk_error(root, &error))?,
                };
                // A test file is untrusted input: a link in its folder may lead anywhere. A root is trusted, because the
                // user names it.
                if entry.path_is_symlink() && entry.depth() > 0 && leads_out(entry.path(), base) {
                    let is_folder = entry.file_type().is_dir();
                    if is_folder {
                        entries.skip_current_dir();
                    }
                    if is_folder || is_test_file(entry.path()) {
                        leading_out.push(entry.into_path());
                    }
                    continue;
                }
                // A file that the user named is a test file, whatever its extension.
                let named = entry.depth() == 0 && !metadata.is_dir();
                if !(named || is_test_file(entry.path())) || entry.file_type().is_dir() {
                    continue;
                }
                match name_of(entry.path().strip_prefix(base).unwrap_or(entry.path())) {
                    Ok(name) => match self.dialects.of(&name) {
                        Some(dialect) => files.push(self.file(name, entry.into_path(), base, dialect)?),
                        None if dialect::waits_for_review(&name) => return Err(SuiteError::Waits(entry.into_path())),
                        None => return Err(SuiteError::NoDialect(entry.into_path())),
                    },
                    Err(complaint) => bad_names.push(complaint),
                }
            }
        }
        sort(&mut files);
        if !leading_out.is_empty() {
            return Err(SuiteError::LeadsOut(leading_out));
        }
        if !bad_names.is_empty() {
            return Err(SuiteError::BadNames(bad_names));
        }
        let pairs = files.windows(2).filter(|pair| pair[0].name == pair[1].name);
        let pairs: Vec<[&TestFile; 2]> = pairs.map(|pair| [&pair[0], &pair[1]]).collect();
        if !pairs.is_empty() {
            return Err(SuiteError::same_names(&pairs));
        }
        if files.is_empty() {
            return Err(SuiteError::Empty(self.roots.clone()));
        }
        Ok(files)
    }

    /// Finds the one test file with that name without listing any folder; `None` if there is none.
    ///
    /// # Errors
    /// The name exists under more than one root, or a test runner could not pass it on.
    pub fn find(&self, name: &str) -> Result<Option<TestFile>, SuiteError> {
        self.check_patterns()?;
        let relative = Path::new(name);
        let parts = relative.components().map(|part| match part {
            Component::Normal(part) => part.to_str(),
            _ => None,
        });
        // Only the spelling that `discover` uses: neither `a//x.test` nor `a/../x.test`.
        if !parts.eq(name.split('/').map(Some)) || name_of(relative).as_deref() != Ok(name) {
            return Ok(None);
        }
        let Some(dialect) = self.dialects.of(name).filter(|_| !is_editors_lock(relative)) else { return Ok(None) };
        let mut found: Option<TestFile> = None;
        for root in &self.roots {
            let (base, path) = match root.is_file() {
                true if root.file_name() == Some(relative.as_os_str()) => (root.parent(), root.clone()),
                true => continue,
                false => (Some(root.as_path()), root.join(relative)),
            };
            // `symlink_metadata` would take a dangling link for a file. The trial reports other problems of the file.
            if path.metadata().is_err() || path.is_dir() {
                continue;
            }
            if !root.is_file() && leads_out(&path, root) {
                return Err(SuiteError::LeadsOut(vec![path]));
            }
            let file = self.file(name.to_owned(), path, base.unwrap_or(Path::new("")), dialect)?;
            if let Some(first) = &found {
                return Err(SuiteError::same_names(&[[first, &file]]));
            }
            found = Some(file);
        }
        Ok(found)
    }

    /// Checks that all roots exist.
    ///
    /// # Errors
    /// A missing root.
    #[cfg(feature = "commands")]
    pub(crate) fn check_roots(&self) -> Result<(), SuiteError> {
        self.roots.iter().try_for_each(|root| self.metadata(root).map(drop))
    }

    fn metadata(&self, root: &Path) -> Result<Metadata, SuiteError> {
        root.metadata().map_err(|error| match error.kind() {
            ErrorKind::NotFound if self.is_named => SuiteError::NoSuchRoot(root.to_owned()),
            ErrorKind::NotFound => SuiteError::NoFilesHere(root.to_owned()),
            _ => SuiteError::Unreadable { path: root.to_owned(), reason: error.to_string() },
        })
    }

    fn check_patterns(&self) -> Result<(), SuiteError> {
        let dialects = self.dialects.malformed().map(|(pattern, reason)| ("dialect", pattern, reason));
        let exclusions = self.exclusions.malformed().map(|(pattern, reason)| ("exclude", pattern, reason));
        match dialects.or(exclusions) {
            Some((setting, pattern, reason)) => {
                Err(SuiteError::BadPattern { setting, pattern: pattern.to_owned(), reason })
            }
            None => Ok(()),
        }
    }

    fn file(&self, name: String, path: PathBuf, root: &Path, dialect: Dialect) -> Result<TestFile, SuiteError> {
        let excluded = self.exclusions.reason(&name);
        match dialect.missing_feature() {
            Some(feature) if excluded.is_none() => Err(SuiteError::MissingFeature { path, dialect, feature }),
            _ => Ok(TestFile { excluded, ..TestFile::new(name, path, root, dialect) }),
        }
    }
}

impl<'f> From<&'f TestFile> for ScriptFile<'f> {
    fn from(file: &'f TestFile) -> Self {
        ScriptFile { name: file.script(), path: &file.path, root: &file.root }
    }
}

impl TestFile {
    fn new(name: String, path: PathBuf, root: &Path, dialect: Dialect) -> Self {
        let rust_path = rust_path(&name);
        // A file that was named without a folder is in the current one.
        let root = if root.as_os_str().is_empty() { Path::new(".") } else { root };
        let root = root.to_path_buf();
        TestFile { name, rust_path, path, root, planned: None, dialect, excerpt: None, excluded: None }
    }

    /// The first folder of the name, or `.` for a file directly in the root.
    pub fn category(&self) -> &str {
        category(&self.name)
    }
}

/// Sorts files by their names.
pub(crate) fn sort(files: &mut [TestFile]) {
    files.sort_by(|a, b| a.name.cmp(&b.name));
}

/// Whether the extension of a path, in any letter case, is that of a dialect.
fn is_test_file(path: &Path) -> bool {
    Dialect::by_extension(path).is_some() && !is_editors_lock(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn suite_of(names: &[&str]) -> (tempfile::TempDir, Suite) {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let suite = Suite::from_roots([folder.path().to_path_buf()]);
        (folder, suite)
    }

    fn names(files: &[TestFile]) -> Vec<&str> {
        files.iter().map(|file| file.name.as_str()).collect()
    }

    #[test]
    fn names_are_paths_below_the_root_in_a_stable_order() {
        let (_folder, suite) = suite_of(&["b/2.test", "a.slt", "b/1 ü.test", "b/readme.md", "b/part.slt.part"]);
        assert_eq!(names(&suite.discover().unwrap()), ["a.slt", "b/1 ü.test", "b/2.test"]);
    }

    #[test]
    fn a_missing_root_and_an_empty_one_are_errors_that_name_it() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("nowhere");
        let suite = Suite::from_roots([missing.clone()]);
        let error = suite.discover().unwrap_err().to_string();
        assert!(error.starts_with("no test files here: no folder `") && error.contains("nowhere`; name"), "{error}");
        let error = suite.at([missing]).discover().unwrap_err().to_string();
        assert!(error.starts_with("no such file or folder: `") && error.ends_with("nowhere`"), "{error}");
        let error = Suite::from_roots([folder.path().to_path_buf()]).discover().unwrap_err();
        assert!(matches!(error, SuiteError::Empty(_)), "{error}");
    }

    #[test]
    fn names_that_no_runner_can_carry_are_refused_by_name() {
        let (_folder, suite) = suite_of(&["-x.test", "a\nb.test", "c\u{1b}.test", "fine.test"]);
        let error = suite.discover().unwrap_err().to_string();
        for part in ["`-x.test` begins with `-`", r#""a\nb.test" holds a line break"#, r#""c\u{1b}.test" holds"#] {
            assert!(error.contains(part), "{error}");
        }
        assert!(!error.contains("fine"), "{error}");
    }

    #[test]
    fn one_name_under_two_roots_is_refused() {
        let (a, _) = suite_of(&["x.test"]);
        let (b, _) = suite_of(&["x.test", "y.test"]);
        let suite = Suite::from_roots([a.path().to_path_buf(), b.path().to_path_buf()]);
        for error in [suite.discover().unwrap_err().to_string(), suite.find("x.test").unwrap_err().to_string()] {
            assert!(error.contains("`x.test` is the name of two files") && error.contains("`--root "), "{error}");
        }
        assert_eq!(suite.find("y.test").unwrap().unwrap().path, b.path().join("y.test"));
    }

    #[test]
    fn a_root_that_is_given_twice_is_refused() {
        let (folder, _) = suite_of(&["x.test", "y.test"]);
        let root = || folder.path().to_path_buf();
        for other in [root(), root().join("."), root().join("x.test")] {
            let error = Suite::from_roots([root(), other]).discover().unwrap_err().to_string();
            assert!(error.ends_with("x.test` twice: name each folder and file once"), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_loop_of_links_is_an_error_that_names_both_ends() {
        let (folder, suite) = suite_of(&["a/x.test"]);
        std::os::unix::fs::symlink(folder.path().join("a"), folder.path().join("a/again")).unwrap();
        let error = suite.discover().unwrap_err().to_string();
        assert!(error.contains("again`: it is a link that leads back to"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_nothing_is_an_error_only_if_it_may_be_meant_for_tests() {
        let (folder, suite) = suite_of(&["x.test", "a/y.test"]);
        // Emacs makes such a link while a file is being edited.
        for (name, target) in [(".#x.test", "me@here.1234:1"), (".clang-format", "nowhere"), ("a/x.csv", "../nowhere")]
        {
            std::os::unix::fs::symlink(target, folder.path().join(name)).unwrap();
        }
        assert_eq!(names(&suite.discover().unwrap()), ["a/y.test", "x.test"]);
        assert_eq!(suite.find(".#x.test").unwrap(), None);
        // A name without a dot may be that of a folder of test files.
        for name in ["a/sub", "z.test"] {
            let path = folder.path().join(name);
            std::os::unix::fs::symlink("nowhere", &path).unwrap();
            let error = suite.discover().unwrap_err().to_string();
            assert!(error.contains(&format!("{name}`: it is a link to `nowhere`, which does not exist")), "{error}");
            fs::remove_file(path).unwrap();
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_out_of_the_root_are_errors_that_name_them_and_links_within_it_are_not() {
        use std::os::unix::fs::symlink;
        let (outside, _) = suite_of(&["secret", "folder/y.test"]);
        let (folder, suite) = suite_of(&["a/x.test"]);
        symlink(folder.path().join("a/x.test"), folder.path().join("within.test")).unwrap();
        symlink(outside.path().join("secret"), folder.path().join("notes.txt")).unwrap();
        assert_eq!(
            names(&suite.discover().unwrap()),
            ["a/x.test", "within.test"],
            "a link to no test file is not read"
        );
        symlink(outside.path().join("secret"), folder.path().join("b.slt")).unwrap();
        symlink(outside.path().join("folder"), folder.path().join("c")).unwrap();
        let error = suite.discover().unwrap_err().to_string();
        assert!(error.contains("b.slt`") && error.contains("/c`") && error.contains("--root"), "{error}");
        assert!(!error.contains("within"), "{error}");
        for name in ["b.slt", "c/y.test"] {
            assert!(matches!(suite.find(name), Err(SuiteError::LeadsOut(_))), "{name}");
        }
        assert!(suite.find("within.test").unwrap().is_some());
        // The root itself may be a link.
        let link = outside.path().join("root");
        fs::remove_file(folder.path().join("b.slt")).unwrap();
        fs::remove_file(folder.path().join("c")).unwrap();
        symlink(folder.path(), &link).unwrap();
        let suite = Suite::from_roots([link]);
        assert_eq!(names(&suite.discover().unwrap()), ["a/x.test", "within.test"]);
        assert!(suite.find("a/x.test").unwrap().is_some());
    }

    #[test]
    fn a_folder_is_no_test_file_whatever_its_name() {
        let (_folder, suite) = suite_of(&["x.test/y.test"]);
        assert_eq!(names(&suite.discover().unwrap()), ["x.test/y.test"]);
        assert_eq!(suite.find("x.test").unwrap(), None);
    }

    #[test]
    fn find_agrees_with_discover_and_stays_inside() {
        let (_folder, suite) = suite_of(&["a/x.test", "b.slt", "notes.md"]);
        for file in suite.discover().unwrap() {
            assert_eq!(suite.find(&file.name).unwrap(), Some(file));
        }
        for name in ["a/y.test", "notes.md", "../x.test", "/etc/x.test", "a/../b.slt", "./b.slt", "a//x.test", ""] {
            assert_eq!(suite.find(name).unwrap(), None, "{name}");
        }
    }

    #[test]
    fn any_file_that_is_named_is_run_by_the_dialect_that_is_chosen() {
        let (folder, suite) = suite_of(&["a/x.slt.part", "a/x.test", "a/y.slt.serial", "b.slt"]);
        let dialects = |suite: &Suite| -> Vec<(String, Dialect)> {
            suite.discover().unwrap().into_iter().map(|file| (file.name, file.dialect)).collect()
        };
        let own = |name: &str, dialect| (name.to_owned(), dialect);
        assert_eq!(dialects(&suite), [own("a/x.test", Dialect::Classic), own("b.slt", Dialect::Slt)]);
        let by_rule = suite.clone().dialect("a/*", Dialect::Slt);
        assert_eq!(dialects(&by_rule), [own("a/x.test", Dialect::Slt), own("b.slt", Dialect::Slt)]);
        assert_eq!(suite.find("a/x.slt.part").unwrap(), None);
        assert_eq!(by_rule.find("a/x.slt.part").unwrap().unwrap().dialect, Dialect::Slt);
        assert_eq!(suite.clone().all_in(Dialect::Slt).find("a/y.slt.serial").unwrap().unwrap().dialect, Dialect::Slt);
        assert!(suite.clone().all_in(Dialect::Slt).find("a").unwrap().is_none(), "a folder");
        let alone = suite.at([folder.path().join("a/x.slt.part")]);
        let error = alone.discover().unwrap_err().to_string();
        assert!(error.contains("x.slt.part` does not show its dialect: add `--dialect` with `classic`"), "{error}");
        assert_eq!(dialects(&alone.clone().all_in(Dialect::Slt)), [own("x.slt.part", Dialect::Slt)]);
        assert!(alone.dialect("[", Dialect::Slt).discover().unwrap_err().to_string().contains("is not a file pattern"));
    }

    #[test]
    fn a_single_file_is_a_suite_of_its_own() {
        let (folder, _) = suite_of(&["a/x.test", "a/y.test"]);
        let suite = Suite::from_roots([folder.path().join("a/x.test")]);
        assert_eq!(names(&suite.discover().unwrap()), ["x.test"]);
        assert_eq!(suite.find("x.test").unwrap(), suite.discover().unwrap().pop());
        assert_eq!(suite.find("y.test").unwrap(), None);
    }

    #[test]
    fn extensions_in_capitals_are_found_too() {
        let (_folder, suite) = suite_of(&["X.TEST", "y.Slt", "z.slt", "Z.SLT", "no.TESTS"]);
        let files = suite.discover().unwrap();
        assert_eq!(names(&files), ["X.TEST", "Z.SLT", "y.Slt", "z.slt"]);
        for file in files {
            assert_eq!(suite.find(&file.name).unwrap(), Some(file));
        }
    }
}
