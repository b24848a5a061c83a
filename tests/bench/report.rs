//! The cost of writing the result files of a run of 10,000 files, 500 of which failed: time and size of each part.
//!
//! `cargo bench --bench report`, the median of five.

// Benchmarks print without `escape`.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use slt_harness::unstable::outcome::{Failure, Outcome, RESULTS_VERSION, RecordCounts, Results, Verdict};
use slt_harness::unstable::report::files::Folder;
use slt_harness::unstable::report::{html, junit, legacy};
use slt_harness::unstable::summary::Summary;

const FILES: usize = 10_000;
const ROUNDS: usize = 5;

fn main() -> ExitCode {
    match bench() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn bench() -> Result<(), String> {
    let results = results();
    timed("results.json", || serde_json::to_vec(&results).map(|bytes| bytes.len()).map_err(|e| e.to_string()))?;
    timed("junit.xml", || Ok(junit::junit(&results).len()))?;
    timed("sqllogictest_results.json", || {
        serde_json::to_vec(&legacy::Legacy::new(&results)).map(|bytes| bytes.len()).map_err(|e| e.to_string())
    })?;
    timed("report.html", || Ok(html::page(&results, Some(&results), &[]).len()))?;
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    timed("all files, on disk", || write(folder.path(), &results))
}

/// A run of files in 20 categories, one in twenty with two records that failed.
fn results() -> Results {
    let outcome = |number: usize| {
        let name = format!("category{:02}/group{}/slt_good_{number}.test", number % 20, number % 7);
        let failed = number % 20 == 3;
        let mut outcome = Outcome::new(name, if failed { Verdict::Failed } else { Verdict::Passed });
        outcome.records = RecordCounts { passed: 1000, failed: if failed { 2 } else { 0 }, skipped: 10 };
        outcome.failures = (0..outcome.records.failed).map(|record| failure(&outcome.name, record)).collect();
        (outcome.wall_us, outcome.engine_us) = (20_000 + number as u64, 15_000);
        (outcome.started_us, outcome.worker) = (1_785_000_000_000_000 + number as u64 * 5000, number as u32 % 8 + 1);
        outcome
    };
    let outcomes: Vec<Outcome> = (0..FILES).map(outcome).collect();
    let summary = Summary::new(outcomes.iter().map(|outcome| (outcome.name.as_str(), 1)), &outcomes);
    Results {
        version: RESULTS_VERSION,
        run_id: "b602696c".into(),
        engine: "sqlite".into(),
        started_us: 1_785_000_000_000_000,
        wall_us: 50_000_000,
        workers: 8,
        total: summary.total,
        categories: summary.categories,
        outcomes,
        ..Results::default()
    }
}

fn failure(file: &str, record: u64) -> Failure {
    let rows = |shift: u64| (0..30).map(|row| format!("{}", row * 7 + shift)).collect::<Vec<_>>().join("\n");
    Failure {
        file: format!("tests/corpus/{file}"),
        pass: String::new(),
        line: 100 + record,
        message: "query result mismatch".into(),
        sql: "SELECT pk FROM tab0 WHERE ((col0 > 52) AND col3 <= 5) OR col4 IN (SELECT col1 FROM tab0)".into(),
        expected: Some(rows(0)),
        actual: Some(rows(1)),
        diff: rows(0).lines().map(|row| format!("- {row}\n")).collect(),
        ..Failure::default()
    }
}

fn write(folder: &Path, results: &Results) -> Result<usize, String> {
    let written = Folder::lock(folder).map_err(|error| error.to_string())?.write(results);
    match written.complaints.as_slice() {
        [] => Ok(written.files.iter().filter_map(|path| path.metadata().ok()).map(|file| file.len() as usize).sum()),
        complaints => Err(complaints.join("; ")),
    }
}

/// Prints the median time and the size of the output of `part`.
fn timed(name: &str, mut part: impl FnMut() -> Result<usize, String>) -> Result<(), String> {
    let mut times: Vec<Duration> = Vec::new();
    let mut size = 0;
    for _ in 0..ROUNDS {
        let clock = Instant::now();
        size = part()?;
        times.push(clock.elapsed());
    }
    times.sort_unstable();
    println!("{name:26} {:>8.1} ms {:>8.2} MB", times[ROUNDS / 2].as_secs_f64() * 1e3, size as f64 / 1e6);
    Ok(())
}
