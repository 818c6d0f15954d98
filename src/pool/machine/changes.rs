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
        self.epoch += 1;
        if let Some(outage) = &mut self.outage {
            outage.retry_at_once(now);
            self.effects.dial_ended = true;
        }
        for slot in mem::take(&mut self.idle) {
            if self.slots[slot].is_open {
                self.start_closing(slot, CloseReason::Reset);
            } else {
                self.idle.push_back(slot);
            }
        }
        self.balance(now);
    }

    /// Changes the limits. Connections above a smaller maximum close: idle ones now, others as
    /// soon as they come back.
    pub fn resize(&mut self, min: u32, max: u32, now: Instant) {
        self.options.min_connections = min;
        self.options.max_connections = max;
        while self.is_over_max() {
            // The one that is handed out last.
            let Some(slot) = self.idle.pop_front() else { break };
            if self.slots[slot].is_open {
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
        self.is_closing = true;
        while let Some(waiter) = self.waiters.pop() {
            self.effects.outcomes.push((waiter, Err(Error::closed())));
        }
        while let Some(slot) = self.idle.pop_front() {
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
        for slot in 0..self.slots.len() {
            if self.slots[slot].state == SlotState::Leased {
                connections.push(self.connection(slot));
                self.vacate(slot, CloseReason::Closed);
            }
        }
        connections
    }

    /// Whether a smaller maximum leaves no room for all that are not on their way out.
    pub(super) fn is_over_max(&self) -> bool {
        self.total() - self.count(SlotState::Closing) > self.options.max_connections as usize
    }
}
