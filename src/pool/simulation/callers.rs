//! Callers: they acquire, give up, open connections, use them and bring them back.

use std::time::Duration;

use super::caller::{Caller, Phase};
use super::network::{Holder, Server};
use super::world::{Event, World};
use crate::client::SocketEvent;
use crate::error::{Code, Error, Result};
use crate::pool::fast_path::Released;
use crate::pool::machine::{Acquired, ConnectionReport, DialDecision, Disposition, Grant, LeaseId};
use crate::pool::machine_tests;
use crate::pool::waiters::WaitLimit;

impl World {
    pub fn new_caller(&mut self) {
        let requests = 1 + self.random.u32(..3);
        let number = self.arrives(requests);
        if self.chance(20) {
            self.tries(number);
        } else {
            self.acquires(number);
        }
    }

    pub fn arrives(&mut self, requests: u32) -> u32 {
        let number = self.callers.len() as u32;
        let timeout = self.plan.options.acquire_timeout;
        self.callers.push(Caller::new(requests, self.now, timeout));
        number
    }

    pub fn acquires(&mut self, number: u32) {
        let timeout = self.plan.options.acquire_timeout;
        self.tell(|| format!("caller {number} acquires"));
        let position = self.machine.arrive();
        let wait_limit = WaitLimit { since: self.now, until: self.now + timeout };
        let wait_limit = self.random.bool().then_some(wait_limit);
        let caller = &mut self.callers[number as usize];
        (caller.position, caller.wait_limit) = (Some(position), wait_limit);
        // The fast path, where it is open, has the same outcome.
        let ready = self.random.bool().then(|| self.machine.acquire_fast(self.now)).flatten();
        let acquired = match ready {
            Some(grant) => {
                self.fast_acquires += 1;
                Acquired::Granted(grant)
            }
            None => self.machine.acquire(position, wait_limit, self.now, || number),
        };
        if wait_limit.is_none() {
            self.after(timeout, Event::Deadline(number));
        }
        self.note_acquired(number, acquired);
        self.settle();
    }

    fn tries(&mut self, number: u32) {
        self.tell(|| format!("caller {number} tries"));
        match self.machine.try_acquire(self.now) {
            Ok(grant) => {
                assert!(self.waiting.is_empty(), "rule 5: a try passes those who wait");
                self.note_grant(number, grant);
            }
            Err(error) => {
                let expected: &[Code] = match self.is_closing {
                    true => &[Code::Closed],
                    false if self.dials.failures > 0 => &[Code::WouldBlock, Code::Unavailable],
                    false => &[Code::WouldBlock],
                };
                assert!(expected.contains(&error.code()), "rule 4: {error}");
                if error.code() == Code::Unavailable {
                    self.check_waiters_in_outage();
                }
                self.note_refusal(number, &error);
            }
        }
        self.settle();
    }

    fn note_acquired(&mut self, number: u32, acquired: Acquired<u32>) {
        match acquired {
            Acquired::Granted(grant) => {
                assert!(self.waiting.is_empty(), "rule 5: an acquire passes those who wait");
                self.note_grant(number, grant);
            }
            Acquired::Queued => {
                let position = self.callers[number as usize].position.expect("it has arrived");
                self.enter(number, Phase::Waiting);
                self.waiting.insert(position, number);
            }
            Acquired::Refused(error) => {
                match error.code() {
                    Code::Closed => assert!(self.is_closing),
                    Code::Overloaded => assert!(
                        self.waiting.len() >= self.plan.options.max_waiters as usize,
                        "rule 11: refused before the limit"
                    ),
                    _ => panic!("an acquire is never refused with: {error}"),
                }
                self.note_refusal(number, &error);
            }
        }
    }

    pub fn deliver(&mut self, number: u32, outcome: Result<Grant<u32>>) {
        let position = self.callers[number as usize].position.expect("it has arrived");
        let is_first = self.waiting.first_key_value().is_some_and(|(first, _)| *first == position);
        let is_last = self.waiting.last_key_value().is_some_and(|(last, _)| *last == position);
        let waiter = self.waiting.remove(&position);
        assert_eq!(waiter, Some(number), "an outcome for somebody who does not wait");
        match outcome {
            Ok(grant) => {
                assert!(is_first, "rule 5: served out of turn");
                self.note_grant(number, grant);
            }
            Err(error) => {
                match error.code() {
                    Code::Closed => assert!(self.is_closing),
                    Code::Unavailable => {
                        assert!(is_last, "rule 10: those who came last are refused first");
                        assert!(self.dials.failures > 0, "rule 10");
                        self.check_waiters_in_outage();
                        assert!(error.retry_after().is_some(), "rule 10: says when to retry");
                    }
                    Code::Timeout => {
                        let until = self.callers[number as usize].wait_limit.map(|it| it.until);
                        assert_eq!(until, Some(self.now), "rule 3: not at its deadline");
                    }
                    _ => panic!("a waiter is never refused with: {error}"),
                }
                self.note_refusal(number, &error);
            }
        }
    }

