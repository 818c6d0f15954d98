//! Handles: checked numbers that look like pointers to C and are never followed.
//!
//! A handle holds its kind, the index of an entry in a table, and the entry's generation, which
//! is raised each time a value leaves it. So a handle that is NULL, made up, stale or of another
//! kind is recognised, whatever happened to the value that it once named. An entry whose
//! generations are used up is not used again.
//!
//! A table is sharded: each shard has a lock of its own, and values are spread over the shards, so
//! that threads seldom wait for each other.

use std::ptr;
use std::sync::Arc;

use super::rw_lock::RwLock;
use crate::os::random;
use crate::pool::{GENERATION_BITS, INDEX_BITS};

/// What is left of a pointer beside the index and the generation.
const KIND_BITS: u32 = usize::BITS - GENERATION_BITS - INDEX_BITS;
const LAST_GENERATION: usize = (1 << GENERATION_BITS) - 1;

/// The lowest bits of an index say which shard it is in.
const SHARD_BITS: u32 = 4;
const SHARDS: usize = 1 << SHARD_BITS;
const SHARD_CAPACITY: usize = 1 << (INDEX_BITS - SHARD_BITS);

/// What a handle names. The numbers are odd, so that no handle is an aligned address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum HandleKind {
    Pool = 1,
    Connection = 3,
    Result = 5,
    Ticket = 7,
    CompletionQueue = 9,
}

impl HandleKind {
    /// The handle of this kind for the place with this index.
    #[inline]
    pub fn handle<H>(self, index: usize, generation: usize) -> *mut H {
        let number = (generation << INDEX_BITS | index) << KIND_BITS | self as usize;
        ptr::without_provenance_mut(number)
    }

    /// The index and the generation of a handle; `None` if it is of another kind.
    #[inline]
    pub fn parts<H>(self, handle: *mut H) -> Option<(usize, usize)> {
        let number = number(handle);
        let is_its = number & ((1 << KIND_BITS) - 1) == self as usize;
        let index = number >> KIND_BITS & ((1 << INDEX_BITS) - 1);
        is_its.then_some((index, number >> (KIND_BITS + INDEX_BITS)))
    }
}

/// What a table knows of a handle.
#[derive(Debug, PartialEq, Eq)]
pub enum Lookup<T> {
    /// The value that it names.
    Live(T),
    /// It named a value that was removed.
    Stale,
    /// It was never given out, or is of another kind.
    Unknown,
}

/// The values of one kind that handles name.
pub struct HandleTable<T> {
    kind: HandleKind,
    shards: [Shard<T>; SHARDS],
}

/// Each on cache lines of its own.
#[repr(align(128))]
struct Shard<T>(RwLock<Entries<T>>);

struct Entries<T> {
    all: Vec<Entry<T>>,
    /// The positions in `all` of those that have no value and can be used again.
    free: Vec<usize>,
}

struct Entry<T> {
    first_generation: usize,
    generation: usize,
    value: Option<T>,
}

/// A handle, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Parts {
    shard: usize,
    /// Where the entry is in its shard.
    position: usize,
    generation: usize,
}

/// A value that a table can hold.
pub trait Sharded: Clone {
    /// Where it is in memory. Values that are at one address one after the other, as those of one
    /// thread often are, go to the same shard.
    fn address(&self) -> usize;

    fn shard(&self) -> usize {
        // Addresses differ in the same few bits; multiplied by the golden ratio, in the highest.
        const SPREAD: usize = 0x9e37_79b9_7f4a_7c15_u64 as usize;
        self.address().wrapping_mul(SPREAD) >> (usize::BITS - SHARD_BITS)
    }
}

impl<A> Sharded for Arc<A> {
    fn address(&self) -> usize {
        Arc::as_ptr(self).addr()
    }
}

/// Generations begin at random, so that no small number is ever a handle.
fn first_generation() -> usize {
    let (least, end) = (1 << (GENERATION_BITS / 4), 1 << (GENERATION_BITS / 2));
    least + random::number() as usize % (end - least)
}

/// The number that a handle is.
pub fn number<H>(handle: *mut H) -> usize {
    handle.addr()
}

impl<T: Sharded> HandleTable<T> {
    pub const fn new(kind: HandleKind) -> Self {
        let shards =
            [const { Shard(RwLock::new(Entries { all: Vec::new(), free: Vec::new() })) }; SHARDS];
        HandleTable { kind, shards }
    }

    /// Locks the table against other threads as long as the guards live; for a fork.
    pub fn lock(&self) -> [impl Drop + '_; SHARDS] {
        self.shards.each_ref().map(|shard| shard.0.write())
    }

    /// Gives the value a handle; `None` if the table is full.
    pub fn insert<H>(&self, value: T) -> Option<*mut H> {
        let own = value.shard();
        let mut refused = self.insert_into(own, value);
        for shard in (own + 1..).take(SHARDS - 1) {
            let Err(value) = refused else { break };
            refused = self.insert_into(shard % SHARDS, value);
        }
        refused.ok()
    }

    /// Gives the value back if the shard is full.
    fn insert_into<H>(&self, shard: usize, value: T) -> Result<*mut H, T> {
        let mut entries = self.shards[shard].0.write();
        let position = match entries.free.pop() {
            Some(position) => position,
            None if entries.all.len() < SHARD_CAPACITY => {
                let generation = first_generation();
                entries.all.push(Entry { first_generation: generation, generation, value: None });
                entries.all.len() - 1
            }
            None => return Err(value),
        };
        let entry = &mut entries.all[position];
        entry.value = Some(value);
        Ok(self.handle(Parts { shard, position, generation: entry.generation }))
    }

