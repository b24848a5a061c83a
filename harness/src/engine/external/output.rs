//! What a driver prints, and what of it has not been asked for.

use std::cell::RefCell;
use std::io::{self, BufRead, BufReader, Read};
use std::process::ChildStdout;
use std::rc::Rc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How often a driver that prints nothing is looked after.
const LOOK: Duration = Duration::from_millis(100);

/// How much of what a driver has printed is shown where it is no answer, in bytes.
const SHOWN: usize = 200;

/// A driver's output: the parser reads from one of these, and another looks at what it has left.
#[derive(Clone)]
pub(super) struct Output(Rc<RefCell<Inner>>);

struct Inner {
    reader: BufReader<ChildStdout>,
    /// Whether the driver has ended.
    has_ended: Box<dyn Fn() -> bool>,
    /// The beginning of what was read since the last question.
    read: Vec<u8>,
}

impl Output {
    /// The output of a driver that has ended as soon as `has_ended` says so, even if somebody else could still print.
    pub(super) fn new(stdout: ChildStdout, has_ended: impl Fn() -> bool + 'static) -> Self {
        let (reader, has_ended) = (BufReader::new(stdout), Box::new(has_ended));
        Output(Rc::new(RefCell::new(Inner { reader, has_ended, read: Vec::with_capacity(SHOWN) })))
    }

    /// A question is about to be put: what is there already, white space apart, answers nothing.
    pub(super) fn unasked(&self) -> Option<String> {
        let inner = &mut *self.0.borrow_mut();
        inner.read.clear();
        loop {
            let blank = inner.reader.buffer().iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            inner.reader.consume(blank);
            if !inner.reader.buffer().is_empty() {
                return Some(shown(&[], inner.reader.buffer()));
            }
            // Who prints no more, or cannot be read, is found out when the answer is read.
            if !has_more(inner.reader.get_ref(), Duration::ZERO) || inner.reader.fill_buf().map_or(0, <[u8]>::len) == 0
            {
                return None;
            }
        }
    }

    /// The beginning of what was printed since the last question, as far as it has come.
    pub(super) fn printed(&self) -> String {
        let inner = self.0.borrow();
        shown(&inner.read, inner.reader.buffer())
    }
}

impl Read for Output {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let inner = &mut *self.0.borrow_mut();
        while inner.reader.buffer().is_empty() && !has_more(inner.reader.get_ref(), LOOK) {
            // What it printed last may have come in between.
            if (inner.has_ended)() && !has_more(inner.reader.get_ref(), Duration::ZERO) {
                return Ok(0);
            }
        }
        let length = inner.reader.read(buffer)?;
        let room = SHOWN.saturating_sub(inner.read.len());
        inner.read.extend_from_slice(&buffer[..length.min(room)]);
        Ok(length)
    }
}

/// Whether there is something to read, or the end of it, within a time.
fn has_more(output: &ChildStdout, within: Duration) -> bool {
    let within = Timespec { tv_sec: within.as_secs() as i64, tv_nsec: within.subsec_nanos().into() };
    let mut asked = [PollFd::new(output, PollFlags::IN)];
    match poll(&mut asked, Some(&within)) {
        Ok(ready) => ready > 0,
        Err(errno) => errno != rustix::io::Errno::INTR, // Reading will tell what is wrong.
    }
}

/// The first line of what was read and what is still to be read, in one piece that is not too long.
fn shown(read: &[u8], ahead: &[u8]) -> String {
    let text = [read, &ahead[..ahead.len().min(SHOWN)]].concat();
    let line = text.trim_ascii_start().split(|byte| *byte == b'\n').next().unwrap_or_default();
    let cut = &line[..line.len().min(SHOWN)];
    let dots = if cut.len() < line.len() { "…" } else { "" };
    format!("{}{dots}", String::from_utf8_lossy(cut).trim_ascii_end())
}
