//! What becomes due while nobody does anything: idle, old and leaked connections, the minimum.

use std::time::Instant;

use super::super::stats::CloseReason;
use super::messages::LogEvent;
use super::slot::{Slot, SlotState};
use super::{Machine, SlotConnection};

impl<C: SlotConnection, W> Machine<C, W> {
    /// Does what is due: tells callers that their time is over, retires and closes idle
    /// connections, tries a lost server again.
    pub fn tick(&mut self, now: Instant) {
        self.draw();
        self.time_out_waiters(now);
        if !self.is_closing {
            self.close_expired(now);
            self.replace_retiring(now);
            self.peek(now);
        }
        if !self.dial_queue.is_empty() && self.outage.is_some() {
            // One of those who wait may be the next to try.
            self.effects.dial_ended = true;
        }
        self.report_leaks(now);
        self.balance(now);
        self.alarm = self.next_due(now);
    }

    /// When [`Machine::tick`] wants to be called next.
    pub fn alarm(&self) -> Option<Instant> {
        self.alarm
    }

    /// Refuses waiters whose deadline has passed.
    fn time_out_waiters(&mut self, now: Instant) {
        while let Some((position, since)) = self.waiters.first_expired(now) {
            let error = self.timeout_error(now.saturating_duration_since(since), now);
            if let Some(waiter) = self.waiters.remove(position) {
                self.effects.outcomes.push((waiter, Err(error)));
            }
        }
    }

    pub(super) fn refill(&mut self, now: Instant) {
        while self.total() < self.options.min_connections as usize {
            if !self.options.preconnect {
                if self.waiters.len() > self.supply() {
                    // The slot is better used for the next dial than by an unopened connection.
                    return;
                }
                let slot = self.add_slot(SlotState::Vacant);
                self.park(slot, now);
            } else if self.may_dial(now) {
                self.dial_new(now);
            } else {
                return;
            }
        }
    }

    pub(super) fn surplus(&self) -> usize {
        let staying =
            self.total() - self.count(SlotState::Closing) - self.count(SlotState::Dialing);
        staying.saturating_sub(self.options.min_connections as usize)
    }

    pub(super) fn idle_expiry(&self, slot: usize) -> Option<Instant> {
        let timeout = self.options.idle_timeout;
        (!timeout.is_zero()).then(|| self.slots[slot].idle_since() + timeout)
    }

    pub(super) fn close_expired(&mut self, now: Instant) {
        for slot in self.idle.take_all() {
            let is_idle_for_long = self.idle_expiry(slot).is_some_and(|at| at <= now);
            let reason = if self.slots[slot].is_spent(now) {
                Some(CloseReason::Lifetime)
            } else if self.surplus() > 0 && is_idle_for_long {
                Some(CloseReason::Idle)
            } else {
                None
            };
            match reason {
                None => self.idle.keep(slot),
                Some(reason) if self.slots[slot].is_open => self.start_closing(slot, reason),
                Some(reason) => self.vacate(slot, reason),
            }
        }
    }

    /// Opens the successor of an idle connection that is about to be retired, if the minimum
    /// needs one and there is room for it.
    pub(super) fn replace_retiring(&mut self, now: Instant) {
        let is_time = |slot: &usize| self.slots[*slot].replace_at.is_some_and(|at| at <= now);
        let due: Vec<_> = self.idle.top_down().filter(is_time).collect();
        for slot in due.into_iter().rev() {
            if self.wants_successor(slot) && self.may_grow(now) {
                self.slots[slot].replace_at = None;
                self.slots[slot].has_successor = true;
                self.slots[slot].fast.mark();
                self.dial_new(now);
            }
        }
    }

    pub(super) fn retire_replaced(&mut self) {
        // Each new connection comes here, and mostly there is nothing to look for.
        if self.surplus() == 0 {
            return;
        }
        for slot in self.idle.take_all() {
            if self.is_replaced(slot) {
                self.start_closing(slot, CloseReason::Lifetime);
            } else {
                self.idle.keep(slot);
            }
        }
    }

    pub(super) fn is_replaced(&self, slot: usize) -> bool {
        self.slots[slot].has_successor && self.surplus() > 0
    }

    pub(super) fn wants_successor(&self, slot: usize) -> bool {
        self.slots[slot].is_open && self.surplus() == 0 && self.dials_before_handing_out()
    }

    pub(super) fn report_leaks(&mut self, now: Instant) {
        let threshold = self.options.leak_threshold;
        if threshold.is_zero() {
            return;
        }
        for slot in &mut self.slots {
            let Some((leased_at, lease)) = slot.leased() else { continue };
            let age = now.saturating_duration_since(leased_at);
            if age < threshold || slot.leak_reported == Some(lease) {
                continue;
            }
            slot.leak_reported = Some(lease);
            self.stats.count_leak();
            if let Some(connection) = slot.connection.clone() {
                self.effects.events.push(LogEvent::Leak { connection, age });
            }
        }
    }

    pub(super) fn next_leak(&self) -> Option<Instant> {
        let threshold = self.options.leak_threshold;
        if threshold.is_zero() {
            return None;
        }
        let unreported = |slot: &Slot<C>| {
            let (leased_at, lease) = slot.leased()?;
            (slot.leak_reported != Some(lease)).then_some(leased_at)
        };
        self.slots.iter().filter_map(unreported).min().map(|at| at + threshold)
    }

    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
        let expiry = self.idle.top_down().filter_map(|slot| self.idle_expiry(slot));
        let expiry = expiry.min().filter(|_| self.surplus() > 0);
        let idle = self.idle.top_down().map(|slot| &self.slots[slot]);
        let retirement = idle.filter_map(Slot::usable_until).min();
        // Those that are in use may come back by the fast path.
        let ready = || self.slots.iter().filter(|slot| slot.state == SlotState::Ready);
        let later = ready().filter_map(Slot::usable_until).filter(|at| *at > now).min();
        let is_wanted = self.surplus() == 0 && self.dials_before_handing_out();
        let successor = ready().filter(|slot| slot.is_open && is_wanted);
        // One that is due and can't be had now is looked for again when a dial ends.
        let successor = successor.filter_map(|slot| slot.replace_at);
        let successor = successor.filter(|at| *at > now).min();
        let (wait_limit, leak) = (self.waiters.first_deadline(), self.next_leak());
        let peek = self.peek_at.filter(|_| !self.is_closing);
        let (retry, return_deadline) = (self.next_retry(now), self.next_return_deadline(now));
        let fast_path = self.next_due_on_fast_path(now);
        let due = [expiry, retirement, later, successor, wait_limit, leak, peek, retry];
        due.into_iter().chain([return_deadline, fast_path]).flatten().min()
    }

    pub(super) fn want_alarm(&mut self, at: Instant) {
        if self.alarm.is_none_or(|alarm| at < alarm) {
            self.alarm = Some(at);
            self.effects.alarm_moved = true;
        }
    }
}
