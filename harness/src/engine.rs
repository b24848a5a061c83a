//! Engines: an engine gives each script its own database, and runs SQL there.
//!
//! A type that implements `sqllogictest::DB` or `AsyncDB` becomes an engine through [`Adapter`]. Implement [`Engine`]
//! itself for more: bytes instead of text, results without an allocation for each value, interruption.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::dialect::Dialect;
pub use crate::exchange::{Done, EngineError, ErrorKind, Opening, Rows};

mod adapter;
pub(crate) mod choice;
#[cfg(feature = "external")]
mod external;
mod identity;
mod leftover;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod line;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "external"))]
mod names;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
mod rules;
mod script;
#[cfg(feature = "sqlite")]
pub mod sqlite;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "external"))]
mod text;
#[cfg(feature = "tokio")]
mod tokio;
mod url;

pub(crate) use adapter::UNNAMED;
pub use adapter::{Adapter, IntoEngine, Skip};
pub(crate) use choice::*;
pub use rules::{ColumnRule, ResultRule, Rules};
pub(crate) use script::Scratch;
pub use script::Script;

/// An engine gives each script its own database.
pub trait Engine: Send + Sync {
    /// The name in messages.
    fn name(&self) -> &str;

    /// The engine's names in `skipif` and `onlyif`, if they are known before there is a session. This may send a request to
    /// a server.
    ///
    /// An adapter knows its engine's name only after it has connected. This is empty then, and [`Session::name`] counts.
    fn labels(&self) -> Vec<String> {
        vec![self.name().to_owned()]
    }

    /// Identifies this engine and its version, such as `SQLite 3.50.2`. Processes whose engines have different identities
    /// do not share a run. It must not contain a secret. This may send a request to a server.
    ///
    /// An engine without a version counts as part of this program, and is identified by the program's build.
    fn identity(&self) -> String {
        format!("{}, {}", self.name(), identity::of_this_program())
    }

    /// Creates an empty database for the script with that name. Dropping the database removes everything that was created.
    fn database(&self, script: &str) -> Result<Box<dyn Database>, EngineError>;

    /// Creates an empty database for a script. The runner calls only this method. Override it instead of
    /// [`database`](Engine::database) for an engine that needs more than the script's name.
    fn open(&self, script: &Script) -> Result<Box<dyn Database>, EngineError> {
        self.database(&script.name)
    }

    /// Called once, before any thread uses the engine.
    fn prepare(&self) {}

    /// Rules of the engine's author for the comparison of results.
    fn rules(&self) -> Rules {
        Rules::default()
    }
}

/// A database is the data that one script sees; all connections of a script share it.
pub trait Database {
    /// The engine's name of this database, if it names databases: `$__DATABASE__` in a script.
    fn name(&self) -> Option<String> {
        None
    }

    /// Opens a connection.
    fn connect(&mut self) -> Result<Box<dyn Session>, EngineError>;

    /// Opens the connection that has this name in the script.
    fn connect_as(&mut self, _name: &str) -> Result<Box<dyn Session>, EngineError> {
        self.connect()
    }

    /// Passes the script's scratch folder (`$__TEST_DIR__`), as soon as it exists, to an engine that denies scripts access
    /// to other files.
    fn scratch(&mut self, _folder: &Path) {}

    /// Opens the script's database again, or another one in its place. The caller has dropped all sessions of the database
    /// before.
    ///
    /// # Errors
    /// The engine cannot do that (most cannot), or the database cannot be opened.
    fn reopen(&mut self, opening: Opening<'_>) -> Result<(), EngineError> {
        Err(EngineError::new(format!(
            "this engine cannot open a database again, as `{}` asks: put `skipif` before it, or leave the file out",
            opening.word()
        )))
    }

    /// Whether the engine has what a script requires, such as the extension `json`.
    ///
    /// # Errors
    /// The engine cannot answer.
    fn require(&mut self, _words: &[&str]) -> Result<bool, EngineError> {
        Ok(false)
    }

    /// Connections that run SQL at the same time, for the passes of a concurrent loop; `None` if the engine does not
    /// support this.
    ///
    /// # Errors
    /// The engine cannot be asked.
    fn together(&mut self) -> Result<Option<Box<dyn Together>>, EngineError> {
        Ok(None)
    }

    /// Makes the database stay after this value is dropped, so that a user can inspect it. Returns a text that says what is
    /// kept and where; `None` if there is nothing to keep.
    fn keep(&mut self) -> Option<String> {
        None
    }
}

/// A session is one connection to a database.
pub trait Session {
    /// The engine's own name; empty if it has none.
    fn name(&self) -> &str {
        ""
    }

    /// Runs one record's SQL, and writes the result into `rows`, which is empty.
    fn run(&mut self, request: Request<'_>, rows: &mut Rows) -> Result<Done, EngineError>;

    /// Returns a function that stops a running request from another thread, if the engine supports it.
    fn interrupter(&self) -> Option<Interrupter> {
        None
    }

    /// Checks the state in which the script leaves the connection. Called once for each connection after the last record,
    /// if no record failed.
    ///
    /// # Errors
    /// The problem, which fails the script.
    fn after_script(&mut self) -> Result<(), EngineError> {
        Ok(())
    }

    /// Waits, for `sleep` and `retry`.
    fn sleep(&mut self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

/// Connections that run SQL at the same time: one for each pass of a loop. A connection has at most one request under way.
pub trait Together {
    /// Begins a request on the connection of a pass. Passes are numbered from 0.
    ///
    /// # Errors
    /// The request could not be started. Then [`next`](Together::next) does not yield it.
    fn begin(&mut self, pass: u64, request: Request<'_>) -> Result<(), EngineError>;

    /// Waits for the next request to end, writes its result into `rows`, which is empty, and returns its pass.
    ///
    /// # Errors
    /// The connections report nothing more about any request.
    fn next(&mut self, rows: &mut Rows) -> Result<(u64, Result<Done, EngineError>), EngineError>;
}

/// Stops the running request, if any, from any thread.
pub type Interrupter = Arc<dyn Fn() + Send + Sync>;

/// A request is the SQL that a session must run, and how to format its result.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Request<'a> {
    /// The SQL: the bytes of the file, which need not be UTF-8 in a classic script.
    pub sql: &'a [u8],
    /// The declared column letters of a query, such as `IIT`; `None` for a statement.
    pub letters: Option<&'a [u8]>,
    /// The formatting rules for the values.
    pub dialect: Dialect,
}

impl<'a> Request<'a> {
    /// A request, for an engine that forwards requests to another engine.
    pub fn new(sql: &'a [u8], letters: Option<&'a [u8]>, dialect: Dialect) -> Self {
        Request { sql, letters, dialect }
    }
}
