//! Database servers for tests: those that `SLT_TEST_POSTGRES_URL` and `SLT_TEST_MYSQL_URL` name, or new ones from the
//! programs on this machine, in folders that are deleted when their process ends.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// How long a server may take to start on a busy machine.
const DEADLINE: Duration = Duration::from_secs(120);

/// A server to run files on.
pub struct Server {
    /// Its URL for `--engine`; its user has all rights.
    pub url: String,
    pub is_postgres: bool,
    /// Whether it is known to check passwords.
    pub checks_passwords: bool,
}

impl Server {
    /// The URL with another user.
    pub fn url_as(&self, user: &str, password: &str) -> String {
        let (scheme, rest) = self.url.split_once("://").unwrap();
        let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
        format!("{scheme}://{user}:{password}@{place}")
    }

    /// One of two texts: PostgreSQL's or MySQL's.
    pub fn either<'t>(&self, postgres: &'t str, mysql: &'t str) -> &'t str {
        if self.is_postgres { postgres } else { mysql }
    }
}

/// The available servers, for one test at a time. Prints a message if one is missing, which is an error in CI.
pub fn servers() -> (Vec<&'static Server>, MutexGuard<'static, ()>) {
    static TURN: Mutex<()> = Mutex::new(());
    static POSTGRES: OnceLock<Option<Server>> = OnceLock::new();
    static MYSQL: OnceLock<Option<Server>> = OnceLock::new();
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let found = [
        ("PostgreSQL", "SLT_TEST_POSTGRES_URL", POSTGRES.get_or_init(postgres)),
        ("MySQL", "SLT_TEST_MYSQL_URL", MYSQL.get_or_init(mysql)),
    ];
    for (name, variable, _) in found.iter().filter(|(_, _, server)| server.is_none()) {
        let message = format!("ignored on {name}: `{variable}` is not set, and no {name} server is installed");
        assert!(std::env::var_os("CI").is_none(), "{message}");
        eprintln!("{message}");
    }
    (found.iter().filter_map(|(_, _, server)| server.as_ref()).collect(), turn)
}

/// A PostgreSQL server, if there is one.
pub fn postgres() -> Option<Server> {
    let is_postgres = true;
    if let Ok(url) = std::env::var("SLT_TEST_POSTGRES_URL") {
        return Some(Server { url, is_postgres, checks_passwords: false });
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let folders = versions.map(|version| version.path().join("bin"));
    let bin = folders.filter(|bin| bin.join("postgres").exists()).max()?;
    let place = Place::new("postgres");
    let data = place.folder.join("data");
    let password = place.folder.join("password");
    std::fs::write(&password, "secret").unwrap();
    let mut initdb = place.command(&bin.join("initdb"));
    initdb.args(["--no-sync", "--auth", "scram-sha-256", "--username", "slt", "--encoding", "UTF8"]);
    initdb.arg("--pwfile").arg(&password).arg("--pgdata").arg(&data);
    assert!(initdb.stdout(Stdio::null()).status().unwrap().success(), "initdb failed");
    let port = free_port();
    let mut server = place.command(&bin.join("postgres"));
    server.arg("-D").arg(&data).arg("-k").arg(&place.folder).args(["-h", "127.0.0.1", "-p", &port.to_string()]);
    place.start(server, port);
    let url = format!("postgres://slt:secret@127.0.0.1:{port}/postgres");
    Some(Server { url, is_postgres, checks_passwords: true })
}

fn mysql() -> Option<Server> {
    let is_postgres = false;
    if let Ok(url) = std::env::var("SLT_TEST_MYSQL_URL") {
        return Some(Server { url, is_postgres, checks_passwords: true });
    }
    let programs = ["/usr/sbin/mariadbd", "/usr/libexec/mariadbd", "/usr/local/sbin/mariadbd"];
    let program = programs.iter().map(Path::new).find(|path| path.exists())?;
    let place = Place::new("mysql");
    let data = place.folder.join("data");
    let common = |command: &mut Command| {
        command.arg("--no-defaults").arg(format!("--datadir={}", data.display()));
    };
    let mut install = place.command(Path::new("mariadb-install-db"));
    common(&mut install);
    install.args(["--auth-root-authentication-method=normal", "--skip-test-db"]);
    assert!(
        install.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success(),
        "mariadb-install-db failed"
    );
    let port = free_port();
    let mut server = place.command(program);
    common(&mut server);
    server.arg(format!("--socket={}", place.folder.join("socket").display()));
    server.arg(format!("--pid-file={}", place.folder.join("pid").display()));
    server.args(["--bind-address=127.0.0.1", "--innodb-flush-log-at-trx-commit=0", "--skip-name-resolve"]);
    server.arg(format!("--port={port}"));
    place.start(server, port);
    Some(Server { url: format!("mysql://root@127.0.0.1:{port}"), is_postgres, checks_passwords: true })
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The folder of a server, and its user: servers refuse to run as root.
struct Place {
    folder: PathBuf,
    owner: Option<(u32, u32)>,
}

impl Place {
    fn new(user: &str) -> Place {
        let folder = tempfile::Builder::new().prefix("slt-server-").tempdir().unwrap().keep();
        let id = |flag: &str| -> u32 {
            let output = Command::new("id").args([flag, user]).output().unwrap();
            String::from_utf8(output.stdout).unwrap().trim().parse().expect("the server's package has made its user")
        };
        let owner = rustix::process::geteuid().is_root().then(|| (id("-u"), id("-g")));
        if let Some((uid, gid)) = owner {
            chown(&folder, Some(uid), Some(gid)).unwrap();
        }
        Place { folder, owner }
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.folder).env("LC_ALL", "C.UTF-8").env("HOME", &self.folder).stdin(Stdio::null());
        self.as_owner(&mut command);
        command
    }

    fn as_owner(&self, command: &mut Command) {
        if let Some((uid, gid)) = self.owner {
            command.uid(uid).gid(gid);
        }
    }

    /// Starts a server, which ends whenever this process ends.
    fn start(&self, server: Command, port: u16) {
        // The shell holds the other end of a pipe that is closed when this process ends.
        let script = r#"folder=$1; shift; "$@" >"$folder/log" 2>&1 & server=$!; read -r _
            kill -QUIT $server; (sleep 10; kill -KILL $server) & wait $server; kill $!; rm -rf "$folder""#;
        let mut keeper = Command::new("bash");
        keeper.args(["-c", script, "bash"]).arg(&self.folder).arg(server.get_program()).args(server.get_args());
        keeper.current_dir("/").env("LC_ALL", "C.UTF-8").process_group(0);
        self.as_owner(&mut keeper);
        let keeper = keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        while !answers(port) {
            let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(begun.elapsed() < DEADLINE, "the server does not start: {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
        hold(keeper);
    }
}

/// Keeps the pipe to a keeper open until this process ends.
fn hold(keeper: Child) {
    static KEEPERS: Mutex<Vec<Child>> = Mutex::new(Vec::new());
    KEEPERS.lock().unwrap_or_else(PoisonError::into_inner).push(keeper);
}

/// Whether a server is ready: it sends a greeting, or answers one.
fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    // MariaDB listens only when it is ready; PostgreSQL refuses for a while, so ask it whether it speaks TLS.
    let _ = std::io::Write::write_all(&mut stream, &[0, 0, 0, 8, 4, 210, 22, 47]);
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    BufReader::new(stream).fill_buf().is_ok_and(|answer| !answer.is_empty())
}
