//! Adapters: types that implement `sqllogictest::DB` or `AsyncDB`, used as engines.

use std::error::Error;
use std::fmt::Display;
use std::sync::{Arc, OnceLock};

use sqllogictest::{AsyncDB, ColumnType, Normalizer};

use super::{Database, Engine, EngineError, Interrupter, Rules, Script, Session, identity};
use session::AdapterSession;

mod rules;
mod runtime;
mod session;

use runtime::Runtime;

/// A value that can become an engine: an [`Adapter`], a function that connects, or an [`Engine`].
///
/// `How` distinguishes these cases and is always inferred.
pub trait IntoEngine<How> {
    /// The engine.
    fn into_engine(self) -> Arc<dyn Engine>;
}

/// Marks a function that connects: see [`IntoEngine`].
#[derive(Debug)]
pub struct AsConnect<D, E>(std::marker::PhantomData<(D, E)>);

/// Marks a type that is an engine itself: see [`IntoEngine`].
#[derive(Debug)]
pub struct AsEngine;

/// Marks an engine that has several owners: see [`IntoEngine`].
#[derive(Debug)]
pub struct AsShared;

impl<F, D, E> IntoEngine<AsConnect<D, E>> for F
where
    F: Fn() -> Result<D, E> + Send + Sync + 'static,
    D: AsyncDB + 'static,
    E: Display + 'static,
{
    fn into_engine(self) -> Arc<dyn Engine> {
        Adapter::new(self).into_engine()
    }
}

impl<E: Engine + 'static> IntoEngine<AsEngine> for E {
    fn into_engine(self) -> Arc<dyn Engine> {
        self.prepare();
        Arc::new(self)
    }
}

impl IntoEngine<AsShared> for Arc<dyn Engine> {
    fn into_engine(self) -> Arc<dyn Engine> {
        self
    }
}

/// The error of a function that connects, for a script that is not for its engine: the script is `ignored (reason)`.
///
/// [`Adapter::for_script`] and [`Adapter::with_context`] recognize this error, also as the source of another error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Skip(String);

impl Skip {
    /// Skips the script for this reason, a fragment of a sentence for users.
    pub fn new(reason: impl Into<String>) -> Self {
        Skip(reason.into())
    }
}

type AnyError = Box<dyn Error + Send + Sync>;

/// An adapter is a function that connects to an engine, and further options for this engine.
///
/// ```
/// # use sqllogictest::{DB, DBOutput, DefaultColumnType};
/// # struct MyDb { letters: String }
/// # impl MyDb {
/// #     fn open(_: &std::path::Path) -> std::io::Result<MyDb> { Ok(MyDb { letters: String::new() }) }
/// #     fn cancel_handle(&self) -> fn() { || () }
/// #     fn check_settings(&self) -> std::io::Result<()> { Ok(()) }
/// # }
/// # impl DB for MyDb {
/// #     type Error = std::io::Error;
/// #     type ColumnType = DefaultColumnType;
/// #     fn run(&mut self, _: &str) -> Result<DBOutput<DefaultColumnType>, std::io::Error> { Ok(DBOutput::StatementComplete(0)) }
/// # }
/// use slt_harness::engine::{Adapter, Skip};
///
/// let engine = Adapter::for_script(async |script| match script.name.starts_with("spatial/") {
///     true => Err(Box::<dyn std::error::Error + Send + Sync>::from(Skip::new("no spatial types"))),
///     false => Ok(MyDb::open(&script.scratch()?.join("data.db"))?),
/// })
/// .strict_types()                                          // `query R` over integers fails
/// .letters(|db, letters| db.letters = letters.to_owned())  // before each query: `IIT`
/// .interrupter(|db| db.cancel_handle())                    // called when a time limit is over
/// .after_script(async |db| db.check_settings());           // fails the file
/// ```
pub struct Adapter<D: AsyncDB> {
    open: Open<D>,
    hooks: Hooks<D>,
}

