//! Acquiring a connection: by the fast path, or by waiting for it, with a thread or without.

use std::cell::OnceCell;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::driver::{Driver, PoolMachine};
use super::fast_path::{FastSlot, LeaseWord, memory};
use super::lease::Lease;
use super::machine::{Acquired, Grant, LeaseId};
use super::pooled_connection::PooledConnection;
use super::stats::Outcome;
use super::waiters::{QueuePosition, WaitLimit};
use crate::error::{Code, Error, Result};
use crate::os::atomic::Ordering;
use crate::os::clock;
use crate::os::locks::{Condvar, Mutex};
use crate::os::threads;

/// Gets the outcome of an acquire that had to wait: once, with no lock held, on the thread that
/// brought it about, but never within the call that started it.
pub type AcquireCallback = Box<dyn FnOnce(Result<Lease>) + Send>;

/// How far an acquire has come when the call that starts it returns.
#[derive(Debug)]
pub enum StartedAcquire {
    Done(Result<Lease>),
    Waiting(Arc<Waiter>),
}

/// A caller that waits for a connection.
pub struct Waiter {
    driver: Arc<Driver>,
    position: QueuePosition,
    since: Instant,
    wait_limit: Option<WaitLimit>,
    state: Mutex<WaiterState>,
    /// Signals the thread that waits for the outcome.
    done: Condvar,
}

#[derive(Default)]
struct WaiterState {
    /// Gets the outcome. `None` if a thread waits for it, and before the call that starts the
    /// acquire returns.
    callback: Option<AcquireCallback>,
    /// The outcome, while there is no callback.
    outcome: Option<Result<Lease>>,
    /// Set before it leaves the queue: a thread that puts it back there, because the connection
    /// that it got was dead, takes it out again.
    gave_up: Option<GaveUp>,
}

/// Why a caller waits no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GaveUp {
    TimedOut,
    Cancelled,
}

impl Driver {
    /// The fast path: takes a connection that is free and as fit as when it was last used.
    pub fn acquire_ready(self: &Arc<Self>) -> Option<Lease> {
        let now = clock::recent_moment();
        let (slot, generation) =
            self.stack.acquire(&memory().slots, now, LeaseWord::HELD, || true)?;
        Some(self.held(slot, generation))
    }

    /// The same for a caller that may wait, and does so for a moment.
    pub fn acquire_soon(self: &Arc<Self>) -> Option<Lease> {
        let (slot, generation) =
            self.stack.acquire_soon(&memory().slots, LeaseWord::HELD, || true)?;
        Some(self.held(slot, generation))
    }

    /// The lease of which only a handle is known so far: it ends with the value from then on. `None` if
    /// it is over.
    pub fn hold(self: &Arc<Self>, slot: &'static FastSlot, generation: u64) -> Option<Lease> {
        slot.hold(generation).then(|| self.held(slot, generation))
    }

    /// The lease of a slot of which the fast path knows that it has a holder.
    fn held(self: &Arc<Self>, slot: &'static FastSlot, generation: u64) -> Lease {
        let acquired_at = clock::instant(slot.leased_at.load(Ordering::Relaxed));
        let connection = self.connections.of(slot.number());
        Lease::new(self.clone(), LeaseId::new(slot, generation), connection, acquired_at)
    }

    /// Waits for a connection for `timeout`. Zero means no wait.
    pub fn acquire(self: &Arc<Self>, timeout: Duration) -> Result<Lease> {
        if !timeout.is_zero() {
            threads::refuse_in_callback("acquire")
                .inspect_err(|error| self.count_refused(error))?;
        }
        let since = clock::now();
        match self.begin_acquire(since, None) {
            StartedAcquire::Done(outcome) => outcome,
            StartedAcquire::Waiting(waiter) => waiter.wait_until(since + timeout),
        }
    }

    /// Takes a connection if one is free; otherwise waits for it without a thread, for `timeout`.
    /// The callback is made only then.
    pub fn start_acquire(
        self: &Arc<Self>,
        timeout: Duration,
        callback: impl FnOnce() -> AcquireCallback,
    ) -> StartedAcquire {
        let since = clock::now();
        match self.begin_acquire(since, Some(WaitLimit { since, until: since + timeout })) {
            StartedAcquire::Waiting(waiter) => waiter.call_back(callback),
            done => done,
        }
    }

    /// Takes a connection if one is free, without the network.
    pub fn try_acquire(self: &Arc<Self>) -> Result<Lease> {
        let slept = clock::slept();
        let outcome = self.step(|machine, now| {
            machine.note_sleep(slept, now);
            machine.try_acquire(now)
        });
        self.count_at_once(&outcome);
        let grant = outcome?;
        let lease = Lease::new(self.clone(), grant.lease, grant.connection, clock::recent());
        if grant.probe {
            // A dead one lost its socket in the probe and opens a new one at its first request.
            lease.probe();
        }
        Ok(lease)
    }

    /// Counts an acquire whose caller had given up before it began.
    pub fn acquire_cancelled(&self) -> Error {
        let error = if self.is_closed() {
            Error::closed()
        } else {
            Error::new(Code::Cancelled, "Cancelled before it began, so nothing was done")
        };
        self.count_refused(&error);
        error
    }

