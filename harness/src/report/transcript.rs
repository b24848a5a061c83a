//! Shows one trial as it runs, record by record.

use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anstyle::AnsiColor;

use super::comparison;
use super::paint::{self, painted};
use super::words::milliseconds;
use crate::escape;
use crate::event::{Ending, Event, Reporter};
use crate::outcome::{Failure, Outcome};
use crate::script::Record;

/// How many characters of a record's SQL a line shows.
const WIDTH: usize = 64;

/// A transcript shows each record with its line, its SQL, its verdict and its time.
///
/// A running record is shown before it ends, so that a crash or a hang shows where it happened.
pub struct Transcript(Mutex<State>);

struct State {
    out: Box<dyn Write + Send>,
    /// The file of the last record.
    file: String,
    /// When the shown record began, if it has not ended.
    open: Option<Instant>,
    /// The first write error; nothing is written after it.
    error: Option<io::Error>,
}

impl Transcript {
    /// A transcript that is written to `out`, which removes colours if the user wants none.
    pub fn new(out: Box<dyn Write + Send>) -> Self {
        Transcript(Mutex::new(State { out, file: String::new(), open: None, error: None }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The trial is over: prints one line with the verdict and the counts.
    ///
    /// # Errors
    /// The first write error, here or before.
    pub fn finish(&self, outcome: &Outcome) -> io::Result<()> {
        let mut state = self.state();
        let records = outcome.records;
        let color = match outcome.verdict.is_failure() {
            true => AnsiColor::Red,
            false if outcome.verdict.is_pass() => AnsiColor::Green,
            false => AnsiColor::Yellow,
        };
        let rewritten = match outcome.rewritten {
            0 => String::new(),
            count => format!(", {count} of these rewritten"),
        };
        state.write(&format!(
            "\nresult: {}. records: {} passed{rewritten}; {} failed; {} skipped; finished in {:.2}s\n",
            painted(&escape::line(&outcome.verdict.to_string()), color),
            records.passed,
            records.failed,
            records.skipped,
            outcome.wall().as_secs_f64()
        ));
        state.write(&escape::text(&comparison::list([outcome])));
        match state.error.take() {
            Some(error) => Err(error),
            None => state.out.flush(),
        }
    }
}

impl Reporter for Transcript {
    fn report(&self, event: Event<'_>) {
        let mut state = self.state();
        match event {
            Event::RecordStarted { file, line, sql, is_judged: true, .. } => state.begin(file, line, sql),
            Event::RecordEnded { file, record, ending } => state.end(file, record, ending),
            Event::ScriptFailed(failure) => state.fail(failure),
            Event::DatabaseKept(database) => {
                let database = escape::line(database);
                state.write(&format!("\nkept the {database} for you to look at\n"));
            }
            _ => {}
        }
    }
}

impl State {
    /// Shows a record that is about to run; if this is another try of the record, it is already shown.
    fn begin(&mut self, file: &str, line: u64, sql: &[u8]) {
        if self.open.is_none() {
            if self.file != file {
                file.clone_into(&mut self.file);
                self.write(&format!("{}\n", escape::line(file)));
            }
            self.write(&format!("{line:>6}  {:<WIDTH$}  ", headline(sql)));
        }
        self.open = Some(Instant::now());
    }

    fn end(&mut self, file: &str, record: &Record<'_>, ending: Ending<'_>) {
        if !record.step.counts() && matches!(ending, Ending::Passed) {
            return;
        }
        // If the record ran no SQL, it has no time.
        let took = self.open.take().map(|began| began.elapsed());
        if took.is_none() {
            self.begin(file, record.line, record.step.text());
            self.open = None;
        }
        let (word, color, failure) = match ending {
            Ending::Passed => ("ok", AnsiColor::Green, None),
            Ending::Skipped => ("skipped", AnsiColor::Yellow, None),
            Ending::Failed(failure) => ("FAILED", AnsiColor::Red, Some(failure)),
            Ending::Corrected(failure) => ("differs", AnsiColor::Yellow, Some(failure)),
        };
        let took = took.map(|took| format!("  {}", milliseconds(took))).unwrap_or_default();
        self.write(&format!("{}{took}\n", painted(word, color)));
        if let Some(failure) = failure {
            self.write(&format!("\n{}\n\n", paint::failure(failure)));
        }
    }

    fn fail(&mut self, failure: &Failure) {
        if self.open.take().is_some() {
            self.write("\n");
        }
        self.write(&format!("\n{}\n", paint::failure(failure)));
    }

    fn write(&mut self, text: &str) {
        if self.error.is_none() {
            self.error = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()).err();
        }
    }
}

/// The first line of SQL, shortened, with control characters escaped.
fn headline(sql: &[u8]) -> String {
    let text = String::from_utf8_lossy(sql);
    let mut lines = text.lines();
    let first = escape::line(lines.next().unwrap_or_default().trim()).replace('\t', " ");
    let first: Vec<char> = first.chars().collect();
    if first.len() > WIDTH {
        return first[..WIDTH - 1].iter().chain(&['…']).collect();
    }
    let more = lines.next().is_some() && first.len() + 2 <= WIDTH;
    first.iter().collect::<String>() + if more { " …" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sql_is_shown_in_one_short_escaped_line() {
        assert_eq!(headline(b"  SELECT 1"), "SELECT 1");
        assert_eq!(headline(b"SELECT\n1"), "SELECT …");
        assert_eq!(headline(b"a\x1b[31m\tb"), "a\\u{1b}[31m b");
        let long = headline("é".repeat(99).as_bytes());
        assert!(long.chars().count() == WIDTH && long.ends_with("é…"), "{long}");
        assert_eq!(headline(b""), "");
    }
}
