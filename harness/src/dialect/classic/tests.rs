use super::*;

/// All records of a text, for SQLite.
fn parse(text: &str) -> Result<Vec<Record<'_>>, SyntaxError> {
    static SQLITE: std::sync::LazyLock<Labels> = std::sync::LazyLock::new(|| Labels::new(["SQLite"]));
    Parser::new(text.as_bytes(), &SQLITE).collect()
}

fn records(text: &str) -> Vec<Record<'_>> {
    parse(text).unwrap_or_else(|error| panic!("line {}: {error}", error.line))
}

/// The line and the message of a text's error.
fn complaint(text: &str) -> (u64, String) {
    let error = parse(text).expect_err(text);
    (error.line, error.message)
}

/// A short description of a record: its line, its SQL or kind, and what it expects.
fn told(record: &Record<'_>) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let step = match &record.step {
        Step::Skip => "skip".to_owned(),
        Step::Halt => "halt".to_owned(),
        Step::HashThreshold(threshold) => format!("threshold {threshold}"),
        Step::Statement { sql, expect: Completion::Ok } => format!("ok {}", text(sql)),
        Step::Statement { sql, expect: Completion::Error(_) } => format!("error {}", text(sql)),
        Step::Query { sql, letters, sort, label, expect: Answer::Lines { lines, row_wise: false } } => {
            assert_eq!(lines.iter().count(), lines.count());
            let lines: Vec<String> = lines.iter().map(text).collect();
            let label = label.as_deref().map(text).unwrap_or_default();
            format!("{} {sort:?} {label} {} = {}", text(letters), text(sql), lines.join(","))
        }
        other => panic!("{other:?}"),
    };
    format!("{} {step}", record.line)
}

fn all_told(text: &str) -> Vec<String> {
    records(text).iter().map(told).collect()
}

#[test]
fn statements_must_succeed_or_fail() {
    assert_eq!(all_told("statement ok\nA\nB\n\nstatement error\nC\n"), ["1 ok A\nB", "5 error C"]);
    assert!(complaint("\nstatement okay\nA\n").1.contains("needs `ok` or `error`, not `okay`"));
    assert!(complaint("statement\nA\n").1.contains("not nothing"));
}

#[test]
fn queries_have_letters_an_order_a_label_and_lines() {
    assert_eq!(
        all_told("query IRT valuesort label-1\nA\nB\n----\n1\n\nquery I nosort\nC\n----\n\nquery T rowsort\nD\n"),
        ["1 IRT Values label-1 A\nB = 1", "7 I None  C = ", "11 T Rows  D = "]
    );
    assert_eq!(all_told("query I\nA\n----\n2 values hashing to 00\n"), ["1 I None  A = 2 values hashing to 00"]);
    for (text, words) in [
        ("query\nA\n", "needs a letter for each column"),
        ("query IX\nA\n", "unknown column letter `X` in `IX`"),
        ("query I sorted\nA\n", "unknown order `sorted`"),
        ("query I nosort l more\nA\n", "unexpected `more` after the directive"),
        ("statement ok con1\nA\n", "a connection there belongs to DuckDB's dialect"),
        ("statement ok con1 x\nA\n", "unexpected `con1` after the directive"),
        ("query nosort\nA\n", "a letter for each column before `nosort`"),
        ("query F\nA\n", "any other belongs to the sqllogictest-rs dialect"),
        ("set testdir x\n", "unknown directive `set`"),
        ("statement error no such table\nA\n", "`error` with a pattern belongs to the sqllogictest-rs dialect"),
        ("control sortmode rowsort\n", "`control` belongs to the sqllogictest-rs dialect: `--dialect slt`"),
        ("statement ok\n;\n-- A\n", "`statement` without SQL: there are only comments and `;`"),
        ("statement ok\nA\rB\n", "a carriage return that ends no line"),
        ("query I\nA\n----\n1\n----\n2\n", "a second `----`"),
        ("statement ok\nA\n----\n1\n", "`----` belongs to a `query`"),
        ("query I\n\nA\n", "`query` without SQL"),
        ("statement ok\n", "`statement` without SQL"),
        ("query I\n----\n1\n", "`query` without SQL"),
    ] {
        assert!(complaint(text).1.contains(words), "{text}: {:?}", complaint(text));
    }
}

#[test]
fn thresholds_are_numbers() {
    assert_eq!(all_told("hash-threshold 8\n\nhash-threshold 0\n"), ["1 threshold 8", "3 threshold 0"]);
    assert_eq!(complaint("hash-threshold x\n"), (1, "`hash-threshold` needs a number, not `x`".into()));
    assert_eq!(complaint("hash-threshold\n").1, "`hash-threshold` needs a number, not nothing");
    assert_eq!(complaint("hash-threshold -1\n").0, 1);
}

