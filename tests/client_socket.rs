//! The one socket of a connection: kept, probed, replaced, retried, cut and closed.

mod support;

use std::net::TcpListener;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use phantomdb::internal::{Connection, DialLimiter, DialPermit, Endpoint, Request, SocketHandle};
use phantomdb::{Code, Error, Options, Result};
use support::fake_server::{
    FakeServer, NoLimit, Peer, WAIT_LIMIT, assert_nobody_waits, client, is_done_with, ok, soon,
};

fn insert() -> Request {
    Request::insert("d", "t", "{\"a\":1}").unwrap()
}

/// Waits until what the other side did has arrived here.
fn until(mut is_so: impl FnMut() -> bool) {
    let end = soon();
    while !is_so() {
        assert!(Instant::now() < end, "it never came");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_new_connection_has_no_socket_until_it_needs_one() {
    let mut client = client("http://127.0.0.1:1", |_| {});
    assert!(!client.is_open() && client.is_reusable() && client.probe());
    assert_eq!((client.opened_at(), client.keep_alive_until()), (None, None));
    client.close(WAIT_LIMIT);
}

#[test]
fn one_socket_serves_many_requests_and_the_limiter_sees_one_dial() {
    let server = FakeServer::start(|listener| {
        let mut peer = Peer::accept(listener);
        for _ in 0..50 {
            peer.serve("{}");
        }
        peer.expect_end();
        assert_nobody_waits(listener);
    });
    let options = Options { base_url: server.url(), ..Options::default() };
    let limiter = Arc::new(NoLimit::default());
    let endpoint = Arc::new(Endpoint::new(&options).unwrap());
    let mut client = Connection::new(endpoint, limiter.clone());
    client.open(soon()).unwrap();
    let opened = client.opened_at().unwrap();
    client.open(soon()).unwrap();
    for _ in 0..25 {
        client.request(&insert(), soon()).unwrap();
        assert!(client.probe());
        client.ping(soon()).unwrap();
    }
    assert_eq!(client.opened_at(), Some(opened));
    drop(client);
    server.join();
    assert_eq!(limiter.permits.load(Ordering::SeqCst), 1);
    assert_eq!(*limiter.outcomes.lock().unwrap(), [Ok(())]);
}

#[test]
fn the_limiter_learns_of_failures_and_its_own_error_is_returned() {
    struct Shut;
    impl DialLimiter for Shut {
        fn permit(&self, _: Instant, _: &SocketHandle) -> Result<Option<DialPermit>> {
            Err(Error::new(Code::Overloaded, "not now"))
        }
        fn wake(&self) {}
    }
    let options = Options { base_url: "http://127.0.0.1:1".into(), ..Options::default() };
    let endpoint = Arc::new(Endpoint::new(&options).unwrap());
    let mut client = Connection::new(endpoint.clone(), Arc::new(Shut));
    assert_eq!(client.ping(soon()).unwrap_err().message(), "not now");
    assert_eq!(client.open(soon()).unwrap_err().message(), "not now");

    let limiter = Arc::new(NoLimit::default());
    let mut client = Connection::new(endpoint, limiter.clone());
    let error = client.ping(soon()).unwrap_err();
    assert_eq!(*limiter.outcomes.lock().unwrap(), [Err(error)]);
}

#[test]
fn a_socket_closed_after_its_response_is_replaced() {
    let server = FakeServer::start(|listener| {
        for head in [
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n",
            "HTTP/1.0 200 OK\r\n\r\n",
            "HTTP/1.1 404 OK\r\nConnection: close\r\n\r\n",
        ] {
            let mut peer = Peer::accept(listener);
            peer.request();
            peer.send(head.as_bytes());
            peer.send(b"{}");
        }
    });
    let mut client = server.client();
    for _ in 0..3 {
        client.request(&insert(), soon()).unwrap();
        assert!(is_done_with(&client) && client.probe());
    }
    assert_eq!(client.request(&insert(), soon()).unwrap_err().http_status(), Some(404));
    server.join();
}

#[test]
fn a_stale_socket_is_noticed_before_an_insert_is_sent() {
    let (closed, is_closed) = mpsc::channel();
    let server = FakeServer::start(move |listener| {
        Peer::accept(listener).serve("{}");
        closed.send(()).unwrap();
        let mut peer = Peer::accept(listener);
        peer.serve("{}");
        peer.expect_end();
    });
    let mut client = server.client();
    client.request(&insert(), soon()).unwrap();
    is_closed.recv().unwrap();
    assert!(client.is_open());
    until(|| {
        let alive = client.probe();
        alive != client.is_open() || !alive
    });
    assert!(!client.is_open(), "the probe closes what is dead");
    assert!(client.probe());
    client.request(&insert(), soon()).unwrap();
    drop(client);
    server.join();
}

#[test]
fn a_request_probes_its_socket_itself() {
    let (closed, is_closed) = mpsc::channel();
    let server = FakeServer::start(move |listener| {
        Peer::accept(listener).serve("{}");
        closed.send(()).unwrap();
        Peer::accept(listener).serve("{}");
    });
    let mut client = server.client();
    client.request(&insert(), soon()).unwrap();
    is_closed.recv().unwrap();
    // The end is on its way by now; loopback delivers it within the close.
    client.request(&insert(), soon()).unwrap();
    server.join();
}

#[test]
fn unexpected_bytes_make_a_probe_fail() {
    let (responded, has_response) = mpsc::channel();
    let server = FakeServer::start(move |listener| {
        let mut peer = Peer::accept(listener);
        peer.serve("{}");
        has_response.recv().unwrap();
        peer.send(b"HTTP/1.1 408 Request Timeout\r\n\r\n");
        peer.expect_end();
        Peer::accept(listener).serve("{}");
    });
    let mut client = server.client();
    client.ping(soon()).unwrap();
    responded.send(()).unwrap();
    until(|| !client.probe());
    assert!(!client.is_open());
    client.ping(soon()).unwrap();
    server.join();
}

/// The kept socket dies when the second request is on it: read by the server, without a response.
fn dies_with_the_second(listener: &TcpListener) {
    let mut peer = Peer::accept(listener);
    peer.serve("{}");
    peer.request();
}

#[test]
fn a_get_on_a_dying_socket_is_sent_again_once() {
    let server = FakeServer::start(|listener| {
        dies_with_the_second(listener);
        Peer::accept(listener).serve("{\"second\":true}");
    });
    let mut client = server.client();
    client.ping(soon()).unwrap();
    let response = client.request(&Request::health_check(), soon()).unwrap();
    assert_eq!(response.text().unwrap(), "{\"second\":true}");
    server.join();

    let (done, is_done) = mpsc::channel();
    let server = FakeServer::start(move |listener| {
        dies_with_the_second(listener);
        Peer::accept(listener).request();
        is_done.recv().unwrap();
        assert_nobody_waits(listener);
    });
    let mut client = server.client();
    client.ping(soon()).unwrap();
    let error = client.request(&Request::health_check(), soon()).unwrap_err();
    assert_eq!(error.code(), Code::ConnectionLost, "{error}");
    done.send(()).unwrap();
    server.join();
}

#[test]
fn an_insert_is_never_sent_twice() {
    let (done, is_done) = mpsc::channel();
    let server = FakeServer::start(move |listener| {
        dies_with_the_second(listener);
        is_done.recv().unwrap();
        assert_nobody_waits(listener);
    });
    let mut client = server.client();
    client.ping(soon()).unwrap();
    let error = client.request(&insert(), soon()).unwrap_err();
    done.send(()).unwrap();
    assert_eq!(error.code(), Code::ConnectionLost, "{error}");
    assert!(!error.is_retriable());
    assert!(
        error.message().ends_with("it is not known whether the request took effect"),
        "{error}"
    );
    server.join();
}

#[test]
fn nothing_is_sent_again_after_the_first_byte_of_a_response_or_on_a_new_socket() {
    let (done, is_done) = mpsc::channel();
    let server = FakeServer::start(move |listener| {
        let mut peer = Peer::accept(listener);
        peer.serve("{}");
        peer.request();
        peer.send(b"H");
        drop(peer);
        // The next request begins on a new socket, which dies at once.
        Peer::accept(listener).request();
        is_done.recv().unwrap();
        assert_nobody_waits(listener);
    });
    let mut client = server.client();
    client.ping(soon()).unwrap();
    for _ in 0..2 {
        let error = client.ping(soon()).unwrap_err();
        assert_eq!(error.code(), Code::ConnectionLost, "{error}");
    }
    done.send(()).unwrap();
    server.join();
}

#[test]
fn a_socket_is_retired_before_the_server_closes_it() {
    let server = FakeServer::start(|listener| {
        let mut peer = Peer::accept(listener);
        peer.request();
        peer.send(b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\n{}");
        peer.request();
        peer.send(b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=0\r\nContent-Length: 2\r\n\r\n{}");
        peer.expect_end();
        drop(peer);
        Peer::accept(listener).serve("{}");
    });
    let mut client = server.client();
    client.ping(soon()).unwrap();
    let left = client.keep_alive_until().unwrap().saturating_duration_since(Instant::now());
    assert!(left > Duration::from_secs(3) && left <= Duration::from_secs(4), "{left:?}");
    client.ping(soon()).unwrap();
    client.request(&insert(), soon()).unwrap();
    assert_eq!(client.keep_alive_until(), None);
    server.join();
}

#[test]
fn an_interrupt_cuts_the_request_in_flight_and_no_other() {
    let (arrived, has_arrived) = mpsc::channel();
    let server = FakeServer::start(move |listener| {
        for start in ["", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"a\":1}"] {
            let mut peer = Peer::accept(listener);
            peer.request();
            peer.send(start.as_bytes());
            arrived.send(()).unwrap();
            peer.expect_end();
        }
        let mut peer = Peer::accept(listener);
        peer.serve("{}");
        peer.serve("{}");
    });
    let mut client = server.client();
    let cancel_handle = client.cancel_handle();
    cancel_handle.cancel();
    let mut soonest = Duration::MAX;
    for _ in 0..2 {
        let cut = thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let error = client.request(&insert(), soon()).unwrap_err();
                (error, Instant::now())
            });
            has_arrived.recv().unwrap();
            let cut = Instant::now();
            cancel_handle.cancel();
            cancel_handle.clone().cancel();
            let (error, back) = waiting.join().unwrap();
            assert_eq!(error.code(), Code::Cancelled, "{error}");
            assert!(!error.is_retriable());
            back - cut
        });
        soonest = soonest.min(cut);
        assert!(is_done_with(&client));
        cancel_handle.cancel();
    }
    // On a busy machine a thread may come to its turn late, but not each time.
    assert!(soonest < Duration::from_millis(100), "{soonest:?}");
    client.ping(soon()).expect("an interrupt while idle touches no later request");
    cancel_handle.cancel();
    assert!(!cancel_handle.is_cancelled() && client.is_open() && client.probe());
    client.ping(soon()).expect("nor the socket");
    server.join();
}

