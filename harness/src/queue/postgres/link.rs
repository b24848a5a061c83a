//! One participant's connection. It reconnects after a loss, and restores the lock and the heartbeat by which others
//! see that the participant is active.
//!
//! The thread that uses the server also drives the connection: a separate thread would have to wait for a processor
//! that an engine keeps busy. A second thread wakes only to send heartbeats while an engine runs a long file, and not
//! in a process with a supervisor, which sends them for it. An engine is faster in a process with one thread: the C
//! library's locks are cheaper there.
//!
//! A participant with a new connection first ends its old session: it terminates it on the server and waits for its
//! lock. After that, the old session's statement has either taken effect or never will.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Poll;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_postgres::error::Severity;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Error, NoTls, Row, SimpleQueryMessage, Statement};

use super::error::{ServerError, words};
use super::sql;
use crate::engine::postgres::address::{self, check_version};
use crate::engine::{ChoiceError, Url};

/// How long a participant counts as active without a heartbeat, unless the URL sets another lease.
const LEASE: Duration = Duration::from_secs(30);

/// The minimum time that the server gets to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// The first pause between two attempts to connect; each pause is twice the previous one, up to a limit.
const PAUSE: Duration = Duration::from_millis(50);

/// How many times one operation is tried, if its connection is lost each time.
const ATTEMPTS: u32 = 8;

/// How long a clean disconnect may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// Times that depend on the length of a lease.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    lease: Duration,
}

impl Timing {
    pub(super) fn from_ms(lease_ms: i32) -> Self {
        Timing { lease: Duration::from_millis(lease_ms.max(1) as u64) }
    }

    pub(super) fn lease_ms(self) -> i32 {
        i32::try_from(self.lease.as_millis()).unwrap_or(i32::MAX)
    }

    /// How long a session or a heartbeat may be missing before its participant is declared lost.
    pub(super) fn grace_ms(self) -> i32 {
        self.lease_ms() / 3
    }

    /// The interval between heartbeats.
    fn renewal(self) -> Duration {
        self.lease / 6
    }

    /// How long the server may take to answer before the connection counts as lost.
    fn answer(self) -> Duration {
        (self.lease / 2).max(Duration::from_millis(500))
    }

    /// The longest pause between two attempts to connect: short enough to reconnect within the grace period.
    fn longest_pause(self) -> Duration {
        self.lease / 12
    }

    /// How long a participant tries to reconnect.
    fn patience(self) -> Duration {
        (self.lease * 2).max(Duration::from_secs(10))
    }
}

/// How the server identifies a participant.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    pub run: i64,
    pub run_id: String,
    pub worker: i32,
    pub lock: i64,
    pub timing: Timing,
}

/// One participant's current connection, which is restored after a loss.
#[derive(Debug)]
pub(super) struct Link {
    /// `None` once it is closed.
    runtime: Option<Arc<Runtime>>,
    shared: Arc<Shared>,
    renewal: Option<Renewal>,
}

/// The thread that sends heartbeats.
#[derive(Debug)]
struct Renewal {
    thread: JoinHandle<()>,
    is_over: Arc<AtomicBool>,
    /// Interrupts a heartbeat that is in progress.
    end: Arc<Notify>,
}

struct Shared {
    queue: String,
    config: Config,
    timing: Timing,
    identity: OnceLock<Identity>,
    /// Whether the participant was declared lost, or its run no longer exists.
    gone: AtomicBool,
    current: tokio::sync::Mutex<Option<Arc<Connection>>>,
}

/// One connection.
pub(super) struct Connection {
    client: Client,
    /// The server's version, as in `server_version_num`.
    pub(super) version: u32,
    statements: Mutex<HashMap<&'static str, Statement>>,
}

