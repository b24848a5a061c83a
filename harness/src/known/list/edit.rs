//! Writes lists of known failures: the first one, and shorter ones.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use fs2::FileExt;
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, value};

use crate::known::{Entry, Judge, KnownError, KnownFailures};
use crate::outcome::{CutShort, Outcome, RecordId, Verdict};
use crate::temporary;

impl KnownFailures {
    /// Writes the first list, of everything that failed, and returns its number of entries.
    ///
    /// Leaves out files that could not be read, and those for which no connection was made: the engine is not the
    /// cause, and the next run should report them again.
    ///
    /// # Errors
    /// A list exists, or it cannot be written.
    pub fn write_first<'o>(
        path: &Path,
        engine: Option<&str>,
        outcomes: impl IntoIterator<Item = &'o Outcome>,
    ) -> Result<usize, KnownError> {
        if path.exists() {
            return Err(KnownError::Exists(path.display().to_string()));
        }
        let failed: BTreeMap<&str, &Outcome> =
            outcomes.into_iter().filter(|o| can_be_listed(o)).map(|o| (o.name.as_str(), o)).collect();
        let mut tables = ArrayOfTables::new();
        for outcome in failed.values() {
            tables.push(first_entry(outcome, engine));
        }
        let mut document = DocumentMut::new();
        document.insert("known", Item::ArrayOfTables(tables));
        let mut text = "# Files that are known to fail, and why.\n".to_owned();
        if !failed.is_empty() {
            text.push_str(&format!("\n{}", document.to_string().trim_start()));
        }
        replace(path, &text).map_err(|source| KnownError::Write { path: path.display().to_string(), source })?;
        Ok(failed.len())
    }
}

/// Whether a first list has an entry for this file.
fn can_be_listed(outcome: &Outcome) -> bool {
    let stopped = |ended: CutShort| ended.can_be_known() || ended == CutShort::FirstFailure;
    outcome.verdict.is_failure() && outcome.why_cut_short().is_none_or(stopped)
}

impl Judge {
    /// Removes what passes now from the list. Returns what it removed: `a.test`, or `2 records of a.test`.
    ///
    /// Changes only entries that name one file: a glob may still be true of other files. Comments and order stay; a
    /// comment directly above an entry goes with it.
    ///
    /// # Errors
    /// The list can no longer be read, or cannot be written.
    pub fn take_off<'o>(&self, outcomes: impl IntoIterator<Item = &'o Outcome>) -> Result<Vec<String>, KnownError> {
        let outcomes: Vec<&Outcome> = outcomes.into_iter().collect();
        // Several passes over a file must agree.
        let mut by_name: BTreeMap<&str, Vec<&Outcome>> = BTreeMap::new();
        for outcome in &outcomes {
            by_name.entry(&outcome.name).or_default().push(outcome);
        }
        let agreed = |outcome: &&Outcome| {
            let all = by_name.get(outcome.name.as_str()).map_or(&[][..], Vec::as_slice);
            let same = |other: &&Outcome| {
                (&other.verdict, &other.failed_records, &other.passing_pins)
                    == (&outcome.verdict, &outcome.failed_records, &outcome.passing_pins)
            };
            // A record that failed in an earlier attempt does not count as passing, whatever the last attempt did.
            outcome.attempt == 1
                && outcome.earlier.is_empty()
                && outcome.pass == all.first().map_or(1, |first| first.pass)
                && all.iter().all(same)
        };
        let listed = outcomes
            .iter()
            .copied()
            .filter(agreed)
            .filter_map(|outcome| Some((self.list.entry(&outcome.name, &self.engine)?, outcome)))
            .filter(|(entry, outcome)| entry.listed.path == outcome.name);
        let passed: Vec<(&Entry, &Outcome)> = listed
            .filter(|(entry, outcome)| match (&outcome.verdict, &entry.listed.records) {
                (Verdict::Passed, None) => outcome.why_cut_short().is_none(),
                (Verdict::Passed | Verdict::KnownFailure { .. }, Some(_)) => !outcome.passing_pins.is_empty(),
                _ => false,
            })
            .collect();
        if passed.is_empty() {
            return Ok(Vec::new());
        }
        let path = &self.list.path;
        let write = |source| KnownError::Write { path: path.display().to_string(), source };
        // Other processes of the same run may be editing the list for their own files. Take turns, and start from the current
        // text.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let lock = File::open(folder).map_err(write)?;
        FileExt::lock_exclusive(&lock).map_err(write)?;
        let text = fs::read_to_string(path).map_err(write)?;
        let mut document: DocumentMut =
            text.parse().map_err(|error| write(io::Error::new(io::ErrorKind::InvalidData, error)))?;
        let mut gone = Vec::new();
        for (entry, outcome) in passed {
            if let Some(tables) = document.get_mut("known").and_then(Item::as_array_of_tables_mut) {
                let index = tables.iter().position(|table| is(table, entry));
                if let Some(index) = index {
                    gone.push(match shorten(tables, index, entry, outcome) {
                        0 => outcome.name.clone(),
                        1 => format!("a record of {}", outcome.name),
                        count => format!("{count} records of {}", outcome.name),
                    });
                }
            }
        }
        if !gone.is_empty() {
            replace(path, &document.to_string()).map_err(write)?;
        }
        FileExt::unlock(&lock).map_err(write)?;
        Ok(gone)
    }
}

