//! Runs of the target `faulty` (`faulty/main.rs`): started, waited for, read, and checked for surviving processes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A time limit for anything, generous for a busy machine.
const DEADLINE: Duration = Duration::from_secs(120);

/// A script that passes.
pub const PASSES: &str = "statement ok\nSELECT 1\n";

/// A script whose record in line 4 runs this statement.
pub fn runs(statement: &str) -> String {
    format!("statement ok\nCREATE TABLE t(a)\n\nstatement ok\n{statement}\n")
}

/// A script that commits this fault, in line 4.
pub fn fault(fault: &str) -> String {
    runs(&format!("FAULT {fault}"))
}

/// Where cargo puts builds of this test's profile.
pub fn profile_folder() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().to_owned()
}

/// The target `faulty`, built here if it is not up to date: `cargo test` builds it with the others, `cargo test --test it` does
/// not.
fn faulty() -> &'static Path {
    static FAULTY: LazyLock<PathBuf> = LazyLock::new(|| {
        let profile = profile_folder();
        // nextest has built everything, and starts a process for each test.
        if std::env::var_os("NEXTEST").is_none() {
            let mut cargo = Command::new(env!("CARGO"));
            cargo.args(["build", "--quiet", "--example", "faulty"]).current_dir(env!("CARGO_MANIFEST_DIR"));
            if profile.ends_with("release") {
                cargo.arg("--release");
            }
            assert!(cargo.status().unwrap().success(), "cargo cannot build the example `faulty`");
        }
        profile.join("examples/faulty")
    });
    &FAULTY
}

/// A command without environment variables that would change a run.
pub fn clean(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["SLT_", "SQLLOGICTEST_", "NEXTEST", "RUST_", "GITHUB_"].iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command
}

/// A place is a folder with scripts in `tests`, for one or several runs.
pub struct Place {
    folder: TempDir,
    /// The mark in the environment of all processes of this place.
    mark: String,
}

impl Place {
    /// A place with these scripts.
    pub fn new<N: AsRef<str>, T: AsRef<str>>(scripts: impl IntoIterator<Item = (N, T)>) -> Place {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let mark = format!("it{}x{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let place = Place { folder: tempfile::tempdir().unwrap(), mark };
        for (name, text) in scripts {
            let path = place.path("tests").join(name.as_ref());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text.as_ref()).unwrap();
        }
        place
    }

    /// Passing scripts with these names, and one with a fault: `bad.test`.
    pub fn with_fault(text: &str) -> Place {
        let good = ["a.test", "b.test", "c.test", "d.test"].map(|name| (name, PASSES));
        Place::new(good.into_iter().chain([("bad.test", fault(text).as_str())]))
    }

