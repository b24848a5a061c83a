//! Progress on a terminal: a bar below libtest's lines, and the running files.
//!
//! ```text
//! test select/cte.test ... ok
//! [=============>      ] 412/623 files, 4123980 records, 3 failed, 38.2 files/s, 6 s left
//!   1  index/between/1000/slt_good_0.test  12 s
//!   2  select4.test  3 s
//! ```
//!
//! It is drawn on standard error; other lines on the same terminal are written above it. On a narrow terminal, first the bar is
//! left out, and then some numbers; a long name is cut at its beginning.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use unicode_width::UnicodeWidthStr;

use super::words::clock;
use crate::escape;
use crate::event::{Event, Reporter, TrialId};
use crate::outcome::Outcome;

/// How often the display is updated.
const TICK: Duration = Duration::from_millis(100);

/// How many running files are shown.
const MOST_RUNNING: usize = 8;

/// The maximum width of the bar, and the minimum at which it is useful, in columns.
const BAR: (usize, usize) = (30, 8);

/// The assumed width of a terminal of unknown width, in columns.
const USUAL_WIDTH: usize = 80;

/// Progress is what a terminal shows of a run. Clones share the display.
#[derive(Clone)]
pub struct Progress(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// The lines to write above the bar, and their output.
    lines: Mutex<LineWriter>,
    screen: Screen,
    ticker: Mutex<Option<(mpsc::Sender<()>, JoinHandle<()>)>>,
}

struct Screen {
    bars: MultiProgress,
    main: ProgressBar,
    running: Vec<ProgressBar>,
    color: bool,
}

struct LineWriter {
    out: Box<dyn Write + Send>,
    waiting: Vec<u8>,
    error: Option<io::Error>,
}

/// The data behind the progress display.
#[derive(Debug, Default)]
struct State {
    /// How many files there are; `None` if other processes run some of them, which this process does not see.
    planned: Option<u64>,
    workers: u32,
    /// How long each file took last time, in microseconds.
    past: HashMap<String, u64>,
    /// The sum over all planned files with a known time.
    past_total: u64,
    unknown: u64,
    done: u64,
    records: u64,
    failed: u64,
    /// The time that the finished files took in this run. The next two fields are only about finished files with a known past
    /// time: their time in this run, and their past time.
    done_us: u64,
    done_known_us: u64,
    done_known_past_us: u64,
    done_unknown: u64,
    running: BTreeMap<u32, Vec<(String, Instant)>>,
}

impl Progress {
    /// Shows the progress of a run on standard error. `planned` has the names of all files, or is `None` if it is unknown which
    /// of them this process runs; `past` is how long files took before, in microseconds, by name.
    pub fn new(planned: Option<&[String]>, workers: u32, past: HashMap<String, u64>, color: bool) -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let state = State::new(planned, workers, past);
        let style = || ProgressStyle::with_template("{wide_msg}").expect("a template of our own");
        let main = bars.add(ProgressBar::new(state.planned.unwrap_or(0)).with_style(style()));
        let count = (workers.max(1) as usize).min(MOST_RUNNING);
        let running = (0..count).map(|_| bars.add(ProgressBar::new(0).with_style(style()))).collect();
        let screen = Screen { bars, main, running, color };
        let lines = LineWriter { out: Box::new(io::sink()), waiting: Vec::new(), error: None };
        let shared =
            Arc::new(Shared { state: Mutex::new(state), lines: Mutex::new(lines), screen, ticker: Mutex::default() });
        let (stop, stopped) = mpsc::channel();
        let ticking = Arc::clone(&shared);
        let ticker = thread::spawn(move || {
            while stopped.recv_timeout(TICK) == Err(mpsc::RecvTimeoutError::Timeout) {
                ticking.draw();
            }
        });
        *lock(&shared.ticker) = Some((stop, ticker));
        Progress(shared)
    }

    /// A writer whose lines appear above the bar and go to `out`.
    pub fn above(&self, out: Box<dyn Write + Send>) -> Box<dyn Write + Send> {
        lock(&self.0.lines).out = out;
        Box::new(Above(Arc::clone(&self.0)))
    }

    /// Prints a message above the bar, on standard error.
    pub fn notice(&self, notice: &str) {
        self.0.screen.bars.suspend(|| note!("{notice}"));
    }

    /// Removes the bar; later output goes directly to the terminal.
    pub fn finish(&self) {
        let ticker = lock(&self.0.ticker).take();
        if let Some((stop, ticker)) = ticker {
            drop(stop);
            // The thread panics only if indicatif does, and then there is no bar to remove.
            let _ = ticker.join();
        }
        for bar in &self.0.screen.running {
            bar.finish_and_clear();
        }
        self.0.screen.main.finish_and_clear();
        lock(&self.0.lines).write_out();
    }
}

