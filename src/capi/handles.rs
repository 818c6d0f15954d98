//! Handles: numbers that look like pointers to C and are never followed.
//!
//! A handle says its kind, a place in a table, and the how-many-eth guest of that place it is.
//! So one that is NULL, made up, stale or of another kind is recognised, whatever happened to
//! the thing it once named. A place whose guests can no longer be numbered is given up.
//!
//! A table has several parts with a lock each, and things are spread over them, so that threads
//! seldom wait for each other here.

use std::ptr;
use std::sync::Arc;

use crate::os::locks::RwLock;
use crate::os::random;

const KIND_BITS: u32 = 4;
const PLACE_BITS: u32 = if usize::BITS >= 64 { 24 } else { 14 };
const GUEST_BITS: u32 = usize::BITS - KIND_BITS - PLACE_BITS;
const LAST_GUEST: usize = (1 << GUEST_BITS) - 1;

/// The part of the table is in a place's lowest bits.
const PART_BITS: u32 = 4;
const PARTS: usize = 1 << PART_BITS;

/// What a handle names. The numbers are odd, so that a handle is no aligned address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Kind {
    Pool = 1,
    Connection = 3,
    Result = 5,
    Ticket = 7,
    CompletionQueue = 9,
}

/// What a table knows of a handle.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<T> {
    /// It names this.
    Live(T),
    /// It named something that is gone.
    Gone,
    /// It was never given out, or is of another kind.
    Unknown,
}

/// The things of one kind that handles name.
pub struct Table<T> {
    kind: Kind,
    parts: [Part<T>; PARTS],
}

/// Each on cache lines of its own.
#[repr(align(128))]
struct Part<T>(RwLock<Places<T>>);

struct Places<T> {
    all: Vec<Place<T>>,
    free: Vec<usize>,
}

struct Place<T> {
    first_guest: usize,
    guest: usize,
    thing: Option<T>,
}

/// What a table can keep.
pub trait Kept: Clone {
    /// Where it is. Things that are at one address one after the other, as those of one thread
    /// often are, go to one part of the table.
    fn address(&self) -> usize;

    fn part(&self) -> usize {
        // By the golden ratio, since addresses differ in the same few bits.
        const SPREAD: usize = 0x9e37_79b9_7f4a_7c15_u64 as usize;
        self.address().wrapping_mul(SPREAD) >> (usize::BITS - PART_BITS)
    }
}

impl<A> Kept for Arc<A> {
    fn address(&self) -> usize {
        Arc::as_ptr(self).addr()
    }
}

/// The numbers of a place's guests begin at random, so that no small number is ever a handle.
fn first_guest() -> usize {
    let (least, end) = (1 << (GUEST_BITS / 4), 1 << (GUEST_BITS / 2));
    least + random::number() as usize % (end - least)
}

/// The number of the handle that points nowhere as `pointer`.
pub fn number<H>(pointer: *mut H) -> usize {
    pointer.addr()
}

impl<T: Kept> Table<T> {
    pub const fn new(kind: Kind) -> Self {
        let parts =
            [const { Part(RwLock::new(Places { all: Vec::new(), free: Vec::new() })) }; PARTS];
        Table { kind, parts }
    }

    /// Keeps other threads from changing the table as long as the result lives; for a fork.
    pub fn hold(&self) -> [impl Drop + '_; PARTS] {
        self.parts.each_ref().map(|part| part.0.write())
    }

    /// Gives the thing a handle; `None` if there are more things than handles can name.
    pub fn insert<H>(&self, thing: T) -> Option<*mut H> {
        let own = thing.part();
        let mut full = self.insert_into(own, thing);
        for part in (own + 1..).take(PARTS - 1) {
            let Err(thing) = full else { break };
            full = self.insert_into(part % PARTS, thing);
        }
        full.ok()
    }

    /// Gives it back if there is no room.
    fn insert_into<H>(&self, part: usize, thing: T) -> Result<*mut H, T> {
        let mut places = self.parts[part].0.write();
        let index = match places.free.pop() {
            Some(index) => index,
            None if places.all.len() < 1 << (PLACE_BITS - PART_BITS) => {
                let first_guest = first_guest();
                places.all.push(Place { first_guest, guest: first_guest, thing: None });
                places.all.len() - 1
            }
            None => return Err(thing),
        };
        let place = &mut places.all[index];
        place.thing = Some(thing);
        let number = place.guest << PLACE_BITS | index << PART_BITS | part;
        Ok(ptr::without_provenance_mut(number << KIND_BITS | self.kind as usize))
    }

    pub fn find<H>(&self, handle: *mut H) -> Found<T> {
        let Some((part, index, guest)) = self.split(number(handle)) else { return Found::Unknown };
        match part.read().all.get(index) {
            Some(place) if place.guest == guest => match &place.thing {
                Some(thing) => Found::Live(thing.clone()),
                None if guest == LAST_GUEST => Found::Gone,
                None => Found::Unknown,
            },
            Some(place) if (place.first_guest..place.guest).contains(&guest) => Found::Gone,
            _ => Found::Unknown,
        }
    }

