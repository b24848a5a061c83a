//! Child processes of tests: this test binary, started again with instructions in its environment.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::conformance::passed;
use super::{Queue, Running};
use crate::outcome::{Outcome, Verdict};

/// A child that ends at the latest with its test.
pub(super) struct Process(pub Child, Option<BufReader<ChildStdout>>);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    pub(super) fn spawn(command: &mut Command) -> Self {
        Process(command.spawn().unwrap(), None)
    }

    pub(super) fn wait(mut self) -> ExitStatus {
        drop(self.0.stdin.take());
        self.0.wait().unwrap()
    }

    /// Waits until the child has written a line for which `is_it` is true.
    pub(super) fn line(&mut self, is_it: impl Fn(&str) -> bool) -> String {
        let stdout = self.0.stdout.take().map(BufReader::new);
        let lines = self.1.get_or_insert_with(|| stdout.expect("a pipe"));
        let line = lines.lines().map(Result::unwrap).find(|line| is_it(line));
        line.expect("the child says so before it ends")
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }
}

/// Makes the command run only the test `name` of this binary.
pub(super) fn prepare(mut command: Command, name: &str) -> Command {
    command
        .args(["--exact", name, "--nocapture", "--test-threads=1", "--quiet"])
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// In a child: waits until its parent writes something, or is gone.
pub(super) fn wait_for_parent() {
    std::io::stdout().flush().unwrap();
    let _ = std::io::stdin().read(&mut [0]);
}

/// Kills participant 2, which runs line 7 of the plan's only entry. Checks that its lease is lost at once, with that record.
pub(super) fn kill_and_settle(queue: &mut dyn Queue, mut process: Process) {
    assert_eq!(queue.running(2).unwrap().unwrap().sql, "SELECT 7");
    process.0.kill().unwrap();
    process.0.wait().unwrap();
    let lost = queue.lost().unwrap().pop().unwrap();
    let last = Running { file: "0.test".into(), line: 7, pass: String::new(), sql: "SELECT 7".into(), trial: 0 };
    assert_eq!((lost.worker, lost.deaths, lost.last), (2, 1, Some(last)));
    let outcome = Outcome { verdict: Verdict::Crashed { how: "SIGKILL".into() }, ..passed(&lost.lease) };
    queue.finish(lost.lease, &outcome).unwrap();
    assert!(queue.snapshot().unwrap().is_complete());
}
