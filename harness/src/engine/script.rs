//! The information that an engine gets about the script of a database.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use once_cell::sync::OnceCell;
use tempfile::TempDir;

use crate::dialect::Dialect;
use crate::suite::TestFile;

/// The script for which a connection is opened.
///
/// ```
/// # use slt_harness::engine::Script;
/// fn database_of(script: &Script) -> std::io::Result<std::path::PathBuf> {
///     Ok(script.scratch()?.join("data.db")) // removed when the script has ended
/// }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Script {
    /// The trial's name: the path below the root, with `/`.
    pub name: String,
    /// The path of the file.
    pub path: PathBuf,
    /// The folder of test files in which it was found.
    pub root: PathBuf,
    /// The name of the connection; `None` for the script's default connection.
    pub connection: Option<String>,
    /// Its dialect, if known.
    #[cfg_attr(not(feature = "sqlite"), allow(dead_code))]
    pub(crate) dialect: Option<Dialect>,
    scratch: Scratch,
}

impl Script {
    /// A script with that name, for tests of an engine without a file.
    pub fn named(name: impl Into<String>) -> Script {
        let name = name.into();
        let (path, root) = (PathBuf::from(&name), PathBuf::from("."));
        let dialect = Dialect::by_extension(&path);
        Script { name, path, root, connection: None, dialect, scratch: Scratch::default() }
    }

    /// The script in that file.
    pub(crate) fn of(file: &TestFile, scratch: Scratch) -> Script {
        let (name, path, root) = (file.script().to_owned(), file.path.clone(), file.root.clone());
        Script { name, path, root, connection: None, dialect: Some(file.dialect), scratch }
    }

    /// The same script, for the connection with that name.
    #[must_use]
    pub fn on(&self, connection: Option<&str>) -> Script {
        Script { connection: connection.map(str::to_owned), ..self.clone() }
    }

    /// The script's scratch folder, `$__TEST_DIR__` in its text: empty at first, and removed when the script has ended.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn scratch(&self) -> io::Result<&Path> {
        self.scratch.folder()
    }
}

/// A folder that is created on first use, and removed with its last owner.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scratch(Arc<OnceCell<TempDir>>);

impl Scratch {
    /// The folder; creates it if it does not exist yet.
    pub(crate) fn folder(&self) -> io::Result<&Path> {
        self.0.get_or_try_init(TempDir::new).map(TempDir::path)
    }

    /// The folder, if it has been created.
    pub(crate) fn made(&self) -> Option<&Path> {
        self.0.get().map(TempDir::path)
    }
}
