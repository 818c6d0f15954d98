//! Connections whose peer is gone, or has forgotten them, without a packet (rules 14 and 17).

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use phantomdb::{Code, Options, Pool, Request, Validation};

use crate::common::{SLACK, ask, eventually, insert, is_sound, make_table, patient, says};
use crate::support::devserver::DevServer;
use crate::support::fault_proxy::FaultProxy;

const SHORT: Duration = Duration::from_millis(250);
const WARM: u32 = 10;

/// Opens so many connections, all idle then.
fn warm(pool: &Pool) {
    let leases: Vec<_> = (0..WARM).map(|_| pool.acquire().unwrap()).collect();
    for lease in &leases {
        lease.request(&Request::list_databases()).unwrap();
    }
}

#[test]
fn rule_14_ten_connections_gone_silent_cost_one_failure() {
    for validation in [Validation::Socket, Validation::Ping, Validation::None] {
        let server = DevServer::start();
        let proxy = FaultProxy::before(server.port());
        let pool = Pool::new(Options {
            validation,
            validate_after: Duration::from_secs(60),
            validation_timeout: SHORT,
            request_timeout: SHORT,
            max_connections: WARM,
            ..patient(&proxy.url())
        })
        .unwrap();
        make_table(&pool);
        warm(&pool);
        proxy.freeze_all();
        let mut failures = 0;
        for id in 0..14 {
            failures += usize::from(pool.request(&insert(id)).is_err());
        }
        assert_eq!(failures, 1, "{validation:?}");
        is_sound(&pool);
    }
}

/// Programs have deadlines of their own, and cut what takes longer.
#[test]
fn rule_14_a_request_that_was_cut_without_a_response_casts_suspicion_too() {
    let server = DevServer::start();
    let proxy = FaultProxy::before(server.port());
    let pool = Pool::new(Options {
        validate_after: Duration::from_secs(60),
        validation_timeout: SHORT,
        max_connections: WARM,
        ..patient(&proxy.url())
    })
    .unwrap();
    make_table(&pool);
    warm(&pool);
    proxy.freeze_all();
    let insert_within = |time: Duration, id: i64| {
        let lease = pool.acquire().unwrap();
        let (done, is_done) = mpsc::channel();
        thread::scope(|scope| {
            let lease = &lease;
            scope.spawn(move || {
                if is_done.recv_timeout(time).is_err() {
                    lease.cancel();
                }
            });
            let outcome = lease.request(&insert(id));
            done.send(()).ok();
            outcome
        })
    };
    let failures: Vec<_> = (0..14).filter_map(|id| insert_within(SHORT, id).err()).collect();
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!((failures[0].code(), failures[0].is_retriable()), (Code::Cancelled, false));
    is_sound(&pool);
}

#[test]
fn rule_14_silent_connections_are_pinged_side_by_side() {
    let server = DevServer::start();
    let proxy = FaultProxy::before(server.port());
    let pool = Pool::new(Options {
        validation: Validation::Ping,
        validate_after: Duration::ZERO,
        validation_timeout: SHORT,
        max_connections: WARM,
        ..patient(&proxy.url())
    })
    .unwrap();
    warm(&pool);
    proxy.freeze_all();
    let started = Instant::now();
    ask(&pool).unwrap();
    let took = started.elapsed();
    // One ping finds it out, the others follow at once, and then the dial has room.
    assert!(took < SHORT * 6, "{took:?}");
    is_sound(&pool);
}

#[test]
fn rule_21_an_acquire_that_waits_for_pings_says_so() {
    let server = DevServer::start();
    let proxy = FaultProxy::before(server.port());
    let pool = Pool::new(Options {
        validation: Validation::Ping,
        validate_after: Duration::ZERO,
        max_connections: 1,
        acquire_timeout: SHORT,
        ..patient(&proxy.url())
    })
    .unwrap();
    ask(&pool).unwrap();
    proxy.freeze_all();
    let error = pool.acquire().unwrap_err();
    assert_eq!(error.code(), Code::Timeout);
    says(&error, "0 of 1 connections in use, 1 waiting; 1 connection is being checked");
    proxy.reset_all();
    is_sound(&pool);
}

#[test]
fn rule_17_what_the_server_closed_is_noticed_within_two_seconds() {
    for validation in [Validation::Socket, Validation::Ping, Validation::None] {
        let server = DevServer::start();
        let proxy = FaultProxy::before(server.port());
        let pool = Pool::new(Options {
            validation,
            min_connections: 2,
            max_connections: WARM,
            ..patient(&proxy.url())
        })
        .unwrap();
        warm(&pool);
        assert_eq!(pool.status().available, WARM);
        proxy.close_all();
        let started = Instant::now();
        eventually("the housekeeper closes them", || {
            pool.stats_json().contains(&format!(r#""dead":{WARM}"#)) && pool.status().total == 2
        });
        let took = started.elapsed();
        assert!(took < Duration::from_secs(2) + SLACK, "{validation:?}: {took:?}");
        assert_eq!(pool.status().available, 2, "the minimum is refilled");
        is_sound(&pool);
    }
}

/// A connection that was opened in advance is new for a second. Afterwards it is kept, as one that was
/// used is, though no response has come over it.
#[test]
fn rule_14_connections_that_nobody_has_used_yet_cost_one_failure_too() {
    let server = DevServer::start();
    let proxy = FaultProxy::before(server.port());
    make_table(&Pool::new(patient(&proxy.url())).unwrap());
    let pool = Pool::new(Options {
        preconnect: true,
        validate_after: Duration::from_secs(60),
        validation_timeout: SHORT,
        request_timeout: SHORT,
        min_connections: WARM,
        max_connections: WARM,
        ..patient(&proxy.url())
    })
    .unwrap();
    eventually("all are open", || pool.status().available == WARM);
    // For so long they are new.
    thread::sleep(Duration::from_millis(1100));
    proxy.freeze_all();
    let failures = (0..14).filter(|id| pool.request(&insert(*id)).is_err()).count();
    assert_eq!(failures, 1);
    is_sound(&pool);
}
