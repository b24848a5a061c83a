//! The engine of a run, as a user names it: one of the engines in this library.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

pub use super::leftover::{Leftover, LeftoverState};
use super::url::shown_command;
pub use super::url::{ChoiceError, Url};
use super::{Database, Engine, EngineError};

/// A choice names an engine. Its `Display` hides passwords.
#[derive(Clone, PartialEq, Eq)]
pub enum Choice {
    /// Embedded SQLite: `sqlite`.
    Sqlite,
    /// A PostgreSQL server: `postgres://user:password@host:port/database`.
    Postgres(Url),
    /// A MySQL or MariaDB server: `mysql://user:password@host:port/database`.
    Mysql(Url),
    /// A program that reads and writes JSON: `external:COMMAND`.
    External(String),
}

impl FromStr for Choice {
    type Err = ChoiceError;

    fn from_str(text: &str) -> Result<Self, ChoiceError> {
        if let Some(command) = text.strip_prefix("external:") {
            return match command.trim() {
                "" => Err(ChoiceError::NoCommand),
                command => Ok(Choice::External(command.to_owned())),
            };
        }
        match text.split_once("://") {
            Some(("postgres" | "postgresql", _)) => Ok(Choice::Postgres(Url::new(text))),
            Some(("mysql", _)) => Ok(Choice::Mysql(Url::new(text))),
            Some(("mariadb", rest)) => Ok(Choice::Mysql(Url::new(format!("mysql://{rest}")))),
            None if text == "sqlite" => Ok(Choice::Sqlite),
            _ => Err(ChoiceError::unknown(text)),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Choice::Sqlite => f.write_str("sqlite"),
            Choice::Postgres(url) | Choice::Mysql(url) => url.fmt(f),
            Choice::External(command) => write!(f, "external:{}", shown_command(command)),
        }
    }
}

impl fmt::Debug for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

impl Choice {
    /// The choice as typed, including its password. Use it only for the environment of another process.
    pub fn secret(&self) -> String {
        match self {
            Choice::Sqlite => "sqlite".to_owned(),
            Choice::Postgres(url) | Choice::Mysql(url) => url.secret().to_owned(),
            Choice::External(command) => format!("external:{command}"),
        }
    }

    /// The kind of engine, which is also the name of its cargo feature.
    pub fn kind(&self) -> &'static str {
        match self {
            Choice::Sqlite => "sqlite",
            Choice::Postgres(_) => "postgres",
            Choice::Mysql(_) => "mysql",
            Choice::External(_) => "external",
        }
    }

    /// The engine; does not connect yet.
    ///
    /// # Errors
    /// The URL is invalid, or the program was built without this engine.
    pub fn engine(&self) -> Result<Arc<dyn Engine>, ChoiceError> {
        match self {
            #[cfg(feature = "sqlite")]
            Choice::Sqlite => Ok(super::IntoEngine::into_engine(super::sqlite::Sqlite)),
            #[cfg(feature = "postgres")]
            Choice::Postgres(url) => Ok(Arc::new(super::postgres::Postgres::new(url)?)),
            #[cfg(feature = "mysql")]
            Choice::Mysql(url) => Ok(Arc::new(super::mysql::Mysql::new(url)?)),
            #[cfg(feature = "external")]
            Choice::External(command) => Ok(Arc::new(super::external::External::new(command))),
            #[allow(unreachable_patterns)] // With all features on, there is an arm for each.
            choice => Err(ChoiceError::NotBuilt(choice.kind())),
        }
    }

    /// The engine; if it is unavailable, one whose connections all fail with the reason.
    pub fn engine_or_refusal(&self) -> Arc<dyn Engine> {
        self.engine().unwrap_or_else(|error| Arc::new(Refusal { name: self.to_string(), error }))
    }

    /// Drops the databases (and on PostgreSQL the schemas) that past runs left on the server. Does not drop those of active
    /// runs, and those that this library did not create. With `dry`, it drops none and returns those that it would drop.
    ///
    /// # Errors
    /// The choice is not a server or is invalid, or the server cannot be reached or refuses to list its databases.
    pub fn clean(&self, dry: bool) -> Result<Vec<Leftover>, CleanError> {
        #[cfg(any(feature = "postgres", feature = "mysql"))]
        let failed = |error| CleanError::Server { shown: self.to_string(), error };
        #[cfg(not(any(feature = "postgres", feature = "mysql")))]
        let _ = dry;
        match self {
            #[cfg(feature = "postgres")]
            Choice::Postgres(url) => super::postgres::Postgres::new(url)?.clean(dry).map_err(failed),
            #[cfg(feature = "mysql")]
            Choice::Mysql(url) => super::mysql::Mysql::new(url)?.clean(dry).map_err(failed),
            Choice::Sqlite | Choice::External(_) => Err(ChoiceError::NoServer(self.kind()).into()),
            #[allow(unreachable_patterns)] // As in `engine`.
            choice => Err(ChoiceError::NotBuilt(choice.kind()).into()),
        }
    }
}

