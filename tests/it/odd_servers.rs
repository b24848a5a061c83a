//! Servers that no package provides any more, or that stop answering: the tests imitate them, with the real protocols and
//! the messages of such servers.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::support::{PASSES, Printed, command, folder, target_binary};

/// Each mode, which must give the same result.
const WAYS: [&[&str]; 2] = [&["--test-threads", "1"], &["--parallel", "--workers", "1"]];

/// Serves each client on its own thread until this process ends, and returns the port.
fn listen(serve: fn(TcpStream) -> io::Result<()>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A test does not fail because a client disconnects.
            std::thread::spawn(move || serve(stream));
        }
    });
    port
}

fn run(engine: &str, files: &[(&str, &str)], arguments: &[&str]) -> Printed {
    let root = folder(files);
    let mut command = command(target_binary());
    command.env("SLT_CORPUS", root.path()).env("SLT_RESULTS", root.path().join("results"));
    Printed::of(command.args(["--engine", engine]).args(arguments))
}

#[test]
fn a_server_that_is_too_old_is_named_with_its_version() {
    for (scheme, port, words) in [
        ("postgres", listen(postgres_12), "the server is PostgreSQL 12; 13 or newer is needed"),
        ("mysql", listen(mysql_5_5), "the server is MySQL 5.5.62; 5.7 or newer is needed"),
    ] {
        let engine = format!("{scheme}://me@127.0.0.1:{port}/db");
        let words = format!("cannot connect to {engine}: {words}");
        for way in WAYS {
            let printed = run(&engine, &[("a.test", PASSES), ("b.slt", "statement error\nSELECT nothing\n")], way);
            // Both files get the same answer, which is printed once.
            assert_eq!((printed.code, printed.out.matches(&words).count()), (101, 1), "{printed:?}");
            assert!(printed.out.contains("---- 2 files that could not connect ----"), "{printed:?}");
            assert!(printed.result().starts_with("test result: FAILED. 0 passed; 2 failed"), "{printed:?}");
        }
    }
}

#[cfg(feature = "postgres")]
#[test]
fn a_server_that_is_too_old_for_a_queue_is_named_with_its_version() {
    let queue = format!("postgres://me@127.0.0.1:{}/db", listen(postgres_12));
    for way in [&["--parallel"][..], &["--parallel", "--workers", "2"]] {
        let root = folder(&[("a.test", PASSES)]);
        let mut command = command(target_binary());
        command.env("SLT_CORPUS", root.path()).env("SLT_RESULTS", root.path().join("results"));
        let printed = Printed::of(command.args(["--queue", &queue, "--run-id", "old"]).args(way));
        assert_eq!((printed.code, printed.verdicts().len()), (4, 0), "{printed:?}");
        let words =
            format!("error: the queue `{queue}` cannot be used: the server is PostgreSQL 12; 13 or newer is needed\n");
        assert!(printed.err.ends_with(&words), "{printed:?}");
    }
}

#[test]
fn a_server_that_stopped_answering_is_not_waited_for_repeatedly() {
    let engine = format!("postgres://me@127.0.0.1:{}/db", listen(postgres_that_falls_silent));
    let files = [("a.test", PASSES), ("b.test", PASSES)];
    let begun = Instant::now();
    let printed = run(&engine, &files, &["--query-timeout", "0.2", "--test-threads", "1"]);
    assert!(begun.elapsed() < Duration::from_secs(120), "{:?}: {printed:?}", begun.elapsed());
    assert_eq!(printed.code, 101, "{printed:?}");
    // The server ignores a request to stop, too, so the trial is abandoned.
    assert!(printed.verdict("a.test").unwrap().starts_with("timed out after 0.2 s"), "{printed:?}");
    assert!(printed.out.contains("so its thread was left behind"), "{printed:?}");
    // The next file gets no database while the connection that makes them waits for an answer to DROP; later it may.
    match printed.verdict("b.test").unwrap() {
        "FAILED" => assert!(printed.out.contains("cannot make a database: no answer within 5 s"), "{printed:?}"),
        verdict => assert!(verdict.starts_with("timed out after 0.2 s"), "{printed:?}"),
    }
}

fn postgres_12(stream: TcpStream) -> io::Result<()> {
    postgres(stream, "120022", "no statement")
}

/// Answers until it should run the one statement of `PASSES`, or drop a database.
fn postgres_that_falls_silent(stream: TcpStream) -> io::Result<()> {
    postgres(stream, "150004", "SELECT 1\0|DROP")
}

