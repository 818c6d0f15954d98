//! The pool as a state machine: slots, waiters, and what is to be done about them.
//!
//! No threads, sockets or clocks in here. Whoever drives the machine holds its lock, tells it
//! what happened and what time it is, and afterwards carries out its [`Effects`]. A simulation
//! drives the same code with a clock of its own.
//!
//! Two promises hold after every event, whatever it was:
//! - each slot is in exactly one state, and `counts` says how many are in each;
//! - if more callers wait than connections are on their way to them, then there is nothing
//!   left to give: no idle connection may be handed out and no dial may be started.

#[cfg(test)]
mod checks;

use std::collections::VecDeque;
use std::mem;
use std::time::{Duration, Instant};

use super::outage::Outage;
use super::waiters::{Place, Waiters};
use crate::config::{Options, Validation};
use crate::error::{Code, Error};

/// Where a slot is; it is in exactly one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody has it; it can be handed out.
    Idle,
    /// A caller has it.
    Leased,
    /// A worker opens it.
    Dialing,
    /// A worker rolls its transaction back.
    Cleaning,
    /// A worker asks the server whether it still answers on it.
    Validating,
    /// A worker closes it; the server may count it until that is done.
    Closing,
    /// It does not exist and counts for nothing.
    Vacant,
}

const STATES: usize = State::Vacant as usize + 1;

#[derive(Debug)]
struct Slot<C> {
    state: State,
    /// Counts the leases, so that one that has ended can't be given back.
    generation: u32,
    connection: Option<C>,
    is_open: bool,
    idle_since: Instant,
    opened_at: Option<Instant>,
    retire_at: Option<Instant>,
    usable_until: Option<Instant>,
}

/// Names one lease of one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LeaseId {
    slot: usize,
    generation: u32,
}

/// A connection handed to a caller.
#[derive(Debug)]
pub struct Grant<C> {
    pub lease: LeaseId,
    pub connection: C,
    /// The caller must look at the socket first; see [`Machine::found_dead`].
    pub probe: bool,
}

/// The immediate outcome of an acquire.
#[derive(Debug)]
pub enum Acquired<C> {
    Granted(Grant<C>),
    Queued,
    Refused(Error),
}

/// What is to become of a connection that comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Reuse,
    RollBack,
    Discard,
}

/// The condition in which a connection comes back, or leaves a worker.
#[derive(Clone, Copy, Debug)]
pub struct Condition {
    pub fate: Fate,
    pub is_open: bool,
    pub opened_at: Option<Instant>,
    /// When the server said that it closes this connection.
    pub keep_alive_until: Option<Instant>,
    /// The last time that the server answered on it.
    pub answered_at: Option<Instant>,
}

/// Work that may block, for a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    Dial,
    RollBack,
    Ping,
    Close,
}

/// A task on the connection of a slot.
#[derive(Debug)]
pub struct Job<C> {
    pub task: Task,
    pub slot: usize,
    pub connection: C,
}

/// Whether the holder of a lease may open its connection now.
#[derive(Debug)]
pub enum DialPermit {
    Granted,
    /// Ask again when a dial has ended.
    Wait,
    Refused(Error),
}

/// What the driver carries out after it let go of the lock.
#[derive(Debug)]
pub struct Effects<C, W> {
    /// Waiters and what each of them gets.
    pub deliveries: Vec<(W, Result<Grant<C>, Error>)>,
    /// How many new jobs wait for a worker.
    pub new_jobs: usize,
    /// The housekeeper must wake earlier than it was told.
    pub alarm_moved: bool,
    /// A dial ended, so that a lease holder who waits to dial may ask again.
    pub dial_ended: bool,
}

/// The numbers that describe a pool at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Connections that can be handed out at once.
    pub available: u32,
    /// Connections that callers have.
    pub used: u32,
    /// Callers that wait for a connection.
    pub pending: u32,
    /// All connections: available, used, and those being opened, checked, cleaned or closed.
    pub total: u32,
    /// The option `min_connections`.
    pub min: u32,
    /// The option `max_connections`.
    pub max: u32,
}

