//! The queue of callers that wait for a connection: first come, first served.

use std::collections::VecDeque;

/// A caller's place in the order of arrival; smaller came earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(u64);

/// Waiters in the order of their places. Cancelling one leaves a gap that later calls skip,
/// so that a storm of cancellations among 100 000 waiters stays linear.
#[derive(Debug)]
pub struct Waiters<W> {
    queue: VecDeque<(Place, Option<W>)>,
    live: usize,
    next_place: u64,
}

impl<W> Waiters<W> {
    pub fn new() -> Self {
        Waiters { queue: VecDeque::new(), live: 0, next_place: 0 }
    }

    pub fn len(&self) -> usize {
        self.live
    }

    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// The place of a caller that arrives now.
    pub fn arrive(&mut self) -> Place {
        let place = Place(self.next_place);
        self.next_place += 1;
        place
    }

    /// Queues a caller at its place, which may be ahead of later arrivals that wait already.
    pub fn insert(&mut self, place: Place, waiter: W) {
        let index = match self.queue.back() {
            Some((last, _)) if *last > place => {
                self.queue.partition_point(|(other, _)| *other < place)
            }
            _ => self.queue.len(),
        };
        self.queue.insert(index, (place, Some(waiter)));
        self.live += 1;
    }

    /// Takes the caller that has waited longest.
    pub fn pop(&mut self) -> Option<W> {
        while let Some((_, waiter)) = self.queue.pop_front() {
            if let Some(waiter) = waiter {
                self.live -= 1;
                return Some(waiter);
            }
        }
        None
    }

    /// Takes the caller that came last.
    pub fn pop_last(&mut self) -> Option<W> {
        while let Some((_, waiter)) = self.queue.pop_back() {
            if let Some(waiter) = waiter {
                self.live -= 1;
                return Some(waiter);
            }
        }
        None
    }

    /// Takes a caller out of the queue; `None` if it was served already.
    pub fn remove(&mut self, place: Place) -> Option<W> {
        let index = self.queue.binary_search_by_key(&place, |(other, _)| *other).ok()?;
        let waiter = self.queue[index].1.take()?;
        self.live -= 1;
        if self.queue.len() > 2 * self.live + 16 {
            self.queue.retain(|(_, waiter)| waiter.is_some());
        }
        Some(waiter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_05_served_in_order_of_arrival_even_when_queued_late() {
        let mut waiters = Waiters::new();
        let early = waiters.arrive();
        for name in ["second", "third"] {
            let place = waiters.arrive();
            waiters.insert(place, name);
        }
        waiters.insert(early, "first");
        let served: Vec<_> = std::iter::from_fn(|| waiters.pop()).collect();
        assert_eq!(served, ["first", "second", "third"]);
        assert!(waiters.is_empty());
    }

    #[test]
    fn removing_leaves_the_others_in_order_and_happens_once() {
        let mut waiters = Waiters::new();
        let places: Vec<_> = (0..1000)
            .map(|number| {
                let place = waiters.arrive();
                waiters.insert(place, number);
                place
            })
            .collect();
        for place in places.iter().skip(1).step_by(2) {
            assert!(waiters.remove(*place).is_some());
            assert!(waiters.remove(*place).is_none());
        }
        assert_eq!(waiters.len(), 500);
        let served: Vec<_> = std::iter::from_fn(|| waiters.pop()).collect();
        assert_eq!(served, (0..1000).step_by(2).collect::<Vec<_>>());
    }
}
