//! External drivers: programs that run SQL for this program and use JSON on standard input and output.
//!
//! The protocol is that of sqllogictest-bin's external engine, so its drivers work unchanged:
//!
//! ```text
//! to the driver    {"sql":"SELECT 1, 2"}            objects one after another, without line endings
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
//! To find out whether a driver knows the extension, this module starts it once with empty input. Every driver tolerates
//! empty input, so drivers without a greeting never see new fields.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::path::PathBuf;
use std::process::{ChildStdin, Stdio};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use once_cell::sync::OnceCell;
use serde::Serialize;
use serde_json::StreamDeserializer;
use serde_json::de::IoRead;

use super::identity;
use super::names::Maker;
use super::url::shown_command;
use super::{Database, Done, Engine, EngineError, Interrupter, Opening, Request, Rows, Session, Together};

mod answer;
mod output;
mod process;
mod shared;
mod together;

use answer::{Answer, reason};
use output::Output;
use process::{Process, timed_out};

/// The environment variable that tells a driver which version of the extension is in use.
pub const PROTOCOL: &str = "SLT_PROTOCOL";

/// The environment variable with a name for the script's database: the same for all connections of a script, and for no
/// other script.
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
    /// What the driver did at its first start.
    first: OnceCell<First>,
    /// Processes that wait for the next script.
    idle: Mutex<Vec<Conversation>>,
}

impl External {
    /// A driver that the shell command `command` starts, once for each connection.
    pub fn new(command: &str) -> Self {
        let shown = format!("the external driver `{}`", shown_command(command));
        let (maker, first, idle) = (OnceCell::new(), OnceCell::new(), Mutex::default());
        External { driver: Arc::new(Driver { command: command.to_owned(), shown, maker, first, idle }) }
    }
}

impl Engine for External {
    fn name(&self) -> &str {
        &self.driver.shown
    }

    fn labels(&self) -> Vec<String> {
        vec!["external".to_owned()]
    }

    /// The command, and the files that its words name. So a changed driver counts as another engine, even if the command is
    /// the same.
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

/// A script's own database. The driver decides what that is.
struct Own {
    driver: Arc<Driver>,
    name: String,
    /// The process for all connections, if the driver supports that.
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
                let conversation = self.driver.idle(&self.name).map_or_else(|| self.start(), Ok)?;
                self.shared.insert(Rc::new(RefCell::new(conversation)))
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
            _ => match &self.driver.first()?.failed {
                // A driver that does not run has no capabilities. Without this error, all files that require one would be
                // ignored.
                Some(end) => Err(EngineError::lost(format!(
                    "{end} when it was first started, so it cannot tell whether it has `{}`",
                    words.join(" ")
                ))),
                None => Ok(false),
            },
        }
    }

    fn together(&mut self) -> Result<Option<Box<dyn Together>>, EngineError> {
        match &self.shared {
            Some(shared) if self.driver.can(CONCURRENT)? => {
                let first = self.connections;
                // No other connection begins before the connections of the loop have ended.
                self.connections += together::MOST;
                Ok(Some(Box::new(together::Connections::new(shared, first))))
            }
            _ => Ok(None),
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if let Some(Ok(conversation)) = self.shared.take().map(Rc::try_unwrap) {
            self.driver.keep(conversation.into_inner());
        }
    }
}

