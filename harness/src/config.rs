//! The user's choices: flags, environment and settings, read once and checked, then passed on as plain data.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::ArgMatches;
use clap::parser::ValueSource;
use libtest_mimic::{ColorSetting, FormatSetting};

use crate::engine::Choice;
use crate::environment;
use crate::history::Order;
use crate::known::KnownError;
use crate::outcome::Shard;
use crate::queue::Place;
use crate::report::libtest::Format;
use crate::suite::{Dialect, Filter};
use crate::trial::{How, Options};
use crate::worker::Policy;

mod command_line;
mod flags;
mod foreign;
mod github;
mod headings;
mod help;
mod in_force;
pub(crate) mod manifest;
mod number;
#[cfg(test)]
mod options;
mod own;
mod parallel;
mod reference;
mod secret;
mod set_up;
mod settings;

pub(crate) use command_line::{Read, read, with_profile};
use flags::KnownFlags;
pub(crate) use flags::roots;
pub use flags::{Flags, TrialFlags};
pub use github::GitHub;
#[cfg(feature = "commands")]
pub(crate) use help::readable_help;
#[cfg(not(feature = "commands"))]
use help::readable_help;
pub use in_force::InForce;
#[cfg(feature = "commands")]
pub(crate) use number::{positive, seconds, whole};
pub(crate) use own::{NoFlags, OWN};
use parallel::ParallelFlags;
pub use parallel::Repeat;
pub(crate) use parallel::cores;
pub use reference::{ReferenceChoice, ReferenceError, ReferenceFlag};
pub use secret::Secret;
#[cfg(feature = "commands")]
pub(crate) use secret::secret;
pub(crate) use secret::{ENGINE, REFERENCE};
pub use set_up::{RunValues, SetUp};
pub use settings::Settings;
pub(crate) use settings::hand_on;

/// A config is everything that a user has chosen for one run.
#[derive(Debug, Clone)]
pub struct Config {
    /// The folders to run; `None` for the suite's own.
    pub roots: Option<Vec<PathBuf>>,
    /// The dialect of all files; `None` if the suite and the files' extensions decide it.
    pub dialect: Option<Dialect>,
    /// Which files to run.
    pub filter: Filter,
    /// The part of these files to run, if they are split over machines.
    pub shard: Option<Shard>,
    /// The history by which they are split; `None` for the one in the folder for results.
    pub shard_history: Option<PathBuf>,
    /// Run only the files that failed when they last ran.
    pub failed: bool,
    /// Run only files whose content has changed since they last passed.
    pub changed: bool,
    /// If a filter names a record, run only that record, and not the records before it.
    pub only: bool,
    /// List names instead of running them.
    pub list: bool,
    /// Run only files that are marked as ignored; before a run, no file is.
    pub only_ignored: bool,
    /// The output's format; `None` if the user named none.
    pub format: Option<Format>,
    /// When to colour the output.
    pub color: ColorSetting,
    /// The file for the output; `None` for standard output.
    pub logfile: Option<PathBuf>,
    /// Show each trial's time.
    pub report_time: bool,
    /// Whether the summary says where the time of the run went.
    pub timings: bool,
    /// How many trials run at a time, at least 1.
    pub threads: usize,
    /// Shuffle the order, by this seed.
    pub shuffle: Option<u64>,
    /// How long running files may take to finish after the first Ctrl-C.
    pub interrupt_grace: Duration,
    /// What a trial may do.
    pub options: Options,
    /// The folder for the results; `None` for the one below cargo's target folder.
    pub results: Option<PathBuf>,
    /// Also write the results as an HTML page.
    pub report: bool,
    /// What to report to GitHub.
    pub github: GitHub,
    /// How the run is shared over processes; `None` if this process runs alone.
    pub parallel: Option<Parallel>,
    /// Show only verdicts: no progress, no closing messages.
    pub quiet: bool,
    /// Whether this is `slt run` or `slt list`, and not `cargo test`: a run then shows the summary by category, and fails if it
    /// checks nothing.
    pub slt: bool,
    /// The `slt` command that handed the run over to this test target, up to its flags.
    pub handed_over: Option<String>,
    /// Whether nextest runs this process.
    pub nextest: bool,
    /// Whether the environment asks for a slice of the files ([`SLICES`]), which this program does not support.
    pub sliced: bool,
    /// The engine to run on; `None` for the engine of the test target.
    pub engine: Option<Choice>,
    /// What to compare results with, if anything.
    pub reference: Option<ReferenceChoice>,
    /// Which failures are known.
    pub known: Known,
    /// The test target's own flags that were given, each with its value or a hash of it.
    pub own: Vec<(String, String)>,
    /// What the test target does before the first file and after the last one.
    pub set_up: SetUp,
    /// The package's settings file.
    pub settings: Option<Arc<Settings>>,
    /// The settings in force, and where each comes from.
    pub in_force: InForce,
    /// Show the settings in force, and run nothing.
    pub show_config: bool,
}

