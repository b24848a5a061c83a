//! Several connections of one driver that run SQL at the same time.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::{Conversation, Question};
use crate::dialect::Dialect;
use crate::engine::{Done, EngineError, Request, Rows, Together};

/// The maximum number of passes of one loop that have connections.
pub(super) const MOST: u64 = 1 << 32;

/// The connections of the passes of one loop. Each request has an `id`, the number of its pass.
pub(super) struct Connections {
    conversation: Rc<RefCell<Conversation>>,
    /// The number of the first pass's connection.
    first: u64,
    /// The letters and the dialect of requests that have not been answered, by pass.
    open: BTreeMap<u64, (Option<Vec<u8>>, Dialect)>,
    /// The passes that have a connection.
    begun: BTreeSet<u64>,
}

impl Connections {
    pub(super) fn new(conversation: &Rc<RefCell<Conversation>>, first: u64) -> Self {
        Connections { conversation: Rc::clone(conversation), first, open: BTreeMap::new(), begun: BTreeSet::new() }
    }
}

impl Together for Connections {
    fn begin(&mut self, pass: u64, request: Request<'_>) -> Result<(), EngineError> {
        let mut conversation = self.conversation.borrow_mut();
        let connection = Some(self.first + pass);
        let question = Question { connection, id: Some(pass), ..conversation.question(&request)? };
        let written = conversation.write(&question);
        conversation.is_lost |= written.is_err();
        written?;
        self.begun.insert(pass);
        self.open.insert(pass, (request.letters.map(<[u8]>::to_vec), request.dialect));
        Ok(())
    }

    fn next(&mut self, rows: &mut Rows) -> Result<(u64, Result<Done, EngineError>), EngineError> {
        let mut conversation = self.conversation.borrow_mut();
        let answer =
            conversation.answer().and_then(|answer| match answer.id.and_then(|id| self.open.remove_entry(&id)) {
                Some((pass, (letters, dialect))) => {
                    let extended = conversation.greeting.is_some();
                    // What was printed may begin with the answers to other questions.
                    Ok((pass, answer.take(letters.as_deref(), dialect, extended, rows, String::new)))
                }
                None => Err(EngineError::lost("it answered what was not asked, or without the `id` of the question")),
            });
        conversation.is_lost |= match &answer {
            Ok((_, Err(error))) | Err(error) => error.is_lost(),
            Ok(_) => false,
        };
        answer
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        let mut conversation = self.conversation.borrow_mut();
        // Answers that are still to come would be taken for the answers to other questions.
        conversation.is_lost |= !self.open.is_empty();
        for pass in &self.begun {
            if !conversation.is_lost {
                // If a driver cannot answer this, the next request reports it.
                let _ = conversation.command(&Question { close: Some(self.first + pass), ..Question::default() });
            }
        }
    }
}
