//! PostgreSQL servers, used through the simple query protocol: the server parses exactly the text of the script.
//!
//! Each script has its own database or, with `?slt_isolation=schema`, its own schema in the database of the URL.

use std::sync::{Arc, Mutex, PoisonError};

use futures::TryStreamExt;
use tokio_postgres::error::Severity;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use self::address::{check_version, with_cause};
use super::leftover::{Leftover, LeftoverState};
use super::line::{CONNECT, Line, Trust};
use super::names::{Maker, token_of};
use super::text::Letters;
use super::url::{ChoiceError, Url};
use super::{Database, Done, Engine, EngineError, ErrorKind, Interrupter, Request, Rows, Session};

pub(crate) mod address;

/// What each script has to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Isolation {
    Database,
    Schema,
}

impl Isolation {
    fn word(self) -> &'static str {
        match self {
            Isolation::Database => "database",
            Isolation::Schema => "schema",
        }
    }
}

/// A PostgreSQL server as an engine.
pub struct Postgres {
    server: Arc<Server>,
}

struct Server {
    shown: String,
    config: Config,
    isolation: Isolation,
    trust: Arc<Trust>,
    keeper: Mutex<Option<Keeper>>,
}

/// The connection that creates and drops databases. It holds the lock that shows that their creator still runs.
struct Keeper {
    session: PostgresSession,
    maker: Maker,
}

impl Postgres {
    /// The server at `url`; does not connect yet. Without a password in the URL, `PGPASSWORD` is used.
    ///
    /// # Errors
    /// The URL is invalid.
    pub fn new(url: &Url) -> Result<Self, ChoiceError> {
        let (text, isolation) = url.take("slt_isolation");
        let isolation = match isolation.as_deref() {
            None | Some("database") => Isolation::Database,
            Some("schema") => Isolation::Schema,
            Some(_) => return Err(url.complain("`slt_isolation` is `database` or `schema`")),
        };
        let config = address::config(url, &text)?;
        let (trust, keeper) = (Arc::default(), Mutex::default());
        let server = Server { shown: url.to_string(), config, isolation, trust, keeper };
        Ok(Postgres { server: Arc::new(server) })
    }

    /// Drops databases that ended runs left on the server and, in the URL's database, schemas.
    pub(super) fn clean(&self, dry: bool) -> Result<Vec<Leftover>, EngineError> {
        let mut keeper = self.server.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        let session = &self.server.keeper(&mut keeper)?.session;
        let mut leftovers = Vec::new();
        for (isolation, query) in [
            (Isolation::Database, "SELECT datname FROM pg_database ORDER BY 1"),
            (Isolation::Schema, "SELECT nspname FROM pg_namespace ORDER BY 1"),
        ] {
            for name in session.column(query)? {
                let Some(token) = token_of(&name) else { continue };
                let state = self.server.drop_leftover(session, isolation, &name, token, dry)?;
                leftovers.push(Leftover { name: format!("{} `{name}`", isolation.word()), state });
            }
        }
        Ok(leftovers)
    }
}

