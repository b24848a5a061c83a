//! Dates, durations, counts and foreign text, as every report writes them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::escape;
use crate::outcome::{Counts, RecordCounts};

/// The day and time in UTC, without a zone, as SQLite's date functions read it: `2026-11-23 07:44:12`.
pub fn date(us: u64) -> String {
    rfc3339(us).replace('T', " ").trim_end_matches('Z').to_owned()
}

/// The day and time in UTC in the format of RFC 3339, to the second: `2026-11-23T07:44:12Z`.
pub fn rfc3339(us: u64) -> String {
    humantime::format_rfc3339_seconds(moment(us)).to_string()
}

/// The day and time in UTC in the format of RFC 3339, to the millisecond: `2026-11-23T07:44:12.123Z`.
pub fn rfc3339_millis(us: u64) -> String {
    humantime::format_rfc3339_millis(moment(us)).to_string()
}

/// The time in UTC for a file's name, to the millisecond, so that names sort by time: `20261123T074412.123Z`.
pub fn file_time(us: u64) -> String {
    rfc3339_millis(us).replace(['-', ':'], "")
}

/// The time `us` microseconds after the Unix epoch. RFC 3339 cannot write times after the year 9999, so that the last second of
/// that year replaces them.
fn moment(us: u64) -> SystemTime {
    const LAST: u64 = 253_402_300_799 * 1_000_000;
    UNIX_EPOCH + Duration::from_micros(us.min(LAST))
}

/// The day and time in UTC, of microseconds since the Unix epoch: `2026-11-23 07:44:12 UTC`.
pub fn utc(us: u64) -> String {
    format!("{} UTC", date(us))
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

/// A duration for people: `0.4 ms`, `12 ms`, `3.21 s`, `4 min 05 s`, `2 h 03 min`.
pub fn time(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    let whole = duration.as_secs();
    match seconds {
        0.0 => "0 s".to_owned(),
        ..0.01 => format!("{:.1} ms", seconds * 1e3),
        ..0.9995 => format!("{:.0} ms", seconds * 1e3),
        ..59.995 => format!("{seconds:.2} s"),
        ..3600.0 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

/// Microseconds as a duration for people.
pub fn time_us(us: u64) -> String {
    time(Duration::from_micros(us))
}

/// A duration that still changes, rounded up to whole seconds: `6 s`, `2 min 05 s`, `1 h 12 min`.
pub fn clock(duration: Duration) -> String {
    match duration.as_secs_f64().ceil() as u64 {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds => time(Duration::from_secs(seconds)),
    }
}

/// A duration in milliseconds, also if it is long; for columns of durations that readers compare.
pub fn milliseconds(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1e3)
}

/// A number with its noun: `1 file`, `2 files`.
pub fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// The verb for this number: `1 file was`, `2 files were`.
pub fn was(number: u64) -> &'static str {
    if number == 1 { "was" } else { "were" }
}

/// A part of a whole in percent, with one decimal: 66.6; `None` if the whole is 0.
///
/// Rounded towards zero, so that 100 means that nothing is missing. The result is 0 only if the part is 0.
pub fn percent(part: u64, whole: u64) -> Option<f64> {
    let tenths = (u128::from(part) * 1000).checked_div(u128::from(whole))?;
    Some(tenths.max(u128::from(part.min(1))) as f64 / 10.0)
}

/// A part of a whole as text: `66.6 %`; a dash if the whole is 0.
pub fn rate(part: u64, whole: u64) -> String {
    percentage(percent(part, whole))
}

/// A percentage as text: `66.6 %`; a dash for `None`.
pub fn percentage(percent: Option<f64>) -> String {
    percent.map_or_else(|| "-".to_owned(), |percent| format!("{percent:.1} %"))
}

/// The part of the files with something to check that passed, in percent.
pub fn pass_rate(counts: &Counts) -> Option<f64> {
    percent(counts.passed, counts.planned.saturating_sub(counts.ignored))
}

/// The part of the records that were run and passed, in percent.
pub fn record_rate(records: &RecordCounts) -> Option<f64> {
    percent(records.passed, records.passed.saturating_add(records.failed))
}

/// A text that XML and HTML accept: characters that these forbid become U+FFFD.
pub fn valid_xml(text: &str) -> String {
    let allowed = |c: char| match c {
        '\t' | '\n' | '\r' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        c => c >= ' ',
    };
    text.chars().map(|c| if allowed(c) { c } else { '\u{fffd}' }).collect()
}

/// A word, quoted for a shell.
pub fn quoted(word: &str) -> String {
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), |word| word.into_owned())
}

/// The first line of a foreign text, escaped, with at most `most` of its characters.
pub fn first_line(text: &str, most: usize) -> String {
    let mut shown = String::new();
    let line = text.trim_start().lines().next().unwrap_or_default();
    for (index, c) in line.trim_end().chars().enumerate() {
        if index == most {
            shown.push('…');
            break;
        }
        shown.push(if c == '\t' { ' ' } else { c });
    }
    escape::line(&shown).into_owned()
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
    fn times_are_in_the_unit_that_fits() {
        let texts = [0, 400, 12_000, 999_400, 3_210_000, 245_000_000, 7_380_000_000].map(time_us);
        assert_eq!(texts, ["0 s", "0.4 ms", "12 ms", "999 ms", "3.21 s", "4 min 05 s", "2 h 03 min"]);
        let clocks = [5_100, 125_000, 4_320_000].map(|ms| clock(Duration::from_millis(ms)));
        assert_eq!(clocks, ["6 s", "2 min 05 s", "1 h 12 min"]);
        assert_eq!(milliseconds(Duration::from_micros(12_345)), "12.35 ms");
    }

    #[test]
    fn a_hundred_percent_is_said_of_all_alone() {
        for (part, whole, text) in [
            (2, 3, "66.6 %"),
            (9_999, 10_000, "99.9 %"),
            (1, 100_000, "0.1 %"),
            (0, 9, "0.0 %"),
            (3, 3, "100.0 %"),
            (0, 0, "-"),
        ] {
            assert_eq!(rate(part, whole), text);
        }
    }

    #[test]
    fn no_character_is_left_that_xml_forbids() {
        assert_eq!(valid_xml("a\u{fffe}b\u{ffff}\u{1}\tc\n\u{1fffe}"), "a\u{fffd}b\u{fffd}\u{fffd}\tc\n\u{1fffe}");
    }

    #[test]
    fn foreign_text_cannot_steer_a_terminal() {
        assert_eq!(first_line("a\x1b[31mb\tc\nd", 80), "a\\u{1b}[31mb c");
        assert_eq!(first_line("\n  abcdef", 3), "abc…");
        assert_eq!(first_line("", 3), "");
    }
}
