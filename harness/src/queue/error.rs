//! Errors of any kind of queue.

/// Why a queue operation failed.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The lease is no longer the open one of its entry: its holder was declared lost, or has finished it already.
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
    /// The outcome belongs to another trial than the leased one.
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
    /// Another run has replaced the one that was joined.
    #[error("the run was replaced: `{queue}` now belongs to run `{run}`")]
    Replaced {
        /// Where the queue is kept.
        queue: String,
        /// The run that is there now.
        run: String,
    },
    /// A run with another id is in progress.
    #[error("`{queue}` is taken by run `{run}`, which is still in progress")]
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
    /// The existing run differs from the one that this process would run: its verdicts mean something else.
    #[error("run `{run}` in `{queue}` differs from what this process would run: {differs}")]
    OtherPlan {
        /// Where the queue is kept.
        queue: String,
        /// The run that is there.
        run: String,
        /// The differences.
        differs: String,
    },
    /// The existing run rewrites its files, so its files may have changed.
    #[error(
        "run `{run}` in `{queue}` has rewritten files (`--bless`), so that it cannot continue: start another one, without \
         `--resume` and with another `--run-id`"
    )]
    Rewritten {
        /// Where the queue is kept.
        queue: String,
        /// The run that is there.
        run: String,
    },
    /// An older release started the existing run and did not record what its verdicts depend on.
    #[error(
        "run `{run}` in `{queue}` was started by an older release, which did not record what its verdicts depend on: start \
         another one, without `--resume` and with another `--run-id`"
    )]
    OlderRun {
        /// Where the queue is kept.
        queue: String,
        /// The run that is there.
        run: String,
    },
    /// An invalid run id.
    #[error("a run id has 1 to 100 characters, none of them a control character: `{0}`")]
    BadRunId(String),
    /// The file or server that holds the queue failed.
    #[error(transparent)]
    Storage(Box<dyn std::error::Error + Send + Sync>),
}
