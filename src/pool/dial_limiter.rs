//! Permits for the dials of lease holders, which count together with the pool's own (rule 9).
//!
//! Only the holder of a lease whose connection has no socket asks for a permit here. Workers dial
//! because the machine decided so, and bring their permit along.

use std::sync::Weak;
use std::time::Instant;

use super::driver::Driver;
use super::machine::DialDecision;
use crate::client::{DialLimiter, DialPermit, SocketEvent, SocketHandle};
use crate::error::{Code, Error, Result};
use crate::os::clock;

/// Limits the dials of one slot's connection.
#[derive(Clone, Debug)]
pub struct SlotDialLimiter {
    pub driver: Weak<Driver>,
    pub slot: usize,
}

impl DialLimiter for SlotDialLimiter {
    fn permit(&self, deadline: Instant, request: &SocketHandle) -> Result<Option<DialPermit>> {
        let driver = self.driver.upgrade().ok_or_else(Error::closed)?;
        let mut locked = driver.lock();
        let (mut has_waited, mut is_over) = (false, false);
        let permit = loop {
            match locked.machine.begin_lease_dial(self.slot, has_waited, clock::now()) {
                DialDecision::Dial => break Some(self.counted_permit()),
                // Under the lock, so that nobody finds the socket in neither place.
                DialDecision::TakeSocket(other) => {
                    request.take_from(other.socket_handle());
                    break None;
                }
                DialDecision::Refuse(error) => {
                    driver.apply_effects(locked);
                    return Err(error);
                }
                DialDecision::Wait => has_waited = true,
            }
            if request.is_cancelled() || is_over {
                let now = clock::now();
                let error = match request.is_cancelled() {
                    true => cancelled(),
                    false => locked.machine.dial_timeout_error(now),
                };
                locked.machine.give_up_lease_dial(self.slot, now);
                driver.apply_effects(locked);
                return Err(error);
            }
            if locked.machine.has_effects() {
                driver.apply_effects(locked);
                locked = driver.lock();
                continue;
            }
            locked.machine.publish();
            (locked, is_over) = driver.wait_for_dial_end(locked, deadline);
        };
        driver.apply_effects(locked);
        Ok(permit)
    }

    fn wake(&self) {
        if let Some(driver) = self.driver.upgrade() {
            driver.wake_dialers();
        }
    }

    fn may_ask_again(&self) -> bool {
        let Some(driver) = self.driver.upgrade() else { return false };
        driver.lock().machine.may_wait_to_dial(clock::now())
    }

    fn note(&self, event: SocketEvent<'_>) {
        let Some(driver) = self.driver.upgrade() else { return };
        driver.step(|machine, now| machine.note_socket_event(self.slot, event, now));
    }
}

impl SlotDialLimiter {
    /// The permit for a dial that the machine has counted.
    fn counted_permit(&self) -> DialPermit {
        let SlotDialLimiter { driver, slot } = self.clone();
        DialPermit::new(move |outcome| {
            let Some(driver) = driver.upgrade() else { return };
            driver.step(|machine, now| machine.end_lease_dial(slot, outcome.err(), now));
        })
    }
}

fn cancelled() -> Error {
    Error::new(Code::Cancelled, "Cancelled while waiting to open the connection")
}
