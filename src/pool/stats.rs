//! What a pool has done so far, counted without ever holding anybody up.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::histogram::{BUCKETS, Counts, Histogram, SlotCounts};
use super::status::Status;
use crate::error::{Code, Error};

/// How an acquire ended; each acquire is exactly one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A connection was free.
    Direct,
    /// A connection came while the caller waited.
    Waited,
    /// The deadline passed first.
    TimedOut,
    /// The caller gave up.
    Cancelled,
    /// There was no room: too many waiters, or no free connection for a caller that won't wait.
    Rejected,
    /// The server can't be reached, or the pool is closed.
    Failed,
}

/// Why a connection was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// Unused for longer than `idle_timeout`.
    Idle,
    /// As old as `max_lifetime` allows, or as the server's keep-alive hint does.
    Lifetime,
    /// Found closed, or silent, by validation.
    Dead,
    /// Unfit for the next user after an error.
    Broken,
    /// The caller asked for it.
    Discarded,
    /// The pool was reset.
    Reset,
    /// The pool was made smaller.
    Resized,
    /// The pool was closed.
    Closed,
}

impl Outcome {
    /// What became of an acquire that ended with `result`.
    pub fn of<T>(result: &Result<T, Error>, has_waited: bool) -> Outcome {
        match result {
            Ok(_) if has_waited => Outcome::Waited,
            Ok(_) => Outcome::Direct,
            Err(error) => match error.code() {
                Code::Timeout => Outcome::TimedOut,
                Code::Cancelled => Outcome::Cancelled,
                Code::Overloaded | Code::WouldBlock => Outcome::Rejected,
                _ => Outcome::Failed,
            },
        }
    }
}

const OUTCOMES: [(Outcome, &str); 6] = [
    (Outcome::Direct, "direct"),
    (Outcome::Waited, "waited"),
    (Outcome::TimedOut, "timed_out"),
    (Outcome::Cancelled, "cancelled"),
    (Outcome::Rejected, "rejected"),
    (Outcome::Failed, "failed"),
];

const REASONS: [(CloseReason, &str); 8] = [
    (CloseReason::Idle, "idle"),
    (CloseReason::Lifetime, "lifetime"),
    (CloseReason::Dead, "dead"),
    (CloseReason::Broken, "broken"),
    (CloseReason::Discarded, "discarded"),
    (CloseReason::Reset, "reset"),
    (CloseReason::Resized, "resized"),
    (CloseReason::Closed, "closed"),
];

/// The counters of one pool, but for what each slot counts itself. Reading takes no lock.
#[derive(Debug, Default)]
pub struct Stats {
    acquires: [AtomicU64; OUTCOMES.len()],
    wait: Histogram,
    usage: Histogram,
    created: AtomicU64,
    dial_failures: AtomicU64,
    closed: [AtomicU64; REASONS.len()],
    leaked: AtomicU64,
}

/// The counts up to each end, the last without one; and the sum in seconds.
fn cumulated(counts: &Counts) -> (Vec<u64>, f64) {
    let cumulated = counts.buckets.iter().scan(0, |sum, bucket| {
        *sum += bucket;
        Some(*sum)
    });
    (cumulated.collect(), counts.sum_us as f64 / 1e6)
}

