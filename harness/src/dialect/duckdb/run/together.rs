//! Runs the passes of a concurrent loop at the same time. Each pass has a connection, and at most one request under way.
//!
//! All of this runs on one thread. It begins the next request of each pass, waits for the first request to end, judges it,
//! and continues with its pass.

use std::collections::BTreeMap;

use super::{Running, State, leave_out};
use crate::dialect::duckdb::{Action, Cursor, Event, Passes, Step};
use crate::dialect::stage::{Flow, Stage};

/// How many passes may be under way at the same time.
const MOST: usize = 256;

struct Run<'s, 'a> {
    /// Each pass that has a request under way, with the step of that request.
    under_way: BTreeMap<u64, (Cursor<'s, 'a>, &'s Step<'a>)>,
}

/// Runs all passes. Waits for every request that has started, even if the script is over.
pub(super) fn run<'s, 'a>(state: &mut State<'_>, mut passes: Passes<'s, 'a>, stage: &mut dyn Stage<'_>) -> Flow {
    let mut run = Run { under_way: BTreeMap::new() };
    let mut flow = Flow::GoesOn;
    let mut all_begun = false;
    loop {
        while flow == Flow::GoesOn && !all_begun && run.under_way.len() < MOST {
            flow = match passes.next_pass() {
                Ok(Some(pass)) => run.go_on(pass, state, stage),
                Ok(None) => {
                    all_begun = true;
                    Flow::GoesOn
                }
                Err(error) => {
                    stage.fail(error);
                    Flow::Over
                }
            };
        }
        if run.under_way.is_empty() {
            return flow;
        }
        match stage.wait() {
            Ok(pass) => {
                let Some((pass, step)) = run.under_way.remove(&pass) else { continue };
                if flow == Flow::GoesOn {
                    flow = state.take(step, &pass, stage);
                }
                if flow == Flow::GoesOn {
                    flow = run.go_on(pass, state, stage);
                }
                stage.answer(None);
            }
            Err(error) => {
                // The engine reports nothing more about the other passes either; the error is entered at the first of them.
                if let Some((_, (pass, step))) = run.under_way.pop_first().filter(|_| flow == Flow::GoesOn) {
                    stage.answer(Some(Err(error)));
                    state.take(step, &pass, stage);
                    stage.answer(None);
                }
                return Flow::Over;
            }
        }
    }
}

impl<'s, 'a> Run<'s, 'a> {
    /// Continues a pass until it has a request under way or reaches its end.
    fn go_on(&mut self, mut pass: Cursor<'s, 'a>, state: &mut State<'_>, stage: &mut dyn Stage<'_>) -> Flow {
        loop {
            let mut scope = Running { stage: &mut *stage, names: &state.names, alone: false };
            let step = match pass.next(&mut scope) {
                Ok(Some(Event::Step(step))) => step,
                Ok(Some(Event::Skipped(step))) => {
                    leave_out(step, &pass, stage);
                    continue;
                }
                // The parser has refused concurrent loops in concurrent loops.
                Ok(Some(Event::Together(_)) | None) => return Flow::GoesOn,
                Err(error) => {
                    stage.fail(error);
                    return Flow::Over;
                }
            };
            let letters = match &step.action {
                Action::Query(query) => Some(query.letters.as_bytes()),
                _ => None,
            };
            if matches!(step.action, Action::Statement(_) | Action::Query(_))
                && let (record, None) = state.record(step, &pass, stage)
                && let Some(number) = pass.concurrent_pass()
            {
                match stage.begin(number, &record, letters) {
                    Ok(()) => {
                        self.under_way.insert(number, (pass, step));
                        return Flow::GoesOn;
                    }
                    Err(error) => stage.answer(Some(Err(error))),
                }
            }
            if state.take(step, &pass, stage) == Flow::Over {
                return Flow::Over;
            }
        }
    }
}
