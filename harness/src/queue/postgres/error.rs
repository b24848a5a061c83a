//! What can go wrong with a queue on a server.

use std::time::Duration;

use crate::engine::ChoiceError;
use crate::engine::postgres::address::with_cause;
use crate::queue::QueueError;

/// Why a queue on a server is of no use. Servers are named without passwords.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The URL cannot be used.
    #[error("`--queue`: {0}")]
    Url(#[from] ChoiceError),
    /// The server cannot be reached, or lets nobody in.
    #[error("cannot connect to the queue `{queue}`: {why}")]
    Connect {
        /// The server.
        queue: String,
        /// What it, or the way to it, says.
        why: String,
    },
    /// A connection was lost and could not be made again.
    #[error("no connection to the queue `{queue}` for {} s: {why}", .waited.as_secs())]
    GaveUp {
        /// The server.
        queue: String,
        /// How long that was tried.
        waited: Duration,
        /// What came of the last attempt.
        why: String,
    },
    /// The server refused a statement.
    #[error("the queue `{queue}` cannot be used: {why}")]
    Refused {
        /// The server.
        queue: String,
        /// Its words.
        why: String,
    },
    /// The user may not make the tables.
    #[error(
        "cannot make the schema `slt_queue` in `{queue}`: {why}; the user needs the right CREATE on that database, or \
         somebody who has it makes the first run"
    )]
    NoRights {
        /// The server.
        queue: String,
        /// Its words.
        why: String,
    },
    /// The tables were made by a newer program.
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
    /// The run that was joined is not there any more, or not whole.
    #[error("run `{run}` in `{queue}` was {how} during the run")]
    Wiped {
        /// The server.
        queue: String,
        /// The run.
        run: String,
        /// `deleted`, or what else became of it.
        how: &'static str,
    },
    /// Others took this participant for dead.
    #[error(
        "worker {worker} was taken for dead in `{queue}`: for too long nothing was heard of it, and others have its work"
    )]
    TakenForDead {
        /// The server.
        queue: String,
        /// The participant's number.
        worker: u32,
    },
    /// Something that no participant has written.
    #[error("run `{run}` in `{queue}` is damaged: {what}")]
    Damaged {
        /// The server.
        queue: String,
        /// The run.
        run: String,
        /// What is wrong.
        what: String,
    },
    /// The system refused what a connection needs.
    #[error("cannot {what} for the queue `{queue}`: {source}")]
    System {
        /// The server.
        queue: String,
        /// What was tried.
        what: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
}

impl From<ServerError> for QueueError {
    fn from(error: ServerError) -> Self {
        QueueError::Storage(Box::new(error))
    }
}

/// An error in words: the server's own, if it is one of the server's.
pub(super) fn words(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => said.message().to_owned(),
        None => with_cause(error),
    }
}