#[test]
fn an_interrupt_for_good_also_refuses_what_comes_later() {
    let server = FakeServer::start(|listener| {
        let mut peer = Peer::accept(listener);
        peer.serve("{}");
        peer.expect_end();
    });
    let mut client = server.client();
    client.ping(soon()).unwrap();
    client.cancel_handle().cancel_for_good();
    for _ in 0..2 {
        assert_eq!(client.ping(soon()).unwrap_err().code(), Code::Cancelled);
        assert_eq!(client.request(&insert(), soon()).unwrap_err().code(), Code::Cancelled);
    }
    client.close(Duration::ZERO);
    server.join();
}

#[test]
fn a_cancel_reaches_a_request_that_waits_for_a_permit() {
    #[derive(Default)]
    struct Waiting {
        is_asked: std::sync::Mutex<bool>,
        change: std::sync::Condvar,
    }
    impl DialLimiter for Waiting {
        fn permit(&self, _: Instant, request: &SocketHandle) -> Result<Option<DialPermit>> {
            let mut is_asked = self.is_asked.lock().unwrap();
            *is_asked = true;
            self.change.notify_all();
            while !request.is_cancelled() {
                is_asked = self.change.wait(is_asked).unwrap();
            }
            Err(Error::new(Code::Timeout, "any error"))
        }
        fn wake(&self) {
            let _is_asked = self.is_asked.lock().unwrap();
            self.change.notify_all();
        }
    }
    let options = Options { base_url: "http://127.0.0.1:1".into(), ..Options::default() };
    let endpoint = Arc::new(Endpoint::new(&options).unwrap());
    let limiter = Arc::new(Waiting::default());
    let mut client = Connection::new(endpoint, limiter.clone());
    let cancel_handle = client.cancel_handle();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| client.open(soon()).unwrap_err());
        let mut is_asked = limiter.is_asked.lock().unwrap();
        while !*is_asked {
            is_asked = limiter.change.wait(is_asked).unwrap();
        }
        drop(is_asked);
        cancel_handle.cancel();
        assert_eq!(waiting.join().unwrap().code(), Code::Cancelled);
    });
}

