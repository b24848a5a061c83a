//! Where a trial writes which record the engine is running.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering, fence};

use super::thread::{AlternateStack, this_thread};

/// How many trials can have a slot at once.
const MOST: usize = 1024;

static SLOTS: [OnceLock<&'static Slot>; MOST] = [const { OnceLock::new() }; MOST];

thread_local! {
    /// The slot of the trial that runs on this thread.
    static MINE: Cell<Option<&'static Slot>> = const { Cell::new(None) };
}

/// The trial is running code of this crate.
const OURS: u8 = 0;
/// The trial waits for the engine.
const ENGINE: u8 = 1;
/// No thread waits for the trial any more.
const ABANDONED: u8 = 2;

/// What one trial notes about its current record. Slots are reused and never freed, so a signal handler can read all of them.
pub(crate) struct Slot {
    taken: AtomicBool,
    state: AtomicU8,
    /// Whether the engine can be interrupted, so that it is worth waiting for.
    interruptible: AtomicBool,
    /// The thread of the trial; 0 before it has started.
    thread: AtomicUsize,
    /// Odd while the slot is being written.
    version: AtomicU64,
    line: AtomicU64,
    file: Text<64>,
    pass: Text<16>,
    sql: Text<256>,
    stack: AlternateStack,
}

/// A text of at most eight times `WORDS` bytes, which one thread writes and others read.
struct Text<const WORDS: usize> {
    /// The length of the whole text, which may exceed what is kept.
    length: AtomicUsize,
    words: [AtomicU64; WORDS],
}

impl<const WORDS: usize> Text<WORDS> {
    const fn new() -> Self {
        Text { length: AtomicUsize::new(0), words: [const { AtomicU64::new(0) }; WORDS] }
    }

    fn set(&self, text: &[u8]) {
        for (word, chunk) in self.words.iter().zip(text.chunks(8)) {
            let mut bytes = [0; 8];
            bytes[..chunk.len()].copy_from_slice(chunk);
            word.store(u64::from_ne_bytes(bytes), Ordering::Relaxed);
        }
        self.length.store(text.len(), Ordering::Relaxed);
    }

    fn bytes(&self) -> impl Iterator<Item = u8> {
        let length = self.length.load(Ordering::Relaxed);
        self.words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes()).take(length)
    }

    fn is_cut(&self) -> bool {
        self.length.load(Ordering::Relaxed) > WORDS * 8
    }
}

/// The contents of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Noted {
    /// The file; empty if the trial has not opened its file yet.
    pub(crate) file: String,
    /// The line of the record; 0 before the first one.
    pub(crate) line: u64,
    /// The variables of the loops around the record, the first 128 bytes of them; empty outside of loops.
    pub(crate) pass: String,
    /// The SQL, the first 2,048 bytes of it.
    pub(crate) sql: String,
}

impl Slot {
    /// A slot for a trial that is about to start; `None` if a thousand trials are running.
    pub(crate) fn take() -> Option<&'static Slot> {
        let mut slots = SLOTS.iter().map(|slot| *slot.get_or_init(|| Box::leak(Box::new(Slot::new()))));
        let free = |slot: &&'static Slot| {
            slot.taken.compare_exchange(false, true, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        let slot = slots.find(free)?;
        slot.note("", 0, b"");
        slot.interruptible.store(false, Ordering::Relaxed);
        slot.state.store(OURS, Ordering::Release);
        Some(slot)
    }

    fn new() -> Slot {
        Slot {
            taken: AtomicBool::new(false),
            state: AtomicU8::new(OURS),
            interruptible: AtomicBool::new(false),
            thread: AtomicUsize::new(0),
            version: AtomicU64::new(0),
            line: AtomicU64::new(0),
            file: Text::new(),
            pass: Text::new(),
            sql: Text::new(),
            stack: AlternateStack::new(),
        }
    }