#[test]
fn a_halt_obeys_its_conditions_which_do_not_leak() {
    assert_eq!(
        all_told("onlyif mysql\nhalt\n\nstatement ok\nA\n\nskipif mysql\nhalt\n"),
        ["4 ok A", "8 halt"],
        "a halt for others neither ends the script nor takes the next record with it"
    );
    assert_eq!(all_told("onlyif mysql\nhash-threshold 1\n\nstatement ok\nA\n"), ["4 ok A"]);
}

#[test]
fn any_number_of_conditions_must_all_hold_whatever_their_letter_case() {
    assert_eq!(
        all_told(
            "skipif mysql # a comment\nskipif oracle#another\nonlyif SQLITE\nstatement ok\nA\n\n\
             onlyif sqlite\nskipif sqLite\nquery I\nB\n----\n1\n\nonlyif mysql\nstatement ok\nC\n"
        ),
        ["4 ok A", "9 skip", "15 skip"]
    );
    assert!(complaint("skipif a b\nstatement ok\nA\n").1.contains("takes one name"));
    assert!(complaint("onlyif # nobody\nstatement ok\nA\n").1.contains("needs the name of an engine"));
    assert_eq!(complaint("statement ok\nA\n\nskipif mysql\n\nstatement ok\nB\n").0, 4);
    assert_eq!(complaint("statement ok\nA\n\nskipif mysql # why\n").1, "no record follows `skipif mysql # why`");
}

#[test]
fn nothing_of_a_record_that_is_left_out_has_to_be_valid() {
    for record in ["query IB\nA\n----\n1\n", "statement count 3\nA\n", "query I partialsort\nA\n", "wibble\nA\n"] {
        assert_eq!(all_told(&format!("onlyif mysql\n{record}\nstatement ok\nB\n")).len(), 2, "{record}");
        assert_eq!(all_told(&format!("skipif sqlite\n{record}"))[0], "2 skip", "{record}");
        assert_eq!(complaint(record).0, 1, "{record}");
        // An engine that is not known may be the one that the record is for.
        let undecided = Labels::undecided();
        let mut parser = Parser::new(b"onlyif mysql\nwibble\n", &undecided);
        assert!(parser.next().is_some_and(|record| record.is_err()));
    }
}

#[test]
fn comments_are_dropped_everywhere() {
    assert_eq!(
        all_told("# a\n\nquery I # letters\n# b\nA\n# c\nB\n# d\n----\n# e\n1\n# f\n2\n# g\n\nhalt # end\n"),
        ["3 I None  A\nB = 1,2", "16 halt"]
    );
}

#[test]
fn carriage_returns_and_a_byte_order_mark_are_no_part_of_it() {
    let text = "\u{feff}statement ok\nA\nB\n\nquery I\nC\n----\n1\n2\n";
    let plain = records(text.trim_start_matches('\u{feff}')).iter().map(told).collect::<Vec<_>>();
    assert_eq!(all_told(text), plain);
    assert_eq!(all_told(&text.replace('\n', "\r\n")), plain);
}

#[test]
fn white_space_parts_records_and_may_trail() {
    assert_eq!(
        all_told("statement ok  \nA\n \t \nquery  I \tnosort\nB\n---- \n1\n\t\nhalt"),
        ["1 ok A", "4 I None  B = 1", "9 halt"]
    );
}

#[test]
fn an_empty_file_holds_nothing() {
    for text in ["", "\n\n", "# only a comment", "\u{feff}", " \t\r\n"] {
        assert_eq!(all_told(text), [""; 0], "{text:?}");
    }
}

#[test]
fn what_is_unknown_is_named_with_its_line_and_ends_the_script() {
    let (line, message) = complaint("statement ok\nA\n\n\nselect 1\n");
    assert_eq!(line, 5);
    assert!(message.starts_with("unknown directive `select` (a `.test` file knows "), "{message}");
    let labels = Labels::default();
    assert_eq!(Parser::new(b"nonsense\n\nhalt\n", &labels).count(), 1);
    assert!(complaint(&"x".repeat(1000)).1.len() < 200);
}

#[test]
fn records_borrow_the_file_unless_lines_must_go() {
    let borrowed = |text: &str| match &records(text)[0].step {
        Step::Statement { sql, .. } => matches!(sql, Cow::Borrowed(_)),
        other => panic!("{other:?}"),
    };
    assert!(borrowed("statement ok\nA\nB\nC\n"));
    assert!(!borrowed("statement ok\nA\n# gone\nC\n"));
}
