//! Futures over real sockets, with the executor of the documentation's example.

#[path = "../examples/rust/asynchronous.rs"]
#[allow(dead_code)]
mod example;
mod support;

use std::future::Future;
use std::io::Write as _;
use std::net::TcpListener;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use example::block_on;
use phantomdb::{AsyncLease, AsyncPool, Code, Options, Request, Validation};
use support::fake_server::{FakeServer, Peer, WAIT_LIMIT, ok};

fn pool(server: &FakeServer, connections: u32) -> AsyncPool {
    AsyncPool::new(Options {
        base_url: server.url(),
        min_connections: 0,
        max_connections: connections,
        validation: Validation::None,
        request_timeout: WAIT_LIMIT,
        acquire_timeout: WAIT_LIMIT,
        ..Options::default()
    })
    .unwrap()
}

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn is_waiting<F: Future + Unpin>(future: &mut F) -> bool {
    poll(future).is_pending()
}

fn health() -> Request {
    Request::health_check()
}

fn silent() -> Request {
    Request::raw("GET", "/silence", None).unwrap()
}

#[test]
fn the_example_of_the_documentation_works() {
    let server = FakeServer::start(|listener| {
        let mut peer = Peer::accept(listener);
        let request = peer.serve(r#"{"databases":["shop","zones"]}"#);
        assert!(request.starts_with("GET /databases "), "{request}");
        peer.expect_end();
    });
    assert_eq!(block_on(example::databases(server.url())).unwrap(), ["shop", "zones"]);
    server.join();
}

#[test]
fn a_future_that_was_not_polled_has_done_nothing() {
    let server = FakeServer::start(|_| {});
    let pool = pool(&server, 1);
    drop((pool.acquire(), pool.request(health()), pool.close()));
    let stats = pool.pool().stats_json();
    assert!(stats.contains("\"cancelled\":0") && stats.contains("\"direct\":0"), "{stats}");
    let lease = block_on(pool.acquire()).unwrap();
    drop(lease.request(health()));
    drop(lease);
    block_on(pool.close()).unwrap();
    server.join();
}

#[test]
fn rule_07_a_future_that_is_dropped_while_it_waits_leaves_the_queue() {
    let server = FakeServer::start(|_| {});
    let pool = pool(&server, 1);
    let lease = block_on(pool.acquire()).unwrap();
    let (mut dropped, mut next) = (pool.acquire(), pool.acquire());
    assert!(is_waiting(&mut dropped) && is_waiting(&mut next));
    assert_eq!(pool.pool().status().pending, 2);
    drop(dropped);
    assert_eq!(pool.pool().status().pending, 1);
    drop(lease);
    assert!(matches!(poll(&mut next), Poll::Ready(Ok(_))), "the next one gets it");
    assert_eq!(pool.pool().status().used, 0);
    block_on(pool.close()).unwrap();
    server.join();
}

#[test]
fn rule_07_a_future_that_is_dropped_once_it_was_served_gives_its_connection_back() {
    let server = FakeServer::start(|_| {});
    let pool = pool(&server, 1);
    let lease = block_on(pool.acquire()).unwrap();
    let mut served = pool.acquire();
    assert!(is_waiting(&mut served));
    drop(lease);
    assert_eq!(pool.pool().status().used, 1, "it has the connection, though nobody polled it");
    drop(served);
    assert_eq!(pool.pool().status().used, 0);
    block_on(pool.close()).unwrap();
    server.join();
}

#[test]
fn rule_04_a_try_gives_a_lease_or_says_that_none_is_free() {
    let server = FakeServer::start(|listener| {
        let mut peer = Peer::accept(listener);
        peer.serve("{}");
        peer.expect_end();
    });
    let pool = pool(&server, 1);
    let lease = pool.try_acquire().unwrap();
    block_on(lease.request(health())).unwrap();
    assert_eq!(pool.try_acquire().unwrap_err().code(), Code::WouldBlock);
    assert_eq!(pool.pool().status().pending, 0, "it does not wait");
    drop(lease);
    block_on(pool.close()).unwrap();
    assert_eq!(pool.try_acquire().unwrap_err().code(), Code::Closed);
    server.join();
}

#[test]
fn rule_03_a_future_that_waits_in_vain_ends_at_its_time_out() {
    let server = FakeServer::start(|_| {});
    let pool = pool(&server, 1);
    let lease = block_on(pool.acquire()).unwrap();
    let error = block_on(pool.acquire_timeout(Duration::from_millis(50))).unwrap_err();
    assert_eq!(error.code(), Code::Timeout, "{error}");
    drop(lease);
    block_on(pool.close()).unwrap();
    server.join();
}

#[test]
fn rule_07_a_request_whose_future_is_dropped_is_cut() {
    let (sender, is_sent) = mpsc::channel();
    let server = FakeServer::start(move |listener| {
        let mut peer = Peer::accept(listener);
        peer.serve("{}");
        peer.request();
        sender.send(()).unwrap();
        peer.expect_end();
        let mut peer = Peer::accept(listener);
        peer.serve("{}");
        peer.expect_end();
    });
    let pool = pool(&server, 1);
    block_on(pool.request(health())).unwrap();
    let mut request = pool.request(silent());
    assert!(is_waiting(&mut request));
    is_sent.recv_timeout(WAIT_LIMIT).unwrap();
    drop(request);
    block_on(pool.request(health())).expect("the connection opens itself anew");
    block_on(pool.close()).unwrap();
    server.join();
}

#[test]
fn requests_on_one_lease_run_in_turn_and_keep_it_until_they_are_over() {
    let (go, may_respond) = mpsc::channel();
    let server = FakeServer::start(move |listener| {
        let mut peer = Peer::accept(listener);
        assert!(peer.request().starts_with("GET /0 "));
        may_respond.recv_timeout(WAIT_LIMIT).unwrap();
        peer.send(ok("{}").as_bytes());
        let request = peer.serve("{}");
        assert!(request.starts_with("GET /2 "), "{request}");
        peer.expect_end();
    });
    let pool = pool(&server, 1);
    let lease = block_on(pool.acquire()).unwrap();
    let get = |path| lease.request(Request::raw("GET", path, None).unwrap());
    let (mut first, mut dropped, mut last) = (get("/0"), get("/1"), get("/2"));
    assert!(is_waiting(&mut first) && is_waiting(&mut dropped) && is_waiting(&mut last));
    drop(dropped);
    drop(lease);
    assert_eq!(pool.pool().status().used, 1, "its requests are not over");
    go.send(()).unwrap();
    block_on(last).unwrap();
    block_on(first).unwrap();
    drop(block_on(pool.acquire()).expect("it came back"));
    block_on(pool.close()).unwrap();
    server.join();
}

#[test]
fn rule_13_a_discarded_connection_is_closed() {
    let server = FakeServer::start(|listener| {
        for _ in 0..2 {
            let mut peer = Peer::accept(listener);
            peer.serve("{}");
            peer.expect_end();
        }
    });
    let pool = pool(&server, 1);
    let lease = block_on(pool.acquire()).unwrap();
    block_on(lease.request(health())).unwrap();
    lease.discard();
    block_on(pool.request(health())).unwrap();
    block_on(pool.close()).unwrap();
    server.join();
}

#[test]
fn rule_19_a_close_that_is_awaited_refuses_callers_and_cuts_what_is_in_flight() {
    let (sender, is_sent) = mpsc::channel();
    let server = FakeServer::start(move |listener| {
        let mut peer = Peer::accept(listener);
        peer.serve("{}");
        peer.request();
        sender.send(()).unwrap();
        peer.expect_end();
    });
    let pool = pool(&server, 1);
    block_on(pool.request(health())).unwrap();
    let (mut in_flight, mut waiting) = (pool.request(silent()), pool.acquire());
    assert!(is_waiting(&mut in_flight) && is_waiting(&mut waiting));
    is_sent.recv_timeout(WAIT_LIMIT).unwrap();
    block_on(pool.close_within(Duration::ZERO)).unwrap();
    for error in [block_on(in_flight).unwrap_err(), block_on(waiting).unwrap_err()] {
        assert_eq!(error.code(), Code::Closed, "{error}");
    }
    assert_eq!(block_on(pool.acquire()).unwrap_err().code(), Code::Closed);
    server.join();
}

/// Serves every connection until the client closes it: `/silence` with nothing, else with `{}`.
fn serve_all(listener: &TcpListener, is_over: &AtomicBool) {
    thread::scope(|scope| {
        loop {
            let mut peer = Peer::accept(listener);
            if is_over.load(Ordering::SeqCst) {
                return;
            }
            scope.spawn(move || {
                // A peek does not fail at the end of the connection.
                while peer.0.peek(&mut [0]).is_ok_and(|count| count > 0) {
                    if !peer.request().contains("/silence") {
                        // The client may have cut it.
                        let _ = peer.0.write_all(ok("{}").as_bytes());
                    }
                }
            });
        }
    });
}

/// Polls a future so many times, and drops it then if it is not over.
fn try_for<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..polls {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return Some(output);
        }
        thread::yield_now();
    }
    None
}

