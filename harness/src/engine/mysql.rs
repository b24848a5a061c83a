//! MySQL and MariaDB servers, used through the text protocol. Each script has its own database.

use std::sync::{Arc, Mutex, PoisonError};

use mysql_async::consts::ColumnType;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, Row, Value};
use once_cell::sync::OnceCell;

use super::leftover::{Leftover, LeftoverState};
use super::line::{CONNECT, GOODBYE, Line, Trust};
use super::names::{Maker, token_of};
use super::text::Letters;
use super::url::{ChoiceError, Url};
use super::{Database, Done, Engine, EngineError, ErrorKind, Interrupter, Request, Rows, Session};

/// How long the connection with the lock may be idle, in seconds: a year, the server's maximum.
const IDLE: u32 = 31_536_000;

/// A MySQL or MariaDB server as an engine.
pub struct Mysql {
    server: Arc<Server>,
}

struct Server {
    shown: String,
    opts: Opts,
    trust: Arc<Trust>,
    keeper: Mutex<Option<Keeper>>,
    /// Set after the first connection.
    is_mariadb: OnceCell<bool>,
}

/// The connection that creates and drops databases. It holds the lock that shows that their creator still runs.
struct Keeper {
    session: MysqlSession,
    maker: Maker,
}

impl Mysql {
    /// The server at `url`; does not connect yet. Without a password in the URL, `MYSQL_PWD` is used.
    ///
    /// # Errors
    /// The URL is invalid.
    pub fn new(url: &Url) -> Result<Self, ChoiceError> {
        let (text, _) = url.take("");
        let opts = Opts::from_url(&text).map_err(|error| url.complain(error))?;
        let password = opts.pass().map(str::to_owned).or_else(|| std::env::var("MYSQL_PWD").ok());
        let opts = OptsBuilder::from_opts(opts)
            .pass(password)
            // The URL alone selects the transport; keep-alive starts after half a minute without traffic.
            .prefer_socket(false)
            .tcp_keepalive(Some(30_000_u32))
            .stmt_cache_size(0);
        let (trust, keeper, is_mariadb) = (Arc::default(), Mutex::default(), OnceCell::new());
        let server = Server { shown: url.to_string(), opts: opts.into(), trust, keeper, is_mariadb };
        Ok(Mysql { server: Arc::new(server) })
    }

    /// Drops databases that ended runs left on the server.
    pub(super) fn clean(&self, dry: bool) -> Result<Vec<Leftover>, EngineError> {
        let mut keeper = self.server.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        let session = &mut self.server.keeper(&mut keeper)?.session;
        let mut leftovers = Vec::new();
        for name in session.column("SELECT schema_name FROM information_schema.schemata ORDER BY 1")? {
            let Some(token) = token_of(&name) else { continue };
            let used = format!(
                "SELECT 1 FROM (SELECT 1) one WHERE COALESCE(IS_FREE_LOCK('{}'), 0) = 0 \
                 UNION ALL SELECT 1 FROM information_schema.processlist WHERE db = '{name}'",
                lock(token)
            );
            let state = match session.column(&used)?.is_empty() {
                false => LeftoverState::InUse,
                true if dry => LeftoverState::Dropped,
                true => match session.manage(&format!("DROP DATABASE IF EXISTS `{name}`")) {
                    Ok(()) => LeftoverState::Dropped,
                    Err(error) if error.is_lost() => return Err(error),
                    Err(error) => LeftoverState::Stays(error.message),
                },
            };
            leftovers.push(Leftover { name: format!("database `{name}`"), state });
        }
        Ok(leftovers)
    }
}

/// The name of the lock of the creator with this token.
fn lock(token: u64) -> String {
    format!("slt_{token:016x}")
}

impl Server {
    /// The keeper; replaced if its connection was lost. The new keeper uses new names, because the lock of the old one may
    /// remain until the server notices that the connection is gone.
    fn keeper<'k>(&self, keeper: &'k mut Option<Keeper>) -> Result<&'k mut Keeper, EngineError> {
        if keeper.as_ref().is_some_and(|keeper| keeper.session.lost) {
            *keeper = None;
        }
        match keeper {
            Some(keeper) => Ok(keeper),
            None => Ok(keeper.insert(Keeper::new(&self.opts, &self.trust)?)),
        }
    }

    /// Whether the server is MariaDB; false if the server cannot be asked.
    fn is_mariadb(&self) -> bool {
        let ask = || {
            let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
            Ok::<_, EngineError>(self.keeper(&mut keeper)?.session.mariadb)
        };
        self.is_mariadb.get_or_try_init(ask).is_ok_and(|is_mariadb| *is_mariadb)
    }

    /// The server's name and version, through a separate connection: this needs no keeper.
    fn version(&self) -> Result<String, EngineError> {
        let mut keeper = Keeper::new(&self.opts, &self.trust)?;
        let version = keeper.session.column("SELECT CONCAT_WS(' ', VERSION(), @@version_comment, @@sql_mode)")?;
        Ok(version.into_iter().next().unwrap_or_default())
    }

    /// Creates a database and returns its name.
    fn make(&self) -> Result<String, EngineError> {
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        let Keeper { session, maker } = self.keeper(&mut keeper)?;
        let name = maker.name();
        session.manage(&format!("CREATE DATABASE `{name}`")).map_err(|error| {
            let hint = match error.sqlstate.as_deref() {
                Some("42000" | "28000") => "; the user needs the rights CREATE and DROP on `slt\\_%`.*",
                _ => "",
            };
            EngineError { message: format!("cannot make a database: {error}{hint}"), ..error }
        })?;
        Ok(name)
    }

    fn remove(&self, name: &str) -> Result<(), EngineError> {
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        self.keeper(&mut keeper)?.session.manage(&format!("DROP DATABASE IF EXISTS `{name}`"))
    }
}

