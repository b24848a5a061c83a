//! Finds test files by what a user types: a path from the current folder, or a name below the suite's root.

use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use crate::run::suggestion;
use crate::suite::{Suite, SuiteError, TestFile, nearest};
use crate::summary::ExitStatus;

/// The test file with this path, read as a file of the suite if it is below a root; if there is no such path, the test file
/// with this name below a root.
pub(super) fn file(path: &Path, suite: &Suite) -> Result<TestFile, String> {
    let shown = path.display();
    let words = |error: SuiteError| error.to_string();
    match path.metadata() {
        Ok(metadata) if metadata.is_dir() => Err(format!("`{shown}` is a folder: name a test file")),
        Ok(_) => {
            for root in suite.roots() {
                let one = suite.clone().at([root.clone()]);
                let name = name_below(path, root);
                if let Some(file) = name.and_then(|name| one.find(&name).transpose()) {
                    return file.map_err(words);
                }
            }
            // A file that is below the current folder, and is typed so, may include files below that folder.
            let name = path.to_str().filter(|_| path.components().all(|part| matches!(part, Component::Normal(_))));
            if let Some(file) = name.and_then(|name| suite.clone().at([PathBuf::from(".")]).find(name).transpose()) {
                return file.map_err(words);
            }
            let alone = suite.clone().at([path.to_path_buf()]).discover().map_err(words);
            alone?.pop().ok_or_else(|| format!("`{shown}` is not a test file"))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let name = path.to_str().map(|name| suite.find(name)).transpose().map_err(words)?.flatten();
            let roots: Vec<String> = suite.roots().iter().map(|root| format!("`{}`", root.display())).collect();
            let roots = roots.join(", ");
            name.ok_or_else(|| {
                let files = suite.discover().unwrap_or_default();
                let near = suggestion(&nearest(&files, &shown.to_string()));
                format!("no test file `{shown}`: neither a path from here nor a name below {roots}{near}")
            })
        }
        Err(error) => Err(format!("cannot read `{shown}`: {error}")),
    }
}

/// The test files of these paths: each file that is named, and all files in a folder that is named. Without a path, all files
/// of the suite.
///
/// # Errors
/// A message and its exit code.
pub(super) fn files(paths: &[PathBuf], suite: &Suite) -> Result<Vec<TestFile>, (String, ExitStatus)> {
    let failed = |error: SuiteError| {
        let status = if matches!(error, SuiteError::Empty(_)) { ExitStatus::Nothing } else { ExitStatus::Usage };
        (error.to_string(), status)
    };
    if paths.is_empty() {
        return suite.discover().map_err(failed);
    }
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(file(path, suite).map_err(|message| (message, ExitStatus::Usage))?);
            continue;
        }
        // The files of a folder in the suite are found from the suite's root: they may include files above their folder.
        let is_in = |root: &&PathBuf| match (path.canonicalize(), root.canonicalize()) {
            (Ok(path), Ok(root)) => path.starts_with(root),
            _ => false,
        };
        let Some(root) = suite.roots().iter().find(is_in) else {
            files.extend(suite.clone().at([path.clone()]).discover().map_err(failed)?);
            continue;
        };
        let folder = path.canonicalize().map_err(|error| (error.to_string(), ExitStatus::Usage))?;
        let of_root = suite.clone().at([root.clone()]).discover().map_err(failed)?;
        let before = files.len();
        files.extend(of_root.into_iter().filter(|file| file.path.canonicalize().is_ok_and(|p| p.starts_with(&folder))));
        if files.len() == before {
            return Err(failed(SuiteError::Empty(vec![path.clone()])));
        }
    }
    // A file that is named twice is checked once.
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files.dedup_by(|a, b| a.path == b.path);
    Ok(files)
}

/// The name of a file below a root; `None` if it is not below. Links among its folders are followed; a link that is the file
/// itself is not.
fn name_below(path: &Path, root: &Path) -> Option<String> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = folder.canonicalize().ok()?;
    let below = folder.strip_prefix(root.canonicalize().ok()?).ok()?.join(path.file_name()?);
    Some(below.to_str()?.replace(std::path::MAIN_SEPARATOR, "/"))
}
