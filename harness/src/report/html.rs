//! The results of a run as one HTML page that needs no network and no other file.
//!
//! Numbers, tables and comparisons are plain HTML; the page's script draws the list of files and the timeline from JSON
//! in the page. All text from test files and engines is escaped, in HTML and in JSON, and the page's content security
//! policy forbids it to load or send anything.

use std::time::Duration;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use self::data::Data;
use self::past::Past;
use self::words::{moment, number};
use super::compare::{Change, Comparison, Standing};
use super::statistics::Statistics;
use super::words::{pass_rate, percentage, record_rate, time, valid_xml, was};
use crate::outcome::{Counts, Outcome, Results, Size, Verdict};

mod data;
mod failures;
mod lanes;
mod past;
mod tables;
mod words;

const STYLE: &str = include_str!("html/page.css");
const SCRIPTS: [&str; 3] =
    [include_str!("html/shared.js"), include_str!("html/files.js"), include_str!("html/timeline.js")];

/// The content security policy: the page loads nothing and sends nothing, whatever a test file contains.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; \
                      base-uri 'none'; form-action 'none'";

/// How many names each list of changes shows.
const MOST_CHANGES: usize = 100;

/// How many earlier runs a page shows for each file.
pub const PAST_RUNS: usize = past::MOST_RUNS;

/// The page: a whole HTML document, compared with an earlier run if there is one. For each file, the page also shows its
/// verdicts in those runs of `past` that are comparable.
pub fn page(results: &Results, previous: Option<&Results>, past: &[Results]) -> String {
    let lanes = lanes::lanes(results);
    let past = Past::new(results, past);
    let data = Data::new(results, &lanes, &past);
    let headline = headline(&results.total);
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="color-scheme" content="light dark";
                meta name="generator" content="slt";
                link rel="icon" href="data:,";
                title { (headline) " · " (results.engine) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a .skip href="#files" { "Skip to the files" }
                (header(results, &headline, previous.is_some()))
                main {
                    (defects(results))
                    (failures::failures(results, &data, &past))
                    (figures(results))
                    @if let Some(previous) = previous { (changes(results, previous)) }
                    (tables::comparison(results))
                    (tables::categories(results))
                    (tables::timeline(results, &lanes))
                    (tables::slowest(results))
                    (files(results, &data))
                }
                footer {
                    p { "Made by slt from the results of run " code { (results.run_id) } ". All times are UTC." }
                }
                script type="application/json" id="data" { (PreEscaped(data.json())) }
                @for script in SCRIPTS { script { (PreEscaped(script)) } }
            }
        }
    };
    // Foreign text may contain characters that HTML forbids; in JSON the replacement is as good.
    valid_xml(&markup.into_string())
}

/// The verdicts of a page: their names and CSS classes.
const KINDS: [(&str, &str); 10] = [
    ("failed", "failed"),
    ("crashed", "crashed"),
    ("timed-out", "timed out"),
    ("out-of-memory", "out of memory"),
    ("unexpected-pass", "unexpected pass"),
    ("known-failure", "known failure"),
    ("flaky", "flaky"),
    ("passed", "passed"),
    ("ignored", "ignored"),
    ("not-run", "not run"),
];

/// The index of the verdict in [`KINDS`], and its details.
fn kind(verdict: &Verdict) -> (usize, String) {
    let (class, note) = match verdict {
        Verdict::Passed => ("passed", String::new()),
        Verdict::Flaky { attempt } => ("flaky", format!("passed on attempt {attempt}")),
        Verdict::Failed => ("failed", String::new()),
        Verdict::Ignored { reason } => ("ignored", reason.clone()),
        Verdict::Crashed { how } => ("crashed", how.clone()),
        Verdict::TimedOut { limit_ms } => ("timed-out", format!("limit {}", time(Duration::from_millis(*limit_ms)))),
        Verdict::OutOfMemory { limit_bytes } => ("out-of-memory", format!("limit {}", Size(*limit_bytes))),
        Verdict::UnexpectedPass { reason } => ("unexpected-pass", format!("known failure: {reason}")),
        Verdict::KnownFailure { reason, was } if was == "FAILED" => ("known-failure", reason.clone()),
        Verdict::KnownFailure { reason, was } => ("known-failure", format!("{was}; {reason}")),
        Verdict::NotRun { reason } => ("not-run", reason.clone()),
    };
    (KINDS.iter().position(|(known, _)| *known == class).unwrap_or_default(), note)
}

/// The number of trials of each kind, in the order of [`KINDS`].
fn kinds<'o>(outcomes: impl IntoIterator<Item = &'o Outcome>) -> [u64; KINDS.len()] {
    let mut counts = [0; KINDS.len()];
    for outcome in outcomes {
        counts[kind(&outcome.verdict).0] += 1;
    }
    counts
}

