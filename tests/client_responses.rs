//! Responses that are errors, or no responses: each gets its code and a message to act on, none
//! hangs, and the connection works afterwards.

mod support;

use std::io::{Read, Write};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use phantomdb::internal::{Connection, Request};
use phantomdb::{Code, Error, Secret};
use support::fake_server::{
    FakeServer, Peer, WAIT_LIMIT, client, is_done_with, ok, response, soon,
};

/// What a client says to these bytes, after which the server hangs up; and that the client then
/// works again.
fn error_of(bytes: &[u8]) -> Error {
    error_with(bytes, |_| {})
}

fn error_with(bytes: &[u8], change: impl FnOnce(&mut phantomdb::Options)) -> Error {
    let bytes = bytes.to_vec();
    let server = FakeServer::start(move |listener| {
        let mut peer = Peer::accept(listener);
        peer.request();
        // The client may hang up before it has all.
        let _ = peer.0.write_all(&bytes);
        drop(peer);
        Peer::accept(listener).serve("{\"databases\":[\"works\"]}");
    });
    let mut client = server.client_with(change);
    let error = client.request(&Request::list_databases(), soon()).unwrap_err();
    assert!(!error.message().contains('\r') && !error.message().contains('\n'), "{error}");
    assert!(error.message().chars().count() < 700, "{error}");
    // Now, because after the error it may wait for the server to close its side.
    let response = client.request(&Request::list_databases(), soon()).unwrap();
    assert!(client.is_reusable());
    assert_eq!(response.text().unwrap(), "[\"works\"]");
    server.join();
    error
}

#[test]
fn statuses_and_their_bodies_become_clear_messages() {
    let html = "<html><head><title>502 Bad Gateway</title><style>x{}</style></head>\r\n<body>nginx";
    for (status, body, code, retriable, ending) in [
        (
            "409 Conflict",
            "{\"code\":\"EXISTS\",\"message\":\"database `a` exists\",\"details\":{\"name\":\"a\"}}",
            Code::Http,
            false,
            "409 Conflict: database `a` exists (code EXISTS); details: {\"name\":\"a\"}",
        ),
        (
            "404 OK",
            "{\"error\":\"no such table\"}",
            Code::Http,
            false,
            "404 Not Found: no such table",
        ),
        (
            "400 Bad",
            "{\"error\":{\"message\":\"syntax\"}}",
            Code::Http,
            false,
            "400 Bad Request: syntax",
        ),
        ("500 Oops", "", Code::Http, false, "500 Internal Server Error"),
        ("502 x", html, Code::Http, true, "502 Bad Gateway: 502 Bad Gateway nginx"),
        (
            "503 x",
            "plain\r\n\x1b[2Jtext",
            Code::Http,
            true,
            "503 Service Unavailable: plain \u{fffd}[2Jtext",
        ),
        ("504 x", "", Code::Http, true, "504 Gateway Timeout"),
        ("429 x", "{}", Code::Http, true, "429 Too Many Requests: {}"),
        (
            "401 x",
            "{\"error\":\"who?\"}",
            Code::Unauthorized,
            false,
            "401 Unauthorized: who?; no token was sent: set the option `token`",
        ),
        (
            "403 x",
            "",
            Code::Unauthorized,
            false,
            "403 Forbidden; no token was sent: set the option `token`",
        ),
    ] {
        let error = error_of(response(status, body).as_bytes());
        assert_eq!(error.code(), code, "{error}");
        assert_eq!(error.is_retriable(), retriable, "{error}");
        assert_eq!(error.http_status(), status[..3].parse().ok());
        let start = "GET /databases on http://127.0.0.1:";
        assert!(error.message().starts_with(start), "{error}");
        assert!(error.message().ends_with(&format!(": {ending}")), "{error}");
    }
}

