//! Replaces the progress bar if the feature `bar` is off: draws nothing.

use std::collections::HashMap;
use std::io::Write;

use crate::event::{Event, Reporter};

/// The progress of a run on a terminal; without the feature, there is none.
#[derive(Clone)]
pub struct Progress;

impl Progress {
    pub fn new(_: Option<&[String]>, _: u32, _: HashMap<String, u64>, _color: bool) -> Self {
        Progress
    }

    pub fn above(&self, out: Box<dyn Write + Send>) -> Box<dyn Write + Send> {
        out
    }

    pub fn notice(&self, notice: &str) {
        note!("{notice}");
    }

    pub fn finish(&self) {}
}

impl Reporter for Progress {
    fn report(&self, _: Event<'_>) {}
}
