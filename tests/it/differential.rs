//! The `sqllogictest` crate's own runner and ours over the same files: the same records must fail.
//!
//! The engine knows what a file expects and answers that, apart from some answers that a seed makes wrong. Both runners get
//! the same answers. The bundled files are compared everywhere; the variable `SLT_PEERS` names a folder with public ones.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use slt_harness::engine::IntoEngine;
use slt_harness::script::{Dialect, Record};
use slt_harness::sqllogictest::parser::{ExpectedError, Record as Theirs, parse_file};
use slt_harness::sqllogictest::{
    DB, DBOutput, DefaultColumnType, QueryExpect, Runner, StatementExpect, default_normalizer,
};
use slt_harness::suite::{Suite, TestFile};
use slt_harness::trial::{self, Ending, Options, Watch};

type Parsed = Theirs<DefaultColumnType>;

/// What an engine answers.
#[derive(Clone)]
enum Said {
    Rows(Vec<Vec<String>>),
    Done(u64),
    Error(String),
}

/// The answers to each SQL text, in the order of the records.
#[derive(Default)]
struct Script {
    answers: HashMap<String, Vec<Said>>,
}

/// One run's engine; it counts how often each SQL text was sent.
#[derive(Clone)]
struct Oracle {
    script: Arc<Script>,
    sent: Arc<Mutex<HashMap<String, usize>>>,
    seed: u64,
}

impl Oracle {
    fn new(script: &Arc<Script>, seed: u64) -> Oracle {
        Oracle { script: Arc::clone(script), sent: Arc::default(), seed }
    }

    fn answer(&self, sql: &str) -> Said {
        let mut sent = self.sent.lock().unwrap();
        let count = sent.entry(sql.to_owned()).or_default();
        *count += 1;
        let said = self.script.answers.get(sql).and_then(|answers| answers.get(*count - 1).or(answers.last()));
        let said = said.cloned().unwrap_or(Said::Done(0));
        let mut hasher = DefaultHasher::new();
        (self.seed, sql, *count).hash(&mut hasher);
        let number = hasher.finish();
        if number.is_multiple_of(5) { wrong(said, number / 5) } else { said }
    }
}

/// An answer that is wrong in one of several ways.
fn wrong(said: Said, number: u64) -> Said {
    match (said, number % 6) {
        (Said::Rows(_), 0) => Said::Error("an odd error".into()),
        (Said::Rows(mut rows), 1) if !rows.is_empty() => {
            rows.remove(number as usize / 6 % rows.len());
            Said::Rows(rows)
        }
        (Said::Rows(mut rows), 2) => {
            rows.push(vec!["more".into(); rows.first().map_or(1, Vec::len)]);
            Said::Rows(rows)
        }
        (Said::Rows(mut rows), 3) => {
            rows.push(vec![" ".into(); rows.first().map_or(1, Vec::len)]);
            Said::Rows(rows)
        }
        (Said::Rows(mut rows), _) => {
            if let Some(value) = rows.first_mut().and_then(|row| row.first_mut()) {
                value.push_str(if number.is_multiple_of(2) { "x" } else { " \t" });
            }
            Said::Rows(rows)
        }
        (Said::Done(_), 0 | 1) => Said::Error("an odd error".into()),
        (Said::Done(count), _) => Said::Done(count + 1),
        (Said::Error(_), 0) => Said::Rows(vec![]),
        (Said::Error(_), 1) => Said::Error("an odd error".into()),
        (Said::Error(text), 2) => Said::Error(format!("{text}\n")),
        (Said::Error(text), 3) => Said::Error(format!("db error: {text}")),
        (Said::Error(_), _) => Said::Done(0),
    }
}

impl DB for Oracle {
    type Error = std::io::Error;
    type ColumnType = DefaultColumnType;

    fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, std::io::Error> {
        match self.answer(sql) {
            Said::Rows(rows) => Ok(DBOutput::Rows { types: Vec::new(), rows }),
            Said::Done(count) => Ok(DBOutput::StatementComplete(count)),
            Said::Error(message) => Err(std::io::Error::other(message)),
        }
    }

    fn engine_name(&self) -> &str {
        "oracle"
    }
}