    /// The slots of all running trials.
    pub(super) fn all() -> impl Iterator<Item = &'static Slot> + Clone {
        let slots = SLOTS.iter().map_while(|slot| slot.get().copied());
        slots.filter(|slot| slot.taken.load(Ordering::Acquire) && slot.thread.load(Ordering::Relaxed) != 0)
    }

    /// Makes this the slot of the trial that runs on this thread, until the result is dropped.
    pub(crate) fn adopt(&'static self) -> Adopted {
        self.thread.store(this_thread(), Ordering::Release);
        MINE.set(Some(self));
        Adopted { slot: self, replaced: self.stack.enter() }
    }

    /// Whether the current thread runs this slot's trial.
    pub(super) fn is_of(&self, thread: usize) -> bool {
        self.thread.load(Ordering::Relaxed) == thread
    }

    fn note(&self, file: &str, line: u64, sql: &[u8]) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        self.line.store(line, Ordering::Relaxed);
        self.file.set(file.as_bytes());
        self.pass.set(b"");
        self.sql.set(sql);
        self.version.store(version + 2, Ordering::Release);
    }

    /// Whether the trial has reached its first record: before that, it connects.
    pub(crate) fn is_in_a_record(&self) -> bool {
        self.line.load(Ordering::Relaxed) > 0
    }

    /// Notes that the engine of this thread's trial can be interrupted.
    pub(crate) fn note_interruptible() {
        if let Some(slot) = MINE.get() {
            slot.interruptible.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the engine can be interrupted.
    pub(crate) fn is_interruptible(&self) -> bool {
        self.interruptible.load(Ordering::Relaxed)
    }

    /// A number that changes with every write.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The last record of the trial.
    pub(crate) fn read(&self) -> Noted {
        loop {
            let before = self.version();
            let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
            let noted = Noted {
                file: text(self.file.bytes().collect()),
                line: self.line.load(Ordering::Relaxed),
                pass: text(self.pass.bytes().collect()),
                sql: text(self.sql.bytes().collect()),
            };
            fence(Ordering::Acquire);
            if before.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == before {
                return noted;
            }
            std::thread::yield_now();
        }
    }

    /// The variables of the loops around the record, for a signal handler.
    pub(super) fn pass(&self) -> impl Iterator<Item = u8> {
        self.pass.bytes()
    }

    /// The file, line and SQL for a signal handler, which cannot wait for a write to finish; and whether the SQL is
    /// cut.
    pub(super) fn parts(&self) -> (impl Iterator<Item = u8>, u64, impl Iterator<Item = u8>, bool) {
        (self.file.bytes(), self.line.load(Ordering::Relaxed), self.sql.bytes(), self.sql.is_cut())
    }

    /// Abandons a trial that waits for the engine. Returns false if it does not wait: then the trial continues.
    ///
    /// An abandoned trial changes nothing outside itself, even if the engine returns later.
    pub(crate) fn abandon(&self) -> bool {
        self.state.compare_exchange(ENGINE, ABANDONED, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Whether this trial was abandoned.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.state.load(Ordering::Acquire) == ABANDONED
    }

    /// Releases the slot of a trial that never started.
    pub(crate) fn release(&self) {
        self.thread.store(0, Ordering::Release);
        self.taken.store(false, Ordering::Release);
    }
}

/// A thread that runs a trial, with its own stack for signal handlers.
pub(crate) struct Adopted {
    slot: &'static Slot,
    replaced: Option<libc::stack_t>,
}

impl Drop for Adopted {
    fn drop(&mut self) {
        MINE.set(None);
        AlternateStack::leave(self.replaced.take());
        self.slot.release();
    }
}

/// While this exists, the trial of this thread waits for the engine.
pub(crate) struct InEngine(Option<&'static Slot>);

impl InEngine {
    /// Writes down what the engine is about to run: the record in that line of that file.
    pub(crate) fn enter(file: &str, line: u64, sql: &[u8]) -> InEngine {
        let slot = MINE.get();
        if let Some(slot) = slot {
            slot.note(file, line, sql);
        }
        InEngine::wait(slot)
    }

    /// Adds the variables of the loops around the record.
    pub(crate) fn in_pass(self, pass: &str) -> InEngine {
        if let Some(slot) = self.0.filter(|_| !pass.is_empty()) {
            slot.pass.set(pass.as_bytes());
        }
        self
    }

    /// The engine starts another action for the same record.
    pub(crate) fn reenter() -> InEngine {
        let slot = MINE.get();
        if let Some(slot) = slot {
            slot.version.fetch_add(2, Ordering::AcqRel);
        }
        InEngine::wait(slot)
    }

    fn wait(slot: Option<&'static Slot>) -> InEngine {
        if let Some(slot) = slot {
            // An abandoned trial stays abandoned.
            let _ = slot.state.compare_exchange(OURS, ENGINE, Ordering::AcqRel, Ordering::Relaxed);
        }
        InEngine(slot)
    }

    /// Whether the trial of this thread was abandoned.
    pub(crate) fn is_abandoned() -> bool {
        MINE.get().is_some_and(Slot::is_abandoned)
    }
}

impl Drop for InEngine {
    fn drop(&mut self) {
        if let Some(slot) = self.0 {
            let _ = slot.state.compare_exchange(ENGINE, OURS, Ordering::AcqRel, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_record_is_read_back_and_long_sql_is_cut() {
        let slot = Slot::take().unwrap();
        let adopted = slot.adopt();
        let noted =
            |line, sql: &str| Noted { file: "a.test".to_owned(), line, pass: String::new(), sql: sql.to_owned() };
        for (line, sql) in [(1, "SELECT 1"), (2, ""), (3, "SELECT 'a longer one'"), (4, "x")] {
            let _in_engine = InEngine::enter("a.test", line, sql.as_bytes());
            assert_eq!(slot.read(), noted(line, sql));
        }
        let _in_engine = InEngine::enter("a.test", 5, "y".repeat(5000).as_bytes());
        assert_eq!(slot.read(), noted(5, &"y".repeat(2048)));
        assert!(slot.sql.is_cut() && Slot::all().any(|other| other.is_of(this_thread())));
        let _in_engine = InEngine::enter("a.test", 6, b"").in_pass("i=3");
        assert_eq!(slot.read(), Noted { pass: "i=3".to_owned(), ..noted(6, "") });
        let _in_engine = InEngine::enter("a.test", 7, b"");
        assert_eq!(slot.read(), noted(7, ""));
        drop(adopted);
        assert!(!Slot::all().any(|other| other.is_of(this_thread())));
    }

    #[test]
    fn only_a_trial_that_waits_for_the_engine_can_be_abandoned_and_it_stays_abandoned() {
        let slot = Slot::take().unwrap();
        let _adopted = slot.adopt();
        assert!(!slot.abandon(), "it runs our code");
        let in_engine = InEngine::enter("a.test", 1, b"SELECT 1");
        assert!(slot.abandon() && !slot.abandon());
        drop(in_engine);
        drop(InEngine::reenter());
        assert!(InEngine::is_abandoned());
    }

    #[test]
    fn a_slot_is_read_consistently_while_it_is_written() {
        let slot = Slot::take().unwrap();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _adopted = slot.adopt();
                for line in (0..u64::MAX).take_while(|_| !stop.load(Ordering::Relaxed)) {
                    let _in_engine = InEngine::enter(&format!("{line}.test"), line, &[b'a' + (line % 26) as u8; 900]);
                    // As an engine does: between two writes there is time to read.
                    std::thread::sleep(std::time::Duration::from_micros(1));
                }
            });
            for _ in 0..20_000 {
                let Noted { file, line, sql, .. } = slot.read();
                if !sql.is_empty() {
                    assert_eq!(file, format!("{line}.test"));
                    assert!(sql.bytes().all(|byte| byte == b'a' + (line % 26) as u8), "{sql}");
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
    }
}
