//! Delta debugging: removes items of a list as long as the rest still meets a condition.

use std::ops::ControlFlow;

/// Removes items in ever smaller groups, until no single item can be removed.
///
/// `accepts` returns whether a shorter list still meets the condition. Groups are tried from the end, because few others depend
/// on the last ones; with a `seed` other than 0, in a random order.
pub(super) fn reduce<T: Clone>(
    items: &[T],
    seed: u64,
    accepts: &mut dyn FnMut(&[T]) -> ControlFlow<(), bool>,
) -> ControlFlow<(), Vec<T>> {
    let pick = |kept: &[usize]| kept.iter().map(|index| items[*index].clone()).collect::<Vec<T>>();
    if items.is_empty() || accepts(&[])? {
        return ControlFlow::Continue(Vec::new());
    }
    let mut kept: Vec<usize> = (0..items.len()).collect();
    let mut size = kept.len().div_ceil(2);
    let mut random = Random(seed);
    loop {
        let mut groups: Vec<Vec<usize>> = kept.chunks(size).map(<[usize]>::to_vec).collect();
        groups.reverse();
        if seed > 0 {
            random.shuffle(&mut groups);
        }
        let before = kept.len();
        for group in groups {
            let rest: Vec<usize> = kept.iter().copied().filter(|index| group.binary_search(index).is_err()).collect();
            // The empty list has been tried at the start.
            if !rest.is_empty() && accepts(&pick(&rest))? {
                kept = rest;
            }
        }
        if size > 1 {
            size = size.div_ceil(2).min(kept.len().div_ceil(2));
        } else if kept.len() == before {
            return ControlFlow::Continue(pick(&kept));
        }
    }
}

/// Pseudo-random numbers, the same for the same seed (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.next() % (last as u64 + 1);
            items.swap(last, usize::try_from(other).unwrap_or(0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reduces the numbers below `count` to those in `needed`. Returns the rest, and the number of tries.
    fn run(count: u32, needed: &[u32], seed: u64) -> (Vec<u32>, u32) {
        let items: Vec<u32> = (0..count).collect();
        let mut tries = 0;
        let left = reduce(&items, seed, &mut |left| {
            tries += 1;
            ControlFlow::Continue(needed.iter().all(|number| left.contains(number)))
        });
        (left.continue_value().unwrap(), tries)
    }

    #[test]
    fn only_what_is_needed_is_left_in_few_tries() {
        for seed in [0, 1, 7] {
            for needed in [&[][..], &[0], &[9_999], &[17, 18, 19], &[0, 5_000, 9_999], &[1, 2_000, 4_000, 6_000, 8_000]]
            {
                let (left, tries) = run(10_000, needed, seed);
                assert_eq!(left, needed);
                assert!(tries <= 200, "{needed:?}: {tries} tries");
            }
        }
        assert_eq!(run(1, &[0], 0), (vec![0], 1));
        assert_eq!(run(0, &[], 0), (vec![], 0));
        assert_eq!(run(100, &[3, 50], 5), run(100, &[3, 50], 5));
    }

    #[test]
    fn it_stops_when_it_is_told_to() {
        let mut tries = 0;
        let ended = reduce(&[1, 2, 3, 4], 0, &mut |_| {
            tries += 1;
            if tries == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(false) }
        });
        assert_eq!((ended, tries), (ControlFlow::Break(()), 3));
    }
}
