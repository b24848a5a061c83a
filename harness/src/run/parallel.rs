//! One pass over a suite, shared over processes: as one worker among many, or with workers of one's own.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{RunError, Task, conclude};
use crate::config::{Config, Parallel, Repeat};
use crate::engine::{Choice, Engine};
use crate::history::{self, History};
use crate::outcome::{Outcome, Verdict};
use crate::process::Interruption;
use crate::queue::file::FileQueue;
use crate::queue::{EntryState, Event, OpenOptions, Opened, Plan, PlanEntry, Queue, Snapshot};
use crate::report::libtest::{Format, Printer};
use crate::report::statistics::{Statistics, passes};
use crate::report::table;
use crate::suite::{Suite, TestFile};
use crate::summary::{ExitStatus, Summary};
use crate::supervisor::{Audience, Supervision, supervise};
use crate::worker::{End, Job, Witness, work};

mod crew;

pub(super) use crew::Assignment;

/// Where a parallel run keeps its files.
struct Places {
    results: PathBuf,
    queue: PathBuf,
}

/// Runs the files in company.
pub(super) fn run(mut task: Task, config: &Config, parallel: &Parallel) -> Result<ExitStatus, RunError> {
    // Another engine has durations of its own, and must not take part in this one's runs.
    let folder = config.engine.as_ref().map(Choice::kind).filter(|kind| *kind != "sqlite");
    let results = parallel.results.clone().unwrap_or_else(|| default_results().join(folder.unwrap_or_default()));
    let results_error = |source| RunError::Results { path: results.display().to_string(), source };
    fs::create_dir_all(&results).map_err(results_error)?;
    let history = History::read(&results).map_err(results_error)?;
    let log = history.log().map_err(results_error)?;
    parallel.order.sort(&mut task.files, &history);
    let queue = parallel.queue.clone().unwrap_or_else(|| results.join("queue"));
    let plan = plan(&task.files, parallel.repeat)?;
    let label = format!("{}", std::process::id());
    let options = OpenOptions { run_id: parallel.run_id.clone(), resume: parallel.resume, label };
    let (mut open, opened) = FileQueue::open(&queue, plan, &options)?;
    eprintln!("{opened} (id `{}`, queue `{}`)", open.run_id(), queue.display());
    if let crate::history::Order::Shuffled(seed) = parallel.order {
        eprintln!("files of equal rank are shuffled with --seed {seed}");
    }
    let files = task.files.into_iter().map(|file| (file.name.clone(), file)).collect();
    let show = Show { printer: task.printer, log, files, complaint: None };
    let run = Run { suite: task.suite, engine: &*task.engine, filtered_out: task.filtered_out, config, parallel };
    let places = Places { results, queue };
    match parallel.workers {
        Some(workers) => run.supervise(&mut open, workers, &places, show),
        None => run.join(&mut open, &opened, show),
    }
}

/// `slt` in cargo's target folder: two up from the test binary, which lies in `target/debug/deps`.
fn default_results() -> PathBuf {
    let binary = std::env::current_exe().ok();
    let deps = binary.as_deref().and_then(Path::parent).filter(|folder| folder.ends_with("deps"));
    let target = deps.and_then(|deps| deps.parent()?.parent());
    target.unwrap_or(Path::new("target")).join("slt")
}

/// The most entries that a run until the budget is spent is planned with.
const MOST_ENTRIES: usize = 100_000;

fn plan(files: &[TestFile], repeat: Repeat) -> Result<Plan, RunError> {
    let passes = match repeat {
        Repeat::Times(passes) => passes,
        Repeat::UntilBudget => u32::try_from(MOST_ENTRIES / files.len().max(1)).unwrap_or(u32::MAX).clamp(2, 10_000),
    };
    let entries = (1..=passes).flat_map(|pass| files.iter().map(move |file| PlanEntry::new(&file.name, pass)));
    Ok(Plan::new(entries.collect())?)
}

/// What both ways of running share.
struct Run<'r> {
    suite: Suite,
    engine: &'r dyn Engine,
    filtered_out: u64,
    config: &'r Config,
    parallel: &'r Parallel,
}

