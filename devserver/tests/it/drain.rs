use crate::support::{Server, wait_until};
use serde_json::json;
use std::net::TcpStream;
use std::path::Path;

#[test]
fn a_request_in_flight_is_finished() {
    for signal in ["TERM", "INT"] {
        let folder = tempfile::tempdir().unwrap();
        let data = ["--data", folder.path().to_str().unwrap()];
        let mut server = Server::start(&data);
        let mut idle = server.with_table();
        let mut fresh = server.connect();
        let mut busy = server.connect();
        busy.write(
            b"POST /databases/d/tables/t HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{\"n",
        )
        .unwrap();
        wait_until("the request is in flight", || server.stat("requests_in_flight") == 2);
        let open = idle.begin("");
        idle.enter(&open);
        idle.query("SELECT 1 FROM t").is(200);
        server.signal(signal);
        assert!(idle.is_closed() && fresh.is_closed());
        wait_until("nobody listens", || TcpStream::connect(server.address).is_err());
        assert!(server.child.try_wait().unwrap().is_none());
        busy.write(b"\":1}").unwrap();
        let response = busy.read().unwrap();
        response.is(201);
        assert_eq!(response.header("connection"), Some("close"));
        assert!(busy.is_closed());
        assert_eq!(server.exit_code(), Some(0));
        assert_eq!(files(folder.path()), ["d.db"], "the log is merged at the end");
        let server = Server::start(&data);
        assert_eq!(server.connect().value("SELECT n FROM t"), json!(1));
    }
}

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with('d')).collect()
}

#[test]
fn sessions_that_close_at_once_merge_the_log() {
    for _ in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Server::start(&["--data", folder.path().to_str().unwrap()]);
        let mut client = server.with_table();
        let readers: Vec<_> = (0..12)
            .map(|_| {
                let mut reader = server.connect();
                let open = reader.begin("");
                reader.enter(&open);
                reader.query("SELECT 1 FROM t").is(200);
                reader
            })
            .collect();
        client.query("INSERT INTO t (n) VALUES (1)").is(200);
        server.signal("TERM");
        drop(readers);
        assert_eq!(server.exit_code(), Some(0));
        assert_eq!(files(folder.path()), ["d.db"]);
    }
}

#[test]
fn a_signal_that_reaches_the_workers_too_cuts_nothing() {
    let mut server = Server::start(&[]);
    let mut client = server.with_table();
    let long = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 300000) SELECT max(n) FROM r";
    let runs = std::thread::spawn(move || client.query(long));
    let running = || server.workers().iter().any(|(_, runs)| *runs);
    wait_until("it runs", || server.stat("requests_in_flight") == 2 && running());
    for (worker, _) in server.workers() {
        server.signal_to("TERM", worker);
        server.signal_to("INT", worker);
    }
    server.signal("TERM");
    let response = runs.join().unwrap();
    assert_eq!(response.is(200)["rows"][0][0], 300_000);
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn draining_ends_after_its_limit() {
    let mut server = Server::start(&["--drain-timeout", "0.2"]);
    let mut runs = server.with_table();
    let endless = r#"{"query":"WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r"}"#;
    runs.write(
        format!(
            "POST /databases/d/query HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{endless}",
            endless.len()
        )
        .as_bytes(),
    )
    .unwrap();
    wait_until("it runs", || server.stat("requests_in_flight") == 2);
    let mut inside = server.connect();
    let id = inside.begin(r#"{"database":"d"}"#);
    let unstoppable = r#"{"query":"SELECT instr(zeroblob(60000000), CAST(zeroblob(30000000) || x'01' AS BLOB))"}"#;
    inside
        .write(
            format!(
                "POST /databases/d/query HTTP/1.1\r\nHost: localhost\r\nX-PhantomDB-Transaction: {id}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{unstoppable}",
                unstoppable.len()
            )
            .as_bytes(),
        )
        .unwrap();
    wait_until("both run", || server.stat("requests_in_flight") == 3);
    server.signal("TERM");
    assert_eq!(server.exit_code(), Some(1));
}

#[test]
fn the_end_of_standard_input_is_a_reason_to_stop() {
    let mut server = Server::start(&[]);
    server.with_table();
    drop(server.child.stdin.take());
    assert_eq!(server.exit_code(), Some(0));
}
