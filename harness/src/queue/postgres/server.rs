//! Servers for tests: the one that `SLT_TEST_POSTGRES_URL` names, or new ones from the programs on this machine, in
//! folders that are deleted when their process ends.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio_postgres::SimpleQueryMessage;

use super::*;

/// A time limit for anything, generous for a busy machine.
pub(super) const DEADLINE: Duration = Duration::from_secs(120);

/// Waits until `condition` holds.
pub(super) fn wait_until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(begun.elapsed() < DEADLINE, "timed out waiting until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The server for tests that do not change it.
pub(super) fn shared() -> Option<&'static str> {
    static SHARED: OnceLock<Option<(String, Option<Server>)>> = OnceLock::new();
    let shared = SHARED.get_or_init(|| match std::env::var("SLT_TEST_POSTGRES_URL") {
        Ok(url) => Some((url, None)),
        Err(_) => Server::new().map(|server| (server.url(), Some(server))),
    });
    shared.as_ref().map(|(url, _)| url.as_str())
}

/// Whether there is a server; prints a message if not, which is an error in CI.
pub(super) fn there() -> bool {
    is_there(shared().is_some())
}

/// Like [`there`], for tests that need their own server.
pub(super) fn is_there(there: bool) -> bool {
    if !there {
        let message = "ignored: `SLT_TEST_POSTGRES_URL` is not set, or no PostgreSQL server is installed";
        assert!(std::env::var_os("CI").is_none(), "{message}");
        eprintln!("{message}");
    }
    there
}

/// A new run on the shared server, whose participants share a folder.
pub(super) struct TestRun {
    pub url: String,
    pub run: String,
    pub folder: tempfile::TempDir,
}

impl TestRun {
    pub(super) fn new() -> Self {
        TestRun::at(shared().expect("a server"))
    }

    pub(super) fn at(url: &str) -> Self {
        let run = format!("test-{:016x}", getrandom::u64().unwrap());
        TestRun { url: url.to_owned(), run, folder: tempfile::tempdir().unwrap() }
    }

    pub(super) fn options(&self) -> OpenOptions {
        OpenOptions {
            run_id: Some(self.run.clone()),
            pages: self.folder.path().to_path_buf(),
            ..OpenOptions::default()
        }
    }

    pub(super) fn try_open(&self, plan: Plan, resume: bool) -> Result<(PostgresQueue, Opened), QueueError> {
        PostgresQueue::open(&url(&self.url), plan, &OpenOptions { resume, ..self.options() })
    }

    pub(super) fn open(&self, length: usize) -> PostgresQueue {
        self.try_open(crate::queue::conformance::plan(length), true).unwrap().0
    }

    /// The rows of a statement, NULL as an empty text; `:run` is replaced by the run's key.
    pub(super) fn sql(&self, statement: &str) -> Vec<Vec<String>> {
        let key = format!("(SELECT run FROM slt_queue.runs WHERE id = '{}')", self.run);
        sql(&self.url, &statement.replace(":run", &key))
    }
}

/// A URL as the user types it.
pub(super) fn url(text: &str) -> Url {
    match super::super::Place::parse(text.into()).unwrap() {
        super::super::Place::Server(url) => url,
        super::super::Place::File(path) => panic!("no URL: {path:?}"),
    }
}

/// The rows of a statement, on its own connection.
pub(super) fn sql(url: &str, statement: &str) -> Vec<Vec<String>> {
    let url = url.split('?').next().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        let messages = client.simple_query(statement).await.unwrap();
        drop(client);
        let _ = connection.await;
        let row = |message: SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|column| row.get(column).unwrap_or_default().to_owned()).collect())
            }
            _ => None,
        };
        messages.into_iter().filter_map(row).collect()
    })
}

/// A test's own server, which may be killed and started again.
pub(super) struct Server {
    bin: PathBuf,
    folder: PathBuf,
    owner: Option<(u32, u32)>,
    port: u16,
    keeper: Option<Child>,
}

