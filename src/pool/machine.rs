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

mod causes;
mod changes;
mod dialing;
mod fast_path;
mod housekeeping;
#[cfg(test)]
mod invariants;
mod messages;
mod slot;
mod sockets;
mod suspicion;

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::outage::Outage;
use super::stats::{CloseReason, Stats};
use super::status::Status;
use super::waiters::{Place, WaitLimit, Waiters};
use crate::config::{Options, Validation};
use crate::error::{Code, Error};
use slot::{STATES, Slot, State};

pub use messages::*;

/// By how much of its lifetime a connection may be retired early, so that those that were opened
/// together are not retired together.
const LIFETIME_JITTER: f64 = 0.1;

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
    /// Dials of lease holders that are under way.
    lease_dials: usize,
    /// The slots whose holders wait to dial, or for a socket, in the order in which they came.
    dial_queue: VecDeque<usize>,
    outage: Option<Outage>,
    /// Pings are answered with 503: the server asks everybody to leave.
    is_turned_away: bool,
    /// What was last heard from before this is to be checked before anybody gets it.
    suspects_heard_before: Option<Instant>,
    /// When to look at the idle sockets; `None` if none is idle.
    peek_at: Option<Instant>,
    /// How long the computer has slept in all; `None` until the first look.
    slept: Option<Duration>,
    /// How often the pool was reset.
    epoch: u64,
    is_closing: bool,
    alarm: Option<Instant>,
    chance: fastrand::Rng,
    stats: Arc<Stats>,
    effects: Effects<C, W>,
}