impl Own {
    /// Starts the driver.
    fn start(&self) -> Result<Conversation, EngineError> {
        let greeting = &self.driver.first()?.greeting;
        let mut process = Process::start(&self.driver.command, Stdio::piped(), Some(&self.name))?;
        let (Some(stdin), Some(stdout)) = process.pipes() else { return Err(EngineError::new("no pipes")) };
        let output = Output::new(stdout, process.watcher());
        let answers = serde_json::Deserializer::from_reader(output.clone()).into_iter();
        let (greeting, lease) = (greeting.clone(), Lease::default());
        let mut session =
            Conversation { greeting, stdin: Some(stdin), process, output, answers, is_lost: false, lease };
        if session.greeting.is_some() {
            // A later start may fail or be slow even if the first one was not.
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
        let greeting = &self.first()?.greeting;
        Ok(greeting.as_ref().is_some_and(|greeting| greeting.capabilities.iter().any(|known| known == capability)))
    }

    /// An idle process that has served another script and still answers; `None` if there is none.
    fn idle(&self, script: &str) -> Option<Conversation> {
        loop {
            let mut conversation = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            // A process that has ended in the meantime does not answer.
            if conversation.command(&Question { script: Some(Some(script)), ..Question::default() }).is_ok() {
                return Some(conversation);
            }
        }
    }

    /// Keeps a process for the next script, if it can serve one.
    fn keep(&self, mut conversation: Conversation) {
        // An interrupter of the old script must not kill the process while it serves another script.
        conversation.lease.end();
        let goes_on = !conversation.is_lost && self.can(SCRIPTS).unwrap_or(false);
        if goes_on && conversation.command(&Question { script: Some(None), ..Question::default() }).is_ok() {
            conversation.lease = Lease::default();
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(conversation);
        }
    }

    /// What the driver did at its first start. Starts it, if that has not happened yet.
    fn first(&self) -> Result<&First, EngineError> {
        self.first.get_or_try_init(|| self.probe())
    }

    /// Starts the driver, to find out whether it knows the extension.
    fn probe(&self) -> Result<First, EngineError> {
        let mut process = Process::start(&self.command, Stdio::null(), None)?;
        let guard = process.timeout_guard(GREETING);
        let mut printed = Vec::new();
        if let (_, Some(stdout)) = process.pipes() {
            let output = Output::new(stdout, process.watcher());
            // A greeting is short; endless output is not a greeting.
            let read = output.take(GREETING_BYTES).read_to_end(&mut printed);
            read.map_err(|error| EngineError::new(format!("cannot read its output: {error}")))?;
        }
        if timed_out(&guard) {
            let limit = GREETING.as_secs();
            note!("warning: {} was killed: it found nothing to read, and did not end within {limit} s", self.shown);
        }
        let mut answers = serde_json::Deserializer::from_slice(&printed).into_iter::<Answer>();
        let Some(Ok(Answer { protocol: Some(protocol), name, capabilities, .. })) = answers.next() else {
            return Ok(First { greeting: None, failed: process.failure() });
        };
        match protocol {
            1 => {
                let name = name.unwrap_or_else(|| "external".to_owned());
                Ok(First { greeting: Some(Greeting { name, capabilities }), failed: None })
            }
            other => {
                Err(EngineError::new(format!("it uses version {other} of the protocol; this program knows version 1")))
            }
        }
    }
}

/// What a driver does at its first start, with empty input.
struct First {
    /// Its greeting; `None` if it does not know the extension.
    greeting: Option<Greeting>,
    /// How it ended; `None` unless it failed without a greeting.
    failed: Option<String>,
}

/// A driver's greeting.
#[derive(Debug, Clone)]
struct Greeting {
    name: String,
    capabilities: Vec<String>,
}

/// One process serves all connections of a script.
const CONNECTIONS: &str = "connections";

/// The driver can open the script's database again, or another database.
const REOPEN: &str = "reopen";

/// The driver can report whether it has what a script requires.
const REQUIRE: &str = "require";

/// One process serves several scripts, one after the other.
const SCRIPTS: &str = "scripts";

/// Requests of several connections run at the same time.
const CONCURRENT: &str = "concurrent";

#[derive(Default, Serialize)]
struct Question<'q> {
    #[serde(skip_serializing_if = "Option::is_none")]
    sql: Option<&'q str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    letters: Option<Cow<'q, str>>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    /// The name of the database of the script that begins; `Some(None)` between two scripts.
    #[serde(skip_serializing_if = "Option::is_none")]
    script: Option<Option<&'q str>>,
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

/// One connection: a process that answers requests one by one.
struct Conversation {
    greeting: Option<Greeting>,
    /// Closed at the end; the driver should exit then.
    stdin: Option<ChildStdin>,
    /// Dropped before the driver's output is closed, because the driver might still write to it.
    process: Process,
    output: Output,
    answers: StreamDeserializer<'static, IoRead<Output>, Answer>,
    /// Whether the connection can no longer be used.
    is_lost: bool,
    /// The lease of the script that it serves.
    lease: Lease,
}

/// The right of a script to have its process killed, until the lease ends.
#[derive(Clone, Default)]
struct Lease(Arc<Mutex<bool>>);

impl Lease {
    fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    /// Calls `act`, unless the lease has ended.
    fn within(&self, act: impl FnOnce()) {
        let has_ended = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !*has_ended {
            act();
        }
    }
}

impl Conversation {
    /// The driver's next answer. If it gives none, no later answer can be trusted.
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
        self.is_lost |= matches!(&answer, Err(error) if error.is_lost());
        answer
    }

