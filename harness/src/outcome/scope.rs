//! How the files of a run were chosen.

use serde::{Deserialize, Serialize};

use crate::suite::Filter;

/// A scope says how the files of a run were chosen. Together with the names in the outcomes, it distinguishes a file
/// that no longer exists from one that the run did not cover.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Scope {
    /// The roots of the suite, relative to the folder where the run started if they are inside it.
    pub roots: Vec<String>,
    /// How many files the suite has; absent if they were not counted, because the user requested one file by its exact
    /// name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suite: Option<u64>,
    /// The filters that selected the files.
    #[serde(flatten)]
    pub filter: Filter,
}
