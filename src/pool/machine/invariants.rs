//! What must hold after every event, recounted from the slots; for tests.

use std::time::Instant;

use super::super::fast_path::{LeaseWord, Released, Used, memory};
use super::super::outage::Outage;
use super::messages::{ConnectionReport, Grant, Job, JobKind, LeaseId};
use super::slot::{STATES, SlotState};
use super::{Machine, SlotConnection};
use crate::os::clock;

impl<C: SlotConnection, W> Machine<C, W> {
    /// Panics if the machine contradicts itself or one of its two invariants.
    pub fn check_invariants(&mut self, now: Instant) {
        self.draw();
        self.check_conservation();
        self.check_idle();
        self.check_fast_path();
        self.check_jobs();
        self.check_reservations();
        if !self.is_closing {
            self.check_nothing_left_to_give(now);
            self.check_minimum(now);
            self.check_alarm(now);
            self.check_waiters_in_outage(now);
        }
    }

    /// The jobs that no worker has taken yet.
    pub fn queued_jobs(&self) -> impl Iterator<Item = &Job<C>> {
        self.jobs.iter()
    }

    /// When a lost server is tried again.
    pub fn outage_retry_at(&self) -> Option<Instant> {
        self.outage.as_ref().map(Outage::retry_at)
    }

    /// Whether there is a socket, as far as the machine knows.
    pub fn is_opened(&self, slot: usize) -> bool {
        self.slots[slot].is_open
    }

    /// How many connections nobody has, opened or not.
    pub fn idle_count(&mut self) -> usize {
        self.draw();
        self.idle.len()
    }

    /// An acquire by the fast path.
    pub fn acquire_fast(&self, now: Instant) -> Option<Grant<C>> {
        let now = clock::moment(now);
        let slots = &memory().slots;
        let (slot, generation) = self.stack().acquire(slots, now, LeaseWord::HELD, || true)?;
        let (lease, connection) = (LeaseId::new(slot, generation), self.connection(slot.number()));
        Some(Grant { lease, connection, probe: false })
    }

    /// A release by the fast path, of a connection that was used if there is a `report`.
    pub fn release_fast(
        &self,
        lease: LeaseId,
        report: Option<&ConnectionReport>,
        now: Instant,
    ) -> Released {
        let used = report.and_then(Used::of);
        if report.is_some() && used.is_none() {
            return Released::NotReady;
        }
        let (ending, now) = ((lease.generation, LeaseWord::HELD), clock::moment(now));
        self.stack().release(lease.fast(), ending, None, used.as_ref(), now, || true)
    }

    /// The lease of a slot that a caller has.
    pub fn lease_of(&self, slot: usize) -> LeaseId {
        let fast = self.slots[slot].fast;
        LeaseId::new(fast, fast.word().generation())
    }

    /// Lets the slot of an idle connection be leased only twice more.
    pub fn use_up_generations(&mut self, slot: usize) {
        self.draw();
        self.slots[slot].fast.use_up_generations();
    }

    /// The connections whose sockets go to holders of leases that have none.
    pub fn reserved(&self) -> Vec<C> {
        let reserved = self.slots.iter().filter(|slot| slot.state == SlotState::Reserved);
        reserved.filter_map(|slot| slot.connection.clone()).collect()
    }

    /// How many connections may have died as another did.
    pub fn numbers_of_suspects(&self) -> usize {
        self.slots.iter().filter(|slot| slot.is_suspect).count()
    }

    /// Whether a lease's connection is as the machine knows it.
    pub fn knows(&self, lease: LeaseId, report: &ConnectionReport) -> bool {
        self.slots[lease.slot].is_as_in(report)
    }

    fn check_conservation(&self) {
        let mut counts = [0; STATES];
        for slot in &self.slots {
            counts[slot.state as usize] += 1;
            assert_eq!(
                slot.state == SlotState::Vacant,
                slot.connection.is_none(),
                "rule 2: a slot has a connection unless it is vacant"
            );
        }
        assert_eq!(counts, self.counts, "rule 2: the counts are those of the slots");
        assert_eq!(counts.iter().sum::<usize>(), self.slots.len(), "rule 2: states sum up");
        assert_eq!(
            self.vacant.len(),
            self.count(SlotState::Vacant),
            "rule 2: the list of vacant slots"
        );
        assert!(self.vacant.iter().all(|slot| self.slots[*slot].state == SlotState::Vacant));
        // A smaller maximum is reached as soon as those in use come back and others are closed;
        // the simulation checks that there are never more than before.
        assert!(!self.is_over_max() || self.idle.is_empty(), "rule 1: at most max");
        assert!(
            self.dials_under_way() <= self.options.max_connecting as usize,
            "rule 9: at most max_connecting dials"
        );
    }

    /// What is reserved is reserved for one holder of a lease who waits.
    fn check_reservations(&self) {
        let mut reserved: Vec<_> = self.slots.iter().filter_map(|slot| slot.reserved).collect();
        reserved.sort_unstable();
        reserved.dedup();
        assert_eq!(reserved.len(), self.count(SlotState::Reserved), "rule 2: reserved sockets");
        for (slot, entry) in self.slots.iter().enumerate() {
            let Some(from) = entry.reserved else { continue };
            assert_eq!(entry.state, SlotState::Ready);
            assert_eq!(self.slots[from].state, SlotState::Reserved);
            assert!(self.dial_queue.contains(&slot), "rule 10: reserved to nobody who waits");
        }
    }

