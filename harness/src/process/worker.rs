//! Settings that a child makes at its start, and measurements of itself.

use std::alloc::{Layout, handle_alloc_error};
use std::fs::File;
use std::hint::black_box;
use std::io::{Read, Seek, Write};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{PARENT, ProcessError};

/// Makes the kernel kill this process with SIGKILL as soon as the supervisor that started it ends.
///
/// Call it first. It does nothing without a supervisor (no [`PARENT`] in the environment). It also does nothing on systems
/// other than Linux; there only the guardian kills this process.
///
/// The signal is sent when the *thread* that called [`Family::spawn`](super::Family::spawn) ends, even if its process
/// continues. It does not reach this process's own children.
///
/// # Errors
/// The supervisor is already gone: then this process should exit.
pub fn die_with_parent() -> Result<(), ProcessError> {
    let Ok(expected) = std::env::var(PARENT) else { return Ok(()) };
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Signal, getppid, set_parent_process_death_signal};
        let set = set_parent_process_death_signal(Some(Signal::KILL));
        set.map_err(|errno| ProcessError::Setting { what: "end with the supervisor", source: errno.into() })?;
        // Check after the request: a parent that ends before the request is noticed here, and one that ends later triggers the
        // signal.
        let parent = getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
        if parent.to_string() != expected {
            return Err(ProcessError::Orphaned { expected });
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = expected;
    Ok(())
}

/// Limits the address space of this process, and of its future children, to `bytes`.
///
/// Beyond it, allocations fail. Address space is more than memory: a thread's stack and arena, and every mapped file,
/// count in full, so a limit below about 100 MiB leaves little for the engine. If it leaves less than 1 MiB, this
/// process ends as if an allocation had failed.
///
/// # Errors
/// The system refused.
pub fn limit_memory(bytes: u64) -> Result<(), ProcessError> {
    lower(Resource::As, bytes).map_err(|source| ProcessError::Limit { what: "memory", source })?;
    // Detect a limit that leaves no room before any file can be blamed for it.
    let mut room = Vec::<u8>::new();
    if room.try_reserve_exact(ROOM).is_err() {
        handle_alloc_error(Layout::new::<[u8; ROOM]>());
    }
    black_box(&room);
    Ok(())
}

/// The minimum memory for a worker, in bytes, in addition to what it has when it starts.
const ROOM: usize = 1 << 20;

/// Disables core files for this process and its future children.
///
/// # Errors
/// The system refused.
pub fn forbid_core_dumps() -> Result<(), ProcessError> {
    lower(Resource::Core, 0).map_err(|source| ProcessError::Limit { what: "core dumps", source })
}

/// Gives the first thread of every future child process a stack of that many bytes, as far as the system allows. This
/// process's own stack does not change.
pub fn grant_stack(bytes: usize) {
    let Rlimit { current, maximum } = getrlimit(Resource::Stack);
    let wanted = maximum.map_or(bytes as u64, |maximum| maximum.min(bytes as u64));
    if current.is_some_and(|current| current < wanted) {
        // If this fails, the worker notices that its own stack is too small.
        let _ = setrlimit(Resource::Stack, Rlimit { current: Some(wanted), maximum });
    }
}

/// Whether the first thread of this process may have a stack of that many bytes.
pub fn has_stack(bytes: usize) -> bool {
    cfg!(target_os = "linux") && getrlimit(Resource::Stack).current.is_none_or(|current| current >= bytes as u64)
}

fn lower(resource: Resource, limit: u64) -> std::io::Result<()> {
    // If the limit is already lower, it stays.
    let limit = Some(getrlimit(resource).maximum.map_or(limit, |maximum| maximum.min(limit)));
    Ok(setrlimit(resource, Rlimit { current: limit, maximum: limit })?)
}

/// The peak resident memory of this process during a piece of work.
///
/// It covers the whole process: simultaneous pieces of work cannot be separated. Linux only, and not in some sandboxes.
#[derive(Debug)]
pub struct PeakMemory {
    /// `clear_refs` and `status` of this process; `None` once either has failed.
    files: Option<(File, File)>,
    buffer: Vec<u8>,
}

impl Default for PeakMemory {
    fn default() -> Self {
        PeakMemory::new()
    }
}

impl PeakMemory {
    /// Prepares the measurement; on a system that cannot measure, [`read`](PeakMemory::read) returns `None`.
    pub fn new() -> Self {
        let open = || {
            let clear_refs = File::options().write(true).open("/proc/self/clear_refs").ok()?;
            Some((clear_refs, File::open("/proc/self/status").ok()?))
        };
        PeakMemory { files: open(), buffer: Vec::new() }
    }

    /// Sets the peak to the current use, at the start of a piece of work. Takes some microseconds.
    pub fn reset(&mut self) {
        let Some((clear_refs, _)) = &mut self.files else { return };
        // 5 resets the peak and nothing else: proc_pid_clear_refs(5).
        if clear_refs.write_all(b"5").is_err() {
            // Without the reset, the peak since the start of the process would count as that of the work.
            self.files = None;
        }
    }

    /// The highest resident memory since the last [`reset`](PeakMemory::reset), in bytes. Takes some 20 µs.
    pub fn read(&mut self) -> Option<u64> {
        let (_, status) = self.files.as_mut()?;
        status.rewind().ok()?;
        self.buffer.clear();
        status.read_to_end(&mut self.buffer).ok()?;
        let begin = memchr::memmem::find(&self.buffer, b"VmHWM:")? + b"VmHWM:".len();
        let text = std::str::from_utf8(self.buffer[begin..].split(|byte| *byte == b'\n').next()?).ok()?;
        Some(text.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
    }
}
