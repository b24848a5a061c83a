//! Reads and checks the keys of a settings file: those at its top, and those of each profile.

use std::path::Path;

use clap::{Args, Command};
use glob::Pattern;
use toml_edit::{Item, TableLike, Value as Toml};

use crate::config::Flags;
use crate::config::number::positive;
use crate::config::parallel::size;
use crate::config::settings::keys::{KEYS, Key, Kind};
use crate::config::settings::{Entry, PROFILE, Rule, TARGETS, Value};
use crate::dialect::Dialect;
use crate::engine::Choice;
use crate::queue::Place;

/// The settings file that is read.
pub(super) struct Source<'s> {
    file: &'s str,
    text: &'s str,
    folder: &'s Path,
    flags: Command,
    is_manifest: bool,
}

/// Profiles by their names.
type Profiles = Vec<(String, Vec<Entry>)>;

/// The line in which a byte of the text is, counted from 1.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    1 + text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count()
}

impl<'s> Source<'s> {
    pub(super) fn new(file: &'s str, text: &'s str, folder: &'s Path, is_manifest: bool) -> Source<'s> {
        Source { file, text, folder, flags: Flags::augment_args(Command::new("slt")), is_manifest }
    }

    /// The keys at the top of a table, and its profiles.
    ///
    /// # Errors
    /// A key is unknown or has a wrong value. The message names the file, the line, and what is expected.
    pub(super) fn layers(&self, table: &dyn TableLike) -> Result<(Vec<Entry>, Profiles), String> {
        let top = self.entries(table, None)?;
        let mut profiles = Profiles::new();
        if let Some(item) = table.get(PROFILE) {
            let expected = || self.wrong(table, PROFILE, item, "a table for each profile, such as [profile.ci]");
            let named = item.as_table_like().ok_or_else(expected)?;
            for (name, item) in named.iter() {
                let of_one =
                    item.as_table_like().ok_or_else(|| self.wrong(named, name, item, "a table of settings"))?;
                profiles.push((name.to_owned(), self.entries(of_one, Some(name))?));
            }
        }
        Ok((top, profiles))
    }

    fn entries(&self, table: &dyn TableLike, profile: Option<&str>) -> Result<Vec<Entry>, String> {
        let mut entries = Vec::new();
        // At the top of the file, these keys are no settings.
        let is_other = |name: &str| name == PROFILE || (name == TARGETS && self.is_manifest);
        for (name, item) in table.iter().filter(|(name, _)| profile.is_some() || !is_other(name)) {
            let line = self.line(table, name, item);
            let Some(key) = KEYS.iter().find(|key| key.name == name) else {
                return Err(self.at(line, &self.unknown(name, profile)));
            };
            let value = match key.kind {
                Kind::Exclusions => self.exclusions(table, key, item)?,
                Kind::Dialects => self.dialects(table, key, item)?,
                kind => {
                    let words = kind.words(item, self.folder);
                    let words = words.ok_or_else(|| self.wrong_words(table, name, item, kind))?;
                    for word in &words {
                        self.check(key, word).map_err(|why| self.at(line, &format!("`{name}`: {why}")))?;
                    }
                    Value::Words(self.plain(kind, words))
                }
            };
            entries.push(Entry { key: name.to_owned(), value, line, profile: profile.map(str::to_owned) });
        }
        Ok(entries)
    }

    /// Converts sizes to bytes; other values stay.
    fn plain(&self, kind: Kind, words: Vec<String>) -> Vec<String> {
        let bytes = |word: String| size(&word).map_or(word, |bytes| bytes.to_string());
        if kind == Kind::Size { words.into_iter().map(bytes).collect() } else { words }
    }

    /// Checks that the flag of a key accepts this value.
    fn check(&self, key: &Key, word: &str) -> Result<(), String> {
        let of_word = |why: String| format!("`{word}`: {why}");
        match key.kind {
            Kind::Engine => return word.parse::<Choice>().map(|_| ()).map_err(|error| error.to_string()),
            Kind::Queue => return Place::parse(word.into()).map(|_| ()).map_err(|error| error.to_string()),
            Kind::Size => return size(word).map(|_| ()),
            Kind::Switch => return Ok(()),
            // These flags have the parser of libtest-mimic for it, which accepts 0.
            _ if key.name == "test-threads" => return positive::<usize>(word).map(drop).map_err(of_word),
            _ => {}
        }
        let id = key.id();
        let Some(arg) = self.flags.get_arguments().find(|arg| arg.get_id() == id.as_str()) else { return Ok(()) };
        let long = arg.get_long().unwrap_or_default();
        // Without its variable, whose own value may be wrong.
        let alone = Command::new("slt").no_binary_name(true).arg(arg.clone().env(None::<&'static str>));
        let parsed = alone.try_get_matches_from([format!("--{long}={word}")]);
        parsed.map(|_| ()).map_err(|error| {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            std::error::Error::source(&error).map_or(first, |why| of_word(why.to_string()))
        })
    }

    fn exclusions(&self, table: &dyn TableLike, key: &Key, item: &Item) -> Result<Value, String> {
        let expected = || self.wrong(table, key.name, item, &key.kind.expected());
        let each: Vec<&dyn TableLike> = match item {
            Item::ArrayOfTables(tables) => tables.iter().map(|table| table as &dyn TableLike).collect(),
            Item::Value(Toml::Array(array)) => {
                let each = array.iter().map(|value| value.as_inline_table().map(|table| table as &dyn TableLike));
                each.collect::<Option<_>>().ok_or_else(expected)?
            }
            _ => return Err(expected()),
        };
        let mut rules = Vec::new();
        for table in each {
            if let Some((name, item)) = table.iter().find(|(name, _)| !["files", "reason"].contains(name)) {
                let line = self.line(table, name, item);
                let name = format!("unknown key `{name}` in `exclude`, which has `files` and `reason`");
                return Err(self.at(line, &name));
            }
            let (Some(files), Some(reason)) = (table.get("files"), table.get("reason")) else {
                let (name, given) = table.iter().next().ok_or_else(expected)?;
                let line = self.line(table, name, given);
                return Err(self.at(line, "`exclude`: both `files` and `reason` are needed"));
            };
            let reason = reason.as_str().filter(|reason| !reason.trim().is_empty());
            let reason = reason.ok_or_else(|| self.wrong(table, "reason", files, "a text in quotes, not empty"))?;
            let patterns = match files.as_str() {
                Some(one) => vec![(one, files.span())],
                None => {
                    let wrong = || self.wrong(table, "files", files, "a pattern, or a list of patterns");
                    let each = files.as_array().ok_or_else(wrong)?.iter();
                    let each = each.map(|value| Some((value.as_str()?, value.span())));
                    each.collect::<Option<Vec<_>>>().ok_or_else(wrong)?
                }
            };
            for (pattern, span) in patterns {
                let line = span.map_or_else(|| self.line(table, "files", files), |span| line_of(self.text, span.start));
                rules.push(self.rule(key, pattern, reason, line)?);
            }
        }
        Ok(Value::Rules(rules))
    }

    fn dialects(&self, table: &dyn TableLike, key: &Key, item: &Item) -> Result<Value, String> {
        let line = self.line(table, key.name, item);
        if let Some(name) = item.as_str() {
            return Ok(Value::Rules(vec![self.dialect(key, "*", name, line)?]));
        }
        let rules = item.as_table_like().ok_or_else(|| self.wrong(table, key.name, item, &key.kind.expected()))?;
        let each = rules.iter().map(|(pattern, item)| {
            let name = item.as_str().ok_or_else(|| self.wrong(rules, pattern, item, "a dialect in quotes"))?;
            self.dialect(key, pattern, name, self.line(rules, pattern, item))
        });
        Ok(Value::Rules(each.collect::<Result<_, String>>()?))
    }

    fn dialect(&self, key: &Key, pattern: &str, name: &str, line: usize) -> Result<Rule, String> {
        name.parse::<Dialect>().map_err(|why| self.at(line, &format!("`{}`: {why}", key.name)))?;
        self.rule(key, pattern, name, line)
    }

    fn rule(&self, key: &Key, pattern: &str, what: &str, line: usize) -> Result<Rule, String> {
        let bad = |error: glob::PatternError| {
            self.at(line, &format!("`{}`: `{pattern}` is not a file pattern: {}", key.name, error.msg))
        };
        Pattern::new(pattern).map_err(bad)?;
        Ok(Rule { pattern: pattern.to_owned(), what: what.to_owned(), line })
    }

    /// The message about a key that does not exist.
    fn unknown(&self, name: &str, profile: Option<&str>) -> String {
        let flag = name.replace('_', "-");
        if KEYS.iter().any(|key| key.name == flag) {
            return format!("unknown key `{name}`; did you mean `{flag}`?");
        }
        let is_flag = |arg: &&clap::Arg| arg.get_long().is_some_and(|long| long == flag);
        if self.flags.get_arguments().any(|arg| is_flag(&arg)) {
            return format!("`{name}` is chosen for one run and is not a setting: use the flag `--{flag}`");
        }
        let others = profile.is_none().then_some(PROFILE);
        let names = KEYS.iter().map(|key| key.name).chain(others);
        let near = names.map(|key| (strsim::damerau_levenshtein(key, &flag), key)).min();
        match near {
            Some((distance, key)) if distance <= 1 + flag.len() / 3 => {
                format!("unknown key `{name}`; did you mean `{key}`?")
            }
            _ => format!("unknown key `{name}`: `slt config` lists all keys"),
        }
    }

    /// The message about a value of the wrong type, or about the first such item of a list.
    fn wrong_words(&self, table: &dyn TableLike, name: &str, item: &Item, kind: Kind) -> String {
        let each = match kind {
            Kind::Texts => "a text in quotes for each item",
            Kind::Paths => "a path in quotes for each item",
            _ => return self.wrong(table, name, item, &kind.expected()),
        };
        match item.as_array().and_then(|array| array.iter().find(|value| !value.is_str())) {
            Some(odd) => {
                let line =
                    odd.span().map_or_else(|| self.line(table, name, item), |span| line_of(self.text, span.start));
                self.at(line, &format!("`{name}` needs {each}, not this {}", odd.type_name()))
            }
            None => self.wrong(table, name, item, &kind.expected()),
        }
    }

    fn wrong(&self, table: &dyn TableLike, name: &str, item: &Item, expected: &str) -> String {
        let found = match item {
            Item::Value(value) => value.type_name(),
            other => other.type_name(),
        };
        self.at(self.line(table, name, item), &format!("`{name}` needs {expected}, not this {found}"))
    }

    fn line(&self, table: &dyn TableLike, name: &str, item: &Item) -> usize {
        let span = table.key(name).and_then(toml_edit::Key::span).or_else(|| item.span());
        span.map_or(1, |span| line_of(self.text, span.start))
    }

    fn at(&self, line: usize, message: &str) -> String {
        format!("{}:{line}: {message}", self.file)
    }
}

impl Kind {
    /// The words of a value, as the flag takes them; `None` if the value has the wrong type. Paths are relative to `folder`.
    fn words(self, item: &Item, folder: &Path) -> Option<Vec<String>> {
        let path = |text: &str| folder.join(text).to_string_lossy().into_owned();
        let texts = || item.as_array()?.iter().map(Toml::as_str).collect::<Option<Vec<&str>>>();
        let number = || item.as_integer().map(|number| number.to_string());
        let one = |word: String| Some(vec![word]);
        match self {
            Kind::Text => one(item.as_str()?.to_owned()),
            Kind::Path => one(path(item.as_str()?)),
            Kind::Engine => one(engine(item.as_str()?, folder)),
            Kind::Queue => match item.as_str()? {
                url if url.contains("://") => one(url.to_owned()),
                file => one(path(file)),
            },
            Kind::Texts => Some(texts()?.into_iter().map(str::to_owned).collect()),
            Kind::Paths => Some(texts()?.into_iter().map(path).collect()),
            Kind::Seconds => one(number().or_else(|| item.as_float().map(|number| number.to_string()))?),
            Kind::Whole(word) => {
                one(number().or_else(|| item.as_str().filter(|text| Some(*text) == word).map(str::to_owned))?)
            }
            Kind::Size => one(number().or_else(|| item.as_str().map(str::to_owned))?),
            Kind::Switch => one(item.as_bool()?.to_string()),
            Kind::Dialects | Kind::Exclusions => None,
        }
    }
}

/// An engine. If it is external and its program is a relative path, that path is relative to `folder`.
fn engine(text: &str, folder: &Path) -> String {
    let Some(command) = text.strip_prefix("external:") else { return text.to_owned() };
    let command = command.trim_start();
    let (program, rest) = command.split_at(command.find(char::is_whitespace).unwrap_or(command.len()));
    if !program.contains('/') || program.contains(['"', '\'', '\\']) || Path::new(program).is_absolute() {
        return text.to_owned();
    }
    let program = folder.join(program).to_string_lossy().into_owned();
    let program = shlex::try_quote(&program).map_or_else(|_| program.clone(), std::borrow::Cow::into_owned);
    format!("external:{program}{rest}")
}
