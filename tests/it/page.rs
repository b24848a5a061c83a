//! The HTML page of a run, by `--report` and `slt report`: in a browser, and if it cannot be written.

use std::fs;

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::faulty_support::{PASSES, Place, fault};
use crate::support::{FAILS, Printed, command, folder, target_binary};

const HOSTILE: &str = "hostile/<img src=x onerror=alert(1)>.test";

#[test]
fn the_page_loads_searches_opens_and_sends_no_request() {
    let Some(mut browser) = Browser::start() else { return };
    let place = Place::new([
        ("good/a.test", PASSES.to_owned()),
        ("good/b.test", PASSES.to_owned()),
        ("good/flaky.test", fault("once tripped segv")),
        ("bad/dies.test", fault("exit 3")),
        ("bad/fails.test", FAILS.to_owned()),
        (HOSTILE, "statement ok\nSELECT '</script><script>alert(1)</script>' FROM nowhere\n".to_owned()),
    ]);
    place.run("--workers 2").exits(101);
    fs::write(place.path("tests/good/b.test"), FAILS).unwrap();
    place.run("--workers 2 --report").exits(101);
    let path = place.path("results/report.html");
    browser.open(&path);

    assert_eq!(browser.value("document.title"), "4 of 6 files failed · sqlite");
    assert_eq!(browser.value("document.querySelectorAll('#list > li').length"), 6);
    let newly = "document.querySelector('.change').textContent";
    assert_eq!(browser.value(newly), "Newly failing 1good/b.test passed → failed");
    assert_eq!(browser.value("document.querySelectorAll('img, script[src]').length"), 0);

    // `/` jumps to the search, which filters the list by name and by message.
    browser.key("/", "/");
    assert_eq!(browser.value("document.activeElement.id"), "search");
    "dies".chars().for_each(|c| browser.key(&c.to_string(), &c.to_string()));
    let shown = "[...document.querySelectorAll('#list .name')].map((name) => name.textContent)";
    assert_eq!(browser.value(shown), json!(["bad/dies.test"]));
    assert_eq!(browser.value("document.getElementById('found').textContent"), "1 file");
    browser.key("Escape", "");
    assert_eq!(browser.value("document.querySelectorAll('#list > li').length"), 6);
    let search = |words: &str| format!("search.value = '{words}'; search.dispatchEvent(new Event('input')); {shown}");
    assert_eq!(browser.value(&search("DIFFERS good")), json!(["good/b.test"]));
    assert_eq!(browser.value(&search("nothing like it")), json!([]));
    assert_eq!(browser.value(&search("")).as_array().map(Vec::len), Some(6));

    // Verdicts are buttons.
    browser.value(
        "[...document.querySelectorAll('.chips button')].find((b) => b.textContent.startsWith('crashed')).click()",
    );
    assert_eq!(browser.value(shown), json!(["bad/dies.test"]));

    // A link shows its file, expanded, with its failures.
    browser.value("document.querySelector('.change a').click()");
    let opened = browser.value("document.activeElement.closest('#failures details[open]').textContent");
    let opened = opened.as_str().unwrap();
    for words in ["good/b.test", "the value differs", "tests/good/b.test:3", "SELECT 1", "- 2+ 1", "--exact"] {
        assert!(opened.contains(words), "no {words} in {opened}");
    }

    // The timeline is drawn, and usable without a mouse.
    browser.settle();
    let colors = "new Set(new Uint32Array(lanes.getContext('2d').getImageData(0, 0, lanes.width, lanes.height).data.buffer)).size > 3";
    assert_eq!(browser.value(colors), true);
    browser.value("lanes.focus()");
    browser.key("ArrowRight", "");
    let tip = browser.value("document.getElementById('tip').textContent");
    assert!(tip.as_str().unwrap().contains(".test: "), "{tip}");
    browser.key("Enter", "\r");
    assert_eq!(browser.value("document.activeElement.tagName"), "SUMMARY");

    // Nothing is wider than a phone.
    let phone = json!({ "width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": true });
    browser.call("Emulation.setDeviceMetricsOverride", phone);
    browser.settle();
    assert_eq!(browser.value("document.documentElement.scrollWidth"), 360);

    assert_eq!(browser.complaints(), Vec::<&Value>::new());
    assert_eq!(browser.requests(), [format!("file://{}", path.display())]);
}

