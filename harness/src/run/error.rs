//! Why a run could not start or finish.

use std::error::Error;
use std::io;
use std::path::Path;

use crate::config::ReferenceError;
use crate::engine::{ChoiceError, EngineError};
use crate::known::KnownError;
use crate::process::ProcessError;
use crate::queue::{PlanError, QueueError};
use crate::suite::SuiteError;
use crate::summary::ExitStatus;
use crate::supervisor::SupervisorError;

/// Why a run could not start or finish.
#[derive(Debug, thiserror::Error)]
pub(super) enum RunError {
    #[error(transparent)]
    Suite(#[from] SuiteError),
    #[error("`--engine`: {0}")]
    Engine(#[from] ChoiceError),
    #[error(transparent)]
    ReferenceChoice(#[from] ReferenceError),
    #[error("cannot connect to the reference {name}, so no file was run: {error}")]
    Reference { name: String, error: EngineError },
    #[error(transparent)]
    Known(#[from] KnownError),
    #[error("{place}: `known-failures`")]
    KnownInSettings { place: String, source: KnownError },
    #[error("{0} (`--exact` needs whole names)")]
    NoSuchName(String),
    #[error("{0}")]
    NoMatch(String),
    #[error("{0}")]
    Excerpt(String),
    #[error("{0}")]
    Last(String),
    #[error("`--shard-history`: cannot read `{path}`: {source}")]
    ShardHistory { path: String, source: io::Error },
    #[error("cannot write to `{path}`: {source}")]
    Log { path: String, source: io::Error },
    #[error("cannot write the results: {0}")]
    Output(#[from] io::Error),
    #[error("cannot use `{path}` for results: {why}")]
    Results { path: String, why: String },
    #[error("`--queue` (or `SLT_QUEUE`) {0}: use the path of a file, or `postgres://…`")]
    QueuePath(String),
    #[error("{0}")]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Supervisor(#[from] SupervisorError),
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error("the set-up of the run (`before_run`) failed, so no file was run: {0}")]
    SetUp(String),
}

impl RunError {
    /// The error for a folder for results that cannot be used.
    pub(super) fn results(path: &Path, error: &io::Error) -> RunError {
        RunError::Results { path: path.display().to_string(), why: why_no_folder(path, error) }
    }

    /// The exit code for this error.
    pub(super) fn status(&self) -> ExitStatus {
        match self {
            RunError::Suite(_)
            | RunError::Engine(_)
            | RunError::ReferenceChoice(ReferenceError::Engine(_))
            | RunError::Known(_)
            | RunError::KnownInSettings { .. }
            | RunError::NoSuchName(_)
            | RunError::Excerpt(_)
            | RunError::Last(_)
            | RunError::ShardHistory { .. }
            | RunError::QueuePath(_)
            | RunError::Log { .. } => ExitStatus::Usage,
            RunError::NoMatch(_) => ExitStatus::Nothing,
            _ => ExitStatus::Broken,
        }
    }
}

/// Why a folder cannot be used; names the file that is in its place, if there is one.
pub(super) fn why_no_folder(path: &Path, error: &io::Error) -> String {
    match path.ancestors().find(|part| part.is_file()) {
        Some(file) if file == path => "it is a file, not a folder".to_owned(),
        Some(file) => format!("`{}` is a file, not a folder", file.display()),
        None => error.to_string(),
    }
}

/// An error with its causes, the outermost first.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        let words = words.trim_end();
        if !text.contains(words) {
            text.push_str(&format!(": {words}"));
        }
        cause = inner.source();
    }
    text
}
