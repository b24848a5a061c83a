//! The entry that a participant is running, and since when.

use std::time::{Duration, Instant};

use crate::queue::Running;

/// The entry that a participant is running.
pub(super) struct Current {
    pub(super) entry: usize,
    pub(super) since: Instant,
    pub(super) record: Option<Running>,
    pub(super) record_since: Instant,
    /// Whether a message about its long duration was printed.
    pub(super) reported: bool,
}

impl Current {
    pub(super) fn new(entry: usize) -> Self {
        let now = Instant::now();
        Current { entry, since: now, record: None, record_since: now, reported: false }
    }

    /// Whether the entry has run for longer than `limit`; true only once.
    pub(super) fn is_newly_slow(&mut self, limit: Duration) -> bool {
        self.since.elapsed() > limit && !std::mem::replace(&mut self.reported, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_file_is_reported_once() {
        let mut current = Current::new(3);
        assert!(!current.is_newly_slow(Duration::from_secs(3600)));
        assert!(current.is_newly_slow(Duration::ZERO));
        assert!(!current.is_newly_slow(Duration::ZERO));
    }
}
