//! The pool with real threads, real sockets and the development server.

mod support;

use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use phantomdb::{Code, LogLevel, Logger, Options, Pool, Request, Validation};
use support::devserver::DevServer;

/// Longer than anything here takes, so that a hang fails instead of passing late.
const WAIT_LIMIT: Duration = Duration::from_secs(20);

fn options(server: &DevServer) -> Options {
    Options {
        base_url: server.url().to_owned(),
        min_connections: 0,
        max_connections: 2,
        acquire_timeout: WAIT_LIMIT,
        ..Options::default()
    }
}

fn without_server() -> Options {
    // Port 1 on loopback: nobody listens there.
    Options { base_url: "http://127.0.0.1:1".to_owned(), ..Options::default() }
}

/// A figure of the server, asked over a connection of its own.
fn server_figure(server: &DevServer, name: &str) -> u64 {
    figure_over(&Pool::new(Options { max_connections: 1, ..options(server) }).unwrap(), name)
}

fn figure_over(pool: &Pool, name: &str) -> u64 {
    let stats = pool.request(&Request::raw("GET", "/api/v1/stats", None).unwrap()).unwrap();
    let stats = stats.table().unwrap();
    let column = stats.column_index(name).unwrap();
    u64::try_from(stats.cell(0, column).unwrap().int64().unwrap()).unwrap()
}

/// Waits until the pool shows what is expected; the pool signals nothing outside, so this
/// looks again and again, and fails after a long while.
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + WAIT_LIMIT;
    while !is_so() {
        assert!(Instant::now() < deadline, "never came to pass: {what}");
        thread::yield_now();
    }
}

#[test]
fn rule_22_a_new_pool_reports_its_minimum_available_without_a_server() {
    let pool = Pool::new(without_server()).unwrap();
    let status = pool.status();
    assert_eq!((status.available, status.used, status.pending), (2, 0, 0));
    assert_eq!((status.total, status.min, status.max), (2, 2, 10));
    assert_eq!(
        status.to_json(),
        r#"{"available":2,"used":0,"pending":0,"total":2,"min":2,"max":10}"#
    );
    let lease = pool.acquire().unwrap();
    assert_eq!((pool.status().available, pool.status().used), (1, 1));
    drop(lease);
    assert_eq!((pool.status().available, pool.status().used), (2, 0));
}

#[test]
fn rule_03_a_caller_is_back_at_its_deadline_with_the_reason() {
    let server = DevServer::start();
    let pool = Pool::new(options(&server)).unwrap();
    let _held = [pool.acquire().unwrap(), pool.acquire().unwrap()];
    let timeout = Duration::from_millis(50);
    let started = Instant::now();
    let error = pool.acquire_timeout(timeout).unwrap_err();
    assert!(started.elapsed() >= timeout);
    assert_eq!(error.code(), Code::Timeout);
    assert_eq!(
        error.message(),
        "Timeout acquiring connection after 0.1 s: 2 of 2 connections in use, 1 waiting"
    );
    assert_eq!(pool.status().pending, 0);
}

#[test]
fn rule_04_try_never_waits() {
    let server = DevServer::start();
    let pool = Pool::new(options(&server)).unwrap();
    let held = [pool.try_acquire().unwrap(), pool.try_acquire().unwrap()];
    assert_eq!(pool.try_acquire().unwrap_err().code(), Code::WouldBlock);
    drop(held);
    pool.try_acquire().unwrap().request(&Request::list_databases()).unwrap();
}

#[test]
fn rule_05_waiters_are_served_in_the_order_in_which_they_came() {
    let server = DevServer::start();
    let pool = Arc::new(Pool::new(Options { max_connections: 1, ..options(&server) }).unwrap());
    let held = pool.acquire().unwrap();
    let (served, order) = mpsc::channel();
    let waiters: Vec<_> = (0..8)
        .map(|number| {
            let (pool_of_waiter, served) = (pool.clone(), served.clone());
            let waiter = thread::spawn(move || {
                let lease = pool_of_waiter.acquire().unwrap();
                served.send(number).unwrap();
                drop(lease);
            });
            eventually("the waiter is queued", || pool.status().pending == number + 1);
            waiter
        })
        .collect();
    drop(held);
    for waiter in waiters {
        waiter.join().unwrap();
    }
    assert_eq!(order.try_iter().collect::<Vec<_>>(), (0..8).collect::<Vec<_>>());
}

