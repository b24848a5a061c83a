//! `skipif` and `onlyif`: conditions on the engine or on a loop's variable.

use crate::script::Condition as ByEngine;
use crate::script::Labels;

/// A condition of one step. Only its first word counts, and in lower case, as in DuckDB's own runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition<'a> {
    /// Whether the step is excluded if the condition holds (`skipif`), or if it does not hold (`onlyif`).
    pub skip: bool,
    /// The word, as written in the file.
    pub word: &'a str,
    /// The comparisons of loop variables (`i>=1&&i<10`); empty for an engine's name.
    comparisons: Vec<Comparison>,
}

/// A comparison of a loop's variable with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Comparison {
    text: String,
    name: String,
    operator: &'static str,
    value: String,
}

/// In this order: the first one that occurs anywhere is the operator, as in DuckDB's own runner.
const OPERATORS: [&str; 6] = ["<>", ">=", ">", "<=", "<", "="];

impl<'a> Condition<'a> {
    /// The condition that `word` stands for.
    ///
    /// # Errors
    /// It compares, but not a name with a value.
    pub fn new(skip: bool, word: &'a str) -> Result<Self, String> {
        let comparisons = match word.contains(['=', '<', '>']) {
            true => parts(&word.to_ascii_lowercase(), "&&").map(Comparison::new).collect::<Result<_, String>>()?,
            false => Vec::new(),
        };
        Ok(Condition { skip, word, comparisons })
    }

    /// Whether it tests a loop's variable.
    pub fn is_of_a_loop(&self) -> bool {
        !self.comparisons.is_empty()
    }

    /// Whether it excludes the engine with these labels; false if it tests a loop's variable.
    pub fn excludes(&self, labels: &Labels) -> bool {
        let word = self.word.as_bytes();
        !self.is_of_a_loop() && labels.exclude(if self.skip { ByEngine::SkipIf(word) } else { ByEngine::OnlyIf(word) })
    }

    /// Whether the step applies in a pass of a loop. `lookup` gives the value of a loop's variable. `skipif` excludes the step
    /// if any comparison holds, `onlyif` if any does not: each comparison is a condition of its own.
    ///
    /// # Errors
    /// A variable that no loop around the step defines, or values that cannot be compared.
    pub fn allows<'v>(&self, lookup: impl Fn(&str) -> Option<&'v str>) -> Result<bool, String> {
        for comparison in &self.comparisons {
            if comparison.holds(&lookup)? == self.skip {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Comparison {
    fn new(text: &str) -> Result<Comparison, String> {
        let operator = OPERATORS.into_iter().find(|operator| text.contains(operator));
        let sides = operator.map(|operator| parts(text, operator).map(str::trim).collect::<Vec<_>>());
        match (operator, sides.as_deref()) {
            (Some(operator), Some([name, value])) => {
                let (text, name, value) = (text.to_owned(), (*name).to_owned(), (*value).to_owned());
                Ok(Comparison { text, name, operator, value })
            }
            _ => Err(format!("`{text}` compares nothing: write `NAME=VALUE`, with one of {}", OPERATORS.join(" "))),
        }
    }

    fn holds<'v>(&self, lookup: &impl Fn(&str) -> Option<&'v str>) -> Result<bool, String> {
        let Comparison { text, name, operator, value: wanted } = self;
        let Some(value) = lookup(name) else {
            return Err(format!("no loop around this has a variable `{name}` (names in conditions are in lower case)"));
        };
        let number =
            |side: &str| side.parse::<i64>().map_err(|_| format!("`{side}` is not a whole number, as `{text}` needs"));
        Ok(match *operator {
            "=" => value == wanted,
            "<>" => value != wanted,
            ">=" => number(value)? >= number(wanted)?,
            "<=" => number(value)? <= number(wanted)?,
            "<" => number(value)? < number(wanted)?,
            _ => number(value)? > number(wanted)?,
        })
    }
}

/// The parts between separators. Empty ones are left out, as by DuckDB's own runner: `i==2` is `i=2`.
fn parts<'t>(text: &'t str, separator: &'t str) -> impl Iterator<Item = &'t str> {
    text.split(separator).filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(skip: bool, word: &str) -> Result<bool, String> {
        let labels = Labels::new(["duckdb"]);
        let lookup = |name: &str| [("i", "3"), ("t", "VARCHAR")].iter().find(|pair| pair.0 == name).map(|pair| pair.1);
        let condition = Condition::new(skip, word)?;
        Ok(!condition.excludes(&labels) && condition.allows(lookup)?)
    }

    #[test]
    fn engines_and_loop_variables_are_conditions() {
        assert_eq!(allows(true, "DuckDB"), Ok(false));
        assert_eq!(allows(false, "sqlite"), Ok(false));
        for (word, holds) in [
            ("i=3", true),
            ("i==3", true),
            ("i==2", false),
            ("i<>3", false),
            ("i>=3", true),
            ("i<3", false),
            ("i<=3", true),
            ("i>2", true),
        ] {
            assert_eq!(allows(false, word), Ok(holds), "{word}");
            assert_eq!(allows(true, word), Ok(!holds), "{word}");
        }
        assert_eq!(allows(false, "t=VARCHAR"), Ok(false), "the word is compared in lower case, as DuckDB does it");
    }

    #[test]
    fn each_comparison_is_a_condition_of_its_own() {
        for (word, only, skip) in [
            ("i>=1&&i<10", true, false),
            ("i>=1&&i=4", false, false),
            ("i=1&&i=2", false, true),
            ("&&i=3&&", true, false),
        ] {
            assert_eq!((allows(false, word), allows(true, word)), (Ok(only), Ok(skip)), "{word}");
        }
    }

    #[test]
    fn what_cannot_be_compared_is_an_error() {
        assert!(allows(false, "j=1").unwrap_err().contains("has a variable `j`"));
        assert!(allows(false, "t>1").unwrap_err().contains("`VARCHAR` is not a whole number"));
        // Of several operators, the first in DuckDB's order splits the text.
        for word in ["i=3&&x", "=3", "i=", "i=3=4", "="] {
            assert!(allows(false, word).unwrap_err().contains("compares nothing"), "{word}");
        }
    }
}
