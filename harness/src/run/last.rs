//! `--failed`: the files that failed when they last ran, and no others.

use super::RunError;
use super::folder::folder;
use super::selection::found;
use crate::config::Config;
use crate::history::History;
use crate::suite::{Filter, Suite};

/// Replaces the filter by the names of the files that failed when they last ran and that the filter lets in.
///
/// The history knows the last verdict of each file, so a run of some files does not make the others' failures forgotten.
pub(super) fn settle(suite: &Suite, config: &mut Config) -> Result<(), RunError> {
    if config.shard.is_some() {
        let words = "`--failed` names the files to run, so it cannot be used with `--shard`";
        return Err(RunError::Last(words.to_owned()));
    }
    let folder = folder(config);
    let unreadable = |error| RunError::Last(format!("cannot read the history in `{}`: {error}", folder.display()));
    let history = History::read(&folder).map_err(unreadable)?;
    let mut files = found(suite, &config.filter)?;
    if !files.iter().any(|file| history.get(&file.name).is_some()) {
        let words =
            format!("`--failed` runs what failed before, but no run has left a history in `{}`", folder.display());
        return Err(RunError::Last(words));
    }
    files.retain(|file| history.get(&file.name).is_some_and(|entry| entry.failed()));
    let first = files.first().map(|file| file.name.clone());
    files.retain(|file| config.filter.lets_in(file));
    if files.is_empty() && !config.list {
        return Err(RunError::NoMatch(match first {
            None => "no file failed when it last ran".to_owned(),
            Some(name) => format!("no filter matches a file that failed when it last ran, such as `{name}`"),
        }));
    }
    let patterns: Vec<String> = files.into_iter().map(|file| file.name).collect();
    // No pattern lets everything in.
    config.only_ignored |= patterns.is_empty();
    config.filter = Filter { patterns, skips: Vec::new(), exact: true };
    Ok(())
}
