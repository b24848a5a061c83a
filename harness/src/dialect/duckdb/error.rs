//! Compares the error of a statement with the block that the script expects.

use regex::RegexBuilder;

/// The prefix of a pattern that must match.
pub(super) const MATCHES: &str = "<REGEX>:";
/// The prefix of a pattern that must not match.
pub(super) const MATCHES_NOT: &str = "<!REGEX>:";

/// The result of testing a text against a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// The text is as the pattern requires.
    Agrees,
    /// The text is not as the pattern requires.
    Differs,
    /// The expectation is not a pattern.
    None,
}

/// Whether `text` matches `expected`, if that is a pattern: it must match from the first to the last character, and a dot
/// matches line feeds too.
///
/// # Errors
/// The pattern is not valid.
pub fn matches(expected: &str, text: &str) -> Result<Pattern, String> {
    let negative = expected.starts_with(MATCHES_NOT);
    if !negative && !expected.starts_with(MATCHES) {
        return Ok(Pattern::None);
    }
    let pattern = expected.replace(if negative { MATCHES_NOT } else { MATCHES }, "");
    if let Some(parts) = between_wildcards(&pattern) {
        return Ok(if is_made_of(&parts, text) != negative { Pattern::Agrees } else { Pattern::Differs });
    }
    let whole = format!(r"\A(?:{})\z", from_re2(&pattern));
    let regex = RegexBuilder::new(&whole).dot_matches_new_line(true).build();
    let regex = regex.map_err(|error| format!("`{expected}` is not a regular expression: {error}"))?;
    Ok(if regex.is_match(text) != negative { Pattern::Agrees } else { Pattern::Differs })
}

/// The texts of a pattern that consists only of text and `.*`, in order; the first and the last may be empty. Most patterns
/// are of this kind, and searching for texts takes a hundredth of the time of compiling an expression.
fn between_wildcards(pattern: &str) -> Option<Vec<String>> {
    let mut parts = vec![String::new()];
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        let literal = match character {
            '.' if characters.next_if_eq(&'*').is_some() => {
                // `.*?`, `.*+` and `.**` mean something else.
                if matches!(characters.peek(), Some('?' | '+' | '*' | '{')) {
                    return None;
                }
                parts.push(String::new());
                continue;
            }
            '\\' => characters.next().filter(char::is_ascii_punctuation)?,
            '.' | '*' | '+' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '|' | '^' | '$' => return None,
            other => other,
        };
        if matches!(characters.peek(), Some('*' | '+' | '?' | '{')) {
            return None;
        }
        parts.last_mut()?.push(literal);
    }
    Some(parts)
}

/// Whether a text consists of these parts in order, with any text between two of them.
fn is_made_of(parts: &[String], text: &str) -> bool {
    let [first, rest @ ..] = parts else { return false };
    let [middle @ .., last] = rest else { return text == first };
    let Some(mut text) = text.strip_prefix(first.as_str()) else { return false };
    for part in middle {
        let Some(at) = text.find(part.as_str()) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(last.as_str())
}

/// Translates a pattern of RE2, which DuckDB uses, into one of the `regex` crate. In that crate, a brace that begins no
/// repetition is an error, a bracket within brackets opens a set, `\<` does not mean `<`, classes such as `\d` are not those of
/// ASCII alone, and `\Q…\E` and numbers in octal are unknown.
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
                if escaped == 'Q' && !class {
                    let (text, after) = rest[1..].split_once(r"\E").unwrap_or((&rest[1..], ""));
                    translated.push_str(&regex::escape(text));
                    rest = after;
                    continue;
                }
                if let Some((code, length)) = octal(rest) {
                    translated.push_str(&format!(r"\x{{{code:x}}}"));
                    rest = &rest[length..];
                    continue;
                }
                rest = &rest[escaped.len_utf8()..];
                if let Some(ascii) = of_ascii(escaped) {
                    translated.push_str(ascii);
                    continue;
                }
                // The braces of `\p{…}` or `\x{…}` contain a name or a number.
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

/// The class that a letter behind `\` means: of ASCII characters only, in RE2.
fn of_ascii(letter: char) -> Option<&'static str> {
    Some(match letter {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        'w' => "[0-9A-Za-z_]",
        'W' => "[^0-9A-Za-z_]",
        's' => r"[\t\n\x0C\r ]",
        'S' => r"[^\t\n\x0C\r ]",
        'b' => r"(?-u:\b)",
        'B' => r"(?-u:\B)",
        _ => return None,
    })
}