    /// Takes a connection, or queues the caller.
    fn begin_acquire(
        self: &Arc<Self>,
        since: Instant,
        wait_limit: Option<WaitLimit>,
    ) -> StartedAcquire {
        let waiter = OnceCell::new();
        let waiter_at = |position| {
            let new = || Arc::new(Waiter::new(self.clone(), position, since, wait_limit));
            Arc::clone(waiter.get_or_init(new))
        };
        let slept = clock::slept();
        let (position, mut acquired) = self.step(|machine, now| {
            machine.note_sleep(slept, now);
            let position = machine.arrive();
            (position, machine.acquire(position, wait_limit, now, || waiter_at(position)))
        });
        loop {
            let outcome = match acquired {
                Acquired::Queued => return StartedAcquire::Waiting(waiter_at(position)),
                Acquired::Refused(error) => Err(error),
                Acquired::Granted(grant) => match self.probed(grant) {
                    Ok(lease) => Ok(lease),
                    Err(dead) => {
                        acquired = self.step(|machine, now| {
                            let waiter = || waiter_at(position);
                            machine.found_dead(dead, position, wait_limit, now, waiter)
                        });
                        continue;
                    }
                },
            };
            self.count_at_once(&outcome);
            return StartedAcquire::Done(outcome);
        }
    }

    /// The lease of what was granted, unless its socket turns out to be dead.
    fn probed(
        self: &Arc<Self>,
        grant: Grant<Arc<PooledConnection>>,
    ) -> std::result::Result<Lease, LeaseId> {
        if grant.probe && !grant.connection.probe() {
            return Err(grant.lease);
        }
        Ok(Lease::new(self.clone(), grant.lease, grant.connection, clock::recent()))
    }

    fn count_at_once<T>(&self, outcome: &Result<T>) {
        self.stats().count_acquire(Outcome::of(outcome, false), Duration::ZERO);
    }

    fn count_refused(&self, error: &Error) {
        self.count_at_once(&Err::<(), _>(error.clone()));
    }
}

impl Waiter {
    fn new(
        driver: Arc<Driver>,
        position: QueuePosition,
        since: Instant,
        wait_limit: Option<WaitLimit>,
    ) -> Waiter {
        let (state, done) = (Mutex::default(), Condvar::new());
        Waiter { driver, position, since, wait_limit, state, done }
    }

    /// Gives up. Returns the callback and its error, or `None` if the outcome was decided just
    /// before: the callback gets that.
    pub fn cancel(&self) -> Option<(AcquireCallback, Error)> {
        let error = self.give_up(GaveUp::Cancelled)?;
        let callback = self.state.lock().callback.take()?;
        Some((callback, error))
    }

    /// Serves or refuses it. Called by the driver, with no lock held.
    pub fn serve(self: Arc<Self>, mut granted: Result<Grant<Arc<PooledConnection>>>) {
        loop {
            let dead = match granted.map(|grant| self.driver.probed(grant)) {
                Ok(Ok(lease)) => return self.end(Ok(lease)),
                Err(error) => return self.end(Err(error)),
                Ok(Err(dead)) => dead,
            };
            let acquired = self.driver.step(|machine, now| {
                machine.found_dead(dead, self.position, self.wait_limit, now, || self.clone())
            });
            granted = match acquired {
                Acquired::Granted(grant) => Ok(grant),
                Acquired::Refused(error) => Err(error),
                Acquired::Queued => {
                    let gave_up = self.state.lock().gave_up;
                    match gave_up.and_then(|why| self.leave_queue(why)) {
                        Some(error) => Err(error),
                        None => return,
                    }
                }
            };
        }
    }

    fn end(&self, outcome: Result<Lease>) {
        self.count(&outcome);
        let mut state = self.state.lock();
        if let Some(callback) = state.callback.take() {
            drop(state);
            return callback(outcome);
        }
        state.outcome = Some(outcome);
        drop(state);
        self.done.notify_one();
    }

    /// Has the callback called with the outcome, unless it is there by now.
    fn call_back(self: Arc<Self>, callback: impl FnOnce() -> AcquireCallback) -> StartedAcquire {
        let mut state = self.state.lock();
        match state.outcome.take() {
            Some(outcome) => StartedAcquire::Done(outcome),
            None => {
                state.callback = Some(callback());
                drop(state);
                StartedAcquire::Waiting(self)
            }
        }
    }

    fn wait_until(&self, deadline: Instant) -> Result<Lease> {
        let mut state = self.state.lock();
        let mut is_over = false;
        loop {
            if let Some(outcome) = state.outcome.take() {
                return outcome;
            }
            if is_over {
                break;
            }
            (state, is_over) = self.done.wait_until(state, deadline);
        }
        drop(state);
        if let Some(error) = self.give_up(GaveUp::TimedOut) {
            return Err(error);
        }
        // The outcome was decided just before.
        let mut state = self.state.lock();
        loop {
            match state.outcome.take() {
                Some(outcome) => return outcome,
                None => state = self.done.wait(state),
            }
        }
    }

    /// `None` if its outcome was decided just before.
    fn give_up(&self, why: GaveUp) -> Option<Error> {
        self.state.lock().gave_up = Some(why);
        let error = self.leave_queue(why)?;
        self.count(&Err(error.clone()));
        Some(error)
    }

    /// `None` if it is not in the queue.
    fn leave_queue(&self, why: GaveUp) -> Option<Error> {
        self.driver.step(|machine, now| {
            let error = why.error(machine, self.since, now);
            machine.cancel(self.position).map(|_| error)
        })
    }

    fn count(&self, outcome: &Result<Lease>) {
        let waited = clock::now().saturating_duration_since(self.since);
        self.driver.stats().count_acquire(Outcome::of(outcome, true), waited);
    }
}

impl fmt::Debug for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiter").field("position", &self.position).finish_non_exhaustive()
    }
}

impl GaveUp {
    fn error(self, machine: &mut PoolMachine, since: Instant, now: Instant) -> Error {
        match self {
            GaveUp::TimedOut => machine.timeout_error(now.saturating_duration_since(since), now),
            GaveUp::Cancelled => {
                Error::new(Code::Cancelled, "Cancelled while waiting for a connection")
            }
        }
    }
}
