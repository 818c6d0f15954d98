//! A machine as small as can be: it draws, decides and publishes as the pool's does.

use loom::sync::Mutex;

use crate::os::clock::ALWAYS;
use crate::os::permanent::Permanent;
use crate::pool::fast_path::slot::FastSlot;
use crate::pool::fast_path::stack::{ReadyStack, Released};
use crate::pool::fast_path::word::{Flags, LeaseWord, Link};
use crate::pool::histogram::SlotCounts;

/// The key of the pool's stack, as long as it is the pool's.
pub const KEY: u64 = 77;

/// A pool of a few slots.
pub struct Pool {
    pub stack: &'static ReadyStack,
    pub slots: &'static Permanent<FastSlot>,
    machine: Mutex<Machine>,
}

/// A lease, and whether it has a holder, as a `Lease` of the library is one.
pub type Lease = (&'static FastSlot, u64, u64);

/// What became of an acquire.
pub enum Acquired {
    Got(Lease),
    Queued,
    Closed,
}

#[derive(Default)]
pub struct Machine {
    is_drawn: bool,
    top: Link0,
    pub waiters: usize,
    /// Leases that went to waiters.
    pub served: Vec<Lease>,
    pub is_closing: bool,
    /// Something is going on of which every caller must hear.
    pub is_uncommon: bool,
    pub epoch: u64,
    /// The epoch in which each slot was opened.
    pub epochs: [u64; 4],
    /// Slots that came back to the machine and were closed by it.
    pub closed: Vec<u32>,
}

pub struct Link0(pub Link);

impl Default for Link0 {
    fn default() -> Self {
        Link0(Link::NONE)
    }
}

impl Pool {
    /// A pool with so many connections, all idle; the last slot on top.
    pub fn new(count: u32) -> &'static Pool {
        let slots: &'static Permanent<FastSlot> = Box::leak(Box::new(Permanent::new()));
        let stack: &'static ReadyStack = Box::leak(Box::default());
        stack.take(0, 0, ALWAYS);
        stack.set_key(KEY);
        let mut machine = Machine { is_drawn: true, ..Machine::default() };
        for index in 0..count {
            let slot = slots.make(index as usize);
            slot.take(index, 0, index as usize, 5);
            slot.note_idle(1, ALWAYS, false);
            machine.push(slot);
        }
        machine.publish(stack);
        Box::leak(Box::new(Pool { stack, slots, machine: Mutex::new(machine) }))
    }

    /// Something happens on the machine.
    pub fn event<R>(&self, event: impl FnOnce(&mut Machine, &Pool) -> R) -> R {
        let mut machine = self.machine.lock().unwrap();
        machine.draw(self.stack);
        let outcome = event(&mut machine, self);
        machine.publish(self.stack);
        outcome
    }

    pub fn acquire_fast(&self, holder: u64) -> Option<Lease> {
        let (slot, generation) =
            self.stack.acquire(self.slots, 2, holder, || self.stack.key() == KEY)?;
        Some((slot, generation, holder))
    }

    pub fn acquire(&self) -> Acquired {
        if let Some(lease) = self.acquire_fast(0) {
            return Acquired::Got(lease);
        }
        self.event(|machine, pool| {
            if machine.is_closing {
                return Acquired::Closed;
            }
            match machine.pop(pool) {
                Some(slot) => Acquired::Got((slot, slot.grant(2), LeaseWord::HELD)),
                None => {
                    machine.waiters += 1;
                    Acquired::Queued
                }
            }
        })
    }

    pub fn release_fast(&self, (slot, generation, holder): Lease) -> Released {
        let is_meant = || self.stack.key() == KEY;
        self.stack.release(slot, (generation, holder), None, None, 3, is_meant)
    }

    /// False if the lease is over.
    pub fn release(&self, lease: Lease) -> bool {
        let (slot, generation, holder) = lease;
        match self.release_fast(lease) {
            Released::Kept => true,
            Released::Told => {
                self.event(|machine, _| machine.settle(slot, generation));
                true
            }
            Released::NotReady => {
                let is_its = slot.end_lease(generation, holder);
                if is_its {
                    self.event(|machine, _| machine.settle(slot, generation));
                }
                is_its
            }
        }
    }

    /// Gives the machine's slots, from the top.
    pub fn idle(&self) -> Vec<u32> {
        self.event(|machine, pool| {
            let mut all = Vec::new();
            let mut next = machine.top.0;
            while let Some(index) = next.index() {
                all.push(index);
                next = pool.slots.get(index as usize).unwrap().below();
            }
            all
        })
    }

    pub fn counts(&self, slots: u32) -> SlotCounts {
        let mut counts = SlotCounts::default();
        (0..slots)
            .for_each(|slot| self.slots.get(slot as usize).unwrap().add_counts_to(&mut counts));
        counts
    }
}

impl Machine {
    fn draw(&mut self, stack: &ReadyStack) {
        if !self.is_drawn {
            self.top = Link0(stack.draw());
            self.is_drawn = true;
        }
    }

    fn publish(&mut self, stack: &ReadyStack) {
        if self.waiters == 0 && !self.is_closing && !self.is_uncommon {
            self.is_drawn = false;
            stack.publish(self.top.0, Flags::NONE);
        }
    }

    pub fn push(&mut self, slot: &FastSlot) {
        slot.set_release(false, false);
        slot.set_below(self.top.0);
        self.top = Link0(slot.link());
    }

    pub fn pop(&mut self, pool: &Pool) -> Option<&'static FastSlot> {
        let slot = pool.slots.get(self.top.0.index()? as usize)?;
        self.top = Link0(slot.below());
        Some(slot)
    }

    /// A slot comes back whose lease is over.
    fn settle(&mut self, slot: &'static FastSlot, generation: u64) {
        if !slot.word().follows(generation) {
            return;
        }
        let index = slot.index();
        if self.is_closing || self.is_uncommon || self.epochs[index as usize] < self.epoch {
            self.closed.push(index);
        } else if self.waiters > 0 {
            self.waiters -= 1;
            slot.set_release(false, false);
            self.served.push((slot, slot.grant(3), LeaseWord::HELD));
        } else {
            slot.note_idle(3, ALWAYS, false);
            self.push(slot);
        }
    }

    /// Closes what is idle.
    pub fn close_idle(&mut self, pool: &Pool) {
        while let Some(slot) = self.pop(pool) {
            self.closed.push(slot.index());
        }
    }
}
