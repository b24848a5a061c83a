//! The list of known failures, as users see it: it makes a run green, and becomes shorter.

use std::fs;
use std::path::Path;

use slt_harness::unstable::known::KnownFailures;

use crate::faulty_support::{Place, fault};
use crate::support::{FAILS, PASSES, Printed, at_once, command, folder, target_binary};

/// Fails in its lines 1 and 6.
const TWICE: &str = "query I\nSELECT 1\n----\n2\n\nquery I\nSELECT 3\n----\n4\n";

fn run(root: &Path, arguments: &str) -> Printed {
    let mut command = command(target_binary());
    command.current_dir(root).args(["--root", "tests", "--results", "results"]);
    Printed::of(command.args(arguments.split_whitespace()))
}

/// Each mode, which must give the same result.
const WAYS: [&str; 3] = ["", "--parallel", "--parallel --workers 2"];

#[test]
fn the_first_list_makes_the_next_run_green_in_every_mode() {
    at_once(&WAYS, |way| {
        let root = folder(&[("tests/bad.test", FAILS), ("tests/good.test", PASSES), ("tests/twice.test", TWICE)]);
        let printed = run(root.path(), &format!("{way} --write-known-failures known.toml"));
        assert_eq!(printed.code, 101, "{printed:?}");
        assert!(printed.err.contains("wrote 2 files to `known.toml`: "), "{printed:?}");
        let printed = run(root.path(), &format!("{way} --known-failures known.toml"));
        assert_eq!(printed.code, 0, "{way}: {printed:?}");
        assert!(printed.out.contains("known failure (the value differs)"), "{printed:?}");
        assert!(printed.out.contains("test result: ok. 1 passed; 0 failed; 2 ignored"), "{printed:?}");
        let printed = run(root.path(), &format!("{way} --write-known-failures known.toml"));
        assert_eq!(printed.code, 2, "{printed:?}");
        assert!(printed.err.contains("`known.toml` already exists"), "{printed:?}");
    });
}

#[test]
fn processes_that_share_a_queue_write_one_first_list_of_all_files() {
    let place = Place::with_many(12, &format!("{}\nstatement ok\nFAULT error on purpose\n", fault("sleep 100")));
    let runs = [(); 3].map(|()| place.start("--write-known-failures known.toml"));
    for run in runs {
        let ended = run.wait();
        assert!(!ended.stderr.contains("warning"), "{ended}");
    }
    let list = fs::read_to_string(place.path("known.toml")).unwrap();
    assert_eq!(list.matches("[[known]]").count(), 12, "{list}");
}

#[test]
fn new_failures_and_unexpected_passes_fail_the_run_and_the_ratchet_removes_the_latter() {
    at_once(&WAYS, |way| {
        let root = folder(&[("tests/bad.test", FAILS), ("tests/good.test", PASSES), ("tests/twice.test", TWICE)]);
        run(root.path(), "--write-known-failures known.toml");
        let list = root.path().join("known.toml");
        fs::write(&list, format!("{}\n# The end.\n", fs::read_to_string(&list).unwrap())).unwrap();
        fs::write(root.path().join("tests/bad.test"), PASSES).unwrap();
        fs::write(root.path().join("tests/twice.test"), TWICE.replace('4', "3")).unwrap();
        let printed = run(root.path(), &format!("{way} --known-failures known.toml"));
        assert_eq!(printed.code, 101, "{way}: {printed:?}");
        assert!(printed.out.contains("unexpected pass (known failure: the value differs)"), "{printed:?}");
        assert!(printed.out.contains("known to fail, but passing now: line 6"), "{printed:?}");
        let printed = run(root.path(), &format!("{way} --known-failures known.toml --ratchet"));
        assert_eq!(printed.code, 0, "{way}: {printed:?}");
        assert!(printed.err.contains("removed from the known failures: bad.test"), "{printed:?}");
        let text = fs::read_to_string(&list).unwrap();
        assert!(!text.contains("bad.test") && text.contains("line = 1 ") && !text.contains("line = 6"), "{text}");
        assert!(text.starts_with("# Files that are known to fail") && text.ends_with("# The end.\n"), "{text}");
        fs::write(root.path().join("tests/twice.test"), TWICE.replace('4', "5")).unwrap();
        let printed = run(root.path(), &format!("{way} --known-failures known.toml"));
        assert_eq!(printed.code, 101, "{way}: {printed:?}");
        assert!(printed.out.contains("failing, but not known to fail: line 6"), "{printed:?}");
    });
}

