//! Adapters: what implements `sqllogictest::DB` or `AsyncDB`, as an engine.

use std::collections::TryReserveError;
use std::error::Error;
use std::fmt::Display;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::{Duration, Instant};

use futures::task::AtomicWaker;
use sqllogictest::{AsyncDB, ColumnType, DBOutput};

use super::{Database, Done, Engine, EngineError, Interrupter, Request, Rows, Session};
use crate::script::Dialect;

/// What can be turned into an engine: an [`Engine`] in an [`Adapter`]'s clothes, or a function that connects.
pub trait IntoEngine {
    /// The engine.
    fn into_engine(self) -> Arc<dyn Engine>;
}

impl<F, D, E> IntoEngine for F
where
    F: Fn() -> Result<D, E> + Send + Sync + 'static,
    D: AsyncDB + 'static,
    E: Display + 'static,
{
    fn into_engine(self) -> Arc<dyn Engine> {
        Adapter::new(self).into_engine()
    }
}

impl IntoEngine for Arc<dyn Engine> {
    fn into_engine(self) -> Arc<dyn Engine> {
        self
    }
}

/// An adapter is a function that connects to somebody's engine, and the extras that this engine has.
///
/// ```
/// # use sqllogictest::{DB, DBOutput, DefaultColumnType};
/// # #[derive(Default)]
/// # struct MyDb { letters: String }
/// # impl MyDb { fn cancel_handle(&self) -> fn() { || () } }
/// # impl DB for MyDb {
/// #     type Error = std::io::Error;
/// #     type ColumnType = DefaultColumnType;
/// #     fn run(&mut self, _: &str) -> Result<DBOutput<DefaultColumnType>, std::io::Error> { Ok(DBOutput::StatementComplete(0)) }
/// # }
/// use slt_harness::engine::Adapter;
///
/// let engine = Adapter::new(|| Ok::<_, std::io::Error>(MyDb::default()))
///     .letters(|db, letters| db.letters = letters.to_owned()) // before each query: `IIT`
///     .interrupter(|db| db.cancel_handle());                  // called when a time limit is over
/// ```
pub struct Adapter<D> {
    connect: Connect<D>,
    letters: Option<Letters<D>>,
    interrupter: Option<MakeInterrupter<D>>,
}

type Connect<D> = Arc<dyn Fn() -> Result<D, EngineError> + Send + Sync>;
type Letters<D> = Arc<dyn Fn(&mut D, &str) + Send + Sync>;
type MakeInterrupter<D> = Arc<dyn Fn(&D) -> Interrupter + Send + Sync>;

impl<D> Clone for Adapter<D> {
    fn clone(&self) -> Self {
        Adapter { connect: self.connect.clone(), letters: self.letters.clone(), interrupter: self.interrupter.clone() }
    }
}

impl<D: AsyncDB + 'static> Adapter<D> {
    /// An adapter that connects by calling `connect`, once for each script and once more for each named connection.
    ///
    /// Scripts must not see each other's tables: either every connection is to a fresh database, or every script has
    /// names of its own.
    pub fn new<E: Display>(connect: impl Fn() -> Result<D, E> + Send + Sync + 'static) -> Self {
        let connect = move || connect().map_err(|error| EngineError::new(error.to_string()));
        Adapter { connect: Arc::new(connect), letters: None, interrupter: None }
    }

    /// An adapter that connects by waiting for a future.
    ///
    /// With the feature `tokio`, everything it does runs inside one shared tokio runtime.
    pub fn from_async<E, Fut>(connect: impl Fn() -> Fut + Send + Sync + 'static) -> Self
    where
        E: Display,
        Fut: Future<Output = Result<D, E>>,
    {
        Adapter::new(move || block_on(connect()).and_then(|db| db.map_err(|error| EngineError::new(error.to_string()))))
    }

    /// Hands the adapter the declared column letters (`IIT`) before each query.
    #[must_use]
    pub fn letters(mut self, declare: impl Fn(&mut D, &str) + Send + Sync + 'static) -> Self {
        self.letters = Some(Arc::new(declare));
        self
    }

    /// Says how a running request is stopped: `make` is called on a fresh connection, what it returns when a time limit
    /// is over, from another thread and again until the request has ended.
    #[must_use]
    pub fn interrupter<F>(mut self, make: impl Fn(&D) -> F + Send + Sync + 'static) -> Self
    where
        F: Fn() + Send + Sync + 'static,
    {
        self.interrupter = Some(Arc::new(move |db| Arc::new(make(db))));
        self
    }
}

impl<D: AsyncDB + 'static> IntoEngine for Adapter<D> {
    fn into_engine(self) -> Arc<dyn Engine> {
        Arc::new(self)
    }
}

