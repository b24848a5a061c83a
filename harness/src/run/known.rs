//! The list of known failures in a run: read before it, updated after it.

use std::sync::Arc;

use super::error::{RunError, with_causes};
use super::mode::{Mode, Run};
use crate::config::Config;
use crate::engine::Engine;
use crate::known::{Judge, KnownError, KnownFailures};
use crate::outcome::Outcome;
use crate::report::words;

/// The judge for the user's list, if there is a list.
///
/// # Errors
/// The list cannot be read.
pub(super) fn judge(config: &Config, engine: &dyn Engine) -> Result<Option<Arc<Judge>>, RunError> {
    let Some(path) = &config.known.list else { return Ok(None) };
    let engine = engine.labels().into_iter().chain(config.options.labels.iter().cloned()).collect();
    let list = KnownFailures::read(path).map_err(|error| match (error, config.in_force.in_file("known-failures")) {
        (source @ KnownError::Read { .. }, Some(place)) => RunError::KnownInSettings { place, source },
        (error, _) => error.into(),
    })?;
    Ok(Some(Arc::new(Judge { list, engine, ratchet: config.known.ratchet })))
}

/// Updates the list of known failures after a run, or writes a first one; an error here changes no verdict.
///
/// Under nextest each file has its own process, which sees only that file, so a first list is not written.
pub(super) fn keep(run: &Run<'_>, outcomes: &[&Outcome]) {
    let config = run.config;
    let outcomes = outcomes.iter().copied();
    let kept = match (&run.options.known, &config.known.first) {
        (Some(judge), _) if config.known.ratchet => take_off(judge, outcomes),
        (None, Some(path)) if !config.nextest => {
            let labels = run.engine.labels();
            KnownFailures::write_first(path, labels.first().map(String::as_str), outcomes).map(|count| {
                let path = path.display();
                let files = words::count(count as u64, "file");
                note!("wrote {files} to `{path}`: with `--known-failures {path}` they do not fail a run");
            })
        }
        _ => Ok(()),
    };
    if let Err(error) = kept {
        // The list did not exist when the run began: another process of this run has just written the same list.
        if matches!(error, KnownError::Exists(_)) && matches!(run.mode, Mode::Join(_)) {
            return;
        }
        note!("warning: {}", with_causes(&error));
    }
}

fn take_off<'o>(judge: &Judge, outcomes: impl IntoIterator<Item = &'o Outcome>) -> Result<(), KnownError> {
    for name in judge.take_off(outcomes)? {
        note!("removed from the known failures: {name}");
    }
    Ok(())
}
