//! Adapters: what implements `sqllogictest::DB` or `AsyncDB`, as an engine.

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

/// What can be turned into an engine: an [`Adapter`], a function that connects, or an [`Engine`].
///
/// `How` distinguishes these cases and is always inferred.
pub trait IntoEngine<How> {
    /// The engine.
    fn into_engine(self) -> Arc<dyn Engine>;
}

/// How a function becomes an engine: see [`IntoEngine`].
#[derive(Debug)]
pub struct AsConnect<D, E>(std::marker::PhantomData<(D, E)>);

/// How an engine is one already: see [`IntoEngine`].
#[derive(Debug)]
pub struct AsEngine;

/// How an engine that others have too is one: see [`IntoEngine`].
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

/// The answer of a function that connects, to a script that is not for its engine: the script is `ignored (reason)`.
///
/// It is an error that [`Adapter::for_script`] and [`Adapter::with_context`] know, also as the source of another one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Skip(String);

impl Skip {
    /// Leaves the script out for this reason, a sentence fragment for people.
    pub fn new(reason: impl Into<String>) -> Self {
        Skip(reason.into())
    }
}

type AnyError = Box<dyn Error + Send + Sync>;

/// An adapter is a function that connects to an engine, and the extras of this engine.
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

/// Connects for one script: for its default connection, and again for each named one.
type Connect<D> = Box<dyn Fn(&Runtime, &Script) -> Result<D, EngineError>>;
type Open<D> = Arc<dyn Fn(&Runtime, &Script) -> Result<Connect<D>, EngineError> + Send + Sync>;
type Letters<D> = Arc<dyn Fn(&mut D, &str) + Send + Sync>;
type MakeInterrupter<D> = Arc<dyn Fn(&D) -> Interrupter + Send + Sync>;
type AfterScript<D> = Arc<dyn Fn(&Runtime, &mut D) -> Result<(), EngineError> + Send + Sync>;

/// What an engine's author has to say besides how to connect.
struct Hooks<D: AsyncDB> {
    letters: Option<Letters<D>>,
    interrupter: Option<MakeInterrupter<D>>,
    after_script: Option<AfterScript<D>>,
    results: rules::Results,
    columns: Option<super::ColumnRule>,
    runtime: Runtime,
    given_name: Option<String>,
    /// What the first connection called its engine.
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

/// An error of a function that connects, by what it says; or that it leaves the script out.
fn refusal(error: impl Into<AnyError>) -> EngineError {
    let error = error.into();
    let mut cause: Option<&(dyn Error + 'static)> = Some(&*error);
    while let Some(error) = cause {
        // An `io::Error` passes over the error that it was made of when it is asked for its source.
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
    /// Scripts must not see each other's tables: either every connection is to a fresh database, or every script has
    /// names of its own.
    pub fn new<E: Display>(connect: impl Fn() -> Result<D, E> + Send + Sync + 'static) -> Self {
        let connect = Arc::new(connect);
        Adapter::opening(move |_, _| {
            let connect = Arc::clone(&connect);
            Ok(Box::new(move |runtime: &Runtime, _: &Script| {
                runtime.enter(|| connect())?.map_err(|error| EngineError::new(error.to_string()))
            }))
        })
    }

    /// An adapter that connects by waiting for a future.
    ///
    /// With the feature `tokio`, everything it does runs inside a tokio runtime: see [`runtime`](Adapter::runtime).
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

    /// An adapter that connects for a script: it may look at the script's name and the connection's, keep files in the
    /// script's scratch folder, and answer with [`Skip`].
    pub fn for_script<E>(connect: impl AsyncFn(&Script) -> Result<D, E> + Send + Sync + 'static) -> Self
    where
        E: Into<AnyError>,
    {
        Adapter::with_context(async |_| Ok::<_, Skip>(()), async move |(): &(), script: &Script| connect(script).await)
    }

    /// An adapter that first makes a context for each script, and then connects in it: for the default connection, and
    /// once for each named one. The context goes when the script and its connections have ended.
    ///
    /// Both may answer with [`Skip`].
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

    /// Names the engine in messages and reports. Without this it is called what its first connection calls it
    /// (`engine_name`), and "the engine" until then.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.hooks.given_name = Some(name.into());
        self
    }

    /// Hands the adapter the declared column letters (`IIT`) before each query.
    #[must_use]
    pub fn letters(mut self, declare: impl Fn(&mut D, &str) + Send + Sync + 'static) -> Self {
        self.hooks.letters = Some(Arc::new(declare));
        self
    }

    /// Says how a running request is stopped: `make` is called on a fresh connection, what it returns when a time limit
    /// is over, from another thread and again until the request has ended.
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

    /// Compares the results of `.slt` files, as `Runner::with_validator` does. The function that it is handed is the
    /// [`normalizer`](Adapter::normalizer), for use on the same thread.
    #[must_use]
    pub fn validator(
        mut self,
        validate: impl Fn(Normalizer, &[Vec<String>], &[String]) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.hooks.results.validator = Some(Arc::new(validate));
        self
    }

    /// Checks the column types of queries in `.slt` files, the actual ones against the declared ones, as
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

    /// Runs everything in a tokio runtime of this adapter's own, which `make` builds when it is first needed.
    ///
    /// Otherwise there is one runtime for the whole process: multi-threaded, with a thread for each processor, tokio's
    /// usual stacks and all drivers on. The future of a request is polled on the thread of its trial, whose stack
    /// [`Target::stack_size`](crate::Target::stack_size) sets.
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
        // The name is not always known yet.
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

/// The name of an engine that has none.
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
