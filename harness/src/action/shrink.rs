//! `slt shrink FILE[:LINE]`: the shortest script that still fails the same way.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use clap::parser::ValueSource;
use clap::{ArgMatches, Args};

use super::{complain, paths};
use crate::config::{self, ENGINE, ReferenceFlag, TrialFlags, hand_on, positive, seconds, whole, without_secrets};
use crate::crash;
use crate::dialect::Dialect;
use crate::engine::{Choice, Engine};
use crate::environment;
use crate::escape;
use crate::process::{self, Family, Interrupts};
use crate::run::excerpts::excerpt;
use crate::run::{Target, around_here};
use crate::shrink::{self, INTERRUPTED, Plan, ShrinkError, Shrunk, Symptom};
use crate::suite::{At, Suite, TestFile, shown, with_line};
use crate::summary::ExitStatus;
use crate::trial::Options;

/// The flags of `slt shrink`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[command(mut_arg("only", |arg| arg.hide(true)))]
#[command(mut_arg("bless", |arg| arg.hide(true)), mut_arg("bless_errors", |arg| arg.hide(true)))]
pub(crate) struct Flags {
    /// The file that fails, as for `slt test`; `FILE:LINE` is the record in that line, otherwise the first that fails
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    reference: ReferenceFlag,

    /// Where to write the script; the SQL is written beside it. Default: `FILE.min.slt`, with the file's own extension
    #[arg(long, value_name = "PATH")]
    output: Option<PathBuf>,

    /// Try removals in the order of this seed
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = whole::<u64>, allow_negative_numbers = true)]
    seed: u64,

    /// How often the record must fail before it is shrunk, and the shortest script afterwards
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = positive::<u32>, allow_negative_numbers = true)]
    confirm: u32,

    /// Time limit for one try, in seconds; default: five times that of the whole script, but at least 5
    #[arg(long, value_name = "SECS", value_parser = seconds)]
    try_timeout: Option<Duration>,

    /// Stop after this many seconds, and keep the shortest script so far
    #[arg(long, value_name = "SECS", value_parser = seconds)]
    time_budget: Option<Duration>,

    /// Folder in which the name is looked up (repeatable)
    #[arg(long = "root", value_name = "PATH", env = "SLT_CORPUS")]
    roots: Vec<PathBuf>,

    #[command(flatten)]
    trial: TrialFlags,
}

const EXAMPLES: &str = "\
Examples:
  slt shrink select/joins.test:5172     writes select/joins.min.test and joins.min.sql
  slt shrink crash.slt --engine external:./driver
                                        the first record that fails, crashes or hangs
  slt shrink slow.slt:12 --query-timeout 2
                                        a record that takes longer than 2 s

With --reference, a shorter script counts only if the record passes there. Default:
embedded SQLite, if that is not the engine itself and the record passes there.

Exit codes: 0 it was shrunk; 3 it was, and could be further (Ctrl-C, --time-budget);
5 nothing fails; 101 it does not fail each time; 2 the command line or a variable is
invalid; 4 tries cannot be made.";

/// Refuses flags of `slt test` that mean nothing here. Their variables are accepted, because they are set for many commands.
pub(crate) fn check(matches: &ArgMatches) -> Result<(), String> {
    let typed = |name: &str| matches.value_source(name) == Some(ValueSource::CommandLine);
    if typed("only") {
        return Err("`--only` runs one record alone, and `slt shrink` finds out what it needs".to_owned());
    }
    match ["bless", "bless_errors"].into_iter().find(|name| typed(name)) {
        Some(name) => Err(format!(
            "`--{}` rewrites the file, and `slt shrink` leaves it as it is: `slt test` takes this flag",
            name.replace('_', "-")
        )),
        None => Ok(()),
    }
}

/// Shrinks the file, or runs one try of a process that does.
pub(crate) fn run(target: Target, flags: Flags) -> ExitStatus {
    environment::warn_of_misspelt();
    let chosen = match flags.trial.engine().and_then(|choice| {
        let engine = choice.as_ref().map(Choice::engine).transpose().map_err(|error| format!("`--engine`: {error}"))?;
        Ok((choice, engine))
    }) {
        Ok(chosen) => chosen,
        Err(message) => return complain(&message, ExitStatus::Usage),
    };
    let mut options = flags.trial.clone().options();
    target.settle(&mut options);
    let (choice, own) = chosen;
    let Target { suite, engine, set_up, .. } = target;
    let engine = own.unwrap_or(engine);
    if let Some(folder) = shrink::asked_for() {
        let options = Options { bless: None, fail_fast: true, whole_texts: true, keep_database: false, ..options };
        return match shrink::attempt(&folder, &engine, &options) {
            Ok(()) => ExitStatus::Passed,
            Err(message) => complain(&message, ExitStatus::Broken),
        };
    }
    if let Some(choice) = &choice {
        note!("on {choice}");
    }
    let suite = if flags.roots.is_empty() { suite } else { suite.at(config::roots(flags.roots.clone())) };
    let suite = match flags.trial.dialect {
        Some(dialect) => suite.all_in(dialect),
        None => suite,
    };
    around_here(&set_up, || match go(&suite, &*engine, choice.as_ref(), &options, &flags) {
        Ok(status) => status,
        Err((message, status)) => complain(&message, status),
    })
}