/// A server of this version (as in `server_version_num`), which never answers a statement that begins with one of
/// `unanswered`, nor anything after it.
///
/// Protocol: <https://www.postgresql.org/docs/current/protocol-message-formats.html>
fn postgres(mut stream: TcpStream, version: &str, unanswered: &str) -> io::Result<()> {
    let startup = message(&mut stream)?;
    if startup[..4] != 196_608_u32.to_be_bytes() {
        return Ok(()); // A request to cancel, or for TLS.
    }
    let ready = tagged(b'Z', b"I");
    stream.write_all(&[tagged(b'R', &[0; 4]), ready.clone()].concat())?;
    let mut silent = false;
    loop {
        let mut tag = [0];
        stream.read_exact(&mut tag)?;
        let body = message(&mut stream)?;
        let sql = String::from_utf8_lossy(&body).into_owned();
        silent |= unanswered.split('|').any(|start| sql.starts_with(start));
        if silent {
            continue;
        }
        let mut answer = Vec::new();
        if sql.starts_with("SHOW server_version_num") {
            let column = [&[0, 1][..], b"server_version_num\0", &[0; 6], &25_u32.to_be_bytes(), &[0xff; 6], &[0, 0]];
            answer.extend(tagged(b'T', &column.concat()));
            let value = [&[0, 1][..], &(version.len() as u32).to_be_bytes(), version.as_bytes()];
            answer.extend(tagged(b'D', &value.concat()));
        }
        answer.extend(tagged(b'C', b"DONE\0"));
        answer.extend(&ready);
        stream.write_all(&answer)?;
    }
}

/// The body of a message, after its length.
fn message(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut body = vec![0; u32::from_be_bytes(length) as usize - 4];
    stream.read_exact(&mut body)?;
    Ok(body)
}

fn tagged(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag][..], &(body.len() as u32 + 4).to_be_bytes(), body].concat()
}

/// Protocol: <https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html>
fn mysql_5_5(mut stream: TcpStream) -> io::Result<()> {
    let (long_password, protocol_41, transactions, secure, plugins) = (1_u32, 0x200, 0x2000, 0x8000, 0x8_0000);
    let abilities = (long_password | protocol_41 | transactions | secure | plugins).to_le_bytes();
    let greeting = [
        &[10][..],
        b"5.5.62\0",
        &[1, 0, 0, 0],
        b"abcdefgh\0",
        &abilities[..2],
        &[33, 2, 0],
        &abilities[2..],
        &[21],
        &[0; 10],
        b"ijklmnopqrst\0",
        b"mysql_native_password\0",
    ];
    let (fine, end) = ([0, 0, 0, 2, 0, 0, 0], [0xfe, 0, 0, 2, 0]);
    packet(&mut stream, 0, &greeting.concat())?;
    read_packet(&mut stream)?;
    packet(&mut stream, 2, &fine)?;
    loop {
        let question = read_packet(&mut stream)?;
        let sql = String::from_utf8_lossy(&question[1..]).into_owned();
        if question[0] != 3 {
            return Ok(()); // The client disconnects.
        }
        let values: &[&str] = match sql.as_str() {
            "SELECT VERSION()" => &["5.5.62"],
            "SELECT @@max_allowed_packet,@@wait_timeout" => &["1048576", "28800"],
            other => panic!("a server that is too old is asked for more: {other}"),
        };
        packet(&mut stream, 1, &[values.len() as u8])?;
        for number in 0..values.len() as u8 {
            // A column: catalogue, three empty names, its name twice, and a VARCHAR of 255 bytes in UTF-8.
            let column = [b"\x03def\0\0\0\x01a\x01a\x0c", &[33, 0, 255, 0, 0, 0, 253, 0, 0, 0, 0, 0][..]].concat();
            packet(&mut stream, 2 + number, &column)?;
        }
        let next = 2 + values.len() as u8;
        packet(&mut stream, next, &end)?;
        let row: Vec<u8> = values.iter().flat_map(|value| [&[value.len() as u8], value.as_bytes()].concat()).collect();
        packet(&mut stream, next + 1, &row)?;
        packet(&mut stream, next + 2, &end)?;
    }
}

fn packet(stream: &mut TcpStream, number: u8, body: &[u8]) -> io::Result<()> {
    let length = (body.len() as u32).to_le_bytes();
    stream.write_all(&[&length[..3], &[number], body].concat())
}

fn read_packet(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = [0; 4];
    stream.read_exact(&mut head)?;
    let mut body = vec![0; u32::from_le_bytes([head[0], head[1], head[2], 0]) as usize];
    stream.read_exact(&mut body)?;
    Ok(body)
}
