//! Settings in a file: `slt.toml` beside the `Cargo.toml` of a package, or `[package.metadata.slt]` in that.
//!
//! Flags and variables take precedence over keys. clap decides between the three: a key becomes the default of its flag
//! (see [command_line](super::command_line)).
//! Keys about the suite have no flag to give a default to, and are applied to the suite ([`Settings::on`]).

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::ErrorKind as Io;
use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::sync::OnceLock;

use clap::{ArgMatches, Command};
use glob::Pattern;
use serde::{Deserialize, Serialize};

use super::manifest::{self, MANIFEST};
use crate::suite::{Dialect, Suite};
use keys::KEYS;

#[cfg_attr(not(feature = "toml"), path = "settings/no_file.rs")]
mod file;
pub(super) mod keys;

/// The file for settings.
const FILE: &str = "slt.toml";

/// The profile that is under every other one, and the only one where none is named.
const DEFAULT: &str = "default";

/// The key of a manifest that names the package's targets for `slt`, and is no setting of a run.
const TARGETS: &str = "targets";

/// The flag that names a profile.
pub(super) const PROFILE: &str = "profile";

/// Carries the settings of a run to its other processes, in JSON: they must not read a file that has changed meanwhile.
const HANDED_ON: &str = "SLT_WORKER_SETTINGS";

/// The most bytes that the settings may take as JSON: the system limits how long one variable may be.
const MOST_BYTES: usize = 100_000;

/// Settings are what a file says for one run: the keys at its top, and over them those of its profiles.
#[derive(Clone, Serialize, Deserialize)]
pub struct Settings {
    /// The file, as a user types it from the current folder.
    pub(super) file: String,
    /// The profile that was named, or `default` if the file has one.
    pub(super) profile: Option<String>,
    entries: Vec<Entry>,
}

/// A key of the file, with its value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) value: Value,
    /// Where the key is, counted from 1.
    pub(super) line: usize,
    /// The profile that it belongs to.
    pub(super) profile: Option<String>,
}

/// The value of a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Value {
    /// One value, or several, each as its flag takes it.
    Words(Vec<String>),
    /// What holds for the files that match a pattern.
    Rules(Vec<Rule>),
}

/// What holds for the files whose names match a pattern: a dialect, or the reason why they are left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Rule {
    pub(super) pattern: String,
    pub(super) what: String,
    pub(super) line: usize,
}

impl fmt::Debug for Settings {
    /// Not the values, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("file", &self.file).field("profile", &self.profile).finish_non_exhaustive()
    }
}

impl Settings {
    /// What the file says of a key.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// The profile, unless it is the one that is in force without being named.
    pub(crate) fn named_profile(&self) -> Option<&str> {
        self.profile.as_deref().filter(|name| *name != DEFAULT)
    }

    fn words(&self, key: &str) -> Option<&[String]> {
        match &self.entry(key)?.value {
            Value::Words(words) => Some(words),
            Value::Rules(_) => None,
        }
    }

    fn rules(&self, key: &str) -> &[Rule] {
        match self.entry(key).map(|entry| &entry.value) {
            Some(Value::Rules(rules)) => rules,
            _ => &[],
        }
    }

    /// The size of the stack for trials, in bytes.
    pub(crate) fn stack_size(&self) -> Option<usize> {
        self.words("stack-size")?.first()?.parse().ok()
    }

    /// The suite with what the file says of it. Roots that were named in another way (`has_roots`) stay.
    ///
    /// # Errors
    /// A root of the file is not there.
    pub(crate) fn on(&self, mut suite: Suite, has_roots: bool) -> Result<Suite, String> {
        if let (Some(roots), false) = (self.words("roots"), has_roots) {
            for root in roots {
                if let Err(error) = Path::new(root).metadata() {
                    let line = self.entry("roots").map_or(0, |entry| entry.line);
                    let why = match error.kind() {
                        Io::NotFound => "there is no such file or folder".to_owned(),
                        _ => error.to_string(),
                    };
                    return Err(format!("{}:{line}: `roots`: `{root}`: {why}", self.file));
                }
            }
            suite = suite.at(roots.iter().map(PathBuf::from));
        }
        for rule in self.rules("exclude") {
            suite = suite.exclude([rule.pattern.as_str()], &rule.what);
        }
        for rule in self.rules("dialect") {
            let dialect: Dialect = rule.what.parse()?;
            suite = suite.dialect(rule.pattern.as_str(), dialect);
        }
        Ok(suite)
    }

