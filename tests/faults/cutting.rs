//! Connections that break in the middle of something.

use std::collections::HashMap;
use std::sync::Mutex;
use std::thread;

use phantomdb::{Code, Error, Options, Pool, Request, Response};

use crate::common::{all_ids, ids, insert, is_sound, make_table, patient, promptly, says};
use crate::support::devserver::DevServer;
use crate::support::fault_proxy::{End, FaultProxy, Mode};

const ROWS: i64 = 100;

/// A select whose response is cut in the middle of its body.
fn cut_in_the_body(end: End, why: &str) {
    let server = DevServer::start();
    let proxy = FaultProxy::before(server.port());
    let pool = Pool::new(patient(&proxy.url())).unwrap();
    make_table(&pool);
    for id in 0..ROWS {
        pool.request(&insert(id)).unwrap();
    }
    proxy.set(Mode::CutAfter { bytes: 600, end });
    proxy.reset_all();
    let all = Request::select("shop", "items", None).unwrap();
    let before = proxy.counts();
    let error = promptly(|| pool.request(&all)).unwrap_err();
    assert_eq!(error.code(), Code::ConnectionLost);
    says(&error, why);
    assert!(error.is_retriable());
    let after = proxy.counts();
    assert_eq!(after.cuts - before.cuts, 1, "half a response must not make the client send again");
    proxy.set(Mode::Pass);
    assert_eq!(ids(&pool.request(&all).unwrap()).len(), ROWS as usize);
    is_sound(&pool);
}

#[test]
fn rule_13_a_reset_in_the_middle_of_a_body_fails_that_request_only() {
    cut_in_the_body(End::Reset, "in the middle of the response");
}

#[test]
fn rule_13_an_end_in_the_middle_of_a_body_fails_that_request_only() {
    cut_in_the_body(End::Close, "in the middle of its response");
}

/// Sends a request, and again when the pool says so, as long as nothing of it was sent: a new connection
/// that is cut before its first response begins an outage.
fn politely(pool: &Pool, request: &Request) -> Result<Response, Error> {
    loop {
        match pool.request(request) {
            Err(error) if error.code() == Code::Unavailable => {
                thread::sleep(error.retry_after().unwrap_or_default());
            }
            outcome => return outcome,
        }
    }
}

#[test]
fn rule_15_no_insert_is_lost_or_doubled_however_its_connection_breaks() {
    const CALLERS: i64 = 8;
    const INSERTS: i64 = 250;
    let server = DevServer::start();
    let proxy = FaultProxy::with_seed(server.port(), 15);
    let pool = Pool::new(patient(&proxy.url())).unwrap();
    make_table(&pool);
    proxy.set(Mode::CutWithin { bytes: 6000 });
    proxy.reset_all();
    let acknowledged = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for caller in 0..CALLERS {
            let (pool, acknowledged) = (&pool, &acknowledged);
            scope.spawn(move || {
                for id in caller * INSERTS..(caller + 1) * INSERTS {
                    let was_acknowledged = politely(pool, &insert(id)).is_ok();
                    let own = format!("id = {id}");
                    let own = Request::select("shop", "items", Some(&own)).unwrap();
                    if let Ok(found) = politely(pool, &own).map(|response| ids(&response)) {
                        assert!(found.iter().all(|&other| other == id));
                        assert!(found.len() <= 1, "insert {id} was sent twice");
                        assert!(!was_acknowledged || found.len() == 1, "insert {id} was lost");
                    }
                    if was_acknowledged {
                        acknowledged.lock().unwrap().push(id);
                    }
                }
            });
        }
    });
    let counts = proxy.counts();
    assert!(counts.cuts > 200, "{counts:?}");
    assert!(counts.peak <= 4, "{counts:?}");
    proxy.set(Mode::Pass);
    proxy.reset_all();
    let mut found: HashMap<i64, u32> = HashMap::new();
    for id in all_ids(&pool) {
        *found.entry(id).or_default() += 1;
    }
    let acknowledged = acknowledged.into_inner().unwrap();
    assert!(acknowledged.len() > 1000, "{} of 2000", acknowledged.len());
    for id in acknowledged {
        assert_eq!(found.get(&id), Some(&1), "insert {id} was acknowledged");
    }
    let doubled: Vec<_> = found.iter().filter(|(_, count)| **count > 1).collect();
    assert!(doubled.is_empty(), "{doubled:?}");
    is_sound(&pool);
}

#[test]
fn rule_14_connections_that_ended_while_idle_are_replaced_within_the_acquire() {
    let server = DevServer::start();
    let proxy = FaultProxy::before(server.port());
    let options = Options { validate_after: std::time::Duration::ZERO, ..patient(&proxy.url()) };
    let pool = Pool::new(options).unwrap();
    make_table(&pool);
    for id in 0..20 {
        let leases: Vec<_> = (0..4).map(|_| pool.acquire().unwrap()).collect();
        for lease in &leases {
            lease.request(&Request::list_databases()).unwrap();
        }
        drop(leases);
        if id % 2 == 0 {
            proxy.reset_all();
        } else {
            proxy.close_all();
        }
        // An insert is not sent again by anyone.
        pool.request(&insert(id)).unwrap();
    }
    assert_eq!(all_ids(&pool), (0..20).collect::<Vec<_>>());
    is_sound(&pool);
}