impl Reporter for Progress {
    fn report(&self, event: Event<'_>) {
        match event {
            Event::TrialStarted { trial, worker } => lock(&self.0.state).started(worker, &trial.title()),
            Event::TrialRequeued(trial) => lock(&self.0.state).dropped(&trial.title()),
            Event::TrialEnded { outcome, .. } => lock(&self.0.state).ended(&TrialId::of(outcome).title(), outcome),
            _ => {}
        }
    }
}

impl Shared {
    fn draw(&self) {
        let mut lines = lock(&self.lines);
        if !lines.waiting.is_empty() {
            self.screen.bars.suspend(|| lines.write_out());
        }
        drop(lines);
        let state = lock(&self.state);
        self.screen.main.set_position(state.done);
        let width = width();
        self.screen.main.set_message(state.line(self.screen.main.elapsed(), self.screen.color, width));
        let mut running = state.running.iter().flat_map(|(worker, files)| files.iter().map(move |file| (worker, file)));
        for bar in &self.screen.running {
            bar.set_message(running.next().map_or_else(String::new, |(worker, (title, since))| {
                let (head, tail) = (format!("{worker:>3}  "), format!("  {}", clock(since.elapsed())));
                let title = escape::line(title).replace('\t', " ");
                let title = end_of(&title, width.saturating_sub(head.len() + tail.len() + 1));
                format!("{head}{title}{tail}")
            }));
        }
    }
}

/// The width of the terminal, in columns.
fn width() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stderr()).ok();
    size.map(|size| usize::from(size.ws_col)).filter(|width| *width > 0).unwrap_or(USUAL_WIDTH)
}

/// A name, or its end, if only that fits into `room` columns: the end identifies the file.
fn end_of(name: &str, room: usize) -> Cow<'_, str> {
    if name.width() <= room {
        return name.into();
    }
    let starts = name.char_indices().map(|(at, _)| at).skip(1);
    let end = starts.map(|at| &name[at..]).find(|end| end.width() < room);
    format!("…{}", end.unwrap_or_default()).into()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A writer to the terminal above the bar: it writes only whole lines, several at a time.
struct Above(Arc<Shared>);

impl Write for Above {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let mut lines = lock(&self.0.lines);
        match lines.error.take() {
            Some(error) => Err(error),
            None => lines.waiting.write(text),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut lines = lock(&self.0.lines);
        if lock(&self.0.ticker).is_none() {
            // The bar has been removed.
            lines.write_out();
        }
        lines.error.take().map_or(Ok(()), Err)
    }
}

impl LineWriter {
    fn write_out(&mut self) {
        let written = self.out.write_all(&self.waiting).and_then(|()| self.out.flush());
        self.waiting.clear();
        if let Err(error) = written {
            self.error.get_or_insert(error);
        }
    }
}

impl State {
    fn new(planned: Option<&[String]>, workers: u32, past: HashMap<String, u64>) -> Self {
        let names = planned.unwrap_or_default();
        let known = names.iter().filter_map(|name| past.get(name));
        let (count, past_total) = known.fold((0, 0), |(count, total), micros| (count + 1, total + micros));
        let length = names.len() as u64;
        let planned = planned.map(|_| length);
        State { planned, workers: workers.max(1), past_total, unknown: length - count, past, ..State::default() }
    }

