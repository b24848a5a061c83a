//! What a trial costs beyond the engine: the same files in three ways, in one process and on one thread.
//!
//! a. the engine alone: the SQL of the records that apply, replayed through the same kind of session, with values
//!    formatted, and nothing parsed, compared or reported;
//! b. the whole trial, `trial::run`;
//! c. the `sqllogictest` crate's own `Runner`, over the same kind of session: see `runner.rs`.
//!
//! `cargo bench --bench overhead -- [--files N] [--rounds N] [--only a|b|c]`, where `SLT_CORPUS` names a folder of classic
//! scripts; without it, the scripts are generated.

// Benchmarks print without `escape`.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use slt_harness::Dialect;
use slt_harness::Suite;
use slt_harness::engine::{Engine, EngineError, Request, Rows, Session, sqlite::Sqlite};
use slt_harness::unstable::dialect::classic;
use slt_harness::unstable::script::{Labels, Record, Step};
use slt_harness::unstable::suite::TestFile;
use slt_harness::unstable::trial::{self, Options};

mod runner;

const WAYS: [&str; 3] = ["a  engine alone", "b  whole trial", "c  `Runner` of `sqllogictest`"];

/// A file, prepared for all three ways.
struct Subject {
    file: TestFile,
    text: String,
    /// The text, fixed for the crate's parser.
    fixed: String,
}

/// The time and result of running a file.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    wall: Duration,
    cpu: Duration,
    records: u64,
    failed: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Some(Arguments { files: wanted, rounds, only }) = arguments()? else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let (root, from) = match std::env::var_os("SLT_CORPUS") {
        Some(root) => (root.into(), "of SLT_CORPUS"),
        None => {
            make_up(folder.path())?;
            (folder.path().to_path_buf(), "made up here, because SLT_CORPUS is not set")
        }
    };
    let files = Suite::new(root).discover()?;
    let total = files.len();
    let subjects = sample(files, wanted)?;
    println!("{} of {total} files {from}, {rounds} rounds: the sum of each file's least time", subjects.len());

    let mut least = BTreeMap::<(usize, usize), Cost>::new();
    for round in 0..rounds {
        for (number, subject) in subjects.iter().enumerate() {
            // Each way goes first in turn, so that none always has cold caches.
            let ways = (0..WAYS.len()).map(|way| (way + round + number) % WAYS.len());
            for way in ways.filter(|way| only.is_none_or(|only| only == *way)) {
                let cost = match way {
                    0 => replay(subject)?,
                    1 => whole_trial(subject),
                    _ => runner::run(&subject.file.name, &subject.fixed)?,
                };
                let entry = least.entry((way, number)).or_insert(cost);
                *entry = Cost { wall: cost.wall.min(entry.wall), cpu: cost.cpu.min(entry.cpu), ..cost };
            }
        }
    }
    if only.is_none() {
        print!("{}", table(&least));
    }
    Ok(())
}

/// What the command line asks for.
struct Arguments {
    files: usize,
    rounds: usize,
    /// One way alone, for a profiler.
    only: Option<usize>,
}

/// The arguments; `None` if this is not a benchmark run.
fn arguments() -> Result<Option<Arguments>, Box<dyn Error>> {
    let mut all = Arguments { files: 36, rounds: 3, only: None };
    // Added by `cargo bench`, and missing under `cargo test --all-targets`, which starts benchmarks too.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(None);
    }
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("`{argument}` needs a value"))?;
        let number =
            value.parse().ok().filter(|number| *number > 0).ok_or_else(|| format!("`{value}` is not a number"));
        match argument.as_str() {
            "--files" => all.files = number?,
            "--rounds" => all.rounds = number?,
            "--only" => {
                let way = WAYS.iter().position(|way| way.split(' ').next() == Some(&value));
                all.only = Some(way.ok_or_else(|| format!("`{value}` is none of a, b and c"))?);
            }
            _ => return Err(format!("unknown argument `{argument}`: --files N, --rounds N, --only a|b|c").into()),
        }
    }
    Ok(Some(all))
}

/// As many classic scripts as wanted, evenly spaced.
fn sample(files: Vec<TestFile>, wanted: usize) -> Result<Vec<Subject>, Box<dyn Error>> {
    let classic: Vec<TestFile> =
        files.into_iter().filter(|file| file.path.extension().is_some_and(|extension| extension == "test")).collect();
    let wanted = wanted.min(classic.len());
    let mut subjects = Vec::with_capacity(wanted);
    for number in 0..wanted {
        let file = classic[number * classic.len() / wanted].clone();
        let text = std::fs::read_to_string(&file.path).map_err(|error| format!("{}: {error}", file.name))?;
        subjects.push(Subject { fixed: runner::fixed(&text), text, file });
    }
    Ok(subjects)
}

/// Runs `work` and returns its time; `work` returns how many records ran, and how many of them failed.
fn timed<E>(work: impl FnOnce() -> Result<(u64, u64), E>) -> Result<Cost, E> {
    let (clock, cpu_before) = (Instant::now(), processor_time());
    let (records, failed) = work()?;
    Ok(Cost { wall: clock.elapsed(), cpu: processor_time() - cpu_before, records, failed })
}

