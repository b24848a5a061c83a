//! Reporters of a shared run, besides the printer.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::event::{Event, Reporter};
use crate::history;
use crate::outcome::Outcome;
use crate::queue::{EntryState, Snapshot};
use crate::suite::TestFile;

/// Adds each outcome to the history.
pub(super) struct HistoryReporter {
    /// The log, and the first outcome that it could not store: nothing is added after that.
    log: Mutex<(history::Log, Option<io::Error>)>,
    files: HashMap<String, TestFile>,
}

impl HistoryReporter {
    pub(super) fn new(log: history::Log, files: Vec<TestFile>) -> Self {
        let files = files.into_iter().map(|file| (file.name.clone(), file)).collect();
        HistoryReporter { log: Mutex::new((log, None)), files }
    }

    /// Warns if an outcome could not be stored in this folder.
    pub(super) fn finish(&self, folder: &Path) {
        if let (_, Some(error)) = &*self.log.lock().unwrap_or_else(PoisonError::into_inner) {
            note!("warning: cannot write the history to `{}`: {error}", folder.display());
        }
    }
}

impl Reporter for HistoryReporter {
    fn report(&self, event: Event<'_>) {
        let Event::TrialEnded { outcome, planned } = event else { return };
        let (log, error) = &mut *self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(file), None) = (self.files.get(&outcome.name), &error) {
            *error = log.append(file, outcome, planned).err();
        }
    }
}

/// Keeps the outcomes of this process.
#[derive(Default)]
pub(super) struct Outcomes(Mutex<Vec<Outcome>>);

impl Outcomes {
    pub(super) fn into_inner(self) -> Vec<Outcome> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reporter for Outcomes {
    fn report(&self, event: Event<'_>) {
        if let Event::TrialEnded { outcome, .. } = event {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(outcome.clone());
        }
    }
}

/// Reports the outcomes so far, and returns their entries: the queue may send the same again.
pub(super) fn report_earlier(snapshot: &Snapshot, reporter: &dyn Reporter) -> HashSet<usize> {
    let mut reported = HashSet::new();
    for (entry, status) in snapshot.entries.iter().enumerate() {
        if let EntryState::Final(outcome) = &status.state {
            reporter.report(Event::TrialEnded { outcome, planned: None });
            reported.insert(entry);
        }
    }
    reported
}
