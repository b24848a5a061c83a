//! Scripts that are blessed with the results of embedded SQLite.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::{Bless, How};
use crate::engine::sqlite::Sqlite;
use crate::outcome::{Outcome, Verdict};
use crate::suite::Suite;
use crate::trial::{Options, run};

const WRITE: Bless = Bless { how: How::Write, errors: false, fill: None };
const WITH_ERRORS: Bless = Bless { how: How::Write, errors: true, fill: None };

/// Runs one script of a folder.
fn trial(root: &Path, name: &str, bless: Option<Bless>) -> Outcome {
    let file = Suite::from_roots([root.to_path_buf()]).find(name).unwrap().unwrap();
    run(&file, &Sqlite, &Options { bless, ..Options::default() }, &())
}

/// Blesses a script; returns the new text, how it ended, and how a second run ends.
fn blessed(name: &str, script: &[u8], bless: Bless) -> (Vec<u8>, Outcome, Outcome) {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join(name), script).unwrap();
    let outcome = trial(root.path(), name, Some(bless));
    let again = trial(root.path(), name, None);
    (fs::read(root.path().join(name)).unwrap(), outcome, again)
}

/// Asserts that a script is blessed into another one, which passes.
#[track_caller]
fn becomes(name: &str, script: &str, expected: &str, bless: Bless) {
    let (text, outcome, again) = blessed(name, script.as_bytes(), bless);
    assert_eq!(String::from_utf8(text).unwrap(), expected, "{}", outcome.failure_text());
    assert_eq!((&outcome.verdict, &again.verdict), (&Verdict::Passed, &Verdict::Passed), "{}", again.failure_text());
    assert_eq!((outcome.rewritten > 0, outcome.records), (script != expected, again.records));
}

/// Asserts that a script stays unchanged and still fails, for this reason.
#[track_caller]
fn stays(name: &str, script: &str, reason: &str, bless: Bless) {
    let (text, outcome, again) = blessed(name, script.as_bytes(), bless);
    assert_eq!(String::from_utf8(text).unwrap(), script);
    assert_eq!((&outcome.verdict, &again.verdict), (&Verdict::Failed, &Verdict::Failed));
    let failure = outcome.failure_text();
    assert!(failure.contains(&format!("\nnot blessed: {reason}")), "{failure}");
}

#[test]
fn what_cannot_be_blessed_still_fails_and_says_why() {
    let parts = "only results of statements and queries can be written";
    stays("x.test", "query I\nSELECT 1\n----\n2\n----\n", parts, WRITE);
    stays("x.slt", "system ok\necho 1\n", parts, WITH_ERRORS);
    stays("x.slt", "let a\nSELECT 1, 2\n", parts, WITH_ERRORS);
    let others = "the engine returned a value that, as an expected one, would match other values too";
    stays("x.slt", "query T\nSELECT '<slt:ignore>'\n----\nx\n", others, WRITE);
    for value in ["<FILE>:x", "<REGEX>:.*", "<!REGEX>:x"] {
        stays("x.duckdb.test", &format!("query IT\nSELECT 1, '{value}'\n----\n1\tx\n"), others, WRITE);
    }
    becomes(
        "x.test",
        "query T\nSELECT '<slt:ignore>'\n----\nx\n",
        "query T\nSELECT '<slt:ignore>'\n----\n<slt:ignore>\n",
        WRITE,
    );
    let errors = "it ends with an error, which only `--bless-errors` writes down";
    stays("x.test", "query I\nSELECT nothing\n----\n2\n", errors, WRITE);
    stays("x.slt", "statement error never\nSELECT nothing\n", errors, WRITE);
    let held = "a script cannot hold this result";
    stays("x.test", "query T\nSELECT '# no comment'\n----\nx\n", held, WRITE);
    stays("x.test", "query T\nSELECT ' '\n----\nx\n", held, WRITE);
    stays("x.test", "query T\nSELECT '----'\n----\nx\n", held, WRITE);
    stays("x.slt", "query T\nSELECT '' || char(10)\n----\nx\n", held, WRITE);
    stays("x.test", "query I\nCREATE TABLE t(a)\n----\n1\n", "the query returned no columns", WRITE);
}

