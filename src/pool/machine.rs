//! The pool as a state machine: slots, waiters, and what is to be done about them.
//!
//! No threads, sockets or clocks in here. The driver holds the machine's lock, tells it what
//! happened and what time it is, and afterwards applies its [`Effects`]. A simulation
//! drives the same code with a clock of its own.
//!
//! Each event begins by drawing the slots from the fast path, and [`Machine::publish`] gives them back:
//! see `fast_path`.
//!
//! Two invariants hold after every event:
//! - each slot is in exactly one state, and `counts` says how many are in each;
//! - if more callers wait than connections are on their way to them, then there is nothing
//!   left to give: no idle connection may be handed out and no dial may be started.

mod acquire;
mod causes;
mod changes;
mod dialing;
mod housekeeping;
mod idle;
#[cfg(test)]
mod invariants;
mod jobs;
mod messages;
mod publishing;
mod release;
mod slot;
mod sockets;
mod suspicion;

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::fast_path::memory;
use super::outage::Outage;
use super::stats::{CloseReason, Stats};
use super::status::Status;
use super::waiters::Waiters;
use crate::config::Options;
use idle::Idle;
use publishing::validate_after;
use slot::{STATES, Slot, SlotState};

pub use messages::*;

/// By how much of its lifetime a connection may be retired early, so that those that were opened
/// together are not retired together.
const LIFETIME_JITTER: f64 = 0.1;

/// Where connections come from.
pub trait Connections<C> {
    /// Makes the unopened connection of a slot.
    fn make(&mut self, slot: usize) -> C;
    /// The slot is vacant again.
    fn forget(&mut self, _slot: usize) {}
}

impl<C, F: FnMut(usize) -> C> Connections<C> for F {
    fn make(&mut self, slot: usize) -> C {
        self(slot)
    }
}

/// The state machine. `C` is a connection, `W` the means to wake a waiter.
pub struct Machine<C, W> {
    options: Options,
    connections: Box<dyn Connections<C> + Send>,
    slots: Vec<Slot<C>>,
    vacant: Vec<usize>,
    counts: [usize; STATES],
    idle: Idle,
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
    /// A pool with `min_connections` slots, whose connections come from `connections`; `seed` decides
    /// every jitter.
    pub fn new(
        options: Options,
        now: Instant,
        seed: u64,
        connections: impl Connections<C> + Send + 'static,
    ) -> Self {
        let stack = memory().take_stack(validate_after(&options));
        let mut machine = Machine {
            options,
            connections: Box::new(connections),
            slots: Vec::new(),
            vacant: Vec::new(),
            counts: [0; STATES],
            idle: Idle::new(stack),
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

    pub fn status(&mut self) -> Status {
        self.idle.draw();
        let idle = self.idle.len();
        // What has to be opened first can't be handed out in an outage.
        let available = match &self.outage {
            None => idle,
            Some(_) => self.idle.top_down().filter(|slot| self.slots[*slot].is_open).count(),
        };
        Status {
            available: available as u32,
            used: (self.count(SlotState::Ready) - idle) as u32,
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

    /// Whether there is anything for [`Machine::take_effects`] to take.
    pub fn has_effects(&self) -> bool {
        self.effects.are_any()
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

    fn set_state(&mut self, slot: usize, state: SlotState) {
        self.counts[self.slots[slot].state as usize] -= 1;
        self.counts[state as usize] += 1;
        self.slots[slot].state = state;
    }

    fn add_slot(&mut self, state: SlotState) -> usize {
        let slot = self.vacant.pop().unwrap_or_else(|| {
            self.counts[SlotState::Vacant as usize] += 1;
            let slot = self.slots.len();
            let fast = self.take_fast_slot(slot);
            self.slots.push(Slot::vacant(fast));
            slot
        });
        let connection = self.connections.make(slot);
        self.slots[slot].fill(connection, self.epoch);
        self.set_state(slot, state);
        slot
    }

    fn vacate(&mut self, slot: usize, reason: CloseReason) {
        if let Some(reserved) = self.slots[slot].reserved.take() {
            self.start_closing(reserved, reason);
        }
        self.note_socket(slot, false, reason);
        self.slots[slot].connection = None;
        // A closing pool makes no other, and who is just being cut may look for it.
        if !self.is_closing {
            self.connections.forget(slot);
        }
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
            let (top, supply) = (self.idle.top(), self.supply());
            let grant = match self.grant_idle(self.options.validation, now) {
                None if self.idle.top() != top || self.supply() != supply => continue,
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