    fn note_grant(&mut self, number: u32, grant: Grant<u32>) {
        self.check_grant(number, &grant);
        let caller = &mut self.callers[number as usize];
        caller.lease = Some(grant.lease);
        caller.link = grant.connection;
        caller.probe = grant.probe;
        self.network.link(grant.connection).holder = Holder::Caller(number);
        self.rests(grant.connection);
        let epoch = self.enter(number, Phase::Looking);
        let delay = self.up_to(Duration::from_millis(1));
        self.after(delay, Event::GoOn(number, epoch));
    }

    fn note_refusal(&mut self, number: u32, error: &Error) {
        let code = error.code();
        self.tell(|| format!("caller {number} is refused: {code:?}"));
        self.callers[number as usize].refusal = Some(code);
        self.note_outcome(number);
        self.enter(number, Phase::Done);
    }

    fn note_outcome(&mut self, number: u32) {
        let caller = &mut self.callers[number as usize];
        caller.outcomes += 1;
        assert_eq!(caller.outcomes, 1, "a caller has one outcome");
    }

    fn enter(&mut self, number: u32, phase: Phase) -> u32 {
        let caller = &mut self.callers[number as usize];
        caller.phase = phase;
        caller.epoch += 1;
        caller.epoch
    }

    pub fn gives_up(&mut self, number: u32) {
        let caller = &self.callers[number as usize];
        let (phase, Some(position)) = (caller.phase, caller.position) else { return };
        let cancelled = self.machine.cancel(position);
        if phase != Phase::Waiting {
            assert_eq!(cancelled, None, "rule 7: it was served already");
            return;
        }
        self.tell(|| format!("caller {number} gives up"));
        assert_eq!(cancelled, Some(number), "rule 7: a cancel is never swallowed");
        self.waiting.remove(&position);
        self.callers[number as usize].refusal = Some(Code::Timeout);
        self.note_outcome(number);
        self.enter(number, Phase::Done);
    }

    pub fn cancel_one(&mut self) {
        if self.callers.is_empty() {
            return;
        }
        let recent = self.callers.len().saturating_sub(40);
        let number = self.random.usize(recent..self.callers.len());
        self.gives_up(number as u32);
        self.settle();
    }

    /// The caller looks at the socket if it was told to, and then opens or uses it.
    pub fn goes_on(&mut self, number: u32, epoch: u32) {
        let caller = &self.callers[number as usize];
        if caller.epoch != epoch {
            return;
        }
        let (link, lease) = (caller.link, caller.lease.expect("it holds a lease"));
        let is_alive = !self.network.link(link).is_broken;
        if caller.probe && !is_alive {
            self.network.close(link);
            if let Some(position) = caller.position {
                self.tell(|| format!("caller {number} finds connection {link} dead"));
                self.network.link(link).holder = Holder::Nobody;
                self.callers[number as usize].lease = None;
                let caller = &self.callers[number as usize];
                let wait_limit = caller.wait_limit;
                let is_late = wait_limit.is_none() && caller.deadline <= self.now;
                let acquired =
                    self.machine.found_dead(lease, position, wait_limit, self.now, || number);
                self.note_acquired(number, acquired);
                let code = self.callers[number as usize].refusal;
                assert_ne!(code, Some(Code::Overloaded), "rule 14: replaced, not refused");
                self.settle();
                if is_late {
                    self.gives_up(number);
                }
                return;
            }
        }
        self.note_outcome(number);
        if !self.plan.is_exact && self.chance(3) {
            self.gives_back(number);
        } else {
            self.requests(number);
        }
    }

    /// One request, which opens the connection if it isn't.
    fn requests(&mut self, number: u32) {
        let until = self.now + self.plan.options.request_timeout;
        let caller = &mut self.callers[number as usize];
        caller.requests -= 1;
        caller.deadline = until;
        let link = caller.link;
        machine_tests::works(link);
        if caller.is_cut || self.network.link(link).is_open() {
            self.uses(number);
        } else {
            self.asks_to_dial(number, false);
        }
    }

    /// The request is on its way.
    fn uses(&mut self, number: u32) {
        let now = self.now;
        let caller = &mut self.callers[number as usize];
        caller.sent_at = now;
        let time = self.up_to(self.plan.longest_use);
        self.enter(number, Phase::Using);
        let time = match self.network.server {
            Server::Hanging => self.plan.options.request_timeout,
            _ => time,
        };
        self.after(time, Event::UseEnds(number));
    }

    /// No request is under way on it.
    fn rests(&mut self, link: u32) {
        let last_response_at = self.network.link(link).last_response_at;
        machine_tests::rests(link, last_response_at);
    }

