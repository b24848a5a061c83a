//! Asks cargo about the package around the current folder, its target folder and test targets, and lets cargo build these.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::Value;
use toml_edit::DocumentMut;

use crate::environment;
use crate::report::words::quoted;

/// The end of the help of each command that may be handed over to a test target.
pub(super) const HELP: &str = "\
In a package with a test target that uses slt-harness, the command uses the files and the
engine of that target, unless `--engine` names another one. Options of cargo say which
target it is, and how to build it:
  --test NAME, -p/--package NAME, --manifest-path PATH, -r/--release,
  --cargo-profile NAME, -F/--features LIST, --all-features, --no-default-features,
  --target TRIPLE, --target-dir DIR, --locked, --offline, --frozen";

/// The package that a test target has to depend on.
const HARNESS: &str = "slt-harness";

/// Why cargo's answer cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum CargoError {
    #[error("cannot run `{cargo}`: {0}; `--engine sqlite` runs files on embedded SQLite without it", cargo = program().display())]
    Missing(io::Error),
    #[error("`cargo metadata` failed: {0}")]
    Metadata(String),
    #[error("cargo could not build {0}")]
    Build(String),
    #[error("{0}")]
    Choice(String),
}

/// The options of cargo on a command line.
#[derive(Debug, Default)]
pub(super) struct Options {
    pub test: Option<String>,
    package: Option<String>,
    manifest: Option<PathBuf>,
    target_dir: Option<PathBuf>,
    /// The options for building, as cargo takes them.
    build: Vec<String>,
    /// All options as the user typed them.
    pub typed: Vec<String>,
}

const SWITCHES: [&str; 7] =
    ["--release", "-r", "--all-features", "--no-default-features", "--locked", "--offline", "--frozen"];
const VALUED: [&str; 9] =
    ["--test", "--package", "-p", "--manifest-path", "--cargo-profile", "--features", "-F", "--target", "--target-dir"];

impl Options {
    /// Removes cargo's options from a command line and returns them.
    pub(super) fn take(arguments: &mut Vec<OsString>) -> Result<Options, String> {
        let mut options = Options::default();
        let mut rest = Vec::new();
        let mut given = std::mem::take(arguments).into_iter();
        while let Some(argument) = given.next() {
            let text = argument.to_str().unwrap_or_default();
            if text == "--" {
                rest.push(argument);
                rest.extend(given.by_ref());
            } else if SWITCHES.contains(&text) {
                options.build.push(text.to_owned());
                options.typed.push(text.to_owned());
            } else if let Some((name, value)) = valued(text) {
                let next = || given.next().and_then(|value| value.into_string().ok()).filter(|v| !v.starts_with('-'));
                let value = value.map(str::to_owned).or_else(next).filter(|value| !value.is_empty());
                let Some(value) = value else { return Err(format!("`{name}` needs a value")) };
                options.typed.extend([name.to_owned(), value.clone()]);
                options.set(name, value);
            } else {
                rest.push(argument);
            }
        }
        *arguments = rest;
        Ok(options)
    }

    fn set(&mut self, name: &str, value: String) {
        match name {
            "--test" => self.test = Some(value),
            "--package" | "-p" => self.package = Some(value),
            "--manifest-path" => self.manifest = Some(value.into()),
            "--target-dir" => self.target_dir = Some(value.into()),
            "--cargo-profile" => self.build.extend(["--profile".to_owned(), value]),
            _ => self.build.extend([name.to_owned(), value]),
        }
    }

    /// The options as a user types them again, each after a space.
    pub(super) fn again(&self) -> String {
        self.typed.iter().map(|word| format!(" {}", quoted(word))).collect()
    }

    /// The manifest that the user names, or the one in the current folder or the nearest folder above it.
    pub(super) fn manifest(&self) -> Option<PathBuf> {
        let nearest = || {
            let here = env::current_dir().ok()?;
            here.ancestors().map(|folder| folder.join("Cargo.toml")).find(|manifest| manifest.is_file())
        };
        self.manifest.clone().or_else(nearest)
    }

