//! `slt shrink`: the real program, whose tries are separate processes, on an engine with faults.

use std::fmt::Write;
use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::faulty_support::{Ended, Place};

/// `slt shrink` at a place, on an engine that commits this fault after queries that mention `alpha` and `beta`.
fn start(place: &Place, fault: &str, arguments: &str) -> crate::faulty_support::Running {
    let mut command = place.command("");
    let program = command.get_program().to_owned();
    command = place.dress(crate::faulty_support::clean(program));
    command.env("FAULTY_COMMAND", "1").env("FAULTY_TOGETHER", format!("alpha beta {fault}")).arg("shrink");
    command.args(arguments.split_whitespace());
    place.start_command(command)
}

fn shrink(place: &Place, fault: &str, arguments: &str) -> Ended {
    let ended = start(place, fault, arguments).wait();
    assert_eq!(place.alive(), Vec::<String>::new(), "processes stay behind");
    ended
}

/// A script with this number of records: two tables and their rows in the middle, and a query of both at the end.
fn haystack(records: usize, last: &str) -> String {
    let mut text = "statement ok\nCREATE TABLE other(a, b)\n\n".to_owned();
    for number in 0..records - 4 {
        if number == records / 3 {
            text.push_str("statement ok\nCREATE TABLE alpha(a INTEGER, note TEXT)\n\n");
        }
        if number == records / 2 {
            text.push_str("# Beta.\nstatement ok\nCREATE TABLE beta(b INTEGER, note TEXT, more TEXT)\n\n");
        }
        let _ = match number % 2 {
            0 => write!(text, "statement ok\nINSERT INTO other VALUES ({number}, 'x')\n\n"),
            _ => write!(text, "query I\nSELECT count(*) > 0 FROM other WHERE a < {number}\n----\n1\n\n"),
        };
    }
    text + last
}

/// The records of a script, by their SQL.
fn records(place: &Place, name: &str) -> Vec<String> {
    let text = fs::read_to_string(place.path(name)).unwrap();
    let mut lines = text.lines();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        if line.starts_with("statement") || line.starts_with("query") {
            found.push(lines.next().unwrap().to_owned());
        }
    }
    found
}

#[test]
fn a_wrong_result_among_ten_thousand_records_needs_five_at_most() {
    let last = "query II\nSELECT count(alpha.a) AS n, max(beta.b) FROM alpha, beta WHERE alpha.a >= 0 AND beta.b < 99\n----\n0\nNULL\n\n\
                statement ok\nDROP TABLE alpha\n";
    let place = Place::new([("hay.test", haystack(10_000, last))]);
    let clock = Instant::now();
    let ended = shrink(&place, "wrong", "tests/hay.test").exits(0);
    let took = clock.elapsed();
    let left = records(&place, "tests/hay.min.test");
    println!("10,000 records: {} left after {took:.1?}\n{ended}", left.len());
    assert!(left.len() <= 5, "{left:?}");
    assert!(left.iter().all(|sql| sql.contains("alpha") || sql.contains("beta")), "{left:?}");
    ended.says("of 10001 records are left");
    ended.says("the record passes on the reference");
    // The shrunk script fails with the fault, and passes without it.
    let again = |fault: &str| {
        let mut command = place.dress(crate::faulty_support::clean(place.command("").get_program()));
        command.env("FAULTY_COMMAND", "1").env("FAULTY_TOGETHER", fault).args(["test", "tests/hay.min.test"]);
        place.start_command(command).wait()
    };
    again("alpha beta wrong").exits(101).says("1 failed");
    again("").exits(0).says(&format!("{} passed", left.len()));
    let sql = fs::read_to_string(place.path("tests/hay.min.sql")).unwrap();
    assert!(sql.starts_with("-- Shrunk by `slt shrink` from tests/hay.test:") && sql.ends_with(";\n"), "{sql}");
    assert_eq!(sql.lines().count(), left.len() + 1, "{sql}");
}

#[test]
fn a_crash_among_a_thousand_statements_needs_three() {
    let last = "query I\nSELECT alpha.a FROM alpha JOIN beta ON alpha.a = beta.b WHERE alpha.note LIKE '%x%' ORDER BY 1\n----\n";
    let place = Place::new([("hay.slt", haystack(1_000, last))]);
    let ended = shrink(&place, "segv", "tests/hay.slt --seed 7").exits(0);
    ended.says("crashed (SIGSEGV)");
    let left = records(&place, "tests/hay.min.slt");
    assert!(left.len() <= 3, "{left:?}: {ended}");
    // Only the SQL that the fault needs is left: two tables, and a query of both.
    assert!(left.iter().all(|sql| sql.len() < 40 && !sql.contains("LIKE")), "{left:?}");
    // The same seed leads to the same script.
    let first = fs::read(place.path("tests/hay.min.slt")).unwrap();
    shrink(&place, "segv", "tests/hay.slt --seed 7").exits(0);
    assert_eq!(fs::read(place.path("tests/hay.min.slt")).unwrap(), first);
}

