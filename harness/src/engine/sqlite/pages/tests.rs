//! Tests the cache against a model, and how it reuses pages.

use super::*;
use std::collections::{BTreeMap, VecDeque};

fn write(page: *mut Page, number: u64) {
    // SAFETY: the buffer of a live page holds at least 512 bytes.
    unsafe { (*page).public.pBuf.cast::<u64>().write_unaligned(number) };
}

fn read(page: *mut Page) -> u64 {
    // SAFETY: the buffer of a live page holds at least 512 bytes.
    unsafe { (*page).public.pBuf.cast::<u64>().read_unaligned() }
}

fn extra(page: *mut Page) -> *mut u64 {
    // SAFETY: the page is a live one.
    unsafe { (*page).public.pExtra.cast() }
}

/// A call that SQLite may make on a cache.
#[derive(Debug, Clone, Copy)]
enum Step {
    Fetch(c_uint, c_int),
    Unpin(c_uint, bool),
    Rekey(c_uint, c_uint),
    Truncate(c_uint),
    Resize(usize),
    Shrink,
}

fn step() -> impl proptest::strategy::Strategy<Value = Step> {
    use proptest::prelude::*;
    let key = 1u32..400;
    prop_oneof![
        8 => (key.clone(), 0..3).prop_map(|(key, create)| Step::Fetch(key, create)),
        6 => (key.clone(), any::<bool>()).prop_map(|(key, discard)| Step::Unpin(key, discard)),
        2 => (key.clone(), key.clone()).prop_map(|(old, new)| Step::Rekey(old, new)),
        1 => key.prop_map(Step::Truncate),
        1 => (0usize..80).prop_map(Step::Resize),
        1 => Just(Step::Shrink),
    ]
}

proptest::proptest! {
    /// A page in use keeps its content; an unused page has its content or was dropped; a new page has zeros as extra bytes.
    #[test]
    fn pages_keep_what_was_written(purgeable: bool, steps in proptest::collection::vec(step(), 0..400)) {
        let mut cache = Cache::new(512, 24, purgeable).unwrap();
        cache.wanted = 20;
        let mut used: BTreeMap<c_uint, u64> = BTreeMap::new();
        let mut unused: VecDeque<(c_uint, u64)> = VecDeque::new();
        let mut stamp = 0;
        for step in steps {
            match step {
                Step::Fetch(key, create) => {
                    let page = cache.fetch(key, create);
                    let before = unused.iter().position(|(other, _)| *other == key).and_then(|at| unused.remove(at));
                    let known = used.get(&key).copied().or(before.map(|(_, stamp)| stamp));
                    if page.is_null() {
                        assert!(create < 2 && !used.contains_key(&key));
                        continue;
                    }
                    // SAFETY: the page is a live one.
                    if unsafe { extra(page).read() } == 0 {
                        assert!(create > 0 && !used.contains_key(&key), "page {key} was new");
                        stamp += 1;
                        write(page, stamp);
                        // SAFETY: the page is a live one.
                        unsafe { extra(page).write(1) };
                        used.insert(key, stamp);
                    } else {
                        assert_eq!(Some(read(page)), known);
                        used.insert(key, read(page));
                    }
                }
                Step::Unpin(key, discard) => {
                    // For a database in memory, SQLite discards every page that it no longer uses.
                    let discard = discard || !purgeable;
                    if let Some(stamp) = used.remove(&key) {
                        let page = cache.find(key).unwrap().as_ptr();
                        cache.unpin(page, discard);
                        if !discard {
                            unused.push_back((key, stamp));
                        }
                    }
                }
                Step::Rekey(old, new) => {
                    if let Some(stamp) = used.get(&old).copied().filter(|_| !used.contains_key(&new)) {
                        let page = cache.find(old).unwrap().as_ptr();
                        cache.rekey(page, new);
                        used.remove(&old);
                        unused.retain(|(key, _)| *key != new);
                        used.insert(new, stamp);
                    }
                }
                Step::Truncate(from) => {
                    cache.truncate(from);
                    used.retain(|key, _| *key < from);
                    unused.retain(|(key, _)| *key < from);
                }
                Step::Resize(wanted) => cache.wanted = wanted,
                Step::Shrink => {
                    cache.shrink();
                    unused.clear();
                }
            }
            for (key, stamp) in &used {
                assert_eq!(read(cache.find(*key).unwrap().as_ptr()), *stamp);
            }
            assert_eq!(cache.count - cache.unused, used.len());
            assert!(cache.unused <= unused.len());
        }
    }
}

#[test]
fn unused_pages_make_room_and_pages_in_use_do_not() {
    let mut cache = Cache::new(1024, 16, true).unwrap();
    cache.wanted = 10;
    let pages: Vec<*mut Page> = (1..=9).map(|key| cache.fetch(key, 1)).collect();
    assert!(pages.iter().all(|page| !page.is_null()));
    assert!(cache.fetch(10, 1).is_null(), "nine of ten are in use");
    assert!(!cache.fetch(10, 2).is_null(), "SQLite insists");
    cache.unpin(pages[0], false);
    cache.unpin(pages[1], false);
    assert_eq!(cache.fetch(11, 2), pages[0], "the one that has been unused for the longest time");
    assert!(cache.find(1).is_none() && cache.find(2).is_some());
    assert_eq!(cache.count, 10);
}