    /// A command that starts cargo. Cargo runs build scripts, and these must not see the URL of an engine.
    fn cargo(&self, subcommand: &str) -> Command {
        let mut cargo = Command::new(program());
        environment::withhold(&mut cargo);
        cargo.arg(subcommand).stdin(Stdio::null());
        if let Some(folder) = &self.target_dir {
            cargo.env("CARGO_TARGET_DIR", folder);
        }
        cargo
    }

    /// Asks cargo for the workspace of a manifest.
    pub(super) fn metadata(&self, manifest: &Path) -> Result<Metadata, CargoError> {
        let mut cargo = self.cargo("metadata");
        cargo.args(["--no-deps", "--format-version", "1", "--manifest-path"]).arg(manifest);
        cargo.args(self.build.iter().filter(|flag| ["--locked", "--offline", "--frozen"].contains(&flag.as_str())));
        let output = cargo.output().map_err(CargoError::Missing)?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(CargoError::Metadata(words.strip_prefix("error: ").unwrap_or(&words).to_owned()));
        }
        serde_json::from_slice(&output.stdout).map_err(|error| CargoError::Metadata(error.to_string()))
    }

    /// Builds test targets of a package, with cargo's own progress on standard error.
    pub(super) fn build(&self, package: &Package, tests: &[String]) -> Result<Vec<Built>, CargoError> {
        let mut cargo = self.cargo("test");
        cargo.args(["--no-run", "--message-format", "json-render-diagnostics", "--manifest-path"]);
        cargo.arg(&package.manifest_path).args(&self.build);
        tests.iter().for_each(|test| {
            cargo.args(["--test", test]);
        });
        let mut child = cargo.stdout(Stdio::piped()).spawn().map_err(CargoError::Missing)?;
        let names = tests.iter().map(|test| format!("`{test}`")).collect::<Vec<_>>().join(", ");
        let failed = |why: &str| CargoError::Build(format!("the test target {names} of `{}`{why}", package.name));
        let out = child.stdout.take().ok_or_else(|| failed(""))?;
        let (mut built, mut libraries) = (Vec::new(), Vec::new());
        for line in BufReader::new(out).lines() {
            let line = line.map_err(|error| failed(&format!(": {error}")))?;
            // With an old cargo, build scripts may print other lines.
            let Ok(message) = serde_json::from_str::<Message>(&line) else { continue };
            libraries.extend(message.linked_paths);
            let is_test = |target: &Target| target.is_test() && tests.contains(&target.name);
            if let (Some(target), Some(program)) = (message.target.filter(is_test), message.executable) {
                built.push(Built { test: target.name, program, libraries: Vec::new() });
            }
        }
        let status = child.wait().map_err(|error| failed(&format!(": {error}")))?;
        if !status.success() {
            return Err(failed(""));
        }
        if let Some(test) = tests.iter().find(|test| built.iter().all(|built| built.test != **test)) {
            return Err(failed(&format!(": it names no program for `{test}`")));
        }
        built.sort_by(|a, b| a.test.cmp(&b.test));
        built.iter_mut().for_each(|built| built.libraries.clone_from(&libraries));
        Ok(built)
    }
}

/// An option that takes a value, and the value if that is in the same argument.
fn valued(text: &str) -> Option<(&'static str, Option<&str>)> {
    VALUED.iter().find_map(|name| {
        let rest = text.strip_prefix(name)?;
        let is_short = !name.starts_with("--");
        match rest.strip_prefix('=') {
            Some(value) => Some((*name, Some(value))),
            None if rest.is_empty() => Some((*name, None)),
            None => is_short.then_some((*name, Some(rest))),
        }
    })
}

/// The cargo that started this program, or the one in `PATH`.
pub(super) fn program() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// A test target that cargo has built.
pub(super) struct Built {
    pub test: String,
    pub program: PathBuf,
    /// Where build scripts have found libraries, as cargo prints it: `native=/path`.
    libraries: Vec<String>,
}

