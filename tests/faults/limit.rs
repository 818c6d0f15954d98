//! A server that takes a limited number of connections, and responds well on those (rule 10).

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use phantomdb::{Code, Error, Options, Pool, Request, Validation};

use crate::common::{WAIT_LIMIT, eventually, patient, promptly, says};
use crate::support::port;

const RESPONSE: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                        Content-Length: 16\r\n\r\n{\"databases\":[]}";

/// A server with a limit on its connections: while it has that many, nobody listens.
struct Limited {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    accepted: Arc<AtomicUsize>,
    acceptor: Option<JoinHandle<()>>,
}

impl Limited {
    /// Takes `limit` connections at a time, and responds to each request after `time`. If `for_good`, it
    /// takes no more than `limit` connections at all.
    fn start(limit: usize, time: Duration, for_good: bool) -> Limited {
        let listener = port::listener();
        let address = listener.local_addr().unwrap();
        let (is_over, open) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let accepted = Arc::new(AtomicUsize::new(0));
        let acceptor = {
            let (is_over, accepted) = (is_over.clone(), accepted.clone());
            thread::spawn(move || {
                accept(listener, limit, time, for_good, &is_over, &open, &accepted)
            })
        };
        Limited { address, is_over, accepted, acceptor: Some(acceptor) }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.acceptor.take().unwrap().join().unwrap();
    }
}

fn accept(
    listener: TcpListener,
    limit: usize,
    time: Duration,
    for_good: bool,
    is_over: &Arc<AtomicBool>,
    open: &Arc<AtomicUsize>,
    accepted: &AtomicUsize,
) {
    let address = listener.local_addr().unwrap();
    let mut listener = Some(listener);
    let mut threads = Vec::new();
    while !is_over.load(Ordering::SeqCst) {
        let taken =
            if for_good { accepted.load(Ordering::SeqCst) } else { open.load(Ordering::SeqCst) };
        if taken >= limit {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind(address).ok();
        }
        let Some(listener) = &listener else {
            thread::sleep(Duration::from_millis(1));
            continue;
        };
        listener.set_nonblocking(true).unwrap();
        match listener.accept() {
            Ok((stream, _)) => {
                accepted.fetch_add(1, Ordering::SeqCst);
                open.fetch_add(1, Ordering::SeqCst);
                let (open, is_over) = (open.clone(), is_over.clone());
                threads.push(thread::spawn(move || {
                    serve(stream, time, &is_over);
                    open.fetch_sub(1, Ordering::SeqCst);
                }));
            }
            Err(_) => thread::sleep(Duration::from_millis(1)),
        }
    }
    drop(listener);
    for thread in threads {
        thread.join().unwrap();
    }
}

fn serve(mut stream: TcpStream, time: Duration, is_over: &AtomicBool) {
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    while !is_over.load(Ordering::SeqCst) {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => head.extend_from_slice(&buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                continue;
            }
            Err(_) => return,
        }
        if head.ends_with(b"\r\n\r\n") {
            // The work that the request is.
            thread::sleep(time);
            head.clear();
            if stream.write_all(RESPONSE.as_bytes()).is_err() {
                return;
            }
        }
    }
}

/// So many callers, one after the other a moment apart, each with this.
fn callers<T: Send>(count: usize, call: impl Fn() -> T + Sync) -> Vec<T> {
    let outcomes = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(|| {
                let outcome = call();
                outcomes.lock().unwrap().push(outcome);
            });
            thread::sleep(Duration::from_millis(20));
        }
    });
    outcomes.into_inner().unwrap()
}

const KINDS: [Validation; 3] = [Validation::Socket, Validation::Ping, Validation::None];

#[test]
fn rule_10_callers_beyond_the_servers_limit_get_the_connections_that_come_back() {
    thread::scope(|scope| {
        for validation in KINDS {
            for min_connections in [0, 2, 4] {
                scope.spawn(move || {
                    let server = Limited::start(2, Duration::from_millis(300), true);
                    let pool = Pool::new(Options {
                        validation,
                        min_connections,
                        max_connections: 4,
                        ..patient(&server.url())
                    })
                    .unwrap();
                    let outcomes = callers(4, || pool.request(&Request::list_databases()));
                    for outcome in outcomes {
                        outcome.unwrap_or_else(|error| {
                            panic!("{validation:?}, min {min_connections}: {error:?}")
                        });
                    }
                    assert_eq!(server.accepted.load(Ordering::SeqCst), 2);
                    drop(pool);
                });
            }
        }
    });
}

#[test]
fn rule_10_under_load_beyond_the_servers_limit_everybody_is_served() {
    thread::scope(|scope| {
        for validation in KINDS {
            for min_connections in [0, 8] {
                scope.spawn(move || {
                    let server = Limited::start(4, Duration::from_millis(400), false);
                    let pool = Pool::new(Options {
                        validation,
                        min_connections,
                        max_connections: 10,
                        validate_after: Duration::from_millis(50),
                        ..patient(&server.url())
                    })
                    .unwrap();
                    let until = Instant::now() + Duration::from_secs(2);
                    let served = AtomicUsize::new(0);
                    let outcomes = callers(8, || {
                        let mut own = 0;
                        while Instant::now() < until {
                            pool.request(&Request::list_databases())?;
                            served.fetch_add(1, Ordering::SeqCst);
                            own += 1;
                        }
                        Ok::<usize, Error>(own)
                    });
                    for outcome in outcomes {
                        let own = outcome.unwrap_or_else(|error| {
                            panic!("{validation:?}, min {min_connections}: {error:?}")
                        });
                        assert!(own > 0, "{validation:?}, min {min_connections}: starved");
                    }
                    drop(pool);
                });
            }
        }
    });
}

#[test]
fn rule_10_a_server_that_is_gone_is_told_as_soon_as_no_lease_can_bring_a_connection() {
    let server = Limited::start(1, Duration::ZERO, true);
    let pool = Pool::new(patient(&server.url())).unwrap();
    let lease = pool.acquire().unwrap();
    lease.request(&Request::list_databases()).unwrap();
    let error = thread::scope(|scope| {
        let waiter = scope.spawn(|| pool.acquire());
        eventually("it waits, and its dial has failed", || {
            pool.status().pending == 1 && pool.stats_json().contains(r#""dial_failures":2"#)
        });
        let error = pool.try_acquire().unwrap_err();
        assert_eq!(error.code(), Code::WouldBlock, "{error:?}");
        says(&error, "refused");
        // The holder's own request finds that the server is gone, and it keeps its lease.
        drop(server);
        assert!(lease.request(&Request::list_databases()).is_err());
        promptly(|| waiter.join().unwrap()).unwrap_err()
    });
    assert_eq!(error.code(), Code::Unavailable, "{error:?}");
    assert!(error.retry_after().unwrap() < WAIT_LIMIT);
    let error = promptly(|| pool.acquire()).unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error:?}");
    drop(lease);
}

#[test]
fn rule_21_a_try_names_the_socket_that_is_being_closed() {
    // It is at work on the request, and looks at its socket no sooner than it is done.
    let server = Limited::start(1, Duration::from_secs(1), false);
    let options = Options {
        max_connections: 1,
        request_timeout: Duration::from_millis(100),
        ..patient(&server.url())
    };
    let pool = Pool::new(options).unwrap();
    let error = pool.request(&Request::list_databases()).unwrap_err();
    assert_eq!(error.code(), Code::Timeout);
    let error = pool.try_acquire().unwrap_err();
    assert_eq!(
        error.message(),
        "No connection is free: 0 of 1 connections in use, 0 waiting; 1 connection is being closed"
    );
}
