//! One try: a shorter script that runs in its own process.
//!
//! ```text
//! SLT_SHRINK=FOLDER     this process runs one try, which the folder holds
//! FOLDER/script         the script
//! FOLDER/try.json       what to do with it
//! FOLDER/running        the line of the record that runs and how many ran before it, written before each
//! FOLDER/outcome.json   what became of it; missing if the process ended
//! FOLDER/log            what it printed
//! ```

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::crash;
use crate::engine::Engine;
use crate::environment;
use crate::event::{Event, Reporter};
use crate::outcome::{Failure, Outcome, Verdict};
use crate::process::{self, Child, Exit, Family, ProcessError, Stdin};
use crate::suite::{At, Dialect, Excerpt, TestFile};
use crate::trial::{self, Options};

/// The variable that tells a process to run one try.
const FOLDER: &str = "SLT_SHRINK";

/// The instructions for one try.
#[derive(Debug, Serialize, Deserialize)]
struct Task {
    /// The name of the script that is being shrunk, because engines may depend on it.
    name: String,
    root: PathBuf,
    dialect: String,
    /// The line of the record that is judged; `None` means all records.
    line: Option<u64>,
    /// The pass of the loops around it; empty for every pass.
    pass: String,
}

/// How a try ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    /// By itself, with this outcome.
    Outcome(Box<Outcome>),
    /// Its process ended while the record in this line ran; 0 if none did.
    Died { how: String, line: u64 },
    /// It was killed after the time limit, in this line.
    Killed { line: u64 },
    /// The user has pressed Ctrl-C.
    Interrupted,
}

/// Runs tries, one after the other.
pub(super) struct Bench<'b> {
    pub family: &'b Family,
    pub folder: &'b Path,
    pub file: &'b TestFile,
    pub command: &'b dyn Fn(bool) -> Command,
    /// The pass of the loops around the record; empty for every pass.
    pub pass: &'b str,
    /// How long one record may run before its process is killed.
    pub record_limit: Option<Duration>,
    pub interrupted: &'b mut dyn FnMut() -> bool,
}

