//! A pool in one process, and in the children that this process forks.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use super::shared::Shared;
use crate::client::Endpoint;
use crate::config::Options;
use crate::fork;
use crate::sync::Mutex;

/// Held while a child makes its own incarnation of a pool, so that no fork catches it half made.
static BIRTH: Mutex<()> = Mutex::new(());

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
    pub fn in_this_process(&self, is_closed: &AtomicBool) -> &Incarnation {
        let mut incarnation = self;
        while incarnation.shared.is_inherited() {
            incarnation = match incarnation.in_child.get() {
                Some(child) => child,
                None => incarnation.bear_child(is_closed),
            };
        }
        incarnation
    }

    fn bear_child(&self, is_closed: &AtomicBool) -> &Incarnation {
        let _birth = BIRTH.lock();
        self.in_child.get_or_init(|| {
            let options = self.shared.options().clone();
            let child = Incarnation::new(options, self.endpoint.reborn());
            if is_closed.load(Ordering::SeqCst) {
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
