//! What the handles of connections name.
//!
//! A handle is the index of a slot of the pool's fast path, and its generation there. So it needs no table:
//! whether it is live is in the slot's lease word, in memory that is never freed. A lease of which only the
//! handle is known is *bare*, and costs nothing more. The first call that uses the connection *holds* it: its
//! slot gets an entry here, with the [`ConnectionQueue`] of the lease. From then on the entry decides.

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::handles::{HandleKind, Lookup, number};
use super::tables::POOLS;
use crate::async_pool::{CallbackPool, ConnectionQueue};
use crate::error::Error;
use crate::os::clock;
use crate::os::fork;
use crate::os::locks::{StaticMutex, StaticMutexGuard};
use crate::os::permanent::Permanent;
use crate::os::threads;
use crate::pool::{FastSlot, Lease, ReadyStack, Released, inherited, memory};

/// By the indices of slots. An entry of another process is never locked: it may be so for ever.
static ENTRIES: Permanent<StaticMutex<Entry>> = Permanent::new();
/// By the indices of pools' handles: the stack of the pool, which is never freed.
static STACKS: Permanent<AtomicPtr<ReadyStack>> = Permanent::new();
/// Held while one of these grows, and during a fork.
static GROWING: StaticMutex<()> = StaticMutex::new(());

#[derive(Default)]
struct Entry {
    held: Option<Held>,
    /// The empty queue of the last lease: the next needs no allocation.
    spare: Option<Arc<ConnectionQueue>>,
}

struct Held {
    generation: u64,
    lease: LeaseEntry,
}

/// A lease that is held.
#[derive(Clone)]
pub struct LeaseEntry {
    /// The number of the pool's handle.
    pub pool: usize,
    pub queue: Arc<ConnectionQueue>,
}

impl LeaseEntry {
    /// The handle of the pool that it was acquired from.
    pub fn pool<P>(&self) -> *mut P {
        ptr::without_provenance_mut(self.pool)
    }
}

/// Why a handle names no lease.
#[derive(Debug)]
pub enum Missing {
    /// It was released, or never given out.
    Unknown,
    /// It is of another pool.
    OfAnotherPool,
    /// Something else, which this says.
    Other(Error),
}

/// Keeps others from growing a table; for a fork.
pub fn lock() -> StaticMutexGuard<'static, ()> {
    GROWING.lock()
}

fn made<T: Default>(table: &'static Permanent<T>, index: usize) -> &'static T {
    table.get(index).unwrap_or_else(|| {
        let _growing = GROWING.lock();
        table.make(index)
    })
}

fn entry(slot: &FastSlot) -> StaticMutexGuard<'static, Entry> {
    made(&ENTRIES, slot.index() as usize).lock()
}

/// Lets the fast path find the stack of this pool, in this process, by the pool's handle.
pub fn bind<P>(pool: *mut P, stack: &'static ReadyStack) {
    let Some((index, _)) = HandleKind::Pool.parts(pool) else { return };
    let (bound, its) = (made(&STACKS, index), ptr::from_ref(stack).cast_mut());
    if bound.load(Ordering::Relaxed) != its || stack.key() != number(pool) as u64 {
        stack.set_key(number(pool) as u64);
        bound.store(its, Ordering::Release);
    }
}

/// The stack of a pool of this process.
#[inline]
fn stack_of<P>(pool: *mut P) -> Option<&'static ReadyStack> {
    let (index, _) = HandleKind::Pool.parts(pool)?;
    let stack = STACKS.get(index)?.load(Ordering::Acquire);
    // SAFETY: it is NULL, or `bind` had a reference that is valid for ever.
    let stack: &'static ReadyStack = unsafe { stack.as_ref() }?;
    (stack.process() == fork::generation()).then_some(stack)
}

#[inline]
fn slot_of<H>(connection: *mut H) -> Option<(&'static FastSlot, u64)> {
    let (index, generation) = HandleKind::Connection.parts(connection)?;
    Some((memory().slots.get(index)?, generation as u64))
}

#[inline]
fn handle_of<H>(slot: &FastSlot, generation: u64) -> *mut H {
    HandleKind::Connection.handle(slot.index() as usize, generation as usize)
}

/// The fast path of every acquire: the handle of a connection that is ready, if there is one.
#[inline(always)]
pub fn acquire_ready<P, H>(pool: *mut P) -> Option<*mut H> {
    let stack = stack_of(pool)?;
    if threads::is_in_callback() {
        return None;
    }
    let is_its = || stack.key() == number(pool) as u64;
    let (slot, generation) = stack.acquire(&memory().slots, clock::recent_moment(), 0, is_its)?;
    Some(handle_of(slot, generation))
}

/// The same for a caller that may wait, and does so for a moment.
#[cold]
pub fn acquire_soon<P, H>(pool: *mut P) -> Option<*mut H> {
    let stack = stack_of(pool)?;
    if threads::is_in_callback() {
        return None;
    }
    let is_its = || stack.key() == number(pool) as u64;
    let (slot, generation) = stack.acquire_soon(&memory().slots, 0, is_its)?;
    Some(handle_of(slot, generation))
}