#[test]
fn queries_under_one_label_that_disagree_are_not_both_blessed() {
    let script = "query I nosort same\nSELECT 1\n----\n7\n\nquery I nosort same\nSELECT 2\n----\n7\n";
    let (text, outcome, _) = blessed("x.test", script.as_bytes(), WRITE);
    assert_eq!(String::from_utf8(text).unwrap(), script.replacen('7', "1", 1));
    assert_eq!((outcome.verdict.clone(), outcome.rewritten, outcome.records.failed), (Verdict::Failed, 1, 1));
    assert!(outcome.failure_text().contains("not blessed: results under the label `same` differ"), "{outcome:?}");
}

#[test]
fn classic_results_have_one_value_per_line_and_all_else_stays() {
    let script = "# top\r\nonlyif sqlite # why\r\nquery IT rowsort x # letters\r\nVALUES (2, 'b'), (1, 'a') \r\n---- \r\n1\r\n# inside\r\nb\r\n2\r\nb\r\n# below\r\n \t\r\nskipif sqlite\r\nquery I\r\nSELECT 1\r\n----\r\n9\r\n";
    becomes("x.test", script, &script.replacen("# inside\r\nb", "# inside\r\na", 1), WRITE);
    becomes("x.test", "query I\nSELECT 1\n", "query I\nSELECT 1\n----\n1\n", WRITE);
    becomes("x.test", "query I\nSELECT 1\n----", "query I\nSELECT 1\n----\n1", WRITE);
    becomes("x.test", "query I\nSELECT 1 WHERE 0\n----\n1\n2", "query I\nSELECT 1 WHERE 0\n----\n", WRITE);
    becomes(
        "x.test",
        "query I\nVALUES (1), (2), (3)\n----\n2\n\n",
        "query I\nVALUES (1), (2), (3)\n----\n1\n2\n3\n\n",
        WRITE,
    );
    becomes("x.test", "query I nosort\nSELECT 1, 'x'\n----\n2", "query IT nosort\nSELECT 1, 'x'\n----\n1\nx", WRITE);
    becomes("x.test", "query ITR\nSELECT 1\n----\n", "query I\nSELECT 1\n----\n1\n", WRITE);
    becomes("x.test", "statement error # e\nSELECT 1\n", "statement ok # e\nSELECT 1\n", WRITE);
    let values = "query I valuesort\nVALUES (2), (10)\n----\n3\n4\n";
    becomes("x.test", values, &values.replace("3\n4", "10\n2"), WRITE);
}

#[test]
fn hashes_stay_hashes_and_a_threshold_makes_new_ones() {
    let hash = "3 values hashing to c0710d6b4f15dfa88f600b0e6b624077";
    let query = "query I\nVALUES (1), (2), (3)\n----\n";
    let wrong = hash.replace("c0", "00");
    becomes("x.test", &format!("{query}{wrong}\n"), &format!("{query}{hash}\n"), WRITE);
    becomes("x.slt", &format!("{query}{wrong}\n"), &format!("{query}{hash}\n"), WRITE);
    let listed = format!("hash-threshold 2\n\n{query}4\n5\n6\n");
    becomes("x.test", &listed, &format!("hash-threshold 2\n\n{query}{hash}\n"), WRITE);
    becomes("x.slt", &listed.replace("d 2", "d 3"), &format!("hash-threshold 3\n\n{query}1\n2\n3\n"), WRITE);
}

#[test]
fn slt_results_are_written_by_row_or_by_value_and_matching_lines_stay() {
    let script = "query IT rowsort\nVALUES (2, 'b  c'), (1, 'a')\n----\n1    a\n2 x\n\n\nstatement count 7\nSELECT 1\n";
    becomes("x.slt", script, &script.replace("2 x", "2 b  c").replace("count 7", "count 1"), WRITE);
    let values = "control resultmode valuewise\n\nquery IT\nSELECT 1, 'a'\n----\n1\nx\n";
    becomes("x.slt", values, &values.replace("\nx", "\na"), WRITE);
    let ignoring = "query TT\nVALUES ('id', '5'), ('n', '6')\n----\nid <slt:ignore>\nm 6\n";
    becomes("x.slt", ignoring, &ignoring.replace("m 6", "n 6"), WRITE);
    let retried = "query I retry 2 backoff 1ms\nSELECT 1\n----\n2\n";
    becomes("x.slt", retried, &retried.replace("\n2", "\n1"), WRITE);
    let lines = "query T\nSELECT 'a' || char(10) || 'b'\n----\nx\n";
    becomes("x.slt", lines, &lines.replace("\nx", "\na b"), WRITE);
}

