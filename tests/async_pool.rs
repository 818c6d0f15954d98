//! Asynchronous calls over real sockets: what the model checker can't see.

mod support;

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use phantomdb::internal::{CallbackPool, ConnectionQueue, Progress, Ticket};
use phantomdb::{Code, Options, Request, Response, Result, Validation};
use support::alone::alone;
use support::fake_server::{FakeServer, Peer, WAIT_LIMIT, ok};

fn pool(server: &FakeServer, request_timeout: Duration) -> CallbackPool {
    CallbackPool::new(Options {
        base_url: server.url(),
        min_connections: 1,
        max_connections: 1,
        validation: Validation::None,
        request_timeout,
        ..Options::default()
    })
    .unwrap()
}

fn run(pool: &CallbackPool, request: Request) -> mpsc::Receiver<Result<Response>> {
    let (sender, receiver) = mpsc::channel();
    pool.run(request, &Ticket::new(), move |response| sender.send(response).unwrap()).unwrap();
    receiver
}

/// Bytes that are there already are not announced again, so a task that yields in the middle of a
/// response must be resumed without an event.
#[test]
fn a_response_of_any_size_is_read_to_its_end() {
    let sizes: Vec<usize> = (1..40).map(|step| step * 24_000).collect();
    let of_server = sizes.clone();
    let server = FakeServer::start(move |listener| {
        let mut peer = Peer::accept(listener);
        for size in of_server {
            peer.serve(&format!("\"{}\"", "x".repeat(size)));
        }
        peer.expect_end();
    });
    let pool = pool(&server, WAIT_LIMIT);
    for size in sizes {
        let request = Request::raw("GET", "/large", None).unwrap();
        let response = run(&pool, request).recv().unwrap().unwrap();
        assert_eq!(response.text().unwrap().len(), size + 2);
    }
    pool.close().unwrap();
    server.join();
}

#[test]
fn rule_03_a_request_without_a_response_ends_at_its_time_out() {
    let server = FakeServer::start(|listener| {
        let mut peer = Peer::accept(listener);
        // Over a socket that is open already, so that no thread waits for it.
        peer.serve("{}");
        peer.request();
        let mut next = Peer::accept(listener);
        next.serve("{}");
        peer.expect_end();
        next.expect_end();
    });
    let pool = pool(&server, Duration::from_millis(200));
    run(&pool, Request::health_check()).recv().unwrap().unwrap();
    let error = run(&pool, Request::health_check()).recv_timeout(WAIT_LIMIT).unwrap().unwrap_err();
    assert_eq!(error.code(), Code::Timeout, "{error}");
    assert!(error.message().contains("after 200 ms (request_timeout)"), "{error}");
    run(&pool, Request::health_check()).recv().unwrap().unwrap();
    pool.close().unwrap();
    server.join();
}

/// Serves so many connections: `/health` with an empty object, anything else with a large response.
fn serve_all(connections: usize) -> FakeServer {
    let large = row_of_new_columns();
    FakeServer::start(move |listener| {
        let serve = |_| {
            let mut peer = Peer::accept(listener);
            thread::spawn(move || {
                // A peek, so that the end of the connection is not an error.
                while peer.0.peek(&mut [0]).is_ok_and(|count| count > 0) {
                    let request = peer.request();
                    let body = if request.contains("/health") { "{}" } else { large };
                    // The client may have cut it.
                    let _ = peer.0.write_all(ok(body).as_bytes());
                }
            })
        };
        let peers: Vec<_> = (0..connections).map(serve).collect();
        peers.into_iter().for_each(|peer| peer.join().unwrap());
    })
}

/// How many columns the large response has.
const COLUMNS: usize = 600_000;

/// A row whose every column is new: it takes long to be read, in proportion to its size.
fn row_of_new_columns() -> &'static str {
    static ROW: OnceLock<String> = OnceLock::new();
    ROW.get_or_init(|| {
        let mut text = String::from("{\"records\":[{\"c0\":0");
        for number in 1..COLUMNS {
            write!(text, ",\"c{number}\":{number}").unwrap();
        }
        text + "}]}"
    })
}

