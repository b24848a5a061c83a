//! Values that may contain a password, and the variables that pass them on.

use std::convert::Infallible;
use std::fmt;

/// The variable that names the reference.
pub(crate) const REFERENCE: &str = "SLT_REFERENCE";

/// The variable that names the engine.
pub(crate) const ENGINE: &str = "SLT_ENGINE";

/// A text that is never shown, not even in an error that it cannot be used.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// The text.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// Takes any text. A later check reports whether it can be used, without repeating it.
pub(crate) fn secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret(text.to_owned()))
}