impl Server {
    /// The keeper; replaced if its connection was lost. The new keeper uses new names, because the lock of the old one may
    /// remain until the server notices that the connection is gone.
    fn keeper<'k>(&self, keeper: &'k mut Option<Keeper>) -> Result<&'k Keeper, EngineError> {
        if keeper.as_ref().is_some_and(|keeper| keeper.session.client.is_closed()) {
            *keeper = None;
        }
        match keeper {
            Some(keeper) => Ok(keeper),
            None => Ok(keeper.insert(Keeper::new(&self.config, &self.trust)?)),
        }
    }

    /// The server's name and version, through a separate connection: this needs no keeper.
    fn version(&self) -> Result<String, EngineError> {
        let keeper = Keeper::new(&self.config, &self.trust)?;
        let version = keeper.session.column("SELECT version()")?;
        Ok(version.into_iter().next().unwrap_or_default())
    }

    /// Creates a script's database or schema and returns its name.
    fn make(&self) -> Result<String, EngineError> {
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        let Keeper { session, maker } = self.keeper(&mut keeper)?;
        let name = maker.name();
        let sql = match self.isolation {
            // `template0` does not accept connections, so it can always be copied. The locale C sorts the same on all
            // machines.
            Isolation::Database => {
                format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'")
            }
            Isolation::Schema => format!("CREATE SCHEMA {name}"),
        };
        session.manage(&sql).map_err(|error| {
            let hint = match (self.isolation, error.sqlstate.as_deref()) {
                (Isolation::Database, Some("42501")) => {
                    "; the user needs the right CREATEDB, or `?slt_isolation=schema` in the URL"
                }
                _ => "",
            };
            EngineError { message: format!("cannot make a {}: {error}{hint}", self.isolation.word()), ..error }
        })?;
        Ok(name)
    }

    fn remove(&self, name: &str) -> Result<(), EngineError> {
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        self.keeper(&mut keeper)?.session.manage(&match self.isolation {
            Isolation::Database => format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
            Isolation::Schema => format!("DROP SCHEMA IF EXISTS {name} CASCADE"),
        })
    }

    fn drop_leftover(
        &self,
        session: &PostgresSession,
        isolation: Isolation,
        name: &str,
        token: u64,
        dry: bool,
    ) -> Result<LeftoverState, EngineError> {
        // Locks are visible from every database of the server. A 64-bit key is stored in two columns.
        let (high, low) = (token >> 32, token & u64::from(u32::MAX));
        let held = format!(
            "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND classid = {high} AND objid = {low} AND objsubid = 1 \
             UNION ALL SELECT 1 FROM pg_stat_activity WHERE datname = '{name}'"
        );
        if !session.column(&held)?.is_empty() {
            return Ok(LeftoverState::InUse);
        }
        if dry {
            return Ok(LeftoverState::Dropped);
        }
        // Without FORCE: the server refuses while others are connected.
        let dropped = session.manage(&match isolation {
            Isolation::Database => format!("DROP DATABASE IF EXISTS {name}"),
            Isolation::Schema => format!("DROP SCHEMA IF EXISTS {name} CASCADE"),
        });
        Ok(match dropped {
            Ok(()) => LeftoverState::Dropped,
            Err(error) if error.is_lost() => return Err(error),
            Err(error) if error.sqlstate.as_deref() == Some("55006") => LeftoverState::InUse,
            Err(error) => LeftoverState::Stays(error.message),
        })
    }
}

impl Keeper {
    fn new(config: &Config, trust: &Arc<Trust>) -> Result<Keeper, EngineError> {
        let session = PostgresSession::connect(config, trust)?;
        let maker = Maker::new()?;
        let version = session.column("SHOW server_version_num")?.pop().and_then(|version| version.parse::<u32>().ok());
        let version = version.ok_or_else(|| EngineError::new("the server does not report its version"))?;
        check_version(version).map_err(EngineError::new)?;
        // The lock is held until this connection ends. The number is unique, so no other connection holds the lock.
        session.manage(&format!("SELECT pg_advisory_lock({})", maker.token().cast_signed()))?;
        if version >= 140_000 {
            session.manage("SET idle_session_timeout = 0")?;
        }
        Ok(Keeper { session, maker })
    }
}

impl Engine for Postgres {
    fn name(&self) -> &str {
        &self.server.shown
    }

    fn labels(&self) -> Vec<String> {
        vec!["postgresql".to_owned(), "postgres".to_owned()]
    }

    fn identity(&self) -> String {
        self.server.version().unwrap_or_else(|_| format!("{} of an unknown version", self.server.shown))
    }

    fn database(&self, _script: &str) -> Result<Box<dyn Database>, EngineError> {
        let name = self.server.make()?;
        Ok(Box::new(Own { server: Arc::clone(&self.server), name, kept: false }))
    }
}

/// A script's own database or schema. Dropping this value drops it.
struct Own {
    server: Arc<Server>,
    name: String,
    kept: bool,
}

impl Database for Own {
    fn name(&self) -> Option<String> {
        match self.server.isolation {
            Isolation::Database => Some(self.name.clone()),
            // The database is that of the URL; the script has a schema in it.
            Isolation::Schema => self.server.config.get_dbname().map(str::to_owned),
        }
    }

    fn connect(&mut self) -> Result<Box<dyn Session>, EngineError> {
        let mut config = self.server.config.clone();
        // A script's data may be lost in a server crash. The settings of the URL come later, so they take precedence.
        let mut options = "-c synchronous_commit=off".to_owned();
        match self.server.isolation {
            Isolation::Database => drop(config.dbname(&self.name)),
            Isolation::Schema => options.push_str(&format!(" -c search_path={}", self.name)),
        }
        if let Some(typed) = config.get_options() {
            options.push_str(&format!(" {typed}"));
        }
        config.options(options);
        Ok(Box::new(PostgresSession::connect(&config, &self.server.trust)?))
    }

