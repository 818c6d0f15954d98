//! A slot: a place for one connection, and what the pool knows of it.

use std::time::{Duration, Instant};

use super::super::stats::CloseReason;
use super::messages::Condition;

/// Where a slot is; it is in exactly one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody has it; it can be handed out.
    Idle,
    /// A caller has it.
    Leased,
    /// A worker opens it.
    Dialing,
    /// A worker rolls its transaction back.
    Cleaning,
    /// A worker asks the server whether it still answers on it.
    Validating,
    /// A worker closes it; the server may count it until that is done.
    Closing,
    /// It does not exist and counts for nothing.
    Vacant,
}

pub const STATES: usize = State::Vacant as usize + 1;

/// A place for one connection.
#[derive(Debug)]
pub struct Slot<C> {
    pub state: State,
    /// Counts the leases, so that one that has ended can't be given back.
    pub generation: u32,
    pub connection: Option<C>,
    /// Whether there is a socket, as far as the pool knows.
    pub is_open: bool,
    /// Which reset its socket came after.
    pub epoch: u64,
    pub idle_since: Instant,
    pub leased_at: Instant,
    pub is_leak_reported: bool,
    opened_at: Option<Instant>,
    /// When to open a successor, so that it is there at `retire_at`.
    pub replace_at: Option<Instant>,
    /// A successor was asked for: as soon as it is there, this one can go.
    pub has_successor: bool,
    retire_at: Option<Instant>,
    /// When it must not be handed out any more: it is old, or the server is about to close it.
    pub usable_until: Option<Instant>,
    pub close_reason: CloseReason,
}

impl<C> Slot<C> {
    pub fn vacant(now: Instant) -> Self {
        Slot {
            state: State::Vacant,
            generation: 0,
            connection: None,
            is_open: false,
            epoch: 0,
            idle_since: now,
            leased_at: now,
            is_leak_reported: false,
            opened_at: None,
            replace_at: None,
            has_successor: false,
            retire_at: None,
            usable_until: None,
            close_reason: CloseReason::Closed,
        }
    }

    /// A new, unopened connection moves in.
    pub fn fill(&mut self, connection: C, epoch: u64, now: Instant) {
        let generation = self.generation;
        *self = Slot { generation, epoch, connection: Some(connection), ..Slot::vacant(now) };
    }

    /// Takes note of the condition in which the connection is now. `lifetime` says how long a new
    /// socket lives, and `lead` is how long before its end a replacement is looked for.
    pub fn note(
        &mut self,
        condition: &Condition,
        lifetime: impl FnOnce() -> Option<Duration>,
        lead: Duration,
    ) {
        self.is_open = condition.is_open;
        if self.opened_at != condition.opened_at {
            self.opened_at = condition.opened_at;
            self.retire_at = condition.opened_at.and_then(|at| Some(at + lifetime()?));
            self.replace_at = self.retire_at.map(|at| at - lead);
            self.has_successor = false;
        }
        self.usable_until = match (self.retire_at, condition.keep_alive_until) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }

    #[cfg(test)]
    pub fn is_as_in(&self, condition: &Condition) -> bool {
        self.is_open == condition.is_open
            && self.opened_at == condition.opened_at
            && condition.keep_alive_until.is_none()
    }

    pub fn is_spent(&self, now: Instant) -> bool {
        self.usable_until.is_some_and(|until| until <= now)
    }
}
