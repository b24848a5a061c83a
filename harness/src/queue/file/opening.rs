//! From a path to a run: starts one, joins it, resumes it, or replaces it.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use super::cursor::Cursor;
use super::error::{FileError, io};
use super::fail;
use super::frame::{Body, NOTHING, Op};
use super::header::{Found, Header};
use super::journal::{Journal, Locked};
use super::liveness::{LivenessLock, LivenessLocks};
use super::lock::Patience;
use super::locked_file::LockedFile;
use crate::queue::difference::other_run;
use crate::queue::open::check_run_id;
use crate::queue::{OpenOptions, Opened, Plan, QueueError};

/// A run that was joined.
pub(super) struct Entered {
    pub journal: Journal,
    pub plan: Plan,
    pub locks: LivenessLocks,
    pub alive: LivenessLock,
    pub worker: u32,
    /// The position in the journal after this participant's join.
    pub joined_at: Cursor,
}

/// Joins the run that `options` specify, or starts it with `plan`.
pub(super) fn open(path: &Path, plan: Plan, options: &OpenOptions) -> Result<(Entered, Opened), QueueError> {
    if let Some(run) = &options.run_id {
        check_run_id(run)?;
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(io("create", folder))?;
    }
    let queue_file =
        LockedFile::lock(path, File::options().read(true).write(true).create(true).truncate(false), patience(options))?;
    let opened = match Header::find(&queue_file.file, path)? {
        Found::Nothing => Opened::Started,
        Found::Run(header, bytes) => {
            let mut journal = journal(&queue_file, header, bytes)?;
            let opened = decide(&queue_file, &journal.under(&queue_file)?, &plan, options)?;
            match opened {
                Opened::Started | Opened::ReplacedComplete { .. } | Opened::ReplacedIncomplete { .. } => opened,
                Opened::Joined | Opened::Resumed { .. } | Opened::AlreadyFinished => {
                    let resumes = options.resume && matches!(opened, Opened::Resumed { .. });
                    let plan = journal.header().plan(&queue_file.file, path)?;
                    return Ok((join(&queue_file, journal, plan, options, resumes)?, opened));
                }
            }
        }
    };
    let run = options.run_id.clone().map_or_else(new_run_id, Ok)?;
    let built = Header::build(&queue_file.file, &run, &plan);
    let (header, bytes) = built.map_err(|source| FileError::Full { path: path.to_path_buf(), source })?;
    LivenessLocks::new(path, &header.generation).clean_up(Duration::ZERO);
    let journal = journal(&queue_file, header, bytes)?;
    Ok((join(&queue_file, journal, plan, options, false)?, opened))
}

fn patience(options: &OpenOptions) -> Patience {
    Patience { is_quiet: options.parent.is_some(), deadline: options.deadline }
}

/// Joins run `run`, which another process has started.
pub(super) fn join_run(path: &Path, run: &str, options: &OpenOptions) -> Result<Entered, QueueError> {
    let queue_file = LockedFile::lock(path, File::options().read(true).write(true), patience(options))?;
    match Header::find(&queue_file.file, path)? {
        Found::Run(header, bytes) if header.run == run => {
            let plan = header.plan(&queue_file.file, path)?;
            join(&queue_file, journal(&queue_file, header, bytes)?, plan, options, false)
        }
        Found::Run(..) | Found::Nothing => {
            Err(QueueError::NoSuchRun { queue: path.display().to_string(), run: run.to_owned() })
        }
    }
}

/// Records one more participant.
fn join(
    queue_file: &LockedFile<'_>,
    mut journal: Journal,
    plan: Plan,
    options: &OpenOptions,
    resumes: bool,
) -> Result<Entered, QueueError> {
    let mut locked = journal.under(queue_file)?;
    let worker = locked.state().workers() + 1;
    let locks = LivenessLocks::new(locked.path(), &locked.header().generation);
    let alive = locks.acquire(worker)?;
    fail::point("join", "alive");
    let joined_at = locked.cursor();
    let OpenOptions { label, parent, .. } = options;
    let body = match label.is_empty() && parent.is_none() {
        true => NOTHING.to_vec(),
        false => Body::Label { label, parent: *parent }.to_json(),
    };
    locked.append(Op::Join, 0, worker, &body)?;
    if resumes {
        locked.append(Op::Resume, 0, worker, NOTHING)?;
    }
    drop(locked);
    Ok(Entered { journal, plan, locks, alive, worker, joined_at })
}

/// Decides about the existing run; the lock is held.
fn decide(
    queue_file: &LockedFile<'_>,
    locked: &Locked<'_>,
    plan: &Plan,
    options: &OpenOptions,
) -> Result<Opened, QueueError> {
    let (header, state) = (locked.header(), locked.state());
    let queue = || locked.path().display().to_string();
    let alive = LivenessLocks::new(locked.path(), &header.generation).any_alive(state.workers())?;
    let same_plan = !header.is_older() && header.plan_hash == plan.hash();
    let (finished, left) = (state.finished(), header.plan_len - state.finished());
    let other_plan = || match header.is_older() {
        true => Err(QueueError::OlderRun { queue: queue(), run: header.run.clone() }),
        false => Err(other_run(&queue(), &header.run, &header.plan(&queue_file.file, queue_file.path)?, plan)),
    };
    let settled = |opened| match plan.rewrites() {
        true => Err(QueueError::Rewritten { queue: queue(), run: header.run.clone() }),
        false => Ok(opened),
    };
    match &options.run_id {
        // An id names one run, whether or not participants are live. Such a run is neither started twice nor dropped.
        Some(run) if *run == header.run => match () {
            () if !same_plan => other_plan(),
            () if state.is_complete() => settled(Opened::AlreadyFinished),
            () if alive || (state.is_stopped() && !options.resume) => Ok(Opened::Joined),
            () => settled(Opened::Resumed { finished, left }),
        },
        Some(_) if alive => Err(QueueError::OtherRun { queue: queue(), run: header.run.clone() }),
        None if alive && same_plan => Ok(Opened::Joined),
        None if alive => other_plan(),
        _ if state.is_complete() => Ok(Opened::ReplacedComplete { run: header.run.clone() }),
        None if options.resume && same_plan => settled(Opened::Resumed { finished, left }),
        // With `--resume`, the user wants the rest of the existing run, so it must not be dropped.
        None if options.resume => other_plan(),
        _ => Ok(Opened::ReplacedIncomplete { run: header.run.clone(), finished, left, other_plan: !same_plan }),
    }
}

/// The journal of the run, which shares the lock of the file.
fn journal(queue_file: &LockedFile<'_>, header: Header, header_bytes: Vec<u8>) -> Result<Journal, FileError> {
    header.check_length(&queue_file.file, queue_file.path)?;
    let handle = queue_file.file.try_clone().map_err(io("open", queue_file.path))?;
    Ok(Journal::new(handle, queue_file.path.to_path_buf(), header, header_bytes, queue_file.patience))
}

fn new_run_id() -> Result<String, QueueError> {
    match getrandom::u32() {
        Ok(number) => Ok(format!("{number:08x}")),
        Err(error) => Err(QueueError::Storage(Box::new(error))),
    }
}
