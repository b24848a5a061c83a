//! A run that processes share: this process is one worker among many, or starts its own workers.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::account::{self, About};
use super::close::Closing;
use super::error::RunError;
use super::folder::folder;
use super::mode::{Mode, Run};
use super::order::put_in_order;
use super::output::{show_progress, shows_progress};
use super::settings::settings;
use crate::config::{Config, Parallel, Repeat, cores};
use crate::crash;
use crate::event::{Event, Reporter};
use crate::history::{History, Order};
use crate::libtest::SLOW;
use crate::outcome::{Outcome, Verdict};
use crate::process;
use crate::queue::{OpenOptions, Opened, Place, Plan, PlanEntry, Queue, QueueError, Snapshot};
use crate::report::statistics::Statistics;
use crate::report::words;
use crate::suite::TestFile;
use crate::summary::{ExitStatus, Summary};
use crate::supervisor::{Supervision, supervise};
use crate::trial::How;
use crate::worker::{End, Job, Needs, Room, work};

mod crew;
mod ledger;
mod reporters;

pub(super) use crew::Assignment;
use ledger::Ledger;
use reporters::{HistoryReporter, Outcomes, report_earlier};

/// Where a parallel run keeps its results and its queue.
struct Places {
    results: PathBuf,
    queue: Place,
}

/// Runs the files together with other processes.
pub(super) fn run(run: &Run<'_>, mut files: Vec<TestFile>, parallel: &Parallel) -> Result<ExitStatus, RunError> {
    let config = run.config;
    if let Some(Place::File(path)) = &parallel.queue {
        match path.as_os_str().is_empty() {
            true => return Err(RunError::QueuePath("has no value".to_owned())),
            false if path.is_dir() => {
                return Err(RunError::QueuePath(format!("names the folder `{}`", path.display())));
            }
            false => {}
        }
    }
    let results = folder(config);
    let results_error = |error: io::Error| RunError::results(&results, &error);
    fs::create_dir_all(&results).map_err(results_error)?;
    let history = History::read(&results).map_err(results_error)?;
    let log = history.log().map_err(results_error)?;
    let queue = parallel.queue.clone().unwrap_or_else(|| Place::File(results.join("queue")));
    // If the run rewrites files, their content does not stay as planned.
    let rewrites = run.options.bless.is_some_and(|bless| bless.how == How::Write);
    let contents = put_in_order(&mut files, parallel.order, &history, (&*run.engine, &run.options), !rewrites);
    let plan = plan(&files, parallel.repeat, (!rewrites).then_some(&contents))?;
    let plan = plan.with_settings(settings(config, &run.options, parallel, &*run.engine, &run.suite));
    let options = OpenOptions {
        run_id: parallel.run_id.clone(),
        resume: parallel.resume,
        label: std::process::id().to_string(),
        parent: None,
        deadline: parallel.time_budget.map(|budget| Instant::now() + budget),
        pages: results.clone(),
        keep_runs: Some(parallel.keep_runs),
    };
    let (mut open, opened) = queue.open(plan, &options)?;
    note!("{opened} (id `{}`, queue `{queue}`)", open.run_id());
    if let Order::Shuffled(seed) = parallel.order {
        note!("files of equal rank are shuffled with --seed {seed}");
    }
    if shows_progress(config) {
        let planned: Vec<String> = open.plan().entries().iter().map(|entry| entry.name.clone()).collect();
        // A process that runs files itself does not see which files other processes run.
        let (planned, workers) = match run.mode {
            Mode::Supervise(_, workers) => (Some(planned.as_slice()), workers),
            _ => (None, 1),
        };
        run.with_printer(|printer| show_progress(printer, config, planned, workers, &history));
    }
    let history = HistoryReporter::new(log, files);
    let shared = Shared { run, parallel, history };
    let places = Places { results, queue };
    match run.mode {
        Mode::Supervise(_, workers) => shared.supervise(&mut *open, &opened, workers, &places),
        _ => shared.join(&mut *open, &opened),
    }
}

/// The maximum number of planned entries for a run until the budget is used up.
const MOST_ENTRIES: usize = 100_000;

/// The plan, with the content hashes of the files, by name, unless the run rewrites files.
fn plan(files: &[TestFile], repeat: Repeat, contents: Option<&HashMap<String, String>>) -> Result<Plan, RunError> {
    let passes = match repeat {
        Repeat::Times(passes) => passes,
        Repeat::UntilBudget => u32::try_from(MOST_ENTRIES / files.len().max(1)).unwrap_or(u32::MAX).clamp(2, 10_000),
    };
    let entries = (1..=passes).flat_map(|pass| files.iter().map(move |file| PlanEntry::new(&file.name, pass)));
    let plan = Plan::new(entries.collect())?;
    let Some(contents) = contents else { return Ok(plan) };
    let content = |entry: &PlanEntry| contents.get(&entry.name).cloned().unwrap_or_default();
    let contents = plan.entries().iter().map(content).collect();
    Ok(plan.with_contents(contents))
}

