//! Code that the tests share: the real test binary, folders of test files, and the output of a run.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use tempfile::TempDir;

/// The binary of the test target `slt`, built as `cargo test` builds it.
pub fn target_binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let mut command = Command::new(env!("CARGO"));
        command.args(["test", "--locked", "--test", "slt", "--no-run", "--message-format", "json-render-diagnostics"]);
        if !cfg!(debug_assertions) {
            command.arg("--release");
        }
        let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).stderr(Stdio::inherit()).output().unwrap();
        let messages = String::from_utf8(output.stdout).unwrap();
        let messages = messages.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let of_target = |m: &serde_json::Value| m["target"]["name"] == "slt" && m["target"]["kind"][0] == "test";
        let mut executables = messages.filter(of_target).filter_map(|m| m["executable"].as_str().map(PathBuf::from));
        executables.next().expect("cargo builds the test target")
    })
}

/// A command for `program` without the variables that would affect it or the runner of this test.
pub fn command(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    let steering = ["SLT_", "SQLLOGICTEST_", "NEXTEST", "RUST_TEST_", "GITHUB_", "CARGO_TERM_COLOR", "NO_COLOR"];
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| steering.iter().any(|prefix| name.starts_with(prefix))) {
            command.env_remove(name);
        }
    }
    // Test runs must not replace the user's own results.
    command.env("RUST_BACKTRACE", "0").env("SLT_RESULTS", Path::new(env!("CARGO_TARGET_TMPDIR")).join("results"));
    command
}

/// Checks each item. Up to six checks of a test run at once, for those that wait for processes and time limits.
pub fn at_once<T: Sync>(items: &[T], check: impl Fn(&T) + Sync) {
    /// How many threads may be added to those of the tests: more would make time limits pass on a busy machine.
    static FREE: Mutex<usize> = Mutex::new(8);
    let change = |take: bool| {
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        let left = if take { free.checked_sub(1) } else { Some(*free + 1) };
        left.map(|left| *free = left).is_some()
    };
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            check(item);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..5 {
            if change(true) {
                scope.spawn(|| {
                    let result = catch_unwind(AssertUnwindSafe(work));
                    change(false);
                    result.unwrap_or_else(|panic| resume_unwind(panic));
                });
            }
        }
        work();
    });
}

/// A folder with test files, by name and text.
pub fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

/// A driver for `external:python3`, from the code that it runs first and the code for each `request`. The lines of the latter
/// are indented by eight blanks.
macro_rules! driver {
    ($first:literal, $for_each:literal) => {
        concat!(
            "import json, os, signal, subprocess, sys, time\n\n",
            $first,
            r#"
text = ""
while piece := sys.stdin.buffer.read1(4096).decode():
    text += piece
    while text:
        try:
            request, end = json.JSONDecoder().raw_decode(text)
        except json.JSONDecodeError:
            break
        text = text[end:]
"#,
            $for_each,
            "\n"
        )
    };
}
pub(crate) use driver;

/// A script with one passing record.
pub const PASSES: &str = "query I\nSELECT 1\n----\n1\n";

/// A script with one failing record, in line 3.
pub const FAILS: &str = "# A comment.\n\nquery I\nSELECT 1\n----\n2\n";

/// The output and exit code of a run.
#[derive(Debug)]
pub struct Printed {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Printed {
    pub fn of(command: &mut Command) -> Printed {
        let output = command.stdin(Stdio::null()).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Printed { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }

    /// The verdict on a file in the pretty format.
    pub fn verdict(&self, name: &str) -> Option<&str> {
        let head = format!("test {name} ");
        let line = self.out.lines().find(|line| line.starts_with(&head))?;
        line.split_once(" ... ").map(|(_, verdict)| verdict)
    }

    /// The lines `test … ... …` of the pretty format, sorted: independent of the order of the run.
    pub fn verdicts(&self) -> Vec<&str> {
        let mut lines: Vec<&str> =
            self.out.lines().filter(|line| line.starts_with("test ") && line.contains(" ... ")).collect();
        lines.sort_unstable();
        lines
    }

    /// The line `test result: …`, without the time.
    pub fn result(&self) -> &str {
        let line = self.out.lines().find(|line| line.starts_with("test result: ")).unwrap_or_default();
        line.split("; finished").next().unwrap_or_default()
    }
}

/// Runs the test binary over a folder.
pub fn run(root: &Path, arguments: &[&str]) -> Printed {
    Printed::of(command(target_binary()).env("SLT_CORPUS", root).args(arguments))
}
