//! Makes the account of a run, and writes it to files.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::checkout::Checkout;
use super::error::why_no_folder;
use super::folder::{Origin, RETURNED, folder};
use super::messages;
use super::mode::Run;
use crate::config::{Config, GitHub};
use crate::engine::UNNAMED;
use crate::escape;
use crate::history::History;
use crate::outcome::{Outcome, RESULTS_VERSION, Results};
use crate::report::files::Folder;
use crate::report::github;
#[cfg(feature = "page")]
use crate::report::html;
use crate::report::libtest::Format;
use crate::suite::TestFile;
use crate::summary::Summary;

/// The parts of an account besides the outcomes.
pub(super) struct About<'a> {
    pub run: &'a Run<'a>,
    pub run_id: String,
    pub seed: Option<u64>,
    /// How many workers, or threads, there were; 0 if the outcomes tell.
    pub workers: u32,
}

impl About<'_> {
    /// The whole account.
    pub(super) fn results(self, summary: &Summary, mut outcomes: Vec<Outcome>) -> Results {
        let run = self.run;
        let end = |outcome: &Outcome| match outcome.started_us {
            // Files that never started come last.
            0 => u64::MAX,
            started => started.saturating_add(outcome.wall_us),
        };
        outcomes.sort_by_key(end);
        // If only a connection knows the engine's name, workers have put it into their outcomes.
        let heard = outcomes.iter().map(|outcome| &outcome.engine).find(|name| !name.is_empty());
        let engine = match (run.engine.name(), heard) {
            (UNNAMED, Some(heard)) => heard.clone(),
            (name, _) => name.to_owned(),
        };
        let begun = outcomes.iter().flat_map(|outcome| {
            let earlier = outcome.earlier.iter().map(|attempt| attempt.started_us);
            earlier.chain([outcome.started_us]).filter(|started| *started > 0)
        });
        let first = begun.min();
        let last = outcomes.iter().map(end).filter(|end| *end < u64::MAX).max();
        let started_us = first.unwrap_or(u64::MAX).min(micros(run.started));
        let mut workers: Vec<u32> = outcomes.iter().map(|outcome| outcome.worker).collect();
        workers.sort_unstable();
        workers.dedup();
        workers.retain(|worker| *worker > 0);
        Results {
            version: RESULTS_VERSION,
            run_id: self.run_id,
            engine,
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            commit: String::new(),
            branch: String::new(),
            seed: self.seed,
            again: String::new(),
            target: String::new(),
            scope: Some(run.scope.clone()),
            shard: run.part.as_ref().map(|part| part.shard),
            split: run.part.as_ref().map(|part| part.split.clone()),
            missing_shards: Vec::new(),
            started_us,
            wall_us: last.map_or(0, |last| last.saturating_sub(started_us)),
            workers: if self.workers > 0 { self.workers } else { workers.len().max(1) as u32 },
            filtered_out: run.filtered_out,
            total: summary.total,
            categories: summary.categories.clone(),
            outcomes,
            contradictions: Vec::new(),
        }
    }
}

fn micros(time: SystemTime) -> u64 {
    u64::try_from(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros()).unwrap_or(u64::MAX)
}

/// An id for a run without a queue.
pub(super) fn run_id() -> String {
    match getrandom::u32() {
        Ok(random) => format!("{random:08x}"),
        // A run does not fail only because the system has no random number.
        Err(_) => format!("p{}", std::process::id()),
    }
}

/// Adds outcomes to the history, which later runs use for their order and progress.
pub(super) fn remember(config: &Config, files: &[TestFile], outcomes: &[Outcome]) {
    if config.nextest {
        return;
    }
    let files: HashMap<&str, &TestFile> = files.iter().map(|file| (file.name.as_str(), file)).collect();
    let path = folder(config);
    let append = || -> io::Result<()> {
        let mut log = History::read(&path)?.log()?;
        let known = outcomes.iter().filter_map(|outcome| Some((files.get(outcome.name.as_str())?, outcome)));
        known.into_iter().try_for_each(|(file, outcome)| log.append(file, outcome, None))
    };
    if let Err(error) = append() {
        note!("warning: cannot write the history to `{}`: {}", path.display(), why_no_folder(&path, &error));
    }
}

