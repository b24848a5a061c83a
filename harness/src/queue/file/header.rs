//! The start of a queue file: which run it holds, and the run's plan.
//!
//! The header is a line of JSON of 512 bytes, padded with blanks:
//!
//! ```text
//! {"slt-queue":2,"crc":"8f21d3a0","state":"ready","generation":"91c4…","run":"nightly-7","plan_hash":"2c03…",
//!  "plan_len":623,"plan_bytes":21504,"plan_crc":"77aa01bc"}␣…\n
//! ```
//!
//! (on one line). `slt-queue` is the format version, `crc` the CRC-32 of everything after it, and `generation` a random
//! number that distinguishes two runs with the same id. While a run is being created, `state` is `building`; the next
//! holder of the lock that sees this creates the run again.
//!
//! The plan starts at byte 512: one line of what verdicts depend on besides the files, then one line for each entry in
//! claim order, with a digest of its file (see [`content`](mod@crate::suite::content)). Blanks and a newline pad its
//! `plan_bytes` to a multiple of 128; there the journal starts (see [`frame`](super::frame)):
//!
//! ```text
//! {"settings":{"--label":"mine","engine":"SQLite 3.50.2 (…)"}}
//! {"name":"select1.test","pass":1,"content":"classic 5120-8f21d3a0"}
//! {"name":"index/between/1/slt_good_0.test","pass":1,"content":"classic 734-0c51e9d7"}
//! ```
//!
//! Version 1 had neither settings nor contents; its hash covers only names and passes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::{FileError, io};
use super::frame::{ALIGN, hex_digits};
use super::{VERSION, fail};
use crate::queue::{Plan, PlanEntry, Settings};

pub(super) const HEADER_BYTES: usize = 512;

const MAGIC: &[u8] = b"{\"slt-queue\":";
const CRC_KEY: &[u8] = b",\"crc\":\"";

/// The fields of the header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    #[serde(rename = "slt-queue", skip_serializing)]
    pub version: u64,
    pub state: Stage,
    pub generation: String,
    pub run: String,
    pub plan_hash: String,
    pub plan_len: usize,
    pub plan_bytes: u64,
    pub plan_crc: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stage {
    Building,
    Ready,
}

/// What the start of a file contains.
#[derive(Debug)]
pub(super) enum Found {
    /// Nothing yet, or a run whose creation was not finished.
    Nothing,
    /// A run, and its header's bytes.
    Run(Header, Vec<u8>),
}

impl Header {
    /// The offset of the journal.
    pub(super) fn journal_at(&self) -> u64 {
        HEADER_BYTES as u64 + self.plan_bytes
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = [MAGIC, VERSION.to_string().as_bytes(), CRC_KEY].concat();
        let crc_at = bytes.len();
        bytes.extend_from_slice(b"........\"");
        let brace = bytes.len();
        serde_json::to_writer(&mut bytes, self).expect("plain data becomes JSON in memory");
        bytes[brace] = b',';
        assert!(bytes.len() < HEADER_BYTES, "run ids are too short for this");
        bytes.resize(HEADER_BYTES - 1, b' ');
        bytes.push(b'\n');
        let crc = crc32fast::hash(&bytes[crc_at + 8..]);
        bytes[crc_at..crc_at + 8].copy_from_slice(&hex_digits(crc));
        bytes
    }