/// Stands in for an engine that is unavailable.
struct Refusal {
    name: String,
    error: ChoiceError,
}

impl Engine for Refusal {
    fn name(&self) -> &str {
        &self.name
    }

    fn database(&self, _script: &str) -> Result<Box<dyn Database>, EngineError> {
        Err(EngineError::new(self.error.to_string()))
    }
}

/// Why a server could not be cleaned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CleanError {
    /// This engine cannot be cleaned.
    #[error("`--engine`: {0}")]
    Choice(#[from] ChoiceError),
    /// The request to the server failed.
    #[error("cannot clean {shown}: {error}")]
    Server {
        /// The server, without passwords.
        shown: String,
        /// The error from the server or the network.
        error: EngineError,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_are_parsed() {
        for (text, kind) in [
            ("sqlite", "sqlite"),
            ("postgres://h/db", "postgres"),
            ("postgresql://h/db", "postgres"),
            ("mysql://h", "mysql"),
            ("mariadb://h", "mysql"),
            ("external:cat", "external"),
        ] {
            assert_eq!(text.parse::<Choice>().unwrap().kind(), kind);
        }
        for text in ["", "oracle", "oracle://u:pw@h", "SQLite", "postgres:/h", "postgres"] {
            assert!(matches!(text.parse::<Choice>(), Err(ChoiceError::Unknown { .. })), "{text}");
        }
        assert_eq!("external: ".parse::<Choice>(), Err(ChoiceError::NoCommand));
    }

    #[test]
    fn no_secret_is_shown() {
        for (text, shown) in [
            ("postgres://me:hunter2@h:1/db", "postgres://me@h:1/db"),
            ("postgres://me:hunter2@h/db?password=hunter2&a=b", "postgres://me@h/db"),
            ("postgres://me:p@hunter2/x@h/db", "postgres://me@h/db"),
            ("postgres://me:p@hunter2/x?y@h/db", "postgres://me@…"),
            ("postgres://h/db?password=x@hunter2", "postgres://h@…"),
            ("postgres://me:hunter2", "postgres://me:…"),
            ("postgres://me:x/hunter2", "postgres://me:…"),
            ("mysql://h:3306,g:3307/db", "mysql://h:3306,g:3307/db"),
            ("postgres://me@[::1]/db", "postgres://me@[::1]/db"),
            ("postgres://[::1]:5432/db", "postgres://[::1]:5432/db"),
            ("postgres:///db?host=/run&user=me&password=hunter2", "postgres:///db"),
            ("mysql://h", "mysql://h"),
            ("mariadb://me:hunter2@h", "mysql://me@h"),
            ("external:python3 driver.py --password hunter2", "external:python3 driver.py …"),
            ("external:PW=hunter2 driver", "external:…"),
            ("external:driver a b", "external:driver a b"),
        ] {
            let choice: Choice = text.parse().unwrap();
            assert_eq!(choice.to_string(), shown);
            assert!(!format!("{choice:?}").contains("hunter2"));
            assert_eq!(choice.secret().contains("hunter2"), text.contains("hunter2"));
        }
    }

    #[test]
    fn an_engine_that_was_not_built_is_named() {
        let built = cfg!(feature = "mysql");
        let choice: Choice = "mysql://127.0.0.1".parse().unwrap();
        let refused = choice.engine_or_refusal();
        assert_eq!((refused.name(), built || refused.database("a.test").is_err()), ("mysql://127.0.0.1", true));
        match choice.engine() {
            Ok(_) => assert!(built),
            Err(error) => assert!(!built && error.to_string().contains("feature `mysql`"), "{error}"),
        }
    }
}