impl Status {
    /// The numbers as a JSON object.
    pub fn to_json(&self) -> String {
        let Status { available, used, pending, total, min, max } = self;
        format!(
            r#"{{"available":{available},"used":{used},"pending":{pending},"total":{total},"min":{min},"max":{max}}}"#
        )
    }
}

/// The state machine. `C` is a connection, `W` the means to wake a waiter.
pub struct Machine<C, W> {
    options: Options,
    make: Box<dyn FnMut(usize) -> C + Send>,
    slots: Vec<Slot<C>>,
    vacant: Vec<usize>,
    counts: [usize; STATES],
    /// Opened ones at the back in the order of their return, unopened ones at the front.
    idle: VecDeque<usize>,
    waiters: Waiters<W>,
    jobs: VecDeque<Job<C>>,
    lease_dials: usize,
    lease_dials_waiting: usize,
    outage: Option<Outage>,
    is_closing: bool,
    alarm: Option<Instant>,
    chance: fastrand::Rng,
    effects: Effects<C, W>,
}

impl<C: Clone, W> Machine<C, W> {
    /// A pool with `min_connections` slots. `make` makes the unopened connection of a slot;
    /// `seed` decides every jitter.
    pub fn new(
        options: Options,
        now: Instant,
        seed: u64,
        make: impl FnMut(usize) -> C + Send + 'static,
    ) -> Self {
        let mut machine = Machine {
            options,
            make: Box::new(make),
            slots: Vec::new(),
            vacant: Vec::new(),
            counts: [0; STATES],
            idle: VecDeque::new(),
            waiters: Waiters::new(),
            jobs: VecDeque::new(),
            lease_dials: 0,
            lease_dials_waiting: 0,
            outage: None,
            is_closing: false,
            alarm: None,
            chance: fastrand::Rng::with_seed(seed),
            effects: Effects::none(),
        };
        machine.balance(now);
        machine
    }

    pub fn status(&self) -> Status {
        Status {
            available: self.idle.len() as u32,
            used: self.count(State::Leased) as u32,
            pending: self.waiters.len() as u32,
            total: self.total() as u32,
            min: self.options.min_connections,
            max: self.options.max_connections,
        }
    }

    pub fn is_closing(&self) -> bool {
        self.is_closing
    }

    /// Closing, and nothing is left to close.
    pub fn is_drained(&self) -> bool {
        self.is_closing && self.total() == 0
    }

    /// What the events since the last call ask the driver to do.
    pub fn take_effects(&mut self) -> Effects<C, W> {
        mem::replace(&mut self.effects, Effects::none())
    }

    /// How many jobs no worker has taken yet.
    pub fn waiting_jobs(&self) -> usize {
        self.jobs.len()
    }

    /// The next job for a worker. Dials go first: somebody waits for them, and they are few.
    pub fn next_job(&mut self) -> Option<Job<C>> {
        let dial = self.jobs.iter().position(|job| job.task == Task::Dial);
        self.jobs.remove(dial.unwrap_or(0))
    }

    /// The caller's place in the order of arrival, for [`Machine::acquire`].
    pub fn arrive(&mut self) -> Place {
        self.waiters.arrive()
    }

    /// Hands out a connection, or queues the caller.
    pub fn acquire(
        &mut self,
        place: Place,
        now: Instant,
        waiter: impl FnOnce() -> W,
    ) -> Acquired<C> {
        if self.is_closing {
            return Acquired::Refused(Error::closed());
        }
        if let Some(grant) = self.grant_at_once(now) {
            return Acquired::Granted(grant);
        }
        // Whoever is about to get a connection of its own doesn't lengthen the queue.
        let is_coming = self.waiters.len() < self.supply() || self.may_grow(now);
        if self.waiters.len() >= self.options.max_waiters as usize && !is_coming {
            return Acquired::Refused(self.overloaded());
        }
        self.waiters.insert(place, waiter());
        self.balance(now);
        Acquired::Queued
    }

