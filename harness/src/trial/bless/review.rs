//! New results that wait beside a file, as `FILE.new`, until they are accepted or rejected.
//!
//! Such a file has one line that identifies the text it was made for, followed by the whole new text.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use md5::{Digest, Md5};

#[cfg(feature = "commands")]
use super::rewrite::rewrite;
use super::rewrite::{alone, replace};
use crate::dialect::Dialect;
use crate::script::source;
use crate::suite::WAITING;

/// How the first line of such a file begins.
const HEAD: &str = "# slt review: new results for the text of MD5 ";

/// The new results that wait beside one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proposal {
    /// The MD5 of the old text, in hexadecimal digits.
    old: String,
    /// The dialect that the text is in.
    pub(crate) dialect: Dialect,
    /// The whole new text.
    pub(crate) text: Vec<u8>,
}

impl Proposal {
    fn new(old: &[u8], dialect: Dialect, text: &[u8]) -> Proposal {
        Proposal { old: digest(old), dialect, text: text.to_vec() }
    }

    /// Reads the proposal in the file `FILE.new`; `None` if slt did not write that file.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn read(new: &Path) -> io::Result<Option<Proposal>> {
        let whole = source::read(new)?;
        let Some(at) = memchr::memchr(b'\n', &whole) else { return Ok(None) };
        let head = std::str::from_utf8(&whole[..at]).ok().and_then(|line| line.strip_prefix(HEAD));
        let Some((old, dialect)) = head.and_then(|rest| rest.split_once(", dialect ")) else { return Ok(None) };
        let Ok(dialect) = dialect.parse() else { return Ok(None) };
        Ok(Some(Proposal { old: old.to_owned(), dialect, text: whole[at + 1..].to_vec() }))
    }

    /// Whether the proposal was made for this text.
    #[cfg(any(test, feature = "commands"))]
    pub(crate) fn is_for(&self, text: &[u8]) -> bool {
        self.old == digest(text)
    }

    fn whole(&self) -> Vec<u8> {
        let head = format!("{HEAD}{}, dialect {}\n", self.old, self.dialect);
        [head.as_bytes(), &self.text].concat()
    }
}

fn digest(text: &[u8]) -> String {
    format!("{:x}", Md5::digest(text))
}

/// The path where new results for a file wait: `x.slt.new`.
pub(crate) fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(WAITING);
    path.with_file_name(name)
}

/// Writes the text `after` beside the file `path`, whose text is `before`. Replaces a proposal that waits there already. If the
/// file `is_shared` by several trials, replaces only a proposal for another text: one for the same text may be another trial's.
///
/// # Errors
/// As a fragment: the file has changed, cannot be written, or other results wait there.
pub(super) fn propose(
    path: &Path,
    before: &[u8],
    after: &[u8],
    dialect: Dialect,
    is_shared: bool,
) -> Result<(), String> {
    let (new, proposal) = (beside(path), Proposal::new(before, dialect, after));
    alone(path, |folder| {
        if source::read(path)? != before {
            return Ok(Err(super::rewrite::CHANGED.to_owned()));
        }
        let waits = match Proposal::read(&new) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Ok(None) => return Ok(Err(format!("`{}` already exists, and was not made by slt", new.display()))),
            other => other?,
        };
        if waits.is_some_and(|waits| is_shared && waits.old == proposal.old && waits != proposal) {
            let new = new.display();
            return Ok(Err(format!("other new results wait in `{new}`: review or delete them first")));
        }
        replace(&new, path, folder, &proposal.whole()).map(Ok)
    })
}

/// Removes the proposal that waits beside a file. A file that slt did not write stays.
pub(crate) fn discard(path: &Path) {
    let new = beside(path);
    if matches!(Proposal::read(&new), Ok(Some(_))) {
        // If it cannot be removed, it is refused later if it no longer fits.
        let _ = fs::remove_file(new);
    }
}

/// Replaces the text `before` of a file by `after`, and lets `waiting` wait beside it, unless `waiting` is equal to `after`.
/// `waiting` is `after` with the changes that are still to be reviewed.
///
/// If the process is killed meanwhile, the file has one of the two texts. If it already has the new text, the old proposal is
/// refused, because it was made for the old text.
///
/// # Errors
/// As a fragment: the file has changed, or one of them cannot be written.
#[cfg(feature = "commands")]
pub(crate) fn settle(path: &Path, before: &[u8], after: &[u8], waiting: &[u8], dialect: Dialect) -> Result<(), String> {
    if after != before {
        rewrite(path, before, after)?;
    }
    if waiting == after {
        discard(path);
        return Ok(());
    }
    propose(path, after, waiting, dialect, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_read_back_and_foreign_files_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.slt");
        fs::write(&path, "old\r\n").unwrap();
        propose(&path, b"old\r\n", b"\xEF\xBB\xBFnew", Dialect::Slt, false).unwrap();
        let read = || Proposal::read(&folder.path().join("x.slt.new")).unwrap().unwrap();
        assert_eq!((read().text.as_slice(), read().dialect), (&b"\xEF\xBB\xBFnew"[..], Dialect::Slt));
        assert!(read().is_for(b"old\r\n") && !read().is_for(b"old\n"));
        // A later run of the same script replaces the proposal; a run of another script that includes the file does not.
        propose(&path, b"old\r\n", b"newer", Dialect::Slt, false).unwrap();
        let error = propose(&path, b"old\r\n", b"other", Dialect::Slt, true).unwrap_err();
        assert!(error.contains("other new results wait in"), "{error}");
        assert_eq!(read().text, b"newer");
        propose(&path, b"old\r\n", b"newer", Dialect::Slt, true).unwrap();
        assert!(propose(&path, b"not it", b"x", Dialect::Slt, false).is_err());
        discard(&path);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        fs::write(beside(&path), "mine\n").unwrap();
        let error = propose(&path, b"old\r\n", b"new", Dialect::Slt, false).unwrap_err();
        assert!(error.contains("was not made by slt"), "{error}");
        discard(&path);
        assert_eq!(fs::read(beside(&path)).unwrap(), b"mine\n");
    }
}
