//! A process that has no file descriptor left.

use std::fs::File;
use std::thread;

use phantomdb::{Code, Options, Pool, Request};

use crate::common::{eventually, insert, is_sound, make_table, patient, promptly, says};
use crate::support::alone::alone;
use crate::support::devserver::DevServer;

const LIMIT: libc::rlim_t = 64;

/// Takes every descriptor that the process may still have.
fn exhaust() -> Vec<File> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls get a pointer to a struct that outlives them.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit), 0);
        limit.rlim_cur = LIMIT;
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit), 0);
    }
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

#[test]
fn rule_10_without_file_descriptors_the_cause_is_told_and_nothing_is_lost() {
    let name =
        "descriptors::rule_10_without_file_descriptors_the_cause_is_told_and_nothing_is_lost";
    alone(name, || {
        let server = DevServer::start();
        let named = server.url().replace("127.0.0.1", "localhost");
        // The system's resolver, which then can't open its files, says only that it failed.
        let causes = [(server.url(), "oo many open files"), (named.as_str(), "`localhost`")];
        for (url, cause) in causes {
            let options = Options { min_connections: 1, ..patient(url) };
            let pool = Pool::new(options).unwrap();
            let elsewhere = Pool::new(patient(server.url())).unwrap();
            make_table(&elsewhere);
            let open = elsewhere.acquire().unwrap();
            open.request(&insert(1)).unwrap();

            let files = exhaust();
            let lease = pool.acquire().unwrap();
            let error = promptly(|| lease.request(&Request::list_databases())).unwrap_err();
            assert_eq!(error.code(), Code::Unavailable, "{error:?}");
            says(&error, cause);
            assert!(error.is_retriable());
            drop(lease);
            let error = promptly(|| pool.acquire()).unwrap_err();
            assert_eq!(error.code(), Code::Unavailable, "{error:?}");
            says(&error, cause);
            // What is open needs no descriptor, and serves those who wait for it.
            open.request(&insert(2)).unwrap();
            let open = thread::scope(|scope| {
                let waiter = scope.spawn(|| elsewhere.acquire());
                eventually("it waits, and its dials have failed", || {
                    let stats = elsewhere.stats_json();
                    let few = |count: &i32| stats.contains(&format!(r#""dial_failures":{count},"#));
                    elsewhere.status().pending == 1 && !(0..3).any(|count| few(&count))
                });
                drop(open);
                promptly(|| waiter.join().unwrap()).unwrap()
            });
            open.request(&insert(3)).unwrap();
            drop(files);

            eventually("the pool recovers", || pool.acquire().is_ok());
            is_sound(&pool);
            open.request(&Request::drop_database("shop").unwrap()).unwrap();
            drop(open);
            is_sound(&elsewhere);
        }
    });
}