    /// Hands out a connection if that needs neither waiting nor the network: one that is idle,
    /// or else a new one, which opens at its first request.
    pub fn try_acquire(&mut self, now: Instant) -> Result<Grant<C>, Error> {
        if self.is_closing {
            return Err(Error::closed());
        }
        if self.waiters.is_empty() {
            let without_round_trip = match self.options.validation {
                Validation::Ping => Validation::Socket,
                other => other,
            };
            if let Some(grant) = self.grant_idle(without_round_trip, now) {
                return Ok(grant);
            }
            match &self.outage {
                Some(outage) if self.dials_before_handing_out() => return Err(outage.error(now)),
                _ => {}
            }
            if let Some(grant) = self.grant_new(now) {
                return Ok(grant);
            }
        }
        let status = self.status();
        Err(Error::new(
            Code::WouldBlock,
            format!(
                "No connection is free: {} of {} connections in use, {} waiting",
                status.used, status.max, status.pending
            ),
        ))
    }

    /// Takes a caller that gives up out of the queue; `None` if it was served already, and
    /// then the delivery is on its way.
    pub fn cancel(&mut self, place: Place) -> Option<W> {
        self.waiters.remove(place)
    }

    /// The caller looked at the socket of its grant and it is closed. The caller keeps its
    /// place; it gets another connection, or the first that opens.
    pub fn found_dead(
        &mut self,
        lease: LeaseId,
        place: Place,
        now: Instant,
        waiter: impl FnOnce() -> W,
    ) -> Acquired<C> {
        if self.holds(lease) {
            self.vacate(lease.slot);
        }
        let outcome = if self.is_closing {
            Acquired::Refused(Error::closed())
        } else if let Some(grant) = self.grant_at_once(now) {
            Acquired::Granted(grant)
        } else {
            // It was let in before, so `max_waiters` does not stop it now.
            self.waiters.insert(place, waiter());
            Acquired::Queued
        };
        self.balance(now);
        outcome
    }

    /// Takes a connection back. False if the lease was cut meanwhile, and the slot is no longer
    /// its own.
    pub fn release(&mut self, lease: LeaseId, condition: Condition, now: Instant) -> bool {
        if !self.holds(lease) {
            return false;
        }
        self.note_sign_of_life(condition.answered_at);
        self.settle(lease.slot, condition, now);
        true
    }

    /// A worker has done its job on this slot; `outcome` says how it left the connection.
    pub fn job_done(&mut self, slot: usize, outcome: Result<Condition, Error>, now: Instant) {
        let state = self.slots[slot].state;
        if state == State::Dialing {
            self.effects.dial_ended = true;
            match &outcome {
                Ok(_) => self.outage = None,
                Err(cause) => self.note_failed_dial(cause.clone(), now),
            }
        }
        if matches!(state, State::Cleaning | State::Validating) && outcome.is_ok() {
            self.note_sign_of_life(Some(now));
        }
        match (state, outcome) {
            (State::Closing, _) => {
                self.vacate(slot);
                self.balance(now);
            }
            (_, Ok(condition)) => self.settle(slot, condition, now),
            (State::Dialing, Err(_)) => {
                self.vacate(slot);
                self.balance(now);
            }
            (_, Err(_)) => {
                self.start(Task::Close, slot);
                self.balance(now);
            }
        }
        if state == State::Dialing {
            // What was needed until now may be surplus, and idle for long.
            if let Some(due) = self.next_due(now) {
                self.want_alarm(due);
            }
        }
    }

    /// Whether the holder of a lease may open its connection now. A holder who got
    /// [`DialPermit::Wait`] says so with `waited` when it asks again.
    pub fn begin_lease_dial(&mut self, waited: bool, now: Instant) -> DialPermit {
        if waited {
            self.lease_dials_waiting -= 1;
        }
        if let Some(outage) = &self.outage {
            if self.dials_before_handing_out()
                && (outage.retry_at() > now || self.dials_under_way() > 0)
            {
                return DialPermit::Refused(outage.error(now));
            }
        }
        // Whoever asks first must not pass those that wait.
        let ahead = if waited { 0 } else { self.lease_dials_waiting };
        if self.dials_under_way() + ahead < self.options.max_connecting as usize {
            self.lease_dials += 1;
            return DialPermit::Granted;
        }
        self.lease_dials_waiting += 1;
        DialPermit::Wait
    }

    /// A holder who got [`DialPermit::Wait`] gives up.
    pub fn give_up_lease_dial(&mut self, now: Instant) {
        self.lease_dials_waiting -= 1;
        self.effects.dial_ended = true;
        self.balance(now);
    }

