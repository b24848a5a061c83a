//! A queue file: whatever its bytes, opening it is an error, or starts a run in which every entry gets one outcome.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use slt_harness::unstable::outcome::{Outcome, Verdict};
use slt_harness::unstable::queue::file::FileQueue;
use slt_harness::unstable::queue::{Claim, EntryState, OpenOptions, Plan, PlanEntry, Queue};

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| tempfile::tempdir().expect("a folder").keep());

/// The queue file of a run with one finished entry, one that was given back, and one that is left.
static BEGUN: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let path = FOLDER.join("begun");
    let options = OpenOptions { run_id: Some("fuzz".to_owned()), label: "1".to_owned(), ..OpenOptions::default() };
    let (mut queue, _) = FileQueue::open(&path, plan(), &options).expect("a run begins");
    let mut lease = || match queue.claim().expect("an entry can be claimed") {
        Claim::Leased(lease) => lease,
        other => panic!("{other:?}"),
    };
    let (finished, given_back) = (lease(), lease());
    let outcome = Outcome::new(finished.name(), Verdict::Passed);
    queue.finish(finished, &outcome).expect("it can be finished");
    queue.requeue(given_back, "fuzzing").expect("it can be given back");
    drop(queue);
    std::fs::read(&path).expect("the file is there")
});

fn plan() -> Plan {
    let names = ["select/1.test", "select/2.test", "select/3.slt"];
    Plan::new(names.iter().map(|name| PlanEntry::new(*name, 1)).collect()).expect("a plan")
}

fuzz_target!(|bytes: &[u8]| {
    let [choice, cut, bytes @ ..] = bytes else { return };
    let path = FOLDER.join("queue");
    // The file of a run, cut at some offset, followed by the input; or the input alone.
    let begun = if choice & 4 == 0 { &BEGUN[..BEGUN.len() * usize::from(*cut) / 255] } else { &[] };
    std::fs::write(&path, [begun, bytes].concat()).expect("the file can be written");
    let run_id = (choice & 1 == 0).then(|| "fuzz".to_owned());
    let options = OpenOptions { run_id, resume: choice & 2 == 0, label: "1".to_owned(), ..OpenOptions::default() };
    // Damage is a clear error.
    let Ok((mut queue, _)) = FileQueue::open(&path, plan(), &options) else { return };
    for _ in 0..1000 {
        match queue.claim() {
            Ok(Claim::Leased(lease)) => {
                let outcome = Outcome::new(lease.name(), Verdict::Passed);
                if queue.finish(lease, &outcome).is_err() {
                    return;
                }
            }
            Ok(Claim::Complete) => {
                let snapshot = queue.snapshot().expect("a complete run can be read");
                let is_final = |state: &EntryState| matches!(state, EntryState::Final(_));
                assert!(snapshot.entries.iter().all(|entry| is_final(&entry.state)), "{snapshot:?}");
                return;
            }
            Ok(Claim::Wait) if queue.lost().is_ok_and(|lost| !lost.is_empty()) => {}
            _ => return,
        }
    }
    panic!("1000 claims in a run of 3 entries");
});
