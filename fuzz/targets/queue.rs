//! A queue file: whatever its bytes, opening it is an error, or a run in which every entry gets one outcome.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use slt_harness::outcome::{Outcome, Verdict};
use slt_harness::queue::file::FileQueue;
use slt_harness::queue::{Claim, EntryState, OpenOptions, Plan, PlanEntry, Queue};

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| tempfile::tempdir().expect("a folder").keep());

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let path = FOLDER.join("queue");
    std::fs::write(&path, bytes).expect("the file can be written");
    let names = ["select/1.test", "select/2.test", "select/3.slt"];
    let plan = Plan::new(names.iter().map(|name| PlanEntry::new(name, 1)).collect()).expect("a plan");
    let run_id = (choice & 1 == 0).then(|| "fuzz".to_owned());
    let options = OpenOptions { run_id, resume: choice & 2 == 0, label: "1".to_owned(), ..OpenOptions::default() };
    // Damage is an error that says so.
    let Ok((mut queue, _)) = FileQueue::open(&path, plan, &options) else { return };
    for _ in 0..1000 {
        match queue.claim() {
            Ok(Claim::Leased(lease)) => {
                let outcome = Outcome::new(lease.name(), Verdict::Passed);
                if queue.finish(lease, outcome).is_err() {
                    return;
                }
            }
            Ok(Claim::Complete) => {
                let snapshot = queue.snapshot().expect("what was complete can be told");
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
