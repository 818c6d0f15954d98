//! What the tests of faults share.

use std::fmt::Debug;
use std::thread;
use std::time::{Duration, Instant};

use phantomdb::{Error, Options, Pool, Request, Response};

use crate::support::certificate::Certificate;
use crate::support::devserver::DevServer;
use crate::support::fault_proxy::FaultProxy;

/// Longer than anything here takes, so that a hang fails instead of passing late.
pub const WAIT_LIMIT: Duration = Duration::from_secs(20);
/// What a busy machine may add to a time-out; every other time-out is longer than this.
pub const SLACK: Duration = Duration::from_millis(1500);

/// A pool's options in which every time-out is long, so that a test shortens the one it means.
pub fn patient(url: &str) -> Options {
    Options {
        base_url: url.to_owned(),
        min_connections: 0,
        max_connections: 4,
        acquire_timeout: WAIT_LIMIT,
        request_timeout: WAIT_LIMIT,
        connect_timeout: WAIT_LIMIT,
        validation_timeout: WAIT_LIMIT,
        close_timeout: WAIT_LIMIT,
        ..Options::default()
    }
}

/// A server that speaks TLS, with a proxy before it. The proxy can make a dial slow or fail only
/// where a dial takes a response: the kernel completes a plain one on its own.
pub struct Secure {
    pub proxy: FaultProxy,
    pub certificate: Certificate,
    _server: DevServer,
}

impl Secure {
    pub fn start() -> Secure {
        let certificate = Certificate::new();
        let arguments = certificate.arguments();
        let server = DevServer::start_with(&arguments.each_ref().map(String::as_str));
        Secure { proxy: FaultProxy::before(server.port()), certificate, _server: server }
    }

    pub fn options(&self) -> Options {
        Options { tls_ca_file: Some(self.certificate.file()), ..patient(&self.proxy.tls_url()) }
    }
}

/// The cheapest request.
pub fn ask(pool: &Pool) -> Result<Response, Error> {
    pool.request(&Request::list_databases())
}

/// Makes a table with one column, `id`, that takes the same number twice.
pub fn make_table(pool: &Pool) {
    pool.request(&Request::create_database("shop").unwrap()).unwrap();
    let columns = r#"[{"name":"id","type":"integer"}]"#;
    pool.request(&Request::create_table("shop", "items", columns).unwrap()).unwrap();
}

pub fn insert(id: i64) -> Request {
    Request::insert("shop", "items", &format!(r#"{{"id":{id}}}"#)).unwrap()
}

/// The ids of a response to a select.
pub fn ids(response: &Response) -> Vec<i64> {
    let table = response.table().unwrap();
    let Ok(column) = table.column_index("id") else { return Vec::new() };
    (0..table.row_count()).map(|row| table.cell(row, column).unwrap().int64().unwrap()).collect()
}

/// Every id in the table.
pub fn all_ids(pool: &Pool) -> Vec<i64> {
    ids(&pool.request(&Request::select("shop", "items", None).unwrap()).unwrap())
}

/// A figure of the server, asked over the pool itself, so that nobody else's connection counts.
pub fn server_figure(pool: &Pool, name: &str) -> i64 {
    let stats = pool.request(&Request::raw("GET", "/api/v1/stats", None).unwrap()).unwrap();
    let stats = stats.table().unwrap();
    stats.cell(0, stats.column_index(name).unwrap()).unwrap().int64().unwrap()
}

/// Waits for what nothing signals, and fails after a long while.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + WAIT_LIMIT;
    while !is_so() {
        assert!(Instant::now() < deadline, "never came to pass: {what}");
        thread::yield_now();
    }
}

/// Fails unless the work takes as long as `timeout`, and not much longer.
#[track_caller]
pub fn lasting<T>(timeout: Duration, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let outcome = work();
    let lasted = started.elapsed();
    assert!(lasted >= timeout, "over after {lasted:?}, before its time-out of {timeout:?}");
    assert!(lasted < timeout + SLACK, "took {lasted:?}; its time-out was {timeout:?}");
    outcome
}

/// Fails unless the work is done at once.
#[track_caller]
pub fn promptly<T>(work: impl FnOnce() -> T) -> T {
    lasting(Duration::ZERO, work)
}

/// Fails unless the error says this.
#[track_caller]
pub fn says(error: &Error, words: &str) {
    assert!(error.message().contains(words), "{error:?}");
}

/// The fault is over: nothing is out or queued, the pool works with all the connections that it
/// may have, and closes.
#[track_caller]
pub fn is_sound(pool: &Pool) {
    eventually("nothing is in use", || {
        let status = pool.status();
        assert!(status.total <= status.max, "{status:?}");
        status.used == 0 && status.pending == 0
    });
    eventually("the pool works again", || ask(pool).is_ok());
    let max = pool.status().max;
    let leases = all((0..max).map(|_| pool.acquire()));
    for lease in &leases {
        lease.request(&Request::list_databases()).unwrap();
    }
    drop(leases);
    promptly(|| pool.close()).unwrap();
    let status = pool.status();
    assert_eq!((status.total, status.used, status.pending), (0, 0, 0));
}

fn all<T, E: Debug>(outcomes: impl Iterator<Item = Result<T, E>>) -> Vec<T> {
    outcomes.map(|outcome| outcome.unwrap()).collect()
}
