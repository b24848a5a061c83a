//! Names in braces: `{TEST_DIR}`, `{DATA_DIR}`, names that `set variable` defines, and loop variables.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};

use once_cell::unsync::OnceCell;
use tempfile::TempDir;

/// The names that a script knows.
#[derive(Debug)]
pub struct Names {
    defined: BTreeMap<String, String>,
    /// The script's name: a path with `/`.
    script: String,
    here: PathBuf,
    /// The script's temporary folder, made when it is first used.
    folder: OnceCell<TempDir>,
    /// Makes `{UUID}` different in each run.
    random: RandomState,
}

impl Names {
    /// The names of the script `script`.
    pub fn new(script: &str) -> Self {
        Names {
            defined: BTreeMap::new(),
            script: script.to_owned(),
            here: std::env::current_dir().unwrap_or_default(),
            folder: OnceCell::new(),
            random: RandomState::new(),
        }
    }

    /// Defines a name.
    pub fn define(&mut self, name: &str, value: String) {
        self.defined.insert(name.to_owned(), value);
    }

    /// The script's temporary folder.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn folder(&self) -> Result<&Path, String> {
        let make = || tempfile::Builder::new().prefix("slt-duckdb-").tempdir();
        let made = self.folder.get_or_try_init(make);
        made.map(TempDir::path).map_err(|error| format!("cannot make a folder for `{{TEST_DIR}}`: {error}"))
    }

    /// The script's temporary folder, if it has been used.
    pub fn made_folder(&self) -> Option<&Path> {
        self.folder.get().map(TempDir::path)
    }

    /// Replaces names in braces, in the order of DuckDB's own runner: defined names, then those that every script knows, then
    /// `loops`, the variables of the loops around the text, the outermost first. So a value may contain names that come later.
    /// Unknown names stay, because SQL has braces too. `line` is the line of the text: texts of one line have the same
    /// `{UUID}`.
    ///
    /// # Errors
    /// The folder for `{TEST_DIR}` cannot be made, or the values make the text too long.
    pub fn replace<'t>(&self, text: &'t str, line: u64, loops: &[(&str, &str)]) -> Result<Cow<'t, str>, String> {
        if memchr::memchr(b'{', text.as_bytes()).is_none() && !text.contains("__") {
            return Ok(Cow::Borrowed(text));
        }
        let mut text = self.without_loops(text, line)?;
        for (name, value) in loops {
            // Most texts have no more names after the first variables.
            if !text.contains('{') {
                break;
            }
            let value = self.without_loops(value, line)?;
            put(&mut text, name, &value)?;
        }
        Ok(text)
    }

    /// Replaces defined names, and then those that every script knows.
    fn without_loops<'t>(&self, text: &'t str, line: u64) -> Result<Cow<'t, str>, String> {
        let mut text = Cow::Borrowed(text);
        // The value of a defined name may contain another one. A name that contains itself is replaced a few times.
        for _ in 0..MOST_NESTED {
            let mut any = false;
            for (name, value) in &self.defined {
                any |= put(&mut text, name, value)?;
            }
            if !any {
                break;
            }
        }
        let (mut replaced, mut any) = (String::new(), false);
        let mut rest = &*text;
        while let Some(at) = rest.find(['{', '_']) {
            let found = match rest.as_bytes()[at] {
                b'{' => rest[at + 1..].find('}').map(|end| (&rest[at + 1..at + 1 + end], end + 2)),
                _ => OLD_NAMES.iter().find(|old| rest[at..].starts_with(old.0)).map(|old| (old.1, old.0.len())),
            };
            let value = match found {
                Some((name, length)) => self.value(name, line)?.map(|value| (value, length)),
                None => None,
            };
            match value {
                // `${name}` is the deprecated form.
                Some((value, length)) => {
                    replaced.push_str(rest[..at].strip_suffix('$').unwrap_or(&rest[..at]));
                    replaced.push_str(&value);
                    rest = &rest[at + length..];
                    any = true;
                }
                None => {
                    replaced.push_str(&rest[..=at]);
                    rest = &rest[at + 1..];
                }
            }
        }
        if !any {
            return Ok(text);
        }
        replaced.push_str(rest);
        Ok(Cow::Owned(replaced))
    }

    fn value(&self, name: &str, line: u64) -> Result<Option<String>, String> {
        let base = self.script.replace('/', "_");
        Ok(Some(match name {
            "TEST_DIR" | "TEMP_DIR" | "TEMP_DIR_ABSOLUTE" | "LOCAL_TEMP_DIR" => {
                self.folder()?.to_string_lossy().into_owned()
            }
            "TEMP_DIR_ROOT" => std::env::temp_dir().to_string_lossy().into_owned(),
            "CATALOG_DIR" => self.folder()?.join("catalog").to_string_lossy().into_owned(),
            "WORKING_DIRECTORY" | "WORKING_DIR" => self.here.to_string_lossy().into_owned(),
            "BUILD_DIRECTORY" | "BUILD_DIR" => self.here.join("build").to_string_lossy().into_owned(),
            "DATA_DIR" | "LOCAL_DATA_DIR" => "data".to_owned(),
            "TEST_NAME" => self.script.clone(),
            "BASE_TEST_NAME" | "TEST_NAME__NO_SLASH" | "TEST_ID" => base,
            "UUID" => self.uuid(line),
            "TEST_UUID" | "RUN_ID" => self.uuid(0),
            _ => return Ok(None),
        }))
    }

    fn uuid(&self, line: u64) -> String {
        let half = |salt: u64| {
            let mut hasher = self.random.build_hasher();
            hasher.write_u64(salt);
            hasher.write_u64(line);
            hasher.finish()
        };
        let (high, low) = (half(1), half(2));
        let (a, b, c) = (high >> 32, high >> 16 & 0xffff, high & 0xfff);
        format!("{a:08x}-{b:04x}-4{c:03x}-{:04x}-{:012x}", low >> 48 & 0x3fff | 0x8000, low & 0xffff_ffff_ffff)
    }
}

