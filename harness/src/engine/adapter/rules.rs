//! The hooks of the `sqllogictest` crate's runner, converted to rules of an engine.

use std::cell::RefCell;
use std::sync::Arc;

use sqllogictest::{ColumnType, Normalizer, default_normalizer, default_validator};

use super::super::{ColumnRule, ResultRule};

pub(super) type Normalize = Arc<dyn Fn(&String) -> String + Send + Sync>;
pub(super) type Validate = Arc<dyn Fn(Normalizer, &[Vec<String>], &[String]) -> bool + Send + Sync>;

/// The author's functions for comparing results, in place of the dialect's rules.
#[derive(Clone, Default)]
pub(super) struct Results {
    pub(super) normalizer: Option<Normalize>,
    pub(super) validator: Option<Validate>,
}

thread_local! {
    /// The normalizer of the comparison that this thread runs. It is stored here because the crate's validators take a
    /// function without state.
    static PRESENT: RefCell<Option<Normalize>> = const { RefCell::new(None) };
}

/// Calls the present normalizer.
#[allow(clippy::ptr_arg)] // The type is the crate's.
fn present(value: &String) -> String {
    let normalize = PRESENT.with_borrow(Clone::clone);
    let normalize = normalize.expect("a validator calls its normalizer on the thread that it was called on");
    normalize(value)
}

/// Removes the present normalizer when dropped, also if the thread panics.
struct Guard;

impl Drop for Guard {
    fn drop(&mut self) {
        PRESENT.set(None);
    }
}

impl Results {
    /// The rule that these functions form; `None` if none is set.
    pub(super) fn rule(&self) -> Option<ResultRule> {
        let Results { normalizer, validator } = self.clone();
        if normalizer.is_none() && validator.is_none() {
            return None;
        }
        Some(Arc::new(move |actual, expected| {
            let _guard = Guard;
            PRESENT.set(normalizer.clone());
            let normalizer: Normalizer = if normalizer.is_some() { present } else { default_normalizer };
            match &validator {
                Some(validate) => validate(normalizer, actual, expected),
                None => default_validator(normalizer, actual, expected),
            }
        }))
    }
}

/// The rule that a validator of column types forms.
#[allow(clippy::ptr_arg)]
pub(super) fn columns<T: ColumnType>(
    validate: impl Fn(&Vec<T>, &Vec<T>) -> bool + Send + Sync + 'static,
) -> ColumnRule {
    Arc::new(move |actual, declared| {
        let types = |letters: &str| {
            let of = |letter| T::from_char(letter).ok_or_else(|| format!("the engine has no column type `{letter}`"));
            letters.chars().map(of).collect::<Result<Vec<T>, String>>()
        };
        match validate(&types(actual)?, &types(declared)?) {
            true => Ok(()),
            false => {
                let or_none = |letters: &str| if letters.is_empty() { "(none)".to_owned() } else { letters.to_owned() };
                let (declared, actual) = (or_none(declared), or_none(actual));
                Err(format!("query columns mismatch\n  declared: {declared}\n  actual:   {actual}"))
            }
        }
    })
}

/// Compares rows as they are written, with a blank between two values and without white space at the ends of a line.
/// `<slt:ignore>` matches any text.
pub(super) fn trim_only(normalize: Normalizer, actual: &[Vec<String>], expected: &[String]) -> bool {
    let actual: Vec<String> = actual.iter().map(|row| normalize(&row.join(" "))).collect();
    let expected: Vec<String> = expected.iter().map(normalize).collect();
    if !expected.iter().any(|line| line.contains(IGNORE)) {
        return actual == expected;
    }
    let (actual, expected) = (actual.join("\n"), expected.join("\n"));
    let mut parts = expected.split(IGNORE);
    let Some(mut rest) = actual.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

const IGNORE: &str = "<slt:ignore>";

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use sqllogictest::{DefaultColumnType, strict_column_validator};

    use super::*;

    fn row(values: &[&str]) -> Vec<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    #[test]
    fn a_normalizer_with_state_reaches_a_validator_that_takes_a_plain_function() {
        assert!(Results::default().rule().is_none());
        let calls = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&calls);
        let normalizer: Normalize = Arc::new(move |value| {
            counted.fetch_add(1, Ordering::Relaxed);
            value.to_lowercase()
        });
        let results = Results { normalizer: Some(normalizer.clone()), validator: None };
        let rule = results.rule().unwrap();
        assert!(rule(&[row(&["A", "b"])], &row(&["a B"])) && !rule(&[row(&["A"])], &row(&["b"])));
        assert_eq!(calls.load(Ordering::Relaxed), 5);
        assert!(PRESENT.with_borrow(Option::is_none), "nothing is left behind");
        let validator: Validate = Arc::new(|normalize, actual, expected| normalize(&actual[0][0]) == expected[0]);
        let rule = Results { normalizer: Some(normalizer), validator: Some(validator) }.rule().unwrap();
        assert!(rule(&[row(&["A"])], &row(&["a"])) && !rule(&[row(&["A"])], &row(&["A"])));
    }

    #[test]
    fn white_space_counts_within_a_line_and_not_at_its_ends() {
        let same =
            |actual: &[&str], line: &str| trim_only(|value| value.trim().to_owned(), &[row(actual)], &row(&[line]));
        assert!(same(&["a  b", "c "], "a  b c") && same(&[" a", ""], "a"));
        assert!(!same(&["a  b"], "a b") && !same(&["a", "b"], "a  b"));
        assert!(same(&["took 5 s"], "took <slt:ignore> s") && same(&["a", "b", "c"], "<slt:ignore>b<slt:ignore>"));
        assert!(!same(&["it took 5 s"], "took <slt:ignore> s") && !same(&["took 5 s now"], "took <slt:ignore> s"));
    }

    #[test]
    fn column_types_are_compared_as_the_engine_knows_them() {
        let strict = columns::<DefaultColumnType>(strict_column_validator);
        assert_eq!(strict("IT", "IT"), Ok(()));
        assert_eq!(strict("?", "X"), Ok(()), "what the engine does not know is one type");
        let complaint = strict("I", "R").unwrap_err();
        assert_eq!(complaint, "query columns mismatch\n  declared: R\n  actual:   I");
        assert!(strict("I", "III").is_err() && strict("", "I").unwrap_err().ends_with("(none)"));
    }
}
