//! The settings in force, and where each comes from.

use std::fmt::Write as _;

use clap::parser::ValueSource;
use clap::{ArgMatches, Command};
use serde_json::json;
use unicode_width::UnicodeWidthStr;

use super::implying;
use super::settings::Settings;
use super::settings::keys::{KEYS, Key, is_variable};
use super::settings::{Entry, Value};

/// The settings in force: for each key, its value and what decides it.
#[derive(Debug, Clone, Default)]
pub struct InForce {
    file: Option<String>,
    profile: Option<String>,
    rows: Vec<Row>,
}

/// A setting, and what decides it.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    key: &'static str,
    value: Vec<String>,
    from: From,
}

/// What decides a setting.
#[derive(Debug, Clone, PartialEq)]
enum From {
    Flag(String),
    Variable(String),
    File { line: usize, profile: Option<String> },
    Code,
    Default,
}

impl InForce {
    /// The settings in force by a command line and the settings file below it.
    pub(super) fn new(flags: &Command, matches: &ArgMatches, settings: Option<&Settings>) -> InForce {
        let mut rows = Vec::new();
        for key in KEYS {
            let entry = settings.and_then(|settings| settings.entry(key.name));
            let given = given(flags, matches, key);
            let from_file = |entry: &Entry| {
                let from = From::File { line: entry.line, profile: entry.profile.clone() };
                Row { key: key.name, value: words(key, entry), from }
            };
            rows.extend(given.or_else(|| entry.map(from_file)));
            if rows.last().is_none_or(|row| row.key != key.name) {
                let id = key.id();
                let default = matches.try_get_raw(&id).ok().flatten();
                let value = default.into_iter().flatten().map(|word| key.shown(&word.to_string_lossy())).collect();
                rows.push(Row { key: key.name, value, from: From::Default });
            }
        }
        let (file, profile) = match settings {
            Some(settings) => (Some(settings.file.clone()), settings.profile.clone()),
            None => (None, None),
        };
        InForce { file, profile, rows }
    }

    /// Adds the value that the target's code sets for a key, unless something else overrides it.
    pub(crate) fn add_code(&mut self, key: &str, value: Vec<String>) {
        let Some(known) = KEYS.iter().find(|known| known.name == key).filter(|_| !value.is_empty()) else { return };
        let at = self.rows.iter().position(|row| row.key == key).expect("each key has a row");
        let row = Row { key: known.name, value, from: From::Code };
        // One dialect for all files overrides the dialects by pattern.
        let is_beaten = !known.adds || (key == "dialect" && self.is_typed(key));
        match self.rows[at].from {
            From::Default => self.rows[at] = row,
            _ if !is_beaten => self.rows.insert(at, row),
            _ => {}
        }
    }

    /// Sets the value that a key has if nothing else decides it.
    #[cfg(feature = "commands")]
    pub(crate) fn set_default(&mut self, key: &str, value: Vec<String>) {
        for row in self.rows.iter_mut().filter(|row| row.key == key && row.from == From::Default) {
            row.value = value.clone();
        }
    }

    /// Whether a flag or a variable decides this key, so that a command that reruns a file must repeat it.
    pub(crate) fn is_typed(&self, key: &str) -> bool {
        self.rows.iter().any(|row| row.key == key && matches!(row.from, From::Flag(_) | From::Variable(_)))
    }

    /// The place in the settings file that decides this key: `slt.toml:3`; `None` if something else decides it.
    pub(crate) fn in_file(&self, key: &str) -> Option<String> {
        let decides = |row: &&Row| row.key == key && matches!(row.from, From::File { .. });
        self.rows.iter().find(decides).map(|row| self.place(&row.from))
    }

    /// Whether a variable decides this key.
    pub(crate) fn is_in_variable(&self, key: &str) -> bool {
        self.rows.iter().any(|row| row.key == key && matches!(row.from, From::Variable(_)))
    }

