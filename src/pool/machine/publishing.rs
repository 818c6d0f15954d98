//! What the machine tells the fast path, and when it leaves the slots to it; see `fast_path`.

use std::time::Instant;

use super::super::fast_path::{FastSlot, Flags, ReadyStack, memory};
use super::super::histogram::SlotCounts;
use super::slot::SlotState;
use super::{Machine, SlotConnection};
use crate::config::{Options, Validation};
use crate::os::clock::ALWAYS;

impl<C: SlotConnection, W> Machine<C, W> {
    /// The stack of this machine's connections.
    pub fn stack(&self) -> &'static ReadyStack {
        self.idle.stack()
    }

    /// What the slots have counted on the fast path.
    pub fn slot_counts(&self) -> SlotCounts {
        let mut counts = SlotCounts::default();
        self.slots.iter().for_each(|slot| slot.fast.add_counts_to(&mut counts));
        counts
    }

    /// Leaves the slots to the fast path, unless something is going on of which every caller must hear.
    /// To be called at the end of each event.
    pub fn publish(&mut self) {
        if self.is_common() {
            let flags = Flags::NONE
                // It is to be looked at from now on.
                .and_if(self.peek_at.is_none(), Flags::TELL_OPENED)
                .and_if(self.surplus() > 0, Flags::TELL_UNOPENED);
            self.idle.publish(flags);
        }
    }

    fn is_common(&self) -> bool {
        !self.is_closing && self.waiters.is_empty() && self.outage.is_none() && !self.is_over_max()
    }

    /// Takes the slots from the fast path. Each event begins with this.
    pub(super) fn draw(&mut self) {
        self.idle.draw();
    }

    /// The slot is to be leased next, maybe by the fast path: says whether the machine must hear of its
    /// release.
    pub(super) fn prepare_release(&mut self, slot: usize) {
        if self.slots[slot].fast.is_spent() {
            self.renew(slot);
        }
        let entry = &self.slots[slot];
        entry.fast.set_release(self.must_hear_of(slot), !entry.is_open);
    }

    /// Whether the release of this slot is more than keeping it. What changes here while somebody has
    /// the slot comes with a mark.
    pub(super) fn must_hear_of(&self, slot: usize) -> bool {
        let entry = &self.slots[slot];
        entry.is_suspect
            || entry.has_failed
            || entry.has_successor
            || (entry.is_open && entry.epoch < self.epoch)
    }

    /// An alarm for each time at which the slot is due, from now on or once it is idle. So the alarm is
    /// never later than what a release by the fast path would ask for.
    pub(super) fn want_alarms(&mut self, slot: usize, now: Instant) {
        let entry = &self.slots[slot];
        let (usable_until, replace_at) = (entry.usable_until(), entry.replace_at);
        if let Some(until) = usable_until.filter(|until| *until > now) {
            self.want_alarm(until);
        }
        if let Some(at) = replace_at.filter(|at| *at > now && self.wants_successor(slot)) {
            self.want_alarm(at);
        }
        if let Some(at) = self.next_due_on_fast_path(now) {
            self.want_alarm(at);
        }
    }

    /// The first time at which something may be due because of what the fast path does from now on.
    pub(super) fn next_due_on_fast_path(&self, now: Instant) -> Option<Instant> {
        let (idle, leak) = (self.options.idle_timeout, self.options.leak_threshold);
        let is_any = self.count(SlotState::Ready) > 0;
        let idle = (is_any && !idle.is_zero() && !self.is_closing && self.surplus() > 0)
            .then(|| now + idle);
        let leak = (is_any && !leak.is_zero()).then(|| now + leak);
        [idle, leak].into_iter().flatten().min()
    }

    pub(super) fn take_fast_slot(&mut self, slot: usize) -> &'static FastSlot {
        let fast = memory()
            .take_slot(self.idle.stack().index(), slot)
            .expect("a process can't have so many connections");
        self.idle.note_slot(slot, fast);
        fast
    }

    /// Another part of the fast path for a slot. The first is not used again.
    fn renew(&mut self, slot: usize) {
        let mut counts = SlotCounts::default();
        self.slots[slot].fast.add_counts_to(&mut counts);
        self.stats.take_over(&counts);
        let fast = self.take_fast_slot(slot);
        self.slots[slot].renew(fast);
    }
}

impl<C, W> Drop for Machine<C, W> {
    fn drop(&mut self) {
        self.idle.draw();
        for slot in self.idle.take_all() {
            self.slots[slot].state = SlotState::Vacant;
        }
        for slot in self.slots.iter().filter(|slot| !slot.is_let_go) {
            // What a thread is just taking or releasing is not used again: it may write to it still.
            if slot.state != SlotState::Ready || slot.fast.cut() {
                memory().give_slot(slot.fast);
            }
        }
        memory().give_stack(self.idle.stack());
    }
}

/// How long a connection may be idle before it is looked at, as the fast path has it.
pub fn validate_after(options: &Options) -> u64 {
    match options.validation {
        Validation::None => ALWAYS,
        _ => u64::try_from(options.validate_after.as_nanos()).unwrap_or(ALWAYS),
    }
}