    fn asks_to_dial(&mut self, number: u32, waited: bool) {
        let link = self.callers[number as usize].link;
        match self.machine.begin_lease_dial(self.slot_of(number), waited, self.now) {
            DialDecision::Dial => {
                self.tell(|| format!("caller {number} dials {link}"));
                self.check_dial_start();
                self.dials.by_leases += 1;
                self.dials.waiting_leases -= usize::from(waited);
                self.network.start_opening(link);
                self.enter(number, Phase::Dialing);
                let time = self.dial_time();
                self.after(time, Event::LeaseDialEnds(number));
            }
            DialDecision::TakeSocket(other) => {
                self.tell(|| format!("caller {number} takes the socket of {other}"));
                let is_needed = self.dials.failures > 0 || self.network.link(other).is_reserved;
                assert!(is_needed, "rule 10: a socket was taken without need");
                assert!(!self.network.link(other).is_dirty, "rule 13: taken without a rollback");
                self.dials.waiting_leases -= usize::from(waited);
                self.network.move_socket(other, link);
                self.uses(number);
            }
            DialDecision::Wait => {
                self.tell(|| format!("caller {number} waits to dial {link}"));
                self.dials.waiting_leases += usize::from(!waited);
                let epoch = self.enter(number, Phase::WaitingToDial);
                let left =
                    self.callers[number as usize].deadline.saturating_duration_since(self.now);
                self.after(left, Event::DialDeadline(number, epoch));
            }
            DialDecision::Refuse(error) => {
                assert!(self.dials.failures > 0, "rule 10: {error}");
                self.check_waiters_in_outage();
                self.dials.waiting_leases -= usize::from(waited);
                self.gives_back(number);
                return;
            }
        }
        self.settle();
    }

    fn slot_of(&self, number: u32) -> usize {
        self.callers[number as usize].lease.expect("it has a connection").slot()
    }

    /// A dial ended, and everybody who waits to dial hears of it, sooner or later.
    pub fn wake_dialers(&mut self) {
        for number in 0..self.callers.len() as u32 {
            let caller = &self.callers[number as usize];
            if caller.phase == Phase::WaitingToDial {
                let epoch = caller.epoch;
                let delay = self.up_to(Duration::from_millis(1));
                self.after(delay, Event::AskAgain(number, epoch));
            }
        }
    }

    pub fn asks_again(&mut self, number: u32, epoch: u32) {
        let caller = &self.callers[number as usize];
        if caller.epoch != epoch {
            return;
        }
        if caller.is_cut {
            self.gives_up_dial(number, epoch);
        } else {
            self.asks_to_dial(number, true);
        }
    }

    pub fn gives_up_dial(&mut self, number: u32, epoch: u32) {
        if self.callers[number as usize].epoch == epoch {
            self.tell(|| format!("caller {number} gives up dialling"));
            self.machine.give_up_lease_dial(self.slot_of(number), self.now);
            self.dials.waiting_leases -= 1;
            self.settle();
            self.gives_back(number);
        }
    }

    pub fn lease_dial_ends(&mut self, number: u32) {
        let link = self.callers[number as usize].link;
        let mut outcome = self.dial_outcome(link);
        if !self.plan.is_exact && self.chance(3) {
            self.network.close(link);
            outcome = Err(Error::new(Code::Cancelled, "cancelled"));
        }
        let failure = outcome.err();
        self.tell(|| format!("caller {number} dialled {link}: {failure:?}"));
        self.dials.by_leases -= 1;
        self.note_dial_end(link, failure.as_ref(), false);
        self.machine.end_lease_dial(self.slot_of(number), failure.as_ref(), self.now);
        if self.callers[number as usize].is_cut {
            self.network.close(link);
        }
        self.settle();
        let caller = &self.callers[number as usize];
        let has_time = caller.deadline > self.now && !caller.is_cut;
        match failure {
            None => self.uses(number),
            Some(error)
                if error.code() != Code::Cancelled
                    && has_time
                    && self.machine.may_wait_to_dial(self.now) =>
            {
                self.asks_to_dial(number, false);
            }
            Some(_) => self.gives_back(number),
        }
    }

    pub fn use_ends(&mut self, number: u32) {
        let (link, now) = (self.callers[number as usize].link, self.now);
        let is_up = self.network.server == Server::Up;
        let entry = self.network.link(link);
        let has_response = is_up && !entry.is_broken && entry.is_open();
        if has_response {
            entry.last_response_at = Some(now);
        }
        self.shows(number, has_response);
        if !has_response {
            self.network.close(link);
        }
        self.rests(link);
        self.settle();
        if self.callers[number as usize].requests > 0 && self.chance(50) {
            self.requests(number);
        } else {
            self.gives_back(number);
        }
    }

