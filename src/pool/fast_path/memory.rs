//! Where the fast path's slots and stacks are: in memory that is never freed, but used again.

use super::slot::FastSlot;
use super::stack::ReadyStack;
use super::word::INDEX_BITS;
use crate::os::fork;
use crate::os::locks::StaticMutex;
use crate::os::permanent::Permanent;
use crate::os::random;

/// All slots and stacks of this process.
#[derive(Debug)]
pub struct Memory {
    pub slots: Permanent<FastSlot>,
    pub stacks: Permanent<ReadyStack>,
    unused: StaticMutex<Unused>,
}

/// What no pool has at the moment.
#[derive(Debug)]
struct Unused {
    /// Of the process that made the lists. A child leaves alone what they name: a thread of its parent
    /// may have been looking at it during the fork.
    process: u64,
    slots: Vec<u32>,
    made_slots: u32,
    stacks: Vec<u32>,
    made_stacks: u32,
}

impl Memory {
    const fn new() -> Self {
        let unused = Unused {
            process: 0,
            slots: Vec::new(),
            made_slots: 0,
            stacks: Vec::new(),
            made_stacks: 0,
        };
        Memory {
            slots: Permanent::new(),
            stacks: Permanent::new(),
            unused: StaticMutex::new(unused),
        }
    }

    /// A slot for a pool; `None` if there are as many as can be named.
    pub fn take_slot(&self, stack: u32, number: usize) -> Option<&FastSlot> {
        let mut unused = self.unused.lock();
        let index = unused.take_slot()?;
        // Under the lock, so that no fork catches it half made.
        let slot = self.slots.make(index as usize);
        drop(unused);
        slot.take(index, stack, number, first_generation());
        Some(slot)
    }

    /// Nobody has the slot any more, and nobody will take it by an earlier lease's handle.
    pub fn give_slot(&self, slot: &FastSlot) {
        if !slot.is_spent() {
            self.unused.lock().slots.push(slot.index());
        }
    }

    pub fn take_stack(&self, validate_after: u64) -> &ReadyStack {
        let mut unused = self.unused.lock();
        let index = unused.take_stack();
        let stack = self.stacks.make(index as usize);
        drop(unused);
        stack.take(index, fork::generation(), validate_after);
        stack
    }

    pub fn give_stack(&self, stack: &ReadyStack) {
        stack.set_key(0);
        self.unused.lock().stacks.push(stack.index());
    }
}

impl Unused {
    fn take_slot(&mut self) -> Option<u32> {
        self.forget_parents();
        self.slots.pop().or_else(|| {
            let index = self.made_slots;
            (index < 1 << INDEX_BITS).then(|| {
                self.made_slots += 1;
                index
            })
        })
    }

    fn take_stack(&mut self) -> u32 {
        self.forget_parents();
        self.stacks.pop().unwrap_or_else(|| {
            self.made_stacks += 1;
            self.made_stacks - 1
        })
    }

    fn forget_parents(&mut self) {
        if self.process != fork::generation() {
            self.process = fork::generation();
            self.slots.clear();
            self.stacks.clear();
        }
    }
}

/// Generations begin at random, so that no small number is ever a handle.
fn first_generation() -> u64 {
    let bits = super::word::GENERATION_BITS;
    let (least, end) = (1 << (bits / 4), 1 << (bits / 2));
    least + random::number() % (end - least)
}

/// The memory of this process.
#[cfg(not(shuttle))]
pub fn memory() -> &'static Memory {
    static MEMORY: Memory = Memory::new();
    &MEMORY
}

/// The model checker's scenarios run side by side, each on a thread of its own.
#[cfg(shuttle)]
pub fn memory() -> &'static Memory {
    std::thread_local! {
        static MEMORY: &'static Memory = Box::leak(Box::new(Memory::new()));
    }
    MEMORY.with(|memory| *memory)
}

/// Sees to it that no other thread is changing the lists while one forks.
pub fn hold_during_fork() {
    let memory = memory();
    fork::hold_during_fork(memory, || {
        let unused = self::memory().unused.lock();
        Box::new(move |_| drop(unused))
    });
}
