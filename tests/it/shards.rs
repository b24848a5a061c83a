//! A suite split over machines that do not communicate, and what happens if a shard is missing.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::results::{json, valid, valid_junit};
use crate::support::{FAILS, PASSES, Printed, command, folder, target_binary};

/// A suite, and folders for the results of its shards.
struct Place {
    folder: TempDir,
}

impl Place {
    /// Files `0.test`, `1.test`, … that pass.
    fn new(files: usize) -> Place {
        let names: Vec<String> = (0..files).map(|number| format!("suite/{number}.test")).collect();
        let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), PASSES)).collect();
        Place { folder: folder(&files) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the target with its results in `results`.
    fn run(&self, results: &str, arguments: &[&str]) -> Printed {
        let mut run = command(target_binary());
        run.env("SLT_CORPUS", self.path("suite")).env("SLT_RESULTS", self.path(results));
        Printed::of(run.args(arguments))
    }

    fn slt(&self, arguments: &[&str]) -> Printed {
        Printed::of(command(env!("CARGO_BIN_EXE_slt")).current_dir(self.folder.path()).args(arguments))
    }

    /// The names that `--list` prints.
    fn list(&self, arguments: &[&str]) -> Vec<String> {
        let printed = self.run("r", &[&["--list", "--format", "terse"], arguments].concat());
        assert_eq!(printed.code, 0, "{printed:?}");
        printed.out.lines().map(|line| line.strip_suffix(": test").unwrap().to_owned()).collect()
    }

    fn history(&self, results: &str, lines: &[(&str, u64)]) {
        let line = |(name, us): &(&str, u64)| {
            format!("{{\"name\":\"{name}\",\"stamp\":\"\",\"verdict\":\"passed\",\"wall_us\":{us}}}\n")
        };
        fs::create_dir_all(self.path(results)).unwrap();
        fs::write(self.path(results).join("history.jsonl"), lines.iter().map(line).collect::<String>()).unwrap();
    }
}

/// The names of the files in a run's outcomes.
fn ran(results: &Path) -> Vec<String> {
    let results = json(&results.join("results.json"));
    let names = results["outcomes"].as_array().unwrap().iter().map(|outcome| outcome["name"].as_str().unwrap());
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort_unstable();
    names
}

#[test]
fn an_invalid_shard_is_refused() {
    let place = Place::new(1);
    for (value, words) in [
        ("0/3", "there is no shard 0 of 3: shards are counted from 1 to 3"),
        ("4/3", "there is no shard 4 of 3"),
        ("x", "not a shard such as `2/4`"),
    ] {
        let printed = place.run("r", &["--shard", value]);
        assert!(
            printed.code == 2 && printed.err.contains(words) && printed.err.contains("--shard <K/N>"),
            "{printed:?}"
        );
        let mut by_variable = command(target_binary());
        let printed = Printed::of(by_variable.env("SLT_CORPUS", place.path("suite")).env("SLT_SHARD", value));
        assert!(printed.code == 2 && printed.err.contains(words) && printed.err.contains("`SLT_SHARD`"), "{printed:?}");
    }
    let printed = place.run("r", &["--shard", "1/2", "--shard-history", "absent"]);
    assert!(printed.code == 2 && printed.err.contains("`--shard-history`: cannot read `absent`"), "{printed:?}");
    let printed = place.run("r", &["--shard", "1/2", "--exact", "0.test"]);
    assert!(printed.code == 2 && printed.err.contains("`--exact` names the files to run"), "{printed:?}");
    assert!(!place.path("r").exists());
}

#[test]
fn a_shard_has_the_same_files_in_every_mode() {
    let place = Place::new(10);
    let mut all = Vec::new();
    for shard in ["1/3", "2/3", "3/3"] {
        let listed = place.list(&["--shard", shard]);
        assert!((3..=4).contains(&listed.len()), "{listed:?}");
        let serial = place.run("serial", &["--shard", shard]);
        assert_eq!(serial.code, 0, "{serial:?}");
        let line =
            format!("shard {} of 3: {} of 10 files, by name, because there is no history", &shard[..1], listed.len());
        assert!(serial.err.contains(&line), "{serial:?}");
        assert!(serial.result().contains(&format!("{} filtered out", 10 - listed.len())), "{serial:?}");
        let supervised = place.run("supervised", &["--parallel", "--workers", "2", "--shard", shard]);
        let joined = place.run("joined", &["--parallel", "--shard", shard]);
        for (printed, results) in [(&serial, "serial"), (&supervised, "supervised"), (&joined, "joined")] {
            assert_eq!(printed.code, 0, "{printed:?}");
            assert_eq!(ran(&place.path(results)), listed, "{results}");
            let written = valid(&place.path(results), "results.json");
            assert_eq!((&written["split"]["files"], &written["shard"]["of"]), (&10.into(), &3.into()));
            // As on separate machines: every shard splits the files by the same history, which is empty.
            fs::remove_file(place.path(results).join("history.jsonl")).unwrap();
        }
        all.extend(listed);
    }
    all.sort_unstable();
    assert_eq!(all, place.list(&[]));
    assert_eq!(place.list(&["--shard", "1/2", "3.test"]).len() + place.list(&["--shard", "2/2", "3.test"]).len(), 1);
}

