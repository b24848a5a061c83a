//! The crash message of a process. Everything here is safe in a signal handler: no lock, no allocation, little stack.

use super::slot::Slot;
use crate::escape::is_obeyed;

/// How many trials are named when it is unknown which of them is at fault.
const MOST_NAMED: usize = 8;

/// Prints on standard error how this process ends, and which record its thread, or else every thread, was running.
pub(super) fn last_words(how: &[&str], thread: usize) {
    let mut out = Out { buffer: [0; 128], length: 0, last: [0; 2], sink: to_stderr };
    say(&mut out, how, Slot::all().find(|slot| slot.is_of(thread)), Slot::all());
    out.flush();
}

/// Prints a line on standard error.
pub(super) fn line(text: &str) {
    to_stderr(text.as_bytes());
    to_stderr(b"\n");
}

fn say(out: &mut Out, how: &[&str], guilty: Option<&'static Slot>, all: impl Iterator<Item = &'static Slot> + Clone) {
    // Start a new line, in case a progress bar is on this one.
    out.text("\ncrashed (");
    how.iter().for_each(|part| out.text(part));
    out.text(")");
    if let Some(slot) = guilty {
        out.text(" at ");
        return place(out, slot);
    }
    let count = all.clone().count();
    if count == 0 {
        return out.text(" while no file was running\n");
    }
    out.text(" outside of the threads that run files; these were running:\n");
    for slot in all.take(MOST_NAMED) {
        out.text("at ");
        place(out, slot);
    }
    if count > MOST_NAMED {
        out.text("... and others\n");
    }
}

/// `FILE:LINE`, the pass of the loops around it, and the SQL on its own line.
fn place(out: &mut Out, slot: &Slot) {
    let (mut file, line, mut sql, is_cut) = slot.parts();
    out.escaped(&mut file);
    if line > 0 {
        out.text(":");
        out.number(line);
    }
    let mut pass = slot.pass().peekable();
    if pass.peek().is_some() {
        out.text(" (");
        out.escaped(&mut pass);
        out.text(")");
    }
    let mut sql = sql.by_ref().peekable();
    if sql.peek().is_some() {
        out.text("\n[SQL] ");
        out.escaped(&mut sql);
        if is_cut {
            out.text(" ... (cut)");
        }
    }
    out.text("\n");
}

/// A buffer that is written to standard error when it is full.
struct Out {
    buffer: [u8; 128],
    length: usize,
    /// The last two bytes, even if they are already written.
    last: [u8; 2],
    sink: fn(&[u8]),
}

fn to_stderr(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // SAFETY: pointer and length are those of a slice. `write` may be called in a signal handler.
        let written = unsafe { libc::write(2, bytes.as_ptr().cast(), bytes.len()) };
        match usize::try_from(written) {
            Ok(written @ 1..) => bytes = &bytes[written.min(bytes.len())..],
            // Standard error is closed, so the message cannot be reported anywhere.
            _ => return,
        }
    }
}

impl Out {
    fn byte(&mut self, byte: u8) {
        if self.length == self.buffer.len() {
            self.flush();
        }
        self.buffer[self.length] = byte;
        self.length += 1;
        self.last = [self.last[1], byte];
    }

    fn flush(&mut self) {
        (self.sink)(&self.buffer[..self.length]);
        self.length = 0;
    }

    fn text(&mut self, text: &str) {
        text.bytes().for_each(|byte| self.byte(byte));
    }

    fn number(&mut self, number: u64) {
        if number >= 10 {
            self.number(number / 10);
        }
        self.byte(b'0' + (number % 10) as u8);
    }

    fn hex(&mut self, byte: u8) {
        self.text("\\x");
        for digit in [byte >> 4, byte & 15] {
            self.byte(b"0123456789abcdef"[usize::from(digit)]);
        }
    }

