//! Tests of damage from outside, and of full disks.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;

use super::*;
use crate::queue::conformance::{leased, passed, plan};

struct DamagedQueue {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl DamagedQueue {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        DamagedQueue { path: folder.path().join("queue"), _folder: folder }
    }

    fn try_open(&self) -> Result<FileQueue, QueueError> {
        let options = OpenOptions { run_id: Some("one".into()), resume: true, ..OpenOptions::default() };
        FileQueue::open(&self.path, plan(5), &options).map(|(queue, _)| queue)
    }

    fn open(&self) -> FileQueue {
        self.try_open().unwrap()
    }

    fn length(&self) -> u64 {
        fs::metadata(&self.path).unwrap().len()
    }

    fn cut(&self, length: u64) {
        File::options().write(true).open(&self.path).unwrap().set_len(length).unwrap();
    }

    fn overwrite(&self, at: u64, bytes: &[u8]) {
        let mut file = File::options().write(true).open(&self.path).unwrap();
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(bytes).unwrap();
    }
}

fn finish(queue: &mut FileQueue) {
    let lease = leased(queue);
    let outcome = passed(&lease);
    queue.finish(lease, &outcome).unwrap();
}

/// Every operation must fail with this error.
fn assert_all_fail(queue: &mut FileQueue, text: &str) {
    let errors = [
        queue.claim().unwrap_err(),
        queue.stop("enough").unwrap_err(),
        queue.snapshot().unwrap_err(),
        queue.poll().unwrap_err(),
        queue.lost().unwrap_err(),
    ];
    for error in errors {
        assert!(error.to_string().contains(text), "{error}");
    }
}

#[test]
fn the_whole_file_is_lines_of_json() {
    let place = DamagedQueue::new();
    let mut queue = place.open();
    finish(&mut queue);
    queue.stop("enough").unwrap();
    let text = fs::read_to_string(&place.path).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().filter(|line| !line.trim().is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines[0]["slt-queue"].as_u64(), lines[0]["run"].as_str()), (Some(2), Some("one")));
    assert_eq!(lines[1], serde_json::json!({"settings": {}}));
    assert_eq!(lines[2], serde_json::json!({"name": "0.test", "pass": 1}));
    let ops: Vec<_> = lines[7..].iter().map(|line| line["op"].as_str().unwrap()).collect();
    assert_eq!(ops, ["join", "claim", "finish", "stop"]);
}

#[test]
fn a_partial_record_is_ignored_by_readers_and_removed_by_the_next_lock_holder() {
    let mut record = Vec::new();
    for torn in [1, 127, 128, 200, 255] {
        let place = DamagedQueue::new();
        let (mut a, mut b) = (place.open(), place.open());
        finish(&mut a);
        let whole = place.length();
        // A real record of two blocks, of which only the first was written.
        record.clear();
        let head = frame::Head { prev: 0, n: 4, entry: 1, worker: 1, op: Op::Requeue };
        frame::encode(&mut record, head, &Body::Why { why: &"w".repeat(100) }.to_json());
        assert_eq!(record.len(), 256);
        place.overwrite(whole, &record[..torn]);
        assert_eq!(b.poll().unwrap().len(), 3);
        assert!(b.lost().unwrap().is_empty());
        assert_eq!(place.length(), whole + torn as u64);
        b.snapshot().unwrap();
        assert_eq!(place.length(), whole);
        finish(&mut b);
        assert_eq!(a.snapshot().unwrap().finished(), 2);
        assert!(matches!(place.open().claim().unwrap(), Claim::Leased(lease) if lease.entry() == 2));
    }
}

#[test]
fn an_emptied_queue_is_an_error_and_never_complete() {
    let place = DamagedQueue::new();
    let mut queue = place.open();
    let lease = leased(&mut queue);
    place.cut(0);
    assert_all_fail(&mut queue, "was emptied during the run");
    let outcome = passed(&lease);
    assert!(queue.finish(lease, &outcome).unwrap_err().to_string().contains("was emptied"));
    // The next process starts a new run, and earlier participants get an error.
    let mut new = place.open();
    assert_eq!(new.snapshot().unwrap().finished(), 0);
    assert_all_fail(&mut queue, "the run was replaced");
}

#[test]
fn a_truncated_queue_is_an_error() {
    let place = DamagedQueue::new();
    let mut queue = place.open();
    finish(&mut queue);
    for length in [place.length() - 128, 600, 512] {
        place.cut(length);
        assert_all_fail(&mut queue, "was cut short during the run");
    }
    let error = place.try_open().unwrap_err().to_string();
    assert!(error.contains("the plan is cut short"), "{error}");
}

