//! The connection pool.
//!
//! `machine` decides. `driver` holds its lock and applies its decisions: it wakes waiters and hands
//! what may block to `workers`. To follow a connection, read `acquire`, `lease` and `release`.
//!
//! One knot of files stays: `driver`, `acquire`, `lease` and `workers`. A waiter in the machine's queue
//! (`acquire`) gets a lease, which holds the driver, as a worker does; the driver serves the waiter and
//! starts the worker.

mod acquire;
mod dial_limiter;
mod driver;
mod fast_path;
mod histogram;
mod lease;
mod log;
mod machine;
#[cfg(all(test, not(shuttle)))]
mod machine_tests;
#[cfg(all(test, shuttle))]
pub(crate) mod model;
mod outage;
mod pooled_connection;
mod process_pool;
mod release;
#[cfg(all(test, not(shuttle)))]
mod simulation;
mod slot_connections;
mod stats;
mod status;
mod waiters;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use crate::client::{Endpoint, Request, Response};
use crate::config::{MAX_DURATION, Options, Secret, check_size};
use crate::error::{Error, Result};
use crate::os::clock;
use crate::os::per_process::PerProcess;
use crate::os::threads;
use driver::Driver;
use process_pool::{InheritedSettings, ProcessPool};

pub(crate) use acquire::{AcquireCallback, StartedAcquire, Waiter};
pub(crate) use fast_path::{FastSlot, GENERATION_BITS, INDEX_BITS, ReadyStack, Released, memory};
pub use lease::Lease;
pub(crate) use lease::inherited;
pub use status::Status;

/// A pool of connections to one PhantomDB server.
///
/// All methods may be called from any thread at any time. Dropping the pool closes it without
/// waiting: connections that callers hold stay usable until they are dropped too.
///
/// A forked child finds the pool empty and usable; the parent notices nothing of it.
///
/// ```no_run
/// use phantomdb::{Options, Pool, Request};
/// let pool = Pool::new(Options::default())?;
/// let lease = pool.acquire()?;
/// let databases = lease.request(&Request::list_databases())?;
/// println!("{}", databases.text()?);
/// drop(lease);
/// pool.close()?;
/// # Ok::<(), phantomdb::Error>(())
/// ```
#[derive(Debug)]
pub struct Pool {
    process_pool: PerProcess<ProcessPool>,
    inherited: InheritedSettings,
}

impl Pool {
    /// Makes a pool. Opens no connection, unless `preconnect` asks for it, so the server need
    /// not be there yet.
    ///
    /// # Errors
    /// `InvalidArgument` or `Tls`, naming the option that can't be used.
    pub fn new(options: Options) -> Result<Pool> {
        options.check()?;
        let endpoint = Endpoint::new(&options)?;
        let inherited = InheritedSettings::new(&options);
        let process_pool = PerProcess::new(ProcessPool::new(options, endpoint));
        // After the lock that is held while a child makes its own pool.
        fast_path::hold_during_fork();
        Ok(Pool { process_pool, inherited })
    }

    /// Waits for a connection, at most `acquire_timeout`.
    ///
    /// # Errors
    /// `Timeout`, `Closed`, `Overloaded`, and in an outage `Unavailable` (or `Tls` or
    /// `Unauthorized`) with the root cause and when to try again, unless a connection in use may
    /// come back: it waits for that.
    pub fn acquire(&self) -> Result<Lease> {
        self.acquire_timeout(self.options().acquire_timeout)
    }

    /// Waits for a connection, at most `timeout`; zero means no wait, as [`Pool::try_acquire`],
    /// but with `Timeout` as its error.
    ///
    /// # Errors
    /// As [`Pool::acquire`].
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<Lease> {
        match self.acquire_ready().or_else(|| self.acquire_soon(timeout)) {
            Some(lease) => Ok(lease),
            None => self.acquire_slow(timeout),
        }
    }

    fn acquire_soon(&self, timeout: Duration) -> Option<Lease> {
        let may_wait = !timeout.is_zero() && !threads::is_in_callback();
        may_wait.then(|| self.driver().acquire_soon())?
    }

    /// The fast path: takes a connection that is free and as fit as when it was last used. Does not
    /// say why there is none, and counts nothing then; always `None` in a callback.
    #[doc(hidden)]
    pub fn acquire_ready(&self) -> Option<Lease> {
        if threads::is_in_callback() { None } else { self.driver().acquire_ready() }
    }

