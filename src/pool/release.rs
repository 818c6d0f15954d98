//! Releasing a connection: what happens when a lease is dropped.

use std::mem;
use std::time::{Duration, Instant};

use super::lease::Lease;
use crate::os::clock;
use crate::os::locks::atomic::Ordering::Relaxed;
use crate::os::threads::Uncancelled;

/// Gives the connection of a lease back. The machine hands it to the caller that has waited longest,
/// keeps it, or has a worker roll back its transaction, check it or close it.
fn release(lease: &Lease) {
    if lease.driver.is_inherited() {
        // What belongs to the parent process is leaked, not dropped.
        mem::forget((lease.driver.clone(), lease.connection.clone()));
        return;
    }
    if lease.has_owner.load(Relaxed) {
        lease.connection.set_owner(None);
    }
    if lease.is_touched.load(Relaxed) || !release_untouched(lease) {
        release_used(lease);
    }
}

/// The fast path: nobody used the connection, and nothing follows from its release. False if
/// something would follow, and nothing was done.
fn release_untouched(lease: &Lease) -> bool {
    let now = clock::recent();
    // Mostly within one tick.
    let used = if now == lease.acquired_at {
        Duration::ZERO
    } else {
        now.saturating_duration_since(lease.acquired_at)
    };
    lease.driver.step_untimed(|machine| machine.release_untouched(lease.id, used, now))
}

fn release_used(lease: &Lease) {
    // It may wake threads, and so write to a descriptor.
    let _uncancelled = Uncancelled::begin();
    let report = lease.connection.report();
    let released_at = lease.driver.step(|machine, now| {
        machine.release(lease.id, report, now);
        now
    });
    lease.driver.stats().count_use(released_at.saturating_duration_since(used_since(lease)));
}

/// Since when the lease counts as used: exactly since its first request if that followed soon;
/// otherwise exact to a tick.
fn used_since(lease: &Lease) -> Instant {
    let after = Duration::from_nanos(lease.used_after.load(Relaxed));
    lease.acquired_at + after.min(clock::tick())
}

impl Lease {
    /// Has the connection closed instead of reused when it is released.
    #[doc(hidden)]
    pub fn mark_discarded(&self) {
        self.is_touched.store(true, Relaxed);
        self.connection.mark_discarded();
    }

    /// Releases the connection to be closed instead of reused.
    pub fn discard(self) {
        self.mark_discarded();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        release(self);
    }
}