fn pool_of(server: &FakeServer, connections: u32, request_timeout: Duration) -> CallbackPool {
    let pool = CallbackPool::new(Options {
        base_url: server.url(),
        min_connections: connections,
        max_connections: connections,
        validation: Validation::None,
        request_timeout,
        ..Options::default()
    })
    .unwrap();
    // Each of them has its socket now, opened by this thread.
    let leases: Vec<_> = (0..connections).map(|_| pool.pool().acquire().unwrap()).collect();
    for lease in &leases {
        lease.request(&Request::health_check()).unwrap();
    }
    drop(leases);
    pool
}

fn large() -> Request {
    Request::select("db", "large", None).unwrap()
}

/// How many threads of this process read responses, or dial.
fn helpers() -> usize {
    let names = fs::read_dir("/proc/self/task").unwrap().filter_map(|task| {
        // It may have ended since.
        fs::read_to_string(task.ok()?.path().join("comm")).ok()
    });
    names.filter(|name| name.trim_end() == "phantomdb-call").count()
}

fn wait_for_a_helper() {
    let end = Instant::now() + WAIT_LIMIT;
    while helpers() == 0 {
        assert!(Instant::now() < end, "no helper reads the response");
        thread::yield_now();
    }
}

#[test]
fn a_large_response_is_read_by_a_helper_and_delays_nobody() {
    alone("a_large_response_is_read_by_a_helper_and_delays_nobody", || {
        let server = serve_all(2);
        let pool = pool_of(&server, 2, 6 * WAIT_LIMIT);
        for _ in 0..50 {
            run(&pool, Request::health_check()).recv().unwrap().unwrap();
        }
        assert_eq!(helpers(), 0, "small responses need none");
        let response = run(&pool, large());
        let read_since = Instant::now();
        let mut slowest = Duration::ZERO;
        let mut beside = 0;
        let response = loop {
            let began = Instant::now();
            run(&pool, Request::health_check()).recv().unwrap().unwrap();
            slowest = slowest.max(began.elapsed());
            beside += 1;
            if let Ok(response) = response.try_recv() {
                break response;
            }
        };
        assert_eq!(response.unwrap().table().unwrap().column_count(), COLUMNS);
        assert_eq!(helpers(), 1);
        assert!(beside >= 50, "only {beside} requests were served meanwhile");
        // Milliseconds on a quiet machine; the response takes seconds to read in a debug build, and
        // longer on a machine that is busy.
        let most = Duration::from_millis(300).max(read_since.elapsed() / 4);
        assert!(slowest < most, "one took {slowest:?}; at most {most:?}");
        pool.close().unwrap();
        server.join();
    });
}

#[test]
fn rule_07_a_cancel_reaches_a_response_that_is_being_read() {
    alone("rule_07_a_cancel_reaches_a_response_that_is_being_read", || {
        let server = serve_all(3);
        let pool = pool_of(&server, 2, 6 * WAIT_LIMIT);
        let (sender, receiver) = mpsc::channel();
        let ticket = Ticket::new();
        pool.run(large(), &ticket, move |response| sender.send(response).unwrap()).unwrap();
        wait_for_a_helper();
        ticket.cancel().unwrap();
        let error = receiver.recv().unwrap().unwrap_err();
        assert_eq!(error.code(), Code::Cancelled, "{error}");
        // The connection opens itself anew.
        let leases = [(); 2].map(|()| pool.pool().acquire().unwrap());
        leases.iter().for_each(|lease| drop(lease.request(&Request::health_check()).unwrap()));
        drop(leases);
        pool.close().unwrap();
        server.join();
    });
}

#[test]
fn rule_19_close_cuts_a_response_that_is_being_read() {
    alone("rule_19_close_cuts_a_response_that_is_being_read", || {
        let server = serve_all(1);
        let pool = pool_of(&server, 1, 6 * WAIT_LIMIT);
        let response = run(&pool, large());
        wait_for_a_helper();
        pool.close_within(Duration::ZERO).unwrap();
        let error = response.try_recv().expect("it was told before").unwrap_err();
        assert_eq!(error.code(), Code::Closed, "{error}");
        assert_eq!(helpers(), 0);
        server.join();
    });
}

