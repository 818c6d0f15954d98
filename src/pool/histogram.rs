//! A histogram of times, and what slots count.

use std::time::Duration;

use crate::os::atomic::{Ordering::Relaxed, OwnedU64};

/// The upper ends of the buckets, as OpenMetrics writes them, and in microseconds.
pub const BUCKETS: [(&str, u64); 16] = [
    ("0.0001", 100),
    ("0.00025", 250),
    ("0.0005", 500),
    ("0.001", 1_000),
    ("0.0025", 2_500),
    ("0.005", 5_000),
    ("0.01", 10_000),
    ("0.025", 25_000),
    ("0.05", 50_000),
    ("0.1", 100_000),
    ("0.25", 250_000),
    ("0.5", 500_000),
    ("1.0", 1_000_000),
    ("2.5", 2_500_000),
    ("10.0", 10_000_000),
    ("30.0", 30_000_000),
];

/// How often a time was in which bucket.
#[derive(Debug, Default)]
pub struct Histogram {
    /// One more than there are upper ends, for what is longer than all.
    buckets: [OwnedU64; BUCKETS.len() + 1],
    sum_us: OwnedU64,
}

/// What a histogram held at one moment, or several together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub buckets: [u64; BUCKETS.len() + 1],
    pub sum_us: u64,
}

/// What slots have counted on the fast path, all together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlotCounts {
    /// Acquires that found a connection ready.
    pub acquires: u64,
    /// How long leases were out that ended there.
    pub usage: Counts,
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn bucket(us: u64) -> usize {
    BUCKETS.partition_point(|(_, end)| *end < us)
}

impl Histogram {
    pub fn record(&self, time: Duration) {
        let us = microseconds(time);
        self.buckets[bucket(us)].fetch_add(1, Relaxed);
        self.sum_us.fetch_add(us, Relaxed);
    }

    /// As [`Histogram::record`], for the only thread that writes to it at this time.
    pub fn record_alone(&self, time: Duration) {
        let us = microseconds(time);
        add_alone(&self.buckets[bucket(us)], 1);
        add_alone(&self.sum_us, us);
    }

    /// The same for no time at all, which is the most frequent.
    #[inline]
    pub fn record_none_alone(&self) {
        add_alone(&self.buckets[0], 1);
    }

    /// Adds what it holds to `counts`.
    pub fn add_to(&self, counts: &mut Counts) {
        for (sum, bucket) in counts.buckets.iter_mut().zip(&self.buckets) {
            *sum += bucket.load(Relaxed);
        }
        counts.sum_us += self.sum_us.load(Relaxed);
    }

    /// Adds what another held.
    pub fn add(&self, counts: &Counts) {
        for (bucket, more) in self.buckets.iter().zip(counts.buckets) {
            bucket.fetch_add(more, Relaxed);
        }
        self.sum_us.fetch_add(counts.sum_us, Relaxed);
    }

    /// Empties it.
    pub fn clear(&self) {
        self.buckets.iter().chain([&self.sum_us]).for_each(|counter| counter.store(0, Relaxed));
    }
}

/// An addition by the only thread that writes at this time: it needs no atomic one.
#[inline]
pub fn add_alone(counter: &OwnedU64, more: u64) {
    counter.store(counter.load(Relaxed) + more, Relaxed);
}
