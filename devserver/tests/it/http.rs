use crate::support::{Client, Server, wait_until};
use std::io::{Read, Write};
use std::net::Shutdown;

#[test]
fn a_token_is_asked_for() {
    let server = Server::start(&["--token", "s3cret"]);
    let mut client = server.connect();
    assert_eq!(client.get("/health").is(200)["status"], "healthy");
    for wrong in [
        "",
        "Authorization: Bearer",
        "Authorization: Bearer s3cre",
        "Authorization: Bearer s3cret2",
        "Authorization: Basic s3cret",
        "Authorization: s3cret",
    ] {
        client.headers = Vec::from_iter((!wrong.is_empty()).then(|| wrong.to_owned()));
        for path in ["/databases", "/stats", "/metrics", "/", "/api/v1/databases", "/none"] {
            let response = client.get(path);
            response.fails(401, "UNAUTHORIZED");
            assert!(response.header("www-authenticate").unwrap().starts_with("bearer"));
            assert!(!response.body.contains("s3cret"));
        }
        client.post("/databases", r#"{"name":"d"}"#).fails(401, "UNAUTHORIZED");
        client.post("/health", "{}").fails(401, "UNAUTHORIZED");
    }
    client.headers = vec!["authorization: bearer s3cret".into()];
    client.get("/databases").is(200);
    drop(client);
    let stats = Client::over(server.socket()).get("/health");
    assert_eq!(stats.status, 200);
}

#[test]
fn every_mistake_gets_a_json_response_and_the_connection_lives_on() {
    let server = Server::start(&["--max-body-bytes", "1000"]);
    let mut client = server.connect();
    client.get("/none").fails(404, "ROUTE_NOT_FOUND");
    client.get("/databases/x/tables/y/z").fails(404, "ROUTE_NOT_FOUND");
    client.put("/databases", "{}").fails(405, "METHOD_NOT_ALLOWED");
    client.send("PATCH", "/databases/x/tables/y", Some("{}")).fails(405, "METHOD_NOT_ALLOWED");
    client.delete("/health").fails(405, "METHOD_NOT_ALLOWED");
    for body in ["{", "", "[]", "null", "\"x\"", "{\"name\":}", "\u{0}"] {
        client.post("/databases", body).fails(400, "BAD_REQUEST");
    }
    client.post("/databases", &"[".repeat(900)).fails(400, "BAD_REQUEST");
    client
        .write(b"POST /databases HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}")
        .unwrap();
    let message = client.read().unwrap().fails(400, "BAD_REQUEST");
    assert!(message.contains("application/json"), "{message}");
    client
        .write(b"POST /databases HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 13\r\n\r\n{\"name\": \"\xff\"}")
        .unwrap();
    client.read().unwrap().fails(400, "BAD_REQUEST");
    client.post("/databases", &"x".repeat(1001)).fails(413, "PAYLOAD_TOO_LARGE");
    client.post("/databases", &"x".repeat(1_000_000)).fails(413, "PAYLOAD_TOO_LARGE");
    client
        .write(b"POST /databases HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        .unwrap();
    for _ in 0..11 {
        client.write(format!("64\r\n{}\r\n", "y".repeat(100)).as_bytes()).unwrap();
    }
    client.write(b"0\r\n\r\n").unwrap();
    client.read().unwrap().fails(413, "PAYLOAD_TOO_LARGE");
    client
        .write(
            b"HEAD /health HTTP/1.1
Host: localhost

GET /health HTTP/1.1
Host: localhost

",
        )
        .unwrap();
    assert!(client.read_head().unwrap().starts_with("http/1.1 200"));
    client.read().unwrap().is(200);
    assert_eq!(server.stat("connections_accepted"), 2);
}

#[test]
fn a_body_beyond_all_measure_is_not_read_to_its_end() {
    let server = Server::start(&["--max-body-bytes", "1000"]);
    let mut client = server.connect();
    client
        .write(b"POST /databases HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 10000000000\r\n\r\n")
        .unwrap();
    client.read().unwrap().fails(413, "PAYLOAD_TOO_LARGE");
    assert!(client.is_closed());
}

#[test]
fn a_slow_client_is_cut() {
    let server = Server::start(&["--client-timeout", "0.2"]);
    let mut head = server.connect();
    head.write(b"GET /health HTTP/1.1\r\nHost:").unwrap();
    let mut body = server.connect();
    body.write(b"POST /databases HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{")
        .unwrap();
    assert!(head.is_closed());
    let response = body.read().unwrap();
    response.fails(408, "REQUEST_TIMEOUT");
    assert_eq!(response.header("connection"), Some("close"));
    assert!(body.is_closed());
    wait_until("only the asking connection is open", || server.stat("connections_open") == 1);
}

#[test]
fn a_client_that_does_not_read_is_cut() {
    let server = Server::start(&["--client-timeout", "0.3"]);
    server.with_table();
    let mut deaf = server.socket();
    let body = r#"{"query":"SELECT hex(zeroblob(15000000))"}"#;
    write!(
        deaf,
        "POST /databases/d/query HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    wait_until("it has begun", || server.stat("connections_accepted") > 2);
    wait_until("it is cut", || server.stat("connections_open") == 1);
}

#[test]
fn an_idle_connection_is_closed_as_announced() {
    let server = Server::start(&["--keep-alive-timeout", "1"]);
    let mut client = server.connect();
    let response = client.get("/health");
    assert_eq!(response.header("keep-alive"), Some("timeout=1"));
    assert_eq!(response.header("connection"), Some("keep-alive"));
    let responded = std::time::Instant::now();
    let mut silent = server.connect();
    assert!(client.is_closed() && silent.is_closed());
    assert!(responded.elapsed().as_secs_f64() > 0.9);
    let mut last = server.connect();
    last.headers = vec!["Connection: close".into()];
    assert_eq!(last.get("/health").header("keep-alive"), None);
    assert!(last.is_closed());
}

#[test]
fn connections_are_counted_from_accept_to_close() {
    let server = Server::start(&[]);
    let mut clients: Vec<_> = (0..10).map(|_| server.connect()).collect();
    let mut observer = server.connect();
    let mut open = |expected: u64| {
        wait_until("the count is right", || {
            observer.get("/stats").is(200)["connections_open"] == expected
        });
    };
    open(11);
    clients.truncate(4);
    open(5);
    let half_closed = server.socket();
    open(6);
    half_closed.shutdown(Shutdown::Write).unwrap();
    open(5);
    let mut garbage = server.socket();
    garbage.write_all(b"\x16\x03\x01 no HTTP at all\r\n\r\n").unwrap();
    let mut response = Vec::new();
    garbage.read_to_end(&mut response).unwrap();
    open(5);
    clients.clear();
    open(1);
    let stats = observer.get("/stats").is(200);
    assert_eq!(stats["connections_peak"], 11);
    assert_eq!(stats["connections_accepted"], 13);
}

#[test]
fn pipelined_requests_get_their_responses_in_order() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let one = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let two = "GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n";
    client.write(format!("{one}{two}{one}").as_bytes()).unwrap();
    let statuses = [(); 3].map(|()| client.read().unwrap().status);
    assert_eq!(statuses, [200, 404, 200]);
}
