//! The pool under a model checker: real threads of control, every interleaving of them that a
//! scheduler can think of, and no clock to hide behind.
//!
//! What runs is the shipped pool; what is replaced below it is told in `crate::model`. A scenario
//! runs under random schedules, then under schedules of few preemptions (PCT), from fixed seeds.
//! A failure prints its schedule. What decides how it goes:
//!
//! - `PHANTOMDB_MODEL_SCALE`: multiplies the number of schedules;
//! - `PHANTOMDB_MODEL_SEED`: another seed;
//! - `PHANTOMDB_MODEL_REPLAY`: the one schedule to run, for a single test.

mod closing;
mod dialing;
mod handoff;
mod housekeeping;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::env;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::Duration;

use shuttle::rand::Rng;
use shuttle::scheduler::{DfsScheduler, PctScheduler, RandomScheduler, ReplayScheduler, Scheduler};
use shuttle::thread::{self, JoinHandle};
use shuttle::{Config, MaxSteps, Runner};

use super::{Lease, Pool};
use crate::client::Request;
use crate::config::{Options, Validation};
use crate::error::{Code, Error, Result};
use crate::model::server::{self, Dial};
use crate::model::{threads, time};
use crate::os::clock;

/// Longer than any scenario lasts.
pub const FOREVER: Duration = Duration::from_secs(24 * 60 * 60);
pub const SECOND: Duration = Duration::from_secs(1);

thread_local! {
    static SEEN: RefCell<BTreeMap<&'static str, u64>> = const { RefCell::new(BTreeMap::new()) };
}

/// Notes that something happened that a scenario is there for.
pub fn saw(what: &'static str) {
    SEEN.with_borrow_mut(|seen| *seen.entry(what).or_default() += 1);
}

/// How a scenario is explored.
pub struct Explore {
    options: Options,
    random: usize,
    pct: usize,
    exhaustive: usize,
    time: Duration,
    dials: &'static [Dial],
    must_see: &'static [&'static str],
}

impl Explore {
    /// Pools of these sizes, with time-outs that never pass.
    pub fn with(min: u32, max: u32, validation: Validation) -> Explore {
        let options = Options {
            min_connections: min,
            max_connections: max,
            validation,
            acquire_timeout: FOREVER,
            request_timeout: FOREVER,
            connect_timeout: FOREVER,
            validation_timeout: FOREVER,
            close_timeout: FOREVER,
            idle_timeout: Duration::ZERO,
            max_lifetime: Duration::ZERO,
            ..Options::default()
        };
        Explore {
            options,
            random: 1000,
            pct: 500,
            exhaustive: 0,
            time: Duration::ZERO,
            dials: &[],
            must_see: &[],
        }
    }

    pub fn options(mut self, change: impl FnOnce(&mut Options)) -> Explore {
        change(&mut self.options);
        self
    }

    /// At most so much time passes; without this, none.
    pub fn time(self, time: Duration) -> Explore {
        Explore { time, ..self }
    }

    pub fn dials(self, dials: &'static [Dial]) -> Explore {
        Explore { dials, ..self }
    }

