//! One record of the journal, as bytes.
//!
//! A record is a line of JSON, padded with blanks to a multiple of 128 bytes. Its first members are at fixed offsets,
//! so that participants can follow the journal without a JSON parser; `jq` can still read it:
//!
//! ```text
//! {"crc":"5d3b1c6e","prev":"0f9a…","len":"00000080","n":"00000002","entry":"00000000","worker":"00000001","op":"claim"}␣…\n
//! ```
//!
//! | member | offset | meaning |
//! |---|---|---|
//! | `crc` | 8 | CRC-32 of everything in the record from offset 16 |
//! | `prev` | 26 | `crc` of the record before; of the first record, CRC-32 of the header |
//! | `len` | 43 | length of the record in bytes |
//! | `n` | 58 | number of the record, counted from 0 |
//! | `entry` | 77 | index of the entry in the plan; 0 where the record concerns none |
//! | `worker` | 97 | the worker that wrote the record |
//! | `op` | 113 | `join`, `claim`, `finish`, `requeue`, `release`, `lost`, `stop` or `resume` |
//!
//! These numbers are 8 hexadecimal digits. After `op` may come `"outcome":{…}` (finish), `"why":"…"` (requeue, release,
//! stop), `"label":"…"` and `"parent":1` (join: its label, and its supervisor), or
//! `"from":3,"last":{"file":"a.test","line":7,"sql":"SELECT 1"}` (lost: the worker, and the record it was
//! running). A worker that finishes an entry and claims the next writes one record for both, in which
//! `"next":"00000005"`, the index of the claimed entry, comes between `op` and `outcome`.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::outcome::{Attempt, Outcome};
use crate::queue::Running;

/// Records start at multiples of this and are no shorter. A record of this length crosses no page, so a kill cannot
/// tear it.
pub(super) const ALIGN: usize = 128;

const CRC: Range<usize> = 8..16;
const PREV: Range<usize> = 26..34;
const LEN: Range<usize> = 43..51;
const N: Range<usize> = 58..66;
const ENTRY: Range<usize> = 77..85;
const WORKER: Range<usize> = 97..105;
const OP_AT: usize = 113;
const NEXT: Range<usize> = 129..137;
const NEXT_KEY: &[u8; 9] = b",\"next\":\"";
const TEMPLATE: &[u8; OP_AT] = b"{\"crc\":\"........\",\"prev\":\"........\",\"len\":\"........\",\"n\":\"........\",\"entry\":\"........\",\"worker\":\"........\",\"op\":\"";

/// The operation of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Join,
    Claim,
    Finish {
        /// The entry that the same worker claims in the same record.
        next: Option<u32>,
    },
    Requeue,
    /// Like requeue, but the attempt does not count.
    Release,
    Lost,
    Stop,
    Resume,
}

impl Op {
    /// The operation of a whole record.
    fn of(bytes: &[u8]) -> Option<Self> {
        let text = &bytes[OP_AT..];
        let op = match text {
            [b'c', ..] => Op::Claim,
            [b'f', ..] => {
                let has_next = bytes.get(NEXT.start - NEXT_KEY.len()..NEXT.start) == Some(NEXT_KEY);
                Op::Finish { next: if has_next { bytes.get(NEXT).map(hex) } else { None } }
            }
            [b'j', ..] => Op::Join,
            [b'l', ..] => Op::Lost,
            [b's', ..] => Op::Stop,
            [b'r', b'e', b'q', ..] => Op::Requeue,
            [b'r', b'e', b'l', ..] => Op::Release,
            [b'r', ..] => Op::Resume,
            _ => return None,
        };
        text.strip_prefix(op.name().as_bytes())?.starts_with(b"\"").then_some(op)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Op::Join => "join",
            Op::Claim => "claim",
            Op::Finish { .. } => "finish",
            Op::Requeue => "requeue",
            Op::Release => "release",
            Op::Lost => "lost",
            Op::Stop => "stop",
            Op::Resume => "resume",
        }
    }
}

/// The members of a record at fixed offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub prev: u32,
    pub n: u32,
    pub entry: u32,
    pub worker: u32,
    pub op: Op,
}

/// The variable part of a record, to be written.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(untagged)]
pub(super) enum Body<'a> {
    Outcome {
        outcome: &'a Outcome,
    },
    Why {
        why: &'a str,
    },
    Attempt {
        why: &'a str,
        attempt: &'a Attempt,
    },
    From {
        from: u32,
        last: &'a Option<Running>,
    },
    Label {
        label: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        parent: Option<u32>,
    },
}

/// The variable part of a record that has no further members.
pub(super) const NOTHING: &[u8] = b"{}";

impl Body<'_> {
    /// Converts the variable part into a JSON object.
    pub(super) fn to_json(self) -> Vec<u8> {
        serde_json::to_vec(&self).expect("plain data becomes JSON in memory")
    }
}

/// The variable part of a record, as read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Details {
    pub outcome: Option<Outcome>,
    pub why: String,
    pub attempt: Option<Attempt>,
    pub from: u32,
    pub last: Option<Running>,
    pub label: String,
    pub parent: Option<u32>,
}

