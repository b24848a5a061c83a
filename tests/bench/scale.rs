//! What a run over processes costs and how well it uses them: the same files by one thread, two threads, one worker and
//! two workers.
//!
//! With a PostgreSQL server, two workers also run the files over a queue there, compared with two over a queue file.
//!
//! `cargo bench --bench scale [-- --rounds N]`, with `SLT_CORPUS` for a folder of files that take some seconds. Prints
//! the utilisation (busy time over the workers' time) and the makespan over its lower bound max(longest file, total / workers).
//! Also prints the time of one worker over that of one thread, and of two threads over that of two workers: as wall time and as
//! processor time of all processes together, each the median of the rounds. Within a round the two run in turn, so that a
//! machine that becomes slower or faster favours neither.

// Benchmarks print without `escape`.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::fmt;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use rustix::param::clock_ticks_per_second;

#[allow(dead_code)] // MySQL is for others.
#[path = "../it/servers.rs"]
mod servers;
mod target;

fn main() -> ExitCode {
    target::main(bench)
}

fn bench() -> Result<(), String> {
    let rounds = target::number_after("--rounds")?.unwrap_or(3);
    let binary = target::test_binary()?;
    let results = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let server = servers::postgres();
    let run = |arguments: &[&str]| -> Result<(Cost, String), String> {
        let mut command = Command::new(&binary);
        command.args(arguments).args(["--timings", "--results"]).arg(results.path());
        if let (true, Some(server)) = (arguments.contains(&"--run-id"), &server) {
            command.env("SLT_QUEUE", &server.url);
        }
        let (clock, before) = (Instant::now(), cpu_of_children()?);
        let output = command.output().map_err(|error| format!("cannot run `{}`: {error}", binary.display()))?;
        // 101 is the right answer for a corpus with files that are supposed to fail.
        if !matches!(output.status.code(), Some(0 | 101)) {
            return Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr)));
        }
        let cost = Cost { wall: clock.elapsed(), cpu: cpu_of_children()?.saturating_sub(before) };
        Ok((cost, String::from_utf8_lossy(&output.stdout).into_owned()))
    };
    // The history that determines the order.
    run(&["--parallel", "--workers", "2", "--format", "terse"])?;
    let (mut walls, mut cpus, mut server_overheads) = (Vec::new(), Vec::new(), Vec::new());
    let (mut thread_walls, mut thread_cpus) = (Vec::new(), Vec::new());
    let (mut one, mut two, mut shared) = (Figures::default(), Figures::default(), Figures::default());
    for round in 1..=rounds {
        let in_turn = |one: &[&str], other: &[&str]| {
            Ok::<_, String>(match round % 2 {
                1 => (run(one)?, run(other)?),
                _ => {
                    let other = run(other)?;
                    (run(one)?, other)
                }
            })
        };
        let ((thread, _), (worker, text)) = in_turn(
            &["--test-threads", "1", "--format", "terse"],
            &["--parallel", "--workers", "1", "--format", "terse"],
        )?;
        one.take(&text)?;
        println!("round {round}: one thread {thread}, one worker {worker}");
        let both = ["--parallel", "--workers", "2", "--format", "terse"];
        let ((threads, _), (workers, _)) = in_turn(&["--test-threads", "2", "--format", "terse"], &both)?;
        println!("round {round}: two threads {threads}, two workers {workers}");
        thread_walls.push(threads.wall.as_secs_f64() / workers.wall.as_secs_f64());
        thread_cpus.push(threads.cpu.as_secs_f64() / workers.cpu.as_secs_f64());
        if server.is_some() {
            let run_id = format!("scale-{}-{round}", std::process::id());
            let over_server = [&both[..], &["--run-id", &run_id]].concat();
            let ((file, text), (server, text_over_server)) = in_turn(&both, &over_server)?;
            two.take(&text)?;
            shared.take(&text_over_server)?;
            println!("round {round}: two workers {file}, over the server {server}");
            server_overheads.push(server.wall.as_secs_f64() / file.wall.as_secs_f64());
        } else {
            two.take(&run(&both)?.1)?;
        }
        walls.push(worker.wall.as_secs_f64() / thread.wall.as_secs_f64());
        cpus.push(worker.cpu.as_secs_f64() / thread.cpu.as_secs_f64());
    }
    println!("\n{:10} {:>12} {:>22}", "workers", "utilisation", "makespan/lower bound");
    for (name, figures) in [("1", &mut one), ("2", &mut two), ("2, server", &mut shared)] {
        if figures.makespan.is_empty() {
            println!("{name:10} left out: `SLT_TEST_POSTGRES_URL` is not set, and no PostgreSQL server is installed");
            continue;
        }
        let (utilisation, makespan) = (median(&mut figures.utilisation), median(&mut figures.makespan));
        println!("{name:10} {utilisation:>10.1} % {makespan:>22.3}");
    }
    println!(
        "\none worker / one thread: {:.3} by wall time, {:.3} by processor time",
        median(&mut walls),
        median(&mut cpus)
    );
    println!(
        "two threads / two workers: {:.3} by wall time, {:.3} by processor time",
        median(&mut thread_walls),
        median(&mut thread_cpus)
    );
    if !server_overheads.is_empty() {
        println!("queue on a server / queue file: {:.3} by wall time", median(&mut server_overheads));
    }
    Ok(())
}

/// The cost of a run.
struct Cost {
    wall: Duration,
    cpu: Duration,
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2?} ({:.2?} cpu)", self.wall, self.cpu)
    }
}

/// The user and system time of all ended child processes of this one.
fn cpu_of_children() -> Result<Duration, String> {
    let error = |what: &dyn fmt::Display| format!("cannot read `/proc/self/stat`: {what}");
    let stat = std::fs::read_to_string("/proc/self/stat").map_err(|source| error(&source))?;
    // The fields cutime and cstime of proc(5); the second field, a name in brackets, may contain blanks.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(13).take(2);
    let ticks: u64 = fields.map(str::parse::<u64>).sum::<Result<_, _>>().map_err(|source| error(&source))?;
    Ok(Duration::from_secs_f64(ticks as f64 / clock_ticks_per_second() as f64))
}

/// The numbers in the statistics of the runs.
#[derive(Default)]
struct Figures {
    utilisation: Vec<f64>,
    makespan: Vec<f64>,
}

impl Figures {
    fn take(&mut self, text: &str) -> Result<(), String> {
        let number = |line: &str, before: &str| -> Option<f64> {
            let line = text.lines().find(|candidate| candidate.starts_with(line))?;
            line[line.find(before)? + before.len()..].split_whitespace().next()?.parse().ok()
        };
        let missing = || format!("no statistics in the output:\n{text}");
        self.utilisation.push(number("workers ", "busy ").ok_or_else(missing)?);
        self.makespan.push(number("makespan ", "makespan ").ok_or_else(missing)?);
        Ok(())
    }
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