    fn started(&mut self, worker: u32, title: &str) {
        let free = || (1..).find(|number| !self.running.contains_key(number)).unwrap_or(u32::MAX);
        let worker = if worker == 0 { free() } else { worker };
        self.running.entry(worker).or_default().push((title.to_owned(), Instant::now()));
    }

    fn dropped(&mut self, title: &str) {
        self.running.retain(|_, files| {
            files.retain(|(file, _)| file != title);
            !files.is_empty()
        });
    }

    fn ended(&mut self, title: &str, outcome: &Outcome) {
        self.dropped(title);
        self.done += 1;
        self.records += outcome.records.passed + outcome.records.failed;
        self.failed += u64::from(outcome.verdict.is_failure());
        self.done_us += outcome.wall_us;
        match self.past.get(&outcome.name) {
            Some(past) => {
                self.done_known_us += outcome.wall_us;
                self.done_known_past_us += past;
            }
            None => self.done_unknown += 1,
        }
    }

    /// How long the rest will take, if known: estimated from past times and the speed of this run.
    fn left(&self) -> Option<Duration> {
        let planned = self.planned?;
        if self.done == 0 && self.past_total == 0 {
            return None;
        }
        let pace = match self.done_known_past_us {
            0 => 1.0,
            past => self.done_known_us as f64 / past as f64,
        };
        let known = self.past_total.saturating_sub(self.done_known_past_us) as f64 * pace;
        let mean = match self.done {
            0 => self.past_total as f64 / (planned - self.unknown).max(1) as f64,
            done => self.done_us as f64 / done as f64,
        };
        let unknown = self.unknown.saturating_sub(self.done_unknown) as f64 * mean;
        let spent: f64 = self.running.values().flatten().map(|(_, since)| since.elapsed().as_secs_f64() * 1e6).sum();
        let micros = ((known + unknown - spent).max(0.0)) / f64::from(self.workers);
        Some(Duration::from_secs_f64(micros / 1e6))
    }

    /// The progress line, if possible within `width` columns.
    fn line(&self, elapsed: Duration, color: bool, width: usize) -> String {
        let files = match self.planned {
            Some(planned) => format!("{}/{planned} files", self.done),
            None => format!("{} files here", self.done),
        };
        let records = format!("{} records", self.records);
        let failed = format!("{} failed", self.failed);
        let rate = format!("{:.1} files/s", self.done as f64 / elapsed.as_secs_f64().max(0.001));
        let left = self.left().map(|left| format!("{} left", clock(left)));
        let left = left.as_deref();
        let choices: [&[Option<&str>]; 3] = [
            &[Some(&files), Some(&records), Some(&failed), Some(&rate), left],
            &[Some(&files), Some(&failed), Some(&rate), left],
            &[Some(&files), Some(&failed), left],
        ];
        let words = |choice: &[Option<&str>]| choice.iter().flatten().copied().collect::<Vec<_>>().join(", ");
        // The last column stays empty: some terminals wrap the line when it is used.
        let room = width.saturating_sub(1);
        let fits = choices.iter().map(|choice| words(choice)).find(|words| words.len() <= room);
        let mut words = fits.unwrap_or_else(|| words(choices[2]));
        let bar = self.bar(room.saturating_sub(words.len() + 1));
        if self.failed > 0 && color {
            let red = Style::new().fg_color(Some(AnsiColor::Red.into()));
            words = words.replacen(&failed, &format!("{red}{failed}{red:#}"), 1);
        }
        bar + &words
    }