/// A message that an expected error is matched by, as far as that is easily found.
fn message(error: &ExpectedError) -> String {
    match error {
        ExpectedError::Inline(regex) => {
            let text = regex.as_str();
            let plain = text.replace('\\', "").replace(".*", " ").replace(['^', '$'], "");
            if regex.is_match(text) { text.to_owned() } else { plain }
        }
        ExpectedError::Multiline(text) => text.clone(),
        ExpectedError::Empty | ExpectedError::SqlState(_) => "some error".to_owned(),
    }
}

fn script_of(records: &[Parsed]) -> Script {
    let mut script = Script::default();
    for record in records {
        let (sql, said) = match record {
            Theirs::Statement { sql, expected, .. } => (
                sql,
                match expected {
                    StatementExpect::Ok => Said::Done(0),
                    StatementExpect::Count(count) => Said::Done(*count),
                    StatementExpect::Error(error) => Said::Error(message(error)),
                },
            ),
            Theirs::Query { sql, expected, .. } => (
                sql,
                match expected {
                    QueryExpect::Results { results, .. } => Said::Rows(rows(results)),
                    QueryExpect::Error(error) => Said::Error(message(error)),
                },
            ),
            Theirs::Let { sql, variables, .. } => (sql, Said::Rows(vec![vec!["1".to_owned(); variables.len()]])),
            _ => continue,
        };
        script.answers.entry(sql.clone()).or_default().push(said);
    }
    script
}

/// Rows that are read as these lines are: of as many values as words, where all lines have as many.
fn rows(lines: &[String]) -> Vec<Vec<String>> {
    let rows: Vec<Vec<String>> = lines.iter().map(|line| cells(line)).collect();
    match rows.windows(2).all(|pair| pair[0].len() == pair[1].len()) {
        true => rows,
        false => rows.iter().map(|row| vec![row.join(" ")]).collect(),
    }
}

/// A row that is read as this line is; lines with an ignored part stay as they are, as white space counts in them.
fn cells(line: &str) -> Vec<String> {
    if line.contains("<slt:ignore>") {
        return vec![line.replace("<slt:ignore>", "17")];
    }
    let words: Vec<String> = default_normalizer(&line.to_owned()).split(' ').map(str::to_owned).collect();
    words
}

/// Where records failed; line 0 for a file that cannot be read.
type Failed = BTreeSet<(String, u64)>;

fn place(file: &str, line: u64) -> (String, u64) {
    (Path::new(file).file_name().unwrap_or_default().to_string_lossy().into_owned(), line)
}

/// Whether docs/format.md lists a difference for the record: commands, labels that are compared, hashes of results.
fn differs_on_purpose(record: &Parsed) -> bool {
    match record {
        Theirs::System { .. } => true,
        Theirs::Query { expected: QueryExpect::Results { label, results, .. }, .. } => {
            label.is_some() || results.iter().any(|line| line.contains(" values hashing to "))
        }
        _ => false,
    }
}

/// The records that fail under the crate's runner, and those that neither runner is judged by.
fn theirs(records: &[Parsed], oracle: &Oracle) -> (Failed, Failed) {
    let (mut failed, mut unjudged) = (Failed::new(), Failed::new());
    let mut runner = Runner::new(|| {
        let oracle = oracle.clone();
        async move { Ok(oracle) }
    });
    for record in records {
        let loc = match record {
            Theirs::Halt { .. } => break,
            Theirs::Sleep { .. } => continue,
            // Not run: it would run a command.
            Theirs::System { loc, .. } => {
                unjudged.insert(place(loc.file(), u64::from(loc.line())));
                continue;
            }
            Theirs::Statement { loc, .. } | Theirs::Query { loc, .. } | Theirs::Let { loc, .. } => Some(loc),
            _ => None,
        };
        let Some(at) = loc.map(|loc| place(loc.file(), u64::from(loc.line()))) else {
            let _ = runner.run(record.clone());
            continue;
        };
        let passed = runner.run(record.clone()).is_ok();
        if differs_on_purpose(record) {
            unjudged.insert(at);
        } else if !passed {
            failed.insert(at);
        }
    }
    (failed, unjudged)
}

#[derive(Default)]
struct Failures(Mutex<Failed>);

