//! One worker slot: the process in it, and how it ended.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Supervision, SupervisorError};
use crate::outcome::Verdict;
use crate::process::{self, Child, Exit, Family, Stdin};

/// How long a worker may take to end after SIGTERM.
const GRACE: Duration = Duration::from_millis(500);

/// How many bytes of a worker's output are kept with a failure.
pub const OUTPUT: u64 = 16 * 1024;

/// Holds one worker, or is empty.
pub(super) struct Slot {
    label: String,
    child: Option<Child>,
    /// Its number in the run, once it has joined.
    worker: Option<u32>,
    log: PathBuf,
    claimed: bool,
    /// Why it is being killed.
    kill_reason: Option<KillReason>,
    abandoned: bool,
}

/// The verdict on the entry for which a worker is being killed.
struct KillReason {
    verdict: Verdict,
    entry: usize,
    /// When it was asked to end.
    since: Instant,
}

/// What is known about an ended worker.
#[derive(Debug, Clone)]
pub(super) struct Dead {
    pub(super) worker: Option<u32>,
    /// The verdict on the entry that it was running.
    pub(super) verdict: Verdict,
    /// How it ended: `exit 3`, `SIGSEGV`.
    pub(super) how: String,
    /// Its output since its last trial began.
    pub(super) output: String,
    pub(super) had_claimed: bool,
    /// Whether its exit code reports success.
    pub(super) clean: bool,
    /// Whether a signal of another process ended it (SIGKILL, SIGTERM, SIGINT or SIGHUP), so that it did not end by itself.
    pub(super) killed: bool,
    /// Whether it was killed because the user wants to exit.
    pub(super) abandoned: bool,
    /// The entry for which it was killed, if any; by then it may have been running another.
    pub(super) killed_for: Option<usize>,
}

impl Dead {
    /// Whether it ended unexpectedly. Expected ends: nothing was left to do, the supervisor ended it, or it ended before it ran
    /// anything.
    pub(super) fn ended_unasked(&self) -> bool {
        self.had_claimed && !self.clean && !self.abandoned && self.killed_for.is_none()
    }
}

/// What a worker prints before each trial, so that its output can be split by file.
pub fn headline(name: &str, attempt: u32) -> String {
    format!("{HEADLINE}{name} (attempt {attempt}) ---")
}

const HEADLINE: &str = "--- running ";

/// The output since the last headline.
fn since_headline(log: &str) -> String {
    match log.rfind(HEADLINE) {
        Some(at) => log[at..].split_once('\n').map_or("", |(_, rest)| rest).trim_end().to_owned(),
        None => log.trim_end().to_owned(),
    }
}

impl Slot {
    /// Starts the `count`th worker of the run in the slot.
    pub(super) fn start(
        number: u32,
        count: u32,
        supervision: &Supervision<'_>,
        family: &Family,
    ) -> Result<Slot, SupervisorError> {
        let label = format!("{}-{number}-{count}", family.token());
        let log = log_path(&supervision.logs, number);
        let child = family.spawn((supervision.command)(&label), &log, Stdin::Null)?;
        Ok(Slot { label, child: Some(child), worker: None, log, claimed: false, kill_reason: None, abandoned: false })
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

    /// Ends the worker because `entry` exceeds a limit: asks it and its descendants to end, and kills them later if
    /// they do not.
    pub(super) fn end(&mut self, verdict: Verdict, entry: usize) {
        if let (None, Some(child)) = (&self.kill_reason, &mut self.child) {
            child.terminate();
            self.kill_reason = Some(KillReason { verdict, entry, since: Instant::now() });
        }
    }

    /// Kills the worker because its result is no longer needed.
    pub(super) fn abandon(&mut self) {
        self.abandoned = true;
        if let Some(child) = &mut self.child {
            child.kill();
        }
    }

    /// How the worker ended; `None` if it still runs. Once it has ended, none of its processes is left.
    pub(super) fn reap(&mut self, memory_limit: Option<u64>) -> Result<Option<Dead>, SupervisorError> {
        let Some(child) = &mut self.child else { return Ok(None) };
        let Some(exit) = child.try_wait()? else {
            if self.kill_reason.as_ref().is_some_and(|kill_reason| kill_reason.since.elapsed() > GRACE) {
                child.kill();
            }
            return Ok(None);
        };
        self.child = None;
        // If the log cannot be read, the verdict has no output.
        let output = process::read_tail(&self.log, OUTPUT).map_or_else(|_| String::new(), |tail| since_headline(&tail));
        let kill_reason = self.kill_reason.take();
        let killed_for = kill_reason.as_ref().map(|kill_reason| kill_reason.entry);
        let verdict = match (kill_reason, memory_limit) {
            (Some(kill_reason), _) => kill_reason.verdict,
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
            killed_for,
        }))
    }
}

/// The log file of the worker in slot `number`.
pub(super) fn log_path(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("worker-{number}.log"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_split_by_headlines() {
        let log = format!("noise\n{}\nold\n{}\nnew\nlines\n\n", headline("a.test", 1), headline("b.test", 2));
        assert_eq!(since_headline(&log), "new\nlines");
        assert_eq!(since_headline("error: no queue\n"), "error: no queue");
        assert_eq!(since_headline(&headline("a.test", 1)), "");
    }
}
