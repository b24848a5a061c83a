//! Output for users and tools: outcomes and summaries as text and JSON. Knows nothing about engines and queues.

#[cfg(feature = "page")]
pub mod by_file;
#[cfg(feature = "page")]
pub mod clusters;
pub mod columns;
#[cfg(feature = "page")]
pub mod compare;
pub mod comparison;
pub mod files;
pub mod github;
#[cfg(feature = "page")]
pub mod html;
#[cfg(feature = "junit")]
pub mod junit;
pub mod legacy;
pub mod libtest;
#[cfg(feature = "commands")]
pub mod merge;
pub mod paint;
#[cfg_attr(not(feature = "bar"), path = "report/no_progress.rs")]
pub mod progress;
#[cfg(feature = "commands")]
pub mod punchlist;
pub mod statistics;
#[cfg(feature = "commands")]
pub mod status;
pub mod table;
pub mod transcript;
pub mod words;

#[cfg(test)]
mod samples;
