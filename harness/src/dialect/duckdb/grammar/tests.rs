use super::*;
use crate::dialect::duckdb::{Cursor, Event, Query, Scope};
use crate::script::Labels;

fn with_script<T>(text: &str, use_it: impl FnOnce(&Script<'_>) -> T) -> T {
    let texts = Texts::new(text.as_bytes()).unwrap();
    use_it(
        &parse(&texts, Path::new("a.test"), Path::new(""), &Labels::new(["duckdb"]))
            .unwrap_or_else(|error| panic!("line {}: {error}", error.line)),
    )
}

fn error(text: &str) -> String {
    let texts = Texts::new(text.as_bytes()).unwrap();
    let error = parse(&texts, Path::new("a.test"), Path::new(""), &Labels::new(["duckdb"])).unwrap_err();
    format!("{}: {error}", error.line)
}

struct NoScope;

impl Scope for NoScope {
    fn replace(&self, word: &str) -> Result<String, String> {
        Ok(word.to_owned())
    }

    fn list(&mut self, _: Option<&str>, name: &str) -> Result<Vec<String>, String> {
        Ok(vec![format!("{name}1"), format!("{name}2")])
    }
}

/// Each step that runs: its line and the loop's variables. A `-` marks a step that does not apply.
fn walk(text: &str) -> Result<Vec<String>, String> {
    with_script(text, |script| {
        let mut walked = Vec::new();
        walk_from(Cursor::new(script, 1000), &mut walked).map(|()| walked)
    })
}

fn walk_from(mut cursor: Cursor<'_, '_>, walked: &mut Vec<String>) -> Result<(), String> {
    let with_line = |error: SyntaxError| format!("{}: {error}", error.line);
    while let Some(event) = cursor.next(&mut NoScope).map_err(with_line)? {
        let told = match event {
            Event::Step(step) => step.place.line.to_string(),
            Event::Skipped(step) => format!("-{}", step.place.line),
            Event::Together(mut passes) => {
                while let Some(pass) = passes.next_pass().map_err(with_line)? {
                    walk_from(pass, walked)?;
                }
                continue;
            }
        };
        walked.push(match cursor.pass() {
            Some(pass) => format!("{told} {pass}"),
            None => told,
        });
    }
    Ok(())
}

fn steps(text: &str) -> Vec<Action<'static>> {
    let texts: &'static Texts = Box::leak(Box::new(Texts::new(text.as_bytes()).unwrap()));
    let script = parse(texts, Path::new("a.test"), Path::new(""), &Labels::new(["duckdb"])).unwrap();
    let action = |node| match node {
        Node::Step(step) => step.action,
        Node::Loop(_) => panic!("a loop"),
    };
    script.nodes.into_iter().map(action).collect()
}

#[test]
fn statements_and_queries_have_their_parts() {
    let text = "# comment\n\nstatement ok con1 rest\nSELECT\n 1\n\nstatement error\nx\n----\nline 1\n# line 2\n\n\
                query II rowsort lbl\nSELECT 1, 2\n----\n1\t2\n\nquery T con2\nSELECT ''\n";
    let query = |letters, sort, connection, label, sql, expected| {
        Action::Query(Query { letters, sort, connection, label, sql, expected })
    };
    let statement = |expect, connection, sql, error| Action::Statement(Statement { expect, connection, sql, error });
    assert_eq!(
        steps(text),
        [
            statement(Expect::Ok, Some("con1"), "SELECT\n 1", ""),
            statement(Expect::Error, None, "x", "line 1\n# line 2"),
            query("II", Sort::Rows, None, Some("lbl"), "SELECT 1, 2", Some("1\t2")),
            query("T", Sort::None, Some("con2"), None, "SELECT ''", None),
        ]
    );
}

#[test]
fn a_comment_ends_sql() {
    assert!(error("statement ok\nSELECT 1\n# note\n+ 1\n").starts_with("4: unknown directive `+`"));
    let Action::Query(query) = &steps("query I\nSELECT 42\n# 42\n")[0] else { panic!("no query") };
    assert_eq!((query.sql, query.expected), ("SELECT 42", Some("# 42")));
}

#[test]
fn one_line_directives_are_read() {
    let text = "load {TEST_DIR}/a.db readonly v1.2.0\n\nrestart\n\nrestart no_extension_load\n\nreconnect\n\n\
                sleep 10 milliseconds\n\nset seed 0.5\n\nset variable a b\n\nset ignore_error_messages a b, c\n\n\
                reset label x\n\ntags fast\n\nunzip a.gz NULL\n\nhash-threshold 5\n\nrequire Json\n\nmode output_hash\n\n\
                require-env A b\n\ntest-env A b\n\nhalt\n\nnonsense\n";
    let actions = steps(text);
    assert_eq!(actions.len(), 17, "{actions:?}");
    let load = super::super::Load { path: Some("{TEST_DIR}/a.db"), read_only: true, version: Some("v1.2.0") };
    assert_eq!(actions[0], Action::Load(load));
    assert_eq!((&actions[1], &actions[2]), (&Action::Restart(true), &Action::Restart(false)));
    assert_eq!(actions[7], Action::IgnoreErrors(vec!["a b", "c"]));
    assert_eq!(actions[10], Action::Unzip("a.gz", None));
    assert_eq!(actions[16], Action::Halt);
}