impl Run<'_> {
    fn deadline(&self) -> Option<Instant> {
        self.parallel.time_budget.map(|budget| Instant::now() + budget)
    }

    /// How many entries are to be run in any case: of passes until the budget is spent, the first.
    fn promised(&self, plan: &Plan) -> u64 {
        let all = self.parallel.repeat != Repeat::UntilBudget;
        plan.entries().iter().filter(|entry| all || entry.pass == 1).count() as u64
    }

    /// This process is one worker among others that come and go.
    fn join(&self, queue: &mut FileQueue, opened: &Opened, mut show: Show) -> Result<ExitStatus, RunError> {
        let clock = Instant::now();
        let planned = queue.plan().len();
        show.printer.begin(self.promised(queue.plan()));
        let job = Job {
            suite: &self.suite,
            engine: self.engine,
            options: &self.config.options,
            policy: self.parallel.policy,
            deadline: self.deadline(),
            settles: true,
        };
        let interruption =
            Interruption::install("interrupted: finishing the present file; once more to end without it")?;
        let mut voice = Voice { show, outcomes: Vec::new(), interruption, waiting: None };
        let end = match opened {
            Opened::AlreadyFinished => End::Complete,
            _ => work(queue, &job, &mut voice)?,
        };
        let Voice { mut show, mut outcomes, .. } = voice;
        let snapshot = queue.snapshot()?;
        let by_others = snapshot.finished() - outcomes.len();
        if let End::Stopped(why) = &end {
            let left = self.unfinished(&snapshot, queue.worker(), why);
            left.iter().for_each(|outcome| show.ended(outcome));
            outcomes.extend(left);
        }
        let summary = Summary::new(outcomes.iter().map(|outcome| (outcome.name.as_str(), outcome.pass)), &outcomes);
        show.finish(&summary, self.filtered_out, clock.elapsed())?;
        if self.config.format != Some(Format::Json) {
            let statistics = Statistics::new(summary.total, clock.elapsed(), 1, outcomes.iter());
            write!(io::stdout(), "{}", statistics.text())?;
        }
        if by_others > 0 {
            eprintln!("{by_others} of {planned} were run by other processes, or before");
        }
        let status = conclude(&summary, self.parallel.allow_incomplete);
        Ok(match (end, status) {
            // A run that says it is complete and is not has lost something.
            (End::Complete, ExitStatus::Passed) if !snapshot.is_complete() => ExitStatus::Broken,
            (_, status) => status,
        })
    }

    /// This process starts workers and answers for them.
    fn supervise(
        &self,
        queue: &mut FileQueue,
        workers: u32,
        places: &Places,
        mut show: Show,
    ) -> Result<ExitStatus, RunError> {
        let clock = Instant::now();
        show.printer.begin(self.promised(queue.plan()));
        // What was finished before this process came is shown, but is none of its workers' time.
        let before = queue.snapshot()?;
        let mut resumed = HashSet::new();
        for outcome in before.outcomes() {
            show.ended(outcome);
            resumed.insert((outcome.name.as_str(), outcome.pass));
        }
        let logs = places.results.join("workers");
        fs::create_dir_all(&logs).map_err(|source| RunError::Results { path: logs.display().to_string(), source })?;
        let run_id = queue.run_id().to_owned();
        let command = |label: &str| crew::command(label, &run_id, &places.queue, self.config.engine.as_ref());
        let supervision = Supervision {
            workers,
            command: &command,
            policy: self.parallel.policy,
            file_timeout: self.config.options.file_timeout,
            query_timeout: self.config.options.query_timeout,
            memory_limit: self.parallel.memory_limit,
            deadline: self.deadline(),
            logs,
        };
        supervise(queue, &supervision, &mut show)?;
        let wall = clock.elapsed();
        let snapshot = queue.snapshot()?;
        let why = snapshot.stopped.clone().unwrap_or_else(|| "the run ended early".to_owned());
        let left = self.unfinished(&snapshot, queue.worker(), &why);
        left.iter().for_each(|outcome| show.ended(outcome));
        let outcomes: Vec<&Outcome> = snapshot.outcomes().chain(&left).collect();
        let planned = outcomes.iter().map(|outcome| (outcome.name.as_str(), outcome.pass));
        let summary = match self.parallel.repeat {
            // Passes that the budget did not reach were not promised.
            Repeat::UntilBudget => Summary::new(planned, outcomes.iter().copied()),
            Repeat::Times(_) => {
                let planned = snapshot.plan.entries().iter().map(|entry| (entry.name.as_str(), entry.pass));
                Summary::new(planned, outcomes.iter().copied())
            }
        };
        show.finish(&summary, self.filtered_out, wall)?;
        if self.config.format != Some(Format::Json) {
            let mut out = io::stdout();
            if self.config.table {
                writeln!(out, "{}", table::by_category(&summary))?;
            }
            let own = outcomes.iter().filter(|outcome| !resumed.contains(&(outcome.name.as_str(), outcome.pass)));
            let statistics = Statistics::new(summary.total, wall, workers, own.copied());
            write!(out, "{}", statistics.text())?;
            write!(out, "{}", passes(outcomes.iter().copied()))?;
        }
        let status = conclude(&summary, self.parallel.allow_incomplete);
        let promised = self.parallel.repeat != Repeat::UntilBudget;
        Ok(if promised && left.is_empty() && !snapshot.is_complete() && status == ExitStatus::Passed {
            ExitStatus::Broken
        } else {
            status
        })
    }

    /// Outcomes for the entries that have none: not run, or crashed if that is the last that was seen of them.
    fn unfinished(&self, snapshot: &Snapshot, myself: u32, why: &str) -> Vec<Outcome> {
        let entries = snapshot.plan.entries().iter().zip(&snapshot.entries);
        let open = entries.filter(|(entry, status)| {
            let counted = self.parallel.repeat != Repeat::UntilBudget || entry.pass == 1 || status.deaths > 0;
            let elsewhere = self.parallel.workers.is_none() && matches!(status.state, EntryState::Leased { .. });
            counted && !elsewhere && !matches!(status.state, EntryState::Final(_))
        });
        let outcome = |(entry, status): (&PlanEntry, &crate::queue::EntryStatus)| {
            // What this process holds is what it had killed, which is no fault of the file.
            let killed = status.state == EntryState::Leased { worker: myself };
            let verdict = match status.deaths - u32::from(killed && status.deaths > 0) {
                0 => Verdict::NotRun { reason: why.to_owned() },
                _ => Verdict::Crashed { how: format!("its process died, and then: {why}") },
            };
            Outcome { pass: entry.pass, ..Outcome::new(&entry.name, verdict) }
        };
        open.map(outcome).collect()
    }
}

