//! What past runs show about each file: its duration and verdict. Determines the order of the next run, and how a suite is
//! split over machines.
//!
//! Kept beside the results as JSON lines, the newest last; each outcome appends one:
//!
//! ```text
//! {"name":"select1.test","stamp":"81342-1700000000000000000","verdict":"passed","wall_us":41873,"peak_bytes":9437184}
//! ```
//!
//! `stamp` is the file's size and modification time; if it differs, the file has changed since. It is empty for files that
//! another machine ran. `green` is a digest of the file's content (`suite::content`), for `--changed`; only lines of files that
//! did not fail have it. Unreadable lines are skipped, for example a line torn by a kill. Losing the history costs the order,
//! never a result.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::outcome::{Outcome, Verdict};
use crate::suite::TestFile;
use crate::temporary;

mod order;
mod shares;
pub use order::{Order, Weights, shuffle, wants_weights};
pub use shares::Shares;

/// The data of one file's last trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The trial's name.
    pub name: String,
    /// Size and modification time of the file that ran; empty if another machine ran it.
    pub stamp: String,
    /// The verdict's name in `Outcome`'s JSON: `passed`, `failed`, `crashed` …
    pub verdict: String,
    /// Wall time, in microseconds.
    pub wall_us: u64,
    /// Peak resident memory while it ran, in bytes, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_bytes: Option<u64>,
    /// The digest of the file's content (`suite::content`) in the last run in which the file did not fail, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub green: Option<String>,
}

impl Entry {
    /// Whether the trial failed its run.
    pub fn failed(&self) -> bool {
        !matches!(self.verdict.as_str(), "passed" | "flaky" | "known_failure" | "ignored")
    }
}

/// The history of a suite: the last entry of each file.
#[derive(Debug, Clone, Default)]
pub struct History {
    path: PathBuf,
    entries: HashMap<String, Entry>,
}

/// The maximum number of lines for each known file; at least a thousand lines are always kept.
const LINES_PER_FILE: usize = 8;

impl History {
    /// Reads the history in the results folder; a missing one is empty.
    ///
    /// # Errors
    /// It exists and cannot be read.
    pub fn read(results: &Path) -> io::Result<History> {
        let path = results.join("history.jsonl");
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let (history, lines) = History::parse(path, &text);
        if lines > (history.entries.len() * LINES_PER_FILE).max(1000) {
            history.rewrite()?;
        }
        Ok(history)
    }

    /// Reads the history in a file, without changing the file.
    ///
    /// # Errors
    /// It does not exist, or cannot be read.
    pub fn read_file(path: &Path) -> io::Result<History> {
        Ok(History::parse(path.to_path_buf(), &fs::read(path)?).0)
    }

    /// Parses a history; also returns the number of its lines.
    fn parse(path: PathBuf, text: &[u8]) -> (History, usize) {
        let mut entries = HashMap::<String, Entry>::new();
        let mut lines = 0;
        for line in text.split(|byte| *byte == b'\n') {
            lines += 1;
            if let Ok(mut entry) = serde_json::from_slice::<Entry>(line) {
                if let Some(before) = entries.remove(&entry.name) {
                    entry.green = entry.green.or(before.green);
                    // A process that crashed could not report its peak: keep the earlier one.
                    entry.peak_bytes = entry.peak_bytes.or(before.peak_bytes);
                }
                entries.insert(entry.name.clone(), entry);
            }
        }
        (History { path, entries }, lines)
    }

    /// The file of the history.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether no file is known.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The last entry of a file.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// The largest peak memory of any file, in bytes, if one is known.
    pub fn largest_peak(&self) -> Option<u64> {
        self.entries.values().filter_map(|entry| entry.peak_bytes).max()
    }

    /// Opens the history for appending.
    ///
    /// # Errors
    /// The system's error.
    pub fn log(&self) -> io::Result<Log> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = File::options().read(true).append(true).create(true).open(&self.path)?;
        let length = file.metadata()?.len();
        let mut last = [b'\n'];
        if length > 0 {
            file.read_exact_at(&mut last, length - 1)?;
        }
        if last != [b'\n'] {
            // A kill has torn the last line; start a new one.
            file.write_all(b"\n")?;
        }
        Ok(Log { file })
    }

    /// Rewrites the history with the last entry of each file; lines that other processes append meanwhile are lost.
    fn rewrite(&self) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let mut text = Vec::new();
        let mut entries: Vec<&Entry> = self.entries.values().collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        for entry in entries {
            text.extend(line(entry)?);
        }
        let file = temporary::file(&tempfile::Builder::new(), folder, &text)?;
        file.persist(&self.path).map_err(|error| error.error)?;
        Ok(())
    }
}

/// A history to which outcomes are appended.
#[derive(Debug)]
pub struct Log {
    file: File,
}

impl Log {
    /// Appends the outcome of a file; skips files that were not run. `planned` is the digest of the file's content at planning;
    /// it is used if the outcome has none.
    ///
    /// # Errors
    /// The system's error.
    pub fn append(&mut self, file: &TestFile, outcome: &Outcome, planned: Option<&str>) -> io::Result<()> {
        let content = Some(outcome.content.as_str()).filter(|content| !content.is_empty()).or(planned);
        self.write(outcome, content, || stamp(&file.path))
    }