#[test]
fn a_link_leads_to_its_failure_with_and_without_the_script() {
    let Some(mut browser) = Browser::start() else { return };
    let names: Vec<String> = (0..60).map(|n| format!("{n:02} é.test")).collect();
    let script = |n: usize| if n < 20 { FAILS } else { PASSES };
    let files: Vec<(&str, &str)> = names.iter().enumerate().map(|(n, name)| (name.as_str(), script(n))).collect();
    let root = folder(&files);
    let results = tempfile::tempdir().unwrap();
    // A file that fails, passes and fails again.
    for (text, arguments) in [(FAILS, &[][..]), (PASSES, &[]), (FAILS, &["--report"])] {
        fs::write(root.path().join(&names[0]), text).unwrap();
        assert_eq!(run(root.path(), results.path(), arguments).code, 101);
    }
    let page = results.path().join("report.html");
    let desktop = json!({ "width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": false });
    browser.call("Emulation.setDeviceMetricsOverride", desktop);
    browser.open(&page);

    // Failures come first, with their history and a command to copy.
    assert_eq!(browser.value("document.querySelector('main > section').id"), "failures");
    let flaky = "[...document.querySelectorAll('#failures summary')].filter((s) => s.textContent.includes('flaky')).map((s) => s.querySelector('.past').title)";
    assert_eq!(browser.value(flaky), json!(["Last runs: failed, passed, failed"]));
    browser.value("document.querySelector('#failures .copy').click()");
    let copied =
        "new Promise((done) => setTimeout(() => done(document.querySelector('#failures .copy').textContent), 100))";
    assert_eq!(browser.value(copied), "Copied");

    // A fragment leads to a record, now and after loading the page again; a click leads there, too.
    let top = |id: &str| format!("document.getElementById('{id}').getBoundingClientRect().top");
    let is_at_the_top = |top: &Value| (0.0..40.0).contains(&top.as_f64().unwrap());
    browser.value("location.hash = '#12%20%C3%A9.test:3'");
    browser.settle();
    let there = browser.value(&top("12 é.test:3"));
    assert!(is_at_the_top(&there), "{there}");
    let reload = |browser: &mut Browser| {
        browser.events.clear();
        browser.call("Page.reload", json!({}));
        browser.loaded();
        browser.settle();
        browser.settle();
    };
    reload(&mut browser);
    let there = browser.value(&top("12 é.test:3"));
    assert!(is_at_the_top(&there), "{there}");
    browser.value("document.querySelector('#slowest a[data-file^=\"0\"], #changes a').click()");
    browser.settle();
    let focused = browser.value("document.activeElement.closest('.file').getBoundingClientRect().top");
    assert!(is_at_the_top(&focused), "{focused}");

    // A file that passes is expanded in the list, below the search.
    browser.value("location.hash = '#45%20%C3%A9.test'");
    let row = "[document.querySelector('#list details[open]').getBoundingClientRect().top, search.form.getBoundingClientRect().bottom, search.form.getBoundingClientRect().top]";
    for _ in 0..2 {
        browser.settle();
        let place = browser.value(row);
        let [row, below, search] = [0, 1, 2].map(|index| place[index].as_f64().unwrap());
        assert!(search >= 0.0 && row >= below && row < below + 40.0, "{place}");
        reload(&mut browser);
    }
    // The search stays in view with the first of its results.
    browser.value("search.value = ''; search.dispatchEvent(new Event('input')); scrollTo(0, 1e6)");
    browser.settle();
    browser.value("search.value = 'test'; search.dispatchEvent(new Event('input'))");
    browser.settle();
    let place =
        browser.value("[search.getBoundingClientRect().top, list.firstElementChild.getBoundingClientRect().top]");
    let [search, first] = [0, 1].map(|index| place[index].as_f64().unwrap());
    assert!(search >= 0.0 && first > search && first < 400.0, "{place}");
    assert_eq!(browser.complaints(), Vec::<&Value>::new());

    // Without the script, failures are readable, and elements that would not work are hidden.
    browser.call("Emulation.setScriptExecutionDisabled", json!({ "value": true }));
    let phone = json!({ "width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": true });
    browser.call("Emulation.setDeviceMetricsOverride", phone);
    browser.events.clear();
    browser.open(&page);
    let seen = |selector: &str| {
        format!("[...document.querySelectorAll('{selector}')].filter((e) => e.offsetHeight > 0).length")
    };
    assert_eq!(browser.value(&seen("#failures .file[open] .diff .came")), 20);
    assert_eq!(browser.value(&seen(".drawn, button")), 0);
    assert_eq!(browser.value("document.documentElement.scrollWidth"), 390);
}

