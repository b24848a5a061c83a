//! Hands a command over to the test target of the package around the current folder, so that it uses that target's suite and
//! engine.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::CommandFactory;
use memmap2::Mmap;

use super::cargo::{self, Built, CargoError, LIBRARY_PATH, Metadata, Options, Package, program as cargo};
use super::{Slt, complain};
use crate::action::{HANDED_OVER, MARK, Order, ROOTS};
use crate::config::ENGINE;
use crate::environment;
use crate::run::program;
use crate::suite::with_line;
use crate::summary::ExitStatus;

/// The commands that need a suite or an engine.
pub(super) const COMMANDS: [&str; 9] = ["run", "test", "list", "check", "stubs", "shrink", "fill", "config", REVIEW];

/// The command that needs only the roots of the suite, and stays in this process.
const REVIEW: &str = "review";

/// Flags of these commands whose value is a path from the current folder.
const PATHS: [&str; 9] = [
    "reference",
    "root",
    "results",
    "known-failures",
    "write-known-failures",
    "shard-history",
    "logfile",
    "queue",
    "output",
];

/// The arguments of a command that stays in this process, and why it stays. For any other command, this process becomes the
/// test target.
type Own = (Vec<OsString>, Option<String>);

/// Hands over the command in these arguments, or returns the arguments without a leading `slt`, which cargo adds for
/// `cargo slt`.
///
/// # Errors
/// The exit code; the message has already been printed.
pub(super) fn attempt(mut arguments: Vec<OsString>) -> Result<Own, ExitStatus> {
    let is_cargo_slt =
        arguments.first().is_some_and(|name| Path::new(name).file_stem() == Some(OsStr::new("cargo-slt")));
    if is_cargo_slt && arguments.get(1).is_some_and(|first| first == "slt") {
        arguments.remove(1);
    }
    let command = arguments.get(1).and_then(|name| name.to_str()).filter(|name| COMMANDS.contains(name));
    let asks_for_help =
        arguments.iter().take_while(|argument| *argument != "--").any(|word| word == "--help" || word == "-h");
    // A process that this program started continues the work of its parent, and hands nothing over.
    let Some(command) = command.map(str::to_owned).filter(|_| !asks_for_help && !environment::is_helper()) else {
        return Ok((arguments, None));
    };
    let mut rest = arguments.split_off(2);
    let usage = |message: String| complain(&message, ExitStatus::Usage);
    let options = Options::take(&mut rest).map_err(usage)?;
    let named = if command == REVIEW { has_roots(&rest) } else { has_engine(&rest) };
    let here = match named {
        true if command == REVIEW => Err("`--root` names the files".to_owned()),
        true => Err("`--engine` names an engine".to_owned()),
        false => target(&options).map_err(|error| {
            let status = if let CargoError::Choice(_) = error { ExitStatus::Usage } else { ExitStatus::NotBuilt };
            complain(&error.to_string(), status)
        })?,
    };
    match here {
        Ok(target) if command == REVIEW => {
            let roots =
                target.roots(&options, &profile(&rest)).map_err(|message| complain(&message, ExitStatus::NotBuilt))?;
            arguments.extend(roots.into_iter().flat_map(|root| ["--root".into(), root.into_os_string()]));
            arguments.append(&mut rest);
            Ok((arguments, None))
        }
        Ok(target) => Err(target.start(&command, &options, rest)),
        Err(why) => {
            if let Some(option) = options.typed.first() {
                return Err(usage(format!("`{option}` says how a test target is built, and none is used here: {why}")));
            }
            let why = (!named).then_some(why);
            arguments.append(&mut rest);
            Ok((arguments, why))
        }
    }
}

/// Whether the user names an engine, by flag or variable.
fn has_engine(arguments: &[OsString]) -> bool {
    let is_flag = |word: &&OsString| *word == "--engine" || word.as_encoded_bytes().starts_with(b"--engine=");
    arguments.iter().take_while(|word| *word != "--").any(|word| is_flag(&word))
        || environment::variable(ENGINE).is_some_and(|engine| !engine.is_empty())
}

