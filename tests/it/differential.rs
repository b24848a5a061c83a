//! The `sqllogictest` crate's own runner and ours over the same files: the same records must fail.
//!
//! The engine knows what a file expects and answers that, apart from some answers that a seed makes wrong. Both runners get
//! the same answers. The bundled files are compared everywhere; the variable `SLT_PEERS` names a folder with public ones.
//! Each file that differs is listed here with the row of docs/format.md that it is an example of.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use slt_harness::Dialect;
use slt_harness::engine::IntoEngine;
use slt_harness::sqllogictest::parser::{Condition, ExpectedError, Record as Theirs, parse_file};
use slt_harness::sqllogictest::{
    AsyncDB, DBOutput, DefaultColumnType, QueryExpect, Runner, StatementExpect, default_normalizer,
};
use slt_harness::unstable::event::{Ending, Event, Reporter};
use slt_harness::unstable::outcome::CutShort;
use slt_harness::unstable::suite::{Suite, TestFile};
use slt_harness::unstable::trial::{self, Options};

type Parsed = Theirs<DefaultColumnType>;

/// What an engine answers.
#[derive(Clone)]
enum Answer {
    Rows(Vec<Vec<String>>),
    Done(u64),
    Error(String, Option<String>),
}

/// An error of the engine: its message, and its SQLSTATE if it has one.
#[derive(Debug)]
struct OracleError(String, Option<String>);

impl fmt::Display for OracleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OracleError {}

/// The answers to each SQL text, in the order of the records.
#[derive(Default)]
struct Script {
    answers: HashMap<String, Vec<Answer>>,
}

/// One run's engine; it counts how often each SQL text was sent.
#[derive(Clone)]
struct Oracle {
    script: Arc<Script>,
    sent: Arc<Mutex<HashMap<String, usize>>>,
    /// Decides which answers are wrong; 0 for none.
    seed: u64,
}

impl Oracle {
    fn new(script: &Arc<Script>, seed: u64) -> Oracle {
        Oracle { script: Arc::clone(script), sent: Arc::default(), seed }
    }

    fn answer(&self, sql: &str) -> Answer {
        let sql = &*without_scratch_names(sql);
        let mut sent = self.sent.lock().unwrap();
        let count = sent.entry(sql.to_owned()).or_default();
        *count += 1;
        let answer = self.script.answers.get(sql).and_then(|answers| answers.get(*count - 1).or(answers.last()));
        let answer = answer.cloned().unwrap_or(Answer::Done(0));
        let number = number_of(&format!("{} {count} {sql}", self.seed));
        if self.seed > 0 && number.is_multiple_of(5) { wrong(answer, number / 5) } else { answer }
    }
}

/// A number for a text, the same with every compiler: the upper half of its FNV-1a hash.
fn number_of(text: &str) -> u64 {
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    hash >> 32
}

/// SQL without the names of temporary folders and the times that `$__TEST_DIR__` and `$__NOW__` have put into it, which
/// the two runs do not share.
fn without_scratch_names(sql: &str) -> String {
    let mut left = String::with_capacity(sql.len());
    for (index, part) in sql.split("/tmp/").enumerate() {
        let rest = part.trim_start_matches(|c: char| index > 0 && (c.is_alphanumeric() || "._-".contains(c)));
        left.push_str(rest);
    }
    let is_time = |word: &str| word.len() >= 16 && word.bytes().all(|byte| byte.is_ascii_digit());
    match left.split(|c: char| !c.is_alphanumeric()).any(is_time) {
        true => left.split(|c: char| !c.is_alphanumeric()).filter(|word| !is_time(word)).collect(),
        false => left,
    }
}

