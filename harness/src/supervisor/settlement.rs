//! Decides what happens to the entry that an ended worker was running.

use super::slot::Dead;

/// What happens to an entry whose worker has ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Settlement {
    /// It gets no outcome, and this attempt does not count.
    Unfinished,
    /// It runs again, and this attempt does not count.
    Rerun,
    /// It gets another attempt or an outcome, by the retry policy.
    Settle,
}

/// Decides about `entry`, whose worker has ended. If the run is `stopped`, no further attempt starts.
pub(super) fn settlement(dead: Option<&Dead>, entry: usize, stopped: bool) -> Settlement {
    match dead {
        // The worker was killed because the user wanted to exit.
        Some(dead) if dead.abandoned => Settlement::Unfinished,
        // The worker was killed for another entry, but it had already finished that one; `entry` had hardly started.
        Some(dead) if dead.killed_for.is_some_and(|other| other != entry) => {
            if stopped {
                Settlement::Unfinished
            } else {
                Settlement::Rerun
            }
        }
        _ => Settlement::Settle,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Verdict;

    fn dead() -> Dead {
        Dead {
            worker: Some(1),
            verdict: Verdict::TimedOut { limit_ms: 1000 },
            how: "SIGTERM".to_owned(),
            output: String::new(),
            had_claimed: true,
            clean: false,
            killed: false,
            abandoned: false,
            killed_for: Some(7),
        }
    }

    #[test]
    fn a_time_out_is_the_verdict_on_the_entry_that_exceeded_the_limit_and_on_no_other() {
        assert_eq!(settlement(Some(&dead()), 7, false), Settlement::Settle);
        assert_eq!(settlement(Some(&dead()), 8, false), Settlement::Rerun);
        assert_eq!(settlement(Some(&dead()), 8, true), Settlement::Unfinished);
        assert_eq!(settlement(Some(&Dead { killed_for: None, ..dead() }), 8, true), Settlement::Settle);
        assert_eq!(settlement(Some(&Dead { abandoned: true, ..dead() }), 7, false), Settlement::Unfinished);
        assert_eq!(settlement(None, 7, true), Settlement::Settle);
    }
}
