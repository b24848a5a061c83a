//! How a process ended, and whether it ran out of memory.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;

use signal_hook::consts::SIGABRT;

/// How a process ended: `exit 3`, `SIGSEGV`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl Exit {
    /// Whether the process reports success.
    pub fn is_success(self) -> bool {
        self == Exit::Code(0)
    }
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        // If there is no signal and no code, the process has not ended.
        status.signal().map_or_else(|| Exit::Code(status.code().unwrap_or(-1)), Exit::Signal)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exit {code}"),
            Exit::Signal(number) => match signal_hook::low_level::signal_name(*number) {
                Some(name) => f.write_str(name),
                None => write!(f, "signal {number}"),
            },
        }
    }
}

/// Words, in lower case, that programs print when they give up because they are out of memory.
const WORDS: [&str; 9] = [
    // Rust's `memory allocation of 64 bytes failed`, in two parts.
    "memory allocation of ",
    // C++: `terminate called after throwing an instance of 'std::bad_alloc'`, and that of Rust's FFI to it.
    "bad_alloc",
    // ENOMEM: `Cannot allocate memory (os error 12)`.
    "cannot allocate memory",
    "virtual memory exhausted",
    // SQLite, PostgreSQL, Go.
    "out of memory",
    // Java, and Rust's `kind: OutOfMemory`.
    "outofmemory",
    "memory exhausted",
    "not enough memory",
    // Python.
    "memoryerror",
];

/// Whether a process that ended this way, and last wrote `log_tail`, ran out of memory.
///
/// Trusts the log only if the process gave up by itself (SIGABRT, or an exit code other than 0). SIGKILL alone may come from
/// the kernel's out-of-memory killer or from any other sender: compare [`kernel_oom_kills`] from before and after.
pub fn says_out_of_memory(log_tail: &str, exit: &Exit) -> bool {
    let gave_up = match exit {
        Exit::Code(code) => *code != 0,
        Exit::Signal(number) => *number == SIGABRT,
    };
    let log_tail = log_tail.to_lowercase();
    gave_up && WORDS.iter().any(|words| log_tail.contains(words))
}

/// How many processes the kernel's out-of-memory killer has killed since boot; `None` if the kernel does not say.
pub fn kernel_oom_kills() -> Option<u64> {
    let counters = std::fs::read_to_string("/proc/vmstat").ok()?;
    counters.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
}

/// The last `bytes` bytes of a file as text; invalid UTF-8 is replaced.
///
/// # Errors
/// The file cannot be opened or read.
pub fn read_tail(path: &Path, bytes: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(bytes)))?;
    let mut tail = Vec::new();
    file.take(bytes).read_to_end(&mut tail)?;
    // If the cut was inside a character, drop the rest of that character.
    let begin = if length > bytes { tail.iter().take(3).take_while(|byte| **byte & 0xC0 == 0x80).count() } else { 0 };
    Ok(String::from_utf8_lossy(&tail[begin..]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exits_read_as_documented() {
        for (exit, text) in [
            (Exit::Code(0), "exit 0"),
            (Exit::Code(3), "exit 3"),
            (Exit::Signal(11), "SIGSEGV"),
            (Exit::Signal(6), "SIGABRT"),
            (Exit::Signal(9), "SIGKILL"),
            (Exit::Signal(63), "signal 63"),
        ] {
            assert_eq!(exit.to_string(), text);
        }
    }

    #[test]
    fn out_of_memory_needs_both_the_message_and_a_matching_exit() {
        let (abort, segv, kill) = (Exit::Signal(6), Exit::Signal(11), Exit::Signal(9));
        for (log, exit, verdict) in [
            ("memory allocation of 1073741824 bytes failed\n", abort, true),
            (
                "terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc\n",
                abort,
                true,
            ),
            ("libc++abi: terminating due to uncaught exception of type std::bad_alloc: std::bad_alloc", abort, true),
            ("Error: Cannot allocate memory (os error 12)", Exit::Code(1), true),
            ("fatal error: runtime: out of memory", Exit::Code(2), true),
            ("java.lang.OutOfMemoryError: Java heap space", Exit::Code(1), true),
            ("assertion failed", abort, false),
            ("", abort, false),
            ("", kill, false),
            ("out of memory", kill, false),
            ("out of memory", segv, false),
            ("out of memory", Exit::Code(0), false),
            ("thread 'main' has overflowed its stack", abort, false),
        ] {
            assert_eq!(says_out_of_memory(log, &exit), verdict, "{log:?} {exit}");
        }
    }

    #[test]
    fn a_tail_is_whole_characters_from_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, "one\nzwölf\n").unwrap();
        assert_eq!(read_tail(&path, 1000).unwrap(), "one\nzwölf\n");
        assert_eq!(read_tail(&path, 3).unwrap(), "lf\n");
        assert_eq!(read_tail(&path, 4).unwrap(), "lf\n", "the second byte of `ö` is left out");
        assert_eq!(read_tail(&path, 5).unwrap(), "ölf\n");
        assert_eq!(read_tail(&path, 0).unwrap(), "");
        assert!(read_tail(&folder.path().join("absent"), 9).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernel_counts_its_kills() {
        assert!(kernel_oom_kills().is_some());
    }
}