    /// Text of a test file on one line; characters that could control a terminal or a log are escaped.
    fn escaped(&mut self, bytes: &mut dyn Iterator<Item = u8>) {
        let mut next = bytes.next();
        while let Some(first) = next {
            let mut character = [first, 0, 0, 0];
            let length = match first {
                0xC2..=0xDF => 2,
                0xE0..=0xEF => 3,
                0xF0..=0xF4 => 4,
                _ => 1,
            };
            let mut got = 1;
            next = bytes.next();
            while let (true, Some(byte @ 0x80..=0xBF)) = (got < length, next) {
                character[got] = byte;
                got += 1;
                next = bytes.next();
            }
            match std::str::from_utf8(&character[..got]).ok().and_then(|text| text.chars().next()) {
                Some('\n') => self.text("\\n"),
                Some('\r') => self.text("\\r"),
                Some('\t') => self.text("\\t"),
                // GitHub treats `##[` anywhere in a line as a command.
                Some('[') if self.last == *b"##" => self.text("\\["),
                Some(char) if !is_obeyed(char) => character[..got].iter().for_each(|byte| self.byte(*byte)),
                _ => character[..got].iter().for_each(|byte| self.hex(*byte)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::crash::InEngine;

    thread_local! {
        static PRINTED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }

    fn printed(words: impl FnOnce(&mut Out)) -> String {
        let sink = |bytes: &[u8]| PRINTED.with_borrow_mut(|printed| printed.extend_from_slice(bytes));
        let mut out = Out { buffer: [0; 128], length: 0, last: [0; 2], sink };
        words(&mut out);
        out.flush();
        String::from_utf8(PRINTED.take()).expect("whole characters")
    }

    #[test]
    fn the_message_names_the_file_the_line_and_the_sql_on_one_line() {
        let slot = Slot::take().unwrap();
        let _adopted = slot.adopt();
        let of = |how: &[&str], slot| printed(|out| say(out, how, Some(slot), std::iter::empty()));
        let begins = InEngine::enter("tests/a.slt", 0, b"");
        assert_eq!(of(&["SIGABRT"], slot), "\ncrashed (SIGABRT) at tests/a.slt\n");
        drop(begins);
        let sql = "SELECT '\x1b[2J' -- ü \u{9b}\u{202e}\n::error::x ##[error]\x00";
        let _in_engine = InEngine::enter("tests/a.slt", 1204, &[sql.as_bytes(), b"\xff\xc3"].concat());
        assert_eq!(
            of(&["exit ", "3"], slot),
            "\ncrashed (exit 3) at tests/a.slt:1204\n[SQL] SELECT '\\x1b[2J' -- ü \\xc2\\x9b\\xe2\\x80\\xae\\n::error::x \
             ##\\[error]\\x00\\xff\\xc3\n"
        );
        let long = "é".repeat(3000);
        drop(InEngine::enter("a.slt", 1, long.as_bytes()));
        assert_eq!(of(&["x"], slot), format!("\ncrashed (x) at a.slt:1\n[SQL] {} ... (cut)\n", "é".repeat(1024)));
    }

    #[test]
    fn if_the_thread_runs_no_file_all_running_files_are_named() {
        let slot = Slot::take().unwrap();
        let _adopted = slot.adopt();
        let _in_engine = InEngine::enter("b.test", 7, b"SELECT 7");
        let text = printed(|out| say(out, &["exit 0"], None, std::iter::repeat_n(slot, 9)));
        assert!(text.starts_with("\ncrashed (exit 0) outside of the threads that run files; these were running:\nat b.test:7\n[SQL] SELECT 7\nat "), "{text}");
        assert_eq!((text.matches("at b.test:7\n").count(), text.ends_with("\n... and others\n")), (8, true), "{text}");
        let text = printed(|out| say(out, &["SIGSEGV"], None, std::iter::empty()));
        assert_eq!(text, "\ncrashed (SIGSEGV) while no file was running\n");
    }
}