impl Keeper {
    fn new(opts: &Opts, trust: &Arc<Trust>) -> Result<Keeper, EngineError> {
        let mut session = MysqlSession::connect(opts, trust)?;
        let maker = Maker::new()?;
        check_version(&session.version()?)?;
        session.manage(&format!("SET SESSION wait_timeout = {IDLE}"))?;
        // The lock is held until this connection ends. The number is unique, so no other connection holds the lock.
        let held = session.column(&format!("SELECT GET_LOCK('{}', 10)", lock(maker.token())))?;
        match held == ["1"] {
            true => Ok(Keeper { session, maker }),
            false => Err(EngineError::new("the server gives no lock by GET_LOCK")),
        }
    }
}

impl Engine for Mysql {
    fn name(&self) -> &str {
        &self.server.shown
    }

    fn labels(&self) -> Vec<String> {
        let names: &[&str] = if self.server.is_mariadb() { &["mariadb", "mysql"] } else { &["mysql"] };
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn identity(&self) -> String {
        self.server.version().unwrap_or_else(|_| format!("{} of an unknown version", self.server.shown))
    }

    fn database(&self, _script: &str) -> Result<Box<dyn Database>, EngineError> {
        let name = self.server.make()?;
        Ok(Box::new(Own { server: Arc::clone(&self.server), name, kept: false }))
    }
}

/// A script's own database. Dropping this value drops the database.
struct Own {
    server: Arc<Server>,
    name: String,
    kept: bool,
}

impl Database for Own {
    fn name(&self) -> Option<String> {
        Some(self.name.clone())
    }

    fn connect(&mut self) -> Result<Box<dyn Session>, EngineError> {
        let opts = OptsBuilder::from_opts(self.server.opts.clone()).db_name(Some(&self.name));
        Ok(Box::new(MysqlSession::connect(&opts.into(), &self.server.trust)?))
    }

    fn keep(&mut self) -> Option<String> {
        self.kept = true;
        Some(format!("database `{}`", self.name))
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        if let Err(error) = self.server.remove(&self.name) {
            let (name, server) = (&self.name, &self.server.shown);
            note!("warning: {server}: cannot drop the database `{name}`, which `slt clean` will do: {error}");
        }
    }
}

/// One connection.
struct MysqlSession {
    line: Line,
    /// `None` after the session has ended.
    connection: Option<Conn>,
    opts: Opts,
    mariadb: bool,
    lost: bool,
}

impl MysqlSession {
    fn connect(opts: &Opts, trust: &Arc<Trust>) -> Result<MysqlSession, EngineError> {
        let line = Line::new(trust)?;
        let connection = line.within(CONNECT * 2, Conn::new(opts.clone()))?.map_err(engine_error)?;
        let connection = Some(connection);
        let mut session = MysqlSession { line, connection, opts: opts.clone(), mariadb: false, lost: false };
        session.mariadb = session.version()?.contains("MariaDB");
        Ok(session)
    }

    fn version(&mut self) -> Result<String, EngineError> {
        Ok(self.column("SELECT VERSION()")?.pop().unwrap_or_default())
    }

    /// Runs a statement of this program (not of a script).
    fn manage(&mut self, sql: &str) -> Result<(), EngineError> {
        self.column(sql).map(drop)
    }

