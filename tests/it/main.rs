//! The programs as users run them: the real test binary, cargo, nextest and the scripts, with and without faults.

// Tests print messages for the developer.
#![allow(clippy::print_stdout, clippy::print_stderr)]

#[path = "../../harness/src/test_threads.rs"]
mod test_threads;

mod action;
mod agreement;
mod api;
mod bad_input;
mod bless;
mod browser;
mod cases;
mod check;
mod circles;
mod commands;
mod compare;
mod dialects;
mod differential;
mod drivers;
mod duckdb_dialect;
mod endings;
mod engines;
mod exact;
mod excerpts;
mod faults;
mod faulty_support;
mod fill;
mod foreign;
mod generate;
mod handover;
mod hooks;
mod interrupts;
mod kills;
mod known;
mod known_modes;
mod last;
mod memory;
mod misuse;
mod modes;
mod mutants;
mod nextest;
mod odd_servers;
mod one_file;
mod own_engine;
mod page;
mod parallel;
mod readme;
mod results;
mod review;
mod same_run;
mod scope;
mod scripts_in_parallel;
mod seeded;
mod server_queue;
mod servers;
mod settings;
mod shards;
mod shared_queue;
mod shrink;
mod support;
mod target;
mod tidy;
