//! The engine of a run, as a user names it: the closed set of engines in this library.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

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
    /// A program that speaks JSON: `external:COMMAND`.
    External(String),
}

/// Why an engine is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    /// It does not look like an engine.
    #[error("no such engine: use `sqlite`, `postgres://…`, `mysql://…` or `external:COMMAND`")]
    Unknown,
    /// The command after `external:` is missing.
    #[error("`external:` wants a command, such as `external:python3 driver.py`")]
    NoCommand,
    /// The program was built without this engine.
    #[error("this program was built without the engine `{0}`: switch on the feature `{0}` of `slt-harness`")]
    NotBuilt(&'static str),
    /// It is not a server.
    #[error("the engine `{0}` leaves no databases behind: name a server")]
    NoServer(&'static str),
    /// The URL is invalid.
    #[error("cannot use `{shown}`: {why}")]
    Url {
        /// The URL without secrets.
        shown: String,
        /// What is wrong with it.
        why: String,
    },
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
            Some(("postgres" | "postgresql", _)) => Ok(Choice::Postgres(Url(text.to_owned()))),
            Some(("mysql", _)) => Ok(Choice::Mysql(Url(text.to_owned()))),
            Some(("mariadb", rest)) => Ok(Choice::Mysql(Url(format!("mysql://{rest}")))),
            None if text == "sqlite" => Ok(Choice::Sqlite),
            _ => Err(ChoiceError::Unknown),
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
    /// The choice as typed, with its password: only for the environment of another process.
    pub fn secret(&self) -> String {
        match self {
            Choice::Sqlite => "sqlite".to_owned(),
            Choice::Postgres(url) | Choice::Mysql(url) => url.0.clone(),
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

    /// Drops the databases (and on PostgreSQL the schemas) that past runs left on the server, but not those of live
    /// runs or those that this library did not create. With `dry`, drops none and says which it would drop.
    ///
    /// # Errors
    /// The choice is not a server or is invalid; the server cannot be reached, or refuses to list its databases.
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

/// Replaces an engine that is unavailable.
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
    /// That engine has nothing to clean.
    #[error("`--engine`: {0}")]
    Choice(#[from] ChoiceError),
    /// The server cannot be asked.
    #[error("cannot clean {shown}: {error}")]
    Server {
        /// The server, without passwords.
        shown: String,
        /// The error from the server or the network.
        error: EngineError,
    },
}

/// A leftover is a database that a run created and did not drop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// Its kind and name: ``database `slt_…` ``.
    pub name: String,
    /// The result.
    pub state: LeftoverState,
}

/// What happened to a leftover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeftoverState {
    /// It was dropped; in a dry run, it would be.
    Dropped,
    /// The run that created it is alive, or somebody is connected to it.
    InUse,
    /// It could not be dropped, for this reason.
    Stays(String),
}

/// A server's URL. Its `Display` hides the password and all parameters, which may hold one.
#[derive(Clone, PartialEq, Eq)]
pub struct Url(String);

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("", &self.0));
        // A password may contain any of these characters unescaped: show too little rather than too much.
        let (user, place) = rest.rsplit_once('@').map_or((None, rest), |(user, place)| (Some(user), place));
        write!(f, "{scheme}://")?;
        if let Some(user) = user {
            write!(f, "{}@", user.split([':', '/', '?', '#']).next().unwrap_or_default())?;
            // What follows may be the end of a parameter.
            if user.contains('?') {
                return f.write_str("…");
            }
        }
        let place = place.split(['?', '#']).next().unwrap_or_default();
        let hosts = place.split('/').next().unwrap_or_default();
        let is_odd = |(host, port): &(&str, &str)| {
            let is_address = host.starts_with('[') && port.ends_with(']');
            !is_address && port.bytes().any(|byte| !byte.is_ascii_digit())
        };
        match hosts.split(',').filter_map(|host| host.rsplit_once(':')).find(is_odd) {
            // It may be a password, if the host was forgotten.
            Some((host, _)) => write!(f, "{host}:…"),
            None => f.write_str(place),
        }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

#[cfg(any(feature = "postgres", feature = "mysql"))]
impl Url {
    /// The URL without the parameter `name`, and its value.
    pub(crate) fn take(&self, name: &str) -> (String, Option<String>) {
        let Some((place, query)) = self.0.split_once('?') else { return (self.0.clone(), None) };
        let (mut rest, mut found) = (Vec::new(), None);
        for pair in query.split('&') {
            match pair.split_once('=') {
                Some((key, value)) if key == name => found = Some(value.to_owned()),
                _ => rest.push(pair),
            }
        }
        let text = if rest.is_empty() { place.to_owned() } else { format!("{place}?{}", rest.join("&")) };
        (text, found)
    }

    /// The error for this URL. `why` must contain nothing of the URL.
    pub(crate) fn complain(&self, why: impl fmt::Display) -> ChoiceError {
        ChoiceError::Url { shown: self.to_string(), why: why.to_string() }
    }
}

/// The start of a command, up to the first word that might hold a secret.
pub(super) fn shown_command(command: &str) -> String {
    let plain = |word: &&str| !word.starts_with('-') && !word.contains(['=', '@', ':', '$', '"', '\'']);
    let words: Vec<&str> = command.split_whitespace().collect();
    let shown: Vec<&str> = words.iter().copied().take_while(plain).collect();
    if shown.len() == words.len() {
        shown.join(" ")
    } else {
        format!("{} …", shown.join(" ")).trim_start().to_owned()
    }
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
            assert_eq!(text.parse::<Choice>(), Err(ChoiceError::Unknown), "{text}");
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

    #[cfg(any(feature = "postgres", feature = "mysql"))]
    #[test]
    fn our_own_parameters_are_removed() {
        let url = |text: &str| Url(text.to_owned());
        let take = |text: &str| url(text).take("ours");
        assert_eq!(take("a://b/c?ours=1"), ("a://b/c".to_owned(), Some("1".to_owned())));
        assert_eq!(take("a://b/c?x=1&ours=2&y=3"), ("a://b/c?x=1&y=3".to_owned(), Some("2".to_owned())));
        assert_eq!(take("a://b/c?x=1"), ("a://b/c?x=1".to_owned(), None));
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