    /// Appends the outcome of a file on another machine, whose modification time means nothing here.
    ///
    /// # Errors
    /// The system's error.
    pub fn append_foreign(&mut self, outcome: &Outcome) -> io::Result<()> {
        self.write(outcome, None, String::new)
    }

    fn write(&mut self, outcome: &Outcome, content: Option<&str>, stamp: impl FnOnce() -> String) -> io::Result<()> {
        if matches!(outcome.verdict, Verdict::NotRun { .. }) {
            return Ok(());
        }
        let mut entry = Entry {
            name: outcome.name.clone(),
            stamp: stamp(),
            verdict: outcome.verdict.name().to_owned(),
            wall_us: outcome.wall_us,
            peak_bytes: outcome.peak_bytes,
            green: None,
        };
        entry.green = content.filter(|_| !entry.failed()).map(str::to_owned);
        // One write for the whole line, so that lines of two processes do not mix.
        self.file.write_all(&line(&entry)?)
    }
}

fn line(entry: &Entry) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(entry)?;
    line.push(b'\n');
    Ok(line)
}

/// Size and modification time of a file; empty if they are unavailable.
pub fn stamp(path: &Path) -> String {
    let Ok(metadata) = path.metadata() else { return String::new() };
    let changed = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    format!("{}-{}", metadata.len(), changed.as_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &Path, name: &str) -> TestFile {
        let path = folder.join(name);
        fs::write(&path, name).unwrap();
        TestFile {
            name: name.into(),
            rust_path: name.into(),
            path,
            root: folder.into(),
            planned: None,
            excerpt: None,
            dialect: crate::dialect::Dialect::Classic,
            excluded: None,
        }
    }

    #[test]
    fn the_last_outcome_of_each_file_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (file(folder.path(), "a.test"), file(folder.path(), "b.test"));
        let history = History::read(folder.path()).unwrap();
        assert_eq!(history.get("a.test"), None);
        let mut log = history.log().unwrap();
        let mut outcome = Outcome::new("a.test", Verdict::Failed);
        log.append(&a, &outcome, None).unwrap();
        outcome.verdict = Verdict::Passed;
        outcome.wall_us = 7;
        log.append(&a, &outcome, None).unwrap();
        log.append(&b, &Outcome::new("b.test", Verdict::Crashed { how: "SIGSEGV".into() }), None).unwrap();
        log.append(&b, &Outcome::new("b.test", Verdict::NotRun { reason: "time budget".into() }), None).unwrap();
        let history = History::read(folder.path()).unwrap();
        let entry = history.get("a.test").unwrap();
        assert_eq!((entry.wall_us, entry.failed(), entry.stamp.as_str()), (7, false, stamp(&a.path).as_str()));
        assert!(history.get("b.test").unwrap().failed());
    }

    #[test]
    fn what_a_file_held_when_it_last_passed_outlives_failures() {
        let folder = tempfile::tempdir().unwrap();
        let a = file(folder.path(), "a.test");
        let mut log = History::read(folder.path()).unwrap().log().unwrap();
        let outcome = |verdict, content: &str| Outcome { content: content.into(), ..Outcome::new("a.test", verdict) };
        let green = || History::read(folder.path()).unwrap().get("a.test").and_then(|entry| entry.green.clone());
        log.append(&a, &outcome(Verdict::Failed, "one"), None).unwrap();
        assert_eq!(green(), None);
        log.append(&a, &outcome(Verdict::Passed, "two"), Some("another")).unwrap();
        log.append(&a, &outcome(Verdict::Failed, "three"), None).unwrap();
        log.append_foreign(&outcome(Verdict::Passed, "")).unwrap();
        assert_eq!(green().as_deref(), Some("two"));
        log.append(&a, &outcome(Verdict::Passed, ""), Some("planned")).unwrap();
        assert_eq!(green().as_deref(), Some("planned"));
    }

    #[test]
    fn a_torn_line_does_not_affect_others() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (file(folder.path(), "a.test"), file(folder.path(), "b.test"));
        let mut log = History::read(folder.path()).unwrap().log().unwrap();
        log.append(&a, &Outcome::new("a.test", Verdict::Passed), None).unwrap();
        log.file.write_all(b"{\"name\":\"b.te").unwrap();
        let mut log = History::read(folder.path()).unwrap().log().unwrap();
        log.append(&b, &Outcome::new("b.test", Verdict::Failed), None).unwrap();
        let history = History::read(folder.path()).unwrap();
        assert!(!history.get("a.test").unwrap().failed() && history.get("b.test").unwrap().failed());
    }

    #[test]
    fn a_torn_line_is_skipped_and_the_file_stays_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let a = file(folder.path(), "a.test");
        let mut log = History::read(folder.path()).unwrap().log().unwrap();
        for wall_us in 0..1500 {
            let mut outcome = Outcome::new("a.test", Verdict::Passed);
            outcome.wall_us = wall_us;
            log.append(&a, &outcome, None).unwrap();
        }
        log.file.write_all(b"{\"name\":\"a.te").unwrap();
        assert_eq!(History::read(folder.path()).unwrap().get("a.test").unwrap().wall_us, 1499);
        let text = fs::read_to_string(folder.path().join("history.jsonl")).unwrap();
        assert_eq!(text.lines().count(), 1);
    }
}
