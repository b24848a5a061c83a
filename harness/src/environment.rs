//! This program's own environment variables; child processes must not inherit them.
//!
//! A driver, the command of a `system` record and processes of an engine are not part of this program. An `slt` among them
//! would act as a worker of this run, and the URL of a queue or an engine may contain a password.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// The variables of the flags. Each has its earlier name, if it had one: that name still works.
pub(crate) const VARIABLES: &[(&str, Option<&str>)] = &[
    ("SLT_ALLOW_ENV", Some("SQLLOGICTEST_ALLOW_ENV")),
    ("SLT_ALLOW_INCOMPLETE", Some("SQLLOGICTEST_ALLOW_INCOMPLETE")),
    ("SLT_ALLOW_SYSTEM", Some("SQLLOGICTEST_ALLOW_SYSTEM")),
    ("SLT_BLESS", Some("SQLLOGICTEST_BLESS")),
    ("SLT_BLESS_ERRORS", Some("SQLLOGICTEST_BLESS_ERRORS")),
    ("SLT_CHANGED", None),
    ("SLT_CORPUS", None),
    ("SLT_CRASH_RETRIES", Some("SQLLOGICTEST_CRASH_RETRIES")),
    ("SLT_DIALECT", Some("SQLLOGICTEST_DIALECT")),
    ("SLT_ENGINE", Some("SQLLOGICTEST_ENGINE")),
    ("SLT_ENGINE_VERSION", Some("SQLLOGICTEST_ENGINE_VERSION")),
    ("SLT_FAILED", None),
    ("SLT_FAIL_FAST", Some("SQLLOGICTEST_FAIL_FAST")),
    ("SLT_FILES", Some("SQLLOGICTEST_FILES")),
    ("SLT_FILE_TIMEOUT", Some("SQLLOGICTEST_FILE_TIMEOUT")),
    ("SLT_INTERRUPT_GRACE", Some("SQLLOGICTEST_INTERRUPT_GRACE")),
    ("SLT_KEEP_DB_ON_FAILURE", Some("SQLLOGICTEST_KEEP_DB_ON_FAILURE")),
    ("SLT_KEEP_RUNS", Some("SQLLOGICTEST_KEEP_RUNS")),
    ("SLT_KNOWN_FAILURES", Some("SQLLOGICTEST_KNOWN_FAILURES")),
    ("SLT_LABELS", Some("SQLLOGICTEST_LABELS")),
    ("SLT_LENIENT", Some("SQLLOGICTEST_LENIENT")),
    ("SLT_MAX_RECORDS", Some("SQLLOGICTEST_MAX_RECORDS")),
    ("SLT_MEMORY_LIMIT", Some("SQLLOGICTEST_MEMORY_LIMIT")),
    ("SLT_ONLY", None),
    ("SLT_PARALLEL", Some("SQLLOGICTEST_USE_WORK_QUEUE")),
    ("SLT_PROFILE", Some("SQLLOGICTEST_PROFILE")),
    ("SLT_QUERY_TIMEOUT", Some("SQLLOGICTEST_QUERY_TIMEOUT")),
    ("SLT_QUERY_TIMEOUT_MS", Some("SQLLOGICTEST_QUERY_TIMEOUT_MS")),
    ("SLT_QUEUE", Some("SQLLOGICTEST_WORK_QUEUE")),
    ("SLT_QUIET", Some("SQLLOGICTEST_QUIET")),
    ("SLT_RATCHET", Some("SQLLOGICTEST_RATCHET")),
    ("SLT_REFERENCE", None),
    ("SLT_REPEAT", Some("SQLLOGICTEST_REPEAT")),
    ("SLT_REPORT", Some("SQLLOGICTEST_REPORT")),
    ("SLT_RESULTS", None),
    ("SLT_RESUME", Some("SQLLOGICTEST_RESUME")),
    ("SLT_RETRIES", Some("SQLLOGICTEST_RETRIES")),
    ("SLT_RUN_ID", Some("SQLLOGICTEST_RUN_ID")),
    ("SLT_RUN_MEMORY", None),
    ("SLT_SEED", Some("SQLLOGICTEST_SEED")),
    ("SLT_SELECT_TAGS", Some("SQLLOGICTEST_SELECT_TAGS")),
    ("SLT_SHARD", Some("SQLLOGICTEST_SHARD")),
    ("SLT_SHARD_HISTORY", Some("SQLLOGICTEST_SHARD_HISTORY")),
    ("SLT_SKIP_TAGS", Some("SQLLOGICTEST_SKIP_TAGS")),
    ("SLT_TIMINGS", None),
    ("SLT_TIME_BUDGET", Some("SQLLOGICTEST_TIME_BUDGET")),
    ("SLT_WORKERS", Some("SQLLOGICTEST_WORKERS")),
    ("SLT_WRITE_KNOWN_FAILURES", Some("SQLLOGICTEST_WRITE_KNOWN_FAILURES")),
];

/// The earlier name of a variable.
fn earlier_name(name: &OsStr) -> Option<&'static str> {
    VARIABLES.iter().find(|(known, _)| *known == name).and_then(|(_, earlier)| *earlier)
}

/// The earlier name of a variable, if only that one is set.
pub(crate) fn earlier_name_in_use(name: &OsStr) -> Option<&'static str> {
    let earlier = earlier_name(name)?;
    (std::env::var_os(name).is_none() && std::env::var_os(earlier).is_some()).then_some(earlier)
}

