//! Why a suite could not be listed.

use std::path::{Component, Path, PathBuf};

use super::TestFile;
use crate::dialect::Dialect;

/// Why a suite could not be listed.
#[derive(Debug, thiserror::Error)]
pub enum SuiteError {
    /// A root of the suite's code that does not exist.
    #[error("no test files here: no folder `{}`; name a folder with `--root PATH`", .0.display())]
    NoFilesHere(PathBuf),
    /// A root that the user named, and that does not exist.
    #[error("no such file or folder: `{}`", .0.display())]
    NoSuchRoot(PathBuf),
    /// A folder or a link that could not be followed; a loop of links is one of these.
    #[error("cannot list `{}`: {reason}", .path.display())]
    Unreadable {
        /// The entry that could not be followed.
        path: PathBuf,
        /// The error of the system, or the loop that was found.
        reason: String,
    },
    /// Roots without any test file.
    #[error("no {} file below {}", Dialect::all_extensions(), list(.0))]
    Empty(Vec<PathBuf>),
    /// A file that the user named, whose name does not show its dialect.
    #[error("the name of `{}` does not show its dialect: add `--dialect` with {}", .0.display(), Dialect::names("or"))]
    NoDialect(PathBuf),
    /// A file in a dialect that this program was built without.
    #[error(
        "`{}` is in the dialect `{dialect}`, which this program was built without: switch on the feature `{feature}` of \
         `slt-harness`",
        .path.display()
    )]
    MissingFeature {
        /// The file.
        path: PathBuf,
        /// Its dialect.
        dialect: Dialect,
        /// The feature that the dialect needs.
        feature: &'static str,
    },
    /// A file that the user named, and that contains new results from `--bless=review`.
    #[error("`{}` holds new results, and is not a test file: `slt review` shows them", .0.display())]
    Waits(PathBuf),
    /// An invalid pattern in the suite's settings.
    #[error("the suite's setting `{setting}`: `{pattern}` is not a file pattern: {reason}")]
    BadPattern {
        /// The setting.
        setting: &'static str,
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Links that lead out of the folders of test files.
    #[error(
        "these lead out of the folder of test files (copy the files, or name their own folder with `--root`):\n{}",
        .0.iter().map(|path| format!("  `{}`", path.display())).collect::<Vec<_>>().join("\n")
    )]
    LeadsOut(Vec<PathBuf>),
    /// File names that no test runner can pass on.
    #[error("test files with unusable names:\n{}", .0.join("\n"))]
    BadNames(Vec<String>),
    /// A file that the roots name twice, because a root is given twice or overlaps with another.
    #[error("the roots name `{}` twice: name each folder and file once", .0.display())]
    Twice(PathBuf),
    /// Files below different roots that have one name.
    #[error(
        "files below different roots have one name: use a folder above them as the only root{root}\n{}",
        .lines.join("\n")
    )]
    SameNames {
        /// The flag that names such a folder, in parentheses; empty if there is no good folder.
        root: String,
        /// A line for each name.
        lines: Vec<String>,
    },
}

/// How many names that two files have are shown.
const MOST_NAMES: usize = 10;

impl SuiteError {
    /// The error for pairs of files with one name.
    pub(super) fn same_names(pairs: &[[&TestFile; 2]]) -> SuiteError {
        let is_one = |[a, b]: &[&TestFile; 2]| match (a.path.canonicalize(), b.path.canonicalize()) {
            (Ok(a), Ok(b)) => a == b,
            _ => false,
        };
        if let Some([file, _]) = pairs.iter().find(|pair| is_one(pair)) {
            return SuiteError::Twice(file.path.clone());
        }
        let line = |[a, b]: &[&TestFile; 2]| {
            format!("  `{}` is the name of two files: `{}` and `{}`", a.name, a.path.display(), b.path.display())
        };
        let mut lines: Vec<String> = pairs.iter().take(MOST_NAMES).map(line).collect();
        if pairs.len() > MOST_NAMES {
            lines.push(format!("  … and {} more", pairs.len() - MOST_NAMES));
        }
        let above = pairs.first().and_then(|[a, b]| common(&a.root, &b.root));
        let root = above.map_or_else(String::new, |above| format!(" (`--root {}`)", above.display()));
        SuiteError::SameNames { root, lines }
    }
}

/// The folder that two paths have in common; `None` if their texts do not show one, or it is the root of the file system.
fn common(a: &Path, b: &Path) -> Option<PathBuf> {
    let parts = a.components().zip(b.components()).take_while(|(a, b)| a == b).map(|(part, _)| part);
    let common: PathBuf = parts.collect();
    let is_below_here =
        |path: &Path| matches!(path.components().next(), Some(Component::Normal(_) | Component::CurDir));
    match common.parent() {
        Some(_) => Some(common),
        None if is_below_here(a) && is_below_here(b) => Some(PathBuf::from(".")),
        None => None,
    }
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(", ")
}
