//! Tests with drivers that are one line of shell.

use super::*;
use crate::dialect::Dialect;

const CLASSIC: Request<'static> = Request { sql: b"SELECT", letters: Some(b"IT"), dialect: Dialect::Classic };

/// Sends one request to a driver, and returns the result.
fn ask(driver: &str, request: Request<'_>) -> Result<(Done, String, String), EngineError> {
    let engine = External::new(driver);
    let mut session = engine.database("a.test")?.connect()?;
    let mut rows = Rows::default();
    let done = session.run(request, &mut rows)?;
    Ok((done, String::from_utf8(rows.text().to_vec()).unwrap(), session.name().to_owned()))
}

/// A driver that answers `words` to any request.
fn parrot(words: &str) -> String {
    format!("head -c 1 >/dev/null && echo '{words}'; cat >/dev/null")
}

#[test]
fn a_changed_driver_is_another_engine() {
    let folder = tempfile::tempdir().unwrap();
    let driver = folder.path().join("driver.py");
    std::fs::write(&driver, "one").unwrap();
    let identity = |rest: &str| External::new(&format!("cat {} {rest}", driver.display())).identity();
    let first = identity("--password hunter2");
    assert_eq!(first, identity("--password hunter2"));
    assert!(!first.contains("hunter2") && first != identity("--password hunter3"), "{first}");
    std::fs::write(&driver, "two").unwrap();
    assert_ne!(first, identity("--password hunter2"));
    assert_eq!(file_of("cat").map(|path| path.is_absolute()), Some(true));
    assert_eq!((file_of("no-such-program"), file_of("/")), (None, None));
}