#[test]
fn an_error_leaves_the_socket_in_use() {
    let (server, _) = FakeServer::responding(&[
        &response("404 OK", "{\"error\":\"no such table\"}"),
        "HTTP/1.1 500 x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        &response("503 x", &"x".repeat(64 * 1024)),
        &ok("{}"),
    ]);
    let mut client = server.client();
    let request = Request::health_check();
    assert_eq!(client.request(&request, soon()).unwrap_err().http_status(), Some(404));
    assert_eq!(client.request(&request, soon()).unwrap_err().http_status(), Some(500));
    assert_eq!(client.request(&request, soon()).unwrap_err().http_status(), Some(503));
    client.request(&request, soon()).unwrap();
    drop(client);
    server.join();
}

#[test]
fn retry_after_is_passed_on() {
    let error = error_of(b"HTTP/1.1 503 x\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    let error = error_of(
        b"HTTP/1.1 503 x\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\nContent-Length: 0\r\n\r\n",
    );
    assert_eq!(error.retry_after(), Some(Duration::ZERO), "that time has come");
}

#[test]
fn the_token_is_in_no_message_even_if_the_server_repeats_it() {
    let token = |options: &mut phantomdb::Options| options.token = Some(Secret::new("hush-hush"));
    let error =
        error_with(response("401 x", "{\"error\":\"bad token hush-hush\"}").as_bytes(), token);
    assert!(!error.message().contains("hush-hush"), "{error}");
    assert!(error.message().contains("bad token [token]; the token was not accepted"), "{error}");
    let error = error_with(response("403 x", "").as_bytes(), token);
    assert!(error.message().ends_with("the token does not allow this"), "{error}");
    let error = error_with(b"HTTP/1.1 200 OK\r\n\r\n<hush-hush>", token);
    assert!(!error.message().contains("hush-hush"), "{error}");
}

#[test]
fn redirects_are_not_followed_and_shown_without_credentials() {
    let error = error_of(
        b"HTTP/1.1 302 x\r\nLocation: https://user:hush@other/x?token=hush\r\nContent-Length: 0\r\n\r\n",
    );
    assert_eq!((error.code(), error.http_status()), (Code::Http, Some(302)));
    assert!(error.message().contains("redirects to https://other/x; set base_url"), "{error}");
    assert!(!error.message().contains("hush"), "{error}");
    let error = error_of(b"HTTP/1.1 304 x\r\n\r\n");
    assert_eq!(error.http_status(), Some(304));
}

#[test]
fn a_200_that_says_error_is_one() {
    let error = error_of(ok("{\"error\":\"disk full\"}").as_bytes());
    assert_eq!((error.code(), error.http_status()), (Code::Http, Some(200)));
    assert!(error.message().ends_with("200 OK, but with an error: disk full"), "{error}");
}

#[test]
fn garbage_is_a_protocol_error() {
    for (bytes, part) in [
        (&b"SSH-2.0-OpenSSH_9.2\r\n"[..], "SSH-2.0-OpenSSH_9.2"),
        (b"\x15\x03\x03\x00\x02\x02\x46\r\n", "should base_url begin with https://?"),
        (b"HTTP/1.1 abc OK\r\n\r\n", "not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nab", "not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}", "not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "not valid HTTP"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
            "compressed (gzip)",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<htm>", "not valid JSON"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "no array `databases`"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n\"\xff\"", "not UTF-8"),
    ] {
        let error = error_of(bytes);
        assert_eq!(error.code(), Code::Protocol, "{error}");
        assert!(error.message().contains(part), "{error}");
        assert!(!error.is_retriable());
    }
}

