//! This program's own variables; child processes must not inherit them.
//!
//! A driver, the command of a `system` record and processes of an engine are not this program: an `slt` among them
//! would act as one of our workers, and the URL of a queue or an engine may contain a password.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// Whether a variable is only for this program.
///
/// `SLT_RUN_TOKEN` is not: it identifies all processes of a run when the run ends. Nor are names of folders, such as
/// `SLT_CORPUS`, and variables for drivers.
fn is_ours(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    [&b"SQLLOGICTEST_"[..], b"SLT_WORKER", b"SLT_SHRINK", b"SLT_SET_UP"].iter().any(|prefix| name.starts_with(prefix))
        || [&b"SLT_PARENT"[..], b"SLT_GUARDIAN", b"SLT_REMOTE_QUEUE"].contains(&name)
}

/// Whether another process of this program has started this one for a part of its work: as a worker, for a try of
/// `slt shrink`, or to keep the set-up of a run.
#[cfg(feature = "commands")]
pub(crate) fn is_helper() -> bool {
    ["SLT_WORKER_QUEUE", "SLT_SHRINK", "SLT_SET_UP_FOLDER"].iter().any(|name| std::env::var_os(name).is_some())
}

/// Keeps this program's variables from `command`.
pub(crate) fn withhold(command: &mut Command) {
    std::env::vars_os().map(|(name, _)| name).filter(|name| is_ours(name)).for_each(|name| {
        command.env_remove(name);
    });
}

/// Removes this program's variables from its own environment, so that processes that an engine starts do not inherit
/// them. Call it after they are read and before anything runs; does nothing if other threads may be reading the
/// environment.
pub(crate) fn forget() {
    if !has_one_thread() {
        return;
    }
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_ours(name)) {
        // SAFETY: no other thread exists that could read the environment.
        unsafe { std::env::remove_var(name) };
    }
}

/// What the set-up of the run has said, by name.
static RUN_VALUES: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

/// What [`Target::before_run`](crate::Target::before_run) has set under this name, in whatever process of the run; or else
/// the environment variable of that name.
pub fn run_value(name: &str) -> Option<String> {
    let value = RUN_VALUES.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
    value.or_else(|| std::env::var(name).ok())
}

/// Makes known what the set-up of the run has said: by [`run_value`], to the processes that are handed
/// [`run_values`], and in this process's environment, where no other thread may be reading that.
pub(crate) fn set_run_values(values: BTreeMap<String, String>) {
    if has_one_thread() {
        // SAFETY: no other thread is there to read the environment.
        values.iter().for_each(|(name, value)| unsafe { std::env::set_var(name, value) });
    }
    *RUN_VALUES.lock().unwrap_or_else(PoisonError::into_inner) = values;
}

/// All that the set-up of the run has said.
pub(crate) fn run_values() -> BTreeMap<String, String> {
    RUN_VALUES.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Whether this process certainly has no other thread.
fn has_one_thread() -> bool {
    std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_programs_variables_are_recognised() {
        for name in ["SQLLOGICTEST_WORK_QUEUE", "SQLLOGICTEST_ENGINE", "SLT_WORKER", "SLT_WORKER_QUEUE", "SLT_PARENT"] {
            assert!(is_ours(OsStr::new(name)), "{name}");
        }
        for name in ["SLT_RUN_TOKEN", "SLT_PROTOCOL", "SLT_DATABASE", "SLT_CORPUS", "PGPASSWORD", "PATH"] {
            assert!(!is_ours(OsStr::new(name)), "{name}");
        }
    }
}