#[test]
fn records_that_replace_those_that_were_read_are_noticed() {
    // The length of the other history makes no difference.
    for count in 1..=4 {
        let place = DamagedQueue::new();
        let (mut slow, mut quick) = (place.open(), place.open());
        finish(&mut slow);
        let before = fs::read(&place.path).unwrap();
        finish(&mut quick);
        drop(slow.snapshot().unwrap());
        drop(quick);
        // A user restores an old copy, and the run continues from there.
        fs::write(&place.path, &before).unwrap();
        let mut other = place.open();
        (0..count).for_each(|_| finish(&mut other));
        let theirs = fs::read(&place.path).unwrap();
        for error in [slow.claim().map(drop), slow.snapshot().map(drop), slow.stop("enough")] {
            let error = error.unwrap_err().to_string();
            assert!(error.contains("is damaged at byte") || error.contains("was cut short"), "{error}");
        }
        assert_eq!(fs::read(&place.path).unwrap(), theirs);
    }
}

#[test]
fn a_deleted_queue_is_an_error() {
    let place = DamagedQueue::new();
    let mut queue = place.open();
    fs::remove_file(&place.path).unwrap();
    assert_all_fail(&mut queue, "was deleted during the run");
    let _new = place.open();
    assert_all_fail(&mut queue, "was deleted during the run");
}

#[test]
fn a_broken_record_before_whole_ones_is_never_removed() {
    let place = DamagedQueue::new();
    let mut queue = place.open();
    finish(&mut queue);
    finish(&mut queue);
    drop(queue);
    let length = place.length();
    place.overwrite(512 + 256 + 128 + 100, b"x");
    let error = place.try_open().unwrap_err().to_string();
    assert!(error.contains("a broken record is followed by whole ones"), "{error}");
    assert_eq!(place.length(), length);
}

#[test]
fn a_plan_that_was_changed_is_an_error() {
    let place = DamagedQueue::new();
    drop(place.open());
    place.overwrite(512 + 9, b"7");
    let error = place.try_open().unwrap_err().to_string();
    assert!(error.contains("the plan does not agree with its checksum"), "{error}");
    place.overwrite(300, b"x");
    let error = place.try_open().unwrap_err().to_string();
    assert!(error.contains("the header is broken"), "{error}");
}

#[test]
fn a_newer_format_is_refused() {
    let place = DamagedQueue::new();
    fs::write(&place.path, "{\"slt-queue\":3,\"anything\":true}\n").unwrap();
    let error = place.try_open().unwrap_err().to_string();
    assert!(
        error.contains("has format version 3, and this program knows 2: name another file with `--queue`"),
        "{error}"
    );
}

#[test]
fn a_file_that_is_not_a_queue_is_not_touched() {
    let place = DamagedQueue::new();
    for text in ["x", "[package]\nname = \"slt\"\n", "{\"slt-queue\":true}", &"{\"slt-queue\":".repeat(60)] {
        fs::write(&place.path, text).unwrap();
        let refused = place.try_open();
        if text.len() >= 512 || !text.starts_with("{\"slt-queue\":") {
            assert!(refused.unwrap_err().to_string().ends_with("is not a queue"), "{text}");
            assert_eq!(fs::read_to_string(&place.path).unwrap(), text);
        }
    }
}

#[test]
fn a_partial_header_is_written_again() {
    let place = DamagedQueue::new();
    drop(place.open());
    let whole = fs::read(&place.path).unwrap();
    for length in [0, 1, 12, 13, 14, 30, 300, 511] {
        fs::write(&place.path, &whole[..length]).unwrap();
        assert_eq!(place.open().worker(), 1, "{length}");
    }
}

#[test]
fn an_error_names_an_unusable_path() {
    let cases = [("/proc/no/queue", "cannot create `/proc/no`"), ("/proc/queue", "cannot open `/proc/queue`")];
    for (path, text) in cases {
        let error = FileQueue::open(path.as_ref(), plan(1), &OpenOptions::default()).unwrap_err();
        assert_eq!(error.to_string(), text);
    }
    let folder = tempfile::tempdir().unwrap();
    let error = FileQueue::open(folder.path(), plan(1), &OpenOptions::default()).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot open `{}`", folder.path().display()));
}
