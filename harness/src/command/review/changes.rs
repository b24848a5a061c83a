//! Finds the records that differ between two texts of a script, and makes the text in which only some of them are new.

use std::fmt;

use crate::dialect::Dialect;
use crate::dialect::outline::parts;

/// Two texts of one script, piece by piece. Each piece begins with the directive of a record; the text before the first
/// directive belongs to the first piece.
pub(super) struct Changes {
    dialect: Dialect,
    pieces: Vec<Piece>,
}

/// One record in both texts.
pub(super) struct Piece {
    /// The line of its directive in the old text.
    pub line: u64,
    /// The first line of its old text.
    pub first: u64,
    pub old: Vec<u8>,
    pub new: Vec<u8>,
    /// How the record must end according to each text.
    expected: (Expected, Expected),
}

/// How a record must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Success,
    Error,
    /// `statement maybe`.
    Either,
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Expected::Success => "success",
            Expected::Error => "an error",
            Expected::Either => "success or an error",
        })
    }
}

/// What happens to a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// It is written to the file.
    Accept,
    /// It is dropped.
    Reject,
    /// It still waits.
    Skip,
}

impl Changes {
    /// Compares two texts.
    ///
    /// # Errors
    /// As a sentence: they do not have the same number of records.
    pub(super) fn new(old: &[u8], new: &[u8], dialect: Dialect) -> Result<Changes, String> {
        let (olds, news) = (split(old, dialect), split(new, dialect));
        if olds.len() != news.len() {
            let (old, new) = (olds.len(), news.len());
            return Err(format!("the file has {old} records and directives, and the new text {new}"));
        }
        let pieces = olds.into_iter().zip(news).enumerate().map(|(index, (old, new))| Piece {
            line: old.line,
            first: if index == 0 { 1 } else { old.line },
            expected: (old.expected, new.expected),
            old: old.text.to_vec(),
            new: new.text.to_vec(),
        });
        Ok(Changes { dialect, pieces: pieces.collect() })
    }

    /// The pieces that differ, in order.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.pieces.iter().filter(|piece| piece.old != piece.new)
    }

    /// Replaces the new text of the `index`th piece that differs.
    ///
    /// # Errors
    /// As a sentence: the text is not exactly one record.
    pub(super) fn edit(&mut self, index: usize, text: Vec<u8>) -> Result<(), String> {
        let is_first = self.pieces.first().is_some_and(|piece| piece.old != piece.new) && index == 0;
        let dialect = self.dialect;
        let Some(piece) = self.pieces.iter_mut().filter(|piece| piece.old != piece.new).nth(index) else {
            return Ok(());
        };
        let found = split(&text, dialect);
        let [only] = found.as_slice() else {
            return Err(format!("this holds {} records and directives, and must hold one", found.len()));
        };
        // Comments and conditions before the directive belong to the piece before.
        if only.line == 0 || (!is_first && only.line != 1) {
            return Err("this must begin with the directive of the record".to_owned());
        }
        piece.expected.1 = only.expected;
        piece.new = text;
        Ok(())
    }

    /// Applies these decisions, one for each piece that differs. Returns the text for the file, and the text that still waits,
    /// in which skipped pieces are new too.
    pub(super) fn decide(&self, decisions: &[Decision]) -> (Vec<u8>, Vec<u8>) {
        let mut decisions = decisions.iter().copied();
        let (mut file, mut waiting) = (Vec::new(), Vec::new());
        for piece in &self.pieces {
            let decision = match piece.old == piece.new {
                true => Decision::Reject,
                false => decisions.next().unwrap_or(Decision::Skip),
            };
            let (now, then) = match decision {
                Decision::Accept => (&piece.new, &piece.new),
                Decision::Reject => (&piece.old, &piece.old),
                Decision::Skip => (&piece.old, &piece.new),
            };
            file.extend_from_slice(now);
            waiting.extend_from_slice(then);
        }
        (file, waiting)
    }
}

impl Piece {
    /// A sentence, if the new text expects success where the old one expects an error, or the like.
    pub(super) fn turn(&self) -> Option<String> {
        let (old, new) = self.expected;
        (old != new).then(|| format!("this record expected {old}, and now expects {new}"))
    }
}

struct Part<'t> {
    /// The line of the directive; 0 if there is none.
    line: u64,
    expected: Expected,
    text: &'t [u8],
}

