//! `results.json` for `slt merge` and the reports: any bytes are results or an error, and results can be reported.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::SystemTime;

use libfuzzer_sys::fuzz_target;
use slt_harness::unstable::outcome::Results;
use slt_harness::unstable::report::clusters::Clusters;
use slt_harness::unstable::report::compare::Comparison;
use slt_harness::unstable::report::merge::merge;
use slt_harness::unstable::report::status::Status;

static FILE: LazyLock<PathBuf> = LazyLock::new(|| tempfile::tempdir().expect("a folder").keep().join("results.json"));

fuzz_target!(|bytes: &[u8]| {
    std::fs::write(&*FILE, bytes).expect("the file can be written");
    let Ok(results) = Results::read(&FILE) else { return };
    let again = serde_json::to_vec(&results).expect("results are JSON");
    std::fs::write(&*FILE, again).expect("the file can be written");
    // Written results have recomputed sums, so they are consistent.
    let sound = Results { contradictions: Vec::new(), ..results.clone() };
    assert_eq!(Results::read(&FILE).expect("they can be read again"), sound);
    Status::new(&results, Vec::new()).text(SystemTime::now(), 5);
    Comparison::new(&results, &results).text(5);
    Clusters::new(&results).text();
    merge(vec![("a".to_owned(), results.clone()), ("b".to_owned(), results)]);
});