#[test]
fn rule_06_futures_that_are_dropped_in_any_state_lose_no_connection() {
    const CONNECTIONS: u32 = 3;
    static IS_OVER: AtomicBool = AtomicBool::new(false);
    let server = FakeServer::start(|listener| serve_all(listener, &IS_OVER));
    let pool = pool(&server, CONNECTIONS);
    let outcomes: Vec<(usize, usize)> = thread::scope(|scope| {
        let callers: Vec<_> = (0..4)
            .map(|caller: usize| {
                let pool = &pool;
                scope.spawn(move || {
                    let (mut over, mut dropped) = (0, 0);
                    let mut count = |is_over| if is_over { over += 1 } else { dropped += 1 };
                    for round in 0..100 {
                        let polls = (round * 7 + caller * 3) % 40;
                        match round % 3 {
                            0 => count(try_for(pool.acquire(), polls).is_some()),
                            1 => count(try_for(pool.request(health()), polls).is_some()),
                            _ => {
                                let Some(lease) = try_for(pool.acquire(), polls) else {
                                    count(false);
                                    continue;
                                };
                                let lease: AsyncLease = lease.expect("the server is there");
                                let request = if round % 2 == 0 { silent() } else { health() };
                                count(try_for(lease.request(request), polls).is_some());
                            }
                        }
                    }
                    (over, dropped)
                })
            })
            .collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    let (over, dropped) = outcomes.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    assert!(over > 0 && dropped > 0, "{over} were over, {dropped} were dropped");
    // All of them, at the same time.
    let leases: Vec<_> = (0..CONNECTIONS).map(|_| block_on(pool.acquire()).unwrap()).collect();
    for lease in &leases {
        block_on(lease.request(health())).unwrap();
    }
    drop(leases);
    assert_eq!((pool.pool().status().used, pool.pool().status().pending), (0, 0));
    block_on(pool.close()).unwrap();
    IS_OVER.store(true, Ordering::SeqCst);
    drop(std::net::TcpStream::connect(server.address()).unwrap());
    server.join();
}
