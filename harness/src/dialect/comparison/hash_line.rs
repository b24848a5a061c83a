//! The line that represents a whole result: `30 values hashing to 3c13dee48d9356ae19af2515e05e6b54`.

use crate::script::Lines;

/// A line `30 values hashing to 3c13dee48d9356ae19af2515e05e6b54`, which represents a whole result.
pub(super) struct HashLine {
    pub(super) count: u64,
    pub(super) digest: [u8; 16],
}

impl HashLine {
    pub(super) fn of(lines: &Lines<'_>) -> Option<HashLine> {
        if lines.count() != 1 {
            return None;
        }
        let line = lines.iter().next()?.trim_ascii_end();
        // In `.slt` files, white space around a line counts for nothing.
        let line = if matches!(lines, Lines::List(_)) { line.trim_ascii_start() } else { line };
        let at = memchr::memchr(b' ', line)?;
        let hex = line[at..].strip_prefix(b" values hashing to ")?;
        let count = std::str::from_utf8(&line[..at]).ok()?.parse().ok()?;
        Some(HashLine { count, digest: bytes_of(hex)? })
    }
}

/// The bytes of 32 lower-case hexadecimal digits, as the original runner writes them.
fn bytes_of(hex: &[u8]) -> Option<[u8; 16]> {
    let (mut bytes, mut all) = ([0; 16], 0);
    let hex: &[u8; 32] = hex.try_into().ok()?;
    for (byte, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
        let [high, low] = [DIGITS[usize::from(pair[0])], DIGITS[usize::from(pair[1])]];
        *byte = high << 4 | low;
        all |= high | low;
    }
    (all < 16).then_some(bytes)
}

/// The values of lower-case hexadecimal digits, and 255 for other bytes. A table needs no branches: no processor can
/// predict a branch on a random digit.
static DIGITS: [u8; 256] = {
    let mut values = [255; 256];
    let mut value = 0;
    while value < 16 {
        values[b"0123456789abcdef"[value] as usize] = value as u8;
        value += 1;
    }
    values
};
