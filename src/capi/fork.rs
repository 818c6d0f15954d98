//! What no other thread may be changing while one forks.

use super::tables::{POOLS, RESULTS, TICKETS};
use super::{leases, pending_close};
use crate::os::fork::{self, Side};

/// Sees to it that no other thread is changing a table while one forks.
pub fn hold_during_fork() {
    fork::hold_during_fork(&POOLS, lock_all);
}

fn lock_all() -> Box<dyn FnOnce(Side)> {
    let locked = (POOLS.lock(), RESULTS.lock(), TICKETS.lock(), leases::lock());
    let pending_closes = pending_close::lock();
    Box::new(move |side| {
        pending_closes(side);
        drop(locked);
    })
}
