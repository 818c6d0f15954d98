//! What a connection puts on the wire, byte for byte, and what it makes of good responses.

mod support;

use std::sync::mpsc;

use phantomdb::internal::{Request, Table};
use phantomdb::{Code, Secret};
use support::fake_server::{
    FakeServer, Peer, assert_nobody_waits, is_done_with, ok, response, soon,
};
use support::hostile::{self, Hostile};

/// The request line, the headers that matter in order, and the body.
fn essence(request: &str) -> String {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let mut text = lines.next().unwrap().to_owned();
    let mut headers: Vec<String> = lines
        .filter(|line| {
            let name = line.split(':').next().unwrap().to_ascii_lowercase();
            !matches!(name.as_str(), "host" | "accept" | "accept-encoding" | "user-agent")
        })
        .map(|line| line.to_ascii_lowercase())
        .collect();
    headers.sort();
    for header in headers {
        text.push_str(&format!("|{header}"));
    }
    format!("{text}|{body}")
}

#[test]
fn every_operation_is_sent_as_the_protocol_says() {
    const JSON: &str = "|content-type: application/json";
    let own = |text: &str| text.to_owned();
    let with_body = |line: &str, body: &str| {
        format!("{line} HTTP/1.1|content-length: {}{JSON}|{body}", body.len())
    };
    let cases = [
        (Request::health_check(), own("GET /health HTTP/1.1|"), "{\"status\":\"healthy\"}"),
        (Request::list_databases(), own("GET /databases HTTP/1.1|"), "{\"databases\":[]}"),
        (
            Request::create_database("shop").unwrap(),
            with_body("POST /databases", "{\"name\":\"shop\"}"),
            "{}",
        ),
        (Request::drop_database("shop").unwrap(), own("DELETE /databases/shop HTTP/1.1|"), "{}"),
        (
            Request::list_tables("a/b ü").unwrap(),
            own("GET /databases/a%2Fb%20%C3%BC/tables HTTP/1.1|"),
            "{\"tables\":[]}",
        ),
        (
            Request::create_table("shop", "t", "[{\"name\":\"c\",\"type\":\"int\"}]").unwrap(),
            with_body(
                "POST /databases/shop/tables",
                "{\"name\":\"t\",\"columns\":[{\"name\":\"c\",\"type\":\"int\"}]}",
            ),
            "{}",
        ),
        (
            Request::drop_table("shop", "a?b#c%").unwrap(),
            own("DELETE /databases/shop/tables/a%3Fb%23c%25 HTTP/1.1|"),
            "{}",
        ),
        (
            Request::insert("shop", "t", "{\"c\":1}").unwrap(),
            with_body("POST /databases/shop/tables/t", "{\"c\":1}"),
            "{}",
        ),
        (
            Request::select("shop", "t", None).unwrap(),
            own("GET /databases/shop/tables/t HTTP/1.1|"),
            "{\"records\":[]}",
        ),
        (
            Request::select("shop", "t", Some("c = 'a&b#c'")).unwrap(),
            own("GET /databases/shop/tables/t?condition=c%20%3D%20%27a%26b%23c%27 HTTP/1.1|"),
            "{\"records\":[]}",
        ),
        (
            Request::update("shop", "t", "{\"c\":2}", Some("c=1")).unwrap(),
            with_body("PUT /databases/shop/tables/t", "{\"data\":{\"c\":2},\"condition\":\"c=1\"}"),
            "{\"count\":1}",
        ),
        (
            Request::delete("shop", "t", "1=1").unwrap(),
            own("DELETE /databases/shop/tables/t?condition=1%3D1 HTTP/1.1|"),
            "{\"count\":1}",
        ),
        (
            Request::execute_query("shop", "SELECT ?", Some("[1]")).unwrap(),
            with_body("POST /databases/shop/query", "{\"query\":\"SELECT ?\",\"parameters\":[1]}"),
            "{\"columns\":[],\"rows\":[]}",
        ),
        (
            Request::raw("PATCH", "/api/v1/x?y=%20", Some(b"[1]")).unwrap(),
            with_body("PATCH /api/v1/x?y=%20", "[1]"),
            "{}",
        ),
        (
            Request::raw("DELETE", "/databases/shop/tables/t", None).unwrap(),
            own("DELETE /databases/shop/tables/t HTTP/1.1|"),
            "{}",
        ),
        (
            Request::raw("POST", "/x", None).unwrap(),
            own("POST /x HTTP/1.1|content-length: 0|"),
            "{}",
        ),
    ];
    let responses: Vec<String> = cases.iter().map(|(_, _, body)| ok(body)).collect();
    let responses: Vec<&str> = responses.iter().map(String::as_str).collect();
    let (server, seen) = FakeServer::responding(&responses);
    let mut client = server.client();
    for (request, _, _) in &cases {
        client.request(request, soon()).unwrap();
    }
    drop(client);
    server.join();
    for (request, (_, expected, _)) in seen.lock().unwrap().iter().zip(&cases) {
        assert_eq!(&essence(request), expected);
    }
}

