//! Diffs of two results or files.

use std::borrow::Cow;
use std::time::Duration;

use similar::{ChangeTag, TextDiff};

/// How many bytes of a text a message shows: an engine that returns megabytes must not flood a terminal.
pub(super) const LONGEST: usize = 4096;

/// How many bytes of a diff of whole files a message shows.
const LONGEST_UNIFIED: usize = 64 << 10;

/// The number of context lines around a difference.
const CONTEXT: usize = 3;

/// How many bytes of two long texts are compared, from the first line that differs.
const COMPARED: usize = 256 << 10;

/// After this time, a diff is no longer minimised: it is correct, but may be longer than necessary.
const PATIENCE: Duration = Duration::from_millis(500);

/// The lines of both texts, those only in `expected` after `-`, those only in `actual` after `+`.
///
/// Long runs of equal lines are replaced by a line that says how many; at most `longest` bytes are shown. A line with
/// invisible characters, such as a trailing blank or a zero-width character, is quoted.
pub(super) fn lines(expected: &str, actual: &str, longest: usize) -> String {
    // End all lines with a line feed, so that the last line of the shorter text equals the others.
    let whole = |text: &str| if text.is_empty() { String::new() } else { format!("{text}\n") };
    let (expected, actual) = (whole(expected), whole(actual));
    let same = expected.split_inclusive('\n').zip(actual.split_inclusive('\n')).take_while(|(a, b)| a == b);
    let same: Vec<usize> = same.map(|(line, _)| line.len()).collect();
    // Long texts often start with equal lines, which the diff need not search.
    let skipped = same.len().saturating_sub(CONTEXT);
    let start: usize = same[..skipped].iter().sum();
    let compared = |text: &str| text[start..floor(text, start + COMPARED)].to_owned();
    let (expected, actual) = (compared(&expected), compared(&actual));
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(&expected, &actual);
    let mut shown = Vec::new();
    let mut next = 0;
    for group in diff.grouped_ops(CONTEXT) {
        let first = group.first().map_or(0, |op| op.old_range().start);
        let before = if next == 0 { skipped } else { 0 };
        shown.extend(left_out(before + first.saturating_sub(next)));
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let sign = match change.tag() {
                ChangeTag::Equal => ' ',
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
            };
            shown.push(format!("{sign} {}", visible(change.value().trim_end_matches('\n'))).trim_end().to_owned());
        }
        next = group.last().map_or(next, |op| op.old_range().end);
    }
    shown.extend(left_out(diff.old_slices().len().saturating_sub(next)));
    shorten(shown.join("\n"), longest)
}

/// A line, quoted if it has whitespace at its ends or control characters.
fn visible(line: &str) -> Cow<'_, str> {
    let is_unseen = |char: char| !matches!(char, '"' | '\'' | '\\') && char.escape_debug().len() > 1;
    if line.trim() == line && !line.chars().any(is_unseen) {
        Cow::Borrowed(line)
    } else {
        Cow::Owned(format!("{line:?}"))
    }
}

/// The last character boundary at or before `end`.
fn floor(text: &str, end: usize) -> usize {
    (0..=end.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0)
}

/// Two versions of a file in the format of `diff -u`.
pub(super) fn unified(name: &str, old: &[u8], new: &[u8]) -> String {
    let (old, new) = (String::from_utf8_lossy(old), String::from_utf8_lossy(new));
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(&*old, &*new);
    let text = diff.unified_diff().context_radius(CONTEXT).header(name, name).to_string();
    shorten(text.trim_end_matches('\n').to_owned(), LONGEST_UNIFIED)
}

fn left_out(count: usize) -> Option<String> {
    (count > 0).then(|| format!("  … {count} equal lines"))
}

/// A text, or its start and a note of its length.
pub(super) fn shorten(mut text: String, longest: usize) -> String {
    let length = text.len();
    if length > longest {
        text.truncate(floor(&text, longest));
        text.push_str(&format!("\n… {length} bytes in all"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_differences_are_shown_with_some_context() {
        let expected: Vec<String> = (1..=20).map(|n| n.to_string()).collect();
        let mut actual = expected.clone();
        actual[9] = "x".into();
        let shown = lines(&expected.join("\n"), &actual.join("\n"), LONGEST);
        assert_eq!(shown, "  … 6 equal lines\n  7\n  8\n  9\n- 10\n+ x\n  11\n  12\n  13\n  … 7 equal lines");
        assert_eq!(lines("1\n2", "1", LONGEST), "  1\n- 2");
        assert_eq!(lines("", "1", LONGEST), "+ 1");
    }

    #[test]
    fn invisible_characters_are_quoted() {
        let shown = lines("a\n b", "a \nb\tc\n\u{1b}[31m", LONGEST);
        assert_eq!(lines("a b", "a\u{a0}b", LONGEST), "- a b\n+ \"a\\u{a0}b\"");
        assert_eq!(lines("ab", "a\u{200b}b", LONGEST), "- ab\n+ \"a\\u{200b}b\"");
        assert_eq!(shown, "- a\n- \" b\"\n+ \"a \"\n+ \"b\\tc\"\n+ \"\\u{1b}[31m\"");
    }

    #[test]
    fn two_texts_that_share_nothing_are_compared_in_bounded_time() {
        let text = |offset: u32| (0..50_000).map(|n| (n * 7 + offset).to_string()).collect::<Vec<_>>().join("\n");
        let shown = lines(&text(1), &text(2), LONGEST);
        assert!(shown.starts_with("- 1\n") && shown.len() < LONGEST + 40, "{}", &shown[..80]);
    }

    #[test]
    fn a_difference_far_down_is_found() {
        let expected: Vec<String> = (1..=100_000).map(|n| n.to_string()).collect();
        let mut actual = expected.clone();
        actual[90_000] = "x".into();
        let shown = lines(&expected.join("\n"), &actual.join("\n"), LONGEST);
        let near = "  … 89997 equal lines\n  89998\n  89999\n  90000\n- 90001\n+ x\n  90002\n  90003\n  90004\n  … 9996 equal lines";
        assert_eq!(shown, near);
        let all = lines(&expected.join("\n"), "", LONGEST);
        assert!(all.len() < LONGEST + 40 && all.ends_with(" bytes in all"), "{}", all.len());
    }

    #[test]
    fn very_long_texts_are_cut_between_characters() {
        let text = shorten("é".repeat(1 << 20), LONGEST);
        assert!(text.len() < LONGEST + 40 && text.ends_with("… 2097152 bytes in all"), "{}", &text[LONGEST - 8..]);
        assert_eq!(shorten("short".into(), LONGEST), "short");
    }
}
