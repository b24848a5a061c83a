//! Why a suite could not be listed.

use std::path::PathBuf;

use crate::dialect::Dialect;

/// Why a suite could not be listed.
#[derive(Debug, thiserror::Error)]
pub enum SuiteError {
    /// A root that does not exist.
    #[error("no such folder: `{}`", .0.display())]
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
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(", ")
}
