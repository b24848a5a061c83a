//! More threads for tests than libtest's default, one for each processor: most of this project's tests wait for processes.

#![cfg(target_os = "linux")]

use std::thread::available_parallelism;

/// Four more than processors. With 2 processors, all tests take two thirds of the time; on a large machine, time limits
/// still hold.
const ADDED: usize = 4;

/// Sets libtest's default before `main`, because libtest reads it from the environment and has no other way.
extern "C" fn set_default() {
    if std::env::var_os("RUST_TEST_THREADS").is_none() {
        let threads = available_parallelism().map_or(1, usize::from) + ADDED;
        // SAFETY: the loader calls this before `main`, when the process has one thread.
        unsafe { std::env::set_var("RUST_TEST_THREADS", threads.to_string()) };
    }
}

// SAFETY: the loader calls each function in this section once, before `main`. It may pass arguments, which C functions that
// take none ignore.
#[used]
#[unsafe(link_section = ".init_array")]
static SET_DEFAULT: extern "C" fn() = set_default;