/// Each mode of `faulty`.
const MODES: [&str; 5] = ["", "--exact a.test", "--parallel", "--parallel --workers 2", "--parallel --exact a.test"];

fn through(place: &Place, mode: &str, arguments: &str) -> crate::faulty_support::Ended {
    let mut command = place.serial();
    command.args(mode.split_whitespace()).args(arguments.split_whitespace());
    place.start_command(command).wait()
}

/// An entry for `a.test` that pins these records, with further keys in `more`.
fn entry(records: &[(&str, u64)], more: &str) -> String {
    let pin = |(sql, line): &(&str, u64)| {
        format!("{{ sql = \"{}\", line = {line} }}", slt_harness::unstable::outcome::RecordId::new(sql, *line).sql)
    };
    let pins: Vec<String> = records.iter().map(pin).collect();
    format!("[[known]]\npath = \"a.test\"\nreason = \"r\"\nrecords = [{}]\n{more}", pins.join(", "))
}

#[test]
fn a_script_that_stops_early_is_a_known_failure_only_if_its_entry_says_so() {
    // Fails in line 1, loses its connection in line 4, and would fail in line 7.
    let script = "statement ok\nFAULT error x\n\nstatement ok\nFAULT lose\n\nstatement ok\nFAULT error y\n";
    let pins = [("FAULT error x", 1), ("FAULT lose", 4)];
    let place = Place::new([("a.test", script)]);
    let list = place.path("known.toml");
    for mode in MODES {
        for (text, code) in [(entry(&pins, ""), 101), (entry(&pins, "ends = \"connection_lost\"\n"), 0)] {
            fs::write(&list, &text).unwrap();
            let ended = through(&place, mode, "--known-failures known.toml").exits(code);
            let wanted = if code == 0 { "known failure" } else { "`ends = \"connection_lost\"`" };
            ended.says(wanted);
        }
        // The process ends at the first pin: the second one was not seen to pass.
        let text = entry(&[("FAULT lose", 4), ("FAULT error y", 7)], "");
        fs::write(&list, &text).unwrap();
        through(&place, mode, "--known-failures known.toml --ratchet").exits(101);
        assert_eq!(fs::read_to_string(&list).unwrap(), text, "{mode}");
    }
}

#[test]
fn a_count_of_failing_records_covers_no_syntax_error() {
    let records = "statement ok\nFAULT error x\n\n".repeat(11);
    let place = Place::new([("a.test", format!("{records}nonsense\n"))]);
    fs::write(place.path("known.toml"), "[[known]]\npath = \"a.test\"\nreason = \"r\"\nfailed = 12\n").unwrap();
    for mode in MODES {
        let ended = through(&place, mode, "--known-failures known.toml").exits(101);
        ended.says("`ends = \"syntax_error\"`");
    }
}

#[test]
fn a_known_failure_does_not_stop_a_file() {
    let place = Place::new([("a.test", "statement ok\nFAULT error x\n\nstatement ok\nFAULT error y\n")]);
    for mode in MODES {
        fs::write(place.path("known.toml"), entry(&[("FAULT error x", 1)], "")).unwrap();
        let ended = through(&place, mode, "--known-failures known.toml --fail-fast").exits(101);
        ended.says("failing, but not known to fail: line 4");
        fs::write(place.path("known.toml"), entry(&[("FAULT error x", 1), ("FAULT error y", 4)], "")).unwrap();
        through(&place, mode, "--known-failures known.toml --fail-fast").exits(0);
    }
}

