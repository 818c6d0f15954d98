//! Where a waiting thread receives its connection.

use std::sync::Arc;
use std::time::Instant;

use super::lease::Pooled;
use super::machine::Grant;
use crate::error::Error;
use crate::sync::{Condvar, Mutex};

/// What a waiter gets.
pub type Delivery = Result<Grant<Arc<Pooled>>, Error>;

/// A place for one delivery at a time, and for one thread that waits for it.
#[derive(Debug, Default)]
pub struct Handoff {
    delivery: Mutex<Option<Delivery>>,
    delivered: Condvar,
}

impl Handoff {
    /// Gives the waiter what it gets.
    pub fn deliver(&self, delivery: Delivery) {
        *self.delivery.lock() = Some(delivery);
        self.delivered.notify_one();
    }

    /// Waits for the delivery until `deadline`; `None` if it hasn't come by then.
    pub fn wait_until(&self, deadline: Instant) -> Option<Delivery> {
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
    pub fn wait(&self) -> Delivery {
        let mut delivery = self.delivery.lock();
        loop {
            match delivery.take() {
                Some(delivery) => return delivery,
                None => delivery = self.delivered.wait(delivery),
            }
        }
    }
}
