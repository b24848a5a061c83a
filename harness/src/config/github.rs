//! Reads the variables that GitHub sets.

use std::path::PathBuf;

/// What a run reports to GitHub, if GitHub runs it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GitHub {
    /// The file for the job summary (`GITHUB_STEP_SUMMARY`).
    pub summary: Option<PathBuf>,
    /// The checkout whose lines are annotated (`GITHUB_WORKSPACE`, if `GITHUB_ACTIONS` is `true`).
    pub repository: Option<PathBuf>,
}

impl GitHub {
    /// What this process's environment asks for.
    pub fn from_env() -> Self {
        let path = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let on_github = std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true");
        let here = || std::env::current_dir().unwrap_or_default();
        GitHub {
            summary: path("GITHUB_STEP_SUMMARY"),
            repository: on_github.then(|| path("GITHUB_WORKSPACE").unwrap_or_else(here)),
        }
    }
}
