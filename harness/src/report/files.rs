//! Writes the files in the folder for the results of a run. Each is written as a whole, or not at all.
//!
//! ```text
//! results.json                        the account of the last run
//! runs/20260801T101530.123Z-b602696c.json a copy for each of the last runs, named by when they began
//! sqllogictest_results.json           the last run, in the shape that earlier tools read
//! sqllogictest_cumulative.json        the last known result of every file, in that shape
//! junit.xml                           the last run, as CI servers read it
//! report.html                         the last run as a page, where one was asked for
//! results.lock                        locked by the process that writes
//! ```

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use fs2::FileExt;

#[cfg(feature = "junit")]
use super::junit::junit;
use super::legacy::Legacy;
use super::words::file_time;
use crate::outcome::Results;
use crate::temporary;

/// How many copies of results are kept.
pub const RUNS_KEPT: usize = 100;

/// How long this process waits for another one that is writing, before it gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// How the name of a file begins while it is being written.
const UNFINISHED: &str = ".unfinished-";

/// A folder of results, locked: while this value exists, no other process writes to the folder.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    lock: File,
}

/// The files of one run that were written, and the errors.
#[derive(Debug, Default)]
pub struct Written {
    /// The files that were written.
    pub files: Vec<PathBuf>,
    /// Why other files were not written: a sentence fragment for each.
    pub complaints: Vec<String>,
}

impl Folder {
    /// Waits until no other process writes to this folder, and locks it. Creates the folder if it does not exist.
    ///
    /// # Errors
    /// The folder cannot be created, written or locked, or another process has been writing for a minute.
    pub fn lock(path: &Path) -> io::Result<Folder> {
        fs::create_dir_all(path.join("runs"))?;
        let lock = File::options().create(true).truncate(false).write(true).open(path.join("results.lock"))?;
        let began = Instant::now();
        while let Err(error) = FileExt::try_lock_exclusive(&lock) {
            if error.kind() != ErrorKind::WouldBlock {
                return Err(error);
            }
            if began.elapsed() > PATIENCE {
                return Err(io::Error::new(ErrorKind::TimedOut, "another process holds `results.lock`"));
            }
            thread::sleep(Duration::from_millis(10));
        }
        let folder = Folder { path: path.to_owned(), lock };
        folder.tidy();
        Ok(folder)
    }

    /// Removes unfinished files of processes that were killed while they wrote.
    fn tidy(&self) {
        let entries = [self.path.clone(), self.runs()].into_iter().filter_map(|folder| fs::read_dir(folder).ok());
        for entry in entries.flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                // A file that cannot be removed does no harm.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    fn runs(&self) -> PathBuf {
        self.path.join("runs")
    }

    /// Writes all files of one run. If one fails, the others are still written.
    pub fn write(&self, results: &Results) -> Written {
        let mut written = Written::default();
        let legacy = Legacy::new(results);
        written.add(&self.path.join("results.json"), &json(results));
        self.write_copy(results, &mut written);
        written.add(&self.path.join("sqllogictest_results.json"), &json(&legacy));
        self.write_cumulative(legacy, &mut written);
        #[cfg(feature = "junit")]
        written.add(&self.path.join("junit.xml"), &junit(results));
        written
    }

    /// Writes the page of one run.
    #[cfg(feature = "page")]
    pub fn write_page(&self, page: &str, written: &mut Written) {
        written.add(&self.path.join("report.html"), page.as_bytes());
    }

    /// The last runs, at most `most`; those that cannot be read are left out.
    #[cfg(feature = "page")]
    pub fn past(&self, most: usize) -> Vec<Results> {
        let copies = self.copies().unwrap_or_default();
        copies.iter().rev().filter_map(|path| Results::read(path).ok()).take(most).collect()
    }

    /// Writes the copy of the results that stays when the next run replaces `results.json`.
    fn write_copy(&self, results: &Results, written: &mut Written) {
        let copy = self.runs().join(copy_name(results));
        written.add(&copy, &json(results));
        let mut copies = match self.copies() {
            Ok(copies) => copies,
            Err(error) => return written.complain(&self.runs(), &error),
        };
        // A process that left the same run earlier may have written an incomplete account of it.
        let suffix = format!("-{}.json", file_name(&results.run_id));
        copies.retain(|path| {
            let same = path != &copy && path.to_string_lossy().ends_with(&suffix);
            let part = same && Results::read(path).is_ok_and(|earlier| overlap(&earlier, results));
            !(part && fs::remove_file(path).is_ok())
        });
        let surplus = copies.len().saturating_sub(RUNS_KEPT);
        for path in &copies[..surplus] {
            if let Err(error) = fs::remove_file(path) {
                written.complaints.push(format!("cannot remove `{}`: {error}", path.display()));
            }
        }
    }

    /// The copies of past runs, the oldest first.
    fn copies(&self) -> io::Result<Vec<PathBuf>> {
        let paths = fs::read_dir(self.runs())?.map(|entry| Ok(entry?.path()));
        let mut copies = paths.collect::<io::Result<Vec<_>>>()?;
        copies.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        copies.sort();
        Ok(copies)
    }

