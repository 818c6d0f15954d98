//! The connections that nobody has: the chain of the fast path's stack, while the machine has it.

use std::collections::VecDeque;

use super::super::fast_path::{FastSlot, Flags, Link, ReadyStack, memory};

/// The idle connections of a machine, by the numbers of their slots. The one on top is the next to be
/// handed out; opened ones are above unopened ones.
pub struct Idle {
    stack: &'static ReadyStack,
    is_drawn: bool,
    /// The top of the chain, while it is drawn.
    top: Link,
    /// Unopened connections below the chain, which they join when it is empty; the next one first.
    below: VecDeque<usize>,
    slots: Vec<&'static FastSlot>,
}

impl Idle {
    pub fn new(stack: &'static ReadyStack) -> Self {
        Idle { stack, is_drawn: true, top: Link::NONE, below: VecDeque::new(), slots: Vec::new() }
    }

    pub fn stack(&self) -> &'static ReadyStack {
        self.stack
    }

    /// Slot `number` is this one from now on.
    pub fn note_slot(&mut self, number: usize, slot: &'static FastSlot) {
        if number == self.slots.len() {
            self.slots.push(slot);
        } else {
            self.slots[number] = slot;
        }
    }

    /// From now on nothing goes the fast way, and the chain may be changed.
    pub fn draw(&mut self) {
        if !self.is_drawn {
            self.top = self.stack.draw();
            self.is_drawn = true;
        }
    }

    /// Gives the chain to the fast path.
    pub fn publish(&mut self, flags: Flags) {
        if self.is_drawn {
            if self.top == Link::NONE {
                while let Some(slot) = self.below.pop_back() {
                    self.push_on_chain(slot);
                }
            }
            self.is_drawn = false;
            self.stack.publish(self.top, flags);
        }
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.top().is_none()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.top_down().count()
    }

    /// The next to be handed out.
    pub fn top(&self) -> Option<usize> {
        debug_assert!(self.is_drawn, "the machine draws before it looks");
        self.chain_top().map(FastSlot::number).or_else(|| self.below.front().copied())
    }

    pub fn pop(&mut self) -> Option<usize> {
        match self.chain_top() {
            Some(slot) => {
                self.top = slot.below();
                Some(slot.number())
            }
            None => self.below.pop_front(),
        }
    }

    /// One that comes back: on top if it is opened, and otherwise below all.
    pub fn push(&mut self, number: usize) {
        debug_assert!(self.is_drawn, "the machine draws before it changes anything");
        if self.slots[number].link().is_unopened() {
            self.below.push_back(number);
        } else {
            self.push_on_chain(number);
        }
    }

    /// Puts one back that [`Idle::take_all`] took, in its order.
    pub fn keep(&mut self, number: usize) {
        if self.slots[number].link().is_unopened() {
            self.below.push_front(number);
        } else {
            self.push_on_chain(number);
        }
    }

    /// Takes an unopened one out, if there is any.
    pub fn pop_unopened(&mut self) -> Option<usize> {
        if let Some(slot) = self.below.pop_back() {
            return Some(slot);
        }
        let mut opened = Vec::new();
        while let Some(slot) = self.chain_top().filter(|_| !self.top.is_unopened()) {
            opened.push(slot.number());
            self.top = slot.below();
        }
        let unopened = self.pop();
        opened.into_iter().rev().for_each(|slot| self.push_on_chain(slot));
        unopened
    }

    /// From the next to be handed out to the last.
    pub fn top_down(&self) -> impl Iterator<Item = usize> + '_ {
        let mut next = self.chain_top();
        let chain = std::iter::from_fn(move || {
            let slot = next?;
            next = slot_of(slot.below());
            Some(slot.number())
        });
        chain.chain(self.below.iter().copied())
    }

    /// From the last to be handed out to the next.
    pub fn bottom_up(&self) -> Vec<usize> {
        let mut all: Vec<_> = self.top_down().collect();
        all.reverse();
        all
    }

    /// Takes all, as [`Idle::bottom_up`].
    pub fn take_all(&mut self) -> Vec<usize> {
        let all = self.bottom_up();
        self.below.clear();
        self.top = Link::NONE;
        all
    }

    fn push_on_chain(&mut self, number: usize) {
        let slot = self.slots[number];
        slot.set_below(self.top);
        self.top = slot.link();
    }

    fn chain_top(&self) -> Option<&'static FastSlot> {
        slot_of(self.top)
    }
}

fn slot_of(link: Link) -> Option<&'static FastSlot> {
    memory().slots.get(link.index()? as usize)
}
