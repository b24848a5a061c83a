//! Code that the benches of the real test binary share.

use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

/// Runs a bench, unless `cargo test --all-targets` started it, which starts benches too but without `--bench`.
pub fn main(bench: impl FnOnce() -> Result<(), String>) -> ExitCode {
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    match bench() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Builds the test target `slt` with optimisation and returns where its binary is.
pub fn test_binary() -> Result<PathBuf, String> {
    let output = Command::new(env!("CARGO"))
        .args(["test", "--release", "--test", "slt", "--no-run", "--message-format", "json-render-diagnostics"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    let messages = String::from_utf8_lossy(&output.stdout);
    let binary =
        messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()).find_map(|m| {
            let of_target = m["target"]["name"] == "slt" && m["target"]["kind"][0] == "test";
            m["executable"].as_str().filter(|_| of_target).map(PathBuf::from)
        });
    binary.ok_or_else(|| "cargo built no test target `slt`".to_owned())
}

/// The number behind a flag of the bench's command line.
pub fn number_after(flag: &str) -> Result<Option<usize>, String> {
    let mut arguments = std::env::args().skip_while(|argument| argument != flag).skip(1);
    match arguments.next() {
        None => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| format!("`{flag} {text}`: not a number")),
    }
}
