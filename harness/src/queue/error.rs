//! What can go wrong with any queue, wherever it is kept.

/// Why a queue did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The lease is no longer the open one of its entry: its holder was taken for dead, or finished it already.
    #[error("`{name}` (pass {pass}) is no longer leased to worker {worker} by claim {sequence}")]
    Stale {
        /// The entry's name.
        name: String,
        /// The entry's pass.
        pass: u32,
        /// The worker that tried.
        worker: u32,
        /// The sequence number of the lease that it tried with.
        sequence: u64,
    },
    /// The outcome is that of another trial than the one that was leased.
    #[error("the outcome of `{outcome}` (pass {outcome_pass}) is not that of the lease, `{name}` (pass {pass})")]
    WrongOutcome {
        /// The name in the outcome.
        outcome: String,
        /// The pass in the outcome.
        outcome_pass: u32,
        /// The leased entry's name.
        name: String,
        /// The leased entry's pass.
        pass: u32,
    },
    /// Another run took the place of the one that was joined.
    #[error("the run was replaced: `{queue}` now belongs to run `{run}`")]
    Replaced {
        /// Where the queue is kept.
        queue: String,
        /// The run that is there now.
        run: String,
    },
    /// A run with another id is under way.
    #[error("`{queue}` is taken by run `{run}`, which is still under way")]
    OtherRun {
        /// Where the queue is kept.
        queue: String,
        /// The run that is there.
        run: String,
    },
    /// There is no run with this id to join.
    #[error("there is no run `{run}` in `{queue}` to join")]
    NoSuchRun {
        /// Where the queue is kept.
        queue: String,
        /// The run that was asked for.
        run: String,
    },
    /// The run that is there was planned from other files.
    #[error(
        "run `{run}` in `{queue}` has another plan: {theirs} entries (hash {theirs_hash}), not {ours} ({ours_hash})"
    )]
    OtherPlan {
        /// Where the queue is kept.
        queue: String,
        /// The run that is there.
        run: String,
        /// How many entries it has.
        theirs: usize,
        /// The hash of its plan.
        theirs_hash: String,
        /// How many entries the plan has that was brought along.
        ours: usize,
        /// The hash of the plan that was brought along.
        ours_hash: String,
    },
    /// The run that is there was planned from files of the same names with other contents.
    #[error("run `{run}` in `{queue}` was planned with other contents of {names}: every machine needs the same files")]
    OtherFiles {
        /// Where the queue is kept.
        queue: String,
        /// The run that is there.
        run: String,
        /// The files that differ, or the first of them.
        names: String,
    },
    /// A run id that cannot be written down.
    #[error("a run id has 1 to 100 characters, none of them a control character: `{0}`")]
    BadRunId(String),
    /// The place where the queue is kept failed.
    #[error(transparent)]
    Storage(Box<dyn std::error::Error + Send + Sync>),
}
