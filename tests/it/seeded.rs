//! A run on an engine with injected faults: every report names these faults and no others.
//!
//! It runs over the folder that `SLT_CORPUS` names, such as the public files, or over the files of this project.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use slt_harness::unstable::outcome::RecordId;

use crate::faulty_support::{Ended, Place};
use crate::support::{Printed, command};

/// Names, or texts of SQL.
type Set = BTreeSet<String>;

/// The faults that the engine has recorded.
struct Ledger {
    /// The SQL of each altered result, by script.
    altered: BTreeMap<String, Set>,
    crash: (String, String),
    hang: (String, String),
}

impl Ledger {
    fn read(path: &Path) -> Ledger {
        let mut altered: BTreeMap<String, Set> = BTreeMap::new();
        let mut ends = BTreeMap::new();
        for line in fs::read_to_string(path).unwrap().lines() {
            let entry: Value = serde_json::from_str(line).unwrap();
            let [fault, script, sql] = ["fault", "script", "sql"].map(|key| entry[key].as_str().unwrap().to_owned());
            if fault == "altered" {
                altered.entry(script).or_default().insert(sql);
            } else {
                assert!(ends.insert(fault, (script, sql)).is_none(), "one file crashes and one hangs, once: {line}");
            }
        }
        let mut end = |fault: &str| ends.remove(fault).unwrap_or_else(|| panic!("nothing was seeded: {fault}"));
        Ledger { altered, crash: end("segv"), hang: end("hang") }
    }

    /// The files with altered results.
    fn wrong(&self) -> Set {
        self.altered.keys().cloned().collect()
    }

    /// The files that crashed their worker.
    fn ended(&self) -> Set {
        [&self.crash.0, &self.hang.0].map(Clone::clone).into()
    }

    /// All files with a fault.
    fn all(&self) -> Set {
        &self.wrong() | &self.ended()
    }

    /// The SQL of all faults of a file.
    fn sql(&self, name: &str) -> Set {
        let ends = [&self.crash, &self.hang].into_iter().filter(|(script, _)| script == name);
        ends.map(|(_, sql)| sql.clone()).chain(self.altered.get(name).into_iter().flatten().cloned()).collect()
    }
}

/// The folder of the files, the files that are left out, N if one result in N is altered, and the time limit of a record in
/// seconds.
fn corpus() -> (PathBuf, Vec<String>, u32, u32) {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let Some(corpus) = std::env::var_os("SLT_CORPUS").filter(|path| !path.is_empty()) else {
        // The SQL of some records is made at run time, so the ledger differs from the file; and the engine with faults
        // cannot open another database.
        let left_out = ["evidence/directives/variables.slt", "duckdb/"].map(str::to_owned).to_vec();
        return (project.join("tests/corpus"), left_out, 20, 5);
    };
    // Files that fail without any fault.
    let verdicts = fs::read_to_string(project.join(".ci/corpus-verdicts.txt")).unwrap_or_default();
    let failing = verdicts.lines().filter_map(|line| line.strip_prefix("failed ")).map(str::to_owned).collect();
    (project.join(corpus), failing, 1000, 20)
}

/// Two files, far apart in the order, in which a crash or a hang at the third request is certain to be noticed.
fn victims(root: &Path, names: &[&str]) -> (String, String) {
    let begins = |name: &&&str| {
        let text = String::from_utf8_lossy(&fs::read(root.join(name)).unwrap()).into_owned();
        let mut records = text.lines().filter(|line| {
            ["statement ", "query ", "skipif ", "onlyif ", "include ", "halt"].iter().any(|word| line.starts_with(word))
        });
        let statements: Vec<&str> = records.by_ref().take(3).collect();
        statements.len() == 3 && statements.iter().all(|line| line.starts_with("statement ok"))
    };
    let fit: Vec<&str> = names.iter().filter(begins).copied().collect();
    assert!(fit.len() > 2, "files that begin with three statements: {fit:?}");
    (fit[fit.len() / 3].to_owned(), fit[fit.len() * 2 / 3].to_owned())
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {}", &text[..text.len().min(500)]))
}

fn array(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("no array: {value}"))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

fn texts(value: &Value) -> Set {
    array(value).iter().map(text).collect()
}

