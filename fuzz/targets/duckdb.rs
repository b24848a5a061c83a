//! The parser of DuckDB's dialect, and its loops: any bytes are steps or an error, within a bound.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use slt_harness::unstable::dialect::duckdb::{Cursor, Event, Names, Scope, Texts, parse};
use slt_harness::unstable::script::{Labels, SyntaxError};

/// A root with one file that can be included. The script is beside it, but never on disk.
static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
    let root = tempfile::tempdir().expect("a folder").keep();
    std::fs::write(root.join("b.test"), "statement ok\nSELECT 1\n").expect("a file");
    root
});

/// How many steps and passes a script may have.
const MOST: u64 = 2_000;

struct Fixed(Names);

impl Scope for Fixed {
    fn replace(&self, word: &str) -> Result<String, String> {
        self.0.replace(word, 0, &[]).map(|text| text.into_owned())
    }

    fn list(&mut self, _: Option<&str>, name: &str) -> Result<Vec<String>, String> {
        Ok(vec![name.to_owned(), "x".to_owned()])
    }
}

/// Runs through the script to its end, and counts the steps.
fn walk(mut cursor: Cursor<'_, '_>, scope: &mut Fixed, steps: &mut u64) -> Result<(), SyntaxError> {
    while let Some(event) = cursor.next(scope)? {
        match event {
            Event::Step(step) | Event::Skipped(step) => {
                *steps += 1;
                assert!(*steps <= MOST, "more steps than the bound");
                let sql = step.action.sql().unwrap_or_default();
                let _ = scope.0.replace(sql, step.place.line, &cursor.variables());
            }
            Event::Together(mut passes) => {
                while let Some(pass) = passes.next_pass()? {
                    assert!(pass.concurrent_pass().is_some() && pass.pass().is_some());
                    walk(pass, scope, steps)?;
                }
            }
        }
    }
    Ok(())
}

fuzz_target!(|text: &[u8]| {
    let count = text.split(|byte| *byte == b'\n').count() as u64;
    let texts = match Texts::new(text) {
        Ok(texts) => texts,
        Err(line) => return assert!(line <= count && std::str::from_utf8(text).is_err()),
    };
    let labels = Labels::new(["duckdb".to_owned()]);
    let result = parse(&texts, &ROOT.join("a.duckdb.test"), &ROOT, &labels)
        .and_then(|script| walk(Cursor::new(&script, MOST), &mut Fixed(Names::new("a.duckdb.test")), &mut 0));
    if let Err(error) = result {
        assert!(!error.message.is_empty());
        assert!(error.included_from.is_some() || error.line <= count, "line {} of {count}", error.line);
    }
});
