//! `skipif` and `onlyif`: which records apply to an engine.

/// Labels are the names that `skipif` and `onlyif` know an engine by; letter case does not count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels(Vec<String>);

impl Labels {
    /// Labels from names; empty ones are left out.
    pub fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Labels(names.into_iter().map(Into::into).filter(|name| !name.is_empty()).collect())
    }

    /// The first label: what messages call the engine.
    pub fn name(&self) -> &str {
        self.0.first().map_or("this engine", String::as_str)
    }

    /// Whether `condition` excludes an engine with these labels.
    pub fn exclude(&self, condition: Condition<'_>) -> bool {
        match condition {
            Condition::SkipIf(name) => self.contain(name),
            Condition::OnlyIf(name) => !self.contain(name),
        }
    }

    fn contain(&self, name: &[u8]) -> bool {
        self.0.iter().any(|label| label.as_bytes().eq_ignore_ascii_case(name))
    }
}

/// A condition is one `skipif` or `onlyif` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition<'a> {
    /// Leave the record out on this engine.
    SkipIf(&'a [u8]),
    /// Run the record on no other engine.
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