/// Which failures are known, and how to change the list of them.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The list.
    pub list: Option<PathBuf>,
    /// Remove what passes from the list.
    pub ratchet: bool,
    /// Where to write a first list.
    pub first: Option<PathBuf>,
}

/// How a run is shared over processes.
#[derive(Debug, Clone)]
pub struct Parallel {
    /// How many workers to start; `None` if this process runs the files itself.
    pub workers: Option<u32>,
    /// The queue that keeps the run; `None` for a file in the results folder.
    pub queue: Option<Place>,
    /// The run to start or to join.
    pub run_id: Option<String>,
    /// The version of the engine, if the engine cannot report it or each machine builds its own program.
    pub engine_version: Option<String>,
    /// How many runs a server keeps.
    pub keep_runs: usize,
    /// Continue a run that was left incomplete.
    pub resume: bool,
    /// For how long files are started.
    pub time_budget: Option<Duration>,
    /// Whether a run may be green although it did not run all files.
    pub allow_incomplete: bool,
    /// How often a trial is repeated.
    pub policy: Policy,
    /// How many passes over the suite there are.
    pub repeat: Repeat,
    /// The order of files of equal rank.
    pub order: Order,
    /// How much address space each worker may have, in bytes.
    pub memory_limit: Option<u64>,
    /// How much memory the files that run at once on this machine may need together, in bytes.
    pub run_memory: Option<u64>,
}

/// The environment variable that nextest sets for every process it starts.
const NEXTEST: &str = "NEXTEST";

/// The environment variable by which earlier tools assigned each of several processes a fixed part of the files.
pub const SLICES: &str = "SQLLOGICTEST_TOTAL_WORKERS";

/// The environment variable with the meaning of `--quiet`.
const QUIET: &str = "SLT_QUIET";

impl Config {
    /// Checks flags that another parser has read.
    ///
    /// # Errors
    /// A sentence that names the flag or variable that cannot be used.
    pub fn from_flags(flags: Flags) -> Result<Config, String> {
        let libtest = flags.libtest;
        // Unit tests also run under nextest; their configs are the same there.
        let nextest = !cfg!(test) && std::env::var_os(NEXTEST).is_some_and(|value| value == "1");
        let mut patterns: Vec<String> = libtest.filter.into_iter().chain(flags.more_filters).collect();
        if patterns.is_empty() {
            patterns = flags.files.iter().flat_map(|list| flags::filters(list)).map(str::to_owned).collect();
        }
        let quiet = libtest.quiet
            || environment::variable(QUIET).is_some_and(|text| settings::keys::is_on(&text.to_string_lossy()));
        let format = match libtest.format {
            _ if libtest.quiet => Some(Format::Terse),
            None if quiet => Some(Format::Terse),
            Some(FormatSetting::Pretty) => Some(Format::Pretty),
            Some(FormatSetting::Terse) => Some(Format::Terse),
            Some(FormatSetting::Json) => Some(Format::Json),
            None => None,
        };
        let engine = flags.trial.engine()?;
        let reference = flags.reference.choice()?;
        let memory_limit = flags.parallel.memory_limit;
        // nextest starts a process for each file itself: the variables for parallel runs are then meant for other runs.
        let parallel = if nextest || libtest.list { None } else { shared(flags.parallel)? };
        let (dialect, only) = (flags.trial.dialect, flags.trial.only);
        let options = Options { memory_limit, ..flags.trial.options() };
        let fail_fast = options.fail_fast;
        if flags.report && !cfg!(feature = "page") {
            return Err("`--report` needs the feature `page` of slt-harness, which this program was built without; \
                        `slt report RESULTS` makes the page of a results.json"
                .to_owned());
        }
        let lists = [&flags.known.known_failures, &flags.known.write_known_failures];
        if lists.iter().any(|list| list.is_some()) && !cfg!(feature = "toml") {
            return Err(KnownError::MissingFeature.to_string());
        }
        let spans_machines =
            parallel.as_ref().and_then(|parallel| parallel.queue.as_ref()).is_some_and(Place::spans_machines);
        if spans_machines && options.bless.is_some_and(|bless| bless.how != How::Check) {
            return Err(
                "`--bless` rewrites files of this machine, so it cannot be used with a queue on a server".to_owned()
            );
        }
        if reference.is_some() && options.bless.is_some() {
            return Err(WITH_BLESS.to_owned());
        }
        Ok(Config {
            roots: (!flags.roots.is_empty()).then(|| roots(flags.roots)),
            dialect,
            filter: Filter::new(patterns, libtest.skip, libtest.exact),
            shard: flags.shard,
            shard_history: flags.shard_history,
            failed: flags.failed,
            changed: flags.changed,
            only,
            list: libtest.list,
            only_ignored: (libtest.ignored && !libtest.include_ignored) || libtest.bench,
            format,
            color: libtest.color.unwrap_or_default(),
            logfile: libtest.logfile.map(PathBuf::from),
            report_time: flags.report_time.is_some(),
            timings: flags.timings,
            threads: threads(libtest.test_threads)?,
            shuffle: shuffle_seed(flags.shuffle, flags.shuffle_seed)?,
            interrupt_grace: flags.interrupt_grace,
            options,
            results: flags.results,
            report: flags.report,
            github: GitHub::from_env(),
            parallel,
            quiet,
            slt: false,
            handed_over: None,
            nextest,
            sliced: std::env::var_os(SLICES).is_some_and(|value| value != "1"),
            engine,
            reference,
            known: known(flags.known, fail_fast)?,
            own: Vec::new(),
            set_up: SetUp::default(),
            settings: None,
            in_force: InForce::default(),
            show_config: flags.show_config,
        })
    }

