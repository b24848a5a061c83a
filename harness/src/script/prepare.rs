//! Makes an `.slt` text fit for the `sqllogictest` crate's parser, line for line.
//!
//! The parser there (0.29) knows conditions on statements and queries only, and lets those of a `halt`, `sleep`,
//! `include` or `control` leak onto the next record; takes a comment behind `skipif x` for a third word; and sees no
//! separator in a line of blanks. So conditions are settled here, before it: a record that does not apply becomes empty
//! lines, and the text ends at a `halt` that applies. Line numbers stay those of the file.

use super::SyntaxError;
use super::condition::{Condition, Labels};
use super::source::Lines;

/// A text for the crate's parser.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Prepared {
    /// The text, each line where it was.
    pub text: String,
    /// The lines of the records that do not apply.
    pub skipped: Vec<u64>,
    /// The line of the `halt` that ended it.
    pub halted: Option<u64>,
}

/// What the next line is part of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Directive,
    /// SQL or a command; the flag says whether this is its first line.
    Body(Body, bool),
    /// Rows below `----`, up to a blank line.
    Rows,
    /// Text below `----`, up to two blank lines.
    Text {
        blank_before: bool,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    /// `let`: no `----`.
    Plain,
    /// A query: rows follow `----`.
    Rows,
    /// An expected error or output: text follows `----`.
    Text,
}

/// Prepares a text for an engine with these labels.
pub(super) fn prepare(text: &[u8], labels: &Labels) -> Result<Prepared, SyntaxError> {
    let mut prepared = Prepared { text: String::with_capacity(text.len() + 1), skipped: Vec::new(), halted: None };
    let mut place = Place::Directive;
    // The record's conditions and `connection` line: where they stand, and whether they exclude it.
    let mut pending: Option<(u64, usize)> = None;
    let mut excluded = false;
    let mut skipping = false;
    let mut lines = Lines::new(text);
    while let Some(line) = lines.next() {
        let number = lines.number();
        let raw = std::str::from_utf8(line.text)
            .map_err(|error| SyntaxError::new(number, format!("this line is not UTF-8: {error}")))?;
        let blank = line.is_blank();
        let mut kept = if blank { "" } else { raw };
        match place {
            // The crate takes a line of any white space, ASCII or not, for none.
            Place::Directive if raw.trim_start().is_empty() || raw.starts_with('#') => {}
            Place::Directive => {
                let words: Vec<&str> = raw.split_whitespace().take_while(|word| !word.starts_with('#')).collect();
                let body = match words.as_slice() {
                    [directive @ ("skipif" | "onlyif"), rest @ ..] => {
                        let [name] = rest else {
                            let message = format!("`{directive}` takes the name of one engine, then `# a comment`");
                            return Err(SyntaxError::new(number, message));
                        };
                        let name = name.as_bytes();
                        let skip_if = *directive == "skipif";
                        excluded |=
                            labels.exclude(if skip_if { Condition::SkipIf(name) } else { Condition::OnlyIf(name) });
                        pending = pending.or(Some((number, prepared.text.len())));
                        prepared.text.push('\n');
                        continue;
                    }
                    ["connection", ..] => {
                        pending = pending.or(Some((number, prepared.text.len())));
                        None
                    }
                    ["halt"] if !excluded => {
                        prepared.halted = Some(number);
                        return Ok(prepared);
                    }
                    ["let", ..] => Some(Body::Plain),
                    ["statement" | "query", "error", ..] | ["system", ..] => Some(Body::Text),
                    ["statement" | "query", ..] => Some(Body::Rows),
                    _ => {
                        // A directive without a body: it takes its conditions with it.
                        if excluded {
                            blank_out(&mut prepared.text, pending);
                            kept = "";
                        }
                        (pending, excluded) = (None, false);
                        None
                    }
                };
                if let Some(body) = body {
                    if excluded {
                        blank_out(&mut prepared.text, pending);
                        prepared.skipped.push(number);
                    }
                    (skipping, pending, excluded) = (excluded, None, false);
                    place = Place::Body(body, true);
                }
            }
            Place::Body(_, true) if blank => {
                return Err(SyntaxError::new(number - 1, "this record has no SQL on the line below it"));
            }
            Place::Body(_, _) if blank => place = Place::Directive,
            Place::Body(Body::Rows | Body::Text, true) if raw.trim_end() == "----" => {
                return Err(SyntaxError::new(number - 1, "this record has no SQL on the line below it"));
            }
            Place::Body(Body::Rows, _) if raw.trim_end() == "----" => (kept, place) = ("----", Place::Rows),
            Place::Body(Body::Text, _) if raw.trim_end() == "----" => {
                (kept, place) = ("----", Place::Text { blank_before: false });
            }
            Place::Body(body, _) => place = Place::Body(body, false),
            Place::Rows if blank => place = Place::Directive,
            Place::Text { blank_before: true } if blank => place = Place::Directive,
            Place::Text { .. } => place = Place::Text { blank_before: blank },
            Place::Rows => {}
        }
        prepared.text.push_str(if skipping { "" } else { kept });
        prepared.text.push('\n');
        skipping &= place != Place::Directive;
    }
    match pending {
        Some((number, _)) => Err(SyntaxError::new(number, "this line stands before no record")),
        _ if matches!(place, Place::Body(_, true)) => {
            Err(SyntaxError::new(lines.number(), "this record has no SQL on the line below it"))
        }
        _ => Ok(prepared),
    }
}