impl Bench<'_> {
    /// Runs a script. Judges the record in `line`, or all records if it is `None`. Runs on the reference if `on_reference`.
    ///
    /// # Errors
    /// The process cannot be started, or its files cannot be written.
    pub(super) fn run(
        &mut self,
        script: &[u8],
        line: Option<u64>,
        on_reference: bool,
        limit: Duration,
    ) -> Result<Ended, BenchError> {
        let path = |name: &str| self.folder.join(name);
        for name in ["outcome.json", "running", "log"] {
            match fs::remove_file(path(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        fs::write(path("script"), script)?;
        let task = Task {
            name: self.file.script().to_owned(),
            root: self.file.root.clone(),
            dialect: self.file.dialect.to_string(),
            line,
            pass: self.pass.to_owned(),
        };
        fs::write(path("try.json"), serde_json::to_vec(&task).map_err(io::Error::other)?)?;
        let mut command = (self.command)(on_reference);
        command.env(FOLDER, self.folder);
        let mut child = self.family.spawn(command, &path("log"), Stdin::Null)?;
        let begun = Instant::now();
        let (mut last, mut since) = (String::new(), begun);
        loop {
            let exit = child.wait_timeout(TICK)?;
            let running = fs::read_to_string(path("running")).unwrap_or_default();
            let line = running.split_whitespace().next().and_then(|line| line.parse().ok()).unwrap_or(0);
            if let Some(exit) = exit {
                return Ok(self.ended(exit, line));
            }
            if (self.interrupted)() {
                end(child)?;
                return Ok(Ended::Interrupted);
            }
            if running != last {
                (last, since) = (running, Instant::now());
            }
            let is_stuck = self.record_limit.is_some_and(|limit| since.elapsed() > limit);
            if is_stuck || begun.elapsed() > limit {
                end(child)?;
                return Ok(Ended::Killed { line });
            }
        }
    }

    fn ended(&self, exit: Exit, line: u64) -> Ended {
        let text = fs::read(self.folder.join("outcome.json")).unwrap_or_default();
        match serde_json::from_slice(&text) {
            Ok(outcome) if exit.is_success() => Ended::Outcome(outcome),
            _ => Ended::Died { how: exit.to_string(), line },
        }
    }

    /// The output of the last try.
    pub(super) fn log(&self) -> String {
        process::read_tail(&self.folder.join("log"), 4096).unwrap_or_default().trim_end().to_owned()
    }
}

/// How long a process may take to end on request.
const GRACE: Duration = Duration::from_millis(500);

/// How often to check for Ctrl-C.
const TICK: Duration = Duration::from_millis(100);

fn end(mut child: Child) -> Result<(), ProcessError> {
    child.kill_group(GRACE).map(drop)
}

/// Why a try cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// Its files cannot be written.
    #[error("cannot write the script of a try: {0}")]
    Files(#[from] io::Error),
    /// Its process cannot be started or ended.
    #[error(transparent)]
    Process(#[from] ProcessError),
}

/// The folder of the try that this process must run, if any.
pub(crate) fn asked_for() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

/// Runs the try in a folder, in this process.
///
/// # Errors
/// A sentence that says what cannot be read or written.
pub(crate) fn run(folder: &Path, engine: &Arc<dyn Engine>, options: &Options) -> Result<(), String> {
    process::die_with_parent().map_err(|error| error.to_string())?;
    environment::forget();
    process::forbid_core_dumps().map_err(|error| error.to_string())?;
    let task = fs::read(folder.join("try.json")).map_err(|error| format!("cannot read the try: {error}"))?;
    let task: Task = serde_json::from_slice(&task).map_err(|error| format!("cannot read the try: {error}"))?;
    let dialect: Dialect = task.dialect.parse()?;
    let file = TestFile {
        rust_path: task.name.clone(),
        name: task.name,
        path: folder.join("script"),
        root: task.root,
        planned: None,
        dialect,
        excerpt: None,
        excluded: None,
    };
    let file = match task.line {
        Some(line) => file.with_excerpt(Excerpt { named: At::new(line, &task.pass), line, alone: false }),
        None => file,
    };
    let running = File::create(folder.join("running")).map_err(|error| format!("cannot write the line: {error}"))?;
    let page = Page { file: running, count: AtomicU64::new(0) };
    let outcome = match process::has_stack(crash::stack_bytes()) {
        true => trial::run(&file, &**engine, options, &page),
        false => trial::run_compared(&file, engine, options, Arc::new(page), true, &|| false, &|| {}),
    };
    let text = serde_json::to_vec(&outcome).map_err(|error| error.to_string())?;
    fs::write(folder.join("outcome.json"), text).map_err(|error| format!("cannot write the outcome: {error}"))
}

/// The file for the line of the running record.
struct Page {
    file: File,
    count: AtomicU64,
}

impl Reporter for Page {
    fn report(&self, event: Event<'_>) {
        let Event::RecordStarted { line, .. } = event else { return };
        // If this write fails, a crash is attributed to another line, and so is not taken for the same failure.
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let _ = self.file.write_all_at(format!("{line:>20} {count:>20}").as_bytes(), 0);
    }
}

/// The line of the record that failed, and how it failed; `None` if no record failed.
pub(super) fn failure(ended: &Ended) -> Option<(u64, Symptom)> {
    let of = |failure: &Failure, symptom: Symptom| Some((failure.line, symptom));
    match ended {
        Ended::Died { how, line } => Some((*line, Symptom::Crashed { how: how.clone() })),
        Ended::Killed { line } => Some((*line, Symptom::TimedOut)),
        Ended::Interrupted => None,
        Ended::Outcome(outcome) => match outcome.verdict {
            Verdict::TimedOut { .. } => of(outcome.failures.last()?, Symptom::TimedOut),
            Verdict::OutOfMemory { .. } => of(outcome.failures.last()?, Symptom::OutOfMemory),
            Verdict::Failed => {
                let failure = outcome.failures.first()?;
                let message = trial::without_those_before(&failure.message).to_owned();
                of(failure, Symptom::Failed { message, actual: failure.actual.clone() })
            }
            _ => None,
        },
    }
}

/// The kind of a failure, with its details.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Symptom {
    /// The record did not do what the script says. `actual` is the actual result, if there is one.
    Failed { message: String, actual: Option<String> },
    /// Its process ended.
    Crashed { how: String },
    /// It exceeded its time limit.
    TimedOut,
    /// It needed more memory than it may use.
    OutOfMemory,
}

impl Symptom {
    /// Whether both are the same, except for line numbers and, if `loosely`, for all numbers and paths.
    pub(super) fn is_like(&self, other: &Symptom, loosely: bool) -> bool {
        match (self, other) {
            (Symptom::Failed { message, actual }, Symptom::Failed { message: other_message, actual: other_actual }) => {
                let plain = |text: &str| if loosely { without_numbers(text) } else { without_lines(text) };
                let same = |a: &str, b: &str| a == b || plain(a) == plain(b);
                same(message, other_message)
                    && match (actual, other_actual) {
                        (Some(a), Some(b)) => a == b || (loosely && plain(a) == plain(b)),
                        (a, b) => a == b,
                    }
            }
            (a, b) => a == b,
        }
    }

    /// Whether the symptom is a result that differs from the one in the script.
    pub(crate) fn is_mismatch(&self) -> bool {
        matches!(self, Symptom::Failed { actual: Some(_), .. })
    }
}

impl std::fmt::Display for Symptom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Symptom::Failed { message, .. } => f.write_str(message.lines().next().unwrap_or_default()),
            Symptom::Crashed { how } => write!(f, "crashed ({how})"),
            Symptom::TimedOut => f.write_str("timed out"),
            Symptom::OutOfMemory => f.write_str("out of memory"),
        }
    }
}