#[test]
fn the_headers_name_host_and_agent_and_nothing_odd() {
    let (server, seen) = FakeServer::responding(&[&ok("{}")]);
    let mut client = server.client();
    client.request(&Request::health_check(), soon()).unwrap();
    drop(client);
    let host = server.address();
    server.join();
    let request = seen.lock().unwrap()[0].to_ascii_lowercase();
    let mut headers: Vec<&str> = request.lines().skip(1).filter(|line| !line.is_empty()).collect();
    headers.sort_unstable();
    let agent = concat!("user-agent: libphantomdb/", env!("CARGO_PKG_VERSION"));
    let host = format!("host: {host}");
    assert_eq!(headers, ["accept-encoding: identity", "accept: */*", &host, agent]);
}

#[test]
fn a_prefix_goes_before_every_route() {
    let (server, seen) = FakeServer::responding(&[&ok("{}"), &ok("{\"databases\":[\"a\"]}")]);
    let mut client = server.client_with(|options| options.base_url.push_str("/db/v2//"));
    client.ping(soon()).unwrap();
    client.request(&Request::list_databases(), soon()).unwrap();
    drop(client);
    server.join();
    let seen = seen.lock().unwrap();
    assert!(seen[0].starts_with("GET /db/v2/health HTTP/1.1\r\n"));
    assert!(seen[1].starts_with("GET /db/v2/databases HTTP/1.1\r\n"));
}

#[test]
fn the_token_is_sent_and_a_new_one_from_the_next_request_on() {
    let (server, seen) = FakeServer::responding(&[&ok("{}"), &ok("{}"), &ok("{}")]);
    let options = phantomdb::Options {
        base_url: server.url(),
        token: Some(Secret::new("first")),
        ..phantomdb::Options::default()
    };
    let endpoint = std::sync::Arc::new(phantomdb::internal::Endpoint::new(&options).unwrap());
    let limiter = std::sync::Arc::new(support::fake_server::NoLimit::default());
    let mut client = phantomdb::internal::Connection::new(endpoint.clone(), limiter);
    client.ping(soon()).unwrap();
    endpoint.set_token(Some(Secret::new("second"))).unwrap();
    client.ping(soon()).unwrap();
    endpoint.set_token(None).unwrap();
    client.ping(soon()).unwrap();
    drop(client);
    server.join();
    let seen = seen.lock().unwrap();
    assert!(seen[0].to_ascii_lowercase().contains("\r\nauthorization: bearer first\r\n"));
    assert!(seen[1].to_ascii_lowercase().contains("\r\nauthorization: bearer second\r\n"));
    assert!(!seen[2].to_ascii_lowercase().contains("authorization"));
}

#[test]
fn long_conditions_and_large_bodies_arrive_whole() {
    let condition = format!("name = '{}'", "x".repeat(40_000));
    let row = format!("{{\"blob\":\"{}\"}}", "y".repeat(3_000_000));
    let sent = row.clone();
    let server = FakeServer::start(move |listener| {
        let mut peer = Peer::accept(listener);
        let select = peer.serve("{\"records\":[]}");
        assert!(select.contains(&"x".repeat(40_000)));
        let insert = peer.serve("{}");
        assert!(insert.ends_with(&sent));
        let small = peer.serve("{}");
        assert!(small.ends_with("{\"a\":1}"));
    });
    let mut client = server.client();
    client.request(&Request::select("d", "t", Some(&condition)).unwrap(), soon()).unwrap();
    client.request(&Request::insert("d", "t", &row).unwrap(), soon()).unwrap();
    client.request(&Request::insert("d", "t", "{\"a\":1}").unwrap(), soon()).unwrap();
    server.join();
}