/// The response that is there in time counts only if it is read in time, in every form of call.
#[test]
fn rule_03_the_deadline_ends_the_reading_of_a_response() {
    let timeout = Duration::from_millis(300);
    let is_late = |outcome: Result<Response>| {
        let error = outcome.unwrap_err();
        assert_eq!(error.code(), Code::Timeout, "{error}");
        assert!(error.message().contains("after 300 ms (request_timeout)"), "{error}");
    };
    let server = serve_all(4);
    let pool = pool_of(&server, 1, timeout);
    is_late(run(&pool, large()).recv().unwrap());
    let lease = pool.pool().acquire().unwrap();
    lease.request(&Request::health_check()).unwrap();
    is_late(lease.request(&large()));
    lease.request(&Request::health_check()).unwrap();
    let queue = ConnectionQueue::new(lease);
    is_late(step_by_step(&queue, large()).0);
    queue.lease().request(&Request::health_check()).unwrap();
    drop(queue);
    pool.close().unwrap();
    server.join();
}

/// Carries a request on; says what it came to, in how many steps.
fn step_by_step(queue: &ConnectionQueue, request: Request) -> (Result<Response>, usize) {
    let look = |progress: &Progress| match progress {
        Progress::InFlight(in_flight) if in_flight.is_ready() => {}
        Progress::InFlight(_) => thread::yield_now(),
        progress => panic!("it has a socket: {progress:?}"),
    };
    let mut outcome = queue.start(request, look);
    for steps in 1.. {
        match outcome {
            Some(outcome) => return (outcome, steps),
            None => outcome = queue.resume(look),
        }
    }
    unreachable!("it is over some time");
}

#[test]
fn a_large_body_is_sent_and_received_in_slices() {
    const SIZE: usize = 16 << 20;
    let server = FakeServer::start(|listener| {
        let mut peer = Peer::accept(listener);
        peer.serve("{}");
        peer.serve("{}");
        peer.request();
        peer.send(ok(&format!("\"{}\"", "x".repeat(SIZE))).as_bytes());
        peer.expect_end();
    });
    let pool = pool_of(&server, 1, WAIT_LIMIT);
    let queue = ConnectionQueue::new(pool.pool().acquire().unwrap());
    let body = format!("\"{}\"", "x".repeat(SIZE));
    for body in [Some(body.as_bytes()), None] {
        let (outcome, steps) = step_by_step(&queue, Request::raw("POST", "/x", body).unwrap());
        outcome.unwrap();
        assert!(steps >= SIZE / (128 << 10), "only {steps} steps: somebody else waits meanwhile");
    }
    drop(queue);
    pool.close().unwrap();
    server.join();
}

/// What is made ready to receive a chunk must not cost more than the chunk.
#[test]
fn chunks_of_a_byte_each_are_put_together() {
    const CHUNKS: usize = 200_000;
    let server = FakeServer::start(|listener| {
        let mut peer = Peer::accept(listener);
        peer.serve("{}");
        let mut text = String::from(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        );
        text.push_str("1\r\n\"\r\n");
        text.push_str(&"1\r\nx\r\n".repeat(CHUNKS));
        text.push_str("1\r\n\"\r\n0\r\n\r\n");
        peer.request();
        peer.send(text.as_bytes());
        peer.expect_end();
    });
    let pool = pool_of(&server, 1, 6 * WAIT_LIMIT);
    let response = run(&pool, Request::raw("GET", "/x", None).unwrap()).recv().unwrap().unwrap();
    assert_eq!(response.text().unwrap().len(), CHUNKS + 2);
    pool.close().unwrap();
    server.join();
}

