//! Known failures as users meet them: a list that makes a run green, and grows shorter.

use std::fs;
use std::path::Path;

use slt_harness::known::KnownFailures;

use crate::faulty_support::{Place, fault};
use crate::support::{FAILS, PASSES, Said, command, folder, target_binary};

/// Fails in its lines 1 and 6.
const TWICE: &str = "query I\nSELECT 1\n----\n2\n\nquery I\nSELECT 3\n----\n4\n";

fn run(root: &Path, arguments: &str) -> Said {
    let mut command = command(target_binary());
    command.current_dir(root).args(["--root", "tests", "--results", "results"]);
    Said::of(command.args(arguments.split_whitespace()))
}

/// Each way of running, which must come to the same.
const WAYS: [&str; 3] = ["", "--parallel", "--parallel --workers 2"];

#[test]
fn the_first_list_makes_the_next_run_green_whichever_way() {
    for way in WAYS {
        let root = folder(&[("tests/bad.test", FAILS), ("tests/good.test", PASSES), ("tests/twice.test", TWICE)]);
        let said = run(root.path(), &format!("{way} --write-known-failures known.toml"));
        assert_eq!(said.code, 101, "{said:?}");
        assert!(said.err.contains("wrote 2 files to `known.toml`: "), "{said:?}");
        let said = run(root.path(), &format!("{way} --known-failures known.toml"));
        assert_eq!(said.code, 0, "{way}: {said:?}");
        assert!(said.out.contains("known failure (query result mismatch)"), "{said:?}");
        assert!(said.out.contains("test result: ok. 1 passed; 0 failed; 2 ignored"), "{said:?}");
        let said = run(root.path(), &format!("{way} --write-known-failures known.toml"));
        assert_eq!(said.code, 2, "{said:?}");
        assert!(said.err.contains("`known.toml` is there already"), "{said:?}");
    }
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
fn what_is_new_and_what_passes_unexpectedly_fail_the_run_until_the_ratchet_takes_it_off() {
    for way in WAYS {
        let root = folder(&[("tests/bad.test", FAILS), ("tests/good.test", PASSES), ("tests/twice.test", TWICE)]);
        run(root.path(), "--write-known-failures known.toml");
        let list = root.path().join("known.toml");
        fs::write(&list, format!("{}\n# The end.\n", fs::read_to_string(&list).unwrap())).unwrap();
        fs::write(root.path().join("tests/bad.test"), PASSES).unwrap();
        fs::write(root.path().join("tests/twice.test"), TWICE.replace('4', "3")).unwrap();
        let said = run(root.path(), &format!("{way} --known-failures known.toml"));
        assert_eq!(said.code, 101, "{way}: {said:?}");
        assert!(said.out.contains("unexpected pass (known failure: query result mismatch)"), "{said:?}");
        assert!(said.out.contains("known to fail, but passing now: line 6"), "{said:?}");
        let said = run(root.path(), &format!("{way} --known-failures known.toml --ratchet"));
        assert_eq!(said.code, 0, "{way}: {said:?}");
        assert!(said.err.contains("taken off the known failures: bad.test"), "{said:?}");
        let text = fs::read_to_string(&list).unwrap();
        assert!(!text.contains("bad.test") && text.contains("line = 1 ") && !text.contains("line = 6"), "{text}");
        assert!(text.starts_with("# Files that are known to fail") && text.ends_with("# The end.\n"), "{text}");
        fs::write(root.path().join("tests/twice.test"), TWICE.replace('4', "5")).unwrap();
        let said = run(root.path(), &format!("{way} --known-failures known.toml"));
        assert_eq!(said.code, 101, "{way}: {said:?}");
        assert!(said.out.contains("failing, but not known to: line 6"), "{said:?}");
    }
}

#[test]
fn a_list_that_cannot_be_used_says_why_and_runs_nothing() {
    let root = folder(&[("tests/good.test", PASSES)]);
    for (list, words) in [
        ("[[known]]\npath = \"good.test\"\nreasn = \"x\"\n", "unknown field `reasn`"),
        (
            "[[known]]\npath = \"gone.test\"\nreason = \"x\"\n",
            "no file matches the known failure `gone.test`, at known.toml:1",
        ),
        ("[[known", "the known failures `known.toml` cannot be used"),
    ] {
        fs::write(root.path().join("known.toml"), list).unwrap();
        for way in WAYS {
            let said = run(root.path(), &format!("{way} --known-failures known.toml"));
            assert_eq!((said.code, said.out.as_str()), (2, ""), "{said:?}");
            assert!(said.err.contains(words), "{said:?}");
        }
    }
    assert_eq!(run(root.path(), "--known-failures absent.toml").code, 2);
    assert_eq!(run(root.path(), "--ratchet").code, 2);
}

#[test]
fn the_lists_for_servers_hold_nothing_of_the_files_but_names_hashes_and_lines() {
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
