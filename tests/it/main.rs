//! The programs as users run them: the real test binary, cargo, nextest and the scripts, with and without faults.

// Tests print messages for the developer.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod agreement;
mod bad_input;
mod bless;
mod browser;
mod cases;
mod check;
mod commands;
mod dialects;
mod differential;
mod doors;
mod drivers;
mod duckdb_dialect;
mod endings;
mod engines;
mod exact;
mod excerpts;
mod faults;
mod faulty_support;
mod foreign;
mod hooks;
mod interrupts;
mod kills;
mod known;
mod known_doors;
mod misuse;
mod nextest;
mod odd_servers;
mod own_engine;
mod page;
mod parallel;
mod results;
mod same_run;
mod scope;
mod scripts_in_parallel;
mod seeded;
mod server_queue;
mod servers;
mod shards;
mod shared_queue;
mod shrink;
mod support;
mod target;
mod tidy;
