//! libtest's output in its three formats, written as events happen.
//!
//! `libtest-mimic` prints a trial's line only after the trial has ended, without its time, and prints nothing about
//! slow trials. So its output is off and this replaces it, in one process and over many.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anstyle::AnsiColor;
use serde_json::json;

mod failures;

use super::paint::{self, painted};
use super::progress::Progress;
use crate::escape;
use crate::event::{Event, Reporter, TrialId};
use crate::outcome::{Counts, Failure, Outcome, Verdict};
use crate::suite::TestFile;
use failures::Failures;

/// How many trials are on a line of the terse format.
const TERSE_WIDTH: u64 = 88;

/// How many files a message names at most.
const MOST_NAMES: usize = 3;

/// The format of the output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// A line for each trial.
    #[default]
    Pretty,
    /// A character for each trial.
    Terse,
    /// A JSON object for each event, one per line.
    Json,
}

/// What a printer shows, and how.
#[derive(Debug, Clone, Copy, Default)]
pub struct Layout {
    /// The format.
    pub format: Format,
    /// Whether each trial's time follows its verdict.
    pub report_time: bool,
    /// Whether only one trial runs at a time: then its name is shown before it ends.
    pub serial: bool,
    /// Whether failures go to standard error as `Error: …`, where nextest looks for them.
    pub errors_to_stderr: bool,
}

/// A printer writes the events of one run in libtest's format.
pub struct Printer {
    out: Box<dyn Write + Send>,
    layout: Layout,
    width: usize,
    /// The Rust paths of the trials, for JSON: editors build their tree from these.
    rust_paths: HashMap<String, String>,
    planned: u64,
    ended: u64,
    /// How many records `--bless` has rewritten, and in how many scripts.
    rewritten: (u64, u64),
    failures: Failures,
    progress: Option<Progress>,
    /// The first write error; nothing is written after it.
    error: Option<io::Error>,
}

impl Printer {
    /// A printer for a run over these files.
    pub fn new(out: Box<dyn Write + Send>, layout: Layout, files: &[TestFile]) -> Self {
        let rust_paths = match layout.format {
            Format::Json => files.iter().map(|file| (file.name.clone(), file.rust_path.clone())).collect(),
            _ => HashMap::new(),
        };
        let width = files.iter().map(|file| escape::line(&file.name).chars().count()).max().unwrap_or(0);
        Printer {
            out,
            layout,
            width,
            rust_paths,
            planned: 0,
            ended: 0,
            rewritten: (0, 0),
            failures: Failures::default(),
            progress: None,
            error: None,
        }
    }

    /// Also shows this progress. With `above`, the bar and this output share one terminal, and lines are written above the bar.
    pub fn show_progress(&mut self, progress: Progress, above: bool) {
        if above {
            self.out = progress.above(std::mem::replace(&mut self.out, Box::new(io::sink())));
        }
        self.progress = Some(progress);
    }

    /// Sets the command that is shown for running a failing file again; only the file's name is missing in it. `by_hand` says what
    /// the user must add; it may be empty.
    pub fn rerun_by(&mut self, command: String, by_hand: &'static str) {
        self.failures.again = command;
        self.failures.by_hand = by_hand;
    }

    /// Lists names, as `--list` does.
    pub fn list(&mut self, files: &[TestFile], terse: bool) {
        if self.layout.format == Format::Json {
            self.json(json!({"type": "suite", "event": "discovery"}));
            for file in files {
                self.json(json!({"type": "test", "event": "discovered", "name": file.rust_path,
                    "ignore": false, "ignore_message": "", "source_path": file.path, "start_line": 1, "start_col": 1,
                    "end_line": 1, "end_col": 1}));
            }
            let count = files.len();
            return self.json(json!({"type": "suite", "event": "completed", "tests": count, "benchmarks": 0,
                "total": count, "ignored": 0}));
        }
        for file in files {
            self.line(&format!("{}: test", escape::line(&file.name)));
        }
        if !terse {
            self.line(&format!("\n{}, 0 benchmarks", tests(files.len() as u64)));
        }
    }

    fn begin(&mut self, planned: u64) {
        self.planned = planned;
        match self.layout.format {
            Format::Json => self.json(json!({"type": "suite", "event": "started", "test_count": planned})),
            _ => self.line(&format!("\nrunning {}", tests(planned))),
        }
    }

    fn started(&mut self, name: &str) {
        match self.layout.format {
            Format::Json => {
                let name = self.path(name).to_owned();
                self.json(json!({"type": "test", "event": "started", "name": name}));
            }
            Format::Pretty if self.layout.serial => {
                let head = self.head(name);
                self.write(&head);
            }
            _ => {}
        }
    }

