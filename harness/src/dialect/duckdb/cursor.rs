//! Walks through a script step by step, and expands loops while they run.

use std::cell::Cell;
use std::rc::Rc;

use super::{Action, Loop, Node, Over, Place, Script, Step, lists};
use crate::script::SyntaxError;

/// How many steps and loop passes a script may have, unless the user sets another limit.
pub const MOST_RECORDS: u64 = 10_000_000;

/// The parts of a run that a loop needs.
pub trait Scope {
    /// The word of a `foreach`, with names in braces replaced.
    ///
    /// # Errors
    /// A name has no value.
    fn replace(&self, word: &str) -> Result<String, String>;

    /// The elements of the SQL variable `name` on a connection.
    ///
    /// # Errors
    /// There is no such variable, or it is not a list.
    fn list(&mut self, connection: Option<&str>, name: &str) -> Result<Vec<String>, String>;
}

/// A cursor yields the steps of a script, or of one pass of a concurrent loop, in the order in which they run.
#[derive(Debug)]
pub struct Cursor<'s, 'a> {
    frames: Vec<Frame<'s, 'a>>,
    bound: Bound,
    /// The variables of the loops around the concurrent loop, and of that loop itself, the outermost first.
    around: Vec<(&'a str, String)>,
    /// The pass of the concurrent loop, counted from 0.
    pass: Option<u64>,
}

/// What comes next.
#[derive(Debug)]
pub enum Event<'s, 'a> {
    /// This step runs.
    Step(&'s Step<'a>),
    /// This step does not apply.
    Skipped(&'s Step<'a>),
    /// These passes of a concurrent loop run, at the same time if the engine can do that.
    Together(Passes<'s, 'a>),
}

/// The passes of a concurrent loop. Each pass has a separate cursor, made when the pass begins.
#[derive(Debug)]
pub struct Passes<'s, 'a> {
    of: &'s Loop<'a>,
    values: Values,
    bound: Bound,
    around: Vec<(&'a str, String)>,
    next: u64,
}

/// How many steps and passes may still run; shared by all cursors of a script.
#[derive(Debug, Clone)]
struct Bound {
    left: Rc<Cell<u64>>,
    most: u64,
}

impl Bound {
    fn count(&self, place: &Place) -> Result<(), SyntaxError> {
        let left = self.left.get().checked_sub(1).ok_or_else(|| {
            let message =
                format!("more than {} records in this file: shorten its loops, or raise `--max-records`", self.most);
            error(place, message)
        })?;
        self.left.set(left);
        Ok(())
    }
}

#[derive(Debug)]
struct Frame<'s, 'a> {
    nodes: &'s [Node<'a>],
    next: usize,
    pass: Option<Pass<'s, 'a>>,
}

/// A pass of a loop.
#[derive(Debug)]
struct Pass<'s, 'a> {
    of: &'s Loop<'a>,
    values: Values,
    /// The present value of each of the loop's names.
    present: Vec<String>,
}

#[derive(Debug)]
enum Values {
    Range(std::ops::Range<i64>),
    Words(std::vec::IntoIter<String>),
}

impl<'s, 'a> Cursor<'s, 'a> {
    /// A cursor at the start of a script, which may have at most `most` steps and passes.
    pub fn new(script: &'s Script<'a>, most: u64) -> Self {
        let frames = vec![Frame { nodes: &script.nodes, next: 0, pass: None }];
        Cursor { frames, bound: Bound { left: Rc::new(Cell::new(most)), most }, around: Vec::new(), pass: None }
    }

    /// The next step; `None` at the end.
    ///
    /// # Errors
    /// A condition or a loop that cannot be evaluated, or too many steps.
    pub fn next(&mut self, scope: &mut dyn Scope) -> Result<Option<Event<'s, 'a>>, SyntaxError> {
        loop {
            let Some(frame) = self.frames.last_mut() else { return Ok(None) };
            let Some(node) = frame.nodes.get(frame.next) else {
                match frame.pass.as_mut().filter(|pass| !pass.values.has_ended()) {
                    Some(pass) => {
                        pass.advance();
                        frame.next = 0;
                        self.bound.count(&pass.of.place)?;
                    }
                    None => drop(self.frames.pop()),
                }
                continue;
            };
            frame.next += 1;
            match node {
                Node::Loop(entered) => {
                    self.bound.count(&entered.place)?;
                    let values = Values::of(&entered.over, scope).map_err(|message| error(&entered.place, message))?;
                    if entered.concurrent {
                        let around = self.variables();
                        let around = around.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
                        let bound = self.bound.clone();
                        return Ok(Some(Event::Together(Passes { of: entered, values, bound, around, next: 0 })));
                    }
                    let mut pass = Pass { of: entered, values, present: Vec::new() };
                    pass.advance();
                    self.frames.push(Frame { nodes: &entered.body, next: 0, pass: Some(pass) });
                }
                Node::Step(step) => {
                    self.bound.count(&step.place)?;
                    if !self.allows(step).map_err(|message| error(&step.place, message))? {
                        return Ok(Some(Event::Skipped(step)));
                    }
                    match step.action {
                        Action::Continue => self.end_pass(),
                        Action::Skipped | Action::OtherEngine => return Ok(Some(Event::Skipped(step))),
                        _ => return Ok(Some(Event::Step(step))),
                    }
                }
            }
        }
    }

