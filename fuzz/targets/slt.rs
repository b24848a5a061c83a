//! The parser of `.slt` files: any bytes are records or an error.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use slt_harness::unstable::dialect::slt;
use slt_harness::unstable::script::Labels;

/// A root with one file that can be included. The script is beside it, but never on disk.
static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
    let root = tempfile::tempdir().expect("a folder").keep();
    std::fs::write(root.join("b.slt"), "statement ok\nSELECT 1\n").expect("a file");
    root
});

fuzz_target!(|text: &[u8]| {
    let labels = Labels::new(["sqlite".to_owned()]);
    let lines = text.split(|byte| matches!(byte, b'\n' | b'\r')).count() as u64;
    match slt::parse(text, &labels, &ROOT.join("a.slt"), &ROOT) {
        Ok(records) => {
            let own = records.iter().filter(|record| record.included_from.is_none());
            own.for_each(|record| assert!(record.line <= lines + 1, "line {} of {lines}", record.line));
        }
        Err(error) => assert!(!error.message.is_empty()),
    }
});