/// A show is what people see of a run, and what the history learns from it.
struct Show {
    printer: Printer,
    log: history::Log,
    files: HashMap<String, TestFile>,
    /// The first outcome that the history could not take.
    complaint: Option<io::Error>,
}

impl Show {
    fn started(&mut self, name: &str, pass: u32) {
        self.printer.started(&title(name, pass));
    }

    /// Shows an outcome that is known already.
    fn ended(&mut self, outcome: &Outcome) {
        if outcome.pass == 1 {
            return self.printer.ended(outcome);
        }
        self.printer.ended(&Outcome { name: title(&outcome.name, outcome.pass), ..outcome.clone() });
    }

    /// Shows an outcome that is news.
    fn news(&mut self, outcome: &Outcome) {
        self.ended(outcome);
        if let (Some(file), None) = (self.files.get(&outcome.name), &self.complaint) {
            self.complaint = self.log.append(file, outcome).err();
        }
    }

    fn finish(&mut self, summary: &Summary, filtered_out: u64, wall: Duration) -> io::Result<()> {
        if let Some(error) = &self.complaint {
            eprintln!("warning: the history could not be written: {error}");
        }
        self.printer.finish(&summary.total, filtered_out, wall)
    }
}

/// A trial's name, with its pass if there are several.
fn title(name: &str, pass: u32) -> String {
    if pass == 1 { name.to_owned() } else { format!("{name} (pass {pass})") }
}

impl Audience for Show {
    fn event(&mut self, event: &Event, plan: &Plan) {
        match event {
            Event::Claimed { entry, .. } => {
                let PlanEntry { name, pass } = &plan.entries()[*entry];
                self.started(name, *pass);
            }
            Event::Finished { outcome, .. } => self.news(outcome),
            _ => {}
        }
    }

    fn notice(&mut self, notice: &str) {
        eprintln!("{notice}");
    }
}

/// How long there may be nothing to claim before people are told.
const PATIENCE: Duration = Duration::from_secs(1);

/// A voice speaks for this process alone.
struct Voice {
    show: Show,
    outcomes: Vec<Outcome>,
    interruption: Interruption,
    /// Since when there has been nothing to claim, and whether that was said.
    waiting: Option<(Instant, bool)>,
}

impl Witness for Voice {
    fn begins(&mut self, file: &TestFile, pass: u32, _attempt: u32) {
        self.waiting = None;
        self.show.started(&file.name, pass);
    }

    fn ended(&mut self, outcome: &Outcome) {
        self.show.news(outcome);
        self.outcomes.push(outcome.clone());
    }

    fn waits(&mut self) {
        let (since, told) = self.waiting.get_or_insert((Instant::now(), false));
        if since.elapsed() > PATIENCE && !std::mem::replace(told, true) {
            eprintln!("nothing left to claim: waiting for other processes to finish theirs");
        }
    }

    fn stop(&mut self) -> Option<String> {
        self.interruption.is_asked_for().then(|| "interrupted".to_owned())
    }
}
