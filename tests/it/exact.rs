//! The cost of one file's trial does not depend on the number of files.

use std::fs;

use crate::support::{PASSES, command, folder, run, target_binary};

/// The paths inside the corpus that a run opened or listed, as seen by the kernel.
fn opened(root: &std::path::Path, arguments: &[&str]) -> Vec<String> {
    let log = root.with_extension("strace");
    let status = command("strace")
        .args(["-f", "-qq", "-e", "trace=open,openat", "-o"])
        .arg(&log)
        .arg(target_binary())
        .args(arguments)
        .env("SLT_CORPUS", root)
        .stdout(std::process::Stdio::null())
        .status()
        .expect("strace is installed (`.ci/run` does that)");
    assert!(status.success());
    let calls = fs::read_to_string(&log).unwrap();
    fs::remove_file(log).unwrap();
    let root = root.to_str().unwrap();
    let paths = calls.lines().filter_map(|line| line.split('"').nth(1));
    paths.filter(|path| path.starts_with(root)).map(|path| path[root.len()..].to_owned()).collect()
}

#[test]
fn a_full_name_opens_only_its_own_file_and_lists_no_folder() {
    let names: Vec<String> = (0..50).map(|number| format!("f{}/{number}.test", number % 5)).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), PASSES)).collect();
    let root = folder(&files);
    assert_eq!(opened(root.path(), &["--exact", "f3/13.test", "--nocapture"]), ["/f3/13.test"]);
    assert!(opened(root.path(), &["13.test"]).len() > 5, "a filter has to list the folders");
}

#[test]
fn a_file_has_one_rust_path_with_and_without_a_listing() {
    let root = folder(&[("a-b.slt", PASSES), ("a_b.slt", PASSES), ("X.TEST", PASSES)]);
    let json = ["-Z", "unstable-options", "--format", "json"];
    let ended = |arguments: &[&str]| -> Vec<String> {
        let printed = run(root.path(), &[&json, arguments].concat());
        assert_eq!(printed.code, 0, "{}", printed.err);
        let events = printed.out.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let mut names: Vec<String> = events
            .filter(|event| event["type"] == "test" && event["event"] == "ok")
            .map(|event| event["name"].as_str().unwrap().to_owned())
            .collect();
        names.sort_unstable();
        names
    };
    assert_eq!(ended(&[]), ["X_TEST", "a_b_slt", "a_b_slt__x2d"]);
    for (name, path) in [("a-b.slt", "a_b_slt__x2d"), ("a_b.slt", "a_b_slt"), ("X.TEST", "X_TEST")] {
        assert_eq!(ended(&["--exact", name]), [path]);
        assert_eq!(ended(&["--exact", path]), [path]);
    }
}
