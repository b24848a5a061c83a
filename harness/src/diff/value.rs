//! One line of a diff: makes invisible characters visible, and shows where two long lines differ.

use unicode_width::UnicodeWidthStr;

/// How many characters of a long line are shown around a difference; a shorter line is shown whole.
const LONG: usize = 160;

/// How many equal characters are shown before and after a difference in a long line.
const AROUND: usize = 30;

/// From this line length on, the part that differs is marked.
const MARKED: usize = 16;

/// The visible characters of a line: no whitespace, control characters or characters without a width.
pub(super) fn seen(line: &str) -> String {
    line.chars().filter(|char| !char.is_whitespace() && !is_unseen(*char)).collect()
}

/// Whether a character is visible only if it is escaped.
fn is_unseen(char: char) -> bool {
    !matches!(char, '"' | '\'' | '\\' | '\t') && char.escape_debug().len() > 1
}

/// A common line: its whitespace does not matter.
pub(super) fn common(line: &str) -> String {
    if line.chars().any(is_unseen) { format!("{line:?}") } else { line.to_owned() }
}

/// A line of one side only. It is quoted if it is empty, has whitespace at its ends or contains invisible characters. With
/// `only`, it differs from a line of the other side only in invisible characters: then blanks are shown as `·`.
pub(super) fn changed(line: &str, only: bool) -> String {
    if only {
        return format!("{line:?}").replace(' ', "·");
    }
    let plain = !line.is_empty() && line.trim() == line && !line.chars().any(is_unseen);
    if plain { line.to_owned() } else { format!("{line:?}") }
}

/// How many characters two lines have in common at the start.
pub(super) fn common_start(a: &str, b: &str) -> usize {
    a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count()
}

/// A line; if it is long, cut around the character at `from`.
pub(super) fn cut(line: &str, from: usize, whole: bool) -> String {
    let length = line.chars().count();
    if whole || length <= LONG {
        return line.to_owned();
    }
    let from = from.min(length.saturating_sub(LONG - AROUND)).saturating_sub(AROUND);
    piece(line, from, from + LONG, length)
}

/// The characters from `from` to `to` of a line of this length, with `…` where characters are cut off.
fn piece(line: &str, from: usize, to: usize, length: usize) -> String {
    let start = if from > 0 { "…" } else { "" };
    let middle: String = line.chars().skip(from).take(to - from).collect();
    let end = if to < length { format!("… ({length} characters)") } else { String::new() };
    format!("{start}{middle}{end}")
}

/// Two lines that differ, and a line that marks the difference. Long lines are cut around the difference; the mark is empty
/// if it would not help.
pub(super) fn pair(old: &str, new: &str, whole: bool) -> [String; 3] {
    let [length, other] = [old, new].map(|line| line.chars().count());
    let before = common_start(old, new);
    let at_end = old.chars().rev().zip(new.chars().rev()).take_while(|(a, b)| a == b).count();
    let after = at_end.min(length.min(other) - before);
    let differing = (length.max(other) - before - after).max(1);
    let long = length.max(other) > LONG;
    let from = if long { before.saturating_sub(AROUND) } else { 0 };
    let most = if whole { usize::MAX } else { LONG - 2 * AROUND };
    let shown = |line: &str, length: usize| {
        let differing = length - before - after;
        let to = if long { before + differing.min(most) + AROUND } else { length };
        piece(line, from, to.min(length), length)
    };
    let is_marked = length.max(other) > MARKED && before + after > 0;
    let mark = is_marked.then(|| {
        // Characters that are two columns wide count twice.
        let lead: String = old.chars().skip(from).take(before - from).collect();
        let of = |line: &str, length: usize| -> usize {
            let part: String = line.chars().skip(before).take((length - before - after).min(most)).collect();
            part.width()
        };
        let marks = of(old, length).max(of(new, other)).max(differing.min(1));
        format!("{}{}", " ".repeat(lead.width() + usize::from(from > 0)), "^".repeat(marks))
    });
    [shown(old, length), shown(new, other), mark.unwrap_or_default()]
}