/// How deep names in the values of defined names may be nested.
const MOST_NESTED: usize = 8;

/// How long a text may become, in bytes.
const LONGEST: usize = 64 << 20;

/// Replaces `{name}`, and its deprecated form `${name}`; returns whether there was one.
fn put(text: &mut Cow<'_, str>, name: &str, value: &str) -> Result<bool, String> {
    let braced = format!("{{{name}}}");
    let count = text.matches(&braced).count();
    if count == 0 {
        return Ok(false);
    }
    if text.len() + count.saturating_mul(value.len()) > LONGEST {
        return Err(format!("the values of names in braces make this text longer than {} MiB", LONGEST >> 20));
    }
    *text = Cow::Owned(text.replace(&format!("${braced}"), value).replace(&braced, value));
    Ok(true)
}

/// How files for DuckDB 1.x write some names.
const OLD_NAMES: [(&str, &str); 3] = [
    ("__TEST_DIR__", "TEST_DIR"),
    ("__WORKING_DIRECTORY__", "WORKING_DIRECTORY"),
    ("__BUILD_DIRECTORY__", "BUILD_DIRECTORY"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names_are_replaced_and_the_braces_of_sql_stay() {
        let mut names = Names::new("a/b.test");
        names.define("own", "x".to_owned());
        let replace = |text: &str| names.replace(text, 7, &[("i", "3")]).unwrap().into_owned();
        assert_eq!(replace("{i} ${i} {own} ${own} $1"), "3 3 x x $1");
        assert_eq!(replace("{DATA_DIR}/{TEST_NAME} {BASE_TEST_NAME}"), "data/a/b.test a_b.test");
        for text in ["{'a': 1}", "{a: {b: 2}}", "${", "{nobody}", "a_b __x__ {i", "{x\n}"] {
            assert_eq!(replace(text), text);
        }
        assert_eq!(replace("{a: {i}}"), "{a: 3}");
        let folder = replace("{TEST_DIR}");
        assert!(Path::new(&folder).is_dir());
        assert_eq!(replace("'__TEST_DIR__/x' {TEMP_DIR}"), format!("'{folder}/x' {folder}"));
    }

    #[test]
    fn a_value_may_contain_names_that_are_replaced_later() {
        let mut names = Names::new("a.test");
        names.define("A", "{TEST_DIR}/x-{UUID}.db".to_owned());
        names.define("Q", "{i}".to_owned());
        names.define("own", "defined".to_owned());
        let loops = [("e", "{i}+{DATA_DIR}"), ("i", "3"), ("own", "of the loop")];
        let replace = |text: &str| names.replace(text, 7, &loops).unwrap().into_owned();
        assert_eq!(replace("'{A}'"), replace("'{TEST_DIR}/x-{UUID}.db'"));
        assert!(!replace("{A}").contains(['{', '}']));
        assert_eq!(replace("{Q} ({e}) {own}"), "3 (3+data) defined");
        names.define("Z", "{A} {own}".to_owned());
        names.define("again", "{again}.".to_owned());
        assert_eq!(names.replace("{Z}", 7, &[]).unwrap(), names.replace("{A} defined", 7, &[]).unwrap());
        assert_eq!(names.replace("{again}", 7, &[]).unwrap(), format!("{{again}}{}", ".".repeat(8)));
        names.define("bomb", "{bomb}".repeat(100));
        assert!(names.replace("{bomb}", 7, &[]).unwrap_err().contains("longer than 64 MiB"));
        // Only loops further inside are replaced in the value of a loop.
        assert_eq!(names.replace("{a} {b}", 1, &[("a", "{b}"), ("b", "{a}")]).unwrap(), "{a} {a}");
    }

    #[test]
    fn a_uuid_belongs_to_a_line() {
        let names = Names::new("a.test");
        let uuid = |line| names.replace("{UUID}", line, &[]).unwrap().into_owned();
        assert_eq!(uuid(1), uuid(1));
        assert_ne!(uuid(1), uuid(2));
        let groups: Vec<usize> = uuid(1).split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12]);
    }
}
