//! Digests of test files: they show whether two machines, or two moments, have the same files.
//!
//! ```text
//! classic 5120-8f21d3a0          the dialect in which it is read, length and CRC-32 of the file
//! slt 5120-8f21d3a0+2-0c51e9d7   the same, and of the 2 files that it includes, directly or indirectly
//! unreadable
//! ```

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::TestFile;
use super::weight::Weigher;
use crate::script::Labels;

/// The digest of a file and of the files that it includes.
pub fn content(file: &TestFile) -> String {
    seen(file, None).content
}

/// What reading a file has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The digest of its content.
    pub content: String,
    /// How much work it is, in an arbitrary unit, if requested.
    pub weight: Option<u64>,
}

/// The digest of a file, and how much work it is for an engine with these labels.
fn seen(file: &TestFile, labels: Option<&Labels>) -> Seen {
    let mut weigher = labels.map(|labels| Weigher::new(file.dialect, labels));
    let sum = sum_up(&file.path, file.dialect.definition().has_includes(), weigher.as_mut());
    let content = sum.map_or_else(|_| UNREADABLE.to_owned(), |sum| sum.with_included(file));
    // A trial of an excluded file ends at once.
    let weight = weigher.map(|weigher| if file.excluded.is_some() { 0 } else { weigher.weight() });
    Seen { content, weight }
}

/// The digest of a file from which `text` was just read, and of the files that it includes; an error if it is not the
/// planned one.
pub fn held(file: &TestFile, text: &[u8]) -> Result<String, Unplanned> {
    // Walking the lines takes longer than everything else here, so it is done only if needed.
    let may_include = file.dialect.definition().has_includes() && memchr::memmem::find(text, b"include").is_some();
    let mut sum = Sum::new(may_include);
    sum.take(text);
    // Included files are read only if the file itself is the planned one.
    if file.planned.as_ref().is_some_and(|planned| !sum.matches(file, planned)) {
        return Err(Unplanned);
    }
    let held = sum.with_included(file);
    if file.planned.as_ref().is_some_and(|planned| *planned != held) { Err(Unplanned) } else { Ok(held) }
}

/// The error that a file does not have the planned content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unplanned;

/// The digest of each file.
pub fn contents(files: &[TestFile]) -> Vec<String> {
    look(files, None).into_iter().map(|seen| seen.content).collect()
}

/// The digest of each file and, if there are labels, how much work it is for that engine. Uses as many threads as there are
/// cores, because a suite may be large.
pub fn look(files: &[TestFile], labels: Option<&Labels>) -> Vec<Seen> {
    let contents: Vec<OnceLock<Seen>> = files.iter().map(|_| OnceLock::new()).collect();
    let next = AtomicUsize::new(0);
    let read = || {
        let places = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
        for (file, sum) in places.map_while(|place| files.get(place).zip(contents.get(place))) {
            sum.get_or_init(|| seen(file, labels));
        }
    };
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        for _ in 1..cores.min(files.len()) {
            // If no thread can be started, this thread does all the work.
            let _ = thread::Builder::new().spawn_scoped(scope, read);
        }
        read();
    });
    contents.into_iter().map(|content| content.into_inner().expect("a thread has read each file")).collect()
}

const UNREADABLE: &str = "unreadable";

/// How many files that one script includes are read; further ones are ignored.
const MOST_INCLUDED: usize = 10_000;

/// The maximum length of a line with an `include`, in bytes.
const MOST_LINE: usize = 4096;

/// The sum of a file that is read piece by piece: allocating memory for a whole file takes longer than summing it.
struct Sum {
    hasher: crc32fast::Hasher,
    length: u64,
    /// The patterns that it includes; `None` if the dialect has no includes.
    includes: Option<Vec<String>>,
    /// The beginning of the current line, as far as it has been read.
    line: Vec<u8>,
}

impl Sum {
    fn new(has_includes: bool) -> Sum {
        let includes = has_includes.then(Vec::new);
        Sum { hasher: crc32fast::Hasher::new(), length: 0, includes, line: Vec::new() }
    }

    fn take(&mut self, piece: &[u8]) {
        self.hasher.update(piece);
        self.length += piece.len() as u64;
        if self.includes.is_none() {
            return;
        }
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            if self.line.is_empty() && part.ends_with(b"\n") {
                self.include_of(part);
                continue;
            }
            let room = MOST_LINE.saturating_sub(self.line.len()).min(part.len());
            self.line.extend_from_slice(&part[..room]);
            if part.ends_with(b"\n") {
                self.end_line();
            }
        }
    }

    /// Takes the line for an `include` wherever it is: a line in the middle of SQL does no harm.
    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        self.include_of(&line);
        self.line = line;
        self.line.clear();
    }

    fn include_of(&mut self, line: &[u8]) {
        let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        if line.trim_ascii_start().starts_with(b"include") {
            let line = String::from_utf8_lossy(line);
            let mut words = line.split_whitespace();
            if let (Some("include"), Some(pattern), Some(includes)) =
                (words.next(), words.next(), self.includes.as_mut())
            {
                includes.push(pattern.to_owned());
            }
        }
    }

    fn own(&self) -> String {
        format!("{}-{:08x}", self.length, self.hasher.clone().finalize())
    }

    /// Whether the file itself has the planned content.
    fn matches(&self, file: &TestFile, planned: &str) -> bool {
        planned.split('+').next() == Some(&*format!("{} {}", file.dialect, self.own()))
    }

    fn with_included(self, file: &TestFile) -> String {
        let own = format!("{} {}", file.dialect, self.own());
        let mut all = crc32fast::Hasher::new();
        let definition = file.dialect.definition();
        let mut count = 0;
        let patterns = |mut sum: Sum, path: &Path| {
            sum.end_line();
            let patterns = sum.includes.unwrap_or_default().into_iter().rev();
            patterns.map(|pattern| (path.to_path_buf(), pattern)).collect::<Vec<_>>()
        };
        // The patterns that are still to be followed, each with the file that contains it, the last one first.
        let mut open = patterns(self, &file.path);
        if open.is_empty() {
            return own;
        }
        let mut seen: HashSet<PathBuf> = file.path.canonicalize().into_iter().collect();
        while let Some((path, pattern)) = open.pop() {
            // If a pattern names nothing, or leads out of the root, the parser reports it.
            for included in definition.included(&pattern, &path, &file.into()).unwrap_or_default() {
                let Ok(real) = included.canonicalize() else { continue };
                if count >= MOST_INCLUDED || !seen.insert(real) {
                    continue;
                }
                count += 1;
                let sum = sum_up(&included, true, None);
                let own = sum.as_ref().map_or_else(|_| UNREADABLE.to_owned(), Sum::own);
                // Only the path below the root counts: the root differs between machines.
                let name = included.strip_prefix(&file.root).unwrap_or(&included);
                all.update(name.to_string_lossy().as_bytes());
                all.update(format!("\0{own}\n").as_bytes());
                if let Ok(sum) = sum {
                    open.extend(patterns(sum, &included));
                }
            }
        }
        if count == 0 { own } else { format!("{own}+{count}-{:08x}", all.finalize()) }
    }
}

