//! How good the order of a first run is: the makespan of a suite in several orders, divided by its lower bound. The makespan is
//! simulated from the recorded time of each file.
//!
//! `cargo bench --bench order -- [--dialect NAME] RESULTS [LABEL…]`, where RESULTS is the `results.json` of a run over the
//! files in `SLT_CORPUS`, with one worker or thread at a time. All files are read in the dialect, if one is named, and the
//! labels are those of the engine (without one: `sqlite`). The orders are: by size, by weight (as in a first run), by name, and
//! by the recorded times themselves. The lower bound is max(longest file, total / workers). Nothing is measured, so the numbers
//! do not depend on the machine's load.

// Benchmarks print without `escape`.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::cmp::Reverse;
use std::collections::HashMap;
use std::error::Error;

use slt_harness::results::Results;
use slt_harness::unstable::history::{History, Order, Weights};
use slt_harness::unstable::script::Labels;
use slt_harness::unstable::suite::content::look;
use slt_harness::{Dialect, Suite};

const WORKERS: [usize; 4] = [2, 8, 16, 64];

fn main() -> Result<(), Box<dyn Error>> {
    // Added by `cargo bench`, and missing under `cargo test --all-targets`, which starts benchmarks too.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench").peekable();
    let dialect = match arguments.next_if_eq("--dialect") {
        Some(_) => Some(arguments.next().ok_or("`--dialect` needs a name")?.parse::<Dialect>()?),
        None => None,
    };
    let (Some(results), Some(root)) = (arguments.next(), std::env::var_os("SLT_CORPUS")) else {
        println!("nothing to simulate: give the results.json of a run over the files in `SLT_CORPUS`");
        return Ok(());
    };
    let labels: Vec<String> = arguments.collect();
    let labels = Labels::new(if labels.is_empty() { vec!["sqlite".to_owned()] } else { labels });
    let results: Results = serde_json::from_slice(&std::fs::read(&results)?)?;
    let times: HashMap<&str, u64> = results.outcomes.iter().map(|o| (o.name.as_str(), o.wall_us)).collect();
    let suite = Suite::new(root);
    let mut files = dialect.map_or(suite.clone(), |dialect| suite.all_in(dialect)).discover()?;
    files.retain(|file| times.contains_key(file.name.as_str()));
    let total: u64 = files.iter().map(|file| times[file.name.as_str()]).sum();
    let longest = files.iter().map(|file| times[file.name.as_str()]).max().unwrap_or_default();
    println!("{} files, {:.2} s, the longest {:.2} s", files.len(), total as f64 / 1e6, longest as f64 / 1e6);
    println!("{:<12} {}", "workers", WORKERS.map(|workers| format!("{workers:>8}")).concat());
    let show = |name: &str, files: &[&str]| {
        let over = |workers: usize| {
            let bound = longest.max(total.div_ceil(workers as u64)).max(1);
            format!("{:>8.3}", makespan(files, &times, workers) as f64 / bound as f64)
        };
        println!("{name:<12} {}", WORKERS.map(over).concat());
    };
    let seen = look(&files, Some(&labels));
    let weights: Weights =
        files.iter().zip(seen).filter_map(|(file, seen)| Some((file.name.clone(), seen.weight?))).collect();
    show("by name", &files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>());
    for (name, weights) in [("by size", &Weights::new()), ("by weight", &weights)] {
        let mut files = files.clone();
        Order::LongestFirst.sort(&mut files, &History::default(), weights);
        show(name, &files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>());
    }
    let mut ideal: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    ideal.sort_by_key(|name| Reverse(times[name]));
    show("by time", &ideal);
    Ok(())
}

/// How long it takes if each worker takes the next file as soon as it is free.
fn makespan(files: &[&str], times: &HashMap<&str, u64>, workers: usize) -> u64 {
    let mut busy = vec![0; workers];
    for name in files {
        *busy.iter_mut().min().expect("there are workers") += times[name];
    }
    busy.into_iter().max().unwrap_or_default()
}
