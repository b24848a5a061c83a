//! Records what this process is running, so that it can still be reported when the process crashes.
//!
//! An engine under test may crash, hang, or call `exit`. Each trial has a [`Slot`] in which it writes the record that
//! it passes to the engine. Three readers look there:
//!
//! | what happens | reader | result |
//! |---|---|---|
//! | a fatal signal (SIGSEGV, SIGABRT, …) | a signal handler | `crashed (SIGSEGV) at FILE:LINE` and the SQL on standard error; then the signal ends the process |
//! | `exit` before the run is over | a function that `exit` calls | the same message; the exit code becomes 4 |
//! | an engine that does not return | the thread that waits for the trial | the verdict of the trial; see `trial::apart` |
//!
//! Writing a slot costs a copy of the text: no lock, no system call, no allocation. Workers of a supervisor do not use
//! this: they have a page in memory that is kept after their end.

use std::sync::atomic::{AtomicUsize, Ordering};

mod guard;
mod say;
mod slot;
mod thread;

pub(crate) use guard::{arm, end};
pub(crate) use slot::{InEngine, Slot};

/// The minimum stack of a thread or process that runs a trial, in bytes.
const LEAST_STACK: usize = 8 << 20;

/// The size of stack that the test target asks for, in bytes.
static ASKED_FOR: AtomicUsize = AtomicUsize::new(0);

/// Sets the stack size of trials to this many bytes, if that is more than they would have otherwise.
pub(crate) fn ask_for_stack(bytes: usize) {
    ASKED_FOR.store(bytes, Ordering::Relaxed);
}

/// The size of the stack on which every trial runs, in every mode: 8 MiB, or what the test target or `RUST_MIN_STACK`
/// asks for if that is more.
pub(crate) fn stack_bytes() -> usize {
    let by_variable = std::env::var("RUST_MIN_STACK").ok().and_then(|text| text.parse().ok());
    by_variable.unwrap_or(0).max(LEAST_STACK).max(ASKED_FOR.load(Ordering::Relaxed))
}
