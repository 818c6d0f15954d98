//! The stack of one pool's idle connections, as far as they need nothing but to be handed out.

use super::slot::FastSlot;
use super::word::{Flags, Head, LeaseWord, Link};
use crate::os::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::os::atomic::{AtomicU64, OwnedU64};
use crate::os::clock::Moment;
use crate::os::permanent::Permanent;

/// The stack of one pool.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct ReadyStack {
    head: AtomicU64,
    index: OwnedU64,
    /// The process that its pool is of; see `os::fork`.
    process: OwnedU64,
    /// By what its user knows the pool; 0 by nothing.
    key: OwnedU64,
    /// Of short waits for it, and the tick of the last one; see `brief_wait`.
    luck: OwnedU64,
    tried_at: OwnedU64,
    /// How long a connection may be idle before it is looked at, in nanoseconds.
    validate_after: OwnedU64,
}

/// How a connection comes back that was used.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    /// When its socket was opened.
    pub opened_at: Moment,
    /// When the server closes it.
    pub keep_alive_until: Option<Moment>,
    pub heard_at: Moment,
}

/// What became of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// The connection is there for the next caller.
    Kept,
    /// The lease is over; the machine must be told how the connection comes back.
    Told,
    /// Nothing was done.
    NotReady,
}

impl ReadyStack {
    /// A pool takes it. The machine has the slots.
    pub fn take(&self, index: u32, process: u64, validate_after: u64) {
        self.index.store(index.into(), Relaxed);
        self.process.store(process, Relaxed);
        self.key.store(0, Relaxed);
        self.validate_after.store(validate_after, Relaxed);
        self.draw();
    }

    pub fn index(&self) -> u32 {
        self.index.load(Relaxed) as u32
    }

    /// Nothing is in it, maybe because the machine has the slots.
    pub fn is_empty(&self) -> bool {
        Head(self.head.load(Relaxed)).top() == Link::NONE
    }

    pub fn luck(&self) -> u64 {
        self.luck.load(Relaxed)
    }

    /// Counts of several threads may be lost, which does no harm.
    pub fn note_luck(&self, change: impl FnOnce(u64) -> u64) {
        self.luck.store(change(self.luck()), Relaxed);
    }

    /// When it was tried last; that is `now` from now on.
    pub fn tried_at(&self, now: Moment) -> Moment {
        let before = self.tried_at.load(Relaxed);
        self.tried_at.store(now, Relaxed);
        before
    }

    /// By what its user knows the pool.
    #[inline]
    pub fn key(&self) -> u64 {
        self.key.load(Relaxed)
    }

    pub fn set_key(&self, key: u64) {
        self.key.store(key, Relaxed);
    }

    #[inline]
    pub fn process(&self) -> u64 {
        self.process.load(Relaxed)
    }

    pub fn validate_after(&self) -> u64 {
        self.validate_after.load(Relaxed)
    }

