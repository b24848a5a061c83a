//! Settings in a file: `slt.toml` beside the `Cargo.toml` of a package, or `[package.metadata.slt]` in the latter.
//!
//! Flags and variables take precedence over keys. clap decides between the three: a key becomes the default of its flag (see
//! [command_line](super::command_line)). Keys about the suite are no defaults of flags; [`Settings::on`] applies them to the
//! suite.

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

/// The name of the settings file.
const FILE: &str = "slt.toml";

/// The profile that always applies; a profile that the user names overrides it.
const DEFAULT: &str = "default";

/// The key of a manifest that names the package's targets for `slt`. It is no setting of a run.
const TARGETS: &str = "targets";

/// The flag that names a profile.
pub(super) const PROFILE: &str = "profile";

/// The variable that passes the settings of a run to its other processes, as JSON: the file may have changed before they could
/// read it.
const HANDED_ON: &str = "SLT_WORKER_SETTINGS";

/// The maximum size of the settings as JSON, in bytes: the system limits the length of a variable.
const MOST_BYTES: usize = 100_000;

/// Settings are the keys of a file for one run: those at its top, overridden by those of its profiles.
#[derive(Clone, Serialize, Deserialize)]
pub struct Settings {
    /// The path of the file, as a user types it from the current folder.
    pub(super) file: String,
    /// The profile that the user named, otherwise `default` if the file has it.
    pub(super) profile: Option<String>,
    entries: Vec<Entry>,
}

/// A key of the file, with its value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) value: Value,
    /// The line of the key, counted from 1.
    pub(super) line: usize,
    /// The profile that the key belongs to; `None` at the top of the file.
    pub(super) profile: Option<String>,
}

/// The value of a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Value {
    /// One or several values, each as the key's flag takes it.
    Words(Vec<String>),
    /// A dialect, or a reason to leave files out, for each pattern.
    Rules(Vec<Rule>),
}

/// A rule for the files whose names match a pattern: their dialect, or the reason why they are left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Rule {
    pub(super) pattern: String,
    pub(super) what: String,
    pub(super) line: usize,
}

impl fmt::Debug for Settings {
    /// Leaves out the values, which may contain a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("file", &self.file).field("profile", &self.profile).finish_non_exhaustive()
    }
}

impl Settings {
    /// The entry for a key in the settings file.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// The profile, unless it is `default`, which applies without being named.
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

    /// Applies the file's keys to the suite. With `has_roots`, the user has named roots in another way, and these stay.
    ///
    /// # Errors
    /// A root in the file does not exist.
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

    /// A sentence about each pattern of the file that matches none of these names.
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

    /// Makes the file's keys the defaults of the command's flags, except keys that another flag or variable in `matches`
    /// overrides.
    pub(super) fn defaults(&self, mut command: Command, matches: &ArgMatches) -> Command {
        // Roots are applied to the suite. As defaults, they would look like roots that the user typed.
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

/// The folder of the package that is being tested (`CARGO_MANIFEST_DIR`); otherwise the current folder, or the nearest folder
/// above it, that has settings or a package.
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

/// The settings that this process passes to other processes of the run, as JSON; set when they are read.
static IN_USE: OnceLock<String> = OnceLock::new();

/// Passes the settings of this process to another process of the same run.
pub(crate) fn hand_on(process: &mut Process) {
    if let Some(settings) = IN_USE.get() {
        process.env(HANDED_ON, settings);
    }
}

/// The settings of this process: those that the parent process passed on, otherwise those of the package.
///
/// # Errors
/// The file cannot be used, or is too long to be passed on.
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