/// An answer that is wrong in one of several ways.
fn wrong(answer: Answer, number: u64) -> Answer {
    match (answer, number % 6) {
        (Answer::Rows(_), 0) => odd_error(),
        (Answer::Rows(mut rows), 1) if !rows.is_empty() => {
            rows.remove(number as usize / 6 % rows.len());
            Answer::Rows(rows)
        }
        (Answer::Rows(mut rows), 2) => {
            rows.push(vec!["more".into(); rows.first().map_or(1, Vec::len)]);
            Answer::Rows(rows)
        }
        (Answer::Rows(mut rows), 3) => {
            rows.push(vec![" ".into(); rows.first().map_or(1, Vec::len)]);
            Answer::Rows(rows)
        }
        (Answer::Rows(mut rows), _) => {
            if let Some(value) = rows.first_mut().and_then(|row| row.first_mut()) {
                value.push_str(if number.is_multiple_of(2) { "x" } else { " \t" });
            }
            Answer::Rows(rows)
        }
        (Answer::Done(_), 0 | 1) => odd_error(),
        (Answer::Done(count), _) => Answer::Done(count + 1),
        (Answer::Error(..), 0) => Answer::Rows(vec![]),
        (Answer::Error(..), 1) => odd_error(),
        (Answer::Error(text, state), 2) => Answer::Error(format!("{text}\n"), state),
        (Answer::Error(text, state), 3) => Answer::Error(format!("db error: {text}"), state),
        (Answer::Error(..), _) => Answer::Done(0),
    }
}

fn odd_error() -> Answer {
    Answer::Error("an odd error".into(), Some("XX000".into()))
}

/// The result of the trait's asynchronous functions.
type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl AsyncDB for Oracle {
    type Error = OracleError;
    type ColumnType = DefaultColumnType;

    fn run<'a, 'b, 'c>(&'a mut self, sql: &'b str) -> Later<'c, Result<DBOutput<DefaultColumnType>, OracleError>>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        let answer = match self.answer(sql) {
            Answer::Rows(rows) => Ok(DBOutput::Rows { types: Vec::new(), rows }),
            Answer::Done(count) => Ok(DBOutput::StatementComplete(count)),
            Answer::Error(message, state) => Err(OracleError(message, state)),
        };
        Box::pin(std::future::ready(answer))
    }

    fn shutdown<'a, 'c>(&'a mut self) -> Later<'c, ()>
    where
        'a: 'c,
        Self: 'c,
    {
        Box::pin(std::future::ready(()))
    }

    fn engine_name(&self) -> &str {
        "oracle"
    }

    /// Does not wait before another try.
    fn sleep<'c>(_: Duration) -> Later<'c, ()> {
        Box::pin(std::future::ready(()))
    }

    fn error_sql_state(error: &OracleError) -> Option<String> {
        error.1.clone()
    }
}

/// An error that matches the expected one, as far as one is easily found.
fn error(expected: &ExpectedError) -> Answer {
    let message = match expected {
        ExpectedError::Inline(regex) => {
            let text = regex.as_str();
            let plain = text.replace('\\', "").replace(".*", " ").replace(['^', '$'], "");
            if regex.is_match(text) { text.to_owned() } else { plain }
        }
        ExpectedError::Multiline(text) => text.clone(),
        ExpectedError::Empty | ExpectedError::SqlState(_) => "some error".to_owned(),
    };
    let state = match expected {
        ExpectedError::SqlState(state) => Some(state.clone()),
        _ => None,
    };
    Answer::Error(message, state)
}

/// Whether the record is for other engines.
fn is_skipped(conditions: &[Condition]) -> bool {
    conditions.iter().any(|condition| match condition {
        Condition::OnlyIf { label } => label != "oracle",
        Condition::SkipIf { label } => label == "oracle",
    })
}

fn script_of(records: &[Parsed]) -> Script {
    let mut script = Script::default();
    for record in records {
        let (sql, answer) = match record {
            Theirs::Statement { conditions, .. } | Theirs::Query { conditions, .. } if is_skipped(conditions) => {
                continue;
            }
            Theirs::Statement { sql, expected, .. } => (
                sql,
                match expected {
                    StatementExpect::Ok => Answer::Done(0),
                    StatementExpect::Count(count) => Answer::Done(*count),
                    StatementExpect::Error(expected) => error(expected),
                },
            ),
            Theirs::Query { sql, expected, .. } => (
                sql,
                match expected {
                    QueryExpect::Results { results, .. } => Answer::Rows(rows(results)),
                    QueryExpect::Error(expected) => error(expected),
                },
            ),
            Theirs::Let { sql, variables, .. } => (sql, Answer::Rows(vec![vec!["1".to_owned(); variables.len()]])),
            _ => continue,
        };
        script.answers.entry(without_scratch_names(sql)).or_default().push(answer);
    }
    script
}

