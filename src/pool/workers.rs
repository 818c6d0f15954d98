//! The threads of a pool: workers for what may block, and a housekeeper for what is due.
//!
//! Threads start when there is something for them to do, and workers end when there has been
//! nothing for a while: a pool that nobody uses has no threads.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::driver::{Core, PoolMachine, Shared};
use super::lease::Pooled;
use super::machine::{Condition, Job, Task};
use crate::config::{MAX_DURATION, Options};
use crate::error::{Code, Error, Result};
use crate::os::clock;
use crate::os::threads;

/// How long a worker without a job stays.
const WORKER_LINGER: Duration = Duration::from_secs(10);
/// How long a housekeeper stays for whom nothing will be due.
const HOUSEKEEPER_LINGER: Duration = Duration::from_secs(10);
/// Workers beside those that dial, for rolling back, validating and closing.
const SPARE_WORKERS: usize = 8;
/// How long rolling back a forgotten transaction may take.
const ROLLBACK_TIMEOUT: Duration = Duration::from_secs(5);

/// What the pool knows of its threads; guarded by the pool's lock.
#[derive(Debug, Default)]
pub struct Workers {
    running: usize,
    /// Of them, those that have not looked for a job yet.
    starting: usize,
    /// Of them, those that wait for a job.
    idle: usize,
    has_housekeeper: bool,
    /// One could not be started.
    are_too_few: bool,
}

/// A thread that is to be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Worker,
    Housekeeper,
}

impl Workers {
    pub fn are_gone(&self) -> bool {
        self.running == 0 && !self.has_housekeeper
    }

    /// Whether the next event is to try again to start a thread.
    pub fn are_too_few(&self) -> bool {
        self.are_too_few
    }

    /// Counts in, and names, the threads that are missing.
    pub fn reserve_threads(
        &mut self,
        machine: &PoolMachine,
        options: &Options,
        has_events: bool,
    ) -> Vec<Role> {
        let mut roles = Vec::new();
        self.are_too_few = false;
        let most = options.max_connecting as usize + SPARE_WORKERS;
        while self.running < most && machine.waiting_jobs() > self.idle + self.starting {
            self.running += 1;
            self.starting += 1;
            roles.push(Role::Worker);
        }
        let is_due = has_events || (machine.alarm().is_some() && !machine.is_drained());
        if !self.has_housekeeper && is_due {
            self.has_housekeeper = true;
            roles.push(Role::Housekeeper);
        }
        roles
    }
}

impl Shared {
    /// Starts threads that [`Workers::reserve_threads`] counted in.
    pub(super) fn spawn(self: &Arc<Self>, roles: Vec<Role>) {
        for role in roles {
            let shared = self.clone();
            let (name, run): (_, fn(&Arc<Shared>)) = match role {
                Role::Worker => ("phantomdb-work", work),
                Role::Housekeeper => ("phantomdb-keep", keep_house),
            };
            // From before the start, so that a thread that ends at once is joined by a close too.
            let mut threads = self.threads.lock();
            match threads::spawn(name, move || run(&shared)) {
                Ok(thread) => {
                    threads::join_finished(&mut threads);
                    threads.push(thread);
                }
                // No thread to be had: the next event on the pool tries again.
                Err(_) => {
                    drop(threads);
                    let mut core = self.lock();
                    match role {
                        Role::Worker => {
                            core.workers.running -= 1;
                            core.workers.starting -= 1;
                        }
                        Role::Housekeeper => core.workers.has_housekeeper = false,
                    }
                    core.workers.are_too_few = true;
                    drop(core);
                    self.note_thread_end();
                }
            }
        }
    }

    pub(super) fn do_job(self: &Arc<Self>, job: Job<Arc<Pooled>>) {
        let slot = job.slot;
        let outcome = catch_unwind(AssertUnwindSafe(|| carry_out(self, job)))
            .unwrap_or_else(|_| Err(Error::new(Code::Panic, "A worker of the pool panicked")));
        self.step(|machine, now| machine.job_done(slot, outcome, now));
    }
}

impl Core {
    /// A job that no worker is there for, because the system has no thread to be had.
    pub(super) fn take_orphan(&mut self) -> Option<Job<Arc<Pooled>>> {
        if self.workers.running > 0 {
            return None;
        }
        self.machine.next_job()
    }
}

fn work(shared: &Arc<Shared>) {
    let mut core = shared.lock();
    core.workers.starting -= 1;
    loop {
        if let Some(job) = core.machine.next_job() {
            drop(core);
            shared.do_job(job);
            core = shared.lock();
            continue;
        }
        if core.machine.is_drained() {
            break;
        }
        core.workers.idle += 1;
        let (guard, is_over) = shared.job_ready.wait_until(core, clock::now() + WORKER_LINGER);
        core = guard;
        core.workers.idle -= 1;
        if is_over && core.machine.waiting_jobs() == 0 {
            break;
        }
    }
    core.workers.running -= 1;
    drop(core);
    shared.note_thread_end();
}

fn carry_out(shared: &Shared, job: Job<Arc<Pooled>>) -> Result<Condition> {
    let options = shared.options();
    let within = |timeout: Duration| clock::now() + timeout;
    let mut pinged = None;
    job.connection.with_connection(|connection| match job.task {
        // The client knows `connect_timeout`, and names it when it passes.
        Task::Dial => connection.open(within(MAX_DURATION)),
        Task::Probe => {
            connection.open(within(MAX_DURATION))?;
            let answered = connection.ping(within(options.validation_timeout));
            pinged = Some(answered.inspect_err(|_| connection.close(Duration::ZERO))?);
            Ok(())
        }
        Task::RollBack => {
            connection.rollback(within(ROLLBACK_TIMEOUT.min(options.request_timeout)))
        }
        Task::Ping => {
            pinged = Some(connection.ping(within(options.validation_timeout))?);
            Ok(())
        }
        Task::Close => {
            if connection.transaction().is_some() {
                // Best effort: the connection goes in any case, and the server gives up on
                // transactions of clients that are gone.
                let _ = connection.rollback(within(options.validation_timeout));
            }
            connection.close(shared.linger());
            Ok(())
        }
    })?;
    if pinged.is_some() {
        job.connection.note_answer();
    }
    Ok(Condition { pinged, ..job.connection.condition() })
}

fn keep_house(shared: &Arc<Shared>) {
    let mut core = shared.lock();
    loop {
        if !core.events.is_empty() {
            let events = mem::take(&mut core.events);
            drop(core);
            shared.log(events);
            core = shared.lock();
            continue;
        }
        if core.machine.is_drained() {
            break;
        }
        match core.machine.alarm() {
            None => {
                let (guard, is_over) =
                    shared.alarm_moved.wait_until(core, clock::now() + HOUSEKEEPER_LINGER);
                core = guard;
                if is_over && core.machine.alarm().is_none() && core.events.is_empty() {
                    break;
                }
            }
            Some(alarm) if clock::now() < alarm => {
                core = shared.alarm_moved.wait_until(core, alarm).0;
            }
            Some(_) => {
                core.machine.note_sleep(clock::slept(), clock::now());
                core.machine.tick(clock::now());
                shared.carry_out(core);
                core = shared.lock();
            }
        }
    }
    core.workers.has_housekeeper = false;
    drop(core);
    shared.note_thread_end();
}