#[test]
fn loops_run_their_body_for_each_value() {
    let body = "statement ok\nSELECT {i}\n\nendloop\n";
    assert_eq!(walk(&format!("loop i 0 3\n\n{body}")).unwrap(), ["3 i=0", "3 i=1", "3 i=2"]);
    assert_eq!(walk(&format!("loop i 5 5\n\n{body}")).unwrap(), ["3 i=5"]);
    assert_eq!(walk(&format!("foreach i <signed> !hugeint !x\n\n{body}")).unwrap().len(), 5);
    assert_eq!(walk(&format!("foreach a,b x,1 y,2\n\n{body}")).unwrap(), ["3 a=x, b=1", "3 a=y, b=2"]);
    assert_eq!(walk(&format!("foreach v <variable:con:l>\n\n{body}")).unwrap(), ["3 v=l1", "3 v=l2"]);
    let nested = format!("loop j 0 2\n\nforeach i a b\n\n{body}\nendloop\n");
    assert_eq!(walk(&nested).unwrap(), ["5 j=0, i=a", "5 j=0, i=b", "5 j=1, i=a", "5 j=1, i=b"]);
}

#[test]
fn conditions_on_loops_choose_records_and_continue_ends_a_pass() {
    let text = "loop i 0 3\n\nonlyif i=1\nstatement ok\nA\n\nskipif i<2\ncontinue\n\nstatement ok\nB\n\nendloop\n";
    let walked = walk(text).unwrap();
    // A skipped step is listed; `continue` is not.
    assert_eq!(walked, ["-4 i=0", "-8 i=0", "10 i=0", "4 i=1", "-8 i=1", "10 i=1", "-4 i=2"]);
    assert_eq!(walk("skipif duckdb\nhalt\n\nskipif sqlite\nstatement ok\nA\n").unwrap(), ["5"]);
    assert!(walk("onlyif j=1\nstatement ok\nA\n").unwrap_err().contains("has a variable `j`"));
}

#[test]
fn what_a_condition_excludes_for_the_engine_is_not_read() {
    for excluded in [
        "onlyif mysql\nstatement error\nA\n",
        "onlyif mysql\nskipif duckdb\nstatement count 3\nA\n",
        "skipif sqlite\nonlyif mysql\nquery IX label\nA\n----\n1\n",
    ] {
        let walked = walk(&format!("{excluded}\nstatement ok\nB\n")).unwrap();
        assert!(walked.len() == 2 && walked[0].starts_with('-'), "{excluded}: {walked:?}");
    }
    // A directive is not a record, and has no effect.
    for excluded in [
        "skipif duckdb\nmode skip\n",
        "onlyif mysql\nmode unskip\n",
        "onlyif mysql\ninclude nowhere.test\n",
        "onlyif mysql\nloop i 0 3\n",
        "onlyif mysql\nendloop\n",
        "onlyif mysql\nwibble\nwobble\n",
        "skipif duckdb\n",
    ] {
        assert_eq!(walk(&format!("{excluded}\nstatement ok\nB\n")).unwrap().len(), 1, "{excluded}");
    }
    // A comment ends what is excluded, as it ends a record.
    assert_eq!(walk("onlyif mysql\nstatement ok\nA\n# comment\nstatement ok\nB\n").unwrap(), ["-2", "5"]);
    // Inside `mode skip`, an excluded `mode unskip` ends nothing.
    let text = "mode skip\n\nskipif duckdb\nmode unskip\n\nstatement ok\nA\n\nmode unskip\n\nstatement ok\nB\n";
    assert_eq!(walk(text).unwrap(), ["-6", "11"]);
}

#[test]
fn debug_skip_runs_its_statement_and_skips_the_rest() {
    let text = "statement debug_skip\nA\n\nstatement ok\nB\n\nmode unskip\n\nstatement ok\nC\n";
    assert_eq!(walk(text).unwrap(), ["1", "-4", "9"]);
}

#[test]
fn what_acts_once_does_so_before_its_loop() {
    let text = "loop i 0 2\n\nset variable a b\n\nstatement ok\nA\n\nendloop\n";
    assert_eq!(walk(text).unwrap(), ["3", "5 i=0", "5 i=1"]);
}

#[test]
fn skipped_regions_are_read_but_do_nothing() {
    let text = "mode skip because\n\nstatement error\nno delimiter\n\nmode skip\n\nendloop\n\nmode unskip\n\n\
                query Q\nx\n\nmode unskip\n\nstatement ok\nA\n";
    assert_eq!(walk(text).unwrap(), ["-3", "-12", "17"]);
    assert!(error("mode skip\n\nnonsense\n\nmode unskip\n").starts_with("3: unknown directive `nonsense`"));
    assert!(error("mode unskip\n").contains("without `mode skip`"));
}

