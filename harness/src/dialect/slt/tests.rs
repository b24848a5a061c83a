use std::fs;

use super::*;

/// A folder that is the root of scripts.
struct Place(tempfile::TempDir);

impl Place {
    fn new(files: &[(&str, &str)]) -> Place {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Place(folder)
    }

    fn parse(&self, text: &str) -> Result<Vec<Record<'static>>, SyntaxError> {
        parse(text.as_bytes(), &Labels::new(["sqlite"]), &self.0.path().join("script.slt"), self.0.path())
    }
}

fn records(text: &str) -> Vec<Record<'static>> {
    Place::new(&[]).parse(text).unwrap_or_else(|error| panic!("line {}: {error}", error.line))
}

fn complaint(text: &str) -> (u64, String) {
    let error = Place::new(&[]).parse(text).expect_err(text);
    (error.line, error.message)
}

/// A short description of a record: its line, its kind and its SQL.
fn told(record: &Record<'_>) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let step = match &record.step {
        Step::Skip => "skip".to_owned(),
        Step::Halt => "halt".to_owned(),
        Step::HashThreshold(threshold) => format!("threshold {threshold}"),
        Step::Statement { sql, expect } => match expect {
            Completion::Ok => format!("ok {}", text(sql)),
            Completion::Count(count) => format!("count {count} {}", text(sql)),
            Completion::Error(error) => format!("error {error:?} {}", text(sql)),
        },
        Step::Query { sql, letters, sort, label, expect } => {
            let label = label.as_deref().map(text).unwrap_or_default();
            let expect = match expect {
                Answer::Error { expected, .. } => format!("{expected:?}"),
                Answer::Lines { lines, row_wise } => {
                    format!("{row_wise} {}", lines.iter().map(text).collect::<Vec<_>>().join(","))
                }
            };
            format!("{} {sort:?} {label} {} = {expect}", text(letters), text(sql))
        }
        Step::Let { variables, sql } => format!("let {} {sql}", variables.join(",")),
        Step::System { command, stdout } => format!("system {command} {stdout:?}"),
        Step::Sleep(duration) => format!("sleep {duration:?}"),
        Step::Other => "other".to_owned(),
    };
    format!("{} {step}", record.line)
}

fn all_told(text: &str) -> Vec<String> {
    records(text).iter().map(told).collect()
}

#[test]
fn statements_succeed_count_or_fail() {
    let told = all_told(
        "statement ok\nA\n\nstatement count 2\nB\n\nstatement error\nC\n\nstatement error no .* table\nD\n\n\
         statement error\nE\n----\nwhole text\n\n\nstatement error (42P01)\nF\n",
    );
    assert_eq!(told[..2], ["1 ok A", "4 count 2 B"]);
    assert!(told[2].contains("Empty"), "{told:?}");
    assert!(told[3].contains("no .* table") && told[4].contains("whole text") && told[5].contains("42P01"), "{told:?}");
}

#[test]
fn queries_return_rows_or_fail() {
    assert_eq!(
        all_told("query IT rowsort label\nA\n----\n1 one\n2 two\n\nquery I\nB\n----\n"),
        ["1 IT Rows label A = true 1 one,2 two", "7 I None  B = true "]
    );
    assert!(all_told("query error division\nA\n")[0].contains("division"));
    assert_eq!(
        all_told("query\n----\nA\n----\n1\n \n"),
        ["1  None  ----\nA = true 1, "],
        "no letters, and any first line"
    );
}

#[test]
fn controls_hold_for_what_follows() {
    assert_eq!(
        all_told(
            "query I\nA\n----\n1\n\ncontrol sortmode valuesort\n\ncontrol resultmode valuewise\n\nquery I\nB\n----\n1\n\n\
             query I nosort\nC\n----\n1\n\ncontrol resultmode rowwise\n\nquery I\nD\n----\n1\n"
        ),
        ["1 I None  A = true 1", "10 I Values  B = false 1", "15 I None  C = false 1", "22 I Values  D = true 1"]
    );
    let records = records("statement ok\n$a\n\ncontrol substitution on\n\nstatement ok\n$b\n");
    assert_eq!((records[0].substitute, records[1].substitute), (false, true));
    assert!(complaint("control sortmode sideways\n").1.contains("unknown mode `sideways`"));
}

