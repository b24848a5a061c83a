//! A list of known failures: any bytes are a list or an error, and a list can be checked against a suite.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use slt_harness::unstable::known::{Judge, KnownFailures};
use slt_harness::unstable::outcome::{Outcome, Verdict};

static FILE: LazyLock<PathBuf> = LazyLock::new(|| tempfile::tempdir().expect("a folder").keep().join("known.toml"));

fuzz_target!(|bytes: &[u8]| {
    std::fs::write(&*FILE, bytes).expect("the file can be written");
    let Ok(list) = KnownFailures::read(&FILE) else { return };
    // Entries that do not match are an error that names them.
    let _ = list.check(["select/1.test", "index/2.slt"], &[]);
    for ratchet in [false, true] {
        let list = KnownFailures::read(&FILE).expect("as before");
        let judge = Judge { list, engine: vec!["sqlite".to_owned()], ratchet };
        let crashed = Verdict::Crashed { how: "SIGSEGV".to_owned() };
        for verdict in [Verdict::Passed, Verdict::Failed, crashed] {
            judge.judge(Outcome::new("select/1.test", verdict));
        }
    }
});
