//! `slt test FILE`: one file, every record shown.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::{complain, paths};
use crate::config::{self, ReferenceError, ReferenceFlag, TrialFlags, WITH_BLESS};
use crate::crash;
use crate::engine::Engine;
use crate::environment;
use crate::outcome::Verdict;
use crate::report::transcript::Transcript;
use crate::run::excerpts::excerpt;
use crate::run::{Target, around_here, colored_stdout, folder, recorded, with_causes};
use crate::suite::{Suite, TestFile, with_line};
use crate::summary::ExitStatus;
use crate::trial::{self, Options};

/// The flags of `slt test`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TestFlags {
    /// The file: a path from the current folder, or else a name below the root. `FILE:LINE` is the record in that
    /// line: the records before it run without being judged
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Folder in which the name is looked up, and which no `include` may leave (repeatable). For a path that is not
    /// in the suite, the folder is the current one if the file is below it, or else the file's own
    #[arg(long = "root", value_name = "PATH", env = "SLT_CORPUS")]
    roots: Vec<PathBuf>,

    /// Folder for results: the rows behind a hash are written to a file in it; default:
    /// `slt/PACKAGE/TARGET` in cargo's target folder
    #[arg(long, value_name = "DIR", env = "SLT_RESULTS")]
    results: Option<PathBuf>,

    #[command(flatten)]
    reference: ReferenceFlag,

    #[command(flatten)]
    trial: TrialFlags,
}

const EXAMPLES: &str = "\
Examples:
  slt test select/joins.test                by its name below the root
  slt test select/joins.test:12             the record in line 12, and what it needs
  slt test ../mine/new.slt --bless=check    by its path; shows what `--bless` would change
  slt test ../mine/new.slt --bless

Exit codes: 0 the file passed; 101 it failed; 5 nothing in it could be checked; 3 Ctrl-C
ended it before; 2 the command line or a variable cannot be used; 4 the harness could not
continue.";

/// Runs the file and shows each record as it ends.
pub(crate) fn test(target: Target, flags: TestFlags) -> ExitStatus {
    environment::warn_of_misspelt();
    let mut options = Options { whole_texts: true, ..flags.trial.clone().options() };
    target.settle(&mut options);
    let Target { suite, engine, set_up, .. } = target;
    let suite = if flags.roots.is_empty() { suite } else { suite.at(config::roots(flags.roots)) };
    let suite = match flags.trial.dialect {
        Some(dialect) => suite.all_in(dialect),
        None => suite,
    };
    let file = match chosen(&flags.file, &suite, flags.trial.only) {
        Ok(file) => file,
        Err(message) => return complain(&message, ExitStatus::Usage),
    };
    let chosen = match flags.trial.engine().map(|choice| choice.map(|choice| (choice.engine(), choice))) {
        Ok(chosen) => chosen,
        Err(message) => return complain(&message, ExitStatus::Usage),
    };
    let choice = chosen.as_ref().map(|(_, choice)| choice);
    let results = flags.results.unwrap_or_else(|| folder::of_one_file(choice));
    options.returned = Some(results.join(folder::RETURNED));
    let engine = match chosen {
        None => engine,
        Some((Ok(engine), choice)) => {
            note!("on {choice}");
            engine
        }
        Some((Err(error), _)) => return complain(&format!("`--engine`: {error}"), ExitStatus::Usage),
    };
    options.reference = match flags.reference.choice().map(|choice| choice.map(|choice| choice.reference()).transpose())
    {
        Ok(Ok(reference)) => reference,
        Ok(Err(error @ ReferenceError::Results(_))) => return complain(&with_causes(&error), ExitStatus::Broken),
        Ok(Err(error)) => return complain(&error.to_string(), ExitStatus::Usage),
        Err(message) => return complain(&message, ExitStatus::Usage),
    };
    if options.reference.is_some() && options.bless.is_some() {
        return complain(WITH_BLESS, ExitStatus::Usage);
    }
    environment::forget();
    around_here(&set_up, || show(&file, &engine, options))
}

fn show(file: &TestFile, engine: &Arc<dyn Engine>, options: Options) -> ExitStatus {
    let interruption = match super::interruption(true) {
        Ok(interruption) => interruption,
        Err(status) => return status,
    };
    if let Some(reference) = &options.reference
        && let Err(error) = reference.probe(file)
    {
        let message = format!("cannot connect to the reference {}, so the file was not run: {error}", reference.name());
        return complain(&message, ExitStatus::Broken);
    }
    if let Some(reference) = options.reference.as_ref().filter(|reference| reference.is_recorded()) {
        note!("{}", recorded(reference));
    }
    let transcript = Arc::new(Transcript::new(Box::new(colored_stdout())));
    let _armed = crash::arm();
    let options = Options { interrupts: Some(interruption.requests()), ..options };
    let is_unwanted = || interruption.is_over();
    let outcome = trial::run_compared(file, engine, &options, transcript.clone(), true, &is_unwanted, &|| {});
    match transcript.finish(&outcome) {
        Err(error) => complain(&format!("cannot write the results: {error}"), ExitStatus::Broken),
        Ok(()) if outcome.verdict.is_failure() || outcome.records.failed > 0 => ExitStatus::Failed,
        Ok(()) if interruption.is_asked_for() => ExitStatus::Incomplete,
        Ok(()) if outcome.comparison.as_ref().is_some_and(|comparison| comparison.unreachable) => ExitStatus::Broken,
        Ok(()) if matches!(outcome.verdict, Verdict::Ignored { .. }) => {
            note!("nothing in the file could be checked, so the exit code is 5");
            ExitStatus::Nothing
        }
        Ok(()) => ExitStatus::Passed,
    }
}

/// The test file that the user names, or the one record of it that is named.
fn chosen(path: &Path, suite: &Suite, alone: bool) -> Result<TestFile, String> {
    if path.is_dir() {
        let shown = path.display();
        return Err(format!("`{shown}` is a folder: `slt run --root {shown}` runs the files in it"));
    }
    let named = path.to_str().filter(|_| !path.exists()).and_then(with_line);
    match named {
        // A file below the root may have a name such as `x:12`.
        Some(_) if path.to_str().is_some_and(|name| matches!(suite.find(name), Ok(Some(_)))) => {
            paths::file(path, suite)
        }
        Some((name, at)) => excerpt(paths::file(Path::new(name), suite)?, at, alone),
        None if alone => Err("`--only` runs one record alone: it needs a line, as in `joins.slt:12`".to_owned()),
        None => paths::file(path, suite),
    }
}
