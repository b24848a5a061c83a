//! What a claim and a finish cost, over many processes: the queue in a file and the one on a server, compared with the
//! two usual alternatives.
//!
//!     cargo bench --bench queue                      the whole table
//!     cargo bench --bench queue -- queue 64 10000    one method, number of processes, number of entries
//!
//! `claim` and `finish` are wall time per operation, over all processes together: while one process holds the lock, the
//! others wait. `both` is a finish and the next claim in one operation, as workers do it; for methods without that, it
//! is the sum. `cpu` is the user and system time of a claim and a finish; it depends less on other load, and excludes
//! the server's own time. `latency` is how long one process waits for one claim when all only claim and finish. The
//! queues run until they are complete and each entry is counted; the others run for two seconds, or until they are
//! done. The server is that of `SLT_TEST_POSTGRES_URL`, or a new one from the programs on this machine.

// Benchmarks print without `escape`.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fs2::FileExt;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use slt_harness::unstable::outcome::{Outcome, Verdict};
use slt_harness::unstable::queue::{Claim, Lease, OpenOptions, Place, Plan, PlanEntry, Queue};

#[allow(dead_code)] // MySQL is for others.
#[path = "../it/servers.rs"]
mod servers;

const WAYS: [&str; 4] = ["queue", "server", "rename", "json"];
const PROCESSES: [usize; 3] = [1, 8, 64];
const ENTRIES: [usize; 3] = [623, 10_000, 100_000];
const LIMIT: Duration = Duration::from_secs(2);

fn main() {
    if let Ok(way) = std::env::var("QUEUE_BENCH_CHILD") {
        let is_one_go = std::env::var_os("QUEUE_BENCH_ONE_GO").is_some();
        return child(&way, is_one_go, Path::new(&std::env::var("QUEUE_BENCH_FOLDER").unwrap()));
    }
    // Added by `cargo bench`, and missing under `cargo test --all-targets`, which starts benches too.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let chosen: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let is_chosen = |at: usize, value: &str| chosen.get(at).is_none_or(|chosen| chosen == value);
    println!(
        "{:8} {:>9} {:>9} {:>10} {:>10} {:>10} {:>10} {:>12} {:>8}",
        "way", "processes", "entries", "claim", "finish", "both", "cpu", "latency", "claims"
    );
    for way in WAYS {
        if way == "server" && is_chosen(0, way) && server().is_none() {
            println!("server   left out: `SLT_TEST_POSTGRES_URL` is not set, and no PostgreSQL server is installed");
            continue;
        }
        for processes in PROCESSES {
            for entries in ENTRIES {
                if is_chosen(0, way) && is_chosen(1, &processes.to_string()) && is_chosen(2, &entries.to_string()) {
                    row(way, processes, entries);
                }
            }
        }
    }
}

/// The URL of a server.
fn server() -> Option<&'static str> {
    static SERVER: OnceLock<Option<servers::Server>> = OnceLock::new();
    let server = SERVER.get_or_init(|| servers::postgres().filter(|_| cfg!(feature = "postgres")));
    server.as_ref().map(|server| server.url.as_str())
}

/// The queue that is measured in `folder`, and the id of its run.
fn place(way: &str, folder: &Path) -> (Place, String) {
    let place = match way {
        "server" => std::env::var_os("QUEUE_BENCH_SERVER").or_else(|| server().map(Into::into)).expect("a server"),
        _ => folder.join("queue").into(),
    };
    let run = format!("bench-{}", folder.file_name().unwrap().to_string_lossy());
    (Place::parse(place).unwrap(), run)
}

/// The medians of the measurements of one row.
fn row(way: &str, processes: usize, entries: usize) {
    let count = if way == "queue" { 5 } else { 1 };
    let median = |is_one_go| {
        let mut rounds: Vec<Times> = (0..count).map(|_| measure(way, is_one_go, processes, entries)).collect();
        rounds.sort_by(|a, b| (a.claim + a.finish).total_cmp(&(b.claim + b.finish)));
        rounds[count / 2]
    };
    let Times { claim, finish, cpu, latency, claims } = median(false);
    let both = match way {
        "queue" | "server" => median(true).finish,
        _ => claim + finish,
    };
    println!(
        "{way:8} {processes:9} {entries:9} {claim:7.1} µs {finish:7.1} µs {both:7.1} µs {cpu:7.1} µs {latency:9.1} µs \
         {claims:8}"
    );
}

