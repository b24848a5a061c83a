use super::*;
use crate::suite::Suite;

/// The findings in a file, each as `line severity: message`.
fn found(name: &str, text: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(name), text).unwrap();
    let file = Suite::from_roots([folder.path().to_path_buf()]).find(name).unwrap().unwrap();
    let severity = |severity| if severity == Severity::Error { "error" } else { "warning" };
    let shown = |found: Finding| format!("{} {}: {}", found.line, severity(found.severity), found.message);
    check(&file).into_iter().map(shown).collect()
}

/// Asserts that there are as many findings as `parts`, and that each contains its part.
fn finds(name: &str, text: &str, parts: &[&str]) {
    let found = found(name, text);
    assert!(found.len() == parts.len() && found.iter().zip(parts).all(|(f, part)| f.contains(part)), "{found:#?}");
}

#[test]
fn nothing_is_found_in_what_can_be_run() {
    finds(
        "a.test",
        "onlyif x\nhalt\n\nskipif x\nquery I nosort a\nSELECT 1\n----\n1\n\nonlyif x\nquery I nosort a\nSELECT 2\n----\n2\n",
        &[],
    );
    finds(
        "a.slt",
        "onlyif x\nhalt\n\nstatement ok\nA\n\nonlyif x\nsleep 1s\n\nquery T nosort a\nB\n----\na  b\n\nquery TT nosort a\nC\n----\na b\n",
        &[],
    );
    finds(
        "a.duckdb.test",
        "loop i 0 3\n\nonlyif i=2\nstatement ok\nSELECT {i}\n\nendloop\n\nmode skip\n\nmode unskip\n\nhalt\n",
        &[],
    );
}

#[test]
fn a_misspelt_separator_is_found() {
    let text =
        "query I\nA\n---\n1\n\nstatement error\nB\n -----\nno b\n\nquery I\nC\n---\n----\n1\n\nstatement ok\nD\n---\n";
    for name in ["a.test", "a.slt"] {
        finds(name, text, &["1 warning: `---` is a comment in the SQL", "6 warning: `-----` is a comment in the SQL"]);
    }
    // In DuckDB's dialect, a `statement error` without `----` is an error.
    finds("a.duckdb.test", "query I\nA\n---\n1\n", &["1 warning: `---` is a comment in the SQL"]);
}

#[test]
fn an_order_in_the_place_of_the_letters_is_found() {
    let text = |head: &str| format!("{head}\nA\n----\n1\n");
    let words = "1 warning: `rowsort` stands for 7 columns here and sorts nothing";
    finds("a.slt", &text("query rowsort"), &[words]);
    finds("a.slt", &text("query nosort x"), &["1 warning: `nosort` stands for 6 columns"]);
    for fine in ["query I rowsort", "query TRIT rowsort x", "query rows", "query"] {
        finds("a.slt", &text(fine), &[]);
    }
}

#[test]
fn every_record_that_breaks_a_rule_is_found() {
    let text =
        "statement okay\nA\n\nquery I\nA\n----\n1\n\nskipif x\nquery IX\nB\n\nonlyif y\nstatement error\n-- nothing\n";
    finds(
        "a.test",
        text,
        &["1 error: `statement` needs", "10 error: unknown column letter `X`", "14 error: `statement`"],
    );
    let text = "statement\nA\n\nstatement ok\nA\n----\n\nquery I retry\nB\n\nstatement ok\nC\n";
    finds("a.slt", text, &["1 error: `statement` needs", "4 error: a `statement` has no", "8 error: `retry` takes"]);
    let text = "statement\nA\n\nquery X\nB\n----\n\nstatement ok\nC\n";
    finds("a.duckdb.test", text, &["1 error: `statement` needs", "4 error: unknown column letter"]);
}

#[test]
fn what_another_dialect_knows_is_reported_once_and_ends_the_search() {
    finds(
        "a.test",
        "control sortmode rowsort\n\nlet x\nA\n",
        &["1 error: `control` belongs to the sqllogictest-rs dialect"],
    );
    finds("a.test", "statement error near .x.\nA\n\nx\n", &["1 error: `error` with a pattern belongs to"]);
    finds("a.test", "statement error\nA\n----\nx\n", &["error: the text of an error below `----` belongs to other"]);
    finds("a.test", "query\nA\n", &["1 error: `query` needs a letter for each column"]);
    finds("a.slt", "statement ok\nA\n\nloop i 0 3\n\nendloop\n", &["4 error: `loop` belongs to DuckDB's dialect"]);
    finds("a.slt", "statement maybe\nA\n", &["1 error: `statement maybe` belongs to DuckDB's dialect"]);
    finds("a.slt", "statement error\nA\n----\nx\n\nstatement ok\nB\n", &["6 error: a directive within the text"]);
    finds(
        "a.duckdb.test",
        "statement error 1006\nA\n",
        &["1 error: `statement error` needs a line `----` below its SQL"],
    );
    finds("a.duckdb.test", "query error\nA\n", &["1 error: `query error` belongs to the sqllogictest-rs"]);
    finds("a.duckdb.test", "subtest x\n", &["1 error: `subtest` belongs to the sqllogictest-rs"]);
    finds("a.duckdb.test", "statement count 3\nA\n", &["1 error: `statement count` belongs to"]);
    finds(
        "a.test",
        "query F\nA\n\nquery B\nA\n",
        &["1 error: unknown column letter `F` in `F`: I, R or T; any other belongs"],
    );
    finds(
        "a.slt",
        "statement ok con1\nA\n",
        &["1 error: unexpected `con1` after the directive; a connection there belongs"],
    );
    finds("a.test", "set testdir x\n", &["1 error: unknown directive `set`"]);
}