    /// In an outage nobody is left waiting for a connection that cannot come back, and nobody is refused while one may.
    fn check_waiters_in_outage(&self, now: Instant) {
        if self.outage.is_none() || self.is_return_expected(now) || self.is_tick_due(now) {
            return;
        }
        assert!(
            self.waiters.len() <= self.supply() || self.may_dial(now),
            "rule 10: somebody waits though nothing can come back"
        );
    }

    fn check_idle(&self) {
        let (mut seen_unopened, mut is_idle) = (false, vec![false; self.slots.len()]);
        for slot in self.idle.top_down() {
            let entry = &self.slots[slot];
            assert_eq!(entry.state, SlotState::Ready);
            assert!(!entry.is_open || !seen_unopened, "opened connections are handed out first");
            assert!(!entry.is_suspect, "rule 14: a suspect is idle");
            assert!(!std::mem::replace(&mut is_idle[slot], true), "rule 2: a slot is idle twice");
            seen_unopened |= !entry.is_open;
        }
        for (slot, is_idle) in self.slots.iter().zip(is_idle) {
            let is_leased = slot.leased().is_some();
            assert_eq!(
                is_leased,
                slot.state == SlotState::Ready && !is_idle,
                "rule 2: idle or leased"
            );
        }
    }

    /// The fast path knows of each slot what it must.
    fn check_fast_path(&self) {
        for (number, slot) in self.slots.iter().enumerate() {
            if slot.state != SlotState::Ready {
                continue;
            }
            let word = slot.fast.word();
            assert!(
                word.has(LeaseWord::MARKED) || !self.must_hear_of(number),
                "the machine must hear of this release: {number}"
            );
            assert!(
                word.has(LeaseWord::MARKED) || word.has(LeaseWord::UNOPENED) != slot.is_open,
                "the fast path takes {number} for what it is not"
            );
        }
    }

    fn check_jobs(&self) {
        let mut slots: Vec<_> = self.jobs.iter().map(|job| job.slot).collect();
        slots.sort_unstable();
        slots.dedup();
        assert_eq!(slots.len(), self.jobs.len(), "one job per slot");
        for job in &self.jobs {
            let state = self.slots[job.slot].state;
            let fits = match job.kind {
                JobKind::Dial | JobKind::Probe => state == SlotState::Dialing,
                JobKind::RollBack => state == SlotState::Cleaning,
                JobKind::Ping => matches!(state, SlotState::Validating | SlotState::Suspect),
                JobKind::Close => state == SlotState::Closing,
            };
            assert!(fits, "a job fits the state of its slot");
        }
    }

    fn check_nothing_left_to_give(&self, now: Instant) {
        if self.waiters.len() <= self.supply() || self.is_tick_due(now) {
            return;
        }
        let is_cautious = self.outage.is_some();
        assert!(
            self.idle.top_down().all(|slot| is_cautious && !self.slots[slot].is_open),
            "rule 6: somebody waits and a connection is idle"
        );
        let has_room = self.total() < self.options.max_connections as usize;
        assert!(
            !(has_room && (self.may_dial(now) || !self.dials_before_handing_out())),
            "rule 6: somebody waits and a connection could be opened"
        );
        if self.may_dial(now) {
            assert!(self.idle.is_empty(), "rule 10: an idle slot could be opened as the probe");
        }
    }

    fn check_minimum(&self, now: Instant) {
        if self.total() >= self.options.min_connections as usize || self.is_tick_due(now) {
            return;
        }
        if self.options.preconnect {
            assert!(!self.may_dial(now), "rule 17: the minimum could be refilled");
        } else {
            // Waiters come first; after them, the next dial that ends refills it.
            assert!(
                self.dials_under_way() + self.dial_queue.len() > 0 || self.alarm.is_some(),
                "rule 17: the minimum is refilled"
            );
        }
    }

    fn is_tick_due(&self, now: Instant) -> bool {
        self.alarm.is_some_and(|alarm| alarm <= now)
    }

    fn check_alarm(&self, now: Instant) {
        let is_due =
            |at: Option<Instant>| self.alarm.is_none_or(|alarm| at.is_some_and(|at| at < alarm));
        for slot in self.idle.top_down() {
            let entry = &self.slots[slot];
            let peek_at = self.peek_at.filter(|_| entry.is_open);
            assert!(
                !entry.is_open || peek_at.is_some() && !is_due(peek_at),
                "rule 17: nobody looks at an idle socket"
            );
            assert!(
                !(entry.usable_until().is_some() && is_due(entry.usable_until())),
                "rule 16: no alarm for a retirement"
            );
            let expiry = self.idle_expiry(slot);
            assert!(
                !(expiry.is_some() && self.surplus() > 0 && is_due(expiry)),
                "rule 17: no alarm for an idle surplus"
            );
        }
        let deadline = self.waiters.first_deadline();
        assert!(!(deadline.is_some() && is_due(deadline)), "rule 3: no alarm for a deadline");
        let retry_at = self.outage_retry_at().filter(|at| *at > now);
        if let Some(retry_at) = retry_at {
            assert!(!is_due(Some(retry_at)), "rule 10: no alarm for the next try");
        }
    }
}