    /// A table for people.
    pub(crate) fn text(&self) -> String {
        let file = self.file.as_deref().map_or("settings: no file".to_owned(), |file| format!("settings: {file}"));
        let profile = self.profile.as_deref().map_or(String::new(), |name| format!(", profile `{name}`"));
        let mut text = format!("{file}{profile}\n\n");
        let shown = |row: &Row| if row.value.is_empty() { "-".to_owned() } else { row.value.join(", ") };
        let rows = self.rows.iter().map(|row| (row.key.to_owned(), shown(row), self.place(&row.from)));
        let head = ("key".to_owned(), "value".to_owned(), "from".to_owned());
        let rows: Vec<(String, String, String)> = [head].into_iter().chain(rows).collect();
        let keys = rows.iter().map(|(key, ..)| key.len()).max().unwrap_or(0);
        // Values of more than 40 characters do not widen the column.
        let values = rows.iter().map(|(_, value, _)| value.width()).filter(|width| *width <= 40).max().unwrap_or(0);
        for (key, value, from) in rows {
            let fill = " ".repeat(values.saturating_sub(value.width()));
            let _ = writeln!(text, "{key:keys$}  {value}{fill}  {from}");
        }
        text
    }

    /// The settings in force as JSON.
    pub(crate) fn json(&self) -> String {
        let row = |row: &Row| {
            let mut object = json!({ "key": row.key, "value": row.value });
            let (kind, name, value) = match &row.from {
                From::Flag(name) => ("flag", "name", json!(name)),
                From::Variable(name) => ("variable", "name", json!(name)),
                From::File { line, profile } => {
                    object["profile"] = json!(profile);
                    ("file", "line", json!(line))
                }
                From::Code => ("code", "", json!(null)),
                From::Default => ("default", "", json!(null)),
            };
            object["from"] = json!(kind);
            if !name.is_empty() {
                object[name] = value;
            }
            object
        };
        let rows: Vec<serde_json::Value> = self.rows.iter().map(row).collect();
        let whole = json!({ "file": self.file, "profile": self.profile, "settings": rows });
        serde_json::to_string_pretty(&whole).expect("plain data becomes JSON in memory") + "\n"
    }

    fn place(&self, from: &From) -> String {
        let file = self.file.as_deref().unwrap_or_default();
        match from {
            From::Flag(name) => format!("flag {name}"),
            From::Variable(name) => format!("variable {name}"),
            From::File { line, profile: None } => format!("{file}:{line}"),
            From::File { line, profile: Some(profile) } => format!("profile `{profile}` in {file}:{line}"),
            From::Code => "the target's code".to_owned(),
            From::Default => "default".to_owned(),
        }
    }
}

/// The row of a key that a flag or a variable decides; `None` if neither does.
fn given(flags: &Command, matches: &ArgMatches, key: &'static Key) -> Option<Row> {
    let row = |value, from| Some(Row { key: key.name, value, from });
    let of_flag = |id: &str| {
        let arg = flags.get_arguments().find(|arg| arg.get_id() == id)?;
        let from = match matches.value_source(id)? {
            ValueSource::CommandLine => From::Flag(format!("--{}", arg.get_long()?)),
            ValueSource::EnvVariable => From::Variable(arg.get_env()?.to_string_lossy().into_owned()),
            _ => return None,
        };
        let words = matches.get_raw(id)?.map(|word| key.shown(&word.to_string_lossy())).collect();
        Some((words, from))
    };
    if let Some(id) = implying(matches).filter(|_| key.name == "parallel") {
        return row(vec!["true".to_owned()], of_flag(id)?.1);
    }
    if let Some((value, from)) = of_flag(&key.id()) {
        return row(value, from);
    }
    match key.beaten_by(matches)? {
        name if is_variable(name) => {
            row(vec![std::env::var(name).unwrap_or_default()], From::Variable(name.to_owned()))
        }
        "query_timeout_ms" => {
            let (words, from): (Vec<String>, From) = of_flag("query_timeout_ms")?;
            row(words.iter().map(|word| word.replace(" s", " ms")).collect(), from)
        }
        // Another flag overrides the key, which then has no value.
        id => row(Vec::new(), of_flag(id)?.1),
    }
}

/// The value of a key of the file, as users see it.
fn words(key: &Key, entry: &Entry) -> Vec<String> {
    match &entry.value {
        Value::Words(words) => words.iter().map(|word| key.shown(word)).collect(),
        Value::Rules(rules) => rules.iter().map(|rule| format!("{} ({})", rule.pattern, rule.what)).collect(),
    }
}
