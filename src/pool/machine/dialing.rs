//! Opening connections: who may dial, and what a failed dial means for those who wait.

use std::time::Instant;

use super::*;

impl<C: Clone, W> Machine<C, W> {
    pub(super) fn dial_done(
        &mut self,
        slot: usize,
        outcome: Result<Condition, Error>,
        now: Instant,
    ) {
        self.note_dial_end(slot, outcome.as_ref().err(), now);
        match outcome {
            Ok(condition) => {
                self.settle(slot, condition, now);
                self.retire_replaced();
            }
            Err(_) => {
                self.vacate(slot, CloseReason::Broken);
                self.balance(now);
            }
        }
        // What was needed until now may be surplus, and idle for long.
        if let Some(due) = self.next_due(now) {
            self.want_alarm(due);
        }
    }

    /// Whether the holder of a lease may open its connection now. A holder who got
    /// [`DialPermit::Wait`] says so with `waited` when it asks again.
    pub fn begin_lease_dial(&mut self, slot: usize, waited: bool, now: Instant) -> DialPermit {
        if waited {
            self.lease_dials_waiting -= 1;
        }
        if let Some(outage) = &self.outage {
            if self.dials_before_handing_out()
                && (outage.retry_at() > now || self.dials_under_way() > 0)
            {
                return DialPermit::Refused(outage.error(now));
            }
        }
        // Whoever asks first must not pass those that wait.
        let ahead = if waited { 0 } else { self.lease_dials_waiting };
        if self.dials_under_way() + ahead < self.options.max_connecting as usize {
            self.lease_dials += 1;
            self.slots[slot].epoch = self.epoch;
            return DialPermit::Granted;
        }
        self.lease_dials_waiting += 1;
        DialPermit::Wait
    }

    /// A holder who got [`DialPermit::Wait`] gives up.
    pub fn give_up_lease_dial(&mut self, now: Instant) {
        self.lease_dials_waiting -= 1;
        self.effects.dial_ended = true;
        self.balance(now);
    }

    /// The dial of the holder of this slot's lease ended.
    pub fn end_lease_dial(&mut self, slot: usize, failure: Option<&Error>, now: Instant) {
        self.lease_dials -= 1;
        self.note_dial_end(slot, failure, now);
        if self.slots[slot].state == State::Vacant {
            // It was cut meanwhile.
            self.note_socket(slot, false, CloseReason::Closed);
        }
        self.balance(now);
    }

    /// Whether a worker (and not the holder of a lease) opens this slot.
    pub fn is_dialed_by_worker(&self, slot: usize) -> bool {
        self.slots[slot].state == State::Dialing
    }

    /// With validation or preconnect on, nobody gets a new connection before it is open, and
    /// so learns of an outage from the acquire.
    pub(super) fn dials_before_handing_out(&self) -> bool {
        self.options.validation != Validation::None || self.options.preconnect
    }

    pub(super) fn note_dial_end(&mut self, slot: usize, failure: Option<&Error>, now: Instant) {
        self.effects.dial_ended = true;
        match failure {
            // The caller's doing, which tells nothing of the server.
            Some(cause) if cause.code() == Code::Cancelled => {}
            Some(cause) => {
                self.stats.count_dial(false);
                if self.outage.is_none() {
                    self.effects.events.push(Event::OutageBegan(cause.clone()));
                }
                let previous = self.outage.take();
                self.outage = Some(Outage::after(previous, cause, now, self.chance.f64()));
            }
            None => {
                self.stats.count_dial(true);
                self.note_socket(slot, true, CloseReason::Broken);
                if let Some(outage) = self.outage.take() {
                    let lasted = outage.age(now);
                    self.effects.events.push(Event::OutageEnded { lasted });
                }
            }
        }
    }

    pub(super) fn note_sign_of_life(&mut self, answered_at: Option<Instant>) {
        if let (Some(outage), Some(answered_at)) = (&mut self.outage, answered_at) {
            outage.note_sign_of_life(answered_at);
        }
    }

    pub(super) fn dials_under_way(&self) -> usize {
        self.count(State::Dialing) + self.lease_dials
    }

    /// Whether the pool may start one more dial. Holders of leases go first.
    pub(super) fn may_dial(&self, now: Instant) -> bool {
        let limit = match &self.outage {
            None => self.options.max_connecting as usize,
            Some(outage) if outage.retry_at() <= now => 1,
            Some(_) => 0,
        };
        self.dials_under_way() + self.lease_dials_waiting < limit
    }

    pub(super) fn may_grow(&self, now: Instant) -> bool {
        self.total() < self.options.max_connections as usize && self.may_dial(now)
    }

    /// A worker opens one connection more.
    pub(super) fn dial_new(&mut self, now: Instant) {
        let slot = self.add_slot(State::Vacant, now);
        self.start(Task::Dial, slot);
    }

    /// In an outage, callers learn the truth at once instead of waiting for their time-out;
    /// but a server that was heard from since may still give them a connection that is in use.
    pub(super) fn refuse_the_hopeless(&mut self, now: Instant) {
        let Some(outage) = &self.outage else { return };
        if !self.dials_before_handing_out()
            || self.may_dial(now)
            || (self.count(State::Leased) > 0 && !outage.is_confirmed())
        {
            return;
        }
        let error = outage.error(now);
        while self.waiters.len() > self.supply() {
            let Some(waiter) = self.waiters.pop_last() else { return };
            self.effects.deliveries.push((waiter, Err(error.clone())));
        }
    }

    /// Tries a lost server again though nobody waits: callers who only try never wait, and a
    /// burst of callers after a quiet time is not to find an outage that is long over.
    pub(super) fn probe(&mut self, now: Instant) {
        if self.outage.is_none() || !self.dials_before_handing_out() || !self.may_dial(now) {
            return;
        }
        let unopened = self.idle.front().copied().filter(|slot| !self.slots[*slot].is_open);
        if let Some(slot) = unopened {
            self.idle.pop_front();
            self.start(Task::Dial, slot);
        } else if self.may_grow(now) {
            self.dial_new(now);
        }
    }

    /// When to try a lost server again. Once that time has come, the end of the dial under way
    /// is what matters next.
    pub(super) fn next_retry(&self, now: Instant) -> Option<Instant> {
        let retry_at = self.outage.as_ref()?.retry_at();
        (self.dials_before_handing_out() && !self.is_closing && retry_at > now).then_some(retry_at)
    }
}
