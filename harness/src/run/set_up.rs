//! Does what a test target asks for before the first file of a run and after the last one, in one process.
//!
//! A process that runs files in threads or workers does this itself. Processes that do not know each other (nextest's, and
//! those that users start to join a run) share a folder. The first of them, here called visitors, starts a keeper: a process of
//! this same program that does the set-up, writes its values to a file, and does the teardown when all visitors have ended.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use fs2::FileExt;
use rustix::process::{Pid, getppid, test_kill_process};
use serde::{Deserialize, Serialize};

use super::error::RunError;
use super::folder::folder as results;
use super::mode::Mode;
use crate::config::{Config, SetUp, hand_on};
use crate::environment;
use crate::process;
use crate::summary::ExitStatus;

/// Variables that make a process a keeper: the folder; and the process whose end is the end of the run, or 0.
const FOLDER: &str = "SLT_SET_UP_FOLDER";
const WATCHED: &str = "SLT_SET_UP_WATCHED";

/// The variable in which nextest passes the id of its run.
const NEXTEST_RUN: &str = "NEXTEST_RUN_ID";

/// How often a keeper checks whether its run is over, and how often visitors check whether the keeper has finished.
const TICK: Duration = Duration::from_millis(20);

/// Runs files between set-up and teardown.
pub(super) fn around(
    config: &Config,
    mode: Mode<'_>,
    is_empty: bool,
    run: impl FnOnce() -> Result<ExitStatus, RunError>,
) -> Result<ExitStatus, RunError> {
    let joined = matches!(mode, Mode::Join(_));
    if config.set_up.is_empty() || is_empty {
        run()
    } else if config.nextest || joined {
        let visit = Visit::begin(config).map_err(RunError::SetUp)?;
        let status = run();
        // Nextest waits for its tests, and the run is over only when nextest itself has ended. So no test waits for the
        // teardown.
        after(status, if config.nextest { Ok(()) } else { visit.end() })
    } else {
        here(&config.set_up, run)
    }
}

/// Does the set-up, calls `run`, and does the teardown, all in this process.
fn here(set_up: &SetUp, run: impl FnOnce() -> Result<ExitStatus, RunError>) -> Result<ExitStatus, RunError> {
    let begun = set_up.begin().map(environment::set_run_values);
    let status = begun.map_err(RunError::SetUp).and_then(|()| run());
    after(status, set_up.end())
}

/// Does the set-up and the teardown around a command that is no run; an error is printed.
pub(crate) fn around_here(set_up: &SetUp, act: impl FnOnce() -> ExitStatus) -> ExitStatus {
    here(set_up, || Ok(act())).unwrap_or_else(|error| {
        note!("error: {error}");
        error.status()
    })
}

/// The result of a run, after its teardown.
fn after(status: Result<ExitStatus, RunError>, torn_down: Result<(), String>) -> Result<ExitStatus, RunError> {
    let Err(error) = torn_down else { return status };
    note!("error: {AFTER}: {error}");
    status.map(|status| if status == ExitStatus::Passed { ExitStatus::Broken } else { status })
}

const AFTER: &str = "the cleanup after the run (`after_run`) failed";

/// What a keeper writes to the folder for the visitors.
#[derive(Debug, Serialize, Deserialize)]
enum Notice {
    /// The set-up is done, and has set these values.
    Ready(BTreeMap<String, String>),
    /// The set-up failed, with this message.
    Failed(String),
}

/// The folder that a keeper and its visitors share, and the files in it.
struct Places(PathBuf);

impl Places {
    /// A lock that a process holds while it decides whether there is a keeper.
    fn gate(&self) -> io::Result<File> {
        let gate = open(&self.0.with_extension("lock"))?;
        gate.lock_exclusive().map(|()| gate)
    }

    /// A file on which each process that needs the set-up holds a shared lock.
    fn visitors(&self) -> io::Result<File> {
        open(&self.0.join("visitors"))
    }

    /// A file that the keeper locks while it runs.
    fn keeper(&self) -> io::Result<File> {
        open(&self.0.join("keeper"))
    }

    fn notice(&self) -> PathBuf {
        self.0.join("notice.json")
    }

    /// The file with the message of a failed teardown. It stays when the keeper has ended.
    fn failure(&self) -> PathBuf {
        self.0.with_extension("failed")
    }

    fn read(&self) -> Option<Notice> {
        serde_json::from_slice(&fs::read(self.notice()).ok()?).ok()
    }
}

fn open(path: &Path) -> io::Result<File> {
    File::options().create(true).truncate(false).write(true).open(path)
}

/// A visit lasts for as long as a process needs the set-up of its run.
struct Visit {
    places: Places,
    lock: File,
}