/// Removes the numbers after `line `, because a shorter script has its records in other lines.
fn without_lines(text: &str) -> String {
    let mut plain = String::new();
    for (index, part) in text.split("line ").enumerate() {
        let part = if index == 0 { part } else { part.trim_start_matches(|char: char| char.is_ascii_digit()) };
        plain.push_str(part);
        plain.push_str("line ");
    }
    plain
}

/// Removes numbers and paths, because they may differ from run to run.
fn without_numbers(text: &str) -> String {
    let word = |word: &str| {
        if word.contains('/') {
            "/".to_owned()
        } else {
            word.replace(|c: char| c.is_ascii_hexdigit() && !c.is_ascii_alphabetic(), "")
        }
    };
    text.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_the_same_where_message_and_result_are() {
        let failed = |message: &str, actual: Option<&str>| Symptom::Failed {
            message: message.to_owned(),
            actual: actual.map(str::to_owned),
        };
        let one = failed("results differ from those in line 12", None);
        assert!(one.is_like(&failed("results differ from those in line 7", None), false));
        assert!(!one.is_like(&failed("results differ from those in row 12", None), false));
        let result = failed("query result mismatch", Some("1\n2"));
        assert!(
            result.is_like(&result, false) && !result.is_like(&failed("query result mismatch", Some("1\n3")), false)
        );
        let path = failed("cannot open /tmp/a1/x after 15 ms", None);
        let other = failed("cannot open /tmp/b2/x after 9 ms", None);
        assert!(!path.is_like(&other, false) && path.is_like(&other, true));
        let crash = |how: &str| Symptom::Crashed { how: how.to_owned() };
        assert!(
            crash("SIGSEGV").is_like(&crash("SIGSEGV"), false) && !crash("SIGSEGV").is_like(&crash("SIGABRT"), true)
        );
        assert!(!crash("SIGSEGV").is_like(&Symptom::TimedOut, true));
    }
}
