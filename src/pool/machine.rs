//! The pool as a state machine: slots, waiters, and what is to be done about them.
//!
//! No threads, sockets or clocks in here. The driver holds the machine's lock, tells it what
//! happened and what time it is, and afterwards applies its [`Effects`]. A simulation
//! drives the same code with a clock of its own.
//!
//! Two invariants hold after every event:
//! - each slot is in exactly one state, and `counts` says how many are in each;
//! - if more callers wait than connections are on their way to them, then there is nothing
//!   left to give: no idle connection may be handed out and no dial may be started.

mod acquire;
mod causes;
mod changes;
mod dialing;
mod fast_path;
mod housekeeping;
#[cfg(test)]
mod invariants;
mod jobs;
mod messages;
mod release;
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
use super::waiters::Waiters;
use crate::config::Options;
use slot::{STATES, Slot, SlotState};

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
    /// Pings get a 503: the server asks its clients to leave.
    is_server_draining: bool,
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
    rng: fastrand::Rng,
    stats: Arc<Stats>,
    effects: Effects<C, W>,
}

impl<C: SlotConnection, W> Machine<C, W> {
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
            is_server_draining: false,
            suspects_heard_before: None,
            peek_at: None,
            slept: None,
            epoch: 0,
            is_closing: false,
            alarm: None,
            rng: fastrand::Rng::with_seed(seed),
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
            used: self.count(SlotState::Leased) as u32,
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

    fn count(&self, state: SlotState) -> usize {
        self.counts[state as usize]
    }

    fn total(&self) -> usize {
        self.slots.len() - self.vacant.len()
    }

    fn holds(&self, lease: LeaseId) -> bool {
        let slot = &self.slots[lease.slot];
        slot.state == SlotState::Leased && slot.generation == lease.generation
    }

    fn set_state(&mut self, slot: usize, state: SlotState) {
        self.counts[self.slots[slot].state as usize] -= 1;
        self.counts[state as usize] += 1;
        self.slots[slot].state = state;
    }

    fn add_slot(&mut self, state: SlotState, now: Instant) -> usize {
        let slot = self.vacant.pop().unwrap_or_else(|| {
            self.counts[SlotState::Vacant as usize] += 1;
            self.slots.push(Slot::vacant(now));
            self.slots.len() - 1
        });
        let connection = (self.make)(slot);
        self.slots[slot].fill(connection, self.epoch, now);
        self.set_state(slot, state);
        slot
    }

    fn vacate(&mut self, slot: usize, reason: CloseReason) {
        if let Some(reserved) = self.slots[slot].reserved.take() {
            self.start_closing(reserved, reason);
        }
        self.note_socket(slot, false, reason);
        self.slots[slot].connection = None;
        self.set_state(slot, SlotState::Vacant);
        self.vacant.push(slot);
    }

    /// Notes that the slot's socket is gone (for `reason`), or that there is a new one.
    fn note_socket(&mut self, slot: usize, is_open: bool, reason: CloseReason) {
        if self.slots[slot].is_open {
            self.stats.count_close(reason);
        }
        self.slots[slot].is_open = is_open;
    }

    fn connection(&self, slot: usize) -> C {
        self.slots[slot].connection.clone().expect("a slot that is not vacant has a connection")
    }

    /// Connections on their way to waiters. One that is being cleaned is not: a rollback may
    /// hang, and nobody shall wait for it while another connection could be opened.
    fn supply(&self) -> usize {
        self.count(SlotState::Dialing) + self.count(SlotState::Validating)
    }

    /// Restores the second invariant of this module, and the minimum.
    fn balance(&mut self, now: Instant) {
        if self.is_closing {
            return;
        }
        self.supply_waiters(now);
        self.refuse_waiters_in_outage(now);
        self.refill(now);
        self.probe_lost_server(now);
        if let Some(retry_at) = self.next_retry(now) {
            self.want_alarm(retry_at);
        }
    }

    /// Hands out, or opens, connections until there is one for each waiter, or no more may be opened.
    fn supply_waiters(&mut self, now: Instant) {
        while self.waiters.len() > self.supply() {
            let (idle, supply) = (self.idle.len(), self.supply());
            let grant = match self.grant_idle(self.options.validation, now) {
                None if self.idle.len() != idle || self.supply() != supply => continue,
                None if !self.dials_before_handing_out() => self.grant_new(now),
                grant => grant,
            };
            if let Some(grant) = grant {
                let waiter = self.waiters.pop().expect("somebody waits");
                self.effects.outcomes.push((waiter, Ok(grant)));
            } else if self.may_grow(now) {
                self.dial_new(now);
            } else {
                return;
            }
        }
    }
}
