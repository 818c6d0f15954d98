//! What one connection shows of the others: new ones that are lost at once, kept ones that died
//! silently, a server that closed what was idle, a machine that slept.

use std::mem;
use std::time::{Duration, Instant};

use super::super::stats::CloseReason;
use super::messages::{JobKind, LeaseId};
use super::slot::SlotState;
use super::{Machine, SlotConnection};
use crate::client::SocketEvent;
use crate::error::{Code, Error};

/// How often idle sockets are looked at. Under the model checker only new ones are: what comes again
/// and again would use up the time that a scenario has.
const PEEK_INTERVAL: Duration =
    Duration::from_secs(if cfg!(shuttle) { 7 * 24 * 60 * 60 } else { 1 });
/// How soon a new socket is that nobody has used yet: a front with no server behind it closes at once.
const FIRST_PEEK: Duration = Duration::from_millis(100);
/// A request that was cut sooner does not show that the server is silent.
const SHORTEST_SILENCE: Duration = Duration::from_millis(100);
/// What was checked so shortly before is not checked again because a request was cut: programs may cut
/// many, and for reasons of their own.
const RECHECK: Duration = Duration::from_secs(1);
/// A shorter sleep of the machine harms no connection.
const SHORTEST_SLEEP: Duration = Duration::from_secs(1);

impl<C: SlotConnection, W> Machine<C, W> {
    /// What a request showed of the socket of this slot. The end of a worker's dial is told by
    /// [`Machine::job_done`] alone.
    pub fn note_socket_event(&mut self, slot: usize, event: SocketEvent<'_>, now: Instant) {
        self.draw();
        let entry = &mut self.slots[slot];
        if matches!(entry.state, SlotState::Dialing | SlotState::Vacant) {
            return;
        }
        entry.fast.mark();
        let (was_unproved, was_probe) = (entry.is_unproved, entry.is_probe);
        (entry.is_unproved, entry.is_probe) = (false, false);
        entry.has_failed = !matches!(event, SocketEvent::Proved);
        match event {
            SocketEvent::Proved => {
                if was_probe {
                    self.end_outage(now);
                    self.balance(now);
                }
            }
            SocketEvent::LostFresh(cause) => {
                self.note_socket(slot, false, CloseReason::Broken);
                if was_unproved {
                    self.fail_dial(cause, now);
                }
                self.balance(now);
            }
            SocketEvent::SilentFresh(cause) => {
                if was_probe {
                    self.fail_dial(cause, now);
                }
                self.balance(now);
            }
            SocketEvent::Lost => self.suspect(now, now),
            SocketEvent::Silent { since } => self.suspect(since, now),
            SocketEvent::Cancelled { since } => {
                let was_silent = now.saturating_duration_since(since) >= SHORTEST_SILENCE;
                let checked = self.suspects_heard_before;
                if was_silent && checked.is_none_or(|before| before + RECHECK <= since) {
                    self.suspect(since, now);
                }
            }
        }
    }

    /// Every connection on which the server was last heard from before `heard_before` may be dead too:
    /// idle ones are checked now, side by side, and those in use when they come back.
    fn suspect(&mut self, heard_before: Instant, now: Instant) {
        self.suspects_heard_before = self.suspects_heard_before.max(Some(heard_before));
        for slot in &mut self.slots {
            slot.is_suspect |= slot.is_open && slot.heard_at() < Some(heard_before);
            if slot.is_suspect {
                slot.fast.mark();
            }
        }
        if !self.is_closing {
            for slot in self.idle.take_all() {
                if self.slots[slot].is_suspect {
                    self.check_suspect(slot);
                } else {
                    self.idle.keep(slot);
                }
            }
        }
        self.balance(now);
    }

    /// Has a worker ping the server on a suspect.
    pub(super) fn check_suspect(&mut self, slot: usize) {
        self.start_in(JobKind::Ping, slot, SlotState::Suspect);
    }

    /// The check of a connection failed: what is not being checked yet is retired instead, so that a
    /// crowd of dead connections is gone soon.
    pub(super) fn retire_unchecked(&mut self) {
        for job in mem::take(&mut self.jobs) {
            if job.kind == JobKind::Ping && self.slots[job.slot].state == SlotState::Suspect {
                self.start_closing(job.slot, CloseReason::Dead);
            } else {
                self.jobs.push_back(job);
            }
        }
    }

    /// The machine slept for `slept` in all, since it started. Connections are older by what is new
    /// of it, and each may be dead.
    pub fn note_sleep(&mut self, slept: Duration, now: Instant) {
        self.draw();
        let Some(before) = self.slept.replace(slept) else { return };
        let Some(slept) = slept.checked_sub(before).filter(|time| *time >= SHORTEST_SLEEP) else {
            return;
        };
        for slot in &mut self.slots {
            slot.age(slept);
        }
        self.suspect(now, now);
        if let Some(due) = self.next_due(now) {
            self.want_alarm(due);
        }
    }

    /// When the idle sockets are to be looked at next, now that one more is idle.
    pub(super) fn want_peek(&mut self, slot: usize, now: Instant) {
        let is_new = self.slots[slot].is_unproved;
        if self.peek_at.is_none() || is_new {
            let at = now + if is_new { FIRST_PEEK } else { PEEK_INTERVAL };
            self.peek_at = Some(self.peek_at.map_or(at, |other| other.min(at)));
            self.want_alarm(at);
        }
    }

    /// Asks the driver to look at the idle sockets, if it is time.
    pub(super) fn peek(&mut self, now: Instant) {
        if self.peek_at.is_none_or(|at| at > now) {
            return;
        }
        let idle = self.idle.bottom_up().into_iter();
        let open = idle.filter(|slot| self.slots[*slot].is_open);
        let peeks: Vec<_> = open
            .map(|slot| {
                let fast = self.slots[slot].fast;
                let lease = LeaseId::new(fast, fast.word().generation());
                (lease, self.connection(slot))
            })
            .collect();
        self.peek_at = (!peeks.is_empty()).then(|| now + PEEK_INTERVAL);
        self.effects.peeks = peeks;
    }

    /// The driver looked at an idle socket, named as in [`Effects::peeks`]: the server had closed it,
    /// and it is closed now. Unless somebody has the connection by now, who will see.
    pub fn found_closed(&mut self, lease: LeaseId, now: Instant) {
        self.draw();
        let slot = lease.slot;
        let entry = &self.slots[slot];
        let is_as_it_was = entry.state == SlotState::Ready
            && LeaseId::new(entry.fast, entry.fast.word().generation()) == lease
            && entry.is_open
            && self.idle.top_down().any(|other| other == slot);
        if !is_as_it_was {
            return;
        }
        let was_closed_at_once =
            entry.is_unproved && now.saturating_duration_since(entry.idle_since()) < PEEK_INTERVAL;
        for other in self.idle.take_all() {
            if other != slot {
                self.idle.keep(other);
            }
        }
        self.vacate(slot, CloseReason::Dead);
        if was_closed_at_once {
            let url = &self.options.base_url;
            let text = format!("a new connection to {url} was closed by the server at once");
            self.fail_dial(&Error::new(Code::Unavailable, text), now);
        }
        self.balance(now);
    }
}
