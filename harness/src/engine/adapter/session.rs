//! A connection of an adapter: runs its requests, and cancels them when a time limit is over.

use std::collections::TryReserveError;
use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::{Duration, Instant};

use futures::task::AtomicWaker;
use sqllogictest::{AsyncDB, ColumnType, DBOutput};

use super::super::{Done, EngineError, ErrorKind, Interrupter, Request, Rows, Session};
use super::{Hooks, letters};
use crate::dialect::Dialect;

/// How long an engine's own interrupter may take before the request is cancelled.
const PATIENCE: Duration = Duration::from_millis(500);

/// A cancellation drops a waiting future, whatever it was doing. It has no effect on a future that does not return from
/// `poll`, such as that of a `DB`.
#[derive(Default)]
struct Cancellation {
    cancelled: AtomicBool,
    waker: AtomicWaker,
}

impl Cancellation {
    fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        self.waker.wake();
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Waits for a future; returns `None` if it was cancelled.
    async fn guard<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Some(output));
            }
            self.waker.register(context.waker());
            if self.is_cancelled() { Poll::Ready(None) } else { Poll::Pending }
        })
        .await
    }
}

/// A session on an adapter's connection.
pub(super) struct AdapterSession<D: AsyncDB + 'static> {
    /// `None` only while the session is being dropped.
    db: Option<D>,
    hooks: Hooks<D>,
    cancellation: Arc<Cancellation>,
}

impl<D: AsyncDB + 'static> AdapterSession<D> {
    pub(super) fn new(db: D, hooks: Hooks<D>) -> Self {
        AdapterSession { db: Some(db), hooks, cancellation: Arc::default() }
    }
}

impl<D: AsyncDB + 'static> Session for AdapterSession<D> {
    fn name(&self) -> &str {
        self.db.as_ref().map_or("", AsyncDB::engine_name)
    }

    fn run(&mut self, request: Request<'_>, rows: &mut Rows) -> Result<Done, EngineError> {
        let sql = std::str::from_utf8(request.sql)
            .map_err(|error| EngineError::refused(format!("this engine takes UTF-8 only: {error}")))?;
        let AdapterSession { db, hooks, cancellation } = self;
        let db = db.as_mut().ok_or_else(|| EngineError::lost(CLOSED))?;
        if let (Some(declare), Some(letters)) = (&hooks.letters, request.letters) {
            hooks.runtime.enter(|| declare(db, &String::from_utf8_lossy(letters)))?;
        }
        let result = hooks.runtime.block_on(cancellation.guard(db.run(sql)))?;
        let result = result.ok_or_else(|| EngineError::lost("the request was given up, and its connection with it"))?;
        let output = result.map_err(|error| {
            let kind = if is_out_of_memory(&error) { ErrorKind::OutOfMemory } else { ErrorKind::Sql };
            EngineError::new(error.to_string()).with_sqlstate(D::error_sql_state(&error)).of_kind(kind)
        })?;
        match output {
            DBOutput::Rows { types, rows: values } => {
                collect(&types, &values, request.dialect, rows);
                Ok(Done::Rows)
            }
            DBOutput::StatementComplete(count) => Ok(Done::Changed(count)),
            _ => Err(EngineError::refused("the adapter returned an output of an unknown kind")),
        }
    }

    fn interrupter(&self) -> Option<Interrupter> {
        let make = self.hooks.interrupter.as_ref();
        let interrupter = make.and_then(|make| Some(make(self.db.as_ref()?)));
        let cancellation = Arc::clone(&self.cancellation);
        let asked = OnceLock::new();
        Some(Arc::new(move || {
            let since = asked.get_or_init(Instant::now);
            if let Some(interrupt) = &interrupter {
                interrupt();
            }
            // An engine that stops by itself keeps its connection.
            if interrupter.is_none() || since.elapsed() > PATIENCE {
                cancellation.cancel();
            }
        }))
    }

    fn sleep(&mut self, duration: Duration) {
        // Without a tokio runtime, the default `AsyncDB::sleep` blocks the thread: there is no better way. A runtime that
        // cannot start has been reported when the connection was made.
        let _ = self.hooks.runtime.block_on(D::sleep(duration));
    }

    fn after_script(&mut self) -> Result<(), EngineError> {
        match (&self.hooks.after_script, &mut self.db) {
            (Some(check), Some(db)) => check(&self.hooks.runtime, db),
            _ => Ok(()),
        }
    }
}

const CLOSED: &str = "the connection was closed";

impl<D: AsyncDB + 'static> Drop for AdapterSession<D> {
    fn drop(&mut self) {
        let Some(mut db) = self.db.take() else { return };
        // The state of a connection whose request was cancelled is unknown, so it is dropped without a shutdown. If a
        // runtime cannot start, that was reported when the connection was made.
        if !self.cancellation.is_cancelled() {
            let _ = self.hooks.runtime.block_on(db.shutdown());
        }
        let _ = self.hooks.runtime.enter(|| drop(db));
    }
}

/// Whether an error, or an error that caused it, says by its type, not by its text, that memory was exhausted.
fn is_out_of_memory(error: &(dyn Error + 'static)) -> bool {
    let is_it = error.is::<TryReserveError>()
        || error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::OutOfMemory);
    is_it || error.source().is_some_and(is_out_of_memory)
}

