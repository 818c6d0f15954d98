//! What is changed on a pool that is in use: reset, resize, close.

use std::mem;
use std::time::Instant;

use super::super::stats::CloseReason;
use super::messages::JobKind;
use super::slot::{Slot, SlotState};
use super::{Machine, SlotConnection};
use crate::error::Error;

impl<C: SlotConnection, W> Machine<C, W> {
    /// Retires every connection that is open now, each as soon as nobody uses it. In an outage the
    /// server is tried again at once: what kept it away may be what was mended.
    pub fn reset(&mut self, now: Instant) {
        self.draw();
        self.epoch += 1;
        if let Some(outage) = &mut self.outage {
            outage.retry_at_once(now);
            self.effects.dial_ended = true;
        }
        for slot in self.idle.take_all() {
            if self.slots[slot].is_open {
                self.start_closing(slot, CloseReason::Reset);
            } else {
                self.idle.keep(slot);
            }
        }
        self.slots.iter().filter(|slot| slot.is_open).for_each(|slot| slot.fast.mark());
        self.balance(now);
    }

    /// Changes the limits. Connections above a smaller maximum close: idle ones now, others as
    /// soon as they come back.
    pub fn resize(&mut self, min: u32, max: u32, now: Instant) {
        self.draw();
        self.options.min_connections = min;
        self.options.max_connections = max;
        // Those that would be handed out last go first.
        for slot in self.idle.take_all() {
            if !self.is_over_max() {
                self.idle.keep(slot);
            } else if self.slots[slot].is_open {
                self.start_closing(slot, CloseReason::Resized);
            } else {
                self.vacate(slot, CloseReason::Resized);
            }
        }
        self.balance(now);
        if let Some(due) = self.next_due(now) {
            self.want_alarm(due);
        }
    }

    /// Refuses every waiter, now and from now on, and closes what is idle. Leases stay until
    /// they come back or are [cut](Machine::cut).
    pub fn close(&mut self, now: Instant) {
        self.draw();
        self.is_closing = true;
        while let Some(waiter) = self.waiters.pop() {
            self.effects.outcomes.push((waiter, Err(Error::closed())));
        }
        for slot in self.idle.take_all() {
            self.start_closing(slot, CloseReason::Closed);
        }
        // Work that no worker has begun is not begun any more, except closing.
        for job in mem::take(&mut self.jobs) {
            match job.kind {
                JobKind::Dial | JobKind::Probe => self.vacate(job.slot, CloseReason::Closed),
                JobKind::RollBack | JobKind::Ping => {
                    self.start_closing(job.slot, CloseReason::Closed)
                }
                JobKind::Close => self.start(JobKind::Close, job.slot),
            }
        }
        self.effects.dial_ended = true;
        self.balance(now);
    }

    /// The connections that workers open, clean or validate at this moment.
    pub fn connections_with_workers(&self) -> Vec<C> {
        let with_worker = |slot: &&Slot<C>| {
            matches!(
                slot.state,
                SlotState::Dialing
                    | SlotState::Cleaning
                    | SlotState::Validating
                    | SlotState::Suspect
            )
        };
        self.slots.iter().filter(with_worker).filter_map(|slot| slot.connection.clone()).collect()
    }

    /// Takes every lease away from its holder, and gives the connections, to be closed.
    pub fn cut(&mut self) -> Vec<C> {
        let mut connections = Vec::new();
        self.draw();
        for slot in self.used_slots() {
            connections.push(self.connection(slot));
            self.slots[slot].is_let_go = !self.slots[slot].fast.cut();
            self.vacate(slot, CloseReason::Closed);
        }
        connections
    }

    /// The slots that callers have, or are just taking or releasing.
    pub(super) fn used_slots(&self) -> Vec<usize> {
        let mut is_used: Vec<_> =
            self.slots.iter().map(|slot| slot.state == SlotState::Ready).collect();
        self.idle.top_down().for_each(|slot| is_used[slot] = false);
        (0..self.slots.len()).filter(|slot| is_used[*slot]).collect()
    }

    /// Whether a smaller maximum leaves no room for all that are not on their way out.
    pub(super) fn is_over_max(&self) -> bool {
        self.total() - self.count(SlotState::Closing) > self.options.max_connections as usize
    }
}
