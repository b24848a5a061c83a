//! SQLLogicTest files on GlueSQL's memory storage.

use std::process::ExitCode;
use std::time::Duration;

use gluesql_core::error::Error;
use gluesql_core::prelude::{Glue, Payload, Value};
use gluesql_memory_storage::MemoryStorage;
use slt_harness::sqllogictest::{DB, DBOutput, DefaultColumnType as Type};
use slt_harness::{Adapter, Suite, Target};

struct GlueSql {
    glue: Glue<MemoryStorage>,
    letters: String,
}

impl DB for GlueSql {
    type Error = Error;
    type ColumnType = Type;

    fn run(&mut self, sql: &str) -> Result<DBOutput<Type>, Error> {
        let letters = std::mem::take(&mut self.letters).into_bytes();
        let payload = self.glue.execute(sql)?.pop();
        Ok(match payload {
            Some(Payload::Select { labels, rows }) => {
                let row = |row: &Vec<Value>| row.iter().enumerate().map(|(at, v)| text(v, letters.get(at))).collect();
                DBOutput::Rows { types: vec![Type::Any; labels.len()], rows: rows.iter().map(row).collect() }
            }
            Some(Payload::Insert(count) | Payload::Update(count) | Payload::Delete(count)) => {
                DBOutput::StatementComplete(count as u64)
            }
            _ => DBOutput::StatementComplete(0),
        })
    }

    fn engine_name(&self) -> &str {
        "gluesql"
    }
}

/// A value as the letter of its column says.
fn text(value: &Value, letter: Option<&u8>) -> String {
    match (value, letter) {
        (Value::Null, _) => "NULL".to_owned(),
        (Value::F64(number), Some(b'I')) => (*number as i64).to_string(),
        (Value::F64(number), Some(b'R')) => format!("{number:.3}"),
        (Value::I64(number), Some(b'R')) => format!("{number}.000"),
        (Value::Bool(is_true), Some(b'I')) => u8::from(*is_true).to_string(),
        (value, _) => String::from(value),
    }
}

fn main() -> ExitCode {
    let connect = || Ok::<_, Error>(GlueSql { glue: Glue::new(MemoryStorage::default()), letters: String::new() });
    let engine = Adapter::new(connect).letters(|db, letters| db.letters = letters.to_owned());
    let suite = Suite::new("../../corpus").exclude(["*.duckdb.test"], "for DuckDB");
    let suite = suite.exclude(["evidence/directives/*"], "tests the harness");
    Target::new(suite, engine.named("GlueSQL")).file_timeout(Duration::from_secs(120)).known_failures("known.toml").main()
}
