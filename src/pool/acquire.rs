//! Acquiring a connection: at once, or by waiting for it, with a thread or without.

use std::cell::OnceCell;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::driver::{PoolMachine, Shared};
use super::handoff::Handoff;
use super::lease::{Lease, Pooled};
use super::machine::{Acquired, Grant, LeaseId};
use super::stats::Outcome;
use super::waiters::{Place, WaitLimit};
use crate::error::{Code, Error, Result};
use crate::os::clock;
use crate::os::locks::Mutex;
use crate::os::threads;

/// Gets what an acquire that had to wait has come to: once, with no lock held, on whichever thread
/// brought that about, but never within the call that started it.
pub type Receiver = Box<dyn FnOnce(Result<Lease>) + Send>;

/// What has become of an acquire when the call that starts it returns.
#[derive(Debug)]
pub enum Started {
    Over(Result<Lease>),
    Waiting(Waiting),
}

/// An acquire that waits.
#[derive(Clone, Debug)]
pub struct Waiting(Arc<Pending>);

/// Why an acquire is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withdrawal {
    TimedOut,
    Cancelled,
}

/// An acquire on its way through the queue.
pub struct Pending {
    shared: Arc<Shared>,
    place: Place,
    since: Instant,
    wait_limit: Option<WaitLimit>,
    state: Mutex<State>,
}

struct State {
    stage: Stage,
    /// Set before it is taken out of the queue, so that whoever puts it back there (its connection
    /// was dead) knows.
    withdrawal: Option<Withdrawal>,
}

enum Stage {
    /// The call that starts it has not returned.
    Starting,
    /// It was served, or refused, within that call.
    OverEarly(Result<Lease>),
    Waiting(Receiver),
    Over,
}

impl Shared {
    /// Waits for a connection for so long; with zero it takes one only if it is to be had at once.
    pub fn acquire(self: &Arc<Self>, timeout: Duration) -> Result<Lease> {
        if !timeout.is_zero() {
            threads::refuse_in_callback("acquire")
                .inspect_err(|error| self.count_refused(error))?;
        }
        if let Some(lease) = self.acquire_ready() {
            return Ok(lease);
        }
        let started = clock::now();
        let deadline = started + timeout;
        let handoff = OnceCell::<Arc<Handoff>>::new();
        let receiver = || -> Receiver {
            let handoff = handoff.get_or_init(Arc::default).clone();
            Box::new(move |outcome| handoff.deliver(outcome))
        };
        match self.start_acquire(started, None, receiver) {
            Started::Over(outcome) => outcome,
            Started::Waiting(waiting) => {
                let handoff = handoff.get_or_init(Arc::default);
                if let Some(outcome) = handoff.wait_until(deadline) {
                    return outcome;
                }
                match waiting.withdraw(Withdrawal::TimedOut) {
                    Some((_, error)) => Err(error),
                    None => handoff.wait(),
                }
            }
        }
    }

    /// Takes a connection if one is to be had at once and nothing else is to be done for it.
    pub fn acquire_ready(self: &Arc<Self>) -> Option<Lease> {
        let mut place = None;
        self.acquire_ready_into(&mut place);
        place
    }

    /// As [`Shared::acquire_ready`], into a place where nothing is.
    pub fn acquire_ready_into(self: &Arc<Self>, place: &mut Option<Lease>) -> bool {
        let now = clock::recent();
        let Some(grant) = self.step_untimed(|machine| machine.acquire_ready(now)) else {
            return false;
        };
        *place = Some(Lease::new(self.clone(), grant.lease, grant.connection, now));
        true
    }

    /// Takes a connection if one is to be had at once; else waits for it without a thread, until
    /// its patience ends, and tells the receiver, which is made only then.
    pub fn start_acquire(
        self: &Arc<Self>,
        since: Instant,
        wait_limit: Option<WaitLimit>,
        receiver: impl FnOnce() -> Receiver,
    ) -> Started {
        let pending = OnceCell::new();
        let waiter =
            |place| Arc::clone(pending.get_or_init(|| self.pending(place, since, wait_limit)));
        let slept = clock::slept();
        let (place, mut acquired) = self.step(|machine, now| {
            machine.note_sleep(slept, now);
            let place = machine.arrive();
            (place, machine.acquire(place, wait_limit, now, || waiter(place)))
        });
        loop {
            let outcome = match acquired {
                Acquired::Queued => return waiter(place).begin_waiting(receiver),
                Acquired::Refused(error) => Err(error),
                Acquired::Granted(grant) => match self.check(grant) {
                    Ok(lease) => Ok(lease),
                    Err(dead) => {
                        acquired = self.step(|machine, now| {
                            machine.found_dead(dead, place, wait_limit, now, || waiter(place))
                        });
                        continue;
                    }
                },
            };
            self.count_at_once(&outcome);
            return Started::Over(outcome);
        }
    }