/// Rows that are written as these lines: a value for each word if all lines have the same number of words, otherwise one value
/// for each line.
fn rows(lines: &[String]) -> Vec<Vec<String>> {
    let rows: Vec<Vec<String>> = lines.iter().map(|line| cells(line)).collect();
    match rows.windows(2).all(|pair| pair[0].len() == pair[1].len()) {
        true => rows,
        false => rows.iter().map(|row| vec![row.join(" ")]).collect(),
    }
}

/// A row that is written as this line. A line with an ignored part is one value, because white space counts in it.
fn cells(line: &str) -> Vec<String> {
    if line.contains("<slt:ignore>") {
        return vec![line.replace("<slt:ignore>", "17")];
    }
    let words: Vec<String> = default_normalizer(&line.to_owned()).split(' ').map(str::to_owned).collect();
    words
}

/// Where records failed; line 0 for a file that cannot be read.
type Failed = BTreeSet<(String, u64)>;

/// A place, with the real path of its file.
fn place(file: &str, line: u64) -> (String, u64) {
    static REAL: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());
    let mut real = REAL.lock().unwrap();
    let real = real.entry(file.to_owned()).or_insert_with(|| {
        Path::new(file).canonicalize().map_or_else(|_| file.to_owned(), |path| path.to_string_lossy().into_owned())
    });
    (real.clone(), line)
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