/// The time of one operation, in microseconds, and the number of claims.
#[derive(Clone, Copy)]
struct Times {
    claim: f64,
    finish: f64,
    cpu: f64,
    latency: f64,
    claims: f64,
}

fn measure(way: &str, is_one_go: bool, processes: usize, entries: usize) -> Times {
    let folder = tempfile::tempdir().unwrap();
    let _kept = prepare(way, folder.path(), entries);
    let gate = File::create(folder.path().join("gate")).unwrap();
    gate.lock_exclusive().unwrap();
    let mut children: Vec<(Child, BufReader<_>)> = (0..processes)
        .map(|_| {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.env("QUEUE_BENCH_CHILD", way).env("QUEUE_BENCH_FOLDER", folder.path());
            if is_one_go {
                command.env("QUEUE_BENCH_ONE_GO", "1");
            }
            if way == "server" {
                command.env("QUEUE_BENCH_SERVER", server().expect("a server"));
            }
            let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
            let stdout = BufReader::new(child.stdout.take().unwrap());
            (child, stdout)
        })
        .collect();
    let line = |stdout: &mut BufReader<_>| {
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        line
    };
    for (_, stdout) in &mut children {
        assert_eq!(line(stdout), "ready\n");
    }
    FileExt::unlock(&gate).unwrap();
    let mut sums = [0.0; 4];
    let (mut first, mut last) = (f64::INFINITY, 0.0f64);
    for (child, stdout) in &mut children {
        let numbers: Vec<f64> = line(stdout).split_whitespace().map(|number| number.parse().unwrap()).collect();
        assert!(child.wait().unwrap().success());
        (0..4).for_each(|i| sums[i] += numbers[i]);
        first = first.min(numbers[4]);
        last = last.max(numbers[5]);
    }
    let wall = (last - first) / 1e3;
    let [claims, claiming, finishing, cpu] = sums;
    assert!(!matches!(way, "queue" | "server") || claims == entries as f64, "{claims} claims of {entries} entries");
    let share = claiming / (claiming + finishing);
    Times {
        claim: wall * share / claims,
        finish: wall * (1.0 - share) / claims,
        cpu: cpu / 1e3 / claims,
        latency: claiming / 1e3 / claims,
        claims,
    }
}

fn name(entry: usize) -> String {
    format!("index/between/1000/slt_good_{entry}.test")
}

fn prepare(way: &str, folder: &Path, entries: usize) -> Option<Box<dyn Queue>> {
    match way {
        "queue" | "server" => {
            let plan = Plan::new((0..entries).map(|entry| PlanEntry::new(name(entry), 1)).collect()).unwrap();
            let (place, run) = place(way, folder);
            let options = OpenOptions {
                run_id: Some(run),
                pages: folder.to_path_buf(),
                keep_runs: Some(0),
                ..OpenOptions::default()
            };
            return Some(place.open(plan, &options).unwrap().0);
        }
        "rename" => {
            for name in ["todo", "taken", "done"] {
                fs::create_dir(folder.join(name)).unwrap();
            }
            for entry in 0..entries {
                File::create(folder.join("todo").join(name(entry).replace('/', "__"))).unwrap();
            }
        }
        _ => {
            let list: Vec<Value> = (0..entries).map(|entry| json!({"name": name(entry), "state": "todo"})).collect();
            fs::write(folder.join("list.json"), serde_json::to_vec(&list).unwrap()).unwrap();
        }
    }
    None
}

/// One process: claims and finishes until nothing is left.
fn child(way: &str, is_one_go: bool, folder: &Path) {
    match way {
        "queue" | "server" => {
            let (place, run) = place(way, folder);
            let options = OpenOptions { pages: folder.to_path_buf(), ..OpenOptions::default() };
            // The entry claimed together with the last outcome.
            let queue = (place.join(&run, &options).unwrap(), None);
            timed(folder, Duration::MAX, queue, claim_queue, |(queue, next), lease| {
                let outcome = outcome(lease.name());
                match is_one_go {
                    true => *next = Some(queue.finish_and_claim(lease, &outcome).unwrap()),
                    false => queue.finish(lease, &outcome).unwrap(),
                }
            });
        }
        "rename" => timed(
            folder,
            LIMIT,
            folder,
            |folder| claim_rename(folder),
            |folder, taken| {
                let done = folder.join("done").join(taken.file_name().unwrap());
                fs::rename(taken, done).unwrap();
            },
        ),
        _ => {
            let list = File::options().read(true).write(true).open(folder.join("list.json")).unwrap();
            timed(
                folder,
                LIMIT,
                list,
                |list| rewrite(list, "todo", "taken"),
                |list, entry| {
                    finish_json(list, entry);
                },
            );
        }
    }
}