    /// The config with the settings that its command line was read with.
    pub(crate) fn under(self, read: Read) -> Config {
        Config { settings: read.settings, in_force: read.in_force, ..self }
    }
}

/// Why `--reference` and `--bless` exclude each other.
pub(crate) const WITH_BLESS: &str =
    "`--reference` compares with what the files expect, which `--bless` changes: use one of them";

/// Checks the flags on known failures, and makes their part of the config.
fn known(flags: KnownFlags, fail_fast: bool) -> Result<Known, String> {
    let KnownFlags { known_failures: list, ratchet, write_known_failures: first } = flags;
    if list.is_some() && first.is_some() {
        return Err("`--write-known-failures` makes a first list: with `--known-failures` there is one".to_owned());
    }
    if fail_fast && first.is_some() {
        return Err(
            "`--write-known-failures` lists everything that fails, so it cannot be used with `--fail-fast`".to_owned()
        );
    }
    Ok(Known { list, ratchet, first })
}

/// The engine that a user has named.
pub(crate) fn chosen(engine: &Secret) -> Result<Choice, String> {
    engine.text().parse().map_err(|error| format!("`--engine` (or `{ENGINE}`): {error}"))
}

/// A command line without the flags whose values may contain a password: `--engine`, `--reference` and `--queue`. It is for
/// processes that get these values in their environment.
pub(crate) fn without_secrets(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments = arguments.into_iter();
    let mut rest = Vec::new();
    while let Some(argument) = arguments.next() {
        let bytes = argument.as_encoded_bytes();
        if argument == "--engine" || argument == "--reference" || argument == "--queue" {
            arguments.next();
        } else if argument == "--" {
            rest.push(argument);
            rest.extend(arguments.by_ref());
        } else if ![&b"--engine="[..], b"--reference=", b"--queue="].iter().any(|flag| bytes.starts_with(flag)) {
            rest.push(argument);
        }
    }
    rest
}

/// The meaning of the parallel flags, if the run is shared at all.
fn shared(flags: ParallelFlags) -> Result<Option<Parallel>, String> {
    if !flags.parallel {
        return Ok(None);
    }
    if flags.repeat == Some(Repeat::UntilBudget) && flags.time_budget.is_none() {
        let flag = "`--repeat until-budget` (or `SLT_REPEAT`)";
        return Err(format!("{flag} needs `--time-budget`"));
    }
    if flags.memory_limit.is_some() && flags.workers.is_none() {
        let flag = "`--memory-limit` (or `SLT_MEMORY_LIMIT`)";
        return Err(format!("{flag} is for worker processes: it needs `--workers`"));
    }
    let queue = flags.queue.map(|typed| Place::parse(typed.0).and_then(Place::check)).transpose();
    let queue = queue.map_err(|error| format!("`--queue` (or `SLT_QUEUE`): {error}"))?;
    if queue.as_ref().is_some_and(Place::spans_machines) && flags.run_id.is_none() {
        return Err("a queue on a server holds many runs: it needs `--run-id` (or `SLT_RUN_ID`)".to_owned());
    }
    Ok(Some(Parallel {
        workers: flags.workers,
        queue,
        run_id: flags.run_id,
        engine_version: flags.engine_version,
        keep_runs: flags.keep_runs,
        resume: flags.resume,
        time_budget: flags.time_budget,
        allow_incomplete: flags.allow_incomplete,
        policy: Policy { retries: flags.retries, crash_retries: flags.crash_retries },
        repeat: flags.repeat.unwrap_or(Repeat::Times(1)),
        order: flags.seed.map_or(Order::LongestFirst, Order::Shuffled),
        memory_limit: flags.memory_limit,
        run_memory: flags.run_memory,
    }))
}

/// Flags with which this process joins others in a shared run.
const JOINING: [&str; 3] = ["queue", "run_id", "resume"];

