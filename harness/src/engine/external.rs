//! External drivers: programs that run SQL for us and speak JSON on standard input and output.
//!
//! The protocol is that of sqllogictest-bin's external engine, so its drivers work unchanged:
//!
//! ```text
//! to the driver    {"sql":"SELECT 1, 2"}            objects one after another, without line ends
//! from the driver  {"result":[["1","2"]]}           or {"err":"no such table"}
//! ```
//!
//! A driver announces that it knows the extension by printing a greeting before it reads anything:
//!
//! ```text
//! from the driver  {"protocol":1,"name":"duckdb"}
//! to the driver    {"sql":"SELECT 1, 'x', NULL","letters":"ITT","dialect":"classic"}
//! from the driver  {"result":[[1,"x",null]],"columns":3}  or {"count":5}  or {"err":"…","sqlstate":"42P01"}
//! ```
//!
//! To find out, the driver is started once with empty input. Every driver tolerates empty input, so drivers without a
//! greeting never see new fields.

use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::path::PathBuf;
use std::process::{ChildStdin, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use once_cell::sync::OnceCell;
use serde::{Deserialize, Serialize};
use serde_json::StreamDeserializer;
use serde_json::de::IoRead;
use serde_json::value::RawValue;

use super::choice::shown_command;
use super::identity;
use super::names::Maker;
use super::text::Letters;
use super::{Database, Done, Engine, EngineError, Interrupter, Opening, Request, Rows, Session};
use crate::script::Dialect;

mod output;
mod process;
mod shared;

use output::Output;
use process::{Process, timed_out};

/// Tells a driver which version of the extension is in use.
pub const PROTOCOL: &str = "SLT_PROTOCOL";

/// Gives a driver a name for the script's database: the same for all connections of a script, and for no other script.
pub const DATABASE: &str = "SLT_DATABASE";

/// How long a driver may take to greet.
const GREETING: Duration = Duration::from_secs(30);

/// How many bytes of its output are searched for a greeting.
const GREETING_BYTES: u64 = 65_536;

/// An external driver as an engine.
pub struct External {
    driver: Arc<Driver>,
}

struct Driver {
    command: String,
    shown: String,
    maker: OnceCell<Maker>,
    /// The driver's answer when asked whether it knows the extension.
    greeting: OnceCell<Option<Greeting>>,
}

impl External {
    /// A driver that the shell command `command` starts, once for each connection.
    pub fn new(command: &str) -> Self {
        let shown = format!("the external driver `{}`", shown_command(command));
        let (maker, greeting) = (OnceCell::new(), OnceCell::new());
        External { driver: Arc::new(Driver { command: command.to_owned(), shown, maker, greeting }) }
    }
}

impl Engine for External {
    fn name(&self) -> &str {
        &self.driver.shown
    }

    fn labels(&self) -> Vec<String> {
        vec!["external".to_owned()]
    }

    /// The command, and the files that its words name: a changed driver counts as another engine, even with the same
    /// command.
    fn identity(&self) -> String {
        let command = &self.driver.command;
        let words = shlex::split(command).unwrap_or_else(|| command.split_whitespace().map(str::to_owned).collect());
        let programs: Vec<String> =
            words.iter().filter_map(|word| identity::of_program(&file_of(word)?).ok()).collect();
        // The command itself may contain a secret.
        let sum = |text: &str| crc32fast::hash(text.as_bytes());
        format!("{}, command {:08x}, files {:08x}", self.driver.shown, sum(command), sum(&programs.join("\n")))
    }

    fn database(&self, _script: &str) -> Result<Box<dyn Database>, EngineError> {
        let name = self.driver.maker.get_or_try_init(Maker::new)?.name();
        Ok(Box::new(Own { driver: Arc::clone(&self.driver), name, shared: None, connections: 0 }))
    }
}

/// The file that a word of a command names, as a path or as a program.
fn file_of(word: &str) -> Option<PathBuf> {
    let path = PathBuf::from(word);
    if path.is_file() || word.contains('/') {
        return path.is_file().then_some(path);
    }
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(word)).find(|path| path.is_file())
}