#[test]
fn half_a_response_is_a_lost_connection() {
    for bytes in [
        &b"HTTP/1.1 200 OK\r\nContent-Le"[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"databases\":[\"a\"",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"da",
    ] {
        let error = error_of(bytes);
        assert_eq!(error.code(), Code::ConnectionLost, "{error}");
        assert!(error.message().contains("in the middle of its response"), "{error}");
        assert!(error.is_retriable(), "a GET can be sent again");
    }
    let error = error_of(b"");
    assert_eq!(error.code(), Code::ConnectionLost, "{error}");
    assert!(error.message().contains("closed the connection without a response"), "{error}");
}

#[test]
fn an_error_whose_body_breaks_off_is_still_that_error() {
    let error = error_of(b"HTTP/1.1 500 x\r\nContent-Length: 100\r\n\r\n{\"error\":\"hal");
    assert_eq!((error.code(), error.http_status()), (Code::Http, Some(500)));
    assert!(error.message().contains("hal"), "{error}");
}

#[test]
fn a_body_beyond_the_limit_is_refused_early() {
    let small = |options: &mut phantomdb::Options| options.max_response_bytes = 100;
    let announced = b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n";
    let error = error_with(announced, small);
    assert_eq!(error.code(), Code::TooLarge, "{error}");
    assert!(
        error.message().ends_with("10737418240 bytes, more than max_response_bytes (100)"),
        "{error}"
    );
    let error = error_of(announced);
    assert_eq!(error.code(), Code::TooLarge, "{error}");
    let chunked =
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n96\r\n{:0150}\r\n", 1);
    let error = error_with(chunked.as_bytes(), small);
    assert!(
        error.message().ends_with(": the response has more bytes than max_response_bytes (100)"),
        "{error}"
    );
    let exact = format!("{{\"databases\":[\"{}\"]}}", "x".repeat(100 - 18));
    assert_eq!(exact.len(), 100);
    let (server, _) = FakeServer::responding(&[&ok(&exact), &ok(&exact)]);
    let mut client = server.client_with(small);
    for _ in 0..2 {
        client.request(&Request::list_databases(), soon()).expect("exactly the limit is allowed");
    }
    drop(client);
    server.join();
}

/// Keeps sending `chunk` until the client hangs up; the client must do that soon.
fn flood(
    start: &'static [u8],
    chunk: Vec<u8>,
    change: impl FnOnce(&mut phantomdb::Options),
) -> Error {
    let (error, client, server) = flooded(start, chunk, change);
    server.join();
    assert!(is_done_with(&client));
    error
}

/// The same, before the server has found that the client left.
fn flooded(
    start: &'static [u8],
    chunk: Vec<u8>,
    change: impl FnOnce(&mut phantomdb::Options),
) -> (Error, Connection, FakeServer) {
    let server = FakeServer::start(move |listener| {
        let mut peer = Peer::accept(listener);
        peer.request();
        peer.send(start);
        while peer.0.write_all(&chunk).is_ok() {}
    });
    let mut client = server.client_with(change);
    let error = client.request(&Request::list_databases(), soon()).unwrap_err();
    (error, client, server)
}

#[test]
fn endless_responses_end_at_a_limit() {
    let error =
        flood(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", vec![b' '; 65_536], |options| {
            options.max_response_bytes = 1_000_000;
        });
    assert_eq!(error.code(), Code::TooLarge, "{error}");
    let chunk = format!("8000\r\n{}\r\n", " ".repeat(0x8000)).into_bytes();
    let error = flood(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", chunk, |options| {
        options.max_response_bytes = 1_000_000;
    });
    assert_eq!(error.code(), Code::TooLarge, "{error}");
    for (start, chunk) in [
        (&b"HTTP/1.1 200 OK\r\n"[..], b"X: y\r\n".repeat(1000)),
        (b"HTTP/1.1 200 OK\r\nX: ", vec![b'y'; 10_000]),
        (b"", b"HTTP/1.1 103 x\r\n\r\n".repeat(1000)),
        (b"", vec![b'x'; 10_000]),
    ] {
        let error = flood(start, chunk, |_| {});
        assert_eq!(error.code(), Code::Protocol, "{error}");
    }
    // What the server says of its error is cut, and the socket laid aside, to be closed later.
    let (error, client, server) = flooded(b"HTTP/1.1 500 x\r\n\r\n", vec![b'x'; 10_000], |_| {});
    assert_eq!((error.code(), error.http_status()), (Code::Http, Some(500)));
    assert!(is_done_with(&client));
    drop(client);
    server.join();
}

