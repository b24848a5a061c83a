//! The flags of runs that are shared over processes.

use std::ffi::OsString;
use std::fmt;
use std::time::Duration;

use clap::Args;
use clap::builder::{FalseyValueParser, OsStringValueParser, TypedValueParser};

use super::number::{seconds, whole};

/// The flags of a parallel run, as they are typed.
#[derive(Debug, Clone, Args)]
pub struct ParallelFlags {
    /// Share the files with all processes that use the same queue: join its run, or start one
    #[arg(long, env = "SLT_PARALLEL", value_parser = FalseyValueParser::new(), help_heading = PARALLEL)]
    pub(super) parallel: bool,

    /// Start and supervise N worker processes; without a number, one for each processor
    #[arg(long, value_name = "N", env = "SLT_WORKERS", num_args = 0..=1, default_missing_value = "cores",
          value_parser = workers, allow_negative_numbers = true, help_heading = PARALLEL)]
    pub(super) workers: Option<u32>,

    /// The queue of the run: the path of a file (default: `queue` in the results folder), or `postgres://…` for several
    /// machines. Put a URL with a password into the variable, because every user of the machine can read command lines
    #[arg(long, value_name = "QUEUE", env = "SLT_QUEUE", value_parser = OsStringValueParser::new().map(Typed),
          hide_env_values = true, help_heading = PARALLEL)]
    pub(super) queue: Option<Typed>,

    /// Start or join the run with this id, and no other
    #[arg(long, value_name = "ID", env = "SLT_RUN_ID", value_parser = run_id, help_heading = PARALLEL)]
    pub(super) run_id: Option<String>,

    /// The version of the engine, if the engine cannot report it or each machine builds its own program: only processes
    /// with the same version share a run [default: what the engine reports, or the build of this program]
    #[arg(long, value_name = "TEXT", env = "SLT_ENGINE_VERSION", help_heading = PARALLEL)]
    pub(super) engine_version: Option<String>,

    /// How many runs to keep on the server of the queue: the latest ones [default: 20]
    #[arg(long, value_name = "N", env = "SLT_KEEP_RUNS", default_value = "20", hide_default_value = true,
          value_parser = whole::<usize>, allow_negative_numbers = true, help_heading = PARALLEL)]
    pub(super) keep_runs: usize,

    /// Continue a run that was left incomplete, instead of starting a new one
    #[arg(long, env = "SLT_RESUME", value_parser = FalseyValueParser::new(), help_heading = PARALLEL)]
    pub(super) resume: bool,

    /// Start no further file after this many seconds; running files finish
    #[arg(long, visible_alias = "time", value_name = "SECS", env = "SLT_TIME_BUDGET", value_parser = seconds, allow_negative_numbers = true,
          help_heading = PARALLEL)]
    pub(super) time_budget: Option<Duration>,

    /// Exit with 0 even if files were not run
    #[arg(long, env = "SLT_ALLOW_INCOMPLETE", value_parser = FalseyValueParser::new(), help_heading = PARALLEL)]
    pub(super) allow_incomplete: bool,

    /// Run a file that failed again, up to N times; if it passes then, it is `flaky`
    #[arg(long, value_name = "N", env = "SLT_RETRIES", default_value = "0", hide_default_value = true,
          value_parser = whole::<u32>, allow_negative_numbers = true, help_heading = PARALLEL)]
    pub(super) retries: u32,

    /// Run a file again whose process crashed, up to N times [default: 1]
    #[arg(long, value_name = "N", env = "SLT_CRASH_RETRIES", default_value = "1", hide_default_value = true,
          value_parser = whole::<u32>, allow_negative_numbers = true, help_heading = PARALLEL)]
    pub(super) crash_retries: u32,

    /// Run the whole suite N times, or until the time budget is used up (`until-budget`)
    #[arg(long, value_name = "N", env = "SLT_REPEAT", value_parser = repeat, allow_negative_numbers = true, help_heading = PARALLEL)]
    pub(super) repeat: Option<Repeat>,

    /// Shuffle files of equal rank (failed last time, new or changed, others) by this seed, instead of the longest
    /// first
    #[arg(long, value_name = "SEED", env = "SLT_SEED", value_parser = whole::<u64>, allow_negative_numbers = true,
          help_heading = PARALLEL)]
    pub(super) seed: Option<u64>,

    /// Limit the address space of each worker, such as `512M` or `4G`
    #[arg(long, value_name = "SIZE", env = "SLT_MEMORY_LIMIT", value_parser = size, help_heading = PARALLEL)]
    pub(super) memory_limit: Option<u64>,

    /// Run only as many files at once as fit into this much memory, such as `16G`, by their peaks in past runs
    #[arg(long, value_name = "SIZE", env = "SLT_RUN_MEMORY", value_parser = size, help_heading = PARALLEL)]
    pub(super) run_memory: Option<u64>,
}

