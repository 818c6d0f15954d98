//! A server that takes everything and says nothing, from the start or from some moment on.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use phantomdb::{Code, Options, Pool, Request, Validation};

use crate::common::{ask, insert, is_sound, lasting, make_table, patient, promptly, says};
use crate::support::devserver::DevServer;
use crate::support::fault_proxy::{FaultProxy, Mode};

const SHORT: Duration = Duration::from_millis(250);

/// A pool with three open connections, all idle.
fn warm(pool: &Pool) {
    let leases: Vec<_> = (0..3).map(|_| pool.acquire().unwrap()).collect();
    for lease in &leases {
        lease.request(&Request::list_databases()).unwrap();
    }
}

#[test]
fn rule_03_a_request_that_is_swallowed_ends_with_request_timeout() {
    let server = DevServer::start();
    let proxy = FaultProxy::before(server.port());
    let pool = Pool::new(Options { request_timeout: SHORT, ..patient(&proxy.url()) }).unwrap();
    proxy.set(Mode::Silent);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let lease = pool.acquire().unwrap();
                let error = lasting(SHORT, || lease.request(&Request::list_databases()));
                let error = error.unwrap_err();
                assert_eq!(error.code(), Code::Timeout);
                says(&error, "Timeout");
                says(&error, "no response");
                assert!(error.is_retriable());
            });
        }
    });
    let error = pool.request(&insert(1)).unwrap_err();
    says(&error, "not known whether the request took effect");
    assert!(!error.is_retriable());
    assert!(proxy.counts().peak <= 4);
    proxy.set(Mode::Pass);
    is_sound(&pool);
}

#[test]
fn rule_03_waiting_for_a_connection_behind_a_swallowed_request_ends_with_acquire_timeout() {
    let server = DevServer::start();
    let proxy = FaultProxy::before(server.port());
    let options = Options { acquire_timeout: SHORT, max_connections: 1, ..patient(&proxy.url()) };
    let pool = Pool::new(options).unwrap();
    proxy.set(Mode::Silent);
    let lease = pool.acquire().unwrap();
    thread::scope(|scope| {
        let swallowed = scope.spawn(|| lease.request(&Request::list_databases()));
        proxy.wait("the request is on its way", |counts| counts.received > 0);
        let error = lasting(SHORT, || pool.acquire()).unwrap_err();
        assert_eq!(error.code(), Code::Timeout);
        says(&error, "1 of 1 connections in use, 1 waiting");
        lease.cancel();
        assert_eq!(swallowed.join().unwrap().unwrap_err().code(), Code::Cancelled);
    });
    drop(lease);
    proxy.set(Mode::Pass);
    is_sound(&pool);
}

#[test]
fn rule_14_a_ping_finds_connections_whose_server_is_gone_without_a_word() {
    let server = DevServer::start();
    let proxy = FaultProxy::before(server.port());
    let pool = Pool::new(Options {
        validation: Validation::Ping,
        validation_timeout: SHORT,
        validate_after: Duration::ZERO,
        ..patient(&proxy.url())
    })
    .unwrap();
    warm(&pool);
    let dials = proxy.counts().dials;
    proxy.freeze_all();
    // One time-out at the least, and one for each of the three at the most.
    lasting(SHORT, || ask(&pool)).unwrap();
    for _ in 0..8 {
        ask(&pool).unwrap();
    }
    assert!(proxy.counts().dials > dials);
    is_sound(&pool);
}

#[test]
fn rule_13_a_connection_whose_server_is_gone_without_a_word_fails_one_request_and_is_replaced() {
    let server = DevServer::start();
    let proxy = FaultProxy::before(server.port());
    let pool = Pool::new(Options { request_timeout: SHORT, ..patient(&proxy.url()) }).unwrap();
    make_table(&pool);
    warm(&pool);
    proxy.freeze_all();
    let errors = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for caller in 0..4 {
            let (pool, errors) = (&pool, &errors);
            scope.spawn(move || {
                for round in 0..10 {
                    let outcome = pool.request(&insert(caller * 10 + round));
                    errors.lock().unwrap().extend(outcome.err());
                }
            });
        }
    });
    let errors = errors.into_inner().unwrap();
    assert!(errors.iter().all(|error| error.code() == Code::Timeout), "{errors:?}");
    assert_eq!(errors.len(), 3, "each of the three dead connections fails one request");
    is_sound(&pool);
}

#[test]
fn rule_19_close_cuts_a_request_that_is_swallowed() {
    let server = DevServer::start();
    let proxy = FaultProxy::before(server.port());
    let pool = Pool::new(Options { close_timeout: SHORT, ..patient(&proxy.url()) }).unwrap();
    proxy.set(Mode::Silent);
    thread::scope(|scope| {
        let swallowed = scope.spawn(|| ask(&pool));
        proxy.wait("the request is on its way", |counts| counts.received > 0);
        lasting(SHORT, || pool.close()).unwrap();
        let error = promptly(|| swallowed.join().unwrap()).unwrap_err();
        assert_eq!((error.code(), error.message()), (Code::Closed, "Connection pool is closed"));
    });
    proxy.wait("the socket is closed", |counts| counts.open == 0);
    assert_eq!(pool.status().total, 0);
}

#[test]
fn rule_01_requests_that_time_out_do_not_leave_the_server_with_more_than_max() {
    let server = DevServer::start();
    let proxy = FaultProxy::before(server.port());
    let late = Duration::from_millis(20);
    let pool = Pool::new(Options {
        request_timeout: late / 2,
        max_connections: 2,
        ..patient(&proxy.url())
    })
    .unwrap();
    proxy.set(Mode::Late { first: late, later: late });
    let timed_out = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..25 {
                    // A caller that the system lets sleep until then still finds its response.
                    if let Err(error) = ask(&pool) {
                        assert_eq!(error.code(), Code::Timeout, "{error}");
                        timed_out.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert!(timed_out.into_inner() >= 100, "half of them at the very least");
    let counts = proxy.counts();
    assert!(counts.peak <= 2, "{counts:?}");
    proxy.set(Mode::Pass);
}
