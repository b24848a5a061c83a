//! Failures and diffs in colour, for a terminal. The output stream removes the colours if the user wants none.

use anstyle::{AnsiColor, Style};

use crate::escape;
use crate::outcome::{Failure, Part};

/// A text in this colour.
pub fn painted(text: &str, color: AnsiColor) -> String {
    styled(text, Style::new().fg_color(Some(color.into())))
}

/// A failure, escaped.
pub fn failure(failure: &Failure) -> String {
    let parts = failure.parts().into_iter().map(|(part, text)| match part {
        Part::Message => match text.split_once('\n') {
            Some((first, rest)) => {
                format!("{}\n{}", styled(&escape::text(first), Style::new().bold()), escape::text(rest))
            }
            None => styled(&escape::text(&text), Style::new().bold()),
        },
        Part::Diff | Part::Reference => diff(&text),
        Part::Sql | Part::Returned | Part::Place => escape::text(&text).into_owned(),
    });
    parts.collect::<Vec<_>>().join("\n")
}

/// A diff, escaped.
pub fn diff(text: &str) -> String {
    let text = escape::text(text);
    let lines = text.split('\n').map(|line| {
        let color = match line.as_bytes() {
            [b'-', ..] => AnsiColor::Red,
            [b'+', ..] => AnsiColor::Green,
            [b'?', ..] => AnsiColor::Yellow,
            [b'@', b'@', ..] => AnsiColor::Cyan,
            _ => return line.to_owned(),
        };
        painted(line, color)
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn styled(text: &str, style: Style) -> String {
    format!("{style}{text}{style:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_all_that_is_added() {
        let shown = Failure {
            file: "a.test".into(),
            line: 3,
            message: "first\nsecond \u{1b}[31m".into(),
            sql: "SELECT 1".into(),
            diff: "@@ line 5 @@\n  1\n- 2\n+ 3\n? ^".into(),
            ..Failure::default()
        };
        let text = failure(&shown);
        assert!(text.contains("\u{1b}[31m- 2\u{1b}[0m\n\u{1b}[32m+ 3\u{1b}[0m\n"), "{text:?}");
        assert_eq!(anstream::adapter::strip_str(&text).to_string(), escape::text(&shown.to_string()));
    }
}
