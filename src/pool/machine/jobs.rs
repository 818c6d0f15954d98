//! Jobs for workers: everything that may block.

use std::time::Instant;

use super::super::stats::CloseReason;
use super::messages::{ConnectionReport, Job, JobKind, LogEvent};
use super::slot::SlotState;
use super::{Machine, SlotConnection};
use crate::error::Error;

impl<C: SlotConnection, W> Machine<C, W> {
    /// How many jobs no worker has taken yet.
    pub fn waiting_jobs(&self) -> usize {
        self.jobs.len()
    }

    /// The next job for a worker. Dials go first: somebody waits for them, and they are few.
    pub fn next_job(&mut self) -> Option<Job<C>> {
        let dial = self.jobs.iter().position(|job| job.kind.is_dial());
        self.jobs.remove(dial.unwrap_or(0))
    }

    /// A worker has done its job on this slot; `outcome` says how it left the connection.
    pub fn job_done(
        &mut self,
        slot: usize,
        outcome: Result<ConnectionReport, Error>,
        now: Instant,
    ) {
        self.draw();
        match self.slots[slot].state {
            SlotState::Dialing => self.dial_done(slot, outcome, now),
            SlotState::Closing => {
                self.vacate(slot, self.slots[slot].close_reason);
                self.balance(now);
            }
            state => match outcome {
                Ok(report) => {
                    self.note_ping(report.pinged);
                    let last_response_at = report.last_response_at.max(Some(now));
                    self.settle(slot, ConnectionReport { last_response_at, ..report }, now);
                }
                Err(_) => {
                    self.start_closing(slot, CloseReason::Dead);
                    if matches!(state, SlotState::Validating | SlotState::Suspect) {
                        self.retire_unchecked();
                    }
                    self.balance(now);
                }
            },
        }
    }

    /// The response to a ping had this status. 503 is worth a line in the log, once.
    fn note_ping(&mut self, status: Option<u16>) {
        let Some(status) = status else { return };
        let is_server_draining = status == 503;
        if self.is_server_draining != is_server_draining {
            self.is_server_draining = is_server_draining;
            self.effects.events.push(LogEvent::ServerDraining(is_server_draining));
        }
    }

    pub(super) fn start_closing(&mut self, slot: usize, reason: CloseReason) {
        self.slots[slot].close_reason = reason;
        self.start(JobKind::Close, slot);
    }

    pub(super) fn start(&mut self, kind: JobKind, slot: usize) {
        let state = match kind {
            JobKind::Dial | JobKind::Probe => SlotState::Dialing,
            JobKind::RollBack => SlotState::Cleaning,
            JobKind::Ping => SlotState::Validating,
            JobKind::Close => SlotState::Closing,
        };
        self.start_in(kind, slot, state);
    }

    pub(super) fn start_in(&mut self, kind: JobKind, slot: usize, state: SlotState) {
        self.set_state(slot, state);
        self.jobs.push_back(Job { kind, slot, connection: self.connection(slot) });
        self.effects.new_jobs += 1;
    }
}
