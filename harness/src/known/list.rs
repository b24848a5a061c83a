//! Reads a list from its text; the submodule `edit` changes it.

use std::ops::Range;

use toml_edit::{Document, Item, Key, TableLike, Value};

use super::{KnownError, Listed, unusable};
use crate::outcome::{CutShort, RecordId};

mod edit;

/// The keys of an entry.
const ENTRY: [&str; 6] = ["path", "engine", "reason", "records", "failed", "ends"];

/// The keys of a pinned record.
const RECORD: [&str; 3] = ["sql", "line", "pass"];

/// The entries of the list at `path`, each with its line, counted from 1.
///
/// # Errors
/// The text is not TOML, or a key is unknown, is missing or has a wrong value.
pub(super) fn read(text: &str, path: &str) -> Result<Vec<(usize, Listed)>, KnownError> {
    let source = Source { text, path };
    let not_toml = |error: toml_edit::TomlError| {
        let line = source.line(error.span());
        source.at(line, &error.message().trim_end().replace('\n', "; "))
    };
    let document = Document::parse(text).map_err(not_toml)?;
    let top = document.as_table();
    source.check_keys(top, &["known"], "a list has `[[known]]` and no other key")?;
    let Some(item) = top.get("known") else { return Ok(Vec::new()) };
    let wrong = || source.wrong(top, "known", item, "a table for each entry, such as [[known]]");
    let each = tables(item).ok_or_else(wrong)?.into_iter();
    each.map(|(span, table)| {
        let line = source.line(span);
        Ok((line, source.entry(table, line)?))
    })
    .collect()
}

/// A table, and its place in the text.
type Placed<'i> = (Option<Range<usize>>, &'i dyn TableLike);

/// The tables of an item; `None` if the item is something else.
fn tables<'i>(item: &'i Item) -> Option<Vec<Placed<'i>>> {
    match item {
        Item::ArrayOfTables(tables) => {
            Some(tables.iter().map(|table| (table.span(), table as &dyn TableLike)).collect())
        }
        Item::Value(Value::Array(values)) => {
            let table = |value: &'i Value| Some((value.span(), value.as_inline_table()? as &dyn TableLike));
            values.iter().map(table).collect()
        }
        _ => None,
    }
}

/// The list that is read.
struct Source<'s> {
    text: &'s str,
    path: &'s str,
}

impl Source<'_> {
    fn entry(&self, table: &dyn TableLike, line: usize) -> Result<Listed, KnownError> {
        self.check_keys(table, &ENTRY, &format!("an entry has {}", quoted(&ENTRY)))?;
        let needed = |name: &str| {
            let missing = || self.at(line, &format!("this entry has no `{name}`"));
            self.text(table, name)?.ok_or_else(missing)
        };
        Ok(Listed {
            path: needed("path")?,
            reason: needed("reason")?,
            engine: self.text(table, "engine")?,
            records: self.records(table)?,
            failed: self.number(table, "failed")?,
            ends: self.ends(table)?,
        })
    }

    fn records(&self, table: &dyn TableLike) -> Result<Option<Vec<RecordId>>, KnownError> {
        let Some(item) = table.get("records") else { return Ok(None) };
        let expected = "a list of records, such as [{ sql = \"5d41402abc4b2a76\", line = 478 }]";
        let each = tables(item).ok_or_else(|| self.wrong(table, "records", item, expected))?.into_iter();
        let record = |(span, table): Placed<'_>| {
            self.check_keys(table, &RECORD, &format!("a record has {}", quoted(&RECORD)))?;
            let missing = || self.at(self.line(span), "this record has no `sql`");
            Ok(RecordId {
                sql: self.text(table, "sql")?.ok_or_else(missing)?,
                line: self.number(table, "line")?.unwrap_or_default(),
                pass: self.text(table, "pass")?.unwrap_or_default(),
            })
        };
        each.map(record).collect::<Result<_, KnownError>>().map(Some)
    }

    fn ends(&self, table: &dyn TableLike) -> Result<Option<CutShort>, KnownError> {
        let Some(name) = self.text(table, "ends")? else { return Ok(None) };
        let found = CutShort::KNOWN.into_iter().find(|ends| ends.name() == name);
        let all = quoted(&CutShort::KNOWN.map(CutShort::name));
        let wrong = || self.at(self.line_of_key(table, "ends"), &format!("`ends` is one of {all}, not `{name}`"));
        found.map(Some).ok_or_else(wrong)
    }

    fn text(&self, table: &dyn TableLike, name: &str) -> Result<Option<String>, KnownError> {
        let Some(item) = table.get(name) else { return Ok(None) };
        let text = item.as_str().ok_or_else(|| self.wrong(table, name, item, "a text in quotes"))?;
        Ok(Some(text.to_owned()))
    }

    fn number(&self, table: &dyn TableLike, name: &str) -> Result<Option<u64>, KnownError> {
        let Some(item) = table.get(name) else { return Ok(None) };
        let number = item.as_integer().ok_or_else(|| self.wrong(table, name, item, "a whole number"))?;
        let negative = |_| {
            let what = format!("`{name}` needs a whole number of at least 0, not `{number}`");
            self.at(self.line_of_key(table, name), &what)
        };
        u64::try_from(number).map(Some).map_err(negative)
    }

    /// Checks that a table has no other keys than these; `all` says which there are.
    fn check_keys(&self, table: &dyn TableLike, known: &[&str], all: &str) -> Result<(), KnownError> {
        let Some((name, _)) = table.iter().find(|(name, _)| !known.contains(name)) else { return Ok(()) };
        let near = known.iter().map(|key| (strsim::damerau_levenshtein(key, name), key)).min();
        let what = match near.filter(|(distance, _)| *distance <= 1 + name.len() / 3) {
            Some((_, key)) => format!("unknown key `{name}`; did you mean `{key}`?"),
            None => format!("unknown key `{name}`: {all}"),
        };
        Err(self.at(self.line_of_key(table, name), &what))
    }

    fn wrong(&self, table: &dyn TableLike, name: &str, item: &Item, expected: &str) -> KnownError {
        let found = match item {
            Item::Value(value) => value.type_name(),
            other => other.type_name(),
        };
        self.at(self.line_of_key(table, name), &format!("`{name}` needs {expected}, not this {found}"))
    }

    fn line_of_key(&self, table: &dyn TableLike, name: &str) -> usize {
        self.line(table.key(name).and_then(Key::span))
    }

    fn line(&self, span: Option<Range<usize>>) -> usize {
        let start = span.map_or(0, |span| span.start);
        1 + self.text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count()
    }

    fn at(&self, line: usize, what: &str) -> KnownError {
        unusable(self.path, line, what)
    }
}

/// Names in back-ticks: `` `a`, `b` and `c` ``.
fn quoted(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => names.concat(),
    }
}
