//! Results compared with expected lines.

use super::*;
use crate::dialect::classic;
use crate::script::{Answer, Labels, Step};

fn rows(table: &[&[&str]]) -> Rows {
    let mut rows = Rows::default();
    table.iter().for_each(|row| rows.push_row(row.iter().map(|value| value.as_bytes())));
    rows
}

/// Calls `judge` with the expected lines of a script.
fn with_block<T>(expected: &str, judge: impl FnOnce(&Lines<'_>) -> T) -> T {
    let script = format!("query I\nSELECT 1\n----\n{expected}");
    let labels = Labels::default();
    match classic::Parser::new(script.as_bytes(), &labels).next().unwrap().unwrap().step {
        Step::Query { expect: Answer::Lines { lines, .. }, .. } => judge(&lines),
        step => panic!("{step:?}"),
    }
}

fn agrees(table: &[&[&str]], sort: Sort, expected: &str) -> bool {
    let rows = rows(table);
    let mut comparison = Comparison::default();
    comparison.order(&rows, sort);
    with_block(expected, |lines| comparison.agrees(&rows, lines, false))
}

#[test]
fn results_are_sorted_as_the_record_requires() {
    let table: &[&[&str]] = &[&["b", "1"], &["a", "9"], &["a", "10"]];
    assert!(agrees(table, Sort::None, "b\n1\na\n9\na\n10"));
    assert!(agrees(table, Sort::Rows, "a\n10\na\n9\nb\n1"));
    assert!(agrees(table, Sort::Values, "1\n10\n9\na\na\nb"));
    assert!(!agrees(table, Sort::None, "a\n10\na\n9\nb\n1"));
}

proptest::proptest! {
    #[test]
    fn rows_and_values_are_sorted_as_byte_strings(
        table in proptest::collection::vec(proptest::array::uniform2("[\0\t\n ab]{0,10}|[ab]{0,20}"), 0..12)
    ) {
        let mut by_rows = table.clone();
        by_rows.sort();
        let mut by_values: Vec<&str> = table.iter().flatten().map(String::as_str).collect();
        by_values.sort_unstable();
        let table: Vec<Vec<&str>> = table.iter().map(|row| row.iter().map(String::as_str).collect()).collect();
        let rows = rows(&table.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let mut comparison = Comparison::default();
        let mut sorted = |sort| {
            comparison.order(&rows, sort);
            let own = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let values: Vec<String> = comparison.values(&rows).map(own).collect();
            let lines: String = values.iter().map(|value| format!("{value}\n")).collect();
            assert_eq!(own(comparison.text(&rows)), lines);
            values
        };
        proptest::prop_assert_eq!(sorted(Sort::Rows), by_rows.concat());
        proptest::prop_assert_eq!(sorted(Sort::Values), by_values);
    }
}

#[test]
fn every_value_must_be_there_and_no_more() {
    assert!(agrees(&[], Sort::None, ""));
    assert!(!agrees(&[&["1"]], Sort::None, ""));
    assert!(!agrees(&[], Sort::None, "1"));
    assert!(!agrees(&[&["1"], &["2"]], Sort::None, "1"));
    assert!(!agrees(&[&["1"]], Sort::None, "1\n2"));
    assert!(!agrees(&[&["a  b"]], Sort::None, "a b"));
    assert!(!agrees(&[&["1\n2"]], Sort::None, "1\n2"));
    assert!(!agrees(&[&["1\n2"], &["3"]], Sort::None, "1\n2\n3"));
    assert!(agrees(&[&["1"], &["2"]], Sort::None, "1\r\n# a remark\r\n2\r"));
}

#[test]
fn a_fingerprint_distinguishes_line_feeds_in_values_from_their_ends() {
    let fingerprint = |table: &[&[&str]]| {
        let rows = rows(table);
        let mut comparison = Comparison::default();
        comparison.order(&rows, Sort::None);
        comparison.fingerprint(&rows)
    };
    assert_ne!(fingerprint(&[&["a\nb"], &["c"]]), fingerprint(&[&["a"], &["b\nc"]]));
    assert_eq!(fingerprint(&[&["a\nb"], &["c"]]), fingerprint(&[&["a\nb"], &["c"]]));
}

#[test]
fn a_hash_represents_all_values_with_or_without_a_threshold() {
    // printf '1\n2\n3\n' | md5sum
    let line = "3 values hashing to c0710d6b4f15dfa88f600b0e6b624077";
    let wrong_count = line.replacen('3', "4", 1);
    let wrong_hash = line.replace(&line[line.len() - 4..], "0000");
    let table: &[&[&str]] = &[&["3"], &["1"], &["2"]];
    assert!(agrees(table, Sort::Rows, line));
    assert!(!agrees(table, Sort::None, line));
    assert!(!agrees(table, Sort::Rows, &wrong_count));
    assert!(!agrees(table, Sort::Rows, &wrong_hash));
}

#[test]
fn what_is_ignored_ends_where_the_rest_begins() {
    let agrees = |actual: &[&str], expected: &[&str]| {
        let rows: Vec<Vec<&[u8]>> = actual.iter().map(|row| row.split(' ').map(str::as_bytes).collect()).collect();
        as_written(&rows, &expected.iter().map(|line| line.as_bytes()).collect::<Vec<_>>())
    };
    assert!(agrees(&["a 1 b", "2"], &["a <slt:ignore> b", "2"]));
    assert!(agrees(&["a 1 b", "2"], &["<slt:ignore> b", "<slt:ignore>"]));
    assert!(agrees(&["a", "b", "c"], &["a", "<slt:ignore>", "c"]));
    assert!(agrees(&["1", "2"], &["<slt:ignore>"]));
    assert!(agrees(&["a 5 b"], &["a <slt:ignore> "]), "a trailing blank, which the crate finds before the b");
    assert!(!agrees(&["a 5"], &["a <slt:ignore> "]), "which it does not find here");
    assert!(agrees(&["aXbXc"], &["a<slt:ignore>b<slt:ignore>c"]));
    assert!(!agrees(&["0", "a 1 b"], &["a <slt:ignore> b"]), "a row too many before it");
    assert!(!agrees(&["a 1 b", "2"], &["a <slt:ignore> b"]), "a row too many behind it");
    assert!(!agrees(&["ab"], &["ab<slt:ignore>b"]), "one letter does not do for two");
    assert!(!agrees(&["a c b"], &["a<slt:ignore>b<slt:ignore>c"]));
    assert!(!agrees(&[], &["a<slt:ignore>"]));
}

#[test]
fn mismatches_say_what_is_missing() {
    let rows = rows(&[&["1", "x"], &["2", "y"]]);
    let mut comparison = Comparison::default();
    comparison.order(&rows, Sort::None);
    let form = Form { row_wise: false, usual: true, declared: 2 };
    let words = with_block("1\nx", |lines| comparison.texts(&rows, lines, form).sides(&[]).words());
    assert_eq!(words, "1 row too many (1 expected, 2 returned)");
    let lines = Lines::List(vec!["1 x".into(), "2 z".into()]);
    let texts = comparison.texts(&rows, &lines, Form { row_wise: true, ..form });
    assert_eq!((texts.expected.join("\n"), texts.actual.join("\n")), ("1 x\n2 z".into(), "1 x\n2 y".into()));
    assert_eq!(texts.sides(&[]).words(), "column 2 differs in 1 of 2 rows");
    let none = Rows::default();
    comparison.order(&none, Sort::None);
    let words = with_block("1\nx", |lines| comparison.texts(&none, lines, form).sides(&[]).words());
    assert_eq!(words, "1 row missing (1 expected, none returned)");
}

/// The expected and the actual side of the diff of a mismatch in an `.slt` file, whose lines are rows.
fn compared(table: &[&[&[u8]]], expected: &[&str]) -> (Vec<String>, Vec<String>) {
    let mut rows = Rows::default();
    table.iter().for_each(|row| rows.push_row(row.iter().copied()));
    let mut comparison = Comparison::default();
    comparison.order(&rows, Sort::None);
    let lines = Lines::List(expected.iter().map(|&line| line.to_owned()).collect());
    assert!(!comparison.agrees(&rows, &lines, true), "{table:?}");
    let texts = comparison.texts(&rows, &lines, Form { row_wise: true, usual: true, declared: 1 });
    let text = texts.sides(&[]).text(usize::MAX);
    assert!(text.lines().any(|line| line.starts_with(['-', '+'])), "{text}");
    texts.compared.unwrap_or((texts.expected, texts.actual))
}

#[test]
fn values_are_compared_as_bytes() {
    let row: &[&[u8]] = &[b"a\xff"];
    assert!(as_written(&[row.to_vec()], &[b"a\xff"]));
    assert!(!as_written(&[row.to_vec()], &[b"a\xfe"]));
    assert!(!as_written(&[row.to_vec()], &["a\u{fffd}".as_bytes()]));
    assert!(!as_written(&[row.to_vec()], &[b"<slt:ignore>\xfe"]));
    assert!(as_written(&[row.to_vec()], &[b"<slt:ignore>\xff"]));
    assert!(!as_written(&[vec![b"a\0b"]], &[b"a"]));
    assert!(as_written(&[vec!["\u{a0}a \t b".as_bytes(), b"c"]], &[b"a b  c "]));
}

#[test]
fn a_mismatch_never_looks_the_same_on_both_sides() {
    let pairs = [
        compared(&[&[b"a\xff"]], &["a\u{fffd}"]),
        compared(&[&[b"a\xff"]], &["a\\xFF"]),
        compared(&[&[b"a\nb"]], &["a", "b"]),
        compared(&[&[b" ", b"a"]], &["a"]),
        compared(&[&[b"a "]], &["a<slt:ignore>b", "c "]),
        compared(&[&[b"x", b"1 "]], &["<slt:ignore> 2"]),
    ];
    for (expected, actual) in pairs {
        assert_ne!(expected, actual);
    }
}

#[test]
fn whitespace_differences_are_not_in_the_diff() {
    let (expected, actual) = compared(&[&[b"a", b"b  c"], &[b"x", b"1"]], &["a\tb c  ", "x  2"]);
    assert_eq!((expected, actual), (vec!["a b c".into(), "x 2".into()], vec!["a b c".into(), "x 1".into()]));
}

#[test]
fn fingerprints_include_where_values_end() {
    let print = |table: &[&[&str]]| {
        let rows = rows(table);
        let mut comparison = Comparison::default();
        comparison.order(&rows, Sort::None);
        comparison.fingerprint(&rows)
    };
    assert!(print(&[&["a\nb"], &["c"]]) != print(&[&["a"], &["b\nc"]]));
    assert!(print(&[&["a\nb"], &["c"]]) == print(&[&["a\nb"], &["c"]]));
}

/// Whether rows equal the lines of an `.slt` file byte by byte, and whether they are equal except for white space.
fn both_ways(table: &[Vec<&str>], lines: &[String]) -> (bool, bool) {
    let rows = rows(&table.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let mut comparison = Comparison::default();
    comparison.order(&rows, Sort::None);
    let expected: Vec<&[u8]> = lines.iter().map(String::as_bytes).collect();
    let quick = comparison.is_letter_for_letter(&rows, &Lines::List(lines.to_vec()), true);
    (quick, as_written(&comparison.rows(&rows), &expected))
}

#[test]
fn rows_that_are_the_lines_letter_for_letter_are_found_quickly() {
    let check = |row: &[&str], line: &str| both_ways(&[row.to_vec()], &[line.to_owned()]);
    assert_eq!(check(&["1", "a é b"], "1 a é b"), (true, true));
    assert_eq!(check(&["a", "<slt:ignore>"], "a <slt:ignore>"), (true, true));
    // Equal only when white space is folded.
    assert_eq!(check(&["1", "2"], "1  2"), (false, true));
    assert_eq!(check(&["a  b"], "a  b"), (false, true));
    // The written row is the same as the line, but by the crate's rule they differ: an empty value leaves its blanks.
    assert_eq!(check(&["a", ""], "a "), (false, false));
    assert_eq!(check(&["a", "", "b"], "a  b"), (false, false));
    assert_eq!(check(&["a"], "a b"), (false, false));
    assert_eq!(check(&["a", "b"], "a"), (false, false));
    let row = || vec!["a"];
    assert_eq!(both_ways(&[row(), row()], &["a".to_owned()]), (false, false));
    assert_eq!(both_ways(&[row()], &["a".to_owned(), "a".to_owned()]), (false, false));
    assert_eq!(both_ways(&[], &[]), (true, true));
}

proptest::proptest! {
    #[test]
    fn what_is_found_quickly_is_equal(
        table in proptest::collection::vec(proptest::array::uniform2("[ab \t\u{a0}é]{0,3}|<slt:ignore>"), 0..4),
        other in proptest::collection::vec("[ab \u{a0}é]{0,5}", 0..3),
        same in proptest::bool::weighted(0.8),
    ) {
        let table: Vec<Vec<&str>> = table.iter().map(|row| row.iter().map(String::as_str).collect()).collect();
        let lines = if same { table.iter().map(|row| row.join(" ")).collect() } else { other };
        let (quick, equal) = both_ways(&table, &lines);
        proptest::prop_assert!(!quick || equal, "{table:?} {lines:?}");
    }
}