fn first_entry(outcome: &Outcome, engine: Option<&str>) -> Table {
    let mut table = Table::new();
    table["path"] = value(outcome.name.as_str());
    if let Some(engine) = engine {
        table["engine"] = value(engine);
    }
    let message = outcome.failures.first().map_or("", |failure| failure.message.lines().next().unwrap_or_default());
    let reason = match (&outcome.verdict, message) {
        (Verdict::Failed, message) if !message.is_empty() => message.to_owned(),
        (verdict, _) => verdict.to_string(),
    };
    table["reason"] = value(reason);
    if let Some(ends) = outcome.why_cut_short().filter(|ends| ends.can_be_known()) {
        table["ends"] = value(ends.name());
    }
    // A limit is reached at a different record from run to run; a crash always happens at the same record.
    let by_record = matches!(outcome.verdict, Verdict::Failed | Verdict::Crashed { .. });
    let told_apart = outcome.records.failed == outcome.failed_records.len() as u64;
    if outcome.verdict == Verdict::Failed && !told_apart {
        table["failed"] = value(i64::try_from(outcome.records.failed).unwrap_or(i64::MAX));
    }
    if by_record && told_apart && !outcome.failed_records.is_empty() {
        let mut pins: Array = outcome.failed_records.iter().map(pin).collect();
        pins.iter_mut().for_each(|pin| pin.decor_mut().set_prefix("\n  "));
        pins.set_trailing("\n");
        pins.set_trailing_comma(true);
        table["records"] = value(pins);
    }
    table
}

fn pin(record: &RecordId) -> InlineTable {
    let mut pin = InlineTable::new();
    pin.insert("sql", record.sql.as_str().into());
    pin.insert("line", i64::try_from(record.line).unwrap_or(i64::MAX).into());
    if !record.pass.is_empty() {
        pin.insert("pass", record.pass.as_str().into());
    }
    pin
}

/// Whether a table of the document is this entry.
fn is(table: &Table, entry: &Entry) -> bool {
    let text = |key: &str| table.get(key).and_then(Item::as_str);
    text("path") == Some(entry.listed.path.as_str()) && text("engine") == entry.listed.engine.as_deref()
}

/// Removes from an entry the pins that pass now, and returns how many; or removes the whole entry and returns 0, if no
/// pin is left.
fn shorten(tables: &mut ArrayOfTables, index: usize, entry: &Entry, outcome: &Outcome) -> usize {
    let passing = entry.listed.records.as_ref().map(|_| &outcome.passing_pins);
    let pins = tables.get_mut(index).and_then(|table| table.get_mut("records")?.as_array_mut());
    if let (Some(passing), Some(pins)) = (passing, pins) {
        let before = pins.len();
        for gone in passing {
            let is_gone = |pin: &toml_edit::Value| {
                let pin = pin.as_inline_table();
                let sql = pin.and_then(|pin| pin.get("sql")?.as_str());
                let line = pin.and_then(|pin| pin.get("line")?.as_integer()).unwrap_or_default();
                sql == Some(gone.sql.as_str()) && u64::try_from(line).ok() == Some(gone.line)
            };
            let at = pins.iter().position(is_gone);
            if let Some(at) = at {
                pins.remove(at);
            }
        }
        if !pins.is_empty() || outcome.verdict != Verdict::Passed {
            return before - pins.len();
        }
    }
    let comments = tables.get(index).map(|table| standing_apart(table).to_owned()).unwrap_or_default();
    tables.remove(index);
    if let Some(next) = tables.get_mut(index) {
        let own = next.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default().to_owned();
        // Keep a single empty line between what was before and after the entry.
        let own = if comments.is_empty() && index > 0 { own.as_str() } else { own.trim_start_matches('\n') };
        next.decor_mut().set_prefix(format!("{comments}{own}"));
    }
    0
}

/// The lines before an entry, up to the last empty line: they belong to the file, not to the entry.
fn standing_apart(table: &Table) -> &str {
    let prefix = table.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default();
    match prefix.rfind("\n\n") {
        Some(at) => &prefix[..at + 2],
        None => "",
    }
}

/// Writes a file atomically: readers see the old file or the new one, even after a kill.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let file = temporary::file(&tempfile::Builder::new(), folder, text.as_bytes())?;
    file.as_file().sync_all()?;
    if let Ok(metadata) = fs::metadata(path) {
        file.as_file().set_permissions(metadata.permissions())?;
    } else {
        use std::os::unix::fs::PermissionsExt;
        file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    }
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
