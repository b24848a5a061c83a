//! The order of the next run: failed files first, then new or changed ones, then the others. Within each rank, by default, the
//! longest first. The duration of a new file is estimated from its text.
//!
//! Longest first is within 4/3 − 1/(3m) of the shortest possible run on m workers (Graham 1969). Starting with failed
//! files gives users the most important results early, and makes the most of a time budget.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::{History, stamp};
use crate::suite::TestFile;

/// How files are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Within each rank, the longest first.
    #[default]
    LongestFirst,
    /// Within each rank, randomly by this seed.
    Shuffled(u64),
}

/// The ranks, in the order in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    FailedLastTime,
    NewOrChanged,
    Passed,
}

impl Order {
    /// Sorts files by rank and, within a rank, by this order.
    ///
    /// `weights` estimates the work in each file, by name; the weight of a file without an entry is its size.
    pub fn sort(self, files: &mut [TestFile], history: &History, weights: &Weights) {
        let estimate = Estimate::new(files, history, weights);
        if let Order::Shuffled(seed) = self {
            shuffle(files, seed);
        }
        files.sort_by_cached_key(|file| {
            let length = if self == Order::LongestFirst { estimate.micros(file, history) } else { 0 };
            (rank(file, history), Reverse(length))
        });
    }
}

/// The estimated work in each file, by name, in arbitrary units.
pub type Weights = HashMap<String, u64>;

/// Whether the order of these files depends on their weights: one of them has no history.
pub fn wants_weights(files: &[TestFile], history: &History) -> bool {
    files.iter().any(|file| history.get(&file.name).is_none())
}

fn rank(file: &TestFile, history: &History) -> Rank {
    match history.get(&file.name) {
        Some(entry) if entry.failed() => Rank::FailedLastTime,
        Some(entry) if entry.stamp == stamp(&file.path) => Rank::Passed,
        _ => Rank::NewOrChanged,
    }
}

/// Estimates how long files take: a known file as long as last time; a new file by its weight, at the mean speed of the known
/// ones.
struct Estimate<'w> {
    weights: &'w Weights,
    micros_per_unit: f64,
}

impl<'w> Estimate<'w> {
    fn new(files: &[TestFile], history: &History, weights: &'w Weights) -> Self {
        let known =
            files.iter().filter_map(|file| Some((history.get(&file.name)?.wall_us, weight(file, weights) as f64)));
        let (micros, units) = known.fold((0, 0.0), |(micros, units), (m, w)| (micros + m, units + w));
        Estimate { weights, micros_per_unit: if units == 0.0 { 1.0 } else { micros as f64 / units } }
    }

    fn micros(&self, file: &TestFile, history: &History) -> u64 {
        match history.get(&file.name) {
            Some(entry) => entry.wall_us,
            None => (weight(file, self.weights) as f64 * self.micros_per_unit) as u64,
        }
    }
}

fn weight(file: &TestFile, weights: &Weights) -> u64 {
    weights.get(&file.name).copied().unwrap_or_else(|| file.path.metadata().map_or(0, |metadata| metadata.len()))
}

/// Shuffles by Fisher and Yates with numbers from SplitMix64 (Steele, Lea, Flood 2014): a seed gives the same order on
/// every machine and with every version of any library.
pub fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut state = seed;
    let mut random = move || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    for last in (1..items.len()).rev() {
        items.swap(last, (random() % (last as u64 + 1)) as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Outcome, Verdict};
    use std::fs;

    fn ordered(order: Order) -> Vec<String> {
        weighed(order, &Weights::new())
    }

    fn weighed(order: Order, weights: &Weights) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let mut files: Vec<TestFile> = ["long", "short", "failed", "new-small", "new-large", "changed"]
            .into_iter()
            .map(|name| {
                let path = folder.path().join(name);
                fs::write(&path, "x".repeat(if name == "new-large" { 1000 } else { 10 })).unwrap();
                TestFile {
                    name: name.into(),
                    rust_path: name.into(),
                    path,
                    root: folder.path().into(),
                    planned: None,
                    excerpt: None,
                    dialect: crate::dialect::Dialect::Classic,
                    excluded: None,
                }
            })
            .collect();
        let mut log = History::read(folder.path()).unwrap().log().unwrap();
        for (name, verdict, wall_us) in [
            ("long", Verdict::Passed, 900),
            ("short", Verdict::Passed, 100),
            ("failed", Verdict::Failed, 1),
            ("changed", Verdict::Passed, 5),
        ] {
            let file = files.iter().find(|file| file.name == name).unwrap();
            log.append(file, &Outcome { wall_us, ..Outcome::new(name, verdict) }, None).unwrap();
        }
        fs::write(folder.path().join("changed"), "something else").unwrap();
        order.sort(&mut files, &History::read(folder.path()).unwrap(), weights);
        files.into_iter().map(|file| file.name).collect()
    }

    #[test]
    fn failed_then_new_then_longest_first() {
        let expected = ["failed", "new-large", "new-small", "changed", "long", "short"];
        assert_eq!(ordered(Order::LongestFirst), expected);
    }

    #[test]
    fn new_files_are_ordered_by_their_weights() {
        let weights = [("new-small", 9000), ("new-large", 7)].map(|(name, weight)| (name.to_owned(), weight)).into();
        let order = weighed(Order::LongestFirst, &weights);
        assert_eq!(order, ["failed", "new-small", "new-large", "changed", "long", "short"]);
    }

    #[test]
    fn a_seed_shuffles_within_a_rank_and_always_the_same_way() {
        let orders: Vec<Vec<String>> = (0..20).map(|seed| ordered(Order::Shuffled(seed))).collect();
        assert!(orders.iter().all(|order| order[0] == "failed"));
        assert!(orders.iter().all(|order| ["long", "short"].contains(&order[5].as_str())));
        assert!(orders.iter().any(|order| order != &orders[0]));
        assert_eq!(ordered(Order::Shuffled(3)), orders[3]);
    }
}
