//! The values of `$name` while `control substitution` is on.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::engine::Scratch;

/// Variables of one script: those that `let` sets, and three built-in ones.
///
/// `$__TEST_DIR__` is the script's own empty folder, `$__NOW__` the time in nanoseconds, `$__DATABASE__` the name of
/// the script's database on an engine that names databases. Environment variables are visible only if the user allows
/// it: a test file is untrusted input.
pub(super) struct Variables {
    bound: BTreeMap<String, String>,
    folder: Scratch,
    /// Whether `new_folder` has returned the folder.
    folder_told: bool,
    allow_env: bool,
    database: Option<String>,
}

/// Why a text could not be replaced: as our own message, and as the message of the `sqllogictest` crate, which scripts may
/// expect.
#[derive(Debug)]
pub(super) struct Unreplaced {
    pub(super) message: String,
    pub(super) as_crate: String,
}

impl Variables {
    pub(super) fn new(allow_env: bool, database: Option<String>, folder: Scratch) -> Self {
        Variables { bound: BTreeMap::new(), folder, folder_told: false, allow_env, database }
    }

    pub(super) fn set(&mut self, name: &str, value: String) {
        self.bound.insert(name.to_owned(), value);
    }

    /// Replaces `$name`, `${name}` and `${name:default}`; `\$` becomes `$`.
    pub(super) fn replace(&self, text: &str) -> Result<String, Unreplaced> {
        subst::substitute(text, self).map_err(|error| {
            let as_crate = format!("substitution failed: {error}");
            let message = match error {
                subst::Error::NoSuchVariable(missing) if !self.allow_env => {
                    format!("no variable `${}` (environment variables are seen only with `--allow-env`)", missing.name)
                }
                error => format!("cannot replace variables: {error}"),
            };
            Unreplaced { message, as_crate }
        })
    }

    /// Replaces the known names and leaves every other `$` to the shell.
    ///
    /// A name ends where the shell would end it: `$ab` is not `$a` followed by `b`. Values are not substituted again.
    pub(super) fn replace_known(&self, text: &str) -> Result<String, String> {
        let mut replaced = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            replaced.push_str(before);
            let is_part = |char: char| char.is_ascii_alphanumeric() || char == '_';
            let end = after.find(|char| !is_part(char)).unwrap_or(after.len());
            let (name, behind) = after.split_at(end);
            let is_ours = match name {
                "__TEST_DIR__" | "__NOW__" => true,
                "__DATABASE__" if self.database.is_some() => true,
                name => self.bound.contains_key(name),
            };
            if is_ours {
                replaced.push_str(&self.value(name).ok_or_else(|| format!("cannot make a folder for `${name}`"))?);
                rest = behind;
            } else {
                replaced.push('$');
                rest = after;
            }
        }
        replaced.push_str(rest);
        Ok(replaced)
    }

    /// The folder of `$__TEST_DIR__`, as soon as it exists. Returned only once.
    pub(super) fn new_folder(&mut self) -> Option<&Path> {
        let folder = self.folder.made().filter(|_| !self.folder_told)?;
        self.folder_told = true;
        Some(folder)
    }

    fn value(&self, name: &str) -> Option<String> {
        match name {
            "__TEST_DIR__" => {
                let folder = self.folder.folder().ok()?;
                Some(folder.to_string_lossy().into_owned())
            }
            "__DATABASE__" if self.database.is_some() => self.database.clone(),
            "__NOW__" => Some(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().to_string()),
            _ => self.bound.get(name).cloned().or_else(|| std::env::var(name).ok().filter(|_| self.allow_env)),
        }
    }
}

impl<'a> subst::VariableMap<'a> for Variables {
    type Value = String;

    fn get(&'a self, name: &str) -> Option<String> {
        self.value(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_names_are_replaced_and_the_environment_is_hidden_unless_allowed() {
        let mut variables = Variables::new(false, Some("db_7".into()), Scratch::default());
        variables.set("a", "1".into());
        assert_eq!(variables.replace("$a ${a}b \\$a ${x:2}").unwrap(), "1 1b $a 2");
        assert!(variables.replace("$PATH").unwrap_err().message.contains("no variable `$PATH`"));
        assert_eq!(
            Variables::new(true, None, Scratch::default()).replace("$PATH").unwrap(),
            std::env::var("PATH").unwrap()
        );
        assert_eq!(variables.replace_known("$a $PATH").unwrap(), "1 $PATH");
        assert_eq!(variables.replace("$__DATABASE__").unwrap(), "db_7");
        assert_eq!(variables.replace_known("$__DATABASE__").unwrap(), "db_7");
        assert!(Variables::new(false, None, Scratch::default()).replace("$__DATABASE__").is_err());
        assert_eq!(variables.replace_known("$ab ${a} $a.b $a-$a$a $").unwrap(), "$ab ${a} 1.b 1-11 $");
        variables.set("b", "$a".into());
        variables.set("ab", "2".into());
        assert_eq!(variables.replace_known("$ab $b").unwrap(), "2 $a");
        let folder = variables.replace("$__TEST_DIR__").unwrap();
        assert!(std::path::Path::new(&folder).is_dir());
    }
}