#[test]
fn errors_that_did_not_occur_are_replaced_by_results() {
    let texts = "control sortmode rowsort\n\nquery error no such\nVALUES (2), (1)\n\nstatement error\nSELECT 1\n----\ntext\n\nmore\n\n\nstatement ok\nSELECT 1\n";
    let expected = "control sortmode rowsort\n\nquery T\nVALUES (2), (1)\n----\n1\n2\n\nstatement ok\nSELECT 1\n\n\nstatement ok\nSELECT 1\n";
    becomes("x.slt", texts, expected, WRITE);
    becomes(
        "x.slt",
        "query error retry 2 backoff 1ms\nSELECT 1\n----\nx\n",
        "query T retry 2 backoff 1ms\nSELECT 1\n----\n1\n",
        WRITE,
    );
}

#[test]
fn errors_are_written_in_the_form_that_was_expected() {
    becomes(
        "x.test",
        "query I rowsort # why\nSELECT a\n----\n1\n# b\n2\n\n",
        "statement error # why\nSELECT a\n# b\n\n",
        WITH_ERRORS,
    );
    becomes("x.test", "statement ok\nSELECT a\n", "statement error\nSELECT a\n", WITH_ERRORS);
    becomes(
        "x.slt",
        "query I rowsort\nSELECT a\n----\n1\n\n",
        "query error no such column: a\nSELECT a\n\n",
        WITH_ERRORS,
    );
    becomes("x.slt", "statement count 3\nSELECT (\n", "statement error incomplete input\nSELECT (\n", WITH_ERRORS);
    becomes(
        "x.slt",
        "statement error xyz\nSELECT )\n",
        "statement error near \"\\)\": syntax error\nSELECT )\n",
        WITH_ERRORS,
    );
    let text = "query error\nSELECT a\n----\nno such\n\ncolumn\n\n\nstatement ok\nSELECT 1\n";
    becomes("x.slt", text, &text.replace("no such\n\ncolumn", "no such column: a"), WITH_ERRORS);
    let retried = "statement ok retry 2 backoff 1ms\nSELECT a\n\nstatement ok\nSELECT 1\n";
    let expected =
        "statement error retry 2 backoff 1ms\nSELECT a\n----\nno such column: a\n\n\nstatement ok\nSELECT 1\n";
    becomes("x.slt", retried, expected, WITH_ERRORS);
}

#[test]
fn records_are_rewritten_in_place_and_an_included_file_is_never_disputed() {
    let root = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(root.path().join(name), text).unwrap();
    let read = |name: &str| fs::read_to_string(root.path().join(name)).unwrap();
    write("x.slt", "include p.part\n\nquery I\nSELECT 1\n----\n2\n");
    write("p.part", "query I\nSELECT 3\n----\n4\n");
    let outcome = trial(root.path(), "x.slt", Some(WRITE));
    assert_eq!((outcome.verdict, outcome.rewritten), (Verdict::Passed, 2));
    assert_eq!(read("p.part"), "query I\nSELECT 3\n----\n3\n");
    assert_eq!(read("x.slt"), "include p.part\n\nquery I\nSELECT 1\n----\n1\n");
    // The same record runs with different results.
    let counting = "statement ok\nINSERT INTO t VALUES (1)\n\nquery I\nSELECT count(*) FROM t\n----\n2\n";
    for (first, second) in [("2", "2"), ("9", "9")] {
        write("p.part", &counting.replace("\n2\n", &format!("\n{first}\n")));
        write("x.slt", "statement ok\nCREATE TABLE t(a)\n\ninclude p.part\ninclude p.part\n");
        let outcome = trial(root.path(), "x.slt", Some(WRITE));
        assert_eq!((outcome.verdict.clone(), outcome.rewritten), (Verdict::Failed, 0));
        assert!(outcome.failure_text().contains(super::twice("")), "{}", outcome.failure_text());
        assert!(read("p.part").ends_with(&format!("\n{second}\n")));
    }
}

