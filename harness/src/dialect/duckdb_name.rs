//! The name and extension of DuckDB's dialect. They are known even if the dialect is not built: no other dialect may then
//! read its files.

pub(super) const NAME: &str = "duckdb";
pub(super) const TITLE: &str = "DuckDB's dialect";
pub(super) const EXTENSIONS: &[&str] = &["duckdb.test"];
