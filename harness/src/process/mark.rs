//! The mark that identifies the processes of one family.

use std::ffi::OsString;
use std::io;

use super::MARK;

/// An entry in a process's environment that identifies a whole family, or one child and its descendants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    token: String,
    child: Option<u64>,
}

impl Mark {
    /// A mark that is unique to a new family.
    pub(super) fn unique() -> io::Result<Mark> {
        let random = getrandom::u64().map_err(io::Error::other)?;
        Ok(Mark::of_family(format!("{random:016x}")))
    }

    /// The mark of the family with this token.
    pub(super) fn of_family(token: String) -> Mark {
        Mark { token, child: None }
    }

    /// The mark of one child of this family.
    pub(super) fn of_child(&self, number: u64) -> Mark {
        Mark { token: self.token.clone(), child: Some(number) }
    }

    /// The family's token.
    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// The value of [`MARK`] for a child that this process is about to start.
    pub(super) fn value(&self) -> OsString {
        let mut value = std::env::var_os(MARK).unwrap_or_default();
        if !value.is_empty() {
            value.push(":");
        }
        value.push(format!("{}.{}", self.token, self.child.unwrap_or(0)));
        value
    }

    /// Whether a process with this value of [`MARK`] belongs to the mark's family or child.
    pub(super) fn is_in(&self, value: &str) -> bool {
        value
            .split(':')
            .filter_map(|link| link.split_once('.'))
            .any(|(token, number)| token == self.token && self.child.is_none_or(|child| number.parse() == Ok(child)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_finds_all_its_children_and_a_child_only_its_own() {
        let family = Mark::of_family("ab".into());
        let child = family.of_child(1);
        for (value, in_family, in_child) in [
            ("ab.1", true, true),
            ("ab.12", true, false),
            ("outer.7:ab.1:inner.3", true, true),
            ("outer.7:ab.2:inner.1", true, false),
            ("abc.1", false, false),
            ("", false, false),
            ("ab", false, false),
        ] {
            assert_eq!((family.is_in(value), child.is_in(value)), (in_family, in_child), "{value}");
        }
    }

    #[test]
    fn two_families_differ() {
        assert_ne!(Mark::unique().unwrap(), Mark::unique().unwrap());
    }
}
