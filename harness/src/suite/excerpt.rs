//! One record of a test file, which is a trial of its own.

use super::TestFile;

/// An excerpt of a script is one record of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Excerpt {
    /// The line that the user has named.
    pub named: u64,
    /// The line of the record's directive.
    pub line: u64,
    /// Whether the record runs alone; otherwise all before it is run too, without being judged.
    pub alone: bool,
}

impl TestFile {
    /// The same file, of which only this record is judged.
    #[must_use]
    pub fn with_excerpt(self, excerpt: Excerpt) -> Self {
        let suffix = format!(":{}", excerpt.named);
        let (name, rust_path) = (self.name + &suffix, self.rust_path + &suffix);
        TestFile { name, rust_path, excerpt: Some(excerpt), ..self }
    }

    /// The name of the whole script.
    pub fn script(&self) -> &str {
        let suffix = self.excerpt.map(|excerpt| format!(":{}", excerpt.named)).unwrap_or_default();
        self.name.strip_suffix(&suffix).unwrap_or(&self.name)
    }
}
