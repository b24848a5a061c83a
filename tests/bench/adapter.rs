//! What a trial costs on an adapter whose database answers at once: the same files by a trial and by the `sqllogictest`
//! crate's own `Runner`, from reading a file to its last comparison.
//!
//! The database answers from memory with what each file expects. Files that do not pass both ways are left out: with
//! commands, pauses or includes, or in a dialect that the crate does not read.
//!
//! `cargo bench --bench adapter -- [--rounds N] [--only trial|runner]`, where `SLT_PEERS` names a folder of test files of
//! other projects, each project in a folder of its name. Without it there is nothing to measure. `--only` is for profilers.

// Benchmarks print without `escape`.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use slt_harness::engine::{Adapter, Engine, IntoEngine, Script};
use slt_harness::sqllogictest::parser::{self, ExpectedError, QueryExpect, Record, StatementExpect};
use slt_harness::sqllogictest::{DB, DBOutput, DefaultColumnType, Runner};
use slt_harness::unstable::outcome::Verdict;
use slt_harness::unstable::suite::TestFile;
use slt_harness::unstable::trial::{self, Options};
use slt_harness::{Dialect, Suite};

/// What the database answers.
#[derive(Clone)]
enum Answer {
    Done(u64),
    Rows(Vec<DefaultColumnType>, Vec<Vec<String>>),
    Error(String),
}

/// The SQL of a file, each with its answer, in the order of the file.
type Answers = Vec<(String, Answer)>;

/// The answers for the next connection: copied before the clock runs.
type Stock = Arc<Mutex<Answers>>;

/// A database that knows what it will be asked, and hands out each answer once.
struct Replay {
    answers: Answers,
    next: usize,
}

impl Replay {
    fn of(stock: &Stock) -> Replay {
        Replay { answers: std::mem::take(&mut *stock.lock().expect("nobody panics with it")), next: 0 }
    }
}

#[derive(Debug)]
struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Refused {}

impl DB for Replay {
    type Error = Refused;
    type ColumnType = DefaultColumnType;

    fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Refused> {
        // Skips the answers of records that do not apply: their SQL is never sent.
        let rest = &mut self.answers[self.next..];
        let found = rest.iter().position(|(known, _)| known == sql).ok_or_else(|| Refused("unknown SQL".to_owned()))?;
        self.next += found + 1;
        match std::mem::replace(&mut rest[found].1, Answer::Done(0)) {
            Answer::Done(count) => Ok(DBOutput::StatementComplete(count)),
            Answer::Rows(types, rows) => Ok(DBOutput::Rows { types, rows }),
            Answer::Error(message) => Err(Refused(message)),
        }
    }

    fn engine_name(&self) -> &str {
        "replay"
    }
}

struct Subject {
    file: TestFile,
    answers: Answers,
    stock: Stock,
    records: u64,
}

impl Subject {
    /// Copies the answers for the next run.
    fn stock_up(&self) {
        self.answers.clone_into(&mut self.stock.lock().expect("nobody panics with it"));
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    // Added by `cargo bench`, and missing under `cargo test --all-targets`, which starts benchmarks too.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let (rounds, only) = arguments()?;
    let Some(root) = std::env::var_os("SLT_PEERS") else {
        println!("nothing to measure: `SLT_PEERS` does not name a folder");
        return Ok(());
    };
    let mut files = Vec::new();
    let mut projects: Vec<_> = std::fs::read_dir(root)?.collect::<Result<_, _>>()?;
    projects.sort_by_key(std::fs::DirEntry::path);
    for project in projects {
        let dialect = if project.file_name() == "duckdb" { Dialect::DuckDb } else { Dialect::Slt };
        files.extend(Suite::new(project.path()).all_in(dialect).discover()?);
    }
    let total = files.len();
    // Files at which the crate panics are left out, without a message.
    std::panic::set_hook(Box::new(|_| {}));
    let subjects: Vec<Subject> = files.into_iter().filter_map(subject).collect();
    let engine = engine(&subjects);
    let (mut left, mut reasons) = (Vec::new(), HashMap::<&str, u64>::new());
    for mut subject in subjects {
        subject.stock_up();
        let outcome = trial::run(&subject.file, &*engine, &Options::default(), &());
        subject.records = outcome.records.passed;
        subject.stock_up();
        match std::panic::catch_unwind(|| by_runner(&subject)) {
            _ if outcome.verdict != Verdict::Passed => *reasons.entry("the trial").or_default() += 1,
            Ok(true) => left.push(subject),
            _ => *reasons.entry("the runner").or_default() += 1,
        }
    }
    println!("{} of {total} files of SLT_PEERS, {rounds} rounds; not passed by {reasons:?}", left.len());
    for (name, dialect) in [("sqllogictest-rs", Dialect::Slt), ("DuckDB", Dialect::DuckDb)] {
        let subjects: Vec<&Subject> = left.iter().filter(|subject| subject.file.dialect == dialect).collect();
        let records: u64 = subjects.iter().map(|subject| subject.records).sum();
        println!("\n{name}: {} files, {records} records", subjects.len());
        let mut ratios = Vec::new();
        for round in 0..rounds {
            let (mut by_trial, mut by_crate) = (Duration::ZERO, Duration::ZERO);
            // File by file in turn, so that a machine that becomes slower or faster favours neither.
            for (number, subject) in subjects.iter().enumerate() {
                for way in [number + round, number + round + 1] {
                    match way % 2 {
                        0 if only.as_deref() != Some("runner") => {
                            by_trial += timed(subject, || by_trial_of(subject, &*engine))
                        }
                        1 if only.as_deref() != Some("trial") => by_crate += timed(subject, || by_runner(subject)),
                        _ => {}
                    }
                }
            }
            println!("round {}: trial {by_trial:.1?}, runner {by_crate:.1?} of processor time", round + 1);
            ratios.push(by_trial.as_secs_f64() / by_crate.as_secs_f64());
        }
        ratios.sort_by(f64::total_cmp);
        if only.is_none() {
            println!("trial/runner: {:.3}, the median", ratios[ratios.len() / 2]);
        }
    }
    Ok(())
}

fn arguments() -> Result<(usize, Option<String>), String> {
    let (mut rounds, mut only) = (5, None);
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("`{argument}` needs a value"))?;
        match argument.as_str() {
            "--rounds" => rounds = value.parse().ok().filter(|n| *n > 0).ok_or(format!("`{value}` is not a number"))?,
            "--only" if value == "trial" || value == "runner" => only = Some(value),
            _ => return Err(format!("unknown argument `{argument} {value}`: --rounds N, --only trial|runner")),
        }
    }
    Ok((rounds, only))
}