    /// The dial of a lease's holder ended.
    pub fn end_lease_dial(&mut self, failure: Option<Error>, now: Instant) {
        self.lease_dials -= 1;
        self.effects.dial_ended = true;
        match failure {
            None => self.outage = None,
            Some(cause) => self.note_failed_dial(cause, now),
        }
        self.balance(now);
    }

    /// Whether a worker (and not the holder of a lease) opens this slot.
    pub fn is_dialed_by_worker(&self, slot: usize) -> bool {
        self.slots[slot].state == State::Dialing
    }

    /// Does what is due: retires and closes idle connections, tries a lost server again.
    pub fn tick(&mut self, now: Instant) {
        if !self.is_closing {
            self.close_expired(now);
        }
        self.balance(now);
        self.alarm = self.next_due(now);
    }

    /// When [`Machine::tick`] wants to be called next.
    pub fn alarm(&self) -> Option<Instant> {
        self.alarm
    }

    /// Refuses every waiter, now and from now on, and closes what is idle. Leases stay until
    /// they come back or are [cut](Machine::cut).
    pub fn close(&mut self, now: Instant) {
        self.is_closing = true;
        while let Some(waiter) = self.waiters.pop() {
            self.effects.deliveries.push((waiter, Err(Error::closed())));
        }
        while let Some(slot) = self.idle.pop_front() {
            self.start(Task::Close, slot);
        }
        // Work that no worker has begun is not begun any more, except closing.
        for job in mem::take(&mut self.jobs) {
            match job.task {
                Task::Dial => self.vacate(job.slot),
                Task::RollBack | Task::Ping | Task::Close => self.start(Task::Close, job.slot),
            }
        }
        self.effects.dial_ended = true;
        self.balance(now);
    }

    /// The connections that workers open, clean or validate at this moment.
    pub fn connections_with_workers(&self) -> Vec<C> {
        let with_worker = |slot: &&Slot<C>| {
            matches!(slot.state, State::Dialing | State::Cleaning | State::Validating)
        };
        self.slots.iter().filter(with_worker).filter_map(|slot| slot.connection.clone()).collect()
    }

    /// Takes every lease away from its holder, and gives the connections, to be closed.
    pub fn cut(&mut self) -> Vec<C> {
        let mut connections = Vec::new();
        for slot in 0..self.slots.len() {
            if self.slots[slot].state == State::Leased {
                connections.push(self.connection(slot));
                self.vacate(slot);
            }
        }
        connections
    }

    fn count(&self, state: State) -> usize {
        self.counts[state as usize]
    }

    fn total(&self) -> usize {
        self.slots.len() - self.vacant.len()
    }

    fn holds(&self, lease: LeaseId) -> bool {
        let slot = &self.slots[lease.slot];
        slot.state == State::Leased && slot.generation == lease.generation
    }

    /// With validation or preconnect on, nobody gets a new connection before it is open, and
    /// so learns of an outage from the acquire.
    fn dials_before_handing_out(&self) -> bool {
        self.options.validation != Validation::None || self.options.preconnect
    }

    fn set_state(&mut self, slot: usize, state: State) {
        self.counts[self.slots[slot].state as usize] -= 1;
        self.counts[state as usize] += 1;
        self.slots[slot].state = state;
    }

    fn add_slot(&mut self, state: State, now: Instant) -> usize {
        let slot = self.vacant.pop().unwrap_or_else(|| {
            self.counts[State::Vacant as usize] += 1;
            self.slots.push(Slot {
                state: State::Vacant,
                generation: 0,
                connection: None,
                is_open: false,
                idle_since: now,
                opened_at: None,
                retire_at: None,
                usable_until: None,
            });
            self.slots.len() - 1
        });
        let connection = (self.make)(slot);
        let entry = &mut self.slots[slot];
        entry.connection = Some(connection);
        entry.is_open = false;
        entry.idle_since = now;
        entry.opened_at = None;
        entry.retire_at = None;
        entry.usable_until = None;
        self.set_state(slot, state);
        slot
    }

