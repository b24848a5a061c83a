//! `slt merge`: the results of several machines as one.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{complain, is_stdout, print_json};
use crate::history::History;
use crate::outcome::Results;
use crate::report::files::{self, Folder};
use crate::report::merge::{Merged, merge};
use crate::report::status::Status;
use crate::report::table;
use crate::report::words::first_line;
use crate::run::with_causes;
use crate::summary::ExitStatus;

/// The flags of `slt merge`.
#[derive(Debug, Args)]
pub(super) struct MergeFlags {
    /// The `results.json` of each machine
    #[arg(required = true, value_name = "FILES")]
    files: Vec<PathBuf>,

    /// Write the results of all to this file, `-` for standard output; the summary then goes to standard error
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Write all files that a run writes to this folder: `results.json`, `junit.xml` and so on
    #[arg(long, value_name = "DIR")]
    results: Option<PathBuf>,

    /// Only take results of the run with this id, so that none of an earlier run is taken by mistake
    #[arg(long, value_name = "ID")]
    run_id: Option<String>,

    /// Exit with 0 even if files were not run; a missing shard is still a failure
    #[arg(long)]
    allow_incomplete: bool,
}

/// How many of a merge's defects are listed.
const MOST_DEFECTS: usize = 10;

/// How many failing files are listed.
const MOST_FILES: usize = 20;

/// Merges the files, prints the summary, and writes the result. If the files are not the parts of one run, nothing is written.
pub(super) fn run(flags: &MergeFlags) -> ExitStatus {
    let read = |path: &PathBuf| Results::read(path).map(|results| (path.display().to_string(), results));
    let parts = match flags.files.iter().map(read).collect::<Result<Vec<_>, _>>() {
        Ok(parts) => parts,
        Err(error) => return complain(&with_causes(&error), ExitStatus::Broken),
    };
    let other = |(_, part): &&(String, Results)| flags.run_id.as_ref().is_some_and(|id| *id != part.run_id);
    if let Some((name, part)) = parts.iter().find(other) {
        let id = first_line(&part.run_id, 100);
        return complain(&format!("`{name}` is of run `{id}`: nothing was written"), ExitStatus::Broken);
    }
    let merged = merge(parts);
    let defects = &merged.summary.defects;
    for defect in defects.iter().take(MOST_DEFECTS) {
        note!("error: {defect}");
    }
    if !defects.is_empty() {
        if defects.len() > MOST_DEFECTS {
            note!("error: … and {} more of this kind", defects.len() - MOST_DEFECTS);
        }
        return complain("these are not the parts of one run: nothing was written", ExitStatus::Broken);
    }
    let prints_results = flags.output.as_deref().is_some_and(is_stdout);
    let tell = |words: &str| if prints_results { note!("{words}") } else { say!("{words}") };
    tell(table::by_category(&merged.summary).trim_end());
    let files = Status::new(&merged.results, Vec::new()).files(MOST_FILES);
    if !files.is_empty() {
        tell(files.trim_end());
    }
    merged.missing().iter().for_each(|line| note!("error: {line}"));
    match write(flags, &merged) {
        Ok(written) => {
            written.iter().for_each(|path| tell(&format!("wrote `{}`", path.display())));
            merged.exit_status(flags.allow_incomplete)
        }
        // The user wants the files: if they cannot be written, the merge is not a success.
        Err(message) => complain(&message, ExitStatus::Broken),
    }
}

fn write(flags: &MergeFlags, merged: &Merged) -> Result<Vec<PathBuf>, String> {
    let mut written = Vec::new();
    let failed = |path: &Path, error| format!("cannot write `{}`: {error}", path.display());
    match &flags.output {
        Some(path) if is_stdout(path) => {
            print_json(&merged.results).map_err(|error| with_causes(&error))?;
        }
        Some(path) => {
            super::write(path, &files::json(&merged.results)).map_err(|error| with_causes(&error))?;
            written.push(path.clone());
        }
        None => {}
    }
    if let Some(path) = &flags.results {
        let folder = Folder::lock(path).map_err(|error| failed(path, error))?;
        let all = folder.write(&merged.results);
        if !all.complaints.is_empty() {
            return Err(all.complaints.join("; "));
        }
        written.extend(all.files);
        written.push(remember(path, merged).map_err(|error| failed(path, error))?);
    }
    Ok(written)
}

/// Adds the outcomes to the history in a folder, so that the next run can be split by it; returns its path.
fn remember(folder: &Path, merged: &Merged) -> io::Result<PathBuf> {
    let history = History::read(folder)?;
    let mut log = history.log()?;
    merged.results.outcomes.iter().try_for_each(|outcome| log.append_foreign(outcome))?;
    Ok(history.path().to_path_buf())
}
