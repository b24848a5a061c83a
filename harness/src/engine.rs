//! What an engine is: something that gives each script a database of its own, and runs SQL there.
//!
//! An adapter that implements `sqllogictest::DB` or `AsyncDB` is one already: see [`Adapter`]. [`Engine`] itself is for
//! those who want more: bytes instead of text, results without an allocation for each value, interruption.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::script::Dialect;

mod adapter;
mod choice;
#[cfg(feature = "external")]
pub mod external;
mod identity;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod line;
#[cfg(feature = "mysql")]
pub mod mysql;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "external"))]
mod names;
#[cfg(feature = "postgres")]
pub mod postgres;
mod rows;
#[cfg(feature = "sqlite")]
pub mod sqlite;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "external"))]
mod text;
#[cfg(feature = "tokio")]
mod tokio;

pub use adapter::{Adapter, IntoEngine};
pub use choice::{Choice, ChoiceError, CleanError, Fate, Leftover, Url};
pub use rows::Rows;

/// An engine gives each script a database of its own.
pub trait Engine: Send + Sync {
    /// The name that messages use.
    fn name(&self) -> &str;

    /// The names that `skipif` and `onlyif` know it by, where these can be told before there is a session. A server may be
    /// asked for that.
    ///
    /// An adapter reports its name only once it is connected; then this is empty and [`Session::name`] counts.
    fn labels(&self) -> Vec<String> {
        vec![self.name().to_owned()]
    }

    /// What tells this engine and its version from others, such as `SQLite 3.50.2`: processes whose engines differ in that
    /// do not share a run. It must not hold a secret. A server may be asked for that.
    ///
    /// An engine that does not say is taken for a part of this program, and told from others by the program's build.
    fn identity(&self) -> String {
        format!("{}, {}", self.name(), identity::of_this_program())
    }

    /// Makes a fresh, empty database for one script; dropping it removes what was made.
    fn database(&self, script: &str) -> Result<Box<dyn Database>, EngineError>;
}

/// A database is what one script sees; connections of one script share it.
pub trait Database {
    /// The name by which the engine knows this database, where it has names for databases: `$__DATABASE__` in a script.
    fn name(&self) -> Option<String> {
        None
    }

    /// Opens a connection.
    fn connect(&mut self) -> Result<Box<dyn Session>, EngineError>;

    /// Tells the script's scratch folder (`$__TEST_DIR__`) as soon as there is one, to an engine that keeps scripts away
    /// from other files.
    fn scratch(&mut self, _folder: &Path) {}

    /// Opens the script's database again, or another one in its place; its sessions have been dropped before.
    ///
    /// # Errors
    /// The engine cannot do that, as most cannot, or the database cannot be opened.
    fn reopen(&mut self, opening: Opening<'_>) -> Result<(), EngineError> {
        Err(EngineError::new(format!(
            "this engine cannot open a database again, as `{}` asks: put `skipif` before it, or leave the file out",
            opening.word()
        )))
    }

    /// Whether the engine has what a script requires, such as `json`, an extension.
    ///
    /// # Errors
    /// It cannot be asked.
    fn require(&mut self, _words: &[&str]) -> Result<bool, EngineError> {
        Ok(false)
    }

    /// Leaves what was made where it is when this is dropped, for somebody to look at, and says what and where that is;
    /// nothing if there is nothing that could stay.
    fn keep(&mut self) -> Option<String> {
        None
    }
}

/// How a database is opened while its script runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening<'o> {
    /// A file, or a new database in memory.
    Load {
        /// The file; none for a database in memory.
        path: Option<&'o Path>,
        /// Whether it is only read.
        read_only: bool,
        /// The version of the storage, in the engine's words.
        version: Option<&'o str>,
    },
    /// The present one, once more. What was in memory is lost.
    Restart {
        /// Whether extensions that the script requires are loaded again.
        extensions: bool,
    },
}

impl Opening<'_> {
    /// The directive that asks for it.
    pub fn word(&self) -> &'static str {
        match self {
            Opening::Load { .. } => "load",
            Opening::Restart { .. } => "restart",
        }
    }
}

/// A session is one connection to a database.
pub trait Session {
    /// The engine's own name for itself; empty where it has none.
    fn name(&self) -> &str {
        ""
    }

    /// Runs one record's SQL, and puts what it returns into `rows`, which is empty.
    fn run(&mut self, request: Request<'_>, rows: &mut Rows) -> Result<Done, EngineError>;

    /// Something that stops a running request from another thread, if the engine can be stopped.
    fn interrupter(&self) -> Option<Interrupter> {
        None
    }

    /// Waits, as `sleep` and `retry` ask for.
    fn sleep(&mut self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

/// Stops the request that is running, if one is, from whatever thread calls it.
pub type Interrupter = Arc<dyn Fn() + Send + Sync>;

/// A request is what a session is asked to run.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The SQL: the bytes of the file, which in a classic script need not be UTF-8.
    pub sql: &'a [u8],
    /// The declared column letters of a query, such as `IIT`; none for a statement.
    pub letters: Option<&'a [u8]>,
    /// Whose formatting rules the values are to follow.
    pub dialect: Dialect,
}

/// How a request ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It returned rows, perhaps none.
    Rows,
    /// It changed so many rows.
    Changed(u64),
}

/// An error that an engine returned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EngineError {
    /// The engine's words.
    pub message: String,
    /// The five characters of SQLSTATE, where the engine has them.
    pub sqlstate: Option<String>,
    /// Whether the engine could not get the memory that it wanted.
    pub out_of_memory: bool,
    /// Whether the connection is lost, so that the error says nothing about the SQL.
    pub lost: bool,
    /// Whether the SQL was not put to the engine as it stands, so that the error is not the engine's.
    pub refused: bool,
}

impl EngineError {
    /// An error without SQLSTATE.
    pub fn new(message: impl Into<String>) -> Self {
        EngineError { message: message.into(), sqlstate: None, out_of_memory: false, lost: false, refused: false }
    }

    /// An error by which a connection has come to its end: it never passes for one that a script expects.
    pub fn lost(message: impl Into<String>) -> Self {
        EngineError { lost: true, ..EngineError::new(message) }
    }

    /// An error of the way to the engine: SQL that cannot be put to it. It never passes for one that a script expects.
    pub fn refused(message: impl Into<String>) -> Self {
        EngineError { refused: true, ..EngineError::new(message) }
    }
}