    /// A sentence on each pattern of the file that matches none of these names.
    pub(crate) fn idle<'n>(&self, names: impl Iterator<Item = &'n str> + Clone) -> Vec<String> {
        let of = |key: &'static str| self.rules(key).iter().map(move |rule| (key, rule));
        let is_idle = |(_, rule): &(&str, &Rule)| {
            let pattern = Pattern::new(&rule.pattern).ok();
            !pattern.is_some_and(|pattern| names.clone().any(|name| pattern.matches(name)))
        };
        let describe = |(key, rule): (&str, &Rule)| {
            format!("{}:{}: `{key}`: no test file matches `{}`", self.file, rule.line, rule.pattern)
        };
        of("exclude").chain(of("dialect")).filter(is_idle).map(describe).collect()
    }

    /// The command with the keys of the file as defaults of its flags, but for those that `matches` says are beaten.
    pub(super) fn defaults(&self, mut command: Command, matches: &ArgMatches) -> Command {
        // Roots belong to the suite, and are not to look like roots that were typed.
        for key in KEYS.iter().filter(|key| key.name != "roots") {
            let id = key.id();
            let has_flag = command.get_arguments().any(|arg| arg.get_id() == id.as_str() && key.is_of(arg));
            let words = self.words(key.name).filter(|_| has_flag && key.beaten_by(matches).is_none());
            if let Some(words) = words {
                let words: Vec<OsString> = words.iter().map(OsString::from).collect();
                command = command.mut_arg(&id, |arg| arg.default_values(words));
            }
        }
        command
    }
}

/// The folder of the package that is being tested (`CARGO_MANIFEST_DIR`), or else of the one around the current folder: the
/// nearest folder with settings or a package.
fn package() -> PathBuf {
    if let Some(folder) = std::env::var_os("CARGO_MANIFEST_DIR") {
        return folder.into();
    }
    let here = std::env::current_dir().unwrap_or_default();
    let is_package = |folder: &&Path| {
        let has_package = |text: String| manifest::package(&text).is_some();
        folder.join(FILE).exists() || fs::read_to_string(folder.join(MANIFEST)).is_ok_and(has_package)
    };
    here.ancestors().find(is_package).unwrap_or(&here).to_path_buf()
}

/// What this process's settings are for its other processes: set once they are read.
static IN_USE: OnceLock<String> = OnceLock::new();

/// Gives a process of the same run the settings of this one.
pub(crate) fn hand_on(process: &mut Process) {
    if let Some(settings) = IN_USE.get() {
        process.env(HANDED_ON, settings);
    }
}

/// The settings of this process: those of the package, or those that the process that started this one handed on.
///
/// # Errors
/// The file cannot be used, or is too long to be handed on.
pub(super) fn in_use(profile: Option<&str>) -> Result<Option<Settings>, String> {
    let settings = match std::env::var(HANDED_ON) {
        Ok(json) => serde_json::from_slice(json.as_bytes()).map_err(|error| format!("`{HANDED_ON}`: {error}"))?,
        Err(_) => Settings::read(&package(), profile)?,
    };
    let json = serde_json::to_string(&settings).expect("plain data becomes JSON in memory");
    if json.len() > MOST_BYTES {
        let file = settings.map_or(String::new(), |settings| settings.file);
        return Err(format!("the settings in `{file}` are too long: {} bytes, of at most {MOST_BYTES}", json.len()));
    }
    IN_USE.get_or_init(|| json);
    Ok(settings)
}

#[cfg(all(test, feature = "toml"))]
mod tests;