/// Copies the values that an adapter returned, as the dialect writes them.
fn collect<T: ColumnType>(types: &[T], values: &[Vec<String>], dialect: Dialect, rows: &mut Rows) {
    if !types.is_empty() {
        rows.set_columns(types.len());
        rows.set_letters(letters(types));
    }
    let adopt = dialect.definition().form().adopt;
    for row in values {
        rows.push_row_of(row.iter().map(|value| adopt(value.as_bytes())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Adapter, Engine, IntoEngine, Script, Skip};
    use sqllogictest::{DB, DefaultColumnType};

    /// Answers every request.
    struct Yes;

    impl DB for Yes {
        type Error = std::io::Error;
        type ColumnType = DefaultColumnType;

        fn run(&mut self, _: &str) -> Result<DBOutput<DefaultColumnType>, std::io::Error> {
            Ok(DBOutput::StatementComplete(0))
        }
    }

    #[test]
    fn bytes_that_no_adapter_can_be_handed_are_refused_and_not_the_engines_error() {
        let engine = (|| Ok::<_, std::io::Error>(Yes)).into_engine();
        let mut session = engine.database("a.test").unwrap().connect().unwrap();
        let mut run = |sql: &[u8]| {
            let request = Request { sql, letters: None, dialect: Dialect::Classic };
            session.run(request, &mut Rows::default())
        };
        assert_eq!(run("SELECT 'é'".as_bytes()), Ok(Done::Changed(0)));
        let error = run(b"SELECT '\xE9'").unwrap_err();
        assert!(
            error.kind == ErrorKind::Refused && error.message.starts_with("this engine takes UTF-8 only: "),
            "{error}"
        );
    }

    /// Never answers, but does not block its thread.
    struct Waits;

    type Boxed<'f, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'f>>;

    // The code that `async_trait` would generate.
    impl AsyncDB for Waits {
        type Error = std::io::Error;
        type ColumnType = DefaultColumnType;

        fn run<'s, 'q, 'f>(&'s mut self, _: &'q str) -> Boxed<'f, Result<DBOutput<DefaultColumnType>, std::io::Error>>
        where
            's: 'f,
            'q: 'f,
        {
            Box::pin(std::future::pending())
        }

        fn shutdown<'s, 'f>(&'s mut self) -> Boxed<'f, ()>
        where
            's: 'f,
        {
            panic!("a connection in an unknown state is not closed in an orderly way");
        }
    }

    #[test]
    fn a_future_that_waits_is_dropped_when_it_is_interrupted_and_its_connection_is_lost() {
        let engine = (|| Ok::<_, std::io::Error>(Waits)).into_engine();
        let mut session = engine.database("a.test").unwrap().connect().unwrap();
        let interrupt = session.interrupter().unwrap();
        let thread = std::thread::spawn(move || interrupt());
        let request = Request { sql: b"SELECT 1", letters: None, dialect: Dialect::Classic };
        assert!(session.run(request, &mut Rows::default()).unwrap_err().is_lost());
        thread.join().unwrap();
    }

    #[test]
    fn a_function_that_connects_learns_the_script_and_may_leave_it_out() {
        let engine = Adapter::with_context(
            async |script| match script.name.as_str() {
                "gis.slt" => Err(io::Error::other(Skip::new("no spatial types"))),
                "bad.slt" => Err(io::Error::other("no server")),
                name => Ok(name.to_owned()),
            },
            async |context, script| {
                let connection = script.connection.as_deref().unwrap_or("(default)");
                let folder = script.scratch()?.display();
                Ok::<_, io::Error>(Knows(vec![context.clone(), connection.to_owned(), folder.to_string()]))
            },
        );
        assert_eq!(engine.name(), "the engine");
        let identity = engine.identity();
        let open = |name: &str| engine.open(&Script::named(name)).map(drop).unwrap_err();
        assert_eq!(open("gis.slt"), EngineError::skip("no spatial types"));
        assert_eq!(open("bad.slt"), EngineError::new("no server"));
        let script = Script::named("a.slt");
        let mut database = engine.open(&script).unwrap();
        for name in [None, Some("b")] {
            let session = match name {
                Some(name) => database.connect_as(name),
                None => database.connect(),
            };
            let mut rows = Rows::default();
            let request = Request { sql: b"SELECT 1", letters: Some(b"T"), dialect: Dialect::Slt };
            assert_eq!(session.unwrap().run(request, &mut rows), Ok(Done::Rows));
            let folder = script.scratch().unwrap().display().to_string();
            let expected = ["a.slt", name.unwrap_or("(default)"), &folder];
            assert!(rows.values().eq(expected.map(str::as_bytes)) && rows.letters() == "T??", "{rows:?}");
        }
        assert_eq!((engine.name(), engine.identity()), ("knower", identity), "the name is learned, the identity stays");
        let folder = script.scratch().unwrap().to_path_buf();
        drop((script, database));
        assert!(!folder.exists());
    }

    /// Returns the values that it contains.
    struct Knows(Vec<String>);

    impl DB for Knows {
        type Error = io::Error;
        type ColumnType = DefaultColumnType;

        fn run(&mut self, _: &str) -> Result<DBOutput<DefaultColumnType>, io::Error> {
            let types = vec![DefaultColumnType::Text, DefaultColumnType::Any, DefaultColumnType::Any];
            Ok(DBOutput::Rows { types, rows: vec![self.0.clone()] })
        }

        fn engine_name(&self) -> &str {
            "knower"
        }
    }

    #[derive(Debug, thiserror::Error)]
    #[error("the engine gave up")]
    struct GaveUp(#[source] io::Error);

    #[test]
    fn want_of_memory_is_known_by_an_errors_type() {
        let too_much = Vec::<u8>::new().try_reserve(usize::MAX).unwrap_err();
        assert!(is_out_of_memory(&too_much));
        assert!(is_out_of_memory(&GaveUp(io::ErrorKind::OutOfMemory.into())));
        assert!(is_out_of_memory(&GaveUp(io::Error::from_raw_os_error(libc::ENOMEM))));
        assert!(!is_out_of_memory(&GaveUp(io::Error::other("out of memory"))));
    }
}