impl Built {
    /// The folders in which the loader has to look for libraries, as `cargo test` sets them.
    pub(super) fn library_path(&self, target_directory: &Path) -> OsString {
        let found = self.libraries.iter().map(|path| PathBuf::from(path.split_once('=').map_or(&**path, |(_, to)| to)));
        let deps = self.program.parent().into_iter();
        let mut folders: Vec<PathBuf> = found.filter(|path| path.starts_with(target_directory)).collect();
        folders.extend(deps.flat_map(|deps| [Some(deps), deps.parent()]).flatten().map(Path::to_path_buf));
        folders.extend(env::var_os(LIBRARY_PATH).iter().flat_map(env::split_paths));
        // A list of folders cannot contain a folder with `:` in its name.
        env::join_paths(folders).unwrap_or_default()
    }
}

/// The variable with the folders in which the loader looks for libraries.
pub(super) const LIBRARY_PATH: &str =
    if cfg!(target_os = "macos") { "DYLD_FALLBACK_LIBRARY_PATH" } else { "LD_LIBRARY_PATH" };

/// A line that cargo prints about a build; only the fields that are used here.
#[derive(Debug, Deserialize)]
struct Message {
    target: Option<Target>,
    executable: Option<PathBuf>,
    #[serde(default)]
    linked_paths: Vec<String>,
}

/// What cargo reports about a workspace.
#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    packages: Vec<Package>,
    workspace_root: PathBuf,
    pub target_directory: PathBuf,
    #[serde(default)]
    pub build_directory: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Package {
    pub name: String,
    pub version: String,
    pub manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
    targets: Vec<Target>,
    #[serde(default)]
    metadata: Value,
}

#[derive(Debug, Clone, Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

impl Target {
    fn is_test(&self) -> bool {
        self.kind.iter().any(|kind| kind == "test")
    }
}

impl Metadata {
    /// The packages that a command is for, each with the test targets that may use the harness.
    ///
    /// It is the package that the user names, otherwise that of the manifest. If the latter is at the root of a workspace and
    /// has no such target, they are the members of the workspace.
    pub(super) fn chosen(
        &self,
        manifest: &Path,
        options: &Options,
    ) -> Result<Vec<(&Package, Vec<String>)>, CargoError> {
        let error = |message: String| CargoError::Choice(message);
        if let Some(wanted) = &options.package {
            let Some(package) = self.packages.iter().find(|package| package.name == *wanted) else {
                let names: Vec<String> = self.packages.iter().map(|package| format!("`{}`", package.name)).collect();
                return Err(error(format!("`--package`: no package `{wanted}` is here, only {}", names.join(", "))));
            };
            return Ok(vec![(package, package.tests(options.test.as_deref(), true).map_err(error)?)]);
        }
        let manifest = manifest.canonicalize().unwrap_or_else(|_| manifest.to_path_buf());
        let is_root = manifest.parent() == Some(&self.workspace_root);
        let own = self.packages.iter().find(|package| package.manifest_path == manifest);
        if let Some(package) = own {
            let tests = package.tests(options.test.as_deref(), !is_root).map_err(error)?;
            let says_none = package.says().is_some();
            if !tests.is_empty() || says_none || !is_root {
                return Ok(vec![(package, tests)]);
            }
        }
        let mut chosen = Vec::new();
        for package in &self.packages {
            chosen.push((package, package.tests(options.test.as_deref(), false).map_err(error)?));
        }
        if chosen.iter().any(|(_, tests)| !tests.is_empty()) {
            chosen.retain(|(_, tests)| !tests.is_empty());
        }
        Ok(chosen)
    }
}

impl Package {
    /// The folder of the package.
    pub(super) fn folder(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(Path::new("."))
    }

    /// Why the package has no test target for commands.
    pub(super) fn why_none(&self) -> String {
        match self.says() {
            Some(_) => none_named(&self.name),
            None => format!("`{}` has no test target that uses {HARNESS}", self.name),
        }
    }

    /// `targets` of `[package.metadata.slt]`.
    fn says(&self) -> Option<&Value> {
        self.metadata.get("slt")?.get("targets")
    }