/// Where this process waits for memory before a file begins (`--run-memory`); the results folder is `results`.
fn room(config: &Config, results: &Path) -> Result<Option<Room>, RunError> {
    let Some(parallel) = &config.parallel else { return Ok(None) };
    let Some(limit) = parallel.run_memory else { return Ok(None) };
    let error = |error: io::Error| RunError::results(results, &error);
    // Not `read`, which may rewrite the history while the supervisor appends to it.
    let history = match History::read_file(&results.join("history.jsonl")) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => History::default(),
        history => history.map_err(error)?,
    };
    let processes = parallel.workers.unwrap_or_else(cores);
    let unknown = parallel.memory_limit.unwrap_or(limit / u64::from(processes.max(1)));
    Room::enter(&results.join("memory"), limit, Needs { history, unknown }).map(Some).map_err(error)
}

/// Explains why this process claims no file, which otherwise looks like an error.
fn note_if_stopped(snapshot: &Snapshot) {
    if let (Some(why), false) = (&snapshot.stopped, snapshot.is_complete()) {
        note!(
            "the run was stopped ({why}), so no more files are started; once its processes have ended, `--resume` continues it"
        );
    }
}

/// Whether nothing could be checked in any file of a run so far.
fn checked_nothing(snapshot: &Snapshot) -> bool {
    snapshot.outcomes().all(|outcome| matches!(outcome.verdict, Verdict::Ignored { .. }))
}

/// A run that processes share.
struct Shared<'r> {
    run: &'r Run<'r>,
    parallel: &'r Parallel,
    history: HistoryReporter,
}