    /// The finished part of the files, as a bar of at most `room` columns; empty if there is no room.
    fn bar(&self, room: usize) -> String {
        let cells = room.saturating_sub(2).min(BAR.0);
        let Some(planned) = self.planned.filter(|planned| *planned > 0 && cells >= BAR.1) else {
            return String::new();
        };
        let full = (self.done.min(planned) as usize * cells) / planned as usize;
        let head = if full < cells { ">" } else { "" };
        format!("[{:<cells$}] ", "=".repeat(full) + head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Verdict;

    fn state(past: &[(&str, u64)]) -> State {
        let names = ["a", "b", "c", "d"].map(str::to_owned);
        State::new(Some(&names), 2, past.iter().map(|(name, micros)| ((*name).to_owned(), *micros)).collect())
    }

    fn end(state: &mut State, name: &str, seconds: u64) {
        let outcome = Outcome { wall_us: seconds * 1_000_000, ..Outcome::new(name, Verdict::Failed) };
        state.ended(name, &outcome);
    }

    #[test]
    fn the_time_left_depends_on_past_times_and_the_current_speed() {
        let mut known = state(&[("a", 10_000_000), ("b", 20_000_000), ("c", 30_000_000), ("d", 40_000_000)]);
        assert_eq!(known.left(), Some(Duration::from_secs(50)));
        end(&mut known, "a", 5);
        assert_eq!(known.left(), Some(Duration::from_millis(22_500)), "it goes twice as fast as last time");
        ["b", "c", "d"].into_iter().for_each(|name| end(&mut known, name, 1));
        assert_eq!(known.left(), Some(Duration::ZERO));
    }

    #[test]
    fn a_line_fits_its_terminal() {
        let mut state = state(&[]);
        (state.done, state.records, state.done_us) = (2, 4_123_980, 2_000_000);
        let lines =
            [100, 80, 60, 50, 40, 30, 10].map(|width| (width, state.line(Duration::from_secs(1), false, width)));
        let shown: Vec<&str> = lines.iter().map(|(_, line)| line.as_str()).collect();
        assert_eq!(
            shown,
            [
                "[===============>              ] 2/4 files, 4123980 records, 0 failed, 2.0 files/s, 2 s left",
                "[========>        ] 2/4 files, 4123980 records, 0 failed, 2.0 files/s, 2 s left",
                "2/4 files, 4123980 records, 0 failed, 2.0 files/s, 2 s left",
                "2/4 files, 0 failed, 2.0 files/s, 2 s left",
                "2/4 files, 0 failed, 2 s left",
                "2/4 files, 0 failed, 2 s left",
                "2/4 files, 0 failed, 2 s left",
            ]
        );
        assert!(lines.iter().all(|(width, line)| line.len() < *width || *width == 10), "{lines:?}");
        (state.done, state.done_us) = (4, 4_000_000);
        assert!(state.line(Duration::from_secs(1), false, 100).starts_with("[==============================] 4/4"));
    }

    #[test]
    fn the_end_of_a_long_name_is_shown() {
        assert_eq!(end_of("a/b.test", 8), "a/b.test");
        assert_eq!(end_of("index/between/1000/slt_good_0.test", 20), "…000/slt_good_0.test");
        assert_eq!(end_of("表/表.test", 8), "…表.test");
        assert_eq!(end_of("abc", 0), "…");
    }

    #[test]
    fn without_a_history_finished_files_determine_the_time_left() {
        let mut unknown = state(&[]);
        assert_eq!(unknown.left(), None);
        end(&mut unknown, "a", 2);
        assert_eq!(unknown.left(), Some(Duration::from_secs(3)));
        let others = State::new(None, 1, HashMap::new());
        assert_eq!(
            (others.left(), others.line(Duration::from_secs(1), false, 80)),
            (None, "0 files here, 0 records, 0 failed, 0.0 files/s".into())
        );
    }

    #[test]
    fn running_files_are_identified_by_worker() {
        let mut state = state(&[]);
        state.started(0, "a");
        state.started(0, "b");
        state.started(7, "c");
        state.dropped("a");
        state.started(0, "d");
        let running: Vec<_> = state.running.iter().map(|(worker, files)| (*worker, files[0].0.as_str())).collect();
        assert_eq!(running, [(1, "d"), (2, "b"), (7, "c")]);
        end(&mut state, "b", 1);
        let line = state.line(Duration::from_secs(2), true, 72);
        assert_eq!(line, "[===>           ] 1/4 files, 0 records, \u{1b}[31m1 failed\u{1b}[0m, 0.5 files/s, 2 s left");
        assert_eq!([clock(Duration::from_secs(125)), clock(Duration::from_secs(4320))], ["2 min 05 s", "1 h 12 min"]);
    }
}