impl<C: Lent, W> Machine<C, W> {
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
            dial_queue: VecDeque::new(),
            outage: None,
            is_turned_away: false,
            suspects_heard_before: None,
            peek_at: None,
            slept: None,
            epoch: 0,
            is_closing: false,
            alarm: None,
            chance: fastrand::Rng::with_seed(seed),
            stats: Arc::default(),
            effects: Effects::none(),
        };
        machine.balance(now);
        machine
    }

    pub fn status(&self) -> Status {
        // What has to be opened first can't be handed out in an outage.
        let available = match &self.outage {
            None => self.idle.len(),
            Some(_) => self.idle.iter().filter(|slot| self.slots[**slot].is_open).count(),
        };
        Status {
            available: available as u32,
            used: self.count(State::Leased) as u32,
            pending: self.waiters.len() as u32,
            total: self.total() as u32,
            min: self.options.min_connections,
            max: self.options.max_connections,
        }
    }

    /// How long the caller has waited that waits longest; no time if nobody waits.
    pub fn oldest_wait(&self, now: Instant) -> Duration {
        let since = self.waiters.oldest();
        since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// What the pool has done so far.
    pub fn stats(&self) -> &Arc<Stats> {
        &self.stats
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
        let dial = self.jobs.iter().position(|job| job.task.is_dial());
        self.jobs.remove(dial.unwrap_or(0))
    }

    /// The caller's place in the order of arrival, for [`Machine::acquire`].
    pub fn arrive(&mut self) -> Place {
        self.waiters.arrive()
    }

    /// Hands out a connection, or queues the caller; one with `wait_limit` is told when that ends.
    pub fn acquire(
        &mut self,
        place: Place,
        wait_limit: Option<WaitLimit>,
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
        self.queue(place, wait_limit, waiter(), now);
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
                None => {
                    if let Some(grant) = self.grant_new(now) {
                        return Ok(grant);
                    }
                }
                Some(outage) if !self.has_hope(now) => return Err(outage.error(now)),
                Some(_) => {}
            }
        }
        Err(self.would_block(now))
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
        wait_limit: Option<WaitLimit>,
        now: Instant,
        waiter: impl FnOnce() -> W,
    ) -> Acquired<C> {
        if self.holds(lease) {
            self.vacate(lease.slot, CloseReason::Dead);
        }
        let outcome = if self.is_closing {
            Acquired::Refused(Error::closed())
        } else if let Some(grant) = self.grant_at_once(now) {
            Acquired::Granted(grant)
        } else {
            // It was let in before, so `max_waiters` does not stop it now.
            self.queue(place, wait_limit, waiter(), now);
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
        self.settle(lease.slot, condition, now);
        true
    }

    /// A worker has done its job on this slot; `outcome` says how it left the connection.
    pub fn job_done(&mut self, slot: usize, outcome: Result<Condition, Error>, now: Instant) {
        match self.slots[slot].state {
            State::Dialing => self.dial_done(slot, outcome, now),
            State::Closing => {
                self.vacate(slot, self.slots[slot].close_reason);
                self.balance(now);
            }
            state => match outcome {
                Ok(condition) => {
                    self.note_ping(condition.pinged);
                    let answered_at = condition.answered_at.max(Some(now));
                    self.settle(slot, Condition { answered_at, ..condition }, now);
                }
                Err(_) => {
                    self.start_closing(slot, CloseReason::Dead);
                    if matches!(state, State::Validating | State::Suspect) {
                        self.retire_unchecked();
                    }
                    self.balance(now);
                }
            },
        }
    }

    /// A ping was answered with this status. 503 is worth a line in the log, once.
    fn note_ping(&mut self, status: Option<u16>) {
        let Some(status) = status else { return };
        let is_turned_away = status == 503;
        if self.is_turned_away != is_turned_away {
            self.is_turned_away = is_turned_away;
            self.effects.events.push(Event::TurnedAway(is_turned_away));
        }
    }

    fn queue(&mut self, place: Place, wait_limit: Option<WaitLimit>, waiter: W, now: Instant) {
        self.waiters.insert(place, wait_limit, waiter, now);
        if let Some(wait_limit) = wait_limit {
            self.want_alarm(wait_limit.until);
        }
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

    fn set_state(&mut self, slot: usize, state: State) {
        self.counts[self.slots[slot].state as usize] -= 1;
        self.counts[state as usize] += 1;
        self.slots[slot].state = state;
    }

    fn add_slot(&mut self, state: State, now: Instant) -> usize {
        let slot = self.vacant.pop().unwrap_or_else(|| {
            self.counts[State::Vacant as usize] += 1;
            self.slots.push(Slot::vacant(now));
            self.slots.len() - 1
        });
        let connection = (self.make)(slot);
        self.slots[slot].fill(connection, self.epoch, now);
        self.set_state(slot, state);
        slot
    }

    fn vacate(&mut self, slot: usize, reason: CloseReason) {
        if let Some(promised) = self.slots[slot].promised.take() {
            self.start_closing(promised, reason);
        }
        self.note_socket(slot, false, reason);
        self.slots[slot].connection = None;
        self.set_state(slot, State::Vacant);
        self.vacant.push(slot);
    }

    /// Takes note that the slot's socket is gone (for `reason`), or that there is a new one.
    fn note_socket(&mut self, slot: usize, is_open: bool, reason: CloseReason) {
        if self.slots[slot].is_open {
            self.stats.count_close(reason);
        }
        self.slots[slot].is_open = is_open;
    }

    fn connection(&self, slot: usize) -> C {
        self.slots[slot].connection.clone().expect("a slot that is not vacant has a connection")
    }

    fn start_closing(&mut self, slot: usize, reason: CloseReason) {
        self.slots[slot].close_reason = reason;
        self.start(Task::Close, slot);
    }

    fn start(&mut self, task: Task, slot: usize) {
        let state = match task {
            Task::Dial | Task::Probe => State::Dialing,
            Task::RollBack => State::Cleaning,
            Task::Ping => State::Validating,
            Task::Close => State::Closing,
        };
        self.start_in(task, slot, state);
    }

    fn start_in(&mut self, task: Task, slot: usize, state: State) {
        self.set_state(slot, state);
        self.jobs.push_back(Job { task, slot, connection: self.connection(slot) });
        self.effects.new_jobs += 1;
    }

    fn grant(&mut self, slot: usize, probe: bool, now: Instant) -> Grant<C> {
        self.set_state(slot, State::Leased);
        let entry = &mut self.slots[slot];
        entry.generation = entry.generation.wrapping_add(1);
        entry.leased_at = now;
        entry.is_leak_reported = false;
        entry.has_failed = false;
        let lease = LeaseId { slot, generation: entry.generation };
        if !self.options.leak_threshold.is_zero() {
            self.want_alarm(now + self.options.leak_threshold);
        }
        Grant { lease, connection: self.connection(slot), probe }
    }

    /// Hands out the idle connection that was used last, if it may be handed out as it is.
    /// On the way, starts what the ones that may not need.
    fn grant_idle(&mut self, validation: Validation, now: Instant) -> Option<Grant<C>> {
        while let Some(&slot) = self.idle.back() {
            let entry = &self.slots[slot];
            if entry.is_spent(now) {
                self.idle.pop_back();
                self.start_closing(slot, CloseReason::Lifetime);
                continue;
            }
            if !entry.is_open && self.outage.is_some() {
                if !self.may_dial(now) {
                    return None;
                }
                self.idle.pop_back();
                self.start_dial(slot, now);
                return None;
            }
            let is_stale = entry.is_open
                && now.saturating_duration_since(entry.idle_since) >= self.options.validate_after;
            self.idle.pop_back();
            if is_stale && validation == Validation::Ping {
                self.start(Task::Ping, slot);
                return None;
            }
            return Some(self.grant(slot, is_stale && validation == Validation::Socket, now));
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
        Some(self.grant(slot, false, now))
    }

    /// A connection is back from a caller or a worker: on to the next step of its life.
    fn settle(&mut self, slot: usize, condition: Condition, now: Instant) {
        self.note_condition(slot, &condition);
        self.place(slot, &condition, now);
        self.balance(now);
    }

    /// On to the next state, by what is known of the connection.
    fn place(&mut self, slot: usize, condition: &Condition, now: Instant) {
        let came_from = self.slots[slot].state;
        match self.reason_to_close(slot, condition, now) {
            // Once: what a rollback leaves in a transaction is closed.
            _ if condition.fate == Fate::RollBack
                && came_from == State::Leased
                && !self.is_closing =>
            {
                self.start(Task::RollBack, slot);
            }
            None if self.slots[slot].is_suspect => self.check_suspect(slot),
            None if self.promise_socket(slot) => {}
            None => match self.waiters.pop() {
                Some(waiter) => {
                    let grant = self.grant(slot, false, now);
                    self.effects.deliveries.push((waiter, Ok(grant)));
                }
                None => self.park(slot, now),
            },
            Some(reason) if condition.is_open || condition.fate == Fate::RollBack => {
                self.start_closing(slot, reason);
            }
            Some(reason) => self.vacate(slot, reason),
        }
    }

    fn reason_to_close(
        &self,
        slot: usize,
        condition: &Condition,
        now: Instant,
    ) -> Option<CloseReason> {
        let entry = &self.slots[slot];
        if self.is_closing {
            Some(CloseReason::Closed)
        } else if condition.fate == Fate::Discard {
            Some(CloseReason::Discarded)
        } else if matches!(condition.fate, Fate::RollBack | Fate::Broken) {
            Some(CloseReason::Broken)
        } else if self.is_over_max() {
            Some(CloseReason::Resized)
        } else if entry.is_spent(now) || (entry.is_open && self.is_replaced(slot)) {
            Some(CloseReason::Lifetime)
        } else if entry.epoch < self.epoch && entry.is_open {
            Some(CloseReason::Reset)
        } else {
            (!self.is_worth_keeping(slot)).then_some(CloseReason::Broken)
        }
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
        let (usable_until, replace_at) = (entry.usable_until, entry.replace_at);
        if entry.is_open {
            if self.peek_at.is_none() || entry.is_unproved {
                self.want_peek(slot, now);
            }
            self.idle.push_back(slot);
        } else {
            self.idle.push_front(slot);
        }
        if let Some(until) = usable_until {
            self.want_alarm(until);
        }
        if let Some(at) = replace_at.filter(|at| *at > now && self.wants_successor(slot)) {
            self.want_alarm(at);
        }
        if !self.options.idle_timeout.is_zero() && self.surplus() > 0 {
            self.want_alarm(now + self.options.idle_timeout);
        }
    }

    fn note_condition(&mut self, slot: usize, condition: &Condition) {
        if !condition.is_open {
            self.note_socket(slot, false, CloseReason::Broken);
        }
        let most = self.options.max_lifetime;
        let chance = &mut self.chance;
        let lifetime =
            || (!most.is_zero()).then(|| most.mul_f64(1.0 - LIFETIME_JITTER * chance.f64()));
        let lead = (most / 20).min(self.options.connect_timeout);
        self.slots[slot].note(condition, lifetime, lead, self.suspects_heard_before);
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
                self.dial_new(now);
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
}
