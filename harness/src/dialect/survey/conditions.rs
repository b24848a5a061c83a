//! The `skipif` and `onlyif` lines before each record. Records themselves do not store them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use crate::script::{SyntaxError, source};

/// The conditions of one record: each is an engine's name, and whether the record is skipped or run on that engine.
pub(crate) type Conditions = Vec<(bool, String)>;

/// The conditions in a script and in the files that it includes.
pub(crate) struct Sought {
    of_files: HashMap<Option<Arc<str>>, HashMap<u64, Conditions>>,
}

impl Sought {
    /// The conditions in the text of a script.
    pub(crate) fn new(text: &[u8]) -> Sought {
        Sought { of_files: HashMap::from([(None, in_text(text))]) }
    }

    /// The conditions of the record in this line of the script, or of a file that it includes.
    pub(crate) fn of(&mut self, file: Option<&Arc<str>>, line: u64) -> &[(bool, String)] {
        let of_file = self.of_files.entry(file.cloned()).or_insert_with(|| {
            let text = file.map(|path| source::read(Path::new(&**path)).unwrap_or_default());
            in_text(&text.unwrap_or_default())
        });
        of_file.get(&line).map_or(&[], Vec::as_slice)
    }
}

/// Conditions by the line of the directive below them. A line within SQL that looks like a condition does no harm: no
/// record is there.
fn in_text(text: &[u8]) -> HashMap<u64, Conditions> {
    let mut found = HashMap::new();
    let mut pending = Conditions::new();
    for (line, number) in source::Lines::new(text).zip(1..) {
        if line.is_blank() || line.text.starts_with(b"#") {
            continue;
        }
        let mut words = line.text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let name = |name: Option<&[u8]>| String::from_utf8_lossy(name.unwrap_or_default()).to_lowercase();
        match words.next() {
            Some(b"skipif") => pending.push((true, name(words.next()))),
            Some(b"onlyif") => pending.push((false, name(words.next()))),
            Some(b"connection") => {}
            _ if pending.is_empty() => {}
            _ => drop(found.insert(number, std::mem::take(&mut pending))),
        }
    }
    found
}

/// The error for a record that never runs, because one condition excludes what another one requires.
pub(crate) fn contradiction(conditions: &[(bool, String)], line: u64) -> Option<SyntaxError> {
    let both = conditions.iter().find(|(skip, name)| *skip && conditions.contains(&(false, name.clone())));
    both.map(|(_, name)| {
        let message = format!("`skipif {name}` and `onlyif {name}` apply to the same record: it can never run");
        SyntaxError::new(line, message)
    })
}
