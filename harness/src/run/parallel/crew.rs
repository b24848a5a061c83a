//! The workers that a supervisor starts: this same program, made a worker by its environment.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Places;
use crate::config::{Config, ENGINE, REFERENCE, hand_on, without_secrets};
use crate::engine::Engine;
use crate::environment;
use crate::event::{Event, Reporter};
use crate::process;
use crate::queue::{OpenOptions, Opened, Place};
use crate::run::error::RunError;
use crate::run::folder::RETURNED;
use crate::suite::Suite;
use crate::summary::ExitStatus;
use crate::supervisor::{OUTPUT, headline};
use crate::trial::Options;
use crate::worker::{Job, Policy, work};

/// Variables that make a process a worker: its label, the queue, the run's id, the supervisor's number there, and the
/// folder for its pages.
const LABEL: &str = "SLT_WORKER";
const QUEUE: &str = "SLT_WORKER_QUEUE";
const RUN_ID: &str = "SLT_WORKER_RUN_ID";
const PARENT: &str = "SLT_WORKER_PARENT";
const PAGES: &str = "SLT_WORKER_PAGES";

/// The process of the worker with that `label`: this program with these arguments, and where the work is.
///
/// Engine and queue are passed in the environment, which other users cannot read, because their URLs may contain a password.
pub(super) fn command(label: &str, run_id: &str, supervisor: u32, places: &Places, config: &Config) -> Command {
    let mut command = process::same_executable();
    command.args(without_secrets(std::env::args_os().skip(1)));
    command.env(LABEL, label).env(QUEUE, places.queue.secret()).env(RUN_ID, run_id);
    command.env(PARENT, supervisor.to_string()).env(PAGES, &places.results);
    let engine = config.engine.as_ref().map(|choice| choice.secret());
    let reference = config.reference.as_ref().map(|choice| choice.secret());
    for (name, secret) in [(ENGINE, engine), (REFERENCE, reference)] {
        if let Some(secret) = secret {
            environment::set_for(&mut command, name, Some(secret.as_ref()));
        }
    }
    hand_on(&mut command);
    command.envs(environment::run_values());
    command
}

/// The folder for the logs of a supervisor's workers. The supervisor is participant `myself` of run `run_id`, which was
/// `opened`.
///
/// Logs of earlier runs are removed when a run starts. A supervisor that joins another's run has its own folder, so
/// that two workers never write to one log.
pub(super) fn logs(results: &Path, opened: &Opened, run_id: &str, myself: u32) -> Result<PathBuf, RunError> {
    let folder = results.join("workers");
    let joined = format!("joined-{run_id}-");
    let own = match opened {
        Opened::Joined => folder.join(format!("{joined}{myself}")),
        _ => folder.clone(),
    };
    let error = |error: io::Error| RunError::results(&own, &error);
    fs::create_dir_all(&own).map_err(error)?;
    match opened {
        Opened::Started | Opened::ReplacedComplete { .. } | Opened::ReplacedIncomplete { .. } => {
            clear(&folder, &joined).map_err(error)?;
        }
        Opened::Joined | Opened::Resumed { .. } | Opened::AlreadyFinished => {}
    }
    Ok(own)
}

/// Removes the logs in a folder, and the folders of supervisors that had joined a run. Folders whose names begin with `joined`
/// stay, because they may belong to this run; so do other files.
fn clear(folder: &Path, joined: &str) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let (entry, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        let name = name.to_string_lossy();
        if name.starts_with("worker-") && name.ends_with(".log") {
            fs::remove_file(entry)?;
        } else if name.starts_with("joined-") && !name.starts_with(joined) && entry.is_dir() {
            clear(&entry, joined)?;
            // A folder with other files stays.
            let _ = fs::remove_dir(entry);
        }
    }
    Ok(())
}

/// An assignment is the run that a supervisor has told this process to work for.
pub(in crate::run) struct Assignment {
    queue: Place,
    run_id: String,
    options: OpenOptions,
}

impl Assignment {
    /// The assignment in this process's environment, if any.
    pub(in crate::run) fn from_env() -> Option<Assignment> {
        let queue = Place::parse(std::env::var_os(QUEUE)?).ok()?;
        let options = OpenOptions {
            label: std::env::var(LABEL).ok()?,
            parent: std::env::var(PARENT).ok()?.parse().ok(),
            pages: std::env::var_os(PAGES).map(PathBuf::from)?,
            ..OpenOptions::default()
        };
        Some(Assignment { queue, run_id: std::env::var(RUN_ID).ok()?, options })
    }

    /// Works until no file is left; the process ends when its supervisor does.
    pub(in crate::run) fn work(
        &self,
        suite: &Suite,
        engine: &Arc<dyn Engine>,
        config: &Config,
        options: Options,
    ) -> Result<ExitStatus, RunError> {
        process::die_with_parent()?;
        // Reads and removes all variables, so that the engine's child processes do not inherit them.
        environment::forget();
        process::forbid_core_dumps()?;
        if let Some(bytes) = config.parallel.as_ref().and_then(|parallel| parallel.memory_limit) {
            process::limit_memory(bytes)?;
        }
        let options = Options { returned: Some(self.options.pages.join(RETURNED)), ..options };
        let mut queue = self.queue.join(&self.run_id, &self.options)?;
        let log = WorkerLog::default();
        let room = super::room(config, &self.options.pages)?;
        let job = Job {
            suite,
            engine,
            options: &options,
            policy: config
                .parallel
                .as_ref()
                .map_or(Policy { retries: 0, crash_retries: 0 }, |parallel| parallel.policy),
            deadline: None,
            room: room.as_ref(),
            is_supervised: true,
            interruption: None,
            output: &|| log.output(),
            apart: !process::has_stack(crate::crash::stack_bytes()),
        };
        work(&mut *queue, &job, &log)?;
        Ok(ExitStatus::Passed)
    }
}

/// A worker's log: each file's output has a headline.
#[derive(Default)]
struct WorkerLog {
    /// The length of the log when the present attempt began.
    start: AtomicU64,
}

impl WorkerLog {
    /// The output since the present attempt began.
    fn output(&self) -> String {
        printed_since(self.start.load(Ordering::Relaxed)).unwrap_or_default()
    }
}

impl Reporter for WorkerLog {
    fn report(&self, event: Event<'_>) {
        let Event::AttemptStarted { trial, attempt } = event else { return };
        // Standard output is the worker's log. A failed write to it must not fail the file.
        let _ = writeln!(io::stdout(), "{}", headline(&trial.title(), attempt));
        self.start.store(log_length(), Ordering::Relaxed);
    }
}

/// This process's standard output, which the supervisor has redirected to a file.
const LOG: &str = "/dev/fd/1";

fn log_length() -> u64 {
    fs::metadata(LOG).map_or(0, |metadata| metadata.len())
}

/// The output since the log was `start` bytes long; only its end if it is long.
fn printed_since(start: u64) -> io::Result<String> {
    let length = log_length();
    let from = start.max(length.saturating_sub(OUTPUT));
    let mut log = fs::File::open(LOG)?;
    log.seek(SeekFrom::Start(from))?;
    let mut text = Vec::new();
    log.take(OUTPUT).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).trim_end().to_owned())
}