    /// The test targets that may use the harness, or the one of them that is `wanted`.
    ///
    /// The package may name them. Otherwise, if it depends on slt-harness, they are all targets with `harness = false`: a
    /// target cannot use the harness without that line, so none is left out.
    ///
    /// # Errors
    /// `must` is set, and `wanted` is not such a target, or the package depends on slt-harness for its tests and has no such
    /// target.
    fn tests(&self, wanted: Option<&str>, must: bool) -> Result<Vec<String>, String> {
        let name = &self.name;
        let all: Vec<&str> = self.targets.iter().filter(|t| t.is_test()).map(|target| target.name.as_str()).collect();
        let tests = match self.says() {
            Some(list) => {
                let list: Option<Vec<String>> = serde_json::from_value(list.clone()).ok();
                let list =
                    list.ok_or(format!("`{name}`: `targets` in `[package.metadata.slt]` is not a list of names"))?;
                if let Some(unknown) = list.iter().find(|test| !all.contains(&test.as_str())) {
                    return Err(format!(
                        "`{name}`: `[package.metadata.slt]` names `{unknown}`, and there is no such test target"
                    ));
                }
                list
            }
            None if self.dependencies.iter().any(|dependency| dependency.name == HARNESS) => {
                without_libtest(&self.manifest_path)?
            }
            None => Vec::new(),
        };
        let is_for_tests =
            |dependency: &Dependency| dependency.name == HARNESS && dependency.kind.as_deref() == Some("dev");
        if must && tests.is_empty() && self.says().is_none() && self.dependencies.iter().any(is_for_tests) {
            return Err(format!(
                "`{name}` depends on {HARNESS}, but has no test target with `harness = false`; `--engine sqlite` runs files on \
                 embedded SQLite"
            ));
        }
        match wanted {
            None => Ok(tests),
            Some(wanted) if tests.iter().any(|test| test == wanted) => Ok(vec![wanted.to_owned()]),
            Some(_) if !must => Ok(Vec::new()),
            Some(wanted) if all.contains(&wanted) => Err(format!(
                "`--test`: `{wanted}` of `{name}` does not use {HARNESS}: it has no `harness = false`, or \
                 `[package.metadata.slt]` does not name it"
            )),
            Some(wanted) => {
                let names: Vec<String> = tests.iter().map(|test| format!("`{test}`")).collect();
                let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                Err(format!("`--test`: `{name}` has no test target `{wanted}`; those that may use {HARNESS}: {names}"))
            }
        }
    }
}

/// The message that the manifest of a package names no test target for commands.
pub(super) fn none_named(package: &str) -> String {
    format!("`[package.metadata.slt]` of `{package}` names no test target")
}

/// The name of the package in a manifest, if that manifest says that no test target is for commands.
///
/// This program does not ask cargo then, and a machine that only runs a built `slt` does not need cargo.
pub(super) fn names_none(manifest: &Path) -> Option<String> {
    let document: DocumentMut = fs::read_to_string(manifest).ok()?.parse().ok()?;
    let package = document.get("package")?;
    let targets = package.get("metadata")?.get("slt")?.get("targets")?.as_array()?;
    targets.is_empty().then(|| package.get("name")?.as_str().map(str::to_owned))?
}

