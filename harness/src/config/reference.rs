//! What `--reference` names: a second engine, or the results of another run.

use std::path::{Path, PathBuf};

use clap::Args;

use super::headings::EXPECTED;
use super::secret::{REFERENCE, Secret, secret};
use crate::engine::{Choice, ChoiceError};
use crate::outcome::ResultsError;
use crate::trial::Reference;

/// The flag of commands that compare with a second engine.
#[derive(Debug, Clone, Args)]
pub struct ReferenceFlag {
    /// A second engine, as for `--engine`, or the results file of another run: each record also runs there, or is
    /// looked up, and failures show who agrees with the script. It changes no verdict. `none` for no reference
    #[arg(long, value_name = "ENGINE", env = REFERENCE, value_parser = secret, hide_env_values = true, help_heading = EXPECTED)]
    reference: Option<Secret>,
}

/// The choice of a reference. Its `Display` hides passwords.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReferenceChoice {
    /// A second engine.
    Engine(Choice),
    /// The results file of another run.
    Results(PathBuf),
}

/// Why a reference cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReferenceError {
    /// The engine is invalid, or this program was built without it.
    #[error("`--reference`: {0}")]
    Engine(#[from] ChoiceError),
    /// The file does not hold the results of a run.
    #[error("`--reference`: {0}")]
    Results(#[from] ResultsError),
}

impl ReferenceFlag {
    /// The reference that the user names, if any.
    ///
    /// # Errors
    /// It is neither an engine of this program nor a file.
    pub(crate) fn choice(&self) -> Result<Option<ReferenceChoice>, String> {
        self.chosen("; or name the results file of another run")
    }

    /// What the user names; `others` says what may be named besides engines.
    fn chosen(&self, others: &str) -> Result<Option<ReferenceChoice>, String> {
        let named = self.reference.as_ref().map(Secret::text).filter(|text| *text != NO_REFERENCE);
        let Some(text) = named else { return Ok(None) };
        let error = |error| format!("`--reference` (or `{REFERENCE}`): {error}");
        let choice: Choice = match text.parse() {
            Err(ChoiceError::Unknown { .. }) if text.ends_with(".json") || Path::new(text).is_file() => {
                return Ok(Some(ReferenceChoice::Results(text.into())));
            }
            Err(unknown @ ChoiceError::Unknown { near: None, .. }) => {
                return Err(format!("{}{others}", error(unknown)));
            }
            choice => choice.map_err(error)?,
        };
        choice.engine().map_err(error)?;
        Ok(Some(ReferenceChoice::Engine(choice)))
    }

    /// The engine that the user names as the reference, if any; for a command that has to run SQL there.
    ///
    /// # Errors
    /// The reference is not an engine of this program.
    pub(crate) fn engine(&self) -> Result<Option<Choice>, String> {
        match self.chosen("")? {
            None => Ok(None),
            Some(ReferenceChoice::Engine(choice)) => Ok(Some(choice)),
            Some(ReferenceChoice::Results(path)) => Err(format!(
                "`--reference`: `{}` holds what a run has recorded, and this command has to run SQL: name an engine",
                path.display()
            )),
        }
    }

    /// Whether the user asks for no reference (`none`).
    #[cfg(feature = "commands")]
    pub(crate) fn is_none(&self) -> bool {
        self.reference.as_ref().is_some_and(|text| text.text() == NO_REFERENCE)
    }
}

/// What the user types for no reference.
const NO_REFERENCE: &str = "none";

impl ReferenceChoice {
    /// The reference. An engine is not connected yet; results are read.
    ///
    /// # Errors
    /// The engine is not one of this program; the file does not hold results.
    pub(crate) fn reference(&self) -> Result<Reference, ReferenceError> {
        match self {
            ReferenceChoice::Engine(choice) => Ok(Reference::new(choice.engine()?)),
            ReferenceChoice::Results(path) => Ok(Reference::recorded(path)?),
        }
    }

    /// The reference as the user typed it, with its password: only for the environment of another process.
    pub(crate) fn secret(&self) -> String {
        match self {
            ReferenceChoice::Engine(choice) => choice.secret(),
            ReferenceChoice::Results(path) => path.to_string_lossy().into_owned(),
        }
    }
}
