//! Bounds the dials of lease holders together with the pool's own (rule 9).

use std::sync::Weak;
use std::time::Instant;

use super::driver::Shared;
use super::machine::DialPermit;
use crate::client::{CancelHandle, DialLimiter, SocketEvent};
use crate::error::{Code, Error, Result};
use crate::os::clock;

/// The gate of one slot's connection.
#[derive(Debug)]
pub struct SlotDialLimiter {
    pub shared: Weak<Shared>,
    pub slot: usize,
}

impl DialLimiter for SlotDialLimiter {
    fn enter(&self, deadline: Instant, cut: &CancelHandle) -> Result<()> {
        let shared = self.shared.upgrade().ok_or_else(Error::closed)?;
        let mut core = shared.lock();
        let (mut has_waited, mut is_over) = (false, false);
        // The machine counted the dials of workers when it asked for them.
        while !core.machine.is_dialed_by_worker(self.slot) {
            match core.machine.begin_lease_dial(self.slot, has_waited, clock::now()) {
                DialPermit::Granted => break,
                // Under the lock, so that nobody finds the socket in neither place.
                DialPermit::Take(other) => {
                    cut.take_socket(other.cancel_handle());
                    break;
                }
                DialPermit::Refused(error) => {
                    shared.carry_out(core);
                    return Err(error);
                }
                DialPermit::Wait => has_waited = true,
            }
            if cut.is_cut() || is_over {
                let now = clock::now();
                let error = match cut.is_cut() {
                    true => interrupted(),
                    false => core.machine.dial_timeout_error(now),
                };
                core.machine.give_up_lease_dial(self.slot, now);
                shared.carry_out(core);
                return Err(error);
            }
            if core.machine.has_effects() {
                shared.carry_out(core);
                core = shared.lock();
                continue;
            }
            (core, is_over) = shared.wait_for_dial_end(core, deadline);
        }
        shared.carry_out(core);
        Ok(())
    }

    fn wake(&self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.wake_dialers();
        }
    }

    fn leave(&self, outcome: std::result::Result<(), &Error>) {
        let Some(shared) = self.shared.upgrade() else { return };
        shared.step(|machine, now| {
            if !machine.is_dialed_by_worker(self.slot) {
                machine.end_lease_dial(self.slot, outcome.err(), now);
            }
        });
    }

    fn may_enter_again(&self) -> bool {
        let Some(shared) = self.shared.upgrade() else { return false };
        let core = shared.lock();
        !core.machine.is_dialed_by_worker(self.slot) && core.machine.may_wait_to_dial(clock::now())
    }

    fn note(&self, sign: SocketEvent<'_>) {
        let Some(shared) = self.shared.upgrade() else { return };
        shared.step(|machine, now| machine.note_sign(self.slot, sign, now));
    }
}

fn interrupted() -> Error {
    Error::new(Code::Cancelled, "Interrupted while waiting to open the connection")
}