    /// Prints a message on standard error.
    fn notice(&mut self, notice: &str) {
        match &self.progress {
            Some(progress) => progress.notice(notice),
            None => note!("{notice}"),
        }
    }

    fn slow(&mut self, name: &str, limit: Duration) {
        match self.layout.format {
            Format::Json => {
                let name = self.path(name).to_owned();
                self.json(json!({"type": "test", "event": "timeout", "name": name}));
            }
            _ => self.line(&format!(
                "test {} has been running for over {} seconds",
                escape::line(name),
                limit.as_secs_f64()
            )),
        }
    }

    fn ended(&mut self, outcome: &Outcome) {
        self.ended += 1;
        self.rewritten.0 += outcome.rewritten;
        self.rewritten.1 += u64::from(outcome.rewritten > 0);
        let failure = outcome.verdict.is_failure().then(|| failure_text(outcome, Failure::to_string, str::to_owned));
        match self.layout.format {
            Format::Json => self.ended_json(outcome, failure.as_deref()),
            Format::Pretty => {
                let mut line = if self.layout.serial { String::new() } else { self.head(&outcome.name) };
                line.push_str(&painted(&escape::line(&outcome.verdict_text()), color(&outcome.verdict)));
                if self.layout.report_time && !matches!(outcome.verdict, Verdict::NotRun { .. }) {
                    line.push_str(&format!(" <{:.3}s>", outcome.wall().as_secs_f64()));
                }
                self.line(&line);
            }
            Format::Terse => {
                let letter = match &outcome.verdict {
                    Verdict::Passed | Verdict::Flaky { .. } => ".",
                    Verdict::KnownFailure { .. } | Verdict::Ignored { .. } | Verdict::NotRun { .. } => "i",
                    _ => "F",
                };
                let mut text = painted(letter, color(&outcome.verdict));
                if self.ended.is_multiple_of(TERSE_WIDTH) {
                    text.push_str(&format!(" {}/{}\n", self.ended, self.planned));
                }
                self.write(&text);
            }
        }
        if let Some(failure) = failure {
            if self.layout.errors_to_stderr {
                // Best effort: the exit code does not depend on it.
                let _ = writeln!(io::stderr(), "Error: {}", escape::text(&failure));
            } else {
                self.failures
                    .add(outcome, failure_text(outcome, paint::failure, |text| escape::text(text).into_owned()));
            }
        }
    }

    fn ended_json(&mut self, outcome: &Outcome, failure: Option<&str>) {
        let event = match &outcome.verdict {
            Verdict::Passed | Verdict::Flaky { .. } => "ok",
            Verdict::KnownFailure { .. } | Verdict::Ignored { .. } | Verdict::NotRun { .. } => "ignored",
            _ => "failed",
        };
        let mut object = json!({"type": "test", "name": self.path(&outcome.name), "event": event,
            "exec_time": outcome.wall().as_secs_f64(), "path": outcome.name, "records": outcome.records});
        match &outcome.verdict {
            Verdict::Ignored { reason } => object["message"] = json!(reason),
            Verdict::NotRun { .. } | Verdict::KnownFailure { .. } => {
                object["message"] = json!(outcome.verdict.to_string());
            }
            Verdict::Passed => {}
            verdict => object["verdict"] = json!(verdict.to_string()),
        }
        if outcome.rewritten > 0 {
            object["rewritten"] = json!(outcome.rewritten);
        }
        if let Some(failure) = failure {
            object["stdout"] = json!(format!("{failure}\n"));
        }
        // Our additions to libtest's output: the verdict if it is not `ok`, the file's name, the record counts.
        self.json(object);
    }

    /// The run is over: prints failures, then the summary line.
    ///
    /// # Errors
    /// The first write error, here or before.
    pub fn finish(&mut self, counts: &Counts, filtered_out: u64, elapsed: Duration) -> io::Result<()> {
        if let Some(progress) = self.progress.take() {
            progress.finish();
        }
        let failed = counts.failures();
        // libtest has only three kinds: a file that neither passed nor failed the run counts as ignored.
        let ignored = counts.ignored + counts.known_failures + counts.not_run;
        if self.layout.format == Format::Json {
            self.json(json!({"type": "suite", "event": if failed > 0 { "failed" } else { "ok" },
                "passed": counts.passed, "failed": failed, "ignored": ignored, "measured": 0,
                "filtered_out": filtered_out, "exec_time": elapsed.as_secs_f64()}));
        } else {
            if self.layout.format == Format::Terse && !self.ended.is_multiple_of(TERSE_WIDTH) {
                self.line("");
            }
            self.list_failures();
            if let (records @ 1.., files) = self.rewritten {
                let plural = |count| if count == 1 { "" } else { "s" };
                let (s, t) = (plural(records), plural(files));
                self.line(&format!(
                    "\nrewritten: {records} record{s} of {files} file{t}; see what changed before you keep it"
                ));
            }
            let verdict = if failed > 0 { Verdict::Failed } else { Verdict::Passed };
            self.line(&format!(
                "\ntest result: {}. {} passed; {failed} failed; {ignored} ignored; 0 measured; {filtered_out} filtered out; finished in {:.2}s\n",
                painted(&verdict.to_string(), color(&verdict)), counts.passed, elapsed.as_secs_f64()
            ));
        }
        self.flush()
    }

