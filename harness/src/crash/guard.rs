//! The handlers of fatal signals and of `exit`.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Once, OnceLock};

use super::say::{last_words, line};
use super::thread::this_thread;

/// The signals of a crash.
const FATAL: [(libc::c_int, &str); 7] = [
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGABRT, "SIGABRT"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGTRAP, "SIGTRAP"),
    (libc::SIGSYS, "SIGSYS"),
];

/// The earlier handler of each signal in [`FATAL`].
static PREVIOUS: [OnceLock<libc::sigaction>; FATAL.len()] = [const { OnceLock::new() }; FATAL.len()];

/// The id of this process while its run is not over; 0 otherwise. A process that the engine forks has another id.
static ARMED: AtomicU32 = AtomicU32::new(0);

/// The exit code of a run that did not finish.
const BROKEN: libc::c_int = 4;

/// While this exists, a process that crashes or exits reports what it was running, and never exits with 0.
#[derive(Debug)]
pub(crate) struct Armed(());

/// Starts a run. Dropping the result marks the run as finished.
#[must_use = "a run is guarded as long as this exists"]
pub(crate) fn arm() -> Armed {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        catch_signals();
        catch_exit();
    });
    ARMED.store(std::process::id(), Ordering::SeqCst);
    Armed(())
}

impl Drop for Armed {
    fn drop(&mut self) {
        ARMED.store(0, Ordering::SeqCst);
    }
}

fn is_armed() -> bool {
    ARMED.load(Ordering::SeqCst) == std::process::id()
}

/// Prints the crash message. If another thread is already printing it, waits until that is done.
fn say_once(how: &[&str]) {
    static BEGUN: AtomicBool = AtomicBool::new(false);
    static SAID: AtomicBool = AtomicBool::new(false);
    if !BEGUN.swap(true, Ordering::SeqCst) {
        last_words(how, this_thread());
        SAID.store(true, Ordering::SeqCst);
    }
    for _ in 0..200 {
        if SAID.load(Ordering::SeqCst) {
            return;
        }
        let pause = libc::timespec { tv_sec: 0, tv_nsec: 5_000_000 };
        // SAFETY: the pointer is to a live variable; the other may be null.
        unsafe { libc::nanosleep(&pause, std::ptr::null_mut()) };
    }
}

fn catch_signals() {
    for ((signal, _), previous) in FATAL.iter().zip(&PREVIOUS) {
        // SAFETY: all zeros is a valid `sigaction`; both pointers are to live variables. The handler exists as long as
        // the program, and does only what a signal handler may do.
        unsafe {
            let mut before: libc::sigaction = std::mem::zeroed();
            if libc::sigaction(*signal, std::ptr::null(), &mut before) != 0 || before.sa_sigaction == libc::SIG_IGN {
                continue;
            }
            if previous.set(before).is_err() {
                continue;
            }
            let mut ours: libc::sigaction = std::mem::zeroed();
            ours.sa_sigaction = on_signal as extern "C" fn(_, _, _) as usize;
            ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigemptyset(&mut ours.sa_mask);
            libc::sigaction(*signal, &ours, std::ptr::null_mut());
        }
    }
}

/// Passes the signal to the earlier handler. If that does not handle it, reports what was running, and lets the signal
/// end the process.
extern "C" fn on_signal(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let Some(index) = FATAL.iter().position(|(fatal, _)| *fatal == signal) else { return };
    if let Some(previous) = PREVIOUS[index].get().filter(|previous| previous.sa_sigaction != libc::SIG_DFL) {
        // On a stack overflow, Rust's own handler ends the process by SIGABRT, and that signal comes here again. On any other
        // fault, it restores the default action and returns. A virtual machine's handler may have repaired the fault.
        call(previous, signal, info, context);
        if is_ours(signal) {
            return;
        }
    }
    if is_armed() {
        say_once(&[FATAL[index].1]);
    }
    // SAFETY: all zeros is a `sigaction` with the default action; the pointers are to live variables or null, and the
    // kernel has passed `info`. These functions may be called in a signal handler.
    unsafe {
        let mut default: libc::sigaction = std::mem::zeroed();
        default.sa_sigaction = libc::SIG_DFL;
        libc::sigaction(signal, &default, std::ptr::null_mut());
        // A fault happens again on return. A signal that another process sent does not.
        if info.is_null() || (*info).si_code <= 0 {
            libc::raise(signal);
        }
    }
}