impl Shared<'_> {
    fn deadline(&self) -> Option<Instant> {
        self.parallel.time_budget.map(|budget| Instant::now() + budget)
    }

    /// Reports that the run begins. With passes until the budget is used up, only those of the first are planned.
    fn begin(&self, plan: &Plan) {
        let all = self.parallel.repeat != Repeat::UntilBudget;
        let planned = plan.entries().iter().filter(|entry| all || entry.pass == 1).count() as u64;
        self.run.printer.report(Event::RunStarted { planned });
    }

    /// Runs files in this process, as one worker among others that join and leave.
    fn join(&self, queue: &mut dyn Queue, opened: &Opened) -> Result<ExitStatus, RunError> {
        let Run { config, suite, engine, options, printer, .. } = self.run;
        let clock = Instant::now();
        let planned = queue.plan().len();
        if *opened == Opened::Joined {
            note_if_stopped(&queue.snapshot()?);
        }
        self.begin(queue.plan());
        let interruption = self.run.interruption("the current file has")?;
        let room = room(config, &folder(config))?;
        let job = Job {
            suite,
            engine,
            options,
            policy: self.parallel.policy,
            deadline: self.deadline(),
            room: room.as_ref(),
            is_supervised: false,
            apart: true,
            interruption: Some(&interruption),
            output: &String::new,
        };
        let outcomes = Outcomes::default();
        let end = match opened {
            Opened::AlreadyFinished => End::Complete,
            _ => work(queue, &job, &((&**printer, &self.history), &outcomes))?,
        };
        let mut outcomes = outcomes.into_inner();
        let snapshot = queue.snapshot()?;
        let by_others = snapshot.finished() - outcomes.len();
        if let End::Stopped(why) = &end {
            let left = self.ledger(&snapshot, queue.worker(), why).left();
            self.print(&left);
            outcomes.extend(left);
        }
        let summary = Summary::new(outcomes.iter().map(|outcome| (outcome.name.as_str(), outcome.pass)), &outcomes);
        let wall = clock.elapsed();
        let mut statistics = Statistics::new(summary.total, wall, 1, outcomes.iter());
        if by_others > 0 {
            // All files of the run limit its time; this process ran only some of them.
            statistics.longest = None;
        }
        let (own, all): (Vec<&Outcome>, Vec<&Outcome>) = (outcomes.iter().collect(), snapshot.outcomes().collect());
        // A first list covers all files, of all processes; each process removes from a list what it saw pass.
        let judges_all = config.known.first.is_some() && snapshot.is_complete();
        let failures = |all: &[&Outcome]| all.iter().filter(|outcome| outcome.verdict.is_failure()).count();
        let remark = (by_others > 0).then(|| {
            let failed = failures(&all).saturating_sub(failures(&own));
            let failed = if failed > 0 { format!("; {failed} of these failed") } else { String::new() };
            format!("{by_others} of {planned} were run by other processes, or before{failed}")
        });
        self.history.finish(&folder(self.run.config));
        let closing = Closing {
            summary: &summary,
            wall,
            statistics: Some(statistics),
            outcomes: &own,
            passes: &all,
            judged: if judges_all { &all } else { &own },
            remark,
        };
        let why = if let End::Stopped(why) = &end { why } else { "" };
        let status = self.run.close(closing, || self.publish(queue, why, 0));
        Ok(match (end, status) {
            // If the run ended as complete but is not, outcomes have been lost.
            (End::Complete, ExitStatus::Passed | ExitStatus::Nothing) if !snapshot.is_complete() => ExitStatus::Broken,
            // This process could check nothing, but other processes could.
            (_, ExitStatus::Nothing) if by_others > 0 && !checked_nothing(&snapshot) => ExitStatus::Passed,
            (_, status) => status,
        })
    }

    /// Starts and supervises workers.
    fn supervise(
        &self,
        queue: &mut dyn Queue,
        opened: &Opened,
        workers: u32,
        places: &Places,
    ) -> Result<ExitStatus, RunError> {
        let Run { config, engine, options, printer, .. } = self.run;
        let clock = Instant::now();
        self.begin(queue.plan());
        // Outcomes from before this process joined are printed, too.
        let before = queue.snapshot()?;
        note_if_stopped(&before);
        let reported = report_earlier(&before, &**printer);
        let logs = crew::logs(&places.results, opened, queue.run_id(), queue.worker())?;
        process::grant_stack(crash::stack_bytes());
        let (run_id, number) = (queue.run_id().to_owned(), queue.worker());
        if workers > cores() {
            note!("{workers} workers, but this process may use only {}", words::count(u64::from(cores()), "processor"));
        }
        let command = |label: &str| crew::command(label, &run_id, number, places, config);
        let supervision = Supervision {
            workers,
            command: &command,
            engine: engine.name(),
            policy: self.parallel.policy,
            file_timeout: options.file_timeout,
            compares: options.reference.is_some(),
            query_timeout: options.query_timeout,
            memory_limit: self.parallel.memory_limit,
            waits: self.parallel.run_memory.is_some(),
            deadline: self.deadline(),
            slow: SLOW,
            logs,
            known: options.known.as_deref(),
            fail_fast: options.fail_fast,
            grace: config.interrupt_grace,
            reported,
        };
        let own = supervise(queue, &supervision, &(&**printer, &self.history)).inspect_err(|_| {
            self.publish(queue, "the run broke off", workers);
        })?;
        let wall = clock.elapsed();
        let snapshot = queue.snapshot()?;
        let why = snapshot.stopped.clone().unwrap_or_else(|| "the run ended early".to_owned());
        let ledger = self.ledger(&snapshot, queue.worker(), &why);
        let left = ledger.left();
        self.print(&left);
        let outcomes: Vec<&Outcome> = snapshot.outcomes().chain(&left).collect();
        let summary = ledger.summary(outcomes.iter().copied());
        // Only outcomes of its own workers: this process does not know how busy others were.
        let own = outcomes.iter().filter(|outcome| own.contains(&outcome.worker));
        let statistics = Statistics::new(summary.total, wall, workers, own.copied());
        self.history.finish(&folder(self.run.config));
        let closing = Closing {
            summary: &summary,
            wall,
            statistics: Some(statistics),
            outcomes: &outcomes,
            passes: &outcomes,
            judged: &outcomes,
            remark: None,
        };
        let status = self.run.close(closing, || self.publish(queue, &why, workers));
        let promised = self.parallel.repeat != Repeat::UntilBudget;
        Ok(if promised && left.is_empty() && !snapshot.is_complete() && status == ExitStatus::Passed {
            ExitStatus::Broken
        } else {
            status
        })
    }

    /// Prints outcomes that do not belong into the history.
    fn print(&self, outcomes: &[Outcome]) {
        outcomes.iter().for_each(|outcome| self.run.printer.report(Event::TrialEnded { outcome, planned: None }));
    }

    fn ledger<'l>(&self, snapshot: &'l Snapshot, myself: u32, why: &'l str) -> Ledger<'l> {
        let shared = matches!(self.run.mode, Mode::Join(_));
        Ledger { snapshot, repeat: self.parallel.repeat, myself, shared, why }
    }

    /// Writes the results of the whole run, read from the queue once no other process writes results. If processes leave one
    /// after another, the results of the last are the most complete; processes that end together write the same results.
    fn publish(&self, queue: &mut dyn Queue, why: &str, workers: u32) {
        account::publish(self.run, || {
            let snapshot = queue.snapshot()?;
            let (outcomes, summary) = self.ledger(&snapshot, queue.worker(), why).whole();
            let seed = match self.parallel.order {
                Order::Shuffled(seed) => Some(seed),
                Order::LongestFirst => None,
            };
            let about = About { run: self.run, run_id: snapshot.run_id.clone(), seed, workers };
            Ok::<_, QueueError>(about.results(&summary, outcomes))
        });
    }
}