impl Connection {
    /// Runs one statement and returns its rows.
    pub(super) async fn rows(&self, sql: &'static str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Error> {
        let known = self.statements().get(sql).cloned();
        let statement = match known {
            Some(statement) => statement,
            None => {
                let statement = self.client.prepare(sql).await?;
                self.statements().insert(sql, statement.clone());
                statement
            }
        };
        self.client.query(&statement, values).await
    }

    /// Runs several statements in one transaction.
    pub(super) async fn batch(&self, sql: &str) -> Result<(), Error> {
        self.client.batch_execute(sql).await
    }

    /// Takes the advisory lock of this participant; ends any older session of the same participant that still holds it.
    pub(super) async fn take_lock(&self, lock: i64) -> Result<(), Error> {
        loop {
            if self.rows(sql::TRY_LOCK, &[&lock]).await?[0].get(0) {
                return Ok(());
            }
            // The older session may not have noticed yet that its client is gone.
            self.rows(sql::END_OWN, &[&lock]).await?;
            sleep(Duration::from_millis(5)).await;
        }
    }

    fn statements(&self) -> std::sync::MutexGuard<'_, HashMap<&'static str, Statement>> {
        self.statements.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a URL says: how the server is reached, and how long a lease is.
pub(super) fn read_url(url: &Url) -> Result<(Config, Duration), ChoiceError> {
    let (text, lease) = url.take("slt_lease");
    let lease = match lease.map(|text| text.parse::<f64>()) {
        None => LEASE,
        Some(Ok(seconds)) if (0.1..=86_400.0).contains(&seconds) => Duration::from_secs_f64(seconds),
        Some(_) => return Err(url.complain("`slt_lease` is a number of seconds, 0.1 to 86400")),
    };
    Ok((address::config(url, &text)?, lease))
}

impl Link {
    /// The server at `url`, once it has been reached.
    pub(super) fn new(url: &Url) -> Result<Link, ServerError> {
        let queue = url.to_string();
        let (config, lease) = read_url(url)?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| ServerError::System {
            queue: queue.clone(),
            what: "wait for a connection",
            source,
        })?;
        let shared = Arc::new(Shared {
            queue,
            config,
            timing: Timing { lease },
            identity: OnceLock::new(),
            gone: AtomicBool::new(false),
            current: tokio::sync::Mutex::default(),
        });
        let link = Link { runtime: Some(Arc::new(runtime)), shared, renewal: None };
        link.wait(link.shared.connection())?;
        Ok(link)
    }

    pub(super) fn queue(&self) -> &str {
        &self.shared.queue
    }

    pub(super) fn timing(&self) -> Timing {
        self.shared.identity.get().map_or(self.shared.timing, |identity| identity.timing)
    }

    /// Assigns this link to one participant. From now on, the link sends the participant's heartbeats, unless a supervisor
    /// does.
    pub(super) fn identify(&mut self, identity: Identity, has_supervisor: bool) -> Result<(), ServerError> {
        let pause = identity.timing.renewal();
        if self.shared.identity.set(identity).is_err() || has_supervisor {
            return Ok(());
        }
        let (runtime, shared) = (Arc::clone(self.runtime()), Arc::clone(&self.shared));
        let (is_over, end) = (Arc::<AtomicBool>::default(), Arc::<Notify>::default());
        let (over, ended) = (Arc::clone(&is_over), Arc::clone(&end));
        let renew = move || {
            let mut next = Instant::now() + pause;
            while !over.load(Ordering::Acquire) && !shared.gone.load(Ordering::Relaxed) {
                // This may return too early.
                thread::park_timeout(next.saturating_duration_since(Instant::now()));
                if Instant::now() >= next {
                    let (mut renewed, mut ended) = (pin!(shared.renew()), pin!(ended.notified()));
                    runtime.block_on(poll_fn(|context| match renewed.as_mut().poll(context) {
                        Poll::Ready(()) => Poll::Ready(()),
                        Poll::Pending => ended.as_mut().poll(context),
                    }));
                    next = Instant::now() + pause;
                }
            }
        };
        let thread = thread::Builder::new()
            .name("slt-queue".to_owned())
            .spawn(renew)
            .map_err(|source| ServerError::System { queue: self.queue().to_owned(), what: "start a thread", source })?;
        self.renewal = Some(Renewal { thread, is_over, end });
        Ok(())
    }

    /// Calls `work` with the connection. If the connection is lost meanwhile, calls it again with the next one. `work` then
    /// learns that it is a retry, and must find out whether the earlier try succeeded.
    pub(super) fn call<T>(&self, work: impl AsyncFn(&Connection, bool) -> Result<T, Error>) -> Result<T, ServerError> {
        self.wait(self.shared.call(self.timing().answer(), work))
    }

    /// Like [`call`](Link::call), for operations on the whole run, which may take long.
    pub(super) fn call_long<T>(
        &self,
        work: impl AsyncFn(&Connection, bool) -> Result<T, Error>,
    ) -> Result<T, ServerError> {
        self.wait(self.shared.call(self.timing().answer() * 8, work))
    }

    fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime().block_on(future)
    }

