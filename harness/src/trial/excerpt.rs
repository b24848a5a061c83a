//! Runs one record of a script. The records before it run without being judged; nothing runs after it.

use crate::dialect::Dialect;
use crate::dialect::outline::{self, Kind};
use crate::dialect::stage::{At, Turn};
use crate::script::SyntaxError;
use crate::suite::Excerpt;

/// The record to judge, and how far the script has run.
#[derive(Debug)]
pub(super) struct Excerpted {
    pub(super) excerpt: Excerpt,
    /// Whether what runs now comes before the record.
    pub(super) before: bool,
    /// Whether the record has been reached.
    reached: bool,
    /// Whether the one pass that the user named has been reached.
    pub(super) done: bool,
    /// The first few passes of the record that the user did not name.
    others: Vec<String>,
    /// The last line of the loop that contains the record; 0 if there is no loop.
    pub(super) last: u64,
    /// The lines of records that only set how others are run. They apply even if the record runs alone.
    settings: Vec<u64>,
    /// How many records before it have run.
    pub(super) ran: u64,
    /// How many of these did not end as the script says, and the first one's line and message.
    pub(super) failed: u64,
    pub(super) first: Option<(u64, String)>,
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

    /// Reads what is needed from the script's text, before the script runs.
    pub(super) fn read(&mut self, text: &[u8], dialect: Dialect) {
        if self.excerpt.alone {
            let parts = outline::parts(text, dialect);
            let settings = parts.iter().filter(|part| matches!(part.kind, Kind::Setting | Kind::Halt));
            self.settings = settings.map(|part| part.line).collect();
        }
    }

    /// The error if the script ran to its end without reaching the record; `None` otherwise.
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

    /// How to treat the step at this place.
    pub(super) fn turn(&mut self, at: At<'_>) -> Turn {
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
