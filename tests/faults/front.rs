//! A front that accepts for a server that is not there, and closes (rule 10).

use std::io::Read;
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use phantomdb::{Code, LogLevel, Logger, Options, Pool, Request, Validation};

use crate::common::{Secure, ask, eventually, insert, is_sound, patient};
use crate::support::fault_proxy::{End, FaultProxy, Mode};
use crate::support::port;

/// Accepts, reads something if it is to, and closes.
struct Front {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Front {
    fn start(reads_first: bool) -> Front {
        let listener: TcpListener = port::listener();
        let address = listener.local_addr().unwrap();
        let (accepted, is_over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, over) = (accepted.clone(), is_over.clone());
        let thread = thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                count.fetch_add(1, Ordering::SeqCst);
                if reads_first {
                    let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
                    let _ = stream.read(&mut [0; 1]);
                }
                let _ = stream.shutdown(Shutdown::Both);
            }
        });
        Front { address, accepted, is_over, thread: Some(thread) }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        let _ = std::net::TcpStream::connect(self.address);
        self.thread.take().unwrap().join().unwrap();
    }
}

#[derive(Default)]
struct Lines(Mutex<Vec<(LogLevel, String)>>);

fn log_into(lines: &Arc<Lines>) -> Logger {
    let lines = lines.clone();
    Logger::new(move |level, message: &str| {
        lines.0.lock().unwrap().push((level, message.to_owned()));
    })
}

#[test]
fn rule_10_a_front_that_accepts_and_closes_is_an_outage_with_back_off() {
    thread::scope(|scope| {
        for validation in [Validation::Socket, Validation::Ping, Validation::None] {
            for (preconnect, reads_first) in [(false, false), (false, true), (true, false)] {
                scope.spawn(move || outage_behind_a_front(validation, preconnect, reads_first));
            }
        }
    });
}

fn outage_behind_a_front(validation: Validation, preconnect: bool, reads_first: bool) {
    let what = format!("{validation:?}, preconnect {preconnect}, reads {reads_first}");
    let front = Front::start(reads_first);
    let lines = Arc::<Lines>::default();
    let pool = Pool::new(Options {
        min_connections: 2,
        validation,
        preconnect,
        log: Some(log_into(&lines)),
        ..patient(&front.url())
    })
    .unwrap();
    let until = Instant::now() + Duration::from_secs(1);
    let refusals = AtomicUsize::new(0);
    thread::scope(|scope| {
        for caller in 0..2 {
            let (pool, refusals, what) = (&pool, &refusals, &what);
            scope.spawn(move || {
                while Instant::now() < until {
                    // One of them can't be repeated.
                    let request = if caller == 0 { Request::list_databases() } else { insert(1) };
                    let error = pool.request(&request).unwrap_err();
                    match error.code() {
                        Code::Unavailable => {
                            assert!(error.retry_after().is_some(), "{what}: {error:?}");
                            refusals.fetch_add(1, Ordering::SeqCst);
                        }
                        Code::ConnectionLost => {}
                        _ => panic!("{what}: {error:?}"),
                    }
                    thread::yield_now();
                }
            });
        }
    });
    let dials = front.accepted.load(Ordering::SeqCst);
    assert!(dials <= 32, "{what}: {dials} dials in a second");
    assert!(refusals.load(Ordering::SeqCst) > 0, "{what}: nobody was told");
    let status = pool.status();
    assert_eq!((status.available, status.used), (0, 0), "{what}: {status:?}");
    let lines = lines.0.lock().unwrap();
    let begun = lines.iter().filter(|(level, _)| *level == LogLevel::Warning).count();
    assert_eq!(begun, 1, "{what}: {lines:?}");
}

#[test]
fn rule_10_a_front_with_tls_that_closes_before_its_first_response_is_an_outage() {
    let secure = Secure::start();
    // After how many bytes the handshake is over, and no response has begun, depends on TLS.
    let is_front = |bytes: &u64| {
        secure.proxy.set(Mode::CutAfter { bytes: *bytes, end: End::Close });
        let pool = Pool::new(Options { min_connections: 1, ..secure.options() }).unwrap();
        ask(&pool).is_err_and(|error| error.message().contains("without a response"))
    };
    let bytes = (500..3000).step_by(20).find(is_front).expect("the handshake ends before the cut");
    secure.proxy.set(Mode::CutAfter { bytes, end: End::Close });
    let pool = Pool::new(Options { min_connections: 1, ..secure.options() }).unwrap();
    let until = Instant::now() + Duration::from_secs(1);
    while Instant::now() < until {
        let _ = ask(&pool);
    }
    let dials = secure.proxy.counts().dials_in_mode;
    assert!(dials <= 32, "{dials} dials in a second");
    secure.proxy.set(Mode::Pass);
    is_sound(&pool);
}

#[test]
fn rule_10_when_the_server_behind_the_front_is_back_the_pool_is() {
    let server = crate::support::devserver::DevServer::start();
    let proxy = FaultProxy::before(server.port());
    let lines = Arc::<Lines>::default();
    let options = Options { log: Some(log_into(&lines)), ..patient(&proxy.url()) };
    let pool = Pool::new(options).unwrap();
    proxy.set(Mode::HangUp);
    eventually("the outage is told", || {
        ask(&pool).is_err_and(|error| error.code() == Code::Unavailable)
    });
    proxy.set(Mode::Pass);
    eventually("the pool works again", || ask(&pool).is_ok());
    eventually("the log says so", || lines.0.lock().unwrap().len() >= 2);
    let lines = lines.0.lock().unwrap().clone();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[1].1.contains("reached again"), "{lines:?}");
    is_sound(&pool);
}