/// A file with the answers that it expects; `None` if they are unknown.
fn subject(file: TestFile) -> Option<Subject> {
    let text = std::fs::read_to_string(&file.path).ok()?;
    let records = parser::parse_with_name::<DefaultColumnType>(&text, "").ok()?;
    let mut answers = Vec::new();
    for record in records {
        match record {
            Record::Include { .. } | Record::System { .. } | Record::Sleep { .. } | Record::Let { .. } => return None,
            Record::Connection(_) => return None,
            Record::Statement { sql, expected, .. } => answers.push((
                sql,
                match expected {
                    StatementExpect::Ok => Answer::Done(0),
                    StatementExpect::Count(count) => Answer::Done(count),
                    StatementExpect::Error(error) => Answer::Error(message(&error)?),
                },
            )),
            Record::Query { sql, expected, .. } => answers.push((
                sql,
                match expected {
                    QueryExpect::Results { types, results, .. } => rows(types, &results),
                    QueryExpect::Error(error) => Answer::Error(message(&error)?),
                },
            )),
            _ => {}
        }
    }
    Some(Subject { file, answers, stock: Stock::default(), records: 0 })
}

/// A message that is the expected error.
fn message(expected: &ExpectedError) -> Option<String> {
    let message = match expected {
        ExpectedError::Empty => "it failed".to_owned(),
        ExpectedError::Inline(regex) => regex.as_str().replace('\\', ""),
        ExpectedError::Multiline(text) => text.clone(),
        ExpectedError::SqlState(_) => return None,
    };
    expected.is_match(&message, None).then_some(message)
}

/// The expected lines as rows: a value for each word, if there are as many as columns everywhere.
fn rows(types: Vec<DefaultColumnType>, lines: &[String]) -> Answer {
    let words = |line: &String| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let tabs = |line: &String| line.split('\t').map(str::to_owned).collect::<Vec<_>>();
    for split in [&tabs as &dyn Fn(&String) -> Vec<String>, &words] {
        if lines.iter().all(|line| split(line).len() == types.len()) {
            return Answer::Rows(types, lines.iter().map(split).collect());
        }
    }
    if !types.is_empty() && lines.len().is_multiple_of(types.len()) && lines.len() > types.len() {
        let rows = lines.chunks(types.len()).map(<[String]>::to_vec).collect();
        return Answer::Rows(types, rows);
    }
    Answer::Rows(vec![DefaultColumnType::Any], lines.iter().map(|line| vec![line.clone()]).collect())
}

fn engine(subjects: &[Subject]) -> Arc<dyn Engine> {
    let known = subjects.iter().map(|subject| (subject.file.path.clone(), Arc::clone(&subject.stock)));
    let known: HashMap<_, _> = known.collect();
    let connect = async move |script: &Script| {
        let stock = known.get(&script.path).ok_or_else(|| Refused("unknown file".to_owned()))?;
        Ok::<_, Refused>(Replay::of(stock))
    };
    Adapter::for_script(connect).into_engine()
}

fn by_trial_of(subject: &Subject, engine: &dyn Engine) -> bool {
    trial::run(&subject.file, engine, &Options::default(), &()).verdict == Verdict::Passed
}

/// Runs a file by the crate's runner.
fn by_runner(subject: &Subject) -> bool {
    let mut runner = Runner::new(|| async { Ok::<_, Refused>(Replay::of(&subject.stock)) });
    runner.run_file(&subject.file.path).is_ok()
}

fn timed(subject: &Subject, work: impl FnOnce() -> bool) -> Duration {
    subject.stock_up();
    let before = processor_time();
    assert!(std::hint::black_box(work()), "it passed before");
    processor_time() - before
}

/// The processor time of this thread. Through `libc`, because `rustix` reads the clock in a way that crashes under
/// valgrind.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid to write to.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(result, 0, "this system does not measure the processor time of threads");
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