#[test]
fn rule_22_a_call_that_was_cancelled_before_it_began_counts_once_and_takes_no_connection() {
    let server = FakeServer::start(|_| {});
    let pool = pool(&server, WAIT_LIMIT);
    let ticket = Ticket::new();
    ticket.cancel().unwrap();
    let (sender, receiver) = mpsc::channel();
    let told = sender.clone();
    pool.run(Request::health_check(), &ticket, move |outcome| {
        told.send(outcome.map(drop)).unwrap()
    })
    .unwrap();
    pool.acquire(None, &ticket, move |outcome| sender.send(outcome.map(drop)).unwrap()).unwrap();
    for _ in 0..2 {
        assert_eq!(receiver.recv().unwrap().unwrap_err().code(), Code::Cancelled);
    }
    let stats = pool.pool().stats_json();
    assert!(stats.contains("\"cancelled\":2") && stats.contains("\"direct\":0"), "{stats}");
    pool.close().unwrap();
    server.join();
}

/// A transaction does not outlive its lease on the server, however far a request of it has come.
#[test]
fn rule_13_a_lease_that_ends_in_the_midst_of_a_step_is_rolled_back() {
    let server = FakeServer::start(|listener| {
        let mut peer = Peer::accept(listener);
        assert!(peer.serve(r#"{"transaction_id":"tx"}"#).starts_with("POST /transactions "));
        assert!(peer.request().starts_with("POST /slow "));
        peer.expect_end();
        let mut peer = Peer::accept(listener);
        let rollback = peer.serve("{}");
        assert!(rollback.starts_with("POST /transactions/tx/rollback "), "{rollback}");
        peer.expect_end();
    });
    let pool = pool(&server, WAIT_LIMIT);
    let queue = ConnectionQueue::new(pool.pool().acquire().unwrap());
    queue.lease().request(&Request::begin_transaction(None).unwrap()).unwrap();
    let outcome = queue.start(Request::raw("POST", "/slow", None).unwrap(), |progress| {
        assert!(matches!(progress, Progress::InFlight(in_flight) if !in_flight.is_sending()));
    });
    assert!(outcome.is_none(), "{outcome:?}");
    drop(queue);
    // Waits for its end.
    drop(pool.pool().acquire().unwrap());
    pool.close().unwrap();
    server.join();
}

/// The status of an error says what matters, in every form of call, though its explanation stays out.
#[test]
fn an_error_whose_body_never_ends_is_told_at_the_deadline() {
    let server = FakeServer::start(|listener| {
        for _ in 0..3 {
            let mut peer = Peer::accept(listener);
            peer.serve("{}");
            peer.request();
            peer.send(b"HTTP/1.1 503 x\r\nRetry-After: 7\r\nContent-Length: 9\r\n\r\n{");
            peer.expect_end();
        }
    });
    let pool = pool(&server, Duration::from_millis(200));
    let warm = || pool.pool().request(&Request::health_check()).unwrap();
    let post = || Request::raw("POST", "/x", None).unwrap();
    let mut outcomes = Vec::new();
    warm();
    outcomes.push(pool.pool().request(&post()));
    warm();
    outcomes.push(run(&pool, post()).recv().unwrap());
    warm();
    let queue = ConnectionQueue::new(pool.pool().acquire().unwrap());
    outcomes.push(step_by_step(&queue, post()).0);
    drop(queue);
    for outcome in outcomes {
        let error = outcome.unwrap_err();
        assert_eq!((error.http_status(), error.is_retriable()), (Some(503), true), "{error}");
    }
    pool.close().unwrap();
    server.join();
}

#[test]
fn rule_13_a_discarded_connection_is_rolled_back_and_then_closed_all_the_same() {
    let server = FakeServer::start(|listener| {
        let mut peer = Peer::accept(listener);
        peer.serve(r#"{"transaction_id":"tx"}"#);
        let rollback = peer.serve("{}");
        assert!(rollback.starts_with("POST /transactions/tx/rollback "), "{rollback}");
        peer.expect_end();
        let mut peer = Peer::accept(listener);
        peer.serve("{}");
        peer.expect_end();
    });
    let pool = pool(&server, WAIT_LIMIT);
    let lease = pool.pool().acquire().unwrap();
    lease.request(&Request::begin_transaction(None).unwrap()).unwrap();
    lease.discard();
    pool.pool().request(&Request::health_check()).unwrap();
    pool.close().unwrap();
    server.join();
}
