//! Why a subcommand could not do what it was asked to.

use std::io;

use super::runs::RunsError;
use crate::outcome::ResultsError;
#[cfg(feature = "sqlite")]
use crate::suite::SuiteError;
use crate::summary::ExitStatus;

#[derive(Debug, thiserror::Error)]
pub(super) enum CommandError {
    #[error(transparent)]
    Runs(#[from] RunsError),
    #[error("no preset is named `{name}`: there are {known}")]
    UnknownPreset { name: String, known: String },
    #[cfg(feature = "sqlite")]
    #[error(transparent)]
    Query(#[from] QueryError),
    #[cfg(not(feature = "sqlite"))]
    #[error("`query` needs SQLite, which this program was built without: build it with the cargo feature `sqlite`")]
    NoSqlite,
    #[error("cannot write `{path}`")]
    Write { path: String, source: io::Error },
    #[error("wrote `{path}`, but no program here opens it: open it in a browser by hand")]
    Open { path: String, source: io::Error },
    #[error("`--open` opens a file, and `--output -` writes none")]
    NothingToOpen,
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

/// Why a query has no answer.
#[cfg(feature = "sqlite")]
#[derive(Debug, thiserror::Error)]
pub(super) enum QueryError {
    #[error("{message}\n{place}")]
    Sql { message: String, place: String },
    #[error("{0}; the tables and columns are in `slt query --help`")]
    Sqlite(#[from] rusqlite::Error),
    #[error("only one SELECT can be run: the tables are a copy in memory, and nothing else can be reached or changed")]
    NotASelect,
    #[error("there is no SQL in the query")]
    Empty,
    #[error(transparent)]
    Runs(#[from] RunsError),
    #[error(transparent)]
    Suite(#[from] SuiteError),
    #[error("cannot write the rows: {0}")]
    Write(#[from] io::Error),
}

impl CommandError {
    /// The exit code: `Usage` if the user can correct what was typed, otherwise `Broken`.
    pub(super) fn status(&self) -> ExitStatus {
        match self {
            CommandError::Runs(error) => runs(error),
            #[cfg(feature = "sqlite")]
            CommandError::Query(error) => match error {
                QueryError::Runs(error) => runs(error),
                QueryError::Write(_) => ExitStatus::Broken,
                _ => ExitStatus::Usage,
            },
            CommandError::UnknownPreset { .. } | CommandError::NothingToOpen => ExitStatus::Usage,
            #[cfg(not(feature = "sqlite"))]
            CommandError::NoSqlite => ExitStatus::Usage,
            CommandError::Write { .. } | CommandError::Open { .. } | CommandError::Output(_) => ExitStatus::Broken,
        }
    }
}

fn runs(error: &RunsError) -> ExitStatus {
    match error {
        RunsError::Results(ResultsError::Format { .. } | ResultsError::Newer { .. }) | RunsError::List { .. } => {
            ExitStatus::Broken
        }
        _ => ExitStatus::Usage,
    }
}