#[test]
fn only_a_misspelt_requirement_is_a_finding() {
    let text = |name: &str| format!("require {name}\n\nstatement ok\nA\n");
    finds("a.duckdb.test", &text("jsno"), &["1 warning: DuckDB knows no `jsno`"]);
    for name in ["extension_of_mine", "jsono", "yaml"] {
        finds("a.duckdb.test", &text(name), &[]);
    }
    finds("a.duckdb.test", &text("icu;"), &["1 error: `icu;` cannot be the name of an extension; did you mean `icu`?"]);
}

#[test]
fn what_can_never_run_is_found() {
    let both = "skipif X # why\nonlyif x\nstatement ok\nA\n\nstatement ok\nB\n";
    for name in ["a.test", "a.slt"] {
        finds(name, both, &["3 error: `skipif x` and `onlyif x` apply to the same record"]);
        finds(name, "statement ok\nA\n\nhalt\n\n# Nothing.\n\n", &[]);
        finds(
            name,
            "statement ok\nA\n\nhalt\n\n# Not this.\n\nnonsense\n",
            &["4 warning: `halt` ends the script here: what is below, from line 8"],
        );
        finds(name, "# Nothing.\n", &["0 warning: this file holds no record"]);
    }
    finds("a.duckdb.test", "skipif duckdb\nonlyif duckdb\nstatement ok\nA\n", &["3 error: `skipif duckdb` and"]);
    let text = "mode skip\n\nstatement ok\nA\n\nstatement ok\nB\n\nmode unskip\n\nstatement ok\nC\n";
    finds("a.duckdb.test", text, &["3 warning: `mode skip` leaves out 2 records"]);
    finds(
        "a.duckdb.test",
        "loop i 0 3\n\nonlyif i=3\nstatement ok\nA\n\nendloop\n",
        &["4 error: no pass of the loops"],
    );
    finds("a.duckdb.test", "statement ok\nA\n\nhalt\n\nx\n", &["4 warning: `halt` ends the script here"]);
}

#[test]
fn loops_are_walked_through() {
    finds(
        "a.duckdb.test",
        "foreach t a !a\n\nstatement ok\nA\n\nendloop\n",
        &["1 error: this loop has nothing to run over"],
    );
    finds("a.duckdb.test", "onlyif i=3\nstatement ok\nA\n", &["2 error: no loop around this has a variable `i`"]);
    finds("a.duckdb.test", "foreach t {A} !{A}\n\nonlyif t=x\nstatement ok\nA\n\nendloop\n", &[]);
    finds("a.duckdb.test", "loop i 0 9000000000\n\nonlyif i=8000000000\nstatement ok\nA\n\nendloop\n", &[]);
}

#[test]
fn records_under_one_label_that_cannot_both_pass_are_found() {
    let query = |condition: &str, lines: &str| format!("{condition}query I nosort x\nA\n----\n{lines}\n\n");
    let twice = |a: &str, b: &str| query("", a) + &query("", b);
    let hash = |digit: char| format!("3 values hashing to {}", digit.to_string().repeat(32));
    finds("a.test", &twice("1", "2"), &["6 error: the label `x` is also that of line 1, which expects other values"]);
    finds("a.test", &twice("1", "1"), &[]);
    finds("a.test", &twice(&hash('1'), &hash('2')), &["6 error: the label `x`"]);
    finds("a.test", &twice(&hash('1'), "2"), &[]);
    finds("a.test", &(query("onlyif a\n", "1") + &query("onlyif b\n", "2")), &[]);
    finds("a.test", &(query("onlyif a\n", "1") + &query("", "2")), &["7 error: the label `x` is also that of line 2"]);
    finds("a.slt", &twice("1  \t2", "1\n2"), &[]);
    finds("a.slt", &twice("1", "<slt:ignore>2"), &[]);
    finds("a.slt", &twice("1", "2"), &["6 error: the label `x`"]);
    finds("a.duckdb.test", &twice("1", "1.0"), &[]);
    // In DuckDB's dialect, a result with a hash is compared with that hash only.
    finds("a.duckdb.test", &twice(&hash('1'), &hash('2')), &[]);
    let reset = query("", &hash('1')) + "reset label x\n\n" + &query("", &hash('2'));
    finds("a.duckdb.test", &reset, &[]);
}

#[test]
fn included_files_are_read_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("a.slt", "include part*\n\nstatement ok\nA\n");
    write("part1", "statement ok\nA\n\nskipif x\nonlyif x\nquery I nosort l\nB\n----\n1\n");
    write("part2", "query I nosort l\nB\n----\n2\n\nquery I nosort l\nB\n----\n3\n");
    let suite = Suite::from_roots([folder.path().to_path_buf()]);
    let findings = check(&suite.find("a.slt").unwrap().unwrap());
    let places: Vec<(bool, u64)> = findings.iter().map(|f| (f.file.ends_with("part1"), f.line)).collect();
    assert_eq!(places, [(true, 6), (false, 6)], "{findings:#?}");
    write("part2", "nonsense\n");
    let findings = check(&suite.find("a.slt").unwrap().unwrap());
    assert!(findings.len() == 1 && findings[0].file.ends_with("part2") && findings[0].line == 1, "{findings:#?}");
}
