//! Where a queue is kept, as a user specifies it.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use super::file::FileQueue;
#[cfg(feature = "postgres-queue")]
use super::postgres::PostgresQueue;
use super::{OpenOptions, Opened, Plan, Queue, QueueError};
use crate::engine::{Choice, ChoiceError, Url};

/// The place where a queue is kept. Its `Display` hides passwords.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file: any path.
    File(PathBuf),
    /// A database on a PostgreSQL server: `postgres://user:password@host:port/database`.
    Server(Url),
}

/// Why a place is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// It is empty, or looks like a URL, but not like a supported one.
    #[error("no such queue: use the path of a file, or `postgres://…`")]
    Unknown,
    /// The program was built without this feature.
    #[error(
        "this program was built without queues on servers: switch on the feature `postgres-queue` of `slt-harness`"
    )]
    NotBuilt,
    /// It is a folder.
    #[error("`{}` is a folder: name a file in it", .0.display())]
    Folder(PathBuf),
    /// It is a URL that cannot be used.
    #[error(transparent)]
    Url(#[from] ChoiceError),
}

impl Place {
    /// Parses the user's text.
    ///
    /// # Errors
    /// It is empty, or a URL, but not PostgreSQL's; or the program was built without PostgreSQL.
    pub fn parse(text: OsString) -> Result<Place, PlaceError> {
        match text.to_str().filter(|text| text.contains("://")) {
            None if text.is_empty() => Err(PlaceError::Unknown),
            None => Ok(Place::File(text.into())),
            Some(url) => match url.parse() {
                Ok(Choice::Postgres(_)) if !cfg!(feature = "postgres-queue") => Err(PlaceError::NotBuilt),
                Ok(Choice::Postgres(url)) => Ok(Place::Server(url)),
                _ => Err(PlaceError::Unknown),
            },
        }
    }

    /// Checks what is known of the place before it is opened.
    ///
    /// # Errors
    /// It is a folder, or its URL is invalid.
    pub fn check(self) -> Result<Place, PlaceError> {
        match &self {
            Place::File(path) if path.is_dir() => return Err(PlaceError::Folder(path.clone())),
            Place::File(_) => {}
            #[cfg(feature = "postgres-queue")]
            Place::Server(url) => PostgresQueue::check(url)?,
            #[cfg(not(feature = "postgres-queue"))]
            Place::Server(_) => return Err(PlaceError::NotBuilt),
        }
        Ok(self)
    }

    /// The place as typed, with its password: only for the environment of another process.
    pub fn secret(&self) -> OsString {
        match self {
            Place::File(path) => path.clone().into(),
            Place::Server(url) => Choice::Postgres(url.clone()).secret().into(),
        }
    }

    /// Whether participants on several machines can use it.
    pub fn spans_machines(&self) -> bool {
        matches!(self, Place::Server(_))
    }

    /// Joins the run that `options` specify, or starts it with `plan`.
    ///
    /// # Errors
    /// See each kind of queue.
    pub fn open(&self, plan: Plan, options: &OpenOptions) -> Result<(Box<dyn Queue>, Opened), QueueError> {
        match self {
            Place::File(path) => {
                let (queue, opened) = FileQueue::open(path, plan, options)?;
                Ok((Box::new(queue), opened))
            }
            #[cfg(feature = "postgres-queue")]
            Place::Server(url) => {
                let (queue, opened) = PostgresQueue::open(url, plan, options)?;
                Ok((Box::new(queue), opened))
            }
            #[cfg(not(feature = "postgres-queue"))]
            Place::Server(_) => Err(QueueError::Storage(Box::new(PlaceError::NotBuilt))),
        }
    }

    /// Joins run `run_id`, which another process has started, whatever its plan.
    ///
    /// # Errors
    /// See each kind of queue.
    pub fn join(&self, run_id: &str, options: &OpenOptions) -> Result<Box<dyn Queue>, QueueError> {
        match self {
            Place::File(path) => Ok(Box::new(FileQueue::join(path, run_id, options)?)),
            #[cfg(feature = "postgres-queue")]
            Place::Server(url) => Ok(Box::new(PostgresQueue::join(url, run_id, options)?)),
            #[cfg(not(feature = "postgres-queue"))]
            Place::Server(_) => Err(QueueError::Storage(Box::new(PlaceError::NotBuilt))),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File(path) => path.display().fmt(f),
            Place::Server(url) => url.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_urls_are_distinguished_and_passwords_hidden() {
        let parse = |text: &str| Place::parse(text.into());
        for path in ["queue", "a/b:c", "/tmp/queue", "postgres"] {
            assert_eq!(parse(path), Ok(Place::File(path.into())));
            assert!(!parse(path).unwrap().spans_machines());
        }
        for text in ["", "mysql://me:hunter2@h/db", "http://x", "postgresq://me:hunter2@h"] {
            let error = parse(text).unwrap_err();
            assert_eq!(error, PlaceError::Unknown);
            assert!(!error.to_string().contains("hunter2"));
        }
        match parse("postgres://me:hunter2@h/db?slt_lease=5") {
            Ok(place) => {
                assert!(cfg!(feature = "postgres-queue") && place.spans_machines());
                assert_eq!(place.to_string(), "postgres://me@h/db");
                assert!(!format!("{place:?}").contains("hunter2"));
                assert_eq!(place.secret(), "postgres://me:hunter2@h/db?slt_lease=5");
            }
            Err(error) => assert!(!cfg!(feature = "postgres-queue") && error == PlaceError::NotBuilt),
        }
    }

    #[test]
    fn a_folder_and_a_url_that_cannot_be_used_are_refused_before_they_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let check = |text: &str| Place::parse(text.into()).and_then(Place::check);
        let path = folder.path().to_str().unwrap();
        assert_eq!(check(path), Err(PlaceError::Folder(path.into())));
        assert!(check(&format!("{path}/queue")).is_ok());
        for text in ["postgres://me:hunter2@h/db?slt_lease=never", "postgres://me:hunter2@h:port/db"] {
            let error = check(text).unwrap_err();
            assert!(matches!(error, PlaceError::Url(_)) == cfg!(feature = "postgres-queue"), "{error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
