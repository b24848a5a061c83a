//! Reads the settings file.

use std::fs;
use std::io::ErrorKind as Io;
use std::path::{Path, PathBuf};

use toml_edit::Document;

use super::{DEFAULT, FILE, Settings, TARGETS};
use crate::config::manifest::MANIFEST;
use crate::suite::shown;

mod layers;

impl Settings {
    /// The settings of the package in `folder`, with those of this profile; `None` if the package has none.
    ///
    /// # Errors
    /// The file cannot be read, is not TOML, has an unknown key or a wrong value, or has no such profile. The message
    /// names file and line.
    pub(in crate::config) fn read(folder: &Path, profile: Option<&str>) -> Result<Option<Settings>, String> {
        let Some((path, text)) = found(folder)? else {
            return match profile {
                Some(name) => Err(format!("no profile `{name}`: there is no `{}`", shown(&folder.join(FILE)))),
                None => Ok(None),
            };
        };
        let file = shown(&path).into_owned();
        let document = Document::parse(text.as_str()).map_err(|error| not_toml(&file, &text, &error))?;
        let is_manifest = path.ends_with(MANIFEST);
        let source = layers::Source::new(&file, &text, folder, is_manifest);
        let table = match is_manifest {
            true => in_manifest(&document).expect("it has been found there"),
            false => document.as_table() as &dyn toml_edit::TableLike,
        };
        let (top, profiles) = source.layers(table)?;
        if let Some(name) = profile.filter(|name| *name != DEFAULT && !profiles.iter().any(|(known, _)| known == name))
        {
            let mut known: Vec<String> = profiles.iter().map(|(name, _)| format!("`{name}`")).collect();
            known.sort_unstable();
            let known =
                if known.is_empty() { "has no profiles".to_owned() } else { format!("has {}", known.join(", ")) };
            return Err(format!("no profile `{name}`: `{file}` {known}"));
        }
        let mut entries = top;
        for layer in [DEFAULT].into_iter().chain(profile.filter(|name| *name != DEFAULT)) {
            for entry in profiles.iter().filter(|(name, _)| name == layer).flat_map(|(_, entries)| entries) {
                entries.retain(|other| other.key != entry.key);
                entries.push(entry.clone());
            }
        }
        let has_default = profiles.iter().any(|(name, _)| name == DEFAULT);
        let profile = profile.or(has_default.then_some(DEFAULT)).map(str::to_owned);
        Ok(Some(Settings { file, profile, entries }))
    }
}

/// The settings file in a folder, and its text; `None` if there is none.
fn found(folder: &Path) -> Result<Option<(PathBuf, String)>, String> {
    let read = |path: PathBuf| match fs::read_to_string(&path) {
        Ok(text) => Ok(Some((path, text))),
        Err(error) if error.kind() == Io::NotFound => Ok(None),
        Err(error) => Err(format!("cannot read `{}`: {error}", shown(&path))),
    };
    let own = read(folder.join(FILE))?;
    // If a manifest cannot be read or parsed, cargo reports that. Most manifests have no table with settings.
    let manifest = read(folder.join(MANIFEST)).ok().flatten().filter(|(_, text)| {
        let has_table = |document: Document<&str>| in_manifest(&document).is_some();
        text.contains("slt") && Document::parse(text.as_str()).is_ok_and(has_table)
    });
    match (own, manifest) {
        (Some((own, _)), Some((manifest, _))) => Err(format!(
            "settings are in two places, `{}` and `[package.metadata.slt]` of `{}`: keep one of them",
            shown(&own),
            shown(&manifest)
        )),
        (own, manifest) => Ok(own.or(manifest)),
    }
}

/// The table with settings in a manifest, if it has one.
fn in_manifest<'d>(document: &'d Document<&str>) -> Option<&'d dyn toml_edit::TableLike> {
    let package = document.as_table().get("package")?.as_table_like()?;
    let table = package.get("metadata")?.as_table_like()?.get("slt")?.as_table_like()?;
    table.iter().any(|(key, _)| key != TARGETS).then_some(table)
}

fn not_toml(file: &str, text: &str, error: &toml_edit::TomlError) -> String {
    let line = error.span().map_or(1, |span| layers::line_of(text, span.start));
    format!("{file}:{line}: {}", error.message().trim_end().replace('\n', "; "))
}
