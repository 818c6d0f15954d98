//! A pool in one process, and in the children that this process forks.

use std::mem;
use std::sync::{Arc, OnceLock};

use super::shared::Shared;
use crate::client::Endpoint;
use crate::config::Options;
use crate::fork;
use crate::sync::StaticMutex;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Held while a child makes its own incarnation of a pool, so that no fork catches it half made.
static BIRTH: StaticMutex<()> = StaticMutex::new(());

/// What was changed on a pool since it was made, and holds in children too. Without a lock, which
/// a child might inherit held.
#[derive(Debug)]
pub struct Lasting {
    is_closed: AtomicBool,
    /// The minimum in the upper half, the maximum in the lower.
    size: AtomicU64,
}

impl Lasting {
    pub fn new(options: &Options) -> Self {
        let lasting = Lasting { is_closed: AtomicBool::new(false), size: AtomicU64::new(0) };
        lasting.set_size(options.min_connections, options.max_connections);
        lasting
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
pub struct Incarnation {
    pub shared: Arc<Shared>,
    pub endpoint: Arc<Endpoint>,
    in_child: OnceLock<Box<Incarnation>>,
}

impl Incarnation {
    pub fn new(options: Options, endpoint: Endpoint) -> Self {
        fork::hold_during_fork(|| {
            let birth = BIRTH.lock();
            Box::new(move |_| drop(birth))
        });
        let endpoint = Arc::new(endpoint);
        Incarnation {
            shared: Shared::new(options, endpoint.clone()),
            endpoint,
            in_child: OnceLock::new(),
        }
    }

    /// The incarnation that belongs to this process.
    pub fn in_this_process(&self, lasting: &Lasting) -> &Incarnation {
        let mut incarnation = self;
        while incarnation.shared.is_inherited() {
            incarnation = match incarnation.in_child.get() {
                Some(child) => child,
                None => incarnation.bear_child(lasting),
            };
        }
        incarnation
    }

    fn bear_child(&self, lasting: &Lasting) -> &Incarnation {
        let _birth = BIRTH.lock();
        self.in_child.get_or_init(|| {
            let mut options = self.shared.options().clone();
            lasting.apply_to(&mut options);
            let child = Incarnation::new(options, self.endpoint.reborn());
            if lasting.is_closed() {
                child.shared.begin_close();
            }
            Box::new(child)
        })
    }
}

impl Drop for Incarnation {
    fn drop(&mut self) {
        if self.shared.is_inherited() {
            // What belongs to the parent is leaked, not dropped.
            mem::forget(self.shared.clone());
        } else {
            self.shared.begin_close();
        }
    }
}
