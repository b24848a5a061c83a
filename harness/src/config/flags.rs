//! The flags of the test binary: libtest's, and our own, most of which have an environment variable.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::FalseyValueParser;

use super::chosen;
use super::headings::{EXPECTED, HOW, OUTPUT, SETTINGS, WHICH};
use super::number::{milliseconds, positive, seconds, whole};
use super::parallel::ParallelFlags;
use super::reference::ReferenceFlag;
use super::secret::{ENGINE, Secret, secret};
use crate::dialect::Dialect;
use crate::engine::Choice;
use crate::outcome::Shard;
use crate::trial::{Bless, How, Options, Tags};

/// The flags of a test binary, as they are typed.
#[derive(Debug, Clone, Args)]
pub struct Flags {
    #[command(flatten)]
    pub(super) libtest: libtest_mimic::Arguments,

    // The first filter is libtest's.
    /// Run only files whose name contains one of these
    #[arg(value_name = "FILTERS", index = 2)]
    pub(super) more_filters: Vec<String>,

    /// Accepted for libtest's sake: nothing is captured in one process
    #[arg(long)]
    pub(super) no_capture: bool,

    /// Show each file's time
    #[arg(long, value_name = "STYLE", num_args = 0..=1, default_missing_value = "plain", require_equals = true)]
    pub(super) report_time: Option<String>,

    /// Show where the run spent its time: in the engine, in the harness, in each worker
    #[arg(long, env = "SLT_TIMINGS", value_parser = FalseyValueParser::new(), help_heading = OUTPUT)]
    pub(super) timings: bool,

    /// Run files in random order
    #[arg(long)]
    pub(super) shuffle: bool,

    /// Run files in the random order of this seed
    #[arg(long, value_name = "SEED", value_parser = whole::<u64>, allow_negative_numbers = true)]
    pub(super) shuffle_seed: Option<u64>,

    /// Folder with test files, or one such file, instead of the suite's own (repeatable); a value that is not a path is a list
    /// separated by `:`
    #[arg(long = "root", value_name = "PATH", env = "SLT_CORPUS", help_heading = WHICH)]
    pub(super) roots: Vec<PathBuf>,

    /// The profile of `slt.toml` to use; its settings override those at the top of the file
    #[arg(long, value_name = "NAME", env = "SLT_PROFILE", help_heading = SETTINGS)]
    pub(super) profile: Option<String>,

    /// Show the settings that are in force, each with where it comes from, and run nothing
    #[arg(long, help_heading = SETTINGS)]
    pub(crate) show_config: bool,

    /// Run only the files that failed when they last ran; filters choose among these
    #[arg(long, env = "SLT_FAILED", value_parser = FalseyValueParser::new(), help_heading = WHICH)]
    pub(super) failed: bool,

    /// Run only files whose content, includes counted, has changed since they last passed, and those that never passed;
    /// with `--failed`, also those that failed
    #[arg(long, env = "SLT_CHANGED", value_parser = FalseyValueParser::new(), help_heading = WHICH)]
    pub(super) changed: bool,

    /// Filters, separated by commas, for when none are typed
    #[arg(long = "files", value_name = "FILTERS", env = "SLT_FILES", help_heading = WHICH)]
    pub(super) files: Vec<String>,

    /// Run only the K-th of N parts of the files, as one of N machines that share them; `slt merge` joins their results
    #[arg(long, value_name = "K/N", env = "SLT_SHARD", help_heading = WHICH)]
    pub(super) shard: Option<Shard>,

    /// With `--shard`: split the files by this history, not by the one in the results folder
    #[arg(long, value_name = "FILE", env = "SLT_SHARD_HISTORY", help_heading = WHICH)]
    pub(super) shard_history: Option<PathBuf>,

    /// Also write the results as an HTML page: `report.html` in the results folder
    #[arg(long, env = "SLT_REPORT", value_parser = FalseyValueParser::new(), help_heading = OUTPUT)]
    pub(super) report: bool,

    /// Folder for results, history, logs and the queue; default: `slt/PACKAGE/TARGET` in cargo's target folder
    #[arg(long, value_name = "DIR", env = "SLT_RESULTS", help_heading = OUTPUT)]
    pub(super) results: Option<PathBuf>,

    /// After the first Ctrl-C: how many seconds running files have to finish before they are abandoned [default: 10]
    #[arg(long, value_name = "SECS", env = "SLT_INTERRUPT_GRACE", value_parser = seconds, default_value = "10",
          hide_default_value = true, allow_negative_numbers = true, help_heading = HOW)]
    pub(super) interrupt_grace: Duration,

    #[command(flatten)]
    pub(super) trial: TrialFlags,

    #[command(flatten)]
    pub(super) reference: ReferenceFlag,

    #[command(flatten)]
    pub(super) known: KnownFlags,

    #[command(flatten)]
    pub(super) parallel: ParallelFlags,
}

