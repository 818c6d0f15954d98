//! Callbacks of `phantomdb_pool_close_async` that have not returned, for closes that wait for them: the pool
//! itself, and its handle, are gone by then.

use crate::os::fork::Side;
use crate::os::locks::{StaticCondvar, StaticMutex, StaticMutexGuard};

/// The numbers of the pools' handles, each as often as a callback is owed.
static OWED: StaticMutex<Vec<usize>> = StaticMutex::new(Vec::new());
static TOLD: StaticCondvar = StaticCondvar::new();

/// A callback that is owed. It is not any more when this is dropped.
pub struct Farewell {
    pool: usize,
}

impl Farewell {
    pub fn new(pool: usize) -> Self {
        OWED.lock().push(pool);
        Farewell { pool }
    }
}

impl Drop for Farewell {
    fn drop(&mut self) {
        let mut owed = OWED.lock();
        if let Some(index) = owed.iter().position(|pool| *pool == self.pool) {
            owed.swap_remove(index);
        }
        TOLD.notify_all();
    }
}

/// Returns once no callback of this pool's closing is owed.
pub fn wait(pool: usize) {
    let mut owed = OWED.lock();
    while owed.contains(&pool) {
        owed = TOLD.wait(owed);
    }
}

/// Holds the list during a fork. A child owes none of them.
pub fn hold() -> impl FnOnce(Side) {
    let mut owed: StaticMutexGuard<'static, Vec<usize>> = OWED.lock();
    move |side| {
        if side == Side::Child {
            owed.clear();
        }
    }
}
