//! One record of a test file, which is a trial on its own.

use std::fmt;

use super::TestFile;

/// A line of a script that a user names, with the pass of the loops around it, if the user names that too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    /// The line, counted from 1.
    pub line: u64,
    /// The variables of the pass, as in `i=3,j=2`; empty for all passes.
    pub pass: String,
}

impl At {
    /// A line and a pass. The pass is written as typed or as shown: spaces after commas do not matter.
    pub fn new(line: u64, pass: &str) -> At {
        At { line, pass: compact(pass) }
    }

    /// Whether this names the given pass, or a pass that contains it: `i=3` names all passes of inner loops.
    pub fn takes(&self, pass: &str) -> bool {
        let rest = compact(pass);
        let rest = rest.strip_prefix(&self.pass);
        self.pass.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(','))
    }

    /// Whether this names exactly the given pass.
    pub fn is(&self, pass: &str) -> bool {
        !self.pass.is_empty() && self.pass == compact(pass)
    }
}

fn compact(pass: &str) -> String {
    pass.trim().replace(", ", ",")
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pass.as_str() {
            "" => write!(f, "{}", self.line),
            pass => write!(f, "{}({pass})", self.line),
        }
    }
}

/// An excerpt of a script is one record of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The line and pass that the user named.
    pub named: At,
    /// The line of the record's directive.
    pub line: u64,
    /// Whether the record runs alone. Otherwise all records before it run too, without being judged.
    pub alone: bool,
}

impl TestFile {
    /// The same file, with this record as the only one that is judged.
    #[must_use]
    pub fn with_excerpt(self, excerpt: Excerpt) -> Self {
        let suffix = format!(":{}", excerpt.named);
        let (name, rust_path) = (self.name + &suffix, self.rust_path + &suffix);
        TestFile { name, rust_path, excerpt: Some(excerpt), ..self }
    }

    /// The name of the whole script.
    pub fn script(&self) -> &str {
        let suffix = self.excerpt.as_ref().map(|excerpt| format!(":{}", excerpt.named)).unwrap_or_default();
        self.name.strip_suffix(&suffix).unwrap_or(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_is_named_whole_or_by_its_outer_loops() {
        let at = At::new(4, "i=3, t=DECIMAL(4,1)");
        assert_eq!(at.to_string(), "4(i=3,t=DECIMAL(4,1))");
        assert!(at.takes("i=3, t=DECIMAL(4,1)") && at.is("i=3, t=DECIMAL(4,1)"));
        let outer = At::new(4, "i=3");
        assert!(outer.takes("i=3, j=1") && outer.takes("i=3") && !outer.takes("i=30") && !outer.takes("i=1, j=3"));
        assert!(outer.is("i=3") && !outer.is("i=3, j=1"));
        assert!(At::new(4, "").takes("i=3") && At::new(4, "").takes("") && !At::new(4, "").is(""));
    }
}