    fn keep(&mut self) -> Option<String> {
        self.kept = true;
        Some(format!("{} `{}`", self.server.isolation.word(), self.name))
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        if let Err(error) = self.server.remove(&self.name) {
            let (word, name, server) = (self.server.isolation.word(), &self.name, &self.server.shown);
            note!("warning: {server}: cannot drop the {word} `{name}`, which `slt clean` will do: {error}");
        }
    }
}

/// One connection.
struct PostgresSession {
    /// Dropped first; then the connection closes cleanly and the line ends.
    client: Client,
    line: Line,
}

impl PostgresSession {
    fn connect(config: &Config, trust: &Arc<Trust>) -> Result<PostgresSession, EngineError> {
        let mut line = Line::new(trust)?;
        let (client, connection) =
            line.within(CONNECT * 2, config.connect(NoTls))?.map_err(|error| engine_error(&error))?;
        // Requests notice when the connection ends; the server has already reported the reason.
        line.spawn(async move { drop(connection.await) });
        Ok(PostgresSession { client, line })
    }

    /// Runs a statement of this program (not of a script).
    fn manage(&self, sql: &str) -> Result<(), EngineError> {
        self.line.manage(self.client.batch_execute(sql))?.map_err(|error| engine_error(&error))
    }

    /// The first column of the result of a query of this program.
    fn column(&self, sql: &str) -> Result<Vec<String>, EngineError> {
        let messages = self.line.manage(self.client.simple_query(sql))?.map_err(|error| engine_error(&error))?;
        let value = |message: &SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        };
        Ok(messages.iter().filter_map(value).collect())
    }
}

impl Session for PostgresSession {
    fn name(&self) -> &str {
        "postgresql"
    }

    fn run(&mut self, request: Request<'_>, rows: &mut Rows) -> Result<Done, EngineError> {
        let sql = std::str::from_utf8(request.sql)
            .map_err(|error| EngineError::refused(format!("PostgreSQL takes UTF-8 only: {error}")))?;
        if sql.contains('\0') {
            return Err(EngineError::refused("the SQL holds a NUL byte"));
        }
        let letters = Letters::of(&request);
        let mut statements = 0;
        let mut done = Done::Changed(0);
        let answer = self.line.wait(async {
            let mut messages = std::pin::pin!(self.client.simple_query_raw(sql).await?);
            let mut described = false;
            while let Some(message) = messages.try_next().await? {
                match message {
                    SimpleQueryMessage::RowDescription(columns) => {
                        rows.clear();
                        rows.set_columns(columns.len());
                        described = true;
                    }
                    SimpleQueryMessage::Row(row) => {
                        for column in 0..row.len() {
                            letters.push(column, row.try_get(column)?.map(str::as_bytes), rows);
                        }
                    }
                    SimpleQueryMessage::CommandComplete(count) => {
                        statements += 1;
                        done = if described { Done::Rows } else { Done::Changed(count) };
                        if !described {
                            rows.clear();
                            // A statement that is not a query has no columns, unlike a query without rows.
                            rows.set_columns(0);
                        }
                        described = false;
                    }
                    _ => {}
                }
            }
            Ok::<(), tokio_postgres::Error>(())
        })?;
        answer.map_err(|error| engine_error(&error))?;
        if statements > 1 && request.letters.is_some() {
            return Err(EngineError::refused("a query is one SQL statement, and here is a second one"));
        }
        Ok(done)
    }

    fn interrupter(&self) -> Option<Interrupter> {
        let token = self.client.cancel_token();
        Some(self.line.interrupter(move || {
            let token = token.clone();
            async move { token.cancel_query(NoTls).await }
        }))
    }
}

/// Converts an error. After an error that the server reports about a statement, the connection stays usable; all other
/// errors end it.
fn engine_error(error: &tokio_postgres::Error) -> EngineError {
    match error.as_db_error() {
        Some(answer) => {
            let error = EngineError::new(answer.to_string()).with_sqlstate(Some(answer.code().code().to_owned()));
            let is_lost = matches!(answer.parsed_severity(), Some(Severity::Fatal | Severity::Panic));
            if is_lost { error.of_kind(ErrorKind::Lost) } else { error }
        }
        None => EngineError::lost(with_cause(error)),
    }
}