/// Whether the user names the roots of the suite, by flag or variable.
fn has_roots(arguments: &[OsString]) -> bool {
    let is_flag = |word: &&OsString| *word == "--root" || word.as_encoded_bytes().starts_with(b"--root=");
    arguments.iter().take_while(|word| *word != "--").any(|word| is_flag(&word))
        || env::var_os("SLT_CORPUS").is_some_and(|roots| !roots.is_empty())
}

/// The roots and the program of the test target that gets `slt run` with these arguments; `None` if none gets it.
///
/// # Errors
/// The exit code; the message has already been printed.
pub(super) fn watched(mut arguments: Vec<OsString>) -> Result<Option<(Vec<PathBuf>, PathBuf)>, ExitStatus> {
    let options = Options::take(&mut arguments).map_err(|message| complain(&message, ExitStatus::Usage))?;
    if has_engine(&arguments) {
        return Ok(None);
    }
    let target = target(&options).map_err(|error| {
        let status = if let CargoError::Choice(_) = error { ExitStatus::Usage } else { ExitStatus::NotBuilt };
        complain(&error.to_string(), status)
    })?;
    let Ok(target) = target else { return Ok(None) };
    let roots = target.roots(&options, &profile(&arguments));
    let roots = roots.map_err(|message| complain(&message, ExitStatus::NotBuilt))?;
    Ok(Some((roots, target.built.program)))
}

/// The flag that names a profile of the settings, with its value.
fn profile(arguments: &[OsString]) -> Vec<OsString> {
    let at = arguments.iter().position(|word| word == "--profile").map(|at| arguments[at..].iter().take(2));
    let joined = arguments.iter().filter(|word| word.as_encoded_bytes().starts_with(b"--profile="));
    at.into_iter().flatten().chain(joined).cloned().collect()
}

/// A built test target.
struct TestTarget {
    built: Built,
    package: Package,
    target_directory: PathBuf,
}

/// Builds the test target that a command is handed over to; or says why there is none.
fn target(options: &Options) -> Result<Result<TestTarget, String>, CargoError> {
    let Some(manifest) = options.manifest() else {
        return Ok(Err("there is no cargo package here".to_owned()));
    };
    if let Some(package) = cargo::names_none(&manifest).filter(|_| options.typed.is_empty()) {
        return Ok(Err(cargo::none_named(&package)));
    }
    let metadata = options.metadata(&manifest)?;
    let chosen = metadata.chosen(&manifest, options)?;
    let mut found: Vec<(Built, &Package)> = Vec::new();
    let mut strangers = Vec::new();
    for (package, tests) in chosen.iter().filter(|(_, tests)| !tests.is_empty()) {
        for built in options.build(package, tests)? {
            match is_marked(&built.program)? {
                true => found.push((built, package)),
                false => strangers.push(format!("`{}` of `{}`", built.test, package.name)),
            }
        }
    }
    let choice = |message: String| Err(CargoError::Choice(message));
    match (found.len(), strangers.as_slice()) {
        (1, _) => {}
        (0, []) => {
            let why: Vec<String> = chosen.iter().map(|(package, _)| package.why_none()).collect();
            let why = why.join(", ");
            return match &options.test {
                Some(wanted) => choice(format!("`--test`: there is no test target `{wanted}`; {why}")),
                None => Ok(Err(why)),
            };
        }
        (0, strangers) => {
            return choice(format!(
                "the test target {} does not call `slt_harness::main`, or has an slt-harness that this `slt` cannot hand over \
                 to: nothing was run",
                strangers.join(", ")
            ));
        }
        _ => {
            let line = |(built, package): &(Built, &Package)| format!("\n  -p {} --test {}", package.name, built.test);
            let lines: String = found.iter().map(line).collect();
            return choice(format!("several test targets use slt-harness; name one:{lines}"));
        }
    }
    let (built, package) = found.remove(0);
    let package = package.clone();
    Ok(Ok(TestTarget { built, package, target_directory: metadata.target_directory }))
}

/// Whether a program contains the text that marks test targets.
fn is_marked(program: &Path) -> Result<bool, CargoError> {
    let failed = |error| CargoError::Build(format!("a test target that can be read: `{}`: {error}", program.display()));
    let file = File::open(program).map_err(failed)?;
    // SAFETY: the file does not change: cargo has written it, and replaces it by a new file when it builds the program again.
    let bytes = unsafe { Mmap::map(&file) }.map_err(failed)?;
    Ok(memchr::memmem::find(&bytes, MARK.as_bytes()).is_some())
}

