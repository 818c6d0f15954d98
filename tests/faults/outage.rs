//! The server goes and comes back, under load.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use phantomdb::{Code, Error, Options, Pool};

use crate::common::{
    Secure, WAIT_LIMIT, all_ids, ask, insert, is_sound, make_table, patient, server_figure,
};
use crate::support::devserver::DevServer;
use crate::support::fault_proxy::Mode;
use crate::support::folder::Folder;
use crate::support::port;

const CALLERS: usize = 64;
const MAX: u32 = 10;
const OUTAGE: Duration = Duration::from_secs(1);
/// How soon after the server's return the pool must serve again.
const RECOVERY: Duration = Duration::from_secs(2);

/// What the callers have seen.
#[derive(Default)]
struct Seen {
    acknowledged: Vec<i64>,
    failed: Vec<(i64, Error)>,
}

#[derive(Default)]
struct Record {
    seen: Mutex<Seen>,
    acknowledged: Condvar,
}

impl Record {
    /// Waits for this many acknowledged inserts, and says how long that took.
    fn wait_for(&self, more: usize) -> Duration {
        let started = Instant::now();
        let seen = self.seen.lock().unwrap();
        let enough = seen.acknowledged.len() + more;
        let (_seen, timeout) = self
            .acknowledged
            .wait_timeout_while(seen, WAIT_LIMIT, |seen| seen.acknowledged.len() < enough)
            .unwrap();
        assert!(!timeout.timed_out(), "no insert is acknowledged any more");
        started.elapsed()
    }
}

/// Ends the load with the test, also one that fails: nobody waits for callers that never stop.
struct Load(AtomicBool);

impl Load {
    fn is_over(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Ends it when dropped.
struct Ending<'a>(&'a Load);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::SeqCst);
    }
}

fn insert_until(load: &Load, pool: &Pool, next: &AtomicI64, record: &Record) {
    while !load.is_over() {
        let id = next.fetch_add(1, Ordering::SeqCst);
        let outcome = pool.request(&insert(id));
        let mut seen = record.seen.lock().unwrap();
        match outcome {
            Ok(_) => seen.acknowledged.push(id),
            Err(error) => {
                let pause = error.retry_after().unwrap_or_default().min(OUTAGE / 50);
                seen.failed.push((id, error));
                drop(seen);
                thread::sleep(pause);
            }
        }
        record.acknowledged.notify_all();
    }
}

#[test]
fn rule_10_a_server_killed_and_restarted_under_load_loses_nothing_and_is_found_again() {
    let folder = Folder::new("outage");
    let data = ["--data", folder.path().to_str().unwrap()];
    let port = port::free();
    let mut server = DevServer::start_on(port, &data);
    let pool =
        Pool::new(Options { min_connections: 2, max_connections: MAX, ..patient(server.url()) })
            .unwrap();
    make_table(&pool);
    let (load, next) = (Load(AtomicBool::new(false)), AtomicI64::new(0));
    let record = Record::default();
    let _server = thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| insert_until(&load, &pool, &next, &record));
        }
        let _ending = Ending(&load);
        for _ in 0..3 {
            record.wait_for(300);
            assert!(server_figure(&pool, "connections_peak") <= i64::from(MAX));
            server.kill();
            // The fault itself, not a wait for something.
            thread::sleep(OUTAGE);
            server = DevServer::start_on(port, &data);
            let recovery = record.wait_for(1);
            assert!(recovery <= RECOVERY, "the pool was back {recovery:?} after its server");
        }
        record.wait_for(300);
        server
    });
    assert!(server_figure(&pool, "connections_peak") <= i64::from(MAX));

    let seen = record.seen.into_inner().unwrap();
    let mut stored: HashMap<i64, u32> = HashMap::new();
    for id in all_ids(&pool) {
        *stored.entry(id).or_default() += 1;
    }
    let doubled: Vec<_> = stored.iter().filter(|(_, count)| **count > 1).collect();
    assert!(doubled.is_empty(), "{doubled:?}");
    let lost: Vec<_> = seen.acknowledged.iter().filter(|id| !stored.contains_key(id)).collect();
    assert!(lost.is_empty(), "{lost:?}");
    for (id, error) in &seen.failed {
        match error.code() {
            // Nothing of it was sent: so it may be tried again, and can't be there.
            Code::Unavailable => {
                assert!(error.is_retriable() && !stored.contains_key(id), "{id}: {error:?}");
            }
            Code::ConnectionLost => assert!(
                !error.is_retriable() || !stored.contains_key(id),
                "{id} is there, but may be tried again: {error:?}"
            ),
            _ => panic!("{id}: {error:?}"),
        }
    }
    assert!(seen.failed.iter().any(|(_, error)| error.code() == Code::Unavailable));
    is_sound(&pool);
}

/// How many dials arrive during an outage in which so many callers ask all the time, and how
/// many responses these get.
fn dials_during_an_outage(callers: usize) -> (usize, usize) {
    let secure = Secure::start();
    let pool = Pool::new(Options { min_connections: 2, max_connections: MAX, ..secure.options() })
        .unwrap();
    let load = Load(AtomicBool::new(false));
    let refusals = Mutex::new(0);
    let mut dials = 0;
    thread::scope(|scope| {
        for _ in 0..callers {
            scope.spawn(|| {
                let mut refused = 0;
                while !load.is_over() {
                    match ask(&pool) {
                        Ok(_) => {}
                        Err(error) if error.code() == Code::Unavailable => refused += 1,
                        Err(error) => assert_eq!(error.code(), Code::ConnectionLost, "{error:?}"),
                    }
                    thread::yield_now();
                }
                *refusals.lock().unwrap() += refused;
            });
        }
        let _ending = Ending(&load);
        crate::common::eventually("it serves", || ask(&pool).is_ok());
        secure.proxy.set(Mode::HangUp);
        secure.proxy.reset_all();
        thread::sleep(OUTAGE);
        dials = secure.proxy.counts().dials_in_mode;
        secure.proxy.set(Mode::Pass);
        let back = Instant::now();
        crate::common::eventually("the pool recovers", || ask(&pool).is_ok());
        assert!(back.elapsed() <= RECOVERY, "the pool was back after {:?}", back.elapsed());
    });
    assert!(secure.proxy.counts().peak <= MAX as usize);
    is_sound(&pool);
    (dials, refusals.into_inner().unwrap())
}

#[test]
fn rule_10_dials_during_an_outage_do_not_depend_on_the_number_of_callers() {
    // One second holds five to seven delays that grow from 50 ms by chance; the chance of more
    // than five times that is nil. Without back-off there would be thousands.
    let most = 32;
    for callers in [8, CALLERS] {
        let (dials, refusals) = dials_during_an_outage(callers);
        assert!((1..=most).contains(&dials), "{dials} dials with {callers} callers");
        assert!(refusals > 10 * most, "only {refusals} refusals with {callers} callers");
    }
}
