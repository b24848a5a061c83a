//! `slt stubs`: a Rust function for each test file.

use std::path::{Path, PathBuf};

use clap::Args;

use super::complain;
use crate::config;
use crate::suite::{Suite, stubs};
use crate::summary::ExitStatus;

/// The flags of `slt stubs`.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// Folder with test files, or one such file (repeatable)
    #[arg(long = "root", value_name = "PATH", env = "SLT_CORPUS")]
    roots: Vec<PathBuf>,

    /// Where to write; the test target includes it with `include!("slt/stubs.rs");`. Default: `tests/TARGET/stubs.rs`
    #[arg(long, value_name = "PATH")]
    output: Option<PathBuf>,

    /// Write nothing, and fail if the file is not up to date
    #[arg(long)]
    check: bool,
}

/// Writes the stubs of the test target `test`, or checks that they are up to date.
pub(crate) fn run(flags: &Flags, suite: Suite, test: &str) -> ExitStatus {
    let suite = if flags.roots.is_empty() { suite } else { suite.at(config::roots(flags.roots.clone())) };
    let output = flags.output.clone().unwrap_or_else(|| Path::new("tests").join(test).join("stubs.rs"));
    let files = match suite.discover() {
        Ok(files) => files,
        Err(error) => return complain(&error.to_string(), ExitStatus::Usage),
    };
    let (path, source) = (output.display(), stubs(&files));
    let count = format!("{} file{}", files.len(), if files.len() == 1 { "" } else { "s" });
    let present = std::fs::read_to_string(&output);
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
    let folder = output.parent().map_or(Ok(()), std::fs::create_dir_all);
    match folder.and_then(|()| std::fs::write(&output, source)) {
        Ok(()) => {
            say!("wrote `{path}`: {count}");
            ExitStatus::Passed
        }
        Err(error) => complain(&format!("cannot write `{path}`: {error}"), ExitStatus::Broken),
    }
}
