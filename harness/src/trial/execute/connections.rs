//! The operations of a script on its database and its connections.

use std::borrow::Cow;
use std::path::Path;
use std::time::Instant;

use super::{Executor, Tally};
use crate::crash::InEngine;
use crate::engine::{Done, EngineError, Opening, Request, Rows, Session};
use crate::event::Event;
use crate::script::{Completion, Record, Step};

impl Executor<'_, '_> {
    /// The values returned by a query that the runner itself makes.
    pub(in crate::trial) fn values(
        &mut self,
        sql: &str,
        connection: Option<&str>,
        tally: &mut Tally<'_>,
    ) -> Result<Vec<String>, String> {
        let step = Step::Statement { sql: Cow::Borrowed(sql.as_bytes()), expect: Completion::Ok };
        let record = Record {
            included_from: tally.included.clone(),
            line: tally.line,
            pass: tally.pass.clone(),
            connection: connection.map(str::to_owned),
            retry: None,
            substitute: false,
            step,
        };
        let result = self.run(&record, sql.as_bytes(), Some(b"T"), tally).map_err(|complaint| complaint.message)?;
        result.map_err(|error| format!("`{sql}` failed: {error}"))?;
        Ok(self.rows.values().map(|value| String::from_utf8_lossy(value).into_owned()).collect())
    }

    /// Closes all connections, opens the database as asked, and connects again.
    pub(in crate::trial) fn reopen(&mut self, opening: Opening<'_>) -> Result<(), String> {
        self.named.clear();
        self.default = Box::new(Closed);
        self.database.reopen(opening).map_err(|error| format!("{}: {error}", self.engine))?;
        self.connect_again()
    }

    /// Replaces the default connection by a new one.
    pub(in crate::trial) fn reconnect(&mut self) -> Result<(), String> {
        self.default = Box::new(Closed);
        self.connect_again()
    }

    fn connect_again(&mut self) -> Result<(), String> {
        let session = self.database.connect();
        self.default = session.map_err(|error| format!("cannot connect to {} again: {error}", self.engine))?;
        if let (Some(watchdog), Some(interrupter)) = (&mut self.watchdog, self.default.interrupter()) {
            watchdog.guard(interrupter);
        }
        Ok(())
    }

    /// Tells the engine the script's own folder.
    pub(in crate::trial) fn scratch(&mut self, folder: &Path) {
        self.database.scratch(folder);
    }

    /// Closes a named connection, if it is open.
    pub(in crate::trial) fn disconnect(&mut self, name: &str) {
        self.named.remove(name);
    }

    /// Whether the engine has what a script requires.
    pub(in crate::trial) fn require(&mut self, words: &[&str]) -> Result<bool, String> {
        self.database.require(words).map_err(|error| format!("{}: {error}", self.engine))
    }

    /// Opens connections that run SQL at the same time, if the engine has them.
    pub(in crate::trial) fn open_together(&mut self) -> Result<bool, String> {
        self.together = self.database.together().map_err(|error| format!("{}: {error}", self.engine))?;
        Ok(self.together.is_some())
    }

    /// Closes the connections that run SQL at the same time.
    pub(in crate::trial) fn close_together(&mut self) {
        self.together = None;
    }

    /// Begins a record of a pass of a concurrent loop.
    pub(in crate::trial) fn begin(
        &mut self,
        pass: u64,
        record: &Record<'_>,
        letters: Option<&[u8]>,
        tally: &Tally<'_>,
    ) -> Result<(), EngineError> {
        let sql = record.step.text();
        let file = record.included_from.as_deref().unwrap_or(&tally.shown);
        self.reporter.report(Event::RecordStarted {
            file,
            line: record.line,
            pass: &record.pass,
            sql,
            is_judged: true,
        });
        let _in_engine = InEngine::enter(file, record.line, sql).in_pass(&record.pass);
        if memchr::memchr(0, sql).is_some() {
            return Err(EngineError::refused("the SQL holds a NUL byte"));
        }
        let together = self.together.as_mut().ok_or_else(|| EngineError::new(NOT_TOGETHER))?;
        together.begin(pass, Request { sql, letters, dialect: self.dialect })
    }

    /// Waits for the record that ends next, and returns its pass; the next [`run`](Executor::run) returns its result.
    pub(in crate::trial) fn wait(&mut self, tally: &mut Tally<'_>) -> Result<u64, EngineError> {
        self.rows.clear();
        if let Some(watchdog) = &self.watchdog {
            watchdog.begin();
        }
        let in_engine = InEngine::reenter();
        let clock = Instant::now();
        let together = self.together.as_mut().ok_or_else(|| EngineError::lost(NOT_TOGETHER));
        let next = together.and_then(|together| together.next(&mut self.rows));
        tally.engine += clock.elapsed();
        drop(in_engine);
        let (pass, result) = next?;
        self.answered = Some(result);
        Ok(pass)
    }

    /// Sets the result that the next [`run`](Executor::run) returns, if any.
    pub(in crate::trial) fn answer(&mut self, answer: Option<Result<Done, EngineError>>) {
        self.answered = answer;
    }
}

const NOT_TOGETHER: &str = "there are no connections that run SQL at the same time";

/// Takes the place of a connection while the database is closed.
struct Closed;

impl Session for Closed {
    fn run(&mut self, _: Request<'_>, _: &mut Rows) -> Result<Done, EngineError> {
        Err(EngineError::lost("the database could not be opened again"))
    }
}