#[test]
fn a_time_out_stays_with_its_record() {
    let last = "statement ok\nFAULT hang\n\nstatement ok\nFAULT segv\n";
    let place = Place::new([("slow.test", haystack(30, last))]);
    let ended = shrink(&place, "none", "tests/slow.test --query-timeout 0.2 --confirm 1").exits(0);
    ended.says("timed out");
    assert_eq!(records(&place, "tests/slow.min.test"), ["FAULT hang"], "{ended}");
}

#[test]
fn rows_and_values_go_as_far_as_the_message_stays() {
    let script = "statement ok\nCREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)\n\n\
                  statement ok\nINSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three'), (1, 'again')\n";
    let place = Place::new([("rows.test", script)]);
    let ended = shrink(&place, "none", "tests/rows.test:4 --reference none").exits(0);
    ended.says("UNIQUE constraint failed: t.a");
    let left = records(&place, "tests/rows.min.test");
    assert_eq!(left.len(), 2, "{ended}");
    assert_eq!(left[1].matches('(').count(), 2, "{left:?}");
    assert!(!left[1].contains("two") && !left[1].contains("again"), "{left:?}");
}

#[test]
fn what_does_not_fail_each_time_is_called_flaky() {
    let script = "statement ok\nFAULT once tests/was-here error on purpose\n";
    let place = Place::new([("flaky.test", script), ("good.test", "statement ok\nSELECT 1\n")]);
    let ended = shrink(&place, "none", "tests/flaky.test:1").exits(101);
    ended
        .says("error: flaky: the record at `tests/flaky.test:1` failed in 1 of 3 tries (statement failed: on purpose)");
    assert!(!place.path("tests/flaky.min.test").exists());
    shrink(&place, "none", "tests/good.test").exits(5).says("`tests/good.test` does not fail");
    shrink(&place, "none", "tests/good.test:2").exits(5).says("does not fail (3 tries)");
    shrink(&place, "none", "tests/good.test:9")
        .exits(2)
        .says("`tests/good.test` has 2 lines; the nearest record is `tests/good.test:1`");
}

#[test]
fn nothing_but_its_own_results_is_written_over() {
    let script = "statement ok\nFAULT error on purpose\n";
    let place = Place::new([("a.test", script), ("a.min.test", "statement ok\nSELECT 1\n")]);
    let refused = shrink(&place, "none", "tests/a.test").exits(2);
    refused.says("tests/a.min.test` already exists: name another place with `--output`");
    for _ in 0..2 {
        shrink(&place, "none", "tests/a.test --output b.test").exits(0);
    }
    assert_eq!(records(&place, "b.test"), ["FAULT error on purpose"]);
    assert_eq!(records(&place, "tests/a.min.test"), ["SELECT 1"]);
}

#[test]
fn a_place_that_cannot_be_written_is_refused_before_the_first_try() {
    let place = Place::new([("a.test", "statement ok\nFAULT once ran error on purpose\n")]);
    let refused = shrink(&place, "none", "tests/a.test --output nowhere/b.test").exits(2);
    refused.says("cannot write `nowhere/b.test`: No such file or directory");
    assert!(!place.path("ran").exists(), "{refused}");
}

#[test]
fn flags_that_mean_nothing_here_are_neither_shown_nor_taken() {
    let place = Place::new([("a.test", "statement ok\nFAULT error on purpose\n")]);
    for (flag, words) in [
        ("--bless", "`--bless` rewrites the file, and `slt shrink` leaves it as it is"),
        ("--bless=check", "`--bless` rewrites"),
        ("--bless-errors", "`--bless-errors` rewrites"),
        ("--only", "`slt shrink` finds out what it needs"),
    ] {
        shrink(&place, "none", &format!("tests/a.test:1 {flag}")).exits(2).says(words);
    }
    let help = shrink(&place, "none", "--help").exits(0);
    assert!(!help.stdout.contains("--bless") && !help.stdout.contains("--only"), "{help}");
}

#[test]
fn ctrl_c_keeps_the_shortest_script_so_far() {
    let last = "statement ok\nFAULT hang\n";
    let place = Place::new([("slow.test", haystack(400, last))]);
    let running = start(&place, "none", "tests/slow.test --query-timeout 0.3 --confirm 1");
    running.says("shrinking records");
    std::thread::sleep(Duration::from_millis(100));
    running.signal(Signal::INT);
    let ended = running.wait().exits(3);
    ended.says("interrupted: this is the shortest script so far");
    let left = records(&place, "tests/slow.min.test");
    assert_eq!(left.last().map(String::as_str), Some("FAULT hang"), "{ended}");
    assert_eq!(place.alive(), Vec::<String>::new(), "processes stay behind");
}
