//! One line of a diff: what is not seen, and where two long lines differ.

use unicode_width::UnicodeWidthStr;

/// How many characters of a line are shown around a difference; a shorter line is shown whole.
const LONG: usize = 160;

/// How many equal characters are shown before and after a difference in a long line.
const AROUND: usize = 30;

/// From this length on, the part that differs is marked.
const MARKED: usize = 16;

/// What is seen of a line: not its whitespace, nor its control characters and characters without a width.
pub(super) fn seen(line: &str) -> String {
    line.chars().filter(|char| !char.is_whitespace() && !is_unseen(*char)).collect()
}

/// Whether a character is only seen if it is escaped.
fn is_unseen(char: char) -> bool {
    !matches!(char, '"' | '\'' | '\\' | '\t') && char.escape_debug().len() > 1
}

/// A common line: its whitespace does not matter.
pub(super) fn common(line: &str) -> String {
    if line.chars().any(is_unseen) { format!("{line:?}") } else { line.to_owned() }
}

/// A line of one side only: quoted if it is empty, has whitespace at its ends or holds characters that are not seen.
/// Blanks are shown as `·` if it differs from one of the other side `only` in what is not seen.
pub(super) fn changed(line: &str, only: bool) -> String {
    if only {
        return format!("{line:?}").replace(' ', "·");
    }
    let plain = !line.is_empty() && line.trim() == line && !line.chars().any(is_unseen);
    if plain { line.to_owned() } else { format!("{line:?}") }
}

/// How many characters two lines have in common at their start.
pub(super) fn common_start(a: &str, b: &str) -> usize {
    a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count()
}

/// A line, cut around the character at `from` if it is long.
pub(super) fn cut(line: &str, from: usize, whole: bool) -> String {
    let length = line.chars().count();
    if whole || length <= LONG {
        return line.to_owned();
    }
    let from = from.min(length.saturating_sub(LONG - AROUND)).saturating_sub(AROUND);
    piece(line, from, from + LONG, length)
}

/// The characters from `from` to `to` of a line of this length, with `…` for what is cut off.
fn piece(line: &str, from: usize, to: usize, length: usize) -> String {
    let start = if from > 0 { "…" } else { "" };
    let middle: String = line.chars().skip(from).take(to - from).collect();
    let end = if to < length { format!("… ({length} characters)") } else { String::new() };
    format!("{start}{middle}{end}")
}

/// Two lines that differ, cut around what differs if they are long, and a line that marks it; empty if it would not help.
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
        // Under characters of two columns, too.
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
