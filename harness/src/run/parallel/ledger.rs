//! The state of a shared run: an outcome for every entry of its plan.

use crate::config::Repeat;
use crate::outcome::{Outcome, Verdict};
use crate::queue::{EntryState, EntryStatus, PlanEntry, Snapshot};
use crate::summary::Summary;

/// Why an entry has no outcome yet when this process leaves a run that others continue.
const ELSEWHERE: &str = "still running in another process";

/// A ledger is a run at one moment, seen by one of its processes.
pub(super) struct Ledger<'r> {
    pub snapshot: &'r Snapshot,
    pub repeat: Repeat,
    /// The number of this process.
    pub myself: u32,
    /// Whether open leases may belong to processes that continue; a supervisor's own workers have all ended.
    pub shared: bool,
    /// Why some entries have no outcome.
    pub why: &'r str,
}

impl Ledger<'_> {
    /// Outcomes for the entries that have none, except those that other processes are running.
    pub(super) fn left(&self) -> Vec<Outcome> {
        self.open().filter(|(_, elsewhere)| !elsewhere).map(|(outcome, _)| outcome).collect()
    }

    /// Every outcome, and one for each entry that has none; with their summary against the plan.
    pub(super) fn whole(&self) -> (Vec<Outcome>, Summary) {
        let outcomes: Vec<Outcome> =
            self.snapshot.whole_outcomes().chain(self.open().map(|(outcome, _)| outcome)).collect();
        let summary = self.summary(outcomes.iter());
        (outcomes, summary)
    }

    /// The summary of these outcomes against the plan.
    pub(super) fn summary<'o>(&'o self, outcomes: impl Iterator<Item = &'o Outcome> + Clone) -> Summary {
        match self.repeat {
            // Passes that did not fit into the budget are not part of the plan.
            Repeat::UntilBudget => {
                let planned = outcomes.clone().map(|outcome| (outcome.name.as_str(), outcome.pass));
                Summary::new(planned, outcomes)
            }
            Repeat::Times(_) => {
                let planned = self.snapshot.plan.entries().iter().map(|entry| (entry.name.as_str(), entry.pass));
                Summary::new(planned, outcomes)
            }
        }
    }

    /// An outcome for each entry that has none: crashed if a process ended while it ran the entry, otherwise not run; and
    /// whether another process is running it.
    fn open(&self) -> impl Iterator<Item = (Outcome, bool)> {
        let entries = self.snapshot.plan.entries().iter().zip(&self.snapshot.entries);
        let open = entries.filter(|(entry, status)| {
            let counted = self.repeat != Repeat::UntilBudget || entry.pass == 1 || status.deaths > 0;
            counted && !matches!(status.state, EntryState::Final(_))
        });
        open.map(|(entry, status)| self.unfinished(entry, status))
    }

    fn unfinished(&self, entry: &PlanEntry, status: &EntryStatus) -> (Outcome, bool) {
        let elsewhere = self.shared && matches!(status.state, EntryState::Leased { .. });
        let why = if elsewhere { ELSEWHERE } else { self.why };
        // Leases of this process belong to workers that it killed: these are not crashes of the file.
        let killed = status.state == EntryState::Leased { worker: self.myself };
        let verdict = match status.deaths - u32::from(killed && status.deaths > 0) {
            deaths if deaths == 0 || elsewhere => Verdict::NotRun { reason: why.to_owned() },
            _ => Verdict::Crashed { how: format!("its process ended, and then: {why}") },
        };
        let earlier = status.earlier.clone();
        (Outcome { pass: entry.pass, earlier, ..Outcome::new(&entry.name, verdict) }, elsewhere)
    }
}
