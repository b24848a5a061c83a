//! Numbers and times as readers see them.

use crate::report::words::rfc3339;

/// A number with thousands separated by a non-breaking space.
pub(super) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

pub(super) fn share(part: u64, whole: u64) -> String {
    format!("{:.2}%", part as f64 / whole.max(1) as f64 * 100.0)
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A point in time, once for machines and once for readers; `None` if unknown.
pub(super) fn moment(since_epoch_us: u64) -> Option<(String, String)> {
    let known = Some(since_epoch_us).filter(|us| *us > 0)?;
    let machines = rfc3339(known);
    let (date, time) = machines.trim_end_matches('Z').split_once('T')?;
    let mut parts = date.split('-').map(|part| part.parse::<usize>().unwrap_or_default());
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let people = format!("{day} {} {year}, {time}", MONTHS.get(month.checked_sub(1)?)?);
    Some((machines, people))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_formatted_for_readers() {
        assert_eq!(
            (number(0), number(999), number(1_234_567)),
            ("0".into(), "999".into(), "1\u{202f}234\u{202f}567".into())
        );
        assert_eq!(moment(0), None);
        let (machine, human) = moment(1_790_000_000_000_000).unwrap();
        assert_eq!((machine.as_str(), human.as_str()), ("2026-09-21T14:13:20Z", "21 September 2026, 14:13:20"));
    }
}
