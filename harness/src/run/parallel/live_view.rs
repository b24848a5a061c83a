//! What users see of a shared run while it is running.

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

/// A live view prints the events of a run, and adds outcomes to the history.
pub(super) struct LiveView {
    pub(super) printer: Printer,
    log: history::Log,
    files: HashMap<String, TestFile>,
    /// The entries that were shown before this process followed the run.
    known: HashSet<usize>,
    /// The first outcome that the history could not store.
    complaint: Option<io::Error>,
}

impl LiveView {
    pub(super) fn new(printer: Printer, log: history::Log, files: HashMap<String, TestFile>) -> Self {
        LiveView { printer, log, files, known: HashSet::new(), complaint: None }
    }

    fn started(&mut self, worker: u32, name: &str, pass: u32) {
        self.printer.started(worker, &title(name, pass));
    }

    /// Shows an outcome without adding it to the history.
    pub(super) fn ended(&mut self, outcome: &Outcome) {
        if outcome.pass == 1 {
            return self.printer.ended(outcome);
        }
        self.printer.ended(&Outcome { name: title(&outcome.name, outcome.pass), ..outcome.clone() });
    }

    /// Shows the outcomes so far; later events may repeat some of them.
    pub(super) fn know(&mut self, snapshot: &Snapshot) {
        for (entry, status) in snapshot.entries.iter().enumerate() {
            if let EntryState::Final(outcome) = &status.state {
                self.ended(outcome);
                self.known.insert(entry);
            }
        }
    }

    /// Shows a new outcome of a file that was `planned` to hold this.
    fn news(&mut self, outcome: &Outcome, planned: Option<&str>) {
        self.ended(outcome);
        if let (Some(file), None) = (self.files.get(&outcome.name), &self.complaint) {
            self.complaint = self.log.append(file, outcome, planned).err();
        }
    }

    /// Ends the view; see [`print_end`].
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

impl Audience for LiveView {
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
            Event::Finished { entry, outcome, .. } => self.news(outcome, plan.content(*entry)),
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

/// How long there may be nothing to claim before a message says so.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many files that message names at most.
const MOST_NAMES: usize = 3;

/// Reports what this process does in a run that it has joined.
pub(super) struct JoinReporter {
    pub(super) view: LiveView,
    /// The outcomes of this process.
    pub(super) outcomes: Vec<Outcome>,
    interruption: Interruption,
    /// Since when there has been nothing to claim, and whether a message has said so.
    waiting: Option<(Instant, bool)>,
}

impl JoinReporter {
    pub(super) fn new(view: LiveView, interruption: Interruption) -> Self {
        JoinReporter { view, outcomes: Vec::new(), interruption, waiting: None }
    }
}

impl Witness for JoinReporter {
    fn begins(&mut self, file: &TestFile, pass: u32, _attempt: u32) {
        self.waiting = None;
        self.view.started(0, &file.name, pass);
    }

    fn ended(&mut self, outcome: &Outcome) {
        self.view.news(outcome, None);
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
            self.view.printer.notice(&format!("{words} {names}{more}"));
        }
        Ok(())
    }

    fn stop(&mut self) -> Option<String> {
        self.interruption.is_asked_for().then(|| INTERRUPTED.to_owned())
    }
}