/// The character code in octal that `text` begins with, as RE2 reads it behind `\`, and its length. One digit alone is a code
/// only if it is 0.
fn octal(text: &str) -> Option<(u32, usize)> {
    let length = text.bytes().take(3).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
    let is_code = length > 1 || text.starts_with('0');
    is_code.then(|| (u32::from_str_radix(&text[..length], 8).unwrap_or_default(), length))
}

/// Whether an error's message is the expected one. `replaced` is the expected block with names in braces replaced.
///
/// # Errors
/// The pattern is not valid.
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
        assert!(super::agrees("x", "<REGEX>:(", "<REGEX>:(").unwrap_err().contains("is not a regular expression"));
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
            (r"\Qa.b(\E.\Q\x", r"a.b(1\x"),
            (r"\101\0[\102]", "A\0B"),
            (r"\d\D\w\W\s\S[\d,]+", "1é_é é1,2"),
            (r"a\b.\Bé", "a é"),
        ] {
            assert_eq!(matches(&format!("<REGEX>:{pattern}"), text), Ok(Pattern::Agrees), "{pattern}");
        }
        for (pattern, text) in [(r"x\d", "x٣"), (r"\w+", "été"), (r"[\w]+", "é"), (r"a\s", "a\u{A0}"), (r"[^\D]", "٣")]
        {
            assert_eq!(matches(&format!("<REGEX>:{pattern}"), text), Ok(Pattern::Differs), "{pattern}");
        }
        assert!(matches("<REGEX>:a\\", "a").is_err());
        assert!(matches(r"<REGEX>:(a)\1", "aa").is_err(), "RE2 has no back-references");
    }

    #[test]
    fn alternatives_are_matched_as_a_whole() {
        assert_eq!(matches("<REGEX>:a|b", "b"), Ok(Pattern::Agrees));
        assert_eq!(matches("<REGEX>:a|b", "ab"), Ok(Pattern::Differs));
        assert_eq!(matches("ab", "ab"), Ok(Pattern::None));
    }

    /// Whether the whole text matches, tested with the expression alone.
    fn by_expression(pattern: &str, text: &str) -> bool {
        let whole = format!(r"\A(?:{})\z", from_re2(pattern));
        RegexBuilder::new(&whole).dot_matches_new_line(true).build().unwrap().is_match(text)
    }

    #[test]
    fn a_pattern_of_texts_and_wildcards_needs_no_expression() {
        let parts = |pattern: &str| between_wildcards(pattern);
        assert_eq!(parts(".*Error: a.*b"), Some(vec!["".to_owned(), "Error: a".to_owned(), "b".to_owned()]));
        assert_eq!(parts(r"a\.\(b"), Some(vec!["a.(b".to_owned()]));
        for other in ["a.b", "a.*?b", "a.**", "a*", "(a|b)", r"\d", "[ab]", "a{2}", r"\.*", "^a", "a$", "a.", "\\"] {
            assert_eq!(parts(other), None, "{other}");
        }
        // A part may occur twice, and two parts must not overlap.
        for (pattern, text) in
            [(".*ab.*ab", "abab"), (".*ab.*ab", "ab"), ("a.*a", "a"), ("a.*", "a\nb\n"), ("a", "a\n")]
        {
            assert_eq!(is_made_of(&parts(pattern).unwrap(), text), by_expression(pattern, text), "{pattern} {text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn texts_and_wildcards_match_as_the_expression_does(
            pattern in r"([ab]|\.\*|\\[.(]){0,8}",
            text in "[ab.(\n]{0,10}",
        ) {
            if let Some(parts) = between_wildcards(&pattern) {
                proptest::prop_assert_eq!(is_made_of(&parts, &text), by_expression(&pattern, &text));
            }
        }
    }
}