    /// Hands out the connection that came back last. `None` if there is none, or it needs more than
    /// that. `holder` is `HELD` if a [`Lease`](crate::pool::Lease) will end the lease, otherwise 0.
    /// `is_meant` says whether this is the pool's stack still.
    #[inline]
    pub fn acquire<'a>(
        &self,
        slots: &'a Permanent<FastSlot>,
        now: Moment,
        holder: u64,
        is_meant: impl Fn() -> bool,
    ) -> Option<(&'a FastSlot, u64)> {
        let mut head = Head(self.head.load(Acquire));
        loop {
            let slot = slots.get(head.top().index()? as usize)?;
            // While the head is this one, nobody changes either.
            let (word, below) = (slot.word(), slot.below());
            if now >= slot.ready_until.load(Relaxed) || !is_meant() {
                return None;
            }
            let next = head.next(below, head.flags());
            match self.head.compare_exchange(head.0, next.0, AcqRel, Acquire) {
                Err(other) => head = Head(other),
                Ok(_) => {
                    slot.leased_at.store(now, Relaxed);
                    return slot.lease(word, holder).then(|| {
                        slot.count_acquire();
                        (slot, word.generation())
                    });
                }
            }
        }
    }

    /// Ends a lease, if nothing follows from that but that the connection is kept. `used_since` is
    /// when its use began, by the clock of `now`; `used` how it comes back if anybody used it.
    #[inline]
    pub fn release(
        &self,
        slot: &FastSlot,
        (generation, holder): (u64, u64),
        used_since: Option<Moment>,
        used: Option<&Used>,
        now: Moment,
        is_meant: impl Fn() -> bool,
    ) -> Released {
        let word = slot.word();
        let is_unopened = word.has(LeaseWord::UNOPENED);
        let bits = word.0 & LeaseWord::UNOPENED | LeaseWord::LEASED | holder;
        if word != LeaseWord::new(generation, bits) || word.is_last() {
            return Released::NotReady;
        }
        let usable_until = slot.usable_until.load(Relaxed);
        if now >= usable_until || used.is_some_and(|used| !used.is_plain(slot, is_unopened)) {
            return Released::NotReady;
        }
        let link = Link::to(slot.index(), is_unopened);
        let head = Head(self.head.load(Acquire));
        if !head.takes(link) || !is_meant() || !slot.change(word, word.ended_before_last()) {
            return Released::NotReady;
        }
        let used_since = used_since.unwrap_or_else(|| slot.leased_at.load(Relaxed));
        slot.count_use(now.saturating_sub(used_since));
        if let Some(used) = used {
            used.note_in(slot);
        }
        slot.note_idle(now, self.validate_after(), is_unopened);
        if self.push(slot, link, head, is_meant) { Released::Kept } else { Released::Told }
    }

    /// Pushes a slot that its caller has onto `head`, which takes it, or what has followed that. False
    /// if the machine must have it.
    #[inline]
    fn push(
        &self,
        slot: &FastSlot,
        link: Link,
        mut head: Head,
        is_meant: impl Fn() -> bool,
    ) -> bool {
        loop {
            slot.set_below(head.top());
            let next = head.next(link, head.flags());
            match self.head.compare_exchange(head.0, next.0, AcqRel, Acquire) {
                Ok(_) => return true,
                Err(other) => head = Head(other),
            }
            // What was marked before this head was published is seen here; after it, the head is another.
            if !head.takes(link) || slot.word().has(LeaseWord::MARKED) || !is_meant() {
                return false;
            }
        }
    }

    /// The machine takes all slots; from then on nothing goes the fast way. Returns the top of the
    /// chain, which it has to itself now.
    pub fn draw(&self) -> Link {
        let mut head = Head(self.head.load(Acquire));
        loop {
            let next = head.next(Link::NONE, Flags::DRAWN);
            match self.head.compare_exchange(head.0, next.0, AcqRel, Acquire) {
                Ok(_) => return head.top(),
                Err(other) => head = Head(other),
            }
        }
    }

    /// The machine gives the slots back. Nobody else writes while it has them.
    pub fn publish(&self, top: Link, flags: Flags) {
        let head = Head(self.head.load(Relaxed));
        self.head.store(head.next(top, flags).0, Release);
    }
}

impl Used {
    fn usable_until(&self, slot: &FastSlot) -> Moment {
        let retire_at = slot.retire_at.load(Relaxed);
        self.keep_alive_until.map_or(retire_at, |until| until.min(retire_at))
    }

    /// Whether the machine learns nothing from it but when the server was heard from, and that the
    /// connection may be kept as long as before, or longer.
    fn is_plain(&self, slot: &FastSlot, is_unopened: bool) -> bool {
        !is_unopened
            && self.opened_at == slot.opened_at.load(Relaxed)
            && self.usable_until(slot) >= slot.usable_until.load(Relaxed)
    }

    fn note_in(&self, slot: &FastSlot) {
        slot.usable_until.store(self.usable_until(slot), Relaxed);
        slot.heard_at.store(self.heard_at, Relaxed);
    }
}
