//! One driver process for all connections of a script, for drivers with that capability.

use std::cell::RefCell;
use std::rc::Rc;

use super::{Conversation, Question};
use crate::engine::{Done, EngineError, Interrupter, Opening, Request, Rows, Session};

/// A connection is identified by a number in each request.
pub(super) struct Connection {
    conversation: Rc<RefCell<Conversation>>,
    number: u64,
    name: String,
}

impl Connection {
    pub(super) fn new(conversation: &Rc<RefCell<Conversation>>, number: u64) -> Self {
        let name = conversation.borrow().name().to_owned();
        Connection { conversation: Rc::clone(conversation), number, name }
    }
}

impl Session for Connection {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(&mut self, request: Request<'_>, rows: &mut Rows) -> Result<Done, EngineError> {
        self.conversation.borrow_mut().request(request, Some(self.number), rows)
    }

    fn interrupter(&self) -> Option<Interrupter> {
        self.conversation.borrow().interrupter()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut conversation = self.conversation.borrow_mut();
        // The last connection ends the process.
        if !conversation.is_lost && Rc::strong_count(&self.conversation) > 2 {
            // If the driver cannot answer this, the next request reports it.
            let _ = conversation.command(&Question { close: Some(self.number), ..Question::default() });
        }
    }
}

/// Asks a driver to open the script's database.
pub(super) fn open(conversation: &mut Conversation, opening: Opening<'_>) -> Result<(), EngineError> {
    let question = match opening {
        Opening::Load { path, read_only, version } => {
            let path = match path.map(|path| path.to_str()) {
                None => None,
                Some(Some(path)) => Some(path),
                Some(None) => return Err(EngineError::refused("JSON takes UTF-8 only, which the path is not")),
            };
            Question { open: Some(super::Open { path, read_only, version }), ..Question::default() }
        }
        Opening::Restart { extensions } => {
            Question { restart: Some(super::Restart { extensions }), ..Question::default() }
        }
    };
    conversation.command(&question).map(drop)
}

/// Asks a driver whether it has what a script requires.
pub(super) fn require(conversation: &mut Conversation, words: &[&str]) -> Result<bool, EngineError> {
    let answer = conversation.command(&Question { require: Some(words), ..Question::default() })?;
    answer.met.ok_or_else(|| EngineError::lost("it did not answer with `met` to what a script requires"))
}
