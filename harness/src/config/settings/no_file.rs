//! Replaces the reading of settings files if the feature `toml` is off: a package that has such a file cannot be tested.

use std::fs;
use std::path::Path;

use super::{FILE, Settings, TARGETS};
use crate::config::manifest::MANIFEST;
use crate::suite::shown;

impl Settings {
    /// Returns no settings.
    ///
    /// # Errors
    /// The package has a settings file, or the user names a profile.
    pub(in crate::config) fn read(folder: &Path, profile: Option<&str>) -> Result<Option<Settings>, String> {
        let own = folder.join(FILE);
        let manifest = folder.join(MANIFEST);
        let file = match fs::read_to_string(&manifest).is_ok_and(|text| may_have_settings(&text)) {
            _ if profile.is_some() || own.symlink_metadata().is_ok() => own,
            true => manifest,
            false => return Ok(None),
        };
        Err(format!(
            "this program was built without files for settings, such as `{}`: switch on the feature `toml` of \
             `slt-harness`",
            shown(&file)
        ))
    }
}

/// Whether a manifest has a table `[package.metadata.slt]` with settings. In doubtful cases, the answer is yes.
fn may_have_settings(manifest: &str) -> bool {
    let plain = |name: &str| name.replace([' ', '\t', '"', '\''], "");
    let mut section = String::new();
    manifest.lines().map(str::trim).any(|line| {
        if let Some(header) = line.strip_prefix('[') {
            section = plain(header.trim_start_matches('[').split(']').next().unwrap_or_default());
            return section.starts_with("package.metadata.slt.");
        }
        let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) else { return false };
        let path = format!("{section}.{}", plain(key));
        match path.trim_start_matches('.').strip_prefix("package.metadata.slt") {
            Some("") => true,
            Some(key) => key.strip_prefix('.').is_some_and(|key| key != TARGETS),
            None => matches!(path.trim_start_matches('.'), "package" | "package.metadata") && value.contains("slt"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_feature_settings_are_refused_wherever_they_are() {
        let package = "[package]\nname = \"a\"\n[[test]]\nname = \"slt\"\n";
        for (rest, refused) in [
            ("", false),
            ("[package.metadata.other]\nslt = 1\n[dev-dependencies]\nslt = \"1\"\n", false),
            ("[package.metadata.slt]\ntargets = [\"slt\"]\n", false),
            ("[package.metadata.slt]\ntargets = [\"slt\"]\nengine = \"sqlite\"\n", true),
            ("[ package . metadata . \"slt\" ]\nengine = \"sqlite\"\n", true),
            ("[package.metadata]\nslt.engine = \"sqlite\"\n", true),
            ("[package.metadata]\nslt = { engine = \"sqlite\" }\n", true),
            ("[package.metadata.slt.profile.ci]\n", true),
            ("[[package.metadata.slt.exclude]]\n", true),
        ] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(MANIFEST), format!("{package}{rest}")).unwrap();
            assert_eq!(Settings::read(folder.path(), None).is_err(), refused, "{rest}");
        }
        let folder = tempfile::tempdir().unwrap();
        assert!(Settings::read(folder.path(), None).unwrap().is_none());
        assert!(Settings::read(folder.path(), Some("ci")).unwrap_err().contains("the feature `toml`"));
        fs::write(folder.path().join(FILE), "").unwrap();
        assert!(Settings::read(folder.path(), None).unwrap_err().contains("slt.toml`: switch on the feature `toml`"));
    }
}
