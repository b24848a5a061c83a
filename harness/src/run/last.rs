//! `--failed` and `--changed`: the files that failed when they last ran, those that have changed since they passed, and no
//! others.

use super::error::RunError;
use super::folder::folder;
use super::selection::{Wanted, found};
use crate::config::Config;
use crate::history::History;
use crate::suite::content::contents;
use crate::suite::{Filter, Suite, TestFile};

/// A filter for the files that `--failed` and `--changed` choose and that the user's filter lets in.
///
/// The history has the last verdict of each file, so a run of some files does not lose the failures of others.
pub(super) fn wanted(suite: &Suite, config: &Config) -> Result<Wanted, RunError> {
    let flag = if config.changed { "--changed" } else { "--failed" };
    if config.shard.is_some() {
        let words = format!("`{flag}` names the files to run, so it cannot be used with `--shard`");
        return Err(RunError::Last(words));
    }
    let folder = folder(config);
    let unreadable = |error| RunError::Last(format!("cannot read the history in `{}`: {error}", folder.display()));
    let history = History::read(&folder).map_err(unreadable)?;
    let mut files = found(suite, &config.filter)?;
    if !config.changed && !files.iter().any(|file| history.get(&file.name).is_some()) {
        let why = match history.is_empty() {
            true => format!("no run has left a history in `{}`", folder.display()),
            false => format!("none of these files is in the history in `{}`: run them once", folder.display()),
        };
        return Err(RunError::Last(format!("`--failed` runs what failed before, but {why}")));
    }
    let failed = |file: &TestFile| history.get(&file.name).is_some_and(|entry| entry.failed());
    let first = files.iter().find(|file| failed(file)).map(|file| file.name.clone());
    files.retain(|file| config.filter.lets_in(file));
    let contents = if config.changed { contents(&files) } else { vec![String::new(); files.len()] };
    let changed = |file: &TestFile, content: &str| {
        let green = history.get(&file.name).and_then(|entry| entry.green.as_deref());
        config.changed && file.excluded.is_none() && green != Some(content)
    };
    let chosen = files.into_iter().zip(contents);
    let chosen = chosen.filter(|(file, content)| (config.failed && failed(file)) || changed(file, content));
    let patterns: Vec<String> = chosen.map(|(file, _)| file.name).collect();
    if patterns.is_empty() && !config.list {
        return Err(RunError::NoMatch(match first {
            _ if config.changed => "no file has changed since it last passed".to_owned(),
            None => "no file failed when it last ran".to_owned(),
            Some(name) => format!("no filter matches a file that failed when it last ran, such as `{name}`"),
        }));
    }
    // A filter without patterns would let all files in.
    let is_nothing = config.only_ignored || patterns.is_empty();
    Ok(Wanted { filter: Filter { patterns, skips: Vec::new(), exact: true }, is_nothing })
}