    /// Uses the thing in place, where a copy would cost more than the use; `None` if it is not
    /// there. Nothing may be named, or taken out, meanwhile.
    pub fn with<H, R>(&self, handle: *mut H, use_it: impl FnOnce(&T) -> R) -> Option<R> {
        let (part, index, guest) = self.split(number(handle))?;
        let places = part.read();
        let place = places.all.get(index).filter(|place| place.guest == guest)?;
        place.thing.as_ref().map(use_it)
    }

    /// Takes the thing out if `is_meant` agrees; from then on its handle is gone. Of several
    /// threads that try, one gets it.
    pub fn remove<H>(&self, handle: *mut H, is_meant: impl FnOnce(&T) -> bool) -> Option<T> {
        let (part, index, guest) = self.split(number(handle))?;
        let mut places = part.write();
        let place = places.all.get_mut(index)?;
        if place.guest != guest || !is_meant(place.thing.as_ref()?) {
            return None;
        }
        let thing = place.thing.take();
        if guest < LAST_GUEST {
            place.guest += 1;
            places.free.push(index);
        }
        thing
    }

    /// The part, the place in it, and the guest.
    fn split(&self, number: usize) -> Option<(&RwLock<Places<T>>, usize, usize)> {
        let kind = number & ((1 << KIND_BITS) - 1);
        let place = number >> KIND_BITS & ((1 << PLACE_BITS) - 1);
        let guest = number >> (KIND_BITS + PLACE_BITS);
        let part = &self.parts[place % PARTS].0;
        (kind == self.kind as usize).then_some((part, place >> PART_BITS, guest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Kept for &'static str {
        fn address(&self) -> usize {
            0
        }
    }

    fn table() -> Table<&'static str> {
        Table::new(Kind::Pool)
    }

    #[test]
    fn a_handle_is_live_then_gone_and_never_comes_back() {
        let table = table();
        let first: *mut u8 = table.insert("first").unwrap();
        assert_eq!(table.find(first), Found::Live("first"));
        assert!(table.remove(first, |_| true).is_some());
        assert!(table.remove(first, |_| true).is_none());
        assert_eq!(table.find(first), Found::Gone);
        let second: *mut u8 = table.insert("second").unwrap();
        assert_ne!(first, second);
        assert_eq!(table.find(first), Found::Gone);
        assert_eq!(table.find(second), Found::Live("second"));
    }

    #[test]
    fn what_was_never_given_out_is_unknown() {
        let table = table();
        let live: *mut u8 = table.insert("live").unwrap();
        let of_the_next_guest = number(live) + (1 << (KIND_BITS + PLACE_BITS));
        let others = [1 << 20 | 1, 0xdead_beef, usize::MAX, number(live) + 1, of_the_next_guest];
        for made_up in (0..4096).chain(others) {
            let handle: *mut u8 = ptr::without_provenance_mut(made_up);
            assert_eq!(table.find(handle), Found::Unknown, "{made_up:x}");
            assert!(table.remove(handle, |_| true).is_none());
        }
        let other: Table<&'static str> = Table::new(Kind::Result);
        assert_eq!(other.find(live), Found::Unknown);
    }

    #[test]
    fn a_place_with_no_more_guest_numbers_is_given_up() {
        let table = table();
        let first: *mut u8 = table.insert("first").unwrap();
        table.remove(first, |_| true);
        table.split(number(first)).unwrap().0.write().all[0].guest = LAST_GUEST;
        let last: *mut u8 = table.insert("last").unwrap();
        table.remove(last, |_| true);
        assert_eq!(table.find(last), Found::Gone);
        let elsewhere: *mut u8 = table.insert("elsewhere").unwrap();
        assert_eq!(table.split(number(elsewhere)).unwrap().1, 1);
    }

    #[test]
    fn things_elsewhere_do_not_wait_for_each_other() {
        let table = Table::new(Kind::Pool);
        let things: Vec<_> = (0..100).map(Arc::new).collect();
        let first: *mut u8 = table.insert(things[0].clone()).unwrap();
        let held = table.split(number(first)).unwrap().0.write();
        let elsewhere = things.iter().find(|it| it.part() != things[0].part()).unwrap();
        let second: *mut u8 = table.insert(elsewhere.clone()).unwrap();
        assert_eq!(table.find(second), Found::Live(elsewhere.clone()));
        drop(held);
        assert_eq!(table.find(first), Found::Live(things[0].clone()));
    }

    #[test]
    fn what_finds_its_part_full_goes_to_another() {
        let table = table();
        let first: *mut u8 = table.insert("first").unwrap();
        let full = table.split(number(first)).unwrap().0;
        for _ in 1..1 << (PLACE_BITS - PART_BITS) {
            full.write().all.push(Place { first_guest: 1, guest: 1, thing: None });
        }
        let elsewhere: *mut u8 = table.insert("elsewhere").unwrap();
        assert!(!ptr::eq(table.split(number(elsewhere)).unwrap().0, full));
        assert_eq!(table.find(elsewhere), Found::Live("elsewhere"));
    }
}
