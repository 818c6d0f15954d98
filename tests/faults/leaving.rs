//! After faults of every kind, a closed pool leaves nothing of itself in the process (rule 19).

use std::fs;
use std::thread;
use std::time::Duration;

use phantomdb::{Options, Pool, Request, Validation};

use crate::common::{Secure, ask, eventually, promptly};
use crate::support::alone::alone;
use crate::support::fault_proxy::{End, Mode};
use crate::support::port;

/// The sockets that this process has, but for those that only keep ports.
fn sockets() -> usize {
    let is_socket = |entry: std::io::Result<fs::DirEntry>| {
        // One that is gone meanwhile was the directory's own.
        let target = fs::read_link(entry.unwrap().path()).unwrap_or_default();
        target.to_string_lossy().starts_with("socket:")
    };
    fs::read_dir("/proc/self/fd").unwrap().map(is_socket).filter(|it| *it).count() - port::claims()
}

/// The threads of this process that are the library's.
fn threads() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("phantomdb")).collect()
}

/// Load, with whatever comes of it.
fn load(pool: &Pool, change: impl FnOnce()) {
    thread::scope(|scope| {
        for caller in 0..8 {
            scope.spawn(move || {
                for round in 0..30 {
                    let Ok(lease) = pool.acquire() else { continue };
                    let _ = lease.request(&Request::list_databases());
                    if (caller + round) % 5 == 0 {
                        lease.discard();
                    }
                }
            });
        }
        change();
    });
}

#[test]
fn rule_19_after_faults_of_every_kind_close_leaves_no_thread_and_no_socket() {
    let name = "leaving::rule_19_after_faults_of_every_kind_close_leaves_no_thread_and_no_socket";
    alone(name, || {
        let short = Duration::from_millis(100);
        for validation in [Validation::Socket, Validation::Ping, Validation::None] {
            assert_eq!((sockets(), threads()), (0, Vec::new()));
            let secure = Secure::start();
            let pool = Pool::new(Options {
                validation,
                min_connections: 2,
                validate_after: Duration::from_millis(1),
                validation_timeout: short,
                acquire_timeout: short,
                request_timeout: short,
                connect_timeout: short,
                close_timeout: short,
                ..secure.options()
            })
            .unwrap();
            load(&pool, || ());
            let faults = [
                Mode::CutAfter { bytes: 2500, end: End::Reset },
                Mode::CutWithin { bytes: 5000 },
                Mode::Silent,
                Mode::Late { first: short, later: Duration::from_millis(1) },
                Mode::HangUp,
                Mode::Refuse,
            ];
            for fault in faults {
                load(&pool, || {
                    secure.proxy.set(fault);
                    secure.proxy.reset_all();
                });
                secure.proxy.set(Mode::Pass);
                load(&pool, || secure.proxy.freeze_all());
            }
            secure.proxy.set(Mode::Pass);
            eventually("the pool works again", || ask(&pool).is_ok());
            let held = pool.acquire().unwrap();
            let _ = held.request(&Request::list_databases());
            promptly(|| pool.close()).unwrap();
            // A thread that was joined is in /proc for a moment still.
            eventually("no thread is left", || threads().is_empty());
            drop(secure);
            assert_eq!(sockets(), 0);
            drop(held);
        }
    });
}