fn headline(total: &Counts) -> String {
    let files = |count: u64| format!("{} {}", number(count), if count == 1 { "file" } else { "files" });
    match (total.failures(), total.not_run) {
        _ if total.planned == 0 => "No files were run".to_owned(),
        (0, 0) if total.passed == total.planned => format!("All {} passed", files(total.planned)),
        (0, 0) if total.known_failures > 0 => {
            format!("{} of {} passed, the failures are known", number(total.passed), files(total.planned))
        }
        (0, 0) => format!("{} of {} passed, none failed", number(total.passed), files(total.planned)),
        (0, not_run) => {
            format!("{} of {} {} not run, none failed", number(not_run), files(total.planned), was(not_run))
        }
        (failed, _) => format!("{} of {} failed", number(failed), files(total.planned)),
    }
}

fn header(results: &Results, headline: &str, compared: bool) -> Markup {
    let state = match (results.total.failures(), results.total.not_run) {
        (0, 0) if !results.missing_shards.is_empty() => "partial",
        (1.., _) => "bad",
        (0, 1..) => "partial",
        (0, 0) if results.total.planned == 0 => "partial",
        (0, 0) => "good",
    };
    html! {
        header .top {
            p .eyebrow { "SQLLogicTest on " strong { (results.engine) } }
            h1 class=(state) { (headline) }
            p .meta {
                @if let Some((machine, human)) = moment(results.started_us) {
                    span { time datetime=(machine) { (human) } }
                }
                span { "run " code { (results.run_id) } }
                @if !results.commit.is_empty() { span { "commit " code { (results.commit.get(..12).unwrap_or(&results.commit)) } } }
                @if !results.branch.is_empty() { span { "branch " code { (results.branch) } } }
                @if !results.host.is_empty() { span { "on " (results.host) } }
                @if let Some(shard) = results.shard { span { "shard " (shard.index) " of " (shard.of) } }
                span { (number(results.workers.into())) @if results.workers == 1 { " worker" } @else { " workers" } }
                span { (time(Duration::from_micros(results.wall_us))) }
            }
            (stack(&kinds(&results.outcomes), "hero"))
            (legend(&kinds(&results.outcomes)))
            nav aria-label="Sections" {
                @if results.total.failures() > 0 { a href="#failures" { "Failures" } }
                @if compared { a href="#changes" { "Changes" } }
                a href="#categories" { "Categories" }
                a href="#timeline" { "Timeline" }
                a href="#slowest" { "Slowest" }
                a href="#files" { "Files" }
            }
        }
    }
}

/// A bar whose parts are as wide as their share. The same numbers are beside it as text, so screen readers skip it.
fn stack(counts: &[u64; KINDS.len()], class: &str) -> Markup {
    html! {
        span class={ "stack " (class) } aria-hidden="true" {
            @for (count, (class, _)) in counts.iter().zip(KINDS) {
                @if *count > 0 { span class=(class) style={ "flex-grow:" (count) } {} }
            }
        }
    }
}

fn legend(counts: &[u64; KINDS.len()]) -> Markup {
    html! {
        ul .legend {
            @for (count, (class, word)) in counts.iter().zip(KINDS) {
                @if *count > 0 { li { span class={ "dot " (class) } {} strong { (number(*count)) } " " (word) } }
            }
        }
    }
}

/// A warning if the counts do not add up: such a run is not green, whatever its colours.
fn defects(results: &Results) -> Markup {
    html! {
        @if let Some(found) = results.check().first() {
            p .alarm role="alert" {
                strong { "The account does not add up: " }
                "the file of its results " (found) ". Do not rely on this run."
            }
        }
        @if !results.missing_shards.is_empty() {
            p .alarm role="alert" {
                strong { "Parts of the suite are missing: " }
                @for (index, shard) in results.missing_shards.iter().enumerate() {
                    @if index > 0 { ", " }
                    "shard " (shard.index) " of " (shard.of)
                }
                ". What they hold was not run."
            }
        }
    }
}

fn figures(results: &Results) -> Markup {
    let total = results.total;
    let wall = Duration::from_micros(results.wall_us);
    let statistics = Statistics::new(total, wall, results.workers, results.outcomes.iter());
    let judged = total.planned.saturating_sub(total.ignored);
    let records = total.records;
    html! {
        section .figures aria-label="Figures" {
            div .figure {
                h2 { "Files" }
                p .value { (percentage(pass_rate(&total))) }
                p { (number(total.passed)) " of " (number(judged)) " that had something to check passed" }
                @if let Some(portion) = results.portion() { p .scope { "A run of " (portion.to_string()) } }
            }
            div .figure {
                h2 { "Records" }
                p .value { (percentage(record_rate(&records))) }
                p { (number(records.passed)) " passed, " (number(records.failed)) " failed, "
                    (number(records.skipped)) " skipped" }
            }
            div .figure {
                h2 { "Time" }
                p .value { (time(wall)) }
                p { (time(statistics.busy)) " of work: " (time(statistics.engine)) " in the engine, "
                    (time(statistics.busy.saturating_sub(statistics.engine))) " in the harness" }
            }
            div .figure {
                h2 { "Workers" }
                p .value { (format!("{:.0} %", statistics.utilisation() * 100.0)) }
                p { "busy, " (number(results.workers.into())) " of them; no order of the files could have taken less than "
                    (time(statistics.lower_bound())) }
            }
        }
    }
}