    /// The first column of the result of a statement of this program.
    fn column(&mut self, sql: &str) -> Result<Vec<String>, EngineError> {
        let Some(connection) = &mut self.connection else { return Err(EngineError::lost("it has ended")) };
        let rows = self.line.manage(connection.query::<Row, _>(sql));
        let rows =
            rows.and_then(|rows| rows.map_err(engine_error)).inspect_err(|error| self.lost |= error.is_lost())?;
        Ok(rows.into_iter().filter_map(|row| row.as_ref(0).and_then(bytes).map(text)).collect())
    }
}

fn check_version(version: &str) -> Result<(), EngineError> {
    let (name, oldest) = if version.contains("MariaDB") { ("MariaDB", (10, 2)) } else { ("MySQL", (5, 7)) };
    let (major, minor) = oldest;
    match number(version) >= oldest {
        true => Ok(()),
        false => Err(EngineError::new(format!("the server is {name} {version}; {major}.{minor} or newer is needed"))),
    }
}

/// The first two numbers of a version.
fn number(version: &str) -> (u32, u32) {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::Bytes(bytes) => Some(bytes),
        _ => None,
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Session for MysqlSession {
    fn name(&self) -> &str {
        if self.mariadb { "mariadb" } else { "mysql" }
    }

    fn run(&mut self, request: Request<'_>, rows: &mut Rows) -> Result<Done, EngineError> {
        let letters = Letters::of(&request);
        let Some(connection) = &mut self.connection else { return Err(EngineError::lost("it has ended")) };
        let calls = request.sql.trim_ascii_start().get(..5).is_some_and(|word| word.eq_ignore_ascii_case(b"call "));
        let mut statements = 0;
        let mut done = Done::Changed(0);
        self.line
            .wait(async {
                let mut result = connection.query_iter(request.sql).await?;
                while let Some(columns) = result.columns() {
                    // The end of a procedure, after the rows that it returned, does not count as a statement.
                    if !(calls && statements > 0 && columns.is_empty()) {
                        statements += 1;
                        rows.clear();
                        rows.set_columns(columns.len());
                        done = match columns.is_empty() {
                            true => Done::Changed(result.affected_rows()),
                            false => Done::Rows,
                        };
                    }
                    // The last result, if it has no rows, is removed below.
                    if result.is_empty() {
                        break;
                    }
                    let is_bits: Vec<bool> =
                        columns.iter().map(|column| column.column_type() == ColumnType::MYSQL_TYPE_BIT).collect();
                    result
                        .for_each(|row| {
                            for (column, value) in row.unwrap_raw().iter().enumerate() {
                                match value.as_ref().and_then(bytes) {
                                    Some(bits) if is_bits[column] => {
                                        letters.push(column, Some(bits_as_number(bits).as_bytes()), rows);
                                    }
                                    value => letters.push(column, value, rows),
                                }
                            }
                        })
                        .await?;
                }
                // An error of any statement but the first arrives only here.
                result.drop_result().await
            })?
            .map_err(engine_error)?;
        if statements > 1 && request.letters.is_some() {
            return Err(EngineError::refused("a query is one SQL statement, and here is a second one"));
        }
        Ok(done)
    }

    fn interrupter(&self) -> Option<Interrupter> {
        let id = self.connection.as_ref()?.id();
        let opts = self.opts.clone();
        Some(self.line.interrupter(move || {
            let opts = opts.clone();
            async move {
                let mut other = Conn::new(opts).await?;
                other.query_drop(format!("KILL QUERY {id}")).await?;
                other.disconnect().await
            }
        }))
    }
}

impl Drop for MysqlSession {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            // If the server does not receive this, it notices the closed connection.
            let _ = self.line.within(GOODBYE, connection.disconnect());
        }
    }
}

/// Converts a BIT value, which servers send as bytes, to a number.
fn bits_as_number(bits: &[u8]) -> String {
    bits.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte)).to_string()
}

/// Converts an error. After an error that the server reports about a statement, the connection stays usable; all other
/// errors end it.
fn engine_error(error: mysql_async::Error) -> EngineError {
    match &error {
        mysql_async::Error::Server(answer) => {
            let error = EngineError::new(format!("ERROR {} ({}): {}", answer.code, answer.state, answer.message));
            let error = error.with_sqlstate(Some(answer.state.clone()));
            // The server is shutting down, or an administrator has killed this connection.
            let is_lost = matches!(answer.code, 1053 | 1927 | 3169);
            if is_lost { error.of_kind(ErrorKind::Lost) } else { error }
        }
        mysql_async::Error::Io(mysql_async::IoError::Io(error)) => EngineError::lost(error.to_string()),
        _ => EngineError::lost(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_too_old_is_refused() {
        for version in ["10.11.6-MariaDB-0+deb12u1", "8.0.36", "5.7.44-log"] {
            assert_eq!(check_version(version), Ok(()), "{version}");
        }
        let words = check_version("5.6.51-log").unwrap_err().message;
        assert_eq!(words, "the server is MySQL 5.6.51-log; 5.7 or newer is needed");
        let words = check_version("5.5.68-MariaDB").unwrap_err().message;
        assert_eq!(words, "the server is MariaDB 5.5.68-MariaDB; 10.2 or newer is needed");
    }

    #[test]
    fn bits_are_a_number() {
        assert_eq!((bits_as_number(&[1]), bits_as_number(&[1, 0])), ("1".to_owned(), "256".to_owned()));
    }
}
