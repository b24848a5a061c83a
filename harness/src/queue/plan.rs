//! What a run is to do, in the order in which it is claimed.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;

use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

/// A plan entry is one trial of one pass.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PlanEntry {
    /// The trial's name.
    pub name: String,
    /// Which pass over the suite, counted from 1.
    pub pass: u32,
}

impl PlanEntry {
    /// The trial `name` in pass `pass`.
    pub fn new(name: impl Into<String>, pass: u32) -> Self {
        PlanEntry { name: name.into(), pass }
    }
}

/// A plan is every entry of a run, in claim order, and a hash that says which entries those are.
///
/// The hash does not depend on the order: two processes that know different past durations sort differently and
/// still mean the same run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    entries: Vec<PlanEntry>,
    hash: String,
    /// What each entry's file holds, in short; empty if that is not told.
    contents: Vec<String>,
}

/// Why a list of entries is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The same trial stands in the list twice for one pass.
    #[error("`{name}` is planned twice in pass {pass}")]
    Duplicate {
        /// The trial's name.
        name: String,
        /// The pass that has it twice.
        pass: u32,
    },
    /// More entries than an index of 32 bits can tell apart.
    #[error("a plan of {0} entries is too long")]
    TooLong(usize),
}

impl Plan {
    /// The plan that claims `entries` from first to last.
    pub fn new(entries: Vec<PlanEntry>) -> Result<Self, PlanError> {
        if u32::try_from(entries.len()).is_err() {
            return Err(PlanError::TooLong(entries.len()));
        }
        let mut seen = HashSet::with_capacity(entries.len());
        if let Some(twice) = entries.iter().find(|entry| !seen.insert(*entry)) {
            return Err(PlanError::Duplicate { name: twice.name.clone(), pass: twice.pass });
        }
        let hash = hash(&entries);
        Ok(Plan { entries, hash, contents: Vec::new() })
    }

    /// A plan that [`Plan::new`] made once, and that was kept with its hash. See [`Plan::is_intact`].
    pub(super) fn with_hash(entries: Vec<PlanEntry>, hash: String) -> Self {
        Plan { entries, hash, contents: Vec::new() }
    }

    /// The same plan, with what the file of each entry holds, in short: for queues whose participants may have other
    /// copies of the files. Anything but one text for each entry is taken for none.
    pub fn with_contents(self, contents: Vec<String>) -> Self {
        let contents = if contents.len() == self.entries.len() { contents } else { Vec::new() };
        Plan { contents, ..self }
    }

    /// What the file of that entry holds, in short, if that is known.
    pub fn content(&self, entry: usize) -> Option<&str> {
        self.contents.get(entry).map(String::as_str)
    }

    /// The names of the files of which `other` knows another content than this plan, sorted.
    pub fn differing<'p>(&'p self, other: &Plan) -> Vec<&'p str> {
        let known = |plan: &'p Plan| plan.entries.iter().zip(&plan.contents);
        let theirs: HashMap<&str, &String> =
            other.entries.iter().zip(&other.contents).map(|(entry, content)| (entry.name.as_str(), content)).collect();
        let differs = |name: &str, content: &String| theirs.get(name).is_some_and(|theirs| *theirs != content);
        let names = known(self).filter(|(entry, content)| differs(&entry.name, content)).map(|(entry, _)| &*entry.name);
        let names: BTreeSet<&str> = names.collect();
        names.into_iter().collect()
    }

    /// The entries in claim order.
    pub fn entries(&self) -> &[PlanEntry] {
        &self.entries
    }

    /// The MD5, in hex, of all entries sorted by name and pass, each written as name, NUL, pass, newline.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is nothing to do. Such a run is complete from the start, and nobody should call it green.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether the hash is (still) that of the entries.
    pub fn is_intact(&self) -> bool {
        hash(&self.entries) == self.hash
    }
}

fn hash(entries: &[PlanEntry]) -> String {
    let mut sorted: Vec<&PlanEntry> = entries.iter().collect();
    sorted.sort_unstable();
    let mut md5 = Md5::new();
    for entry in sorted {
        md5.update(&entry.name);
        md5.update([0]);
        md5.update(entry.pass.to_string());
        md5.update(b"\n");
    }
    md5.finalize().iter().fold(String::with_capacity(32), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(names: &[(&str, u32)]) -> Plan {
        Plan::new(names.iter().map(|&(name, pass)| PlanEntry::new(name, pass)).collect()).unwrap()
    }

    #[test]
    fn the_hash_knows_names_and_passes_but_not_their_order() {
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
    fn files_of_other_contents_are_named() {
        let contents = |texts: [&str; 3]| texts.map(str::to_owned).to_vec();
        let ours = plan(&[("a", 1), ("b", 1), ("b", 2)]);
        let theirs = plan(&[("b", 2), ("b", 1), ("a", 1)]).with_contents(contents(["x", "x", "y"]));
        assert_eq!(ours.differing(&theirs), [""; 0]);
        let ours = ours.with_contents(contents(["y", "z", "z"]));
        assert_eq!((ours.content(1), ours.content(3)), (Some("z"), None));
        assert_eq!(ours.differing(&theirs), ["b"]);
        assert_eq!(ours.hash(), theirs.hash());
        assert_eq!(ours.differing(&theirs.with_contents(Vec::new())), [""; 0]);
    }

    #[test]
    fn a_trial_is_planned_once_in_each_pass() {
        let twice = Plan::new(vec![PlanEntry::new("a", 1), PlanEntry::new("a", 2), PlanEntry::new("a", 1)]);
        assert_eq!(twice.unwrap_err().to_string(), "`a` is planned twice in pass 1");
    }
}
