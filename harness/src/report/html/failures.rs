//! The failures of the page, by cause: plain HTML, readable without the page's script.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::data::{Data, Text};
use super::past::Past;
use super::words::number;
use super::{KINDS, kind};
use crate::outcome::{Outcome, Results};
use crate::report::by_file::by_file;
use crate::report::clusters::causes;
use crate::report::words::{count, quoted, time};

/// How many files with one cause are shown with their failures.
const MOST_OF_A_CAUSE: usize = 25;

/// How many files are shown with their failures in all.
const MOST_FILES: usize = 250;

/// How many more files of a cause are listed by name.
const MOST_NAMES: usize = 500;

/// The section of failures; empty if nothing failed.
pub(super) fn failures(results: &Results, data: &Data<'_>, past: &Past<'_>) -> Markup {
    let mut by_cause: BTreeMap<String, Vec<&Outcome>> = BTreeMap::new();
    for file in by_file(results) {
        let outcome = file.worst();
        if let (true, Some((cause, _))) = (outcome.verdict.is_failure(), causes(outcome).into_iter().next()) {
            by_cause.entry(cause).or_default().push(outcome);
        }
    }
    let files: usize = by_cause.values().map(Vec::len).sum();
    let mut groups: Vec<(String, Vec<&Outcome>)> = by_cause.into_iter().collect();
    groups.sort_by_key(|(_, outcomes)| std::cmp::Reverse(outcomes.len()));
    let mut left = MOST_FILES;
    let groups: Vec<_> = groups
        .into_iter()
        .map(|(cause, outcomes)| {
            let shown = outcomes.len().min(MOST_OF_A_CAUSE).min(left);
            left -= shown;
            (cause, outcomes, shown)
        })
        .collect();
    html! {
        @if files > 0 {
            section #failures aria-labelledby="failures-title" {
                h2 #failures-title { "Failures" }
                @if groups.len() > 1 {
                    p .note { (count(files as u64, "file")) " by " (count(groups.len() as u64, "cause")) }
                    ol .causes {
                        @for (index, (cause, outcomes, _)) in groups.iter().enumerate() {
                            li { a href={ "#cause-" (index + 1) } { (cause) } " "
                                span .count { (count(outcomes.len() as u64, "file")) } }
                        }
                    }
                }
                @for (index, (cause, outcomes, shown)) in groups.iter().enumerate() {
                    div .cause id={ "cause-" (index + 1) } {
                        h3 { (cause) " " span .count { (count(outcomes.len() as u64, "file")) } }
                        @for outcome in &outcomes[..*shown] { (file(outcome, data, past)) }
                        @if outcomes.len() > *shown { (names(&outcomes[*shown..])) }
                    }
                }
            }
        }
    }
}

/// The names of further files with a cause; the page shows other files of this cause in full.
fn names(outcomes: &[&Outcome]) -> Markup {
    html! {
        details .names {
            summary { "… and " (number(outcomes.len() as u64)) " more with this cause" }
            ul {
                @for outcome in outcomes.iter().take(MOST_NAMES) {
                    li { a href={ "#" (fragment(&outcome.name)) } data-file=(outcome.name) { (outcome.name) } }
                }
                @if outcomes.len() > MOST_NAMES { li { "… and " (number((outcomes.len() - MOST_NAMES) as u64)) " more" } }
            }
        }
    }
}

/// A file with its failures, expanded.
fn file(outcome: &Outcome, data: &Data<'_>, past: &Past<'_>) -> Markup {
    let (kind, note) = kind(&outcome.verdict);
    let texts = data.texts_of(outcome);
    let shown = texts.map_or(0, |texts| texts.failures.len() as u64);
    html! {
        details .file id=(outcome.name) open {
            summary {
                span class={ "badge " (KINDS[kind].0) } { (KINDS[kind].1) }
                span .name { (outcome.name) }
                @if !note.is_empty() { span .tell { (note) } }
                (past.marks(&outcome.name))
                span .took { (time(outcome.wall())) }
            }
            div .within {
                @for text in texts.map_or(&[][..], |texts| &texts.failures) { (failure(&outcome.name, text)) }
                @if outcome.records.failed > shown { p .label {
                    "… and " (number(outcome.records.failed - shown)) " more failing records" } }
                @if let Some(texts) = texts {
                    @if !texts.output.is_empty() { span .label { "What the process printed" } pre .output tabindex="0" { (texts.output) } }
                    @if texts.cut { p .label { "Shortened here; results.json holds more." } }
                }
                p .again {
                    @if !data.again.is_empty() { code { (data.again) " " (quoted(&outcome.name)) } " "
                        button .copy.drawn type="button" { "Copy" } " " }
                    a href={ "#" (fragment(&outcome.name)) } { "Link to this file" }
                }
            }
        }
    }
}

/// A failing record.
fn failure(name: &str, text: &Text<'_>) -> Markup {
    let pass = if text.pass.is_empty() { String::new() } else { format!("({})", text.pass) };
    let id = (text.line > 0).then(|| format!("{name}:{}{pass}", text.line));
    html! {
        div .failure id=[id.as_deref()] {
            p .message { (text.message) }
            p .at {
                @match &id {
                    Some(id) => a href={ "#" (fragment(id)) } { (text.file) ":" (text.line) (pass) },
                    None => (text.file),
                }
            }
            @if !text.sql.is_empty() { span .label { "SQL" } pre .sql tabindex="0" { (text.sql) } }
            @if !text.diff.is_empty() { span .label { "− expected, + actual" } (diff(text.diff)) }
            @if !text.returned.is_empty() { span .label { "Returned" } pre .output tabindex="0" { (text.returned) } }
        }
    }
}

/// A diff in colours.
fn diff(text: &str) -> Markup {
    let class = |line: &str| match line.as_bytes() {
        [b'-', ..] => "gone",
        [b'+', ..] => "came",
        [b'?', ..] => "mark",
        [b'@', b'@', ..] => "where",
        _ => "",
    };
    html! {
        pre .diff tabindex="0" {
            @for line in text.lines() { span class=(class(line)) { @if line.is_empty() { " " } @else { (line) } } }
        }
    }
}

/// A text as the fragment of a link.
pub(super) fn fragment(text: &str) -> String {
    let mut fragment = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' | b':' | b'(' | b')' | b'=' | b',' => {
                fragment.push(char::from(byte));
            }
            byte => fragment.push_str(&format!("%{byte:02X}")),
        }
    }
    fragment
}
