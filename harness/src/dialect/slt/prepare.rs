//! Prepares an `.slt` text for the parser of the `sqllogictest` crate.
//!
//! That parser (0.29) supports conditions only on statements and queries. It applies the conditions of a `halt`, `sleep`,
//! `include` or `control` to the next record, and takes a comment after `skipif x` for a third word. So conditions are
//! evaluated here, before the parser runs: a record that does not apply is left out, and the text ends at a `halt` that
//! applies. Comments and repeated empty lines between records are left out too, because that parser makes a record of each
//! of them. If it would take one record for a part of another, that is an error here.

use crate::dialect::{Dialect, foreign};
use crate::script::source::Lines;
use crate::script::{Condition, Labels, SyntaxError};

/// A text for the crate's parser.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Prepared {
    /// The text, without the lines that were handled here or have no meaning.
    pub text: String,
    /// The gaps: from this line of the text on, this many lines of the file are missing.
    missing: Vec<(u64, u64)>,
    /// The lines of the records that do not apply.
    pub skipped: Vec<u64>,
    /// The line of the `halt` that ended the text.
    pub halted: Option<u64>,
    /// The file's text after `error`, for each line that has [`ANY_ERROR`] instead, with the line's number in the file; in
    /// order.
    pub errors: Vec<(u64, String)>,
}

/// The text after `error` that the crate's parser reads instead of a pattern. It means an error without a pattern. For any
/// other text, or none, the parser compiles a separate expression for each line, which took half of the time of reading a
/// file.
const ANY_ERROR: &str = "retry 1 backoff 0s";

impl Prepared {
    /// The line of the file that corresponds to this line of the text.
    pub fn line(&self, line: u64) -> u64 {
        let index = self.missing.partition_point(|(from, _)| *from <= line);
        line + index.checked_sub(1).map_or(0, |index| self.missing[index].1)
    }
}

/// Builds the prepared text.
struct Writer {
    prepared: Prepared,
    /// How many lines the text has.
    count: u64,
}

