//! What callers, leases and workers of one pool share: its machine behind one lock.

use std::cell::OnceCell;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::gate::SlotGate;
use super::handoff::Handoff;
use super::lease::{Lease, Pooled};
use super::machine::{Acquired, Event, Grant, Machine};
use super::stats::{Outcome, Stats};
use super::status::Status;
use super::waiters::Place;
use super::workers::Workers;
use crate::client::{Connection, Endpoint};
use crate::clock;
use crate::config::Options;
use crate::error::{Error, Result};
use crate::fork;
use crate::sync::{Condvar, Mutex, MutexGuard};
use crate::threads;

/// The machine of a real pool.
pub type PoolMachine = Machine<Arc<Pooled>, Arc<Handoff>>;

/// What the lock guards.
pub struct Core {
    pub machine: PoolMachine,
    pub workers: Workers,
    /// What the log is to be told, by the housekeeper.
    pub events: Vec<Event<Arc<Pooled>>>,
}

/// One pool, as its callers, leases and workers share it.
pub struct Shared {
    options: Options,
    /// The process that made it; see `fork`.
    generation: u64,
    /// Counted and read without the lock.
    stats: Arc<Stats>,
    core: Mutex<Core>,
    dial_ended: Condvar,
    drained: Condvar,
    /// Signals workers that there is a job.
    pub(super) job_ready: Condvar,
    /// Signals the housekeeper that its alarm moved.
    pub(super) alarm_moved: Condvar,
    pub(super) threads: Mutex<Vec<threads::JoinHandle>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Shared {
    pub fn new(options: Options, endpoint: Arc<Endpoint>) -> Arc<Shared> {
        let shared = Arc::new_cyclic(|shared: &Weak<Shared>| {
            let shared = shared.clone();
            let make = move |slot| {
                let gate = Arc::new(SlotGate { shared: shared.clone(), slot });
                Arc::new(Pooled::new(Connection::new(endpoint.clone(), gate)))
            };
            let machine = Machine::new(options.clone(), clock::now(), seed(), make);
            Shared {
                options,
                generation: fork::generation(),
                stats: machine.stats().clone(),
                core: Mutex::new(Core { machine, workers: Workers::default(), events: Vec::new() }),
                dial_ended: Condvar::new(),
                drained: Condvar::new(),
                job_ready: Condvar::new(),
                alarm_moved: Condvar::new(),
                threads: Mutex::new(Vec::new()),
            }
        });
        shared.carry_out(shared.lock());
        shared
    }

    /// Whether it belongs to the parent of this process. Then its lock may be held for ever by a
    /// thread that this process does not have, and nothing in it may be touched or dropped.
    pub fn is_inherited(&self) -> bool {
        self.generation != fork::generation()
    }

    pub fn options(&self) -> &Options {
        &self.options
    }

    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    pub fn status(&self) -> Status {
        self.lock().machine.status()
    }

    pub fn is_closing(&self) -> bool {
        self.lock().machine.is_closing()
    }

    pub fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock()
    }

    /// Tells the machine what happened and carries out what follows from it.
    pub fn step<R>(self: &Arc<Self>, event: impl FnOnce(&mut PoolMachine, Instant) -> R) -> R {
        let now = clock::now();
        let mut core = self.lock();
        let outcome = event(&mut core.machine, now);
        self.carry_out(core);
        outcome
    }

    /// Lets go of the lock and carries out the machine's effects.
    pub fn carry_out(self: &Arc<Self>, mut core: MutexGuard<'_, Core>) {
        let Core { machine, workers, events } = &mut *core;
        let mut effects = machine.take_effects();
        let is_closing = machine.is_closing();
        if self.options.log.is_some() {
            events.append(&mut effects.events);
        }
        let has_events = !events.is_empty();
        let new_threads = workers.reserve_threads(machine, &self.options, has_events);
        drop(core);
        for (handoff, delivery) in effects.deliveries {
            handoff.deliver(delivery);
        }
        for _ in 0..effects.new_jobs {
            self.job_ready.notify_one();
        }
        if effects.alarm_moved || has_events {
            self.alarm_moved.notify_one();
        }
        if effects.dial_ended {
            self.dial_ended.notify_all();
        }
        if is_closing {
            self.drained.notify_all();
            self.job_ready.notify_all();
            self.alarm_moved.notify_all();
        }
        if !new_threads.is_empty() {
            self.spawn(new_threads);
        }
    }

    /// Waits for a connection until `deadline`.
    pub fn acquire(self: &Arc<Self>, started: Instant, deadline: Instant) -> Result<Lease> {
        let mut has_waited = false;
        let outcome = self.acquire_uncounted(started, deadline, &mut has_waited);
        let waited = if has_waited {
            clock::now().saturating_duration_since(started)
        } else {
            Duration::ZERO
        };
        self.stats.count_acquire(Outcome::of(&outcome, has_waited), waited);
        outcome
    }