#[test]
fn a_driver_that_does_not_know_the_extension_writes_its_values_itself() {
    let driver = parrot(r#"{"result":[["2.5",""],["x","é"]]}"#);
    let (done, rows, name) = ask(&driver, CLASSIC).unwrap();
    assert_eq!((done, rows.as_str(), name.as_str()), (Done::Rows, "2.5\n(empty)\nx\né\n", "external"));
}

#[test]
fn a_driver_that_does_not_know_the_extension_gets_no_new_fields() {
    // The driver returns every request as its error.
    let driver = r#"q=$(head -c 16); [ -z "$q" ] || printf '{"err":"%s"}' "${q//\"/\'}""#;
    let error = ask(driver, CLASSIC).unwrap_err();
    assert_eq!((error.message.as_str(), error.is_lost()), ("{'sql':'SELECT'}", false));
}

#[test]
fn a_driver_that_greets_gets_the_letters_and_may_return_more() {
    let greet = |words: &str| format!(r#"echo '{{"protocol":1,"name":"own"}}'; {}"#, parrot(words));
    let (done, rows, name) = ask(&greet(r#"{"result":[[2.5,""],[true,null]],"columns":2}"#), CLASSIC).unwrap();
    assert_eq!((done, rows.as_str(), name.as_str()), (Done::Rows, "2\n(empty)\n1\nNULL\n", "own"));
    assert_eq!(ask(&greet(r#"{"count":5}"#), CLASSIC).unwrap().0, Done::Changed(5));
    let error = ask(&greet(r#"{"err":"no","sqlstate":"42P01"}"#), CLASSIC).unwrap_err();
    assert_eq!((error.message.as_str(), error.sqlstate.as_deref(), error.is_lost()), ("no", Some("42P01"), false));
    let question = r#"{"sql":"SELECT","letters":"IT","dialect":"classic"}"#;
    let echo = format!(
        r#"echo '{{"protocol":1}}'; q=$(head -c {}); [ -z "$q" ] || printf '{{"err":"%s"}}' "${{q//\"/\'}}""#,
        question.len()
    );
    assert_eq!(ask(&echo, CLASSIC).unwrap_err().message, question.replace('"', "'"));
}

#[test]
fn numbers_stay_as_the_driver_wrote_them() {
    let slt = Request { sql: b"SELECT", letters: Some(b"TTTTT"), dialect: Dialect::Slt };
    let greet = r#"echo '{"protocol":1}';"#;
    let numbers = "117.63331139400017,18446744073709551617,18446744073709551618,1E400,-0.10";
    let (_, rows, _) = ask(&format!("{greet} {}", parrot(&format!(r#"{{"result":[[{numbers}]]}}"#))), slt).unwrap();
    assert_eq!(rows, format!("{numbers},").replace(',', "\n"));
    // The same holds for 2,000 random doubles.
    let mut seed = 1_u64;
    let doubles = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from_bits(seed.rotate_left(20))
    });
    let doubles: Vec<String> =
        doubles.filter(|double| double.is_finite()).take(2000).map(|double| format!("{double:?}")).collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("answer");
    std::fs::write(&file, format!(r#"{{"result":[[{}]]}}"#, doubles.join(","))).unwrap();
    let driver = format!("{greet} head -c 1 >/dev/null && cat {}; cat >/dev/null", file.display());
    let (_, rows, _) = ask(&driver, slt).unwrap();
    assert!(rows.lines().eq(&doubles));
}

#[test]
fn an_invalid_answer_loses_the_connection() {
    for (driver, words) in [
        (parrot("oops"), "it printed something that is not an answer"),
        (parrot(r#"{"result":[1]}"#), "it printed something that is not an answer"),
        (parrot(r#"{"result":[[1]]}"#), "`1` where a string should be"),
        (parrot(r#"{"result":[["\ud800"]]}"#), r#"`"\ud800"`, which is not a string"#),
        (parrot("{}"), "its answer needs either `result` or `err`: `{}`"),
        (
            parrot(r#"{"result":[],"err":"no"}"#),
            r#"its answer needs either `result` or `err`: `{"result":[],"err":"no"}`"#,
        ),
        ("head -c 1 >/dev/null; exit 3".to_owned(), "it ended (exit status: 3) instead of answering"),
        (
            r#"head -c 1 >/dev/null; echo '{"result":[["1"'; exit 4"#.to_owned(),
            "it ended (exit status: 4) in the middle of an answer",
        ),
        ("exit 5".to_owned(), "it ended (exit status: 5)"),
        ("exec >&-; cat >/dev/null; exit 6".to_owned(), "it closed its output instead of answering"),
        ("head -c 1 >/dev/null; sleep 1000 & exit 7".to_owned(), "it ended (exit status: 7) instead of answering"),
        ("head -c 1 >/dev/null; yes".to_owned(), "it printed something that is not an answer: `y` (expected value)"),
        ("slt_no_such_program".to_owned(), "it ended (exit status: 127: bash finds no such command)"),
        (r#"echo '{"protocol":2}'"#.to_owned(), "version 2 of the protocol"),
    ] {
        let error = ask(&driver, CLASSIC).unwrap_err();
        assert!(error.message.contains(words), "{driver}: {error}");
        assert!(error.is_lost() || words.contains("version"), "{driver}");
    }
}

#[test]
fn an_unrequested_answer_does_not_count_as_the_next_one() {
    let answer = r#"{"result":[["1","2"]]}"#;
    // On one line, because bash writes line by line: both answers are there when the first is read.
    let engine = External::new(&parrot(&format!("{answer} {answer}")));
    let mut session = engine.database("a.test").unwrap().connect().unwrap();
    let mut rows = Rows::default();
    assert_eq!(session.run(CLASSIC, &mut rows), Ok(Done::Rows));
    let error = session.run(CLASSIC, &mut rows).unwrap_err();
    assert_eq!(
        (error.message.as_str(), error.is_lost()),
        (format!("it printed `{answer}` without being asked").as_str(), true)
    );
}

#[test]
fn an_invalid_answer_is_shown_up_to_its_first_line_or_a_limit() {
    let long = "x".repeat(1000);
    for (printed, shown) in [("oops\nmore", "oops"), ("[1]", "[1]"), (long.as_str(), &format!("{}…", &long[..200]))] {
        let error = ask(&parrot(printed), CLASSIC).unwrap_err();
        assert!(
            error.message.starts_with(&format!("it printed something that is not an answer: `{shown}` (")),
            "{error}"
        );
    }
}

#[test]
fn a_driver_that_never_answers_can_be_interrupted() {
    let engine = External::new("cat >/dev/null; sleep 1000");
    let driver = Arc::clone(&engine.driver);
    assert!(driver.first.set(First { greeting: None, failed: None }).is_ok());
    let mut session = engine.database("a.test").unwrap().connect().unwrap();
    let interrupt = session.interrupter().unwrap();
    let asking = std::thread::spawn(move || interrupt());
    let error = session.run(CLASSIC, &mut Rows::default()).unwrap_err();
    asking.join().unwrap();
    assert!(error.is_lost() && error.message.contains("SIGKILL"), "{error}");
}

/// A driver with all capabilities. It answers with its process id and the script that it received, and answers the later of
/// two requests first.
const SERVES_SCRIPTS: &str = r#"python3 -c '
import json, os, sys
def say(answer): print(json.dumps(answer), flush=True)
say({"protocol": 1, "name": "own", "capabilities": ["connections", "scripts", "concurrent"]})
text, waiting, script = "", [], os.environ.get("SLT_DATABASE")
while piece := os.read(0, 4096).decode():
    text += piece
    while text:
        request, end = json.JSONDecoder().raw_decode(text)
        text = text[end:]
        if "id" in request:
            waiting.append(request)
            while len(waiting) == 2 or waiting and request["sql"] == "alone":
                last = waiting.pop()
                say({"result": [[last["connection"]]], "id": last["id"]})
                if len(waiting) == 1: say({"count": 7, "id": waiting.pop()["id"]})
        elif "sql" in request:
            say({"result": [[os.getpid()], [script]]})
        else:
            script = request.get("script", script)
            say({"count": 0})
'"#;

#[test]
fn a_driver_that_fails_at_its_start_is_not_one_without_extensions() {
    let require = |driver: &str| {
        let engine = External::new(driver);
        let mut database = engine.database("a.test").unwrap();
        let _session = database.connect().unwrap();
        database.require(&["json"])
    };
    for (driver, end) in [("exit 3", "exit status: 3"), ("slt_no_such_program", "127: bash finds no such command")] {
        let error = require(driver).unwrap_err();
        assert!(error.is_lost() && error.message.contains(end), "{driver}: {error}");
        assert!(error.message.contains("cannot tell whether it has `json`"), "{driver}: {error}");
    }
    assert_eq!(require("cat >/dev/null"), Ok(false), "one that does not know the extension has nothing");
    assert_eq!(require(r#"echo '{"protocol":1}'; cat >/dev/null"#), Ok(false), "nor one without the capability");
}

const DUCKDB: Request<'static> = Request { sql: b"SELECT", letters: Some(b"T"), dialect: Dialect::DuckDb };

#[test]
fn a_process_serves_one_script_after_the_other() {
    let engine = External::new(SERVES_SCRIPTS);
    let serve = || {
        let mut database = engine.database("a.test").unwrap();
        let mut session = database.connect().unwrap();
        let mut rows = Rows::default();
        session.run(DUCKDB, &mut rows).unwrap();
        let told: Vec<String> = rows.values().map(|value| String::from_utf8_lossy(value).into_owned()).collect();
        assert_eq!(Some(&told[1]), database.name().as_ref());
        let kill = session.interrupter().unwrap();
        drop(session);
        drop(database);
        (told[0].clone(), kill)
    };
    let (first, kill_late) = serve();
    // The script is over, so its interrupter no longer kills the process.
    kill_late();
    let (second, _) = serve();
    assert_eq!(first, second);
    // A process that is killed while it serves a script serves no other script.
    let mut database = engine.database("a.test").unwrap();
    let session = database.connect().unwrap();
    session.interrupter().unwrap()();
    drop(session);
    drop(database);
    assert_ne!(serve().0, first);
}

#[test]
fn requests_of_several_connections_are_answered_in_whatever_order_they_end() {
    let engine = External::new(SERVES_SCRIPTS);
    let mut database = engine.database("a.test").unwrap();
    let mut session = database.connect().unwrap();
    let mut together = database.together().unwrap().unwrap();
    together.begin(0, Request { letters: None, ..DUCKDB }).unwrap();
    together.begin(5, DUCKDB).unwrap();
    let mut rows = Rows::default();
    assert_eq!(together.next(&mut rows), Ok((5, Ok(Done::Rows))));
    // The first connection of the loop has number 1, because the script has a connection already.
    assert_eq!(rows.text(), b"6\n");
    rows.clear();
    assert_eq!(together.next(&mut rows), Ok((0, Ok(Done::Changed(7)))));
    together.begin(3, Request { sql: b"alone", ..DUCKDB }).unwrap();
    assert_eq!(together.next(&mut rows).unwrap().0, 3);
    drop(together);
    session.run(DUCKDB, &mut rows).unwrap();
    // An unread answer would be taken for the answer to another request.
    let mut together = database.together().unwrap().unwrap();
    together.begin(0, DUCKDB).unwrap();
    drop(together);
    drop(session);
    drop(database);
    assert!(engine.driver.idle.lock().unwrap().is_empty());
}