impl Visit {
    /// Ends the visit. If it was the last one, waits for the keeper's teardown, and returns its result.
    fn end(self) -> Result<(), String> {
        FileExt::unlock(&self.lock).map_err(|error| error.to_string())?;
        loop {
            // The keeper does the teardown while it holds the gate.
            let gate = self.places.gate();
            if gate.is_err() || !self.places.notice().exists() {
                return fs::read_to_string(self.places.failure()).map_or(Ok(()), Err);
            }
            if FileExt::try_lock_exclusive(&self.lock).is_err() {
                return Ok(()); // Other visits continue.
            }
            if self.places.keeper().is_ok_and(|keeper| FileExt::try_lock_exclusive(&keeper).is_ok()) {
                return Err("its process was killed".to_owned());
            }
            let _ = FileExt::unlock(&self.lock);
            drop(gate);
            thread::sleep(TICK);
        }
    }

    fn begin(config: &Config) -> Result<Visit, String> {
        let run = match std::env::var(NEXTEST_RUN) {
            Ok(run) if config.nextest => run,
            _ => "joined".to_owned(),
        };
        let folder = results(config).join("set-up");
        let places = Places(folder.join(run));
        let error = |error: io::Error| format!("cannot use the folder `{}`: {error}", places.0.display());
        fs::create_dir_all(&places.0).map_err(error)?;
        let gate = places.gate().map_err(error)?;
        // The last keeper may just have removed it.
        fs::create_dir_all(&places.0).map_err(error)?;
        let visitors = places.visitors().map_err(error)?;
        let alone = FileExt::try_lock_exclusive(&places.keeper().map_err(error)?).is_ok();
        if alone && places.notice().exists() {
            // The notice is left from a keeper that was killed.
            fs::remove_file(places.notice()).map_err(error)?;
        }
        if places.read().is_none() {
            start_keeper(config, &places).map_err(error)?;
        }
        match places.read() {
            Some(Notice::Ready(values)) => environment::set_run_values(values),
            Some(Notice::Failed(why)) => return Err(why),
            None => return Err(format!("its process ended; `{}` has what it printed", log(&places.0).display())),
        }
        FileExt::lock_shared(&visitors).map_err(error)?;
        drop(gate);
        Ok(Visit { places, lock: visitors })
    }
}

fn log(folder: &Path) -> PathBuf {
    folder.with_extension("log")
}

/// Starts a keeper, and waits until it has answered or ended.
fn start_keeper(config: &Config, places: &Places) -> io::Result<()> {
    let log = File::create(log(&places.0))?;
    let _ = fs::remove_file(places.failure());
    let watched = if config.nextest { getppid().map_or(0, |pid| pid.as_raw_nonzero().get()) } else { 0 };
    let mut command = process::same_executable();
    command.args(std::env::args_os().skip(1)).env(FOLDER, &places.0).env(WATCHED, watched.to_string());
    hand_on(&mut command);
    // The keeper runs longer than this process, so it must not keep streams open on which other processes wait.
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
    let mut keeper = command.spawn()?;
    while places.read().is_none() && keeper.try_wait()?.is_none() {
        thread::sleep(TICK);
    }
    Ok(())
}

/// Does the work of a keeper, if this process was started as a keeper.
pub(super) fn keep_if_asked(set_up: &SetUp) -> Option<ExitStatus> {
    let places = Places(PathBuf::from(std::env::var_os(FOLDER)?));
    let watched = std::env::var(WATCHED).ok().and_then(|text| text.parse().ok()).and_then(Pid::from_raw);
    environment::forget();
    Some(keep(set_up, &places, watched).unwrap_or_else(|error| {
        note!("error: `{}`: {error}", places.0.display());
        ExitStatus::Broken
    }))
}

fn keep(set_up: &SetUp, places: &Places, watched: Option<Pid>) -> io::Result<ExitStatus> {
    let alive = places.keeper()?;
    FileExt::lock_exclusive(&alive)?;
    let begun = set_up.begin();
    let failed = begun.is_err();
    let torn_down = if failed { set_up.end() } else { Ok(()) };
    let notice = match begun {
        Ok(values) => Notice::Ready(values),
        Err(why) => Notice::Failed(why),
    };
    let new = places.0.join("notice.new");
    fs::write(&new, serde_json::to_vec(&notice)?)?;
    fs::rename(&new, places.notice())?;
    let visitors = places.visitors()?;
    loop {
        thread::sleep(TICK);
        if watched.is_some_and(|pid| test_kill_process(pid).is_ok()) {
            continue;
        }
        // No visitor can begin while this process holds the gate.
        let gate = places.gate()?;
        if FileExt::try_lock_exclusive(&visitors).is_ok() {
            let torn_down = if failed { torn_down } else { set_up.end() };
            if let Err(error) = &torn_down {
                fs::write(places.failure(), error)?;
            }
            fs::remove_dir_all(&places.0)?;
            drop(gate);
            return Ok(match torn_down {
                Ok(()) => ExitStatus::Passed,
                Err(error) => {
                    note!("error: {AFTER}: {error}");
                    ExitStatus::Broken
                }
            });
        }
    }
}
