//! Properties that hold for every text.

use std::path::Path;

use proptest::prelude::*;

use super::{classic, slt};
use crate::script::{Answer, Completion, Labels, Record, Step, SyntaxError};

fn labels() -> Labels {
    Labels::new(["sqlite"])
}

fn classic(text: &[u8]) -> Result<Vec<String>, SyntaxError> {
    let labels = labels();
    let records: Result<Vec<Record<'_>>, SyntaxError> = classic::Parser::new(text, &labels).collect();
    Ok(records?.iter().map(|record| format!("{record:?}")).collect())
}

/// The lines of a text's records, and the error that ended the text, if any.
type Parsed = (Vec<u64>, Option<SyntaxError>);

/// The lines of a text's records, and the line of the error that ended the text, if any.
fn places(text: &[u8], dialect: fn(&[u8]) -> Parsed) -> Vec<u64> {
    let (mut lines, error) = dialect(text);
    lines.extend(error.map(|error| {
        assert!(!error.message.is_empty() && error.message.len() < 1000, "{}", error.message);
        error.line
    }));
    lines
}

fn classic_places(text: &[u8]) -> Parsed {
    let labels = labels();
    let mut error = None;
    let lines = classic::Parser::new(text, &labels)
        .filter_map(|record| record.map(|record| record.line).map_err(|found| error = Some(found)).ok())
        .collect();
    (lines, error)
}

fn slt_places(text: &[u8]) -> Parsed {
    match slt::parse(text, &labels(), Path::new("absent/a.slt"), Path::new("absent")) {
        Ok(records) => (records.iter().map(|record| record.line).collect(), None),
        Err(error) => (Vec::new(), Some(error)),
    }
}

/// Texts that resemble scripts more than random bytes do.
fn scripts() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        Just("statement ok"),
        Just("statement error"),
        Just("statement error x["),
        Just("statement count 2"),
        Just("query IT rowsort label"),
        Just("query I"),
        Just("query error no"),
        Just("query"),
        Just("----"),
        Just("---- "),
        Just("skipif sqlite # why"),
        Just("skipif sqlite"),
        Just("onlyif sqlite"),
        Just("onlyif mysql"),
        Just("halt"),
        Just("hash-threshold 8"),
        Just("hash-threshold x"),
        Just("control sortmode rowsort"),
        Just("control substitution on"),
        Just("connection a"),
        Just("include a*"),
        Just("let x, y"),
        Just("sleep 1ms"),
        Just("subtest a"),
        Just("system ok"),
        Just("# comment"),
        Just("SELECT 1"),
        Just("3 values hashing to 0123456789abcdef0123456789abcdef"),
        Just("1 one"),
        Just(" \t"),
        Just(""),
        Just(""),
        Just("\u{feff}"),
    ];
    let end = prop_oneof![4 => Just("\n"), 1 => Just("\r\n")];
    let lines = prop::collection::vec((line, end), 0..40);
    lines.prop_map(|lines| lines.into_iter().flat_map(|(line, end)| [line, end].concat().into_bytes()).collect())
}

fn noise() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![scripts(), prop::collection::vec(any::<u8>(), 0..300), ".{0,200}".prop_map(String::into_bytes)]
}

/// A record of a classic script: its text, and the result of reading it.
fn written() -> impl Strategy<Value = (String, String)> {
    let sql = "[A-Z][a-z]{0,5}( [a-z(),]{1,6}){0,3}(\n[A-Z]{1,4})?";
    let values = prop::collection::vec("[a-z0-9]{1,4}", 0..5);
    let order = prop_oneof![Just(("", "None")), Just((" rowsort", "Rows")), Just((" valuesort", "Values"))];
    prop_oneof![
        sql.prop_map(|sql| (format!("statement ok\n{sql}\n"), format!("ok {sql}"))),
        sql.prop_map(|sql| (format!("statement error\n{sql}\n"), format!("error {sql}"))),
        ("[IRT]{1,3}", sql, values, order).prop_map(|(letters, sql, values, (order, name))| {
            let lines: String = values.iter().map(|value| format!("{value}\n")).collect();
            let read = format!("{letters} {name} {sql} = {}", values.join(","));
            (format!("query {letters}{order}\n{sql}\n----\n{lines}"), read)
        }),
        sql.prop_map(|sql| (format!("onlyif mysql\nstatement ok\n{sql}\n"), "skip".to_owned())),
    ]
}

fn read(record: &Record<'_>) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match &record.step {
        Step::Skip => "skip".to_owned(),
        Step::Statement { sql, expect: Completion::Ok } => format!("ok {}", text(sql)),
        Step::Statement { sql, .. } => format!("error {}", text(sql)),
        Step::Query { sql, letters, sort, expect: Answer::Lines { lines, .. }, .. } => {
            let lines: Vec<String> = lines.iter().map(text).collect();
            format!("{} {sort:?} {} = {}", text(letters), text(sql), lines.join(","))
        }
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_text_makes_a_parser_panic_and_every_place_is_in_the_text(text in noise()) {
        let count = text.split(|byte| *byte == b'\n').count() as u64;
        for dialect in [classic_places, slt_places] {
            let places = places(&text, dialect);
            prop_assert!(places.iter().all(|line| (1..=count).contains(line)), "{places:?} of {count}");
            let records = &places[..places.len().saturating_sub(1)];
            prop_assert!(records.is_sorted(), "{places:?}");
        }
    }

    #[test]
    fn line_ends_make_no_difference(text in scripts()) {
        let plain: Vec<u8> = text.iter().copied().filter(|byte| *byte != b'\r').collect();
        let both = |text: &[u8]| {
            let in_a_word = |error: SyntaxError| (error.line, error.message);
            (classic(text).map(|records| records.len()).map_err(in_a_word), places(text, slt_places))
        };
        prop_assert_eq!(both(&text), both(&plain));
    }

    #[test]
    fn what_is_written_is_read(records in prop::collection::vec(written(), 0..12), crlf: bool, bom: bool) {
        let blocks: Vec<&str> = records.iter().map(|(text, _)| text.as_str()).collect();
        let mut text = blocks.join("\n");
        if crlf {
            text = text.replace('\n', "\r\n");
        }
        if bom {
            text.insert(0, '\u{feff}');
        }
        let labels = labels();
        let parsed: Result<Vec<Record<'_>>, _> = classic::Parser::new(text.as_bytes(), &labels).collect();
        let parsed: Vec<String> = parsed.unwrap().iter().map(read).collect();
        let expected: Vec<&String> = records.iter().map(|(_, read)| read).collect();
        prop_assert_eq!(parsed.iter().collect::<Vec<_>>(), expected);
    }
}
