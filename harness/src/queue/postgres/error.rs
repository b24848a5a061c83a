//! Errors of a queue on a server.

use std::time::Duration;

use crate::engine::ChoiceError;
use crate::engine::postgres::address::with_cause;
use crate::queue::QueueError;

/// Why a queue on a server cannot be used. Messages name servers without passwords.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The URL is invalid.
    #[error("`--queue`: {0}")]
    Url(#[from] ChoiceError),
    /// The server cannot be reached, or refuses the login.
    #[error("cannot connect to the queue `{queue}`: {why}")]
    Connect {
        /// The server.
        queue: String,
        /// The error from the server or the network.
        why: String,
    },
    /// A connection was lost and could not be restored.
    #[error("no connection to the queue `{queue}` for {} s: {why}", .waited.as_secs())]
    GaveUp {
        /// The server.
        queue: String,
        /// How long this process tried.
        waited: Duration,
        /// The error of the last attempt.
        why: String,
    },
    /// The server refused a statement.
    #[error("the queue `{queue}` cannot be used: {why}")]
    Refused {
        /// The server.
        queue: String,
        /// The server's error.
        why: String,
    },
    /// The user may not create the tables.
    #[error(
        "cannot make the schema `slt_queue` in `{queue}`: {why}; the user needs the right CREATE on that database, or \
         let a user who has it make the first run"
    )]
    NoRights {
        /// The server.
        queue: String,
        /// The server's error.
        why: String,
    },
    /// A newer program created the tables.
    #[error(
        "the queue `{queue}` has format version {version}, and this program knows {known}: use another database, or the \
         release that made it"
    )]
    NewerVersion {
        /// The server.
        queue: String,
        /// The version on the server.
        version: i32,
        /// The newest version that can be read.
        known: i32,
    },
    /// The run that was joined no longer exists, or not completely.
    #[error("run `{run}` in `{queue}` was {how} during the run")]
    Wiped {
        /// The server.
        queue: String,
        /// The run.
        run: String,
        /// `deleted`, or what else happened to it.
        how: &'static str,
    },
    /// Other participants have declared this one lost.
    #[error(
        "worker {worker} was declared lost in `{queue}`: it sent no heartbeat for too long, and others have its work"
    )]
    TakenForDead {
        /// The server.
        queue: String,
        /// The participant's number.
        worker: u32,
    },
    /// Data that no participant has written.
    #[error("run `{run}` in `{queue}` is damaged: {what}")]
    Damaged {
        /// The server.
        queue: String,
        /// The run.
        run: String,
        /// What is wrong.
        what: String,
    },
    /// The system refused a resource that a connection needs.
    #[error("cannot {what} for the queue `{queue}`: {source}")]
    System {
        /// The server.
        queue: String,
        /// The operation.
        what: &'static str,
        /// The system's error.
        source: std::io::Error,
    },
}

impl From<ServerError> for QueueError {
    fn from(error: ServerError) -> Self {
        QueueError::Storage(Box::new(error))
    }
}

/// An error as text: the server's own text, if the server reported it.
pub(super) fn words(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(answer) => answer.message().to_owned(),
        None => with_cause(error),
    }
}