/// Connects for one script: once for its default connection, and once for each named one.
type Connect<D> = Box<dyn Fn(&Runtime, &Script) -> Result<D, EngineError>>;
type Open<D> = Arc<dyn Fn(&Runtime, &Script) -> Result<Connect<D>, EngineError> + Send + Sync>;
type Letters<D> = Arc<dyn Fn(&mut D, &str) + Send + Sync>;
type MakeInterrupter<D> = Arc<dyn Fn(&D) -> Interrupter + Send + Sync>;
type AfterScript<D> = Arc<dyn Fn(&Runtime, &mut D) -> Result<(), EngineError> + Send + Sync>;

/// Options that an engine's author may set, besides how to connect.
struct Hooks<D: AsyncDB> {
    letters: Option<Letters<D>>,
    interrupter: Option<MakeInterrupter<D>>,
    after_script: Option<AfterScript<D>>,
    results: rules::Results,
    columns: Option<super::ColumnRule>,
    runtime: Runtime,
    given_name: Option<String>,
    /// The engine's name as reported by the first connection.
    learned_name: Arc<OnceLock<String>>,
}

impl<D: AsyncDB> Clone for Hooks<D> {
    fn clone(&self) -> Self {
        Hooks {
            letters: self.letters.clone(),
            interrupter: self.interrupter.clone(),
            after_script: self.after_script.clone(),
            results: self.results.clone(),
            columns: self.columns.clone(),
            runtime: self.runtime.clone(),
            given_name: self.given_name.clone(),
            learned_name: Arc::clone(&self.learned_name),
        }
    }
}

impl<D: AsyncDB> Clone for Adapter<D> {
    fn clone(&self) -> Self {
        Adapter { open: Arc::clone(&self.open), hooks: self.hooks.clone() }
    }
}