#[test]
fn lists_tables_and_counts_are_read_in_both_dialects() {
    let (server, _) = FakeServer::responding(&[
        &ok("{\"databases\":[\"a\",\"b\"]}"),
        &ok("{\"databases\":[{\"name\":\"a\"},{\"name\":\"b\"}]}"),
        &ok("{\"records\":[{\"id\":1},{\"id\":2,\"x\":\"y\"}]}"),
        &ok("{\"rows\":[{\"id\":1},{\"id\":2,\"x\":\"y\"}],\"count\":2}"),
        &ok("{\"columns\":[\"id\",\"x\"],\"rows\":[[1,null],[2,\"y\"]],\"affectedRows\":0}"),
        &ok("{\"results\":[{\"id\":1},{\"id\":2,\"x\":\"y\"}],\"affected_rows\":0}"),
        &response("201 Created", "{\"message\":\"ok\",\"count\":3}"),
    ]);
    let mut client = server.client();
    for _ in 0..2 {
        let response = client.request(&Request::list_databases(), soon()).unwrap();
        assert_eq!(response.text().unwrap(), "[\"a\",\"b\"]");
        assert_eq!(response.names().unwrap().iter().collect::<Vec<_>>(), ["a", "b"]);
    }
    let check = |table: &Table| {
        assert_eq!((table.row_count(), table.column_count()), (2, 2));
        assert_eq!(table.cell(1, 0).unwrap().int64().unwrap(), 2);
        assert!(table.cell(0, 1).unwrap().is_null());
        assert_eq!(table.cell(1, 1).unwrap().text(), "y");
    };
    for _ in 0..2 {
        let response = client.request(&Request::select("d", "t", None).unwrap(), soon()).unwrap();
        check(response.table().unwrap());
    }
    for _ in 0..2 {
        let query = Request::execute_query("d", "SELECT 1", None).unwrap();
        let response = client.request(&query, soon()).unwrap();
        check(response.table().unwrap());
        assert_eq!(response.row_count(), Ok(Some(2)));
    }
    let delete = Request::delete("d", "t", "1=1").unwrap();
    let response = client.request(&delete, soon()).unwrap();
    assert_eq!((response.status(), response.affected_rows()), (201, Some(3)));
    drop(client);
    server.join();
}

