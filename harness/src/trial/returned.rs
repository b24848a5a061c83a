//! Writes files with all values of a result, if the script lists only a hash of it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use md5::{Digest, Md5};

use crate::diff::Returned;
use crate::suite::shown;
use crate::temporary;

/// How large one file may be, in bytes.
const MOST: usize = 4 << 20;

/// How many bytes one process writes in all.
const MOST_IN_ALL: u64 = 256 << 20;

/// The maximum length of a file name, in bytes; file systems allow 255.
const LONGEST_NAME: usize = 200;

static WRITTEN: AtomicU64 = AtomicU64::new(0);

/// Writes all values to a file in this folder, and returns a message with the path. The name of the file comes from `record`,
/// which identifies the record.
pub(super) fn keep(returned: &Returned, folder: &Path, record: &[&str]) -> String {
    let (bytes, is_cut) = returned.bytes(MOST);
    let length = bytes.len() as u64;
    if WRITTEN.fetch_add(length, Ordering::Relaxed) + length > MOST_IN_ALL {
        return format!("no more than {} MiB of such values are written to files", MOST_IN_ALL >> 20);
    }
    let path = folder.join(name(record));
    match write(&path, &bytes) {
        Ok(()) if is_cut => format!("the first {} MiB of them, one value per line: {}", MOST >> 20, shown(&path)),
        Ok(()) => format!("all of them, one value per line: {}", shown(&path)),
        Err(error) => format!("they cannot be written to `{}`: {error}", shown(&path)),
    }
}

/// Replaces the file. If it is a link, replaces the link and not its target.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let file = temporary::file(&tempfile::Builder::new(), folder, bytes)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// A file name that differs for different records. It contains no folder separator and is never that of a hidden file.
fn name(record: &[&str]) -> PathBuf {
    let word = |word: &&str| -> String {
        let mut plain = String::new();
        for byte in word.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => plain.push(char::from(byte)),
                b'.' if !plain.is_empty() => plain.push('.'),
                byte => plain.push_str(&format!("%{byte:02X}")),
            }
        }
        plain
    };
    let name = record.iter().map(word).collect::<Vec<_>>().join("+");
    let name = name.trim_end_matches('+');
    match name.len() > LONGEST_NAME {
        // `~` is in no other name.
        true => format!("{}~{:x}.txt", &name[..LONGEST_NAME - 40], Md5::digest(name.as_bytes())),
        false => format!("{name}.txt"),
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_and_stay_in_the_folder() {
        let long = "x".repeat(300);
        let records: [&[&str]; 9] = [
            &["a/b.test", "3", "", ""],
            &["a_b.test", "3", "", ""],
            &["a%2Fb.test", "3", "", ""],
            &["a/b.test", "3", "", "i=1"],
            &["a/b.test", "3", "i=1", ""],
            &["../b.test", "3", "", ""],
            &["é+.test", "3", "", ""],
            &[&long, "3", "", ""],
            &[&long, "4", "", ""],
        ];
        let names: std::collections::HashSet<PathBuf> = records.iter().map(|record| name(record)).collect();
        assert_eq!(names.len(), records.len());
        for name in &names {
            let text = name.to_str().unwrap();
            assert!(text.is_ascii() && !text.contains('/') && !text.starts_with('.') && text.len() <= 205, "{text}");
        }
        assert_eq!(name(records[0]), Path::new("a%2Fb.test+3.txt"));
    }

    #[test]
    fn all_values_are_in_the_file_which_is_never_written_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let values = (0..30).map(|n: u32| n.to_string().into_bytes()).collect();
        let returned = Returned { values, columns: 3 };
        let path = folder.path().join("returned/a.test+3.txt");
        fs::create_dir(folder.path().join("returned")).unwrap();
        let other = folder.path().join("other");
        fs::write(&other, "mine").unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        let note = keep(&returned, path.parent().unwrap(), &["a.test", "3", "", ""]);
        assert!(note.starts_with("all of them") && note.ends_with("a.test+3.txt"), "{note}");
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 30);
        assert_eq!(fs::read_to_string(&other).unwrap(), "mine");
        assert!(returned.text(false).starts_with("10 rows\n  0 1 2\n  3 4 5\n"), "{}", returned.text(false));
        let long = Returned { values: vec![b"a\nb".to_vec(); 40], columns: 1 };
        assert_eq!(long.text(false).lines().nth(6), Some("  … 30 rows"));
        assert_eq!(long.bytes(10), (b"a\nb\na\nb\n".to_vec(), true));
    }
}
