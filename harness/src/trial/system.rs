//! `system` records: commands of a shell, for users who allow them.

use std::process::{Command, Stdio};

use crate::environment;

/// Runs a command and returns what it printed, without white space around it; one that ends with `&` is not waited for.
///
/// # Errors
/// The command could not be started, or ended with a code other than 0; with what it printed to standard error.
pub(super) fn run(command: &str) -> Result<String, String> {
    let shell = |command: &str| {
        let mut shell = Command::new("bash");
        environment::withhold(&mut shell);
        shell.arg("-c").arg(command).stdin(Stdio::null());
        shell
    };
    let started = |error: std::io::Error| format!("cannot run `bash`: {error}");
    if let Some(command) = command.trim_end().strip_suffix('&') {
        shell(command).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map_err(started)?;
        return Ok(String::new());
    }
    let output = shell(command).output().map_err(started)?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        return Err(format!("the command failed ({})\n{}", output.status, complaint.trim_end()).trim_end().to_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