    /// What the handle names, in a copy.
    pub fn find<H>(&self, handle: *mut H) -> Lookup<T> {
        let Some(Parts { shard, position, generation }) = self.parts(handle) else {
            return Lookup::Unknown;
        };
        match self.shards[shard].0.read().all.get(position) {
            Some(entry) if entry.generation == generation => match &entry.value {
                Some(value) => Lookup::Live(value.clone()),
                None if generation == LAST_GENERATION => Lookup::Stale,
                None => Lookup::Unknown,
            },
            Some(entry) if (entry.first_generation..entry.generation).contains(&generation) => {
                Lookup::Stale
            }
            _ => Lookup::Unknown,
        }
    }

    /// Uses the value where it is, for when a copy would cost more than the use; `None` if the
    /// handle names none. `use_value` must not insert into this table or remove from it.
    pub fn with<H, R>(&self, handle: *mut H, use_value: impl FnOnce(&T) -> R) -> Option<R> {
        let Parts { shard, position, generation } = self.parts(handle)?;
        let entries = self.shards[shard].0.read();
        let entry = entries.all.get(position).filter(|entry| entry.generation == generation)?;
        entry.value.as_ref().map(use_value)
    }

    /// Removes the value if `is_meant` agrees; its handle is stale from then on. If several threads
    /// try, one of them gets it.
    pub fn remove<H>(&self, handle: *mut H, is_meant: impl FnOnce(&T) -> bool) -> Option<T> {
        let Parts { shard, position, generation } = self.parts(handle)?;
        let mut entries = self.shards[shard].0.write();
        let entry = entries.all.get_mut(position)?;
        if entry.generation != generation || !is_meant(entry.value.as_ref()?) {
            return None;
        }
        let value = entry.value.take();
        if generation < LAST_GENERATION {
            entry.generation += 1;
            entries.free.push(position);
        }
        value
    }

    fn handle<H>(&self, Parts { shard, position, generation }: Parts) -> *mut H {
        self.kind.handle(position << SHARD_BITS | shard, generation)
    }

    /// `None` if the handle is of another kind.
    fn parts<H>(&self, handle: *mut H) -> Option<Parts> {
        let (index, generation) = self.kind.parts(handle)?;
        Some(Parts { shard: index % SHARDS, position: index >> SHARD_BITS, generation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Sharded for &'static str {
        fn address(&self) -> usize {
            0
        }
    }

    type Handle = *mut u8;

    fn table() -> HandleTable<&'static str> {
        HandleTable::new(HandleKind::Pool)
    }

    fn shard_of<T: Sharded>(table: &HandleTable<T>, handle: Handle) -> &RwLock<Entries<T>> {
        &table.shards[table.parts(handle).unwrap().shard].0
    }

    #[test]
    fn a_handle_is_live_then_stale_and_never_comes_back() {
        let table = table();
        let first: Handle = table.insert("first").unwrap();
        assert_eq!(table.find(first), Lookup::Live("first"));
        assert!(table.remove(first, |_| true).is_some());
        assert!(table.remove(first, |_| true).is_none());
        assert_eq!(table.find(first), Lookup::Stale);
        let second: Handle = table.insert("second").unwrap();
        assert_ne!(first, second);
        assert_eq!(table.find(first), Lookup::Stale);
        assert_eq!(table.find(second), Lookup::Live("second"));
    }

    #[test]
    fn what_was_never_given_out_is_unknown() {
        let table = table();
        let live: Handle = table.insert("live").unwrap();
        let next_generation = number(live) + (1 << (KIND_BITS + INDEX_BITS));
        let others = [1 << 20 | 1, 0xdead_beef, usize::MAX, number(live) + 1, next_generation];
        for made_up in (0..4096).chain(others) {
            let handle: Handle = ptr::without_provenance_mut(made_up);
            assert_eq!(table.find(handle), Lookup::Unknown, "{made_up:x}");
            assert!(table.remove(handle, |_| true).is_none());
        }
        let other: HandleTable<&'static str> = HandleTable::new(HandleKind::Result);
        assert_eq!(other.find(live), Lookup::Unknown);
    }

    #[test]
    fn an_entry_whose_generations_are_used_up_is_not_used_again() {
        let table = table();
        let first: Handle = table.insert("first").unwrap();
        table.remove(first, |_| true);
        shard_of(&table, first).write().all[0].generation = LAST_GENERATION;
        let last: Handle = table.insert("last").unwrap();
        table.remove(last, |_| true);
        assert_eq!(table.find(last), Lookup::Stale);
        let elsewhere: Handle = table.insert("elsewhere").unwrap();
        assert_eq!(table.parts(elsewhere).unwrap().position, 1);
    }

    #[test]
    fn values_of_different_shards_do_not_wait_for_each_other() {
        let table = HandleTable::new(HandleKind::Pool);
        let values: Vec<_> = (0..100).map(Arc::new).collect();
        let first: Handle = table.insert(values[0].clone()).unwrap();
        let locked = shard_of(&table, first).write();
        let other = values.iter().find(|value| value.shard() != values[0].shard()).unwrap();
        let second: Handle = table.insert(other.clone()).unwrap();
        assert_eq!(table.find(second), Lookup::Live(other.clone()));
        drop(locked);
        assert_eq!(table.find(first), Lookup::Live(values[0].clone()));
    }

    #[test]
    fn a_value_whose_shard_is_full_goes_to_another() {
        let table = table();
        let first: Handle = table.insert("first").unwrap();
        let full = shard_of(&table, first);
        for _ in 1..SHARD_CAPACITY {
            full.write().all.push(Entry { first_generation: 1, generation: 1, value: None });
        }
        let elsewhere: Handle = table.insert("elsewhere").unwrap();
        assert!(!ptr::eq(shard_of(&table, elsewhere), full));
        assert_eq!(table.find(elsewhere), Lookup::Live("elsewhere"));
    }
}
