//! Reports a run to GitHub: a job summary in Markdown, and annotations at the failing lines.
//!
//! See <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>.

use std::fmt::Write;
use std::path::{Component, Path, PathBuf};

use super::words::{count, was};
use crate::escape;
use crate::outcome::{Counts, Failure, Outcome, Results, Verdict};

/// How many annotations are written; GitHub shows no more for one step.
const MOST_ANNOTATIONS: usize = 10;

/// How many failing files the summary lists.
const MOST_FILES: usize = 50;

/// How many lines of a diff the summary shows.
const MOST_LINES: usize = 20;

/// The maximum size of the summary, in bytes: GitHub drops a summary of more than 1 MiB, and all steps share one page.
const MOST_BYTES: usize = 100_000;

/// A column of the summary's table: its header, its number, and whether it is omitted if all its numbers are 0.
type Column = (&'static str, fn(&Counts) -> u64, bool);

/// All columns except the first and the last add up to the first.
const COLUMNS: [Column; 11] = [
    ("Files", |counts| counts.planned, false),
    ("Passed", |counts| counts.passed, false),
    ("Failed", |counts| counts.failed, false),
    ("Crashed", |counts| counts.crashed, true),
    ("Timed out", |counts| counts.timed_out, true),
    ("Out of memory", |counts| counts.out_of_memory, true),
    ("Unexpected passes", |counts| counts.unexpected_passes, true),
    ("Known failures", |counts| counts.known_failures, true),
    ("Ignored", |counts| counts.ignored, true),
    ("Not run", |counts| counts.not_run, true),
    ("Records failed", |counts| counts.records.failed, false),
];

/// The job summary: totals, categories and what failed, in GitHub's Markdown.
pub fn summary(results: &Results) -> String {
    let total = &results.total;
    let mut text = format!("## SQLLogicTest on {}: {}\n\n", inline(&results.engine), conclusion(total));
    if let Some(portion) = results.portion() {
        text.push_str(&format!("A run of {}.\n\n", inline(&portion.to_string())));
    }
    if !results.check().is_empty() {
        text.push_str("> [!CAUTION]\n> The account does not add up: not every planned file has one outcome.\n\n");
    }
    let columns: Vec<&Column> = COLUMNS.iter().filter(|(_, figure, optional)| !optional || figure(total) > 0).collect();
    let heads = columns.iter().map(|(head, ..)| format!(" {head} |")).collect::<String>();
    let _ = writeln!(text, "| Category |{heads}\n|---|{}", "--:|".repeat(columns.len()));
    let named = results.categories.iter().map(|(name, counts)| (inline(name), counts));
    for (name, counts) in named.chain([("**all**".to_owned(), total)]) {
        let figures = columns.iter().map(|(_, figure, _)| format!(" {} |", figure(counts))).collect::<String>();
        let _ = writeln!(text, "| {name} |{figures}");
    }
    let failing: Vec<&Outcome> = results.outcomes.iter().filter(|outcome| outcome.verdict.is_failure()).collect();
    if !failing.is_empty() {
        text.push_str("\n### What failed\n\n");
    }
    let mut shown = 0;
    for outcome in failing.iter().take(MOST_FILES) {
        let entry = entry(outcome);
        if text.len() + entry.len() > MOST_BYTES {
            break;
        }
        text.push_str(&entry);
        shown += 1;
    }
    if shown < failing.len() {
        let _ = writeln!(text, "… and {} more files", failing.len() - shown);
    }
    // Another run's summary starts a new paragraph.
    text.push('\n');
    text
}

fn conclusion(total: &Counts) -> String {
    let planned = count(total.planned, "file");
    match (total.failures(), total.not_run) {
        (0, 0) if total.passed == total.planned => format!("all {planned} passed"),
        (0, 0) if total.known_failures > 0 => {
            format!("{} of {planned} passed, the failures are known", total.passed)
        }
        (0, 0) => format!("{} of {planned} passed, none failed", total.passed),
        (0, not_run) => format!("{not_run} of {planned} {} not run", was(not_run)),
        (failed, _) => format!("{failed} of {planned} failed"),
    }
}

/// A failing file: a line that expands to its first failing record.
fn entry(outcome: &Outcome) -> String {
    let verdict = match &outcome.verdict {
        Verdict::Failed if outcome.records.failed == 1 => "1 record failed".to_owned(),
        Verdict::Failed => format!("{} records failed", outcome.records.failed),
        verdict => verdict.to_string(),
    };
    let title = format!("<code>{}</code>: {}", html(&outcome.name), html(&verdict));
    let Some(failure) = outcome.failures.first() else {
        return format!("<p>{title}</p>\n\n");
    };
    let at = Failure { diff: String::new(), ..failure.clone() };
    let mut body = at.to_string();
    if !failure.diff.is_empty() {
        let _ = write!(body, "\n(-expected|+actual)\n{}", failure.diff);
    }
    let mut lines: Vec<&str> = body.lines().take(MOST_LINES).collect();
    if body.lines().nth(MOST_LINES).is_some() {
        lines.push("…");
    }
    let body: String = lines.iter().map(|line| format!("{}\n", clip(line, 300))).collect();
    format!("<details><summary>{title}</summary>\n\n<pre>{}</pre>\n\n</details>\n\n", html(&body))
}

/// A line, or its start.
fn clip(line: &str, most: usize) -> String {
    match line.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// Text in a line of Markdown, with all markup escaped.
fn inline(text: &str) -> String {
    let mut safe = String::new();
    for c in escape::text(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '\n' => safe.push(' '),
            // GitHub turns addresses into links, and names into mentions.
            '@' => safe.push_str("&#64;"),
            ':' => safe.push_str("&#58;"),
            c if c.is_ascii_punctuation() && !"/.,-".contains(c) => safe.extend(['\\', c]),
            c => safe.push(c),
        }
    }
    safe
}

/// Text inside HTML in Markdown; a blank line there would end the HTML.
fn html(text: &str) -> String {
    let mut safe = String::new();
    for c in escape::text(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '@' => safe.push_str("&#64;"),
            '\n' => safe.push_str("&#10;"),
            c if c.is_ascii_punctuation() && !"/.,-;()=+'\"".contains(c) => {
                let _ = write!(safe, "&#{};", u32::from(c));
            }
            c => safe.push(c),
        }
    }
    safe
}

