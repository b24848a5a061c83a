//! `skipif` and `onlyif`: they decide which records apply to an engine.

/// Labels are an engine's names in `skipif` and `onlyif`; letter case does not count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels {
    names: Vec<String>,
    /// Whether the engine is unknown. Then no condition excludes a record, but each one may do so for some engines.
    undecided: bool,
}

impl Labels {
    /// Labels from names; empty ones are left out.
    pub fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let names = names.into_iter().map(Into::into).filter(|name| !name.is_empty()).collect();
        Labels { names, undecided: false }
    }

    /// The labels of an unknown engine: all records are read, and only a `halt` without conditions ends a script.
    pub fn undecided() -> Self {
        Labels { names: Vec::new(), undecided: true }
    }

    /// Whether these are the labels of an unknown engine.
    pub fn are_undecided(&self) -> bool {
        self.undecided
    }

    /// The first label: the engine's name in messages.
    pub fn name(&self) -> &str {
        self.names.first().map_or("this engine", String::as_str)
    }

    /// Whether `condition` excludes an engine with these labels.
    pub fn exclude(&self, condition: Condition<'_>) -> bool {
        match condition {
            _ if self.undecided => false,
            Condition::SkipIf(name) => self.contain(name),
            Condition::OnlyIf(name) => !self.contain(name),
        }
    }

    fn contain(&self, name: &[u8]) -> bool {
        self.names.iter().any(|label| label.as_bytes().eq_ignore_ascii_case(name))
    }
}

/// A condition is one `skipif` or `onlyif` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition<'a> {
    /// Skip the record on this engine.
    SkipIf(&'a [u8]),
    /// Run the record only on this engine.
    OnlyIf(&'a [u8]),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_label_counts_and_case_does_not() {
        let labels = Labels::new(["SQLite", "", "embedded"]);
        assert!(labels.exclude(Condition::SkipIf(b"sqlite")));
        assert!(!labels.exclude(Condition::OnlyIf(b"EMBEDDED")));
        assert!(labels.exclude(Condition::OnlyIf(b"mysql")));
        assert!(!labels.exclude(Condition::SkipIf(b"")));
        assert_eq!(labels.name(), "SQLite");
    }
}