/// How long after its limit a try is killed.
const PATIENCE: Duration = Duration::from_secs(1);

type Failed = (String, ExitStatus);

fn go(
    suite: &Suite,
    engine: &dyn Engine,
    choice: Option<&Choice>,
    options: &Options,
    flags: &Flags,
) -> Result<ExitStatus, Failed> {
    let usage = |message: String| (message, ExitStatus::Usage);
    let broken = |message: String| (message, ExitStatus::Broken);
    let (file, at) = chosen(&flags.file, suite).map_err(usage)?;
    let (script, sql) = match &flags.output {
        Some(path) => (path.clone(), path.with_extension("sql")),
        None => beside(&file.path),
    };
    for path in [&script, &sql] {
        may_be_written(path).map_err(usage)?;
    }
    let reference = reference(flags, engine).map_err(usage)?;
    let arguments = without_secrets(std::env::args_os().skip(1));
    let command = |on_reference: bool| command(&arguments, if on_reference { reference.as_ref() } else { choice });
    let Options { query_timeout, file_timeout, .. } = *options;
    // A try that exceeds one of its own limits ends by itself a moment later, unless its engine cannot be interrupted.
    let with_patience = |limit: Duration| limit + PATIENCE;
    let plan = Plan {
        file: &file,
        at,
        command: &command,
        has_reference: reference.is_some(),
        sql_dialect: match file.dialect.definition().sql() {
            Some(name) => name,
            None => choice.map_or_else(|| engine.name(), |choice| choice.kind()),
        },
        limit: flags.try_timeout.or(file_timeout.map(with_patience)),
        record_limit: query_timeout.map(with_patience),
        budget: flags.time_budget,
        seed: flags.seed,
        confirm: flags.confirm,
    };
    let family = Family::new().map_err(|error| broken(error.to_string()))?;
    let mut interrupts = Interrupts::install().map_err(|error| broken(error.to_string()))?;
    process::grant_stack(crash::stack_bytes());
    let (clock, mut bar) = (Instant::now(), Bar::new());
    let result = shrink::shrink(&plan, &family, &mut || interrupts.count() > 0, &mut |stage, records, tries| {
        bar.show(stage, records, tries, clock.elapsed());
    });
    bar.clear();
    family.end();
    let shrunk = result.map_err(|error| match &error {
        ShrinkError::Script(message) => usage(message.clone()),
        ShrinkError::Passes(message) => (message.clone(), ExitStatus::Nothing),
        ShrinkError::Flaky(message) => (message.clone(), ExitStatus::Failed),
        ShrinkError::Interrupted => (error.to_string(), ExitStatus::Incomplete),
        ShrinkError::Bench(_) | ShrinkError::Folder(_) => broken(error.to_string()),
    })?;
    let title = title(&file, &shrunk);
    let text = [format!("# {HEADLINE}{title}\n\n").as_bytes(), &shrunk.script].concat();
    let statements = [format!("-- {HEADLINE}{title}\n").as_bytes(), &shrunk.sql].concat();
    for (path, text) in [(&script, &text), (&sql, &statements)] {
        fs::write(path, text).map_err(|error| broken(format!("cannot write `{}`: {error}", shown(path))))?;
    }
    report(&file, &shrunk, clock.elapsed(), (&script, &sql));
    Ok(if shrunk.stopped.is_some() { ExitStatus::Incomplete } else { ExitStatus::Passed })
}

/// How each file that this command writes begins; the command recognizes its own files by this text.
const HEADLINE: &str = "Shrunk by `slt shrink` from ";

fn title(file: &TestFile, shrunk: &Shrunk) -> String {
    let symptom = escape::line(&shrunk.symptom.to_string()).into_owned();
    format!("{}:{} ({} records): {symptom}", file.script(), shrunk.line, shrunk.before)
}

/// The file that the user names, and the line in it, if one is named.
fn chosen(path: &Path, suite: &Suite) -> Result<(TestFile, Option<At>), String> {
    let named = path.to_str().filter(|_| !path.exists()).and_then(with_line);
    match named {
        Some(_) if path.to_str().is_some_and(|name| matches!(suite.find(name), Ok(Some(_)))) => {
            Ok((paths::file(path, suite)?, None))
        }
        Some((name, at)) => {
            let file = paths::file(Path::new(name), suite)?;
            // The line is looked up now, because the error names the nearest record.
            excerpt(file.clone(), at.clone(), false)?;
            Ok((file, Some(at)))
        }
        None => Ok((paths::file(path, suite)?, None)),
    }
}

/// Where the results of shrinking a file are written: for `joins.slt`, `joins.min.slt` and `joins.min.sql`.
fn beside(path: &Path) -> (PathBuf, PathBuf) {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let at = match Dialect::by_longest_extension(path) {
        Some((_, length)) => name.len().checked_sub(length + 1),
        None => name.rfind('.'),
    };
    let (stem, extension) = name.split_at(at.unwrap_or(name.len()));
    (path.with_file_name(format!("{stem}.min{extension}")), path.with_file_name(format!("{stem}.min.sql")))
}

