//! What people and tools read: outcomes and summaries as text and JSON. Knows no engine and no queue.

pub mod by_file;
pub mod clusters;
pub mod columns;
pub mod compare;
pub mod files;
pub mod github;
pub mod html;
pub mod junit;
pub mod legacy;
pub mod libtest;
pub mod merge;
pub mod progress;
pub mod punchlist;
pub mod statistics;
pub mod status;
pub mod table;
pub mod transcript;
pub mod words;

#[cfg(test)]
mod samples;
