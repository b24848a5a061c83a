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

    /// The engine's names in `skipif` and `onlyif`, if they are known before there is a session. This may ask a server.
    ///
    /// An adapter reports its name only once it is connected; then this is empty and [`Session::name`] counts.
    fn labels(&self) -> Vec<String> {
        vec![self.name().to_owned()]
    }

    /// Identifies this engine and its version, such as `SQLite 3.50.2`: processes whose engines differ in this do not
    /// share a run. It must not contain a secret. This may ask a server.
    ///
    /// An engine without a version counts as part of this program, and is identified by the program's build.
    fn identity(&self) -> String {
        format!("{}, {}", self.name(), identity::of_this_program())
    }

    /// Creates an empty database for the script of that name; dropping it removes what was created.
    fn database(&self, script: &str) -> Result<Box<dyn Database>, EngineError>;

    /// As [`database`](Engine::database), for an engine that needs to know more of the script than its name. This is
    /// what is called.
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

/// A database is what one script sees; connections of one script share it.
pub trait Database {
    /// The engine's name of this database, if it names databases: `$__DATABASE__` in a script.
    fn name(&self) -> Option<String> {
        None
    }

    /// Opens a connection.
    fn connect(&mut self) -> Result<Box<dyn Session>, EngineError>;

    /// Opens the connection that a script calls by this name.
    fn connect_as(&mut self, _name: &str) -> Result<Box<dyn Session>, EngineError> {
        self.connect()
    }

    /// Passes the script's scratch folder (`$__TEST_DIR__`), once it exists, to an engine that keeps scripts away from
    /// other files.
    fn scratch(&mut self, _folder: &Path) {}

    /// Opens the script's database again, or another one in its place; its sessions have been dropped.
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

    /// Connections that run SQL at the same time, for the passes of a concurrent loop; none if the engine has no such thing.
    ///
    /// # Errors
    /// The engine cannot be asked.
    fn together(&mut self) -> Result<Option<Box<dyn Together>>, EngineError> {
        Ok(None)
    }

    /// Keeps the database when this is dropped, for inspection, and says what and where it is; `None` if there is
    /// nothing to keep.
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

    /// Runs one record's SQL, and puts the result into `rows`, which is empty.
    fn run(&mut self, request: Request<'_>, rows: &mut Rows) -> Result<Done, EngineError>;

    /// Returns a function that stops a running request from another thread, if the engine supports it.
    fn interrupter(&self) -> Option<Interrupter> {
        None
    }

    /// Checks what the script has left behind. Called once for each connection after the last record, if no record failed.
    ///
    /// # Errors
    /// What is wrong, which fails the script.
    fn after_script(&mut self) -> Result<(), EngineError> {
        Ok(())
    }

    /// Waits, for `sleep` and `retry`.
    fn sleep(&mut self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

/// Connections that run SQL at the same time: one for each pass of a loop, which has at most one request under way.
pub trait Together {
    /// Begins a request on the connection of a pass. Passes are numbered from 0.
    ///
    /// # Errors
    /// It could not be begun; [`next`](Together::next) does not yield it then.
    fn begin(&mut self, pass: u64, request: Request<'_>) -> Result<(), EngineError>;

    /// Waits for the request that ends next, puts what it returns into `rows`, which is empty, and returns its pass.
    ///
    /// # Errors
    /// Nothing more can be learnt of any request.
    fn next(&mut self, rows: &mut Rows) -> Result<(u64, Result<Done, EngineError>), EngineError>;
}

/// Stops the running request, if any, from any thread.
pub type Interrupter = Arc<dyn Fn() + Send + Sync>;

/// A request is what a session is asked to run.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Request<'a> {
    /// The SQL: the bytes of the file, which need not be UTF-8 in a classic script.
    pub sql: &'a [u8],
    /// The declared column letters of a query, such as `IIT`; none for a statement.
    pub letters: Option<&'a [u8]>,
    /// The formatting rules for the values.
    pub dialect: Dialect,
}

impl<'a> Request<'a> {
    /// A request, for an engine that passes its own to another one.
    pub fn new(sql: &'a [u8], letters: Option<&'a [u8]>, dialect: Dialect) -> Self {
        Request { sql, letters, dialect }
    }
}
