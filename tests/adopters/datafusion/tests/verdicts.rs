//! The verdicts of `tests/slt.rs` are those of DataFusion's own runner, in every way to run it: the same files fail, each
//! with the same number of failing records. `expected.txt` lists them.
//!
//! `SLT_TEST_UPDATE=1 cargo test --test verdicts own` makes the list again, with DataFusion's own runner.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{env, fs};

/// How many records fail, for each file in which any does.
type Failing = BTreeMap<String, usize>;

const LIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/expected.txt");

/// The files write into one scratch folder, so one run at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn expected() -> Failing {
    let list = fs::read_to_string(LIST).unwrap();
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.split_once(' ').map(|(count, file)| (file.to_owned(), count.parse().unwrap())).unwrap())
        .collect()
}

/// What cargo prints, to both outputs.
fn cargo(args: &[&str], variables: &[(&str, &str)]) -> String {
    let folder = env!("CARGO_MANIFEST_DIR");
    let output =
        Command::new(env!("CARGO")).args(args).current_dir(folder).envs(variables.iter().copied()).output().unwrap();
    assert!(!output.status.success(), "some files fail, as their data is elsewhere: cargo {args:?}");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Runs our target and reads its results: each of the 504 files has a verdict.
fn ours(name: &str, args: &[&str]) -> Failing {
    let _one = alone();
    let results = format!("{}/{name}", env!("CARGO_TARGET_TMPDIR"));
    let _ = fs::remove_dir_all(&results);
    let args = [&["test", "--locked", "--test", "slt", "--"], args].concat();
    let printed = cargo(&args, &[("SLT_RESULTS", &results)]);
    let text =
        fs::read_to_string(format!("{results}/results.json")).unwrap_or_else(|error| panic!("{error}: {printed}"));
    let results: serde_json::Value = serde_json::from_str(&text).unwrap();
    let (mut failing, mut ignored) = (Failing::new(), BTreeMap::new());
    let outcomes = results["outcomes"].as_array().unwrap();
    assert_eq!(outcomes.len(), 504, "{printed}");
    for outcome in outcomes {
        let name = outcome["name"].as_str().unwrap();
        match outcome["verdict"].as_str().unwrap() {
            "passed" => {}
            "failed" => _ = failing.insert(name.to_owned(), outcome["records"]["failed"].as_u64().unwrap() as usize),
            "ignored" => *ignored.entry(outcome["reason"].as_str().unwrap()).or_insert(0) += 1,
            verdict => panic!("{name}: {verdict}"),
        }
    }
    let wanted = [
        // DataFusion's runner passes the files that hold only comments.
        ("it holds no records", 146),
        // It leaves these out too.
        ("a feature of DataFusion is off", 1),
        ("needs TPC-H's data", 1),
        ("the feature parquet_encryption is off", 1),
    ];
    assert_eq!(ignored, BTreeMap::from(wanted));
    failing
}

#[test]
fn with_threads() {
    assert_eq!(ours("threads", &[]), expected());
}

#[test]
fn with_workers() {
    assert_eq!(ours("workers", &["--parallel", "--workers", "2"]), expected());
}

/// Each file is a process of its own, and only what these print says which records failed.
#[test]
fn under_nextest() {
    let _one = alone();
    let printed = cargo(&["nextest", "run", "--locked", "--no-fail-fast", "--test", "slt"], &[]);
    assert!(printed.contains("504 tests run: 427 passed, 77 failed"), "{printed}");
    let mut failing = Failing::new();
    let mut last = String::new();
    for line in printed.lines().map(str::trim) {
        let place = line.strip_prefix("at test_files/").and_then(|place| place.rsplit_once(':'));
        let more = line.strip_prefix("… and ").and_then(|line| line.split_once(" more failing record"));
        if let Some((file, _)) = place {
            last = file.to_owned();
            *failing.entry(last.clone()).or_default() += 1;
        } else if let Some((count, _)) = more {
            *failing.get_mut(&last).unwrap() += count.parse::<usize>().unwrap();
        }
    }
    assert_eq!(failing, expected());
}

#[test]
fn own_runner() {
    let _one = alone();
    let printed = cargo(&["test", "--locked", "--test", "own"], &[]);
    let mut failing = Failing::new();
    for line in printed.lines() {
        if let Some((before, path)) = line.split_once(" errors in file ") {
            let count = before.rsplit(' ').next().unwrap().parse().unwrap();
            failing.insert(path.rsplit_once("/test_files/").unwrap().1.to_owned(), count);
        }
    }
    assert!(printed.contains(&format!("{} failures", failing.len())), "{printed}");
    if env::var_os("SLT_TEST_UPDATE").is_some() {
        let head = "# The files that fail in DataFusion's own runner, as their data is not in its published package: how many\n\
                    # of their records do. `SLT_TEST_UPDATE=1 cargo test --test verdicts own` writes this list.\n";
        let lines: String = failing.iter().map(|(file, count)| format!("{count} {file}\n")).collect();
        fs::write(LIST, format!("{head}{lines}")).unwrap();
    }
    assert_eq!(failing, expected());
}