impl TestTarget {
    /// Becomes the test target, as `cargo test` would start it; returns only if that fails.
    fn start(self, name: &str, options: &Options, arguments: Vec<OsString>) -> ExitStatus {
        let mut target = self.command(name, options);
        let arguments = match env::current_dir() {
            Ok(here) if here != self.package.folder() => {
                set_variables(&mut target, name, &here);
                from_folder(arguments, name, &here)
            }
            _ => arguments,
        };
        let error = target.args(arguments).exec();
        complain(&format!("cannot start `{}`: {error}", self.built.program.display()), ExitStatus::NotBuilt)
    }

    /// The roots of the target's suite.
    fn roots(&self, options: &Options, profile: &[OsString]) -> Result<Vec<PathBuf>, String> {
        let failed =
            |why: String| format!("`{}` does not say where its files are: {why}", self.built.program.display());
        let output = self.command(ROOTS, options).args(profile).output().map_err(|error| failed(error.to_string()))?;
        if !output.status.success() {
            return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string()))
    }

    /// The target as a command, with the folder and the variables that cargo would give it.
    fn command(&self, name: &str, options: &Options) -> Command {
        let TestTarget { built, package, target_directory } = self;
        let order = Order {
            command: name.to_owned(),
            test: built.test.clone(),
            typed: format!("{} {name}{}", program(), options.again()),
        };
        let order = serde_json::to_string(&order).expect("plain data becomes JSON in memory");
        let mut target = Command::new(&built.program);
        // If cargo started this program, its variables are about another package.
        for (name, _) in env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"CARGO_PKG_") {
                target.env_remove(name);
            }
        }
        target.env("CARGO", cargo()).env("CARGO_MANIFEST_DIR", package.folder());
        target.env("CARGO_MANIFEST_PATH", &package.manifest_path);
        target.env("CARGO_PKG_NAME", &package.name).env("CARGO_PKG_VERSION", &package.version);
        target.env(LIBRARY_PATH, built.library_path(target_directory));
        target.arg(HANDED_OVER).arg(order).current_dir(package.folder());
        target
    }
}

/// The command line with paths from this folder made absolute: the target starts in the folder of its package.
fn from_folder(arguments: Vec<OsString>, name: &str, here: &Path) -> Vec<OsString> {
    let command = Slt::command();
    let Some(command) = command.find_subcommand(name) else { return arguments };
    let takes_value = |word: &str| {
        let argument = command.get_arguments().find(|argument| argument.get_long() == word.strip_prefix("--"));
        argument.is_some_and(|argument| argument.get_action().takes_values() && !argument.is_require_equals_set())
    };
    let mut before = OsString::new();
    let mut absolute = Vec::new();
    for argument in arguments {
        let flag = before.to_str().filter(|flag| takes_value(flag)).and_then(|flag| flag.strip_prefix("--"));
        let text = argument.to_str().unwrap_or_default();
        let with_value = text.strip_prefix("--").and_then(|text| text.split_once('='));
        let changed = match (flag, with_value) {
            (Some("reference"), _) if !here.join(&argument).is_file() => None,
            (Some(flag), _) => PATHS.contains(&flag).then(|| path(here, &argument)),
            (None, Some(("reference", value))) if !here.join(value).is_file() => None,
            (None, Some((flag, value))) if PATHS.contains(&flag) => {
                let mut changed = OsString::from(format!("--{flag}="));
                changed.push(path(here, OsStr::new(value)));
                Some(changed)
            }
            (None, None) if ["test", "check", "shrink", "fill"].contains(&name) && !text.starts_with('-') => {
                let file =
                    if here.join(&argument).exists() { Some(text) } else { with_line(text).map(|(file, _)| file) };
                file.filter(|file| here.join(file).exists()).map(|_| here.join(&argument).into_os_string())
            }
            _ => None,
        };
        before = if flag.is_some() { OsString::new() } else { argument.clone() };
        absolute.push(changed.unwrap_or(argument));
    }
    absolute
}

