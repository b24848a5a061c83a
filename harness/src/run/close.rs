//! The end of a run, the same in every mode: statistics, lists, results, and the exit code.

use std::io;
use std::time::Duration;

use super::error::RunError;
use super::known;
use super::mode::Run;
use super::selection::is_strict;
use crate::config::Config;
use crate::outcome::Outcome;
use crate::report::libtest::Format;
use crate::report::statistics::{Statistics, passes};
use crate::report::{comparison, table, words};
use crate::summary::{ExitStatus, Summary};

/// How many files that were not run are named, in the format without a line for each; all of them are in `results.json`.
const MOST_LEFT: usize = 50;

/// The result of a run, as far as this process knows it.
pub(super) struct Closing<'o> {
    /// The summary of the files that this process is responsible for.
    pub(super) summary: &'o Summary,
    pub(super) wall: Duration,
    pub(super) statistics: Option<Statistics>,
    /// The outcomes that the summary counts.
    pub(super) outcomes: &'o [&'o Outcome],
    /// The outcomes of all passes, also those of other processes.
    pub(super) passes: &'o [&'o Outcome],
    /// The outcomes with which the list of known failures is updated.
    pub(super) judged: &'o [&'o Outcome],
    /// A message about other processes.
    pub(super) remark: Option<String>,
}

impl Run<'_> {
    /// Closes the run: prints its end, updates the list of known failures, and publishes the results.
    ///
    /// A failed write to standard output is reported last: the results are written before, and a failed run stays failed.
    pub(super) fn close(&self, closing: Closing<'_>, publish: impl FnOnce()) -> ExitStatus {
        let printed = self.print_end(&closing);
        known::keep(self, closing.judged);
        if let Some(remark) = &closing.remark {
            note!("{remark}");
        }
        publish();
        let status = conclude(closing.summary, self.config);
        let Err(error) = printed else { return status };
        note!("error: {}", RunError::Output(error));
        if status == ExitStatus::Passed { ExitStatus::Broken } else { status }
    }

    /// Prints failures, libtest's line, the table, and the statistics.
    ///
    /// # Errors
    /// The first write that failed, now or before.
    fn print_end(&self, closing: &Closing<'_>) -> io::Result<()> {
        let (config, summary) = (self.config, closing.summary);
        let mut figures = String::new();
        if let Some(statistics) = &closing.statistics {
            figures.push_str(&statistics.text(config.timings));
        }
        figures.push_str(&passes(closing.passes.iter().copied()));
        figures.push_str(&comparison::text(closing.outcomes.iter().copied()));
        self.with_printer(|printer| {
            printer.finish(&summary.total, self.filtered_out, closing.wall)?;
            if config.quiet {
                return Ok(());
            }
            if config.slt {
                printer.add(&format!("{}\n", table::by_category(summary)))?;
            }
            printer.add(&figures)
        })
    }
}

/// The exit code of a run. Prints what the other output does not show: defects of the account, and files that were not run.
fn conclude(summary: &Summary, config: &Config) -> ExitStatus {
    for defect in &summary.defects {
        note!("error: the account does not add up: {defect}");
    }
    if let Some(reference) = &summary.unreachable {
        note!("error: the reference could not be reached for every file: {reference}");
    }
    let allowed = config.parallel.as_ref().is_some_and(|parallel| parallel.allow_incomplete);
    let status = match summary.exit_status(allowed) {
        ExitStatus::Passed if summary.checked_nothing() => {
            let strict = is_strict(config);
            let code = if strict { ", so the exit code is 5" } else { "" };
            // nextest shows each file's own reason.
            if !config.nextest {
                note!("nothing in {} could be checked{code}", words::count(summary.total.planned, "file"));
            }
            if strict { ExitStatus::Nothing } else { ExitStatus::Passed }
        }
        status => status,
    };
    let left = summary.not_run.len();
    if left > 0 {
        // libtest's own line has no word for such files, and says `ok`.
        let code = if status == ExitStatus::Incomplete { ", so the exit code is 3" } else { "" };
        let verb = words::was(left as u64);
        note!("incomplete: {left} of {} {verb} not run{code}", words::count(summary.total.planned, "file"));
    }
    if config.format == Some(Format::Terse) {
        summary.not_run.iter().take(MOST_LEFT).for_each(|name| note!("    {name}"));
        if left > MOST_LEFT {
            note!("    … and {} more", left - MOST_LEFT);
        }
    }
    status
}