/// The target, with a folder for results.
fn run(root: &std::path::Path, results: &std::path::Path, arguments: &[&str]) -> Printed {
    Printed::of(command(target_binary()).env("SLT_CORPUS", root).env("SLT_RESULTS", results).args(arguments))
}

fn slt(results: &std::path::Path, arguments: &[&str]) -> Printed {
    Printed::of(command(env!("CARGO_BIN_EXE_slt")).env("SLT_RESULTS", results).arg("report").args(arguments))
}

#[test]
fn slt_report_writes_any_run_and_compares_it_with_the_one_before() {
    let root = folder(&[("a.test", PASSES), ("b.test", PASSES)]);
    let results = tempfile::tempdir().unwrap();
    let page = results.path().join("report.html");
    assert_eq!(run(root.path(), results.path(), &[]).code, 0);
    assert!(!page.exists(), "no page unless it is asked for");
    let printed = slt(results.path(), &[]);
    assert_eq!((printed.code, printed.out.trim_end()), (0, page.to_str().unwrap()), "{printed:?}");
    let text = fs::read_to_string(&page).unwrap();
    assert!(text.contains("<h1 class=\"good\">All 2 files passed</h1>") && !text.contains("Since run"));
    fs::write(root.path().join("b.test"), FAILS).unwrap();
    assert_eq!(run(root.path(), results.path(), &[]).code, 101);
    let other = results.path().join("other.html");
    assert_eq!(slt(results.path(), &["--output", other.to_str().unwrap()]).code, 0);
    let text = fs::read_to_string(&other).unwrap();
    assert!(text.contains("Since run") && text.contains("passed → failed"));
    assert_eq!(fs::read_to_string(&page).unwrap().matches("Since run").count(), 0, "the other page stays as it was");
}

