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
    /// The run that is there is not the one that this process would run: its verdicts are about something else.
    #[error("run `{run}` in `{queue}` differs from what this process would run: {differs}")]
    OtherPlan {
        /// Where the queue is kept.
        queue: String,
        /// The run that is there.
        run: String,
        /// What differs, in words.
        differs: String,
    },
    /// The run that is there rewrites its files, so that nobody can tell whether they are still those of the run.
    #[error(
        "run `{run}` in `{queue}` has rewritten files (`--bless`), so that it cannot go on: begin another one, without \
         `--resume` and with another `--run-id`"
    )]
    Rewritten {
        /// Where the queue is kept.
        queue: String,
        /// The run that is there.
        run: String,
    },
    /// The run that is there was begun by an older release, which has not noted what its verdicts depend on.
    #[error(
        "run `{run}` in `{queue}` was begun by an older release, which has not noted what its verdicts depend on: begin \
         another one, without `--resume` and with another `--run-id`"
    )]
    OlderRun {
        /// Where the queue is kept.
        queue: String,
        /// The run that is there.
        run: String,
    },
    /// A run id that cannot be written down.
    #[error("a run id has 1 to 100 characters, none of them a control character: `{0}`")]
    BadRunId(String),
    /// The place where the queue is kept failed.
    #[error(transparent)]
    Storage(Box<dyn std::error::Error + Send + Sync>),
}