/// The flags of the list of known failures.
#[derive(Debug, Clone, Args)]
pub struct KnownFlags {
    /// List of known failures (TOML): a listed file or record that fails does not fail the run; one that passes does
    #[arg(long, value_name = "FILE", env = "SLT_KNOWN_FAILURES", help_heading = EXPECTED)]
    pub(super) known_failures: Option<PathBuf>,

    /// With `--known-failures`: remove from the list what passes now, instead of failing the run
    #[arg(long, env = "SLT_RATCHET", value_parser = FalseyValueParser::new(), help_heading = EXPECTED)]
    pub(super) ratchet: bool,

    /// Write what fails in this run to a first list of known failures
    #[arg(long, value_name = "FILE", env = "SLT_WRITE_KNOWN_FAILURES", help_heading = EXPECTED)]
    pub(super) write_known_failures: Option<PathBuf>,
}

/// The flags of commands that run a script.
#[derive(Debug, Clone, Args)]
pub struct TrialFlags {
    /// The engine to run the files on: `sqlite`, `postgres://…`, `mysql://…` or `external:COMMAND`. Put a URL with a
    /// password into the variable, because every user of the machine can read command lines
    #[arg(long, value_name = "ENGINE", env = ENGINE, value_parser = secret, hide_env_values = true, help_heading = HOW)]
    pub(super) engine: Option<Secret>,

    #[arg(long, help = Dialect::help(), value_name = "NAME", env = "SLT_DIALECT", help_heading = HOW)]
    pub(crate) dialect: Option<Dialect>,

    /// Keep the database of a file that fails on the server, and print its name; `slt clean` drops it
    #[arg(long, env = "SLT_KEEP_DB_ON_FAILURE", value_parser = FalseyValueParser::new(), help_heading = HOW)]
    pub(super) keep_db_on_failure: bool,

    /// With a filter such as `joins.slt:12`: run that record alone, and not the records before it
    #[arg(long, env = "SLT_ONLY", value_parser = FalseyValueParser::new(), help_heading = WHICH)]
    pub(crate) only: bool,

    /// Stop at the first record that fails and is not a known failure, and start no further file
    #[arg(long, env = "SLT_FAIL_FAST", value_parser = FalseyValueParser::new(), help_heading = HOW)]
    pub(super) fail_fast: bool,

    /// Time limit for one file, in seconds
    #[arg(long, value_name = "SECS", env = "SLT_FILE_TIMEOUT", value_parser = seconds, allow_negative_numbers = true, help_heading = HOW)]
    pub(super) file_timeout: Option<Duration>,

    /// Time limit for one record, in seconds
    #[arg(long, value_name = "SECS", env = "SLT_QUERY_TIMEOUT", value_parser = seconds, allow_negative_numbers = true, help_heading = HOW)]
    pub(super) query_timeout: Option<Duration>,

    /// The same in milliseconds, as earlier tools have it in the environment
    #[arg(long, value_name = "MS", env = "SLT_QUERY_TIMEOUT_MS", value_parser = milliseconds, hide = true, allow_negative_numbers = true)]
    pub(super) query_timeout_ms: Option<Duration>,

    /// Another name of the engine for `skipif` and `onlyif` (repeatable)
    #[arg(long = "label", value_name = "NAME", env = "SLT_LABELS", value_delimiter = ',', help_heading = HOW)]
    pub(super) labels: Vec<String>,

    /// Allow `system` records to run commands
    #[arg(long, env = "SLT_ALLOW_SYSTEM", value_parser = FalseyValueParser::new(), help_heading = HOW)]
    pub(super) allow_system: bool,

    /// Allow `control substitution on` to read environment variables
    #[arg(long, env = "SLT_ALLOW_ENV", value_parser = FalseyValueParser::new(), help_heading = HOW)]
    pub(super) allow_env: bool,

    /// How many records a file of DuckDB's dialect may run, those in loops counted in each pass [default: 10000000]
    #[arg(long, value_name = "N", env = "SLT_MAX_RECORDS", value_parser = positive::<u64>, allow_negative_numbers = true, help_heading = HOW)]
    pub(super) max_records: Option<u64>,

    /// For DuckDB's dialect: accept what DuckDB's own runner accepts without a check
    #[arg(long, env = "SLT_LENIENT", value_parser = FalseyValueParser::new(), help_heading = HOW)]
    pub(super) lenient: bool,

    /// Of the files in DuckDB's dialect, run only those with all of these tags, separated by commas; if repeated, those
    /// with all tags of any list
    #[arg(long, value_name = "TAGS", env = "SLT_SELECT_TAGS", value_delimiter = ';', help_heading = WHICH)]
    pub(super) select_tags: Vec<String>,

    /// Leave out files in DuckDB's dialect with all of these tags, separated by commas (repeatable)
    #[arg(long, value_name = "TAGS", env = "SLT_SKIP_TAGS", value_delimiter = ';', help_heading = WHICH)]
    pub(super) skip_tags: Vec<String>,