    /// The end of a request shows something of its connection.
    fn shows(&mut self, number: u32, has_response: bool) {
        let caller = &self.callers[number as usize];
        let (link, sent_at, is_cut) = (caller.link, caller.sent_at, caller.is_cut);
        let entry = self.network.link(link);
        let (is_new, is_probe) = (entry.is_unproved, entry.is_probe);
        if is_cut || has_response && !is_new || !entry.is_open() {
            return;
        }
        (entry.is_unproved, entry.is_probe) = (false, false);
        let is_silent = self.network.server == Server::Hanging;
        let cause = Error::new(Code::Unavailable, "closed without a response");
        let event = match (has_response, is_new, is_silent) {
            (true, ..) => {
                if is_probe {
                    self.dials.failures = 0;
                }
                SocketEvent::Proved
            }
            (false, true, true) => {
                if is_probe {
                    self.note_failed_dial();
                }
                SocketEvent::SilentFresh(&cause)
            }
            (false, true, false) => {
                self.note_failed_dial();
                SocketEvent::LostFresh(&cause)
            }
            (false, false, true) => {
                self.suspects_heard_before = self.suspects_heard_before.max(Some(sent_at));
                SocketEvent::Silent { since: sent_at }
            }
            (false, false, false) => {
                self.suspects_heard_before = Some(self.now);
                SocketEvent::Lost
            }
        };
        self.tell(|| format!("caller {number} sees of {link}: {event:?}"));
        self.machine.note_socket_event(self.slot_of(number), event, self.now);
    }

    fn gives_back(&mut self, number: u32) {
        let caller = &self.callers[number as usize];
        let (link, is_cut, lease) = (caller.link, caller.is_cut, caller.lease);
        let disposition = match self.random.u32(..2) {
            0 if self.chance(self.plan.rough_release) => Disposition::Discard,
            1 if self.chance(self.plan.rough_release) => Disposition::RollBack,
            _ => Disposition::Reuse,
        };
        self.rests(link);
        self.tell(|| format!("caller {number} gives {link} back: {disposition:?}"));
        let report = self.report(link, disposition);
        self.note_return(link, disposition);
        self.enter(number, Phase::Done);
        let lease = lease.expect("it holds a lease");
        let released = self.releases_fast(lease, &report);
        let taken = match released {
            Released::Kept => true,
            Released::Told => self.machine.release_ended(lease, report, self.now),
            Released::NotReady => self.machine.release(lease, report, self.now),
        };
        self.fast_releases += u64::from(released != Released::NotReady);
        assert_eq!(taken, !is_cut, "rule 12: a live lease can be released, a cut one can't");
        self.callers[number as usize].lease = None;
        if taken && self.chance(5) {
            assert_eq!(
                self.machine.release_fast(lease, None, self.now),
                Released::NotReady,
                "released twice"
            );
            assert!(!self.machine.release(lease, report, self.now), "released twice");
        }
        self.settle();
    }

    /// The fast path, where it is open, has the same outcome.
    fn releases_fast(&mut self, lease: LeaseId, report: &ConnectionReport) -> Released {
        let is_untouched =
            report.disposition == Disposition::Reuse && self.machine.knows(lease, report);
        match self.random.u32(..3) {
            0 => Released::NotReady,
            1 if is_untouched => self.machine.release_fast(lease, None, self.now),
            _ => self.machine.release_fast(lease, Some(report), self.now),
        }
    }

    /// How a connection is left.
    pub fn report(&mut self, link: u32, disposition: Disposition) -> ConnectionReport {
        let link = self.network.link(link);
        ConnectionReport {
            disposition,
            is_open: link.is_open(),
            opened_at: link.opened_at,
            keep_alive_until: link.keep_alive_until,
            last_response_at: link.last_response_at,
            pinged: None,
        }
    }

    /// A connection goes back to the pool.
    pub fn note_return(&mut self, link: u32, disposition: Disposition) {
        self.returns += 1;
        let (now, returns) = (self.now, self.returns);
        let link = self.network.link(link);
        if let Holder::Caller(_) | Holder::Worker = link.holder {
            link.holder = Holder::Pool;
        }
        link.is_dirty = disposition != Disposition::Reuse;
        link.returned_at = Some(now);
        link.returned = returns;
    }

    /// What the driver of a closing pool does with those who didn't bring theirs back.
    pub fn cut(&mut self) {
        self.tell(|| "cut".to_owned());
        let connections = self.machine.cut();
        for caller in self.callers.iter_mut().filter(|caller| caller.lease.is_some()) {
            assert!(connections.contains(&caller.link), "rule 19: every lease is cut");
            caller.is_cut = true;
        }
        for link in connections {
            self.network.link(link).holder = Holder::Nobody;
            if self.network.link(link).is_open() {
                self.network.close(link);
            }
        }
        self.wake_dialers();
        self.settle();
    }
}
