//! The queue of callers that wait for a connection: first come, first served.

use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

/// A caller's position in the order of arrival; smaller came earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueuePosition(u64);

/// How long a waiter waits that can't watch the clock itself, because no thread waits for it.
#[derive(Clone, Copy, Debug)]
pub struct WaitLimit {
    pub since: Instant,
    pub until: Instant,
}

/// Waiters in the order of their positions. Cancelling one leaves a gap that later calls skip,
/// so that a storm of cancellations among 100 000 waiters stays linear.
#[derive(Debug)]
pub struct Waiters<W> {
    queue: VecDeque<(QueuePosition, Option<Waiter<W>>)>,
    deadlines: BTreeSet<(Instant, QueuePosition)>,
    live: usize,
    next_position: u64,
}

#[derive(Debug)]
struct Waiter<W> {
    waiter: W,
    wait_limit: Option<WaitLimit>,
    since: Instant,
}

impl<W> Waiters<W> {
    pub fn new() -> Self {
        Waiters { queue: VecDeque::new(), deadlines: BTreeSet::new(), live: 0, next_position: 0 }
    }

    pub fn len(&self) -> usize {
        self.live
    }

    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// The position of a caller that arrives now.
    pub fn arrive(&mut self) -> QueuePosition {
        let position = QueuePosition(self.next_position);
        self.next_position += 1;
        position
    }

    /// Queues a caller at its position, which may be ahead of later arrivals that wait already.
    pub fn insert(
        &mut self,
        position: QueuePosition,
        wait_limit: Option<WaitLimit>,
        waiter: W,
        since: Instant,
    ) {
        let index = match self.queue.back() {
            Some((last, _)) if *last > position => {
                self.queue.partition_point(|(other, _)| *other < position)
            }
            _ => self.queue.len(),
        };
        self.queue.insert(index, (position, Some(Waiter { waiter, wait_limit, since })));
        self.deadlines.extend(wait_limit.map(|wait_limit| (wait_limit.until, position)));
        self.live += 1;
    }

    /// Takes the caller that has waited longest.
    pub fn pop(&mut self) -> Option<W> {
        while let Some((position, waiter)) = self.queue.pop_front() {
            if let Some(waiter) = waiter {
                return Some(self.leave(position, waiter));
            }
        }
        None
    }

    /// Takes the caller that came last.
    pub fn pop_last(&mut self) -> Option<W> {
        while let Some((position, waiter)) = self.queue.pop_back() {
            if let Some(waiter) = waiter {
                return Some(self.leave(position, waiter));
            }
        }
        None
    }

    /// Takes a caller out of the queue; `None` if it was served already.
    pub fn remove(&mut self, position: QueuePosition) -> Option<W> {
        let index = self.queue.binary_search_by_key(&position, |(other, _)| *other).ok()?;
        let waiter = self.queue[index].1.take()?;
        let waiter = self.leave(position, waiter);
        if self.queue.len() > 2 * self.live + 16 {
            self.queue.retain(|(_, waiter)| waiter.is_some());
        }
        Some(waiter)
    }

    /// Since when the one waits that has waited longest.
    pub fn oldest(&self) -> Option<Instant> {
        let mut waiting = self.queue.iter().filter_map(|(_, waiter)| waiter.as_ref());
        waiting.next().map(|waiter| waiter.since)
    }

    /// The first deadline of them all.
    pub fn first_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(until, _)| *until)
    }

    /// The one whose deadline passed first, and since when it waits, if that is by `now`.
    pub fn first_expired(&self, now: Instant) -> Option<(QueuePosition, Instant)> {
        let (_, position) = self.deadlines.first().filter(|(until, _)| *until <= now)?;
        let index = self.queue.binary_search_by_key(position, |(other, _)| *other).ok()?;
        let wait_limit = self.queue[index].1.as_ref()?.wait_limit?;
        Some((*position, wait_limit.since))
    }

    fn leave(&mut self, position: QueuePosition, waiter: Waiter<W>) -> W {
        self.live -= 1;
        if let Some(wait_limit) = waiter.wait_limit {
            self.deadlines.remove(&(wait_limit.until, position));
        }
        waiter.waiter
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn rule_05_served_in_order_of_arrival_even_when_queued_late() {
        let mut waiters = Waiters::new();
        let early = waiters.arrive();
        let now = Instant::now();
        for name in ["second", "third"] {
            let position = waiters.arrive();
            waiters.insert(position, None, name, now);
        }
        let earlier = now - Duration::from_millis(5);
        waiters.insert(early, None, "first", earlier);
        assert_eq!(waiters.oldest(), Some(earlier));
        let served: Vec<_> = std::iter::from_fn(|| waiters.pop()).collect();
        assert_eq!(served, ["first", "second", "third"]);
        assert!(waiters.is_empty());
    }

    #[test]
    fn removing_leaves_the_others_in_order_and_happens_once() {
        let mut waiters = Waiters::new();
        let positions: Vec<_> = (0..1000)
            .map(|number| {
                let position = waiters.arrive();
                waiters.insert(position, None, number, Instant::now());
                position
            })
            .collect();
        for position in positions.iter().skip(1).step_by(2) {
            assert!(waiters.remove(*position).is_some());
            assert!(waiters.remove(*position).is_none());
        }
        assert_eq!(waiters.len(), 500);
        let served: Vec<_> = std::iter::from_fn(|| waiters.pop()).collect();
        assert_eq!(served, (0..1000).step_by(2).collect::<Vec<_>>());
    }

    #[test]
    fn a_waiter_that_leaves_takes_its_deadline_along() {
        let mut waiters = Waiters::new();
        let now = Instant::now();
        let after = |ms| now + Duration::from_millis(ms);
        let positions: Vec<_> = [40, 10, 30, 20]
            .into_iter()
            .map(|ms| {
                let position = waiters.arrive();
                waiters.insert(position, Some(WaitLimit { since: now, until: after(ms) }), ms, now);
                position
            })
            .collect();
        assert_eq!(waiters.first_deadline(), Some(after(10)));
        assert_eq!(waiters.first_expired(after(9)), None);
        assert_eq!(waiters.first_expired(after(10)), Some((positions[1], now)));
        assert_eq!(waiters.remove(positions[1]), Some(10));
        assert_eq!(waiters.pop_last(), Some(20));
        assert_eq!(waiters.first_deadline(), Some(after(30)));
        assert_eq!(waiters.pop(), Some(40));
        assert_eq!(waiters.pop(), Some(30));
        assert_eq!(waiters.first_deadline(), None);
    }
}
