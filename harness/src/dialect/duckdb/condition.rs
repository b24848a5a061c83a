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
}

impl Condition<'_> {
    /// Whether it tests a loop's variable.
    pub fn is_of_a_loop(&self) -> bool {
        self.word.contains(['=', '<', '>'])
    }

    /// Whether the step applies. `lookup` gives the value of a loop's variable.
    ///
    /// # Errors
    /// A variable that no loop around the step defines, or values that cannot be compared.
    pub fn allows<'v>(&self, labels: &Labels, lookup: impl Fn(&str) -> Option<&'v str>) -> Result<bool, String> {
        if !self.is_of_a_loop() {
            let word = self.word.as_bytes();
            let condition = if self.skip { ByEngine::SkipIf(word) } else { ByEngine::OnlyIf(word) };
            return Ok(!labels.exclude(condition));
        }
        let word = self.word.to_ascii_lowercase();
        let mut holds = true;
        for part in word.split("&&") {
            holds &= compare(part, &lookup)?;
        }
        Ok(holds != self.skip)
    }
}

/// Whether a comparison such as `i<3` holds.
fn compare<'v>(part: &str, lookup: &impl Fn(&str) -> Option<&'v str>) -> Result<bool, String> {
    const OPERATORS: [&str; 6] = ["<>", ">=", "<=", "=", "<", ">"];
    let found = OPERATORS.iter().filter_map(|operator| Some((part.find(operator)?, *operator)));
    // The first operator; of two at the same position, the longer one.
    let Some((at, operator)) = found.min_by_key(|(at, operator)| (*at, usize::MAX - operator.len())) else {
        return Err(format!("`{part}` compares nothing: write `NAME=VALUE`, with one of {}", OPERATORS.join(" ")));
    };
    let (name, wanted) = (&part[..at], &part[at + operator.len()..]);
    let Some(value) = lookup(name) else {
        return Err(format!("no loop around this has a variable `{name}` (names in conditions are in lower case)"));
    };
    let number =
        |text: &str| text.parse::<i64>().map_err(|_| format!("`{text}` is not a whole number, as `{part}` needs"));
    Ok(match operator {
        "=" => value == wanted,
        "<>" => value != wanted,
        ">=" => number(value)? >= number(wanted)?,
        "<=" => number(value)? <= number(wanted)?,
        "<" => number(value)? < number(wanted)?,
        _ => number(value)? > number(wanted)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(skip: bool, word: &str) -> Result<bool, String> {
        let labels = Labels::new(["duckdb"]);
        let lookup = |name: &str| [("i", "3"), ("t", "VARCHAR")].iter().find(|pair| pair.0 == name).map(|pair| pair.1);
        Condition { skip, word }.allows(&labels, lookup)
    }

    #[test]
    fn engines_and_loop_variables_are_conditions() {
        assert_eq!(allows(true, "DuckDB"), Ok(false));
        assert_eq!(allows(false, "sqlite"), Ok(false));
        for (word, holds) in
            [("i=3", true), ("i<>3", false), ("i>=3", true), ("i<3", false), ("i<=3", true), ("i>2", true)]
        {
            assert_eq!(allows(false, word), Ok(holds), "{word}");
            assert_eq!(allows(true, word), Ok(!holds), "{word}");
        }
        assert_eq!(allows(false, "i>=1&&i<10"), Ok(true));
        assert_eq!(allows(false, "i>=1&&i=4"), Ok(false));
        assert_eq!(allows(false, "t=VARCHAR"), Ok(false), "the word is compared in lower case, as DuckDB does it");
    }

    #[test]
    fn what_cannot_be_compared_is_an_error() {
        assert!(allows(false, "j=1").unwrap_err().contains("has a variable `j`"));
        assert!(allows(false, "t>1").unwrap_err().contains("`VARCHAR` is not a whole number"));
        assert!(allows(false, "i=3&&x").unwrap_err().contains("compares nothing"));
    }
}
