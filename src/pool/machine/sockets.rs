//! Lease holders that need a socket and may not dial for it, and until when those who wait in an
//! outage may expect a connection back.
//!
//! A server that takes no more connections still responds on those that it has. The holder of a
//! lease without a socket then waits as the waiters do, ahead of them, and gets the socket of a connection
//! that comes back: that connection's slot is reserved for it, and vacant once it took the socket.

use std::time::Instant;

use super::super::outage::Outage;
use super::super::stats::CloseReason;
use super::messages::{ConnectionReport, DialDecision, Disposition};
use super::slot::SlotState;
use super::{Machine, SlotConnection};
use crate::error::{Code, Error};

impl<C: SlotConnection, W> Machine<C, W> {
    /// Whether the holder of a lease may open its connection now. A holder who got
    /// [`DialDecision::Wait`] says so with `waited` when it asks again.
    pub fn begin_lease_dial(&mut self, slot: usize, waited: bool, now: Instant) -> DialDecision<C> {
        self.draw();
        self.slots[slot].fast.mark();
        // It would not ask if it had one.
        self.note_socket(slot, false, CloseReason::Broken);
        let decision = self.decide_dial(slot, waited, now);
        match (&decision, waited) {
            (DialDecision::Wait, false) => self.dial_queue.push_back(slot),
            (DialDecision::Wait, true) | (_, false) => {}
            (_, true) => self.leave_dial_queue(slot),
        }
        if let (DialDecision::Wait, Some(at)) = (&decision, self.next_return_deadline(now)) {
            self.want_alarm(at);
        }
        self.balance(now);
        decision
    }

    fn decide_dial(&mut self, slot: usize, waited: bool, now: Instant) -> DialDecision<C> {
        if let Some(from) = self.slots[slot].reserved.take() {
            return DialDecision::TakeSocket(self.move_socket(from, slot));
        }
        let mut limit = self.options.max_connecting as usize;
        if let Some(outage) = &self.outage {
            let (error, is_due) = (outage.error(now), outage.retry_at() <= now);
            if let Some(from) = self.idle_socket(now) {
                return DialDecision::TakeSocket(self.move_socket(from, slot));
            }
            if !is_due || self.dials_under_way() > 0 {
                let is_return_expected = self.is_return_expected(now);
                return if is_return_expected {
                    DialDecision::Wait
                } else {
                    DialDecision::Refuse(error)
                };
            }
            limit = 1;
        }
        // A new request must not pass those that wait.
        let ahead = if waited { 0 } else { self.dial_queue.len() };
        if self.dials_under_way() + ahead >= limit {
            return DialDecision::Wait;
        }
        self.lease_dials += 1;
        self.slots[slot].epoch = self.epoch;
        self.slots[slot].dialing_since = Some(now);
        DialDecision::Dial
    }

    /// A holder who got [`DialDecision::Wait`] gives up.
    pub fn give_up_lease_dial(&mut self, slot: usize, now: Instant) {
        self.draw();
        self.leave_dial_queue(slot);
        if let Some(from) = self.slots[slot].reserved.take() {
            self.release_reserved(from, now);
        }
        self.effects.dial_ended = true;
        self.balance(now);
    }

    /// Whether the holder of a lease whose dial has just failed waits on, instead of failing.
    pub fn may_wait_to_dial(&self, now: Instant) -> bool {
        !self.is_closing && self.outage.is_some() && self.is_return_expected(now)
    }

    /// What a holder of a lease is told whose time is over while it waits to dial.
    pub fn dial_timeout_error(&self, now: Instant) -> Error {
        let text = format!("Timeout waiting to open the connection{}", self.what_is_going_on(now));
        Error::new(Code::Timeout, text)
    }

    fn leave_dial_queue(&mut self, slot: usize) {
        let index = self.dial_queue.iter().position(|other| *other == slot);
        self.dial_queue.remove(index.expect("it waits"));
    }

    /// In an outage, an open connection that has come back goes to the holder of a lease who waits for
    /// a socket. False if there is none.
    pub(super) fn reserve_socket(&mut self, from: usize) -> bool {
        if self.outage.is_none() || !self.slots[from].is_open {
            return false;
        }
        let is_without = |slot: &&usize| {
            let slot = &self.slots[**slot];
            slot.state == SlotState::Ready && slot.reserved.is_none()
        };
        let Some(to) = self.dial_queue.iter().find(is_without).copied() else { return false };
        self.set_state(from, SlotState::Reserved);
        self.slots[to].reserved = Some(from);
        self.effects.dial_ended = true;
        true
    }

    /// Nobody needs the reserved connection any more: it goes to a waiter, or is kept.
    fn release_reserved(&mut self, from: usize, now: Instant) {
        let report = ConnectionReport { is_open: true, ..ConnectionReport::lost() };
        let report = ConnectionReport { disposition: Disposition::Reuse, ..report };
        self.enter_next_state(from, &report, now);
    }

    /// Takes an idle connection whose socket can be had at once.
    fn idle_socket(&mut self, now: Instant) -> Option<usize> {
        let slot = self.idle.top()?;
        let entry = &self.slots[slot];
        if !entry.is_open || entry.is_spent(now) {
            return None;
        }
        self.idle.pop();
        Some(slot)
    }

    /// The socket of `from` becomes that of `to`; its slot is vacant then. Gives the connection that
    /// has the socket still.
    fn move_socket(&mut self, from: usize, to: usize) -> C {
        let connection = self.connection(from);
        let socket = self.slots[from].give_socket();
        self.slots[to].take_socket(socket);
        self.vacate(from, CloseReason::Closed);
        connection
    }

    /// Whether a connection that is in use may still come back open: its request may get a response, or
    /// the server was heard from on it not long ago.
    pub(super) fn is_return_expected(&self, now: Instant) -> bool {
        self.return_expected_until(now).is_some_and(|at| at > now)
    }

    /// Until when one may come back, if nothing more happens.
    pub(super) fn return_expected_until(&self, now: Instant) -> Option<Instant> {
        // Not longer than a request may take.
        let while_under_way = Some(now + self.options.request_timeout);
        let states =
            [SlotState::Reserved, SlotState::Cleaning, SlotState::Validating, SlotState::Suspect];
        if states.iter().any(|state| self.count(*state) > 0) {
            return while_under_way;
        }
        let began_at = self.outage.as_ref().map(Outage::began_at);
        let mut last = None;
        for slot in self.used_slots() {
            let slot = &self.slots[slot];
            // Its dial is not a probe, but was under way when another failed.
            if slot.dialing_since.is_some_and(|since| Some(since) <= began_at) {
                return while_under_way;
            }
            if !slot.is_open || slot.has_failed {
                continue;
            }
            let heard_at =
                match slot.connection.as_ref().and_then(|connection| connection.heard_at(now)) {
                    Some(at) if at >= now => return while_under_way,
                    heard_at => heard_at.max(slot.leased().map(|(at, _)| at)),
                };
            last = last.max(heard_at.map(|at| at + self.options.request_timeout));
        }
        last
    }
}
