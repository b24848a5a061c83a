//! Bundled files with one changed expectation: the changed record must fail.
//!
//! They run on embedded SQLite. The variable `SLT_MUTANTS` names a folder with more files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use slt_harness::engine::sqlite::Sqlite;
use slt_harness::unstable::event::{Ending, Event, Reporter};
use slt_harness::unstable::suite::{Suite, TestFile};
use slt_harness::unstable::trial::{self, Options};

/// How many records of a file are changed, each in every way.
const RECORDS: usize = 6;

/// The lines of the file's own records, by whether they passed.
#[derive(Default)]
struct Ended(Mutex<(BTreeSet<u64>, BTreeSet<u64>)>);

impl Reporter for Ended {
    fn report(&self, event: Event<'_>) {
        if let Event::RecordEnded { record, ending, .. } = event
            && record.included_from.is_none()
        {
            let mut lines = self.0.lock().unwrap();
            match ending {
                Ending::Passed => lines.0.insert(record.line),
                _ => lines.1.insert(record.line),
            };
        }
    }
}

/// The lines of records that pass, and of those that do not.
fn run(file: &TestFile) -> (BTreeSet<u64>, BTreeSet<u64>) {
    let ended = Ended::default();
    let outcome = trial::run(file, &Sqlite, &Options::default(), &ended);
    let mut lines = ended.0.into_inner().unwrap();
    lines.1.extend(outcome.failures.iter().map(|failure| failure.line));
    lines
}

/// A text with another expectation of the record that begins in line `head`, in each of several ways.
fn mutants(text: &str, head: usize) -> BTreeMap<&'static str, String> {
    let lines: Vec<&str> = text.lines().collect();
    let words: Vec<&str> = lines[head].split_whitespace().collect();
    let joined = |lines: &[&str]| lines.join("\n") + "\n";
    let replaced = |with: String| joined(&[&lines[..head], &[&*with], &lines[head + 1..]].concat());
    let mut mutants = BTreeMap::new();
    match words.as_slice() {
        ["statement", "error"] => drop(mutants.insert("an error is a success", replaced("statement ok".to_owned()))),
        ["statement", "ok"] => drop(mutants.insert("a success is an error", replaced("statement error".to_owned()))),
        ["statement", "count", count] => {
            let count = count.parse::<u64>().unwrap() + 1;
            mutants.insert("another count", replaced(format!("statement count {count}")));
        }
        ["query", letters, ..] if *letters != "error" => {
            let end = (head + 1..lines.len()).find(|line| lines[*line].trim().is_empty()).unwrap_or(lines.len());
            let Some(rule) = (head + 1..end).find(|line| lines[*line] == "----") else { return mutants };
            let block = &lines[rule + 1..end];
            // Skips lines that may match more than one text, and comments in a classic file.
            if block.iter().any(|line| line.contains('<') || line.starts_with('#')) {
                return mutants;
            }
            let with = |block: &[&str]| joined(&[&lines[..=rule], block, &lines[end..]].concat());
            mutants.insert("one line more", with(&[block, &["zz"]].concat()));
            if let [first, rest @ ..] = block {
                mutants.insert("another first line", with(&[&[&*format!("{first}zz")], rest].concat()));
                mutants.insert("the first line missing", with(rest));
                mutants.insert("the first line twice", with(&[&[*first], block].concat()));
            }
        }
        _ => {}
    }
    mutants
}

fn copy(from: &Path, to: &Path, names: &mut Vec<PathBuf>, root: &Path) {
    fs::create_dir_all(to).unwrap();
    for path in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target, names, root);
        } else {
            fs::copy(&path, &target).unwrap();
            names.push(target.strip_prefix(root).unwrap().to_owned());
        }
    }
}

#[test]
fn a_changed_expectation_fails() {
    let folder = tempfile::tempdir().unwrap();
    let mut names = Vec::new();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus"), folder.path(), &mut names, folder.path());
    if let Some(more) = std::env::var_os("SLT_MUTANTS") {
        copy(Path::new(&more), &folder.path().join("more"), &mut names, folder.path());
    }
    let suite = Suite::from_roots([folder.path().to_path_buf()]);
    let (mut count, mut survivors) = (0, Vec::new());
    for name in names.iter().map(|name| name.to_str().unwrap()).filter(|name| !name.contains(".part")) {
        let Ok(Some(file)) = suite.find(name) else { continue };
        let Ok(text) = fs::read_to_string(&file.path) else { continue };
        let (passed, failed) = run(&file);
        let passed: Vec<u64> = passed.difference(&failed).copied().collect();
        for line in passed.iter().step_by(passed.len().div_ceil(RECORDS).max(1)) {
            for (change, mutant) in mutants(&text, *line as usize - 1) {
                fs::write(&file.path, mutant).unwrap();
                count += 1;
                let (_, failed) = run(&file);
                if failed.is_empty() {
                    survivors.push(format!("{name}:{line}: {change}"));
                }
            }
        }
        fs::write(&file.path, &text).unwrap();
    }
    println!("{count} changed files");
    assert!(count > 500, "{count}");
    assert!(survivors.is_empty(), "{} of {count} changed files pass:\n{}", survivors.len(), survivors.join("\n"));
}