/// A listener whose backlog is full, so that a connection to it is never completed, and the
/// sockets that fill it.
fn full_listener() -> (TcpListener, Vec<std::net::TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // std's backlog can't be set, but listen can be called again with a smaller one.
    unsafe_listen(&listener);
    let mut fill = Vec::new();
    while let Ok(stream) =
        std::net::TcpStream::connect_timeout(&address, Duration::from_millis(100))
    {
        fill.push(stream);
        assert!(fill.len() < 100, "the backlog is never full");
    }
    (listener, fill)
}

fn unsafe_listen(listener: &TcpListener) {
    use std::os::fd::AsRawFd;
    // SAFETY: listen takes plain numbers, and the descriptor is open.
    assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
}

#[test]
fn a_connect_without_a_response_ends_at_connect_timeout_or_when_cut() {
    let (listener, _fill) = full_listener();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let limit = Duration::from_millis(100);
    let mut client = client(&url, |options| options.connect_timeout = limit);
    let start = Instant::now();
    let error = client.ping(soon()).unwrap_err();
    let took = start.elapsed();
    assert_eq!(error.code(), Code::Timeout, "{error}");
    let message = format!("Timeout: no connection to {url} after 100 ms (connect_timeout): ");
    assert!(error.message().starts_with(&message), "{error}");
    assert!(took >= limit && took < limit * 2, "{took:?}");

    let mut client =
        support::fake_server::client(&url, |options| options.connect_timeout = WAIT_LIMIT);
    let cancel_handle = client.cancel_handle();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| (client.ping(soon()).unwrap_err(), Instant::now()));
        // Nothing tells from outside when the connect has begun; cutting too early would do
        // nothing, so the cut is repeated until it took effect.
        let mut last = Instant::now();
        while !waiting.is_finished() {
            last = Instant::now();
            cancel_handle.cancel();
            thread::sleep(Duration::from_millis(20));
        }
        let (error, back) = waiting.join().unwrap();
        assert_eq!(error.code(), Code::Cancelled, "{error}");
        assert!(back < last + Duration::from_millis(100));
    });
}

