//! Dates, durations, counts and foreign text, as every report writes them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::outcome::Counts;

/// The time of day in UTC, of microseconds since the Unix epoch: `2026-11-23 07:44:12 UTC`.
pub fn utc(us: u64) -> String {
    let time = UNIX_EPOCH + Duration::from_micros(us);
    let text = humantime::format_rfc3339_seconds(time).to_string();
    text.replace('T', " ").replace('Z', " UTC")
}

/// How long ago it was, in the largest unit that fits: `just now`, `5 minutes ago`, `3 days ago`.
pub fn ago(us: u64, now: SystemTime) -> String {
    let Ok(age) = now.duration_since(UNIX_EPOCH + Duration::from_micros(us)) else { return "just now".to_owned() };
    let seconds = age.as_secs();
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute")];
    match units.into_iter().find(|(length, _)| seconds >= *length) {
        Some((length, unit)) => format!("{} ago", count(seconds / length, unit)),
        None => "just now".to_owned(),
    }
}

/// Microseconds as seconds: `1.25 s`.
pub fn seconds(us: u64) -> String {
    format!("{:.2} s", Duration::from_micros(us).as_secs_f64())
}

/// A number with its noun: `1 file`, `2 files`.
pub fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// A part of a whole: `66.7 %`; a dash where there is no whole.
///
/// Rounded towards zero, so that 100.0 % says that nothing is missing.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    let tenths = u128::from(part) * 1000 / u128::from(whole);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// The part of the files with something to check that passed.
pub fn pass_rate(counts: &Counts) -> String {
    percent(counts.passed, counts.planned.saturating_sub(counts.ignored))
}

/// The first line of a text that somebody else wrote, safe to show in a line of ours and at most `most` characters long.
///
/// Control characters, which could steer a terminal, are shown as escapes.
pub fn first_line(text: &str, most: usize) -> String {
    let mut shown = String::new();
    let line = text.trim_start().lines().next().unwrap_or_default();
    for (index, c) in line.trim_end().chars().enumerate() {
        if index == most {
            shown.push('…');
            break;
        }
        match c {
            '\t' => shown.push(' '),
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_ages_read_as_documented() {
        let us = 1_795_419_852_000_000;
        assert_eq!(utc(us), "2026-11-23 07:44:12 UTC");
        assert_eq!(utc(0), "1970-01-01 00:00:00 UTC");
        let after = |seconds| ago(us, UNIX_EPOCH + Duration::from_micros(us) + Duration::from_secs(seconds));
        assert_eq!([after(0), after(59)], ["just now", "just now"]);
        assert_eq!([after(60), after(7199), after(3 * 86_400)], ["1 minute ago", "1 hour ago", "3 days ago"]);
        assert_eq!(ago(us, UNIX_EPOCH), "just now");
    }

    #[test]
    fn a_hundred_percent_is_said_of_all_alone() {
        assert_eq!(percent(2, 3), "66.6 %");
        assert_eq!(percent(9_999, 10_000), "99.9 %");
        assert_eq!(percent(3, 3), "100.0 %");
        assert_eq!(percent(0, 0), "-");
    }

    #[test]
    fn foreign_text_cannot_steer_a_terminal() {
        assert_eq!(first_line("a\x1b[31mb\tc\nd", 80), "a\\u{1b}[31mb c");
        assert_eq!(first_line("\n  abcdef", 3), "abc…");
        assert_eq!(first_line("", 3), "");
    }
}
