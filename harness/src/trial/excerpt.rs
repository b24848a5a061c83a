//! One record of a script: what runs before it runs without being judged, and nothing runs after it.

use super::{CutShort, Tally};
use crate::dialect::Dialect;
use crate::dialect::outline::{self, Kind};
use crate::dialect::stage::{At, Turn, is_sleep};
use crate::event::Event;
use crate::script::{Record, SyntaxError};
use crate::suite::Excerpt;

/// An excerpted script, and how far it is.
#[derive(Debug)]
pub(super) struct Excerpted {
    excerpt: Excerpt,
    /// Whether what runs now comes before the record.
    before: bool,
    /// Whether the record has been reached.
    reached: bool,
    /// Whether the only pass that is named has been reached.
    done: bool,
    /// The first passes of the record that are not meant.
    others: Vec<String>,
    /// The last line of the loop that the record is in; 0 without one.
    last: u64,
    /// What only sets how records are run, which holds even where the record runs alone.
    settings: Vec<u64>,
    /// How many records before it have run.
    ran: u64,
    /// How many of these did not do what the script says, and the first one's line and message.
    failed: u64,
    first: Option<(u64, String)>,
}

impl Excerpted {
    pub(super) fn new(excerpt: Excerpt) -> Self {
        Excerpted {
            excerpt,
            before: true,
            reached: false,
            done: false,
            others: Vec::new(),
            last: 0,
            settings: Vec::new(),
            ran: 0,
            failed: 0,
            first: None,
        }
    }

    /// Looks at the script before it is run.
    pub(super) fn read(&mut self, text: &[u8], dialect: Dialect) {
        if self.excerpt.alone {
            let parts = outline::parts(text, dialect);
            let settings = parts.iter().filter(|part| matches!(part.kind, Kind::Setting | Kind::Halt));
            self.settings = settings.map(|part| part.line).collect();
        }
    }

    /// Why the record was not reached, though nothing has ended the script.
    pub(super) fn missing(&self, cut_short: bool) -> Option<SyntaxError> {
        let line = self.excerpt.line;
        let words = match self.others.as_slice() {
            [] => format!("the record in line {line} was not reached: the script ends, or leaves it out, before it"),
            others => {
                let others: Vec<String> = others.iter().map(|pass| format!("({pass})")).collect();
                let more = if others.len() == MOST_PASSES { ", …" } else { "" };
                let wanted = &self.excerpt.named.pass;
                format!("the record in line {line} has no pass ({wanted}), but {}{more}", others.join(", "))
            }
        };
        (!self.reached && !cut_short).then(|| SyntaxError::new(line, words))
    }

    fn turn(&mut self, at: At<'_>) -> Turn {
        let At { is_own, line, is_sleep, pass } = at;
        let is_meant = is_own && line == self.excerpt.line && self.takes(pass);
        let turn = match is_meant {
            true => Turn::Judged,
            false if self.reached => Turn::Over,
            false if self.excerpt.alone && (!is_own || is_sleep || !self.settings.contains(&line)) => Turn::LeftOut,
            false => Turn::Before,
        };
        self.reached |= turn == Turn::Judged;
        self.before = turn != Turn::Judged;
        turn
    }

    fn takes(&mut self, pass: &dyn Fn() -> Option<String>) -> bool {
        let named = &self.excerpt.named;
        if named.pass.is_empty() {
            return true;
        }
        let pass = pass().unwrap_or_default();
        self.done |= named.is(&pass);
        let takes = named.takes(&pass);
        if !takes && self.others.len() < MOST_PASSES {
            self.others.push(pass);
        }
        takes
    }
}

/// How many passes an error lists.
const MOST_PASSES: usize = 5;

