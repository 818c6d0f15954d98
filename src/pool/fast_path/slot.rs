//! What of a slot threads share without the pool's lock.

use std::time::Duration;

use super::super::histogram::{Histogram, SlotCounts, add_alone};
use super::word::{LAST_GENERATION, LeaseWord, Link};
use crate::os::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::os::atomic::{AtomicU64, OwnedU64};
use crate::os::clock::{ALWAYS, Moment, NEVER};

/// A slot's part of the fast path; on cache lines of its own. All but the lease word is written by
/// the one who has the slot at that time: the stack, the holder of the lease, or the machine.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct FastSlot {
    lease: AtomicU64,
    /// The slot below it in the stack, as a [`Link`].
    below: OwnedU64,
    /// Until when the fast path may hand it out.
    pub ready_until: OwnedU64,
    /// When it must not be handed out any more, or kept.
    pub usable_until: OwnedU64,
    /// The part of that which is due to its age.
    pub retire_at: OwnedU64,
    pub idle_since: OwnedU64,
    pub leased_at: OwnedU64,
    /// When its socket was opened; `NEVER` if the machine knows of none.
    pub opened_at: OwnedU64,
    /// When the server was last heard from on it, as the last leases told.
    pub heard_at: OwnedU64,
    /// Its own index, and that of its pool's stack.
    index: OwnedU64,
    stack: OwnedU64,
    /// Its number in its pool.
    number: OwnedU64,
    acquires: OwnedU64,
    usage: Histogram,
}

impl FastSlot {
    /// A pool takes it, and nothing has happened on it yet.
    pub fn take(&self, index: u32, stack: u32, number: usize, first_generation: u64) {
        for (place, value) in [
            (&self.index, u64::from(index)),
            (&self.stack, u64::from(stack)),
            (&self.number, number as u64),
            (&self.acquires, 0),
        ] {
            place.store(value, Relaxed);
        }
        self.usage.clear();
        self.clear_times();
        let generation = match self.word().generation() {
            0 => first_generation,
            generation => generation,
        };
        self.lease.store(LeaseWord::new(generation, 0).0, Release);
    }

    /// Nothing is known of the connection that it holds.
    pub fn clear_times(&self) {
        for time in
            [&self.ready_until, &self.idle_since, &self.leased_at, &self.opened_at, &self.heard_at]
        {
            time.store(NEVER, Relaxed);
        }
        self.usable_until.store(ALWAYS, Relaxed);
        self.retire_at.store(ALWAYS, Relaxed);
    }

    /// Takes the times of another, whose place it takes.
    pub fn copy_times(&self, other: &FastSlot) {
        for (to, from) in [
            (&self.ready_until, &other.ready_until),
            (&self.usable_until, &other.usable_until),
            (&self.retire_at, &other.retire_at),
            (&self.idle_since, &other.idle_since),
            (&self.leased_at, &other.leased_at),
            (&self.opened_at, &other.opened_at),
            (&self.heard_at, &other.heard_at),
        ] {
            to.store(from.load(Relaxed), Relaxed);
        }
    }

    #[inline]
    pub fn index(&self) -> u32 {
        self.index.load(Relaxed) as u32
    }

    #[inline]
    pub fn stack(&self) -> u32 {
        self.stack.load(Relaxed) as u32
    }

    #[inline]
    pub fn number(&self) -> usize {
        self.number.load(Relaxed) as usize
    }

    #[inline]
    pub fn word(&self) -> LeaseWord {
        LeaseWord(self.lease.load(Acquire))
    }

    #[inline]
    pub fn below(&self) -> Link {
        Link::from_bits(self.below.load(Relaxed))
    }

    #[inline]
    pub fn set_below(&self, link: Link) {
        self.below.store(link.bits(), Relaxed);
    }

    /// What links to it.
    pub fn link(&self) -> Link {
        Link::to(self.index(), self.word().has(LeaseWord::UNOPENED))
    }

    /// The word is `then`, if it was `now` still.
    #[inline]
    pub fn change(&self, now: LeaseWord, then: LeaseWord) -> bool {
        self.lease.compare_exchange(now.0, then.0, AcqRel, Relaxed).is_ok()
    }

    /// The one who popped it leases it. False if the pool closes, and has cut what was on its way.
    #[inline]
    pub fn lease(&self, idle: LeaseWord, holder: u64) -> bool {
        let mut word = idle;
        loop {
            if self.change(word, word.with(LeaseWord::LEASED | holder)) {
                return true;
            }
            // The machine may have marked it.
            word = self.word();
            if word != idle.with(LeaseWord::MARKED) {
                return false;
            }
        }
    }

    /// A lease of which only a handle is known gets a holder, who alone ends it from then on. False if
    /// it is over, or has one.
    pub fn hold(&self, generation: u64) -> bool {
        loop {
            let word = self.word();
            let kept = word.0 & (LeaseWord::MARKED | LeaseWord::UNOPENED);
            if word != LeaseWord::new(generation, kept | LeaseWord::LEASED) {
                return false;
            }
            if self.change(word, word.with(LeaseWord::HELD)) {
                return true;
            }
        }
    }

