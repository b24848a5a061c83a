//! Errors for words that other dialects know and this one does not. The usual cause is a file that is read as the wrong
//! dialect.

use super::Dialect;
use crate::script::SyntaxError;
use crate::script::source::quote;

/// Words that a dialect knows, but not every other dialect.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Words {
    /// Directives.
    pub(crate) directives: &'static [&'static str],
    /// Directives, each with the word after it.
    pub(crate) kinds: &'static [(&'static str, &'static str)],
}

/// An error for a line that begins with these words, if dialects other than `here` know them.
pub(super) fn of_words(line: u64, words: &[&str], here: Dialect) -> Option<SyntaxError> {
    let of_kind = |dialect: &Dialect| match words {
        [directive, kind, ..] => dialect.definition().words().kinds.contains(&(*directive, *kind)),
        _ => false,
    };
    let of_directive = |dialect: &Dialect| match words {
        [directive, ..] => dialect.definition().words().directives.contains(directive),
        [] => false,
    };
    let others = |knows: &dyn Fn(&Dialect) -> bool, length: usize| {
        let dialects: Vec<Dialect> = Dialect::ALL.iter().copied().filter(knows).collect();
        let what = format!("`{}`", words[..length].join(" "));
        (!dialects.contains(&here)).then(|| error(line, &what, &dialects, here))
    };
    if Dialect::ALL.iter().any(of_kind) {
        others(&of_kind, 2)
    } else if Dialect::ALL.iter().any(of_directive) {
        others(&of_directive, 1)
    } else {
        None
    }
}

/// An error whose cause, `what`, belongs to these dialects.
pub(super) fn error(line: u64, what: &str, dialects: &[Dialect], here: Dialect) -> SyntaxError {
    let others: Vec<Dialect> = dialects.iter().copied().filter(|dialect| *dialect != here).collect();
    let flags: Vec<String> = others.iter().map(|dialect| format!("`--dialect {dialect}`")).collect();
    let whose = match others.as_slice() {
        [dialect] => dialect.definition().title(),
        _ => "other dialects",
    };
    let message = format!("{what} belongs to {whose}: {}", flags.join(" or "));
    SyntaxError { known_to: others.into_iter().map(Dialect::name).collect(), ..SyntaxError::new(line, message) }
}

/// An error for a letter that the dialect `here` does not have. The sqllogictest-rs dialect accepts any letter; the error
/// names it if all the letters are ones that such files use.
pub(super) fn letter(line: u64, letter: &str, letters: &str, here: Dialect) -> SyntaxError {
    let unknown = format!("unknown column letter {letter} in {}: I, R or T", quote(letters.as_bytes()));
    match letters {
        "nosort" | "rowsort" | "valuesort" => {
            let message = format!("`query` needs a letter for each column before `{letters}`: I, R or T");
            SyntaxError::new(line, message)
        }
        _ if letters.chars().all(|letter| "TIRBDFOP?tir".contains(letter)) => {
            error(line, &format!("{unknown}; any other"), &[Dialect::Slt], here)
        }
        _ => SyntaxError::new(line, unknown),
    }
}

/// An error for a `query` without letters, in the dialect `here`.
pub(super) fn no_letters(line: u64, here: Dialect) -> SyntaxError {
    error(line, "`query` needs a letter for each column: I, R or T; without letters it", &[Dialect::Slt], here)
}

/// An error for a `statement ok` with the name of a connection, in the dialect `here`.
pub(super) fn connection(line: u64, name: &str, here: Dialect) -> SyntaxError {
    let what = format!("unexpected {} after the directive; a connection there", quote(name.as_bytes()));
    error(line, &what, &[Dialect::DuckDb], here)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_other_dialects_name_these() {
        let of = |words: &[&str], here| of_words(7, words, here).map(|error| (error.line, error.message));
        let expected = "`loop` belongs to DuckDB's dialect: `--dialect duckdb`".to_owned();
        assert_eq!(of(&["loop", "i", "0", "3"], Dialect::Slt), Some((7, expected)));
        assert_eq!(of(&["loop", "i", "0", "3"], Dialect::DuckDb), None);
        let expected = "`sleep` belongs to other dialects: `--dialect slt` or `--dialect duckdb`".to_owned();
        assert_eq!(of(&["sleep", "1s"], Dialect::Classic), Some((7, expected)));
        let expected = "`statement count` belongs to the sqllogictest-rs dialect: `--dialect slt`".to_owned();
        assert_eq!(of(&["statement", "count", "3"], Dialect::DuckDb), Some((7, expected)));
        assert_eq!(of(&["statement", "ok"], Dialect::Classic), None);
        assert_eq!(of(&["nonsense"], Dialect::Classic), None);
        let expected = "`set variable` belongs to DuckDB's dialect: `--dialect duckdb`".to_owned();
        assert_eq!(of(&["set", "variable", "x", "1"], Dialect::Slt), Some((7, expected)));
    }

    #[test]
    fn words_of_other_programs_name_no_dialect() {
        for words in [["set", "testdir"], ["mode", "cockroach"], ["reset", "server"]] {
            for here in Dialect::ALL {
                assert!(of_words(1, &words, *here).is_none(), "{words:?} in {here}");
            }
        }
    }

    #[test]
    fn letters_of_the_sqllogictest_rs_dialect_name_it() {
        for letters in ["F", "T?", "iit"] {
            let error = letter(3, "`x`", letters, Dialect::Classic);
            assert_eq!((error.line, error.known_to), (3, vec!["slt"]), "{letters}");
        }
        for letters in ["nosort", "I,R", "IX"] {
            assert!(letter(3, "`x`", letters, Dialect::Classic).known_to.is_empty(), "{letters}");
        }
    }
}