#[test]
fn checking_shows_what_would_change_and_writes_nothing() {
    let script = "statement ok\nSELECT 1\n\nquery I\nSELECT 1\n----\n2\n";
    let (text, outcome, _) = blessed("x.test", script.as_bytes(), Bless { how: How::Check, errors: false, fill: None });
    assert_eq!(text, script.as_bytes());
    assert_eq!((&outcome.verdict, outcome.rewritten, outcome.records.failed), (&Verdict::Failed, 0, 1));
    let failure = outcome.failure_text();
    assert!(failure.starts_with("1 record would be rewritten\n"), "{failure}");
    assert!(failure.contains("@@ -4,4 +4,4 @@\n query I\n SELECT 1\n ----\n-2\n+1\n"), "{failure}");
}

#[test]
fn new_results_wait_until_a_run_has_none() {
    let root = tempfile::tempdir().unwrap();
    let (path, new) = (root.path().join("x.test"), root.path().join("x.test.new"));
    let script = "query I\nSELECT 1\n----\n2\n\nquery I\nSELECT 2\n----\n3\n";
    fs::write(&path, script).unwrap();
    let review = Some(Bless { how: How::Review, errors: false, fill: None });
    let outcome = trial(root.path(), "x.test", review);
    assert_eq!((&outcome.verdict, outcome.rewritten, outcome.rewritable), (&Verdict::Failed, 0, 2));
    assert!(outcome.failure_text().starts_with("2 records would be rewritten: `slt review`"), "{outcome:?}");
    assert!(fs::read_to_string(&new).unwrap().ends_with("SELECT 1\n----\n1\n\nquery I\nSELECT 2\n----\n2\n"));
    assert_eq!(fs::read_to_string(&path).unwrap(), script);
    // The proposal is not a test file, and is removed when nothing differs any more.
    assert_eq!(Suite::from_roots([root.path().to_path_buf()]).discover().unwrap().len(), 1);
    fs::write(&path, "statement ok\nSELECT 1\n").unwrap();
    assert_eq!(trial(root.path(), "x.test", review).verdict, Verdict::Passed);
    assert!(!new.exists());
}

/// A script of queries, each with some wrong lines; with random comments, conditions and line endings.
fn scripts() -> impl Strategy<Value = (&'static str, String)> {
    let value = prop_oneof![Just("1"), Just("22"), Just("x"), Just("a  b"), Just("NULL")];
    let rows = || proptest::collection::vec((0..30_i32, value.clone()), 0..6);
    let order = prop_oneof![Just(""), Just(" nosort"), Just(" rowsort"), Just(" valuesort")];
    let before = prop_oneof![Just(""), Just("# why\n"), Just("onlyif sqlite\n"), Just("\n\n"), Just("skipif sqlite\n")];
    let after = prop_oneof![Just("\n"), Just("\n\n\n"), Just(" \t\n")];
    let expected =
        proptest::collection::vec(prop_oneof![Just("1"), Just("22"), Just("1 x"), Just("# no"), Just("a b")], 0..9);
    let query = (rows(), order, before, after, any::<bool>(), expected).prop_map(
        |(rows, order, before, after, delimiter, expected)| {
            let values: Vec<String> = rows.iter().map(|(number, text)| format!("({number}, '{text}')")).collect();
            let sql =
                if values.is_empty() { "SELECT 1, 2 WHERE 0".into() } else { format!("VALUES\n{}", values.join(",")) };
            let lines: String = expected.iter().map(|line| format!("{line}\n")).collect();
            let results = if delimiter { format!("----\n{lines}") } else { String::new() };
            format!("{before}query IT{order}\n{sql}\n{results}{after}")
        },
    );
    let statement = prop_oneof![Just("statement ok\nSELECT 1\n\n"), Just("statement error\nSELECT 1\n\n")];
    let part = prop_oneof![4 => query, 1 => statement.prop_map(str::to_owned)];
    let name = prop_oneof![Just("x.test"), Just("x.slt")];
    let head = prop_oneof![Just(""), Just("hash-threshold 3\n\n"), Just("# head\n\n")];
    (name, head, proptest::collection::vec(part, 1..6), any::<bool>(), any::<bool>()).prop_map(
        |(name, head, parts, crlf, cut)| {
            let text = format!("{head}{}", parts.concat());
            let text = if cut { text.trim_end().to_owned() } else { text };
            // A line of blanks separates records only in the classic dialect.
            let text = if name == "x.slt" { text.replace(" \t\n", "\n") } else { text };
            (name, if crlf { text.replace('\n', "\r\n") } else { text })
        },
    )
}