    /// Ends a lease, whatever the machine marked meanwhile; `holder` is `HELD` or 0, as it began. Of
    /// several that try, one succeeds.
    pub fn end_lease(&self, generation: u64, holder: u64) -> bool {
        loop {
            let word = self.word();
            let kept = word.0 & (LeaseWord::MARKED | LeaseWord::UNOPENED);
            if word != LeaseWord::new(generation, kept | LeaseWord::LEASED | holder) {
                return false;
            }
            if self.change(word, word.ended()) {
                return true;
            }
        }
    }

    /// The machine must hear of the next release.
    pub fn mark(&self) {
        self.lease.fetch_or(LeaseWord::MARKED, AcqRel);
    }

    /// The machine has the slot, and the next lease is to be released like this.
    pub fn set_release(&self, is_marked: bool, is_unopened: bool) {
        let generation = self.word().generation();
        let marked = if is_marked { LeaseWord::MARKED } else { 0 };
        let unopened = if is_unopened { LeaseWord::UNOPENED } else { 0 };
        let kept = self.word().0 & LeaseWord::SPENT;
        self.lease.store(LeaseWord::new(generation, kept | marked | unopened).0, Release);
    }

    /// The machine hands it out. Returns the generation of the lease.
    pub fn grant(&self, now: Moment) -> u64 {
        self.leased_at.store(now, Relaxed);
        let word = self.word().with(LeaseWord::LEASED | LeaseWord::HELD);
        self.lease.store(word.0, Release);
        word.generation()
    }

    /// The pool takes it away from the one who has it, or is about to. Says whether the slot may be used
    /// again: nobody has a handle of the lease, and nobody is just taking or releasing it.
    pub fn cut(&self) -> bool {
        loop {
            let word = self.word();
            let is_bare = word.has(LeaseWord::LEASED) && !word.has(LeaseWord::HELD);
            let cut = if is_bare { word.with(LeaseWord::CUT) } else { word.ended() };
            if self.change(word, cut) {
                return word.has(LeaseWord::LEASED) && !is_bare;
            }
        }
    }

    /// Whether this lease was cut while only its handle was known.
    pub fn is_cut(&self, generation: u64) -> bool {
        let word = self.word();
        word.generation() == generation && word.has(LeaseWord::LEASED | LeaseWord::CUT)
    }

    /// Ends a lease that was cut; false if another thread did.
    pub fn end_cut(&self, generation: u64) -> bool {
        let word = self.word();
        self.is_cut(generation) && word.has(LeaseWord::CUT) && self.change(word, word.ended())
    }

    /// Whether only a handle is known of this lease, which is not over.
    pub fn is_bare(&self, generation: u64) -> bool {
        let word = self.word();
        self.is_leased(generation) && word.0 & (LeaseWord::HELD | LeaseWord::CUT) == 0
    }

    /// Whether this lease is not over.
    pub fn is_leased(&self, generation: u64) -> bool {
        let word = self.word();
        word.generation() == generation && word.has(LeaseWord::LEASED)
    }

    /// The next lease but one is its last.
    #[cfg(test)]
    pub fn use_up_generations(&self) {
        let word = self.word();
        let bits = word.0 & (LeaseWord::MARKED | LeaseWord::UNOPENED);
        assert!(self.change(word, LeaseWord::new(LAST_GENERATION - 1, bits)));
    }

    /// Whether its generations are used up.
    pub fn is_spent(&self) -> bool {
        self.word().generation() == LAST_GENERATION
    }

    /// Notes the time of its return, and so until when it is ready.
    #[inline]
    pub fn note_idle(&self, now: Moment, validate_after: u64, is_unopened: bool) {
        self.idle_since.store(now, Relaxed);
        let ready_until = match validate_after {
            _ if is_unopened => ALWAYS,
            // Even if the clock of who looks is behind.
            0 => NEVER,
            after => now.saturating_add(after).min(self.usable_until.load(Relaxed)),
        };
        self.ready_until.store(ready_until, Relaxed);
    }

    #[inline]
    pub fn count_acquire(&self) {
        add_alone(&self.acquires, 1);
    }

    /// Counts a lease that was out for so many nanoseconds.
    #[inline]
    pub fn count_use(&self, nanoseconds: u64) {
        if nanoseconds == 0 {
            self.usage.record_none_alone();
        } else {
            self.usage.record_alone(Duration::from_nanos(nanoseconds));
        }
    }

    /// Counts the lease that ended now.
    pub fn count_use_until(&self, now: Moment) {
        self.count_use(now.saturating_sub(self.leased_at.load(Relaxed)));
    }

    /// Adds what it has counted.
    pub fn add_counts_to(&self, counts: &mut SlotCounts) {
        counts.acquires += self.acquires.load(Relaxed);
        self.usage.add_to(&mut counts.usage);
    }
}