#[test]
fn every_report_names_the_injected_faults_and_no_others() {
    let (root, left_out, alter, limit) = corpus();
    let place = Place::new([("list/none.test", "")]);
    fs::remove_dir_all(place.path("tests")).unwrap();
    symlink(root.canonicalize().unwrap(), place.path("tests")).unwrap();
    let skips: String = left_out.iter().map(|name| format!(" --skip {name}")).collect();
    let listed = place.start(&format!("--list --format terse{skips}")).wait().exits(0);
    let names: Vec<&str> = listed.stdout.lines().filter_map(|line| line.strip_suffix(": test")).collect();
    let (crash, hang) = victims(&root, &names);

    let mut run = place.command(&format!("--workers 4 --crash-retries 0 --query-timeout {limit} --report{skips}"));
    run.env("FAULTY_LEDGER", place.path("ledger")).env("FAULTY_ALTER", alter.to_string());
    run.env("FAULTY_CRASH", &crash).env("FAULTY_HANG", &hang);
    run.env("GITHUB_ACTIONS", "true")
        .env("GITHUB_WORKSPACE", place.path(""))
        .env("GITHUB_STEP_SUMMARY", place.path("summary.md"));
    // The public files take a minute or two.
    let ended = place.start_command(run).wait_at_most(Duration::from_secs(900)).exits(101);
    assert_eq!(place.alive(), Vec::<String>::new(), "processes stay behind");
    let ledger = Ledger::read(&place.path("ledger"));
    assert_eq!((&ledger.crash.0, &ledger.hang.0), (&crash, &hang));
    assert!(ledger.altered.len() > 3, "too few results were altered: {:?}", ledger.altered);

    let folder = place.path("results");
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    in_results(&json(&read("results.json")), &ledger, names.len());
    in_the_earlier_shape(&json(&read("sqllogictest_results.json")), &ledger);
    in_junit(&read("junit.xml"), &ledger);
    in_the_page(&read("report.html"), &ledger);
    on_the_console(&ended, &ledger, limit);
    on_github(&fs::read_to_string(place.path("summary.md")).unwrap(), &ended, &ledger);
    in_the_commands(&folder, &ledger);
}

fn in_results(results: &Value, ledger: &Ledger, planned: usize) {
    let (mut wrong, mut crashed, mut timed_out) = (Set::new(), Set::new(), Set::new());
    for outcome in array(&results["outcomes"]) {
        let name = text(&outcome["name"]);
        let first = &outcome["failures"][0];
        match outcome["verdict"].as_str().unwrap() {
            "passed" | "ignored" => continue,
            "failed" => {
                let ids: Set = array(&outcome["failed_records"]).iter().map(|id| text(&id["sql"])).collect();
                let seeded: Set = ledger.sql(&name).iter().map(|sql| RecordId::new(sql, 0).sql).collect();
                assert_eq!(ids, seeded, "{name}");
                wrong.insert(name);
            }
            "crashed" => {
                assert_eq!((text(&outcome["how"]), text(&first["sql"])), ("SIGSEGV".into(), ledger.crash.1.clone()));
                crashed.insert(name);
            }
            "timed_out" => {
                assert_eq!(text(&first["sql"]), ledger.hang.1);
                timed_out.insert(name);
            }
            other => panic!("{name}: {other}"),
        }
    }
    assert_eq!(wrong, ledger.wrong());
    assert_eq!((crashed, timed_out), ([ledger.crash.0.clone()].into(), [ledger.hang.0.clone()].into()));
    let total = &results["total"];
    let sum = ["passed", "failed", "crashed", "timed_out", "ignored"].iter().map(|key| total[key].as_u64().unwrap());
    assert_eq!((total["planned"].as_u64(), sum.sum::<u64>()), (Some(planned as u64), planned as u64), "{total}");
}

fn in_the_earlier_shape(results: &Value, ledger: &Ledger) {
    assert_eq!(texts(&results["tested_files"]["failed"]), ledger.all());
    assert_eq!(texts(&results["tested_files"]["errors"]), ledger.ended());
    let mut printed = Set::new();
    for file in array(&results["detailed_failures"]) {
        let name = text(&file["file_path"]);
        let sql: Set = array(&file["failures"]).iter().map(|failure| text(&failure["sql_statement"])).collect();
        let seeded = ledger.sql(&name);
        assert!(sql.is_subset(&seeded), "{name}: {sql:?} {seeded:?}");
        assert!(array(&file["failures"]).len() == 10 || sql == seeded, "{name}: {sql:?} {seeded:?}");
        printed.insert(name);
    }
    assert_eq!(printed, ledger.all());
}

fn in_junit(junit: &str, ledger: &Ledger) {
    let document = roxmltree::Document::parse(junit).unwrap();
    let (mut failures, mut errors) = (Set::new(), Set::new());
    for case in document.descendants().filter(|node| node.has_tag_name("testcase")) {
        let name = case.attribute("name").unwrap();
        for child in case.children().filter(roxmltree::Node::is_element) {
            let names = match child.tag_name().name() {
                "failure" => &mut failures,
                "error" => &mut errors,
                _ => continue,
            };
            let seeded = ledger.sql(name);
            let words = child.text().unwrap();
            assert!(seeded.iter().any(|sql| words.contains(&format!("[SQL] {sql}\n"))), "{name}: {words}");
            names.insert(name.to_owned());
        }
    }
    assert_eq!((failures, errors), (ledger.wrong(), ledger.ended()));
}