#[test]
fn rule_05_the_connection_used_last_is_handed_out_next() {
    let server = DevServer::start();
    let pool = Pool::new(options(&server)).unwrap();
    let (first, second) = (pool.acquire().unwrap(), pool.acquire().unwrap());
    for lease in [&first, &second] {
        lease.request(&Request::list_databases()).unwrap();
    }
    drop(first);
    drop(second);
    let before = server_figure(&server, "connections_accepted");
    for _ in 0..5 {
        pool.acquire().unwrap().request(&Request::list_databases()).unwrap();
    }
    // Each look at the figures is one connection of its own.
    assert_eq!(server_figure(&server, "connections_accepted"), before + 1);
}

#[test]
fn rule_01_the_server_never_counts_more_than_max() {
    let server = DevServer::start();
    let max = 3;
    let pool = Arc::new(Pool::new(Options { max_connections: max, ..options(&server) }).unwrap());
    let callers: Vec<_> = (0..16)
        .map(|caller| {
            let pool = pool.clone();
            thread::spawn(move || {
                for round in 0..60 {
                    let lease = pool.acquire().unwrap();
                    lease.request(&Request::list_databases()).unwrap();
                    if (round + caller) % 3 == 0 {
                        lease.discard();
                    }
                }
            })
        })
        .collect();
    for caller in callers {
        caller.join().unwrap();
    }
    let status = pool.status();
    assert_eq!((status.used, status.pending), (0, 0));
    assert!(figure_over(&pool, "connections_peak") <= u64::from(max));
}

