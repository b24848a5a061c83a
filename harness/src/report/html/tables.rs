//! The tables of the page: categories, workers, slowest files.

use std::collections::BTreeMap;
use std::time::Duration;

use maud::{Markup, html};

use super::lanes::Lane;
use super::words::{number, share};
use super::{KINDS, kind, kinds, stack};
use crate::outcome::{Comparison, Counts, Outcome, Results};
use crate::report::comparison::records;
use crate::report::words::{pass_rate, percentage, rate, time};
use crate::suite::category;

/// How many files are in the table of the slowest.
const SLOWEST: usize = 12;

/// How many lanes are in the timeline's table.
const MOST_LANES: usize = 256;

pub(super) fn categories(results: &Results) -> Markup {
    let mut outcomes: BTreeMap<&str, Vec<&Outcome>> = BTreeMap::new();
    for outcome in &results.outcomes {
        outcomes.entry(category(&outcome.name)).or_default().push(outcome);
    }
    // All columns from the third to the pass rate add up to the second. The column of known failures is optional.
    let known = results.total.known_failures > 0;
    html! {
        section #categories aria-labelledby="categories-title" {
            h2 #categories-title { "Categories" }
            div .scroll role="region" aria-labelledby="categories-title" tabindex="0" {
                table {
                    thead { tr {
                        th scope="col" { "Category" }
                        th scope="col" .wide { "Share" }
                        th scope="col" { "Files" } th scope="col" { "Passed" } th scope="col" { "Failed" }
                        @if known { th scope="col" { "Known failures" } }
                        th scope="col" { "Ignored" } th scope="col" { "Not run" } th scope="col" { "Pass rate" }
                        th scope="col" { "Records failed" } th scope="col" { "Time" }
                    } }
                    tbody {
                        @for (name, counts) in &results.categories {
                            (category_row(name, counts, outcomes.get(name.as_str()).map_or(&[], Vec::as_slice), known))
                        }
                    }
                    @if results.categories.len() > 1 {
                        tfoot { (category_row("All", &results.total, &results.outcomes.iter().collect::<Vec<_>>(), known)) }
                    }
                }
            }
        }
    }
}

fn category_row(name: &str, counts: &Counts, outcomes: &[&Outcome], known: bool) -> Markup {
    let busy: Duration = outcomes.iter().map(|outcome| outcome.wall()).sum();
    let cell = |count: u64, class: &str| {
        html! {
            td class=(if count > 0 { class } else { "zero" }) { (number(count)) }
        }
    };
    html! {
        tr {
            th scope="row" { (name) }
            td .wide { (stack(&kinds(outcomes.iter().copied()), "")) }
            td { (number(counts.planned)) }
            (cell(counts.passed, ""))
            (cell(counts.failures(), "bad"))
            @if known { (cell(counts.known_failures, "")) }
            (cell(counts.ignored, ""))
            (cell(counts.not_run, "partial"))
            td { (percentage(pass_rate(counts))) }
            (cell(counts.records.failed, "bad"))
            td { (time(busy)) }
        }
    }
}

/// How many records are in the table of the comparison.
const MOST_COMPARED: usize = 100;

/// The table of the comparison with the reference; empty if there was no reference.
pub(super) fn comparison(results: &Results) -> Markup {
    let Some(sum) = Comparison::sum(results.outcomes.iter().filter_map(|outcome| outcome.comparison.as_ref())) else {
        return html! {};
    };
    let records: Vec<_> = records(&results.outcomes).collect();
    html! {
        section #comparison aria-labelledby="comparison-title" {
            h2 #comparison-title { "Compared with " (sum.reference) }
            p .note { (sum.to_string()) "." }
            @if !records.is_empty() {
                div .scroll role="region" aria-labelledby="comparison-title" tabindex="0" {
                    table {
                        thead { tr {
                            th scope="col" { "Record" } th scope="col" .wide { "Right" } th scope="col" .wide { "On the reference" }
                        } }
                        tbody {
                            @for (reference, record) in records.iter().take(MOST_COMPARED) {
                                tr {
                                    th scope="row" { (record.place()) }
                                    td .wide { (record.agrees.words(reference)) }
                                    td .wide { (record.message.lines().next().unwrap_or_default()) }
                                }
                            }
                        }
                    }
                }
                @if records.len() > MOST_COMPARED {
                    p .note { (number((records.len() - MOST_COMPARED) as u64)) " more are in results.json." }
                }
            }
        }
    }
}

