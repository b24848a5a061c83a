//! A test target: a suite, an engine, and options that the target's author may set.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{run, show_config, under_settings};
use crate::config::{Config, RunValues, SetUp};
use crate::crash;
use crate::engine::{Engine, IntoEngine};
use crate::suite::{self, Suite};
use crate::summary::ExitStatus;
use crate::trial::Options;

/// A target is a suite and the engine that it runs on, with defaults for options that no flag or variable sets.
///
/// ```no_run
/// # use slt_harness::{Suite, sqllogictest::{DB, DBOutput, DefaultColumnType}};
/// # struct MyDb;
/// # impl DB for MyDb {
/// #     type Error = std::io::Error;
/// #     type ColumnType = DefaultColumnType;
/// #     fn run(&mut self, _: &str) -> Result<DBOutput<DefaultColumnType>, std::io::Error> { Ok(DBOutput::StatementComplete(0)) }
/// # }
/// # fn start_server() -> std::io::Result<u16> { Ok(5432) }
/// # fn connect(_: &str) -> std::io::Result<MyDb> { Ok(MyDb) }
/// use slt_harness::{Target, run_value};
///
/// fn main() -> std::process::ExitCode {
///     let suite = Suite::new("tests/slt").exclude(["tpch/**"], "slow");
///     Target::new(suite, || connect(&run_value("MY_PORT").unwrap_or_default()))
///         .file_timeout(std::time::Duration::from_secs(60))
///         .label("mydb")
///         .before_run(|values| Ok::<_, std::io::Error>(values.set("MY_PORT", start_server()?.to_string())))
///         .main()
/// }
/// ```
#[must_use = "`main` runs it"]
pub struct Target {
    pub(crate) suite: Suite,
    pub(crate) engine: Arc<dyn Engine>,
    file_timeout: Option<Duration>,
    query_timeout: Option<Duration>,
    labels: Vec<String>,
    known_failures: Option<PathBuf>,
    stack_size: Option<usize>,
    pub(crate) set_up: SetUp,
}

impl Target {
    /// A target that runs `suite` on `engine`.
    pub fn new<How>(suite: Suite, engine: impl IntoEngine<How>) -> Target {
        Target {
            suite,
            engine: engine.into_engine(),
            file_timeout: None,
            query_timeout: None,
            labels: Vec::new(),
            known_failures: None,
            stack_size: None,
            set_up: SetUp::default(),
        }
    }

    /// How long one file may take, unless `--file-timeout` or `slt.toml` says otherwise.
    pub fn file_timeout(mut self, limit: Duration) -> Target {
        self.file_timeout = Some(limit);
        self
    }

    /// How long one record may take, unless `--query-timeout` or `slt.toml` says otherwise.
    pub fn query_timeout(mut self, limit: Duration) -> Target {
        self.query_timeout = Some(limit);
        self
    }

    /// A further name by which `skipif` and `onlyif` know the engine; `--label` adds more.
    pub fn label(mut self, name: impl Into<String>) -> Target {
        self.labels.push(name.into());
        self
    }

    /// The list of known failures, unless `--known-failures` or `slt.toml` names another one. A relative path is relative to
    /// the package that is being tested. If the file does not exist, or with `--write-known-failures`, there is no list.
    pub fn known_failures(mut self, list: impl Into<PathBuf>) -> Target {
        let base = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
        self.known_failures = Some(base.join(list.into()));
        self
    }

    /// The size of each trial's stack, in bytes, in every mode. If 8 MiB or `RUST_MIN_STACK` is larger, that is the size.
    pub fn stack_size(mut self, bytes: usize) -> Target {
        self.stack_size = Some(bytes);
        self
    }

    /// Calls `before` once for each run, before the first file: to make data, or to start a server. The values that it sets
    /// reach every process of the run.
    ///
    /// With threads or `--workers`, the process that the user starts calls it, and never a worker. Under nextest, and for
    /// processes that users start to share a run (`--parallel`), a separate process calls it, once for all of them, and
    /// [`after_run`](Target::after_run) when they have ended. If it fails, no file is run, and the exit code is 4.
    pub fn before_run<E: Display>(
        mut self,
        before: impl Fn(&mut RunValues) -> Result<(), E> + Send + Sync + 'static,
    ) -> Target {
        self.set_up.before = Some(Arc::new(move |values| before(values).map_err(|error| error.to_string())));
        self
    }

    /// Calls `after` once for each run, after the last file, in the process that called [`before_run`](Target::before_run);
    /// also if the latter failed. After an error, the exit code of a green run is 4.
    pub fn after_run<E: Display>(mut self, after: impl Fn() -> Result<(), E> + Send + Sync + 'static) -> Target {
        self.set_up.after = Some(Arc::new(move || after().map_err(|error| error.to_string())));
        self
    }

    /// Applies the target's options that no flag or variable sets.
    pub(crate) fn settle(&self, options: &mut Options) {
        if let Some(bytes) = self.stack_size {
            crash::ask_for_stack(bytes);
        }
        options.file_timeout = options.file_timeout.or(self.file_timeout);
        options.query_timeout = options.query_timeout.or(self.query_timeout);
        options.labels.splice(0..0, self.labels.iter().cloned());
    }

    /// Runs the suite once.
    pub(crate) fn run(self, mut config: Config) -> ExitStatus {
        let Target { suite, engine, file_timeout, query_timeout, labels, known_failures, stack_size, .. } = &self;
        let shown = |path: &Path| suite::shown(path).into_owned();
        let seconds = |limit: &Option<Duration>| limit.map(|limit| format!("{} s", limit.as_secs_f64()));
        for (key, value) in [
            ("roots", suite.roots().iter().map(|root| shown(root)).collect()),
            ("exclude", suite.exclusions()),
            ("dialect", suite.dialect_rules()),
            ("engine", vec![engine.name().to_owned()]),
            ("labels", labels.clone()),
            ("known-failures", known_failures.iter().map(|list| shown(list)).collect()),
            ("file-timeout", seconds(file_timeout).into_iter().collect()),
            ("query-timeout", seconds(query_timeout).into_iter().collect()),
            ("stack-size", stack_size.map(|bytes| bytes.to_string()).into_iter().collect()),
        ] {
            config.in_force.add_code(key, value);
        }
        self.settle(&mut config.options);
        let Target { suite, engine, known_failures, set_up, .. } = self;
        let suite = match under_settings(suite, &config) {
            Ok(suite) => suite,
            Err(message) => {
                note!("error: {message}");
                return ExitStatus::Usage;
            }
        };
        if config.show_config {
            return show_config(&config);
        }
        if config.known.list.is_none() && config.known.first.is_none() {
            config.known.list = known_failures.filter(|list| list.exists());
        }
        config.set_up = set_up;
        run(suite, engine, &config)
    }
}