#[test]
fn a_flood_within_the_limit_ends_at_the_deadline() {
    let error = flood(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"1\r\n \r\n".repeat(1000),
        |options| options.request_timeout = Duration::from_millis(200),
    );
    assert_eq!(error.code(), Code::Timeout, "{error}");
}

#[test]
fn bytes_after_a_response_close_the_socket() {
    let server = FakeServer::start(|listener| {
        let mut peer = Peer::accept(listener);
        peer.request();
        peer.send(format!("{}HTTP/1.1 200 OK\r\n", ok("{}")).as_bytes());
        peer.expect_end();
        Peer::accept(listener).serve("{}");
    });
    let mut client = server.client();
    client.ping(soon()).unwrap();
    assert!(is_done_with(&client), "the next response would be the wrong one");
    client.ping(soon()).unwrap();
    server.join();
}

fn is_exact(took: Duration, limit: Duration) {
    assert!(took >= limit, "too early: {took:?}");
    // The contract is 10 ms on an idle machine; this one runs other tests too. Any other time-out is
    // at least two seconds away.
    assert!(took < limit + Duration::from_millis(500), "too late: {took:?}");
}

fn timed(client: &mut Connection, deadline: Duration) -> (Error, Duration) {
    let start = Instant::now();
    let error = client.request(&Request::list_databases(), start + deadline).unwrap_err();
    let took = start.elapsed();
    assert_eq!(error.code(), Code::Timeout, "{error}");
    assert!(error.message().starts_with("Timeout: "), "{error}");
    assert!(error.is_retriable(), "a GET can be sent again");
    assert!(is_done_with(client));
    (error, took)
}