    /// Sends a request that is not SQL.
    fn command(&mut self, question: &Question<'_>) -> Result<Answer, EngineError> {
        match self.ask(question)? {
            Answer { err: Some(message), sqlstate, .. } => Err(EngineError::new(message).with_sqlstate(sqlstate)),
            answer => Ok(answer),
        }
    }

    fn put(&mut self, question: &Question<'_>) -> Result<Answer, EngineError> {
        // The unasked output would count as the answer, and each later answer would be off by one.
        if let Some(unasked) = self.output.unasked() {
            return Err(EngineError::lost(format!("it printed `{unasked}` without being asked")));
        }
        self.write(question)?;
        self.answer()
    }

    /// Sends a question whose answer is read later.
    fn write(&mut self, question: &Question<'_>) -> Result<(), EngineError> {
        let text = serde_json::to_vec(question).map_err(|error| EngineError::new(error.to_string()))?;
        let written = match &mut self.stdin {
            Some(stdin) => stdin.write_all(&text).and_then(|()| stdin.flush()),
            None => Err(ErrorKind::BrokenPipe.into()),
        };
        match written {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(EngineError::lost(match self.process.end() {
                Some(end) => format!("{end} before it was asked"),
                None => "it closed its input, so that it cannot be asked".to_owned(),
            })),
            Err(error) => Err(EngineError::lost(format!("cannot write to it: {error}"))),
        }
    }
}

impl Session for Conversation {
    fn name(&self) -> &str {
        self.greeting.as_ref().map_or("external", |greeting| &greeting.name)
    }

    fn run(&mut self, request: Request<'_>, rows: &mut Rows) -> Result<Done, EngineError> {
        self.request(request, None, rows)
    }

    fn interrupter(&self) -> Option<Interrupter> {
        let (lease, kill) = (self.lease.clone(), self.process.killer());
        Some(Arc::new(move || lease.within(&kill)))
    }
}

impl Conversation {
    /// Makes the driver run SQL, on the connection with that number if it serves several.
    fn request(&mut self, request: Request<'_>, connection: Option<u64>, rows: &mut Rows) -> Result<Done, EngineError> {
        let question = Question { connection, ..self.question(&request)? };
        let answer = self.ask(&question)?;
        answer.take(request.letters, request.dialect, self.greeting.is_some(), rows, || self.output.printed())
    }

    /// The question that corresponds to a request.
    fn question<'q>(&self, request: &Request<'q>) -> Result<Question<'q>, EngineError> {
        let sql = std::str::from_utf8(request.sql)
            .map_err(|error| EngineError::refused(format!("JSON takes UTF-8 only: {error}")))?;
        let extended = self.greeting.is_some();
        let letters = request.letters.filter(|_| extended).map(String::from_utf8_lossy);
        let dialect = extended.then_some(request.dialect.name());
        Ok(Question { sql: Some(sql), letters, dialect, ..Question::default() })
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        self.stdin = None;
    }
}

#[cfg(test)]
mod tests;
