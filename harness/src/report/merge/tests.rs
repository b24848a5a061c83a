use super::*;
use crate::outcome::{Outcome, Verdict};

fn part(name: &str, outcomes: Vec<Outcome>) -> (String, Results) {
    let summary = Summary::new(outcomes.iter().map(|outcome| (outcome.name.as_str(), outcome.pass)), &outcomes);
    let results = Results {
        version: RESULTS_VERSION,
        run_id: format!("run-{name}"),
        engine: "sqlite".into(),
        workers: 2,
        started_us: 1_000_000,
        wall_us: 500_000,
        total: summary.total,
        categories: summary.categories,
        outcomes,
        ..Results::default()
    };
    (format!("{name}.json"), results)
}

fn passed(name: &str) -> Outcome {
    Outcome { worker: 1, ..Outcome::new(name, Verdict::Passed) }
}

fn split(shards: &[&[&str]]) -> Split {
    Split::new(shards.iter().map(|names| names.iter().map(|&name| name.to_owned()).collect()).collect())
}

/// A shard in which all files passed, of a suite with this split.
fn shard(name: &str, index: u32, shards: &[&[&str]]) -> (String, Results) {
    let (shard, split) = (Shard { index, of: shards.len() as u32 }, split(shards));
    let outcomes = split.part(shard).iter().map(|file| passed(file)).collect();
    let (name, results) = part(name, outcomes);
    let filtered_out = 5 + split.files - results.total.planned;
    (name, Results { shard: Some(shard), split: Some(split), filtered_out, ..results })
}

const TWO: &[&[&str]] = &[&["x/1.test"], &["y/2.test", "y/3.test"]];

#[test]
fn only_all_shards_are_green() {
    let merged = merge(vec![shard("a", 1, TWO), shard("b", 2, TWO)]);
    assert_eq!(merged.exit_status(false), ExitStatus::Passed, "{:?}", merged.summary.defects);
    let results = &merged.results;
    assert_eq!((results.total.passed, results.workers, results.filtered_out), (3, 4, 5));
    assert_eq!((results.shard, &results.split, results.run_id.as_str()), (None, &None, "run-a+run-b"));
    assert_eq!(results.outcomes[1].worker, 3, "the second machine's worker 1");
    let mut failed = shard("a", 1, TWO);
    failed.1.outcomes[0].verdict = Verdict::Failed;
    (failed.1.total, failed.1.categories) = failed.1.count();
    assert_eq!(merge(vec![failed]).exit_status(false), ExitStatus::Failed);
}

#[test]
fn the_files_of_a_missing_shard_are_named_and_not_run() {
    let alone = merge(vec![shard("a", 1, TWO)]);
    assert_eq!(alone.summary.defects, [""; 0]);
    assert_eq!(alone.exit_status(true), ExitStatus::Incomplete, "--allow-incomplete is for time budgets");
    assert_eq!(alone.results.missing_shards, [Shard { index: 2, of: 2 }]);
    assert_eq!((alone.results.total.planned, alone.results.total.not_run), (3, 2));
    assert_eq!(alone.missing(), ["shard 2 of 2 is missing: 2 files not run: `y/2.test`, `y/3.test`"]);
    let without_files: &[&[&str]] = &[&["x/1.test"], &[]];
    let alone = merge(vec![shard("a", 1, without_files)]);
    assert_eq!(alone.missing(), ["shard 2 of 2 is missing, which has no files"]);
    assert_eq!(alone.exit_status(true), ExitStatus::Incomplete);
    let with_it = merge(vec![shard("a", 1, without_files), shard("b", 2, without_files)]);
    assert_eq!(with_it.exit_status(false), ExitStatus::Passed, "{:?}", with_it.summary.defects);
}

#[test]
fn results_that_do_not_belong_together_are_named() {
    let both = |change: fn(&mut Results)| {
        let mut second = shard("b", 2, TWO);
        change(&mut second.1);
        vec![shard("a", 1, TWO), second]
    };
    let lacks = |results: &mut Results| {
        results.outcomes.pop();
        (results.total, results.categories) = results.count();
    };
    let has_more = |results: &mut Results| {
        results.outcomes.push(passed("z.test"));
        (results.total, results.categories) = results.count();
    };
    let other_suite: &[&[&str]] = &[&["x/1.test"], &["y/2.test"]];
    let other_history: &[&[&str]] = &[&["x/1.test", "y/2.test"], &["y/3.test"]];
    let three: &[&[&str]] = &[&["x/1.test"], &["y/2.test"], &["y/3.test"]];
    let mut torn = part("a", vec![passed("1")]);
    torn.1.total.planned = 2;
    for (parts, words) in [
        (vec![part("a", vec![passed("1")]), part("b", vec![passed("1")])], "`1` is in `a.json` and in `b.json`"),
        (vec![shard("a", 2, TWO), shard("b", 2, TWO)], "`a.json` and `b.json` are both shard 2 of 2"),
        (
            vec![shard("a", 1, TWO), shard("b", 2, three)],
            "shard 2 of 3 of `b.json` and shard 1 of 2 of `a.json` do not",
        ),
        (vec![shard("a", 1, TWO), part("b", vec![passed("2")])], "the whole suite of `b.json`"),
        (
            vec![shard("a", 1, TWO), shard("b", 2, other_suite)],
            "`b.json` is part of a suite of 2 files, and `a.json` of another, of 3: \
             `y/3.test` is only in the suite of `a.json`",
        ),
        (
            vec![shard("a", 1, TWO), shard("b", 2, other_history)],
            "`b.json` and `a.json` were shared out by different histories: \
             `y/2.test` is in shard 1 by the one and in shard 2 by the other",
        ),
        (both(lacks), "`b.json` is shard 2 of 2 and has no outcome of `y/3.test`"),
        (both(has_more), "`b.json` is shard 2 of 2, and `z.test` is not in it"),
        (both(|results| results.split = None), "`b.json` is shard 2 of 2 and does not say of which suite"),
        (both(|results| results.engine = "mysql".into()), "`b.json` was run on mysql, and `a.json` on sqlite"),
        (both(|results| results.split.as_mut().unwrap().files = 4), "its list of all files does not add up"),
        (both(|results| results.shard = Some(Shard { index: 3, of: 2 })), "`b.json` is shard 3 of 2"),
        (vec![torn], "`a.json` plans 2 files and holds 1 outcomes"),
    ] {
        let merged = merge(parts);
        assert_eq!(merged.exit_status(true), ExitStatus::Broken, "{words}");
        let defects = merged.summary.defects.join("\n");
        assert!(defects.contains(words), "{words}: {defects}");
    }
}

#[test]
fn a_merged_result_is_not_merged_with_its_parts_again() {
    let alone = merge(vec![shard("a", 1, TWO)]).results;
    let again = merge(vec![("all.json".into(), alone), shard("b", 2, TWO)]);
    assert_eq!(again.exit_status(true), ExitStatus::Broken);
    let defects = again.summary.defects.join("\n");
    assert!(defects.contains("`all.json` was merged without shard 2 of 2"), "{defects}");
}

#[test]
fn machines_that_share_no_suite_are_merged_file_by_file() {
    let merged = merge(vec![part("a", vec![passed("x/1.test")]), part("b", vec![passed("y/2.test")])]);
    assert_eq!(merged.exit_status(false), ExitStatus::Passed, "{:?}", merged.summary.defects);
    assert_eq!((merged.results.total.planned, merged.missing()), (2, vec![]));
}
