//! The driver of the machine: it holds the machine's lock, tells it what happens and applies its
//! effects. Callers, leases and workers share it.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::acquire::Waiter;
use super::fast_path::ReadyStack;
use super::histogram::SlotCounts;
use super::machine::{LeaseId, LogEvent, Machine};
use super::pooled_connection::PooledConnection;
use super::slot_connections::SlotConnections;
use super::stats::Stats;
use super::status::Status;
use super::workers::Threads;
use crate::config::Options;
use crate::os::clock;
use crate::os::fork;
use crate::os::locks::atomic::{AtomicBool, Ordering};
use crate::os::locks::{Condvar, Mutex, MutexGuard};
use crate::os::random;
use crate::os::threads::{ThreadGroup, Uncancelled};

/// The machine of a real pool.
pub type PoolMachine = Machine<Arc<PooledConnection>, Arc<Waiter>>;

/// What the lock guards.
pub struct Locked {
    pub machine: PoolMachine,
    pub threads: Threads,
    /// What the log is to be told, by the housekeeper.
    pub events: Vec<LogEvent<Arc<PooledConnection>>>,
}

/// One pool of one process.
pub struct Driver {
    options: Options,
    /// The process that made it; see `fork`.
    generation: u64,
    /// Counted and read without the lock.
    stats: Arc<Stats>,
    /// The connections that are ready, for the fast path.
    pub(super) stack: &'static ReadyStack,
    pub(super) connections: SlotConnections,
    locked: Mutex<Locked>,
    /// A close has returned.
    is_closed: AtomicBool,
    dial_ended: Condvar,
    drained: Condvar,
    /// Signals workers that there is a job.
    pub(super) job_ready: Condvar,
    /// Signals the housekeeper that its alarm moved.
    pub(super) alarm_moved: Condvar,
    pub(super) threads: ThreadGroup,
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Driver {
    /// `connect` makes the connection of a slot.
    pub fn new(
        options: Options,
        connect: impl Fn(&Weak<Driver>, usize) -> PooledConnection + Send + 'static,
    ) -> Arc<Driver> {
        let connections = SlotConnections::default();
        let driver = Arc::new_cyclic(|driver: &Weak<Driver>| {
            let driver = driver.clone();
            let source = connections.filled_by(move |slot| connect(&driver, slot));
            let mut machine = Machine::new(options.clone(), clock::now(), seed(), source);
            machine.note_sleep(clock::slept(), clock::now());
            Driver {
                options,
                generation: fork::generation(),
                stats: machine.stats().clone(),
                stack: machine.stack(),
                connections,
                locked: Mutex::new(Locked {
                    machine,
                    threads: Threads::default(),
                    events: Vec::new(),
                }),
                is_closed: AtomicBool::new(false),
                dial_ended: Condvar::new(),
                drained: Condvar::new(),
                job_ready: Condvar::new(),
                alarm_moved: Condvar::new(),
                threads: ThreadGroup::default(),
            }
        });
        driver.apply_effects(driver.lock());
        driver
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
        let mut locked = self.lock();
        let status = locked.machine.status();
        locked.machine.publish();
        status
    }

    /// What the slots have counted on the fast path.
    pub fn slot_counts(&self) -> SlotCounts {
        self.lock().machine.slot_counts()
    }

    /// How long the caller at the head of the queue has waited.
    pub fn oldest_wait(&self) -> Duration {
        self.lock().machine.oldest_wait(clock::now())
    }

    /// Whether a close has returned.
    pub fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    pub fn is_closing(&self) -> bool {
        self.lock().machine.is_closing()
    }

    pub fn lock(&self) -> MutexGuard<'_, Locked> {
        self.locked.lock()
    }

    /// Tells the machine what happened at this moment and applies the effects.
    pub fn step<R>(self: &Arc<Self>, event: impl FnOnce(&mut PoolMachine, Instant) -> R) -> R {
        let now = clock::now();
        let mut locked = self.lock();
        let outcome = event(&mut locked.machine, now);
        locked.machine.publish();
        let Locked { machine, threads, .. } = &*locked;
        // Mostly nothing follows.
        if machine.has_effects() || machine.is_closing() || threads.are_too_few() {
            self.apply_effects(locked);
        }
        outcome
    }

    /// Releases the lock and applies the machine's effects.
    pub fn apply_effects(self: &Arc<Self>, mut locked: MutexGuard<'_, Locked>) {
        // It may start and join threads and wake others, also for an acquire or a release that costs
        // nothing else.
        let _uncancelled = Uncancelled::begin();
        let Locked { machine, threads, events } = &mut *locked;
        machine.publish();
        let mut effects = machine.take_effects();
        let is_closing = machine.is_closing();
        if self.options.log.is_some() {
            events.append(&mut effects.events);
        }
        let has_events = !events.is_empty();
        let missing = threads.reserve(machine, &self.options, has_events);
        drop(locked);
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
        self.start_threads(missing);
        self.look_at(effects.peeks);
        // Last, because it may lead to the program, which may take its time.
        for (waiter, outcome) in effects.outcomes {
            waiter.serve(outcome);
        }
    }

    /// Looks whether the server has closed idle sockets.
    fn look_at(self: &Arc<Self>, peeks: Vec<(LeaseId, Arc<PooledConnection>)>) {
        let closed: Vec<_> =
            peeks.into_iter().filter(|(_, connection)| !connection.peek()).collect();
        if !closed.is_empty() {
            self.step(|machine, now| {
                for (lease, _) in &closed {
                    machine.found_closed(*lease, now);
                }
            });
        }
    }

    /// Waits for the end of some dial; says whether the deadline passed first.
    pub fn wait_for_dial_end<'a>(
        &self,
        locked: MutexGuard<'a, Locked>,
        deadline: Instant,
    ) -> (MutexGuard<'a, Locked>, bool) {
        self.dial_ended.wait_until(locked, deadline)
    }

    /// Wakes lease holders that wait to dial, so that they notice a cancel.
    pub fn wake_dialers(&self) {
        // Under the lock: a holder either has not looked at it yet or waits already.
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
            connection.cancel_for_good();
        }
    }

    /// Leases have until `deadline` to come back.
    pub fn close(self: &Arc<Self>, deadline: Instant) {
        self.begin_close();
        let mut locked = self.lock();
        while locked.machine.status().used > 0 {
            let (guard, is_over) = self.drained.wait_until(locked, deadline);
            locked = guard;
            if is_over {
                break;
            }
        }
        let cut = locked.machine.cut();
        self.apply_effects(locked);
        for connection in cut {
            connection.cut();
        }
        let mut locked = self.lock();
        while !locked.machine.is_drained() {
            locked = match locked.take_job_without_worker() {
                Some(job) => {
                    drop(locked);
                    self.do_job(job);
                    self.lock()
                }
                None => self.drained.wait(locked),
            };
        }
        drop(locked);
        self.join_threads();
        self.is_closed.store(true, Ordering::Release);
    }

    /// Waits until the pool's threads are gone; they end by themselves once it is drained.
    fn join_threads(&self) {
        let mut locked = self.lock();
        while !locked.threads.are_gone() {
            locked = self.drained.wait(locked);
        }
        drop(locked);
        self.threads.join();
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
    random::number() ^ u64::from(fork::process_id()) << 32
}