/// The CPU time of this thread.
///
/// Through `libc`, because `rustix` reads the clock in a way that crashes under valgrind.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid to write to.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(result, 0, "this system does not measure the processor time of threads");
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn connect(name: &str) -> Result<Box<dyn Session>, EngineError> {
    Sqlite.database(name)?.connect()
}

fn replay(subject: &Subject) -> Result<Cost, Box<dyn Error>> {
    let labels = Labels::new(["sqlite"]);
    let records = classic::Parser::new(subject.text.as_bytes(), &labels).collect::<Result<Vec<Record<'_>>, _>>()?;
    let requests: Vec<Request<'_>> = records
        .iter()
        .take_while(|record| record.step != Step::Halt)
        .filter_map(|record| match &record.step {
            Step::Statement { sql, .. } => Some((sql, None)),
            Step::Query { sql, letters, .. } => Some((sql, Some(&**letters))),
            _ => None,
        })
        .map(|(sql, letters)| Request::new(sql, letters, Dialect::Classic))
        .collect();
    Ok(timed(|| {
        let mut session = connect(&subject.file.name)?;
        let mut rows = Rows::default();
        for request in &requests {
            rows.clear();
            // Some statements are supposed to fail.
            let _ = std::hint::black_box(session.run(*request, &mut rows));
        }
        Ok::<_, EngineError>((requests.len() as u64, 0))
    })?)
}

fn whole_trial(subject: &Subject) -> Cost {
    let run = || {
        let records = trial::run(&subject.file, &Sqlite, &Options::default(), &()).records;
        Ok::<_, std::convert::Infallible>((records.passed + records.failed, records.failed))
    };
    timed(run).unwrap_or_else(|never| match never {})
}

/// The three ways as a table, and their ratios.
fn table(least: &BTreeMap<(usize, usize), Cost>) -> String {
    let totals: Vec<Cost> = (0..WAYS.len())
        .map(|way| {
            least.range((way, 0)..(way + 1, 0)).fold(Cost::default(), |sum, (_, cost)| Cost {
                wall: sum.wall + cost.wall,
                cpu: sum.cpu + cost.cpu,
                records: sum.records + cost.records,
                failed: sum.failed + cost.failed,
            })
        })
        .collect();
    let mut table =
        format!("\n{:<30} {:>9} {:>7} {:>9} {:>9} {:>11}\n", "", "records", "failed", "wall", "cpu", "cpu/record");
    for (way, cost) in WAYS.iter().zip(&totals) {
        let each = cost.cpu.as_secs_f64() * 1e6 / cost.records.max(1) as f64;
        let (wall, cpu) = (cost.wall.as_secs_f64(), cost.cpu.as_secs_f64());
        writeln!(table, "{way:<30} {:>9} {:>7} {wall:>7.3} s {cpu:>7.3} s {each:>8.2} µs", cost.records, cost.failed)
            .expect("writing to memory does not fail");
    }
    for (name, of, to) in [("b/a", 1, 0), ("c/a", 2, 0), ("b/c", 1, 2)] {
        let ratio = |time: fn(&Cost) -> Duration| time(&totals[of]).as_secs_f64() / time(&totals[to]).as_secs_f64();
        let (wall, cpu) = (ratio(|cost| cost.wall), ratio(|cost| cost.cpu));
        writeln!(table, "{name:<48} {wall:>7.3}   {cpu:>7.3}").expect("writing to memory does not fail");
    }
    table
}

/// Writes scripts like the public ones: a table, then many queries on it, sorted and unsorted, listed and hashed.
fn make_up(folder: &Path) -> std::io::Result<()> {
    const ROWS: u64 = 10;
    const QUERIES: u64 = 4000;
    for file in 0..8 {
        let mut text = String::from("statement ok\nCREATE TABLE t(a INTEGER, b INTEGER, c TEXT)\n\n");
        let b = |a: u64| (a * 7919 + file) % 1000;
        (0..ROWS).for_each(|a| text += &format!("statement ok\nINSERT INTO t VALUES({a},{},'text {a}')\n\n", b(a)));
        for query in 0..QUERIES {
            let least = query % ROWS;
            let mut values: Vec<String> = (least..ROWS).flat_map(|a| [b(a).to_string(), format!("text {a}")]).collect();
            if query % 2 == 0 {
                values.sort();
            }
            let (letters, sort, label) = ("IT", ["valuesort", "nosort"][query as usize % 2], query / 3 * 10 + least);
            text += &format!("skipif mysql # not here\nquery {letters} {sort} label-{label}-{query}\n");
            text += &format!("SELECT b, c FROM t WHERE a >= {least} AND (b < 2000 OR c IS NULL) ORDER BY a\n----\n");
            text += &values.join("\n");
            text += "\n\nonlyif mysql\nquery I rowsort\nSELECT b DIV 2 FROM t\n----\n1\n\n";
        }
        std::fs::write(folder.join(format!("{file}.test")), text)?;
    }
    Ok(())
}