    fn vacate(&mut self, slot: usize) {
        self.slots[slot].connection = None;
        self.set_state(slot, State::Vacant);
        self.vacant.push(slot);
    }

    fn connection(&self, slot: usize) -> C {
        self.slots[slot].connection.clone().expect("a slot that is not vacant has a connection")
    }

    fn start(&mut self, task: Task, slot: usize) {
        self.set_state(
            slot,
            match task {
                Task::Dial => State::Dialing,
                Task::RollBack => State::Cleaning,
                Task::Ping => State::Validating,
                Task::Close => State::Closing,
            },
        );
        self.jobs.push_back(Job { task, slot, connection: self.connection(slot) });
        self.effects.new_jobs += 1;
    }

    fn grant(&mut self, slot: usize, probe: bool) -> Grant<C> {
        self.set_state(slot, State::Leased);
        self.slots[slot].generation = self.slots[slot].generation.wrapping_add(1);
        Grant {
            lease: LeaseId { slot, generation: self.slots[slot].generation },
            connection: self.connection(slot),
            probe,
        }
    }

    /// Hands out the idle connection that was used last, if it may be handed out as it is.
    /// On the way, starts what the ones that may not need.
    fn grant_idle(&mut self, validation: Validation, now: Instant) -> Option<Grant<C>> {
        while let Some(&slot) = self.idle.back() {
            let entry = &self.slots[slot];
            if entry.usable_until.is_some_and(|until| until <= now) {
                self.idle.pop_back();
                self.start(Task::Close, slot);
                continue;
            }
            if !entry.is_open && self.outage.is_some() && self.dials_before_handing_out() {
                if !self.may_dial(now) {
                    return None;
                }
                self.idle.pop_back();
                self.start(Task::Dial, slot);
                return None;
            }
            let is_stale = entry.is_open
                && now.saturating_duration_since(entry.idle_since) >= self.options.validate_after;
            self.idle.pop_back();
            if is_stale && validation == Validation::Ping {
                self.start(Task::Ping, slot);
                return None;
            }
            return Some(self.grant(slot, is_stale && validation == Validation::Socket));
        }
        None
    }

    /// A connection for a caller that nobody is ahead of, if there is one to be had at once.
    fn grant_at_once(&mut self, now: Instant) -> Option<Grant<C>> {
        if !self.waiters.is_empty() {
            return None;
        }
        match self.grant_idle(self.options.validation, now) {
            None if !self.dials_before_handing_out() => self.grant_new(now),
            grant => grant,
        }
    }

    fn grant_new(&mut self, now: Instant) -> Option<Grant<C>> {
        if self.total() >= self.options.max_connections as usize {
            return None;
        }
        let slot = self.add_slot(State::Leased, now);
        Some(self.grant(slot, false))
    }

    /// A connection is back from a caller or a worker: on to the next step of its life.
    fn settle(&mut self, slot: usize, condition: Condition, now: Instant) {
        self.note_opening(slot, &condition);
        let is_spent = self.slots[slot].usable_until.is_some_and(|until| until <= now);
        match condition.fate {
            // Once: what a rollback leaves in a transaction is closed.
            Fate::RollBack if !self.is_closing && self.slots[slot].state == State::Leased => {
                self.start(Task::RollBack, slot);
            }
            Fate::Reuse if !self.is_closing && !is_spent && self.is_worth_keeping(slot) => {
                match self.waiters.pop() {
                    Some(waiter) => {
                        let grant = self.grant(slot, false);
                        self.effects.deliveries.push((waiter, Ok(grant)));
                    }
                    None => self.park(slot, now),
                }
            }
            _ if condition.is_open || condition.fate == Fate::RollBack => {
                self.start(Task::Close, slot);
            }
            _ => self.vacate(slot),
        }
        self.balance(now);
    }

    /// A connection without a socket is worth no more than a new one: waiters get one that is
    /// open, and the surplus needs none.
    fn is_worth_keeping(&self, slot: usize) -> bool {
        if self.slots[slot].is_open {
            return true;
        }
        if self.waiters.is_empty() { self.surplus() == 0 } else { !self.dials_before_handing_out() }
    }