/// Workflow commands that annotate the first failing records, at most ten.
///
/// `folder` is where the run started and where the failures' paths begin, `repository` is the checkout
/// (`GITHUB_WORKSPACE`). Failures outside it are annotated without a position, which GitHub could not show.
pub fn annotations(results: &Results, folder: &Path, repository: &Path) -> String {
    let failing: Vec<&Outcome> = results.outcomes.iter().filter(|outcome| outcome.verdict.is_failure()).collect();
    let mut text = String::new();
    // The last one is reserved for the number of the others.
    let room = if failing.len() > MOST_ANNOTATIONS { MOST_ANNOTATIONS - 1 } else { failing.len() };
    for outcome in failing.iter().take(room) {
        let title = format!("{}: {}", outcome.name, outcome.verdict);
        let (mut place, mut message) = (String::new(), outcome.verdict.to_string());
        if let Some(failure) = outcome.failures.first() {
            message = failure.to_string();
            if let Some(path) = within(&folder.join(&failure.file), repository) {
                place = format!("file={},", property(&path));
                if failure.line > 0 {
                    let _ = write!(place, "line={},", failure.line);
                }
                // Its last line is the position.
                message.truncate(message.rfind('\n').unwrap_or(message.len()));
                if !failure.pass.is_empty() {
                    let first = message.find('\n').unwrap_or(message.len());
                    message.insert_str(first, &format!(" ({})", failure.pass));
                }
            }
        }
        let message: Vec<String> = message.lines().take(MOST_LINES).map(|line| clip(line, 300)).collect();
        let _ = writeln!(text, "::error {place}title={}::{}", property(&title), data(&message.join("\n")));
    }
    if room < failing.len() {
        let _ = writeln!(text, "::error title=SQLLogicTest::… and {} more files failed", failing.len() - room);
    }
    text
}

/// A path relative to the repository's root, with `/`, if it is inside.
fn within(path: &Path, repository: &Path) -> Option<String> {
    let (path, repository) = (plain(path), plain(repository));
    let inside = path.strip_prefix(&repository).ok()?;
    Some(inside.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/"))
}

/// A path without `.` and `..`, resolved textually.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

/// The message of a workflow command, as GitHub's own toolkit escapes it.
fn data(text: &str) -> String {
    escape::text(text).replace('%', "%25").replace('\n', "%0A")
}

/// A property of a workflow command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests;
