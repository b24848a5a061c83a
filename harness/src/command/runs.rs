//! The recorded runs, and how a user names one of them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use clap::Args;

use super::handover;
use crate::outcome::{Results, ResultsError};

/// Where the recorded runs are.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Recorded {
    /// Folder with the results of runs, or with such folders [default: `slt` in cargo's target folder]
    #[arg(long, value_name = "DIR", env = "SLT_RESULTS")]
    results: Option<PathBuf>,

    /// The test target of the run, if several have results; `run` for `slt run`
    #[arg(long, value_name = "NAME")]
    test: Option<String>,

    /// The package of that test target
    #[arg(long, value_name = "NAME")]
    package: Option<String>,

    /// The folder, once it is known.
    #[arg(skip)]
    chosen: OnceLock<PathBuf>,
}

/// Where test targets keep their results, each in its own folder, unless the user names another place.
const BASE: &str = "target/slt";

/// The help of the flag that names a run.
pub(super) const RUN_HELP: &str = "Which run: `latest`, `previous`, the beginning of its id, or a file with results";

/// Why the run that the user names cannot be found or read.
#[derive(Debug, thiserror::Error)]
pub(super) enum RunsError {
    #[error("no run is on record in `{folder}`: make one with `slt run`, or name another folder with `--results`")]
    None { folder: String },
    #[error(
        "several test targets have left results in `{base}`; name one with `--test NAME` and `--package NAME`, or its folder:{folders}"
    )]
    Several { base: String, folders: String },
    #[error("`{test}` has left results of several engines; name the folder of one:{folders}")]
    SeveralEngines { test: String, folders: String },
    #[error("no test target of that name has left results in `{base}`; these have:{folders}")]
    NoTarget { base: String, folders: String },
    #[error("only one run is on record in `{folder}`: `previous` needs two")]
    NoPrevious { folder: String },
    #[error("no run `{name}` is on record in `{folder}`; the newest are {newest}")]
    Unknown { name: String, folder: String, newest: String },
    #[error("`{name}` may be any of the runs {ids}: type more of the id")]
    Ambiguous { name: String, ids: String },
    #[error("cannot list `{folder}`")]
    List { folder: String, source: io::Error },
    #[error(transparent)]
    Results(#[from] ResultsError),
}

/// The kept copy of one run's results. Its file name has the time and the id: `20260801T101530.123Z-b602696c.json`.
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
        // Unfinished files and files of other programs have no such name. The time is in seconds or in milliseconds.
        let is_time =
            [16, 20].contains(&time.len()) && time.starts_with(|c: char| c.is_ascii_digit()) && time.ends_with('Z');
        is_time.then(|| Copy { id: id.to_owned(), time: time.to_owned(), path: path.clone() })
    }

    /// The name of the run in an error: `` `b602696c` (2026-08-01 10:15:30 UTC) ``.
    fn shown(&self) -> String {
        let part = |from: usize, to: usize| self.time.get(from..to).unwrap_or_default();
        let (year, month, day) = (part(0, 4), part(4, 6), part(6, 8));
        let (hour, minute, second) = (part(9, 11), part(11, 13), part(13, 15));
        format!("`{}` ({year}-{month}-{day} {hour}:{minute}:{second} UTC)", self.id)
    }
}

/// How many runs an error lists.
const NEWEST: usize = 5;

/// Whether what the user types for a run is the path of a file.
pub(super) fn is_file(name: &str) -> bool {
    name.contains('/') || name.ends_with(".json")
}

/// A folder in which a test target has left results.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Left {
    package: String,
    test: String,
    path: PathBuf,
}

impl Recorded {
    /// The folder of results to read.
    ///
    /// If the user names a folder that contains results, it is that one. Any other folder, and the default, contains a folder
    /// for each test target, `PACKAGE/TEST`, and in that a folder for each engine that is not the usual one.
    pub(super) fn folder(&self) -> Result<&Path, RunsError> {
        if let Some(chosen) = self.chosen.get() {
            return Ok(chosen);
        }
        let chosen = self.choose()?;
        Ok(self.chosen.get_or_init(|| chosen))
    }