#[test]
fn tries_connections_variables_commands_and_pauses_are_read() {
    let records = records(
        "statement ok retry 3 backoff 10ms\nA\n\nconnection other\nstatement ok\nB\n\nstatement ok\nC\n\n\
         let x, y\nSELECT 1, 2\n\nsystem ok\necho a\n----\na\n\n\nsleep 5ms\n\nsubtest s\n\nhash-threshold 7\n\nhalt\n\nnonsense\n",
    );
    assert_eq!(records[0].retry, Some((3, std::time::Duration::from_millis(10))));
    assert_eq!((records[1].connection.as_deref(), records[2].connection.as_deref()), (Some("other"), None));
    let rest: Vec<String> = records[3..].iter().map(told).collect();
    assert_eq!(rest[0], "11 let x,y SELECT 1, 2");
    assert!(rest[1].starts_with("14 system echo a Some"), "{rest:?}");
    assert_eq!(rest[2..], ["20 sleep 5ms", "24 threshold 7", "26 halt"], "nothing below a `halt` is read");
    assert!(complaint("sleep long\n").1.contains("is not a time"));
}

#[test]
fn conditions_hold_for_every_directive_and_leave_lines_where_they_are() {
    assert_eq!(
        all_told(
            "skipif mysql # why\nstatement ok\nA\n\nonlyif MySQL\nquery I\nB\n----\n1\n\nonlyif mysql\nhalt\n\n\
             skipif SQLITE\nsleep 1h\n\nskipif sqlite\nlet x\nSELECT 1\n\nstatement ok\nC\n"
        ),
        ["2 ok A", "6 skip", "18 skip", "21 ok C"]
    );
}

#[test]
fn a_condition_before_no_record_is_an_error() {
    for text in ["onlyif mysql\n", "skipif mysql\n", "statement ok\nA\n\nskipif mysql\n", "connection x\n"] {
        let (line, message) = complaint(text);
        assert_eq!(line, text.trim_end().lines().count() as u64, "{text}");
        assert!(message.contains("no record follows"), "{text}: {message}");
    }
}

#[test]
fn an_order_that_is_misspelt_is_not_taken_for_a_label() {
    for order in ["rowsrt", "RowSort", "sort", "value_sort", "no-sort", "rowsorted"] {
        let (line, message) = complaint(&format!("\nquery I {order}\nA\n----\n1\n"));
        assert_eq!(line, 2);
        assert!(message.contains(&format!("unknown order `{order}`")), "{message}");
    }
    assert_eq!(all_told("query I label-1\nA\n----\n1\n"), ["1 I None label-1 A = true 1"]);
}

#[test]
fn included_records_have_their_own_file_and_line() {
    let place = Place::new(&[
        ("one.part", "\u{feff}\nstatement ok\nINSIDE\n"),
        ("two.part", "control sortmode rowsort\n\nhalt\n"),
    ]);
    let records =
        place.parse("include one.part\n\nstatement ok\nAFTER\n\ninclude two.part\n\nstatement ok\nB\n").unwrap();
    let places: Vec<String> = records.iter().map(told).collect();
    assert_eq!(places, ["2 ok INSIDE", "3 ok AFTER", "3 halt"], "a `halt` in an included file ends them all");
    assert!(records[0].included_from.as_deref().is_some_and(|name| name.ends_with("one.part")));
    assert_eq!(records[1].included_from, None);
}

