//! What people and tools read: outcomes and summaries as text and JSON. Knows no engine and no queue.

pub mod github;
pub mod html;
pub mod libtest;
pub mod statistics;
pub mod table;
