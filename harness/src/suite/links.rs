//! Symbolic links among test files.

use std::path::Path;

/// Whether a path leads out of a folder when all its links are followed; false for a path that cannot be followed.
pub(super) fn leads_out(path: &Path, folder: &Path) -> bool {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    match (path.canonicalize(), folder.canonicalize()) {
        (Ok(path), Ok(folder)) => !path.starts_with(folder),
        _ => false,
    }
}

/// Whether a path is a link to something that does not exist.
pub(super) fn leads_nowhere(path: &Path) -> bool {
    path.is_symlink() && matches!(path.try_exists(), Ok(false))
}

/// Whether this is the link that Emacs keeps next to a file that is being edited: `.#x.test`, which leads nowhere.
pub(super) fn is_editors_lock(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".#"))
}