/// Empties the lines written since a record's first condition or `connection` line.
fn blank_out(text: &mut String, pending: Option<(u64, usize)>) {
    if let Some((_, start)) = pending {
        let count = text[start..].matches('\n').count();
        text.truncate(start);
        text.extend(std::iter::repeat_n('\n', count));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(text: &str) -> Prepared {
        let prepared = prepare(text.as_bytes(), &Labels::new(["sqlite"])).unwrap();
        let lines = |text: &str| text.lines().count();
        assert!(prepared.halted.is_some() || lines(&prepared.text) == lines(text), "{:?}", prepared.text);
        prepared
    }

    fn complaint(text: &str) -> (u64, String) {
        let error = prepare(text.as_bytes(), &Labels::new(["sqlite"])).unwrap_err();
        (error.line, error.message)
    }

    #[test]
    fn conditions_are_settled_and_comments_behind_them_dropped() {
        let text = "onlyif SQLite # why\nskipif mysql\nstatement ok\nA\n\nskipif sqlite\nconnection x\nquery I\nB\n----\n1\n\nstatement ok\nC\n";
        let prepared = prepared(text);
        assert_eq!(prepared.text, "\n\nstatement ok\nA\n\n\n\n\n\n\n\n\nstatement ok\nC\n");
        assert_eq!(prepared.skipped, [8]);
    }

    #[test]
    fn conditions_of_other_directives_do_not_leak() {
        assert_eq!(
            prepared("skipif sqlite\n\u{a0}\nstatement ok\nA\n").skipped,
            [3],
            "a line of blanks is no directive"
        );
        let text = "onlyif mysql\nsleep 1h\n\nskipif sqlite\nhalt\n\nskipif mysql\nsleep 1ms\nstatement ok\nA\n";
        assert_eq!(prepared(text).text, "\n\n\n\n\n\n\nsleep 1ms\nstatement ok\nA\n");
    }

    #[test]
    fn the_text_ends_at_a_halt_that_applies() {
        let prepared = prepared("statement ok\nA\n\nonlyif sqlite\nhalt\n\nnonsense\n");
        assert_eq!((prepared.text.as_str(), prepared.halted), ("statement ok\nA\n\n\n", Some(5)));
    }

    #[test]
    fn blanks_part_records_and_delimiters_may_trail_blanks() {
        let text = "\u{feff}query I\nA\n---- \n1\n \t\nstatement error\nB\n----\nfirst\n\nhalt\n\n\nstatement ok\nC\n";
        let expected = "query I\nA\n----\n1\n\nstatement error\nB\n----\nfirst\n\nhalt\n\n\nstatement ok\nC\n";
        assert_eq!(prepared(text).text, expected);
    }

    #[test]
    fn what_the_parser_would_swallow_is_an_error() {
        assert_eq!(complaint("statement ok\n\nstatement ok\nA\n").0, 1);
        assert_eq!(complaint("query I\n----\n1\n").0, 1);
        assert_eq!(complaint("\nstatement ok\n").0, 2);
        assert_eq!(complaint("onlyif\nstatement ok\nA\n").0, 1);
        assert_eq!(complaint("statement ok\nA\n\nonlyif mysql\n"), (4, "this line stands before no record".into()));
        assert!(prepare(b"statement ok\n\xff\n", &Labels::default()).unwrap_err().message.contains("not UTF-8"));
    }
}