fn split(text: &[u8], dialect: Dialect) -> Vec<Part<'_>> {
    let parts = parts(text, dialect);
    let mut split: Vec<Part<'_>> = Vec::with_capacity(parts.len());
    for (index, part) in parts.iter().enumerate() {
        let start = if index == 0 { 0 } else { part.place.directive.start };
        let end = parts.get(index + 1).map_or(text.len(), |next| next.place.directive.start);
        let words = part.place.words(text);
        let word = |index: usize| words.get(index).map(|word| &text[word.clone()]);
        let expected = match (word(0), word(1)) {
            (Some(b"statement" | b"query"), Some(b"error")) => Expected::Error,
            (Some(b"statement"), Some(b"maybe")) => Expected::Either,
            _ => Expected::Success,
        };
        split.push(Part { line: part.line, expected, text: &text[start..end] });
    }
    if split.is_empty() {
        split.push(Part { line: 0, expected: Expected::Success, text });
    }
    split
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OLD: &str =
        "# top\nquery I\nSELECT 1\n----\n2\n\n# two\nstatement error\nSELECT 2\n\nquery I\nSELECT 3\n----\n3\n";
    const NEW: &str =
        "# top\nquery I\nSELECT 1\n----\n1\n\n# two\nstatement ok\nSELECT 2\n\nquery I\nSELECT 3\n----\n3\n";

    #[test]
    fn each_record_is_taken_or_left_by_itself_and_turns_are_said_in_words() {
        let changes = Changes::new(OLD.as_bytes(), NEW.as_bytes(), Dialect::Slt).unwrap();
        let pieces: Vec<_> = changes.pieces().map(|piece| (piece.line, piece.turn().unwrap_or_default())).collect();
        let words = "this record expected an error, and now expects success";
        assert_eq!(pieces, [(2, String::new()), (8, words.to_owned())]);
        let text = |text: Vec<u8>| String::from_utf8(text).unwrap();
        let (file, waiting) = changes.decide(&[Decision::Accept, Decision::Skip]);
        assert_eq!((text(file), text(waiting).as_str()), (OLD.replacen("\n2\n", "\n1\n", 1), NEW));
        let (file, waiting) = changes.decide(&[Decision::Reject, Decision::Accept]);
        assert_eq!(file, waiting);
        assert_eq!(text(file), OLD.replace("statement error", "statement ok"));
        assert!(Changes::new(OLD.as_bytes(), b"", Dialect::Slt).is_err());
    }

    #[test]
    fn an_edited_record_must_stay_one_record() {
        let mut changes = Changes::new(OLD.as_bytes(), NEW.as_bytes(), Dialect::Slt).unwrap();
        for wrong in ["", "statement ok\nSELECT 2\n\nstatement ok\nSELECT 3\n\n", "# nothing\n"] {
            assert!(changes.edit(1, wrong.into()).is_err(), "{wrong:?}");
        }
        changes.edit(1, "statement error no\nSELECT 2\n\n".into()).unwrap();
        let (file, _) = changes.decide(&[Decision::Reject, Decision::Accept]);
        assert_eq!(
            String::from_utf8(file).unwrap(),
            OLD.replace("# two\nstatement error", "# two\nstatement error no")
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn nothing_but_the_accepted_records_changes(
            results in proptest::collection::vec((0..3_u8, 0..3_u8, 0..3_u8, any::<bool>()), 1..12),
            crlf: bool,
        ) {
            let text = |new: bool| {
                let record = |(index, (old, other, _, comment)): (usize, &(u8, u8, u8, bool))| {
                    let value = if new { other } else { old };
                    let comment = if *comment { "# why\n" } else { "" };
                    format!("{comment}query I\nSELECT {index}\n----\n{value}\n\n")
                };
                let text: String = results.iter().enumerate().map(record).collect();
                if crlf { text.replace('\n', "\r\n") } else { text }
            };
            let (old, new) = (text(false), text(true));
            let changes = Changes::new(old.as_bytes(), new.as_bytes(), Dialect::Classic).unwrap();
            let decision = |kind: u8| match kind {
                0 => Decision::Accept,
                1 => Decision::Reject,
                _ => Decision::Skip,
            };
            let differing = results.iter().filter(|(old, new, ..)| old != new);
            let decisions: Vec<Decision> = differing.map(|(_, _, kind, _)| decision(*kind)).collect();
            let (file, waiting) = changes.decide(&decisions);
            let expect = |by: fn(Decision) -> bool| {
                let chosen: Vec<_> = results
                    .iter()
                    .map(|(old, new, kind, comment)| {
                        let value = if by(decision(*kind)) { *new } else { *old };
                        (value, value, *kind, *comment)
                    })
                    .collect();
                let record = |(index, (value, _, _, comment)): (usize, &(u8, u8, u8, bool))| {
                    let comment = if *comment { "# why\n" } else { "" };
                    format!("{comment}query I\nSELECT {index}\n----\n{value}\n\n")
                };
                let text: String = chosen.iter().enumerate().map(record).collect();
                if crlf { text.replace('\n', "\r\n") } else { text }
            };
            prop_assert_eq!(String::from_utf8(file).unwrap(), expect(|decision| decision == Decision::Accept));
            prop_assert_eq!(String::from_utf8(waiting).unwrap(), expect(|decision| decision != Decision::Reject));
            prop_assert_eq!(changes.decide(&vec![Decision::Accept; decisions.len()]).0, new.as_bytes());
            prop_assert_eq!(changes.decide(&vec![Decision::Reject; decisions.len()]).0, old.as_bytes());
        }
    }
}
