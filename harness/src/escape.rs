//! Makes foreign text safe for a terminal, a log or GitHub.
//!
//! SQL, values, file names, reasons and error messages come from test files, engines and drivers. Terminals interpret
//! control characters in them, and GitHub interprets lines that begin with `::` or contain `##[`. All output goes
//! through this module; ordinary text in any script is unchanged. HTML and JUnit have their own rules.

use std::borrow::Cow;

/// Text of several lines: without control characters except tabs and line feeds, and without anything that GitHub
/// interprets.
///
/// The program's own lines may be part of it, but no colours: these are added to escaped text.
pub(crate) fn text(text: &str) -> Cow<'_, str> {
    escaped(text, true)
}

/// Like [`text`], but on one line, for a name, a reason or a cell of a table.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    escaped(text, false)
}

/// JSON that is safe in a log: the same values in characters that neither a terminal nor GitHub interprets.
///
/// `json` is valid JSON. Replaced characters can occur only in its strings.
pub(crate) fn json(json: &str) -> Cow<'_, str> {
    if !json.contains("##[") && !json.chars().any(is_obeyed) {
        return Cow::Borrowed(json);
    }
    let mut safe = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        match c {
            // Carriage returns outside of strings are whitespace, equivalent to blanks.
            '\r' => safe.push(' '),
            '[' if safe.ends_with("##") => safe.push_str("\\u005b"),
            c if is_obeyed(c) => safe.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

/// Whether a terminal may interpret a character or reorder what follows: C0 except tabs and line feeds, DEL, C1, line
/// and paragraph separators, and bidirectional controls.
pub(crate) fn is_obeyed(c: char) -> bool {
    match c {
        '\t' | '\n' => false,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        c => c.is_control(),
    }
}

/// Whether GitHub still recognises `::` if only such characters are before it.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{200b}' | '\u{feff}')
}

fn escaped(text: &str, keeps_lines: bool) -> Cow<'_, str> {
    let is_wrong = |c: char| is_obeyed(c) || (c == '\n' && !keeps_lines);
    let is_command = |line: &str| line.trim_start_matches(is_blank).starts_with("::");
    if !text.chars().any(is_wrong) && !text.contains("##[") && !text.split('\n').any(is_command) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    // Whether there have been only blanks since the start of the line.
    let mut at_start = true;
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\n' if !keeps_lines => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            c if is_obeyed(c) => safe.extend(c.escape_unicode()),
            ':' if at_start && characters.peek() == Some(&':') => safe.push_str("\\:"),
            '[' if safe.ends_with("##") => safe.push_str("\\["),
            c => safe.push(c),
        }
        at_start = (c == '\n' && keeps_lines) || (at_start && is_blank(c) && !is_wrong(c));
    }
    Cow::Owned(safe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn control_sequences_and_github_commands_are_shown_escaped() {
        assert_eq!(text("a\x1b[2Jb\rc\u{9b}1m\u{7f}"), "a\\u{1b}[2Jb\\rc\\u{9b}1m\\u{7f}");
        assert_eq!(text("x\u{202e}y\u{2066}z\u{2028}"), "x\\u{202e}y\\u{2066}z\\u{2028}");
        assert_eq!(text("a\n \t::error::x\n:::x\na::int"), "a\n \t\\::error::x\n\\:::x\na::int");
        assert_eq!(text("\u{a0}\u{feff}::error::x"), "\u{a0}\u{feff}\\::error::x");
        assert_eq!(text("a ##[error]x ###[y"), "a ##\\[error]x ###\\[y");
        // Escaped text cannot hide a command after it, and an escaped line end does not start a new line.
        assert_eq!(text("\u{1b}::x"), "\\u{1b}::x");
        assert_eq!(line("a\n::b"), "a\\n::b");
    }

    #[test]
    fn ordinary_text_comes_out_unchanged() {
        for ordinary in ["", "SELECT 1\n\tFROM t\n", "größer 表 שלום مرحبا 👩‍👩‍👧 \u{301}", "a:b ::c #[ ##", "\\n \\u{1b}"]
        {
            assert!(matches!(text(ordinary), Cow::Borrowed(same) if same == ordinary), "{ordinary}");
        }
    }

    /// Pieces of dangerous text, and any other text.
    fn foreign() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("::".to_owned()),
            Just(":".to_owned()),
            Just("##[".to_owned()),
            Just("#".to_owned()),
            Just("[".to_owned()),
            Just("\n".to_owned()),
            Just(" ".to_owned()),
            Just("\t".to_owned()),
            Just("\r".to_owned()),
            Just("\u{1b}[2J".to_owned()),
            any::<char>().prop_map(String::from),
            "\\PC{0,4}",
        ];
        prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    /// Whether a line only displays itself and triggers nothing.
    fn is_inert(line: &str) -> bool {
        let bidi = |c: char| matches!(u32::from(c), 0x61c | 0x200e..=0x200f | 0x2028..=0x202e | 0x2066..=0x2069);
        let control = |c: char| (c.is_control() && c != '\t') || bidi(c);
        !line.contains(control) && !line.trim_start().starts_with("::") && !line.contains("##[")
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2048) })]

        #[test]
        fn nothing_that_is_shown_is_obeyed(foreign in foreign()) {
            let shown = text(&foreign);
            prop_assert!(shown.split('\n').all(is_inert), "{shown:?}");
            prop_assert_eq!(shown.matches('\n').count(), foreign.matches('\n').count());
            let one = line(&foreign);
            prop_assert!(is_inert(&one) && !one.contains('\n'), "{one:?}");
            if foreign.split('\n').all(is_inert) && !foreign.contains(['\u{200b}', '\u{feff}']) {
                prop_assert_eq!(&*shown, &foreign);
            }
        }

        #[test]
        fn json_keeps_its_values(foreign in foreign()) {
            let value = serde_json::json!({ &foreign: [foreign, "##[error]x"] });
            for written in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                let shown = json(&written);
                prop_assert!(shown.split('\n').all(is_inert), "{shown:?}");
                prop_assert_eq!(&serde_json::from_str::<serde_json::Value>(&shown).unwrap(), &value);
            }
        }
    }
}
