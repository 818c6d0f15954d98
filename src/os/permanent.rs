//! Memory that is never freed, and so may be looked at by a thread that does not know whether what it
//! looks at is still in use.

#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::ptr;
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::Ordering::{AcqRel, Acquire};

/// How many there are in the first segment; each further one has twice as many.
const FIRST: usize = if cfg!(loom) { 4 } else { 64 };
const SEGMENTS: usize = 20;

/// An array that grows in place: what has once been made in it is there from then on, as long as the
/// array.
#[derive(Debug)]
pub struct Permanent<T> {
    /// The first of each segment, or NULL if it was not made yet.
    segments: [AtomicPtr<T>; SEGMENTS],
    owned: PhantomData<Box<[T]>>,
}

impl<T: Default> Permanent<T> {
    pub const fn new() -> Self {
        let segments = [const { AtomicPtr::new(ptr::null_mut()) }; SEGMENTS];
        Permanent { segments, owned: PhantomData }
    }

    /// `None` if it was not made yet.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&T> {
        let (segment, at) = place(index);
        let first = self.segments.get(segment)?.load(Acquire);
        if first.is_null() {
            return None;
        }
        // SAFETY: a segment has as many as its number says, of which `at` is one, and is there as long
        // as `self`. Nobody has a mutable reference to any.
        Some(unsafe { &*first.add(at) })
    }

    /// Makes it, with those around it.
    pub fn make(&self, index: usize) -> &T {
        let (segment, _) = place(index);
        if self.segments[segment].load(Acquire).is_null() {
            let made: Box<[T]> = (0..FIRST << segment).map(|_| T::default()).collect();
            let first = Box::into_raw(made).cast::<T>();
            let entry = &self.segments[segment];
            if entry.compare_exchange(ptr::null_mut(), first, AcqRel, Acquire).is_err() {
                // SAFETY: another thread was first, so nobody else knows this segment.
                drop(unsafe { segment_from(first, segment) });
            }
        }
        self.get(index).expect("it was made")
    }
}

impl<T> Drop for Permanent<T> {
    fn drop(&mut self) {
        for (segment, first) in self.segments.iter_mut().enumerate() {
            let first = *first.get_mut();
            if !first.is_null() {
                // SAFETY: it was made as this segment, and nobody can reach it any more.
                drop(unsafe { segment_from(first, segment) });
            }
        }
    }
}

/// # Safety
/// `first` is the first of this segment as `make` made it, and is not used afterwards.
unsafe fn segment_from<T>(first: *mut T, segment: usize) -> Box<[T]> {
    // SAFETY: this function asks the same of its caller.
    unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(first, FIRST << segment)) }
}

/// The segment of an index, and where it is in there.
#[inline]
fn place(index: usize) -> (usize, usize) {
    if index < FIRST {
        // As of most programs.
        return (0, index);
    }
    let number = index / FIRST + 1;
    let segment = number.ilog2() as usize;
    (segment, index - FIRST * ((1 << segment) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_index_has_a_place_of_its_own() {
        let mut expected = (0, 0);
        for index in 0..100_000 {
            assert_eq!(place(index), expected, "{index}");
            expected.1 += 1;
            if expected.1 == FIRST << expected.0 {
                expected = (expected.0 + 1, 0);
            }
        }
    }

    #[test]
    fn what_was_made_stays_where_it_is() {
        let numbers: Permanent<u64> = Permanent::new();
        assert!(numbers.get(5).is_none());
        let first: *const u64 = numbers.make(5);
        for index in 0..10_000 {
            numbers.make(index);
        }
        assert!(std::ptr::eq(first, numbers.get(5).unwrap()));
        assert!(numbers.get(usize::MAX / 2).is_none());
    }

    #[test]
    fn what_is_in_it_is_dropped_with_it() {
        let counted = std::sync::Arc::new(());
        let all: Permanent<std::sync::OnceLock<std::sync::Arc<()>>> = Permanent::new();
        for index in [0, 70, 500] {
            all.make(index).get_or_init(|| counted.clone());
        }
        assert_eq!(std::sync::Arc::strong_count(&counted), 4);
        drop(all);
        assert_eq!(std::sync::Arc::strong_count(&counted), 1);
    }

    #[test]
    fn two_threads_that_make_it_get_the_same() {
        let all: Permanent<u64> = Permanent::new();
        let address = |index| ptr::from_ref(all.make(index)).addr();
        std::thread::scope(|scope| {
            let other = scope.spawn(|| (0..5_000).map(address).collect::<Vec<_>>());
            let own: Vec<_> = (0..5_000).map(address).collect();
            assert_eq!(own, other.join().unwrap());
        });
    }
}
