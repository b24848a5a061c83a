//! Compares how the records of a script end on the judged engine and on a reference (`--reference`).
//!
//! The script runs on the engine first, and leaves a [trace]. When its verdict is made, the script runs on the reference: the same
//! records, with the conditions of the judged engine, on a thread and a clock of its own. So the reference changes no verdict
//! and uses no time of the engine's limits.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::bless::Correction;
use super::once::once;
use super::tally::Tally;
use super::{Options, apart};
use crate::diff::{self, Shape, Sides};
use crate::engine::{Engine, EngineError, ErrorKind, Request, Rows, Rules, Scratch, Script};
use crate::event::Reporter;
use crate::outcome::{Agrees, Compared, Comparison, CutShort, Outcome, RecordId, ResultsError, Verdict};
use crate::script::{Labels, Record, Step};
use crate::suite::TestFile;

mod recorded;

use recorded::Recorded;

/// What results are compared with.
#[derive(Clone)]
pub struct Reference(Source);

#[derive(Clone)]
enum Source {
    /// A second engine.
    Engine(Arc<dyn Engine>),
    /// What another run has recorded.
    Run(Arc<Recorded>),
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reference").field(&self.name()).finish()
    }
}

impl Reference {
    /// An engine as a reference.
    pub fn new(engine: Arc<dyn Engine>) -> Reference {
        Reference(Source::Engine(engine))
    }

    /// The results file of another run as a reference.
    ///
    /// # Errors
    /// The file cannot be read, or does not hold results.
    pub fn recorded(results: &Path) -> Result<Reference, ResultsError> {
        Ok(Reference(Source::Run(Arc::new(Recorded::read(results)?))))
    }

    /// Whether it is what another run has recorded.
    pub fn is_recorded(&self) -> bool {
        matches!(self.0, Source::Run(_))
    }

    /// The name in messages.
    pub fn name(&self) -> &str {
        match &self.0 {
            Source::Engine(engine) => engine.name(),
            Source::Run(recorded) => &recorded.name,
        }
    }

    /// Makes a connection for `file`, asks something, and closes it.
    ///
    /// # Errors
    /// The engine cannot be reached, or does not answer within 30 s.
    pub(crate) fn probe(&self, file: &TestFile) -> Result<(), EngineError> {
        let Source::Engine(engine) = &self.0 else { return Ok(()) };
        let (engine, file) = (Arc::clone(engine), file.clone());
        let (sender, receiver) = once();
        let probe = move || {
            // The run goes on without it if it takes too long.
            sender.send(connect(&*engine, &file));
        };
        let late = |_| EngineError::new(format!("it does not answer within {} s", PATIENCE.as_secs()));
        match thread::Builder::new().spawn(probe) {
            Ok(_) => receiver.recv_timeout(PATIENCE).map_err(late)?,
            Err(error) => Err(EngineError::new(format!("no thread can be started: {error}"))),
        }
    }
}

fn connect(engine: &dyn Engine, file: &TestFile) -> Result<(), EngineError> {
    let connect = || {
        let mut database = engine.open(&Script::of(file, Scratch::default()))?;
        let mut session = database.connect()?;
        // Some engines start only now. One that does not know this SQL is there all the same.
        let request = Request { sql: b"SELECT 1", letters: Some(b"I"), dialect: file.dialect };
        match session.run(request, &mut Rows::default()) {
            Err(error) if error.is_lost() => Err(error),
            _ => Ok(()),
        }
    };
    match connect() {
        Err(error) if error.kind == ErrorKind::Skip => Ok(()),
        connected => connected,
    }
}

/// How long a reference may take to answer before the first file.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a trial does besides judging.
#[derive(Default)]
pub(super) enum Role {
    /// Nothing.
    #[default]
    Plain,
    /// It keeps how each record ended.
    Traced(Box<Trace>),
    /// It runs on the reference, and compares with what the trace has.
    Comparing(Box<Comparing>),
}

/// How the records of a script ended on the judged engine, in the order in which they ran.
#[derive(Default)]
pub(super) struct Trace {
    entries: Vec<Entry>,
    /// The records for which there was no room.
    left_out: u64,
    /// How many bytes of results are kept.
    bytes: usize,
    /// The names by which conditions know the judged engine.
    pub(super) labels: Labels,
    rules: Rules,
    /// Whether records are looked up by their ids.
    by_id: bool,
}