#[test]
fn close_waits_no_longer_than_it_lingers() {
    let (back, is_back) = mpsc::channel();
    let server = FakeServer::start(move |listener| {
        let mut peer = Peer::accept(listener);
        peer.serve("{}");
        peer.expect_end();
        is_back.recv().unwrap();
    });
    let mut client = server.client();
    client.ping(soon()).unwrap();
    let linger = Duration::from_millis(100);
    let start = Instant::now();
    client.close(linger);
    let took = start.elapsed();
    // The server would not have closed.
    assert!(took >= linger && took < WAIT_LIMIT, "{took:?}");
    assert!(!client.is_open());
    back.send(()).unwrap();
    server.join();
}

#[test]
fn when_close_is_back_the_server_has_seen_the_end() {
    let (ended, has_ended) = mpsc::channel();
    let server = FakeServer::start(move |listener| {
        let mut peer = Peer::accept(listener);
        peer.serve("{}");
        peer.expect_end();
        ended.send(()).unwrap();
    });
    let mut client = server.client();
    client.ping(soon()).unwrap();
    client.close(WAIT_LIMIT);
    has_ended.try_recv().expect("the server knows before close is back");
    server.join();
}

#[test]
fn a_drop_closes_the_socket_even_while_interrupters_live() {
    let server = FakeServer::start(|listener| {
        let mut peer = Peer::accept(listener);
        peer.serve("{}");
        peer.expect_end();
    });
    let mut client = server.client();
    client.ping(soon()).unwrap();
    let cancel_handle = client.cancel_handle();
    drop(client);
    server.join();
    cancel_handle.cancel();
}

#[test]
fn interrupts_at_any_moment_never_touch_another_socket() {
    let server = FakeServer::start(|listener| {
        let mut threads = Vec::new();
        loop {
            let mut peer = Peer::accept(listener);
            let mut first = [0];
            if peer.0.peek(&mut first).is_ok_and(|_| first == *b"Q") {
                break;
            }
            threads.push(thread::spawn(move || {
                use std::io::{Read, Write};
                let mut buffer = [0; 4096];
                while peer.0.read(&mut buffer).is_ok_and(|count| count > 0) {
                    if peer.0.write_all(ok("{}").as_bytes()).is_err() {
                        return;
                    }
                }
            }));
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
    let address = server.address();
    let mut victim = server.client();
    let mut bystander = server.client();
    let cancel_handle = victim.cancel_handle();
    let is_over = std::sync::atomic::AtomicBool::new(false);
    /// Ends the interrupting thread, also when an assertion fails.
    struct Over<'a>(&'a std::sync::atomic::AtomicBool);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    thread::scope(|scope| {
        let _over = Over(&is_over);
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                cancel_handle.cancel();
                thread::yield_now();
            }
        });
        for _ in 0..300 {
            match victim.ping(soon()) {
                Ok(_) => {}
                Err(error) => assert_eq!(error.code(), Code::Cancelled, "{error}"),
            }
            bystander.ping(soon()).expect("nobody interrupts this one");
        }
    });
    victim.ping(soon()).unwrap();
    drop((victim, bystander));
    std::io::Write::write_all(&mut std::net::TcpStream::connect(address).unwrap(), b"Q").unwrap();
    server.join();
}