/// Flags with which this process starts workers.
const WORKING: [&str; 8] =
    ["workers", "time_budget", "retries", "crash_retries", "repeat", "seed", "memory_limit", "run_memory"];

impl Flags {
    /// Makes the run parallel if the user typed a flag that only parallel runs have.
    ///
    /// There is a worker for each processor, or, if the flag is about joining other processes, none, as for `--parallel`.
    /// Variables and settings do not make a run parallel: they are set for many runs.
    pub(crate) fn imply(&mut self, matches: &ArgMatches) {
        if implying(matches).is_some() {
            self.parallel.parallel = true;
            if !any_typed(matches, &JOINING) {
                self.parallel.workers = self.parallel.workers.or_else(|| Some(cores()));
            }
        }
    }
}

fn any_typed(matches: &ArgMatches, names: &[&str]) -> bool {
    names.iter().any(|name| matches.value_source(name) == Some(ValueSource::CommandLine))
}

/// The id of a typed flag that makes the run parallel although `--parallel` is not set; `None` if there is no such flag.
fn implying(matches: &ArgMatches) -> Option<&'static str> {
    let says_so = matches.try_get_one::<bool>("parallel").ok().flatten().copied();
    let mut names = JOINING.into_iter().chain(WORKING).filter(|_| says_so == Some(false));
    names.find(|name| any_typed(matches, &[name]))
}

/// Refuses flags that mean nothing without others. Their variables are accepted, because they are set for many runs.
pub(crate) fn check_typed(matches: &ArgMatches) -> Result<(), String> {
    let typed = |name: &str| any_typed(matches, &[name]);
    let shared = matches.get_flag("parallel") || matches.get_flag("list") || implying(matches).is_some();
    let names = ["engine_version", "keep_runs", "allow_incomplete"];
    check_bless(matches)?;
    if typed("ratchet") && !matches.contains_id("known_failures") {
        return Err("`--ratchet` keeps a list up to date: it needs `--known-failures`".to_owned());
    }
    if typed("shard_history") && !matches.contains_id("shard") {
        return Err("`--shard-history` says how files are shared out: it needs `--shard`".to_owned());
    }
    if typed("shard") && matches.get_flag("exact") {
        return Err("`--exact` names the files to run, so it cannot be used with `--shard`".to_owned());
    }
    match names.into_iter().find(|name| !shared && typed(name)) {
        Some(name) => Err(format!("`--{}` is for parallel runs: it needs `--parallel`", name.replace('_', "-"))),
        None => Ok(()),
    }
}

/// Refuses `--bless-errors` without `--bless`; its variable is accepted. Also refuses `--bless check`, which is a filter after
/// `--bless` and would rewrite files.
pub(crate) fn check_bless(matches: &ArgMatches) -> Result<(), String> {
    if any_typed(matches, &["bless_errors"]) && !matches.contains_id("bless") {
        return Err("`--bless-errors` says what `--bless` may write: it needs `--bless` too".to_owned());
    }
    let raw = |id| matches.try_get_raw(id).ok().flatten().into_iter().flatten();
    let is_bare = any_typed(matches, &["bless"]) && raw("bless").eq(["1"]);
    let mut filters = raw("filter").chain(raw("more_filters")).filter_map(|word| word.to_str());
    match filters.find(|word| is_bare && ["check", "review"].contains(word)) {
        Some(word) => Err(format!(
            "`--bless {word}` would rewrite the files whose name contains `{word}`: write `--bless={word}`, or `*{word}*` for \
             these files"
        )),
        None => Ok(()),
    }
}

/// The number of threads: the flag, libtest's variable, or the number of processors.
fn threads(flag: Option<usize>) -> Result<usize, String> {
    match (flag, std::env::var("RUST_TEST_THREADS")) {
        (Some(count), _) => Ok(count),
        (None, Ok(text)) => {
            number::positive(&text).map_err(|why| format!("`RUST_TEST_THREADS` is `{text}`, but {why}"))
        }
        (None, Err(_)) => Ok(std::thread::available_parallelism().map_or(1, usize::from)),
    }
}

/// The seed to shuffle by, if the order is shuffled at all.
fn shuffle_seed(flag: bool, seed: Option<u64>) -> Result<Option<u64>, String> {
    if seed.is_some() {
        return Ok(seed);
    }
    if let Ok(text) = std::env::var("RUST_TEST_SHUFFLE_SEED") {
        let seed = number::whole(&text).map(Some);
        return seed.map_err(|why| format!("`RUST_TEST_SHUFFLE_SEED` is `{text}`, but {why}"));
    }
    let wanted = flag || std::env::var_os("RUST_TEST_SHUFFLE").is_some_and(|value| value != "0");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Ok(wanted.then(|| u64::from(now.subsec_nanos())))
}

#[cfg(test)]
mod tests;