impl Writer {
    /// Adds a line, which has this number in the file.
    fn push(&mut self, line: &str, number: u64) {
        self.count += 1;
        let missing = number - self.count;
        if self.prepared.missing.last().map_or(0, |(_, missing)| *missing) != missing {
            self.prepared.missing.push((self.count, missing));
        }
        self.prepared.text.push_str(line);
        self.prepared.text.push('\n');
    }
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
    let prepared = Prepared {
        text: String::with_capacity(text.len() + 1),
        missing: Vec::new(),
        skipped: Vec::new(),
        halted: None,
        errors: Vec::new(),
    };
    let mut writer = Writer { prepared, count: 0 };
    let mut place = Place::Directive;
    // The line of the first condition or `connection` before the record.
    let mut pending: Option<u64> = None;
    // Whether a `connection` line waits for the statement, query or `let` that uses it up.
    let mut has_connection = false;
    let mut excluded = false;
    let mut skipping = false;
    // The line of the directive whose body is being read.
    let mut directive_line = 0;
    let mut lines = Lines::new(text);
    // The whole text is checked at once, which is faster than line by line. If it is not UTF-8, the loop searches for the
    // line.
    let whole = std::str::from_utf8(text).ok();
    while let Some(line) = lines.next() {
        let number = lines.number();
        let raw = match whole.and_then(|whole| whole.get(line.start..line.end())) {
            Some(raw) => raw,
            None => std::str::from_utf8(line.text)
                .map_err(|error| SyntaxError::new(number, format!("this line is not UTF-8: {error}")))?,
        };
        let empty = raw.is_empty();
        let mut replaced = None;
        match place {
            // The crate ignores a line that consists of white space, ASCII or not.
            Place::Directive if raw.trim_start().is_empty() || raw.starts_with('#') => continue,
            Place::Directive => {
                let words: Vec<&str> = raw.split_whitespace().take_while(|word| !word.starts_with('#')).collect();
                // A fast path: most records begin with words that belong to this dialect.
                let is_own = matches!(words.as_slice(), ["statement", "ok" | "error" | "count", ..] | ["query", ..]);
                if let ["statement", "ok", name] = words.as_slice()
                    && *name != "retry"
                    && raw.split_whitespace().count() == 3
                {
                    return Err(foreign::connection(number, name, Dialect::Slt));
                }
                if !is_own && let Some(error) = foreign::of_words(number, &words, Dialect::Slt) {
                    return Err(error);
                }
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
                        pending = pending.or(Some(number));
                        continue;
                    }
                    ["connection", ..] => {
                        pending = pending.or(Some(number));
                        has_connection = true;
                        None
                    }
                    ["halt"] if !(excluded || labels.are_undecided() && pending.is_some()) => {
                        writer.prepared.halted = Some(number);
                        return Ok(writer.prepared);
                    }
                    ["let", ..] => Some(Body::Plain),
                    ["statement" | "query", "error", ..] | ["system", ..] => Some(Body::Text),
                    ["statement" | "query", ..] => Some(Body::Rows),
                    _ => {
                        // A directive without a body: if it is left out, its conditions are left out with it.
                        let leave_out = excluded || words == ["halt"];
                        (pending, excluded) = (None, false);
                        if leave_out {
                            continue;
                        }
                        None
                    }
                };
                if let ([directive @ ("statement" | "query"), "error", ..], false) = (words.as_slice(), excluded) {
                    let tokens: Vec<&str> = raw.split_whitespace().skip(2).collect();
                    if !matches!(tokens.as_slice(), ["retry", _, "backoff", _]) {
                        writer.prepared.errors.push((number, tokens.join(" ")));
                        replaced = Some(format!("{directive} error {ANY_ERROR}"));
                    }
                }
                if let Some(body) = body {
                    let uses_connection = has_connection && words[0] != "system";
                    has_connection &= !uses_connection;
                    if excluded {
                        if uses_connection {
                            writer.push("connection default", number);
                        }
                        writer.prepared.skipped.push(number);
                    }
                    (skipping, pending, excluded) = (excluded, None, false);
                    place = Place::Body(body, true);
                    directive_line = number;
                }
            }
            // The first line is always SQL, whatever it contains.
            Place::Body(body, true) => place = Place::Body(body, false),
            Place::Body(_, false) if empty => place = Place::Directive,
            Place::Body(Body::Rows | Body::Text, false) if raw != "----" && raw.trim_end() == "----" => {
                let message = "blanks behind `----`: remove them, or the line is a part of the SQL";
                return Err(SyntaxError::new(number, message));
            }
            Place::Body(Body::Rows, false) if raw == "----" => place = Place::Rows,
            Place::Body(Body::Text, false) if raw == "----" => place = Place::Text { blank_before: false },
            Place::Body(_, false) => {
                if number == directive_line + 2 && previous_is_empty(text, line.start) && is_like_a_directive(raw, true)
                {
                    let message = "the record above has no SQL on the line below it";
                    return Err(SyntaxError::new(directive_line, message));
                }
            }
            Place::Rows if empty => place = Place::Directive,
            Place::Rows => {}
            Place::Text { blank_before: true } if empty => place = Place::Directive,
            Place::Text { blank_before } => {
                if is_like_a_directive(raw, blank_before) {
                    let message = format!(
                        "a directive within the text below `----` of the record in line {directive_line}: such a text \
                         ends at two empty lines, so put another one above this line (in DuckDB's dialect it ends at \
                         one: `--dialect duckdb`)"
                    );
                    let known_to = vec![Dialect::DuckDb.name()];
                    return Err(SyntaxError { known_to, ..SyntaxError::new(number, message) });
                }
                place = Place::Text { blank_before: empty };
            }
        }
        if !skipping {
            writer.push(replaced.as_deref().unwrap_or(raw), number);
        }
        skipping &= place != Place::Directive;
    }
    match pending {
        Some(number) => Err(SyntaxError::new(number, "no record follows this line")),
        _ if matches!(place, Place::Body(_, true)) => {
            Err(SyntaxError::new(lines.number(), "this record has no SQL on the line below it"))
        }
        _ => Ok(writer.prepared),
    }
}

/// Whether the line before the one that begins at `start` is empty.
fn previous_is_empty(text: &[u8], start: usize) -> bool {
    let before = text[..start].strip_suffix(b"\n").unwrap_or_default();
    before.strip_suffix(b"\r").unwrap_or(before).ends_with(b"\n")
}

