//! Filters such as `joins.slt:5172`: they choose one record, and the records before it that it needs.

use super::error::RunError;
use crate::config::Config;
use crate::dialect::outline;
use crate::script::source;
use crate::suite::{At, Excerpt, Filter, TestFile, nearest, with_line};
use crate::trial::Options;

/// Whether the run judges only single records of these files.
pub(super) fn are(files: &[TestFile]) -> bool {
    files.iter().any(|file| file.excerpt.is_some())
}

/// The records that the filters name; `None` if the filters are about whole files.
pub(super) fn chosen(files: &[TestFile], filter: &Filter, config: &Config) -> Result<Option<Vec<TestFile>>, RunError> {
    // The name of a file may look like this, too.
    let is_name = |pattern: &str| files.iter().any(|file| file.name.contains(pattern));
    let split =
        |pattern: &String| with_line(pattern).filter(|_| !is_name(pattern)).map(|(name, at)| (name.to_owned(), at));
    let (named, others): (Vec<_>, Vec<_>) = filter.patterns.iter().partition(|pattern| split(pattern).is_some());
    let complain = |message: String| Err(RunError::Excerpt(message));
    let Some(first) = named.first() else {
        return match config.only {
            true => complain("`--only` runs one record alone: it needs a filter such as `joins.slt:12`".to_owned()),
            false => Ok(None),
        };
    };
    if let Some(other) = others.first() {
        return complain(format!("`{first}` is a record, and `{other}` is none: run one after the other"));
    }
    if config.shard.is_some() {
        return complain(format!(
            "`{first}` is a record, and only files are shared out: it cannot be combined with `--shard`"
        ));
    }
    let mut chosen: Vec<TestFile> = Vec::new();
    for (name, at) in named.into_iter().filter_map(split) {
        let file = one(files, &name, filter.exact).map_err(RunError::Excerpt)?;
        let file = excerpt(file.clone(), at, config.only).map_err(RunError::Excerpt)?;
        if chosen.iter().all(|other| other.name != file.name) {
            chosen.push(file);
        }
    }
    Ok(Some(chosen))
}

/// A file of which the run judges only the record in a line, in one pass of its loops if one is named.
///
/// # Errors
/// There is no record in that line, and the message names the nearest one. Or a pass is named, but the record is in no loop.
pub(crate) fn excerpt(file: TestFile, named: At, alone: bool) -> Result<TestFile, String> {
    let text = source::read(&file.path).map_err(|error| format!("cannot read `{}`: {error}", file.path.display()))?;
    let record = outline::record_at(&text, file.dialect, &file.name, named.line)?;
    if !named.pass.is_empty() && !outline::is_in_loop(&text, file.dialect, record.line) {
        let name = &file.name;
        return Err(format!(
            "`({})` names a pass of a loop, and the record in line {} of `{name}` is in none: it is `{name}:{}`",
            named.pass, named.line, record.line
        ));
    }
    Ok(file.with_excerpt(Excerpt { named, line: record.line, alone }))
}

/// The one file that the user means by `wanted`: its name, the end of its path, or a part of its name.
fn one<'f>(files: &'f [TestFile], wanted: &str, exact: bool) -> Result<&'f TestFile, String> {
    let is_named = |file: &&TestFile| file.name == wanted || file.rust_path == wanted;
    let ends_so = |file: &&TestFile| file.path.ends_with(wanted) || std::path::Path::new(wanted) == file.path;
    let contains = |file: &&TestFile| file.name.contains(wanted) || file.rust_path.contains(wanted);
    let mut found: Vec<&TestFile> = files.iter().filter(is_named).collect();
    if found.is_empty() && !exact {
        found = files.iter().filter(ends_so).collect();
    }
    if found.is_empty() && !exact {
        found = files.iter().filter(contains).collect();
    }
    let list =
        |names: &mut dyn Iterator<Item = &str>| names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ");
    match found.as_slice() {
        [file] => Ok(file),
        [] => Err(match nearest(files, wanted).as_slice() {
            [] => format!("no test file matches `{wanted}`"),
            near => format!("no test file matches `{wanted}`; is it {}?", list(&mut near.iter().copied())),
        }),
        several => {
            let first = list(&mut several.iter().take(3).map(|file| file.name.as_str()));
            let more =
                if several.len() > 3 { format!(", or one of {} more", several.len() - 3) } else { String::new() };
            Err(format!("`{wanted}` names {} files, and a line is one file's: is it {first}{more}?", several.len()))
        }
    }
}

/// The options for a run of single records: without the list of known failures, which is about whole files.
///
/// # Errors
/// The user wants a first list written.
pub(super) fn options(config: &Config, options: Options) -> Result<Options, RunError> {
    if config.known.first.is_some() {
        let message =
            "`--write-known-failures` lists files, and a record is none: it cannot be combined with `FILE:LINE`";
        return Err(RunError::Excerpt(message.to_owned()));
    }
    Ok(Options { known: None, ..options })
}

/// Prints that a run of single records writes no results.
pub(super) fn say_nothing_is_kept(config: &Config) {
    if !config.nextest && !config.quiet {
        note!("a record is not its file: no results are written, and the last run's stay");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::Suite;

    #[test]
    fn one_file_is_meant_or_the_complaint_names_some() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a/joins.slt", "b/more_joins.slt", "b/select.slt"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "statement ok\nSELECT 1\n").unwrap();
        }
        let files = Suite::from_roots([folder.path().to_path_buf()]).discover().unwrap();
        let name = |wanted: &str, exact| one(&files, wanted, exact).map(|file| file.name.as_str());
        assert_eq!(name("joins.slt", false), Ok("a/joins.slt"));
        assert_eq!(name("more", false), Ok("b/more_joins.slt"));
        assert_eq!(name(&folder.path().join("b/select.slt").display().to_string(), false), Ok("b/select.slt"));
        assert_eq!(name("b/select.slt", true), Ok("b/select.slt"));
        assert!(name("joins.slt", true).unwrap_err().contains("is it `a/joins.slt`"));
        let several = name("joins", false).unwrap_err();
        assert!(several.contains("`joins` names 2 files") && several.contains("`a/joins.slt` or `b/more_joins.slt`"));
    }
}