#[test]
fn nextest_lists_a_shard_and_runs_what_it_listed() {
    let place = Place::new(4);
    let nextest = |arguments: &[&str]| {
        let mut run = command(target_binary());
        run.env("SLT_CORPUS", place.path("suite")).env("SLT_RESULTS", place.path("r"));
        Printed::of(run.env("NEXTEST", "1").env("SLT_SHARD", "1/2").args(arguments))
    };
    let listed = nextest(&["--list", "--format", "terse"]);
    assert_eq!((listed.code, listed.out.lines().count()), (0, 2), "{listed:?}");
    assert_eq!(nextest(&["--list", "--format", "terse", "--ignored"]).out, "");
    for name in ["0.test", "1.test", "2.test", "3.test"] {
        let printed = nextest(&["--exact", name, "--nocapture"]);
        assert!(printed.code == 0 && printed.verdict(name) == Some("ok"), "{printed:?}");
    }
    assert!(!place.path("r").exists());
}

#[test]
fn a_merge_is_green_only_with_all_shards_of_one_suite() {
    let place = Place::new(5);
    for shard in ["1/2", "2/2"] {
        let printed = place.run(&format!("s{}", &shard[..1]), &["--shard", shard]);
        assert_eq!(printed.code, 0, "{printed:?}");
    }
    let both = ["merge", "s1/results.json", "s2/results.json"];
    let printed = place.slt(&[&both[..], &["--output", "all.json", "--results", "all"]].concat());
    assert_eq!(printed.code, 0, "{printed:?}");
    let merged = valid(&place.path("all"), "results.json");
    assert_eq!(merged, json(&place.path("all.json")));
    assert_eq!((&merged["total"]["passed"], &merged["filtered_out"]), (&5.into(), &0.into()));
    valid_junit(&place.path("all"));
    let history = fs::read_to_string(place.path("all/history.jsonl")).unwrap();
    assert_eq!(history.lines().count(), 5, "{history}");

    let printed = place.slt(&[&both[..], &["--output", "-"]].concat());
    assert_eq!(serde_json::from_str::<serde_json::Value>(&printed.out).unwrap(), merged);
    assert!(printed.code == 0 && printed.err.contains("passed") && !place.path("-").exists(), "{printed:?}");
    assert_eq!(place.slt(&[&both[..], &["--output", "new/all.json"]].concat()).code, 0);
    assert_eq!(json(&place.path("new/all.json")), merged);
    let missing = place.slt(&["merge", "s1/results.json", "--allow-incomplete", "--results", "part"]);
    assert!(
        missing.code == 3 && missing.err.contains("error: shard 2 of 2 is missing: 2 files not run: `"),
        "{missing:?}"
    );
    let part = valid(&place.path("part"), "results.json");
    assert_eq!((&part["total"]["planned"], &part["total"]["not_run"]), (&5.into(), &2.into()));

    // Shards of another split, of another suite, with another history, and of another run.
    assert_eq!(place.run("third", &["--shard", "3/3"]).code, 0);
    fs::write(place.path("suite/new.test"), PASSES).unwrap();
    assert_eq!(place.run("other", &["--shard", "2/2"]).code, 0);
    fs::remove_file(place.path("suite/new.test")).unwrap();
    place.history("history", &[("0.test", 900), ("1.test", 50), ("2.test", 40), ("3.test", 30), ("4.test", 20)]);
    assert_eq!(place.run("history", &["--shard", "2/2"]).code, 0);
    let mut torn = json(&place.path("s2/results.json"));
    torn["split"]["shards"][0].as_array_mut().unwrap().pop();
    fs::create_dir(place.path("torn")).unwrap();
    fs::write(place.path("torn/results.json"), torn.to_string()).unwrap();
    for (second, words) in [
        ("s1", "`s1/results.json` and `s1/results.json` are both shard 1 of 2"),
        ("third", "shard 3 of 3 of `third/results.json` and shard 1 of 2 of `s1/results.json` do not belong together"),
        ("other", "`new.test` is only in the suite of `other/results.json`"),
        ("history", "every machine needs the same history"),
        ("torn", "its list of all files does not add up"),
    ] {
        let second = format!("{second}/results.json");
        let printed = place.slt(&["merge", "s1/results.json", &second, "--output", "never.json", "--results", "never"]);
        assert!(printed.code == 4 && printed.err.contains(words), "{words}: {printed:?}");
        assert!(!place.path("never.json").exists() && !place.path("never").exists());
    }
    let three = place.slt(&[&both[..], &["third/results.json"]].concat());
    assert_eq!(three.code, 4, "{three:?}");
    let stale = place.slt(&[&both[..], &["--run-id", "today"]].concat());
    assert!(stale.code == 4 && stale.err.contains("`s1/results.json` is of run `"), "{stale:?}");

    fs::write(place.path("new.json"), r#"{"version": 99}"#).unwrap();
    for (file, words) in
        [("new.json", "format version 99"), ("absent.json", "cannot read"), ("suite/0.test", "not hold")]
    {
        let printed = place.slt(&["merge", "s1/results.json", file]);
        assert!(printed.code == 4 && printed.err.contains(words) && printed.err.contains(file), "{printed:?}");
    }
    let nowhere = place.slt(&[&both[..], &["--output", "suite/0.test/all.json"]].concat());
    assert!(nowhere.code == 4 && nowhere.err.contains("cannot write `suite/0.test/all.json`"), "{nowhere:?}");
}

#[test]
fn a_failure_in_one_shard_fails_the_whole() {
    let place = Place::new(3);
    fs::write(place.path("suite/bad.test"), FAILS).unwrap();
    let codes: Vec<i32> = (1..=2)
        .map(|index| {
            let shard = format!("{index}/2");
            place
                .run(&format!("s{index}"), &["--parallel", "--workers", "1", "--run-id", "ci-1", "--shard", &shard])
                .code
        })
        .collect();
    assert!(codes == [0, 101] || codes == [101, 0], "{codes:?}");
    let printed = place.slt(&["merge", "s1/results.json", "s2/results.json", "--run-id", "ci-1"]);
    assert_eq!(printed.code, 101, "{printed:?}");
    assert!(printed.out.contains("\nfailing: 1 file\n  bad.test  FAILED  "), "{printed:?}");
    for results in ["s1/results.json", "s2/results.json"] {
        assert_ne!(place.slt(&["merge", results]).code, 0);
    }
}

#[test]
fn the_merged_history_decides_the_next_split() {
    let place = Place::new(4);
    place.history("h", &[("0.test", 1_000_000), ("1.test", 400_000), ("2.test", 300_000), ("3.test", 200_000)]);
    let history = place.path("h/history.jsonl");
    let by_history = |results: &str, shard: &str| {
        place.run(results, &["--shard", shard, "--shard-history", history.to_str().unwrap()])
    };
    let printed = by_history("s1", "1/2");
    assert!(printed.code == 0 && printed.err.contains("shard 1 of 2: 1 of 4 files, 1.00 s of 1.90 s"), "{printed:?}");
    assert_eq!(ran(&place.path("s1")), ["0.test"]);
    // The run in between has its own history, which changes nothing.
    assert_eq!(by_history("s1", "2/2").code, 0);
    assert_eq!(ran(&place.path("s1")), ["1.test", "2.test", "3.test"]);
    assert_eq!(fs::read_to_string(&history).unwrap().lines().count(), 4);
}

#[test]
fn a_shard_without_files_also_has_results() {
    let place = Place::new(1);
    for shard in ["1/2", "2/2"] {
        let printed = place.run(&format!("s{}", &shard[..1]), &["--parallel", "--workers", "2", "--shard", shard]);
        assert_eq!(printed.code, 0, "{printed:?}");
    }
    assert_eq!(ran(&place.path("s2")), [""; 0]);
    valid(&place.path("s2"), "results.json");
    valid_junit(&place.path("s2"));
    let printed = place.slt(&["merge", "s1/results.json", "s2/results.json"]);
    assert_eq!(printed.code, 0, "{printed:?}");
    let printed = place.slt(&["merge", "s1/results.json"]);
    assert!(printed.code == 3 && printed.err.contains("shard 2 of 2 is missing, which has no files"), "{printed:?}");
}