/// The lines of a script that are not results: blessing must keep them, in order.
fn frame(script: &str) -> Vec<&str> {
    let mut in_results = false;
    let lines = script.split_inclusive('\n').filter(|line| {
        in_results = !line.trim().is_empty() && (in_results || line.starts_with("----"));
        !in_results && !line.trim().is_empty() && !line.starts_with("statement")
    });
    // At the end of the text, the result begins with the line ending.
    lines.map(|line| line.trim_end_matches(['\r', '\n'])).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn blessing_makes_a_script_pass_and_touches_results_only((name, script) in scripts()) {
        let (text, outcome, again) = blessed(name, script.as_bytes(), WRITE);
        let text = String::from_utf8(text).unwrap();
        prop_assert!(!again.verdict.is_failure(), "{}\n{text}\n{}", outcome.failure_text(), again.failure_text());
        prop_assert_eq!(frame(&text), frame(&script));
        let kinds = |text: &str| (text.contains("\r\n"), text.replace("\r\n", "").contains(['\r', '\n']));
        prop_assert_eq!(kinds(&text), kinds(&script));
        prop_assert_eq!(outcome.rewritten == 0, text == script);
        // A second run changes nothing.
        let (unchanged, outcome, _) = blessed(name, text.as_bytes(), WITH_ERRORS);
        prop_assert_eq!((String::from_utf8(unchanged).unwrap(), outcome.rewritten), (text, 0));
    }
}

#[cfg(unix)]
#[test]
fn a_file_behind_a_link_out_of_the_root_is_not_touched() {
    let outside = tempfile::tempdir().unwrap();
    let root = tempfile::tempdir().unwrap();
    let script = "query I\nSELECT 1\n----\n2\n";
    fs::write(outside.path().join("y.test"), script).unwrap();
    std::os::unix::fs::symlink(outside.path().join("y.test"), root.path().join("out.test")).unwrap();
    // A link to a file outside is not even found; a file that becomes a link before its trial is not rewritten.
    let suite = Suite::from_roots([root.path().to_path_buf()]);
    assert!(matches!(suite.find("out.test"), Err(crate::suite::SuiteError::LeadsOut(_))));
    let (link, aside) = (root.path().join("out.test"), root.path().join("aside"));
    fs::rename(&link, &aside).unwrap();
    fs::write(&link, script).unwrap();
    let file = suite.find("out.test").unwrap().unwrap();
    fs::rename(&aside, &link).unwrap();
    let outcome = run(&file, &Sqlite, &Options { bless: Some(WRITE), ..Options::default() }, &());
    assert!(outcome.failure_text().contains("is outside the folder"), "{}", outcome.failure_text());
    assert_eq!(fs::read_to_string(outside.path().join("y.test")).unwrap(), script);
    fs::remove_file(&link).unwrap();
    // A link within the root stays a link.
    fs::write(root.path().join("y.test"), script).unwrap();
    std::os::unix::fs::symlink("y.test", root.path().join("in.test")).unwrap();
    assert_eq!(trial(root.path(), "in.test", Some(WRITE)).verdict, Verdict::Passed);
    assert!(root.path().join("in.test").is_symlink());
    assert_eq!(trial(root.path(), "y.test", None).verdict, Verdict::Passed);
}

#[test]
fn a_record_after_an_error_block_is_kept() {
    let script = "statement error\nSELECT nothing\n----\nno such column: nothing\n\nquery I\nSELECT 1\n----\n1\n";
    let (text, outcome, again) = blessed("x.slt", script.as_bytes(), WITH_ERRORS);
    assert_eq!(String::from_utf8(text).unwrap(), script);
    assert_eq!((&outcome.verdict, &again.verdict), (&Verdict::Failed, &Verdict::Failed));
    assert!(outcome.failure_text().contains("ends at two empty lines"), "{}", outcome.failure_text());
}

