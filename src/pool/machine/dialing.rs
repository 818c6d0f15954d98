//! Opening connections: who may dial, and what a failed dial means for those who wait.

use std::time::Instant;

use super::super::outage::Outage;
use super::super::stats::CloseReason;
use super::messages::{ConnectionReport, JobKind, LogEvent};
use super::slot::SlotState;
use super::{Machine, SlotConnection};
use crate::config::Validation;
use crate::error::{Code, Error};

impl<C: SlotConnection, W> Machine<C, W> {
    pub(super) fn dial_done(
        &mut self,
        slot: usize,
        outcome: Result<ConnectionReport, Error>,
        now: Instant,
    ) {
        self.note_dial_end(slot, outcome.as_ref().err(), now);
        if outcome.is_ok() {
            let is_in_outage = self.outage.is_some();
            let entry = &mut self.slots[slot];
            // A probe got a response to its ping; of others the first response is waited for.
            let was_probe = entry.is_probe;
            (entry.is_unproved, entry.is_probe) = (!was_probe, !was_probe && is_in_outage);
            if was_probe {
                self.end_outage(now);
            }
        }
        match outcome {
            Ok(report) => {
                self.settle(slot, report, now);
                self.retire_replaced();
            }
            Err(_) => {
                self.vacate(slot, CloseReason::Broken);
                self.balance(now);
            }
        }
        // What was needed until now may be surplus, and idle for long.
        let due = (self.surplus() > 0).then(|| self.next_due(now)).flatten();
        if let Some(due) = due {
            self.want_alarm(due);
        }
    }

    /// The dial of the holder of this slot's lease ended.
    pub fn end_lease_dial(&mut self, slot: usize, failure: Option<&Error>, now: Instant) {
        self.draw();
        self.slots[slot].fast.mark();
        self.lease_dials -= 1;
        if failure.is_none() {
            let entry = &mut self.slots[slot];
            (entry.is_unproved, entry.is_probe) = (true, self.outage.is_some());
        }
        self.note_dial_end(slot, failure, now);
        if self.slots[slot].state == SlotState::Vacant {
            // It was cut meanwhile.
            self.note_socket(slot, false, CloseReason::Closed);
        }
        self.balance(now);
    }

    /// With validation or preconnect on, and in an outage, nobody gets a new connection before it
    /// is open, and so learns of an outage from the acquire.
    pub(super) fn dials_before_handing_out(&self) -> bool {
        self.options.validation != Validation::None
            || self.options.preconnect
            || self.outage.is_some()
    }

    pub(super) fn note_dial_end(&mut self, slot: usize, failure: Option<&Error>, now: Instant) {
        self.effects.dial_ended = true;
        self.slots[slot].dialing_since = None;
        match failure {
            // The caller's doing, which tells nothing of the server.
            Some(cause) if cause.code() == Code::Cancelled => {}
            Some(cause) => self.fail_dial(cause, now),
            None => {
                self.stats.count_dial(true);
                self.slots[slot].has_failed = false;
                self.note_socket(slot, true, CloseReason::Broken);
            }
        }
    }

    /// A dial failed, or came to nothing later: an outage begins or goes on.
    pub(super) fn fail_dial(&mut self, cause: &Error, now: Instant) {
        self.stats.count_dial(false);
        if self.outage.is_none() {
            self.effects.events.push(LogEvent::OutageBegan(cause.clone()));
        }
        let previous = self.outage.take();
        self.outage = Some(Outage::after(previous, cause, now, self.rng.f64()));
        // What was opened before says nothing of new connections any more.
        for slot in self.slots.iter_mut().filter(|slot| slot.state != SlotState::Dialing) {
            slot.is_probe = false;
        }
        self.effects.dial_ended = true;
    }

    /// The server responded on a connection that was opened since the last dial failed.
    pub(super) fn end_outage(&mut self, now: Instant) {
        if let Some(outage) = self.outage.take() {
            let lasted = outage.age(now);
            self.effects.events.push(LogEvent::OutageEnded { lasted });
            self.effects.dial_ended = true;
        }
    }

    pub(super) fn dials_under_way(&self) -> usize {
        self.count(SlotState::Dialing) + self.lease_dials
    }

    /// Whether the pool may start one more dial. Holders of leases go first.
    pub(super) fn may_dial(&self, now: Instant) -> bool {
        let limit = match &self.outage {
            None => self.options.max_connecting as usize,
            Some(outage) if outage.retry_at() <= now => 1,
            Some(_) => 0,
        };
        self.dials_under_way() + self.dial_queue.len() < limit
    }

    pub(super) fn may_grow(&self, now: Instant) -> bool {
        self.total() < self.options.max_connections as usize && self.may_dial(now)
    }

    /// A worker opens one connection more.
    pub(super) fn dial_new(&mut self, now: Instant) {
        let slot = self.add_slot(SlotState::Vacant);
        self.start_dial(slot, now);
    }

    /// A worker opens this connection. In an outage it has the server respond to a ping on it, before it
    /// counts as opened: there are fronts that accept for servers that are gone.
    pub(super) fn start_dial(&mut self, slot: usize, now: Instant) {
        let epoch = self.epoch;
        let entry = &mut self.slots[slot];
        entry.epoch = epoch;
        entry.dialing_since = Some(now);
        entry.is_probe = self.outage.is_some();
        let kind = if entry.is_probe { JobKind::Probe } else { JobKind::Dial };
        self.start(kind, slot);
    }

    /// In an outage, callers learn the truth at once instead of waiting for their time-out;
    /// but while connections are in use that may still come back, they wait for these.
    pub(super) fn refuse_waiters_in_outage(&mut self, now: Instant) {
        if self.outage.is_none() || self.waiters.is_empty() && self.dial_queue.is_empty() {
            return;
        }
        if let Some(at) = self.return_expected_until(now).filter(|at| *at > now) {
            self.want_alarm(at);
            return;
        }
        if !self.dial_queue.is_empty() {
            // They ask again and are refused.
            self.effects.dial_ended = true;
        }
        let Some(outage) = self.outage.as_ref().filter(|_| !self.may_dial(now)) else { return };
        let error = outage.error(now);
        while self.waiters.len() > self.supply() {
            let Some(waiter) = self.waiters.pop_last() else { return };
            self.effects.outcomes.push((waiter, Err(error.clone())));
        }
    }

    /// When those who wait in an outage have nothing to wait for any more.
    pub(super) fn next_return_deadline(&self, now: Instant) -> Option<Instant> {
        let is_awaited = !self.waiters.is_empty() || !self.dial_queue.is_empty();
        let ends_at =
            self.outage.as_ref().filter(|_| is_awaited).and(self.return_expected_until(now));
        ends_at.filter(|at| *at > now)
    }

    /// Tries a lost server again though nobody waits: callers who only try never wait, and a
    /// burst of callers after a quiet time is not to find an outage that is long over.
    pub(super) fn probe_lost_server(&mut self, now: Instant) {
        if self.outage.is_none() || !self.may_dial(now) {
            return;
        }
        if let Some(slot) = self.idle.pop_unopened() {
            self.start_dial(slot, now);
        } else if self.may_grow(now) {
            self.dial_new(now);
        }
    }

    /// When to try a lost server again. Once that time has come, the end of the dial under way
    /// is what matters next.
    pub(super) fn next_retry(&self, now: Instant) -> Option<Instant> {
        let retry_at = self.outage.as_ref()?.retry_at();
        (!self.is_closing && retry_at > now).then_some(retry_at)
    }
}