    fn park(&mut self, slot: usize, now: Instant) {
        self.set_state(slot, State::Idle);
        let entry = &mut self.slots[slot];
        entry.idle_since = now;
        let usable_until = entry.usable_until;
        if entry.is_open {
            self.idle.push_back(slot);
        } else {
            self.idle.push_front(slot);
        }
        if let Some(until) = usable_until {
            self.want_alarm(until);
        }
        if !self.options.idle_timeout.is_zero() && self.surplus() > 0 {
            self.want_alarm(now + self.options.idle_timeout);
        }
    }

    fn note_opening(&mut self, slot: usize, condition: &Condition) {
        let entry = &mut self.slots[slot];
        entry.is_open = condition.is_open;
        if entry.opened_at != condition.opened_at {
            entry.opened_at = condition.opened_at;
            let lifetime = self.options.max_lifetime;
            entry.retire_at = condition
                .opened_at
                .filter(|_| !lifetime.is_zero())
                .map(|at| at + lifetime.mul_f64(1.0 - 0.1 * self.chance.f64()));
        }
        entry.usable_until = match (entry.retire_at, condition.keep_alive_until) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }

    fn note_failed_dial(&mut self, cause: Error, now: Instant) {
        if cause.code() == Code::Cancelled {
            // The caller's doing, which tells nothing of the server.
            return;
        }
        let outage = Outage::after(self.outage.take(), cause, now, self.chance.f64());
        self.outage = Some(outage);
    }

    fn note_sign_of_life(&mut self, answered_at: Option<Instant>) {
        if let (Some(outage), Some(answered_at)) = (&mut self.outage, answered_at) {
            outage.note_sign_of_life(answered_at);
        }
    }

    fn dials_under_way(&self) -> usize {
        self.count(State::Dialing) + self.lease_dials
    }

    /// Whether the pool may start one more dial. Holders of leases go first.
    fn may_dial(&self, now: Instant) -> bool {
        let limit = match &self.outage {
            None => self.options.max_connecting as usize,
            Some(outage) if outage.retry_at() <= now => 1,
            Some(_) => 0,
        };
        self.dials_under_way() + self.lease_dials_waiting < limit
    }

    fn may_grow(&self, now: Instant) -> bool {
        self.total() < self.options.max_connections as usize && self.may_dial(now)
    }

    /// Connections on their way to waiters. One that is being cleaned is not: a rollback may
    /// hang, and nobody shall wait for it while another connection could be opened.
    fn supply(&self) -> usize {
        self.count(State::Dialing) + self.count(State::Validating)
    }

    /// Restores the second promise of this module, and the minimum.
    fn balance(&mut self, now: Instant) {
        if self.is_closing {
            return;
        }
        while self.waiters.len() > self.supply() {
            let (idle, supply) = (self.idle.len(), self.supply());
            let grant = match self.grant_idle(self.options.validation, now) {
                None if self.idle.len() != idle || self.supply() != supply => continue,
                None if !self.dials_before_handing_out() => self.grant_new(now),
                grant => grant,
            };
            if let Some(grant) = grant {
                let waiter = self.waiters.pop().expect("somebody waits");
                self.effects.deliveries.push((waiter, Ok(grant)));
            } else if self.may_grow(now) {
                let slot = self.add_slot(State::Vacant, now);
                self.start(Task::Dial, slot);
            } else {
                break;
            }
        }
        self.refuse_the_hopeless(now);
        self.refill(now);
        self.probe(now);
        if let Some(retry_at) = self.next_retry(now) {
            self.want_alarm(retry_at);
        }
    }

    /// In an outage, callers learn the truth at once instead of waiting for their time-out;
    /// but a server that was heard from since may still give them a connection that is in use.
    fn refuse_the_hopeless(&mut self, now: Instant) {
        let Some(outage) = &self.outage else { return };
        if !self.dials_before_handing_out()
            || self.may_dial(now)
            || (self.count(State::Leased) > 0 && !outage.is_confirmed())
        {
            return;
        }
        let error = outage.error(now);
        while self.waiters.len() > self.supply() {
            let Some(waiter) = self.waiters.pop_last() else { return };
            self.effects.deliveries.push((waiter, Err(error.clone())));
        }
    }

