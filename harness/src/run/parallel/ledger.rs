//! What a shared run has come to: an outcome for every entry of its plan, whatever its state.

use crate::config::Repeat;
use crate::outcome::{Outcome, Verdict};
use crate::queue::{EntryState, EntryStatus, PlanEntry, Snapshot};
use crate::summary::Summary;

/// The reason why an entry has no outcome yet when this process leaves a run that others go on with.
const ELSEWHERE: &str = "still running in another process";

/// A ledger is a run as it stood at one moment, seen by one of its processes.
pub(super) struct Ledger<'r> {
    pub snapshot: &'r Snapshot,
    pub repeat: Repeat,
    /// The number of this process.
    pub myself: u32,
    /// Whether open leases may belong to processes that live on; a supervisor's workers have all ended.
    pub shared: bool,
    /// Why entries are left.
    pub why: &'r str,
}

impl Ledger<'_> {
    /// Outcomes for the entries that have none, but for those that other processes are running.
    pub(super) fn left(&self) -> Vec<Outcome> {
        self.open().filter(|(_, elsewhere)| !elsewhere).map(|(outcome, _)| outcome).collect()
    }

    /// Every outcome there is, and one for each entry that has none; and what they come to against the plan.
    pub(super) fn whole(&self) -> (Vec<Outcome>, Summary) {
        let outcomes: Vec<Outcome> =
            self.snapshot.whole_outcomes().chain(self.open().map(|(outcome, _)| outcome)).collect();
        let summary = self.summary(outcomes.iter());
        (outcomes, summary)
    }

    /// These outcomes held against the plan.
    pub(super) fn summary<'o>(&'o self, outcomes: impl Iterator<Item = &'o Outcome> + Clone) -> Summary {
        match self.repeat {
            // Passes that the budget did not reach were not promised.
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

    /// Outcomes for the entries that have none: not run, or crashed if that is the last that was seen of them; and
    /// whether another process is running them.
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
        // What this process holds is what it had killed, which is no fault of the file.
        let killed = status.state == EntryState::Leased { worker: self.myself };
        let verdict = match status.deaths - u32::from(killed && status.deaths > 0) {
            deaths if deaths == 0 || elsewhere => Verdict::NotRun { reason: why.to_owned() },
            _ => Verdict::Crashed { how: format!("its process died, and then: {why}") },
        };
        let earlier = status.earlier.clone();
        (Outcome { pass: entry.pass, earlier, ..Outcome::new(&entry.name, verdict) }, elsewhere)
    }
}