#[test]
fn errors_in_an_included_file_are_laid_at_its_door() {
    let place = Place::new(&[("bad.part", "\n\nnonsense\n"), ("self.part", "include self.part\n")]);
    let error = place.parse("include bad.part\n").unwrap_err();
    assert_eq!((error.line, error.included_from.is_some_and(|name| name.ends_with("bad.part"))), (3, true));
    assert!(place.parse("\ninclude self.part\n").unwrap_err().message.contains("includes a file that is including it"));
    let error = place.parse("\ninclude absent.part\n").unwrap_err();
    assert_eq!((error.line, error.included_from), (2, None));
}

#[test]
fn includes_have_a_depth_and_a_number() {
    let chain: Vec<(String, String)> = (0..200)
        .map(|index| (format!("{index}.part"), format!("statement ok\nA\n\ninclude {}.part\n", index + 1)))
        .collect();
    let files: Vec<(&str, &str)> = chain.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let error = Place::new(&files).parse("include 0.part\n").unwrap_err();
    assert!(error.message.contains("is included through 64 files"), "{error}");
    assert_eq!((error.line, error.included_from.is_some_and(|name| name.ends_with("63.part"))), (4, true));
    let twice = |index: u32| (format!("{index}.part"), format!("include {0}.part\ninclude {0}.part\n", index + 1));
    let bomb: Vec<(String, String)> = (0..20).map(twice).chain([("20.part".to_owned(), String::new())]).collect();
    let files: Vec<(&str, &str)> = bomb.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let error = Place::new(&files).parse("include 0.part\n").unwrap_err();
    assert!(error.message.contains("a script includes up to 10000 files"), "{error}");
    let place = Place::new(&[("a.part", "statement ok\nA\n")]);
    let (labels, root) = (Labels::default(), place.0.path());
    let error = parse_in_time(b"\ninclude a.part\n", &labels, &root.join("s.slt"), root, &|| true).unwrap_err();
    assert_eq!((error.line, error.message.contains("the time limit was exceeded")), (2, true), "{error}");
}

#[test]
fn carriage_returns_and_a_byte_order_mark_are_no_part_of_it() {
    let text = "\u{feff}statement ok\nA\nB\n\nquery I\nC\n----\n1\n\nquery T\nD\n----\nx\n";
    let plain = all_told(text.trim_start_matches('\u{feff}'));
    assert_eq!(all_told(text), plain);
    assert_eq!(all_told(&text.replace('\n', "\r\n")), plain);
    assert_eq!(all_told("query T\nA\n----\n\u{feff}x\n"), ["1 T None  A = true \u{feff}x"], "there it is a value");
}

