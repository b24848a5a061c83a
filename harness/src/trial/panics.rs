//! Catches panics of the engine, with their positions, and keeps them out of the output of the run.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use crate::diff;

/// How many bytes of a backtrace are shown.
const LONGEST: usize = 16 << 10;

thread_local! {
    /// Whether a panic of this thread will be caught here.
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
    /// What the hook has recorded about a panic of this thread.
    static HEARD: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

/// A panic that was caught.
#[derive(Debug, Clone)]
pub(super) struct Panic {
    message: String,
    /// The position, such as `src/exec.rs:120`; empty if another hook has replaced ours.
    place: String,
    /// The backtrace; empty unless `RUST_BACKTRACE` asks for one.
    backtrace: String,
}

/// Writes ` at src/exec.rs:120: the message`, to follow the word `panicked`.
impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.is_empty() {
            write!(f, " at {}", self.place)?;
        }
        write!(f, ": {}", self.message)?;
        match self.backtrace.as_str() {
            "" => Ok(()),
            backtrace => write!(f, "\nstack backtrace:\n{backtrace}"),
        }
    }
}

/// Calls a function of the engine. A panic becomes an error and is not printed.
pub(super) fn catch<T>(call: impl FnOnce() -> T) -> Result<T, Panic> {
    install();
    HEARD.with_borrow_mut(|heard| heard.is_some().then(|| *heard = None));
    let before = CAUGHT.replace(true);
    let result = catch_unwind(AssertUnwindSafe(call));
    CAUGHT.set(before);
    result.map_err(|panic| {
        let message = words(&*panic).to_owned();
        let heard = HEARD.take().filter(|heard| heard.message == message);
        heard.unwrap_or(Panic { message, place: String::new(), backtrace: String::new() })
    })
}

/// Sets the hook at the first call. The earlier hook, Rust's or the user's own, receives every panic that is not caught here:
/// those of other threads, and those that abort the process. A hook that is set later replaces ours, unless it passes panics
/// on.
fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let earlier = take_hook();
        set_hook(Box::new(move |info| {
            if cfg!(panic = "abort") || !hear(info) {
                earlier(info);
            }
        }));
    });
}

/// Returns whether a panic will be caught, and if so, notes its position. A panic during another one ends the process, so both
/// are shown.
fn hear(info: &PanicHookInfo<'_>) -> bool {
    // In a thread that is ending, these thread-local values no longer exist.
    if !CAUGHT.try_with(Cell::get).unwrap_or(false) {
        return false;
    }
    let place = info.location().map(|place| format!("{}:{}", place.file(), place.line())).unwrap_or_default();
    let backtrace = Backtrace::capture();
    let backtrace = match backtrace.status() {
        BacktraceStatus::Captured => diff::shorten(backtrace.to_string(), LONGEST),
        _ => String::new(),
    };
    let heard = Panic { message: words(info.payload()).to_owned(), place, backtrace };
    let first = HEARD.try_with(|cell| cell.replace(Some(heard)));
    match first {
        Ok(None) => true,
        Ok(Some(first)) => {
            note!("panicked{first}");
            false
        }
        Err(_) => false,
    }
}

/// The message of a panic.
fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("(without a message)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caught_panic_has_its_place_and_the_next_one_its_own() {
        let line = line!() + 1;
        let first = catch(|| panic!("first {}", 1)).unwrap_err();
        assert_eq!(Panic { backtrace: String::new(), ..first }.to_string(), format!(" at {}:{line}: first 1", file!()));
        let nested = catch(|| catch(|| panic!("inner")).is_err()).unwrap();
        assert!(nested);
        let last = catch(|| std::panic::panic_any(7)).unwrap_err();
        assert!(last.to_string().contains(": (without a message)"), "{last}");
        assert!(!CAUGHT.get());
    }
}
