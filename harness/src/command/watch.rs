//! `slt watch`: reruns what changed or failed, whenever a file changes.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use clap::{Args, CommandFactory};
use notify::{RecursiveMode, Watcher};
use walkdir::WalkDir;

use super::{Slt, complain, handover};
use crate::config::{self, Settings};
use crate::history::stamp;
use crate::process::{self, Interrupts};
use crate::report::words::count;
use crate::run::usage;
use crate::suite::Suite;
use crate::summary::ExitStatus;

/// The flags of `slt watch`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Flags {
    /// Filters and flags of `slt run`
    #[arg(value_name = "ARGUMENTS", trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

const AFTER_HELP: &str = "\
Examples:
  slt watch                                 after each change: what changed or fails
  slt watch joins --file-timeout 10
  slt watch --root path/to/files

Ctrl-C ends it. Exit code: that of the last run; 5 if the last run had nothing to do.";

/// How long nothing may change before a run begins.
const QUIET: Duration = Duration::from_millis(150);

/// How often the process checks for Ctrl-C.
const TICK: Duration = Duration::from_millis(100);

/// Runs, waits for a change, and runs again, until Ctrl-C.
pub(super) fn run(suite: Suite, settings: Option<&Settings>) -> ExitStatus {
    // As the user typed them: they are for `slt run`, which may be a test target with its own flags.
    let arguments: Vec<OsString> = env::args_os().skip_while(|word| word != "watch").skip(1).collect();
    match go(suite, settings, &arguments) {
        Ok(status) | Err(status) => status,
    }
}

fn go(suite: Suite, settings: Option<&Settings>, arguments: &[OsString]) -> Result<ExitStatus, ExitStatus> {
    let broken = |message: String| complain(&message, ExitStatus::Broken);
    let unusable = |message: String| complain(&message, ExitStatus::Usage);
    let typed = typed_roots(arguments).map(|roots| suite.clone().at(roots));
    let (suite, program) = match handover::watched(arguments.to_vec())? {
        Some((roots, program)) => (typed.unwrap_or_else(|| Suite::from_roots(roots)), Some(program)),
        None => {
            let words = [&["slt".into(), "run".into()][..], arguments].concat();
            config::read(&mut config::with_profile(Slt::command()), &words).map_err(|error| usage(&error))?;
            match (typed, settings) {
                (Some(typed), _) => (typed, None),
                (None, Some(settings)) => (settings.on(suite, false).map_err(unusable)?, None),
                (None, None) => (suite, None),
            }
        }
    };
    suite.check_roots().map_err(|error| unusable(error.to_string()))?;
    let roots = suite.roots();
    let mut interrupts = Interrupts::install().map_err(|error| broken(error.to_string()))?;
    let (sender, changes) = mpsc::channel();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading a file does not change it.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            let _ = sender.send(());
        }
    })
    .map_err(|error| broken(format!("cannot watch files: {error}")))?;
    let folder = program.as_deref().and_then(Path::parent).map(|folder| (folder, RecursiveMode::NonRecursive));
    for (path, mode) in roots.iter().map(|root| (root.as_path(), RecursiveMode::Recursive)).chain(folder) {
        let failed = |error| unusable(format!("cannot watch `{}`: {error}", path.display()));
        watcher.watch(path, mode).map_err(failed)?;
    }
    loop {
        // Taken before the run, so that a change during the run starts the next one.
        let (files, built) = (stamps(roots), program.as_deref().map(stamp));
        let mut again = process::same_executable();
        again.args(["run", "--changed", "--failed"]).args(arguments);
        let ended = again.status().map_err(|error| broken(format!("cannot start `slt run`: {error}")))?;
        let status = status_of(ended.code());
        let rebuilt = program.as_deref().map(stamp);
        note!("watching {}; Ctrl-C ends", count(files.len() as u64, "file"));
        // The run itself may have built the program.
        let before = if rebuilt == built { built } else { rebuilt };
        let has_changed = || stamps(roots) != files || program.as_deref().map(stamp) != before;
        while !has_changed() {
            if !wait(&changes, &mut interrupts) {
                return Ok(status);
            }
        }
        if interrupts.count() > 0 {
            return Ok(status);
        }
    }
}

/// Waits until something has changed and nothing changes any more; false after Ctrl-C.
fn wait(changes: &Receiver<()>, interrupts: &mut Interrupts) -> bool {
    loop {
        if interrupts.count() > 0 {
            return false;
        }
        match changes.recv_timeout(TICK) {
            Ok(()) => break,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
    while changes.recv_timeout(QUIET).is_ok() {}
    interrupts.count() == 0
}

/// The roots in the arguments, otherwise those in the variable; `None` without both.
fn typed_roots(arguments: &[OsString]) -> Option<Vec<PathBuf>> {
    let mut roots = Vec::new();
    let mut rest = arguments.iter().take_while(|word| *word != "--");
    while let Some(word) = rest.next() {
        if word == "--root" {
            roots.extend(rest.next().map(PathBuf::from));
        } else if let Some(root) = word.to_str().and_then(|word| word.strip_prefix("--root=")) {
            roots.push(root.into());
        }
    }
    if roots.is_empty() {
        roots.extend(env::var_os("SLT_CORPUS").filter(|roots| !roots.is_empty()).map(PathBuf::from));
    }
    (!roots.is_empty()).then(|| config::roots(roots))
}

/// The size and time of each file below the roots: of all files, because scripts may include any.
fn stamps(roots: &[PathBuf]) -> BTreeMap<PathBuf, String> {
    let entries = roots.iter().flat_map(|root| WalkDir::new(root).follow_links(true)).flatten();
    let files = entries.filter(|entry| entry.file_type().is_file());
    files.map(|entry| (entry.path().to_path_buf(), stamp(entry.path()))).collect()
}

/// The exit code of a run as an [`ExitStatus`]; `Broken` for a run that was killed.
fn status_of(code: Option<i32>) -> ExitStatus {
    let known = [
        ExitStatus::Passed,
        ExitStatus::Usage,
        ExitStatus::Incomplete,
        ExitStatus::Nothing,
        ExitStatus::NotBuilt,
        ExitStatus::Failed,
    ];
    known.into_iter().find(|status| code == Some(*status as i32)).unwrap_or(ExitStatus::Broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_found_among_the_arguments_of_a_run() {
        let roots = |line: &str| typed_roots(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert_eq!(roots("joins --root x --root=y -- --root z"), Some(vec!["x".into(), "y".into()]));
        assert_eq!(roots("joins --rooted x"), None);
    }

    #[test]
    fn a_run_that_was_killed_is_no_success() {
        assert_eq!((status_of(Some(0)), status_of(Some(101))), (ExitStatus::Passed, ExitStatus::Failed));
        assert_eq!((status_of(None), status_of(Some(77))), (ExitStatus::Broken, ExitStatus::Broken));
    }
}
