//! Why a script did not run to its end.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a script did not run to its end, so that its later records were not checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CutShort {
    /// The file could not be read, or has changed since it was planned.
    Unreadable,
    /// No connection to the engine could be made.
    NoConnection,
    /// The file has a syntax error.
    SyntaxError,
    /// A connection to the engine was lost.
    ConnectionLost,
    /// The engine's adapter panicked.
    Panicked,
    /// A record failed, and the run stops at the first failure (`--fail-fast`).
    FirstFailure,
    /// The process that ran it crashed.
    Crashed,
    /// It exceeded a time limit.
    TimedOut,
    /// The engine exceeded the memory limit.
    OutOfMemory,
    /// It did not run.
    NotRun,
}

impl CutShort {
    /// The reasons that a list of known failures may contain (`ends = "crashed"`).
    ///
    /// An unreadable file or an unreachable server says nothing about the engine: no list can allow them.
    pub(crate) const KNOWN: [CutShort; 6] = [
        CutShort::SyntaxError,
        CutShort::ConnectionLost,
        CutShort::Panicked,
        CutShort::Crashed,
        CutShort::TimedOut,
        CutShort::OutOfMemory,
    ];

    /// Whether a list of known failures may contain it.
    pub fn can_be_known(self) -> bool {
        CutShort::KNOWN.contains(&self)
    }

    /// The name in JSON and in lists of known failures: `connection_lost`.
    pub fn name(self) -> &'static str {
        match self {
            CutShort::Unreadable => "unreadable",
            CutShort::NoConnection => "no_connection",
            CutShort::SyntaxError => "syntax_error",
            CutShort::ConnectionLost => "connection_lost",
            CutShort::Panicked => "panicked",
            CutShort::FirstFailure => "first_failure",
            CutShort::Crashed => "crashed",
            CutShort::TimedOut => "timed_out",
            CutShort::OutOfMemory => "out_of_memory",
            CutShort::NotRun => "not_run",
        }
    }
}

impl fmt::Display for CutShort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CutShort::Unreadable => "the file could not be read",
            CutShort::NoConnection => "no connection could be made",
            CutShort::SyntaxError => "a syntax error",
            CutShort::ConnectionLost => "the connection was lost",
            CutShort::Panicked => "the adapter panicked",
            CutShort::FirstFailure => "it stops at the first failure",
            CutShort::Crashed => "the process crashed",
            CutShort::TimedOut => "a time limit was exceeded",
            CutShort::OutOfMemory => "the memory limit was reached",
            CutShort::NotRun => "it was not started",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_in_json() {
        use CutShort::*;
        for cut_short in [
            Unreadable,
            NoConnection,
            SyntaxError,
            ConnectionLost,
            Panicked,
            FirstFailure,
            Crashed,
            TimedOut,
            OutOfMemory,
            NotRun,
        ] {
            assert_eq!(serde_json::to_value(cut_short).unwrap(), cut_short.name());
        }
    }
}
