//! Identifies the build of a program, for engines that are part of it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::OnceLock;

/// This program's build id; if it has none, the length and CRC-32 of its file.
pub(super) fn of_this_program() -> &'static str {
    static IDENTITY: OnceLock<String> = OnceLock::new();
    IDENTITY.get_or_init(|| {
        let path = if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { std::env::current_exe() };
        path.and_then(|path| of_program(&path)).unwrap_or_else(|error| format!("unknown ({})", error.kind()))
    })
}

/// A program's build id; if it has none, the length and CRC-32 of its file.
pub(super) fn of_program(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    // A file that is not ELF, or does not have a build id, is hashed.
    if let Ok(Some(id)) = build_id(&mut file) {
        return Ok(format!("build {}", id.iter().map(|byte| format!("{byte:02x}")).collect::<String>()));
    }
    file.seek(SeekFrom::Start(0))?;
    of_content(&mut file)
}

/// The length and CRC-32 of a reader's content.
pub(super) fn of_content(reader: &mut impl Read) -> io::Result<String> {
    let (mut hasher, mut length, mut piece) = (crc32fast::Hasher::new(), 0, vec![0; 64 << 10]);
    loop {
        match reader.read(&mut piece) {
            Ok(0) => return Ok(format!("{length}-{:08x}", hasher.finalize())),
            Ok(count) => {
                hasher.update(&piece[..count]);
                length += count;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The maximum length of a segment of notes, in bytes.
const MOST_NOTES: u64 = 64 << 10;

/// The build id, a note of the linker: a hash of everything that it linked (`NT_GNU_BUILD_ID`, System V ABI, "Note
/// Section").
fn build_id(file: &mut File) -> io::Result<Option<Vec<u8>>> {
    let mut head = [0; 64];
    file.read_exact(&mut head)?;
    // Only 64-bit little-endian ELF; other files are hashed.
    if head[..6] != *b"\x7fELF\x02\x01" {
        return Ok(None);
    }
    let (table, size) = (number(&head, 32, 8), number(&head, 54, 2));
    let count = number(&head, 56, 2);
    for index in 0..count {
        let mut segment = [0; 56];
        file.seek(SeekFrom::Start(table + index * size))?;
        file.read_exact(&mut segment)?;
        let is_note = number(&segment, 0, 4) == 4;
        let (at, length) = (number(&segment, 8, 8), number(&segment, 32, 8));
        if !is_note || length > MOST_NOTES {
            continue;
        }
        let mut notes = vec![0; length as usize];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut notes)?;
        if let Some(id) = build_id_among(&notes) {
            return Ok(Some(id.to_vec()));
        }
    }
    Ok(None)
}

fn build_id_among(mut notes: &[u8]) -> Option<&[u8]> {
    loop {
        let head = notes.get(..12)?;
        let (name, text, kind) = (number(head, 0, 4) as usize, number(head, 4, 4) as usize, number(head, 8, 4));
        let text_at = 12 + name.next_multiple_of(4);
        let text_end = text_at.checked_add(text)?;
        if kind == 3 && notes.get(12..12 + name) == Some(b"GNU\0") {
            return notes.get(text_at..text_end).filter(|id| !id.is_empty());
        }
        notes = notes.get(text_end.next_multiple_of(4)..)?;
    }
}

/// The little-endian number of `length` bytes at `at`; the bytes must exist.
fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    bytes[at..at + length].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_id_is_found_among_notes() {
        let note = |name: &[u8], kind: u32, text: &[u8]| {
            let mut note = Vec::new();
            for number in [name.len() as u32, text.len() as u32, kind] {
                note.extend_from_slice(&number.to_le_bytes());
            }
            for part in [name, text] {
                note.extend_from_slice(part);
                note.resize(note.len().next_multiple_of(4), 0);
            }
            note
        };
        let notes = [note(b"GNU\0", 1, b"abcdef"), note(b"X\0", 3, b"no"), note(b"GNU\0", 3, &[0xab, 0xcd, 0xef])];
        assert_eq!(build_id_among(&notes.concat()), Some(&[0xab, 0xcd, 0xef][..]));
        assert_eq!(build_id_among(&notes[..2].concat()), None);
        for length in 0..notes[0].len() {
            assert_eq!(build_id_among(&notes[0][..length]), None);
        }
        assert_eq!(build_id_among(&[0xff; 64]), None);
    }

    #[test]
    fn different_programs_have_different_identities() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        std::fs::write(&path, "123456789").unwrap();
        assert_eq!(of_program(&path).unwrap(), "9-cbf43926");
        assert!(of_program(&folder.path().join("none")).is_err());
        let own = of_this_program();
        assert!(own.contains(|c: char| c.is_ascii_digit()) && own == of_this_program(), "{own}");
    }
}