    /// Appends escaped text to the output; in JSON, does nothing.
    ///
    /// # Errors
    /// The write error.
    pub fn add(&mut self, text: &str) -> io::Result<()> {
        if self.layout.format != Format::Json {
            self.write(&escape::text(text));
        }
        self.flush()
    }

    fn list_failures(&mut self) {
        let failures = std::mem::take(&mut self.failures).text();
        self.write(&failures);
    }

    /// Flushes all output.
    ///
    /// # Errors
    /// The first write error, here or before.
    pub fn flush(&mut self) -> io::Result<()> {
        match self.error.take() {
            Some(error) => Err(error),
            None => self.out.flush(),
        }
    }

    fn head(&self, name: &str) -> String {
        format!("test {:<width$} ... ", escape::line(name), width = self.width)
    }

    fn path<'n>(&'n self, name: &'n str) -> &'n str {
        self.rust_paths.get(name).map_or(name, String::as_str)
    }

    fn json(&mut self, object: serde_json::Value) {
        self.line(&escape::json(&object.to_string()));
    }

    fn line(&mut self, text: &str) {
        self.write(&format!("{text}\n"));
    }

    fn write(&mut self, text: &str) {
        if self.error.is_none() {
            let written = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
            self.error = written.err();
        }
    }
}

/// The printer of a run is shared by its threads.
impl Reporter for Mutex<Printer> {
    fn report(&self, event: Event<'_>) {
        let mut printer = self.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(progress) = &printer.progress {
            progress.report(event);
        }
        match event {
            Event::RunStarted { planned } => printer.begin(planned),
            Event::TrialStarted { trial, .. } => printer.started(&trial.title()),
            Event::TrialSlow { trial, limit } => printer.slow(&trial.title(), limit),
            Event::TrialEnded { outcome, .. } if outcome.pass == 1 => printer.ended(outcome),
            Event::TrialEnded { outcome, .. } => {
                let name = TrialId::of(outcome).title().into_owned();
                printer.ended(&Outcome { name, ..outcome.clone() });
            }
            Event::Waiting { running } => printer.notice(&waiting(running)),
            Event::Notice(notice) => printer.notice(notice),
            Event::AttemptStarted { .. }
            | Event::TrialRequeued(_)
            | Event::RecordStarted { .. }
            | Event::RecordEnded { .. }
            | Event::ScriptFailed(_)
            | Event::DatabaseKept(_) => {}
        }
    }
}

fn waiting(running: &[TrialId<'_>]) -> String {
    let more = if running.len() > MOST_NAMES { " and others" } else { "" };
    let names: Vec<_> = running.iter().take(MOST_NAMES).map(TrialId::title).collect();
    format!("nothing left to claim: waiting for other processes to finish {}{more}", names.join(", "))
}

impl Drop for Printer {
    fn drop(&mut self) {
        // Remove the bar if the run is aborted.
        if let Some(progress) = self.progress.take() {
            progress.finish();
        }
    }
}

/// The text for a failed trial, with its failures and other foreign texts as `failure` and `other` write them.
fn failure_text(outcome: &Outcome, failure: fn(&Failure) -> String, other: fn(&str) -> String) -> String {
    let verdict = match outcome.verdict {
        Verdict::Failed => String::new(),
        ref verdict => format!("{}\n", other(&verdict.to_string())),
    };
    let output = match outcome.output.as_str() {
        "" => String::new(),
        output => format!("\n\nwhat the process printed:\n{}", other(output)),
    };
    format!("{verdict}{}{output}", outcome.failures_as(failure)).trim_end().to_owned()
}

fn tests(count: u64) -> String {
    format!("{count} test{}", if count == 1 { "" } else { "s" })
}

fn color(verdict: &Verdict) -> AnsiColor {
    match verdict {
        Verdict::Passed => AnsiColor::Green,
        Verdict::Flaky { .. } | Verdict::KnownFailure { .. } | Verdict::Ignored { .. } | Verdict::NotRun { .. } => {
            AnsiColor::Yellow
        }
        _ => AnsiColor::Red,
    }
}

#[cfg(test)]
mod tests;
