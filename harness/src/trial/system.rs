//! `system` records: shell commands, for users who allow them.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::once::{Receiver, once};
use crate::environment;

/// How often a command with a time limit is checked.
const TICK: Duration = Duration::from_millis(5);

/// How long to wait for the output of a killed command: a process that left its group may hold it open.
const GRACE: Duration = Duration::from_secs(1);

/// Runs a command and returns its output, trimmed; does not wait for a command that ends with `&`. After `limit`, the
/// command and the processes in its group are killed.
///
/// # Errors
/// The command could not be started, exited with a code other than 0, or was killed; with its standard error.
pub(super) fn run(command: &str, limit: Option<Duration>) -> Result<Vec<u8>, String> {
    let shell = |command: &str| {
        let mut shell = Command::new("bash");
        environment::withhold(&mut shell);
        shell.arg("-c").arg(command).stdin(Stdio::null());
        shell
    };
    let started = |error: io::Error| format!("cannot run `bash`: {error}");
    if let Some(command) = command.trim_end().strip_suffix('&') {
        shell(command).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map_err(started)?;
        return Ok(Vec::new());
    }
    let mut shell = shell(command);
    let output = match limit {
        None => shell.output().map_err(started)?,
        Some(limit) => {
            let child = shell.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
            output_within(child.map_err(started)?, limit).map_err(started)?
        }
    };
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        return Err(format!("the command failed ({})\n{}", output.status, complaint.trim_end()).trim_end().to_owned());
    }
    Ok(output.stdout.trim_ascii().to_vec())
}

/// Waits for a child that leads its own process group, and kills the group after `limit`.
fn output_within(mut child: Child, limit: Duration) -> io::Result<Output> {
    let clock = Instant::now();
    let (stdout, stderr) = (read(child.stdout.take()), read(child.stderr.take()));
    let status = loop {
        match child.try_wait()? {
            Some(status) => break status,
            None if clock.elapsed() < limit => thread::sleep(TICK),
            None => {
                // The child is not yet reaped, so its pid cannot have been reused.
                if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                    let _ = kill_process_group(group, Signal::KILL);
                }
                break child.wait()?;
            }
        }
    };
    let left = |clock: Instant| limit.saturating_sub(clock.elapsed()).saturating_add(GRACE);
    let stdout = stdout.recv_timeout(left(clock)).unwrap_or_default();
    let stderr = stderr.recv_timeout(left(clock)).unwrap_or_default();
    Ok(Output { status, stdout, stderr })
}

/// Reads a pipe to its end on another thread.
fn read(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = once();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // The output may be unreadable, and the receiver may be gone; both can be ignored.
        let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
        sender.send(bytes);
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_does_not_end_is_killed_with_its_processes() {
        let hour = Some(Duration::from_secs(3600));
        assert_eq!(run("printf ' a\\nb \\n'", hour).unwrap(), b"a\nb");
        assert_eq!(run("printf 'a\\xff'", None).unwrap(), b"a\xff");
        assert!(run("echo oops >&2; exit 3", hour).unwrap_err().contains("exit status: 3)\noops"));
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        // The pipe has a reader while the second process runs; after that, opening it for writing fails.
        let command = format!("mkfifo {0}; (cat {0} >/dev/null; sleep 1000) & cat {0}; sleep 1000", pipe.display());
        let error = run(&command, Some(Duration::from_millis(300))).unwrap_err();
        assert!(error.contains("signal: 9"), "{error}");
        let mut options = std::fs::File::options();
        let options = std::os::unix::fs::OpenOptionsExt::custom_flags(options.write(true), libc::O_NONBLOCK);
        while options.open(&pipe).is_ok() {
            thread::yield_now();
        }
    }
}
