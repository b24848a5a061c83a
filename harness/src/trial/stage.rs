//! The trial, from the view of a dialect that runs a script.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::execute::Executor;
use super::{Options, Tally};
use crate::dialect::complaint::Complaint;
use crate::dialect::rewrite::{Correction, Edit, Revision};
use crate::dialect::stage::{At, Flow, Judge, Stage, Turn, Wishes};
use crate::engine::{Done, EngineError, Opening, Rows};
use crate::event::Ending;
use crate::outcome::CutShort;
use crate::script::{Record, Step, SyntaxError};

/// A script that is running on the connections of an executor; its results go into a tally.
pub(super) struct Running<'r, 'e, 'a, 'f> {
    pub(super) executor: &'r mut Executor<'e, 'a>,
    pub(super) tally: &'r mut Tally<'f>,
    pub(super) options: &'r Options,
}

impl<'a> Stage<'a> for Running<'_, '_, 'a, '_> {
    fn record(&mut self, record: &Record<'a>) -> Flow {
        match self.tally.turn(record) {
            Turn::Over => return Flow::Over,
            Turn::LeftOut => return Flow::GoesOn,
            Turn::Before | Turn::Judged => {}
        }
        match record.step {
            Step::Skip if self.tally.is_before() => {}
            Step::Skip => self.left_out(record),
            Step::Halt => {
                self.halt(record.line);
                return Flow::Over;
            }
            _ => {
                self.tally.at(record);
                self.executor.execute(record, self.tally);
                if self.is_over() {
                    return Flow::Over;
                }
            }
        }
        Flow::GoesOn
    }

    fn perform(&mut self, record: &Record<'_>, judge: &mut Judge<'_, 'a>) {
        let options = self.options;
        self.tally.at(record);
        self.executor.perform(record, self.tally, &mut |executor, record, tally| {
            judge(&mut Running { executor, tally, options }, record)
        });
    }

    fn skip(&mut self, record: &Record<'_>) {
        if self.tally.is_to_be_judged(record) {
            self.left_out(record);
        }
    }

    fn fail(&mut self, error: SyntaxError) {
        self.tally.fail_script(error, CutShort::SyntaxError);
    }

    fn give_up(&mut self, error: SyntaxError) {
        self.tally.fail_script(error, CutShort::ConnectionLost);
    }

    fn halt(&mut self, line: u64) {
        self.tally.halted = Some(line);
    }

    fn is_over(&mut self) -> bool {
        self.executor.is_over(self.options, self.tally)
    }

    fn is_late(&self) -> bool {
        self.executor.timed_out().is_some() || self.executor.is_interrupted()
    }

    fn wishes(&self) -> Wishes<'_> {
        let Options { allow_env, lenient, max_records, tags, .. } = self.options;
        Wishes { allow_env: *allow_env, lenient: *lenient, max_records: *max_records, tags }
    }

    fn expect_files(&mut self, included: &mut dyn Iterator<Item = &Arc<str>>) {
        if let Some(blessings) = &mut self.tally.blessings {
            blessings.expect_files(included);
        }
    }

    fn is_excerpt(&self) -> bool {
        self.tally.excerpted.is_some()
    }

    fn find(&mut self, spans: &mut dyn Iterator<Item = (u64, u64)>) {
        self.tally.find_in(spans);
    }

    fn turn(&mut self, at: At<'_>) -> Turn {
        self.tally.turn_in_loop(at)
    }

    fn run(&mut self, record: &Record<'_>, letters: Option<&[u8]>) -> Result<Result<Done, EngineError>, Complaint> {
        self.executor.run(record, record.step.text(), letters, self.tally)
    }

    fn rows(&self) -> &Rows {
        self.executor.rows()
    }

    fn values(&mut self, sql: &str, connection: Option<&str>) -> Result<Vec<String>, String> {
        self.executor.values(sql, connection, self.tally)
    }

    fn sleep(&mut self, duration: Duration) {
        self.executor.sleep(duration, self.tally);
    }

    fn reopen(&mut self, opening: Opening<'_>) -> Result<(), String> {
        self.executor.reopen(opening)
    }

    fn reconnect(&mut self) -> Result<(), String> {
        self.executor.reconnect()
    }

    fn disconnect(&mut self, name: &str) {
        self.executor.disconnect(name);
    }

    fn scratch(&mut self, folder: &Path) {
        self.executor.scratch(folder);
    }

    fn require(&mut self, words: &[&str]) -> Result<bool, String> {
        self.executor.require(words)
    }

    fn open_together(&mut self) -> Result<bool, String> {
        self.executor.open_together()
    }

    fn begin(&mut self, number: u64, record: &Record<'_>, letters: Option<&[u8]>) -> Result<(), EngineError> {
        self.executor.begin(number, record, letters, self.tally)
    }

    fn wait(&mut self) -> Result<u64, EngineError> {
        self.executor.wait(self.tally)
    }

    fn answer(&mut self, answer: Option<Result<Done, EngineError>>) {
        self.executor.answer(answer);
    }

    fn close_together(&mut self) {
        self.executor.close_together();
    }

    fn revise(
        &mut self,
        record: &Record<'_>,
        correction: &Correction,
        revision: &dyn Revision,
    ) -> Option<Result<Vec<Edit>, String>> {
        let blessings = self.tally.blessings.as_mut()?;
        Some(blessings.edits(record, correction, revision, self.executor.rows()))
    }

    fn compares(&self) -> bool {
        self.executor.compares()
    }

    fn keep(&mut self, lines: Vec<Vec<u8>>) {
        self.executor.keep_lines(lines);
    }

    fn judged(&self, record: &Record<'_>) -> Option<&Correction> {
        self.tally.role.comparing()?.result(record)
    }
}

impl Running<'_, '_, '_, '_> {
    fn left_out(&mut self, record: &Record<'_>) {
        self.tally.records.skipped += 1;
        self.tally.ended(record, Ending::Skipped);
    }
}
