//! The results of a run: `results.json`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Counts, Outcome, Scope, Shard, Split};
use crate::suite::category;

/// The version of the format that this program writes, and the newest that it reads.
pub const RESULTS_VERSION: u32 = 1;

/// Results are the complete record of one run, as stored in `results.json`.
///
/// Every planned trial is in `outcomes` exactly once for each pass; `total` and `categories` are their sums.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Results {
    /// The version of the format, 1.
    pub version: u32,
    /// The run's id: the id of the shared queue, or a generated one for a run in one process.
    pub run_id: String,
    /// The engine's name in conditions.
    pub engine: String,
    /// The name of the machine on which the run took place, as the machine reports it; empty if it has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// The commit that was checked out where the run was started, as reported by CI or git; empty if unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub commit: String,
    /// The branch, from the same source; empty if unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub branch: String,
    /// The seed that shuffled the files, if they were shuffled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The command that runs one of the files again, without the file's name at the end; empty if unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub again: String,
    /// The package and the test target of the run, such as `my-engine/slt`; `slt/run` for `slt run`. Empty if unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// How the files of the run were chosen from the suite; absent from the results of earlier releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// The shard that the run covered, if the suite was split over machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// How the whole suite was split, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    /// The shards whose results were missing when results of several machines were merged into these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_shards: Vec<Shard>,
    /// When the run began, in microseconds since the Unix epoch.
    pub started_us: u64,
    /// From the first claim to the last outcome, in microseconds.
    pub wall_us: u64,
    /// How many workers, or threads, shared the files.
    pub workers: u32,
    /// Files that filters left out.
    pub filtered_out: u64,
    /// The counts of all trials.
    pub total: Counts,
    /// The counts by category, which is the first folder of the name.
    pub categories: BTreeMap<String, Counts>,
    /// One outcome for each planned trial, in the order in which the trials ended.
    pub outcomes: Vec<Outcome>,
    /// What is wrong in the file from which these results were read: sums that contradict its outcomes; see
    /// [`Results::check`].
    #[serde(skip)]
    pub contradictions: Vec<String>,
}

/// Why results could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResultsError {
    /// The file does not exist or cannot be read.
    #[error("cannot read the results `{path}`")]
    Read {
        /// The file.
        path: String,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// The file is not JSON, or does not have the expected structure.
    #[error("`{path}` does not hold the results of a run")]
    Format {
        /// The file.
        path: String,
        /// The position and the kind of the error.
        #[source]
        source: serde_json::Error,
    },
    /// A later release wrote the file.
    #[error(
        "`{path}` has format version {version}, and this program reads up to version {RESULTS_VERSION}: \
         use the release that wrote it, or run the files again"
    )]
    Newer {
        /// The file.
        path: String,
        /// Its version.
        version: u32,
    },
}

impl Results {
    /// Reads results from a file.
    ///
    /// # Errors
    /// The file cannot be read, has other content, or was written by a later release.
    pub fn read(path: &Path) -> Result<Results, ResultsError> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let shown = || path.display().to_string();
        let bytes = fs::read(path).map_err(|source| ResultsError::Read { path: shown(), source })?;
        let format_error = |source| ResultsError::Format { path: shown(), source };
        let Version { version } = serde_json::from_slice(&bytes).map_err(format_error)?;
        if version > RESULTS_VERSION {
            return Err(ResultsError::Newer { path: shown(), version });
        }
        let mut results: Results = serde_json::from_slice(&bytes).map_err(format_error)?;
        results.contradictions = results.check();
        (results.total, results.categories) = results.count();
        Ok(results)
    }

    /// The sums of the outcomes: in total, and by category.
    pub fn count(&self) -> (Counts, BTreeMap<String, Counts>) {
        let (mut total, mut categories) = (Counts::default(), BTreeMap::<String, Counts>::new());
        for outcome in &self.outcomes {
            for counts in [&mut total, categories.entry(category(&outcome.name).to_owned()).or_default()] {
                counts.planned += 1;
                counts.add(outcome);
            }
        }
        (total, categories)
    }

    /// The contradictions between the sums and the outcomes, each as a fragment of a sentence after the file's name; empty
    /// if they agree.
    ///
    /// [`Results::read`] keeps the contradictions that it finds, and replaces the sums of the file by the correct ones.
    pub fn check(&self) -> Vec<String> {
        let mut found = self.contradictions.clone();
        let (total, categories) = self.count();
        if self.total.planned != total.planned {
            let (planned, held) = (self.total.planned, self.outcomes.len());
            let files = if planned == 1 { "file" } else { "files" };
            found.push(format!("plans {planned} {files} and holds {held} outcomes"));
        } else if self.total != total {
            found.push("has totals that are not the sums of its outcomes".to_owned());
        }
        if self.categories != categories {
            let differs = |name: &&String| self.categories.get(*name) != categories.get(*name);
            let name = categories.keys().chain(self.categories.keys()).find(differs);
            let name = name.map(String::as_str).unwrap_or_default();
            found.push(format!("has figures of the category `{name}` that are not the sums of its outcomes"));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Results, ResultsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        fs::write(&path, text).unwrap();
        Results::read(&path)
    }

    #[test]
    fn what_is_not_results_says_so() {
        assert!(matches!(read("{"), Err(ResultsError::Format { .. })));
        assert!(matches!(read(r#"{"version": 1}"#), Err(ResultsError::Format { .. })));
        assert!(matches!(Results::read(Path::new("absent.json")), Err(ResultsError::Read { .. })));
    }

    #[test]
    fn a_newer_version_is_refused_whatever_else_it_holds() {
        let error = read(r#"{"version": 2, "outcomes": {}}"#).unwrap_err();
        assert!(error.to_string().contains("format version 2"), "{error}");
    }

    #[test]
    fn results_survive_json() {
        let results = Results {
            version: RESULTS_VERSION,
            run_id: "b602696c".into(),
            outcomes: vec![Outcome::new("a.test", super::super::Verdict::Passed)],
            ..Results::default()
        };
        let (total, categories) = results.count();
        let results = Results { total, categories, ..results };
        assert_eq!(read(&serde_json::to_string(&results).unwrap()).unwrap(), results);
    }

    #[test]
    fn sums_are_those_of_the_outcomes_whatever_the_file_says() {
        let outcomes = ["x/a.test", "b.test"].map(|name| Outcome::new(name, super::super::Verdict::Failed)).to_vec();
        let results = Results { version: RESULTS_VERSION, outcomes, ..Results::default() };
        let (total, categories) = results.count();
        assert_eq!((total.planned, total.failed, categories.len()), (2, 2, 2));
        let sound = Results { total, categories: categories.clone(), ..results.clone() };
        assert_eq!(sound.check(), [""; 0]);
        let lies = Counts { failed: 0, passed: 2, ..total };
        for (wrong, words) in [
            (Results { total: lies, ..sound.clone() }, "totals"),
            (Results { total: Counts { planned: 3, ..total }, ..sound.clone() }, "plans 3 files and holds 2 outcomes"),
            (Results { categories: [("x".to_owned(), lies)].into(), ..sound.clone() }, "category `.`"),
        ] {
            let back = read(&serde_json::to_string(&wrong).unwrap()).unwrap();
            assert_eq!((back.total, &back.categories), (total, &categories));
            assert!(back.contradictions.join("; ").contains(words), "{:?}", back.contradictions);
        }
    }
}
