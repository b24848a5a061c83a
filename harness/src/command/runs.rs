//! The runs that are on record, and how a user names one of them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::outcome::{Results, ResultsError};

/// Where the runs are on record.
#[derive(Debug, Clone, Args)]
pub(super) struct Recorded {
    /// Folder with the results of runs
    #[arg(
        long = "results",
        value_name = "DIR",
        env = "SLT_RESULTS",
        hide_env_values = true,
        default_value = "target/slt"
    )]
    pub(super) folder: PathBuf,
}

/// What may name a run, for the help of a flag.
pub(super) const RUN_HELP: &str = "Which run: `latest`, `previous`, the beginning of its id, or a file with results";

/// Why the run that a user named cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum RunsError {
    #[error("no run is on record in `{folder}`: make one with `slt run`, or name another folder with `--results`")]
    None { folder: String },
    #[error("only one run is on record in `{folder}`: `previous` needs two")]
    NoPrevious { folder: String },
    #[error("no run `{name}` is on record in `{folder}`; the newest are {newest}")]
    Unknown { name: String, folder: String, newest: String },
    #[error("`{name}` may be any of the runs {ids}: type more of the id")]
    Ambiguous { name: String, ids: String },
    #[error("cannot list the runs in `{folder}`")]
    List { folder: String, source: io::Error },
    #[error(transparent)]
    Results(#[from] ResultsError),
}

/// The kept copy of one run's results, known by its name: `20260801T101530.123Z-b602696c.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Copy {
    /// The file.
    pub(super) path: PathBuf,
    /// The run's id.
    pub(super) id: String,
    /// When the run began, in UTC: `20260801T101530.123Z`.
    time: String,
}

impl Copy {
    fn new(path: PathBuf) -> Option<Copy> {
        let name = path.file_name()?.to_str()?.strip_suffix(".json")?;
        let (time, id) = name.split_once('-')?;
        // What is being written, or lies there by chance, has no such name.
        // To the second, or to the millisecond.
        let is_time =
            [16, 20].contains(&time.len()) && time.starts_with(|c: char| c.is_ascii_digit()) && time.ends_with('Z');
        is_time.then(|| Copy { id: id.to_owned(), time: time.to_owned(), path: path.clone() })
    }

    /// The run as an error names it: `` `b602696c` (2026-08-01 10:15:30 UTC) ``.
    fn shown(&self) -> String {
        let part = |from: usize, to: usize| self.time.get(from..to).unwrap_or_default();
        let (year, month, day) = (part(0, 4), part(4, 6), part(6, 8));
        let (hour, minute, second) = (part(9, 11), part(11, 13), part(13, 15));
        format!("`{}` ({year}-{month}-{day} {hour}:{minute}:{second} UTC)", self.id)
    }
}

/// How many runs an error lists.
const NEWEST: usize = 5;

impl Recorded {
    /// The copies of past runs, the oldest first; none where there is no such folder.
    pub(super) fn copies(&self) -> Result<Vec<Copy>, RunsError> {
        let folder = self.folder.join("runs");
        let listed = fs::read_dir(&folder).and_then(|entries| {
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<PathBuf>>>()
        });
        let mut copies: Vec<Copy> = match listed {
            Ok(paths) => paths.into_iter().filter_map(Copy::new).collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(RunsError::List { folder: folder.display().to_string(), source }),
        };
        copies.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(copies)
    }

    /// The results of the run of this name, and the file that they are in.
    pub(super) fn find(&self, name: &str) -> Result<(Results, PathBuf), RunsError> {
        let path = self.locate(name)?;
        Ok((Results::read(&path)?, path))
    }

    fn locate(&self, name: &str) -> Result<PathBuf, RunsError> {
        let latest = self.folder.join("results.json");
        if name == "latest" && latest.exists() {
            return Ok(latest);
        }
        if name.contains('/') || name.ends_with(".json") {
            return Ok(PathBuf::from(name));
        }
        let copies = self.copies()?;
        match name {
            "latest" => copies.last().map(|copy| copy.path.clone()).ok_or_else(|| self.none()),
            "previous" => self.previous(&latest, copies),
            id => self.by_id(id, copies),
        }
    }

    /// The newest run that is not the latest.
    fn previous(&self, latest: &Path, mut copies: Vec<Copy>) -> Result<PathBuf, RunsError> {
        let Some(newest) = copies.pop() else {
            return Err(if latest.exists() { self.no_previous() } else { self.none() });
        };
        // The copy of the latest run may be missing: its writer was killed between the two.
        if latest.exists() && Results::read(latest)?.run_id != newest.id {
            return Ok(newest.path);
        }
        copies.pop().map(|copy| copy.path).ok_or_else(|| self.no_previous())
    }

