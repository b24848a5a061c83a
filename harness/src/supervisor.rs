//! Runs worker processes for a run, and reports an outcome for everything they claim.
//!
//! It starts workers, follows the queue, ends those that exceed a limit, finds out how workers ended, settles their
//! files, starts replacements, and leaves no process behind.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::event::{Event, Reporter};
use crate::known::Judge;
use crate::outcome::{Size, Verdict};
use crate::process::{Family, Interrupts, ProcessError};
use crate::queue::{Event as QueueEvent, Lost, Plan, Queue, QueueError, Running};
use crate::worker::{EARLIER_FAILURE, Policy, TIME_BUDGET, WorkerEnd, settle};

mod current;
mod settlement;
mod slot;

use current::Current;
use settlement::{Settlement, settlement};
use slot::{Dead, Slot};
pub use slot::{OUTPUT, headline};

/// The settings of a supervisor.
pub struct Supervision<'s> {
    /// How many workers run at a time.
    pub workers: u32,
    /// The command for a worker with this label; it joins the run under that label.
    pub command: &'s dyn Fn(&str) -> Command,
    /// The engine's name in messages.
    pub engine: &'s str,
    /// How often a trial is retried.
    pub policy: Policy,
    /// The time limit for a file.
    pub file_timeout: Option<Duration>,
    /// Whether workers also run each file on a reference, after its verdict.
    pub compares: bool,
    /// The time limit for a record.
    pub query_timeout: Option<Duration>,
    /// The limit of a worker's address space in bytes, if any.
    pub memory_limit: Option<u64>,
    /// Whether workers may wait for memory between a claim and the file's start.
    pub waits: bool,
    /// When to stop claiming.
    pub deadline: Option<Instant>,
    /// How long a file runs before a message says so.
    pub slow: Duration,
    /// The folder for the workers' output, one file each.
    pub logs: PathBuf,
    /// The list of known failures, also applied to files whose worker ended.
    pub known: Option<&'s Judge>,
    /// Whether to stop claiming after the first failure.
    pub fail_fast: bool,
    /// How long after the first Ctrl-C the remaining workers are killed.
    pub grace: Duration,
    /// Entries whose outcome was reported before the supervisor followed the run.
    pub reported: HashSet<usize>,
}

/// Why a supervisor gave up.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    /// The queue cannot be used any more.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// A worker could not be started, or waited for.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// Workers cannot even start within the memory limit.
    #[error("workers cannot start: `--memory-limit` of {} is too low; the last one printed:\n{output}", Size(*.limit))]
    TooLittleMemory {
        /// The limit, in bytes.
        limit: u64,
        /// The end of what it printed.
        output: String,
    },
    /// Workers end before they claim anything.
    #[error("workers end ({how}) before they run anything; the last one printed:\n{output}")]
    Futile {
        /// How the last one ended.
        how: String,
        /// The end of what it printed.
        output: String,
    },
}

/// How often the supervisor checks.
const TICK: Duration = Duration::from_millis(5);

/// How long after its limit a worker is killed: before that, the worker interrupts engines that support it.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often the supervisor looks for leases of processes that it did not start. With a queue on a server, only once in five
/// polls.
const LOOK_ROUND: Duration = Duration::from_millis(200);

/// How many workers in a row may end by themselves without a claim.
const FUTILE: u32 = 3;

/// How many workers in a row may be killed before their first claim.
const FUTILE_KILLS: u32 = 100;

/// How long a worker may keep running after its lease was lost.
const REAP_TIME: Duration = Duration::from_secs(1);

/// Supervises a run until everything has its outcome, or until nothing more is claimed and no participant is running anything.
/// Returns the numbers of its own workers.
///
/// # Errors
/// The queue or the workers cannot be used; no worker is running any more when it returns.
pub fn supervise(
    queue: &mut dyn Queue,
    supervision: &Supervision<'_>,
    reporter: &dyn Reporter,
) -> Result<HashSet<u32>, SupervisorError> {
    let family = Family::new()?;
    // If this fails, a process that leaves its group and empties its environment may be left.
    let _ = family.adopt_orphans();
    let mut supervisor = Supervisor {
        supervision,
        family,
        interrupts: Interrupts::install()?,
        interrupted: 0,
        interrupted_at: None,
        slots: Vec::new(),
        dead: HashMap::new(),
        own: HashSet::new(),
        lost: Vec::new(),
        followed: None,
        looked_round: None,
        current: HashMap::new(),
        // The supervisor gets no events from before it joined.
        stopped: queue.progress()?.is_stopped,
        started: 0,
        futile: (0, 0),
    };
    let result = supervisor.run(queue, reporter);
    let Supervisor { family, slots, own, .. } = supervisor;
    drop(slots);
    if !family.end() {
        reporter.report(Event::Notice("warning: a process that a worker started could not be killed"));
    }
    result.map(|()| own)
}

