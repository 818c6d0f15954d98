//! Callbacks of `phantomdb_pool_close_async` that have not returned yet. A close that waits, in
//! another thread, waits for them too; by then the pool and its handle are gone, so they are
//! counted here.

use crate::os::fork::Side;
use crate::os::locks::{StaticCondvar, StaticMutex, StaticMutexGuard};

/// The number of a pool's handle, once for each of its pending callbacks.
static PENDING: StaticMutex<Vec<usize>> = StaticMutex::new(Vec::new());
static RETURNED: StaticCondvar = StaticCondvar::new();

/// A callback that is pending until this is dropped.
pub struct PendingClose {
    pool: usize,
}

impl PendingClose {
    pub fn new(pool: usize) -> Self {
        PENDING.lock().push(pool);
        PendingClose { pool }
    }
}

impl Drop for PendingClose {
    fn drop(&mut self) {
        let mut pending = PENDING.lock();
        if let Some(index) = pending.iter().position(|pool| *pool == self.pool) {
            pending.swap_remove(index);
        }
        RETURNED.notify_all();
    }
}

/// Returns when no close callback of this pool is pending.
pub fn wait(pool: usize) {
    let mut pending = PENDING.lock();
    while pending.contains(&pool) {
        pending = RETURNED.wait(pending);
    }
}

/// Locks the list during a fork. In a child none is pending: the threads that ran them are not
/// there.
pub fn lock() -> impl FnOnce(Side) {
    let mut pending: StaticMutexGuard<'static, Vec<usize>> = PENDING.lock();
    move |side| {
        if side == Side::Child {
            pending.clear();
        }
    }
}
