//! What other dialects know and this one does not: most often, such a file is read by the wrong rules.

use super::Dialect;
use crate::script::SyntaxError;

const SLT: &[Dialect] = &[Dialect::Slt];
const DUCKDB: &[Dialect] = &[Dialect::DuckDb];
const BOTH: &[Dialect] = &[Dialect::Slt, Dialect::DuckDb];

/// The dialects that know a directive which not all of them know; none for other words.
fn that_know(directive: &str) -> &'static [Dialect] {
    match directive {
        "connection" | "control" | "let" | "subtest" | "system" => SLT,
        "include" | "sleep" => BOTH,
        "mode" | "set" | "reset" | "loop" | "concurrentloop" | "foreach" | "concurrentforeach" | "endloop"
        | "continue" | "require" | "require-env" | "test-env" | "load" | "restart" | "reconnect" | "unzip" | "tags" => {
            DUCKDB
        }
        _ => &[],
    }
}

/// The dialects that know a kind of statement or query which not all of them know.
fn that_know_kind(directive: &str, kind: &str) -> &'static [Dialect] {
    match (directive, kind) {
        ("statement", "count") | ("query", "error") => SLT,
        ("statement", "maybe" | "debug" | "debug_skip") => DUCKDB,
        _ => &[],
    }
}

/// An error at a line that begins with these words, if they are known to other dialects than `here`.
pub(super) fn of_words(line: u64, words: &[&str], here: Dialect) -> Option<SyntaxError> {
    let (what, dialects) = match words {
        [directive, kind, ..] if !that_know_kind(directive, kind).is_empty() => {
            (format!("`{directive} {kind}`"), that_know_kind(directive, kind))
        }
        [directive, ..] => (format!("`{directive}`"), that_know(directive)),
        [] => return None,
    };
    let is_foreign = !dialects.is_empty() && !dialects.contains(&here);
    is_foreign.then(|| error(line, &what, dialects, here))
}

/// An error whose cause, `what`, belongs to these dialects.
pub(super) fn error(line: u64, what: &str, dialects: &[Dialect], here: Dialect) -> SyntaxError {
    let others: Vec<Dialect> = dialects.iter().copied().filter(|dialect| *dialect != here).collect();
    let flags: Vec<String> = others.iter().map(|dialect| format!("`--dialect {dialect}`")).collect();
    let whose = match others.as_slice() {
        [Dialect::Slt] => "the sqllogictest-rs dialect",
        [Dialect::DuckDb] => "DuckDB's dialect",
        [Dialect::Classic] => "the classic dialect",
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
