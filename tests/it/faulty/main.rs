//! A test target whose engine misbehaves on demand: SQLite, except for statements that begin with `FAULT`.
//!
//! ```text
//! FAULT segv | abort | overflow | panic      crashes this way
//! FAULT bus | fpe | ill | kill               crashes by that signal
//! FAULT exit CODE                            ends the process
//! FAULT _exit CODE                           ends it without calling exit handlers
//! FAULT thread-exit CODE                     ends it from the engine's own thread
//! FAULT fork-exit | fork-_exit               forks, and the copy exits in the middle of the run; passes
//! FAULT lost                                 the connection is lost
//! FAULT deep KIB                             needs this much stack, and passes
//! FAULT hang                                 never returns, and cannot be interrupted
//! FAULT sleep MILLISECONDS                   returns late, and cannot be interrupted
//! FAULT eat                                  allocates without end
//! FAULT fork | daemon                        starts a process that stays: in its group, or in its own session
//! FAULT clone                                forks a copy of its own process, which stays
//! FAULT stray PATH                           starts a process that stays, forked twice, without environment; its id is in PATH
//! FAULT at-exit                              passes, and crashes the process when it exits
//! FAULT print WORDS                          prints these words
//! FAULT error WORDS                          fails with these words
//! FAULT lose                                 loses the connection
//! FAULT guard PATH                           creates the file PATH, which must not exist, and deletes it a little later
//! FAULT guarded PATH                         fails if the file PATH exists
//! FAULT meet FOLDER COUNT                    returns when this number of processes have run it
//! FAULT once PATH FAULT…                     the first time only: if the file PATH does not exist, which it creates
//! ```
//!
//! `FAULTY_TOGETHER="NAME NAME FAULT…"` commits a fault after each query that succeeds and mentions both names; the fault
//! `wrong` alters its first value. `FAULTY_COMMAND` makes this program `slt`, with its commands.
//!
//! Faults can be injected into scripts without such statements: see [`seeds`].

// It prints what a test asks it to.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use slt_harness::Suite;
use slt_harness::engine::sqlite::Sqlite;
use slt_harness::engine::{Database, Done, Engine, EngineError, Interrupter, Request, Rows, Session};

mod seeds;

use seeds::Seeds;

fn main() -> ExitCode {
    match std::env::var_os("FAULTY_COMMAND") {
        Some(_) => slt_harness::unstable::command::main(Suite::new("tests/corpus"), Arc::new(Faulty)),
        None => slt_harness::main(Suite::new("tests/corpus"), Faulty),
    }
}

struct Faulty;

impl Engine for Faulty {
    fn name(&self) -> &str {
        Sqlite.name()
    }

    fn database(&self, script: &str) -> Result<Box<dyn Database>, EngineError> {
        Ok(Box::new(FaultyDatabase { inner: Sqlite.database(script)?, seeds: Seeds::for_script(script) }))
    }
}

struct FaultyDatabase {
    inner: Box<dyn Database>,
    seeds: Option<Seeds>,
}

impl Database for FaultyDatabase {
    fn connect(&mut self) -> Result<Box<dyn Session>, EngineError> {
        Ok(Box::new(FaultySession { inner: self.inner.connect()?, seeds: self.seeds.clone() }))
    }
}

struct FaultySession {
    inner: Box<dyn Session>,
    seeds: Option<Seeds>,
}

impl Session for FaultySession {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn run(&mut self, request: Request<'_>, rows: &mut Rows) -> Result<Done, EngineError> {
        let asked_for = std::str::from_utf8(request.sql).ok().and_then(|sql| sql.trim().strip_prefix("FAULT "));
        if let Some(fault) = asked_for.or_else(|| self.seeds.as_ref()?.before(request)) {
            return commit(fault).map(|()| Done::Changed(0));
        }
        let done = self.inner.run(request, rows)?;
        if let Some(fault) = together(request) {
            match fault.as_str() {
                "wrong" => alter(rows),
                fault => commit(fault)?,
            }
        }
        if let Some(seeds) = &self.seeds {
            seeds.after(request, rows);
        }
        Ok(done)
    }

    fn interrupter(&self) -> Option<Interrupter> {
        self.inner.interrupter()
    }
}

/// The fault to commit after a query that mentions certain names.
fn together(request: Request<'_>) -> Option<String> {
    let text = std::env::var("FAULTY_TOGETHER").ok().filter(|_| request.letters.is_some())?;
    let mut words = text.splitn(3, ' ');
    let sql = std::str::from_utf8(request.sql).ok()?;
    let mentions = |word: Option<&str>| word.is_some_and(|word| sql.contains(word));
    (mentions(words.next()) && mentions(words.next())).then(|| words.next().unwrap_or_default().to_owned())
}

/// Changes the first value: puts text before it.
fn alter(rows: &mut Rows) {
    let Some(columns) = rows.columns().filter(|_| !rows.is_empty()) else { return };
    let mut values: Vec<Vec<u8>> = rows.values().map(<[u8]>::to_vec).collect();
    values[0] = [b"altered ", values[0].as_slice()].concat();
    rows.clear();
    rows.set_columns(columns);
    values.iter().for_each(|value| rows.push(value));
}

