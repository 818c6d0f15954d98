//! Lists that may become as long as a response makes them: they grow without being copied, and say
//! so where memory runs out.

use std::collections::TryReserveError;

/// There is no memory for a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) struct OutOfMemoryError;

impl From<TryReserveError> for OutOfMemoryError {
    fn from(_: TryReserveError) -> OutOfMemoryError {
        OutOfMemoryError
    }
}

/// How many elements have no allocation.
const SHORT: usize = 6;
/// How many have one together.
const SEGMENT: usize = 8192;
/// How many the first has at first.
const FIRST: usize = 16;

/// A list in segments of equal size, so that growing needs no room for what is there already. A
/// short list needs no allocation, and one that is not long needs one.
#[derive(Debug)]
pub(in crate::client) struct Segments<T> {
    /// The first elements.
    short: [T; SHORT],
    first: Vec<T>,
    rest: Vec<Vec<T>>,
    length: usize,
}

impl<T: Copy + Default> Default for Segments<T> {
    fn default() -> Self {
        let short = [T::default(); SHORT];
        Segments { short, first: Vec::new(), rest: Vec::new(), length: 0 }
    }
}

impl<T: Copy> Segments<T> {
    pub(in crate::client) fn len(&self) -> usize {
        self.length
    }

    #[inline]
    pub(in crate::client) fn push(&mut self, element: T) -> Result<(), OutOfMemoryError> {
        match self.short.get_mut(self.length) {
            Some(place) => *place = element,
            None => {
                let segment = self.rest.last().unwrap_or(&self.first);
                if segment.len() == segment.capacity().min(SEGMENT) {
                    self.grow()?;
                }
                self.rest.last_mut().unwrap_or(&mut self.first).push(element);
            }
        }
        self.length += 1;
        Ok(())
    }

    /// Makes room in the last segment, or a new one.
    #[cold]
    fn grow(&mut self) -> Result<(), OutOfMemoryError> {
        let length = self.length - SHORT;
        if length < SEGMENT {
            let most = (length * 2).clamp(FIRST, SEGMENT);
            self.first.try_reserve_exact(most - length)?;
        } else {
            let mut segment = Vec::new();
            segment.try_reserve_exact(SEGMENT)?;
            self.rest.try_reserve(1)?;
            self.rest.push(segment);
        }
        Ok(())
    }

    pub(in crate::client) fn get(&self, index: usize) -> Option<T> {
        let Some(index) = index.checked_sub(SHORT) else {
            return (index < self.length).then(|| self.short[index]);
        };
        let segment = match index / SEGMENT {
            0 => &self.first,
            later => self.rest.get(later - 1)?,
        };
        segment.get(index % SEGMENT).copied()
    }

    /// Removes what comes after so many elements.
    pub(in crate::client) fn truncate(&mut self, length: usize) {
        if length < self.length {
            self.length = length;
            let length = length.saturating_sub(SHORT);
            self.first.truncate(length);
            self.rest.truncate(length.div_ceil(SEGMENT).saturating_sub(1));
            if let Some(last) = self.rest.last_mut() {
                last.truncate((length - 1) % SEGMENT + 1);
            }
        }
    }

    /// How many elements come before the first that is not `is_before`, in a list that is sorted
    /// so.
    pub(in crate::client) fn partition_point(&self, is_before: impl Fn(T) -> bool) -> usize {
        let (mut low, mut high) = (0, self.length);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.get(middle) {
                Some(element) if is_before(element) => low = middle + 1,
                _ => high = middle,
            }
        }
        low
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_any_length_is_read_as_it_was_written() {
        let mut list = Segments::default();
        for number in 0..3 * SEGMENT + 5 {
            assert_eq!(list.len(), number);
            list.push(number).unwrap();
        }
        assert!((0..list.len()).all(|index| list.get(index) == Some(index)));
        assert_eq!(list.get(list.len()), None);
        assert_eq!(list.partition_point(|number| number < SEGMENT + 3), SEGMENT + 3);
        for length in [2 * SEGMENT + 7, 2 * SEGMENT + 6, 2 * SEGMENT, 7, 6, 5, 0] {
            list.truncate(length);
            assert_eq!((list.len(), list.get(length)), (length, None));
            list.push(99).unwrap();
            assert_eq!(list.get(length), Some(99));
        }
    }
}
