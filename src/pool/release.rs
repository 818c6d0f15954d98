//! Releasing a connection: what happens when a lease is dropped.

use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::driver::Driver;
use super::fast_path::FastSlot;
use super::fast_path::{LeaseWord, Released, Used};
use super::lease::Lease;
use super::machine::LeaseId;
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
    let released = match lease.is_touched.load(Relaxed) {
        false => release_untouched(lease),
        true => release_used(lease),
    };
    match released {
        Released::Kept => {}
        Released::Told => {
            tell_machine(lease, true);
        }
        Released::NotReady => {
            let released_at = tell_machine(lease, false);
            lease
                .driver
                .stats()
                .count_use(released_at.saturating_duration_since(used_since(lease)));
        }
    }
}

/// The fast path: nobody used the connection.
fn release_untouched(lease: &Lease) -> Released {
    let (stack, ending) = (lease.driver.stack, (lease.id.generation(), LeaseWord::HELD));
    stack.release(lease.id.fast(), ending, None, None, clock::recent_moment(), || true)
}

/// The fast path of a connection that was used, and is as good as before.
fn release_used(lease: &Lease) -> Released {
    let report = lease.connection.report();
    let Some(used) = Used::of(&report) else { return Released::NotReady };
    let (stack, ending) = (lease.driver.stack, (lease.id.generation(), LeaseWord::HELD));
    let used_since = Some(clock::moment(used_since(lease)));
    let now = clock::moment(clock::now());
    stack.release(lease.id.fast(), ending, used_since, Some(&used), now, || true)
}

/// Something may follow from the release: the machine decides. The lease may be over already. Returns when
/// the machine was told.
fn tell_machine(lease: &Lease, is_over: bool) -> Instant {
    // It may wake threads, and so write to a descriptor.
    let _uncancelled = Uncancelled::begin();
    let report = lease.connection.report();
    lease.driver.step(|machine, now| {
        if is_over {
            machine.release_ended(lease.id, report, now);
        } else {
            machine.release(lease.id, report, now);
        }
        now
    })
}

/// Gives a connection back whose lease is over already, and of which only a handle was known.
pub fn release_bare(driver: &Arc<Driver>, slot: &'static FastSlot, generation: u64) {
    let _uncancelled = Uncancelled::begin();
    let report = driver.connections.of(slot.number()).report();
    let lease = LeaseId::new(slot, generation);
    driver.step(|machine, now| machine.release_ended(lease, report, now));
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
