//! The keys that a settings file may have.

use std::path::Path;

use clap::{Arg, ArgMatches};

/// A key. It has the name of its flag.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(super) kind: Kind,
    /// Other flags, and variables without a flag, that override the key.
    beaten_by: &'static [&'static str],
    /// Whether the key's values are added to those of the target's code, instead of replacing them.
    pub(crate) adds: bool,
}

/// The type of a key's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Texts,
    Path,
    Paths,
    Engine,
    Queue,
    Seconds,
    /// A whole number, or this word.
    Whole(Option<&'static str>),
    Size,
    Switch,
    Dialects,
    Exclusions,
}

const fn key(name: &'static str, kind: Kind) -> Key {
    Key { name, kind, beaten_by: &[], adds: false }
}

/// All keys, in the order in which users see them.
pub(crate) const KEYS: &[Key] = &[
    key("roots", Kind::Paths),
    Key { adds: true, ..key("exclude", Kind::Exclusions) },
    Key { adds: true, ..key("dialect", Kind::Dialects) },
    key("engine", Kind::Engine),
    Key { adds: true, ..key("labels", Kind::Texts) },
    Key { beaten_by: &["write_known_failures"], ..key("known-failures", Kind::Path) },
    key("file-timeout", Kind::Seconds),
    Key { beaten_by: &["query_timeout_ms"], ..key("query-timeout", Kind::Seconds) },
    key("interrupt-grace", Kind::Seconds),
    key("max-records", Kind::Whole(None)),
    key("stack-size", Kind::Size),
    Key { beaten_by: &["write_known_failures"], ..key("fail-fast", Kind::Switch) },
    key("allow-system", Kind::Switch),
    key("allow-env", Kind::Switch),
    key("lenient", Kind::Switch),
    key("select-tags", Kind::Texts),
    key("skip-tags", Kind::Texts),
    key("keep-db-on-failure", Kind::Switch),
    key("results", Kind::Path),
    key("report", Kind::Switch),
    key("timings", Kind::Switch),
    Key { beaten_by: &["RUST_TEST_THREADS"], ..key("test-threads", Kind::Whole(None)) },
    key("parallel", Kind::Switch),
    key("workers", Kind::Whole(Some("cores"))),
    key("time-budget", Kind::Seconds),
    key("allow-incomplete", Kind::Switch),
    key("retries", Kind::Whole(None)),
    key("crash-retries", Kind::Whole(None)),
    key("repeat", Kind::Whole(Some("until-budget"))),
    key("seed", Kind::Whole(None)),
    key("memory-limit", Kind::Size),
    key("run-memory", Kind::Size),
    key("queue", Kind::Queue),
    key("engine-version", Kind::Text),
    key("keep-runs", Kind::Whole(None)),
];

impl Key {
    /// The id of the key's flag.
    pub(crate) fn id(&self) -> String {
        self.name.replace('-', "_")
    }

    /// Whether a flag with the key's id has the key's meaning. A flag with a variable does; but `slt shrink --seed`, which has
    /// none, is another seed.
    pub(super) fn is_of(&self, arg: &Arg) -> bool {
        arg.get_env().is_some() || self.beaten_by.iter().any(|name| is_variable(name))
    }

    /// The id of another flag, or the variable, that overrides the key; `None` if nothing does. The key's own flag and variable
    /// are not considered.
    pub(crate) fn beaten_by(&self, matches: &ArgMatches) -> Option<&'static str> {
        self.beaten_by.iter().copied().find(|name| match is_variable(name) {
            true => std::env::var_os(name).is_some(),
            false => matches.try_contains_id(name).unwrap_or(false),
        })
    }

    /// The key's value as users see it, without passwords.
    pub(crate) fn shown(&self, word: &str) -> String {
        let hidden = || "(cannot be shown)".to_owned();
        match self.kind {
            Kind::Engine => word.parse().map_or_else(|_| hidden(), |choice: crate::engine::Choice| choice.to_string()),
            Kind::Queue => crate::queue::Place::parse(word.into()).map_or_else(|_| hidden(), |place| place.to_string()),
            Kind::Seconds => format!("{word} s"),
            Kind::Switch => is_on(word).to_string(),
            Kind::Path | Kind::Paths => crate::suite::shown(Path::new(word)).into_owned(),
            _ => word.to_owned(),
        }
    }
}

/// Whether a switch with this value of its variable is on. clap reads the variables of flags in the same way.
pub(crate) fn is_on(word: &str) -> bool {
    !matches!(word.to_lowercase().as_str(), "" | "0" | "n" | "no" | "f" | "false" | "off")
}

/// Whether a name is a variable's, and not a flag's id.
pub(crate) fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
}

impl Kind {
    /// The values that are allowed, in words.
    pub(super) fn expected(self) -> String {
        match self {
            Kind::Text | Kind::Engine => "a text in quotes".to_owned(),
            Kind::Path => "a path in quotes".to_owned(),
            Kind::Queue => "a path or a URL in quotes".to_owned(),
            Kind::Texts => "a list of texts, such as [\"a\", \"b\"]".to_owned(),
            Kind::Paths => "a list of paths, such as [\"tests/slt\"]".to_owned(),
            Kind::Seconds => "a number of seconds".to_owned(),
            Kind::Whole(None) => "a whole number".to_owned(),
            Kind::Whole(Some(word)) => format!("a whole number or \"{word}\""),
            Kind::Size => "a number of bytes, or a size such as \"512M\"".to_owned(),
            Kind::Switch => "true or false".to_owned(),
            Kind::Dialects => {
                "a dialect, or a table of patterns and dialects, such as { \"a/**\" = \"slt\" }".to_owned()
            }
            Kind::Exclusions => "tables such as { files = [\"tpch/**\"], reason = \"slow\" }".to_owned(),
        }
    }
}
