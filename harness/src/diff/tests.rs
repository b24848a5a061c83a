//! Tests diffs of small and of large results.

use super::*;

fn list(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

fn shown(expected: &[String], actual: &[String], longest: usize) -> String {
    Sides { expected, actual, shape: Shape::Blanks(None), sorted: false, numbers: &[] }.text(longest)
}

fn lines(expected: &str, actual: &str) -> String {
    shown(&list(expected), &list(actual), LONGEST)
}

fn words(expected: &str, actual: &str, shape: Shape) -> String {
    Sides { expected: &list(expected), actual: &list(actual), shape, sorted: false, numbers: &[] }.words()
}

fn numbers(range: std::ops::RangeInclusive<u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[test]
fn only_differences_are_shown_with_some_context_and_their_line() {
    let expected = numbers(1..=20);
    let mut actual = expected.clone();
    actual[9] = "x".into();
    let text = shown(&expected, &actual, LONGEST);
    assert_eq!(text, "  … 6 equal rows\n  7\n  8\n  9\n- 10\n+ x\n  11\n  12\n  13\n  … 7 equal rows");
    let at: Vec<u64> = (101..=120).collect();
    let sides = Sides { expected: &expected, actual: &actual, shape: Shape::Blanks(None), sorted: false, numbers: &at };
    assert!(sides.text(LONGEST).contains("… 6 equal rows\n@@ line 110 @@\n  7\n"), "{}", sides.text(LONGEST));
    let mut actual = expected.clone();
    actual.insert(0, "x".into());
    actual.push("y".into());
    let text = Sides { actual: &actual, ..sides }.text(LONGEST);
    assert!(text.starts_with("@@ before line 101 @@\n+ x\n  1\n"), "{text}");
    assert!(text.ends_with("\n@@ after line 120 @@\n  18\n  19\n  20\n+ y"), "{text}");
    assert_eq!(lines("1\n2", "1"), "  1\n- 2");
    assert_eq!(lines("", "1"), "+ 1");
    assert_eq!(shown(&[], &[String::new()], LONGEST), "+ \"\"");
}

#[test]
fn what_is_not_seen_is_made_visible_where_it_decides() {
    assert_eq!(lines("a b", "a\u{a0}b"), "- \"a·b\"\n+ \"a\\u{a0}b\"");
    assert_eq!(lines("ab", "a\u{200b}b"), "- \"ab\"\n+ \"a\\u{200b}b\"");
    assert_eq!(lines("a b\tc", "a  b\tc"), "- \"a·b\\tc\"\n+ \"a··b\\tc\"");
    // Invisible characters stay as they are if other characters differ too.
    assert_eq!(lines(" x\na b\tc", " x\na  b\td"), "   x\n- a b\tc\n+ a  b\td");
    assert_eq!(lines("a", "\u{1b}[31m"), "- a\n+ \"\\u{1b}[31m\"");
    assert_eq!(lines("a\nb", "x\n y\nb"), "- a\n+ x\n+ \" y\"\n  b");
}

#[test]
fn lines_that_differ_face_each_other_and_the_part_that_differs_is_marked() {
    assert_eq!(lines("1\n2", "3\n4"), "- 1\n+ 3\n- 2\n+ 4");
    let (old, new) = ("a row that is somewhat long", "a row that was somewhat long");
    assert_eq!(lines(old, new), format!("- {old}\n+ {new}\n?            ^^"));
    assert_eq!(lines("表表表表表表表表a表", "表表表表表表表表b表"), "- 表表表表表表表表a表\n+ 表表表表表表表表b表");
    let wide = "表".repeat(20);
    let mark = format!("? {}^", " ".repeat(40));
    assert_eq!(lines(&format!("{wide}a"), &format!("{wide}b")), format!("- {wide}a\n+ {wide}b\n{mark}"));
}

#[test]
fn long_values_are_cut_around_the_difference() {
    let value = |middle: &str| format!("{}{middle}{}", "a".repeat(600_000), "é".repeat(600_000));
    let text = lines(&value("x"), &value("yz"));
    let [old, new, mark] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
    let (a, e) = ("a".repeat(30), "é".repeat(30));
    assert_eq!(old, format!("- …{a}x{e}… (1200001 characters)"));
    assert_eq!(new, format!("+ …{a}yz{e}… (1200002 characters)"));
    assert_eq!(mark, format!("?{}^^", " ".repeat(32)));
    // Lines without a counterpart are cut around the position where they begin to differ.
    let text = lines(&value("x"), &format!("{}\nb", value("y")));
    assert!(text.contains("ax") && text.contains("ay") && text.len() < 1000, "{text}");
    assert_eq!(shown(&[value("x")], &[], usize::MAX), format!("- {}", value("x")));
    assert_eq!(shown(&[], &["b".repeat(161)], LONGEST), format!("+ {}… (161 characters)", "b".repeat(160)));
}

#[test]
fn two_results_that_share_nothing_are_compared_in_bounded_time() {
    let side = |offset: u32| (0..50_000).map(|n| (n * 7 + offset).to_string()).collect::<Vec<_>>();
    let text = shown(&side(1), &side(2), LONGEST);
    assert!(text.starts_with("- 1\n") && text.len() < LONGEST + 80, "{}", &text[..80]);
}

#[test]
fn a_difference_far_down_is_found() {
    let expected = numbers(1..=100_000);
    let mut actual = expected.clone();
    actual[90_000] = "x".into();
    let near =
        "  … 89997 equal rows\n  89998\n  89999\n  90000\n- 90001\n+ x\n  90002\n  90003\n  90004\n  … 9996 equal rows";
    assert_eq!(shown(&expected, &actual, LONGEST), near);
    let all = shown(&expected, &[], LONGEST);
    assert!(all.len() < LONGEST + 80 && all.lines().last().unwrap().starts_with("… cut after "), "{}", all.len());
    let mut actual = numbers(1..=200_000);
    actual[0] = "x".into();
    let text = shown(&numbers(1..=200_000), &actual, LONGEST);
    assert!(text.ends_with("  4\n… 150000 more rows are not compared"), "{text}");
}

#[test]
fn very_long_texts_are_cut_between_characters() {
    let text = shorten("é".repeat(1 << 20), LONGEST);
    assert!(text.len() < LONGEST + 40 && text.ends_with("… 2097152 bytes in all"), "{}", &text[LONGEST - 8..]);
    assert_eq!(shorten("short".into(), LONGEST), "short");
}

#[test]
fn the_first_words_say_what_differs() {
    let row = Shape::Blanks(Some(3));
    for (expected, actual, shape, description) in [
        ("1\n2\n3", "2", Shape::Tabs, "2 rows missing (3 expected, 1 returned)"),
        ("", "1\n2\n1", Shape::Tabs, "3 rows too many (none expected, 3 returned)"),
        ("1\n2\n3", "", Shape::Tabs, "3 rows missing (3 expected, none returned)"),
        ("1\n2\n3", "4\n2", Shape::Tabs, "2 rows missing, 1 too many (3 expected, 2 returned)"),
        ("1\n2\n3", "3\n2\n1", Shape::Tabs, "another order (the same 3 rows)"),
        ("a b c\nd e f", "a b x\nd e f", row, "column 3 differs in 1 of 2 rows"),
        ("a b c\nd e f", "a b x\nd y f", row, "columns 2 and 3 differ in 2 of 2 rows"),
        ("a b c", "x y z", row, "the row differs"),
        ("a b c", "a b", Shape::Blanks(Some(2)), "3 columns expected, 2 returned"),
        ("a b c", "a b", Shape::Blanks(Some(1)), "the row differs"),
        // A row that is sorted to another position because it differs counts as one difference.
        ("a 1\nb 2\nc 3", "b 2\nc 3\nd 1", Shape::Blanks(Some(2)), "column 1 differs in 1 of 3 rows"),
        ("a\n1\nb\n2", "a\n1\nb\n3", Shape::Values(2), "column 2 differs in 1 of 2 rows"),
        ("a\n1\nb", "a\n1", Shape::Values(2), "1 value missing (3 expected, 2 returned)"),
        ("a\n1\nb\n2", "a\n1", Shape::Values(2), "1 row missing (2 expected, 1 returned)"),
        ("1\n2\n3", "1\n2\n4", Shape::Sorted, "1 of 3 values differs"),
        ("a b", "a  b", Shape::Values(1), "the value differs, in white space only"),
        ("a\tb", "a\tb ", Shape::Tabs, "column 2 differs in the row, in white space only"),
        ("3 values hashing to a", "3 values hashing to b", Shape::Hash, "another hash of 3 values"),
        ("3 values hashing to a", "1 values hashing to b", Shape::Hash, "2 values missing (3 expected, 1 returned)"),
        ("a", "a", Shape::Tabs, "the engine's validator refuses this result"),
    ] {
        assert_eq!(words(expected, actual, shape), description, "{expected:?} {actual:?}");
    }
}