struct Entry {
    /// Which record it was: its file, line and pass.
    key: u64,
    ended: Ended,
    taken: bool,
    /// Its id and its file as in a failure, where records are looked up by their ids.
    place: Option<(RecordId, String)>,
}

enum Ended {
    Passed,
    /// What it would have to expect, if that is known.
    Failed(Option<Box<Correction>>),
    /// It failed with a result that is too large to keep.
    TooLarge,
}

/// How many records of one script are compared.
const MOST_ENTRIES: usize = 1 << 20;

/// How many bytes of the results of failing records are kept.
const MOST_BYTES: usize = 64 << 20;

/// How many records may run in another order on the reference, as the passes of a concurrent loop do.
const WINDOW: usize = 4096;

/// A comparison under way.
pub(super) struct Comparing {
    pub(super) trace: Trace,
    /// The first record of the trace that has not been compared.
    next: usize,
    comparison: Comparison,
}

/// What a record returned on the reference, and how it compares.
pub(super) struct OnReference<'r> {
    /// What is wrong with it there, if something is.
    pub(super) message: Option<&'r str>,
    /// Whether it returned what the judged engine did.
    pub(super) is_alike: bool,
    /// Its rows, where the script does not list them.
    pub(super) lines: Option<(&'r [Vec<u8>], Shape)>,
}

/// Whether a record is compared: it runs SQL.
pub(super) fn is_compared(step: &Step<'_>) -> bool {
    matches!(step, Step::Statement { .. } | Step::Query { .. } | Step::Let { .. })
}

fn key(record: &Record<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&record.included_from, record.line, &record.pass).hash(&mut hasher);
    hasher.finish()
}

impl Trace {
    /// An empty trace of an engine with these rules.
    pub(super) fn new(rules: Rules, by_id: bool) -> Trace {
        Trace { rules, by_id, ..Trace::default() }
    }

    /// The rules by which the reference is judged too. What letters it calls its columns by is its own affair.
    pub(super) fn rules(&self) -> Rules {
        let mut rules = Rules::default();
        rules.results.clone_from(&self.rules.results);
        rules
    }

    /// A record has ended; a failed one with what it would have to expect.
    pub(super) fn add(&mut self, record: &Record<'_>, file: &str, failed: Option<Option<&Correction>>) {
        if self.entries.len() >= MOST_ENTRIES {
            self.left_out += 1;
            return;
        }
        let ended = match failed {
            None => Ended::Passed,
            Some(correction) => {
                let bytes = match correction {
                    Some(Correction::Lines { lines, .. }) => {
                        lines.iter().map(|line| line.len() + size_of::<Vec<u8>>()).sum()
                    }
                    _ => 0,
                };
                self.bytes = self.bytes.saturating_add(bytes);
                match self.bytes > MOST_BYTES {
                    true => Ended::TooLarge,
                    false => Ended::Failed(correction.cloned().map(Box::new)),
                }
            }
        };
        let id = || RecordId::in_pass(record.step.text(), record.line, &record.pass);
        let place = self.by_id.then(|| (id(), file.to_owned()));
        self.entries.push(Entry { key: key(record), ended, taken: false, place });
    }
}

impl Comparing {
    /// Whether every record of the trace has been compared.
    pub(super) fn is_over(&self) -> bool {
        self.next >= self.trace.entries.len()
    }

    /// What the record returned on the judged engine, where it failed there and that is known.
    pub(super) fn result(&self, record: &Record<'_>) -> Option<&Correction> {
        let index = self.find(record)?;
        match &self.trace.entries[index].ended {
            Ended::Failed(Some(correction)) => Some(correction),
            _ => None,
        }
    }

    fn find(&self, record: &Record<'_>) -> Option<usize> {
        let key = key(record);
        let window = self.trace.entries.iter().enumerate().skip(self.next).take(WINDOW);
        window.filter(|(_, entry)| !entry.taken).find(|(_, entry)| entry.key == key).map(|(index, _)| index)
    }