fn call(handler: &libc::sigaction, signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the flags say which kind of function the address is; the arguments are the kernel's.
    unsafe {
        if handler.sa_flags & libc::SA_SIGINFO != 0 {
            let function: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
                std::mem::transmute(handler.sa_sigaction);
            function(signal, info, context);
        } else {
            let function: extern "C" fn(libc::c_int) = std::mem::transmute(handler.sa_sigaction);
            function(signal);
        }
    }
}

/// Whether the signal is still handled by [`on_signal`].
fn is_ours(signal: libc::c_int) -> bool {
    // SAFETY: all zeros is a valid `sigaction`; the pointer is to a live variable.
    unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &mut now) == 0
            && now.sa_sigaction == on_signal as extern "C" fn(_, _, _) as usize
    }
}

/// Registers the function that `exit` calls. If the C library passes the exit code to it, the message shows the code.
fn catch_exit() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        unsafe extern "C" {
            fn on_exit(
                function: extern "C" fn(libc::c_int, *mut libc::c_void),
                argument: *mut libc::c_void,
            ) -> libc::c_int;
            fn at_quick_exit(function: extern "C" fn()) -> libc::c_int;
        }
        extern "C" fn exits(code: libc::c_int, _: *mut libc::c_void) {
            if is_armed() {
                let mut digits = [0; 3];
                refuse(&["exit ", decimal(code, &mut digits)]);
            }
        }
        // SAFETY: the functions exist as long as the program, and the argument is not used.
        unsafe {
            on_exit(exits, std::ptr::null_mut());
            at_quick_exit(exits_somehow);
        }
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    // SAFETY: the function exists as long as the program.
    unsafe {
        libc::atexit(exits_somehow);
    }
}

extern "C" fn exits_somehow() {
    if is_armed() {
        refuse(&["exit"]);
    }
}

/// An exit code in digits; only its last eight bits count.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn decimal(code: libc::c_int, digits: &mut [u8; 3]) -> &str {
    let code = (code & 0xff) as u8;
    *digits = [code / 100, code / 10 % 10, code % 10].map(|digit| b'0' + digit);
    let first = digits.iter().position(|digit| *digit != b'0').unwrap_or(2);
    std::str::from_utf8(&digits[first..]).unwrap_or("?")
}

/// Ends a process that is about to exit during its run, with the exit code of a run that did not finish.
fn refuse(how: &[&str]) -> ! {
    say_once(how);
    line("error: the process exited before its run was over, so the exit code is 4");
    end(BROKEN)
}

/// Ends the process at once, without calling exit handlers.
pub(crate) fn end(code: libc::c_int) -> ! {
    // Not through `_exit`: on this platform, that is the function below, which calls this one.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the system call takes no pointer.
    unsafe {
        libc::syscall(libc::SYS_exit_group, code);
    }
    // SAFETY: it takes no pointer, and does not return.
    unsafe { libc::_exit(code) }
}

/// `_exit` and `_Exit`, which do not call the functions registered for `exit`. If a program defines functions with these names,
/// they replace those of the C library for all code in the program: code linked into it and code loaded later.
///
/// A child between fork and exec comes here too. Its process id differs, so it makes nothing but a system call. A statically
/// linked program keeps the C library's functions, because their object file may define other things that the program needs.
#[cfg(all(target_os = "linux", target_env = "gnu", not(target_feature = "crt-static")))]
mod at_once {
    use super::{decimal, end, is_armed, refuse};

    // SAFETY: the name, the signature and the behavior are those that C prescribes: it ends the process and does not return. It
    // only reads an atomic, asks for the process id and writes to standard error, so it may be called in a signal handler and
    // after a fork. A crate that also defines this symbol would not link with this one.
    #[unsafe(no_mangle)]
    extern "C" fn _exit(code: libc::c_int) -> ! {
        if is_armed() {
            let mut digits = [0; 3];
            refuse(&["exit ", decimal(code, &mut digits)]);
        }
        end(code)
    }

    // SAFETY: as for `_exit`; the C standard calls the same function `_Exit`.
    #[unsafe(no_mangle)]
    extern "C" fn _Exit(code: libc::c_int) -> ! {
        _exit(code)
    }
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[test]
    fn exit_codes_are_written_as_the_system_reports_them() {
        for (code, text) in [(0, "0"), (3, "3"), (10, "10"), (255, "255"), (256, "0"), (-1, "255"), (101, "101")] {
            assert_eq!(super::decimal(code, &mut [0; 3]), text);
        }
    }
}
