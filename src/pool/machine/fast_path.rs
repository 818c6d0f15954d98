//! The fast path, in few instructions: an acquire and a release from which nothing else follows.
//! Where something might, these say so and change nothing, and the slow path has to be taken.

use std::time::{Duration, Instant};

use super::messages::{Grant, LeaseId};
use super::{Machine, SlotConnection};

impl<C: SlotConnection, W> Machine<C, W> {
    /// Hands out the connection that was used last, if [`Machine::acquire`] would do just that.
    /// `now` may be a tick behind the time that the connection came back.
    pub fn acquire_ready(&mut self, now: Instant) -> Option<Grant<C>> {
        let slot = *self.idle.back()?;
        let entry = &self.slots[slot];
        let is_ready = if entry.is_open {
            now.saturating_duration_since(entry.idle_since) < self.options.validate_after
                && !entry.is_spent(now)
        } else {
            self.outage.is_none()
        };
        if !is_ready || self.is_closing || !self.waiters.is_empty() {
            return None;
        }
        self.idle.pop_back();
        self.stats.count_fast_acquire();
        Some(self.grant(slot, false, now))
    }

    /// Takes back a connection that is as it was when it was handed out, if all that
    /// [`Machine::release`] would do is to keep it for the next caller. Counts that it was out for
    /// `used`.
    pub fn release_untouched(&mut self, lease: LeaseId, used: Duration, now: Instant) -> bool {
        let slot = lease.slot;
        let entry = &self.slots[slot];
        let is_kept = self.holds(lease)
            && !self.is_closing
            && self.outage.is_none()
            && self.waiters.is_empty()
            && !self.is_over_max()
            && !entry.is_spent(now)
            && !entry.is_suspect
            && !self.is_replaced(slot)
            && (entry.epoch == self.epoch || !entry.is_open)
            && self.is_worth_keeping(slot);
        if is_kept {
            self.stats.count_fast_use(used);
            self.park(slot, now);
        }
        is_kept
    }

    /// Whether there is anything for [`Machine::take_effects`] to take.
    pub fn has_effects(&self) -> bool {
        self.effects.are_any()
    }
}
