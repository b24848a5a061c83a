//! `include`: finds the files that a pattern names. All of them must be below the root.

use std::path::{Component, Path, PathBuf};

/// Finds the files that `pattern` names, relative to the folder of `file`, in the order of their names.
///
/// # Errors
/// A fragment of a sentence: the pattern is malformed, names no file, or leads out of `root`, by `..`, by an absolute path
/// or by a link.
pub(crate) fn resolve(pattern: &str, file: &Path, root: &Path) -> Result<Vec<PathBuf>, String> {
    let folder = file.parent().unwrap_or(Path::new(""));
    let sought = folder.join(pattern);
    let sought = sought.to_str().ok_or_else(|| format!("`{pattern}` leads to a path that is not UTF-8"))?;
    let root = root.canonicalize().map_err(|error| format!("cannot read `{}`: {error}", root.display()))?;
    let outside = || format!("`{pattern}` leads out of the folder that the test files are in (`--root` names another)");
    // A pattern must not search folders outside of the root.
    if !fixed_part(Path::new(sought)).canonicalize().is_ok_and(|fixed| fixed.starts_with(&root)) {
        // Only the words of the pattern decide here, so that the message reveals nothing about what is outside.
        let inside = without_dots(&fixed_part(Path::new(pattern)), file, &root);
        return Err(if inside && Path::new(pattern).is_relative() {
            format!("`{pattern}` names no file")
        } else {
            outside()
        });
    }
    let mut found = Vec::new();
    for path in glob::glob(sought).map_err(|error| format!("`{pattern}` is not a file pattern: {error}"))? {
        let path = path.map_err(|error| error.to_string())?;
        let real = path.canonicalize().map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
        if !real.starts_with(&root) {
            return Err(outside());
        }
        found.push(path);
    }
    if found.is_empty() {
        // The message does not reveal whether a file outside exists.
        return Err(format!("`{pattern}` names no file"));
    }
    Ok(found)
}

/// Whether no step of a relative path, starting in the folder of `file`, leads out of `root`. Links are not considered.
fn without_dots(path: &Path, file: &Path, root: &Path) -> bool {
    let folder = file.parent().unwrap_or(Path::new("")).canonicalize().unwrap_or_default();
    let Ok(below) = folder.strip_prefix(root) else { return false };
    let mut depth = below.components().count();
    path.components().all(|part| match part {
        Component::ParentDir => depth.checked_sub(1).inspect(|less| depth = *less).is_some(),
        Component::Normal(_) => {
            depth += 1;
            true
        }
        _ => true,
    })
}

/// The folders of a pattern before its first wildcard.
fn fixed_part(pattern: &Path) -> PathBuf {
    let folder = pattern.parent().unwrap_or(Path::new(""));
    let fixed: PathBuf =
        folder.components().take_while(|part| !part.as_os_str().to_string_lossy().contains(['*', '?', '['])).collect();
    if fixed.as_os_str().is_empty() { PathBuf::from(".") } else { fixed }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn patterns_stay_below_the_root() {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().join("root");
        fs::create_dir_all(root.join("sub")).unwrap();
        fs::write(outer.path().join("secret.slt"), "").unwrap();
        for name in ["b.part", "a.part", "sub/x.slt"] {
            fs::write(root.join(name), "").unwrap();
        }
        let file = root.join("sub/x.slt");
        let names = |pattern: &str| resolve(pattern, &file, &root).map(|paths| paths.len());
        assert_eq!(names("../a.part"), Ok(1));
        assert_eq!(names("../*.part"), Ok(2));
        assert!(names("../../secret.slt").unwrap_err().contains("leads out of"));
        assert!(names(outer.path().join("secret.slt").to_str().unwrap()).unwrap_err().contains("leads out of"));
        assert!(names("nothing*").unwrap_err().contains("names no file"));
        for pattern in ["absent/*", "../absent/x.part", "./absent/../absent/*"] {
            assert!(names(pattern).unwrap_err().contains("names no file"), "{pattern}");
        }
        for pattern in ["../../**", "../../*", "../../[s]*", "/**", "../absent/../../**"] {
            assert!(names(pattern).unwrap_err().contains("leads out of"), "{pattern}");
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(outer.path().join("secret.slt"), root.join("link.part")).unwrap();
            assert!(names("../link.part").unwrap_err().contains("leads out of"));
        }
    }
}