fn changes(results: &Results, previous: &Results) -> Markup {
    let comparison = Comparison::new(previous, results);
    let before = moment(previous.started_us).map(|(_, human)| human);
    let failing = |change: &&Change| change.after.as_ref().is_some_and(|after| after.verdict.is_failure());
    let new: Vec<Change> = comparison.new.iter().filter(failing).cloned().collect();
    let lists = [
        ("Newly failing", "failed", &comparison.newly_failing),
        ("New and failing", "failed", &new),
        ("Newly passing", "passed", &comparison.newly_passing),
        ("No longer passing", "not-run", &comparison.no_longer_passing),
        ("Slower", "timed-out", &comparison.slower),
        ("Gone", "ignored", &comparison.gone),
    ];
    html! {
        section #changes aria-labelledby="changes-title" {
            h2 #changes-title { "Changes" }
            p .note {
                "Since run " code { (previous.run_id) }
                @if let Some(before) = before { " of " (before) }
                @if previous.engine != results.engine { " on " strong { (previous.engine) } ", another engine" }
                @if lists.iter().all(|(.., list)| list.is_empty()) { ": no file changed its verdict or became slower." }
                @else { "." }
                @if comparison.is_partial() {
                    " Only files in the scope of both runs are compared: "
                    @if comparison.outside_after > 0 {
                        (number(comparison.outside_after)) " of the earlier run were outside the scope of this one"
                    }
                    @if comparison.outside_after > 0 && comparison.outside_before > 0 { ", " }
                    @if comparison.outside_before > 0 {
                        (number(comparison.outside_before)) " of this run were outside the scope of the earlier one"
                    }
                    "."
                }
                @if comparison.still_failing > 0 { " Failing in both: " (number(comparison.still_failing)) "." }
            }
            div .changes {
                @for (title, class, list) in lists { (change_list(title, class, list)) }
            }
        }
    }
}

fn change_list(title: &str, class: &str, changes: &[Change]) -> Markup {
    html! {
        @if !changes.is_empty() {
            div .change {
                h3 { span class={ "dot " (class) } {} (title) " " span .count { (number(changes.len() as u64)) } }
                ul {
                    @for change in changes.iter().take(MOST_CHANGES) {
                        li {
                            @if change.after.is_some() { a href={ "#" (failures::fragment(&change.name)) } data-file=(change.name) { (change.name) } }
                            @else { span { (change.name) } }
                            " " span .detail { (detail(change)) }
                        }
                    }
                    @if changes.len() > MOST_CHANGES {
                        li .detail { "… and " (number((changes.len() - MOST_CHANGES) as u64)) " more" }
                    }
                }
            }
        }
    }
}

/// How a file changed: `passed → failed`, or how long it took.
fn detail(change: &Change) -> String {
    let word = |standing: &Standing| KINDS[kind(&standing.verdict).0].1;
    match (&change.before, &change.after) {
        (Some(before), Some(after)) if before.verdict == after.verdict => {
            let [before, after] = [before, after].map(|standing| time(Duration::from_micros(standing.wall_us)));
            format!("{before} → {after}")
        }
        (Some(before), Some(after)) => format!("{} → {}", word(before), word(after)),
        (Some(only), None) | (None, Some(only)) => word(only).to_owned(),
        (None, None) => String::new(),
    }
}

fn files(results: &Results, data: &Data<'_>) -> Markup {
    let counts = kinds(&results.outcomes);
    html! {
        section #files aria-labelledby="files-title" {
            h2 #files-title { "Files" }
            noscript { p .note { "The list of files needs JavaScript; the failures above do not." } }
            form .tools .sticky .drawn role="search" {
                label .search {
                    span .unseen { "Search names and messages" }
                    input #search type="search" placeholder="Search names and messages" autocomplete="off"
                        spellcheck="false" aria-keyshortcuts="/";
                    kbd aria-hidden="true" { "/" }
                }
                div .chips role="group" aria-label="Verdicts" {
                    button type="button" data-kind="" aria-pressed="true" { "All " span { (number(results.outcomes.len() as u64)) } }
                    @for (index, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                        button type="button" data-kind=(index) aria-pressed="false" {
                            span class={ "dot " (KINDS[index].0) } {} (KINDS[index].1) " " span { (number(*count)) }
                        }
                    }
                }
                label .sort {
                    span { "Sort by" }
                    select #sort {
                        option value="verdict" { "verdict" }
                        option value="time" { "time" }
                        option value="name" { "name" }
                        option value="start" { "start" }
                    }
                }
            }
            @if data.shortened > 0 {
                p .note { "The texts of " (number(data.shortened)) " files are shortened here; all of them are in "
                    code { "results.json" } "." }
            }
            p #found .note role="status" aria-live="polite" {}
            ol #list .drawn {}
            button type="button" id="more" hidden {}
        }
    }
}

#[cfg(test)]
mod tests;
