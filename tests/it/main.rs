//! The programs as users meet them: the real test binary, cargo, nextest and the scripts, sound and with faults.

mod bad_input;
mod bless;
mod browser;
mod cases;
mod commands;
mod engines;
mod exact;
mod faults;
mod faulty_support;
mod kills;
mod known;
mod nextest;
mod own_engine;
mod page;
mod parallel;
mod results;
mod scripts_in_parallel;
mod server_queue;
mod servers;
mod shared_queue;
mod support;
mod target;
mod tidy;