#[test]
fn chunked_empty_and_one_byte_at_a_time_responses_are_read() {
    let server = FakeServer::start(|listener| {
        let mut peer = Peer::accept(listener);
        peer.request();
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{\"a\r\n4;x=y\r\n\":1}\r\n0\r\n\r\n");
        peer.request();
        peer.send(b"HTTP/1.1 204 No Content\r\n\r\n");
        peer.request();
        peer.send(b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n");
        peer.request();
        peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n");
        for byte in ok("{\"b\":2}").as_bytes() {
            peer.send(&[*byte]);
        }
        peer.expect_end();
    });
    let mut client = server.client();
    let mut ask =
        || client.request(&Request::health_check(), soon()).unwrap().text().unwrap().to_owned();
    assert_eq!(ask(), "{\"a\":1}");
    assert_eq!(ask(), "{}");
    assert_eq!(ask(), "{}");
    assert_eq!(ask(), "{\"b\":2}");
    drop(client);
    server.join();
}

#[test]
fn a_transaction_marks_its_requests_and_ends_with_commit_or_rollback() {
    let (server, seen) = FakeServer::responding(&[
        &response("201 Created", "{\"transaction_id\":\"t/1\"}"),
        &ok("{}"),
        &ok("{}"),
        &ok("{}"),
        &ok("{}"),
        &response("201 Created", "{\"transaction_id\":\"t2\"}"),
        &response("404 OK", "{\"error\":\"unknown\"}"),
        &response("201 Created", "{\"transaction_id\":\"t3\"}"),
        &response("404 OK", "{\"error\":\"unknown\"}"),
        &response("201 Created", "{\"transaction_id\":\"t4\"}"),
        &response("500 No", "{\"error\":\"busy\"}"),
        &ok("{}"),
    ]);
    let mut client = server.client();
    let begin = Request::begin_transaction(Some("shop")).unwrap();
    let commit = Request::commit_transaction(None).unwrap();
    let misuse = |result: phantomdb::Result<_>| {
        let error: phantomdb::Error =
            result.map(|_: phantomdb::internal::Response| ()).unwrap_err();
        assert_eq!(error.code(), Code::InvalidState, "{error}");
    };
    misuse(client.request(&commit, soon()));

    client.request(&begin, soon()).unwrap();
    assert_eq!(client.transaction(), Some("t/1"));
    assert!(!client.is_reusable());
    misuse(client.request(&begin, soon()));
    misuse(client.request(&Request::commit_transaction(Some("other")).unwrap(), soon()));
    client.request(&Request::insert("d", "t", "{}").unwrap(), soon()).unwrap();
    client.request(&Request::raw("GET", "/x", None).unwrap(), soon()).unwrap();
    client.request(&Request::commit_transaction(Some("t/1")).unwrap(), soon()).unwrap();
    assert!(client.transaction().is_none() && client.is_reusable());
    client.ping(soon()).unwrap();

    client.request(&begin, soon()).unwrap();
    client.rollback(soon()).expect("a transaction that the server forgot is rolled back");
    assert!(client.transaction().is_none());
    client.rollback(soon()).expect("nothing is open, nothing is sent");

    client.request(&begin, soon()).unwrap();
    assert_eq!(client.request(&commit, soon()).unwrap_err().http_status(), Some(404));
    assert!(client.transaction().is_none());

    client.request(&begin, soon()).unwrap();
    assert_eq!(client.request(&commit, soon()).unwrap_err().http_status(), Some(500));
    assert_eq!(client.transaction(), Some("t4"), "the server may still have it");
    client.rollback(soon()).unwrap();
    drop(client);
    server.join();

    let seen = seen.lock().unwrap();
    let lines: Vec<String> = seen.iter().map(|request| essence(request)).collect();
    let marked = "x-phantomdb-transaction: t/1";
    assert!(lines[0].starts_with("POST /transactions HTTP/1.1|content-length: 19|"));
    assert!(!lines[0].contains("x-phantomdb") && lines[0].ends_with("|{\"database\":\"shop\"}"));
    assert!(lines[1].contains(marked) && lines[2].contains(marked));
    let end = "POST /transactions/t%2F1/commit HTTP/1.1|content-length: 0|";
    assert_eq!(lines[3], format!("{end}{marked}|"));
    assert!(!lines[4].contains("x-phantomdb"));
    assert!(lines[6].starts_with("POST /transactions/t2/rollback"));
    assert!(lines[11].starts_with("POST /transactions/t4/rollback"));
}

#[test]
fn a_commit_of_unknown_outcome_says_so_and_ends_the_transaction() {
    let (done, is_done) = mpsc::channel();
    let server = FakeServer::start(move |listener| {
        let mut peer = Peer::accept(listener);
        peer.serve("{\"transaction_id\":\"t\"}");
        peer.request();
        drop(peer);
        is_done.recv().unwrap();
        assert_nobody_waits(listener);
    });
    let mut client = server.client();
    client.request(&Request::begin_transaction(None).unwrap(), soon()).unwrap();
    let error = client.request(&Request::commit_transaction(None).unwrap(), soon()).unwrap_err();
    done.send(()).unwrap();
    assert_eq!(error.code(), Code::ConnectionLost);
    assert!(error.message().ends_with("it is not known whether the request took effect"));
    assert!(!error.is_retriable());
    assert_eq!(client.transaction(), None);
    server.join();
}

#[test]
fn a_begin_without_a_usable_id_is_a_protocol_error() {
    for body in ["{}", "{\"transaction_id\":null}", "{\"transaction_id\":\"a\\r\\nb\"}"] {
        let (server, _) = FakeServer::responding(&[&ok(body)]);
        let mut client = server.client();
        let begin = Request::begin_transaction(None).unwrap();
        let error = client.request(&begin, soon()).unwrap_err();
        assert_eq!(error.code(), Code::Protocol, "{error}");
        assert!(error.message().contains("transaction_id"));
        assert_eq!(client.transaction(), None);
        drop(client);
        server.join();
    }
}

#[test]
fn head_and_body_leave_in_one_piece() {
    let server = FakeServer::start(|listener| {
        let mut peer = Peer::accept(listener);
        for _ in 0..50 {
            let mut buffer = [0; 4096];
            let count = std::io::Read::read(&mut peer.0, &mut buffer).unwrap();
            assert!(buffer[..count].ends_with(b"\r\n\r\n{\"a\":1}"), "only a part came");
            peer.send(ok("{}").as_bytes());
        }
    });
    let mut client = server.client();
    let insert = Request::insert("d", "t", "{\"a\":1}").unwrap();
    for _ in 0..50 {
        client.request(&insert, soon()).unwrap();
    }
    server.join();
}

const UNKNOWN: &str = "it is not known whether the request took effect";

/// What a client makes of a response that comes over a connection which served another one; and
/// whether the connection serves a third.
fn played(hostile: &Hostile, request: &Request) -> (phantomdb::Result<String>, bool) {
    let (bytes, closes) = (hostile.bytes.clone(), hostile.closes);
    let server = FakeServer::start(move |listener| {
        let mut peer = Peer::accept(listener);
        peer.serve("{}");
        peer.request();
        // The client may hang up before it has all.
        let _ = std::io::Write::write_all(&mut peer.0, &bytes);
        if closes {
            return;
        }
        let mut request = [0; 1];
        match std::io::Read::read(&mut peer.0, &mut request) {
            Ok(1) => peer.serve("{}"),
            _ => return,
        };
    });
    let mut client = server.client();
    client.ping(soon()).unwrap();
    let outcome =
        client.request(request, soon()).and_then(|response| response.text().map(str::to_owned));
    let is_reusable = !is_done_with(&client);
    if is_reusable {
        client.ping(soon()).unwrap_or_else(|error| panic!("{}: {error}", hostile.name));
    }
    drop(client);
    server.join();
    (outcome, is_reusable)
}

#[test]
fn rule_13_every_hostile_response_is_refused_or_its_connection_is_not_used_again() {
    let table = hostile::responses();
    assert!(table.len() >= 80);
    for hostile in &table {
        let name = &hostile.name;
        let (outcome, is_reusable) = played(hostile, &Request::list_databases());
        match outcome {
            Ok(text) => {
                let expected = hostile.value.as_ref().map(ToString::to_string);
                assert_eq!(Some(text), expected, "{name}");
            }
            Err(error) => {
                assert_eq!(Some(error.code().name()), hostile.code.as_deref(), "{name}: {error}");
                let status = error.http_status();
                assert!(hostile.status.is_none() || status == hostile.status, "{name}: {error}");
                let message = error.message();
                for part in &hostile.contains {
                    assert!(message.contains(part), "{name}: {part:?} is not in: {error}");
                }
                for part in &hostile.lacks {
                    assert!(!message.contains(part), "{name}: {part:?} is in: {error:?}");
                }
            }
        }
        assert_eq!(is_reusable, hostile.is_reusable, "{name}: is the connection used again?");
    }
}

#[test]
fn rule_15_no_hostile_response_to_a_write_invites_to_repeat_it() {
    let insert = Request::insert("d", "t", "{}").unwrap();
    for hostile in hostile::responses() {
        let Err(error) = played(&hostile, &insert).0 else { continue };
        assert!(!error.is_retriable(), "{}: {error}", hostile.name);
        // A status below 500 says what became of the request, and so does one that is too large.
        let is_known = error.http_status().is_some_and(|status| status < 500)
            || error.code() == Code::TooLarge;
        assert_eq!(!is_known, error.message().ends_with(UNKNOWN), "{}: {error}", hostile.name);
    }
}
