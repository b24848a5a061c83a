//! Replaces a file on disk as a whole, or not at all.

use std::fs::File;
use std::io;
use std::path::Path;

use fs2::FileExt;

use crate::script::source;
use crate::temporary;

/// Replaces the content of `path` by `after`, if it is still `before`; keeps permissions.
///
/// `path` must not be a link: a link would be replaced by a file. If the file already contains `after`, the call succeeds.
///
/// # Errors
/// As a fragment: the file has changed, cannot be written, or the system refuses something.
pub(super) fn rewrite(path: &Path, before: &[u8], after: &[u8]) -> Result<(), String> {
    alone(path, |folder| match source::read(path)? {
        present if present == after => Ok(Ok(())),
        present if present != before => Ok(Err(CHANGED.to_owned())),
        _ => replace(path, path, folder, after).map(Ok),
    })
}

/// Calls `act` in the folder of `path`, and syncs the folder. Holds a lock on the folder: other calls for files in it wait, in
/// this process or another one.
///
/// # Errors
/// As a fragment: an error of `act`, or of the system; a system error names the file.
pub(super) fn alone(path: &Path, act: impl FnOnce(&Path) -> io::Result<Result<(), String>>) -> Result<(), String> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let system = |error: io::Error| format!("`{}` cannot be written: {error}", path.display());
    let lock = File::open(folder).map_err(system)?;
    FileExt::lock_exclusive(&lock)
        .map_err(|error| format!("the folder `{}` cannot be locked: {error}", folder.display()))?;
    let acted = act(folder).and_then(|acted| lock.sync_all().map(|()| acted));
    // Unlocked explicitly, because a child that another thread is starting would keep it locked.
    let unlocked = FileExt::unlock(&lock);
    acted.map_err(system)?.and_then(|()| unlocked.map_err(system))
}

/// Why a file that another process has changed is not rewritten.
pub(super) const CHANGED: &str = "the file has changed since it was read";

/// Writes a file in `folder`, with the permissions of `like`, and renames it to `path`.
pub(super) fn replace(path: &Path, like: &Path, folder: &Path, text: &[u8]) -> io::Result<()> {
    let permissions = like.metadata()?.permissions();
    if permissions.readonly() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is read-only"));
    }
    let file = temporary::file(tempfile::Builder::new().prefix(".slt-bless-"), folder, text)?;
    file.as_file().set_permissions(permissions)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_changed_or_read_only_file_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.test");
        fs::write(&path, "theirs").unwrap();
        assert_eq!(rewrite(&path, b"old", b"new"), Err(CHANGED.to_owned()));
        assert_eq!(fs::read(&path).unwrap(), b"theirs");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o440)).unwrap();
        assert!(rewrite(&path, b"theirs", b"new").unwrap_err().ends_with("cannot be written: it is read-only"));
        assert_eq!(fs::read(&path).unwrap(), b"theirs");
        fs::remove_file(&path).unwrap();
        assert!(rewrite(&path, b"theirs", b"new").unwrap_err().contains("cannot be written: "));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_new_text_is_written_atomically_with_the_old_permissions() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.test");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o754)).unwrap();
        rewrite(&path, b"old", b"new").unwrap();
        // Another process had the same result: the second call succeeds.
        rewrite(&path, b"old", b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o754);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
