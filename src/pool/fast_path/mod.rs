//! The fast path: an acquire and a release from which nothing else follows, without a lock.
//!
//! # The protocol
//!
//! A pool's idle connections are a stack, linked through their slots, whose head is one atomic word: the
//! top, what does not go the fast way ([`word::Flags`]), and a tag that is another after each change. The
//! machine's lock guards everything else of the pool. Who has the slots at a time:
//!
//! - *published*: the head names the top. To acquire is to pop a slot, to release is to push one: a
//!   compare-and-swap of the head each. Nobody takes the lock.
//! - *drawn*: the head says `DRAWN` and names no slot. Every acquire and release takes the lock and asks
//!   the machine, which has the chain to itself.
//!
//! **The machine draws before it decides.** Each of its events begins with [`ReadyStack::draw`]. At its end
//! it publishes the chain again, unless something is going on of which a caller must hear: waiters, an
//! outage, a close, more connections than the maximum. So a waiter is queued only while the head is drawn,
//! and a thread that releases meanwhile finds it drawn, takes the lock, and finds the waiter. Where just the
//! next return of a connection matters, as when it sets an alarm, the head says so by a flag.
//!
//! **A slot's lease word decides who ends a lease.** It holds the generation of the slot, and whether
//! it is leased. A release swaps (generation, leased) for (generation + 1, idle). So of two releases of
//! one lease one loses, as does every handle that is stale or made up, whichever thread it comes from.
//! Only the winner touches the slot then. If the head has been drawn meanwhile, it goes to the machine
//! with a lease that is over already. `MARKED` makes a release go there in any case: the machine marks each
//! slot in which it changes something while somebody has it. A push looks at the mark again for each
//! head that it tries: the head may have been drawn and published since the lease ended.
//!
//! **A slot is idle if it is in the chain**, and only then. Between its pop and the change of its lease
//! word, or between that and its push, a slot counts as used: the thread that has it is on the way. A pool
//! that closes cuts such slots too: they lose the change that they were about to make.
//!
//! **Memory is never freed, but used again** (`memory`). Slots and stacks stay what they are, tags and
//! generations go on, so a thread may look at a stack that is not its pool's any more. `is_meant` asks, after
//! the head was read, whether it still is; if the head is the same at the swap, it is.
//!
//! **A caller that may wait** lets other threads run for a moment first (`brief_wait`).
//!
//! **Statistics and times** of a slot are written by the thread that has it, without atomic additions, and are
//! summed when they are read.
//!
//! `tests/loom` checks the protocol with weak memory, the pool's model and simulation the whole.

// Some of it is for the C ABI alone.

mod brief_wait;
mod memory;
mod slot;
mod stack;
mod word;

pub use memory::{hold_during_fork, memory};
pub use slot::FastSlot;
pub use stack::{ReadyStack, Released, Used};
pub use word::{Flags, GENERATION_BITS, INDEX_BITS, LeaseWord, Link};
