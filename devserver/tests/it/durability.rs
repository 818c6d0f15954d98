use crate::support::Server;
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;

const ROUNDS: usize = 5;
const WRITERS: i64 = 4;
const INSERTS_BEFORE_THE_KILL: usize = 120;

fn start(folder: &Path) -> Server {
    Server::start(&["--data", folder.to_str().unwrap()])
}

/// Whatever got a 201 before the process was shot must be there afterwards, once.
#[test]
fn kill_nine() {
    let folder = tempfile::tempdir().unwrap();
    start(folder.path()).with_table();
    let acknowledged = Arc::new(Mutex::new(Vec::<i64>::new()));
    for round in 0..ROUNDS as i64 {
        let mut server = start(folder.path());
        let count = Arc::new(AtomicUsize::new(0));
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let mut client = server.connect();
                let (acknowledged, count) = (Arc::clone(&acknowledged), Arc::clone(&count));
                thread::spawn(move || {
                    for number in 0.. {
                        let n = (round * WRITERS + writer) * 1_000_000 + number;
                        let body = format!(r#"{{"n":{n}}}"#);
                        match client.try_send("POST", "/databases/d/tables/t", Some(&body)) {
                            Ok(response) => {
                                response.is(201);
                                acknowledged.lock().unwrap().push(n);
                                count.fetch_add(1, SeqCst);
                            }
                            Err(_) => return,
                        }
                    }
                })
            })
            .collect();
        crate::support::wait_until("enough was inserted", || {
            count.load(SeqCst) >= INSERTS_BEFORE_THE_KILL
        });
        server.child.kill().unwrap();
        server.child.wait().unwrap();
        for writer in writers {
            writer.join().unwrap();
        }

        let server = start(folder.path());
        let mut client = server.connect();
        assert_eq!(client.value("PRAGMA integrity_check"), "ok");
        let mut found = HashMap::<i64, usize>::new();
        for row in client.query("SELECT n FROM t").is(200)["rows"].as_array().unwrap() {
            *found.entry(row[0].as_i64().unwrap()).or_default() += 1;
        }
        let acknowledged = acknowledged.lock().unwrap();
        for n in acknowledged.iter() {
            assert_eq!(found.get(n), Some(&1), "round {round}: {n} was acknowledged");
        }
        assert!(found.values().all(|&times| times == 1));
        let unacknowledged = found.len() - acknowledged.len();
        assert!(
            unacknowledged <= WRITERS as usize * (round as usize + 1),
            "{unacknowledged} more than asked for"
        );
    }
}

#[test]
fn an_open_transaction_dies_with_the_server_and_a_committed_one_stays() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = start(folder.path());
    let mut client = server.with_table();
    for (n, commit) in [(1, true), (2, false)] {
        let id = client.begin("");
        client.enter(&id);
        client.post("/databases/d/tables/t", &format!(r#"{{"n":{n}}}"#)).is(201);
        client.headers.clear();
        if commit {
            client.post(&format!("/transactions/{id}/commit"), "").is(200);
        }
    }
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    let server = start(folder.path());
    assert_eq!(server.connect().value("SELECT group_concat(n) FROM t"), "1");
}

#[test]
fn what_is_made_lasts() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = start(folder.path());
    let mut client = server.with_table();
    client.post("/databases", r#"{"name":"gone"}"#).is(201);
    client.delete("/databases/gone").is(200);
    let before = client.get("/api/v1/databases/d").is(200);
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    let server = start(folder.path());
    let after = server.connect().get("/api/v1/databases").is(200);
    assert_eq!(after["databases"].as_array().map(Vec::len), Some(1));
    let same = |field: &str| assert_eq!(after["databases"][0][field], before[field]);
    same("name");
    same("createdAt");
    same("tables");
    assert_ne!(before["createdAt"], Value::Null);
}