/// The fast path of a release of a connection that nobody has used. False if nothing was done.
#[inline]
pub fn release_ready<P, H>(pool: *mut P, connection: *mut H) -> bool {
    let Some((slot, generation)) = slot_of(connection) else { return false };
    let Some(stack) = memory().stacks.get(slot.stack() as usize) else { return false };
    if stack.process() != fork::generation() {
        return false;
    }
    // A slot is of this pool if its stack is.
    let is_its = || stack.key() == number(pool) as u64;
    let now = clock::recent_moment();
    match stack.release(slot, (generation, 0), None, None, now, is_its) {
        Released::Kept => true,
        Released::Told => {
            tell_ended(number(pool), slot, generation);
            true
        }
        Released::NotReady => false,
    }
}

/// A pool that is gone has cut the slot.
#[cold]
#[inline(never)]
fn tell_ended(pool: usize, slot: &'static FastSlot, generation: u64) {
    if let Some(pool) = live(pool) {
        pool.pool().release_ended(slot, generation);
    }
}

fn live(pool: usize) -> Option<Arc<CallbackPool>> {
    match POOLS.find(ptr::without_provenance_mut::<u8>(pool)) {
        Lookup::Live(pool) => Some(pool),
        _ => None,
    }
}

/// Gives a lease of the pool with this number its handle.
pub fn hand_out<H>(pool: usize, lease: Lease) -> *mut H {
    let (slot, generation) = lease.slot();
    // A forked child's fast path finds its own stack from its first acquire on.
    bind(ptr::without_provenance_mut::<u8>(pool), lease.stack());
    let mut entry = entry(slot);
    let queue = filled(&mut entry, lease);
    entry.held = Some(Held { generation, lease: LeaseEntry { pool, queue } });
    handle_of(slot, generation)
}

fn filled(entry: &mut Entry, lease: Lease) -> Arc<ConnectionQueue> {
    entry.spare.take().unwrap_or_default().filled(lease)
}

/// The lease that a handle names, held from now on.
///
/// # Errors
/// Why there is none.
pub fn find<H>(connection: *mut H) -> std::result::Result<LeaseEntry, Missing> {
    let (slot, generation, stack) = of_this_process(connection)?;
    let mut entry = entry(slot);
    if let Some(held) = entry.held.as_ref().filter(|held| held.generation == generation) {
        return Ok(held.lease.clone());
    }
    if slot.is_cut(generation) {
        return Err(Missing::Other(Error::closed()));
    }
    let pool = stack.key() as usize;
    let lease = live(pool).and_then(|pool| pool.pool().hold(slot, generation));
    let Some(lease) = lease else {
        let is_cut = slot.is_cut(generation);
        return Err(if is_cut { Missing::Other(Error::closed()) } else { Missing::Unknown });
    };
    let lease = LeaseEntry { pool, queue: filled(&mut entry, lease) };
    entry.held = Some(Held { generation, lease: lease.clone() });
    Ok(lease)
}

/// What a handle names, unless it is of a parent of this process.
fn of_this_process<H>(
    connection: *mut H,
) -> std::result::Result<(&'static FastSlot, u64, &'static ReadyStack), Missing> {
    let (slot, generation) = slot_of(connection).ok_or(Missing::Unknown)?;
    let stack = memory().stacks.get(slot.stack() as usize).ok_or(Missing::Unknown)?;
    if stack.process() == fork::generation() {
        Ok((slot, generation, stack))
    } else if slot.is_leased(generation) {
        Err(Missing::Other(inherited()))
    } else {
        Err(Missing::Unknown)
    }
}

/// What a release takes from a handle.
pub enum Taken {
    /// A lease that was held, for the caller to end.
    Lease(LeaseEntry),
    /// One that was bare, and has ended.
    Bare,
}

/// Takes a lease of this pool from its handle, which is stale from then on. Of several that try, one
/// gets it.
///
/// # Errors
/// Why there is none.
pub fn take<H>(pool: usize, connection: *mut H) -> std::result::Result<Taken, Missing> {
    loop {
        let (slot, generation, stack) = of_this_process(connection)?;
        let mut entry = entry(slot);
        if let Some(held) = entry.held.take_if(|held| held.generation == generation) {
            if held.lease.pool != pool {
                entry.held = Some(held);
                return Err(Missing::OfAnotherPool);
            }
            return Ok(Taken::Lease(held.lease));
        }
        drop(entry);
        if slot.is_cut(generation) {
            if slot.end_cut(generation) {
                memory().give_slot(slot);
            }
            return Err(Missing::Other(Error::closed()));
        }
        if !slot.is_bare(generation) {
            return Err(Missing::Unknown);
        }
        if stack.key() as usize != pool {
            return Err(Missing::OfAnotherPool);
        }
        // If it fails, the lease is over, or held by now.
        if live(pool).is_some_and(|pool| pool.pool().release_slow(slot, generation)) {
            return Ok(Taken::Bare);
        }
        if live(pool).is_none() {
            return Err(Missing::Other(Error::closed()));
        }
    }
}

/// Keeps an empty queue for the next lease of its slot.
pub fn keep_spare(slot: &FastSlot, spare: Arc<ConnectionQueue>) {
    entry(slot).spare = Some(spare);
}

/// The number of the pool that a connection is of.
pub fn pool_of<H>(connection: *mut H) -> Option<usize> {
    let (slot, generation, stack) = of_this_process(connection).ok()?;
    let entry = entry(slot);
    match entry.held.as_ref().filter(|held| held.generation == generation) {
        Some(held) => Some(held.lease.pool),
        None => slot.is_bare(generation).then(|| stack.key() as usize),
    }
}
