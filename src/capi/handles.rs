//! Handles: numbers that look like pointers to C and are never followed.
//!
//! A handle says its kind, a place in a table, and the how-many-eth guest of that place it is.
//! So one that is NULL, made up, stale or of another kind is recognised, whatever happened to
//! the thing it once named. A place whose guests can no longer be numbered is given up.

use std::ptr;

use crate::sync::RwLock;

const KIND_BITS: u32 = 4;
const PLACE_BITS: u32 = if usize::BITS >= 64 { 24 } else { 14 };
const GUEST_BITS: u32 = usize::BITS - KIND_BITS - PLACE_BITS;
const LAST_GUEST: usize = (1 << GUEST_BITS) - 1;

/// What a handle names. The numbers are odd, so that a handle is no aligned address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Kind {
    Pool = 1,
    Connection = 3,
    Result = 5,
    Ticket = 7,
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
    places: RwLock<Places<T>>,
}

struct Places<T> {
    all: Vec<Place<T>>,
    free: Vec<usize>,
}

struct Place<T> {
    first_guest: usize,
    guest: usize,
    thing: Option<T>,
}

/// The numbers of a place's guests begin at random, so that no small number is ever a handle.
fn first_guest() -> usize {
    fastrand::usize(1 << (GUEST_BITS / 4)..1 << (GUEST_BITS / 2))
}

/// The number of the handle that points nowhere as `pointer`.
pub fn number<H>(pointer: *mut H) -> usize {
    pointer.addr()
}

impl<T: Clone> Table<T> {
    pub const fn new(kind: Kind) -> Self {
        Table { kind, places: RwLock::new(Places { all: Vec::new(), free: Vec::new() }) }
    }

    /// Keeps other threads from changing the table as long as the result lives; for a fork.
    pub fn hold(&self) -> impl Drop + '_ {
        self.places.write()
    }

    /// Gives the thing a handle; `None` if there are more things than handles can name.
    pub fn insert<H>(&self, thing: T) -> Option<*mut H> {
        let mut places = self.places.write();
        let index = match places.free.pop() {
            Some(index) => index,
            None if places.all.len() < 1 << PLACE_BITS => {
                let first_guest = first_guest();
                places.all.push(Place { first_guest, guest: first_guest, thing: None });
                places.all.len() - 1
            }
            None => return None,
        };
        let place = &mut places.all[index];
        place.thing = Some(thing);
        let number = (place.guest << PLACE_BITS | index) << KIND_BITS | self.kind as usize;
        Some(ptr::without_provenance_mut(number))
    }

    pub fn find<H>(&self, handle: *mut H) -> Found<T> {
        let Some((index, guest)) = self.split(number(handle)) else { return Found::Unknown };
        match self.places.read().all.get(index) {
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
        let (index, guest) = self.split(number(handle))?;
        let places = self.places.read();
        let place = places.all.get(index).filter(|place| place.guest == guest)?;
        place.thing.as_ref().map(use_it)
    }

    /// Takes the thing out if `is_meant` agrees; from then on its handle is gone. Of several
    /// threads that try, one gets it.
    pub fn remove<H>(&self, handle: *mut H, is_meant: impl FnOnce(&T) -> bool) -> Option<T> {
        let (index, guest) = self.split(number(handle))?;
        let mut places = self.places.write();
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

    fn split(&self, number: usize) -> Option<(usize, usize)> {
        let kind = number & ((1 << KIND_BITS) - 1);
        let index = number >> KIND_BITS & ((1 << PLACE_BITS) - 1);
        let guest = number >> (KIND_BITS + PLACE_BITS);
        (kind == self.kind as usize).then_some((index, guest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        table.places.write().all[0].guest = LAST_GUEST;
        let last: *mut u8 = table.insert("last").unwrap();
        table.remove(last, |_| true);
        assert_eq!(table.find(last), Found::Gone);
        let elsewhere: *mut u8 = table.insert("elsewhere").unwrap();
        assert_eq!(table.split(number(elsewhere)).unwrap().0, 1);
    }
}