    /// Whether its conditions let a step run in this pass. They count before statements, queries and `continue` only.
    fn allows(&self, step: &Step<'_>) -> Result<bool, String> {
        if matches!(step.action, Action::Statement(_) | Action::Query(_) | Action::Continue) {
            for condition in &step.conditions {
                if !condition.allows(|name| self.lookup(name))? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn end_pass(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.next = frame.nodes.len();
        }
    }

    /// The value of a loop's variable; if several loops have the name, that of the innermost one.
    pub fn lookup(&self, name: &str) -> Option<&str> {
        let passes = self.frames.iter().rev().filter_map(|frame| frame.pass.as_ref());
        let inner = passes.flat_map(Pass::variables);
        let around = self.around.iter().rev().map(|(name, value)| (*name, value.as_str()));
        inner.chain(around).find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The loop variables and their values, the outermost first: `i=3, t=INTEGER`. `None` outside of loops.
    pub fn pass(&self) -> Option<String> {
        let shown: Vec<String> = self.variables().iter().map(|(name, value)| format!("{name}={value}")).collect();
        (!shown.is_empty()).then(|| shown.join(", "))
    }

    /// The loop variables and their values, the outermost first.
    pub fn variables(&self) -> Vec<(&'a str, &str)> {
        let around = self.around.iter().map(|(name, value)| (*name, value.as_str()));
        around.chain(self.frames.iter().filter_map(|frame| frame.pass.as_ref()).flat_map(Pass::variables)).collect()
    }

    /// The pass of a concurrent loop that this cursor walks through, counted from 0. The pass has a connection of its own.
    pub fn concurrent_pass(&self) -> Option<u64> {
        self.pass
    }
}

impl<'s, 'a> Passes<'s, 'a> {
    /// The position of the loop.
    pub fn place(&self) -> &'s Place {
        &self.of.place
    }

    /// A cursor for the next pass; `None` if there are no more.
    ///
    /// # Errors
    /// There are too many passes.
    pub fn next_pass(&mut self) -> Result<Option<Cursor<'s, 'a>>, SyntaxError> {
        let Some(value) = self.values.next() else { return Ok(None) };
        self.bound.count(&self.of.place)?;
        let own = self.of.names.iter().copied().zip(self.of.parts(value));
        let around = self.around.iter().cloned().chain(own).collect();
        let pass = Some(self.next);
        self.next += 1;
        let frames = vec![Frame { nodes: &self.of.body, next: 0, pass: None }];
        Ok(Some(Cursor { frames, bound: self.bound.clone(), around, pass }))
    }
}

fn error(place: &Place, message: String) -> SyntaxError {
    SyntaxError { included_from: place.file.clone(), ..SyntaxError::new(place.line, message) }
}

impl Values {
    fn of(over: &Over<'_>, scope: &mut dyn Scope) -> Result<Values, String> {
        let values = match over {
            // The first value runs even if the range is empty, as in DuckDB's own runner.
            Over::Range(start, end) => Values::Range(*start..(*end).max(start.saturating_add(1))),
            Over::Words(listed) => Values::Words(words(listed, scope)?.into_iter()),
        };
        match values.has_ended() {
            true => Err("this loop has nothing to run over: each of its words is removed by one with `!`".to_owned()),
            false => Ok(values),
        }
    }

    /// Whether the present value is the last one.
    fn has_ended(&self) -> bool {
        match self {
            Values::Range(range) => range.is_empty(),
            Values::Words(words) => words.as_slice().is_empty(),
        }
    }

    fn next(&mut self) -> Option<String> {
        match self {
            Values::Range(range) => range.next().map(|number| number.to_string()),
            Values::Words(words) => words.next(),
        }
    }
}

impl Loop<'_> {
    /// The value of each name.
    fn parts(&self, value: String) -> Vec<String> {
        match self.names.len() {
            1 => vec![value],
            _ => value.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect(),
        }
    }
}

impl<'a> Pass<'_, 'a> {
    /// Moves to the next value, if there is one.
    fn advance(&mut self) {
        if let Some(value) = self.values.next() {
            self.present = self.of.parts(value);
        }
    }

    fn variables(&self) -> impl Iterator<Item = (&'a str, &str)> {
        self.of.names.iter().copied().zip(self.present.iter().map(String::as_str))
    }
}

/// The words that a `foreach` runs over: lists are expanded, and `!word` removes a word.
fn words(listed: &[&str], scope: &mut dyn Scope) -> Result<Vec<String>, String> {
    let mut words: Vec<String> = Vec::new();
    for word in listed {
        if let Some(list) = lists::built_in(word) {
            words.extend(list.into_iter().map(str::to_owned));
            continue;
        }
        if let Some(variable) = word.strip_prefix("<variable:").and_then(|rest| rest.strip_suffix('>')) {
            let (connection, name) = match variable.split_once(':') {
                Some((connection, name)) => (Some(connection), name),
                None => (None, variable),
            };
            words.extend(scope.list(connection, name)?);
            continue;
        }
        let word = scope.replace(word)?;
        match word.strip_prefix('!').and_then(|taken| words.iter().position(|word| word == taken)) {
            Some(at) => drop(words.remove(at)),
            None => words.push(word),
        }
    }
    Ok(words)
}
