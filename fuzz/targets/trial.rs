//! A whole trial: the first byte chooses the dialect, the rest is the script. The engine answers with the words of the
//! SQL, so that expected and actual results can be compared. Every script has a verdict.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use slt_harness::Suite;
use slt_harness::engine::{Database, Done, Engine, EngineError, Request, Rows, Session};
use slt_harness::unstable::outcome::Verdict;
use slt_harness::unstable::trial::{Options, run};

/// Answers `fail …` with an error and everything else with its words, one row per line.
struct Echo;

impl Engine for Echo {
    fn name(&self) -> &str {
        "echo"
    }

    fn database(&self, _script: &str) -> Result<Box<dyn Database>, EngineError> {
        Ok(Box::new(Echo))
    }
}

impl Database for Echo {
    fn connect(&mut self) -> Result<Box<dyn Session>, EngineError> {
        Ok(Box::new(Echo))
    }
}

impl Session for Echo {
    fn run(&mut self, request: Request<'_>, rows: &mut Rows) -> Result<Done, EngineError> {
        if request.sql.starts_with(b"fail") {
            return Err(EngineError::new(String::from_utf8_lossy(request.sql)));
        }
        if request.letters.is_none() {
            return Ok(Done::Changed(request.sql.len() as u64));
        }
        for line in request.sql.split(|byte| *byte == b'\n') {
            rows.push_row(line.split(|byte| *byte == b' '));
        }
        Ok(Done::Rows)
    }

    fn sleep(&mut self, _: Duration) {}
}

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| tempfile::tempdir().expect("a folder").keep());

fuzz_target!(|bytes: &[u8]| {
    let Some((dialect, script)) = bytes.split_first() else { return };
    let path = FOLDER.join(if dialect % 2 == 0 { "a.test" } else { "a.slt" });
    std::fs::write(&path, script).expect("the file can be written");
    let file = Suite::from_roots([path.clone()]).discover().expect("it is a suite").remove(0);
    let outcome = run(&file, &Echo, &Options::default(), &());
    assert_eq!(outcome.verdict == Verdict::Failed, outcome.records.failed > 0, "{outcome:?}");
    assert_eq!(outcome.verdict == Verdict::Failed, !outcome.failures.is_empty(), "{outcome:?}");
});