/// The report of a passing trial of usual size.
fn outcome(name: &str) -> Outcome {
    let mut outcome = Outcome::new(name, Verdict::Passed);
    outcome.records.passed = 12_345;
    outcome.wall_us = 1_234_567;
    outcome.engine_us = 1_034_567;
    outcome.peak_bytes = Some(123_456_789);
    outcome.started_us = 1_760_000_000_000_000;
    outcome.worker = 12;
    outcome
}

fn timed<Q, L>(
    folder: &Path,
    limit: Duration,
    mut queue: Q,
    mut claim: impl FnMut(&mut Q) -> Option<L>,
    mut finish: impl FnMut(&mut Q, L),
) {
    println!("ready");
    FileExt::lock_shared(&File::open(folder.join("gate")).unwrap()).unwrap();
    let (mut claims, mut claiming, mut finishing) = (0u64, Duration::ZERO, Duration::ZERO);
    let (began, cpu, start) = (epoch(), processor_time(), Instant::now());
    let mut before = start;
    while before - start < limit {
        let Some(lease) = claim(&mut queue) else {
            break;
        };
        let between = Instant::now();
        finish(&mut queue, lease);
        let after = Instant::now();
        claims += 1;
        claiming += between - before;
        finishing += after - between;
        before = after;
    }
    let cpu = processor_time() - cpu;
    println!("{claims} {} {} {cpu} {began} {}", claiming.as_nanos(), finishing.as_nanos(), epoch());
}

/// The CPU time of this process in nanoseconds.
fn processor_time() -> i64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// Nanoseconds by a clock that all processes share.
fn epoch() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()
}

fn claim_queue((queue, next): &mut (Box<dyn Queue>, Option<Claim>)) -> Option<Lease> {
    match next.take().unwrap_or_else(|| queue.claim().unwrap()) {
        Claim::Leased(lease) => Some(lease),
        Claim::Wait | Claim::Complete | Claim::Stopped { .. } => None,
    }
}

/// Takes the first entry that the system lists; to keep an order, it would have to list and sort all.
fn claim_rename(folder: &Path) -> Option<PathBuf> {
    loop {
        let mut names = fs::read_dir(folder.join("todo")).unwrap().map(|entry| entry.unwrap().file_name()).peekable();
        names.peek()?;
        for name in names {
            let taken = folder.join("taken").join(&name);
            if fs::rename(folder.join("todo").join(&name), &taken).is_ok() {
                return Some(taken);
            }
        }
    }
}

/// Changes the first entry in state `from` to state `to`, and returns its index.
fn rewrite(list: &mut File, from: &str, to: &str) -> Option<usize> {
    change(list, |entries| {
        let entry = entries.iter().position(|entry| entry["state"] == from)?;
        entries[entry]["state"] = json!(to);
        Some(entry)
    })
}

fn finish_json(list: &mut File, entry: usize) {
    change(list, |entries| {
        entries[entry]["state"] = json!("passed");
        Some(entry)
    });
}

fn change(list: &mut File, change: impl FnOnce(&mut Vec<Value>) -> Option<usize>) -> Option<usize> {
    list.lock_exclusive().unwrap();
    list.seek(SeekFrom::Start(0)).unwrap();
    let mut text = Vec::new();
    list.read_to_end(&mut text).unwrap();
    let mut entries: Vec<Value> = serde_json::from_slice(&text).unwrap();
    let changed = change(&mut entries);
    if changed.is_some() {
        list.seek(SeekFrom::Start(0)).unwrap();
        list.set_len(0).unwrap();
        list.write_all(&serde_json::to_vec(&entries).unwrap()).unwrap();
    }
    FileExt::unlock(list).unwrap();
    changed
}
