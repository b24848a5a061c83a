//! Decides which files a suite leaves out.

use std::sync::Arc;

use glob::Pattern;

/// Exclusions are patterns of names, each with the reason why its files are left out.
#[derive(Debug, Clone, Default)]
pub(super) struct Exclusions(Vec<(String, Arc<str>)>);

impl Exclusions {
    pub(super) fn add(&mut self, patterns: impl Iterator<Item = String>, reason: &str) {
        let reason: Arc<str> = reason.into();
        self.0.extend(patterns.map(|pattern| (pattern, Arc::clone(&reason))));
    }

    /// The reason why the file with that name is left out, from the first pattern that matches; `None` if it is not.
    pub(super) fn reason(&self, name: &str) -> Option<Arc<str>> {
        let matches = |pattern: &str| Pattern::new(pattern).is_ok_and(|pattern| pattern.matches(name));
        self.0.iter().find(|(pattern, _)| matches(pattern)).map(|(_, reason)| Arc::clone(reason))
    }

    /// All patterns.
    pub(super) fn words(&self) -> Vec<String> {
        self.0.iter().map(|(pattern, _)| pattern.clone()).collect()
    }

    /// The first pattern that is malformed, and what is wrong with it.
    pub(super) fn malformed(&self) -> Option<(&str, String)> {
        self.0.iter().find_map(|(pattern, _)| Some((pattern.as_str(), Pattern::new(pattern).err()?.to_string())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_pattern_that_matches_gives_the_reason() {
        let mut exclusions = Exclusions::default();
        exclusions.add(["tpch/**".to_owned()].into_iter(), "slow");
        exclusions.add(["**/q1.slt".to_owned(), "gis*".to_owned()].into_iter(), "off");
        let reason = |name: &str| exclusions.reason(name).map(|reason| reason.to_string());
        assert_eq!(reason("tpch/q1.slt").as_deref(), Some("slow"));
        assert_eq!((reason("a/q1.slt").as_deref(), reason("gis/a/b.slt").as_deref()), (Some("off"), Some("off")));
        assert_eq!((reason("a/gis.slt"), reason("tpch.slt")), (None, None));
        assert_eq!(exclusions.malformed(), None);
        exclusions.add(["a[".to_owned()].into_iter(), "x");
        assert_eq!(exclusions.malformed().map(|(pattern, _)| pattern), Some("a["));
    }
}
