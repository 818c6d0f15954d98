//! The threads of a pool: workers for what may block, and a housekeeper for what is due.
//!
//! Threads start when there is something for them to do, and end when there has been nothing for a
//! while: a pool that nobody uses has no threads.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::driver::{Driver, Locked, PoolMachine};
use super::machine::{ConnectionReport, Job, JobKind, LogEvent};
use super::pooled_connection::PooledConnection;
use crate::client::DialPermit;
use crate::config::{MAX_DURATION, Options};
use crate::error::{Code, Error, Result};
use crate::os::clock;
use crate::os::locks::{Condvar, MutexGuard};
use crate::os::threads::{Busy, Next, ThreadCount, Work};

/// Workers beside those that dial, for rolling back, validating and closing.
const SPARE_WORKERS: usize = 8;
/// How long rolling back a forgotten transaction may take.
const ROLLBACK_TIMEOUT: Duration = Duration::from_secs(5);

/// What the pool knows of its threads; guarded by the pool's lock.
#[derive(Debug, Default)]
pub struct Threads {
    workers: ThreadCount,
    housekeeper: ThreadCount,
    /// One could not be started.
    are_too_few: bool,
}

/// Threads that are to be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    workers: usize,
    housekeepers: usize,
}

/// Dials, validates, rolls back and closes.
#[derive(Clone)]
struct Worker(Arc<Driver>);

/// Does what is due, and tells the log what happened.
#[derive(Clone)]
struct Housekeeper(Arc<Driver>);

enum Chore {
    Log(Vec<LogEvent<Arc<PooledConnection>>>),
    Tick,
}

impl Threads {
    pub fn are_gone(&self) -> bool {
        self.workers.is_zero() && self.housekeeper.is_zero()
    }

    /// Whether the next event is to try again to start a thread.
    pub fn are_too_few(&self) -> bool {
        self.are_too_few
    }

    /// Counts in the threads that are missing.
    pub fn reserve(
        &mut self,
        machine: &PoolMachine,
        options: &Options,
        has_events: bool,
    ) -> Missing {
        self.are_too_few = false;
        let most = options.max_connecting as usize + SPARE_WORKERS;
        let is_due = has_events || (machine.alarm().is_some() && !machine.is_drained());
        Missing {
            workers: self.workers.reserve(machine.waiting_jobs(), most),
            housekeepers: self.housekeeper.reserve(usize::from(is_due), 1),
        }
    }
}

impl Driver {
    /// Starts threads that [`Threads::reserve`] counted in.
    pub(super) fn start_threads(self: &Arc<Self>, missing: Missing) {
        if missing.workers > 0 {
            self.threads.start(&Worker(self.clone()), missing.workers);
        }
        if missing.housekeepers > 0 {
            self.threads.start(&Housekeeper(self.clone()), missing.housekeepers);
        }
    }

    pub(super) fn do_job(self: &Arc<Self>, job: Job<Arc<PooledConnection>>) {
        let slot = job.slot;
        let outcome = catch_unwind(AssertUnwindSafe(|| do_task(self, job)))
            .unwrap_or_else(|_| Err(Error::new(Code::Panic, "A worker of the pool panicked")));
        self.step(|machine, now| machine.job_done(slot, outcome, now));
    }

    /// The system refused a thread: the next event on the pool tries again.
    fn note_refusal(&self, mut locked: MutexGuard<'_, Locked>) {
        locked.threads.are_too_few = true;
        drop(locked);
        self.note_thread_end();
    }
}

impl Locked {
    /// A job for the caller to do, because the system refuses threads and there is no worker.
    pub(super) fn take_job_without_worker(&mut self) -> Option<Job<Arc<PooledConnection>>> {
        if self.threads.workers.is_zero() { self.machine.next_job() } else { None }
    }
}

impl Work for Worker {
    const NAME: &'static str = "phantomdb-work";
    type State = Locked;
    type Job = Job<Arc<PooledConnection>>;