fn sum_up(path: &Path, has_includes: bool, mut weigher: Option<&mut Weigher<'_>>) -> io::Result<Sum> {
    // Opening a FIFO waits for its other end, so only regular files are opened.
    if !path.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut file = File::open(path)?;
    let (mut sum, mut piece) = (Sum::new(has_includes), [0; 64 << 10]);
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(sum),
            Ok(count) => {
                sum.take(&piece[..count]);
                if let Some(weigher) = &mut weigher {
                    weigher.take(&piece[..count]);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::dialect::Dialect;
    use crate::suite::Suite;

    fn file(folder: &Path, text: &str) -> TestFile {
        fs::write(folder.join("a.test"), text).unwrap();
        Suite::from_roots([folder.to_path_buf()]).find("a.test").unwrap().unwrap()
    }

    #[test]
    fn copies_are_told_apart_by_what_they_hold() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(content(&file(folder.path(), "")), "classic 0-00000000");
        let file = file(folder.path(), "123456789");
        assert_eq!(content(&file), "classic 9-cbf43926");
        drop(folder);
        assert_eq!(content(&file), "unreadable");
    }

    #[test]
    fn what_is_no_ordinary_file_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(folder.path(), "");
        fs::remove_file(&file.path).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&file.path).status().unwrap().success());
        assert_eq!(content(&file), "unreadable");
    }

    #[test]
    fn what_was_read_is_held_against_what_was_planned() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(folder.path(), "");
        assert_eq!(held(&file, b"123456789").as_deref(), Ok("classic 9-cbf43926"));
        let file = TestFile { planned: Some("classic 9-cbf43926".to_owned()), ..file };
        assert!(held(&file, b"123456789").is_ok());
        assert!(held(&file, b"123456780").is_err() && held(&file, b"1234567890").is_err());
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
        let found = contents.iter().map(|content| content.split([' ', '-']).nth(1).unwrap());
        assert!(found.eq(lengths));
        assert_eq!(super::contents(&[]), [""; 0]);
    }

    #[test]
    fn what_a_script_includes_belongs_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        let write = |name: &str, text: &str| {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), text).unwrap();
        };
        write("sub/a.slt", "\u{feff}include ../*.part\n\nstatement ok\nSELECT 1\n");
        write("b.part", "  include  deep/c.any\r\n");
        write("b.test", "include b.part\n");
        write("deep/c.any", "statement ok\nSELECT 2\n\ninclude ../sub/a.slt");
        let find = |name: &str| Suite::from_roots([root.clone()]).find(name).unwrap().unwrap();
        let file = find("sub/a.slt");
        let first = content(&file);
        assert!(first.contains("+2-"), "{first}");
        assert!(!content(&find("b.test")).contains('+'));
        let text = fs::read(&file.path).unwrap();
        let planned = TestFile { planned: Some(first.clone()), ..file.clone() };
        assert!(held(&planned, &text).is_ok());
        write("deep/c.any", "statement ok\nSELECT 3\n\ninclude ../sub/a.slt");
        assert!(content(&file) != first && held(&planned, &text).is_err());
        write("deep/c.any", "statement ok\nSELECT 2\n\ninclude ../sub/a.slt");
        write("d.part", "");
        assert!(content(&file).contains("+3-") && held(&planned, &text).is_err());
        fs::remove_file(root.join("d.part")).unwrap();
        assert_ne!(content(&TestFile { dialect: Dialect::Classic, ..file }), first);
        // DuckDB's dialect searches for a file in the folders above the script.
        write("e.duckdb.test", "include deep/c.any\n");
        let duckdb = find("e.duckdb.test");
        let before = content(&duckdb);
        assert!(before.contains("+1-"), "{before}");
        write("deep/c.any", "statement ok\nSELECT 4\n");
        assert_ne!(content(&duckdb), before);
        fs::remove_file(root.join("e.duckdb.test")).unwrap();
        write("deep/c.any", "statement ok\nSELECT 2\n\ninclude ../sub/a.slt");
        // Copies in another place have the same digests.
        let other = folder.path().join("other/place");
        fs::create_dir_all(other.parent().unwrap()).unwrap();
        fs::rename(&root, &other).unwrap();
        let moved = Suite::from_roots([other]).find("sub/a.slt").unwrap().unwrap();
        assert_eq!(content(&moved), first);
    }
}
