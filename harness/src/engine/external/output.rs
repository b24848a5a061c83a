//! A driver's output, including output that answers no request.

use std::io::{self, BufRead, BufReader, Read};
use std::process::ChildStdout;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// The interval between checks of a driver that prints nothing.
const LOOK: Duration = Duration::from_millis(100);

/// How many bytes of a driver's output are shown if it is not an answer.
const SHOWN: usize = 200;

/// A driver's output: the parser reads from it, and can look at what was read.
#[derive(Clone)]
pub(super) struct Output(Arc<Mutex<Inner>>);

struct Inner {
    reader: BufReader<ChildStdout>,
    /// Whether the driver has ended.
    has_ended: Box<dyn Fn() -> bool + Send>,
    /// The first part of what was read since the last request.
    read: Vec<u8>,
}

impl Output {
    /// The output of a driver. It ends as soon as `has_ended` returns true, even if another process could still print.
    pub(super) fn new(stdout: ChildStdout, has_ended: impl Fn() -> bool + Send + 'static) -> Self {
        let (reader, has_ended) = (BufReader::new(stdout), Box::new(has_ended));
        Output(Arc::new(Mutex::new(Inner { reader, has_ended, read: Vec::with_capacity(SHOWN) })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns pending output, called before a request is sent. Such output answers no request; whitespace does not count.
    pub(super) fn unasked(&self) -> Option<String> {
        let inner = &mut *self.inner();
        inner.read.clear();
        loop {
            let blank = inner.reader.buffer().iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            inner.reader.consume(blank);
            if !inner.reader.buffer().is_empty() {
                return Some(shown(&[], inner.reader.buffer()));
            }
            // If the driver closed its output, or it cannot be read, reading the answer will show that.
            if !has_more(inner.reader.get_ref(), Duration::ZERO) || inner.reader.fill_buf().map_or(0, <[u8]>::len) == 0
            {
                return None;
            }
        }
    }

    /// The first part of the output since the last request, as far as it has been received.
    pub(super) fn printed(&self) -> String {
        let inner = self.inner();
        shown(&inner.read, inner.reader.buffer())
    }
}

impl Read for Output {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let inner = &mut *self.inner();
        while inner.reader.buffer().is_empty() && !has_more(inner.reader.get_ref(), LOOK) {
            // The driver's last output may have been received between the two checks.
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

/// Whether there is data to read, or the end of the output, within a time.
fn has_more(output: &ChildStdout, within: Duration) -> bool {
    let within = Timespec { tv_sec: within.as_secs() as i64, tv_nsec: within.subsec_nanos().into() };
    let mut asked = [PollFd::new(output, PollFlags::IN)];
    match poll(&mut asked, Some(&within)) {
        Ok(ready) => ready > 0,
        Err(errno) => errno != rustix::io::Errno::INTR, // Reading will show the error.
    }
}

/// The first line of the data that was read and of the data that follows, as one string of limited length.
pub(super) fn shown(read: &[u8], ahead: &[u8]) -> String {
    let text = [read, &ahead[..ahead.len().min(SHOWN)]].concat();
    let line = text.trim_ascii_start().split(|byte| *byte == b'\n').next().unwrap_or_default();
    let cut = &line[..line.len().min(SHOWN)];
    let dots = if cut.len() < line.len() { "…" } else { "" };
    format!("{}{dots}", String::from_utf8_lossy(cut).trim_ascii_end())
}