pub(super) fn timeline(results: &Results, lanes: &[Lane]) -> Markup {
    let end = lanes.iter().map(|lane| lane.end_us).max().unwrap_or_default();
    html! {
        section #timeline aria-labelledby="timeline-title" {
            h2 #timeline-title { "Timeline" }
            @if lanes.is_empty() { p .note { "No file was started." } } @else {
                p .note {
                    "Who ran what, when. Hatched: a worker with nothing left to do. A mark: a process crashed. "
                    span .drawn { "Point at a file, or focus the chart and use the arrow keys; "
                        kbd { "Enter" } " shows the file, " kbd { "+" } " and " kbd { "−" } " zoom." }
                }
                div .tools .drawn {
                    button type="button" id="zoom-in" { "Zoom in" }
                    button type="button" id="zoom-out" { "Zoom out" }
                    button type="button" id="zoom-all" { "All" }
                }
                div #picture .drawn {
                    canvas #lanes tabindex="0" role="application" aria-roledescription="timeline"
                        aria-label={ "Timeline of " (number(lanes.len() as u64)) " lanes over " (time(Duration::from_micros(end)))
                                     ". The same is in the table below." } {}
                    div #tip role="status" aria-live="polite" hidden {}
                }
                noscript { p .note { "The chart needs JavaScript; the table below does not." } }
                details {
                    summary { "The workers as a table" }
                    div .scroll role="region" aria-label="Workers" tabindex="0" {
                        table {
                            thead { tr {
                                th scope="col" { "Worker" } th scope="col" { "Files" } th scope="col" { "Crashes" }
                                th scope="col" { "Began" } th scope="col" { "Ended" } th scope="col" { "Busy" }
                                th scope="col" { "Idle at the end" }
                            } }
                            tbody {
                                @for (index, lane) in lanes.iter().enumerate().take(MOST_LANES) {
                                    tr {
                                        th scope="row" { (index + 1) }
                                        td { (number(lane.spans.len() as u64)) }
                                        td class=(if lane.deaths > 0 { "bad" } else { "zero" }) { (number(lane.deaths)) }
                                        td { (time(Duration::from_micros(lane.start_us()))) }
                                        td { (time(Duration::from_micros(lane.end_us))) }
                                        td { (rate(lane.busy_us, end)) }
                                        td { (time(Duration::from_micros(end - lane.end_us))) }
                                    }
                                }
                            }
                        }
                    }
                    @if lanes.len() > MOST_LANES {
                        p .note { "… and " (number((lanes.len() - MOST_LANES) as u64)) " more" }
                    }
                    @if results.workers > 1 {
                        p .note { "A row is a worker slot: a worker and its replacements share one row." }
                    }
                }
            }
        }
    }
}

pub(super) fn slowest(results: &Results) -> Markup {
    let mut order: Vec<&Outcome> = results.outcomes.iter().filter(|outcome| outcome.wall_us > 0).collect();
    order.sort_by(|a, b| b.wall_us.cmp(&a.wall_us).then_with(|| a.name.cmp(&b.name)));
    order.truncate(SLOWEST);
    let longest = order.first().map_or(1, |outcome| outcome.wall_us);
    html! {
        section #slowest aria-labelledby="slowest-title" {
            h2 #slowest-title { "Slowest files" }
            @if order.is_empty() { p .note { "No file took any time." } } @else {
                div .scroll role="region" aria-labelledby="slowest-title" tabindex="0" {
                    table {
                        thead { tr {
                            th scope="col" { "File" } th scope="col" { "Verdict" } th scope="col" .wide { "Share" }
                            th scope="col" { "Time" } th scope="col" { "In the engine" }
                            th scope="col" { "Records" }
                        } }
                        tbody {
                            @for outcome in order {
                                @let (kind, _) = kind(&outcome.verdict);
                                tr {
                                    th scope="row" { a href={ "#" (super::failures::fragment(&outcome.name)) } data-file=(outcome.name) { (outcome.name) } }
                                    td .left { span class={ "badge " (KINDS[kind].0) } { (KINDS[kind].1) } }
                                    td .wide {
                                        span .meter aria-hidden="true" {
                                            span .engine style={ "width:" (share(outcome.engine_us, longest)) } {}
                                            span .harness style={ "width:"
                                                (share(outcome.wall_us.saturating_sub(outcome.engine_us), longest)) } {}
                                        }
                                    }
                                    td { (time(outcome.wall())) }
                                    // Unknown for a process that was killed.
                                    td { (rate(outcome.engine_us, if outcome.engine_us > 0 { outcome.wall_us } else { 0 })) }
                                    td { (number(outcome.records.total())) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
