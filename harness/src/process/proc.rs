//! Reads a few facts about processes from `/proc`, in the format of proc(5).

use std::fs;
use std::os::unix::ffi::OsStrExt;

/// One process, from `/proc/PID/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) pid: i32,
    /// The state: `R`, `S`, `T`, `Z` and so on.
    pub(super) state: char,
    pub(super) parent: i32,
    pub(super) group: i32,
    /// When it started, in clock ticks since boot.
    pub(super) start: u64,
}

impl Stat {
    /// The kernel's data about this process; `None` if it is gone or cannot be read.
    pub(super) fn of(pid: i32) -> Option<Self> {
        Self::parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Parses the text of `stat`. The second field is the program's name in parentheses; the name may itself contain
    /// parentheses.
    fn parse(text: &[u8]) -> Option<Self> {
        let end = text.iter().rposition(|byte| *byte == b')')?;
        let pid = text.split(|byte| *byte == b' ').next()?;
        let pid = std::str::from_utf8(pid).ok()?.parse().ok()?;
        let rest: Vec<&str> = std::str::from_utf8(&text[end + 1..]).ok()?.split_ascii_whitespace().collect();
        // The third field has index 0 here; the start time is field 22.
        let field = |number: usize| rest.get(number - 3).copied();
        Some(Stat {
            pid,
            state: field(3)?.chars().next()?,
            parent: field(4)?.parse().ok()?,
            group: field(5)?.parse().ok()?,
            start: field(22)?.parse().ok()?,
        })
    }
}

/// The pids of all processes; empty if `/proc` cannot be read.
pub(super) fn pids() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The value of an environment variable that this process was started with; `None` if we may not read it.
pub(super) fn variable(pid: i32, name: &str) -> Option<String> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let value = |entry: &[u8]| {
        let value = entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        Some(std::ffi::OsStr::from_bytes(value).to_string_lossy().into_owned())
    };
    environment.split(|byte| *byte == 0).find_map(value)
}

/// The signals that this process ignores: bit N-1 is signal N.
pub(super) fn ignored_signals() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

/// The time since boot, in the unit of [`Stat::start`].
pub(super) fn now() -> Option<u64> {
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let seconds: f64 = uptime.split(' ').next()?.parse().ok()?;
    Some((seconds * rustix::param::clock_ticks_per_second() as f64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_spaces_parentheses_and_bytes_that_are_not_utf_8() {
        let rest = "S 1 42 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 777 1000 1";
        for name in [&b"sh"[..], b"a) R 9 9 (b", b"(", b"\xff\xfe", b""] {
            let text = [b"42 (", name, b") ", rest.as_bytes()].concat();
            let stat = Stat { pid: 42, state: 'S', parent: 1, group: 42, start: 777 };
            assert_eq!(Stat::parse(&text), Some(stat), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn what_is_cut_short_is_nothing() {
        for text in ["", "42", "42 (sh)", "42 (sh) S 1 42", "x (sh) S 1 42 7 0 -1 0 1 0 0 0 0 0 0 0 20 0 1 0 777"] {
            assert_eq!(Stat::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn this_process_is_read() {
        let me = std::process::id() as i32;
        let stat = Stat::of(me).unwrap();
        assert_eq!(stat.pid, me);
        assert!(pids().contains(&me));
        assert!(stat.start > 0 && stat.start <= now().unwrap(), "{stat:?} {:?}", now());
        assert_eq!(variable(me, "PATH"), std::env::var("PATH").ok());
        assert_eq!(variable(me, "PAT"), None);
        assert!(ignored_signals().is_some());
    }
}