#[test]
fn queries_without_letters_stay_without() {
    becomes("x.slt", "query\nSELECT 1\n----\n2\n", "query\nSELECT 1\n----\n1\n", WRITE);
    becomes("x.slt", "query T\nSELECT 'a'\n----\na\n  \n", "query T\nSELECT 'a'\n----\na\n", WRITE);
    let first = "query I\n\nSELECT 1\n \n----\n2\n \n\nquery I\n--\nSELECT 3\n----\n3\n";
    becomes("x.slt", first, &first.replace("2\n \n", "1\n"), WRITE);
}

/// A record of a script in the `.slt` dialect, whether it passes unchanged, and the line that identifies it.
fn records() -> impl Strategy<Value = Vec<(String, bool, String)>> {
    let kinds = prop_oneof![
        Just(("query I\nSELECT N\n----\nN\n", true)),
        Just(("query I nosort\nSELECT N\n----\n7\n", false)),
        Just(("query I\n\nSELECT N\n \n----\n7\n8\n", false)),
        Just(("query T\n--\nSELECT 'N'\n----\n<slt:ignore>\n", true)),
        Just(("statement ok\nSELECT N\n", true)),
        Just(("statement ok\nSELECT x, N\n", false)),
        Just(("statement count 3\nSELECT N\n", false)),
        Just(("statement error\nSELECT N\n----\nsome text\n\nmore  text\n\n", false)),
        Just(("statement error\nSELECT x, N\n----\nno such column: x\n\n", true)),
        Just(("statement error\nSELECT x, N\n----\nanother\n\n# text\n\n", false)),
        Just(("query error nonsense\nSELECT x, N\n", false)),
        Just(("skipif sqlite\nquery I\nSELECT N\n----\n7\n", true)),
        Just(("onlyif sqlite # why\nquery I\nSELECT N\n----\n7\n", false)),
        Just(("# words  \n\n \t\n\ncontrol sortmode rowsort\n\nquery I\nSELECT N\n----\nN\n", true)),
    ];
    let records = prop::collection::vec(kinds, 1..12);
    records.prop_map(|records| {
        let numbered = records.into_iter().enumerate().map(|(index, (text, passes))| {
            let number = (index + 100).to_string();
            (text.replace('N', &number), passes, number)
        });
        numbered.collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn blessing_leaves_every_other_record_byte_for_byte(records in records(), crlf: bool) {
        let end = |text: &str| if crlf { text.replace('\n', "\r\n") } else { text.to_owned() };
        let script: String = records.iter().map(|(text, _, _)| end(text) + &end("\n")).collect();
        let (text, outcome, again) = blessed("x.slt", script.as_bytes(), WITH_ERRORS);
        let text = String::from_utf8(text).unwrap();
        prop_assert!(!outcome.verdict.is_failure(), "{}", outcome.failure_text());
        prop_assert!(!again.verdict.is_failure(), "{}\n{}", text, again.failure_text());
        // In review mode, the same text waits beside the file, and the file stays as it is.
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("x.slt");
        fs::write(&path, &script).unwrap();
        let review = Bless { how: How::Review, errors: true, fill: None };
        let outcome = trial(root.path(), "x.slt", Some(review));
        prop_assert_eq!(fs::read_to_string(&path).unwrap(), script.as_str());
        let waits = super::review::Proposal::read(&super::review::beside(&path)).ok().flatten();
        prop_assert_eq!(waits.map_or(script.clone(), |waits| String::from_utf8(waits.text).unwrap()), text.as_str());
        prop_assert_eq!(outcome.verdict.is_failure(), script != text);
        let mut rest = text.as_str();
        for (record, passes, number) in &records {
            // A passing record stays unchanged; of a failing record, the SQL stays. All records keep their order.
            let sql = record.lines().find(|line| line.contains("SELECT") && line.contains(number)).unwrap();
            let sought = if *passes { end(record) } else { end(&format!("\n{sql}\n")) };
            let at = rest.find(&sought);
            prop_assert!(at.is_some(), "{sought:?} is gone from\n{text}");
            rest = &rest[at.unwrap() + sought.len().saturating_sub(1)..];
        }
    }
}