impl Watch for Failures {
    fn running(&self, _: &str, _: u64, _: &[u8]) {}

    fn ended(&self, file: &str, record: &Record<'_>, ending: Ending<'_>) {
        if let Ending::Failed(_) = ending {
            self.0.lock().unwrap().insert(place(file, record.line));
        }
    }
}

/// The records that fail here; or what is wrong with the file.
fn ours(file: &TestFile, oracle: &Oracle) -> (Failed, Option<String>) {
    let oracle = oracle.clone();
    let engine = (move || Ok::<_, std::io::Error>(oracle.clone())).into_engine();
    let failures = Failures::default();
    let options = Options { allow_env: true, ..Options::default() };
    let outcome = trial::run(file, &*engine, &options, &failures);
    let failed = failures.0.into_inner().unwrap();
    let unread = failed.is_empty().then(|| outcome.failures.first().map(|failure| failure.message.clone())).flatten();
    (failed, unread)
}

/// Compares all files of a folder; says how many there are, and of each that differs, how.
fn differences(root: &Path) -> (usize, BTreeMap<String, String>) {
    let suite = Suite::from_roots([root.to_path_buf()]).all_in(Dialect::Slt);
    let files: Vec<TestFile> = suite.discover().unwrap();
    let mut differences = BTreeMap::new();
    for file in &files {
        // The crate panics at a file that is not UTF-8.
        let text = std::fs::read(&file.path).unwrap();
        let parsed = String::from_utf8(text).is_ok().then(|| parse_file::<DefaultColumnType>(&file.path));
        let difference = match parsed {
            Some(Ok(records)) => {
                let script = Arc::new(script_of(&records));
                [1, 2].into_iter().find_map(|seed| {
                    let (theirs, unjudged) = theirs(&records, &Oracle::new(&script, seed));
                    let (mut ours, unread) = ours(file, &Oracle::new(&script, seed));
                    ours.retain(|place| !unjudged.contains(place));
                    match unread.filter(|_| ours.is_empty() && unjudged.is_empty()) {
                        Some(message) => Some(format!("only the crate reads it: {message}")),
                        None if ours != theirs => {
                            let only = |a: &Failed, b: &Failed| a.difference(b).take(3).cloned().collect::<Vec<_>>();
                            let (here, there) = (only(&ours, &theirs), only(&theirs, &ours));
                            Some(format!("seed {seed}: fails only here: {here:?}, only there: {there:?}"))
                        }
                        None => None,
                    }
                })
            }
            Some(Err(_)) | None => {
                let (failed, unread) = ours(file, &Oracle::new(&Arc::default(), 0));
                (unread.is_none() && failed.is_empty()).then(|| "only we read it".to_owned())
            }
        };
        differences.extend(difference.map(|difference| (file.name.clone(), difference)));
    }
    (files.len(), differences)
}

/// The bundled files in the dialect, apart from those that must fail.
fn bundled() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

#[test]
fn the_bundled_files_fail_where_the_crates_runner_fails() {
    let folder = tempfile::tempdir().unwrap();
    for entry in Suite::from_roots([bundled()]).discover().unwrap() {
        if entry.dialect == Dialect::Slt {
            let path = folder.path().join(&entry.name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::copy(&entry.path, &path).unwrap();
        }
    }
    let (count, differences) = differences(folder.path());
    // An include may name a file that was not copied; both runners refuse it then.
    assert!(count > 20, "{count}");
    assert!(differences.len() * 20 <= count, "{} of {count} differ: {differences:#?}", differences.len());
}

#[test]
fn public_files_fail_where_the_crates_runner_fails() {
    let Some(peers) = std::env::var_os("SLT_PEERS") else { return };
    let mut told = String::new();
    for peer in ["datafusion", "glaredb", "risinglight", "risingwave", "databend", "sqllogictest-rs", "iceberg"] {
        let (count, differences) = differences(&Path::new(&peers).join(peer));
        println!("{peer}: {} of {count} differ: {differences:#?}", differences.len());
        if differences.len() * 100 > count {
            told.push_str(&format!("{peer}: {} of {count} files differ\n", differences.len()));
        }
    }
    assert!(told.is_empty(), "{told}");
}