    fn choose(&self) -> Result<PathBuf, RunsError> {
        let (bases, packages) = match &self.results {
            Some(named) => (vec![named.clone()], Vec::new()),
            None => handover::results(Path::new(BASE)),
        };
        let base = bases.first().map_or(Path::new(BASE), PathBuf::as_path);
        let is_named = self.test.is_some() || self.package.is_some();
        if self.results.is_some() && !is_named && (holds_results(base) || !base.exists()) {
            return Ok(base.to_owned());
        }
        let mut all = Vec::new();
        for base in &bases {
            all.extend(left_in(base)?);
        }
        let same = |wanted: &Option<String>, name: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted.replace('-', "_") == name.replace('-', "_"))
        };
        let mut found: Vec<&Left> = all.iter().collect();
        found.retain(|left| same(&self.test, &left.test) && same(&self.package, &left.package));
        // Several packages may have left results in the target folder of a workspace: the user means the package here.
        let is_here = |left: &&Left| packages.iter().any(|package| same(&Some(package.clone()), &left.package));
        let here: Vec<&Left> = found.iter().copied().filter(is_here).collect();
        if let ([_], None) = (here.as_slice(), &self.package) {
            found = here;
        }
        let shown = || base.display().to_string();
        match found.as_slice() {
            [one] => Ok(one.path.clone()),
            [] if !all.is_empty() => Err(RunsError::NoTarget { base: shown(), folders: folders(all.iter()) }),
            // Earlier releases kept the results of all test targets in one folder.
            [] if !is_named && holds_results(base) => {
                note!("`{}` holds results of an earlier release; new runs go to folders in it", shown());
                Ok(base.to_owned())
            }
            [] => Ok(base.to_owned()),
            [first, others @ ..] => {
                let folders = folders(found.iter().copied());
                let same = others.iter().all(|left| (&left.package, &left.test) == (&first.package, &first.test));
                Err(match same {
                    true => RunsError::SeveralEngines { test: format!("{}/{}", first.package, first.test), folders },
                    false => RunsError::Several { base: shown(), folders },
                })
            }
        }
    }

    /// The copies of past runs, the oldest first; empty if there is no folder for them.
    pub(super) fn copies(&self) -> Result<Vec<Copy>, RunsError> {
        let folder = self.folder()?.join("runs");
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

    /// The results of the run that the user names so, and the file that they are in.
    pub(super) fn find(&self, name: &str) -> Result<(Results, PathBuf), RunsError> {
        let path = self.locate(name)?;
        Ok((Results::read(&path)?, path))
    }

    fn locate(&self, name: &str) -> Result<PathBuf, RunsError> {
        if is_file(name) {
            return Ok(PathBuf::from(name));
        }
        let latest = self.folder()?.join("results.json");
        if name == "latest" && latest.exists() {
            return Ok(latest);
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
        // The copy of the latest run may be missing, if its writer was killed after it wrote `results.json`.
        if latest.exists() && Results::read(latest)?.run_id != newest.id {
            return Ok(newest.path);
        }
        copies.pop().map(|copy| copy.path).ok_or_else(|| self.no_previous())
    }

    fn by_id(&self, id: &str, copies: Vec<Copy>) -> Result<PathBuf, RunsError> {
        if copies.is_empty() && !self.folder()?.join("results.json").exists() {
            return Err(self.none());
        }
        let mut found: Vec<&Copy> = copies.iter().filter(|copy| !id.is_empty() && copy.id.starts_with(id)).collect();
        if found.iter().any(|copy| copy.id == id) {
            found.retain(|copy| copy.id == id);
        }
        // If several runs have the same id, it names the last of them.
        match found.last() {
            Some(last) if found.iter().all(|copy| copy.id == last.id) => Ok(last.path.clone()),
            Some(_) => Err(RunsError::Ambiguous { name: id.to_owned(), ids: list(found.into_iter()) }),
            None => {
                Err(RunsError::Unknown { name: id.to_owned(), folder: self.shown(), newest: list(copies.iter().rev()) })
            }
        }
    }

    /// The files of the latest run that exist.
    pub(super) fn files(&self) -> Result<Vec<PathBuf>, RunsError> {
        let Ok(entries) = fs::read_dir(self.folder()?) else { return Ok(Vec::new()) };
        let paths = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file());
        let kinds = ["json", "xml", "html"];
        let mut files: Vec<PathBuf> = paths
            .filter(|path| path.extension().is_some_and(|kind| kinds.iter().any(|known| kind == *known)))
            .collect();
        files.sort();
        Ok(files)
    }

    fn shown(&self) -> String {
        self.folder().unwrap_or(Path::new(BASE)).display().to_string()
    }

    fn none(&self) -> RunsError {
        RunsError::None { folder: self.shown() }
    }

    fn no_previous(&self) -> RunsError {
        RunsError::NoPrevious { folder: self.shown() }
    }
}

/// The last run of the same suite on the same engine that began before this one; preferably one of the same scope. Copies that
/// cannot be read are skipped.
pub(super) fn before(results: &Results, copies: &[Copy]) -> Option<Results> {
    let others = copies.iter().rev().filter(|copy| copy.id != results.run_id);
    let read = others.filter_map(|copy| Results::read(&copy.path).ok());
    let earlier = read.filter(|other| other.engine == results.engine && other.started_us < results.started_us);
    let mut any = None;
    for other in earlier.filter(|other| other.has_suite_of(results)) {
        if other.has_scope_of(results) {
            return Some(other);
        }
        any.get_or_insert(other);
    }
    any
}