#[test]
fn nothing_expands_without_a_bound() {
    let text = "loop i 0 2000\n\nstatement ok\nA\n\nendloop\n";
    assert!(walk(text).unwrap_err().contains("more than 1000 records in this file"));
    assert!(walk("loop i 0 9223372036854775807\n\nendloop\n").unwrap_err().contains("more than 1000 records"));
    let taken = "foreach x a !a\n\nstatement ok\nA\n\nendloop\n";
    assert!(walk(taken).unwrap_err().starts_with("1: this loop has nothing to run over"));
}

#[test]
fn broken_rules_are_told_with_their_line_and_the_way_out() {
    for (text, words) in [
        ("\nloop i 0 3\n\nstatement ok\nA\n", "2: `loop` without `endloop`: write `endloop`"),
        ("foreach t a\n\nhalt\n\nendloop\n", "3: `halt` inside the `foreach` of line 1"),
        ("loop i 0 3\n\nrequire-env A\n\nendloop\n", "3: `require-env` inside the `loop` of line 1"),
        ("endloop\n", "1: `endloop` without a loop before it: delete it"),
        ("foreach t\n\nendloop\n", "1: `foreach` needs a name and at least one word"),
        ("foreach\n\nendloop\n", "1: `foreach` needs a name"),
        ("foreach t <strings>\n\nendloop\n", "1: `foreach` knows no list `<strings>`: <signed>"),
        ("foreach a,b x\n\nendloop\n", "1: `x` has 1 value for the 2 names"),
        ("loop i 0\n\nendloop\n", "1: `loop` needs a name and two whole numbers"),
        ("loop i 0 x\n\nendloop\n", "not `x`"),
        ("require icu;\n", "1: `icu;` cannot be the name of an extension; did you mean `icu`?"),
        ("query F\nA\n", "1: unknown column letter `F` in `F`: I, R or T; any other belongs to the sqllogictest-rs"),
        ("query rowsort\nA\n", "1: `query` needs a letter for each column before `rowsort`"),
        ("mode cockroach\n", "1: `mode` needs `skip`"),
        (
            "concurrentloop i 0 2\n\nconcurrentforeach t a\n",
            "3: `concurrentforeach` inside the `concurrentloop` of line 1",
        ),
        ("statement ok\nA\n\ncontinue\n", "4: `continue` outside of loops"),
        ("concurrentloop i 0 2\n\nloop j 0 2\n\ncontinue\n", "5: `continue` inside the `concurrentloop` of line 1"),
        ("loop i 0 2 3\n\nendloop\n", "1: `loop` needs a name and two whole numbers"),
        ("hash-threshold 8 9\n", "1: `hash-threshold` needs a number"),
        ("onlyif i=1=2\nstatement ok\nA\n", "1: `i=1=2` compares nothing"),
        ("statement ok db1:con\nA\n", "1: `db1:con` names another database"),
        ("query I db1:con\nA\n", "1: `db1:con` names another database"),
        ("concurrentloop i 0 2\n\nload\n", "3: `load` inside the `concurrentloop` of line 1"),
        ("concurrentloop i 0 2\n\nstatement ok c\nA\n", "3: the connection `c` is named inside a concurrent loop"),
        ("statement error\nA\n", "1: `statement error` needs a line `----`"),
        ("statement ok\nA\n----\n", "1: `statement ok` has no results"),
        ("statement ok\n\nA\n", "1: `statement` without SQL"),
        ("statement fine\nA\n", "1: `statement` needs `ok`"),
        ("query\nA\n", "1: `query` needs a letter"),
        ("query IX\nA\n", "1: unknown column letter `X`"),
        (" \nstatement ok\nA\n", "1: a line of blanks separates no records"),
        ("skipif x\n\nstatement ok\nA\n", "1: `skipif x` needs a directive on the next line"),
        ("skipif\nstatement ok\nA\n", "1: `skipif` needs an engine"),
        ("restart\nstatement ok\nA\n", "1: `restart` is one line: leave an empty line below it"),
        ("sleep 10\n", "1: `sleep` needs a number and a unit"),
        ("sleep 10 days\n", "units are seconds"),
        ("set threads=1\n", "SQL's `SET` needs `statement ok` above it"),
        ("mode quiet\n", "1: `mode` needs `skip`"),
        ("load a sometimes\n", "not `sometimes`"),
        ("control sortmode rowsort\n", "`--dialect slt`"),
        ("include nowhere.test_template\n", "1: cannot include `nowhere.test_template`"),
        ("include ../x\n", "without `..`"),
        ("statment ok\nA\n", "did you mean `statement`?"),
        (" # x\n", "a comment begins in the first column"),
    ] {
        let error = error(text);
        assert!(error.contains(words), "{text:?}: {error}");
    }
    assert_eq!(Texts::new(b"a\n\xFF\n").unwrap_err(), 2);
}