    fn write_cumulative(&self, legacy: Legacy, written: &mut Written) {
        let path = self.path.join("sqllogictest_cumulative.json");
        let known = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice::<Legacy>(&bytes).map_err(io::Error::from),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Legacy::default()),
            Err(error) => return written.complain(&path, &error),
        };
        let known = known.unwrap_or_else(|error| {
            let aside = path.with_extension("json.unreadable");
            let kept = match fs::rename(&path, &aside) {
                Ok(()) => format!("it is now `{}`, and a new one begins", aside.display()),
                Err(error) => format!("it could not be set aside either: {error}"),
            };
            written.complaints.push(format!("`{}` does not hold results ({error}): {kept}", path.display()));
            Legacy::default()
        });
        written.add(&path, &json(&known.followed_by(legacy)));
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Unlocked explicitly, because a child that another thread is starting would keep it locked.
        let _ = FileExt::unlock(&self.lock);
    }
}

impl Written {
    fn add(&mut self, path: &Path, bytes: &[u8]) {
        match replace(path, bytes) {
            Ok(()) => self.files.push(path.to_owned()),
            Err(error) => self.complain(path, &error),
        }
    }

    fn complain(&mut self, path: &Path, error: &io::Error) {
        self.complaints.push(format!("cannot write `{}`: {error}", path.display()));
    }
}

/// Writes a file under another name, and then renames it: a reader sees the old file or the new one, also after a kill.
///
/// # Errors
/// An error of the system; the old file is then unchanged.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    // The usual permissions of a new file; the system applies the process's umask.
    builder.prefix(UNFINISHED).permissions(Permissions::from_mode(0o666));
    let file = temporary::file(&builder, folder, bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    // The rename is durable only once the folder is synced; some file systems cannot sync folders.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// A value as a line of JSON.
pub fn json(value: &impl serde::Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(value).expect("plain data becomes JSON in memory");
    bytes.push(b'\n');
    bytes
}

/// The name of a run's copy: when the run began, and its id. Names sort by time, also those of short runs.
fn copy_name(results: &Results) -> String {
    format!("{}-{}.json", file_time(results.started_us), file_name(&results.run_id))
}

/// A run's id as a part of a file name. Ids of merged results come from files, and may contain any character.
fn file_name(id: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
    id.chars().map(|c| if fits(c) { c } else { '_' }).take(100).collect()
}

/// Whether two accounts with the same run id overlap in time, and so are of the same run.
fn overlap(a: &Results, b: &Results) -> bool {
    let end = |results: &Results| results.started_us.saturating_add(results.wall_us);
    a.started_us <= end(b) && b.started_us <= end(a)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(run_id: &str, second: u64) -> Results {
        let started_us = 1_785_000_000_000_000 + second * 1_000_000;
        Results { run_id: run_id.into(), started_us, wall_us: 10_000_000, ..Results::default() }
    }

    fn copies(folder: &Folder) -> Vec<String> {
        let copies = folder.copies().unwrap();
        copies.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_newest_hundred_runs_are_kept() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::lock(place.path()).unwrap();
        for number in 0..RUNS_KEPT as u64 + 3 {
            folder.write_copy(&results(&format!("{number:03}"), number), &mut Written::default());
        }
        let copies = copies(&folder);
        assert_eq!((copies.len(), copies[0].as_str()), (RUNS_KEPT, "20260725T172003.000Z-003.json"));
    }

    #[test]
    fn a_later_run_of_the_same_id_is_another_run() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::lock(place.path()).unwrap();
        for second in [5, 3, 3600] {
            folder.write_copy(&results("nightly", second), &mut Written::default());
        }
        assert_eq!(copies(&folder), ["20260725T172003.000Z-nightly.json", "20260725T182000.000Z-nightly.json"]);
    }

    #[test]
    fn runs_of_the_same_second_keep_their_order() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::lock(place.path()).unwrap();
        for (milliseconds, id) in [(20, "z"), (100, "y"), (999, "x")] {
            let mut results = results(id, 0);
            results.started_us += milliseconds * 1000;
            folder.write_copy(&results, &mut Written::default());
        }
        let ids: Vec<String> = copies(&folder).iter().map(|name| name[21..22].to_owned()).collect();
        assert_eq!(ids, ["z", "y", "x"]);
    }

    #[test]
    fn an_id_from_a_file_stays_in_the_folder() {
        let place = tempfile::tempdir().unwrap();
        let written = Folder::lock(place.path()).unwrap().write(&results("../../a/b\0", 0));
        assert_eq!(written.complaints, [""; 0]);
        assert!(place.path().join("runs/20260725T172000.000Z-.._.._a_b_.json").exists(), "{:?}", written.files);
    }

    #[test]
    fn a_file_that_cannot_be_replaced_stays_as_it_was() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("results.json");
        fs::create_dir(&path).unwrap();
        assert!(replace(&path, b"new").is_err());
        let left: Vec<_> = fs::read_dir(place.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
        let error = replace(&place.path().join("absent/x"), b"new").unwrap_err().to_string();
        assert!(error.starts_with("No such file") && !error.contains(UNFINISHED), "{error}");
    }
}