/// Converts an error of a function that connects: into a skipped script if the error is or contains a [`Skip`], and
/// otherwise into its message.
fn refusal(error: impl Into<AnyError>) -> EngineError {
    let error = error.into();
    let mut cause: Option<&(dyn Error + 'static)> = Some(&*error);
    while let Some(error) = cause {
        // `io::Error::source` skips the error that the `io::Error` wraps, so that error is checked here.
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let skip = error.downcast_ref().or_else(|| inner?.downcast_ref());
        if let Some(Skip(reason)) = skip {
            return EngineError::skip(reason.clone());
        }
        cause = error.source();
    }
    EngineError::new(error.to_string())
}

impl<D: AsyncDB + 'static> Adapter<D> {
    /// An adapter that connects by calling `connect`, once for each script and once more for each named connection.
    ///
    /// Scripts must not see each other's tables. So either every connection must be to a fresh database, or every script
    /// must use names of its own.
    pub fn new<E: Display>(connect: impl Fn() -> Result<D, E> + Send + Sync + 'static) -> Self {
        let connect = Arc::new(connect);
        Adapter::opening(move |_, _| {
            let connect = Arc::clone(&connect);
            Ok(Box::new(move |runtime: &Runtime, _: &Script| {
                runtime.enter(|| connect())?.map_err(|error| EngineError::new(error.to_string()))
            }))
        })
    }

    /// An adapter whose `connect` returns a future.
    ///
    /// With the feature `tokio`, all its code runs inside a tokio runtime: see [`runtime`](Adapter::runtime).
    pub fn from_async<E, Fut>(connect: impl Fn() -> Fut + Send + Sync + 'static) -> Self
    where
        E: Display,
        Fut: Future<Output = Result<D, E>>,
    {
        let connect = Arc::new(connect);
        Adapter::opening(move |_, _| {
            let connect = Arc::clone(&connect);
            Ok(Box::new(move |runtime: &Runtime, _: &Script| {
                let future = runtime.enter(|| connect())?;
                runtime.block_on(future)?.map_err(|error| EngineError::new(error.to_string()))
            }))
        })
    }

    /// An adapter that connects for a given script: it may use the names of the script and of the connection, keep files in
    /// the script's scratch folder, and return [`Skip`] as an error.
    pub fn for_script<E>(connect: impl AsyncFn(&Script) -> Result<D, E> + Send + Sync + 'static) -> Self
    where
        E: Into<AnyError>,
    {
        Adapter::with_context(async |_| Ok::<_, Skip>(()), async move |(): &(), script: &Script| connect(script).await)
    }

    /// An adapter that first makes a context for each script, and then connects in it: once for the default connection, and
    /// once for each named one. The context is dropped when the script and its connections have ended.
    ///
    /// Both functions may return [`Skip`] as an error.
    pub fn with_context<C, E, F>(
        open: impl AsyncFn(&Script) -> Result<C, E> + Send + Sync + 'static,
        connect: impl AsyncFn(&C, &Script) -> Result<D, F> + Send + Sync + 'static,
    ) -> Self
    where
        C: 'static,
        E: Into<AnyError>,
        F: Into<AnyError>,
    {
        let connect = Arc::new(connect);
        Adapter::opening(move |runtime, script| {
            let context = runtime.block_on(open(script))?.map_err(refusal)?;
            let connect = Arc::clone(&connect);
            Ok(Box::new(move |runtime: &Runtime, script: &Script| {
                runtime.block_on(connect(&context, script))?.map_err(refusal)
            }))
        })
    }

    fn opening(open: impl Fn(&Runtime, &Script) -> Result<Connect<D>, EngineError> + Send + Sync + 'static) -> Self {
        let hooks = Hooks {
            letters: None,
            interrupter: None,
            after_script: None,
            results: rules::Results::default(),
            columns: None,
            runtime: Runtime::default(),
            given_name: None,
            learned_name: Arc::default(),
        };
        Adapter { open: Arc::new(open), hooks }
    }

    /// Sets the engine's name in messages and reports. Without this, the name is the one that the first connection reports
    /// (`engine_name`), and "the engine" until then.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.hooks.given_name = Some(name.into());
        self
    }

    /// Passes the declared column letters (`IIT`) to the adapter before each query.
    #[must_use]
    pub fn letters(mut self, declare: impl Fn(&mut D, &str) + Send + Sync + 'static) -> Self {
        self.hooks.letters = Some(Arc::new(declare));
        self
    }

    /// Sets how a running request is stopped. `make` is called on a new connection. The function that it returns is called
    /// when a time limit is over, from another thread, and repeatedly until the request has ended.
    ///
    /// Without this, the future of an `AsyncDB` is dropped when a limit is over, and its connection with it.
    #[must_use]
    pub fn interrupter<F>(mut self, make: impl Fn(&D) -> F + Send + Sync + 'static) -> Self
    where
        F: Fn() + Send + Sync + 'static,
    {
        self.hooks.interrupter = Some(Arc::new(move |db| Arc::new(make(db))));
        self
    }

    /// Checks each connection after the last record of a script, if no record failed: an error fails the file.
    #[must_use]
    pub fn after_script<E>(mut self, check: impl AsyncFn(&mut D) -> Result<(), E> + Send + Sync + 'static) -> Self
    where
        E: Into<AnyError>,
    {
        self.hooks.after_script = Some(Arc::new(move |runtime, db| {
            runtime.block_on(check(db))?.map_err(|error| EngineError::new(error.into().to_string()))
        }));
        self
    }

    /// Normalizes values and expected lines of `.slt` files before they are compared, as `Runner::with_normalizer` does.
    #[must_use]
    pub fn normalizer(mut self, normalize: impl Fn(&String) -> String + Send + Sync + 'static) -> Self {
        self.hooks.results.normalizer = Some(Arc::new(normalize));
        self
    }

    /// Compares the results of `.slt` files, as `Runner::with_validator` does. The validator receives the
    /// [`normalizer`](Adapter::normalizer), and must call it on the same thread.
    #[must_use]
    pub fn validator(
        mut self,
        validate: impl Fn(Normalizer, &[Vec<String>], &[String]) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.hooks.results.validator = Some(Arc::new(validate));
        self
    }

    /// Checks the column types of queries in `.slt` files: compares the actual types with the declared ones, as
    /// `Runner::with_column_validator` does.
    #[must_use]
    #[allow(clippy::ptr_arg)] // The crate's own validators take a `&Vec`.
    pub fn column_validator(
        mut self,
        validate: impl Fn(&Vec<D::ColumnType>, &Vec<D::ColumnType>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.hooks.columns = Some(rules::columns(validate));
        self
    }

    /// Queries in `.slt` files must declare the types and the number of the columns that they return:
    /// `sqllogictest::strict_column_validator`.
    #[must_use]
    pub fn strict_types(self) -> Self {
        self.column_validator(sqllogictest::strict_column_validator)
    }

    /// White space counts in the results of `.slt` files, except at the ends of a line.
    #[must_use]
    pub fn trim_only(self) -> Self {
        self.normalizer(|value| value.trim().to_owned()).validator(rules::trim_only)
    }

    /// Runs everything in a separate tokio runtime of this adapter. `make` builds it when it is first needed.
    ///
    /// Without this, there is one runtime for the whole process: multi-threaded, with a thread for each processor, tokio's
    /// default stack size and all drivers enabled. The future of a request is polled on the thread of its trial;
    /// [`Target::stack_size`](crate::Target::stack_size) sets the stack size of that thread.
    #[cfg(feature = "tokio")]
    #[must_use]
    pub fn runtime(
        mut self,
        make: impl Fn() -> std::io::Result<tokio::runtime::Runtime> + Send + Sync + 'static,
    ) -> Self {
        self.hooks.runtime = Runtime::of_ones_own(make);
        self
    }
}

impl<D: AsyncDB + 'static> Engine for Adapter<D> {
    fn name(&self) -> &str {
        let given = self.hooks.given_name.as_deref();
        given.or_else(|| self.hooks.learned_name.get().map(String::as_str)).unwrap_or(UNNAMED)
    }

    fn labels(&self) -> Vec<String> {
        Vec::new()
    }

    fn identity(&self) -> String {
        // The name may not be known yet.
        format!("{}, {}", self.hooks.given_name.as_deref().unwrap_or(UNNAMED), identity::of_this_program())
    }

    fn database(&self, script: &str) -> Result<Box<dyn Database>, EngineError> {
        self.open(&Script::named(script))
    }

    fn open(&self, script: &Script) -> Result<Box<dyn Database>, EngineError> {
        let connect = (self.open)(&self.hooks.runtime, script)?;
        Ok(Box::new(AdapterDatabase { connect, hooks: self.hooks.clone(), script: script.clone() }))
    }

    fn rules(&self) -> Rules {
        Rules { columns: self.hooks.columns.clone(), results: self.hooks.results.rule() }
    }
}

/// The name of an engine without a name.
pub(crate) const UNNAMED: &str = "the engine";

struct AdapterDatabase<D: AsyncDB> {
    connect: Connect<D>,
    hooks: Hooks<D>,
    script: Script,
}

impl<D: AsyncDB + 'static> AdapterDatabase<D> {
    fn connection(&self, name: Option<&str>) -> Result<Box<dyn Session>, EngineError> {
        let db = (self.connect)(&self.hooks.runtime, &self.script.on(name))?;
        let called = db.engine_name();
        if !called.is_empty() {
            self.hooks.learned_name.get_or_init(|| called.to_owned());
        }
        Ok(Box::new(AdapterSession::new(db, self.hooks.clone())))
    }
}

impl<D: AsyncDB + 'static> Database for AdapterDatabase<D> {
    fn connect(&mut self) -> Result<Box<dyn Session>, EngineError> {
        self.connection(None)
    }

    fn connect_as(&mut self, name: &str) -> Result<Box<dyn Session>, EngineError> {
        self.connection(Some(name))
    }
}

/// The letters of column types, as a script declares them.
fn letters<T: ColumnType>(types: &[T]) -> String {
    types.iter().map(ColumnType::to_char).collect()
}
