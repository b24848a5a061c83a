//! The state of a run, derived only from its journal.

use std::collections::VecDeque;

use super::frame::{Head, Op};

/// The state of a run after some number of records.
///
/// Applying a record and finding the next entry take constant time, whatever the length of the plan.
#[derive(Debug)]
pub(super) struct State {
    entries: Vec<Entry>,
    /// The first entry that was never claimed.
    fresh: usize,
    /// Entries given back, the earliest first.
    back: VecDeque<u32>,
    /// Leased entries, in no order. Each [`Holder`] stores its index here.
    open: Vec<u32>,
    finished: usize,
    workers: u32,
    stopped: bool,
    records: u32,
}

/// The state of one entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub attempts: u32,
    pub deaths: u32,
    pub stage: Stage,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Stage {
    #[default]
    Waiting,
    Leased(Holder),
    Final,
}

/// The holder of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Holder {
    /// The worker that has the lease.
    pub worker: u32,
    /// The worker that claimed the entry: the same one, or the lost worker that it was taken from.
    pub claimer: u32,
    /// The number of the record that granted it.
    pub sequence: u32,
    /// Its index among the open leases.
    place: u32,
}

impl State {
    /// A run of `length` entries, before its first record.
    pub(super) fn new(length: usize) -> Self {
        State {
            entries: vec![Entry::default(); length],
            fresh: 0,
            back: VecDeque::new(),
            open: Vec::new(),
            finished: 0,
            workers: 0,
            stopped: false,
            records: 0,
        }
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry that the next claim will get.
    pub(super) fn next(&self) -> Option<u32> {
        self.back.front().copied().or_else(|| (self.fresh < self.entries.len()).then_some(self.fresh as u32))
    }

    /// All open leases, by entry.
    pub(super) fn open(&self) -> Vec<(u32, Holder)> {
        let mut open: Vec<_> = self.open.iter().filter_map(|&entry| Some((entry, self.holder(entry)?))).collect();
        open.sort_unstable_by_key(|&(entry, _)| entry);
        open
    }

    /// The holders of open leases; a holder of several is listed several times.
    pub(super) fn holders(&self) -> impl Iterator<Item = u32> {
        self.open.iter().filter_map(|&entry| Some(self.holder(entry)?.worker))
    }

    /// The holder of `entry`.
    pub(super) fn holder(&self, entry: u32) -> Option<Holder> {
        match self.entries.get(entry as usize)?.stage {
            Stage::Leased(holder) => Some(holder),
            Stage::Waiting | Stage::Final => None,
        }
    }

    pub(super) fn finished(&self) -> usize {
        self.finished
    }

    pub(super) fn is_complete(&self) -> bool {
        self.finished == self.entries.len()
    }

    /// How many participants have joined; their numbers are 1 to this number.
    pub(super) fn workers(&self) -> u32 {
        self.workers
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// How many records there are, which is the number of the next one.
    pub(super) fn records(&self) -> u32 {
        self.records
    }

    /// Applies one record, or says why no participant can have written it.
    pub(super) fn apply(&mut self, head: &Head) -> Result<(), &'static str> {
        if head.n != self.records {
            return Err("a record is missing or doubled");
        }
        match head.op {
            Op::Join => {
                if head.worker != self.workers + 1 {
                    return Err("participants are not numbered in turn");
                }
                self.workers = head.worker;
            }
            _ if head.worker == 0 || head.worker > self.workers => {
                return Err("a record of a worker that never joined");
            }
            Op::Stop => self.stopped = true,
            Op::Resume => self.stopped = false,
            Op::Claim => self.claim(head.entry, head)?,
            Op::Finish { next } => {
                self.close(head)?.stage = Stage::Final;
                self.finished += 1;
                if let Some(entry) = next {
                    self.claim(entry, head)?;
                }
            }
            Op::Requeue => {
                self.close(head)?.stage = Stage::Waiting;
                self.back.push_back(head.entry);
            }
            Op::Release => {
                let taken = self.holder(head.entry).is_some_and(|holder| holder.worker != holder.claimer);
                let entry = self.close(head)?;
                entry.stage = Stage::Waiting;
                entry.attempts -= 1;
                entry.deaths -= u32::from(taken);
                self.back.push_back(head.entry);
            }
            Op::Lost => self.lose(head)?,
        }
        self.records += 1;
        Ok(())
    }

    /// `entry` is claimed by a record that may also finish another.
    fn claim(&mut self, entry: u32, head: &Head) -> Result<(), &'static str> {
        if self.next() != Some(entry) {
            return Err("an entry was claimed out of turn");
        }
        if self.back.pop_front().is_none() {
            self.fresh += 1;
        }
        let place = self.open.len() as u32;
        self.open.push(entry);
        let entry = &mut self.entries[entry as usize];
        entry.attempts += 1;
        let holder = Holder { worker: head.worker, claimer: head.worker, sequence: head.n, place };
        entry.stage = Stage::Leased(holder);
        Ok(())
    }

