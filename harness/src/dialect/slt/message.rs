//! Errors about what the `sqllogictest` crate cannot parse.

use sqllogictest::parser::ParseErrorKind;

use crate::script::source::quote;

/// All directives.
const KNOWN: [&str; 13] = [
    "skipif",
    "onlyif",
    "statement",
    "query",
    "let",
    "system",
    "control",
    "include",
    "connection",
    "subtest",
    "sleep",
    "hash-threshold",
    "halt",
];

/// The directive that was perhaps meant by an unknown word: one with a typing error, or a short form such as `stmt`.
fn meant(word: &str) -> Option<&'static str> {
    let word = word.to_lowercase();
    let length = word.chars().count();
    let (distance, near) = KNOWN.iter().map(|known| (strsim::osa_distance(known, &word), *known)).min()?;
    if distance <= 2 && length > 3 * distance {
        return Some(near);
    }
    let is_short_for = |known: &&str| {
        let mut letters = known.chars();
        word.chars().next() == known.chars().next() && word.chars().all(|letter| letters.any(|other| other == letter))
    };
    KNOWN.into_iter().filter(|_| length >= 4).find(is_short_for)
}

/// A parse error of the crate in words for users who do not know the crate.
pub(super) fn in_our_words(kind: &ParseErrorKind) -> String {
    // Shows at most one word, and shortens a long one: the file may contain text that must not be shown.
    let word = |text: &str| quote(text.split_whitespace().next().unwrap_or_default().as_bytes());
    match kind {
        ParseErrorKind::InvalidLine(line) => {
            let mut words = line.split_whitespace();
            let directive = words.next().unwrap_or_default();
            let kind = quote(words.next().unwrap_or_default().as_bytes());
            match directive {
                "statement" => format!("`statement` needs `ok`, `error` or `count N`, not {kind}"),
                "system" => format!("`system` needs `ok`, not {kind}"),
                "connection" | "subtest" => format!("`{directive}` takes one name"),
                "include" => "`include` takes one path or pattern".to_owned(),
                "sleep" => "`sleep` takes one time such as `10ms` or `2s`".to_owned(),
                "hash-threshold" => "`hash-threshold` takes one number".to_owned(),
                "let" => "`let` takes the names of variables".to_owned(),
                "halt" => "`halt` takes nothing".to_owned(),
                "control" => "`control` takes `sortmode`, `resultmode` or `substitution`, and one value".to_owned(),
                unknown => {
                    let hint = match meant(unknown) {
                        _ if unknown.starts_with('#') => "; a comment begins in the first column".to_owned(),
                        Some(known) => format!("; did you mean `{known}`?"),
                        None => format!(" (a `.slt` file knows {})", KNOWN.join(", ")),
                    };
                    format!("unknown directive {}{hint}", word(line))
                }
            }
        }
        ParseErrorKind::InvalidErrorMessage(pattern) => {
            format!("{} is not a regular expression", quote(pattern.as_bytes()))
        }
        ParseErrorKind::InvalidSortMode(mode) => {
            let mode = word(mode);
            format!("unknown mode {mode}: nosort, rowsort or valuesort; for `resultmode` rowwise or valuewise")
        }
        ParseErrorKind::InvalidNumber(text) => format!("{} is not a number", word(text)),
        ParseErrorKind::InvalidDuration(text) => format!("{} is not a time such as `10ms` or `2s`", word(text)),
        ParseErrorKind::InvalidControl(text) => format!("unknown setting {}: on or off", word(text)),
        ParseErrorKind::InvalidVariableName(name) => {
            format!("{} cannot be a variable: letters, digits and `_`, the first no digit", word(name))
        }
        ParseErrorKind::InvalidRetryConfig(_) => {
            "`retry` takes a number of tries, at least 1, then `backoff` and a time".to_owned()
        }
        ParseErrorKind::UnexpectedToken(text) => format!("unexpected {} behind the directive", word(text)),
        ParseErrorKind::StatementHasResults => "a `statement` has no results: `----` belongs to a `query`".to_owned(),
        ParseErrorKind::DuplicatedErrorMessage => {
            "an error is expected twice, behind `error` and below `----`".to_owned()
        }
        kind => quote(kind.to_string().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directive_that_was_meant_is_near_or_written_in_full() {
        for (word, known) in [
            ("stmt", Some("statement")),
            ("Statment", Some("statement")),
            ("qurey", Some("query")),
            ("conn", Some("connection")),
            ("skip", Some("skipif")),
            ("\u{feff}statement", Some("statement")),
            ("set", None),
            ("test", None),
            ("nonsense", None),
        ] {
            assert_eq!(meant(word), known, "{word}");
        }
    }
}