#[test]
fn an_error_says_why_a_page_cannot_be_written() {
    let results = tempfile::tempdir().unwrap();
    let none = slt(results.path(), &[]);
    assert!(none.code == 2 && none.err.contains("make one with `slt run`"), "{none:?}");
    let file = results.path().join("results.json");
    fs::write(&file, "{").unwrap();
    let broken = slt(results.path(), &[]);
    assert!(broken.code == 4 && broken.err.contains("does not hold the results of a run"), "{broken:?}");
    fs::write(&file, r#"{"version": 99}"#).unwrap();
    let newer = slt(results.path(), &[]);
    assert!(newer.code == 4 && newer.err.contains("format version 99"), "{newer:?}");

    let root = folder(&[("a.test", PASSES)]);
    assert_eq!(run(root.path(), results.path(), &[]).code, 0);
    let nowhere = results.path().join("results.json/page.html");
    let unwritten = slt(results.path(), &["--output", nowhere.to_str().unwrap()]);
    assert!(unwritten.code == 4 && unwritten.err.contains("results.json/page.html`: "), "{unwritten:?}");
    let unopened = slt(results.path(), &["--output", "-", "--open"]);
    assert!(unopened.code == 2 && unopened.err.contains("`--output -` writes none"), "{unopened:?}");
    let mut unopened = command(env!("CARGO_BIN_EXE_slt"));
    unopened.env("SLT_RESULTS", results.path()).env("PATH", results.path()).args(["report", "--open"]);
    let unopened = Printed::of(&mut unopened);
    assert!(unopened.code == 4 && unopened.err.contains("open it in a browser by hand"), "{unopened:?}");
    assert!(results.path().join("report.html").exists());
}

#[test]
fn a_page_goes_to_standard_output_or_to_a_folder_that_did_not_exist() {
    let root = folder(&[("a.test", PASSES), ("b.test", FAILS)]);
    let results = tempfile::tempdir().unwrap();
    assert_eq!(run(root.path(), results.path(), &[]).code, 101);
    let file = results.path().join("results.json");
    let report = |arguments: &[&str]| {
        let mut report = command(env!("CARGO_BIN_EXE_slt"));
        Printed::of(
            report.args(["report"]).arg(&file).args(arguments).current_dir(root.path()).env_remove("SLT_RESULTS"),
        )
    };
    let printed = report(&["--output", "-"]);
    assert!(printed.code == 0 && printed.out.starts_with("<!DOCTYPE html>"), "{printed:?}");
    assert!(printed.out.ends_with("</html>") && !root.path().join("-").exists(), "{printed:?}");
    for (arguments, path) in [(&[][..], "target/slt/report.html"), (&["--output", "new/page.html"], "new/page.html")] {
        let written = report(arguments);
        assert_eq!((written.code, written.out), (0, format!("{path}\n")));
        assert_eq!(fs::read_to_string(root.path().join(path)).unwrap(), printed.out);
    }
}

#[test]
fn a_page_that_cannot_be_written_changes_no_verdict() {
    let root = folder(&[("a.test", PASSES)]);
    let results = tempfile::tempdir().unwrap();
    fs::create_dir_all(results.path().join("report.html/in the way")).unwrap();
    let printed = run(root.path(), results.path(), &["--report"]);
    assert!(printed.code == 0 && printed.err.contains("warning: cannot write `"), "{printed:?}");
}

#[test]
fn github_gets_a_summary_and_annotations() {
    let root = folder(&[("a.test", PASSES), ("deep/b.test", FAILS)]);
    let (results, summary) = (tempfile::tempdir().unwrap(), root.path().join("summary.md"));
    fs::write(&summary, "before\n").unwrap();
    let on_github = |arguments: &[&str]| {
        let mut command = command(target_binary());
        command.env("SLT_CORPUS", root.path()).env("SLT_RESULTS", results.path()).args(arguments);
        command.env("GITHUB_ACTIONS", "true").env("GITHUB_WORKSPACE", root.path()).env("GITHUB_STEP_SUMMARY", &summary);
        Printed::of(&mut command)
    };
    let annotation = "::error file=deep/b.test,line=3,title=deep/b.test%3A FAILED::the value differs%0A";
    let printed = on_github(&[]);
    assert!(printed.code == 101 && printed.out.lines().any(|line| line.starts_with(annotation)), "{printed:?}");
    let text = fs::read_to_string(&summary).unwrap();
    assert!(text.starts_with("before\n## SQLLogicTest on sqlite: 1 of 2 files failed\n"), "{text}");
    let json = on_github(&["--format", "json", "-Z", "unstable-options"]);
    assert!(json.out.lines().all(|line| line.starts_with('{')), "{json:?}");
    assert!(json.err.lines().any(|line| line.starts_with(annotation)), "{json:?}");
    fs::remove_file(&summary).unwrap();
    fs::create_dir(&summary).unwrap();
    let printed = on_github(&["a.test"]);
    assert!(printed.code == 0 && printed.err.contains("warning: cannot write the job summary"), "{printed:?}");
}

#[test]
fn the_documented_workflows_are_valid_yaml_and_do_what_they_say() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("docs/ci.md")).unwrap();
    let blocks: Vec<&str> = text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(blocks.len(), 4, "four workflows");
    for block in blocks {
        let documents = yaml_rust2::YamlLoader::load_from_str(block).unwrap();
        let workflow = &documents[0];
        assert!(workflow["on"].as_hash().is_some() && workflow["permissions"]["contents"].as_str() == Some("read"));
        for (_, job) in workflow["jobs"].as_hash().unwrap() {
            assert!(job["runs-on"].as_str().is_some());
            for step in job["steps"].as_vec().unwrap() {
                assert_ne!(step["uses"].as_str().is_some(), step["run"].as_str().is_some(), "{step:?}");
            }
        }
    }
}
