//! Compares how the records of a script end on the judged engine and on a reference (`--reference`).
//!
//! The script runs on the engine first, which leaves a [trace](super::trace). After the verdict, the script runs on the
//! reference: the same records, with the conditions of the judged engine, on its own thread and with its own clock. So the
//! reference changes no verdict and uses no time of the engine's limits.

use std::sync::Arc;

use super::reference::{Reference, Source};
use super::trace::{Comparing, Role, Trace};
use super::{Options, apart};
use crate::engine::Engine;
use crate::event::Reporter;
use crate::outcome::{Agrees, Compared, Comparison, CutShort, Outcome};
use crate::suite::TestFile;

/// Runs one script and, if there is a reference, the same script there. Calls `judged` between the two.
///
/// On the engine, the script runs on its own thread if `is_apart`. On the reference, it always does, and is abandoned if it
/// does not return.
pub(crate) fn run_compared(
    file: &TestFile,
    engine: &Arc<dyn Engine>,
    options: &Options,
    reporter: Arc<dyn Reporter>,
    is_apart: bool,
    is_unwanted: &dyn Fn() -> bool,
    judged: &dyn Fn(),
) -> Outcome {
    let role = match &options.reference {
        Some(reference) => Role::Traced(Box::new(Trace::new(engine.rules(), reference.is_recorded()))),
        None => Role::Plain,
    };
    let (outcome, role) = match is_apart {
        true => apart::run_apart(file, engine, options, reporter, role, is_unwanted),
        false => {
            let (outcome, role) = super::run_as(file, &**engine, options, &*reporter, role);
            (outcome, Some(role))
        }
    };
    let (Some(Reference(reference)), Some(Role::Traced(trace))) = (&options.reference, role) else { return outcome };
    if trace.entries.is_empty() || outcome.cut_short == Some(CutShort::NotRun) {
        return outcome;
    }
    let reference = match reference {
        Source::Engine(engine) => engine,
        Source::Run(recorded) => {
            let comparison = recorded.compare(&trace, &outcome, file);
            return with(outcome, comparison);
        }
    };
    judged();
    let count = trace.entries.len() as u64 + trace.left_out;
    let options = Options {
        reference: None,
        known: None,
        fail_fast: false,
        keep_database: false,
        memory_limit: None,
        ..options.clone()
    };
    let comparing = Role::Comparing(Box::new(Comparing::new(*trace)));
    let (there, role) = apart::run_apart(file, reference, &options, Arc::new(()), comparing, is_unwanted);
    let comparison = match role {
        Some(Role::Comparing(comparing)) => comparing.conclude(reference.name(), &there),
        // The trial on the reference was abandoned.
        _ => Comparison {
            not_compared: count,
            reference: reference.name().to_owned(),
            why: there.verdict.to_string(),
            ..Comparison::default()
        },
    };
    with(outcome, comparison)
}

/// Adds a comparison to an outcome. Each failure whose record was compared gets the result for that record.
fn with(mut outcome: Outcome, comparison: Comparison) -> Outcome {
    for failure in &mut outcome.failures {
        let of = |record: &&Compared| {
            record.line == failure.line && record.pass == failure.pass && record.file == failure.file
        };
        if let Some(record) = comparison.records.iter().find(of) {
            failure.reference = record.agrees.words(&comparison.reference);
            let message = record.message.lines().next().unwrap_or_default();
            if record.agrees == Agrees::NeitherDifferent && !message.is_empty() {
                failure.reference.push_str(&format!(": {message}"));
            }
            if !record.diff.is_empty() {
                failure.reference.push_str(&format!("\n(-reference|+actual)\n{}", record.diff));
            }
        }
    }
    outcome.comparison = Some(comparison);
    outcome
}
