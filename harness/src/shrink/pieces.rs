//! Splits a script into pieces that can be removed one by one, and joins pieces into a script.

use std::path::Path;

use crate::dialect::outline::{Kind, parts};
use crate::script::source;
use crate::suite::TestFile;

/// One record or directive of a script, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub kind: Kind,
    /// The lines of conditions and of a connection, and the directive.
    pub head: Vec<u8>,
    pub sql: Vec<u8>,
    /// The part after the SQL: `----` and the results.
    pub results: Vec<u8>,
    /// Its first and last line in the script; 0 in an included file.
    pub lines: (u64, u64),
}

/// All pieces of a script. The pieces of an included file are at the place of the include.
///
/// # Errors
/// A file cannot be read, or an included file does not exist.
pub(super) fn pieces(file: &TestFile) -> Result<Vec<Piece>, String> {
    let mut all = Vec::new();
    read(&file.path, file, true, &mut Vec::new(), &mut all)?;
    Ok(all)
}

fn read(
    path: &Path,
    file: &TestFile,
    is_own: bool,
    open: &mut Vec<std::path::PathBuf>,
    all: &mut Vec<Piece>,
) -> Result<(), String> {
    let text = source::read(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
    let strip = |text: &[u8]| text.to_vec();
    for part in parts(&text, file.dialect) {
        let place = &part.place;
        let directive = &text[place.directive.clone()];
        if part.kind == Kind::Include && file.dialect.definition().inlines_includes() && part.conditions.is_empty() {
            let words = String::from_utf8_lossy(directive).into_owned();
            let pattern = words.split_whitespace().nth(1).unwrap_or_default().to_owned();
            if open.len() > MOST_OPEN {
                return Err(format!("`{pattern}` is included through {MOST_OPEN} files, and no more is allowed"));
            }
            open.push(path.to_path_buf());
            for included in file.dialect.definition().included(&pattern, path, &file.into())? {
                read(&included, file, false, open, all)?;
            }
            open.pop();
            continue;
        }
        let conditions = part.conditions.iter().map(|line| text[line.clone()].to_vec());
        let head: Vec<Vec<u8>> = conditions.chain([strip(directive)]).collect();
        let below = |start: usize, end: usize| {
            let text = text.get(start..end).unwrap_or_default();
            let text = text.strip_prefix(b"\r\n").or(text.strip_prefix(b"\n")).unwrap_or(text);
            strip(text)
        };
        all.push(Piece {
            kind: part.kind,
            head: head.join(&b'\n'),
            sql: below(place.directive.end, place.sql_end),
            results: below(place.sql_end, place.end),
            lines: if is_own { (part.first, part.last) } else { (0, 0) },
        });
    }
    Ok(())
}

/// How deep includes may be nested.
const MOST_OPEN: usize = 64;

/// Joins pieces into a script. Also returns the line of the directive of the piece at `target`; 0 if there is no such piece.
pub(super) fn script(pieces: &[Piece], target: usize) -> (Vec<u8>, u64) {
    let mut text = Vec::new();
    for piece in pieces {
        for part in piece.parts() {
            text.extend_from_slice(part);
            text.push(b'\n');
        }
        // Two empty lines end every kind of record, even an expected error with an empty line in its text.
        text.extend_from_slice(b"\n\n");
    }
    text.truncate(text.trim_ascii_end().len());
    text.push(b'\n');
    let line = pieces.get(..=target).map_or(0, |up_to| lines(up_to)[target]);
    (text, line)
}

/// The line of each piece's directive in the joined script.
pub(super) fn lines(pieces: &[Piece]) -> Vec<u64> {
    let count = |part: &[u8]| memchr::memchr_iter(b'\n', part).count() as u64 + 1;
    let mut before = 0;
    let line_of = |piece: &Piece| {
        let line = before + count(&piece.head);
        before += piece.parts().map(count).sum::<u64>() + 2;
        line
    };
    pieces.iter().map(line_of).collect()
}

impl Piece {
    fn parts(&self) -> impl Iterator<Item = &[u8]> {
        [&self.head, &self.sql, &self.results].into_iter().map(Vec::as_slice).filter(|part| !part.is_empty())
    }
}

/// The SQL of these pieces, as input for `sqlite3` or another shell.
pub(super) fn sql<'p>(pieces: impl IntoIterator<Item = &'p Piece>) -> Vec<u8> {
    let mut text = Vec::new();
    for piece in pieces.into_iter().filter(|piece| matches!(piece.kind, Kind::Statement | Kind::Query)) {
        let sql = piece.sql.trim_ascii();
        for line in piece.head.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"connection")) {
            text.extend_from_slice(&[b"-- ", line, b"\n"].concat());
        }
        text.extend_from_slice(sql);
        text.extend_from_slice(if sql.ends_with(b";") { b"\n" } else { b";\n" });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::Suite;

    #[test]
    fn a_script_comes_apart_and_back_together() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write(
            "a.slt",
            "# One.\ncontrol sortmode rowsort\n\ninclude b.part\n\nconnection x\nquery I\nSELECT a\nFROM t\n----\n1\n",
        );
        write("b.part", "statement error\nX\n----\none\n\ntwo\n\n\nstatement ok\nY\n");
        let file = Suite::new(folder.path()).find("a.slt").unwrap().unwrap();
        let pieces = pieces(&file).unwrap();
        let kinds: Vec<_> = pieces.iter().map(|piece| (piece.kind, piece.lines)).collect();
        let (own, included) = ((Kind::Setting, (1, 2)), (Kind::Statement, (0, 0)));
        assert_eq!(kinds, [own, included, included, (Kind::Query, (6, 11))]);
        let (text, line) = script(&pieces, 3);
        let text = String::from_utf8(text).unwrap();
        assert_eq!(lines(&pieces)[3], line);
        assert_eq!(text.lines().nth(line as usize - 1), Some("query I"), "{text}");
        assert!(text.ends_with("connection x\nquery I\nSELECT a\nFROM t\n----\n1\n"), "{text}");
        assert_eq!(parts(text.as_bytes(), crate::dialect::Dialect::Slt).len(), 4, "{text}");
        let sql = String::from_utf8(sql(&pieces)).unwrap();
        assert_eq!(sql, "X;\nY;\n-- connection x\nSELECT a\nFROM t;\n");
    }
}