/// The test targets in a manifest that have `harness = false`.
fn without_libtest(manifest: &Path) -> Result<Vec<String>, String> {
    let error = |error: &dyn std::fmt::Display| format!("cannot read `{}`: {error}", manifest.display());
    let text = fs::read_to_string(manifest).map_err(|e| error(&e))?;
    let document: DocumentMut = text.parse().map_err(|e| error(&e))?;
    let tests = document.get("test").and_then(|tests| tests.as_array_of_tables()).into_iter().flatten();
    let tests = tests.filter(|test| test.get("harness").and_then(toml_edit::Item::as_bool) == Some(false));
    Ok(tests.filter_map(|test| test.get("name")?.as_str().map(str::to_owned)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(line: &str) -> (Options, Vec<String>) {
        let mut arguments = line.split(' ').map(OsString::from).collect();
        let options = Options::take(&mut arguments).unwrap();
        (options, arguments.iter().map(|argument| argument.to_str().unwrap().to_owned()).collect())
    }

    #[test]
    fn options_of_cargo_are_taken_off_a_command_line() {
        let (options, rest) = taken(
            "joins --release --test=slt -p my-engine --root x -Fa,b --cargo-profile ci --target-dir t --parallel -- --release",
        );
        assert_eq!(rest, ["joins", "--root", "x", "--parallel", "--", "--release"]);
        assert_eq!(options.build, ["--release", "-F", "a,b", "--profile", "ci"]);
        assert_eq!((options.test.as_deref(), options.package.as_deref()), (Some("slt"), Some("my-engine")));
        assert_eq!(options.target_dir.as_deref(), Some(Path::new("t")));
        assert_eq!(options.again(), " --release --test slt -p my-engine -F 'a,b' --cargo-profile ci --target-dir t");
        for line in ["--test", "--test --release", "-p", "--features="] {
            let mut arguments = line.split(' ').map(OsString::from).collect();
            let message = Options::take(&mut arguments).unwrap_err();
            assert!(message.ends_with("needs a value"), "{line}: {message}");
        }
        // Flags of a run that begin like options of cargo.
        let (options, rest) = taken("--test-threads 2 --targets");
        assert_eq!((options.typed.len(), rest.len()), (0, 3));
    }

    fn package(manifest: &str, dependency: Option<&str>, metadata: Value) -> (tempfile::TempDir, Package) {
        let folder = tempfile::tempdir().unwrap();
        let manifest_path = folder.path().join("Cargo.toml");
        fs::write(&manifest_path, manifest).unwrap();
        let target = |name: &str| Target { name: name.to_owned(), kind: vec!["test".to_owned()] };
        let dependency = dependency.map(|kind| Dependency { name: HARNESS.to_owned(), kind: Some(kind.to_owned()) });
        let package = Package {
            name: "my-engine".to_owned(),
            version: "1.0.0".to_owned(),
            manifest_path,
            dependencies: dependency.into_iter().collect(),
            targets: ["slt", "more", "unit"].map(target).into(),
            metadata,
        };
        (folder, package)
    }

    #[test]
    fn test_targets_are_those_without_libtest_or_those_that_the_package_names() {
        let manifest = "[[test]]\nname = \"slt\"\nharness = false\n\n[[test]]\nname = \"more\"\nharness = false\n\n\
                        [[test]]\nname = \"unit\"\n";
        let (_folder, ours) = package(manifest, Some("dev"), Value::Null);
        assert_eq!(ours.tests(None, true).unwrap(), ["slt", "more"]);
        assert_eq!(ours.tests(Some("more"), true).unwrap(), ["more"]);
        assert!(ours.tests(Some("unit"), true).unwrap_err().contains("`unit` of `my-engine` does not use slt-harness"));
        assert!(ours.tests(Some("nosuch"), true).unwrap_err().ends_with("that may use slt-harness: `slt`, `more`"));
        let (_folder, other) = package(manifest, None, Value::Null);
        assert_eq!(other.tests(None, true).unwrap(), [""; 0]);
        let named = serde_json::json!({"slt": {"targets": ["unit"]}});
        let (_folder, named) = package(manifest, None, named);
        assert_eq!(named.tests(None, true).unwrap(), ["unit"]);
        for (targets, words) in [(serde_json::json!("slt"), "not a list of names"), (serde_json::json!(["x"]), "`x`")] {
            let (_folder, wrong) = package(manifest, None, serde_json::json!({"slt": {"targets": targets}}));
            assert!(wrong.tests(None, true).unwrap_err().contains(words));
        }
        let (_folder, forgotten) = package("[[test]]\nname = \"slt\"\n", Some("dev"), Value::Null);
        assert!(forgotten.tests(None, true).unwrap_err().contains("no test target with `harness = false`"));
        let (_folder, tool) = package("", Some("normal"), Value::Null);
        assert_eq!(tool.tests(None, true).unwrap(), [""; 0]);
    }
}
