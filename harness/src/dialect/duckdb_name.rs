//! What DuckDB's dialect is called, also where it is not built: no other dialect may then read its files.

pub(super) const NAME: &str = "duckdb";
pub(super) const TITLE: &str = "DuckDB's dialect";
pub(super) const EXTENSIONS: &[&str] = &["duckdb.test"];