#[test]
fn what_cannot_be_read_is_named_in_our_words() {
    for (text, line, words) in [
        ("\nnonsense here\n", 2, "unknown directive `nonsense` (a `.slt` file knows skipif, onlyif, statement"),
        ("stmt ok\nA\n", 1, "unknown directive `stmt`; did you mean `statement`?"),
        ("connection a port=x\nstatement ok\nA\n", 1, "`connection` takes one name"),
        ("subtest\n", 1, "`subtest` takes one name"),
        ("include a b\n", 1, "`include` takes one path or pattern"),
        ("sleep 1 s\n", 1, "`sleep` takes one time such as `10ms` or `2s`"),
        (" # why\n", 1, "unknown directive `#`; a comment begins in the first column"),
        ("halt now\n", 1, "`halt` takes nothing"),
        ("control sortmode\n", 1, "`control` takes `sortmode`, `resultmode` or `substitution`, and one value"),
        ("hash-threshold\n", 1, "`hash-threshold` takes one number"),
        ("let\nA\n", 1, "`let` takes the names of variables"),
        ("statement async ok\nA\n", 1, "`statement` needs `ok`, `error` or `count N`, not `async`"),
        ("statement\nA\n", 1, "`statement` needs `ok`, `error` or `count N`, not nothing"),
        ("system error\nA\n", 1, "`system` needs `ok`, not `error`"),
        ("statement ok con1\nA\n", 1, "a connection there belongs to DuckDB's dialect"),
        ("statement ok retry\nA\n", 1, "`retry` takes a number of tries"),
        ("set testdir x\n", 1, "unknown directive `set` (a `.slt`"),
        ("statement error [\nA\n", 1, "is not a regular expression"),
        ("statement count x\nA\n", 1, "`x` is not a number"),
        ("hash-threshold x\n", 1, "`x` is not a number"),
        ("statement ok\n\n", 1, "no SQL but comments and `;`"),
        ("statement ok\n-- A\n;\n", 1, "no SQL but comments and `;`"),
        ("statement error\n/* A */\n", 1, "no SQL but comments and `;`"),
        ("statement error ()\nA\n", 1, "`()` matches every error"),
        ("query error x|\nA\n", 1, "`x|` matches every error"),
        ("statement ok\nA\rB\n", 2, "a carriage return that ends no line"),
        ("# c\rquery I\r", 1, "a carriage return that ends no line"),
        ("statement ok\nA\n\n\u{feff}statement ok\nB\n", 4, "unknown directive `\\u{feff}statement`; did you mean"),
        ("statement ok # why\nA\n", 1, "unexpected `#` behind the directive"),
        ("statement ok\nA\n----\n1\n", 1, "`----` belongs to a `query`"),
        ("query error no\nA\n----\nno\n\n\n", 1, "an error is expected twice"),
        ("control substitution maybe\n", 1, "unknown setting `maybe`: on or off"),
        ("let 1a\nA\n", 1, "`1a` cannot be a variable"),
        ("query I retry 0 backoff 1s\nA\n", 1, "a number of tries, at least 1"),
        ("query I retry 2\nA\n", 1, "then `backoff` and a time"),
    ] {
        let (found, message) = complaint(text);
        assert_eq!(found, line, "{text}: {message}");
        assert!(message.contains(words), "{text}: {message}");
    }
}

#[test]
fn an_expected_error_is_the_one_that_the_crate_reads() {
    for (head, tail) in [
        ("statement error", ""),
        ("statement error no .* table", ""),
        ("  statement   error  a   b # c", ""),
        ("statement error # c", ""),
        ("statement error (42P01)", ""),
        ("statement error (42p01)", ""),
        ("statement error (42P01) x", ""),
        ("statement error retry 3 backoff 10ms", ""),
        ("statement error retry 3 backoff 10ms", "----\nwhole\ntext\n\n"),
        ("statement error retry 3", ""),
        ("statement error", "----\nwhole\ntext\n\n"),
        ("statement error", "----\n\n\n"),
        ("query error", ""),
        ("query error x+", ""),
        ("query error", "----\nwhole text\n\n"),
    ] {
        let text = format!("{head}\nSELECT 1\n{tail}");
        let (expected, retry) = match parser::parse::<Letter>(&text).unwrap().remove(0) {
            Parsed::Statement { expected: StatementExpect::Error(error), retry, .. } => (error, retry),
            Parsed::Query { expected: QueryExpect::Error(error), retry, .. } => (error, retry),
            other => panic!("{other:?}"),
        };
        let record = records(&text).remove(0);
        let own = match &record.step {
            Step::Statement { expect: Completion::Error(error), .. } => error,
            Step::Query { expect: Answer::Error { expected, .. }, .. } => expected,
            other => panic!("{other:?}"),
        };
        assert_eq!(format!("{own:?}"), format!("{expected:?}"), "{text}");
        assert_eq!(record.retry, retry.map(|retry| (retry.attempts, retry.backoff)), "{text}");
    }
    // Both refuse these, with the same words.
    for text in ["statement error a(\nSELECT 1\n", "statement error x\nSELECT 1\n----\ny\n\n\n"] {
        let words = in_our_words(&parser::parse::<Letter>(text).unwrap_err().kind());
        assert_eq!(complaint(text), (1, words));
    }
}