    fn by_id(&self, id: &str, copies: Vec<Copy>) -> Result<PathBuf, RunsError> {
        if copies.is_empty() && !self.folder.join("results.json").exists() {
            return Err(self.none());
        }
        let mut found: Vec<&Copy> = copies.iter().filter(|copy| !id.is_empty() && copy.id.starts_with(id)).collect();
        if found.iter().any(|copy| copy.id == id) {
            found.retain(|copy| copy.id == id);
        }
        // An id that was given more than once stands for the last of its runs.
        match found.last() {
            Some(last) if found.iter().all(|copy| copy.id == last.id) => Ok(last.path.clone()),
            Some(_) => Err(RunsError::Ambiguous { name: id.to_owned(), ids: list(found.into_iter()) }),
            None => Err(RunsError::Unknown {
                name: id.to_owned(),
                folder: self.folder.display().to_string(),
                newest: list(copies.iter().rev()),
            }),
        }
    }

    /// The files of the latest run that are there.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return Vec::new() };
        let paths = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file());
        let kinds = ["json", "xml", "html"];
        let mut files: Vec<PathBuf> = paths
            .filter(|path| path.extension().is_some_and(|kind| kinds.iter().any(|known| kind == *known)))
            .collect();
        files.sort();
        files
    }

    fn none(&self) -> RunsError {
        RunsError::None { folder: self.folder.display().to_string() }
    }

    fn no_previous(&self) -> RunsError {
        RunsError::NoPrevious { folder: self.folder.display().to_string() }
    }
}

fn list<'c>(copies: impl Iterator<Item = &'c Copy>) -> String {
    copies.take(NEWEST).map(Copy::shown).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::RESULTS_VERSION;

    fn results(id: &str) -> String {
        let results = Results { version: RESULTS_VERSION, run_id: id.into(), ..Results::default() };
        serde_json::to_string(&results).unwrap()
    }

    fn recorded(runs: &[&str]) -> (tempfile::TempDir, Recorded) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("runs")).unwrap();
        for (index, id) in runs.iter().enumerate() {
            fs::write(folder.path().join(format!("runs/20260801T10153{index}Z-{id}.json")), results(id)).unwrap();
            fs::write(folder.path().join("results.json"), results(id)).unwrap();
        }
        fs::write(folder.path().join("runs/.unfinished-x.json"), "{").unwrap();
        let recorded = Recorded { folder: folder.path().into() };
        (folder, recorded)
    }

    fn id(recorded: &Recorded, name: &str) -> Result<String, String> {
        recorded.find(name).map(|(results, _)| results.run_id).map_err(|error| error.to_string())
    }

    #[test]
    fn a_run_is_named_by_its_place_its_id_or_its_file() {
        let (folder, recorded) = recorded(&["b602", "b6-x", "41fe", "b602"]);
        assert_eq!(id(&recorded, "latest").unwrap(), "b602");
        assert_eq!(id(&recorded, "previous").unwrap(), "41fe");
        assert_eq!(id(&recorded, "4").unwrap(), "41fe");
        assert_eq!(id(&recorded, "b6-x").unwrap(), "b6-x");
        assert!(recorded.find("b602").unwrap().1.ends_with("runs/20260801T101533Z-b602.json"));
        let path = folder.path().join("runs/20260801T101532Z-41fe.json");
        assert_eq!(id(&recorded, path.to_str().unwrap()).unwrap(), "41fe");
    }

    #[test]
    fn runs_of_the_same_second_are_told_apart() {
        let (folder, recorded) = recorded(&[]);
        for (time, id) in [("20260801T101530.020Z", "z"), ("20260801T101530.100Z", "a")] {
            fs::write(folder.path().join(format!("runs/{time}-{id}.json")), results(id)).unwrap();
            fs::write(folder.path().join("results.json"), results(id)).unwrap();
        }
        assert_eq!((id(&recorded, "previous").unwrap(), id(&recorded, "latest").unwrap()), ("z".into(), "a".into()));
        assert!(id(&recorded, "x").unwrap_err().contains("`a` (2026-08-01 10:15:30 UTC)"));
    }

    #[test]
    fn a_latest_run_without_a_copy_has_a_previous_one() {
        let (folder, recorded) = recorded(&["41fe"]);
        fs::write(folder.path().join("results.json"), results("b602")).unwrap();
        assert_eq!(id(&recorded, "previous").unwrap(), "41fe");
        fs::remove_file(folder.path().join("results.json")).unwrap();
        assert_eq!(id(&recorded, "latest").unwrap(), "41fe");
    }

    #[test]
    fn a_run_that_is_not_there_is_answered_with_those_that_are() {
        let (_folder, recorded) = recorded(&["b602", "b6-x"]);
        let unknown = id(&recorded, "41fe").unwrap_err();
        let newest = "the newest are `b6-x` (2026-08-01 10:15:31 UTC), `b602` (2026-08-01 10:15:30 UTC)";
        assert!(unknown.ends_with(newest), "{unknown}");
        assert!(id(&recorded, "b6").unwrap_err().contains("type more of the id"));
        assert!(id(&recorded, "").is_err());
        assert!(id(&recorded, "absent.json").unwrap_err().contains("cannot read the results `absent.json`"));
    }

    #[test]
    fn without_a_run_it_is_said_how_to_make_one() {
        let (_folder, none) = recorded(&[]);
        for name in ["latest", "previous", "41fe"] {
            assert!(id(&none, name).unwrap_err().contains("make one with `slt run`"), "{name}");
        }
        let (_folder, one) = recorded(&["41fe"]);
        assert!(id(&one, "previous").unwrap_err().contains("needs two"));
    }
}