#[test]
fn a_silent_server_is_left_at_every_kind_of_deadline() {
    let limit = Duration::from_millis(150);
    for starts in
        [&b""[..], b"HTTP/1.1 200 OK\r\nContent-", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"]
    {
        let server = FakeServer::start(move |listener| {
            for _ in 0..2 {
                let mut peer = Peer::accept(listener);
                peer.request();
                peer.send(starts);
                peer.expect_end();
            }
            Peer::accept(listener).serve("{}");
        });
        let mut client = server.client_with(|options| options.request_timeout = limit);
        let (error, took) = timed(&mut client, WAIT_LIMIT);
        is_exact(took, limit);
        let what = if starts.is_empty() { "no response" } else { "no complete response" };
        let ending = format!("{what} after 150 ms (request_timeout)");
        assert!(error.message().ends_with(&ending), "{error}");
        let short = Duration::from_millis(60);
        let (error, took) = timed(&mut client, short);
        is_exact(took, short);
        assert!(error.message().ends_with("ms (the caller's deadline)"), "{error}");
        client.ping(soon()).unwrap();
        server.join();
    }
}

#[test]
fn an_insert_that_times_out_is_not_said_to_be_repeatable() {
    let server = FakeServer::start(|listener| {
        let mut peer = Peer::accept(listener);
        peer.request();
        peer.expect_end();
    });
    let mut client = server.client_with(|o| o.request_timeout = Duration::from_millis(50));
    let insert = Request::insert("d", "t", "{}").unwrap();
    let error = client.request(&insert, soon()).unwrap_err();
    assert_eq!(error.code(), Code::Timeout);
    assert!(!error.is_retriable());
    assert!(
        error.message().ends_with("it is not known whether the request took effect"),
        "{error}"
    );
    server.join();
}

#[test]
fn a_server_that_stops_reading_is_left_at_the_deadline() {
    let (done, is_done) = mpsc::channel();
    let server = FakeServer::start(move |listener| {
        let _peer = Peer::accept(listener);
        is_done.recv().unwrap();
    });
    let limit = Duration::from_millis(200);
    let mut client = server.client_with(|options| options.request_timeout = limit);
    let row = format!("{{\"blob\":\"{}\"}}", "y".repeat(30_000_000));
    let insert = Request::insert("d", "t", &row).unwrap();
    let start = Instant::now();
    let error = client.request(&insert, soon()).unwrap_err();
    assert_eq!(error.code(), Code::Timeout, "{error}");
    is_exact(start.elapsed(), limit);
    assert!(is_done_with(&client));
    done.send(()).unwrap();
    server.join();
}

#[test]
fn a_refusal_before_the_whole_body_was_read_is_heard() {
    let server = FakeServer::start(|listener| {
        let peer = &mut Peer::accept(listener);
        let mut head = [0; 100];
        std::io::Read::read_exact(&mut peer.0, &mut head).unwrap();
        peer.send(response("413 x", "{\"error\":\"too large\"}").as_bytes());
        // Neither read nor closed until the client has understood.
        let mut rest = Vec::new();
        let _ = std::io::Read::read_to_end(&mut peer.0, &mut rest);
        assert!(rest.len() < 30_000_000, "the client sent it all");
        Peer::accept(listener).serve("{}");
    });
    let mut client = server.client();
    let row = format!("{{\"blob\":\"{}\"}}", "y".repeat(30_000_000));
    let error = client.request(&Request::insert("d", "t", &row).unwrap(), soon()).unwrap_err();
    assert_eq!(error.http_status(), Some(413), "{error}");
    assert!(is_done_with(&client), "half of the request is still unsent");
    client.ping(soon()).unwrap();
    server.join();
}

#[test]
fn nobody_listening_is_unavailable() {
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    for host in ["127.0.0.1", "localhost", "[::1]"] {
        let url = format!("http://{host}:{port}");
        let error = client(&url, |_| {}).ping(soon()).unwrap_err();
        assert_eq!(error.code(), Code::Unavailable, "{error}");
        assert!(error.is_retriable());
        assert!(error.message().starts_with(&format!("no connection to {url}: ")), "{error}");
        if host == "127.0.0.1" {
            assert!(error.message().ends_with("connection refused; is the server running there?"));
        }
    }
    let error = client("http://no-such-host.invalid", |_| {}).ping(soon()).unwrap_err();
    assert!(matches!(error.code(), Code::Unavailable | Code::Timeout), "{error}");
    assert!(error.message().contains("no-such-host.invalid"), "{error}");
}

const UNKNOWN: &str = "; it is not known whether the request took effect";

/// Every kind of request that changes something, and what comes before it on its connection.
fn writes() -> Vec<(Option<Request>, Request)> {
    let begin = || Some(Request::begin_transaction(None).unwrap());
    vec![
        (None, Request::insert("d", "t", "{}").unwrap()),
        (None, Request::update("d", "t", "{}", None).unwrap()),
        (None, Request::delete("d", "t", "1=1").unwrap()),
        (None, Request::execute_query("d", "UPDATE t SET a = 1", None).unwrap()),
        (None, Request::create_database("d").unwrap()),
        (None, Request::drop_database("d").unwrap()),
        (None, Request::create_table("d", "t", "[]").unwrap()),
        (None, Request::drop_table("d", "t").unwrap()),
        (None, Request::begin_transaction(None).unwrap()),
        (None, Request::raw("PATCH", "/x", Some(b"{}")).unwrap()),
        (begin(), Request::commit_transaction(None).unwrap()),
        (begin(), Request::rollback_transaction(None).unwrap()),
    ]
}

/// What a client says to this response to a write.
fn error_of_write(before: Option<&Request>, write: &Request, bytes: &[u8]) -> Error {
    let (bytes, begins) = (bytes.to_vec(), before.is_some());
    let server = FakeServer::start(move |listener| {
        let mut peer = Peer::accept(listener);
        if begins {
            peer.serve("{\"transaction_id\":\"t\"}");
        }
        peer.request();
        let _ = peer.0.write_all(&bytes);
    });
    let mut client = server.client();
    if let Some(before) = before {
        client.request(before, soon()).unwrap();
    }
    let error = client.request(write, soon()).unwrap_err();
    server.join();
    error
}

#[test]
fn rule_15_after_a_write_of_unknown_fate_retriable_is_false_and_the_text_says_so() {
    let refused = |status: &str| response(status, "{\"error\":\"why\"}").into_bytes();
    for (before, write) in writes() {
        let error = |bytes: &[u8]| error_of_write(before.as_ref(), &write, bytes);
        for bytes in [
            refused("500 x"),
            refused("502 x"),
            refused("503 x"),
            refused("504 x"),
            refused("507 x"),
            refused("520 x"),
            refused("599 x"),
            refused("408 x"),
            b"HTTP/1.1 503 x\r\nRetry-After: soon\r\nContent-Length: 0\r\n\r\n".to_vec(),
            b"HTTP/1.1 502 x\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n".to_vec(),
            b"HTTP/1.1 504 x\r\nContent-Length: 100\r\n\r\ncut".to_vec(),
            b"".to_vec(),
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".to_vec(),
            b"nonsense\r\n\r\n".to_vec(),
        ] {
            let error = error(&bytes);
            assert!(!error.is_retriable(), "{error}");
            assert!(error.message().ends_with(UNKNOWN), "{error}");
            assert_eq!(error.message().matches(UNKNOWN).count(), 1, "{error}");
        }
        for (bytes, after) in [
            (&b"HTTP/1.1 429 x\r\nContent-Length: 0\r\n\r\n"[..], None),
            (b"HTTP/1.1 429 x\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n", Some(2)),
            (b"HTTP/1.1 503 x\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n", Some(3)),
            (
                b"HTTP/1.1 503 x\r\nRetry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\n\
                  Content-Length: 0\r\n\r\n",
                Some(24 * 60 * 60),
            ),
        ] {
            let error = error(bytes);
            assert!(error.is_retriable(), "nothing was done: {error}");
            assert!(!error.message().contains(UNKNOWN), "{error}");
            assert_eq!(error.retry_after(), after.map(Duration::from_secs), "{error}");
        }
        for status in ["400 x", "401 x", "404 x", "409 x", "422 x", "501 x", "505 x", "302 x"] {
            let error = error(&refused(status));
            assert!(!error.is_retriable() && !error.message().contains(UNKNOWN), "{error}");
        }
    }
}

/// What a client makes of a 408 that comes over a kept connection, with a server that responds
/// whatever it is sent on another; and how many requests there were after the first.
fn given_up(second: &'static [u8], request: &Request) -> (phantomdb::Result<String>, usize) {
    let (done, is_done) = mpsc::channel();
    let server = FakeServer::start(move |listener| {
        let mut peer = Peer::accept(listener);
        peer.serve("{}");
        peer.request();
        peer.send(second);
        drop(peer);
        let repeated = listener.accept().is_ok_and(|(stream, _)| {
            let mut peer = Peer(stream);
            let mut first = [0];
            let is_request = peer.0.read(&mut first).is_ok_and(|count| count == 1);
            if is_request {
                peer.request();
                peer.send(ok("{\"again\":true}").as_bytes());
            }
            is_request
        });
        done.send(1 + usize::from(repeated)).unwrap();
    });
    let mut client = server.client();
    client.ping(soon()).unwrap();
    let outcome =
        client.request(request, soon()).and_then(|response| response.text().map(str::to_owned));
    if outcome.is_err() {
        // If it waits for a second try, it hears that there is none.
        drop(std::net::TcpStream::connect(server.address()).unwrap());
    }
    let requests = is_done.recv().unwrap();
    server.join();
    (outcome, requests)
}

#[test]
fn rule_15_a_408_that_crosses_a_request_is_not_its_response() {
    let closing = &b"HTTP/1.1 408 x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"[..];
    let bare = &b"HTTP/1.0 408 x\r\n\r\n<html>408</html>"[..];
    let staying = &b"HTTP/1.1 408 x\r\nContent-Length: 2\r\n\r\n{}"[..];
    let (get, insert) = (Request::health_check(), Request::insert("d", "t", "{}").unwrap());
    for second in [closing, bare, staying] {
        assert_eq!(given_up(second, &get), (Ok("{\"again\":true}".to_owned()), 2));
    }
    // The server says that it has no complete request, and wants no other.
    for second in [closing, bare] {
        assert_eq!(given_up(second, &insert), (Ok("{\"again\":true}".to_owned()), 2));
    }
    // It wants others, so it may have given up its own work on this one.
    let (outcome, requests) = given_up(staying, &insert);
    let error = outcome.unwrap_err();
    assert_eq!((error.http_status(), requests), (Some(408), 1), "{error}");
    assert!(!error.is_retriable() && error.message().ends_with(UNKNOWN), "{error}");
    // The first request of a connection had its time.
    let error = error_of(closing);
    assert_eq!(error.http_status(), Some(408));
    assert!(error.is_retriable(), "it is a GET");
}

/// A connection that was opened in advance is kept, as one that was used is, once it is open for a
/// while: what the server does to it has nothing to do with the request.
#[test]
fn rule_15_what_only_reads_is_sent_again_over_a_connection_opened_in_advance_too() {
    let closing = &b"HTTP/1.1 408 x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"[..];
    for last_words in [closing, b""] {
        let server = FakeServer::start(move |listener| {
            let mut peer = Peer::accept(listener);
            peer.request();
            peer.send(last_words);
            drop(peer);
            Peer::accept(listener).serve("{}");
        });
        let mut client = server.client();
        client.open(soon()).unwrap();
        // For so long it is new.
        std::thread::sleep(Duration::from_millis(1100));
        client.request(&Request::health_check(), soon()).unwrap();
        drop(client);
        server.join();
    }
}

#[test]
fn a_request_that_crosses_a_408_is_over_at_its_deadline() {
    let server = FakeServer::start(|listener| {
        let mut peer = Peer::accept(listener);
        peer.serve("{}");
        peer.request();
        peer.send(b"HTTP/1.1 408 x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        drop(peer);
        let mut silent = Peer::accept(listener);
        silent.request();
        silent.expect_end();
    });
    let mut client = server.client();
    client.ping(soon()).unwrap();
    let start = Instant::now();
    let limit = Duration::from_millis(150);
    let error = client.request(&Request::health_check(), start + limit).unwrap_err();
    assert_eq!(error.code(), Code::Timeout, "{error}");
    is_exact(start.elapsed(), limit);
    drop(client);
    server.join();
}

/// A token like those that servers sign: a header, a body, a signature.
const JWT: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6Ikpva\
                   G4gRG9lIn0.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c";

fn assert_hidden(token: &str, text: &str) {
    for part in token.as_bytes().windows(8) {
        let part = std::str::from_utf8(part).unwrap();
        assert!(!text.contains(part), "{part} is shown: {text}");
    }
}

#[test]
fn no_part_of_a_token_is_shown_wherever_an_excerpt_is_cut() {
    let jwt = |options: &mut phantomdb::Options| options.token = Some(Secret::new(JWT));
    let unicode: String = JWT.chars().map(|it| format!("\\u{:04x}", u32::from(it))).collect();
    let percent: String = JWT.chars().map(|it| format!("%{:02X}", u32::from(it))).collect();
    let mut bodies = Vec::new();
    for before in (0..=200).step_by(25) {
        let text = "x".repeat(before);
        bodies.push(("401 x", format!("{{\"error\":\"{text} {JWT}\"}}")));
        bodies.push(("500 x", format!("{text} {JWT}")));
        bodies.push(("200 OK", format!("{text} {JWT}")));
    }
    for shown in [JWT, &unicode, &percent, &JWT[..JWT.len() / 2], &JWT[40..]] {
        bodies.push((
            "400 x",
            format!("{{\"message\":\"no\",\"details\":{{\"got\":[\"{shown}\"]}}}}"),
        ));
        bodies.push(("400 x", format!("{{\"message\":\"no\",\"code\":\"{shown}\"}}")));
        bodies.push(("400 x", format!("{{\"message\":\"cut {shown}")));
        bodies.push(("502 x", format!("<html><p>{shown}</p>")));
        bodies.push(("200 OK", format!("{{\"error\":\"{shown}\"}}")));
        bodies.push(("200 OK", format!("{{\"{shown}\":1}}")));
    }
    for (status, body) in bodies {
        let error = error_with(response(status, &body).as_bytes(), jwt);
        assert_hidden(JWT, error.message());
        assert_hidden(JWT, &format!("{error:?}"));
        assert!(error.message().contains("[token]") || body.contains("xxxx"), "{error}");
    }
    for head in [
        format!("HTTP/1.1 302 x\r\nLocation: https://other/{JWT}\r\nContent-Length: 0\r\n\r\n"),
        format!("HTTP/1.1 302 x\r\nLocation: https://u:{JWT}@other/\r\nContent-Length: 0\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: {JWT}\r\nContent-Length: 0\r\n\r\n"),
        format!("nonsense {}{JWT}\r\n\r\n", "y".repeat(150)),
        format!("HTTP/1.1 200 OK\r\nX: {}{JWT}\r\nContent-Length: -1\r\n\r\n", "y".repeat(150)),
        format!("HTTP/1.1 401 x\r\nContent-Length: 1000\r\n\r\n{{\"error\":\"{}", &JWT[..100]),
    ] {
        assert_hidden(JWT, error_with(head.as_bytes(), jwt).message());
    }
}

#[test]
fn the_token_that_a_request_carried_is_hidden_after_a_rotation_too() {
    let (asked, is_asked) = mpsc::channel();
    let (rotated, is_rotated) = mpsc::channel();
    let server = FakeServer::start(move |listener| {
        let mut peer = Peer::accept(listener);
        for status in ["401 x", "200 OK"] {
            peer.request();
            asked.send(()).unwrap();
            is_rotated.recv().unwrap();
            let text = format!("{{\"error\":\"old {JWT}, new second-token-of-mine\"}}");
            peer.send(response(status, &text).as_bytes());
        }
    });
    let options = phantomdb::Options {
        base_url: server.url(),
        token: Some(Secret::new(JWT)),
        ..phantomdb::Options::default()
    };
    let endpoint = std::sync::Arc::new(phantomdb::internal::Endpoint::new(&options).unwrap());
    let limiter = std::sync::Arc::new(support::fake_server::NoLimit::default());
    let mut client = Connection::new(endpoint.clone(), limiter);
    for next in [Some("second-token-of-mine"), None] {
        std::thread::scope(|scope| {
            let failed =
                scope.spawn(|| client.request(&Request::list_databases(), soon()).unwrap_err());
            is_asked.recv().unwrap();
            endpoint.set_token(next.map(Secret::new)).unwrap();
            rotated.send(()).unwrap();
            let error = failed.join().unwrap();
            assert!(error.message().contains("old [token], new [token]"), "{error}");
        });
        let debug = format!("{client:?} {endpoint:?}");
        assert_hidden(JWT, &debug);
        assert_hidden("second-token-of-mine", &debug);
    }
    drop(client);
    server.join();
}

#[test]
fn debug_output_shows_no_data() {
    let (server, _) = FakeServer::responding(&[&ok("{\"value\":\"from the server\"}")]);
    let mut client = server.client();
    let insert = Request::insert("d", "t", "{\"value\":\"to the server\"}").unwrap();
    let response = client.request(&insert, soon()).unwrap();
    let debug = format!("{response:?} {insert:?} {client:?}");
    assert!(!debug.contains("the server"), "{debug}");
    let select = Request::select("d", "t", Some("name = 'me'")).unwrap();
    assert!(!format!("{select:?}").contains("name"));
    drop(client);
    server.join();
}
