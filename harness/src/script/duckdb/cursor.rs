//! Walks through a script step by step: loops are expanded as they run.

use super::{Action, Loop, Node, Over, Place, Script, Step, lists};
use crate::script::{Labels, SyntaxError};

/// How many steps and passes of loops a script may have.
pub const MOST_RECORDS: u64 = 10_000_000;

/// What a loop needs to know of the run.
pub trait Scope {
    /// The word of a `foreach` with names in braces replaced.
    ///
    /// # Errors
    /// A name has no value.
    fn replace(&self, word: &str) -> Result<String, String>;

    /// The elements of the SQL variable `name` on a connection.
    ///
    /// # Errors
    /// There is none, or it is no list.
    fn list(&mut self, connection: Option<&str>, name: &str) -> Result<Vec<String>, String>;
}

/// A cursor yields the steps of a script in the order in which they run.
#[derive(Debug)]
pub struct Cursor<'s, 'a> {
    frames: Vec<Frame<'s, 'a>>,
    left: u64,
    most: u64,
    passes: u64,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Event<'s, 'a> {
    /// This step runs.
    Step(&'s Step<'a>),
    /// This step does not apply.
    Skipped(&'s Step<'a>),
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
    /// A number that no other pass has.
    id: u64,
    values: Values,
    /// The present value of each name.
    present: Vec<String>,
}

#[derive(Debug)]
enum Values {
    Range(std::ops::Range<i64>),
    Words(std::vec::IntoIter<String>),
}

impl<'s, 'a> Cursor<'s, 'a> {
    /// A cursor at the start of a script, which may have so many steps and passes.
    pub fn new(script: &'s Script<'a>, most: u64) -> Self {
        let frames = vec![Frame { nodes: &script.nodes, next: 0, pass: None }];
        Cursor { frames, left: most, most, passes: 0 }
    }

    /// The next step; none at the end.
    ///
    /// # Errors
    /// A condition or a loop that cannot be evaluated, or too many steps.
    pub fn next(&mut self, labels: &Labels, scope: &mut dyn Scope) -> Result<Option<Event<'s, 'a>>, SyntaxError> {
        loop {
            let Some(frame) = self.frames.last_mut() else { return Ok(None) };
            let Some(node) = frame.nodes.get(frame.next) else {
                match frame.pass.as_mut().filter(|pass| !pass.has_ended()) {
                    Some(pass) => {
                        pass.advance();
                        let place = &pass.of.place;
                        self.passes += 1;
                        (pass.id, frame.next) = (self.passes, 0);
                        count(&mut self.left, self.most, place)?;
                    }
                    None => drop(self.frames.pop()),
                }
                continue;
            };
            frame.next += 1;
            match node {
                Node::Loop(entered) => {
                    count(&mut self.left, self.most, &entered.place)?;
                    self.passes += 1;
                    let pass =
                        Pass::first(entered, self.passes, scope).map_err(|message| error(&entered.place, message))?;
                    self.frames.push(Frame { nodes: &entered.body, next: 0, pass: Some(pass) });
                }
                Node::Step(step) => {
                    count(&mut self.left, self.most, &step.place)?;
                    if !self.allows(step, labels).map_err(|message| error(&step.place, message))? {
                        return Ok(Some(Event::Skipped(step)));
                    }
                    match step.action {
                        Action::Continue => self.end_pass(),
                        Action::Skipped => return Ok(Some(Event::Skipped(step))),
                        _ => return Ok(Some(Event::Step(step))),
                    }
                }
            }
        }
    }

    fn allows(&self, step: &Step<'_>, labels: &Labels) -> Result<bool, String> {
        let of_loops = matches!(step.action, Action::Statement(_) | Action::Query(_) | Action::Continue);
        for condition in step.conditions.iter().filter(|condition| of_loops || !condition.is_of_a_loop()) {
            if !condition.allows(labels, |name| self.lookup(name))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn end_pass(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.next = frame.nodes.len();
        }
    }

    /// The value of a loop's variable, that of the innermost loop first.
    pub fn lookup(&self, name: &str) -> Option<&str> {
        let passes = self.frames.iter().rev().filter_map(|frame| frame.pass.as_ref());
        let mut named = passes.flat_map(|pass| pass.of.names.iter().zip(&pass.present));
        named.find(|(known, _)| **known == name).map(|(_, value)| value.as_str())
    }

    /// The loop variables and their values, the outermost first: `i=3, t=INTEGER`; nothing outside of loops.
    pub fn pass(&self) -> Option<String> {
        let passes = self.frames.iter().filter_map(|frame| frame.pass.as_ref());
        let named = passes.flat_map(|pass| pass.of.names.iter().zip(&pass.present));
        let shown: Vec<String> = named.map(|(name, value)| format!("{name}={value}")).collect();
        (!shown.is_empty()).then(|| shown.join(", "))
    }

    /// A number for the pass of a concurrent loop, which has a connection of its own; none outside of such loops.
    pub fn concurrent_pass(&self) -> Option<u64> {
        self.frames.iter().filter_map(|frame| frame.pass.as_ref()).find(|pass| pass.of.concurrent).map(|pass| pass.id)
    }
}

fn error(place: &Place, message: String) -> SyntaxError {
    SyntaxError { included_from: place.file.clone(), ..SyntaxError::new(place.line, message) }
}

fn count(left: &mut u64, most: u64, place: &Place) -> Result<(), SyntaxError> {
    *left = left.checked_sub(1).ok_or_else(|| {
        let message = format!("more than {most} records in this file: shorten its loops");
        error(place, message)
    })?;
    Ok(())
}

impl<'s, 'a> Pass<'s, 'a> {
    fn first(of: &'s Loop<'a>, id: u64, scope: &mut dyn Scope) -> Result<Self, String> {
        let values = match &of.over {
            // The first value runs even if the range is empty, as in DuckDB's own runner.
            Over::Range(start, end) => Values::Range(*start..(*end).max(start.saturating_add(1))),
            Over::Words(listed) => Values::Words(words(listed, scope)?.into_iter()),
        };
        let mut pass = Pass { of, id, values, present: Vec::new() };
        match pass.advance() {
            true => Ok(pass),
            false => {
                Err("this loop has nothing to run over: each of its words is taken away by one with `!`".to_owned())
            }
        }
    }

    /// Whether the present value is the last one.
    fn has_ended(&self) -> bool {
        match &self.values {
            Values::Range(range) => range.is_empty(),
            Values::Words(words) => words.as_slice().is_empty(),
        }
    }

    /// Goes to the next value, if there is one.
    fn advance(&mut self) -> bool {
        let value = match &mut self.values {
            Values::Range(range) => range.next().map(|number| number.to_string()),
            Values::Words(words) => words.next(),
        };
        let Some(value) = value else { return false };
        self.present = match self.of.names.len() {
            1 => vec![value],
            _ => value.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect(),
        };
        true
    }
}

/// The words that a `foreach` runs over: lists are expanded, and `!word` takes a word away.
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