impl Server {
    /// A running server; `None` if it is not installed.
    pub(super) fn new() -> Option<Server> {
        let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let bin = versions.map(|version| version.path().join("bin")).filter(|bin| bin.join("initdb").exists()).max()?;
        let folder = tempfile::Builder::new().prefix("slt-queue-server-").tempdir().unwrap().keep();
        // Servers refuse to run as root.
        let owner = rustix::process::geteuid().is_root().then(|| (id("-u"), id("-g")));
        if let Some((uid, gid)) = owner {
            chown(&folder, Some(uid), Some(gid)).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Server { bin, folder, owner, port, keeper: None };
        server.make();
        server.start();
        Some(server)
    }

    pub(super) fn url(&self) -> String {
        format!("postgres://slt@127.0.0.1:{}/postgres", self.port)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Creates an empty server in place of the existing one, which must not be running.
    pub(super) fn make(&self) {
        let data = self.folder.join("data");
        let _ = std::fs::remove_dir_all(&data);
        let mut initdb = self.command(&self.bin.join("initdb"));
        initdb.args(["--no-sync", "--auth", "trust", "--username", "slt", "--encoding", "UTF8", "--pgdata"]).arg(data);
        assert!(initdb.stdout(Stdio::null()).status().unwrap().success(), "initdb failed");
    }

    /// Starts the server. It ends with this process in any case, and its folder is deleted.
    pub(super) fn start(&mut self) {
        // Remains of a killed server may block a new one for a moment.
        wait_until("the server has started", || {
            self.try_start();
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_secs(20) {
                if self.answers() {
                    return Some(());
                }
                if self.pid().is_none() && begun.elapsed() > Duration::from_secs(2) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            self.stop(Signal::QUIT);
            None
        });
    }

    fn try_start(&mut self) {
        // The shell waits for a line, or for the other end of the pipe to be closed.
        let script = r#"folder=$1; shift; "$@" >>"$folder/log" 2>&1 & server=$!; echo $server >"$folder/pid"
            read -r word; kill -QUIT $server 2>/dev/null; wait $server; rm -f "$folder/pid"
            [ "$word" = stop ] || rm -rf "$folder""#;
        let mut keeper = self.command(Path::new("bash"));
        keeper.args(["-c", script, "bash"]).arg(&self.folder).arg(self.bin.join("postgres"));
        keeper.arg("-D").arg(self.folder.join("data")).arg("-k").arg(&self.folder);
        keeper.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        for setting in ["fsync=off", "max_connections=200", "shared_buffers=32MB", "autovacuum_naptime=1s"] {
            keeper.args(["-c", setting]);
        }
        keeper.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        self.keeper = Some(keeper.spawn().unwrap());
    }

    /// Stops the server with this signal: `QUIT` is what `pg_ctl stop -m immediate` sends.
    pub(super) fn stop(&mut self, signal: Signal) {
        if let Some(pid) = self.pid() {
            let _ = kill_process(pid, signal);
        }
        if let Some(mut keeper) = self.keeper.take() {
            let _ = keeper.stdin.take().unwrap().write_all(b"stop\n");
            keeper.wait().unwrap();
        }
    }

    fn pid(&self) -> Option<Pid> {
        let text = std::fs::read_to_string(self.folder.join("pid")).ok()?;
        Pid::from_raw(text.trim().parse().ok()?)
    }

    /// Whether the server accepts connections.
    fn answers(&self) -> bool {
        if TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            return false;
        }
        let mut ready = self.command(&self.bin.join("pg_isready"));
        ready.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-q"]);
        ready.status().is_ok_and(|status| status.success())
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.folder).env("LC_ALL", "C.UTF-8").env("HOME", &self.folder).stdin(Stdio::null());
        if let Some((uid, gid)) = self.owner {
            command.uid(uid).gid(gid);
        }
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The id of the user or the group that the server's package created.
fn id(flag: &str) -> u32 {
    let output = Command::new("id").args([flag, "postgres"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().expect("the package has made its user")
}
