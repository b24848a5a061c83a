//! What a run over processes costs and how well it uses them: the same files in one process, by one worker and by two.
//!
//! With a PostgreSQL server, the files are also run by two workers over a queue there, beside two over a queue file.
//!
//! `cargo bench --bench scale [-- --rounds N]`, with `SLT_CORPUS` for a folder of files that take some seconds. Prints
//! utilisation (busy time over the workers' time), the makespan over its lower bound max(longest file, total / workers),
//! and one worker's wall time over that of one thread, each the median of the rounds.

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

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
    let mut served = 0;
    let run = |arguments: &[&str]| -> Result<(Duration, String), String> {
        let mut command = Command::new(&binary);
        command.args(arguments).arg("--results").arg(results.path());
        if let (true, Some(server)) = (arguments.contains(&"--run-id"), &server) {
            command.env("SQLLOGICTEST_WORK_QUEUE", &server.url);
        }
        let clock = Instant::now();
        let output = command.output().map_err(|error| format!("cannot run `{}`: {error}", binary.display()))?;
        // 101 is the right answer for a corpus with files that rightly fail.
        if !matches!(output.status.code(), Some(0 | 101)) {
            return Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr)));
        }
        Ok((clock.elapsed(), String::from_utf8_lossy(&output.stdout).into_owned()))
    };
    // The history that the order rests on.
    run(&["--parallel", "--workers", "2", "--format", "terse"])?;
    let (mut threads, mut ones, mut overheads) = (Vec::new(), Vec::new(), Vec::new());
    let (mut one, mut two, mut shared) = (Figures::default(), Figures::default(), Figures::default());
    let mut server_overheads = Vec::new();
    for round in 1..=rounds {
        let (thread, _) = run(&["--test-threads", "1", "--format", "terse"])?;
        let (worker, text) = run(&["--parallel", "--workers", "1", "--format", "terse"])?;
        one.take(&text)?;
        let (file, text) = run(&["--parallel", "--workers", "2", "--format", "terse"])?;
        two.take(&text)?;
        if server.is_some() {
            served += 1;
            let run_id = format!("scale-{}-{served}", std::process::id());
            let (server, text) = run(&["--parallel", "--workers", "2", "--format", "terse", "--run-id", &run_id])?;
            shared.take(&text)?;
            println!("round {round}: two workers {file:.2?}, over the server {server:.2?}");
            server_overheads.push(server.as_secs_f64() / file.as_secs_f64());
        }
        println!("round {round}: one thread {thread:.2?}, one worker {worker:.2?}");
        overheads.push(worker.as_secs_f64() / thread.as_secs_f64());
        threads.push(thread.as_secs_f64());
        ones.push(worker.as_secs_f64());
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
    println!("\none worker / one thread: {:.3}", median(&mut overheads));
    if !server_overheads.is_empty() {
        println!("queue on a server / queue file: {:.3}", median(&mut server_overheads));
    }
    Ok(())
}

/// What the statistics of the runs say.
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
