//! Steps that run no SQL of the script.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::{Here, State};
use crate::dialect::duckdb::{Action, Load, Requirement, find, known_requirement, of_the_runner};
use crate::dialect::stage::Stage;
use crate::exchange::Opening;

/// How large an unpacked file may be, in bytes.
const MOST_UNPACKED: u64 = 1 << 30;

impl State<'_> {
    /// Runs a step that is not a statement or a query.
    pub(super) fn other(
        &mut self,
        action: &Action<'_>,
        here: &Here<'_, '_, '_>,
        stage: &mut dyn Stage<'_>,
    ) -> Result<(), String> {
        match action {
            Action::ResetLabel(label) => match self.labels.remove(*label) {
                Some(_) => Ok(()),
                None => Err(format!("`reset label {label}`: no query before this has that label")),
            },
            Action::Load(load) => self.load(load, here, stage),
            Action::Restart(extensions) => stage.reopen(Opening::Restart { extensions: *extensions }),
            Action::Reconnect => stage.reconnect(),
            Action::Sleep(duration) => {
                stage.sleep(*duration);
                Ok(())
            }
            Action::Unzip(source, target) => {
                // Loop variables are not replaced here.
                let source = self.replace_expected(source, here.line)?;
                let target = target.map(|target| self.replace_expected(target, here.line)).transpose()?;
                self.unzip(&source, target.as_deref())?;
                if let Some(folder) = self.names.made_folder() {
                    stage.scratch(folder);
                }
                Ok(())
            }
            Action::Seed(seed) => stage.values(&format!("SELECT setseed({seed})"), None).map(drop),
            Action::Variable(name, value) => {
                let variable = value.strip_prefix("<variable:").and_then(|rest| rest.strip_suffix('>'));
                let value = match variable {
                    Some(variable) => {
                        let variable = variable.replace('\'', "''");
                        let values = stage.values(&format!("SELECT getvariable('{variable}')::VARCHAR"), None)?;
                        values.into_iter().next().unwrap_or_default()
                    }
                    // Names in it are replaced where it is used.
                    None => (*value).to_owned(),
                };
                self.names.define(name, value);
                Ok(())
            }
            Action::IgnoreErrors(texts) => {
                self.ignored = texts.iter().map(|text| (*text).to_owned()).collect();
                Ok(())
            }
            Action::AlwaysFail(texts) => {
                self.never = texts.iter().map(|text| (*text).to_owned()).collect();
                Ok(())
            }
            Action::Require(words) => {
                let required = self.require(words, stage);
                self.is_unfit = required.is_err();
                required
            }
            Action::RequireEnv(name, wanted) => {
                self.require_env(name, *wanted, stage.wishes().allow_env);
                Ok(())
            }
            Action::TestEnv(name, default) => {
                let set = std::env::var(name).ok().filter(|_| stage.wishes().allow_env);
                self.define_env(name, set.unwrap_or_else(|| (*default).to_owned()));
                Ok(())
            }
            // Without `--lenient`, results of any size are compared, and printed if they differ.
            Action::HashThreshold(threshold) => {
                self.threshold = *threshold;
                Ok(())
            }
            Action::Output(mode) => {
                match *mode {
                    "output_hash" => self.accepts_results = true,
                    "no_output" => self.accepts_results = false,
                    _ => {}
                }
                Ok(())
            }
            Action::Tags(tags) => {
                self.tags.extend(tags.iter().map(|tag| (*tag).to_owned()));
                Ok(())
            }
            Action::Statement(_)
            | Action::Query(_)
            | Action::Skipped
            | Action::OtherEngine
            | Action::Continue
            | Action::Halt => Ok(()),
        }
    }

    fn load(&mut self, load: &Load<'_>, here: &Here<'_, '_, '_>, stage: &mut dyn Stage<'_>) -> Result<(), String> {
        let path = match load.path {
            // DuckDB's name for a database in memory.
            Some(path) => Some(self.replace(path, here)?).filter(|path| !path.starts_with(":memory:")),
            None => None,
        };
        if let Some(folder) = self.names.made_folder() {
            stage.scratch(folder);
        }
        let path = path.as_deref().map(Path::new);
        if let Some(path) = path.filter(|_| !load.read_only) {
            let goes_up = path.components().any(|part| part == Component::ParentDir);
            if goes_up || !path.starts_with(self.names.folder()?) {
                let (verb, hint) = match path.exists() {
                    true => ("delete", "add `readonly` behind the path"),
                    false => ("make", "a script writes nowhere else"),
                };
                let path = path.display();
                return Err(format!("`load` would {verb} `{path}`, which is not in `{{TEST_DIR}}`: {hint}"));
            }
            for path in [path.to_path_buf(), PathBuf::from(format!("{}.wal", path.display()))] {
                match std::fs::remove_file(&path) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(format!("cannot delete `{}`: {error}", path.display()));
                    }
                    _ => {}
                }
            }
        }
        stage.reopen(Opening::Load { path, read_only: load.read_only, version: load.version })
    }

    /// Unpacks a gzip file. Without a target, it goes into the script's temporary folder, under its name without `.gz`.
    fn unzip(&mut self, source: &str, target: Option<&str>) -> Result<(), String> {
        let cannot = |reason: String| format!("cannot unzip `{source}`: {reason}");
        let path = find(source, self.script, self.root, self.names.made_folder()).map_err(cannot)?;
        let folder = self.names.folder()?;
        let target = match target {
            Some(target) => PathBuf::from(target),
            None => {
                let name = Path::new(source).file_name().and_then(|name| name.to_str()).unwrap_or_default();
                let Some(name) = name.strip_suffix(".gz") else {
                    return Err(cannot("its name does not end in `.gz`: say where to put it".to_owned()));
                };
                folder.join(name)
            }
        };
        let parent = target.parent().and_then(|parent| parent.canonicalize().ok());
        let lies_within = parent.zip(folder.canonicalize().ok()).is_some_and(|(parent, own)| parent.starts_with(own));
        if !lies_within || target.is_symlink() {
            let target = target.display();
            return Err(cannot(format!(
                "`{target}` is not in `{{TEST_DIR}}`, the only folder that a script writes to"
            )));
        }
        let unpack = || -> io::Result<u64> {
            let packed = MultiGzDecoder::new(File::open(&path)?);
            io::copy(&mut packed.take(MOST_UNPACKED + 1), &mut File::create(&target)?)
        };
        match unpack() {
            Ok(length) if length > MOST_UNPACKED => {
                let _ = fs::remove_file(&target);
                Err(cannot(format!("it holds more than {} MiB", MOST_UNPACKED >> 20)))
            }
            Ok(_) => Ok(()),
            Err(error) => Err(cannot(error.to_string())),
        }
    }

    fn require(&mut self, words: &[&str], stage: &mut dyn Stage<'_>) -> Result<(), String> {
        let needed = match of_the_runner(words)? {
            Requirement::Met => None,
            Requirement::NotMet(needed) => Some(needed),
            Requirement::AskEngine if stage.require(words)? => None,
            Requirement::AskEngine => {
                // A requirement that no engine has must be an error: otherwise the file would be ignored forever.
                known_requirement(words[0])?;
                Some(words.join(" "))
            }
        };
        self.skipped = needed.map(|needed| format!("requires {needed}"));
        Ok(())
    }

    /// Defines the name of an environment variable, which is also a tag.
    fn define_env(&mut self, name: &str, value: String) {
        self.tags.extend([format!("env[{name}]"), format!("env[{name}]={value}")]);
        self.names.define(name, value);
    }

    fn require_env(&mut self, name: &str, wanted: Option<&str>, allowed: bool) {
        let value = std::env::var(name).ok().filter(|_| allowed);
        let hint = if allowed { "" } else { ", which a file sees with `--allow-env` only" };
        match (value, wanted) {
            (Some(value), wanted) if wanted.is_none_or(|wanted| wanted == value) => {
                self.define_env(name, value);
            }
            (_, Some(wanted)) => self.skipped = Some(format!("requires the variable {name}={wanted}{hint}")),
            (_, None) => self.skipped = Some(format!("requires the variable {name}{hint}")),
        }
    }
}
