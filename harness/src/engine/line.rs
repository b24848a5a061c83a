//! A runtime for one connection, which waits for the answers of a server and can be cancelled.
//!
//! A runtime for each connection, on the thread that uses it, saves two thread switches per request.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::{Either, select};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::{EngineError, Interrupter};

/// How long a server may take to accept a connection.
pub(super) const CONNECT: Duration = Duration::from_secs(10);

/// How long a server may take to create or drop a database, which may hold thousands of tables.
const MANAGE: Duration = Duration::from_secs(600);

/// How long a clean disconnect may take.
pub(super) const GOODBYE: Duration = Duration::from_secs(1);

/// How long a request may continue after the first interrupt.
const GIVE_UP: Duration = Duration::from_secs(5);

/// How often the server is asked to stop a request.
const AGAIN: Duration = Duration::from_millis(500);

/// How far a server is trusted: less after it has not reacted to an interrupt.
#[derive(Debug, Default)]
pub(super) struct Trust {
    is_lost: AtomicBool,
}

impl Trust {
    /// How long slow operations may take.
    fn limit(&self) -> Duration {
        if self.is_lost.load(Ordering::Relaxed) { GIVE_UP } else { MANAGE }
    }

    fn learn(&self, it_answers: bool) {
        self.is_lost.store(!it_answers, Ordering::Relaxed);
    }
}

/// A line runs the futures of one connection.
#[derive(Debug)]
pub(super) struct Line {
    runtime: Runtime,
    trust: Arc<Trust>,
    /// A future that runs whenever this line waits, if any.
    task: Option<JoinHandle<()>>,
    given_up: Arc<Notify>,
}

impl Line {
    /// A line to a server. All connections to the server share the trust in it.
    pub(super) fn new(trust: &Arc<Trust>) -> Result<Self, EngineError> {
        Ok(Line { runtime: runtime()?, trust: Arc::clone(trust), task: None, given_up: Arc::default() })
    }

    /// Runs a future whenever this line waits, and ends it when the line is dropped.
    #[cfg(feature = "postgres")]
    pub(super) fn spawn(&mut self, future: impl Future<Output = ()> + Send + 'static) {
        self.task = Some(self.runtime.spawn(future));
    }

    /// Waits for an answer without a limit, or until [`interrupter`](Line::interrupter) has given up.
    pub(super) fn wait<T>(&self, future: impl Future<Output = T>) -> Result<T, EngineError> {
        self.runtime.block_on(async {
            let given_up = std::pin::pin!(self.given_up.notified());
            match select(std::pin::pin!(future), given_up).await {
                Either::Left((answer, _)) => Ok(answer),
                Either::Right(_) => {
                    self.trust.learn(false);
                    let message = format!("no answer within {} s of the request to stop", GIVE_UP.as_secs());
                    Err(EngineError::lost(message))
                }
            }
        })
    }

    /// Waits for an answer, but at most that long.
    pub(super) fn within<T>(&self, limit: Duration, future: impl Future<Output = T>) -> Result<T, EngineError> {
        let answer = self.runtime.block_on(async { tokio::time::timeout(limit, future).await });
        answer.map_err(|_| EngineError::lost(format!("no answer within {} s", limit.as_secs())))
    }

    /// Waits for a statement of this program (not of a script), as long as the server is trusted.
    pub(super) fn manage<T>(&self, future: impl Future<Output = T>) -> Result<T, EngineError> {
        let answer = self.within(self.trust.limit(), future);
        self.trust.learn(answer.is_ok());
        answer
    }

    /// An interrupter that stops the request on this line. It runs the future that `stop` returns in another runtime.
    ///
    /// It may be called at any rate: it asks the server at intervals, and in the end the line stops waiting for the server.
    pub(super) fn interrupter<F: Future>(&self, stop: impl Fn() -> F + Send + Sync + 'static) -> Interrupter {
        let given_up = Arc::clone(&self.given_up);
        let asked: Mutex<Option<(Instant, Instant)>> = Mutex::default();
        Arc::new(move || {
            let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let (first, last) = asked.unwrap_or((now, now));
            if now - first > GIVE_UP {
                given_up.notify_one();
            }
            if asked.is_some() && now - last < AGAIN {
                return;
            }
            *asked = Some((first, now));
            if let Ok(runtime) = runtime() {
                // If the request to stop does not arrive, try again, and give up in the end.
                let _ = runtime.block_on(async { tokio::time::timeout(GIVE_UP, stop()).await });
            }
        })
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            // The task is aborted if it does not end in time.
            let _ = self.within(GOODBYE, task);
        }
    }
}

fn runtime() -> Result<Runtime, EngineError> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| EngineError::new(format!("cannot start the tokio runtime: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn a_server_is_interrupted_at_intervals() {
        let line = Line::new(&Arc::default()).unwrap();
        let asked = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&asked);
        let interrupt = line.interrupter(move || {
            count.fetch_add(1, Ordering::SeqCst);
            std::future::ready(())
        });
        (0..50).for_each(|_| interrupt());
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        assert_eq!(line.wait(std::future::ready(7)).unwrap(), 7);
    }

    #[test]
    fn a_request_that_was_given_up_loses_the_connection() {
        let line = Line::new(&Arc::default()).unwrap();
        line.given_up.notify_one();
        assert_eq!(line.trust.limit(), MANAGE);
        assert!(line.wait(std::future::pending::<()>()).unwrap_err().is_lost());
        assert_eq!(line.trust.limit(), GIVE_UP);
        line.manage(std::future::ready(())).unwrap();
        assert_eq!(line.trust.limit(), MANAGE);
        assert!(line.within(Duration::from_millis(1), std::future::pending::<()>()).unwrap_err().is_lost());
    }
}
