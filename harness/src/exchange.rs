//! What a script and an engine exchange: results, errors, and requests for the script's database.
//!
//! [`engine`](crate::engine) re-exports these types for engines. They are in a module of their own because dialects need
//! them, and engines need the dialects.

use std::path::Path;

mod rows;

pub use rows::Rows;

/// How a database is opened during a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Opening<'o> {
    /// A file, or a new database in memory.
    Load {
        /// The file; `None` for a database in memory.
        path: Option<&'o Path>,
        /// Whether it is opened read-only.
        read_only: bool,
        /// The version of the storage format, as the engine names it.
        version: Option<&'o str>,
    },
    /// The current database, opened again. Data in memory is lost.
    Restart {
        /// Whether the extensions that the script requires are loaded again.
        extensions: bool,
    },
}

impl Opening<'_> {
    /// The directive that requests this.
    pub fn word(&self) -> &'static str {
        match self {
            Opening::Load { .. } => "load",
            Opening::Restart { .. } => "restart",
        }
    }
}

/// The result of a request that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It returned rows, perhaps none.
    Rows,
    /// It changed this many rows.
    Changed(u64),
}

/// An error that an engine returned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct EngineError {
    /// The engine's message.
    pub message: String,
    /// The five characters of SQLSTATE, if the engine reports them.
    pub sqlstate: Option<String>,
    /// What kind of error it is.
    pub kind: ErrorKind,
}

/// What an error means for the script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The engine returned it for the SQL. Only this kind counts as an error that a script expects.
    Sql,
    /// The engine ran out of memory.
    OutOfMemory,
    /// The connection is lost, so the error says nothing about the SQL.
    Lost,
    /// The SQL could not be sent to the engine unchanged, so the error is not the engine's.
    Refused,
    /// The script is not for this engine: if opening the script's first connection returns this, the script is left
    /// out, and the message is the reason.
    Skip,
}

impl EngineError {
    /// An error that the engine returned for the SQL, without SQLSTATE.
    pub fn new(message: impl Into<String>) -> Self {
        EngineError { message: message.into(), sqlstate: None, kind: ErrorKind::Sql }
    }

    /// The same error, of this kind.
    #[must_use]
    pub fn of_kind(self, kind: ErrorKind) -> Self {
        EngineError { kind, ..self }
    }

    /// The same error, with the five characters of SQLSTATE.
    #[must_use]
    pub fn with_sqlstate(self, sqlstate: Option<String>) -> Self {
        EngineError { sqlstate, ..self }
    }

    /// Whether the connection is lost.
    pub(crate) fn is_lost(&self) -> bool {
        self.kind == ErrorKind::Lost
    }

    /// An error that ends the connection. It never counts as an error that a script expects.
    pub fn lost(message: impl Into<String>) -> Self {
        EngineError::new(message).of_kind(ErrorKind::Lost)
    }

    /// An error for SQL that cannot be sent to the engine. It never counts as an error that a script
    /// expects.
    pub fn refused(message: impl Into<String>) -> Self {
        EngineError::new(message).of_kind(ErrorKind::Refused)
    }

    /// The answer of an engine that does not support a script: the script is `ignored`, with this reason.
    pub fn skip(reason: impl Into<String>) -> Self {
        EngineError::new(reason).of_kind(ErrorKind::Skip)
    }
}
