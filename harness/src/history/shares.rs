//! Splits a suite over machines that do not communicate, so that all finish at about the same time.
//!
//! The split depends only on the names of the files, the number of shards and the last known duration of each file: not
//! on a clock, a file's size or modification time, or a library version. So machines with the same history compute the
//! same split:
//!
//! 1. A file weighs the microseconds it took last time, plus one. A file that is not in the history weighs the mean of
//!    those that are, rounded down; without a history all weigh the same.
//! 2. The heaviest file comes first; among equal weights, the one whose name has the lower MD5.
//! 3. Each file goes to the shard with the least weight so far; among equals, to the first.
//!
//! This is longest first (Graham 1969). Without a history it deals files out in the order of the MD5 of their names.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use md5::{Digest, Md5};

use super::History;
use crate::outcome::{Shard, Split};

/// Which files each shard runs, and how long they will take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shares {
    /// The files.
    pub split: Split,
    /// How long each shard's files take one after another; empty if the history knows none of them.
    expected_us: Vec<u128>,
}

impl Shares {
    /// Splits the files with these names into `of` shards.
    pub fn new<'n>(names: impl IntoIterator<Item = &'n str>, of: u32, history: &History) -> Shares {
        let known = |name: &str| history.get(name).map(|entry| u128::from(entry.wall_us) + 1);
        let names: Vec<&str> = names.into_iter().collect();
        let durations: Vec<u128> = names.iter().filter_map(|name| known(name)).collect();
        let mean = match durations.len() {
            0 => 1,
            count => durations.iter().sum::<u128>() / count as u128,
        };
        let mut weighed: Vec<_> = names
            .into_iter()
            .map(|name| (Reverse(known(name).unwrap_or(mean)), <[u8; 16]>::from(Md5::digest(name)), name))
            .collect();
        weighed.sort_unstable();
        let mut shards = vec![Vec::new(); of as usize];
        let mut totals: BinaryHeap<Reverse<(u128, usize)>> =
            (0..shards.len()).map(|index| Reverse((0, index))).collect();
        for (Reverse(weight), _, name) in weighed {
            if let Some(mut lightest) = totals.peek_mut() {
                lightest.0.0 += weight;
                shards[lightest.0.1].push(name.to_owned());
            }
        }
        let mut expected_us = vec![0; if durations.is_empty() { 0 } else { shards.len() }];
        for Reverse((total, index)) in totals {
            expected_us.get_mut(index).into_iter().for_each(|expected| *expected = total);
        }
        Shares { split: Split::new(shards), expected_us }
    }

    /// How long a shard's files take one after another, and all files, in microseconds; `None` if the history knows
    /// none of them.
    pub fn expected_us(&self, shard: Shard) -> Option<(u64, u64)> {
        let clamped = |us: u128| u64::try_from(us).unwrap_or(u64::MAX);
        let own = self.expected_us.get((shard.index as usize).checked_sub(1)?)?;
        Some((clamped(*own), clamped(self.expected_us.iter().sum())))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};
    use std::path::PathBuf;

    use proptest::prelude::*;

    use super::*;
    use crate::history::Entry;

    fn history(durations: &[(&str, u64)]) -> History {
        let entry = |&(name, wall_us): &(&str, u64)| {
            let entry = Entry {
                name: name.into(),
                stamp: String::new(),
                verdict: "passed".into(),
                wall_us,
                peak_bytes: None,
                green: None,
            };
            (name.to_owned(), entry)
        };
        History { path: PathBuf::new(), entries: durations.iter().map(entry).collect::<HashMap<_, _>>() }
    }

    #[test]
    fn without_a_history_files_are_dealt_out_by_the_md5_of_their_names() {
        // for n in a b c d e; do printf '%s %s\n' $(printf $n | md5sum | cut -c-6) $n; done | sort
        // 0cc175 a, 4a8a08 c, 8277e0 d, 92eb5f b, e16717 e
        let shares = Shares::new(["a", "b", "c", "d", "e"], 2, &History::default());
        assert_eq!(shares.split.shards, [vec!["a", "d", "e"], vec!["b", "c"]]);
        assert_eq!(shares.expected_us(Shard { index: 1, of: 2 }), None);
    }

    #[test]
    fn the_longest_file_goes_first_to_the_lightest_shard() {
        let history = history(&[("a", 9), ("b", 7), ("c", 6), ("d", 5), ("e", 3), ("elsewhere", 1_000_000)]);
        let shares = Shares::new(["a", "b", "c", "d", "e"], 2, &history);
        // The load of the chosen shard after each file: 10; 8; 8 + 7; 10 + 6; 15 + 4
        assert_eq!(shares.split.shards, [vec!["a", "d"], vec!["b", "c", "e"]]);
        assert_eq!(shares.expected_us(Shard { index: 2, of: 2 }), Some((19, 35)));
        assert_eq!(shares.expected_us(Shard { index: 3, of: 3 }), None);
    }

    #[test]
    fn a_new_file_weighs_the_mean() {
        let shares = Shares::new(["long", "short", "new"], 2, &history(&[("long", 100), ("short", 20)]));
        assert_eq!(shares.split.shards, [vec!["long"], vec!["new", "short"]]);
        assert_eq!(shares.expected_us(Shard { index: 2, of: 2 }).unwrap().0, 61 + 21);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn every_file_is_in_exactly_one_shard_whatever_the_history(
            files in proptest::collection::btree_map("[a-z]{1,3}(/[a-z]{1,2})?", proptest::option::of(any::<u64>()), 0..60),
            of in 1u32..20,
            order in any::<u64>(),
        ) {
            let files: BTreeMap<String, Option<u64>> = files;
            let known: Vec<(&str, u64)> =
                files.iter().filter_map(|(name, wall_us)| Some((name.as_str(), (*wall_us)?))).collect();
            let history = history(&known);
            let shares = Shares::new(files.keys().map(String::as_str), of, &history);
            prop_assert_eq!(shares.split.shards.len(), of as usize);
            let names: Vec<&str> = files.keys().map(String::as_str).collect();
            prop_assert_eq!(shares.split.names(), names.clone());
            prop_assert!(shares.split.is_intact());
            // Another machine may list files in another order.
            let mut shuffled = names;
            crate::history::shuffle(&mut shuffled, order);
            prop_assert_eq!(Shares::new(shuffled, of, &history), shares.clone());
            // If the heaviest shard gave away its last file, it would no longer be the heaviest.
            if let Some(least) = shares.expected_us.iter().min() {
                for (shard, expected) in shares.split.shards.iter().zip(&shares.expected_us) {
                    let mean = known.iter().map(|(_, us)| u128::from(*us) + 1).sum::<u128>() / known.len() as u128;
                    let weight = |name: &String| files[name].map_or(mean, |us| u128::from(us) + 1);
                    prop_assert_eq!(shard.iter().map(weight).sum::<u128>(), *expected);
                    prop_assert!(expected - shard.iter().map(weight).min().unwrap_or(0) <= *least);
                }
            }
        }
    }
}
