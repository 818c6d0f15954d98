use crate::support::{Server, wait_until};
use serde_json::json;
use std::thread;

const ROWS: &str = "/databases/d/tables/t";
const COUNT: &str = "SELECT count(*) FROM t";

#[test]
fn a_commit_shows_and_a_rollback_undoes() {
    let server = Server::start(&[]);
    let mut outside = server.with_table();
    let mut inside = server.connect();
    for (ending, expected) in [("rollback", 0), ("commit", 2)] {
        let id = inside.begin(r#"{"database":"d"}"#);
        inside.enter(&id);
        inside.post(ROWS, r#"{"n":1}"#).is(201);
        inside.query("INSERT INTO t (n) VALUES (2)").is(200);
        assert_eq!(inside.value(COUNT), 2, "a transaction sees what it wrote");
        assert_eq!(outside.value(COUNT), 0, "and nobody else does");
        assert_eq!(outside.get("/stats").is(200)["transactions_open"], 1);
        inside.headers.clear();
        let ended = inside.post(&format!("/transactions/{id}/{ending}"), "{}").is(200);
        assert!(ended["message"].is_string());
        assert_eq!(outside.value(COUNT), expected);
        for ending in ["commit", "rollback"] {
            inside
                .send("POST", &format!("/transactions/{id}/{ending}"), None)
                .fails(404, "TRANSACTION_NOT_FOUND");
        }
        inside.enter(&id);
        inside.get(ROWS).fails(404, "TRANSACTION_NOT_FOUND");
        inside.headers.clear();
    }
    assert_eq!(server.stat("transactions_open"), 0);
}

#[test]
fn every_operation_takes_part() {
    let server = Server::start(&[]);
    let mut client = server.with_table();
    client.post(ROWS, r#"{"n":1}"#).is(201);
    let id = client.begin("");
    client.enter(&id);
    client.put(ROWS, r#"{"data":{"n":2}}"#).is(200);
    client
        .post("/databases/d/tables", r#"{"name":"u","columns":[{"name":"a","type":"int"}]}"#)
        .is(201);
    client.post("/api/v1/databases/d/tables/u/rows", r#"{"rows":[{"a":1}]}"#).is(201);
    assert_eq!(client.get("/databases/d/tables").is(200)["tables"], json!(["t", "u"]));
    assert_eq!(client.get("/api/v1/databases/d/tables/u/rows").is(200)["count"], 1);
    client.delete(&format!("{ROWS}?condition=n%3D2")).is(200);
    client.delete(ROWS).is(200);
    client.post(ROWS, r#"{"n":1}"#).fails(404, "TABLE_NOT_FOUND");
    client.post("/databases/d/tables/u", r#"{"nope":1}"#).fails(400, "SQL_ERROR");
    assert_eq!(client.value("SELECT a FROM u"), 1, "a failed statement undoes only itself");
    client.headers.clear();
    assert_eq!(client.get(ROWS).is(200)["records"][0]["n"], 1);
    client.post(&format!("/transactions/{id}/rollback"), "").is(200);
    assert_eq!(client.get("/databases/d/tables").is(200)["tables"], json!(["t"]));
    assert_eq!(client.value("SELECT n FROM t"), 1);
}

#[test]
fn a_transaction_keeps_to_one_database() {
    let server = Server::start(&[]);
    let mut client = server.with_table();
    client.post("/databases", r#"{"name":"e"}"#).is(201);
    client.post("/transactions", r#"{"database":"none"}"#).fails(404, "DATABASE_NOT_FOUND");
    client.post("/transactions", r#"{"databases":"d"}"#).fails(400, "BAD_REQUEST");
    let bound = client.begin(r#"{"database":"d"}"#);
    let free = client.begin(r#"{"database":null}"#);
    client.enter(&bound);
    client.get("/databases/e/tables").fails(409, "TRANSACTION_CONFLICT");
    client.post("/databases", r#"{"name":"f"}"#).fails(400, "BAD_REQUEST");
    client.delete("/databases/e").fails(400, "BAD_REQUEST");
    client.post("/transactions", "{}").fails(400, "BAD_REQUEST");
    client.headers.clear();
    client.enter(&free);
    client.get("/databases/none/tables").fails(404, "DATABASE_NOT_FOUND");
    client.get("/databases/e/tables").is(200);
    client.get("/databases/d/tables").fails(409, "TRANSACTION_CONFLICT");
    client.headers.clear();
    client.enter("no-such-transaction");
    client.get("/databases/d/tables").fails(404, "TRANSACTION_NOT_FOUND");
}

#[test]
fn a_write_outside_waits_and_a_read_does_not() {
    let server = Server::start(&[]);
    let mut writer = server.with_table();
    let id = writer.begin("");
    writer.enter(&id);
    writer.post(ROWS, r#"{"n":1}"#).is(201);
    // More of them than statements may run at once: waiting must take up no place.
    let waiting: Vec<_> = (0..40)
        .map(|_| {
            let mut client = server.connect();
            thread::spawn(move || client.post(ROWS, r#"{"n":2}"#).is(201))
        })
        .collect();
    let mut reader = server.connect();
    wait_until("all of them wait", || reader.get("/stats").is(200)["requests_in_flight"] == 41);
    assert_eq!(reader.value(COUNT), 0);
    writer.headers.clear();
    writer.post(&format!("/transactions/{id}/commit"), "").is(200);
    for thread in waiting {
        thread.join().unwrap();
    }
    assert_eq!(reader.value(COUNT), 41);
}

#[test]
fn a_write_does_not_wait_for_ever() {
    let server = Server::start(&["--lock-timeout", "0.2"]);
    let mut writer = server.with_table();
    let id = writer.begin("");
    writer.enter(&id);
    writer.post(ROWS, r#"{"n":1}"#).is(201);
    let mut other = server.connect();
    let response = other.post(ROWS, r#"{"n":2}"#);
    response.fails(503, "DATABASE_BUSY");
    assert_eq!(response.header("retry-after"), Some("1"));
    let second = other.begin("");
    other.enter(&second);
    assert_eq!(other.value(COUNT), 0);
    other.post(ROWS, r#"{"n":2}"#).fails(503, "DATABASE_BUSY");
    writer.headers.clear();
    writer.post(&format!("/transactions/{id}/commit"), "").is(200);
    assert_eq!(other.value(COUNT), 0, "a transaction keeps to what it saw first");
    let message = other.post(ROWS, r#"{"n":2}"#).fails(409, "TRANSACTION_CONFLICT");
    assert!(message.contains("begin a new one"), "{message}");
    other.get(ROWS).fails(404, "TRANSACTION_NOT_FOUND");
}

#[test]
fn two_that_have_not_read_take_turns() {
    let server = Server::start(&[]);
    let mut one = server.with_table();
    let mut two = server.connect();
    let first = one.begin(r#"{"database":"d"}"#);
    let second = two.begin(r#"{"database":"d"}"#);
    one.enter(&first);
    two.enter(&second);
    one.post(ROWS, r#"{"n":1}"#).is(201);
    let waits = thread::spawn(move || {
        two.post(ROWS, r#"{"n":2}"#).is(201);
        two
    });
    wait_until("the second waits", || server.stat("requests_in_flight") == 2);
    one.headers.clear();
    one.post(&format!("/transactions/{first}/commit"), "").is(200);
    let mut two = waits.join().unwrap();
    two.headers.clear();
    two.post(&format!("/transactions/{second}/commit"), "").is(200);
    assert_eq!(one.value(COUNT), 2);
}

#[test]
fn an_idle_transaction_is_rolled_back() {
    let server = Server::start(&["--transaction-timeout", "0.3"]);
    let mut client = server.with_table();
    let id = client.begin("");
    client.enter(&id);
    client.post(ROWS, r#"{"n":1}"#).is(201);
    let mut other = server.connect();
    // Waits until the turn is free again.
    other.post(ROWS, r#"{"n":2}"#).is(201);
    client.get(ROWS).fails(404, "TRANSACTION_NOT_FOUND");
    assert_eq!(other.value("SELECT group_concat(n) FROM t"), "2");
}

#[test]
fn a_dropped_database_ends_its_transactions() {
    let server = Server::start(&[]);
    let mut client = server.with_table();
    let mut inside = server.connect();
    let id = inside.begin("");
    inside.enter(&id);
    inside.post(ROWS, r#"{"n":1}"#).is(201);
    let mut waiter = server.connect();
    let waits = thread::spawn(move || waiter.post(ROWS, r#"{"n":2}"#));
    let mut runner = server.connect();
    let endless =
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r";
    let runs = thread::spawn(move || runner.query(endless));
    wait_until("both are under way", || server.stat("requests_in_flight") == 3);
    client.delete("/databases/d").is(200);
    waits.join().unwrap().fails(404, "DATABASE_NOT_FOUND");
    runs.join().unwrap().fails(404, "DATABASE_NOT_FOUND");
    inside.get(ROWS).fails(404, "TRANSACTION_NOT_FOUND");
    drop(client);
    let mut client = server.with_table();
    client.post(ROWS, r#"{"n":3}"#).is(201);
    assert_eq!(client.value(COUNT), 1, "a new database of an old name is empty");
}

#[test]
fn databases_come_and_go_under_load() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&["--data", folder.path().to_str().unwrap()]);
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let mut client = server.connect();
            thread::spawn(move || {
                for _ in 0..150 {
                    let response = client.post(ROWS, r#"{"n":1}"#);
                    assert!([201, 404].contains(&response.status), "{}", response.body);
                }
            })
        })
        .collect();
    while !workers.iter().all(|worker| worker.is_finished()) {
        let mut client = server.with_table();
        client.post(ROWS, r#"{"n":1}"#).is(201);
        client.delete("/databases/d").is(200);
    }
    for worker in workers {
        worker.join().unwrap();
    }
    server.with_table().post(ROWS, r#"{"n":1}"#).is(201);
}