fn commit(fault: &str) -> Result<(), EngineError> {
    let (what, rest) = fault.split_once(' ').unwrap_or((fault, ""));
    match what {
        "segv" => die(),
        "abort" => std::process::abort(),
        "overflow" => println!("{}", overflow(1)),
        "panic" => panic!("the engine has had enough"),
        "deep" => deepen(rest.parse().expect("a number of KiB"), None),
        "exit" => std::process::exit(rest.parse().expect("a code")),
        // SAFETY: it takes no pointer, and does not return.
        "_exit" => unsafe { libc::_exit(rest.parse().expect("a code")) },
        "bus" => raise(libc::SIGBUS),
        "fpe" => raise(libc::SIGFPE),
        "ill" => raise(libc::SIGILL),
        "kill" => raise(libc::SIGKILL),
        "thread-exit" => {
            let code = rest.parse().expect("a code");
            let thread = std::thread::spawn(move || std::process::exit(code));
            let _ = thread.join();
        }
        "fork-exit" => fork_and_exit(libc::exit),
        "fork-_exit" => fork_and_exit(libc::_exit),
        "lost" => return Err(EngineError::lost("the server has closed the connection")),
        "hang" => loop {
            std::thread::sleep(Duration::from_secs(1));
        },
        "sleep" => std::thread::sleep(Duration::from_millis(rest.parse().expect("milliseconds"))),
        "eat" => eat(),
        "fork" => stay(Command::new("sleep").arg("1000")),
        "daemon" => stay(Command::new("setsid").args(["sleep", "1000"])),
        "clone" => clone(),
        "stray" => {
            let script = format!("sleep 1000 & echo $! >{rest}");
            let mut shell = Command::new("env");
            shell.args(["-i", "setsid", "sh", "-c", &script]).stdin(Stdio::null());
            assert!(shell.status().expect("`env` and `setsid` are there").success());
        }
        // SAFETY: the function takes nothing, returns nothing, and exists as long as the program.
        "at-exit" => assert_eq!(unsafe { libc::atexit(die) }, 0),
        "print" => println!("{rest}"),
        "error" => return Err(EngineError::new(rest)),
        "lose" => return Err(EngineError::lost("the server closed the connection")),
        "guard" => {
            std::fs::File::create_new(rest).map_err(|error| EngineError::new(format!("{rest}: {error}")))?;
            std::thread::sleep(Duration::from_millis(30));
            std::fs::remove_file(rest).expect("nobody else deletes it");
        }
        "guarded" if std::fs::exists(rest).expect("it can be looked up") => {
            return Err(EngineError::new(format!("{rest} is there")));
        }
        "guarded" => {}
        "meet" => meet(rest),
        "once" => {
            let (path, fault) = rest.split_once(' ').expect("a path and a fault");
            if std::fs::File::create_new(path).is_ok() {
                return commit(fault);
            }
        }
        _ => return Err(EngineError::new(format!("no such fault: {what}"))),
    }
    Ok(())
}

extern "C" fn die() {
    // SAFETY: none, on purpose; no process has a page there.
    unsafe { std::ptr::without_provenance_mut::<u8>(8).write_volatile(1) }
}

fn raise(signal: libc::c_int) {
    loop {
        // Raised again, because Rust's handler of SIGBUS only makes the next one fatal.
        // SAFETY: `raise` takes no pointer.
        unsafe { libc::raise(signal) };
    }
}

/// Forks a copy that exits with 0, and waits for it.
fn fork_and_exit(exit: unsafe extern "C" fn(libc::c_int) -> !) {
    // SAFETY: the copy calls only `exit` or `_exit`; the pointer is to a live variable.
    unsafe {
        let pid = libc::fork();
        if pid == 0 {
            exit(0);
        }
        let mut status = 0;
        libc::waitpid(pid, &mut status, 0);
        assert_eq!(status, 0, "the copy's exit code is its own");
    }
}

/// Forks without running another program: the copy has all open files of the process.
fn clone() {
    // SAFETY: the copy calls only `setsid` and `sleep`, which are allowed between fork and exec.
    unsafe {
        if libc::fork() == 0 {
            libc::setsid();
            loop {
                libc::sleep(1000);
            }
        }
    }
}

/// Calls itself until it has used that many KiB of stack below `base`, the address of its first frame.
fn deepen(kib: usize, base: Option<usize>) {
    let frame = std::hint::black_box([kib; 64]);
    let here = std::ptr::from_ref(&frame).addr();
    let base = base.unwrap_or(here);
    if base.saturating_sub(here) < kib << 10 {
        deepen(kib, Some(base));
    }
    assert_eq!(std::hint::black_box(frame)[7], kib);
}

/// Calls itself until the stack is full.
fn overflow(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 64]);
    if std::hint::black_box(depth) == 0 { 0 } else { overflow(depth + 1) + frame[7] }
}

fn eat() -> ! {
    let mut eaten: Vec<Vec<u8>> = Vec::new();
    loop {
        eaten.push(vec![1; 8 << 20]);
        std::hint::black_box(&eaten);
    }
}

/// Waits until a number of processes have created a file in a folder; `at` is the folder and the number.
fn meet(at: &str) {
    let (folder, count) = at.split_once(' ').expect("a folder and a number");
    let count: usize = count.parse().expect("a number");
    std::fs::create_dir_all(folder).expect("the folder can be made");
    std::fs::write(format!("{folder}/{}", std::process::id()), "").expect("it can be written");
    while std::fs::read_dir(folder).expect("the folder is there").count() < count {
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Starts a process, and does not wait for it.
fn stay(command: &mut Command) {
    drop(command.stdin(Stdio::null()).spawn().expect("`sleep` and `setsid` are there"));
}