fn write_json(out: &mut String, counts: &Counts) -> fmt::Result {
    let (counts, sum) = cumulated(counts);
    let total = counts.last().copied().unwrap_or(0);
    write!(out, r#"{{"count":{total},"sum_seconds":{sum},"buckets":["#)?;
    for (index, ((end, _), count)) in BUCKETS.iter().zip(&counts).enumerate() {
        let comma = if index == 0 { "" } else { "," };
        write!(out, r#"{comma}{{"le":{end},"count":{count}}}"#)?;
    }
    out.write_str("]}")
}

fn write_metrics(out: &mut String, counts: &Counts, (name, help): (&str, &str)) -> fmt::Result {
    let (counts, sum) = cumulated(counts);
    let total = counts.last().copied().unwrap_or(0);
    head(out, name, "histogram", Some("seconds"), help)?;
    for ((end, _), count) in BUCKETS.iter().zip(&counts) {
        writeln!(out, r#"{name}_bucket{{le="{end}"}} {count}"#)?;
    }
    writeln!(out, r#"{name}_bucket{{le="+Inf"}} {total}"#)?;
    writeln!(out, "{name}_sum {sum}")?;
    writeln!(out, "{name}_count {total}")
}

impl Stats {
    /// Counts an acquire that ended.
    pub fn count_acquire(&self, outcome: Outcome, waited: Duration) {
        self.acquires[outcome as usize].fetch_add(1, Relaxed);
        // Direct ones waited for no time and are the most, so they are counted but once.
        if outcome != Outcome::Direct {
            self.wait.record(waited);
        }
    }

    /// Takes over what a slot has counted that is used no more.
    pub fn take_over(&self, slot: &SlotCounts) {
        self.acquires[Outcome::Direct as usize].fetch_add(slot.acquires, Relaxed);
        self.usage.add(&slot.usage);
    }

    fn outcomes(&self, slots: &SlotCounts) -> [u64; OUTCOMES.len()] {
        let mut counts = self.acquires.each_ref().map(|counter| counter.load(Relaxed));
        counts[Outcome::Direct as usize] += slots.acquires;
        counts
    }

    /// How long acquires took: no time, if a connection was free.
    fn waits(&self, slots: &SlotCounts) -> Counts {
        let mut counts = Counts::default();
        counts.buckets[0] = self.outcomes(slots)[Outcome::Direct as usize];
        self.wait.add_to(&mut counts);
        counts
    }

    fn uses(&self, slots: &SlotCounts) -> Counts {
        let mut counts = slots.usage.clone();
        self.usage.add_to(&mut counts);
        counts
    }

    fn closed(&self) -> [u64; REASONS.len()] {
        self.closed.each_ref().map(|counter| counter.load(Relaxed))
    }

    /// Counts a lease that came back.
    pub fn count_use(&self, time: Duration) {
        self.usage.record(time);
    }

    /// Counts a connection that was opened, or could not be.
    pub fn count_dial(&self, succeeded: bool) {
        let counter = if succeeded { &self.created } else { &self.dial_failures };
        counter.fetch_add(1, Relaxed);
    }

    /// Counts a connection that was closed.
    pub fn count_close(&self, reason: CloseReason) {
        self.closed[reason as usize].fetch_add(1, Relaxed);
    }

    /// Counts a lease that was out for longer than `leak_threshold`.
    pub fn count_leak(&self) {
        self.leaked.fetch_add(1, Relaxed);
    }

    /// Everything as one JSON object, with what the `slots` have counted. `oldest_wait` is that of the
    /// caller who waits longest.
    pub fn to_json(&self, slots: &SlotCounts, oldest_wait: Duration) -> String {
        let mut out = String::new();
        self.write_json(&mut out, slots, oldest_wait)
            .expect("a String takes all that is written to it");
        out
    }

    fn write_json(
        &self,
        out: &mut String,
        slots: &SlotCounts,
        oldest_wait: Duration,
    ) -> fmt::Result {
        out.write_str(r#"{"acquires":{"#)?;
        write_members(out, OUTCOMES.map(|(_, name)| name), self.outcomes(slots))?;
        out.write_str(r#"},"wait":"#)?;
        write_json(out, &self.waits(slots))?;
        out.write_str(r#","use":"#)?;
        write_json(out, &self.uses(slots))?;
        let (created, failures) = (self.created.load(Relaxed), self.dial_failures.load(Relaxed));
        write!(out, r#","created":{created},"dial_failures":{failures},"closed":{{"#)?;
        write_members(out, REASONS.map(|(_, name)| name), self.closed())?;
        let (leaked, oldest) = (self.leaked.load(Relaxed), oldest_wait.as_secs_f64());
        write!(out, r#"}},"leaked":{leaked},"oldest_waiter_seconds":{oldest}}}"#)
    }

    /// Everything, and the status, as OpenMetrics text.
    pub fn to_metrics(&self, slots: &SlotCounts, status: Status, oldest_wait: Duration) -> String {
        let mut out = String::new();
        self.write_metrics(&mut out, slots, status, oldest_wait)
            .expect("a String takes all that is written to it");
        out
    }

    fn write_metrics(
        &self,
        out: &mut String,
        slots: &SlotCounts,
        status: Status,
        oldest_wait: Duration,
    ) -> fmt::Result {
        let name = "phantomdb_pool_connections";
        head(out, name, "gauge", None, "Connections by state.")?;
        let others = status.total - status.available - status.used;
        for (state, count) in
            [("available", status.available), ("used", status.used), ("other", others)]
        {
            writeln!(out, r#"{name}{{state="{state}"}} {count}"#)?;
        }
        for (name, help, value) in [
            ("phantomdb_pool_connections_min", "The option min_connections.", status.min),
            ("phantomdb_pool_connections_max", "The option max_connections.", status.max),
            ("phantomdb_pool_waiters", "Callers that wait for a connection.", status.pending),
        ] {
            head(out, name, "gauge", None, help)?;
            writeln!(out, "{name} {value}")?;
        }
        let name = "phantomdb_pool_oldest_waiter_seconds";
        let help = "How long the caller at the head of the queue has waited.";
        head(out, name, "gauge", Some("seconds"), help)?;
        writeln!(out, "{name} {}", oldest_wait.as_secs_f64())?;
        let name = "phantomdb_pool_acquires";
        head(out, name, "counter", None, "Acquires by outcome.")?;
        for ((_, outcome), count) in OUTCOMES.iter().zip(self.outcomes(slots)) {
            writeln!(out, r#"{name}_total{{outcome="{outcome}"}} {count}"#)?;
        }
        let name = "phantomdb_pool_connections_closed";
        head(out, name, "counter", None, "Connections closed, by reason.")?;
        for ((_, reason), count) in REASONS.iter().zip(self.closed()) {
            writeln!(out, r#"{name}_total{{reason="{reason}"}} {count}"#)?;
        }
        for (name, help, counter) in [
            ("phantomdb_pool_connections_created", "Connections opened.", &self.created),
            (
                "phantomdb_pool_dial_failures",
                "Connections that could not be opened.",
                &self.dial_failures,
            ),
            ("phantomdb_pool_leaks", "Leases out for longer than leak_threshold.", &self.leaked),
        ] {
            head(out, name, "counter", None, help)?;
            writeln!(out, "{name}_total {}", counter.load(Relaxed))?;
        }
        let wait = (
            "phantomdb_pool_acquire_wait_seconds",
            "How long acquires took, whatever their outcome.",
        );
        write_metrics(out, &self.waits(slots), wait)?;
        let usage = ("phantomdb_pool_use_seconds", "How long leases were out.");
        write_metrics(out, &self.uses(slots), usage)?;
        out.write_str("# EOF\n")
    }
}

fn write_members<const N: usize>(
    out: &mut String,
    names: [&str; N],
    counts: [u64; N],
) -> fmt::Result {
    for (index, (name, count)) in names.into_iter().zip(counts).enumerate() {
        let comma = if index == 0 { "" } else { "," };
        write!(out, r#"{comma}"{name}":{count}"#)?;
    }
    Ok(())
}

fn head(out: &mut String, name: &str, kind: &str, unit: Option<&str>, help: &str) -> fmt::Result {
    writeln!(out, "# TYPE {name} {kind}")?;
    if let Some(unit) = unit {
        writeln!(out, "# UNIT {name} {unit}")?;
    }
    writeln!(out, "# HELP {name} {help}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_22_names_stand_in_the_order_of_their_values() {
        for (index, (outcome, _)) in OUTCOMES.iter().enumerate() {
            assert_eq!(*outcome as usize, index);
        }
        for (index, (reason, _)) in REASONS.iter().enumerate() {
            assert_eq!(*reason as usize, index);
        }
        assert!(BUCKETS.windows(2).all(|pair| pair[0].1 < pair[1].1));
        for (text, us) in BUCKETS {
            assert!((text.parse::<f64>().unwrap() * 1e6 - us as f64).abs() < 1e-6);
        }
    }

    #[test]
    fn rule_22_what_is_counted_is_told_in_json_and_as_metrics() {
        let stats = Stats::default();
        stats.count_acquire(Outcome::Direct, Duration::ZERO);
        stats.count_acquire(Outcome::Waited, Duration::from_millis(3));
        stats.count_acquire(Outcome::TimedOut, Duration::from_secs(60));
        stats.count_use(Duration::from_millis(1));
        stats.count_dial(true);
        stats.count_dial(false);
        stats.count_close(CloseReason::Idle);
        let json: serde_json::Value = serde_json::from_str(
            &stats.to_json(&SlotCounts::default(), Duration::from_millis(250)),
        )
        .unwrap();
        assert_eq!(json["acquires"]["direct"], 1);
        assert_eq!(json["acquires"]["timed_out"], 1);
        assert_eq!(json["wait"]["count"], 3);
        assert_eq!(json["wait"]["buckets"][0]["count"], 1);
        assert_eq!(json["wait"]["buckets"][5]["count"], 2);
        assert_eq!(json["closed"]["idle"], 1);
        assert_eq!(json["oldest_waiter_seconds"], 0.25);
        let status = Status { total: 3, available: 1, used: 1, ..Status::default() };
        let metrics = stats.to_metrics(&SlotCounts::default(), status, Duration::from_millis(250));
        for line in [
            r#"phantomdb_pool_connections{state="other"} 1"#,
            r#"phantomdb_pool_acquires_total{outcome="waited"} 1"#,
            r#"phantomdb_pool_acquire_wait_seconds_bucket{le="0.005"} 2"#,
            r#"phantomdb_pool_acquire_wait_seconds_bucket{le="+Inf"} 3"#,
            "phantomdb_pool_use_seconds_sum 0.001",
            "phantomdb_pool_oldest_waiter_seconds 0.25",
            "phantomdb_pool_dial_failures_total 1",
        ] {
            assert!(metrics.lines().any(|other| other == line), "{line}\nnot in\n{metrics}");
        }
        assert!(metrics.ends_with("# EOF\n"));
    }
}
