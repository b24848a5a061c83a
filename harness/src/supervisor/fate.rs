//! What becomes of what a dead worker was running.

use super::slot::Dead;

/// What becomes of an entry whose worker is dead.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It has no outcome, and this attempt does not count.
    Left,
    /// It is run again, and this attempt does not count.
    Again,
    /// It gets another attempt or an outcome, as the policy says.
    Settled,
}

/// What becomes of `entry`, whose worker is dead, in a run in which nothing more is begun if it is `stopped`.
pub(super) fn fate(dead: Option<&Dead>, entry: usize, stopped: bool) -> Fate {
    match dead {
        // Killed because the user wanted to be gone.
        Some(dead) if dead.abandoned => Fate::Left,
        // Ended for an entry that it had finished by then, and this one had hardly begun.
        Some(dead) if dead.sentenced_for.is_some_and(|other| other != entry) => {
            if stopped {
                Fate::Left
            } else {
                Fate::Again
            }
        }
        _ => Fate::Settled,
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
            sentenced_for: Some(7),
        }
    }

    #[test]
    fn a_time_out_is_the_verdict_on_the_entry_that_exceeded_the_limit_and_on_no_other() {
        assert_eq!(fate(Some(&dead()), 7, false), Fate::Settled);
        assert_eq!(fate(Some(&dead()), 8, false), Fate::Again);
        assert_eq!(fate(Some(&dead()), 8, true), Fate::Left);
        assert_eq!(fate(Some(&Dead { sentenced_for: None, ..dead() }), 8, true), Fate::Settled);
        assert_eq!(fate(Some(&Dead { abandoned: true, ..dead() }), 7, false), Fate::Left);
        assert_eq!(fate(None, 7, true), Fate::Settled);
    }
}
