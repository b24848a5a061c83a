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
    let whole = format!(r"\A(?:{})\z", from_re2(&pattern));
    let regex = RegexBuilder::new(&whole).dot_matches_new_line(true).build();
    let regex = regex.map_err(|error| format!("`{expected}` is no regular expression: {error}"))?;
    Ok(if regex.is_match(text) != negative { Pattern::Agrees } else { Pattern::Differs })
}

/// A pattern of RE2, which DuckDB uses, as one of the `regex` crate: there, a brace that begins no repetition is an error, a
/// bracket within brackets opens a set, and `\<` is no `<`.
fn from_re2(pattern: &str) -> String {
    let repetition = |rest: &str| {
        let inner = rest.split_once('}').map_or("", |(inner, _)| inner);
        let (least, most) = inner.split_once(',').unwrap_or((inner, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        !least.is_empty() && digits(least) && digits(most)
    };
    let mut translated = String::with_capacity(pattern.len() + 16);
    let (mut rest, mut class, mut class_begins) = (pattern, false, false);
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        let begins = std::mem::take(&mut class_begins);
        match character {
            '\\' => {
                let Some(escaped) = rest.chars().next() else {
                    translated.push('\\');
                    break;
                };
                rest = &rest[escaped.len_utf8()..];
                // What is in the braces of `\p{…}` or `\x{…}` is a name or a number.
                let name = match escaped {
                    'p' | 'P' | 'x' if rest.starts_with('{') => rest.find('}').map_or("", |end| &rest[..=end]),
                    _ => "",
                };
                rest = &rest[name.len()..];
                if !matches!(escaped, '<' | '>') {
                    translated.push('\\');
                }
                translated.push(escaped);
                translated.push_str(name);
            }
            '[' if class && !rest.starts_with(':') => translated.push_str("\\["),
            '[' if !class => {
                (class, class_begins) = (true, true);
                translated.push('[');
                if let Some(after) = rest.strip_prefix('^') {
                    rest = after;
                    translated.push('^');
                }
            }
            ']' if class && begins => translated.push_str("\\]"),
            '[' => {
                // A class such as `[:alpha:]`, up to its end.
                let end = rest.find(":]").map_or(0, |end| end + 2);
                translated.push('[');
                translated.push_str(&rest[..end]);
                rest = &rest[end..];
            }
            ']' if class => {
                class = false;
                translated.push(']');
            }
            '&' | '~' | '-' if class && rest.starts_with(character) => {
                translated.push('\\');
                translated.push(character);
            }
            '{' if !class && !repetition(rest) => translated.push_str("\\{"),
            other => translated.push(other),
        }
    }
    translated
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
    fn patterns_are_those_of_re2() {
        for (pattern, text) in [
            (r#"{'"i"'={size=\d+, n=2}}"#, r#"{'"i"'={size=17, n=2}}"#),
            (r"a{2}b{1,}c{1,2}{", "aabcc{"),
            (r"\<\p{Greek}\x{41}\>", "<αA>"),
            ("[[a]+", "[a["),
            ("[]a]+[^]]", "]ax"),
            ("[[:digit:]x]+", "1x2"),
            ("[a&&b]+", "a&b"),
            (r"[\]\[]+\[", "][["),
            ("x{a,2}", "x{a,2}"),
        ] {
            assert_eq!(matches(&format!("<REGEX>:{pattern}"), text), Ok(Pattern::Agrees), "{pattern}");
        }
        assert!(matches("<REGEX>:a\\", "a").is_err());
    }

    #[test]
    fn alternatives_are_matched_as_a_whole() {
        assert_eq!(matches("<REGEX>:a|b", "b"), Ok(Pattern::Agrees));
        assert_eq!(matches("<REGEX>:a|b", "ab"), Ok(Pattern::Differs));
        assert_eq!(matches("ab", "ab"), Ok(Pattern::None));
    }
}