/// The last runs before one, at most `most`; those that cannot be read are left out.
pub(super) fn past(results: &Results, copies: &[Copy], most: usize) -> Vec<Results> {
    let others = copies.iter().rev().filter(|copy| copy.id != results.run_id);
    let read = others.filter_map(|copy| Results::read(&copy.path).ok());
    read.filter(|other| other.started_us < results.started_us).take(most).collect()
}

/// Whether a run has left its results in this folder.
fn holds_results(folder: &Path) -> bool {
    let copies = fs::read_dir(folder.join("runs")).into_iter().flatten().flatten();
    folder.join("results.json").is_file() || copies.filter_map(|entry| Copy::new(entry.path())).next().is_some()
}

/// The folders of results in a base folder, which has one for each test target; sorted by name.
fn left_in(base: &Path) -> Result<Vec<Left>, RunsError> {
    let mut all = Vec::new();
    for package in folders_in(base)? {
        for test in folders_in(&package)? {
            let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let engines = folders_in(&test)?;
            let with_results = [test.clone()].into_iter().chain(engines).filter(|folder| holds_results(folder));
            all.extend(with_results.map(|path| Left { package: name(&package), test: name(&test), path }));
        }
    }
    all.sort();
    Ok(all)
}

/// The folders in a folder; empty if it does not exist.
fn folders_in(folder: &Path) -> Result<Vec<PathBuf>, RunsError> {
    let error = |source| RunsError::List { folder: folder.display().to_string(), source };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(error(source)),
    };
    let mut folders = Vec::new();
    for entry in entries {
        let path = entry.map_err(error)?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    Ok(folders)
}

/// The list of folders in an error, each with the time of its last run.
fn folders<'l>(all: impl Iterator<Item = &'l Left>) -> String {
    let line = |left: &Left| {
        let recorded = Recorded { results: Some(left.path.clone()), ..Recorded::default() };
        let last = recorded.copies().ok().and_then(|copies| copies.last().map(Copy::shown));
        let last = last.map(|last| format!("  last run {last}")).unwrap_or_default();
        format!("\n  --results {}{last}", left.path.display())
    };
    all.map(line).collect()
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
        let recorded = Recorded { results: Some(folder.path().into()), ..Recorded::default() };
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
    fn each_test_target_has_its_runs_and_one_of_several_is_named() {
        let base = tempfile::tempdir().unwrap();
        let at = |results: &Path, test: Option<&str>, package: Option<&str>| {
            let own = |name: Option<&str>| name.map(str::to_owned);
            let results = Some(results.to_owned());
            let recorded = Recorded { results, test: own(test), package: own(package), ..Recorded::default() };
            id(&recorded, "latest")
        };
        let leave = |folder: &str, id: &str| {
            fs::create_dir_all(base.path().join(folder).join("runs")).unwrap();
            fs::write(base.path().join(folder).join("runs/20260801T101530Z-x.json"), results(id)).unwrap();
            fs::write(base.path().join(folder).join("results.json"), results(id)).unwrap();
        };
        leave("my-engine/slt", "one");
        assert_eq!(at(base.path(), None, None).unwrap(), "one");
        leave("my-engine/more_slt", "two");
        leave("other/slt", "three");
        let several = at(base.path(), None, None).unwrap_err();
        assert!(several.contains("name one with `--test NAME` and `--package NAME`"), "{several}");
        for folder in ["my-engine/more_slt", "my-engine/slt", "other/slt"] {
            let line = format!("\n  --results {}  last run `x` (2026-08-01", base.path().join(folder).display());
            assert!(several.contains(&line), "{several}");
        }
        assert_eq!(at(base.path(), Some("more-slt"), None).unwrap(), "two");
        assert_eq!(at(base.path(), Some("slt"), Some("other")).unwrap(), "three");
        assert_eq!(at(&base.path().join("other/slt"), None, None).unwrap(), "three");
        assert!(at(base.path(), Some("slt"), None).unwrap_err().contains("several test targets"));
        assert!(at(base.path(), Some("nosuch"), None).unwrap_err().contains("these have:\n  --results"));
        // Another engine of the same target has its own folder, which must not be taken for the target's.
        leave("other/slt/postgres", "four");
        let engines = at(base.path(), None, Some("other")).unwrap_err();
        assert!(engines.starts_with("`other/slt` has left results of several engines"), "{engines}");
        assert!(engines.contains("other/slt/postgres"), "{engines}");
        assert_eq!(at(&base.path().join("other/slt/postgres"), None, None).unwrap(), "four");
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
