//! Compares how the records of a script end with the recorded results of another run (`--reference results.json`).
//!
//! Recorded results say which records failed, but not what each record returned. So for each record it is known only whether it
//! passed in the other run. If it failed in both runs, what it returned there is known only for the first failures of a file.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use crate::diff;
use crate::outcome::{Agrees, Compared, Comparison, Failure, Outcome, RecordId, Results, ResultsError, Verdict};
use crate::script::{Labels, ScriptFile, Step, source};
use crate::suite::TestFile;
use crate::trial::trace::{Ended, Entry, LONGEST_MESSAGE, Trace};

/// The recorded results of another run.
pub(in crate::trial) struct Recorded {
    /// The engine and the id of that run.
    pub(super) name: String,
    engine: String,
    /// The last outcome of each file.
    outcomes: HashMap<String, Outcome>,
}

impl Recorded {
    /// Reads the results of a run.
    ///
    /// # Errors
    /// The file cannot be read, or does not hold results.
    pub(super) fn read(path: &Path) -> Result<Recorded, ResultsError> {
        let Results { engine, run_id, outcomes, .. } = Results::read(path)?;
        let outcomes = outcomes.into_iter().map(|outcome| (outcome.name.clone(), outcome)).collect();
        Ok(Recorded { name: format!("{engine} (run {run_id})"), engine, outcomes })
    }

    /// Compares the trace and the outcome of a script with the recorded results.
    pub(in crate::trial) fn compare(&self, trace: &Trace, ours: &Outcome, file: &TestFile) -> Comparison {
        let mut comparison =
            Comparison { reference: self.name.clone(), not_compared: trace.left_out, ..Comparison::default() };
        let there = match self.outcomes.get(file.script()) {
            None => Err("that run has no file of this name".to_owned()),
            Some(Outcome { verdict: Verdict::NotRun { reason } | Verdict::Ignored { reason }, .. }) => {
                Err(reason.clone())
            }
            Some(there) if file.excerpt.is_none() && has_changed(ours, there) => {
                Err("the file has other records than in that run".to_owned())
            }
            Some(there) => Ok(There::new(there, self, file)),
        };
        let there = match there {
            Ok(there) => there,
            Err(why) => {
                comparison.not_compared += trace.entries.len() as u64;
                comparison.why = why;
                return comparison;
            }
        };
        for Entry { ended, place, .. } in &trace.entries {
            let Some((id, shown)) = place else { continue };
            match there.agrees(id, matches!(ended, Ended::Passed), ours) {
                Ok(None) => comparison.add(None),
                Ok(Some((agrees, message))) => comparison.add(Some(Compared {
                    file: shown.clone(),
                    line: id.line,
                    pass: id.pass.clone(),
                    agrees,
                    message: diff::shorten(message, LONGEST_MESSAGE),
                    diff: String::new(),
                })),
                Err(why) => {
                    comparison.not_compared += 1;
                    comparison.why = why;
                }
            }
        }
        comparison
    }
}

/// Whether two whole runs of a file had different numbers of records.
fn has_changed(ours: &Outcome, there: &Outcome) -> bool {
    let count = |outcome: &Outcome| {
        outcome.cut_short.is_none().then(|| {
            let records = outcome.records;
            records.passed.saturating_add(records.failed).saturating_add(records.skipped)
        })
    };
    matches!((count(ours), count(there)), (Some(ours), Some(there)) if ours != there)
}

/// The recorded results of one file.
struct There<'t> {
    failed: HashSet<&'t RecordId>,
    failures: &'t [Failure],
    /// The lines of the records that the other run left out; `None` if they are not known.
    left_out: Option<HashSet<u64>>,
    /// Why the result of a record that is not listed as failed is unknown, if so.
    unknown: Option<String>,
}

impl<'t> There<'t> {
    fn new(there: &'t Outcome, recorded: &Recorded, file: &TestFile) -> There<'t> {
        let left_out = match there.records.skipped {
            0 => Some(HashSet::new()),
            skipped => left_out(file, &recorded.engine).filter(|lines| lines.len() as u64 == skipped),
        };
        let unknown = match there.cut_short {
            Some(_) => Some(format!("that run of the file ended early: {}", there.verdict)),
            None if there.records.failed > there.failed_records.len() as u64 => {
                Some("more records failed in that run than its results name".to_owned())
            }
            None if left_out.is_none() => Some("the results do not say which records that run left out".to_owned()),
            None => None,
        };
        There { failed: there.failed_records.iter().collect(), failures: &there.failures, left_out, unknown }
    }

    /// Which side agrees with the script on a record; `None` if both do.
    ///
    /// # Errors
    /// Why that is not known.
    fn agrees(&self, id: &RecordId, passed: bool, ours: &Outcome) -> Result<Option<(Agrees, String)>, String> {
        let theirs = find(self.failures, id);
        let message = || theirs.map(|failure| failure.message.clone()).unwrap_or_default();
        if self.failed.contains(id) {
            if passed {
                return Ok(Some((Agrees::OnlyEngine, message())));
            }
            let (Some(theirs), Some(ours)) = (theirs, find(&ours.failures, id)) else {
                return Err(
                    "it failed in both, and results keep only what the first failures of a file returned".to_owned()
                );
            };
            let is_alike = match (&theirs.actual, &ours.actual) {
                (Some(theirs), Some(ours)) => theirs == ours,
                (None, None) => theirs.message == ours.message,
                _ => false,
            };
            let agrees = if is_alike { Agrees::NeitherAlike } else { Agrees::NeitherDifferent };
            return Ok(Some((agrees, message())));
        }
        if let Some(why) = &self.unknown {
            return Err(why.clone());
        }
        if self.left_out.as_ref().is_some_and(|lines| lines.contains(&id.line)) {
            return Err("that run left it out".to_owned());
        }
        Ok((!passed).then_some((Agrees::OnlyReference, String::new())))
    }
}

fn find<'f>(failures: &'f [Failure], id: &RecordId) -> Option<&'f Failure> {
    failures
        .iter()
        .find(|failure| failure.line == id.line && RecordId::in_pass(&failure.sql, failure.line, &failure.pass) == *id)
}

/// The lines of the records that do not apply to an engine of this name; `None` if the file alone does not determine them.
fn left_out(file: &TestFile, engine: &str) -> Option<HashSet<u64>> {
    let labels = Labels::new([engine.to_owned()]);
    let text = source::read(&file.path).ok()?;
    let script = ScriptFile { name: file.script(), path: &file.path, root: &file.root };
    let records = file.dialect.definition().rewriter()?.records(&script, &text, &labels).ok()?;
    let skipped = records.iter().filter(|record| record.step == Step::Skip);
    // A line number of an included file may also be one of the script's own, so lines alone do not identify such records.
    skipped.map(|record| record.included_from.is_none().then_some(record.line)).collect()
}
