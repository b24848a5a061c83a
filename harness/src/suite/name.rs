//! The names of trials, and their categories.

use std::collections::BTreeMap;
use std::path::{MAIN_SEPARATOR, Path};

use super::TestFile;

/// The trial's name for a path below a root, or the reason why the path cannot be a name.
pub(super) fn name_of(relative: &Path) -> Result<String, String> {
    let Some(text) = relative.to_str() else {
        return Err(format!("  {relative:?} is not UTF-8"));
    };
    let name = text.replace(MAIN_SEPARATOR, "/");
    if name.chars().any(char::is_control) {
        Err(format!("  {name:?} holds a line break or another control character"))
    } else if name.starts_with('-') {
        Err(format!("  `{name}` begins with `-`, which a test runner takes for a flag"))
    } else {
        Ok(name)
    }
}

/// The first folder of a trial's name, or `.` for a file directly in the root.
pub fn category(name: &str) -> &str {
    name.split_once('/').map_or(".", |(first, _)| first)
}

/// How many files each category contains, in the order of the categories' names.
pub fn by_category(files: &[TestFile]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for file in files {
        *counts.entry(file.category()).or_default() += 1;
    }
    counts
}