    /// Write the actual results of failing records into the files; `check` only shows the changes, and `review` writes
    /// them to `FILE.new` for `slt review`
    #[arg(long, value_name = "check|review", env = "SLT_BLESS", num_args = 0..=1, default_missing_value = "1",
          require_equals = true, value_parser = bless, help_heading = EXPECTED)]
    pub(super) bless: Option<Blessing>,

    /// With `--bless`: write errors into the files too
    #[arg(long, env = "SLT_BLESS_ERRORS", value_parser = FalseyValueParser::new(), help_heading = EXPECTED)]
    pub(super) bless_errors: bool,
}

impl TrialFlags {
    /// The engine that the user names, if any.
    pub(crate) fn engine(&self) -> Result<Option<Choice>, String> {
        self.engine.as_ref().map(chosen).transpose()
    }

    /// Whether errors are written as expected, too.
    pub(crate) fn writes_errors(&self) -> bool {
        self.bless_errors
    }

    /// What a trial may do, as far as these flags decide it.
    pub(crate) fn options(self) -> Options {
        let how = self.bless.and_then(|Blessing(how)| how);
        Options {
            fail_fast: self.fail_fast,
            file_timeout: self.file_timeout,
            query_timeout: self.query_timeout.or(self.query_timeout_ms),
            allow_system: self.allow_system,
            allow_env: self.allow_env,
            labels: self.labels,
            max_records: self.max_records,
            lenient: self.lenient,
            tags: Tags { select: Tags::sets(self.select_tags), skip: Tags::sets(self.skip_tags) },
            keep_database: self.keep_db_on_failure,
            bless: how.map(|how| Bless { how, errors: self.bless_errors, fill: None }),
            ..Options::default()
        }
    }
}

/// How expectations are rewritten, if they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Blessing(Option<How>);

/// Reads `check`, `review`, or the words that clap accepts for true and false in the variables of other flags.
fn bless(text: &str) -> Result<Blessing, String> {
    match text.to_ascii_lowercase().as_str() {
        "check" => Ok(Blessing(Some(How::Check))),
        "review" => Ok(Blessing(Some(How::Review))),
        "1" | "true" | "yes" | "y" | "on" | "t" => Ok(Blessing(Some(How::Write))),
        "" | "0" | "false" | "no" | "n" | "off" | "f" => Ok(Blessing(None)),
        _ => Err("`--bless` takes no value, or `--bless=check` or `--bless=review`".to_owned()),
    }
}

/// The folders that `--root` or `SLT_CORPUS` names. Each value is one path if that path exists, otherwise paths joined by `:`.
pub(crate) fn roots(values: Vec<PathBuf>) -> Vec<PathBuf> {
    let paths = |value: PathBuf| {
        let parts: Vec<PathBuf> = match value.to_str() {
            Some(text) if !value.exists() => text.split(':').filter(|part| !part.is_empty()).map(Into::into).collect(),
            _ => Vec::new(),
        };
        // If none of them exists, an error must name the whole value.
        if parts.iter().any(|part| part.exists()) { parts } else { vec![value] }
    };
    values.into_iter().flat_map(paths).collect()
}

/// The filters in a comma-separated list. Commas in parentheses do not separate: `a.test:12(i=3, j=2)` is one filter.
pub(super) fn filters(list: &str) -> Vec<&str> {
    let (mut filters, mut start, mut at) = (Vec::new(), 0, 0);
    while let Some(found) = list[at..].find([',', '(']) {
        let here = at + found;
        at = here + 1;
        if list[here..].starts_with('(') {
            at += list[at..].find(')').map_or(0, |end| end + 1);
            continue;
        }
        filters.push(&list[start..here]);
        start = at;
    }
    filters.push(&list[start..]);
    filters.into_iter().map(str::trim).filter(|filter| !filter.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_in_parentheses_is_part_of_a_filter() {
        assert_eq!(filters("a, b ,,c"), ["a", "b", "c"]);
        assert_eq!(filters("a.test:12(i=3, j=2),b.test:7(k=1)"), ["a.test:12(i=3, j=2)", "b.test:7(k=1)"]);
        assert_eq!(filters("a(b,c"), ["a(b", "c"]);
        assert_eq!(filters(" , "), [""; 0]);
    }

    #[test]
    fn a_root_may_have_a_colon_in_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["a", "b", "c:d"] {
            std::fs::create_dir(path(name)).unwrap();
        }
        let list = |names: [&str; 2]| names.map(|name| path(name).display().to_string()).join(":").into();
        assert_eq!(roots(vec![path("c:d")]), [path("c:d")]);
        assert_eq!(roots(vec![list(["a", "b"])]), [path("a"), path("b")]);
        assert_eq!(roots(vec![list(["a", "x"]), path("c:d")]), [path("a"), path("x"), path("c:d")]);
        assert_eq!(roots(vec![path("x:y")]), [path("x:y")]);
    }
}
