//! One worker's place: the process that fills it, and how it ended.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Supervision, SupervisorError};
use crate::outcome::Verdict;
use crate::process::{self, Child, Exit, Family, Stdin};

/// How long a worker that is told to end may take over it.
const GRACE: Duration = Duration::from_millis(500);

/// How much of what a worker printed is kept with a failure, in bytes.
pub const OUTPUT: u64 = 16 * 1024;

/// A slot holds a worker, or none.
pub(super) struct Slot {
    label: String,
    child: Option<Child>,
    /// Its number in the run, once it has joined.
    worker: Option<u32>,
    log: PathBuf,
    claimed: bool,
    /// Why it is being killed.
    sentence: Option<Sentence>,
    abandoned: bool,
}

/// The verdict on an entry for which a worker is being killed.
struct Sentence {
    verdict: Verdict,
    entry: usize,
    /// When it was told to end.
    told: Instant,
}

/// What is known of a worker that is dead.
#[derive(Debug, Clone)]
pub(super) struct Dead {
    pub(super) worker: Option<u32>,
    /// The verdict on what it was running.
    pub(super) verdict: Verdict,
    /// How it ended, in a word: `exit 3`, `SIGSEGV`.
    pub(super) how: String,
    /// What it had printed since its last trial began.
    pub(super) output: String,
    pub(super) had_claimed: bool,
    /// Whether it says of itself that all went well.
    pub(super) clean: bool,
    /// Whether it was killed, by whomever, instead of ending by itself.
    pub(super) killed: bool,
    /// Whether it was killed because the user wants to be gone.
    pub(super) abandoned: bool,
    /// The entry for which it was ended, if it was; by then it may have been running another.
    pub(super) sentenced_for: Option<usize>,
}

impl Dead {
    /// Whether it ended neither as a worker does when nothing is left to do, nor on request, nor before it ran anything.
    pub(super) fn ended_unasked(&self) -> bool {
        self.had_claimed && !self.clean && !self.abandoned && self.sentenced_for.is_none()
    }
}

/// What a worker prints before each trial, so that its output can be told apart by file.
pub fn headline(name: &str, attempt: u32) -> String {
    format!("{HEADLINE}{name} (attempt {attempt}) ---")
}

const HEADLINE: &str = "--- running ";

/// What was printed since the last headline.
fn since_headline(log: &str) -> String {
    match log.rfind(HEADLINE) {
        Some(at) => log[at..].split_once('\n').map_or("", |(_, rest)| rest).trim_end().to_owned(),
        None => log.trim_end().to_owned(),
    }
}

impl Slot {
    /// Fills the slot: the `count`th worker of the run begins.
    pub(super) fn start(
        number: u32,
        count: u32,
        supervision: &Supervision<'_>,
        family: &Family,
    ) -> Result<Slot, SupervisorError> {
        let label = format!("{}-{number}-{count}", family.token());
        let log = log_path(&supervision.logs, number);
        let child = family.spawn((supervision.command)(&label), &log, Stdin::Null)?;
        Ok(Slot { label, child: Some(child), worker: None, log, claimed: false, sentence: None, abandoned: false })
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }

    pub(super) fn worker(&self) -> Option<u32> {
        self.worker
    }

    pub(super) fn joined(&mut self, worker: u32) {
        self.worker = Some(worker);
    }

    pub(super) fn claimed(&mut self) {
        self.claimed = true;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.child.is_none()
    }

    /// Ends the worker because `entry` exceeds a limit: asks it and all that it started, and kills them if that is not
    /// enough.
    pub(super) fn end(&mut self, verdict: Verdict, entry: usize) {
        if let (None, Some(child)) = (&self.sentence, &mut self.child) {
            child.terminate();
            self.sentence = Some(Sentence { verdict, entry, told: Instant::now() });
        }
    }

    /// Kills the worker because nobody wants its result any more.
    pub(super) fn abandon(&mut self) {
        self.abandoned = true;
        if let Some(child) = &mut self.child {
            child.kill();
        }
    }

    /// If the worker has ended, says how; nothing of it is left then.
    pub(super) fn reap(&mut self, memory_limit: Option<u64>) -> Result<Option<Dead>, SupervisorError> {
        let Some(child) = &mut self.child else { return Ok(None) };
        let Some(exit) = child.try_wait()? else {
            if self.sentence.as_ref().is_some_and(|sentence| sentence.told.elapsed() > GRACE) {
                child.kill();
            }
            return Ok(None);
        };
        self.child = None;
        // A log that cannot be read leaves the verdict without its output.
        let output = process::read_tail(&self.log, OUTPUT).map_or_else(|_| String::new(), |tail| since_headline(&tail));
        let sentence = self.sentence.take();
        let sentenced_for = sentence.as_ref().map(|sentence| sentence.entry);
        let verdict = match (sentence, memory_limit) {
            (Some(sentence), _) => sentence.verdict,
            (None, Some(limit_bytes)) if process::says_out_of_memory(&output, &exit) => {
                Verdict::OutOfMemory { limit_bytes }
            }
            (None, _) => Verdict::Crashed { how: exit.to_string() },
        };
        Ok(Some(Dead {
            worker: self.worker,
            verdict,
            how: exit.to_string(),
            output,
            had_claimed: self.claimed,
            clean: exit.is_success(),
            killed: [libc::SIGKILL, libc::SIGTERM, libc::SIGINT, libc::SIGHUP].map(Exit::Signal).contains(&exit),
            abandoned: self.abandoned,
            sentenced_for,
        }))
    }
}

/// Where the worker in slot `number` writes what it prints.
pub(super) fn log_path(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("worker-{number}.log"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_told_apart_by_headlines() {
        let log = format!("noise\n{}\nold\n{}\nnew\nlines\n\n", headline("a.test", 1), headline("b.test", 2));
        assert_eq!(since_headline(&log), "new\nlines");
        assert_eq!(since_headline("error: no queue\n"), "error: no queue");
        assert_eq!(since_headline(&headline("a.test", 1)), "");
    }
}
