//! Selects the files of a run: those of the suite that the filters let in.

use std::path::Path;

use super::error::RunError;
use super::excerpts;
use super::part::Part;
use crate::config::Config;
use crate::known::Judge;
use crate::outcome::Scope;
use crate::suite::{self, Filter, Suite, SuiteError, TestFile, nearest, nearest_or_folders, with_line};

/// The files that a run selects.
pub(super) struct Selection {
    pub(super) files: Vec<TestFile>,
    pub(super) filtered_out: u64,
    pub(super) scope: Scope,
    pub(super) part: Option<Part>,
}

/// Which files a run selects.
pub(super) struct Wanted {
    pub(super) filter: Filter,
    /// Whether no file is selected, whatever the filter is.
    pub(super) is_nothing: bool,
}

/// Finds the files, and takes this machine's part of them.
///
/// # Errors
/// The files cannot be listed, or the filters let none in and that is not a success.
pub(super) fn select(
    suite: &Suite,
    config: &Config,
    wanted: Wanted,
    known: Option<&Judge>,
) -> Result<Selection, RunError> {
    let Wanted { filter, is_nothing } = wanted;
    let filter = &filter;
    let one = match filter.patterns.as_slice() {
        // One whole name is looked up without listing folders, so that its cost does not grow with the suite.
        [name] if filter.exact => match suite.find(name)? {
            None => with_line(name).map(|(file, _)| suite.find(file)).transpose()?.flatten(),
            found => found,
        },
        _ => None,
    };
    let is_listed = one.is_none();
    let (mut files, total) = match one {
        Some(file) => (vec![file], 1),
        None => {
            let files = found(suite, filter)?;
            if let Some(judge) = known {
                for warning in judge.list.check(files.iter().map(|file| file.name.as_str()), &judge.engine)? {
                    note!("warning: {warning}");
                }
            }
            // nextest asks only for a list, and reads no notes.
            if let Some(settings) = config.settings.as_ref().filter(|_| !config.list) {
                for idle in settings.idle(files.iter().map(|file| file.name.as_str())) {
                    note!("note: {idle}");
                }
            }
            let total = files.len();
            (files, total)
        }
    };
    if let Some(chosen) = excerpts::chosen(&files, filter, config)? {
        // No results of such a run are written, so that it needs no scope.
        let (filtered_out, scope) = (total.saturating_sub(chosen.len()) as u64, Scope::default());
        return Ok(Selection { files: chosen, filtered_out, scope, part: None });
    }
    if filter.exact && !config.list {
        let known = |name: &&String| files.iter().any(|file| file.name == **name || file.rust_path == **name);
        let unknown: Vec<&String> = filter.patterns.iter().filter(|name| !known(name)).collect();
        if !unknown.is_empty() {
            let line = |name: &&String| format!("no test file is named `{name}`{}", suggestion(&nearest(&files, name)));
            return Err(RunError::NoSuchName(unknown.iter().map(line).collect::<Vec<_>>().join("\n")));
        }
    }
    let unmatched = unmatched(&files, filter);
    files.retain(|file| !is_nothing && filter.lets_in(file));
    if files.is_empty() && !config.list && is_strict(config) {
        return Err(RunError::NoMatch(unmatched.unwrap_or_else(|| "no test file matches the filters".to_owned())));
    }
    // nextest takes its names from the list, and does not show warnings.
    if let Some(words) = unmatched.filter(|_| !config.list && !config.nextest) {
        note!("warning: {words}");
    }
    let part = Part::take(&mut files, filter, config)?;
    let filtered_out = (total - files.len()) as u64;
    let scope = Scope {
        roots: suite.roots().iter().map(|root| shown(root)).collect(),
        suite: is_listed.then_some(total as u64),
        filter: filter.clone(),
    };
    Ok(Selection { files, filtered_out, scope, part })
}

/// The files that the suite lists, and those that only a filter names, in full: a file such as `x.slt.part` or `x.test_slow`,
/// if a dialect is chosen for it.
pub(super) fn found(suite: &Suite, filter: &Filter) -> Result<Vec<TestFile>, SuiteError> {
    let named = filter.patterns.iter().filter_map(|name| suite.find(name).transpose());
    let named = named.collect::<Result<Vec<TestFile>, SuiteError>>()?;
    let mut files = match suite.discover() {
        Err(SuiteError::Empty(_)) if !named.is_empty() => Vec::new(),
        listed => listed?,
    };
    files.extend(named);
    suite::sort(&mut files);
    files.dedup_by(|a, b| a.name == b.name);
    Ok(files)
}

/// A path relative to the current folder, if it is below that folder.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let below = here.as_deref().and_then(|here| path.strip_prefix(here).ok());
    below.filter(|below| !below.as_os_str().is_empty()).unwrap_or(path).display().to_string()
}

/// Whether a run that checks nothing is a failure. For a test target it is a success, as in libtest, unless processes share the
/// run.
pub(super) fn is_strict(config: &Config) -> bool {
    config.slt || config.parallel.is_some()
}

/// A message about filters that match no file; `None` if there are none.
fn unmatched(files: &[TestFile], filter: &Filter) -> Option<String> {
    let matches_none = |pattern: &&String| {
        let alone = Filter { patterns: vec![(*pattern).clone()], skips: Vec::new(), exact: filter.exact };
        !files.iter().any(|file| alone.lets_in(file))
    };
    let line = |pattern: &String| {
        let near = if filter.exact { nearest(files, pattern) } else { nearest_or_folders(files, pattern) };
        format!("no test file matches `{pattern}`{}", suggestion(&near))
    };
    let words: Vec<String> = filter.patterns.iter().filter(matches_none).map(line).collect();
    (!words.is_empty()).then(|| words.join("\n"))
}

/// The end of a sentence about a name that no file has: ``; did you mean `a.test`?``. Empty if no name is similar.
pub(crate) fn suggestion(near: &[&str]) -> String {
    let near: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
    if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(" or ")) }
}