    /// The stack of the connections that are ready, for a fast path without a [`Lease`].
    pub(crate) fn stack(&self) -> &'static ReadyStack {
        self.driver().stack
    }

    /// The lease of a connection that was acquired from [`Pool::stack`]; `None` if it is over.
    pub(crate) fn hold(&self, slot: &'static FastSlot, generation: u64) -> Option<Lease> {
        self.driver().hold(slot, generation)
    }

    /// Releases a connection that was acquired from [`Pool::stack`], and has no lease, where its release
    /// was not ready. False if it has one by now, or is over.
    pub(crate) fn release_slow(&self, slot: &'static FastSlot, generation: u64) -> bool {
        let is_its = slot.end_lease(generation, 0);
        if is_its {
            slot.count_use_until(clock::recent_moment());
            self.release_ended(slot, generation);
        }
        is_its
    }

    /// The same after the fast path has ended the lease.
    pub(crate) fn release_ended(&self, slot: &'static FastSlot, generation: u64) {
        release::release_bare(self.driver(), slot, generation);
    }

    /// As [`Pool::acquire_timeout`], for a caller that has tried the fast path.
    #[doc(hidden)]
    pub fn acquire_slow(&self, timeout: Duration) -> Result<Lease> {
        self.driver().acquire(timeout.min(MAX_DURATION))
    }

    /// As [`Pool::try_acquire`], for a caller that has tried the fast path.
    #[doc(hidden)]
    pub fn try_acquire_slow(&self) -> Result<Lease> {
        self.driver().try_acquire()
    }

    /// Waits for a connection without a thread, at most `timeout` (`acquire_timeout` if `None`), for
    /// a caller that has tried the fast path. The callback is made only if it has to wait.
    pub(crate) fn start_acquire(
        &self,
        timeout: Option<Duration>,
        callback: impl FnOnce() -> AcquireCallback,
    ) -> StartedAcquire {
        let timeout = timeout.unwrap_or(self.options().acquire_timeout).min(MAX_DURATION);
        self.driver().start_acquire(timeout, callback)
    }

    /// Takes a connection if one is free, without waiting and without the network.
    ///
    /// # Errors
    /// `WouldBlock` if none is free, `Closed`, and in an outage as [`Pool::acquire`].
    pub fn try_acquire(&self) -> Result<Lease> {
        match self.acquire_ready() {
            Some(lease) => Ok(lease),
            None => self.try_acquire_slow(),
        }
    }

    /// Gives a connection back to its pool, as dropping the lease does; see `release.rs`.
    pub fn release(lease: Lease) {
        drop(lease);
    }

    /// Counts an acquire whose caller had given up before it began: `Cancelled`, or `Closed`.
    pub(crate) fn acquire_cancelled(&self) -> Error {
        self.driver().acquire_cancelled()
    }

    /// Acquires a connection, sends one request on it and releases it.
    ///
    /// # Errors
    /// As [`Pool::acquire`] and [`Lease::request`].
    pub fn request(&self, request: &Request) -> Result<Response> {
        self.acquire()?.request(request)
    }

    /// Changes the bearer token for every request that starts afterwards; `None` sends none.
    ///
    /// # Errors
    /// `InvalidArgument` for a token that no HTTP header can carry; the old one stays then. `Closed`.
    pub fn set_token(&self, token: Option<Secret>) -> Result<()> {
        self.refuse_closed()?;
        self.process_pool().endpoint.set_token(token)
    }

    /// The numbers of this moment. Never waits for the network.
    pub fn status(&self) -> Status {
        self.driver().status()
    }

    /// What the pool has done so far, as a JSON object: acquires by outcome, histograms of how
    /// long they and the leases took, connections created and closed by reason, how long the oldest
    /// waiter has waited.
    pub fn stats_json(&self) -> String {
        let driver = self.driver();
        driver.stats().to_json(&driver.slot_counts(), driver.oldest_wait())
    }

    /// The statistics and the status as OpenMetrics text, for Prometheus and its like.
    pub fn metrics(&self) -> String {
        let driver = self.driver();
        let (slots, status) = (driver.slot_counts(), driver.status());
        driver.stats().to_metrics(&slots, status, driver.oldest_wait())
    }

    /// Retires every connection that is open now: idle ones at once, others when they come back.
    /// Callers notice nothing. New connections look the server's name up and read the TLS files again.
    pub fn reset(&self) {
        self.process_pool().endpoint.refresh_tls();
        self.driver().step(|machine, now| machine.reset(now));
    }

    /// Changes `min_connections` and `max_connections`. Connections above a smaller maximum close:
    /// idle ones at once, others when they come back.
    ///
    /// # Errors
    /// `InvalidArgument`, and then nothing is changed. `Closed`.
    pub fn resize(&self, min_connections: u32, max_connections: u32) -> Result<()> {
        self.refuse_closed()?;
        check_size(min_connections, max_connections)?;
        self.inherited.set_size(min_connections, max_connections);
        self.driver().step(|machine, now| machine.resize(min_connections, max_connections, now));
        Ok(())
    }

    /// The options that the pool was made with.
    pub fn options(&self) -> &Options {
        self.process_pool.first().driver.options()
    }

    /// Whether [`Pool::close`] was called.
    pub fn is_closed(&self) -> bool {
        self.inherited.is_closed()
    }

    /// Closes the pool and returns when nothing of it is left: no socket and no thread.
    ///
    /// Waiters fail at once. Connections in use get `close_timeout` to come back and are then
    /// cut: a request in flight on them fails with `Closed`. Calling it again does nothing.
    ///
    /// # Errors
    /// `WouldDeadlock` when called from within a callback of the pool, and nothing is closed then.
    pub fn close(&self) -> Result<()> {
        self.close_within(self.options().close_timeout)
    }

    /// As [`Pool::close`], but connections in use get `timeout` instead of `close_timeout`; with
    /// zero they are cut at once. A close that waits in another thread ends as early.
    ///
    /// # Errors
    /// As [`Pool::close`].
    pub fn close_within(&self, timeout: Duration) -> Result<()> {
        threads::refuse_in_callback("close")?;
        self.inherited.set_closed();
        self.driver().close(clock::now() + timeout.min(MAX_DURATION));
        Ok(())
    }

    fn refuse_closed(&self) -> Result<()> {
        if self.is_closed() { Err(Error::closed()) } else { Ok(()) }
    }

    fn process_pool(&self) -> &ProcessPool {
        self.process_pool.own(|parents| parents.in_child(&self.inherited))
    }

    fn driver(&self) -> &Arc<Driver> {
        &self.process_pool().driver
    }
}
