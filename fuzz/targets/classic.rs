//! The parser of `.test` files: any bytes are records or an error, in the order of their lines.
#![no_main]

use libfuzzer_sys::fuzz_target;
use slt_harness::unstable::dialect::classic;
use slt_harness::unstable::script::Labels;

fuzz_target!(|text: &[u8]| {
    let labels = Labels::new(["sqlite".to_owned()]);
    let lines = text.split(|byte| matches!(byte, b'\n' | b'\r')).count() as u64;
    let mut last = 0;
    for record in classic::Parser::new(text, &labels) {
        let line = match &record {
            Ok(record) => record.line,
            Err(error) => error.line,
        };
        assert!((1..=lines + 1).contains(&line) && line >= last, "line {line} after {last}, of {lines}");
        last = line;
    }
});