/// A whole record with a correct checksum.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    pub head: Head,
    pub crc: u32,
    pub bytes: &'a [u8],
}

/// The result of parsing the start of a byte string.
#[derive(Debug)]
pub(super) enum Parsed<'a> {
    Whole(Frame<'a>),
    /// An incomplete record, which has this many bytes when whole.
    Short(usize),
    /// Not a record.
    Bad,
}

/// Appends a record to `buffer`, with the JSON object `body` as its variable part, and returns its checksum.
pub(super) fn encode(buffer: &mut Vec<u8>, head: Head, body: &[u8]) -> u32 {
    let start = buffer.len();
    buffer.extend_from_slice(TEMPLATE);
    buffer.extend_from_slice(head.op.name().as_bytes());
    buffer.push(b'"');
    if let Op::Finish { next: Some(next) } = head.op {
        buffer.extend_from_slice(NEXT_KEY);
        buffer.extend_from_slice(&hex_digits(next));
        buffer.push(b'"');
    }
    // The members of `body` follow the fixed ones, and its closing brace ends the record.
    let members = &body[1..];
    if members != b"}" {
        buffer.push(b',');
    }
    buffer.extend_from_slice(members);
    let len = (buffer.len() - start + 1).next_multiple_of(ALIGN);
    buffer.resize(start + len - 1, b' ');
    buffer.push(b'\n');
    let record = &mut buffer[start..];
    for (range, number) in
        [(PREV, head.prev), (LEN, len as u32), (N, head.n), (ENTRY, head.entry), (WORKER, head.worker)]
    {
        record[range].copy_from_slice(&hex_digits(number));
    }
    let crc = crc32fast::hash(&record[CRC.end..]);
    record[CRC].copy_from_slice(&hex_digits(crc));
    crc
}

/// How far a record's checksum is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// The checksum is not trusted: every record is checked.
    Nobody,
    /// The checksum is trusted if the next record repeats it: the writer of that record read this one as the last record, and
    /// checked it. With many participants this saves a fifth of a claim.
    Successor,
}

/// Reads the record at the start of `bytes`.
///
/// A claim does this for every record of other participants while it holds the lock. So anything that the checksum covers is
/// checked only once.
pub(super) fn parse(bytes: &[u8], trust: Trust) -> Parsed<'_> {
    let Some(first) = bytes.first_chunk::<ALIGN>() else {
        return Parsed::Short(ALIGN);
    };
    let len = hex(&first[LEN]) as usize;
    if first[..CRC.start] != TEMPLATE[..CRC.start] || len < ALIGN || !len.is_multiple_of(ALIGN) {
        return Parsed::Bad;
    }
    let Some((bytes, rest)) = bytes.split_at_checked(len) else {
        return Parsed::Short(len);
    };
    let is_repeated = || rest.len() >= ALIGN && rest[..CRC.start] == first[..CRC.start] && rest[PREV] == first[CRC];
    let crc = if trust == Trust::Successor && is_repeated() {
        hex(&first[CRC])
    } else {
        let crc = crc32fast::hash(&bytes[CRC.end..]);
        if hex_digits(crc) != first[CRC] {
            return Parsed::Bad;
        }
        crc
    };
    // The checksum is correct or trusted, so the following bytes are exactly those that were written.
    let Some(op) = Op::of(bytes) else {
        return Parsed::Bad;
    };
    let head =
        Head { prev: hex(&first[PREV]), n: hex(&first[N]), entry: hex(&first[ENTRY]), worker: hex(&first[WORKER]), op };
    Parsed::Whole(Frame { head, crc, bytes })
}

impl Frame<'_> {
    /// The members after `op`.
    pub(super) fn details(&self) -> Result<Details, serde_json::Error> {
        serde_json::from_slice(self.bytes)
    }
}

/// `number` as 8 hexadecimal digits.
pub(super) fn hex_digits(mut number: u32) -> [u8; 8] {
    let mut digits = [0; 8];
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
    }
    digits
}

