//! What a run will do, in claim order.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

use crate::event::TrialId;

/// One trial of one pass.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PlanEntry {
    /// The trial's name.
    pub name: String,
    /// The pass over the suite, counted from 1.
    pub pass: u32,
}

impl PlanEntry {
    /// The trial `name` in pass `pass`.
    pub fn new(name: impl Into<String>, pass: u32) -> Self {
        PlanEntry { name: name.into(), pass }
    }

    /// The trial that this entry plans.
    pub fn trial(&self) -> TrialId<'_> {
        TrialId { name: &self.name, pass: self.pass }
    }
}

/// Every entry of a run in claim order, everything that verdicts depend on, and a hash of both.
///
/// The hash does not depend on the order. Two processes that know different past durations sort differently, but have the same
/// run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    entries: Vec<PlanEntry>,
    hash: String,
    /// A digest of each entry's file; empty if unknown.
    contents: Vec<String>,
    settings: Settings,
}

/// The values that verdicts depend on besides the files, by name: the engine, labels, time limits.
pub type Settings = BTreeMap<String, String>;

/// The setting of a run that rewrites its files, so that file contents cannot identify it.
pub const REWRITES: &str = "--bless";

/// Why a list of entries is not a valid plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The same trial is in the list twice for one pass.
    #[error("`{name}` is planned twice in pass {pass}")]
    Duplicate {
        /// The trial's name.
        name: String,
        /// The pass that has it twice.
        pass: u32,
    },
    /// More entries than a 32-bit index can hold.
    #[error("a plan of {0} entries is too long")]
    TooLong(usize),
}

impl Plan {
    /// A plan that claims `entries` from first to last.
    pub fn new(entries: Vec<PlanEntry>) -> Result<Self, PlanError> {
        if u32::try_from(entries.len()).is_err() {
            return Err(PlanError::TooLong(entries.len()));
        }
        let mut seen = HashSet::with_capacity(entries.len());
        if let Some(twice) = entries.iter().find(|entry| !seen.insert(*entry)) {
            return Err(PlanError::Duplicate { name: twice.name.clone(), pass: twice.pass });
        }
        Ok(Plan { entries, ..Plan::default() }.hashed())
    }

    /// A plan that was read back together with its hash. See [`Plan::is_intact`].
    pub(super) fn with_hash(entries: Vec<PlanEntry>, contents: Vec<String>, settings: Settings, hash: String) -> Self {
        Plan { entries, hash, contents, settings }
    }

    fn hashed(self) -> Self {
        Plan { hash: self.sum(), ..self }
    }

    /// The same plan, with a digest of each entry's file. If there is not exactly one digest for each entry, they are
    /// dropped.
    pub fn with_contents(self, contents: Vec<String>) -> Self {
        let contents = if contents.len() == self.entries.len() { contents } else { Vec::new() };
        Plan { contents, ..self }.hashed()
    }

    /// The same plan, with the other settings that verdicts depend on.
    pub fn with_settings(self, settings: Settings) -> Self {
        Plan { settings, ..self }.hashed()
    }

    /// The digest of the file of that entry, if known.
    pub fn content(&self, entry: usize) -> Option<&str> {
        self.contents.get(entry).map(String::as_str)
    }

    /// The settings that verdicts depend on, besides the files.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether the run rewrites its files: then a later participant cannot know whether the files are still those of
    /// the run.
    pub fn rewrites(&self) -> bool {
        self.settings.get(REWRITES).is_some_and(|bless| bless != CHECK && bless != REVIEW)
    }

    /// The entries in claim order.
    pub fn entries(&self) -> &[PlanEntry] {
        &self.entries
    }

    /// The MD5, in hex, of all entries sorted by name and pass, each written as name, NUL, pass, newline; if the
    /// content is known, NUL and the content come before the newline. Then come the settings, each as NUL, name, NUL,
    /// value, newline.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is nothing to do. Such a run is complete from the start, but must not count as green.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether the hash matches the plan.
    pub fn is_intact(&self) -> bool {
        self.sum() == self.hash
    }

