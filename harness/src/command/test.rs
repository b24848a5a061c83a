//! `slt test FILE`: one file, every record shown.

use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::complain;
use crate::config::{self, TrialFlags};
use crate::crash;
use crate::engine::Engine;
use crate::environment;
use crate::report::transcript::Transcript;
use crate::suite::{Suite, SuiteError, TestFile};
use crate::summary::ExitStatus;
use crate::trial::{self, Options};

/// The flags of `slt test`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct TestFlags {
    /// The file: a path from the current folder, or else a name below the root
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Folder in which the name is looked up, and out of which no `include` leads (repeatable). For a path that is not in
    /// the suite, that folder is the current one, if the path leads down from there, or else the file's own
    #[arg(long = "root", value_name = "PATH", env = "SLT_CORPUS")]
    roots: Vec<PathBuf>,

    #[command(flatten)]
    trial: TrialFlags,
}

const EXAMPLES: &str = "\
Examples:
  slt test select/joins.test                  by its name below the root
  slt test ../mine/new.slt --bless=check      by its path; shows what `--bless` would change
  slt test ../mine/new.slt --bless

Exit codes: 0 the file passed; 101 it failed; 2 the command line or a variable cannot be used.";

/// Runs the file and shows each record as it ends.
pub(super) fn test(suite: Suite, engine: &Arc<dyn Engine>, flags: TestFlags) -> ExitStatus {
    let suite = if flags.roots.is_empty() { suite } else { suite.at(config::roots(flags.roots)) };
    let suite = match flags.trial.dialect {
        Some(dialect) => suite.all_in(dialect),
        None => suite,
    };
    let file = match find(&flags.file, &suite) {
        Ok(file) => file,
        Err(message) => return complain(&message, ExitStatus::Usage),
    };
    let chosen = match flags.trial.engine().map(|choice| choice.map(|choice| choice.engine()).transpose()) {
        Ok(Ok(chosen)) => chosen,
        Ok(Err(error)) => return complain(&format!("`--engine`: {error}"), ExitStatus::Usage),
        Err(message) => return complain(&message, ExitStatus::Usage),
    };
    let engine = chosen.as_ref().unwrap_or(engine);
    environment::forget();
    let options = Options { whole_texts: true, ..flags.trial.options() };
    let transcript = Arc::new(Transcript::new(Box::new(anstream::stdout())));
    let _armed = crash::arm();
    let outcome = trial::run_apart(&file, engine, &options, Arc::clone(&transcript), &|| false);
    match transcript.finish(&outcome) {
        Err(error) => complain(&format!("cannot write the results: {error}"), ExitStatus::Broken),
        Ok(()) if outcome.verdict.is_failure() => ExitStatus::Failed,
        Ok(()) => ExitStatus::Passed,
    }
}

/// The test file of that path, as a part of the suite if it is one, or else of that name.
fn find(path: &Path, suite: &Suite) -> Result<TestFile, String> {
    let shown = path.display();
    let words = |error: SuiteError| error.to_string();
    match path.metadata() {
        Ok(metadata) if metadata.is_dir() => {
            Err(format!("`{shown}` is a folder: `slt run --root {shown}` runs the files in it"))
        }
        Ok(_) => {
            for root in suite.roots() {
                let one = suite.clone().at([root.clone()]);
                let name = name_below(path, root);
                if let Some(file) = name.and_then(|name| one.find(&name).transpose()) {
                    return file.map_err(words);
                }
            }
            // What is typed as a path from the current folder may include what is below that folder.
            let name = path.to_str().filter(|_| path.components().all(|part| matches!(part, Component::Normal(_))));
            if let Some(file) = name.and_then(|name| suite.clone().at([PathBuf::from(".")]).find(name).transpose()) {
                return file.map_err(words);
            }
            let alone = suite.clone().at([path.to_path_buf()]).discover().map_err(words);
            alone?.pop().ok_or_else(|| format!("`{shown}` is no test file"))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let name = path.to_str().map(|name| suite.find(name)).transpose().map_err(words)?.flatten();
            let roots: Vec<String> = suite.roots().iter().map(|root| format!("`{}`", root.display())).collect();
            let roots = roots.join(", ");
            name.ok_or_else(|| format!("no test file `{shown}`: neither a path from here nor a name below {roots}"))
        }
        Err(error) => Err(format!("cannot read `{shown}`: {error}")),
    }
}

/// The name of a file below a root, where it lies there; links in folders are followed, the file's own is not.
fn name_below(path: &Path, root: &Path) -> Option<String> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = folder.canonicalize().ok()?;
    let below = folder.strip_prefix(root.canonicalize().ok()?).ok()?.join(path.file_name()?);
    Some(below.to_str()?.replace(std::path::MAIN_SEPARATOR, "/"))
}
