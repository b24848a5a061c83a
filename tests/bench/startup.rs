//! Start-up cost: `--list` and `--exact NAME` over folders of growing size, and the memory of a whole run.
//!
//! `cargo bench --bench startup [-- --rounds N]`, with `SLT_CORPUS` for the files of the whole run; without it, these
//! are the bundled ones. Each time is the minimum of the rounds, for a process from start to end; each ratio is to the
//! row of 100 files.

// Benchmarks print without `escape`.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

mod target;

const FILES: [usize; 3] = [100, 1_000, 10_000];
const FILES_IN_FOLDER: usize = 100;

fn main() -> ExitCode {
    target::main(bench)
}

fn bench() -> Result<(), String> {
    let rounds = target::number_after("--rounds")?.unwrap_or(50).max(1);
    let binary = target::test_binary()?;
    let failed = |error: io::Error| format!("cannot write test files: {error}");
    let mut rows = Vec::new();
    for files in FILES {
        let root = tempfile::tempdir().map_err(failed)?;
        make_up(root.path(), files).map_err(failed)?;
        rows.push(Row { files, root, list: Duration::MAX, exact: Duration::MAX });
    }
    // In turn, so that a process does not start with caches that listing 10,000 files has emptied.
    for _ in 0..rounds {
        for Row { files, root, exact, .. } in &mut rows {
            let root = Some(root.path().as_os_str());
            *exact = run(&binary, root, &["--exact", &name(*files / 2)], &[0])?.wall.min(*exact);
        }
    }
    for _ in 0..rounds {
        for Row { root, list, .. } in &mut rows {
            *list =
                run(&binary, Some(root.path().as_os_str()), &["--list", "--format", "terse"], &[0])?.wall.min(*list);
        }
    }
    println!("{:>8} {:>12} {:>8} {:>12} {:>8}", "files", "--list", "ratio", "--exact", "ratio");
    for Row { files, list, exact, .. } in &rows {
        let (list_ratio, exact_ratio) = (list.div_duration_f64(rows[0].list), exact.div_duration_f64(rows[0].exact));
        let (list, exact) = (list.as_secs_f64() * 1e3, exact.as_secs_f64() * 1e3);
        println!("{files:8} {list:9.2} ms {list_ratio:8.2} {exact:9.2} ms {exact_ratio:8.2}");
    }

    let corpus = std::env::var_os("SLT_CORPUS");
    // 101 is the right answer for a corpus with files that are supposed to fail.
    let whole = run(&binary, corpus.as_deref(), &["--test-threads", "1", "--format", "terse"], &[0, 101])?;
    let from = if corpus.is_some() { "the files of SLT_CORPUS" } else { "the bundled files" };
    let (wall, peak) = (whole.wall.as_secs_f64(), whole.peak_bytes as f64 / 1e6);
    println!("\na whole run over {from} at one thread: {wall:.1} s, peak memory {peak:.1} MB");
    Ok(())
}

/// A folder of test files, and the minimum times for it.
struct Row {
    files: usize,
    root: tempfile::TempDir,
    list: Duration,
    exact: Duration,
}

/// The cost of a process.
struct Cost {
    wall: Duration,
    peak_bytes: u64,
}

/// Runs the test binary from its start to its end, which must be one of the `codes`.
fn run(binary: &Path, root: Option<&OsStr>, arguments: &[&str], codes: &[i32]) -> Result<Cost, String> {
    let failed = |error: io::Error| format!("cannot run `{}`: {error}", binary.display());
    let mut command = Command::new(binary);
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    if let Some(root) = root {
        command.env("SLT_CORPUS", root);
    }
    let clock = Instant::now();
    let child = command.spawn().map_err(failed)?;
    let (status, peak_bytes) = wait(child).map_err(failed)?;
    let wall = clock.elapsed();
    match status.code() {
        Some(code) if codes.contains(&code) => Ok(Cost { wall, peak_bytes }),
        _ => Err(format!("`{}` ended with {status}", arguments.join(" "))),
    }
}

/// Waits for a child, and returns how it ended and its peak memory.
///
/// The peak is never less than that of this process, in whose memory the child starts; a benchmark uses little.
fn wait(child: Child) -> io::Result<(ExitStatus, u64)> {
    use std::os::unix::process::ExitStatusExt;
    let pid = libc::pid_t::try_from(child.id()).map_err(io::Error::other)?;
    let (mut status, mut usage) = (0, std::mem::MaybeUninit::<libc::rusage>::uninit());
    // SAFETY: `wait4` writes to two variables that are large enough. Only this code waits for the child, so no other
    // process can have its id; `std` cannot report a child's usage.
    if unsafe { libc::wait4(pid, &raw mut status, 0, usage.as_mut_ptr()) } != pid {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `wait4` has returned a child, so it has written its usage.
    let usage = unsafe { usage.assume_init() };
    // In KiB, but in bytes on macOS.
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    Ok((ExitStatus::from_raw(status), u64::try_from(usage.ru_maxrss).unwrap_or(0) * unit))
}

fn name(file: usize) -> String {
    format!("folder_{:03}/file_{file:05}.test", file / FILES_IN_FOLDER)
}

/// Writes short scripts, many per folder.
fn make_up(root: &Path, files: usize) -> io::Result<()> {
    for file in 0..files {
        let path = root.join(name(file));
        if file % FILES_IN_FOLDER == 0 {
            fs::create_dir(path.parent().expect("a file in a folder"))?;
        }
        fs::write(path, format!("query I\nSELECT {file}\n----\n{file}\n"))?;
    }
    Ok(())
}