/// Parses 8 hexadecimal digits; returns an arbitrary number if they are invalid.
///
/// A claim parses a few such numbers for every record of other participants. Parsing all digits at once takes 2 ns, one by one
/// 10 ns.
fn hex(digits: &[u8]) -> u32 {
    let digits = u64::from_be_bytes(digits.try_into().expect("eight digits"));
    let nibbles = (digits & 0x0f0f_0f0f_0f0f_0f0f) + 9 * ((digits >> 6) & 0x0101_0101_0101_0101);
    let bytes = (nibbles | nibbles >> 4) & 0x00ff_00ff_00ff_00ff;
    let words = (bytes | bytes >> 8) & 0x0000_ffff_0000_ffff;
    (words | words >> 16) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Outcome, Verdict};

    const HEAD: Head = Head { prev: 0xdead_beef, n: 7, entry: 0x12, worker: 3, op: Op::Claim };

    fn record(op: Op, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(&mut bytes, Head { op, ..HEAD }, body);
        bytes
    }

    fn whole(bytes: &[u8]) -> Frame<'_> {
        match parse(bytes, Trust::Nobody) {
            Parsed::Whole(frame) => frame,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_claim_reads_as_documented() {
        let text = String::from_utf8(record(Op::Claim, NOTHING)).unwrap();
        let crc = &text[CRC];
        assert_eq!(
            text.trim_end(),
            format!(
                r#"{{"crc":"{crc}","prev":"deadbeef","len":"00000080","n":"00000007","entry":"00000012","worker":"00000003","op":"claim"}}"#
            )
        );
        assert_eq!(text.len(), ALIGN);
        assert!(text.ends_with(" \n"));
    }

    #[test]
    fn hexadecimal_digits_are_read_back() {
        for number in [0, 1, 9, 10, 15, 16, 0x0123_4567, 0x89ab_cdef, u32::MAX] {
            assert_eq!(hex_digits(number), format!("{number:08x}").as_bytes());
            assert_eq!(hex(&hex_digits(number)), number);
        }
    }

    #[test]
    fn every_operation_is_read_back() {
        for op in
            [Op::Join, Op::Claim, Op::Finish { next: None }, Op::Requeue, Op::Release, Op::Lost, Op::Stop, Op::Resume]
        {
            let bytes = record(op, NOTHING);
            let frame = whole(&bytes);
            assert_eq!(frame.head, Head { op, ..HEAD });
            assert_eq!(frame.bytes.len(), ALIGN);
        }
    }

    #[test]
    fn a_finish_may_name_the_next_entry() {
        let outcome = Outcome::new("a.test", Verdict::Passed);
        for next in [None, Some(0), Some(0xabcd_ef01)] {
            let bytes = record(Op::Finish { next }, &Body::Outcome { outcome: &outcome }.to_json());
            let frame = whole(&bytes);
            assert_eq!(frame.head.op, Op::Finish { next });
            assert_eq!(frame.details().unwrap().outcome.as_ref(), Some(&outcome));
            let text = String::from_utf8(bytes).unwrap();
            assert_eq!(text.contains(r#""op":"finish","next":"abcdef01","outcome":{"#), next == Some(0xabcd_ef01));
        }
    }

    #[test]
    fn a_record_of_any_length_is_padded_and_read_back() {
        for length in 0..600 {
            let mut outcome = Outcome::new("x".repeat(length), Verdict::Passed);
            outcome.pass = 2;
            let mut bytes = record(Op::Finish { next: None }, &Body::Outcome { outcome: &outcome }.to_json());
            assert_eq!(bytes.len() % ALIGN, 0);
            bytes.extend_from_slice(b"what follows");
            let frame = whole(&bytes);
            assert_eq!(frame.bytes.len(), bytes.len() - 12);
            assert_eq!(frame.details().unwrap().outcome, Some(outcome));
        }
    }

    #[test]
    fn the_details_of_a_loss_are_read_back() {
        let last = Some(Running {
            file: "a \"b\"\n".into(),
            line: 7,
            pass: "i=3".into(),
            sql: "SELECT '\u{1f600}'".into(),
            trial: 3,
        });
        let bytes = record(Op::Lost, &Body::From { from: 4, last: &last }.to_json());
        let details = whole(&bytes).details().unwrap();
        assert_eq!((details.from, details.last), (4, last));
        let bytes = record(Op::Requeue, &Body::Why { why: "failed" }.to_json());
        assert_eq!(whole(&bytes).details().unwrap().why, "failed");
    }

    #[test]
    fn no_prefix_of_a_record_is_a_record() {
        let outcome = Outcome::new("a.test", Verdict::Failed);
        let bytes = record(Op::Finish { next: None }, &Body::Outcome { outcome: &outcome }.to_json());
        for length in 0..bytes.len() {
            assert!(matches!(parse(&bytes[..length], Trust::Successor), Parsed::Short(_)), "{length}");
            let mut torn = bytes[..length].to_vec();
            torn.resize(bytes.len(), 0);
            assert!(matches!(parse(&torn, Trust::Successor), Parsed::Bad), "{length}");
        }
    }

    #[test]
    fn a_later_record_confirms_the_checksum_that_it_repeats() {
        let mut bytes = Vec::new();
        let crc = encode(&mut bytes, HEAD, NOTHING);
        bytes[ALIGN - 2] = b'x';
        assert!(matches!(parse(&bytes, Trust::Successor), Parsed::Bad));
        for (prev, is_whole) in [(crc, true), (crc ^ 1, false)] {
            let mut bytes = bytes.clone();
            encode(&mut bytes, Head { prev, ..HEAD }, NOTHING);
            assert_eq!(matches!(parse(&bytes, Trust::Successor), Parsed::Whole(_)), is_whole);
            assert!(matches!(parse(&bytes, Trust::Nobody), Parsed::Bad));
        }
    }

    #[test]
    fn a_changed_byte_makes_a_record_invalid() {
        let bytes = record(Op::Stop, &Body::Why { why: "budget" }.to_json());
        for at in 0..bytes.len() {
            for flip in [1, 0x20, 0x80] {
                let mut changed = bytes.clone();
                changed[at] ^= flip;
                assert!(!matches!(parse(&changed, Trust::Successor), Parsed::Whole(_)), "byte {at}");
            }
        }
    }
}