/// Whether a line is probably a directive that became part of another record's text by mistake.
///
/// Words that may well begin a line of an engine's message count only after an empty line.
fn is_like_a_directive(line: &str, after_empty: bool) -> bool {
    if line.starts_with(|first: char| first.is_whitespace()) {
        return false;
    }
    let words: Vec<&str> = line.split_whitespace().take_while(|word| !word.starts_with('#')).collect();
    let letters = |word: &str| {
        word.chars().all(|letter| "TIRBFD?".contains(letter)) || word.chars().all(|letter| "tir".contains(letter))
    };
    match words.as_slice() {
        ["statement", "ok" | "error" | "count", ..] | ["query", "error", ..] | ["system", "ok", ..] => true,
        ["query", word, ..] => letters(word),
        ["query" | "halt"] => true,
        ["skipif" | "onlyif" | "hash-threshold", _] => true,
        ["control", "sortmode" | "resultmode" | "substitution", _] => true,
        ["include" | "sleep" | "connection" | "subtest", _] | ["let", _] => after_empty,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(text: &str) -> Prepared {
        prepare(text.as_bytes(), &Labels::new(["sqlite"])).unwrap()
    }

    /// The lines that remain, each after its number in the file.
    fn left(text: &str) -> Vec<String> {
        let prepared = prepared(text);
        let numbered = prepared.text.lines().zip(1..).map(|(line, number)| format!("{} {line}", prepared.line(number)));
        numbered.collect()
    }

    fn complaint(text: &str) -> (u64, String) {
        let error = prepare(text.as_bytes(), &Labels::new(["sqlite"])).unwrap_err();
        (error.line, error.message)
    }

    #[test]
    fn conditions_are_settled_and_comments_behind_them_dropped() {
        let text = "onlyif SQLite # why\nskipif mysql\nstatement ok\nA\n\nskipif sqlite\nconnection x\nquery I\nB\n----\n1\n\n\n# x\n\nstatement ok\nC\n";
        let expected =
            ["3 statement ok", "4 A", "5 ", "7 connection x", "8 connection default", "16 statement ok", "17 C"];
        assert_eq!(left(text), expected);
        assert_eq!(prepared(text).skipped, [8]);
    }

    #[test]
    fn a_connection_waits_for_a_record_of_sql() {
        let text = "connection x\nskipif sqlite\nsystem ok\ntrue\n\nskipif sqlite\nsleep 1s\nstatement ok\nA\n";
        assert_eq!(left(text), ["1 connection x", "8 statement ok", "9 A"]);
        let text = "connection x\nsleep 1ms\nskipif sqlite\nstatement ok\nA\n\nstatement ok\nB\n";
        let expected = ["1 connection x", "2 sleep 1ms", "4 connection default", "7 statement ok", "8 B"];
        assert_eq!(left(text), expected);
        assert_eq!(complaint("statement ok\nA\n\nconnection x\n").1, "no record follows this line");
    }

    #[test]
    fn conditions_of_other_directives_do_not_leak() {
        assert_eq!(
            prepared("skipif sqlite\n\u{a0}\nstatement ok\nA\n").skipped,
            [3],
            "a line of blanks is not a directive"
        );
        let text = "onlyif mysql\nsleep 1h\n\nskipif sqlite\nhalt\n\nskipif mysql\nsleep 1ms\nstatement ok\nA\n";
        assert_eq!(left(text), ["8 sleep 1ms", "9 statement ok", "10 A"]);
    }

    #[test]
    fn the_text_ends_at_a_halt_that_applies() {
        let text = "statement ok\nA\n\nonlyif sqlite\nhalt\n\nnonsense\n";
        assert_eq!(
            (left(text), prepared(text).halted),
            (vec!["1 statement ok".into(), "2 A".into(), "3 ".into()], Some(5))
        );
    }

    #[test]
    fn only_an_empty_line_separates_and_the_first_line_of_sql_is_any() {
        let text = "query I\nA\n \nB\n----\n1\n \t\n# 2\n\nstatement error\nC\n----\nfirst\n\nsecond\n\n\nstatement ok\n----\nD\n\nquery\n\nE\n";
        let replaced = format!("error {ANY_ERROR}");
        let expected: Vec<String> = text.lines().map(|line| line.replace("error", &replaced)).collect();
        let prepared = prepared(text);
        // The second of two empty lines ends a text.
        assert_eq!(prepared.text.lines().collect::<Vec<_>>(), expected);
        assert_eq!(prepared.errors, [(10, String::new())]);
    }

    #[test]
    fn many_empty_lines_cost_nothing() {
        let prepared = prepared(&format!("statement ok\nA\n{}statement ok\nB\n", "\n".repeat(100_000)));
        assert!(prepared.text.len() < 100 && prepared.missing.len() == 1, "{}", prepared.text.len());
        assert_eq!(prepared.line(4), 100_003);
    }

    #[test]
    fn what_the_parser_would_swallow_is_an_error() {
        assert_eq!(complaint("\nstatement ok\n\nstatement ok\nA\n").0, 2);
        assert_eq!(complaint("\nstatement ok\n").0, 2);
        assert_eq!(complaint("onlyif\nstatement ok\nA\n").0, 1);
        assert_eq!(complaint("statement ok\nA\n\nonlyif mysql\n"), (4, "no record follows this line".into()));
        assert_eq!(complaint("query I\nA\n---- \n1\n").0, 3);
        assert!(prepare(b"statement ok\n\xff\n", &Labels::default()).unwrap_err().message.contains("not UTF-8"));
        for next in [
            "query I",
            "query III rowsort",
            "query error x",
            "statement ok",
            "statement count 2",
            "skipif x # why",
            "halt",
            "let x",
            "include x",
            "system ok",
            "control sortmode rowsort",
            "query",
        ] {
            for skip in ["", "skipif sqlite\n"] {
                let text = format!("{skip}statement error\nA\n----\nno such table\n\n{next}\nB\n");
                let (line, message) = complaint(&text);
                assert_eq!(line as usize, text.lines().count() - 1, "{next}");
                assert!(message.contains("ends at two empty lines"), "{message}");
            }
        }
        for fine in ["query failed", "let us see", "connection refused", "  query I", "queryI"] {
            prepared(&format!("statement error\nA\n----\n{fine}\nB\n\n\nstatement ok\nC\n"));
        }
    }
}