    fn acquire_uncounted(
        self: &Arc<Self>,
        started: Instant,
        deadline: Instant,
        has_waited: &mut bool,
    ) -> Result<Lease> {
        if deadline > started {
            threads::refuse_in_callback("acquire")?;
        }
        let handoff = OnceCell::new();
        let waiter = || Arc::clone(handoff.get_or_init(Default::default));
        let (place, mut acquired) = self.step(|machine, now| {
            let place = machine.arrive();
            (place, machine.acquire(place, None, now, waiter))
        });
        loop {
            let grant = match acquired {
                Acquired::Granted(grant) => grant,
                Acquired::Refused(error) => return Err(error),
                Acquired::Queued => {
                    *has_waited = true;
                    match waiter().wait_until(deadline) {
                        Some(delivery) => delivery?,
                        None => match self.give_up(place, started) {
                            Some(error) => return Err(error),
                            None => waiter().wait()?,
                        },
                    }
                }
            };
            let lease = grant.lease;
            match self.check(grant) {
                Ok(lease) => return Ok(lease),
                Err(()) => {
                    acquired =
                        self.step(|machine, now| machine.found_dead(lease, place, None, now, waiter));
                }
            }
        }
    }

    /// Takes a waiter whose deadline passed out of the queue; `None` if it was served just before,
    /// and then the delivery is on its way.
    fn give_up(self: &Arc<Self>, place: Place, started: Instant) -> Option<Error> {
        self.step(|machine, now| {
            let error = machine.timeout_error(now.saturating_duration_since(started));
            machine.cancel(place).map(|_| error)
        })
    }

    pub fn try_acquire(self: &Arc<Self>) -> Result<Lease> {
        let outcome = self.step(|machine, now| machine.try_acquire(now));
        self.stats.count_acquire(Outcome::of(&outcome, false), Duration::ZERO);
        let grant = outcome?;
        if grant.probe {
            // A dead one lost its socket in the probe and opens a new one at its first request.
            grant.connection.probe();
        }
        Ok(Lease::new(self.clone(), grant.lease, grant.connection))
    }

    fn check(self: &Arc<Self>, grant: Grant<Arc<Pooled>>) -> std::result::Result<Lease, ()> {
        if grant.probe && !grant.connection.probe() {
            return Err(());
        }
        Ok(Lease::new(self.clone(), grant.lease, grant.connection))
    }

    /// Waits for the end of some dial; says whether the deadline passed first.
    pub fn wait_for_dial_end<'a>(
        &self,
        core: MutexGuard<'a, Core>,
        deadline: Instant,
    ) -> (MutexGuard<'a, Core>, bool) {
        self.dial_ended.wait_until(core, deadline)
    }

    /// Wakes lease holders that wait to dial, so that they notice an interrupt.
    pub fn wake_dialers(&self) {
        // Under the lock: a holder either has not looked at its interrupt yet or waits already.
        let _core = self.lock();
        self.dial_ended.notify_all();
    }

    /// Refuses callers from now on and closes what is idle, without waiting.
    pub fn begin_close(self: &Arc<Self>) {
        let with_workers = self.step(|machine, now| {
            machine.close(now);
            machine.connections_with_workers()
        });
        for connection in with_workers {
            connection.interrupt_for_good();
        }
    }

    /// Leases have until `deadline` to come back.
    pub fn close(self: &Arc<Self>, deadline: Instant) {
        self.begin_close();
        let mut core = self.lock();
        while core.machine.status().used > 0 {
            let (guard, is_over) = self.drained.wait_until(core, deadline);
            core = guard;
            if is_over {
                break;
            }
        }
        let cut = core.machine.cut();
        self.carry_out(core);
        for connection in cut {
            connection.cut();
        }
        let mut core = self.lock();
        while !core.machine.is_drained() {
            core = match core.take_orphan() {
                Some(job) => {
                    drop(core);
                    self.do_job(job);
                    self.lock()
                }
                None => self.drained.wait(core),
            };
        }
        drop(core);
        self.join_threads();
    }

    /// Waits until the pool's threads are gone; they end by themselves once it is drained.
    fn join_threads(&self) {
        let mut core = self.lock();
        while !core.workers.are_gone() {
            core = self.drained.wait(core);
        }
        drop(core);
        // Under the lock, so that of two closes neither returns while the other still joins.
        for thread in self.threads.lock().drain(..) {
            // A panic of the thread was reported where it happened.
            let _ = thread.join();
        }
    }

    /// A thread of the pool ended, or could not be started, and the lock says so.
    pub(super) fn note_thread_end(&self) {
        self.drained.notify_all();
    }

    /// How long a worker waits for the server to close its side too, so that the slot is free
    /// for a new connection only when the server no longer counts the old one.
    pub(super) fn linger(&self) -> Duration {
        if self.is_closing() { Duration::ZERO } else { Duration::from_millis(250) }
    }
}

/// Decides a pool's jitter. Forked children inherit the generator's state, and must not come back
/// to a lost server in step; hence the process's number.
fn seed() -> u64 {
    fastrand::u64(..) ^ u64::from(fork::process_id()) << 32
}
