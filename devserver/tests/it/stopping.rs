use crate::support::{Server, WAIT_LIMIT, wait_until};
use serde_json::json;
use std::thread;
use std::time::Instant;

/// Each spends minutes, or for ever, in one step of SQLite's machine, or at least very long.
const UNSTOPPABLE: &[&str] = &[
    "SELECT instr(zeroblob(60000000), CAST(zeroblob(30000000) || x'01' AS BLOB))",
    "SELECT instr(hex(zeroblob(15000000)), hex(zeroblob(7000000)) || '1')",
    "SELECT length(replace(hex(zeroblob(15000000)), hex(zeroblob(7000000)) || '1', 'x'))",
    "SELECT hex(zeroblob(15000000)) LIKE '%' || hex(zeroblob(24000)) || '1'",
    "SELECT hex(zeroblob(15000000)) ILIKE '%' || hex(zeroblob(24000)) || '1'",
    "SELECT hex(zeroblob(15000000)) GLOB '*' || hex(zeroblob(24000)) || '1'",
    "SELECT ltrim(hex(zeroblob(15000000)), printf('%.*c', 1000000, '1') || '0')",
    "SELECT json_patch(o, o) FROM (SELECT json_group_object(value || 'k', 1) AS o FROM \
     (WITH RECURSIVE r(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM r WHERE value < 60000) \
     SELECT value FROM r))",
];

const INSTR: &str = UNSTOPPABLE[0];

fn nothing_runs(server: &Server) {
    let mut quiet = 0;
    wait_until("no statement runs any more", || {
        quiet = if server.workers().iter().any(|(_, runs)| *runs) { 0 } else { quiet + 1 };
        quiet == 5
    });
}

fn start_query(server: &Server, sql: &str) -> crate::support::Client {
    let mut client = server.connect();
    let body = json!({"query": sql}).to_string();
    let head =
        "POST /databases/d/query HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    client.write(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes()).unwrap();
    client
}

fn until_it_runs(server: &Server) {
    wait_until("the statement runs", || server.workers().iter().any(|(_, runs)| *runs));
}

#[test]
fn the_time_out_holds_whatever_the_statement() {
    let server = Server::start(&["--query-timeout", "0.3"]);
    server.with_table();
    let all: Vec<_> = UNSTOPPABLE
        .iter()
        .map(|sql| {
            let mut client = server.connect();
            thread::spawn(move || {
                let begun = Instant::now();
                let response = client.query(sql);
                assert_eq!(response.is(400)["code"], "QUERY_TIMEOUT", "{sql}");
                // As many of them as processors share what there is.
                assert!(begun.elapsed() < WAIT_LIMIT, "{sql}: {:?}", begun.elapsed());
                assert_eq!(client.value("SELECT 1"), 1);
            })
        })
        .collect();
    for one in all {
        one.join().unwrap();
    }
    nothing_runs(&server);
    let mut client = server.connect();
    client
        .post("/databases/d/query", r#"{"query":"SELECT instr(?,?)","parameters":["ab","b"]}"#)
        .is(200);
}

#[test]
fn a_condition_that_cannot_be_stopped_is_stopped_too() {
    let server = Server::start(&["--query-timeout", "0.3"]);
    let mut client = server.with_table();
    let rows = "/databases/d/tables/t";
    client.post(rows, r#"{"n":1}"#).is(201);
    let condition = crate::support::encoded(INSTR.strip_prefix("SELECT ").unwrap());
    client.get(&format!("{rows}?condition={condition}")).fails(400, "QUERY_TIMEOUT");
    client.delete(&format!("{rows}?condition={condition}")).fails(400, "QUERY_TIMEOUT");
    let condition = json!({"data": {"n": 2}, "condition": INSTR.strip_prefix("SELECT ")});
    client.put(rows, &condition.to_string()).fails(400, "QUERY_TIMEOUT");
    let page =
        format!("/api/v1{rows}/rows?orderBy={}", crate::support::encoded(&format!("({INSTR})")));
    client.get(&page).fails(400, "QUERY_TIMEOUT");
    assert_eq!(client.value("SELECT n FROM t"), 1);
    nothing_runs(&server);
}

#[test]
fn what_cannot_be_stopped_ends_when_its_client_leaves() {
    let server = Server::start(&[]);
    server.with_table().post("/databases/d/tables/t", r#"{"n":1}"#).is(201);
    for sql in [INSTR, "UPDATE t SET s = instr(zeroblob(60000000), zeroblob(30000000) || x'01')"] {
        let client = start_query(&server, sql);
        until_it_runs(&server);
        drop(client);
        nothing_runs(&server);
    }
    // The turn to write is free again.
    server.connect().post("/databases/d/tables/t", r#"{"n":1}"#).is(201);
}

#[test]
fn a_drop_never_waits_for_a_statement_nor_does_anybody_else() {
    let server = Server::start(&[]);
    let mut client = server.with_table();
    let mut stuck = start_query(&server, INSTR);
    until_it_runs(&server);
    let mut inside = server.connect();
    let id = inside.begin(r#"{"database":"d"}"#);
    inside.enter(&id);
    let inside = thread::spawn(move || inside.query(INSTR));
    wait_until("both run", || server.stat("requests_in_flight") == 3);
    let begun = Instant::now();
    for number in 0..5 {
        client.post("/databases", &format!(r#"{{"name":"other{number}"}}"#)).is(201);
        client.delete(&format!("/databases/other{number}")).is(200);
    }
    client.delete("/databases/d").is(200);
    assert!(begun.elapsed() < WAIT_LIMIT, "{:?}", begun.elapsed());
    stuck.read().unwrap().fails(404, "DATABASE_NOT_FOUND");
    inside.join().unwrap().fails(404, "DATABASE_NOT_FOUND");
    client.post("/databases", r#"{"name":"d"}"#).is(201);
    assert_eq!(client.get("/databases/d/tables").is(200), json!({"tables": []}));
    nothing_runs(&server);
}

#[test]
fn a_transaction_whose_statement_was_ended_is_rolled_back_and_says_so() {
    let server = Server::start(&["--query-timeout", "0.3"]);
    let mut client = server.with_table();
    let id = client.begin("");
    client.enter(&id);
    client.post("/databases/d/tables/t", r#"{"n":1}"#).is(201);
    let endless =
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r";
    client.query(endless).fails(400, "QUERY_TIMEOUT");
    assert_eq!(
        client.value("SELECT count(*) FROM t"),
        1,
        "what could be stopped undoes only itself"
    );
    let response = client.query(INSTR);
    response.fails(400, "QUERY_TIMEOUT");
    assert_eq!(response.is(400)["details"]["transaction"], "rolled back");
    client.query("SELECT 1").fails(404, "TRANSACTION_NOT_FOUND");
    client.headers.clear();
    client.post("/databases/d/tables/t", r#"{"n":2}"#).is(201);
    assert_eq!(client.value("SELECT group_concat(n) FROM t"), "2");
}

#[test]
fn a_statement_ends_with_the_server() {
    let mut server = Server::start(&[]);
    server.with_table();
    let _client = start_query(&server, INSTR);
    until_it_runs(&server);
    let worker: Vec<_> = server.workers().into_iter().map(|(id, _)| id).collect();
    assert!(!worker.is_empty());
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    let lives = |id: &u32| {
        std::fs::read_to_string(format!("/proc/{id}/stat"))
            .is_ok_and(|stat| !stat.rsplit_once(") ").unwrap().1.starts_with('Z'))
    };
    wait_until("its workers are gone", || !worker.iter().any(lives));
}