pub(super) const PARALLEL: &str = "Parallel runs";

/// What the user typed for a queue. Never shown: it may contain a password.
#[derive(Clone)]
pub struct Typed(pub(super) OsString);

impl fmt::Debug for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// How many passes over the suite the run makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// This number of passes.
    Times(u32),
    /// As many as fit into the time budget.
    UntilBudget,
}

fn repeat(text: &str) -> Result<Repeat, String> {
    match text {
        "until-budget" => Ok(Repeat::UntilBudget),
        text => match text.parse() {
            Ok(0) => Err("must be at least 1".to_owned()),
            Ok(times) => Ok(Repeat::Times(times)),
            Err(_) => Err("neither a number nor `until-budget`".to_owned()),
        },
    }
}

/// The most workers that one supervisor starts.
const MOST_WORKERS: u32 = 1024;

fn workers(text: &str) -> Result<u32, String> {
    if text == "cores" {
        return Ok(cores());
    }
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(count) if count > MOST_WORKERS => Err(format!("must be at most {MOST_WORKERS}")),
        Ok(count) => Ok(count),
        Err(_) => Err("not a number of processes".to_owned()),
    }
}

/// The number of processors.
pub(crate) fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1))
}

fn run_id(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    match text.len() {
        1..=100 if text.chars().all(fits) => Ok(text.to_owned()),
        _ => Err("an id is up to 100 letters, digits, `-`, `_` and `.`".to_owned()),
    }
}

/// Reads a size in bytes: a number, with K, M or G for powers of 1024.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let upper = text.to_ascii_uppercase();
    let short = upper.trim_end_matches("IB").trim_end_matches('B');
    let (digits, factor) = match short.strip_suffix(['K', 'M', 'G']) {
        None => (short, 1),
        Some(digits) => (
            digits,
            match short.as_bytes()[digits.len()] {
                b'K' => 1 << 10,
                b'M' => 1 << 20,
                _ => 1 << 30,
            },
        ),
    };
    let size = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).filter(|size| *size > 0);
    size.ok_or_else(|| "not a size such as `512M` or `4G`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("4096"), Ok(4096));
        assert_eq!(size("2k"), Ok(2048));
        assert_eq!(size("512M"), Ok(512 << 20));
        assert_eq!(size("4GiB"), Ok(4 << 30));
        for wrong in ["", "M", "0", "-1", "x", "99999999999G", "1.5G"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn repetitions_and_workers_are_at_least_one() {
        assert_eq!((repeat("3"), repeat("until-budget")), (Ok(Repeat::Times(3)), Ok(Repeat::UntilBudget)));
        assert!(repeat("0").is_err() && repeat("x").is_err());
        assert_eq!(workers("8"), Ok(8));
        assert!(workers("0").is_err() && workers("-1").is_err() && workers("2000").is_err());
        assert!(run_id("ci-4.2_x").is_ok() && run_id("a b").is_err() && run_id("").is_err());
    }
}