    fn runtime(&self) -> &Arc<Runtime> {
        self.runtime.as_ref().expect("open until it is dropped")
    }
}

impl Drop for Link {
    /// Leaves the run. If the server cannot be reached, it notices the end of the session by itself.
    fn drop(&mut self) {
        if let Some(Renewal { thread, is_over, end }) = self.renewal.take() {
            is_over.store(true, Ordering::Release);
            end.notify_one();
            thread.thread().unpark();
            let _ = thread.join();
        }
        let shared = &self.shared;
        self.wait(async {
            let goodbye = async {
                let connection = shared.current.lock().await.take()?;
                let Identity { run, worker, .. } = shared.identity.get()?;
                connection.rows(sql::LEAVE, &[run, worker]).await.ok()
            };
            let _ = timeout(GOODBYE, goodbye).await;
        });
        if let Some(runtime) = self.runtime.take().and_then(Arc::into_inner) {
            // A host look-up may take longer, and cannot be interrupted.
            runtime.shutdown_timeout(GOODBYE);
        }
    }
}

impl Shared {
    async fn call<T>(
        &self,
        limit: Duration,
        work: impl AsyncFn(&Connection, bool) -> Result<T, Error>,
    ) -> Result<T, ServerError> {
        let mut attempt = 0;
        loop {
            let connection = self.connection().await?;
            let why = match timeout(limit, work(&connection, attempt > 0)).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) if !is_lost(&error) => return Err(self.refused(&error)),
                Ok(Err(error)) => words(&error),
                Err(_) => format!("no answer within {} s", limit.as_secs_f64()),
            };
            self.discard(&connection).await;
            attempt += 1;
            if attempt == ATTEMPTS {
                return Err(ServerError::Refused { queue: self.queue.clone(), why });
            }
        }
    }

    /// The connection; reconnects if necessary.
    async fn connection(&self) -> Result<Arc<Connection>, ServerError> {
        let mut current = self.current.lock().await;
        if let Some(connection) = current.as_ref().filter(|connection| !connection.client.is_closed()) {
            return Ok(Arc::clone(connection));
        }
        *current = None;
        let identity = self.identity.get();
        let timing = identity.map_or(self.timing, |identity| identity.timing);
        let (begun, mut pause) = (Instant::now(), PAUSE);
        loop {
            let why = match timeout(timing.answer().max(CONNECT), self.connect()).await {
                Ok(Ok(connection)) => return Ok(Arc::clone(current.insert(Arc::new(connection)))),
                Ok(Err(error)) => {
                    let code = error.code().map_or("", |code| code.code());
                    // If the first connection fails, report it at once, unless the server is full or starting.
                    let passes = matches!(code, "53300" | "57P03") || identity.is_some() && !is_final(code);
                    if !passes {
                        return Err(self.refused_connection(&error));
                    }
                    words(&error)
                }
                Err(_) => "no answer".to_owned(),
            };
            if begun.elapsed() + pause > timing.patience() {
                return Err(ServerError::GaveUp { queue: self.queue.clone(), waited: begun.elapsed(), why });
            }
            // The pause is random, so that participants do not all retry at the same time.
            let chance = getrandom::u32().unwrap_or(0) % 256;
            sleep(pause * (128 + chance) / 256).await;
            pause = (pause * 2).min(timing.longest_pause());
        }
    }

    async fn connect(&self) -> Result<Connection, Error> {
        let (client, connection) = self.config.connect(NoTls).await?;
        // If the connection ends, the requests on it fail, so the result is not needed here.
        tokio::spawn(async move { drop(connection.await) });
        let version = client.simple_query(sql::SERVER_VERSION).await?.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
            _ => None,
        });
        let connection = Connection { client, version: version.unwrap_or(0), statements: Mutex::default() };
        if check_version(connection.version).is_err() {
            // The server may not know these settings. In that case, opening the queue reports it.
            return Ok(connection);
        }
        connection.batch(sql::SESSION).await?;
        if connection.version >= 140_000 {
            connection.batch(sql::SESSION_14).await?;
        }
        if let Some(identity) = self.identity.get() {
            connection.take_lock(identity.lock).await?;
            self.renew_over(&connection, identity).await?;
        }
        Ok(connection)
    }

    /// Sends a heartbeat, over a new connection if necessary.
    async fn renew(&self) {
        let Some(identity) = self.identity.get() else { return };
        // Operations report why there is no connection.
        let Ok(connection) = self.connection().await else { return };
        match timeout(identity.timing.answer(), self.renew_over(&connection, identity)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => self.discard(&connection).await,
        }
    }

    /// Sends a heartbeat, and notices if this participant was declared lost.
    async fn renew_over(&self, connection: &Connection, identity: &Identity) -> Result<(), Error> {
        let Identity { run, worker, timing, .. } = identity;
        match connection.rows(sql::RENEW, &[run, worker, &timing.lease_ms()]).await {
            Ok(rows) => {
                if rows.iter().all(|row| row.get::<_, i32>(0) != *worker) {
                    self.gone.store(true, Ordering::Relaxed);
                }
                Ok(())
            }
            // Without tables there is no run; the next operation reports it.
            Err(error) if is_wiped(&error) => {
                self.gone.store(true, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Stops using that connection.
    async fn discard(&self, connection: &Arc<Connection>) {
        let mut current = self.current.lock().await;
        if current.as_ref().is_some_and(|other| Arc::ptr_eq(other, connection)) {
            *current = None;
        }
    }

    fn refused(&self, error: &Error) -> ServerError {
        if let Some(identity) = self.identity.get().filter(|_| is_wiped(error)) {
            let (queue, run) = (self.queue.clone(), identity.run_id.clone());
            return ServerError::Wiped { queue, run, how: "deleted with all tables" };
        }
        ServerError::Refused { queue: self.queue.clone(), why: words(error) }
    }

    fn refused_connection(&self, error: &Error) -> ServerError {
        ServerError::Connect { queue: self.queue.clone(), why: words(error) }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("queue", &self.queue).field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// Whether an error ends the connection: every error does, except the server's errors about a statement.
fn is_lost(error: &Error) -> bool {
    match error.as_db_error() {
        Some(answer) => matches!(answer.parsed_severity(), Some(Severity::Fatal | Severity::Panic)),
        None => true,
    }
}

/// Whether a retry is pointless: the user, the password or the database is wrong.
fn is_final(sqlstate: &str) -> bool {
    sqlstate.starts_with("28") || sqlstate == "3D000"
}

/// Whether the tables do not exist.
fn is_wiped(error: &Error) -> bool {
    error.code().is_some_and(|code| matches!(code.code(), "42P01" | "3F000"))
}
