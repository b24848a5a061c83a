//! Why a record failed, and what it would have to expect instead.

use super::comparison::{Differing, Mismatch, Texts};
use super::rewrite::Correction;

/// The expected and the actual result.
pub(crate) enum Results {
    /// The rows of a query. They become text only after the verdict, and outside every time limit.
    Rows,
    /// Results that are already text.
    Texts(Box<Texts>),
}

/// Why a record failed: a message and, for results, the expected and the actual one.
pub(crate) struct Complaint {
    pub(crate) message: String,
    pub(crate) results: Option<Results>,
    /// What the record would have to expect instead, or why it cannot be rewritten.
    pub(crate) correction: Result<Box<Correction>, String>,
    /// Whether a function of the engine's author panicked, which ends the script.
    pub(crate) panicked: bool,
    /// Whether the judged engine returned the same result. Set only if this engine is the reference, and the dialect has
    /// already compared the two results.
    pub(crate) is_alike: Option<bool>,
}

impl From<String> for Complaint {
    fn from(message: String) -> Self {
        let correction = Err("only results of statements and queries can be written".to_owned());
        Complaint { message, results: None, correction, panicked: false, is_alike: None }
    }
}

impl Complaint {
    pub(crate) fn corrected_by(message: impl Into<String>, correction: Correction) -> Self {
        Complaint { correction: Ok(Box::new(correction)), ..Complaint::from(message.into()) }
    }
}

impl From<Mismatch> for Complaint {
    fn from(mismatch: Mismatch) -> Self {
        let results = mismatch.results.map(|results| {
            let Differing { expected, actual, compared, shape, sorted, returned } = *results;
            let compared = compared.map(|actual| (expected.clone(), actual));
            Results::Texts(Box::new(Texts { expected, actual, compared, shape, sorted, returned }))
        });
        Complaint { results, ..Complaint::from(mismatch.message) }
    }
}
