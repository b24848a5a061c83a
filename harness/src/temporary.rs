//! Files that are written under another name and then renamed.

use std::io::{self, Write};
use std::path::Path;

use tempfile::{Builder, NamedTempFile};

/// Creates a file with this text in `folder`; the caller renames it.
///
/// # Errors
/// The system's error, without the path that `tempfile` adds: users do not know the name of a file while it is being written.
pub(crate) fn file(builder: &Builder<'_, '_>, folder: &Path, text: &[u8]) -> io::Result<NamedTempFile> {
    let mut file = builder.tempfile_in(folder).map_err(without_path)?;
    file.as_file_mut().write_all(text)?;
    Ok(file)
}

fn without_path(error: io::Error) -> io::Error {
    let words = error.to_string();
    io::Error::new(error.kind(), words.split(" at path ").next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_does_not_show_the_temporary_name() {
        let folder = tempfile::tempdir().unwrap();
        let error = file(&Builder::new(), &folder.path().join("nowhere"), b"").unwrap_err();
        assert_eq!((error.kind(), error.to_string().contains("path")), (io::ErrorKind::NotFound, false), "{error}");
        let made = file(&Builder::new(), folder.path(), b"text").unwrap();
        assert_eq!(std::fs::read(made.path()).unwrap(), b"text");
    }
}