#[test]
fn rule_13_an_open_transaction_is_rolled_back_before_the_next_user() {
    let server = DevServer::start();
    let pool = Pool::new(Options { max_connections: 1, ..options(&server) }).unwrap();
    pool.request(&Request::create_database("shop").unwrap()).unwrap();
    let columns = r#"[{"name":"id","type":"integer"}]"#;
    pool.request(&Request::create_table("shop", "items", columns).unwrap()).unwrap();
    let lease = pool.acquire().unwrap();
    lease.request(&Request::begin_transaction(Some("shop")).unwrap()).unwrap();
    lease.request(&Request::insert("shop", "items", r#"{"id":1}"#).unwrap()).unwrap();
    drop(lease);
    let rows = pool.request(&Request::select("shop", "items", None).unwrap()).unwrap();
    assert_eq!(rows.table().unwrap().row_count(), 0);
}

#[test]
fn rule_14_a_connection_that_died_while_idle_is_replaced_within_the_acquire() {
    let server = DevServer::start_with(&["--keep-alive-timeout", "1"]);
    let pool = Pool::new(Options {
        max_connections: 1,
        validate_after: Duration::ZERO,
        ..options(&server)
    })
    .unwrap();
    for _ in 0..3 {
        let lease = pool.acquire().unwrap();
        lease.request(&Request::list_databases()).unwrap();
        drop(lease);
        let idle_since = Instant::now();
        eventually("the server closed the idle connection", || {
            idle_since.elapsed() > Duration::from_secs(1)
                && server_figure(&server, "connections_open") == 1
        });
    }
}

#[test]
fn rule_17_the_surplus_idles_out_and_the_minimum_stays() {
    let server = DevServer::start();
    let pool = Pool::new(Options {
        min_connections: 1,
        max_connections: 4,
        idle_timeout: Duration::from_millis(100),
        ..options(&server)
    })
    .unwrap();
    let leases: Vec<_> = (0..4).map(|_| pool.acquire().unwrap()).collect();
    for lease in &leases {
        lease.request(&Request::list_databases()).unwrap();
    }
    drop(leases);
    assert_eq!(pool.status().total, 4);
    eventually("the surplus is closed", || pool.status().total == 1);
    assert_eq!(pool.status().available, 1);
}

#[test]
fn rule_17_preconnect_opens_the_minimum_at_create() {
    let server = DevServer::start();
    let pool =
        Pool::new(Options { min_connections: 2, preconnect: true, ..options(&server) }).unwrap();
    eventually("the minimum is open", || pool.status().available == 2);
    eventually("two of the pool are open, and the one that asks", || {
        server_figure(&server, "connections_open") == 3
    });
}

#[test]
fn rule_10_in_an_outage_callers_learn_the_cause_and_afterwards_the_pool_recovers() {
    let server = DevServer::start();
    let port = server.port();
    let pool = Pool::new(options(&server)).unwrap();
    pool.request(&Request::list_databases()).unwrap();
    server.kill();
    let error = pool.request(&Request::list_databases()).unwrap_err();
    let error = match error.code() {
        // The broken connection was found in the acquire, or else by the request.
        Code::Unavailable => error,
        _ => pool.acquire().unwrap_err(),
    };
    assert_eq!(error.code(), Code::Unavailable, "{error}");
    assert!(error.message().contains("refused"), "{error}");
    assert!(error.is_retriable());
    let _server = DevServer::start_on(port, &[]);
    eventually("the pool recovers", || pool.request(&Request::list_databases()).is_ok());
}

#[test]
fn rule_19_close_fails_waiters_at_once_and_leaves_nothing() {
    let server = DevServer::start();
    let pool = Arc::new(Pool::new(Options { max_connections: 1, ..options(&server) }).unwrap());
    let held = pool.acquire().unwrap();
    held.request(&Request::list_databases()).unwrap();
    let waiter = {
        let pool = pool.clone();
        thread::spawn(move || pool.acquire().unwrap_err())
    };
    eventually("the waiter is queued", || pool.status().pending == 1);
    let closer = {
        let pool = pool.clone();
        thread::spawn(move || pool.close().unwrap())
    };
    let error = waiter.join().unwrap();
    assert_eq!((error.code(), error.message()), (Code::Closed, "Connection pool is closed"));
    // A lease that is out keeps working until it comes back.
    held.request(&Request::list_databases()).unwrap();
    drop(held);
    closer.join().unwrap();
    pool.close().unwrap();
    assert_eq!(pool.status().total, 0);
    assert_eq!(pool.acquire().unwrap_err().code(), Code::Closed);
    assert_eq!(pool.try_acquire().unwrap_err().code(), Code::Closed);
    assert_eq!(pool.resize(1, 2).unwrap_err().code(), Code::Closed);
    assert_eq!(pool.set_token(None).unwrap_err().code(), Code::Closed);
    eventually("only the connection that asks is left", || {
        server_figure(&server, "connections_open") == 1
    });
}

#[test]
fn rule_19_leases_that_do_not_come_back_are_cut() {
    let server = DevServer::start();
    let pool = Pool::new(Options { close_timeout: Duration::ZERO, ..options(&server) }).unwrap();
    let held = pool.acquire().unwrap();
    held.request(&Request::list_databases()).unwrap();
    pool.close().unwrap();
    assert_eq!(held.request(&Request::list_databases()).unwrap_err().code(), Code::Closed);
    eventually("only the connection that asks is left", || {
        server_figure(&server, "connections_open") == 1
    });
    drop(held);
}

#[test]
fn every_validation_serves_under_load() {
    let server = DevServer::start();
    for validation in [Validation::Socket, Validation::Ping, Validation::None] {
        let pool = Pool::new(Options {
            validation,
            validate_after: Duration::ZERO,
            max_connections: 4,
            ..options(&server)
        })
        .unwrap();
        let start = Barrier::new(12);
        thread::scope(|scope| {
            for _ in 0..12 {
                scope.spawn(|| {
                    start.wait();
                    for _ in 0..20 {
                        pool.request(&Request::list_databases()).unwrap();
                    }
                });
            }
        });
        let status = pool.status();
        assert_eq!((status.used, status.pending), (0, 0));
        assert!(status.total <= 4);
    }
}

#[test]
fn rule_18_reset_and_resize_act_while_the_pool_is_in_use() {
    let server = DevServer::start();
    let pool = Pool::new(Options { max_connections: 4, ..options(&server) }).unwrap();
    let ask = || pool.request(&Request::list_databases()).unwrap();
    ask();
    let before = server_figure(&server, "connections_accepted");
    pool.reset();
    ask();
    // The new connection of the pool, and the one that asks.
    assert_eq!(server_figure(&server, "connections_accepted"), before + 2);

    let leases: Vec<_> = (0..4).map(|_| pool.acquire().unwrap()).collect();
    pool.resize(1, 2).unwrap();
    assert_eq!((pool.status().min, pool.status().max), (1, 2));
    drop(leases);
    eventually("the pool is as small as it is to be", || pool.status().total == 2);
    let refused = pool.resize(3, 2).unwrap_err();
    assert_eq!(refused.message(), "min_connections: 3 is more than max_connections (2)");
    assert_eq!(pool.status().max, 2);
}

#[test]
fn rule_19_close_from_within_a_callback_is_refused() {
    let (told, heard) = mpsc::channel();
    let pool_of_callback: Arc<std::sync::OnceLock<Arc<Pool>>> = Arc::default();
    let log = {
        let pool = pool_of_callback.clone();
        Logger::new(move |_, _| {
            let pool = pool.get().unwrap();
            let held: Vec<_> = (0..10).map_while(|_| pool.try_acquire().ok()).collect();
            let waiting = pool.acquire().map(drop).unwrap_err().code();
            drop(held);
            told.send((pool.close().unwrap_err().code(), waiting)).unwrap();
        })
    };
    let pool = Pool::new(Options {
        leak_threshold: Duration::from_millis(1),
        log: Some(log),
        ..without_server()
    })
    .unwrap();
    let pool = Arc::new(pool);
    pool_of_callback.set(pool.clone()).unwrap();
    let _leaked = pool.acquire().unwrap();
    let codes = heard.recv_timeout(WAIT_LIMIT).unwrap();
    assert_eq!(codes, (Code::WouldDeadlock, Code::WouldDeadlock));
    assert!(!pool.is_closed());
}

#[test]
fn rule_21_an_overdue_lease_is_reported_with_its_age_and_owner() {
    let (told, heard) = mpsc::channel();
    let log = Logger::new(move |level, message| told.send((level, message.to_owned())).unwrap());
    let pool = Pool::new(Options {
        leak_threshold: Duration::from_millis(300),
        log: Some(log),
        ..without_server()
    })
    .unwrap();
    let lease = pool.acquire().unwrap();
    lease.set_owner("request 4711");
    let (level, message) = heard.recv_timeout(WAIT_LIMIT).unwrap();
    assert_eq!(level, LogLevel::Warning);
    assert!(message.contains(" s ago by `request 4711` and not released"), "{message}");
    assert_eq!(pool.status().used, 1, "nothing is taken back");
    drop(lease);
    pool.close().unwrap();
    assert!(heard.try_recv().is_err(), "nothing more is told");
}

#[test]
fn rule_22_each_acquire_is_exactly_one_outcome() {
    let server = DevServer::start();
    let pool = Pool::new(Options { max_waiters: 1, ..options(&server) }).unwrap();
    let held = [pool.acquire().unwrap(), pool.acquire().unwrap()];
    pool.acquire_timeout(Duration::from_millis(1)).unwrap_err();
    pool.try_acquire().unwrap_err();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| pool.acquire().unwrap());
        eventually("the waiter is queued", || pool.status().pending == 1);
        assert_eq!(pool.acquire().unwrap_err().code(), Code::Overloaded);
        drop(held);
        drop(waiter.join().unwrap());
    });
    pool.close().unwrap();
    pool.acquire().unwrap_err();
    let stats: serde_json::Value = serde_json::from_str(&pool.stats_json()).unwrap();
    let acquires = &stats["acquires"];
    // Growth dials before it hands out, so the first acquires wait, if only for a moment.
    assert_eq!(acquires["direct"].as_u64().unwrap() + acquires["waited"].as_u64().unwrap(), 3);
    for (outcome, count) in [("timed_out", 1), ("rejected", 2), ("failed", 1), ("cancelled", 0)] {
        assert_eq!(acquires[outcome], count, "{outcome} in {acquires}");
    }
    assert_eq!(stats["use"]["count"], 3);
    assert_eq!(stats["wait"]["count"], 7);
    assert_eq!(stats["created"], 2);
    assert_eq!(stats["closed"]["closed"], 2);
    let metrics = pool.metrics();
    assert!(
        metrics.contains(r#"phantomdb_pool_acquires_total{outcome="rejected"} 2"#),
        "{metrics}"
    );
}