    fn sum(&self) -> String {
        let mut sorted: Vec<(&PlanEntry, Option<&String>)> =
            self.entries.iter().enumerate().map(|(index, entry)| (entry, self.contents.get(index))).collect();
        sorted.sort_unstable();
        let mut md5 = Md5::new();
        for (entry, content) in sorted {
            md5.update(&entry.name);
            md5.update([0]);
            md5.update(entry.pass.to_string());
            if let Some(content) = content {
                md5.update([0]);
                md5.update(content);
            }
            md5.update(b"\n");
        }
        for (name, value) in &self.settings {
            md5.update([0]);
            md5.update(name);
            md5.update([0]);
            md5.update(value);
            md5.update(b"\n");
        }
        md5.finalize().iter().fold(String::with_capacity(32), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

/// The value of [`REWRITES`] for a run that only shows the rewritten text.
pub const CHECK: &str = "check";

/// The value of [`REWRITES`] for a run that writes the new text beside the files.
pub const REVIEW: &str = "review";

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(names: &[(&str, u32)]) -> Plan {
        Plan::new(names.iter().map(|&(name, pass)| PlanEntry::new(name, pass)).collect()).unwrap()
    }

    #[test]
    fn the_hash_covers_names_and_passes_but_not_their_order() {
        let hash = plan(&[("a", 1), ("b", 1)]).hash().to_owned();
        assert_eq!(hash, plan(&[("b", 1), ("a", 1)]).hash());
        assert_ne!(hash, plan(&[("a", 1), ("b", 2)]).hash());
        assert_ne!(hash, plan(&[("a", 1)]).hash());
        assert_ne!(plan(&[("a", 11)]).hash(), plan(&[("a1", 1)]).hash());
        assert_ne!(plan(&[]).hash(), hash);
    }

    #[test]
    fn the_hash_is_the_one_documented() {
        // printf 'a\0001\nb\0001\n' | md5sum
        assert_eq!(plan(&[("a", 1), ("b", 1)]).hash(), "9371b9ca380bdf094bebb92e7cf64481");
    }

    #[test]
    fn the_hash_covers_contents_and_settings() {
        let contents = |texts: [&str; 3]| texts.map(str::to_owned).to_vec();
        let settings = |value: &str| Settings::from([("engine".to_owned(), value.to_owned())]);
        let plain = plan(&[("a", 1), ("b", 1), ("b", 2)]);
        let ours = plain.clone().with_contents(contents(["y", "z", "z"])).with_settings(settings("one"));
        let theirs = plan(&[("b", 2), ("b", 1), ("a", 1)]).with_settings(settings("one"));
        let theirs = theirs.with_contents(contents(["z", "z", "y"]));
        assert_eq!(ours.hash(), theirs.hash());
        assert!(ours.is_intact() && ours.content(1) == Some("z") && ours.content(3).is_none());
        for other in [
            plain.clone(),
            plain.clone().with_contents(contents(["y", "z", "z"])),
            ours.clone().with_contents(contents(["x", "z", "z"])),
            ours.clone().with_contents(Vec::new()),
            ours.clone().with_settings(settings("two")),
            ours.clone().with_settings(Settings::new()),
        ] {
            assert_ne!(ours.hash(), other.hash());
        }
        // printf 'a\0001\0x\n\0k\0v\n' | md5sum
        let documented = plan(&[("a", 1)]).with_contents(vec!["x".into()]);
        let documented = documented.with_settings(Settings::from([("k".into(), "v".into())]));
        assert_eq!(documented.hash(), "5372f3a0708476fde5ce2a516d78b870");
    }

    #[test]
    fn a_trial_is_planned_once_in_each_pass() {
        let twice = Plan::new(vec![PlanEntry::new("a", 1), PlanEntry::new("a", 2), PlanEntry::new("a", 1)]);
        assert_eq!(twice.unwrap_err().to_string(), "`a` is planned twice in pass 1");
    }
}