    fn lose(&mut self, head: &Head) -> Result<(), &'static str> {
        let holder = self.holder(head.entry).ok_or("a lost entry that was not leased")?;
        let entry = &mut self.entries[head.entry as usize];
        // If a participant takes over a lease and ends before it decides, it was not running the entry, so this does not count
        // as a loss.
        if holder.worker == holder.claimer {
            entry.deaths += 1;
        }
        entry.stage = Stage::Leased(Holder { worker: head.worker, sequence: head.n, ..holder });
        Ok(())
    }

    fn close(&mut self, head: &Head) -> Result<&mut Entry, &'static str> {
        let holder = self.holder(head.entry).filter(|holder| holder.worker == head.worker);
        let holder = holder.ok_or("an entry was given up by someone who did not have it")?;
        self.open.swap_remove(holder.place as usize);
        if let Some(&moved) = self.open.get(holder.place as usize)
            && let Stage::Leased(moved) = &mut self.entries[moved as usize].stage
        {
            moved.place = holder.place;
        }
        Ok(&mut self.entries[head.entry as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINISH: Op = Op::Finish { next: None };

    struct Journal(State);

    impl Journal {
        fn add(&mut self, op: Op, entry: u32, worker: u32) -> Result<(), &'static str> {
            let n = self.0.records();
            self.0.apply(&Head { prev: 0, n, entry, worker, op })
        }
    }

    fn joined(length: usize, workers: u32) -> Journal {
        let mut journal = Journal(State::new(length));
        (1..=workers).for_each(|worker| journal.add(Op::Join, 0, worker).unwrap());
        journal
    }

    #[test]
    fn entries_given_back_come_before_fresh_ones() {
        let mut journal = joined(3, 1);
        journal.add(Op::Claim, 0, 1).unwrap();
        journal.add(Op::Claim, 1, 1).unwrap();
        journal.add(Op::Requeue, 1, 1).unwrap();
        journal.add(Op::Requeue, 0, 1).unwrap();
        assert_eq!(journal.0.next(), Some(1));
        journal.add(Op::Claim, 1, 1).unwrap();
        journal.add(Op::Claim, 0, 1).unwrap();
        assert_eq!(journal.0.next(), Some(2));
        assert_eq!(journal.0.entries()[1].attempts, 2);
    }

    #[test]
    fn a_death_is_counted_once_even_if_the_next_holder_dies() {
        let mut journal = joined(1, 3);
        journal.add(Op::Claim, 0, 1).unwrap();
        journal.add(Op::Lost, 0, 2).unwrap();
        journal.add(Op::Lost, 0, 3).unwrap();
        let entry = journal.0.entries()[0];
        assert_eq!((entry.attempts, entry.deaths), (1, 1));
        let holder = journal.0.holder(0).unwrap();
        assert_eq!((holder.worker, holder.claimer), (3, 1));
        journal.add(FINISH, 0, 3).unwrap();
        assert!(journal.0.is_complete());
    }

    #[test]
    fn a_released_attempt_does_not_count() {
        let mut journal = joined(1, 3);
        journal.add(Op::Claim, 0, 1).unwrap();
        journal.add(Op::Release, 0, 1).unwrap();
        assert_eq!(journal.0.entries()[0], Entry::default());
        journal.add(Op::Claim, 0, 1).unwrap();
        journal.add(Op::Lost, 0, 2).unwrap();
        journal.add(Op::Requeue, 0, 2).unwrap();
        journal.add(Op::Claim, 0, 2).unwrap();
        journal.add(Op::Lost, 0, 3).unwrap();
        assert!(journal.add(Op::Release, 0, 2).is_err(), "not the holder");
        journal.add(Op::Release, 0, 3).unwrap();
        let entry = journal.0.entries()[0];
        assert_eq!((entry.attempts, entry.deaths, journal.0.next()), (1, 1, Some(0)));
    }

    #[test]
    fn impossible_records_are_refused() {
        let mut journal = joined(2, 2);
        assert!(journal.add(Op::Claim, 1, 1).is_err(), "out of turn");
        assert!(journal.add(Op::Claim, 0, 3).is_err(), "never joined");
        assert!(journal.add(FINISH, 0, 1).is_err(), "never claimed");
        assert!(journal.add(Op::Lost, 9, 1).is_err(), "no such entry");
        assert!(journal.add(Op::Join, 0, 2).is_err(), "joined before");
        journal.add(Op::Claim, 0, 1).unwrap();
        assert!(journal.add(FINISH, 0, 2).is_err(), "not the holder");
        journal.add(FINISH, 0, 1).unwrap();
        assert!(journal.add(FINISH, 0, 1).is_err(), "finished before");
        assert!(journal.0.apply(&Head { prev: 0, n: 9, entry: 1, worker: 1, op: Op::Claim }).is_err(), "a gap");
        assert!(journal.0.open().is_empty());
    }

    #[test]
    fn a_finish_may_claim_the_next_entry() {
        let mut journal = joined(3, 2);
        journal.add(Op::Claim, 0, 1).unwrap();
        journal.add(Op::Finish { next: Some(1) }, 0, 1).unwrap();
        assert_eq!(journal.0.finished(), 1);
        let holder = journal.0.holder(1).unwrap();
        assert_eq!((holder.worker, holder.claimer, holder.sequence), (1, 1, 3));
        assert!(journal.add(Op::Finish { next: Some(2) }, 1, 2).is_err(), "not the holder");
        let mut journal = joined(3, 1);
        journal.add(Op::Claim, 0, 1).unwrap();
        assert!(journal.add(Op::Finish { next: Some(2) }, 0, 1).is_err(), "out of turn");
    }

    #[test]
    fn open_leases_are_listed_whatever_the_order_of_closing() {
        let mut journal = joined(4, 1);
        (0..4).for_each(|entry| journal.add(Op::Claim, entry, 1).unwrap());
        journal.add(FINISH, 1, 1).unwrap();
        journal.add(FINISH, 0, 1).unwrap();
        let open: Vec<u32> = journal.0.open().iter().map(|&(entry, _)| entry).collect();
        assert_eq!(open, [2, 3]);
        journal.add(FINISH, 3, 1).unwrap();
        assert_eq!(journal.0.open().len(), 1);
    }
}
