//! Where a waiting thread receives its connection.

use std::time::Instant;

use super::lease::Lease;
use crate::error::Result;
use crate::os::locks::{Condvar, Mutex};

/// A place for what an acquire comes to, and for the one thread that waits for it.
#[derive(Debug, Default)]
pub struct Handoff {
    delivery: Mutex<Option<Result<Lease>>>,
    delivered: Condvar,
}

impl Handoff {
    /// Gives the waiter what it gets.
    pub fn deliver(&self, delivery: Result<Lease>) {
        *self.delivery.lock() = Some(delivery);
        self.delivered.notify_one();
    }

    /// Waits for the delivery until `deadline`; `None` if it hasn't come by then.
    pub fn wait_until(&self, deadline: Instant) -> Option<Result<Lease>> {
        let mut delivery = self.delivery.lock();
        while delivery.is_none() {
            let (guard, is_over) = self.delivered.wait_until(delivery, deadline);
            delivery = guard;
            if is_over {
                break;
            }
        }
        delivery.take()
    }

    /// Waits for a delivery that is certain to come.
    pub fn wait(&self) -> Result<Lease> {
        let mut delivery = self.delivery.lock();
        loop {
            match delivery.take() {
                Some(delivery) => return delivery,
                None => delivery = self.delivered.wait(delivery),
            }
        }
    }
}
