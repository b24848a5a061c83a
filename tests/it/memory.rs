//! `--run-memory`: files run at once only if their memory fits, by their peaks in past runs.

use std::fs::{self, File};
use std::io::Write;

use crate::faulty_support::{Place, fault, runs, wait_until};

/// A place with these scripts, and a history in which each needed this number of MiB.
fn place(scripts: &[(&str, u64, String)]) -> Place {
    let place = Place::new(scripts.iter().map(|(name, _, text)| (*name, text)));
    fs::create_dir_all(place.path("results")).unwrap();
    let mut history = File::create(place.path("results/history.jsonl")).unwrap();
    for (name, mib, _) in scripts {
        let bytes = mib << 20;
        let line = format!(r#"{{"name":"{name}","stamp":"","verdict":"passed","wall_us":1,"peak_bytes":{bytes}}}"#);
        writeln!(history, "{line}").unwrap();
    }
    place
}

/// Reserves 100 MiB until it is dropped, as a process of the run would.
struct Reservation(File);

impl Reservation {
    fn new(place: &Place) -> Reservation {
        fs::create_dir_all(place.path("results/memory")).unwrap();
        let mut file = File::create(place.path("results/memory/process-of-the-test")).unwrap();
        fs2::FileExt::lock_exclusive(&file).unwrap();
        writeln!(file, "runs {} 0", 100 << 20).unwrap();
        Reservation(file)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // Closing is not enough: a child that another test has just started may have it open, too.
        fs2::FileExt::unlock(&self.0).unwrap();
    }
}

/// Whether a worker waits for memory.
fn someone_waits(place: &Place) -> bool {
    let files = fs::read_dir(place.path("results/memory")).into_iter().flatten().flatten();
    files.map(|file| fs::read_to_string(file.path()).unwrap_or_default()).any(|text| text.starts_with("waits"))
}

#[test]
fn files_that_do_not_fit_together_run_one_after_another() {
    let names = ["a.test", "b.test", "c.test", "d.test", "e.test", "f.test"];
    let place = place(&names.map(|name| (name, 60, fault("guard here"))));
    place.run("--workers 3 --run-memory 100M").exits(0);
    // The files really use less memory, so without a history they would have run at once.
    let history = fs::read_to_string(place.path("results/history.jsonl")).unwrap();
    let last: serde_json::Value = serde_json::from_str(history.lines().last().unwrap()).unwrap();
    assert!(last["peak_bytes"].as_u64().is_some_and(|peak| peak > 0 && peak < 60 << 20), "{last}");
}

#[test]
fn files_that_fit_together_run_at_once() {
    let place = place(&["a.test", "b.test"].map(|name| (name, 50, fault("meet together 2"))));
    place.run("--workers 2 --run-memory 100M").exits(0);
}

#[test]
fn a_file_that_needs_more_than_there_is_runs_alone() {
    let small = ["a.test", "b.test", "c.test", "d.test"].map(|name| (name, 10, fault("guarded here")));
    let large = ["v.test", "w.test"].map(|name| (name, 500, fault("guard here")));
    let scripts: Vec<_> = small.into_iter().chain(large).collect();
    place(&scripts).run("--workers 4 --run-memory 100M").exits(0);
}

#[test]
fn a_worker_that_dies_or_is_killed_leaves_its_room() {
    let place = place(&[
        ("a.test", 60, fault("once died segv")),
        ("b.test", 60, fault("hang")),
        ("c.test", 60, fault("guard here")),
        ("d.test", 60, fault("guard here")),
    ]);
    let ended = place.run("--workers 4 --run-memory 100M --file-timeout 1").exits(101);
    ended.says("flaky (passed on attempt 2)");
    assert!(ended.verdict("b.test").starts_with("timed out"), "{ended}");
    assert_eq!((ended.verdict("c.test"), ended.verdict("d.test")), ("ok", "ok"), "{ended}");
}

#[test]
fn waiting_for_memory_does_not_count_as_running() {
    let place = place(&[("a.test", 60, runs("SELECT 1"))]);
    let reservation = Reservation::new(&place);
    let running = place.start("--workers 1 --run-memory 100M --file-timeout 1 --query-timeout 1 --timings");
    wait_until("a worker waits", || someone_waits(&place));
    // Longer than the limit, and longer than the supervisor waits for a worker that exceeds it.
    std::thread::sleep(std::time::Duration::from_millis(2500));
    drop(reservation);
    let ended = running.wait().exits(0);
    assert_eq!(ended.verdict("a.test"), "ok");
}

#[test]
fn a_run_that_is_stopped_does_not_wait_for_memory() {
    let place = place(&[("a.test", 60, runs("SELECT 1"))]);
    let reservation = Reservation::new(&place);
    let ended = place.start("--workers 1 --run-memory 100M --time-budget 0.5").wait().exits(3);
    assert_eq!(ended.verdict("a.test"), "not run (time budget)", "{ended}");
    // The same in a process that runs files itself.
    let ended = place.start("--run-memory 100M --queue q --time-budget 0.5").wait().exits(3);
    assert_eq!(ended.verdict("a.test"), "not run (time budget)", "{ended}");
    drop(reservation);
}
