//! The flags of the test binary, libtest's and ours, each of ours with its environment variable.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::FalseyValueParser;

use super::parallel::ParallelFlags;
use super::seconds;

/// The flags of a test binary, as they are typed.
#[derive(Debug, Clone, Args)]
pub struct Flags {
    #[command(flatten)]
    pub(super) libtest: libtest_mimic::Arguments,

    /// More filters: a file runs if its name contains any of them
    #[arg(value_name = "FILTERS", index = 2)]
    pub(super) more_filters: Vec<String>,

    /// Accepted for libtest's sake: nothing is captured in one process
    #[arg(long)]
    pub(super) no_capture: bool,

    /// Show each file's time
    #[arg(long, value_name = "STYLE", num_args = 0..=1, default_missing_value = "plain", require_equals = true)]
    pub(super) report_time: Option<String>,

    /// Run files in random order
    #[arg(long)]
    pub(super) shuffle: bool,

    /// Run files in the random order of this seed
    #[arg(long, value_name = "SEED")]
    pub(super) shuffle_seed: Option<u64>,

    /// Stop at the first record that fails, and begin no further file
    #[arg(long, env = "SQLLOGICTEST_FAIL_FAST", value_parser = FalseyValueParser::new(), help_heading = OURS)]
    pub(super) fail_fast: bool,

    /// Folder with test files, or one such file, instead of the suite's own (repeatable)
    #[arg(long = "root", value_name = "PATH", env = "SLT_CORPUS", value_delimiter = ':', help_heading = OURS)]
    pub(super) roots: Vec<PathBuf>,

    /// Filters where none are typed, separated by commas
    #[arg(long = "files", value_name = "FILTERS", env = "SQLLOGICTEST_FILES", value_delimiter = ',', help_heading = OURS)]
    pub(super) files: Vec<String>,

    /// How long one file may take, in seconds
    #[arg(long, value_name = "SECS", env = "SQLLOGICTEST_FILE_TIMEOUT", value_parser = seconds, allow_negative_numbers = true, help_heading = OURS)]
    pub(super) file_timeout: Option<Duration>,

    /// How long one record may take, in seconds
    #[arg(long, value_name = "SECS", env = "SQLLOGICTEST_QUERY_TIMEOUT", value_parser = seconds, allow_negative_numbers = true, help_heading = OURS)]
    pub(super) query_timeout: Option<Duration>,

    /// A further name that `skipif` and `onlyif` know the engine by (repeatable)
    #[arg(long = "label", value_name = "NAME", env = "SQLLOGICTEST_LABELS", value_delimiter = ',', help_heading = OURS)]
    pub(super) labels: Vec<String>,

    /// Let `system` records run commands
    #[arg(long, env = "SQLLOGICTEST_ALLOW_SYSTEM", value_parser = FalseyValueParser::new(), help_heading = OURS)]
    pub(super) allow_system: bool,

    /// Let `control substitution on` see environment variables
    #[arg(long, env = "SQLLOGICTEST_ALLOW_ENV", value_parser = FalseyValueParser::new(), help_heading = OURS)]
    pub(super) allow_env: bool,

    /// Write the results as one HTML page too: `report.html` in the folder for results
    #[arg(long, env = "SQLLOGICTEST_REPORT", value_parser = FalseyValueParser::new(), help_heading = OURS)]
    pub(super) report: bool,

    /// Folder for results, history, logs and queue; default: `slt` in cargo's target folder
    #[arg(long, value_name = "DIR", env = "SLT_RESULTS", help_heading = OURS)]
    pub(super) results: Option<PathBuf>,

    #[command(flatten)]
    pub(super) parallel: ParallelFlags,
}

const OURS: &str = "SQLLogicTest options";
