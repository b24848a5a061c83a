//! Faults that are injected into scripts, and the ledger in which each is recorded.
//!
//! ```text
//! FAULTY_LEDGER=PATH    where each fault is recorded before it happens, one JSON object per line
//! FAULTY_ALTER=N        one result in N has a wrong value: which, depends on the script's name and the SQL alone
//! FAULTY_CRASH=NAME     the third request of this script kills the process
//! FAULTY_HANG=NAME      the third request of this script never returns
//! ```

use std::cell::Cell;
use std::env;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use md5::{Digest, Md5};
use slt_harness::engine::{Request, Rows};

/// The number of the request at which a script crashes or hangs.
const LAST: u32 = 3;

/// The faults that one script gets.
#[derive(Debug, Clone, Default)]
pub struct Seeds {
    script: String,
    ledger: PathBuf,
    /// One in this many results is altered; none if 0.
    alter: u32,
    /// What happens at the last request.
    end: Option<&'static str>,
    requests: Cell<u32>,
}

impl Seeds {
    /// The faults that the environment asks for in a script; `None` without a ledger.
    pub fn for_script(script: &str) -> Option<Seeds> {
        let ledger = env::var_os("FAULTY_LEDGER")?.into();
        let is = |variable: &str| env::var(variable).is_ok_and(|name| name == script);
        let end = [("FAULTY_CRASH", "segv"), ("FAULTY_HANG", "hang")].into_iter().find(|(variable, _)| is(variable));
        let alter = env::var("FAULTY_ALTER").ok().filter(|_| end.is_none());
        Some(Seeds {
            script: script.to_owned(),
            ledger,
            alter: alter.map_or(0, |number| number.parse().expect("FAULTY_ALTER is a number")),
            end: end.map(|(_, fault)| fault),
            requests: Cell::new(0),
        })
    }

    /// The fault to cause instead of this request.
    pub fn before(&self, request: Request<'_>) -> Option<&'static str> {
        self.requests.set(self.requests.get() + 1);
        let fault = self.end.filter(|_| self.requests.get() == LAST)?;
        self.enter(fault, request);
        Some(fault)
    }

    /// Alters the first value of a query's result, if it is that query's turn.
    pub fn after(&self, request: Request<'_>, rows: &mut Rows) {
        let Some(columns) = rows.columns().filter(|_| request.letters.is_some() && !rows.is_empty()) else { return };
        let digest = Md5::new().chain_update(&self.script).chain_update(request.sql).finalize();
        let draw = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
        if self.alter == 0 || !draw.is_multiple_of(self.alter) {
            return;
        }
        self.enter("altered", request);
        let mut values: Vec<Vec<u8>> = rows.values().map(<[u8]>::to_vec).collect();
        values[0] = [b"altered ", values[0].as_slice()].concat();
        rows.clear();
        rows.set_columns(columns);
        values.iter().for_each(|value| rows.push(value));
    }

    /// One write for each entry, since many processes write to one ledger.
    fn enter(&self, fault: &str, request: Request<'_>) {
        let sql = String::from_utf8_lossy(request.sql);
        let entry = serde_json::json!({ "fault": fault, "script": self.script, "sql": sql });
        let mut ledger = File::options().create(true).append(true).open(&self.ledger).expect("the ledger opens");
        ledger.write_all(format!("{entry}\n").as_bytes()).expect("the ledger takes an entry");
    }
}