fn in_the_page(page: &str, ledger: &Ledger) {
    let begin = "<script type=\"application/json\" id=\"data\">";
    let data = json(page.split(begin).nth(1).unwrap().split("</script>").next().unwrap());
    let kinds = |wanted: &[&str]| -> Set {
        let is = |kind: &Value| wanted.contains(&data["kinds"][kind.as_u64().unwrap() as usize][0].as_str().unwrap());
        let pairs = array(&data["names"]).iter().zip(array(&data["kind"]));
        pairs.filter(|(_, kind)| is(kind)).map(|(name, _)| text(name)).collect()
    };
    assert_eq!(kinds(&["failed"]), ledger.wrong());
    assert_eq!(
        (kinds(&["crashed"]), kinds(&["timed-out"])),
        ([ledger.crash.0.clone()].into(), [ledger.hang.0.clone()].into())
    );
    assert_eq!(kinds(&["out-of-memory", "unexpected-pass", "known-failure", "flaky", "not-run"]), Set::new());
}

fn on_the_console(ended: &Ended, ledger: &Ledger, limit: u32) {
    let failing =
        ended.verdicts().into_iter().filter(|(_, verdict)| *verdict != "ok" && !verdict.starts_with("ignored"));
    let failing: BTreeMap<&str, &str> = failing.collect();
    assert_eq!(failing.keys().map(|name| (*name).to_owned()).collect::<Set>(), ledger.all());
    assert_eq!(failing[ledger.crash.0.as_str()], "crashed (SIGSEGV)");
    assert_eq!(failing[ledger.hang.0.as_str()], format!("timed out after {limit} s"));
    let printed = ended.stdout.lines().filter_map(|line| line.strip_prefix("---- ")?.strip_suffix(" stdout ----"));
    assert_eq!(printed.map(str::to_owned).collect::<Set>(), ledger.all());
    for (_, sql) in [&ledger.crash, &ledger.hang] {
        ended.says(&format!("[SQL] {sql}\n"));
    }
}

fn on_github(summary: &str, ended: &Ended, ledger: &Ledger) {
    let all = ledger.all();
    let what = summary.split("### What failed").nth(1).unwrap();
    let printed: Set =
        what.split("<code>").skip(1).map(|rest| rest.split("</code>").next().unwrap().replace("&#95;", "_")).collect();
    assert!(printed.is_subset(&all) && printed.len() == all.len().min(50), "{printed:?}");
    assert_eq!(summary.contains(&format!("… and {} more files", all.len().saturating_sub(50))), all.len() > 50);
    let errors = ended.stdout.lines().filter(|line| line.starts_with("::error file=tests/"));
    let files: Set =
        errors.map(|line| line["::error file=tests/".len()..].split(',').next().unwrap().to_owned()).collect();
    let room = if all.len() > 10 { 9 } else { all.len() };
    assert!(files.is_subset(&all) && files.len() == room, "{files:?}");
}

fn in_the_commands(results: &Path, ledger: &Ledger) {
    let slt = |arguments: &[&str]| {
        let printed = Printed::of(command(env!("CARGO_BIN_EXE_slt")).env("SLT_RESULTS", results).args(arguments));
        assert_eq!((printed.code, printed.err.as_str()), (0, ""), "{arguments:?}");
        printed.out
    };
    let list = slt(&["punchlist", "--output", "-"]);
    let ticked = list.lines().filter_map(|line| line.strip_prefix("- [ ] `")?.split('`').next());
    assert_eq!(ticked.map(str::to_owned).collect::<Set>(), ledger.all());
    let status = json(&slt(&["status", "--json"]));
    assert_eq!(array(&status["failing"]).iter().map(|file| text(&file["name"])).collect::<Set>(), ledger.all());
    let mut clustered = Set::new();
    for cluster in array(&json(&slt(&["analyze", "--json"]))["clusters"]) {
        let (cause, files) = (text(&cluster["cause"]), texts(&cluster["files"]));
        let seeded = match cause.as_str() {
            "crashed (SIGSEGV)" => [ledger.crash.0.clone()].into(),
            "timed out" => [ledger.hang.0.clone()].into(),
            _ => ledger.wrong(),
        };
        assert!(files.is_subset(&seeded), "{cause}: {files:?}");
        clustered.extend(files);
    }
    assert_eq!(clustered, ledger.all());
    if cfg!(feature = "sqlite") {
        let rows = json(&slt(&["query", "--preset", "failed-files", "--format", "json"]));
        assert_eq!(array(&rows).iter().map(|row| text(&row["file_path"])).collect::<Set>(), ledger.all());
    }
}
