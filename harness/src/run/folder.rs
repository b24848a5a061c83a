//! The folder for the results of a run. Each test target has its own, so that two of them do not overwrite each other.
//!
//! ```text
//! target/slt/my-engine/slt            the test target `slt` of the package `my-engine`, on its own engine or SQLite
//! target/slt/my-engine/slt/postgres   the same with `--engine postgres://…`
//! target/slt/slt/run                  `slt run`
//! ```

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::config::manifest::{self, MANIFEST};
use crate::engine::Choice;

/// The subfolder for the values that queries returned, where scripts list only a hash of them.
pub(crate) const RETURNED: &str = "returned";

/// Replaces the name of an unknown package.
const NO_PACKAGE: &str = "-";

/// An origin identifies the program that runs the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    pub package: String,
    pub target: String,
}

impl Origin {
    /// The origin of this run or list: `slt` itself, or the test target that this program is.
    pub(super) fn new(config: &Config) -> Origin {
        match config.slt && config.handed_over.is_none() {
            true => Origin::slt(),
            false => Origin::target(),
        }
    }

    /// `slt` itself.
    fn slt() -> Origin {
        Origin { package: "slt".to_owned(), target: "run".to_owned() }
    }

    /// The test target that this program is.
    fn target() -> Origin {
        let program = program();
        let target = match test_binary(&program) {
            Some((_, target)) => target,
            None => program.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default(),
        };
        // cargo and nextest set the variable for the programs that they start. For a program that a user starts, the
        // package is the one around the current folder.
        let package = env::var("CARGO_PKG_NAME").ok().or_else(|| package_around(&env::current_dir().ok()?));
        Origin { package: file_name(package.as_deref().unwrap_or(NO_PACKAGE)), target: file_name(target) }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.package, self.target)
    }
}

/// The folder that the user has named, or else the origin's own in cargo's target folder. Each other kind of engine has
/// its own subfolder, because it has its own durations and must not mix with SQLite's runs.
pub(super) fn folder(config: &Config) -> PathBuf {
    config.results.clone().unwrap_or_else(|| own(Origin::new(config), config.engine.as_ref()))
}

/// The folder for the results of a command that runs one file, unless the user has named another one.
pub(crate) fn of_one_file(engine: Option<&Choice>) -> PathBuf {
    let is_target = test_binary(&program()).is_some();
    own(if is_target { Origin::target() } else { Origin::slt() }, engine)
}

fn own(origin: Origin, engine: Option<&Choice>) -> PathBuf {
    let Origin { package, target } = origin;
    let kind = engine.map(Choice::kind).filter(|kind| *kind != "sqlite");
    let build = target_folder(&program()).unwrap_or_else(|| PathBuf::from("target"));
    build.join("slt").join(package).join(target).join(kind.unwrap_or_default())
}

fn program() -> PathBuf {
    env::current_exe().unwrap_or_default()
}

/// The folder of the profile, and the name of the target, if cargo has built the program as a test:
/// `target/debug/deps/my_slt-0123456789abcdef`. A hyphen in a target's name is an underscore in its file's.
pub(super) fn test_binary(program: &Path) -> Option<(&Path, &str)> {
    let deps = program.parent().filter(|folder| folder.ends_with("deps"))?;
    let (target, hash) = program.file_stem()?.to_str()?.rsplit_once('-')?;
    let is_hash = !hash.is_empty() && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    Some((deps.parent()?, target)).filter(|_| is_hash)
}

/// cargo's target folder, which has a mark of cargo; otherwise the parent of the profile's folder.
fn target_folder(program: &Path) -> Option<PathBuf> {
    let (profile, _) = test_binary(program)?;
    let marked = profile.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    marked.or_else(|| profile.parent()).map(Path::to_path_buf)
}

/// The name of the package that a folder belongs to, from the nearest `Cargo.toml` that has one.
fn package_around(folder: &Path) -> Option<String> {
    folder.ancestors().find_map(|folder| {
        let text = fs::read_to_string(folder.join(MANIFEST)).ok()?;
        manifest::package(&text).map(str::to_owned)
    })
}

/// A folder name made from a name: always a single folder, and never `.` or `..`.
fn file_name(name: &str) -> String {
    let fits = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    let name: String = name.chars().map(|c| if fits(c) { c } else { '_' }).take(100).collect();
    if name.chars().all(|c| c == '.') { "_".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_binary_names_its_target() {
        let parts = |path| test_binary(Path::new(path)).map(|(profile, target)| (profile.to_str().unwrap(), target));
        assert_eq!(parts("/w/target/debug/deps/my_slt-0123456789abcdef"), Some(("/w/target/debug", "my_slt")));
        assert_eq!(parts("/w/target/debug/deps/slt"), None);
        assert_eq!(parts("/w/target/debug/deps/my-slt"), None);
        assert_eq!(parts("/usr/bin/slt-0123456789abcdef"), None);
    }

    #[test]
    fn the_target_folder_is_the_one_that_cargo_has_marked() {
        let place = tempfile::tempdir().unwrap();
        let deps = place.path().join("target/x86_64-unknown-linux-gnu/debug/deps");
        fs::create_dir_all(&deps).unwrap();
        let program = deps.join("slt-0123456789abcdef");
        assert_eq!(target_folder(&program), Some(place.path().join("target/x86_64-unknown-linux-gnu")));
        fs::write(place.path().join("target/CACHEDIR.TAG"), "").unwrap();
        assert_eq!(target_folder(&program), Some(place.path().join("target")));
        assert_eq!(target_folder(Path::new("/usr/bin/slt")), None);
    }

    #[test]
    fn a_package_is_found_from_a_folder_in_it() {
        let place = tempfile::tempdir().unwrap();
        let inner = place.path().join("member/tests");
        fs::create_dir_all(&inner).unwrap();
        assert_eq!(package_around(&inner), None);
        fs::write(place.path().join("Cargo.toml"), "[workspace]\n[package]\nname = \"whole\"\n").unwrap();
        assert_eq!(package_around(&inner).as_deref(), Some("whole"));
        fs::write(place.path().join("member/Cargo.toml"), "[package]\nname = \"member\"\n").unwrap();
        assert_eq!(package_around(&inner).as_deref(), Some("member"));
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        assert_eq!([file_name("../a/b"), file_name(".."), file_name("")], [".._a_b", "_", "_"]);
        assert_eq!(file_name("my-engine_2.0"), "my-engine_2.0");
    }
}