/// A script's own database, as the driver defines it.
struct Own {
    driver: Arc<Driver>,
    name: String,
    /// The process for all connections, if the driver has that capability.
    shared: Option<Rc<RefCell<Conversation>>>,
    /// The number of connections so far.
    connections: u64,
}

impl Database for Own {
    fn name(&self) -> Option<String> {
        Some(self.name.clone())
    }

    fn connect(&mut self) -> Result<Box<dyn Session>, EngineError> {
        if !self.driver.can(CONNECTIONS)? {
            return Ok(Box::new(self.start()?));
        }
        let shared = match &self.shared {
            Some(shared) => shared,
            None => {
                let started = self.start()?;
                self.shared.insert(Rc::new(RefCell::new(started)))
            }
        };
        let connection = shared::Connection::new(shared, self.connections);
        self.connections += 1;
        Ok(Box::new(connection))
    }

    fn reopen(&mut self, opening: Opening<'_>) -> Result<(), EngineError> {
        match &self.shared {
            Some(shared) if self.driver.can(REOPEN)? => shared::open(&mut shared.borrow_mut(), opening),
            _ => Err(EngineError::new(format!(
                "this driver cannot open a database again, as `{}` asks: it does not greet with the capabilities \
                 `{CONNECTIONS}` and `{REOPEN}`",
                opening.word()
            ))),
        }
    }

    fn require(&mut self, words: &[&str]) -> Result<bool, EngineError> {
        match &self.shared {
            Some(shared) if self.driver.can(REQUIRE)? => shared::require(&mut shared.borrow_mut(), words),
            _ => Ok(false),
        }
    }
}

impl Own {
    /// Starts the driver.
    fn start(&self) -> Result<Conversation, EngineError> {
        let greeting = self.driver.greeting.get_or_try_init(|| self.driver.probe())?;
        let mut process = Process::start(&self.driver.command, Stdio::piped(), Some(&self.name))?;
        let (Some(stdin), Some(stdout)) = process.pipes() else { return Err(EngineError::new("no pipes")) };
        let output = Output::new(stdout, process.watcher());
        let answers = serde_json::Deserializer::from_reader(output.clone()).into_iter();
        let greeting = greeting.clone();
        let mut session = Conversation { greeting, stdin: Some(stdin), process, output, answers, is_lost: false };
        if session.greeting.is_some() {
            // Later attempts may fail or be slow where the first one was not.
            let guard = session.process.timeout_guard(GREETING);
            let greeting = session.answer();
            if timed_out(&guard) {
                return Err(EngineError::lost(format!("it did not greet within {} s", GREETING.as_secs())));
            }
            if greeting?.protocol.is_none() {
                return Err(EngineError::lost("it greeted when it was first started, and does not now"));
            }
        }
        Ok(session)
    }
}

impl Driver {
    /// Whether the driver's greeting has a capability.
    fn can(&self, capability: &str) -> Result<bool, EngineError> {
        let greeting = self.greeting.get_or_try_init(|| self.probe())?;
        Ok(greeting.as_ref().is_some_and(|greeting| greeting.capabilities.iter().any(|known| known == capability)))
    }

    /// Finds out whether the driver knows the extension.
    fn probe(&self) -> Result<Option<Greeting>, EngineError> {
        let mut process = Process::start(&self.command, Stdio::null(), None)?;
        let guard = process.timeout_guard(GREETING);
        let mut said = Vec::new();
        if let (_, Some(stdout)) = process.pipes() {
            let output = Output::new(stdout, process.watcher());
            // A greeting is short; endless output is not a greeting.
            let read = output.take(GREETING_BYTES).read_to_end(&mut said);
            read.map_err(|error| EngineError::new(format!("cannot read its output: {error}")))?;
        }
        if timed_out(&guard) {
            let limit = GREETING.as_secs();
            note!("warning: {} was killed: it found nothing to read, and did not end within {limit} s", self.shown);
        }
        let mut answers = serde_json::Deserializer::from_slice(&said).into_iter::<Answer>();
        let Some(Ok(Answer { protocol: Some(protocol), name, capabilities, .. })) = answers.next() else {
            return Ok(None);
        };
        match protocol {
            1 => Ok(Some(Greeting { name: name.unwrap_or_else(|| "external".to_owned()), capabilities })),
            other => Err(EngineError::new(format!("it speaks version {other} of the protocol, and here is version 1"))),
        }
    }
}

