//! A pool in one process, and in the children that this process forks.

use std::sync::{Arc, Weak};

use super::dial_limiter::SlotDialLimiter;
use super::driver::Driver;
use super::pooled_connection::PooledConnection;
use crate::client::{Connection, Endpoint};
use crate::config::Options;
use crate::os::locks::atomic::{AtomicBool, AtomicU64, Ordering};

/// What was changed on a pool since it was made, and holds in children too. Without a lock, which
/// a child might inherit held.
#[derive(Debug)]
pub struct InheritedSettings {
    is_closed: AtomicBool,
    /// The minimum in the upper half, the maximum in the lower.
    size: AtomicU64,
}

impl InheritedSettings {
    pub fn new(options: &Options) -> Self {
        let inherited =
            InheritedSettings { is_closed: AtomicBool::new(false), size: AtomicU64::new(0) };
        inherited.set_size(options.min_connections, options.max_connections);
        inherited
    }

    pub fn set_closed(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
    }

    pub fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::SeqCst)
    }

    pub fn set_size(&self, min: u32, max: u32) {
        self.size.store(u64::from(min) << 32 | u64::from(max), Ordering::SeqCst);
    }

    fn apply_to(&self, options: &mut Options) {
        let size = self.size.load(Ordering::SeqCst);
        options.min_connections = (size >> 32) as u32;
        options.max_connections = size as u32;
    }
}

/// What a pool is in one process. A child leaves its parent's alone and makes its own.
#[derive(Debug)]
pub struct ProcessPool {
    pub driver: Arc<Driver>,
    pub endpoint: Arc<Endpoint>,
}

impl ProcessPool {
    pub fn new(options: Options, endpoint: Endpoint) -> Self {
        let endpoint = Arc::new(endpoint);
        let of_connections = endpoint.clone();
        let connect = move |driver: &Weak<Driver>, slot| {
            let limiter = Arc::new(SlotDialLimiter { driver: driver.clone(), slot });
            PooledConnection::new(Connection::new(of_connections.clone(), limiter))
        };
        ProcessPool { driver: Driver::new(options, connect), endpoint }
    }

    /// The one of a child of this one's process.
    pub fn in_child(&self, inherited: &InheritedSettings) -> Self {
        let mut options = self.driver.options().clone();
        inherited.apply_to(&mut options);
        let child = ProcessPool::new(options, self.endpoint.reborn());
        if inherited.is_closed() {
            child.driver.begin_close();
        }
        child
    }
}

impl Drop for ProcessPool {
    fn drop(&mut self) {
        self.driver.begin_close();
    }
}