    fn refill(&mut self, now: Instant) {
        while self.total() < self.options.min_connections as usize {
            if !self.options.preconnect {
                if self.waiters.len() > self.supply() {
                    // The slot is better used for the next dial than by an unopened connection.
                    return;
                }
                let slot = self.add_slot(State::Vacant, now);
                self.park(slot, now);
            } else if self.may_dial(now) {
                let slot = self.add_slot(State::Vacant, now);
                self.start(Task::Dial, slot);
            } else {
                return;
            }
        }
    }

    /// Tries a lost server again though nobody waits: callers who only try never wait, and a
    /// burst of callers after a quiet time is not to find an outage that is long over.
    fn probe(&mut self, now: Instant) {
        if self.outage.is_none() || !self.dials_before_handing_out() || !self.may_dial(now) {
            return;
        }
        let unopened = self.idle.front().copied().filter(|slot| !self.slots[*slot].is_open);
        if let Some(slot) = unopened {
            self.idle.pop_front();
            self.start(Task::Dial, slot);
        } else if self.may_grow(now) {
            let slot = self.add_slot(State::Vacant, now);
            self.start(Task::Dial, slot);
        }
    }

    fn surplus(&self) -> usize {
        let staying = self.total() - self.count(State::Closing) - self.count(State::Dialing);
        staying.saturating_sub(self.options.min_connections as usize)
    }

    fn idle_expiry(&self, slot: usize) -> Option<Instant> {
        let timeout = self.options.idle_timeout;
        (!timeout.is_zero()).then(|| self.slots[slot].idle_since + timeout)
    }

    fn close_expired(&mut self, now: Instant) {
        let mut kept = VecDeque::with_capacity(self.idle.len());
        for slot in mem::take(&mut self.idle) {
            let is_past = |at: Option<Instant>| at.is_some_and(|at| at <= now);
            let is_surplus = self.surplus() > 0 && is_past(self.idle_expiry(slot));
            if is_past(self.slots[slot].usable_until) || (is_surplus && self.slots[slot].is_open) {
                self.start(Task::Close, slot);
            } else if is_surplus {
                self.vacate(slot);
            } else {
                kept.push_back(slot);
            }
        }
        self.idle = kept;
    }

    /// When to try a lost server again. Once that time has come, the end of the dial under way
    /// is what matters next.
    fn next_retry(&self, now: Instant) -> Option<Instant> {
        let retry_at = self.outage.as_ref()?.retry_at();
        (self.dials_before_handing_out() && !self.is_closing && retry_at > now).then_some(retry_at)
    }

    fn next_due(&self, now: Instant) -> Option<Instant> {
        let expiry = self.idle.iter().filter_map(|slot| self.idle_expiry(*slot));
        let expiry = expiry.min().filter(|_| self.surplus() > 0);
        let retirement = self.idle.iter().filter_map(|slot| self.slots[*slot].usable_until).min();
        [expiry, retirement, self.next_retry(now)].into_iter().flatten().min()
    }

    fn want_alarm(&mut self, at: Instant) {
        if self.alarm.is_none_or(|alarm| at < alarm) {
            self.alarm = Some(at);
            self.effects.alarm_moved = true;
        }
    }

    /// The error of a caller whose deadline passed while it waited.
    pub fn timeout_error(&self, waited: Duration) -> Error {
        let status = self.status();
        let cause = match &self.outage {
            Some(outage) => format!("; {}", outage.cause().message()),
            None => String::new(),
        };
        Error::new(
            Code::Timeout,
            format!(
                "Timeout acquiring connection after {:.1} s: {} of {} connections in use, \
                 {} waiting{cause}",
                waited.as_secs_f64(),
                status.used,
                status.max,
                status.pending
            ),
        )
    }

    fn overloaded(&self) -> Error {
        let status = self.status();
        Error::new(
            Code::Overloaded,
            format!(
                "Too many callers wait for a connection: {} of at most {} (max_waiters); \
                 {} of {} connections in use",
                status.pending, self.options.max_waiters, status.used, status.max
            ),
        )
    }
}

impl<C, W> Effects<C, W> {
    fn none() -> Self {
        Effects { deliveries: Vec::new(), new_jobs: 0, alarm_moved: false, dial_ended: false }
    }
}