/// Refuses to overwrite any file that this command has not written, and a place where no file can be written: after the tries,
/// the result would be lost.
fn may_be_written(path: &Path) -> Result<(), String> {
    let cannot = |error: io::Error| format!("cannot write `{}`: {error}", shown(path));
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            // An error of `tempfile_in` may name the temporary file instead of the folder.
            fs::metadata(folder).and_then(|_| tempfile::tempfile_in(folder)).map(|_| ()).map_err(cannot)
        }
        Err(error) => Err(cannot(error)),
        Ok(text)
            if text
                .get(2..)
                .or(text.get(3..))
                .is_some_and(|text| text.trim_ascii_start().starts_with(HEADLINE.as_bytes())) =>
        {
            fs::OpenOptions::new().write(true).open(path).map(|_| ()).map_err(cannot)
        }
        Ok(_) => Err(format!("`{}` already exists: name another place with `--output`", shown(path))),
    }
}

/// The engine that is taken to be right: the one that `--reference` names, otherwise SQLite, unless SQLite is the engine
/// itself.
fn reference(flags: &Flags, engine: &dyn Engine) -> Result<Option<Choice>, String> {
    match flags.reference.engine()? {
        Some(choice) => Ok(Some(choice)),
        None if flags.reference.is_none() => Ok(None),
        None => {
            let sqlite = Choice::Sqlite.engine().ok();
            Ok(sqlite.filter(|sqlite| sqlite.identity() != engine.identity()).map(|_| Choice::Sqlite))
        }
    }
}

/// The process of one try: this program with these arguments. The engine is passed in the environment, because its URL may
/// contain a password.
fn command(arguments: &[OsString], engine: Option<&Choice>) -> Command {
    let mut command = process::same_executable();
    command.args(arguments);
    environment::set_for(&mut command, ENGINE, engine.map(Choice::secret).as_deref().map(OsStr::new));
    hand_on(&mut command);
    command.envs(environment::run_values());
    command
}

/// Prints what was found and written, and shows the script if it is short.
fn report(file: &TestFile, shrunk: &Shrunk, took: Duration, (script, sql): (&Path, &Path)) {
    let Shrunk { before, left, tries, symptom, line, .. } = shrunk;
    let records = match (left, before) {
        (_, 1) => "record is",
        (1, _) => "records is",
        _ => "records are",
    };
    say!("{}:{line}: {symptom}", file.script());
    say!("{left} of {before} {records} left after {tries} tries in {:.1} s", took.as_secs_f64());
    if symptom.is_mismatch() {
        match shrunk.has_reference {
            true => say!("the record passes on the reference"),
            false => say!(
                "without `--reference ENGINE` it is unknown what is right: the wrong result is the same, but the shorter script may \
                 expect what it should not"
            ),
        }
    }
    if matches!(symptom, Symptom::Failed { .. }) && shrunk.stopped.is_none() && *left <= MOST_SHOWN {
        let text = String::from_utf8_lossy(&shrunk.script).into_owned();
        say!("\n{}\n", text.trim_end());
    }
    match shrunk.stopped {
        Some(INTERRUPTED) => say!("interrupted: this is the shortest script so far"),
        Some(why) => say!("stopped ({why}): this is the shortest script so far"),
        None => {}
    }
    say!("wrote `{}` and `{}`", shown(script), shown(sql));
}

/// How many records are shown.
const MOST_SHOWN: usize = 10;

/// Shows the progress: on a terminal one line that changes, elsewhere a line for each stage.
struct Bar {
    is_terminal: bool,
    shown: Option<Instant>,
    stage: String,
}

impl Bar {
    fn new() -> Bar {
        Bar { is_terminal: io::stderr().is_terminal(), shown: None, stage: String::new() }
    }

    fn show(&mut self, stage: &str, records: usize, tries: u32, took: Duration) {
        let text = format!("shrinking {stage}: {records} left, {tries} tries, {} s", took.as_secs());
        if self.is_terminal {
            if self.shown.is_none_or(|shown| shown.elapsed() > Duration::from_millis(100)) {
                self.shown = Some(Instant::now());
                let _ = write!(io::stderr(), "\r{text}\u{1b}[K");
            }
        } else if self.stage != stage {
            stage.clone_into(&mut self.stage);
            note!("{text}");
        }
    }

    fn clear(&mut self) {
        if self.is_terminal && self.shown.is_some() {
            let _ = write!(io::stderr(), "\r\u{1b}[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_named_after_the_file() {
        for (name, script, sql) in [
            ("a/joins.slt", "a/joins.min.slt", "a/joins.min.sql"),
            ("x.duckdb.test", "x.min.duckdb.test", "x.min.sql"),
            ("plain", "plain.min", "plain.min.sql"),
        ] {
            assert_eq!(beside(Path::new(name)), (script.into(), sql.into()));
        }
    }
}