impl<D: AsyncDB + 'static> Engine for Adapter<D> {
    fn name(&self) -> &str {
        "the engine"
    }

    fn labels(&self) -> Vec<String> {
        Vec::new()
    }

    fn database(&self, _script: &str) -> Result<Box<dyn Database>, EngineError> {
        Ok(Box::new(self.clone()))
    }
}

impl<D: AsyncDB + 'static> Database for Adapter<D> {
    fn connect(&mut self) -> Result<Box<dyn Session>, EngineError> {
        let db = enter(|| (self.connect)())??;
        Ok(Box::new(AdapterSession { db, adapter: self.clone(), cancellation: Arc::default() }))
    }
}

/// How long an engine's own interrupter may take before the request is given up.
const PATIENCE: Duration = Duration::from_millis(500);

/// A cancellation gives up a future that waits: it is dropped, whatever it was doing. A future that does not return from
/// `poll`, such as that of a `DB`, is not reached by it.
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

    /// Waits for a future; none if it was given up.
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

struct AdapterSession<D: AsyncDB + 'static> {
    db: D,
    adapter: Adapter<D>,
    cancellation: Arc<Cancellation>,
}

impl<D: AsyncDB + 'static> Session for AdapterSession<D> {
    fn name(&self) -> &str {
        self.db.engine_name()
    }

    fn run(&mut self, request: Request<'_>, rows: &mut Rows) -> Result<Done, EngineError> {
        let sql = std::str::from_utf8(request.sql)
            .map_err(|error| EngineError::refused(format!("this engine takes UTF-8 only: {error}")))?;
        if let (Some(declare), Some(letters)) = (&self.adapter.letters, request.letters) {
            declare(&mut self.db, &String::from_utf8_lossy(letters));
        }
        let result = block_on(self.cancellation.guard(self.db.run(sql)))?;
        let result = result.ok_or_else(|| EngineError::lost("the request was given up, and its connection with it"))?;
        let output = result.map_err(|error| EngineError {
            sqlstate: D::error_sql_state(&error),
            out_of_memory: is_out_of_memory(&error),
            ..EngineError::new(error.to_string())
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
        let interrupter = self.adapter.interrupter.as_ref().map(|make| make(&self.db));
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
        // Without a runtime there is nothing better than the thread's own sleep, which is what `AsyncDB` does anyway.
        let _ = block_on(D::sleep(duration));
    }
}

impl<D: AsyncDB + 'static> Drop for AdapterSession<D> {
    fn drop(&mut self) {
        if self.cancellation.is_cancelled() {
            // Nobody knows what state a connection is in whose request was given up: it is dropped as it is.
            return;
        }
        // A runtime that cannot start has been reported when the connection was made.
        let _ = block_on(self.db.shutdown());
    }
}

/// Whether an error says, by its type and not by its words, that memory could not be had; or one that it came from.
fn is_out_of_memory(error: &(dyn Error + 'static)) -> bool {
    let is_it = error.is::<TryReserveError>()
        || error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::OutOfMemory);
    is_it || error.source().is_some_and(is_out_of_memory)
}

/// Copies what an adapter returned; in the classic dialect an empty string is written `(empty)`, as no line can be.
fn collect<T: ColumnType>(types: &[T], values: &[Vec<String>], dialect: Dialect, rows: &mut Rows) {
    if !types.is_empty() {
        rows.set_columns(types.len());
    }
    for row in values {
        rows.push_row(row.iter().map(|value| match value.as_bytes() {
            b"" if dialect == Dialect::Classic => b"(empty)",
            value => value,
        }));
    }
}

#[cfg(feature = "tokio")]
use super::tokio::{block_on, enter};

#[cfg(not(feature = "tokio"))]
fn block_on<F: Future>(future: F) -> Result<F::Output, EngineError> {
    Ok(futures::executor::block_on(future))
}

#[cfg(not(feature = "tokio"))]
fn enter<T>(call: impl FnOnce() -> T) -> Result<T, EngineError> {
    Ok(call())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqllogictest::{DB, DefaultColumnType};

    /// Answers everything.
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
        assert!(error.refused && error.message.starts_with("this engine takes UTF-8 only: "), "{error}");
    }

    /// Never answers, but does not keep its thread busy either.
    struct Waits;

    type Boxed<'f, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'f>>;

    // What `async_trait` would make of it.
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
        assert!(session.run(request, &mut Rows::default()).unwrap_err().lost);
        thread.join().unwrap();
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
