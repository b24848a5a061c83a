//! What other dialects know and this one does not: most often, such a file is read by the wrong rules.

use super::Dialect;
use crate::script::SyntaxError;

/// The words that a dialect knows, and not all of them do.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Words {
    /// Directives.
    pub(crate) directives: &'static [&'static str],
    /// Directives, and a word after them.
    pub(crate) kinds: &'static [(&'static str, &'static str)],
}

/// An error at a line that begins with these words, if they are known to other dialects than `here`.
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
    }
}