    /// The record has ended on the reference.
    pub(super) fn add(&mut self, record: &Record<'_>, file: &str, there: &OnReference<'_>) {
        let Some(index) = self.find(record) else { return };
        let entry = &mut self.trace.entries[index];
        entry.taken = true;
        let (agrees, ours) = match (&entry.ended, there.message) {
            (Ended::Passed, None) => (None, None),
            (Ended::Passed, Some(_)) => (Some(Agrees::OnlyEngine), None),
            (Ended::TooLarge, Some(_)) => {
                self.comparison.not_compared += 1;
                self.comparison.why = "results too large to keep".to_owned();
                (None, None)
            }
            (Ended::TooLarge, None) => (Some(Agrees::OnlyReference), None),
            (Ended::Failed(ours), None) => (Some(Agrees::OnlyReference), ours.as_deref()),
            (Ended::Failed(_), Some(_)) if there.is_alike => (Some(Agrees::NeitherAlike), None),
            (Ended::Failed(ours), Some(_)) => (Some(Agrees::NeitherDifferent), ours.as_deref()),
        };
        let is_counted = !matches!((&entry.ended, there.message), (Ended::TooLarge, Some(_)));
        let diff = match (ours, there.lines) {
            (Some(Correction::Lines { lines: ours, .. }), Some((theirs, shape))) => rows(theirs, ours, shape),
            _ => String::new(),
        };
        let compared = agrees.map(|agrees| Compared {
            file: file.to_owned(),
            line: record.line,
            pass: record.pass.clone(),
            agrees,
            message: diff::shorten(there.message.unwrap_or_default().to_owned(), LONGEST_MESSAGE),
            diff,
        });
        if is_counted {
            self.comparison.add(compared);
        }
        while self.trace.entries.get(self.next).is_some_and(|entry| entry.taken) {
            self.next += 1;
        }
    }

    /// The whole comparison; `outcome` is that of the reference.
    fn conclude(self, reference: &str, outcome: &Outcome) -> Comparison {
        let left = self.trace.entries.iter().filter(|entry| !entry.taken).count() as u64 + self.trace.left_out;
        let mut comparison = self.comparison;
        comparison.not_compared += left;
        if left > 0 {
            comparison.why = match (&outcome.verdict, outcome.cut_short) {
                (Verdict::Ignored { reason }, _) => reason.clone(),
                (verdict @ (Verdict::TimedOut { .. } | Verdict::OutOfMemory { .. }), _) => verdict.to_string(),
                (_, Some(_)) => {
                    let last =
                        outcome.failures.last().map(|failure| failure.message.lines().next().unwrap_or_default());
                    last.unwrap_or("it ended early").to_owned()
                }
                _ if self.trace.left_out > 0 => format!("a script has more than {MOST_ENTRIES} records"),
                _ => "other records ran there".to_owned(),
            };
        }
        comparison.unreachable = match outcome.cut_short {
            Some(CutShort::NoConnection) => true,
            Some(CutShort::ConnectionLost) => comparison.compared() == 0,
            _ => false,
        };
        Comparison { reference: reference.to_owned(), ..comparison }
    }
}

/// How many bytes of a message of the reference are kept.
const LONGEST_MESSAGE: usize = 1000;

fn rows(reference: &[Vec<u8>], ours: &[Vec<u8>], shape: Shape) -> String {
    let lines = |lines: &[Vec<u8>]| -> Vec<String> {
        lines.iter().map(|line| super::answer::shown(line, false, true)).collect()
    };
    let (expected, actual) = (lines(reference), lines(ours));
    Sides { expected: &expected, actual: &actual, shape, sorted: false, numbers: &[] }.text(diff::LONGEST)
}

/// Runs one script and, if there is a reference, the same script there; `judged` is called between.
///
/// The script runs on its own thread if `is_apart`; on the reference it always does, and is left there if it does not return.
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
    if trace.entries.is_empty() || matches!(outcome.verdict, Verdict::NotRun { .. }) {
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
    let comparing = Role::Comparing(Box::new(Comparing { trace: *trace, next: 0, comparison: Comparison::default() }));
    let (there, role) = apart::run_apart(file, reference, &options, Arc::new(()), comparing, is_unwanted);
    let comparison = match role {
        Some(Role::Comparing(comparing)) => comparing.conclude(reference.name(), &there),
        // It was left behind.
        _ => Comparison {
            not_compared: count,
            reference: reference.name().to_owned(),
            why: there.verdict.to_string(),
            ..Comparison::default()
        },
    };
    with(outcome, comparison)
}

/// Adds a comparison to an outcome, and to those of its failures that it has something to say on.
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

impl Tally<'_> {
    /// The trace, where this trial runs on the reference.
    pub(super) fn of_judged(&self) -> Option<&Comparing> {
        match &self.role {
            Role::Comparing(comparing) => Some(comparing),
            _ => None,
        }
    }
}
