//! Interrupts in each state that a request can be in (rule 7).

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use phantomdb::{Code, Lease, Options, Pool, Request};

use crate::common::{Secure, WAIT_LIMIT, is_sound, lasting, patient, promptly};
use crate::dialing::DeafHost;
use crate::support::devserver::DevServer;
use crate::support::fault_proxy::{FaultProxy, Mode};

/// Interrupts a request that can't end by itself before the test's wait limit does; again and
/// again, since an interrupt before its beginning does nothing, and by the clock at once.
fn is_interrupted_promptly(lease: &Lease, is_in_state: impl FnOnce()) {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let request = scope.spawn(|| {
            let outcome = lease.request(&Request::list_databases());
            is_over.store(true, Ordering::SeqCst);
            outcome
        });
        is_in_state();
        promptly(|| {
            let started = Instant::now();
            while !is_over.load(Ordering::SeqCst) && started.elapsed() < WAIT_LIMIT {
                lease.cancel();
                thread::yield_now();
            }
            assert_eq!(request.join().unwrap().unwrap_err().code(), Code::Cancelled);
        });
    });
}

#[test]
fn rule_07_an_interrupt_reaches_a_request_that_waits_for_its_response() {
    let server = DevServer::start();
    let proxy = FaultProxy::before(server.port());
    let pool = Pool::new(patient(&proxy.url())).unwrap();
    proxy.set(Mode::Silent);
    let lease = pool.acquire().unwrap();
    is_interrupted_promptly(&lease, || {
        proxy.wait("the request is on its way", |counts| counts.received > 0);
    });
    proxy.set(Mode::Pass);
    // The interrupt is over; the connection opens another socket.
    lease.request(&Request::list_databases()).unwrap();
    drop(lease);
    is_sound(&pool);
}

#[test]
fn rule_07_an_interrupt_reaches_a_request_in_the_middle_of_its_response() {
    let server = DevServer::start();
    let proxy = FaultProxy::before(server.port());
    let pool = Pool::new(patient(&proxy.url())).unwrap();
    proxy.set(Mode::Late { first: Duration::ZERO, later: WAIT_LIMIT });
    let lease = pool.acquire().unwrap();
    lease.request(&Request::list_databases()).unwrap();
    let received = proxy.counts().received;
    is_interrupted_promptly(&lease, || {
        proxy.wait("the request is on its way", |counts| counts.received > received);
    });
    drop(lease);
    proxy.reset_all();
    proxy.set(Mode::Pass);
    is_sound(&pool);
}

#[test]
fn rule_07_an_interrupt_reaches_a_request_in_a_tls_handshake_and_one_that_waits_to_dial() {
    let secure = Secure::start();
    secure.proxy.set(Mode::Silent);
    let options = Options { min_connections: 2, max_connecting: 1, ..secure.options() };
    let pool = Pool::new(options).unwrap();
    let (first, second) = (pool.acquire().unwrap(), pool.acquire().unwrap());
    thread::scope(|scope| {
        scope.spawn(|| {
            is_interrupted_promptly(&first, || {
                secure.proxy.wait("the handshake hangs", |counts| counts.received > 0);
                // Only one dial may be under way, so this one waits for leave.
                is_interrupted_promptly(&second, || ());
            });
        });
    });
    assert_eq!(secure.proxy.counts().dials, 1);
    drop((first, second));
    secure.proxy.set(Mode::Pass);
    is_sound(&pool);
}

#[test]
fn rule_07_an_interrupt_reaches_a_request_that_connects_to_a_silent_host() {
    let host = DeafHost::new();
    let pool = Pool::new(Options { min_connections: 1, ..patient(&host.url()) }).unwrap();
    let lease = pool.acquire().unwrap();
    is_interrupted_promptly(&lease, || ());
    // What a caller cut short says nothing of the server.
    assert!(pool.try_acquire().is_err() || pool.status().used > 0);
    drop(lease);
    promptly(|| pool.close()).unwrap();
    assert_eq!(pool.status().total, 0);
}

#[test]
fn rule_19_close_reaches_a_dial_to_a_silent_host_and_those_that_wait_for_it() {
    let host = DeafHost::new();
    let pool = Pool::new(patient(&host.url())).unwrap();
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..4).map(|_| scope.spawn(|| pool.acquire())).collect();
        crate::common::eventually("all wait", || pool.status().pending == 4);
        lasting(Duration::ZERO, || pool.close()).unwrap();
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap().unwrap_err().code(), Code::Closed);
        }
    });
    assert_eq!(pool.status().total, 0);
}