/// A driver's greeting.
#[derive(Debug, Clone)]
struct Greeting {
    name: String,
    capabilities: Vec<String>,
}

/// One process serves all connections of a script.
const CONNECTIONS: &str = "connections";

/// The script's database can be opened again, or another one.
const REOPEN: &str = "reopen";

/// The driver can say whether it has what a script requires.
const REQUIRE: &str = "require";

#[derive(Default, Serialize)]
struct Question<'q> {
    #[serde(skip_serializing_if = "Option::is_none")]
    sql: Option<&'q str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    letters: Option<&'q str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dialect: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    close: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    open: Option<Open<'q>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    restart: Option<Restart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    require: Option<&'q [&'q str]>,
}

#[derive(Serialize)]
struct Open<'q> {
    path: Option<&'q str>,
    read_only: bool,
    version: Option<&'q str>,
}

#[derive(Serialize)]
struct Restart {
    extensions: bool,
}

/// All possible answers of a driver.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer {
    /// Values as the driver wrote them: parsing a number and writing it again might change it.
    result: Option<Vec<Vec<Box<RawValue>>>>,
    columns: Option<usize>,
    count: Option<u64>,
    err: Option<String>,
    sqlstate: Option<String>,
    types: Option<Vec<String>>,
    met: Option<bool>,
    protocol: Option<u32>,
    name: Option<String>,
    capabilities: Vec<String>,
}

/// One connection: a process that answers requests one by one.
struct Conversation {
    greeting: Option<Greeting>,
    /// Closed at the end, after which the driver should exit.
    stdin: Option<ChildStdin>,
    /// Ended before the driver's output is closed, because the driver might still write to it.
    process: Process,
    output: Output,
    answers: StreamDeserializer<'static, IoRead<Output>, Answer>,
    /// Whether the connection can no longer be used.
    is_lost: bool,
}

impl Conversation {
    /// The driver's next answer; if there is none, no later answer can be trusted.
    fn answer(&mut self) -> Result<Answer, EngineError> {
        let lost = match self.answers.next() {
            Some(Ok(answer)) => return Ok(answer),
            Some(Err(error)) if error.is_syntax() || error.is_data() => {
                format!("it printed something that is not an answer: `{}` ({})", self.output.printed(), reason(&error))
            }
            Some(Err(error)) if !error.is_eof() => format!("cannot read its answer: {error}"),
            cut => {
                let end = self.process.end();
                let when = if cut.is_some() { "in the middle of an answer" } else { "instead of answering" };
                format!("{} {when}", end.as_deref().unwrap_or("it closed its output"))
            }
        };
        Err(EngineError::lost(lost))
    }

    fn ask(&mut self, question: &Question<'_>) -> Result<Answer, EngineError> {
        let answer = self.put(question);
        self.is_lost |= matches!(&answer, Err(error) if error.lost);
        answer
    }

    /// Sends a request that is not SQL.
    fn command(&mut self, question: &Question<'_>) -> Result<Answer, EngineError> {
        match self.ask(question)? {
            Answer { err: Some(message), sqlstate, .. } => Err(EngineError { sqlstate, ..EngineError::new(message) }),
            answer => Ok(answer),
        }
    }

    fn put(&mut self, question: &Question<'_>) -> Result<Answer, EngineError> {
        // Otherwise it would count as the answer, and each later answer would be off by one.
        if let Some(unasked) = self.output.unasked() {
            return Err(EngineError::lost(format!("it printed `{unasked}` without being asked")));
        }
        let text = serde_json::to_vec(question).map_err(|error| EngineError::new(error.to_string()))?;
        let written = match &mut self.stdin {
            Some(stdin) => stdin.write_all(&text).and_then(|()| stdin.flush()),
            None => Err(ErrorKind::BrokenPipe.into()),
        };
        match written {
            Ok(()) => self.answer(),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(EngineError::lost(match self.process.end() {
                Some(end) => format!("{end} before it was asked"),
                None => "it closed its input, so that it cannot be asked".to_owned(),
            })),
            Err(error) => Err(EngineError::lost(format!("cannot write to it: {error}"))),
        }
    }
}