    /// A place with `count` scripts, `00.test` and so on, all with this text.
    pub fn with_many(count: usize, text: &str) -> Place {
        Place::new((0..count).map(|number| (format!("{number:02}.test"), text.to_owned())))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `faulty --parallel` on this place's scripts, with these arguments.
    pub fn command(&self, arguments: &str) -> Command {
        let mut command = self.dress(clean(faulty()));
        command.args(["--root", "tests", "--results", "results", "--parallel"]).args(arguments.split_whitespace());
        command
    }

    /// `faulty` on this place's scripts, in one process.
    pub fn serial(&self) -> Command {
        let mut command = self.dress(clean(faulty()));
        command.args(["--root", "tests", "--results", "results"]);
        command
    }

    /// Prepares a command to run in this place.
    pub fn dress(&self, mut command: Command) -> Command {
        command.current_dir(self.folder.path()).env("SLT_RUN_TOKEN", format!("{}.0", self.mark));
        command
    }

    /// Runs `faulty --parallel`, and checks that no process of it is left.
    pub fn run(&self, arguments: &str) -> Ended {
        let ended = self.start(arguments).wait();
        assert_eq!(self.alive(), Vec::<String>::new(), "processes stay behind");
        ended
    }

    pub fn start(&self, arguments: &str) -> Running {
        self.start_command(self.command(arguments))
    }

    pub fn start_command(&self, mut command: Command) -> Running {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let (stdout, stderr) = (self.path(&format!("out-{number}")), self.path(&format!("err-{number}")));
        command.stdin(Stdio::null());
        command.stdout(File::create(&stdout).unwrap()).stderr(File::create(&stderr).unwrap());
        Running { child: command.spawn().unwrap(), stdout, stderr }
    }

    /// The live processes of this place, by their command.
    pub fn alive(&self) -> Vec<String> {
        alive_with(&format!("SLT_RUN_TOKEN={}.", self.mark))
    }

    /// The names and verdicts in the history, in the order in which they ended.
    pub fn history(&self) -> Vec<(String, String)> {
        let text = fs::read_to_string(self.path("results/history.jsonl")).unwrap();
        let entries = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        entries.map(|entry| (text_of(&entry["name"]), text_of(&entry["verdict"]))).collect()
    }
}

fn text_of(value: &serde_json::Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

fn processes() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// A process's state letter and its parent.
fn state(pid: i32) -> Option<(char, i32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// The live processes with this text in their environment, by their command.
pub fn alive_with(mark: &str) -> Vec<String> {
    processes()
        .filter(|pid| fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environ| contains(&environ, mark)))
        .filter(|pid| state(*pid).is_some_and(|(state, _)| state != 'Z'))
        .map(|pid| format!("{pid} {}", fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default()))
        .collect()
}

/// The worker processes of a supervisor.
pub fn workers_of(supervisor: i32) -> Vec<i32> {
    let is_worker =
        |pid: &i32| fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environ| contains(&environ, "SLT_WORKER="));
    let is_child = |pid: &i32| state(*pid).is_some_and(|(state, parent)| parent == supervisor && state != 'Z');
    processes().filter(is_child).filter(is_worker).collect()
}

pub fn signal(pid: i32, signal: Signal) {
    // The process may have ended by itself.
    let _ = kill_process(Pid::from_raw(pid).unwrap(), signal);
}

pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < DEADLINE, "timed out waiting until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A run that has been started.
pub struct Running {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Running {
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    pub fn signal(&self, what: Signal) {
        signal(self.pid(), what);
    }

    pub fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until the run has printed this text, to standard output or standard error.
    pub fn says(&self, what: &str) {
        wait_until(&format!("it says `{what}`"), || {
            let printed = read(&self.stdout) + &read(&self.stderr);
            printed.contains(what)
        });
    }

    pub fn wait(self) -> Ended {
        self.wait_at_most(DEADLINE)
    }

    pub fn wait_at_most(mut self, deadline: Duration) -> Ended {
        let begun = Instant::now();
        while !self.is_over() {
            assert!(begun.elapsed() < deadline, "does not end; so far:\n{}{}", read(&self.stdout), read(&self.stderr));
            std::thread::sleep(Duration::from_millis(5));
        }
        let code = self.child.wait().unwrap().code();
        Ended { code, stdout: read(&self.stdout), stderr: read(&self.stderr) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// A run that is over.
#[derive(Debug)]
pub struct Ended {
    /// `None` if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Checks the exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Ended {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// Each `test NAME ... VERDICT` line, in the order of the output.
    pub fn verdicts(&self) -> Vec<(&str, &str)> {
        let lines = self.stdout.lines().filter_map(|line| line.strip_prefix("test ")?.split_once(" ... "));
        lines.map(|(name, verdict)| (name.trim(), verdict)).collect()
    }

    /// The one verdict on a file.
    #[track_caller]
    pub fn verdict(&self, name: &str) -> &str {
        let verdicts: Vec<&str> =
            self.verdicts().into_iter().filter(|(file, _)| *file == name).map(|(_, verdict)| verdict).collect();
        assert_eq!(verdicts.len(), 1, "{name} has one verdict: {self}");
        verdicts[0]
    }

    /// Checks that all files but this one passed.
    #[track_caller]
    pub fn others_passed(&self, bad: &str) {
        let others: Vec<_> = self.verdicts().into_iter().filter(|(name, _)| *name != bad).collect();
        assert!(!others.is_empty() && others.iter().all(|(_, verdict)| *verdict == "ok"), "{self}");
    }

    #[track_caller]
    pub fn says(&self, words: &str) {
        assert!(self.stdout.contains(words) || self.stderr.contains(words), "not printed: `{words}`\n{self}");
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit code {:?}\n{}\n--- stderr:\n{}", self.code, self.stdout, self.stderr)
    }
}
