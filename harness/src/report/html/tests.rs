use super::*;
use crate::outcome::{Failure, RESULTS_VERSION, RecordCounts, Shard};
use crate::summary::Summary;

/// The results of a run with these outcomes, with matching counts.
fn results(outcomes: Vec<Outcome>) -> Results {
    let summary = Summary::new(outcomes.iter().map(|outcome| (outcome.name.as_str(), outcome.pass)), &outcomes);
    Results {
        version: RESULTS_VERSION,
        run_id: "b602696c".into(),
        engine: "sqlite".into(),
        started_us: 1_790_000_000_000_000,
        wall_us: 2_000_000,
        workers: 2,
        total: summary.total,
        categories: summary.categories,
        outcomes,
        ..Results::default()
    }
}

fn failing(text: &str) -> Outcome {
    let failure = Failure {
        file: text.into(),
        line: 3,
        message: text.into(),
        sql: text.into(),
        diff: text.into(),
        ..Failure::default()
    };
    Outcome {
        failures: vec![failure],
        output: text.into(),
        records: RecordCounts { passed: 1, failed: 1, skipped: 0 },
        started_us: 1_790_000_000_000_000,
        wall_us: 1_000_000,
        ..Outcome::new(format!("{text}/x.test"), Verdict::Failed)
    }
}

#[test]
fn hostile_names_and_texts_stay_texts() {
    let hostile = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'<!--";
    let ignored = Outcome::new("b.test", Verdict::Ignored { reason: hostile.into() });
    let mut run = results(vec![failing(hostile), ignored]);
    run.engine = hostile.into();
    run.run_id = hostile.into();
    let page = page(&run, Some(&results(vec![])), &[]);
    assert!(!page.contains("<script>alert"), "a script got in");
    assert!(!page.contains("<img"), "an element got in");
    assert_eq!(page.matches("<script").count(), 1 + SCRIPTS.len());
    assert_eq!(page.matches("</script>").count(), 1 + SCRIPTS.len());
}

#[test]
fn the_page_contains_no_url() {
    let page = page(&results(vec![failing("a")]), None, &[]);
    for scheme in ["http://", "https://", "src=", "@import", "url("] {
        assert!(!page.contains(scheme), "{scheme}");
    }
}

#[test]
fn the_headline_says_how_the_run_ended() {
    let not_run = || Outcome::new("c", Verdict::NotRun { reason: "time budget".into() });
    let passed = || Outcome::new("a", Verdict::Passed);
    let ignored = || Outcome::new("d", Verdict::Ignored { reason: "nothing applies".into() });
    let headline_of = |outcomes| headline(&results(outcomes).total);
    assert_eq!(headline_of(vec![]), "No files were run");
    assert_eq!(headline_of(vec![passed()]), "All 1 file passed");
    assert_eq!(headline_of(vec![passed(), ignored()]), "1 of 2 files passed, none failed");
    assert_eq!(headline_of(vec![passed(), not_run()]), "1 of 2 files was not run, none failed");
    let known = Outcome::new("k", Verdict::KnownFailure { reason: "r".into(), was: "FAILED".into() });
    assert_eq!(headline_of(vec![passed(), known.clone()]), "1 of 2 files passed, the failures are known");
    let page = page(&results(vec![passed(), known]), None, &[]);
    assert!(page.contains("1 of 2 that had something to check passed"), "a known failure is not a pass");
    assert!(page.contains("<th scope=\"col\">Known failures</th>"));
    assert_eq!(headline_of(vec![passed(), not_run(), failing("x")]), "1 of 3 files failed");
}

#[test]
fn counts_that_do_not_add_up_are_reported_first() {
    let sound = results(vec![failing("a"), Outcome::new("b", Verdict::Passed)]);
    assert!(!page(&sound, None, &[]).contains("role=\"alert\""));
    let mut short = sound.clone();
    short.outcomes.pop();
    assert!(page(&short, None, &[]).contains("role=\"alert\""));
    let mut open = sound;
    open.total.planned += 1;
    assert!(page(&open, None, &[]).contains("role=\"alert\""));
}

#[test]
fn a_run_with_a_missing_shard_is_not_green() {
    let mut run = results(vec![Outcome::new("a", Verdict::Passed)]);
    assert!(page(&run, None, &[]).contains("<h1 class=\"good\">"));
    run.missing_shards = vec![Shard { index: 2, of: 3 }];
    let page = page(&run, None, &[]);
    assert!(page.contains("shard 2 of 3") && !page.contains("<h1 class=\"good\">"));
}

#[test]
fn every_verdict_has_a_color_and_a_word() {
    for verdict in [
        Verdict::Passed,
        Verdict::Flaky { attempt: 2 },
        Verdict::Failed,
        Verdict::Ignored { reason: "r".into() },
        Verdict::Crashed { how: "SIGSEGV".into() },
        Verdict::TimedOut { limit_ms: 500 },
        Verdict::OutOfMemory { limit_bytes: 64 << 20 },
        Verdict::KnownFailure { reason: "r".into(), was: "FAILED".into() },
        Verdict::UnexpectedPass { reason: "r".into() },
        Verdict::NotRun { reason: "r".into() },
    ] {
        let (class, word) = KINDS[kind(&verdict).0];
        assert_eq!(class, word.replace(' ', "-"));
        assert!(STYLE.contains(&format!("--{class}: ")), "{class}");
        assert!(STYLE.contains(&format!(".badge.{class}")), "{class}");
        let first = verdict.to_string().split(' ').next().unwrap().to_lowercase();
        assert!(verdict.is_pass() || word.starts_with(&first), "{verdict} is called {word}");
    }
}

#[test]
fn failures_come_first_as_html_each_file_once_under_its_cause() {
    let mut outcomes: Vec<Outcome> =
        (0..40).map(|n| Outcome { name: format!("{n:02}.test"), ..failing("no table t1") }).collect();
    outcomes[3].failures[0].message = "another <cause>".into();
    outcomes[3].failures[0].diff = "@@ line 5 @@\n- 1\n+ 2\n? ^".into();
    outcomes.push(Outcome::new("passes.test", Verdict::Passed));
    let mut run = results(outcomes);
    (run.commit, run.branch, run.host) = ("0123456789abcdef".into(), "a/b".into(), "build-7".into());
    run.again = "slt run --exact".into();
    let page = page(&run, None, &[]);
    assert!(page.contains("commit <code>0123456789ab</code>") && page.contains("branch <code>a/b</code>"), "{page}");
    assert!(page.contains("on build-7"));
    let failures = page.split("<section id=\"failures\"").nth(1).unwrap().split("</section>").next().unwrap();
    assert!(page.find("id=\"failures\"") < page.find("aria-label=\"Figures\""));
    assert!(failures.contains("40 files by 2 causes") && failures.contains("… and 14 more with this cause"));
    assert_eq!(failures.matches("<details class=\"file\"").count(), 26);
    for text in [
        "<details class=\"file\" id=\"03.test\" open>",
        "id=\"03.test:3\"",
        "href=\"#03.test:3\"",
        "another &lt;cause&gt;",
        "<span class=\"where\">@@ line 5 @@</span><span class=\"gone\">- 1</span><span class=\"came\">+ 2</span><span class=\"mark\">? ^</span>",
        "<code>slt run --exact 03.test</code>",
    ] {
        assert!(failures.contains(text), "{text} is not in {failures}");
    }
    assert!(!failures.contains("passes.test"));
    assert_eq!(failures::fragment("a b/é#%.test:3 (i=1)"), "a%20b/%C3%A9%23%25.test:3%20(i=1)");
}
