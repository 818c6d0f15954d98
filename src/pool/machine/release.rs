//! What becomes of a connection that comes back from a caller or a worker.

use std::time::Instant;

use super::super::fast_path::LeaseWord;
use super::super::stats::CloseReason;
use super::messages::{ConnectionReport, Disposition, JobKind, LeaseId};
use super::slot::SlotState;
use super::{LIFETIME_JITTER, Machine, SlotConnection};
use crate::os::clock;

impl<C: SlotConnection, W> Machine<C, W> {
    /// Takes a connection back. False if the lease is over, or was cut meanwhile, and the slot is no
    /// longer its own.
    pub fn release(&mut self, lease: LeaseId, report: ConnectionReport, now: Instant) -> bool {
        self.draw();
        let is_its = self.end_lease(lease);
        if is_its {
            self.settle(lease.slot, report, now);
        }
        is_its
    }

    /// As [`Machine::release`], of a lease that the fast path has ended already.
    pub fn release_ended(
        &mut self,
        lease: LeaseId,
        report: ConnectionReport,
        now: Instant,
    ) -> bool {
        self.draw();
        let entry = &self.slots[lease.slot];
        // A pool that closes cuts slots that are on their way here, too.
        let is_its = entry.state == SlotState::Ready
            && entry.fast.index() == lease.index
            && entry.fast.word().follows(lease.generation);
        if is_its {
            self.settle(lease.slot, report, now);
        }
        is_its
    }

    /// Ends a lease; false if it is over.
    pub(super) fn end_lease(&mut self, lease: LeaseId) -> bool {
        let entry = &self.slots[lease.slot];
        entry.state == SlotState::Ready
            && entry.fast.index() == lease.index
            && entry.fast.end_lease(lease.generation, LeaseWord::HELD)
    }

    /// A connection is back from a caller or a worker.
    pub(super) fn settle(&mut self, slot: usize, report: ConnectionReport, now: Instant) {
        self.note_report(slot, &report);
        self.enter_next_state(slot, &report, now);
        self.balance(now);
    }

    /// Decides what the slot does next: its state follows from what is known of the connection.
    pub(super) fn enter_next_state(
        &mut self,
        slot: usize,
        report: &ConnectionReport,
        now: Instant,
    ) {
        let came_from = self.slots[slot].state;
        match self.reason_to_close(slot, report, now) {
            // Once: what a rollback leaves in a transaction is closed.
            _ if report.disposition == Disposition::RollBack
                && came_from == SlotState::Ready
                && !self.is_closing =>
            {
                self.start(JobKind::RollBack, slot);
            }
            None if self.slots[slot].is_suspect => self.check_suspect(slot),
            None if self.reserve_socket(slot) => {}
            None => match self.waiters.pop() {
                Some(waiter) => {
                    let grant = self.grant(slot, false, now);
                    self.effects.outcomes.push((waiter, Ok(grant)));
                }
                None => self.park(slot, now),
            },
            Some(reason) if report.is_open || report.disposition == Disposition::RollBack => {
                self.start_closing(slot, reason);
            }
            Some(reason) => self.vacate(slot, reason),
        }
    }

    fn reason_to_close(
        &self,
        slot: usize,
        report: &ConnectionReport,
        now: Instant,
    ) -> Option<CloseReason> {
        let entry = &self.slots[slot];
        if self.is_closing {
            Some(CloseReason::Closed)
        } else if report.disposition == Disposition::Discard {
            Some(CloseReason::Discarded)
        } else if matches!(report.disposition, Disposition::RollBack | Disposition::Broken) {
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
    pub(super) fn is_worth_keeping(&self, slot: usize) -> bool {
        if self.slots[slot].is_open {
            return true;
        }
        if self.waiters.is_empty() { self.surplus() == 0 } else { !self.dials_before_handing_out() }
    }

    /// Keeps the connection for the next caller.
    pub(super) fn park(&mut self, slot: usize, now: Instant) {
        self.set_state(slot, SlotState::Ready);
        self.prepare_release(slot);
        let entry = &self.slots[slot];
        let (is_open, is_unproved) = (entry.is_open, entry.is_unproved);
        let validate_after = self.idle.stack().validate_after();
        entry.fast.note_idle(clock::moment(now), validate_after, !is_open);
        if is_open && (self.peek_at.is_none() || is_unproved) {
            self.want_peek(slot, now);
        }
        self.idle.push(slot);
        self.want_alarms(slot, now);
    }

    fn note_report(&mut self, slot: usize, report: &ConnectionReport) {
        if !report.is_open {
            self.note_socket(slot, false, CloseReason::Broken);
        }
        let most = self.options.max_lifetime;
        let chance = &mut self.rng;
        let lifetime =
            || (!most.is_zero()).then(|| most.mul_f64(1.0 - LIFETIME_JITTER * chance.f64()));
        let lead = (most / 20).min(self.options.connect_timeout);
        self.slots[slot].note(report, lifetime, lead, self.suspects_heard_before);
    }
}
