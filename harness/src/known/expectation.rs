//! Compares a script's records with its list entry while they run.

use std::collections::{HashMap, HashSet};

use super::Entry;
use crate::outcome::RecordId;

/// Decides for each failing record whether it is known to fail, and remembers which pinned records passed.
#[derive(Debug)]
pub struct Expectation<'j> {
    entry: &'j Entry,
    /// For each SQL, the number of pins not yet matched by a failing record.
    unused: HashMap<&'j str, u64>,
    failing: Vec<RecordId>,
    failed: u64,
    passed: HashSet<RecordId>,
    has_new: bool,
}

impl<'j> Expectation<'j> {
    pub(super) fn new(entry: &'j Entry) -> Self {
        let mut unused = HashMap::new();
        for pin in entry.listed.records.iter().flatten() {
            *unused.entry(pin.sql.as_str()).or_default() += 1;
        }
        let (failing, passed) = (Vec::new(), HashSet::new());
        Expectation { entry, unused, failing, failed: 0, passed, has_new: false }
    }

    /// A record has failed.
    pub fn failed(&mut self, record: &RecordId) {
        self.failed += 1;
        match (&self.entry.listed.records, self.entry.listed.failed) {
            (Some(_), _) => match self.unused.get_mut(record.sql.as_str()) {
                Some(unused) => {
                    self.has_new |= *unused == 0;
                    *unused = unused.saturating_sub(1);
                    self.failing.push(record.clone());
                }
                None => self.has_new = true,
            },
            (None, Some(count)) => self.has_new |= self.failed > count,
            (None, None) => {}
        }
    }

    /// A record has passed.
    pub fn passed(&mut self, text: &[u8], line: u64, pass: &str) {
        // Most entries pin nothing; then no hash is needed.
        if self.entry.listed.records.is_some() {
            self.passed_record(RecordId::in_pass(text, line, pass));
        }
    }

    /// A record with this id has passed.
    pub fn passed_record(&mut self, record: RecordId) {
        if self.unused.contains_key(record.sql.as_str()) {
            self.passed.insert(record);
        }
    }

    /// Whether there are failures that are not known.
    pub fn has_new_failure(&self) -> bool {
        self.has_new
    }

    /// The pins that passed. A pin passes if its record passed in the pinned line. If all records of the script ran (`whole`),
    /// it also passes if a record with the same SQL passed in another line and the pinned line has no record with that SQL any
    /// more.
    pub fn passing(&self, whole: bool) -> Vec<RecordId> {
        let pins = self.entry.listed.records.as_deref().unwrap_or_default();
        let mut passing = compare(&self.failing, pins).not_failing;
        let stands = |record: &RecordId| self.passed.contains(record) || self.failing.contains(record);
        let pinned_lines: HashSet<&RecordId> = pins.iter().filter(|pin| stands(pin)).collect();
        let mut moved: HashMap<&str, usize> = HashMap::new();
        for record in self.passed.iter().filter(|record| !pinned_lines.contains(record)) {
            *moved.entry(record.sql.as_str()).or_default() += 1;
        }
        passing.retain(|pin| {
            self.passed.contains(pin)
                || (whole
                    && !stands(pin)
                    && moved.get_mut(pin.sql.as_str()).is_some_and(|left| match *left {
                        0 => false,
                        _ => {
                            *left -= 1;
                            true
                        }
                    }))
        });
        passing
    }
}

/// How the failing records differ from the known ones.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Comparison {
    /// Failing, and not pinned.
    pub(super) new: Vec<RecordId>,
    /// Pinned, and not failing.
    pub(super) not_failing: Vec<RecordId>,
}

/// Matches failing with pinned records: first by SQL and line, then by SQL alone, because lines move.
pub(super) fn compare(failing: &[RecordId], pins: &[RecordId]) -> Comparison {
    let mut comparison = Comparison::default();
    let mut pins: Vec<Option<&RecordId>> = pins.iter().map(Some).collect();
    let mut unpaired = Vec::new();
    for record in failing {
        match pins.iter_mut().find(|pin| **pin == Some(record)) {
            Some(pin) => *pin = None,
            None => unpaired.push(record),
        }
    }
    for record in unpaired {
        match pins.iter_mut().find(|pin| pin.is_some_and(|pin| pin.sql == record.sql)) {
            Some(pin) => *pin = None,
            None => comparison.new.push(record.clone()),
        }
    }
    comparison.not_failing = pins.into_iter().flatten().cloned().collect();
    comparison
}
