//! The connection pool.
//!
//! `machine` decides, `shared` carries out: it owns the lock, wakes waiters and hands blocking
//! work to `workers`. `lease` is what a caller holds.

mod gate;
mod handoff;
mod incarnation;
mod lease;
mod machine;
#[cfg(test)]
mod machine_tests;
mod outage;
mod shared;
#[cfg(test)]
mod simulation;
mod waiters;
mod workers;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::client::{Answer, Endpoint, Request};
use crate::config::{MAX_DURATION, Options, Secret};
use crate::error::Result;
use incarnation::Incarnation;
use shared::Shared;

pub use lease::Lease;
pub use machine::Status;

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
/// println!("{}", databases.text());
/// drop(lease);
/// pool.close();
/// # Ok::<(), phantomdb::Error>(())
/// ```
#[derive(Debug)]
pub struct Pool {
    first: Incarnation,
    is_closed: AtomicBool,
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
        Ok(Pool { first: Incarnation::new(options, endpoint), is_closed: AtomicBool::new(false) })
    }

    /// Waits for a connection, at most `acquire_timeout`.
    ///
    /// # Errors
    /// `Timeout`, `Closed`, `Overloaded`, and in an outage `Unavailable` (or `Tls` or
    /// `Unauthorized`) with the root cause and when to try again.
    pub fn acquire(&self) -> Result<Lease> {
        self.acquire_timeout(self.options().acquire_timeout)
    }

    /// Waits for a connection, at most `timeout`; zero means no wait, as [`Pool::try_acquire`],
    /// but with `Timeout` as its error.
    ///
    /// # Errors
    /// As [`Pool::acquire`].
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<Lease> {
        let started = Instant::now();
        self.shared().acquire(started, started + timeout.min(MAX_DURATION))
    }

    /// Takes a connection if one is free, without waiting and without the network.
    ///
    /// # Errors
    /// `WouldBlock` if none is free, `Closed`, and in an outage as [`Pool::acquire`].
    pub fn try_acquire(&self) -> Result<Lease> {
        self.shared().try_acquire()
    }

    /// Acquires a connection, sends one request on it and releases it.
    ///
    /// # Errors
    /// As [`Pool::acquire`] and [`Lease::request`].
    pub fn request(&self, request: &Request) -> Result<Answer> {
        self.acquire()?.request(request)
    }

    /// Changes the bearer token for every request that starts afterwards; `None` sends none.
    ///
    /// # Errors
    /// `InvalidArgument` for a token that no HTTP header can carry; the old one stays then.
    pub fn set_token(&self, token: Option<Secret>) -> Result<()> {
        self.incarnation().endpoint.set_token(token)
    }

    /// The numbers of this moment. Never waits for the network.
    pub fn status(&self) -> Status {
        self.shared().status()
    }

    /// The options that the pool was made with.
    pub fn options(&self) -> &Options {
        self.first.shared.options()
    }

    /// Whether [`Pool::close`] was called.
    pub fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::SeqCst)
    }

    /// Closes the pool and returns when nothing of it is left: no socket and no thread.
    ///
    /// Waiters fail at once. Connections in use get `close_timeout` to come back and are then
    /// cut: a request in flight on them fails with `Closed`. Calling it again does nothing.
    pub fn close(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
        self.shared().close();
    }

    fn incarnation(&self) -> &Incarnation {
        self.first.in_this_process(&self.is_closed)
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.incarnation().shared
    }
}