/// Makes the paths in variables for such flags absolute, too.
fn set_variables(target: &mut Command, name: &str, here: &Path) {
    let command = Slt::command();
    let flags = command.find_subcommand(name).into_iter().flat_map(clap::Command::get_arguments);
    for flag in flags.filter(|flag| flag.get_long().is_some_and(|long| PATHS.contains(&long))) {
        let variable = flag.get_env().and_then(OsStr::to_str);
        let value = variable.and_then(|variable| Some((variable, environment::variable(variable)?)));
        let is_engine = |value: &OsStr| flag.get_long() == Some("reference") && !here.join(value).is_file();
        if let Some((variable, value)) = value.filter(|(_, value)| !value.is_empty() && !is_engine(value)) {
            environment::set_for(target, variable, Some(&path(here, &value)));
        }
    }
}

/// Makes a path from a folder absolute, or each path in a list joined by `:`. The URL of a server stays as it is.
fn path(here: &Path, value: &OsStr) -> OsString {
    match value.to_str() {
        Some(text) if text.contains("://") => text.into(),
        Some(text) if !here.join(text).exists() && text.contains(':') => {
            let parts = text.split(':').filter(|part| !part.is_empty()).map(|part| here.join(part));
            env::join_paths(parts).unwrap_or_else(|_| text.into())
        }
        _ => here.join(value).into_os_string(),
    }
}

/// Where the test targets of the packages here keep their results, and the names of these packages. If cargo cannot tell, it is
/// only `fallback`.
pub(super) fn results(fallback: &Path) -> (Vec<PathBuf>, Vec<String>) {
    let options = Options::default();
    let alone = || (vec![fallback.to_owned()], Vec::new());
    let Some(manifest) = options.manifest() else { return alone() };
    let found = options.metadata(&manifest).and_then(|metadata: Metadata| {
        let names =
            metadata.chosen(&manifest, &options)?.into_iter().map(|(package, _)| package.name.clone()).collect();
        Ok((metadata, names))
    });
    match found {
        Ok((metadata, names)) => {
            let here = env::current_dir().unwrap_or_default();
            let shown = |folder: PathBuf| {
                let folder = folder.join("slt");
                folder.strip_prefix(&here).map(Path::to_path_buf).unwrap_or(folder)
            };
            let mut folders = vec![shown(metadata.target_directory)];
            // If cargo has a separate folder for test programs, the results are in it.
            folders.extend(metadata.build_directory.map(shown));
            // `slt` keeps results below the current folder when it runs files on its own engine.
            folders.push(fallback.to_owned());
            let mut seen = std::collections::BTreeSet::new();
            folders.retain(|folder| seen.insert(folder.clone()));
            (folders, names)
        }
        Err(error) => {
            note!(
                "warning: looking in `{}`, as cargo does not say where its target folder is: {error}",
                fallback.display()
            );
            alone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_from_the_folder_where_they_are_typed() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        std::fs::write(here.join("a.slt"), "").unwrap();
        let changed = |name: &str, line: &str| {
            let arguments = from_folder(line.split(' ').map(OsString::from).collect(), name, here);
            let line: Vec<&str> = arguments.iter().map(|argument| argument.to_str().unwrap()).collect();
            line.join(" ").replace(here.to_str().unwrap(), "HERE")
        };
        for (name, line, expected) in [
            ("run", "a.slt --root x --label root --results=r", "a.slt --root HERE/x --label root --results=HERE/r"),
            ("test", "a.slt --reference sqlite", "HERE/a.slt --reference sqlite"),
            ("test", "a.slt --reference a.slt", "HERE/a.slt --reference HERE/a.slt"),
            ("run", "--parallel --queue q --queue postgres://h", "--parallel --queue HERE/q --queue postgres://h"),
            ("test", "a.slt --label a.slt", "HERE/a.slt --label a.slt"),
            ("test", "a.slt:12 --bless=check", "HERE/a.slt:12 --bless=check"),
            ("test", "select/b.slt:12", "select/b.slt:12"),
            ("check", "a.slt /b.slt", "HERE/a.slt /b.slt"),
            ("stubs", "--check --output o", "--check --output HERE/o"),
        ] {
            assert_eq!(changed(name, line), expected);
        }
        assert_eq!(path(here, OsStr::new("x:/y")), OsString::from(format!("{}/x:/y", here.display())));
    }
}
