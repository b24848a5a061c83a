//! `include`: replaces the line by the text of another file.

use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use super::words;
use crate::script::source;

/// The texts of a script and of the files that it includes. No text moves in memory while this exists.
#[derive(Debug, Default)]
pub struct Texts {
    text: String,
    next: OnceLock<Box<Texts>>,
}

impl Texts {
    /// A list of texts, of which `text` is the first.
    ///
    /// # Errors
    /// The text is not UTF-8; the error is the number of the line.
    pub fn new(text: &[u8]) -> Result<Texts, u64> {
        match std::str::from_utf8(text) {
            Ok(text) => Ok(Texts { text: words::clean(text).into_owned(), next: OnceLock::new() }),
            Err(error) => {
                let before = &text[..error.valid_up_to()];
                Err(1 + memchr::memchr_iter(b'\n', before).count() as u64)
            }
        }
    }

    /// The first text.
    pub fn first(&self) -> &str {
        &self.text
    }

    /// Adds another text.
    pub(super) fn keep(&self, texts: Texts) -> &str {
        match self.next.get() {
            Some(next) => next.keep(texts),
            None => &self.next.get_or_init(|| Box::new(texts)).text,
        }
    }
}

/// Reads the file that an `include` of a script names.
pub(super) fn read(name: &str, script: &Path, root: &Path) -> Result<(PathBuf, Texts), String> {
    let cannot = |reason: String| format!("cannot include `{name}`: {reason}");
    let path = find(name, script, root, None).map_err(cannot)?;
    let text = source::read(&path).map_err(|error| cannot(error.to_string()))?;
    let texts = Texts::new(&text).map_err(|line| cannot(format!("line {line} is not UTF-8")))?;
    Ok((path, texts))
}

/// Finds the file that `name` means in a script. The name is relative to the working directory. If no file is there, it is
/// relative to a folder above the script that is not above `root`. With a `scratch` folder, it may also be a path into that
/// folder.
///
/// # Errors
/// There is no such file, or it is elsewhere: a test file is untrusted input, and may read only files of its own suite.
pub fn find(name: &str, script: &Path, root: &Path, scratch: Option<&Path>) -> Result<PathBuf, String> {
    let path = Path::new(name);
    let lies_in = |path: &Path, folder: &Path| match (path.canonicalize(), folder.canonicalize()) {
        (Ok(path), Ok(folder)) => path.starts_with(folder),
        _ => false,
    };
    if let Some(scratch) = scratch.filter(|scratch| path.is_file() && lies_in(path, scratch)) {
        return Ok(scratch.join(path));
    }
    if path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
        return Err("the path must be relative, and without `..`".to_owned());
    }
    let above = script.ancestors().skip(1).take_while(|folder| folder.starts_with(root));
    let folders = std::iter::once(Path::new(".")).chain(above);
    let mut found = folders.map(|folder| (folder.join(path), folder)).filter(|(path, _)| path.is_file());
    match found.next() {
        Some((path, folder)) if lies_in(&path, folder) => Ok(path),
        Some(_) => Err("it is a link that leads out of its folder".to_owned()),
        None => {
            Err("there is no such file in the working directory or in a folder of the suite above the script"
                .to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_script_reads_its_own_suite_and_its_scratch_folder_only() {
        let outer = tempfile::tempdir().unwrap();
        let (root, scratch) = (outer.path().join("root"), outer.path().join("scratch"));
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::create_dir_all(&scratch).unwrap();
        for name in ["secret", "root/x.csv", "root/a/y.csv", "scratch/z.csv"] {
            fs::write(outer.path().join(name), "").unwrap();
        }
        let script = root.join("a/b/s.duckdb.test");
        let find = |name: &str| find(name, &script, &root, Some(&scratch));
        assert_eq!(find("x.csv"), Ok(root.join("x.csv")));
        assert_eq!(find("a/y.csv"), Ok(root.join("a/y.csv")));
        assert_eq!(find(scratch.join("z.csv").to_str().unwrap()), Ok(scratch.join("z.csv")));
        for name in ["../secret", "secret", "etc/passwd", "/etc/passwd", outer.path().join("secret").to_str().unwrap()]
        {
            assert!(find(name).is_err(), "{name}");
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(outer.path().join("secret"), root.join("link.csv")).unwrap();
            assert!(find("link.csv").unwrap_err().contains("leads out"));
        }
    }
}
