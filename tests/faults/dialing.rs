//! Dials that are slow, hang, or have nowhere to go.

use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use phantomdb::{Code, Options, Pool, Request};

use crate::common::{
    Secure, WAIT_LIMIT, ask, is_sound, lasting, patient, promptly, says, server_figure,
};
use crate::support::devserver::DevServer;
use crate::support::fault_proxy::{FaultProxy, Mode};
use crate::support::port;

const SHORT: Duration = Duration::from_millis(250);

/// A port whose listener accepts nothing and whose queue is full, so that the kernel drops what
/// else comes: a host that does not respond.
pub struct DeafHost {
    listener: TcpListener,
    _queued: Vec<TcpStream>,
}

impl DeafHost {
    pub fn new() -> DeafHost {
        let listener = port::listener();
        // SAFETY: listen takes plain numbers; on a listener it only changes the queue's length.
        assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
        let address = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, SHORT) {
            queued.push(stream);
        }
        DeafHost { listener, _queued: queued }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.listener.local_addr().unwrap())
    }
}

#[test]
fn rule_08_a_spike_of_50_callers_grows_the_pool_by_what_the_demand_needs() {
    let secure = Secure::start();
    secure
        .proxy
        .set(Mode::Late { first: Duration::from_millis(150), later: Duration::from_millis(2) });
    let pool =
        Pool::new(Options { min_connections: 2, max_connections: 50, ..secure.options() }).unwrap();
    let start = Barrier::new(50);
    thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| {
                start.wait();
                ask(&pool).unwrap();
            });
        }
    });
    let counts = secure.proxy.counts();
    let status = pool.status();
    assert!(status.total <= 6, "{status:?}");
    assert!(counts.peak <= 6, "{counts:?}");
    assert!(server_figure(&pool, "connections_peak") <= 6);
    assert_eq!((status.used, status.pending), (0, 0));
    secure.proxy.set(Mode::Pass);
    is_sound(&pool);
}

#[test]
fn rule_09_no_more_than_max_connecting_dials_are_under_way_at_once() {
    let secure = Secure::start();
    secure.proxy.set(Mode::Silent);
    let pool = Pool::new(Options {
        max_connections: 10,
        acquire_timeout: SHORT,
        max_connecting: 3,
        ..secure.options()
    })
    .unwrap();
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| lasting(SHORT, || pool.acquire()).unwrap_err());
        }
    });
    assert_eq!(secure.proxy.counts().peak, 3);
    // In this order: a dial between the two would hang until connect_timeout.
    secure.proxy.set(Mode::Pass);
    secure.proxy.reset_all();
    is_sound(&pool);
}

#[test]
fn rule_03_a_tls_handshake_that_hangs_ends_with_connect_timeout() {
    let secure = Secure::start();
    secure.proxy.set(Mode::Silent);
    let pool = Pool::new(Options { connect_timeout: SHORT, ..secure.options() }).unwrap();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let error = promptly(|| pool.acquire()).unwrap_err();
                assert_eq!(error.code(), Code::Unavailable);
                says(&error, "did not complete the TLS handshake");
                assert!(error.retry_after().is_some());
            });
        }
    });
    secure.proxy.set(Mode::Pass);
    is_sound(&pool);
}

#[test]
fn rule_03_an_acquire_ends_at_its_own_time_out_while_the_handshake_hangs() {
    let secure = Secure::start();
    secure.proxy.set(Mode::Silent);
    let pool = Pool::new(Options { acquire_timeout: SHORT, ..secure.options() }).unwrap();
    let error = lasting(SHORT, || pool.acquire()).unwrap_err();
    assert_eq!(error.code(), Code::Timeout);
    says(&error, "Timeout acquiring connection");
    // The dial goes on in the background and has a connection for the next caller, or none.
    // In this order: a dial between the two would hang until connect_timeout.
    secure.proxy.set(Mode::Pass);
    secure.proxy.reset_all();
    is_sound(&pool);
}

#[test]
fn rule_08_callers_get_returned_connections_while_a_handshake_hangs() {
    let secure = Secure::start();
    let pool = Pool::new(secure.options()).unwrap();
    ask(&pool).unwrap();
    secure.proxy.set(Mode::Silent);
    let started = Instant::now();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    ask(&pool).unwrap();
                }
            });
        }
    });
    assert!(started.elapsed() < WAIT_LIMIT / 2, "they waited for the handshake");
    assert!(secure.proxy.counts().dials_in_mode > 0, "no dial was under way");
    // In this order: a dial between the two would hang until connect_timeout.
    secure.proxy.set(Mode::Pass);
    secure.proxy.reset_all();
    is_sound(&pool);
}

#[test]
fn rule_03_a_host_that_does_not_respond_costs_connect_timeout() {
    let host = DeafHost::new();
    let pool = Pool::new(Options { connect_timeout: SHORT, ..patient(&host.url()) }).unwrap();
    let error = lasting(SHORT, || pool.acquire()).unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    says(&error, "no response");
    says(&error, &host.url());
    promptly(|| pool.close()).unwrap();
    assert_eq!(pool.status().total, 0);
}

#[test]
fn rule_10_a_name_that_does_not_exist_is_named() {
    let url = "http://database.invalid:8080";
    let pool = Pool::new(patient(url)).unwrap();
    let error = pool.acquire().unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error:?}");
    says(&error, "`database.invalid`");
    says(&error, url);
    assert!(error.is_retriable() && error.retry_after().is_some());
    // Of a connection that opens at its first request, that request says it.
    let pool = Pool::new(Options { min_connections: 1, ..patient(url) }).unwrap();
    let error = pool.acquire().unwrap().request(&Request::list_databases()).unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error:?}");
    says(&error, "`database.invalid`");
    let status = pool.status();
    assert_eq!((status.used, status.pending), (0, 0));
    promptly(|| pool.close()).unwrap();
}

#[test]
fn rule_10_a_port_where_nobody_listens_is_told_at_once_and_found_again_soon() {
    let server = DevServer::start();
    let proxy = FaultProxy::before(server.port());
    let pool = Pool::new(patient(&proxy.url())).unwrap();
    proxy.set(Mode::Refuse);
    for _ in 0..3 {
        let error = promptly(|| pool.acquire()).unwrap_err();
        assert_eq!(error.code(), Code::Unavailable);
        says(&error, "refused");
        says(&error, &proxy.url());
    }
    proxy.set(Mode::Pass);
    is_sound(&pool);
}
