//! Stands in for lists of known failures where the feature `toml` is off: none can be read or written.

use std::path::Path;

use super::{Judge, KnownError, KnownFailures, Listed};
use crate::outcome::Outcome;

/// No list can be read.
pub(super) fn read(_: &str, _: &str) -> Result<Vec<(usize, Listed)>, KnownError> {
    Err(KnownError::MissingFeature)
}

impl KnownFailures {
    /// No list can be written.
    ///
    /// # Errors
    /// Always.
    pub fn write_first<'o>(
        _: &Path,
        _: Option<&str>,
        _: impl IntoIterator<Item = &'o Outcome>,
    ) -> Result<usize, KnownError> {
        Err(KnownError::MissingFeature)
    }
}

impl Judge {
    /// No list can be changed.
    ///
    /// # Errors
    /// Always.
    pub fn take_off<'o>(&self, _: impl IntoIterator<Item = &'o Outcome>) -> Result<Vec<String>, KnownError> {
        Err(KnownError::MissingFeature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_feature_a_list_is_an_error_and_not_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("known.toml");
        std::fs::write(&list, "").unwrap();
        assert!(matches!(KnownFailures::read(&list), Err(KnownError::MissingFeature)));
        let first = KnownFailures::write_first(&folder.path().join("new.toml"), None, []);
        assert!(first.unwrap_err().to_string().contains("switch on the feature `toml`"));
    }
}
