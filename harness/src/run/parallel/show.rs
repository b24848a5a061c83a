//! What people see and hear of a shared run while it goes on.

use std::collections::{HashMap, HashSet};
use std::io;
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::history;
use crate::outcome::Outcome;
use crate::process::Interruption;
use crate::queue::{EntryState, Event, Plan, PlanEntry, Queue, QueueError, Snapshot};
use crate::report::libtest::Printer;
use crate::run::print_end;
use crate::suite::TestFile;
use crate::summary::Summary;
use crate::supervisor::Audience;
use crate::worker::{INTERRUPTED, Witness};

/// A show is what people see of a run, and what the history learns from it.
pub(super) struct Show {
    pub(super) printer: Printer,
    log: history::Log,
    files: HashMap<String, TestFile>,
    /// The entries that were shown before this process followed the run.
    known: HashSet<usize>,
    /// The first outcome that the history could not take.
    complaint: Option<io::Error>,
}

impl Show {
    pub(super) fn new(printer: Printer, log: history::Log, files: HashMap<String, TestFile>) -> Self {
        Show { printer, log, files, known: HashSet::new(), complaint: None }
    }

    fn started(&mut self, worker: u32, name: &str, pass: u32) {
        self.printer.started(worker, &title(name, pass));
    }

    /// Shows an outcome that is known already.
    pub(super) fn ended(&mut self, outcome: &Outcome) {
        if outcome.pass == 1 {
            return self.printer.ended(outcome);
        }
        self.printer.ended(&Outcome { name: title(&outcome.name, outcome.pass), ..outcome.clone() });
    }

    /// Shows what a run has come to so far; its events may tell of some of that again.
    pub(super) fn know(&mut self, snapshot: &Snapshot) {
        for (entry, status) in snapshot.entries.iter().enumerate() {
            if let EntryState::Final(outcome) = &status.state {
                self.ended(outcome);
                self.known.insert(entry);
            }
        }
    }

    /// Shows an outcome that is news.
    fn news(&mut self, outcome: &Outcome) {
        self.ended(outcome);
        if let (Some(file), None) = (self.files.get(&outcome.name), &self.complaint) {
            self.complaint = self.log.append(file, outcome).err();
        }
    }

    /// Ends the show; see [`print_end`].
    pub(super) fn finish(
        &mut self,
        config: &Config,
        summary: &Summary,
        counts: (u64, Duration),
        figures: &str,
    ) -> io::Result<()> {
        if let Some(error) = &self.complaint {
            note!("warning: the history could not be written: {error}");
        }
        print_end(&mut self.printer, config, summary, counts, figures)
    }
}

/// A trial's name, with its pass if there are several.
pub(super) fn title(name: &str, pass: u32) -> String {
    if pass == 1 { name.to_owned() } else { format!("{name} (pass {pass})") }
}

impl Audience for Show {
    fn event(&mut self, event: &Event, plan: &Plan) {
        match event {
            Event::Claimed { entry, .. } | Event::Requeued { entry, .. } | Event::Finished { entry, .. }
                if self.known.contains(entry) => {}
            Event::Claimed { worker, entry } => {
                let PlanEntry { name, pass } = &plan.entries()[*entry];
                self.started(*worker, name, *pass);
            }
            Event::Requeued { entry, .. } => {
                let PlanEntry { name, pass } = &plan.entries()[*entry];
                self.printer.dropped(&title(name, *pass));
            }
            Event::Finished { outcome, .. } => self.news(outcome),
            _ => {}
        }
    }

    fn slow(&mut self, entry: &PlanEntry, limit: Duration) {
        self.printer.slow(&title(&entry.name, entry.pass), limit);
    }

    fn notice(&mut self, notice: &str) {
        self.printer.notice(notice);
    }
}

/// How long there may be nothing to claim before people are told.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many files they are then told to be waiting for, by name.
const MOST_NAMES: usize = 3;

/// A voice speaks for this process alone.
pub(super) struct Voice {
    pub(super) show: Show,
    /// What this process finished.
    pub(super) outcomes: Vec<Outcome>,
    interruption: Interruption,
    /// Since when there has been nothing to claim, and whether that was said.
    waiting: Option<(Instant, bool)>,
}

impl Voice {
    pub(super) fn new(show: Show, interruption: Interruption) -> Self {
        Voice { show, outcomes: Vec::new(), interruption, waiting: None }
    }
}

impl Witness for Voice {
    fn begins(&mut self, file: &TestFile, pass: u32, _attempt: u32) {
        self.waiting = None;
        self.show.started(0, &file.name, pass);
    }

    fn ended(&mut self, outcome: &Outcome) {
        self.show.news(outcome);
        self.outcomes.push(outcome.clone());
    }

    fn waits(&mut self, queue: &mut dyn Queue) -> Result<(), QueueError> {
        let (since, told) = self.waiting.get_or_insert((Instant::now(), false));
        if since.elapsed() > PATIENCE && !std::mem::replace(told, true) {
            let snapshot = queue.snapshot()?;
            let entries = snapshot.plan.entries().iter().zip(&snapshot.entries);
            let leased = entries.filter(|(_, status)| matches!(status.state, EntryState::Leased { .. }));
            let names: Vec<String> = leased.map(|(entry, _)| title(&entry.name, entry.pass)).collect();
            let more = if names.len() > MOST_NAMES { " and others" } else { "" };
            let names = names[..names.len().min(MOST_NAMES)].join(", ");
            let words = "nothing left to claim: waiting for other processes to finish";
            self.show.printer.notice(&format!("{words} {names}{more}"));
        }
        Ok(())
    }

    fn stop(&mut self) -> Option<String> {
        self.interruption.is_asked_for().then(|| INTERRUPTED.to_owned())
    }
}
