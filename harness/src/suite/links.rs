//! Links below a root.

use std::path::Path;

use super::SuiteError;

/// Whether a path leads out of a folder when all its links are followed; false for a path that cannot be followed.
pub(super) fn leads_out(path: &Path, folder: &Path) -> bool {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    match (path.canonicalize(), folder.canonicalize()) {
        (Ok(path), Ok(folder)) => !path.starts_with(folder),
        _ => false,
    }
}

/// Whether this is the link that Emacs keeps next to a file that is being edited: `.#x.test`, which leads nowhere.
pub(super) fn is_editors_lock(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".#"))
}

/// The error for an entry that cannot be followed, with the link that is the reason.
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