/// Waits until no other process writes results, calls `account`, writes its results, and prints what was written. An error
/// changes no verdict.
///
/// Under nextest each file has its own process, whose account would replace those of all others: nothing is written.
pub(super) fn publish<E: std::fmt::Display>(run: &Run<'_>, account: impl FnOnce() -> Result<Results, E>) {
    let config = run.config;
    if config.nextest {
        return;
    }
    let path = folder(config);
    let warn = |words: &str| note!("warning: {words}");
    let (locked, complaint) = match Folder::lock(&path) {
        Ok(folder) => (Some(folder), None),
        Err(error) => {
            let why = why_no_folder(&path, &error);
            (None, Some(format!("cannot write the results to `{}`: {why}", path.display())))
        }
    };
    complaint.iter().for_each(|complaint| warn(complaint));
    let results = match account() {
        Ok(results) => {
            let Checkout { commit, branch } = Checkout::here();
            // A command that is not complete would run the file on another engine.
            let (again, by_hand) = messages::rerun_command(config, &run.options);
            let again = if by_hand.is_empty() { again } else { String::new() };
            let target = Origin::new(config).to_string();
            Results { again, target, commit, branch, ..results }
        }
        Err(error) => return warn(&format!("cannot write the results: {error}")),
    };
    if locked.is_some() {
        forget_values(&path.join(RETURNED), results.started_us);
    }
    #[cfg(feature = "page")]
    let previous = Results::read(&path.join("results.json")).ok();
    #[cfg_attr(not(feature = "page"), expect(unused_mut))]
    let mut written = locked.as_ref().map(|folder| folder.write(&results)).unwrap_or_default();
    #[cfg(feature = "page")]
    if let (true, Some(folder)) = (config.report, &locked) {
        // The previous run, unless it has the same id, or is not comparable.
        let comparable = |other: &Results| {
            other.engine == results.engine && other.shard == results.shard && other.has_suite_of(&results)
        };
        let previous = previous.filter(|other| other.run_id != results.run_id && comparable(other));
        // One more, because the last copy is of this run.
        let past = folder.past(html::PAST_RUNS + 1);
        folder.write_page(&html::page(&results, previous.as_ref(), &past), &mut written);
    }
    drop(locked);
    written.complaints.iter().for_each(|complaint| warn(complaint));
    // If the results go to a file or a program, standard output gets nothing else.
    if !config.quiet && config.logfile.is_none() && config.format != Some(Format::Json) {
        // If it cannot be printed, the files are enough.
        let _ = write!(io::stdout(), "{}", escape::text(&messages::words(config.slt, &results, &written)));
    }
    tell_github(config, &results);
}

/// Removes the files with returned values that are older than the run. A file that cannot be removed does no harm.
fn forget_values(folder: &Path, started_us: u64) {
    // The clock of a file system may be late.
    let started =
        (UNIX_EPOCH + Duration::from_micros(started_us)).checked_sub(Duration::from_secs(60)).unwrap_or(UNIX_EPOCH);
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.metadata().and_then(|metadata| metadata.modified()).is_ok_and(|modified| modified < started) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Writes the job summary and the annotations, if GitHub runs this process; an error changes no verdict.
fn tell_github(config: &Config, results: &Results) {
    let GitHub { summary, repository } = &config.github;
    if let Some(path) = summary {
        let file = OpenOptions::new().append(true).create(true).open(path);
        if let Err(error) = file.and_then(|mut file| file.write_all(github::summary(results).as_bytes())) {
            note!("warning: cannot write the job summary `{}`: {error}", path.display());
        }
    }
    if let Some(repository) = repository {
        let folder = std::env::current_dir().unwrap_or_default();
        let annotations = github::annotations(results, &folder, repository);
        // GitHub reads both streams. If standard output is JSON, the annotations go to standard error.
        let _ = match config.format {
            Some(Format::Json) => write!(io::stderr(), "{annotations}"),
            _ => write!(io::stdout(), "{annotations}"),
        };
    }
}
