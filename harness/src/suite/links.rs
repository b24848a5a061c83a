//! Symbolic links among test files.

use std::path::Path;

use super::{SuiteError, is_test_file};

/// Whether a path leads out of a folder when all its links are followed; false for a path that cannot be followed.
pub(super) fn leads_out(path: &Path, folder: &Path) -> bool {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    match (path.canonicalize(), folder.canonicalize()) {
        (Ok(path), Ok(folder)) => !path.starts_with(folder),
        _ => false,
    }
}

/// Whether a path is a link to something that does not exist, and cannot be meant for a test file or a folder: it has neither
/// the extension of a test file, nor a name without a dot.
pub(super) fn is_nothing(path: &Path) -> bool {
    let has_dot = path.file_name().is_some_and(|name| name.as_encoded_bytes().contains(&b'.'));
    path.is_symlink() && matches!(path.try_exists(), Ok(false)) && has_dot && !is_test_file(path)
}

/// Whether this is the link that Emacs keeps next to a file that is being edited: `.#x.test`, which leads nowhere.
pub(super) fn is_editors_lock(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".#"))
}

/// The error about a folder that cannot be listed, or a link in it.
pub(super) fn walk_error(root: &Path, error: &walkdir::Error) -> SuiteError {
    let path = error.path().unwrap_or(root).to_path_buf();
    let reason = match error.loop_ancestor() {
        Some(ancestor) => format!("it is a link that leads back to `{}`", ancestor.display()),
        None => match std::fs::read_link(&path) {
            Ok(target) if !path.exists() => format!("it is a link to `{}`, which does not exist", target.display()),
            _ => error.io_error().map_or_else(|| error.to_string(), ToString::to_string),
        },
    };
    SuiteError::Unreadable { path, reason }
}
