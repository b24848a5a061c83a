//! What this process is running, kept where it can still be said when the process dies in the middle of it.
//!
//! An engine under test crashes, hangs, and calls `exit`. Each trial has a [`Slot`] in which it notes the record that it
//! hands to the engine. Three readers look there:
//!
//! | what happens | who reads | what follows |
//! |---|---|---|
//! | a fatal signal (SIGSEGV, SIGABRT, …) | a signal handler | `crashed (SIGSEGV) at FILE:LINE` and the SQL on standard error; then the signal ends the process |
//! | `exit` before the run is over | a function that `exit` calls | the same words; the exit code becomes 4 |
//! | an engine that does not return | the thread that waits for the trial | the verdict of the trial; see `trial::apart` |
//!
//! A note costs a copy of the text: no lock, no system call, no allocation. A process that supervises nothing needs no
//! other: workers of a supervisor have a page in memory that outlives them, so there none of this is armed.

mod guard;
mod say;
mod slot;

pub(crate) use guard::{arm, end};
pub(crate) use slot::{InEngine, Slot};

/// The smallest stack of a thread or a process that runs a trial, in bytes.
const LEAST_STACK: usize = 8 << 20;

/// The size of the stack on which every trial runs, in every mode: 8 MiB, or `RUST_MIN_STACK` if that is more.
pub(crate) fn stack_bytes() -> usize {
    let asked_for = std::env::var("RUST_MIN_STACK").ok().and_then(|text| text.parse().ok());
    asked_for.unwrap_or(0).max(LEAST_STACK)
}