/// What is wrong with an answer, without the position in a stream that the user does not see.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

impl Session for Conversation {
    fn name(&self) -> &str {
        self.greeting.as_ref().map_or("external", |greeting| &greeting.name)
    }

    fn run(&mut self, request: Request<'_>, rows: &mut Rows) -> Result<Done, EngineError> {
        self.request(request, None, rows)
    }

    fn interrupter(&self) -> Option<Interrupter> {
        Some(Arc::new(self.process.killer()))
    }
}

impl Conversation {
    /// Makes the driver run SQL, on the connection with that number if it serves several.
    fn request(&mut self, request: Request<'_>, connection: Option<u64>, rows: &mut Rows) -> Result<Done, EngineError> {
        let sql = std::str::from_utf8(request.sql)
            .map_err(|error| EngineError::refused(format!("JSON takes UTF-8 only: {error}")))?;
        let extended = self.greeting.is_some();
        let letters = request.letters.filter(|_| extended).map(String::from_utf8_lossy);
        let dialect = extended.then_some(match request.dialect {
            Dialect::Classic => "classic",
            Dialect::Slt => "slt",
            Dialect::DuckDb => "duckdb",
        });
        let letters = letters.as_deref();
        let question = Question { sql: Some(sql), letters, dialect, connection, ..Question::default() };
        let answer = self.ask(&question)?;
        match answer {
            Answer { err: Some(message), sqlstate, result: None, count: None, .. } => {
                Err(EngineError { sqlstate, ..EngineError::new(message) })
            }
            Answer { result: None, count: Some(count), .. } if extended => Ok(Done::Changed(count)),
            Answer { result: Some(result), columns, types, count: None, err: None, .. } => {
                rows.set_types(types.unwrap_or_default());
                if let Some(columns) = columns {
                    rows.set_columns(columns);
                }
                for row in result {
                    push(&row, &request, extended, rows)?;
                }
                Ok(Done::Rows)
            }
            _ => Err(EngineError::lost("it answered neither with `result` nor with `err`")),
        }
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        self.stdin = None;
    }
}

/// Adds a row: formatted by the letters if the driver knows the extension, and otherwise as the driver wrote it.
fn push(row: &[Box<RawValue>], request: &Request<'_>, extended: bool, rows: &mut Rows) -> Result<(), EngineError> {
    let letters = Letters::of(request);
    let mut own = Rows::default();
    for (column, value) in row.iter().enumerate() {
        let value = value.get();
        match value.as_bytes().first() {
            Some(b'"') => {
                let text: String = serde_json::from_str(value).map_err(|error| {
                    EngineError::lost(format!("it answered with `{value}`, which is not a string: {}", reason(&error)))
                })?;
                let text = match request.dialect {
                    Dialect::DuckDb => text.replace('\0', "\\0"),
                    _ => text,
                };
                match text.as_bytes() {
                    text if extended => letters.push(column, Some(text), &mut own),
                    b"" if request.dialect == Dialect::Classic => own.push(b"(empty)"),
                    text => own.push(text),
                }
            }
            Some(b'n') if extended => letters.push(column, None, &mut own),
            Some(truth @ (b't' | b'f')) if extended && request.dialect == Dialect::DuckDb => {
                own.push(if *truth == b't' { b"1" } else { b"0" });
            }
            Some(b't' | b'f' | b'-' | b'0'..=b'9') if extended => {
                letters.push(column, Some(value.as_bytes()), &mut own);
            }
            _ => return Err(EngineError::lost(format!("it answered with `{value}` where a string should be"))),
        }
    }
    rows.push_row(own.values());
    Ok(())
}

#[cfg(test)]
mod tests;