impl Tally<'_> {
    /// How the next record is treated.
    pub(super) fn turn(&mut self, record: &Record<'_>) -> Turn {
        let is_own = record.included_from.is_none();
        let at = At { is_own, line: record.line, is_sleep: is_sleep(&record.step), pass: &|| None };
        self.excerpted.as_mut().map_or(Turn::Judged, |excerpted| excerpted.turn(at))
    }

    /// Finds the record in a script with loops: if it is in a loop, it is judged in each pass, or in the one that is named.
    /// `spans` are the first and the last lines of what is in no loop.
    pub(super) fn find_in(&mut self, spans: &mut dyn Iterator<Item = (u64, u64)>) {
        let Some(excerpted) = &mut self.excerpted else { return };
        let target = excerpted.excerpt.line;
        let mut spans = spans;
        let span = Iterator::find(&mut spans, |(first, last)| (*first..=*last).contains(&target));
        excerpted.last = span.map_or(0, |(_, last)| last);
    }

    /// How the next step of a script with loops is treated: the records after it in its loop are run for the
    /// next pass.
    pub(super) fn turn_in_loop(&mut self, at: At<'_>) -> Turn {
        let Some(excerpted) = &mut self.excerpted else { return Turn::Judged };
        match excerpted.turn(at) {
            Turn::Over if excerpted.done => Turn::Over,
            Turn::Over if !at.is_own || at.line <= excerpted.last => Turn::Before,
            turn => turn,
        }
    }

    /// Whether a record is the one that is judged, or all are.
    pub(super) fn is_to_be_judged(&mut self, record: &Record<'_>) -> bool {
        let pass = || Some(record.pass.clone());
        let at = At { is_own: record.included_from.is_none(), line: record.line, is_sleep: false, pass: &pass };
        self.excerpted.as_mut().is_none_or(|excerpted| excerpted.turn(at) == Turn::Judged)
    }

    /// Whether what runs now only makes ready for the record that is judged.
    pub(super) fn is_before(&self) -> bool {
        self.excerpted.as_ref().is_some_and(|excerpted| excerpted.before)
    }

    /// Whether the script was ended by something, or has reported a failure.
    pub(super) fn is_cut_short(&self) -> bool {
        self.cut_short.is_some_and(|why| why != CutShort::FirstFailure)
            || self.halted.is_some()
            || !self.failures.is_empty()
    }

    /// Reports that a record is about to run.
    pub(super) fn announce(&self, line: u64, sql: &[u8]) {
        let is_judged = !self.is_before();
        self.reporter.report(Event::RecordStarted { file: self.file(), line, pass: &self.pass, sql, is_judged });
    }

    /// Notes what became of a record that is not judged.
    pub(super) fn ran_before(&mut self, record: &Record<'_>, complaint: Option<String>) {
        let Some(excerpted) = &mut self.excerpted else { return };
        excerpted.ran += u64::from(record.step.counts());
        if let Some(message) = complaint {
            excerpted.failed += 1;
            excerpted.first.get_or_insert((record.line, message));
        }
    }

    /// A message, with what went wrong in the records before, which may be why.
    pub(super) fn with_those_before(&self, message: String) -> String {
        let Some(Excerpted { ran, failed, before, first: Some((line, first)), excerpt, .. }) = &self.excerpted else {
            return match &self.excerpted {
                Some(Excerpted { before: true, excerpt, .. }) => {
                    format!("before the record in line {}: {message}", excerpt.line)
                }
                _ => message,
            };
        };
        if *before {
            return format!("before the record in line {}: {message}", excerpt.line);
        }
        let first = first.lines().next().unwrap_or_default();
        format!("{message}\n({failed} of the {ran}{THOSE_BEFORE}, the first in line {line}: {first})")
    }
}

/// The text after the number of records that ran before one.
const THOSE_BEFORE: &str = " records before it failed too";

/// A message without its part about the records before, if it has one.
#[cfg(feature = "commands")]
pub(crate) fn without_those_before(message: &str) -> &str {
    match message.rfind("\n(").filter(|at| message[*at..].contains(THOSE_BEFORE)) {
        Some(at) => &message[..at],
        None => message,
    }
}
