//! An acquire: a connection at once, a position in the queue, or a refusal.

use std::time::Instant;

use super::super::stats::CloseReason;
use super::super::waiters::{QueuePosition, WaitLimit};
use super::messages::{Acquired, Grant, JobKind, LeaseId};
use super::slot::SlotState;
use super::{Machine, SlotConnection};
use crate::config::Validation;
use crate::error::Error;
use crate::os::clock;

impl<C: SlotConnection, W> Machine<C, W> {
    /// The caller's position in the order of arrival, for [`Machine::acquire`].
    pub fn arrive(&mut self) -> QueuePosition {
        self.waiters.arrive()
    }

    /// Hands out a connection, or queues the caller; one with `wait_limit` is told when that ends.
    pub fn acquire(
        &mut self,
        position: QueuePosition,
        wait_limit: Option<WaitLimit>,
        now: Instant,
        waiter: impl FnOnce() -> W,
    ) -> Acquired<C> {
        self.draw();
        if self.is_closing {
            return Acquired::Refused(Error::closed());
        }
        if let Some(grant) = self.grant_at_once(now) {
            return Acquired::Granted(grant);
        }
        // A caller for which a connection is on its way doesn't lengthen the queue.
        let is_coming = self.waiters.len() < self.supply() || self.may_grow(now);
        if self.waiters.len() >= self.options.max_waiters as usize && !is_coming {
            return Acquired::Refused(self.overloaded());
        }
        self.queue(position, wait_limit, waiter(), now);
        self.balance(now);
        Acquired::Queued
    }

    /// Hands out a connection if that needs neither waiting nor the network: one that is idle,
    /// or else a new one, which opens at its first request.
    pub fn try_acquire(&mut self, now: Instant) -> Result<Grant<C>, Error> {
        self.draw();
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
                Some(outage) if !self.is_return_expected(now) => return Err(outage.error(now)),
                Some(_) => {}
            }
        }
        Err(self.would_block(now))
    }

    /// Takes a caller that gives up out of the queue; `None` if it was served already, and
    /// then the outcome is on its way.
    pub fn cancel(&mut self, position: QueuePosition) -> Option<W> {
        self.draw();
        self.waiters.remove(position)
    }

    /// The caller looked at the socket of its grant and it is closed. The caller keeps its
    /// position; it gets another connection, or the first that opens.
    pub fn found_dead(
        &mut self,
        lease: LeaseId,
        position: QueuePosition,
        wait_limit: Option<WaitLimit>,
        now: Instant,
        waiter: impl FnOnce() -> W,
    ) -> Acquired<C> {
        self.draw();
        if self.end_lease(lease) {
            self.vacate(lease.slot, CloseReason::Dead);
        }
        let outcome = if self.is_closing {
            Acquired::Refused(Error::closed())
        } else if let Some(grant) = self.grant_at_once(now) {
            Acquired::Granted(grant)
        } else {
            // It was let in before, so `max_waiters` does not stop it now.
            self.queue(position, wait_limit, waiter(), now);
            Acquired::Queued
        };
        self.balance(now);
        outcome
    }

    fn queue(
        &mut self,
        position: QueuePosition,
        wait_limit: Option<WaitLimit>,
        waiter: W,
        now: Instant,
    ) {
        self.waiters.insert(position, wait_limit, waiter, now);
        if let Some(wait_limit) = wait_limit {
            self.want_alarm(wait_limit.until);
        }
    }

    /// A connection for a caller that nobody is ahead of, if one is free or may be made.
    fn grant_at_once(&mut self, now: Instant) -> Option<Grant<C>> {
        if !self.waiters.is_empty() {
            return None;
        }
        match self.grant_idle(self.options.validation, now) {
            None if !self.dials_before_handing_out() => self.grant_new(now),
            grant => grant,
        }
    }

    /// Hands out the idle connection that was used last, if it may be handed out as it is.
    /// On the way, starts what the ones that may not need.
    pub(super) fn grant_idle(&mut self, validation: Validation, now: Instant) -> Option<Grant<C>> {
        while let Some(slot) = self.idle.top() {
            let entry = &self.slots[slot];
            if entry.is_spent(now) {
                self.idle.pop();
                self.start_closing(slot, CloseReason::Lifetime);
                continue;
            }
            if !entry.is_open && self.outage.is_some() {
                if !self.may_dial(now) {
                    return None;
                }
                self.idle.pop();
                self.start_dial(slot, now);
                return None;
            }
            let is_stale = entry.is_open
                && now.saturating_duration_since(entry.idle_since()) >= self.options.validate_after;
            self.idle.pop();
            if is_stale && validation == Validation::Ping {
                self.start(JobKind::Ping, slot);
                return None;
            }
            return Some(self.grant(slot, is_stale && validation == Validation::Socket, now));
        }
        None
    }

    pub(super) fn grant_new(&mut self, now: Instant) -> Option<Grant<C>> {
        if self.total() >= self.options.max_connections as usize {
            return None;
        }
        let slot = self.add_slot(SlotState::Ready);
        Some(self.grant(slot, false, now))
    }

    pub(super) fn grant(&mut self, slot: usize, probe: bool, now: Instant) -> Grant<C> {
        self.set_state(slot, SlotState::Ready);
        self.slots[slot].has_failed = false;
        self.prepare_release(slot);
        let generation = self.slots[slot].fast.grant(clock::moment(now));
        let lease = LeaseId::new(self.slots[slot].fast, generation);
        self.want_alarms(slot, now);
        Grant { lease, connection: self.connection(slot), probe }
    }
}