    fn lock(&self) -> MutexGuard<'_, Locked> {
        self.0.lock()
    }

    fn signal(&self) -> &Condvar {
        &self.0.job_ready
    }

    fn count(locked: &mut Locked) -> &mut ThreadCount {
        &mut locked.threads.workers
    }

    fn next(locked: &mut Locked) -> Next<Self::Job> {
        match locked.machine.next_job() {
            Some(job) => Next::Do(job),
            None if locked.machine.is_drained() => Next::End,
            None => Next::Idle,
        }
    }

    fn run(&self, job: Self::Job, _: &mut Busy<'_, Self>) {
        self.0.do_job(job);
    }

    fn refused(&self, locked: MutexGuard<'_, Locked>) {
        self.0.note_refusal(locked);
    }

    fn ended(&self) {
        self.0.note_thread_end();
    }
}

impl Work for Housekeeper {
    const NAME: &'static str = "phantomdb-keep";
    type State = Locked;
    type Job = Chore;

    fn lock(&self) -> MutexGuard<'_, Locked> {
        self.0.lock()
    }

    fn signal(&self) -> &Condvar {
        &self.0.alarm_moved
    }

    fn count(locked: &mut Locked) -> &mut ThreadCount {
        &mut locked.threads.housekeeper
    }

    fn next(locked: &mut Locked) -> Next<Chore> {
        if !locked.events.is_empty() {
            return Next::Do(Chore::Log(mem::take(&mut locked.events)));
        }
        match locked.machine.alarm() {
            _ if locked.machine.is_drained() => Next::End,
            None => Next::Idle,
            Some(alarm) if clock::now() < alarm => Next::WaitUntil(alarm),
            Some(_) => Next::Do(Chore::Tick),
        }
    }

    fn run(&self, chore: Chore, _: &mut Busy<'_, Self>) {
        match chore {
            Chore::Log(events) => self.0.log(events),
            Chore::Tick => {
                let mut locked = self.0.lock();
                locked.machine.note_sleep(clock::slept(), clock::now());
                locked.machine.tick(clock::now());
                self.0.apply_effects(locked);
            }
        }
    }

    fn refused(&self, locked: MutexGuard<'_, Locked>) {
        self.0.note_refusal(locked);
    }

    fn ended(&self) {
        self.0.note_thread_end();
    }
}

fn do_task(driver: &Driver, job: Job<Arc<PooledConnection>>) -> Result<ConnectionReport> {
    let options = driver.options();
    let within = |timeout: Duration| clock::now() + timeout;
    let mut pinged = None;
    job.connection.with_connection(|connection| match job.kind {
        // The client knows `connect_timeout`, and names it when it passes.
        JobKind::Dial => connection.open_with(job_permit(), within(MAX_DURATION)),
        JobKind::Probe => {
            connection.open_with(job_permit(), within(MAX_DURATION))?;
            let status = connection.ping(within(options.validation_timeout));
            pinged = Some(status.inspect_err(|_| connection.close(Duration::ZERO))?);
            Ok(())
        }
        JobKind::RollBack => {
            connection.rollback(within(ROLLBACK_TIMEOUT.min(options.request_timeout)))
        }
        JobKind::Ping => {
            pinged = Some(connection.ping(within(options.validation_timeout))?);
            Ok(())
        }
        JobKind::Close => {
            if connection.transaction().is_some() {
                // Best effort: the connection goes in any case, and the server gives up on
                // transactions of clients that are gone.
                let _ = connection.rollback(within(options.validation_timeout));
            }
            connection.close(driver.linger());
            Ok(())
        }
    })?;
    if pinged.is_some() {
        job.connection.note_response();
    }
    Ok(ConnectionReport { pinged, ..job.connection.report() })
}

/// The machine counted the dial when it made the job, and learns of its end as the job's.
fn job_permit() -> DialPermit {
    DialPermit::new(|_| ())
}