    /// Reads the start of the file at `path`.
    pub(super) fn find(file: &File, path: &Path) -> Result<Found, FileError> {
        let bytes = beginning(file).map_err(io("read", path))?;
        if bytes.len() < MAGIC.len() && MAGIC.starts_with(&bytes) {
            return Ok(Found::Nothing);
        }
        let path = || path.to_path_buf();
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| FileError::NotAQueue { path: path() })?;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let version = std::str::from_utf8(&rest[..digits]).ok().and_then(|digits| digits.parse::<u64>().ok());
        let version = match version {
            Some(version) if digits < rest.len() => version,
            _ if bytes.len() < HEADER_BYTES => return Ok(Found::Nothing),
            _ => return Err(FileError::NotAQueue { path: path() }),
        };
        if version > VERSION {
            return Err(FileError::NewerVersion { path: path(), version, known: VERSION });
        }
        if bytes.len() < HEADER_BYTES {
            return Ok(Found::Nothing);
        }
        let damaged = || FileError::Damaged { path: path(), at: 0, what: "the header is broken".into() };
        let crc_at = MAGIC.len() + digits + CRC_KEY.len();
        let header: Header = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
        if bytes[crc_at..crc_at + 8] != hex_digits(crc32fast::hash(&bytes[crc_at + 8..])) {
            return Err(damaged());
        }
        Ok(match header.state {
            Stage::Building => Found::Nothing,
            Stage::Ready => Found::Run(header, bytes),
        })
    }

    /// Writes a new run in place of the file's contents; the queue's lock must be held.
    ///
    /// Until the header says `ready`, the file holds no run: after a crash on the way, the run is created again.
    pub(super) fn build(file: &File, run: &str, plan: &Plan) -> std::io::Result<(Header, Vec<u8>)> {
        let lines = lines(plan);
        let mut header = Header {
            version: VERSION,
            state: Stage::Building,
            generation: format!("{:016x}", getrandom::u64().map_err(std::io::Error::other)?),
            run: run.to_owned(),
            plan_hash: plan.hash().to_owned(),
            plan_len: plan.len(),
            plan_bytes: lines.len() as u64,
            plan_crc: crc32fast::hash(&lines),
        };
        let built = (|| {
            fail::point("init", "locked");
            file.write_all_at(&header.encode(), 0)?;
            fail::point("init", "building");
            file.set_len(HEADER_BYTES as u64)?;
            fail::torn("init", "plan", || file.write_all_at(&lines[..lines.len() / 2], HEADER_BYTES as u64));
            file.write_all_at(&lines, HEADER_BYTES as u64)?;
            fail::point("init", "planned");
            header.state = Stage::Ready;
            let bytes = header.encode();
            file.write_all_at(&bytes, 0)?;
            fail::point("init", "ready");
            Ok(bytes)
        })();
        match built {
            Ok(bytes) => Ok((header, bytes)),
            Err(error) => {
                let _ = file.set_len(0);
                Err(error)
            }
        }
    }

    /// Checks that the file is long enough for the header and the plan of this run.
    pub(super) fn check_length(&self, file: &File, path: &Path) -> Result<(), FileError> {
        let length = file.metadata().map_err(io("read", path))?.len();
        if length < self.journal_at() {
            let what = "the plan is cut short".to_owned();
            return Err(FileError::Damaged { path: path.to_path_buf(), at: length, what });
        }
        Ok(())
    }

    /// Reads the plan of this run.
    pub(super) fn plan(&self, file: &File, path: &Path) -> Result<Plan, FileError> {
        self.check_length(file, path)?;
        let damaged = |what: String| FileError::Damaged { path: path.to_path_buf(), at: HEADER_BYTES as u64, what };
        let mut lines = vec![0; self.plan_bytes as usize];
        file.read_exact_at(&mut lines, HEADER_BYTES as u64).map_err(io("read", path))?;
        if crc32fast::hash(&lines) != self.plan_crc {
            return Err(damaged("the plan does not agree with its checksum".into()));
        }
        let (mut entries, mut contents) = (Vec::with_capacity(self.plan_len), Vec::new());
        let mut settings = Settings::new();
        for line in serde_json::Deserializer::from_slice(&lines).into_iter::<PlanLine>() {
            match line.map_err(|error| damaged(format!("the plan is broken: {error}")))? {
                PlanLine::Settings { settings: all } => settings = all,
                PlanLine::Entry { name, pass, content } => {
                    entries.push(PlanEntry { name, pass });
                    contents.extend(content);
                }
            }
        }
        if entries.len() != self.plan_len || (!contents.is_empty() && contents.len() != entries.len()) {
            return Err(damaged("the plan is not the one that the header names".into()));
        }
        // The checksum covers what was written; hashing a long plan again would be most of the cost of joining.
        Ok(Plan::with_hash(entries, contents, settings, self.plan_hash.clone()))
    }

    /// Whether the release that started the run recorded what its verdicts depend on.
    pub(super) fn is_older(&self) -> bool {
        self.version < 2
    }
}

/// A line of the plan.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum PlanLine {
    Entry {
        name: String,
        pass: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content: Option<String>,
    },
    Settings {
        settings: Settings,
    },
}

/// The first bytes of a file, up to the length of a header.
pub(super) fn beginning(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; HEADER_BYTES];
    let mut read = 0;
    while read < HEADER_BYTES {
        match file.read_at(&mut bytes[read..], read as u64) {
            Ok(0) => break,
            Ok(count) => read += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(read);
    Ok(bytes)
}

fn lines(plan: &Plan) -> Vec<u8> {
    let mut lines = Vec::with_capacity(plan.len() * 64);
    let settings = PlanLine::Settings { settings: plan.settings().clone() };
    let entries = plan.entries().iter().enumerate().map(|(index, entry)| PlanLine::Entry {
        name: entry.name.clone(),
        pass: entry.pass,
        content: plan.content(index).map(str::to_owned),
    });
    for line in std::iter::once(settings).chain(entries) {
        serde_json::to_writer(&mut lines, &line).expect("plain data becomes JSON in memory");
        lines.push(b'\n');
    }
    let padded = lines.len().next_multiple_of(ALIGN);
    if padded > lines.len() {
        lines.resize(padded - 1, b' ');
        lines.push(b'\n');
    }
    lines
}