    pub fn try_acquire(self: &Arc<Self>) -> Result<Lease> {
        if let Some(lease) = self.acquire_ready() {
            return Ok(lease);
        }
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

    /// Counts an acquire whose caller had given up before it began, and says what it has come to.
    pub fn acquire_cancelled(&self) -> Error {
        let error = if self.is_closed() {
            Error::closed()
        } else {
            Error::new(Code::Cancelled, "Cancelled before it began, so nothing was done")
        };
        self.count_refused(&error);
        error
    }

    fn pending(
        self: &Arc<Self>,
        place: Place,
        since: Instant,
        wait_limit: Option<WaitLimit>,
    ) -> Arc<Pending> {
        let state = State { stage: Stage::Starting, withdrawal: None };
        Arc::new(Pending {
            shared: self.clone(),
            place,
            since,
            wait_limit,
            state: Mutex::new(state),
        })
    }

    fn check(self: &Arc<Self>, grant: Grant<Arc<Pooled>>) -> std::result::Result<Lease, LeaseId> {
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

impl Waiting {
    /// Takes it out of the queue, and gives the receiver back with what is to be told to it. `None`
    /// if it was served, or refused, just before: the receiver hears of that.
    pub fn withdraw(&self, why: Withdrawal) -> Option<(Receiver, Error)> {
        let pending = &self.0;
        pending.state.lock().withdrawal = Some(why);
        let error = pending.leave_queue(why)?;
        pending.count(&Err(error.clone()));
        match pending.end() {
            Stage::Waiting(receiver) => Some((receiver, error)),
            _ => None,
        }
    }
}

impl Pending {
    /// Called, with no lock held, with what it waits for.
    pub fn deliver(self: Arc<Self>, delivery: Result<Grant<Arc<Pooled>>>) {
        let mut delivery = delivery;
        loop {
            let dead = match delivery.map(|grant| self.shared.check(grant)) {
                Ok(Ok(lease)) => return self.settle(Ok(lease)),
                Err(error) => return self.settle(Err(error)),
                Ok(Err(dead)) => dead,
            };
            let acquired = self.shared.step(|machine, now| {
                machine.found_dead(dead, self.place, self.wait_limit, now, || self.clone())
            });
            delivery = match acquired {
                Acquired::Granted(grant) => Ok(grant),
                Acquired::Refused(error) => Err(error),
                Acquired::Queued => {
                    let withdrawal = self.state.lock().withdrawal;
                    match withdrawal.and_then(|why| self.leave_queue(why)) {
                        Some(error) => Err(error),
                        None => return,
                    }
                }
            };
        }
    }

    fn settle(&self, outcome: Result<Lease>) {
        self.count(&outcome);
        let mut state = self.state.lock();
        if let Stage::Starting = state.stage {
            state.stage = Stage::OverEarly(outcome);
            return;
        }
        drop(state);
        if let Stage::Waiting(receiver) = self.end() {
            receiver(outcome);
        }
    }

    fn begin_waiting(self: Arc<Self>, receiver: impl FnOnce() -> Receiver) -> Started {
        let mut state = self.state.lock();
        match std::mem::replace(&mut state.stage, Stage::Over) {
            Stage::OverEarly(outcome) => Started::Over(outcome),
            _ => {
                state.stage = Stage::Waiting(receiver());
                drop(state);
                Started::Waiting(Waiting(self))
            }
        }
    }

    fn end(&self) -> Stage {
        std::mem::replace(&mut self.state.lock().stage, Stage::Over)
    }

    /// `None` if it is not in the queue.
    fn leave_queue(&self, why: Withdrawal) -> Option<Error> {
        self.shared.step(|machine, now| {
            let error = why.error(machine, self.since, now);
            machine.cancel(self.place).map(|_| error)
        })
    }

    fn count(&self, outcome: &Result<Lease>) {
        let waited = clock::now().saturating_duration_since(self.since);
        self.shared.stats().count_acquire(Outcome::of(outcome, true), waited);
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Withdrawal {
    fn error(self, machine: &PoolMachine, since: Instant, now: Instant) -> Error {
        match self {
            Withdrawal::TimedOut => {
                machine.timeout_error(now.saturating_duration_since(since), now)
            }
            Withdrawal::Cancelled => {
                Error::new(Code::Cancelled, "Cancelled while waiting for a connection")
            }
        }
    }
}