/// The records that fail under the crate's runner, and those that are not compared.
fn theirs(records: &[Parsed], oracle: &Oracle) -> (Failed, Failed) {
    let (mut failed, mut unjudged) = (Failed::new(), Failed::new());
    let mut runner = Runner::new(|| {
        let oracle = oracle.clone();
        async move { Ok(oracle) }
    });
    for record in records {
        let loc = match record {
            Theirs::Halt { .. } => break,
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

impl Reporter for Failures {
    fn report(&self, event: Event<'_>) {
        if let Event::RecordEnded { file, record, ending: Ending::Failed(_) } = event {
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
    let is_unread = matches!(outcome.cut_short, Some(CutShort::SyntaxError | CutShort::Unreadable));
    let unread = outcome.failures.first().filter(|_| is_unread);
    (failed, unread.map(|failure| format!("{} in line {}", failure.message, failure.line)))
}

/// How the two runners differ for a file, if they do.
fn difference(file: &TestFile) -> Option<String> {
    // The crate panics at a file that is not UTF-8.
    let text = std::fs::read(&file.path).unwrap();
    let parsed = String::from_utf8(text).is_ok().then(|| parse_file::<DefaultColumnType>(&file.path));
    let Some(Ok(records)) = parsed else {
        let (_, unread) = ours(file, &Oracle::new(&Arc::default(), 0));
        return unread.is_none().then(|| "only we read it".to_owned());
    };
    let script = Arc::new(script_of(&records));
    (0..3).find_map(|seed| {
        let (theirs, unjudged) = theirs(&records, &Oracle::new(&script, seed));
        let (mut ours, unread) = ours(file, &Oracle::new(&script, seed));
        if let Some(message) = unread {
            return Some(format!("only the crate reads it: {message}"));
        }
        ours.retain(|place| !unjudged.contains(place));
        (ours != theirs).then(|| {
            let only = |a: &Failed, b: &Failed| a.difference(b).take(3).cloned().collect::<Vec<_>>();
            let (here, there) = (only(&ours, &theirs), only(&theirs, &ours));
            format!("seed {seed}: fails only here: {here:?}, only there: {there:?}")
        })
    })
}

/// Compares all files of a folder, whatever their names. Returns their number, and the difference for each file that has one.
fn differences(root: &Path) -> (usize, BTreeMap<String, String>) {
    let suite = Suite::from_roots([root.to_path_buf()]).all_in(Dialect::Slt);
    let mut names = Vec::new();
    names_below(root, root, &mut names);
    let next = AtomicUsize::new(0);
    let compare = || {
        let mut differences = BTreeMap::new();
        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            let file = suite.find(name).unwrap().unwrap();
            differences.extend(difference(&file).map(|difference| (file.name, difference)));
        }
        differences
    };
    let differences = std::thread::scope(|scope| {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(compare)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    (names.len(), differences)
}

fn names_below(folder: &Path, root: &Path, names: &mut Vec<String>) {
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            names_below(&path, root, names);
        } else {
            names.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
        }
    }
}

/// The bundled files in the dialect, apart from those that must fail.
fn bundled() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

/// Files that differ, each with a part of its message. docs/format.md has the reasons.
const BUNDLED: &[(&str, &str)] = &[
    // A comment after a condition.
    ("evidence/directives/conditions.slt", "only we read it"),
    // Text before the first `<slt:ignore>`, or behind the last one.
    ("evidence/directives/ignore.slt", "ignore.slt\", 30)"),
];

const PUBLIC: &[(&str, &[(&str, &str)])] = &[
    ("datafusion", &[("datafusion/sqllogictest/test_files/explain_analyze.slt", "290)], only there: []")]),
    (
        "risingwave",
        &[
            // In the crate's runner, a variable that is not set counts as the expected error.
            ("e2e_test/sink/elasticsearch/elasticsearch_sink.slt", "35), "),
            ("e2e_test/sink/postgres_sink.slt", "117), "),
            // Text before the first `<slt:ignore>`, or behind the last one.
            ("e2e_test/vector_search/distributed.slt", "raw_column_index.slt.part\", 66)], only there: []"),
            ("e2e_test/vector_search/expression_column_index.slt.part", "66)], only there: []"),
            ("e2e_test/vector_search/hnsw_index.slt.part", "42)], only there: []"),
            ("e2e_test/vector_search/local.slt", "raw_column_index.slt.part\", 66)], only there: []"),
            ("e2e_test/vector_search/raw_column_index.slt.part", "66)], only there: []"),
            ("e2e_test/vector_search/vector_index.slt.part", "raw_column_index.slt.part\", 66)], only there: []"),
        ],
    ),
    (
        "databend",
        &[
            // A pattern that matches every error: `|` at an end of a group.
            ("tests/sqllogictests/suites/base/03_common/03_0016_insert_into_values.test", "matches every error"),
            // Text before the first `<slt:ignore>`, or behind the last one.
            ("tests/sqllogictests/suites/base/09_fuse_engine/09_0053_analyze_top_n.test", "162), "),
            ("tests/sqllogictests/suites/mode/standalone/explain/bloom_filter.test", "362)], only there: []"),
            ("tests/sqllogictests/suites/mode/standalone/explain/cte_filter_pushdown.test", "73)], only there: []"),
        ],
    ),
];

/// Asserts that the files that differ are those of the list.
fn assert_listed(differences: &BTreeMap<String, String>, listed: &[(&str, &str)]) {
    let listed: BTreeMap<&str, &str> = listed.iter().copied().collect();
    let mut wrong = String::new();
    for (name, difference) in differences {
        if !listed.get(&**name).is_some_and(|part| difference.contains(part)) {
            wrong.push_str(&format!("`{name}` differs: {difference}\n"));
        }
    }
    for name in listed.keys().filter(|name| !differences.contains_key(**name)) {
        wrong.push_str(&format!("`{name}` does not differ any more: take it off the list\n"));
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_bundled_files_fail_where_the_crates_runner_fails() {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(bundled()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        copy_scripts(&entry, &folder.path().join(entry.file_name().unwrap()));
    }
    let (count, differences) = differences(folder.path());
    assert!(count > 20, "{count}");
    assert_listed(&differences, BUNDLED);
}

/// Copies the scripts of the dialect, and what they include.
fn copy_scripts(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for path in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_scripts(&path, &target);
        } else if path.extension().is_some_and(|extension| extension == "slt" || extension == "part") {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

#[test]
fn public_files_fail_where_the_crates_runner_fails() {
    let Some(peers) = std::env::var_os("SLT_PEERS") else {
        return println!("no public files: `SLT_PEERS` names no folder");
    };
    let mut wrong = Vec::new();
    for peer in ["datafusion", "glaredb", "risinglight", "risingwave", "databend", "sqllogictest-rs", "iceberg"] {
        let clock = std::time::Instant::now();
        let (count, differences) = differences(&Path::new(&peers).join(peer));
        println!("{peer}: {} of {count} differ, {} s: {differences:#?}", differences.len(), clock.elapsed().as_secs());
        let listed = PUBLIC.iter().find(|(name, _)| *name == peer).map_or(&[][..], |(_, listed)| listed);
        let checked = std::panic::catch_unwind(|| assert_listed(&differences, listed));
        wrong.extend(checked.err().map(|_| peer));
    }
    assert!(wrong.is_empty(), "files of {wrong:?} differ that are not listed");
}
