use super::*;

/// Whether a result with this many columns, all of one type, agrees with the lines.
fn agrees(types: &[&str], columns: usize, values: &[&str], lines: &str) -> bool {
    judge(types, columns, values, lines).is_ok()
}

fn judge(types: &[&str], columns: usize, values: &[&str], expected: &str) -> Result<(), Mismatch> {
    let types: Vec<String> = types.iter().map(|name| (*name).to_owned()).collect();
    let actual = Actual::new(values.iter().map(|value| value.as_bytes()), columns, &types, false);
    let replace = |text: &str| Some(text.replace("{DATA_DIR}", "data"));
    actual.agrees(&lines(Some(expected).filter(|text| !text.is_empty())), &replace)
}

#[test]
fn a_value_is_compared_by_its_columns_type() {
    for (name, actual, expected, equal) in [
        ("INTEGER", "42", "42.4", true),
        ("INTEGER", "42", " 42 ", true),
        ("INTEGER", "42", "0x2A", true),
        ("INTEGER", "42", "42.5", false),
        ("HUGEINT", "42", "42.0", true),
        ("DECIMAL(4,2)", "1.24", "1.239", true),
        ("DECIMAL(4,2)", "1.24", "1.25", false),
        ("DOUBLE", "100.0", "100.9", true),
        ("DOUBLE", "100.0", "101.1", false),
        ("FLOAT", "0.1", "0.1", true),
        ("FLOAT", "1e+20", "100000000000000000000", true),
        ("DOUBLE", "inf", "Infinity", true),
        ("BOOLEAN", "1", "TRUE", true),
        ("BOOLEAN", "0", "true", false),
        ("BOOLEAN", "NULL", "anything", false),
        ("INTEGER", "NULL", "0", false),
        ("INTEGER", "0", "NULL", false),
        ("DOUBLE", "0.0", "NULL", false),
        ("DOUBLE[]", "[1.0]", "[1.00]", false),
        ("DATE", "2020-01-02", "2020-1-2", false),
        ("VARCHAR", "1.0", "1", false),
        ("VARCHAR", "a", "a ", false),
        ("INTEGER", "42", "<REGEX>:4", false),
        ("INTEGER", "42", "<REGEX>:4.", true),
        ("INTEGER", "42", "<!REGEX>:4", true),
        ("VARCHAR", "a\nb", "<REGEX>:a.b", true),
        ("VARCHAR", "data/x", "{DATA_DIR}/x", true),
    ] {
        assert_eq!(agrees(&[name], 1, &[actual], expected), equal, "{name} {actual} {expected}");
    }
}

#[test]
fn without_a_type_only_the_text_counts() {
    assert!(agrees(&[], 1, &["42"], "42"));
    for expected in ["42.0", " 42", "true", "0x2a"] {
        assert!(!agrees(&[], 1, &["42"], expected), "{expected}");
    }
}

#[test]
fn rows_are_lines_with_tabs_or_values_are_lines() {
    let two = ["1", "a b", "2", "c"];
    assert!(agrees(&[], 2, &two, "1\ta b\n2\tc"));
    assert!(agrees(&[], 2, &two, "1\t\ta b\t\n2\tc"), "empty pieces are dropped");
    assert!(agrees(&[], 2, &two, "1\na b\n2\nc"));
    assert!(!agrees(&[], 2, &two, "1 a b\n2 c"));
    assert!(!agrees(&[], 2, &two, "1\ta b"));
    assert!(!agrees(&[], 2, &two, "1\ta b\n2\tc\n3\td"));
    assert!(!agrees(&[], 2, &two, "1\na b\n2"));
    assert!(!agrees(&[], 1, &["a\tb"], "a\tb"), "a line with a tab is two values");
    assert!(!agrees(&[], 2, &["1", "2"], "1 2"));
    assert!(agrees(&[], 1, &[], "") && !agrees(&[], 1, &["1"], "") && !agrees(&[], 1, &[], "1"));
    let error = judge(&[], 2, &["1", "2"], "1 2").unwrap_err();
    assert!(error.message.contains("`1 2` has 1 value for 2 columns"), "{}", error.message);
}

#[test]
fn only_the_actual_rows_are_sorted() {
    let sorted = |sort, columns| {
        let values: [&[u8]; 4] = [b"9", b"b", b"10", b"a"];
        let mut actual = Actual::new(values.into_iter(), columns, &[], false);
        actual.sort(sort);
        actual.shown(1)
    };
    assert_eq!(sorted(Sort::Rows, 2).join("\n"), "10\na\n9\nb");
    assert_eq!(sorted(Sort::Rows, 1).join("\n"), "10\n9\na\nb");
    assert_eq!(sorted(Sort::Values, 2).join("\n"), "10\n9\na\nb");
    assert_eq!(sorted(Sort::None, 2).join("\n"), "9\nb\n10\na");
}

#[test]
fn a_hash_is_of_all_values() {
    // printf '1\n2\n3\n' | md5sum
    let line = "3 values hashing to c0710d6b4f15dfa88f600b0e6b624077";
    assert!(agrees(&[], 1, &["1", "2", "3"], line));
    assert!(!agrees(&[], 1, &["1", "3", "2"], line));
    assert!(!agrees(&[], 1, &["1", "2", "3"], &line.replace('3', "4")));
    assert!(is_hash(&[line]) && !is_hash(&[line, line]) && !is_hash(&["3 values hashing to x"]));
}

#[test]
fn a_file_has_a_header_and_bars_between_values() {
    let values: [&[u8]; 4] = [b"1", b"a|b", b"NULL", b"say \"x\""];
    let types = ["INTEGER".to_owned(), "VARCHAR".to_owned()];
    let actual = Actual::new(values.into_iter(), 2, &types, false);
    assert_eq!(actual.agrees_with_file("h|g\n1.0|\"a|b\"\n|\"say \"\"x\"\"\""), Ok(()));
    assert_eq!(actual.agrees_with_file("h|g\n1.0|\"a|b\"\n\"\"|\"say \"\"x\"\"\""), Ok(()));
    assert!(actual.agrees_with_file("h|g\n1|\"a|b\"").is_err());
    assert!(actual.agrees_with_file("h|g\n1|a\n|\"say \"\"x\"\"\"").is_err());
    assert!(actual.agrees_with_file("").is_err());
}

#[test]
fn bytes_that_are_no_text_equal_nothing() {
    let value: &[u8] = b"\xFF";
    let actual = Actual::new(std::iter::once(value), 1, &[], false);
    assert!(actual.agrees(&["\u{FFFD}"], &|_| None).is_err());
}
