//! The reference that results are compared with: a second engine, or the recorded results of another run.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::once::once;
use crate::engine::{Engine, EngineError, ErrorKind, Request, Rows, Scratch, Script};
use crate::outcome::ResultsError;
use crate::suite::TestFile;

mod recorded;

use recorded::Recorded;

/// The reference that results are compared with.
#[derive(Clone)]
pub struct Reference(pub(super) Source);

#[derive(Clone)]
pub(super) enum Source {
    /// A second engine.
    Engine(Arc<dyn Engine>),
    /// The recorded results of another run.
    Run(Arc<Recorded>),
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reference").field(&self.name()).finish()
    }
}

impl Reference {
    /// An engine as a reference.
    pub fn new(engine: Arc<dyn Engine>) -> Reference {
        Reference(Source::Engine(engine))
    }

    /// The results file of another run as a reference.
    ///
    /// # Errors
    /// The file cannot be read, or does not hold results.
    pub fn recorded(results: &Path) -> Result<Reference, ResultsError> {
        Ok(Reference(Source::Run(Arc::new(Recorded::read(results)?))))
    }

    /// Whether the reference is the recorded results of another run.
    pub fn is_recorded(&self) -> bool {
        matches!(self.0, Source::Run(_))
    }

    /// The name in messages.
    pub fn name(&self) -> &str {
        match &self.0 {
            Source::Engine(engine) => engine.name(),
            Source::Run(recorded) => &recorded.name,
        }
    }

    /// Connects for `file`, runs one query, and closes the connection.
    ///
    /// # Errors
    /// The engine cannot be reached, or does not answer within 30 s.
    pub(crate) fn probe(&self, file: &TestFile) -> Result<(), EngineError> {
        let Source::Engine(engine) = &self.0 else { return Ok(()) };
        let (engine, file) = (Arc::clone(engine), file.clone());
        let (sender, receiver) = once();
        let probe = move || {
            // If this takes too long, the run continues without the reference.
            sender.send(connect(&*engine, &file));
        };
        let late = |_| EngineError::new(format!("it does not answer within {} s", PATIENCE.as_secs()));
        match thread::Builder::new().spawn(probe) {
            Ok(_) => receiver.recv_timeout(PATIENCE).map_err(late)?,
            Err(error) => Err(EngineError::new(format!("no thread can be started: {error}"))),
        }
    }
}

fn connect(engine: &dyn Engine, file: &TestFile) -> Result<(), EngineError> {
    let connect = || {
        let mut database = engine.open(&Script::of(file, Scratch::default()))?;
        let mut session = database.connect()?;
        // Some engines start only at the first query. An engine that does not know this SQL is available all the same.
        let request = Request { sql: b"SELECT 1", letters: Some(b"I"), dialect: file.dialect };
        match session.run(request, &mut Rows::default()) {
            Err(error) if error.is_lost() => Err(error),
            _ => Ok(()),
        }
    };
    match connect() {
        Err(error) if error.kind == ErrorKind::Skip => Ok(()),
        connected => connected,
    }
}

/// How long a reference may take to answer before the first file.
const PATIENCE: Duration = Duration::from_secs(30);
