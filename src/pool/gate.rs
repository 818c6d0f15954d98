//! Bounds the dials of lease holders together with the pool's own (rule 9).

use std::sync::Weak;
use std::time::Instant;

use super::machine::DialPermit;
use super::shared::Shared;
use crate::client::{DialGate, Interrupter};
use crate::clock;
use crate::error::{Code, Error, Result};

/// The gate of one slot's connection.
#[derive(Debug)]
pub struct SlotGate {
    pub shared: Weak<Shared>,
    pub slot: usize,
}

impl DialGate for SlotGate {
    fn enter(&self, deadline: Instant, cut: &Interrupter) -> Result<()> {
        let shared = self.shared.upgrade().ok_or_else(Error::closed)?;
        let mut core = shared.lock();
        let (mut has_waited, mut is_over) = (false, false);
        // The machine counted the dials of workers when it asked for them.
        while !core.machine.is_dialed_by_worker(self.slot) {
            match core.machine.begin_lease_dial(self.slot, has_waited, clock::now()) {
                DialPermit::Granted => break,
                DialPermit::Refused(error) => return Err(error),
                DialPermit::Wait => has_waited = true,
            }
            if cut.is_cut() || is_over {
                core.machine.give_up_lease_dial(clock::now());
                shared.carry_out(core);
                return Err(gave_up(cut.is_cut()));
            }
            (core, is_over) = shared.wait_for_dial_end(core, deadline);
        }
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
}

fn gave_up(is_cut: bool) -> Error {
    if is_cut {
        return Error::new(Code::Cancelled, "Interrupted while waiting to open the connection");
    }
    Error::new(
        Code::Timeout,
        "Timeout waiting to open the connection: others are being opened (max_connecting)",
    )
}
