//! A run in this process alone.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::account::{self, About};
use super::close::Closing;
use super::error::RunError;
use super::mode::Run;
use super::order::put_in_order;
use super::output::{show_progress, shows_progress};
use super::{excerpts, folder};
use crate::event::{Event, Reporter};
use crate::history::{History, Order};
use crate::libtest::{self, SLOW};
use crate::report::libtest::Printer;
use crate::report::statistics::Statistics;
use crate::suite::TestFile;
use crate::summary::{ExitStatus, Summary};

/// Runs all files in this process.
pub(super) fn run(run: &Run<'_>, mut files: Vec<TestFile>) -> Result<ExitStatus, RunError> {
    let (config, clock) = (run.config, Instant::now());
    let planned: Vec<String> = files.iter().map(|file| file.name.clone()).collect();
    let workers = u32::try_from(config.threads).unwrap_or(u32::MAX);
    // The outcome of one record says nothing about its file, and is not kept.
    let excerpts = excerpts::are(&files);
    let remembered = if config.nextest || excerpts { Vec::new() } else { files.clone() };
    // Several threads take the files in the same order as workers. One thread runs them by name, as users expect.
    let reorders = config.threads > 1 && files.len() > 1 && config.shuffle.is_none();
    if reorders || shows_progress(config) {
        // If the history cannot be read, only estimates are lost.
        let history = History::read(&folder::folder(config)).unwrap_or_default();
        if reorders {
            let about = (&*run.engine, &run.options);
            put_in_order(&mut files, Order::LongestFirst, &history, about, false);
        }
        if shows_progress(config) {
            run.with_printer(|printer| show_progress(printer, config, Some(&planned), workers, &history));
        }
    }
    run.printer.report(Event::RunStarted { planned: files.len() as u64 });
    let interruption = run.interruption("the running files have")?;
    let (engine, options) = (Arc::clone(&run.engine), run.options.clone());
    let reporter: Arc<dyn Reporter> = Arc::<Mutex<Printer>>::clone(&run.printer);
    let outcomes = libtest::run(files, engine, options, config.threads, SLOW, reporter, interruption)?;
    let wall = clock.elapsed();
    if !outcomes.is_empty() && !excerpts {
        account::remember(config, &remembered, &outcomes);
    }
    let summary = Summary::new(planned.iter().map(|name| (name.as_str(), 1)), &outcomes);
    // Under nextest each file has its own process, whose statistics are useless.
    let statistics = (!config.nextest && !outcomes.is_empty())
        .then(|| Statistics::new(summary.total, wall, workers, outcomes.iter()));
    let all: Vec<_> = outcomes.iter().collect();
    let closing =
        Closing { summary: &summary, wall, statistics, outcomes: &all, passes: &all, judged: &all, remark: None };
    let status = run.close(closing, || {
        // A shard without files has results, too: without them, a merge would report the shard as missing.
        if excerpts {
            excerpts::say_nothing_is_kept(config);
        } else if !outcomes.is_empty() || run.part.as_ref().is_some_and(|part| part.split.files > 0) {
            let about = About { run_id: account::run_id(), seed: config.shuffle, workers, run };
            account::publish(run, || Ok::<_, Infallible>(about.results(&summary, outcomes.clone())));
        }
    });
    Ok(status)
}