    /// What must have happened in some schedule, or the scenario shows nothing.
    pub fn must_see(self, must_see: &'static [&'static str]) -> Explore {
        Explore { must_see, ..self }
    }

    /// Under this many schedules of each kind instead of the default.
    pub fn schedules(self, count: usize) -> Explore {
        Explore { random: count, pct: count, ..self }
    }

    /// Also runs the first `schedules` of all that there are, one after the other.
    pub fn exhaustive(self, exhaustive: usize) -> Explore {
        Explore { exhaustive, ..self }
    }

    fn run(self, scenario: impl Fn(Arc<Pool>) + Send + Sync + 'static) {
        self.run_with(Pool::new, scenario);
    }

    /// Runs a scenario on what `make` makes of the options.
    pub fn run_with<T: 'static>(
        self,
        make: fn(Options) -> Result<T>,
        scenario: impl Fn(Arc<T>) + Send + Sync + 'static,
    ) {
        let Explore { options, random, pct, exhaustive, time, dials, must_see } = self;
        let scenario = Arc::new(move || {
            threads::reset();
            fastrand::seed(1);
            server::start(options.max_connections, options.max_connecting);
            server::expect_dials(dials);
            time::passing(time, || {
                scenario(Arc::new(make(options.clone()).expect("the options are fine")));
                threads::join_all();
            });
            server::check();
            assert_eq!(server::sockets(), 0, "rule 19: a socket is left");
        });
        let config = || {
            let mut config = Config::new();
            config.stack_size = 256 * 1024;
            config.max_steps = MaxSteps::FailAfter(100_000);
            config.silence_warnings = true;
            config
        };
        let explore = |scheduler: Box<dyn Scheduler + Send>| {
            let scenario = scenario.clone();
            Runner::new(scheduler, config()).run(move || scenario())
        };
        if let Ok(schedule) = env::var("PHANTOMDB_MODEL_REPLAY") {
            explore(Box::new(ReplayScheduler::new_from_encoded(&schedule)));
            return;
        }
        let scale: f64 = number("PHANTOMDB_MODEL_SCALE", 1.0);
        let seed: u64 = number("PHANTOMDB_MODEL_SEED", 1);
        let scaled = |schedules: usize| (schedules as f64 * scale).ceil() as usize;
        SEEN.take();
        let explored = panic::catch_unwind(AssertUnwindSafe(|| {
            let mut schedules =
                explore(Box::new(RandomScheduler::new_from_seed(seed, scaled(random))));
            schedules += explore(Box::new(PctScheduler::new_from_seed(seed, 4, scaled(pct))));
            if exhaustive > 0 {
                let all = DfsScheduler::new(Some(scaled(exhaustive)), false);
                schedules += explore(Box::new(all));
            }
            schedules
        }));
        match explored {
            Ok(schedules) => SEEN.with_borrow(|seen| println!("{schedules} schedules {seen:?}")),
            Err(failure) => {
                eprintln!("To repeat it: PHANTOMDB_MODEL_REPLAY=<that schedule>, this test alone");
                panic::resume_unwind(failure);
            }
        }
        for what in must_see {
            assert!(SEEN.with_borrow(|seen| seen.contains_key(what)), "never seen: {what}");
        }
    }
}

fn number<T: std::str::FromStr>(name: &str, default: T) -> T {
    env::var(name).ok().map_or(default, |text| {
        text.parse().unwrap_or_else(|_| panic!("{name} must be a number, not {text}"))
    })
}

/// Runs `act` on a thread of its own.
fn caller<R: Send + 'static>(
    pool: &Arc<Pool>,
    act: impl FnOnce(&Pool) -> R + Send + 'static,
) -> JoinHandle<R> {
    let pool = pool.clone();
    thread::spawn(move || act(&pool))
}

pub fn done<R>(caller: JoinHandle<R>) -> R {
    caller.join().expect("no caller panics")
}

/// Lets others go on for a while; how long is up to chance.
pub fn pause() {
    let mut chance = shuttle::rand::thread_rng();
    let most = 1 << chance.gen_range(0..8);
    for _ in 0..chance.gen_range(0..most) {
        thread::yield_now();
    }
}

/// Sends a request, and has the connection to itself meanwhile.
pub fn use_lease(lease: &Lease) -> Result<u64> {
    let response = lease.request(&Request::health_check()).inspect_err(|error| {
        assert_ne!(error.code(), Code::Busy, "rule 6: two callers have one connection");
    })?;
    let socket =
        response.text().expect("it is JSON").parse().expect("the response is the socket's number");
    server::hold(socket);
    thread::yield_now();
    server::let_go(socket);
    Ok(socket)
}

/// Acquires, uses and releases.
fn visit(pool: &Pool) -> Result<()> {
    let lease = pool.acquire()?;
    use_lease(&lease)?;
    Ok(())
}

/// A request that never gets a response.
pub fn silence() -> Request {
    Request::raw("GET", "/silence", None).expect("a fine request")
}

/// Nobody has a connection, nobody waits for one, and the machine agrees with itself.
pub fn check_quiet(pool: &Pool) {
    let mut locked = pool.driver().lock();
    locked.machine.check_invariants(clock::now());
    let status = locked.machine.status();
    assert_eq!((status.used, status.pending), (0, 0), "rule 6: {status:?}");
}

/// Each caller was served; after that the pool is quiet, and closes.
fn all_are_served<R>(pool: &Pool, callers: impl IntoIterator<Item = JoinHandle<Result<R>>>) {
    for caller in callers {
        done(caller).expect("everybody is served");
    }
    check_quiet(pool);
    close(pool);
}

/// Closes the pool, and nothing of it is left.
fn close(pool: &Pool) {
    pool.close().expect("this is not a callback");
    check_nothing_is_left(pool);
}

/// Of a pool that is closed.
pub fn check_nothing_is_left(pool: &Pool) {
    assert_eq!(threads::running(), 0, "rule 19: a thread is left");
    assert_eq!(server::sockets(), 0, "rule 19: a socket is left");
    assert_eq!(pool.status().total, 0, "rule 19: {:?}", pool.status());
}
