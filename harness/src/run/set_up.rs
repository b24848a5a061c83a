//! Does what a test target asks for before the first file of a run and after the last one, in one process.
//!
//! A process that runs files in threads or by workers does it itself. Processes that know nothing of each other, as
//! nextest's and those that join a run by hand, share a folder: the first of them starts a keeper, a process of this same
//! program that does the set-up, writes down what that says, and ends the run's set-up when all of them have gone.

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

/// Tell a process that it is a keeper: the folder, and the process whose end is the run's, or 0.
const FOLDER: &str = "SLT_SET_UP_FOLDER";
const WATCHED: &str = "SLT_SET_UP_WATCHED";

/// The variable by which nextest names its run.
const NEXTEST_RUN: &str = "NEXTEST_RUN_ID";

/// How often a keeper looks whether its run is over, and others whether the keeper has done its work.
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
        // Nextest waits for its tests, and its run is over only when it has ended itself.
        after(status, if config.nextest { Ok(()) } else { visit.end() })
    } else {
        here(&config.set_up, run)
    }
}

/// Does something between set-up and teardown, all in this process.
fn here(set_up: &SetUp, run: impl FnOnce() -> Result<ExitStatus, RunError>) -> Result<ExitStatus, RunError> {
    let begun = set_up.begin().map(environment::set_run_values);
    let status = begun.map_err(RunError::SetUp).and_then(|()| run());
    after(status, set_up.end())
}

/// The same for commands that are no run; a set-up that fails is reported.
pub(crate) fn around_here(set_up: &SetUp, act: impl FnOnce() -> ExitStatus) -> ExitStatus {
    here(set_up, || Ok(act())).unwrap_or_else(|error| {
        note!("error: {error}");
        error.status()
    })
}

/// How a run ends whose teardown ended like this.
fn after(status: Result<ExitStatus, RunError>, torn_down: Result<(), String>) -> Result<ExitStatus, RunError> {
    let Err(error) = torn_down else { return status };
    note!("error: {AFTER}: {error}");
    status.map(|status| if status == ExitStatus::Passed { ExitStatus::Broken } else { status })
}

const AFTER: &str = "the cleanup after the run (`after_run`) failed";

/// What a keeper writes down for the processes of its run.
#[derive(Debug, Serialize, Deserialize)]
enum Notice {
    /// The set-up is done, and says this.
    Ready(BTreeMap<String, String>),
    /// It failed.
    Failed(String),
}

/// The files of a keeper and its visitors.
struct Places(PathBuf);

impl Places {
    /// Locked while a process decides whether there is a keeper.
    fn gate(&self) -> io::Result<File> {
        let gate = open(&self.0.with_extension("lock"))?;
        gate.lock_exclusive().map(|()| gate)
    }

    /// Locked, together with others, by each process that needs the set-up.
    fn visitors(&self) -> io::Result<File> {
        open(&self.0.join("visitors"))
    }

    /// Locked by the keeper, while it runs.
    fn keeper(&self) -> io::Result<File> {
        open(&self.0.join("keeper"))
    }

    fn notice(&self) -> PathBuf {
        self.0.join("notice.json")
    }

    /// What a teardown that failed says. It stays when the keeper has ended.
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
    /// Waits until the keeper has ended the set-up, if this was the last visit; how that ended.
    fn end(self) -> Result<(), String> {
        FileExt::unlock(&self.lock).map_err(|error| error.to_string())?;
        loop {
            // The keeper ends the set-up while it holds the gate.
            let gate = self.places.gate();
            if gate.is_err() || !self.places.notice().exists() {
                return fs::read_to_string(self.places.failure()).map_or(Ok(()), Err);
            }
            if FileExt::try_lock_exclusive(&self.lock).is_err() {
                return Ok(()); // Others visit.
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
            // A keeper that was killed has left it.
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
    // It outlives this process, and must hold nothing that others wait for.
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
    let mut keeper = command.spawn()?;
    while places.read().is_none() && keeper.try_wait()?.is_none() {
        thread::sleep(TICK);
    }
    Ok(())
}

/// Does the work of a keeper, if this process was started as one.
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
        // Nobody can come in while the gate is closed.
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
