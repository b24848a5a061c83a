//! The thread of a trial: its id, and the stack for its signal handlers.

use std::sync::atomic::{AtomicPtr, Ordering};

/// The C library's id of this thread.
pub(super) fn this_thread() -> usize {
    // SAFETY: it takes nothing and cannot fail.
    unsafe { libc::pthread_self() as usize }
}

/// The size of a stack for signal handlers. Rust's own, of some 8 KiB, may be too small for two nested handlers, as
/// they occur on a stack overflow.
const ALTERNATE: usize = 64 << 10;

/// A stack for the signal handlers of a thread, whose own stack may be full.
pub(super) struct AlternateStack(AtomicPtr<libc::c_void>);

impl AlternateStack {
    /// A stack that exists as long as the program.
    pub(super) fn new() -> AlternateStack {
        let memory = Box::leak(vec![0_u8; ALTERNATE].into_boxed_slice());
        AlternateStack(AtomicPtr::new(memory.as_mut_ptr().cast()))
    }

    /// Makes this the signal stack of the current thread, and returns the previous one.
    pub(super) fn enter(&self) -> Option<libc::stack_t> {
        let ours = libc::stack_t { ss_sp: self.0.load(Ordering::Relaxed), ss_flags: 0, ss_size: ALTERNATE };
        // SAFETY: the memory is that long, never freed, and used by one thread at a time: that of the slot's trial.
        unsafe {
            let mut before: libc::stack_t = std::mem::zeroed();
            (libc::sigaltstack(&ours, &mut before) == 0).then_some(before)
        }
    }

    /// Restores the current thread's previous signal stack.
    pub(super) fn leave(before: Option<libc::stack_t>) {
        if let Some(before) = before {
            // SAFETY: it is what the system has returned for this thread.
            unsafe { libc::sigaltstack(&before, std::ptr::null_mut()) };
        }
    }
}