#[test]
fn a_pinned_record_that_is_skipped_or_after_a_halt_stays_on_the_list() {
    let first = "statement ok\nFAULT error x\n\n";
    for rest in ["halt\n\nstatement ok\nSELECT 1\n", "skipif sqlite\nstatement ok\nSELECT 1\n"] {
        let place = Place::new([("a.test", format!("{first}{rest}"))]);
        let text = entry(&[("FAULT error x", 1), ("SELECT 1", 6)], "");
        fs::write(place.path("known.toml"), &text).unwrap();
        for mode in MODES {
            let ended = through(&place, mode, "--known-failures known.toml --ratchet").exits(101);
            ended.says("known to fail, but not run");
            assert_eq!(fs::read_to_string(place.path("known.toml")).unwrap(), text);
        }
    }
}

#[test]
fn an_unreadable_file_is_not_a_known_failure_and_not_on_a_first_list() {
    let place = Place::new([("a.test", PASSES)]);
    fs::remove_file(place.path("tests/a.test")).unwrap();
    fs::create_dir(place.path("tests/b")).unwrap();
    // `/proc/self/mem` cannot be read from its start.
    std::os::unix::fs::symlink("/proc/self/mem", place.path("tests/a.test")).unwrap();
    fs::write(place.path("known.toml"), "[[known]]\npath = \"a.test\"\nreason = \"r\"\n").unwrap();
    for mode in ["", "--parallel --workers 1"] {
        let ended = through(&place, mode, "--known-failures known.toml");
        assert_ne!(ended.code, Some(0), "{ended}");
    }
    let _ = through(&place, "", "--write-known-failures first.toml");
    let first = fs::read_to_string(place.path("first.toml")).unwrap_or_default();
    assert!(!first.contains("a.test"), "{first}");
}

#[test]
fn an_entry_without_effect_is_a_warning() {
    let root = folder(&[("tests/bad.test", FAILS)]);
    let entry = "[[known]]\npath = \"bad.test\"\nreason = \"r\"\n";
    fs::write(root.path().join("known.toml"), format!("{entry}{entry}")).unwrap();
    for way in WAYS {
        let printed = run(root.path(), &format!("{way} --known-failures known.toml"));
        assert_eq!(printed.code, 0, "{printed:?}");
        assert!(printed.err.contains("warning: the known failure `bad.test` has no effect"), "{printed:?}");
        assert!(printed.err.contains("at known.toml:4"), "{printed:?}");
    }
}

#[test]
fn a_list_that_cannot_be_used_says_why_and_runs_nothing() {
    let root = folder(&[("tests/good.test", PASSES)]);
    for (list, words) in [
        (
            "[[known]]\npath = \"good.test\"\nreasn = \"x\"\n",
            "known.toml:3: unknown key `reasn`; did you mean `reason`?",
        ),
        (
            "[[known]]\npath = \"gone.test\"\nreason = \"x\"\n",
            "no file matches the known failure `gone.test`, at known.toml:1",
        ),
        ("[[known", "error: known.toml:1: "),
    ] {
        fs::write(root.path().join("known.toml"), list).unwrap();
        for way in WAYS {
            let printed = run(root.path(), &format!("{way} --known-failures known.toml"));
            assert_eq!((printed.code, printed.out.as_str()), (2, ""), "{printed:?}");
            assert!(printed.err.contains(words), "{printed:?}");
        }
    }
    assert_eq!(run(root.path(), "--known-failures absent.toml").code, 2);
    assert_eq!(run(root.path(), "--ratchet").code, 2);
}

#[test]
fn the_lists_for_servers_contain_only_names_hashes_and_lines_of_the_files() {
    for name in ["postgres", "mariadb"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/known/{name}.toml"));
        KnownFailures::read(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let entries: Vec<&str> = text.split("[[known]]\n").skip(1).collect();
        assert!(entries.len() > 5, "{name}");
        for entry in entries {
            assert!(entry.contains(&format!("engine = \"{name}\"\n")), "{entry}");
            assert!(entry.contains("\nfailed = ") != entry.contains("\nrecords = ["), "{entry}");
            for line in entry.lines() {
                let keys =
                    ["path = \"", "engine = \"", "reason = \"", "failed = ", "records = [", "]", "#", "  { sql = \""];
                assert!(line.is_empty() || keys.iter().any(|key| line.starts_with(key)), "{line}");
                assert!(line.len() < if line.starts_with("  ") { 60 } else { 200 }, "{line}");
            }
        }
    }
}
