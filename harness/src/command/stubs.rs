//! `slt stubs`: a Rust function for each test file.

use std::path::PathBuf;

use clap::Args;

use super::complain;
use crate::config;
use crate::suite::{Suite, stubs};
use crate::summary::ExitStatus;

/// The flags of `slt stubs`.
#[derive(Debug, Args)]
pub(super) struct Flags {
    /// Folder with test files, or one such file (repeatable)
    #[arg(long = "root", value_name = "PATH", env = "SLT_CORPUS")]
    roots: Vec<PathBuf>,

    /// Where to write; the test target takes it in with `include!("slt/stubs.rs");`
    #[arg(long, value_name = "PATH", default_value = "tests/slt/stubs.rs")]
    output: PathBuf,

    /// Write nothing, and fail if the file is not up to date
    #[arg(long)]
    check: bool,
}

/// Writes the stubs, or checks that they are up to date.
pub(super) fn run(flags: &Flags, suite: Suite) -> ExitStatus {
    let suite = if flags.roots.is_empty() { suite } else { Suite::from_roots(config::roots(flags.roots.clone())) };
    let files = match suite.discover() {
        Ok(files) => files,
        Err(error) => return complain(&error.to_string(), ExitStatus::Usage),
    };
    let (path, source) = (flags.output.display(), stubs(&files));
    let count = format!("{} file{}", files.len(), if files.len() == 1 { "" } else { "s" });
    let present = std::fs::read_to_string(&flags.output);
    if flags.check {
        return match present {
            Ok(present) if present == source => ExitStatus::Passed,
            Ok(_) => complain(&format!("`{path}` is not up to date: run `slt stubs`"), ExitStatus::Failed),
            Err(error) => complain(&format!("cannot read `{path}`: {error}; run `slt stubs`"), ExitStatus::Failed),
        };
    }
    if present.is_ok_and(|present| present == source) {
        say!("`{path}` is up to date: {count}");
        return ExitStatus::Passed;
    }
    let folder = flags.output.parent().map_or(Ok(()), std::fs::create_dir_all);
    match folder.and_then(|()| std::fs::write(&flags.output, source)) {
        Ok(()) => {
            say!("wrote `{path}`: {count}");
            ExitStatus::Passed
        }
        Err(error) => complain(&format!("cannot write `{path}`: {error}"), ExitStatus::Broken),
    }
}
