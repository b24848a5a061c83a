//! `slt fill FILE…`: writes what a reference returns into records that do not yet say what they expect.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::{complain, paths};
use crate::config::{self, REFERENCE, ReferenceFlag, TrialFlags};
use crate::crash;
use crate::engine::Engine;
use crate::environment;
use crate::outcome::{CutShort, Outcome};
use crate::report::paint;
use crate::report::words::count;
use crate::run::{Target, around_here, colored_stdout};
use crate::suite::{TestFile, shown, with_line};
use crate::summary::ExitStatus;
use crate::trial::{self, Bless, Fill, How, Options, Reference};

/// The flags of `slt fill`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[command(mut_arg("engine", |arg| arg.hide(true)), mut_arg("only", |arg| arg.hide(true)))]
#[command(mut_arg("fail_fast", |arg| arg.hide(true)), mut_arg("keep_db_on_failure", |arg| arg.hide(true)))]
#[command(mut_arg("reference", |arg| arg.help("The engine that says what is right, as for `--engine`")))]
#[command(mut_arg("bless", |arg| arg.help("`check` only shows what would be written, and `review` writes it to `FILE.new`, for `slt review`")))]
#[command(mut_arg("bless_errors", |arg| arg.help("Also write the errors of queries, and of records that expect something else")))]
pub(crate) struct Flags {
    /// The files: paths from the current folder, or names below the root
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    #[command(flatten)]
    reference: ReferenceFlag,

    /// Also rewrite records whose expected result differs from the reference
    #[arg(long)]
    all: bool,

    /// Folder in which names are looked up, and which no `include` may leave (repeatable)
    #[arg(long = "root", value_name = "PATH", env = "SLT_CORPUS")]
    roots: Vec<PathBuf>,

    #[command(flatten)]
    trial: TrialFlags,
}

const EXAMPLES: &str = "\
What is filled: `statement` alone becomes `statement ok` or `statement error`; `query II`
gets its rows, if nothing is below `----` or there is no `----`; `query` alone gets its
rows, and its letters, which only `.slt` can do without.

Examples:
  slt fill select/new.test --reference sqlite
  slt fill a.slt b.slt --reference postgres://me@127.0.0.1/test
  slt fill new.slt --reference sqlite --bless=check     only shows what would be written

Exit codes: 0 every record that runs on the reference expects what it returns; 101 some do
not, or `--bless=check` or `--bless=review` has something to show; 2 the command line or a
variable is invalid; 4 the reference cannot be reached or was lost, or 3 Ctrl-C: that file,
and those after it, stay as they are.";

/// Fills the files.
pub(crate) fn run(target: Target, flags: Flags) -> ExitStatus {
    environment::warn_of_misspelt();
    let usage = |message: String| complain(&message, ExitStatus::Usage);
    let mut options = flags.trial.clone().options();
    target.settle(&mut options);
    let Target { suite, set_up, .. } = target;
    let suite = if flags.roots.is_empty() { suite } else { suite.at(config::roots(flags.roots.clone())) };
    let suite = match flags.trial.dialect {
        Some(dialect) => suite.all_in(dialect),
        None => suite,
    };
    let reference = match flags.reference.engine() {
        Ok(Some(choice)) => choice.engine().map_err(|error| format!("`--reference`: {error}")),
        Ok(None) => {
            Err(format!("`slt fill` needs an engine that says what is right: `--reference ENGINE` (or `{REFERENCE}`)"))
        }
        Err(message) => Err(message),
    };
    let reference = match reference {
        Ok(reference) => reference,
        Err(message) => return usage(message),
    };
    let file = |path: &PathBuf| {
        let found = paths::file(path, &suite);
        match path.to_str().and_then(with_line) {
            Some((name, _)) if found.is_err() => {
                Err(format!("`{}` names a line, and `slt fill` fills whole files: name `{name}`", path.display()))
            }
            _ => found,
        }
    };
    let files: Result<Vec<TestFile>, String> = flags.files.iter().map(file).collect();
    let files = match files {
        Ok(files) => files,
        Err(message) => return usage(message),
    };
    let how = options.bless.map_or(How::Write, |bless| bless.how);
    let fill = Some(if flags.all { Fill::All } else { Fill::Missing });
    let bless = Some(Bless { how, errors: flags.trial.writes_errors(), fill });
    let options = Options { bless, fail_fast: false, keep_database: false, reference: None, ..options };
    environment::forget();
    around_here(&set_up, || fill_all(&files, &reference, options))
}

fn fill_all(files: &[TestFile], reference: &Arc<dyn Engine>, options: Options) -> ExitStatus {
    let interruption = match super::interruption(false) {
        Ok(interruption) => interruption,
        Err(status) => return status,
    };
    let name = reference.name();
    for file in files {
        if let Err(error) = Reference::new(Arc::clone(reference)).probe(file) {
            let message = format!("cannot connect to the reference {name}, so nothing was filled: {error}");
            return complain(&message, ExitStatus::Broken);
        }
    }
    let _armed = crash::arm();
    let options = Options { interrupts: Some(interruption.requests()), ..options };
    let mut status = ExitStatus::Passed;
    for file in files {
        let is_unwanted = || interruption.is_over();
        let outcome = trial::run_compared(file, reference, &options, Arc::new(()), true, &is_unwanted, &|| {});
        report(file, name, &outcome, &options);
        if matches!(outcome.cut_short, Some(CutShort::NoConnection | CutShort::ConnectionLost)) {
            return ExitStatus::Broken;
        }
        if interruption.is_asked_for() {
            return ExitStatus::Incomplete;
        }
        if outcome.verdict.is_failure() {
            status = ExitStatus::Failed;
        }
    }
    status
}

/// Prints the result for a file.
fn report(file: &TestFile, reference: &str, outcome: &Outcome, options: &Options) {
    use std::io::Write;
    let mut out = colored_stdout();
    for failure in &outcome.failures {
        // If the output is closed, only this message is lost: the file is already filled.
        let _ = writeln!(out, "{}\n", paint::failure(failure));
    }
    let how = options.bless.map(|bless| bless.how).unwrap_or_default();
    let (records, verb) = match how {
        How::Write => (outcome.rewritten, "filled"),
        How::Check => (outcome.rewritable, "would be filled"),
        How::Review => (outcome.rewritable, "filled in `FILE.new`, for `slt review`,"),
    };
    let failed = outcome.records.failed.saturating_sub(outcome.rewritable);
    let fail =
        format!("{} there", if failed == 1 { "1 record fails".to_owned() } else { format!("{failed} records fail") });
    let mut words = match (records, outcome.cut_short) {
        (_, Some(CutShort::NotRun)) => "stays as it is: interrupted".to_owned(),
        (0, Some(_)) => format!("stays as it is: {fail}"),
        (0, None) => "nothing to fill".to_owned(),
        _ => format!("{} {verb} from {reference}", count(records, "record")),
    };
    if failed > 0 && outcome.cut_short.is_none() {
        let stay = if failed == 1 { "stays as it is" } else { "stay as they are" };
        words.push_str(&format!("; {fail} and {stay}"));
    }
    match outcome.records.skipped {
        0 => {}
        1 => words.push_str(&format!("; 1 record does not apply to {reference}")),
        skipped => words.push_str(&format!("; {skipped} records do not apply to {reference}")),
    }
    say!("{}: {words}", shown(&file.path));
}
