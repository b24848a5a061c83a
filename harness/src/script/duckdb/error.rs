//! Holds the error of a statement against the block that the script expects.

use regex::RegexBuilder;

/// How a pattern begins.
const MATCHES: &str = "<REGEX>:";
/// How a pattern begins that must not match.
const MATCHES_NOT: &str = "<!REGEX>:";

/// What is expected of a text by a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// It is as expected.
    Agrees,
    /// It is not.
    Differs,
    /// There is no pattern.
    None,
}

/// Whether `text` matches `expected`, if that is a pattern: it must match from the first to the last character, and a dot
/// matches line feeds too.
///
/// # Errors
/// The pattern is none.
pub fn matches(expected: &str, text: &str) -> Result<Pattern, String> {
    let negative = expected.starts_with(MATCHES_NOT);
    if !negative && !expected.starts_with(MATCHES) {
        return Ok(Pattern::None);
    }
    let pattern = expected.replace(if negative { MATCHES_NOT } else { MATCHES }, "");
    let whole = format!(r"\A(?:{pattern})\z");
    let regex = RegexBuilder::new(&whole).dot_matches_new_line(true).build();
    let regex = regex.map_err(|error| format!("`{expected}` is no regular expression: {error}"))?;
    Ok(if regex.is_match(text) != negative { Pattern::Agrees } else { Pattern::Differs })
}

/// Whether an error's message is the expected one. `replaced` is the expected block with names in braces replaced.
///
/// # Errors
/// The pattern is none.
pub fn agrees(message: &str, expected: &str, replaced: &str) -> Result<bool, String> {
    if message.contains(expected) || message.contains(replaced) {
        return Ok(true);
    }
    Ok(matches(expected, &format!("{message}\n"))? == Pattern::Agrees)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_message_is_enough() {
        let message = "Catalog Error: Table with name nope does not exist!\nDid you mean \"hope\"?";
        let agrees = |expected: &str| agrees(message, expected, expected).unwrap();
        assert!(agrees("") && agrees("does not exist") && agrees("exist!\nDid you"));
        assert!(!agrees("does  not exist") && !agrees("catalog error"));
    }

    #[test]
    fn a_pattern_matches_the_whole_message_and_a_line_feed_behind_it() {
        let agrees = |expected: &str| agrees("Catalog Error: nope\ndoes not exist!", expected, expected).unwrap();
        assert!(agrees("<REGEX>:Catalog Error.*nope.*"));
        assert!(!agrees("<REGEX>:Catalog Error.*nope.*exist!"), "the line feed at the end is not matched");
        assert!(!agrees("<REGEX>:.*catalog error.*"));
        assert!(agrees("<!REGEX>:.*Binder.*") && !agrees("<!REGEX>:.*nope.*"));
        assert!(super::agrees("x", "<REGEX>:(", "<REGEX>:(").unwrap_err().contains("no regular expression"));
    }

    #[test]
    fn alternatives_are_matched_as_a_whole() {
        assert_eq!(matches("<REGEX>:a|b", "b"), Ok(Pattern::Agrees));
        assert_eq!(matches("<REGEX>:a|b", "ab"), Ok(Pattern::Differs));
        assert_eq!(matches("ab", "ab"), Ok(Pattern::None));
    }
}