struct Supervisor<'s> {
    supervision: &'s Supervision<'s>,
    family: Family,
    interrupts: Interrupts,
    interrupted: usize,
    /// The time of the first Ctrl-C.
    interrupted_at: Option<Instant>,
    slots: Vec<Slot>,
    /// How workers ended, by label.
    dead: HashMap<String, Dead>,
    /// The numbers of this supervisor's workers, also of those that ended.
    own: HashSet<u32>,
    /// Leases of ended workers that are not settled yet, and when each was found.
    lost: Vec<(Lost, Instant)>,
    /// When it last polled the queue.
    followed: Option<Instant>,
    /// When it last looked for lost leases.
    looked_round: Option<Instant>,
    /// What each participant is running, by its number.
    current: HashMap<u32, Current>,
    stopped: bool,
    /// How many workers have been started so far.
    started: u32,
    /// How many workers in a row ended before their first claim: by themselves, and killed.
    futile: (u32, u32),
}

impl Supervisor<'_> {
    fn run(&mut self, queue: &mut dyn Queue, reporter: &dyn Reporter) -> Result<(), SupervisorError> {
        // The time budget may be used up already.
        self.obey(queue, reporter)?;
        for number in 1..=self.supervision.workers {
            let slot = self.start(number)?;
            self.slots.push(slot);
        }
        loop {
            if self.followed.is_none_or(|followed| followed.elapsed() >= queue.pace()) {
                self.follow(queue, reporter)?;
            }
            self.obey(queue, reporter)?;
            self.enforce(queue)?;
            self.reap(queue, reporter)?;
            self.family.tend()?;
            if self.slots.iter().all(Slot::is_empty) && self.is_over(queue)? {
                return self.follow(queue, reporter);
            }
            thread::sleep(TICK);
        }
    }

    /// Whether no participant is running anything any more; called when this supervisor has no worker left. Workers of others
    /// may still run, and if they end, their own supervisor or this one must settle their files.
    fn is_over(&mut self, queue: &mut dyn Queue) -> Result<bool, SupervisorError> {
        if self.interrupted > 1 {
            return Ok(true);
        }
        if !queue.progress()?.is_leased_elsewhere {
            return Ok(true);
        }
        thread::sleep(queue.pace().max(LOOK_ROUND));
        Ok(false)
    }

    fn start(&mut self, number: u32) -> Result<Slot, SupervisorError> {
        self.started += 1;
        Slot::start(number, self.started, self.supervision, &self.family)
    }

    /// Processes the events since the last poll.
    fn follow(&mut self, queue: &mut dyn Queue, reporter: &dyn Reporter) -> Result<(), SupervisorError> {
        let events = queue.poll()?;
        self.followed = Some(Instant::now());
        for event in &events {
            match event {
                QueueEvent::Joined { worker, label } => {
                    if let Some(slot) = self.slots.iter_mut().find(|slot| slot.label() == label) {
                        slot.joined(*worker);
                        self.own.insert(*worker);
                    }
                    // The worker may have joined and ended between two polls.
                    if let Some(dead) = self.dead.get_mut(label) {
                        dead.worker = Some(*worker);
                        self.own.insert(*worker);
                    }
                }
                QueueEvent::Claimed { worker, entry } => {
                    self.current.insert(*worker, Current::new(*entry));
                    if let Some(slot) = self.slots.iter_mut().find(|slot| slot.worker() == Some(*worker)) {
                        slot.claimed();
                        self.futile = (0, 0);
                    }
                    if let Some(dead) = self.dead.values_mut().find(|dead| dead.worker == Some(*worker)) {
                        dead.had_claimed = true;
                    }
                }
                QueueEvent::Finished { entry, .. } | QueueEvent::Requeued { entry, .. } => {
                    self.current.retain(|_, current| current.entry != *entry);
                }
                QueueEvent::Stopped { .. } => self.stopped = true,
                _ => {}
            }
            self.pass_on(event, queue.plan(), reporter);
        }
        Ok(())
    }

    /// Reports what happened to an entry, unless its outcome was reported before.
    fn pass_on(&self, event: &QueueEvent, plan: &Plan, reporter: &dyn Reporter) {
        let is_news = |entry: &usize| !self.supervision.reported.contains(entry);
        match event {
            QueueEvent::Claimed { worker, entry } if is_news(entry) => {
                reporter.report(Event::TrialStarted { trial: plan.entries()[*entry].trial(), worker: *worker });
            }
            QueueEvent::Requeued { entry, .. } if is_news(entry) => {
                reporter.report(Event::TrialRequeued(plan.entries()[*entry].trial()));
            }
            QueueEvent::Finished { entry, outcome, .. } if is_news(entry) => {
                reporter.report(Event::TrialEnded { outcome, planned: plan.content(*entry) });
            }
            _ => {}
        }
    }

    /// Acts on time limits and interrupts.
    fn obey(&mut self, queue: &mut dyn Queue, reporter: &dyn Reporter) -> Result<(), SupervisorError> {
        if !self.stopped && self.supervision.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            queue.stop(TIME_BUDGET)?;
            self.stopped = true;
            if !self.current.is_empty() {
                reporter.report(Event::Notice(&format!(
                    "the time budget is used up; {} still running",
                    self.files_running()
                )));
            }
        }
        for current in self.current.values_mut() {
            if current.is_newly_slow(self.supervision.slow) {
                let trial = queue.plan().entries()[current.entry].trial();
                reporter.report(Event::TrialSlow { trial, limit: self.supervision.slow });
            }
        }
        let asked = self.interrupts.count();
        let first = (asked > 0).then(|| *self.interrupted_at.get_or_insert_with(Instant::now));
        // After Ctrl-C, the user may be unable to press it again: cargo exits at the first one, and the shell then has the
        // terminal.
        let is_over = first.is_some_and(|first| first.elapsed() >= self.supervision.grace);
        let interrupts = if is_over { asked.max(2) } else { asked };
        if interrupts > 0 && self.interrupted == 0 {
            queue.stop("interrupted")?;
            self.stopped = true;
            let (files, grace) = (self.files_running(), self.supervision.grace.as_secs_f64());
            let id = std::process::id();
            reporter.report(Event::Notice(&format!(
                "interrupted: {files} still running, with {grace} s to end; interrupt again to kill the workers at once, or run \
                 `kill {id}`"
            )));
        }
        if interrupts > 1 && self.interrupted < 2 {
            let why = if asked > 1 { "interrupted again" } else { "interrupted, and the grace period is over" };
            reporter.report(Event::Notice(&format!("{why}: killing the workers")));
            for slot in &mut self.slots {
                slot.abandon();
            }
        }
        self.interrupted = interrupts;
        Ok(())
    }

    fn files_running(&self) -> String {
        match self.current.len() {
            1 => "1 file is".to_owned(),
            running => format!("{running} files are"),
        }
    }

    /// Ends workers whose file or record takes too long.
    fn enforce(&mut self, queue: &mut dyn Queue) -> Result<(), SupervisorError> {
        let Supervision { file_timeout, query_timeout, policy, compares, waits, .. } = self.supervision;
        for slot in &mut self.slots {
            let Some((worker, current)) =
                slot.worker().and_then(|worker| Some((worker, self.current.get_mut(&worker)?)))
            else {
                continue;
            };
            if *waits || query_timeout.is_some() || (file_timeout.is_some() && (policy.retries > 0 || *compares)) {
                let record = queue.running(worker)?;
                let trial = |record: &Option<Running>| record.as_ref().map(|record| record.trial);
                if record != current.record {
                    current.record_since = Instant::now();
                }
                if current.record.is_some() && trial(&record) != trial(&current.record) {
                    // The next attempt, under the same lease, gets the full time.
                    current.since = Instant::now();
                    current.reported = false;
                }
                if (*compares || *waits) && record.is_none() {
                    // Either the file has its verdict and now runs on the reference, which has its own limits; or the file has
                    // not started.
                    (current.since, current.record_since) = (Instant::now(), Instant::now());
                }
                current.record = record;
            }
            let file = file_timeout.filter(|limit| current.since.elapsed() > *limit + PATIENCE);
            let query = query_timeout.filter(|limit| current.record_since.elapsed() > *limit + PATIENCE);
            if let Some(limit) = file.or(query) {
                let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
                slot.end(Verdict::TimedOut { limit_ms }, current.entry);
            }
        }
        Ok(())
    }

    /// Finds workers that ended, settles their files, and starts replacements.
    fn reap(&mut self, queue: &mut dyn Queue, reporter: &dyn Reporter) -> Result<(), SupervisorError> {
        let mut reaped = Vec::new();
        for slot in &mut self.slots {
            if let Some(dead) = slot.reap(self.supervision.memory_limit)? {
                reaped.push(slot.label().to_owned());
                self.dead.insert(slot.label().to_owned(), dead);
            }
        }
        let anyone = !reaped.is_empty();
        if anyone || self.looked_round.is_none_or(|looked| looked.elapsed() > LOOK_ROUND.max(queue.pace() * 5)) {
            // The lock of an ended process is free, so all its leases are found now. The process may also be one that was
            // started by hand, or one of a run that is resumed.
            let now = Instant::now();
            self.lost.extend(queue.lost()?.into_iter().map(|lost| (lost, now)));
            self.looked_round = Some(now);
        }
        if anyone || !self.lost.is_empty() {
            // Now each lost lease can be matched with a label.
            self.follow(queue, reporter)?;
        }
        for dead in reaped.iter().filter_map(|label| self.dead.get(label)) {
            // The file is not at fault, but something is wrong.
            if dead.ended_unasked() && !self.lost.iter().any(|(lost, _)| Some(lost.worker) == dead.worker) {
                reporter.report(Event::Notice(&format!(
                    "warning: a worker ended ({}) after it had finished its file",
                    dead.how
                )));
            }
        }
        let mut early = Vec::new();
        for (lost, since) in std::mem::take(&mut self.lost) {
            if let Some(slot) =
                self.slots.iter_mut().find(|slot| slot.worker() == Some(lost.worker) && !slot.is_empty())
            {
                // Either the worker's free lock shows that it has ended; then the next check reaps it and finds out how. Or the
                // worker hangs, and was declared lost because it sent no heartbeat.
                if since.elapsed() > REAP_TIME {
                    let how = "it hung for too long".to_owned();
                    slot.end(Verdict::Crashed { how }, lost.lease.entry());
                }
                early.push((lost, since));
                continue;
            }
            self.settle(queue, lost)?;
        }
        self.lost = early;
        if !anyone {
            return Ok(());
        }
        self.follow(queue, reporter)?;
        self.replace(queue)
    }

    /// Decides what happens to the file that an ended worker was running.
    fn settle(&mut self, queue: &mut dyn Queue, lost: Lost) -> Result<(), SupervisorError> {
        let Supervision { engine, policy, known, fail_fast, .. } = *self.supervision;
        let ran_for = self.current.get(&lost.worker).map_or(Duration::ZERO, |current| current.since.elapsed());
        let dead = self.death_of(lost.worker);
        match settlement(dead, lost.lease.entry(), self.stopped) {
            // The attempt ended because the run did, not the other way round.
            Settlement::Unfinished => return Ok(queue.release(lost.lease, "the run ended")?),
            Settlement::Rerun => {
                return Ok(queue.release(lost.lease, "its worker was ended for what it had run before")?);
            }
            Settlement::Settle => {}
        }
        let unknown = || WorkerEnd::unknown(engine);
        let end = dead.map_or_else(unknown, |dead| WorkerEnd {
            engine,
            verdict: dead.verdict.clone(),
            output: dead.output.clone(),
            ran_for,
        });
        // When claiming has stopped, there is no further attempt, so this one counts.
        let policy = if self.stopped { Policy { retries: 0, crash_retries: 0 } } else { policy };
        let outcome = settle(queue, lost, &end, policy, known)?;
        if fail_fast && outcome.is_some_and(|outcome| outcome.verdict.is_failure()) {
            queue.stop(EARLIER_FAILURE)?;
            self.stopped = true;
        }
        Ok(())
    }

    fn death_of(&self, worker: u32) -> Option<&Dead> {
        self.dead.values().find(|dead| dead.worker == Some(worker))
    }

    /// Starts replacements for ended workers, if there is work for them.
    fn replace(&mut self, queue: &mut dyn Queue) -> Result<(), SupervisorError> {
        if self.stopped || queue.progress()?.finished == queue.plan().len() {
            return Ok(());
        }
        for index in 0..self.slots.len() {
            if !self.slots[index].is_empty() {
                continue;
            }
            if let Some(dead) = self.dead.get(self.slots[index].label()).filter(|dead| !dead.had_claimed) {
                let (by_themselves, killed) = &mut self.futile;
                let (count, most) = if dead.killed { (killed, FUTILE_KILLS) } else { (by_themselves, FUTILE) };
                *count += 1;
                if *count >= most {
                    let output = dead.output.clone();
                    return Err(match dead.verdict {
                        Verdict::OutOfMemory { limit_bytes: limit } => {
                            SupervisorError::TooLittleMemory { limit, output }
                        }
                        _ => SupervisorError::Futile { how: dead.how.clone(), output },
                    });
                }
            }
            let number = u32::try_from(index).unwrap_or(u32::MAX) + 1;
            self.slots[index] = self.start(number)?;
        }
        Ok(())
    }
}
