//! What files hold, in short: enough to tell whether two machines have the same copies.

use std::fs::File;
use std::io::{self, Read};
use std::num::NonZero;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::TestFile;

impl TestFile {
    /// What the file holds, in short: its length and its CRC-32, such as `5120-8f21d3a0`, or `unreadable`. Files that it
    /// includes are not looked at.
    pub fn content(&self) -> String {
        self.sum_up().unwrap_or_else(|_| "unreadable".to_owned())
    }

    /// Whether `text`, just read from the file, is what was planned, if anything was.
    pub fn is_as_planned(&self, text: &[u8]) -> bool {
        let is_so = |planned: &String| *planned == in_short(text.len(), crc32fast::hash(text));
        self.planned.as_ref().is_none_or(is_so)
    }

    /// Reads the file piece by piece: memory for a whole one costs more than its sum.
    fn sum_up(&self) -> io::Result<String> {
        // To open a FIFO is to wait for its other end.
        if !self.path.metadata()?.is_file() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut file = File::open(&self.path)?;
        let (mut hasher, mut length, mut piece) = (crc32fast::Hasher::new(), 0, [0; 64 << 10]);
        loop {
            match file.read(&mut piece) {
                Ok(0) => return Ok(in_short(length, hasher.finalize())),
                Ok(count) => {
                    hasher.update(&piece[..count]);
                    length += count;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// What each of the files holds, by as many threads as there are cores: a corpus is large.
pub fn contents(files: &[TestFile]) -> Vec<String> {
    let contents: Vec<OnceLock<String>> = files.iter().map(|_| OnceLock::new()).collect();
    let next = AtomicUsize::new(0);
    let read = || {
        let places = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
        for (file, content) in places.map_while(|place| files.get(place).zip(contents.get(place))) {
            content.get_or_init(|| file.content());
        }
    };
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        for _ in 1..cores.min(files.len()) {
            // Without another thread, there is still this one.
            let _ = thread::Builder::new().spawn_scoped(scope, read);
        }
        read();
    });
    contents.into_iter().map(|content| content.into_inner().expect("somebody has read each file")).collect()
}

fn in_short(length: usize, crc: u32) -> String {
    format!("{length}-{crc:08x}")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::suite::Suite;

    fn file(folder: &Path, text: &str) -> TestFile {
        fs::write(folder.join("a.test"), text).unwrap();
        Suite::from_roots([folder.to_path_buf()]).find("a.test").unwrap().unwrap()
    }

    #[test]
    fn copies_are_told_apart_by_what_they_hold() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(file(folder.path(), "").content(), "0-00000000");
        let file = file(folder.path(), "123456789");
        assert_eq!(file.content(), "9-cbf43926");
        drop(folder);
        assert_eq!(file.content(), "unreadable");
    }

    #[test]
    fn what_is_no_ordinary_file_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(folder.path(), "");
        fs::remove_file(&file.path).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&file.path).status().unwrap().success());
        assert_eq!(file.content(), "unreadable");
    }

    #[test]
    fn what_was_read_is_held_against_what_was_planned() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(folder.path(), "");
        assert!(file.is_as_planned(b"anything"));
        let file = TestFile { planned: Some("9-cbf43926".to_owned()), ..file };
        assert!(file.is_as_planned(b"123456789"));
        assert!(!file.is_as_planned(b"123456780") && !file.is_as_planned(b"1234567890"));
    }

    #[test]
    fn many_files_are_read_each_once_and_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        for i in 0..100 {
            fs::write(folder.path().join(format!("{i}.test")), "x".repeat(i)).unwrap();
        }
        let files = Suite::from_roots([folder.path().to_path_buf()]).discover().unwrap();
        let lengths = files.iter().map(|file| file.name.strip_suffix(".test").unwrap());
        let contents = contents(&files);
        assert!(contents.iter().map(|content| content.split('-').next().unwrap()).eq(lengths));
        assert_eq!(super::contents(&[]), [""; 0]);
    }
}