/// The value of a variable, under its current or its earlier name.
pub(crate) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).or_else(|| std::env::var_os(earlier_name(OsStr::new(name))?))
}

/// A sentence about the first variable whose two names have different values.
pub(crate) fn contradiction() -> Option<String> {
    VARIABLES.iter().find_map(|(name, earlier)| {
        let earlier = (*earlier)?;
        let differ = std::env::var_os(name)? != std::env::var_os(earlier)?;
        differ.then(|| format!("`{name}` and `{earlier}` are one variable, but hold different values: set only one"))
    })
}

/// Warns of each variable whose name looks like a misspelt name of this program's: it has no effect.
///
/// One letter may differ, not two: other programs have variables of their own, such as `SLT_PORT` of `sqllogictest-bin`.
pub(crate) fn warn_of_misspelt() {
    for name in std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()) {
        if let Some(known) = similar(&name) {
            note!("warning: the variable `{name}` has no effect; did you mean `{known}`?");
        }
    }
}

/// The name of a variable that this name is a misspelling of.
fn similar(name: &str) -> Option<&'static str> {
    // What one process of this program sets for another has a similar name (`SLT_WORKER`).
    if !name.starts_with("SQLLOGICTEST_") && (!name.starts_with("SLT_") || is_ours(OsStr::new(name))) {
        return None;
    }
    let mut known = VARIABLES.iter().flat_map(|(current, earlier)| [Some(*current), *earlier]).flatten();
    let near = known.clone().find(|known| strsim::damerau_levenshtein(known, name) == 1)?;
    known.all(|known| known != name).then_some(near)
}

/// Sets a variable for a process, or removes it. Also removes its earlier name, which this process may have set.
pub(crate) fn set_for(command: &mut Command, name: &str, value: Option<&OsStr>) {
    earlier_name(OsStr::new(name)).into_iter().for_each(|earlier| {
        command.env_remove(earlier);
    });
    match value {
        Some(value) => command.env(name, value),
        None => command.env_remove(name),
    };
}

/// Whether a variable is only for this program.
///
/// `SLT_RUN_TOKEN` is not: it identifies all processes of a run when the run ends. Variables for drivers are not, either.
fn is_ours(name: &OsStr) -> bool {
    if VARIABLES.iter().any(|(known, _)| *known == name) {
        return true;
    }
    let name = name.as_encoded_bytes();
    [&b"SQLLOGICTEST_"[..], b"SLT_WORKER", b"SLT_SHRINK", b"SLT_SET_UP"].iter().any(|prefix| name.starts_with(prefix))
        || [&b"SLT_PARENT"[..], b"SLT_GUARDIAN", b"SLT_REMOTE_QUEUE"].contains(&name)
}

/// Whether another process of this program started this one to do a part of its work: as a worker, for an attempt of `slt
/// shrink`, or to keep the set-up of a run.
#[cfg(feature = "commands")]
pub(crate) fn is_helper() -> bool {
    ["SLT_WORKER_QUEUE", "SLT_SHRINK", "SLT_SET_UP_FOLDER"].iter().any(|name| std::env::var_os(name).is_some())
}

/// Prevents `command` from inheriting this program's variables.
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

/// The values that the set-up of the run returned, by their names.
static RUN_VALUES: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

/// The value that [`Target::before_run`](crate::Target::before_run) set under this name, in any process of the run;
/// otherwise the environment variable of that name.
pub fn run_value(name: &str) -> Option<String> {
    let value = RUN_VALUES.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
    value.or_else(|| std::env::var(name).ok())
}

/// Publishes the values of the set-up of the run: to [`run_value`], to the processes that receive [`run_values`], and in
/// this process's environment, if no other thread may be reading the environment.
pub(crate) fn set_run_values(values: BTreeMap<String, String>) {
    if has_one_thread() {
        // SAFETY: no other thread exists that could read the environment.
        values.iter().for_each(|(name, value)| unsafe { std::env::set_var(name, value) });
    }
    *RUN_VALUES.lock().unwrap_or_else(PoisonError::into_inner) = values;
}

/// All values of the set-up of the run.
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
        for name in
            ["SQLLOGICTEST_WORK_QUEUE", "SLT_QUEUE", "SLT_CORPUS", "SLT_WORKER", "SLT_WORKER_QUEUE", "SLT_PARENT"]
        {
            assert!(is_ours(OsStr::new(name)), "{name}");
        }
        for name in ["SLT_RUN_TOKEN", "SLT_PROTOCOL", "SLT_DATABASE", "PGPASSWORD", "PATH"] {
            assert!(!is_ours(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn a_misspelt_variable_is_recognised_and_other_programs_variables_are_not() {
        for (name, known) in [
            ("SLT_FILE_TIMOUT", "SLT_FILE_TIMEOUT"),
            ("SLT_FIELS", "SLT_FILES"),
            ("SQLLOGICTEST_WORKER", "SQLLOGICTEST_WORKERS"),
        ] {
            assert_eq!(similar(name), Some(known));
        }
        for name in ["SLT_WORKER", "SLT_FILES", "SQLLOGICTEST_FILES", "SLT_PORT", "SLT_HOST", "SLT_DB", "XLT_FILES"] {
            assert_eq!(similar(name), None, "{name}");
        }
        let all = VARIABLES.iter().flat_map(|(name, earlier)| [Some(*name), *earlier]).flatten();
        all.for_each(|name| assert_eq!(similar(name), None));
    }
}
